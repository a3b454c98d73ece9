"""Wrong arguments of everything public: only errors of ours come out, and nothing hangs.

Each test takes a sound call and spoils an argument, or a part of one, some times over. The slow
tests draw new values, `FEMSSB_FUZZ_INPUTS` of them for each class and function.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from femssb.errors import shown
from tests.robustness import examples, public, tally, wrong
from tests.robustness.limits import Outcome, Reached, outcome

CALLABLES = {
    name: one for name, one in public.callables().items() if not public.is_error(one)
}
FEW = 8  # examples of each in the quick tests
MANY = int(os.environ.get("FEMSSB_FUZZ_INPUTS", "200"))  # in the slow ones


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in a folder of its own: what a call is made to write goes there."""
    monkeypatch.chdir(tmp_path)
    for name, text in examples.files():
        Path(name).write_text(text, encoding="utf-8")
    yield


def test_everything_public_has_an_example() -> None:
    """Catches a new class or function that nobody tries to misuse."""
    lost = [
        name
        for name, one in CALLABLES.items()
        if name not in examples.NO_EXAMPLE and examples.example(one) is None
    ]
    assert not lost, "give a sound call in tests/robustness/examples.py"


def spoiled_calls(one: public.Public, count: int) -> list[str]:
    """Call something with spoiled arguments and return what went wrong, each thing once."""
    sound = examples.example(one)
    assert sound is not None
    failures: dict[tuple[str, str], str] = {}
    fields = getattr(one.thing, "__dataclass_fields__", {})

    @settings(
        max_examples=max(2, int(count * examples.SLOW.get(one.name, 1.0))),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.data())
    def attempt(data: Any) -> None:
        arguments = dict(sound)
        names = data.draw(st.lists(st.sampled_from(sorted(sound)), min_size=1, max_size=2))
        for name in names:
            arguments[name] = wrong.spoil(data.draw, arguments[name])
        found = outcome(lambda: use(one, arguments))
        tally.count("inputs", one.name, found.kind)
        if found.kind == "failed":
            shown_call = ", ".join(f"{name}={shown(arguments[name])}" for name in set(names))
            failures.setdefault(
                (found.words.partition(":")[0], found.place),
                f"{one.name}({shown_call}) -> {found.words} [{found.place}]",
            )

    with ExitStack() as stack:
        for place in examples.WORK.get(one.name, ()):
            stack.enter_context(patch(place, side_effect=Reached()))
        if sound:
            attempt()
    return list(failures.values())


def use(one: public.Public, arguments: dict[str, Any]) -> None:
    """Call something, and show what came of it."""
    made = examples.call(one.thing, arguments)
    if one.is_class:
        shown(made)


@pytest.mark.parametrize("name", sorted(set(CALLABLES) - set(examples.NO_EXAMPLE)))
def test_a_sound_call_is_accepted(name: str) -> None:
    """Catches a check that refuses what it should not, and an example that tests nothing."""
    one = CALLABLES[name]
    sound = examples.example(one)
    if sound is None:
        pytest.skip("has no example yet")
    with ExitStack() as stack:
        for place in examples.WORK.get(name, ()):
            stack.enter_context(patch(place, side_effect=Reached()))
        found = outcome(lambda: use(one, sound), seconds=60.0)
    assert found == Outcome("accepted")


@pytest.mark.parametrize("name", sorted(set(CALLABLES) - set(examples.NO_EXAMPLE)))
def test_wrong_arguments_are_refused(name: str) -> None:
    """Catches a TypeError from deep inside, a warning, a hang, or a crash."""
    failures = spoiled_calls(CALLABLES[name], FEW)
    assert not failures, "\n".join(failures)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CALLABLES) - set(examples.NO_EXAMPLE)))
def test_many_wrong_arguments_are_refused(name: str) -> None:
    """Catches what a few examples miss."""
    failures = spoiled_calls(CALLABLES[name], MANY)
    assert not failures, "\n".join(failures)

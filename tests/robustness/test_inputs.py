"""Wrong arguments of everything public: only errors of ours come out, and nothing hangs.

Each test takes a sound call and spoils an argument, or a part of one, some times over. The slow
tests draw new values, `FEMSSB_FUZZ_INPUTS` of them for each class, function and method.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
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

LISTED = {name: one for name, one in public.callables().items() if not public.is_error(one)}
NAMES = sorted({*LISTED, *examples.METHODS} - set(examples.NO_EXAMPLE))
FEW = 6  # examples of each in the quick tests
MANY = int(os.environ.get("FEMSSB_FUZZ_INPUTS", "150"))  # in the slow ones


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples read."""
    folder = tmp_path_factory.mktemp("sound")
    examples.prepare(folder)
    return folder


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sound_files: Path) -> None:
    """Run in a folder of its own: what a call is made to write goes there."""
    shutil.copytree(sound_files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    # A machine with little memory: an image that is too large is refused at once.
    monkeypatch.setattr("femssb.voxels.image.available_memory", lambda: 4_000_000)


def sound_call(name: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return what to call, and sound arguments."""
    if name in examples.METHODS:
        return examples.METHODS[name]()
    arguments = examples.example(LISTED[name])
    if arguments is None:
        pytest.skip("has no example yet: test_everything_public_has_an_example says so")
    return LISTED[name].thing, arguments


def test_everything_public_has_an_example() -> None:
    """Catches a new class, function or method that nobody tries to misuse."""
    lost = [
        name
        for name, one in LISTED.items()
        if name not in examples.NO_EXAMPLE and examples.example(one) is None
    ]
    known = {*examples.METHODS, *examples.INTERNAL}
    lost += [name for one in LISTED.values() for name in public.methods(one) if name not in known]
    assert not lost, "give a sound call in tests/robustness/examples.py"


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_call_is_accepted_and_wrong_ones_are_refused(name: str) -> None:
    """Catches a sound call that is refused, a TypeError from deep inside, a hang, or a crash."""
    thing, arguments = sound_call(name)
    with without_work(name):
        assert outcome(lambda: use(thing, arguments), seconds=60.0) == Outcome("accepted")
    failures = spoiled_calls(name, FEW)
    assert not failures, "\n".join(failures)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_wrong_arguments_are_refused(name: str) -> None:
    """Catches what a few examples miss."""
    failures = spoiled_calls(name, MANY)
    assert not failures, "\n".join(failures)


def without_work(name: str) -> ExitStack:
    """Return a context in which a call ends where its checks are over and long work begins."""
    stack = ExitStack()
    for place in examples.WORK.get(name, ()):
        stack.enter_context(patch(place, side_effect=Reached()))
    return stack


def use(thing: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Call something, and show what came of it."""
    shown(examples.call(thing, arguments))


def spoiled_calls(name: str, count: int) -> list[str]:
    """Call something with spoiled arguments and return what went wrong, each thing once."""
    thing, sound = sound_call(name)
    if not sound:
        return []
    failures: dict[tuple[str, str], str] = {}

    @settings(
        max_examples=max(2, int(count * examples.SLOW.get(name, 1.0))),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.data())
    def attempt(data: Any) -> None:
        arguments = dict(sound)
        chosen = data.draw(st.lists(st.sampled_from(sorted(sound)), min_size=1, max_size=2))
        with warnings.catch_warnings():  # of NumPy, on the way to nonsense
            warnings.simplefilter("ignore")
            for argument in chosen:
                spoiled = wrong.spoil(data.draw, arguments[argument])
                if callable(spoiled) and (name, argument) in examples.FUNCTIONS_OF_A_USER:
                    continue
                arguments[argument] = spoiled
        found = outcome(lambda: use(thing, arguments))
        tally.count("inputs", name, found.kind)
        if found.kind == "failed":
            call = ", ".join(f"{one}={shown(arguments[one])}" for one in set(chosen))
            failures.setdefault(
                (found.words.partition(":")[0], found.place),
                f"{name}({call}) -> {found.words} [{found.place}]",
            )

    with without_work(name):
        attempt()
    return list(failures.values())

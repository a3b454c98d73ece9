"""Runs that are killed, interrupted, starved of disk or robbed of a rank lose nothing.

See `faults`. The slow tests draw new moments, for about `FEMSSB_FUZZ_FAULTS` faults.
"""

from __future__ import annotations

import os

import pytest

from tests.robustness import tally
from tests.robustness.faults import chain

MANY = int(os.environ.get("FEMSSB_FUZZ_FAULTS", "100"))
EACH = 5  # faults to one run


def test_a_run_goes_on_after_faults() -> None:
    """Catches half-written files, lost steps, wrong exit codes, and ranks that wait for ever."""
    failures = chain("half_cell", 4, 2, quick=True)
    assert not failures, "\n".join(failures)


def test_a_press_goes_on_after_faults() -> None:
    """Catches a stage that is taken for done when it is not."""
    failures = chain("press", 1, 1)
    assert not failures, "\n".join(failures)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["half_cell", "press"])
def test_runs_go_on_after_many_faults(what: str) -> None:
    """Catches moments that are rare."""
    share = 0.8 if what == "half_cell" else 0.2
    seed = tally.seed()
    failures = []
    for number in range(max(1, round(share * MANY / EACH))):
        failures += chain(what, seed + number, EACH)
    assert not failures, "\n".join(failures)

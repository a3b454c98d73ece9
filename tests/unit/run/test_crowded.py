"""What a run says of more ranks than its mesh pays for."""

from __future__ import annotations

from mpi4py import MPI

import pytest

from femssb import Charge, Simulation
from femssb.run.simulation import PAYING, crowded
from femssb.run.stepping import FixedSteps
from tests.runs import tiny_model


def test_the_number_that_pays_is_named() -> None:
    """Catches advice that depends on the ranks in use, or sends a small case to none."""
    assert crowded(40 * PAYING, 40) is None
    assert crowded(100, 1) is None
    assert "on 40 ranks: more than about 13 do not pay" in (crowded(40_000, 40) or "")
    assert "more than about 1 do not pay" in (crowded(100, 2) or "")


@pytest.mark.mpi(ranks=2)
def test_a_run_says_it_once(comm: MPI.Comm, capfd: pytest.CaptureFixture[str]) -> None:
    """Catches advice of every rank or time step, and of a run that is asked to be silent."""
    run = Simulation(
        tiny_model(comm), [Charge(c_rate=1, until_duration=2.0)], stepping=FixedSteps(sizes=(1.0,))
    )
    run.run(progress=False)
    assert "ranks" not in capfd.readouterr().err
    run.run()
    said = comm.allgather(capfd.readouterr().err.count("do not pay for this mesh"))
    assert sum(said) == (1 if comm.size > 1 else 0)

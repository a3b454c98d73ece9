"""If these fail, a run that was stopped is lost, or goes on as another one.

Worth reading: `test_a_stopped_run_goes_on_as_if_it_had_not_been`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest

from femssb import Charge, InputError, Model, Rest, Simulation, Solution
from femssb.cell.coupling import Tolerances, advance
from femssb.run import simulation as loop
from femssb.run.checkpoint import FILE
from tests.runs import ALONE, DISCHARGE, tiny_model

TIGHT = Tolerances(current=1e-11, force=1e-9, exchange=1e-6)
CYCLE = (Charge(c_rate=2, until_voltage=4.3), DISCHARGE)


@pytest.fixture(scope="module")
def whole() -> Solution:
    """A run that nothing stopped."""
    return Simulation(tiny_model(), CYCLE, tolerances=TIGHT).run(progress=False)


class Stopped(Exception):
    """What a test stops a run by."""


def stop_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs keep every step and be stopped after so many attempts."""
    taken = []

    def stopping(*arguments: Any, **named: Any) -> Any:
        taken.append(named["time_step"])
        if len(taken) > count:
            raise Stopped
        return advance(*arguments, **named)

    monkeypatch.setattr(loop, "advance", stopping)
    monkeypatch.setattr("femssb.run.record.CHECKPOINT_EVERY", 0.0)


@pytest.mark.mpi
@pytest.mark.parametrize(  # on charge with damage, on discharge
    "attempts", [45, pytest.param(75, marks=pytest.mark.slow)]
)
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    attempts: int,
    whole: Solution,
    comm: MPI.Comm,
    shared_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches state that the file lacks: damage, history, charge; or that depends on the ranks."""
    if comm.rank == 0:  # stopped on one rank, resumed on all
        with monkeypatch.context() as patch:
            stop_after(attempts, patch)
            with pytest.raises(Stopped):
                Simulation(tiny_model(), CYCLE, tolerances=TIGHT).run(shared_path, progress=False)
    comm.Barrier()
    kept = len(Solution.load(shared_path).series["Time [s]"])
    run = Simulation(tiny_model(comm), CYCLE, tolerances=TIGHT)
    found = run.run(shared_path, progress=False, resume=True)
    assert 1 < kept < len(whole.series["Time [s]"])
    for column in ("Time [s]", "Voltage [V]", "Lithium [mol]", "Mean gap [m]"):
        one, other = whole.series[column], found.series[column]
        assert one.shape == other.shape, column
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6 * np.abs(one).max())
    for column in ("Debonded area fraction", "Cohesive energy dissipated [J]"):
        assert found.series[column][-1] == pytest.approx(whole.series[column][-1], rel=1e-5)
    assert found.summary["ledger_error"] < 1e-8
    assert [s.description for s in found.steps] == [s.description for s in whole.steps]
    comm.Barrier()
    on_disk = Solution.load(shared_path)
    assert on_disk.snapshots.labels == tuple(  # type: ignore[attr-defined]
        ["start", "charge middle", "charge end", "discharge middle", "discharge end"]
    )
    np.testing.assert_array_equal(on_disk.series["Time [s]"], found.series["Time [s]"])


@pytest.fixture(scope="module")
def model() -> Model:
    """A model whose couplings are off."""
    return tiny_model(couplings=ALONE)


PAUSE = Rest(until_duration=2.0)


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    """A folder with a finished run."""
    Simulation(model, [PAUSE]).run(tmp_path, progress=False)
    return tmp_path


def test_a_finished_run_is_given_back(model: Model, folder: Path) -> None:
    """Catches a second go at what is done."""
    before = Solution.load(folder)
    again = Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)
    np.testing.assert_array_equal(again.series["Voltage [V]"], before.series["Voltage [V]"])


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_damaged_checkpoint_is_told_by_name(model: Model, folder: Path, keep: float) -> None:
    """Catches a traceback, or a run that goes on from half a state."""
    file = folder / FILE
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    with pytest.raises(InputError, match=r"checkpoint\.npz is damaged"):
        Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)


def test_a_file_of_something_else_is_told_by_name(model: Model, folder: Path) -> None:
    """Catches arrays of another program taken for a state."""
    np.savez(folder / FILE, document=np.array("{}"))
    with pytest.raises(InputError, match="not a checkpoint of femssb"):
        Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)


def test_a_checkpoint_of_another_case_is_refused(model: Model, folder: Path) -> None:
    """Catches a run that goes on with other physics, another protocol or another mesh."""
    with pytest.raises(InputError, match="of another case: protocol differs"):
        Simulation(model, [DISCHARGE]).run(folder, progress=False, resume=True)
    with pytest.raises(InputError, match="of another case: couplings differ"):
        Simulation(tiny_model(), [PAUSE]).run(folder, progress=False, resume=True)
    other = tiny_model(couplings=ALONE, separator=4e-6)
    with pytest.raises(InputError, match="of another case"):
        Simulation(other, [PAUSE]).run(folder, progress=False, resume=True)


def test_there_must_be_something_to_go_on_from(model: Model, tmp_path: Path) -> None:
    """Catches a resume that quietly starts anew."""
    with pytest.raises(InputError, match="there is no"):
        Simulation(model, [PAUSE]).run(tmp_path, progress=False, resume=True)
    with pytest.raises(InputError, match="resume needs the folder"):
        Simulation(model, [PAUSE]).run(progress=False, resume=True)

"""If these fail, a run that was stopped is lost, or continues as another one.

Worth reading: `test_a_stopped_run_continues_as_if_it_had_not_been`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest

from femssb import InputError, Model, Rest, Simulation, Solution
from femssb.cell.coupling import advance
from femssb.run import checkpoint, stepper
from femssb.run.checkpoint import FILE
from tests.runs import ALONE, DISCHARGE, STEPS, TIGHT, TIMED, tiny_model


def simulation(comm: MPI.Comm = MPI.COMM_SELF) -> Simulation:
    """Return a cycle with damage whose rows are at the same times on any ranks and machine."""
    return Simulation(tiny_model(comm), TIMED, tolerances=TIGHT, stepping=STEPS)


@pytest.fixture(scope="module")
def whole() -> Solution:
    """A run that nothing stopped."""
    return simulation().run(progress=False)


class Stopped(Exception):
    """The exception by which a test stops a run."""


def stop_at(time: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs keep every step and be stopped once they have passed a time [s]."""

    def stopping(model: Model, previous: Any, *arguments: Any, **named: Any) -> Any:
        if previous.time > time:
            raise Stopped
        return advance(model, previous, *arguments, **named)

    monkeypatch.setattr(stepper, "advance", stopping)
    monkeypatch.setattr("femssb.run.record.CHECKPOINT_EVERY", 0.0)


@pytest.mark.mpi
@pytest.mark.parametrize(  # on charge with damage, on discharge
    "time", [480.0, pytest.param(1200.0, marks=pytest.mark.slow)]
)
def test_a_stopped_run_continues_as_if_it_had_not_been(
    time: float,
    whole: Solution,
    comm: MPI.Comm,
    shared_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches state that the file lacks: damage, history, charge; or that depends on the ranks."""
    if comm.rank == 0:  # stopped on one rank, resumed on all
        with monkeypatch.context() as patch:
            stop_at(time, patch)
            with pytest.raises(Stopped):
                simulation().run(shared_path, progress=False)
    comm.Barrier()
    kept = Solution.load(shared_path).series
    assert time < kept["Time [s]"][-1] <= time + STEPS.sizes[-1]
    assert kept["Spent fracture energy [-]"][-1] > 0.1
    found = simulation(comm).run(shared_path, progress=False, resume=True)
    for column in ("Time [s]", "Voltage [V]", "Lithium [mol]", "Mean gap [m]"):
        one, other = whole.series[column], found.series[column]
        np.testing.assert_allclose(
            other, one, rtol=0, atol=1e-6 * np.abs(one).max(), err_msg=column
        )
    for column in ("Spent fracture energy [-]", "Cohesive energy dissipated [J]"):
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
    """Catches work that is done a second time."""
    before = Solution.load(folder)
    again = Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)
    np.testing.assert_array_equal(again.series["Voltage [V]"], before.series["Voltage [V]"])


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_damaged_checkpoint_is_named(model: Model, folder: Path, keep: float) -> None:
    """Catches a traceback, or a run that continues from half a state."""
    file = folder / FILE
    file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    with pytest.raises(InputError, match=r"checkpoint\.npz is damaged"):
        Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)


def test_a_file_of_something_else_is_named(model: Model, folder: Path) -> None:
    """Catches arrays of another program taken for a state."""
    np.savez(folder / FILE, document=np.array("{}"))
    with pytest.raises(InputError, match="not a checkpoint of femssb"):
        Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)


def test_a_checkpoint_of_another_case_is_refused(model: Model, folder: Path) -> None:
    """Catches a run that continues with other physics, another protocol or another mesh."""
    with pytest.raises(InputError, match="of another case: protocol differs"):
        Simulation(model, [DISCHARGE]).run(folder, progress=False, resume=True)
    with pytest.raises(InputError, match="of another case: couplings differ"):
        Simulation(tiny_model(), [PAUSE]).run(folder, progress=False, resume=True)
    other = tiny_model(couplings=ALONE, separator=4e-6)
    with pytest.raises(InputError, match="of another case"):
        Simulation(other, [PAUSE]).run(folder, progress=False, resume=True)


def test_there_must_be_something_to_resume_from(model: Model, tmp_path: Path) -> None:
    """Catches a resume that quietly starts from rest."""
    with pytest.raises(InputError, match="there is no"):
        Simulation(model, [PAUSE]).run(tmp_path, progress=False, resume=True)
    with pytest.raises(InputError, match="resume needs the folder"):
        Simulation(model, [PAUSE]).run(progress=False, resume=True)


def test_the_format_is_the_documented_one(folder: Path) -> None:
    """Catches an array or key of the file that its description lacks, or invents."""
    words = set(re.findall(r"``(.*?)``", checkpoint.__doc__))
    with np.load(folder / FILE, allow_pickle=False) as file:
        document = json.loads(str(file["document"]))
        arrays = {re.sub(r" [1-3]$", " 0", name) for name in file.files}
    assert arrays | document.keys() | document["log"].keys() | {FILE} == words

"""If these fail, whole cycles depend on the number of ranks, or on the time steps.

Worth reading: `test_a_cycle_does_not_depend_on_the_ranks`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb import Charge, Hold, Rest, Simulation, Solution
from femssb.cell.coupling import Tolerances
from femssb.cell.model import State
from femssb.run.stepping import Stepping
from tests.runs import CHARGE, DISCHARGE, HOLD, STEPS, TIGHT, TIMED, tiny_model

ROOT = Path(__file__).parents[2]


@pytest.mark.mpi
def test_a_cycle_does_not_depend_on_the_ranks(
    comm: MPI.Comm, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches anything lost or doubled between ranks, and progress that every rank shows."""
    steps = [TIMED[0], Hold(voltage=3.9, until_duration=300.0), TIMED[1]]
    alone, shared = (
        Simulation(tiny_model(c), steps, tolerances=TIGHT, stepping=STEPS)
        for c in (MPI.COMM_SELF, comm)
    )
    one_rank = alone.run(progress=False)
    capsys.readouterr()
    many_ranks = shared.run()
    assert ("Charge 2C" in capsys.readouterr().err) == (comm.rank == 0)
    for column in ("Time [s]", "Voltage [V]", "Lithium [mol]", "Mean gap [m]"):
        one, many = one_rank.series[column], many_ranks.series[column]
        np.testing.assert_allclose(many, one, rtol=0, atol=1e-6 * np.abs(one).max(), err_msg=column)
    assert one_rank.series["Debonded area fraction"][-1] > 0.5
    assert len(many_ranks.snapshots) == (7 if comm.rank == 0 else 0)


@pytest.mark.mpi
def test_cut_offs_are_found_on_any_ranks(comm: MPI.Comm) -> None:
    """Catches ends that ranks see differently, and lithium or charge lost where they meet.

    Rounding decides how many steps an adaptive run takes: its ends agree within the error of the
    steps, 0.1 % of the charge, see `test_the_time_steps_are_fine_enough`.
    """
    steps = [CHARGE, HOLD, DISCHARGE]
    alone, shared = (
        Simulation(tiny_model(c), steps).run(progress=False) for c in (MPI.COMM_SELF, comm)
    )
    assert [s.ended_by for s in shared.steps] == ["voltage", "current", "voltage"]
    assert shared.summary["ledger_error"] < 1e-8
    assert shared.summary["interface_current_error"] < 1e-8
    for one, many in zip(alone.steps, shared.steps, strict=True):
        assert many.end_time == pytest.approx(one.end_time, rel=1e-3)
        lithium = alone.series["Lithium [mol]"]
        allowed = pytest.approx(lithium[one.end_row], abs=1e-3 * lithium[0])
        assert shared.series["Lithium [mol]"][many.end_row] == allowed


@pytest.mark.mpi
def test_a_folder_holds_the_same_as_the_memory(comm: MPI.Comm, shared_path: Path) -> None:
    """Catches files written by the wrong rank, or fields that differ from those of the run."""
    folder = shared_path / "run"
    step = Charge(c_rate=1, until_duration=300.0)
    model = tiny_model(comm)
    simulation = Simulation(model, [step], stepping=STEPS)
    given = simulation.run(folder, progress=False)
    kept = simulation.run(progress=False)
    found = Solution.load(folder)
    np.testing.assert_array_equal(found.series["Voltage [V]"], given.series["Voltage [V]"])
    assert found.case["model"]["cells"] == given.case["model"]["cells"]
    if comm.rank == 0:
        assert [s.label for s in found.snapshots] == [s.label for s in kept.snapshots]
        for one, other in zip(found.snapshots, kept.snapshots, strict=True):
            lithium = [s.particle.point_data["Concentration [mol/m3]"] for s in (one, other)]
            np.testing.assert_allclose(lithium[0], lithium[1], rtol=1e-6)
    comm.Barrier()


@pytest.mark.mpi
def test_a_function_that_fails_on_one_rank_ends_the_run_on_all(
    comm: MPI.Comm, shared_path: Path
) -> None:
    """Catches ranks that wait for the one whose function raised, and results lost with it."""
    last = comm.rank == comm.size - 1

    def fail(state: State, _: Solution) -> None:
        if last and state.time > 5.0:
            raise KeyError("made to fail")

    simulation = Simulation(tiny_model(comm), [Rest(until_duration=60.0)], stepping=STEPS)
    with pytest.raises(KeyError if last else RuntimeError, match="fail"):
        simulation.run(shared_path, progress=False, on_step=[fail])
    comm.Barrier()
    assert Solution.load(shared_path).series["Time [s]"].tolist() == [0.0, 1.0, 6.0]


def test_two_cycles_close_the_ledger() -> None:
    """Catches an error that adds up over cycles, and damage that heals between them."""
    steps = [Charge(c_rate=2, until_voltage=4.3), DISCHARGE] * 2
    run = Simulation(tiny_model(), steps).run(progress=False)
    assert np.abs(run.series["Lithium ledger error [-]"]).max() < 1e-8
    assert np.abs(run.series["Interface current error [-]"]).max() < 1e-8
    debonded = run.series["Debonded area fraction"]
    assert (np.diff(debonded) >= 0).all()
    assert debonded[-1] > 0.5
    assert (np.diff(run.series["Cohesive energy dissipated [J]"]) >= -1e-25).all()
    assert [s.label for s in run.snapshots].count("charge end") == 2


def test_the_time_steps_are_fine_enough() -> None:
    """Catches an error control that does not control: charge time within 0.1 %, gap within 1 %."""
    model = tiny_model()
    coarse = Simulation(model, [CHARGE]).run(progress=False)
    fine = Simulation(
        model,
        [CHARGE],
        stepping=Stepping(stoichiometry_error=1e-5, voltage_error=2e-4, largest=60.0),
        tolerances=Tolerances(current=1e-10, force=1e-7, exchange=1e-4),
    ).run(progress=False)
    assert fine.series["Step size [s]"].max() <= 60.0 + 1e-9 < coarse.series["Step size [s]"].max()
    for key, precision in (
        ("charge_time", 1e-3),
        ("lithium_charge_end", 1e-2),
        ("gap_mean_charge_end", 1e-2),
        ("von_mises_mean_charge_end", 1e-2),
    ):
        assert coarse.summary[key] == pytest.approx(fine.summary[key], rel=precision), key


CROWDED = """
from tests.runs import tiny_model
from mpi4py import MPI
from femssb import Charge, Simulation
model = tiny_model(MPI.COMM_WORLD, separator=18e-6)
run = Simulation(model, [Charge(c_rate=1, until_duration=1.0)]).run(progress=False)
points = MPI.COMM_WORLD.gather(model.bodies.weights.size)
if MPI.COMM_WORLD.rank == 0:
    print("without interface", points.count(0), "ledger", run.summary["ledger_error"])
"""


@pytest.mark.slow
def test_more_ranks_than_there_is_work_for() -> None:
    """Catches a crash or a hang where a rank has no particle, interface or anode."""
    mpirun = Path(sys.executable).parent / "mpirun"
    launcher = str(mpirun) if mpirun.exists() else "mpirun"
    command = [launcher, "-n", "6", sys.executable, "-c", CROWDED]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "MPI", "OMPI"))}
    done = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert int(words[words.index("interface") + 1]) > 0
    assert float(words[words.index("ledger") + 1]) < 1e-8

"""If these fail, whole cycles depend on the number of ranks, or on the time steps.

Worth reading: `test_a_cycle_does_not_depend_on_the_ranks`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb import (
    Charge,
    Couplings,
    Discharge,
    FixedSteps,
    Hold,
    Model,
    Rest,
    Simulation,
    Solution,
    library,
)
from femssb.arrays import Array
from femssb.cell.coupling import Tolerances
from femssb.cell.model import State
from femssb.run.stepping import Stepping
from femssb.units import FARADAY
from tests.ranks import alone_and_together
from tests.runs import CHARGE, HOLD, LOOSE, STEPS, TIGHT, tiny_model

ROOT = Path(__file__).parents[2]
CUT_OFFS = (CHARGE, HOLD, Discharge(c_rate=1, until_voltage=3.9))


@pytest.mark.mpi
def test_a_cycle_does_not_depend_on_the_ranks(
    comm: MPI.Comm, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches anything lost or doubled between ranks, and progress that every rank shows."""
    steps = [
        Charge(c_rate=4, until_duration=400.0),
        Hold(voltage=3.9, until_duration=60.0),
        Discharge(c_rate=2, until_duration=90.0),
    ]
    one_rank, many_ranks = alone_and_together(
        comm,
        lambda c: Simulation(tiny_model(c), steps, tolerances=TIGHT, stepping=STEPS).run(
            progress=c is comm or comm.size == 1
        ),
    )
    assert ("Charge 4C" in capsys.readouterr().err) == (comm.rank == 0)
    for column in ("Time [s]", "Voltage [V]", "Lithium [mol]", "Mean gap [m]"):
        one, many = one_rank.series[column], many_ranks.series[column]
        np.testing.assert_allclose(many, one, rtol=0, atol=1e-6 * np.abs(one).max(), err_msg=column)
    assert one_rank.series["Debonded area fraction"][-1] > 0.5
    assert len(many_ranks.snapshots) == (7 if comm.rank == 0 else 0)


@pytest.fixture(scope="module")
def whole() -> Solution:
    """A charge to a voltage, a hold to a current, and a discharge to a voltage, on one rank."""
    return Simulation(tiny_model(), CUT_OFFS).run(progress=False)


@pytest.mark.mpi(ranks=2)  # on 3, the cycle above
def test_cut_offs_are_found_on_any_ranks(comm: MPI.Comm, whole: Solution) -> None:
    """Catches ends that ranks see differently, and lithium or charge lost where they meet.

    Rounding decides how many steps an adaptive run takes: its ends agree within the error of the
    steps, 0.1 % of the charge, see `test_the_time_steps_are_fine_enough`.
    """
    alone = shared = whole
    if comm.size > 1:
        shared = Simulation(tiny_model(comm), CUT_OFFS).run(progress=False)
    assert [s.ended_by for s in shared.steps] == ["voltage", "current", "voltage"]
    assert shared.summary["ledger_error"] < 1e-8
    assert shared.summary["interface_current_error"] < 1e-8
    for one, many in zip(alone.steps, shared.steps, strict=True):
        assert many.end_time == pytest.approx(one.end_time, rel=1e-3)
        lithium = alone.series["Lithium [mol]"]
        allowed = pytest.approx(lithium[one.end_row], abs=1e-3 * lithium[0])
        assert shared.series["Lithium [mol]"][many.end_row] == allowed


@pytest.mark.mpi(ranks=2)
def test_bounds_of_lithium_are_found_on_any_ranks(comm: MPI.Comm) -> None:
    """Catches an end for want of lithium that some ranks do not see, and warnings that differ."""
    steps = [Charge(c_rate=4, until_duration=900.0), Discharge(c_rate=4, until_duration=10.0)]
    stepping = FixedSteps(sizes=(1.0, 5.0, 20.0))
    alone, shared = alone_and_together(
        comm,
        lambda c: Simulation(tiny_model(c), steps, stepping=stepping).run(progress=False),
    )
    assert [s.ended_by for s in shared.steps] == ["concentration", "duration"]
    assert shared.steps[0].end_time == pytest.approx(alone.steps[0].end_time, abs=0.1)
    for key in ("concentration_undershoot", "penetration_max"):
        assert shared.summary[key] == pytest.approx(alone.summary[key], rel=0.05), key
    assert len(shared.warnings) == len(alone.warnings) > 0
    assert set(comm.allgather(shared.warnings)) == {shared.warnings}


@pytest.mark.mpi
def test_a_folder_holds_the_same_as_the_memory(comm: MPI.Comm, shared_path: Path) -> None:
    """Catches files written by the wrong rank, or fields that differ from those of the run."""
    folder = shared_path / "run"
    step = Charge(c_rate=1, until_duration=36.0)
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
    steps = [Charge(c_rate=2, until_voltage=4.3), Discharge(c_rate=2, until_voltage=3.0)] * 2
    run = Simulation(tiny_model(), steps, stepping=LOOSE).run(progress=False)
    assert np.abs(run.series["Lithium ledger error [-]"]).max() < 1e-8
    assert np.abs(run.series["Interface current error [-]"]).max() < 1e-8
    debonded = run.series["Debonded area fraction"]
    assert (np.diff(debonded) >= 0).all()
    assert debonded[-1] > 0.5
    assert (np.diff(run.series["Cohesive energy dissipated [J]"]) >= -1e-25).all()
    labels = [s.label for s in run.snapshots]
    assert len(set(labels)) == len(labels) == 9
    for snapshot in run.snapshots:
        assert run.time_of(snapshot.label) == snapshot.time
    first, second = run.cycles
    assert run.time_of("cycle 2 charge end") == second.charge[-1].end_time
    lithium = run.series["Lithium [mol]"]
    for cycle in (first, second):
        start, top, end = (
            lithium[row]
            for row in (
                cycle.charge[0].start_row,
                cycle.charge[0].end_row,
                cycle.discharge[0].end_row,
            )
        )
        efficiency = (end - top) / (start - top)
        assert cycle.numbers["coulombic_efficiency"] == pytest.approx(efficiency, rel=1e-6)
        assert cycle.numbers["charge_capacity"] == pytest.approx(FARADAY * (start - top), rel=1e-6)
    assert second.numbers["coulombic_efficiency"] > 1.02 * first.numbers["coulombic_efficiency"]


def test_the_time_steps_are_fine_enough(whole: Solution) -> None:
    """Catches an error control that does not control: charge time within 0.1 %, gap within 1 %."""
    fine = Simulation(
        tiny_model(),
        [CHARGE],
        stepping=Stepping(stoichiometry_error=1e-5, voltage_error=2e-4, largest=60.0),
        tolerances=Tolerances(current=1e-10, force=1e-7, exchange=1e-4),
    ).run(progress=False)
    end = whole.steps[0].end_row
    coarse = {name: values[: end + 1] for name, values in whole.series.items()}
    assert fine.series["Step size [s]"].max() <= 60.0 + 1e-9 < coarse["Step size [s]"].max()
    for name, precision in (
        ("Time [s]", 1e-3),
        ("Lithium [mol]", 1e-2),
        ("Mean gap [m]", 1e-2),
        ("Mean von Mises stress [Pa]", 1e-2),
    ):
        assert coarse[name][-1] == pytest.approx(fine.series[name][-1], rel=precision), name


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


def _drifted(comm: MPI.Comm, drift_volume: float, swell: float = 1.0) -> tuple[Model, Array, Any]:
    """Charge a bonded cell for ten minutes; return model, stoichiometry and run.

    The chemical strain is that of NCM111 times `swell`; the interface is as stiff when pulled as
    when pushed, so that the mechanics are linear.
    """
    data, materials = tiny_model(comm).data, library.yuan2023.materials()
    strain = materials.active.expansion
    expansion = replace(
        strain,
        function=lambda c: swell * strain.function(c),
        slope=lambda c: swell * strain.slope(c),
    )
    active = replace(materials.active, drift_volume=drift_volume, expansion=expansion)
    bonded = Couplings(gap_resistance=False, debonding=False)
    model = Model(data, replace(materials, active=active), couplings=bonded)
    seen: list[Array] = []
    run = Simulation(
        model, [Charge(c_rate=2, until_duration=600.0)], tolerances=TIGHT, stepping=STEPS
    ).run(progress=False, on_step=[lambda state, _: seen.append(model.stoichiometry(state))])
    return model, seen[-1], run


@pytest.mark.mpi(ranks=2)
def test_stress_moves_lithium_whichever_way(comm: MPI.Comm) -> None:
    """Catches a negative partial molar volume, as that of LCO, whose stress moves nothing.

    To first order the effect of a negative volume is that of a positive one, mirrored.
    """
    found, runs = {}, {}
    for volume in (-7.28e-7, 0.0, 7.28e-7):
        model, found[volume], runs[volume] = _drifted(comm, volume)
        assert runs[volume].summary["ledger_error"] < 1e-8
    ahead, back = (found[volume] - found[0.0] for volume in (7.28e-7, -7.28e-7))

    def inner(one: Array, other: Array) -> float:
        return model.electrochemistry.charge(one * other)

    size = np.sqrt(inner(ahead, ahead) / inner(np.ones_like(ahead), np.ones_like(ahead)))
    assert size > 1e-3  # rms stoichiometry: far above the tolerances of the run
    mirrored = ahead + back
    assert inner(mirrored, mirrored) < 0.3**2 * inner(ahead, ahead)  # twice the second order
    if comm.size == 1:  # nobody to compare with
        return
    shared = runs[-7.28e-7]
    _, _, alone = _drifted(MPI.COMM_SELF, -7.28e-7)
    for column in ("Voltage [V]", "Minimum concentration [mol/m3]", "Mean von Mises stress [Pa]"):
        one, other = alone.series[column], shared.series[column]
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6 * np.abs(one).max())


def test_a_host_that_swells_when_emptied_is_the_mirror_of_one_that_shrinks() -> None:
    """Catches an assumption that lithium swells its host: LCO, too, moves lithium by its stress.

    With both the strain and the drift of the other sign, all displacements and stresses change
    their sign, and lithium moves as before.
    """
    (_, one, shrinking), (_, other, swelling) = (
        _drifted(MPI.COMM_SELF, sign * 7.28e-7, sign) for sign in (1.0, -1.0)
    )
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-6)
    here, there = shrinking.series, swelling.series
    for column in ("Voltage [V]", "Mean von Mises stress [Pa]", "99 % von Mises stress [Pa]"):
        np.testing.assert_allclose(there[column], here[column], rtol=1e-4, err_msg=column)
    for lower, upper in (("Minimum", "Maximum"), ("0.1 %", "99.9 %"), ("1 %", "99 %")):
        low, high = (f"{name} volumetric strain [-]" for name in (lower, upper))
        scale = np.abs(here[low]).max()
        np.testing.assert_allclose(there[high], -here[low], rtol=0, atol=1e-3 * scale)
        np.testing.assert_allclose(there[low], -here[high], rtol=0, atol=1e-3 * scale)
    assert here["Mean volumetric strain [-]"][-1] < 0 < there["Mean volumetric strain [-]"][-1]

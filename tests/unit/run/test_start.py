"""If these fail, the state at the start moves what 1C means, or is not in equilibrium.

Worth reading: `test_a_cell_that_starts_a_tenth_full_runs_at_the_rate_meant`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest

from femssb import (
    Charge,
    Couplings,
    Curve,
    Discharge,
    Elasticity,
    Hold,
    InputError,
    Model,
    Pressure,
    Simulation,
    library,
)
from femssb.inputs.boundary import Fixed
from femssb.meshing import MeshData
from femssb.run.readout import Readout
from femssb.units import FARADAY, GPa, MPa, hour
from tests.runs import ALONE, STEPS, TIGHT, read, tiny_model

MATERIALS = library.yuan2023.materials()
FULL = MATERIALS.active.initial_concentration


@pytest.fixture(scope="module")
def data() -> MeshData:
    """The mesh of the smallest half-cell."""
    return tiny_model().data


def model(data: MeshData, changes: dict[str, Any], **arguments: Any) -> Model:
    """Return a model whose active material is changed."""
    active = replace(MATERIALS.active, **changes)
    return Model(data, replace(MATERIALS, active=active), **arguments)


def linear(slope: float) -> Curve:
    """Return a chemical strain that grows with the concentration, and vanishes nowhere special."""
    return Curve(
        function=lambda c: slope * c, slope=lambda c: np.full_like(c, slope), lower=0.0, upper=2e5
    )


# --- capacity ---------------------------------------------------------------------------------


def test_one_c_is_that_of_the_nominal_capacity(data: MeshData) -> None:
    """Catches a 1C that follows the lithium at the start, or the full host where it is given."""
    full = model(data, {}, couplings=ALONE)
    volume = full.lithium_initial / FULL
    for start in (FULL, 0.1 * FULL):
        begun = {"initial_concentration": start}
        kept = model(data, begun, couplings=ALONE)
        assert kept.one_c == full.one_c
        assert kept.lithium_initial == pytest.approx(start * volume, rel=1e-12)
        other = model(data, begun | {"nominal_capacity": 2e4}, couplings=ALONE)
        assert other.one_c == pytest.approx(FARADAY * 2e4 * volume / hour, rel=1e-12)
        host = model(data, begun | {"nominal_capacity": None}, couplings=ALONE)
        assert host.lithium_nominal == pytest.approx(49360.0 * volume, rel=1e-12)


@pytest.mark.parametrize("coupled", [False, True])
def test_a_cell_that_starts_a_tenth_full_runs_at_the_rate_meant(
    data: MeshData, coupled: bool
) -> None:
    """Catches a discharge at C/10 of what was meant, which did not reach its end."""
    couplings = Couplings() if coupled else ALONE
    tenth = model(data, {"initial_concentration": 0.1 * FULL}, couplings=couplings)
    protocol = [Discharge(c_rate=1, until_voltage=3.0), Charge(c_rate=1, until_voltage=4.25)]
    run = Simulation(tenth, protocol).run(progress=False)
    assert [step.ended_by for step in run.steps] == ["voltage", "voltage"]
    for step, sign in zip(run.steps, (1, -1), strict=True):
        rows = slice(step.start_row + 1, step.end_row + 1)
        np.testing.assert_allclose(run.series["C-rate"][rows], 1.0, rtol=1e-6)
        moved = run.series["Lithium [mol]"][[step.start_row, step.end_row]]
        assert sign * np.diff(moved)[0] == pytest.approx(
            tenth.lithium_nominal * step.duration / hour, rel=1e-6
        )
    assert 0.5 * hour < run.steps[0].duration < 0.9 * hour
    assert np.abs(run.series["Lithium ledger error [-]"]).max() < 1e-8
    # The middle of the discharge is half of the way from a tenth to the nominal capacity.
    lithium = np.interp(
        run.time_of("cycle 0 discharge middle"),
        run.series["Time [s]"],
        run.series["Lithium [mol]"],
    )
    assert lithium / tenth.lithium_nominal == pytest.approx(0.55, abs=0.03)


def test_a_nearly_empty_start_keeps_the_ledger_finite(data: MeshData) -> None:
    """Catches an error over next to nothing: roundoff of the capacity called a loss of lithium."""
    empty = model(data, {"initial_concentration": 2e-3 * FULL}, couplings=ALONE)
    run = Simulation(empty, [Discharge(c_rate=1, until_duration=600.0)]).run(progress=False)
    assert np.abs(run.series["Lithium ledger error [-]"]).max() < 1e-8
    gained = np.ptp(run.series["Lithium [mol]"]) / empty.lithium_nominal
    assert gained == pytest.approx(1 / 6, rel=1e-6)
    assert run.series["Discharge capacity [C]"][-1] == pytest.approx(600 * empty.one_c, rel=1e-9)


def test_a_small_capacity_leaves_time_to_fill_the_host(data: MeshData) -> None:
    """Catches a step given up after two hours although 1C of the window needs three to empty."""
    window = model(data, {"nominal_capacity": 0.3 * 49360.0}, couplings=ALONE)
    run = Simulation(window, [Charge(c_rate=1, until_voltage=4.3)]).run(progress=False)
    assert run.steps[0].ended_by == "voltage"
    assert run.steps[0].duration > 2.5 * hour
    Simulation(window, [Charge(c_rate=1, until_duration=3 * hour)])


def test_a_hold_ends_at_the_rate_of_the_nominal_capacity(data: MeshData) -> None:
    """Catches a cut-off current that follows the lithium at the start."""
    half = model(data, {"initial_concentration": 0.5 * FULL}, couplings=ALONE)
    voltage = half.initial_state().voltage
    hold = Hold(voltage=voltage + 0.05, until_c_rate=0.1)
    run = Simulation(half, [hold]).run(progress=False)
    assert run.steps[0].ended_by == "current"
    assert -run.series["Current [A]"][-1] == pytest.approx(0.1 * half.one_c, rel=2e-2)


# --- the state at the start ---------------------------------------------------------------------


@pytest.mark.parametrize("free", [FULL, 0.4 * FULL])
def test_a_stress_free_start_is_free_of_stress(data: MeshData, free: float) -> None:
    """Catches a start that is strained although it is the stress-free one, wherever that is."""
    start = model(data, {"initial_concentration": free, "stress_free_concentration": free})
    state = start.initial_state()
    for name in ("mechanical", "jump", "damage", "gap", "hydrostatic"):
        assert not getattr(state, name).any(), name
    row = read(start, state)
    assert row["Maximum von Mises stress [Pa]"] < 1.0
    assert abs(row["Mean volumetric strain [-]"]) < 1e-12


@pytest.mark.parametrize("slope", [3e-8, -3e-8])
def test_the_start_of_a_free_particle_is_strained_by_formula(data: MeshData, slope: float) -> None:
    """Catches a start at rest in no equilibrium, and a strain of the other sign.

    Around it is next to nothing, so that a particle that expands equally in all directions is free:
    its volume changes by three times the chemical strain, and it bears no stress.
    """
    soft = Elasticity(young_modulus=1e6, poisson_ratio=0.3)
    changes = {
        "initial_concentration": 0.2 * FULL,
        "expansion": linear(slope),
        "expansion_ratio": (1.0, 1.0, 1.0),
    }
    made = replace(
        MATERIALS,
        active=replace(MATERIALS.active, **changes),
        ecbd=replace(MATERIALS.ecbd, elasticity=soft),
        electrolyte=replace(MATERIALS.electrolyte, elasticity=soft),
    )
    free = Model(data, made, couplings=Couplings(debonding=False))
    row = read(free, free.initial_state(1e-10))
    wanted = 3 * slope * (0.2 - 1.0) * FULL
    for name in ("Minimum", "Mean", "Maximum"):
        assert row[f"{name} volumetric strain [-]"] == pytest.approx(wanted, rel=1e-3)
    assert row["Particle volume change [-]"] == pytest.approx(wanted, rel=1e-3)
    assert row["Maximum von Mises stress [Pa]"] < 1e-4 * GPa
    assert row["Mean gap [m]"] < 1e-12


def test_the_start_is_where_slow_lithiation_leads(data: MeshData) -> None:
    """Catches a start whose displacements are not those that the time loop comes to.

    Lithium moves so fast that it stays uniform; from the full state, charged to 60 %, and at once.
    """
    fast = {"diffusivity": (1e-10,) * 3, "drift_volume": 0.0}
    bonded = Couplings(debonding=False)
    driven = model(data, fast, couplings=bonded)
    protocol = [Charge(c_rate=1, until_duration=0.4 * hour)]
    run = Simulation(driven, protocol, stepping=STEPS).run(progress=False)
    at_once = model(data, fast | {"initial_concentration": 0.6 * FULL}, couplings=bonded)
    row = read(at_once, at_once.initial_state(1e-9))
    for name in ("Mean von Mises stress [Pa]", "Mean volumetric strain [-]", "Mean gap [m]"):
        assert row[name] == pytest.approx(run.series[name][-1], rel=2e-3), name
    assert row["Mean von Mises stress [Pa]"] > 0.1 * GPa


@pytest.mark.mpi(ranks=2)
def test_an_interface_that_lets_go_at_the_start(comm: MPI.Comm) -> None:
    """Catches a start that no equilibrium is found for, and one that depends on the ranks."""
    rows = []
    for one in (comm, MPI.COMM_SELF):
        begun = model(tiny_model(one).data, {"initial_concentration": 0.2 * FULL})
        state = begun.initial_state(1e-8)
        rows.append(read(begun, state))
        Readout(begun)
        assert state.time == 0.0
        assert state.current == 0.0
    shared, alone = rows
    assert alone["Debonded area fraction"] > 0.5
    assert alone["Mean gap [m]"] > 5e-9
    assert alone["Cohesive energy dissipated [J]"] > 0.0
    for name in ("Debonded area fraction", "Mean gap [m]", "Cohesive energy dissipated [J]"):
        assert shared[name] == pytest.approx(alone[name], rel=2e-2), name


def test_pressure_acts_from_the_start(data: MeshData) -> None:
    """Catches a first row without the stress of the pressure outside."""
    pressed = model(data, {}, collector=Pressure(pressure=15 * MPa), anode=Fixed())
    row = read(pressed, pressed.initial_state())
    assert row["Mean von Mises stress [Pa]"] > 1 * MPa
    assert row["Mean volumetric strain [-]"] < -1e-5
    assert row["Maximum gap [m]"] < 1e-12


def test_the_start_is_a_row_of_the_results(data: MeshData) -> None:
    """Catches a start that is solved and then lost, or changed by the first time step."""
    begun = model(data, {"initial_concentration": 0.9 * FULL})
    row = read(begun, begun.initial_state())
    run = Simulation(begun, [Charge(c_rate=1, until_duration=1.0)], stepping=STEPS).run(
        progress=False
    )
    for name in ("Mean von Mises stress [Pa]", "Mean volumetric strain [-]"):
        assert run.series[name][0] == row[name] != 0.0
        assert run.series[name][1] == pytest.approx(row[name], rel=1e-2)
    snapshot = run.snapshot_at("start")
    assert np.abs(snapshot.particle.cell_data["Stress [Pa]"]).max() > 10 * MPa
    assert snapshot.interface.cell_data["Normal traction [Pa]"].max() > 1 * MPa


# --- from a voltage, and from another run -------------------------------------------------------


def test_a_cell_starts_at_a_voltage(data: MeshData) -> None:
    """Catches the concentration of another voltage, and a voltage that no state has."""
    for voltage in (3.7, 4.0, 4.3):
        active = MATERIALS.active.starting_at(voltage)
        started = Model(data, replace(MATERIALS, active=active))
        assert started.initial_state().voltage == pytest.approx(voltage, abs=1e-9)
        assert active.capacity == MATERIALS.active.capacity
    with pytest.raises(InputError, match=r"voltage = 5 V is outside \["):
        MATERIALS.active.starting_at(5.0)


def test_a_run_goes_on_from_the_end_of_another(tmp_path: Path) -> None:
    """Catches lithium, damage, gaps, time or charge that begin anew."""
    cell = tiny_model()
    steps = [Charge(c_rate=2, until_duration=600.0), Discharge(c_rate=1, until_duration=60.0)]
    own = {"stepping": STEPS, "tolerances": TIGHT}

    def took(protocol: Any, **given: Any) -> Any:
        folder = given.pop("folder", None)
        return Simulation(cell, protocol, **own, **given).run(folder, progress=False)

    whole = took(steps)
    first = took(steps[:1], folder=tmp_path / "first")
    assert first.series["Spent fracture energy [-]"][-1] > 0.1
    second = took(steps[1:], folder=tmp_path / "second", start=tmp_path / "first")
    after = whole.steps[1].start_row
    for name in (
        "Time [s]", "Voltage [V]", "Discharge capacity [C]", "Lithium [mol]", "Mean gap [m]",
        "Spent fracture energy [-]", "Cohesive energy dissipated [J]",
    ):  # fmt: skip
        expected = whole.series[name][after:]
        assert second.series[name] == pytest.approx(
            expected, rel=1e-5, abs=1e-6 * np.abs(whole.series[name]).max()
        ), name
    assert np.abs(second.series["Lithium ledger error [-]"]).max() < 1e-8
    assert second.case["start"]["folder"] == str(tmp_path / "first")
    warm = Model(cell.data, replace(MATERIALS, temperature=320.0))
    Simulation(warm, steps[1:], start=tmp_path / "first")
    for other, message in (
        (replace(MATERIALS, cohesive=MATERIALS.cohesive.unbreakable), "materials.cohesive"),
        (replace(MATERIALS, active=MATERIALS.active.starting_at(4.0)), "initial_concentration"),
    ):
        with pytest.raises(InputError, match=message):
            Simulation(Model(cell.data, other), steps[1:], start=tmp_path / "first")
    with pytest.raises(InputError, match="to resume from"):
        Simulation(cell, steps[1:], start=tmp_path / "nothing")
    again = Simulation.from_case(tmp_path / "second" / "case.json", comm=MPI.COMM_SELF)
    voltage = again.run(progress=False).series["Voltage [V]"]
    assert voltage == pytest.approx(second.series["Voltage [V]"], rel=1e-9)

"""Debonding in whole cells: if these fail, a debonded area or a loose particle means nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb import Charge, Discharge, HalfCell, Model, Polycrystal, Simulation, library, mesh
from femssb.cell.cohesion import cohesive_traction
from femssb.cell.coupling import snapped
from femssb.cell.model import State
from femssb.fem.assembly import n_dofs
from femssb.run.stepping import FixedSteps
from femssb.units import MPa, um
from tests.ranks import alone_and_together

STEPS = FixedSteps(sizes=(1.0, 5.0, 10.0, 20.0))


def cell(
    comm: MPI.Comm = MPI.COMM_SELF, *, grains: int = 3, all_round: bool = False, **cohesive: float
) -> Model:
    """Return the cell of `tests.runs` with another interface, and grains that shrink all round."""
    materials = library.yuan2023.materials()
    active, law = materials.active, replace(materials.cohesive, **cohesive)  # type: ignore[arg-type]
    if all_round:
        active = replace(active, expansion_ratio=(1.0, 1.0, 1.0))
    shape = HalfCell(
        width=9 * um,
        cathode=9 * um,
        separator=3 * um,
        particles=(Polycrystal(radius=3 * um, grains=grains),),
    )
    made = replace(materials, active=active, cohesive=law)
    return Model(mesh(shape, size=2.5 * um, comm=comm), made)


def test_the_debonded_area_does_not_depend_on_the_penalty_stiffness() -> None:
    """Catches a count of damage, which says how much of an arbitrary stiffness is lost."""
    found = []
    for stiffness in (3e18, 1e19):
        charge = Charge(c_rate=2, until_duration=900.0)
        run = Simulation(cell(stiffness=stiffness), [charge], stepping=STEPS).run(progress=False)
        surface = run.snapshots[-1].interface
        corners = surface.points[surface.cells]
        area = np.linalg.norm(
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
        )
        spent = surface.cell_data["Spent fracture energy [-]"]
        mean = float(run.series["Spent fracture energy [-]"][-1])
        assert np.average(spent, weights=area) == pytest.approx(mean, rel=1e-9)
        damage = np.average(surface.cell_data["Stiffness damage [-]"], weights=area)
        found.append((float(run.series["Debonded area fraction"][-1]), mean, damage))
        law = library.yuan2023.materials().cohesive  # both modes take the same energy
        dissipated = run.series["Cohesive energy dissipated [J]"][-1] / (area.sum() / 2)
        assert mean == pytest.approx(dissipated / law.normal_fracture_energy, rel=1e-3)
    (one, spent_one, damage_one), (other, spent_other, _) = found
    assert 0.3 < one < spent_one < 0.85 < damage_one
    assert other == pytest.approx(one, abs=0.02)
    assert spent_other == pytest.approx(spent_one, abs=0.002)


def test_what_snaps_loses_the_energy_that_no_law_took() -> None:
    """Catches an energy balance that counts what is stored, or what a step skips, as lost.

    Openings are over that at onset; failure is at 20 of them. Where all of the interface goes from
    strength to nothing, bodies release half of strength times opening, and debonding takes G.
    """
    model = cell(stiffness=1e18, normal_strength=1e8, normal_fracture_energy=0.1, viscosity=0.0)
    (law,) = model.bodies.cohesive.values()
    onset, rest = law.normal_strength / law.stiffness, model.initial_state()
    assert law.failure_opening == pytest.approx(20 * onset)
    normal = np.tile([onset, 0.0, 0.0], (len(rest.jump), 1))
    at, none = partial(cohesive_traction, law, time_step=1.0), np.zeros_like(rest.damage)
    unit = model.bodies.area("interface") * law.normal_strength * onset
    for before, after, lost in (
        (0.0, 0.9, 0.0),  # intact
        (1.0, 25.0, 0.5 * 25.0 - 10.0),  # from onset to failure, in one step
        (5.0, 15.0, 0.0),  # along the falling branch
        (0.5, 12.0, 0.0),  # over the peak, which only debonding saw
        (-1.0, 0.5, 0.0),  # out of contact
    ):
        first = at(before * normal, none, none, rest.jump)
        start = replace(rest, jump=before * normal, damage=first.damage, spent=first.spent)
        second = at(after * normal, first.damage, first.spent, start.jump)
        found = snapped(model, start, after * normal, second)
        assert found == pytest.approx(lost * unit, abs=1e-9 * unit)


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("all_round", [True, False], ids=["loose", "in contact"])
def test_a_failed_particle_keeps_its_place(
    comm: MPI.Comm, all_round: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a particle that drifts, cycle by cycle or with the ranks, once nothing holds it.

    Nor may its interface, which has failed at the start, dissipate anything ever. On one rank the
    second cycle is compared with the first, on several the first with that of one rank.
    """
    at_rest = Model.initial_state

    def failed(model: Model, tolerance: float) -> State:
        start = at_rest(model, tolerance)
        everywhere = np.ones_like(start.damage)
        return replace(start, damage=everywhere, spent=everywhere)

    monkeypatch.setattr(Model, "initial_state", failed)
    protocol = [Charge(c_rate=2, until_duration=900.0), Discharge(c_rate=2, until_duration=890.0)]
    cycles = protocol * (2 if comm.size == 1 else 1)
    steps = FixedSteps(sizes=(1.0, 5.0, 20.0, 40.0))
    alone, shared = alone_and_together(
        comm,
        lambda c: Simulation(cell(c, all_round=all_round), cycles, stepping=steps).run(
            progress=False
        ),
    )
    series = shared.series
    for name in ("Viscous energy dissipated [J]", "Cohesive energy dissipated [J]"):
        assert (series[name] == 0).all(), name
    assert (series["Debonded area fraction"] == 1).all()
    for name in ("Mean gap [m]", "Maximum gap [m]", "99 % von Mises stress [Pa]"):
        values = alone.series[name][[step.end_row for step in alone.steps]]
        assert values[-2] == pytest.approx(values[0], rel=0.02), name
        there = series[name][[step.end_row for step in shared.steps]]
        allowed = 0.01 * np.abs(values).max()
        np.testing.assert_allclose(there, values, rtol=0, atol=allowed, err_msg=name)


def test_what_keeps_a_loose_particle_in_place_does_not_stress_it() -> None:
    """Catches a support with forces: a single crystal that is free must shrink without stress."""
    model = cell(grains=1, all_round=True)
    start = model.initial_state()
    failed = np.ones_like(start.damage)
    state = replace(start, damage=failed, spent=failed)
    middle = np.array([0.0, 0.0, 4.5 * um])
    for amplitude in (-0.004, -0.01):
        state = moved(model, state, amplitude, middle)
        stress = np.abs(state.hydrostatic).max()
        assert stress < 1e-6 * 0.01 * 140e9
        assert np.abs(model.traction(state)).max() < 1e-6 * 100 * MPa
        fields = model.mechanics.unknowns.expand(model.mechanical(state))
        grain = dict(zip(model.mechanics.spaces, fields, strict=True))["particle"]
        shift = grain.reshape(-1, 3).mean(axis=0)
        assert np.abs(shift).max() < 0.02 * np.abs(grain).max()  # the mesh is not symmetric
    assert model.gap(state.jump).min() > 0


def moved(model: Model, state: State, amplitude: float, middle: np.ndarray) -> State:
    """Return the next mechanical state under a uniform chemical strain; the guess is open."""
    x = model.mechanical(state)
    places = model.mechanics.spaces["particle"].tabulate_dof_coordinates()
    model.mechanics.unknowns.assign(x, 0, (amplitude * (places - middle)).ravel())
    expansion = np.full(n_dofs(model.bodies.scalars), amplitude)
    _, cohesion, jump = model.mechanics.solve(
        x,
        expansion=expansion,
        previous=state.mechanical,
        damage=state.damage,
        spent=state.spent,
        previous_jump=state.jump,
        time_step=1.0,
        tolerance=1e-10,
    )
    return replace(
        state,
        mechanical=x.array_r.copy(),
        jump=jump,
        damage=cohesion.damage,
        spent=cohesion.spent,
        hydrostatic=model.mechanics.hydrostatic_stress(x, expansion),
    )

"""Grains that crack: if these fail, a crack costs no energy, no capacity, or what it never broke.

Worth reading: `test_two_slabs`, and `test_a_crack_takes_its_energy`.
"""

from __future__ import annotations

from dataclasses import fields, replace

import femssb.environment.platform

import numpy as np
import pytest

from femssb import Charge, Simulation, library
from femssb.cell.model import Couplings, Model
from femssb.cell.surfaces import GRAIN_BOUNDARY, NO_DISTANCE, Permeation
from femssb.errors import InputError
from femssb.inputs.boundary import Fixed, Pressure
from femssb.inputs.interfaces import (
    CohesiveLaw,
    ContactResistance,
    GrainBoundaries,
    ParticleContacts,
)
from femssb.results.fields import Snapshots
from femssb.run.readout import Readout
from femssb.run.stepping import FixedSteps
from femssb.units import FARADAY, MPa, nm, um
from tests.runs import read, tiny_model
from tests.verification.half_cells import EXACT, WIDTH, constant, line, lopsided, step
from tests.verification.slabs import GRAIN, Layer, slabs
from tests.verification.stacks import stack

LENGTH = 1 * um  # of a grain
AREA = WIDTH**2
DENSITY = 10.0  # [A/m2]
WEAK = CohesiveLaw(
    normal_strength=50 * MPa,
    shear_strength=50 * MPa,
    normal_fracture_energy=0.05,
    shear_fracture_energy=0.05,
    stiffness=1e17,
    viscosity=1e13,
)


def conducting(boundaries: GrainBoundaries | None, **active):
    """Return materials whose particles conduct electrons, with such grain boundaries."""
    materials = lopsided()
    return replace(
        materials,
        active=replace(materials.active, electronic_conductivity=0.1, **active),
        ecbd=replace(materials.ecbd, electronic_conductivity=0.0),
        cohesive=replace(materials.cohesive.unbreakable, stiffness=1e18, viscosity=0.0),
        contacts=ParticleContacts(
            resistance=ContactResistance(closed=1e-4, decay_length=np.inf), collector=1e-4
        ),
        grain_boundaries=boundaries,
    )


def bicrystal(materials, *, cells=4, couplings=Couplings(), anode=Fixed()):  # noqa: B008
    """Return a column collector - grain - grain - ecbd - electrolyte."""
    data = slabs(
        [
            Layer(region=GRAIN, thickness=LENGTH, cells=cells),
            Layer(region=GRAIN, thickness=LENGTH, cells=cells),
            Layer(region="ecbd", thickness=1 * um, cells=1),
            Layer(region="electrolyte", thickness=1 * um, cells=1),
        ],
        width=WIDTH,
    )
    facets = {k.replace("collector", "particle_collector"): v for k, v in data.facets.items()}
    data = replace(data, facets=facets)
    return Model(data, materials, anode=anode, couplings=couplings, linear_solver=EXACT)


def of_grains(model, state):
    """Return the mean stoichiometry of each grain, and that on both sides of the boundary."""
    bodies, charge = model.bodies, model.electrochemistry.node_charge
    filled = model.electrochemistry.stoichiometry(model.electrochemical(state))
    grain = bodies.grain_of(bodies.domains["lithium"].cell_tags)
    means, sides = [], []
    for k, side in enumerate(("minus", "plus")):
        nodes = np.unique(bodies.scalars.dofmap.list[grain == k])
        nodes = nodes[nodes < charge.size]
        means.append(bodies.sum(charge[nodes] * filled[nodes]) / bodies.sum(charge[nodes]))
        on = bodies.trace(bodies.scalars, bodies.domains["lithium"], GRAIN_BOUNDARY, side)
        weights = bodies.points[GRAIN_BOUNDARY].weights
        sides.append(bodies.sum(weights * on(filled)) / bodies.area(GRAIN_BOUNDARY))
    return np.array(means), np.array(sides)


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("pulled", [0.0, 30 * MPa])
def test_two_slabs(pulled):
    """Would catch a boundary that leaks, blocks, doubles or forgets how far it is open.

    A current leaves the upper of two slabs for long. Both empty at the same rate s = j/2L, so half
    of it passes the boundary, of permeability P: c falls by j/2P there, and within each by
    parabolas.
    """
    permeability, decay = 2e-7, 0.2 * nm
    boundaries = GrainBoundaries(cohesive=WEAK, permeability=permeability, decay_length=decay)
    materials = conducting(boundaries)
    model = bicrystal(
        materials,
        couplings=Couplings(expansion=False, stress_drift=False),
        anode=Pressure(pressure=-pulled),
    )
    start = state = model.initial_state(1e-12)
    opened = np.full(model.bodies.points[GRAIN_BOUNDARY].weights.size, pulled / WEAK.stiffness)
    np.testing.assert_allclose(
        model.bodies.split(start.jump)[GRAIN_BOUNDARY][:, 0], opened, rtol=1e-6, atol=1e-9 * nm
    )
    for size in (5.0, 10.0, 20.0, 40.0, 80.0):
        state, _ = step(model, state, size, current=DENSITY * AREA)
    flux, diffusivity = DENSITY / FARADAY, materials.active.diffusivity[2]
    passed = 0.5 * flux / (permeability * np.exp(-pulled / WEAK.stiffness / decay))
    means, sides = of_grains(model, state)
    full = materials.active.maximum_concentration
    assert full * -np.diff(sides)[0] == pytest.approx(passed, rel=1e-2)
    within = flux * LENGTH * (1 / 6 + 1 / 4 + 1 / 12) / diffusivity
    assert full * -np.diff(means)[0] == pytest.approx(passed + within, rel=1e-2)
    left = model.electrochemistry.charge(model.stoichiometry(state))
    assert model.lithium_initial * FARADAY - left == pytest.approx(
        DENSITY * AREA * state.time, rel=1e-12
    )


def test_a_boundary_that_resists_nothing_passes_all():
    """Would catch an intact boundary that costs voltage: at most what a nanometre of crystal does.

    So too a boundary that holds: with a high stiffness it is as if bonded.
    """
    tough = replace(WEAK.unbreakable, normal_strength=1e11, normal_fracture_energy=1e5)
    found = []
    for boundaries in (None, GrainBoundaries(cohesive=replace(tough, stiffness=1e19))):
        model = bicrystal(conducting(boundaries))
        assert bool(boundaries) == (GRAIN_BOUNDARY in model.bodies.cohesive)
        state, _ = step(model, model.initial_state(1e-12), 20.0, current=DENSITY * AREA)
        found.append((state.voltage, np.ptp(model.stoichiometry(state)), np.ptp(state.pull)))
    assert found[1][0] == pytest.approx(found[0][0], abs=1e-5)
    assert found[1] == pytest.approx(found[0], rel=5 * NO_DISTANCE / LENGTH)


@pytest.mark.parametrize(
    "boundaries", [GrainBoundaries(), GrainBoundaries(cohesive=WEAK.unbreakable)]
)
def test_what_never_breaks_costs_nothing(boundaries):
    """Would catch numbers, or unknowns, that change although no boundary can break."""
    models = [bicrystal(conducting(given)) for given in (None, boundaries)]
    for name in ("electrochemistry", "mechanics"):
        one, other = (getattr(model, name).unknowns.size for model in models)
        assert one == other
    states = [step(m, m.initial_state(), 20.0, current=DENSITY * AREA)[0] for m in models]
    for name in ("electrochemical", "mechanical", "pull", "gap", "damage"):
        one, other = (getattr(state, name) for state in states)
        np.testing.assert_allclose(other, one, rtol=1e-8)


def test_a_single_crystal_does_not_crack():
    """Would catch a law without a surface: an error, or columns of cracks, where no grains meet."""
    materials = replace(lopsided(), grain_boundaries=GrainBoundaries(cohesive=WEAK))
    model = tiny_model(grains=1, materials=materials)
    assert GRAIN_BOUNDARY not in [surface.name for surface in model.bodies.surfaces]
    row = read(model, model.initial_state())
    assert "Cracked area [m2]" not in row
    assert Readout(model).snapshot(model.initial_state(), "start").cracks is None


def test_a_crack_takes_its_energy(tmp_path):
    """Would catch energy that is spent twice, or by what does not crack.

    Grains that shrink between fixed ends tear their boundary: G times its area, and no more.
    """
    shrinking = {
        "expansion": line(3e-7, 40000.0),
        "stress_free_concentration": 40000.0,
        "expansion_ratio": (0.0, 0.0, 1.0),
    }
    boundaries = GrainBoundaries(cohesive=WEAK, decay_length=0.2 * nm)
    materials = conducting(boundaries, **shrinking)
    model = bicrystal(materials, cells=2)
    state = model.initial_state()
    row = read(model, state)
    assert row["Cracked area fraction"] == 1.0
    assert row["Cracked area [m2]"] == pytest.approx(AREA, rel=1e-9)
    assert row["Crack density [1/m]"] == pytest.approx(0.5 / LENGTH, rel=1e-9)
    assert row["Spent boundary energy [-]"] == 1.0
    energy = WEAK.normal_fracture_energy * AREA
    assert row["Crack energy dissipated [J]"] == pytest.approx(energy, rel=1e-2)
    assert row["Cohesive energy dissipated [J]"] == row["Crack energy dissipated [J]"]
    assert row["Mean crack opening [m]"] == pytest.approx(6 * nm, rel=0.02)
    assert row["Debonded area fraction"] == 0.0
    snapshot = Readout(model).snapshot(state, "torn")
    snapshot.write(tmp_path)
    (again,) = Snapshots(tmp_path)
    for one in (snapshot, again):
        assert one.cracks.cell_data["Gap [m]"] == pytest.approx(6 * nm, rel=0.02)
        assert one.cracks.cell_data["Normal traction [Pa]"] == pytest.approx(0.0, abs=1.0)
        assert len(one.cracks.cells) == 2
    # nothing passes: the grain below keeps its lithium
    before, _ = of_grains(model, state)
    after, _ = of_grains(model, step(model, state, 20.0, current=DENSITY * AREA)[0])
    assert after[0] - before[0] == pytest.approx(0.0, abs=2e-2 * (before[1] - after[1]))
    assert after[1] < before[1]


def test_a_loose_grain_keeps_its_place():
    """Would catch a grain that nothing holds any more: a matrix that is singular.

    The lower grain stands on the collector, so the upper one is cut off: boundary and interface
    have failed.
    """
    materials = conducting(GrainBoundaries(cohesive=WEAK), expansion=constant(0.0))
    materials = replace(materials, cohesive=WEAK)
    model = bicrystal(materials, cells=2)
    start = model.initial_state()
    failed = replace(start, damage=np.ones_like(start.damage), spent=np.ones_like(start.spent))
    state, _ = step(model, failed, 5.0, current=DENSITY * AREA)
    assert np.abs(model.traction(state)).max() < 1e-3 * MPa
    assert np.abs(state.jump).max() < 0.01 * nm
    assert state.cohesive_dissipation == start.cohesive_dissipation


@pytest.mark.parametrize("wetting", [None, 1 * nm])
def test_energy_of_cracks_in_a_particle(wetting):
    """Would catch cracks that spend other energy than their law says, where modes mix.

    Both modes take the same energy, so what dissipates is G times the share that is spent. Where
    electrolyte enters them ledgers stay closed, and part of the current comes from their faces.
    """
    materials = library.yuan2023.materials()
    law = replace(materials.cohesive, normal_fracture_energy=0.1, shear_fracture_energy=0.1)
    law = replace(law, stiffness=1e18, viscosity=1e14)
    boundaries = GrainBoundaries(cohesive=law, wetting_opening=wetting)
    materials = replace(materials, grain_boundaries=boundaries)
    model = tiny_model(materials=materials)
    run = Simulation(
        model, [Charge(c_rate=2, until_duration=300.0)], stepping=FixedSteps(sizes=(1.0, 5.0, 10.0))
    ).run(progress=False)
    series = {name: values[-1] for name, values in run.series.items()}
    area = model.bodies.area(GRAIN_BOUNDARY)
    spent = series["Spent boundary energy [-]"]
    assert 0.1 < series["Cracked area fraction"] <= spent < 0.99
    assert series["Crack energy dissipated [J]"] == pytest.approx(0.1 * spent * area, rel=1e-2)
    assert series["Crack energy dissipated [J]"] < series["Cohesive energy dissipated [J]"]
    assert run.summary["crack_density_charge_end"] == series["Crack density [1/m]"]
    assert abs(series["Lithium ledger error [-]"]) < 1e-8
    assert np.abs(run.series["Power ledger error [-]"]).max() < 1e-6
    if wetting is None:
        assert series["Wetted crack area [m2]"] == 0.0
        assert series["Crack face current [A]"] == 0.0
    else:
        assert 0 < series["Wetted crack area [m2]"] < area
        assert 0.02 < series["Crack face current [A]"] / series["Current [A]"] < 0.8


@pytest.mark.mpi
def test_wetted_faces():
    """Would catch faces that react twice, or not, or take lithium or charge from nowhere.

    A wetted crack has parted two equal slabs. One has one face in the electrolyte, the other two,
    and they empty through these alone, evenly. With the conductance g of a face the difference d of
    their open-circuit voltages follows d' = -a (j/3g + 4d/3), a = -g U'/(F L).
    """
    slope, resistance = -2e-5, 0.05  # [V m3/mol], [ohm m2]
    boundaries = GrainBoundaries(
        cohesive=WEAK, permeability=0.0, decay_length=1 * nm, wetting_opening=0.1 * nm
    )
    changes = {"open_circuit_voltage": line(slope, 230000.0), "diffusivity": (1e-11,) * 3}
    materials = conducting(boundaries, **changes)
    materials = replace(
        materials,
        ecbd=replace(materials.ecbd, ionic_conductivity=1e3),
        active=replace(materials.active, electronic_conductivity=1e3),
        kinetics=replace(materials.kinetics, rate_constant=1e-5),
        resistance=ContactResistance(closed=resistance, decay_length=np.inf),
    )
    model = bicrystal(
        materials,
        couplings=Couplings(expansion=False, stress_drift=False),
        anode=Pressure(pressure=-30 * MPa),  # opens it by 0.3 nm
    )
    state, currents = model.initial_state(1e-12), model.currents
    full = materials.active.maximum_concentration
    assert currents.wetted_area(state.gap) == pytest.approx(AREA)
    expected, rate = 0.0, -slope / resistance / (FARADAY * LENGTH)
    for size in (2.0, 4.0, 8.0, 16.0, 32.0, 64.0):
        state, _ = step(model, state, size, current=DENSITY * AREA)
        means, _ = of_grains(model, state)
        expected -= size * rate * DENSITY * resistance / 3  # implicit Euler
        expected /= 1 + 4 * size * rate / 3
        assert slope * full * (means[0] - means[1]) == pytest.approx(expected, rel=5e-3)
        x = model.electrochemical(state)
        crack = currents.crack(x, state.gap, state.layer)
        share = (2 - expected / (DENSITY * resistance)) / 3
        assert crack == pytest.approx(share * DENSITY * AREA, rel=5e-3)
        assert state.current == pytest.approx(DENSITY * AREA, rel=1e-9)
        assert currents.anode(x) == pytest.approx(DENSITY * AREA, rel=1e-9)
        powers = currents.powers(x, state.gap, state.layer)
        total = sum(getattr(powers, one.name) for one in fields(powers))
        assert total == pytest.approx(state.voltage * state.current, rel=1e-8)
    taken = model.lithium_initial * FARADAY - model.electrochemistry.charge(
        model.stoichiometry(state)
    )
    assert taken == pytest.approx(DENSITY * AREA * state.time, rel=1e-12)


def test_wetting_needs_an_opening():
    """Would catch a boundary that is bonded for ever, and told to be wetted, without a word."""
    for law in (None, WEAK.unbreakable):
        with pytest.raises(InputError, match="wetting_opening = 1e-09 m needs a cohesive law"):
            GrainBoundaries(cohesive=law, wetting_opening=1 * nm)
    dry = Couplings(debonding=False).of(
        conducting(GrainBoundaries(cohesive=WEAK, wetting_opening=1 * nm))
    )
    assert dry.grain_boundaries.wetting_opening is None


def test_permeation_at_a_stress():
    """Would catch a wrong derivative, or a rest state that is not that of the potentials."""
    rng = np.random.default_rng(4)
    filled, pull = rng.uniform(0.001, 0.999, (40, 2)), rng.normal(0, 0.5, (40, 2))
    gap = rng.uniform(-1, 2, 40) * nm
    law = Permeation(permeability=1e-7, maximum_concentration=5e4, decay_length=1 * nm, pull=pull)
    flux, slope = law.response(filled, gap)
    assert flux[:, 1] == pytest.approx(-flux[:, 0], rel=1e-14)
    for k in (0, 1):
        moved = np.zeros(2)
        moved[k] = 1e-7
        ends = [law.response(filled + sign * moved, gap)[0] for sign in (1, -1)]
        change = (ends[0] - ends[1]) / 2e-7
        np.testing.assert_allclose(slope[:, :, k], change, rtol=1e-5, atol=1e-5 * slope.max())
    middle = np.full(40, 0.3)
    balanced = np.column_stack([middle, middle * np.exp(pull[:, 1] - pull[:, 0])])
    inside = (balanced < 0.9).all(axis=1)
    scale = FARADAY * 5e4 * 1e-7
    assert law.response(balanced, gap)[0][inside] == pytest.approx(0.0, abs=1e-14 * scale)
    assert inside.sum() > 20
    full = np.column_stack([np.full(40, 0.5), np.ones(40)])
    assert (law.response(full, gap)[0][:, 0] <= 0).all()  # nothing enters a full host


def test_triple_lines():
    """Would catch grains that stay joined along a line, or at a node, where their faces came apart.

    Four grains around a line, and a second particle on top.
    """
    names = [
        ["particle_1_grain_1", "particle_1_grain_2", "particle_1_grain_1"],
        ["particle_1_grain_3", "particle_1_grain_4", "particle_1_grain_3"],
        3 * ["particle_2"],
        3 * ["ecbd"],
        3 * ["electrolyte"],
    ]
    model = Model(stack(names), conducting(GrainBoundaries(cohesive=WEAK)), linear_solver=EXACT)
    bodies = model.bodies
    assert bodies.pieces["displacement"] == bodies.pieces["lithium"] == "grain"
    assert bodies.pieces["electronic"] == "particle"
    assert bodies.scalars.dofmap.index_map.size_global == 2 * (16 + 8) + 16
    assert model.electrochemistry.spaces["electronic"].dofmap.index_map.size_global == 24 + 16
    assert bodies.cohesive["contact"] == WEAK.unbreakable  # bonded, as was said

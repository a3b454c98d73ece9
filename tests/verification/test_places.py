"""What is given by place: surfaces that react in part, and cracks that are there at the start.

If these fail, an insulated face carries current, or a crack that was prescribed holds.
Worth reading: `test_what_is_spent_is_lost`.
"""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb import InputError
from femssb.cell.model import Couplings, Model
from femssb.cell.surfaces import GRAIN_BOUNDARY
from femssb.inputs.boundary import Displacement, Fixed, Pressure
from femssb.inputs.interfaces import (
    CohesiveLaw,
    ContactResistance,
    GrainBoundaries,
    ParticleContacts,
)
from femssb.meshing import MeshData
from femssb.units import MPa, nm, um
from tests.verification.half_cells import EXACT, WIDTH, face_collector, laminate, lopsided, step
from tests.verification.slabs import GRAIN, Layer, slabs

AREA = WIDTH**2
ALONE = Couplings(expansion=False, stress_drift=False, gap_resistance=False, debonding=False)
WEAK = CohesiveLaw(
    normal_strength=50 * MPa,
    shear_strength=50 * MPa,
    normal_fracture_energy=0.5,
    shear_fracture_energy=0.5,
    stiffness=1e17,
)


def charged(data: MeshData, materials=None, **arguments):
    """Return the model, and its state after a second of charge at 10 A/m2 of the section."""
    model = laminate(data, materials or lopsided(), couplings=ALONE, **arguments)
    return model, step(model, model.initial_state(), 1.0, current=10.0 * AREA)[0]


def right(points: np.ndarray) -> np.ndarray:
    """Return 1 on the right half, 0 elsewhere."""
    return (points[:, 0] > 0.0).astype(float)


@pytest.mark.mpi(ranks=2)
def test_half_the_anode_is_half_its_exchange_current():
    """Area and current density must change together."""
    data = face_collector()
    materials = lopsided()
    half = replace(
        materials,
        anode=replace(materials.anode, exchange_current=0.5 * materials.anode.exchange_current),
    )
    whole = charged(data)[1].voltage
    covered = charged(data, coverage={"anode": 0.5})[1].voltage
    assert abs(whole - covered) > 1e-3
    assert covered == pytest.approx(charged(data, half)[1].voltage, abs=1e-9)


@pytest.mark.mpi(ranks=2)
def test_half_the_interface_passes_all_the_current():
    """The current density where it reacts, and the drop there, are twice as high."""
    data = face_collector()
    model, state = charged(data, coverage={"interface": 0.5})
    assert state.current == pytest.approx(10.0 * AREA, rel=1e-9)
    found = model.interface_current(state)
    resistance = model.materials.resistance.closed
    np.testing.assert_allclose(found.current, 20.0, rtol=1e-6)
    np.testing.assert_allclose(found.drop, 20.0 * resistance, rtol=1e-6)
    _, before = charged(data)
    lithium = [model.electrochemistry.charge(model.stoichiometry(each)) for each in (state, before)]
    assert lithium[0] == pytest.approx(lithium[1], rel=1e-12)


@pytest.mark.mpi(ranks=2)
def test_where_it_is_insulated_nothing_passes():
    """A function of place: the insulated half carries nothing, the other one all."""
    model, state = charged(face_collector(cells=4), coverage={"interface": right})
    found = model.interface_current(state).current
    points = model.bodies.points["interface"]
    open_here = right(points.points) > 0
    assert np.abs(found[~open_here]).max(initial=0.0) == 0.0
    passed = model.bodies.sum(points.weights * found)
    assert passed == pytest.approx(10.0 * AREA, rel=1e-9)
    assert model.inputs()["coverage"]["interface"]["moments"][0] == pytest.approx(0.375)


def bicrystal(anode, comm: MPI.Intracomm = MPI.COMM_WORLD, **arguments) -> Model:
    """Return a column collector - grain - grain - ecbd of weak grain boundaries."""
    data = slabs(
        [
            Layer(region=GRAIN, thickness=1 * um, cells=1),
            Layer(region=GRAIN, thickness=1 * um, cells=1),
            Layer(region="ecbd", thickness=1 * um, cells=1),
        ],
        width=WIDTH,
        cells=2,
        comm=comm,
    )
    facets = {k.replace("collector", "particle_collector"): v for k, v in data.facets.items()}
    materials = lopsided()
    materials = replace(
        materials,
        active=replace(materials.active, electronic_conductivity=0.1),
        ecbd=replace(materials.ecbd, electronic_conductivity=0.0),
        cohesive=replace(materials.cohesive.unbreakable, stiffness=1e20, viscosity=0.0),
        contacts=ParticleContacts(
            resistance=ContactResistance(closed=1e-4, decay_length=np.inf), collector=1e-4
        ),
        grain_boundaries=GrainBoundaries(cohesive=WEAK),
    )
    return Model(
        replace(data, facets=facets), materials, anode=anode, linear_solver=EXACT, **arguments
    )


@pytest.mark.mpi(ranks=2)
def test_what_is_spent_is_lost():
    """Half of the energy spent halves the strength, and the stiffness is that of unloading."""
    pull = 0.9 * 0.5 * 50 * MPa
    model = bicrystal(Pressure(pressure=-pull), damage={GRAIN_BOUNDARY: 0.5})
    state = model.initial_state(tolerance=1e-10)
    bodies = model.bodies
    opening = bodies.split(state.jump[:, 0])[GRAIN_BOUNDARY]
    onset, failure = 50 * MPa / WEAK.stiffness, 2 * 0.5 / (50 * MPa)
    reached = 0.5 * (onset + failure)  # the largest opening that there has been
    np.testing.assert_allclose(opening, 0.9 * reached, rtol=1e-6)
    np.testing.assert_allclose(bodies.split(state.spent)[GRAIN_BOUNDARY], 0.5, rtol=1e-12)
    assert state.crack_dissipation == 0.0
    beyond = bicrystal(Displacement(z=1.2 * reached), damage={GRAIN_BOUNDARY: 0.5})
    state = beyond.initial_state()
    for held, most in ((state.spent, 1.0), (beyond.traction(state)[:, 0] / (50 * MPa), 0.5)):
        at = beyond.bodies.split(held)[GRAIN_BOUNDARY]
        assert (at < most).all()
        assert (at + beyond.bodies.split(state.spent)[GRAIN_BOUNDARY] > 1.0 - 1e-6).all()


@pytest.mark.mpi(ranks=2)
def test_a_prescribed_crack_opens_and_bears_pressure():
    """A crack over half of the boundary: nothing pulls there, and pressure passes all over."""
    model = bicrystal(Displacement(z=0.1 * nm), damage={GRAIN_BOUNDARY: right})
    state = model.initial_state()
    points = model.bodies.points[GRAIN_BOUNDARY].points
    cracked = right(points) > 0
    traction = model.bodies.split(model.traction(state)[:, 0])[GRAIN_BOUNDARY]
    assert np.abs(traction[cracked]).max(initial=0.0) == 0.0
    assert traction[~cracked].min(initial=np.inf) > 1 * MPa
    pressed = bicrystal(Pressure(pressure=10 * MPa), damage={GRAIN_BOUNDARY: right})
    traction = pressed.traction(pressed.initial_state(tolerance=1e-10))[:, 0]
    np.testing.assert_allclose(traction, -10 * MPa, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"coverage": {"collectr": 0.5}}, "coverage names 'collectr'"),
        ({"coverage": {"interface": 1.5}}, r"must lie in \[0, 1\]"),
        ({"coverage": {"interface": lambda x: x}}, "a number for each"),
        ({"coverage": {"interface": lambda x: 1 / 0}}, "fails on points"),
        ({"damage": {"anode": 1.0}}, "damage names 'anode'"),
        ({"damage": {"interface": 0.5}}, "must be 0 or 1"),
        ({"damage": {GRAIN_BOUNDARY: "all"}}, "a number for each"),
        ({"damage": 3}, "not a Mapping"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, words):
    """A misspelt surface would be left as it is, silently."""
    with pytest.raises(InputError, match=words):
        bicrystal(Fixed(), MPI.COMM_SELF, **arguments)

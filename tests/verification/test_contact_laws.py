"""The contact laws against closed forms, first on arrays, then in LAMMPS.

If these fail every pressed electrode is wrong: its thickness, its contacts and its stresses. The
tests worth reading are those of two spheres: `test_two_spheres_of_unlike_materials` and
`test_yield_and_restitution`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from femssb.inputs.elasticity import Elasticity
from femssb.inputs.materials import Solid
from femssb.packing import Packing
from femssb.particles.lammps.engine import Engine
from femssb.particles.laws import (
    ElasticPlastic,
    HertzMindlin,
    effective_moduli,
    hertz_force,
    hertz_stiffness,
    pair_yield_pressures,
    plane_moduli,
    plastic_force,
    yield_pressure,
)
from femssb.units import GPa, MPa, um

HARD = Solid(
    name="hard", density=4700.0, elasticity=Elasticity(young_modulus=140 * GPa, poisson_ratio=0.3)
)
SOFT = Solid(
    name="soft",
    density=1640.0,
    elasticity=Elasticity(young_modulus=20 * GPa, poisson_ratio=0.37),
    yield_strength=0.3 * GPa,
)
SOLIDS = {"AM": HARD, "SE": SOFT}
LAWS = [
    HertzMindlin(solids=SOLIDS),
    ElasticPlastic(solids=SOLIDS, yield_pressures={}),
    ElasticPlastic(solids=SOLIDS, yield_pressures={"SE": 1 * GPa}),
]


def stack(*, overlap: float, radii: tuple[float, float] = (3.0, 2.0)) -> Packing:
    """Return a hard sphere below a soft one between planes, each contact with one overlap [um]."""
    low = radii[0] - overlap
    high = low + sum(radii) - overlap
    return Packing(
        positions=np.array([[8, 8, low], [8, 8, high]]) * um,
        radii=np.array(radii) * um,
        phases=[0, 1],
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.array([16, 16, high + radii[1] - overlap]) * um,
        periodic=(True, True, False),
    )


def expected(law, packing: Packing, overlap: float) -> list[float]:
    """Return the forces plane-hard, hard-soft and soft-plane by the laws on arrays [N]."""
    names = packing.phase_names
    moduli = [
        plane_moduli(law, names)[0],
        effective_moduli(law, names)[0, 1],
        plane_moduli(law, names)[1],
    ]
    own, other = packing.radii
    radii = [own, own * other / (own + other), other]
    limits = [np.inf] * 3
    if isinstance(law, ElasticPlastic):
        table = pair_yield_pressures(law, names)
        limits = [table[0, 0], table[0, 1], table[1, 1]]
    return [
        float(plastic_force(m, r, limit, overlap, overlap)[0])
        for m, r, limit in zip(moduli, radii, limits, strict=True)
    ]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("overlap", [0.001, 0.2])
def test_two_spheres_of_unlike_materials(law, overlap):
    """Would catch a wrong mixing of moduli, a soft plane, a unit, or the harder body yielding."""
    packing = stack(overlap=overlap)
    with Engine(packing, law) as engine:
        contacts = engine.contacts()
    forces = np.linalg.norm(contacts.forces, axis=1)
    np.testing.assert_array_equal(contacts.first, [0, 0, 1])
    np.testing.assert_array_equal(contacts.second, [-1, 1, -1])
    np.testing.assert_allclose(forces, expected(law, packing, overlap * um), rtol=1e-12)
    assert contacts.forces[0, 2] > 0 > contacts.forces[1, 2]


def test_hertz_on_arrays():
    """Would catch a stiffness that is not the slope of the force, or E* of one body only."""
    law = LAWS[0]
    assert effective_moduli(law, ("AM", "SE"))[0, 1] == pytest.approx(
        1 / ((1 - 0.09) / 140e9 + (1 - 0.37**2) / 20e9), rel=1e-14
    )
    overlap = np.array([0.1, 0.3]) * um
    step = 1e-6 * um
    slope = (hertz_force(2e10, 2 * um, overlap + step) - hertz_force(2e10, 2 * um, overlap)) / step
    np.testing.assert_allclose(hertz_stiffness(2e10, 2 * um, overlap), slope, rtol=1e-4)
    assert np.all(hertz_force(2e10, 2 * um, -overlap) == 0)


def test_tabor():
    """Would catch a yield strength taken for a hardness: contacts would be three times too soft."""
    assert yield_pressure(SOFT) == pytest.approx(0.84 * GPa)


def test_yield_and_restitution():
    """Would catch an unloading curve with the wrong dent: restitution after yield is known.

    Work done on loading and given back on unloading make the restitution of Thornton (1997),
    e^2 = (6 sqrt(3)/5) (1 - (Vy/V)^2/6) ((Vy/V)/((Vy/V) + 2 sqrt(6/5 - (Vy/V)^2/5)))^(1/2).
    """
    modulus, radius, limit = 17 * GPa, 1.2 * um, 1 * GPa
    start = (np.pi * limit / (2 * modulus)) ** 2 * radius
    at_start = 2 / 5 * hertz_force(modulus, radius, start) * start  # energy at yield
    for largest in start * np.array([1.0 + 1e-6, 3.0, 30.0]):
        overlap = np.linspace(0, largest, 200_001)
        loading, _ = plastic_force(modulus, radius, limit, overlap, overlap)
        unloading, _ = plastic_force(modulus, radius, limit, overlap, largest)
        work, given = np.trapezoid(loading, overlap), np.trapezoid(unloading, overlap)
        ratio = np.sqrt(at_start / work)
        closed = (6 * np.sqrt(3) / 5) * (1 - ratio**2 / 6)
        closed *= np.sqrt(ratio / (ratio + 2 * np.sqrt(6 / 5 - ratio**2 / 5)))
        assert given / work == pytest.approx(closed, rel=2e-4)


def test_plastic_path_in_lammps():
    """Would catch memory that is lost between runs, and unloading along the loading curve."""
    law = LAWS[2]
    gap = 0.002 * um  # a step of the plane
    packing = stack(overlap=1e-4)
    found, asked = [], []
    largest = np.zeros(3)
    names = packing.phase_names
    table = pair_yield_pressures(law, names)
    moduli = np.array(
        [
            plane_moduli(law, names)[0],
            effective_moduli(law, names)[0, 1],
            plane_moduli(law, names)[1],
        ]
    )
    own, other = packing.radii
    radii = np.array([own, own * other / (own + other), other])
    limits = np.array([table[0, 0], table[0, 1], table[1, 1]])
    with Engine(packing, law) as engine:
        for way in [-1] * 60 + [1] * 6 + [-1] * 40:
            velocities = np.zeros((3, 2))
            velocities[2, 1] = way * gap / 200
            engine.move_planes(velocities)
            engine.run(200)
            contacts = engine.contacts()
            reach = np.array([own, own + other, other])
            overlap = reach - np.linalg.norm(contacts.branches, axis=1)
            largest = np.maximum(largest, contacts.memory[:, 0])
            np.testing.assert_allclose(contacts.memory[:, 0], largest)
            found.append(np.linalg.norm(contacts.forces, axis=1))
            asked.append(plastic_force(moduli, radii, limits, overlap, largest)[0])
            engine.rescale_masses(engine.balance())
            engine.run(1)
    found, asked = np.array(found), np.array(asked)
    assert largest[1] > 0.03 * um
    # The dashpot adds to the force while the plane moves, but little.
    np.testing.assert_allclose(found, asked, atol=2e-2 * asked.max())


@pytest.mark.parametrize("law", LAWS[:2])
@pytest.mark.parametrize("restitution", [0.3, 0.8])
def test_head_on_restitution(law, restitution):
    """Would catch a dashpot that does not give the restitution that was asked for."""
    law = replace(law, restitution=restitution)
    packing = Packing(
        positions=np.array([[5, 8, 8], [10.0003, 8, 8]]) * um,
        radii=np.array([3.0, 2.0]) * um,
        phases=[0, 1],
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.full(3, 16) * um,
        periodic=(True, True, False),
    )
    with Engine(packing, law) as engine:
        lammps = engine._lammps
        lammps.command("unfix damping")  # that of the press, not of the contact
        reduced = 1 / np.sum(1 / engine.masses)  # [N/m step2]
        modulus, radius, deep = effective_moduli(law, ("AM", "SE"))[0, 1], 1.2 * um, 1e-6 * um
        speed = np.sqrt(16 / 15 * modulus * np.sqrt(radius) * deep**2.5 / reduced)
        velocity = lammps.numpy.extract_atom("v")
        velocity[0, 0], velocity[1, 0] = speed / um, -speed / um
        engine.run(int(0.001 * um / speed))
        velocity = np.array(lammps.numpy.extract_atom("v"))[:2, 0] * um
    assert (velocity[1] - velocity[0]) / (2 * speed) == pytest.approx(restitution, rel=0.01)


@pytest.mark.parametrize("law", LAWS[:2])
@pytest.mark.parametrize("phases", [(0, 0), (1, 1), (0, 1)])
def test_tangential_stiffness(law, phases):
    """Would catch shear moduli mixed wrongly: LAMMPS's own mixing gives unlike spheres half.

    Mindlin 1949, doi 10.1115/1.4009973: 8 G* a, with 1/G* the sum of (2 - nu)/G of both spheres.
    """
    law = replace(law, friction=10.0, restitution=0.999999)
    overlap = 0.02 * um
    packing = Packing(
        positions=np.array([[5 * um, 8 * um, 8 * um], [10 * um - overlap, 8 * um, 8 * um]]),
        radii=np.array([3.0, 2.0]) * um,
        phases=phases,
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.full(3, 16) * um,
        periodic=(True, True, False),
    )
    with Engine(packing, law) as engine:
        engine._lammps.command("unfix damping")
        engine._local("rmass")[:] *= 1e12  # forces shall not move what slides past
        engine._local("v")[1, 1] = 1e-6  # [um per step]
        engine.run(1000)
        engine._local("v")[:] = 0.0
        engine.run(1)
        contacts = engine.contacts()
        slip = engine.positions()[1, 1] - packing.positions[1, 1]
    direction = contacts.branches[0] / np.linalg.norm(contacts.branches[0])
    tangential = contacts.forces[0] - contacts.forces[0] @ direction * direction
    compliance = 0.0
    for phase in phases:
        known = SOLIDS[packing.phase_names[phase]].elasticity
        poisson = known.poisson_ratio
        compliance += 2 * (1 + poisson) * (2 - poisson) / known.young_modulus
    expected = 8 / compliance * np.sqrt(1.2 * um * overlap) * slip
    assert np.linalg.norm(tangential) == pytest.approx(expected, rel=1e-4)


def test_adhesion_pulls():
    """Would catch adhesion that pushes, or that does not grow with the dent."""
    law = replace(LAWS[2], adhesion=0.5)
    packing = stack(overlap=0.2)
    with Engine(packing, law) as engine:
        sticky = engine.contacts().forces[1, 2]
    with Engine(packing, LAWS[2]) as engine:
        dry = engine.contacts().forces[1, 2]
    own, other = packing.radii
    effective = own * other / (own + other)
    _, dent = plastic_force(
        effective_moduli(law, packing.phase_names)[0, 1], effective, 1 * GPa, 0.2 * um, 0.2 * um
    )
    assert dent > 1.5 * effective
    assert sticky - dry == pytest.approx(2 * np.pi * 0.5 * dent, rel=1e-9)  # less push on the lower


def test_pressures_of_planes():
    """Would catch the force of one plane read as that of the other, or over a wrong area."""
    for law in LAWS:
        packing = stack(overlap=0.1)
        with Engine(packing, law) as engine:
            pressures = engine.pressures()
        forces = expected(law, packing, 0.1 * um)
        np.testing.assert_allclose(
            pressures[2], [forces[0] / (16 * um) ** 2, forces[2] / (16 * um) ** 2], rtol=1e-12
        )
        np.testing.assert_array_equal(pressures[:2], 0)
        assert pressures[2, 0] > 1 * MPa

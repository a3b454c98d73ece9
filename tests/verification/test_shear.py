"""Shear of beads: stress by hand, the box that tilts, and what masses and forces may be scaled by.

If these fail, viscosities are wrong by a sign, a factor or an artefact of the box. The tests worth
reading are `test_stress_of_two_beads_is_that_of_the_closed_form` and
`test_stress_over_epsilon_is_one_function_of_rate_gamma_over_epsilon`.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from mpi4py import MPI

import numpy as np
import pytest

from femssb.errors import InputError, NotConverged
from femssb.inputs.beads import ForceField, lennard_jones
from femssb.library import CBD, LI6PS5CL, NCM622, alabdali2023
from femssb.packing import Component, Formulation, ListedSizes, Packing, disperse
from femssb.particles import Shear, flow_curve, process
from femssb.particles.lammps.beads import BeadEngine
from femssb.particles.lammps.flow import Flow, Stress
from femssb.particles.plateau import plateau
from femssb.particles.shear import _Run
from femssb.units import um

SOLIDS = {"AM": (NCM622, 3.5 * um), "SE": (LI6PS5CL, 3 * um), "CBD": (CBD, 2 * um)}
FORMULATION = Formulation(
    components=tuple(
        Component(name=name, solid=solid, share=share, sizes=ListedSizes(diameters=(diameter,)))
        for (name, (solid, diameter)), share in zip(SOLIDS.items(), (0.5, 0.4, 0.1), strict=True)
    ),
    solvent=alabdali2023.P_XYLENE,
    solid_content=0.7,
    swelling=1.5,
    beads=64,
)
RUBBING = replace(alabdali2023.SLURRY, stiffness=1e4, friction=0.5)


@pytest.fixture(scope="module")
def slurry():
    """Beads in a cube that they overfill, so that they press and flow."""
    start = disperse(FORMULATION, seed=1)
    edge = np.cbrt(start.volumes.sum())
    with BeadEngine(start, alabdali2023.SLURRY, MPI.COMM_SELF, drag=0.0134) as engine:
        engine.resize([edge] * 3, 2000)
        engine.run(1000)
        return engine.packing()


@pytest.mark.mpi
def test_slurries_flow_alike_on_several_ranks(slurry, comm):
    """Would catch stress that counts pairs across ranks twice, or a box that ranks disagree on."""
    found = {}
    for name, ranks in (("one", MPI.COMM_SELF), ("all", comm)):
        with BeadEngine(slurry, RUBBING, ranks, sheared=True) as engine:
            flow = Flow(engine, 2e4)
            seen = flow.run(100 * engine.time_step * 2e4)
            found[name] = [seen.shear, seen.pressure, engine.tilt()], engine.positions()
        with BeadEngine(slurry, alabdali2023.SLURRY, ranks, drag=0.01) as engine:
            engine.follow_pressure(1e5, modulus=1e6, period=200 * engine.limit)
            engine.run(100)
            found[name][0].extend([engine.pressure(), engine.volume() / um**3])
    assert found["all"][0] == pytest.approx(found["one"][0], rel=1e-6)
    np.testing.assert_allclose(found["all"][1], found["one"][1], rtol=0, atol=1e-6 * um)
    assert len(set(comm.allgather((*found["all"][0], found["all"][1].tobytes())))) == 1


def test_stress_of_two_beads_is_that_of_the_closed_form():
    """Would catch a wrong sign or unit, and contacts or dashpots that are not in the stress.

    Both beads move with the flow, and turn with half of its rate; with a branch r from the first to
    the second and the force f on the second, the stress is -r f / V, tension positive.
    """
    forces = replace(alabdali2023.SLURRY, friction=100.0, tangential_stiffness=1e-6)
    rate = 2e4
    radius, branch = 3.75 * um, np.array([4.0, 5.2, 1.0]) * um
    mass = 1500 * 4 / 3 * np.pi * radius**3
    packing = Packing(
        positions=np.array([30 * um - branch / 2, 30 * um + branch / 2]),
        radii=[radius] * 2,
        phases=[0, 0],
        phase_names=("CBD",),
        lower=np.zeros(3),
        upper=np.full(3, 60 * um),
        periodic=(True, True, True),
        masses=[mass] * 2,
    )
    distance = np.linalg.norm(branch)
    normal = branch / distance
    epsilon, sigma, cutoff = (
        table[0, 1] for table in forces.pairs(("CBD", "CBD"), 2 * packing.radii)
    )
    overlap = 2 * radius - distance
    root = np.sqrt(overlap * radius / 2)
    velocity = np.array([rate * branch[1], 0, 0])
    along = (velocity @ normal) * normal
    spins = np.array([0, 0, -rate / 2])
    sliding = velocity - along - np.cross(spins, 2 * radius * normal)
    push = lennard_jones(np.array(distance), epsilon, sigma, cutoff)
    push = push + forces.stiffness * overlap * root
    dashpot = forces.damping * mass / 2 * root
    force = push * normal - dashpot * (along + forces.tangential_damping * sliding)
    expected = -np.outer(branch, force) / (60 * um) ** 3
    with BeadEngine(
        packing, forces, MPI.COMM_SELF, time_step=1e-13, mass_scaling=1e4, sheared=True
    ) as engine:
        found = Flow(engine, rate).run(1e-8)
    np.testing.assert_allclose(found.pairs[:3], np.diag(expected), rtol=1e-3)
    assert found.pairs[3] == pytest.approx(expected[0, 1], rel=1e-3)
    assert expected[0, 1] > 0
    # Of the beads' motion, the mean flow is no part.
    assert np.abs(found.motion).max() < 1e-3 * abs(expected[0, 1])


def sheared(packing, forces, strains, *, rate=1e5, scaling=1.0, flips=True, forget=None):
    """Return the stress after each of some strains, shape (n,) [Pa]."""
    seen = []
    with BeadEngine(packing, forces, MPI.COMM_SELF, mass_scaling=scaling, sheared=True) as engine:
        flow = Flow(engine, rate)
        if not flips:
            engine.hold_box()
            engine.command(
                f"fix box all deform 1 xy erate {rate * 1e-6:.17g} remap v flip no units box"
            )
        for number, strain in enumerate(strains):
            if number == forget:
                flow.scale_masses(scaling, engine.time_step / engine.limit)
            seen.append(flow.run(strain).shear)
    return np.array(seen)


def test_nothing_changes_where_the_box_flips(slurry):
    """Would catch contacts that forget their springs, or velocities that jump, at a tilt of 1/2."""
    strains = [0.04] * 15
    found = sheared(slurry, RUBBING, strains)
    reference = sheared(slurry, RUBBING, strains, flips=False)
    np.testing.assert_allclose(found[:14], reference[:14], rtol=1e-3)
    # Springs that are lost would show.
    forgot = sheared(slurry, RUBBING, strains, forget=12)
    assert abs(forgot[12] / found[12] - 1) > 5e-3


def test_stress_over_epsilon_is_one_function_of_rate_gamma_over_epsilon(slurry):
    """Would catch a force that does not scale with the others, to 1e-3.

    With masses times gamma^2 / epsilon the motion is the same, gamma / epsilon times as slow.
    """
    epsilon, gamma = 0.01, 0.3
    forces = alabdali2023.SLURRY
    other = forces.scaled(depth=epsilon, stiffness=epsilon, damping=gamma)
    strains = [0.1] * 4
    found = sheared(slurry, forces, strains)
    slow = sheared(slurry, other, strains, rate=1e5 * epsilon / gamma, scaling=gamma**2 / epsilon)
    np.testing.assert_allclose(slow / epsilon, found, rtol=1e-3)
    assert found.mean() > 0


def test_a_point_is_measured_and_its_packing_goes_on(slurry):
    """Would catch a packing whose box is not the one in which its beads were left."""
    stage = Shear(rate=1e5, inertia=0.3)
    forces = ForceField(slurry=alabdali2023.SLURRY, dried=alabdali2023.DRIED)
    packing = process(slurry, stage, FORMULATION, forces, progress=False)[-1]
    (point,) = flow_curve(packing).points
    assert point.rate == 1e5
    assert point.strain >= 2
    assert point.error <= 0.05 * point.stress
    assert 0 < point.viscosity < 100
    assert point.pressure > 0
    assert 0 < point.inertia <= 0.3 or point.mass_scaling == 1
    assert abs(point.motion) < 0.05
    with BeadEngine(packing, alabdali2023.SLURRY, MPI.COMM_SELF) as engine:
        assert engine.pressure() == pytest.approx(point.pressure, rel=0.25)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (Shear(rate=10, most_steps=1000), "rate = 10 1/s cannot be reached"),
        (Shear(rate=10, mass_scaling=1.0), "scale the masses or shear faster"),
        (Shear(rate=1e5, time_step=1e-12, mass_scaling=1.0), "cannot be reached"),
    ],
)
def test_rates_that_take_too_many_steps_are_refused(slurry, stage, said):
    """Would catch hours of work that end without a viscosity."""
    with pytest.raises(InputError, match=said):
        process(slurry, stage, FORMULATION, alabdali2023.H1, progress=False)


def test_too_much_inertia_is_refused(slurry):
    """Would catch a viscosity that is made of the momentum of heavy beads."""
    stage = Shear(rate=1e5, mass_scaling=10.0, inertia=0.02, most_steps=20_000)
    with pytest.raises(NotConverged, match="inertia number"):
        process(slurry, stage, FORMULATION, alabdali2023.H1, progress=False)


def test_fast_shears_begin_with_masses_that_suit(slurry):
    """Would catch true masses at 1e7 /s: a step of .03 of strain, in which beads were lost."""
    stage = Shear(rate=1e7, lightest=1e-6, most_steps=16_000)
    with pytest.raises(InputError, match="for the masses"):
        process(slurry, stage, FORMULATION, alabdali2023.H1, progress=False)


def _sheared(stresses, strain):
    """Return a run of a shear that has seen these stresses, each over some strain."""
    run = object.__new__(_Run)
    run._stage, run._start = Shear(rate=1.0), 1.0
    run._blocks = [
        Stress(strain=strain, pairs=np.array([0.0, 0.0, 0.0, stress]), motion=np.zeros(4))
        for stress in stresses
    ]
    run._start_later()
    return run


def test_a_flow_that_is_steady_late_is_averaged_late():
    """Would catch a start that is averaged for ever: it is left out, not much else is."""
    noise = np.random.default_rng(1).normal(0.0, 0.1, 400)
    run = _sheared(5.0 + noise + np.where(np.arange(400) < 120, 2.0, 0.0), strain=0.025)
    assert 2.9 <= run._start <= 5.0  # the step ends at 4
    known = plateau(run._stresses(), discard=0.0)
    assert known.mean == pytest.approx(5.0, abs=2 * known.error)
    assert run._start + run.strain == pytest.approx(11.0)


def test_a_flow_that_is_steady_is_averaged_whole():
    """Would catch strain that was paid for and thrown away, as a small error by chance does."""
    counted = [
        _sheared(np.random.default_rng(seed).normal(5.0, 0.1, 400), strain=0.025).strain
        for seed in range(20)
    ]
    assert np.median(counted) == pytest.approx(10.0)
    assert min(counted) >= 5.0


def test_what_counts_is_never_less_than_asked_for():
    """Would catch a steep start that leaves a point less than a strain of two, or than half."""
    assert _sheared(np.linspace(9.0, 1.0, 90), strain=0.025).strain >= 2.0
    run = _sheared(np.linspace(9.0, 1.0, 400), strain=0.025)
    assert run._start <= run.strain


def test_masses_follow_the_stress_of_the_start():
    """Would catch a trial in which beads stick: masses a fifth of what the flow allows."""
    run = object.__new__(_Run)
    run._stage, run._engine = Shear(rate=1.0), SimpleNamespace(mass_scaling=12.0)
    block = Stress(strain=0.25, pairs=np.array([0.0, 0.0, 0.0, 5.0]), motion=np.zeros(4))
    sheared, scaled = [], []

    def advance():
        sheared.append(run._engine.mass_scaling)
        return block

    def scale(factor):
        scaled.append(factor)
        run._engine.mass_scaling = factor

    run._advance, run._scale, run._largest = advance, scale, lambda stress: 11.0 * stress
    run._begin()
    assert scaled == [55.0]
    assert run._start == 1.0
    assert sheared == [12.0] * 4 + [55.0] * 4


def test_a_flow_that_is_steady_late_is_doubted():
    """Would catch a point that another arrangement gives twice as large, without a word."""
    run = object.__new__(_Run)
    run._stage = Shear(rate=100.0)
    found = SimpleNamespace(rate=100.0, inertia=0.05, start=1.5, viscosity_error=1.2)
    assert run.warnings(found) == []
    found.start = 3.5
    (said,) = run.warnings(found)
    assert "not steady before a strain of 3.5" in said
    assert "1.2 Pa s" in said


@pytest.mark.parametrize("bad", [{"strain": 1.5}, {"tolerance": 0.2}, {"start": 0.2}])
def test_a_viscosity_without_its_due_is_refused(bad):
    """Would catch less strain or a larger error than a point may have."""
    with pytest.raises(InputError, match=next(iter(bad))):
        Shear(rate=100, **bad)


@pytest.mark.slow
def test_masses_change_no_viscosity(slurry):
    """Would catch scaled masses that resist the flow: times 1 and 100 agree at 1000 /s."""
    points = []
    for scaling in (1.0, 100.0):
        stage = Shear(rate=1e3, mass_scaling=scaling, most_steps=10_000_000)
        packing = process(slurry, stage, FORMULATION, alabdali2023.H1, progress=False)[-1]
        points += flow_curve(packing).points
    one, other = points
    allowed = 2 * np.hypot(one.error, other.error)
    assert abs(one.stress - other.stress) < allowed
    assert allowed < 0.15 * one.stress

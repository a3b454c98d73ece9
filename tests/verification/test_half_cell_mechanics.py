"""Mechanics of `Model`: if this fails, the half-cell is loaded, held or debonded wrongly.

Worth reading: the stack of slabs, whose opening, contact and softening have a closed form in mode
I, in shear and in compression; and the half-cell whose stiff interface must not be felt.
"""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb import tensors
from femssb.cell import mechanics
from femssb.cell.model import Couplings, Model
from femssb.cell.regions import MATRIX
from femssb.cell.surfaces import INTERFACE
from femssb.errors import InputError
from femssb.fem.assembly import Operator, n_dofs
from femssb.fem.linear_solver import LinearSolver
from femssb.inputs.boundary import Fixed, Free, Pressure
from femssb.inputs.elasticity import Elasticity
from femssb.inputs.geometry import HalfCell, Polycrystal
from femssb.library import yuan2023
from femssb.meshing import mesh
from femssb.units import GPa, MPa, nm, um
from tests.runs import read
from tests.verification.bars import BRITTLE, FAILURE, ONSET
from tests.verification.slabs import Layer, slabs
from tests.verification.solids import Solid

ECBD, GRAIN = (
    Elasticity(young_modulus=60 * GPa, poisson_ratio=0.2),
    Elasticity(young_modulus=140 * GPa, poisson_ratio=0.3),
)
THIN, THICK, WIDTH = 0.5 * um, 4 * um, 2 * um
AREA = WIDTH**2


def materials(*, ratio=(1.0, 1.0, 1.0), cohesive=BRITTLE):
    base = yuan2023.materials()
    return replace(
        base,
        active=replace(base.active, elasticity=GRAIN, expansion_ratio=ratio),
        ecbd=replace(base.ecbd, elasticity=ECBD),
        cohesive=cohesive,
    )


def stack(comm, *, ratio=(1.0, 1.0, 1.0), turn=None, cohesive=BRITTLE, **arguments):
    """Return the model of a grain between two thin slabs of ecbd, with periodic sides."""
    data = slabs(
        [
            Layer(region="ecbd", thickness=THIN, cells=1),
            Layer(region="grain", thickness=THICK, cells=3),
            Layer(region="ecbd", thickness=THIN, cells=1),
        ],
        width=WIDTH,
        cells=2,
        orientations=None if turn is None else turn[None],
        comm=comm,
    )
    return Model(data, materials(ratio=ratio, cohesive=cohesive), **arguments)


def solved(model, amplitude, state=None, *, time_step=1.0):
    """Return the unknowns and the next state of a model with a uniform chemical strain."""
    state = state or model.initial_state()
    x = model.mechanical(state)
    expansion = np.full(n_dofs(model.bodies.scalars), amplitude)
    _, cohesion, jump = model.mechanics.solve(
        x,
        expansion=expansion,
        previous=state.mechanical,
        damage=state.damage,
        spent=state.spent,
        previous_jump=state.jump,
        time_step=time_step,
        tolerance=1e-11,
    )
    state = replace(
        state,
        mechanical=x.array_r.copy(),
        jump=jump,
        damage=cohesion.damage,
        spent=cohesion.spent,
        hydrostatic=model.mechanics.hydrostatic_stress(x, expansion),
        cohesive_dissipation=state.cohesive_dissipation
        + model.bodies.sum(model.bodies.points[INTERFACE].weights * cohesion.dissipated),
    )
    return x, state


def everywhere(model, values):
    """Return values of all ranks; collective."""
    return np.concatenate(model.comm.allgather(values))


EIGHTH = np.array([[1, 0, 1], [0, 2**0.5, 0], [-1, 0, 1]]) / 2**0.5  # 45 degrees about y
BOTH_FIXED = {"collector": Fixed(), "anode": Fixed()}


def chain(mode):
    """Return compliance of the slabs [m/Pa], and how far the grain shrinks per unit strain [m]."""
    (lame_e, shear_e), (lame_g, shear_g) = ECBD.lame(), GRAIN.lame()
    if mode == "shear":
        return 2 * THIN / shear_e + THICK / shear_g, 2 * THICK
    stiff_e, stiff_g = lame_e + 2 * shear_e, lame_g + 2 * shear_g
    return 2 * THIN / stiff_e + THICK / stiff_g, THICK * (3 * lame_g + 2 * shear_g) / stiff_g


def closed_form(mode, shrinkage):
    """Return traction and opening of each of the two interfaces when the grain shrinks by [m]."""
    compliance, _ = chain(mode)
    rising = shrinkage / (compliance + 2 / BRITTLE.stiffness)
    slope = 100 * MPa / (FAILURE - ONSET)
    falling = slope * (FAILURE - shrinkage / 2) / (1 - slope * compliance / 2)
    traction = np.where(rising < 100 * MPa, rising, np.maximum(falling, 0))
    return traction, (shrinkage - compliance * traction) / 2


@pytest.mark.mpi
@pytest.mark.parametrize("mode", ["opening", "shear"])
def test_slabs_debond_along_the_closed_form(comm, mode):
    """Sign of the jump, frame, expansion and periodic sides: one wrong and the curve is another."""
    if mode == "opening":
        model = stack(comm, **BOTH_FIXED)
    else:
        model = stack(comm, ratio=(1.0, 0.0, -1.0), turn=EIGHTH, **BOTH_FIXED)
    _, per_strain = chain(mode)
    state = None
    for shrinkage in np.array([2, 6, 12, 25, 45]) * nm:
        _, state = solved(model, -shrinkage / per_strain, state)
        traction, opening = closed_form(mode, shrinkage)
        jump = everywhere(model, state.jump)
        pull = everywhere(model, model.traction(state))
        along = slice(0, 1) if mode == "opening" else slice(1, 3)
        found = np.linalg.norm(jump[:, along], axis=1)
        np.testing.assert_allclose(found, opening, rtol=1e-7)
        np.testing.assert_allclose(
            np.linalg.norm(pull[:, along], axis=1), traction, atol=1e-6 * 100 * MPa
        )
        across = np.delete(jump, np.r_[along], axis=1)
        assert np.abs(across).max() < 1e-6 * opening
        if mode == "opening":
            assert jump[:, 0].min() > 0  # open is positive
    assert state.damage.min(initial=1) == 1
    # both interfaces have failed: twice G_c x area
    assert state.cohesive_dissipation / (2 * AREA) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("damage", [0.0, 1.0])
def test_closed_slabs_do_not_interpenetrate(comm, damage):
    """Contact must stay as stiff as the intact interface, whatever the damage.

    A failed interface slides without friction: the grain must stay in its place all the same.
    """
    model = stack(comm, **BOTH_FIXED)
    compliance, per_strain = chain("compression")
    start = model.initial_state()
    given = np.full_like(start.damage, damage)
    start = replace(start, damage=given, spent=given)
    push = 10 * nm / (compliance + 2 / BRITTLE.stiffness)
    _, state = solved(model, 10 * nm / per_strain, start)
    jump, pull = everywhere(model, state.jump), everywhere(model, model.traction(state))
    np.testing.assert_allclose(pull[:, 0], -push, rtol=1e-8)
    np.testing.assert_allclose(jump[:, 0], -push / BRITTLE.stiffness, rtol=1e-8)
    assert np.abs(jump[:, 1:]).max() < 1e-6 * np.abs(jump).max()
    assert model.gap(state.jump).max(initial=0) == 0
    assert state.cohesive_dissipation == 0
    # the grain is squeezed from all sides
    lame, shear = GRAIN.lame()
    strain = 10 * nm / per_strain
    along = (-push + strain * (3 * lame + 2 * shear)) / (lame + 2 * shear)
    across = lame * along - strain * (3 * lame + 2 * shear)
    np.testing.assert_allclose(state.hydrostatic, (2 * across - push) / 3, rtol=1e-8)


def reaction(model, x, at):
    """Return the force [N] that the support of a face of the matrix takes; collective."""
    bulk = Operator(
        mechanics.elasticity(model.mechanics.spaces[MATRIX], model.mechanics.stiffness[MATRIX])
    ).matrix
    force = (bulk @ model.mechanics.unknowns.expand(x)[1]).reshape(-1, 3)
    height = model.mechanics.spaces[MATRIX].tabulate_dof_coordinates()[:, 2]
    chosen = np.abs(height - at) < 1e-6 * um
    return np.array([model.bodies.sum(force[chosen, axis]) for axis in range(3)])


TOP = 2 * THIN + THICK


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("pressed", ["anode", "collector"])
def test_pressure_is_carried_through(comm, pressed, order):
    """A pressure of the wrong sign, face or area: the other end must push back as hard."""
    supports = {"collector": Fixed(), "anode": Fixed()} | {pressed: Pressure(pressure=50 * MPa)}
    model = stack(comm, displacement_order=order, **supports)
    x, state = solved(model, 0.0)
    held_at, sign = (0.0, 1) if pressed == "anode" else (TOP, -1)
    force = reaction(model, x, held_at)
    np.testing.assert_allclose(force, [0, 0, sign * 50 * MPa * AREA], atol=1e-8 * 50 * MPa * AREA)
    compliance, _ = chain("compression")
    moved = model.mechanics.unknowns.expand(x)[1].reshape(-1, 3)[:, 2]
    height = model.mechanics.spaces[MATRIX].tabulate_dof_coordinates()[:, 2]
    face = np.abs(height - (TOP - held_at)) < 1e-6 * um
    squeezed = 50 * MPa * (compliance + 2 / BRITTLE.stiffness)
    np.testing.assert_allclose(moved[face], -sign * squeezed, rtol=1e-8)
    np.testing.assert_allclose(model.traction(state)[:, 0], -50 * MPa, rtol=1e-8)
    lame, shear = GRAIN.lame()
    hydrostatic = -50 * MPa * (lame + 2 * shear / 3) / (lame + 2 * shear)
    np.testing.assert_allclose(state.hydrostatic, hydrostatic, rtol=1e-8)  # compressed: negative


@pytest.mark.mpi(ranks=2)
def test_negative_pressure_pulls(comm):
    """A sign lost in an absolute value would press in both cases."""
    model = stack(comm, anode=Pressure(pressure=-50 * MPa))
    x, state = solved(model, 0.0)
    assert reaction(model, x, 0.0)[2] / (50 * MPa * AREA) == pytest.approx(-1, rel=1e-8)
    np.testing.assert_allclose(state.jump[:, 0], 50 * MPa / BRITTLE.stiffness, rtol=1e-8)


@pytest.mark.parametrize("anode", [Free(), Pressure(pressure=1 * MPa)])
@pytest.mark.parametrize("collector", [Free(), Pressure(pressure=1 * MPa)])
def test_a_cell_that_nothing_holds_is_refused(collector, anode):
    """Without the check the user would meet a singular matrix inside PETSc."""
    with pytest.raises(InputError, match="one of them must be Fixed"):
        stack(MPI.COMM_SELF, collector=collector, anode=anode)


@pytest.mark.mpi(ranks=2)
def test_free_end_carries_nothing(comm):
    """An anode that is held by mistake would stress the stack when the grain shrinks."""
    model = stack(comm, anode=Free())
    x, state = solved(model, -1e-3)
    assert np.abs(model.traction(state)).max(initial=0) < 1e-6 * MPa
    # zero but for the roundoff of the nodal forces that cancel
    scale = 1e-3 * 100 * GPa * AREA
    assert np.abs(reaction(model, x, 0.0)).max() < 1e-8 * scale


@pytest.mark.mpi(ranks=2)
def test_without_expansion_nothing_is_stressed(comm):
    """The switch must reach the load: a lithium change alone may not strain anything."""
    lithium = None
    stressed = {}
    for on in (False, True):
        model = stack(comm, couplings=Couplings(expansion=on), **BOTH_FIXED)
        electrochemical = model.electrochemical(model.initial_state())
        lithium = model.electrochemistry.unknowns.owned(0)
        electrochemical.array[lithium] *= 0.5
        x = model.mechanics.unknowns.vector()
        model.mechanics.solve(
            x,
            expansion=model.expansion(electrochemical),
            previous=x.array_r.copy(),
            damage=np.zeros(len(model.bodies.points[INTERFACE].points)),
            spent=np.zeros(len(model.bodies.points[INTERFACE].points)),
            previous_jump=np.zeros((len(model.bodies.points[INTERFACE].points), 3)),
            time_step=1.0,
            tolerance=1e-10,
        )
        stressed[on] = x.norm()
    assert stressed[False] == 0
    assert stressed[True] > 1e-9


@pytest.mark.mpi(ranks=2)
def test_without_debonding_nothing_fails(comm):
    """The switch must reach the law: the traction goes far beyond the strength."""
    model = stack(comm, couplings=Couplings(debonding=False), **BOTH_FIXED)
    compliance, per_strain = chain("opening")
    _, state = solved(model, -45 * nm / per_strain)
    expected = 45 * nm / (compliance + 2 / BRITTLE.stiffness)
    assert expected > 3 * 100 * MPa
    np.testing.assert_allclose(model.traction(state)[:, 0], expected, rtol=1e-8)
    assert np.abs(state.damage).max(initial=0) == 0
    assert state.cohesive_dissipation == 0


CELL = HalfCell(
    width=15 * um, cathode=15 * um, separator=5 * um, particles=(Polycrystal(grains=6, seed=2),)
)


@pytest.fixture(scope="module")
def coarse():
    """Return a coarse half-cell on this rank alone."""
    return mesh(CELL, size=2 * um, comm=MPI.COMM_SELF)


def test_half_cell_with_a_stiff_interface_is_one_body(coarse):
    """Trace, frame and prolongation of the real cell: one wrong row shows as a lost tie."""
    base = yuan2023.materials()
    turns = coarse.orientations
    active = base.active
    stiffness = tensors.rotate_stiffness(active.elasticity.stiffness_matrix(), turns)
    direction = mechanics.expansion_direction(active.expansion_ratio, turns)
    by_grain = dict(zip(coarse.grain_tags.tolist(), stiffness, strict=True))
    outside = {
        coarse.regions["ecbd"]: base.ecbd.elasticity.stiffness_matrix(),
        coarse.regions["electrolyte"]: base.electrolyte.elasticity.stiffness_matrix(),
    }
    points = coarse.mesh.geometry.x
    lower, upper = points.min(axis=0), points.max(axis=0)
    whole = Solid(
        coarse.mesh,
        by_grain | outside,
        tags=coarse.cell_tags.values,
        direction=dict(zip(coarse.grain_tags.tolist(), direction, strict=True)),
        held=lambda x: np.repeat(x[:, 2:] < 1e-9, 3, axis=1),
        period=(lower, upper),
        order=2,
    )
    nodes = whole.bodies[0].space.tabulate_dof_coordinates()
    corners = len(whole.bodies[0].linear.tabulate_dof_coordinates())
    force = whole.bodies[0].expansion_force(np.full(corners, -0.01))
    (one,), _ = whole.solve(forces=[force])
    named = {tuple(np.round(x / nm)): u for x, u in zip(nodes, one.reshape(-1, 3), strict=True)}

    errors = []
    for stiff in (1e20, 1e21):
        model = Model(
            coarse,
            replace(base, cohesive=replace(base.cohesive, stiffness=stiff)),
            couplings=Couplings(debonding=False),
            displacement_order=2,
            linear_solver=LinearSolver(method="direct"),
        )
        x, _ = solved(model, -0.01)
        worst = 0.0
        for space, values in zip(
            model.mechanics.spaces.values(),
            model.mechanics.unknowns.expand(x),
            strict=True,
        ):
            expected = [named[tuple(np.round(x / nm))] for x in space.tabulate_dof_coordinates()]
            worst = max(worst, float(np.abs(values.reshape(-1, 3) - expected).max()))
        errors.append(worst / np.abs(one).max())
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)  # first order in 1 / stiffness


def test_shrinking_particle_in_the_cell_opens_outwards(coarse):
    """The normal must point out of the particle on every facet, however it is numbered."""
    model = Model(coarse, yuan2023.materials())
    centre = np.array([0, 0, 7.5 * um])
    outward = model.bodies.points[INTERFACE].points - centre
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    assert np.einsum("ni,ni->n", model.bodies.points[INTERFACE].frame[:, 0], outward).min() > 0.8
    state = None
    for amplitude in np.linspace(0, -0.01, 41)[1:]:
        _, state = solved(model, amplitude, state)
    gap = model.gap(state.jump)
    free = 0.01 * 5 * um  # of an isotropic ball; the grains differ
    mean = model.bodies.sum(model.bodies.points[INTERFACE].weights * gap) / model.bodies.area(
        INTERFACE
    )
    assert 0.1 * free < mean < free
    numbers = read(model, state)
    assert numbers["Mean gap [m]"] / mean == pytest.approx(1)


@pytest.mark.mpi(ranks=2)
def test_solvers_agree(comm):
    """Multigrid with wrong rigid modes still converges, to whatever its tolerance lets through."""
    data = mesh(CELL, size=1.5 * um, comm=comm)
    results = []
    for method in ("direct", "incomplete", "multigrid"):
        model = Model(data, yuan2023.materials(), linear_solver=LinearSolver(method=method))
        state = None
        for amplitude in (-0.002, -0.003, -0.004):
            x, state = solved(model, amplitude, state)
        results.append(
            [
                x.norm(),
                model.bodies.sum(model.bodies.points[INTERFACE].weights * state.damage),
                state.cohesive_dissipation,
                model.bodies.largest(model.gap(state.jump)),
            ]
        )
    assert results[0][1] > 0.1 * model.bodies.area(INTERFACE)  # some of it is failing
    np.testing.assert_allclose(results[1:], results[:1] * 2, rtol=1e-6)


@pytest.mark.mpi
def test_debonding_of_a_particle_does_not_depend_on_the_ranks(comm):
    """T22. The cell of a user, into softening: facets between ranks must count once."""
    results = []
    for where in (MPI.COMM_SELF, comm):
        model = Model(mesh(CELL, size=2 * um, comm=where), yuan2023.materials())
        state = None
        for amplitude in (-0.001, -0.003, -0.006):
            _, state = solved(model, amplitude, state)
        weights = model.bodies.points[INTERFACE].weights
        results.append(
            [
                model.bodies.sum(weights * state.damage) / model.bodies.area(INTERFACE),
                model.bodies.sum(weights * model.gap(state.jump)) / model.bodies.area(INTERFACE),
                model.bodies.largest(model.gap(state.jump)),
                state.cohesive_dissipation,
            ]
        )
    assert 0.1 < results[0][0] < 0.999
    np.testing.assert_allclose(results[1], results[0], rtol=1e-8)  # Newton stops at 1e-11

"""Bodies that meet in a cohesive interface: if this fails, gaps and debonding are wrong.

Worth reading: the two bars that soften (T20), and the peeled block whose energy must balance.
"""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb.cell.cohesion import cohesive_traction
from femssb.fem.assembly import n_dofs
from femssb.inputs.interfaces import CohesiveLaw
from femssb.units import GPa, MPa, nm, um
from tests.verification.bars import (
    AREA,
    BRITTLE,
    ONSET,
    TOP,
    YOUNG,
    bars,
    below,
    softening,
)
from tests.verification.rates import observed_order
from tests.verification.solids import (
    Path,
    Solid,
    balls,
    box,
    isotropic,
    middles,
    quadrature,
    rotation,
    tensor,
    voigt,
)

NEVER_FAILS = CohesiveLaw(
    normal_strength=np.inf,
    shear_strength=np.inf,
    normal_fracture_energy=np.inf,
    shear_fracture_energy=np.inf,
    stiffness=1e9,
)


def linear(law):
    """Return the answer of an undamaged law at rest."""

    def respond(jump):
        return cohesive_traction(
            law,
            jump,
            damage=np.zeros(len(jump)),
            spent=np.zeros(len(jump)),
            previous_jump=np.zeros_like(jump),
            time_step=1.0,
        )

    return respond


def uniaxial(x):
    """Tell which components of nodes in a unit column stay at zero: all but z inside."""
    held = np.ones((len(x), 3), bool)
    held[:, 2] = (x[:, 2] < 1e-9) | (x[:, 2] > 1 - 1e-9)
    return held


@pytest.mark.parametrize(("order", "rate"), [(1, 2), (2, 3)], ids=["P1", "P2"])
def test_rate_with_a_manufactured_jump(order, rate):
    """T7. An interface rule or trace that is not consistent lowers the order in the bulk.

    MOOSE's rectangle_czm_mms with Poisson's ratio 0, along z: modulus 1e3 of the unit stiffness.
    """
    young = 1e3 * NEVER_FAILS.stiffness
    far = -np.pi * np.cos(np.pi / 4) * 1e3
    assert far == pytest.approx(-2221.44, abs=0.01)
    sizes, errors = [], []
    for n in (8, 16, 32) if order == 1 else (8, 16):
        domain = box((n // 4, n // 4, n), (0.25, 0.25, 1.0))
        solid = Solid(
            domain,
            {0: isotropic(young, 0.0), 1: isotropic(young, 0.0)},
            tags=below(domain, 0.25),
            inner=(0,),
            order=order,
            held=uniaxial,
        )
        forces, lift, points = [], [], []
        for index, body in enumerate(solid.bodies):
            q = quadrature(body.space, 2 * order + 2)
            source = np.zeros_like(q.points)
            source[..., 2] = -young * np.pi**2 * np.sin(np.pi * q.points[..., 2])
            size = n_dofs(body.space)
            forces.append(q.load(source, size))
            moved = np.zeros((size // 3, 3))
            moved[:, 2] = far * index  # the far end, and with it all its body
            lift.append(moved.ravel())
            points.append(q)
        found, _ = solid.solve(linear(NEVER_FAILS), forces=forces, lift=lift)
        total = 0.0
        for index, (q, u) in enumerate(zip(points, found, strict=True)):
            exact = np.zeros_like(q.points)
            exact[..., 2] = far * index - np.sin(np.pi * q.points[..., 2])
            total += q.integral(((q.field(u) - exact) ** 2).sum(-1), solid.comm)
        sizes.append(1 / n)
        errors.append(np.sqrt(total))
    assert observed_order(sizes, errors) == pytest.approx(rate, abs=0.1)


SOFT, HARD = isotropic(20 * GPa, 0.35), isotropic(200 * GPa, 0.2)


def two_slabs(order, comm=MPI.COMM_WORLD):
    """Return a box of edge 1 um, soft below 0.5 um and hard above, its surface held."""
    domain = box((2, 2, 4), (um, um, um), comm=comm)

    def held(x):
        surface = (x < 1e-6 * um) | (x > (1 - 1e-6) * um)
        return np.repeat(surface.any(axis=1)[:, None], 3, axis=1)

    solid = Solid(
        domain,
        {0: SOFT, 1: HARD},
        tags=below(domain, 0.5 * um),
        inner=(0,),
        order=order,
        held=held,
    )
    return solid, held


def patch():
    """Return gradients of displacement below and above with equal traction on the plane between."""
    lower = 1e-3 * np.array([[1.0, 0.4, 0.3], [-0.2, -0.6, 0.5], [0.1, -0.3, 0.8]])
    traction = tensor(SOFT @ voigt(0.5 * (lower + lower.T)))[:, 2]
    # the part of the upper gradient along the normal, from the traction: C_i3k3 g_k = rest
    upper = lower.copy()
    upper[:, 2] = 0
    rest = traction - tensor(HARD @ voigt(0.5 * (upper + upper.T)))[:, 2]
    columns = []
    for k in range(3):
        unit = np.zeros((3, 3))
        unit[k, 2] = 1
        columns.append(tensor(HARD @ voigt(0.5 * (unit + unit.T)))[:, 2])
    upper[:, 2] = np.linalg.solve(np.column_stack(columns), rest)
    return lower, upper, traction


@pytest.mark.mpi
@pytest.mark.parametrize("order", [1, 2])
def test_bimaterial_patch(comm, order):
    """T21. A jump in a wrong frame, with a wrong sign or weight, breaks a state known exactly."""
    solid, held = two_slabs(order, comm)
    lower, upper, traction = patch()
    law = replace(NEVER_FAILS, stiffness=1e17)
    gap = traction / law.stiffness
    middle = np.array([0, 0, 0.5 * um])
    exact, lift = [], []
    for body, gradient, shift in zip(solid.bodies, (lower, upper), (0 * gap, gap), strict=True):
        x = body.space.tabulate_dof_coordinates()
        u = (x - middle) @ gradient.T + lower @ middle + shift
        exact.append(u)
        lift.append(np.where(held(x), u, 0).ravel())
    found, _ = solid.solve(linear(law), lift=lift)
    scale = 1e-3 * um
    for u, v in zip(found, exact, strict=True):
        np.testing.assert_allclose(u, v.ravel(), atol=1e-9 * scale)  # roundoff x condition
    jump = np.einsum("nij,ni->nj", solid.points.frame, solid.jump(found))
    np.testing.assert_allclose(jump, np.broadcast_to(gap, jump.shape), atol=1e-9 * scale)


def test_stiff_interface_leaves_an_error_of_traction_over_stiffness():
    """T21. Catches a penalty that is lost, squared, or scaled by the mesh."""
    solid, held = two_slabs(1)
    lower, upper, traction = patch()
    middle = np.array([0, 0, 0.5 * um])
    errors = []
    for stiffness in (1e20, 1e21):
        exact, lift = [], []
        for body, gradient in zip(solid.bodies, (lower, upper), strict=True):
            x = body.space.tabulate_dof_coordinates()
            exact.append(((x - middle) @ gradient.T + lower @ middle).ravel())
            lift.append(np.where(held(x).ravel(), exact[-1], 0))
        found, _ = solid.solve(linear(replace(NEVER_FAILS, stiffness=stiffness)), lift=lift)
        wrong = [np.abs(u - v).max() for u, v in zip(found, exact, strict=True)]
        errors.append(max(wrong))
        assert max(wrong) < np.linalg.norm(traction) / stiffness
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize("order", [1, 2])
def test_rigid_motion_opens_nothing(order):
    """T21. A trace taken at the wrong point or cell of either side sees a jump in a rotation."""
    domain, tags = balls((5 * um, 10 * um), (2 * um, 4 * um))
    solid = Solid(domain, {0: SOFT, 1: HARD}, tags=tags, inner=(0,), order=order)
    spin = np.array([[0, -0.3, 0.2], [0.3, 0, -0.7], [-0.2, 0.7, 0]])
    moved = []
    for body in solid.bodies:
        x = body.space.tabulate_dof_coordinates()
        moved.append((x @ spin.T + [1e-6, -2e-6, 3e-6]).ravel())
    largest = max(np.abs(u).max() for u in moved)
    assert np.abs(solid.jump(moved)).max() < 1e-13 * largest
    assert len(solid.points.points) > 100
    for body, u in zip(solid.bodies, moved, strict=True):
        force = body.bulk.matrix @ u
        assert np.abs(force).max() < 1e-12 * abs(body.bulk.matrix).max() * largest
    # and a translation of one side opens its own length everywhere, along the outward normal
    shift = np.array([1e-9, 2e-9, -2e-9])
    alone = [np.zeros(n_dofs(solid.bodies[0].space))]
    alone.append(np.tile(shift, n_dofs(solid.bodies[1].space) // 3))
    jump = solid.jump(alone)
    outward = solid.points.points / np.linalg.norm(solid.points.points, axis=1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(jump, axis=1), 3e-9, rtol=1e-12)
    normal = solid.points.frame[:, 0]
    assert np.einsum("ni,ni->n", normal, outward).min() > 0.8  # flat facets
    np.testing.assert_allclose(jump[:, 0], normal @ shift, atol=1e-12 * 3e-9)


@pytest.mark.mpi
def test_bars_soften_along_the_closed_form(comm):
    """T20. A wrong strength, energy or unloading shows in the force of two bars pulled apart."""
    length = um
    path = Path(bars(length, comm=comm), BRITTLE, TOP)
    peak_at = 2 * length * BRITTLE.normal_strength / YOUNG + ONSET
    assert peak_at / nm == pytest.approx(3)
    moves = np.append(np.linspace(0, peak_at, 4)[1:], np.linspace(peak_at, 22 * nm, 12)[1:])
    for moved in moves:
        path.move(moved)
    force = np.array(path.forces[1:])
    np.testing.assert_allclose(force / AREA, softening(moves, length), atol=1e-7 * 100 * MPa)
    assert force.max() / AREA == pytest.approx(100 * MPa, rel=1e-9)
    assert path.cohesive / AREA == pytest.approx(1.0, rel=1e-9)  # G_c x area
    assert path.viscous == 0


def test_bars_unload_along_the_secant():
    """T20. Damage that heals, or plastic instead of secant unloading, shows in the way back."""
    length = um
    path = Path(bars(length), BRITTLE, TOP)
    for moved in (3 * nm, 10 * nm, 5 * nm, 0.0, -4 * nm, 0.0, 5 * nm, 10 * nm):
        path.move(moved)
    force = np.array(path.forces[1:]) / AREA
    at_ten = float(softening(np.array(10 * nm), length))
    contact = -4 * nm / (2 * length / YOUNG + 1 / BRITTLE.stiffness)
    expected = [100 * MPa, at_ten, at_ten / 2, 0, contact, 0, at_ten / 2, at_ten]
    np.testing.assert_allclose(force, expected, atol=1e-7 * 100 * MPa)


def peeled(comm, *, order=1):
    """Return a block on a base, of which one edge strip of the top is to be lifted."""
    domain = box((6, 2, 4), (3 * um, um, um), comm=comm)

    def held(x):
        return np.repeat(x[:, 2:] < 1e-9 * um, 3, axis=1)

    def strip(x):
        out = np.zeros((len(x), 3), bool)
        out[:, 2] = (x[:, 2] > (1 - 1e-9) * um) & (x[:, 0] < 0.51 * um)
        return out

    return Solid(
        domain,
        {0: HARD, 1: isotropic(80 * GPa, 0.3)},
        tags=below(domain, 0.5 * um),
        inner=(0,),
        held=held,
        tied={TOP: strip},
        order=order,
    )


MIXED = replace(BRITTLE, shear_strength=140 * MPa, shear_fracture_energy=2.5)


def there_and_back(steps):
    """Return moves of the strip: up into damage, down, and up again further."""
    up, down, again = 20 * nm, 4 * nm, 26 * nm
    return np.concatenate(
        [
            np.linspace(0, up, 5 * steps + 1)[1:],
            np.linspace(up, down, 2 * steps + 1)[1:],
            np.linspace(down, again, 4 * steps + 1)[1:],
        ]
    )


def test_work_is_stored_or_dissipated():
    """An energy that appears from nowhere: wrong dissipation, or force and opening that mismatch.

    The work is taken by the trapezoidal rule, whose error falls with the square of the step.
    """
    sizes, errors = [], []
    for steps in (4, 8):
        path = Path(peeled(MPI.COMM_SELF), MIXED, TOP)
        for moved in there_and_back(steps):
            path.move(moved)
        assert 0.05 < path.mean_damage() < 0.95
        assert (path.damage > 0.99).any()
        assert (path.damage == 0).any()
        stored = path.stored()
        missing = abs(path.work - stored - path.cohesive)
        sizes.append(1 / steps)
        errors.append(missing / path.work)
    assert errors[-1] < 5e-3
    assert observed_order(sizes, errors) > 0.8  # first order where the mode mix turns


@pytest.mark.mpi
def test_softening_does_not_depend_on_the_ranks(comm):
    """T22. Damage of a shared facet that is counted twice, or lost, drifts apart once it grows."""
    runs = []
    for where in (MPI.COMM_SELF, comm):
        path = Path(peeled(where), MIXED, TOP, tolerance=1e-13)
        for moved in there_and_back(1):
            path.move(moved)
        runs.append([*path.forces, path.cohesive, path.stored(), path.mean_damage()])
    assert runs[0][-1] > 0.05
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-10, atol=1e-10 * max(runs[0][:-3]))


def uneven(solid, shift):
    """Return values between -1 and 1 of the unknowns, by where they lie, not by their numbers."""
    waves = np.array([[31.0, 17.0, 23.0], [11.0, 37.0, 29.0], [41.0, 19.0, 13.0]]) / um
    values = [
        np.sin(body.space.tabulate_dof_coordinates() @ waves + shift + index).ravel()
        for index, body in enumerate(solid.bodies)
    ]
    count = solid.unknowns.gather([np.ones_like(value) for value in values])
    return solid.unknowns.gather(values).array_r / count.array_r


def state_of_softening(path):
    """Move into softening and return the unknowns, a direction, and the law of the next step."""
    for moved in (6 * nm, 12 * nm):
        path.move(moved)
    x = path.x.copy()
    x.array[:] *= 1.3 + 0.02 * uneven(path.solid, 0)
    direction = x.duplicate()
    direction.array[:] = 1e-9 * uneven(path.solid, 1)
    return x, direction


def jacobian(problem, law, x):
    """Return the Jacobian of a problem at x."""
    return problem.jacobian([law(problem.at_points(x)[0]).tangent]).assembled()


@pytest.mark.parametrize("mixed_mode", ["power", "benzeggagh_kenane"])
def test_jacobian_is_the_derivative_of_the_residual(mixed_mode):
    """A tangent that misses the growth of damage, or mixes up B and its transpose, has rate 1."""
    law = replace(MIXED, mixed_mode=mixed_mode, mixed_mode_exponent=1.6, viscosity=1e15)
    path = Path(peeled(MPI.COMM_SELF), law, TOP)
    problem = path.solid.problem
    x, direction = state_of_softening(path)
    respond = path.law(1.0)
    nothing = path.solid.unknowns.vector()

    def answers(jumps):
        found = respond(jumps[0])
        return [(found.traction, found.tangent)]

    def residual(at):
        return problem.linearise(at, nothing, answers).residual

    base, slope = residual(x), jacobian(problem, respond, x) @ direction
    growing = respond(problem.at_points(x)[0]).damage > path.damage
    assert growing.mean() > 0.2  # softening, not only contact and unloading
    sizes, errors = [], []
    for size in (1e-1, 5e-2, 2.5e-2):
        moved = x.copy()
        moved.axpy(size, direction)
        error = residual(moved)
        error.axpy(-1.0, base)
        error.axpy(-size, slope)
        sizes.append(size)
        errors.append(error.norm())
    assert observed_order(sizes, errors) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    "change",
    [
        {"normal_strength": 110 * MPa},
        {"shear_strength": 150 * MPa},
        {"normal_fracture_energy": 1.1},
        {"shear_fracture_energy": 2.6},
        {"stiffness": 1.1e17},
        {"mixed_mode_exponent": 1.7},
        {"mixed_mode": "benzeggagh_kenane"},
        {"viscosity": 2e15},
    ],
    ids=lambda change: next(iter(change)),
)
def test_jacobian_feels_every_coefficient(softened, change):
    """A coefficient that never reaches the equations could be set to anything."""
    path, x, law = softened
    problem = path.solid.problem
    before = jacobian(problem, path.law(1.0), x).copy()
    after = jacobian(problem, replace_law(path, replace(law, **change)).law(1.0), x)
    after.axpy(-1.0, before)
    assert after.norm() > 1e-8 * before.norm()  # roundoff is 1e-16; shear is rare in this peel


@pytest.fixture(scope="module")
def softened():
    """Return a peeled block in softening, its unknowns and its law."""
    law = replace(MIXED, mixed_mode_exponent=1.6, viscosity=1e15)
    path = Path(peeled(MPI.COMM_SELF), law, TOP)
    x, _ = state_of_softening(path)
    return path, x, law


def replace_law(path, law):
    """Return a path in the same state under another law."""
    other = Path(path.solid, law, TOP)
    other.damage, other.jump = path.damage, path.jump
    return other


@pytest.mark.parametrize("change", [(0, 0), (1, 2), (3, 3)], ids=["C11", "C23", "C44"])
def test_jacobian_feels_the_bulk(change):
    """A stiffness that is read wrongly from its table would not change the matrix."""
    stiffness = HARD.copy()
    stiffness[change] *= 1.1
    stiffness[change[::-1]] = stiffness[change]
    domain = box((2, 2, 2))
    norms = [Solid(domain, {0: c}).problem.bulk.norm() for c in (HARD, stiffness)]
    assert abs(norms[1] / norms[0] - 1) > 1e-4


def test_very_stiff_interface_is_a_conforming_mesh():
    """An interface that never fails must not be felt: compare with one body without it."""
    domain = box((4, 4, 4), (um, um, um), comm=MPI.COMM_SELF)
    tags = (np.abs(middles(domain) - 0.5 * um).max(axis=1) < 0.25 * um).astype(np.int32)
    stiffness = {0: SOFT, 1: HARD}
    axes = {1: voigt(rotation(3) @ np.diag([1.0, 1, -1]) @ rotation(3).T)}

    def base(x):
        return np.repeat(x[:, 2:] < 1e-9 * um, 3, axis=1)

    whole = Solid(domain, stiffness, tags=tags, direction=axes, held=base)
    linear_nodes = len(whole.bodies[0].linear.tabulate_dof_coordinates())
    (one,), _ = whole.solve(forces=[whole.bodies[0].expansion_force(np.full(linear_nodes, -0.01))])
    where = {
        tuple(np.round(x / um, 6)): u
        for x, u in zip(
            whole.bodies[0].space.tabulate_dof_coordinates(), one.reshape(-1, 3), strict=True
        )
    }
    cut = Solid(domain, stiffness, tags=tags, inner=(1,), direction=axes, held=base)
    inner = cut.bodies[0]
    strain = np.full(len(inner.linear.tabulate_dof_coordinates()), -0.01)
    forces = [inner.expansion_force(strain), np.zeros(n_dofs(cut.bodies[1].space))]
    errors = []
    for stiff in (1e20, 1e21):
        two, _ = cut.solve(linear(replace(NEVER_FAILS, stiffness=stiff)), forces=forces)
        wrong = [
            np.abs(u - where[tuple(np.round(x / um, 6))]).max()
            for body, values in zip(cut.bodies, two, strict=True)
            for x, u in zip(
                body.space.tabulate_dof_coordinates(), values.reshape(-1, 3), strict=True
            )
        ]
        errors.append(max(wrong) / np.abs(one).max())
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)  # first order in 1 / stiffness

"""Diffusion of lithium: orders in space and time, and which way a rotated grain conducts.

If these fail, lithium arrives at the wrong time, or along the wrong crystal axis, and no balance
would show it. The one worth reading is `test_rotated_grain`.
"""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

import numpy as np
import pytest
import ufl
from dolfinx import fem
from scipy.spatial.transform import Rotation

from femssb.cell import electrochemistry
from femssb.cell.limiter import LimitedDiffusion
from femssb.cell.model import Couplings
from femssb.fem import newton
from femssb.fem.assembly import Operator, Part, linear_form
from femssb.fem.constraints import Field, Unknowns
from femssb.fem.linear_solver import KrylovSolver, LinearSolver
from femssb.fem.surface_problem import SurfaceProblem
from femssb.run.stepping import bdf, error_share, extrapolate
from tests.verification.half_cells import WIDTH, constant, face_collector, laminate, lopsided, step
from tests.verification.rates import observed_order
from tests.verification.slabs import GRAIN, Layer, slabs


def final_error(count):
    """Return the error at t = 1 of y' = -2 (y - sin 3t) + 3 cos 3t in uneven steps, from y = 1."""
    lengths = np.tile([1.0, 2.0, 1.5, 0.5], count)
    times = np.append(0.0, np.cumsum(lengths) / lengths.sum())
    exact = np.sin(3 * times) + np.exp(-2 * times)
    values = list(exact[:2])
    for n in range(1, times.size - 1):
        new, last, second = bdf(times[n + 1] - times[n], times[n] - times[n - 1])
        t = times[n + 1]
        source = 2 * np.sin(3 * t) + 3 * np.cos(3 * t)
        values.append((source - last * values[n] - second * values[n - 1]) / (new + 2))
    return abs(values[-1] - exact[-1])


def test_time_formula():
    """Would catch a wrong factor for a step that differs from the last, which lowers the order."""
    counts = [20, 40, 80]
    errors = [final_error(count) for count in counts]
    assert observed_order([1 / count for count in counts], errors) == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("steps", [(0.7, 0.4), (0.7, 0.4, 1.1), (0.2, 0.5, 0.3)])
def test_error_estimate(steps):
    """Would catch an error estimate that is off by a factor: steps too long, or far too many.

    The estimate is exact where the first derivative that the formula misses is constant.
    """
    order = len(steps)
    new, last, second = bdf(steps[0], steps[1] if order == 3 else None)
    past = -np.cumsum([0.0, *steps])  # newest first, and that is 0
    exact = past**order
    found = (0.0 - last * exact[1] - second * exact[2]) / new
    guess = extrapolate(list(past[1:]), [np.array([v]) for v in exact[1:]], 0.0)[0]
    assert error_share(steps) * abs(found - guess) == pytest.approx(abs(found), rel=1e-12)


def manufactured_errors(count, tensor, rate, *, depth=1.0, limited=False):
    """Return the L2 and H1 errors of a solution that is flat at the sides of a unit cube.

    It rises from ``1 - depth`` all over the sides to 1 in the middle.
    """
    data = slabs([Layer(region=GRAIN, thickness=1.0, cells=count)], width=1.0, cells=count)
    tags = data.cell_tags.values
    part = Part(data.mesh, tags > 0, tags)
    space = fem.functionspace(part.mesh, ("Lagrange", 1))
    diffusivity = part.by_tag({int(data.grain_tags[0]): tensor})

    x = ufl.SpatialCoordinate(part.mesh)
    exact = 1.0
    for place in (x[0] + 0.5, x[1] + 0.5, x[2]):
        exact *= 16 * place**2 * (1 - place) ** 2
    exact = 1 - depth + depth * exact
    source = rate * exact - ufl.div(ufl.dot(diffusivity, ufl.grad(exact)))
    measure = ufl.dx(metadata={"quadrature_degree": 8})

    unknowns = Unknowns([Field(space=space)])
    (numbers,) = unknowns.reduced
    one = fem.Constant(part.mesh, 1.0)
    mass = linear_form(electrochemistry.charge(space, one))
    owned = numbers[: mass.size]
    diffusion = Operator(electrochemistry.diffusion(space, one, diffusivity)).triplets(numbers)
    limit = LimitedDiffusion(SurfaceProblem("diffusion", unknowns, [diffusion], []).bulk)
    problem = SurfaceProblem(
        "manufactured",
        unknowns,
        [(owned, owned, rate * mass), diffusion],
        [limit.operator] if limited else [],
    )
    linear_solver = KrylovSolver("manufactured", unknowns, LinearSolver(reduction=1e-12))
    load = unknowns.filled(linear_form(fem.form(source * ufl.TestFunction(space) * measure)))
    solution = unknowns.vector()

    def law(values):
        return [limit.response(filled) for filled in values]

    newton.solve(problem, linear_solver, solution, load, law, tolerance=1e-12)

    found = fem.Function(space)
    found.x.array[:] = unknowns.expand(solution)[0]
    error = found - exact
    integrands = error**2, ufl.inner(ufl.grad(error), ufl.grad(error))
    return [
        np.sqrt(unknowns.comm.allreduce(fem.assemble_scalar(fem.form(part * measure))))
        for part in integrands
    ]


TURN = Rotation.random(random_state=3).as_matrix()
TENSOR = TURN @ np.diag([1.0, 0.5, 0.1]) @ TURN.T


def test_order_in_space():
    """Would catch a lumping, a tensor or a renumbering that is not consistent."""
    counts = [10, 20]
    errors = np.array([manufactured_errors(count, TENSOR, rate=20.0) for count in counts])
    sizes = [1 / count for count in counts]
    assert observed_order(sizes, errors[:, 0]) == pytest.approx(2.0, abs=0.1)
    assert observed_order(sizes, errors[:, 1]) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("depth", [1.0, 0.02])
def test_limits_leave_a_smooth_profile_alone(depth):
    """Would catch currents held back wherever lithium is close to a bound, however smooth it is.

    The profile touches both bounds, or stays within 2 % of full and touches that.
    """
    counts = [8, 16]
    errors = np.array(
        [
            manufactured_errors(count, TENSOR, rate=20.0, depth=depth, limited=True)
            for count in counts
        ]
    )
    sizes = [1 / count for count in counts]
    assert observed_order(sizes, errors[:, 0]) == pytest.approx(2.0, abs=0.1)
    plain = manufactured_errors(counts[-1], TENSOR, rate=20.0, depth=depth)
    np.testing.assert_allclose(errors[-1], plain, rtol=0.02)


def decay(count):
    """Return how fast waves along the slow and a fast axis decay, over the fast rate.

    The grain is turned by a matrix that is far from its transpose; its slow axis, whose
    diffusivity is 1e-6 of the others, lies along the first wave.
    """
    fast = 1e-14
    slow_axis = np.array([1.0, 2.0, 0.0]) / np.sqrt(5)
    across = np.array([2.0, -1.0, 0.0]) / np.sqrt(5)
    spun = np.cos(0.7) * across + np.sin(0.7) * np.array([0.0, 0.0, 1.0])
    rotation = np.column_stack([spun, np.cross(slow_axis, spun), slow_axis])
    materials = lopsided()
    materials = replace(
        materials,
        active=replace(
            materials.active,
            diffusivity=(fast, fast, 1e-6 * fast),
            open_circuit_voltage=constant(3.8),  # so that no current flows, whatever the waves do
        ),
    )
    data = face_collector(cells=count, layers=(1, 1), orientation=rotation[None])
    model = laminate(data, materials, couplings=Couplings(expansion=False, stress_drift=False))
    state = model.initial_state()
    wave_number = 2 * np.pi / WIDTH * np.sqrt(5)
    points = model.bodies.scalars.tabulate_dof_coordinates()[
        : model.electrochemistry.node_charge.size
    ]
    waves = np.cos(wave_number * np.stack([points @ slow_axis, points @ across]))
    filled = model.stoichiometry(state) + 0.1 * waves.sum(axis=0)
    unknown = (
        model.electrochemistry.unknowns.reduced[0][: filled.size]
        - model.electrochemistry.unknowns.offset
    )
    start = state.electrochemical.copy()
    start[unknown] = filled
    before, state = None, replace(state, electrochemical=start)

    steps = 20
    time_step = 1 / (fast * wave_number**2) / steps
    for _ in range(steps):
        after, _ = step(model, state, time_step, before=before, current=0.0)
        before, state = state, after
    amplitudes = [
        model.electrochemistry.charge(wave * model.stoichiometry(state)) for wave in waves
    ]
    original = [model.electrochemistry.charge(wave * filled) for wave in waves]
    return -np.log(np.divide(amplitudes, original))


def test_rotated_grain():
    """Would catch a tensor turned the wrong way round, as if by the inverse rotation.

    A wave in a crystal decays as exp(-k . D k t), and k . D k is 1e-6 along the slow axis.
    """
    counts = [16, 32]
    errors = np.array([decay(count) - [1e-6, 1.0] for count in counts])
    for error in np.abs(errors.T):
        assert error[-1] < 0.02
        assert observed_order([1 / count for count in counts], error) == pytest.approx(2, abs=0.2)

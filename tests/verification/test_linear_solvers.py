"""The linear solvers, by name, on the whole coupled problem.

If these fail, the results depend on how the equations were solved. The one worth reading:
`test_same_charge`, which goes through the onset of debonding.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import femssb.environment.platform

import numpy as np
import pytest

from femssb import HalfCell, Model, Polycrystal, library, mesh
from femssb.cell.coupling import Guess, Tolerances, advance
from femssb.cell.surfaces import INTERFACE
from femssb.errors import EngineError, InputError
from femssb.fem import newton
from femssb.fem.linear_solver import LinearSolver
from femssb.units import MPa, um
from tests.verification import half_cells

pytestmark = pytest.mark.mpi(ranks=2)

CELL = HalfCell(particles=(Polycrystal(grains=5, seed=1),))
SOLVERS = {
    "direct": LinearSolver(method="direct"),  # on several ranks, each does the whole
    "shared": LinearSolver(
        method="direct", options={"pc_type": "lu", "pc_factor_mat_solver_type": "mumps"}
    ),
    "incomplete": LinearSolver(method="incomplete"),
    "multigrid": LinearSolver(method="multigrid"),
}
COARSE, FINE = 2.5 * um, 1.25 * um  # the fine mesh has about 5 times the unknowns
TIGHT = Tolerances(current=1e-12, force=1e-11, exchange=1e-8)
TIME_STEP = 5.0  # [s]
CHARGE = (0.5, 0.5, 1.0, *[2.0] * 15)  # time steps [s], short enough for an interface that opens


@cache
def meshed(size):
    return mesh(CELL, size=size)


def weak():
    """Return materials whose interface fails early in a charge."""
    materials = library.yuan2023.materials()
    cohesive = replace(
        materials.cohesive,
        normal_strength=1 * MPa,
        shear_strength=1 * MPa,
        normal_fracture_energy=1e-4,
        shear_fracture_energy=1e-4,
    )
    return replace(materials, cohesive=cohesive)


@cache
def step(size, name):
    """Take one coupled step from rest and return the model, its state and its work."""
    return step_by(SOLVERS[name], size)


def step_by(linear_solver, size=COARSE):
    """Take the same step with a solver that has no name here."""
    model = Model(meshed(size), library.yuan2023.materials(), linear_solver=linear_solver)
    start = model.initial_state()
    guess = Guess(
        electrochemical=start.electrochemical,
        mechanical=start.mechanical,
        gap=start.gap,
        pull=start.pull,
    )
    state, work = advance(
        model,
        start,
        guess,
        time_step=TIME_STEP,
        rate=1 / TIME_STEP,
        history=-model.stoichiometry(start) / TIME_STEP,
        continued=False,
        current=model.one_c,
        tolerances=TIGHT,
    )
    return model, state, work


def difference(comm, one, other):
    """Return the largest difference over the largest value, of all ranks."""
    largest = max(comm.allgather(float(np.abs(one).max(initial=0.0))))
    return max(comm.allgather(float(np.abs(one - other).max(initial=0.0)))) / largest


@pytest.mark.mpi
def test_same_step(comm):
    """Would catch a split that misses unknowns, or an iterative solver that stops too early."""
    names = SOLVERS if comm.size < 3 else ("direct", "multigrid")
    (model, direct, _), *others = (step(COARSE, name) for name in names)
    for _, other, _ in others:
        assert other.voltage == pytest.approx(direct.voltage, rel=1e-10)
        assert difference(comm, direct.electrochemical, other.electrochemical) < 1e-9
        assert difference(comm, direct.mechanical, other.mechanical) < 1e-8
    assert model.bodies.largest(np.abs(direct.mechanical)) > 0


@pytest.mark.parametrize("name", ["incomplete", "multigrid"])
def test_iterations_do_not_grow(name, monkeypatch):
    """Would catch rigid motions that a method does not see, and fields split at the wrong place.

    By multigrid, electrochemistry takes about 5 and mechanics 14 to 18 iterations a solve, on both
    meshes; the bounds leave room for other processors and partitions.
    """
    monkeypatch.setattr(newton, "_reduction", lambda usual, *_: usual)
    for size in (COARSE, FINE):
        _, _, work = step_by(SOLVERS[name], size)
        assert work.linear_electrochemistry < 15 * work.newton_electrochemistry
        assert work.linear_mechanics < 30 * work.newton_mechanics


def charged(linear_solver):
    """Charge at 1C in given time steps; return voltage [V], mean gap [m] and damage after each."""
    model = Model(meshed(COARSE), weak(), linear_solver=linear_solver)
    interface, area = model.bodies.points[INTERFACE], model.bodies.area(INTERFACE)
    before, state, found = None, model.initial_state(), []
    for time_step in CHARGE:
        after, _ = half_cells.step(
            model,
            state,
            time_step,
            before=before,
            current=model.one_c,
            tolerances=Tolerances(force=1e-8, exchange=1e-5),
        )
        before, state = state, after
        gap, damage = (
            model.bodies.sum(interface.weights * values) / area
            for values in (model.gap(state.jump), state.damage)
        )
        found.append((state.voltage, gap, damage))
    return np.transpose(found)


def test_same_charge():
    """Would catch a preconditioner that fails, or is never renewed, once the interface opens.

    All take the same time steps. They solve the forces to 1e-8; where the interface softens, gap
    and damage err by up to a thousand times more.
    """
    voltage, gap, damage = charged(SOLVERS["direct"])
    assert damage[0] < 1e-3
    assert 0.5 < damage[-1] < 0.99
    for name in ("incomplete", "multigrid"):
        other_voltage, other_gap, other_damage = charged(SOLVERS[name])
        np.testing.assert_allclose(other_voltage, voltage, rtol=0, atol=1e-7)
        np.testing.assert_allclose(other_gap, gap, rtol=0, atol=1e-5 * gap[-1])
        np.testing.assert_allclose(other_damage, damage, rtol=0, atol=1e-5)


def test_each_problem_has_its_solver():
    """Would catch a choice for one problem that counts for both, or for none."""
    given = {"mechanics": LinearSolver(method="multigrid")}
    model, _, _ = step_by(given)
    kinds = [
        problem.linear_solver._ksp.getPC().getType()
        for problem in (model.mechanics, model.electrochemistry)
    ]
    assert kinds[0] == "gamg"
    assert kinds[1] != "gamg"
    for wrong, message in (
        ({"heat": LinearSolver()}, r"linear_solver names 'heat'.*electrochemistry"),
        ({"mechanics": "direct"}, r"linear_solver\['mechanics'\] = 'direct' is not a LinearSolver"),
    ):
        with pytest.raises(InputError, match=message):
            Model(meshed(COARSE), library.yuan2023.materials(), linear_solver=wrong)


@pytest.mark.mpi
def test_the_coarse_space_holds_linear_displacements():
    """Would catch one of rigid motions alone, or one that has quadratic parts on edges."""
    mechanics = Model(meshed(COARSE), library.yuan2023.materials()).mechanics
    motions = mechanics._lumps()
    gradient = np.random.default_rng(5).normal(size=(3, 3))
    wanted = mechanics.unknowns.vector()
    for index, (name, space) in enumerate(mechanics.spaces.items()):
        moved = (space.tabulate_dof_coordinates() / um) @ gradient.T
        if name not in mechanics.bodies.parts:
            moved = np.zeros_like(moved)  # a linear displacement has no quadratic part
        mechanics.unknowns.assign(wanted, index, moved.ravel())
    amplitudes, found = motions.createVecRight(), wanted.duplicate()
    motions.multTranspose(wanted, amplitudes)
    motions.mult(amplitudes, found)  # the columns are orthonormal
    size = wanted.norm()
    found.axpy(-1.0, wanted)
    assert found.norm() < 1e-9 * size


def test_refactor_at_each_newton_step():
    """Would catch a plain variant that keeps factors, and so a benchmark against the wrong case."""
    model, _, work = step_by(LinearSolver(refactor_after=0))
    assert model.electrochemistry.linear_solver.factorisations == work.newton_electrochemistry > 1
    assert model.mechanics.linear_solver.factorisations == work.newton_mechanics > 1


@pytest.mark.parametrize("name", SOLVERS)
def test_factors_are_kept(name):
    """Would catch a preconditioner that is built again although the old one still serves."""
    model, _, work = step(COARSE, name)
    assert model.electrochemistry.linear_solver.factorisations < work.newton_electrochemistry
    assert model.mechanics.linear_solver.factorisations < work.newton_mechanics


@pytest.mark.parametrize("name", ["incomplete", "multigrid"])
def test_a_rough_solve_leaves_no_trace(name):
    """Would catch a reduction that stays once it was asked for, or that is tighter than ours."""
    model, _, _ = step_by(SOLVERS[name])
    mechanics = model.mechanics
    closed = [
        np.tile(1e18 * np.eye(3), (len(p.weights), 1, 1)) for p in mechanics.problem.operators
    ]
    solver, jacobian = mechanics.linear_solver, mechanics.problem.jacobian(closed)
    matrix = jacobian.operator
    right_side = mechanics.unknowns.vector()
    first = matrix.getOwnershipRange()[0]
    right_side.array[:] = np.sin(first + np.arange(right_side.local_size))

    def left(reduction):
        solution, _ = solver.solve(jacobian, right_side, reduction=reduction)
        return (matrix @ solution - right_side).norm() / right_side.norm()

    own = solver.linear_solver.reduction
    assert left(0.3) > own  # it stops where that is enough
    assert left(None) <= 1.01 * own
    assert left(1e-5) <= 1.01e-5
    assert 1.01 * own >= left(None) > 1e-5  # what was asked for does not stay


def test_small_matrices_are_not_shared(comm):
    """Would catch a direct solver that shares what is too small, or is untested where it does."""
    for name, several in (("direct", "redundant"), ("shared", "lu")):
        model, _, _ = step(COARSE, name)
        for problem in (model.electrochemistry, model.mechanics):
            kind = problem.linear_solver._ksp.getPC().getType()
            assert kind == (several if comm.size > 1 else "lu")


def test_own_options_reach_the_factorisation():
    """Would catch PETSc options of the user that count on one rank only."""
    options = {"pc_factor_mat_solver_type": "unknown"}
    with pytest.raises(EngineError, match="solver type unknown"):
        step_by(LinearSolver(method="direct", options=options))


def test_unknown_method():
    """Would catch a misspelt name that silently means the default."""
    with pytest.raises(InputError, match=r"LinearSolver\.method must be one of .*got 'amg'"):
        LinearSolver(method="amg")

"""Newton's method: how steps are shortened, when to stop, and when to give up."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from femssb.environment.interruption import stop_if_asked
from femssb.errors import NotConverged
from femssb.fem.linear_solver import KrylovSolver
from femssb.fem.surface_problem import Law, Linearised, SurfaceProblem

_ROUNDOFF = 1e-15  # a residual is a sum, not known better than to the roundoff of its terms
_STEP_LENGTHS = (1.0, 0.5, 0.25, 0.125)  # until the residual is not above both of the last two
_EVALUATIONS = 10  # of the residual along a step, where its work is searched for a zero
_FARTHEST = 8.0  # that a step may be stretched to
_ENOUGH = 0.5  # of the work at the start of the step, left at its end
# Where a step that goes downhill leaves more of the residual than this share, surfaces change from
# branch to branch, and the next step need not be solved better than that.
_LITTLE, _ROUGH = 0.3, 0.1
# Of the reduction that is wanted, what a linear solve leaves; and the most that it reduces.
_SPARE, _FINEST = 0.3, 1e-6

Evaluate = Callable[[], Linearised]  # the residual at the present unknowns


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """The effort of a Newton solve."""

    newton: int  # Newton iterations
    linear: int  # iterations of the linear solver in all of them
    residual: float  # final residual over its scale


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When Newton's method gives up."""

    iterations: int = 100
    patience: int = 30  # iterations in which the smallest residual must halve


def solve(
    problem: SurfaceProblem,
    linear_solver: KrylovSolver,
    x: PETSc.Vec,
    load: PETSc.Vec,
    law: Law,
    *,
    tolerance: float,
    scale: float | None = None,
    fixed: int | None = None,
    limits: Limits = Limits(),
) -> Convergence:
    """Solve R(x) = 0 in place; collective.

    Args:
        problem: Residual and Jacobian.
        linear_solver: It keeps its preconditioner between calls.
        x: Guess, then solution.
        load: The load f.
        law: The laws of the surfaces.
        tolerance: Largest sum of absolute residuals over ``scale``.
        scale: By default the sum of absolute loads and surface forces.
        fixed: An unknown that keeps its value in ``x``; its equation is left out.
        limits: When to give up.

    Raises:
        NotConverged: If Newton's method or the linear solver fails.
        Interrupted: If a rank was asked to stop; see `femssb.environment.interruption`.
    """

    def failure(reason: str, residual: float) -> NotConverged:
        return NotConverged(f"{problem.name}: {reason}", residuals={problem.name: residual})

    def evaluate() -> Linearised:
        return problem.linearise(x, load, law, scale=scale, fixed=fixed)

    downhill = problem.energetic
    guess = x.copy()
    now = evaluate()
    norms = [now.norm]
    linear = 0
    for iteration in itertools.count():
        if not np.isfinite(now.norm):
            for found in problem.unknowns.comm.allgather(problem.failure):
                if found is not None:
                    raise found
            raise failure("the residual is not finite", np.inf)
        if now.norm <= tolerance * now.scale or now.norm <= _ROUNDOFF * now.magnitude():
            # petsc4py keeps dropped parallel objects until all ranks agree to free them.
            PETSc.garbage_cleanup(problem.unknowns.comm)
            return Convergence(newton=iteration, linear=linear, residual=now.relative)
        late = norms[-limits.patience :]
        early = norms[: -limits.patience]
        hopeless = bool(early) and min(late) > 0.5 * min(early)
        if hopeless and downhill and iteration < limits.iterations and not _symmetric(problem, now):
            # Surfaces whose tangent is not symmetric have no energy: once more, by the norm.
            downhill = hopeless = False
            guess.copy(x)
            now = evaluate()
            norms = [now.norm]
        if iteration == limits.iterations or hopeless:
            raise failure(f"Newton failed after {iteration} iterations", now.relative)
        stop_if_asked(problem.unknowns.comm)
        step, taken = linear_solver.solve(
            problem.jacobian(now.tangents, fixed),
            now.residual,
            reduction=_reduction(
                linear_solver.reduction, norms, downhill, tolerance * now.scale / now.norm
            ),
        )
        linear += taken
        search = _down if downhill else _towards_zero
        now = search(x, step, now, evaluate, norms)
        norms.append(now.norm)
    raise AssertionError  # the loop above only returns or raises


def _reduction(usual: float, norms: Sequence[float], downhill: bool, wanted: float) -> float:
    """Return by how much a linear solve must reduce its residual, from all norms so far.

    Where the norm falls as Newton's method makes it, the next one would fall by the square of that,
    and the linear solve must not spoil it, unless less is wanted.

    Source: Eisenstat and Walker 1996, doi:10.1137/0917003, choice 2.
    """
    left = norms[-1] / norms[-2] if len(norms) > 1 else 1.0
    if downhill and len(norms) > 1 and left > _LITTLE:
        return max(usual, _ROUGH)
    return min(usual, max(left**2, _SPARE * wanted, _FINEST))


def _symmetric(problem: SurfaceProblem, at: Linearised) -> bool:
    """Return whether the tangents of all surfaces are symmetric, but for roundoff; collective."""
    size = max((float(np.abs(t).max(initial=0.0)) for t in at.tangents), default=0.0)
    skew = max((float(np.abs(t - t.mT).max(initial=0.0)) for t in at.tangents), default=0.0)
    comm = problem.unknowns.comm
    return bool(comm.allreduce(skew, op=MPI.MAX) <= 1e-6 * comm.allreduce(size, op=MPI.MAX))


def _mover(x: PETSc.Vec, step: PETSc.Vec, evaluate: Evaluate) -> Callable[[float], Linearised]:
    """Return what goes a fraction of a step, in place, and evaluates the residual there."""
    start = x.copy()

    def at(fraction: float) -> Linearised:
        start.copy(x)
        x.axpy(-fraction, step)
        return evaluate()

    return at


def _towards_zero(
    x: PETSc.Vec, step: PETSc.Vec, before: Linearised, evaluate: Evaluate, norms: Sequence[float]
) -> Linearised:
    """Go along a step until the norm of the residual is not above both of the last two."""
    at = _mover(x, step, evaluate)
    for fraction in _STEP_LENGTHS:
        now = at(fraction)
        if now.norm <= max(norms[-2:]):
            break
    return now


def _down(
    x: PETSc.Vec, step: PETSc.Vec, before: Linearised, evaluate: Evaluate, norms: Sequence[float]
) -> Linearised:
    """Go along a step as far as it is good, in place; return what is found there.

    Of an energy the derivative along the step, the work of the residual, must come near zero: a
    search that keeps the zero between two points finds how far to go, downhill. The norm of the
    residual is no such guide: where a surface softens it grows on the way.
    """
    at = _mover(x, step, evaluate)
    first = before.residual.dot(step)
    if first < 0:  # uphill: the Jacobian is not positive where surfaces soften
        step.scale(-1.0)
        first = -first
    inner, outer = [(0.0, first)], [(np.inf, -np.inf)]  # fraction, work: before, past the zero
    for fraction in _fractions(inner, outer):
        now = at(fraction)
        work = now.residual.dot(step)
        if abs(work) <= _ENOUGH * first:
            return now
        (inner if work > 0 else outer).append((fraction, work))
    nearest, _ = inner[-1] if len(inner) > 1 else outer[-1]
    return now if nearest == fraction else at(nearest)


def _fractions(
    inner: Sequence[tuple[float, float]], outer: Sequence[tuple[float, float]]
) -> Iterator[float]:
    """Yield where to look for a zero, between points and values on both sides, nearest last.

    The step itself comes first, then twice as far until the zero is passed, within bounds. Where a
    surface closes the slope changes by orders of magnitude, so the distance is found before the
    place: by its logarithm.
    """
    yield 1.0
    for _ in range(_EVALUATIONS - 1):
        (a, at_a), (b, at_b) = inner[-1], outer[-1]
        if b == np.inf:
            if a >= _FARTHEST:
                return
            yield 2.0 * a
        elif a == 0.0:
            yield b * at_a / (at_a - at_b) if np.isfinite(at_b) else 0.1 * b
        else:
            yield float(np.sqrt(a * b)) if b > 4.0 * a else 0.5 * (a + b)

"""Newton's method: how steps are shortened, when to stop, and when to give up."""

import itertools
from dataclasses import dataclass

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np

from femssb.environment.interruption import stop_if_asked
from femssb.errors import NotConverged
from femssb.fem.linear_solver import KrylovSolver
from femssb.fem.surface_problem import Law, SurfaceProblem

_ROUNDOFF = 1e-15  # a residual is a sum, not known better than to the roundoff of its terms
_PATIENCE = 6  # iterations in which the residual must have halved: a shorter time step costs less
_STEP_LENGTHS = (1.0, 0.5, 0.25, 0.125)  # until the residual is not above both of the last two


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """The effort of a Newton solve."""

    newton: int  # Newton iterations
    linear: int  # iterations of the linear solver in all of them
    residual: float  # final residual over its scale


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
    maximum_newton: int = 14,
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
        maximum_newton: Iterations after which to give up.

    Raises:
        NotConverged: If Newton's method or the linear solver fails.
        Interrupted: If a rank was asked to stop; see `femssb.environment.interruption`.
    """

    def failure(reason: str, residual: float) -> NotConverged:
        return NotConverged(f"{problem.name}: {reason}", residuals={problem.name: residual})

    now = problem.linearise(x, load, law, scale=scale, fixed=fixed)
    norms = [now.norm]
    linear = 0
    for iteration in itertools.count():
        if not np.isfinite(now.norm):
            for found in problem.unknowns.comm.allgather(problem.failure):
                if found is not None:
                    raise found
            raise failure("the residual is not finite", np.inf)
        if now.norm <= max(tolerance * now.scale, _ROUNDOFF * now.magnitude):
            # petsc4py keeps dropped parallel objects until all ranks agree to free them.
            PETSc.garbage_cleanup(problem.unknowns.comm)
            return Convergence(newton=iteration, linear=linear, residual=now.relative)
        hopeless = iteration >= _PATIENCE and now.norm > 0.5 * norms[0]
        if iteration == maximum_newton or hopeless:
            raise failure(f"Newton failed after {iteration} iterations", now.relative)
        stop_if_asked(problem.unknowns.comm)
        step, taken = linear_solver.solve(problem.jacobian(now.tangents, fixed), now.residual)
        linear += taken
        start = x.copy()
        for fraction in _STEP_LENGTHS:
            start.copy(x)
            x.axpy(-fraction, step)
            now = problem.linearise(x, load, law, scale=scale, fixed=fixed)
            if now.norm <= max(norms[-2:]):
                break
        norms.append(now.norm)
    raise AssertionError  # the loop above only returns or raises

"""A Krylov method that keeps its preconditioner from one linear system to the next.

The preconditioner of GMRES, renewed when it has aged, has one of three names:

- ``direct``: a factorisation (MUMPS);
- ``incomplete``: an incomplete factorisation with one level of fill, by blocks of the unknowns of a
  node, in reverse Cuthill-McKee order; on several ranks within an overlapping Schwarz method;
- ``multigrid``: algebraic multigrid (GAMG).

The last two take the fields of a problem in turn where it has several.
"""

import itertools
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Literal

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np

from femssb.arrays import Indices
from femssb.description import description, field
from femssb.errors import EngineError, FemssbError, InputError, NotConverged
from femssb.fem.constraints import Unknowns
from femssb.fem.jacobian import Jacobian


@description
class LinearSolver:
    """How linear systems are solved."""

    method: Literal["automatic", "direct", "incomplete", "multigrid"] = field(
        "the preconditioner, or by size and kind what cost least where we measured",
        default="automatic",
    )
    direct_up_to: int = field(
        "unknowns that are solved directly unless a method is named", lower=0, default=2_000
    )
    reduction: float = field(
        "of the linear residual in a Newton step, at first; the next follow Newton's convergence",
        above=0,
        below=0.5,
        default=1e-2,
    )
    refactor_after: int | None = field(
        "iterations that an old preconditioner may cost in all: by default the price of a new one",
        lower=0,
        upper=1000,
        default=None,
    )
    stale_iterations: int = field(
        "iterations that it may cost in one solve", lower=1, upper=100_000, default=20
    )
    maximum_iterations: int = field(
        "of GMRES with a new preconditioner", lower=1, upper=100_000, default=300
    )
    options: Mapping[str, str] = field("PETSc options on top, without prefix", default_factory=dict)

    def method_for(self, unknowns: int, block_size: int = 1) -> str:
        """Return the method for a problem with so many unknowns, in all and at a node."""
        if self.method != "automatic":
            return self.method
        if unknowns <= self.direct_up_to:
            return "direct"
        return "incomplete" if block_size > 1 or unknowns <= _INCOMPLETE_UP_TO else "multigrid"


class KrylovSolver:
    """GMRES and the preconditioner that it keeps.

    Attributes:
        factorisations: How often the preconditioner was built.
        reduction: Of the residual in a solve, as `LinearSolver` or its PETSc options set it.
    """

    def __init__(
        self,
        name: str,
        unknowns: Unknowns,
        linear_solver: LinearSolver,
        *,
        block_size: int = 1,
        near_nullspace: Sequence[PETSc.Vec] = (),
        coarse_space: PETSc.Mat | None = None,
        splits: Mapping[str, Indices] | None = None,
    ) -> None:
        """Set the method up; collective.

        Args:
            name: Shown in errors; also the prefix of the PETSc options.
            unknowns: Numbering of the unknowns.
            linear_solver: How to solve.
            block_size: Unknowns of a node, which follow each other.
            near_nullspace: Slow modes of the matrix, orthonormal, for multigrid.
            coarse_space: What an incomplete factorisation misses (columns); the system is solved
                for that first.
            splits: Unknowns of each field on this rank, in the order in which all but the direct
                method take the fields in turn; None to take all at once.
        """
        self.name = name
        self.linear_solver = linear_solver
        self.factorisations = 0
        self._unknowns = unknowns
        self._method = linear_solver.method_for(unknowns.size, block_size)
        self._blocks = self._method == "incomplete" and block_size > 1
        given = linear_solver.refactor_after
        self._refactor_after = _PRICE[self._method] if given is None else given
        self._preconditioner: PETSc.Mat | None = None
        self._aged = True
        self._fresh = 0.0  # iterations a decade of the residual, with the preconditioner when new
        self._excess = 0.0  # iterations beyond that, in all solves with it
        self._near_nullspace = list(near_nullspace)
        self._coarse_space = coarse_space if self._method == "incomplete" else None
        self._ksp = self._created(splits or {})

    def solve(
        self, jacobian: Jacobian, right_side: PETSc.Vec, *, reduction: float | None = None
    ) -> tuple[PETSc.Vec, int]:
        """Solve a system, renewing an aged preconditioner before, or after a failure; collective.

        Args:
            jacobian: Matrix of the system; it may change between calls.
            right_side: Of the system.
            reduction: Of the residual; by default that of the options.

        Returns:
            The solution and the number of iterations.

        Raises:
            NotConverged: If the method fails with a new preconditioner.
            EngineError: If PETSc lacks what is asked for, or memory.
        """
        chosen = self.linear_solver
        solution = self._unknowns.vector()
        iterations = 0
        ksp = self._ksp
        ksp.setInitialGuessNonzero(False)
        ksp.rtol = self.reduction if reduction is None else reduction
        decades = -np.log10(np.clip(ksp.rtol, 1e-15, 0.8))
        for fresh in (True,) if self._aged else (False, True):
            if fresh:
                self._renew(jacobian)
            ksp.setOperators(jacobian.operator, self._preconditioner)
            ksp.getPC().setReusePreconditioner(not fresh)
            stale = int(self._fresh * decades) + chosen.stale_iterations
            ksp.max_it = chosen.maximum_iterations if fresh else stale
            try:
                with self._options_known() if fresh else nullcontext():
                    ksp.solve(right_side, solution)
            except PETSc.Error as error:
                self._aged = True
                raise self._failure(error) from error
            taken = ksp.getIterationNumber()
            iterations += taken
            if ksp.getConvergedReason() > 0:
                if fresh:
                    self._fresh, self._excess = taken / decades, 0.0
                else:
                    self._excess += taken - self._fresh * decades
                self._aged = self._excess >= self._refactor_after
                return solution, iterations
            # What an old preconditioner has reached is where a new one goes on.
            ksp.setInitialGuessNonzero(
                ksp.getConvergedReason() == PETSc.KSP.ConvergedReason.DIVERGED_MAX_IT
            )
        reason = f"the linear solver failed (PETSc reason {ksp.getConvergedReason()})"
        raise NotConverged(f"{self.name}: {reason}", residuals={self.name: np.inf})

    def _failure(self, error: PETSc.Error) -> FemssbError:
        """Return what an error of PETSc is for us: a shorter time step helps against some."""
        lines, own = str(error).splitlines(), self.linear_solver.options
        reason = (
            f"PETSc failed with error {error.ierr}: {lines[-1] if lines else 'no reason given'}"
        )
        if error.ierr in _NUMERICAL:
            return NotConverged(f"{self.name}: {reason}", residuals={self.name: np.inf})
        asked = f"; LinearSolver.options = {dict(own)}" if own else ""
        return EngineError(f"{self.name}: {reason}{asked}")

    def _renew(self, jacobian: Jacobian) -> None:
        # A copy: the matrix changes under a preconditioner that is meant to stay as it is.
        matrix = jacobian.assembled()
        if self._blocks:
            self._preconditioner = matrix.convert(
                PETSc.Mat.Type.BAIJ, out=self._preconditioner or PETSc.Mat()
            )
        elif self._preconditioner is None:
            self._preconditioner = matrix.duplicate(copy=True)
            if self._near_nullspace:
                slow = PETSc.NullSpace().create(vectors=self._near_nullspace, comm=matrix.comm)
                self._preconditioner.setNearNullSpace(slow)
        else:
            matrix.copy(self._preconditioner, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        if self._coarse_space is not None:
            coarse = jacobian.projected(self._coarse_space)
            self._ksp.getPC().getMGCoarseSolve().setOperators(coarse)
        self.factorisations += 1

    def _created(self, splits: Mapping[str, Indices]) -> PETSc.KSP:
        """Return GMRES, set up; keep its options, those of the user last."""
        comm, size, own = self._unknowns.comm, self._unknowns.size, self.linear_solver.options
        method = self._method
        chosen = _DEFAULTS[method]
        if method == "incomplete" and comm.size > 1:
            chosen = _SCHWARZ | {f"sub_{key}": value for key, value in chosen.items()}
        prefix = f"femssb_{next(_SERIAL)}_{self.name.replace(' ', '_')}_"
        ksp = PETSc.KSP().create(comm)
        ksp.setOptionsPrefix(prefix)  # first: splits take it over as they are made
        if self._coarse_space is not None:
            chosen = _TWO_LEVELS | {f"mg_levels_{key}": value for key, value in chosen.items()}
            ksp.getPC().setType(PETSc.PC.Type.MG)
            ksp.getPC().setMGLevels(2)
            ksp.getPC().setMGInterpolation(1, self._coarse_space)
        if method == "direct" and comm.size > 1 and size <= _SHARED_FROM and "pc_type" not in own:
            inner = {key: v for key, v in {**chosen, **own}.items() if not key.startswith("ksp_")}
            chosen = {"pc_type": "redundant", **{f"redundant_{key}": v for key, v in inner.items()}}
        if method != "direct" and splits:
            chosen = {
                "pc_type": "fieldsplit",
                "pc_fieldsplit_type": "multiplicative",
                **{f"fieldsplit_{k}_{key}": v for k in splits for key, v in chosen.items()},
                **{f"fieldsplit_{k}_ksp_type": "preonly" for k in splits},
            }
            ksp.getPC().setType(PETSc.PC.Type.FIELDSPLIT)
            for name, numbers in splits.items():
                rows = PETSc.IS().createGeneral(numbers.astype(PETSc.IntType), comm)
                ksp.getPC().setFieldSplitIS((name, rows))
        self._options = {prefix + key: value for key, value in {**chosen, **own}.items()}
        ksp.setType(PETSc.KSP.Type.GMRES)
        ksp.setPCSide(PETSc.PC.Side.RIGHT)
        ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setGMRESRestart(100)
        ksp.setTolerances(rtol=self.linear_solver.reduction, atol=0.0)
        try:
            with self._options_known():
                ksp.setFromOptions()
            self.reduction = float(ksp.rtol)  # an option of the user may have set it
        except PETSc.Error as error:
            if not own:
                raise EngineError(f"{self.name}: {error}") from error
            raise InputError(f"LinearSolver.options = {dict(own)} are refused by PETSc") from error
        return ksp

    @contextmanager
    def _options_known(self) -> Generator[None]:
        """Lend PETSc the options: it reads them while it builds, and warns of any left unread."""
        options = PETSc.Options()
        for key, value in self._options.items():
            options.setValue(key, value)
        try:
            yield
        finally:
            for key in self._options:
                options.delValue(key)


# Up to so many unknowns every rank factors the whole matrix: ranks that share a small one wait for
# each other longer than that takes.
_SHARED_FROM = 2_000
# Zero pivots (71, 81), floating point (72), an outside library (76), no convergence (82, 91).
_NUMERICAL = {71, 72, 76, 81, 82, 91}
# Electrochemistry, without a coarse space: one core, seconds of solving in the first 300 s of a 1C
# charge, 4 400 | 12 600 unknowns: incomplete .93 | 1.5, multigrid 1.4 | 1.8, direct 2.7 | 5.7.
_INCOMPLETE_UP_TO = 15_000
# Iterations that cost about as much as a new preconditioner.
_PRICE = {"direct": 50, "incomplete": 20, "multigrid": 50}
# Each rank sees the residual of its own unknowns alone and changes those of the overlap, too. The
# usual other way round, which PETSc takes by default, takes half as many iterations again: 50
# particles as they come loose, two ranks, one decade or two: 11, 26, 20, 12, 3 against 21, 37, 34,
# 22, 11; without subdomains 11, 14, 28, 12, 11.
_SCHWARZ = {"pc_type": "asm", "pc_asm_overlap": "1", "pc_asm_type": "interpolate"}
# The coarse space first, then one step from there. Beside each other they take a fifth more
# iterations, each a third cheaper: slower with one particle, as fast with fifty.
_TWO_LEVELS = {
    "pc_mg_type": "kaskade",
    "mg_levels_ksp_type": "richardson",
    "mg_levels_ksp_max_it": "1",
    "mg_coarse_pc_type": "redundant",
    "mg_coarse_redundant_pc_type": "lu",
    "mg_coarse_redundant_pc_factor_mat_solver_type": "mumps",
}
_SERIAL = itertools.count()  # each solver has PETSc options of its own

_DEFAULTS: dict[str, dict[str, str]] = {
    "direct": {
        "pc_type": "lu",
        "pc_factor_mat_solver_type": "mumps",
        "mat_mumps_icntl_7": "5",
        "mat_mumps_icntl_14": "50",
    },
    "incomplete": {
        "pc_type": "ilu",
        "pc_factor_levels": "1",
        "pc_factor_mat_ordering_type": "rcm",
    },
    "multigrid": {
        "pc_type": "gamg",
        "pc_gamg_threshold": "0.01",
        "pc_gamg_reuse_interpolation": "false",  # or it would still cross a debonded interface
        "mg_levels_ksp_type": "chebyshev",
        "mg_levels_ksp_max_it": "3",
        "mg_levels_pc_type": "jacobi",  # SOR refuses a zero diagonal: a node alone in its aggregate
    },
}

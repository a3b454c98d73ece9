r"""Newton's method for bulk problems that are linear but for laws at the points of a surface.

The residual is :math:`R(x) = K x - f + \sum B^T W\, t(B x)`: K is the bulk matrix, f the load, B
evaluates what a law needs at the points of a surface, W holds the areas and t is the law. The
Jacobian is :math:`K + B^T W\, t'(B x)\, B`.

Two ways to solve the linear systems, by name: ``direct`` keeps one factorisation (MUMPS) as the
preconditioner of GMRES and renews it when it has aged; ``iterative`` does the same with algebraic
multigrid, for each of several fields by turns where there are fields, and needs far less memory.
The default takes the first for what fits. Of a small matrix every rank factors the whole: ranks
that share it wait for each other longer than that takes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
from numpy.typing import NDArray

from femssb.errors import NotConverged, check_number
from femssb.fem.constraints import Unknowns

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Law = Callable[[list[Array]], list[tuple[Array, Array]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearSolver:
    """How linear systems are solved.

    Raises:
        InputError: If a number is out of its bounds.
    """

    method: str = "automatic"  # "direct" (MUMPS), "iterative" (GAMG), or direct for what fits
    direct_up_to: int = 5_000  # unknowns of a problem: beyond, multigrid is faster by far [-]
    reduction: float = 1e-2  # of the linear residual, in each Newton step
    refactor_after: int = 50  # iterations an old preconditioner may cost in all: about a new one
    stale_iterations: int = 60  # iterations it may cost in one solve
    maximum_iterations: int = 300  # of GMRES with a new preconditioner
    options: dict[str, str] = field(default_factory=dict)  # PETSc options on top, without prefix

    def __post_init__(self) -> None:
        """Check every field."""
        from femssb.errors import InputError

        if self.method not in ("automatic", "direct", "iterative"):
            raise InputError(
                f"LinearSolver.method = {self.method!r} is not one of 'automatic', 'direct', "
                "'iterative'"
            )
        owner = "LinearSolver"
        check_number(owner, "direct_up_to", self.direct_up_to, lower=0)
        check_number(owner, "reduction", self.reduction, above=0, below=0.5)
        check_number(owner, "refactor_after", self.refactor_after, lower=0, upper=1000)
        check_number(owner, "stale_iterations", self.stale_iterations, lower=1, upper=100000)
        check_number(owner, "maximum_iterations", self.maximum_iterations, lower=1, upper=100000)

    def method_for(self, unknowns: int) -> str:
        """Return ``direct`` or ``iterative``, for a problem with so many unknowns."""
        if self.method != "automatic":
            return self.method
        return "direct" if unknowns <= self.direct_up_to else "iterative"


@dataclass(frozen=True, kw_only=True)
class PointOperator:
    """The matrix B of one surface, as one small dense block per point.

    A column of -1 stands for a fixed unknown.
    """

    columns: Indices  # (n, m) unknowns that a point sees
    values: Array  # (n, k, m) weights of the m unknowns in the k quantities of the law
    weights: Array  # (n,) area of each point [m2]


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """What a Newton solve took."""

    newton: int  # Newton iterations
    linear: int  # GMRES iterations of all of them
    residual: float  # final residual over its scale


@dataclass(frozen=True, kw_only=True)
class _Linearised:
    """A residual and what is needed to judge and to reduce it."""

    residual: PETSc.Vec
    tangents: list[Array]
    norm: float  # sum of absolute residuals
    scale: float  # what it is compared with
    magnitude: float  # sum of absolute values of its terms

    @property
    def relative(self) -> float:
        return self.norm / self.scale if self.scale > 0 else self.norm


class SurfaceProblem:
    """A linear bulk with nonlinear surface laws, and the linear solver that it keeps.

    Attributes:
        factorisations: How often the preconditioner was built.
    """

    def __init__(
        self,
        name: str,
        unknowns: Unknowns,
        rows: Indices,
        columns: Indices,
        operators: Sequence[PointOperator],
        linear_solver: LinearSolver,
        *,
        block_size: int = 1,
        near_nullspace: Sequence[PETSc.Vec] = (),
        splits: Mapping[str, Indices] | None = None,
    ) -> None:
        """Lay out the matrices; collective.

        Args:
            name: Shown in errors; also the PETSc options prefix.
            unknowns: Numbering of the reduced unknowns.
            rows: (nnz,) rows of the bulk entries, repeated ones add up, -1 is left out.
            columns: (nnz,) their columns.
            operators: One for each surface that has a law.
            linear_solver: How to solve.
            block_size: Unknowns of a node, which multigrid keeps together.
            near_nullspace: Slow modes of the bulk, orthonormal, for multigrid.
            splits: Unknowns of each field on this rank, in the order in which the iterative
                solver takes the fields by turns; None to take all at once.
        """
        self.name = name
        self.unknowns = unknowns
        self.operators = list(operators)
        self.linear_solver = linear_solver
        self.factorisations = 0
        self._block_size = block_size
        self._bulk = self._matrix(rows, columns)
        outer = [_outer(op.columns) for op in operators]
        self._jacobian = self._matrix(
            np.concatenate([rows, *(pair[0] for pair in outer)]),
            np.concatenate([columns, *(pair[1] for pair in outer)]),
        )
        self._jacobian.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self._bulk_values = np.zeros(len(rows))
        self._evaluate = [self._evaluation(op) for op in operators]
        self._preconditioner: PETSc.Mat | None = None
        self._aged = True
        self._fresh_iterations = 0  # of the first solve with the present preconditioner
        self._excess = 0  # iterations beyond that, in all solves with it
        self._near_nullspace = (
            PETSc.NullSpace().create(vectors=list(near_nullspace), comm=unknowns.comm)
            if near_nullspace
            else None
        )
        self._ksp = self._krylov(name, splits or {})

    def set_bulk(self, values: Array) -> None:
        """Give the bulk entries, in the order of ``rows``, shape (nnz,); collective."""
        self._bulk_values = values
        self._bulk.setValuesCOO(values, PETSc.InsertMode.INSERT_VALUES)

    def age(self) -> None:
        """Have the preconditioner renewed at the next solve."""
        self._aged = True

    def at_points(self, x: PETSc.Vec) -> list[Array]:
        """Return B x for each surface, shapes (n, k); collective."""
        return [
            (matrix @ x).array_r.reshape(op.values.shape[:2]).copy()
            for matrix, op in zip(self._evaluate, self.operators, strict=True)
        ]

    def surface_load(self, fluxes: Sequence[Array]) -> PETSc.Vec:
        """Return the sum of B^T W t over the surfaces, for fluxes t (n, k); collective."""
        total = self.unknowns.vector()
        part = self.unknowns.vector()
        for matrix, op, flux in zip(self._evaluate, self.operators, fluxes, strict=True):
            weighted = matrix.createVecLeft()
            weighted.array[:] = (op.weights[:, None] * flux).ravel()
            matrix.multTranspose(weighted, part)
            total.axpy(1.0, part)
        return total

    def residual(self, x: PETSc.Vec, load: PETSc.Vec, fluxes: Sequence[Array]) -> PETSc.Vec:
        """Return K x - f + B^T W t; collective."""
        residual = self.surface_load(fluxes)
        self._bulk.multAdd(x, residual, residual)
        residual.axpy(-1.0, load)
        return residual

    def solve(
        self,
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
            x: Starting guess, then the solution.
            load: The load f.
            law: Takes the quantities (n, k) of each surface and returns for each the fluxes
                (n, k) and their derivatives (n, k, k).
            tolerance: Largest sum of absolute residuals, relative to ``scale``.
            scale: What to compare with; by default the sum of absolute loads and surface forces.
            fixed: An unknown that keeps its value in ``x``; its equation is left out.
            maximum_newton: Iterations after which to give up.

        Raises:
            NotConverged: If Newton or the linear solver fails.
        """
        now = self._linearise(x, load, law, scale, fixed)
        norms = [now.norm]
        linear = 0
        for iteration in itertools.count():
            if not np.isfinite(now.norm):
                raise self._failure("the residual is not finite", np.inf)
            # Sums of terms of this magnitude are not known better than to their roundoff.
            if now.norm <= max(tolerance * now.scale, _ROUNDOFF * now.magnitude):
                # petsc4py keeps dropped parallel objects until it is told that all ranks agree.
                PETSc.garbage_cleanup(self.unknowns.comm)
                return Convergence(newton=iteration, linear=linear, residual=now.relative)
            hopeless = iteration >= _PATIENCE and now.norm > 0.5 * norms[0]
            if iteration == maximum_newton or hopeless:
                raise self._failure(f"Newton failed after {iteration} iterations", now.relative)
            self._set_jacobian(now.tangents, fixed)
            step, its = self._solve_linear(now.residual)
            linear += its
            start = x.copy()
            for fraction in _STEP_LENGTHS:
                start.copy(x)
                x.axpy(-fraction, step)
                now = self._linearise(x, load, law, scale, fixed)
                if now.norm <= max(norms[-2:]):
                    break
            norms.append(now.norm)
        raise AssertionError  # the loop above only returns or raises

    def _linearise(
        self, x: PETSc.Vec, load: PETSc.Vec, law: Law, scale: float | None, fixed: int | None
    ) -> _Linearised:
        """Evaluate the residual and the derivatives of the laws; collective."""
        response = law(self.at_points(x))
        surface = self.surface_load([flux for flux, _ in response])
        residual = self._bulk @ x
        magnitude = _norm(load) + _norm(surface) + _norm(residual)
        residual.axpy(1.0, surface)
        residual.axpy(-1.0, load)
        if fixed is not None:
            self._put(residual, fixed, 0.0)
        return _Linearised(
            residual=residual,
            tangents=[tangent for _, tangent in response],
            norm=_norm(residual),
            scale=scale if scale is not None else _norm(load) + _norm(surface),
            magnitude=magnitude,
        )

    def _failure(self, reason: str, residual: float) -> NotConverged:
        return NotConverged(f"{self.name}: {reason}", residuals={self.name: residual})

    def _put(self, vector: PETSc.Vec, index: int, value: float) -> None:
        values = vector.array  # on every rank: PETSc would keep an old norm where it is not written
        local = index - self.unknowns.offset
        if 0 <= local < self.unknowns.local_size:
            values[local] = value

    def _matrix(self, rows: Indices, columns: Indices) -> PETSc.Mat:
        n = (self.unknowns.local_size, self.unknowns.size)
        matrix = PETSc.Mat().create(comm=self.unknowns.comm)
        matrix.setSizes((n, n), bsize=self._block_size)
        matrix.setType(PETSc.Mat.Type.AIJ)
        matrix.setPreallocationCOO(rows.astype(PETSc.IntType), columns.astype(PETSc.IntType))
        return matrix

    def _evaluation(self, op: PointOperator) -> PETSc.Mat:
        n, k, m = op.values.shape
        matrix = PETSc.Mat().create(comm=self.unknowns.comm)
        matrix.setSizes(((n * k, None), (self.unknowns.local_size, self.unknowns.size)))
        matrix.setType(PETSc.Mat.Type.AIJ)
        matrix.setUp()
        first = matrix.getOwnershipRange()[0]
        rows = np.broadcast_to((first + np.arange(n * k)).reshape(n, k, 1), (n, k, m))
        columns = np.broadcast_to(op.columns[:, None, :], (n, k, m))
        matrix.setPreallocationCOO(
            rows.ravel().astype(PETSc.IntType), columns.ravel().astype(PETSc.IntType)
        )
        matrix.setValuesCOO(op.values.ravel(), PETSc.InsertMode.INSERT_VALUES)
        return matrix

    def _set_jacobian(self, tangents: Sequence[Array], fixed: int | None) -> None:
        blocks = [
            np.einsum(
                "n,nkm,nkl,nlj->nmj", op.weights, op.values, tangent, op.values, optimize=True
            ).ravel()
            for op, tangent in zip(self.operators, tangents, strict=True)
        ]
        values = np.concatenate([self._bulk_values, *blocks])
        self._jacobian.setValuesCOO(values, PETSc.InsertMode.INSERT_VALUES)
        if fixed is not None:
            self._jacobian.zeroRows([fixed], diag=1.0)

    def _krylov(self, name: str, splits: Mapping[str, Indices]) -> PETSc.KSP:
        prefix = f"femssb_{next(_SERIAL)}_{name.replace(' ', '_')}_"
        method = self.linear_solver.method_for(self.unknowns.size)
        chosen, own = _DEFAULTS[method], self.linear_solver.options
        small = self.unknowns.comm.size > 1 and self.unknowns.size <= _SHARED_FROM
        if method == "direct" and small and "pc_type" not in own:
            inner = {key: v for key, v in {**chosen, **own}.items() if not key.startswith("ksp_")}
            chosen = {"pc_type": "redundant", **{f"redundant_{key}": v for key, v in inner.items()}}
        ksp = PETSc.KSP().create(self.unknowns.comm)
        ksp.setOptionsPrefix(prefix)
        if splits and method == "iterative":
            chosen = {
                "pc_type": "fieldsplit",
                "pc_fieldsplit_type": "multiplicative",
                **{f"fieldsplit_{k}_{key}": v for k in splits for key, v in chosen.items()},
                **{f"fieldsplit_{k}_ksp_type": "preonly" for k in splits},
            }
            ksp.getPC().setType(PETSc.PC.Type.FIELDSPLIT)
            ksp.getPC().setFieldSplitIS(
                *(
                    (k, PETSc.IS().createGeneral(v.astype(PETSc.IntType), self.unknowns.comm))
                    for k, v in splits.items()
                )
            )
        chosen = {**chosen, **own}
        self._options = {prefix + key: value for key, value in chosen.items()}
        ksp.setType(PETSc.KSP.Type.GMRES)
        ksp.setPCSide(PETSc.PC.Side.RIGHT)
        ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setGMRESRestart(100)
        ksp.setTolerances(
            rtol=self.linear_solver.reduction,
            atol=0.0,
            max_it=self.linear_solver.maximum_iterations,
        )
        with self._options_known():
            ksp.setFromOptions()
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

    def _solve_linear(self, right_side: PETSc.Vec) -> tuple[PETSc.Vec, int]:
        """Solve with the current Jacobian; renew an aged preconditioner, before or on failure."""
        chosen = self.linear_solver
        step = self.unknowns.vector()
        iterations = 0
        ksp = self._ksp
        for fresh in (self._aged, True):
            if fresh:
                self._renew()
            ksp.setOperators(self._jacobian, self._preconditioner)
            ksp.getPC().setReusePreconditioner(not fresh)
            stale = self._fresh_iterations + chosen.stale_iterations
            ksp.max_it = chosen.maximum_iterations if fresh else stale
            with self._options_known() if fresh else nullcontext():
                ksp.solve(right_side, step)
            taken = ksp.getIterationNumber()
            iterations += taken
            if ksp.getConvergedReason() > 0:
                if fresh:
                    self._fresh_iterations, self._excess = taken, 0
                self._excess += taken - self._fresh_iterations
                self._aged = self._excess >= chosen.refactor_after
                return step, iterations
            if fresh:
                break
        raise self._failure(
            f"the linear solver failed (PETSc reason {ksp.getConvergedReason()})", np.inf
        )

    def _renew(self) -> None:
        # A copy: the Jacobian changes under a preconditioner that is meant to stay as it is.
        if self._preconditioner is None:
            self._preconditioner = self._jacobian.duplicate(copy=True)
            if self._near_nullspace is not None:
                self._preconditioner.setNearNullSpace(self._near_nullspace)
        else:
            self._jacobian.copy(self._preconditioner, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        self.factorisations += 1


_SHARED_FROM = 2_000  # unknowns that two ranks factor together in the time that one takes
_ROUNDOFF = 1e-14
_PATIENCE = 6  # Newton iterations that may pass before the residual is halved
_STEP_LENGTHS = (1.0, 0.5, 0.25, 0.125)  # tried until the residual is below the last two
_SERIAL = itertools.count()  # each problem has PETSc options of its own

_DEFAULTS: dict[str, dict[str, str]] = {
    "direct": {
        "pc_type": "lu",
        "pc_factor_mat_solver_type": "mumps",
        "mat_mumps_icntl_7": "5",
        "mat_mumps_icntl_14": "50",
    },
    "iterative": {
        "pc_type": "gamg",
        "pc_gamg_threshold": "0.01",
        "pc_gamg_reuse_interpolation": "false",  # or it would still go across a debonded interface
        "mg_levels_ksp_type": "chebyshev",
        "mg_levels_ksp_max_it": "3",
        "mg_levels_pc_type": "jacobi",  # SOR refuses a zero diagonal: a node alone in its aggregate
    },
}


def _norm(vector: PETSc.Vec) -> float:
    return float(vector.norm(PETSc.NormType.NORM_1))


def _outer(columns: Indices) -> tuple[Indices, Indices]:
    n, m = columns.shape
    rows = np.broadcast_to(columns[:, :, None], (n, m, m)).ravel()
    cols = np.broadcast_to(columns[:, None, :], (n, m, m)).ravel()
    return rows, cols

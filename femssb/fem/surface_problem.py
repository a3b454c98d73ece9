r"""Bulk problems that are linear but for laws at the points of surfaces.

The residual is :math:`R(x) = K x - f + \sum B^T W\, t(B x)`: K is the bulk matrix, f the load, B
evaluates what a law needs at the points of a surface, W holds the areas and t is the law. The
Jacobian is :math:`K + B^T W\, t'(B x)\, B`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np

from femssb.arrays import Array, Indices
from femssb.errors import FemssbError
from femssb.fem.constraints import Unknowns
from femssb.fem.jacobian import Jacobian

# Takes the quantities (n, k) of each surface; returns for each the fluxes (n, k) and their
# derivatives (n, k, k).
Law = Callable[[list[Array]], list[tuple[Array, Array]]]


@dataclass(frozen=True, kw_only=True)
class PointOperator:
    """The matrix B of one surface, as one small dense block per point.

    A column of -1 stands for a fixed unknown.
    """

    columns: Indices  # (n, m) unknowns that a point sees
    values: Array  # (n, k, m) weights of the m unknowns in the k quantities of the law
    weights: Array  # (n,) area of each point [m2]

    @cached_property
    def _sees_unknowns(self) -> bool:
        """Whether what a law sees are the unknowns themselves, as along edges."""
        k, m = self.values.shape[1:]
        return k == m and bool((self.values == np.eye(k)).all())

    def between(self, tangents: Array) -> Array:
        """Return what tangents (n, k, k) are between the unknowns that points see, (n, m, m)."""
        if self._sees_unknowns:
            return tangents
        return np.asarray(self.values.mT @ (tangents @ self.values))

    @classmethod
    def joined(cls, blocks: Sequence[tuple[Indices, Array]], weights: Array) -> PointOperator:
        """Return the sum of blocks, each the columns and values of one field."""
        columns, values = zip(*blocks, strict=True)
        joined = np.concatenate(values, axis=2)
        return cls(columns=np.hstack(columns), values=joined, weights=weights)

    def __getitem__(self, points: Indices | slice) -> PointOperator:
        """Return that of some of the points."""
        return PointOperator(
            columns=self.columns[points], values=self.values[points], weights=self.weights[points]
        )


@dataclass(frozen=True, kw_only=True)
class Linearised:
    """A residual and what is needed to judge and to reduce it."""

    residual: PETSc.Vec
    tangents: list[Array]  # of the law of each surface
    norm: float  # sum of absolute residuals
    scale: float  # what it is compared with
    magnitude: Callable[[], float]  # sum of absolute values of its terms, before any cancel

    @property
    def relative(self) -> float:
        """Norm over scale."""
        return self.norm / self.scale if self.scale > 0 else self.norm


class SurfaceProblem:
    """A linear bulk with nonlinear surface laws: its residual and its Jacobian.

    Attributes:
        energetic: Whether the residual derives from an energy, but for what dissipates.
        failure: What a law raised on this rank when the problem was last linearised, or None.
    """

    failure: FemssbError | None = None

    def __init__(
        self,
        name: str,
        unknowns: Unknowns,
        entries: Sequence[tuple[Indices, Indices, Array]],
        operators: Sequence[PointOperator],
        *,
        block_size: int = 1,
        energetic: bool = False,
        held: Indices | None = None,
    ) -> None:
        """Lay out the matrices; collective.

        Args:
            name: Shown in errors.
            unknowns: Numbering of the reduced unknowns.
            entries: Parts of the bulk matrix: rows, columns and values, shape (nnz,) each; repeated
                ones add up, a row or column of -1 is left out.
            operators: One for each surface that has a law.
            block_size: Unknowns of a node, which solvers keep together.
            energetic: Whether the residual derives from an energy, but for what dissipates.
            held: Unknowns of this rank that keep their value: their equations are left out, and
                what holds them counts as a force.
        """
        self.name = name
        self.unknowns = unknowns
        self.energetic = energetic
        self.operators = list(operators)
        self._block_size = block_size
        self._held = np.empty(0, np.int64) if held is None else held
        self._holds = bool(unknowns.comm.allreduce(self._held.size))
        self._jacobian = Jacobian(
            unknowns,
            [(rows, columns) for rows, columns, _ in entries],
            [_outer(op.columns) for op in operators],
            block_size=block_size,
            held=self._held,
        )
        self._evaluate = [self._evaluation(op) for op in operators]
        self.set_bulk([values for _, _, values in entries])

    def set_bulk(self, values: Sequence[Array], *, terms: Sequence[Array] | None = None) -> None:
        """Set the values of each part of the bulk matrix; collective.

        Where laws take the place of a part, `terms` are values as large as theirs: the residual is
        not known better than to the roundoff of these.
        """
        self._jacobian.set_bulk(np.concatenate(values if terms is None else terms))
        starts, _, entries = self.bulk.getValuesCSR()
        sums = np.append(0.0, np.cumsum(np.abs(entries)))
        self._sizes = np.diff(sums[starts])  # of the absolute entries of each row, or column
        if terms is not None:
            self._jacobian.set_bulk(np.concatenate(values))

    @property
    def bulk(self) -> PETSc.Mat:
        """The matrix K."""
        return self._jacobian.bulk

    def at_points(self, x: PETSc.Vec) -> list[Array]:
        """Return B x for each surface, shapes (n, k); collective."""
        return [
            (matrix @ x).array_r.reshape(op.values.shape[:2]).copy()
            for matrix, op in zip(self._evaluate, self.operators, strict=True)
        ]

    def linearise(
        self,
        x: PETSc.Vec,
        load: PETSc.Vec,
        law: Law,
        *,
        scale: float | None = None,
        fixed: int | None = None,
    ) -> Linearised:
        """Evaluate the residual and the derivatives of the laws; collective.

        The scale, compared with the residual, is by default the sum of absolute loads and surface
        forces; the equation of a fixed unknown is left out. Where a law fails on a rank, `failure`
        keeps why and the norm is NaN, on all ranks.
        """
        seen = self.at_points(x)
        response = self._answered(law, seen)
        surface, part = self.unknowns.vector(), self.unknowns.vector()
        for matrix, op, (flux, _) in zip(self._evaluate, self.operators, response, strict=True):
            weighted = matrix.createVecLeft()
            weighted.array[:] = (op.weights[:, None] * flux).ravel()
            matrix.multTranspose(weighted, part)
            surface.axpy(1.0, part)
        residual = self.bulk @ x
        residual.axpy(1.0, surface)
        residual.axpy(-1.0, load)
        if fixed is not None:
            self.unknowns.write(residual, fixed, 0.0)
        held = self._without_held(residual)
        return Linearised(
            residual=residual,
            tangents=[tangent for _, tangent in response],
            norm=_norm(residual),
            scale=scale if scale is not None else _norm(load) + _norm(surface) + held,
            magnitude=partial(self._magnitude, x, load, surface, seen, response),
        )

    def _magnitude(
        self,
        x: PETSc.Vec,
        load: PETSc.Vec,
        surface: PETSc.Vec,
        seen: Sequence[Array],
        response: Sequence[tuple[Array, Array]],
    ) -> float:
        """Return the sum of the terms of a residual, each without its sign; collective.

        The unknowns must still be those of the residual.
        """
        terms = x.duplicate()
        terms.array[:] = self._sizes * x.array_r  # |K| |x|: before they cancel
        return _norm(load) + _norm(surface) + _norm(terms) + self._sum_of_terms(seen, response)

    def _without_held(self, residual: PETSc.Vec) -> float:
        """Take the equations of held unknowns out; return the sum of the forces that hold them."""
        if not self._holds:
            return 0.0
        values = residual.array
        at = self._held - self.unknowns.offset
        forces = float(np.abs(values[at]).sum())
        values[at] = 0.0
        return float(self.unknowns.comm.allreduce(forces))

    def _sum_of_terms(
        self, seen: Sequence[Array], response: Sequence[tuple[Array, Array]]
    ) -> float:
        """Return the sum of what each quantity has a part in the surface forces; collective."""
        here = sum(
            float(np.einsum("n,nkl,nl->", op.weights, np.abs(tangent), np.abs(values)))
            for op, values, (_, tangent) in zip(self.operators, seen, response, strict=True)
        )
        return float(self.unknowns.comm.allreduce(here))

    def _answered(self, law: Law, values: list[Array]) -> list[tuple[Array, Array]]:
        self.failure = None
        try:
            return law(values)
        except FemssbError as error:  # other ranks wait for the sums below
            self.failure = error
            shapes = [op.values.shape[:2] for op in self.operators]
            return [(np.full((n, k), np.nan), np.zeros((n, k, k))) for n, k in shapes]

    def jacobian(self, tangents: Sequence[Array], fixed: int | None = None) -> Jacobian:
        """Return the Jacobian, valid until the next call; collective.

        It takes the derivatives (n, k, k) of the law of each surface; `fixed` keeps its value.
        """
        entries = [
            op.between(op.weights[:, None, None] * tangent).ravel()
            for op, tangent in zip(self.operators, tangents, strict=True)
        ]
        self._jacobian.set_surfaces(np.concatenate([np.empty(0), *entries]), fixed)
        return self._jacobian

    def _evaluation(self, op: PointOperator) -> PETSc.Mat:
        n, k, m = op.values.shape
        matrix = PETSc.Mat().create(comm=self.unknowns.comm)
        matrix.setSizes(((n * k, None), (self.unknowns.local_size, self.unknowns.size)))
        matrix.setType(PETSc.Mat.Type.AIJ)
        matrix.setUp()
        first = matrix.getOwnershipRange()[0]
        rows = np.repeat(first + np.arange(n * k), m)
        columns = np.repeat(op.columns, k, axis=0).ravel()
        matrix.setPreallocationCOO(rows.astype(PETSc.IntType), columns.astype(PETSc.IntType))
        matrix.setValuesCOO(op.values.ravel(), PETSc.InsertMode.INSERT_VALUES)
        return matrix


def _norm(vector: PETSc.Vec) -> float:
    return float(vector.norm(PETSc.NormType.NORM_1))


def _outer(columns: Indices) -> tuple[Indices, Indices]:
    m = columns.shape[1]
    return np.repeat(columns, m, axis=1).ravel(), np.tile(columns, m).ravel()

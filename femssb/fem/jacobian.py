"""The Jacobian of a bulk with surface laws: a sum whose two parts are kept apart.

The bulk is most of it and changes rarely, the surfaces are little and change with every iteration.
Products with vectors are those of both parts; only a preconditioner, when renewed, needs the sum.
"""

from collections.abc import Sequence

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np

from femssb.arrays import Array, Indices
from femssb.fem.constraints import Unknowns

Places = Sequence[tuple[Indices, Indices]]  # rows and columns of entries; repeated ones add up


class _Product:
    """The product with a vector, which PETSc calls for.

    It does not know the matrix whose product it is: PETSc would never let go of that.
    """

    def __init__(self, bulk: PETSc.Mat, surfaces: PETSc.Mat) -> None:
        self.bulk, self.surfaces = bulk, surfaces
        self.alone = np.empty(0, np.int64)  # rows on this rank that have their own entry alone
        self.entries = np.empty(0)  # of these

    def mult(self, _: PETSc.Mat, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Set y to the product with x."""
        self.bulk.mult(x, y)
        self.surfaces.multAdd(x, y, y)
        y.array[self.alone] = self.entries * x.array_r[self.alone]


class Jacobian:
    """The matrix; Krylov's method sees its `operator`.

    Attributes:
        bulk: The part of the bulk, with the equations that the whole leaves out.
        operator: The whole.
    """

    def __init__(
        self,
        unknowns: Unknowns,
        bulk: Places,
        surfaces: Places,
        *,
        block_size: int,
        held: Indices,
    ) -> None:
        """Lay both parts out; collective.

        Args:
            unknowns: Numbering of rows and columns; entries at -1 are left out.
            bulk: Where that part has entries.
            surfaces: Where the other has.
            block_size: Unknowns of a node, which follow each other.
            held: Unknowns of this rank that keep their value: their equations are left out.
        """
        self._unknowns = unknowns
        self._block_size = block_size
        self._held = held.astype(PETSc.IntType)
        self._holds = bool(unknowns.comm.allreduce(held.size))
        self.bulk = self._matrix(bulk)
        self._surfaces = self._matrix(surfaces)
        self._sum = self._matrix([*bulk, *surfaces])
        for matrix in (self._surfaces, self._sum):
            matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        self._in_bulk = self._on_surfaces = np.empty(0)
        self._fixed: int | None = None
        self._stiffness = 1.0  # of what is held, like that of the rest
        self._product = _Product(self.bulk, self._surfaces)
        self._bulk_projected: PETSc.Mat | None = None
        self._surfaces_projected: PETSc.Mat | None = None
        self.operator = PETSc.Mat().createPython(self.bulk.getSizes(), self._product, unknowns.comm)
        self.operator.setUp()

    def set_bulk(self, values: Array) -> None:
        """Set the entries of the bulk; collective."""
        self._in_bulk = values
        self.bulk.setValuesCOO(values, PETSc.InsertMode.INSERT_VALUES)
        self._bulk_projected = None
        if self._block_size > 1:  # a product takes half as long in blocks
            old = None if self._product.bulk is self.bulk else self._product.bulk
            self._product.bulk = self.bulk.convert(PETSc.Mat.Type.BAIJ, out=old or PETSc.Mat())
        if self._holds:
            diagonal = self.bulk.getDiagonal()
            self._stiffness = diagonal.norm(PETSc.NormType.NORM_1) / diagonal.getSize()

    def set_surfaces(self, values: Array, fixed: int | None = None) -> None:
        """Set the entries of the surfaces, and an unknown that keeps its value; collective."""
        self._on_surfaces, self._fixed = values, fixed
        self._surfaces.setValuesCOO(values, PETSc.InsertMode.INSERT_VALUES)
        # In a solution, and in all that leads there, what is held or fixed is zero.
        first, size = self._unknowns.offset, self._unknowns.local_size
        rows, entries = self._held - first, np.full(len(self._held), self._stiffness)
        if fixed is not None and first <= fixed < first + size:
            rows, entries = np.append(rows, fixed - first), np.append(entries, 1.0)
        self._product.alone, self._product.entries = rows, entries

    def assembled(self) -> PETSc.Mat:
        """Return the sum of both parts, valid until the next call; collective."""
        self._sum.setValuesCOO(
            np.concatenate([self._in_bulk, self._on_surfaces]), PETSc.InsertMode.INSERT_VALUES
        )
        if self._fixed is not None:
            self._sum.zeroRows([self._fixed], diag=1.0)
        if self._holds:  # they do not change: their columns may go, too, and it stays symmetric
            self._sum.zeroRowsColumns(self._held, diag=self._stiffness)
        return self._sum

    def projected(self, space: PETSc.Mat) -> PETSc.Mat:
        """Return the matrix that is left of the sum in a space, given by columns; collective.

        It must be the same space at each call.
        """
        if self._bulk_projected is None:
            kept, self._on_surfaces = self._on_surfaces, np.zeros_like(self._on_surfaces)
            self._bulk_projected = self.assembled().PtAP(space)
            self._on_surfaces = kept
        if self._holds:
            self._surfaces.zeroRowsColumns(self._held, diag=0.0)
        found = self._bulk_projected.copy()
        self._surfaces_projected = self._surfaces.PtAP(space, result=self._surfaces_projected)
        part = self._surfaces_projected
        found.axpy(1.0, part, structure=PETSc.Mat.Structure.SUBSET_NONZERO_PATTERN)
        return found

    def _matrix(self, places: Places) -> PETSc.Mat:
        n = (self._unknowns.local_size, self._unknowns.size)
        matrix = PETSc.Mat().create(comm=self._unknowns.comm)
        matrix.setSizes((n, n), bsize=self._block_size)
        matrix.setType(PETSc.Mat.Type.AIJ)
        none = np.empty((2, 0), np.int64)
        rows, columns = np.concatenate([none, *places], axis=1).astype(PETSc.IntType)
        matrix.setPreallocationCOO(rows, columns)
        return matrix

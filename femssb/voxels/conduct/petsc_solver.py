"""The solver on PETSc, on any number of ranks: AIJ matrices and PCMG over our aggregates.

As in `femssb.voxels.conduct.multigrid`, a cycle is a forward and a backward Gauss-Seidel sweep
around the correction from the next coarser network, which is two steps of flexible conjugate
gradients with a cycle each: PCMG of two levels, whose coarse solver is preconditioned by PCMG.
"""

from __future__ import annotations

from importlib import import_module, util
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from femssb.voxels.conduct.hierarchy import Hierarchy
from femssb.voxels.conduct.multigrid import ENOUGH
from femssb.voxels.conduct.network import Array, Integers, Longs, Network, Single

if util.find_spec("dolfinx") is not None:
    import_module(
        "femssb.environment.platform"
    )  # loads MPI before the libraries that link against it

from petsc4py import PETSc


class PetscSolver:
    """A solver of networks; see `femssb.voxels.conduct.conjugate_gradients.Solver`.

    Args:
        hierarchy: Networks from fine to coarse.
    """

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self._comm = hierarchy.comm or PETSc.COMM_SELF
        self._matrices = [self._matrix(level) for level in hierarchy.levels]
        self._preconditioner = PETSc.PC().create(self._comm)
        self._configure(self._preconditioner, 0)
        self._correction = self._matrices[0].createVecRight()

    def multiply(self, potential: Array, currents: Array) -> None:
        """Write the current out of each node, for plates at zero, into `currents`."""
        self._matrices[0].mult(self._vector(potential), self._vector(currents))

    def precondition(self, residual: Array) -> Array:
        """Return about the potential whose currents are `residual`; valid until the next call."""
        self._preconditioner.apply(self._vector(residual), self._correction)
        return self._correction.array_r

    def _vector(self, own: Array) -> PETSc.Vec:
        return PETSc.Vec().createWithArray(own, comm=self._comm)

    def _matrix(self, level: Network) -> PETSc.Mat:
        number = np.concatenate([level.first + np.arange(level.nodes), level.ghosts])
        starts = (level.starts + np.arange(level.nodes + 1)).astype(PETSc.IntType)
        columns = np.empty(starts[-1], PETSc.IntType)
        values = np.empty(starts[-1])
        _add_diagonal(
            level.starts,
            level.neighbours,
            level.conductances,
            level.ground,
            number.astype(PETSc.IntType),
            columns,
            values,
        )
        size = (level.nodes, level.total)
        return PETSc.Mat().createAIJ((size, size), csr=(starts, columns, values), comm=self._comm)

    def _interpolation(self, depth: int) -> PETSc.Mat:
        fine, coarse = self.hierarchy.levels[depth : depth + 2]
        columns = coarse.first + self.hierarchy.aggregates[depth][: fine.nodes]
        return PETSc.Mat().createAIJ(
            ((fine.nodes, fine.total), (coarse.nodes, coarse.total)),
            csr=(
                np.arange(fine.nodes + 1, dtype=PETSc.IntType),
                columns.astype(PETSc.IntType),
                np.ones(fine.nodes),
            ),
            comm=self._comm,
        )

    def _configure(self, preconditioner: PETSc.PC, depth: int) -> None:
        """Make a preconditioner the cycle that begins on a level."""
        matrix = self._matrices[depth]
        preconditioner.setOperators(matrix)
        if depth == len(self._matrices) - 1:
            preconditioner.setType(PETSc.PC.Type.REDUNDANT)  # an LU of the whole on every rank
            preconditioner.setUp()
            return
        preconditioner.setType(PETSc.PC.Type.MG)
        preconditioner.setMGLevels(2)
        preconditioner.setMGInterpolation(1, self._interpolation(depth))
        for smoother, sweep in (
            (preconditioner.getMGSmootherDown(1), "forward"),
            (preconditioner.getMGSmootherUp(1), "backward"),
        ):
            smoother.setOperators(matrix)
            smoother.setType(PETSc.KSP.Type.RICHARDSON)
            smoother.setNormType(PETSc.KSP.NormType.NONE)
            smoother.setTolerances(max_it=1)
            smoother.getPC().setType(PETSc.PC.Type.SOR)
            _choose_sweep(smoother.getPC(), sweep)
        coarse = preconditioner.getMGCoarseSolve()
        coarse.setOperators(self._matrices[depth + 1])
        if depth + 1 == len(self._matrices) - 1:
            coarse.setType(PETSc.KSP.Type.PREONLY)
        else:
            coarse.setType(PETSc.KSP.Type.FCG)
            coarse.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
            coarse.setTolerances(rtol=ENOUGH, atol=0.0, divtol=1e300, max_it=2)
        self._configure(coarse.getPC(), depth + 1)
        preconditioner.setUp()


def _choose_sweep(preconditioner: PETSc.PC, sweep: str) -> None:
    """Choose the direction of Gauss-Seidel, for which petsc4py has no call."""
    options = PETSc.Options()
    prefix = preconditioner.getOptionsPrefix() or ""
    key = f"{prefix}pc_sor_local_{sweep}"
    options.setValue(key, True)
    preconditioner.setFromOptions()
    options.delValue(key)


@njit(cache=True)
def _add_diagonal(
    starts: Longs,
    neighbours: Integers,
    conductances: Single,
    ground: Single,
    number: NDArray[Any],
    columns: NDArray[Any],
    values: Array,
) -> None:
    """Fill in the columns, ascending, and the values of each row of the matrix."""
    for i in range(len(ground)):
        begin, filled = starts[i] + i, 1
        columns[begin] = number[i]
        diagonal = np.float64(ground[i])
        for e in range(starts[i], starts[i + 1]):
            diagonal += conductances[e]
            end = number[neighbours[e]]
            place = begin + filled
            while place > begin and columns[place - 1] > end:
                columns[place] = columns[place - 1]
                values[place] = values[place - 1]
                place -= 1
            columns[place] = end
            values[place] = -conductances[e]
            filled += 1
        for place in range(begin, begin + filled):
            if columns[place] == number[i]:
                values[place] = diagonal

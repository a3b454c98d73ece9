"""What keeps lithium between empty and full where crystals conduct along some axes only.

Linear elements conduct backwards, from low to high, along edges on which the matrix of diffusion
has a positive entry; with equal axes these are few, with a millionfold anisotropy many. And stress
drift knows no full host: it would pull lithium into one. Far from the bounds all this is what it
should be. Close to one it would carry lithium beyond, so there a current of the opposite direction
is added on the same edge: as much as is needed at the bound, nothing at a distance from it. What
leaves one node enters the other, so that lithium is conserved.

Source: Kuzmin 2012, doi:10.1016/j.cam.2011.11.019, for the split of the matrix into a monotone part
and currents on edges, which are limited here by the distance from the bounds alone.
"""

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
import scipy.sparse as sp

from femssb.arrays import Array, Indices
from femssb.fem.surface_problem import PointOperator

MARGIN = 0.02  # of the full range, at each of its ends, within which currents are limited


class LimitedDiffusion:
    """The edges on which diffusion is limited.

    Attributes:
        operator: What sees the stoichiometry at both ends of each edge.
    """

    def __init__(self, matrix: PETSc.Mat) -> None:
        """Find the edges in the matrix of diffusion, in the unknowns; collective."""
        first, end = matrix.getOwnershipRange()
        starts, columns, values = matrix.getValuesCSR()
        rows = np.repeat(np.arange(first, end), np.diff(starts))
        backwards = (values > 0) & (columns > rows)
        self.operator = _seeing(np.column_stack([rows, columns])[backwards])
        self._entries = np.tile(values[backwards][:, None], 2)

    def response(self, filled: Array) -> tuple[Array, Array]:
        """Return the currents from both ends (n, 2), and derivatives (n, 2, 2), at (n, 2) [-]."""
        return limited(filled, self._entries)


class LimitedDrift:
    """The edges on which stress drift is limited, those of this rank's own cells.

    Attributes:
        operator: What sees the stoichiometry at both ends of each edge.
    """

    def __init__(self, matrix: sp.csr_array, numbers: Indices) -> None:
        """Find the edges in the matrix of drift, given the unknown of each local node."""
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        columns, place = matrix.indices.astype(np.int64), np.arange(matrix.nnz)
        size, upper, lower = max(matrix.shape), columns > rows, columns < rows
        # An entry without its counterpart is one of another rank's cells, and stays zero here.
        _, there, back = np.intersect1d(
            (rows * size + columns)[upper], (columns * size + rows)[lower], return_indices=True
        )
        there, back = place[upper][there], place[lower][back]
        self._places = np.column_stack([back, there])  # of what moves from the first, the second
        self.operator = _seeing(np.column_stack([numbers[rows[there]], numbers[columns[there]]]))
        self._entries = np.zeros(self._places.shape)

    def refresh(self, values: Array) -> None:
        """Take the present values of the matrix."""
        self._entries = values[self._places]

    def response(self, filled: Array) -> tuple[Array, Array]:
        """Return the currents from both ends (n, 2), and derivatives (n, 2, 2), at (n, 2) [-]."""
        return limited(filled, self._entries)


def _seeing(ends: Indices) -> PointOperator:
    """Return what sees the unknowns at both ends (n, 2) of edges."""
    both = np.tile(np.eye(2), (len(ends), 1, 1))
    return PointOperator(columns=ends.astype(np.int64), values=both, weights=np.ones(len(ends)))


def limited(filled: Array, entries: Array) -> tuple[Array, Array]:
    """Return what takes a current on edges back, as far as their ends are close to a bound.

    From stoichiometries (n, 2) and factors (n, 2), by which the current back from the first end is
    ``factor_1 y_1 - factor_2 y_2``, follow the currents (n, 2) that leave the ends, and their
    derivatives (n, 2, 2).
    """
    rows, lower = np.arange(len(filled)), np.argmin(filled, axis=1)
    (above, by_low), (below, by_high) = (
        _room(filled[rows, lower]),
        _room(1.0 - filled[rows, 1 - lower]),
    )
    taken = 1.0 - above * below
    back = entries[:, 0] * filled[:, 0] - entries[:, 1] * filled[:, 1]
    slope = taken[:, None] * entries * [1.0, -1.0]
    slope[rows, lower] -= back * by_low * below
    slope[rows, 1 - lower] += back * above * by_high
    current = taken * back
    return np.column_stack([current, -current]), np.stack([slope, -slope], axis=1)


def _room(distance: Array) -> tuple[Array, Array]:
    """Return 0 at and beyond a bound, 1 from `MARGIN` on, a smooth step between; and its slope."""
    share = np.clip(distance / MARGIN, 0.0, 1.0)
    return share**2 * (3 - 2 * share), 6 * share * (1 - share) / MARGIN

"""What keeps lithium between empty and full where crystals conduct along some axes only.

Linear elements conduct backwards, from low to high, along edges on which the matrix of diffusion
has a positive entry; with equal axes these are few, with a millionfold anisotropy many. And stress
drift knows no full host: it would pull lithium into one. Far from the bounds all this is what it
should be. Close to one it would carry lithium beyond, so there a current of the opposite direction
is added on the same edge: as much as is needed at the bound, nothing at a distance from it. What
leaves one node enters the other, so that lithium is conserved.

Close means close for the current in question: nearer to the bound than a share, `REACH`, of the
jump of stoichiometry that drives it. So the current back stays below diffusion over that distance,
times 1/`REACH`, which spares Newton's method steep laws, and a smooth profile is left alone: its
jumps become smaller with the mesh, and towards an extremum at a bound as fast as the distance does.

Source: Kuzmin 2012, doi:10.1016/j.cam.2011.11.019, for the split of the matrix into a monotone part
and currents on edges, which are limited here by the distance from the bounds alone.
"""

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
import scipy.sparse as sp

from femssb.arrays import Array, Indices
from femssb.fem.surface_problem import PointOperator

REACH = 0.01  # distance from a bound at which a current is limited, over the jump that drives it
# Bounds of that distance for drift [-]; what follows the stress goes further in a time step, which
# may overshoot by what it is allowed to be wrong.
NARROWEST, WIDEST = 1e-3, 0.02
_LEAST = 1e-12  # for diffusion


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
        return limited(filled, self._entries, *reach_of_diffusion(filled))


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
        self._ends = np.column_stack([rows[there], columns[there]])
        self.operator = _seeing(numbers[self._ends])
        self._entries = np.zeros(self._places.shape)
        self._within = np.ones(len(self._ends))

    def refresh(self, values: Array, pull: Array) -> None:
        """Take the present values of the matrix, and the pull over R T at the local nodes [-].

        Every rank that has a part of an edge finds the same distance, from the nodes alone.
        """
        self._entries = values[self._places]
        self._within = reach_of_drift(pull[self._ends])

    def response(self, filled: Array) -> tuple[Array, Array]:
        """Return the currents from both ends (n, 2), and derivatives (n, 2, 2), at (n, 2) [-]."""
        return limited(filled, self._entries, self._within, np.zeros_like(filled))


def _seeing(ends: Indices) -> PointOperator:
    """Return what sees the unknowns at both ends (n, 2) of edges."""
    both = np.tile(np.eye(2), (len(ends), 1, 1))
    return PointOperator(columns=ends.astype(np.int64), values=both, weights=np.ones(len(ends)))


def reach_of_diffusion(filled: Array) -> tuple[Array, Array]:
    """Return the distance from a bound that counts as close (n,), and its derivatives (n, 2).

    Args:
        filled: Stoichiometries at the ends of edges (n, 2) [-].
    """
    jump = filled[:, 1] - filled[:, 0]
    slope = REACH * np.sign(jump)
    return np.maximum(REACH * np.abs(jump), _LEAST), np.column_stack([-slope, slope])


def reach_of_drift(pull: Array) -> Array:
    """Return the distance from a bound that counts as close (n,).

    Args:
        pull: What the stress releases with a mole, over R T, at the ends of edges (n, 2) [-]: its
            jump is that of diffusion which would balance it.
    """
    return np.clip(REACH * np.abs(pull[:, 1] - pull[:, 0]), NARROWEST, WIDEST)


def limited(
    filled: Array, entries: Array, within: Array, within_slope: Array
) -> tuple[Array, Array]:
    """Return what takes a current on edges back, as far as their ends are close to a bound.

    Args:
        filled: (n, 2) stoichiometries at the ends.
        entries: (n, 2) factors: the current back from the first end is
            ``factor_1 y_1 - factor_2 y_2``.
        within: (n,) distance from a bound from which on nothing is taken back.
        within_slope: (n, 2) its derivatives.

    Returns:
        Currents (n, 2) that leave the ends, and their derivatives (n, 2, 2).
    """
    current, slope = np.zeros(filled.shape), np.zeros((*filled.shape, 2))
    lowest, highest = np.minimum(*filled.T), np.maximum(*filled.T)
    close = np.flatnonzero(~((lowest >= within) & (1.0 - highest >= within)))  # NaN are
    if close.size:
        current[close], slope[close] = _taken_back(
            filled[close], entries[close], within[close], within_slope[close]
        )
    return current, slope


def _taken_back(
    filled: Array, entries: Array, within: Array, within_slope: Array
) -> tuple[Array, Array]:
    """Return what `limited` does, at edges that are close to a bound."""
    low = np.eye(2)[filled.argmin(axis=1)]  # 1 at the lower end
    above, by_low = _room(filled.min(axis=1), within, low, within_slope)
    below, by_high = _room(1.0 - filled.max(axis=1), within, low - 1.0, within_slope)
    taken = 1.0 - above * below
    back = entries[:, 0] * filled[:, 0] - entries[:, 1] * filled[:, 1]
    slope = taken[:, None] * entries * [1.0, -1.0]
    slope -= back[:, None] * (by_low * below[:, None] + above[:, None] * by_high)
    current = taken * back
    return np.column_stack([current, -current]), np.stack([slope, -slope], axis=1)


def held_back(value: Array, room: Array) -> tuple[Array, Array]:
    """Return values (n,) as far as there is room for them, and the derivative, never negative.

    They are divided by the eighth root of 1 + (value/room)^8: within 1e-8 as they are where they
    take a tenth of the room, and no larger than it.
    """
    room, size = np.maximum(room, np.finfo(float).tiny), np.abs(value)
    larger = np.maximum(room, size)  # powers of both would overflow
    root = np.sqrt(np.sqrt(np.sqrt((room / larger) ** 8 + (size / larger) ** 8)))
    fits = room / larger / root
    return fits * value, fits**9


def _room(
    distance: Array, within: Array, distance_slope: Array, within_slope: Array
) -> tuple[Array, Array]:
    """Return 0 at and beyond a bound, 1 far from it, a smooth step between; and its slopes (n, 2).

    Args:
        distance: (n,) from the bound, negative beyond.
        within: (n,) where the step ends.
        distance_slope: (n, 2) derivatives of the distance.
        within_slope: (n, 2) derivatives of where the step ends.
    """
    share = np.clip(distance / within, 0.0, 1.0)
    rise = 6 * share * (1 - share) / within
    slope = rise[:, None] * (distance_slope - share[:, None] * within_slope)
    return share**2 * (3 - 2 * share), slope

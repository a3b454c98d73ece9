"""Approximate solution of a network by one cycle over its hierarchy, in NumPy and Numba.

A cycle is a forward Gauss-Seidel sweep, a correction from the next coarser network, and a backward
sweep, in single precision. The coarse corrections are two steps of conjugate gradients, each with a
cycle of its own (K-cycle), which makes plain aggregation independent of the size. On several ranks
each sweeps over its own nodes, with the values that the others had before.

Source: Notay and Vassilevski, Numer. Linear Algebra Appl. 15 (2008) 473, for the K-cycle.
"""

import numpy as np

from femssb.arrays import Array
from femssb.environment.compiled import njit
from femssb.voxels.conduct.hierarchy import Hierarchy
from femssb.voxels.conduct.network import Integers, Network, Single

ENOUGH = 0.25  # share of the residual left below which the second step on a level is spared [-]


class Multigrid:
    """The matrix and the preconditioner of conjugate gradients on a network."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self._inverses = [_inverse_diagonal(level) for level in hierarchy.levels]
        self._potential = np.empty(hierarchy.levels[0].nodes, np.float32)

    def multiply(self, potential: Array | Single, currents: Array | Single, depth: int = 0) -> None:
        """Write the current out of each node of a level, for plates at zero, into `currents`."""
        ghosts = self.hierarchy.halos[depth].ghosts(potential)
        _currents(self.hierarchy.levels[depth], potential, ghosts, currents)

    def precondition(self, residual: Array) -> Single:
        """Return roughly the potential of given currents; it is valid until the next call."""
        self._cycle(0, residual.astype(np.float32), self._potential)
        return self._potential

    def _cycle(self, depth: int, right: Single, potential: Single) -> None:
        if depth == len(self._inverses) - 1:
            potential[:] = self.hierarchy.solve_coarsest(right.astype(np.float64))
            return
        inverse, aggregates = self._inverses[depth], self.hierarchy.aggregates[depth]
        halo, level = self.hierarchy.halos[depth], self.hierarchy.levels[depth]
        coarse_right = np.zeros(self.hierarchy.levels[depth + 1].nodes, np.float32)
        potential[:] = 0
        _sweep(level, inverse, right, potential, np.zeros(len(level.ghosts), np.float32), False)
        _restrict(level, right, potential, halo.ghosts(potential), aggregates, coarse_right)
        potential += self._correction(depth + 1, coarse_right)[aggregates[: level.nodes]]
        _sweep(level, inverse, right, potential, halo.ghosts(potential), True)

    def _correction(self, depth: int, right: Single) -> Single:
        """Return one or two steps of conjugate gradients, each preconditioned by a cycle."""
        first = np.empty_like(right)
        self._cycle(depth, right, first)
        if depth == len(self._inverses) - 1:
            return first
        first_currents = np.empty_like(right)
        self.multiply(first, first_currents, depth)
        curvature, slope = self._dots((first, first_currents), (first, right))
        if not curvature > 0:
            return first  # nothing to correct
        step = slope / curvature
        left = right - np.float32(step) * first_currents
        remaining, whole = self._dots((left, left), (right, right))
        if remaining <= ENOUGH**2 * whole:
            return np.float32(step) * first
        second, second_currents = np.empty_like(right), np.empty_like(right)
        self._cycle(depth, left, second)
        self.multiply(second, second_currents, depth)
        mixed, own, second_slope = self._dots(
            (second, first_currents), (second, second_currents), (second, left)
        )
        second_curvature = own - mixed**2 / curvature
        if not second_curvature > 0:
            return np.float32(step) * first
        second_step = second_slope / second_curvature
        second *= np.float32(second_step)
        second += np.float32(step - second_step * mixed / curvature) * first
        return second

    def _dots(self, *pairs: tuple[Single, Single]) -> list[float]:
        """Return the products of pairs of vectors over all ranks."""
        products = np.array([float(np.dot(one, other)) for one, other in pairs])
        return self.hierarchy.sum(products).tolist()


@njit(inline="always")
def _outflow(level: Network, potential: Array | Single, ghosts: Array | Single, i: int) -> float:
    """Return the current out of a node, for plates at zero."""
    n, here = len(level.ground), potential[i]
    current = level.ground[i] * here
    for e in range(level.starts[i], level.starts[i + 1]):
        j = level.neighbours[e]
        current += level.conductances[e] * (here - (potential[j] if j < n else ghosts[j - n]))
    return current


@njit(cache=True)
def _currents(
    level: Network, potential: Array | Single, ghosts: Array | Single, currents: Array | Single
) -> None:
    for i in range(len(level.ground)):
        currents[i] = _outflow(level, potential, ghosts, i)


@njit(cache=True)
def _inverse_diagonal(level: Network) -> Single:
    inverse = np.empty(len(level.ground), np.float32)
    for i in range(len(level.ground)):
        diagonal = np.float64(level.ground[i])
        for e in range(level.starts[i], level.starts[i + 1]):
            diagonal += level.conductances[e]
        inverse[i] = 1 / diagonal
    return inverse


@njit(cache=True)
def _sweep(
    level: Network, inverse: Single, right: Single, potential: Single, ghosts: Single, back: bool
) -> None:
    n = len(inverse)
    for m in range(n):
        i = n - 1 - m if back else m
        potential[i] += (right[i] - _outflow(level, potential, ghosts, i)) * inverse[i]


@njit(cache=True)
def _restrict(
    level: Network,
    right: Single,
    potential: Single,
    ghosts: Single,
    aggregates: Integers,
    out: Single,
) -> None:
    """Add up the residual over each aggregate."""
    for i in range(len(level.ground)):
        out[aggregates[i]] += right[i] - _outflow(level, potential, ghosts, i)

"""Approximate solution of a network by one cycle over its hierarchy, in NumPy and Numba.

A cycle is a forward Gauss-Seidel sweep, a correction from the next coarser network, and a backward
sweep, in single precision. The coarse corrections are two steps of conjugate gradients, each with a
cycle of its own (K-cycle), which makes plain aggregation independent of the size. Sweeps go over
every other run of planes, and then over those between, so that threads can share them. On several
ranks each sweeps over its own nodes, with the values that the others had before.

Source: Notay and Vassilevski, Numer. Linear Algebra Appl. 15 (2008) 473, for the K-cycle.
"""

import numpy as np

from femssb.arrays import Array
from femssb.environment.compiled import njit, threaded
from femssb.voxels.conduct.hierarchy import Hierarchy
from femssb.voxels.conduct.links import Longs
from femssb.voxels.conduct.network import Integers, Network, Single

ENOUGH = 0.25  # share of the residual left below which the second step on a level is spared [-]


class Multigrid:
    """The matrix and the preconditioner of conjugate gradients on a network."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self._inverses = []
        for level, parts in zip(hierarchy.levels, hierarchy.parts, strict=True):
            self._inverses.append(np.empty(level.nodes, np.float32))
            _inverse_diagonal(parts, level, self._inverses[-1])
        self._right = np.empty(hierarchy.levels[0].nodes, np.float32)
        self._potential = np.empty(hierarchy.levels[0].nodes, np.float32)

    def multiply(
        self, potential: Array | Single, currents: Array | Single, depth: int = 0
    ) -> float:
        """Write the current out of each node of a level, for plates at zero, into `currents`.

        Returns the product of both over the nodes of this rank.
        """
        parts, level = self.hierarchy.parts[depth], self.hierarchy.levels[depth]
        sums = np.zeros(len(parts) - 1)
        ghosts = self.hierarchy.halos[depth].ghosts(potential)
        _currents(parts, level, potential, ghosts, currents, sums)
        return float(sums.sum())

    def precondition(self, residual: Array) -> Single:
        """Return roughly the potential of given currents; it is valid until the next call."""
        _copy(self.hierarchy.parts[0], residual, self._right)
        self._cycle(0, self._right, self._potential)
        return self._potential

    def _cycle(self, depth: int, right: Single, potential: Single) -> None:
        if depth == len(self._inverses) - 1:
            potential[:] = self.hierarchy.solve_coarsest(right.astype(np.float64))
            return
        inverse, aggregates = self._inverses[depth], self.hierarchy.aggregates[depth]
        halo, level = self.hierarchy.halos[depth], self.hierarchy.levels[depth]
        parts, grouping = self.hierarchy.parts[depth], self.hierarchy.groupings[depth]
        coarse_right = np.empty(self.hierarchy.levels[depth + 1].nodes, np.float32)
        none = np.zeros(len(level.ghosts), np.float32)
        _set_to_zero(parts, potential)
        for odd in (False, True):
            _sweep(parts, level, inverse, right, potential, none, odd, False)
        _restrict(
            parts,
            level,
            right,
            potential,
            halo.ghosts(potential),
            grouping.firsts,
            aggregates,
            coarse_right,
        )
        _add(parts, potential, self._correction(depth + 1, coarse_right), aggregates)
        ghosts = halo.ghosts(potential)
        for odd in (True, False):
            _sweep(parts, level, inverse, right, potential, ghosts, odd, True)

    def _correction(self, depth: int, right: Single) -> Single:
        """Return one or two steps of conjugate gradients, each preconditioned by a cycle."""
        first = np.empty_like(right)
        self._cycle(depth, right, first)
        if depth == len(self._inverses) - 1:
            return first
        parts, sums = self.hierarchy.parts[depth], self.hierarchy.sum
        first_currents = np.empty_like(right)
        curvature = self.multiply(first, first_currents, depth)
        products = np.zeros((len(parts) - 1, 2))
        _product(parts, first, right, products)
        curvature, slope = sums(np.array([curvature, products[:, 0].sum()]))
        if not curvature > 0:
            return first  # nothing to correct
        step = slope / curvature
        left = np.empty_like(right)
        _leave(parts, right, np.float32(step), first_currents, left, products)
        remaining, whole = sums(products.sum(axis=0))
        if remaining <= ENOUGH**2 * whole:
            return np.float32(step) * first
        second, second_currents = np.empty_like(right), np.empty_like(right)
        self._cycle(depth, left, second)
        own = self.multiply(second, second_currents, depth)
        _products(parts, second, first_currents, left, products)
        own, mixed, second_slope = sums(np.array([own, *products.sum(axis=0)]))
        second_curvature = own - mixed**2 / curvature
        if not second_curvature > 0:
            return np.float32(step) * first
        second_step = second_slope / second_curvature
        rest = step - second_step * mixed / curvature
        _combine(parts, np.float32(second_step), second, np.float32(rest), first)
        return second


@njit(inline="always")
def _outflow(level: Network, potential: Array | Single, ghosts: Array | Single, i: int) -> float:
    """Return the current out of a node, for plates at zero."""
    n, here = len(level.ground), potential[i]
    current = level.ground[i] * here
    for e in range(level.starts[i], level.starts[i + 1]):
        j = level.neighbours[e]
        current += level.conductances[e] * (here - (potential[j] if j < n else ghosts[j - n]))
    return current


@threaded
def _currents(
    start: int,
    stop: int,
    parts: Longs,
    level: Network,
    potential: Array | Single,
    ghosts: Array | Single,
    currents: Array | Single,
    sums: Array,
) -> None:
    for part in range(start, stop):
        total = 0.0
        for i in range(parts[part], parts[part + 1]):
            current = _outflow(level, potential, ghosts, i)
            currents[i] = current
            total += np.float64(potential[i]) * current
        sums[part] = total


@threaded
def _inverse_diagonal(start: int, stop: int, parts: Longs, level: Network, inverse: Single) -> None:
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            diagonal = np.float64(level.ground[i])
            for e in range(level.starts[i], level.starts[i + 1]):
                diagonal += level.conductances[e]
            inverse[i] = 1 / diagonal


@threaded
def _sweep(
    start: int,
    stop: int,
    parts: Longs,
    level: Network,
    inverse: Single,
    right: Single,
    potential: Single,
    ghosts: Single,
    odd: bool,
    back: bool,
) -> None:
    """Sweep over every other part, which are not linked to each other."""
    for part in range(start, stop):
        if part % 2 == odd:
            begin, end = parts[part], parts[part + 1]
            for m in range(end - begin):
                i = end - 1 - m if back else begin + m
                potential[i] += (right[i] - _outflow(level, potential, ghosts, i)) * inverse[i]


@threaded
def _restrict(
    start: int,
    stop: int,
    parts: Longs,
    level: Network,
    right: Single,
    potential: Single,
    ghosts: Single,
    firsts: Longs,
    aggregates: Integers,
    out: Single,
) -> None:
    """Add up the residual over each aggregate."""
    for part in range(start, stop):
        for a in range(firsts[part], firsts[part + 1]):
            out[a] = 0
        for i in range(parts[part], parts[part + 1]):
            out[aggregates[i]] += right[i] - _outflow(level, potential, ghosts, i)


@threaded
def _add(
    start: int,
    stop: int,
    parts: Longs,
    potential: Single,
    correction: Single,
    aggregates: Integers,
) -> None:
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            potential[i] += correction[aggregates[i]]


@threaded
def _set_to_zero(start: int, stop: int, parts: Longs, values: Single) -> None:
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            values[i] = 0


@threaded
def _copy(start: int, stop: int, parts: Longs, values: Array, into: Single) -> None:
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            into[i] = values[i]


@threaded
def _product(
    start: int, stop: int, parts: Longs, one: Single, other: Single, products: Array
) -> None:
    for part in range(start, stop):
        total = 0.0
        for i in range(parts[part], parts[part + 1]):
            total += np.float64(one[i]) * other[i]
        products[part, 0] = total


@threaded
def _leave(
    start: int,
    stop: int,
    parts: Longs,
    right: Single,
    step: float,
    currents: Single,
    left: Single,
    products: Array,
) -> None:
    """Write what a step leaves of the right side, and the squares of both."""
    for part in range(start, stop):
        remaining, whole = 0.0, 0.0
        for i in range(parts[part], parts[part + 1]):
            left[i] = right[i] - step * currents[i]
            remaining += np.float64(left[i]) * left[i]
            whole += np.float64(right[i]) * right[i]
        products[part, 0], products[part, 1] = remaining, whole


@threaded
def _products(
    start: int,
    stop: int,
    parts: Longs,
    second: Single,
    first_currents: Single,
    left: Single,
    products: Array,
) -> None:
    for part in range(start, stop):
        mixed, slope = 0.0, 0.0
        for i in range(parts[part], parts[part + 1]):
            mixed += np.float64(second[i]) * first_currents[i]
            slope += np.float64(second[i]) * left[i]
        products[part, 0], products[part, 1] = mixed, slope


@threaded
def _combine(
    start: int,
    stop: int,
    parts: Longs,
    one: float,
    second: Single,
    other: float,
    first: Single,
) -> None:
    """Replace the second by the sum of both, each times a factor."""
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            second[i] = one * second[i] + other * first[i]

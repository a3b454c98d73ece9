"""Bounds of the conductance from both sides: they prove the error of a potential.

By Dirichlet's principle any potential phi dissipates more than the true one; by Thomson's any
balanced current does. The currents of phi become balanced by link currents c that carry off its
residual r (div c = r), and the conductance G between the plates lies in

    E(phi) - sum c^2 / T  <=  G  <=  E(phi) = sum T (phi_i - phi_j)^2

whatever c; a good c makes the gap a small multiple of the error. Here the coarsest network is
solved, a coarse link's current is shared out over the links it stands for in proportion to their
conductances, and what is then left within an aggregate, which sums to zero, runs along a tree of
its strong links.
"""

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.environment.compiled import njit
from femssb.voxels.conduct.aggregation import OVERCORRECTION, STRONG, members, strongest_links
from femssb.voxels.conduct.hierarchy import Hierarchy
from femssb.voxels.conduct.network import Integers, Longs, Network, Single


def residual(hierarchy: Hierarchy, potential: Array, lower: Single) -> tuple[Array, float]:
    """Return the surplus of current at each own node, shape (n,), and the dissipation.

    The potential is that of own nodes, 1 at the lower plate and 0 at the upper; `lower` is their
    conductance to the lower plate; both have the shape (n,).
    """
    level = hierarchy.levels[0]
    surplus = np.empty(level.nodes)
    dissipation = _residual(level, lower, hierarchy.halos[0].extend(potential), surplus)
    return surplus, float(hierarchy.sum(dissipation))


def gap(hierarchy: Hierarchy, surplus: Array) -> float:
    """Return an upper bound of the dissipation of a potential beyond that of the true one.

    The surplus is the current that arrives at each own node beyond what leaves it, shape (n,).
    """
    surpluses = [surplus.copy()]
    for aggregates, level in zip(hierarchy.aggregates, hierarchy.levels[1:], strict=True):
        joined = aggregates[: len(surpluses[-1])]
        surpluses.append(np.bincount(joined, surpluses[-1], level.nodes))
    level = hierarchy.levels[-1]
    own = hierarchy.solve_coarsest(surpluses.pop())
    potential = hierarchy.halos[-1].extend(own)
    rows = np.repeat(np.arange(level.nodes), np.diff(level.starts))
    drops = potential[rows] - potential[level.neighbours]
    currents = (level.conductances * drops).astype(np.float32)
    ground = (level.ground * own).astype(np.float32)
    for depth in reversed(range(len(hierarchy.aggregates))):
        coarse, level = level, hierarchy.levels[depth]
        aggregates = hierarchy.aggregates[depth]
        order, begins = members(aggregates[: level.nodes], coarse.nodes)
        drops = currents / coarse.conductances * np.float32(OVERCORRECTION)
        potential = np.zeros_like(ground)
        np.divide(ground, coarse.ground, out=potential, where=coarse.ground > 0)
        potential *= np.float32(OVERCORRECTION)
        currents, ground = _share_out(
            level, surpluses.pop(), aggregates, order, begins, coarse, drops, potential
        )
    return float(
        hierarchy.sum(_dissipation(level.conductances, currents) / 2)  # a link stands in two rows
        + hierarchy.sum(_dissipation(level.ground, ground))
    )


@njit(cache=True)
def _residual(level: Network, lower: Single, potential: Array, surplus: Array) -> float:
    dissipation = 0.0
    for i in range(len(level.ground)):
        here = potential[i]
        arriving, heat = 0.0, 0.0
        for e in range(level.starts[i], level.starts[i + 1]):
            drop = potential[level.neighbours[e]] - here
            current = level.conductances[e] * drop
            arriving += current
            heat += 0.5 * current * drop
        upper = level.ground[i] - lower[i]
        surplus[i] = arriving + lower[i] * (1 - here) - upper * here
        dissipation += heat + lower[i] * (1 - here) ** 2 + upper * here**2
    return dissipation


@njit(cache=True)
def _dissipation(conductances: Single, currents: Single) -> float:
    total = 0.0
    for e in range(len(currents)):
        if conductances[e] > 0:
            current = np.float64(currents[e])
            total += current * current / conductances[e]
    return total


@njit(cache=True)
def _share_out(
    level: Network,
    surplus: Array,
    aggregates: Integers,
    order: Integers,
    begins: Longs,
    coarse: Network,
    coarse_drops: Single,
    coarse_potential: Single,
) -> tuple[Single, Single]:
    """Return currents out of each row's node and to the plates that carry off a surplus.

    A coarse drop is the current of a coarse link over the sum of the conductances it stands for.
    """
    starts, neighbours, conductances = level.starts, level.neighbours, level.conductances
    n = len(level.ground)
    currents, ground = np.zeros(len(neighbours), np.float32), np.empty(n, np.float32)
    strongest = strongest_links(level)
    drop = np.empty(len(coarse.ground) + len(coarse.ghosts), np.float64)
    seen = np.zeros(n, np.bool_)
    queue, before = np.empty(n, np.int32), np.empty(n, np.int32)
    for row in range(len(begins) - 1):
        for e in range(coarse.starts[row], coarse.starts[row + 1]):
            drop[coarse.neighbours[e]] = coarse_drops[e]
        for m in range(begins[row], begins[row + 1]):
            i = order[m]
            ground[i] = coarse_potential[row] * level.ground[i]
            surplus[i] -= ground[i]
            for e in range(starts[i], starts[i + 1]):
                end = aggregates[neighbours[e]]
                if end != row:
                    currents[e] = drop[end] * conductances[e]
                    surplus[i] -= currents[e]
        # The tree, breadth first from any node; from its leaves the surplus runs to that node.
        queue[0] = order[begins[row]]
        seen[queue[0]] = True
        filled, at, nodes = 1, 0, begins[row + 1] - begins[row]
        while filled < nodes:
            if at == filled:  # only nodes without a strong link are left, and join by their best
                for m in range(begins[row], begins[row + 1]):
                    j = order[m]
                    if not seen[j]:
                        i = _best(level, aggregates, seen, j)
                        if i >= 0:
                            seen[j] = True
                            before[j] = i
                            queue[filled] = j
                            filled += 1
            i = queue[at]
            at += 1
            for e in range(starts[i], starts[i + 1]):
                j = neighbours[e]
                if j < n and aggregates[j] == row and not seen[j]:
                    if conductances[e] >= STRONG * max(strongest[i], strongest[j]):
                        seen[j] = True
                        before[j] = i
                        queue[filled] = j
                        filled += 1
        for at in range(filled - 1, 0, -1):
            j = queue[at]
            i = before[j]
            _run(level, currents, j, i, surplus[j])
            _run(level, currents, i, j, -surplus[j])
            surplus[i] += surplus[j]
    return currents, ground


@njit(cache=True)
def _best(level: Network, aggregates: Integers, seen: NDArray[np.bool_], node: int) -> int:
    """Return the seen node of the same aggregate with the best link to a node, -1 if none."""
    best, most = -1, np.float32(0)
    for e in range(level.starts[node], level.starts[node + 1]):
        j = level.neighbours[e]
        if j < len(seen) and aggregates[j] == aggregates[node] and seen[j]:
            if level.conductances[e] > most:
                best, most = j, level.conductances[e]
    return best


@njit(cache=True)
def _run(level: Network, currents: Single, one: int, other: int, current: float) -> None:
    """Write the current from one node to another into the row of the first."""
    for e in range(level.starts[one], level.starts[one + 1]):
        if level.neighbours[e] == other:
            currents[e] = current

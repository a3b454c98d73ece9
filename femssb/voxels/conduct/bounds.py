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
from femssb.environment.compiled import njit, threaded
from femssb.voxels.conduct.aggregation import (
    OVERCORRECTION,
    STRONG,
    Grouping,
    strongest_links,
)
from femssb.voxels.conduct.hierarchy import Hierarchy
from femssb.voxels.conduct.links import Longs
from femssb.voxels.conduct.network import Integers, Network, Single


def residual(hierarchy: Hierarchy, potential: Array, lower: Single) -> tuple[Array, float]:
    """Return the surplus of current at each own node, shape (n,), and the dissipation.

    The potential is that of own nodes, 1 at the lower plate and 0 at the upper; `lower` is their
    conductance to the lower plate; both have the shape (n,).
    """
    level = hierarchy.levels[0]
    surplus = np.empty(level.nodes)
    parts = hierarchy.parts[0]
    heats = np.zeros(len(parts) - 1)
    _residual(parts, level, lower, hierarchy.halos[0].extend(potential), surplus, heats)
    return surplus, float(hierarchy.sum(float(heats.sum())))


def gap(hierarchy: Hierarchy, surplus: Array) -> float:
    """Return an upper bound of the dissipation of a potential beyond that of the true one.

    The surplus is the current that arrives at each own node beyond what leaves it, shape (n,).
    """
    surpluses = [surplus.copy()]
    for aggregates, grouping in zip(hierarchy.aggregates, hierarchy.groupings, strict=True):
        joined = np.empty(len(grouping.begins) - 1)
        _join(grouping.parts, grouping.firsts, aggregates, surpluses[-1], joined)
        surpluses.append(joined)
    level = hierarchy.levels[-1]
    own = hierarchy.solve_coarsest(surpluses.pop())
    potential = hierarchy.halos[-1].extend(own)
    rows = np.repeat(np.arange(level.nodes), np.diff(level.starts))
    drops = potential[rows] - potential[level.neighbours]
    currents = (level.conductances * drops).astype(np.float32)
    ground = (level.ground * own).astype(np.float32)
    heats = np.array([_dissipation(level, currents, ground)])
    for depth in reversed(range(len(hierarchy.aggregates))):
        coarse, level = level, hierarchy.levels[depth]
        parts, aggregates = hierarchy.parts[depth], hierarchy.aggregates[depth]
        grouping = hierarchy.groupings[depth]
        strongest = np.empty(level.nodes, np.float32)
        strongest_links(parts, level, strongest)
        coarse_currents, coarse_ground = currents, ground
        currents, ground = np.empty_like(level.conductances), np.empty_like(level.ground)
        heats = np.zeros(len(parts) - 1)
        surplus = surpluses.pop()
        _share_out(
            *(parts, level, strongest, surplus, aggregates, grouping, coarse, coarse_currents),
            *(coarse_ground, currents, ground, heats),
        )
    return float(hierarchy.sum(float(heats.sum())))


@threaded
def _residual(
    start: int,
    stop: int,
    parts: Longs,
    level: Network,
    lower: Single,
    potential: Array,
    surplus: Array,
    heats: Array,
) -> None:
    for part in range(start, stop):
        dissipation = 0.0
        for i in range(parts[part], parts[part + 1]):
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
        heats[part] = dissipation


@threaded
def _join(
    start: int,
    stop: int,
    parts: Longs,
    firsts: Longs,
    aggregates: Integers,
    surplus: Array,
    joined: Array,
) -> None:
    """Add up the surplus of each aggregate."""
    for part in range(start, stop):
        for a in range(firsts[part], firsts[part + 1]):
            joined[a] = 0.0
        for i in range(parts[part], parts[part + 1]):
            joined[aggregates[i]] += surplus[i]


@njit(cache=True)
def _dissipation(level: Network, currents: Single, ground: Single) -> float:
    """Return the dissipation of all currents; a link stands in two rows."""
    total = 0.0
    for i in range(len(level.ground)):
        for e in range(level.starts[i], level.starts[i + 1]):
            total += _heat(currents[e], level.conductances[e]) / 2
        total += _heat(ground[i], level.ground[i])
    return total


@njit(inline="always")
def _heat(current: float, conductance: float) -> float:
    return np.float64(current) * current / conductance if conductance > 0 else 0.0


@threaded
def _share_out(
    start: int,
    stop: int,
    parts: Longs,
    level: Network,
    strongest: Single,
    surplus: Array,
    aggregates: Integers,
    grouping: Grouping,
    coarse: Network,
    coarse_currents: Single,
    coarse_ground: Single,
    currents: Single,
    ground: Single,
    heats: Array,
) -> None:
    """Write currents out of each row's node and to the plates that carry off a surplus.

    They dissipate `heats` in each part.
    """
    starts, neighbours, conductances = level.starts, level.neighbours, level.conductances
    firsts, order, begins = grouping.firsts, grouping.order, grouping.begins
    n, count = len(level.ground), len(coarse.ground)
    for part in range(start, stop):
        low, high = firsts[max(part - 1, 0)], firsts[min(part + 2, len(parts) - 1)]
        drop = np.empty(high - low + len(coarse.ghosts), np.float64)
        first = parts[part]
        seen = np.zeros(parts[part + 1] - first, np.bool_)
        queue, before = np.empty(len(seen), np.int32), np.empty(len(seen), np.int32)
        for i in range(first, parts[part + 1]):
            for e in range(starts[i], starts[i + 1]):
                currents[e] = 0.0
        total = 0.0
        for row in range(firsts[part], firsts[part + 1]):
            for e in range(coarse.starts[row], coarse.starts[row + 1]):
                end = coarse.neighbours[e]
                where = end - low if end < count else end - count + high - low
                drop[where] = coarse_currents[e] / coarse.conductances[e] * OVERCORRECTION
            potential = 0.0
            if coarse.ground[row] > 0:
                potential = coarse_ground[row] / coarse.ground[row] * OVERCORRECTION
            for m in range(begins[row], begins[row + 1]):
                i = order[m]
                ground[i] = potential * level.ground[i]
                surplus[i] -= ground[i]
                total += _heat(ground[i], level.ground[i])
                for e in range(starts[i], starts[i + 1]):
                    end = aggregates[neighbours[e]]
                    if end != row:
                        where = end - low if end < count else end - count + high - low
                        currents[e] = drop[where] * conductances[e]
                        surplus[i] -= currents[e]
            # The tree, breadth first from any node; from its leaves the surplus runs to that node.
            queue[0] = order[begins[row]]
            seen[queue[0] - first] = True
            filled, at, nodes = 1, 0, begins[row + 1] - begins[row]
            while filled < nodes:
                if (
                    at == filled
                ):  # only nodes without a strong link are left: they join by their best
                    for m in range(begins[row], begins[row + 1]):
                        j = order[m]
                        if not seen[j - first]:
                            i = _best(level, aggregates, seen, first, j)
                            if i >= 0:
                                seen[j - first] = True
                                before[j - first] = i
                                queue[filled] = j
                                filled += 1
                i = queue[at]
                at += 1
                for e in range(starts[i], starts[i + 1]):
                    j = neighbours[e]
                    if j < n and aggregates[j] == row and not seen[j - first]:
                        if conductances[e] >= STRONG * max(strongest[i], strongest[j]):
                            seen[j - first] = True
                            before[j - first] = i
                            queue[filled] = j
                            filled += 1
            for at in range(filled - 1, 0, -1):
                j = queue[at]
                i = before[j - first]
                _run(level, currents, j, i, surplus[j])
                _run(level, currents, i, j, -surplus[j])
                surplus[i] += surplus[j]
            for m in range(begins[row], begins[row + 1]):
                for e in range(starts[order[m]], starts[order[m] + 1]):
                    total += _heat(currents[e], conductances[e]) / 2
        heats[part] = total


@njit(cache=True)
def _best(
    level: Network, aggregates: Integers, seen: NDArray[np.bool_], first: int, node: int
) -> int:
    """Return the seen node of the same aggregate with the best link to a node, -1 if none."""
    best, most = -1, np.float32(0)
    for e in range(level.starts[node], level.starts[node + 1]):
        j = level.neighbours[e]
        inside = j < len(level.ground) and aggregates[j] == aggregates[node]
        if inside and seen[j - first]:
            if level.conductances[e] > most:
                best, most = j, level.conductances[e]
    return best


@njit(cache=True)
def _run(level: Network, currents: Single, one: int, other: int, current: float) -> None:
    """Write the current from one node to another into the row of the first."""
    for e in range(level.starts[one], level.starts[one + 1]):
        if level.neighbours[e] == other:
            currents[e] = current

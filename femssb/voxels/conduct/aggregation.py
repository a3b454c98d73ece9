"""Coarser networks: nodes of one conductor that lie in one block of 2 x 2 x 2 become one node.

An aggregate never joins two conductors: its nodes are connected by links that are strong for both
ends. Only a node that has no such link, such as a poor conductor that has shrunk to one node amid a
good one, joins a neighbour: its potential follows from theirs. With these rules the iterations
depend neither on the contrast nor on the size of the image; without them they do on both.

The coarse network is the fine one with each aggregate short-circuited: too stiff by a factor of 2
for smooth potentials, as distances double but the links crossed do not, and exact for potentials
that are constant on a conductor. `OVERCORRECTION` lies between.

Source: Braess, Computing 55 (1995) 379, for the factor; Notay, ETNA 37 (2010) 123, for aggregation.
"""

from typing import NamedTuple

import numpy as np

from femssb.arrays import Array
from femssb.environment.compiled import njit, threaded
from femssb.voxels.conduct.links import Longs
from femssb.voxels.conduct.network import Integers, Network, Single, unite

STRONG = 0.1  # share of the strongest link of either end from which a link is strong [-]
OVERCORRECTION = 0.7  # factor on the conductances of a coarser network [-]


class Grouping(NamedTuple):
    """The nodes of a network in aggregates; those of a part lie in aggregates of their own.

    Attributes:
        parts: First node of each part, and the number of nodes, shape (parts + 1,).
        firsts: First aggregate of each part, and their number, shape (parts + 1,).
        order: Nodes sorted by aggregate, shape (n,).
        begins: Where each aggregate begins in `order`, shape (aggregates + 1,).
    """

    parts: Longs
    firsts: Longs
    order: Integers
    begins: Longs


def coarsen(
    level: Network,
    grouping: Grouping,
    aggregates: Integers,
    *,
    ghosts: Longs,
    first: int,
    total: int,
) -> Network:
    """Return the network whose nodes are the aggregates.

    `aggregates` holds their local numbers, also of nodes of other ranks; the last three arguments
    are those of the new network.
    """
    count = int(grouping.firsts[-1])
    arguments = (grouping.parts, level, grouping, aggregates, count + len(ghosts))
    starts = np.zeros(count + 1, np.int64)
    none = np.empty(0, np.int32), np.empty(0, np.float32)
    ground, voxels = np.empty(count, np.float32), np.empty(count, np.int64)
    _coarse_rows(*arguments, starts, *none, ground, voxels, False)
    np.cumsum(starts, out=starts)
    neighbours = np.empty(starts[-1], np.int32)
    conductances = np.empty(starts[-1], np.float32)
    _coarse_rows(*arguments, starts, neighbours, conductances, ground, voxels, True)
    return Network(starts, neighbours, conductances, ground, voxels, ghosts, first, total)


@threaded
def strongest_links(start: int, stop: int, parts: Longs, level: Network, strongest: Single) -> None:
    """Write the conductance of the strongest link of each node, shape (n,)."""
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            most = np.float32(0)
            for e in range(level.starts[i], level.starts[i + 1]):
                most = max(most, level.conductances[e])
            strongest[i] = most


def aggregate(
    parts: Longs, level: Network, shift: int, rows: int, columns: int
) -> tuple[Integers, Longs]:
    """Return the aggregate of each own node, shape (n,), and the first one of each part.

    Args:
        parts: Whole layers of blocks, from `parts_of`.
        level: The network.
        shift: A block has 2^shift voxels along each edge.
        rows: Voxels of the image along its second axis.
        columns: Voxels of the image along its third axis.
    """
    strongest = np.empty(level.nodes, np.float32)
    strongest_links(parts, level, strongest)
    aggregates, firsts = np.empty(level.nodes, np.int32), np.zeros(len(parts), np.int64)
    _aggregate(parts, level, strongest, shift, rows, columns, aggregates, firsts)
    np.cumsum(firsts, out=firsts)
    _number(parts, firsts, aggregates)
    return aggregates, firsts


def group(parts: Longs, firsts: Longs, aggregates: Integers) -> Grouping:
    """Return the nodes in their aggregates, as `aggregate` found them."""
    begins = np.zeros(firsts[-1] + 1, np.int64)
    order = np.empty(parts[-1], np.int32)
    _sort(parts, firsts, aggregates, begins, order)
    return Grouping(parts, firsts, order, begins)


@threaded
def _aggregate(
    start: int,
    stop: int,
    parts: Longs,
    level: Network,
    strongest: Single,
    shift: int,
    rows: int,
    columns: int,
    aggregates: Integers,
    firsts: Longs,
) -> None:
    """Give each node the lowest of its aggregate; count those of part p into entry p + 1."""
    n = len(level.ground)
    for part in range(start, stop):
        low, high = parts[part], parts[part + 1]
        block = np.empty(high - low, np.int64)
        for i in range(low, high):
            aggregates[i] = i
            plane, rest = divmod(level.voxels[i], rows * columns)
            row, column = divmod(rest, columns)
            within = (row >> shift) * columns + (column >> shift)
            block[i - low] = (plane >> shift) * rows * columns + within
        for i in range(low, high):
            alone, nearest, most = True, -1, STRONG * strongest[i]
            for e in range(level.starts[i], level.starts[i + 1]):
                j, conductance = level.neighbours[e], level.conductances[e]
                if j >= n:
                    alone = False  # the links of the other end are not known here
                    continue
                inside = low <= j < high and block[j - low] == block[i - low]
                if conductance >= STRONG * max(strongest[i], strongest[j]):
                    alone = False
                    if inside and j < i:
                        unite(aggregates, i, j)
                elif inside and conductance >= most:
                    nearest, most = j, conductance
            if alone and nearest >= 0:
                unite(aggregates, i, nearest)
        count = 0
        for i in range(low, high):
            aggregates[i] = aggregates[aggregates[i]]  # its lowest node: lower ones are done
            if aggregates[i] == i:
                count += 1
        firsts[part + 1] = count


@threaded
def _number(start: int, stop: int, parts: Longs, firsts: Longs, aggregates: Integers) -> None:
    """Replace the lowest node of each aggregate by its number."""
    for part in range(start, stop):
        count = firsts[part]
        for i in range(parts[part], parts[part + 1]):
            if aggregates[i] == i:
                aggregates[i] = count
                count += 1
            else:
                aggregates[i] = aggregates[aggregates[i]]


@threaded
def _sort(
    start: int,
    stop: int,
    parts: Longs,
    firsts: Longs,
    aggregates: Integers,
    begins: Longs,
    order: Integers,
) -> None:
    """Write where each aggregate begins, and the nodes sorted by aggregate."""
    for part in range(start, stop):
        low, high = firsts[part], firsts[part + 1]
        at = np.zeros(high - low + 1, np.int64)
        for i in range(parts[part], parts[part + 1]):
            at[aggregates[i] - low + 1] += 1
        at[0] = parts[part]
        for a in range(high - low):
            at[a + 1] += at[a]
            begins[low + a + 1] = at[a + 1]
        for i in range(parts[part], parts[part + 1]):
            order[at[aggregates[i] - low]] = i
            at[aggregates[i] - low] += 1


@threaded
def _coarse_rows(
    start: int,
    stop: int,
    parts: Longs,
    level: Network,
    grouping: Grouping,
    aggregates: Integers,
    places: int,
    starts: Longs,
    neighbours: Integers,
    conductances: Single,
    ground: Single,
    voxels: Longs,
    fill: bool,
) -> None:
    """Count the links of each aggregate into `starts`, or fill them in, ascending."""
    firsts, order, begins = grouping.firsts, grouping.order, grouping.begins
    count = firsts[-1]
    for part in range(start, stop):
        # Links lead to aggregates of this part and of those beside it, and to other ranks.
        low, high = firsts[max(part - 1, 0)], firsts[min(part + 2, len(parts) - 1)]
        place = np.full(high - low + places - count, -1, np.int32)  # among the ends of the row
        ends, at, sums = np.empty(64, np.int32), np.empty(64, np.int64), np.empty(64, np.float64)
        for row in range(firsts[part], firsts[part + 1]):
            found, to_plates = 0, 0.0
            for m in range(begins[row], begins[row + 1]):
                i = order[m]
                to_plates += level.ground[i]
                for e in range(level.starts[i], level.starts[i + 1]):
                    end = aggregates[level.neighbours[e]]
                    if end == row:
                        continue
                    where = end - low if end < count else end - count + high - low
                    if place[where] < 0:
                        if found == len(ends):
                            ends = np.concatenate((ends, ends))
                            at = np.concatenate((at, at))
                            sums = np.concatenate((sums, sums))
                        place[where] = found
                        ends[found], at[found], sums[found] = end, where, 0.0
                        found += 1
                    sums[place[where]] += level.conductances[e]
            if fill:
                ground[row] = OVERCORRECTION * to_plates
                voxels[row] = level.voxels[order[begins[row]]]
                _write(ends, sums, found, neighbours, conductances, starts[row])
            else:
                starts[row + 1] = found
            for f in range(found):
                place[at[f]] = -1


@njit(cache=True)
def _write(
    ends: Integers,
    sums: Array,
    found: int,
    neighbours: Integers,
    conductances: Single,
    begin: int,
) -> None:
    """Write a row, its neighbours ascending."""
    for f in range(found):
        end, value = ends[f], sums[f]
        g = f
        while g > 0 and ends[g - 1] > end:
            ends[g], sums[g] = ends[g - 1], sums[g - 1]
            g -= 1
        ends[g], sums[g] = end, value
    for f in range(found):
        neighbours[begin + f] = ends[f]
        conductances[begin + f] = OVERCORRECTION * sums[f]

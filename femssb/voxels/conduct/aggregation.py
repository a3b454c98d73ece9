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

import numpy as np
from scipy import sparse

from femssb.environment.compiled import njit
from femssb.voxels.conduct.network import Integers, Longs, Network, Single, unite

STRONG = 0.1  # share of the strongest link of either end from which a link is strong [-]
OVERCORRECTION = 0.7  # factor on the conductances of a coarser network [-]


def coarsen(
    level: Network, aggregates: Integers, count: int, *, ghosts: Longs, first: int, total: int
) -> Network:
    """Return the network whose nodes are the aggregates, of which this rank owns `count`.

    `aggregates` holds their local numbers, also of nodes of other ranks; the last three arguments
    are those of the new network.
    """
    order, begins = members(aggregates[: level.nodes], count)
    arguments = (level, aggregates, order, begins, count + len(ghosts))
    starts = np.zeros(count + 1, np.int64)
    none = np.empty(0, np.int32), np.empty(0, np.float32)
    _coarse_rows(*arguments, starts, *none, False)
    np.cumsum(starts, out=starts)
    neighbours = np.empty(starts[-1], np.int32)
    conductances = np.empty(starts[-1], np.float32)
    _coarse_rows(*arguments, starts, neighbours, conductances, True)
    grounds = np.bincount(aggregates[: level.nodes], level.ground, count)
    ground = (OVERCORRECTION * grounds).astype(np.float32)
    voxels = level.voxels[order[begins[:-1]]]
    return Network(starts, neighbours, conductances, ground, voxels, ghosts, first, total)


@njit(cache=True)
def strongest_links(level: Network) -> Single:
    """Return the conductance of the strongest link of each node, shape (n,)."""
    strongest = np.zeros(len(level.ground), np.float32)
    for i in range(len(strongest)):
        for e in range(level.starts[i], level.starts[i + 1]):
            strongest[i] = max(strongest[i], level.conductances[e])
    return strongest


@njit(cache=True)
def aggregate(level: Network, shift: int, rows: int, columns: int) -> tuple[Integers, int]:
    """Return the aggregate of each own node, shape (n,), and the number of aggregates.

    Args:
        level: The network.
        shift: A block has 2^shift voxels along each edge.
        rows: Voxels of the image along its second axis.
        columns: Voxels of the image along its third axis.
    """
    n = len(level.ground)
    strongest = strongest_links(level)
    block = np.empty(n, np.int64)
    for i in range(n):
        plane, rest = divmod(level.voxels[i], rows * columns)
        row, column = divmod(rest, columns)
        block[i] = ((plane >> shift) * rows + (row >> shift)) * columns + (column >> shift)
    aggregates = np.arange(n).astype(np.int32)
    for i in range(n):
        alone, nearest, most = True, -1, STRONG * strongest[i]
        for e in range(level.starts[i], level.starts[i + 1]):
            j, conductance = level.neighbours[e], level.conductances[e]
            if j >= n:
                alone = False  # the links of the other end are not known here
                continue
            inside = block[j] == block[i]
            if conductance >= STRONG * max(strongest[i], strongest[j]):
                alone = False
                if inside and j < i:
                    unite(aggregates, i, j)
            elif inside and conductance >= most:
                nearest, most = j, conductance
        if alone and nearest >= 0:
            unite(aggregates, i, nearest)
    for i in range(n):
        aggregates[i] = aggregates[aggregates[i]]  # its lowest node: lower ones are done
    count = 0
    for i in range(n):
        if aggregates[i] == i:
            aggregates[i] = count
            count += 1
        else:
            aggregates[i] = aggregates[aggregates[i]]
    return aggregates, count


def members(aggregates: Integers, count: int) -> tuple[Integers, Longs]:
    """Return the nodes sorted by aggregate, and where each aggregate begins, shape (count + 1,)."""
    nodes = np.arange(len(aggregates), dtype=np.int32)
    table = sparse.coo_array((nodes, (aggregates, nodes)), shape=(count, len(nodes))).tocsr()
    return table.indices, table.indptr.astype(np.int64)


@njit(cache=True)
def _coarse_rows(
    level: Network,
    aggregates: Integers,
    order: Integers,
    begins: Longs,
    places: int,
    starts: Longs,
    neighbours: Integers,
    conductances: Single,
    fill: bool,
) -> None:
    """Count the links of each aggregate into `starts`, or fill them in, ascending."""
    place = np.full(places, -1, np.int32)  # of a neighbour among the ends of the present row
    ends, sums = np.empty(1024, np.int32), np.empty(1024, np.float64)
    for row in range(len(begins) - 1):
        found = 0
        for m in range(begins[row], begins[row + 1]):
            i = order[m]
            for e in range(level.starts[i], level.starts[i + 1]):
                end = aggregates[level.neighbours[e]]
                if end == row:
                    continue
                if place[end] < 0:
                    if found == len(ends):
                        ends = np.concatenate((ends, ends))
                        sums = np.concatenate((sums, sums))
                    place[end] = found
                    ends[found] = end
                    sums[found] = 0.0
                    found += 1
                sums[place[end]] += level.conductances[e]
        if fill:
            begin = starts[row]
            ascending = np.sort(ends[:found])
            for f in range(found):
                neighbours[begin + f] = ascending[f]
                conductances[begin + f] = OVERCORRECTION * sums[place[ascending[f]]]
        else:
            starts[row + 1] = found
        for f in range(found):
            place[ends[f]] = -1

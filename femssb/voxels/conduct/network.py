"""The resistor network of the voxels that carry current from plate to plate.

Node i is a voxel; with its neighbours j and the plates, Kirchhoff's law reads

    sum_j T_ij (phi_i - phi_j) + lower_i (phi_i - 0) + upper_i (phi_i - 1) = 0

Only clusters that reach both plates are kept: all others have a constant potential and carry
nothing. Links are stored row by row without the diagonal: A phi is summed from differences, so that
no current is lost to roundoff however large the image.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from femssb.environment.compiled import njit
from femssb.voxels.conduct.links import Links, Slab

Single = NDArray[np.float32]
Integers = NDArray[np.int32]
Longs = NDArray[np.int64]

OUTSIDE = -1  # number of a voxel that is no node


class Network(NamedTuple):
    """The nodes that this rank owns and their links, also to nodes of other ranks.

    Conductances are divided by `Links.unit`. A named tuple can be handed to compiled functions.

    Attributes:
        starts: Where each row begins in `neighbours`, shape (n + 1,).
        neighbours: Local number of the other end; from n on they are `ghosts`.
        conductances: Of each link; each stands in the rows of both ends.
        ground: Conductance to both plates together, shape (n,).
        voxels: Index in the whole image of one voxel of each node, shape (n,).
        ghosts: Global numbers of nodes of other ranks, ascending.
        first: Global number of node 0.
        total: Number of nodes on all ranks.
    """

    starts: Longs
    neighbours: Integers
    conductances: Single
    ground: Single
    voxels: Longs
    ghosts: Longs
    first: int
    total: int

    @property
    def nodes(self) -> int:
        """Number of nodes that this rank owns."""
        return len(self.ground)


def percolating(links: Links, slab: Slab, comm: Any = None) -> NDArray[np.bool_]:
    """Return a mask of the voxels of a slab in clusters that reach both plates.

    The ranks of `comm` hold the slabs in their order; None if alone.
    """
    shape = links.second.shape
    cluster = np.arange(np.prod(shape), dtype=np.int32)
    _join(links.along, links.second, links.third, cluster)
    clusters = cluster.reshape(shape)
    first = 0 if comm is None else comm.exscan(cluster.size) or 0  # makes numbers unique
    lower, upper = (
        np.unique(clusters[side][at_plate & (links.along[side] > 0)]) + np.int64(first)
        for side, at_plate in ((0, slab.is_first), (-1, slab.is_last))
    )
    if comm is None or comm.size == 1:
        kept = np.intersect1d(lower, upper)
    else:
        kept = _across(clusters.astype(np.int64) + first, links, slab, lower, upper, comm)
    chosen = np.zeros(cluster.size, np.bool_)
    local = kept - first
    chosen[local[(local >= 0) & (local < cluster.size)]] = True
    return chosen[clusters]


def _across(
    clusters: Longs, links: Links, slab: Slab, lower: Longs, upper: Longs, comm: Any
) -> Longs:
    """Join clusters over the faces between slabs and return those that reach both plates."""
    pairs = np.empty((0, 2), np.int64)
    if not slab.is_last:
        comm.send(clusters[-1], dest=comm.rank + 1)
    if not slab.is_first:
        theirs = comm.recv(source=comm.rank - 1)
        faces = links.along[0] > 0
        pairs = np.unique(np.stack([theirs[faces], clusters[0][faces]], axis=1), axis=0)
    pairs, lower, upper = (np.concatenate(comm.allgather(part)) for part in (pairs, lower, upper))
    numbers = np.unique(np.concatenate([pairs.ravel(), lower, upper]))
    ends = np.searchsorted(numbers, pairs)
    graph = sparse.coo_array(
        (np.ones(len(ends), np.bool_), (ends[:, 0], ends[:, 1])), shape=(len(numbers),) * 2
    )
    _, group = csgraph.connected_components(graph, directed=False)
    at_lower, at_upper = (group[np.searchsorted(numbers, plate)] for plate in (lower, upper))
    return numbers[np.isin(group, np.intersect1d(at_lower, at_upper))]


def assemble(
    links: Links, active: NDArray[np.bool_], slab: Slab, comm: Any = None
) -> tuple[Network, Single]:
    """Return the network of the active voxels of a slab, and their links to the lower plate.

    The voxels are those that `percolating` found.
    """
    nodes = int(np.count_nonzero(active))
    counts = [nodes] if comm is None else comm.allgather(nodes)
    first = sum(counts[: 0 if comm is None else comm.rank])
    number = np.full((len(active) + 2, *active.shape[1:]), OUTSIDE, np.int32)
    number[1:-1][active] = np.arange(nodes, dtype=np.int32)
    below = above = np.zeros_like(active[0])  # what the neighbouring ranks hold next to this slab
    if not slab.is_first:
        below = comm.sendrecv(active[0], dest=comm.rank - 1, source=comm.rank - 1)
    if not slab.is_last:
        above = comm.sendrecv(active[-1], dest=comm.rank + 1, source=comm.rank + 1)
    ghosts = np.empty(0, np.int64)
    for place, plane in ((0, below), (-1, above)):
        count = int(np.count_nonzero(plane))
        number[place][plane] = nodes + len(ghosts) + np.arange(count, dtype=np.int32)
        begin = first - count if place == 0 else first + nodes
        ghosts = np.concatenate([ghosts, begin + np.arange(count)])
    faces = (links.along, links.second, links.third)
    starts = np.zeros(nodes + 1, np.int64)
    _rows(*faces, number, starts, np.empty(0, np.int32), np.empty(0, np.float32), False)
    np.cumsum(starts, out=starts)
    neighbours = np.empty(starts[-1], np.int32)
    conductances = np.empty(starts[-1], np.float32)
    _rows(*faces, number, starts, neighbours, conductances, True)
    lower, upper = np.zeros((2, nodes), np.float32)
    if slab.is_first:
        lower[: np.count_nonzero(active[0])] = links.along[0][active[0]]
    if slab.is_last:
        upper[nodes - np.count_nonzero(active[-1]) :] = links.along[-1][active[-1]]
    voxels = np.flatnonzero(active) + slab.start * active[0].size
    parts = (starts, neighbours, conductances, lower + upper, voxels, ghosts, first, sum(counts))
    return Network(*parts), lower


@njit(cache=True)
def root(parent: Integers, node: int) -> int:
    """Return the node that represents a tree of nodes, and shorten the path to it."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True)
def unite(parent: Integers, one: int, other: int) -> None:
    """Join the trees of two nodes; the lower of their roots represents both."""
    a, b = root(parent, one), root(parent, other)
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@njit(cache=True)
def _join(along: Single, second: Single, third: Single, cluster: Integers) -> None:
    """Replace each voxel's own number by the lowest of its cluster."""
    planes, rows, columns = second.shape
    for i in range(planes):
        for j in range(rows):
            for k in range(columns):
                n = (i * rows + j) * columns + k
                if i > 0 and along[i, j, k] > 0:
                    unite(cluster, n, n - rows * columns)
                if second[i, j, k] > 0:
                    unite(cluster, n, (i * rows + (j + 1) % rows) * columns + k)
                if third[i, j, k] > 0:
                    unite(cluster, n, (i * rows + j) * columns + (k + 1) % columns)
    for n in range(len(cluster)):
        cluster[n] = cluster[cluster[n]]  # lower numbers are done: one step is enough


@njit(cache=True)
def _rows(
    along: Single,
    second: Single,
    third: Single,
    number: Integers,
    starts: Longs,
    neighbours: Integers,
    conductances: Single,
    fill: bool,
) -> None:
    """Count the links of each node into `starts`, or fill them in, ascending, each neighbour once.

    `number` has a plane more on either side than the faces.
    """
    ends, values = np.empty(6, np.int32), np.empty(6, np.float32)
    planes, rows, columns = second.shape
    for i in range(planes):
        for j in range(rows):
            for k in range(columns):
                node = number[i + 1, j, k]
                if node == OUTSIDE:
                    continue
                left, right = (j - 1) % rows, (j + 1) % rows
                near, far = (k - 1) % columns, (k + 1) % columns
                found = 0
                found = _insert(along[i, j, k], number[i, j, k], ends, values, found)
                found = _insert(second[i, left, k], number[i + 1, left, k], ends, values, found)
                found = _insert(third[i, j, near], number[i + 1, j, near], ends, values, found)
                found = _insert(third[i, j, k], number[i + 1, j, far], ends, values, found)
                found = _insert(second[i, j, k], number[i + 1, right, k], ends, values, found)
                found = _insert(along[i + 1, j, k], number[i + 2, j, k], ends, values, found)
                if fill:
                    begin = starts[node]
                    neighbours[begin : begin + found] = ends[:found]
                    conductances[begin : begin + found] = values[:found]
                else:
                    starts[node + 1] = found


@njit(cache=True)
def _insert(value: float, end: int, ends: Integers, values: Single, found: int) -> int:
    """Insert a link in ascending order, unless it conducts nothing; return the number of links."""
    if end == OUTSIDE or value <= 0:
        return found
    place = found
    while place > 0 and ends[place - 1] > end:
        place -= 1
    if place > 0 and ends[place - 1] == end:  # two voxels that meet on both sides of the image
        values[place - 1] += value
        return found
    for later in range(found, place, -1):
        ends[later] = ends[later - 1]
        values[later] = values[later - 1]
    ends[place] = end
    values[place] = value
    return found + 1

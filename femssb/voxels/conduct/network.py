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

from femssb.environment.compiled import njit, threaded
from femssb.voxels.conduct.links import MOST_PARTS, Links, Longs, Slab, runs

Single = NDArray[np.float32]
Integers = NDArray[np.int32]

OUTSIDE = -1  # number of a voxel that is no node
SEAMS = 16  # parts where what lies between them is left to one thread
LEAST_NODES = 4096  # of a part
FEWEST = 4  # parts that are worth the cost of waking up threads


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


def parts_of(level: Network, plane: int, shift: int) -> Longs:
    """Return the first node of each run of whole layers of blocks, and the number of nodes.

    Nodes of two runs are linked only if the runs follow each other.

    Args:
        level: A network whose nodes are sorted by those layers.
        plane: Voxels of a plane across the flux.
        shift: A layer has 2^shift planes.
    """
    count = min(level.nodes // LEAST_NODES, MOST_PARTS)
    if count < FEWEST:
        return np.array([0, level.nodes])
    low, high = level.voxels[[0, -1]] // plane >> shift
    layers = int(high - low + 1)
    count = min(count, layers)
    if count > FEWEST:  # two threads sweep over as many odd as even ones
        count -= count % FEWEST
    bounds = low + np.arange(1, count) * layers // count
    inner = np.searchsorted(level.voxels, (bounds << shift) * plane)
    return np.concatenate([[0], inner, [level.nodes]])


def percolating(links: Links, slab: Slab, comm: Any = None) -> NDArray[np.bool_]:
    """Return a mask of the voxels of a slab in clusters that reach both plates.

    The ranks of `comm` hold the slabs in their order; None if alone.
    """
    shape = links.second.shape
    size = int(np.prod(shape))
    cluster = np.empty(size, np.int32)
    seams = runs(shape[0], size, SEAMS)
    _join(seams, links.along, links.second, links.third, cluster)
    _join_seams(seams, links.along, cluster)
    first = 0 if comm is None else comm.exscan(size) or 0  # makes numbers unique
    ends = np.empty((2, *shape[1:]), np.int64)  # clusters of the first and of the last plane
    for place, begin in enumerate((0, size - ends[0].size)):
        _roots(cluster, begin, ends[place].reshape(-1))
    ends += first
    lower, upper = (
        np.unique(ends[side][at_plate & (links.along[side] > 0)])
        for side, at_plate in ((0, slab.is_first), (-1, slab.is_last))
    )
    if comm is None or comm.size == 1:
        kept = np.intersect1d(lower, upper)
    else:
        kept = _across(ends, links, slab, lower, upper, comm)
    chosen = np.zeros(size, np.bool_)
    local = kept - first
    chosen[local[(local >= 0) & (local < size)]] = True
    active = np.empty(shape, np.bool_)
    _choose(runs(shape[0], size) * (size // shape[0]), cluster, chosen, active.reshape(-1))
    return active


def _across(ends: Longs, links: Links, slab: Slab, lower: Longs, upper: Longs, comm: Any) -> Longs:
    """Join clusters over the faces between slabs and return those that reach both plates."""
    pairs = np.empty((0, 2), np.int64)
    if not slab.is_last:
        comm.send(ends[-1], dest=comm.rank + 1)
    if not slab.is_first:
        theirs = comm.recv(source=comm.rank - 1)
        faces = links.along[0] > 0
        pairs = np.unique(np.stack([theirs[faces], ends[0][faces]], axis=1), axis=0)
    pairs, lower, upper = (np.concatenate(comm.allgather(part)) for part in (pairs, lower, upper))
    numbers = np.unique(np.concatenate([pairs.ravel(), lower, upper]))
    joined = np.searchsorted(numbers, pairs)
    graph = sparse.coo_array(
        (np.ones(len(joined), np.bool_), (joined[:, 0], joined[:, 1])), shape=(len(numbers),) * 2
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
    parts = runs(len(active), active.size)
    counted = np.zeros(len(active) + 1, np.int64)
    _count(parts, active, counted)
    firsts = np.cumsum(counted)
    nodes = int(firsts[-1])
    counts = [nodes] if comm is None else comm.allgather(nodes)
    first = sum(counts[: 0 if comm is None else comm.rank])
    number = np.empty((len(active) + 2, *active.shape[1:]), np.int32)
    number[[0, -1]] = OUTSIDE
    voxels = np.empty(nodes, np.int64)
    _number(parts, active, firsts, slab.start * active[0].size, number, voxels)
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
    starts = np.empty(nodes + 1, np.int64)
    starts[0] = 0
    _rows(parts, *faces, number, starts, np.empty(0, np.int32), np.empty(0, np.float32), False)
    np.cumsum(starts, out=starts)
    neighbours = np.empty(starts[-1], np.int32)
    conductances = np.empty(starts[-1], np.float32)
    _rows(parts, *faces, number, starts, neighbours, conductances, True)
    lower, upper = np.zeros((2, nodes), np.float32)
    if slab.is_first:
        lower[: np.count_nonzero(active[0])] = links.along[0][active[0]]
    if slab.is_last:
        upper[nodes - np.count_nonzero(active[-1]) :] = links.along[-1][active[-1]]
    ground = lower + upper
    whole = (starts, neighbours, conductances, ground, voxels, ghosts, first, sum(counts))
    return Network(*whole), lower


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


@threaded
def _join(
    start: int,
    stop: int,
    parts: Longs,
    along: Single,
    second: Single,
    third: Single,
    cluster: Integers,
) -> None:
    """Give each voxel the lowest number of its cluster within its part."""
    rows, columns = second.shape[1:]
    for part in range(start, stop):
        begin, end = parts[part] * rows * columns, parts[part + 1] * rows * columns
        for n in range(begin, end):
            cluster[n] = n
        for i in range(parts[part], parts[part + 1]):
            for j in range(rows):
                for k in range(columns):
                    n = (i * rows + j) * columns + k
                    if i > parts[part] and along[i, j, k] > 0:
                        unite(cluster, n, n - rows * columns)
                    if second[i, j, k] > 0:
                        unite(cluster, n, (i * rows + (j + 1) % rows) * columns + k)
                    if third[i, j, k] > 0:
                        unite(cluster, n, (i * rows + j) * columns + (k + 1) % columns)
        for n in range(begin, end):
            cluster[n] = cluster[cluster[n]]  # lower numbers are done: one step is enough


@njit(cache=True)
def _join_seams(parts: Longs, along: Single, cluster: Integers) -> None:
    """Join the clusters of parts that follow each other."""
    rows, columns = along.shape[1:]
    for part in range(1, len(parts) - 1):
        for j in range(rows):
            for k in range(columns):
                if along[parts[part], j, k] > 0:
                    n = (parts[part] * rows + j) * columns + k
                    unite(cluster, n, n - rows * columns)


@njit(cache=True)
def _roots(cluster: Integers, begin: int, roots: Longs) -> None:
    """Write which clusters the voxels from `begin` on belong to."""
    for n in range(len(roots)):
        roots[n] = root(cluster, begin + n)


@threaded
def _choose(
    start: int,
    stop: int,
    parts: Longs,
    cluster: Integers,
    chosen: NDArray[np.bool_],
    active: NDArray[np.bool_],
) -> None:
    """Mark the voxels whose cluster is chosen."""
    for part in range(start, stop):
        for n in range(parts[part], parts[part + 1]):
            above = cluster[n]
            while cluster[above] != above:
                above = cluster[above]
            active[n] = chosen[above]


@threaded
def _count(start: int, stop: int, parts: Longs, active: NDArray[np.bool_], counted: Longs) -> None:
    """Write the number of active voxels of plane i into entry i + 1."""
    rows, columns = active.shape[1:]
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            found = 0
            for j in range(rows):
                for k in range(columns):
                    found += active[i, j, k]
            counted[i + 1] = found


@threaded
def _number(
    start: int,
    stop: int,
    parts: Longs,
    active: NDArray[np.bool_],
    firsts: Longs,
    offset: int,
    number: Integers,
    voxels: Longs,
) -> None:
    """Number the active voxels; `number` has a plane more on either side."""
    rows, columns = active.shape[1:]
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            node = firsts[i]
            for j in range(rows):
                for k in range(columns):
                    if active[i, j, k]:
                        number[i + 1, j, k] = node
                        voxels[node] = offset + (i * rows + j) * columns + k
                        node += 1
                    else:
                        number[i + 1, j, k] = OUTSIDE


@threaded
def _rows(
    start: int,
    stop: int,
    parts: Longs,
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
    rows, columns = second.shape[1:]
    for part in range(start, stop):
        ends, values = np.empty(6, np.int32), np.empty(6, np.float32)
        for i in range(parts[part], parts[part + 1]):
            for j in range(rows):
                left = j - 1 if j > 0 else rows - 1
                right = j + 1 if j < rows - 1 else 0
                for k in range(columns):
                    node = number[i + 1, j, k]
                    if node == OUTSIDE:
                        continue
                    near = k - 1 if k > 0 else columns - 1
                    far = k + 1 if k < columns - 1 else 0
                    found = 0
                    found = _insert(along[i, j, k], number[i, j, k], ends, values, found)
                    found = _insert(second[i, left, k], number[i + 1, left, k], ends, values, found)
                    found = _insert(third[i, j, near], number[i + 1, j, near], ends, values, found)
                    found = _insert(third[i, j, k], number[i + 1, j, far], ends, values, found)
                    found = _insert(second[i, j, k], number[i + 1, right, k], ends, values, found)
                    found = _insert(along[i + 1, j, k], number[i + 2, j, k], ends, values, found)
                    if fill:
                        begin = starts[node]
                        for f in range(found):
                            neighbours[begin + f] = ends[f]
                            conductances[begin + f] = values[f]
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

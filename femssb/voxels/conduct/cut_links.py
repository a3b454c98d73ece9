"""The network of cut voxels: a node for each piece of a conductor in a voxel.

Across a face of area A and distance d, two pieces of one body of conductivity s are linked by

    T = a s A / (d r),        a: share of the face that lies in the body

and two pieces that meet in a voxel at the area A by

    T = A / R,    R = R_contact + D (1 / s_holds - 1 / s_other) >= 0

with the depth D of their surface below the centre of the voxel, which one of them holds. Nodes stand
for potentials at the centre of the voxel. For the piece of the better conductor that is so even
where it does not hold the centre: its field continues smoothly, so r = 1, and R makes up for the
distance D that lies on the other side. For the poorer conductor such a continuation would need R
< 0; its node moves towards the surface, by the share mu of D at which R = 0:

    mu = 1 - s / s_holds - R_contact s / D, within [0, 1]

The way from there along the axis is shorter, w = 1 - mu x with the distance x d from the centre to
where the body begins. That is right for a current that crosses the surface, and r = 1 for one that
runs along it. With the part n of the surface's normal along the axis, least squares over both give

    1 / r = (1 - n^2 + g n^2 w) / (1 - n^2 + g n^2 w^2)

where g is the square of the current that crosses over the one that runs along, by the fields of a
single sphere: 1 in a sphere that conducts worse than its surroundings, (s_holds / s)^2 around one
that conducts better.

So the answer changes continuously with every conductivity and contact resistance, from 0 to
infinity: without the poorer conductor, faces are just narrowed to their open share.

Where two overlapping spheres meet in a neck narrower than a voxel, the constriction of the current
that the grid does not see is added to R: 1 / (2 s a) for a neck of radius a (Holm), less its value at
the width of a voxel, times the area of the neck and the share by which the background conducts less.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from femssb.arrays import Array
from femssb.voxels.conduct.links import Slab
from femssb.voxels.conduct.network import Network, Single
from femssb.voxels.make.cut_voxels import NOWHERE, CutVoxels

NEAREST = 0.02  # of two nodes along an axis, over the spacing: it bounds the conductances
MERGED = 1e-9  # resistance at which two pieces are one node, over that of a voxel


def network(
    voxels: CutVoxels,
    conductivities: Array,
    *,
    flux: int,
    periodic: tuple[bool, bool, bool],
    contacts: Mapping[tuple[int, int], float],
    slab: Slab,
) -> tuple[Network, Single, float]:
    """Return the network that percolates, its links to the lower plate, and its unit [S].

    Args:
        voxels: The pieces.
        conductivities: Of every phase [S/m].
        flux: Axis of the flux, whose outer faces lead to the plates, half a voxel away.
        periodic: Whether the sides across x, y and z are joined; that across the flux is not.
        contacts: Contact resistance between two phases [ohm m2].
        slab: Planes that this rank owns.
    """
    sigma = conductivities[voxels.phase]
    cells = voxels.voxel
    resistance = np.zeros((len(conductivities),) * 2)
    for (one, other), value in contacts.items():
        resistance[one, other] = resistance[other, one] = value
    unit = float(conductivities.max()) * np.prod(voxels.spacing) / voxels.spacing[flux] ** 2
    holder = voxels.starts[cells]
    ways, weights = _ways(voxels, sigma, holder, resistance)
    pairs, conductances = _meetings(voxels, sigma, holder, resistance, conductivities[0])
    merged = conductances * MERGED >= unit
    ends = pairs[merged].T
    graph = sparse.coo_array((np.ones(len(ends[0]), np.bool_), ends), shape=(len(sigma),) * 2)
    node = csgraph.connected_components(graph, directed=False)[1]
    links = [(*node[pairs[~merged].T], conductances[~merged])]
    plates = np.zeros((2, node.max() + 1))
    for axis in range(3):
        closed = axis == flux or not periodic[axis]
        lower, upper, place = _neighbours(voxels, cells, axis, closed)
        down, up = 2 * axis, 2 * axis + 1
        full = sigma * np.prod(voxels.spacing) / voxels.spacing[axis] ** 2
        share = full[:, None] * voxels.faces / voxels.samples**2
        shorter = ways[lower, up] + ways[upper, down]
        way = np.maximum(1 - shorter, NEAREST)
        moved = np.where(ways[lower, up] > ways[upper, down], lower, upper)
        normal, weight = voxels.normals[moved, axis], weights[moved] * voxels.normals[moved, axis]
        factor = (1 - normal + weight * way) / (1 - normal + weight * way**2)
        factor[shorter == 0] = 1.0
        links.append((node[lower], node[upper], share[lower, up] * factor))
        if axis == flux:
            for plate, side, way in ((0, 0, down), (1, voxels.shape[axis] - 1, up)):
                here = np.nonzero(place == side)[0]
                distance = np.maximum(0.5 - ways[here, way], NEAREST / 2)
                np.add.at(plates[plate], node[here], share[here, way] / distance)
    one, other, values = (np.concatenate(part) for part in zip(*links, strict=True))
    used = (values > 0) & (one != other)
    parts = (np.tile(values[used] / unit, 2), (np.append(one[used], other[used]), np.append(other[used], one[used])))
    whole = sparse.coo_array(parts, shape=(plates.shape[1],) * 2).tocsr()
    coordinates = np.unravel_index(cells, voxels.shape)
    order = [flux, (flux + 1) % 3, (flux + 2) % 3]
    place = np.zeros(plates.shape[1], np.int64)
    place[node] = np.ravel_multi_index(
        [coordinates[axis] for axis in order], [voxels.shape[axis] for axis in order]
    )
    return *_own(whole, plates / unit, place, np.prod(np.array(voxels.shape)[order[1:]]), slab), unit


def _ways(
    voxels: CutVoxels, sigma: Array, holder: NDArray[np.int64], resistance: Array
) -> tuple[Array, Array]:
    """Return how much nearer the node of each piece is, shape (m, 6), and g, shape (m,)."""
    holds = sigma[holder]
    depth = np.zeros(len(sigma))
    held = voxels.pairs[:, 0] == holder[voxels.pairs[:, 0]]
    depth[voxels.pairs[held, 1]] = voxels.depths[held]
    contact = resistance[voxels.phase, voxels.phase[holder]]
    ratio = np.divide(sigma, holds, out=np.ones_like(sigma), where=holds > 0)
    barrier = np.divide(contact * sigma, depth, out=np.zeros_like(sigma), where=depth > 0)
    share = np.clip(1 - ratio - barrier, 0, 1)
    ways = np.where(voxels.entries < NOWHERE, voxels.entries, 0.0) * share[:, None]
    inverse = np.divide(1.0, ratio, out=np.ones_like(sigma), where=ratio > 0)
    return ways, np.where(voxels.inside, 1.0, inverse**2)


def _meetings(
    voxels: CutVoxels,
    sigma: Array,
    holder: NDArray[np.int64],
    resistance: Array,
    background: float,
) -> tuple[NDArray[np.int32], Array]:
    """Return the pairs of pieces that meet and both conduct, and their conductances."""
    used = np.all(sigma[voxels.pairs] > 0, axis=1)
    pairs, depth = voxels.pairs[used], voxels.depths[used]
    holds, other = 1 / sigma[pairs.T]
    contact = resistance[voxels.phase[pairs[:, 0]], voxels.phase[pairs[:, 1]]]
    held = pairs[:, 0] == holder[pairs[:, 0]]
    beyond = np.where(held, holds - other, np.maximum(holds, other) * (holds != other))
    total = np.maximum(contact + depth * beyond, 0.0)
    neck, edge = voxels.necks[used], np.prod(voxels.spacing) ** (1 / 3)
    narrow = (neck > 0) & (neck < edge)
    unseen = 0.5 / neck[narrow] - 0.5 / edge
    around = np.clip(2 / (holds + other)[narrow] - background, 0, None)  # 0: no constriction
    total[narrow] += np.pi * neck[narrow] ** 2 * unseen * around * ((holds + other)[narrow] / 2) ** 2
    with np.errstate(divide="ignore"):
        return pairs, voxels.areas[used] / total


def _neighbours(
    voxels: CutVoxels, cells: NDArray[np.int64], axis: int, closed: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the lower and the upper piece of each link along an axis, and the place of all."""
    stride = int(np.prod(voxels.shape[axis + 1 :]))
    size = voxels.shape[axis]
    place = cells // stride % size
    bodies = int(voxels.body.max()) + 1
    keys = cells * bodies + voxels.body
    order = np.argsort(keys)
    crossing = voxels.faces[:, 2 * axis + 1] > 0
    if closed:
        crossing &= place < size - 1
    lower = np.nonzero(crossing)[0]
    step = np.where(place[lower] < size - 1, stride, stride * (1 - size))
    upper = order[np.searchsorted(keys, keys[lower] + step * bodies, sorter=order)]
    return lower, upper, place


def _own(
    links: sparse.csr_array, plates: Array, place: NDArray[np.int64], plane: int, slab: Slab
) -> tuple[Network, Single]:
    """Return the nodes of a slab that carry current, in the order of their places."""
    cluster = csgraph.connected_components(links, directed=False)[1]
    lower, upper = (cluster[at > 0] for at in plates)
    active = np.nonzero(np.isin(cluster, np.intersect1d(lower, upper)))[0]
    active = active[np.argsort(place[active], kind="stable")]
    links, place, plates = links[active][:, active], place[active], plates[:, active]
    first, last = np.searchsorted(place, [slab.start * plane, slab.stop * plane])
    rows = links[first:last].tocsr()
    inside = (rows.indices >= first) & (rows.indices < last)
    ghosts = np.unique(rows.indices[~inside]).astype(np.int64)
    numbers = np.where(
        inside, rows.indices - first, last - first + np.searchsorted(ghosts, rows.indices)
    )
    own = slice(first, last)
    ground = plates[:, own].sum(axis=0).astype(np.float32)
    return Network(
        rows.indptr.astype(np.int64),
        numbers.astype(np.int32),
        rows.data.astype(np.float32),
        ground,
        place[own],
        ghosts,
        int(first),
        len(place),
    ), plates[0, own].astype(np.float32)

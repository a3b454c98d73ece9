"""The network of cut voxels: a node for each piece of a conductor in a voxel.

Across a face of area A and distance d, two pieces of one body of conductivity s are linked by

    T = a s A / (d r),        a: share of the face that lies in the body

and two pieces that meet in a voxel at the area A by

    T = A / R,    R = R_contact + D (1 / s_holds - 1 / s_other) >= 0

with the depth D of their surface below the centre of the voxel, which one of them holds. A node
stands for the potential at the centre of its voxel. For the piece of the better conductor that is
so even where it does not hold the centre: its field continues smoothly, so r = 1, and R makes up
for the distance D that lies on the other side. For the poorer conductor such a continuation would
need R < 0; its node moves towards the surface, by the share mu of D at which R = 0:

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

Where two overlapping spheres meet in a voxel at an area A less than that of its face on which one
of them is widest, W, the current narrows in a way that the grid does not see. For each of the two

    R += c A / (2 s W) (sqrt(W / A) - 1) times the edge of the voxel,    c = sqrt(pi) / 2

times the share by which the background conducts less: nothing if the neck is wide, and for both
together the constriction 1 / (2 s a) of a narrow neck of radius a (Holm).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.environment.compiled import njit
from femssb.voxels.conduct.links import Slab
from femssb.voxels.conduct.network import OUTSIDE, Integers, Network, Single, root, unite
from femssb.voxels.make.cut_voxels import NOWHERE, CutVoxels

NEAREST = 0.02  # of two nodes along an axis, over the spacing: it bounds the conductances
SPREAD = math.sqrt(math.pi) / 2  # makes a circle of area A constrict by 1 / (2 s radius)
MERGED = 1e9  # conductance from which two pieces of a voxel are one node, over that of a voxel


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
    resistance = np.zeros((len(conductivities),) * 2)
    for (one, other), value in contacts.items():
        resistance[one, other] = resistance[other, one] = value
    unit = float(conductivities.max()) * np.prod(voxels.spacing) / voxels.spacing[flux] ** 2
    holder = np.repeat(voxels.starts[:-1], np.diff(voxels.starts))
    ways, weights = _ways(voxels, sigma, holder, resistance)
    meetings = _meetings(voxels, sigma, holder, resistance, conductivities[0]) / unit
    scale = np.prod(voxels.spacing) / np.square(voxels.spacing) / unit / voxels.samples**2
    closed = np.array([axis == flux or not periodic[axis] for axis in range(3)])
    arguments = voxels.above, voxels.faces, ways, voxels.normals, weights, sigma, scale, closed
    upward, lower, upper = _faces(*arguments, voxels.starts, np.array(voxels.shape), flux)
    # Nodes: pieces that are joined without resistance; clusters: nodes that are joined at all.
    node, cluster = np.arange(len(sigma), dtype=np.int32), np.arange(len(sigma), dtype=np.int32)
    _join(voxels.pairs, meetings, MERGED, node)
    _join(voxels.pairs, meetings, 0.0, cluster)
    for axis in range(3):
        pieces = np.arange(len(sigma), dtype=np.int32)
        _join(np.stack([pieces, voxels.above[:, axis]], axis=1), upward[:, axis], 0.0, cluster)
    at_lower, at_upper = (np.unique(cluster[plate > 0]) for plate in (lower, upper))
    active = np.isin(cluster, np.intersect1d(at_lower, at_upper))
    order = [flux, (flux + 1) % 3, (flux + 2) % 3]
    cells = np.arange(len(voxels.starts) - 1).reshape(voxels.shape).transpose(order).ravel()
    place = _number(cells, voxels.starts, node, active)
    starts, ends, values = _rows(voxels.above, upward, voxels.pairs, meetings, node, len(place))
    ground = np.zeros((2, len(place)))
    for plate, links in enumerate((lower, upper)):
        at = (links > 0) & (node != OUTSIDE)
        np.add.at(ground[plate], node[at], links[at])
    plane = len(cells) // voxels.shape[flux]
    own = slab.start * plane, slab.stop * plane
    return *_own(starts, ends, values, ground, place, *own), unit


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
) -> Array:
    """Return the conductance of each pair of pieces that meet, 0 where one does not conduct [S]."""
    used = np.all(sigma[voxels.pairs] > 0, axis=1)
    pairs, neck = voxels.pairs[used], voxels.necks[used]
    holds, other = 1 / sigma[pairs.T]
    contact = resistance[voxels.phase[pairs[:, 0]], voxels.phase[pairs[:, 1]]]
    edge = np.prod(voxels.spacing) ** (1 / 3)
    depth = np.maximum(voxels.depths[used], NEAREST * edge)
    held = pairs[:, 0] == holder[pairs[:, 0]]
    beyond = np.where(held, holds - other, np.abs(holds - other))
    total = np.maximum(contact + depth * beyond, 0.0)
    mean = (holds + other) / 2
    around = np.clip(1 - background * mean, 0, 1)  # 0 where it conducts as well: no constriction
    area = voxels.areas[used]
    overlaps = neck > 0
    for side in range(2):
        wide = voxels.faces[pairs[:, side]].max(axis=1) / voxels.samples**2 * edge**2
        spread = np.sqrt(np.maximum(wide / area, 1.0)) - 1
        added = SPREAD * edge / 2 / wide * spread * area * (1 / sigma[pairs[:, side]]) * around
        total[overlaps] += added[overlaps]
    gap = neck < 0
    total[gap] -= neck[gap] * (around[gap] / background if background > 0 else np.inf)
    conductances = np.zeros(len(used))
    with np.errstate(divide="ignore"):
        conductances[used] = voxels.areas[used] / total
    return conductances


@njit(cache=True)
def _faces(
    above: Any,
    faces: Any,
    ways: Any,
    normals: Any,
    weights: Any,
    sigma: Any,
    scale: Any,
    closed: Any,
    starts: Any,
    shape: Any,
    flux: int,
) -> tuple[Any, Any, Any]:
    """Return the conductances upward, (m, 3), and to the lower and the upper plate, (m,)."""
    upward = np.zeros(above.shape, np.float32)
    lower, upper = np.zeros(len(above), np.float32), np.zeros(len(above), np.float32)
    stride = 1
    for axis in range(flux + 1, 3):
        stride *= shape[axis]
    for voxel in range(len(starts) - 1):
        plane = voxel // stride % shape[flux]
        for piece in range(starts[voxel], starts[voxel + 1]):
            if sigma[piece] == 0:
                continue
            for axis in range(3):
                down, up = 2 * axis, 2 * axis + 1
                full = sigma[piece] * scale[axis]
                if axis == flux and plane == 0:
                    distance = max(0.5 - ways[piece, down], NEAREST / 2)
                    lower[piece] = full * faces[piece, down] / distance
                if axis == flux and plane == shape[flux] - 1:
                    distance = max(0.5 - ways[piece, up], NEAREST / 2)
                    upper[piece] = full * faces[piece, up] / distance
                other = above[piece, axis]
                if other < 0 or other == piece or (closed[axis] and other < piece):
                    continue
                factor, shorter = 1.0, ways[piece, up] + ways[other, down]
                if shorter > 0:
                    moved = piece if ways[piece, up] > ways[other, down] else other
                    normal, way = normals[moved, axis], max(1 - shorter, NEAREST)
                    across = weights[moved] * normal * way
                    factor = (1 - normal + across) / (1 - normal + across * way)
                upward[piece, axis] = full * faces[piece, up] * factor
    return upward, lower, upper


@njit(cache=True)
def _join(pairs: Any, conductances: Any, least: float, groups: Any) -> None:
    """Join the groups of pairs of pieces whose conductance is above the least."""
    for n in range(len(pairs)):
        if conductances[n] > least:
            unite(groups, pairs[n, 0], pairs[n, 1])
    for piece in range(len(groups)):
        groups[piece] = root(groups, piece)


@njit(cache=True)
def _number(cells: Any, starts: Any, node: Any, active: Any) -> Any:
    """Replace the group of each piece by the number of its node; return the places of nodes.

    Nodes are numbered in the order of `cells`, the first node of a voxel being that of its centre.
    """
    places = np.empty(len(node), np.int64)
    count = 0
    number = np.full(len(node), OUTSIDE, np.int32)
    for place in range(len(cells)):
        for piece in range(starts[cells[place]], starts[cells[place] + 1]):
            group = node[piece]
            if active[piece] and number[group] == OUTSIDE:
                number[group] = count
                places[count] = place
                count += 1
    for piece in range(len(node)):
        node[piece] = number[node[piece]] if active[piece] else OUTSIDE
    return places[:count]


@njit(cache=True)
def _rows(
    above: Any, upward: Any, pairs: Any, meetings: Any, node: Any, nodes: int
) -> tuple[Any, Any, Any]:
    """Return starts, neighbours and conductances of the rows, neighbours ascending and unique."""
    counts = np.zeros(nodes + 1, np.int64)
    for fill in range(2):
        if fill:
            starts = np.cumsum(counts)
            neighbours = np.empty(starts[-1], np.int32)
            values = np.empty(starts[-1], np.float32)
            end = starts[:-1].copy()
        for n in range(3 * len(above) + len(pairs)):
            if n < 3 * len(above):
                one, axis = divmod(n, 3)
                value = upward[one, axis]
                other = above[one, axis]
            else:
                one, other = pairs[n - 3 * len(above)]
                value = meetings[n - 3 * len(above)]
            if value <= 0 or node[one] == node[other] or node[one] == OUTSIDE:
                continue
            for a, b in ((node[one], node[other]), (node[other], node[one])):
                if not fill:
                    counts[a + 1] += 1
                else:
                    neighbours[end[a]], values[end[a]] = b, value
                    end[a] += 1
    count = 0
    for a in range(nodes):
        begin, last = starts[a], starts[a + 1]
        starts[a] = count
        order = np.argsort(neighbours[begin:last], kind="mergesort")
        row, weight = neighbours[begin:last][order], values[begin:last][order]
        for n in range(len(row)):
            if n > 0 and row[n] == row[n - 1]:
                values[count - 1] += weight[n]
            else:
                neighbours[count], values[count] = row[n], weight[n]
                count += 1
    starts[nodes] = count
    return starts, neighbours[:count].copy(), values[:count].copy()


def _own(
    starts: NDArray[np.int64],
    neighbours: Integers,
    conductances: Single,
    ground: Array,
    place: NDArray[np.int64],
    begin: int,
    end: int,
) -> tuple[Network, Single]:
    """Return the part of the network whose places lie in [begin, end)."""
    first, last = np.searchsorted(place, [begin, end])
    entries = slice(starts[first], starts[last])
    ends = neighbours[entries].astype(np.int64)
    beyond = (ends < first) | (ends >= last)
    ghosts = np.unique(ends[beyond])
    ends -= first
    ends[beyond] = last - first + np.searchsorted(ghosts, ends[beyond] + first)
    own = slice(first, last)
    return Network(
        starts[first : last + 1] - starts[first],
        ends.astype(np.int32),
        conductances[entries],
        ground[:, own].sum(axis=0).astype(np.float32),
        place[own],
        ghosts,
        int(first),
        len(place),
    ), ground[0, own].astype(np.float32)

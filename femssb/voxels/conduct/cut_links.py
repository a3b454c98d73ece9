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
together the constriction 1 / (2 s a) of a narrow neck of radius a (Holm). A disc that several
voxels share constricts the current of each by sqrt(pi a^2 / A) more, as the whole of it would.

If such a neck lies on a face, or next to it, one sphere has but a thin piece in the voxel, and its
face is no wider than the neck. The current does not come through a pipe of that width: the face
gets the resistance of the wide pieces on both sides in series, of half a way each, and c as above
of the one behind the face. That is so as far as the two are apart: where spheres overlap so widely
that they fill a face and all that a piece shows in its voxel is neck, each keeps its own share. The
network itself has a resistance to a current that spreads from one node, 0.25 to 0.5 of that of a
link, which would count twice: the way shortens by `NEARER` as the neck narrows. Discs that many
voxels hold need none of this, which fades as (`ALONE` / a)^2.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.environment.compiled import njit
from femssb.voxels.conduct.links import Slab
from femssb.voxels.conduct.network import OUTSIDE, Integers, Network, Single, root, unite
from femssb.voxels.make.cut_voxels import CutVoxels
from femssb.voxels.make.surfaces import NOWHERE

NEAREST = 0.02  # of two nodes along an axis, over the spacing: it bounds the conductances
SPREAD = math.sqrt(math.pi) / 2  # makes a circle of area A constrict by 1 / (2 s radius)
STEEPEST = 1e6  # ratio of conductivities from which on fields along a surface count as nothing
NEARER = 0.6  # share by which a narrow neck on a face shortens the way from node to node
ALONE = 1.2  # radius of a neck above which the voxels that hold it help each other [edges]
TINY = 1e-30  # keeps quotients finite
SEEN = 0.7  # radius of a neck up to which the grid does not see that it spreads [edges]
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
    with np.errstate(over="ignore", divide="ignore"):  # an infinite resistance is one
        ways, weights = _ways(voxels, sigma, holder, resistance)
        necks, shared = _necks(voxels, sigma, conductivities[0])
        arguments = resistance, conductivities[0], necks, shared
        meetings = (_meetings(voxels, sigma, holder, *arguments) / unit).astype(np.float32)
    scale = np.prod(voxels.spacing) / np.square(voxels.spacing) / unit / voxels.samples**2
    closed = np.array([axis == flux or not periodic[axis] for axis in range(3)])
    edge = np.prod(voxels.spacing) ** (1 / 3)
    upward, lower, upper = _faces(
        *(voxels.above, voxels.faces, ways, voxels.normals, weights, sigma, scale, closed),
        *(necks, edge, edge / np.array(voxels.spacing), voxels.samples**2),
        *(voxels.body, voxels.discs, _at_ends(voxels, flux), voxels.starts),
        *(np.array(voxels.shape), flux),
    )
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
    held = voxels.pairs[:, 0] == holder[voxels.pairs[:, 1]]
    depth[voxels.pairs[held, 1]] = voxels.depths[held]
    contact = resistance[voxels.phase, voxels.phase[holder]]
    ratio = np.divide(sigma, holds, out=np.ones_like(sigma), where=holds > 0)
    barrier = np.divide(contact * sigma, depth, out=np.zeros_like(sigma), where=depth > 0)
    share = np.clip(1 - ratio - barrier, 0, 1)
    ways = np.where(voxels.entries < NOWHERE, voxels.entries, 0.0) * share[:, None]
    inverse = np.divide(1.0, ratio, out=np.ones_like(sigma), where=ratio > 0)
    return ways, np.where(voxels.inside, 1.0, np.minimum(inverse, STEEPEST) ** 2)


def _at_ends(voxels: CutVoxels, flux: int) -> Array:
    """Return the shares of the lower and upper face across the flux if these are plates, (m, 2)."""
    shares = voxels.faces[:, 2 * flux : 2 * flux + 2] / voxels.samples**2
    face = np.prod(voxels.spacing) / voxels.spacing[flux]
    for side in range(2):
        narrow = voxels.ends[:, 1] == 2 * flux + side
        pieces = voxels.ends[narrow, 0]
        shares[np.isin(voxels.body, voxels.body[pieces]), side] = 0.0
        shares[pieces, side] = voxels.end_areas[narrow] / face
    return shares


class _Necks(NamedTuple):
    """What the pieces of overlapping spheres that meet in a voxel do to a current.

    Attributes:
        wide: Largest share of a face that lies in the piece, shape (m,).
        opens: The same of the piece and what it meets; 0 for pieces without a neck, shape (m,).
        area: Of the necks of the piece, over that of a face, shape (m,).
        shared: Factor on the constriction of a disc of which the voxel holds a part, shape (m,).
        nearer: Share by which the way to the neck shortens: see the head of this module, (m,).
        less: Share by which the background conducts less than the piece, shape (m,).
        alone: Share of all that which counts, less where many voxels hold the disc, shape (m,).
        bare: Share of the surface of the piece in its voxel that is no neck; 0 without one, (m,).
    """

    wide: Array
    opens: Array
    area: Array
    shared: Array
    nearer: Array
    less: Array
    alone: Array
    bare: Array


def _necks(voxels: CutVoxels, sigma: Array, background: float) -> tuple[_Necks, Array]:
    """Return the necks as pieces see them, and the factor on the constriction of each meeting."""
    face = np.prod(voxels.spacing) ** (2 / 3)
    shares = voxels.faces / voxels.samples**2
    wide = shares.max(axis=1)
    alone = np.minimum((ALONE * face**0.5 / np.maximum(voxels.necks, TINY)) ** 2, 1.0)
    shared = np.sqrt(np.maximum(np.minimum(np.pi * voxels.necks**2, face) / voxels.areas, 1.0))
    shared = 1 + alone * (shared - 1)
    opens, area, most, radius = np.zeros((4, len(wide)))
    at = (voxels.necks > 0) & np.all(sigma[voxels.pairs] > 0, axis=1)
    for here, there in (voxels.pairs[at].T, voxels.pairs[at, ::-1].T):
        np.maximum.at(opens, here, np.maximum(wide[here], wide[there]))
        np.add.at(area, here, voxels.areas[at] / face)
        np.maximum.at(most, here, shared[at])
        np.maximum.at(radius, here, voxels.necks[at] / face**0.5)
    thin = np.maximum(1 - (shares.sum(axis=1) - wide) / 2, 0.0)  # half open on four sides: 0
    seen = 1 - (SEEN / np.maximum(radius, SEEN)) ** 2
    closed = 1 - seen * np.sqrt(np.minimum(area, opens) / np.where(opens > 0, opens, 1.0))
    nearer = np.where(opens > 0, NEARER * thin * closed, 0.0)
    less = 1 - np.divide(background, sigma, out=np.ones_like(sigma), where=sigma > background)
    lonely = np.where(opens > 0, np.minimum((ALONE / np.maximum(radius, TINY)) ** 2, 1.0), 0.0)
    across = np.prod(voxels.spacing) / np.array(voxels.spacing) / face
    surface = np.linalg.norm((shares[:, ::2] - shares[:, 1::2]) * across, axis=1)
    bare = np.where(opens > 0, 1 - np.minimum(area / np.maximum(surface, TINY), 1.0), 0.0)
    return _Necks(wide, opens, area, most, nearer, less, lonely, bare), shared


def _meetings(
    voxels: CutVoxels,
    sigma: Array,
    holder: NDArray[np.int64],
    resistance: Array,
    background: float,
    necks: _Necks,
    shared: Array,
) -> Array:
    """Return the conductance of each pair of pieces that meet, 0 where one does not conduct [S]."""
    used = np.all(sigma[voxels.pairs] > 0, axis=1)
    pairs, neck, area = voxels.pairs[used], voxels.necks[used], voxels.areas[used]
    each = 1 / sigma[pairs]
    holds, other = each.T
    contact = resistance[voxels.phase[pairs[:, 0]], voxels.phase[pairs[:, 1]]]
    edge = np.prod(voxels.spacing) ** (1 / 3)
    depth = np.maximum(voxels.depths[used], NEAREST * edge)
    held = pairs[:, 0] == holder[pairs[:, 0]]
    beyond = depth * np.where(held, holds - other, np.abs(holds - other))
    less = necks.less[pairs].mean(axis=1)
    ratio = np.maximum(necks.wide[pairs] * edge**2 / area[:, None], 1.0)
    overlaps, gap = neck > 0, neck < 0
    # What lies between a neck and the centre is as wide as the piece that holds it.
    nearer = necks.nearer[pairs].max(axis=1)
    counts = less * necks.alone[pairs].max(axis=1)
    beyond[overlaps] *= (1 - counts * (1 - (1 - nearer) / ratio[:, 0]))[overlaps]
    between = holder[pairs[:, 0]] != holder[pairs[:, 1]]  # of two voxels: half the way in each
    halves = (1 - NEARER) * edge / 2 * np.sum(each / ratio, axis=1)
    beyond[between] = halves[between]
    total = np.maximum(contact + beyond, 0.0)
    narrow = SPREAD * edge / 2 * np.sum(each / ratio * (np.sqrt(ratio) - 1), axis=1)
    total += np.where(neck != 0, narrow * shared[used] * less, 0.0)
    total[gap] -= neck[gap] * (less[gap] / background if background > 0 else np.inf)
    conductances = np.zeros(len(used))
    conductances[used] = area / total
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
    necks: Any,
    edge: float,
    edges: Any,
    points: int,
    body: Any,
    discs: Any,
    at_ends: Any,
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
                for end in (down, up):
                    at_end = plane == (0 if end == down else shape[flux] - 1)
                    if axis == flux and at_end and at_ends[piece, end - down] > 0:
                        share = at_ends[piece, end - down]
                        distance = max(0.5 - ways[piece, end], NEAREST / 2)
                        link = full * points * share / distance
                        radius = discs[body[piece], end] / edge
                        if radius < np.inf:
                            wide = max(faces[piece, down + up - end] / points, share)
                            narrow = _disc(share, wide, radius, distance, edges[axis])
                            link += necks.less[piece] * (full * points / narrow - link)
                        (lower if end == down else upper)[piece] = link
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
                if necks.less[piece] > 0 and max(necks.opens[piece], necks.opens[other]) > 0:
                    share, free = faces[piece, up] / points, 1.0
                    for beside in range(starts[voxel], starts[voxel + 1]):
                        if beside != piece and body[beside] > 0 and sigma[beside] > 0:
                            free -= faces[beside, up] / points
                    narrow = _narrow(share, piece, np.int64(other), necks, edges[axis], factor)
                    if narrow > 0:
                        open_way = full * points / narrow
                        alone = max(necks.alone[piece], necks.alone[other])
                        apart = 1.0
                        if share < 1:
                            bare = max(necks.bare[piece], necks.bare[other])
                            apart = max(bare, (free - share) / (1 - share))
                        counts = necks.less[piece] * alone * apart
                        upward[piece, axis] += counts * (open_way - upward[piece, axis])
    return upward, lower, upper


@njit(cache=True)
def _narrow(share: float, one: int, other: int, necks: Any, edge: float, factor: float) -> float:
    """Return the resistance of a face with a neck behind it, over that of one that is all open.

    It is as wide as the pieces on both sides, and narrows to the neck. 0: there is no such neck.
    """
    area, constricted, shared, nearer = share, 0.0, 1.0, 0.0
    for side in range(2):
        piece = one if side == 0 else other
        if necks.opens[piece] > 0 and share >= necks.wide[piece]:  # its widest face
            area = max(area, min(necks.area[piece], 1.0))
            shared = max(shared, necks.shared[piece])
            nearer = max(nearer, necks.nearer[piece])
    resistance, found = 0.0, False
    for side in range(2):
        piece, opposite = (one, other) if side == 0 else (other, one)
        wide = max(necks.wide[piece], necks.opens[piece], area)
        resistance += 0.5 / wide / factor
        if necks.opens[opposite] > 0 and share >= necks.wide[opposite]:
            found = True
            constricted += SPREAD * edge / 2 / wide * (np.sqrt(wide / area) - 1) * shared
    return resistance * (1 - nearer) + constricted if found else 0.0


@njit(cache=True)
def _disc(share: float, wide: float, radius: float, distance: float, edge: float) -> float:
    """Return the resistance from a node to a disc on a plate, over that of a whole open voxel."""
    closed = 1 - (1 - (SEEN / max(radius, SEEN)) ** 2) * np.sqrt(share / wide)
    shared = np.sqrt(max(min(np.pi * radius**2, 1.0) / share, 1.0))
    narrowed = SPREAD * edge / 2 / wide * (np.sqrt(wide / share) - 1) * shared
    return distance / wide * (1 - NEARER * closed) + narrowed


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

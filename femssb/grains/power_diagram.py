"""Power diagram of weighted sites inside a ball of radius one: exact cells, facets, edges, arcs.

The cell of site i is where ``|x - p_i|^2 - w_i`` is the smallest of all sites. It is read from the
lower convex hull of the lifted sites ``(p, |p|^2 - w)`` and then cut by the sphere, so that facets
are convex pieces of a plane bounded by straight edges and circular arcs. No mesh, no randomness.

Source: F. Aurenhammer, Power diagrams, SIAM J. Comput. 16 (1987), 10.1137/0216006.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from femssb.arrays import Array, Indices

Booleans = NDArray[np.bool_]

GHOSTS = 64  # far sites that keep every cell bounded
GHOST_RADIUS = 8.0  # far enough never to own a point of the ball


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerDiagram:
    """Cells of a power diagram of n sites, cut by the unit sphere.

    The boundary of a facet is a set of `items`, counter-clockwise around the normal of the facet:
    straight edges (angle zero) and arcs. A facet that is a full disc has one item, an arc of
    2 pi without ends. Lengths are in units of the radius of the ball.

    Attributes:
        nodes: Vertices inside the ball, then points where edges pierce the sphere, (k, 3).
        on_sphere: True where a node lies on the sphere, (k,).
        owners: Cells that meet at a node; three and -1 on the sphere, (k, 4).
        edges: Nodes of the straight edges, (m, 2).
        triples: Cells around each edge, ascending, (m, 3).
        pairs: Cells on both sides of each facet, ascending, (f, 2).
        normals: Unit normals, from the first cell to the second, (f, 3).
        offsets: Distance of each plane from the centre, along the normal, (f,).
        areas: Areas of the facets, exact, (f,).
        item_facet: Facet of each item, (i,).
        item_nodes: Start and end of each item; -1 if it has none, (i, 2).
        item_angle: Angle of an arc [rad], 0 for a straight edge, (i,).
        volumes: Volumes of the cells, exact; 0 where a site owns nothing, (n,).
        patches: Area of each cell on the sphere, exact, (n,).
        radius: Radius of the sphere.
    """

    nodes: Array
    on_sphere: Booleans
    owners: Indices
    edges: Indices
    triples: Indices
    pairs: Indices
    normals: Array
    offsets: Array
    areas: Array
    item_facet: Indices
    item_nodes: Indices
    item_angle: Array
    volumes: Array
    patches: Array
    radius: float = 1.0

    @property
    def arcs(self) -> Booleans:
        """Return which items are arcs with ends, (i,)."""
        return (self.item_angle > 0) & (self.item_nodes[:, 0] >= 0)

    @property
    def circles(self) -> Array:
        """Return the radius of the circle in which each plane cuts the sphere, (f,)."""
        return np.sqrt(self.radius**2 - self.offsets**2)


def power_diagram(points: Array, weights: Array) -> PowerDiagram:
    """Compute the power diagram of sites in the unit ball.

    Args:
        points: Sites, shape (n, 3), in units of the radius of the ball.
        weights: Weights, shape (n,), in units of the radius squared.
    """
    n = len(points)
    lift = (points**2).sum(axis=1) - weights
    ghosts = fibonacci_sphere(GHOSTS)  # jittered so that no five of them are cospherical
    ghosts = GHOST_RADIUS * (ghosts + np.random.default_rng(0).uniform(-0.1, 0.1, ghosts.shape))
    sites = np.vstack([points, ghosts])
    hull = ConvexHull(np.column_stack([sites, np.append(lift, (ghosts**2).sum(axis=1))]))
    lower = hull.equations[:, 3] < -1e-12
    equations = hull.equations[lower]
    vertices = -equations[:, :3] / (2 * equations[:, 3:4])
    simplices = hull.simplices[lower].astype(np.int64)
    number = np.where(lower, np.cumsum(lower) - 1, -1)
    adjacent = number[hull.neighbors[lower]]

    nodes, owners, edges, triples = _cut_edges(n, vertices, simplices, adjacent)
    on_sphere = owners[:, 3] < 0
    pairs = np.sort(simplices[:, [0, 1, 0, 2, 0, 3, 1, 2, 1, 3, 2, 3]].reshape(-1, 2), axis=1)
    pairs = np.unique(pairs[(pairs < n).all(axis=1)], axis=0)
    along = points[pairs[:, 1]] - points[pairs[:, 0]]
    length = np.linalg.norm(along, axis=1)
    normals = along / length[:, None]
    offsets = (lift[pairs[:, 1]] - lift[pairs[:, 0]]) / (2 * length)
    cuts = np.abs(offsets) < 1
    pairs, normals, offsets = pairs[cuts], normals[cuts], offsets[cuts]

    item_facet, item_nodes = _straight_items(points, nodes, edges, triples, pairs, normals)
    arc_facet, arc_nodes, arc_angle = _arcs(nodes, on_sphere, normals, item_facet, item_nodes)
    bare = np.setdiff1d(np.arange(len(pairs)), item_facet)  # without straight edges: discs, or none
    power = lift[None, :] - 2 * (offsets[bare, None] * normals[bare]) @ points.T
    own = power[np.arange(len(bare)), pairs[bare, 0]]
    power[np.arange(len(bare))[:, None], pairs[bare]] = np.inf
    discs = bare[power.min(axis=1) > own]
    straight, turns = np.zeros(len(item_facet)), np.full(len(discs), 2 * np.pi)
    item_angle = np.concatenate([straight, arc_angle, turns])
    item_facet = np.concatenate([item_facet, arc_facet, discs])
    item_nodes = np.vstack([item_nodes, arc_nodes, np.full((len(discs), 2), -1)])

    used, item_facet = np.unique(item_facet, return_inverse=True)
    pairs, normals, offsets = pairs[used], normals[used], offsets[used]
    # the area of a facet: the polygon of its nodes and the segments of its arcs
    ends = np.vstack([nodes, np.zeros(3)])[item_nodes]
    pieces = (np.cross(ends[:, 0], ends[:, 1]) * normals[item_facet]).sum(axis=1)
    pieces += (1 - offsets[item_facet] ** 2) * (item_angle - np.sin(item_angle))
    areas = 0.5 * np.bincount(item_facet, weights=pieces, minlength=len(normals))
    flux = np.zeros(n)
    np.add.at(flux, pairs[:, 0], offsets * areas)
    np.add.at(flux, pairs[:, 1], -offsets * areas)
    diagram = PowerDiagram(
        nodes=nodes,
        on_sphere=on_sphere,
        owners=owners,
        edges=edges,
        triples=triples,
        pairs=pairs,
        normals=normals,
        offsets=offsets,
        areas=areas,
        item_facet=item_facet,
        item_nodes=item_nodes,
        item_angle=item_angle,
        volumes=np.zeros(n),
        patches=np.zeros(n),
    )
    patches = _patches(diagram)
    if not len(pairs):
        patches[np.argmin(lift)] = 4 * np.pi
    return replace(diagram, volumes=(flux + patches) / 3, patches=patches)  # a third of the flux


def fibonacci_sphere(count: int) -> Array:
    """Return evenly spread points on the unit sphere, shape (count, 3)."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    angle = np.pi * (1 + np.sqrt(5)) * index
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)


def perpendicular(normals: Array) -> Array:
    """Return a unit vector normal to each of the given ones, shape (f, 3)."""
    other = np.zeros_like(normals)
    other[np.arange(len(normals)), np.argmin(np.abs(normals), axis=1)] = 1.0
    across = np.cross(normals, other)
    return np.asarray(across / np.linalg.norm(across, axis=1, keepdims=True))


def _cut_edges(
    n: int, vertices: Array, simplices: Indices, adjacent: Indices
) -> tuple[Array, Indices, Indices, Indices]:
    """Cut the edges by the sphere; return nodes, their cells, edges, and the cells of these."""
    first, k = np.nonzero(adjacent > np.arange(len(adjacent))[:, None])
    second = adjacent[first, k]
    keep = np.arange(4)[None, :] != k[:, None]
    triples = np.sort(simplices[first][keep].reshape(-1, 3), axis=1)
    start, along = vertices[first], vertices[second] - vertices[first]

    # |start + t along| = 1
    a = np.maximum((along**2).sum(axis=1), 1e-300)
    b = (start * along).sum(axis=1)
    c = (start**2).sum(axis=1) - 1
    discriminant = b**2 - a * c
    root = np.sqrt(np.maximum(discriminant, 0))
    enter, leave = (-b - root) / a, (-b + root) / a
    inside = (triples < n).all(axis=1) & (discriminant > 0) & (enter < 1) & (leave > 0)
    first, second, triples = first[inside], second[inside], triples[inside]
    start, along = start[inside], along[inside]
    enter, leave = enter[inside], leave[inside]

    cut_start, cut_end = enter > 0, leave < 1
    used = np.unique(np.concatenate([first[~cut_start], second[~cut_end]]))
    number = np.full(len(vertices), -1)
    number[used] = np.arange(len(used))
    m, entries = len(used), int(cut_start.sum())
    tail, head = number[first], number[second]
    tail[cut_start] = m + np.arange(entries)
    head[cut_end] = m + entries + np.arange(cut_end.sum())
    entered, left = start + enter[:, None] * along, start + leave[:, None] * along
    pierced = np.vstack([entered[cut_start], left[cut_end]])
    pierced /= np.linalg.norm(pierced, axis=1, keepdims=True)
    three = np.vstack([triples[cut_start], triples[cut_end]])
    owners = np.vstack([simplices[used], np.column_stack([three, np.full(len(three), -1)])])
    return np.vstack([vertices[used], pierced]), owners, np.stack([tail, head], axis=1), triples


def _straight_items(
    points: Array, nodes: Array, edges: Indices, triples: Indices, pairs: Indices, normals: Array
) -> tuple[Indices, Indices]:
    """Return each edge once for each of its three facets, turned counter-clockwise."""
    n = len(points)
    key = pairs[:, 0] * n + pairs[:, 1]
    facets, directed = [], []
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        facet = np.searchsorted(key, triples[:, i] * n + triples[:, j])
        # the third cell lies outside: with it on the right, the edge runs along n x (p_k - p_i)
        outside = points[triples[:, k]] - points[triples[:, i]]
        forward = np.cross(normals[facet], outside) if len(facet) else np.empty((0, 3))
        swap = ((nodes[edges[:, 1]] - nodes[edges[:, 0]]) * forward).sum(axis=1) < 0
        directed.append(np.where(swap[:, None], edges[:, ::-1], edges))
        facets.append(facet)
    return np.concatenate(facets), np.vstack(directed)


def _arcs(
    nodes: Array, on_sphere: Booleans, normals: Array, facet: Indices, ends: Indices
) -> tuple[Indices, Indices, Array]:
    """Close the facets along the sphere: an arc runs from an end on it to the next start."""
    starts, stops = on_sphere[ends[:, 0]], on_sphere[ends[:, 1]]
    group = np.concatenate([facet[stops], facet[starts]])
    node = np.concatenate([ends[stops, 1], ends[starts, 0]])
    begins = np.arange(len(group)) < stops.sum()
    across = perpendicular(normals[group]) if len(group) else np.empty((0, 3))
    upward = np.cross(normals[group], across)
    angle = np.arctan2((nodes[node] * upward).sum(axis=1), (nodes[node] * across).sum(axis=1))
    order = np.lexsort((angle, group))
    group, node, begins, angle = group[order], node[order], begins[order], angle[order]
    last = np.append(group[1:] != group[:-1], True) if len(group) else np.empty(0, dtype=bool)
    first = np.flatnonzero(np.append(True, last[:-1])) if len(group) else np.empty(0, dtype=int)
    following = np.arange(1, len(group) + 1)
    following[last] = first
    arc = np.flatnonzero(begins)
    turned = (angle[following[arc]] - angle[arc]) % (2 * np.pi)
    return group[arc], np.stack([node[arc], node[following[arc]]], axis=1), turned


def _patches(diagram: PowerDiagram) -> Array:
    """Return the area of each cell on the unit sphere by the theorem of Gauss and Bonnet.

    The Euler characteristic of a patch follows from V - E + F = 2 for the boundary of the cell,
    which is convex; a full disc counts as one node and one edge.
    """
    n, owners, pairs = len(diagram.patches), diagram.owners, diagram.pairs
    facet, angle = diagram.item_facet, diagram.item_angle
    faces = np.bincount(pairs.ravel(), minlength=n)
    euler = np.where(faces > 0, 2.0, 0.0) - faces
    euler -= np.bincount(owners[owners >= 0], minlength=n)
    euler += np.bincount(diagram.triples.ravel(), minlength=n)
    euler += np.bincount(pairs[facet[diagram.arcs]].ravel(), minlength=n)

    swept = diagram.offsets * np.bincount(facet, weights=angle, minlength=len(pairs))
    turning = np.bincount(pairs[:, 0], weights=swept, minlength=n)
    turning -= np.bincount(pairs[:, 1], weights=swept, minlength=n)
    x = diagram.nodes[diagram.on_sphere]
    three = np.sort(owners[diagram.on_sphere, :3], axis=1)
    key = pairs[:, 0] * n + pairs[:, 1]
    tangent = []  # of the facets (0, 1), (0, 2), (1, 2), from the lower to the higher cell
    for i, j in ((0, 1), (0, 2), (1, 2)):
        crossed = np.searchsorted(key, three[:, i] * n + three[:, j])
        normal = diagram.normals[crossed].reshape(-1, 3)
        tangent.append(normal - (normal * x).sum(axis=1, keepdims=True) * x)
    between, across, beyond = tangent
    for cell, a, b in ((0, between, across), (1, -between, beyond), (2, -across, -beyond)):
        exterior = np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(axis=1))
        turning -= np.bincount(three[:, cell], weights=exterior, minlength=n)
    patches = 2 * np.pi * euler + turning
    patches[np.abs(patches) < 1e-12] = 0.0
    return np.asarray(patches)


def inflated(diagram: PowerDiagram, radius: float) -> PowerDiagram:
    """Move the sphere a little outwards and leave the planes and the straight edges where they are.

    Volumes, areas and patches stay those of the unit ball.
    """
    nodes = diagram.nodes.copy()
    along = nodes[diagram.edges[:, 1]] - nodes[diagram.edges[:, 0]]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    for end, sign in ((0, -1.0), (1, 1.0)):
        moves = diagram.on_sphere[diagram.edges[:, end]]
        x, outward = diagram.nodes[diagram.edges[moves, end]], sign * along[moves]
        # |x + t outward| = radius
        slope = (x * outward).sum(axis=1)
        t = np.sqrt(slope**2 + radius**2 - 1) - slope
        nodes[diagram.edges[moves, end]] = x + t[:, None] * outward
    arcs = diagram.arcs
    facets = diagram.item_facet[arcs]
    normals = diagram.normals[facets]
    spokes = nodes[diagram.item_nodes[arcs]] - (diagram.offsets[facets, None] * normals)[:, None]
    sine = (np.cross(spokes[:, 0], spokes[:, 1]) * normals).sum(axis=1)
    cosine = (spokes[:, 0] * spokes[:, 1]).sum(axis=1)
    angle = diagram.item_angle.copy()
    angle[arcs] = np.arctan2(sine, cosine) % (2 * np.pi)
    return replace(diagram, nodes=nodes, item_angle=angle, radius=radius)


def ordered_items(diagram: PowerDiagram) -> list[list[int]]:
    """Return the items of each facet in the order in which they follow each other."""
    starts, stops = diagram.item_nodes.T.tolist()
    groups: list[dict[int, int]] = [{} for _ in diagram.pairs]  # first node -> item
    for item, facet in enumerate(diagram.item_facet.tolist()):
        groups[facet][starts[item]] = item
    found = []
    for group in groups:
        order = [next(iter(group.values()))]
        while len(order) < len(group):
            order.append(group[stops[order[-1]]])
        found.append(order)
    return found

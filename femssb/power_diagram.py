"""Power diagram of weighted sites inside a ball of radius one: exact cells, facets, edges, arcs.

The cell of site i is where ``|x - p_i|^2 - w_i`` is the smallest of all sites. It is read from the
lower convex hull of the lifted sites ``(p, |p|^2 - w)`` and then cut by the sphere, so that facets
are convex pieces of a plane bounded by straight edges and circular arcs. No mesh, no randomness.

Source: F. Aurenhammer, Power diagrams, SIAM J. Comput. 16 (1987), 10.1137/0216006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

GHOSTS = 64  # far sites that keep every cell bounded
GHOST_RADIUS = 8.0  # far enough never to own a point of the ball


@dataclass(frozen=True, kw_only=True, slots=True)
class Facet:
    """A planar piece of boundary between two cells, counter-clockwise around `normal`.

    Each item of the loop starts at a node and ends where the next one starts. An item whose
    angle is zero is a straight edge; otherwise it is an arc of that angle around `centre`.
    """

    cells: tuple[int, int]  # the normal points from the first to the second
    normal: Array  # (3,) unit vector
    offset: float  # distance of the plane from the centre of the ball, along the normal
    nodes: tuple[int, ...]  # start node of each item; empty if the facet is a full disc
    angles: tuple[float, ...]  # angle of each item [rad]
    area: float

    @property
    def centre(self) -> Array:
        """Return the centre of the circle in which the plane cuts the sphere, (3,)."""
        return self.offset * self.normal

    @property
    def circle(self) -> float:
        """Return the radius of the circle in which the plane cuts the sphere."""
        return float(np.sqrt(max(0.0, 1.0 - self.offset**2)))


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerDiagram:
    """Cells of a power diagram cut by the unit sphere."""

    nodes: Array  # (k, 3) vertices inside the ball, and points where edges pierce the sphere
    on_sphere: NDArray[np.bool_]  # (k,) whether a node lies on the sphere
    edges: Integers  # (m, 2) nodes of the straight edges
    triples: Integers  # (m, 3) the three cells around each edge
    facets: tuple[Facet, ...]
    volumes: Array  # (n,) exact
    patches: Array  # (n,) area of each cell on the sphere, exact
    transport: Array  # (n, n) facet area over twice the distance of its sites: -dV_i/dw_j


def _ghosts() -> Array:
    """Return far sites, jittered so that no five of them are cospherical, shape (GHOSTS, 3)."""
    index = np.arange(GHOSTS) + 0.5
    z = 1 - 2 * index / GHOSTS
    angle = np.pi * (1 + np.sqrt(5)) * index
    ring = np.sqrt(1 - z**2)
    ghosts = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
    return GHOST_RADIUS * (ghosts + np.random.default_rng(0).uniform(-0.1, 0.1, ghosts.shape))


def power_diagram(points: Array, weights: Array) -> PowerDiagram:
    """Compute the power diagram of sites in the unit ball.

    Args:
        points: Sites, shape (n, 3), in units of the radius of the ball.
        weights: Weights, shape (n,), in units of the radius squared.
    """
    n = len(points)
    sites = np.vstack([points, _ghosts()])
    lift = (sites**2).sum(axis=1)
    lift[:n] -= weights
    hull = ConvexHull(np.column_stack([sites, lift]))
    lower = hull.equations[:, 3] < -1e-12
    number = np.where(lower, np.cumsum(lower) - 1, -1)
    equations = hull.equations[lower]
    vertices = -equations[:, :3] / (2 * equations[:, 3:4])
    simplices = hull.simplices[lower].astype(np.int64)
    adjacent = number[hull.neighbors[lower]]

    nodes, on_sphere, edges, triples = _cut_edges(n, vertices, simplices, adjacent)
    pairs = np.sort(simplices[:, [0, 1, 0, 2, 0, 3, 1, 2, 1, 3, 2, 3]].reshape(-1, 2), axis=1)
    pairs = np.unique(pairs[(pairs < n).all(axis=1)], axis=0)
    facets = _facets(points, lift[:n], nodes, on_sphere, edges, triples, pairs)
    volumes, patches = _volumes(n, nodes, on_sphere, edges, triples, facets)
    transport = np.zeros((n, n))
    for facet in facets:
        i, j = facet.cells
        transport[i, j] = transport[j, i] = facet.area / (
            2 * float(np.linalg.norm(points[i] - points[j]))
        )
    return PowerDiagram(
        nodes=nodes,
        on_sphere=on_sphere,
        edges=edges,
        triples=triples,
        facets=facets,
        volumes=volumes,
        patches=patches,
        transport=transport,
    )


def _cut_edges(
    n: int, vertices: Array, simplices: Integers, adjacent: Integers
) -> tuple[Array, NDArray[np.bool_], Integers, Integers]:
    """Cut the edges by the sphere and number the nodes that are left."""
    first, k = np.nonzero((adjacent >= 0) & (adjacent > np.arange(len(adjacent))[:, None]))
    second = adjacent[first, k]
    keep = np.arange(4)[None, :] != k[:, None]
    triples = np.sort(simplices[first][keep].reshape(-1, 3), axis=1)
    real = (triples < n).all(axis=1)
    first, second, triples = first[real], second[real], triples[real]
    start, along = vertices[first], vertices[second] - vertices[first]

    # |start + t along| = 1
    a = (along**2).sum(axis=1)
    b = (start * along).sum(axis=1)
    c = (start**2).sum(axis=1) - 1
    discriminant = b**2 - a * c
    root = np.sqrt(np.maximum(discriminant, 0))
    a = np.maximum(a, 1e-300)
    enter, leave = (-b - root) / a, (-b + root) / a
    inside = (discriminant > 0) & (enter < 1) & (leave > 0)
    first, second, triples = first[inside], second[inside], triples[inside]
    start, along = start[inside], along[inside]
    enter, leave = enter[inside], leave[inside]

    cut_start, cut_end = enter > 0, leave < 1
    used = np.unique(np.concatenate([first[~cut_start], second[~cut_end]]))
    number = np.full(len(vertices), -1)
    number[used] = np.arange(len(used))
    m = len(used)
    tail, head = number[first], number[second]
    tail[cut_start] = m + np.arange(cut_start.sum())
    head[cut_end] = m + cut_start.sum() + np.arange(cut_end.sum())
    nodes = np.vstack(
        [
            vertices[used],
            (start + enter[:, None] * along)[cut_start],
            (start + leave[:, None] * along)[cut_end],
        ]
    )
    on_sphere = np.arange(len(nodes)) >= m
    nodes[on_sphere] /= np.linalg.norm(nodes[on_sphere], axis=1, keepdims=True)
    return nodes, on_sphere, np.stack([tail, head], axis=1), triples


def _facets(
    points: Array,
    lift: Array,
    nodes: Array,
    on_sphere: NDArray[np.bool_],
    edges: Integers,
    triples: Integers,
    pairs: Integers,
) -> tuple[Facet, ...]:
    """Close the loop of every facet: straight edges, and arcs from one sphere node to the next."""
    around: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for edge, (a, b, c) in enumerate(triples.tolist()):
        around.setdefault((a, b), []).append((edge, c))
        around.setdefault((a, c), []).append((edge, b))
        around.setdefault((b, c), []).append((edge, a))
    facets = []
    for i, j in pairs.tolist():
        along = points[j] - points[i]
        length = float(np.linalg.norm(along))
        normal = along / length
        offset = float(lift[j] - lift[i]) / (2 * length)
        if abs(offset) >= 1:
            continue
        circle = np.sqrt(1 - offset**2)
        centre = offset * normal
        loop = around.get((i, j), [])
        if not loop:
            power = lift - 2 * points @ centre
            others = np.delete(power, [i, j])
            if len(others) and others.min() <= power[i]:
                continue
            facets.append(
                Facet(
                    cells=(i, j),
                    normal=normal,
                    offset=offset,
                    nodes=(),
                    angles=(2 * np.pi,),
                    area=float(np.pi * circle**2),
                )
            )
            continue
        following = {}
        for edge, k in loop:
            tail, head = edges[edge].tolist()
            direction = np.cross(normal, points[k] - points[i])
            if (nodes[head] - nodes[tail]) @ direction < 0:
                tail, head = head, tail
            following[tail] = head
        across = _perpendicular(normal)
        upward = np.cross(normal, across)

        def angle(node: int, across: Array = across, upward: Array = upward) -> float:
            return float(np.arctan2(nodes[node] @ upward, nodes[node] @ across))

        starts = {node: angle(node) for node in following if on_sphere[node]}
        order, angles = [], []
        node = next(iter(following))
        while len(order) < 2 * len(following) + 1:
            order.append(node)
            angles.append(0.0)
            node = following[node]
            if on_sphere[node]:
                here = angle(node)
                turns = {other: (at - here) % (2 * np.pi) for other, at in starts.items()}
                nearest = min(turns, key=lambda other: turns[other])
                order.append(node)
                angles.append(turns[nearest])
                node = nearest
            if node == order[0]:
                break
        corners = nodes[order]
        area = 0.5 * float(np.cross(corners, np.roll(corners, -1, axis=0)).sum(axis=0) @ normal)
        turned = np.array(angles)
        area += 0.5 * float(circle**2 * (turned - np.sin(turned)).sum())
        facets.append(
            Facet(
                cells=(i, j),
                normal=normal,
                offset=offset,
                nodes=tuple(order),
                angles=tuple(angles),
                area=area,
            )
        )
    return tuple(facets)


def _perpendicular(normal: Array) -> Array:
    """Return a unit vector normal to another, (3,)."""
    other = np.zeros(3)
    other[np.argmin(np.abs(normal))] = 1.0
    across = np.cross(normal, other)
    return np.asarray(across / np.linalg.norm(across))


def _volumes(
    n: int,
    nodes: Array,
    on_sphere: NDArray[np.bool_],
    edges: Integers,
    triples: Integers,
    facets: tuple[Facet, ...],
) -> tuple[Array, Array]:
    """Return exact volumes and sphere patches of the cells.

    Patch: Gauss-Bonnet on the unit sphere, with the Euler characteristic of the patch found from
    V - E + F = 2 for the boundary of the (convex) cell. Volume: a third of the flux of x.
    """
    euler = np.full(n, 2.0)
    turning = np.zeros(n)
    flux = np.zeros(n)
    corners: dict[int, set[int]] = {i: set() for i in range(n)}
    for facet in facets:
        i, j = facet.cells
        flux[i] += facet.offset * facet.area
        flux[j] -= facet.offset * facet.area
        swept = sum(facet.angles)
        turning[i] += facet.offset * swept
        turning[j] -= facet.offset * swept
        arcs = sum(angle > 0 for angle in facet.angles) if facet.nodes else 0
        for cell in facet.cells:
            euler[cell] += arcs - 1
            corners[cell].update(facet.nodes)
    np.add.at(euler, triples.ravel(), 1.0)
    for cell, found in corners.items():
        euler[cell] -= len(found)

    normals = {facet.cells: facet.normal for facet in facets}
    for (tail, head), triple in zip(edges.tolist(), triples.tolist(), strict=True):
        for node in (tail, head):
            if not on_sphere[node]:
                continue
            x = nodes[node]
            for cell in triple:
                tangents = []
                for other in triple:
                    if other == cell:
                        continue
                    pair = (min(cell, other), max(cell, other))
                    outward = normals[pair] * (1.0 if cell == pair[0] else -1.0)
                    tangents.append(outward - (outward @ x) * x)
                a, b = tangents
                turning[cell] -= np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)
    patches = 2 * np.pi * euler + turning
    patches[np.abs(patches) < 1e-12] = 0.0
    return (flux + patches) / 3, patches

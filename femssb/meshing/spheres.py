"""Triangulated sphere around a polycrystal, and the curves it shares with the planar facets.

Every curve is cut into straight pieces once, so all surfaces that meet there share its nodes. The
sphere is the Delaunay triangulation of points on it, that is their convex hull; points are spread
evenly by moving each to the centroid of the triangles around it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, cKDTree

from femssb.arrays import Array, Indices
from femssb.errors import MeshError
from femssb.grains.power_diagram import PowerDiagram, fibonacci_sphere, ordered_items, perpendicular

HALVINGS = 6  # times an arc may be cut finer to be part of the Delaunay triangulation
SMOOTHINGS = 24  # moves of the points of the sphere


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Straight edges and arcs of a diagram cut into pieces."""

    points: Array  # (k, 3) nodes of all curves, in units of the radius
    on_sphere: NDArray[np.bool_]  # (k,)
    loops: tuple[Indices, ...]  # of each facet: its closed polygon of nodes
    arcs: Indices  # (m, 2) pieces of arcs


def cut_curves(diagram: PowerDiagram, size: float) -> Curves:
    """Cut all curves into pieces of about a size, arcs finer until they are Delaunay.

    Raises:
        MeshError: If two arcs lie too close together.
    """
    circle = diagram.circles[diagram.item_facet]
    pieces = np.maximum(
        np.ceil(diagram.item_angle / (np.pi / 3)), np.rint(diagram.item_angle * circle / size)
    ).astype(np.int64)
    for _ in range(HALVINGS):
        curves, items = _cut(diagram, size, pieces)
        missing = _missing(curves, np.empty((0, 3)))
        if not missing.any():
            return curves
        pieces[np.unique(items[missing])] *= 2
    raise MeshError("the arcs of a particle lie too close together to be meshed")


def _cut(diagram: PowerDiagram, size: float, pieces: Indices) -> tuple[Curves, Indices]:
    """Cut edges by the size and arcs into the given pieces; return also the item of each piece."""
    blocks = [diagram.nodes]
    total = len(diagram.nodes)
    straight: dict[tuple[int, int], Indices] = {}
    for tail, head in diagram.edges.tolist():
        a, b = diagram.nodes[[tail, head]]
        count = max(1, round(float(np.linalg.norm(b - a)) / size))
        inner = np.arange(total, total + count - 1)
        blocks.append(a + (np.arange(1, count) / count)[:, None] * (b - a))
        total += count - 1
        straight[tail, head] = np.append(tail, inner)
        straight[head, tail] = np.append(head, inner[::-1])
    on_sphere = np.zeros(total, dtype=bool)
    on_sphere[: len(diagram.nodes)] = diagram.on_sphere
    across = perpendicular(diagram.normals)
    loops, arcs, items = [], [], []
    for facet, order in enumerate(ordered_items(diagram)):
        normal, circle = diagram.normals[facet], diagram.circles[facet]
        centre = diagram.offsets[facet] * normal
        loop: list[Indices] = []
        for item in order:
            start, stop = diagram.item_nodes[item].tolist()
            angle, count = diagram.item_angle[item], int(pieces[item])
            if angle == 0:
                loop.append(straight[start, stop])
                continue
            disc = start < 0
            spoke = circle * across[facet] if disc else diagram.nodes[start] - centre
            turned = angle * np.arange(0 if disc else 1, count)[:, None] / count
            found = np.cos(turned) * spoke + np.sin(turned) * np.cross(normal, spoke) + centre
            blocks.append(diagram.radius * _unit(found))
            inner = np.arange(total, total + len(found))
            total += len(found)
            chain = inner if disc else np.append(start, inner)
            loop.append(chain)
            arcs.append(np.stack([chain, np.append(chain[1:], chain[0] if disc else stop)], axis=1))
            items.append(np.full(count, item))
        loops.append(np.concatenate(loop))
    curves = Curves(
        points=np.vstack(blocks),
        on_sphere=np.append(on_sphere, np.ones(total - len(on_sphere), dtype=bool)),
        loops=tuple(loops),
        arcs=np.vstack([np.empty((0, 2), dtype=np.int64), *arcs]),
    )
    return curves, np.concatenate([np.empty(0, dtype=np.int64), *items])


def _unit(vectors: Array) -> Array:
    """Scale vectors to length one, (..., 3)."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _missing(curves: Curves, free: Array) -> NDArray[np.bool_]:
    """Return which arc pieces are no edges of the triangulation of their nodes and free points."""
    sphere = np.flatnonzero(curves.on_sphere)
    cloud = np.vstack([_unit(curves.points[sphere]), free])
    if len(cloud) < 4 or np.linalg.matrix_rank(cloud - cloud[0], tol=1e-9) < 3:
        return np.zeros(len(curves.arcs), dtype=bool)  # all on one circle
    number = np.full(len(curves.points), -1)
    number[sphere] = np.arange(len(sphere))
    edges = np.sort(ConvexHull(cloud).simplices[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    pieces = np.sort(number[curves.arcs], axis=1)
    keys = edges.astype(np.int64) @ [len(cloud), 1]
    return np.asarray(~np.isin(pieces @ [len(cloud), 1], keys))


def mesh_sphere(curves: Curves, size: float) -> tuple[Array, Indices]:
    """Fill the unit sphere with triangles whose edges follow the arcs.

    Args:
        curves: Curves of the diagram; only their directions from the centre are used.
        size: Length of the edges in units of the radius.

    Returns:
        New points on the unit sphere, shape (k, 3), and outward triangles, shape (m, 3), which
        number the points of the curves first and the new ones after them.

    Raises:
        MeshError: If an arc cannot be followed.
    """
    sphere = np.flatnonzero(curves.on_sphere)
    fixed = _unit(curves.points[sphere])
    ends = _unit(curves.points[curves.arcs])
    middles = _unit(ends.sum(axis=1))
    reach = 0.5 * np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    free = fibonacci_sphere(max(16, round(4 * np.pi / (0.866 * size**2))))
    for turn in range(SMOOTHINGS):
        free = _thinned(free, fixed, middles, reach, size)
        cloud = np.vstack([fixed, free])
        triangles = ConvexHull(cloud).simplices
        corners = cloud[triangles]
        area, centre = _areas_and_centres(corners)
        pulls = np.column_stack([area[:, None] * corners.mean(axis=1), area]).repeat(3, axis=0)
        *moved, weight = (np.bincount(triangles.ravel(), pull, len(cloud)) for pull in pulls.T)
        free = _unit((np.stack(moved, axis=1) / weight[:, None])[len(fixed) :])
        if turn % 4 == 3 and turn < SMOOTHINGS - 4:
            wide = np.linalg.norm(corners[:, 0] - centre, axis=1) > 0.85 * size
            free = np.vstack([free, _apart(centre[wide], 0.9 * size)])
    free = _thinned(free, fixed, middles, reach, size)
    for _ in range(SMOOTHINGS):
        missing = _missing(curves, free)
        if not missing.any():
            break
        if not len(free):
            raise MeshError("the arcs of a particle lie too close together for its sphere")
        distance, _ = cKDTree(middles[missing]).query(free)
        free = free[distance > max(distance.min(), 1.1 * reach[missing].min())]
    else:
        raise MeshError("the arcs of a particle lie too close together for its sphere")
    cloud = np.vstack([fixed, free])
    triangles = ConvexHull(cloud).simplices.astype(np.int64)
    a, b, c = np.moveaxis(cloud[triangles], 1, 0)
    inward = (a * np.cross(b, c)).sum(axis=1) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    number = np.concatenate([sphere, len(curves.points) + np.arange(len(free))])
    return free, number[triangles]


def _thinned(free: Array, fixed: Array, middles: Array, reach: Array, size: float) -> Array:
    """Drop free points that crowd the curves or each other."""
    if len(fixed):
        distance, _ = cKDTree(fixed).query(free)
        free = free[distance > 0.55 * size]
    if len(middles):
        distance, piece = cKDTree(middles).query(free, k=range(1, min(3, len(middles)) + 1))
        free = free[(distance > 1.25 * reach[piece]).all(axis=1)]
    return _apart(free, 0.6 * size)


def _apart(points: Array, distance: float) -> Array:
    """Drop points until no two are closer than a distance."""
    if not len(points):
        return points
    pairs = cKDTree(points).query_pairs(distance, output_type="ndarray")
    return np.delete(points, np.unique(pairs[:, 1]), axis=0)


def _areas_and_centres(corners: Array) -> tuple[Array, Array]:
    """Return areas and the points of the sphere above the centres of the circumcircles."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outward = np.sign((normal * corners[:, 0]).sum(axis=1))[:, None]
    return 0.5 * np.linalg.norm(normal, axis=1), _unit(normal * outward)

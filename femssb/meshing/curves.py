"""Edges and arcs of planar facets cut into straight pieces, and facets filled with triangles.

All facets that share an edge cut it alike. An arc bounds one facet and one or two spheres.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, cKDTree

from femssb.arrays import Array, Indices
from femssb.errors import MeshError
from femssb.grains.power_diagram import perpendicular
from femssb.meshing.cut_balls import Balls, Facet, surroundings
from femssb.packing.neighbours import nearest_image, wrapped

SAME = 1e-6  # distance of two nodes that are one, in units of the smallest radius
COARSEST_ARC = np.pi / 3  # of a piece
SPACING = 0.55  # of points inside a facet from its outline, in units of the size
SHARE = 0.3  # of its distance to a plane that a point may be moved towards it
SMOOTHINGS = 8  # moves of the points of a facet


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """The outline of a facet: a closed polygon, counter-clockwise around its normal."""

    points: Array  # (k, 3)
    arc: NDArray[np.bool_]  # (k,) True where an arc goes on to the next point
    item: Indices  # (k,) edge of the facet that each piece is a part of


class Network:
    """The straight edges that facets share: where they are divided, and into how many pieces."""

    def __init__(self, balls: Balls, facets: list[Facet], size: float) -> None:
        self.size, self.period = size, balls.period
        self.lower = np.append(balls.lower, 0.0)
        self.centres, self.around = balls.centres, surroundings(balls, size)
        self.near = SAME * float(balls.radii.min())
        ends = [edge.start for facet in facets for edge in facet.edges if edge.angle == 0]
        self.nodes = self._inside(np.array(ends).reshape(-1, 3))
        self.tree = cKDTree(self.nodes, boxsize=self.period) if ends else None

    def _inside(self, points: Array) -> Array:
        """Return points in a box from 0; those on the upper side move to the lower one."""
        inside = wrapped(points - self.lower, self.period)
        for axis in (0, 1):
            inside[inside[:, axis] > self.period[axis] - self.near, axis] = 0.0
        return inside

    def divided(self, start: Array, stop: Array) -> Array:
        """Return the points of a straight edge from its start on, without its end, (k, 3)."""
        along = stop - start
        length = float(np.linalg.norm(along))
        shares = [0.0, 1.0]
        if self.tree is not None and length > 2 * self.near:
            middle = self._inside((0.5 * (start + stop))[None])
            rows = self.tree.query_ball_point(middle[0], 0.5 * length - self.near)
            away = nearest_image(self.nodes[rows] - middle, self.period)
            share = 0.5 + away @ along / length**2
            off = np.linalg.norm(away - (share - 0.5)[:, None] * along, axis=1)
            inner = np.sort(share[off < self.near])
            shares[1:1] = inner[np.diff(inner, prepend=-1.0) * length > self.near].tolist()
        parts = []
        for low, high in pairwise(shares):
            # less a little: facets that share an edge of just half a size must count alike
            count = max(1, round((high - low) * length / self.size - 1e-4))
            parts.append(low + (high - low) * np.arange(count) / count)
        return np.asarray(start + np.concatenate(parts)[:, None] * along)


def pieces_of_arcs(facet: Facet, size: float) -> Indices:
    """Return into how many pieces each arc is cut; 0 for straight edges."""
    angle = np.array([edge.angle for edge in facet.edges])
    count = np.maximum(np.ceil(angle / COARSEST_ARC - 1e-9), np.rint(angle * facet.radius / size))
    least = 2 if len(angle) < 3 else 1  # an arc over one straight edge encloses something
    return np.where(angle > 0, np.maximum(count, least), 0).astype(np.int64)


def outline(facet: Facet, network: Network, pieces: Indices) -> Outline:
    """Cut the edges of a facet into pieces.

    Inner points of arcs are moved outwards in the plane so that a disc keeps its area.
    """
    points, arc, item = [], [], []
    for number, (edge, count) in enumerate(zip(facet.edges, pieces.tolist(), strict=True)):
        if edge.angle == 0:
            found = network.divided(edge.start, edge.stop)
        else:
            turned = edge.angle * np.arange(count)[:, None] / count
            spoke = edge.start - facet.centre
            found = np.cos(turned) * spoke + np.sin(turned) * np.cross(facet.normal, spoke)
            piece = edge.angle / count
            grown = np.full(count, (np.sqrt(piece / np.sin(piece)) - 1) * facet.radius)
            if len(facet.edges) > 1:
                grown[0] = 0.0
            ball, outward = facet.minus[0], found / facet.radius
            found = found + facet.centre
            room = network.around[ball].room(found - network.centres[ball], outward)
            found = found + np.minimum(grown, SHARE * room)[:, None] * outward
        points.append(found)
        arc.append(np.full(len(found), edge.angle > 0))
        item.append(np.full(len(found), number))
    return Outline(points=np.vstack(points), arc=np.concatenate(arc), item=np.concatenate(item))


def fill(facet: Facet, outline: Outline, size: float) -> tuple[Array, Indices]:
    """Fill a facet with triangles, counter-clockwise around its normal.

    Returns:
        Points, those of the outline first, shape (k, 3), and triangles, shape (m, 3).

    Raises:
        MeshError: If its outline is not followed.
    """
    axes = np.stack([perpendicular(facet.normal[None])[0]] * 2, axis=1)
    axes[:, 1] = np.cross(facet.normal, axes[:, 0])
    origin = outline.points.mean(axis=0)
    flat = (outline.points - origin) @ axes
    low, high = flat.min(axis=0), flat.max(axis=0)
    rows = np.arange(low[1], high[1], size * np.sqrt(0.75))
    columns = np.arange(low[0] - size, high[0] + size, size)
    lattice = np.array(
        [(x + 0.5 * size * (k % 2), y) for k, y in enumerate(rows.tolist()) for x in columns]
    ).reshape(-1, 2)
    inner = lattice[_depth(lattice, flat) > SPACING * size]
    for turn in range(SMOOTHINGS + 1):
        points = np.vstack([flat, inner])
        triangles = _delaunay(points)
        if turn == SMOOTHINGS or not len(inner):
            break
        ends = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        degree = np.bincount(ends[:, 0], minlength=len(points))
        total = np.stack(
            [np.bincount(ends[:, 0], points[ends[:, 1], k], len(points)) for k in (0, 1)], axis=1
        )
        inner = (total / np.maximum(degree, 1)[:, None])[len(flat) :]
    edges = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    keys = edges @ [len(points), 1]
    rim = ~np.isin(keys, edges[:, ::-1] @ [len(points), 1])
    given = np.stack([np.arange(len(flat)), np.roll(np.arange(len(flat)), -1)], axis=1)
    if not np.array_equal(np.sort(keys[rim]), np.sort(given @ [len(points), 1])):
        raise MeshError(f"the outline of a facet {facet.name!r} is not followed")
    inside = origin + inner @ axes.T
    return np.vstack([outline.points, inside]), triangles


def _depth(points: Array, polygon: Array) -> Array:
    """Return how far points lie inside a convex polygon, negative outside, (k,)."""
    along = np.roll(polygon, -1, axis=0) - polygon
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    inward = np.stack([-along[:, 1], along[:, 0]], axis=1)
    heights = np.einsum("pk,qk->pq", points, inward) - (polygon * inward).sum(axis=1)
    return np.asarray(heights.min(axis=1))


def _delaunay(points: Array) -> Indices:
    """Return the Delaunay triangles, counter-clockwise, without flat ones on straight edges."""
    scale = float(np.ptp(points, axis=0).max())
    triangles = Delaunay(points).simplices.astype(np.int64)
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    u, v = b - a, c - a
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    triangles[area < 0] = triangles[area < 0][:, ::-1]
    return triangles[np.abs(area) > 1e-9 * scale**2]


def merged(points: Array, distance: float) -> tuple[Array, Indices]:
    """Return points without those that repeat others, and the new number of each."""
    pairs = cKDTree(points).query_pairs(distance, output_type="ndarray")
    graph = coo_array(
        (np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=2 * (len(points),)
    )
    _, number = connected_components(graph, directed=False)
    _, first = np.unique(number, return_index=True)
    return points[first], number

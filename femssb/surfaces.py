"""Triangulated surfaces of a polycrystalline ball: planar facets and spherical patches.

Every curve is cut into straight pieces once, so all surfaces that meet there share its nodes. The
spherical patches are the Delaunay triangulation of points on the sphere, that is their convex hull.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, cKDTree

from femssb.errors import MeshError
from femssb.power_diagram import Array, Facet, Integers, PowerDiagram


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Straight edges and arcs cut into pieces."""

    points: Array  # (k, 3) nodes of all curves, in units of the radius
    on_sphere: NDArray[np.bool_]  # (k,)
    loops: tuple[Integers, ...]  # of each facet: its closed polygon of nodes
    arcs: Integers  # (m, 2) pieces of arcs


def cut_curves(diagram: PowerDiagram, size: float) -> Curves:
    """Cut all curves into pieces of about the asked size; arcs finer until they are Delaunay."""
    counts: dict[tuple[int, int], int] = {}
    while True:
        curves, owners = _cut(diagram, size, counts)
        missing = _missing(curves)
        if not missing.any():
            return curves
        for owner in np.unique(owners[missing]).tolist():
            facet, item = divmod(owner, 1000)
            counts[facet, item] = 2 * counts.get((facet, item), 1)
            if counts[facet, item] > 64:
                raise MeshError("the arcs of a particle lie too close together to be meshed")


def _cut(
    diagram: PowerDiagram, size: float, counts: dict[tuple[int, int], int]
) -> tuple[Curves, Integers]:
    points = [diagram.nodes]
    on_sphere = [diagram.on_sphere]
    total = len(diagram.nodes)
    straight: dict[tuple[int, int], Integers] = {}
    for tail, head in diagram.edges.tolist():
        a, b = diagram.nodes[tail], diagram.nodes[head]
        pieces = max(1, round(float(np.linalg.norm(b - a)) / size))
        t = np.arange(1, pieces)[:, None] / pieces
        inner = np.arange(total, total + pieces - 1)
        points.append(a + t * (b - a))
        on_sphere.append(np.zeros(pieces - 1, dtype=bool))
        total += pieces - 1
        straight[tail, head] = np.concatenate([[tail], inner])
        straight[head, tail] = np.concatenate([[head], inner[::-1]])
    loops, arcs, owners = [], [], []
    for index, facet in enumerate(diagram.facets):
        loop: list[Integers] = []
        k = len(facet.nodes)
        for item, angle in enumerate(facet.angles):
            if angle == 0:
                loop.append(straight[facet.nodes[item], facet.nodes[(item + 1) % k]])
                continue
            minimum = int(np.ceil(angle / (np.pi / 3)))
            pieces = max(minimum, round(angle * facet.circle / size))
            pieces *= counts.get((index, item), 1)
            if k:
                start, inner = diagram.nodes[facet.nodes[item]], np.arange(total, total + pieces - 1)
                chain = np.concatenate([[facet.nodes[item]], inner])
                end = np.array([facet.nodes[(item + 1) % k]])
                t = np.arange(1, pieces) / pieces
            else:
                start, chain = _on_circle(facet), np.arange(total, total + pieces)
                end = chain[:1]
                t = np.arange(pieces) / pieces
            spoke = start - facet.centre
            across = np.cross(facet.normal, spoke)
            turned = angle * t[:, None]
            found = facet.centre + np.cos(turned) * spoke + np.sin(turned) * across
            points.append(found / np.linalg.norm(found, axis=1, keepdims=True))
            on_sphere.append(np.ones(len(t), dtype=bool))
            total += len(t)
            loop.append(chain)
            closed = np.concatenate([chain, end])
            arcs.append(np.stack([closed[:-1], closed[1:]], axis=1))
            owners.append(np.full(pieces, 1000 * index + item))
        loops.append(np.concatenate(loop).astype(np.int64))
    curves = Curves(
        points=np.vstack(points),
        on_sphere=np.concatenate(on_sphere),
        loops=tuple(loops),
        arcs=np.vstack(arcs) if arcs else np.empty((0, 2), dtype=np.int64),
    )
    return curves, np.concatenate(owners) if owners else np.empty(0, dtype=np.int64)


def _on_circle(facet: Facet) -> Array:
    other = np.zeros(3)
    other[np.argmin(np.abs(facet.normal))] = 1.0
    across = np.cross(facet.normal, other)
    return np.asarray(facet.centre + facet.circle * across / np.linalg.norm(across))


def _edges_of(triangles: Integers) -> set[tuple[int, int]]:
    pairs = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return set(map(tuple, pairs.tolist()))


def _missing(curves: Curves, extra: Array | None = None) -> NDArray[np.bool_]:
    """Tell which arc pieces are not edges of the spherical Delaunay triangulation."""
    if not len(curves.arcs):
        return np.zeros(0, dtype=bool)
    sphere = np.flatnonzero(curves.on_sphere)
    number = np.full(len(curves.points), -1)
    number[sphere] = np.arange(len(sphere))
    cloud = curves.points[sphere]
    if extra is not None:
        cloud = np.vstack([cloud, extra])
    if len(cloud) < 4 or np.linalg.matrix_rank(cloud - cloud[0], tol=1e-9) < 3:
        return np.zeros(len(curves.arcs), dtype=bool)
    edges = _edges_of(ConvexHull(cloud).simplices)
    pieces = np.sort(number[curves.arcs], axis=1).tolist()
    return np.array([(a, b) not in edges for a, b in pieces])


def mesh_sphere(curves: Curves, size: float, seed: int = 0) -> tuple[Array, Integers]:
    """Fill the sphere with triangles that respect the arcs.

    Returns:
        New points, shape (k, 3), and triangles, shape (m, 3), outward, that number the points
        of the curves first and the new ones after them.
    """
    sphere = np.flatnonzero(curves.on_sphere)
    fixed = curves.points[sphere]
    count = max(16, round(4 * np.pi / (0.866 * size**2)))
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    angle = np.pi * (1 + np.sqrt(5)) * index
    ring = np.sqrt(1 - z**2)
    free = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
    middles = np.empty((0, 3))
    reach = np.empty(0)
    if len(curves.arcs):
        ends = curves.points[curves.arcs]
        middles = ends.mean(axis=1)
        reach = 0.5 * np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    tree = cKDTree(fixed) if len(fixed) else None
    for turn in range(24):
        if tree is not None:
            near, _ = tree.query(free)
            keep = near > 0.55 * size
            if len(middles):
                gap, nearest = cKDTree(middles).query(free, k=min(3, len(middles)))
                gap, nearest = gap.reshape(len(free), -1), nearest.reshape(len(free), -1)
                keep &= (gap > 1.25 * reach[nearest]).all(axis=1)
            free = free[keep]
        pairs = cKDTree(free).query_pairs(0.6 * size, output_type="ndarray")
        free = np.delete(free, np.unique(pairs[:, 1]), axis=0)
        cloud = np.vstack([fixed, free])
        triangles = ConvexHull(cloud).simplices
        corners = cloud[triangles]
        crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = 0.5 * np.linalg.norm(crossed, axis=1)
        middle = crossed / (2 * area[:, None])
        middle *= np.sign((middle * corners[:, 0]).sum(axis=1))[:, None]
        if turn == 23:
            break
        weight = np.zeros(len(cloud))
        moved = np.zeros_like(cloud)
        centroid = corners.mean(axis=1)
        for k in range(3):
            np.add.at(weight, triangles[:, k], area)
            np.add.at(moved, triangles[:, k], area[:, None] * centroid)
        free = moved[len(fixed) :] / weight[len(fixed) :, None]
        free /= np.linalg.norm(free, axis=1, keepdims=True)
        if turn % 4 == 3 and turn < 20:
            radius = np.linalg.norm(corners[:, 0] - middle, axis=1)
            added = middle[radius > 0.85 * size]
            if len(added):
                pairs = cKDTree(added).query_pairs(0.9 * size, output_type="ndarray")
                added = np.delete(added, np.unique(pairs[:, 1]), axis=0)
                free = np.vstack([free, added])
    if _missing(curves, free).any():
        raise MeshError("the arcs of a particle were lost on its sphere")
    swap = (crossed * corners[:, 0]).sum(axis=1) < 0
    triangles[swap] = triangles[swap][:, ::-1]
    number = np.concatenate([sphere, len(curves.points) + np.arange(len(free))])
    return free, number[triangles]

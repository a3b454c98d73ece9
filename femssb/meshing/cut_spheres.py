"""Spheres of which planes leave a part, triangulated so that each particle has its volume.

A sphere is the hull of points on it and of the arcs in which planes cut it. Free points are moved
outwards until the flat triangles hold the volume of the ball; discs keep their area.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from femssb.arrays import Array, Indices
from femssb.errors import MeshError
from femssb.meshing.curves import SHARE, Network, Outline, merged, outline, pieces_of_arcs
from femssb.meshing.cut_balls import Balls, Cap, Facet, Grains, surroundings, walls
from femssb.meshing.sheets import MATRIX, Sheet, six_volumes, volume_number
from femssb.meshing.spheres import Curves, _missing, mesh_sphere

FILLINGS = 6  # times that points may be added to a sphere
HALVINGS = 6  # times that arcs may be cut finer to be followed by their spheres


@dataclass(frozen=True, kw_only=True, slots=True)
class CutSphere:
    """The triangulated sphere of a ball, positions from its centre."""

    fixed: Array  # (k, 3) points of arcs
    free: Array  # (f, 3) unit vectors
    triangles: Indices  # (m, 3) of fixed and free points; those in caps are left out
    boxes: Indices  # (m, 2) box of each triangle
    grains: Indices  # (m,)


class Arcs(NamedTuple):
    """Pieces of the arcs on a sphere, positions from its centre."""

    starts: Array  # (k, 3)
    stops: Array  # (k, 3)
    source: Indices  # (k, 2) facet and edge that each is a piece of

    def curves(self, radius: float) -> tuple[Curves, Array]:
        """Return them with shared points, and these as they are."""
        both = np.vstack([self.starts, self.stops])
        points, number = merged(both, 1e-6 * radius) if len(both) else (both, np.empty(0, int))
        ends = number.reshape(2, -1).T.astype(np.int64)
        directions = points / np.linalg.norm(points, axis=1, keepdims=True)
        on_sphere = np.ones(len(points), dtype=bool)
        return Curves(points=directions, on_sphere=on_sphere, loops=(), arcs=ends), points


def cut_outlines(
    balls: Balls, planar: list[Facet], size: float
) -> tuple[list[Outline], list[Arcs]]:
    """Cut all edges into pieces, arcs finer until the spheres can follow them.

    Raises:
        MeshError: If arcs lie too close together.
    """
    network = Network(balls, planar, size)
    pieces = [pieces_of_arcs(facet, size) for facet in planar]
    outlines = [outline(facet, network, count) for facet, count in zip(planar, pieces, strict=True)]
    changed = set(range(len(balls.radii)))
    arcs: list[Arcs] = [Arcs(np.empty((0, 3)), np.empty((0, 3)), np.empty((0, 2), int))] * len(
        balls.radii
    )
    of_ball: list[list[tuple[int, Array]]] = [[] for _ in balls.radii]
    for index, facet in enumerate(planar):
        for ball, origin in centres_at(balls, facet):
            of_ball[ball].append((index, origin))
    for _ in range(HALVINGS):
        refined: set[int] = set()
        for ball in sorted(changed):
            arcs[ball] = _arcs(of_ball[ball], outlines)
            curves, _ = arcs[ball].curves(float(balls.radii[ball]))
            missing = _missing(curves, np.empty((0, 3)))
            for index, edge in np.unique(arcs[ball].source[missing], axis=0).tolist():
                pieces[index][edge] *= 2
                refined.add(index)
        if not refined:
            return outlines, arcs
        for index in refined:
            outlines[index] = outline(planar[index], network, pieces[index])
        changed = {ball for index in refined for ball, _ in centres_at(balls, planar[index])}
    raise MeshError("arcs on a particle lie too close together to be meshed")


def centres_at(balls: Balls, facet: Facet) -> list[tuple[int, Array]]:
    """Return the balls whose spheres a facet ends at, and their centres at its place."""
    ball, x, y, _ = facet.minus
    found = [(ball, balls.centres[ball])]
    if facet.name == "contact" and facet.plus is not None:
        other, u, v, _ = facet.plus
        shift = np.append(np.array([x - u, y - v]) * balls.lengths, 0.0)
        found.append((other, balls.centres[other] + shift))
    return found


def _arcs(members: list[tuple[int, Array]], outlines: list[Outline]) -> Arcs:
    starts, stops, source = [np.empty((0, 3))], [np.empty((0, 3))], [np.empty((0, 2), int)]
    for index, origin in members:
        here = outlines[index]
        points = here.points - origin
        starts.append(points[here.arc])
        stops.append(np.roll(points, -1, axis=0)[here.arc])
        edges = here.item[here.arc]
        source.append(np.stack([np.full(len(edges), index), edges], axis=1))
    return Arcs(np.vstack(starts), np.vstack(stops), np.vstack(source))


def cut_sphere(
    balls: Balls, ball: int, cut: list[Cap], grains: Grains, arcs: Arcs, size: float
) -> CutSphere:
    """Triangulate what planes leave of a sphere.

    Where all corners of triangles lie in one plane between two cells there is nothing of one of
    them: a point of the sphere is added above it.

    Raises:
        MeshError: If that does not help.
    """
    radius = float(balls.radii[ball])
    curves, fixed = arcs.curves(radius)
    sides = walls(balls, ball)
    near = 1e-6 * radius
    lift = (grains.points**2).sum(axis=1) - grains.weights
    for _ in range(FILLINGS):
        free, triangles = mesh_sphere(curves, size / radius)
        corners = np.vstack([fixed, radius * free])[triangles]
        kept = np.ones(len(triangles), dtype=bool)
        for cap in cut:
            beyond = corners @ cap.normal - cap.offset
            kept &= (beyond < near).all(axis=1) & (np.abs(beyond) > near).any(axis=1)
        triangles, corners = triangles[kept], corners[kept]
        boxes = np.zeros((len(triangles), 2), dtype=np.int64)
        flat = []
        for wall in sides:
            above = corners[:, :, wall.axis] - wall.level
            farthest = np.argmax(np.abs(above), axis=1)[:, None]
            above = np.take_along_axis(above, farthest, axis=1)[:, 0]
            boxes[:, wall.axis] = wall.below + (above > 0)
            flat.append(np.abs(above) < near)
        power = lift - 2 * corners @ grains.points.T
        power = (power - power.min(axis=2, keepdims=True)).max(axis=1)
        owner = np.argmin(power, axis=1)
        if len(lift) > 1:
            flat.append(np.partition(power, 1, axis=1)[:, 1] < near * radius)
        more = [point for here in flat for point in _middles(triangles[here], corners[here])]
        if not more:
            return CutSphere(fixed=fixed, free=free, triangles=triangles, boxes=boxes, grains=owner)
        added = np.array(more)
        added /= np.linalg.norm(added, axis=1, keepdims=True)
        fixed = np.vstack([fixed, radius * added])
        points = np.vstack([curves.points, added])
        curves = replace(curves, points=points, on_sphere=np.ones(len(points), dtype=bool))
    raise MeshError("a particle has pieces or grains too shallow to be meshed")


def _middles(triangles: Indices, corners: Array) -> list[Array]:
    """Return the middle of each group of triangles that share corners."""
    if not len(triangles):
        return []
    rows = np.repeat(np.arange(len(triangles)), 3)
    holds = coo_array((np.ones(len(rows)), (rows, triangles.ravel()))).tocsr()
    count, label = connected_components(holds @ holds.T, directed=False)
    return [corners[label == group].reshape(-1, 3).mean(axis=0) for group in range(count)]


def sphere_sheets(
    balls: Balls,
    planar: list[Facet],
    filled: list[tuple[Array, Indices]],
    spheres: list[CutSphere],
    wanted: Array,
    first: Indices,
    size: float,
) -> list[Sheet]:
    """Move the free points of each sphere until its particle has the volume wanted."""
    flat = np.zeros(len(spheres))  # thrice the volume of the cones over the planar facets
    for facet, (points, triangles) in zip(planar, filled, strict=True):
        if facet.name not in ("contact", "particle_collector", "particle_separator"):
            continue
        for side, (ball, origin) in enumerate(centres_at(balls, facet)):
            cones = six_volumes(points - origin, triangles).sum() / 2
            flat[ball] += -cones if side else cones
    sheets, around = [], surroundings(balls, size)
    for ball, sphere in enumerate(spheres):
        radius, used = float(balls.radii[ball]), np.zeros(len(sphere.free))
        used[
            np.unique(sphere.triangles[sphere.triangles >= len(sphere.fixed)]) - len(sphere.fixed)
        ] = 1
        room = around[ball].room(radius * sphere.free, sphere.free)
        move = np.zeros(len(sphere.free))
        for _ in range(4):
            points = np.vstack([sphere.fixed, (radius + move)[:, None] * sphere.free])
            six = six_volumes(points, sphere.triangles)
            lack = 3 * wanted[ball] - flat[ball] - six.sum() / 2
            # each point takes a third of the area of its triangles along
            area = _areas(points, sphere.triangles)
            share = np.bincount(sphere.triangles.ravel(), np.repeat(area, 3) / 3, len(points))
            able = used * (move < SHARE * room * (1 - 1e-9))
            total = float((share[len(sphere.fixed) :] * able).sum())
            if not total or abs(lack) < 1e-9 * wanted[ball]:
                break
            move = np.minimum(move + able * lack / 3 / total, SHARE * room)
        points = np.vstack([sphere.fixed, (radius + move)[:, None] * sphere.free])
        keys = np.column_stack([sphere.boxes, sphere.grains])
        for x, y, grain in np.unique(keys, axis=0).tolist():
            chosen = (keys == [x, y, grain]).all(axis=1)
            shift = balls.centres[ball] - np.append(np.array([x, y]) * balls.lengths, 0.0)
            volume = volume_number((ball, x, y, grain), first)
            sheets.append(
                Sheet(points + shift, sphere.triangles[chosen], (volume, MATRIX), "interface")
            )
    return sheets


def _areas(points: Array, triangles: Indices) -> Array:
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    return np.asarray(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1))

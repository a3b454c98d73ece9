"""Balls cut at their radical planes, at the sides of a box and along grains, as plain geometry.

Two balls that overlap are cut where their powers ``|x - c|^2 - R^2`` are equal. What is left of a
ball is convex, and two balls meet in a planar disc, whichever side of the box it crosses. A plane
that cuts a ball, be it that of another ball, of the collector or of the separator, takes a cap off
it; a side of the box divides it into pieces; planes between grains divide these further.

Every planar facet is a convex polygon that ends at a circle: straight edges and arcs, found by
clipping one plane with all others. Lengths are in any one unit.

Source: F. Aurenhammer, Power diagrams, SIAM J. Comput. 16 (1987), 10.1137/0216006.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from femssb.arrays import Array, Indices
from femssb.grains.power_diagram import perpendicular, power_diagram

COLLECTOR, SEPARATOR = -1, -2  # what a plane belongs to that is of no ball

SAMPLED = 0.04  # distance of the places at which edges are compared, in units of the radius

Point = tuple[float, float]
HalfPlanes = list[tuple[float, float, float]]
Cell = tuple[int, int, int, int]  # ball, box it lies in along x and y, grain


@dataclass(frozen=True, kw_only=True, slots=True)
class Balls:
    """Balls in a box from 0 to `height` along z whose sides across x and y are periodic."""

    centres: Array  # (n, 3), in the box
    radii: Array  # (n,)
    lower: Array  # (2,) corner of the box
    lengths: Array  # (2,) of its sides along x and y
    height: float

    @property
    def period(self) -> Array:
        """Return the period along each axis, (3,)."""
        return np.append(self.lengths, 0.0)


class Pairs(NamedTuple):
    """Pairs of balls that are near each other, each once."""

    first: Indices  # (m,)
    second: Indices  # (m,)
    boxes: Indices  # (m, 2) how many boxes away along x and y the second one lies

    def branches(self, balls: Balls) -> Array:
        """Return the way from the first centre to the second, (m, 3)."""
        apart = balls.centres[self.second] - balls.centres[self.first]
        apart[:, :2] += self.boxes * balls.lengths
        return np.asarray(apart)


class Cap(NamedTuple):
    """A plane ``normal . x = offset`` from the centre of a ball, beyond which it is cut off."""

    normal: Array  # (3,)
    offset: float
    other: int  # ball, COLLECTOR or SEPARATOR
    boxes: tuple[int, int]  # how many boxes away the other ball lies


class Wall(NamedTuple):
    """A side of the box through a ball: one piece lies in box `below`, the other in the next."""

    axis: int
    level: float  # from the centre
    below: int


class Edge(NamedTuple):
    """A straight edge or an arc of a facet; a whole circle has an arc that ends where it starts."""

    start: Array  # (3,)
    stop: Array  # (3,)
    angle: float  # of an arc; 0 for a straight edge


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Facet:
    """A planar facet: one side of it is a cell, the other another cell or a face of the box.

    Positions are those at the ball of `minus`: its centre lies in the box.
    """

    minus: Cell
    plus: Cell | None
    name: str  # of what it is a part of
    centre: Array  # (3,) of the circle
    normal: Array  # (3,) from minus to plus
    radius: float  # of the circle
    edges: tuple[Edge, ...]  # counter-clockwise around the normal


def near(balls: Balls, reach: float) -> Pairs:
    """Return the pairs whose surfaces are nearer than a reach; a ball may be near its own image."""
    n = len(balls.radii)
    boxes = np.array(list(product((-1, 0, 1), repeat=2)))
    shifts = np.column_stack([boxes * balls.lengths, np.zeros(9)])
    images = (balls.centres[None] + shifts[:, None]).reshape(-1, 3)
    limit = 2 * balls.radii.max() + reach
    found = cKDTree(balls.centres).query_ball_tree(cKDTree(images), limit)
    first = np.repeat(np.arange(n), [len(each) for each in found])
    image = np.concatenate([np.array(each, dtype=np.int64) for each in found])
    second, box = image % n, boxes[image // n]
    forward = (box[:, 0] > 0) | ((box[:, 0] == 0) & (box[:, 1] > 0))  # an image of itself, once
    apart = np.linalg.norm(images[image] - balls.centres[first], axis=1)
    kept = (second > first) | ((second == first) & forward)
    kept &= apart < balls.radii[first] + balls.radii[second] + reach
    return Pairs(first[kept], second[kept], box[kept])


def caps(balls: Balls, reach: float = 0.0) -> list[list[Cap]]:
    """Return the planes that cut each ball, or pass within a reach of it."""
    found: list[list[Cap]] = [[] for _ in balls.radii]
    pairs = near(balls, reach)
    branches = pairs.branches(balls)
    apart = np.linalg.norm(branches, axis=1)
    square = balls.radii[pairs.first] ** 2 - balls.radii[pairs.second] ** 2
    offset = (apart**2 + square) / (2 * apart)
    for i, j, branch, d, a, box in zip(
        pairs.first.tolist(),
        pairs.second.tolist(),
        branches,
        apart.tolist(),
        offset.tolist(),
        map(tuple, pairs.boxes.tolist()),
        strict=True,
    ):
        found[i].append(Cap(branch / d, a, j, box))
        found[j].append(Cap(-branch / d, d - a, i, (-box[0], -box[1])))
    down, up = np.array([0.0, 0.0, -1.0]), np.array([0.0, 0.0, 1.0])
    for i, (z, radius) in enumerate(zip(balls.centres[:, 2].tolist(), balls.radii, strict=True)):
        if z < radius + reach:
            found[i].append(Cap(down, z, COLLECTOR, (0, 0)))
        if balls.height - z < radius + reach:
            found[i].append(Cap(up, balls.height - z, SEPARATOR, (0, 0)))
    return found


def walls(balls: Balls, ball: int, reach: float = 0.0) -> list[Wall]:
    """Return the sides of the box that pass through a ball, or within a reach of it."""
    found = []
    for axis in (0, 1):
        low = float(balls.lower[axis] - balls.centres[ball, axis])
        for below, level in ((-1, low), (0, low + float(balls.lengths[axis]))):
            if abs(level) < balls.radii[ball] + reach:
                found.append(Wall(axis, level, below))
    return found


class Surroundings(NamedTuple):
    """Planes that cut a ball or pass near it, from its centre, those of the box with both sides."""

    normals: Array  # (k, 3)
    offsets: Array  # (k,)

    def room(self, points: Array, directions: Array) -> Array:
        """Return how far points can move before they meet a plane that they are not in, (n,)."""
        ahead = self.offsets - points @ self.normals.T
        slope = directions @ self.normals.T
        meets = (ahead > 1e-9 * np.abs(self.offsets).max(initial=1.0)) & (slope > 1e-9)
        return np.asarray(
            np.min(ahead / np.where(meets, slope, 1.0), axis=1, where=meets, initial=np.inf)
        )


def surroundings(balls: Balls, reach: float) -> list[Surroundings]:
    """Return the planes that cut each ball or pass within a reach of it."""
    found = []
    for ball, near_by in enumerate(caps(balls, reach)):
        planes = [(cap.normal, cap.offset) for cap in near_by]
        for wall in walls(balls, ball, reach):
            up = np.eye(3)[wall.axis]
            planes += [(up, wall.level), (-up, -wall.level)]
        normals = np.array([normal for normal, _ in planes]).reshape(-1, 3)
        found.append(Surroundings(normals, np.array([offset for _, offset in planes])))
    return found


def cut_volumes(balls: Balls, planes: list[list[Cap]]) -> Array:
    """Return the exact volume that is left of each ball, (n,)."""
    volumes = 4 / 3 * np.pi * balls.radii**3
    for i, (cut, radius) in enumerate(zip(planes, balls.radii.tolist(), strict=True)):
        if cut:
            # a site at (1 + d) n of weight 1 - d^2 meets the one at the centre at n x = d
            offset = np.array([cap.offset for cap in cut]) / radius
            sites = (1 + offset)[:, None] * np.array([cap.normal for cap in cut])
            weights = np.append(0.0, 1 - offset**2)
            diagram = power_diagram(np.vstack([np.zeros(3), sites]), weights)
            volumes[i] = diagram.volumes[0] * radius**3
    return np.asarray(volumes)


class Grains(NamedTuple):
    """Sites of the grains of one ball, from its centre."""

    points: Array  # (g, 3)
    weights: Array  # (g,)

    def bounds(self, grain: int) -> tuple[Array, Array]:
        """Return normals and offsets of the half-spaces, ``n x <= d``, that make a grain."""
        others = np.delete(np.arange(len(self.weights)), grain)
        lift = (self.points**2).sum(axis=1) - self.weights
        return 2 * (self.points[others] - self.points[grain]), lift[others] - lift[grain]


def facets(balls: Balls, planes: list[list[Cap]], grains: list[Grains]) -> list[Facet]:
    """Return all planar facets of all cells; those on a side of the box once, below it."""
    found: list[Facet] = []
    for ball, cut in enumerate(planes):
        for number, cap in enumerate(cut):
            mirrored = cap.other >= 0 and (cap.other, *cap.boxes) < (ball, 0, 0)
            if mirrored:
                continue  # found at the other ball
            others = [each for k, each in enumerate(cut) if k != number]
            found += _of_cap(balls, grains, ball, cap, others)
        for wall in walls(balls, ball):
            found += _of_wall(balls, grains, ball, wall, cut)
        found += _between_grains(balls, grains, ball, cut)
    return found


def narrowest(balls: Balls, planes: list[list[Cap]], grains: list[Grains], ball: int) -> float:
    """Return the least distance of two edges of the facets of a ball where they do not meet.

    Two edges that cut each other at less than about 20 degrees count as close there.
    """
    found: list[Facet] = []
    for number, cap in enumerate(planes[ball]):
        others = [each for k, each in enumerate(planes[ball]) if k != number]
        found += _of_cap(balls, grains, ball, cap, others)
    for wall in walls(balls, ball):
        found += _of_wall(balls, grains, ball, wall, planes[ball])
    found += _between_grains(balls, grains, ball, planes[ball])
    radius = float(balls.radii[ball])
    ends, places, seen = [], [], set()
    for facet in found:
        for edge in facet.edges:
            middle = tuple(np.round(0.5 * (edge.start + edge.stop) / radius, 6).tolist())
            if edge.angle == 0 and middle in seen:
                continue
            seen.add(middle)
            ends += [] if edge.angle > 6.28 else [edge.start, edge.stop]
            places.append(_along(facet, edge, SAMPLED * radius))
    if not places:
        return np.inf
    label = np.repeat(np.arange(len(places)), [len(each) for each in places])
    points = np.vstack(places)
    away = np.full(len(points), np.inf)
    closest = np.inf
    if ends:
        corners = np.array(ends)
        away, _ = cKDTree(corners).query(points)
        apart = cKDTree(corners).query_pairs(0.5 * radius, output_type="ndarray")
        lengths = np.linalg.norm(corners[apart[:, 0]] - corners[apart[:, 1]], axis=1)
        closest = float(lengths[lengths > 1e-6 * radius].min(initial=np.inf))
    pairs = cKDTree(points).query_pairs(0.3 * radius, output_type="ndarray")
    pairs = pairs[label[pairs[:, 0]] != label[pairs[:, 1]]]
    lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    clear = (away[pairs] > 3 * lengths[:, None]).all(axis=1)
    return min(closest, float(lengths[clear].min(initial=np.inf)))


def _along(facet: Facet, edge: Edge, spacing: float) -> Array:
    """Return points along an edge, (k, 3)."""
    along = edge.stop - edge.start
    length = edge.angle * facet.radius if edge.angle else float(np.linalg.norm(along))
    share = np.linspace(0, 1, max(3, int(length / spacing)))[:, None]
    if not edge.angle:
        return np.asarray(edge.start + share * along)
    spoke, turned = edge.start - facet.centre, edge.angle * share
    across = np.cross(facet.normal, spoke)
    return np.asarray(facet.centre + np.cos(turned) * spoke + np.sin(turned) * across)


class _Plane:
    """A plane through a ball with axes of its own; the origin is the centre of the circle in it."""

    def __init__(self, centre: Array, radius: float, normal: Array, offset: float) -> None:
        self.normal, self.offset = normal, offset
        self.ball, self.centre = centre, centre + offset * normal
        self.across = perpendicular(normal[None])[0]
        self.upward = np.cross(normal, self.across)
        self.circle = float(np.sqrt(radius**2 - offset**2))
        self.axes = np.stack([self.across, self.upward], axis=1)

    def half_planes(
        self, normals: Array, offsets: Array, origin: Array | None = None
    ) -> HalfPlanes:
        """Return half-spaces, ``n (x - origin) <= d``, as half-planes, by default from the ball."""
        rest = offsets - normals @ (self.centre - (self.ball if origin is None else origin))
        return [(x, y, d) for (x, y), d in zip((normals @ self.axes).tolist(), rest, strict=True)]

    def whole(self) -> list[Point]:
        """Return a square around the circle."""
        r = 2 * self.circle
        return [(-r, -r), (r, -r), (r, r), (-r, r)]

    def place(self, point: Point) -> Array:
        """Return a point of the plane in space."""
        return np.asarray(self.centre + self.axes @ np.array(point))

    def facet(
        self, polygon: list[Point], minus: Cell, plus: Cell | None, name: str
    ) -> Iterator[Facet]:
        """Yield the part of a polygon inside the circle as a facet, if there is one."""
        items = within_circle(polygon, self.circle)
        if items:
            edges = (Edge(self.place(a), self.place(b), angle) for a, b, angle in items)
            yield Facet(
                minus=minus,
                plus=plus,
                name=name,
                centre=self.centre,
                normal=self.normal,
                radius=self.circle,
                edges=tuple(edges),
            )


def _of_cap(
    balls: Balls, grains: list[Grains], ball: int, cap: Cap, others: list[Cap]
) -> Iterator[Facet]:
    plane = _Plane(balls.centres[ball], float(balls.radii[ball]), cap.normal, cap.offset)
    outline = _cut_by_caps(plane, others)
    name = {COLLECTOR: "particle_collector", SEPARATOR: "particle_separator"}.get(cap.other)
    for polygon, (x, y) in _pieces(balls, ball, plane, outline):
        for part, grain in _grains(plane, polygon, grains[ball]):
            if name is not None:
                yield from plane.facet(part, (ball, x, y, grain), None, name)
                continue
            image = balls.centres[cap.other] + np.append(cap.boxes * balls.lengths, 0.0)
            for final, beyond in _grains(plane, part, grains[cap.other], image):
                other = (cap.other, x - cap.boxes[0], y - cap.boxes[1], beyond)
                yield from plane.facet(final, (ball, x, y, grain), other, "contact")


def _of_wall(
    balls: Balls, grains: list[Grains], ball: int, wall: Wall, cut: list[Cap]
) -> Iterator[Facet]:
    normal = np.eye(3)[wall.axis]
    plane = _Plane(balls.centres[ball], float(balls.radii[ball]), normal, wall.level)
    outline = _cut_by_caps(plane, cut)
    for polygon, box in _pieces(balls, ball, plane, outline, skipped=wall):
        below, above = list(box), list(box)
        below[wall.axis], above[wall.axis] = wall.below, wall.below + 1
        for part, grain in _grains(plane, polygon, grains[ball]):
            minus = (ball, below[0], below[1], grain)
            plus = (ball, above[0], above[1], grain)
            yield from plane.facet(part, minus, plus, "xy"[wall.axis])


def _between_grains(
    balls: Balls, grains: list[Grains], ball: int, cut: list[Cap]
) -> Iterator[Facet]:
    sites = grains[ball]
    lift = (sites.points**2).sum(axis=1) - sites.weights
    radius = float(balls.radii[ball])
    for first in range(len(lift)):
        for second in range(first + 1, len(lift)):
            along = sites.points[second] - sites.points[first]
            length = float(np.linalg.norm(along))
            offset = float(lift[second] - lift[first]) / (2 * length)
            if abs(offset) >= radius:
                continue
            plane = _Plane(balls.centres[ball], radius, along / length, offset)
            normals, offsets = sites.bounds(first)
            keep = np.arange(len(lift) - 1) != second - 1
            outline = clipped(plane.whole(), plane.half_planes(normals[keep], offsets[keep]))
            if not outline:
                continue
            outline = _cut_by_caps(plane, cut, outline)
            for polygon, box in _pieces(balls, ball, plane, outline):
                minus, plus = (ball, *box, first), (ball, *box, second)
                yield from plane.facet(polygon, minus, plus, "grain_boundary")


def _cut_by_caps(plane: _Plane, cut: list[Cap], outline: list[Point] | None = None) -> list[Point]:
    outline = plane.whole() if outline is None else outline
    if not cut:
        return outline
    normals = np.array([cap.normal for cap in cut])
    offsets = np.array([cap.offset for cap in cut])
    return clipped(outline, plane.half_planes(normals, offsets))


def _pieces(
    balls: Balls,
    ball: int,
    plane: _Plane,
    outline: list[Point],
    *,
    skipped: Wall | None = None,
) -> Iterator[tuple[list[Point], tuple[int, int]]]:
    """Yield the parts of a polygon in each box."""
    options: list[list[tuple[int, list[tuple[Array, float]]]]] = [[(0, [])], [(0, [])]]
    for wall in walls(balls, ball):
        if wall != skipped:
            up = np.eye(3)[wall.axis]
            low = [(up, wall.level)]
            options[wall.axis] = [(wall.below, low), (wall.below + 1, [(-up, -wall.level)])]
    for (x, by_x), (y, by_y) in product(*options):
        bounds = by_x + by_y
        polygon = outline
        if bounds:
            normals, offsets = (np.array(each) for each in zip(*bounds, strict=True))
            polygon = clipped(outline, plane.half_planes(normals, offsets))
        if polygon:
            yield polygon, (x, y)


def _grains(
    plane: _Plane, outline: list[Point], sites: Grains, origin: Array | None = None
) -> Iterator[tuple[list[Point], int]]:
    """Yield the parts of a polygon in each grain of a ball, by default that of the plane."""
    if len(sites.weights) == 1:
        yield outline, 0
        return
    for grain in range(len(sites.weights)):
        polygon = clipped(outline, plane.half_planes(*sites.bounds(grain), origin))
        if polygon:
            yield polygon, grain


def clipped(polygon: list[Point], bounds: HalfPlanes) -> list[Point]:
    """Return the part of a convex polygon within half-planes ``n x <= d``, which may be empty."""
    for a, b, d in bounds:
        values = [a * x + b * y - d for x, y in polygon]
        if max(values, default=0.0) <= 0:
            continue
        if min(values) >= 0:
            return []
        kept: list[Point] = []
        for k, (x, y) in enumerate(polygon):
            before, here = values[k - 1], values[k]
            if (before <= 0) != (here <= 0):
                share = before / (before - here)
                u, v = polygon[k - 1]
                kept.append((u + share * (x - u), v + share * (y - v)))
            if here <= 0:
                kept.append((x, y))
        polygon = kept
    return polygon


def within_circle(polygon: list[Point], radius: float) -> list[tuple[Point, Point, float]]:
    """Return edges and arcs of the part of a convex polygon inside a circle around the origin.

    Each is a start, an end and an angle, 0 for a straight edge; a whole circle is one arc.
    """
    straight = []
    for k, (x, y) in enumerate(polygon):
        u, v = polygon[k - 1]
        a, b = x - u, y - v
        square = a * a + b * b
        if square == 0:
            continue
        middle, rest = -(u * a + v * b) / square, u * u + v * v - radius * radius
        discriminant = middle * middle - rest / square
        if discriminant <= 0:
            continue
        root = discriminant**0.5
        low, high = max(middle - root, 0.0), min(middle + root, 1.0)
        if low < high:
            start, stop = (u + low * a, v + low * b), (u + high * a, v + high * b)
            straight.append((start, stop, low > 0, high < 1))
    if not straight:
        inside = all(
            polygon[k - 1][0] * y - polygon[k - 1][1] * x > 0 for k, (x, y) in enumerate(polygon)
        )
        return [((radius, 0.0), (radius, 0.0), 2 * np.pi)] if inside else []
    items: list[tuple[Point, Point, float]] = []
    for k, (start, stop, _, leaves) in enumerate(straight):
        items.append((start, stop, 0.0))
        following, _, enters, _ = straight[(k + 1) % len(straight)]
        if leaves and enters:
            turned = np.arctan2(following[1], following[0]) - np.arctan2(stop[1], stop[0])
            items.append((stop, following, float(turned % (2 * np.pi))))
    return items

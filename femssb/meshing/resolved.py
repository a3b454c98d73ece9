"""The mesh of a resolved cell: balls cut at radical planes, and the matrix around them.

All surfaces are triangulated first, without any CAD. Planar facets are convex and share the points
of their edges; each sphere is the hull of points on it and of the arcs in which planes cut it, so
that a particle lies in its own power cell and no two can ever cross. Then Gmsh fills the faces of
the box around the particles and the volumes between all surfaces. Free points of a sphere are moved
outwards until the flat triangles hold the volume of the ball; discs keep their area.
"""

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from femssb.arrays import Array, Indices
from femssb.errors import MeshError
from femssb.grains.tessellation import Tessellation, random_orientations, tessellate
from femssb.meshing.curves import SHARE, Network, Outline, fill, merged, outline, pieces_of_arcs
from femssb.meshing.cut_balls import (
    Balls,
    Cap,
    Cell,
    Facet,
    Grains,
    caps,
    cut_volumes,
    facets,
    narrowest,
    surroundings,
    walls,
)
from femssb.meshing.filling import GROWTH, Surface, graded, tetrahedra
from femssb.meshing.formats import TRIANGLE, gmsh_session
from femssb.meshing.parts import FACETS, FIRST_GRAIN, OPPOSITE, REGIONS, Parts, facets_of
from femssb.meshing.resolved_cell import ResolvedCell, balls_of
from femssb.meshing.spheres import Curves, _missing, mesh_sphere
from femssb.units import um

FINER = 0.96  # of the size, from one attempt to the next
TURNS = 30  # of the grains of a particle that are tried
ROOM = 2.0  # least distance of edges that do not meet, in units of the smallest feature
FILLINGS = 6  # times that points may be added to a sphere
HALVINGS = 6  # times that arcs may be cut finer to be followed by their spheres
MATRIX, SEPARATOR_LAYER = REGIONS["ecbd"], REGIONS["electrolyte"]
FIRST_CELL = 1000  # number of the first cell of a particle as a volume
FIRST_PORE = 10  # number of the first closed pore of the matrix as a volume

logger = logging.getLogger(__name__)


class _Sheet(NamedTuple):
    """Triangles with a volume on one side or both; their normals point from the first."""

    points: Array  # (k, 3)
    triangles: Indices  # (m, 3)
    volumes: tuple[int, ...]
    name: str | None


class _Pores(NamedTuple):
    """Pores that particles close."""

    owners: tuple[int, ...]  # cell that fills each
    volume: float  # of all


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sphere:
    """The triangulated sphere of a ball, positions from its centre."""

    fixed: Array  # (k, 3) points of arcs
    free: Array  # (f, 3) unit vectors
    triangles: Indices  # (m, 3) of fixed and free points; those in caps are left out
    boxes: Indices  # (m, 2) box of each triangle
    grains: Indices  # (m,)


def resolved(cell: ResolvedCell, size: float, far: float, attempt: int) -> Parts:
    """Mesh a resolved cell on this rank; sizes in um. Later attempts are a little finer."""
    size *= FINER**attempt
    balls = balls_of(cell)
    planes = caps(balls)
    exact = cut_volumes(balls, planes)
    wanted = exact * (1.0 if cell.volume is None else cell.volume / um**3 / exact.sum())
    tessellations = [
        tessellate(particle, attempt=attempt) if particle.number_of_grains > 1 else None
        for particle in cell.particles
    ]
    grains = _turned(balls, planes, cell, tessellations, attempt)
    planar = facets(balls, planes, grains)
    outlines, arcs = _outlines(balls, planar, size)
    filled = [fill(facet, each, size) for facet, each in zip(planar, outlines, strict=True)]
    spheres = [
        _sphere(balls, ball, planes[ball], grains[ball], arcs[ball], size)
        for ball in range(len(balls.radii))
    ]
    first = np.cumsum([0] + [len(each.weights) for each in grains])
    sheets = _spheres(balls, planar, filled, spheres, wanted, first, size)
    sheets += _facets(balls, planar, filled, first)
    points, surfaces, pores = _close(balls, sheets, first, cell.separator / um, size, far)
    with gmsh_session() as gmsh:
        set_size = partial(_set_size, gmsh, balls.height, size, far)
        points, cells, tags = tetrahedra(gmsh, points, surfaces, set_size)
    for number, owner in enumerate(pores.owners):
        tags[tags == FIRST_PORE + number] = owner
    parts = _parts(cell, points, cells, tags, surfaces, tessellations)
    if not pores.owners:
        return parts
    return replace(
        parts,
        warnings=(
            f"particles close {len(pores.owners)} pores of {pores.volume:.3g} um3 in all, which no "
            "ions reach: one of the particles around fills each",
        ),
    )


def _turned(
    balls: Balls,
    planes: list[list[Cap]],
    cell: ResolvedCell,
    tessellations: list[Tessellation | None],
    attempt: int,
) -> list[Grains]:
    """Turn the grains of each particle until no two of their edges come close.

    Grains that were given stay as they are.
    """
    found = [Grains(np.zeros((1, 3)), np.zeros(1))] * len(tessellations)
    for ball, (particle, made) in enumerate(zip(cell.particles, tessellations, strict=True)):
        if made is None:
            continue
        turns = [Rotation.identity()]
        if isinstance(particle.grains, int):
            turns += list(Rotation.random(TURNS, random_state=attempt))
        best, apart = found[ball], -1.0
        for turn in turns:
            found[ball] = Grains(turn.apply(made.points / um), made.weights / um**2)
            if (closest := narrowest(balls, planes, found, ball)) > apart:
                best, apart = found[ball], closest
            if apart > ROOM * cell.smallest / um:
                break
        found[ball] = best
    return found


class _Arcs(NamedTuple):
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


def _outlines(balls: Balls, planar: list[Facet], size: float) -> tuple[list[Outline], list[_Arcs]]:
    """Cut all edges into pieces, arcs finer until the spheres can follow them.

    Raises:
        MeshError: If arcs lie too close together.
    """
    network = Network(balls, planar, size)
    pieces = [pieces_of_arcs(facet, size) for facet in planar]
    outlines = [outline(facet, network, count) for facet, count in zip(planar, pieces, strict=True)]
    changed = set(range(len(balls.radii)))
    arcs: list[_Arcs] = [_Arcs(np.empty((0, 3)), np.empty((0, 3)), np.empty((0, 2), int))] * len(
        balls.radii
    )
    of_ball: list[list[tuple[int, Array]]] = [[] for _ in balls.radii]
    for index, facet in enumerate(planar):
        for ball, origin in _centres(balls, facet):
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
        changed = {ball for index in refined for ball, _ in _centres(balls, planar[index])}
    raise MeshError("arcs on a particle lie too close together to be meshed")


def _centres(balls: Balls, facet: Facet) -> list[tuple[int, Array]]:
    """Return the balls whose spheres a facet ends at, and their centres at its place."""
    ball, x, y, _ = facet.minus
    found = [(ball, balls.centres[ball])]
    if facet.name == "contact" and facet.plus is not None:
        other, u, v, _ = facet.plus
        shift = np.append(np.array([x - u, y - v]) * balls.lengths, 0.0)
        found.append((other, balls.centres[other] + shift))
    return found


def _arcs(members: list[tuple[int, Array]], outlines: list[Outline]) -> _Arcs:
    starts, stops, source = [np.empty((0, 3))], [np.empty((0, 3))], [np.empty((0, 2), int)]
    for index, origin in members:
        here = outlines[index]
        points = here.points - origin
        starts.append(points[here.arc])
        stops.append(np.roll(points, -1, axis=0)[here.arc])
        edges = here.item[here.arc]
        source.append(np.stack([np.full(len(edges), index), edges], axis=1))
    return _Arcs(np.vstack(starts), np.vstack(stops), np.vstack(source))


def _sphere(
    balls: Balls, ball: int, cut: list[Cap], grains: Grains, arcs: _Arcs, size: float
) -> _Sphere:
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
            return _Sphere(fixed=fixed, free=free, triangles=triangles, boxes=boxes, grains=owner)
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


def _spheres(
    balls: Balls,
    planar: list[Facet],
    filled: list[tuple[Array, Indices]],
    spheres: list[_Sphere],
    wanted: Array,
    first: Indices,
    size: float,
) -> list[_Sheet]:
    """Move the free points of each sphere until its particle has the volume wanted."""
    flat = np.zeros(len(spheres))  # thrice the volume of the cones over the planar facets
    for facet, (points, triangles) in zip(planar, filled, strict=True):
        if facet.name not in ("contact", "particle_collector", "particle_separator"):
            continue
        for side, (ball, origin) in enumerate(_centres(balls, facet)):
            cones = _six_volumes(points - origin, triangles).sum() / 2
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
            six = _six_volumes(points, sphere.triangles)
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
            volume = _volume_number((ball, x, y, grain), first)
            sheets.append(
                _Sheet(points + shift, sphere.triangles[chosen], (volume, MATRIX), "interface")
            )
    return sheets


def _six_volumes(points: Array, triangles: Indices) -> Array:
    """Return six times the volume of the cone over each triangle from the origin, (m,)."""
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    return np.asarray((a * np.cross(b, c)).sum(axis=1))


def _areas(points: Array, triangles: Indices) -> Array:
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    return np.asarray(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1))


def _volume_number(cell: Cell, first: Indices) -> int:
    """Return the number of a cell as a volume: pieces of one grain follow each other."""
    ball, x, y, grain = cell
    return FIRST_CELL + 9 * (int(first[ball]) + grain) + 3 * (x + 1) + y + 1


def _facets(
    balls: Balls, planar: list[Facet], filled: list[tuple[Array, Indices]], first: Indices
) -> list[_Sheet]:
    """Return the planar facets at their places in the box, those on its sides twice."""
    sheets = []
    for facet, (points, triangles) in zip(planar, filled, strict=True):
        lower = _volume_number(facet.minus, first)
        placed = points - np.append(np.array(facet.minus[1:3]) * balls.lengths, 0.0)
        if facet.plus is None:
            layer = (SEPARATOR_LAYER,) if facet.name == "particle_separator" else ()
            sheets.append(_Sheet(placed, triangles, (lower, *layer), facet.name))
            continue
        upper = _volume_number(facet.plus, first)
        if facet.name not in ("x", "y"):
            sheets.append(_Sheet(placed, triangles, (lower, upper), facet.name))
            continue
        axis = "xy".index(facet.name)
        low, high = f"{facet.name}_min", f"{facet.name}_max"
        placed[:, axis] = balls.lower[axis] + balls.lengths[axis]
        sheets.append(_Sheet(placed, triangles, (lower,), high))
        across = placed.copy()
        across[:, axis] = balls.lower[axis]
        sheets.append(_Sheet(across, triangles[:, ::-1], (upper,), low))
    return sheets


def _close(
    balls: Balls,
    sheets: list[_Sheet],
    first: Indices,
    separator: float,
    size: float,
    far: float,
) -> tuple[Array, list[Surface], _Pores]:
    """Merge the points of all sheets, and add the faces of the box around the particles."""
    near = 1e-6 * float(balls.radii.min())
    box = _Box(balls, separator, size, far, near)
    sheets = sheets + box.faces(sheets)
    counts = [len(sheet.points) for sheet in sheets]
    used = [np.unique(sheet.triangles) for sheet in sheets]
    starts = np.cumsum([0, *map(len, used)])[:-1]
    points, number = merged(
        np.vstack([sheet.points[rows] for sheet, rows in zip(sheets, used, strict=True)]), near
    )
    for axis in (0, 1):  # exactly on the sides, and alike on both
        for level in (box.low[axis], box.high[axis]):
            points[np.abs(points[:, axis] - level) < near, axis] = level
    for level in box.heights:
        points[np.abs(points[:, 2] - level) < near, 2] = level
    surfaces = []
    for sheet, rows, start, count in zip(sheets, used, starts.tolist(), counts, strict=True):
        table = np.full(count, -1)
        table[rows] = number[start : start + len(rows)]
        surfaces.append(Surface(table[sheet.triangles], sheet.volumes, sheet.name))
    return points, *_pores(points, surfaces, first)


class _Box:
    """The faces of the box where no particle lies, filled by Gmsh."""

    def __init__(
        self, balls: Balls, separator: float, size: float, far: float, near: float
    ) -> None:
        self.heights = np.array([0.0, balls.height, balls.height + separator])
        self.low = np.append(balls.lower, 0.0)
        self.high = np.append(balls.lower + balls.lengths, self.heights[2])
        self.size, self.far, self.near = size, far, near

    def faces(self, sheets: list[_Sheet]) -> list[_Sheet]:
        """Return all faces of the box and between its layers, around the particles."""
        names = {(0, 0): "x_min", (1, 0): "y_min"}
        names |= {(2, 0): "particle_collector", (2, 1): "particle_separator"}
        rims = {
            key: _rims([sheet for sheet in sheets if sheet.name == name], self.near)
            for key, name in names.items()
        }
        edges = np.concatenate(list(rims.values()))
        places = [(axis, layer) for axis in (0, 1) for layer in (0, 1)]
        places += [(2, level) for level in (0, 1, 2)]
        outlines = []
        for axis, level in places:
            outlines.append(self._outline(axis, level, edges, rims.get((axis, level))))
        with gmsh_session() as gmsh:
            set_size = partial(_set_size, gmsh, float(self.heights[1]), self.size, self.far)
            axes = [axis for axis, _ in places]
            filled = _fill_faces(gmsh, axes, outlines, set_size, self.near)
        layers, found = (MATRIX, SEPARATOR_LAYER), []
        for (axis, level), (points, triangles) in zip(places, filled, strict=True):
            inward = triangles[:, ::-1]
            if axis < 2:
                name = f"{'xy'[axis]}_min"
                across = points.copy()
                across[:, axis] = self.high[axis]
                found.append(_Sheet(points, inward, (layers[level],), name))
                found.append(_Sheet(across, triangles, (layers[level],), OPPOSITE[name]))
            elif level == 1:
                found.append(_Sheet(points, triangles, layers, None))
            else:
                name, volume = ("collector", MATRIX) if level == 0 else ("anode", SEPARATOR_LAYER)
                found.append(_Sheet(points, triangles if level else inward, (volume,), name))
        return found

    def _outline(self, axis: int, level: int, edges: Array, rims: Array | None) -> Array:
        """Return the directed edges, (k, 2, 3), around what no particle covers of a face.

        They run counter-clockwise around the axis across the face, and clockwise around holes.
        """
        u, v = [(1, 2), (2, 0), (0, 1)][axis]
        low, high = self.low.copy(), self.high.copy()
        if axis == 2:
            low[2] = high[2] = self.heights[level]
        else:
            low[2], high[2] = self.heights[level : level + 2]
            high[axis] = low[axis]
        found = []
        inner = np.empty((0, 2, 3)) if rims is None else rims
        for along, fixed, value, forward in (
            (u, v, low[v], True),
            (v, u, high[u], True),
            (u, v, high[v], False),
            (v, u, low[u], False),
        ):
            line = self._rim(
                along, fixed, float(value), low, high, edges, all_of_it=axis < 2 and level == 1
            )
            found.append(line if forward else line[:, ::-1])
            inner = inner[(np.abs(inner[:, :, fixed] - value) > self.near).any(axis=1)]
        # a particle has its rim on the left, what is around it has it on the right
        return np.concatenate([*found, inner if axis < 2 or level == 0 else inner[:, ::-1]])

    def _rim(
        self,
        along: int,
        fixed: int,
        value: float,
        low: Array,
        high: Array,
        edges: Array,
        *,
        all_of_it: bool,
    ) -> Array:
        """Return the pieces of a side of a face, upwards, (k, 2, 3), or those no particle covers.

        Copies of it on other sides of the box are cut alike: it is looked at where x and y are low.
        """
        place = low.copy()
        place[fixed] = value
        canonical = np.where(np.arange(3) < 2, self.low, place)
        across = [axis for axis in range(3) if axis != along]
        there = (np.abs(edges[:, :, across] - canonical[across]) < self.near).all(axis=(1, 2))
        covered = np.sort(edges[there][:, :, along], axis=1)
        reached, pieces = float(low[along]), []
        ends = [*sorted(covered.tolist()), [float(high[along])] * 2]
        for start, stop in ends:
            if start > reached + self.near:
                a, b = place.copy(), place.copy()
                a[along], b[along] = reached, start
                points = np.vstack([a, graded(a, b, self._spacing), b])
                pieces.append(np.stack([points[:-1], points[1:]], axis=1))
            if all_of_it and stop > max(start, reached) + self.near:
                piece = np.stack([place, place])
                piece[:, along] = start, stop
                pieces.append(piece[None])
            reached = max(reached, stop)
        return np.concatenate([np.empty((0, 2, 3)), *pieces])

    def _spacing(self, x: Array) -> Array:
        beyond = np.maximum(x[:, 2] - self.heights[1], 0.0)
        return np.asarray(np.minimum(self.far, self.size + GROWTH * beyond))


def _rims(sheets: list[_Sheet], near: float) -> Array:
    """Return the directed edges that lie on one triangle only, (k, 2, 3)."""
    if not sheets:
        return np.empty((0, 2, 3))
    starts = np.cumsum([0] + [len(sheet.points) for sheet in sheets])
    triangles = np.vstack([s.triangles + k for s, k in zip(sheets, starts, strict=False)])
    points, number = merged(np.vstack([sheet.points for sheet in sheets]), near)
    ends = number[triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)].astype(np.int64)
    keys = ends @ [len(points), 1]
    alone = ~np.isin(keys, ends[:, ::-1] @ [len(points), 1])
    return np.asarray(points[ends[alone]])


def _set_size(gmsh: Any, height: float, size: float, far: float) -> None:
    """Set the size as a field: fine in the cathode, growing away from it."""
    field = gmsh.model.mesh.field
    box = field.add("Box")
    values = {"VIn": size, "VOut": far, "ZMin": -1e3, "ZMax": height}
    values |= {"XMin": -1e6, "XMax": 1e6, "YMin": -1e6, "YMax": 1e6}
    values |= {"Thickness": max((far - size) / GROWTH, 1e-6 * size)}
    for name, value in values.items():
        field.setNumber(box, name, value)
    field.setAsBackgroundMesh(box)


def _fill_faces(
    gmsh: Any, axes: list[int], outlines: list[Array], set_size: Any, near: float
) -> list[tuple[Array, Indices]]:
    """Fill what outlines enclose, across an axis, with triangles counter-clockwise around it."""
    geo, model = gmsh.model.geo, gmsh.model
    counts = [len(edges) for edges in outlines]
    points, number = merged(np.concatenate(outlines).reshape(-1, 3), near)
    for row, point in enumerate(points.tolist(), start=1):
        geo.addPoint(*point, 0, row)
    lines: dict[tuple[int, int], int] = {}
    made: list[list[int]] = []
    for axis, ends in zip(
        axes, np.split(number.reshape(-1, 2), np.cumsum(counts)[:-1]), strict=True
    ):
        made.append([])
        u, v = [(1, 2), (2, 0), (0, 1)][axis]
        for group in _nested(points[:, [u, v]], _loops(ends)):
            curves = []
            for loop in group:
                chain = []
                for a, b in zip(loop.tolist(), np.roll(loop, -1).tolist(), strict=True):
                    if (a, b) not in lines and (b, a) not in lines:
                        lines[a, b] = geo.addLine(a + 1, b + 1)
                    chain.append(lines[a, b] if (a, b) in lines else -lines[b, a])
                curves.append(geo.addCurveLoop(chain))
            made[-1].append(geo.addPlaneSurface(curves))
    geo.synchronize()
    for line in lines.values():
        model.mesh.setTransfiniteCurve(line, 2)
    set_size()
    model.mesh.generate(2)
    tags, coordinates, _ = model.mesh.getNodes()
    table = np.full(int(tags.max()) + 1, -1)
    table[tags.astype(np.int64)] = np.arange(len(tags))
    coordinates = coordinates.reshape(-1, 3)
    filled = []
    for axis, surfaces in zip(axes, made, strict=True):
        blocks = [np.empty((0, 3), dtype=np.int64)]
        for surface in surfaces:
            _, nodes = model.mesh.getElementsByType(TRIANGLE, surface)
            blocks.append(table[nodes.astype(np.int64)].reshape(-1, 3))
        triangles = np.vstack(blocks)
        a, b, c = np.moveaxis(coordinates[triangles], 1, 0)
        down = np.cross(b - a, c - a)[:, axis] < 0
        triangles[down] = triangles[down][:, ::-1]
        filled.append((coordinates, triangles))
    return filled


def _loops(ends: Indices) -> list[Indices]:
    """Chain directed edges, (k, 2), to closed loops of their ends."""
    following: dict[int, list[int]] = {}
    for a, b in ends.tolist():
        following.setdefault(a, []).append(b)
    loops = []
    while following:
        start = next(iter(following))
        loop, here = [start], following[start].pop()
        while here != start:
            loop.append(here)
            if here not in following or not following[here]:
                raise MeshError("the outlines of particles on a face of the box are not closed")
            here = following[here].pop()
        following = {a: rest for a, rest in following.items() if rest}
        loops.append(np.array(loop))
    return loops


def _nested(flat: Array, loops: list[Indices]) -> list[list[Indices]]:
    """Return each outline with the holes in it; outlines are counter-clockwise, holes clockwise."""

    def area(loop: Indices) -> float:
        x, y = flat[loop].T
        return float(0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum())

    def holds(loop: Indices, point: Array) -> bool:
        a = flat[loop] - point
        b = np.roll(a, -1, axis=0)
        cuts = (a[:, 1] > 0) != (b[:, 1] > 0)
        a, b = a[cuts], b[cuts]
        return bool(((a[:, 0] - a[:, 1] * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])) > 0).sum() % 2)

    outer = sorted((loop for loop in loops if area(loop) > 0), key=area)
    groups = [[loop] for loop in outer]
    for hole in (loop for loop in loops if area(loop) <= 0):
        owner = next((g for g in groups if holds(g[0], flat[hole[0]])), None)
        if owner is None:
            raise MeshError("a particle lies outside the face of the box that it cuts")
        owner.append(hole)
    return groups


def _pores(points: Array, surfaces: list[Surface], first: Indices) -> tuple[list[Surface], _Pores]:
    """Make every pore that particles close a volume of its own, which one of them fills."""
    rows = [k for k, surface in enumerate(surfaces) if MATRIX in surface.volumes]
    counts = [len(surfaces[k].triangles) for k in rows]
    triangles = np.vstack(
        [surfaces[k].triangles[:, :: 1 if surfaces[k].volumes[0] == MATRIX else -1] for k in rows]
    )
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1) @ [len(points), 1]
    order = np.argsort(edges, kind="stable")
    same = edges[order[1:]] == edges[order[:-1]]
    links = np.stack([order[1:][same], order[:-1][same]]) // 3
    graph = coo_array((np.ones(links.shape[1], bool), tuple(links)), shape=2 * (len(triangles),))
    _, label = connected_components(graph, directed=False)
    volumes = np.bincount(label, _six_volumes(points - points.mean(axis=0), triangles)) / 6
    closed = np.flatnonzero(volumes > 0)
    closed = closed[closed != np.argmax(volumes)]
    if not len(closed):
        return surfaces, _Pores((), 0.0)
    whole = [surface for surface in surfaces if MATRIX not in surface.volumes]
    owners = []
    for pore in closed.tolist():
        around = [
            v
            for k, here in zip(rows, np.split(label, np.cumsum(counts)[:-1]), strict=True)
            for v in surfaces[k].volumes
            if v >= FIRST_CELL and (here == pore).any()
        ]
        owners.append(min(around))  # the same on both sides of the box
    for k, here in zip(rows, np.split(label, np.cumsum(counts)[:-1]), strict=True):
        surface = surfaces[k]
        volume = np.full(len(here), MATRIX)
        for number, pore in enumerate(closed.tolist()):
            volume[here == pore] = FIRST_PORE + number
        for one in np.unique(volume).tolist():
            name = surface.name
            if one >= FIRST_PORE:
                other = next((v for v in surface.volumes if v != MATRIX), 0)
                name = _filled_name(surface.name, owners[one - FIRST_PORE], other, first)
            volumes_here = tuple(one if v == MATRIX else v for v in surface.volumes)
            whole.append(Surface(surface.triangles[volume == one], volumes_here, name))
    return whole, _Pores(tuple(owners), float(volumes[closed].sum()))


def _filled_name(name: str | None, owner: int, other: int, first: Indices) -> str | None:
    """Return what a face of a pore is called once a particle has filled it."""
    if other < FIRST_CELL:
        return {"collector": "particle_collector", None: "particle_separator"}.get(name, name)
    one, two = ((v - FIRST_CELL) // 9 for v in (owner, other))
    if one == two:
        return None
    balls = np.searchsorted(first, [one, two], side="right")
    return "grain_boundary" if balls[0] == balls[1] else "contact"


def _parts(
    cell: ResolvedCell,
    points: Array,
    cells: Indices,
    tags: Indices,
    surfaces: list[Surface],
    tessellations: list[Tessellation | None],
) -> Parts:
    """Name the regions, grains and facets of a mesh."""
    owners = np.where(
        tags >= FIRST_CELL,
        FIRST_GRAIN + (tags - FIRST_CELL) // 9,
        np.where(tags == SEPARATOR_LAYER, SEPARATOR_LAYER, MATRIX),
    )
    named = [(s.triangles, FACETS[s.name]) for s in surfaces if s.name]
    facet_tags = np.concatenate([np.full(len(t), tag, dtype=np.int32) for t, tag in named])
    count = [1 if each is None else len(each.points) for each in tessellations]
    return Parts(
        points=points * um,
        cells=cells,
        cell_tags=np.asarray(owners, dtype=np.int32),
        triangles=np.sort(np.vstack([triangles for triangles, _ in named]), axis=1),
        facet_tags=facet_tags,
        regions=dict(REGIONS),
        facets=facets_of(facet_tags),
        grain_particle=np.repeat(np.arange(len(count), dtype=np.int32), count),
        orientations=np.vstack(
            [
                random_orientations(1, particle.seed) if each is None else each.orientations
                for particle, each in zip(cell.particles, tessellations, strict=True)
            ]
        ),
        tessellations=tuple(each.statistics for each in tessellations if each is not None),
    )

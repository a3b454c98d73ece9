"""The faces of the box around particles that cut them, filled by Gmsh."""

from functools import partial
from typing import Any

import numpy as np

from femssb.arrays import Array, Indices
from femssb.errors import MeshError
from femssb.meshing.curves import merged
from femssb.meshing.cut_balls import Balls
from femssb.meshing.filling import GROWTH, graded
from femssb.meshing.formats import TRIANGLE, gmsh_session
from femssb.meshing.parts import OPPOSITE
from femssb.meshing.sheets import MATRIX, SEPARATOR_LAYER, Sheet


class Box:
    """The faces of the box where no particle lies, filled by Gmsh."""

    def __init__(
        self, balls: Balls, separator: float, size: float, far: float, near: float
    ) -> None:
        self.heights = np.array([0.0, balls.height, balls.height + separator])
        self.low = np.append(balls.lower, 0.0)
        self.high = np.append(balls.lower + balls.lengths, self.heights[2])
        self.size, self.far, self.near = size, far, near

    def faces(self, sheets: list[Sheet]) -> list[Sheet]:
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
            grade = partial(set_size, gmsh, float(self.heights[1]), self.size, self.far)
            axes = [axis for axis, _ in places]
            filled = _fill_faces(gmsh, axes, outlines, grade, self.near)
        layers, found = (MATRIX, SEPARATOR_LAYER), []
        for (axis, level), (points, triangles) in zip(places, filled, strict=True):
            inward = triangles[:, ::-1]
            if axis < 2:
                name = f"{'xy'[axis]}_min"
                across = points.copy()
                across[:, axis] = self.high[axis]
                found.append(Sheet(points, inward, (layers[level],), name))
                found.append(Sheet(across, triangles, (layers[level],), OPPOSITE[name]))
            elif level == 1:
                found.append(Sheet(points, triangles, layers, None))
            else:
                name, volume = ("collector", MATRIX) if level == 0 else ("anode", SEPARATOR_LAYER)
                found.append(Sheet(points, triangles if level else inward, (volume,), name))
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


def _rims(sheets: list[Sheet], near: float) -> Array:
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


def set_size(gmsh: Any, height: float, size: float, far: float) -> None:
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
    gmsh: Any, axes: list[int], outlines: list[Array], grade: Any, near: float
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
    grade()
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

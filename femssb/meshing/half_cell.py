"""The mesh of a half-cell, made by Gmsh on rank 0 and shared out.

All surfaces are triangulated first: planar facets and the faces of the box by Gmsh, spheres as the
hull of their points, periodic sides as copies of each other. Then the volumes between them are
filled. A sphere of flat triangles lies inside the true one, so its points are put on a slightly
larger sphere, such that the particle has exactly the volume of the ball.

Source of the algorithms: C. Geuzaine, J.-F. Remacle, Gmsh, Int. J. Numer. Methods Eng. 79 (2009),
10.1002/nme.2579.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from scipy.spatial import cKDTree

from femssb.arrays import Array, Indices
from femssb.description import checked
from femssb.environment.ranks import on_first_rank
from femssb.errors import MeshError, check_number
from femssb.grains.power_diagram import inflated
from femssb.grains.tessellation import Tessellation, tessellate
from femssb.inputs.geometry import HalfCell
from femssb.meshing.data import MeshData, distribute
from femssb.meshing.filling import GROWTH, LEAST_GAMMA, Surface, graded, tetrahedra
from femssb.meshing.formats import TRIANGLE, gmsh_session
from femssb.meshing.parts import FACETS, FIRST_GRAIN, OPPOSITE, REGIONS, Parts, facets_of
from femssb.meshing.resolved import resolved
from femssb.meshing.resolved_cell import ResolvedCell, has_voids
from femssb.meshing.soundness import check
from femssb.meshing.spheres import Curves, cut_curves, mesh_sphere
from femssb.tetrahedra import gamma
from femssb.units import um

COARSENING = 3.0  # default size far from the particles, in units of the size at the interface
ATTEMPTS = 4  # tessellations tried until the mesh is good
MOST_ATTEMPTS = 8  # until it may be used
GOOD_GAMMA = 0.05  # smallest gamma of a good mesh
FINEST, COARSEST = 0.005, 1.0  # sizes allowed, in units of the smallest radius
LAYERS = ("collector", "layers", "anode")  # horizontal faces, from below

logger = logging.getLogger(__name__)


@checked
def mesh(
    cell: HalfCell | ResolvedCell,
    *,
    size: float,
    far_size: float | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Mesh a half-cell; the same cell and sizes always give the same mesh.

    If a tessellation gives poor tetrahedra, its sites are moved a little and it is tried again;
    the statistics in `MeshData.tessellations` count the attempts.

    Args:
        cell: The half-cell, or the cell of a packing.
        size: Length of the edges in the particles and at their surface [m]; of a resolved cell, in
            the whole cathode layer.
        far_size: Length far from the particles [m]; by default `COARSENING` times the size, as
            far as the cell has room for it.
        comm: Ranks over which the mesh is distributed.

    Raises:
        InputError: If a size is out of its bounds.
        MeshError: If the geometry cannot be meshed; on every rank.
    """
    radii = [particle.radius for particle in cell.particles]
    if isinstance(cell, ResolvedCell):
        radii += [sphere.radius for sphere in cell.electrolyte]
    smallest = min(radii)
    lower, upper = FINEST * smallest, COARSEST * smallest
    check_number("mesh", "size", size, lower=lower, upper=upper, unit="m")
    across = (cell.width, cell.depth) if isinstance(cell, ResolvedCell) else (cell.width,)
    widest = max(*across, cell.cathode, cell.separator, size)
    if far_size is None:
        far_size = min(COARSENING * size, widest)
    check_number("mesh", "far_size", far_size, lower=size, upper=widest, unit="m")
    data = distribute(on_first_rank(comm, lambda: _best(cell, size, far_size)), comm)
    return replace(data, origin={"cell": cell, "size": size, "far_size": far_size})


def _best(cell: HalfCell | ResolvedCell, size: float, far_size: float) -> Parts:
    """Try tessellations until the mesh is good, and return the best."""
    best, quality, failure = None, 0.0, "every attempt failed"
    holes = has_voids(cell)
    for attempt in range(MOST_ATTEMPTS):
        try:
            if isinstance(cell, ResolvedCell):
                parts = resolved(cell, size / um, far_size / um, attempt)
            else:
                parts = _half_cell(cell, size / um, far_size / um, attempt)
            found = check(parts, holes=holes) + _left_out(parts)
            parts = replace(parts, warnings=parts.warnings + found)
        except MeshError as error:
            logger.info("mesh attempt %d: %s", attempt + 1, error)
            failure = str(error)
            continue
        least = float(gamma(parts.points, parts.cells).min())
        logger.info("mesh attempt %d: smallest gamma %.3f", attempt + 1, least)
        if least > quality:
            best, quality = parts, least
        if quality >= (GOOD_GAMMA if attempt < ATTEMPTS - 1 else LEAST_GAMMA):
            break
    if best is None or quality < LEAST_GAMMA:
        if best is not None:
            failure = f"smallest gamma {quality:.2g} is below {LEAST_GAMMA}"
        raise MeshError(
            f"the cell cannot be meshed with size {size:g} m after {MOST_ATTEMPTS} attempts: "
            f"{failure}; try a smaller size, another seed or a smaller size_spread"
        )
    return best


def _left_out(parts: Parts) -> tuple[str, ...]:
    """Return a warning for each particle of which given grains own nothing."""
    return tuple(
        f"{len(found.left_out)} given grains own nothing of particle {particle}: "
        f"{', '.join(map(str, found.left_out[:10]))}{' ...' * (len(found.left_out) > 10)}"
        for particle, found in enumerate(parts.tessellations, start=1)
        if found.left_out
    )


class _Ball(NamedTuple):
    """The triangulated sphere of one particle and the curves on it; lengths in um."""

    tessellation: Tessellation
    centre: Array  # (3,)
    radius: float  # of the particle
    scale: float  # from the unit of the diagram to um
    curves: Curves
    extra: Array  # (k, 3) points of the sphere that are on no curve, unit of the diagram
    triangles: Indices  # (m, 3)
    owner: Indices  # (m,) grain of each triangle


class _Sheets:
    """Polygons to be filled with triangles, which share the points of their outlines."""

    def __init__(self) -> None:
        self.points: list[Array] = []
        self.total = 0
        self.polygons: list[Indices] = []

    def add_points(self, points: Array) -> Indices:
        """Add points and return their numbers."""
        self.points.append(points)
        self.total += len(points)
        return np.arange(self.total - len(points), self.total)

    def add_polygon(self, pieces: list[Indices]) -> int:
        """Add a closed outline, given in pieces, and return its number."""
        self.polygons.append(np.concatenate(pieces))
        return len(self.polygons) - 1


def _half_cell(cell: HalfCell, size: float, far: float, attempt: int) -> Parts:
    """Mesh a half-cell on this rank; sizes in um."""
    balls = [
        _triangulate(tessellate(particle, attempt=attempt), np.array(cell.centre(index)), size)
        for index, particle in enumerate(cell.particles)
    ]

    def spacing(x: Array) -> Array:
        found = np.full(len(x), far)
        for ball in balls:
            gap = np.linalg.norm(x - ball.centre, axis=1) - ball.radius - size
            found = np.minimum(found, size + GROWTH * np.maximum(gap, 0))
        return found

    sheets = _Sheets()
    numbers = [sheets.add_points(ball.centre + ball.scale * ball.curves.points) for ball in balls]
    planar = [
        [sheets.add_polygon([number[loop]]) for loop in ball.curves.loops]
        for ball, number in zip(balls, numbers, strict=True)
    ]
    heights = np.array([0, cell.cathode, cell.cathode + cell.separator]) / um
    width = cell.width / um
    box = _outline_box(sheets, width, heights, spacing)
    with gmsh_session() as gmsh:
        points, filled = _fill(gmsh, sheets, partial(_set_size, gmsh, balls, size, far))

    surfaces: list[Surface] = []
    first = FIRST_GRAIN
    for ball, number, sheet in zip(balls, numbers, planar, strict=True):
        for (i, j), polygon in zip(ball.tessellation.diagram.pairs.tolist(), sheet, strict=True):
            surfaces.append(Surface(filled[polygon], (first + i, first + j), "grain_boundary"))
        everywhere = np.concatenate([number, len(points) + np.arange(len(ball.extra))])
        points = np.vstack([points, ball.centre + ball.scale * ball.extra])
        for grain in np.unique(ball.owner).tolist():
            triangles = everywhere[ball.triangles[ball.owner == grain]]
            surfaces.append(Surface(triangles, (first + grain, REGIONS["ecbd"]), "interface"))
        first += len(ball.tessellation.points)
    points = _close_box(points, sheets.total, {key: filled[n] for key, n in box.items()}, surfaces)

    with gmsh_session() as gmsh:
        set_size = partial(_set_size, gmsh, balls, size, far)
        points, cells, tags = tetrahedra(gmsh, points, surfaces, set_size)
    tessellations = [ball.tessellation for ball in balls]
    named = [(surface.triangles, FACETS[surface.name]) for surface in surfaces if surface.name]
    facet_tags = np.concatenate([np.full(len(t), tag, dtype=np.int32) for t, tag in named])
    return Parts(
        points=points * um,
        cells=cells,
        cell_tags=tags,
        triangles=np.vstack([triangles for triangles, _ in named]),
        facet_tags=facet_tags,
        regions=dict(REGIONS),
        facets=facets_of(facet_tags),
        grain_particle=np.repeat(
            np.arange(len(balls), dtype=np.int32), [len(each.points) for each in tessellations]
        ),
        orientations=np.vstack([each.orientations for each in tessellations]),
        tessellations=tuple(each.statistics for each in tessellations),
    )


def _triangulate(tessellation: Tessellation, centre: Array, size: float) -> _Ball:
    """Triangulate the sphere of a particle such that it holds the volume of the ball."""
    radius = tessellation.radius / um
    grown, scale = 1.0, 1.0
    for _ in range(3):
        grown *= scale
        curves = cut_curves(inflated(tessellation.diagram, grown), size / radius)
        extra, triangles = mesh_sphere(curves, size / radius)
        a, b, c = np.moveaxis(np.vstack([curves.points, grown * extra])[triangles], 1, 0)
        scale = float(np.cbrt(8 * np.pi / (a * np.cross(b, c)).sum()))
    middle = a + b + c
    middle *= grown / np.linalg.norm(middle, axis=1, keepdims=True)
    sites = tessellation.points / tessellation.radius
    weights = tessellation.weights / tessellation.radius**2
    power = (sites**2).sum(axis=1) - weights - 2 * middle @ sites.T
    return _Ball(
        tessellation=tessellation,
        centre=centre / um,
        radius=radius,
        scale=radius * scale,  # the last turn left about 1e-8 of the volume
        curves=curves,
        extra=grown * extra,
        triangles=triangles,
        owner=np.argmin(power, axis=1),
    )


def _outline_box(
    sheets: _Sheets, width: float, heights: Array, spacing: Callable[[Array], Array]
) -> dict[tuple[str, int], int]:
    """Add the horizontal faces and, layer by layer, the sides x_min and y_min.

    Opposite edges are cut alike, by the smaller of their sizes.
    """
    half = width / 2
    corner = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    mirrors = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [-1, -1, 1]])

    def both(x: Array) -> Array:
        return np.asarray(np.min([spacing(x * mirror) for mirror in mirrors], axis=0))

    posts = [sheets.add_points(np.column_stack([corner, np.full(4, z)])) for z in heights]
    rims: list[list[Indices]] = []  # at each height, the edge from corner k to the next
    for post, z in zip(posts, heights, strict=True):
        rim = []
        for k in range(4):
            a, b = np.array([*corner[k], z]), np.array([*corner[(k + 1) % 4], z])
            inner = graded(a, b, both) if k < 2 else graded(b, a, both)[::-1]
            rim.append(np.concatenate([[post[k]], sheets.add_points(inner), [post[(k + 1) % 4]]]))
        rims.append(rim)
    columns: list[list[Indices]] = []  # in each layer, the edge above corner k
    for layer in range(2):
        low, high = (np.array([-half, -half, z]) for z in heights[layer : layer + 2])
        inner = graded(low, high, both)
        column = []
        for k in range(4):
            inner[:, :2] = corner[k]
            number = sheets.add_points(inner.copy())
            column.append(np.concatenate([[posts[layer][k]], number, [posts[layer + 1][k]]]))
        columns.append(column)
    found = {
        (name, level): sheets.add_polygon([edge[:-1] for edge in rims[level]])
        for level, name in enumerate(LAYERS)
    }
    for layer in range(2):
        for name, k in (("y_min", 0), ("x_min", 3)):  # the side over the edge from corner k
            upwards, downwards = columns[layer][(k + 1) % 4], columns[layer][k][::-1]
            outline = [rims[layer][k], upwards, rims[layer + 1][k][::-1], downwards]
            found[name, layer] = sheets.add_polygon([edge[:-1] for edge in outline])
    return found


def _close_box(
    points: Array, outlines: int, box: dict[tuple[str, int], Indices], surfaces: list[Surface]
) -> Array:
    """Copy the sides x_min and y_min to x_max and y_max, and add all faces of the box.

    The first `outlines` points hold the edges of the box. Returns all points.
    """
    layer_volume = (REGIONS["ecbd"], REGIONS["electrolyte"])
    edges = points[:outlines]
    for (name, level), triangles in box.items():
        if name in LAYERS:
            volumes = layer_volume[max(level - 1, 0) : level + 1]
            surfaces.append(Surface(triangles, volumes, None if name == "layers" else name))
            continue
        axis = "xy".index(name[0])
        used = np.unique(triangles)
        copied = points[used]
        copied[:, axis] = -copied[:, axis]
        points, number = _joined(points, edges, copied)
        table = np.zeros(len(points), dtype=np.int64)
        table[used] = number
        for side, named in ((triangles, name), (table[triangles], OPPOSITE[name])):
            surfaces.append(Surface(side, layer_volume[level : level + 1], named))
    return points


def _joined(points: Array, known: Array, more: Array) -> tuple[Array, Indices]:
    """Add points unless they are among the known ones, the first of all; return also numbers."""
    distance, number = cKDTree(known).query(more)
    new = distance > 1e-9 * np.abs(points).max()
    number[new] = len(points) + np.arange(new.sum())
    return np.vstack([points, more[new]]), number


def _set_size(gmsh: Any, balls: list[_Ball], size: float, far: float) -> None:
    """Set the size as a field: fine in and around the particles, growing away from them."""
    field = gmsh.model.mesh.field
    names = ("Radius", "Thickness", "VIn", "VOut", "XCenter", "YCenter", "ZCenter")
    tags = []
    for ball in balls:
        tags.append(field.add("Ball"))
        thickness = max((far - size) / GROWTH, 1e-6 * size)
        values = (ball.radius + size, thickness, size, far, *ball.centre.tolist())
        for name, value in zip(names, values, strict=True):
            field.setNumber(tags[-1], name, value)
    least = field.add("Min")
    field.setNumbers(least, "FieldsList", tags)
    field.setAsBackgroundMesh(least)


def _fill(gmsh: Any, sheets: _Sheets, set_size: Callable[[], None]) -> tuple[Array, list[Indices]]:
    """Fill every polygon with triangles; return all points, the given ones first."""
    given = np.vstack(sheets.points)
    geo = gmsh.model.geo
    for number, point in enumerate(given.tolist(), start=1):
        geo.addPoint(*point, 0, number)
    lines: dict[tuple[int, int], int] = {}
    for index, polygon in enumerate(sheets.polygons, start=1):
        loop = []
        for a, b in zip(polygon.tolist(), np.roll(polygon, -1).tolist(), strict=True):
            if (a, b) not in lines and (b, a) not in lines:
                lines[a, b] = geo.addLine(a + 1, b + 1)
            loop.append(lines[a, b] if (a, b) in lines else -lines[b, a])
        geo.addPlaneSurface([geo.addCurveLoop(loop)], index)
    geo.synchronize()
    for line in lines.values():
        gmsh.model.mesh.setTransfiniteCurve(line, 2)
    set_size()
    gmsh.model.mesh.generate(2)
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    points, numbers = _joined(given, given, coordinates.reshape(-1, 3))
    table = np.full(int(tags.max()) + 1, -1)
    table[tags.astype(np.int64)] = numbers
    filled = []
    for index in range(1, len(sheets.polygons) + 1):
        _, nodes = gmsh.model.mesh.getElementsByType(TRIANGLE, index)
        filled.append(table[nodes.astype(np.int64)].reshape(-1, 3))
    return points, filled

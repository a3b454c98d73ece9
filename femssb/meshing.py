"""From shapes to tetrahedra: meshes of half-cells, distributed over the ranks of a communicator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import femssb._platform  # isort: skip
from mpi4py import MPI

import basix.ufl
import dolfinx.mesh
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from femssb.errors import MeshError
from femssb.geometry import HalfCell
from femssb.power_diagram import Array, Integers, inflated
from femssb.surfaces import cut_curves, mesh_sphere
from femssb.tessellation import tessellate
from femssb.units import um

REGIONS = {"ecbd": 1, "electrolyte": 2}
FACETS = {
    "interface": 1,
    "grain_boundary": 2,
    "collector": 3,
    "anode": 4,
    "x_min": 5,
    "x_max": 6,
    "y_min": 7,
    "y_max": 8,
}
FIRST_GRAIN = 100  # cell tag of the first grain
COARSENING = 3.0  # default size far from the particles over the size at the interface
KW = {}
GROWTH = 0.4  # growth of the size per distance from the interface


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshData:
    """A tetrahedral mesh with its regions, facets and grains, distributed over the ranks."""

    mesh: dolfinx.mesh.Mesh  # coordinates [m]
    cell_tags: dolfinx.mesh.MeshTags  # region tag of every local cell, ghosts included
    facet_tags: dolfinx.mesh.MeshTags  # tag of every named local facet, ghosts included
    regions: dict[str, int]  # "ecbd", "electrolyte" -> cell tag; a region may be absent
    facets: dict[str, int]  # "interface", "grain_boundary", "collector", "x_min" ... -> facet tag
    grain_tags: NDArray[np.int32]  # (n_grains,) cell tag of each grain
    grain_particle: NDArray[np.int32]  # (n_grains,) particle each grain belongs to, from 0
    orientations: Array  # (n_grains, 3, 3) active rotations: columns are the crystal axes


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """A whole mesh as plain arrays, on one rank."""

    points: Array  # (k, 3) [m]
    cells: Integers  # (m, 4)
    cell_tags: NDArray[np.int32]  # (m,)
    triangles: Integers  # (f, 3)
    facet_tags: NDArray[np.int32]  # (f,)
    regions: dict[str, int]
    facets: dict[str, int]
    grain_tags: NDArray[np.int32]  # (n_grains,)
    grain_particle: NDArray[np.int32]  # (n_grains,)
    orientations: Array  # (n_grains, 3, 3)


def mesh(
    cell: HalfCell,
    *,
    size: float,
    far_size: float | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Mesh a half-cell.

    Args:
        cell: What to mesh.
        size: Length of the element edges in the particles and at their surface [m].
        far_size: Length far from the particles [m]; by default `COARSENING` times `size`.
        comm: Ranks over which the mesh is distributed.

    Raises:
        MeshError: If the geometry cannot be meshed; on every rank.
    """
    parts, failure = None, None
    if comm.rank == 0:
        try:
            parts = _half_cell(cell, size, far_size or COARSENING * size)
        except Exception as error:
            failure = error
    failure = comm.bcast(failure, root=0)
    if failure is not None:
        raise failure
    return _distribute(parts, comm)


def _distribute(parts: Parts | None, comm: MPI.Comm) -> MeshData:
    """Share a mesh that lies on rank 0 out to all ranks."""
    if parts is not None:
        points, cells = parts.points, parts.cells
        rest = (
            parts.cell_tags,
            np.sort(parts.triangles, axis=1),
            parts.facet_tags,
            parts.regions,
            parts.facets,
            parts.grain_tags,
            parts.grain_particle,
            parts.orientations,
        )
    else:
        points, cells = np.empty((0, 3)), np.empty((0, 4), dtype=np.int64)
        rest = None
    tags, triangles, names, regions, facets, grains, particle, orientations = comm.bcast(rest, 0)
    partitioner = dolfinx.mesh.create_cell_partitioner(dolfinx.mesh.GhostMode.shared_facet, 2)
    element = basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,))
    domain = dolfinx.mesh.create_mesh(comm, cells, element, points, partitioner)
    topology = domain.topology
    local = np.arange(len(topology.original_cell_index), dtype=np.int32)
    cell_tags = dolfinx.mesh.meshtags(domain, 3, local, tags[topology.original_cell_index])

    topology.create_entities(2)
    topology.create_connectivity(2, 0)
    topology.create_connectivity(0, 3)
    count = topology.index_map(2).size_local + topology.index_map(2).num_ghosts
    corners = topology.connectivity(2, 0).array.reshape(count, 3)
    vertices = topology.index_map(0).size_local + topology.index_map(0).num_ghosts
    topology.create_connectivity(3, 0)
    original = np.empty(vertices, dtype=np.int64)
    geometry = domain.geometry
    original[topology.connectivity(3, 0).array] = geometry.input_global_indices[
        geometry.dofmap.ravel()
    ]
    found = np.sort(original[corners], axis=1)
    keys = _keys(
        triangles, len_points := int(max(original.max(initial=0), triangles.max(initial=0))) + 1
    )
    order = np.argsort(keys)
    mine = _keys(found, len_points)
    position = np.minimum(np.searchsorted(keys[order], mine), max(len(keys) - 1, 0))
    named = np.flatnonzero(keys[order][position] == mine).astype(np.int32)
    facet_tags = dolfinx.mesh.meshtags(domain, 2, named, names[order][position[named]])
    return MeshData(
        mesh=domain,
        cell_tags=cell_tags,
        facet_tags=facet_tags,
        regions=regions,
        facets=facets,
        grain_tags=grains,
        grain_particle=particle,
        orientations=orientations,
    )


def _keys(triangles: Integers, count: int) -> Integers:
    """Give every sorted triangle a number of its own; exact up to two million points."""
    return np.asarray((triangles[:, 0] * count + triangles[:, 1]) * count + triangles[:, 2])


@contextmanager
def _gmsh() -> Iterator[object]:
    """Open a silent Gmsh model and leave Gmsh as it was found."""
    import gmsh

    options = {
        "General.Terminal": 0,
        "General.NumThreads": 1,
        "Mesh.RandomSeed": 1,
        "Mesh.Algorithm": 6,
        "Mesh.Algorithm3D": 1,
        "Mesh.MeshSizeExtendFromBoundary": 1,
        "Mesh.MeshSizeFromPoints": 0,
        "Mesh.MeshSizeFromCurvature": 0,
        "Mesh.Optimize": 1,
        "Mesh.OptimizeNetgen": 0,
        "Mesh.ElementOrder": 1,
    }
    started = not gmsh.isInitialized()
    if started:
        gmsh.initialize(readConfigFiles=False, interruptible=False)
    current = gmsh.model.getCurrent()
    before = {name: gmsh.option.getNumber(name) for name in options}
    try:
        for name, value in options.items():
            gmsh.option.setNumber(name, value)
        gmsh.model.add("femssb")
        yield gmsh
    finally:
        gmsh.model.setCurrent("femssb")
        gmsh.model.remove()
        if started:
            gmsh.finalize()
        else:
            for name, value in before.items():
                gmsh.option.setNumber(name, value)
            gmsh.model.setCurrent(current)


class _Sheets:
    """Polygons to be filled with triangles, all in one model, sharing their boundary points."""

    def __init__(self) -> None:
        self.points: list[Array] = []
        self.total = 0
        self.polygons: list[Integers] = []

    def add_points(self, points: Array) -> Integers:
        number = np.arange(self.total, self.total + len(points))
        self.points.append(points)
        self.total += len(points)
        return number

    def add_polygon(self, polygon: Integers) -> int:
        self.polygons.append(polygon)
        return len(self.polygons) - 1


def _half_cell(cell: HalfCell, size: float, far_size: float) -> Parts:
    """Mesh a half-cell on this rank: all surfaces first, then the volumes between them."""
    size, far = size / um, far_size / um
    sheets = _Sheets()
    tessellations = [tessellate(particle, **KW) for particle in cell.particles]
    balls = []
    facet_sheets = []
    for particle, tessellation in zip(cell.particles, tessellations, strict=True):
        centre = np.array(particle.centre or (0.0, 0.0, cell.cathode / 2)) / um
        radius = particle.radius / um
        # flat triangles cut the ball: move the sphere out until they hold its volume
        grown = 1.0
        for _ in range(3):
            diagram = inflated(tessellation.diagram, grown)
            curves = cut_curves(diagram, size / radius)
            extra, triangles = mesh_sphere(curves, size / radius)
            extra = extra * grown
            a, b, c = np.moveaxis(np.vstack([curves.points, extra])[triangles], 1, 0)
            scale = np.cbrt(8 * np.pi / (a * np.cross(b, c)).sum())
            grown *= scale
        grown = radius * scale
        numbers = sheets.add_points(centre + grown * curves.points)
        facet_sheets.append([sheets.add_polygon(numbers[loop]) for loop in curves.loops])
        balls.append((centre, radius, grown, numbers, extra, triangles))

    def spacing(x: Array) -> Array:
        found = np.full(len(x), far)
        for centre, radius, *_ in balls:
            gap = np.linalg.norm(x - centre, axis=1) - radius - size
            found = np.minimum(found, size + GROWTH * np.maximum(gap, 0))
        return found

    width, heights = (
        cell.width / um,
        np.array([0, cell.cathode, cell.cathode + cell.separator]) / um,
    )
    box = _box(sheets, width, heights, spacing)
    with _gmsh() as gmsh:
        points, flat = _fill(gmsh, sheets, balls, size, far)
    # sphere points that no curve holds
    blocks: list[Array] = [points]
    total = len(points)
    surfaces: list[tuple[Integers, tuple[int, ...]]] = []  # triangles, volumes on both sides
    first = FIRST_GRAIN
    named: list[tuple[Integers, int]] = []
    grain_particle: list[int] = []
    for index, (tessellation, ball) in enumerate(zip(tessellations, balls, strict=True)):
        centre, radius, grown, numbers, extra, triangles = ball
        diagram = tessellation.diagram
        for (i, j), sheet in zip(diagram.pairs.tolist(), facet_sheets[index], strict=True):
            surfaces.append((flat[sheet], (first + i, first + j)))
            named.append((flat[sheet], FACETS["grain_boundary"]))
        translate = np.concatenate([numbers, total + np.arange(len(extra))])
        blocks.append(centre + grown * extra)
        total += len(extra)
        unit = np.vstack([(points[numbers] - centre) / grown, extra])
        middle = unit[triangles].mean(axis=1)
        middle *= grown / radius / np.linalg.norm(middle, axis=1, keepdims=True)
        sites = tessellation.points / tessellation.radius
        weights = tessellation.weights / tessellation.radius**2
        power = (sites**2).sum(axis=1) - weights - 2 * middle @ sites.T
        owner = np.argmin(power, axis=1)
        for grain in np.unique(owner).tolist():
            patch = translate[triangles[owner == grain]]
            surfaces.append((patch, (first + grain, REGIONS["ecbd"])))
            named.append((patch, FACETS["interface"]))
        first += len(sites)
        grain_particle += [index] * len(sites)
    everything = np.vstack(blocks)

    lower, upper = [], []
    shift = {"x_min": np.array([width, 0, 0]), "y_min": np.array([0, width, 0])}
    tree = None
    for (name, level), sheet in box.items():
        triangles = flat[sheet]
        if name in ("plane", "collector", "anode"):
            if name == "plane":
                surfaces.append((triangles, (REGIONS["ecbd"], REGIONS["electrolyte"])))
            else:
                (lower if name == "collector" else upper).append(triangles)
                named.append((triangles, FACETS[name]))
            continue
        used = np.unique(triangles)
        moved = everything[used] + shift[name]
        if tree is None:
            outline = np.arange(sheets.total)
            tree = cKDTree(everything[outline])
        gap, nearest = tree.query(moved)
        number = np.where(gap < 1e-9 * width, nearest, -1)
        new = number < 0
        number[new] = len(everything) + np.arange(new.sum())
        everything = np.vstack([everything, moved[new]])
        table = np.full(len(everything), -1)
        table[used] = number
        opposite = table[triangles][:, ::-1]
        named.append((triangles, FACETS[name]))
        named.append((opposite, FACETS[name.replace("min", "max")]))
        (lower if level == 0 else upper).extend([triangles, opposite])
    surfaces.append((np.vstack(lower), (REGIONS["ecbd"],)))
    surfaces.append((np.vstack(upper), (REGIONS["electrolyte"],)))

    with _gmsh() as gmsh:
        points, cells, tags = _tetrahedra(gmsh, everything, surfaces, balls, size, far)
    grains = np.arange(FIRST_GRAIN, first, dtype=np.int32)
    return Parts(
        points=points * um,
        cells=cells,
        cell_tags=tags,
        triangles=np.vstack([triangles for triangles, _ in named]),
        facet_tags=np.concatenate(
            [np.full(len(triangles), tag, dtype=np.int32) for triangles, tag in named]
        ),
        regions=dict(REGIONS),
        facets=dict(FACETS),
        grain_tags=grains,
        grain_particle=np.array(grain_particle, dtype=np.int32),
        orientations=np.vstack([tessellation.orientations for tessellation in tessellations]),
    )


def _graded(start: Array, end: Array, spacing: object) -> Array:
    """Cut a segment into pieces that follow the size, both ends included, (k, 3)."""
    t = np.linspace(0, 1, 401)
    line = start + t[:, None] * (end - start)
    density = np.linalg.norm(end - start) / spacing(line)  # type: ignore[operator]
    passed = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(t))])
    pieces = max(1, round(float(passed[-1])))
    at = np.interp(np.linspace(0, passed[-1], pieces + 1), passed, t)
    return np.asarray(start + at[:, None] * (end - start))


def _box(
    sheets: _Sheets, width: float, heights: Array, spacing: object
) -> dict[tuple[str, int], int]:
    """Add the collector, the plane between the layers, the anode, and two of the four sides."""
    half = width / 2

    def both(x: Array) -> Array:
        images = [x * [sx, sy, 1] for sx in (1, -1) for sy in (1, -1)]
        return np.min([spacing(image) for image in images], axis=0)  # type: ignore[operator]

    corner = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    posts = []  # at each level, the four corners
    for z in heights:
        posts.append(sheets.add_points(np.column_stack([corner, np.full(4, z)])))
    flat_edges: list[list[Integers]] = []
    for level, z in enumerate(heights):
        edges = []
        for k in range(4):
            a = np.array([*corner[k], z])
            b = np.array([*corner[(k + 1) % 4], z])
            # opposite edges are cut alike: always cut the one towards +x or +y
            low, high = (a, b) if k < 2 else (b, a)
            inner = _graded(low, high, both)[1:-1]
            inner = inner if k < 2 else inner[::-1]
            number = sheets.add_points(inner)
            edges.append(np.concatenate([[posts[level][k]], number, [posts[level][(k + 1) % 4]]]))
        flat_edges.append(edges)
    upright: list[list[Integers]] = []
    for level in range(2):
        inner = _graded(
            np.array([-half, -half, heights[level]]),
            np.array([-half, -half, heights[level + 1]]),
            both,
        )[1:-1]
        columns = []
        for k in range(4):
            moved = inner.copy()
            moved[:, :2] = corner[k]
            number = sheets.add_points(moved)
            columns.append(np.concatenate([[posts[level][k]], number, [posts[level + 1][k]]]))
        upright.append(columns)
    found = {}
    for level, name in enumerate(("collector", "plane", "anode")):
        found[name, level] = sheets.add_polygon(
            np.concatenate([edge[:-1] for edge in flat_edges[level]])
        )
    for level in range(2):
        # side y_min holds corners 0, 1; side x_min corners 3, 0
        for name, k in (("y_min", 0), ("x_min", 3)):
            a, b = k, (k + 1) % 4
            loop = [
                flat_edges[level][k][:-1],
                upright[level][b][:-1],
                flat_edges[level + 1][k][::-1][:-1],
                upright[level][a][::-1][:-1],
            ]
            found[name, level] = sheets.add_polygon(np.concatenate(loop))
    return found


def _size_field(gmsh: object, balls: list[tuple], size: float, far: float) -> None:  # type: ignore[type-arg]
    fields = []
    for centre, radius, *_ in balls:
        tag = gmsh.model.mesh.field.add("Ball")  # type: ignore[attr-defined]
        values = {
            "Radius": radius + size,
            "Thickness": max((far - size) / GROWTH, 1e-6),
            "VIn": size,
            "VOut": far,
            "XCenter": centre[0],
            "YCenter": centre[1],
            "ZCenter": centre[2],
        }
        for name, value in values.items():
            gmsh.model.mesh.field.setNumber(tag, name, value)  # type: ignore[attr-defined]
        fields.append(tag)
    least = gmsh.model.mesh.field.add("Min")  # type: ignore[attr-defined]
    gmsh.model.mesh.field.setNumbers(least, "FieldsList", fields)  # type: ignore[attr-defined]
    gmsh.model.mesh.field.setAsBackgroundMesh(least)  # type: ignore[attr-defined]


def _fill(gmsh, sheets: _Sheets, balls, size: float, far: float):  # type: ignore[no-untyped-def]
    """Fill every polygon with triangles; returns all points, the given ones first."""
    given = np.vstack(sheets.points)
    geo = gmsh.model.geo
    for number, point in enumerate(given.tolist()):
        geo.addPoint(*point, 0, number + 1)
    lines: dict[tuple[int, int], int] = {}
    for index, polygon in enumerate(sheets.polygons):
        loop = []
        for a, b in zip(polygon.tolist(), np.roll(polygon, -1).tolist(), strict=True):
            if (b, a) in lines:
                loop.append(-lines[b, a])
            else:
                if (a, b) not in lines:
                    lines[a, b] = geo.addLine(a + 1, b + 1)
                loop.append(lines[a, b])
        geo.addPlaneSurface([geo.addCurveLoop(loop)], index + 1)
    geo.synchronize()
    for line in lines.values():
        gmsh.model.mesh.setTransfiniteCurve(line, 2)
    _size_field(gmsh, balls, size, far)
    gmsh.model.mesh.generate(2)
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    coordinates = coordinates.reshape(-1, 3)
    gap, nearest = cKDTree(given).query(coordinates)
    number = np.where(gap < 1e-9, nearest, -1)
    new = number < 0
    number[new] = len(given) + np.arange(new.sum())
    table = np.full(int(tags.max()) + 1, -1)
    table[tags.astype(np.int64)] = number
    flat = []
    for index in range(len(sheets.polygons)):
        _, nodes = gmsh.model.mesh.getElementsByType(2, index + 1)
        flat.append(table[nodes.astype(np.int64)].reshape(-1, 3))
    return np.vstack([given, coordinates[new]]), flat


def _tetrahedra(gmsh, points: Array, surfaces, balls, size: float, far: float):  # type: ignore[no-untyped-def]
    """Fill the volumes between closed surfaces; surface points keep their numbers."""
    sides: dict[int, list[int]] = {}
    for index, (_, volumes) in enumerate(surfaces):
        gmsh.model.addDiscreteEntity(2, index + 1)
        for volume in volumes:
            sides.setdefault(volume, []).append(index + 1)
    gmsh.model.mesh.addNodes(2, 1, np.arange(1, len(points) + 1), points.ravel())
    for index, (triangles, _) in enumerate(surfaces):
        gmsh.model.mesh.addElementsByType(index + 1, 2, [], triangles.ravel() + 1)
    geo = gmsh.model.geo
    for volume, faces in sides.items():
        geo.addVolume([geo.addSurfaceLoop(faces)], volume)
    geo.synchronize()
    _size_field(gmsh, balls, size, far)
    gmsh.model.mesh.generate(3)
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    order = np.argsort(tags)
    coordinates = coordinates.reshape(-1, 3)[order]
    table = np.full(int(tags.max()) + 1, -1)
    table[tags[order].astype(np.int64)] = np.arange(len(tags))
    cells, owners = [], []
    for volume in sides:
        _, nodes = gmsh.model.mesh.getElementsByType(4, volume)
        if not len(nodes):
            raise MeshError(f"Gmsh made no element in volume {volume}")
        cells.append(table[nodes.astype(np.int64)].reshape(-1, 4))
        owners.append(np.full(len(cells[-1]), volume, dtype=np.int32))
    return coordinates, np.vstack(cells), np.concatenate(owners)

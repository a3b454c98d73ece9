"""A mesh with named regions and facets: as plain arrays on one rank, and distributed over ranks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import femssb.environment.platform

from mpi4py import MPI

import basix.ufl
import dolfinx.mesh
import numpy as np
from numpy.typing import ArrayLike, NDArray

from femssb.arrays import Array, Indices
from femssb.environment.ranks import collect, on_first_rank
from femssb.errors import MeshError
from femssb.tetrahedra import volumes

if TYPE_CHECKING:
    from femssb.grains.tessellation import Statistics

Tags = NDArray[np.int32]

REGIONS = {  # name -> cell tag; grains have tags from FIRST_GRAIN
    "ecbd": 1,  # electrolyte, carbon and binder around the particles
    "electrolyte": 2,  # separator, between the ecbd and the anode
}
FACETS = {  # name -> facet tag; a mesh may have more names, with tags from FIRST_EXTRA
    "interface": 1,  # between a grain and the ecbd; the normal points into the ecbd
    "grain_boundary": 2,  # between two grains
    "collector": 3,  # face of the box at the lowest z
    "anode": 4,  # face of the box at the highest z
    "x_min": 5,  # sides of the box, periodic where both of a pair are named
    "x_max": 6,
    "y_min": 7,
    "y_max": 8,
}
FIRST_GRAIN = 100  # cell tag of the first grain
FIRST_EXTRA = 100  # facet tag of the first name that is not in FACETS
OPPOSITE = {"x_min": "x_max", "y_min": "y_max"}
GRAIN_NAME = re.compile(r"(?:particle(?:_(?P<particle>\d+))?)?_?(?:grain_(?P<grain>\d+))?")
GRAIN_NAMES = "particle, particle_2, grain_7, particle_2_grain_7 (numbers from 1)"
FACES_OF_CELL = ((1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2))


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshData:
    """A tetrahedral mesh with its regions, facets and grains, distributed over the ranks.

    Attributes:
        mesh: Coordinates [m]; ghost mode shared_facet.
        cell_tags: Region or grain of every local cell, ghosts included.
        facet_tags: Tag of every named local facet, ghosts included.
        regions: Name of `REGIONS` -> cell tag; a region may be absent.
        facets: Name of `FACETS`, or of the user -> facet tag.
        grain_tags: Cell tag of each grain, shape (n_grains,).
        grain_particle: Particle that each grain belongs to, from 0, shape (n_grains,).
        orientations: Active rotations, columns are the crystal axes, shape (n_grains, 3, 3).
        tessellations: Of each particle; none for meshes from elsewhere.
        origin: The shapes or the file it was made from, with sizes.
    """

    mesh: dolfinx.mesh.Mesh
    cell_tags: dolfinx.mesh.MeshTags
    facet_tags: dolfinx.mesh.MeshTags
    regions: dict[str, int]
    facets: dict[str, int]
    grain_tags: Tags
    grain_particle: Tags
    orientations: Array
    tessellations: tuple[Statistics, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """A whole mesh as plain arrays, on one rank. Grain g has the cell tag `FIRST_GRAIN` + g."""

    points: Array  # (k, 3) [m]
    cells: Indices  # (m, 4)
    cell_tags: Tags  # (m,)
    triangles: Indices  # (f, 3) named facets, corners ascending
    facet_tags: Tags  # (f,)
    regions: dict[str, int]
    facets: dict[str, int]
    grain_particle: Tags  # (n_grains,)
    orientations: Array  # (n_grains, 3, 3)
    tessellations: tuple[Statistics, ...] = ()


def from_arrays(
    points: ArrayLike,
    cells: ArrayLike,
    regions: Sequence[str],
    *,
    facets: Mapping[str, ArrayLike] | None = None,
    orientations: ArrayLike | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Make a mesh from plain arrays; only those of rank 0 are used.

    Args:
        points: Coordinates [m], shape (k, 3).
        cells: Corners of the tetrahedra, shape (m, 4).
        regions: Name of the region of each tetrahedron, length m: ``ecbd``, ``electrolyte``, and
            for grains ``particle``, ``particle_2``, ``grain_7`` or ``particle_2_grain_7``.
        facets: Corners of the triangles of each named facet, shape (f, 3). By default the faces
            of the bounding box: ``collector`` and ``anode`` at the lowest and highest z, and
            ``x_min``, ``x_max``, ``y_min``, ``y_max``. ``interface`` and ``grain_boundary``
            follow from the cells in any case.
        orientations: Active rotations, columns are the crystal axes, shape (3, 3) for all grains
            or (n_grains, 3, 3) in the order of particle and grain numbers; by default the
            crystal axes are those of the box.
        comm: Ranks over which the mesh is distributed.

    Raises:
        MeshError: If names, shapes or periodic sides do not fit; on every rank.
    """

    def work() -> Parts:
        return assemble(points, cells, regions, facets, orientations, derive_sides=True)

    return distribute(on_first_rank(comm, work), comm)


def assemble(
    points: ArrayLike,
    cells: ArrayLike,
    regions: Sequence[str],
    facets: Mapping[str, ArrayLike] | None,
    orientations: ArrayLike | None,
    *,
    derive_sides: bool,
) -> Parts:
    """Check a mesh given by names, and number its regions, grains and facets."""
    points = np.array(points, dtype=np.float64)
    cells = np.array(cells, dtype=np.int64)
    if points.ndim != 2 or points.shape[1] != 3 or cells.ndim != 2 or cells.shape[1] != 4:
        raise MeshError(
            f"a mesh needs points of shape (k, 3) and tetrahedra of shape (m, 4), "
            f"got {points.shape} and {cells.shape}"
        )
    if not len(cells) or len(regions) != len(cells):
        raise MeshError(f"a mesh needs a region for each tetrahedron: {len(cells)}, {len(regions)}")
    if not np.isfinite(points).all() or cells.min() < 0 or cells.max() >= len(points):
        raise MeshError("a mesh has points that are not finite or corners that do not exist")
    given = {name: np.array(some, dtype=np.int64) for name, some in (facets or {}).items()}
    points, cells, given = _without_loose_points(points, cells, given)
    corners = points[cells]
    longest = np.abs(corners[:, 1:] - corners[:, :1]).max(axis=(1, 2))
    flat = volumes(points, cells) <= 1e-12 * longest**3
    if flat.any():
        raise MeshError(f"{int(flat.sum())} of {len(cells)} tetrahedra have no volume")

    tags, grain_particle = _number_regions(regions)
    faces, pairs = _faces(cells, tags)
    named = _derive_facets(faces, pairs)
    if derive_sides and facets is None:
        given = _box_faces(points, faces[pairs[:, 1] < 0])
    for name, some in given.items():
        triangles = np.sort(some, axis=1)
        if name in named and not np.array_equal(_rows(triangles), _rows(named[name])):
            raise MeshError(
                f"the facets named {name!r} ({len(triangles)}) are not those between the "
                f"regions it separates ({len(named[name])}); leave the name out to have it derived"
            )
        if not np.isin(_keys(triangles, len(points)), _keys(faces, len(points))).all():
            raise MeshError(f"some triangles of {name!r} are not faces of tetrahedra")
        named[name] = triangles
    _check_periodic(points, named)
    numbers = dict(FACETS)
    for name in named:
        numbers.setdefault(name, FIRST_EXTRA + len(numbers))
    return Parts(
        points=points,
        cells=cells,
        cell_tags=tags,
        triangles=np.vstack([np.empty((0, 3), dtype=np.int64), *named.values()]),
        facet_tags=np.repeat(
            np.array([numbers[name] for name in named], dtype=np.int32),
            [len(triangles) for triangles in named.values()],
        ),
        regions={name: tag for name, tag in REGIONS.items() if (tags == tag).any()},
        facets={name: numbers[name] for name in named},
        grain_particle=grain_particle,
        orientations=_check_orientations(orientations, len(grain_particle)),
    )


def grain_number(name: str) -> tuple[int, int] | None:
    """Return the particle and the grain, from 1, that a name stands for; None if it is none."""
    if not name or not (match := GRAIN_NAME.fullmatch(name)):
        return None
    return int(match["particle"] or 1), int(match["grain"] or 1)


def grain_names(grain_particle: Tags) -> list[str]:
    """Return the name of each grain in files; grains count from 1 in each particle."""
    count: Counter[int] = Counter()
    names = []
    for particle in grain_particle.tolist():
        count[particle] += 1
        names.append(f"particle_{particle + 1}_grain_{count[particle]:02d}")
    return names


def volume_tags(parts: Parts) -> dict[str, int]:
    """Return the cell tag of each region, and of each grain by its name in files."""
    names = enumerate(grain_names(parts.grain_particle), start=FIRST_GRAIN)
    return parts.regions | {name: tag for tag, name in names}


def _without_loose_points(
    points: Array, cells: Indices, facets: dict[str, Indices]
) -> tuple[Array, Indices, dict[str, Indices]]:
    used = np.unique(cells)
    number = np.full(len(points), -1)
    number[used] = np.arange(len(used))
    for name, given in facets.items():
        if given.size and (given.min() < 0 or given.max() >= len(points)):
            raise MeshError(f"facets {name!r} have corners that do not exist")
        if (number[given] < 0).any():
            raise MeshError(f"some triangles of {name!r} are not faces of tetrahedra")
    kept = {name: number[given].reshape(-1, 3) for name, given in facets.items()}
    return points[used], number[cells], kept


def _number_regions(regions: Sequence[str]) -> tuple[Tags, Tags]:
    """Return the tag of each cell and the particle of each grain, ordered by their numbers."""
    names, inverse = np.unique(np.asarray(regions, dtype=str), return_inverse=True)
    numbers = {name: number for name in names.tolist() if (number := grain_number(name))}
    if unknown := [name for name in names.tolist() if name not in REGIONS and name not in numbers]:
        raise MeshError(
            f"unknown regions {unknown}; found {names.tolist()}, allowed are "
            f"{', '.join(REGIONS)} and grains such as {GRAIN_NAMES}"
        )
    order = sorted(set(numbers.values()))
    if len(order) < len(numbers):
        raise MeshError(f"two regions stand for the same grain: {sorted(numbers)}")
    particles = sorted({particle for particle, _ in order})
    tag = {name: FIRST_GRAIN + order.index(number) for name, number in numbers.items()}
    tags = np.array([REGIONS.get(name, tag.get(name, 0)) for name in names.tolist()])
    grain_particle = np.array([particles.index(particle) for particle, _ in order])
    return tags.astype(np.int32)[inverse], grain_particle.astype(np.int32)


def _faces(cells: Indices, tags: Tags) -> tuple[Indices, Tags]:
    """Return every face once with the tags on both its sides, the higher first, -1 outside."""
    every = np.sort(cells[:, FACES_OF_CELL].reshape(-1, 3), axis=1)
    order = np.lexsort(every.T[::-1])
    every, sides = every[order], np.repeat(tags, 4)[order]
    first = np.append(True, (every[1:] != every[:-1]).any(axis=1))
    start = np.flatnonzero(first)
    count = np.diff(np.append(start, len(every)))
    if count.max() > 2:
        raise MeshError(f"{int((count > 2).sum())} faces belong to more than two tetrahedra")
    other = np.where(count == 2, sides[np.minimum(start + 1, len(sides) - 1)], -1)
    return every[start], np.sort(np.stack([sides[start], other], axis=1), axis=1)[:, ::-1]


def _derive_facets(faces: Indices, pairs: Tags) -> dict[str, Indices]:
    """Return the faces between regions that the model needs: interface and grain boundary."""
    grain = pairs >= FIRST_GRAIN
    if (grain[:, 0] & (pairs[:, 1] == REGIONS["electrolyte"])).any():
        raise MeshError("a particle touches the region 'electrolyte'; only 'ecbd' may surround it")
    return {
        "interface": faces[grain[:, 0] & (pairs[:, 1] == REGIONS["ecbd"])],
        "grain_boundary": faces[grain.all(axis=1) & (pairs[:, 0] != pairs[:, 1])],
    }


def _box_faces(points: Array, outer: Indices) -> dict[str, Indices]:
    """Return the outer faces that lie in the faces of the bounding box."""
    low, high = points.min(axis=0), points.max(axis=0)
    near = 1e-9 * (high - low).max()
    found = {}
    for axis, names in enumerate((("x_min", "x_max"), ("y_min", "y_max"), ("collector", "anode"))):
        for name, level in zip(names, (low[axis], high[axis]), strict=True):
            found[name] = outer[(np.abs(points[outer][:, :, axis] - level) < near).all(axis=1)]
    return found


def _check_periodic(points: Array, named: Mapping[str, Indices]) -> None:
    """Check that opposite sides have the same nodes."""
    size = np.ptp(points, axis=0).max()
    for axis, (low, high) in enumerate(OPPOSITE.items()):
        if (low in named) != (high in named):
            missing = high if low in named else low
            raise MeshError(f"facets {missing!r} are missing although the opposite side is named")
        if low not in named:
            continue
        sides = []
        for name in (low, high):
            side = points[np.unique(named[name])]
            if len(side) and np.ptp(side[:, axis]) > 1e-6 * size:
                raise MeshError(f"facets {name!r} do not lie in one plane across {'xy'[axis]}")
            across = np.delete(side, axis, axis=1)
            rounded = np.round(across / (1e-6 * size)) * (1e-6 * size)
            sides.append(across[np.lexsort(rounded.T)])
        counts = [len(side) for side in sides]
        if counts[0] != counts[1] or np.abs(sides[0] - sides[1]).max(initial=0) > 1e-6 * size:
            raise MeshError(
                f"the nodes of the periodic sides {low!r} ({counts[0]}) and {high!r} "
                f"({counts[1]}) do not match one to one"
            )


def _check_orientations(orientations: ArrayLike | None, count: int) -> Array:
    given = np.eye(3) if orientations is None else np.array(orientations, dtype=np.float64)
    if given.shape == (3, 3):
        given = np.tile(given, (count, 1, 1))
    if given.shape != (count, 3, 3):
        raise MeshError(f"orientations need the shape ({count}, 3, 3), got {given.shape}")
    skew = np.abs(given @ given.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    wrong = np.flatnonzero(~(skew < 1e-6) | (np.linalg.det(given) < 0))
    if len(wrong):
        raise MeshError(
            f"orientation {wrong[0]} is no rotation: Q Q^T differs from 1 by {skew[wrong[0]]:.2g}"
        )
    return given


def _rows(triangles: Indices) -> Indices:
    return triangles[np.lexsort(triangles.T)]


def _keys(triangles: Indices, count: int) -> Indices:
    """Return a number for each triangle with ascending corners, unique up to 2e6 points."""
    return np.asarray((triangles[:, 0] * count + triangles[:, 1]) * count + triangles[:, 2])


def distribute(parts: Parts | None, comm: MPI.Comm) -> MeshData:
    """Share a mesh that lies on rank 0 out to all ranks."""
    points, cells, rest = np.empty((0, 3)), np.empty((0, 4), dtype=np.int64), None
    if parts is not None:
        points, cells = parts.points, parts.cells
        keys = _keys(np.sort(parts.triangles, axis=1), len(points))
        order = np.argsort(keys)
        names = (keys[order], parts.facet_tags[order], parts.regions, parts.facets)
        grains = (parts.grain_particle, parts.orientations, parts.tessellations)
        rest = (len(points), parts.cell_tags, *names, *grains)
    count, tags, keys, facet_tags, regions, facets, particle, orientations, tessellations = (
        comm.bcast(rest, root=0)
    )

    shared = dolfinx.mesh.GhostMode.shared_facet
    partitioner = dolfinx.mesh.create_cell_partitioner(shared, 2)
    element = basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,))
    mesh = dolfinx.mesh.create_mesh(comm, cells, element, points, partitioner)
    topology = mesh.topology
    origin = topology.original_cell_index
    local = np.arange(len(origin), dtype=np.int32)

    found = _keys(facet_corners(mesh), count)
    position = np.minimum(np.searchsorted(keys, found), max(len(keys) - 1, 0))
    named = np.flatnonzero(keys[position] == found if len(keys) else []).astype(np.int32)
    return MeshData(
        mesh=mesh,
        cell_tags=dolfinx.mesh.meshtags(mesh, 3, local, tags[origin]),
        facet_tags=dolfinx.mesh.meshtags(mesh, 2, named, facet_tags[position[named]]),
        regions=regions,
        facets=facets,
        grain_tags=np.arange(FIRST_GRAIN, FIRST_GRAIN + len(particle), dtype=np.int32),
        grain_particle=particle,
        orientations=orientations,
        tessellations=tessellations,
    )


def facet_corners(mesh: dolfinx.mesh.Mesh) -> Indices:
    """Return the corners of all local facets as numbers of the points the mesh was made from.

    Shape (facets, 3), each row ascending; ghosts are included.
    """
    mesh.topology.create_entities(2)
    mesh.topology.create_connectivity(2, 3)
    facets = mesh.topology.index_map(2)
    local = np.arange(facets.size_local + facets.num_ghosts, dtype=np.int32)
    nodes = dolfinx.mesh.entities_to_geometry(mesh, 2, local)
    return np.sort(mesh.geometry.input_global_indices[nodes], axis=1)


def gather(data: MeshData) -> Parts | None:
    """Bring a distributed mesh back to rank 0, numbered as it was made; None on other ranks."""
    mesh, comm = data.mesh, data.mesh.comm
    geometry, topology = mesh.geometry, mesh.topology
    nodes, cells = geometry.index_map().size_local, topology.index_map(3).size_local
    own_cells = np.arange(cells, dtype=np.int32)
    corners = geometry.input_global_indices[dolfinx.mesh.entities_to_geometry(mesh, 3, own_cells)]
    facets = facet_corners(mesh)
    mine = data.facet_tags.indices < topology.index_map(2).size_local
    columns = (
        geometry.input_global_indices[:nodes],
        geometry.x[:nodes],
        topology.original_cell_index[:cells],
        corners,
        data.cell_tags.values[:cells],
        facets[data.facet_tags.indices[mine]],
        data.facet_tags.values[mine],
    )
    node, x, cell, corner, tag, triangles, facet_tags = (collect(comm, each) for each in columns)
    if comm.rank > 0:
        return None
    by_node, by_cell = np.argsort(node), np.argsort(cell)
    by_facet = np.lexsort(triangles.T)
    return Parts(
        points=x[by_node],
        cells=corner[by_cell].astype(np.int64),
        cell_tags=tag[by_cell],
        triangles=triangles[by_facet],
        facet_tags=facet_tags[by_facet],
        regions=data.regions,
        facets=data.facets,
        grain_particle=data.grain_particle,
        orientations=data.orientations,
        tessellations=data.tessellations,
    )

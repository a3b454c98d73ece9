"""A mesh with named regions and facets, made from plain arrays on one rank, shared by all ranks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import femssb.environment.platform

from mpi4py import MPI

import basix.ufl
import dolfinx.mesh
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from femssb.arrays import Array, Indices
from femssb.environment.ranks import collect, on_first_rank
from femssb.errors import InputError, MeshError, shown
from femssb.meshing.parts import (
    FACETS,
    FIRST_EXTRA,
    FIRST_GRAIN,
    GRAIN_NAMES,
    INNER,
    OPPOSITE,
    REGIONS,
    Parts,
    Tags,
    grain_number,
    periodic_axes,
)
from femssb.meshing.soundness import (
    SAME_LEVEL,
    Faces,
    check_cells,
    check_named,
    check_rotations,
    check_size,
    face_keys,
)

if TYPE_CHECKING:
    from femssb.grains.tessellation import Statistics


Periodic = Literal["xy", "x", "y", ""]
_OPEN = "; other values of `periodic` leave sides free, or to Model.supports"


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
        warnings: What is doubtful about it.
        open_axes: Axes, 0 for x and 1 for y, whose sides are named but not periodic.
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
    warnings: tuple[str, ...] = ()
    open_axes: tuple[int, ...] = ()

    @property
    def periodic(self) -> tuple[int, ...]:
        """Axes across which the sides are periodic, 0 for x and 1 for y: those that are named."""
        return periodic_axes(self.facets, self.open_axes)


def from_arrays(
    points: ArrayLike,
    cells: ArrayLike,
    regions: Sequence[str],
    *,
    facets: Mapping[str, ArrayLike] | None = None,
    orientations: ArrayLike | None = None,
    periodic: Periodic = "xy",
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
        periodic: Axes across which sides that are named, or follow from the box, are periodic;
            others are free, or held by `Model.supports`.
        comm: Ranks over which the mesh is distributed.

    Raises:
        MeshError: If names, shapes or periodic sides do not fit, if tetrahedra overlap or share no
            nodes where they touch, or if the size cannot be that of a cell; on every rank.
    """

    def work() -> Parts:
        return assemble(
            points, cells, regions, facets, orientations, derive_sides=True, periodic=periodic
        )

    check_ranks("from_arrays", comm)
    check_axes("from_arrays", periodic)
    return distribute(on_first_rank(comm, work), comm)


def check_ranks(owner: str, comm: object) -> None:
    """Check that an argument is a communicator.

    Raises:
        InputError: If it is not.
    """
    if not isinstance(comm, MPI.Comm) or comm == MPI.COMM_NULL:
        raise InputError(f"{owner}.comm must be a communicator of mpi4py, got {shown(comm)}")


def check_axes(owner: str, periodic: object) -> None:
    """Check that an argument names axes.

    Raises:
        InputError: If it does not.
    """
    if periodic not in get_args(Periodic):
        raise InputError(
            f"{owner}.periodic = {shown(periodic)} is none of {list(get_args(Periodic))}"
        )


def assemble(
    points: ArrayLike,
    cells: ArrayLike,
    regions: Sequence[str],
    facets: Mapping[str, ArrayLike] | None,
    orientations: ArrayLike | None,
    *,
    derive_sides: bool,
    periodic: Periodic = "xy",
) -> Parts:
    """Check a mesh given by names, and number its regions, grains and facets."""
    points = _reals("points", points, (-1, 3))
    cells = _corners("cells", cells, 4, len(points))
    if isinstance(regions, str) or not hasattr(regions, "__len__"):
        raise MeshError(f"regions = {regions!r:.60} must hold a name for each tetrahedron")
    if odd := [name for name in regions if not isinstance(name, str)]:
        raise MeshError(f"unknown regions: {shown(odd[0])} is no name")
    if not len(cells) or len(regions) != len(cells):
        raise MeshError(f"a mesh needs a region for each tetrahedron: {len(cells)}, {len(regions)}")
    if facets is not None and not isinstance(facets, Mapping):
        raise MeshError(f"facets = {facets!r:.60} must map names to triangles")
    warnings = _check_names(facets or {})
    given = {
        str(name): np.sort(_corners(f"facets[{name!r}]", some, 3, len(points)), axis=1)
        for name, some in (facets or {}).items()
    }
    points, cells, given = _without_loose_points(points, cells, given)
    tags, grain_particle, names = _number_regions(regions)
    faces = check_cells(points, cells, tags, names)
    warnings += check_size(points)
    sides = np.where(faces.cells < 0, -1, tags[faces.cells])
    pairs = np.sort(sides, axis=1)[:, ::-1]
    named = _derive_facets(faces.corners, pairs, grain_particle)
    if len(named.get("particle_separator", ())) and "particle_separator" not in given:
        raise MeshError(
            "a particle touches the region 'electrolyte'; only 'ecbd' may surround it, unless "
            "facets 'particle_separator' say so"
        )
    if derive_sides and facets is None:
        given = _box_faces(points, faces.corners[faces.outer])
    for name, triangles in given.items():
        if name in named and not np.array_equal(_rows(triangles), _rows(named[name])):
            raise MeshError(
                f"the facets named {name!r} ({len(triangles)}) are not those between the "
                f"regions it separates ({len(named[name])}); leave the name out to have it derived"
            )
        named[name] = triangles
    numbers = dict(FACETS)
    for name in named:
        numbers.setdefault(name, FIRST_EXTRA + len(numbers))
    parts = Parts(
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
        open_axes=tuple(axis for axis in (0, 1) if "xy"[axis] not in periodic),
    )
    warnings += check_named(parts, faces)
    _check_periodic(points, named, faces, tags, parts.open_axes)
    return replace(parts, warnings=warnings)


def _reals(what: str, given: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return finite numbers as an array of some shape; -1 stands for any size."""
    try:
        found = np.asarray(given)
    except ValueError as error:  # rows of different lengths
        raise MeshError(f"{what}: {error}") from error
    fits = found.ndim == len(shape) and all(
        want in (-1, size) for want, size in zip(shape, found.shape, strict=True)
    )
    if found.dtype.kind not in "fiu" or not fits:
        wanted = ", ".join("k" if size < 0 else str(size) for size in shape)
        raise MeshError(
            f"{what} must be numbers of shape ({wanted}), got {found.dtype} of {found.shape}"
        )
    found = np.array(found, dtype=np.float64)
    if not np.isfinite(found).all():
        raise MeshError(
            f"{what} has {int((~np.isfinite(found)).sum())} numbers that are not finite"
        )
    return found


def _corners(what: str, given: ArrayLike, columns: int, count: int) -> Indices:
    """Return numbers of points as an array of some columns, each below the count."""
    try:
        found = np.asarray(given)
    except ValueError as error:
        raise MeshError(f"{what}: {error}") from error
    if not found.size:
        return np.empty((0, columns), dtype=np.int64)
    if found.dtype.kind not in "iu" or found.ndim != 2 or found.shape[1] != columns:
        raise MeshError(
            f"{what} must be whole numbers of shape (k, {columns}), got {found.dtype} of "
            f"{found.shape}"
        )
    if found.min() < 0 or found.max() >= count:
        raise MeshError(
            f"{what} has corners that do not exist: they range from {found.min()} to "
            f"{found.max()}, those of {count} points from 0 to {count - 1}"
        )
    return np.array(found, dtype=np.int64)


def _check_names(given: Mapping[str, ArrayLike]) -> tuple[str, ...]:
    """Refuse a misspelt name of facets; return a warning for others that mean nothing."""
    plain = {_plainly(name): name for name in FACETS}
    strange = []
    for name in given:
        if not isinstance(name, str) or not name:
            raise MeshError(f"facets have the name {name!r}, which is no word")
        if name in FACETS:
            continue
        close = difflib.get_close_matches(_plainly(name), plain, n=1, cutoff=0.8)
        if close and plain[close[0]] not in INNER:  # these are derived from the cells
            raise MeshError(
                f"facets have the unknown name {name!r}: is it {plain[close[0]]!r}? Known are "
                f"{', '.join(FACETS)}"
            )
        strange.append(name)
    if not strange:
        return ()
    return (f"facets {strange} have names that mean nothing to a model",)


def _plainly(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _without_loose_points(
    points: Array, cells: Indices, facets: dict[str, Indices]
) -> tuple[Array, Indices, dict[str, Indices]]:
    """Leave out points that belong to no cell, such as the centre of a circle in Gmsh."""
    used = np.unique(cells)
    number = np.full(len(points), -1)
    number[used] = np.arange(len(used))
    for name, given in facets.items():
        if (loose := (number[given] < 0).any(axis=1)).any():
            raise MeshError(
                f"{int(loose.sum())} triangles of {name!r} are not faces of tetrahedra: they have "
                "corners that belong to none"
            )
    return points[used], number[cells], {name: number[given] for name, given in facets.items()}


def _number_regions(regions: Sequence[str]) -> tuple[Tags, Tags, dict[int, str]]:
    """Return the tag of each cell, the particle of each grain by number, and names of the tags."""
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
    found = dict(zip(tags.tolist(), names.tolist(), strict=True))
    return tags.astype(np.int32)[inverse], grain_particle.astype(np.int32), found


def _derive_facets(faces: Indices, pairs: Tags, grain_particle: Tags) -> dict[str, Indices]:
    """Return the faces between regions that the model needs; pairs of tags have the higher first.

    Two grains of one particle meet in a grain boundary, those of two particles in a contact.
    """
    grain = pairs >= FIRST_GRAIN
    both = grain.all(axis=1) & (pairs[:, 0] != pairs[:, 1])
    of = np.append(grain_particle, -1)[np.where(grain, pairs - FIRST_GRAIN, -1)]
    contact = both & (of[:, 0] != of[:, 1])
    separator = grain[:, 0] & (pairs[:, 1] == REGIONS["electrolyte"])
    found = {
        "interface": faces[grain[:, 0] & (pairs[:, 1] == REGIONS["ecbd"])],
        "grain_boundary": faces[both & ~contact],
    }
    more = {"contact": faces[contact], "particle_separator": faces[separator]}
    return found | {name: some for name, some in more.items() if len(some)}


def _box_faces(points: Array, outer: Indices) -> dict[str, Indices]:
    """Return the outer faces that lie in the faces of the bounding box, where there are any."""
    low, high = points.min(axis=0), points.max(axis=0)
    near = 1e-9 * (high - low).max()
    found = {}
    for axis, names in enumerate((("x_min", "x_max"), ("y_min", "y_max"), ("collector", "anode"))):
        for name, level in zip(names, (low[axis], high[axis]), strict=True):
            found[name] = outer[(np.abs(points[outer][:, :, axis] - level) < near).all(axis=1)]
    return {name: triangles for name, triangles in found.items() if len(triangles)}


def _check_periodic(
    points: Array,
    named: Mapping[str, Indices],
    faces: Faces,
    tags: Tags,
    open_axes: tuple[int, ...],
) -> None:
    """Check that opposite sides have the same nodes, and the same bodies at them."""
    size = float(np.ptp(points, axis=0).max())
    known = face_keys(faces.corners, len(points))
    for axis, (low, high) in enumerate(OPPOSITE.items()):
        if axis in open_axes:
            continue
        if (low in named) != (high in named):
            missing = high if low in named else low
            raise MeshError(
                f"facets {missing!r} are missing although the opposite side is named{_OPEN}"
            )
        if low not in named:
            continue
        nodes, bodies = [], []
        for name in (low, high):
            nodes.append(np.unique(named[name]))
            if np.ptp(points[nodes[-1], axis]) > SAME_LEVEL * size:
                raise MeshError(
                    f"facets {name!r} do not lie in one plane across {'xy'[axis]}{_OPEN}"
                )
            cells = faces.cells[np.searchsorted(known, face_keys(named[name], len(points))), 0]
            grain = tags[cells] >= FIRST_GRAIN
            bodies.append([np.isin(nodes[-1], named[name][grain == of]) for of in (True, False)])
        first, second = (np.delete(points[each], axis, axis=1) for each in nodes)
        distance, image = cKDTree(second).query(first)
        one_to_one = len(first) == len(second) == len(np.unique(image))
        if not one_to_one or distance.max() > SAME_LEVEL * size:
            raise MeshError(
                f"the nodes of the periodic sides {low!r} ({len(first)}) and {high!r} "
                f"({len(second)}) do not match one to one{_OPEN}"
            )
        if any((one != other[image]).any() for one, other in zip(*bodies, strict=True)):
            raise MeshError(
                f"particles meet the periodic sides {low!r} and {high!r} in different places{_OPEN}"
            )


def _check_orientations(orientations: ArrayLike | None, count: int) -> Array:
    if orientations is None:
        return np.tile(np.eye(3), (count, 1, 1))
    try:
        alike = np.shape(orientations) == (3, 3)
    except ValueError as error:  # rows of different lengths
        raise MeshError(f"orientations: {error}") from error
    given = _reals("orientations", orientations, (3, 3) if alike else (count, 3, 3))
    if alike:
        given = np.tile(given, (count, 1, 1))
    check_rotations(given, count)
    return given


def _rows(triangles: Indices) -> Indices:
    return triangles[np.lexsort(triangles.T)]


def distribute(parts: Parts | None, comm: MPI.Comm) -> MeshData:
    """Share a mesh that lies on rank 0 out to all ranks."""
    points, cells, rest = np.empty((0, 3)), np.empty((0, 4), dtype=np.int64), None
    if parts is not None:
        points, cells = parts.points, parts.cells
        keys = face_keys(np.sort(parts.triangles, axis=1), len(points))
        order = np.argsort(keys)
        names = (keys[order], parts.facet_tags[order], parts.regions, parts.facets)
        grains = (parts.grain_particle, parts.orientations, parts.tessellations, parts.open_axes)
        rest = (len(points), parts.cell_tags, *names, *grains, parts.warnings)
    count, tags, keys, facet_tags, regions, facets, *of_grains, warnings = comm.bcast(rest, root=0)
    particle, orientations, tessellations, open_axes = of_grains

    shared = dolfinx.mesh.GhostMode.shared_facet
    partitioner = dolfinx.mesh.create_cell_partitioner(shared, 2)
    element = basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,))
    mesh = dolfinx.mesh.create_mesh(comm, cells, element, points, partitioner)
    topology = mesh.topology
    origin = topology.original_cell_index
    local = np.arange(len(origin), dtype=np.int32)

    found = face_keys(facet_corners(mesh), count)
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
        warnings=warnings,
        open_axes=open_axes,
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
    number = node[by_node]  # not all there are, where the mesh was made with loose points
    return Parts(
        points=x[by_node],
        cells=np.searchsorted(number, corner[by_cell]).astype(np.int64),
        cell_tags=tag[by_cell],
        triangles=np.searchsorted(number, triangles[by_facet]).astype(np.int64),
        facet_tags=facet_tags[by_facet],
        regions=data.regions,
        facets=data.facets,
        grain_particle=data.grain_particle,
        orientations=data.orientations,
        tessellations=data.tessellations,
        warnings=data.warnings,
        open_axes=data.open_axes,
    )

"""Meshes from and to files, and from Gmsh models built in Python.

Names and numbers of other programs become those of femssb by a map, ``names``.

Volumes are named ``ecbd``, ``electrolyte`` and, for the grains, ``particle`` (one single crystal),
``particle_2``, ``grain_7`` (of the only particle) or ``particle_2_grain_7``; numbers count from 1.
Surfaces are named ``collector``, ``anode`` (both needed), ``x_min``, ``x_max``, ``y_min`` and
``y_max`` (periodic where a pair is named); ``interface`` and ``grain_boundary`` may be left out.
Orientations lie next to a mesh ``name.msh`` in ``name.orientations.csv``.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from numpy.typing import ArrayLike

from femssb.arrays import Indices
from femssb.description import checked
from femssb.environment.files import given_path, make_folder, replacing
from femssb.environment.isolation import in_child
from femssb.environment.ranks import on_first_rank
from femssb.errors import InputError, MeshError, check_number, shown
from femssb.meshing.blocks import Found
from femssb.meshing.data import (
    MeshData,
    Periodic,
    assemble,
    check_axes,
    check_ranks,
    distribute,
    gather,
)
from femssb.meshing.formats import (
    TETRAHEDRON,
    TRIANGLE,
    from_model,
    gmsh_session,
    read_mesh,
)
from femssb.meshing.orientations import (
    beside,
    check_mesh_of,
    orientations_text,
    read_orientations,
)
from femssb.meshing.parts import FACETS, INNER, REGIONS, Parts, grain_number, volume_tags
from femssb.tables import LARGEST_NUMBER, LARGEST_UNIT, SMALLEST_UNIT
from femssb.units import um

_Map = Mapping[str | int | tuple[int, int], str | None]

NEEDED_REGIONS = ("ecbd",)
NEEDED_FACETS = ("collector", "anode")
FOR_EXAMPLE = "for example numpy.eye(3) for crystal axes along those of the box"


def read(
    path: str | Path,
    *,
    unit: float = um,
    orientations: ArrayLike | str | Path | None = None,
    names: Mapping[str | int | tuple[int, int], str | None] | None = None,
    tags: str | None = None,
    periodic: Periodic = "xy",
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Read a mesh with named or numbered volumes and surfaces from a file.

    Tetrahedra of higher order become linear; a warning of the mesh says so. Where a file names no
    surface, the sides of the box around the mesh are found as `from_arrays` does.

    Args:
        path: A ``.msh`` of Gmsh (versions 2 to 4.1), ``.inp`` of Abaqus, ``.med`` of Salome,
            ``.vtu``, ``.vtk``, ``.xdmf``, or Exodus (``.e``, ``.exo``, ``.ex2``).
        unit: Length of the unit of the file [m].
        orientations: Active rotations, columns are the crystal axes, shape (3, 3) for all grains
            or (n_grains, 3, 3) in the order of particle and grain numbers; or a CSV file with
            the columns grain, qw, qx, qy, qz. By default the CSV file next to the mesh.
        names: Names or numbers in the file -> names of femssb, such as
            ``{"poly1": "grain_1", 3: "ecbd"}``. Several may have one name. A number stands for a
            volume if its new name does, else for a surface; ``(2, 3)`` is surface 3, whatever its
            name; None leaves a set out. Others keep theirs.
        tags: Name of the numbers of cells in a ``.vtu``, ``.vtk``, ``.xdmf`` or ``.med`` that say
            where a cell belongs, where there are several.
        periodic: Axes across which sides that are named are periodic; others are free, or held by
            `Model.supports`.
        comm: Ranks over which the mesh is distributed.

    Raises:
        InputError: If the file, the unit or the orientations are missing or wrong, or `names`
            names what is not in the file; on every rank.
        MeshError: If the file is damaged, or names or shapes do not fit; on every rank.
    """
    check_number("read", "unit", unit, lower=SMALLEST_UNIT, upper=LARGEST_UNIT, unit="m")
    check_ranks("read", comm)
    check_axes("read", periodic)
    _check_map("read", names)
    if tags is not None and (not isinstance(tags, str) or not tags):
        raise InputError(f"read.tags = {shown(tags)} must be a word")
    path = given_path("read", "path", path)

    def work() -> Parts:
        return _read(path, unit, orientations, names or {}, tags, periodic)

    data = distribute(on_first_rank(comm, work), comm)
    origin: dict[str, Any] = {"file": str(path.absolute()), "unit": unit}
    if orientations is not None:
        origin["orientations"] = (
            str(Path(orientations).absolute())
            if isinstance(orientations, str | Path)
            else np.asarray(orientations)
        )
    if names:
        origin["names"] = [[*_as_rows(key), name] for key, name in names.items()]
    if tags is not None:
        origin["tags"] = tags
    if periodic != "xy":
        origin["periodic"] = periodic
    return replace(data, origin=origin)


def from_gmsh(
    model: Any,
    *,
    unit: float = um,
    orientations: ArrayLike | str | Path | None = None,
    names: Mapping[str | int | tuple[int, int], str | None] | None = None,
    periodic: Periodic = "xy",
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Copy the current Gmsh model of rank 0, already meshed, with physical groups.

    Args:
        model: ``gmsh.model``; only used on rank 0.
        unit: Length of the unit of the model [m].
        orientations: As for `read`; needed.
        names: As for `read`; numbers are those of physical groups or, where there are none, of
            volumes and surfaces.
        periodic: As for `read`.
        comm: Ranks over which the mesh is distributed.

    Raises:
        InputError: If the unit or the orientations are missing or wrong; on every rank.
        MeshError: If names or shapes do not fit; on every rank.
    """
    check_number("from_gmsh", "unit", unit, lower=SMALLEST_UNIT, upper=LARGEST_UNIT, unit="m")
    check_ranks("from_gmsh", comm)
    check_axes("from_gmsh", periodic)
    _check_map("from_gmsh", names)

    def work() -> Parts:
        if not hasattr(model, "mesh"):
            raise InputError(f"from_gmsh.model must be gmsh.model, got {shown(model)}")
        found = from_model(model)
        return _assemble("the Gmsh model", found, unit, orientations, names or {}, periodic)

    return distribute(on_first_rank(comm, work), comm)


@checked
def write(data: MeshData, path: str | Path) -> None:
    """Write a mesh in um to a ``.msh`` file of Gmsh, and its orientations to a CSV file next to it.

    The files are the same whatever the number of ranks.

    Raises:
        InputError: If the path cannot be written or is no ``.msh``; on every rank.
    """
    path = given_path("write", "path", path)
    if path.suffix != ".msh":
        raise InputError(f"write.path = {path} must end in .msh")
    parts = gather(data)

    def work() -> None:
        if parts is not None:
            make_folder(path.parent)
            try:
                _write(parts, path)
            except OSError as error:
                raise InputError(f"write.path = {path} cannot be written: {error}") from error

    on_first_rank(data.mesh.comm, work)


def _read(
    path: Path,
    unit: float,
    orientations: ArrayLike | str | Path | None,
    names: _Map,
    tags: str | None,
    periodic: Periodic,
) -> Parts:
    if not os.path.isfile(path):
        raise InputError(f"read.path = {path}: there is no such file")
    if orientations is None:
        orientations = beside(path)
        if not os.path.isfile(orientations):
            raise InputError(
                f"read.orientations: there is no {orientations.name} next to {path.name}; give "
                f"orientations, {FOR_EXAMPLE}"
            )
        check_mesh_of(path)
    found = Found(*in_child(read_mesh, path, tags))
    try:
        return _assemble(path.name, found, unit, orientations, names, periodic)
    except MeshError as error:
        if path.name in str(error):
            raise
        raise MeshError(f"{path.name}: {error}") from error


def _assemble(
    source: str,
    found: Found,
    unit: float,
    orientations: ArrayLike | str | Path | None,
    names: _Map,
    periodic: Periodic,
) -> Parts:
    """Check the names and sizes of what was read, and number it."""
    present = {(3, key) for key, _ in found.volumes} | {(2, key) for key, _ in found.surfaces}
    unused = [key for key in names if not {key, (3, key), (2, key)} & present]
    if unused:
        raise InputError(
            f"names: {source} has no {unused[0]!r}; it has the volumes "
            f"{_shown_keys(found.volumes)} and the surfaces {_shown_keys(found.surfaces)}"
        )
    volumes, surfaces = (_renamed(d, names, found) for d in (3, 2))
    grains = {name: number for name in volumes if (number := grain_number(name))}
    known = {name: volumes[name] for name in volumes if name in grains or name in REGIONS}
    surfaces = _without_known(surfaces)
    derive = not surfaces
    missing = [name for name in NEEDED_REGIONS if name not in known]
    missing += [name for name in NEEDED_FACETS if name not in surfaces and not derive]
    if not grains:
        missing.append("a grain (particle, grain_1, particle_1_grain_1 ...)")
    cells = np.vstack([np.empty((0, 4), np.int64), *known.values()])
    left = {name: some for name, some in volumes.items() if not _within(some, cells)}
    unknown = sorted(left.keys() - known.keys())
    nameless = [key for key, some in found.volumes if isinstance(key, int) and key not in names]
    nameless = [key for key in nameless if (3, key) not in names]
    if missing or unknown or (nameless and len(_unique(cells)) < found.total):
        numbers = f"; volumes {nameless} have no name: `names` gives them one"
        raise MeshError(
            f"{source}: missing {', '.join(missing) or 'nothing'}; "
            f"unknown {', '.join(unknown) or 'nothing'}; "
            f"found volumes {_shown_keys(found.volumes)}, surfaces {_shown_keys(found.surfaces)}; "
            f"{found.total} tetrahedra, {len(_unique(cells))} of them in named volumes"
            f"{numbers if nameless else ''}"
        )
    for name, corners in (known | surfaces).items():
        if not len(corners) and name not in INNER:
            what = "tetrahedra" if name in volumes else "triangles"
            raise MeshError(f"{source}: {name!r} has no {what}; is it meshed?")
        if corners.size and not 0 <= corners.min() <= corners.max() < len(found.points):
            raise MeshError(f"{source}: {name!r} has corners that are not among its points")
    if len(_unique(cells)) < found.total:
        raise MeshError(
            f"{source}: {found.total - len(_unique(cells))} of {found.total} tetrahedra lie in no "
            f"named volume; found {sorted(known)}"
        )
    if not (np.abs(found.points) < LARGEST_NUMBER).all():
        raise MeshError(f"{source} has coordinates that are not below {LARGEST_NUMBER:g}")
    if orientations is None:
        raise InputError(f"orientations are needed, {FOR_EXAMPLE}")
    if isinstance(orientations, (str, Path)):
        orientations = read_orientations(Path(orientations), grains)
    parts = assemble(
        found.points * unit,
        cells,
        np.repeat(list(known), list(map(len, known.values()))).tolist(),
        None if derive else surfaces,
        orientations,
        derive_sides=derive,
        periodic=periodic,
    )
    notes = tuple(found.notes)
    if derive:
        notes += (
            f"{source} names no surface: collector and anode are the faces of the box around the "
            f"mesh at the lowest and the highest z, and its sides are {', '.join(_sides(parts))}",
        )
    return replace(parts, warnings=notes + parts.warnings)


def _sides(parts: Parts) -> list[str]:
    return [name for name in parts.facets if name.endswith(("_min", "_max"))] or ["open"]


def _renamed(dimension: int, names: _Map, found: Found) -> dict[str, Indices]:
    """Return what has a name, after the map, among volumes (3) or surfaces (2)."""
    named: dict[str, list[Indices]] = {}
    entries = {3: found.volumes, 2: found.surfaces}
    elsewhere = {key for key, _ in entries[5 - dimension]}
    for key, corners in entries[dimension]:
        pair = (dimension, key) if isinstance(key, int) else key
        new = names[key] if key in names else names.get(pair, key)
        volume = new in REGIONS or (isinstance(new, str) and grain_number(new) is not None)
        both = isinstance(key, int) and key in names and key in elsewhere
        name = key if both and volume != (dimension == 3) else new
        if isinstance(name, str):
            named.setdefault(name, []).append(corners)
    return {name: _unique(np.vstack(parts)) for name, parts in named.items()}


def _unique(corners: Indices) -> Indices:
    """Return simplices without those that are given again."""
    _, first = np.unique(np.sort(corners, axis=1), axis=0, return_index=True)
    return corners[np.sort(first)]


def _without_known(surfaces: dict[str, Indices]) -> dict[str, Indices]:
    """Return surfaces without what foreign names, of sets of all triangles, have of known ones."""
    known = [some for name, some in surfaces.items() if name in FACETS]
    if not known:
        return surfaces
    cut = {
        name: some if name in FACETS else _outside(some, np.vstack(known))
        for name, some in surfaces.items()
    }
    return {name: some for name, some in cut.items() if name in FACETS or len(some)}


def _outside(some: Indices, others: Indices) -> Indices:
    """Return the simplices that are not among others."""
    rows = np.vstack([np.sort(others, axis=1), np.sort(some, axis=1)])
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return some[first[inverse.ravel()[len(others) :]] >= len(others)]


def _within(some: Indices, cells: Indices) -> bool:
    """Return whether some tetrahedra are all among others."""
    return not len(_outside(some, cells))


def _shown_keys(entries: Sequence[tuple[Any, Indices]]) -> list[Any]:
    return sorted((key for key, _ in entries), key=lambda key: (isinstance(key, str), key))


def _check_map(owner: str, names: object) -> None:
    """Check that what renames parts of a mesh is a map from names and numbers to names."""
    if names is None:
        return
    if not isinstance(names, Mapping):
        raise InputError(f"{owner}.names = {shown(names)} must map names or numbers to names")
    for key, name in names.items():
        pair = isinstance(key, tuple) and len(key) == 2 and key[0] in (2, 3)
        number = key[1] if isinstance(key, tuple) and pair else key
        word = isinstance(key, str) and key != ""
        if not word and (isinstance(number, bool) or not isinstance(number, int)):
            raise InputError(
                f"{owner}.names has the key {shown(key)}; it must be a name, a number, or "
                "(3, number) of a volume, (2, number) of a surface"
            )
        if name is not None and (not isinstance(name, str) or not name):
            raise InputError(f"{owner}.names[{key!r}] = {shown(name)} must be a name, or None")


def _as_rows(key: str | int | tuple[int, int]) -> list[str | int]:
    return list(key) if isinstance(key, tuple) else [key]


def _write(parts: Parts, path: Path) -> None:
    volumes = (3, TETRAHEDRON, parts.cells, parts.cell_tags, volume_tags(parts))
    surfaces = (2, TRIANGLE, parts.triangles, parts.facet_tags, parts.facets)
    with gmsh_session() as gmsh:
        model = gmsh.model
        for dimension, kind, corners, tags, names in (volumes, surfaces):
            for row, (name, tag) in enumerate(names.items()):
                model.addDiscreteEntity(dimension, tag)
                if dimension == 3 and row == 0:  # all points belong to the first volume
                    numbers = np.arange(1, len(parts.points) + 1)
                    model.mesh.addNodes(3, tag, numbers, (parts.points / um).ravel())
                model.mesh.addElementsByType(tag, kind, [], corners[tags == tag].ravel() + 1)
                model.addPhysicalGroup(dimension, [tag], tag, name)
        with replacing(path) as temporary:
            gmsh.write(os.fspath(temporary))
    with replacing(beside(path)) as temporary:
        temporary.write_text(orientations_text(parts, path), encoding="utf-8", newline="")

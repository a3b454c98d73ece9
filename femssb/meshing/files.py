"""Meshes from and to files, and from Gmsh models built in Python.

Volumes are named ``ecbd``, ``electrolyte`` and, for the grains, ``particle`` (one single crystal),
``particle_2``, ``grain_7`` (of the only particle) or ``particle_2_grain_7``; numbers count from 1.
Surfaces are named ``collector``, ``anode`` (both needed), ``x_min``, ``x_max``, ``y_min`` and
``y_max`` (periodic where a pair is named); ``interface`` and ``grain_boundary`` may be left out.
Orientations lie next to a mesh ``name.msh`` in ``name.orientations.csv``.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from numpy.typing import ArrayLike

from femssb.arrays import Array, Indices
from femssb.description import checked
from femssb.environment.files import make_folder, replacing
from femssb.environment.ranks import on_first_rank
from femssb.errors import FemssbError, InputError, MeshError, check_number, shown
from femssb.meshing.data import MeshData, assemble, check_ranks, distribute, gather
from femssb.meshing.orientations import beside, orientations_text, read_orientations
from femssb.meshing.parts import INNER, REGIONS, Parts, grain_number, volume_tags
from femssb.units import um

NEEDED_REGIONS = ("ecbd",)
NEEDED_FACETS = ("collector", "anode")
TRIANGLE, TETRAHEDRON = 2, 4  # element types of Gmsh
FOR_EXAMPLE = "for example numpy.eye(3) for crystal axes along those of the box"

Named = dict[str, Indices]


def read(
    path: str | Path,
    *,
    unit: float = um,
    orientations: ArrayLike | str | Path | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Read a mesh with named volumes and surfaces from a file.

    Args:
        path: A ``.msh`` of Gmsh (versions 2 to 4.1), or anything that meshio reads with names.
        unit: Length of the unit of the file [m].
        orientations: Active rotations, columns are the crystal axes, shape (3, 3) for all grains
            or (n_grains, 3, 3) in the order of particle and grain numbers; or a CSV file with
            the columns grain, qw, qx, qy, qz. By default the CSV file next to the mesh.
        comm: Ranks over which the mesh is distributed.

    Raises:
        InputError: If the file, the unit or the orientations are missing or wrong; on every rank.
        MeshError: If the file is damaged, or names or shapes do not fit; on every rank.
    """
    check_number("read", "unit", unit, above=0, unit="m")
    check_ranks("read", comm)
    if not isinstance(path, str | Path) or not str(path).strip() or "\0" in str(path):
        raise InputError(f"read.path must be a path, got {shown(path)}")
    path = Path(path)
    data = distribute(on_first_rank(comm, lambda: _read(path, unit, orientations)), comm)
    return replace(data, origin={"file": str(path), "unit": unit})


def from_gmsh(
    model: Any,
    *,
    unit: float = um,
    orientations: ArrayLike | str | Path | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Copy the current Gmsh model of rank 0, already meshed, with named physical groups.

    Args:
        model: ``gmsh.model``; only used on rank 0.
        unit: Length of the unit of the model [m].
        orientations: As for `read`; needed.
        comm: Ranks over which the mesh is distributed.

    Raises:
        InputError: If the unit or the orientations are missing or wrong; on every rank.
        MeshError: If names or shapes do not fit; on every rank.
    """
    check_number("from_gmsh", "unit", unit, above=0, unit="m")
    check_ranks("from_gmsh", comm)

    def work() -> Parts:
        if not hasattr(model, "mesh"):
            raise InputError(f"from_gmsh.model must be gmsh.model, got {shown(model)}")
        return _assemble("the Gmsh model", *_from_model(model), unit, orientations)

    return distribute(on_first_rank(comm, work), comm)


@checked
def write(data: MeshData, path: str | Path) -> None:
    """Write a mesh in um to a ``.msh`` file of Gmsh, and its orientations to a CSV file next to it.

    The files are the same whatever the number of ranks.

    Raises:
        InputError: If the path cannot be written or is no ``.msh``; on every rank.
    """
    path = Path(path)
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


@contextlib.contextmanager
def gmsh_session() -> Iterator[Any]:
    """Open an empty, silent Gmsh model and leave Gmsh as it was found.

    Raises:
        MeshError: If Gmsh fails.
    """
    import gmsh

    options = {
        "General.Terminal": 0,
        "General.NumThreads": 1,
        "Mesh.RandomSeed": 1,
        "Mesh.ElementOrder": 1,
        "Mesh.Algorithm": 6,  # frontal Delaunay
        "Mesh.Algorithm3D": 1,  # Delaunay
        "Mesh.Optimize": 1,
        "Mesh.OptimizeNetgen": 0,
        "Mesh.MeshSizeExtendFromBoundary": 1,
        "Mesh.MeshSizeFromPoints": 0,
        "Mesh.MeshSizeFromCurvature": 0,
        "Mesh.MeshSizeFactor": 1,
        "Mesh.MeshSizeMin": 0,
        "Mesh.MeshSizeMax": 1e22,
        "Mesh.MshFileVersion": 4.1,
        "Mesh.Binary": 0,
        "Mesh.SaveAll": 0,
        "Mesh.ScalingFactor": 1,
    }
    started = not gmsh.isInitialized()
    if started:
        gmsh.initialize(readConfigFiles=False, interruptible=False)
    current = gmsh.model.getCurrent()
    before = {name: gmsh.option.getNumber(name) for name in options}
    for name, value in options.items():
        gmsh.option.setNumber(name, value)
    gmsh.model.add("femssb")
    try:
        yield gmsh
    except FemssbError:
        raise
    except Exception as error:
        if type(error) is not Exception:  # Gmsh raises nothing but this
            raise
        raise MeshError(f"Gmsh failed: {error or gmsh.logger.getLastError()}") from error
    finally:
        if started:
            gmsh.finalize()
        else:
            gmsh.model.setCurrent("femssb")
            gmsh.model.remove()
            for name, value in before.items():
                gmsh.option.setNumber(name, value)
            gmsh.model.setCurrent(current)


def _read(path: Path, unit: float, orientations: ArrayLike | str | Path | None) -> Parts:
    if not path.is_file():
        raise InputError(f"read.path = {path}: there is no such file")
    if orientations is None:
        orientations = beside(path)
        if not orientations.is_file():
            raise InputError(
                f"read.orientations: there is no {orientations.name} next to {path.name}; give "
                f"orientations, {FOR_EXAMPLE}"
            )
    if path.suffix == ".msh":
        _check_sections(path)
        with gmsh_session() as gmsh:
            gmsh.merge(str(path))
            found = _from_model(gmsh.model)
    else:
        found = _from_meshio(path)
    return _assemble(path.name, *found, unit, orientations)


def _assemble(
    source: str,
    points: Array,
    volumes: Named,
    surfaces: Named,
    unit: float,
    orientations: ArrayLike | str | Path | None,
) -> Parts:
    """Check the names and sizes of what was read, and number it."""
    missing = [name for name in NEEDED_REGIONS if name not in volumes]
    missing += [name for name in NEEDED_FACETS if name not in surfaces]
    grains = {name: number for name in volumes if (number := grain_number(name))}
    if not grains:
        missing.append("a grain (particle, grain_1, particle_1_grain_1 ...)")
    unknown = sorted(set(volumes) - set(grains) - set(REGIONS))
    if missing or unknown:
        raise MeshError(
            f"{source}: missing {', '.join(missing) or 'nothing'}; "
            f"unknown {', '.join(unknown) or 'nothing'}; "
            f"found volumes {sorted(volumes)}, surfaces {sorted(surfaces)}"
        )
    for name, inside in (volumes | surfaces).items():
        if not len(inside) and name not in INNER:
            what = "tetrahedra" if name in volumes else "triangles"
            raise MeshError(f"{source}: {name!r} has no {what}; is it meshed?")
    cells = np.vstack(list(volumes.values()))
    if orientations is None:
        raise InputError(f"orientations are needed, {FOR_EXAMPLE}")
    if isinstance(orientations, (str, Path)):
        orientations = read_orientations(Path(orientations), grains)
    regions = np.repeat(list(volumes), list(map(len, volumes.values()))).tolist()
    return assemble(points * unit, cells, regions, surfaces, orientations, derive_sides=False)


def _check_sections(path: Path) -> None:
    """Check that every section of a ``.msh`` file is closed: Gmsh itself does not."""
    content = b"\n" + path.read_bytes()
    if b"\n$MeshFormat" not in content:
        raise MeshError(f"{path.name} is not a .msh file of Gmsh")
    for section in (b"MeshFormat", b"PhysicalNames", b"Entities", b"Nodes", b"Elements"):
        starts, ends = content.count(b"\n$" + section), content.count(b"$End" + section)
        if starts != ends or (not starts and section in (b"Nodes", b"Elements")):
            raise MeshError(
                f"{path.name} is cut short or damaged: section {section.decode()} is not complete"
            )


def _from_model(model: Any) -> tuple[Array, Named, Named]:
    """Return points, and corners of named volumes and surfaces, of a Gmsh model."""
    tags, coordinates, _ = model.mesh.getNodes()
    table = np.full(int(tags.max(initial=0)) + 1, -1)
    table[tags.astype(np.int64)] = np.arange(len(tags))
    volumes, surfaces = Named(), Named()
    owner: dict[int, str] = {}
    for dimension, kind, found in ((3, TETRAHEDRON, volumes), (2, TRIANGLE, surfaces)):
        for _, group in model.getPhysicalGroups(dimension):
            name = model.getPhysicalName(dimension, group)
            blocks = [np.empty((0, dimension + 1), dtype=np.int64)]
            for entity in model.getEntitiesForPhysicalGroup(dimension, group).tolist():
                kinds, _, nodes = model.mesh.getElements(dimension, entity)
                if any(element != kind for element in kinds):
                    what = "tetrahedra" if dimension == 3 else "triangles"
                    raise MeshError(f"{name!r} has elements that are not linear {what}")
                if dimension == 3 and owner.setdefault(entity, name) != name:
                    raise MeshError(f"volume {entity} is both {owner[entity]!r} and {name!r}")
                corners = [table[block.astype(np.int64)] for block in nodes]
                blocks += [block.reshape(-1, dimension + 1) for block in corners]
            if dimension == 3 and not name:
                raise MeshError(f"physical volume {group} has no name")
            if name:
                found[name] = np.vstack([found.get(name, blocks[0]), *blocks])
    _, elements, _ = model.mesh.getElements(3)
    count = sum(map(len, elements))
    named = sum(map(len, volumes.values()))
    if not count:
        raise MeshError("there are no tetrahedra; generate the mesh first")
    if named < count:
        nameless = [tag for _, tag in model.getEntities(3) if tag not in owner]
        raise MeshError(
            f"{count - named} of {count} tetrahedra lie in no named volume (volumes {nameless}); "
            f"found {sorted(volumes)}"
        )
    return coordinates.reshape(-1, 3), volumes, surfaces


def _from_meshio(path: Path) -> tuple[Array, Named, Named]:
    """Return points, and corners of named volumes and surfaces, of a file that meshio reads."""
    import meshio

    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            mesh = meshio.read(path)
    except (Exception, SystemExit) as error:  # meshio leaves Python where it knows no format
        raise MeshError(f"{path.name} cannot be read by meshio: {error}") from error
    names = {(int(d), int(tag)): name for name, (tag, d) in mesh.field_data.items()}
    physical = mesh.cell_data.get("gmsh:physical", [None] * len(mesh.cells))
    found: dict[str, dict[str, list[Indices]]] = {"tetra": {}, "triangle": {}}
    total = 0
    for index, (block, tags) in enumerate(zip(mesh.cells, physical, strict=True)):
        if block.type not in found:
            if block.dim == 3:
                raise MeshError(f"{path.name} has cells that are not linear tetrahedra")
            continue
        total += len(block.data) * (block.type == "tetra")
        named = found[block.type]
        for tag in [] if tags is None else np.unique(tags).tolist():
            if (block.dim, tag) in names:
                inside = block.data[np.asarray(tags) == tag]
                named.setdefault(names[block.dim, tag], []).append(inside)
        for name, members in mesh.cell_sets.items():
            if members[index] is not None and len(members[index]) and ":" not in name:
                inside = block.data[np.asarray(members[index], dtype=np.int64)]
                named.setdefault(name, []).append(inside)
    volumes, surfaces = (
        {name: np.vstack(blocks).astype(np.int64) for name, blocks in named.items()}
        for named in found.values()
    )
    count = sum(map(len, volumes.values()))
    if count != total or not total:
        raise MeshError(
            f"{path.name}: {total} tetrahedra, {count} of them in named volumes; "
            f"found {sorted(volumes)}"
        )
    return np.asarray(mesh.points, dtype=np.float64), volumes, surfaces


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
        temporary.write_text(orientations_text(parts), encoding="utf-8", newline="")

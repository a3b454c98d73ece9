"""What files of meshes hold: read by Gmsh and meshio, which need none of DOLFINx, PETSc and MPI.

Only what begins as a ``.msh`` file gets to Gmsh, which would run anything else as a script, as it
would the options it finds next to a file by its name. No file may refer to another one.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array, Indices
from femssb.environment.packages import load
from femssb.errors import FemssbError, MeshError

TRIANGLE, TETRAHEDRON = 2, 4  # element types of Gmsh
OLDEST, NEWEST = 2.0, 4.1  # versions of .msh
# Ending -> name of the format in meshio. Of these only Abaqus can name regions; files of VTK are
# read to say what they lack.
BY_MESHIO = {".inp": "abaqus", ".vtu": "vtu", ".vtk": "vtk"}

Named = dict[str, Indices]
Found = tuple[Array, Named, Named]

_START = re.compile(
    rb"(?:\$Comments\r?\n.*?\$EndComments\s+)?"
    rb"\$MeshFormat\r?\n(?P<version>[0-9.]+) (?P<binary>[01]) (?P<size>\d+) ?\r?\n",
    re.DOTALL,
)
_SECTIONS = (b"MeshFormat", b"PhysicalNames", b"Entities", b"Nodes", b"Elements")


def read_mesh(path: Path) -> Found:
    """Return points, and corners of named volumes and surfaces, of a file.

    Raises:
        MeshError: If the file is of no known format, damaged, refers to others, or names nothing.
        EngineError: If Gmsh or meshio is missing or does not load.
    """
    ending = path.suffix.lower()
    if ending == ".msh":
        return _read_msh(path)
    if ending not in BY_MESHIO:
        raise MeshError(
            f"{path.name} has none of the endings .msh, {', '.join(BY_MESHIO)} of formats that can "
            "name regions"
        )
    return _read_by_meshio(path, BY_MESHIO[ending])


@contextlib.contextmanager
def gmsh_session() -> Iterator[Any]:
    """Open an empty, silent Gmsh model and leave Gmsh as it was found.

    Raises:
        MeshError: If Gmsh fails.
        EngineError: If it is missing or does not load.
    """
    gmsh = load("gmsh", extra="wheels")
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


def _read_msh(path: Path) -> Found:
    announced = _check_msh(path)
    # By its number the file has no neighbours: Gmsh would run the commands in `path`.opt.
    opened = os.open(path, os.O_RDONLY)
    try:
        with gmsh_session() as gmsh:
            gmsh.merge(f"/dev/fd/{opened}")
            _, elements, _ = gmsh.model.mesh.getElements()
            if (count := sum(map(len, elements))) < announced:
                raise MeshError(f"it announces {announced} elements, but has {count}")
            return from_model(gmsh.model)
    except MeshError as error:
        raise MeshError(f"{path.name}: {error}") from error
    finally:
        os.close(opened)


def _check_msh(path: Path) -> int:
    """Check that a file is what Gmsh reads as a mesh, whole, and return its number of elements."""
    content = path.read_bytes()
    start = _START.match(content)
    if start is None:
        raise MeshError(
            f"{path.name} is not a .msh file of Gmsh, which begins with $MeshFormat and a version"
        )
    version = float(start["version"])
    if not OLDEST <= version <= NEWEST:
        raise MeshError(
            f"{path.name} is of version {version:g}, outside [{OLDEST:g}, {NEWEST:g}]; let Gmsh "
            "save it in another one"
        )
    content = b"\n" + content
    for section in _SECTIONS:
        starts, ends = content.count(b"\n$" + section), content.count(b"$End" + section)
        if starts != ends or (not starts and section in (b"Nodes", b"Elements")):
            raise MeshError(
                f"{path.name} is cut short or damaged: section {section.decode()} is not complete"
            )
    head = re.search(rb"\n\$Elements\r?\n", content)
    place = head.end() if head else 0
    if start["binary"] == b"1" and version >= 4:  # number of blocks, number of elements ...
        order: Literal["little", "big"]
        order = "little" if content[start.end() + 1 :].startswith(b"\1\0") else "big"
        size = int(start["size"])
        return int.from_bytes(content[place + size : place + 2 * size], order)
    words = content[place : content.find(b"\n", place)].split()
    if len(words) not in (1, 2, 4) or not all(word.isdigit() for word in words):
        raise MeshError(f"{path.name} is damaged: section Elements does not begin with its number")
    return int(words[0] if len(words) == 1 else words[1])


def from_model(model: Any) -> Found:
    """Return points, and corners of named volumes and surfaces, of a Gmsh model."""
    tags, coordinates, _ = model.mesh.getNodes()
    order = np.argsort(tags)  # a table by tag may be larger than the memory

    def rows(nodes: NDArray[np.uint64]) -> Indices:
        place = np.minimum(np.searchsorted(tags, nodes, sorter=order), len(tags) - 1)
        if not np.array_equal(tags[order[place]], nodes):
            raise MeshError("there are elements with nodes that do not exist")
        return order[place]

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
                blocks += [rows(block).reshape(-1, dimension + 1) for block in nodes]
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


def _read_by_meshio(path: Path, file_format: str) -> Found:
    """Return what a file holds whose format meshio reads."""
    meshio = load("meshio", extra="wheels")
    if file_format == "abaqus":
        _check_references(path)
    try:
        mesh = meshio.read(path, file_format=file_format)
        return _from_meshio(path, mesh)
    except MeshError:
        raise
    except (Exception, SystemExit) as error:  # meshio leaves Python where it fails
        raise MeshError(
            f"{path.name} cannot be read by meshio: {type(error).__name__}: {error}"
        ) from error


def _check_references(path: Path) -> None:
    """Check that a file of Abaqus takes nothing from other files."""
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("*") and line.partition(",")[0].strip("* ").upper() == "INCLUDE":
            raise MeshError(f"{path.name} includes another file; put all into one file")


def _from_meshio(path: Path, mesh: Any) -> Found:
    """Return points, and corners of named volumes and surfaces, of what meshio read."""
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

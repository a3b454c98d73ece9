"""What files of meshes hold: read by Gmsh and meshio, which need none of DOLFINx, PETSc and MPI.

Only what begins as a ``.msh`` file gets to Gmsh, which would run anything else as a script, as it
would the options it finds next to a file by its name. No file may refer to another one, but XDMF to
the HDF5 file of its name.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Indices
from femssb.environment.hdf5 import check_links
from femssb.environment.packages import load
from femssb.errors import FemssbError, MeshError
from femssb.meshing.abaqus import read_abaqus
from femssb.meshing.blocks import CORNERS, WORDS, Blocks, Found, Key, by_value
from femssb.meshing.exodus import read_exodus
from femssb.meshing.xdmf import read_grids

TRIANGLE, TETRAHEDRON = 2, 4  # element types of Gmsh
OLDEST, NEWEST = 2.0, 4.1  # versions of .msh
BY_MESHIO = {  # ending -> name of the format in meshio
    ".med": "med",
    ".vtk": "vtk",
    ".vtu": "vtu",
    ".xdmf": "xdmf",
}
EXODUS = (".e", ".ex2", ".exo", ".exodus")
ENDINGS = (".msh", ".inp", *BY_MESHIO, *EXODUS)

_START = re.compile(
    rb"(?:\$Comments\r?\n.*?\$EndComments\s+)?"
    rb"\$MeshFormat\r?\n(?P<version>[0-9.]+) (?P<binary>[01]) (?P<size>\d+) ?\r?\n",
    re.DOTALL,
)
# Numbers of cells by which programs say where a cell belongs, best first.
_USUAL = (
    "cell_tags", "gmsh:physical", "region", "Region", "material", "Material", "MaterialIds",
    "CellEntityIds", "name_to_read", "medit:ref", "gmsh:geometrical",
)  # fmt: skip
_SECTIONS = (b"MeshFormat", b"PhysicalNames", b"Entities", b"Nodes", b"Elements")


def read_mesh(path: Path, tags: str | None) -> Found:
    """Return points, and corners of volumes and surfaces, of a file.

    Args:
        path: The file.
        tags: Which numbers of cells say where they belong, in formats that may have several.

    Raises:
        MeshError: If the file is of no known format, damaged, or refers to others.
        EngineError: If Gmsh or meshio is missing or does not load.
    """
    ending = path.suffix.lower()
    if ending == ".msh":
        return _read_msh(path)
    if ending == ".inp":
        return read_abaqus(path)
    if ending in EXODUS:
        return read_exodus(path)
    if ending not in BY_MESHIO:
        raise MeshError(f"{path.name} has none of the endings {', '.join(ENDINGS)}")
    return _read_by_meshio(path, BY_MESHIO[ending], tags)


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
        if "Unknown entity" in str(error):  # meshio may write version 4.1 without some
            return _read_by_meshio(path, "gmsh", None)
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
    """Return points, and corners of volumes and surfaces, of a Gmsh model."""
    tags, coordinates, _ = model.mesh.getNodes()
    order = np.argsort(tags)  # a table by tag may be larger than the memory

    def rows(nodes: NDArray[np.uint64]) -> Indices:
        place = np.minimum(np.searchsorted(tags, nodes, sorter=order), len(tags) - 1)
        if not np.array_equal(tags[order[place]], nodes):
            raise MeshError("there are elements with nodes that do not exist")
        return order[place]

    blocks = Blocks("Gmsh", coordinates.reshape(-1, 3))
    owner: dict[int, Key] = {}
    for dimension in (3, 2):
        for key, entities in _groups(model, dimension):
            blocks.add(dimension, key, np.empty((0, CORNERS[dimension]), dtype=np.int64))
            for entity in entities:
                if dimension == 3 and owner.setdefault(entity, key) != key:
                    raise MeshError(f"volume {entity} is both {owner[entity]!r} and {key!r}")
                kinds, _, nodes = model.mesh.getElements(dimension, entity)
                for element, block in zip(kinds, nodes, strict=True):
                    _, _, _, count, _, primary = model.mesh.getElementProperties(element)
                    if primary != CORNERS[dimension]:
                        raise MeshError(
                            f"{key!r} has elements that are not {WORDS[dimension]}; let Gmsh split "
                            "them"
                        )
                    table = rows(block).reshape(-1, count)
                    blocks.add(dimension, key, blocks.straight(dimension, table))
    _, elements, _ = model.mesh.getElements(3)
    total = sum(map(len, elements))
    if not total:
        raise MeshError("there are no tetrahedra; generate the mesh first")
    blocks.count(total)
    return blocks.found()


def _groups(model: Any, dimension: int) -> list[tuple[Key, list[int]]]:
    """Return name, or else number, and entities of the physical groups, or of all entities."""
    groups = model.getPhysicalGroups(dimension)
    if not groups:
        return [(tag, [tag]) for _, tag in model.getEntities(dimension)]
    return [
        (
            model.getPhysicalName(dimension, group) or group,
            model.getEntitiesForPhysicalGroup(dimension, group).tolist(),
        )
        for _, group in groups
    ]


def _read_by_meshio(path: Path, file_format: str, tags: str | None) -> Found:
    """Return what a file holds whose format meshio reads."""
    meshio = load("meshio", extra="wheels")
    if file_format == "xdmf":
        _check_data_items(path)
    if file_format == "med":
        h5py = load("h5py", extra="particles")
        with h5py.File(path, "r") as file:
            check_links(path, file)
    try:
        several = read_grids(path, tags) if file_format == "xdmf" else None
        if several is not None:
            return _from_meshio(path, several, None)
        mesh = meshio.read(path, file_format=file_format)
        return _from_meshio(path, mesh, tags)
    except MeshError:
        raise
    except (Exception, SystemExit) as error:  # meshio leaves Python where it fails
        raise MeshError(
            f"{path.name} cannot be read by meshio: {type(error).__name__}: {error}"
        ) from error


def _check_data_items(path: Path) -> None:
    """Check that the only other file that a file of XDMF takes from lies beside it.

    That is an HDF5 file of the same name, which holds its arrays.
    """
    for item in ElementTree.parse(path).iter("DataItem"):
        if item.get("Format", "XML").upper() == "XML":
            continue
        name, _, _ = (item.text or "").strip().partition(":")
        if name != f"{path.stem}.h5":
            raise MeshError(
                f"{path.name} takes data from {name!r}; it may only do so from {path.stem}.h5 "
                "beside it"
            )
    beside = path.with_suffix(".h5")
    if beside.exists():
        with load("h5py", extra="particles").File(beside, "r") as file:
            check_links(beside, file)


def _from_meshio(path: Path, mesh: Any, tags: str | None) -> Found:
    """Return points, and corners of volumes and surfaces, of what meshio read."""
    blocks = Blocks(path.name, mesh.points)
    families = getattr(mesh, "cell_tags", {})  # of MED: number -> names of groups
    values = mesh.cell_data.get(_chosen(path, mesh, tags))
    for index, block in enumerate(mesh.cells):
        dimension = 3 if block.type.startswith("tetra") else 2 * block.type.startswith("triangle")
        if not dimension:
            if block.dim == 3:
                raise MeshError(f"{path.name} has cells {block.type!r}, which are not tetrahedra")
            continue
        corners = blocks.straight(dimension, np.asarray(block.data))
        if dimension == 3:
            blocks.count(len(corners))
        if values is not None:
            numbers = np.asarray(values[index]).ravel()
            for number, rows in by_value(np.rint(numbers).astype(np.int64)):
                for key in families.get(number, [number]):
                    blocks.add(dimension, key, corners[rows])
    return blocks.found()


def _chosen(path: Path, mesh: Any, tags: str | None) -> str | None:
    """Return the name of the numbers of cells that say where they belong."""
    whole = {
        name: [np.asarray(part) for part in parts]
        for name, parts in mesh.cell_data.items()
        if all(np.asarray(part).size == len(cells.data) for part, cells in zip(
            parts, mesh.cells, strict=True))
    }  # fmt: skip
    if tags is not None:
        if tags not in whole:
            raise MeshError(f"{path.name} has no numbers of cells {tags!r}; it has {sorted(whole)}")
        return tags
    able = [
        name
        for name, parts in whole.items()
        if all(np.array_equal(part, np.rint(part)) for part in parts)
    ]
    known = [name for name in _USUAL if name in able] or able
    if len(known) > 1 and known[0] not in _USUAL:
        raise MeshError(
            f"{path.name} has several kinds of numbers of cells, {sorted(able)}: say by `tags` "
            "which of them tell where a cell belongs"
        )
    return known[0] if known else None

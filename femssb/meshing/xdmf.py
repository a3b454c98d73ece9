"""XDMF files with several grids: one for the cells and one for each kind of numbers on them.

So DOLFINx writes a mesh and its tags. All grids must share the points of the first.
"""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from femssb.arrays import Indices
from femssb.environment.packages import load
from femssb.errors import MeshError
from femssb.meshing.blocks import WORDS

NUMBERS = "region"  # name of the numbers of cells in what is returned
_PARTS = ("Topology", "Geometry", "Attribute", "Information")
_KINDS = {3: "tetra", 2: "triangle"}  # dimension -> how meshio calls simplices of any order

# Grid and name of numbers of cells, cells of one type, and the numbers (n,).
_Numbered = tuple[str, str, Any, Indices]


def read_grids(path: Path, tags: str | None) -> Any:
    """Return what a file holds in several grids as one mesh of meshio; None if it has but one.

    Args:
        path: The file.
        tags: Which numbers say where a cell belongs, where cells of one kind have several.

    Raises:
        MeshError: If grids do not fit each other, or it is not clear which numbers count.
    """
    domain = ElementTree.parse(path).getroot().find("Domain")
    grids = [] if domain is None else domain.findall("Grid")
    if len(grids) < 2:
        return None
    meshio = load("meshio", extra="wheels")
    meshes: dict[str, Any] = {}
    for grid in grids:
        name = grid.get("Name", "")
        if name in meshes:
            raise MeshError(f"{path.name} has two grids {name!r}")
        meshes[name] = _read(path, name, grid, grids[0])
    first, points = next((name, mesh.points) for name, mesh in meshes.items())
    for name, mesh in meshes.items():
        if not np.array_equal(mesh.points, points):
            raise MeshError(f"{path.name}: grid {name!r} has other points than {first!r}")
    numbered = {dimension: _numbered(meshes, kind) for dimension, kind in _KINDS.items()}
    known = {name for found in numbered.values() for _, name, _, _ in found}
    if tags is not None and tags not in known:
        raise MeshError(f"{path.name} has no numbers of cells {tags!r}; it has {sorted(known)}")
    chosen = [
        one
        for dimension, found in numbered.items()
        if (one := _chosen(path, dimension, found, tags))
    ]
    cells = [(block.type, block.data) for _, _, block, _ in chosen]
    if not numbered[3]:  # tetrahedra that belong nowhere
        bare = [block for mesh in meshes.values() for block in mesh.cells if _is(block, "tetra")]
        return meshio.Mesh(points, [(block.type, block.data) for block in bare[:1]])
    return meshio.Mesh(points, cells, cell_data={NUMBERS: [numbers for *_, numbers in chosen]})


def _read(path: Path, name: str, grid: ElementTree.Element, first: ElementTree.Element) -> Any:
    """Return one grid, with the geometry of the first where it has none of its own."""
    kind = grid.get("GridType", "Uniform")
    if kind != "Uniform" or grid.find("Topology") is None:
        what = f"a {kind}" if kind != "Uniform" else "without cells"
        raise MeshError(
            f"{path.name}: grid {name!r} is {what}; of several grids each must be uniform, with"
            " cells of its own"
        )
    single = ElementTree.Element("Grid", grid.attrib)
    single.extend([part for part in grid if part.tag in _PARTS])
    if single.find("Geometry") is None and (geometry := first.find("Geometry")) is not None:
        single.insert(0, geometry)
    root = ElementTree.Element("Xdmf", Version="3.0")
    ElementTree.SubElement(root, "Domain").append(single)
    from meshio.xdmf.main import XdmfReader

    return XdmfReader(path).read_xdmf3(root)


def _is(block: Any, kind: str) -> bool:
    return str(block.type).startswith(kind)


def _numbered(meshes: dict[str, Any], kind: str) -> list[_Numbered]:
    """Return all whole numbers that cells of a kind have."""
    found = []
    for grid, mesh in meshes.items():
        for name, parts in mesh.cell_data.items():
            for block, values in zip(mesh.cells, parts, strict=True):
                numbers = np.asarray(values).ravel()
                whole = numbers.size == len(block.data) and np.array_equal(
                    numbers, np.rint(numbers)
                )
                if whole and _is(block, kind):
                    found.append((grid, name, block, np.rint(numbers).astype(np.int64)))
    return found


def _chosen(
    path: Path, dimension: int, found: list[_Numbered], tags: str | None
) -> _Numbered | None:
    """Return the numbers that say where cells of a dimension belong."""
    named = [one for one in found if one[1] == tags] or found
    if len(named) > 1:
        grids = sorted({f"{name!r} in grid {grid!r}" for grid, name, _, _ in named})
        raise MeshError(
            f"{path.name} has several numbers of {WORDS[dimension]}, {', '.join(grids)}: say by"
            " `tags` which of them tell where a cell belongs"
        )
    return named[0] if named else None

"""Unstructured grids in VTK's XML format (.vtu), which ParaView, PyVista and meshio read.

Six components are a symmetric tensor: in memory xx yy zz yz xz xy (Voigt order, as everywhere in
femssb), in the file XX YY ZZ XY YZ XZ, which is what VTK's filters take them for. The file names
them, and a file that does not is refused: nothing else tells both orders apart.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from femssb.environment.isolation import damaged, reading
from femssb.tensors import COMPONENTS, VTK_COMPONENTS

Arrays = Mapping[str, NDArray[Any]]

_SHAPES = {4: "tetra", 3: "triangle"}  # vertices of a mesh cell -> its name in meshio
_TO_VTK = [COMPONENTS.index(name.lower()) for name in VTK_COMPONENTS]


def write(
    path: Path, points: NDArray[Any], cells: NDArray[Any], point_data: Arrays, cell_data: Arrays
) -> None:
    """Write tetrahedra or triangles with their data: float64 or int64, one row each.

    Args:
        path: The file.
        points: (n, 3).
        cells: (m, 4) or (m, 3), rows of the points.
        point_data: Name -> values, (n,) or (n, k); six components in Voigt order.
        cell_data: Name -> values, (m,) or (m, k).
    """
    import meshio

    mesh = meshio.Mesh(
        points,
        [(_SHAPES[cells.shape[1]], cells)],
        point_data=_for_vtk(point_data),
        cell_data={name: [values] for name, values in _for_vtk(cell_data).items()},
    )
    meshio.vtu.write(path, mesh, binary=True, compression="zlib")
    six = 'NumberOfComponents="6"'  # whose names meshio leaves out
    names = " ".join(f'ComponentName{k}="{name}"' for k, name in enumerate(VTK_COMPONENTS))
    path.write_text(path.read_text("utf-8").replace(six, f"{six} {names}"), "utf-8")


def read(
    path: Path,
) -> tuple[NDArray[Any], NDArray[Any], dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Return points, cells, point data and cell data of a file that `write` wrote.

    Raises:
        InputError: If the file is missing, damaged, of another program, or has a tensor whose
            components it does not name.
    """
    import meshio

    with reading(path):
        mesh = meshio.vtu.read(path)
        (block,) = mesh.cells
        found = mesh.point_data, {name: values for name, (values,) in mesh.cell_data.items()}
        for section, arrays in zip(("PointData", "CellData"), found, strict=True):
            for item in ET.parse(path).getroot().iterfind(f".//{section}/DataArray"):
                if item.get("NumberOfComponents") != "6":
                    continue
                words = [item.get(f"ComponentName{k}", "").lower() for k in range(6)]
                name = item.attrib["Name"]
                if sorted(words) != sorted(COMPONENTS):
                    raise damaged(
                        path,
                        f"{name!r} does not name its six components; femssb before 0.3 wrote them "
                        "in an order that ParaView misreads",
                    )
                arrays[name] = _turned(arrays[name], [words.index(word) for word in COMPONENTS])
        return mesh.points, block.data, *found


def _for_vtk(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return arrays in VTK's order, and names that meshio can put into XML as they are."""
    return {
        escape(name, {'"': "&quot;"}): _turned(array, _TO_VTK) for name, array in arrays.items()
    }


def _turned(values: NDArray[Any], order: list[int]) -> NDArray[Any]:
    """Return values with their six components in another order, others as they are."""
    return np.ascontiguousarray(values[:, order]) if values.shape[1:] == (6,) else values

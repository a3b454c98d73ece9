"""Unstructured grids in VTK's XML format (.vtu), which ParaView, PyVista and meshio read.

Six components are a symmetric tensor: in memory xx yy zz yz xz xy (Voigt order, as everywhere in
femssb), in the file XX YY ZZ XY YZ XZ, which is what VTK's filters take them for. The file names
them, and a file that does not is refused: nothing else tells both orders apart.

Arrays are compressed with zlib in blocks, which carry checksums, and lie in the XML as base64.
Source: VTK File Formats, https://docs.vtk.org/en/latest/vtk_file_formats/vtkxml_file_format.html.
"""

import base64
import sys
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from femssb.errors import InputError
from femssb.tensors import COMPONENTS, VTK_COMPONENTS

Arrays = Mapping[str, NDArray[Any]]

_BLOCK = 1 << 16  # [byte] compressed at a time
_TYPES = {"Float64": np.float64, "Int64": np.int64, "UInt8": np.uint8}
_SHAPES = {4: 10, 3: 5}  # vertices of a mesh cell -> VTK's number of tetrahedra and triangles
_HEADER = {"type": "UnstructuredGrid", "version": "1.0", "header_type": "UInt64"}
_HEADER |= {"compressor": "vtkZLibDataCompressor", "byte_order": f"{sys.byteorder.title()}Endian"}


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
    count, corners = cells.shape
    topology = {
        "connectivity": cells.ravel(),
        "offsets": corners * np.arange(1, count + 1, dtype=np.int64),
        "types": np.full(count, _SHAPES[corners], np.uint8),
    }
    head = " ".join(f"{name}={quoteattr(value)}" for name, value in _HEADER.items())
    with path.open("w", encoding="ascii") as file:
        file.write(f'<?xml version="1.0"?>\n<VTKFile {head}>\n<UnstructuredGrid>\n')
        file.write(f'<Piece NumberOfPoints="{len(points)}" NumberOfCells="{count}">\n')
        for section, arrays in (
            ("Points", {"Points": points}),
            ("Cells", topology),
            ("PointData", point_data),
            ("CellData", cell_data),
        ):
            file.write(f"<{section}>\n")
            for name, values in arrays.items():
                file.writelines(_array(name, values))
            file.write(f"</{section}>\n")
        file.write("</Piece>\n</UnstructuredGrid>\n</VTKFile>\n")


def read(
    path: Path,
) -> tuple[NDArray[Any], NDArray[Any], dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Return points, cells, point data and cell data of a file that `write` wrote.

    Raises:
        InputError: If the file is missing, damaged, of another program, or has a tensor whose
            components it does not name.
    """
    try:
        root = ET.parse(path).getroot()
        if root.tag != "VTKFile" or dict(root.attrib) != _HEADER:
            raise ValueError("it was not written by femssb")
        (piece,) = root.findall("UnstructuredGrid/Piece")
        n, m = int(piece.attrib["NumberOfPoints"]), int(piece.attrib["NumberOfCells"])
        found = {
            section: {
                item.attrib["Name"]: _values(item, rows)
                for item in piece.findall(f"{section}/DataArray")
            }
            for section, rows in (("Points", n), ("Cells", None), ("PointData", n), ("CellData", m))
        }
        corners = found["Cells"]["connectivity"]
        cells = corners.reshape(m, corners.size // m if m else 4)
        return found["Points"]["Points"], cells, found["PointData"], found["CellData"]
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing") from error
    except (ET.ParseError, zlib.error, OSError, KeyError, ValueError, OverflowError) as error:
        raise InputError(f"{path} is damaged or of another program: {error}") from error


def _array(name: str, values: NDArray[Any]) -> Iterator[str]:
    """Yield the element of an array, piece by piece."""
    kind = next(word for word, of in _TYPES.items() if values.dtype == of)
    shape = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
    if values.shape[1:] == (6,):
        values = values[:, [COMPONENTS.index(word.lower()) for word in VTK_COMPONENTS]]
        shape += "".join(f' ComponentName{k}="{word}"' for k, word in enumerate(VTK_COMPONENTS))
    label = quoteattr(name).encode("ascii", "xmlcharrefreplace").decode()
    yield f'<DataArray type="{kind}" Name={label}{shape} format="binary">'
    content = memoryview(np.ascontiguousarray(values)).cast("B") if values.size else memoryview(b"")
    blocks = [content[k : k + _BLOCK] for k in range(0, len(content), _BLOCK)]
    packed = [zlib.compress(block) for block in blocks]
    sizes = [len(blocks), _BLOCK, len(content) % _BLOCK, *map(len, packed)]
    yield base64.b64encode(np.array(sizes, np.uint64).tobytes()).decode()
    yield base64.b64encode(b"".join(packed)).decode()
    yield "</DataArray>\n"


def _values(item: ET.Element, rows: int | None) -> NDArray[Any]:
    """Return the values of an array, which must have so many rows."""
    name, components = item.attrib["Name"], int(item.attrib.get("NumberOfComponents", 1))
    dtype = np.dtype(_TYPES[item.attrib["type"]])
    values = np.frombuffer(_unpacked((item.text or "").strip()), dtype)
    if rows is not None and values.size != rows * components:
        raise ValueError(f"{name!r} has {values.size} values, not {rows} x {components}")
    if "NumberOfComponents" in item.attrib:
        values = values.reshape(-1, components)
    if components != 6:
        return values
    words = [item.attrib.get(f"ComponentName{k}", "").lower() for k in range(6)]
    if sorted(words) != sorted(COMPONENTS):
        raise ValueError(
            f"{name!r} does not name its six components; femssb before 0.3 wrote them in an order"
            " that ParaView misreads"
        )
    return values[:, [words.index(word) for word in COMPONENTS]]


def _unpacked(text: str) -> bytes:
    """Return the bytes of an array: base64 of the sizes of its blocks, then of these."""
    count = int.from_bytes(base64.b64decode(text[:12], validate=True)[:8], sys.byteorder)
    if count > len(text):  # each block takes more
        raise ValueError(f"{count} blocks in {len(text)} letters")
    length = 4 * -(-8 * (3 + count) // 3)
    head = np.frombuffer(base64.b64decode(text[:length], validate=True), np.uint64).tolist()
    packed = base64.b64decode(text[length:], validate=True)
    _, full, last, *sizes = head
    if sum(sizes) != len(packed) or len(sizes) != count:
        raise ValueError("the sizes of its blocks are not those in the file")
    parts, start = [], 0
    for number, size in enumerate(sizes, start=1):
        expected = last if number == count and last else full
        unpacker = zlib.decompressobj()
        parts.append(unpacker.decompress(packed[start : start + size], expected + 1))
        if len(parts[-1]) != expected or not unpacker.eof or unpacker.unused_data:
            raise ValueError("a block is not as long as it says")
        start += size
    return b"".join(parts)

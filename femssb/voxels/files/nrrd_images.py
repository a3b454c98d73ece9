"""Images in NRRD, of 3D Slicer, Dragonfly, ITK and teem."""

from pathlib import Path
from typing import Any

import numpy as np

from femssb.environment.isolation import damaged, in_child
from femssb.environment.packages import load
from femssb.errors import InputError
from femssb.voxels import image as images
from femssb.voxels.files.content import Content, Values, check, unit_of

# Types of numbers, in the spellings of the format.
_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "uint64", "uint64_t"), "u8"),
    **{"float": "f4", "double": "f8"},
}
_ALMOST = 1e-6  # share of an edge that may point along another axis: rounding of a file


def read_nrrd(path: Path) -> Content:
    """Return the array of a NRRD file, its first axis the fastest."""
    values, said = in_child(_nrrd_in_child, path, images.available_memory())
    return Content(values, "xyz"[: values.ndim], said)


def _nrrd_in_child(path: Path, free: int | None) -> tuple[Values, dict[str, Any]]:
    nrrd = load("nrrd", extra="images")
    with path.open("rb") as file:
        if not file.read(4) == b"NRRD":
            raise damaged(path, "it does not begin with NRRD")
        file.seek(0)
        header = nrrd.read_header(file)
        if any(name in header for name in ("data file", "datafile")):
            raise InputError(f"{path} has its values in another file: save them in one")
        shape = tuple(int(n) for n in header["sizes"])
        if any(kind in ("list", "vector", "point") for kind in header.get("kinds", ())):
            raise InputError(f"{path} holds several numbers per voxel, expected one")
        if header["type"] not in _TYPES:
            raise damaged(path, f"its type is {header['type']!r}")
        check(path, shape, np.dtype(_TYPES[header["type"]]), 3, free)
        values = nrrd.read_data(header, file, str(path), index_order="F")
    return values, _says(path, header)


def _says(path: Path, header: dict[str, Any]) -> dict[str, Any]:
    """Return the edges of a voxel, with their unit if there is one."""
    edges = header.get("spacings")
    units = header.get("units")
    directions = header.get("space directions")
    if directions is not None:
        rows = np.array([row for row in directions if row is not None], dtype=float)
        rows = rows[np.isfinite(rows).all(axis=-1)]
        if rows.ndim != 2 or len(rows) != header["dimension"]:
            raise damaged(path, f"its space directions are {directions!r}")
        edges = np.linalg.norm(rows, axis=1)
        own = np.abs(np.diagonal(rows))
        if np.any(own < (1 - _ALMOST) * edges):
            raise InputError(f"{path} is turned: its axes are not along x, y and z")
        units = header.get("space units")
    if edges is None:
        return {}
    metres = {unit_of(str(unit)) for unit in units} if units is not None else {None}
    edges = [float(edge) for edge in edges]
    if len(metres) == 1 and (metre := metres.pop()) is not None:
        return {"spacing": [edge * metre for edge in edges]}
    return {"unitless": edges}

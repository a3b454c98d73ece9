"""Meshes in Exodus II files: element blocks and side sets, by name or by number.

The files are NetCDF, either of its classic format or on HDF5; SciPy reads the one, h5py the other.

Source: Schoof and Yarberry, EXODUS II: A Finite Element Data Model, SAND92-2137, for the layout.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import netcdf_file

from femssb.arrays import Indices
from femssb.environment.hdf5 import check_data, check_links
from femssb.environment.packages import load
from femssb.errors import MeshError
from femssb.meshing.blocks import Blocks, Found, Key, sides

_HDF5 = b"\x89HDF"
_KINDS = {"TET": 3, "TRI": 2}  # beginnings of the names of elements -> dimension
_FLAT = ("SHELL", "BAR", "BEAM", "TRUSS", "SPHERE", "CIRCLE", "QUAD", "EDGE")


def read_exodus(path: Path) -> Found:
    """Return what a file holds.

    Raises:
        MeshError: If it is none, or has cells that are not tetrahedra.
    """
    with _variables(path) as (value, attribute):
        axes = [value(f"coord{letter}") for letter in "xyz"]
        together = value("coord")
        if together is not None:
            axes = list(together)
        if any(axis is None for axis in axes):
            raise MeshError(
                f"{path.name} is no Exodus file of a mesh in 3-D: it has no coordinates"
            )
        blocks = Blocks(path.name, np.column_stack(axes))
        solid: list[tuple[int, Indices]] = []  # first element of each block, and its tetrahedra
        first = 0
        for row, key in enumerate(_keys(value, "eb"), start=1):
            table = value(f"connect{row}")
            if table is None:
                continue
            kind = attribute(f"connect{row}", "elem_type").upper()
            dimension = next((d for name, d in _KINDS.items() if kind.startswith(name)), 0)
            if not dimension and not kind.startswith(_FLAT):
                raise MeshError(f"{path.name} has cells {kind!r}, which are not tetrahedra")
            if dimension:
                corners = blocks.straight(dimension, np.asarray(table, np.int64) - 1)
                blocks.add(dimension, key, corners)
                if dimension == 3:
                    blocks.count(len(corners))
                    solid.append((first, corners))
            first += len(table)
        for row, key in enumerate(_keys(value, "ss"), start=1):
            elements, faces = value(f"elem_ss{row}"), value(f"side_ss{row}")
            if elements is None or faces is None:
                continue
            at, face = np.asarray(elements, np.int64) - 1, np.asarray(faces, np.int64)
            for start, corners in solid:
                inside = (at >= start) & (at < start + len(corners))
                if inside.any():
                    blocks.add(2, key, sides("exodus", corners[at[inside] - start], face[inside]))
    return blocks.found()


_Value = Callable[[str], Any]
_Attribute = Callable[[str, str], str]


@contextmanager
def _variables(path: Path) -> Iterator[tuple[_Value, _Attribute]]:
    """Open a file; yield what reads a variable, None if there is none, and an attribute of one."""
    with path.open("rb") as stream:
        modern = stream.read(4) == _HDF5
    if not modern:
        with netcdf_file(path, "r", mmap=False) as file:
            yield (
                lambda name: file.variables[name].data if name in file.variables else None,
                lambda name, key: _text(getattr(file.variables[name], key, b"")),
            )
        return
    with load("h5py", extra="particles").File(path, "r") as file:
        check_links(path, file)

        def value(name: str) -> Any:
            if name not in file:
                return None
            check_data(path, file[name])
            return file[name][()]

        yield value, lambda name, key: _text(file[name].attrs.get(key, b""))


def _keys(value: _Value, of: str) -> list[Key]:
    """Return the name, or else the number, of each block or set."""
    numbers = value(f"{of}_prop1")
    if numbers is None:
        return []
    names = value(f"{of}_names")
    words = [""] * len(numbers) if names is None else [_text(np.asarray(one)) for one in names]
    keys: list[Key] = [
        word or int(number) for word, number in zip(words, numbers.tolist(), strict=True)
    ]
    return keys


def _text(raw: Any) -> str:
    """Return a word that is kept as bytes."""
    if isinstance(raw, np.ndarray):
        raw = raw.astype("S1").tobytes()
    return (raw.decode() if isinstance(raw, bytes) else str(raw)).split("\0")[0].strip()

"""Dumps of LAMMPS and LIGGGHTS: text, one frame after the other.

They rarely name their units: the reader must. The box is that of the simulation: planes inside it
that pressed the spheres are not in the file.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from femssb.arrays import Array
from femssb.environment.isolation import damaged
from femssb.errors import InputError
from femssb.packing.files.shapes import check_spheres
from femssb.packing.files.spheres import Spheres, length_unit, numbers
from femssb.packing.packing import Packing
from femssb.tables import read_text

_START = "ITEM: TIMESTEP"
_COLUMNS = {  # with numbers, by the names that LAMMPS and LIGGGHTS give them
    *("id", "radius", "diameter", "x", "y", "z"),
    *("xu", "yu", "zu", "xs", "ys", "zs", "xsu", "ysu", "zsu"),
}
_TYPES = ("type", "typelabel", "element")  # the first of them that is there
_SIDE = re.compile("[pfsm]{2}")
_TILT = 1e-9  # largest tilt of a box that is none, over its shortest edge


def dump_text(packing: Packing, units: str) -> str:
    """Return a dump of one frame; types count from 1 in the order of the phase names."""
    unit = length_unit(units)
    columns = packing.ids, packing.phases + 1, packing.radii / unit, packing.positions / unit
    table = np.column_stack([np.asarray(column) for column in columns])
    edges = " ".join("pp" if side else "ff" for side in packing.periodic)
    corners = np.column_stack([packing.lower, packing.upper]) / unit
    bounds = "".join(f"{low:.17g} {high:.17g}\n" for low, high in corners)
    text = io.StringIO()
    text.write(f"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{len(table)}\n")
    text.write(f"ITEM: BOX BOUNDS {edges}\n{bounds}ITEM: ATOMS id type radius x y z\n")
    np.savetxt(text, table, fmt="%d %d %.17g %.17g %.17g %.17g")
    return text.getvalue()


class Dump:
    """The frames of a dump, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = read_text(path).splitlines()
        self._starts = [i for i, line in enumerate(self._lines) if line.startswith(_START)]
        if not self._starts:
            raise InputError(f"read: {path.name} has no 'ITEM: TIMESTEP': it is not a dump")
        pairs = zip(self._lines, self._lines[1:], strict=False)
        said = [after.strip() for line, after in pairs if line == "ITEM: UNITS"]
        self._units = said[-1] if said else None

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._starts)

    def __getitem__(self, frame: int) -> Spheres:
        """Return the spheres of a frame."""
        path, ends = self._path, [*self._starts[1:], len(self._lines)]
        items = _items(path, self._lines[self._starts[frame] : ends[frame]])
        words, bounds = items["BOX BOUNDS"]
        columns, lines = items["ATOMS"]
        corners, sides = _box(path, words, bounds)
        count = int(items["NUMBER OF ATOMS"][1][0])
        if len(lines) != count:
            raise InputError(
                f"read: a frame of {path.name} announces {count} spheres but has "
                f"{len(lines)} lines: it is cut short"
            )
        check_spheres(path, columns)
        rows = [line.split() for line in lines]
        used = [i for i, name in enumerate(columns) if name in _COLUMNS]
        table = numbers(path, rows, len(columns), used)
        found = {columns[i]: values for i, values in zip(used, table.T, strict=True)}
        ids, radii, positions = _columns(path, found, corners)
        return Spheres(
            ids=ids,
            radii=radii,
            positions=positions,
            types=_types(path, columns, rows),
            corners=corners,
            sides=[side == "pp" for side in sides] if sides else None,
            units=self._units,
            about={"timestep": int(items["TIMESTEP"][1][0])},
        )


def _items(path: Path, lines: Sequence[str]) -> dict[str, tuple[list[str], list[str]]]:
    """Return the items of a frame by name: the words that follow it, and its lines."""
    items: dict[str, tuple[list[str], list[str]]] = {}
    name = ""
    for line in lines:
        if line.startswith("ITEM: "):
            words = line.split()[1:]
            upper = [word for word in words if word.isupper()]
            name = " ".join(upper)
            if name in items:
                raise InputError(f"read: a frame of {path.name} has {name!r} twice")
            items[name] = (words[len(upper) :], [])
        else:
            items[name][1].append(line)
    for wanted in ("NUMBER OF ATOMS", "BOX BOUNDS", "ATOMS"):
        if wanted not in items:
            raise InputError(f"read: a frame of {path.name} lacks 'ITEM: {wanted}'")
    return items


def _box(path: Path, words: Sequence[str], bounds: Sequence[str]) -> tuple[Array, Sequence[str]]:
    """Return corners and kinds of sides of a box, which may be skewed by nothing."""
    if len(bounds) != 3:
        raise damaged(path, f"its box has {len(bounds)} lines, expected three")
    table = [[float(word) for word in line.split()] for line in bounds]
    if list(words[:2]) == ["abc", "origin"]:
        vectors, width, sides = np.array([row[:3] for row in table]), 4, words[2:]
    elif list(words[:3]) == ["xy", "xz", "yz"]:
        vectors, width, sides = np.diag([row[2] for row in table if len(row) == 3]), 3, words[3:]
        vectors = vectors[[1, 2, 0]] if len(vectors) == 3 else vectors
    else:
        vectors, width, sides = np.zeros((3, 3)), 2, words
    if any(len(row) != width for row in table):
        raise damaged(path, f"its box has the lines {list(bounds)}")
    if width == 4:
        low = np.array([row[3] for row in table])
        corners = np.array([low, low + np.diagonal(vectors)])
    else:
        corners = np.array([row[:2] for row in table]).T
    tilt = np.abs(vectors - np.diag(np.diagonal(vectors))).max()
    if tilt > _TILT * np.abs(corners[1] - corners[0]).min():
        raise InputError(f"read: {path.name} has a skewed box, which a packing cannot have")
    if sides and not (len(sides) == 3 and all(_SIDE.fullmatch(side) for side in sides)):
        raise InputError(
            f"read: {path.name} has sides {list(sides)}, expected pp, ff ... across x y z"
        )
    return corners, sides


def _types(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Array | list[str]:
    """Return the type of each sphere: a number, or a word."""
    name = next((name for name in _TYPES if name in columns), None)
    if name is None:
        raise InputError(f"read: {path.name} lacks the column 'type'")
    words = [row[columns.index(name)] for row in rows]
    try:
        return np.array([float(word) for word in words])
    except ValueError:
        return words


def _columns(path: Path, found: Mapping[str, Array], corners: Array) -> tuple[Array, Array, Array]:
    """Return numbers, radii and centres of the spheres from the columns of a dump."""
    if "id" not in found:
        raise InputError(f"read: {path.name} lacks the column 'id'")
    if "radius" not in found and "diameter" not in found:
        raise InputError(f"read: {path.name} lacks the column 'radius' or 'diameter'")
    places = []
    for axis, low, high in zip("xyz", *corners, strict=True):
        plain = found.get(axis, found.get(axis + "u"))
        scaled = found.get(axis + "s", found.get(axis + "su"))
        if plain is not None:
            places.append(plain)
        elif scaled is not None:
            places.append(low + scaled * (high - low))
        else:
            raise InputError(f"read: {path.name} lacks the column {axis!r}")
    radii = found["radius"] if "radius" in found else found["diameter"] / 2
    return found["id"], radii, np.column_stack(places)

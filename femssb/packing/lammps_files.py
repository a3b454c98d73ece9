"""Text files of LAMMPS and LIGGGHTS: dumps and data files.

These files name neither their units nor their types: the reader must. The box of a dump is that of
the simulation: planes inside it that pressed the spheres are not in the file.
"""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from femssb.arrays import Array
from femssb.errors import InputError, check_number
from femssb.packing.packing import Packing

Box = tuple[Sequence[float], Sequence[float]] | None
Sides = tuple[bool, bool, bool] | None

LENGTH = {"si": 1.0, "micro": 1e-6}  # unit of length [m]
DENSITY = {"si": 1.0, "micro": 1e3}  # unit of density [kg/m3]; pg/um3 is 1000 kg/m3
_SUM = re.compile(r", sha256=([0-9a-f]{64})$")  # at the end of the first line of a data file
_COLUMNS = {  # of a dump, by the names that LAMMPS and LIGGGHTS give them
    *("id", "type", "radius", "diameter", "x", "y", "z"),
    *("xu", "yu", "zu", "xs", "ys", "zs", "xsu", "ysu", "zsu"),
}


def length_unit(units: str) -> float:
    """Return the unit of length of a LAMMPS unit style, which must be one of `LENGTH` [m]."""
    if units not in LENGTH:
        raise InputError(f"units = {units!r} must be one of {', '.join(map(repr, LENGTH))}")
    return LENGTH[units]


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


def data_text(packing: Packing, units: str, densities: Mapping[str, float]) -> str:
    """Return a data file of atom style sphere; atom identifiers count from 1, as LAMMPS wants."""
    unit = length_unit(units)
    for name in packing.phase_names:
        if name not in densities:
            raise InputError(f"write: densities lacks {name!r}, which a data file needs [kg/m3]")
        check_number("write", f"densities[{name!r}]", densities[name], lower=1, upper=1e5)
    density = np.array([densities[name] for name in packing.phase_names]) / DENSITY[units]
    ids = np.asarray(packing.ids, dtype=np.int64)
    ids = ids + 1 - min(int(ids.min(initial=0)), 0)
    columns = ids, packing.phases + 1, 2 * packing.radii / unit, density[packing.phases]
    table = np.column_stack([*columns, packing.positions / unit])
    text = io.StringIO()
    text.write(f"\n{len(table)} atoms\n")
    text.write(f"{len(packing.phase_names)} atom types\n\n")
    for axis, a, b in zip("xyz", packing.lower / unit, packing.upper / unit, strict=True):
        text.write(f"{a:.17g} {b:.17g} {axis}lo {axis}hi\n")
    text.write("\nAtoms # sphere\n\n")
    np.savetxt(text, table, fmt="%d %d %.17g %.17g %.17g %.17g %.17g")
    title, rest = f"Packing of femssb, units {units}", text.getvalue()
    return f"{title}, sha256={hashlib.sha256(f'{title}\n{rest}'.encode()).hexdigest()}\n{rest}"


def read_dump(
    path: Path, units: str, phases: Mapping[int, str], box: Box, periodic: Sides
) -> Packing:
    """Read the last frame of a dump; see `femssb.packing.files.read`."""
    unit = length_unit(units)
    lines = _lines(path)
    starts = [i for i, line in enumerate(lines) if line.startswith("ITEM: TIMESTEP")]
    if not starts:
        raise InputError(f"read: {path.name} has no 'ITEM: TIMESTEP': it is not a dump")
    items: dict[str, tuple[list[str], list[str]]] = {}
    name = ""
    for line in lines[starts[-1] :]:
        if line.startswith("ITEM: "):
            words = line.split()[1:]
            upper = [word for word in words if word.isupper()]
            name = " ".join(upper)
            items[name] = (words[len(upper) :], [])
        else:
            items[name][1].append(line)
    for wanted in ("NUMBER OF ATOMS", "BOX BOUNDS", "ATOMS"):
        if wanted not in items:
            raise InputError(f"read: the last frame of {path.name} lacks 'ITEM: {wanted}'")
    sides, bounds = items["BOX BOUNDS"]
    if "xy" in sides:
        raise InputError(f"read: {path.name} has a skewed box, which a packing cannot have")
    columns, rows = items["ATOMS"]
    count = int(items["NUMBER OF ATOMS"][1][0])
    if len(rows) != count or len(bounds) != 3:
        raise InputError(
            f"read: the last frame of {path.name} announces {count} spheres but has {len(rows)} "
            "lines: it is cut short"
        )
    used = [i for i, name in enumerate(columns) if name in _COLUMNS]
    corners = np.array([line.split() for line in bounds], dtype=float)[:, :2].T
    found = {columns[i]: v for i, v in zip(used, _numbers(path, rows, used).T, strict=True)}
    for wanted in ("id", "type"):
        if wanted not in found:
            raise InputError(f"read: {path.name} lacks the column {wanted!r}")
    if "radius" not in found and "diameter" not in found:
        raise InputError(f"read: {path.name} lacks the column 'radius' or 'diameter'")
    radii = found["radius"] if "radius" in found else found["diameter"] / 2
    spheres = [found["id"], found["type"], radii]
    for axis, low, high in zip("xyz", *corners, strict=True):
        plain = found.get(axis, found.get(axis + "u"))
        scaled = found.get(axis + "s", found.get(axis + "su"))
        if plain is None and scaled is None:
            raise InputError(f"read: {path.name} lacks the column {axis!r}")
        spheres.append(low + scaled * (high - low) if plain is None else plain)
    joined = periodic or [side == "pp" for side in sides[:3]] or [False] * 3
    return _packing(path, np.column_stack(spheres), corners, unit, phases, box, joined)


def read_data(
    path: Path, units: str, phases: Mapping[int, str], box: Box, periodic: Sides
) -> Packing:
    """Read the spheres of a data file; see `femssb.packing.files.read`."""
    unit = length_unit(units)
    lines = _lines(path)
    _check_sum(path, lines)
    words = [line.partition("#")[0].split() for line in lines]
    count = next((int(w[0]) for w in words if len(w) == 2 and w[1] == "atoms"), None)
    start = next((i for i, w in enumerate(words) if w == ["Atoms"]), None)
    if count is None or start is None:
        raise InputError(f"read: {path.name} has no number of atoms or no section 'Atoms'")
    style = lines[start].partition("#")[2].strip()
    if style not in ("sphere", ""):
        raise InputError(f"read: {path.name} has atom style {style!r}, 'sphere' is needed")
    bounds = {w[2]: (float(w[0]), float(w[1])) for w in words if len(w) == 4 and w[2][1:] == "lo"}
    if any(w[3:] == ["xy", "xz", "yz"] for w in words):
        raise InputError(f"read: {path.name} has a skewed box, which a packing cannot have")
    if set(bounds) != {"xlo", "ylo", "zlo"}:
        raise InputError(f"read: {path.name} does not give its box")
    rows = [lines[i] for i in range(start + 1, len(lines)) if words[i]][:count]
    if len(rows) < count:
        raise InputError(f"read: {path.name} announces {count} spheres but has {len(rows)}")
    table = _numbers(path, rows, range(7))
    corners = np.array([bounds["xlo"], bounds["ylo"], bounds["zlo"]]).T
    spheres = np.column_stack([table[:, :2], table[:, 2] / 2, table[:, 4:]])
    return _packing(path, spheres, corners, unit, phases, box, periodic or [False] * 3)


def _packing(
    path: Path,
    spheres: Array,
    corners: Array,
    unit: float,
    phases: Mapping[int, str],
    box: Box,
    periodic: Sequence[bool],
) -> Packing:
    """Return a packing of spheres with identifier, type, radius and centre, in the unit."""
    types = spheres[:, 1]
    present = sorted({int(kind) for kind in types})
    if unnamed := [kind for kind in present if kind not in phases]:
        raise InputError(f"read: {path.name} has types {unnamed}, which phases does not name")
    names = tuple(dict.fromkeys(phases[kind] for kind in sorted(phases)))
    spheres = spheres[np.argsort(spheres[:, 0])]  # ranks write in the order in which they own
    kinds = {kind: names.index(phases[kind]) for kind in present}
    lower, upper = box or corners * unit
    return Packing(
        positions=spheres[:, 3:] * unit,
        radii=spheres[:, 2] * unit,
        phases=np.array([kinds[int(kind)] for kind in spheres[:, 1]]),
        ids=spheres[:, 0].astype(np.int64),
        phase_names=names,
        lower=np.array(lower),
        upper=np.array(upper),
        periodic=(periodic[0], periodic[1], periodic[2]),
        origin={"file": path.name},
    )


def _lines(path: Path) -> list[str]:
    """Return the lines of a file, the last of which must be whole: half a number is one too."""
    text = path.read_text()
    if text and not text.endswith("\n"):
        raise InputError(f"read: the last line of {path.name} does not end: it is cut short")
    return text.splitlines()


def _check_sum(path: Path, lines: Sequence[str]) -> None:
    """Check that a data file of femssb is as it was written; others have no checksum."""
    found = _SUM.search(lines[0]) if lines else None
    if found is None:
        return
    text = "\n".join([_SUM.sub("", lines[0]), *lines[1:], ""])
    if hashlib.sha256(text.encode()).hexdigest() != found[1]:
        raise InputError(
            f"read: {path.name} is damaged or cut short: it differs from what was written; if you "
            "have changed it, take sha256 out of its first line"
        )


def _numbers(path: Path, rows: Sequence[str], columns: Sequence[int]) -> Array:
    """Return some columns of every row; the others may hold words."""
    try:
        table = np.loadtxt(rows, usecols=columns, ndmin=2)
    except (ValueError, IndexError) as error:
        raise InputError(f"read: {path.name} has a line that is no sphere: {error}") from error
    if len(table) != len(rows):
        raise InputError(f"read: {path.name} has empty lines among its spheres")
    return table

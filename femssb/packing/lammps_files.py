"""Text files of LAMMPS and LIGGGHTS: dumps and data files.

These files rarely name their units and never their types: the reader must. The box of a dump is
that of the simulation: planes inside it that pressed the spheres are not in the file.
"""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from femssb.arrays import Array, Indices
from femssb.environment.isolation import reading
from femssb.errors import InputError, check_number
from femssb.packing.packing import Packing
from femssb.tables import read_text

Box = tuple[Sequence[float], Sequence[float]] | None
Sides = tuple[bool, bool, bool] | None

LENGTH = {"si": 1.0, "micro": 1e-6}  # unit of length [m]
DENSITY = {"si": 1.0, "micro": 1e3}  # unit of density [kg/m3]; pg/um3 is 1000 kg/m3
_SUM = re.compile(r", sha256=([0-9a-f]{64})$")  # at the end of the first line of a data file
_COLUMNS = {  # of a dump, by the names that LAMMPS and LIGGGHTS give them
    *("id", "type", "radius", "diameter", "x", "y", "z"),
    *("xu", "yu", "zu", "xs", "ys", "zs", "xsu", "ysu", "zsu"),
}
RADII = (1e-10, 1e-2)  # [m] anything outside is a slip of units
LARGEST_WHOLE = 2**53  # beyond it, numbers with a fraction skip some
_SIDE = re.compile("[pfsm]{2}")
# Columns of particles that are no spheres, as LAMMPS, LIGGGHTS and OVITO name them.
_NO_SPHERES = re.compile(
    r"shape|quat|orient|blockiness|roundness|corner|ellips|superq|c_q\[", re.IGNORECASE
)
_BODIES = ("ellipsoids", "lines", "triangles", "bodies")  # in the head of a data file
_TRICLINIC = (["avec"], ["bvec"], ["cvec"])
# First lines of data files.
_OURS = re.compile(r"Packing of femssb, units (\w+), sides (pp|ff) (pp|ff) (pp|ff)")
_OF_LAMMPS = re.compile(r"LAMMPS data file.* units = (\w+)")


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
    sides = " ".join("pp" if side else "ff" for side in packing.periodic)
    title, rest = f"Packing of femssb, units {units}, sides {sides}", text.getvalue()
    return f"{title}, sha256={hashlib.sha256(f'{title}\n{rest}'.encode()).hexdigest()}\n{rest}"


def read_dump(
    path: Path, units: str | None, phases: Mapping[int, str], box: Box, periodic: Sides
) -> Packing:
    """Read the last frame of a dump; see `femssb.packing.files.read`."""
    with reading(path):
        lines = read_text(path).splitlines()
        starts = [i for i, line in enumerate(lines) if line.startswith("ITEM: TIMESTEP")]
        if not starts:
            raise InputError(f"read: {path.name} has no 'ITEM: TIMESTEP': it is not a dump")
        said = [lines[i + 1].strip() for i, line in enumerate(lines[:-1]) if line == "ITEM: UNITS"]
        unit = _unit(path, units, said[-1] if said else None)
        items = _items(path, lines[starts[-1] :])
        sides, bounds = items["BOX BOUNDS"]
        columns, rows = items["ATOMS"]
        if "xy" in sides or "abc" in sides or any(len(line.split()) != 2 for line in bounds):
            raise InputError(f"read: {path.name} has a skewed box, which a packing cannot have")
        if sides and not (len(sides) == 3 and all(_SIDE.fullmatch(side) for side in sides)):
            raise InputError(
                f"read: {path.name} has sides {sides}, expected pp, ff ... across x y z"
            )
        count = int(items["NUMBER OF ATOMS"][1][0])
        if len(rows) != count or len(bounds) != 3:
            raise InputError(
                f"read: the last frame of {path.name} announces {count} spheres but has "
                f"{len(rows)} lines: it is cut short"
            )
        if odd := [name for name in columns if _NO_SPHERES.search(name)]:
            raise InputError(
                f"read: {path.name} has the columns {odd}: its particles are no spheres"
            )
        corners = np.array([line.split() for line in bounds], dtype=float).T
        used = [i for i, name in enumerate(columns) if name in _COLUMNS]
        table = _numbers(path, rows, len(columns), used)
        found = {columns[i]: values for i, values in zip(used, table.T, strict=True)}
        spheres = _spheres(path, found, corners)
        joined = periodic or [side == "pp" for side in sides]
        return _packing(path, spheres, corners, unit, phases, box, joined)


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
                raise InputError(f"read: the last frame of {path.name} has {name!r} twice")
            items[name] = (words[len(upper) :], [])
        else:
            items[name][1].append(line)
    for wanted in ("NUMBER OF ATOMS", "BOX BOUNDS", "ATOMS"):
        if wanted not in items:
            raise InputError(f"read: the last frame of {path.name} lacks 'ITEM: {wanted}'")
    return items


def _spheres(path: Path, found: Mapping[str, Array], corners: Array) -> Array:
    """Return identifier, type, radius and centre of each sphere from the columns of a dump."""
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
        if plain is not None:
            spheres.append(plain)
        elif scaled is not None:
            spheres.append(low + scaled * (high - low))
        else:
            raise InputError(f"read: {path.name} lacks the column {axis!r}")
    return np.column_stack(spheres)


def read_data(
    path: Path,
    units: str | None,
    phases: Mapping[int, str],
    box: Box,
    periodic: Sides,
    style: str | None,
) -> Packing:
    """Read the spheres of a data file; see `femssb.packing.files.read`."""
    with reading(path):
        lines = read_text(path).splitlines()
        _check_sum(path, lines)
        head = lines[0] if lines else ""
        ours, said = _OURS.match(head), _OURS.match(head) or _OF_LAMMPS.match(head)
        unit = _unit(path, units, said[1] if said else None)
        words = [line.partition("#")[0].split() for line in lines]
        counts = {w[1]: int(w[0]) for w in words if len(w) == 2 and w[0].isdigit()}
        start = next((i for i, w in enumerate(words) if w == ["Atoms"]), None)
        if "atoms" not in counts or start is None:
            raise InputError(f"read: {path.name} has no number of atoms or no section 'Atoms'")
        named = lines[start].partition("#")[2].strip()
        if not named and style is None:
            raise InputError(
                f"read: {path.name} does not name its atom style after 'Atoms', and many styles "
                "have as many columns: give style='sphere' if it is that"
            )
        if (named or style) != "sphere":
            given = named or style
            raise InputError(f"read: {path.name} has atom style {given!r}, 'sphere' is needed")
        if odd := [kind for kind in _BODIES if counts.get(kind, 0)]:
            raise InputError(f"read: {path.name} has {', '.join(odd)}: they are no spheres")
        ends = [w for w in words[:start] if len(w) == 4 and w[2:] == [w[2], f"{w[2][0]}hi"]]
        bounds = {w[2]: (float(w[0]), float(w[1])) for w in ends}
        if any(w[3:] == ["xy", "xz", "yz"] or w[3:] in _TRICLINIC for w in words[:start]):
            raise InputError(f"read: {path.name} has a skewed box, which a packing cannot have")
        if sorted(w[2] for w in ends) != ["xlo", "ylo", "zlo"]:
            raise InputError(f"read: {path.name} does not give its box, or gives it twice")
        filled = [words[i] for i in range(start + 1, len(lines)) if words[i]]
        count = counts["atoms"]
        rows, after = filled[:count], filled[count : count + 1]
        if len(rows) < count or (after and after[0][0][0].isdigit()):
            raise InputError(
                f"read: {path.name} announces {count} spheres but has "
                f"{'fewer' if len(rows) < count else 'more'}"
            )
        width = len(rows[0]) if rows else 7
        if width not in (7, 10):  # with three periods of the image
            raise InputError(f"read: {path.name} has {width} columns, expected those of a sphere")
        table = _numbers(path, [" ".join(row) for row in rows], width, range(7))
        corners = np.array([bounds["xlo"], bounds["ylo"], bounds["zlo"]]).T
        spheres = np.column_stack([table[:, :2], table[:, 2] / 2, table[:, 4:]])
        joined = periodic or [side == "pp" for side in (ours.groups()[1:] if ours else ())]
        return _packing(path, spheres, corners, unit, phases, box, joined)


def packing(path: Path, fields: Mapping[str, Any]) -> Packing:
    """Return the packing of fields from a file, once they can be one in metres.

    Raises:
        InputError: If they cannot; it names the file.
    """
    try:
        made = Packing(**fields)
    except (InputError, TypeError) as error:  # fields of no packing
        raise InputError(f"read: {path.name}: {error}") from error
    lower, upper = RADII
    if len(made.radii) and not lower <= made.radii.min() <= made.radii.max() <= upper:
        raise InputError(
            f"read: {path.name} has radii from {made.radii.min():g} to {made.radii.max():g} m, "
            f"outside [{lower:g}, {upper:g}] m: is it in another unit?"
        )
    beyond = np.maximum(made.lower - made.positions, made.positions - made.upper)
    closed = ~np.array(made.periodic)
    lost = np.flatnonzero(np.any(closed & (beyond >= made.radii[:, None]), axis=1))
    if len(lost):
        others = f"; so do {len(lost) - 1} more" if len(lost) > 1 else ""
        raise InputError(
            f"read: {path.name}: sphere {np.asarray(made.ids)[lost[0]]} at "
            f"{made.positions[lost[0]]} m lies wholly beyond a side of the box, {made.lower} to "
            f"{made.upper} m, that is not periodic{others}"
        )
    return made


def whole_numbers(path: Path, name: str, values: Array) -> Indices:
    """Return numbers of a file that must be whole, and small enough to be so."""
    if not np.all((np.abs(values) <= LARGEST_WHOLE) & (values == np.round(values))):
        raise InputError(f"read: {path.name} has values of {name!r} that are no whole numbers")
    return values.astype(np.int64)


def _unit(path: Path, given: str | None, said: str | None) -> float:
    """Return the unit of length, from what was given and what the file says [m]."""
    if given is None and said is None:
        raise InputError(f"read: {path.name} does not say its units: give units='si' or 'micro'")
    if given is not None and said is not None and given != said:
        raise InputError(f"read: units = {given!r}, but {path.name} says that it is in {said!r}")
    return length_unit(given or str(said))


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
    if not len(periodic):
        raise InputError(
            f"read: {path.name} does not say which sides are periodic: give periodic, such as "
            "periodic=(True, True, False)"
        )
    spheres = spheres[np.argsort(spheres[:, 0])]  # ranks write in the order in which they own
    types = whole_numbers(path, "type", spheres[:, 1])
    present = sorted({*types.tolist()})
    if unnamed := [kind for kind in present if kind not in phases]:
        raise InputError(f"read: {path.name} has types {unnamed}, which phases does not name")
    names = tuple(dict.fromkeys(phases[kind] for kind in sorted(phases)))
    kinds = {kind: names.index(phases[kind]) for kind in present}
    lower, upper = box or corners * unit
    fields = {
        "positions": spheres[:, 3:] * unit,
        "radii": spheres[:, 2] * unit,
        "phases": np.array([kinds[kind] for kind in types.tolist()], dtype=np.int64),
        "ids": whole_numbers(path, "id", spheres[:, 0]),
        "phase_names": names,
        "lower": np.array(lower),
        "upper": np.array(upper),
        "periodic": tuple(periodic),
        "origin": {"file": path.name},
    }
    return packing(path, fields)


def _check_sum(path: Path, lines: Sequence[str]) -> None:
    """Check that a data file of femssb is as it was written; others have no checksum."""
    if not lines or "sha256" not in lines[0]:
        return
    found = _SUM.search(lines[0])
    text = "\n".join([_SUM.sub("", lines[0]), *lines[1:], ""])
    if found is None or hashlib.sha256(text.encode()).hexdigest() != found[1]:
        raise InputError(
            f"read: {path.name} is damaged or cut short: it differs from what was written; if you "
            "have changed it, take sha256 out of its first line"
        )


def _numbers(path: Path, rows: Sequence[str], width: int, columns: Sequence[int]) -> Array:
    """Return some columns of every row; the others may hold words."""
    if odd := [row for row in rows if len(row.split()) != width]:
        raise InputError(f"read: {path.name} has {width} columns, but a line {odd[0][:80]!r}")
    if not rows:
        return np.empty((0, len(columns)))
    try:
        return np.loadtxt(rows, usecols=columns, ndmin=2, comments=None)
    except ValueError as error:
        raise InputError(f"read: {path.name} has a line that is no sphere: {error}") from error

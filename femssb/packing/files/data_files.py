"""Data files of LAMMPS and LIGGGHTS: the columns are those of the atom style.

A file names its style in a comment after ``Atoms``, but not the parts of a hybrid one, and older
files none at all; many styles have as many columns as spheres.
"""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from femssb.arrays import Array
from femssb.errors import InputError, check_number
from femssb.packing.files.spheres import DENSITY, Spheres, length_unit, numbers
from femssb.packing.packing import Packing
from femssb.tables import read_text

_SUM = re.compile(r", sha256=([0-9a-f]{64})$")  # at the end of the first line
_BODIES = ("ellipsoids", "lines", "triangles", "bodies")  # in the head
# First lines.
_OURS = re.compile(r"Packing of femssb, units (\w+), sides (pp|ff) (pp|ff) (pp|ff)")
_OF_LAMMPS = re.compile(r"LAMMPS data file.* units = (\w+)")
_TILT = 1e-9  # largest tilt of a box that is none, over its shortest edge
_PLACE = ("x", "y", "z")
_SPHERE = ("id", "type", "diameter", "density", *_PLACE)
# Columns of the styles whose atoms have a diameter; LIGGGHTS calls its own granular.
_STYLES = {
    "sphere": _SPHERE,
    "granular": _SPHERE,
    "bpm/sphere": ("id", "molecule", "type", "diameter", "density", *_PLACE),
}
# What the parts of a hybrid style add to id, type and place, in their order.
_PARTS = {
    **{"atomic": (), "charge": ("charge",), "full": ("molecule", "charge")},
    **dict.fromkeys(("bond", "angle", "molecular"), ("molecule",)),
    **{"dipole": ("charge", "mux", "muy", "muz"), "sphere": ("diameter", "density")},
    **{"granular": ("diameter", "density"), "bpm/sphere": ("molecule", "diameter", "density")},
}


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


def spheres_in(path: Path, style: str | None) -> Spheres:
    """Return the spheres of a data file."""
    lines = read_text(path).splitlines()
    _check_sum(path, lines)
    head = lines[0] if lines else ""
    ours, said = _OURS.match(head), _OURS.match(head) or _OF_LAMMPS.match(head)
    words = [line.partition("#")[0].split() for line in lines]
    counts = {w[1]: int(w[0]) for w in words if len(w) == 2 and w[0].isdigit()}
    start = next((i for i, w in enumerate(words) if w == ["Atoms"]), None)
    if "atoms" not in counts or start is None:
        raise InputError(f"read: {path.name} has no number of atoms or no section 'Atoms'")
    columns = _layout(path, lines[start].partition("#")[2].strip(), style)
    if odd := [kind for kind in _BODIES if counts.get(kind, 0)]:
        raise InputError(f"read: {path.name} has {', '.join(odd)}: they are no spheres")
    filled = [words[i] for i in range(start + 1, len(lines)) if words[i]]
    count = counts["atoms"]
    rows, after = filled[:count], filled[count : count + 1]
    if len(rows) < count or (after and after[0][0][0].isdigit()):
        raise InputError(
            f"read: {path.name} announces {count} spheres but has "
            f"{'fewer' if len(rows) < count else 'more'}"
        )
    width = len(rows[0]) if rows else len(columns)
    if width - len(columns) not in (0, 3):  # with three periods of the image
        raise InputError(
            f"read: {path.name} has {width} columns, expected those of a sphere: "
            f"{' '.join(columns)}"
        )
    used = [columns.index(name) for name in ("id", "diameter", *_PLACE)]
    table = numbers(path, rows, width, used)
    labels = _labels(words[:start])
    types = [row[columns.index("type")] for row in rows]
    known = all(word in labels.values() for word in types) and bool(labels)
    return Spheres(
        ids=table[:, 0],
        radii=table[:, 1] / 2,
        positions=table[:, 2:],
        types=types if known else numbers(path, [[word] for word in types], 1, [0])[:, 0],
        labels=labels,
        corners=_corners(path, words[:start]),
        sides=[side == "pp" for side in ours.groups()[1:]] if ours else None,
        units=said[1] if said else None,
    )


def _layout(path: Path, named: str, given: str | None) -> tuple[str, ...]:
    """Return the names of the columns of an atom style that the file or the user names."""
    if not named and given is None:
        raise InputError(
            f"read: {path.name} does not name its atom style after 'Atoms', and many styles "
            "have as many columns: give style='sphere' if it is that"
        )
    if named == "hybrid" and given is None:
        raise InputError(
            f"read: {path.name} has atom style 'hybrid' and does not name its parts: give them in "
            "the order of its atom_style, such as style='hybrid sphere charge'"
        )
    style = given if named in ("", "hybrid") and given is not None else named
    if named == "hybrid" and style.split()[0] != "hybrid":
        raise InputError(f"read: style = {style!r}, but {path.name} has atom style 'hybrid'")
    if style in _STYLES:
        return _STYLES[style]
    first, *parts = style.split() or [""]
    if first != "hybrid" or not {*parts} <= {*_PARTS} or not {*parts} & {*_STYLES}:
        raise InputError(
            f"read: {path.name} has atom style {style!r}, but {', '.join(map(repr, _STYLES))} or "
            "a hybrid with one of them is needed: others are no spheres, or have no radius"
        )
    more = [name for part in parts for name in _PARTS[part]]
    if len({*more}) < len(more):
        raise InputError(f"read: {path.name} has atom style {style!r}, whose parts overlap")
    return ("id", "type", *_PLACE, *more)


def _labels(words: Sequence[Sequence[str]]) -> dict[int, str]:
    """Return the labels of the types, from the section in front of the atoms."""
    start = next((i for i, w in enumerate(words) if list(w) == ["Atom", "Type", "Labels"]), None)
    if start is None:
        return {}
    labels: dict[int, str] = {}
    for row in words[start + 1 :]:
        if len(row) == 2 and row[0].isdigit():
            labels[int(row[0])] = row[1]
        elif row:
            break
    return labels


def _corners(path: Path, words: Sequence[Sequence[str]]) -> Array:
    """Return the corners of the box, which may be skewed by nothing."""
    skewed = InputError(f"read: {path.name} has a skewed box, which a packing cannot have")
    vectors = {w[3]: [float(x) for x in w[:3]] for w in words if len(w) == 4 and "vec" in w[3]}
    if vectors:
        if sorted(vectors) != ["avec", "bvec", "cvec"]:
            raise InputError(f"read: {path.name} gives only {sorted(vectors)} of its box")
        edges = np.array([vectors[name] for name in sorted(vectors)])
        tilt = np.abs(edges - np.diag(np.diagonal(edges))).max()
        if tilt > _TILT * np.abs(np.diagonal(edges)).min() or np.diagonal(edges).min() <= 0:
            raise skewed
        origin = [w[:3] for w in words if list(w[3:]) == ["abc", "origin"]] or [["0", "0", "0"]]
        low = np.array([float(word) for word in origin[0]])
        return np.array([low, low + np.diagonal(edges)])
    ends = [w for w in words if len(w) == 4 and list(w[2:]) == [w[2], f"{w[2][0]}hi"]]
    if sorted(w[2] for w in ends) != ["xlo", "ylo", "zlo"]:
        raise InputError(f"read: {path.name} does not give its box, or gives it twice")
    bounds = {w[2]: (float(w[0]), float(w[1])) for w in ends}
    corners = np.array([bounds["xlo"], bounds["ylo"], bounds["zlo"]]).T
    tilts = [float(x) for w in words if list(w[3:]) == ["xy", "xz", "yz"] for x in w[:3]]
    if tilts and max(map(abs, tilts)) > _TILT * np.abs(corners[1] - corners[0]).min():
        raise skewed
    return corners


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

"""Packings in CSV: a row for each sphere; all but the contacts is kept."""

import contextlib
import csv
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.errors import InputError
from femssb.packing.files.spheres import Box, Sides, whole_numbers
from femssb.packing.packing import Packing
from femssb.tables import read_text

_CSV = ("id", "phase", "x [m]", "y [m]", "z [m]", "radius [m]")
# Branch, then force: stress is not always symmetric.
_CSV_STRESS = tuple(f"stress {i}{j} [Pa]" for i in "xyz" for j in "xyz")


def text(packing: Packing) -> str:
    """Return the file of a packing."""
    about = {
        "spheres": len(packing.radii),
        "lower": packing.lower.tolist(),
        "upper": packing.upper.tolist(),
        "periodic": packing.periodic,
        "phase_names": packing.phase_names,
        "origin": dict(packing.origin),
    }
    names = np.array(packing.phase_names)[packing.phases]
    columns = [np.asarray(packing.ids), names, *packing.positions.T, packing.radii]
    header = list(_CSV)
    if packing.stress is not None:
        header += _CSV_STRESS
        columns += list(packing.stress.reshape(-1, 9).T)
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*(np.asarray(column).tolist() for column in columns), strict=True))
    about["sha256"] = _sum_of(about, rows.getvalue())
    return f"# {json.dumps(about)}\n{rows.getvalue()}"


def _sum_of(about: Mapping[str, Any], rows: str) -> str:
    """Return the SHA-256 of what a CSV file holds."""
    rest = {name: value for name, value in about.items() if name != "sha256"}
    return hashlib.sha256(f"{json.dumps(rest)}\n{rows}".encode()).hexdigest()


def fields_in(path: Path, box: Box | None, periodic: Sides | None) -> dict[str, Any]:
    """Return the fields of the packing in a file."""
    text = read_text(path)
    about: dict[str, Any] = {}
    if text.startswith("#"):
        head, _, text = text.partition("\n")
        with contextlib.suppress(json.JSONDecodeError):  # a comment of another program
            found = json.loads(head[1:])
            about = found if isinstance(found, dict) else {}
    if "sha256" in about and about["sha256"] != _sum_of(about, text):
        raise InputError(
            f"read: {path.name} is damaged or cut short: it differs from what was written; if you "
            "have changed it, take sha256 out of its first line"
        )
    header, *rows = [*csv.reader(io.StringIO(text, newline=""), strict=True)] or [[]]
    rows = [row for row in rows if row]
    if box is None and "lower" not in about:
        raise InputError(f"read: {path.name} does not say its box: give box=(lower, upper)")
    lower, upper = (about["lower"], about["upper"]) if box is None else box
    if not rows:
        raise InputError(f"read: {path.name} has no rows")
    if "spheres" in about and len(rows) != about["spheres"]:
        announced = f"{path.name} announces {about['spheres']} spheres"
        raise InputError(f"read: {announced}, but has {len(rows)}: it is cut short or damaged")
    if missing := [name for name in _CSV if header.count(name) != 1]:
        raise InputError(f"read: {path.name} lacks the columns {missing}, or has them twice")
    if wrong := [row for row in rows if len(row) != len(header)]:
        raise InputError(f"read: {path.name} has {len(header)} columns, but a line {wrong[0]}")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))

    def column(name: str) -> NDArray[np.float64]:
        try:
            return np.array([float(word) for word in columns[name]])
        except ValueError as error:
            raise InputError(f"read: {path.name}, column {name!r}: {error}") from error

    names = tuple(about.get("phase_names", sorted({*columns["phase"]})))
    if unknown := {*columns["phase"]} - {*names}:
        raise InputError(f"read: {path.name} has phases {unknown}, which it does not announce")
    stress = None
    missing = [name for name in _CSV_STRESS if name not in header]
    if 0 < len(missing) < len(_CSV_STRESS):
        raise InputError(f"read: {path.name} has some components of the stress, but not {missing}")
    if not missing:
        stress = np.column_stack([column(name) for name in _CSV_STRESS]).reshape(-1, 3, 3)
    return {
        "positions": np.column_stack([column(name) for name in _CSV[2:5]]),
        "radii": column("radius [m]"),
        "phases": np.array([names.index(name) for name in columns["phase"]]),
        "ids": whole_numbers(path, "id", column("id")),
        "stress": stress,
        "lower": np.array(lower),
        "upper": np.array(upper),
        "periodic": periodic or tuple(about.get("periodic", (False, False, False))),
        "phase_names": names,
        "origin": about.get("origin", {"file": path.name}),
    }

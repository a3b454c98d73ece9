"""Spheres as a file has them, and the packing that they make with what the user adds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array, Indices
from femssb.environment.files import has_seal
from femssb.environment.isolation import damaged
from femssb.errors import InputError
from femssb.packing.packing import Packing

Units = Literal["si", "cgs", "micro", "nano", "real", "metal"]
Box = tuple[Sequence[float], Sequence[float]]
Sides = tuple[bool, bool, bool]

# Of LAMMPS: units of length [m] and of density [kg/m3].
LENGTH = {"si": 1.0, "cgs": 1e-2, "micro": 1e-6, "nano": 1e-9, "real": 1e-10, "metal": 1e-10}
DENSITY = {"si": 1.0, "cgs": 1e3, "micro": 1e3, "nano": 1e6, "real": 1e3, "metal": 1e3}
RADII = (1e-10, 1e-2)  # [m] anything outside is a slip of units
LARGEST_WHOLE = 2**53  # beyond it, numbers with a fraction skip some


class Given(NamedTuple):
    """What the user says of a file; None where it says so itself.

    Attributes:
        units: Of its lengths.
        phases: Name of the phase of every type, by its number or its label.
        box: Lower and upper corner [m].
        periodic: Whether the sides across x, y and z are periodic.
        style: Names the columns of a table that does not.
    """

    units: str | None
    phases: Mapping[int | str, str] | None
    box: Box | None
    periodic: Sides | None
    style: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Spheres:
    """Spheres of one frame, lengths in the unit of the file; None for what it does not say.

    Attributes:
        positions: Centres, shape (n, 3).
        radii: Shape (n,).
        ids: Numbers of the spheres, shape (n,).
        types: Numbers, or words: labels, which may serve as names.
        labels: Label of each number of a type.
        corners: Of the box, lower then upper, shape (2, 3).
        sides: Whether they are periodic.
        units: Of its lengths.
        about: What else is kept in the origin of the packing.
    """

    positions: Array
    radii: Array
    ids: Array | None = None
    types: Array | list[str] | None = None
    labels: Mapping[int, str] = field(default_factory=dict)
    corners: Array | None = None
    sides: Sequence[bool] | None = None
    units: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def length_unit(units: str) -> float:
    """Return the unit of length of a LAMMPS unit style, which must be one of `LENGTH` [m]."""
    if units not in LENGTH:
        raise InputError(f"units = {units!r} must be one of {', '.join(map(repr, LENGTH))}")
    return LENGTH[units]


def packing_of(path: Path, spheres: Spheres, given: Given) -> Packing:
    """Return the packing of spheres from a file.

    Raises:
        InputError: If neither the file nor the user says what is needed, or they contradict.
    """
    unit = _unit(path, given.units, spheres.units)
    if given.box is None and spheres.corners is None:
        raise InputError(f"read: {path.name} does not say its box: give box=(lower, upper)")
    lower, upper = given.box or np.asarray(spheres.corners) * unit
    sides = given.periodic or spheres.sides
    if sides is None:
        raise InputError(
            f"read: {path.name} does not say which sides are periodic: give periodic, such as "
            "periodic=(True, True, False)"
        )
    phases, names = _phases(path, spheres, given.phases)
    n = len(spheres.radii)
    numbers = np.arange(n) if spheres.ids is None else whole_numbers(path, "id", spheres.ids)
    order = np.argsort(numbers, kind="stable")  # ranks write in the order in which they own
    fields = {
        "positions": np.asarray(spheres.positions)[order] * unit,
        "radii": np.asarray(spheres.radii)[order] * unit,
        "phases": phases[order],
        "ids": numbers[order],
        "phase_names": names,
        "lower": np.array(lower),
        "upper": np.array(upper),
        "periodic": tuple(sides),
        "origin": {"file": path.name, **spheres.about},
    }
    return packing(path, fields)


def _phases(
    path: Path, spheres: Spheres, given: Mapping[int | str, str] | None
) -> tuple[Indices, tuple[str, ...]]:
    """Return the number of the phase of every sphere, and the names of the phases."""
    n = len(spheres.radii)
    if spheres.types is None:
        if not given or len({*given.values()}) != 1:
            raise InputError(
                f"read: {path.name} does not say the types of its spheres: give "
                "phases={1: 'AM'}, one name for all of them"
            )
        return np.zeros(n, dtype=np.int64), tuple({*given.values()})
    known: dict[int | str, str] = dict(given or {})
    types: list[int] | list[str]
    if isinstance(spheres.types, list):
        types, meaning = spheres.types, dict.fromkeys(sorted({*spheres.types}))
        if not known:
            known = {word: word for word in spheres.labels.values() or meaning}
        numbered = {label: number for number, label in spheres.labels.items()}
        known |= {word: known[numbered[word]] for word in meaning if numbered.get(word) in known}
    else:
        types = whole_numbers(path, "type", spheres.types).tolist()
        if not known and spheres.labels:
            known = {number: label for number, label in spheres.labels.items()}
        if not known:
            raise InputError(f"read: {path.name} numbers its types: give phases={{1: 'AM', ...}}")
        known |= {i: known[word] for i, word in spheres.labels.items() if word in known}
    present = sorted({*types})
    if unnamed := [kind for kind in present if kind not in known]:
        raise InputError(f"read: {path.name} has types {unnamed}, which phases does not name")
    names = tuple(dict.fromkeys(known[kind] for kind in sorted(known, key=_in_order)))
    place = {kind: names.index(known[kind]) for kind in present}
    return np.array([place[kind] for kind in types], dtype=np.int64), names


def _in_order(kind: int | str) -> tuple[bool, int, str]:
    """Sort numbers as such, then words."""
    return isinstance(kind, str), 0 if isinstance(kind, str) else kind, str(kind)


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
        raise InputError(
            f"read: {path.name} does not say its units: give units='si', 'micro', 'cgs' ..."
        )
    if given is not None and said is not None and given != said:
        raise InputError(f"read: units = {given!r}, but {path.name} says that it is in {said!r}")
    return length_unit(given or str(said))


def sides_of(path: Path, values: Any) -> Sides:
    """Return which sides are periodic, from the numbers 0 and 1 in a file."""
    sides = np.asarray(values)
    if sides.shape != (3,) or sides.dtype.kind not in "biu" or not np.isin(sides, (0, 1)).all():
        raise damaged(path, f"periodic is {values!r}")
    x, y, z = map(bool, sides)
    return x, y, z


def check_sealed(path: Path, sealed: object) -> None:
    """Raise InputError if a file says that it was sealed, and is not."""
    if sealed and not has_seal(path):
        raise InputError(f"read: {path.name} is damaged: it does not end in its checksum")


def numbers(path: Path, rows: Sequence[Sequence[str]], width: int, columns: Sequence[int]) -> Array:
    """Return some columns of a table, shape (rows, columns); the others may hold words."""
    if odd := [row for row in rows if len(row) != width]:
        line = " ".join(odd[0])[:80]
        raise InputError(f"read: {path.name} has {width} columns, but a line {line!r}")
    try:
        table = [[float(row[column]) for column in columns] for row in rows]
    except ValueError as error:
        raise InputError(f"read: {path.name} has a line that is no sphere: {error}") from error
    found: NDArray[np.float64] = np.array(table, dtype=np.float64).reshape(len(rows), len(columns))
    return found

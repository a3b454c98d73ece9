"""A packing of spheres in a box: plain data that particles make and voxels take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, shown
from femssb.units import um

SMALLEST, LARGEST = 1e-11, 10.0  # radii [m]: those beyond are not in metres
FARTHEST = 1e3  # place from zero [m]


@dataclass(frozen=True, kw_only=True, eq=False)
class Contacts:
    """Where the spheres of a packing touch each other and the planes, and with which force.

    A sphere touches planes only on sides that are not periodic. Rows are in no particular order.
    Spheres that overlap may feel no force: those that yielded and parted from their dent.

    Attributes:
        first: Row in the packing of one sphere, shape (m,).
        second: Row of the other sphere, or -1 for a plane, shape (m,).
        branches: From the centre of `first` to the centre of `second`, in the image that it
            touches, or to the nearest point of the plane, shape (m, 3) [m].
        forces: Force on `first`; `second` feels the opposite, shape (m, 3) [N].
        memory: History from which a law resumes, shape (m, k); None where the law has none, or it
            was not kept.

    Raises:
        InputError: If a field is no array of finite numbers of its shape, a row is below its
            bound, or two spheres that touch have one centre.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    branches: Array
    forces: Array
    memory: Array | None = None

    def __post_init__(self) -> None:
        _keep(self, np.int64, first=(None,))
        m = len(self.first)
        _keep(self, np.int64, second=(m,))
        _keep(self, np.float64, branches=(m, 3), forces=(m, 3))
        if self.memory is not None:
            _keep(self, np.float64, memory=(m, None))
        if m and (self.first.min() < 0 or self.second.min() < -1):
            raise InputError("Contacts.first must be rows from 0 on, Contacts.second from -1 on")
        if not np.all(np.any(self.branches[self.between_spheres] != 0, axis=1)):
            raise InputError("Contacts.branches: a contact between spheres has the length 0")

    @checked
    def part(self, rows: NDArray[Any]) -> Contacts:
        """Return some of the contacts: rows, or which ones, shape (m,).

        Raises:
            InputError: If there is no such row.
        """
        chosen, m = np.asarray(rows), len(self.first)
        if chosen.dtype == np.bool_ and chosen.shape == (m,):
            chosen = np.flatnonzero(chosen)
        whole = chosen.dtype.kind in "iu" or not chosen.size
        if chosen.ndim != 1 or not whole or np.any((chosen < -m) | (chosen >= m)):
            raise InputError(f"Contacts.part.rows must be some of {m} rows, got {shown(rows)}")
        columns = {item.name: getattr(self, item.name) for item in fields(self)}
        return replace(
            self,
            **{name: c[chosen.astype(np.int64)] for name, c in columns.items() if c is not None},
        )

    @property
    def between_spheres(self) -> NDArray[np.bool_]:
        """True for contacts with a sphere on both sides, shape (m,)."""
        return self.second >= 0

    @property
    def loaded(self) -> NDArray[np.bool_]:
        """True for contacts that carry a force, shape (m,)."""
        return np.asarray(np.any(self.forces != 0, axis=1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Packing:
    """Spheres of named phases in a box, some of whose sides may be periodic.

    Arrays are kept as read-only copies, and may be given as lists or tuples.

    Attributes:
        positions: Centres, shape (n, 3) [m]; those in a periodic direction may lie outside the box.
        radii: Shape (n,) [m].
        phases: Index into `phase_names` of each sphere, shape (n,).
        phase_names: Names of the phases, such as ``("AM", "SE")``.
        lower: Lower corner of the box, shape (3,) [m].
        upper: Upper corner of the box, shape (3,) [m].
        periodic: True where the sides across x, y and z are periodic.
        ids: Lasting number of each sphere, shape (n,); 0 to n - 1 if left out.
        origin: How the packing was made, as plain data: recipe, seed, stages.
        stress: Mean Cauchy stress in every sphere, tension positive, shape (n, 3, 3) [Pa]; None if
            not known.
        contacts: Where the spheres touch; None if not known.
        masses: Of the spheres, with the solvent in them, shape (n,) [kg]; None where the densities
            of their phases say all.

    Raises:
        InputError: If a field is of the wrong kind, shape or size, or the contacts are those of
            another packing.
    """

    positions: Array
    radii: Array
    phases: NDArray[np.int32]
    phase_names: tuple[str, ...]
    lower: Array
    upper: Array
    periodic: tuple[bool, bool, bool] = (False, False, False)
    ids: NDArray[np.int64] | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    stress: Array | None = None
    contacts: Contacts | None = None
    masses: Array | None = None

    def __post_init__(self) -> None:
        _keep(self, np.float64, radii=(None,), lower=(3,), upper=(3,))
        n = len(self.radii)
        if self.ids is None:
            object.__setattr__(self, "ids", np.arange(n))
        _keep(self, np.float64, positions=(n, 3))
        _keep(self, np.int32, phases=(n,))
        _keep(self, np.int64, ids=(n,))
        if self.stress is not None:
            _keep(self, np.float64, stress=(n, 3, 3))
        if self.masses is not None:
            _keep(self, np.float64, masses=(n,))
            if not np.all(self.masses > 0):
                raise InputError(f"Packing.masses: {self.masses.min():g} kg is not above 0")
        object.__setattr__(self, "phase_names", _names(self.phase_names))
        object.__setattr__(self, "periodic", sides_joined("Packing.periodic", self.periodic))
        object.__setattr__(self, "origin", _plain(self.origin))
        self._check_spheres()
        self._check_contacts()

    def __repr__(self) -> str:
        counts = np.bincount(self.phases, minlength=len(self.phase_names)).tolist()
        phases = ", ".join(f"{n} {name}" for name, n in zip(self.phase_names, counts, strict=True))
        box = " x ".join(f"{length / um:.4g}" for length in self.upper - self.lower)
        joined = "".join(axis for axis, ends in zip("xyz", self.periodic, strict=True) if ends)
        sides = f"periodic across {joined}" if joined else "without periodic sides"
        return f"<Packing of {len(self.radii)} spheres: {phases}; {box} um, {sides}>"

    def _check_spheres(self) -> None:
        """Raise InputError for a box or spheres that cannot be."""
        n, lower, upper = len(self.radii), self.lower, self.upper
        if np.any(upper <= lower):
            raise InputError(f"Packing.upper = {upper} m is not above lower = {lower} m")
        for name in ("lower", "upper", "positions"):
            farthest = float(np.max(np.abs(getattr(self, name)), initial=0.0))
            if farthest > FARTHEST:
                raise InputError(
                    f"Packing.{name} goes to {farthest:g} m, beyond {FARTHEST:g} m: in metres?"
                )
        if not n:
            return
        smallest, largest = float(self.radii.min()), float(self.radii.max())
        if smallest <= 0:
            raise InputError(f"Packing.radii: the smallest, {smallest:g} m, is not above 0")
        if not SMALLEST <= smallest <= largest <= LARGEST:
            raise InputError(
                f"Packing.radii goes from {smallest:g} to {largest:g} m, outside "
                f"[{SMALLEST:g}, {LARGEST:g}] m: are they in metres?"
            )
        if not 0 <= self.phases.min() <= self.phases.max() < len(self.phase_names):
            raise InputError(
                f"Packing.phases goes from {self.phases.min()} to {self.phases.max()}, but "
                f"phase_names = {self.phase_names!r}"
            )
        if len(np.unique(np.asarray(self.ids))) != n:
            raise InputError("Packing.ids: every sphere needs a number of its own")

    def _check_contacts(self) -> None:
        """Raise InputError for contacts of another packing."""
        if self.contacts is None:
            return
        if not isinstance(self.contacts, Contacts):
            raise InputError(f"Packing.contacts must be Contacts, got {type(self.contacts)}")
        last = max(self.contacts.first.max(initial=-1), self.contacts.second.max(initial=-1))
        if last >= len(self.radii):
            raise InputError(
                f"Packing.contacts names sphere {last}, but there are only {len(self.radii)}"
            )
        if all(self.periodic) and not self.contacts.between_spheres.all():
            raise InputError("Packing.contacts: contacts with planes, but all sides are periodic")

    @property
    def lengths(self) -> Array:
        """Edge lengths of the box, shape (3,) [m]."""
        return self.upper - self.lower

    @property
    def period(self) -> Array:
        """Period along each axis, 0 where the sides are planes, shape (3,) [m]."""
        return np.where(self.periodic, self.lengths, 0.0)

    @property
    def volumes(self) -> Array:
        """Volume of every sphere, overlaps not taken off, shape (n,) [m3]."""
        return 4 / 3 * np.pi * self.radii**3

    @checked
    def of_phase(self, name: str) -> NDArray[np.bool_]:
        """Return which spheres belong to a phase, shape (n,).

        Raises:
            InputError: If there is no such phase.
        """
        if name not in self.phase_names:
            raise InputError(f"Packing has no phase {name!r}; it has {self.phase_names!r}")
        return self.phases == self.phase_names.index(name)


def as_array[Kind: np.generic](
    place: str, value: Any, kind: type[Kind], shape: tuple[int | None, ...]
) -> NDArray[Kind]:
    """Return a read-only copy of an array that a user gave, with the type asked for.

    Args:
        place: Name of the field or argument, for messages.
        value: Array, list or tuple of numbers.
        kind: Whole numbers must not change when they become of it.
        shape: That it must have; None where any length will do.

    Raises:
        InputError: If it holds no numbers, numbers that are not finite, or has another shape.
    """
    if not isinstance(value, (list, tuple)) and not hasattr(value, "__array__"):
        raise InputError(f"{place} must be numbers in an array, got {shown(value)}")
    try:
        given = np.asanyarray(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{place} must be numbers: {error}") from error
    if given.dtype.kind not in "iuf":
        raise InputError(f"{place} must be numbers, got {given.dtype}: {shown(value)}")
    if np.ma.is_masked(given):
        raise InputError(f"{place} must be numbers, but some of them are masked")
    if len(given.shape) != len(shape) or any(
        n not in (None, m) for n, m in zip(shape, given.shape, strict=True)
    ):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        wanted = f"({wanted},)" if len(shape) == 1 else f"({wanted})"
        raise InputError(f"{place} has shape {given.shape}, expected {wanted}")
    if not np.all(np.isfinite(given)):
        raise InputError(f"{place} holds values that are not finite")
    with np.errstate(all="ignore"):  # what does not fit is found next
        array = np.array(given, dtype=kind, subok=False)
    whole = np.issubdtype(kind, np.integer)
    if (whole and not np.array_equal(array, given)) or not np.all(np.isfinite(array)):
        raise InputError(f"{place} must be {'whole ' * whole}numbers, got {shown(value)}")
    array.flags.writeable = False
    return array


def sides_joined(place: str, value: Any) -> tuple[bool, bool, bool]:
    """Return whether the sides across x, y and z are periodic, once they are three true or false.

    Raises:
        InputError: If they are anything else, such as words or numbers.
    """
    rows = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1)
    if not rows or len(value) != 3:
        raise InputError(f"{place} = {shown(value)} must hold three values, True or False")
    if not all(isinstance(side, (bool, np.bool_)) for side in value):
        raise InputError(f"{place} = {shown(value)} must be True or False for each of x, y and z")
    x, y, z = map(bool, value)
    return x, y, z


def _keep(owner: object, kind: type[np.generic], **shapes: tuple[int | None, ...]) -> None:
    """Replace fields by read-only copies of the given type, checked for shapes and values."""
    for name, shape in shapes.items():
        place = f"{type(owner).__name__}.{name}"
        object.__setattr__(owner, name, as_array(place, getattr(owner, name), kind, shape))


def _names(given: object) -> tuple[str, ...]:
    """Return the names of phases, whose order counts: a set has none."""
    if not isinstance(given, (list, tuple)) or not all(isinstance(x, str) and x for x in given):
        raise InputError(f"Packing.phase_names = {shown(given)} must be a tuple of names")
    names = tuple(str(name) for name in given)
    if not names or len(set(names)) != len(names):
        raise InputError(f"Packing.phase_names = {names!r} must hold one name or more, none twice")
    return names


def _plain(origin: object) -> Mapping[str, Any]:
    """Return what says how a packing was made, once it can be kept in a file."""
    if not isinstance(origin, Mapping) or not all(isinstance(key, str) for key in origin):
        raise InputError(f"Packing.origin = {shown(origin)} must be a mapping with words as keys")
    try:
        json.dumps(dict(origin))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"Packing.origin must be plain data: {error}") from error
    return dict(origin)

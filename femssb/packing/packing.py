"""A packing of spheres in a box: plain data that particles make and voxels take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.errors import InputError


@dataclass(frozen=True, kw_only=True)
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
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    branches: Array
    forces: Array
    memory: Array | None = None

    def __post_init__(self) -> None:
        m = len(self.first)
        _keep(self, np.int64, first=(m,), second=(m,))
        _keep(self, np.float64, branches=(m, 3), forces=(m, 3))
        if self.memory is not None:
            _keep(self, np.float64, memory=(m, np.shape(self.memory)[-1]))
        if m and (self.first.min() < 0 or self.second.min() < -1):
            raise InputError("Contacts.first must be rows from 0 on, Contacts.second from -1 on")

    def part(self, rows: NDArray[Any]) -> Contacts:
        """Return some of the contacts: rows, or which ones, shape (m,)."""
        columns = {item.name: getattr(self, item.name) for item in fields(self)}
        return replace(self, **{name: c[rows] for name, c in columns.items() if c is not None})

    @property
    def between_spheres(self) -> NDArray[np.bool_]:
        """True for contacts with a sphere on both sides, shape (m,)."""
        return self.second >= 0

    @property
    def loaded(self) -> NDArray[np.bool_]:
        """True for contacts that carry a force, shape (m,)."""
        return np.asarray(np.any(self.forces != 0, axis=1))


@dataclass(frozen=True, kw_only=True)
class Packing:
    """Spheres of named phases in a box, some of whose sides may be periodic.

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

    def __post_init__(self) -> None:
        n = len(self.radii)
        if self.ids is None:
            object.__setattr__(self, "ids", np.arange(n))
        _keep(self, np.float64, positions=(n, 3), radii=(n,), lower=(3,), upper=(3,))
        _keep(self, np.int32, phases=(n,))
        _keep(self, np.int64, ids=(n,))
        if self.stress is not None:
            _keep(self, np.float64, stress=(n, 3, 3))
        object.__setattr__(self, "phase_names", tuple(self.phase_names))
        object.__setattr__(self, "periodic", tuple(bool(side) for side in self.periodic))
        if len(self.periodic) != 3:
            raise InputError(f"Packing.periodic = {self.periodic!r} must hold three values")
        if n and self.radii.min() <= 0:
            raise InputError(f"Packing.radii: the smallest, {self.radii.min():g} m, is not above 0")
        if n and not 0 <= self.phases.min() <= self.phases.max() < len(self.phase_names):
            raise InputError(
                f"Packing.phases goes from {self.phases.min()} to {self.phases.max()}, but "
                f"phase_names = {self.phase_names!r}"
            )
        if np.any(self.upper <= self.lower):
            raise InputError(f"Packing.upper = {self.upper} m is not above lower = {self.lower} m")
        if len(np.unique(np.asarray(self.ids))) != n:
            raise InputError("Packing.ids: every sphere needs a number of its own")
        if self.contacts is not None:
            if not isinstance(self.contacts, Contacts):
                raise InputError(f"Packing.contacts must be Contacts, got {type(self.contacts)}")
            last = max(self.contacts.first.max(initial=-1), self.contacts.second.max(initial=-1))
            if last >= n:
                raise InputError(f"Packing.contacts names sphere {last}, but there are only {n}")

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

    def of_phase(self, name: str) -> NDArray[np.bool_]:
        """Return which spheres belong to a phase, shape (n,).

        Raises:
            InputError: If there is no such phase.
        """
        if name not in self.phase_names:
            raise InputError(f"Packing has no phase {name!r}; it has {self.phase_names!r}")
        return self.phases == self.phase_names.index(name)


def _keep(owner: object, kind: type[np.generic], **shapes: tuple[int, ...]) -> None:
    """Replace fields by read-only copies of the given type, checked for shapes and values."""
    for name, shape in shapes.items():
        place = f"{type(owner).__name__}.{name}"
        try:
            array = np.array(getattr(owner, name), dtype=kind)
        except (TypeError, ValueError) as error:
            raise InputError(f"{place} must be numbers: {error}") from error
        if array.shape != shape:
            raise InputError(f"{place} has shape {array.shape}, expected {shape}")
        if not np.all(np.isfinite(array)):
            raise InputError(f"{place} holds values that are not finite")
        array.flags.writeable = False
        object.__setattr__(owner, name, array)

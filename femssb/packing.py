"""A packing of spheres in a box: plain data that particles make and voxels take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.errors import InputError

Array = NDArray[np.float64]


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
        periodic: Whether the sides across x, y and z are periodic.
        ids: Lasting number of each sphere, shape (n,); 0 to n - 1 if left out.
        origin: What made the packing, as plain data: recipe, seed, stages, engine.
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

    def __post_init__(self) -> None:
        n = len(self.radii)
        ids = np.arange(n) if self.ids is None else self.ids
        for name, value, shape, kind in (
            ("positions", self.positions, (n, 3), np.float64),
            ("radii", self.radii, (n,), np.float64),
            ("phases", self.phases, (n,), np.int32),
            ("ids", ids, (n,), np.int64),
            ("lower", self.lower, (3,), np.float64),
            ("upper", self.upper, (3,), np.float64),
        ):
            array = np.array(value, dtype=kind)  # a copy: it becomes read-only
            if array.shape != shape:
                raise InputError(f"Packing.{name} has shape {array.shape}, expected {shape}")
            if not np.all(np.isfinite(array)):
                raise InputError(f"Packing.{name} holds values that are not finite")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
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
        if len(np.unique(ids)) != n:
            raise InputError("Packing.ids: every sphere needs a number of its own")

    @property
    def lengths(self) -> Array:
        """Edge lengths of the box, shape (3,) [m]."""
        return self.upper - self.lower

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

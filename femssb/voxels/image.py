"""A voxel image: which phase is where, on a regular grid of box-shaped voxels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.errors import InputError, check_number

Labels = NDArray[np.uint8]

MOST_PHASES = 256  # a label is one byte


def _as_labels(value: object, phase_names: tuple[str, ...]) -> Labels:
    """Check an array of labels and make it a read-only array of bytes that nobody else can change.

    Raises:
        InputError: If it is no three-dimensional array of whole numbers that all name a phase.
    """
    given = np.asanyarray(value)
    if given.dtype.kind not in "biu":
        raise InputError(
            f"VoxelImage.labels is of type {given.dtype}, expected whole numbers, one per phase: "
            "segment a grey or float image first, for instance (image > threshold)"
        )
    if given.ndim != 3 or given.size == 0:
        raise InputError(
            f"VoxelImage.labels has shape {given.shape}, expected (nx, ny, nz), none of them 0"
        )
    low, high = int(given.min()), int(given.max())
    if low < 0 or high >= len(phase_names):
        raise InputError(
            f"VoxelImage.labels goes from {low} to {high}, but phase_names = {phase_names!r} "
            f"names 0 to {len(phase_names) - 1}"
        )
    if given.dtype == np.uint8 and given.flags.c_contiguous and not given.flags.writeable:
        if type(given) is np.ndarray and given.base is None:
            return given  # made for this image: large ones are not copied
    labels = np.array(given, dtype=np.uint8, order="C")
    labels.flags.writeable = False
    return labels


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VoxelImage:
    """A box cut into voxels, each of one phase; voxel (i, j, k) starts at (i dx, j dy, k dz).

    Attributes:
        labels: Index into `phase_names` of each voxel, shape (nx, ny, nz), read-only bytes.
        phase_names: Names of the phases, such as ``("void", "AM", "SE")``; a phase may be absent.
        spacing: Edge lengths (dx, dy, dz) of a voxel [m].
        periodic: Whether the sides across x, y and z are periodic.
        origin: What made the image, as plain data: file, packing, recipe, seed.

    Raises:
        InputError: If the labels are no whole numbers, do not name a phase, or do not fill a box;
            if a name is given twice; if a spacing is not a length.
    """

    labels: Labels
    phase_names: tuple[str, ...]
    spacing: tuple[float, float, float]
    periodic: tuple[bool, bool, bool] = (False, False, False)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.phase_names, str) or not all(
            isinstance(name, str) and name for name in self.phase_names
        ):
            raise InputError(f"VoxelImage.phase_names = {self.phase_names!r} must be names")
        names = tuple(self.phase_names)
        if len(set(names)) != len(names) or not 0 < len(names) <= MOST_PHASES:
            raise InputError(
                f"VoxelImage.phase_names = {names!r} must hold 1 to {MOST_PHASES} names, "
                "none of them twice"
            )
        for name in ("spacing", "periodic"):
            value = getattr(self, name)
            if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 3:
                raise InputError(f"VoxelImage.{name} = {value!r} must hold three values")
        for step in self.spacing:
            check_number("VoxelImage", "spacing", step, lower=0, strict=True, unit="m")
        for side in self.periodic:
            if not isinstance(side, (bool, np.bool_)):
                raise InputError(f"VoxelImage.periodic = {self.periodic!r} must be true or false")
        object.__setattr__(self, "phase_names", names)
        object.__setattr__(self, "spacing", tuple(float(step) for step in self.spacing))
        object.__setattr__(self, "periodic", tuple(bool(side) for side in self.periodic))
        object.__setattr__(self, "labels", _as_labels(self.labels, names))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along x, y and z."""
        nx, ny, nz = self.labels.shape
        return nx, ny, nz

    @property
    def lengths(self) -> tuple[float, float, float]:
        """Edge lengths of the box [m]."""
        x, y, z = (n * step for n, step in zip(self.shape, self.spacing, strict=True))
        return x, y, z

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel [m3]."""
        return math.prod(self.spacing)

    def label(self, name: str) -> int:
        """Return the label of a phase.

        Raises:
            InputError: If there is no such phase.
        """
        if name not in self.phase_names:
            raise InputError(f"VoxelImage has no phase {name!r}; it has {self.phase_names!r}")
        return self.phase_names.index(name)

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Return which voxels belong to a phase, shape (nx, ny, nz).

        Raises:
            InputError: If there is no such phase.
        """
        return np.asarray(self.labels == self.label(name))

    def fractions(self) -> dict[str, float]:
        """Return the share of the volume of every phase, absent ones included [-]."""
        counts = np.zeros(len(self.phase_names), dtype=np.int64)
        for slab in self.labels:  # slab by slab: bincount would make 8 bytes of every label
            counts += np.bincount(slab.ravel(), minlength=len(counts))
        shares = counts / self.labels.size
        return {name: float(share) for name, share in zip(self.phase_names, shares, strict=True)}

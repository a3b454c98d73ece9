"""A voxel image: which phase is where, on a regular grid of box-shaped voxels."""

import math
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.description import checked
from femssb.errors import InputError, check_number, shown

Labels = NDArray[np.uint8]
Names = Sequence[str] | Mapping[int, str]
Axis = Literal["x", "y", "z"]

AXES: tuple[Axis, Axis, Axis] = ("x", "y", "z")

MOST_PHASES = 256  # a label is one byte
SMALLEST, LARGEST = 1e-12, 1e3  # a length [m]; wide, for images may also come without a unit


def _as_labels(value: object, phase_names: tuple[str, ...]) -> Labels:
    """Return checked labels as a read-only array of bytes that nobody else can change."""
    try:
        given = np.asanyarray(value)
    except (TypeError, ValueError, OverflowError) as error:  # rows of different lengths
        raise InputError(f"VoxelImage.labels must be an array: {error}") from error
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
            f"names 0 to {len(phase_names) - 1}; it holds {listed_values(given)}"
        )
    if given.dtype == np.uint8 and given.flags.c_contiguous and not given.flags.writeable:
        if type(given) is np.ndarray and given.base is None:
            return given  # made for this image: large ones are not copied
    labels = np.array(given, dtype=np.uint8, order="C")
    labels.flags.writeable = False
    return labels


def counts_of(labels: Labels, phases: int) -> NDArray[np.int64]:
    """Return the number of voxels of every phase, shape (phases,)."""
    counts = np.zeros(phases, dtype=np.int64)
    for slab in labels:  # slab by slab: bincount makes 8 bytes of every label
        counts += np.bincount(slab.ravel(), minlength=phases)
    return counts


def listed_values(values: NDArray[Any], without: Collection[int] = ()) -> str:
    """Return the values of an array in words, each with its share of all voxels.

    Args:
        values: Whole numbers.
        without: Values to leave out.
    """
    counts: Counter[int] = Counter()
    for slab in values:  # slab by slab: what is sorted is copied
        found, times = np.unique(np.asarray(slab), return_counts=True)
        counts.update(dict(zip(map(int, found), map(int, times), strict=True)))
    listed = sorted(value for value in counts if value not in without)
    if len(listed) > MOST_PHASES:
        return (
            f"{len(listed)} different values from {listed[0]} to {listed[-1]}, more than "
            f"{MOST_PHASES}: segment a grey image first"
        )
    return ", ".join(f"{value} ({counts[value] / values.size:.3%})" for value in listed)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VoxelImage:
    """A box cut into voxels, each of one phase; voxel (i, j, k) starts at (i dx, j dy, k dz).

    Attributes:
        labels: Index into `phase_names` of each voxel, shape (nx, ny, nz), read-only bytes.
        phase_names: Names of the phases, such as ``("void", "AM", "SE")``; a phase may be absent.
        spacing: Edge lengths (dx, dy, dz) of a voxel [m].
        periodic: Whether the sides across x, y and z are periodic.
        origin: Source of the image, as plain data: file, packing, recipe, seed.

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
        given: object = self.phase_names
        if not isinstance(given, (list, tuple)) or not all(
            isinstance(name, str) and name for name in given
        ):
            raise InputError(f"VoxelImage.phase_names = {shown(given)} must be a tuple of names")
        names = tuple(self.phase_names)
        if len(set(names)) != len(names) or not 0 < len(names) <= MOST_PHASES:
            raise InputError(
                f"VoxelImage.phase_names = {shown(names)} must hold 1 to {MOST_PHASES} names, "
                "none of them twice"
            )
        for name in ("spacing", "periodic"):
            value = getattr(self, name)
            rows = value.tolist() if isinstance(value, np.ndarray) else value
            if not isinstance(rows, list | tuple) or len(rows) != 3:
                raise InputError(f"VoxelImage.{name} = {shown(value)} must hold three values")
        for step in self.spacing:
            check_number("VoxelImage", "spacing", step, lower=SMALLEST, upper=LARGEST, unit="m")
        for side in self.periodic:
            if not isinstance(side, (bool, np.bool_)):
                raise InputError(
                    f"VoxelImage.periodic = {shown(self.periodic)} must be true or false"
                )
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

    @checked
    def label(self, name: str) -> int:
        """Return the label of a phase.

        Raises:
            InputError: If there is no such phase.
        """
        if name not in self.phase_names:
            raise InputError(f"VoxelImage has no phase {name!r}; it has {self.phase_names!r}")
        return self.phase_names.index(name)

    @checked
    def mask(self, name: str) -> NDArray[np.bool_]:
        """Return which voxels belong to a phase, shape (nx, ny, nz).

        Raises:
            InputError: If there is no such phase.
        """
        return np.asarray(self.labels == self.label(name))

    def fractions(self) -> dict[str, float]:
        """Return the share of the volume of every phase, absent ones included [-]."""
        shares = counts_of(self.labels, len(self.phase_names)) / self.labels.size
        return {name: float(share) for name, share in zip(self.phase_names, shares, strict=True)}


@checked
def from_array(
    values: NDArray[Any],
    *,
    phase_names: Names,
    spacing: float | Sequence[float],
    periodic: tuple[bool, bool, bool] = (False, False, False),
    origin: Mapping[str, Any] | None = None,
) -> VoxelImage:
    """Return the image of an array of phase numbers or grey values.

    Args:
        values: Whole numbers (or true and false), shape (nx, ny, nz).
        phase_names: Names of the values 0, 1, 2 ..., or the name of each value, such as
            ``{0: "void", 127: "SE", 255: "AM"}``; values of the same name become one phase.
        spacing: Edge of a voxel, or its three edges [m].
        periodic: Whether the sides across x, y and z are periodic.
        origin: Source of the array, as plain data.

    Raises:
        InputError: If the values are no whole numbers, or one of them has no name.
    """
    names = phase_names
    if isinstance(phase_names, Mapping):
        names = tuple(dict.fromkeys(phase_names.values()))
        values = _relabelled(np.asanyarray(values), phase_names, names)
    edges = (spacing,) * 3 if isinstance(spacing, (int, float)) else spacing
    return VoxelImage(
        labels=values,
        phase_names=names,  # type: ignore[arg-type]  # the image checks what it is given
        spacing=edges,  # type: ignore[arg-type]
        periodic=periodic,
        origin=dict(origin or {}),
    )


@checked
def empty_image(
    lengths: Sequence[float],
    spacing: float,
    periodic: tuple[bool, bool, bool] = (False, False, False),
    phase: str = "void",
) -> VoxelImage:
    """Return an image of one phase, to be filled with particles.

    Args:
        lengths: Edges of the box [m].
        spacing: Edge of a voxel [m], changed so that the box is cut evenly.
        periodic: Whether the sides across x, y and z are periodic.
        phase: Name of that phase.

    Raises:
        InputError: If a length is out of bounds, or the image would not fit into memory.
    """
    check_number("empty_image", "spacing", spacing, lower=SMALLEST, upper=LARGEST, unit="m")
    if len(lengths) != 3:
        raise InputError(f"empty_image.lengths = {shown(lengths)} must be three lengths")
    for edge in lengths:
        check_number("empty_image", "lengths", edge, lower=spacing, upper=LARGEST, unit="m")
    shape = tuple(max(1, round(edge / spacing)) for edge in lengths)
    check_memory("empty_image", shape, bytes_per_voxel=1)
    labels = np.zeros(shape, dtype=np.uint8)
    labels.flags.writeable = False
    dx, dy, dz = (edge / n for edge, n in zip(lengths, shape, strict=True))
    return VoxelImage(labels=labels, phase_names=(phase,), spacing=(dx, dy, dz), periodic=periodic)


def _relabelled(values: NDArray[Any], meaning: Mapping[int, str], names: Sequence[str]) -> Labels:
    """Return the number of the phase of every value."""
    given = values
    if given.dtype.kind not in "biu" or given.ndim != 3 or not meaning:
        return given  # the image names what is wrong with it
    for value in meaning:
        check_number("VoxelImage", "phase_names (key)", value, lower=-(2**63), upper=2**63 - 1)
    known = np.array(sorted(meaning), dtype=np.int64)
    numbers = np.array([names.index(meaning[int(value)]) for value in known], dtype=np.uint8)
    labels = np.empty(given.shape, dtype=np.uint8)
    for slab, into in zip(given, labels, strict=True):  # the search makes 8 bytes of every value
        place = np.minimum(np.searchsorted(known, slab), len(known) - 1)
        unknown = known[place] != slab
        if unknown.any():
            raise InputError(
                f"VoxelImage.labels holds values to which phase_names gives no name: "
                f"{listed_values(given, without=meaning)}; it names {known.tolist()}"
            )
        into[...] = numbers[place]
    labels.flags.writeable = False
    return labels


def available_memory() -> int | None:
    """Return the bytes of memory that are free on this machine, None where it does not report."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            found.append(int(limit) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass  # not Linux, or no limit of its own
    if not found and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found) if found else None


def check_memory(
    owner: str, shape: Sequence[int], *, bytes_per_voxel: float, free: int | None = None
) -> None:
    """Check that a task fits into memory before it starts.

    Args:
        owner: Name of the task, for the message.
        shape: Number of voxels along x, y and z.
        bytes_per_voxel: Memory that it takes at its peak.
        free: Memory that is free [bytes]; None: as found on this machine.

    Raises:
        InputError: If it takes more than is free; the message has both numbers.
    """
    need = math.prod(shape) * bytes_per_voxel
    free = available_memory() if free is None else free
    if free is not None and need > free:
        count = " x ".join(str(n) for n in shape)
        raise InputError(
            f"{owner}: an image of {count} voxels takes {need / 1e9:.3g} GB, but only "
            f"{free / 1e9:.3g} GB of memory is free; use larger voxels or a part of the image"
        )

"""Statistics of a microstructure: phases along an axis, and chord lengths."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError
from femssb.voxels.image import AXES, Axis, VoxelImage
from femssb.voxels.measure.clusters import Mask
from femssb.voxels.measure.pieces import pieces


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PhaseProfile:
    """Share of every phase in the layers of voxels across an axis.

    Attributes:
        phase_names: Names of the phases.
        positions: Middle of each layer, from the lower side of the image, shape (n,) [m].
        fractions: Share of each phase in each layer, shape (n, number of phases) [-].
    """

    phase_names: tuple[str, ...]
    positions: Array
    fractions: Array

    @checked
    def of_phase(self, name: str) -> Array:
        """Return the share of a phase in each layer, shape (n,) [-].

        Raises:
            InputError: If there is no such phase.
        """
        if name not in self.phase_names:
            raise InputError(f"PhaseProfile has no phase {name!r}; it has {self.phase_names!r}")
        return self.fractions[:, self.phase_names.index(name)]


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChordLengths:
    """Lengths of the pieces that a phase cuts out of the lines along an axis.

    Attributes:
        counts: Number of chords of 0, 1, 2, ... voxels, shape (n + 1,).
        spacing: Edge length of a voxel along the axis [m].
        cut: Number of chords that end at a side that is not periodic; their length is not known
            and they are not in `counts`.
        through: Number of lines that stay in the phase from one periodic side to the other.
    """

    counts: NDArray[np.int64]
    spacing: float
    cut: int
    through: int

    @property
    def lengths(self) -> Array:
        """Length that belongs to each entry of `counts`, shape (n + 1,) [m]."""
        return np.arange(len(self.counts), dtype=np.float64) * self.spacing

    @property
    def mean(self) -> float:
        """Mean length [m]; NaN if there is no chord."""
        return self._moment(1)

    @property
    def deviation(self) -> float:
        """Standard deviation of the lengths [m]; NaN if there is no chord."""
        return float(np.sqrt(max(self._moment(2) - self._moment(1) ** 2, 0.0)))

    def _moment(self, power: int) -> float:
        total = int(self.counts.sum())
        return float(self.counts @ self.lengths**power / total) if total else float("nan")


@checked
def phase_profile(image: VoxelImage, *, axis: Axis = "z") -> PhaseProfile:
    """Measure the share of every phase in each layer of voxels across an axis.

    Args:
        image: The image.
        axis: Direction of the profile.

    Raises:
        InputError: If there is no such axis.
    """
    along = AXES.index(axis)
    across = tuple(other for other in range(3) if other != along)
    layers, phases = image.shape[along], len(image.phase_names)
    counts = np.zeros((layers, phases), dtype=np.int64)
    for part in pieces(image.shape):
        block = image.labels[part]
        for label in range(phases):
            found = np.count_nonzero(block == label, axis=across)
            counts[part if along == 0 else slice(None), label] += found
    return PhaseProfile(
        phase_names=image.phase_names,
        positions=(np.arange(layers, dtype=np.float64) + 0.5) * image.spacing[along],
        fractions=counts / (image.labels.size / layers),
    )


@checked
def chord_lengths(image: VoxelImage, phase: str, *, axis: Axis = "z") -> ChordLengths:
    """Measure the chords of a phase on all lines of voxels along an axis.

    In an isotropic microstructure their mean is 4 times the share of the phase over its surface
    per volume.

    Args:
        image: The image.
        phase: The phase.
        axis: Direction of the lines.

    Raises:
        InputError: If there is no such phase or axis.
    """
    label = image.label(phase)
    along = AXES.index(axis)
    lines = np.moveaxis(image.labels, along, 2)
    n = lines.shape[2]
    counts = np.zeros(n + 1, dtype=np.int64)
    cut = through = 0
    for part in pieces(lines.shape):
        inside = (lines[part] == label).reshape(-1, n)
        if image.periodic[along]:
            full = inside.all(axis=1)
            through += int(full.sum())
            lengths = _around(inside[~full])
        else:
            lengths, whole = _along(inside)
            cut += int(np.count_nonzero(~whole))
            lengths = lengths[whole]
        counts += np.bincount(lengths, minlength=n + 1)
    return ChordLengths(counts=counts, spacing=image.spacing[along], cut=cut, through=through)


def _along(inside: Mask) -> tuple[NDArray[np.int64], Mask]:
    """Return the lengths of all runs in the rows, and whether each ends before both sides."""
    n = inside.shape[1]
    change = np.diff(np.pad(inside, ((0, 0), (1, 1))).view(np.int8), axis=1)
    start, stop = np.nonzero(change == 1)[1], np.nonzero(change == -1)[1]  # row by row: they pair
    return stop - start, (start > 0) & (stop < n)


def _around(inside: Mask) -> NDArray[np.int64]:
    """Return the lengths of all runs in rows that close on themselves; none is full."""
    n = inside.shape[1]
    rows, begin = np.nonzero(inside & ~np.roll(inside, 1, axis=1))
    other, end = np.nonzero(inside & ~np.roll(inside, -1, axis=1))
    # A run across the side ends before the first start of its row: it is counted after the last.
    wraps = inside[:, 0] & inside[:, -1]
    first = np.concatenate([[True], other[1:] != other[:-1]]) if len(other) else other > 0
    end = np.sort(end + n * (2 * other + (first & wraps[other])))
    return end - (begin + 2 * n * rows) + 1

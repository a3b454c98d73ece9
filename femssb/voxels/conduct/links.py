"""Conductances of the faces between voxels, with contact resistance between named phases.

Two neighbours with conductivities s1, s2, distance d and shared face A are linked by

    1 / T = d / (2 s1 A) + d / (2 s2 A) + R_face / A

where R_face is the contact resistance of their phases [ohm m2] times |nx| + |ny| + |nz|, n being
the true unit normal of the interface. Voxel faces have that much more area than the interface they
stand for; without the factor a sphere's contact resistance is a third too small at any resolution.

Arrays here have the flux direction first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from femssb.arrays import Array
from femssb.environment.compiled import threaded
from femssb.errors import InputError, check_number

Single = NDArray[np.float32]
Longs = NDArray[np.int64]

SMOOTHING = 1.5  # width of the Gaussian that interface normals are read from [voxels]
REACH = 6  # distance from which on the labels do not matter for a normal [voxels]
ROUGH = 1.5  # |nx| + |ny| + |nz| where there is no normal, as of a lone voxel: that of a sphere
MOST_PARTS = 64  # into which work is cut, whatever the number of threads
LEAST_VOXELS = 16384  # of a part
NO_NORMAL = 1e-6  # length of the smoothed gradient below which there is no normal [-]
MOST = 1e200  # conductivity, and one over the least of the best conductor, that can be told [S/m]


def conductivities_of(
    owner: str, phase_names: Sequence[str], conductivities: Mapping[str, float]
) -> Array:
    """Return the conductivity of every label, 0 where none is given [S/m].

    Raises:
        InputError: If a phase is unknown, a conductivity is out of bounds, or none is above 0.
    """
    sigma = np.zeros(len(phase_names))
    for name, value in conductivities.items():
        if name not in phase_names:
            raise InputError(
                f"{owner}.conductivities names {name!r}; the phases are {tuple(phase_names)!r}"
            )
        field = f"conductivities[{name!r}]"
        check_number(owner, field, value, lower=0, upper=MOST, unit="S/m")
        sigma[phase_names.index(name)] = value
    if not sigma.max() >= 1 / MOST:  # what is smaller than that counts beside a better one alone
        least = f"{1 / MOST:g} S/m" if sigma.any() else "0"
        raise InputError(
            f"{owner}.conductivities = {dict(conductivities)!r}: none is above {least}"
        )
    return sigma


def runs(planes: int, voxels: int, most: int = MOST_PARTS) -> Longs:
    """Return where each run of planes begins, and where the last one ends.

    Args:
        planes: Their number.
        voxels: In all planes.
        most: Number of runs.
    """
    count = max(1, min(most, planes, voxels // LEAST_VOXELS))
    return np.arange(count + 1) * planes // count


@dataclass(frozen=True, kw_only=True)
class Slab:
    """The planes across the flux that one rank owns, out of `planes`.

    Attributes:
        start: First plane.
        stop: One past the last plane.
        planes: Number of planes of the whole image.
    """

    start: int
    stop: int
    planes: int

    @property
    def is_first(self) -> bool:
        """Whether the lower plate touches this slab."""
        return self.start == 0

    @property
    def is_last(self) -> bool:
        """Whether the upper plate touches this slab."""
        return self.stop == self.planes


@dataclass(frozen=True, kw_only=True)
class Links:
    """Conductance of every face of a slab of m planes, 0 where nothing flows.

    All are divided by `unit`, so that they are of order one.

    Attributes:
        along: Faces across the flux, shape (m + 1, n1, n2): ``along[i]`` lies below plane i. The
            first and the last face of the image lead to the plates, half a voxel away.
        second: Faces between j and j + 1, shape (m, n1, n2); the last leads round to j = 0.
        third: Faces between k and k + 1, shape (m, n1, n2); the last leads round to k = 0.
        unit: Conductance by which they were divided [S].
    """

    along: Single
    second: Single
    third: Single
    unit: float


def from_labels(
    labels: NDArray[Any],
    conductivities: Array,
    *,
    spacing: Sequence[float],
    periodic: tuple[bool, bool],
    slab: Slab,
    contacts: Mapping[tuple[int, int], float],
) -> Links:
    """Return the links of a slab of an image of labels.

    The other arguments are those of a `femssb.voxels.conduct.flux.FluxProblem`, the whole image.
    """
    # The best conductor's links along the flux are 1, without rounding.
    unit = conductivities.max() * spacing[1] * spacing[2] / spacing[0]
    areas = [spacing[1] * spacing[2], spacing[2] * spacing[0], spacing[0] * spacing[1]]
    tables = []
    for distance, area in zip(spacing, areas, strict=True):
        with np.errstate(divide="ignore", over="ignore"):  # an infinite resistance is one
            half = distance / (2 * conductivities * area) * unit
        tables.append((1 / (half[:, None] + half[None, :])).astype(np.float32))
    low, high = max(slab.start - 1, 0), min(slab.stop + 1, slab.planes)
    near = np.ascontiguousarray(labels[low:high])  # with a plane of each neighbour
    own = near[slab.start - low : slab.stop - low]

    along = np.empty((len(own) + 1, *own.shape[1:]), np.float32)
    second, third = np.empty(own.shape, np.float32), np.empty(own.shape, np.float32)
    plate = (2 * np.diagonal(tables[0])).astype(np.float32)  # half the way of two equal voxels
    inner = slice(int(slab.is_first), len(own) + 1 - int(slab.is_last))
    _look_up(runs(len(near) - 1, near.size), near, tables[0], along[inner])
    if slab.is_first:
        along[0] = plate[own[0]]
    if slab.is_last:
        along[-1] = plate[own[-1]]
    _look_up_across(runs(len(own), own.size), own, tables[1], tables[2], second, third)

    for (one, other), resistance in contacts.items():
        if resistance == 0 or min(conductivities[one], conductivities[other]) == 0:
            continue
        reach = slice(max(low - REACH, 0), min(high + REACH, slab.planes))
        normal = _normals(labels[reach], one, other, spacing, periodic)
        normal = normal[low - reach.start : len(normal) - (reach.stop - high)]
        here = normal[slab.start - low : slab.start - low + len(own)]
        for conductance, before, after, n_before, n_after, area in (
            (along[inner], near[:-1], near[1:], normal[:-1], normal[1:], areas[0]),
            (second, own, np.roll(own, -1, 1), here, np.roll(here, -1, 1), areas[1]),
            (third, own, np.roll(own, -1, 2), here, np.roll(here, -1, 2), areas[2]),
        ):
            faces = ((before == one) & (after == other)) | ((before == other) & (after == one))
            mean = n_before[faces].astype(np.float64) + n_after[faces]
            length = np.sqrt(np.sum(mean**2, axis=1))
            ratio = np.full(len(mean), ROUGH)
            np.divide(np.abs(mean).sum(axis=1), length, out=ratio, where=length > NO_NORMAL)
            with np.errstate(over="ignore", divide="ignore"):  # an infinite resistance is one
                total = 1 / conductance[faces] + resistance * ratio / area * unit
            conductance[faces] = 1 / total
    _close(second, third, periodic)
    return Links(along=along, second=second, third=third, unit=unit)


def from_faces(faces: Sequence[NDArray[Any]], *, periodic: tuple[bool, bool], slab: Slab) -> Links:
    """Return the links of a slab from the conductance of every face.

    Args:
        faces: Conductance of the faces across the first, second and third axis [S], as described
            in `Links` but for the whole image and not divided by a unit.
        periodic: Whether the two lateral pairs of sides are joined.
        slab: Planes wanted.
    """
    unit = max(float(face.max()) for face in faces)
    parts = (
        faces[0][slab.start : slab.stop + 1],
        faces[1][slab.start : slab.stop],
        faces[2][slab.start : slab.stop],
    )
    along, second, third = (np.array(part / unit, np.float32, order="C") for part in parts)
    _close(second, third, periodic)
    return Links(along=along, second=second, third=third, unit=unit)


@threaded
def _look_up(
    start: int, stop: int, parts: Longs, labels: Any, table: Single, along: Single
) -> None:
    """Write what the table has for each two planes that follow each other."""
    rows, columns = labels.shape[1:]
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            for j in range(rows):
                for k in range(columns):
                    along[i, j, k] = table[labels[i, j, k], labels[i + 1, j, k]]


@threaded
def _look_up_across(
    start: int,
    stop: int,
    parts: Longs,
    labels: Any,
    table: Single,
    other: Single,
    second: Single,
    third: Single,
) -> None:
    """Write what the tables have for neighbours along the second and third axis, round the end."""
    rows, columns = labels.shape[1:]
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            for j in range(rows):
                right = j + 1 if j < rows - 1 else 0
                for k in range(columns):
                    far = k + 1 if k < columns - 1 else 0
                    here = labels[i, j, k]
                    second[i, j, k] = table[here, labels[i, right, k]]
                    third[i, j, k] = other[here, labels[i, j, far]]


def _close(second: Single, third: Single, periodic: tuple[bool, bool]) -> None:
    """Close insulating sides, and links from a voxel to itself."""
    if not periodic[0] or second.shape[1] == 1:
        second[:, -1] = 0
    if not periodic[1] or third.shape[2] == 1:
        third[:, :, -1] = 0


def _normals(
    labels: NDArray[Any],
    one: int,
    other: int,
    spacing: Sequence[float],
    periodic: tuple[bool, bool],
) -> Single:
    """Return the direction from one phase to the other, not normalised, shape (..., 3)."""
    indicator = (labels == other).astype(np.float32)
    indicator -= labels == one
    modes = ["nearest", *("wrap" if joined else "nearest" for joined in periodic)]
    smooth = indicator
    for axis, mode in enumerate(modes):
        smooth = ndimage.gaussian_filter1d(
            smooth, SMOOTHING, axis=axis, mode=mode, radius=REACH - 1
        )
    normal = np.empty((*labels.shape, 3), np.float32)
    for axis, mode in enumerate(modes):
        ndimage.correlate1d(
            smooth, [-1.0, 0.0, 1.0], axis=axis, mode=mode, output=normal[..., axis]
        )
        normal[..., axis] *= min(spacing) / spacing[axis]
    return normal

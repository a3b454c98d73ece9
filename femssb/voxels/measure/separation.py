"""Particles of an image: touching ones parted, and each as the sphere of its volume.

A particle is a basin of the distance to the next voxel of another phase: all voxels from which the
steepest way leads to the same top. Two that meet in a neck nearly as wide as the smaller of them
are one particle. Periodic sides join.

Source: L. Vincent, P. Soille, Watersheds in digital spaces, IEEE Trans. Pattern Anal. 13 (1991),
10.1109/34.87344.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from femssb._version import __version__
from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.packing.packing import Packing
from femssb.voxels.image import VoxelImage

NECK = 0.85  # width of a neck above which it is none, in units of the smaller particle
BLUR = 0.7  # of the distances, which have plateaus on voxels [voxels]


@checked
def separate(image: VoxelImage, phase: str, *, neck: float = NECK) -> NDArray[np.int32]:
    """Part the touching particles of a phase.

    Args:
        image: The image.
        phase: Name of the phase.
        neck: Two parts are one particle if the neck between them is wider than this, in units of
            the width of the smaller one.

    Returns:
        Number of the particle of each voxel, from 1; 0 in other phases, shape (nx, ny, nz).

    Raises:
        InputError: If there is no such phase or no voxel of it, or the neck is not in (0, 1].
    """
    check_number("separate", "neck", neck, above=0.0, upper=1.0)
    inside = image.mask(phase)
    if not inside.any():
        raise InputError(f"separate: the image has no voxel of {phase!r}")
    if inside.all():
        return np.ones(inside.shape, dtype=np.int32)
    distance = _depth(inside, image)
    basins = _basins(inside, distance, image.periodic)
    joined = _joined(basins, distance, image.periodic, neck)
    _, numbers = np.unique(joined[inside], return_inverse=True)
    result = np.zeros(inside.shape, dtype=np.int32)
    result[inside] = numbers + 1
    return result


def _depth(inside: NDArray[np.bool_], image: VoxelImage) -> Array:
    """Return a smoothed distance of each voxel to the next one of another phase [m]."""
    around = [
        (n, n) if join else (0, 0) for n, join in zip(inside.shape, image.periodic, strict=True)
    ]
    wide = np.pad(inside, around, mode="wrap")  # as a periodic image goes on
    found = ndimage.distance_transform_edt(wide, sampling=image.spacing)
    core = tuple(slice(m, m + n) for (m, _), n in zip(around, inside.shape, strict=True))
    modes = ["wrap" if join else "nearest" for join in image.periodic]
    return np.asarray(ndimage.gaussian_filter(found[core], BLUR, mode=modes) * inside)


def _shifted(
    array: NDArray[Any], steps: Sequence[int], periodic: Sequence[bool], outside: float
) -> NDArray[Any]:
    """Return the value at a neighbour of each voxel."""
    found = np.roll(array, [-step for step in steps], axis=(0, 1, 2))
    for axis, step in enumerate(steps):
        if step and not periodic[axis]:
            edge = [slice(None)] * 3
            edge[axis] = slice(-1, None) if step > 0 else slice(0, 1)
            found[tuple(edge)] = outside
    return found


def _basins(
    inside: NDArray[np.bool_], distance: Array, periodic: Sequence[bool]
) -> NDArray[np.int64]:
    """Return the voxel at the top of the steepest way up from each voxel; -1 outside."""
    own = np.arange(inside.size).reshape(inside.shape)
    highest, target = distance.copy(), own.copy()
    for steps in product((-1, 0, 1), repeat=3):
        if any(steps):
            there = _shifted(distance, steps, periodic, -1.0)
            higher = there > highest
            highest[higher] = there[higher]
            target[higher] = _shifted(own, steps, periodic, -1)[higher]
    up = target.ravel()
    while not np.array_equal(further := up[up], up):
        up = further
    return np.where(inside, up.reshape(inside.shape), -1)


def _joined(
    basins: NDArray[np.int64], distance: Array, periodic: Sequence[bool], neck: float
) -> NDArray[np.int64]:
    """Join basins that meet in a neck as wide as the smaller of them."""
    low, high, height = [], [], []
    for steps in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        other = _shifted(basins, steps, periodic, -1)
        meet = (basins != other) & (basins >= 0) & (other >= 0)
        low.append(np.minimum(basins, other)[meet])
        high.append(np.maximum(basins, other)[meet])
        there = _shifted(distance, steps, periodic, 0.0)
        height.append(np.minimum(distance, there)[meet])
    pairs = np.stack([np.concatenate(low), np.concatenate(high)])
    pairs, place = np.unique(pairs, axis=1, return_inverse=True)
    widest = np.zeros(pairs.shape[1])
    np.maximum.at(widest, place.ravel(), np.concatenate(height))
    peak = distance.ravel()
    owner = {top: top for top in np.unique(basins[basins >= 0]).tolist()}

    def root(one: int) -> int:
        while owner[one] != one:
            owner[one] = owner[owner[one]]
            one = owner[one]
        return one

    for k in np.argsort(-widest).tolist():
        a, b = root(int(pairs[0, k])), root(int(pairs[1, k]))
        if a != b and widest[k] >= neck * min(peak[a], peak[b]):
            small, large = (a, b) if peak[a] < peak[b] else (b, a)
            owner[small] = large
    tops, place = np.unique(basins, return_inverse=True)
    roots = np.array([root(top) if top >= 0 else -1 for top in tops.tolist()])
    return np.asarray(roots[place].reshape(basins.shape))


@checked
def to_packing(
    image: VoxelImage, phases: Sequence[str], *, neck: float = NECK, fewest: int = 8
) -> Packing:
    """Return the particles of some phases as spheres of equal volume.

    Centres are the centroids of the particles, across periodic sides.

    Args:
        image: The image.
        phases: Names of the phases that consist of particles.
        neck: As for `separate`.
        fewest: Particles of fewer voxels are left out.

    Raises:
        InputError: As `separate` does, if a phase is named twice, or nothing is left.
    """
    check_number("to_packing", "fewest", fewest, lower=1)
    if not phases or len(set(phases)) < len(phases):
        raise InputError(f"to_packing.phases = {tuple(phases)!r} must name phases, none twice")
    spacing, periodic = np.array(image.spacing), np.array(image.periodic)
    positions, radii, kinds = [], [], []
    for kind, phase in enumerate(phases):
        labels = separate(image, phase, neck=neck)
        where = np.argwhere(labels > 0)
        owner = labels[labels > 0] - 1
        count = np.bincount(owner)
        size = np.array(labels.shape)
        places = (where + 0.5) / size
        _, first = np.unique(owner, return_index=True)
        steps = places - places[first[owner]]
        steps = np.where(periodic, steps - np.rint(steps), steps)
        sums = np.stack([np.bincount(owner, steps[:, k]) for k in range(3)], axis=1)
        middle = places[first] + sums / count[:, None]
        middle = np.where(periodic, middle % 1.0, middle)
        kept = count >= fewest
        positions.append((middle * size * spacing)[kept])
        radii.append(np.cbrt(3 / (4 * np.pi) * count * spacing.prod())[kept])
        kinds.append(np.full(int(kept.sum()), kind))
    if not sum(map(len, radii)):
        raise InputError(f"to_packing: no particle has {fewest} voxels")
    return Packing(
        positions=np.vstack(positions),
        radii=np.concatenate(radii),
        phases=np.concatenate(kinds),
        phase_names=tuple(phases),
        lower=np.zeros(3),
        upper=np.array(image.shape) * spacing,
        periodic=tuple(periodic.tolist()),
        origin={"femssb": __version__, "generator": "to_packing", "neck": float(neck)},
    )

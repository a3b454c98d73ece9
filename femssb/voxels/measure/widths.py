"""How wide a phase is at every point: sizes of pores without cutting them into pieces.

The local width at a point is the diameter of the largest ball that lies in the phase and holds the
point. A plate has its thickness, a tube its diameter, a ball its own everywhere.

Source: Hildebrand and Rueegsegger, doi:10.1046/j.1365-2818.1997.1340694.x.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.voxels.image import VoxelImage, check_memory


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LocalWidths:
    """Distribution of the local width over the volume of a phase.

    Attributes:
        phase: The phase.
        widths: Classes of the width, falling; each is its lower end, shape (n,) [m].
        shares: Share of the volume of the phase in each class, sum 1, shape (n,) [-].
    """

    phase: str
    widths: Array
    shares: Array

    @property
    def mean(self) -> float:
        """Mean width, by volume [m]."""
        return float(self.widths @ self.shares)

    @property
    def median(self) -> float:
        """Width that half of the volume does not reach [m]."""
        return float(self.widths[np.searchsorted(np.cumsum(self.shares), 0.5)])


@checked
def local_widths(image: VoxelImage, phase: str, *, classes: int = 24) -> LocalWidths:
    """Measure how wide a phase is.

    Widths of round pores come out up to two voxels too small, those of slits exact. Planes at the
    sides of the image do not bound the phase; across periodic sides it goes on. A class takes up to
    1 s per million voxels.

    Args:
        image: The image.
        phase: The phase, such as the void.
        classes: Number of classes, equally apart.

    Raises:
        InputError: If there is no such phase, it has no voxel or nothing else has one, or the
            number of classes is not from 2 to 200.
    """
    mask = image.labels == image.label(phase)
    check_number("local_widths", "classes", classes, lower=2, upper=200)
    if not mask.any() or mask.all():
        what = "no voxel" if not mask.any() else "all voxels"
        raise InputError(f"local_widths: {phase!r} has {what} of the image: it has no width")
    step = np.array(image.spacing)
    reach = ndimage.distance_transform_edt(mask, sampling=step).max()  # at least the true one
    sides = [int(np.ceil(2 * reach / edge)) + 1 for edge in image.spacing]
    around = [(n, n) if side else (0, 0) for n, side in zip(sides, image.periodic, strict=True)]
    shape = tuple(n + a + b for n, (a, b) in zip(mask.shape, around, strict=True))
    check_memory("local_widths", shape, bytes_per_voxel=24)
    wide = np.pad(mask, around, mode="wrap")
    depth = ndimage.distance_transform_edt(wide, sampling=step)
    own = tuple(slice(a, a + n) for n, (a, _) in zip(mask.shape, around, strict=True))
    half = step.min() / 2  # a surface lies between two voxels, depths end at the middle of one
    radii = np.linspace(depth[own].max(), 2 * half, int(classes))
    left, volumes = mask.copy(), []
    for radius in radii[:-1]:
        from_centres = ndimage.distance_transform_edt(depth < radius * (1 - 1e-9), sampling=step)
        covered = left & (from_centres[own] < radius)
        volumes.append(np.count_nonzero(covered))
        left &= ~covered
    volumes.append(np.count_nonzero(left))  # all that is left is wider than a voxel
    return LocalWidths(
        phase=phase, widths=2 * (radii - half), shares=np.array(volumes) / np.count_nonzero(mask)
    )

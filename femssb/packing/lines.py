"""Lines along z through a packing, and which sphere covers them where: overlaps count once."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.packing.packing import Packing

LINES = 160_000  # along z, through the box: gives porosity to about 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """Parts of lines along z that spheres cover, in the order of lines and heights.

    Where spheres overlap on a line, the one that the line enters first has the overlap.
    """

    starts: Array  # of the parts, shape (m,) [m]
    ends: Array  # shape (m,) [m]
    spheres: NDArray[np.int64]  # that cover them, shape (m,)
    area: float  # that a line stands for [m2]

    def covered(self, height: float = math.inf) -> float:
        """Return the volume that spheres cover below a height [m3]."""
        return float(np.sum(np.clip(height, self.starts, self.ends) - self.starts) * self.area)


def lines_through(packing: Packing) -> Lines:
    """Return where lines on a regular grid over the xy plane pass through spheres.

    A sphere covers one interval of each line that meets it; intervals are cut at the ends of the
    box and where they overlap.
    """
    across = np.sqrt(LINES * packing.lengths[:2] / packing.lengths[:2][::-1])
    counts = np.maximum(np.rint(across).astype(int), 1)
    spacing = packing.lengths[:2] / counts
    starts, ends, lines, spheres = [], [], [], []
    bottom, ceiling = packing.lower[2], packing.upper[2]
    for shift in _images(packing):
        centres = packing.positions + shift
        # All grid points in the square around every disc, then those in the disc.
        place = centres[:, :2] - packing.lower[:2]
        first = np.ceil((place - packing.radii[:, None]) / spacing - 0.5)
        last = np.floor((place + packing.radii[:, None]) / spacing - 0.5)
        first = np.clip(first, 0, counts).astype(int)
        last = np.clip(last, -1, counts - 1).astype(int)
        size = np.maximum(last - first + 1, 0)
        repeats = size[:, 0] * size[:, 1]
        sphere = np.repeat(np.arange(len(repeats)), repeats)
        within = np.arange(len(sphere)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        i = first[sphere, 0] + within // np.maximum(size[sphere, 1], 1)
        j = first[sphere, 1] + within % np.maximum(size[sphere, 1], 1)
        away = packing.lower[:2] + (np.column_stack([i, j]) + 0.5) * spacing - centres[sphere, :2]
        half = packing.radii[sphere] ** 2 - np.sum(away**2, axis=1)
        inside = half > 0
        sphere, half = sphere[inside], np.sqrt(half[inside])
        spheres.append(sphere)
        lines.append((i * counts[1] + j)[inside])
        starts.append(np.clip(centres[sphere, 2] - half, bottom, ceiling))
        ends.append(np.clip(centres[sphere, 2] + half, bottom, ceiling))
    line, start, end, sphere = (np.concatenate(parts) for parts in (lines, starts, ends, spheres))
    order = np.lexsort((start, line))
    line, start, end, sphere = line[order], start[order], end[order], sphere[order]
    # The furthest end so far on a line: lines are set apart by more than the box is high.
    apart = line * (2 * packing.lengths[2])
    reached = np.maximum.accumulate(end + apart) - apart
    before = np.full(len(line), bottom)
    same = np.flatnonzero(line[1:] == line[:-1]) + 1
    before[same] = reached[same - 1]
    return Lines(
        starts=np.minimum(np.maximum(start, before), end),
        ends=end,
        spheres=sphere,
        area=float(np.prod(spacing)),
    )


def _images(packing: Packing) -> Array:
    """Return the shifts at which periodic images of the spheres may reach into the box."""
    choices = [(-1, 0, 1) if side else (0,) for side in packing.periodic]
    grid = np.stack(np.meshgrid(*choices, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(grid * packing.lengths)

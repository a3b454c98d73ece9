"""Binder as concave menisci where the surfaces of particles come close together.

A wetting liquid of little volume sits where a bubble of some radius R does not fit: binder fills
the pores that no ball of that radius reaches, so that its own surfaces are concave with radius R,
as capillarity demands. R follows from the volume of binder that is asked for.

With d the distance to the particles, a ball of radius d(y) about y is the largest that fits there.
Binder is where those with d(y) >= R do not reach:

    min over y of |x - y|^2 - d(y)^2 >= 0        (d(y) >= R)

Both minima are taken axis by axis as lower envelopes of parabolas (Felzenszwalb and Huttenlocher
2012, doi:10.4086/toc.2012.v008a019), which SciPy's distance transform does not offer.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.description import checked
from femssb.environment.compiled import njit
from femssb.errors import InputError, check_number
from femssb.voxels.image import VoxelImage, check_memory

Single = NDArray[np.float32]

FAR = np.float32(3e38)  # height of a parabola that is not there [squared voxels]
CLOSE = 0.005  # excess over the wanted volume at which only the deepest voxels are taken [-]


@checked
def add_binder(
    image: VoxelImage,
    ratio: float,
    *,
    around: str = "AM",
    phase: str = "binder",
    into: str = "void",
) -> VoxelImage:
    """Put binder where the surfaces of particles come close together.

    Args:
        image: Image with the particles; nonperiodic sides are mirrors.
        ratio: Volume of binder over that of the particles [-].
        around: Phase of the particles.
        phase: Name of the new phase.
        into: Phase that binder replaces, the only one.

    Returns:
        The image with one more phase; `origin` holds the radius of the menisci [m].

    Raises:
        InputError: If an input is out of bounds, or there is not that much room.
    """
    check_number("add_binder", "ratio", ratio, above=0, below=1)
    particles, room = image.mask(around), image.mask(into)
    if phase in image.phase_names:
        raise InputError(f"add_binder.phase = {phase!r}: the image has that phase already")
    check_memory("add_binder", image.shape, bytes_per_voxel=16)
    wanted = round(ratio * int(particles.sum()))
    if wanted == 0:
        raise InputError(
            f"add_binder.around = {around!r}: too little of it for one voxel of binder"
        )
    if wanted > int(room.sum()):
        raise InputError(
            f"add_binder.ratio = {ratio:g}: that much binder takes a share of "
            f"{wanted / room.size:.4f} of the image, but only {room.mean():.4f} of it is {into!r}"
        )
    grid = _Grid(image)
    chosen, radius = _menisci(particles, room, grid, wanted)
    labels = np.array(image.labels)
    labels[chosen] = len(image.phase_names)
    labels.flags.writeable = False
    made = {"around": around, "ratio": ratio, "meniscus radius [m]": radius * min(image.spacing)}
    return VoxelImage(
        labels=labels,
        phase_names=(*image.phase_names, phase),
        spacing=image.spacing,
        periodic=image.periodic,
        origin={**image.origin, phase: made},
    )


class _Grid:
    """Distances between voxels, in units of the smallest spacing."""

    def __init__(self, image: VoxelImage) -> None:
        self.edges = [edge / min(image.spacing) for edge in image.spacing]
        self.periodic = image.periodic
        self.reach = 8.0  # farthest distance that matters, doubled when a radius needs it

    def squared_distance(self, particles: NDArray[np.bool_]) -> Single:
        """Return the squared distance to particles, at most about the reach."""
        square = np.where(particles, np.float32(0), FAR)
        self._envelopes(square)
        return np.minimum(square, np.float32(self.reach**2))

    def depth(self, square: Single, radius: float) -> Single:
        """Return how deep each voxel lies outside all balls of that radius or more; < 0 inside."""
        balls = np.where(square >= np.float32(radius**2), -square, FAR)
        self._envelopes(balls)
        return balls

    def _envelopes(self, values: Single) -> None:
        """Replace f(x) by the minimum over y within reach of f(y) + |x - y|^2, in place."""
        for axis, edge in enumerate(self.edges):
            pad, n = int(np.ceil(self.reach / edge)), values.shape[axis]
            source = np.arange(-pad, n + pad) % (n if self.periodic[axis] else 2 * n)
            source = np.minimum(source, 2 * n - 1 - source)  # the second half is the mirror
            # The axis treated is last, the others keep their order: neighbours in memory are
            # treated one after the other, which the cache rewards.
            _envelopes_of_lines(np.moveaxis(values, axis, -1), edge, source, pad)


def _menisci(
    particles: NDArray[np.bool_], room: NDArray[np.bool_], grid: _Grid, wanted: int
) -> tuple[NDArray[np.bool_], float]:
    """Return which voxels become binder, and the radius of the balls that do not reach them."""
    square = grid.squared_distance(particles)
    low, few = 0.0, np.zeros_like(room)
    radius = 1.0
    while True:  # radii that grow until more stays unreached than is wanted
        if 2 * radius > grid.reach:
            grid.reach *= 2
            square = grid.squared_distance(particles)
        depth = grid.depth(square, radius)
        unreached = (depth >= 0) & room
        if np.count_nonzero(unreached) >= wanted:
            break
        low, few = radius, unreached
        radius *= 1.5
    # Distances between voxels are discrete: only these radii make a difference.
    levels = np.unique(square[(square >= np.float32(low**2)) & (square < np.float32(radius**2))])
    while len(levels) > 1 and np.count_nonzero(unreached) > (1 + CLOSE) * wanted:
        middle = len(levels) // 2
        tried = grid.depth(square, float(np.sqrt(levels[middle])))
        found = (tried >= 0) & room
        if np.count_nonzero(found) >= wanted:
            radius, depth, unreached = float(np.sqrt(levels[middle])), tried, found
            levels = levels[:middle]
        else:
            few = found
            levels = levels[middle:]
    rest = np.nonzero((unreached & ~few).ravel())[0]
    deepest = np.argsort(-depth.ravel()[rest], kind="stable")
    few.ravel()[rest[deepest[: wanted - np.count_nonzero(few)]]] = True
    return few, radius


@njit(cache=True)
def _lower_envelope(row: Any, step: float, where: Any, until: Any) -> None:
    """Replace f(i) by the minimum over j of f(j) + (step (i - j))^2."""
    n = len(row)
    height = row.copy()
    last = -1
    for j in range(n):
        if height[j] >= FAR:
            continue
        start = -1e30
        while last >= 0:
            i = where[last]
            rise = (height[j] - height[i]) / (step * step)
            start = (rise + j * j - i * i) / (2.0 * (j - i))
            if start > until[last]:
                break
            last -= 1
            start = -1e30
        last += 1
        where[last] = j
        until[last] = start  # from where on parabola `last` is the lowest
    if last < 0:
        return
    front = 0
    for i in range(n):
        while front < last and until[front + 1] <= i:
            front += 1
        row[i] = height[where[front]] + (step * (i - where[front])) ** 2


@njit(cache=True)
def _envelopes_of_lines(lines: Any, edge: float, source: Any, pad: int) -> None:
    """Take the lower envelopes along the last axis, in place; `source` continues each line."""
    row, until = np.empty(len(source)), np.empty(len(source))
    where = np.empty(len(source), dtype=np.int64)
    for a in range(lines.shape[0]):
        for b in range(lines.shape[1]):
            for i in range(len(source)):
                row[i] = lines[a, b, source[i]]
            _lower_envelope(row, edge, where, until)
            for i in range(lines.shape[2]):
                lines[a, b, i] = row[i + pad]

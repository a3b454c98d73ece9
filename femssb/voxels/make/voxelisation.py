"""From spheres to voxels: every voxel of the box of a packing gets a phase.

Two rules. ``"centre"``: a voxel belongs to the phase its centre lies in, the surface included;
exact, and without bias in the volumes. ``"majority"``: it belongs to the phase that holds most of
`samples`^3 points spread over it, which smooths surfaces but rounds them off: spheres of 4 voxels
radius lose 1 % of their volume. Where spheres of several phases overlap, the phase that comes first
in `priority` wins; by default the active material, "AM".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.environment.compiled import njit
from femssb.errors import InputError, check_number, shown
from femssb.packing.packing import Packing
from femssb.voxels.image import SMALLEST, Labels, VoxelImage, check_memory, counts_of

Shape = tuple[int, int, int]
Vector = tuple[float, float, float]
Rule = Literal["centre", "majority"]

MOST_SAMPLES = 6  # along an edge: their number, 216, fits a byte
ON_SURFACE = 1e-12  # distance over the radius below which a point is on the surface [-]
GROWTH = 1 / 8  # step of a dilation over the mean radius while its bracket is sought [-]
PRECISE = 1e-4  # width of the bracket over that step at which the dilation is found [-]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spheres:
    """The spheres of a packing and their periodic images, in the order in which they are painted.

    Attributes:
        centres: From the lower corner of the box, shape (n, 3) [m].
        radii: Shape (n,) [m].
        labels: Label in the image of each sphere, shape (n,); the last one painted wins.
        bodies: One more than the place of each in `order`, the same for all images, shape (n,).
        order: Spheres of the packing in the order in which they are painted, shape (all spheres,).
    """

    centres: Array
    radii: Array
    labels: Labels
    bodies: NDArray[np.int32]
    order: NDArray[np.intp]


def priority_of(packing: Packing, priority: Sequence[str] | None) -> tuple[str, ...]:
    """Return the phases of a packing, first the one that wins where they overlap.

    Args:
        packing: Spheres of named phases.
        priority: The phases in that order; None: "AM" first, if there is such a phase, and then in
            the order of ``packing.phase_names``.

    Raises:
        InputError: If a phase is left out, given twice, or not in the packing.
    """
    if priority is None:
        return tuple(sorted(packing.phase_names, key=lambda name: name != "AM"))
    if sorted(priority) != sorted(packing.phase_names):
        raise InputError(
            f"priority = {tuple(priority)!r} must name every phase of the packing once: "
            f"{packing.phase_names!r}"
        )
    return tuple(priority)


def paint_order(
    packing: Packing, priority: Sequence[str] | None, radii: Array | None = None
) -> Spheres:
    """Return the spheres that reach into the box; those that win come last.

    Args:
        packing: Spheres; phase i of it gets label i + 1, for 0 is the background.
        priority: As for `priority_of`.
        radii: Replace those of the packing, shape (n,) [m].
    """
    names = priority_of(packing, priority)
    radii = packing.radii if radii is None else radii
    sides = packing.lengths
    centres = packing.positions - packing.lower
    centres = np.where(packing.periodic, centres % sides, centres)
    most = np.where(packing.periodic, np.ceil(radii.max(initial=0.0) / sides), 0).astype(int)
    images = [range(-number, number + 1) for number in most.tolist()]
    rank = np.array([len(names) - names.index(name) for name in packing.phase_names])
    painted = np.argsort(rank[packing.phases], kind="stable")
    bodies = np.empty(len(painted), np.int32)
    bodies[painted] = np.arange(1, len(painted) + 1)
    found: list[tuple[Array, NDArray[np.intp]]] = []
    for shift in product(*images):
        moved = centres + np.array(shift) * sides
        inside = np.all((moved + radii[:, None] > 0) & (moved - radii[:, None] < sides), axis=1)
        index = np.nonzero(inside)[0]
        found.append((moved[index], index))
    index = np.concatenate([index for _, index in found])
    moved = np.concatenate([centre for centre, _ in found])
    order = np.argsort(bodies[index], kind="stable")
    return Spheres(
        centres=np.ascontiguousarray(moved[order]),
        radii=radii[index][order],
        labels=(packing.phases[index][order] + 1).astype(np.uint8),
        bodies=bodies[index][order],
        order=painted,
    )


@njit(cache=True)
def _paint(grid: Any, first: Any, step: Any, centres: Any, radii: Any, labels: Any) -> None:
    """Label the points ``first + (i, j, k) step`` that lie in spheres, sphere after sphere."""
    nx, ny, nz = grid.shape
    for s in range(len(radii)):
        x, y, z = centres[s]
        radius = radii[s] * (1 + ON_SURFACE)
        for i in range(
            max(0, int(np.ceil((x - radius - first[0]) / step[0]))),
            min(nx, int(np.floor((x + radius - first[0]) / step[0])) + 1),
        ):
            disc = radius**2 - (first[0] + i * step[0] - x) ** 2
            if disc < 0:
                continue
            r = np.sqrt(disc)
            for j in range(
                max(0, int(np.ceil((y - r - first[1]) / step[1]))),
                min(ny, int(np.floor((y + r - first[1]) / step[1])) + 1),
            ):
                chord = disc - (first[1] + j * step[1] - y) ** 2
                if chord < 0:
                    continue
                half = np.sqrt(chord)
                low = max(0, int(np.ceil((z - half - first[2]) / step[2])))
                high = min(nz, int(np.floor((z + half - first[2]) / step[2])) + 1)
                if high > low:  # a negative end would count from the far side
                    grid[i, j, low:high] = labels[s]


def paint[Label: np.generic](
    spheres: Spheres,
    labels: NDArray[Label],
    shape: Shape,
    first: Sequence[float],
    step: Sequence[float],
) -> NDArray[Label]:
    """Return the labels of the points ``first + (i, j, k) step``, 0 outside all spheres.

    Args:
        spheres: In the order in which they are painted.
        labels: Of the spheres: their `labels` or their `bodies`.
        shape: Number of points along x, y and z.
        first: The point (0, 0, 0), from the lower corner of the box [m].
        step: Distance of the points along x, y and z [m].
    """
    grid = np.zeros(shape, dtype=labels.dtype)
    start, steps = np.array(first, dtype=np.float64), np.array(step, dtype=np.float64)
    end = start + steps * (np.array(shape) - 1)
    x, r = spheres.centres[:, 0], spheres.radii * (1 + ON_SURFACE)
    near = np.nonzero((x + r >= start[0]) & (x - r <= end[0]))[0]  # most calls ask for a thin slab
    _paint(grid, start, steps, spheres.centres[near], spheres.radii[near], labels[near])
    return grid


@njit(cache=True)
def _majority(fine: Any, samples: int, order: Any, labels: Any) -> None:
    """Give every voxel of a plane the label of most of its points; the first wins a tie."""
    ny, nz = labels.shape
    count = np.zeros(order.max() + 1, dtype=np.int64)
    for j in range(ny):
        for k in range(nz):
            count[:] = 0
            for a in range(samples):
                for b in range(j * samples, (j + 1) * samples):
                    for c in range(k * samples, (k + 1) * samples):
                        count[fine[a, b, c]] += 1
            best = order[0]
            for label in order[1:]:
                if count[label] > count[best]:
                    best = label
            labels[j, k] = best


def grid_of(packing: Packing, spacing: float | Sequence[float]) -> tuple[Shape, Vector]:
    """Return the number of voxels of the box along x, y and z, and their edges [m].

    Raises:
        InputError: If a spacing is not a length, or larger than the box.
    """
    given = np.ravel(np.array(spacing, dtype=object)).tolist()
    given = given * 3 if len(given) == 1 else given
    if len(given) != 3:
        raise InputError(f"voxelise.spacing = {shown(spacing)} must be one length or three")
    for side, edge in zip(packing.lengths.tolist(), given, strict=True):
        check_number("voxelise", "spacing", edge, lower=SMALLEST, unit="m")
        check_number("voxelise", "spacing", edge, upper=side, unit="m")
    shape = np.maximum(1, np.rint(packing.lengths / np.array(given, dtype=np.float64))).astype(int)
    dx, dy, dz = (packing.lengths / shape).tolist()
    nx, ny, nz = shape.tolist()
    return (nx, ny, nz), (dx, dy, dz)


@checked
def voxelise(
    packing: Packing,
    *,
    spacing: float | Sequence[float],
    priority: Sequence[str] | None = None,
    rule: Rule = "centre",
    samples: int = 4,
    background: str = "void",
    conserve: str | None = None,
) -> VoxelImage:
    """Cut the box of a packing into voxels and label them.

    Args:
        packing: Spheres of named phases; they continue across periodic sides.
        spacing: Edge of a voxel, or its three edges [m]; changed so that the box is cut evenly.
        priority: Phases, first the one that wins where they overlap; None: "AM" first.
        rule: See the head of this module.
        samples: Points along each edge of a voxel for the majority, 2 to 6.
        background: Name of the space outside all spheres, label 0.
        conserve: Phase whose spheres are all dilated by one thickness until it has the volume that
            its spheres have without their overlaps: material pressed aside fills the pores next to
            it. None: overlaps are lost.

    Returns:
        The image; its phases are the background and then those of the packing. Its `origin` holds
        the rule, the nominal volume fractions and the dilation.

    Raises:
        InputError: If a spacing, a name or a number is out of bounds, the image would not fit into
            memory, or the volume to conserve does not fit into the pores.
    """
    shape, step = grid_of(packing, spacing)
    check_number("voxelise", "samples", samples, lower=2, upper=MOST_SAMPLES)
    if background in packing.phase_names:
        raise InputError(f"voxelise.background = {background!r} is a phase of the packing")
    check_memory("voxelise", shape, bytes_per_voxel=1)
    names = (background, *packing.phase_names)
    dilation = 0.0
    radii = packing.radii
    if conserve is not None:
        dilation = _dilation(packing, conserve, shape, step, priority)
        radii = np.where(packing.of_phase(conserve), radii + dilation, radii)
    spheres = paint_order(packing, priority, radii)
    if rule == "centre":
        labels = paint(spheres, spheres.labels, shape, [0.5 * edge for edge in step], step)
    else:
        labels = _by_majority(spheres, shape, step, samples, names, priority_of(packing, priority))
    labels.flags.writeable = False
    box = float(np.prod(packing.lengths))
    nominal = np.bincount(packing.phases, packing.volumes, len(packing.phase_names)) / box
    made: dict[str, Any] = {
        "rule": rule,
        "priority": list(priority_of(packing, priority)),
        "nominal fractions": dict(zip(packing.phase_names, nominal.tolist(), strict=True)),
    }
    if rule == "majority":
        made["samples"] = samples
    if conserve is not None:
        made["conserved"] = conserve
        made["dilation [m]"] = dilation
    return VoxelImage(
        labels=labels,
        phase_names=names,
        spacing=step,
        periodic=packing.periodic,
        origin={"packing": dict(packing.origin), "voxelise": made},
    )


def _by_majority(
    spheres: Spheres,
    shape: Shape,
    step: Vector,
    samples: int,
    names: tuple[str, ...],
    wins: tuple[str, ...],
) -> Labels:
    nx, ny, nz = shape
    order = np.array([names.index(name) for name in (*wins, names[0])])
    fine = [edge / samples for edge in step]
    labels = np.empty(shape, dtype=np.uint8)
    for i in range(nx):  # plane by plane: the points of a whole image would fill the memory
        first = [i * step[0] + fine[0] / 2, fine[1] / 2, fine[2] / 2]
        points = paint(spheres, spheres.labels, (samples, ny * samples, nz * samples), first, fine)
        _majority(points, samples, order, labels[i])
    return labels


def _dilation(
    packing: Packing, name: str, shape: Shape, step: Vector, priority: Sequence[str] | None
) -> float:
    """Return the dilation that gives the spheres of a phase their full volume [m]."""
    chosen = packing.of_phase(name)
    if not chosen.any():
        raise InputError(f"voxelise.conserve = {name!r}: the packing has no sphere of that phase")
    label = packing.phase_names.index(name) + 1
    voxels = int(np.prod(shape))
    wanted = packing.volumes[chosen].sum() / np.prod(packing.lengths)
    first = [0.5 * edge for edge in step]

    def lacks(dilation: float) -> tuple[float, float]:
        radii = np.where(chosen, packing.radii + dilation, packing.radii)
        spheres = paint_order(packing, priority, radii)
        labels = paint(spheres, spheres.labels, shape, first, step)
        shares = counts_of(labels, len(packing.phase_names) + 1) / voxels
        return wanted - shares[label], shares[0]

    low, high = 0.0, 0.0
    missing, pores = lacks(0.0)
    if missing <= 0:
        return 0.0
    if missing > pores:
        raise InputError(
            f"voxelise.conserve = {name!r}: a share of {missing:.4f} of the box is to be restored, "
            f"but only {pores:.4f} is free"
        )
    growth = float(packing.radii[chosen].mean()) * GROWTH
    while missing > 0:
        low, high = high, high + growth
        missing, _ = lacks(high)
    while missing != 0 and high - low > PRECISE * growth:
        middle = (low + high) / 2
        missing, _ = lacks(middle)
        low, high = (middle, high) if missing > 0 else (low, middle)
    return high

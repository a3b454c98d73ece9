"""Areas of the interfaces between phases, or between conducting clusters, of a voxel image.

Counted voxel faces are too many by the mean of |nx| + |ny| + |nz| over the surface: 1.5 for a
sphere however fine the voxels, and 1 to 1.73 for a plane. The areas given here follow from the
Cauchy-Crofton formula: an interface of area S in a volume V is crossed S / (2 V) times per length
of line, averaged over all directions. The lines are those from the centre of every voxel to its 26
neighbours, each direction weighted by the part of the unit sphere that is nearest to it.
A step to a diagonal neighbour crosses the interface between the phases at its ends if a staircase
over faces within these two phases leads there; if not, the interfaces that such staircases cross,
in the mean. So a film one voxel thick is not seen through, and the parts of a surface that face
several neighbours add up. Across periodic sides the image continues, at others it is mirrored.

Error of the area of a sphere, mean and standard deviation over places of its centre [%]. Marching
cubes are those of scikit-image 0.26, on the image as it is and after a Gaussian blur of one voxel:

| radius in voxels | faces / 1.5 | here | marching cubes | blurred |
|---|---|---|---|---|
| 2 | -3.0, 5.7 | -4.5, 4.4 | 0.9, 4.6 | -62.8, 5.0 |
| 4 | -0.8, 1.7 | -1.2, 0.9 | 6.6, 1.1 | -14.4, 0.8 |
| 8 | -0.3, 0.7 | -0.3, 0.4 | 8.3, 0.5 | -3.3, 0.2 |
| 16 | 0.0, 0.3 | -0.1, 0.1 | 8.7, 0.1 | -0.6, 0.1 |
| 32 | 0.0, 0.1 | 0.0, 0.1 | 8.8, 0.1 | 0.1, 0.0 |

Planes, the worst shape since they have one direction: -7.3 (along the voxels) to +2.3 %, where
faces / 1.5 gives -33 to +15 %. For voxels twice as high as wide planes are within -13 and +9 %.
Where surfaces meet, steps cut the corner: for spheres of 8 to 12 voxels that overlap at random the
areas are 2 to 4 % too small (faces / 1.5: 1 to 3 %), half of that with voxels half as large.
Contacts of a few voxels are too large instead, for voxels close the gap around them: by 15 % for
two spheres of 16 voxels that overlap by two (12 %). For packings, `femssb.voxels.sphere_areas` has
neither error.

Source: Ohser and Muecklich, Statistical Analysis of Microstructures in Materials Science (2000);
weights as in Legland, Kieu and Devaux, doi:10.5566/ias.v26.p83-92.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import SphericalVoronoi

from femssb.description import checked
from femssb.errors import InputError
from femssb.voxels.image import AXES, VoxelImage
from femssb.voxels.measure.clusters import Mask, Networks
from femssb.voxels.measure.pieces import pieces

Counts = NDArray[np.int64]

PARTS = 6  # of a crossing: as many as there are staircases through a voxel
# The 26 steps from a voxel to its neighbours.
NEIGHBOURS = tuple(step for step in itertools.product((1, 0, -1), repeat=3) if any(step))


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class InterfaceArea:
    """Area of an interface.

    Attributes:
        area: Cauchy-Crofton estimate [m2].
        per_volume: The same per volume of the image [1/m].
        counted: Area of the voxel faces, a staircase: not an estimate of the area [m2].
    """

    area: float
    per_volume: float
    counted: float


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class InterfaceAreas:
    """Areas of all interfaces between the phases of an image.

    Attributes:
        pairs: Interface of each pair of phases, in the order of the phases.
    """

    pairs: Mapping[tuple[str, str], InterfaceArea]

    @checked
    def between(self, first: str, second: str) -> InterfaceArea:
        """Return the interface of two phases, in any order.

        Raises:
            InputError: If the image has no such pair of phases.
        """
        for pair in ((first, second), (second, first)):
            if pair in self.pairs:
                return self.pairs[pair]
        raise InputError(f"no interface {first!r} | {second!r}; there are {list(self.pairs)!r}")

    @checked
    def surface(self, phase: str) -> dict[str, float]:
        """Return the share of the surface of a phase that each other phase covers [-].

        With this the AM covered by binder is ``areas.surface("AM")["binder"]``. The shares add up
        to one, or are all 0 if the phase has no surface.

        Raises:
            InputError: If the image has no such phase.
        """
        faced = {
            second if first == phase else first: part.area
            for (first, second), part in self.pairs.items()
            if phase in (first, second)
        }
        if not faced:
            raise InputError(f"no interface of {phase!r}; there are {list(self.pairs)!r}")
        total = sum(faced.values())
        return {name: area / total if total > 0 else 0.0 for name, area in faced.items()}


@checked
def interface_areas(image: VoxelImage) -> InterfaceAreas:
    """Measure the interfaces of all pairs of phases at once.

    Args:
        image: The image.

    Raises:
        InputError: If there are fewer than two phases.
    """
    names = image.phase_names
    if len(names) < 2:
        raise InputError(f"VoxelImage has the phases {names!r}, expected two at least")
    pairs = _interfaces(image.labels.__getitem__, image, image.periodic, phases=len(names))
    return InterfaceAreas(
        pairs={(names[first], names[second]): found for (first, second), found in pairs.items()}
    )


@checked
def interface_area(image: VoxelImage, first: Mask, second: Mask) -> InterfaceArea:
    """Measure the interface of two sets of voxels.

    Args:
        image: Gives the spacing and the periodic sides.
        first: Mask of the first set, shape (nx, ny, nz).
        second: Mask of the second set, shape (nx, ny, nz).

    Raises:
        InputError: If a set has another shape or is not boolean, or if they share a voxel.
    """
    return _between(image, first, second, image.periodic)


@checked
def active_interface(
    networks: Networks, *, active_material: str = "AM", electrolyte: str = "SE"
) -> InterfaceArea:
    """Measure the interface at which lithium can enter and leave.

    It lies between the active material that is connected to the current collector and the
    electrolyte that is connected to the separator.

    Args:
        networks: The conducting networks of the electrode.
        active_material: The electronic phase that takes up lithium; others do not count.
        electrolyte: The ionic phase.

    Raises:
        InputError: If the phases are not in their network.

    Source: Bielefeld 2020, doi:10.1021/acsami.9b22788, section 3.2.1.
    """
    electronic, ionic = networks.electronic, networks.ionic
    for name, clusters in ((active_material, electronic), (electrolyte, ionic)):
        if name not in clusters.phases:
            raise InputError(f"{name!r} is not in its network, which has {clusters.phases!r}")
    image = electronic.image
    first = electronic.mask(networks.collector)
    if electronic.phases != (active_material,):
        first &= image.mask(active_material)
    second = ionic.mask(networks.separator)
    if ionic.phases != (electrolyte,):
        second &= image.mask(electrolyte)
    x, y, z = (
        side and axis != electronic.axis for axis, side in zip(AXES, image.periodic, strict=True)
    )  # the plates are no interface
    return _between(image, first, second, (x, y, z))


def _between(
    image: VoxelImage, first: Mask, second: Mask, periodic: tuple[bool, bool, bool]
) -> InterfaceArea:
    """Measure the interface of two sets of voxels, with the given sides periodic."""
    for name, mask in (("first", first), ("second", second)):
        if mask.shape != image.shape:
            raise InputError(
                f"{name} has shape {mask.shape}, expected a mask of shape {image.shape}"
            )
    if any(np.any(first[part] & second[part]) for part in pieces(image.shape)):
        raise InputError("first and second share voxels: there is no interface between them")

    def label(planes: NDArray[np.intp]) -> NDArray[np.uint8]:
        labels: NDArray[np.uint8] = second[planes].view(np.uint8) * np.uint8(2)
        labels |= first[planes].view(np.uint8)
        return labels

    return _interfaces(label, image, periodic, phases=3)[1, 2]


def _interfaces(
    label: Callable[[NDArray[np.intp]], NDArray[np.uint8]],
    image: VoxelImage,
    periodic: tuple[bool, bool, bool],
    phases: int,
) -> dict[tuple[int, int], InterfaceArea]:
    """Return the area of every pair of labels; sides that are not periodic are mirrors.

    `label` gives the labels of some planes of voxels across x, the image shape and spacing.
    """
    spacing = np.asarray(image.spacing)
    lines = np.array(NEIGHBOURS) * spacing
    reach = np.linalg.norm(lines, axis=1)
    weights = SphericalVoronoi(lines / reach[:, None]).calculate_areas() / (4 * np.pi)
    voxel = math.prod(image.spacing)
    crossings = _count_crossings(label, image.shape, periodic, phases) / PARTS
    crossings += np.swapaxes(crossings, 1, 2).copy()
    areas = 2 * voxel * np.tensordot(weights / reach, crossings, axes=1)
    faces = np.abs(NEIGHBOURS).sum(axis=1) == 1
    counted = voxel / 2 * np.tensordot(1 / reach[faces], crossings[faces], axes=1)  # from both ends
    return {
        (first, second): InterfaceArea(
            area=float(areas[first, second]),
            per_volume=float(areas[first, second] / (voxel * image.labels.size)),
            counted=float(counted[first, second]),
        )
        for first, second in itertools.combinations(range(phases), 2)
    }


def _count_crossings(
    label: Callable[[NDArray[np.intp]], NDArray[np.uint8]],
    shape: tuple[int, int, int],
    periodic: tuple[bool, bool, bool],
    phases: int,
) -> Counts:
    """Count, in sixths, the steps to each neighbour by their labels: (26, phases, phases)."""
    nx, ny, nz = shape
    strides = ((ny + 2) * (nz + 2), nz + 2, 1)  # of a slab with one voxel more on every side
    counts = np.zeros((len(NEIGHBOURS), phases, phases), dtype=np.int64)
    for part in pieces(shape):
        planes = np.arange(part.start - 1, part.stop + 1)
        planes = planes % nx if periodic[0] else planes.clip(0, nx - 1)
        block = label(planes)
        block = np.pad(block, ((0, 0), (1, 1), (0, 0)), mode="wrap" if periodic[1] else "edge")
        block = np.pad(block, ((0, 0), (0, 0), (1, 1)), mode="wrap" if periodic[2] else "edge")
        flat = block.ravel()
        inside = block[1:-1, 1:-1, 1:-1]
        for row, step in enumerate(NEIGHBOURS):
            beyond = tuple(
                slice(1 + shift, 1 + shift + size)
                for shift, size in zip(step, inside.shape, strict=True)
            )
            place = np.flatnonzero(inside != block[beyond])
            line = place // nz
            place += 2 * line + (line // ny) * (2 * (nz + 2)) + sum(strides)
            moves = [shift * stride for shift, stride in zip(step, strides, strict=True) if shift]
            counts[row] += _count_steps(flat, place, moves, phases)
    return counts


def _count_steps(
    flat: NDArray[np.uint8], place: NDArray[np.intp], moves: list[int], phases: int
) -> Counts:
    """Count the interfaces between voxels and those that some moves together lead to.

    The steps begin at `place`, shape (n,), and end at another label after one to three moves across
    a face. Returned are sixths of crossings from label to label, shape (phases, phases).
    """
    here, there = flat[place], flat[place + sum(moves)]
    if phases == 2 or len(moves) == 1:
        return PARTS * _tally(here, there, phases)
    between = {
        ahead: flat[place + ahead]
        for size in range(1, len(moves))
        for ahead in map(sum, itertools.combinations(moves, size))
    }
    stays = {ahead: (labels == here) | (labels == there) for ahead, labels in between.items()}
    stairs = [list(itertools.accumulate(order))[:-1] for order in itertools.permutations(moves)]
    joined = np.zeros(len(place), dtype=np.bool_)
    for stair in stairs:
        joined |= np.logical_and.reduce([stays[ahead] for ahead in stair])
    counts = PARTS * _tally(here[joined], there[joined], phases)
    apart = np.flatnonzero(~joined)
    for stair in stairs:
        chain = [here[apart], *(between[ahead][apart] for ahead in stair), there[apart]]
        for first, second in itertools.pairwise(chain):
            counts += PARTS // len(stairs) * _tally(first, second, phases)
    return counts


def _tally(first: NDArray[np.uint8], second: NDArray[np.uint8], phases: int) -> Counts:
    """Count the pairs of labels, shape (phases, phases)."""
    pairs = np.bincount(first.astype(np.intp) * phases + second, minlength=phases**2)
    return pairs.reshape(phases, phases)

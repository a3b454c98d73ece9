"""Areas of the interfaces between phases, or between conducting clusters, of a voxel image.

Counted voxel faces are too many by the mean of |nx| + |ny| + |nz| over the surface: 1.5 for a
sphere however fine the voxels, and 1 to 1.73 for a plane. The areas given here follow from the
Cauchy-Crofton formula: an interface of area S in a volume V is crossed S / (2 V) times per length
of line, averaged over all directions. The lines are those from the centre of every voxel to its 26
neighbours, each direction weighted by the part of the unit sphere that is nearest to it.
It works as well for the part of a surface that faces one of several neighbours, which marching
cubes does not, and for periodic sides; at other sides the image is mirrored.

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
Where three phases meet, lines see a pair across the third one, an error of a voxel width times the
length of the triple line: a film around a sphere lets 10 % of the area through if it is one voxel
thick and nothing from two voxels on; the contact of two spheres of 16 voxels that overlap by two is
17 % too large (faces / 1.5: 12 %, since the voxels close the gap around it).

Source: Ohser and Muecklich, Statistical Analysis of Microstructures in Materials Science (2000);
weights as in Legland, Kieu and Devaux, doi:10.5566/ias.v26.p83-92.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import SphericalVoronoi

from femssb.errors import InputError
from femssb.voxels.clusters import Mask, Networks, axis_number
from femssb.voxels.image import VoxelImage
from femssb.voxels.slabs import slabs

NEIGHBOURS = tuple(step for step in itertools.product((1, 0, -1), repeat=3) if any(step))
MOST_PHASES = 64  # bits of the largest code of a voxel


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


@dataclass(frozen=True, kw_only=True, slots=True)
class InterfaceAreas:
    """Areas of all interfaces between the phases of an image.

    Attributes:
        pairs: Area of the interface of each pair of phases, in the order of the phases.
    """

    pairs: Mapping[tuple[str, str], InterfaceArea]

    def between(self, first: str, second: str) -> InterfaceArea:
        """Return the interface of two phases, in any order.

        Raises:
            InputError: If the image has no such pair of phases.
        """
        for pair in ((first, second), (second, first)):
            if pair in self.pairs:
                return self.pairs[pair]
        raise InputError(f"no interface {first!r} | {second!r}; there are {list(self.pairs)!r}")

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


def interface_areas(image: VoxelImage) -> InterfaceAreas:
    """Measure the interfaces of all pairs of phases at once.

    Args:
        image: What to measure; up to 64 phases.

    Raises:
        InputError: If there are fewer than two phases, or more than 64.
    """
    count = len(image.phase_names)
    if not 2 <= count <= MOST_PHASES:
        raise InputError(f"VoxelImage has {count} phases, expected 2 to {MOST_PHASES}")
    kind = next(
        kind for kind in (np.uint8, np.uint16, np.uint32, np.uint64) if count <= kind(0).nbytes * 8
    )
    bits = np.left_shift(kind(1), np.arange(count, dtype=kind), dtype=kind)
    pairs = list(itertools.combinations(range(count), 2))
    codes = [bits[first] | bits[second] for first, second in pairs]
    crossings = _crossings(
        lambda planes: bits[image.labels[planes]], image.shape, image.periodic, codes
    )
    names = [(image.phase_names[first], image.phase_names[second]) for first, second in pairs]
    areas = (_area(row, image) for row in crossings)
    return InterfaceAreas(pairs=dict(zip(names, areas, strict=True)))


def interface_area(image: VoxelImage, first: Mask, second: Mask) -> InterfaceArea:
    """Measure the interface of two sets of voxels.

    Args:
        image: Gives the spacing and the periodic sides.
        first: Which voxels are in the first set, shape (nx, ny, nz).
        second: Which are in the second set, shape (nx, ny, nz).

    Raises:
        InputError: If a set has another shape or is not boolean, or if they share a voxel.
    """
    return _between(image, first, second, image.periodic)


def active_interface(
    networks: Networks, *, active_material: str = "AM", electrolyte: str = "SE"
) -> InterfaceArea:
    """Measure the interface at which lithium can go in and out.

    It lies between the active material that is connected to the current collector and the
    electrolyte that is connected to the separator.

    Args:
        networks: The conducting networks of the electrode.
        active_material: The electronic phase that takes up lithium; others do not count.
        electrolyte: The ionic phase.

    Raises:
        InputError: If the phases are not in their network.

    Source: Bielefeld, Weber and Janek, doi:10.1021/acsami.9b22788, section 3.2.1.
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
        side and axis != axis_number(electronic.axis) for axis, side in enumerate(image.periodic)
    )  # the plates are no interface
    return _between(image, first, second, (x, y, z))


def _between(
    image: VoxelImage, first: Mask, second: Mask, periodic: tuple[bool, bool, bool]
) -> InterfaceArea:
    """Measure the interface of two sets of voxels, with these sides periodic."""
    for name, mask in (("first", first), ("second", second)):
        if mask.shape != image.shape or mask.dtype != np.bool_:
            raise InputError(
                f"{name} has shape {mask.shape} and type {mask.dtype}, expected a mask of shape "
                f"{image.shape}"
            )
    if any(np.any(first[part] & second[part]) for part in slabs(image.shape)):
        raise InputError("first and second share voxels: there is no interface between them")

    def encode(planes: NDArray[np.intp]) -> NDArray[Any]:
        return first[planes].view(np.uint8) | np.left_shift(second[planes].view(np.uint8), 1)

    return _area(_crossings(encode, image.shape, periodic, [np.uint8(3)])[0], image)


def _crossings(
    encode: Callable[[NDArray[np.intp]], NDArray[Any]],
    shape: tuple[int, int, int],
    periodic: tuple[bool, bool, bool],
    codes: Sequence[np.unsignedinteger[Any]],
) -> NDArray[np.int64]:
    """Count the neighbours that are on either side of an interface.

    Args:
        encode: Gives the codes, one bit per set of voxels, of some planes across x.
        shape: Number of voxels along x, y and z.
        periodic: Whether the sides are periodic; others are mirrors.
        codes: For each interface the bits of the two sets it lies between.

    Returns:
        Number of crossings of each interface and direction, shape (len(codes), 26).
    """
    nx = shape[0]
    counts = np.zeros((len(codes), len(NEIGHBOURS)), dtype=np.int64)
    for part in slabs(shape):
        planes = np.arange(part.start - 1, part.stop + 1)
        planes = planes % nx if periodic[0] else planes.clip(0, nx - 1)
        block = encode(planes)
        block = np.pad(block, ((0, 0), (1, 1), (0, 0)), mode="wrap" if periodic[1] else "edge")
        block = np.pad(block, ((0, 0), (0, 0), (1, 1)), mode="wrap" if periodic[2] else "edge")
        here = block[1:-1, 1:-1, 1:-1]
        for column, step in enumerate(NEIGHBOURS):
            there = tuple(
                slice(1 + shift, 1 + shift + size)
                for shift, size in zip(step, here.shape, strict=True)
            )
            both = here | block[there]
            for row, code in enumerate(codes):
                counts[row, column] += np.count_nonzero(both == code)
    return counts


def _area(crossings: NDArray[np.int64], image: VoxelImage) -> InterfaceArea:
    """Return the area that follows from the crossings in every direction, shape (26,)."""
    spacing = np.asarray(image.spacing)
    lines = np.array(NEIGHBOURS) * spacing
    reach = np.linalg.norm(lines, axis=1)
    weights = SphericalVoronoi(lines / reach[:, None]).calculate_areas() / (4 * np.pi)
    voxel = math.prod(image.spacing)
    area = 2 * voxel * float(np.sum(weights * crossings / reach))
    faces = np.abs(NEIGHBOURS).sum(axis=1) == 1
    counted = voxel / 2 * float(np.sum(crossings[faces] / reach[faces]))  # seen from both sides
    return InterfaceArea(area=area, per_volume=area / (voxel * image.labels.size), counted=counted)

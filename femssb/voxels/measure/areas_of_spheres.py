"""Areas of the interfaces of a packing of spheres, from the spheres themselves, without voxels.

Points are spread evenly over every sphere. A point that lies in another sphere that wins over its
own, or of the same phase, is inside; any other is on an interface: with the phase that wins among
the spheres it lies in, or with the void. This needs no correction for voxels, and finds the small
contacts that voxels of any size blur.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.packing.packing import Packing
from femssb.voxels.make.voxelisation import priority_of
from femssb.voxels.measure.areas import InterfaceArea, InterfaceAreas

MOST_POINTS = 1_000_000  # on a sphere


@checked
def sphere_areas(
    packing: Packing,
    *,
    priority: Sequence[str] | None = None,
    background: str = "void",
    points: int = 1000,
) -> InterfaceAreas:
    """Measure the interfaces of all pairs of phases of a packing.

    Takes 0.4 ms per sphere. For 11 000 spheres the areas from 500 and from 2000 points differ by
    1e-4; for a few contacts more points are better.

    Args:
        packing: Spheres; parts of them outside the box, across sides that are not periodic, do not
            count.
        priority: As for `voxelise`.
        background: Name of the space outside all spheres.
        points: Number of points on each sphere.

    Returns:
        The areas; ``counted`` is NaN, for there are no voxel faces.

    Raises:
        InputError: If `priority` does not name every phase once, the background is one of them, or
            the box is periodic and so small that two spheres meet twice.
    """
    names = priority_of(packing, priority)
    if background in names:
        raise InputError(f"sphere_areas.background = {background!r} is a phase of the packing")
    check_number("sphere_areas", "points", points, lower=10, upper=MOST_POINTS)
    sides, periodic = packing.lengths, np.array(packing.periodic)
    widest = 4 * float(packing.radii.max(initial=0.0))
    if np.any(periodic & (sides < widest)):
        raise InputError(
            f"Packing: a periodic box of {sides} m is shorter than two of its largest spheres, "
            f"{widest:g} m: they meet twice"
        )
    rank = np.array([names.index(name) for name in packing.phase_names])[packing.phases]
    areas = _areas_by_rank(packing, rank, len(names), _even_directions(int(points)))
    order = [len(names), *(names.index(name) for name in packing.phase_names)]
    named, volume = (*names, background), math.prod(packing.lengths.tolist())
    pairs = {}
    for first, second in itertools.combinations(order, 2):
        area = float(areas[first, second] + areas[second, first])
        pairs[named[first], named[second]] = InterfaceArea(
            area=area, per_volume=area / volume, counted=math.nan
        )
    return InterfaceAreas(pairs=pairs)


def _even_directions(count: int) -> Array:
    """Return unit vectors spread evenly, on a golden spiral, shape (count, 3)."""
    step = np.arange(count) + 0.5
    height, turn = 1 - 2 * step / count, np.pi * (1 + np.sqrt(5)) * step
    across = np.sqrt(1 - height**2)
    return np.column_stack([across * np.cos(turn), across * np.sin(turn), height])


def _areas_by_rank(
    packing: Packing, rank: NDArray[np.intp], phases: int, directions: Array
) -> Array:
    """Return the area on the spheres of each rank that faces each other rank.

    Shape (phases + 1, phases + 1); the last rank is that of the background.
    """
    sides, periodic = packing.lengths, np.array(packing.periodic)
    centres = packing.positions - packing.lower
    centres = np.where(periodic, centres % sides, centres)
    centres[periodic & (centres == sides)] = 0.0  # the remainder of a tiny negative number
    tree = cKDTree(centres, boxsize=np.where(periodic, sides, 0.0))
    largest = float(packing.radii.max(initial=0.0))
    areas = np.zeros((phases + 1, phases + 1))
    for sphere, (centre, radius) in enumerate(zip(centres, packing.radii, strict=True)):
        near = np.array(tree.query_ball_point(centre, radius + largest), dtype=np.intp)
        away = centres[near] - centre
        away -= np.where(periodic, sides * np.round(away / sides), 0.0)
        meets = np.sum(away**2, axis=1) < (radius + packing.radii[near]) ** 2
        meets[near == sphere] = False
        near, away = near[meets], away[meets]
        points = radius * directions
        where = centre + points
        points = points[np.all(periodic | ((where >= 0) & (where <= sides)), axis=1)]
        # |points - away|^2 < r^2, without an array of shape (points, near, 3)
        covered = (
            radius**2 + np.sum(away**2, axis=1) - 2 * points @ away.T < packing.radii[near] ** 2
        )
        winner = np.where(covered, rank[near], phases).min(axis=1, initial=phases)
        free = winner[winner > rank[sphere]]
        seen = np.bincount(free, minlength=phases + 1)
        areas[rank[sphere]] += seen * (4 * np.pi * radius**2 / len(directions))
    return areas

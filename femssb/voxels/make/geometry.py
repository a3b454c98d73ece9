"""Spheres that cut a grid of voxels, and which of them owns a point.

A body is a sphere, or the background, 0. The one painted last owns the space where several overlap.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.environment.compiled import njit
from femssb.voxels.make.voxelisation import ON_SURFACE

TOUCHING = 1e-30  # gap between spheres that touch [m]


class Geometry(NamedTuple):
    """A grid of voxels and the spheres that cut it; compiled functions take it as it is.

    Attributes:
        shape: Number of voxels along x, y and z, shape (3,).
        step: Edges of a voxel, shape (3,) [m].
        centres: Of the spheres in the order of painting, from the lower corner of the box; body b
            is in row b - 1, shape (n, 3) [m].
        radii: Shape (n,) [m].
        sides: Of the box, shape (3,) [m].
        periodic: Whether the sides across x, y and z are, shape (3,).
    """

    shape: NDArray[np.int64]
    step: Array
    centres: Array
    radii: Array
    sides: Array
    periodic: NDArray[np.bool_]


@njit(cache=True)
def nearest(along: float, axis: int, geometry: Geometry) -> float:
    """Return a way along an axis, round a periodic side where that is shorter [m]."""
    if geometry.periodic[axis]:
        along -= geometry.sides[axis] * np.round(along / geometry.sides[axis])
    return along


@njit(cache=True)
def distance(point: Any, body: int, geometry: Geometry) -> float:
    """Return the distance of a point from the surface of a sphere, negative inside [m]."""
    square = 0.0
    for axis in range(3):
        along = point[axis] - geometry.centres[body - 1, axis]
        along = nearest(along, axis, geometry)
        square += along * along
    return np.sqrt(square) - geometry.radii[body - 1]


@njit(cache=True)
def owner(point: Any, bodies: Any, geometry: Geometry) -> int:
    """Return which of some bodies owns a point: the one painted last, else the background."""
    best = 0
    for body in bodies:
        if body > best and distance(point, body, geometry) <= 0:
            best = body
    return best


@njit(cache=True)
def neck_of(one: int, other: int, geometry: Geometry) -> float:
    """Return the radius of the circle in which two spheres meet, or minus the gap between them [m].

    Zero where one lies within the other. Two that only touch, but for roundoff, do not overlap.
    """
    r, s = geometry.radii[one - 1], geometry.radii[other - 1]
    d = distance(geometry.centres[one - 1], other, geometry) + s
    if d >= (r + s) * (1 - ON_SURFACE):
        return min(r + s - d, -TOUCHING)
    if d <= abs(r - s):
        return 0.0
    return np.sqrt(max(r**2 - ((d**2 + r**2 - s**2) / (2 * d)) ** 2, 0.0))


@njit(cache=True)
def locate(voxel: int, geometry: Geometry, place: Any) -> None:
    """Write the place (i, j, k) of a voxel."""
    for axis in range(2, -1, -1):
        place[axis] = voxel % geometry.shape[axis]
        voxel //= geometry.shape[axis]


@njit(cache=True)
def voxel_at(point: Any, way: float, along: Any, geometry: Geometry) -> int:
    """Return the voxel at some way along a direction from a point, -1 outside the box."""
    voxel = 0
    for axis in range(3):
        place = int(np.floor((point[axis] + way * along[axis]) / geometry.step[axis]))
        if geometry.periodic[axis]:
            place %= geometry.shape[axis]
        if place < 0 or place >= geometry.shape[axis]:
            return -1
        voxel = voxel * geometry.shape[axis] + place
    return voxel

"""Surfaces in cut voxels: how far from the centres, their normals, and discs at the plates."""

from typing import Any

import numpy as np

from femssb.arrays import Array
from femssb.environment.compiled import njit
from femssb.voxels.make.geometry import Geometry, locate, nearest, owner
from femssb.voxels.make.pieces import MOST_BODIES

SEARCH = 16  # steps in which a line is searched for the body of a piece
BISECTIONS = 12  # that then locate its surface
NOWHERE = 2.0  # entry of a body that a line does not meet


@njit(cache=True)
def entries_of(
    starts: Any,
    body: Any,
    geometry: Geometry,
) -> Any:
    """Return `CutVoxels.entries`."""
    entries = np.full((len(body), 6), NOWHERE, np.float32)
    place, point, middle = np.empty(3, np.int64), np.empty(3), np.empty(3)
    bodies = np.zeros(2 * MOST_BODIES, np.int32)
    for voxel in range(len(starts) - 1):
        first, last = starts[voxel], starts[voxel + 1]
        entries[first] = 0.0
        if last - first < 2:
            continue
        locate(voxel, geometry, place)
        for axis in range(3):
            middle[axis] = (place[axis] + 0.5) * geometry.step[axis]
        count = last - first
        bodies[:count] = body[first:last]
        for way in range(6):
            axis, sign = way // 2, 2 * (way % 2) - 1
            near = place[axis]
            place[axis] += sign
            if geometry.periodic[axis]:
                place[axis] %= geometry.shape[axis]
            known, reach = count, 0.5  # to the face of the box, else to the next centre
            if 0 <= place[axis] < geometry.shape[axis]:
                reach = 1.0
                other = (place[0] * geometry.shape[1] + place[1]) * geometry.shape[2] + place[2]
                more = starts[other + 1] - starts[other]
                bodies[count : count + more] = body[starts[other] : starts[other + 1]]
                known += more
            place[axis] = near
            point[:] = middle
            for piece in range(first + 1, last):
                for n in range(1, SEARCH + 1):
                    inner = reach * n / SEARCH
                    point[axis] = middle[axis] + sign * inner * geometry.step[axis]
                    holds = owner(point, bodies[:known], geometry)
                    if holds == body[piece]:
                        outer = inner - reach / SEARCH
                        for _ in range(BISECTIONS):
                            half = (inner + outer) / 2
                            point[axis] = middle[axis] + sign * half * geometry.step[axis]
                            holds = owner(point, bodies[:known], geometry)
                            if holds == body[piece]:
                                inner = half
                            else:
                                outer = half
                        entries[piece, way] = (inner + outer) / 2
                        break
    return entries


@njit(cache=True)
def normals_of(
    starts: Any,
    body: Any,
    geometry: Geometry,
) -> tuple[Any, Any]:
    """Return `CutVoxels.normals` and `CutVoxels.inside`."""
    normals = np.zeros((len(body), 3), np.float32)
    inside = np.zeros(len(body), np.bool_)
    place, along = np.empty(3, np.int64), np.empty(3)
    for voxel in range(len(starts) - 1):
        first = starts[voxel]
        locate(voxel, geometry, place)
        for piece in range(first + 1, starts[voxel + 1]):
            top = max(body[piece], body[first]) - 1
            square = 0.0
            for axis in range(3):
                along[axis] = (place[axis] + 0.5) * geometry.step[axis] - geometry.centres[
                    top, axis
                ]
                along[axis] = nearest(along[axis], axis, geometry)
                square += along[axis] ** 2
            for axis in range(3):
                normals[piece, axis] = along[axis] ** 2 / square if square > 0 else 1 / 3
            inside[piece] = body[piece] > body[first]
    return normals, inside


def discs_at_ends(geometry: Geometry) -> Array:
    """Return `CutVoxels.discs`."""
    discs = np.full((len(geometry.radii) + 1, 6), np.inf)
    for end in range(6):
        axis, upper = divmod(end, 2)
        away = geometry.centres[:, axis] - upper * geometry.sides[axis]
        if geometry.periodic[axis]:
            away = away - geometry.sides[axis] * np.rint(away / geometry.sides[axis])
        circle = np.sqrt(np.maximum(geometry.radii**2 - away**2, 0.0))
        np.divide(circle * geometry.radii, np.abs(away), out=discs[1:, end], where=away != 0)
    return discs

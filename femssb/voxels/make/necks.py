"""Necks of overlapping spheres that are too narrow for the lines that find other meetings."""

from typing import Any

import numpy as np

from femssb.environment.compiled import njit
from femssb.packing.neighbours import neighbours
from femssb.voxels.make.geometry import Geometry, distance, locate, nearest, neck_of, voxel_at
from femssb.voxels.make.meetings import NARROW, depth_of

DISC = 64  # points on the disc of a narrow neck, a multiple of 4


def narrow_necks(
    starts: Any,
    body: Any,
    faces: Any,
    geometry: Geometry,
) -> tuple[Any, Any, Any, Any]:
    """Return what `_meetings` leaves out: necks that slip through its lines, and on faces."""
    one = other = np.empty(0, np.int64)
    if len(geometry.radii) > 1:
        one, other = neighbours(
            geometry.centres, geometry.radii, np.where(geometry.periodic, geometry.sides, 0.0), 0.0
        )
    one, other = np.minimum(one, other) + 1, np.maximum(one, other) + 1
    pairs, depths, necks = _discs(starts, body, faces, one, other, geometry)
    found, where, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    first = np.zeros(len(found), np.int64)  # any point of each
    first[where.ravel()] = np.arange(len(pairs))
    neck = necks[first]
    return found.astype(np.int32), counts / DISC * np.pi * neck**2, depths[first], neck


@njit(cache=True)
def _discs(
    starts: Any,
    body: Any,
    faces: Any,
    ones: Any,
    others: Any,
    geometry: Geometry,
) -> tuple[Any, Any, Any]:
    """Return the two pieces that meet at each of `DISC` points of every narrow neck.

    Where the voxel of a point knows but one of the spheres, the other is looked for beside it.
    """
    pairs = [(0, 0) for _ in range(0)]
    depths, necks = [0.0 for _ in range(0)], [0.0 for _ in range(0)]
    away, across, point, middle = np.empty(3), np.empty((2, 3)), np.empty(3), np.empty(3)
    place = np.empty(3, np.int64)
    for n in range(len(ones)):
        low, high = ones[n], others[n]
        neck = neck_of(low, high, geometry)
        if not 0 < neck < NARROW * geometry.step.min():
            continue
        for axis in range(3):
            away[axis] = geometry.centres[low - 1, axis] - geometry.centres[high - 1, axis]
            away[axis] = nearest(away[axis], axis, geometry)
        apart = np.sqrt(np.sum(away**2))
        away /= apart
        least = np.argmin(np.abs(away))
        for axis in range(3):
            across[0, axis] = (axis == least) - away[least] * away[axis]
        across[0] /= np.sqrt(np.sum(across[0] ** 2))
        across[1] = np.cross(away, across[0])
        depth = (apart**2 + geometry.radii[high - 1] ** 2 - geometry.radii[low - 1] ** 2) / (
            2 * apart
        )
        for spot in range(DISC):
            right, up = _spot(spot)
            for axis in range(3):
                there = right * across[0, axis] + up * across[1, axis]
                point[axis] = geometry.centres[high - 1, axis] + depth * away[axis] + neck * there
            voxel = voxel_at(point, 0.0, away, geometry)
            if voxel < 0 or _hidden(point, low, high, voxel, starts, body, geometry):
                continue
            upper = lower = -1
            for quarter in range(5):
                way = quarter / 4 * geometry.step.min()
                if upper < 0:
                    at = voxel_at(point, -way, away, geometry)
                    upper = _piece(high, at, starts, body, faces)
                if lower < 0:
                    at = voxel_at(point, way, away, geometry)
                    lower = _piece(low, at, starts, body, faces)
            if upper < 0 or lower < 0:
                continue
            a, b = min(upper, lower), max(upper, lower)
            first = starts[voxel]
            depth_here = 0.0
            if first <= a and b < starts[voxel + 1]:
                locate(voxel, geometry, place)
                for axis in range(3):
                    middle[axis] = (place[axis] + 0.5) * geometry.step[axis]
                bodies = body[first : starts[voxel + 1]]
                depth_here = depth_of(bodies, a - first, b - first, middle, geometry)
            pairs.append((int(a), int(b)))
            depths.append(depth_here)
            necks.append(neck)
    together = np.empty((len(pairs), 2), np.int64)
    for n in range(len(pairs)):
        together[n, 0], together[n, 1] = pairs[n]
    return together, np.array(depths), np.array(necks)


def narrow_ends(starts: Any, body: Any, faces: Any, geometry: Geometry) -> tuple[Any, Any]:
    """Return `CutVoxels.ends` and `CutVoxels.end_areas`."""
    found, radii = _ends(starts, body, faces, geometry)
    ends, where, counts = np.unique(found, axis=0, return_inverse=True, return_counts=True)
    radius = np.zeros(len(ends))
    radius[where.ravel()] = radii
    return ends.astype(np.int32), counts / DISC * np.pi * radius**2


@njit(cache=True)
def _ends(starts: Any, body: Any, faces: Any, geometry: Geometry) -> tuple[Any, Any]:
    """Return the piece and the end at each of `DISC` points of every narrow disc at an end."""
    found, radii = [(0, 0) for _ in range(0)], [0.0 for _ in range(0)]
    point, inward = np.empty(3), np.zeros(3)
    for sphere in range(len(geometry.radii)):
        for end in range(6):
            axis, upper = end // 2, end % 2
            plane = upper * geometry.sides[axis]
            away = nearest(geometry.centres[sphere, axis] - plane, axis, geometry)
            square = geometry.radii[sphere] ** 2 - away**2
            if square <= 0 or square >= (NARROW * geometry.step.min()) ** 2:
                continue
            inward[:] = 0.0
            inward[axis] = 1 - 2 * upper
            inside = away * inward[axis] > 0  # else but a cap reaches into the box
            way = min(abs(away), geometry.step[axis] / 2) if inside else geometry.step[axis] / 2
            for spot in range(DISC):
                right, up = np.sqrt(square) * _spot(spot)
                point[axis] = plane + way * inward[axis]
                point[(axis + 1) % 3] = geometry.centres[sphere, (axis + 1) % 3] + right
                point[(axis + 2) % 3] = geometry.centres[sphere, (axis + 2) % 3] + up
                voxel = voxel_at(point, 0.0, inward, geometry)
                piece = _piece(sphere + 1, voxel, starts, body, faces)
                if piece < 0:
                    continue
                if inside and _hidden(point, sphere + 1, sphere + 1, voxel, starts, body, geometry):
                    continue
                found.append((int(piece), int(end)))
                radii.append(np.sqrt(square) if inside else 0.0)
    together = np.empty((len(found), 2), np.int64)
    for n in range(len(found)):
        together[n, 0], together[n, 1] = found[n]
    return together, np.array(radii)


@njit(cache=True)
def _spot(spot: int) -> Any:
    """Return one of `DISC` points on a disc of radius 1, shape (2,)."""
    ring = spot // 4  # four points of a spiral, so that mirrors do not matter
    turn, reach = ring * np.pi * (1 + np.sqrt(5)), np.sqrt((4 * ring + 2) / DISC)
    right, up = (1 - spot % 2 * 2) * np.cos(turn), (1 - spot // 2 % 2 * 2) * np.sin(turn)
    return np.array([right, up]) * reach


@njit(cache=True)
def _hidden(
    point: Any, low: int, high: int, voxel: int, starts: Any, body: Any, geometry: Geometry
) -> bool:
    """Return whether a body of a voxel that is painted later than the lower of two owns a point."""
    for piece in range(starts[voxel], starts[voxel + 1]):
        if body[piece] > low and body[piece] != high:
            if distance(point, body[piece], geometry) <= 0:
                return True
    return False


@njit(cache=True)
def _piece(wanted: int, voxel: int, starts: Any, body: Any, faces: Any) -> int:
    """Return the piece of a body in a voxel that reaches a face of it, -1 if there is none."""
    if voxel >= 0:
        for piece in range(starts[voxel], starts[voxel + 1]):
            if body[piece] == wanted and np.any(faces[piece] > 0):
                return piece
    return -1

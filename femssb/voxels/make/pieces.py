"""The pieces of voxels: which bodies reach into each, and how much of its faces they have."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.environment.compiled import njit
from femssb.errors import InputError
from femssb.voxels.make.geometry import Geometry, locate
from femssb.voxels.make.voxelisation import Spheres, paint

Integers = NDArray[np.int32]
Counts = NDArray[np.uint8]

MOST_BODIES = 32  # that may reach into one voxel


def pieces_of(
    spheres: Spheres, shape: tuple[int, int, int], step: Sequence[float], samples: int
) -> tuple[NDArray[np.int64], Integers, Counts]:
    """Return first pieces, bodies and points on faces, found layer by layer in x."""
    nx, ny, nz = shape
    dx, dy, dz = step
    x, y, z = (edge / samples for edge in step)
    at = partial(paint, spheres, spheres.bodies)

    def face(i: int) -> Any:
        return at((1, ny * samples, nz * samples), (i * dx, y / 2, z / 2), (1.0, y, z))[0]

    counts, bodies, faces = [np.zeros(1, np.int64)], [], []
    upper = face(0)
    for i in range(nx):
        lower, upper = upper, face(i + 1)
        middle = i * dx + x / 2
        rows = paint(
            spheres,
            spheres.bodies,
            (samples, ny + 1, nz * samples),
            (middle, 0.0, z / 2),
            (x, dy, z),
        )
        columns = paint(
            spheres,
            spheres.bodies,
            (samples, ny * samples, nz + 1),
            (middle, y / 2, 0.0),
            (x, y, dz),
        )
        centres = paint(
            spheres, spheres.bodies, (1, ny, nz), ((i + 0.5) * dx, dy / 2, dz / 2), step
        )[0]
        found, body, points = _list(lower, upper, rows, columns, centres, samples)
        if found.max() > MOST_BODIES:
            raise InputError(
                f"cut_voxels.spacing: more than {MOST_BODIES} spheres reach into one voxel of "
                f"edges {tuple(step)} m: choose a smaller spacing"
            )
        kept = np.arange(MOST_BODIES) < found[..., None]
        counts.append(found.ravel())
        bodies.append(body[kept])
        faces.append(points[kept])
    return np.cumsum(np.concatenate(counts)), np.concatenate(bodies), np.concatenate(faces)


@njit(cache=True)
def _list(
    lower: Any, upper: Any, rows: Any, columns: Any, centres: Any, samples: int
) -> tuple[Any, Any, Any]:
    """Return the bodies of every voxel of a layer, and their points on its six faces."""
    ny, nz = centres.shape
    found = np.ones((ny, nz), np.int64)
    body = np.zeros((ny, nz, MOST_BODIES), np.int32)
    points = np.zeros((ny, nz, MOST_BODIES, 6), np.uint8)
    for j in range(ny):
        for k in range(nz):
            body[j, k, 0] = centres[j, k]
            for face in range(6):
                for a in range(samples):
                    for b in range(samples):
                        u, v = j * samples + a, k * samples + b
                        if face == 0:
                            here = lower[u, v]
                        elif face == 1:
                            here = upper[u, v]
                        elif face < 4:
                            here = rows[a, j + face - 2, v]
                        else:
                            here = columns[a, j * samples + b, k + face - 4]
                        n = 0
                        while n < found[j, k] and body[j, k, n] != here:
                            n += 1
                        if n == found[j, k]:
                            if n == MOST_BODIES:
                                found[j, k] = MOST_BODIES + 1
                                return found, body, points
                            body[j, k, n] = here
                            found[j, k] = n + 1
                        points[j, k, n, face] += 1
    return found, body, points


@njit(cache=True)
def above_of(starts: Any, body: Any, faces: Any, geometry: Geometry) -> Any:
    """Return `CutVoxels.above`."""
    above = np.full((len(body), 3), -1, np.int32)
    place = np.empty(3, np.int64)
    for voxel in range(len(starts) - 1):
        locate(voxel, geometry, place)
        for axis in range(3):
            near = place[axis]
            place[axis] += 1
            if geometry.periodic[axis]:
                place[axis] %= geometry.shape[axis]
            if place[axis] < geometry.shape[axis]:
                other = (place[0] * geometry.shape[1] + place[1]) * geometry.shape[2] + place[2]
                for piece in range(starts[voxel], starts[voxel + 1]):
                    if faces[piece, 2 * axis + 1] > 0:
                        for found in range(starts[other], starts[other + 1]):
                            if body[found] == body[piece]:
                                above[piece, axis] = found
            place[axis] = near
    return above

"""The areas at which two pieces of a voxel meet, and how deep below its centre."""

from typing import Any

import numpy as np

from femssb.environment.compiled import njit
from femssb.voxels.make.geometry import Geometry, distance, locate, nearest, neck_of
from femssb.voxels.make.pieces import MOST_BODIES

FINE = 12  # lines along an edge of a voxel in which two spheres or more meet
NARROW = 0.3  # radius of a neck, over the shortest edge, below which lines may miss it
LEAST = 1e-3  # area at which a piece meets the first of its voxel if none was found, over a face


@njit(cache=True)
def meetings_of(
    starts: Any,
    body: Any,
    faces: Any,
    samples: int,
    geometry: Geometry,
) -> tuple[Any, Any, Any, Any]:
    """Return `CutVoxels.pairs`, `areas`, `depths` and `necks`, but for narrow necks.

    Around a single sphere the area follows from its shares of the faces, by the divergence theorem;
    between more bodies, from where lines through the voxel cross the surface of each sphere.
    """
    pairs, areas = [(0, 0) for _ in range(0)], [0.0 for _ in range(0)]  # typed, if nothing meets
    depths, necks = [0.0 for _ in range(0)], [0.0 for _ in range(0)]
    place, middle = np.empty(3, np.int64), np.empty(3)
    across = np.array(
        [
            geometry.step[1] * geometry.step[2],
            geometry.step[2] * geometry.step[0],
            geometry.step[0] * geometry.step[1],
        ]
    )
    vectors, met = np.zeros((MOST_BODIES, MOST_BODIES, 3)), np.zeros(MOST_BODIES, np.bool_)
    for voxel in range(len(starts) - 1):
        first = starts[voxel]
        count = starts[voxel + 1] - first
        if count < 2:
            continue
        locate(voxel, geometry, place)
        vectors[:count, :count] = 0.0
        for axis in range(3):
            middle[axis] = (place[axis] + 0.5) * geometry.step[axis]
        bodies = body[first : first + count]
        pair = count == 2 and min(bodies[0], bodies[1]) > 0
        if pair:  # if they do not overlap, what separates them was not found
            pair = neck_of(bodies[0], bodies[1], geometry) > 0
        if count == 2 and not pair:
            for axis in range(3):
                surplus = float(faces[first, 2 * axis]) - float(faces[first, 2 * axis + 1])
                vectors[0, 1, axis] = surplus / samples**2 * across[axis]
        else:
            for one in range(count):
                if bodies[one] > 0:
                    _cross(one, bodies, middle, geometry, vectors)
        for b in range(count):
            met[b] = np.any(vectors[b, :count] != 0) or np.any(vectors[:count, b] != 0)
        for a in range(count):
            for b in range(a + 1, count):
                area = np.sqrt(np.sum((vectors[a, b] - vectors[b, a]) ** 2))
                low, high = min(bodies[a], bodies[b]), max(bodies[a], bodies[b])
                neck = neck_of(low, high, geometry) if low > 0 else 0.0
                if area == 0 and (a > 0 or met[b] or neck > 0):
                    continue
                if 0 < neck < NARROW * geometry.step.min():
                    continue
                area = max(area, LEAST * across.min())
                if neck < 0:  # the gap opens away from where it is least
                    opens = 1 / geometry.radii[low - 1] + 1 / geometry.radii[high - 1]
                    neck -= area * opens / (4 * np.pi)
                pairs.append((int(first + a), int(first + b)))
                areas.append(area)
                depths.append(depth_of(bodies, a, b, middle, geometry))
                necks.append(neck)
    together = np.empty((len(pairs), 2), np.int32)
    for n in range(len(pairs)):
        together[n, 0], together[n, 1] = pairs[n]
    return together, np.array(areas), np.array(depths), np.array(necks)


@njit(cache=True)
def _cross(
    one: int,
    bodies: Any,
    middle: Any,
    geometry: Geometry,
    vectors: Any,
) -> None:
    """Add the area at which a sphere meets others in a voxel, as a vector that points out of it.

    What lies behind its surface is what has been painted last of the others, or the background.
    """
    body, count = bodies[one], len(bodies)
    along, point = np.empty(3), np.empty(3)
    for axis in range(3):
        along[axis] = geometry.centres[body - 1, axis] - middle[axis]
        along[axis] = nearest(along[axis], axis, geometry)
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        part = geometry.step[u] * geometry.step[v] / FINE**2
        for a in range(FINE):
            for b in range(FINE):
                x, y = (
                    ((a + 0.5) / FINE - 0.5) * geometry.step[u],
                    ((b + 0.5) / FINE - 0.5) * geometry.step[v],
                )
                square = geometry.radii[body - 1] ** 2 - (x - along[u]) ** 2 - (y - along[v]) ** 2
                if square <= 0:
                    continue
                for way in (-1, 1):
                    z = along[axis] + way * np.sqrt(square)
                    if abs(z) > geometry.step[axis] / 2:
                        continue
                    point[u], point[v] = middle[u] + x, middle[v] + y
                    point[axis] = middle[axis] + z
                    behind, hidden = -1, False
                    for other in range(count):
                        if other == one:
                            continue
                        if bodies[other] > 0:
                            far = distance(point, bodies[other], geometry)
                            if far > 0:
                                continue
                        if bodies[other] > body:
                            hidden = True
                            break
                        if behind < 0 or bodies[other] > bodies[behind]:
                            behind = other
                    if behind >= 0 and not hidden:
                        vectors[one, behind, axis] += way * part


@njit(cache=True)
def depth_of(
    bodies: Any,
    a: int,
    b: int,
    middle: Any,
    geometry: Geometry,
) -> float:
    """Return `CutVoxels.depths` of two bodies of a voxel, the first of which holds its centre."""
    depth = abs(distance(middle, max(bodies[a], bodies[b]), geometry))
    if a == 0:
        return depth
    nearest = np.inf  # the weaker of the two begins at the surface nearer to the centre
    for other in (bodies[a], bodies[b]):
        top = max(other, bodies[0])
        nearest = min(nearest, abs(distance(middle, top, geometry)))
    return max(depth - nearest, 0.0)

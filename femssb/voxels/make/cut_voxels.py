"""Voxels cut by the surfaces of spheres: each keeps a piece of every body that reaches into it.

A body is a sphere of the packing, or the background. Where bodies overlap, the one painted last
owns the space, as in `femssb.voxels.make.voxelisation`. From the exact geometry come the shares of
every face that lie in each body, the areas at which two pieces of a voxel meet, and the distances
from the centre of the voxel to where they meet: all that a current needs to cross surfaces where
they really are (`femssb.voxels.conduct.cut_links`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.environment.compiled import njit
from femssb.errors import InputError, check_number
from femssb.packing.neighbours import neighbours
from femssb.packing.packing import Packing
from femssb.voxels.image import check_memory
from femssb.voxels.make.voxelisation import (
    MOST_SAMPLES,
    ON_SURFACE,
    Spheres,
    grid_of,
    paint,
    paint_order,
)

Integers = NDArray[np.int32]
Counts = NDArray[np.uint8]
Single = NDArray[np.float32]

MOST_BODIES = 32  # that may reach into one voxel
SEARCH = 16  # steps in which a line is searched for the body of a piece
BISECTIONS = 12  # that then locate its surface
FINE = 12  # lines along an edge of a voxel in which two spheres or more meet
NARROW = 0.3  # radius of a neck, over the shortest edge, below which lines may miss it
DISC = 64  # points on the disc of a narrow neck, a multiple of 4
TOUCHING = 1e-30  # gap between spheres that touch [m]
LEAST = 1e-3  # area at which a piece meets the first of its voxel if none was found, over a face
NOWHERE = 2.0  # entry of a body that a line does not meet
BYTES = 120.0  # memory of a voxel, its share of cut ones included


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CutVoxels:
    """A grid of box-shaped voxels that are cut by surfaces; a voxel holds one piece or more.

    Pieces are sorted by voxel, in C order of (i, j, k); the first piece of a voxel is that of the
    body that holds its centre. There are m pieces, and n places where two pieces meet.

    Attributes:
        shape: Number of voxels along x, y and z.
        spacing: Edges of a voxel [m].
        periodic: Whether the sides across x, y and z are periodic.
        phase_names: The background and the phases of the packing, as in its voxel image.
        starts: First piece of every voxel, and m, shape (voxels + 1,).
        body: Body of each piece, 0 for the background, else one more than the sphere's place in the
            order of painting, shape (m,).
        phase: Phase of each piece, index into `phase_names`, shape (m,).
        faces: Points of a piece on the lower and upper face of its voxel across x, y and z, out of
            ``samples**2``, shape (m, 6).
        above: Piece of the same body on the other side of the upper face across x, y and z, round a
            periodic side too; -1 where the face has no point of it or is a closed side, (m, 3).
        entries: Distance from the centre of the voxel, down and up along x, y and z, at which the
            body of a piece begins, over the spacing; `NOWHERE` if not before the next centre, shape
            (m, 6). Zero for the first piece of a voxel.
        normals: Squares of the components of the unit normal of the surface between a piece and the
            first piece of its voxel, shape (m, 3).
        inside: Whether that surface is the piece's own sphere, and not what surrounds it, (m,).
        pairs: The pieces that meet, the first of the voxel before others, shape (n, 2). They are of
            one voxel, or of two beside each other where a narrow neck lies on a face.
        areas: Area at which they meet, shape (n,) [m2].
        depths: Distance of the surface at which they meet from the centre of the voxel, or, if
            neither holds it, from the surface nearer to the centre; 0 if they are of two voxels,
            shape (n,) [m].
        necks: Radius of the circle in which two overlapping spheres meet; minus the mean gap
            between two that do not overlap, though nothing of what separates them was found in the
            voxel; 0 where one is the background, shape (n,) [m].
        discs: Radius of the circle in which each body meets the lower and upper end of the box
            across x, y and z, over the cosine between its surface and that end: infinite where a
            sphere is widest, and for the background; 0 where they do not meet, (bodies, 6) [m].
        samples: Points along an edge of a face.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    periodic: tuple[bool, bool, bool]
    phase_names: tuple[str, ...]
    starts: NDArray[np.int64]
    body: Integers
    phase: Counts
    faces: Counts
    above: Integers
    entries: Single
    normals: Single
    inside: NDArray[np.bool_]
    pairs: Integers
    areas: Array
    depths: Array
    necks: Array
    discs: Array
    samples: int

    @property
    def voxel(self) -> NDArray[np.int64]:
        """Voxel of each piece, shape (m,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @property
    def labels(self) -> Counts:
        """Phase at the centre of every voxel, shape (nx, ny, nz)."""
        return self.phase[self.starts[:-1]].reshape(self.shape)

    def fractions(self) -> dict[str, float]:
        """Return the share of the volume of every phase, from the points on all faces [-]."""
        sums = np.bincount(self.phase, self.faces.sum(axis=1), len(self.phase_names))
        shares = sums / sums.sum()
        return {name: float(share) for name, share in zip(self.phase_names, shares, strict=True)}


@checked
def cut_voxels(
    packing: Packing,
    *,
    spacing: float | Sequence[float],
    priority: Sequence[str] | None = None,
    samples: int = 6,
    background: str = "void",
) -> CutVoxels:
    """Cut the voxels of the box of a packing by the surfaces of its spheres.

    Args:
        packing: Spheres of named phases; they continue across periodic sides.
        spacing: As for `voxelise`: edge of a voxel, or its three edges [m].
        priority: As for `voxelise`.
        samples: Points along an edge of a face, 2 to 6.
        background: Name of the space outside all spheres.

    Raises:
        InputError: As `voxelise` does, or if more than `MOST_BODIES` bodies reach into a voxel.
    """
    shape, step = grid_of(packing, spacing)
    check_number("cut_voxels", "samples", samples, lower=2, upper=MOST_SAMPLES)
    names = (background, *packing.phase_names)
    if len(set(names)) < len(names):
        raise InputError(f"cut_voxels.background = {background!r} is a phase of the packing")
    check_memory("cut_voxels", shape, bytes_per_voxel=BYTES)
    spheres = paint_order(packing, priority)
    starts, body, faces = _pieces(spheres, shape, step, samples)
    geometry = (
        np.array(shape),
        np.array(step),
        np.ascontiguousarray((packing.positions - packing.lower)[spheres.order]),
        packing.radii[spheres.order],
        np.asarray(packing.lengths, np.float64),
        np.array(packing.periodic),
    )
    above = _above(starts, body, faces, geometry[0], geometry[-1])
    entries = _entries(starts, body, *geometry)
    normals, inside = _normals(starts, body, *geometry)
    meetings = _meetings(starts, body, faces, samples, *geometry)
    narrow = _narrow_necks(starts, body, faces, *geometry)
    pairs, areas, depths, necks = (
        np.concatenate(both) for both in zip(meetings, narrow, strict=True)
    )
    phases = np.append(0, packing.phases[spheres.order] + 1).astype(np.uint8)
    return CutVoxels(
        shape=shape,
        spacing=step,
        periodic=packing.periodic,
        phase_names=names,
        starts=starts,
        body=body,
        phase=phases[body],
        faces=faces,
        above=above,
        entries=entries,
        normals=normals,
        inside=inside,
        pairs=pairs,
        areas=areas,
        depths=depths,
        necks=necks,
        discs=_discs_at_ends(*geometry[2:]),
        samples=samples,
    )


def _discs_at_ends(centres: Array, radii: Array, sides: Array, periodic: Any) -> Array:
    """Return `CutVoxels.discs`."""
    discs = np.full((len(radii) + 1, 6), np.inf)
    for end in range(6):
        axis, upper = divmod(end, 2)
        away = centres[:, axis] - upper * sides[axis]
        if periodic[axis]:
            away = away - sides[axis] * np.rint(away / sides[axis])
        circle = np.sqrt(np.maximum(radii**2 - away**2, 0.0))
        np.divide(circle * radii, np.abs(away), out=discs[1:, end], where=away != 0)
    return discs


def _pieces(
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
def _distance(point: Any, body: int, centres: Any, radii: Any, sides: Any, periodic: Any) -> float:
    """Return the distance of a point from the surface of a sphere, negative inside [m]."""
    square = 0.0
    for axis in range(3):
        along = point[axis] - centres[body - 1, axis]
        if periodic[axis]:
            along -= sides[axis] * np.round(along / sides[axis])
        square += along * along
    return np.sqrt(square) - radii[body - 1]


@njit(cache=True)
def _owner(point: Any, bodies: Any, centres: Any, radii: Any, sides: Any, periodic: Any) -> int:
    """Return which of some bodies owns a point: the one painted last, else the background."""
    best = 0
    for body in bodies:
        if body > best and _distance(point, body, centres, radii, sides, periodic) <= 0:
            best = body
    return best


@njit(cache=True)
def _place(voxel: int, shape: Any, place: Any) -> None:
    """Write the place (i, j, k) of a voxel."""
    for axis in range(2, -1, -1):
        place[axis] = voxel % shape[axis]
        voxel //= shape[axis]


@njit(cache=True)
def _above(starts: Any, body: Any, faces: Any, shape: Any, periodic: Any) -> Any:
    """Return `CutVoxels.above`."""
    above = np.full((len(body), 3), -1, np.int32)
    place = np.empty(3, np.int64)
    for voxel in range(len(starts) - 1):
        _place(voxel, shape, place)
        for axis in range(3):
            near = place[axis]
            place[axis] += 1
            if periodic[axis]:
                place[axis] %= shape[axis]
            if place[axis] < shape[axis]:
                other = (place[0] * shape[1] + place[1]) * shape[2] + place[2]
                for piece in range(starts[voxel], starts[voxel + 1]):
                    if faces[piece, 2 * axis + 1] > 0:
                        for found in range(starts[other], starts[other + 1]):
                            if body[found] == body[piece]:
                                above[piece, axis] = found
            place[axis] = near
    return above


@njit(cache=True)
def _entries(
    starts: Any,
    body: Any,
    shape: Any,
    step: Any,
    centres: Any,
    radii: Any,
    sides: Any,
    periodic: Any,
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
        _place(voxel, shape, place)
        for axis in range(3):
            middle[axis] = (place[axis] + 0.5) * step[axis]
        count = last - first
        bodies[:count] = body[first:last]
        for way in range(6):
            axis, sign = way // 2, 2 * (way % 2) - 1
            near = place[axis]
            place[axis] += sign
            if periodic[axis]:
                place[axis] %= shape[axis]
            known, reach = count, 0.5  # to the face of the box, else to the next centre
            if 0 <= place[axis] < shape[axis]:
                reach = 1.0
                other = (place[0] * shape[1] + place[1]) * shape[2] + place[2]
                more = starts[other + 1] - starts[other]
                bodies[count : count + more] = body[starts[other] : starts[other + 1]]
                known += more
            place[axis] = near
            point[:] = middle
            for piece in range(first + 1, last):
                for n in range(1, SEARCH + 1):
                    inner = reach * n / SEARCH
                    point[axis] = middle[axis] + sign * inner * step[axis]
                    owner = _owner(point, bodies[:known], centres, radii, sides, periodic)
                    if owner == body[piece]:
                        outer = inner - reach / SEARCH
                        for _ in range(BISECTIONS):
                            half = (inner + outer) / 2
                            point[axis] = middle[axis] + sign * half * step[axis]
                            owner = _owner(point, bodies[:known], centres, radii, sides, periodic)
                            if owner == body[piece]:
                                inner = half
                            else:
                                outer = half
                        entries[piece, way] = (inner + outer) / 2
                        break
    return entries


@njit(cache=True)
def _normals(
    starts: Any,
    body: Any,
    shape: Any,
    step: Any,
    centres: Any,
    radii: Any,
    sides: Any,
    periodic: Any,
) -> tuple[Any, Any]:
    """Return `CutVoxels.normals` and `CutVoxels.inside`."""
    normals = np.zeros((len(body), 3), np.float32)
    inside = np.zeros(len(body), np.bool_)
    place, along = np.empty(3, np.int64), np.empty(3)
    for voxel in range(len(starts) - 1):
        first = starts[voxel]
        _place(voxel, shape, place)
        for piece in range(first + 1, starts[voxel + 1]):
            top = max(body[piece], body[first]) - 1
            square = 0.0
            for axis in range(3):
                along[axis] = (place[axis] + 0.5) * step[axis] - centres[top, axis]
                if periodic[axis]:
                    along[axis] -= sides[axis] * np.round(along[axis] / sides[axis])
                square += along[axis] ** 2
            for axis in range(3):
                normals[piece, axis] = along[axis] ** 2 / square if square > 0 else 1 / 3
            inside[piece] = body[piece] > body[first]
    return normals, inside


@njit(cache=True)
def _meetings(
    starts: Any,
    body: Any,
    faces: Any,
    samples: int,
    shape: Any,
    step: Any,
    centres: Any,
    radii: Any,
    sides: Any,
    periodic: Any,
) -> tuple[Any, Any, Any, Any]:
    """Return `CutVoxels.pairs`, `areas`, `depths` and `necks`, but for narrow necks.

    Around a single sphere the area follows from its shares of the faces, by the divergence theorem;
    between more bodies, from where lines through the voxel cross the surface of each sphere.
    """
    pairs, areas = [(0, 0) for _ in range(0)], [0.0 for _ in range(0)]  # typed, if nothing meets
    depths, necks = [0.0 for _ in range(0)], [0.0 for _ in range(0)]
    place, middle = np.empty(3, np.int64), np.empty(3)
    across = np.array([step[1] * step[2], step[2] * step[0], step[0] * step[1]])
    vectors, met = np.zeros((MOST_BODIES, MOST_BODIES, 3)), np.zeros(MOST_BODIES, np.bool_)
    for voxel in range(len(starts) - 1):
        first = starts[voxel]
        count = starts[voxel + 1] - first
        if count < 2:
            continue
        _place(voxel, shape, place)
        vectors[:count, :count] = 0.0
        for axis in range(3):
            middle[axis] = (place[axis] + 0.5) * step[axis]
        bodies = body[first : first + count]
        pair = count == 2 and min(bodies[0], bodies[1]) > 0
        if pair:  # if they do not overlap, what separates them was not found
            pair = _neck(bodies[0], bodies[1], centres, radii, sides, periodic) > 0
        if count == 2 and not pair:
            for axis in range(3):
                surplus = float(faces[first, 2 * axis]) - float(faces[first, 2 * axis + 1])
                vectors[0, 1, axis] = surplus / samples**2 * across[axis]
        else:
            for one in range(count):
                if bodies[one] > 0:
                    _cross(one, bodies, middle, step, centres, radii, sides, periodic, vectors)
        for b in range(count):
            met[b] = np.any(vectors[b, :count] != 0) or np.any(vectors[:count, b] != 0)
        for a in range(count):
            for b in range(a + 1, count):
                area = np.sqrt(np.sum((vectors[a, b] - vectors[b, a]) ** 2))
                low, high = min(bodies[a], bodies[b]), max(bodies[a], bodies[b])
                neck = _neck(low, high, centres, radii, sides, periodic) if low > 0 else 0.0
                if area == 0 and (a > 0 or met[b] or neck > 0):
                    continue
                if 0 < neck < NARROW * step.min():
                    continue
                area = max(area, LEAST * across.min())
                if neck < 0:  # the gap opens away from where it is least
                    opens = 1 / radii[low - 1] + 1 / radii[high - 1]
                    neck -= area * opens / (4 * np.pi)
                pairs.append((int(first + a), int(first + b)))
                areas.append(area)
                depths.append(_depth(bodies, a, b, middle, centres, radii, sides, periodic))
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
    step: Any,
    centres: Any,
    radii: Any,
    sides: Any,
    periodic: Any,
    vectors: Any,
) -> None:
    """Add the area at which a sphere meets others in a voxel, as a vector that points out of it.

    What lies behind its surface is what has been painted last of the others, or the background.
    """
    body, count = bodies[one], len(bodies)
    along, point = np.empty(3), np.empty(3)
    for axis in range(3):
        along[axis] = centres[body - 1, axis] - middle[axis]
        if periodic[axis]:
            along[axis] -= sides[axis] * np.round(along[axis] / sides[axis])
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        part = step[u] * step[v] / FINE**2
        for a in range(FINE):
            for b in range(FINE):
                x, y = ((a + 0.5) / FINE - 0.5) * step[u], ((b + 0.5) / FINE - 0.5) * step[v]
                square = radii[body - 1] ** 2 - (x - along[u]) ** 2 - (y - along[v]) ** 2
                if square <= 0:
                    continue
                for way in (-1, 1):
                    z = along[axis] + way * np.sqrt(square)
                    if abs(z) > step[axis] / 2:
                        continue
                    point[u], point[v] = middle[u] + x, middle[v] + y
                    point[axis] = middle[axis] + z
                    behind, hidden = -1, False
                    for other in range(count):
                        if other == one:
                            continue
                        if bodies[other] > 0:
                            far = _distance(point, bodies[other], centres, radii, sides, periodic)
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
def _depth(
    bodies: Any,
    a: int,
    b: int,
    middle: Any,
    centres: Any,
    radii: Any,
    sides: Any,
    periodic: Any,
) -> float:
    """Return `CutVoxels.depths` of two bodies of a voxel, the first of which holds its centre."""
    depth = abs(_distance(middle, max(bodies[a], bodies[b]), centres, radii, sides, periodic))
    if a == 0:
        return depth
    nearest = np.inf  # the weaker of the two begins at the surface nearer to the centre
    for other in (bodies[a], bodies[b]):
        top = max(other, bodies[0])
        nearest = min(nearest, abs(_distance(middle, top, centres, radii, sides, periodic)))
    return max(depth - nearest, 0.0)


@njit(cache=True)
def _neck(one: int, other: int, centres: Any, radii: Any, sides: Any, periodic: Any) -> float:
    """Return the radius of the circle in which two spheres meet, or minus the gap between them [m].

    Zero where one lies within the other. Two that only touch, but for roundoff, do not overlap.
    """
    r, s = radii[one - 1], radii[other - 1]
    d = _distance(centres[one - 1], other, centres, radii, sides, periodic) + s
    if d >= (r + s) * (1 - ON_SURFACE):
        return min(r + s - d, -TOUCHING)
    if d <= abs(r - s):
        return 0.0
    return np.sqrt(max(r**2 - ((d**2 + r**2 - s**2) / (2 * d)) ** 2, 0.0))


def _narrow_necks(
    starts: Any,
    body: Any,
    faces: Any,
    shape: Any,
    step: Any,
    centres: Any,
    radii: Any,
    sides: Any,
    periodic: Any,
) -> tuple[Any, Any, Any, Any]:
    """Return what `_meetings` leaves out: necks that slip through its lines, and on faces."""
    one = other = np.empty(0, np.int64)
    if len(radii) > 1:
        one, other = neighbours(centres, radii, np.where(periodic, sides, 0.0), 0.0)
    one, other = np.minimum(one, other) + 1, np.maximum(one, other) + 1
    pairs, depths, necks = _discs(
        starts, body, faces, one, other, shape, step, centres, radii, sides, periodic
    )
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
    shape: Any,
    step: Any,
    centres: Any,
    radii: Any,
    sides: Any,
    periodic: Any,
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
        neck = _neck(low, high, centres, radii, sides, periodic)
        if not 0 < neck < NARROW * step.min():
            continue
        for axis in range(3):
            away[axis] = centres[low - 1, axis] - centres[high - 1, axis]
            if periodic[axis]:
                away[axis] -= sides[axis] * np.round(away[axis] / sides[axis])
        distance = np.sqrt(np.sum(away**2))
        away /= distance
        least = np.argmin(np.abs(away))
        for axis in range(3):
            across[0, axis] = (axis == least) - away[least] * away[axis]
        across[0] /= np.sqrt(np.sum(across[0] ** 2))
        across[1] = np.cross(away, across[0])
        depth = (distance**2 + radii[high - 1] ** 2 - radii[low - 1] ** 2) / (2 * distance)
        for spot in range(DISC):
            ring = spot // 4  # four points of a spiral, so that mirrors do not matter
            turn, reach = ring * np.pi * (1 + np.sqrt(5)), neck * np.sqrt((4 * ring + 2) / DISC)
            right, up = (1 - spot % 2 * 2) * np.cos(turn), (1 - spot // 2 % 2 * 2) * np.sin(turn)
            for axis in range(3):
                there = right * across[0, axis] + up * across[1, axis]
                point[axis] = centres[high - 1, axis] + depth * away[axis] + reach * there
            voxel = _voxel(point, 0.0, away, shape, step, periodic)
            if voxel < 0:
                continue
            hidden = False
            for piece in range(starts[voxel], starts[voxel + 1]):
                if body[piece] > low and body[piece] != high:
                    if _distance(point, body[piece], centres, radii, sides, periodic) <= 0:
                        hidden = True
            if hidden:
                continue
            upper = lower = -1
            for quarter in range(5):
                way = quarter / 4 * step.min()
                if upper < 0:
                    at = _voxel(point, -way, away, shape, step, periodic)
                    upper = _piece(high, at, starts, body, faces)
                if lower < 0:
                    at = _voxel(point, way, away, shape, step, periodic)
                    lower = _piece(low, at, starts, body, faces)
            if upper < 0 or lower < 0:
                continue
            a, b = min(upper, lower), max(upper, lower)
            first = starts[voxel]
            depth_here = 0.0
            if first <= a and b < starts[voxel + 1]:
                _place(voxel, shape, place)
                for axis in range(3):
                    middle[axis] = (place[axis] + 0.5) * step[axis]
                bodies = body[first : starts[voxel + 1]]
                depth_here = _depth(
                    bodies, a - first, b - first, middle, centres, radii, sides, periodic
                )
            pairs.append((int(a), int(b)))
            depths.append(depth_here)
            necks.append(neck)
    together = np.empty((len(pairs), 2), np.int64)
    for n in range(len(pairs)):
        together[n, 0], together[n, 1] = pairs[n]
    return together, np.array(depths), np.array(necks)


@njit(cache=True)
def _voxel(point: Any, way: float, along: Any, shape: Any, step: Any, periodic: Any) -> int:
    """Return the voxel at some way along a direction from a point, -1 outside the box."""
    voxel = 0
    for axis in range(3):
        place = int(np.floor((point[axis] + way * along[axis]) / step[axis]))
        if periodic[axis]:
            place %= shape[axis]
        if place < 0 or place >= shape[axis]:
            return -1
        voxel = voxel * shape[axis] + place
    return voxel


@njit(cache=True)
def _piece(wanted: int, voxel: int, starts: Any, body: Any, faces: Any) -> int:
    """Return the piece of a body in a voxel that reaches a face of it, -1 if there is none."""
    if voxel >= 0:
        for piece in range(starts[voxel], starts[voxel + 1]):
            if body[piece] == wanted and np.any(faces[piece] > 0):
                return piece
    return -1

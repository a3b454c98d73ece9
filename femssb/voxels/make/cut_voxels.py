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
from femssb.packing.packing import Packing
from femssb.voxels.image import check_memory
from femssb.voxels.make.voxelisation import (
    MOST_SAMPLES,
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
FINE = 8  # points along an edge of a voxel in which three bodies or more meet
LEAST = 1e-3  # area at which a piece meets the first of its voxel if none was found, over a face
NOWHERE = 2.0  # entry of a body that a line does not meet
BYTES = 120.0  # memory of a voxel, its share of cut ones included


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CutVoxels:
    """A grid of box-shaped voxels that are cut by surfaces; a voxel holds one piece or more.

    Pieces are sorted by voxel, in C order of (i, j, k); the first piece of a voxel is that of the
    body that holds its centre. There are m pieces, and n places where two pieces of a voxel meet.

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
        pairs: The pieces that meet, the first of the voxel before others, shape (n, 2).
        areas: Area at which they meet, shape (n,) [m2].
        depths: Distance of the surface at which they meet from the centre of the voxel, or, if
            neither holds it, from the surface nearer to the centre, shape (n,) [m].
        necks: Radius of the circle in which two overlapping spheres meet; minus the gap between two
            that do not overlap, though nothing of what separates them was found in the voxel; 0
            where one is the background, shape (n,) [m].
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
    pairs, areas, depths, necks = _meetings(starts, body, faces, samples, *geometry)
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
        samples=samples,
    )


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
    """Return `CutVoxels.pairs`, `areas`, `depths` and `necks`.

    Around a single sphere the area follows from its shares of the faces, by the divergence theorem;
    between more bodies, from lines of points through the voxel. Two spheres meet between two points
    only if nothing is between them there: around a neck the gap is thinner than any grid.
    """
    pairs, areas = [], []
    depths, necks = [], []
    place, point, middle = np.empty(3, np.int64), np.empty(3), np.empty(3)
    across = np.array([step[1] * step[2], step[2] * step[0], step[0] * step[1]])
    # Points in the middle of FINE^3 parts of the voxel, and on its faces above and below them.
    along = np.empty(FINE + 2)
    along[0], along[-1] = 0.0, 1.0
    along[1:-1] = (np.arange(FINE) + 0.5) / FINE
    grid = np.empty((FINE + 2, FINE + 2, FINE + 2), np.int64)
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
            for a in range(FINE + 2):
                for b in range(FINE + 2):
                    for c in range(FINE + 2):
                        outer = (
                            (a % (FINE + 1) == 0) + (b % (FINE + 1) == 0) + (c % (FINE + 1) == 0)
                        )
                        if outer > 1:
                            continue  # an edge: on none of the lines
                        for axis, n in enumerate((a, b, c)):
                            point[axis] = (place[axis] + along[n]) * step[axis]
                        owner = _owner(point, bodies, centres, radii, sides, periodic)
                        grid[a, b, c] = 0
                        for n in range(count):
                            if bodies[n] == owner:
                                grid[a, b, c] = n
            for a in range(1, FINE + 1):
                for b in range(1, FINE + 1):
                    for c in range(FINE + 1):
                        for axis in range(3):
                            if axis == 0:
                                one, two = grid[c, a, b], grid[c + 1, a, b]
                            elif axis == 1:
                                one, two = grid[a, c, b], grid[a, c + 1, b]
                            else:
                                one, two = grid[a, b, c], grid[a, b, c + 1]
                            if one == two:
                                continue
                            if min(bodies[one], bodies[two]) > 0:
                                u, v = (1, 2) if axis == 0 else (0, 3 - axis)
                                point[axis] = (place[axis] + along[c]) * step[axis]
                                point[u] = (place[u] + along[a]) * step[u]
                                point[v] = (place[v] + along[b]) * step[v]
                                far = (along[c + 1] - along[c]) * step[axis]
                                ends = bodies[one], bodies[two]
                                if not _touch(
                                    *ends, point, axis, far, centres, radii, sides, periodic
                                ):
                                    continue
                                part = across[axis] / FINE**2
                            elif 0 < c < FINE:
                                # The half steps at the ends of a line hold surfaces too.
                                part = across[axis] / (FINE * (FINE - 1))
                            else:
                                continue
                            if one < two:
                                vectors[one, two, axis] += part
                            else:
                                vectors[two, one, axis] -= part
        for b in range(count):
            met[b] = np.any(vectors[b, :count] != 0) or np.any(vectors[:count, b] != 0)
        for a in range(count):
            for b in range(a + 1, count):
                area = np.sqrt(np.sum(vectors[a, b] ** 2))
                low, high = min(bodies[a], bodies[b]), max(bodies[a], bodies[b])
                neck = _neck(low, high, centres, radii, sides, periodic) if low > 0 else 0.0
                if area == 0 and (a > 0 or met[b]):
                    continue
                area = max(area, LEAST * across.min())
                depth = abs(_distance(middle, high, centres, radii, sides, periodic))
                if a > 0:  # the weaker of the two begins at the surface nearer to the centre
                    nearest = np.inf
                    for other in (bodies[a], bodies[b]):
                        top = max(other, bodies[0])
                        far = abs(_distance(middle, top, centres, radii, sides, periodic))
                        nearest = min(nearest, far)
                    depth = max(depth - nearest, 0.0)
                pairs.append((first + a, first + b))
                areas.append(area)
                depths.append(depth)
                necks.append(neck)
    together = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    return together, np.array(areas), np.array(depths), np.array(necks)


@njit(cache=True)
def _touch(
    one: int,
    two: int,
    point: Any,
    axis: int,
    far: float,
    centres: Any,
    radii: Any,
    sides: Any,
    periodic: Any,
) -> bool:
    """Return whether two spheres meet between a point of the one and another along an axis.

    The surface at which they meet is that of the one painted last. The point is overwritten.
    """
    top, other = max(one, two), min(one, two)
    begin, low, high = point[axis], 0.0, far  # low lies in `one`
    for _ in range(BISECTIONS):
        half = (low + high) / 2
        point[axis] = begin + half
        within = _distance(point, top, centres, radii, sides, periodic) <= 0
        if within == (one == top):
            low = half
        else:
            high = half
    point[axis] = begin + (low + high) / 2
    slack = far / 2**BISECTIONS
    return _distance(point, other, centres, radii, sides, periodic) <= slack


@njit(cache=True)
def _neck(one: int, other: int, centres: Any, radii: Any, sides: Any, periodic: Any) -> float:
    """Return the radius of the circle in which two spheres meet, or minus the gap between them [m].

    Zero where one lies within the other.
    """
    r, s = radii[one - 1], radii[other - 1]
    d = _distance(centres[one - 1], other, centres, radii, sides, periodic) + s
    if d >= r + s or d <= abs(r - s):
        return min(r + s - d, 0.0)
    return np.sqrt(r**2 - ((d**2 + r**2 - s**2) / (2 * d)) ** 2)

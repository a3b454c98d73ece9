"""The mesh of a labelled image: a lattice of tetrahedra, moved to where the labels meet.

A body-centred lattice fills the box. Each tetrahedron belongs to the label that is strongest at its
centre, in the image blurred by a third of an element; points between tetrahedra of several labels
then move to where these are equally strong. No point moves so far that a tetrahedron gets poorer
than `FLOOR`, so the quality holds whatever the image; where that stops a point, the surface stays a
little rough. The level at which a particle ends is shifted until it has its volume.

The sides of the box are copies of each other, as the lattice is split in them.

Source: F. Labelle, J. R. Shewchuk, Isosurface stuffing, ACM Trans. Graph. 26 (2007),
10.1145/1276377.1276448, for the lattice and for moving its points to a surface.
"""

from dataclasses import dataclass, replace

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array

from femssb.arrays import Array, Indices
from femssb.description import checked
from femssb.environment.ranks import on_first_rank
from femssb.errors import InputError, MeshError, check_number
from femssb.grains.tessellation import random_orientations
from femssb.inputs.case import fingerprint
from femssb.meshing.data import MeshData, distribute
from femssb.meshing.parts import FACETS, FIRST_GRAIN, REGIONS, Parts, facets_of
from femssb.meshing.soundness import Faces, check, find_faces, periodic_links, pieces
from femssb.tetrahedra import gamma, volumes
from femssb.units import um

FLOOR = 0.1  # quality that no move goes below
BLUR = 0.35  # of the image, in units of the element size; wider ones close narrow gaps
ROUNDS = 8  # of moves, and of corrections of volume
FARTHEST = 0.4  # move in a round, in units of the element size
SAME = 0.02  # relative error of the volume of a particle that is left
CONTACTS = 0.2  # relative error of the area of contacts that is told
TIDYINGS = 4  # passes over spikes
HALVINGS = 30  # of moves, until no tetrahedron is poor
SEPARATOR = 1.6  # height of the lattice in the separator, in units of the element size


@checked
def mesh_labels(
    labels: NDArray[np.integer],
    *,
    spacing: tuple[float, float, float],
    size: float,
    separator: float = 10 * um,
    seed: int = 1,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Mesh a labelled image as a resolved cell: every particle has the shape of its voxels.

    Particles are single crystals of random orientation; where two meet is a ``contact``. The image
    is periodic across x and y; the collector lies at its lowest z, the separator at its highest.
    What is narrower than an element is closed or open as it happens: take about four elements to
    the radius of a contact whose area matters.

    Args:
        labels: Number of the particle of each voxel, from 1, as `voxels.separate` gives them; 0 is
            the matrix. Shape (nx, ny, nz).
        spacing: Edges of a voxel [m].
        size: Edge of the cubes of the lattice [m]: at least that of a voxel.
        separator: Thickness of the electrolyte layer [m].
        seed: Of the orientations.
        comm: Ranks over which the mesh is distributed.

    Raises:
        InputError: If labels are no whole numbers from 0 in three axes, or a number is out of its
            bounds.
        MeshError: If a particle is lost on the lattice, or misses its volume by more than `SAME`;
            on every rank.
    """
    owner = "mesh_labels"
    image = np.asarray(labels)
    if image.ndim != 3 or image.dtype.kind not in "iu" or not image.size or image.min() < 0:
        raise InputError(f"{owner}.labels must be whole numbers from 0 of shape (nx, ny, nz)")
    if not image.any() or image.all():
        raise InputError(f"{owner}.labels needs voxels of particles, and of 0, the matrix")
    for edge in spacing:
        check_number(owner, "spacing", edge, above=0, unit="m")
    box = np.array(image.shape) * spacing
    check_number(owner, "size", size, lower=max(spacing), upper=float(box.min()) / 3, unit="m")
    check_number(owner, "separator", separator, lower=size, upper=1e-3, unit="m")
    check_number(owner, "seed", seed, lower=0, upper=2**63 - 1)

    def work() -> Parts:
        return _mesh(image, np.array(spacing) / um, size / um, separator / um, int(seed))

    data = distribute(on_first_rank(comm, work), comm)
    given = {"labels": fingerprint(image), "spacing": tuple(spacing), "size": size}
    return replace(data, origin=given | {"separator": separator, "seed": seed})


@dataclass(frozen=True, kw_only=True)
class _Lattice:
    """Cubes with their centres, and tetrahedra around the edges of their faces; lengths in um.

    Faces on the sides, and between the cathode and the separator, have centres of their own.
    """

    points: Array  # (k, 3)
    cells: Indices  # (m, 4)
    fixed: NDArray[np.bool_]  # (k, 3) along which a point stays on a face of the box
    twin: Indices  # (k,) the copy of each point where x and y are low
    in_cathode: NDArray[np.bool_]  # (m,)
    spacing: Array  # (3,) of the cubes in the cathode


def _lattice(box: Array, separator: float, size: float) -> _Lattice:
    nx, ny, nz = (max(3, round(length / size)) for length in box.tolist())
    more = max(1, round(separator / (SEPARATOR * size)))
    axes = [np.linspace(0, box[0], nx + 1), np.linspace(0, box[1], ny + 1)]
    above = np.linspace(box[2], box[2] + separator, more + 1)[1:]
    axes.append(np.append(np.linspace(0, box[2], nz + 1), above))
    middles = [0.5 * (axis[1:] + axis[:-1]) for axis in axes]
    blocks, total = [], 0

    def add(*along: Array) -> Indices:
        nonlocal total
        made = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1)
        blocks.append(made.reshape(-1, 3))
        total += made[..., 0].size
        return np.arange(total - made[..., 0].size, total).reshape(made.shape[:3])

    corner, centre = add(*axes), add(*middles)
    cells = []
    for axis in range(3):
        count = len(middles[axis])
        split = [0, count] if axis < 2 else [0, nz, count]
        for level in range(count + 1):
            at = np.take(corner, level, axis=axis)
            if axis == 1:  # the axes that are left are z and x, in the order x, z
                at = at.T
            ring = [at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]]
            sides = [
                (np.take(centre, k, axis=axis).T if axis == 1 else np.take(centre, k, axis=axis))
                for k in (level - 1, level)
                if 0 <= k < count
            ]
            if level in split:
                along = list(middles)
                along[axis] = axes[axis][level : level + 1]
                face = np.take(add(*along), 0, axis=axis)
                face = face.T if axis == 1 else face
                ends = [(side, face) for side in sides]
            else:
                ends = [(sides[0], sides[1])]
            for one, other in ends:
                for k in range(4):
                    cells.append(np.stack([one, other, ring[k], ring[(k + 1) % 4]], -1))
    points = np.vstack(blocks)
    tetrahedra = np.concatenate([each.reshape(-1, 4) for each in cells])
    edges = points[tetrahedra[:, 1:]] - points[tetrahedra[:, :1]]
    mirrored = np.linalg.det(edges) < 0
    tetrahedra[mirrored, :2] = tetrahedra[mirrored, 1::-1]
    top = axes[2][-1]
    fixed = np.stack(
        [
            np.isin(points[:, 0], [0.0, axes[0][-1]]),
            np.isin(points[:, 1], [0.0, axes[1][-1]]),
            np.isin(points[:, 2], [0.0, axes[2][nz], top]),
        ],
        axis=1,
    )
    low = points.copy()
    for k in (0, 1):
        low[low[:, k] == axes[k][-1], k] = 0.0
    _, first, back = np.unique(low, axis=0, return_index=True, return_inverse=True)
    return _Lattice(
        points=points,
        cells=tetrahedra,
        fixed=fixed,
        twin=first[back.ravel()],
        in_cathode=points[tetrahedra].mean(axis=1)[:, 2] < axes[2][nz],
        spacing=box / [nx, ny, nz],
    )


class _Fields:
    """How strongly each label is present at points of the box: the blurred image of each.

    They add up to one. `shift` is added to each, so that a label gains or loses volume.
    """

    def __init__(self, image: NDArray[np.integer], spacing: Array, blur: float) -> None:
        self.count = int(image.max()) + 1
        self.shift = np.zeros(self.count)
        self._spacing, self._shape = spacing, np.array(image.shape)
        sigma = blur / spacing
        pad = np.ceil(4 * sigma).astype(int) + 2
        around = [(p, p) for p in pad.tolist()]
        wide = np.pad(image, [*around[:2], (0, 0)], mode="wrap")
        wide = np.pad(wide, [(0, 0), (0, 0), around[2]], mode="edge")
        self._crops: list[tuple[Array, Array]] = []  # field, and index of its first voxel
        boxes = ndimage.find_objects(wide)
        for label in range(self.count):
            if label == 0:
                whole = (wide == 0).astype(np.float64)
                self._crops.append((ndimage.gaussian_filter(whole, sigma, mode="nearest"), -pad))
                continue
            found = boxes[label - 1]
            if found is None:
                raise InputError(f"mesh_labels.labels has no voxel of particle {label}")
            cut = tuple(
                slice(max(0, part.start - p), min(n, part.stop + p))
                for part, p, n in zip(found, pad.tolist(), wide.shape, strict=True)
            )
            field = (wide[cut] == label).astype(np.float64)
            first = np.array([part.start for part in cut]) - pad
            self._crops.append((ndimage.gaussian_filter(field, sigma, mode="nearest"), first))

    def at(self, label: int, points: Array) -> Array:
        """Return the strength of a label at points of the box, (n,)."""
        field, first = self._crops[label]
        places = points / self._spacing - 0.5 - first
        near = ((places > -0.5) & (places < np.array(field.shape) - 0.5)).all(axis=1)
        found = np.zeros(len(points))
        found[near] = ndimage.map_coordinates(field, places[near].T, order=1, mode="nearest")
        return found + self.shift[label]

    def slope(self, label: int, points: Array) -> Array:
        """Return its gradient, (n, 3) [1/um]."""
        found = np.empty((len(points), 3))
        for axis in range(3):
            step = self._spacing[axis] * np.eye(3)[axis]
            ends = [self.at(label, points + sign * step) for sign in (1, -1)]
            found[:, axis] = (ends[0] - ends[1]) / (2 * self._spacing[axis])
        return found

    def strongest(self, points: Array) -> Indices:
        """Return the label that is strongest at points, (n,)."""
        best, most = np.zeros(len(points), np.int64), self.at(0, points)
        for label in range(1, self.count):
            here = self.at(label, points)
            better = here > most
            best[better], most[better] = label, here[better]
        return best


def _mesh(
    image: NDArray[np.integer], spacing: Array, size: float, separator: float, seed: int
) -> Parts:
    lattice = _lattice(np.array(image.shape) * spacing, separator, size)
    fields = _Fields(image, spacing, max(BLUR * size, 0.5 * float(spacing.max())))
    middles = lattice.points[lattice.cells].mean(axis=1)
    owner = np.full(len(lattice.cells), -1)  # of the separator
    owner[lattice.in_cathode] = fields.strongest(middles[lattice.in_cathode])
    faces = find_faces(lattice.points, lattice.cells)
    links = np.vstack([faces.cells[~faces.outer], periodic_links(lattice.points, faces, (0, 1))])
    owner, filled = _tidied(owner, faces, links, fields.count)
    wanted = np.bincount(image.ravel(), minlength=fields.count) * float(spacing.prod())
    points = lattice.points
    for turn in range(ROUNDS):
        points = _moved(lattice, points, owner, fields, size)
        found = np.bincount(owner + 1, volumes(points, lattice.cells))[1:]
        lack = (wanted - found)[1:]
        if turn == ROUNDS - 1 or np.abs(lack / wanted[1:]).max() < 0.1 * SAME:
            break
        area = _areas(points, faces, owner, fields.count)[1:]
        # the blurred step rises by 1 / (sqrt(2 pi) blur), and the other side falls as much
        fields.shift[1:] += 2 * lack / area / (np.sqrt(2 * np.pi) * BLUR * size)
    off = np.abs(lack / wanted[1:])
    if not off.max() <= SAME:
        worst = int(np.argmax(off)) + 1
        raise MeshError(
            f"particle {worst} has {found[worst]:.4g} um3 in the mesh, and {wanted[worst]:.4g} um3 "
            "in the image: take a smaller size"
        )
    parts = _parts(lattice, points, owner, faces, seed)
    told = filled + _doubtful(_touching(points, faces, owner), _contacts(image, spacing))
    return replace(parts, warnings=told + check(parts))


def _contacts(image: NDArray[np.integer], spacing: Array) -> float:
    """Return the area in which particles of an image touch.

    Where two do so in a plane, the faces of voxels between them, as vectors, add up to its area.
    """
    found: dict[tuple[int, int], Array] = {}
    for axis in range(3):
        near, far = image, np.roll(image, -1, axis)
        if axis == 2:  # not periodic
            near, far = near[:, :, :-1], far[:, :, :-1]
        meet = (near > 0) & (far > 0) & (near != far)
        pairs, times = np.unique(np.stack([near[meet], far[meet]]), axis=1, return_counts=True)
        for (a, b), count in zip(pairs.T.tolist(), times.tolist(), strict=True):
            area = count * float(spacing.prod()) / spacing[axis]
            vector = found.setdefault((min(a, b), max(a, b)), np.zeros(3))
            vector[axis] += area if a < b else -area
    return float(sum(np.linalg.norm(vector) for vector in found.values()))


def _touching(points: Array, faces: Faces, owner: Indices) -> float:
    """Return the area in which particles touch in the mesh."""
    sides = owner[faces.cells[~faces.outer]]
    meet = (sides > 0).all(axis=1) & (sides[:, 0] != sides[:, 1])
    return float(_sizes(points[faces.corners[~faces.outer][meet]]).sum())


def _doubtful(found: float, wanted: float) -> tuple[str, ...]:
    """Return a warning if contacts are too large or too small."""
    if abs(found - wanted) <= CONTACTS * max(found, wanted):
        return ()
    return (
        f"particles touch in {found:.3g} um2 in the mesh, and in {wanted:.3g} um2 in the image: a "
        "smaller size resolves the necks",
    )


def _tidied(
    owner: Indices, faces: Faces, links: Indices, count: int
) -> tuple[Indices, tuple[str, ...]]:
    """Remove spikes, crumbs of particles and pores of the matrix that lead nowhere."""
    owner = owner.copy()
    ends = np.concatenate([links, links[:, ::-1]])
    inner = faces.cells[~faces.outer]
    beside = np.concatenate([inner, inner[:, ::-1]])

    def most(cells: NDArray[np.bool_], pairs: Indices, among: NDArray[np.bool_]) -> Indices:
        """Return the label, from 0, of most neighbours of each cell, and how many these are."""
        near = pairs[cells[pairs[:, 0]] & among[pairs[:, 1]]]
        found = coo_array(
            (np.ones(len(near)), (near[:, 0], owner[near[:, 1]])), shape=(len(owner), count)
        ).tocsr()
        return np.asarray([found.argmax(axis=1), found.max(axis=1).toarray()])

    for _ in range(TIDYINGS):
        inside = owner >= 0
        label, times = most(inside, beside, inside)
        spikes = inside & (times.ravel() >= 3) & (label.ravel() != owner)
        if not spikes.any():
            break
        owner[spikes] = label.ravel()[spikes]
    for label in range(1, count):
        found = pieces(faces, owner == label, links)
        if not found:
            raise MeshError(f"particle {label} is lost on the lattice: take a smaller size")
        for crumb in found[1:]:
            owner[crumb] = 0
    warnings: tuple[str, ...] = ()
    above = np.zeros(len(owner), dtype=bool)
    above[ends[owner[ends[:, 1]] < 0, 0]] = True
    closed = [piece for piece in pieces(faces, owner == 0, links) if not above[piece].any()]
    for pore in closed:
        here = np.zeros(len(owner), dtype=bool)
        here[pore] = True
        label, _ = most(here, ends, owner > 0)
        owner[pore] = np.bincount(label.ravel()[pore], minlength=count).argmax()
    if closed:
        warnings = (
            f"particles close {len(closed)} pores of the lattice, which no ions reach: one of the "
            "particles around fills each",
        )
    return owner, warnings


def _moved(lattice: _Lattice, points: Array, owner: Indices, fields: _Fields, size: float) -> Array:
    """Move points towards where labels meet, and others between their neighbours, as they may."""
    cells, twin, count = lattice.cells, lattice.twin, len(points)
    inside = owner >= 0
    pairs = np.column_stack([twin[cells[inside]].ravel(), np.repeat(owner[inside], 4)])
    pairs = np.unique(pairs, axis=0)
    several = np.bincount(pairs[:, 0], minlength=count)
    start, stop = np.triu_indices(4, 1)
    edges = np.unique(np.sort(cells[:, [start, stop]].transpose(0, 2, 1).reshape(-1, 2)), axis=0)
    edges = np.concatenate([edges, edges[:, ::-1]])
    level = np.maximum(several[twin], 1)  # 1 within a label, 2 on a surface, more where these meet
    edges = edges[level[edges[:, 1]] >= level[edges[:, 0]]]
    way = points[edges[:, 1]] - points[edges[:, 0]]
    number = np.bincount(twin[edges[:, 0]], minlength=count)
    pull = np.stack([np.bincount(twin[edges[:, 0]], w, count) for w in way.T], axis=1)
    free = ~lattice.fixed
    change = pull / np.maximum(number, 1)[:, None] * np.where(level > 1, 0.3, 0.5)[:, None] * free
    change[twin != np.arange(count)] = 0.0
    meet = np.flatnonzero((several > 1) & (twin == np.arange(count)))
    meet = meet[~lattice.fixed[meet].all(axis=1)]
    row = np.full(count, -1)
    row[meet] = np.arange(len(meet))
    pairs = pairs[row[pairs[:, 0]] >= 0]
    rank = np.arange(len(pairs)) - np.searchsorted(pairs[:, 0], pairs[:, 0])
    for _ in range(2):
        here = points[meet] + change[meet]
        strength = np.zeros((len(meet), rank.max() + 1))
        slope = np.zeros((*strength.shape, 3))
        for label in np.unique(pairs[:, 1]).tolist():
            chosen = pairs[:, 1] == label
            at, place = row[pairs[chosen, 0]], rank[chosen]
            strength[at, place] = fields.at(label, here[at])
            slope[at, place] = fields.slope(label, here[at])
        there = np.arange(strength.shape[1])[None, 1:] < several[meet][:, None]
        excess = (strength[:, :1] - strength[:, 1:]) * there
        rises = (slope[:, :1] - slope[:, 1:]) * there[..., None] * free[meet][:, None]
        step = -np.einsum("nik,nk->ni", np.linalg.pinv(rises, rcond=0.2), excess)
        change[meet] += step
    length = np.linalg.norm(change, axis=1, keepdims=True)
    change *= np.minimum(1.0, FARTHEST * size / np.maximum(length, 1e-300))
    return _as_far_as_good(lattice, points, change[twin])


def _as_far_as_good(lattice: _Lattice, points: Array, change: Array) -> Array:
    """Move points as long as no tetrahedron gets poorer than the floor."""
    cells, share = lattice.cells, np.ones(len(points))
    for turn in range(HALVINGS):
        moved = points + share[:, None] * change
        corners = moved[cells]
        upright = np.linalg.det(corners[:, 1:] - corners[:, :1]) > 0
        poor = ~upright | (gamma(moved, cells) < FLOOR)
        if not poor.any():
            return moved
        less = np.zeros(len(points), dtype=bool)
        less[lattice.twin[cells[poor]]] = True
        share[less[lattice.twin]] *= 0.5 if turn < 6 else 0.0
    return points


def _areas(points: Array, faces: Faces, owner: Indices, count: int) -> Array:
    """Return the area of each label towards all others in the layer, (count,)."""
    inner = ~faces.outer
    sides, corners = owner[faces.cells[inner]], points[faces.corners[inner]]
    area = _sizes(corners)
    meet = (sides[:, 0] != sides[:, 1]) & (sides >= 0).all(axis=1)
    return np.asarray(sum(np.bincount(side[meet], area[meet], count) for side in sides.T))


def _sizes(corners: Array) -> Array:
    """Return the areas of triangles (n, 3, 3)."""
    a, b, c = np.moveaxis(corners, 1, 0)
    return np.asarray(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1))


def _parts(lattice: _Lattice, points: Array, owner: Indices, faces: Faces, seed: int) -> Parts:
    """Name regions and facets."""
    one, other = faces.cells.T
    first, second = owner[one], np.where(other < 0, -2, owner[other])
    low, high = np.minimum(first, second), np.maximum(first, second)
    tags = np.zeros(len(one), dtype=np.int32)
    tags[(low == 0) & (high > 0)] = FACETS["interface"]
    tags[(low > 0) & (low != high)] = FACETS["contact"]
    tags[(low == -1) & (high > 0)] = FACETS["particle_separator"]
    corners, ends = points[faces.corners], (points.min(axis=0), points.max(axis=0))
    for axis, names in enumerate((("x_min", "x_max"), ("y_min", "y_max"), ("collector", "anode"))):
        for level, name in zip(ends, names, strict=True):
            there = faces.outer & (corners[:, :, axis] == level[axis]).all(axis=1)
            tags[there] = FACETS[name]
            if name == "collector":
                tags[there & (first > 0)] = FACETS["particle_collector"]
    named = tags > 0
    count = int(owner.max())
    grains = range(FIRST_GRAIN, FIRST_GRAIN + count)
    regions = np.array([REGIONS["electrolyte"], REGIONS["ecbd"], *grains])
    centre = 0.5 * (ends[0] + ends[1]) * [1, 1, 0]
    return Parts(
        points=(points - centre) * um,
        cells=lattice.cells,
        cell_tags=np.asarray(regions[owner + 1], dtype=np.int32),
        triangles=faces.corners[named],
        facet_tags=tags[named],
        regions=dict(REGIONS),
        facets=facets_of(tags[named]),
        grain_particle=np.arange(count, dtype=np.int32),
        orientations=random_orientations(count, seed),
    )

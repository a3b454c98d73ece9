"""Convex polyhedra thrown into a voxel image until only a given share of it is left empty.

Solid electrolyte, soft enough to fill the gaps: polyhedra that may overlap. Platelets such as those
of LiCoO2: prisms that overlap little or not at all. Phases already in the image stay as they are.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from scipy.spatial import ConvexHull, HalfspaceIntersection
from scipy.spatial.transform import Rotation

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.environment.compiled import njit
from femssb.errors import InputError, NotConverged, check_number
from femssb.inputs.case import describe
from femssb.packing.sizes import Sizes
from femssb.voxels.image import VoxelImage, counts_of

MODELS = 50  # different polyhedra in a batch, each turned and scaled
BATCH = 2000  # particles drawn at a time
MOST_MISSES = 200_000  # particles in a row without room, after which there is none
MOST_TRIES = 500  # particles tried for a last one that is small enough
SPIKE = 3.0  # outer over inner radius beyond which a polyhedron is drawn again [-]
APART = 0.6  # angle between faces, over that between neighbours on a grid [-]
CUT = 2.0  # standard deviations beyond which sizes of prisms are drawn again
THINNEST = 0.1  # smallest height and ray of a prism over their means [-]


class Faces(NamedTuple):
    """Particles as half-spaces: a point x is inside where ``normals @ (x - centre) <= distances``.

    A named tuple can be handed to compiled functions.

    Attributes:
        normals: Unit normals, shape (n, faces, 3).
        distances: Of the faces from the centre, shape (n, faces) [m].
        reaches: Radius of a sphere about the centre that holds the particle, shape (n,) [m].
    """

    normals: Array
    distances: Array
    reaches: Array


@runtime_checkable
class Shapes(Protocol):
    """Particles that can be thrown into an image."""

    def draw(self, random: np.random.Generator, number: int) -> Faces:
        """Return that many particles, randomly turned."""
        ...


@description
class Polyhedra:
    """Irregular convex polyhedra, about as long as wide.

    Their faces are tangent to a sphere in directions drawn at random, but not too close to each
    other; their diameter is that of the sphere of the same volume.
    """

    sizes: Sizes = field("diameters of the spheres of the same volume")
    faces: int = field("number of faces", lower=6, upper=30, default=12)

    def draw(self, random: np.random.Generator, number: int) -> Faces:
        """Return that many polyhedra, randomly turned."""
        models = [self._model(random) for _ in range(min(MODELS, number))]
        chosen = random.integers(len(models), size=number)
        sizes = self.sizes.listed()
        chance = np.array(sizes.numbers) / np.sum(sizes.numbers)
        size = random.choice(sizes.diameters, size=number, p=chance)
        normals, inner, outer = (np.array(part)[chosen] for part in zip(*models, strict=True))
        turn = Rotation.random(number, rng=random).as_matrix()
        return Faces(
            normals=np.ascontiguousarray(np.einsum("nij,nfj->nfi", turn, normals)),
            distances=np.repeat((inner * size)[:, None], self.faces, axis=1),
            reaches=outer * size,
        )

    def _model(self, random: np.random.Generator) -> tuple[Array, float, float]:
        """Return normals, inner and outer radius, at the volume of a sphere of diameter 1."""
        while True:
            normals = _spread_directions(random, self.faces)
            planes = np.column_stack([normals, -np.ones(self.faces)])
            corners = HalfspaceIntersection(planes, np.zeros(3)).intersections
            outer = float(np.max(np.linalg.norm(corners, axis=1)))
            if outer < SPIKE:  # else the faces nearly leave a side open
                break
        scale = (np.pi / 6 / ConvexHull(corners).volume) ** (1 / 3)
        return normals, float(scale), float(scale * outer)


@description
class Prisms:
    """Regular prisms whose height and width are normally distributed, such as LiCoO2 platelets."""

    height: float = field("mean distance of the two bases", unit="m", above=0)
    height_spread: float = field("standard deviation, at most half the mean", unit="m", lower=0)
    ray: float = field("mean distance of the sides from the axis", unit="m", above=0)
    ray_spread: float = field("standard deviation, at most half the mean", unit="m", lower=0)
    sides: int = field("number of sides", lower=3, upper=12, default=5)

    def __post_init__(self) -> None:
        # Beyond half the mean, too many would be negative and have to be drawn again.
        for name, mean in (("height_spread", self.height), ("ray_spread", self.ray)):
            check_number("Prisms", name, getattr(self, name), upper=mean / 2, unit="m")

    def draw(self, random: np.random.Generator, number: int) -> Faces:
        """Return that many prisms, randomly turned."""
        heights = self.height + self.height_spread * _cut_normal(random, number)
        rays = self.ray + self.ray_spread * _cut_normal(random, number)
        heights = np.maximum(heights, THINNEST * self.height)
        rays = np.maximum(rays, THINNEST * self.ray)
        angle = 2 * np.pi * np.arange(self.sides) / self.sides
        around = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(self.sides)])
        normals = np.vstack([around, [[0, 0, 1], [0, 0, -1]]])
        turn = Rotation.random(number, rng=random).as_matrix()
        distances = np.empty((number, self.sides + 2))
        distances[:, :-2] = rays[:, None]
        distances[:, -2:] = heights[:, None] / 2
        return Faces(
            normals=np.ascontiguousarray(np.einsum("nij,fj->nfi", turn, normals)),
            distances=distances,
            reaches=np.hypot(rays / np.cos(np.pi / self.sides), heights / 2),
        )


def _cut_normal(random: np.random.Generator, number: int) -> Array:
    """Return normally distributed numbers, those beyond `CUT` drawn again."""
    values = random.standard_normal(number)
    while np.any(far := np.abs(values) > CUT):
        values[far] = random.standard_normal(int(far.sum()))
    return values


def _spread_directions(random: np.random.Generator, number: int) -> Array:
    """Return random unit vectors that keep a distance, shape (number, 3)."""
    apart = np.cos(2 * APART * np.sqrt(4 / number))
    found: list[Array] = []
    misses = 0
    while len(found) < number:
        vector = random.standard_normal(3)
        vector /= np.linalg.norm(vector)
        if misses > 1000:
            found, misses = [], 0
        if all(vector @ other < apart for other in found):
            found.append(vector)
        else:
            misses += 1
    return np.array(found)


@checked
def add_polyhedra(
    image: VoxelImage,
    shapes: Shapes,
    *,
    phase: str,
    left: float,
    into: str = "void",
    overlap: float = 1.0,
    seed: int = 1,
) -> VoxelImage:
    """Throw convex particles into an image until a given share of it is left empty.

    Centres are uniform over the box and orientations over all directions. A particle takes only the
    voxels whose centres lie in it and that are still empty.

    Args:
        image: Image to start from; its phases keep their voxels.
        shapes: Polyhedra or prisms.
        phase: Name of the phase they are made of; new, or one of the image.
        left: Share of the box that is to be left empty [-].
        into: Phase that counts as empty.
        overlap: Largest share of a particle that may lie in voxels that are not empty, others of
            its kind included; 1 lets all overlap, 0 none.
        seed: Of the random positions, shapes and orientations.

    Returns:
        The image with one more phase; `origin` holds the number of particles placed.

    Raises:
        InputError: If an input is out of bounds, or less than `left` is empty.
        NotConverged: If no more particles fit without overlapping too much, and more than half a
            particle is missing.
    """
    check_number("add_polyhedra", "left", left, lower=0, upper=1)
    check_number("add_polyhedra", "overlap", overlap, lower=0, upper=1)
    check_number("add_polyhedra", "seed", seed, lower=0)
    empty = image.label(into)
    if phase == into:
        raise InputError(f"add_polyhedra.phase = {phase!r} counts as empty")
    names = image.phase_names if phase in image.phase_names else (*image.phase_names, phase)
    label = names.index(phase)
    labels = np.array(image.labels)
    voxels = labels.size
    to_fill = int(counts_of(labels, len(image.phase_names))[empty]) - round(left * voxels)
    if to_fill < 0:
        raise InputError(
            f"add_polyhedra.left = {left:g}: only {image.fractions()[into]:.4f} of the image is "
            f"{into!r}"
        )
    random = np.random.default_rng(seed)
    spacing, periodic = np.array(image.spacing), np.array(image.periodic)
    wanted, placed, missed = to_fill, 0, 0
    while to_fill > 0:
        batch = shapes.draw(random, BATCH)
        centres = random.random((BATCH, 3)) * image.lengths
        placed_now, missed, to_fill, done = _throw(
            labels, spacing, periodic, centres, batch, empty, label, overlap, to_fill, missed
        )
        placed += placed_now
        if done:
            break
        if missed > MOST_MISSES:
            if 0 < 2 * to_fill * placed <= wanted - to_fill:  # half a mean particle is missing
                break
            raise NotConverged(
                f"add_polyhedra: no room for one more particle of {phase!r} with an overlap of at "
                f"most {overlap:g}; a share of {to_fill / voxels:.4f} is still to be filled, after "
                f"{placed} particles"
            )
    labels.flags.writeable = False
    made = {"left": left, "overlap": overlap, "seed": seed, "particles": placed}
    return VoxelImage(
        labels=labels,
        phase_names=names,
        spacing=image.spacing,
        periodic=image.periodic,
        origin={**image.origin, f"polyhedra of {phase}": {**describe(shapes), **made}},
    )


@njit(cache=True)
def _row(offset: Any, low: float, high: float, normals: Any, distances: Any) -> tuple[float, float]:
    """Return between which z, from the centre, a line along z through (x, y) is inside."""
    for face in range(len(distances)):
        rest = distances[face] - normals[face, 0] * offset[0] - normals[face, 1] * offset[1]
        slope = normals[face, 2]
        if slope > 1e-12:
            high = min(high, rest / slope)
        elif slope < -1e-12:
            low = max(low, rest / slope)
        elif rest < 0:
            return 1.0, 0.0
    return low, high


@njit(cache=True)
def _visit(
    grid: Any, step: Any, periodic: Any, centre: Any, faces: Faces, n: int, empty: int, label: int
) -> tuple[int, int]:
    """Count the voxels of a particle, all and empty ones; give the empty ones a label if not -1."""
    normals, distances, reach = faces.normals[n], faces.distances[n], faces.reaches[n]
    nx, ny, nz = grid.shape
    inside = free = 0
    offset = np.empty(2)
    for i in range(int(np.ceil((centre[0] - reach) / step[0] - 0.5)), 10**9):
        offset[0] = (i + 0.5) * step[0] - centre[0]
        if offset[0] > reach:
            break
        if not periodic[0] and (i < 0 or i >= nx):
            continue
        for j in range(int(np.ceil((centre[1] - reach) / step[1] - 0.5)), 10**9):
            offset[1] = (j + 0.5) * step[1] - centre[1]
            if offset[1] > reach:
                break
            if not periodic[1] and (j < 0 or j >= ny):
                continue
            low, high = _row(offset, -reach, reach, normals, distances)
            if low > high:
                continue
            first = int(np.ceil((centre[2] + low) / step[2] - 0.5))
            last = int(np.floor((centre[2] + high) / step[2] - 0.5))
            for k in range(first, last + 1):
                if not periodic[2] and (k < 0 or k >= nz):
                    continue
                inside += 1
                a, b, c = i % nx, j % ny, k % nz
                if grid[a, b, c] == empty:
                    free += 1
                    if label >= 0:
                        grid[a, b, c] = label
    return inside, free


@njit(cache=True)
def _throw(
    grid: Any,
    step: Any,
    periodic: Any,
    centres: Any,
    faces: Faces,
    empty: int,
    label: int,
    overlap: float,
    to_fill: int,
    missed: int,
) -> tuple[int, int, int, bool]:
    """Place particles one after the other until as many voxels as wanted are filled."""
    placed = tries = 0
    for n in range(len(centres)):
        inside, free = _visit(grid, step, periodic, centres[n], faces, n, empty, -1)
        if free == 0 or inside - free > overlap * inside:
            missed += 1
            continue
        if free > 2 * to_fill:  # closer to the wanted share without this one
            tries += 1
            if tries > MOST_TRIES:
                return placed, missed, to_fill, True
            continue
        missed = 0
        _visit(grid, step, periodic, centres[n], faces, n, empty, label)
        placed += 1
        to_fill -= free
        if to_fill <= 0:
            return placed, missed, to_fill, True
    return placed, missed, to_fill, False

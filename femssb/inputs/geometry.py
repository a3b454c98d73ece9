"""Shapes, and nothing but shapes: the half-cell box, its layers and its particles."""

import math
from collections.abc import Iterator
from itertools import combinations
from math import inf
from typing import Any

from femssb.description import checked, description, field
from femssb.errors import InputError, check_number
from femssb.units import mm, nm, um

Vector = tuple[float, float, float]

LENGTHS = (10 * nm, 1 * mm)  # [m] anything outside is a slip of units
EXTENTS = (200 * nm, 2 * mm)  # [m] of a whole half-cell; outside, too, units have slipped
MOST_GRAINS = 200
FARTHEST_SITE = 4.0  # of a given grain from the centre of its particle, in units of the radius
CLOSEST_SITES = 1e-6  # distance of two given grains, in units of the radius
SMALLEST_GAP = 0.02  # free distance around a particle, in units of its radius


def _length(meaning: str, default: float) -> Any:
    return field(meaning, unit="m", lower=LENGTHS[0], upper=LENGTHS[1], default=default)


@description
class Grain:
    """One grain of a given tessellation: a weighted site of its power diagram.

    The grain is where ``|x - point|^2 - weight`` is smaller than for all other grains.

    Raises:
        InputError: If the orientation is no rotation.
    """

    point: Vector = field("site, from the centre of the particle", unit="m")
    weight: float = field("weight of the site", unit="m2", default=0.0)
    orientation: tuple[Vector, Vector, Vector] | None = field(
        "active rotation, row by row; its columns are the crystal axes; None: drawn from the seed",
        default=None,
    )
    reach: float = field(
        "distance from the centre of the particle where the given tessellation ends",
        unit="m",
        above=0,
        infinite=True,
        default=inf,
    )

    def __post_init__(self) -> None:
        """Check that the orientation is a rotation."""
        if (rows := self.orientation) is None:
            return
        products = [[sum(a * b for a, b in zip(u, v, strict=True)) for u in rows] for v in rows]
        skew = max(abs(products[i][j] - (i == j)) for i in range(3) for j in range(3))
        (a, b, c), (d, e, f), (g, h, i) = rows
        determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
        if skew > 1e-6 or determinant < 0:
            raise InputError(
                f"Grain.orientation is no rotation: Q Q^T differs from 1 by {skew:.2g} "
                f"(at most 1e-06), determinant {determinant:.3g} (must be 1)"
            )


@description
class Polycrystal:
    """A spherical secondary particle made of randomly oriented grains.

    Raises:
        InputError: If given grains are not of the size of the particle, end within it, or coincide.
    """

    radius: float = _length("radius of the secondary particle", 5 * um)
    grains: int | tuple[Grain, ...] = field(
        "number of primary particles, or these themselves", lower=1, upper=MOST_GRAINS, default=53
    )
    seed: int = field(
        "seed of the tessellation and of the orientations", lower=0, upper=2**63 - 1, default=1
    )
    centre: Vector | None = field(
        "centre; None: the middle of the cathode layer", unit="m", default=None
    )
    size_spread: float = field(
        "standard deviation of the logarithm of the equivalent diameters; Poisson-Voronoi has 0.15",
        lower=0,
        upper=0.5,
        default=0.2,
    )
    material: str | None = field(
        "name of its active material in `Materials.others`; None: `Materials.active`", default=None
    )

    def __post_init__(self) -> None:
        """Check that given grains are of the size of the particle: a slip of units is not."""
        if not isinstance(self.grains, tuple):
            return
        check_number("Polycrystal", "grains", len(self.grains), lower=1, upper=MOST_GRAINS)
        far, near = FARTHEST_SITE * self.radius, 0.01 * self.radius
        reach = [math.hypot(*grain.point) for grain in self.grains]
        for index, grain in enumerate(self.grains):
            owner = f"Polycrystal.grains[{index}]"
            if reach[index] > far:
                raise InputError(
                    f"{owner}.point lies {reach[index]:.3g} m from the centre; "
                    f"at most {far:.3g} m is allowed ({FARTHEST_SITE:g} radii)"
                )
            check_number(owner, "weight", grain.weight, lower=-(far**2), upper=far**2, unit="m2")
            if grain.reach < self.radius * (1 - 1e-9):
                raise InputError(
                    f"Polycrystal.radius = {self.radius:g} m is outside (0, {grain.reach:.6g}] m: "
                    f"the tessellation of the given grains ends {grain.reach:.6g} m from the centre"
                )
        if len(reach) > 1 and max(reach) < near:
            raise InputError(
                f"Polycrystal.grains: no point lies farther than {max(reach):.3g} m from the "
                f"centre of a particle of radius {self.radius:g} m; at least one must lie beyond "
                f"{near:.3g} m"
            )
        least = CLOSEST_SITES * self.radius
        for (i, first), (j, second) in combinations(enumerate(self.grains), 2):
            if (apart := math.dist(first.point, second.point)) < least:
                raise InputError(
                    f"Polycrystal.grains[{i}] and [{j}] have points that are {apart:.3g} m apart; "
                    f"they must be at least {least:.3g} m apart"
                )

    @property
    def number_of_grains(self) -> int:
        """Return how many grains were asked for."""
        return len(self.grains) if isinstance(self.grains, tuple) else self.grains


@description
class HalfCell:
    """A box from the current collector (z = 0) to the lithium anode (z = cathode + separator).

    The box is centred on x = y = 0; its four sides are periodic.

    Raises:
        InputError: If the cell is too small or too large to be one, if particles overlap, or if one
            touches a face of the cathode.
    """

    width: float = _length("side of the square cross-section", 15 * um)
    cathode: float = _length("thickness of the composite cathode layer", 15 * um)
    separator: float = _length("thickness of the electrolyte layer", 10 * um)
    particles: tuple[Polycrystal, ...] = field(
        "secondary particles in the cathode layer", default=(Polycrystal(),)
    )

    def __post_init__(self) -> None:
        """Check the size of the whole cell, and that the particles fit."""
        extent = max(self.width, self.cathode + self.separator)
        if not EXTENTS[0] <= extent <= EXTENTS[1]:
            raise InputError(
                f"HalfCell: width = {self.width:g} m, cathode = {self.cathode:g} m and separator = "
                f"{self.separator:g} m make a cell of {extent:.3g} m, outside [{EXTENTS[0]:g}, "
                f"{EXTENTS[1]:g}] m: in which unit are they?"
            )
        for index, particle in enumerate(self.particles):
            gap = SMALLEST_GAP * particle.radius
            for face, room in self._room(index):
                if room < gap:
                    x, y, z = self.centre(index)
                    raise InputError(
                        f"HalfCell.particles[{index}] (radius {particle.radius:g} m, centre "
                        f"({x:g}, {y:g}, {z:g}) m) leaves {room:.3g} m to {face}; it must leave at "
                        f"least {gap:.3g} m"
                    )
        for (i, first), (j, second) in combinations(enumerate(self.particles), 2):
            reach = first.radius + second.radius
            apart = math.dist(self.centre(i), self.centre(j))
            gap = SMALLEST_GAP * min(first.radius, second.radius)
            if apart - reach < gap:
                raise InputError(
                    f"HalfCell.particles[{i}] and [{j}] overlap or touch: their centres are "
                    f"{apart:.5g} m apart and must be more than {reach + gap:.5g} m apart"
                )

    @checked
    def centre(self, index: int) -> Vector:
        """Return the centre of a particle [m].

        Raises:
            InputError: If there is no such particle.
        """
        check_number("HalfCell.centre", "index", index, lower=0, upper=len(self.particles) - 1)
        return self.particles[index].centre or (0.0, 0.0, self.cathode / 2)

    def _room(self, index: int) -> Iterator[tuple[str, float]]:
        """Yield the free distance between a particle and each face around the cathode."""
        x, y, z = self.centre(index)
        radius = self.particles[index].radius
        yield "x_min", x + self.width / 2 - radius
        yield "x_max", self.width / 2 - x - radius
        yield "y_min", y + self.width / 2 - radius
        yield "y_max", self.width / 2 - y - radius
        yield "the collector", z - radius
        yield "the separator", self.cathode - z - radius

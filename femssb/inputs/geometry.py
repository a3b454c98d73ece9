"""Shapes, and nothing but shapes: the half-cell box, its layers and its particles."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from femssb.errors import InputError, check_number
from femssb.units import mm, nm, um

Vector = tuple[float, float, float]

LENGTHS = (10 * nm, 1 * mm)  # [m] anything outside is a slip of units
MOST_GRAINS = 200
FARTHEST_SITE = 4.0  # of a given grain from the centre of its particle, in units of the radius
SMALLEST_GAP = 0.02  # free distance around a particle, in units of its radius


def _shown(vector: Vector) -> str:
    return "(" + ", ".join(f"{component:g}" for component in vector) + ")"


def _tuple_of(owner: str, field: str, value: object, kind: type) -> tuple[Any, ...]:
    """Turn a sequence into a tuple and check that it holds things of one kind."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, kind) for item in value):
        raise InputError(f"{owner}.{field} must be a tuple of {kind.__name__}, got {value!r}")
    if not value:
        raise InputError(f"{owner}.{field} is empty; it needs at least one {kind.__name__}")
    return tuple(value)


def _check_integer(owner: str, field: str, value: object, lower: int, upper: int) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InputError(f"{owner}.{field} must be a whole number, got {value!r}")
    if not lower <= int(value) <= upper:
        raise InputError(f"{owner}.{field} = {value} is outside [{lower}, {upper}]")


def _check_vector(owner: str, field: str, value: object) -> None:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise InputError(f"{owner}.{field} must be three numbers, got {value!r}")
    for component in value:
        check_number(owner, field, component)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grain:
    """One grain of a given tessellation: a weighted site of its power diagram.

    The grain is where ``|x - point|^2 - weight`` is smaller than for all other grains.

    Raises:
        InputError: If a field is not made of finite numbers or the orientation is no rotation.
    """

    point: Vector  # site, from the centre of the particle [m]
    weight: float = 0.0  # [m2]
    # active rotation, row by row; its columns are the crystal axes; None: drawn from the seed
    orientation: tuple[Vector, Vector, Vector] | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        _check_vector("Grain", "point", self.point)
        check_number("Grain", "weight", self.weight, unit="m2")
        if self.orientation is None:
            return
        rows = self.orientation
        if len(rows) != 3:
            raise InputError(f"Grain.orientation needs three rows, got {rows!r}")
        for row in rows:
            _check_vector("Grain", "orientation", row)
        products = [[sum(a * b for a, b in zip(u, v, strict=True)) for u in rows] for v in rows]
        skew = max(abs(products[i][j] - (i == j)) for i in range(3) for j in range(3))
        (a, b, c), (d, e, f), (g, h, i) = rows
        determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
        if skew > 1e-6 or determinant < 0:
            raise InputError(
                f"Grain.orientation is no rotation: Q Q^T differs from 1 by {skew:.2g} "
                f"(at most 1e-06), determinant {determinant:.3g} (must be 1)"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Polycrystal:
    """A spherical secondary particle made of randomly oriented grains.

    Raises:
        InputError: If a field is out of its bounds.
    """

    radius: float = 5 * um  # radius of the secondary particle [m]
    grains: int | tuple[Grain, ...] = 53  # number of primary particles, 1 to 200, or the grains
    seed: int = 1  # seed of the tessellation and of the orientations
    centre: Vector | None = None  # [m]; None: the middle of the cathode layer
    # standard deviation of the logarithm of the equivalent diameters; Poisson-Voronoi has 0.15
    size_spread: float = 0.2

    def __post_init__(self) -> None:
        """Check every field."""
        lower, upper = LENGTHS
        check_number("Polycrystal", "radius", self.radius, lower=lower, upper=upper, unit="m")
        grains: object = self.grains
        if not isinstance(grains, numbers.Integral):
            given = _tuple_of("Polycrystal", "grains", grains, Grain)
            object.__setattr__(self, "grains", given)
            self._check_grains(given)
        _check_integer("Polycrystal", "grains", self.number_of_grains, 1, MOST_GRAINS)
        _check_integer("Polycrystal", "seed", self.seed, 0, 2**63 - 1)
        check_number("Polycrystal", "size_spread", self.size_spread, lower=0, upper=0.5)
        if self.centre is not None:
            _check_vector("Polycrystal", "centre", self.centre)

    @property
    def number_of_grains(self) -> int:
        """Return how many grains were asked for."""
        return len(self.grains) if isinstance(self.grains, tuple) else self.grains

    def _check_grains(self, grains: tuple[Grain, ...]) -> None:
        """Check that given grains are of the size of the particle: a slip of units is not."""
        far = FARTHEST_SITE * self.radius
        reach = [math.hypot(*grain.point) for grain in grains]
        for index, grain in enumerate(grains):
            if reach[index] > far:
                raise InputError(
                    f"Polycrystal.grains[{index}].point lies {reach[index]:.3g} m from the centre; "
                    f"at most {far:.3g} m is allowed ({FARTHEST_SITE:g} radii)"
                )
            check_number(
                f"Polycrystal.grains[{index}]",
                "weight",
                grain.weight,
                lower=-(far**2),
                upper=far**2,
                unit="m2",
            )
        if len(grains) > 1 and max(reach) < 0.01 * self.radius:
            raise InputError(
                f"Polycrystal.grains: no point lies farther than {max(reach):.3g} m from the "
                f"centre of a particle of radius {self.radius:g} m; at least one must lie beyond "
                f"{0.01 * self.radius:.3g} m"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class HalfCell:
    """A box from the current collector (z = 0) to the lithium anode (z = cathode + separator).

    The box is centred on x = y = 0; its four sides are periodic.

    Raises:
        InputError: If a field is out of its bounds, particles overlap, or one touches a face.
    """

    width: float = 15 * um  # side of the square cross-section [m]
    cathode: float = 15 * um  # thickness of the composite cathode layer [m]
    separator: float = 10 * um  # thickness of the electrolyte layer [m]
    particles: tuple[Polycrystal, ...] = (Polycrystal(),)

    def __post_init__(self) -> None:
        """Check every field, and that the particles fit."""
        lower, upper = LENGTHS
        for field in ("width", "cathode", "separator"):
            check_number(
                "HalfCell", field, getattr(self, field), lower=lower, upper=upper, unit="m"
            )
        particles = _tuple_of("HalfCell", "particles", self.particles, Polycrystal)
        object.__setattr__(self, "particles", particles)
        for index, particle in enumerate(particles):
            gap = SMALLEST_GAP * particle.radius
            for field, room in self._room(index):
                if room < gap:
                    raise InputError(
                        f"HalfCell.particles[{index}] (radius {particle.radius:g} m, centre "
                        f"{_shown(self.centre(index))} m) leaves {room:.3g} m to {field}; it must "
                        f"leave at least {gap:.3g} m"
                    )
        for i, j in combinations(range(len(particles)), 2):
            reach = particles[i].radius + particles[j].radius
            apart = math.dist(self.centre(i), self.centre(j))
            gap = SMALLEST_GAP * min(particles[i].radius, particles[j].radius)
            if apart - reach < gap:
                raise InputError(
                    f"HalfCell.particles[{i}] and [{j}] overlap or touch: their centres are "
                    f"{apart:.5g} m apart and must be more than {reach + gap:.5g} m apart"
                )

    def centre(self, index: int) -> Vector:
        """Return the centre of a particle [m]."""
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

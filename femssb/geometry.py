"""Shapes, and nothing but shapes: the half-cell box, its layers and its particles."""

from __future__ import annotations

from dataclasses import dataclass

from femssb.units import um


@dataclass(frozen=True, kw_only=True, slots=True)
class Polycrystal:
    """A spherical secondary particle made of randomly oriented grains.

    Raises:
        InputError: If a field is out of its bounds.
    """

    radius: float = 5 * um  # radius of the secondary particle [m]
    grains: int = 53  # number of primary particles [-], 1 to 200
    seed: int = 1  # seed of the tessellation and of the orientations
    centre: tuple[float, float, float] | None = None  # [m]; None: the middle of the cathode layer


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

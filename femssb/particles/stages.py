"""What is done to a packing: pressing, unloading, growing and shrinking of a phase.

Every stage has a pressure on planes, which move until the packing is at rest under it; `press` in
`femssb.particles.pressing` does them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from femssb.errors import InputError, check_number


@dataclass(frozen=True, kw_only=True, slots=True)
class Uniaxial:
    """Press between two planes along z, or unload to a lower pressure; x and y stay as they are.

    Raises:
        InputError: If the pressure is out of its bounds.
    """

    pressure: float  # on both planes, positive compresses [Pa]

    def __post_init__(self) -> None:
        """Check the pressure."""
        check_number("Uniaxial", "pressure", self.pressure, lower=1e3, upper=1e11, unit="Pa")


@dataclass(frozen=True, kw_only=True, slots=True)
class Isostatic:
    """Press with one pressure on all six faces; sides that were periodic become planes.

    Raises:
        InputError: If the pressure is out of its bounds.
    """

    pressure: float  # on every face, positive compresses [Pa]

    def __post_init__(self) -> None:
        """Check the pressure."""
        check_number("Isostatic", "pressure", self.pressure, lower=1e3, upper=1e11, unit="Pa")


@dataclass(frozen=True, kw_only=True, slots=True)
class Swell:
    """Change the size of the spheres of one phase, with one pressure on all planes.

    One half of a cycle: the growth of an active material on discharge, or its reverse on charge.

    Raises:
        InputError: If the growth is out of its bounds, or of an unknown kind.
    """

    phase: str
    growth: float  # relative change, negative shrinks [-]
    pressure: float  # on every plane, positive compresses [Pa]
    of: str = "diameter"  # what changes by it: "diameter" or "volume"

    def __post_init__(self) -> None:
        """Check every field."""
        check_number("Swell", "growth", self.growth, lower=-0.5, upper=1.0)
        check_number("Swell", "pressure", self.pressure, lower=1e3, upper=1e11, unit="Pa")
        if self.of not in ("diameter", "volume"):
            raise InputError(f"Swell.of = {self.of!r} must be 'diameter' or 'volume'")

    def factor(self) -> float:
        """Return the new diameter over the old one."""
        return 1 + self.growth if self.of == "diameter" else float(np.cbrt(1 + self.growth))


Stage = Uniaxial | Isostatic | Swell


def cycles(
    phase: str, growth: float, *, pressure: float, count: int, of: str = "diameter"
) -> list[Swell]:
    """Return the stages of cycles in which one phase grows and shrinks back to its first size.

    Args:
        phase: The one that changes.
        growth: Relative change, positive: grows first, as a cathode does on discharge [-].
        pressure: On every plane, positive compresses [Pa].
        count: Number of cycles.
        of: What changes by it: ``"diameter"`` or ``"volume"``.
    """
    grow = Swell(phase=phase, growth=growth, pressure=pressure, of=of)
    return [grow, replace(grow, growth=1 / (1 + growth) - 1)] * count

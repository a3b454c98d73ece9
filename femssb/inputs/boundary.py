"""How the two end faces of the cell are held: plain data."""

from __future__ import annotations

from dataclasses import dataclass

from femssb.errors import check_number
from femssb.units import GPa


@dataclass(frozen=True, kw_only=True, slots=True)
class Fixed:
    """The face does not move."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Free:
    """The face moves freely."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pressure:
    """The face is pushed inwards by a dead load.

    Raises:
        InputError: If the pressure is not between -10 and 10 GPa.
    """

    pressure: float  # positive compresses [Pa]

    def __post_init__(self) -> None:
        """Check the value."""
        check_number(
            "Pressure", "pressure", self.pressure, lower=-10 * GPa, upper=10 * GPa, unit="Pa"
        )


Support = Fixed | Free | Pressure

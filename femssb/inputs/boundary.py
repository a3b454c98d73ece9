"""Supports of the two end faces of the cell: plain data."""

from __future__ import annotations

from femssb.description import description, field
from femssb.units import GPa


@description
class Fixed:
    """The face does not move."""


@description
class Free:
    """The face moves freely."""


@description
class Pressure:
    """The face is pushed inwards by a dead load."""

    pressure: float = field("positive compresses", unit="Pa", lower=-10 * GPa, upper=10 * GPa)


Support = Fixed | Free | Pressure

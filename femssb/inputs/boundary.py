"""How faces of the cell are held, pushed or pulled, and which part of a surface reacts: plain data.

A face that is not named in a model moves freely; nothing passes through it.
"""

from collections.abc import Callable

from femssb.arrays import Array
from femssb.description import description, field
from femssb.errors import InputError
from femssb.units import GPa, mm

# Of a place: takes points (n, 3) [m] and returns a number for each, (n,).
Place = Callable[[Array], Array]


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


@description
class Traction:
    """The face carries a dead load of any direction, per area."""

    x: float = field("component along x", unit="Pa", lower=-10 * GPa, upper=10 * GPa, default=0.0)
    y: float = field("component along y", unit="Pa", lower=-10 * GPa, upper=10 * GPa, default=0.0)
    z: float = field("component along z", unit="Pa", lower=-10 * GPa, upper=10 * GPa, default=0.0)


@description
class Symmetric:
    """The face lies in a plane of symmetry: it slides along the plane and does not leave it.

    The plane must be normal to x, y or z; a `Spring` with a large normal stiffness does the same of
    any face.
    """


@description
class Displacement:
    """The face is moved by so much from the start on; a component that is None moves freely."""

    x: float | None = field("along x", unit="m", lower=-mm, upper=mm, default=None)
    y: float | None = field("along y", unit="m", lower=-mm, upper=mm, default=None)
    z: float | None = field("along z", unit="m", lower=-mm, upper=mm, default=None)

    def __post_init__(self) -> None:
        """Check that a component is given."""
        if (self.x, self.y, self.z) == (None, None, None):
            raise InputError("Displacement needs one of x, y, z; a face without is Free()")


@description
class Spring:
    """The face rests on springs, as on a stack of finite stiffness: traction over displacement."""

    normal: float = field("along the normal", unit="Pa/m", lower=0, upper=1e22)
    tangential: float = field("along the face", unit="Pa/m", lower=0, upper=1e22, default=0.0)

    def __post_init__(self) -> None:
        """Check that it holds anything."""
        if max(self.normal, self.tangential) == 0.0:
            raise InputError("Spring needs a stiffness; a face without is Free()")


Support = Fixed | Free | Pressure | Traction | Symmetric | Displacement | Spring

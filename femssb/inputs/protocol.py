"""Steps of a protocol: charge, discharge, hold and rest, and the ends of each of them.

Every step may name several ends; the first to come wins and the result records which it was. A step
also ends where lithium runs out or no longer fits (`femssb.run.lithium`), and at its very start
where the voltage or current that is to end it is passed as soon as its load acts; both come with a
warning, and the next step goes on from there.
Discharge current is positive, here as in the results; what a step is given is a magnitude.

Steps may also be given in words (`femssb.inputs.sentences`) and repeated (`femssb.inputs.cycle`).
"""

from typing import Literal

from femssb.description import description, field
from femssb.errors import InputError

_CURRENTS = ("c_rate", "current", "current_density")


@description
class _Step:
    fields: Literal["none", "middle", "end", "both"] = field(
        "where in the step all fields are kept: in the middle, at its end, both or none",
        default="both",
    )


@description
class _ConstantCurrent(_Step):
    c_rate: float | None = field(
        "current over that of 1C, which moves the nominal capacity in an hour",
        above=0,
        below=1000,
        default=None,
    )
    current: float | None = field("of the whole cell", unit="A", above=0, below=1e9, default=None)
    current_density: float | None = field(
        "current over the area of the anode's face", unit="A/m2", above=0, below=1e9, default=None
    )
    until_voltage: float | None = field(
        "voltage that ends the step", unit="V", lower=-10, upper=10, default=None
    )
    until_duration: float | None = field(
        "time after which the step ends", unit="s", lower=1e-3, below=1e9, default=None
    )
    until_capacity: float | None = field(
        "charge passed in the step, at which it ends", unit="C", above=0, below=1e9, default=None
    )

    def __post_init__(self) -> None:
        name = type(self).__name__
        given = [one for one in _CURRENTS if getattr(self, one) is not None]
        if len(given) != 1:
            raise InputError(
                f"{name} needs one of {', '.join(_CURRENTS)}, got {', '.join(given) or 'none'}"
            )
        if self.until_voltage is self.until_duration is self.until_capacity is None:
            raise InputError(
                f"{name} needs an end: until_voltage, until_duration or until_capacity (or several)"
            )


@description
class Charge(_ConstantCurrent):
    """Charge at constant current until a voltage is reached from below, time or charge passed.

    Raises:
        InputError: If the step has no end, or not one current.
    """


@description
class Discharge(_ConstantCurrent):
    """Discharge at constant current until a voltage is reached from above, time or charge passed.

    Raises:
        InputError: If the step has no end, or not one current.
    """


@description
class Hold(_Step):
    """Hold a voltage until the current has fallen so far, or a time has passed.

    Raises:
        InputError: If the step has no end, or two for the current.
    """

    voltage: float = field("voltage held", unit="V", lower=-10, upper=10)
    until_c_rate: float | None = field(
        "magnitude of the current at its end, in units of 1C", above=0, below=1000, default=None
    )
    until_current: float | None = field(
        "magnitude of the current at its end", unit="A", above=0, below=1e9, default=None
    )
    until_duration: float | None = field(
        "time after which the step ends", unit="s", lower=1e-3, below=1e9, default=None
    )

    def __post_init__(self) -> None:
        """Check that there is an end."""
        if self.until_c_rate is self.until_current is self.until_duration is None:
            raise InputError(
                "Hold needs an end: until_c_rate, until_current or until_duration (or time and one)"
            )
        if self.until_c_rate is not None and self.until_current is not None:
            raise InputError("Hold: until_c_rate and until_current are one end, given twice")


@description
class Rest(_Step):
    """Let the cell rest without current for a time."""

    until_duration: float = field("time after which the step ends", unit="s", lower=1e-3, below=1e9)


Step = Charge | Discharge | Hold | Rest

"""Steps of a protocol: charge, discharge, hold and rest, and the ends of each of them.

Every step may name several ends; the first to come wins and the result records which it was. A step
also ends where lithium runs out or no longer fits (`femssb.run.lithium`), and at its very start
where the voltage or current that is to end it is passed as soon as its load acts; both come with a
warning, and the next step goes on from there.
Discharge current is positive, here as in the results.
"""

from femssb.description import description, field
from femssb.errors import InputError


@description
class _ConstantCurrent:
    c_rate: float = field(
        "current over that of 1C, which moves the nominal capacity in an hour", above=0, below=1000
    )
    until_voltage: float | None = field(
        "voltage that ends the step", unit="V", lower=-10, upper=10, default=None
    )
    until_duration: float | None = field(
        "time after which the step ends", unit="s", lower=1e-3, below=1e9, default=None
    )

    def __post_init__(self) -> None:
        if self.until_voltage is None and self.until_duration is None:
            raise InputError(
                f"{type(self).__name__} needs an end: until_voltage or until_duration (or both)"
            )


@description
class Charge(_ConstantCurrent):
    """Charge at constant current until a voltage is reached from below, or a time has passed.

    Raises:
        InputError: If the step has no end.
    """


@description
class Discharge(_ConstantCurrent):
    """Discharge at constant current until a voltage is reached from above, or a time has passed.

    Raises:
        InputError: If the step has no end.
    """


@description
class Hold:
    """Hold a voltage until the current has fallen to a C-rate, or a time has passed.

    Raises:
        InputError: If the step has no end.
    """

    voltage: float = field("voltage held", unit="V", lower=-10, upper=10)
    until_c_rate: float | None = field(
        "magnitude of the current at its end, in units of 1C", above=0, below=1000, default=None
    )
    until_duration: float | None = field(
        "time after which the step ends", unit="s", lower=1e-3, below=1e9, default=None
    )

    def __post_init__(self) -> None:
        """Check that there is an end."""
        if self.until_c_rate is None and self.until_duration is None:
            raise InputError("Hold needs an end: until_c_rate or until_duration (or both)")


@description
class Rest:
    """Let the cell rest without current for a time."""

    until_duration: float = field("time after which the step ends", unit="s", lower=1e-3, below=1e9)


Step = Charge | Discharge | Hold | Rest

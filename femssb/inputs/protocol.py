"""Steps of a protocol: charge, discharge, hold, rest and drive, and the ends of each of them.

Every step may name several ends; the first to come wins and the result records which it was. Any
column of the time series may end one, too (`femssb.inputs.condition`). A step also ends where
lithium runs out or no longer fits (`femssb.run.lithium`), and at its very start where what is to
end it is passed as soon as its load acts; both come with a warning, and the next step goes on from
there.
Discharge current is positive, here as in the results. What charge and discharge are given is a
magnitude; what a drive follows has its sign.

Steps may also be given in words (`femssb.inputs.sentences`) and repeated (`femssb.inputs.cycle`).
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from femssb.description import checked, description, field
from femssb.errors import InputError, check_number, shown
from femssb.inputs.condition import Condition

SHORTEST = 1e-6  # between points of a profile [s]
_LOADS = ("c_rate", "current", "current_density", "power", "power_density")


@description
class _Step:
    fields: Literal["none", "middle", "end", "both"] | float | tuple[float, ...] = field(
        "when in the step all fields are kept: in the middle, at its end, both or none; or every so"
        " many seconds and at its end; or at times from its start",
        unit="s",
        lower=1e-3,
        below=1e9,
        default="both",
    )
    temperature: float | None = field(
        "of the cell in this step, from its start on; None: that of the materials",
        unit="K",
        lower=150,
        upper=600,
        default=None,
    )
    until: Condition | tuple[Condition, ...] = field(
        "ends of your own, besides the others", default=()
    )

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The ends of one's own."""
        return (self.until,) if isinstance(self.until, Condition) else self.until


@description
class _ConstantLoad(_Step):
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
    power: float | None = field("of the whole cell", unit="W", above=0, below=1e9, default=None)
    power_density: float | None = field(
        "power over the area of the anode's face", unit="W/m2", above=0, below=1e9, default=None
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
        loads = [*_LOADS, *(["resistance"] if hasattr(self, "resistance") else [])]
        _one_of(self, loads)
        ends = self.until_voltage, self.until_duration, self.until_capacity
        if not (self.conditions or any(end is not None for end in ends)):
            raise InputError(
                f"{name} needs an end: until_voltage, until_duration or until_capacity, or one of"
                " your own, until (or several)"
            )


def _one_of(step: object, loads: Sequence[str]) -> str:
    """Return which load of a step is given."""
    given = [one for one in loads if getattr(step, one) is not None]
    if len(given) != 1:
        raise InputError(
            f"{type(step).__name__} needs one of {', '.join(loads)}, got"
            f" {', '.join(given) or 'none'}"
        )
    return given[0]


@description
class Charge(_ConstantLoad):
    """Charge at constant current or power until a voltage is reached from below, time or charge.

    Raises:
        InputError: If the step has no end, or not one load.
    """


@description
class Discharge(_ConstantLoad):
    """Discharge at constant current, power or resistance until a voltage from above, time, charge.

    Raises:
        InputError: If the step has no end, or not one load.
    """

    resistance: float | None = field(
        "between the terminals of the whole cell", unit="ohm", above=0, below=1e15, default=None
    )


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
        ends = self.until_c_rate, self.until_current, self.until_duration
        if not (self.conditions or any(end is not None for end in ends)):
            raise InputError(
                "Hold needs an end: until_c_rate, until_current or until_duration (or time and"
                " one), or one of your own, until"
            )
        if self.until_c_rate is not None and self.until_current is not None:
            raise InputError("Hold: until_c_rate and until_current are one end, given twice")


@description
class Rest(_Step):
    """Let the cell rest without current for a time."""

    until_duration: float = field("time after which the step ends", unit="s", lower=1e-3, below=1e9)


@description
class Profile:
    """A quantity in time by points, such as a drive cycle.

    Time steps end at every point. A time that is given twice is a jump.

    Raises:
        InputError: If times do not start at 0 or fall, if they are fewer than two, or have not a
            value each.
    """

    times: tuple[float, ...] = field("from the start of the step", unit="s", lower=0, below=1e9)
    values: tuple[float, ...] = field("at these times", lower=-1e12, upper=1e12)
    constant: bool = field(
        "whether each value holds until the next time; else a line leads there", default=False
    )

    def __post_init__(self) -> None:
        """Check order and number of the points."""
        count = len(self.times)
        if count < 2 or count != len(self.values):
            raise InputError(
                "Profile.times and Profile.values must hold as many numbers, at least 2, got"
                f" {count} and {len(self.values)}"
            )
        check_number("Profile", "times[0]", self.times[0], lower=0, upper=0, unit="s")
        still = True  # no jump at the start, nor two at once
        for row, (before, after) in enumerate(pairwise(self.times), start=1):
            jump = after == before
            last = row == count - 1
            if (self.constant or still or last) if jump else after - before < SHORTEST:
                raise InputError(
                    f"Profile.times[{row}] = {after:g} s must follow {before:g} s by {SHORTEST:g} s"
                    " or more, or be the same once, which is a jump"
                )
            still = jump

    @classmethod
    @checked
    def read(
        cls, path: str | os.PathLike[str], *, scale: float = 1.0, constant: bool = False
    ) -> Self:
        """Read times [s] and values from a text file of two columns.

        Args:
            path: The file, with commas, semicolons or blanks between the columns.
            scale: On the values, such as -1 where charge is positive.
            constant: Whether each value holds until the next time.

        Raises:
            InputError: If it cannot be read, or holds no profile.
        """
        check_number("Profile.read", "scale", scale, lower=-1e12, upper=1e12)
        from femssb.tables import read_columns  # NumPy is slow to load, and most runs have none

        times, values = read_columns(Path(path), 2)
        kept = tuple(times.tolist()), tuple((scale * values).tolist())
        return cls(times=kept[0], values=kept[1], constant=constant)

    @property
    def duration(self) -> float:
        """Time of the last point [s]."""
        return self.times[-1]

    @property
    def jumps(self) -> tuple[float, ...]:
        """Times at which the value jumps [s]."""
        if self.constant:
            return self.times[1:-1]
        return tuple(a for a, b in zip(self.times, self.times[1:], strict=False) if a == b)

    @checked
    def at(self, time: float) -> float:
        """Return the value at a time [s]; at a jump that before it."""
        row = bisect_left(self.times, time)
        last = min(max(row - 1, 0), len(self.times) - 2)
        start, end = self.times[last : last + 2]
        if self.constant or start == end:
            return self.values[last]
        share = min(max((time - start) / (end - start), 0.0), 1.0)
        return (1 - share) * self.values[last] + share * self.values[last + 1]


@description
class Drive(_Step):
    """Follow a current, a power or a voltage in time, positive on discharge, until a limit.

    Raises:
        InputError: If not one quantity is given, a function without a duration, or limits that
            leave no voltage.
    """

    c_rate: Profile | Callable[[float], float] | None = field(
        "current over that of 1C, a profile or a function of the time [s] in the step", default=None
    )
    current: Profile | Callable[[float], float] | None = field(
        "of the whole cell [A], likewise", default=None
    )
    current_density: Profile | Callable[[float], float] | None = field(
        "current over the area of the anode's face [A/m2], likewise", default=None
    )
    power: Profile | Callable[[float], float] | None = field(
        "of the whole cell [W], likewise", default=None
    )
    power_density: Profile | Callable[[float], float] | None = field(
        "power over the area of the anode's face [W/m2], likewise", default=None
    )
    voltage: Profile | Callable[[float], float] | None = field(
        "of the cell [V], likewise", default=None
    )
    kinks: tuple[float, ...] = field(
        "times at which a function jumps or bends: time steps end there; a profile has its own",
        unit="s",
        above=0,
        below=1e9,
        default=(),
    )
    until_voltage_below: float | None = field(
        "voltage that ends the step from above", unit="V", lower=-10, upper=10, default=None
    )
    until_voltage_above: float | None = field(
        "voltage that ends the step from below", unit="V", lower=-10, upper=10, default=None
    )
    until_duration: float | None = field(
        "time after which the step ends; None: the end of the profile",
        unit="s",
        lower=1e-3,
        below=1e9,
        default=None,
    )

    def __post_init__(self) -> None:
        """Check that there is one quantity, an end, and room between the limits."""
        name = _one_of(self, (*_LOADS, "voltage"))
        followed = getattr(self, name)
        if isinstance(followed, Profile):
            if self.kinks:
                raise InputError("Drive.kinks are those of a function: a profile has its own")
            if self.until_duration is not None and self.until_duration > followed.duration:
                raise InputError(
                    f"Drive.until_duration = {self.until_duration:g} s is after the end of the"
                    f" profile, {followed.duration:g} s"
                )
        elif self.until_duration is None:
            raise InputError(f"Drive.until_duration is missing: {name} is a function without end")
        if any(late <= early for early, late in zip(self.kinks, self.kinks[1:], strict=False)):
            raise InputError(f"Drive.kinks = {shown(self.kinks)} must rise")
        low, high = self.until_voltage_below, self.until_voltage_above
        if name == "voltage" and not low is high is None:
            raise InputError("Drive.until_voltage_below and _above: the voltage is given already")
        if low is not None and high is not None and not low < high:
            raise InputError(
                f"Drive.until_voltage_below = {low:g} V must be below until_voltage_above ="
                f" {high:g} V"
            )

    @property
    def quantity(self) -> str:
        """Name of what is followed."""
        return _one_of(self, (*_LOADS, "voltage"))

    @property
    def function(self) -> Callable[[float], float] | None:
        """The function that is followed; None where it is a profile."""
        followed = getattr(self, self.quantity)
        return None if isinstance(followed, Profile) else followed

    @property
    def duration(self) -> float:
        """Time after which the step ends [s]."""
        if self.until_duration is not None:
            return self.until_duration
        followed = getattr(self, self.quantity)
        assert isinstance(followed, Profile)  # a function has a duration
        return followed.duration

    @property
    def bends(self) -> tuple[float, ...]:
        """Times at which what is followed jumps or bends [s]."""
        followed = getattr(self, self.quantity)
        return tuple(dict.fromkeys(followed.times)) if isinstance(followed, Profile) else self.kinks

    @property
    def jumps(self) -> tuple[float, ...]:
        """Those of the `bends` at which it may jump."""
        followed = getattr(self, self.quantity)
        return followed.jumps if isinstance(followed, Profile) else self.kinks

    def at(self, time: float) -> float:
        """Return what is followed at a time [s] in the step; at a jump that before it.

        Raises:
            InputError: If a function fails or returns no finite number.
        """
        followed = getattr(self, self.quantity)
        if isinstance(followed, Profile):
            return followed.at(time)
        if time in self.kinks:
            time -= 1e-9 * time
        try:
            value = float(followed(time))
        except Exception as error:
            raise InputError(
                f"Drive.{self.quantity} fails at {time:g} s: {type(error).__name__}: {error}"
            ) from error
        check_number("Drive", f"{self.quantity} at {time:g} s", value, lower=-1e12, upper=1e12)
        return value


Step = Charge | Discharge | Hold | Rest | Drive

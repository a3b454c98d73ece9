"""What the cell goes through: charge, discharge, hold, rest, and what ends each of them.

Every step may name several ends; the first to come wins and the result records which it was.
Discharge current is positive, here as in the results.
"""

from __future__ import annotations

from dataclasses import dataclass

from femssb.errors import InputError, check_number

VOLTAGE_RANGE = (-10.0, 10.0)  # [V] anything outside is a slip of units


@dataclass(frozen=True, kw_only=True, slots=True)
class _ConstantCurrent:
    c_rate: float  # current over the one that moves all the initial lithium in one hour [-]
    until_voltage: float | None = None  # [V]
    until_duration: float | None = None  # [s]

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_number(owner, "c_rate", self.c_rate, lower=0, upper=1000, strict=True)
        _check_ends(owner, voltage=self.until_voltage, duration=self.until_duration)


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge(_ConstantCurrent):
    """Charge at constant current until a voltage is reached from below, or a time has passed.

    Raises:
        InputError: If a field is out of its bounds or no end is given.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Discharge(_ConstantCurrent):
    """Discharge at constant current until a voltage is reached from above, or a time has passed.

    Raises:
        InputError: If a field is out of its bounds or no end is given.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """Hold a voltage until the current has fallen to a C-rate, or a time has passed.

    Raises:
        InputError: If a field is out of its bounds or no end is given.
    """

    voltage: float  # [V]
    until_c_rate: float | None = None  # magnitude of the current in units of 1C [-]
    until_duration: float | None = None  # [s]

    def __post_init__(self) -> None:
        """Check every field."""
        lower, upper = VOLTAGE_RANGE
        check_number("Hold", "voltage", self.voltage, lower=lower, upper=upper, unit="V")
        if self.until_c_rate is not None:
            check_number(
                "Hold", "until_c_rate", self.until_c_rate, lower=0, upper=1000, strict=True
            )
        if self.until_c_rate is None and self.until_duration is None:
            raise InputError("Hold needs an end: until_c_rate or until_duration (or both)")
        _check_ends("Hold", duration=self.until_duration, required=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """No current for a time.

    Raises:
        InputError: If the duration is out of its bounds.
    """

    until_duration: float  # [s]

    def __post_init__(self) -> None:
        """Check the duration."""
        _check_ends("Rest", duration=self.until_duration)


Step = Charge | Discharge | Hold | Rest


def _check_ends(
    owner: str,
    *,
    voltage: float | None = None,
    duration: float | None = None,
    required: bool = True,
) -> None:
    lower, upper = VOLTAGE_RANGE
    if required and voltage is None and duration is None:
        raise InputError(f"{owner} needs an end: until_voltage or until_duration (or both)")
    if voltage is not None:
        check_number(owner, "until_voltage", voltage, lower=lower, upper=upper, unit="V")
    if duration is not None:
        check_number(owner, "until_duration", duration, lower=0, upper=1e9, strict=True, unit="s")

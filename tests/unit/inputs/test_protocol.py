"""If these fail, a slip in a protocol is found only when the run never ends, or ends at once."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from femssb import Charge, Discharge, Hold, InputError, Rest


def test_steps_keep_what_they_are_given() -> None:
    """Catches fields that are swapped or dropped."""
    assert Charge(c_rate=0.5, until_voltage=4.3).until_voltage == 4.3
    assert Discharge(c_rate=2, until_voltage=3.0, until_duration=60).until_duration == 60
    assert Hold(voltage=4.3, until_c_rate=0.05).until_c_rate == 0.05
    assert Rest(until_duration=600).until_duration == 600


@pytest.mark.parametrize("step", [Charge, Discharge])
@pytest.mark.parametrize("c_rate", [0, -1, 1e4, "1C", True, float("nan")])
def test_a_c_rate_must_be_a_positive_number(
    step: type[Charge] | type[Discharge], c_rate: object
) -> None:
    """Catches a sign in the C-rate: the direction is in the name of the step."""
    with pytest.raises(InputError, match=rf"{step.__name__}\.c_rate"):
        step(c_rate=c_rate, until_voltage=4.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [Charge, Discharge])
def test_a_current_needs_an_end(step: type[Charge] | type[Discharge]) -> None:
    """Catches a step that would never end."""
    with pytest.raises(InputError, match="needs an end: until_voltage, until_duration or"):
        step(c_rate=1)


@pytest.mark.parametrize("given", [{}, {"c_rate": 1, "current": 1e-9}, {"current": None}])
def test_a_step_has_one_current(given: dict[str, Any]) -> None:
    """Catches two currents of which one is dropped, and none."""
    with pytest.raises(InputError, match="Charge needs one of c_rate, current, current_density"):
        Charge(until_voltage=4.0, **given)


def test_an_end_by_current_is_given_once() -> None:
    """Catches one of two ends that is dropped."""
    with pytest.raises(InputError, match="given twice"):
        Hold(voltage=4.0, until_c_rate=0.05, until_current=1e-9)


def test_a_hold_needs_an_end() -> None:
    """Catches a hold that would never end."""
    with pytest.raises(InputError, match="needs an end: until_c_rate, until_current or"):
        Hold(voltage=4.3)


@pytest.mark.parametrize("voltage", [4300, -4300, "4.3", float("inf")])
def test_a_voltage_in_millivolts_is_refused(voltage: object) -> None:
    """Catches a slip of units that no cell would ever reach."""
    with pytest.raises(InputError, match=r"Charge\.until_voltage"):
        Charge(c_rate=1, until_voltage=voltage)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"Hold\.voltage"):
        Hold(voltage=voltage, until_duration=60)  # type: ignore[arg-type]


@pytest.mark.parametrize("duration", [0, -1, 1e-6, "1 h", float("inf")])
def test_a_duration_must_be_positive_and_finite(duration: object) -> None:
    """Catches a step of no length, or of one that is lost in the roundoff of time."""
    with pytest.raises(InputError, match=r"Rest\.until_duration"):
        Rest(until_duration=duration)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"Discharge\.until_duration"):
        Discharge(c_rate=1, until_duration=duration)  # type: ignore[arg-type]


def test_a_study_checks_again() -> None:
    """Catches a changed copy that is not checked as the original was, and a step that changes."""
    charge = Charge(c_rate=1, until_voltage=4.3)
    assert replace(charge, c_rate=2).c_rate == 2
    with pytest.raises(InputError):
        replace(charge, c_rate=-2)
    with pytest.raises(FrozenInstanceError):
        charge.c_rate = 2  # type: ignore[misc]

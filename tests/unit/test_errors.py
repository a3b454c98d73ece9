"""If these fail, users meet tracebacks, or messages that do not say what to change."""

import math
import pickle

import pytest

from femssb import errors
from femssb.errors import InputError, NotConverged, check_number


@pytest.mark.parametrize("name", ["InputError", "MeshError", "NotConverged", "EngineError"])
def test_one_class_catches_all(name: str) -> None:
    """Catches an error class that slips through ``except FemssbError``."""
    assert issubclass(getattr(errors, name), errors.FemssbError)


def test_an_error_reaches_other_ranks_as_it_is() -> None:
    """Catches a message that is wrapped in itself, or a reason that is lost, on the way."""
    sent = NotConverged("no", time=3.0, step=2, residuals={"a": 1.0})
    found = pickle.loads(pickle.dumps(sent))
    assert str(found) == str(sent)
    assert (found.reason, found.time, found.step, found.residuals) == ("no", 3.0, 2, {"a": 1.0})


def test_input_error_is_a_value_error() -> None:
    """Catches code that guards with ValueError, the usual Python word for it, and misses ours."""
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize("value", ["1", None, True, 1j, [1.0]])
def test_what_is_no_number_is_refused(value: object) -> None:
    """Catches True passing as 1, and text failing later inside NumPy."""
    with pytest.raises(InputError, match=r"Box\.width must be a number \[m\]"):
        check_number("Box", "width", value, unit="m")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    """Catches nan, which is neither below nor above any bound."""
    with pytest.raises(InputError, match="is outside"):
        check_number("Box", "width", value)


def test_bounds_may_be_reached_unless_strict() -> None:
    """Catches a comparison that includes or excludes the bound by mistake."""
    check_number("Box", "width", 0.0, lower=0)
    check_number("Box", "width", 2.0, upper=2)
    with pytest.raises(InputError):
        check_number("Box", "width", 0.0, above=0)
    with pytest.raises(InputError):
        check_number("Box", "width", 2.0, below=2)


def test_message_names_field_value_unit_and_bounds() -> None:
    """Catches a message that leaves the user guessing what to change."""
    with pytest.raises(InputError) as caught:
        check_number("HalfCell", "width", -3e-6, above=0, below=1e-3, unit="m")
    assert str(caught.value) == "HalfCell.width = -3e-06 m is outside (0, 0.001) m"


def test_an_open_bound_is_shown_as_infinite() -> None:
    """Catches 'None' in a message."""
    with pytest.raises(InputError, match=r"outside \[1, inf\)"):
        check_number("Box", "width", 0.5, lower=1)


def test_not_converged_says_when_and_by_how_much() -> None:
    """Catches a failure that cannot be found again in a run of hours."""
    error = NotConverged("no step small enough", time=12.5, step=7, residuals={"mechanics": 3e4})
    assert (error.time, error.step, error.residuals) == (12.5, 7, {"mechanics": 3e4})
    for part in ("no step small enough", "12.5 s", "step 7", "mechanics 3e+04"):
        assert part in str(error)

"""If these fail, time derivatives lose their order and step sizes follow a wrong error."""

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.run.stepping import FixedSteps, Stepping, bdf, error_share, extrapolate
from tests.verification.rates import observed_order


@pytest.mark.parametrize(("time_step", "previous"), [(1.0, 1.0), (0.3, 2.0), (5.0, 0.7)])
def test_bdf_is_exact_on_parabolas_whatever_the_ratio(time_step: float, previous: float) -> None:
    """Catches a factor that is right for equal steps only."""

    def parabola(t: float) -> float:
        return 3 - 2 * t + 0.7 * t**2

    new, last, older = bdf(time_step, previous)
    slope = new * parabola(time_step) + last * parabola(0) + older * parabola(-previous)
    assert slope == pytest.approx(-2 + 1.4 * time_step, rel=1e-13)


def test_the_first_step_is_implicit_euler() -> None:
    """Catches a history that is used before there is one."""
    assert bdf(0.5, None) == (2.0, -2.0, 0.0)


def _decay(steps: int) -> float:
    """Return the error at t = 1 of y' = -y, with steps that alternate by a factor of two."""
    sizes = np.tile([2.0, 1.0], steps // 2) / (1.5 * steps)
    past, previous = [1.0], None
    for size in sizes:
        new, last, older = bdf(size, previous)
        history = last * past[-1] + (older * past[-2] if previous else 0.0)
        past.append(-history / (new + 1))
        previous = size
    return abs(past[-1] - np.exp(-1))


def test_bdf_is_of_second_order_with_unequal_steps() -> None:
    """Catches an order lost where step sizes change, one Euler step at the start included."""
    counts = [40, 80, 160, 320]
    order = observed_order([1 / n for n in counts], [_decay(n) for n in counts])
    assert order == pytest.approx(2, abs=0.1)


def test_the_error_share_is_that_of_a_cubic() -> None:
    """Catches a wrong constant of the local error: steps then miss the tolerance by that factor."""
    new_step, last, older = 0.7, 1.3, 0.4
    times = [0.0, -last, -last - older]
    known = [np.array([t**3]) for t in times]
    new, a, b = bdf(new_step, last)
    value = (3 * new_step**2 - a * times[0] ** 3 - b * times[1] ** 3) / new
    distance = value - extrapolate(times, known, new_step)[0]
    share = error_share([new_step, last, older])
    assert share == pytest.approx(abs((value - new_step**3) / distance), rel=1e-12)


def test_the_error_share_of_two_steps_is_that_of_a_parabola() -> None:
    """Catches the same for implicit Euler against a line."""
    new_step, last = 0.7, 1.3
    value = new_step * 2 * new_step  # implicit Euler from t = 0 on y = t^2
    distance = value - extrapolate([0.0, -last], [np.zeros(1), np.array([last**2])], new_step)[0]
    expected = abs((value - new_step**2) / distance)
    assert error_share([new_step, last]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_extrapolation_is_exact_for_the_polynomial_through_the_values(count: int) -> None:
    """Catches times and values that are paired the wrong way round."""
    times = [5.0, 3.0, 2.5][:count]
    coefficients = np.arange(1.0, 2 * count + 1).reshape(2, count)
    known = [np.array([np.polyval(row, t) for row in coefficients]) for t in times]
    found = extrapolate(times, known, 7.0)
    np.testing.assert_allclose(found, [np.polyval(row, 7.0) for row in coefficients], rtol=1e-13)


@pytest.mark.parametrize(
    ("field", "value"),
    [("stoichiometry_error", 0), ("voltage_error", "x"), ("largest", 1e6), ("event", -1.0)],
)
def test_bad_stepping_names_the_field(field: str, value: object) -> None:
    """Catches a tolerance of zero, which would shrink steps without end."""
    with pytest.raises(InputError, match=field):
        Stepping(**{field: value})


def test_the_first_step_lies_between_smallest_and_largest() -> None:
    """Catches a first step that may not be taken."""
    with pytest.raises(InputError, match="first"):
        Stepping(first=200.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": ()}, "FixedSteps.sizes is empty"),
        ({"sizes": (1.0, 0.0)}, r"FixedSteps.sizes\[1\] = 0 s is outside \(0, 1e\+09\)"),
        ({"sizes": 60.0}, "FixedSteps.sizes must be a tuple"),
        ({"sizes": (60.0,), "event": 0.0}, "FixedSteps.event"),
    ],
)
def test_bad_fixed_steps_name_the_field(arguments: dict[str, object], message: str) -> None:
    """Catches a step of no length, with which time would stand still."""
    with pytest.raises(InputError, match=message):
        FixedSteps(**arguments)


def test_steps_shrink_and_grow_with_their_error() -> None:
    """Catches steps that leave their bounds, or do not follow the order of the method."""
    stepping = Stepping(first=1.0, largest=100.0, smallest=0.01)
    assert stepping.next(10.0, error=1.0, jump=0.0) == pytest.approx(9.0)
    assert stepping.next(10.0, error=0.125, jump=0.0) == pytest.approx(18.0)
    assert [stepping.next(10.0, error, 0.0) for error in (0.0, 1e-9, 1e9)] == [20.0, 20.0, 3.0]
    assert stepping.next(10.0, error=1.0, jump=0.5 * stepping.jump_error) == pytest.approx(9.0)
    assert stepping.next(10.0, error=1.0, jump=stepping.jump_error) < 8.0
    assert stepping.shortened(10.0, error=8.0, c_rate=1) == pytest.approx(4.0)
    assert stepping.shortened(10.0, error=np.inf, c_rate=1) == pytest.approx(6.0)
    assert stepping.shortened(0.011, error=1e9, c_rate=1) == 0.01
    assert stepping.shortened(0.01, error=8.0, c_rate=1) is None
    assert stepping.shortened(0.01, error=8.0, c_rate=2) == 0.005
    assert stepping.proposed(0, wanted=50.0, left=1e4, c_rate=2, driven=True) == 0.5
    assert stepping.proposed(3, wanted=500.0, left=1e4, c_rate=2, driven=True) == 50.0
    assert stepping.proposed(3, wanted=500.0, left=1e4, c_rate=1, driven=False) == 500.0
    assert stepping.proposed(3, wanted=40.0, left=50.0, c_rate=1, driven=True) == 25.0
    assert stepping.proposed(3, wanted=60.0, left=50.0, c_rate=1, driven=True) == 50.0


def test_the_worst_of_the_errors_counts() -> None:
    """Catches steps of a hold that follow nothing but its stoichiometry."""
    stepping = Stepping(
        stoichiometry_error=1e-4, voltage_error=1e-3, current_error=1e-2, jump_error=1e-3
    )
    assert stepping.error(2e-4, 1e-3, 1e-2, 1e-3) == pytest.approx(2)
    assert stepping.error(1e-4, 3e-3, 1e-2, 1e-3) == pytest.approx(3)
    assert stepping.error(1e-4, 1e-3, 4e-2, 1e-3) == pytest.approx(4)
    assert stepping.error(1e-4, 1e-3, 1e-2, 5e-3) == pytest.approx(5)

"""If these fail, a hold ends minutes early, or a rest of a day takes hundreds of time steps.

Worth reading: `test_the_time_of_a_hold_is_that_of_fine_steps`.
"""

from __future__ import annotations

import numpy as np
import pytest

from femssb import Charge, FixedSteps, Hold, Model, Rest, Simulation, Stepping
from femssb.results.solution import StepRecord
from femssb.units import hour
from tests.runs import ALONE, tiny_model

# Fine at first, when the current falls by its half in seconds.
FINE = FixedSteps(sizes=(*(0.1 * 1.1**k for k in range(42)), 5.0))


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model(couplings=ALONE)


def held(model: Model, stepping: Stepping | FixedSteps) -> StepRecord:
    """Return the hold after a short charge, whose own steps, which differ, change nothing."""
    protocol = [Charge(c_rate=2, until_duration=20.0), Hold(voltage=3.5, until_c_rate=1 / 20)]
    return Simulation(model, protocol, stepping=stepping).run(progress=False).steps[1]


@pytest.fixture(scope="module")
def fine(model: Model) -> StepRecord:
    """The hold in fine steps."""
    return held(model, FINE)


def test_the_time_of_a_hold_is_that_of_fine_steps(model: Model, fine: StepRecord) -> None:
    """Catches steps that do not follow the current: the time to C/20 was off by 1.9 %."""
    chosen = held(model, Stepping())
    assert chosen.ended_by == fine.ended_by == "current"
    assert chosen.duration > 150.0
    assert chosen.duration == pytest.approx(fine.duration, rel=2e-3)


def test_a_tighter_hold_is_nearer(model: Model, fine: StepRecord) -> None:
    """Catches a tolerance of the current that nothing follows."""
    loose, tight = (held(model, Stepping(current_error=error)).duration for error in (0.1, 2e-3))
    assert abs(tight - fine.duration) < 0.7 * abs(loose - fine.duration)


@pytest.mark.parametrize(
    "day", [Rest(until_duration=24 * hour), Hold(voltage=3.6, until_duration=24 * hour)]
)
def test_a_day_takes_long_steps(model: Model, day: Rest | Hold) -> None:
    """Catches a largest step of 120 s, 720 of them a day, while nothing happens."""
    protocol = [Charge(c_rate=1, until_duration=300.0), day]
    run = Simulation(model, protocol).run(progress=False)
    sizes = run.series["Step size [s]"][run.steps[1].start_row + 1 :]
    assert sizes.max() > 2 * hour
    assert run.steps[1].duration == pytest.approx(24 * hour, abs=1e-6)
    assert run.series["Interface current error [-]"].max() < 1e-8
    spread = [run.series[f"{end} concentration [mol/m3]"][-1] for end in ("Minimum", "Maximum")]
    assert np.ptp(spread) < 20.0  # of 49 360, the grains are slow along one axis
    assert run.warnings == ()


def test_a_rest_with_long_steps_has_the_voltage_of_short_ones(model: Model) -> None:
    """Catches an error of the steps that is not felt, so that they grow over what happens."""
    protocol = [Charge(c_rate=2, until_duration=300.0), Rest(until_duration=hour)]
    short = FixedSteps(sizes=(*(0.25 * 1.1**k for k in range(50)), 30.0))
    chosen, fine = (
        Simulation(model, protocol, stepping=stepping).run(progress=False).series
        for stepping in (Stepping(), short)
    )
    assert chosen["Step size [s]"].max() > 200.0
    after = np.array([2.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0])
    voltages = [
        np.interp(300.0 + after, series["Time [s]"], series["Voltage [V]"])
        for series in (chosen, fine)
    ]
    np.testing.assert_allclose(*voltages, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_time_of_a_hold_does_not_depend_on_the_steps() -> None:
    """Catches a hold whose steps follow the lithium alone: its time to C/20 was 1.4 % off."""
    times = []
    for finer in (1, 10):  # the error of a step falls with the third power of its size
        known = Stepping()
        stepping = Stepping(
            stoichiometry_error=known.stoichiometry_error / finer**3,
            voltage_error=known.voltage_error / finer**3,
            current_error=known.current_error / finer**3,
            first=known.first / finer,
            largest=known.largest / finer,
        )
        charge = Charge(c_rate=1, until_voltage=4.3)
        hold = Hold(voltage=4.3, until_c_rate=1 / 20)
        simulation = Simulation(tiny_model(couplings=ALONE), [charge, hold], stepping=stepping)
        times.append(simulation.run(progress=False).steps[1].duration)
    assert times[0] == pytest.approx(times[1], rel=2e-3)

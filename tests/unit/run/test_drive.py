"""If these fail, a drive cycle, a power or a resistance is not what the cell really sees.

Worth reading: `test_a_power_is_drawn_at_every_time`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from mpi4py import MPI

import numpy as np
import pytest

from femssb import Charge, Discharge, Drive, InputError, Model, Profile, Rest, Simulation, Solution
from femssb.run.stepping import FixedSteps, Stepping
from tests.runs import ALONE, tiny_model

SIZES = FixedSteps(sizes=(0.5, 2.0, 6.0, 20.0, 60.0))


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model(couplings=ALONE)


def took(model: Model, *steps: Any, stepping: Stepping | FixedSteps = SIZES) -> Solution:
    run = Simulation(model, steps, stepping=stepping).run(progress=False)
    assert np.abs(run.series["Lithium ledger error [-]"]).max() < 1e-8
    driven = np.abs(run.series["Current [A]"]) > 0.01 * model.one_c
    assert np.abs(run.series["Power ledger error [-]"])[driven].max() < 1e-6
    return run


def rows(run: Solution, step: int, *names: str) -> list[Any]:
    """Return columns within a step, without the row at which it starts."""
    record = run.steps[step]
    return [run.series[name][record.start_row + 1 : record.end_row + 1] for name in names]


def test_a_power_is_drawn_at_every_time(model: Model) -> None:
    """Catches a power that follows the voltage of the step before, or with the wrong sign."""
    power = 4.0 * model.one_c
    run = took(
        model,
        Charge(power=2 * power, until_duration=400.0),
        Discharge(power=power, until_capacity=0.03 * model.one_c * 3600),
        Discharge(power=2 * power, until_voltage=3.6, until_duration=900.0),
    )
    for step, wanted in enumerate((-2 * power, power, 2 * power)):
        voltage, current = rows(run, step, "Voltage [V]", "Current [A]")
        assert voltage * current == pytest.approx(wanted, rel=1e-7)
    assert [step.ended_by for step in run.steps] == ["duration", "capacity", "voltage"]
    assert run.series["Voltage [V]"][-1] == pytest.approx(3.6, abs=2e-3)
    passed = run.series["Discharge capacity [C]"]
    first, last = run.steps[1].start_row, run.steps[1].end_row
    assert passed[last] - passed[first] == pytest.approx(0.03 * model.one_c * 3600, rel=1e-3)


@pytest.mark.mpi(ranks=2)
def test_every_rank_draws_the_same_power() -> None:
    """Catches terminals that each rank has for itself: the power is then drawn several times."""
    shared = tiny_model(MPI.COMM_WORLD, couplings=ALONE)
    power = 5.0 * shared.one_c
    run = took(shared, Discharge(power=power, until_duration=5.0))
    voltage, current = rows(run, 0, "Voltage [V]", "Current [A]")
    assert voltage * current == pytest.approx(power, rel=1e-7)


def test_a_resistance_takes_what_the_voltage_drives(model: Model) -> None:
    """Catches a resistance taken for a conductance, or a current of the wrong sign."""
    resistance = 3.8 / model.one_c
    run = took(
        model,
        Charge(c_rate=5, until_duration=60.0),
        Discharge(resistance=resistance, until_duration=60.0),
    )
    voltage, current = rows(run, 1, "Voltage [V]", "Current [A]")
    assert voltage / current == pytest.approx(resistance, rel=1e-7)


def test_a_profile_is_followed_point_by_point(model: Model) -> None:
    """Catches time steps over a kink, and a jump that acts before its time or is smeared."""
    times, values = (0.0, 30.0, 30.0, 50.0, 70.0), (-1.0, -2.0, 0.5, 0.5, 0.0)
    run = took(model, Drive(c_rate=Profile(times=times, values=values)), stepping=Stepping())
    time, current = rows(run, 0, "Time [s]", "Current [A]")
    for point in times[1:]:
        assert np.abs(time - point).min() < 1e-9
    before = time < 30 + 1e-9
    expected = np.where(before, -1 - time / 30, np.interp(time, [50.0, 70.0], [0.5, 0.0]))
    assert current / model.one_c == pytest.approx(expected, abs=1e-6)
    assert before.any()
    assert (time[~before].min() - 30) < 2.0  # it begins again with a short step
    charge = run.series["Discharge capacity [C]"][-1] / model.one_c
    assert charge == pytest.approx(-45 + 10 + 5, abs=3600 * Stepping().stoichiometry_error)


def test_what_is_constant_between_points_passes_its_charge(model: Model) -> None:
    """Catches a value that holds until the wrong time: the charge is then another, exactly."""
    profile = Profile(times=(0.0, 20.0, 45.0, 60.0), values=(-1.0, 0.7, -2.0, 9.0), constant=True)
    run = took(model, Drive(current_density=profile), Rest(until_duration=10.0))
    area = 81e-12
    charge = run.series["Discharge capacity [C]"][-1]
    assert charge == pytest.approx(area * (-20 + 0.7 * 25 - 30), rel=1e-9)
    assert [step.ended_by for step in run.steps] == ["duration", "duration"]
    assert run.steps[0].duration == pytest.approx(60.0, abs=1e-9)


def slow(time: float) -> float:
    """Return a current over that of 1C."""
    return -1.0 - time / 40.0


def test_another_function_is_another_case(model: Model, tmp_path: Path) -> None:
    """Catches a run that goes on, or a case that runs again, with a load that has changed."""

    def simulation(factor: float) -> Simulation:
        drive = Drive(c_rate=lambda time: factor * slow(time), until_duration=10.0)
        return Simulation(model, [drive], stepping=SIZES)

    simulation(1.0).run(tmp_path / "run", progress=False)
    with pytest.raises(InputError, match=r"of another case: protocol\[0\]\.c_rate\.digest"):
        simulation(1.001).run(tmp_path / "run", progress=False, resume=True)
    simulation(1.0).run(tmp_path / "run", progress=False, resume=True)  # the same is no other

    drive = Drive(c_rate=slow, until_duration=10.0)
    Simulation(model, [drive], stepping=SIZES).run(tmp_path / "named", progress=False)
    case, modules = tmp_path / "named" / "case.json", [slow.__module__]
    if slow.__module__ != __name__:
        pytest.skip("pytest gave this module another name")
    again = Simulation.from_case(case, modules=modules, comm=MPI.COMM_SELF)
    assert again.protocol == (drive,)
    with (
        patch(f"{__name__}.slow", lambda _: 1.0),
        pytest.raises(InputError, match=r"c_rate is not what it was: the function has changed"),
    ):
        Simulation.from_case(case, modules=modules, comm=MPI.COMM_SELF)


def test_a_drive_of_a_constant_current_is_a_charge(model: Model) -> None:
    """Catches a drive that is solved otherwise than the step that it stands for."""
    charge = took(model, Charge(c_rate=1, until_duration=60.0))
    drive = took(model, Drive(c_rate=lambda _: -1.0, until_duration=60.0))
    for name in ("Time [s]", "Voltage [V]", "Current [A]"):
        assert drive.series[name] == pytest.approx(charge.series[name], rel=1e-9)


def test_limits_end_a_drive(model: Model) -> None:
    """Catches a cut-off that is passed between two time steps, or taken for the other one."""
    pulses = Profile(
        times=(0.0, 200.0, 200.0, 300.0, 300.0, 3000.0), values=(-5.0, -5.0, 1.0, 1.0, -5.0, -5.0)
    )
    run = took(
        model,
        Drive(c_rate=pulses, until_voltage_above=4.2, until_voltage_below=2.5),
        Drive(power=lambda t: 3.8 * model.one_c * (t >= 5), kinks=(5.0,), until_duration=900.0,
              until_voltage_below=3.9),
        stepping=FixedSteps(sizes=(0.5, 2.0, 6.0, 20.0)),
    )  # fmt: skip
    assert [step.ended_by for step in run.steps] == ["voltage", "voltage"]
    for step, limit in zip(run.steps, (4.2, 3.9), strict=True):
        assert run.series["Voltage [V]"][step.end_row] == pytest.approx(limit, abs=2e-3)
    assert [step.kind for step in run.steps] == ["drive", "drive"]


def test_a_voltage_is_followed(model: Model) -> None:
    """Catches a sweep that is held at its start."""
    start = float(model.initial_state().voltage)
    run = took(model, Drive(voltage=lambda t: start + 1e-4 * t, until_duration=100.0))
    time, voltage, current = rows(run, 0, "Time [s]", "Voltage [V]", "Current [A]")
    assert voltage == pytest.approx(start + 1e-4 * time, abs=1e-9)
    assert (current[-5:] < 0).all()  # it charges


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Drive(), "Drive needs one of c_rate, current"),
        (lambda: Drive(current=lambda t: t, power=lambda t: t), "got current, power"),
        (lambda: Drive(current=lambda t: t), "until_duration is missing"),
        (lambda: Profile(times=(1.0, 2.0), values=(0.0, 1.0)), r"times\[0\] = 1 s"),
        (lambda: Profile(times=(0.0, 2.0, 1.0), values=(0.0, 1.0, 2.0)), r"times\[2\] = 1 s must"),
        (lambda: Profile(times=(0.0, 1.0, 1.0, 1.0, 2.0), values=(0.0,) * 5), r"times\[3\]"),
        (lambda: Profile(times=(0.0, 0.0, 1.0), values=(0.0,) * 3), r"times\[1\]"),
        (lambda: Profile(times=(0.0,), values=(0.0,)), "at least 2, got 1 and 1"),
        (lambda: Drive(voltage=Profile(times=(0.0, 9.0), values=(4.0, 3.0)),
                       until_voltage_below=3.0), "the voltage is given already"),
        (lambda: Drive(current=Profile(times=(0.0, 9.0), values=(1.0, 1.0)), until_duration=10.0),
         "after the end of the profile, 9 s"),
    ],
)  # fmt: skip
def test_what_cannot_be_driven_is_refused(make: Any, message: str) -> None:
    """Catches a drive without a load or an end, and times that go back."""
    with pytest.raises(InputError, match=message):
        make()


def test_a_function_that_fails_is_named(model: Model) -> None:
    """Catches a traceback of a user's function, or a NaN that reaches the solver."""
    for function in (lambda t: {}[t], lambda t: np.nan):
        with pytest.raises(InputError, match=r"Drive\.current"):
            Simulation(model, [Drive(current=function, until_duration=5.0)])

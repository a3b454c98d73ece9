"""If these fail, a run ends at the wrong time, loses what it reached, or accepts a failed step.

Worth reading: `test_a_step_ends_where_its_cut_off_is`, `test_what_was_reached_is_on_disk`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from femssb import Charge, Discharge, Hold, Model, NotConverged, Rest, Simulation, Solution
from femssb.cell.coupling import advance
from femssb.run import simulation as loop
from femssb.run.stepping import Stepping
from tests.runs import ALONE, CHARGE, DISCHARGE, HOLD, REST, tiny_model


@pytest.fixture(scope="module")
def model() -> Model:
    """A model whose couplings are off: each step takes two passes."""
    return tiny_model(couplings=ALONE)


@pytest.fixture(scope="module")
def run(model: Model) -> Solution:
    """Charge, hold, rest, discharge; kept in memory."""
    return Simulation(model, [CHARGE, HOLD, REST, DISCHARGE]).run(progress=False)


def short(model: Model, *steps: Any, **stepping: float) -> Solution:
    return Simulation(model, steps, stepping=Stepping(**stepping)).run(progress=False)


def test_the_end_that_came_first_is_recorded(run: Solution) -> None:
    """Catches a run that cannot say why a step ended, or where in the series it did."""
    assert [step.ended_by for step in run.steps] == ["voltage", "current", "duration", "voltage"]
    assert [step.kind for step in run.steps] == ["charge", "hold", "rest", "discharge"]
    times, number = run.series["Time [s]"], run.series["Step"]
    for index, step in enumerate(run.steps):
        assert times[[step.start_row, step.end_row]].tolist() == [step.start_time, step.end_time]
        assert (number[step.start_row + 1 : step.end_row + 1] == index).all()
    assert run.summary["ended_by"] == "voltage, current, duration, voltage"


def test_every_row_closes_the_ledger_and_carries_the_current(run: Solution) -> None:
    """Catches lithium or charge that gets lost anywhere in a charge, hold, rest or discharge."""
    assert np.abs(run.series["Lithium ledger error [-]"]).max() < 1e-8
    assert np.abs(run.series["Interface current error [-]"]).max() < 1e-8
    assert np.all(np.diff(run.series["Time [s]"]) > 0)
    np.testing.assert_allclose(
        np.diff(run.series["Time [s]"]), run.series["Step size [s]"][1:], rtol=1e-9
    )


def test_a_hold_keeps_its_voltage_until_the_current_has_fallen(run: Solution) -> None:
    """Catches a hold that drifts, stops late, or whose current rises."""
    hold = run.steps[1]
    rows = slice(hold.start_row + 1, hold.end_row + 1)
    np.testing.assert_allclose(run.series["Voltage [V]"][rows], 4.3, rtol=0, atol=1e-12)
    current = run.series["C-rate"][rows]
    assert np.all(np.diff(current) < 0)
    assert current[-2] > 1 / 20 >= current[-1]
    assert current[-1] == pytest.approx(1 / 20, rel=1e-3)  # 0.05 s of a decay over minutes


def test_a_rest_relaxes_and_moves_no_lithium(run: Solution) -> None:
    """Catches a current that leaks at rest, and a voltage that stays where the load left it."""
    rest = run.steps[2]
    rows = slice(rest.start_row + 1, rest.end_row + 1)
    lithium, voltage = run.series["Lithium [mol]"][rows], run.series["Voltage [V]"][rows]
    assert np.ptp(lithium) < 1e-9 * lithium[0]
    assert run.series["C-rate"][rows].max() < 1e-8
    assert voltage[0] < 4.3
    assert abs(np.diff(voltage)[-1]) < 1e-2 * abs(voltage[-1] - 4.3)
    spread = [run.series[f"{end} concentration [mol/m3]"][rows] for end in ("Minimum", "Maximum")]
    assert np.ptp([spread[0][-1], spread[1][-1]]) < 0.5 * np.ptp([spread[0][0], spread[1][0]])
    assert rest.duration == pytest.approx(1800.0, abs=1e-6)


def test_a_step_ends_where_its_cut_off_is(model: Model, run: Solution) -> None:
    """Catches an end at the first step past the cut-off, up to two minutes late."""
    charge = run.steps[0]
    times, voltages = run.series["Time [s]"], run.series["Voltage [V]"]
    assert voltages[charge.end_row] >= 4.3 > voltages[charge.end_row - 1]
    sharp = short(model, CHARGE, event=1e-5)  # same steps up to the last one
    assert 0 <= charge.end_time - sharp.steps[0].end_time <= 0.05
    fine = short(model, CHARGE, stoichiometry_error=1e-5, voltage_error=2e-4, largest=30.0)
    exact = fine.series["Time [s]"]
    slope = np.diff(fine.series["Voltage [V]"])[-1] / np.diff(exact)[-1]
    assert voltages[charge.end_row] - 4.3 <= 0.06 * slope
    assert charge.end_time == pytest.approx(exact[-1], rel=1e-3)  # error of the steps themselves
    assert times[charge.end_row] == charge.end_time


def test_the_location_shrinks_with_the_c_rate(model: Model) -> None:
    """Catches a precision in seconds where a fast step lasts a few of them."""
    fast = Charge(c_rate=20, until_voltage=4.3)
    found = [short(model, fast, event=event).steps[0].end_time for event in (0.05, 1e-5)]
    assert 0 <= found[0] - found[1] <= 0.05 / 20


def test_a_cut_off_right_after_the_last_step_is_found(model: Model, run: Solution) -> None:
    """Catches a crash where the cut-off is reached in the first instants of a time step."""
    row = run.steps[0].end_row // 2
    just_past = float(run.series["Voltage [V]"][row]) + 1e-7  # some 1 ms after that row
    step = short(model, Charge(c_rate=1, until_voltage=just_past)).steps[0]
    assert step.ended_by == "voltage"
    assert run.series["Time [s]"][row] < step.end_time < run.series["Time [s]"][row] + 0.05


def test_a_step_beyond_its_cut_off_ends_at_once(model: Model) -> None:
    """Catches a charge that goes on and on because it never crosses a voltage it is above."""
    below = model.initial_state().voltage - 0.05
    done = short(model, Charge(c_rate=1, until_voltage=below), Rest(until_duration=10.0))
    first, second = done.steps
    assert (first.ended_by, second.ended_by) == ("voltage", "duration")
    assert first.end_row - first.start_row == 1
    assert first.duration == Stepping().first


def test_the_last_step_of_a_duration_is_no_sliver(model: Model) -> None:
    """Catches a duration missed by a step, and last steps of nanoseconds."""
    done = short(model, Charge(c_rate=1, until_duration=300.0, until_voltage=4.3))
    assert done.steps[0].ended_by == "duration"
    assert done.steps[0].end_time == pytest.approx(300.0, abs=1e-9)
    sizes = done.series["Step size [s]"][1:]
    assert sizes[-1] > 0.3 * sizes[-2]


def test_a_failed_step_is_cut_and_tried_again(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a run that dies of one hard step, and one that accepts the failed attempt."""
    tried: list[float] = []

    def failing(*arguments: Any, **named: Any) -> Any:
        tried.append(named["time_step"])
        if len(tried) in (3, 4):
            raise NotConverged("made to fail", residuals={"electrochemistry": 1.0})
        return advance(*arguments, **named)

    monkeypatch.setattr(loop, "advance", failing)
    done = short(model, Charge(c_rate=1, until_duration=60.0))
    assert done.summary["rejected_steps"] >= 2
    assert tried[3] == pytest.approx(0.6 * tried[2])
    assert tried[4] == pytest.approx(0.36 * tried[2])
    assert np.isclose(done.series["Step size [s]"], tried[4], rtol=1e-9).sum() == 1
    assert not np.isclose(done.series["Step size [s]"], tried[2], rtol=1e-9).any()
    assert done.summary["ledger_error"] < 1e-8


def test_a_failure_while_the_end_is_located_is_tried_again(
    model: Model, run: Solution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a run that ends in an error in the last second of a charge."""
    before_end = run.series["Time [s]"][run.steps[0].end_row - 1]
    failed: list[float] = []

    def failing(model: Model, previous: Any, *arguments: Any, **named: Any) -> Any:
        if previous.time >= before_end - 1e-6 and not failed and len(asked) > 0:
            failed.append(named["time_step"])
            raise NotConverged("made to fail")
        if previous.time >= before_end - 1e-6:
            asked.append(named["time_step"])
        return advance(model, previous, *arguments, **named)

    asked: list[float] = []
    monkeypatch.setattr(loop, "advance", failing)
    done = short(model, CHARGE)
    assert failed
    assert failed[0] < asked[0]
    assert done.steps[0].end_time == pytest.approx(run.steps[0].end_time, abs=1.0)


def test_what_was_reached_is_on_disk(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Catches hours of results lost to a step that cannot be solved."""

    def failing(model: Model, previous: Any, *arguments: Any, **named: Any) -> Any:
        if previous.time > 20.0:
            raise NotConverged("made to fail", residuals={"mechanics": 0.5})
        return advance(model, previous, *arguments, **named)

    monkeypatch.setattr(loop, "advance", failing)
    steps = [Charge(c_rate=1, until_duration=10.0), CHARGE]
    with pytest.raises(NotConverged, match="made to fail") as caught:
        Simulation(model, steps).run(tmp_path, progress=False)
    found = Solution.load(tmp_path)
    assert caught.value.residuals == {"mechanics": 0.5}
    assert caught.value.time == found.series["Time [s]"][-1] > 20.0
    assert caught.value.step == len(found.series["Time [s]"])
    assert len(found.steps) == 1
    assert found.summary["ledger_error"] < 1e-8
    assert found.snapshots.labels == ("start", "charge middle", "charge end")  # type: ignore[attr-defined]


def test_results_are_on_disk_before_the_run_ends(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Catches a folder that stays empty until the end: a killed run then leaves nothing."""
    seen: list[int] = []

    def watched(*arguments: Any, **named: Any) -> Any:
        seen.append(len(Solution.load(tmp_path).steps))
        return advance(*arguments, **named)

    monkeypatch.setattr(loop, "advance", watched)
    Simulation(model, [Rest(until_duration=5.0)] * 2).run(tmp_path, progress=False)
    assert seen[0] == 0
    assert seen[-1] == 1


def test_each_run_counts_its_own_work(model: Model) -> None:
    """Catches counters that add up over the runs of one model."""
    few = [short(model, Rest(until_duration=5.0)).performance["factorisations"] for _ in range(2)]
    assert few[0] == few[1] <= 4


def test_snapshots_come_at_start_middle_and_end(run: Solution) -> None:
    """Catches pictures that are missing, twice there, or of another time than they say."""
    labels = [snapshot.label for snapshot in run.snapshots]
    assert labels == [
        "start", "charge middle", "charge end", "hold middle", "hold end", "rest middle",
        "rest end", "discharge middle", "discharge end",
    ]  # fmt: skip
    assert set(run.snapshot_times) <= set(run.series["Time [s]"].tolist())
    ends = [s.time for s in run.snapshots if s.label.endswith("end")]
    assert ends == [step.end_time for step in run.steps]


def test_progress_goes_to_standard_error_and_only_if_wanted(
    model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches a run that is silent, and one that mixes its progress with results."""
    simulation = Simulation(model, [Rest(until_duration=5.0)])
    simulation.run()
    shown = capsys.readouterr()
    assert shown.out == ""
    for item in ("Rest 5 s", " t ", "step ", " V ", " dt ", " % ", " s left"):
        assert item in shown.err
    simulation.run(progress=False)
    assert capsys.readouterr().err == ""


def test_more_current_leaves_more_lithium(model: Model, run: Solution) -> None:
    """Catches a C-rate that does not reach the equations."""
    fast = short(model, Charge(c_rate=4, until_voltage=4.3))
    assert (
        fast.summary["lithium_charge_end"]
        > 1.05 * run.series["Lithium [mol]"][run.steps[0].end_row]
    )
    assert 4 * fast.summary["charge_time"] < run.summary["charge_time"]
    assert fast.series["Current [A]"][1] == pytest.approx(-4 * model.one_c)


def test_discharge_current_is_positive(run: Solution) -> None:
    """Catches a sign that flips between input and results."""
    current = run.series["Current [A]"]
    for step, sign in zip(run.steps, (-1, -1, 0, 1), strict=True):
        rows = current[step.start_row + 1 : step.end_row + 1]
        assert (
            np.sign(np.where(np.abs(rows) < 1e-9 * np.abs(current).max(), 0, rows)) == sign
        ).all()


def test_a_hold_and_a_discharge_take_the_first_of_their_ends(model: Model) -> None:
    """Catches an end that is ignored beside another."""
    done = short(
        model,
        Charge(c_rate=1, until_duration=100.0, until_voltage=4.3),
        Hold(voltage=4.0, until_c_rate=1e-3, until_duration=20.0),
        Discharge(c_rate=1, until_voltage=2.9, until_duration=20.0),
    )
    assert [step.ended_by for step in done.steps] == ["duration"] * 3
    assert done.series["Time [s]"][-1] == pytest.approx(140.0)

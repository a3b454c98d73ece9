"""If these fail, a run ends at the wrong time, loses what it reached, or accepts a failed step.

Worth reading: `test_a_step_ends_where_its_cut_off_is`, `test_what_was_reached_is_on_disk`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from femssb import (
    Charge,
    Cycle,
    Discharge,
    Hold,
    InputError,
    Model,
    NotConverged,
    Rest,
    Simulation,
    Solution,
    plotting,
)
from femssb.cell.coupling import Tolerances, advance
from femssb.cell.model import State
from femssb.results.fields import SHOWN
from femssb.run import checkpoint, stepper
from femssb.run.stepping import FixedSteps, Stepping
from tests.runs import ALONE, CHARGE, DISCHARGE, HOLD, REST, STEPS, TIGHT, tiny_model


@pytest.fixture(scope="module")
def model() -> Model:
    """A model whose couplings are off: each step takes two passes."""
    return tiny_model(couplings=ALONE)


@pytest.fixture(scope="module")
def run(model: Model) -> Solution:
    """Charge, hold, rest, discharge; kept in memory."""
    return Simulation(model, [CHARGE, HOLD, REST, DISCHARGE]).run(progress=False)


def short(model: Model, *steps: Any, stepping: Stepping | FixedSteps = Stepping()) -> Solution:  # noqa: B008
    return Simulation(model, steps, stepping=stepping).run(progress=False)


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
    finer = Stepping(stoichiometry_error=1e-5, voltage_error=2e-4, largest=30.0)
    fine = short(model, CHARGE, stepping=finer)
    exact = fine.series["Time [s]"]
    slope = np.diff(fine.series["Voltage [V]"])[-1] / np.diff(exact)[-1]
    assert voltages[charge.end_row] - 4.3 <= 0.06 * slope
    assert charge.end_time == pytest.approx(exact[-1], rel=1e-3)  # error of the steps themselves
    assert times[charge.end_row] == charge.end_time


@pytest.mark.parametrize("c_rate", [1, 20])
def test_the_location_is_as_precise_as_asked(model: Model, c_rate: float) -> None:
    """Catches a precision in seconds where a fast step lasts a few of them.

    Steps are fixed, so that both runs reach the same state before the step that ends them.
    """
    charge = Charge(c_rate=c_rate, until_voltage=4.3)
    sizes = tuple(size / c_rate for size in (0.5, 2, 8, 32, 64))
    rough, sharp = (
        short(model, charge, stepping=FixedSteps(sizes=sizes, event=event)).steps[0].end_time
        for event in (0.05, 1e-5)
    )
    assert -1e-5 <= rough - sharp <= 0.05 / c_rate


def test_a_cut_off_right_after_the_last_step_is_found(model: Model) -> None:
    """Catches a crash where the cut-off is reached in the first instants of a time step."""
    steps = FixedSteps(sizes=(1.0, 5.0, 15.0, 30.0))
    before = short(model, Charge(c_rate=1, until_duration=501.0), stepping=steps)
    just_past = float(before.series["Voltage [V]"][-1]) + 1e-6  # some 10 ms later
    step = short(model, Charge(c_rate=1, until_voltage=just_past), stepping=steps).steps[0]
    assert step.ended_by == "voltage"
    assert 501.0 < step.end_time < 501.1


def test_a_current_may_be_given_in_any_unit(model: Model) -> None:
    """Catches amperes that are taken for a C-rate, or for those of another area."""
    area = 81e-12  # of the anode's face, 9 um square
    time, at_2c = 100.0, 2 * model.one_c
    steps = [
        Charge(c_rate=2, until_duration=time),
        Charge(current=at_2c, until_duration=time),
        Charge(current_density=at_2c / area, until_duration=time),
        Charge(c_rate=2, until_capacity=at_2c * time),
    ]
    runs = [short(model, step, stepping=STEPS) for step in steps]
    for run in runs:
        np.testing.assert_allclose(
            run.series["Voltage [V]"], runs[0].series["Voltage [V]"], rtol=1e-8
        )
    assert [run.steps[0].ended_by for run in runs] == ["duration"] * 3 + ["capacity"]
    assert runs[3].series["Discharge capacity [C]"][-1] == pytest.approx(-at_2c * time, rel=1e-9)
    assert runs[2].steps[0].description.startswith("Charge ")


def test_fields_are_kept_where_they_are_asked_for(model: Model) -> None:
    """Catches a pulse train that fills the disk, and an end whose fields are lost."""
    pulses = [
        Charge(c_rate=1, until_duration=60.0, fields=fields)
        for fields in ("none", "middle", "end", "both")
    ]
    run = short(model, *pulses, Rest(until_duration=60.0, fields="none"), stepping=STEPS)
    assert [snapshot.label for snapshot in run.snapshots] == [
        "start",
        "charge middle, step 1",
        "charge end, step 2",
        "charge middle, step 3",
        "charge end",
    ]
    with pytest.raises(InputError, match=r"Charge\.fields"):
        Charge(c_rate=1, until_duration=60.0, fields="all")  # type: ignore[arg-type]


def test_fields_are_kept_at_the_times_that_are_asked_for(model: Model) -> None:
    """Catches a movie whose pictures lie where time steps happened to end."""
    charge = Charge(c_rate=1, until_duration=100.0, fields=40.0)
    rest = Rest(until_duration=100.0, fields=(7.5, 30.0, 100.0))
    run = short(model, charge, rest)
    kept = [(snapshot.label, round(snapshot.time, 9)) for snapshot in run.snapshots]
    assert kept == [
        ("start", 0.0),
        ("charge at 40 s", 40.0),
        ("charge at 80 s", 80.0),
        ("charge end", 100.0),
        ("rest at 7.5 s", 107.5),
        ("rest at 30 s", 130.0),
        ("rest end", 200.0),
    ]
    for fields in (0.0, -1.0, (5.0, -1.0)):
        with pytest.raises(InputError, match=r"Rest\.fields"):
            Rest(until_duration=60.0, fields=fields)


@pytest.mark.parametrize("early", [{}, {"until_retention": 0.01}])
def test_fields_of_every_third_round(model: Model, early: dict[str, float]) -> None:
    """Catches a hundred cycles that fill the disk, and a last one without its fields."""
    steps = [
        Charge(c_rate=2, until_duration=20.0, fields="end"),
        Discharge(c_rate=2, until_duration=10.0, fields="none"),
    ]
    run = short(model, Cycle(steps=steps, count=7, fields_every=3, **early), stepping=STEPS)
    ends = ["charge end", *(f"cycle {number} charge end" for number in (3, 6, 7))]
    assert [snapshot.label for snapshot in run.snapshots] == ["start", *ends]


@pytest.mark.parametrize(("cheap", "written"), [(0.0, 2), (1e9, 6)])
def test_checkpoints_of_short_steps_wait(
    cheap: float, written: int, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a run of many cycles that mostly writes what it wrote before, or loses its end."""
    count = 0
    write = checkpoint.write

    def counted(*arguments: Any) -> None:
        nonlocal count
        count += 1
        write(*arguments)

    monkeypatch.setattr(checkpoint, "write", counted)
    monkeypatch.setattr("femssb.run.record.CHEAP", cheap)
    monkeypatch.setattr("femssb.run.record.DEAREST", 0.0)
    steps = [Charge(c_rate=1, until_duration=10.0, fields="none")] * 5
    Simulation(model, steps, stepping=STEPS).run(tmp_path / "run", progress=False)
    assert count == written  # at the start, and at the ends of steps
    assert len(Solution.load(tmp_path / "run").steps) == 5


def test_a_hold_may_end_by_amperes(model: Model) -> None:
    """Catches a hold that waits for so many C."""
    charge = Charge(c_rate=2, until_duration=300.0)
    wanted = 0.5 * model.one_c
    run = short(model, charge, Hold(voltage=4.0, until_current=wanted), stepping=STEPS)
    assert run.steps[1].ended_by == "current"
    assert run.series["C-rate"][-1] == pytest.approx(0.5, rel=1e-2)


def test_words_and_cycles_run_as_their_steps(model: Model) -> None:
    """Catches a protocol that is read one way and run another."""
    charge, discharge = (
        Charge(c_rate=2, until_duration=300.0),
        Discharge(c_rate=1, until_duration=120.0),
    )
    plain = short(model, *[charge, discharge] * 2, stepping=STEPS)
    words = Cycle(steps=["Charge at 2C for 5 minutes", discharge], count=2)
    run = short(model, words, stepping=STEPS)
    np.testing.assert_allclose(run.series["Voltage [V]"], plain.series["Voltage [V]"], rtol=1e-8)
    assert [cycle.number for cycle in run.cycles] == [1, 2]


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
    """Catches a run that ends at one hard step, and one that accepts the failed attempt."""
    tried: list[float] = []

    def failing(*arguments: Any, **named: Any) -> Any:
        tried.append(named["time_step"])
        if len(tried) in (3, 4):
            raise NotConverged("made to fail", residuals={"electrochemistry": 1.0})
        return advance(*arguments, **named)

    monkeypatch.setattr(stepper, "advance", failing)
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
    beyond: list[float] = []
    failed: list[float] = []

    def failing(*arguments: Any, **named: Any) -> Any:
        if beyond and not failed:
            failed.append(named["time_step"])
            raise NotConverged("made to fail")
        reached = advance(*arguments, **named)
        if reached[0].voltage >= 4.3:
            beyond.append(named["time_step"])
        return reached

    monkeypatch.setattr(stepper, "advance", failing)
    done = short(model, CHARGE)
    assert failed[0] < beyond[0]
    assert done.steps[0].ended_by == "voltage"
    # Other time steps lead to the end: the errors of steps differ by 0.1 % of the charge.
    assert done.steps[0].end_time == pytest.approx(run.steps[0].end_time, rel=1e-3)


def test_what_was_reached_is_on_disk(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Catches hours of results lost to a step that cannot be solved."""

    def failing(model: Model, previous: Any, *arguments: Any, **named: Any) -> Any:
        if previous.time > 20.0:
            raise NotConverged("made to fail", residuals={"mechanics": 0.5})
        return advance(model, previous, *arguments, **named)

    steps = [Charge(c_rate=1, until_duration=duration) for duration in (10.0, 100.0)]
    with monkeypatch.context() as patch:
        patch.setattr(stepper, "advance", failing)
        with pytest.raises(NotConverged, match="made to fail") as caught:
            Simulation(model, steps).run(tmp_path, progress=False)
    found = Solution.load(tmp_path)
    assert caught.value.residuals == {"mechanics": 0.5}
    assert caught.value.time == found.series["Time [s]"][-1] > 20.0
    assert caught.value.step == len(found.series["Time [s]"])
    assert len(found.steps) == 1
    assert found.summary["ledger_error"] < 1e-8
    labels = ("start", "charge middle, step 0", "charge end, step 0")
    assert found.snapshots.labels == labels  # type: ignore[attr-defined]
    done = Simulation(model, steps).run(tmp_path, progress=False, resume=True)
    assert done.series["Time [s]"][-1] == pytest.approx(110.0)
    np.testing.assert_array_equal(
        done.series["Time [s]"][: caught.value.step], found.series["Time [s]"]
    )


def test_results_are_on_disk_before_the_run_ends(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Catches a folder that stays empty until the end: a killed run then leaves nothing."""
    seen: list[int] = []

    def watched(*arguments: Any, **named: Any) -> Any:
        seen.append(len(Solution.load(tmp_path).steps))
        return advance(*arguments, **named)

    monkeypatch.setattr(stepper, "advance", watched)
    monkeypatch.setattr("femssb.run.record.CHEAP", 1e9)
    Simulation(model, [Rest(until_duration=5.0)] * 2).run(tmp_path, progress=False)
    assert seen[0] == 0
    assert seen[-1] == 1


def test_each_run_counts_its_own_work(model: Model, run: Solution) -> None:
    """Catches counters that add up over the runs of one model: this one has taken a whole cycle."""
    rest = short(model, Rest(until_duration=1.0))
    for work in ("factorisations", "newton_iterations", "coupling_iterations"):
        assert rest.summary[work] < 0.5 * run.summary[work]


def test_fields_are_chosen_and_drawn(model: Model, tmp_path: Path) -> None:
    """Catches fields on disk that nobody asked for, and figures that lack what they show."""
    steps = Charge(c_rate=1, until_duration=20.0), Discharge(c_rate=1, until_duration=20.0)
    solution = Simulation(model, steps, stepping=STEPS).run(
        tmp_path / "run", progress=False, fields=["Shear traction [Pa]"]
    )
    parts = solution.snapshots[-1].parts
    kept = {name for part in parts.values() for name in (*part.point_data, *part.cell_data)}
    assert kept == {*SHOWN, "Shear traction [Pa]"}
    plotting.cycle(solution, tmp_path)
    plotting.report(solution, tmp_path / "report.html")
    with pytest.raises(InputError, match=r"fields has 'Shear traction', which is none of"):
        Simulation(model, steps).run(fields=["Shear traction"])
    with pytest.raises(InputError, match="fields must be a list"):
        Simulation(model, steps).run(fields="Gap [m]")


def test_snapshots_come_at_start_middle_and_end(run: Solution) -> None:
    """Catches pictures that are missing, twice there, or of another time than they say."""
    labels = [snapshot.label for snapshot in run.snapshots]
    assert labels == [
        "start", "charge middle", "charge end, step 0", "hold middle", "hold end", "rest middle",
        "rest end", "discharge middle", "discharge end",
    ]  # fmt: skip
    assert set(run.snapshot_times) <= set(run.series["Time [s]"].tolist())
    ends = [s.time for s in run.snapshots if " end" in s.label]
    assert ends == [step.end_time for step in run.steps]
    for snapshot in run.snapshots:
        assert run.time_of(snapshot.label) == snapshot.time
    assert run.snapshot_at("charge end").label == "hold end"


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


def test_warnings_are_seen_and_survive_a_resume(
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Catches a doubt that only a log knows, that a resumed run forgets, or that is shown twice."""
    doubt = "HalfCell.width is 15e-9 m, below 1e-7: was it meant in um?"
    monkeypatch.setattr(model, "warnings", (doubt,))

    def stop(state: State, so_far: Solution) -> None:
        raise Enough

    loose = Tolerances(current=1e-3)
    simulation = Simulation(model, [CHARGE], tolerances=loose, stepping=STEPS)
    with pytest.raises(Enough):
        simulation.run(tmp_path, progress=False, on_step=[stop])
    assert capsys.readouterr().err.count(doubt) == 1
    done = simulation.run(tmp_path, progress=False, resume=True)
    assert done.warnings[0] == doubt
    assert any("Interface current error [-] is" in sentence for sentence in done.warnings)
    assert Solution.load(tmp_path).warnings == done.warnings == tuple(done.summary["warnings"])
    shown = capsys.readouterr().err.splitlines()
    assert shown == [f"warning: {sentence}" for sentence in done.warnings]


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
    """Catches an end that is ignored next to another."""
    done = short(
        model,
        Charge(c_rate=1, until_duration=100.0, until_voltage=4.3),
        Hold(voltage=4.0, until_c_rate=1e-3, until_duration=20.0),
        Discharge(c_rate=1, until_voltage=2.9, until_duration=20.0),
    )
    assert [step.ended_by for step in done.steps] == ["duration"] * 3
    assert done.series["Time [s]"][-1] == pytest.approx(140.0)


def test_fixed_steps_are_taken_as_given(model: Model) -> None:
    """Catches steps that the error changes, and a list that is not begun again at each load."""
    steps = [Charge(c_rate=2, until_duration=100.0), Rest(until_duration=20.0)]
    run = short(model, *steps, stepping=FixedSteps(sizes=(0.5, 8.0, 2.0, 40.0)))
    expected = [0.0, 0.5, 8.0, 2.0, 40.0, 40.0, 9.5, 0.5, 8.0, 2.0, 9.5]
    np.testing.assert_allclose(run.series["Step size [s]"], expected, rtol=1e-12)
    assert [step.end_time for step in run.steps] == pytest.approx([100.0, 120.0], abs=1e-9)
    assert run.summary["rejected_steps"] == 0


def test_fixed_steps_end_at_a_cut_off(model: Model) -> None:
    """Catches a last step that is not shortened to end where the voltage is reached."""
    sizes = (1.0, 5.0, 15.0, 30.0)
    run = short(model, CHARGE, stepping=FixedSteps(sizes=sizes))
    taken, voltage = run.series["Step size [s]"][1:], run.series["Voltage [V]"]
    np.testing.assert_allclose(taken[:4], sizes, rtol=1e-12)
    np.testing.assert_allclose(taken[4:-1], 30.0, rtol=1e-12)
    assert taken[-1] < 30.0
    assert voltage[-1] >= 4.3 > voltage[-2]
    assert voltage[-1] - 4.3 < 0.06 * (voltage[-1] - voltage[-2]) / taken[-1]


def test_a_fixed_step_that_fails_ends_the_run(
    model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Catches a step that is cut although its size was asked for, and one lost before it."""

    def failing(model: Model, previous: Any, *arguments: Any, **named: Any) -> Any:
        if previous.time > 5.0:
            raise NotConverged("made to fail")
        return advance(model, previous, *arguments, **named)

    monkeypatch.setattr(stepper, "advance", failing)
    with pytest.raises(NotConverged, match=r"made to fail \(time 6 s, step 3"):
        Simulation(model, [CHARGE], stepping=STEPS).run(tmp_path, progress=False)
    assert Solution.load(tmp_path).series["Time [s]"].tolist() == [0.0, 1.0, 6.0]


class Enough(Exception):
    """The exception of a function that ends a run."""


def test_a_function_of_the_user_sees_each_step(model: Model) -> None:
    """Catches a function that is called too late, too seldom, or with another state."""
    seen: list[tuple[float, float]] = []

    def watch(state: State, so_far: Solution) -> None:
        assert so_far.series["Time [s]"][-1] == state.time
        assert so_far.series["Voltage [V]"][-1] == state.voltage
        seen.append((state.time, float(so_far.series["Mean gap [m]"][-1])))

    simulation = Simulation(model, [Rest(until_duration=20.0)] * 2, stepping=STEPS)
    labels: list[int] = []
    run = simulation.run(
        progress=False, on_step=[watch, lambda _, so_far: labels.append(len(so_far.snapshots))]
    )
    assert [time for time, _ in seen] == run.series["Time [s]"][1:].tolist()
    assert labels[0] == 1
    assert labels[-1] == len(run.snapshots) == 3


def test_a_function_of_the_user_can_end_the_run(model: Model, tmp_path: Path) -> None:
    """Catches results lost when a function raises, and a run that cannot be resumed then."""
    steps = [Charge(c_rate=1, until_duration=30.0), Rest(until_duration=20.0)]
    simulation = Simulation(model, steps, stepping=STEPS, tolerances=TIGHT)

    def stop(state: State, so_far: Solution) -> None:
        if state.time > 15.0:
            raise Enough

    with pytest.raises(Enough):
        simulation.run(tmp_path, progress=False, on_step=[stop])
    assert Solution.load(tmp_path).series["Time [s]"].tolist() == [0.0, 1.0, 6.0, 21.0]
    resumed = simulation.run(tmp_path, progress=False, resume=True)
    whole = simulation.run(progress=False)
    for column in ("Time [s]", "Voltage [V]"):
        np.testing.assert_allclose(resumed.series[column], whole.series[column], rtol=1e-9)

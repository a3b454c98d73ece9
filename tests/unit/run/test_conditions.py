"""If these fail, a step or a cycle ends elsewhere than the user's own condition says.

Worth reading: `test_a_column_ends_a_step_where_it_is_passed`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest

from femssb import (
    Charge,
    Condition,
    Cycle,
    Discharge,
    FixedSteps,
    Hold,
    InputError,
    Model,
    Rest,
    Simulation,
    Solution,
)
from femssb.inputs.condition import find_column
from femssb.inputs.cycle import Course, steps_of
from femssb.studies import HalfCellRun
from femssb.units import MPa
from tests.runs import ALONE, tiny_model

SIZES = FixedSteps(sizes=(5.0, 60.0))
IN = Charge(c_rate=2, until_duration=60.0)
OUT = Discharge(c_rate=2, until_duration=50.0)


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model(couplings=ALONE)


def took(model: Model, *steps: Any) -> Solution:
    return Simulation(model, steps, stepping=SIZES).run(progress=False)


def losses(row: Mapping[str, float]) -> float:
    """Return voltage times current, over one nanowatt."""
    return abs(row["Voltage [V]"] * row["Current [A]"]) / 1e-9


@pytest.mark.mpi(ranks=2)
def test_a_column_ends_a_step_where_it_is_passed() -> None:
    """Catches an end that is found a time step late, or for the wrong side of a bound."""
    model = tiny_model(MPI.COMM_WORLD)
    stress = Condition(column="99 % von mises stress", above=5 * MPa)
    charge = Charge(c_rate=1, until_voltage=4.3, until=stress)
    hold = Hold(voltage=3.85, until_duration=900.0, until=Condition(function=losses, below=1.0))
    sizes = FixedSteps(sizes=(0.5, 2.0, 6.0, 20.0))
    run = Simulation(model, [charge, hold], stepping=sizes).run(progress=False)
    assert [step.ended_by for step in run.steps] == ["condition", "condition"]
    found = run.series["99 % von Mises stress [Pa]"]
    first, second = (step.end_row for step in run.steps)
    # 0.05 s, the precision of ends at 1C, of a stress that rises by 0.3 MPa in a second
    assert 5 * MPa <= found[first] < 5.1 * MPa
    assert found[first - 1] < 5 * MPa
    power = np.abs(run.series["Voltage [V]"] * run.series["Current [A]"]) / 1e-9
    assert power[second] == pytest.approx(1.0, rel=5e-3)
    assert power[first + 1 : second].min() > 1.0 > power[second] > 0.99
    assert "until 99 % von mises stress above 5e+06" in run.steps[0].description


def test_a_condition_that_holds_at_once_ends_the_step_at_once(model: Model) -> None:
    """Catches an end that is looked for where it lies before the step."""
    warm = Condition(column="Voltage", below=9.0)
    run = took(model, Rest(until_duration=100.0, until=(warm,)), Rest(until_duration=1.0))
    assert [step.ended_by for step in run.steps] == ["already passed", "duration"]
    assert any("already passed" in warning for warning in run.warnings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: Condition(column="Voltage"), "one of above and below, got none"),
        (lambda m: Condition(above=1.0), "one of column and function, got none"),
        (lambda m: Charge(c_rate=1), "or one of your own"),
        (lambda m: took(m, Rest(until_duration=9.0, until=Condition(column="Volt", above=1.0))),
         r"'Volt' names no column of the time series: .*Voltage \[V\]"),
        (lambda m: took(m, Cycle(steps=[OUT], until=Condition(column="Discharge capacity",
                                                              above=1.0))),
         r"several columns of the time series: Discharge capacity \[C\], "),
        (lambda m: took(m, replace(OUT, until=Condition(function=lambda r: r["no"], above=1.0))),
         "Condition.function fails: KeyError"),
        (lambda m: took(m, replace(OUT, until=Condition(function=lambda r: np.nan, above=1.0))),
         "it is nan"),
    ],
)  # fmt: skip
def test_what_ends_nothing_is_refused(make: Any, message: str, model: Model) -> None:
    """Catches a condition that never comes since its name is misspelt."""
    with pytest.raises(InputError, match=message):
        make(model)


def test_a_cycle_ends_where_its_condition_holds(model: Model, tmp_path: Path) -> None:
    """Catches a round too many, what follows the cycle left out, and labels given twice."""
    out = -100 * model.one_c  # a round takes 180 s of 1C in, and 100 s out
    early = Cycle(
        steps=[replace(IN, until_duration=90.0), OUT],
        count=9,
        until=Condition(column="Discharge capacity [C]", below=out),
    )
    after = Discharge(c_rate=1, until_duration=20.0, temperature=310.0)
    steps = [Rest(until_duration=1.0), early, after]
    simulation = Simulation(model, steps, stepping=SIZES)
    run = simulation.run(tmp_path / "run", progress=False)
    kinds = [step.kind for step in run.steps]
    rounds = (len(kinds) - 2) // 2
    assert kinds == ["rest", *["charge", "discharge"] * rounds, "discharge"]
    assert rounds == 2
    labels = [snapshot.label for snapshot in run.snapshots]
    assert len(set(labels)) == len(labels)
    assert labels[-1] == f"cycle {rounds} discharge end"
    assert run.series["Step"][-1] == len(run.steps) - 1
    # its file is the protocol as it was given, and the run is over
    again = Simulation.from_case(tmp_path / "run" / "case.json")
    assert again.protocol == (steps[0], early, after)
    over = simulation.run(tmp_path / "run", resume=True, progress=False)
    assert len(over.steps) == len(kinds)
    series = (
        Simulation(model, [after], stepping=SIZES, start=tmp_path / "run")
        .run(progress=False)
        .series
    )
    assert series["Time [s]"][0] == run.series["Time [s]"][-1]
    assert series["Temperature [K]"].tolist() == [310.0] * len(series["Time [s]"])
    assert abs(series["Interface current error [-]"][0]) < 1e-6
    case = HalfCellRun(name="early", materials=model.materials, protocol=tuple(steps))
    assert case.load(tmp_path / "run") is not None
    longer = replace(case, protocol=(*steps, after))
    assert longer.load(tmp_path / "run") is None


def test_a_run_that_is_stopped_goes_on_with_the_round_it_was_in(
    model: Model, tmp_path: Path
) -> None:
    """Catches a cycle that begins to count again where a run resumes."""
    steps = [replace(IN, until_duration=90.0), OUT]
    until = Condition(column="Discharge capacity [C]", below=-100 * model.one_c)
    protocol = [Cycle(steps=steps, count=6, until=until), Rest(until_duration=1.0)]

    def stop(state: Any, solution: Solution) -> None:
        if len(solution.steps) == 3:
            raise KeyboardInterrupt

    simulation = Simulation(model, protocol, stepping=SIZES)
    with pytest.raises(KeyboardInterrupt):
        simulation.run(tmp_path / "run", progress=False, on_step=[stop])
    run = simulation.run(tmp_path / "run", resume=True, progress=False)
    assert [step.kind for step in run.steps] == [*["charge", "discharge"] * 2, "rest"]
    assert run.series["Time [s]"][-1] == pytest.approx(2 * 140.0 + 1.0)


def test_a_cycle_ends_where_less_comes_out() -> None:
    """Catches a share of the round before in the place of the first, and charge that goes in."""
    cycle = Cycle(steps=[IN, OUT, OUT], count=9, until_retention=0.75)
    course = Course(steps_of("protocol", [OUT, cycle, IN]))
    for out in (99.0, -10.0, 6.0, 2.0, -8.0, 5.0, 1.5, -7.0, 5.0, 1.0):
        course.end(out, dict)
    assert len(course.order) == 1 + 27 + 1
    for out in (-6.0, 5.0, 0.9):  # 5.9 of 8, and 0.98 of the round before
        course.end(out, dict)
    assert len(course.order) == 1 + 12 + 1
    assert not course.over


def test_what_has_no_name_cannot_be_read_again(model: Model, tmp_path: Path) -> None:
    """Catches a file that seems to hold a function which it cannot name."""
    step = replace(OUT, until=Condition(function=lambda row: row["Time [s]"], above=1.0))
    Simulation(model, [step], stepping=SIZES).run(tmp_path / "run", progress=False)
    module = __name__
    with pytest.raises(InputError, match="one without a name cannot be read again"):
        Simulation.from_case(tmp_path / "run" / "case.json", modules=[module])
    case = json.loads((tmp_path / "run" / "case.json").read_text(encoding="utf-8"))
    case["protocol"][0]["until"] = {"class": "Condition", "column": "Time", "above": 1.0}
    (tmp_path / "own.json").write_text(json.dumps(case), encoding="utf-8")
    read = Simulation.from_case(tmp_path / "own.json")
    assert read.protocol[0].until == Condition(column="Time", above=1.0)


class Over:
    """A step that is over, which ends in a row."""

    def __init__(self, row: int) -> None:
        self.start_row, self.end_row = row - 1, row


def test_cycles_within_cycles() -> None:
    """Catches an inner end that ends the outer cycle, and an outer one that is never judged."""
    inner = Cycle(steps=[IN, OUT], count=3, until=Condition(column="Voltage", above=4.0))
    outer = Cycle(
        steps=["Rest for 1 s", inner], count=3, until=Condition(column="Voltage", above=5.0)
    )
    protocol = steps_of("protocol", [outer, Hold(voltage=4.0, until_duration=9.0)])
    assert len(Course(protocol).steps) == 3 * (1 + 6) + 1

    def order(*voltages: float) -> list[str]:
        """Return the kinds of the steps that are taken, given the voltage at the end of each."""
        course = Course(protocol)
        for voltage in voltages:
            course.end(1.0, lambda voltage=voltage: {"Voltage [V]": voltage})
        return [type(course.steps[place]).__name__[0] for place in course.order]

    assert "".join(order()) == "RCDCDCDRCDCDCDRCDCDCDH"
    assert "".join(order(0, 0, 4)) == "RCDRCDCDCDRCDCDCDH"
    assert "".join(order(0, 0, 3, 0, 4)) == "RCDCDRCDCDCDRCDCDCDH"
    assert "".join(order(0, 0, 5)) == "RCDH"
    assert "".join(order(0, 0, 0, 0, 0, 0, 5)) == "RCDCDCDH"
    assert "".join(order(9, 9, 0)) == "RCDCDCDRCDCDCDRCDCDCDH"  # judged at ends of rounds alone
    rows = [{"Voltage [V]": v, "Discharge capacity [C]": 0.0} for v in (0, 0, 0, 4)]
    followed = Course(protocol).follow([Over(1), Over(2), Over(3)], rows.__getitem__)
    assert len(followed.order) == 18


def test_columns_are_found_by_their_words() -> None:
    """Catches a name that is taken for another one, which is longer."""
    columns = ["Mean gap [m]", "Maximum gap [m]", "Mean gap of particle 1 [m]", "C-rate"]
    assert find_column("mean gap", columns) == "Mean gap [m]"
    assert find_column("c-rate", columns) == "C-rate"
    with pytest.raises(InputError, match=r"'gap' names no column"):
        find_column("gap", columns)

"""If these fail, a cycle is missing from the results, or a number or picture is of another one.

Worth reading: `test_every_moment_has_a_name_of_its_own`.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from femssb import plotting
from femssb.errors import InputError
from femssb.results.cycles import cycle_numbers, labels
from femssb.results.quantities import CYCLE
from femssb.results.solution import Solution, StepRecord
from femssb.units import FARADAY

KINDS = {"C": "charge", "D": "discharge", "H": "hold", "R": "rest"}


def kinds(letters: str) -> list[str]:
    """Return the kinds of steps from their first letters."""
    return [KINDS[letter] for letter in letters]


def run_of(letters: str, run: Solution) -> Solution:
    """Return a run whose protocol has such steps, of ten rows each; hold and rest have two."""
    ends = np.cumsum([0, *(10 if letter in "CD" else 2 for letter in letters)])
    times = run.series["Time [s]"]
    steps = [
        StepRecord(
            description=kind,
            kind=kind,
            start_row=int(a),
            end_row=int(b),
            start_time=times[a],
            end_time=times[b],
            ended_by="duration",
        )
        for kind, (a, b) in zip(kinds(letters), pairwise(ends), strict=True)
    ]
    sign = {"charge": -1.0, "hold": -0.5, "rest": 0.0, "discharge": 0.9}
    passed = np.zeros(len(times))
    for step in steps:
        amounts = sign[step.kind] * np.arange(1, step.end_row - step.start_row + 1)
        passed[step.start_row + 1 : step.end_row + 1] = passed[step.start_row] + amounts
    return replace(run, steps=tuple(steps), series={**run.series, "Discharge capacity [C]": passed})


@pytest.fixture
def run(made_up_run):
    """A run without fields."""
    return made_up_run(snapshots=False)


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("CD", [1, 1]),
        ("RCHRDR", [1] * 6),
        ("CDRCDCD", [1, 1, 1, 2, 2, 3, 3]),
        ("CCHDDCD", [1, 1, 1, 1, 1, 2, 2]),
        ("D", [1]),
        ("DCD", [0, 1, 1]),
        ("RDRCD", [0, 0, 0, 1, 1]),
        ("DCDC", [0, 1, 1, 2]),
        ("HR", [1, 1]),
        ("", []),
    ],
)
def test_a_cycle_is_a_charge_and_the_discharge_after_it(letters, expected):
    """Catches cycles that shift by a half, or that a rest or a second current step begins anew."""
    assert cycle_numbers(kinds(letters)) == expected


def test_every_moment_has_a_name_of_its_own():
    """Catches a name that two snapshots bear, and a "charge end" before its hold."""
    for letters in ("CD" * 3, "CHRDR" * 2, "DCHDC", "CCHDDH", "RCRCRD" * 2, "HHRR"):
        names = [name for pair in labels(kinds(letters)) for name in pair]
        assert len(set(names)) == len(names)
    assert labels(kinds("CD")) == [
        ("charge middle", "charge end"),
        ("discharge middle", "discharge end"),
    ]
    assert [end for _, end in labels(kinds("CHDCHD"))] == [
        "charge end, step 0", "hold end", "discharge end",
        "cycle 2 charge end, step 3", "cycle 2 hold end", "cycle 2 discharge end",
    ]  # fmt: skip


@pytest.mark.parametrize("letters", ["CDCD", "CHRDRCHRD", "DCDC", "CCHDDCD", "DC", "D", "C"])
def test_moments_are_the_ends_of_the_half_cycles(run, letters):
    """Catches labels of the time loop that mean another time than `time_of` does."""
    cycled = run_of(letters, run)
    named = zip(cycled.steps, labels(kinds(letters)), strict=True)
    ends = {step.end_time: name for step, (_, name) in named}
    for cycle in cycled.cycles:
        for half, steps in (("charge", cycle.charge), ("discharge", cycle.discharge)):
            if steps:
                name = f"cycle {cycle.number} {half} end"
                assert cycled.time_of(name) == steps[-1].end_time
                if steps[-1].kind == half:
                    assert ends[cycled.time_of(name)] in (name, f"{half} end")
    with pytest.raises(InputError, match="moment = 'cycle 9 charge end' is none of this run's"):
        cycled.time_of("cycle 9 charge end")


def test_a_run_is_a_table_of_pandas(run):
    """Catches a column that is dropped, and cycles that lose their numbers."""
    pytest.importorskip("pandas")
    cycled = run_of("DCDC", run)
    table = cycled.to_dataframe()
    assert list(table.columns) == list(cycled.series)
    for name, values in cycled.series.items():
        np.testing.assert_array_equal(table[name].to_numpy(), values)
    cycles = cycled.to_dataframe("cycles")
    assert list(cycles.index) == [0, 1, 2]
    assert list(cycles.columns) == list(CYCLE)
    assert np.isnan(cycles.loc[0, "charge_capacity"])
    assert cycles.loc[1, "discharge_capacity"] == cycled.cycles[1].numbers["discharge_capacity"]
    assert replace(cycled, steps=()).to_dataframe("cycles").empty


def test_a_run_shows_itself_in_a_line(run):
    """Catches the whole series in a notebook."""
    assert repr(run_of("CD", run)).endswith(
        "s: 2 protocol steps, 1 cycle, 81 rows, 0 snapshots, 0 warnings>"
    )


def test_every_cycle_has_its_numbers(run, tmp_path, capsys):
    """Catches a table of the first cycle repeated, or of columns in another order."""
    cycled = run_of("CDRCHDC", run)
    first, second, third = cycled.cycles
    assert [cycle.number for cycle in cycled.cycles] == [1, 2, 3]
    assert [step.kind for step in second.charge] == ["charge", "hold"]
    assert third.discharge == ()
    assert all(list(cycle.numbers) == list(CYCLE) for cycle in cycled.cycles)
    assert first.numbers["coulombic_efficiency"] == pytest.approx(9.0 / 10.0)
    assert second.numbers["coulombic_efficiency"] == pytest.approx(9.0 / 11.0)
    assert third.numbers["coulombic_efficiency"] is None
    assert third.numbers["charge_capacity"] == pytest.approx(10.0)
    gaps, voltages = cycled.series["Mean gap [m]"], cycled.series["Voltage [V]"]
    assert first.numbers["charge_capacity_Ah"] == pytest.approx(10.0 / 3600)
    # ten equal parts: the first row is of the load before, the second stands for its whole part
    mean = (voltages[1] + np.sum(voltages[1:10] + voltages[2:11]) / 2) / 10
    assert first.numbers["charge_voltage"] == pytest.approx(mean, rel=1e-12)
    assert first.numbers["charge_energy"] == pytest.approx(10 * mean, rel=1e-12)
    energies = [first.numbers[f"{half}_energy"] for half in ("discharge", "charge")]
    assert first.numbers["energy_efficiency"] == pytest.approx(energies[0] / energies[1])
    assert third.numbers["energy_efficiency"] is None
    assert first.numbers["gap_mean_peak"] == gaps[:21].max()
    for cycle in (first, second):
        row = cycle.discharge[-1].end_row
        assert cycle.numbers["gap_mean_discharge_end"] == gaps[row]
    summary = cycled.summary
    assert (summary["cycle"], summary["cycles"]) == (1, 2)
    assert {key: summary[key] for key in CYCLE} == first.numbers

    cycled.save(tmp_path)
    with (tmp_path / "cycles.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row.pop("cycle") for row in rows] == ["1", "2", "3"]
    for row, cycle in zip(rows, cycled.cycles, strict=True):
        assert {key: float(text) if text else None for key, text in row.items()} == cycle.numbers
    assert Solution.load(tmp_path).cycles == cycled.cycles

    cycled.report()
    shown = capsys.readouterr().out
    assert "Cycle 1, at the end of" in shown
    table = shown[shown.index("Cycle   ") :].splitlines()
    assert [line.split()[0] for line in table[1:]] == ["1", "2", "3"]
    assert table[2].split()[3] == "81.82"
    run.report()
    assert "Cycle" not in capsys.readouterr().out


def test_an_efficiency_is_of_charge_not_of_time(run):
    """Catches C/10 charged and discharged at 1C called a loss of 90 %."""
    times = np.concatenate([np.linspace(0, 10.0, 41), np.linspace(10.0, 11.0, 41)[1:]])
    passed = np.interp(times, [0, 10, 11], [0, -1.0, -0.01])
    steps = [
        replace(step, start_time=times[step.start_row], end_time=times[step.end_row])
        for step in run.steps
    ]
    series = {**run.series, "Time [s]": times, "Discharge capacity [C]": passed}
    summary = replace(run, series=series, steps=tuple(steps)).summary
    assert summary["coulombic_efficiency"] == pytest.approx(0.99)
    assert summary["discharge_over_charge_time"] == pytest.approx(0.1)


def test_a_run_may_begin_with_a_discharge(run):
    """Catches a first discharge that no table has, and an efficiency over a later charge."""
    begun = run_of("DC", run)
    zero, one = begun.cycles
    assert (zero.number, one.number) == (0, 1)
    assert begun.discharge == zero.discharge
    assert begun.charge == one.charge
    summary = begun.summary
    assert summary["discharge_capacity"] == pytest.approx(9.0)
    assert summary["charge_capacity"] == pytest.approx(10.0)
    assert summary["coulombic_efficiency"] is summary["discharge_over_charge_time"] is None
    assert summary["cycles"] == 0
    followed = run_of("DCD", run)
    assert followed.discharge == followed.steps[2:]
    assert followed.summary["coulombic_efficiency"] == pytest.approx(0.9)
    assert followed.time_of("cycle 0 discharge end") == followed.steps[0].end_time


def test_cycles_that_pass_nothing_have_no_efficiency(run):
    """Catches a division by zero where a charge ended at once, and one by a negative charge."""
    idle = run_of("CD", run)
    for slope in (0.0, 1.0):  # a charge that passed nothing, or a hold that went the other way
        passed = slope * np.arange(len(idle.series["Time [s]"]))
        odd = replace(idle, series={**idle.series, "Discharge capacity [C]": passed})
        assert odd.summary["coulombic_efficiency"] is None


def test_every_cycle_is_in_the_figure_of_cycles(run, tmp_path):
    """Catches figures of several cycles that show the first one only."""
    written = plotting.cycle(run_of("CDCDC", run), tmp_path)
    assert [path.name for path in written][-1] == "cycles.png"
    axes = plotting.curves.cycles(run_of("CDCDC", run)).axes
    charged, discharged = axes[0].lines
    assert charged.get_xdata().tolist() == [1, 2, 3]
    assert discharged.get_ydata()[:2] * 1e-6 == pytest.approx([9.0, 9.0])
    assert np.isnan(discharged.get_ydata()[2])
    assert "cycles.png" not in [path.name for path in plotting.cycle(run, tmp_path / "one")]


def test_charge_passed_belongs_to_lithium(made_up_run):
    """Catches a made-up run whose charge and lithium contradict each other."""
    run = made_up_run(snapshots=False)
    moved = run.series["Lithium [mol]"] - run.series["Lithium [mol]"][0]
    np.testing.assert_allclose(run.series["Discharge capacity [C]"], FARADAY * moved, atol=1e-15)

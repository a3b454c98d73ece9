"""How the numbers of the paper are found in a run, and where they are marked in figures."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from femssb import Solution
from femssb.plotting import Reference
from femssb.studies import Number, Results, Study, Target, read_targets, rising

TARGETS = Path(__file__).with_name("targets.csv")
COLUMNS = {  # beginnings of summary keys, and the columns of the series that they are taken from
    "lithium": "Lithium [mol]",
    "gap_mean": "Mean gap [m]",
    "gap_max": "Maximum gap [m]",
    "von_mises_max": "Maximum von Mises stress [Pa]",
    "von_mises_p99": "99 % von Mises stress [Pa]",
    "volumetric_strain_min": "Minimum volumetric strain [-]",
    "volumetric_strain_p001": "0.1 % volumetric strain [-]",
}

Runs = Results[Solution]


def paper_study(name: str, **given: Any) -> Study[Runs]:
    """Return a study with the numbers of the paper that belong to it."""
    return Study(name=name, targets=read_targets(TARGETS, name), number=number, **given)


def number(runs: Runs, target: Target) -> Number:
    """Return our number for one of the paper."""
    return Number(read(runs[target.case], target.key))


def read(run: Solution, key: str) -> float:
    """Return a number of a run, nan where it does not apply.

    Args:
        run: The run.
        key: A summary key, ``peak COLUMN``, ``COLUMN at TIME``, ``ahead COLUMN from TIME to TIME``
            (the mean by which particle 1 is above particle 2 in a column with "k"), or
            ``lithium_lost``, the amount that a cycle does not put back [mol].
    """
    if key.startswith("ahead "):
        column, times = key.removeprefix("ahead ").split(" from ")
        start, end = (float(time) for time in times.split(" to "))
        return ahead(run, column, start, end)
    if key.startswith("peak "):
        values = run.series[key.removeprefix("peak ")]
        return float(values[np.argmax(np.abs(values))])
    if " at " in key:
        column, time = key.rsplit(" at ", 1)
        return float(np.interp(float(time), run.series["Time [s]"], run.series[column]))
    if key == "lithium_lost":
        return float(run.series["Lithium [mol]"][0] - run.summary["lithium_discharge_end"])
    value = run.summary[key]
    return float("nan") if value is None else float(value)


def ahead(run: Solution, column: str, start: float, end: float) -> float:
    """Return the mean over a time [s] by which particle 1 is above particle 2 in a column."""
    times = np.linspace(start, end, 200)
    one, two = (
        np.interp(times, run.series["Time [s]"], run.series[column.replace("cle k", f"cle {k}")])
        for k in (1, 2)
    )
    return float(np.mean(one - two))


def grows(
    runs: Runs, key: str, names: Sequence[str], sign: int = 1, share: float = 0.0
) -> Callable[[], bool]:
    """Return a test of a trend: a number rises (falls: sign -1) from case to case.

    Args:
        runs: The runs by the names of their cases.
        key: Key of the number, as `read` knows it.
        names: Names of the cases in their order.
        sign: 1 or -1.
        share: Least change from one case to the next, over the last value [-].
    """
    return lambda: rising([sign * read(runs[name], key) for name in names], share)


def marks(study: str, labels: Mapping[str, str], columns: Sequence[str]) -> list[Reference]:
    """Return the numbers of the paper that can be marked in panels, once each.

    Args:
        study: Name of a study.
        labels: Name of a case -> label of the run in the figure; other cases are left out.
        columns: Columns of the panels.
    """
    found = {}
    for target in read_targets(TARGETS, study):
        column, when = place(target.key)
        label = labels.get(target.case)
        generic = re.sub(r"particle \d", "particle k", column)
        if label is not None and when is not None and {column, generic} & {*columns}:
            found[label, column, when] = Reference(
                run=label, column=column, when=when, value=target.value, source="Yuan et al. 2023"
            )
    return list(found.values())


def place(key: str) -> tuple[str, float | str | None]:
    """Return column and time of a number; no time if it is none of a series."""
    if key.startswith("peak "):
        return key.removeprefix("peak "), "charge end"
    if " at " in key:
        column, time = key.rsplit(" at ", 1)
        return column, float(time)
    for half in ("charge", "discharge"):
        name = key.removesuffix(f"_{half}_end")
        if name in COLUMNS:
            return COLUMNS[name], f"{half} end"
    return key, None

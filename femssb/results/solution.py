"""What comes out of a run: series, protocol steps, fields, inputs, performance; on disk and back.

A folder of results holds ``summary.json`` (the numbers of `SUMMARY`), ``timeseries.csv`` (the
columns of `COLUMNS` and `PARTICLE_COLUMNS`), ``case.json`` (every input), ``run.json`` (protocol
steps and performance) and ``fields/`` (see `femssb.results.fields`). All is SI; discharge current
is positive.
"""

from __future__ import annotations

import csv
import json
import math
import numbers
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.environment.files import make_folder, replacing
from femssb.errors import InputError
from femssb.results.fields import FieldData, Snapshot, Snapshots
from femssb.results.quantities import COLUMNS, PARTICLE_COLUMNS, check_columns
from femssb.units import GPa, nm, pmol

__all__ = [
    "COLUMNS",
    "PARTICLE_COLUMNS",
    "SUMMARY",
    "FieldData",
    "Snapshot",
    "Snapshots",
    "Solution",
    "StepRecord",
]

Kind = Literal["charge", "discharge", "hold", "rest"]
End = Literal["voltage", "current", "duration"]

# Summary key -> (column, meaning): read at the end of charge and of discharge.
_AT_ENDS = {
    "voltage": ("Voltage [V]", "voltage [V]"),
    "lithium": ("Lithium [mol]", "lithium in all particles [mol]"),
    "gap_mean": ("Mean gap [m]", "mean interface gap [m]"),
    "gap_max": ("Maximum gap [m]", "largest interface gap [m]"),
    "debonded_fraction": ("Debonded area fraction", "debonded share of the interface [-]"),
    "voltage_drop_mean": ("Mean interface voltage drop [V]", "mean interface voltage drop [V]"),
    "voltage_drop_max": ("Maximum interface voltage drop [V]", "largest interface drop [V]"),
    "von_mises_max": ("Maximum von Mises stress [Pa]", "largest von Mises stress [Pa]"),
    "von_mises_p999": ("99.9 % von Mises stress [Pa]", "exceeded in 0.1 % of the volume [Pa]"),
    "von_mises_p99": ("99 % von Mises stress [Pa]", "exceeded in 1 % of the volume [Pa]"),
    "von_mises_mean": ("Mean von Mises stress [Pa]", "mean von Mises stress [Pa]"),
    "volumetric_strain_max": ("Minimum volumetric strain [-]", "most negative one [-]"),
    "volumetric_strain_p999": ("0.1 % volumetric strain [-]", "0.1 % of the volume is below [-]"),
    "volumetric_strain_p99": ("1 % volumetric strain [-]", "1 % of the volume is below [-]"),
    "volumetric_strain_mean": ("Mean volumetric strain [-]", "mean volumetric strain [-]"),
    "particle_volume_change": ("Particle volume change [-]", "relative volume change [-]"),
}
# Summary key -> meaning, for what the simulation measures about itself: keys of `performance`.
_PERFORMANCE = {
    "rejected_steps": "time steps that were cut and tried again",
    "factorisations": "matrix factorisations",
    "wall_time": "wall time of the run [s]",
    "peak_memory": "largest resident memory, sum over ranks [byte]",
    "ranks": "MPI ranks",
}
# Every key of summary.json. A key that does not apply, or whose value is not finite, is null. With
# several cycles, "charge" is the first and "discharge" the first after it; a half-cycle includes
# the holds that follow its current steps, its time leaves rests out.
SUMMARY = {
    "charge_time": "time on charge [s]",
    "discharge_time": "time on discharge [s]",
    "coulombic_efficiency": "discharge time over charge time [-]",
    "coulombic_efficiency_lithium": "lithium put back on discharge over lithium taken [-]",
    "lithium_initial": "lithium in all particles at the start [mol]",
    **{
        f"{key}_{half}_end": f"{meaning}, at the end of {half}"
        for half in ("charge", "discharge")
        for key, (_, meaning) in _AT_ENDS.items()
    },
    "cohesive_energy_dissipated": "by debonding, whole run [J]",
    "viscous_energy_dissipated": "by the viscous regularisation, whole run [J]",
    "ledger_error": "largest |lithium ledger error| of all steps [-]",
    "interface_current_error": "largest |interface current error| of all steps [-]",
    "simulated_time": "time at the last row [s]",
    "steps": "accepted time steps",
    "newton_iterations": "whole run",
    "linear_iterations": "whole run",
    "coupling_iterations": "whole run",
    **_PERFORMANCE,
    "ended_by": "what ended each protocol step, in their order",
    "versions": "of femssb and what it stands on",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRecord:
    """How one step of the protocol went."""

    description: str  # such as "Charge 1C until 4.3 V"
    kind: Kind
    start_row: int  # row of the series at which the step starts
    end_row: int  # row at which it ends; the next step starts there
    start_time: float  # [s]
    end_time: float  # [s]
    ended_by: End

    @property
    def duration(self) -> float:
        """Length of the step [s]."""
        return self.end_time - self.start_time


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Solution:
    """Everything a run produced; of several ranks, only the first has fields, prints and draws.

    Raises:
        InputError: If a column of `COLUMNS` is missing, one is unknown, their lengths differ, or a
            protocol step lies outside the rows.
    """

    series: Mapping[str, NDArray[Any]]  # column -> (rows,); kept read-only
    steps: tuple[StepRecord, ...]  # the protocol's steps in their order
    snapshots: Sequence[Snapshot]  # in time; a `Snapshots` reads each when asked for
    case: Mapping[str, Any]  # every input of the run, ready for JSON
    performance: Mapping[str, Any]  # wall_time [s], ranks, versions and whatever else was measured
    first_rank: bool = True  # whether this rank prints and draws

    def __post_init__(self) -> None:
        """Check the series and the rows of the steps."""
        check_columns(self.series)
        series = {name: np.array(values) for name, values in self.series.items()}
        rows = len(series["Time [s]"])
        for name, values in series.items():
            if values.shape != (rows,) or rows == 0 or values.dtype.kind not in "fiu":
                raise InputError(
                    f"Solution.series[{name!r}] must be numbers, as many as times ({rows}) and at "
                    f"least one, got {values.dtype} of shape {values.shape}"
                )
            values.flags.writeable = False
        for step in self.steps:
            if not 0 <= step.start_row <= step.end_row < rows:
                raise InputError(
                    f"Solution.steps: {step.description!r} spans rows {step.start_row} to "
                    f"{step.end_row}, outside [0, {rows - 1}]"
                )
        object.__setattr__(self, "series", series)

    @property
    def charge(self) -> tuple[StepRecord, ...]:
        """The first charge: its current steps and the holds that follow, without rests."""
        return _half_cycle(self.steps, "charge")

    @property
    def discharge(self) -> tuple[StepRecord, ...]:
        """The first discharge after `charge` (the first at all without a charge), likewise."""
        after = self.charge[-1].end_row if self.charge else 0
        return _half_cycle([step for step in self.steps if step.start_row >= after], "discharge")

    @property
    def snapshot_times(self) -> tuple[float, ...]:
        """Time of every snapshot [s], found without reading any field."""
        if isinstance(self.snapshots, Snapshots):
            return self.snapshots.times
        return tuple(snapshot.time for snapshot in self.snapshots)

    def time_of(self, moment: str) -> float:
        """Return when a moment of the run was [s].

        Args:
            moment: "charge end" or "discharge end", of `charge` and `discharge` and so with their
                holds; or the label of a snapshot, such as "charge middle".

        Raises:
            InputError: If there was no such moment.
        """
        ends = {"charge end": self.charge, "discharge end": self.discharge}
        times = {name: half[-1].end_time for name, half in ends.items() if half}
        for label, time in zip(self._snapshot_labels, self.snapshot_times, strict=True):
            times.setdefault(label, time)
        if moment not in times:
            raise InputError(f"moment = {moment!r} is none of this run's: it has {sorted(times)}")
        return times[moment]

    def snapshot_at(self, moment: str) -> Snapshot:
        """Return the fields at a moment that `time_of` knows.

        Raises:
            InputError: If there was no such moment, or its fields were not kept.
        """
        time = self.time_of(moment)
        if time not in self.snapshot_times:
            raise InputError(
                f"moment = {moment!r}, {time:g} s: the run kept its fields at "
                f"{[f'{kept:g}' for kept in self.snapshot_times]} s only"
            )
        return self.snapshots[self.snapshot_times.index(time)]

    @property
    def _snapshot_labels(self) -> tuple[str, ...]:
        if isinstance(self.snapshots, Snapshots):
            return self.snapshots.labels
        return tuple(snapshot.label for snapshot in self.snapshots)

    @property
    def summary(self) -> dict[str, Any]:
        """The run in plain numbers: the keys of `SUMMARY`, None where one does not apply."""
        series = self.series
        lithium = series["Lithium [mol]"]
        values: dict[str, Any] = dict.fromkeys(SUMMARY)
        values["lithium_initial"] = lithium[0]
        for name, half in (("charge", self.charge), ("discharge", self.discharge)):
            if half:
                values[f"{name}_time"] = sum(step.duration for step in half)
                for key, (column, _) in _AT_ENDS.items():
                    values[f"{key}_{name}_end"] = series[column][half[-1].end_row]
        if self.charge and self.discharge:
            taken = lithium[self.charge[0].start_row] - values["lithium_charge_end"]
            returned = values["lithium_discharge_end"] - values["lithium_charge_end"]
            values["coulombic_efficiency"] = values["discharge_time"] / values["charge_time"]
            values["coulombic_efficiency_lithium"] = returned / taken if taken else None
        for part in ("cohesive", "viscous"):
            column = f"{part.capitalize()} energy dissipated [J]"
            values[f"{part}_energy_dissipated"] = series[column][-1]
        values["ledger_error"] = np.max(np.abs(series["Lithium ledger error [-]"]))
        values["interface_current_error"] = np.max(np.abs(series["Interface current error [-]"]))
        values["simulated_time"] = series["Time [s]"][-1] - series["Time [s]"][0]
        values["steps"] = len(lithium) - 1
        for part in ("newton", "linear", "coupling"):
            values[f"{part}_iterations"] = int(np.sum(series[f"{part.capitalize()} iterations"]))
        values |= {key: self.performance.get(key) for key in _PERFORMANCE}
        values["ended_by"] = ", ".join(step.ended_by for step in self.steps)
        versions = self.performance.get("versions") or {}
        values["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
        return {key: _plain(value, f"summary[{key!r}]") for key, value in values.items()}

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the run to a folder; each file is replaced whole.

        Args:
            folder: The folder; made if it does not exist.

        Raises:
            InputError: If the folder cannot be made, or an input is not plain data.
        """
        target = make_folder(Path(folder))
        run = {
            "format": _FORMAT,
            "rows": len(self.series["Time [s]"]),
            "steps": [asdict(step) for step in self.steps],
            "performance": _plain(self.performance, "Solution.performance"),
        }
        documents = {
            "case.json": _plain(self.case, "Solution.case"),
            "summary.json": self.summary,
            "run.json": run,
        }
        in_place = isinstance(self.snapshots, Snapshots) and (
            self.snapshots.folder.resolve() == target.resolve()
        )
        for snapshot in () if in_place else self.snapshots:
            snapshot.write(target)
        with (
            replacing(target / "timeseries.csv") as path,
            path.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.series)
            writer.writerows(
                zip(*(values.tolist() for values in self.series.values()), strict=True)
            )
        for name, document in documents.items():
            with replacing(target / name) as path:
                text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
                path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Solution:
        """Read a run back; fields are read when they are asked for.

        Args:
            folder: The folder a run was saved to.

        Returns:
            The run. What was not finite in `case` or `performance` is None.

        Raises:
            InputError: If a file is missing, truncated, or not one of femssb's.
        """
        source = Path(folder)
        run = _read_json(source / "run.json")
        if run.get("format") != _FORMAT:
            raise InputError(
                f"{source / 'run.json'} is not of this femssb: its format is "
                f"{run.get('format')!r}, {_FORMAT!r} is needed"
            )
        try:
            rows = int(run["rows"])
            performance = dict(run["performance"])
            names = [field.name for field in fields(StepRecord)]
            steps = tuple(
                StepRecord(**{name: step[name] for name in names}) for step in run["steps"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{source / 'run.json'} lacks or spoils {error}") from error
        series = _read_series(source / "timeseries.csv", rows)
        return cls(
            series=series,
            steps=steps,
            snapshots=Snapshots(source),
            case=_read_json(source / "case.json"),
            performance=performance,
        )

    def report(self) -> None:
        """Print the run as a table: its steps, then the ends of charge and discharge."""
        if self.first_rank:
            print(_report(self))  # noqa: T201 - printing is what it is for


_FORMAT = "femssb run 1"


def _half_cycle(steps: Sequence[StepRecord], kind: Kind) -> tuple[StepRecord, ...]:
    first = next((row for row, step in enumerate(steps) if step.kind == kind), len(steps))
    half = []
    for step in steps[first:]:
        if step.kind not in (kind, "hold", "rest"):
            break
        half.append(step)
    return tuple(step for step in half if step.kind != "rest")


def _plain(value: Any, name: str) -> Any:
    """Return plain data that JSON can hold; None for what is not finite."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item, f"{name}[{row}]") for row, item in enumerate(value)]
    raise InputError(f"{name} must be plain data, got {type(value).__name__} {value!r}")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the results in {path}: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is truncated or not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} is not one of femssb's: it holds no object")
    return document


def _read_series(path: Path, rows: int) -> dict[str, NDArray[Any]]:
    """Read a time series; `rows` is the least it must have."""
    text = _read_text(path)
    header, *lines = list(csv.reader(text.splitlines())) or [[]]
    check_columns(dict.fromkeys(header))
    if not text.endswith("\n"):
        raise InputError(f"{path} is truncated: its last row does not end")
    for row, line in enumerate(lines):
        if len(line) != len(header):
            raise InputError(
                f"{path} is truncated: row {row} has {len(line)} of {len(header)} values"
            )
    if len(lines) < rows:
        raise InputError(f"{path} is truncated: it has {len(lines)} of {rows} rows")
    series = {}
    for name, column in zip(header, zip(*lines, strict=True), strict=True):
        whole = all(re.fullmatch(r"-?\d+", value) for value in column)
        try:
            series[name] = np.array(column, dtype=np.str_).astype(np.int64 if whole else np.float64)
        except ValueError as error:
            raise InputError(f"{path}, column {name!r}: {error}") from error
    return series


def _report(solution: Solution) -> str:
    """Return the table that `Solution.report` prints."""
    summary = solution.summary

    def cell(value: float | None, unit: float = 1.0, form: str = ".4g") -> str:
        return "-" if value is None else format(value / unit, form)

    lines = [
        f"{summary['steps']} time steps, {cell(summary['simulated_time'], form='.1f')} s simulated "
        f"in {cell(summary['wall_time'], form='.1f')} s on {cell(summary['ranks'])} rank(s)",
        "",
        f"{'Step':<34}{'from [s]':>10}{'to [s]':>10}{'[V]':>9}  ended by",
    ]
    for step in solution.steps:
        voltage = solution.series["Voltage [V]"][step.end_row]
        lines.append(
            f"{step.description:<34}{step.start_time:>10.1f}{step.end_time:>10.1f}"
            f"{voltage:>9.4f}  {step.ended_by}"
        )
    lines += ["", f"{'At the end of':<34}{'charge':>14}{'discharge':>14}"]
    for label, key, unit in (
        ("Lithium [pmol]", "lithium", pmol),
        ("Mean gap [nm]", "gap_mean", nm),
        ("Maximum gap [nm]", "gap_max", nm),
        ("Debonded area [%]", "debonded_fraction", 0.01),
        ("Mean interface voltage drop [mV]", "voltage_drop_mean", 1e-3),
        ("Maximum von Mises stress [GPa]", "von_mises_max", GPa),
        ("  exceeded in 0.1 % of the volume", "von_mises_p999", GPa),
        ("  exceeded in 1 % of the volume", "von_mises_p99", GPa),
        ("  mean", "von_mises_mean", GPa),
        ("Minimum volumetric strain [%]", "volumetric_strain_max", 0.01),
        ("  0.1 % of the volume is below", "volumetric_strain_p999", 0.01),
        ("  1 % of the volume is below", "volumetric_strain_p99", 0.01),
        ("  mean", "volumetric_strain_mean", 0.01),
    ):
        ends = (cell(summary[f"{key}_{half}_end"], unit) for half in ("charge", "discharge"))
        lines.append(f"{label:<34}" + "".join(f"{end:>14}" for end in ends))
    times = (cell(summary[f"{half}_time"], form=".1f") for half in ("charge", "discharge"))
    lines.append(f"{'Time [s]':<34}" + "".join(f"{time:>14}" for time in times))
    lines += [
        "",
        f"Lithium at the start [pmol]       {cell(summary['lithium_initial'], pmol)}",
        "Coulombic efficiency [%]          "
        f"{cell(summary['coulombic_efficiency'], 0.01)} by time, "
        f"{cell(summary['coulombic_efficiency_lithium'], 0.01)} by lithium",
        f"Lithium ledger error [-]          {cell(summary['ledger_error'], form='.1e')}",
        f"Interface current error [-]       {cell(summary['interface_current_error'], form='.1e')}",
    ]
    return "\n".join(lines)

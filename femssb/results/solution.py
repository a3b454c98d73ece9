"""A finished run: series, protocol steps, fields, inputs and performance, in memory and on disk.

A folder of results holds ``summary.json`` (the numbers of `SUMMARY`), ``timeseries.csv`` (the
columns of `COLUMNS`, `PARTICLE_COLUMNS`, `CONTACT_COLUMNS`, `CRACK_COLUMNS` and `BLEND_COLUMNS`),
``cycles.csv`` (a row per cycle: its number and the numbers of `CYCLE`, empty where one does not
apply), ``case.json`` (every input), ``run.json`` (protocol steps, warnings and performance) and
``fields/`` (see `femssb.results.fields`). The files change together, and ``SHA256SUMS`` tells
whether each is as it was written. All is SI; discharge current is positive.
"""

from __future__ import annotations

import csv
import io
import json
import math
import numbers
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.description import checked
from femssb.environment.files import (
    given_path,
    read_together,
    replacing_together,
    take_over,
    writing,
)
from femssb.environment.lock import locked
from femssb.environment.packages import load
from femssb.errors import InputError, shown
from femssb.results.cycles import CURRENT, cycle_numbers, half_cycles
from femssb.results.fields import Snapshot, Snapshots
from femssb.results.folder import DOCUMENTS, FIELDS_FOLDER, begin_anew, results_in
from femssb.results.quantities import (
    AT_ENDS,
    CYCLE,
    OF_RUN,
    PEAKS,
    PERFORMANCE,
    SUMMARY,
    check_columns,
    on_axis,
)
from femssb.units import hour

if TYPE_CHECKING:
    from pandas import DataFrame

Kind = Literal["charge", "discharge", "hold", "rest", "drive"]
# "concentration": lithium ran out or no longer fitted; "already passed": what was to end the step
# was passed as soon as its load acted.
End = Literal[
    "voltage", "current", "duration", "capacity", "condition", "concentration", "already passed"
]

_FORMAT = "femssb run 2"


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class StepRecord:
    """A step of the protocol that is over.

    Attributes:
        description: The step in words, such as "Charge 1C until 4.3 V".
        kind: "charge", "discharge", "hold", "rest" or "drive".
        start_row: Row of the series at which it starts.
        end_row: Row at which it ends; the next step starts there.
        start_time: Time at which it starts [s].
        end_time: Time at which it ends [s].
        ended_by: "voltage", "current", "duration", "capacity" or "condition", as asked for;
            "concentration" where lithium ran out or no longer fitted; "already passed" where the
            end was passed as soon as the load acted.
    """

    description: str
    kind: Kind
    start_row: int
    end_row: int
    start_time: float
    end_time: float
    ended_by: End

    @property
    def duration(self) -> float:
        """Length of the step [s]."""
        return self.end_time - self.start_time


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class CycleRecord:
    """A charge and the discharge after it; one of them may be missing.

    Attributes:
        number: From 1, the first charge; 0 is a discharge before it.
        charge: Its current steps and the holds that follow, without rests.
        discharge: The same of the discharge.
        numbers: The keys of `CYCLE`, None where one does not apply.
    """

    number: int
    charge: tuple[StepRecord, ...]
    discharge: tuple[StepRecord, ...]
    numbers: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Solution:
    """Everything a run produced; of several ranks, only the first has fields, prints and draws.

    Attributes:
        series: Column -> values (rows,), kept read-only; see `COLUMNS` and `PARTICLE_COLUMNS`.
        steps: The steps of the protocol in their order.
        snapshots: All fields at chosen times, in time; `Snapshots` reads each when asked for.
        case: Every input of the run, ready for JSON.
        performance: Wall time [s], ranks, versions and everything else that was measured.
        first_rank: Whether this rank prints and draws.
        warnings: What cannot be trusted: sentences that name a quantity, its value and its bound.

    Raises:
        InputError: If a column of `COLUMNS` is missing, one is unknown, their lengths differ, or a
            protocol step lies outside the rows.
    """

    series: Mapping[str, NDArray[Any]]
    steps: tuple[StepRecord, ...]
    snapshots: Sequence[Snapshot]
    case: Mapping[str, Any]
    performance: Mapping[str, Any]
    first_rank: bool = True
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the series and the rows of the steps."""
        for field, kind in (
            ("series", Mapping),
            ("steps", list | tuple),
            ("snapshots", Sequence),
            ("case", Mapping),
            ("performance", Mapping),
            ("first_rank", bool),
        ):
            if not isinstance(value := getattr(self, field), kind):
                raise InputError(f"Solution.{field} = {shown(value)} is of the wrong type")
        check_columns(self.series)
        series = {}
        for name, values in self.series.items():
            try:
                series[name] = np.array(values)
            except (TypeError, ValueError) as error:
                raise InputError(f"Solution.series[{name!r}] must be numbers: {error}") from error
        rows = len(series["Time [s]"])
        for name, values in series.items():
            if values.shape != (rows,) or rows == 0 or values.dtype.kind not in "fiu":
                raise InputError(
                    f"Solution.series[{name!r}] must be numbers, as many as times ({rows}) and at "
                    f"least one, got {values.dtype} of shape {values.shape}"
                )
            values.flags.writeable = False
        for step in self.steps:
            if not isinstance(step, StepRecord):
                raise InputError(f"Solution.steps must hold StepRecords, got {shown(step)}")
            if not 0 <= step.start_row <= step.end_row < rows:
                raise InputError(
                    f"Solution.steps: {step.description!r} spans rows {step.start_row} to "
                    f"{step.end_row}, outside [0, {rows - 1}]"
                )
        object.__setattr__(self, "series", series)

    def __repr__(self) -> str:
        """Return what the run holds, in a line."""
        rows, cycles = len(self.series["Time [s]"]), len(self.cycles)
        time = self.series["Time [s]"][-1]
        parts = {
            "protocol step": len(self.steps),
            "cycle": cycles,
            "row": rows,
            "snapshot": len(self.snapshots),
            "warning": len(self.warnings),
        }
        words = [f"{n} {name}{'' if n == 1 else 's'}" for name, n in parts.items()]
        return f"<Solution of {time:.6g} s: {', '.join(words)}>"

    @checked
    def to_dataframe(self, table: Literal["series", "cycles"] = "series") -> DataFrame:
        """Return a table of the run for pandas.

        Args:
            table: "series" for the columns of `COLUMNS`, a row for each time step; "cycles" for
                the keys of `CYCLE`, a row for each cycle, by its number.

        Raises:
            EngineError: If pandas is missing.
        """
        pandas = load("pandas", extra="pandas")
        if table == "series":
            return pandas.DataFrame(dict(self.series))
        numbers = pandas.Index([cycle.number for cycle in self.cycles], name="cycle", dtype=int)
        rows = [dict(cycle.numbers) for cycle in self.cycles]
        return pandas.DataFrame(rows, index=numbers, columns=list(CYCLE), dtype=float)

    @property
    def cycles(self) -> tuple[CycleRecord, ...]:
        """The cycles of the protocol steps that are over, in their order."""
        kinds = [step.kind for step in self.steps]
        found: dict[int, dict[str, list[StepRecord]]] = {}
        rows = zip(self.steps, cycle_numbers(kinds), half_cycles(kinds), strict=True)
        for step, number, half in rows:
            if half is not None:
                found.setdefault(number, {name: [] for name in CURRENT})[half].append(step)
        return tuple(
            self._cycle(number, tuple(halves["charge"]), tuple(halves["discharge"]))
            for number, halves in found.items()
        )

    def _cycle(
        self, number: int, charge: tuple[StepRecord, ...], discharge: tuple[StepRecord, ...]
    ) -> CycleRecord:
        values: dict[str, Any] = dict.fromkeys(CYCLE)
        for name, half, sign in (("charge", charge, -1), ("discharge", discharge, 1)):
            if half:
                passed, energy = sign * np.sum([self._passed(step) for step in half], axis=0)
                values[f"{name}_time"] = sum(step.duration for step in half)
                values[f"{name}_capacity"] = passed
                values[f"{name}_capacity_Ah"] = passed / hour
                values[f"{name}_energy"] = energy
                values[f"{name}_voltage"] = energy / passed if passed else None
                for one in AT_ENDS:
                    if one.name in self.series:
                        values[f"{one.key}_{name}_end"] = self.series[one.name][half[-1].end_row]
        if charge and discharge and discharge[0].start_row >= charge[-1].end_row:
            for key, quantity in (
                ("coulombic_efficiency", "capacity"),
                ("energy_efficiency", "energy"),
                ("discharge_over_charge_time", "time"),
            ):
                taken, returned = (values[f"{half}_{quantity}"] for half in CURRENT)
                values[key] = returned / taken if taken > 0 else None
        if steps := charge + discharge:
            rows = slice(min(s.start_row for s in steps), max(s.end_row for s in steps) + 1)
            for one in AT_ENDS:
                if one.key in PEAKS:
                    values[f"{one.key}_peak"] = self.series[one.name][rows].max()
        numbers = {key: _plain(value, f"cycle[{key!r}]") for key, value in values.items()}
        return CycleRecord(number=number, charge=charge, discharge=discharge, numbers=numbers)

    def _passed(self, step: StepRecord) -> tuple[float, float]:
        """Return charge [C] and energy [J] that a step took out of the cell.

        The voltage in the first row of a step is that under the load before it.
        """
        rows = slice(step.start_row, step.end_row + 1)
        charge = np.diff(self.series["Discharge capacity [C]"][rows])
        voltage = self.series["Voltage [V]"][rows][1:]
        mean = np.concatenate([voltage[:1], (voltage[1:] + voltage[:-1]) / 2])
        return float(charge.sum()), float(charge @ mean)

    @property
    def _first_cycle(self) -> CycleRecord:
        """The first cycle; where no discharge follows its charge, with the one before it."""
        cycles = {cycle.number: cycle for cycle in self.cycles}
        zero, one = cycles.get(0), cycles.get(1)
        charge, discharge = (one.charge, one.discharge) if one else ((), ())
        return self._cycle(1, charge, discharge or (zero.discharge if zero else ()))

    @property
    def charge(self) -> tuple[StepRecord, ...]:
        """The first charge: its current steps and the holds that follow, without rests."""
        return self._first_cycle.charge

    @property
    def discharge(self) -> tuple[StepRecord, ...]:
        """The first discharge after `charge`, likewise; the first at all where none follows it."""
        return self._first_cycle.discharge

    @property
    def snapshot_times(self) -> tuple[float, ...]:
        """Time of every snapshot [s], found without reading any field."""
        if isinstance(self.snapshots, Snapshots):
            return self.snapshots.times
        return tuple(snapshot.time for snapshot in self.snapshots)

    @checked
    def time_of(self, moment: str) -> float:
        """Return the time of a moment of the run [s].

        Args:
            moment: "charge end" or "discharge end" of the first cycle, the holds after them
                included as in `charge` and `discharge`; "cycle 2 charge end" of the second, and so
                on; or the label of a snapshot, such as "cycle 2 charge middle".

        Raises:
            InputError: If there was no such moment.
        """
        first = {"charge end": self.charge, "discharge end": self.discharge}
        times = {name: half[-1].end_time for name, half in first.items() if half}
        for cycle in self.cycles:
            for name, half in (("charge end", cycle.charge), ("discharge end", cycle.discharge)):
                if half:
                    times[f"cycle {cycle.number} {name}"] = half[-1].end_time
        own = self.snapshots
        labels = own.labels if isinstance(own, Snapshots) else [one.label for one in own]
        for label, time in zip(labels, self.snapshot_times, strict=True):
            times.setdefault(label, time)
        if moment not in times:
            raise InputError(f"moment = {moment!r} is none of this run's: it has {sorted(times)}")
        return times[moment]

    @checked
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
    def summary(self) -> dict[str, Any]:
        """The run in plain numbers: the keys of `SUMMARY`, None where one does not apply."""
        series, performance = self.series, self.performance
        lithium, times = series["Lithium [mol]"], series["Time [s]"]
        first, cycles = self._first_cycle, self.cycles
        values: dict[str, Any] = dict.fromkeys(SUMMARY)
        values |= {
            "cycles": sum(bool(cycle.charge and cycle.discharge) for cycle in cycles),
            "cycle": first.number if cycles else None,
            **first.numbers,
        }
        for quantity in OF_RUN:
            column = series[quantity.name]
            read = {"last": column[-1], "largest": np.max(np.abs(column)), "sum": np.sum(column)}
            values[quantity.key] = read[quantity.read]
        values |= {key: performance.get(key) for key in PERFORMANCE}
        versions = performance.get("versions") or {}
        values |= {
            "lithium_initial": lithium[0],
            "simulated_time": times[-1] - times[0],
            "steps": len(times) - 1,
            "ended_by": ", ".join(step.ended_by for step in self.steps),
            "warnings": list(self.warnings),
            "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        }
        return {key: _plain(value, f"summary[{key!r}]") for key, value in values.items()}

    @checked
    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the run to a folder, all of it or nothing.

        Args:
            folder: The folder; made if it does not exist.
            overwrite: Whether to replace the results of another run there, checkpoints included.
                Those that this run was loaded from are replaced in any case.

        Raises:
            InputError: If the folder holds the results of another run, or one is going on in it, it
                cannot be written to, or an input is not plain data.
        """
        target = given_path("Solution.save", "folder", folder)
        documents = self.documents()
        same = isinstance(self.snapshots, Snapshots) and (
            self.snapshots.folder.resolve() == target.resolve()
        )
        with locked(target):
            if same:
                with replacing_together(target) as new:
                    write_documents(new, documents)
                return
            if not overwrite and (found := results_in(target)):
                raise InputError(f"{found}: save with overwrite=True replaces them")
            starting = begin_anew(target)
            try:
                for snapshot in self.snapshots:
                    snapshot.write(starting)
                with replacing_together(starting) as new:
                    write_documents(new, documents)
                (starting / FIELDS_FOLDER).mkdir(exist_ok=True)  # where empty, that there goes
                take_over(target, starting)
            finally:
                shutil.rmtree(starting, ignore_errors=True)

    def documents(self) -> dict[str, str]:
        """Return the files of the run but its fields: name -> text.

        Raises:
            InputError: If an input is not plain data.
        """
        run = {
            "format": _FORMAT,
            "rows": len(self.series["Time [s]"]),
            "steps": [asdict(step) for step in self.steps],
            "warnings": list(self.warnings),
            "performance": _plain(self.performance, "Solution.performance"),
        }
        case = _plain(self.case, "Solution.case")
        columns = [values.tolist() for values in self.series.values()]
        cycles = [[cycle.number, *cycle.numbers.values()] for cycle in self.cycles]
        plain = {"case.json": case, "summary.json": self.summary, "run.json": run}
        return {
            "timeseries.csv": _table([self.series, *zip(*columns, strict=True)]),
            "cycles.csv": _table([["cycle", *CYCLE], *cycles]),
        } | {
            name: json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
            for name, document in plain.items()
        }

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Solution:
        """Read a run back; fields are read when they are asked for.

        Args:
            folder: The folder a run was saved to.

        Returns:
            The run; None stands for values of `case` and `performance` that were not finite.

        Raises:
            InputError: If a file is missing, is not as it was written, or is of another program.
        """
        source = given_path("Solution.load", "folder", folder)
        files = read_together(source, DOCUMENTS)
        run = _read_json(source / "run.json", files["run.json"])
        if run.get("format") != _FORMAT:
            raise InputError(
                f"{source / 'run.json'} is not of this femssb: its format is "
                f"{run.get('format')!r}, {_FORMAT!r} is needed"
            )
        try:
            rows = int(run["rows"])
            performance = dict(run["performance"])
            steps = tuple(StepRecord(**step) for step in run["steps"])
            warnings = tuple(map(str, run["warnings"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{source / 'run.json'} lacks or spoils {error}") from error
        return cls(
            series=_read_series(source / "timeseries.csv", files["timeseries.csv"], rows),
            steps=steps,
            snapshots=Snapshots(source),
            case=_read_json(source / "case.json", files["case.json"]),
            performance=performance,
            warnings=warnings,
        )

    def report(self) -> None:
        """Print the run as a table: its steps, the ends of charge and discharge, its warnings."""
        if self.first_rank:
            print(_report(self))  # noqa: T201 - it is asked to print


def write_documents(folder: Path, documents: Mapping[str, str]) -> None:
    """Write files of text into a folder.

    Raises:
        InputError: If that is not possible.
    """
    for name, text in documents.items():
        with writing(folder / name):
            (folder / name).write_text(text, encoding="utf-8", newline="")


def _table(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _plain(value: Any, name: str) -> Any:
    """Return plain data that JSON can hold; None for what is not finite."""
    if isinstance(value, np.ndarray | np.bool_):
        value = value.tolist()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{name}[{row}]") for row, item in enumerate(value)]
    raise InputError(f"{name} must be plain data, got {type(value).__name__} {shown(value)}")


def _read_json(path: Path, content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is truncated or not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} is of another program: it holds no object")
    return document


def _read_series(path: Path, content: bytes, rows: int) -> dict[str, NDArray[Any]]:
    """Read a time series of so many rows."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read the results in {path}: {error}") from error
    header, *lines = list(csv.reader(text.splitlines())) or [[]]
    check_columns(dict.fromkeys(header))
    if not text.endswith("\n"):
        raise InputError(f"{path} is truncated: its last row does not end")
    for row, line in enumerate(lines):
        if len(line) != len(header):
            raise InputError(
                f"{path} is truncated: row {row} has {len(line)} of {len(header)} values"
            )
    if len(lines) != rows:
        raise InputError(f"{path} does not fit run.json: it has {len(lines)} of {rows} rows")
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

    def at_ends(label: str, key: str, unit: float = 1.0, form: str = ".4g") -> str:
        ends = (cell(summary[key.format(half)], unit, form) for half in ("charge", "discharge"))
        return f"{label:<36}" + "".join(f"{end:>14}" for end in ends)

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
    several = len(solution.cycles) > 1
    head = f"Cycle {summary['cycle']}, at the end of" if several else "At the end of"
    lines += ["", f"{head:<36}{'charge':>14}{'discharge':>14}"]
    for quantity in AT_ENDS:
        if quantity.name not in solution.series:
            continue
        label, unit = on_axis(quantity.name)
        lines.append(at_ends(label, f"{quantity.key}_{{}}_end", unit))
    lithium, unit = on_axis("Lithium [mol]")
    capacity, charge = on_axis("Capacity [C]")
    shown = {
        "Coulombic efficiency [%]": cell(summary["coulombic_efficiency"], 0.01),
        f"{lithium}, at the start": cell(summary["lithium_initial"], unit),
        "Lithium ledger error [-]": cell(summary["ledger_error"], form=".1e"),
        "Interface current error [-]": cell(summary["interface_current_error"], form=".1e"),
    }
    lines += [at_ends("Time taken [s]", "{}_time", form=".1f")]
    lines += [at_ends(capacity, "{}_capacity", charge), ""]
    lines += [f"{label:<36}{number}" for label, number in shown.items()]
    if several:
        lines += ["", *_cycle_table(solution.cycles)]
    if solution.warnings:
        lines += ["", "Warnings", *(f"- {sentence}" for sentence in solution.warnings)]
    return "\n".join(lines)


def _cycle_table(cycles: Sequence[CycleRecord]) -> list[str]:
    """Return a line for each cycle: charge passed, efficiency, and mean gap at both ends."""
    (_, micro), (_, nanometre) = on_axis("Capacity [C]"), on_axis("Mean gap [m]")
    columns = [(f"{half} [µC]", f"{half}_capacity", micro) for half in CURRENT]
    columns += [("efficiency [%]", "coulombic_efficiency", 0.01)]
    columns += [(f"gap {half}d [nm]", f"gap_mean_{half}_end", nanometre) for half in CURRENT]
    lines = [f"{'Cycle':<8}" + "".join(f"{head:>20}" for head, *_ in columns)]
    for cycle in cycles:
        values = [(cycle.numbers[key], unit) for _, key, unit in columns]
        shown = ("-" if value is None else f"{value / unit:.4g}" for value, unit in values)
        lines.append(f"{cycle.number:<8}" + "".join(f"{text:>20}" for text in shown))
    return lines

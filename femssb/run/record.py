"""The record of a run, in memory and on disk, and the checkpoints from which it resumes."""

import logging
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from femssb.cell.model import Model
from femssb.environment.doctor import versions
from femssb.environment.ranks import on_first_rank
from femssb.errors import InputError
from femssb.results.fields import Snapshot, Snapshots
from femssb.results.solution import Solution, StepRecord
from femssb.results.validity import doubts
from femssb.run import checkpoint
from femssb.run.readout import Readout
from femssb.run.stepper import Position, Stepper, TimeStep
from femssb.units import nm

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY = 60.0  # of wall time, and after each protocol step [s]


class Record:
    """Rows of the time series, ends of the protocol steps, fields, and the work of the run."""

    kept: Solution  # when it was last kept

    def __init__(
        self, model: Model, stepper: Stepper, folder: Path | None, case: Mapping[str, Any]
    ) -> None:
        """Start an empty record.

        Args:
            model: The discretised half-cell.
            stepper: Takes the time steps and counts those it rejects.
            folder: Where everything is written as it comes; None keeps it in memory only.
            case: Every input, plain data.
        """
        self._model, self._stepper, self._folder, self._case = model, stepper, folder, case
        self._readout = Readout(model)
        self._rows: list[dict[str, float]] = []
        self._steps: list[StepRecord] = []
        self._snapshots: list[Snapshot] = []
        self._versions = versions()
        self._factorisations_before = self._factorisations()
        self._started = time.perf_counter()
        self._time_kept = self._started

    @property
    def wall_time(self) -> float:
        """Wall time spent so far, with that of the runs this one resumes [s]."""
        return time.perf_counter() - self._started

    def add(self, step: TimeStep) -> None:
        """Add a row to the series, and the protocol step that ends there, if any; collective."""
        row = self._readout.row(step)
        self._rows.append(row)
        if step.ended_by is not None:
            first = self._steps[-1].end_row if self._steps else 0
            self._steps.append(
                StepRecord(
                    description=step.control.description,
                    kind=step.control.kind,
                    start_row=first,
                    end_row=step.position.row,
                    start_time=self._rows[first]["Time [s]"],
                    end_time=row["Time [s]"],
                    ended_by=step.ended_by,
                )
            )
        logger.info(
            "t %.6g s  V %.6g V  dt %.3g s  gap %.3g nm  passes %d",
            row["Time [s]"],
            row["Voltage [V]"],
            row["Step size [s]"],
            row["Mean gap [m]"] / nm,
            row["Coupling iterations"],
        )

    def picture(self, step: TimeStep) -> None:
        """Keep all fields if the moment has a label: on disk, else in memory; collective."""
        if not step.label:
            return
        snapshot = self._readout.snapshot(step.now.state, step.label)
        if snapshot is not None and self._folder is None:
            self._snapshots.append(snapshot)
        self._write(lambda folder: snapshot.write(folder) if snapshot else None)

    def checkpoint(self, step: TimeStep) -> None:
        """Save, if it is time, so that the run can resume from here; collective."""
        late = bool(self._folder) and time.perf_counter() - self._time_kept >= CHECKPOINT_EVERY
        if step.ended_by is not None or self._model.comm.bcast(late, root=0):
            self.keep(step.position)

    def solution(self) -> Solution:
        """Return what was reached so far; collective."""
        comm = self._model.comm
        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, Linux in KiB
        memory = comm.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
        on_disk = self._folder if comm.rank == 0 else None
        series = {name: np.array([row[name] for row in self._rows]) for name in self._rows[0]}
        return Solution(
            series=series,
            steps=tuple(self._steps),
            snapshots=Snapshots(on_disk) if on_disk else tuple(self._snapshots),
            case=self._case,
            performance={
                "wall_time": self.wall_time,
                "ranks": comm.size,
                "rejected_steps": self._stepper.rejected,
                "factorisations": self._factorisations() - self._factorisations_before,
                "peak_memory": memory,
                "versions": self._versions,
            },
            first_rank=comm.rank == 0,
            warnings=self._model.warnings + doubts(series, self._steps, self._readout.bounds),
        )

    def keep(self, position: Position) -> None:
        """Keep what was reached so far, on disk with all that resuming needs; collective."""
        self.kept = self.solution()
        self._write(self.kept.save)
        if self._folder is not None:
            log = {
                "protocol": self._case["protocol"],
                "rows": self._rows,
                "records": [asdict(step) for step in self._steps],
                "rejected": self._stepper.rejected,
                "wall_time": self.wall_time,
            }
            checkpoint.write(self._folder / checkpoint.FILE, self._model, position, log)
        self._time_kept = time.perf_counter()

    def resume(self) -> Position:
        """Take over the record in the folder, and return where its run was; collective."""
        assert self._folder is not None
        file = self._folder / checkpoint.FILE
        position, log = checkpoint.read(file, self._model)
        if log["protocol"] != self._case["protocol"]:
            raise InputError(f"{file} is of another case: protocol differs")
        self._rows, self._stepper.rejected = log["rows"], log["rejected"]
        self._steps = [StepRecord(**step) for step in log["records"]]
        self._started -= log["wall_time"]
        self._write(lambda folder: _drop_later_snapshots(folder, self._rows[-1]["Time [s]"]))
        return position

    def _factorisations(self) -> int:
        problems = self._model.electrochemistry, self._model.mechanics
        return sum(problem.linear_solver.factorisations for problem in problems)

    def _write(self, write: Callable[[Path], None]) -> None:
        """Write into the folder, if there is one, on rank 0; a failure is raised on every rank."""
        folder = self._folder
        if folder is None:
            return

        def guarded() -> None:
            try:
                write(folder)
            except OSError as error:
                reason = error.strerror or error
                raise InputError(f"cannot write results to {folder}: {reason}") from error

        on_first_rank(self._model.comm, guarded)


def _drop_later_snapshots(folder: Path, time: float) -> None:
    """Remove the snapshots written after a checkpoint; the run will write them again."""
    present = Snapshots(folder)
    last = sum(at <= time for at in present.times) - 1
    if 0 <= last < len(present) - 1:
        present[last].write(folder)

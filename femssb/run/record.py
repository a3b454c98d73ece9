"""The record of a run, in memory and on disk, and the checkpoints from which it resumes."""

import logging
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from errno import EMLINK, ENOSYS, ENOTSUP, EOPNOTSUPP, EPERM
from pathlib import Path
from typing import Any, Literal

import numpy as np

from femssb.cell.model import Model
from femssb.environment.doctor import versions
from femssb.environment.files import finish, remove_leftovers, replacing_together, take_over
from femssb.environment.ranks import from_first_rank, on_first_rank
from femssb.errors import FemssbError, InputError
from femssb.inputs.cycle import Cycle
from femssb.inputs.protocol import Step
from femssb.results.fields import Snapshot, Snapshots, cut_snapshots
from femssb.results.folder import (
    CHECKPOINT,
    EARLIER_CHECKPOINT,
    begin_anew,
    results_in,
)
from femssb.results.solution import Solution, StepRecord, write_documents
from femssb.results.validity import doubts
from femssb.run import checkpoint
from femssb.run.stepper import Position, Stepper, TimeStep
from femssb.units import nm

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY = 60.0  # of wall time, and after each protocol step [s]
# A checkpoint writes all rows anew. After many short protocol steps it waits where that takes long:
CHEAP = 0.2  # longer than this [s]
DEAREST = 0.05  # and longer than this share of the time since the last one
_NO_LINKS = {EPERM, ENOTSUP, EOPNOTSUPP, ENOSYS, EMLINK}  # of a file system without hard links
_NAMES = 8  # of what differs from a checkpoint, that a message has room for


class Record:
    """Rows of the time series, ends of the protocol steps, fields, and the work of the run."""

    kept: Solution  # when it was last kept

    def __init__(
        self,
        model: Model,
        protocol: Sequence[Step | Cycle],
        stepper: Stepper,
        folder: Path | None,
        inputs: Mapping[str, Any],
        fields: Sequence[str] | None = None,
    ) -> None:
        """Start an empty record; collective.

        Args:
            model: The discretised half-cell.
            protocol: The steps.
            stepper: Takes the time steps and counts those it rejects.
            folder: Where everything is written as it comes; None keeps it in memory only.
            inputs: Every input, plain data.
            fields: Names of the fields that snapshots keep besides those that figures show; None:
                all.
        """
        self._fields = fields
        self._model, self._stepper, self._folder, self._inputs = model, stepper, folder, inputs
        self._readout = stepper.readout
        self._rows: list[dict[str, float]] = []
        self._steps: list[StepRecord] = []
        self._snapshots: list[Snapshot] = []
        self._versions = versions()
        self._factorisations_before = self._factorisations()
        self._started = time.perf_counter()
        self._time_kept = self._started
        self._keeping = 0.0  # wall time that this took last [s]
        # Where results are written: at first a folder within, so that others stay until then.
        self._place = folder
        self._replacing = False  # others, which stay until a time step is kept
        self._good = CHECKPOINT  # that of the two checkpoints which is known to be whole
        if folder is not None:
            self._case = checkpoint.case_of(model, protocol, inputs.get("start"))

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
        """Keep fields if the moment has a label: on disk, else in memory; collective."""
        if not step.label:
            return
        snapshot = self._readout.snapshot(step.now.state, step.label)
        if snapshot is not None and self._fields is not None:
            snapshot = snapshot.keeping(self._fields)
        place = self._place
        if place is None:
            self._snapshots += [snapshot] if snapshot is not None else []
        else:
            self._write(lambda: snapshot.write(place) if snapshot is not None else None)

    def checkpoint(self, step: TimeStep) -> None:
        """Save, if it is time, so that the run can resume from here; collective."""
        since = time.perf_counter() - self._time_kept
        late = bool(self._folder) and since >= CHECKPOINT_EVERY
        if step.ended_by is not None:
            due = self._keeping <= max(CHEAP, DEAREST * since)
            late = late or due or self._stepper.course.over
        if self._model.comm.bcast(late, root=0):
            self.keep(step.position)

    def solution(self) -> Solution:
        """Return what was reached so far; collective."""
        comm = self._model.comm
        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, Linux in KiB
        memory = comm.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
        on_disk = self._place if comm.rank == 0 else None
        series = {name: np.array([row[name] for row in self._rows]) for name in self._rows[0]}
        return Solution(
            series=series,
            steps=tuple(self._steps),
            snapshots=Snapshots(on_disk) if on_disk else tuple(self._snapshots),
            case=self._inputs,
            performance={
                "wall_time": self.wall_time,
                "ranks": comm.size,
                "rejected_steps": self._stepper.rejected,
                "failed_steps": self._stepper.failed,
                "factorisations": self._factorisations() - self._factorisations_before,
                "peak_memory": memory,
                "versions": self._versions,
            },
            first_rank=comm.rank == 0,
            warnings=self._model.warnings + doubts(series, self._steps, self._readout.bounds),
        )

    def open(self, resume: bool | Literal["auto"], overwrite: bool) -> Position | None:
        """Look into the folder, and take over the record there if the run is to go on; collective.

        Returns:
            Where the run in the folder was; None if a new one begins.

        Raises:
            InputError: If there are results and it is not said what is to become of them, or those
                from which to resume are missing, damaged or of another case.
        """
        folder = self._folder
        if folder is None:
            return None

        def found() -> str:
            return results_in(folder)

        held = from_first_rank(self._model.comm, found)
        if resume is True or (resume and held):
            return self._resume(folder)

        def begin() -> Path:
            if held and not overwrite:
                raise InputError(
                    f"{held}, {self._whose(folder)}: overwrite=True replaces them, resume=True "
                    'goes on with that run, resume="auto" does so or begins'
                )
            return begin_anew(folder)

        self._place, self._replacing = from_first_rank(self._model.comm, begin), bool(held)
        return None

    def close(self) -> None:
        """Remove what never became results; not collective, as one rank alone may have failed."""
        if self._place is not None and self._place != self._folder and self._model.comm.rank == 0:
            shutil.rmtree(self._place, ignore_errors=True)

    def keep(self, position: Position) -> None:
        """Keep what was reached so far, on disk with all that resuming needs; collective."""
        begun = time.perf_counter()
        self._write_all(position)
        self._time_kept = time.perf_counter()
        self._keeping = self._time_kept - begun

    def _write_all(self, position: Position) -> None:
        folder, place = self._folder, self._place
        self.kept = self.solution()
        if folder is None or place is None:
            return
        log = {
            "rows": self._rows,
            "records": [asdict(step) for step in self._steps],
            "rejected": self._stepper.rejected,
            "failed": self._stepper.failed,
            "wall_time": self.wall_time,
            "over": self._stepper.course.over,
        }
        arrays = checkpoint.content(self._model, self._case, position, log)
        adopt = place != folder and not (self._replacing and position.row == 0)

        def write() -> None:
            with replacing_together(place) as new:
                write_documents(new, self.kept.documents())
                if self._good == CHECKPOINT and (place / CHECKPOINT).exists():
                    _link(place / CHECKPOINT, new / EARLIER_CHECKPOINT)
                checkpoint.write(new / CHECKPOINT, arrays)
            if adopt:
                take_over(folder, place)

        self._write(write)
        self._good = CHECKPOINT
        if adopt:
            self._place = folder
            self.kept = self.solution()

    def finished(self, position: Position) -> Solution:
        """Return the run in the folder, which is over, without writing anything; collective."""
        assert self._folder is not None
        folder = self._folder

        def performance() -> Mapping[str, Any] | None:
            try:
                return Solution.load(folder).performance
            except FemssbError:
                return None

        known = from_first_rank(self._model.comm, performance)
        if known is None:  # damaged, but all of it is in the checkpoint
            self.keep(position)
            return self.kept
        return replace(self.solution(), performance=known)

    @property
    def kept_in_words(self) -> str:
        """What of the run is on disk."""
        if self._folder is None:
            return "nothing is kept of a run without a folder"
        if self._place != self._folder:
            return f"nothing was reached; the results in {self._folder} are those of before"
        time = self._rows[-1]["Time [s]"]
        return f"{time:.6g} s are in {self._folder}, from where resume=True goes on"

    def _resume(self, folder: Path) -> Position:
        """Take over the record in a folder, and return where its run was; collective."""

        def load() -> tuple[Path, dict[str, Any], dict[str, Any]]:
            finish(folder)
            remove_leftovers(folder)
            path, document, arrays = checkpoint.load(folder)
            other = checkpoint.differences(self._case, document, arrays)
            if other:
                raise InputError(f"{path} is of another case: {_listed(other)}")
            return path, document, arrays

        path, document, arrays = from_first_rank(self._model.comm, load)
        position = checkpoint.position_of(path, self._model, document, arrays)
        log = document["log"]
        self._rows = log["rows"]
        self._stepper.rejected, self._stepper.failed = log["rejected"], log["failed"]
        self._steps = [StepRecord(**step) for step in log["records"]]
        self._stepper.course.follow(self._steps, self._rows.__getitem__)
        self._started -= log["wall_time"]
        self._good = path.name
        self._write(lambda: cut_snapshots(folder, self._rows[-1]["Time [s]"]))
        return position

    def _whose(self, folder: Path) -> str:
        """Return in words whether the results in a folder are of the same case; on rank 0."""
        try:
            _, document, arrays = checkpoint.load(folder)
            other = checkpoint.differences(self._case, document, arrays)
        except InputError as error:
            return f"of an unknown case ({error})"
        return f"of another case: {_listed(other)}" if other else "of the same case"

    def _factorisations(self) -> int:
        problems = self._model.electrochemistry, self._model.mechanics
        return sum(problem.linear_solver.factorisations for problem in problems)

    def _write(self, write: Callable[[], object]) -> None:
        """Write into the folder on rank 0; a failure is raised on every rank."""

        def guarded() -> None:
            try:
                write()
            except OSError as error:
                reason = error.strerror or error
                raise InputError(f"cannot write results to {self._folder}: {reason}") from error

        on_first_rank(self._model.comm, guarded)


def _listed(names: Sequence[str]) -> str:
    """Return the first names of what differs, in one line."""
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return f"{', '.join(names[:_NAMES])}{more} differ"


def _link(path: Path, other: Path) -> None:
    """Give a file a second name, or copy it where the file system knows no such names."""
    try:
        os.link(path, other)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(path, other)

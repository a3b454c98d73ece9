"""What a run has recorded so far, in memory and on disk, and the checkpoints it goes on from."""

from __future__ import annotations

import logging
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from femssb.cell.coupling import Work
from femssb.cell.model import Model, State
from femssb.environment.doctor import versions
from femssb.environment.ranks import on_first_rank
from femssb.errors import InputError
from femssb.results.fields import Snapshot, Snapshots
from femssb.results.solution import Solution, StepRecord
from femssb.run import checkpoint
from femssb.run.checkpoint import Past, Position
from femssb.run.readout import Readout
from femssb.units import FARADAY

logger = logging.getLogger(__name__)

CHECKPOINT_EVERY = 60.0  # of wall time, and after each protocol step [s]


class Record:
    """Rows of the time series, ends of the protocol steps, fields, and what it all took.

    Attributes:
        steps: The protocol steps that are over.
        rejected: Time steps that were tried in vain.
    """

    def __init__(self, model: Model, folder: Path | None, case: Mapping[str, Any]) -> None:
        """Start an empty record.

        Args:
            model: The discretised half-cell.
            folder: Where everything is written as it comes; None keeps it in memory only.
            case: Every input, plain data.
        """
        self.steps: list[StepRecord] = []
        self.rejected = 0
        self._model = model
        self._folder = folder
        self._case = case
        self._root = model.comm.rank == 0
        self._readout = Readout(model)
        self._rows: list[dict[str, float]] = []
        self._snapshots: list[Snapshot] = []
        self._factorisations_before = self._factorisations()
        self._started = time.perf_counter()
        self._kept = self._started

    @property
    def last_row(self) -> int:
        """Index of the newest row of the series."""
        return len(self._rows) - 1

    @property
    def wall_time(self) -> float:
        """Wall time spent so far, with that of the runs this one goes on from [s]."""
        return time.perf_counter() - self._started

    @property
    def checkpoint_due(self) -> bool:
        """Whether it is time for a checkpoint, the same on every rank; collective."""
        late = time.perf_counter() - self._kept >= CHECKPOINT_EVERY
        return self._folder is not None and bool(self._model.comm.bcast(late, root=0))

    def add(
        self, now: Past, index: int, imposed: float | None, work: Work | None, time_step: float
    ) -> None:
        """Add a row to the series; collective.

        Args:
            now: The accepted state.
            index: Of the protocol step.
            imposed: Charging current imposed [A], or None.
            work: What the time step took; None at the start.
            time_step: [s].
        """
        model, state = self._model, now.state
        row = self._readout.numbers(state)
        ledger = (model.lithium_initial - row["Lithium [mol]"] - now.charge / FARADAY) / (
            model.lithium_initial
        )
        applied = imposed
        if applied is None:
            applied = model.electrochemistry.anode_current(model.electrochemical(state))
        taken = work or Work()
        row |= {
            "Step": index,
            "Step size [s]": time_step,
            "Lithium ledger error [-]": ledger,
            "Interface current error [-]": (state.current - applied) / model.one_c,
            "Newton iterations": taken.newton_electrochemistry + taken.newton_mechanics,
            "Linear iterations": taken.linear_electrochemistry + taken.linear_mechanics,
            "Coupling iterations": taken.passes,
        }
        self._rows.append(row)
        logger.info(
            "t %.6g s  V %.6g V  dt %.3g s  gap %.3g nm  passes %d",
            row["Time [s]"],
            row["Voltage [V]"],
            time_step,
            row["Mean gap [m]"] * 1e9,
            row["Coupling iterations"],
        )

    def picture(self, state: State, label: str) -> None:
        """Keep all fields of a state: on disk if there is a folder, else in memory; collective."""
        snapshot = self._readout.snapshot(state, label)
        if snapshot is not None and self._folder is None:
            self._snapshots.append(snapshot)
        self._write(lambda folder: snapshot.write(folder) if snapshot else None)

    def save(self) -> Solution:
        """Return what was reached so far, and keep it on disk if there is a folder; collective."""
        comm = self._model.comm
        # Linux counts in KiB, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        memory = comm.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
        performance = {
            "wall_time": self.wall_time,
            "ranks": comm.size,
            "rejected_steps": self.rejected,
            "factorisations": self._factorisations() - self._factorisations_before,
            "peak_memory": memory,
            "versions": versions(),
        }
        on_disk = self._folder if self._root else None
        solution = Solution(
            series={name: np.array([row[name] for row in self._rows]) for name in self._rows[0]},
            steps=tuple(self.steps),
            snapshots=Snapshots(on_disk) if on_disk else tuple(self._snapshots),
            case=self._case,
            performance=performance,
            first_rank=self._root,
        )
        self._write(solution.save)
        return solution

    def keep(self, position: Position) -> Solution:
        """Save, and write all that is needed to go on from a position; collective."""
        solution = self.save()
        if self._folder is not None:
            log = {
                "protocol": self._case["protocol"],
                "rows": self._rows,
                "records": [asdict(step) for step in self.steps],
                "rejected": self.rejected,
                "wall_time": self.wall_time,
            }
            checkpoint.write(self._folder / checkpoint.FILE, self._model, position, log)
        self._kept = time.perf_counter()
        return solution

    def resume(self) -> Position:
        """Take up what the run in the folder had recorded, and return where it was; collective.

        Raises:
            InputError: If the checkpoint is missing, damaged or of another case.
        """
        assert self._folder is not None
        file = self._folder / checkpoint.FILE
        position, log = checkpoint.read(file, self._model)
        if log["protocol"] != self._case["protocol"]:
            raise InputError(f"{file} is of another case: protocol differs")
        self._rows, self.rejected = log["rows"], log["rejected"]
        self.steps = [StepRecord(**step) for step in log["records"]]
        self._started -= log["wall_time"]
        self._write(lambda folder: _drop_later_snapshots(folder, self._rows[-1]["Time [s]"]))
        return position

    def _factorisations(self) -> int:
        model = self._model
        return (
            model.electrochemistry.problem.factorisations + model.mechanics.problem.factorisations
        )

    def _write(self, what: Callable[[Path], None]) -> None:
        """Write into the folder, if there is one, on rank 0; a failure is raised on every rank."""
        folder = self._folder
        if folder is None:
            return

        def write() -> None:
            try:
                what(folder)
            except OSError as error:
                reason = error.strerror or error
                raise InputError(f"cannot write results to {folder}: {reason}") from error

        on_first_rank(self._model.comm, write)


def _drop_later_snapshots(folder: Path, time: float) -> None:
    """Remove what was written after a checkpoint; the run will write it again."""
    present = Snapshots(folder)
    last = sum(at <= time for at in present.times) - 1
    if 0 <= last < len(present) - 1:
        present[last].write(folder)

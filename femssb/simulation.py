"""The time loop: step sizes, events, retries and progress; it knows no equation.

Time derivatives are written on amounts, so that lithium is conserved to roundoff. The difference
between the new stoichiometry and its extrapolation estimates the error and sets the step size.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from femssb import _platform
from femssb.case import describe
from femssb.control import Control, check_protocol
from femssb.coupling import Guess, Tolerances, Work, advance
from femssb.errors import InputError, NotConverged
from femssb.mesh_data import on_first_rank
from femssb.model import Model, State
from femssb.protocol import Step
from femssb.readout import Readout
from femssb.solution import End, Snapshot, Snapshots, Solution, StepRecord
from femssb.stepping import Stepping, bdf, error_share, extrapolate
from femssb.units import FARADAY

Array = NDArray[np.float64]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Past:
    """An accepted state and the charge passed until then."""

    state: State
    charge: float  # [C]


class Simulation:
    """A model taken through a protocol.

    Attributes:
        model: The discretised half-cell.
        protocol: The steps.
    """

    def __init__(
        self,
        model: Model,
        protocol: Sequence[Step],
        *,
        tolerances: Tolerances = Tolerances(),  # noqa: B008  (frozen)
        stepping: Stepping = Stepping(),  # noqa: B008
    ) -> None:
        """Check the protocol against the model; solves nothing.

        Args:
            model: The discretised half-cell.
            protocol: The steps, at least one.
            tolerances: When a time step counts as solved.
            stepping: How time steps are chosen.

        Raises:
            InputError: If an argument is of the wrong type, or the protocol is empty or has an end
                that can never be reached.
        """
        for name, value, kind in (
            ("model", model, Model),
            ("protocol", protocol, list | tuple),
            ("tolerances", tolerances, Tolerances),
            ("stepping", stepping, Stepping),
        ):
            if not isinstance(value, kind):
                raise InputError(
                    f"Simulation.{name} must be {_ARTICLES[name]}, got {type(value).__name__}"
                )
        self.model = model
        self.protocol = tuple(protocol)
        self.tolerances = tolerances
        self.stepping = stepping
        check_protocol(self.protocol, model, tolerances)

    def run(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        inputs: dict[str, Any] | None = None,
        progress: bool = True,
    ) -> Solution:
        """Run the protocol from the rest state; collective.

        Args:
            folder: Where results are written as they come; None keeps them in memory only.
            inputs: What made the mesh and the materials, plain data for ``case.json``.
            progress: Whether rank 0 shows progress on standard error.

        Returns:
            The solution; its fields are on rank 0 only.

        Raises:
            NotConverged: If a step cannot be solved however small; what was reached is on disk.
            InputError: If the folder cannot be written to, or `inputs` is not plain data; before
                anything is solved.
        """
        if folder is not None and not isinstance(folder, str | os.PathLike):
            raise InputError(f"Simulation.run: folder must be a path, got {folder!r}")
        if inputs is not None and not isinstance(inputs, Mapping):
            raise InputError(f"Simulation.run: inputs must be a dictionary, got {inputs!r}")
        return _Run(self, Path(folder) if folder is not None else None, inputs, progress).go()


class _Run:
    """One run of a simulation: everything that changes while it goes."""

    def __init__(
        self,
        simulation: Simulation,
        folder: Path | None,
        inputs: dict[str, Any] | None,
        progress: bool,
    ) -> None:
        self.model = simulation.model
        self.protocol = simulation.protocol
        self.tolerances = simulation.tolerances
        self.stepping = simulation.stepping
        self.folder = folder
        self.root = self.model.comm.rank == 0
        self.readout = Readout(self.model)
        self.case = {
            **(inputs or {}),
            "model": self.model.inputs(),
            "protocol": describe(self.protocol),
            "tolerances": describe(self.tolerances),
            "stepping": describe(self.stepping),
        }
        self.rows: list[dict[str, float]] = []
        self.records: list[StepRecord] = []
        self.snapshots: list[Snapshot] = []
        self.rejected = 0
        self.ceiling = np.inf  # of the time step, lowered where Newton failed [s]
        self.factorisations = -self._factorisations()
        self.started = time.perf_counter()
        self.show = progress and self.root
        self.shown = 0.0

    def go(self) -> Solution:
        now = _Past(state=self.model.initial_state(), charge=0.0)
        self._record(now, 0, 0.0, None, 0.0)
        self._picture(now.state, "start")
        solution = self._save()  # now, so that what cannot be written is known before the work
        for index, step in enumerate(self.protocol):
            try:
                now = self._protocol_step(index, step, now)
            except NotConverged:
                self._save()  # what was reached stays on disk
                raise
            solution = self._save()
        return solution

    def _protocol_step(self, index: int, step: Step, start: _Past) -> _Past:
        """Take the model through one step of the protocol."""
        control = Control(step, self.model.one_c)
        scale = 1.0 / control.c_rate
        stepping = self.stepping
        first_row = len(self.rows) - 1
        past = [start]
        self.ceiling = np.inf
        time_step = stepping.first * scale
        halfway = False
        ended_by: End = "duration"
        while True:
            left = start.state.time + control.longest - past[0].state.time
            if left <= 1e-9 * max(1.0, past[0].state.time):
                break
            time_step = min(time_step, stepping.largest * scale, self.ceiling, left)
            if time_step < left < 2 * time_step:
                time_step = left / 2  # rather than a last sliver of a step
            new, work, error = self._attempt(control, past, time_step)
            reached = control.beyond(new.state) >= 0
            time_step = new.state.time - past[0].state.time
            self._record(new, index, control.current, work, time_step)
            done = self._share(control, start.state, new.state)
            self._report_progress(index, control, done, new.state, time_step)
            past = [new, *past[:2]]
            if reached:
                ended_by = control.ends_on
                break
            if done >= 0.5 and not halfway:
                halfway = True
                self._picture(new.state, f"{control.kind} middle")
            time_step *= min(2.0, max(0.3, 0.9 * error ** (-1 / 3))) if error > 0 else 2.0
        if ended_by == "duration" and control.duration is None:
            raise NotConverged(
                f"{control.description} did not reach its end in {control.longest:g} s",
                time=past[0].state.time,
                step=len(self.rows),
            )
        self._picture(past[0].state, f"{control.kind} end")
        self.records.append(
            StepRecord(
                description=control.description,
                kind=control.kind,
                start_row=first_row,
                end_row=len(self.rows) - 1,
                start_time=start.state.time,
                end_time=past[0].state.time,
                ended_by=ended_by,
            )
        )
        return past[0]

    def _attempt(
        self, control: Control, past: list[_Past], time_step: float
    ) -> tuple[_Past, Work, float]:
        """Take one time step, shortened until it converges, is accurate and ends at the cut-off."""
        smallest = self.stepping.smallest / control.c_rate
        plain = False  # whether the guess is the last state itself, after a failure
        while True:
            try:
                new, work = self._advance(control, past, time_step, plain)
                error = self._error(past, new)
                if error <= 1.0 or time_step <= smallest:
                    if control.beyond(new.state) >= 0:
                        new, work = self._locate(control, past, new, work, plain)
                    self.ceiling *= 1.2
                    return new, work, error
            except NotConverged as failure:
                self.rejected += 1
                logger.info("time step of %.3g s failed: %s", time_step, failure.reason)
                if time_step <= smallest:
                    raise NotConverged(
                        failure.reason,
                        time=past[0].state.time,
                        step=len(self.rows),
                        residuals=failure.residuals,
                    ) from failure
                time_step = max(0.6 * time_step, smallest)
                # Steps grow back slowly: what fails once, as the interface lets go, fails again.
                self.ceiling = time_step
                plain = True
                continue
            self.rejected += 1
            time_step = max(time_step * max(0.2, 0.8 * error ** (-1 / 3)), smallest)

    def _advance(
        self, control: Control, past: list[_Past], time_step: float, plain: bool = False
    ) -> tuple[_Past, Work]:
        """Solve one time step as it is."""
        model, last = self.model, past[0]
        at = last.state.time + time_step
        times = [item.state.time for item in past]
        previous_step = times[0] - times[1] if len(past) > 1 else None
        new, old, older = bdf(time_step, previous_step)
        known = [model.stoichiometry(item.state) for item in past[:2]]
        history = old * known[0] + (older * known[1] if len(known) > 1 else 0.0)
        used = past[:1] if plain else past

        def guess(name: str) -> Array:
            return extrapolate(
                [item.state.time for item in used], [getattr(i.state, name) for i in used], at
            )

        state, work = advance(
            model,
            last.state,
            Guess(
                electrochemical=guess("electrochemical"),
                mechanical=guess("mechanical"),
                gap=np.maximum(guess("gap"), 0.0),
                hydrostatic=guess("hydrostatic"),
            ),
            time_step=time_step,
            rate=new,
            history=history,
            current=control.current,
            voltage=control.voltage,
            tolerances=self.tolerances,
        )
        # The charge follows the same formula as the lithium, so that the ledger can close.
        charges = old * last.charge + (older * past[1].charge if len(past) > 1 else 0.0)
        current = state.current if control.current is None else control.current
        return _Past(state=state, charge=(current - charges) / new), work

    def _error(self, past: list[_Past], new: _Past) -> float:
        """Return the estimated error of a step over what is allowed; 0 where nothing is known."""
        if len(past) < 2:
            return 0.0
        model = self.model
        times = [item.state.time for item in past]
        at = new.state.time
        share = error_share([at - times[0], *-np.diff(times)])
        expected = extrapolate(times, [model.stoichiometry(item.state) for item in past], at)
        difference = model.stoichiometry(new.state) - expected
        rms = np.sqrt(model.charge(difference**2) / model.charge(np.ones_like(difference)))
        voltages = [np.array([item.state.voltage]) for item in past]
        jump = abs(new.state.voltage - float(extrapolate(times, voltages, at)[0]))
        stepping = self.stepping
        return share * max(rms / stepping.stoichiometry_error, jump / stepping.voltage_error)

    def _locate(
        self, control: Control, past: list[_Past], new: _Past, work: Work, plain: bool
    ) -> tuple[_Past, Work]:
        """Return the shortest step found that reaches the cut-off, `event` too long at most."""
        before = control.beyond(past[0].state)
        if before >= 0:  # beyond it from the start: the new load ends at once
            return new, work
        longest = new.state.time - past[0].state.time
        tried = {longest: (new, work)}

        def beyond(time_step: float) -> float:
            if time_step == 0.0:
                return before
            if time_step not in tried:
                tried[time_step] = self._advance(control, past, time_step, plain)
            return control.beyond(tried[time_step][0].state)

        brentq(beyond, 0.0, longest, xtol=self.stepping.event / control.c_rate)
        return tried[min(time_step for time_step in tried if beyond(time_step) >= 0)]

    def _record(
        self, now: _Past, index: int, imposed: float | None, work: Work | None, time_step: float
    ) -> None:
        model = self.model
        row = self.readout.numbers(now.state)
        lost = model.lithium_initial - row["Lithium [mol]"]
        ledger = (lost - now.charge / FARADAY) / model.lithium_initial
        applied = model.anode_current(now.state) if imposed is None else imposed
        row |= {
            "Step": index,
            "Step size [s]": time_step,
            "Lithium ledger error [-]": ledger,
            "Interface current error [-]": (now.state.current - applied) / model.one_c,
            "Newton iterations": work.newton_electrochemistry + work.newton_mechanics
            if work
            else 0,
            "Linear iterations": work.linear_electrochemistry + work.linear_mechanics
            if work
            else 0,
            "Coupling iterations": work.passes if work else 0,
        }
        self.rows.append(row)
        logger.info(
            "t %.6g s  V %.6g V  dt %.3g s  gap %.3g nm  passes %d",
            row["Time [s]"],
            row["Voltage [V]"],
            time_step,
            row["Mean gap [m]"] * 1e9,
            row["Coupling iterations"],
        )

    def _picture(self, state: State, label: str) -> None:
        """Keep all fields of a state: on disk if there is a folder, else in memory."""
        snapshot = self.readout.snapshot(state, label)
        if snapshot is not None and self.folder is None:
            self.snapshots.append(snapshot)
        self._write(lambda folder: snapshot.write(folder) if snapshot else None)

    def _write(self, what: Callable[[Path], None]) -> None:
        """Write into the folder, if there is one, on rank 0; a failure is raised on every rank."""
        folder = self.folder
        if folder is None:
            return

        def write() -> None:
            try:
                what(folder)
            except OSError as error:
                reason = error.strerror or error
                raise InputError(f"cannot write results to {folder}: {reason}") from error

        on_first_rank(self.model.comm, write)

    def _share(self, control: Control, start: State, state: State) -> float:
        """Return about which part of a protocol step is done."""
        share = (state.time - start.time) / control.longest
        if control.sign:
            model = self.model
            left, full = (model.charge(model.stoichiometry(s)) for s in (state, start))
            room = full if control.sign > 0 else FARADAY * model.lithium_initial - full
            share = max(share, control.sign * (full - left) / max(room, 1e-3 * full))
        return min(share, 1.0)

    def _report_progress(
        self, index: int, control: Control, share: float, state: State, time_step: float
    ) -> None:
        now = time.perf_counter()
        if not self.show or now - self.shown < 1.0:
            return
        self.shown = now
        done = max((index + share) / len(self.protocol), 1e-3)
        left = (now - self.started) / done * (1 - done)
        sys.stderr.write(
            f"{control.description}  t {state.time:8.1f} s  step {len(self.rows) - 1:4d}  "
            f"{state.voltage:.4f} V  dt {time_step:6.2f} s  {100 * done:3.0f} %  "
            f"about {left:4.0f} s left\n"
        )
        sys.stderr.flush()

    def _factorisations(self) -> int:
        return self.model.chemistry.factorisations + self.model.mechanics.factorisations

    def _save(self) -> Solution:
        """Return what was reached so far, and keep it on disk if there is a folder."""
        comm = self.model.comm
        # Linux counts in KiB, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        memory = comm.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
        performance = {
            "wall_time": time.perf_counter() - self.started,
            "ranks": comm.size,
            "rejected_steps": self.rejected,
            "factorisations": self.factorisations + self._factorisations(),
            "peak_memory": memory,
            "versions": _platform.versions(),
        }
        on_disk = self.folder if self.root else None
        solution = Solution(
            series={name: np.array([row[name] for row in self.rows]) for name in self.rows[0]},
            steps=tuple(self.records),
            snapshots=Snapshots(on_disk) if on_disk else tuple(self.snapshots),
            case=self.case,
            performance=performance,
            first_rank=self.root,
        )
        self._write(solution.save)
        return solution


_ARTICLES = {
    "model": "a femssb.Model",
    "protocol": "a list of steps such as Charge(...)",
    "tolerances": "Tolerances(...)",
    "stepping": "Stepping(...)",
}

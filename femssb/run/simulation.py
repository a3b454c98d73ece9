"""The time loop: step sizes, events, retries and progress; it knows no equation.

Time derivatives are written on amounts, so that lithium is conserved to roundoff. The difference
between the new stoichiometry and its extrapolation estimates the error and sets the step size.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from femssb.cell.coupling import Guess, Tolerances, Work, advance
from femssb.cell.model import Model, State
from femssb.errors import InputError, NotConverged
from femssb.inputs.case import describe
from femssb.inputs.protocol import Step
from femssb.results.solution import End, Solution, StepRecord
from femssb.run.checkpoint import Past, Position
from femssb.run.control import Control, check_protocol
from femssb.run.record import Record
from femssb.run.stepping import Stepping, bdf, error_share, extrapolate
from femssb.units import FARADAY

Array = NDArray[np.float64]

logger = logging.getLogger(__name__)


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
        progress: bool = True,
        resume: bool = False,
    ) -> Solution:
        """Run the protocol, from the rest state or from where it was stopped; collective.

        Args:
            folder: Where results are written as they come; None keeps them in memory only.
            progress: Whether rank 0 shows progress on standard error.
            resume: Whether to go on from the checkpoint in the folder; the ranks, `tolerances`,
                `stepping` and linear solver may differ from those that wrote it.

        Returns:
            The solution; its fields are on rank 0 only.

        Raises:
            NotConverged: If a step cannot be solved however small; what was reached is on disk.
            InputError: If the folder cannot be written to, or the checkpoint is missing, damaged or
                of another case; before anything is solved.
        """
        if folder is not None and not isinstance(folder, str | os.PathLike):
            raise InputError(f"Simulation.run: folder must be a path, got {folder!r}")
        if resume and folder is None:
            raise InputError("Simulation.run: resume needs the folder of the run that was stopped")
        run = _Run(self, Path(folder) if folder is not None else None, progress)
        return run.go(run.record.resume() if resume else run.begin())


class _Run:
    """One run of a simulation: everything that changes while it goes."""

    def __init__(
        self,
        simulation: Simulation,
        folder: Path | None,
        progress: bool,
    ) -> None:
        self.model = simulation.model
        self.protocol = simulation.protocol
        self.tolerances = simulation.tolerances
        self.stepping = simulation.stepping
        case = {
            "model": self.model.inputs(),
            "protocol": describe(self.protocol),
            "tolerances": describe(self.tolerances),
            "stepping": describe(self.stepping),
        }
        self.record = Record(self.model, folder, case)
        self.ceiling = np.inf  # of the time step, lowered where Newton failed [s]
        self.show = progress and self.model.comm.rank == 0
        self.shown = 0.0

    def begin(self) -> Position:
        """Return the rest state as the start of the protocol."""
        rest = Past(state=self.model.initial_state(), charge=0.0)
        self.record.add(rest, 0, 0.0, None, 0.0)
        self.record.picture(rest.state, "start")
        return self._start_of(0, rest)

    def go(self, position: Position) -> Solution:
        # Kept at once, so that what cannot be written is known before the work.
        solution = self.record.keep(position)
        while position.index < len(self.protocol):
            try:
                position = self._protocol_step(position)
            except NotConverged:
                self.record.save()  # what was reached stays on disk
                raise
            solution = self.record.keep(position)
        return solution

    def _start_of(self, index: int, start: Past) -> Position:
        """Return the position at the start of a protocol step."""
        return Position(
            index=index,
            start=start,
            past=(start,),
            time_step=self.stepping.first,
            ceiling=np.inf,
            first_row=self.record.last_row,
            halfway=False,
        )

    def _protocol_step(self, position: Position) -> Position:
        """Take the model through one step of the protocol, or through the rest of it."""
        index, start, past = position.index, position.start, position.past
        control = Control(self.protocol[index], self.model.one_c)
        stepping = self.stepping
        largest = stepping.largest / control.c_rate
        time_step, halfway = position.time_step, position.halfway
        if len(past) == 1:
            time_step = stepping.first / control.c_rate
        self.ceiling = position.ceiling
        ended_by: End = "duration"
        while True:
            left = start.state.time + control.longest - past[0].state.time
            if left <= 1e-9 * max(1.0, past[0].state.time):
                break
            time_step = min(time_step, largest, self.ceiling, left)
            if time_step < left < 2 * time_step:
                time_step = left / 2  # rather than a last sliver of a step
            new, work, error = self._attempt(control, past, time_step)
            reached = control.beyond(new.state) >= 0
            time_step = new.state.time - past[0].state.time
            self.record.add(new, index, control.current, work, time_step)
            done = self._share(control, start.state, new.state)
            self._report_progress(index, control, done, new.state, time_step)
            past = (new, *past[:2])
            if reached:
                ended_by = control.ends_on
                break
            if done >= 0.5 and not halfway:
                halfway = True
                self.record.picture(new.state, f"{control.kind} middle")
            time_step *= min(2.0, max(0.3, 0.9 * error ** (-1 / 3))) if error > 0 else 2.0
            if self.record.checkpoint_due:
                self.record.keep(
                    replace(
                        position,
                        past=past,
                        time_step=time_step,
                        ceiling=self.ceiling,
                        halfway=halfway,
                    ),
                )
        if ended_by == "duration" and control.duration is None:
            raise NotConverged(
                f"{control.description} did not reach its end in {control.longest:g} s",
                time=past[0].state.time,
                step=self.record.last_row + 1,
            )
        self.record.picture(past[0].state, f"{control.kind} end")
        self.record.steps.append(
            StepRecord(
                description=control.description,
                kind=control.kind,
                start_row=position.first_row,
                end_row=self.record.last_row,
                start_time=start.state.time,
                end_time=past[0].state.time,
                ended_by=ended_by,
            )
        )
        return self._start_of(index + 1, past[0])

    def _attempt(
        self, control: Control, past: Sequence[Past], time_step: float
    ) -> tuple[Past, Work, float]:
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
                self.record.rejected += 1
                logger.info("time step of %.3g s failed: %s", time_step, failure.reason)
                if time_step <= smallest:
                    raise NotConverged(
                        failure.reason,
                        time=past[0].state.time,
                        step=self.record.last_row + 1,
                        residuals=failure.residuals,
                    ) from failure
                time_step = max(0.6 * time_step, smallest)
                # Steps grow back slowly: what fails once, as the interface lets go, fails again.
                self.ceiling = time_step
                plain = True
                continue
            self.record.rejected += 1
            time_step = max(time_step * max(0.2, 0.8 * error ** (-1 / 3)), smallest)

    def _advance(
        self, control: Control, past: Sequence[Past], time_step: float, plain: bool = False
    ) -> tuple[Past, Work]:
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
        return Past(state=state, charge=(current - charges) / new), work

    def _error(self, past: Sequence[Past], new: Past) -> float:
        """Return the estimated error of a step over what is allowed; 0 where nothing is known."""
        if len(past) < 2:
            return 0.0
        model = self.model
        times = [item.state.time for item in past]
        at = new.state.time
        share = error_share([at - times[0], *-np.diff(times)])
        expected = extrapolate(times, [model.stoichiometry(item.state) for item in past], at)
        difference = model.stoichiometry(new.state) - expected
        rms = np.sqrt(
            model.electrochemistry.charge(difference**2)
            / model.electrochemistry.charge(np.ones_like(difference))
        )
        voltages = [np.array([item.state.voltage]) for item in past]
        jump = abs(new.state.voltage - float(extrapolate(times, voltages, at)[0]))
        stepping = self.stepping
        return share * max(rms / stepping.stoichiometry_error, jump / stepping.voltage_error)

    def _locate(
        self, control: Control, past: Sequence[Past], new: Past, work: Work, plain: bool
    ) -> tuple[Past, Work]:
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

    def _share(self, control: Control, start: State, state: State) -> float:
        """Return about which part of a protocol step is done."""
        share = (state.time - start.time) / control.longest
        if control.sign:
            model = self.model
            left, full = (
                model.electrochemistry.charge(model.stoichiometry(s)) for s in (state, start)
            )
            room = full if control.sign > 0 else FARADAY * model.lithium_initial - full
            share = max(share, control.sign * (full - left) / max(room, 1e-3 * full))
        elif control.cut_off is not None and control.beyond(start) < 0:
            share = max(share, 1 - control.beyond(state) / control.beyond(start))
        return min(share, 1.0)

    def _report_progress(
        self, index: int, control: Control, share: float, state: State, time_step: float
    ) -> None:
        now = time.perf_counter()
        if not self.show or now - self.shown < 1.0:
            return
        self.shown = now
        done = max((index + share) / len(self.protocol), 1e-3)
        left = self.record.wall_time / done * (1 - done)
        sys.stderr.write(
            f"{control.description}  t {state.time:8.1f} s  step {self.record.last_row:4d}  "
            f"{state.voltage:.4f} V  dt {time_step:6.2f} s  {100 * done:3.0f} %  "
            f"about {left:4.0f} s left\n"
        )
        sys.stderr.flush()


_ARTICLES = {
    "model": "a femssb.Model",
    "protocol": "a list of steps such as Charge(...)",
    "tolerances": "Tolerances(...)",
    "stepping": "Stepping(...)",
}

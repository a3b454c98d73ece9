r"""The time loop: step sizes, events, retries and progress; it knows no equation but BDF.

Time derivatives use the variable-step BDF formula of order two, written on amounts, so that lithium
is conserved to roundoff; the first step after a change of load is implicit Euler. The difference
between the new stoichiometry and its extrapolation estimates the error and sets the step size.

Source: Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, section III.5.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from femssb import _platform
from femssb.case import describe
from femssb.coupling import Guess, Tolerances, Work, advance
from femssb.errors import InputError, NotConverged, check_number
from femssb.model import Model, State
from femssb.protocol import Charge, Discharge, Hold, Rest, Step
from femssb.readout import Readout
from femssb.solution import Snapshot, Snapshots, Solution, StepRecord
from femssb.units import FARADAY, hour

Array = NDArray[np.float64]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stepping:
    """How time steps are chosen; times are those of a 1C run and shrink with the C-rate.

    Raises:
        InputError: If a field is out of its bounds.
    """

    stoichiometry_error: float = 1e-4  # rms over the particles, in one step [-]
    voltage_error: float = 2e-3  # in one step [V]
    first: float = 0.5  # first step after a change of load [s]
    largest: float = 120.0  # [s]
    smallest: float = 1e-4  # below which a step that fails ends the run [s]
    event: float = 0.05  # how precisely the end of a protocol step is located [s]

    def __post_init__(self) -> None:
        """Check every field."""
        owner = "Stepping"
        for name in ("stoichiometry_error", "voltage_error"):
            check_number(owner, name, getattr(self, name), lower=0, upper=0.5, strict=True)
        for name in ("first", "largest", "smallest", "event"):
            value = getattr(self, name)
            check_number(owner, name, value, lower=0, upper=hour, strict=True, unit="s")
        if not self.smallest <= self.first <= self.largest:
            raise InputError(
                f"Stepping.first = {self.first:g} s is not between smallest "
                f"({self.smallest:g} s) and largest ({self.largest:g} s)"
            )


def bdf(time_step: float, previous_step: float | None) -> tuple[float, float, float]:
    """Return the factors of the new, last and second-last value in a time derivative [1/s].

    Args:
        time_step: The step to take [s].
        previous_step: The step before it [s]; None for the first, which is implicit Euler.
    """
    if previous_step is None:
        return 1 / time_step, -1 / time_step, 0.0
    ratio = time_step / previous_step
    return (
        (1 + 2 * ratio) / (1 + ratio) / time_step,
        -(1 + ratio) / time_step,
        ratio**2 / (1 + ratio) / time_step,
    )


def error_share(steps: Sequence[float]) -> float:
    """Return the local error over the distance between a new value and its extrapolation.

    Args:
        steps: The new step and those before it [s]: two of them for implicit Euler and a line,
            three for BDF2 and a parabola.
    """
    new, last = steps[0], steps[1]
    if len(steps) == 2:
        method, extrapolation = new**2 / 2, new * (new + last) / 2
    else:
        total = new + last
        method = new**2 * total**2 / (6 * (new + total))
        extrapolation = new * total * (total + steps[2]) / 6
    return method / (method + extrapolation)


def extrapolate(times: Sequence[float], values: Sequence[Array], at: float) -> Array:
    """Return the polynomial through values (newest first) at a later time."""
    result = np.zeros_like(values[0])
    for i, (own, value) in enumerate(zip(times, values, strict=True)):
        others = [t for j, t in enumerate(times) if j != i]
        weight = np.prod([(at - t) / (own - t) for t in others]) if others else 1.0
        result += weight * value
    return result


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
        stepping: Stepping = Stepping(),
    ) -> None:
        """Check the protocol against the model; solves nothing.

        Args:
            model: The discretised half-cell.
            protocol: The steps, at least one.
            tolerances: When a time step counts as solved.
            stepping: How time steps are chosen.

        Raises:
            InputError: If the protocol is empty or has a cut-off that can never be reached.
        """
        self.model = model
        self.protocol = tuple(protocol)
        self.tolerances = tolerances
        self.stepping = stepping
        _check_protocol(self.protocol, model)

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
        """
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
        self.started = time.perf_counter()
        self.show = progress and self.root
        self.shown = 0.0

    def go(self) -> Solution:
        now = _Past(state=self.model.initial_state(), charge=0.0)
        self._record(now, 0, 0.0, None, 0.0)
        self._picture(now.state, "start")
        try:
            for index, step in enumerate(self.protocol):
                now = self._protocol_step(index, step, now)
        except NotConverged:
            self._solution()  # what was reached stays on disk
            raise
        return self._solution()

    def _protocol_step(self, index: int, step: Step, start: _Past) -> _Past:
        """Take the model through one step of the protocol."""
        control = _Control(step, self.model.one_c)
        scale = 1.0 / control.c_rate
        stepping = self.stepping
        first_row = len(self.rows) - 1
        past = [start]
        self.ceiling = np.inf
        time_step = stepping.first * scale
        halfway = False
        ended_by = "duration"
        while True:
            left = start.state.time + control.longest - past[0].state.time
            if left <= 1e-9 * max(1.0, past[0].state.time):
                break
            time_step = min(time_step, stepping.largest * scale, self.ceiling, left)
            if time_step < left < 2 * time_step:
                time_step = left / 2  # rather than a last sliver of a step
            new, work, error = self._attempt(control, past, time_step)
            reached = control.beyond(new.state) >= 0
            if reached:
                new, work = self._locate(control, past, new, work, stepping.event * scale)
                ended_by = control.ends_on
            time_step = new.state.time - past[0].state.time
            self._record(new, index, control.current, work, time_step)
            done = self._share(control, start.state, new.state)
            self._report_progress(index, control, done, new.state, time_step)
            past = [new, *past[:2]]
            if reached:
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
        self, control: _Control, past: list[_Past], time_step: float
    ) -> tuple[_Past, Work, float]:
        """Take one time step, shortened until it converges and is accurate enough."""
        smallest = self.stepping.smallest / control.c_rate
        plain = False  # whether the guess is the last state itself, after a failure
        while True:
            try:
                new, work = self._advance(control, past, time_step, plain)
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
            error = self._error(past, new)
            if error <= 1.0 or time_step <= smallest:
                self.ceiling *= 1.2
                return new, work, error
            self.rejected += 1
            time_step = max(time_step * max(0.2, 0.8 * error ** (-1 / 3)), smallest)

    def _advance(
        self, control: _Control, past: list[_Past], time_step: float, plain: bool = False
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
        self, control: _Control, past: list[_Past], new: _Past, work: Work, precision: float
    ) -> tuple[_Past, Work]:
        """Return the step shortened so that it ends at the cut-off, to a precision in time [s]."""
        tried = {new.state.time - past[0].state.time: (new, work)}
        before = control.beyond(past[0].state)
        if before >= 0:  # beyond it from the start: the new load ends at once
            return new, work

        def beyond(time_step: float) -> float:
            if time_step == 0.0:
                return before
            if time_step not in tried:
                tried[time_step] = self._advance(control, past, time_step)
            return control.beyond(tried[time_step][0].state)

        return tried[brentq(beyond, 0.0, next(iter(tried)), xtol=precision)]

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
        if snapshot is None:
            return
        if self.folder is not None:
            snapshot.write(self.folder)
        else:
            self.snapshots.append(snapshot)

    def _share(self, control: _Control, start: State, state: State) -> float:
        """Return about which part of a protocol step is done."""
        share = (state.time - start.time) / control.longest
        if control.sign:
            model = self.model
            left, full = (model.charge(model.stoichiometry(s)) for s in (state, start))
            room = full if control.sign > 0 else FARADAY * model.lithium_initial - full
            share = max(share, control.sign * (full - left) / max(room, 1e-3 * full))
        return min(share, 1.0)

    def _report_progress(
        self, index: int, control: _Control, share: float, state: State, time_step: float
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

    def _solution(self) -> Solution:
        comm = self.model.comm
        # Linux counts in KiB, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        memory = comm.allreduce(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
        performance = {
            "wall_time": time.perf_counter() - self.started,
            "ranks": comm.size,
            "rejected_steps": self.rejected,
            "factorisations": self.model.chemistry.factorisations
            + self.model.mechanics.factorisations,
            "peak_memory": memory,
            "versions": _platform.versions(),
        }
        on_disk = self.folder is not None and self.root
        solution = Solution(
            series={name: np.array([row[name] for row in self.rows]) for name in self.rows[0]},
            steps=tuple(self.records),
            snapshots=Snapshots(self.folder) if on_disk else tuple(self.snapshots),
            case=self.case,
            performance=performance,
        )
        if on_disk:
            solution.save(self.folder)
        return solution


class _Control:
    """What a protocol step imposes and when it ends."""

    def __init__(self, step: Step, one_c: float) -> None:
        self.one_c = one_c
        self.current: float | None = None  # charging [A]
        self.voltage: float | None = None
        self.cut_off: float | None = None
        self.sign = 0
        self.c_rate = 1.0
        self.ends_on = "voltage"
        self.duration = step.until_duration
        longest = 1e9
        if isinstance(step, Charge | Discharge):
            self.kind = "charge" if isinstance(step, Charge) else "discharge"
            self.sign = 1 if isinstance(step, Charge) else -1
            self.c_rate = step.c_rate
            self.current = self.sign * step.c_rate * one_c
            self.cut_off = step.until_voltage
            longest = 2 * hour / step.c_rate  # twice what moves all lithium
            end = f"until {step.until_voltage:g} V" if step.until_voltage is not None else ""
            self.description = f"{self.kind.capitalize()} {step.c_rate:g}C {end}".strip()
        elif isinstance(step, Hold):
            self.kind = "hold"
            self.voltage = step.voltage
            self.cut_off = step.until_c_rate
            self.ends_on = "current"
            self.description = f"Hold {step.voltage:g} V"
            if step.until_c_rate is not None:
                self.description += f" until {step.until_c_rate:g}C"
        else:
            self.kind = "rest"
            self.current = 0.0
            self.description = f"Rest {step.until_duration:g} s"
        self.longest = self.duration if self.duration is not None else longest

    def beyond(self, state: State) -> float:
        """Return by how much a state is past the cut-off, negative before it [V] or [-]."""
        if self.cut_off is None:
            return -1.0
        if self.sign:
            return self.sign * (state.voltage - self.cut_off)
        return float(np.log(self.cut_off) - np.log(max(abs(state.current) / self.one_c, 1e-300)))


def _check_protocol(protocol: tuple[Step, ...], model: Model) -> None:
    """Check that there are steps and that every cut-off lies where the material can take it."""
    if not protocol:
        raise InputError("Simulation.protocol is empty: give at least one step")
    curve = model.materials.active.open_circuit_voltage
    low, high = (float(curve.value(np.array([c]))[0]) for c in (curve.upper, curve.lower))
    for number, step in enumerate(protocol):
        if not isinstance(step, Charge | Discharge | Hold | Rest):
            raise InputError(f"Simulation.protocol[{number}] = {step!r} is not a protocol step")
        name, voltage = "until_voltage", getattr(step, "until_voltage", None)
        if isinstance(step, Hold):
            name, voltage = "voltage", step.voltage
        if voltage is not None and not low < voltage < high:
            raise InputError(
                f"Simulation.protocol[{number}].{name} = {voltage:g} V can never be reached: the "
                f"open-circuit voltage goes from {low:.4g} to {high:.4g} V"
            )

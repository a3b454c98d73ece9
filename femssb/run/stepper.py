"""Time steps from one accepted state to the next: attempts, errors, retries, and located ends.

Time derivatives are written on amounts, so that lithium is conserved to roundoff. The difference
between the new stoichiometry and its extrapolation estimates the error and sets the step size, as
that of the voltage does, of the current where a voltage is held, and of the jump of the interface,
over the jump or the opening at which it has failed.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.optimize import brentq

from femssb.arrays import Array
from femssb.cell.coupling import Guess, Tolerances, Work, advance
from femssb.cell.model import Model, State
from femssb.errors import NotConverged
from femssb.inputs.protocol import Rest, Step
from femssb.results.cycles import labels
from femssb.results.solution import End
from femssb.run import lithium
from femssb.run.control import Control, controls
from femssb.run.stepping import FixedSteps, Stepping, bdf, error_share, extrapolate
from femssb.units import FARADAY

logger = logging.getLogger(__name__)

# A held current is not known better than what the two problems exchange: its error is a share of
# the current down to this C-rate over `Tolerances.exchange`, C/20 by default.
_KNOWN_CURRENT = 50.0


@dataclass(frozen=True, kw_only=True)
class Past:
    """An accepted state."""

    state: State
    charge: float  # passed until then, positive on charge [C]


@dataclass(frozen=True, kw_only=True)
class Position:
    """The place of a run in its protocol."""

    index: int  # of the protocol step
    start: Past  # the state at which that step began
    past: tuple[Past, ...]  # up to three accepted states of that step, newest first
    row: int  # time steps accepted in the whole run: the row of the newest state in the series
    first_row: int  # at which the protocol step began, or its load last jumped
    time_step: float = np.inf  # size that the last time step suggests for the next one [s]
    ceiling: float = np.inf  # limit of that size since a step last failed, infinite before [s]
    halfway: bool = False  # whether the middle of the protocol step has passed


@dataclass(frozen=True, kw_only=True)
class TimeStep:
    """An accepted time step; the first of a run is the state at the start."""

    index: int  # of its protocol step
    control: Control  # what that imposes
    position: Position  # where the run is now
    size: float = 0.0  # length of the time step [s]
    error: float = 0.0  # estimated, over what is allowed; 0 where nothing is known
    work: Work  # iterations it took
    applied: float | None  # charging current imposed at its end [A], None where it is not known
    share: float = 0.0  # of the protocol step that is done, about
    label: str  # of the moment if its fields are worth keeping, such as "charge end", else empty
    ended_by: End | None = None  # what ended the protocol step, or None while it continues

    @property
    def now(self) -> Past:
        """The state reached, and the charge passed."""
        return self.position.past[0]


class Stepper:
    """Takes a model through a protocol, one time step at a time; it prints and writes nothing.

    Attributes:
        rejected: Time steps that were tried without success.
        failed: Those of them that could not be solved.
    """

    def __init__(
        self,
        model: Model,
        protocol: Sequence[Step],
        stepping: Stepping | FixedSteps,
        tolerances: Tolerances,
    ) -> None:
        """Keep the arguments; solves nothing."""
        self.rejected = self.failed = 0
        self._model = model
        self._stepping = stepping
        self._tolerances = tolerances
        self._controls = controls(protocol, model)
        self._labels = labels([control.kind for control in self._controls])

    def start(self, past: Past | None = None) -> TimeStep:
        """Return the state at the start of the protocol, at rest or one that was reached before.

        Collective.
        """
        if past is None:
            initial = self._model.initial_state(self._tolerances.force)
            position, applied = _start(0, Past(state=initial, charge=0.0), 0), 0.0
        else:
            position, applied = _start(0, past, 0), None
        return TimeStep(
            index=0,
            control=Control(Rest(until_duration=1.0), self._model.one_c),
            position=position,
            work=Work(),
            applied=applied,
            label="start",
        )

    def step(self, position: Position) -> TimeStep:
        """Take one time step, shortened until it converges and is accurate; collective.

        Raises:
            NotConverged: If no step that is small enough can be solved, or the protocol step did
                not reach its end in time.
        """
        control, start, past = self._controls[position.index], position.start, position.past
        failed = partial(NotConverged, time=past[0].state.time, step=position.row + 1)
        left = _left(control, position, past[0])
        if left == 0:
            raise failed(f"{control.description} did not reach its end in {control.longest:g} s")
        taken = position.row - position.first_row
        elapsed = past[0].state.time - start.state.time
        left = min(left, control.until_kink(elapsed))
        wanted = min(position.time_step, position.ceiling)
        size = self._stepping.proposed(taken, wanted, left, control.c_rate, control.driven)
        try:
            new, work, error, jump, ceiling = self._attempt(control, position, size)
        except NotConverged as failure:
            raise failed(failure.reason, residuals=failure.residuals) from failure
        size = new.state.time - past[0].state.time
        ended_by: End | None = None
        ends = control.reached(new.state, new.charge - start.charge)
        if max(ends.values(), default=-1.0) >= 0:
            ended_by = next(name for name, by in ends.items() if by >= 0)
            at_once = elapsed == 0.0 and size <= 1.001 * self._stepping.event / control.c_rate
            if at_once and ended_by != "capacity":
                ended_by = "already passed"
        elif lithium.beyond(self._model, new.state, start.state) >= 0:
            ended_by = "concentration"
        elif control.duration is not None and _left(control, position, new) == 0:
            ended_by = control.ends_at
        share = self._share(control, start.state, new.state)
        middle = share >= 0.5 and not position.halfway
        kept = control.fields in ("both", "end" if ended_by else "middle")
        label = (
            self._labels[position.index][bool(ended_by)] if kept and (ended_by or middle) else ""
        )
        after = replace(
            position,
            past=(new, *past[:2]),
            row=position.row + 1,
            time_step=self._stepping.next(size, error, jump),
            ceiling=ceiling,
            halfway=position.halfway or middle,
        )
        load = control.load(new.state.time - start.state.time)
        if control.jumps_at(new.state.time - start.state.time):
            after = replace(after, past=(new,), first_row=after.row)
        return TimeStep(
            index=position.index,
            control=control,
            position=_start(position.index + 1, new, after.row) if ended_by else after,
            size=size,
            error=error,
            work=work,
            applied=load["current"] if load.keys() == {"current"} else None,
            share=share,
            label=label,
            ended_by=ended_by,
        )

    def _attempt(
        self, control: Control, position: Position, size: float
    ) -> tuple[Past, Work, float, float, float]:
        """Return what was reached, the work, two errors (`_error`) and the new ceiling of sizes."""
        ceiling = position.ceiling
        plain = False  # whether the guess is the last state itself, after a failure
        while True:
            try:
                new, work = self._advance(control, position, size, plain)
                error, jump = self._error(control, position, new)
                shorter = None
                if not error <= 1:
                    shorter = self._stepping.shortened(size, error, control.c_rate)
                if shorter is None:
                    if self._beyond(control, position, new) >= 0:
                        new, work = self._locate(control, position, new, work, plain)
                    return new, work, error, jump, 1.2 * ceiling
            except NotConverged as failure:
                logger.info("time step of %.3g s failed: %s", size, failure.reason)
                self.failed += 1
                shorter = self._stepping.shortened(size, np.inf, control.c_rate)
                if shorter is None:
                    self.rejected += 1
                    raise
                # Steps grow back slowly: what fails once, as the interface lets go, fails again.
                ceiling = shorter
                plain = True
            else:
                logger.info("time step of %.3g s has %.2g times the error", size, error)
            self.rejected += 1
            size = shorter

    def _advance(
        self,
        control: Control,
        position: Position,
        size: float,
        plain: bool,
        towards: Past | None = None,
    ) -> tuple[Past, Work]:
        """Solve one time step of a given size; on the way to a state that a longer one reached."""
        past = position.past
        model, last = self._model, past[0]
        load = control.load(last.state.time + size - position.start.state.time)
        times = [item.state.time for item in past]
        new, old, older = bdf(size, times[0] - times[1] if len(past) > 1 else None)
        known = [model.stoichiometry(item.state) for item in past[:2]]
        history = old * known[0] + (older * known[1] if len(known) > 1 else 0.0)
        used = past[:1] if plain else past
        if towards is not None:
            used = (towards, past[0])
        at = [item.state.time for item in used]

        def guess(name: str) -> Array:
            values = [getattr(item.state, name) for item in used]
            return extrapolate(at, values, times[0] + size)

        state, work = advance(
            model,
            last.state,
            Guess(
                electrochemical=guess("electrochemical"),
                mechanical=guess("mechanical"),
                gap=np.maximum(guess("gap"), 0.0),
                pull=guess("pull"),
            ),
            time_step=size,
            rate=new,
            history=history,
            **load,
            continued=len(past) > 1,
            tolerances=self._tolerances,
        )
        # The charge follows the same formula as the lithium, so that the ledger can close.
        charges = old * last.charge + (older * past[1].charge if len(past) > 1 else 0.0)
        current = load["current"] if load.keys() == {"current"} else state.current
        return Past(state=state, charge=(current - charges) / new), work

    def _error(self, control: Control, position: Position, new: Past) -> tuple[float, float]:
        """Return the estimated error of a step over what is allowed, and that of the jump [-].

        They are 0 where nothing is known.
        """
        model, past = self._model, position.past
        if len(past) < 2:
            return 0.0, 0.0

        def error(past: Sequence[Past], value: Callable[[State], Array]) -> Array:
            times = [item.state.time for item in past]
            at = new.state.time
            expected = extrapolate(times, [value(item.state) for item in past], at)
            share = error_share([at - times[0], *-np.diff(times)])
            return share * (value(new.state) - expected)

        difference = error(past, model.stoichiometry)
        rms = np.sqrt(
            model.electrochemistry.charge(difference**2)
            / model.electrochemistry.charge(np.ones_like(difference))
        )
        voltage = abs(error(past, lambda state: np.array([state.voltage])).item())
        held, current = past[: position.row - position.first_row], 0.0
        if control.held and len(held) > 1:  # the start still has the load before it
            current = abs(error(held, lambda state: np.array([state.current])).item())
            known = _KNOWN_CURRENT * self._tolerances.exchange * model.one_c
            current /= max(abs(new.state.current), known)
        scale = np.hypot(model.failure_opening, self._rms(new.state.jump))
        jump = self._rms(error(past, lambda state: state.jump)) / scale
        return self._stepping.error(rms, voltage, current, jump), jump

    def _rms(self, jump: Array) -> float:
        """Return the root mean square of a jump over the cohesive surfaces [m]; collective."""
        bodies = self._model.bodies
        squares = np.einsum("ni,ni->n", jump, jump)
        return float(np.sqrt(bodies.sum(bodies.weights * squares) / bodies.sum(bodies.weights)))

    def _beyond(self, control: Control, position: Position, now: Past) -> float:
        """Return by how much a state is past what ends the protocol step, negative before it."""
        start = position.start
        by_control = control.beyond(now.state, now.charge - start.charge)
        return max(by_control, lithium.beyond(self._model, now.state, start.state))

    def _locate(
        self, control: Control, position: Position, new: Past, work: Work, plain: bool
    ) -> tuple[Past, Work]:
        """Return the shortest step found that reaches the end, `event` too long at most.

        In the first step after a change of load that is `event` where the end is passed by then.
        """
        past, precision = position.past, self._stepping.event / control.c_rate
        longest = new.state.time - past[0].state.time
        tried = {longest: (new, work)}

        def beyond(size: float) -> float:
            if size == 0.0:
                return self._beyond(control, position, past[0])
            if size not in tried:
                longer = min(other for other in tried if other > size)
                towards = tried[longer][0]
                tried[size] = self._advance(control, position, size, plain, towards)
            return self._beyond(control, position, tried[size][0])

        shortest = min(precision, longest) if position.row == position.first_row else 0.0
        if beyond(shortest) < 0:
            brentq(beyond, shortest, longest, xtol=precision)
        return tried[min(size for size in tried if beyond(size) >= 0)]

    def _share(self, control: Control, start: State, state: State) -> float:
        """Return about which share of a protocol step is done."""
        share = (state.time - start.time) / control.longest
        if control.sign:
            model = self._model
            filled = map(model.stoichiometry, (state, start))
            left, full = map(model.electrochemistry.charge, filled)
            nominal = FARADAY * model.lithium_nominal
            room = full if control.sign > 0 else nominal - full
            share = max(share, control.sign * (full - left) / max(room, 1e-3 * nominal))
        elif control.held and control.beyond(start, 0.0) < 0:
            share = max(share, 1 - control.beyond(state, 0.0) / control.beyond(start, 0.0))
        return float(min(share, 1.0))


def _start(index: int, start: Past, row: int) -> Position:
    """Return the position at the start of a protocol step."""
    return Position(index=index, start=start, past=(start,), row=row, first_row=row)


def _left(control: Control, position: Position, now: Past) -> float:
    """Return the time left in a protocol step, 0 where that is roundoff [s]."""
    time = now.state.time
    left = position.start.state.time + control.longest - time
    return left if left > 1e-13 * max(1.0, time) else 0.0

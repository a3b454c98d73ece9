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
from femssb.inputs.cycle import Course, Cycle
from femssb.inputs.protocol import Rest, Step
from femssb.results.cycles import labels
from femssb.results.solution import End
from femssb.run import lithium
from femssb.run.control import Control, controls
from femssb.run.readout import Readout
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


@dataclass(frozen=True, kw_only=True)
class _Reached:
    """A state that a time step was tried to."""

    past: Past
    work: Work  # iterations it took
    ends: dict[End, float]  # by how much it is past what ends the protocol step, negative before

    @property
    def beyond(self) -> float:
        """The largest of these."""
        return max(self.ends.values())


class Stepper:
    """Takes a model through a protocol, one time step at a time; it prints and writes nothing.

    Attributes:
        readout: Reads numbers and fields out of the model.
        course: The order of the steps; a run that resumes must have followed its record.
        rejected: Time steps that were tried without success.
        failed: Those of them that could not be solved.
    """

    def __init__(
        self,
        model: Model,
        protocol: Sequence[Step | Cycle],
        stepping: Stepping | FixedSteps,
        tolerances: Tolerances,
    ) -> None:
        """Keep the arguments; solves nothing."""
        self.rejected = self.failed = 0
        self.readout = Readout(model)
        self.course = Course(protocol)
        self._model = model
        self._stepping = stepping
        self._tolerances = tolerances
        self._controls = controls(self.course.steps, model)

    def start(self, past: Past | None = None, temperature: float | None = None) -> TimeStep:
        """Return the state at the start of the protocol, at rest or one that was reached before.

        Collective.

        Args:
            past: What was reached before.
            temperature: At which [K]; None: that of the materials.
        """
        self._model.warm_to(temperature or self._model.materials.temperature)
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
        order = self.course.order
        control, start, past = self._controls[order[position.index]], position.start, position.past
        self._model.warm_to(control.temperature)
        failed = partial(NotConverged, time=past[0].state.time, step=position.row + 1)
        left = _left(control, position, past[0])
        if left == 0:
            raise failed(f"{control.description} did not reach its end in {control.longest:g} s")
        since = position.row - position.first_row
        elapsed = past[0].state.time - start.state.time
        kept = elapsed + control.until_kept(elapsed)
        left = min(left, control.until_kink(elapsed), kept - elapsed)
        wanted = min(position.time_step, position.ceiling)
        size = self._stepping.proposed(since, wanted, left, control.c_rate, control.driven)
        try:
            new, error, jump, ceiling = self._attempt(control, position, size)
        except NotConverged as failure:
            raise failed(failure.reason, residuals=failure.residuals) from failure
        size = new.past.state.time - past[0].state.time
        ended_by: End | None = next((name for name, by in new.ends.items() if by >= 0), None)
        if ended_by is not None:
            at_once = elapsed == 0.0 and size <= 1.001 * self._stepping.event / control.c_rate
            if at_once and ended_by not in ("capacity", "concentration"):
                ended_by = "already passed"
        elif control.duration is not None and _left(control, position, new.past) == 0:
            ended_by = control.ends_at
        share = self._share(control, start.state, new.past.state)
        middle = share >= 0.5 and not position.halfway
        after = replace(
            position,
            past=(new.past, *past[:2]),
            row=position.row + 1,
            time_step=self._stepping.next(size, error, jump),
            ceiling=ceiling,
            halfway=position.halfway or middle,
        )
        if control.jumps_at(new.past.state.time - start.state.time):
            after = replace(after, past=(new.past,), first_row=after.row)
        taken = replace(
            self._taken(control, position, new.past, new.work),
            position=_start(position.index + 1, new.past, after.row) if ended_by else after,
            error=error,
            share=share,
            ended_by=ended_by,
        )
        if ended_by:
            taken_out = start.charge - new.past.charge
            self.course.end(taken_out, lambda: self.readout.row(taken))
        reached = new.past.state.time - start.state.time
        due = abs(reached - kept) <= 1e-9 * max(1.0, kept)
        return replace(taken, label=self._label(taken, reached, due, middle))

    def _label(self, taken: TimeStep, elapsed: float, due: bool, middle: bool) -> str:
        """Return the name of the moment if its fields are to be kept, else nothing.

        Args:
            taken: The time step.
            elapsed: Time in the protocol step [s].
            due: Whether the protocol step wants them at that time.
            middle: Whether the middle of the protocol step has just passed.
        """
        fields, ended = taken.control.fields, taken.ended_by is not None
        if isinstance(fields, str):
            wanted = fields in ("both", "end" if ended else "middle") and (ended or middle)
        else:
            wanted = due or (ended and isinstance(fields, float))
        if not wanted:
            return ""
        kinds = [self._controls[place].kind for place in self.course.order]
        half, end = labels(kinds)[taken.index]
        if ended:
            return end
        return half if isinstance(fields, str) else half.replace("middle", f"at {elapsed:g} s")

    def _attempt(
        self, control: Control, position: Position, size: float
    ) -> tuple[_Reached, float, float, float]:
        """Return what was reached, two errors (`_error`) and the new ceiling of sizes."""
        ceiling = position.ceiling
        plain = False  # whether the guess is the last state itself, after a failure
        while True:
            try:
                new = self._advance(control, position, size, plain)
                error, jump = self._error(control, position, new.past)
                shorter = None
                if not error <= 1:
                    shorter = self._stepping.shortened(size, error, control.c_rate)
                if shorter is None:
                    if new.beyond >= 0:
                        new = self._locate(control, position, new, plain)
                    return new, error, jump, 1.2 * ceiling
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
    ) -> _Reached:
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
        now = Past(state=state, charge=(current - charges) / new)
        return _Reached(past=now, work=work, ends=self._ends(control, position, now, work))

    def _taken(self, control: Control, position: Position, now: Past, work: Work) -> TimeStep:
        """Return a time step to a state, as far as that alone tells it."""
        load = control.load(now.state.time - position.start.state.time)
        return TimeStep(
            index=position.index,
            control=control,
            position=replace(position, past=(now, *position.past)),
            size=now.state.time - position.past[0].state.time,
            work=work,
            applied=load["current"] if load.keys() == {"current"} else None,
            label="",
        )

    def _ends(
        self, control: Control, position: Position, now: Past, work: Work
    ) -> dict[End, float]:
        """Return by how much a state is past what ends the protocol step, negative before it."""
        start = position.start
        found = control.reached(now.state, now.charge - start.charge)
        if control.conditions:
            taken = self._taken(control, position, now, work)
            found["condition"] = max(self.readout.beyond(c, taken) for c in control.conditions)
        found["concentration"] = lithium.beyond(self._model, now.state, start.state)
        return found

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

    def _locate(self, control: Control, position: Position, new: _Reached, plain: bool) -> _Reached:
        """Return the shortest step found that reaches the end, `event` too long at most.

        In the first step after a change of load that is `event` where the end is passed by then.
        """
        past, precision = position.past, self._stepping.event / control.c_rate
        longest = new.past.state.time - past[0].state.time
        tried = {longest: new}

        def beyond(size: float) -> float:
            if size == 0.0:
                return max(self._ends(control, position, past[0], Work()).values())
            if size not in tried:
                longer = min(other for other in tried if other > size)
                towards = tried[longer].past
                tried[size] = self._advance(control, position, size, plain, towards)
            return tried[size].beyond

        # A voltage ends in a cliff: far beyond the end it tells nothing of where that is.
        scale = abs(beyond(0.0)) or 1.0

        def bent(size: float) -> float:
            return beyond(size) / (abs(beyond(size)) + scale)

        shortest = min(precision, longest) if position.row == position.first_row else 0.0
        if beyond(shortest) < 0:
            brentq(bent, shortest, longest, xtol=precision)
        return tried[min(size for size, reached in tried.items() if reached.beyond >= 0)]

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

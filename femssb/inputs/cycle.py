"""Protocols in short: steps in words, and steps that are repeated, so many times or until an end.

As in ``["Rest for 1 hour", Cycle(steps=["Charge at C/2 until 4.3 V", DISCHARGE], count=20)]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from femssb.description import description, field
from femssb.errors import InputError, shown
from femssb.inputs.condition import Condition
from femssb.inputs.protocol import Charge, Discharge, Drive, Hold, Rest, Step
from femssb.inputs.sentences import read_step

LONGEST = 100_000  # steps of a protocol
PASSED = "Discharge capacity [C]"  # column of the charge passed since the start


@description
class Cycle:
    """Steps that are taken several times, one round after the other.

    Whether a round is the last one is judged where it ends.

    Raises:
        InputError: If it has no steps, or one is none.
    """

    steps: tuple[Any, ...] = field("steps in their order, as a protocol takes them")
    count: int = field("rounds, at most", lower=1, upper=LONGEST, default=1)
    until: Condition | None = field(
        "makes a round the last one, where it holds at its end", default=None
    )
    until_retention: float | None = field(
        "makes a round the last one in which less of the charge is taken out than this share of"
        " that of the first round",
        above=0,
        below=10,
        default=None,
    )
    fields_every: int = field(
        "keep fields of the first and the last round, and of every so many between",
        lower=1,
        upper=LONGEST,
        default=1,
    )

    def __post_init__(self) -> None:
        """Check the steps, and keep them with their words read."""
        object.__setattr__(self, "steps", steps_of("Cycle.steps", self.steps))

    @property
    def ends_early(self) -> bool:
        """Whether it may end before all rounds are taken."""
        return self.until is not None or self.until_retention is not None


def _steps_in(cycle: Cycle, number: int) -> tuple[Step | Cycle, ...]:
    """Return the steps of a round of a cycle, by its number from 1."""
    if number in (1, cycle.count) or number % cycle.fields_every == 0:
        return cycle.steps
    return tuple(map(_without_fields, cycle.steps))


def _without_fields(step: Step | Cycle) -> Step | Cycle:
    """Return a step that keeps no fields."""
    if isinstance(step, Cycle):
        return replace(step, steps=tuple(map(_without_fields, step.steps)))
    return replace(step, fields="none")


def steps_of(owner: str, protocol: object) -> tuple[Step | Cycle, ...]:
    """Return the steps of a protocol, with words read and cycles taken apart that have no end.

    Args:
        owner: Name of the field that holds the protocol.
        protocol: A list of steps, sentences (`femssb.inputs.sentences`) and cycles.

    Raises:
        InputError: If there is no step, more than `LONGEST`, or one that is none; the message says
            which.
    """
    if not isinstance(protocol, list | tuple):
        raise InputError(
            f"{owner} must be a list of steps such as Charge(...), got {type(protocol).__name__}"
        )
    steps: list[Step | Cycle] = []
    count = 0
    for place, item in enumerate(protocol):
        where = f"{owner}[{place}]"
        if isinstance(item, Cycle):
            count += item.count * _count(item.steps)
            if count > LONGEST:
                raise InputError(f"{where}: more than {LONGEST} steps")
            if item.ends_early:
                steps.append(item)
            else:
                steps += [
                    step for number in range(1, item.count + 1) for step in _steps_in(item, number)
                ]
            continue
        count += 1
        if isinstance(item, str):
            try:
                steps.append(read_step(item))
            except InputError as error:
                raise InputError(f"{where}: {error}") from error
        elif isinstance(item, Charge | Discharge | Drive | Hold | Rest):
            steps.append(item)
        else:
            raise InputError(f"{where} = {shown(item)} is not a protocol step")
    if not steps:
        raise InputError(f"{owner} is empty: give at least one step")
    return tuple(steps)


def _count(steps: Iterable[Step | Cycle]) -> int:
    """Return how many steps these are at most."""
    return sum(s.count * _count(s.steps) if isinstance(s, Cycle) else 1 for s in steps)


@dataclass(frozen=True)
class _Round:
    """A round after which a cycle may end."""

    cycle: Cycle
    begin: int  # step at which the first round begins
    first: int  # step at which this one does
    stop: int  # the step after it
    after: int  # the step after the cycle


class _Ended(Protocol):
    """A step that is over, as `StepRecord`."""

    @property
    def start_row(self) -> int: ...
    @property
    def end_row(self) -> int: ...


class Course:
    """The steps of a protocol in the order in which they are taken: a cycle may end early.

    Attributes:
        steps: All of them, as if no cycle did.
    """

    def __init__(self, protocol: Sequence[Step | Cycle]) -> None:
        """Begin with the first step."""
        self.steps: list[Step] = []
        self._conditions: list[Condition] = []
        self._rounds: dict[int, list[_Round]] = {}  # by their `stop`, the inner ones first
        self._expand(protocol)
        self._taken: dict[int, float] = {}  # step that is over -> charge taken out in it [C]
        self._at = 0  # the step that runs

    def _expand(self, protocol: Sequence[Step | Cycle]) -> None:
        for item in protocol:
            if not isinstance(item, Cycle):
                self.steps.append(item)
                continue
            self._conditions += [] if item.until is None else [item.until]
            begin = len(self.steps)
            after = begin + item.count * _count(item.steps)
            for number in range(1, item.count + 1):
                first = len(self.steps)
                self._expand(_steps_in(item, number))
                stop = len(self.steps)
                if item.ends_early and stop < after:
                    found = _Round(item, begin, first, stop, after)
                    self._rounds.setdefault(stop, []).append(found)

    @property
    def order(self) -> list[int]:
        """Places in `steps` of those that are over, and of those that would follow now."""
        return [*self._taken, *range(self._at, len(self.steps))]

    @property
    def conditions(self) -> list[Condition]:
        """Those that may end a cycle."""
        return list(dict.fromkeys(self._conditions))

    @property
    def over(self) -> bool:
        """Whether no step is left."""
        return self._at == len(self.steps)

    def end(self, taken_out: float, row: Callable[[], Mapping[str, float]]) -> None:
        """Note that the step which runs is over, and choose the one that follows.

        Args:
            taken_out: Charge passed in the step, positive on discharge [C].
            row: Gives the row of the time series at its end.
        """
        self._taken[self._at] = max(taken_out, 0.0)
        after, judged = self._at + 1, set[int]()
        while True:
            rounds = [
                one
                for one in self._rounds.get(after, [])
                if id(one) not in judged and one.first <= self._at
            ]
            if not rounds:
                break
            judged.add(id(rounds[0]))
            if self._is_last(rounds[0], row):
                after = rounds[0].after
        self._at = after

    def follow(self, ended: Sequence[_Ended], row: Callable[[int], Mapping[str, float]]) -> Course:
        """Take the steps that a record says are over, and return the course.

        Args:
            ended: The record.
            row: Gives a row of the time series.
        """
        for one in ended:
            if not self.over:
                out = row(one.end_row)[PASSED] - row(one.start_row)[PASSED]
                self.end(out, lambda one=one: row(one.end_row))  # type: ignore[misc]
        return self

    def _is_last(self, one: _Round, row: Callable[[], Mapping[str, float]]) -> bool:
        if one.cycle.until is not None and one.cycle.until.beyond(row()) >= 0:
            return True
        share = one.cycle.until_retention
        if share is None:
            return False
        length = _count(one.cycle.steps)
        first, this = (
            sum(self._taken.get(step, 0.0) for step in range(begin, begin + length))
            for begin in (one.begin, one.first)
        )
        return this < share * first

"""Protocols in short: steps in words, and steps that are repeated.

As in ``["Rest for 1 hour", Cycle(steps=["Charge at C/2 until 4.3 V", DISCHARGE], count=20)]``.
"""

from __future__ import annotations

from typing import Any

from femssb.description import description, field
from femssb.errors import InputError, shown
from femssb.inputs.protocol import Charge, Discharge, Drive, Hold, Rest, Step
from femssb.inputs.sentences import read_step

LONGEST = 100_000  # steps of a protocol


@description
class Cycle:
    """Steps that are taken several times, one round after the other.

    Raises:
        InputError: If it has no steps, or one is none.
    """

    steps: tuple[Any, ...] = field("steps in their order, as a protocol takes them")
    count: int = field("rounds", lower=1, upper=LONGEST, default=1)

    def __post_init__(self) -> None:
        """Check the steps, and keep them with their words read."""
        object.__setattr__(self, "steps", steps_of("Cycle.steps", self.steps))


def steps_of(owner: str, protocol: object) -> tuple[Step, ...]:
    """Return the steps of a protocol, with words read and cycles taken apart.

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
    steps: list[Step] = []
    for place, item in enumerate(protocol):
        where = f"{owner}[{place}]"
        if isinstance(item, Cycle):
            if len(steps) + item.count * len(item.steps) > LONGEST:
                raise InputError(f"{where}: more than {LONGEST} steps")
            steps += item.steps * item.count
        elif isinstance(item, str):
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

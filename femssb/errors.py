"""Every error that femssb raises on purpose; all but `Interrupted` derive from `FemssbError`."""

import math
import numbers
from collections.abc import Mapping
from functools import partial
from signal import Signals
from typing import Any


class FemssbError(Exception):
    """Base of all femssb errors: catch this one to catch them all."""


class InputError(FemssbError, ValueError):
    """An input is out of bounds; the message names the field, its value and the bound."""


class MeshError(FemssbError):
    """A geometry could not be meshed, or a mesh lacks what the model needs."""


class NotConverged(FemssbError):
    """A solve failed and no smaller time step can save it.

    Attributes:
        time: Simulated time at which the step started [s].
        step: Index of the time step.
        reason: Cause of the failure, in words.
        residuals: Last residual of each problem, relative to its tolerance.
    """

    def __init__(
        self, reason: str, *, time: float = 0.0, step: int = 0, residuals: Mapping[str, float] = {}
    ) -> None:
        """Keep what is needed to find the failure: see the class attributes."""
        self.time = time
        self.step = step
        self.reason = reason
        self.residuals = dict(residuals)
        shown = ", ".join(f"{name} {value:.3g}" for name, value in self.residuals.items())
        super().__init__(f"{reason} (time {time:.6g} s, step {step}; residuals: {shown or 'none'})")

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how a copy is made on another rank."""
        again = partial(type(self), time=self.time, step=self.step, residuals=self.residuals)
        return again, (self.reason,)


class EngineError(FemssbError):
    """An outside engine (LAMMPS, Gmsh) is missing, lacks a feature, or failed."""


class Interrupted(KeyboardInterrupt, SystemExit):
    """Work was stopped by a signal, SIGINT or SIGTERM, where all it had reached could be kept.

    It is no `FemssbError`, so that a loop that goes on after an error does not go on after this.
    As a `KeyboardInterrupt` it stops a notebook; as a `SystemExit` it ends a script without a
    traceback and with the exit code 130 or 143, by which a shell knows the signal.

    Attributes:
        code: Exit code of the process.
        signal: Number of the signal.
        kept: What was kept, and how to go on, in words.
    """

    code: int

    def __init__(self, signal: int, kept: str = "") -> None:
        """Keep the number of the signal, and what to say."""
        super().__init__(signal, kept)
        self.signal, self.kept = signal, kept
        self.code = 128 + signal

    def __str__(self) -> str:
        """Return what happened in one line."""
        return f"stopped by {Signals(self.signal).name}" + (f": {self.kept}" if self.kept else "")


def check_number(
    owner: str,
    field: str,
    value: object,
    *,
    lower: float | None = None,
    upper: float | None = None,
    above: float | None = None,
    below: float | None = None,
    unit: str = "",
) -> None:
    """Check that a field holds a finite number within its bounds.

    Args:
        owner: Name of the class or function the field belongs to.
        field: Name of the field.
        value: Value to check.
        lower: Smallest value allowed, None for no bound.
        upper: Largest value allowed, None for no bound.
        above: Bound that must be exceeded, None for no bound.
        below: Bound that must not be reached, None for no bound.
        unit: Unit shown in the message.

    Raises:
        InputError: If it is not a finite number, or outside its bounds.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(f"{owner}.{field} must be a number [{unit or '-'}], got {shown(value)}")
    try:
        number = float(value)
    except OverflowError:  # a whole number with hundreds of digits
        number = math.inf
    exact = int(value) if isinstance(value, numbers.Integral) else number
    inside = (
        (lower is None or exact >= lower)
        and (upper is None or exact <= upper)
        and (above is None or exact > above)
        and (below is None or exact < below)
    )
    if not inside or not math.isfinite(number):
        tail = f" {unit}" if unit else ""
        raise InputError(
            f"{owner}.{field} = {number:g}{tail} is outside "
            f"{_interval(lower, upper, above, below)}{tail}"
        )


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, and not all of a material or a table."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a number of thousands of digits, an object that does not show itself
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:97]}..."


def _interval(
    lower: float | None, upper: float | None, above: float | None, below: float | None
) -> str:
    """Return bounds as an interval: a square bracket where the bound itself is allowed."""
    low = f"[{lower:g}" if lower is not None else "(-inf" if above is None else f"({above:g}"
    high = f"{upper:g}]" if upper is not None else "inf)" if below is None else f"{below:g})"
    return f"{low}, {high}"

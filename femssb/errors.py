"""Every error that femssb raises on purpose; all derive from `FemssbError`."""

import math
import numbers
from collections.abc import Mapping
from functools import partial
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
        raise InputError(f"{owner}.{field} must be a number [{unit or '-'}], got {value!r}")
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


def _interval(
    lower: float | None, upper: float | None, above: float | None, below: float | None
) -> str:
    """Return bounds as an interval: a square bracket where the bound itself is allowed."""
    low = f"[{lower:g}" if lower is not None else "(-inf" if above is None else f"({above:g}"
    high = f"{upper:g}]" if upper is not None else "inf)" if below is None else f"{below:g})"
    return f"{low}, {high}"

"""Steps in time: their sizes, the BDF formula, its error, and extrapolation.

Time derivatives use the variable-step BDF formula of order two; the first step after a change of
load is implicit Euler.

Source: Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, section III.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.errors import InputError, check_number
from femssb.units import hour

Array = NDArray[np.float64]


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
            check_number(owner, name, getattr(self, name), above=0, below=0.5)
        for name in ("first", "largest", "smallest", "event"):
            value = getattr(self, name)
            check_number(owner, name, value, above=0, below=hour, unit="s")
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

"""Steps in time: their sizes, the BDF formula, its error, and extrapolation.

Time derivatives use the variable-step BDF formula of order two; the first step after a change of
load is implicit Euler.

Source: Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, section III.5.
"""

from collections.abc import Sequence

import numpy as np

from femssb.arrays import Array
from femssb.description import description, field
from femssb.errors import InputError
from femssb.units import hour

_ROOM = 0.5  # of the error of the jump that is allowed, aimed at


@description
class Stepping:
    """Time steps chosen by their error; times are those of a 1C run and shrink with the C-rate.

    A hold and a rest have no C-rate: there the times are taken as they are, and steps grow as far
    as their error lets them, beyond `largest`.
    """

    stoichiometry_error: float = field(
        "allowed in one step, rms over the particles", above=0, below=0.5, default=1e-4
    )
    voltage_error: float = field("allowed in one step", unit="V", above=0, below=0.5, default=2e-3)
    current_error: float = field(
        "allowed in one step of a hold, over the current", above=0, below=0.5, default=2e-4
    )
    jump_error: float = field(
        "allowed in one step, rms over the interface, over the jump or the opening at failure",
        above=0,
        below=0.5,
        default=2e-3,
    )
    first: float = field(
        "first step after a change of load", unit="s", above=0, below=hour, default=0.5
    )
    largest: float = field(
        "largest step of a charge or discharge", unit="s", above=0, below=hour, default=120.0
    )
    smallest: float = field(
        "a step that fails and is not longer ends the run",
        unit="s",
        above=0,
        below=hour,
        default=1e-4,
    )
    event: float = field(
        "precision of the end of a protocol step", unit="s", above=0, below=hour, default=0.05
    )

    def __post_init__(self) -> None:
        """Check that the first step may be taken."""
        if not self.smallest <= self.first <= self.largest:
            raise InputError(
                f"Stepping.first = {self.first:g} s is not between smallest "
                f"({self.smallest:g} s) and largest ({self.largest:g} s)"
            )

    def proposed(
        self, number: int, wanted: float, left: float, c_rate: float, driven: bool
    ) -> float:
        """Return the size of the next time step [s].

        Args:
            number: Time steps taken since the load changed.
            wanted: Size that the steps before it suggest [s].
            left: Time left in the protocol step [s].
            c_rate: C-rate of the load.
            driven: Whether a current is imposed, as on charge and discharge.
        """
        largest = self.largest / c_rate if driven else np.inf
        wanted = max(wanted, self.smallest / c_rate) if number else self.first / c_rate
        size = min(wanted, largest, left)
        return left / 2 if size < left < 2 * size else size  # rather than a last sliver of a step

    def error(self, stoichiometry: float, voltage: float, current: float, jump: float) -> float:
        """Return the largest of four errors [-], [V], [-], [-] over what is allowed."""
        return max(
            stoichiometry / self.stoichiometry_error,
            voltage / self.voltage_error,
            current / self.current_error,
            jump / self.jump_error,
        )

    def shortened(self, size: float, error: float, c_rate: float) -> float | None:
        """Return the size to try after one that failed, or None where no smaller one is allowed.

        Args:
            size: Size that failed [s].
            error: Its error over what is allowed; infinite where it could not be solved.
            c_rate: C-rate of the load.
        """
        smallest = self.smallest / c_rate
        factor = 0.6 if np.isinf(error) else max(0.2, 0.8 * error ** (-1 / 3))
        return max(size * factor, smallest) if size > smallest else None

    def next(self, size: float, error: float, jump: float) -> float:
        """Return the size that an accepted step suggests for the next one [s].

        Where an interface snaps, no error tells of it before: the jump has more room than others.

        Args:
            size: Size of the step [s].
            error: Its error over what is allowed.
            jump: Error of the jump [-].
        """
        error = max(error, jump / (_ROOM * self.jump_error))
        return size * (min(2.0, max(0.3, 0.9 * error ** (-1 / 3))) if error > 0 else 2.0)


@description
class FixedSteps:
    """Time steps of given sizes, whatever their error, so that several runs take the same steps.

    Every step of the protocol takes them in turn and repeats the last one. The step in which it
    ends is shortened to end there; none is shortened otherwise: a step that cannot be solved ends
    the run.
    """

    sizes: tuple[float, ...] = field("sizes, the last one repeated", unit="s", above=0, below=1e9)
    event: float = field(
        "precision of the end of a protocol step, at 1C; it shrinks with the C-rate",
        unit="s",
        above=0,
        below=hour,
        default=0.05,
    )

    def proposed(
        self, number: int, wanted: float, left: float, c_rate: float, driven: bool
    ) -> float:
        """Return the size of the next time step [s]; see `Stepping.proposed`."""
        return min(self.sizes[min(number, len(self.sizes) - 1)], left)

    def error(self, stoichiometry: float, voltage: float, current: float, jump: float) -> float:
        """Return 0: every error is allowed."""
        return 0.0

    def shortened(self, size: float, error: float, c_rate: float) -> None:
        """Return None: no other size is allowed."""

    def next(self, size: float, error: float, jump: float) -> float:
        """Return the size itself, which `proposed` ignores."""
        return size


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

"""Plateaus: whether a series has come to rest within a tolerance, its mean, and its error.

The error of the mean of correlated values comes from blocks: values are averaged in pairs again and
again, until blocks are longer than the correlation and the error that they tell of grows no more.
H. Flyvbjerg, H. G. Petersen, J. Chem. Phys. 91, 461 (1989), doi 10.1063/1.457480.

A series that still creeps towards its plateau has no error of that kind, but a rest to go: it is
taken from the steps between the means of three thirds, as if they shrank by one ratio for ever
(Aitken). Noise may make a steady drift look as if it came to its end: of the ratios that the errors
of the steps allow, the largest counts. The mean is not corrected by the rest; it is part of its
error.
"""

from dataclasses import dataclass

import numpy as np

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, check_number

FEWEST_BLOCKS = 8  # from which an error is told
SLOWEST = 0.95  # ratio of two steps of a drift, above which it is not told from a steady one
FEWEST = 2 * FEWEST_BLOCKS  # values of a plateau


@dataclass(frozen=True, kw_only=True, slots=True)
class Plateau:
    """What a series says about the value at which it rests.

    Attributes:
        mean: Of the values that count.
        error: Standard error of the mean, and what a drift leaves to go, added as squares.
        drift: Second half minus first half of the values that count.
        drift_error: Standard error of the drift, that of a steady series.
        last: Mean of the last third, which is nearest to the plateau of a series that creeps.
        rest: From the mean to where the drift leads; 0 for a steady series.
        number: Values that count, the last ones of the series.
    """

    mean: float
    error: float
    drift: float
    drift_error: float
    last: float
    rest: float
    number: int

    @property
    def relative_error(self) -> float:
        """Error over the size of the mean; infinite for a mean of zero."""
        return self.error / abs(self.mean) if self.mean else float("inf")

    @property
    def steady(self) -> bool:
        """Whether both halves agree within two standard errors."""
        return abs(self.drift) <= 2 * self.drift_error

    @checked
    def reached(self, tolerance: float) -> bool:
        """Whether the error is within a tolerance, and so is the drift unless it is noise.

        Args:
            tolerance: Relative to the mean.
        """
        check_number("Plateau.reached", "tolerance", tolerance, above=0)
        small = abs(self.drift) <= tolerance * abs(self.mean)
        return self.relative_error <= tolerance and (small or self.steady)


def block_error(values: Array) -> float:
    """Return the standard error of the mean of correlated values, shape (n,).

    The largest that blocks of any length tell of, of which there are at least `FEWEST_BLOCKS`: one
    that is too short is too sure, and those that are long enough agree but for noise.
    """
    blocks, worst = np.asarray(values, dtype=np.float64), 0.0
    while len(blocks) >= FEWEST_BLOCKS:
        worst = max(worst, float(blocks.std(ddof=1) / np.sqrt(len(blocks))))
        blocks = blocks[len(blocks) % 2 :].reshape(-1, 2).mean(axis=1)
    return worst


@checked
def plateau(values: Array, *, discard: float = 0.5) -> Plateau:
    """Return the plateau at the end of a series.

    Args:
        values: At equal intervals, shape (n,).
        discard: Share of the series, from its start, that does not count.

    Raises:
        InputError: If fewer than `FEWEST` values count, or one is not finite.
    """
    check_number("plateau", "discard", discard, lower=0, below=1)
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or not np.all(np.isfinite(series)):
        raise InputError("plateau.values must be finite numbers, shape (n,)")
    counted = series[int(discard * len(series)) :]
    if len(counted) < FEWEST:
        raise InputError(
            f"plateau.values: {len(counted)} of {len(series)} count, at least {FEWEST} must"
        )
    half = len(counted) // 2
    first, second = counted[:half], counted[half:]
    drift = float(second.mean() - first.mean())
    # Blocks that drift tell of an error that is none: they are straightened first.
    place = np.arange(len(counted)) - (len(counted) - 1) / 2
    straight = counted - place * (place @ counted) / (place @ place)
    noise = 2 * block_error(straight)  # of the difference of two halves, each with sqrt(2) of it
    thirds = counted[len(counted) % 3 :].reshape(3, -1)
    early, middle, last = thirds.mean(axis=1).tolist()
    rest = 0.0
    if abs(drift) > 2 * noise:
        forward = np.sign(drift)
        step, before = forward * (last - middle), forward * (middle - early)
        doubt = np.sqrt(1.5) * noise  # of the difference of two thirds
        likely = (step + doubt) / (before - doubt) if before > doubt else SLOWEST
        ratio = float(np.clip(likely, 0.0, SLOWEST))
        to_go = max(step + doubt, 0.0) * max(ratio / (1 - ratio), 0.5)
        rest = last - float(counted.mean()) + forward * to_go
    return Plateau(
        mean=float(counted.mean()),
        error=float(np.hypot(block_error(straight if rest else counted), rest)),
        drift=drift,
        drift_error=noise,
        last=last,
        rest=rest,
        number=len(counted),
    )

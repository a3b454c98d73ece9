"""Distributions of diameters by number: lognormal, as measured, or listed."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.errors import InputError, check_number

SMALLEST, LARGEST = 1e-9, 1e-2  # diameters of any powder [m]
COUNTABLE = 1e15  # spheres that have whole numbers
CLASSES = 40  # diameters that stand for a continuous distribution


class Sizes(ABC):
    """A distribution of diameters; a new kind derives from this class and gives its quantiles."""

    __slots__ = ()

    @abstractmethod
    def quantile(self, share: Array) -> Array:
        """Return the diameter below which a share of the particles lies, shape as `share` [m]."""

    def listed(self) -> ListedSizes:
        """Return the distribution as diameters that occur with given numbers."""
        middles = (np.arange(CLASSES) + 0.5) / CLASSES
        return ListedSizes(diameters=tuple(self.quantile(middles).tolist()))


@description
class LognormalSizes(Sizes):
    """Lognormal distribution of diameters, which may be cut at both ends."""

    median: float = field(
        "of the distribution before it is cut", unit="m", lower=SMALLEST, upper=LARGEST
    )
    geometric_deviation: float = field(
        "geometric standard deviation: exponential of the standard deviation of the logarithm",
        above=1.0,
        below=10.0,
    )
    smallest: float = field(
        "smallest diameter", unit="m", lower=SMALLEST, upper=LARGEST, default=SMALLEST
    )
    largest: float = field(
        "largest diameter", unit="m", lower=SMALLEST, upper=LARGEST, default=LARGEST
    )

    def __post_init__(self) -> None:
        if self.largest <= self.smallest:
            ends = f"largest = {self.largest:g} m must exceed smallest = {self.smallest:g} m"
            raise InputError(f"LognormalSizes.{ends}")
        low, high = self._cut()
        if high - low < 1e-6:
            raise InputError(
                f"LognormalSizes: only {high - low:.1e} of the distribution with median "
                f"{self.median:g} m and geometric_deviation {self.geometric_deviation:g} lies "
                "between smallest and largest"
            )

    def _cut(self) -> tuple[float, float]:
        """Return the shares of the whole distribution below both ends."""
        ends = np.log(np.array([self.smallest, self.largest]) / self.median)
        low, high = ndtr(ends / math.log(self.geometric_deviation))
        return float(low), float(high)

    def quantile(self, share: Array) -> Array:
        """Return the diameter below which a share of the particles lies, shape as `share` [m]."""
        low, high = self._cut()
        score = ndtri(low + np.asarray(share) * (high - low))
        return np.clip(self.median * self.geometric_deviation**score, self.smallest, self.largest)


@description
class TabulatedSizes(Sizes):
    """Distribution of diameters as measured: cumulative share by number at given diameters."""

    diameters: tuple[float, ...] = field("rising", unit="m", lower=SMALLEST, upper=LARGEST)
    shares: tuple[float, ...] = field(
        "share of the particles that is smaller; rises from 0 to 1", lower=0.0, upper=1.0
    )

    def __post_init__(self) -> None:
        if len(self.diameters) != len(self.shares) or len(self.shares) < 2:
            raise InputError("TabulatedSizes needs two or more diameters, and as many shares")
        first, last = self.shares[0], self.shares[-1]
        if first != 0.0 or last != 1.0:
            ends = f"from 0 to 1, not from {first:g} to {last:g}"
            raise InputError(f"TabulatedSizes.shares must go {ends}")
        if np.any(np.diff(self.diameters) <= 0) or np.any(np.diff(self.shares) < 0):
            raise InputError("TabulatedSizes.diameters and shares must rise")

    def quantile(self, share: Array) -> Array:
        """Return the diameter below which a share of the particles lies, shape as `share` [m]."""
        rising = np.append(True, np.diff(self.shares) > 0)  # where flat, the larger diameter counts
        return np.interp(share, np.array(self.shares)[rising], np.array(self.diameters)[rising])


@description
class ListedSizes(Sizes):
    """Diameters that occur with given numbers; one diameter makes all particles equal."""

    diameters: tuple[float, ...] = field("in any order", unit="m", lower=SMALLEST, upper=LARGEST)
    numbers: tuple[float, ...] = field(
        "ratio of the numbers of particles; empty: as many of each", above=0.0, default=()
    )

    def __post_init__(self) -> None:
        if not self.numbers:
            object.__setattr__(self, "numbers", (1.0,) * len(self.diameters))
        if len(self.numbers) != len(self.diameters):
            raise InputError(
                f"ListedSizes has {len(self.diameters)} diameters and {len(self.numbers)} numbers; "
                "it needs as many of both"
            )

    @classmethod
    def by_volume(cls, diameters: Sequence[float], shares: Sequence[float]) -> ListedSizes:
        """Return the distribution with given shares of the volume, as sieves and lasers measure.

        Args:
            diameters: In any order [m].
            shares: Ratio of the volumes of the particles of each diameter.
        """
        given = cls(diameters=diameters, numbers=shares)  # type: ignore[arg-type]  # checks both
        pairs = zip(given.numbers, given.diameters, strict=True)
        numbers = [share / d**3 for share, d in pairs]
        return cls(diameters=given.diameters, numbers=tuple(n / max(numbers) for n in numbers))

    def quantile(self, share: Array) -> Array:
        """Return the diameter below which a share of the particles lies, shape as `share` [m]."""
        order = np.argsort(self.diameters)
        below = np.cumsum(np.array(self.numbers)[order])
        rows = np.searchsorted(below / below[-1], share, side="right")
        return np.array(self.diameters)[order[np.minimum(rows, len(order) - 1)]]

    def listed(self) -> ListedSizes:
        """Return the distribution itself."""
        return self

    @checked
    def counts(self, volume: float) -> NDArray[np.int64]:
        """Return how many spheres of each diameter come closest to a volume [m3].

        Raises:
            InputError: If the volume is negative, or that of more spheres than can be counted.
        """
        mean = float(np.pi / 6 * np.average(np.array(self.diameters) ** 3, weights=self.numbers))
        check_number(
            "ListedSizes.counts", "volume", volume, lower=0, upper=COUNTABLE * mean, unit="m3"
        )
        exact = np.array(self.numbers) / np.sum(self.numbers) * (volume / mean)
        counts = np.floor(exact).astype(np.int64)
        missing = round(float(np.sum(exact))) - int(counts.sum())
        counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1
        return counts

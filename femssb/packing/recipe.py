"""What goes into the powder: phases, their shares and sizes, and how many spheres that makes.

A recipe says how much of everything there is, by mass or by volume, and on which area. The number
of spheres of a phase follows from its volume and from the mean volume of its sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from femssb.errors import InputError, check_number
from femssb.inputs.materials import Solid

Array = NDArray[np.float64]

SMALLEST, LARGEST = 1e-9, 1e-2  # diameters of any powder [m]


@dataclass(frozen=True, kw_only=True, slots=True)
class LognormalSizes:
    """Lognormal distribution of diameters by number, cut at both ends.

    Raises:
        InputError: If a field is out of its bounds, or nothing lies between the ends.
    """

    median: float  # of the distribution before it is cut [m]
    spread: float  # geometric standard deviation, above 1 [-]
    smallest: float  # smallest diameter [m]
    largest: float  # largest diameter [m]

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("median", "smallest", "largest"):
            check_number(
                "LognormalSizes", name, getattr(self, name), lower=SMALLEST, upper=LARGEST, unit="m"
            )
        check_number("LognormalSizes", "spread", self.spread, above=1.0, below=10.0)
        if self.largest <= self.smallest:
            raise InputError(
                f"LognormalSizes.largest = {self.largest:g} m must exceed smallest = "
                f"{self.smallest:g} m"
            )
        low, high = self._cut()
        if high - low < 1e-6:
            raise InputError(
                f"LognormalSizes: only {high - low:.1e} of the distribution with median "
                f"{self.median:g} m and spread {self.spread:g} lies between smallest and largest"
            )

    def _cut(self) -> tuple[float, float]:
        width = math.log(self.spread)
        low, high = ndtr(np.log(np.array([self.smallest, self.largest]) / self.median) / width)
        return float(low), float(high)

    def quantile(self, share: Array) -> Array:
        """Return the diameter below which a share of the spheres lies, shape as `share` [m]."""
        low, high = self._cut()
        score = ndtri(low + np.asarray(share) * (high - low))
        return np.clip(self.median * self.spread**score, self.smallest, self.largest)


@dataclass(frozen=True, kw_only=True, slots=True)
class TabulatedSizes:
    """Distribution of diameters as measured: cumulative share by number at given diameters.

    Raises:
        InputError: If the table does not rise from 0 to 1.
    """

    diameters: tuple[float, ...]  # rising [m]
    shares: tuple[float, ...]  # of the number that is smaller; rising from 0 to 1 [-]

    def __post_init__(self) -> None:
        """Check that both columns rise."""
        if len(self.diameters) != len(self.shares) or len(self.shares) < 2:
            raise InputError("TabulatedSizes needs two or more diameters, and as many shares")
        for diameter in self.diameters:
            check_number(
                "TabulatedSizes", "diameters", diameter, lower=SMALLEST, upper=LARGEST, unit="m"
            )
        for share in self.shares:
            check_number("TabulatedSizes", "shares", share, lower=0.0, upper=1.0)
        if self.shares[0] != 0.0 or self.shares[-1] != 1.0:
            raise InputError(
                f"TabulatedSizes.shares must go from 0 to 1, not from {self.shares[0]:g} to "
                f"{self.shares[-1]:g}"
            )
        if np.any(np.diff(self.diameters) <= 0) or np.any(np.diff(self.shares) < 0):
            raise InputError("TabulatedSizes.diameters and shares must rise")

    def quantile(self, share: Array) -> Array:
        """Return the diameter below which a share of the spheres lies, shape as `share` [m]."""
        rising = np.append(True, np.diff(self.shares) > 0)  # where flat, the larger diameter counts
        return np.interp(share, np.array(self.shares)[rising], np.array(self.diameters)[rising])


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedSizes:
    """Diameters that occur equally often; one diameter makes all spheres equal.

    Raises:
        InputError: If there is no diameter, or one is out of bounds.
    """

    diameters: tuple[float, ...]  # [m]

    def __post_init__(self) -> None:
        """Check every diameter."""
        if not self.diameters:
            raise InputError("ListedSizes.diameters must hold at least one diameter [m]")
        for diameter in self.diameters:
            check_number(
                "ListedSizes", "diameters", diameter, lower=SMALLEST, upper=LARGEST, unit="m"
            )

    def quantile(self, share: Array) -> Array:
        """Return the diameter below which a share of the spheres lies, shape as `share` [m]."""
        ordered = np.sort(self.diameters)
        return ordered[np.minimum((np.asarray(share) * len(ordered)).astype(int), len(ordered) - 1)]


Sizes = LognormalSizes | TabulatedSizes | ListedSizes


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """One phase of a recipe.

    Raises:
        InputError: If a field is out of its bounds or of the wrong type.
    """

    name: str
    solid: Solid  # its density is used here; its elasticity by the contact laws
    share: float  # of the solids, by mass or by volume as the recipe says [-]
    sizes: Sizes

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.name, str) or not self.name:
            raise InputError(f"Component.name must be a word, got {self.name!r}")
        if not isinstance(self.solid, Solid):
            raise InputError(f"Component.solid must be a Solid, got {self.solid!r}")
        if not isinstance(self.sizes, Sizes):
            raise InputError(f"Component.sizes must be a size distribution, got {self.sizes!r}")
        check_number("Component", "share", self.share, lower=0.0, upper=1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A powder mixture and how much of it lies on the area of the box.

    Raises:
        InputError: If the shares do not sum to one, two components have the same name, or the
            largest sphere does not fit the box.
    """

    components: tuple[Component, ...]
    by: str = "mass"  # what the shares are shares of: "mass" or "volume"
    loading: float  # mass of all components on an area [kg/m2]
    width: float  # of the square area, whose sides are periodic [m]

    def __post_init__(self) -> None:
        """Check every field, and that the shares make a whole."""
        if not self.components or not all(isinstance(c, Component) for c in self.components):
            raise InputError("Recipe.components must be one or more Component")
        names = [component.name for component in self.components]
        if len(set(names)) < len(names):
            raise InputError(f"Recipe.components: two have the same name: {names}")
        if self.by not in ("mass", "volume"):
            raise InputError(f"Recipe.by = {self.by!r} must be 'mass' or 'volume'")
        check_number("Recipe", "loading", self.loading, lower=1e-6, upper=1e4, unit="kg/m2")
        check_number("Recipe", "width", self.width, lower=SMALLEST, upper=1.0, unit="m")
        total = sum(component.share for component in self.components)
        if abs(total - 1) > 1e-6:
            raise InputError(f"Recipe.components: their shares sum to {total:g}, not to 1")
        for component in self.components:
            largest = float(component.sizes.quantile(np.array(1.0)))
            if 2 * largest > self.width:
                raise InputError(
                    f"Recipe.width = {self.width:g} m must be at least twice the largest diameter "
                    f"of {component.name}, {largest:g} m: a sphere must not touch its own image"
                )

    def mass_shares(self) -> Array:
        """Return the share of every component in the mass, shape (components,)."""
        shares = np.array([component.share for component in self.components])
        if self.by == "volume":
            shares = shares * [component.solid.density for component in self.components]
        return shares / shares.sum()

    def volumes(self) -> Array:
        """Return the solid volume of every component, shape (components,) [m3]."""
        densities = np.array([component.solid.density for component in self.components])
        return self.loading * self.width**2 * self.mass_shares() / densities

    def dense_thickness(self) -> float:
        """Return the thickness of the layer if it had no pores [m]."""
        return float(self.volumes().sum() / self.width**2)

    def counts(self) -> NDArray[np.int64]:
        """Return how many spheres of every component there are, shape (components,)."""
        middle = (np.arange(100_000) + 0.5) / 100_000
        mean = [np.mean(np.pi / 6 * c.sizes.quantile(middle) ** 3) for c in self.components]
        counts = np.rint(self.volumes() / mean).astype(np.int64)
        for component, count in zip(self.components, counts, strict=True):
            if component.share > 0 and count == 0:
                raise InputError(
                    f"Recipe: there is less of {component.name} on the area than one sphere; "
                    "raise width or loading"
                )
        return counts

    def diameters(self, seed: int) -> tuple[NDArray[np.int32], Array]:
        """Draw the diameters of all spheres.

        One is drawn from each of as many equal slices of a distribution as there are spheres, so
        that a small box has the whole distribution too. The last millionths of the volume are then
        set by a common factor for each component.

        Args:
            seed: Of the random numbers.

        Returns:
            Index of the component of every sphere, shape (n,), and its diameter, shape (n,) [m].
        """
        generator = np.random.default_rng(seed)
        kinds, sizes = [], []
        for kind, (component, count, volume) in enumerate(
            zip(self.components, self.counts(), self.volumes(), strict=True)
        ):
            drawn = component.sizes.quantile((np.arange(count) + generator.random(count)) / count)
            drawn = drawn * np.cbrt(volume / (np.pi / 6 * np.sum(drawn**3))) if count else drawn
            sizes.append(generator.permutation(drawn))
            kinds.append(np.full(count, kind, dtype=np.int32))
        return np.concatenate(kinds), np.concatenate(sizes)

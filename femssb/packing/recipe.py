"""Recipes of powders: phases, their shares and sizes, and the number of spheres that follows.

A recipe says how much of everything there is, by mass or by volume, and on which area. The number
of spheres of a phase follows from its volume and from the mean volume of its sizes.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import description, field
from femssb.errors import InputError, shown
from femssb.inputs.materials import Solid
from femssb.packing.sizes import SMALLEST, Sizes

MOST_SPHERES = 20_000_000  # in a packing


def check_seed(owner: str, seed: object) -> None:
    """Check that a seed is a whole number from 0 on.

    Raises:
        InputError: If it is not.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"{owner}: seed = {shown(seed)} must be a whole number from 0 on")


@description
class Component:
    """One phase of a recipe."""

    name: str = field("of the phase")
    solid: Solid = field("its density counts here, its elasticity in the contact laws")
    share: float = field("of the solids, by mass or by volume", lower=0.0, upper=1.0)
    sizes: Sizes = field("distribution of the diameters")


@description
class Recipe:
    """A powder mixture and how much of it lies on the area of the box.

    Raises:
        InputError: If a field is out of its bounds, the shares do not sum to one, two components
            have the same name, or the largest sphere does not fit the box.
    """

    components: tuple[Component, ...] = field("phases of the powder")
    by: Literal["mass", "volume"] = field("what the shares are shares of", default="mass")
    loading: float = field("mass of all components on an area", unit="kg/m2", lower=1e-6, upper=1e4)
    width: float = field(
        "of the square area, whose sides are periodic", unit="m", lower=SMALLEST, upper=1.0
    )

    def __post_init__(self) -> None:
        names = [component.name for component in self.components]
        if len(set(names)) < len(names):
            raise InputError(f"Recipe.components: two have the same name: {names}")
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
        """Return how many spheres of every component there are, shape (components,).

        Raises:
            InputError: If there is less than one sphere of a component, or too many of all.
        """
        middle = (np.arange(100_000) + 0.5) / 100_000
        mean = [np.mean(np.pi / 6 * c.sizes.quantile(middle) ** 3) for c in self.components]
        counts = np.minimum(np.rint(self.volumes() / mean), 1e15).astype(np.int64)
        for component, count in zip(self.components, counts, strict=True):
            if component.share > 0 and count == 0:
                what = f"there is less of {component.name} on the area than one sphere"
                raise InputError(f"Recipe: {what}; raise width or loading")
        if counts.sum() > MOST_SPHERES:
            raise InputError(
                f"Recipe: {counts.sum()} spheres lie on the area, at most {MOST_SPHERES} can be "
                "handled; lower width or loading"
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

        Raises:
            InputError: As `counts` does, and if the seed is no whole number from 0 on.
        """
        check_seed("Recipe.diameters", seed)
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

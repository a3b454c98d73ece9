"""Strength of attraction and of dashpots for a wanted viscosity, from one curve and no more runs.

Beads without heat and without inertia know two scales: their potentials and contact springs, and
their dashpots. Multiply all of the former by epsilon, with the pressure that the beads stand under,
and the dashpots by gamma: the beads then do the same, gamma / epsilon times as slowly, under
stresses that are epsilon times as large. So stress / epsilon is one function of
rate gamma / epsilon, the master curve, and the viscosity at a rate is gamma times that of the curve
at rate gamma / epsilon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import interpolate, optimize

from femssb.arrays import Array, Reals
from femssb.description import checked, description, field
from femssb.errors import InputError, check_number, shown

SMALLEST, LARGEST = 1e-12, 1e12  # rates [1/s], stresses [Pa] and viscosities [Pa s]

_SHIFTS = 400  # of the curve that are tried before the best is refined
_SAME = 1e-9  # share by which a rate may be beyond the curve


@description
class Window:
    """Viscosities between two bounds, from one shear rate to another.

    The usual one: what a slurry needs to be cast evenly, doi:10.1002/batt.202400709.
    """

    lowest: float = field("viscosity", unit="Pa s", above=0, upper=1e9, default=0.3)
    highest: float = field("viscosity", unit="Pa s", above=0, upper=1e9, default=0.6)
    slowest: float = field("shear rate", unit="1/s", above=0, upper=1e9, default=50.0)
    fastest: float = field("shear rate", unit="1/s", above=0, upper=1e9, default=1000.0)
    margin: float = field(
        "from both bounds, over the bound, at which is aimed", lower=0, upper=10, default=0.1
    )

    def __post_init__(self) -> None:
        if not self.slowest < self.fastest:
            raise InputError(
                f"Window.slowest = {self.slowest:g} 1/s is not below fastest = {self.fastest:g} 1/s"
            )
        if not self.lowest * (1 + self.margin) ** 2 < self.highest:
            raise InputError(
                f"Window: lowest = {self.lowest:g} and highest = {self.highest:g} Pa s leave "
                f"nothing between margins of {self.margin:g}"
            )

    @property
    def aims(self) -> tuple[Array, Array]:
        """Shear rates [1/s] and viscosities [Pa s] of a thinning slurry in it, shape (2,) each."""
        inside = 1 + self.margin
        return (
            np.array([self.slowest, self.fastest]),
            np.array([self.highest / inside, self.lowest * inside]),
        )

    @checked
    def holds(self, rates: Reals, viscosities: Reals) -> bool:
        """Return whether the viscosities [Pa s] at rates between its own [1/s] are all in it.

        Raises:
            InputError: If rates and viscosities are not of one shape.
        """
        rates, values = np.asarray(rates), np.asarray(viscosities)
        if rates.shape != values.shape:
            raise InputError(
                f"Window.holds: rates {rates.shape} and viscosities {values.shape} differ in shape"
            )
        asked = (rates >= self.slowest) & (rates <= self.fastest)
        return bool(np.all((self.lowest <= values[asked]) & (values[asked] <= self.highest)))


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class MasterCurve:
    """Stress over epsilon against rate times gamma over epsilon, of beads in one arrangement.

    Between its points, the logarithm of the stress is a monotone cubic of that of the rate.
    Outside of them it says nothing.

    Attributes:
        rates: Of the points, with forces as they are (epsilon = gamma = 1), shape (n,), rising,
            n at least 3 [1/s].
        stresses: Shear stress, shape (n,) [Pa].
        errors: Standard errors of the stresses, shape (n,) [Pa].

    Raises:
        InputError: If there are too few points, or they do not rise in rate, or are not above 0.
    """

    rates: Array
    stresses: Array
    errors: Array

    def __post_init__(self) -> None:
        shapes = [np.shape(a) for a in (self.rates, self.stresses, self.errors)]
        if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0][0] < 3:
            raise InputError(f"MasterCurve: rates, stresses, errors have the shapes {shapes}")
        for name in ("rates", "stresses", "errors"):
            values = getattr(self, name)
            least = 0.0 if name == "errors" else SMALLEST
            if not np.all((values >= least) & (values <= LARGEST)):
                raise InputError(
                    f"MasterCurve.{name} = {shown(values)} must be from {least:g} to {LARGEST:g}"
                )
        if np.any(np.diff(self.rates) <= 0):
            raise InputError(f"MasterCurve.rates = {shown(self.rates)} must rise")

    @checked
    def viscosity(
        self, rates: Reals, *, epsilon: float = 1.0, gamma: float = 1.0
    ) -> tuple[Array, Array]:
        """Return the viscosity with other forces, and its standard error, of the shape of rates.

        The error is that of the points, with the difference of the cubic from a straight line.

        Args:
            rates: Shear rates [1/s].
            epsilon: Factor of the potentials, contact springs and pressure [-].
            gamma: Factor of the dashpots [-].

        Raises:
            InputError: If this asks for rates beyond the curve.
        """
        for name, value in (("epsilon", epsilon), ("gamma", gamma)):
            check_number("MasterCurve.viscosity", name, value, lower=1e-12, upper=1e12)
        shift = gamma / epsilon
        asked = np.asarray(rates, dtype=np.float64) * shift
        low, high = self.rates[0], self.rates[-1]
        if not asked.size or not np.all(
            (asked >= low * (1 - _SAME)) & (asked <= high * (1 + _SAME))
        ):
            raise InputError(
                f"MasterCurve: rates = {shown(rates)} 1/s with epsilon = {epsilon:g} and gamma = "
                f"{gamma:g} are {shown(asked)} 1/s on the curve, which goes from {low:g} to "
                f"{high:g} 1/s"
            )
        values, errors = self._shifted(asked)
        return gamma * values, gamma * errors

    def _shifted(self, rates: Array) -> tuple[Array, Array]:
        """Return viscosity and error of the curve itself at its rates, or just beyond its ends."""
        place = np.log(np.clip(rates, self.rates[0], self.rates[-1]))
        known, logarithm = np.log(self.rates), np.log(self.stresses)
        smooth = interpolate.PchipInterpolator(known, logarithm)(place)
        straight = np.interp(place, known, logarithm)
        measured = np.interp(place, known, self.errors / self.stresses)
        value = np.exp(smooth) / rates
        return value, value * np.hypot(measured, smooth - straight)

    @checked
    def shift(self, rates: Reals, viscosities: Reals) -> Calibration:
        """Return the factors with which the curve is nearest to viscosities at rates.

        Args:
            rates: Shear rates, shape (m,), m at least 2, that differ [1/s].
            viscosities: Wanted, as from a rheometer, shape (m,) [Pa s].

        Raises:
            InputError: If the rates differ by more than those of the curve, are not above 0, or
                the best factors lie where the curve ends: the message says on which side more
                points are needed.
        """
        rates, wanted = np.asarray(rates, np.float64), np.asarray(viscosities, np.float64)
        if rates.ndim != 1 or rates.shape != wanted.shape or len(np.unique(rates)) < 2:
            raise InputError(
                f"MasterCurve.shift: rates {rates.shape} and viscosities {wanted.shape} must be "
                "of one shape (m,), at two rates at least"
            )
        for name, values in (("rates", rates), ("viscosities", wanted)):
            if not np.all((values >= SMALLEST) & (values <= LARGEST)):
                raise InputError(
                    f"MasterCurve.shift: {name} = {shown(values)} must be from {SMALLEST:g} to "
                    f"{LARGEST:g}"
                )
        low = np.log(self.rates[0] / rates.min())
        high = np.log(self.rates[-1] / rates.max())
        if not low < high:
            raise InputError(
                f"MasterCurve.shift: rates from {rates.min():g} to {rates.max():g} 1/s span more "
                f"than those of the curve, {self.rates[0]:g} to {self.rates[-1]:g} 1/s"
            )

        def missed(along: float) -> Array:
            """Return ln(wanted / curve), which ln gamma levels, for a ln(gamma / epsilon)."""
            ratio = float(np.exp(along))
            return np.asarray(np.log(wanted / self._shifted(rates * ratio)[0]))

        tried = np.linspace(low, high, _SHIFTS)
        spreads = [float(np.var(missed(along))) for along in tried]
        best = int(np.argmin(spreads))
        around = tried[max(best - 1, 0)], tried[min(best + 1, _SHIFTS - 1)]
        search = optimize.minimize_scalar(
            lambda along: float(np.var(missed(along))),
            bounds=around,
            method="bounded",
            options={"xatol": 1e-10},
        )
        along = float(search.x)
        misfit = float(np.sqrt(search.fun))
        if min(along - low, high - along) < 1e-6 * (high - low) and misfit > _SAME:
            side = "slower" if along - low < high - along else "faster"
            raise InputError(
                f"MasterCurve.shift: the wanted viscosities lie beyond the curve, {misfit:.2g} "
                f"(rms of the logarithm) from it where it ends: measure it at {side} rates"
            )
        level = missed(along)
        gamma = float(np.exp(level.mean()))
        return Calibration(
            epsilon=gamma / float(np.exp(along)),
            gamma=gamma,
            misfit=misfit,
            curve=self,
        )


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Factors of the forces behind a master curve, with which its viscosity is the wanted one.

    Attributes:
        epsilon: Of potentials, contact springs and the pressure of the beads [-].
        gamma: Of the dashpots [-].
        misfit: Root mean square of ln(wanted / predicted) [-].
        curve: That predicts.
    """

    epsilon: float
    gamma: float
    misfit: float
    curve: MasterCurve

    @checked
    def viscosity(self, rates: Reals) -> tuple[Array, Array]:
        """Return the viscosity that is predicted, and its standard error [Pa s], as `rates`.

        Raises:
            InputError: If a rate is beyond the curve.
        """
        return self.curve.viscosity(rates, epsilon=self.epsilon, gamma=self.gamma)


@checked
def calibrate(curve: MasterCurve, window: Window) -> Calibration:
    """Return the factors of the forces with which the viscosity stays in a window.

    The curve is brought to the highest viscosity at the slowest rate and to the lowest one at the
    fastest, both up to the margin: of all slurries in the window the one that thins most, so that
    the attraction changes least.

    Raises:
        InputError: If the curve cannot be brought there, or leaves the window in between.
    """
    found = curve.shift(*window.aims)
    rates = np.geomspace(window.slowest, window.fastest, 50)
    values, _ = found.viscosity(rates)
    if not window.holds(rates, values):
        raise InputError(
            f"calibrate: the nearest that the curve comes goes from {values[0]:.3g} to "
            f"{values[-1]:.3g} Pa s, outside [{window.lowest:g}, {window.highest:g}] Pa s"
        )
    return found

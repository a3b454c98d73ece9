"""Flow laws of a suspension: stress against shear rate, fitted with confidence, and an estimate.

Both laws are sums of two terms with coefficients that are not negative, times functions of one or
two shape parameters. So a fit searches the shape alone, by SciPy, and takes the best coefficients
in closed form. The intervals are profiles of the likelihood: the values of one parameter for which
the others still let the law pass the points. An interval that does not close is open (0 or
infinity), as where a power law is given to `fit_carreau`: the points do not hold the parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from femssb.arrays import Array, Reals
from femssb.description import checked
from femssb.errors import InputError, check_number, shown

type Interval = tuple[float, float]

DENSEST = 0.64  # share of volume of random close packing, equal spheres
EINSTEIN = 2.5  # intrinsic viscosity of spheres, doi:10.1002/andp.19063240204

SLOWEST, FASTEST = 1e-12, 1e12  # shear rates [1/s]
LARGEST, WIDEST = 1e30, 1e15  # points of a curve, and the ratio of the largest to the smallest

_FLATTEST, _STEEPEST = 0.02, 2.0  # index of Herschel and Bulkley
_FAR = 1e4  # how far a relaxation time is sought beyond the rates of the points
_ROUNDING = 1e-18  # square of a relative misfit that rounding makes


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class HerschelBulkley:
    """Stress = yield stress + consistency rate^index.

    Source: Herschel and Bulkley, Kolloid-Zeitschrift 39, 291 (1926), doi:10.1007/BF01432034.

    Attributes:
        yield_stress: Dynamic one, in the limit of slow shear [Pa].
        consistency: [Pa s^index].
        index: Below 1: shear-thinning [-].
        yield_interval: Confidence interval of the yield stress [Pa].
        consistency_interval: Likewise.
        index_interval: Likewise.
        confidence: Probability of the intervals [-].
        misfit: Sum of squares of (point - law) / error, per degree of freedom; about 1 where the
            law holds within the errors. Without errors: mean square of the relative deviation.
    """

    yield_stress: float
    consistency: float
    index: float
    yield_interval: Interval
    consistency_interval: Interval
    index_interval: Interval
    confidence: float
    misfit: float

    @checked
    def stress(self, rates: Reals) -> Array:
        """Return the shear stress [Pa] at shear rates above 0 [1/s], of their shape."""
        owner = "HerschelBulkley.stress"
        rates = _rates(owner, rates)
        with np.errstate(over="ignore"):
            return _finite(owner, self.yield_stress + self.consistency * rates**self.index)

    @checked
    def viscosity(self, rates: Reals) -> Array:
        """Return stress over rate [Pa s] at shear rates above 0 [1/s], of their shape."""
        return np.asarray(self.stress(rates) / np.asarray(rates, dtype=np.float64))


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Carreau:
    """Viscosity = fast + (slow - fast) (1 + (time rate)^2)^((index - 1) / 2).

    Source: Carreau, Trans. Soc. Rheol. 16, 99 (1972), doi:10.1122/1.549276.

    Attributes:
        slow: Viscosity in the limit of slow shear [Pa s].
        fast: In the limit of fast shear [Pa s].
        time: Its inverse is the rate at which thinning begins [s].
        index: Of the power law in between, 0 to 1 [-].
        slow_interval: Confidence interval [Pa s].
        fast_interval: Likewise.
        time_interval: Likewise [s].
        index_interval: Likewise.
        confidence: Probability of the intervals [-].
        misfit: As in `HerschelBulkley`.
    """

    slow: float
    fast: float
    time: float
    index: float
    slow_interval: Interval
    fast_interval: Interval
    time_interval: Interval
    index_interval: Interval
    confidence: float
    misfit: float

    @checked
    def viscosity(self, rates: Reals) -> Array:
        """Return the viscosity [Pa s] at shear rates above 0 [1/s], of their shape."""
        owner = "Carreau.viscosity"
        rates = _rates(owner, rates)
        with np.errstate(all="ignore"):
            share = _carreau(rates, np.log(self.time), self.index)
            return _finite(owner, self.fast + (self.slow - self.fast) * share)

    @checked
    def stress(self, rates: Reals) -> Array:
        """Return the shear stress [Pa] at shear rates above 0 [1/s], of their shape."""
        return np.asarray(self.viscosity(rates) * np.asarray(rates, dtype=np.float64))


@checked
def fit_herschel_bulkley(
    rates: Reals, stresses: Reals, errors: Reals | None = None, *, confidence: float = 0.95
) -> HerschelBulkley:
    """Fit the law of Herschel and Bulkley to points of a flow curve.

    Args:
        rates: Shear rates, shape (n,), n at least 4 [1/s].
        stresses: Shear stresses, shape (n,) [Pa].
        errors: Standard errors of the stresses, shape (n,) [Pa]; where the law misses the points
            by more, the intervals widen in proportion. None: the same relative error of all,
            taken from the scatter.
        confidence: Probability of the intervals.

    Raises:
        InputError: If there are too few points, or one is not above 0.
    """
    points = _points("fit_herschel_bulkley", rates, stresses, errors, 4)

    def basis(shape: Array) -> Array:
        powers = points.rates ** shape[..., :1]
        return np.stack([np.ones_like(powers), powers], axis=-1)

    fit = _Fit(points, basis, [(_FLATTEST, _STEEPEST)], confidence)
    low, high = fit.shape_interval(0)
    return HerschelBulkley(
        yield_stress=float(fit.coefficients[0]),
        consistency=float(fit.coefficients[1]),
        index=float(fit.shape[0]),
        yield_interval=fit.coefficient_interval(0),
        consistency_interval=fit.coefficient_interval(1),
        index_interval=(
            low if low > _FLATTEST else 0.0,
            high if high < _STEEPEST else np.inf,
        ),
        confidence=confidence,
        misfit=fit.misfit,
    )


@checked
def fit_carreau(
    rates: Reals, viscosities: Reals, errors: Reals | None = None, *, confidence: float = 0.95
) -> Carreau:
    """Fit the law of Carreau to points of a flow curve.

    Args:
        rates: Shear rates, shape (n,), n at least 5 [1/s].
        viscosities: Stress over rate, shape (n,) [Pa s].
        errors: Standard errors of the viscosities, as in `fit_herschel_bulkley` [Pa s].
        confidence: Probability of the intervals.

    Raises:
        InputError: If there are too few points, or one is not above 0.
    """
    points = _points("fit_carreau", rates, viscosities, errors, 5)

    def basis(shape: Array) -> Array:
        share = _carreau(points.rates, shape[..., :1], shape[..., 1:])
        return np.stack([share, 1 - share], axis=-1)

    earliest = -np.log(points.rates.max() * _FAR)
    latest = -np.log(points.rates.min() / _FAR)
    fit = _Fit(points, basis, [(earliest, latest), (0.0, 1.0)], confidence)
    low, high = fit.shape_interval(0)
    slow, fast = fit.coefficient_interval(0), fit.coefficient_interval(1)
    if high >= latest:  # thinning may begin at any slower rate, from any viscosity
        slow = slow[0], np.inf
    return Carreau(
        slow=float(fit.coefficients[0]),
        fast=float(fit.coefficients[1]),
        time=float(np.exp(fit.shape[0])),
        index=float(fit.shape[1]),
        slow_interval=slow,
        fast_interval=fast,
        time_interval=(
            float(np.exp(low)) if low > earliest else 0.0,
            float(np.exp(high)) if high < latest else np.inf,
        ),
        index_interval=fit.shape_interval(1),
        confidence=confidence,
        misfit=fit.misfit,
    )


@checked
def krieger_dougherty(
    solvent_viscosity: float,
    solids: Reals,
    *,
    densest: float = DENSEST,
    intrinsic: float = EINSTEIN,
) -> Array:
    """Return the viscosity of hard spheres in a liquid by the closed form of Krieger and Dougherty.

    Viscosity = solvent_viscosity (1 - solids / densest)^(-intrinsic densest): an estimate from the
    share of solids alone. It knows no rate, no attraction and no yield stress, and takes no run.

    Args:
        solvent_viscosity: Of the liquid alone [Pa s].
        solids: Share of volume of the solids in the suspension, shape (n,) or a number, from 0 and
            below `densest` [-].
        densest: Share at which the suspension jams; higher where sizes differ [-].
        intrinsic: Intrinsic viscosity, 2.5 for spheres [-].

    Raises:
        InputError: If the solids fill the densest packing, or a number is out of its bounds.

    Source: Krieger and Dougherty, Trans. Soc. Rheol. 3, 137 (1959), doi:10.1122/1.548848, eq. 17.
    """
    owner = "krieger_dougherty"
    check_number(owner, "solvent_viscosity", solvent_viscosity, above=0, upper=1e9, unit="Pa s")
    check_number(owner, "densest", densest, above=0, upper=1)
    check_number(owner, "intrinsic", intrinsic, above=0, upper=100)
    shares = np.asarray(solids, dtype=np.float64)
    for extreme in (shares.min(initial=0.0), shares.max(initial=0.0)):
        check_number(owner, "solids", float(extreme), lower=0, below=densest)
    with np.errstate(over="ignore"):
        return _finite(owner, solvent_viscosity * (1 - shares / densest) ** (-intrinsic * densest))


@dataclass(frozen=True, slots=True)
class _Points:
    """Points of a curve, and what one of them may be wrong by."""

    rates: Array
    values: Array
    errors: Array
    known: bool  # whether the errors were given


class _Fit:
    """The best curve through points of those that two columns make with coefficients from 0 on.

    The columns depend on the rates and on a shape: one or two parameters within bounds.
    """

    def __init__(
        self,
        points: _Points,
        basis: Callable[[Array], Array],
        bounds: list[Interval],
        confidence: float,
    ) -> None:
        """Take points, columns of a shape, (..., k) -> (..., n, 2), and its bounds.

        Raises:
            InputError: If the confidence is no probability.
        """
        check_number("fit", "confidence", confidence, lower=0.01, upper=0.9999)
        self._points, self._basis, self._bounds = points, basis, bounds
        self._least, self.shape, self.coefficients = self._best({}, {})
        free = len(points.rates) - len(bounds) - 2
        self.misfit = self._least / free
        if points.known:
            width = stats.norm.ppf((1 + confidence) / 2) ** 2 * max(1.0, self.misfit)
        else:
            width = stats.t.ppf((1 + confidence) / 2, free) ** 2 * self.misfit
        self._allowed = self._least + max(width, len(points.rates) * _ROUNDING)

    def coefficient_interval(self, which: int) -> Interval:
        """Return the interval of a coefficient; infinity where it is open."""

        def excess(value: float) -> float:
            return self._best({}, {which: value})[0] - self._allowed

        best = float(self.coefficients[which])
        low = 0.0 if best == 0 or excess(0.0) <= 0 else _root(excess, 0.0, best)
        column = self._basis(self.shape)[:, which]
        near = max(best, float(np.min(self._points.values / np.maximum(column, 1e-300))) * 1e-3)
        within, beyond = best, 2 * near
        while excess(beyond) <= 0:
            within, beyond = beyond, 4 * beyond
            if beyond > 1e8 * near:
                return low, np.inf
        return low, _root(excess, within, beyond)

    def shape_interval(self, which: int) -> Interval:
        """Return the interval of a parameter of the shape; its bounds where it is open."""

        def excess(value: float) -> float:
            return self._best({which: value}, {})[0] - self._allowed

        best = float(self.shape[which])
        low, high = self._bounds[which]
        return (
            low if best <= low or excess(low) <= 0 else _root(excess, low, best),
            high if best >= high or excess(high) <= 0 else _root(excess, best, high),
        )

    def _best(
        self, held: dict[int, float], coefficient: dict[int, float]
    ) -> tuple[float, Array, Array]:
        """Return the least sum of squares, its shape and coefficients, with one of them held."""
        free = [k for k in range(len(self._bounds)) if k not in held]

        def whole(some: Array) -> Array:
            shape = np.empty((*some.shape[:-1], len(self._bounds)))
            for k, value in held.items():
                shape[..., k] = value
            shape[..., free] = some
            return shape

        def misses(some: Array) -> Array:
            return self._solved(whole(some), coefficient)[1]

        found = np.empty(0)
        if free:
            low, high = np.transpose([self._bounds[k] for k in free])
            lines = [np.linspace(*self._bounds[k], 61 if len(free) == 1 else 25) for k in free]
            grid = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, len(free))
            sums = np.sum(misses(grid) ** 2, axis=-1)
            start = grid[np.argmin(sums)]
            inside = np.clip(start, low + 1e-9 * (high - low), high - 1e-9 * (high - low))
            search = optimize.least_squares(
                misses, inside, bounds=(low, high), xtol=1e-14, ftol=1e-14, gtol=1e-14
            )
            found = search.x if 2 * search.cost < sums.min() else start
        shape = whole(found)
        coefficients, residuals = self._solved(shape, coefficient)
        return float(residuals @ residuals), shape, coefficients

    def _solved(self, shape: Array, coefficient: dict[int, float]) -> tuple[Array, Array]:
        """Return the best coefficients (..., 2), none below 0, and (points - curve) / error."""
        columns = self._basis(shape) / self._points.errors[:, None]
        target = self._points.values / self._points.errors
        one, two = columns[..., 0], columns[..., 1]
        if coefficient:
            (held, value), *_ = coefficient.items()
            column, other = (one, two) if held == 0 else (two, one)
            alone = _alone(other, target - value * column)
            pair = np.full_like(alone, value), alone
            found = np.stack(pair if held == 0 else pair[::-1], axis=-1)
            return found, target - np.einsum("...nk,...k->...n", columns, found)
        # With both, if they are not below 0, else with the better one of them.
        aa, bb, ab = (np.sum(x * y, axis=-1) for x, y in ((one, one), (two, two), (one, two)))
        at, bt = np.sum(one * target, axis=-1), np.sum(two * target, axis=-1)
        determinant = aa * bb - ab**2
        with np.errstate(divide="ignore", invalid="ignore"):
            numerators = np.stack([at * bb - bt * ab, bt * aa - at * ab], axis=-1)
            both = numerators / determinant[..., None]
        sound = (determinant > 1e-14 * aa * bb) & np.all(both >= 0, axis=-1)
        zero = np.zeros_like(at)
        first = np.stack([_alone(one, target), zero], axis=-1)
        second = np.stack([zero, _alone(two, target)], axis=-1)
        choices = np.stack([np.where(sound[..., None], both, first), first, second])
        residuals = target - np.einsum("...nk,c...k->c...n", columns, choices)
        best = np.argmin(np.sum(residuals**2, axis=-1), axis=0)[None, ..., None]
        return (
            np.take_along_axis(choices, best, axis=0)[0],
            np.take_along_axis(residuals, best, axis=0)[0],
        )


def _alone(column: Array, target: Array) -> Array:
    """Return the best coefficient of one column, not below 0."""
    square = np.sum(column**2, axis=-1)
    return np.maximum(np.sum(column * target, axis=-1) / np.where(square > 0, square, 1.0), 0.0)


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Return where an excess is zero; its end towards the best where rounding leaves none."""
    ends = excess(low), excess(high)
    if min(ends) > 0:
        return low if ends[0] < ends[1] else high
    return float(optimize.brentq(excess, low, high, rtol=1e-6))


def _carreau(rates: Array, log_time: Reals, index: Reals) -> Array:
    """Return how much of (slow - fast) is left at the rates."""
    exponent = (np.asarray(index) - 1) / 2
    return np.asarray((1 + (np.exp(log_time) * rates) ** 2) ** exponent)


def _rates(owner: str, rates: Reals) -> Array:
    given = np.asarray(rates, dtype=np.float64)
    if not given.size or not np.all((given >= SLOWEST) & (given <= FASTEST)):
        raise InputError(
            f"{owner}: rates = {shown(rates)} must be from {SLOWEST:g} to {FASTEST:g} 1/s"
        )
    return given


def _finite(owner: str, values: Array) -> Array:
    if not np.all(np.isfinite(values)):
        raise InputError(f"{owner}: not finite with these parameters")
    return np.asarray(values)


def _points(owner: str, rates: Reals, values: Reals, errors: Reals | None, least: int) -> _Points:
    """Return the points of a curve, checked."""
    rates, values = np.asarray(rates, dtype=np.float64), np.asarray(values, dtype=np.float64)
    given = np.asarray(values if errors is None else errors, dtype=np.float64)
    if rates.ndim != 1 or not rates.shape == values.shape == given.shape:
        raise InputError(
            f"{owner}: rates, values and errors have the shapes {rates.shape}, {values.shape}, "
            f"{given.shape}, expected one shape (n,)"
        )
    rates = _rates(owner, rates)
    for name, array in (("values", values), ("errors", given)):
        if not np.all((array > 0) & (array <= LARGEST)):
            raise InputError(f"{owner}: {name} = {shown(array)} must be above 0, to {LARGEST:g}")
        if array.min() < array.max() / WIDEST:
            raise InputError(f"{owner}: {name} = {shown(array)} differ by more than {WIDEST:g}")
    if len(np.unique(rates)) < least:
        raise InputError(
            f"{owner}: {len(np.unique(rates))} shear rates that differ; the law needs at least "
            f"{least} for its parameters and their intervals"
        )
    return _Points(rates, values, given, errors is not None)

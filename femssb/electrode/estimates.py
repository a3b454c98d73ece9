"""Estimates from a microstructure: fits of its tortuosity, and the current it can carry.

The share of the void is `void`; the shares of active material and electrolyte are those of the
solids. The tortuosity factor is tau^2 = (share of electrolyte in the electrode, void included) x
(bulk conductivity) / (effective conductivity).

Source: Bielefeld, Weber and Janek, doi:10.1021/acsami.9b22788, equations 3 and 12 to 19.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy import stats

from femssb.arrays import Array, Reals
from femssb.description import checked, description, field
from femssb.errors import InputError, check_number, shown
from femssb.units import hour


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class PowerLaw:
    """A fit y = prefactor x^-exponent.

    Attributes:
        prefactor: Fitted, or as given [unit of y].
        exponent: Fitted [-].
        prefactor_interval: Confidence interval; no width if the prefactor was given.
        exponent_interval: Confidence interval.
        confidence: Probability of the intervals [-].
        deviation: Standard deviation of ln y from the fit [-].
    """

    prefactor: float
    exponent: float
    prefactor_interval: tuple[float, float]
    exponent_interval: tuple[float, float]
    confidence: float
    deviation: float

    @checked
    def __call__(self, x: Reals) -> Array:
        """Return y at x, of the shape of x.

        Raises:
            InputError: If x is not above 0, or y too large for a number.
        """
        _check("PowerLaw", "x", x, above=0)
        with np.errstate(over="ignore", under="ignore"):
            y = self.prefactor * np.asarray(x, dtype=np.float64) ** -self.exponent
        if not np.all(np.isfinite(y)):
            raise InputError(f"PowerLaw: y is not finite at x = {shown(x)}")
        return y


@description
class CompositeCathode:
    """A cathode that is limited by the ohmic drop of its ions; numbers, or arrays that broadcast.

    Raises:
        InputError: If a field is out of its bounds, or the solids hold more than they can.
    """

    thickness: float | Array = field(
        "from current collector to separator", unit="m", lower=1e-9, upper=1
    )
    active_share: float | Array = field(
        "share of the active material in the volume of the solids", above=0, below=1
    )
    electrolyte_share: float | Array = field(
        "share of the electrolyte in the volume of the solids", above=0, below=1
    )
    void: float | Array = field("share of the void in the volume", lower=0, upper=1)
    tortuosity_factor: float | Array = field(
        "tau^2 of the electrolyte, void included; infinite without a path", lower=1, infinite=True
    )
    conductivity: float | Array = field(
        "of the bulk of the electrolyte", unit="S/m", lower=1e-30, upper=1e9
    )
    specific_capacity: float | Array = field(
        "of the active material", unit="C/kg", lower=1e-3, upper=1e9
    )
    density: float | Array = field("of the active material", unit="kg/m3", lower=1e-3, upper=1e6)

    def __post_init__(self) -> None:
        given = {item.name: np.shape(getattr(self, item.name)) for item in fields(self)}
        try:
            np.broadcast_shapes(*given.values())
        except ValueError:
            raise InputError(f"CompositeCathode: shapes do not go together: {given}") from None
        solids = np.max(np.add(self.active_share, self.electrolyte_share))
        if solids > 1 + 1e-9:
            raise InputError(
                f"CompositeCathode: active_share + electrolyte_share = {solids:g} is above 1"
            )

    @property
    def effective_conductivity(self) -> Array:
        """Ionic conductivity of the electrode, equation 3 [S/m]."""
        share = np.multiply(self.electrolyte_share, np.subtract(1.0, self.void))
        return np.asarray(self.conductivity * share / self.tortuosity_factor)

    @property
    def areal_capacity(self) -> Array:
        """Charge that the active material holds, per area of the electrode [C/m2]."""
        share = np.multiply(self.active_share, np.subtract(1.0, self.void))
        return np.asarray(self.specific_capacity * self.density * share * self.thickness)

    @checked
    def current_density(self, voltage_drop: Reals) -> Array:
        """Return the current density at which the ions lose this voltage, equations 14 and 15.

        All of the current is assumed to cross the whole thickness, which is on the safe side: in
        an electrode that reacts evenly the ions lose half of that.

        Args:
            voltage_drop: Across the electrode [V].

        Returns:
            Current density [A/m2].

        Raises:
            InputError: If the voltage is not in (0, 1000] V.
        """
        _check("CompositeCathode", "voltage_drop", voltage_drop, above=0, upper=1e3, unit="V")
        try:
            np.broadcast_shapes(np.shape(voltage_drop), np.shape(self.effective_conductivity))
        except ValueError as error:
            raise InputError(f"CompositeCathode.voltage_drop: {error}") from error
        return self.effective_conductivity * np.asarray(voltage_drop) / self.thickness

    @checked
    def c_rate(self, voltage_drop: Reals) -> Array:
        """Return the C-rate [1/h] at which the ions lose this voltage [V], equations 16 and 17.

        Raises:
            InputError: If the voltage is not above 0.
        """
        return self.current_density(voltage_drop) / (self.areal_capacity / hour)


@checked
def fit_power_law(
    x: Reals, y: Reals, *, prefactor: float | None = None, confidence: float = 0.95
) -> PowerLaw:
    """Fit y = prefactor x^-exponent by least squares of ln y, each point of equal weight.

    With x the share of the electrolyte and y its tortuosity factor this is the modified Bruggeman
    relation, equation 19; with the prefactor 1 only the exponent is fitted, and equation 18, the
    Bruggeman relation, has the exponent 0.5. The intervals are those of Student's t for scatter of
    unknown, equal size in ln y.

    Args:
        x: Shape (n,), above 0.
        y: Shape (n,), above 0.
        prefactor: Value to hold, None to fit it.
        confidence: Probability of the intervals.

    Raises:
        InputError: If the points are fewer than the fitted numbers and one more, are not above 0,
            or do not differ in x.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    fitted = 2 if prefactor is None else 1
    if x.ndim != 1 or x.shape != y.shape or len(x) <= fitted:
        raise InputError(
            f"x and y have shapes {x.shape} and {y.shape}, expected (n,) with n above {fitted}"
        )
    for name, value in (("x", x), ("y", y)):
        _check("fit_power_law", name, value, above=0)
    check_number("fit_power_law", "confidence", confidence, above=0, below=1)
    log_x, log_y = np.log(x), np.log(y)
    if np.ptp(log_x) == 0 if prefactor is None else not np.any(log_x):
        raise InputError(f"x = {x} does not vary: no exponent can be fitted")
    if prefactor is None:
        columns = np.column_stack([np.ones_like(x), -log_x])
        target = log_y
    else:
        check_number("fit_power_law", "prefactor", prefactor, above=0)
        columns = -log_x[:, None]
        target = log_y - np.log(prefactor)
    best, *_ = np.linalg.lstsq(columns, target)
    deviation = np.sqrt(np.sum((target - columns @ best) ** 2) / (len(x) - fitted))
    spread = deviation * np.sqrt(np.diag(np.linalg.inv(columns.T @ columns)))
    width = stats.t.ppf((1 + confidence) / 2, len(x) - fitted) * spread
    low, high = best - width, best + width
    span = (prefactor, prefactor) if prefactor else (float(np.exp(low[0])), float(np.exp(high[0])))
    return PowerLaw(
        prefactor=prefactor or float(np.exp(best[0])),
        exponent=float(best[-1]),
        prefactor_interval=span,
        exponent_interval=(float(low[-1]), float(high[-1])),
        confidence=confidence,
        deviation=float(deviation),
    )


def _check(
    owner: str, name: str, value: Reals, *, above: float, upper: float = 1e60, unit: str = ""
) -> None:
    """Check that an argument holds a number, or only numbers, within bounds."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or array.size == 0:
        raise InputError(
            f"{owner}.{name} = {shown(value)} must be a number or numbers [{unit or '-'}]"
        )
    for extreme in (array.min(), array.max()):  # NaN is both
        check_number(owner, name, float(extreme), above=above, upper=upper, unit=unit)

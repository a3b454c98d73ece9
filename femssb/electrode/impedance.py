"""Impedance of an electrode between two contacts that block its ions, or its electrons.

Electrons and ions flow on two parallel rails along the electrode, coupled everywhere by the double
layer between the phases. The contacts at both ends join one rail, called `through` here, and block
the other. At low frequency the impedance is that of the joined rail alone, at high frequency
that of both rails in parallel, so one spectrum gives both conductivities.

Source: equation 1 of doi:10.1002/batt.202400709, after Siroma et al.,
doi:10.1016/j.jpowsour.2016.03.059 (electron-electron connection). The sum of the rails in the
second term has the exponent 3/2, as follows from the equations of the line; it is printed with 2,
which does not give a resistance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from femssb.arrays import Array, Complexes, Reals
from femssb.description import checked, description, field
from femssb.errors import InputError, NotConverged, check_number, shown

Complex = NDArray[np.complex128]
Rail = Literal["electronic", "ionic"]

LARGEST = 1e60  # magnitude of what can be squared, divided and multiplied [SI]
FAR = 25.0  # largest distance of a fitted logarithm from its first guess [-]


@description
class SymmetricCell:
    """An electrode between two equal contacts, without charge transfer between its rails.

    The rails are coupled by a constant phase element, 1 / (Q (i omega)^n) per volume.
    """

    thickness: float = field("distance of the contacts", unit="m", lower=1 / LARGEST, upper=LARGEST)
    electronic_conductivity: float = field(
        "of the electrode", unit="S/m", lower=1 / LARGEST, upper=LARGEST
    )
    ionic_conductivity: float = field(
        "of the electrode", unit="S/m", lower=1 / LARGEST, upper=LARGEST
    )
    capacitance: float = field(
        "Q of the double layer per volume of the electrode",
        unit="F s^(n-1)/m3",
        lower=1 / LARGEST,
        upper=LARGEST,
    )
    exponent: float = field(
        "n of the double layer, 1 for a capacitor", lower=0, upper=1, default=1.0
    )
    contacts: Rail = field("rail that they join; the other is blocked", default="electronic")

    @checked
    def impedance(self, frequencies: Reals) -> Complex:
        """Return the impedance times the area of the electrode [ohm m2].

        Args:
            frequencies: Of any shape, above 0 [Hz].

        Raises:
            InputError: If a frequency is not above 0.
        """
        through, blocked = _conductivities(self.contacts)
        omega = 2 * np.pi * _checked_frequencies(frequencies)
        return transmission_line(
            thickness=self.thickness,
            through=1 / getattr(self, through),
            blocked=1 / getattr(self, blocked),
            coupling=1 / (self.capacitance * (1j * omega) ** self.exponent),
        )


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class ImpedanceFit:
    """A cell fitted to a spectrum.

    Attributes:
        cell: The cell with the fitted values.
        intervals: Confidence interval of every fitted field of the cell; from 0 to inf where the
            spectrum does not determine the value.
        confidence: Probability of the intervals [-].
        deviation: Root mean square distance of the fit from the spectrum, relative to the modulus
            of the impedance [-].
    """

    cell: SymmetricCell
    intervals: Mapping[str, tuple[float, float]]
    confidence: float
    deviation: float


@checked
def transmission_line(
    *, thickness: float, through: Complexes, blocked: Complexes, coupling: Complexes
) -> Complex:
    """Return the impedance times the area of two coupled rails [ohm m2].

    The three impedances may depend on frequency: then they are arrays that broadcast.

    Args:
        thickness: Distance of the contacts [m].
        through: Resistivity of the rail that the contacts join [ohm m].
        blocked: Resistivity of the rail that they block [ohm m].
        coupling: Impedance between the rails, of a unit of volume of the electrode [ohm m3].

    Source: equation 1 of doi:10.1002/batt.202400709, with its exponent corrected and with
    (cosh x - 1) / sinh x written as tanh(x / 2), which does not overflow.

    Raises:
        InputError: If an impedance is zero or not finite, or the shapes do not go together.
    """
    check_number("transmission_line", "thickness", thickness, above=0, upper=LARGEST, unit="m")
    given = {"through": through, "blocked": blocked, "coupling": coupling}
    through, blocked, coupling = (_impedance(name, value) for name, value in given.items())
    both = through + blocked
    if not np.all(both):
        raise InputError("transmission_line: through and blocked cancel each other")
    try:
        np.broadcast_shapes(both.shape, coupling.shape)
    except ValueError as error:
        raise InputError(f"transmission_line: shapes do not go together: {error}") from error
    parallel = through * blocked / both * thickness
    half = np.tanh(thickness / 2 * np.sqrt(both / coupling))
    return np.asarray(parallel + 2 * through**2 * np.sqrt(coupling / both) / both * half)


@checked
def fit_impedance(
    frequencies: Reals,
    impedance: Complexes,
    *,
    thickness: float,
    contacts: Rail = "electronic",
    confidence: float = 0.95,
) -> ImpedanceFit:
    """Fit both conductivities and the double layer to the spectrum of a symmetric cell.

    The least squares are those of the distance relative to the modulus of the impedance; the
    intervals follow from their curvature at the best fit. A resistance in series with the electrode
    has the same effect as another pair of conductivities: subtract it from the spectrum before.

    Args:
        frequencies: Shape (n,), above 0 [Hz].
        impedance: Impedance times the area of the electrode, shape (n,), complex, with a negative
            imaginary part where it is capacitive [ohm m2].
        thickness: Distance of the contacts [m].
        contacts: Rail that the contacts join.
        confidence: Probability of the intervals.

    Raises:
        InputError: If an argument is out of its bounds, or there are fewer than three frequencies.
        NotConverged: If no fit was found.
    """
    omega = 2 * np.pi * _checked_frequencies(frequencies)
    measured = np.asarray(impedance, dtype=np.complex128)
    if omega.ndim != 1 or measured.shape != omega.shape or len(omega) < 3:
        raise InputError(
            f"frequencies and impedance have shapes {omega.shape} and {measured.shape}, expected "
            "(n,) with n at least 3"
        )
    if not np.all(np.isfinite(measured)) or np.any(measured.real <= 0):
        raise InputError("impedance holds values that are not finite, or without resistance")
    check_number("fit_impedance", "thickness", thickness, above=0, unit="m")
    check_number("fit_impedance", "confidence", confidence, above=0, below=1)

    names = [*_conductivities(contacts), "capacitance", "exponent"]

    def cell(values: Array) -> SymmetricCell:
        chosen = [*np.exp(values[:3]), values[3]]
        fitted = {name: float(value) for name, value in zip(names, chosen, strict=True)}
        return SymmetricCell(thickness=thickness, contacts=contacts, **fitted)

    def distance(values: Array) -> Array:
        apart = (cell(values).impedance(frequencies) - measured) / np.abs(measured)
        return np.concatenate([apart.real, apart.imag])

    fits = []
    for start in _starts(omega, measured, thickness):
        near = np.array([FAR, FAR, FAR, 1.0])
        limits = (start - near, start + near)
        limits[0][3], limits[1][3] = 0.0, 1.0
        fits.append(
            optimize.least_squares(
                distance, start, bounds=limits, x_scale=[1, 1, 1, 0.1], xtol=1e-12, ftol=1e-12
            )
        )
    best = min((fit for fit in fits if fit.success), key=lambda fit: fit.cost, default=None)
    if best is None:
        raise NotConverged("the fit of the impedance converged from none of its first guesses")
    low, high = _interval(best.x, best.jac, best.cost, confidence)
    with np.errstate(over="ignore"):
        low[:3], high[:3] = np.exp(low[:3]), np.exp(high[:3])
    low[3], high[3] = max(low[3], 0.0), min(high[3], 1.0)
    return ImpedanceFit(
        cell=cell(best.x),
        intervals={
            name: (float(lower), float(upper))
            for name, lower, upper in zip(names, low, high, strict=True)
        },
        confidence=confidence,
        deviation=float(np.sqrt(2 * best.cost / len(omega))),
    )


def _starts(omega: Array, measured: Complex, thickness: float) -> list[Array]:
    """Return first guesses of the logarithms of both conductivities and Q, and of n."""
    order = np.argsort(omega)
    low, high = measured.real[order[0]], measured.real[order[-1]]
    high = min(high, 0.99 * low)
    through = thickness / low
    blocked = thickness / high - through
    peak = omega[np.argmax(-measured.imag)]  # at 2.5 / (L^2 Q (both resistivities) / 4) for n = 1
    capacitance = 10 / (thickness**2 * (1 / through + 1 / blocked))
    return [
        np.array([np.log(through), np.log(blocked), np.log(shift * capacitance / peak**n), n])
        for shift in (0.01, 1.0, 100.0)
        for n in (0.6, 0.9)
    ]


def _interval(best: Array, slope: Array, cost: float, confidence: float) -> tuple[Array, Array]:
    """Return the bounds of the confidence intervals, infinite where the data say nothing."""
    points, values = slope.shape
    _, sizes, directions = np.linalg.svd(slope, full_matrices=False)
    sizes = np.where(sizes > sizes[0] * points * np.finfo(float).eps, sizes, 0.0)
    with np.errstate(divide="ignore"):
        spread = np.sqrt(
            2 * cost / (points - values) * np.sum((directions / sizes[:, None]) ** 2, axis=0)
        )
    width = stats.t.ppf((1 + confidence) / 2, points - values) * spread
    return best - width, best + width


def _conductivities(contacts: Rail) -> tuple[str, str]:
    """Return the names of the conductivities of the rail that is joined and the one blocked."""
    names = "electronic_conductivity", "ionic_conductivity"
    return names if contacts == "electronic" else names[::-1]


def _impedance(name: str, value: Complexes) -> Complex:
    """Return an impedance of the line as an array of numbers that can be divided by."""
    array = np.asarray(value, dtype=np.complex128)
    size = np.abs(array)
    if array.size == 0 or not np.all((size >= 1 / LARGEST) & (size <= LARGEST)):
        raise InputError(
            f"transmission_line.{name} = {shown(value)} must be from {1 / LARGEST:g} to "
            f"{LARGEST:g} in magnitude"
        )
    return array


def _checked_frequencies(value: Reals) -> Array:
    """Return frequencies as an array, all above 0 Hz and at most `LARGEST`."""
    frequencies = np.asarray(value, dtype=np.float64)
    if frequencies.size == 0 or not np.all((frequencies >= 1 / LARGEST) & (frequencies <= LARGEST)):
        raise InputError(
            f"frequencies = {shown(value)} must all be above 0 Hz, at most {LARGEST:g}"
        )
    return frequencies

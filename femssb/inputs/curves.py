"""Functions of lithium: a property against its concentration."""

import numbers
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.environment.packages import load
from femssb.errors import InputError, check_number, shown
from femssb.inputs.interpolation import ComplexStep, Table, TableSlope

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@description
class Curve:
    """A material property as a function of lithium concentration, with its slope.

    Function and slope may be anything that is called with an array (n,) and returns one real number
    for each concentration, whatever the others are: a function, `numpy.polynomial.Polynomial`, an
    interpolator of SciPy, a `functools.partial` of `numpy.interp`. Where the function has a kink,
    the slope may be that of either side. `from_table` makes both from points, `from_callable` the
    slope from the function.

    Outside ``[lower, upper]`` the curve continues along its tangent, so that a small overshoot of
    the concentration meets a smooth, finite value instead of a pole. A run that uses the tangent of
    the open-circuit voltage has a warning.

    Raises:
        InputError: If the range is empty, if function or slope fail on an array, return anything
            else than one finite number per concentration or change what they are given, or if the
            slope is not that of the function: a wrong slope would show only as a solver that no
            longer converges.
    """

    function: Callable[[Array], Array] = field("concentration [mol/m3] -> property")
    slope: Callable[[Array], Array] = field("concentration [mol/m3] -> derivative of the property")
    lower: float = field(
        "smallest concentration at which the function holds", unit="mol/m3", lower=0, upper=2e5
    )
    upper: float = field(
        "largest concentration at which the function holds", unit="mol/m3", lower=0, upper=2e5
    )

    def __post_init__(self) -> None:
        """Check the range, what function and slope return, and the slope against differences."""
        width = self.upper - self.lower
        if not width > 1.0:
            raise InputError(
                f"Curve.upper = {self.upper:g} mol/m3 must exceed Curve.lower = {self.lower:g}"
                " mol/m3 by more than 1"
            )
        points = np.linspace(self.lower, self.upper, 2001)
        for name in ("function", "slope"):
            self._check_values(name, points)
        self._check_slope(points[::10], 1e-6 * width)

    @classmethod
    @checked
    def from_table(
        cls,
        table: str | os.PathLike[str] | Array,
        values: Array | None = None,
        *,
        scale: float = 1.0,
    ) -> Self:
        """Return the curve through points: a monotone cubic, whose slope is its own.

        Args:
            table: Concentrations (n,) [mol/m3], rising or falling; or a text file of two columns,
                concentration and property, with commas, semicolons or blanks between them.
            values: The property there (n,); left out with a file.
            scale: What 1 in the first column is [mol/m3]: `maximum_concentration` where the table
                has shares of the full host.

        Raises:
            InputError: If the file cannot be read, or the points do not make a curve.
        """
        check_number("Curve.from_table", "scale", scale, above=0, upper=2e5, unit="mol/m3")
        points = Table.read(table, values, scale)
        ends = points.concentrations[0], points.concentrations[-1]
        return cls(function=points, slope=TableSlope(table=points), lower=ends[0], upper=ends[1])

    @classmethod
    @checked
    def from_callable(
        cls, function: Callable[[Array], Array], *, lower: float, upper: float
    ) -> Self:
        """Return the curve of a function whose slope is made by a complex step.

        Args:
            function: Concentrations (n,) [mol/m3] -> property; it must also take complex numbers,
                as formulas of NumPy do. Of one that does not, give the slope: ``Curve(...)``.
            lower: Smallest concentration at which it holds [mol/m3].
            upper: Largest concentration at which it holds [mol/m3].

        Raises:
            InputError: As of a `Curve`; where the function takes no complex numbers.
        """
        slope = ComplexStep(function=function)
        return cls(function=function, slope=slope, lower=lower, upper=upper)

    @checked
    def plus(self, other: "Curve", factor: float = 1.0) -> "Curve":
        """Return the sum of this curve and a multiple of another, where this one holds.

        Args:
            other: Goes on along its tangent where it ends before this one.
            factor: On the other one.
        """
        check_number("Curve.plus", "factor", factor, lower=-1e12, upper=1e12)
        both = _Sum(curve=self, other=other, factor=factor)
        return Curve(function=both.value, slope=both.slope, lower=self.lower, upper=self.upper)

    @checked
    def plot(self, axes: "Axes | None" = None, *, label: str = "Property") -> "Figure":
        """Draw the curve, with the points of a table, and return the figure.

        Args:
            axes: Where to draw; None for a new figure.
            label: Of the property, with its unit, such as ``"Voltage [V]"``.

        Raises:
            InputError: If the axes are none.
            EngineError: If Matplotlib is missing.
        """
        if not (axes is None or callable(getattr(axes, "plot", None))):
            raise InputError(f"Curve.plot.axes = {shown(axes)} must be axes of Matplotlib")
        if axes is None:
            figure = load("matplotlib.figure", extra="plot").Figure(layout="constrained")
            axes = figure.add_subplot()
        at = np.linspace(self.lower, self.upper, 1001)
        axes.plot(at / 1e3, self.value(at))
        if isinstance(self.function, Table):
            given = np.array([self.function.concentrations, self.function.values])
            axes.plot(given[0] / 1e3, given[1], "o", markersize=3)
        axes.set(xlabel="Concentration [10³ mol m⁻³]", ylabel=label)
        drawn: Any = axes.figure
        return drawn

    def _check_values(self, name: str, points: Array) -> None:
        """Check that a function takes each point by itself, leaves it as it is, and is finite."""
        given = points.copy()
        values = _evaluated(self, name, given)
        if not np.array_equal(given, points):
            raise InputError(f"Curve.{name} must not change the array that it is given")
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise InputError(
                f"Curve.{name} = {values[row]:g} at {points[row]:g} mol/m3; it must be finite from"
                f" lower = {self.lower:g} to upper = {self.upper:g} mol/m3"
            )
        allowed = 1e-9 * np.max(np.abs(values))
        for rows in (slice(None, None, -7), slice(3, 4)):
            alone = _evaluated(self, name, points[rows].copy())
            if not np.allclose(alone, values[rows], rtol=0, atol=allowed):
                raise InputError(
                    f"Curve.{name} gives a concentration another value where others stand next to"
                    " it; it must take each by itself"
                )

    def _check_slope(self, points: Array, step: float) -> None:
        """Check that the slope lies between the differences on both sides of each point."""
        middle = slice(1, -1)
        values = _evaluated(self, "function", points)
        before, after = np.empty((2, points.size))
        before[1:] = (values - _evaluated(self, "function", points - step))[1:] / step
        after[:-1] = (_evaluated(self, "function", points + step) - values)[:-1] / step
        # at the ends, where a logarithm may be steep, from inside, and extrapolated
        for end, inwards in ((0, step / 100), (-1, -step / 100)):
            near = _evaluated(self, "function", points[end] + inwards * np.array([0, 0.5, 1]))
            half, whole = (near[1:] - near[0]) / (inwards * np.array([0.5, 1]))
            before[end], after[end] = whole, 2 * half - whole
        slopes = _evaluated(self, "slope", points)
        beyond = np.maximum(np.minimum(before, after) - slopes, slopes - np.maximum(before, after))
        steepest = np.max(np.abs(before + after)[middle]) / 2
        roundoff = np.full(points.size, 4e-15 * np.max(np.abs(values)) / step)
        roundoff[[0, -1]] *= 100
        allowed = 1e-3 * np.maximum(steepest, np.abs(before + after) / 2) + roundoff
        worst = int(np.argmax(beyond - allowed))
        if beyond[worst] > allowed[worst]:
            raise InputError(
                f"Curve.slope = {slopes[worst]:g} at {points[worst]:g} mol/m3, but Curve.function"
                f" changes there by {(before + after)[worst] / 2:g} per mol/m3"
            )

    @checked
    def value(self, concentration: Array) -> Array:
        """Return the property, shape as the concentration [mol/m3]."""
        return self.value_and_derivative(concentration)[0]

    @checked
    def derivative(self, concentration: Array) -> Array:
        """Return the derivative of `value`, shape as the concentration [mol/m3]."""
        return _evaluated(self, "slope", np.clip(concentration, self.lower, self.upper))

    def value_and_derivative(self, concentration: Array) -> tuple[Array, Array]:
        """Return the property and its derivative, each with the shape of the concentration."""
        inside = np.clip(concentration, self.lower, self.upper)
        slope = _evaluated(self, "slope", inside.copy())
        value = _evaluated(self, "function", inside.copy())
        return value + slope * (concentration - inside), slope


@description
class _Sum:
    """A curve and a multiple of another one."""

    curve: Curve = field("the one")
    other: Curve = field("the other one")
    factor: float = field("on the other one")

    def value(self, concentration: Array) -> Array:
        """Return the sum, shape as the concentration [mol/m3]."""
        one, other = self.curve.value(concentration), self.other.value(concentration)
        return np.asarray(one + self.factor * other)

    def slope(self, concentration: Array) -> Array:
        """Return its derivative, likewise."""
        one, other = (c.value_and_derivative(concentration)[1] for c in (self.curve, self.other))
        return np.asarray(one + self.factor * other)


def _evaluated(curve: Curve, name: str, concentration: Array) -> Array:
    """Return function or slope of a curve at concentrations, as a new array of their shape."""
    points = np.ravel(concentration)
    if not points.size:  # a rank without a point
        return np.zeros(np.shape(concentration))
    try:
        with np.errstate(all="ignore"):  # what is not finite is found by its value
            found = getattr(curve, name)(points)
        values = np.array(np.ma.filled(found, np.nan) if np.ma.isMaskedArray(found) else found)
    except Exception as error:
        raise InputError(
            f"Curve.{name} fails on an array of {points.size} concentrations from"
            f" {points.min():g} to {points.max():g} mol/m3: {type(error).__name__}: {error}"
        ) from error
    if values.shape != points.shape:
        raise InputError(
            f"Curve.{name} must return one value per point, shape {points.shape}, got"
            f" {values.shape}"
        )
    kind, size = values.dtype.kind, values.dtype.itemsize
    real = kind in "iu" or (kind == "f" and size >= 8)
    if not (real or (kind == "O" and all(isinstance(value, numbers.Real) for value in values))):
        raise InputError(
            f"Curve.{name} must return real numbers in double precision, got {values.dtype}"
        )
    return values.astype(np.float64).reshape(np.shape(concentration))

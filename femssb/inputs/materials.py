"""Frozen descriptions of the materials of a half-cell; no equation is solved here.

Every field is checked when it is given, also by `dataclasses.replace`: bounds are wide enough for
any real material, and narrow enough that a value a million times off (a modulus in MPa, a length in
um) is refused by name.
"""

import math
import numbers
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.environment.packages import load
from femssb.errors import InputError, check_number, shown
from femssb.inputs.interpolation import ComplexStep, Table, TableSlope

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = tuple[float, float, float, float, float, float]

MOST_STRAIN = 0.3  # chemical, along any axis: far beyond what small strains stand for


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


@description
class Elasticity:
    """Isotropic linear elasticity."""

    young_modulus: float = field("Young's modulus", unit="Pa", lower=1e6, upper=2e12)
    poisson_ratio: float = field(
        "Poisson's ratio; beyond, linear elements lock", lower=-0.99, upper=0.49
    )

    @property
    def modulus(self) -> float:
        """Young's modulus [Pa]."""
        return self.young_modulus

    def lame(self) -> tuple[float, float]:
        """Return the Lame constants: lambda and the shear modulus mu [Pa]."""
        shear = self.young_modulus / (2 * (1 + self.poisson_ratio))
        return 2 * shear * self.poisson_ratio / (1 - 2 * self.poisson_ratio), shear

    def stiffness_matrix(self) -> Array:
        """Return the stiffness, (6, 6), Voigt order 11 22 33 23 13 12, engineering shear [Pa]."""
        first, shear = self.lame()
        stiffness = np.diag([2 * shear] * 3 + [shear] * 3)
        stiffness[:3, :3] += first
        return stiffness


@description
class CrystalElasticity:
    """Linear elasticity of a crystal, given in its own axes.

    Raises:
        InputError: If the stiffness is not symmetric and positive definite, or its eigenvalues are
            not between 1e5 and 1e13 Pa.
    """

    stiffness: tuple[Row, Row, Row, Row, Row, Row] = field(
        "stiffness, 6 x 6, Voigt order 11 22 33 23 13 12, engineering shear", unit="Pa"
    )

    def __post_init__(self) -> None:
        """Check symmetry and eigenvalues."""
        stiffness = self.stiffness_matrix()
        unequal = np.max(np.abs(stiffness - stiffness.T)) / np.max(np.abs(stiffness), initial=1.0)
        if unequal > 1e-9:
            raise InputError(
                f"CrystalElasticity.stiffness is not symmetric: entries differ by {unequal:.3g} of"
                " the largest, 1e-9 is allowed"
            )
        eigenvalues = np.linalg.eigvalsh(stiffness)
        for name, value in (("smallest", eigenvalues[0]), ("largest", eigenvalues[-1])):
            name = f"stiffness ({name} eigenvalue)"
            check_number("CrystalElasticity", name, value, lower=1e5, upper=1e13, unit="Pa")

    @property
    def modulus(self) -> float:
        """Smallest eigenvalue of the stiffness [Pa]: along no axis is Young's modulus smaller."""
        return float(np.linalg.eigvalsh(self.stiffness_matrix())[0])

    def stiffness_matrix(self) -> Array:
        """Return the stiffness, (6, 6), Voigt order 11 22 33 23 13 12, engineering shear [Pa]."""
        return np.array(self.stiffness, dtype=np.float64)


@description
class ActiveMaterial:
    """The cathode active material: lithium transport, open-circuit voltage, expansion, elasticity.

    Crystal directions are [100], [010], [001], the columns of Q in a grain. Its chemical strain is
    ``chemical_strain(c) Q diag(expansion_ratio) Q^T``, or, with a curve for each axis, that of each
    along its axis.

    Where a run starts is independent of its C-rates and of where the grains are free of strain:
    `nominal_capacity` and `stress_free_concentration` stay as they are when `initial_concentration`
    is replaced.

    Raises:
        InputError: If the initial state is nearly empty, fuller than full, or contradicts a curve,
            if the nominal capacity or the stress-free state is beyond the full host, if the
            chemical strain exceeds 0.3, or if lithium diffuses along no axis.
    """

    initial_concentration: float = field(
        "lithium at the start; at least 1e-3 of the full host", unit="mol/m3", lower=1, upper=2e5
    )
    maximum_concentration: float = field(
        "lithium of the full host", unit="mol/m3", lower=1e3, upper=2e5
    )
    nominal_capacity: float | None = field(
        "lithium that 1C moves in an hour, at least 1e-2 of the full host; None: all that fits",
        unit="mol/m3",
        lower=10,
        upper=2e5,
        default=None,
    )
    stress_free_concentration: float | None = field(
        "lithium at which there is no chemical strain; None: that of the full host",
        unit="mol/m3",
        lower=0,
        upper=2e5,
        default=None,
    )
    diffusivity: tuple[float, float, float] = field(
        "along each crystal axis; the fastest is at least 1e-19", unit="m2/s", lower=0, upper=1e-9
    )
    diffusivity_factor: Curve | tuple[Curve, Curve, Curve] | None = field(
        "on the diffusivity at a concentration, or one for each crystal axis, 1e-6 to 1e6; None: 1",
        default=None,
    )
    drift_volume: float | None = field(
        "partial molar volume in stress drift, 0 for none; None: that which the whole stress sees,"
        " by the chemical strain along each crystal axis and by the stiffness factor",
        unit="m3/mol",
        lower=-1e-4,
        upper=1e-4,
    )
    open_circuit_voltage: Curve = field("voltage against lithium metal [V]")
    expansion: Curve | tuple[Curve, Curve, Curve] = field(
        "chemical strain along [100], or a curve for each crystal axis, from any state: that at the"
        " stress-free one is taken off"
    )
    expansion_ratio: tuple[float, float, float] = field(
        "strain along each crystal axis over that along [100]; left out with three curves",
        lower=-100,
        upper=100,
        default=(1.0, 1.0, 1.0),
    )
    elasticity: Elasticity | CrystalElasticity = field("elasticity of the grains")
    stiffness_factor: Curve | None = field(
        "on their stiffness at a concentration, 1e-2 to 1e2; None: 1", default=None
    )
    electronic_conductivity: float = field(
        "of electrons within particles, at least 1e-9; 0: they come from the ecbd at any place of"
        " the surface",
        unit="S/m",
        lower=0,
        upper=1e6,
        default=0.0,
    )

    def __post_init__(self) -> None:
        """Check the states against the full host and the curves."""

        def check(name: str, value: float, lower: float, upper: float, unit: str = "") -> None:
            check_number("ActiveMaterial", name, value, lower=lower, upper=upper, unit=unit)

        initial, full = self.initial_concentration, self.maximum_concentration
        check("initial_concentration", initial, 1e-3 * full, full, "mol/m3")
        check("nominal_capacity", self.capacity, 1e-2 * full, full, "mol/m3")
        check("stress_free_concentration", self.stress_free, 0, full, "mol/m3")
        check("diffusivity (fastest)", max(self.diffusivity), 1e-19, 1e-9, "m2/s")
        if self.electronic_conductivity:
            check("electronic_conductivity", self.electronic_conductivity, 1e-9, 1e6, "S/m")
        start = np.array([float(initial)])
        voltage = self.open_circuit_voltage.value(start)[0]
        check("open_circuit_voltage (initial)", voltage, -1, 7, "V")
        if isinstance(self.expansion, tuple) and self.expansion_ratio != (1.0, 1.0, 1.0):
            raise InputError(
                f"ActiveMaterial.expansion_ratio = {self.expansion_ratio} must be left out where"
                " expansion is a curve for each axis"
            )
        strains = self.chemical_strain(np.linspace(0, full, 101))
        largest = np.max(np.abs(strains[:, None] * np.array(self.expansion_axes)[..., None]))
        check("expansion (largest, along any axis)", largest, 0, MOST_STRAIN)
        at = np.linspace(0, full, 2001)
        if self.diffusivity_factor is not None:
            factors = np.array([curve.value(at) for curve in self._diffusivity_curves])
            for name, factor in (("smallest", factors.min()), ("largest", factors.max())):
                check(f"diffusivity_factor ({name})", factor, 1e-6, 1e6)
            fastest = (np.array(self.diffusivity) * factors.T).max(axis=1)
            for name, value in (("slowest", fastest.min()), ("fastest", fastest.max())):
                check(f"diffusivity times its factor ({name})", value, 1e-19, 1e-9, "m2/s")
        if self.stiffness_factor is not None:
            factors = self.stiffness_factor.value(at)
            for name, factor in (("smallest", factors.min()), ("largest", factors.max())):
                check(f"stiffness_factor ({name})", factor, 1e-2, 1e2)

    @property
    def capacity(self) -> float:
        """Lithium that 1C moves in an hour [mol/m3]."""
        given = self.nominal_capacity
        return self.maximum_concentration if given is None else given

    @property
    def stress_free(self) -> float:
        """Lithium at which there is no chemical strain [mol/m3]."""
        given = self.stress_free_concentration
        return self.maximum_concentration if given is None else given

    @checked
    def starting_at(self, voltage: float) -> Self:
        """Return this material with the lithium at which it rests at a voltage.

        Where several concentrations have it, that is the fullest of them.

        Args:
            voltage: Against lithium metal [V].

        Raises:
            InputError: If the open-circuit voltage of no state that may be a start is so high, or
                so low.
        """
        check_number("ActiveMaterial.starting_at", "voltage", voltage, unit="V")
        full = self.maximum_concentration
        at = np.linspace(1e-3 * full, full, 4001)
        over = self.open_circuit_voltage.value(at) - voltage
        crossed = np.flatnonzero(np.sign(over[1:]) != np.sign(over[:-1]))
        if not crossed.size:
            raise InputError(
                f"ActiveMaterial.starting_at: voltage = {voltage:g} V is outside"
                f" [{(over + voltage).min():.6g}, {(over + voltage).max():.6g}] V, what the"
                " open-circuit voltage is from the full host to a thousandth of it"
            )
        from scipy.optimize import brentq

        def beyond(concentration: float) -> float:
            return float(self.open_circuit_voltage.value(np.array([concentration]))[0]) - voltage

        low, high = at[crossed[-1] : crossed[-1] + 2]
        return replace(self, initial_concentration=float(brentq(beyond, low, high, xtol=1e-9)))

    @property
    def expansion_curves(self) -> tuple[Curve, ...]:
        """The curves of the chemical strain: one, or one for each crystal axis."""
        return self.expansion if isinstance(self.expansion, tuple) else (self.expansion,)

    @property
    def expansion_axes(self) -> tuple[tuple[float, float, float], ...]:
        """The strain along each crystal axis over each of the `expansion_curves` [-]."""
        if isinstance(self.expansion, tuple):
            return (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
        return (self.expansion_ratio,)

    @property
    def _diffusivity_curves(self) -> tuple[Curve, ...]:
        """The factors on the diffusivity: none, one, or one for each crystal axis."""
        given = self.diffusivity_factor
        return () if given is None else given if isinstance(given, tuple) else (given,)

    @property
    def largest_diffusivity_factor(self) -> float:
        """The largest factor on the diffusivity from empty to full [-]."""
        at = np.linspace(0.0, self.maximum_concentration, 2001)
        return max((float(c.value(at).max()) for c in self._diffusivity_curves), default=1.0)

    def diffusivities(self, concentration: Array) -> tuple[Array, Array]:
        """Return the diffusivity along each crystal axis [m2/s], and its derivative [m5/s/mol].

        From concentrations (n,) follow (n, 3); beyond empty and full the diffusivity is that there.
        """
        inside = np.clip(concentration, 0.0, self.maximum_concentration)
        shape = (*inside.shape, 3)
        value, slope = np.broadcast_to(self.diffusivity, shape), np.zeros(shape)
        if self._diffusivity_curves:
            found = [curve.value_and_derivative(inside) for curve in self._diffusivity_curves]
            factors, rises = (np.stack(part, axis=-1) for part in zip(*found, strict=True))
            slope = value * np.where((inside == concentration)[..., None], rises, 0.0)
            value = value * factors
        return value, slope

    def stiffening(self, concentration: Array) -> tuple[Array, Array]:
        """Return the factor on the stiffness (n,) at concentrations (n,), and its derivative.

        Beyond empty and full it is that there.
        """
        if self.stiffness_factor is None:
            return np.ones_like(concentration), np.zeros_like(concentration)
        inside = np.clip(concentration, 0.0, self.maximum_concentration)
        value, slope = self.stiffness_factor.value_and_derivative(inside)
        return value, np.where(inside == concentration, slope, 0.0)

    def chemical_strain(self, concentration: Array) -> Array:
        """Return the strain of each of the `expansion_curves` against the stress-free state [-].

        From concentrations (n,) follows (curves, n): one row, along [100], or one for each axis.
        """
        free = np.array([float(self.stress_free)])
        return np.array([c.value(concentration) - c.value(free) for c in self.expansion_curves])


@description
class Conductor:
    """A homogenised matrix: the electrolyte-carbon domain (ecbd) or the separator (electrolyte)."""

    ionic_conductivity: float = field("conductivity of ions", unit="S/m", lower=1e-7, upper=1e3)
    electronic_conductivity: float = field(
        "of electrons, at least 1e-7 in the ecbd, or 0 where particles conduct them; in the"
        " separator a trace, taken as 0",
        unit="S/m",
        lower=0,
        upper=1e6,
    )
    elasticity: Elasticity = field("elasticity of the matrix")


@description
class InsertionKinetics:
    """Butler-Volmer kinetics of insertion: i0 = F k sqrt(c (c_max - c))."""

    rate_constant: float = field("k", unit="m/s", lower=1e-14, upper=1e-4)
    anodic_transfer: float = field(
        "transfer coefficient of the anodic branch", lower=1e-6, upper=1 - 1e-6
    )


@description
class MetalKinetics:
    """Butler-Volmer kinetics of lithium metal: a constant exchange current."""

    exchange_current: float = field("exchange current", unit="A/m2", lower=1e-3, upper=1e6)
    anodic_transfer: float = field(
        "transfer coefficient of the anodic branch", lower=1e-6, upper=1 - 1e-6
    )


@description
class ContactResistance:
    """Interface resistance that grows with the gap: R = closed exp(gap / decay_length)."""

    closed: float = field("resistance at zero gap, 0 for none", unit="ohm m2", lower=0, upper=100)
    decay_length: float = field(
        "gap over which it grows e-fold; inf: the gap does not matter",
        unit="m",
        lower=1e-10,
        upper=1e-5,
        infinite=True,
    )


@description
class CohesiveLaw:
    """Bilinear traction-separation law with irreversible damage, mixed mode and contact.

    Onset: (<t_n>/normal_strength)^2 + (t_t/shear_strength)^2 = 1. Failure under mixed mode:
    ``power`` (power law) or ``benzeggagh_kenane``, each with ``mixed_mode_exponent``. An infinite
    strength with an infinite energy makes an interface that never fails.

    Raises:
        InputError: If the interface would store at onset more energy than its failure takes (its
            traction could not fall with the opening).
    """

    normal_strength: float = field(
        "traction at onset in mode I", unit="Pa", lower=1e4, upper=1e11, infinite=True
    )
    shear_strength: float = field(
        "traction at onset in mode II", unit="Pa", lower=1e4, upper=1e11, infinite=True
    )
    normal_fracture_energy: float = field(
        "energy of failure in mode I", unit="J/m2", lower=1e-4, upper=1e5, infinite=True
    )
    shear_fracture_energy: float = field(
        "energy of failure in mode II", unit="J/m2", lower=1e-4, upper=1e5, infinite=True
    )
    stiffness: float = field(
        "penalty stiffness of the intact interface", unit="Pa/m", lower=1e9, upper=1e22
    )
    mixed_mode: Literal["power", "benzeggagh_kenane"] = field(
        "criterion of failure under mixed mode", default="power"
    )
    mixed_mode_exponent: float = field(
        "exponent of the criterion; below 1 the law need not soften", lower=1, upper=10, default=1.0
    )
    viscosity: float = field(
        "traction per opening rate, a regularisation",
        unit="Pa s/m",
        lower=0,
        upper=1e20,
        default=0.0,
    )

    def __post_init__(self) -> None:
        """Check that the law softens for every mode mix."""
        for mode in ("normal", "shear"):
            self._check_softening(mode)
        if self.mixed_mode == "benzeggagh_kenane":
            self._check_mixed_softening()

    @property
    def failure_opening(self) -> float:
        """Opening at which it has failed under the mode that needs less of it [m]."""
        energies = self.normal_fracture_energy, self.shear_fracture_energy
        strengths = self.normal_strength, self.shear_strength
        return min(
            2 * energy / strength if energy < math.inf else math.inf
            for energy, strength in zip(energies, strengths, strict=True)
        )

    @property
    def breakable(self) -> bool:
        """Whether it fails at some traction."""
        return min(self.normal_strength, self.shear_strength) < math.inf

    @property
    def unbreakable(self) -> "CohesiveLaw":
        """This law without failure."""
        return replace(
            self,
            normal_strength=math.inf,
            shear_strength=math.inf,
            normal_fracture_energy=math.inf,
            shear_fracture_energy=math.inf,
        )

    def _check_softening(self, mode: str) -> None:
        strength = getattr(self, f"{mode}_strength")
        energy = getattr(self, f"{mode}_fracture_energy")
        if energy == math.inf:
            return
        if strength == math.inf:
            raise InputError(
                f"CohesiveLaw.{mode}_fracture_energy must be inf where {mode}_strength is"
            )
        if not 2 * energy * self.stiffness > strength**2:
            raise InputError(
                f"CohesiveLaw.{mode}_fracture_energy = {energy:g} J/m2 must exceed what the intact"
                f" interface stores at {strength:g} Pa: take an energy above"
                f" {strength**2 / (2 * self.stiffness):.6g} J/m2 or a stiffness above"
                f" {strength**2 / (2 * energy):.6g} Pa/m"
            )

    def _check_mixed_softening(self) -> None:
        energies = (self.normal_fracture_energy, self.shear_fracture_energy)
        if math.inf in energies:
            if self.normal_strength == self.shear_strength == math.inf:
                return
            raise InputError(
                "CohesiveLaw.mixed_mode = 'benzeggagh_kenane' needs finite fracture energies, got"
                f" {energies[0]:g} and {energies[1]:g} J/m2; 'power' takes infinite ones"
            )
        share = np.linspace(0.0, 1.0, 1001)
        energy = energies[0] + (energies[1] - energies[0]) * share**self.mixed_mode_exponent
        over_square = (1 - share) / self.normal_strength**2 + share / self.shear_strength**2
        smallest = float(np.max(1 / (2 * energy * over_square)))
        if not self.stiffness > smallest:
            raise InputError(
                f"CohesiveLaw.stiffness = {self.stiffness:g} Pa/m must exceed {smallest:.6g} Pa/m:"
                " under mixed mode the interface would store at onset more than its failure takes"
            )


@description
class ParticleContacts:
    """What particles pass on where they touch each other, the collector, and carbon around them.

    Electrons do so where the particles conduct them (`ActiveMaterial.electronic_conductivity`).
    With their gap contacts of particles let electrons and lithium through less and less: both by
    the `decay_length` of the resistance. Particles stay bonded to the collector.

    Raises:
        InputError: If a resistance is below 1e-12 ohm m2.
    """

    resistance: ContactResistance = field("of a contact of particles to electrons")
    collector: float = field(
        "resistance of a contact of a particle and the collector to electrons",
        unit="ohm m2",
        lower=1e-12,
        upper=100,
    )
    carbon: ContactResistance | None = field(
        "resistance between particle and ecbd to electrons; needed where both conduct them",
        default=None,
    )
    permeability: float = field(
        "of a contact of particles for lithium, flux over difference of concentrations;"
        " 0: lithium is blocked",
        unit="m/s",
        lower=0,
        upper=1e-2,
        default=0.0,
    )
    cohesive: CohesiveLaw | None = field(
        "cohesion of particles; None: they are bonded", default=None
    )

    def __post_init__(self) -> None:
        """Check that no resistance vanishes: its current would be the unknown."""
        for name in ("resistance", "carbon"):
            if (law := getattr(self, name)) is not None:
                check_number(
                    f"ParticleContacts.{name}", "closed", law.closed, lower=1e-12, unit="ohm m2"
                )


@description
class GrainBoundaries:
    """What holds the grains of a particle together, and what they pass on where they meet.

    With its opening a boundary lets lithium through less and less. Where nothing can break and
    nothing resists, boundaries are bonded: all is continuous across them, at no cost.

    Raises:
        InputError: If the resistance to electrons is below 1e-12 ohm m2.
    """

    cohesive: CohesiveLaw | None = field(
        "cohesion of the grains; None, or with infinite strengths: they are bonded", default=None
    )
    permeability: float = field(
        "of a closed boundary for lithium, flux over difference of concentrations; inf: it resists"
        " no more than 1 nm of the crystal does along its fastest axis",
        unit="m/s",
        lower=0,
        upper=1e-2,
        infinite=True,
        default=math.inf,
    )
    decay_length: float = field(
        "opening over which the permeability falls e-fold; inf: the opening does not matter",
        unit="m",
        lower=1e-10,
        upper=1e-5,
        infinite=True,
        default=1e-9,
    )
    resistance: ContactResistance | None = field(
        "to electrons, where particles conduct them; None: they pass, however far it is open",
        default=None,
    )

    def __post_init__(self) -> None:
        """Check that the resistance does not vanish: its current would be the unknown."""
        if self.resistance is not None:
            check_number(
                "GrainBoundaries.resistance",
                "closed",
                self.resistance.closed,
                lower=1e-12,
                unit="ohm m2",
            )


@description
class Materials:
    """A complete parameter set of a half-cell.

    Electrons move where a material conducts them: in the ecbd, in the particles, or in both.

    Raises:
        InputError: If neither ecbd nor particles conduct electrons, the separator does, or a
            resistance is missing that they must pass.
    """

    active: ActiveMaterial = field("active material of the particles")
    ecbd: Conductor = field("electrolyte-carbon domain around the particles")
    electrolyte: Conductor = field("separator")
    kinetics: InsertionKinetics = field("reaction between particle and electrolyte")
    resistance: ContactResistance = field("contact resistance between particle and electrolyte")
    cohesive: CohesiveLaw = field("cohesion of particle and electrolyte")
    anode: MetalKinetics = field("reaction of the lithium anode")
    temperature: float = field("temperature", unit="K", lower=150, upper=600, default=298.15)
    contacts: ParticleContacts | None = field(
        "laws of particles that touch, or that conduct electrons", default=None
    )
    grain_boundaries: GrainBoundaries | None = field(
        "laws of grains of one particle that meet; None: they are bonded", default=None
    )

    def __post_init__(self) -> None:
        """Check that electrons have a way to the particles, but not to the anode."""
        in_particles = self.active.electronic_conductivity > 0
        in_ecbd = self.ecbd.electronic_conductivity > 0
        for name, bounds in (("ecbd", {"lower": 1e-7}), ("electrolyte", {"upper": 1e-4})):
            value = getattr(self, name).electronic_conductivity
            if name == "electrolyte" or in_ecbd or not in_particles:
                check_number(
                    f"Materials.{name}", "electronic_conductivity", value, unit="S/m", **bounds
                )
        if in_particles and (self.contacts is None or (in_ecbd and self.contacts.carbon is None)):
            lacks = "contacts" if self.contacts is None else "contacts.carbon"
            raise InputError(
                f"Materials.{lacks} is missing: active.electronic_conductivity ="
                f" {self.active.electronic_conductivity:g} S/m, so electrons pass it"
            )


def _known(meaning: str, unit: str, lower: float, upper: float) -> Any:
    return field(meaning, unit=unit, lower=lower, upper=upper, default=None)


@description
class Solid:
    """Known properties of one material by itself; None where no trustworthy value is known."""

    name: str = field("name of the material")
    density: float = field("mass density", unit="kg/m3", lower=50, upper=3e4)
    elasticity: Elasticity | None = field("isotropic elasticity", default=None)
    yield_strength: float | None = _known("yield strength", "Pa", 1e4, 1e11)
    hardness: float | None = _known("hardness", "Pa", 1e4, 2e11)
    fracture_toughness: float | None = _known("toughness in mode I", "Pa m^0.5", 1e3, 1e9)
    ionic_conductivity: float | None = _known("conductivity of ions", "S/m", 0, 1e3)
    electronic_conductivity: float | None = _known("conductivity of electrons", "S/m", 0, 1e9)
    maximum_concentration: float | None = _known("lithium of the full host", "mol/m3", 1e3, 2e5)
    diffusivity: float | None = _known("diffusivity of lithium", "m2/s", 1e-19, 1e-9)
    exchange_current: float | None = _known(
        "exchange current of insertion, half full, in liquid electrolyte", "A/m2", 1e-3, 1e6
    )
    lithium_molar_volume: float | None = _known(
        "volume gained with a mole of lithium", "m3/mol", -1e-4, 1e-4
    )
    charged_volume_change: float | None = _known(
        "relative change of volume from full to charged", "", -0.9, 9
    )
    specific_capacity: float | None = _known("capacity by mass", "C/kg", 1e4, 2e7)

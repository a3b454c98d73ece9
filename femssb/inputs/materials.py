"""Frozen descriptions of what a half-cell is made of; no equation is solved here.

Every field is checked when it is given, also by `dataclasses.replace`: bounds are wide enough for
any real material, and narrow enough that a value a million times off (a modulus in MPa, a length in
um) is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.errors import InputError, check_number

Array = NDArray[np.float64]

MIXED_MODE_LAWS = ("power", "benzeggagh_kenane")
COHESIVE_BOUNDS = {  # these may also be infinite
    "normal_strength": (1e4, 1e11, "Pa"),
    "shear_strength": (1e4, 1e11, "Pa"),
    "normal_fracture_energy": (1e-4, 1e5, "J/m2"),
    "shear_fracture_energy": (1e-4, 1e5, "J/m2"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A material property as a function of lithium concentration, with its slope.

    Outside ``[lower, upper]`` the curve goes on along its tangent, so that a small overshoot of the
    concentration meets a smooth, finite value instead of a pole.

    Raises:
        InputError: If the range is not one, or the slope is not that of the function: a wrong slope
            would show only as a solver that no longer converges.
    """

    function: Callable[[Array], Array]  # concentration [mol/m3] -> property
    slope: Callable[[Array], Array]  # concentration [mol/m3] -> derivative of the property
    lower: float  # smallest concentration at which the function holds [mol/m3]
    upper: float  # largest concentration at which the function holds [mol/m3]

    def __post_init__(self) -> None:
        """Check the range, and the slope against central differences."""
        for name in ("function", "slope"):
            if not callable(getattr(self, name)):
                raise InputError(f"Curve.{name} must be a function of the concentration")
        _check_bounds(self, lower=(0, 2e5, "mol/m3"), upper=(0, 2e5, "mol/m3"))
        if not self.upper - self.lower > 1.0:
            raise InputError(
                f"Curve.upper = {self.upper:g} mol/m3 must exceed Curve.lower = {self.lower:g}"
                " mol/m3 by more than 1"
            )
        width = self.upper - self.lower
        points = self.lower + width * np.linspace(0.013, 0.987, 23)
        step = 1e-6 * width
        values = np.asarray(self.function(points), dtype=np.float64)
        slopes = np.asarray(self.slope(points), dtype=np.float64)
        if values.shape != points.shape or slopes.shape != points.shape:
            raise InputError("Curve.function and Curve.slope must return one value per point")
        if not (np.isfinite(values).all() and np.isfinite(slopes).all()):
            raise InputError("Curve.function and Curve.slope must be finite between its bounds")
        difference = (self.function(points + step) - self.function(points - step)) / (2 * step)
        roundoff = 1e-15 * np.max(np.abs(values)) / step
        allowed = 1e-3 * np.max(np.abs(difference)) + roundoff
        worst = int(np.argmax(np.abs(difference - slopes)))
        if abs(difference[worst] - slopes[worst]) > allowed:
            raise InputError(
                f"Curve.slope = {slopes[worst]:g} at {points[worst]:g} mol/m3, but Curve.function"
                f" changes there by {difference[worst]:g} per mol/m3"
            )

    def value(self, concentration: Array) -> Array:
        """Return the property, shape as the concentration [mol/m3]."""
        return self.value_and_derivative(concentration)[0]

    def derivative(self, concentration: Array) -> Array:
        """Return the derivative of `value`, shape as the concentration [mol/m3]."""
        return self.slope(np.clip(concentration, self.lower, self.upper))

    def value_and_derivative(self, concentration: Array) -> tuple[Array, Array]:
        """Return the property and its derivative, each with the shape of the concentration."""
        inside = np.clip(concentration, self.lower, self.upper)
        slope = self.slope(inside)
        return self.function(inside) + slope * (concentration - inside), slope


@dataclass(frozen=True, kw_only=True, slots=True)
class Elasticity:
    """Isotropic linear elasticity.

    Raises:
        InputError: If a field is out of its bounds.
    """

    young_modulus: float  # 1 MPa (rubber) to 2 TPa [Pa]
    poisson_ratio: float  # above -1, below 0.5 [-]

    def __post_init__(self) -> None:
        """Check every field."""
        _check_bounds(self, young_modulus=(1e6, 2e12, "Pa"))
        check_number("Elasticity", "poisson_ratio", self.poisson_ratio, above=-1, below=0.5)

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


@dataclass(frozen=True, kw_only=True, slots=True)
class CrystalElasticity:
    """Linear elasticity of a crystal, given in its own axes.

    Raises:
        InputError: If the stiffness is not 6 x 6, symmetric and positive definite, or its
            eigenvalues are out of bounds.
    """

    stiffness: tuple[tuple[float, ...], ...]  # 6 x 6, Voigt order 11 22 33 23 13 12 [Pa]

    def __post_init__(self) -> None:
        """Check shape, symmetry and eigenvalues."""
        try:
            stiffness = np.array(self.stiffness, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError("CrystalElasticity.stiffness must be 6 x 6 numbers [Pa]") from error
        if stiffness.shape != (6, 6) or not np.isfinite(stiffness).all():
            raise InputError(
                "CrystalElasticity.stiffness must be 6 x 6 finite numbers [Pa], got shape"
                f" {stiffness.shape}"
            )
        unequal = np.max(np.abs(stiffness - stiffness.T)) / np.max(np.abs(stiffness), initial=1.0)
        if unequal > 1e-9:
            raise InputError(
                f"CrystalElasticity.stiffness is not symmetric: entries differ by {unequal:.3g} of"
                " the largest, 1e-9 is allowed"
            )
        eigenvalues = np.linalg.eigvalsh(stiffness)
        owner = "CrystalElasticity"
        for name, value in (("smallest", eigenvalues[0]), ("largest", eigenvalues[-1])):
            name = f"stiffness ({name} eigenvalue)"
            check_number(owner, name, float(value), lower=1e5, upper=1e13, unit="Pa")
        # a frozen copy made of tuples: an array given by the caller could still change
        object.__setattr__(self, "stiffness", tuple(map(tuple, stiffness.tolist())))

    def stiffness_matrix(self) -> Array:
        """Return the stiffness, (6, 6), Voigt order 11 22 33 23 13 12, engineering shear [Pa]."""
        return np.array(self.stiffness, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class ActiveMaterial:
    """The cathode active material: lithium transport, open-circuit voltage, expansion, elasticity.

    Crystal directions are [100], [010], [001]. The chemical strain of a grain whose crystal axes
    are the columns of Q is ``expansion(c) Q diag(expansion_ratio) Q^T``; it vanishes at the start.

    Raises:
        InputError: If a field is out of its bounds, or a curve contradicts the initial state.
    """

    initial_concentration: float  # lithium at the start [mol/m3]
    maximum_concentration: float  # lithium of the full host [mol/m3]
    diffusivity: tuple[float, float, float]  # along the crystal axes [m2/s]
    drift_volume: float  # partial molar volume in the stress drift, 0 for none [m3/mol]
    open_circuit_voltage: Curve  # against lithium metal [V]
    expansion: Curve  # chemical strain along [100] [-]
    expansion_ratio: tuple[float, float, float]  # strain along each axis over that along [100] [-]
    elasticity: Elasticity | CrystalElasticity

    def __post_init__(self) -> None:
        """Check every field."""
        owner = "ActiveMaterial"
        _check_bounds(self, maximum_concentration=(1e3, 2e5, "mol/m3"))
        full = self.maximum_concentration
        _check_bounds(
            self,
            initial_concentration=(1e-3 * full, full, "mol/m3"),
            drift_volume=(-1e-4, 1e-4, "m3/mol"),
        )
        _check_triple(owner, "diffusivity", self.diffusivity, lower=0, upper=1e-9, unit="m2/s")
        fastest = max(self.diffusivity)
        check_number(owner, "diffusivity (fastest)", fastest, lower=1e-19, unit="m2/s")
        _check_triple(owner, "expansion_ratio", self.expansion_ratio, lower=-100, upper=100)
        _check_type(owner, "open_circuit_voltage", self.open_circuit_voltage, Curve)
        _check_type(owner, "expansion", self.expansion, Curve)
        _check_type(owner, "elasticity", self.elasticity, Elasticity, CrystalElasticity)
        start = np.array([float(self.initial_concentration)])
        voltage = float(self.open_circuit_voltage.value(start)[0])
        check_number(owner, "open_circuit_voltage (initial)", voltage, lower=-1, upper=7, unit="V")
        strain = float(self.expansion.value(start)[0])
        check_number(owner, "expansion (initial, must vanish)", strain, lower=-1e-3, upper=1e-3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Conductor:
    """A homogenised matrix: the electrolyte-carbon domain (ecbd) or the separator (electrolyte).

    Raises:
        InputError: If a field is out of its bounds.
    """

    ionic_conductivity: float  # [S/m]
    electronic_conductivity: float  # [S/m]; 0 in the separator
    elasticity: Elasticity

    def __post_init__(self) -> None:
        """Check every field."""
        _check_bounds(
            self, ionic_conductivity=(1e-7, 1e3, "S/m"), electronic_conductivity=(0, 1e6, "S/m")
        )
        _check_type("Conductor", "elasticity", self.elasticity, Elasticity)


@dataclass(frozen=True, kw_only=True, slots=True)
class InsertionKinetics:
    """Butler-Volmer kinetics of insertion: i0 = F k sqrt(c (c_max - c)).

    Raises:
        InputError: If a field is out of its bounds.
    """

    rate_constant: float  # k [m/s]
    anodic_transfer: float  # transfer coefficient of the anodic branch, in (0, 1) [-]

    def __post_init__(self) -> None:
        """Check every field."""
        _check_bounds(self, rate_constant=(1e-14, 1e-4, "m/s"))
        _check_transfer(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class MetalKinetics:
    """Butler-Volmer kinetics of lithium metal: a constant exchange current.

    Raises:
        InputError: If a field is out of its bounds.
    """

    exchange_current: float  # [A/m2]
    anodic_transfer: float  # in (0, 1) [-]

    def __post_init__(self) -> None:
        """Check every field."""
        _check_bounds(self, exchange_current=(1e-3, 1e6, "A/m2"))
        _check_transfer(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactResistance:
    """Interface resistance that grows with the gap: R = closed exp(gap / decay_length).

    Raises:
        InputError: If a field is out of its bounds.
    """

    closed: float  # resistance at zero gap, 0 for none [ohm m2]
    decay_length: float  # gap over which it grows e-fold; inf: the gap does not matter [m]

    def __post_init__(self) -> None:
        """Check every field."""
        _check_bounds(self, closed=(0, 100, "ohm m2"))
        if self.decay_length != math.inf:
            _check_bounds(self, decay_length=(1e-10, 1e-5, "m"))


@dataclass(frozen=True, kw_only=True, slots=True)
class CohesiveLaw:
    """Bilinear traction-separation law with irreversible damage, mixed mode and contact.

    Onset: (<t_n>/normal_strength)^2 + (t_t/shear_strength)^2 = 1. Failure under mixed mode:
    ``power`` (power law) or ``benzeggagh_kenane``, each with ``mixed_mode_exponent``. An infinite
    strength with an infinite energy makes an interface that never fails.

    Raises:
        InputError: If a field is out of its bounds, or the interface would store at onset more
            energy than its failure takes (its traction could not fall with the opening).
    """

    normal_strength: float  # [Pa]
    shear_strength: float  # [Pa]
    normal_fracture_energy: float  # mode I [J/m2]
    shear_fracture_energy: float  # mode II [J/m2]
    stiffness: float  # penalty stiffness of the intact interface [Pa/m]
    mixed_mode: str = "power"  # "power" or "benzeggagh_kenane"
    mixed_mode_exponent: float = 1.0  # 1 to 10 [-]
    viscosity: float = 0.0  # traction per opening rate, a regularisation [Pa s/m]

    def __post_init__(self) -> None:
        """Check every field, then that the law softens for every mode mix."""
        finite = {
            name: bounds
            for name, bounds in COHESIVE_BOUNDS.items()
            if getattr(self, name) != math.inf
        }
        _check_bounds(
            self,
            **finite,
            stiffness=(1e9, 1e22, "Pa/m"),
            mixed_mode_exponent=(1, 10, ""),  # below 1 the law need not soften
            viscosity=(0, 1e20, "Pa s/m"),
        )
        if self.mixed_mode not in MIXED_MODE_LAWS:
            raise InputError(
                f"CohesiveLaw.mixed_mode = {self.mixed_mode!r} is none of {MIXED_MODE_LAWS}"
            )
        for mode in ("normal", "shear"):
            self._check_softening(mode)
        if self.mixed_mode == "benzeggagh_kenane":
            self._check_mixed_softening()

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Materials:
    """A complete parameter set of a half-cell.

    Raises:
        InputError: If a field is out of its bounds or of the wrong kind.
    """

    active: ActiveMaterial
    ecbd: Conductor
    electrolyte: Conductor
    kinetics: InsertionKinetics
    resistance: ContactResistance
    cohesive: CohesiveLaw
    anode: MetalKinetics
    temperature: float = 298.15  # [K]

    def __post_init__(self) -> None:
        """Check the kinds and the temperature."""
        for name, kind in (
            ("active", ActiveMaterial),
            ("ecbd", Conductor),
            ("electrolyte", Conductor),
            ("kinetics", InsertionKinetics),
            ("resistance", ContactResistance),
            ("cohesive", CohesiveLaw),
            ("anode", MetalKinetics),
        ):
            _check_type("Materials", name, getattr(self, name), kind)
        _check_bounds(self, temperature=(150, 600, "K"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Solid:
    """What is known of one material by itself; None where no trustworthy value is known.

    Raises:
        InputError: If a field is out of its bounds.
    """

    name: str
    density: float  # [kg/m3]
    elasticity: Elasticity | None = None
    yield_strength: float | None = None  # [Pa]
    hardness: float | None = None  # [Pa]
    fracture_toughness: float | None = None  # mode I [Pa m^0.5]
    ionic_conductivity: float | None = None  # [S/m]
    electronic_conductivity: float | None = None  # [S/m]
    maximum_concentration: float | None = None  # lithium of the full host [mol/m3]
    diffusivity: float | None = None  # of lithium [m2/s]
    exchange_current: float | None = None  # of insertion, half full, liquid electrolyte [A/m2]
    lithium_molar_volume: float | None = None  # volume gained with a mole of lithium [m3/mol]
    charged_volume_change: float | None = None  # relative, from full to charged [-]
    specific_capacity: float | None = None  # [C/kg]

    def __post_init__(self) -> None:
        """Check every field that is given."""
        if not isinstance(self.name, str) or not self.name:
            raise InputError(f"Solid.name must be a word, got {self.name!r}")
        if self.elasticity is not None:
            _check_type("Solid", "elasticity", self.elasticity, Elasticity)
        _check_bounds(self, density=(50, 3e4, "kg/m3"))
        _check_bounds(
            self,
            **{name: b for name, b in SOLID_BOUNDS.items() if getattr(self, name) is not None},
        )


SOLID_BOUNDS = {
    "yield_strength": (1e4, 1e11, "Pa"),
    "hardness": (1e4, 2e11, "Pa"),
    "fracture_toughness": (1e3, 1e9, "Pa m^0.5"),
    "ionic_conductivity": (0, 1e3, "S/m"),
    "electronic_conductivity": (0, 1e9, "S/m"),
    "maximum_concentration": (1e3, 2e5, "mol/m3"),
    "diffusivity": (1e-19, 1e-9, "m2/s"),
    "exchange_current": (1e-3, 1e6, "A/m2"),
    "lithium_molar_volume": (-1e-4, 1e-4, "m3/mol"),
    "charged_volume_change": (-0.9, 9, ""),
    "specific_capacity": (1e4, 2e7, "C/kg"),
}


def _check_bounds(owner: object, **bounds: tuple[float, float, str]) -> None:
    """Check that each named field is a number within (lower, upper) [unit], bounds included."""
    for name, (lower, upper, unit) in bounds.items():
        value = getattr(owner, name)
        check_number(type(owner).__name__, name, value, lower=lower, upper=upper, unit=unit)


def _check_type(owner: str, name: str, value: object, *kinds: type) -> None:
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise InputError(f"{owner}.{name} must be {wanted}, got {value!r}")


def _check_triple(
    owner: str, name: str, values: object, *, lower: float, upper: float, unit: str = ""
) -> None:
    if not isinstance(values, tuple) or len(values) != 3:
        raise InputError(f"{owner}.{name} must be a tuple of 3 numbers, got {values!r}")
    for axis, value in zip(("100", "010", "001"), values, strict=True):
        check_number(owner, f"{name} along [{axis}]", value, lower=lower, upper=upper, unit=unit)


def _check_transfer(owner: InsertionKinetics | MetalKinetics) -> None:
    name = type(owner).__name__
    check_number(name, "anodic_transfer", owner.anodic_transfer, above=0, below=1)

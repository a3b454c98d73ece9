"""Frozen descriptions of what a half-cell is made of; no equation is solved here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A material property as a function of lithium concentration, with its slope.

    Outside ``[lower, upper]`` the curve goes on along its tangent, so that a small overshoot of the
    concentration meets a smooth, finite value instead of a pole.
    """

    function: Callable[[Array], Array]  # concentration [mol/m3] -> property
    slope: Callable[[Array], Array]  # concentration [mol/m3] -> derivative of the property
    lower: float  # smallest concentration at which the function holds [mol/m3]
    upper: float  # largest concentration at which the function holds [mol/m3]

    def value(self, concentration: Array) -> Array:
        """Return the property, shape as the concentration [mol/m3]."""
        inside = np.clip(concentration, self.lower, self.upper)
        return self.function(inside) + self.slope(inside) * (concentration - inside)

    def derivative(self, concentration: Array) -> Array:
        """Return the derivative of `value`, shape as the concentration [mol/m3]."""
        return self.slope(np.clip(concentration, self.lower, self.upper))


@dataclass(frozen=True, kw_only=True, slots=True)
class Elasticity:
    """Isotropic linear elasticity."""

    young_modulus: float  # [Pa]
    poisson_ratio: float  # [-]


@dataclass(frozen=True, kw_only=True, slots=True)
class CrystalElasticity:
    """Linear elasticity of a crystal, given in its own axes."""

    stiffness: tuple[tuple[float, ...], ...]  # 6 x 6, Voigt order 11 22 33 23 13 12 [Pa]


@dataclass(frozen=True, kw_only=True, slots=True)
class ActiveMaterial:
    """The cathode active material: lithium transport, open-circuit voltage, expansion, elasticity.

    Crystal directions are [100], [010], [001]. The chemical strain of a grain whose crystal axes are
    the columns of Q is ``expansion(c) Q diag(expansion_ratio) Q^T``; it is zero in the initial state.
    """

    initial_concentration: float  # lithium at the start [mol/m3]
    maximum_concentration: float  # lithium of the full host [mol/m3]
    diffusivity: tuple[float, float, float]  # along the crystal axes [m2/s]
    drift_volume: float  # partial molar volume in the stress drift [m3/mol]
    open_circuit_voltage: Curve  # against lithium metal [V]
    expansion: Curve  # chemical strain along [100] [-]
    expansion_ratio: tuple[float, float, float]  # strain along each axis over that along [100] [-]
    elasticity: Elasticity | CrystalElasticity


@dataclass(frozen=True, kw_only=True, slots=True)
class Conductor:
    """A homogenised matrix: the electrolyte-carbon domain (ecbd) or the separator (electrolyte)."""

    ionic_conductivity: float  # [S/m]
    electronic_conductivity: float  # [S/m]; 0 in the separator
    elasticity: Elasticity


@dataclass(frozen=True, kw_only=True, slots=True)
class InsertionKinetics:
    """Butler-Volmer kinetics of insertion: i0 = F k sqrt(c (c_max - c))."""

    rate_constant: float  # k [m/s]
    anodic_transfer: float  # transfer coefficient of the anodic branch [-]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetalKinetics:
    """Butler-Volmer kinetics of lithium metal: a constant exchange current."""

    exchange_current: float  # [A/m2]
    anodic_transfer: float  # [-]


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactResistance:
    """Interface resistance that grows with the gap: R = closed exp(gap / decay_length)."""

    closed: float  # resistance at zero gap [ohm m2]
    decay_length: float  # gap over which it grows e-fold [m]


@dataclass(frozen=True, kw_only=True, slots=True)
class CohesiveLaw:
    """Bilinear traction-separation law with irreversible damage, mixed mode and contact.

    Onset: (<t_n>/normal_strength)^2 + (t_t/shear_strength)^2 = 1. Failure under mixed mode:
    ``power`` (power law) or ``benzeggagh_kenane``, each with ``mixed_mode_exponent``.
    """

    normal_strength: float  # [Pa]
    shear_strength: float  # [Pa]
    normal_fracture_energy: float  # mode I [J/m2]
    shear_fracture_energy: float  # mode II [J/m2]
    stiffness: float  # penalty stiffness of the intact interface [Pa/m]
    mixed_mode: str = "power"  # "power" or "benzeggagh_kenane"
    mixed_mode_exponent: float = 1.0  # [-]
    viscosity: float = 0.0  # traction per opening rate, a regularisation [Pa s/m]


@dataclass(frozen=True, kw_only=True, slots=True)
class Materials:
    """A complete parameter set of a half-cell."""

    active: ActiveMaterial
    ecbd: Conductor
    electrolyte: Conductor
    kinetics: InsertionKinetics
    resistance: ContactResistance
    cohesive: CohesiveLaw
    anode: MetalKinetics
    temperature: float = 298.15  # [K]

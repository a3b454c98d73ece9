"""Laws of surfaces: kinetics, resistance of a gap, cohesion, and where each acts."""

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from femssb.description import description, field
from femssb.errors import InputError, check_number
from femssb.inputs.curves import Curve
from femssb.inputs.grain_values import GrainValues, of_grains

IN_ZONE = 3  # elements that resolve the length over which a crack breaks


def activation(of: str) -> Any:
    """Return the field of an activation energy: 0 where the temperature does not matter."""
    return field(
        f"of Arrhenius' law of {of}; 0: the temperature does not matter",
        unit="J/mol",
        lower=0,
        upper=3e5,
        default=0.0,
    )


@description
class InsertionKinetics:
    """Butler-Volmer kinetics of insertion: i0 = F k f(c) sqrt(c (c_max - c))."""

    rate_constant: float = field("k", unit="m/s", lower=1e-14, upper=1e-4)
    rate_factor: Curve | None = field(
        "f at a concentration, 1e-6 to 1e6, where the exchange current is another function of"
        " lithium; None: 1",
        default=None,
    )
    anodic_transfer: float = field(
        "transfer coefficient of the anodic branch", lower=1e-6, upper=1 - 1e-6
    )
    activation_energy: float = activation("k")


@description
class MetalKinetics:
    """Butler-Volmer kinetics of lithium metal: a constant exchange current."""

    exchange_current: float = field("exchange current", unit="A/m2", lower=1e-3, upper=1e6)
    anodic_transfer: float = field(
        "transfer coefficient of the anodic branch", lower=1e-6, upper=1 - 1e-6
    )
    activation_energy: float = activation("the exchange current")


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
    activation_energy: float = activation("its conductance, the inverse")


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

    def zone(self, modulus: float) -> float:
        """Return the length over which a crack breaks, between solids of a Young's modulus [m].

        E G / strength^2, of the mode in which it is shorter; inf where nothing fails. Elements
        resolve a crack where three of them span it.

        Args:
            modulus: Young's modulus E [Pa]; of two solids their harmonic mean.

        Raises:
            InputError: If the modulus is not a positive number.

        Source: Turon et al. 2007, doi:10.1016/j.engfracmech.2006.08.025 (of the models they
        compare, that of Hillerborg).
        """
        check_number("CohesiveLaw.zone", "modulus", modulus, above=0, upper=1e13, unit="Pa")
        energies = self.normal_fracture_energy, self.shear_fracture_energy
        strengths = self.normal_strength, self.shear_strength
        return min(
            modulus * energy / strength**2 if energy < math.inf else math.inf
            for energy, strength in zip(energies, strengths, strict=True)
        )

    def resolved_by(self, size: float, modulus: float) -> "CohesiveLaw":
        """Return the law with strengths that elements of a size resolve; energies stay.

        Strengths are lowered where three elements are longer than the `zone`. That changes when an
        interface lets go and how much of it fails; `docs/accuracy.md` says by how much.

        Args:
            size: Of the facets of the surface, which may be a tenth above that of the mesh [m].
            modulus: Young's modulus [Pa]; of two solids their harmonic mean.

        Raises:
            InputError: If one is not a positive number, or the strengths would be out of bounds.

        Source: Turon et al. 2007, doi:10.1016/j.engfracmech.2006.08.025.
        """
        check_number("CohesiveLaw.resolved_by", "size", size, above=0, upper=1e-2, unit="m")
        share = min(1.0, math.sqrt(self.zone(modulus) / (IN_ZONE * size)))
        strengths = share * self.normal_strength, share * self.shear_strength
        return replace(self, normal_strength=strengths[0], shear_strength=strengths[1])

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
    permeability_activation_energy: float = activation("the permeability")
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
        InputError: If the resistance to electrons is below 1e-12 ohm m2, or a boundary that cannot
            break is to be wetted or to differ in strength.
    """

    cohesive: CohesiveLaw | None = field(
        "cohesion of the grains; None, or with infinite strengths: they are bonded", default=None
    )
    strength_of_grains: GrainValues | None = of_grains(
        "the strengths, and its square on the fracture energies: a boundary has that of the weaker"
        " of its two grains"
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
    permeability_activation_energy: float = activation("a finite permeability")
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
    wetting_opening: float | None = field(
        "opening beyond which liquid electrolyte enters, and lithium is inserted at both faces as"
        " at the surface of the particle: more and more until twice that; None: it never does",
        unit="m",
        lower=1e-10,
        upper=1e-5,
        default=None,
    )

    def __post_init__(self) -> None:
        """Check that what is wetted can open, and that no resistance vanishes."""
        if self.wetting_opening is not None and not (self.cohesive and self.cohesive.breakable):
            raise InputError(
                f"GrainBoundaries.wetting_opening = {self.wetting_opening:g} m needs a cohesive law"
                " of finite strength: without it no boundary opens"
            )
        if self.strength_of_grains is not None and not (self.cohesive and self.cohesive.breakable):
            raise InputError(
                "GrainBoundaries.strength_of_grains needs a cohesive law of finite strength"
            )
        if self.resistance is not None:
            check_number(
                "GrainBoundaries.resistance",
                "closed",
                self.resistance.closed,
                lower=1e-12,
                unit="ohm m2",
            )

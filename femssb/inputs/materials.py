"""Frozen descriptions of the materials of a half-cell; no equation is solved here.

Every field is checked when it is given, also by `dataclasses.replace`: bounds are wide enough for
any real material, and narrow enough that a value a million times off (a modulus in MPa, a length in
um) is refused by name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.errors import InputError, check_number
from femssb.inputs.curves import Curve
from femssb.inputs.elasticity import CrystalElasticity, Elasticity
from femssb.inputs.grain_values import GrainValues, of_grains
from femssb.inputs.interfaces import (
    CohesiveLaw,
    ContactResistance,
    GrainBoundaries,
    InsertionKinetics,
    MetalKinetics,
    ParticleContacts,
    activation,
)
from femssb.units import GAS_CONSTANT

MOST_STRAIN = 0.3  # chemical, along any axis: far beyond what small strains stand for


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
    diffusivity_activation_energy: float = activation("the diffusivity")
    diffusivity_of_grains: GrainValues | None = of_grains("the diffusivity")
    drift_volume: float | None = field(
        "partial molar volume in stress drift, 0 for none; None: that which the whole stress sees,"
        " by the chemical strain along each crystal axis and by the stiffness factor",
        unit="m3/mol",
        lower=-1e-4,
        upper=1e-4,
    )
    open_circuit_voltage: Curve = field("voltage against lithium metal [V]")
    entropic_coefficient: Curve | None = field(
        "rise of that voltage with the temperature [V/K], -0.01 to 0.01; None: it has none",
        default=None,
    )
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
    stiffness_of_grains: GrainValues | None = of_grains("the stiffness")
    electronic_conductivity: float = field(
        "of electrons within particles, at least 1e-9; 0: they come from the ecbd at any place of"
        " the surface",
        unit="S/m",
        lower=0,
        upper=1e6,
        default=0.0,
    )
    electronic_activation_energy: float = activation("the electronic conductivity")

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
        if self.entropic_coefficient is not None:
            rises = self.entropic_coefficient.value(at)
            for name, rise in (("smallest", rises.min()), ("largest", rises.max())):
                check(f"entropic_coefficient ({name})", rise, -0.01, 0.01, "V/K")
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
class ActivePhase:
    """An active material of some of the particles, and the reaction at their surface."""

    active: ActiveMaterial = field("active material")
    kinetics: InsertionKinetics = field("reaction between particle and electrolyte")


@description
class Conductor:
    """A homogenised matrix: the electrolyte-carbon domain (ecbd) or the separator (electrolyte)."""

    ionic_conductivity: float = field("conductivity of ions", unit="S/m", lower=1e-7, upper=1e3)
    ionic_activation_energy: float = activation("that of ions")
    electronic_conductivity: float = field(
        "of electrons, at least 1e-7 in the ecbd, or 0 where particles conduct them; in the"
        " separator a trace, taken as 0",
        unit="S/m",
        lower=0,
        upper=1e6,
    )
    electronic_activation_energy: float = activation("that of electrons")
    elasticity: Elasticity = field("elasticity of the matrix")


@description
class Materials:
    """A complete parameter set of a half-cell.

    Electrons move where a material conducts them: in the ecbd, in the particles, or in both.

    All particles are of `active`, with the reaction `kinetics`, but those that `others` name: by
    what the geometry calls their material (`Polycrystal.material`) or by their own name,
    ``particle_2``, as results count them from 1. Contact resistance and cohesion are those of all;
    lithium passes no contact of particles of different materials.

    All values are those at the reference temperature. At another one (`at`), what has an activation
    energy E follows Arrhenius' law, exp(E/R (1/T_ref - 1/T)), and the open-circuit voltage its
    entropic coefficient, (T - T_ref) dU/dT. Elasticity, strain and cohesion stay as they are.

    Raises:
        InputError: If neither ecbd nor particles conduct electrons, particles of some materials do
            and of others do not, the separator does, or a resistance is missing that they must
            pass; if the factor on k leaves 1e-6 to 1e6.
    """

    active: ActiveMaterial = field("active material of the particles")
    ecbd: Conductor = field("electrolyte-carbon domain around the particles")
    electrolyte: Conductor = field("separator")
    kinetics: InsertionKinetics = field("reaction between particle and electrolyte")
    resistance: ContactResistance = field("contact resistance between particle and electrolyte")
    cohesive: CohesiveLaw = field("cohesion of particle and electrolyte")
    anode: MetalKinetics = field("reaction of the lithium anode")
    temperature: float = field(
        "of the cell, the same everywhere", unit="K", lower=150, upper=600, default=298.15
    )
    reference_temperature: float = field(
        "at which all values are given", unit="K", lower=150, upper=600, default=298.15
    )
    contacts: ParticleContacts | None = field(
        "laws of particles that touch, or that conduct electrons", default=None
    )
    grain_boundaries: GrainBoundaries | None = field(
        "laws of grains of one particle that meet; None: they are bonded", default=None
    )
    others: Mapping[str, ActivePhase] = field(
        "active materials of further particles, by name; * and ? stand for any letters",
        default_factory=dict,
    )

    def __post_init__(self) -> None:
        """Check that electrons have a way to the particles, but not to the anode."""
        in_particles = self.active.electronic_conductivity > 0
        for name, phase in zip(("", *self.others), self.phases, strict=True):
            owner = f"Materials.others[{name!r}]" if name else "Materials"
            self._check_rates(f"{owner}.kinetics", phase)
            if (phase.active.electronic_conductivity > 0) != in_particles:
                raise InputError(
                    f"{owner}.active.electronic_conductivity ="
                    f" {phase.active.electronic_conductivity:g} S/m, but that of Materials.active"
                    f" is {self.active.electronic_conductivity:g} S/m: particles of all materials"
                    " must conduct electrons, or none"
                )
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

    @staticmethod
    def _check_rates(owner: str, phase: ActivePhase) -> None:
        if (curve := phase.kinetics.rate_factor) is not None:
            factors = curve.value(np.linspace(0.0, phase.active.maximum_concentration, 2001))
            for name, factor in (("smallest", factors.min()), ("largest", factors.max())):
                check_number(owner, f"rate_factor ({name})", factor, lower=1e-6, upper=1e6)

    @property
    def phases(self) -> tuple[ActivePhase, ...]:
        """The active materials with their reactions, the first one before the others."""
        return ActivePhase(active=self.active, kinetics=self.kinetics), *self.others.values()

    @checked
    def with_phases(self, phases: Sequence[ActivePhase]) -> Self:
        """Return these materials with other active materials.

        Args:
            phases: As many as there are `phases`, in their order.

        Raises:
            InputError: If they are more or fewer.
        """
        if len(phases) != 1 + len(self.others):
            raise InputError(
                f"Materials.with_phases: phases must hold {1 + len(self.others)} active materials,"
                f" not {len(phases)}"
            )
        first, *others = phases
        named = dict(zip(self.others, others, strict=True))
        return replace(self, active=first.active, kinetics=first.kinetics, others=named)

    @checked
    def starting_at(self, voltage: float) -> Self:
        """Return these materials with the lithium at which all particles rest at a voltage.

        Args:
            voltage: Against lithium metal [V].

        Raises:
            InputError: If the open-circuit voltage of one of them is never so high, or so low.
        """
        return self.with_phases(
            [replace(phase, active=phase.active.starting_at(voltage)) for phase in self.phases]
        )

    @checked
    def at(self, temperature: float) -> Self:
        """Return these materials with their values at a temperature, which is their reference then.

        Args:
            temperature: [K].

        Raises:
            InputError: If it is out of bounds, or a value is at that temperature.
        """
        check_number("Materials.at", "temperature", temperature, lower=150, upper=600, unit="K")
        try:
            return self._at(temperature)
        except InputError as error:
            raise InputError(f"Materials at {temperature:g} K: {error}") from error

    def _at(self, temperature: float) -> Self:
        reference = self.reference_temperature

        def times(energy: float) -> float:
            return math.exp(energy / GAS_CONSTANT * (1 / reference - 1 / temperature))

        def of_conductor(given: Conductor) -> Conductor:
            return replace(
                given,
                ionic_conductivity=given.ionic_conductivity * times(given.ionic_activation_energy),
                electronic_conductivity=given.electronic_conductivity
                * times(given.electronic_activation_energy),
            )

        def of_resistance(given: ContactResistance) -> ContactResistance:
            return replace(given, closed=given.closed / times(given.activation_energy))

        def of_passage[Given: (ParticleContacts, GrainBoundaries)](given: Given) -> Given:
            passes = given.permeability * times(given.permeability_activation_energy)
            resistance = given.resistance and of_resistance(given.resistance)
            return replace(given, permeability=passes, resistance=resistance)

        def of_active(active: ActiveMaterial) -> ActiveMaterial:
            faster = times(active.diffusivity_activation_energy)
            x, y, z = active.diffusivity
            voltage, entropy = active.open_circuit_voltage, active.entropic_coefficient
            if entropy is not None and temperature != reference:
                voltage = voltage.plus(entropy, temperature - reference)
            return replace(
                active,
                diffusivity=(faster * x, faster * y, faster * z),
                open_circuit_voltage=voltage,
                electronic_conductivity=active.electronic_conductivity
                * times(active.electronic_activation_energy),
            )

        def of_phase(given: ActivePhase) -> ActivePhase:
            rate = given.kinetics.rate_constant * times(given.kinetics.activation_energy)
            kinetics = replace(given.kinetics, rate_constant=rate)
            return ActivePhase(active=of_active(given.active), kinetics=kinetics)

        contacts = self.contacts and of_passage(self.contacts)
        if contacts is not None and contacts.carbon is not None:
            contacts = replace(contacts, carbon=of_resistance(contacts.carbon))
        return replace(
            self.with_phases([of_phase(phase) for phase in self.phases]),
            ecbd=of_conductor(self.ecbd),
            electrolyte=of_conductor(self.electrolyte),
            resistance=of_resistance(self.resistance),
            anode=replace(
                self.anode,
                exchange_current=self.anode.exchange_current * times(self.anode.activation_energy),
            ),
            contacts=contacts,
            grain_boundaries=self.grain_boundaries and of_passage(self.grain_boundaries),
            temperature=temperature,
            reference_temperature=temperature,
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

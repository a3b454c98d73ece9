"""Cathodes from BPX files, the exchange format of battery parameters (https://bpxstandard.com).

Of a whole cell with a liquid electrolyte a half-cell with a solid one takes the active material of
the positive electrode: lithium, open-circuit voltage, diffusivity and reaction. The rest of a set
comes from elsewhere; `Cathode.lacks` lists it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.errors import InputError, check_number, shown
from femssb.inputs.curves import Curve
from femssb.inputs.formula import Formula
from femssb.inputs.interfaces import InsertionKinetics, MetalKinetics, activation
from femssb.inputs.interpolation import ComplexStep
from femssb.inputs.materials import Materials

_REFERENCE = 298.15  # [K] assumed of a file that names none
_POINTS = 401  # assumed: of a curve that is made of several
_HIGHEST = 3e5  # [J/mol] assumed: of an activation energy, as of materials
_COLDEST, _HOTTEST = 150.0, 600.0  # [K] assumed: those of `Materials`
# What a half-cell needs besides the active material of a porous electrode.
LACKS = (
    "active.expansion", "active.drift_volume", "active.elasticity", "ecbd", "electrolyte",
    "resistance", "cohesive", "anode",
)  # fmt: skip


@description
class Cathode:
    """What a file or a set says of the active material of a positive electrode."""

    title: str = field("of the file, or name of the set")
    temperature: float = field("of the cell", unit="K", lower=_COLDEST, upper=_HOTTEST)
    reference_temperature: float = field(
        "that all values are for", unit="K", lower=_COLDEST, upper=_HOTTEST
    )
    maximum_concentration: float = field("lithium of the full host", unit="mol/m3", above=0)
    nominal_capacity: float = field(
        "lithium that 1C moves in an hour, of BPX between the outermost stoichiometries",
        unit="mol/m3",
        above=0,
    )
    initial_concentration: float = field(
        "lithium at the start, of BPX at the largest stoichiometry, the discharged cell",
        unit="mol/m3",
        above=0,
    )
    stress_free_concentration: float | None = field(
        "lithium at which there is no chemical strain; None: that at the start",
        above=0,
        default=None,
    )
    diffusivity: float = field("where it is largest", unit="m2/s", above=0)
    diffusivity_factor: Curve | None = field("on it, where it follows lithium", default=None)
    diffusivity_activation_energy: float = activation("the diffusivity")
    open_circuit_voltage: Curve = field("against lithium metal [V]")
    entropic_coefficient: Curve | None = field("its rise with the temperature [V/K]", default=None)
    rate_constant: float = field("k of `InsertionKinetics`", unit="m/s", above=0)
    rate_factor: Curve | None = field("on it, where it follows lithium", default=None)
    rate_activation_energy: float = activation("k")
    anode: MetalKinetics | None = field("reaction of lithium metal, if known", default=None)
    radius: float = field("of the particles", unit="m", above=0)
    lacks: tuple[str, ...] = field(
        "fields of `Materials` that a half-cell needs besides, and what is left out"
    )

    @checked
    def materials(self, base: Materials) -> Materials:
        """Return a set with these values in the place of those of another.

        The others are taken to the reference temperature of these. The chemical strain is taken as
        it is, in its own concentrations: replace ``active.expansion`` where that is of another
        host.

        Args:
            base: Gives what is lacking.

        Raises:
            InputError: If the two do not fit.
        """
        base = base.at(self.reference_temperature)
        active = replace(
            base.active,
            maximum_concentration=self.maximum_concentration,
            nominal_capacity=self.nominal_capacity,
            initial_concentration=self.initial_concentration,
            stress_free_concentration=self.stress_free_concentration or self.initial_concentration,
            diffusivity=(self.diffusivity,) * 3,
            diffusivity_factor=self.diffusivity_factor,
            diffusivity_activation_energy=self.diffusivity_activation_energy,
            open_circuit_voltage=self.open_circuit_voltage,
            entropic_coefficient=self.entropic_coefficient,
        )
        kinetics = InsertionKinetics(
            rate_constant=self.rate_constant,
            rate_factor=self.rate_factor,
            anodic_transfer=0.5,  # [-] assumed by BPX and PyBaMM
            activation_energy=self.rate_activation_energy,
        )
        return replace(
            base,
            active=active,
            kinetics=kinetics,
            anode=self.anode or base.anode,
            temperature=self.temperature,
        )


@checked
def read_bpx(
    path: str | os.PathLike[str],
    *,
    temperature: float | None = None,
    particle: str | None = None,
) -> Cathode:
    """Read the positive electrode of a BPX file, version 0.1 to 1.

    Values are those at the reference temperature of the file; its activation energies and its
    entropic coefficient say how they follow the temperature. BPX has i0 = F K sqrt(x (1 - x)) at
    the usual salt, so k = K/maximum concentration.

    Args:
        path: The JSON file.
        temperature: Of the cell [K]; None: the reference temperature.
        particle: Name of one active material of a blend.

    Raises:
        InputError: If the file cannot be read, is none, or has no such particle.
    """
    source = Path(path)
    said = _sections(source)
    electrode = _particle(source, said["electrode"], particle)
    reference = _number(source, said["cell"], "Reference temperature [K]", _REFERENCE)
    check_number(source.name, "Reference temperature", reference, lower=_COLDEST, upper=_HOTTEST)
    wanted = reference if temperature is None else temperature
    check_number("read_bpx", "temperature", wanted, lower=_COLDEST, upper=_HOTTEST)

    def number(name: str, default: float | None = None) -> float:
        return _number(source, electrode, name, default)

    def energy(name: str) -> float:
        value = number(f"{name} activation energy [J.mol-1]", 0)
        check_number(source.name, f"{name} activation energy", value, lower=0, upper=_HIGHEST)
        return value

    full = number("Maximum concentration [mol.m-3]")
    check_number(source.name, "Maximum concentration", full, above=0, unit="mol/m3")
    low, high = (number(f"{side} stoichiometry") for side in ("Minimum", "Maximum"))
    if not 0 <= low < high <= 1:
        raise InputError(f"{source.name}: stoichiometries from {low:g} to {high:g} are no range")
    reader = _Functions(source.name, electrode, full, low * full, high * full)
    entropic = "Entropic change coefficient [V.K-1]"
    diffusivity, factor = reader.scaled("Diffusivity [m2.s-1]")
    left_out = [name for name in ("OCP (delithiation) [V]", "OCP (lithiation) [V]")
                if name in electrode]  # fmt: skip
    return Cathode(
        title=said["title"],
        temperature=wanted,
        reference_temperature=reference,
        maximum_concentration=full,
        nominal_capacity=(high - low) * full,
        initial_concentration=high * full,
        diffusivity=diffusivity,
        diffusivity_factor=factor,
        diffusivity_activation_energy=energy("Diffusivity"),
        open_circuit_voltage=reader.curve("OCP [V]"),
        entropic_coefficient=reader.curve(entropic) if entropic in electrode else None,
        rate_constant=number("Reaction rate constant [mol.m-2.s-1]") / full,
        rate_activation_energy=energy("Reaction rate constant"),
        radius=number("Particle radius [m]"),
        lacks=(*LACKS, *(f"left out: {name}" for name in left_out)),
    )


@dataclass(frozen=True)
class _Functions:
    """Reads what may be a number, a formula of x or a table."""

    file: str
    section: Mapping[str, Any]
    full: float  # [mol/m3]
    lower: float  # of formulas [mol/m3]
    upper: float

    def curve(self, name: str) -> Curve:
        """Return a property as a curve."""
        given = self.section.get(name)
        try:
            if isinstance(given, str):
                function = Formula(text=given, maximum=self.full)
                slope = ComplexStep(function=function)
                return Curve(function=function, slope=slope, lower=self.lower, upper=self.upper)
            if isinstance(given, Mapping):
                x, y = (np.asarray(given[axis], dtype=np.float64) for axis in ("x", "y"))
                if x.ndim != 1 or x.shape != y.shape:
                    raise ValueError(f"x and y hold {x.shape} and {y.shape} numbers")
                inside = (x >= 0) & (x <= 1)
                return Curve.from_table(x[inside], y[inside], scale=self.full)
            value = _number(Path(self.file), self.section, name, None)
            return Curve.from_table(np.array([self.lower, self.upper]), np.full(2, value))
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            words = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
            raise InputError(f"{self.file}, {name}: {words}") from error

    def scaled(self, name: str) -> tuple[float, Curve | None]:
        """Return the largest value of a property, and it over that where it is not constant."""
        curve = self.curve(name)
        at = np.linspace(curve.lower, curve.upper, _POINTS)
        values: Array = curve.value(at)
        largest = float(values.max())
        check_number(self.file, f"{name} (smallest)", float(values.min()), above=0)
        if values.min() == largest:
            return largest, None
        return largest, Curve.from_table(at, values / largest)


def _sections(source: Path) -> dict[str, Any]:
    """Return title, cell and positive electrode of a file."""
    try:
        document = json.loads(source.read_text(encoding="utf-8-sig"))
        found = document["Parameterisation"]
        title = document.get("Header", {}).get("Title") or source.stem
        parts = {"cell": found.get("Cell", {}), "electrode": found["Positive electrode"]}
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{source} is no BPX file: {type(error).__name__} {error}") from error
    if not isinstance(title, str) or not all(isinstance(p, Mapping) for p in parts.values()):
        raise InputError(f"{source} is no BPX file: its sections are no tables")
    return {"title": title, **parts}


def _particle(source: Path, electrode: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    """Return the active material of an electrode, of a blend the one that is named."""
    blend = electrode.get("Particle")
    if blend is None:
        if name is not None:
            raise InputError(f"read_bpx.particle = {name!r}: {source.name} has one material only")
        return electrode
    if not isinstance(blend, Mapping) or name not in blend:
        names = list(blend) if isinstance(blend, Mapping) else shown(blend)
        raise InputError(f"read_bpx.particle = {name!r}: {source.name} is a blend of {names}")
    if not isinstance(blend[name], Mapping):
        raise InputError(f"{source.name}, Particle {name}: it is no table")
    found: Mapping[str, Any] = blend[name]
    return found


def _number(source: Path, section: Mapping[str, Any], name: str, default: float | None) -> float:
    value = section.get(name, default)
    if value is None:
        raise InputError(f"{source.name} has no {name!r}")
    check_number(source.name, name, value)
    return float(value)

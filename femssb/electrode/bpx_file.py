"""An electrode as a BPX file, the exchange format of battery parameters (https://bpxstandard.com).

BPX knows porous electrodes of spheres in an electrolyte, and two electrodes to a cell; a half-cell
is a partial parameterisation. What that cannot hold is listed. Keys and units: BPX 1.0.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from femssb.description import checked
from femssb.electrode.effective import Effective
from femssb.environment.files import replacing
from femssb.errors import InputError, check_number
from femssb.inputs.curves import Curve
from femssb.inputs.materials import ActiveMaterial, Materials
from femssb.units import cm2, hour

_POINTS = 401  # of a curve
_SALT = 1000.0  # [mol/m3] no such thing in a single-ion conductor: only that the format asks for it
_FAST = 1e-9  # [m2/s] likewise


@checked
def to_bpx(
    path: str | os.PathLike[str],
    electrode: Effective,
    materials: Materials,
    *,
    separator: float,
    area: float = 1 * cm2,
    title: str = "Half-cell from femssb",
) -> tuple[str, ...]:
    """Write an electrode and its materials as a BPX file, and return what that cannot hold.

    The active material has the surface that electrolyte touches, and the radius with which spheres
    of that surface have its volume: three times share over surface. Stoichiometries go from the
    initial one down by the nominal capacity, cut-offs are the voltages there. `library.read_bpx`
    reads the file.

    Args:
        path: The JSON file; one that is there is replaced.
        electrode: Of `electrode.effective`, from a packing or an image.
        materials: Active material, kinetics, electrolyte and temperature.
        separator: Its thickness [m].
        area: Of the electrode [m2].
        title: Of the file.

    Raises:
        InputError: If a value is out of bounds, no electrolyte touches the active material or leads
            through, or the file cannot be written.
    """
    check_number("to_bpx", "separator", separator, lower=1e-9, upper=1e-2, unit="m")
    check_number("to_bpx", "area", area, above=0, upper=1e4, unit="m2")
    if not (electrode.active_area > 0 and electrode.ionic.value > 0):
        raise InputError(
            f"to_bpx: {electrode.electrolyte!r} touches {electrode.active_area:g} m2/m3 of"
            f" {electrode.active!r} and conducts {electrode.ionic.value:g} S/m in the electrode"
        )
    if materials.others:
        raise InputError(
            f"to_bpx: Materials.others = {list(materials.others)}, but an electrode has one active"
            " material"
        )
    at = materials.at(materials.reference_temperature)
    active, electrolyte = at.active, at.electrolyte
    full = active.maximum_concentration
    high = active.initial_concentration / full
    low = max(high - active.capacity / full, 0.0)
    cut_offs = active.open_circuit_voltage.value(np.array([high, low]) * full)
    document = {
        "Header": {"BPX": "1.0.0", "Title": title, "Model": "Partial"},
        "Parameterisation": {
            "Cell": {
                "Electrode area [m2]": area,
                "Number of electrode pairs connected in parallel to make a cell": 1,
                "Lower voltage cut-off [V]": float(cut_offs[0]),
                "Upper voltage cut-off [V]": float(cut_offs[1]),
                "Nominal cell capacity [A.h]": electrode.areal_capacity(active) * area / hour,
                "Reference temperature [K]": at.temperature,
            },
            "Electrolyte": {
                "Cation transference number": 1.0,
                "Diffusivity [m2.s-1]": _FAST,
                "Conductivity [S.m-1]": electrolyte.ionic_conductivity,
                "Conductivity activation energy [J.mol-1]": electrolyte.ionic_activation_energy,
            },
            "Separator": {"Thickness [m]": separator, "Porosity": 1.0, "Transport efficiency": 1.0},
            "Positive electrode": {
                "Thickness [m]": electrode.thickness,
                "Porosity": electrode.shares[electrode.electrolyte],
                "Transport efficiency": electrode.ionic.value / electrolyte.ionic_conductivity,
                "Conductivity [S.m-1]": electrode.electronic.value,
                "Minimum stoichiometry": low,
                "Maximum stoichiometry": high,
                "Maximum concentration [mol.m-3]": full,
                "Particle radius [m]": 3 * electrode.shares[electrode.active]
                / electrode.active_area,
                "Surface area per unit volume [m-1]": electrode.active_area,
                **_active(active),
                "Reaction rate constant [mol.m-2.s-1]": at.kinetics.rate_constant * full,
                "Reaction rate constant activation energy [J.mol-1]": at.kinetics.activation_energy,
            },
            "User-defined": {
                "Lithium metal exchange-current density [A.m-2]": at.anode.exchange_current,
                "Positive electrode interface resistance [Ohm.m2]": at.resistance.closed,
            },
        },
        "State": {
            "Initial conditions": {
                "Initial state-of-charge": 0.0,  # at the largest stoichiometry
                "Initial temperature [K]": materials.temperature,
                "Initial electrolyte concentration [mol.m-3]": _SALT,
            },
            "Thermal environment": {"Ambient temperature [K]": materials.temperature},
        },
    }  # fmt: skip
    text = json.dumps(document, indent=1)
    with replacing(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return _left_out(materials)


def _active(active: ActiveMaterial) -> dict[str, Any]:
    """Return open-circuit voltage and diffusion."""
    full = active.maximum_concentration
    at = np.linspace(0.0, full, _POINTS)
    diffusivity: Any = float(np.mean(active.diffusivity))
    if active.diffusivity_factor is not None:
        values = active.diffusivities(at)[0].mean(axis=1)
        diffusivity = {"x": (at / full).tolist(), "y": values.tolist()}
    found = {
        "Diffusivity [m2.s-1]": diffusivity,
        "Diffusivity activation energy [J.mol-1]": active.diffusivity_activation_energy,
        "OCP [V]": _table(active.open_circuit_voltage, full),
    }
    if active.entropic_coefficient is not None:
        found["Entropic change coefficient [V.K-1]"] = _table(active.entropic_coefficient, full)
    return found


def _table(curve: Curve, full: float) -> dict[str, list[float]]:
    """Return points of a curve, where it holds."""
    at = np.linspace(curve.lower, min(curve.upper, full), _POINTS)
    return {"x": (at / full).tolist(), "y": curve.value(at).tolist()}


def _left_out(materials: Materials) -> tuple[str, ...]:
    """Return what a BPX file cannot hold of materials, in words."""
    active, kinetics = materials.active, materials.kinetics
    said = {
        "a negative electrode of lithium: the file is a partial parameterisation, and its exchange"
        " current is user-defined": True,
        "salt concentration and diffusivity of a single-ion conductor: they are made up, and"
        " without effect at a transference number of 1": True,
        "chemical strain, stress drift, elasticity and cohesion": True,
        "resistance of the interface, and its growth with the gap: at zero gap it is"
        " user-defined": materials.resistance.closed > 0,
        "diffusivities along the crystal axes: their mean is written": (
            len(set(active.diffusivity)) > 1
        ),
        "the factor on the diffusivity of each grain": active.diffusivity_of_grains is not None,
        "the factor on the rate constant": kinetics.rate_factor is not None,
        f"the transfer coefficient {kinetics.anodic_transfer:g}: BPX has 0.5": (
            kinetics.anodic_transfer != 0.5
        ),
        "activation energies of electrons, of lithium metal and of resistances": any(
            (
                active.electronic_activation_energy,
                materials.ecbd.electronic_activation_energy,
                materials.anode.activation_energy,
                materials.resistance.activation_energy,
            )
        ),
    }
    return tuple(words for words, so in said.items() if so)

"""Names of the quantities in results: what each means, and how an axis of a figure says it.

A name ends with its SI unit in brackets, as in PyBaMM: ``Voltage [V]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from femssb.errors import InputError
from femssb.units import GPa, mV, nA, nm, pmol

# Every column of a time series: one row per accepted time step, row 0 is the initial state.
COLUMNS = {
    "Time [s]": "time since the start of the run",
    "Step": "index of the protocol step, from 0",
    "C-rate": "current over the one that moves all the initial lithium in one hour",
    "Voltage [V]": "collector potential against the lithium anode",
    "Current [A]": "cell current, positive on discharge",
    "Step size [s]": "length of the time step that ends here",
    "Lithium [mol]": "lithium in all particles",
    "Mean gap [m]": "opening of the interface, mean over its area",
    "Maximum gap [m]": "opening of the interface, largest",
    "Debonded area fraction": "share of the interface whose damage is complete",
    "Mean interface voltage drop [V]": "current times interface resistance, mean over the area",
    "Maximum interface voltage drop [V]": "current times interface resistance, largest magnitude",
    "Maximum von Mises stress [Pa]": "in the particles; at grain edges it depends on the mesh",
    "99.9 % von Mises stress [Pa]": "exceeded in 0.1 % of the particle volume",
    "99 % von Mises stress [Pa]": "exceeded in 1 % of the particle volume",
    "Mean von Mises stress [Pa]": "mean over the particle volume",
    "Minimum volumetric strain [-]": "most negative in the particles; depends on the mesh",
    "0.1 % volumetric strain [-]": "0.1 % of the particle volume lies below",
    "1 % volumetric strain [-]": "1 % of the particle volume lies below",
    "Mean volumetric strain [-]": "mean over the particle volume",
    "Particle volume change [-]": "change of the particles' volume over the initial one",
    "Minimum concentration [mol/m3]": "lowest lithium concentration in the particles",
    "Maximum concentration [mol/m3]": "highest lithium concentration in the particles",
    "Lithium ledger error [-]": "lithium lost minus charge passed over F, over the initial lithium",
    "Interface current error [-]": "interface current minus applied current, over the 1C current",
    "Cohesive energy dissipated [J]": "by debonding, since the start",
    "Viscous energy dissipated [J]": "by the viscous regularisation of debonding, since the start",
    "Newton iterations": "of both problems in this time step",
    "Linear iterations": "GMRES iterations in this time step",
    "Coupling iterations": "between electrochemistry and mechanics in this time step",
}
# Beside these, one column of each kind per particle, "k" being its number, from 1. A cell with one
# particle has only the first kind: the others would repeat what stands above.
PARTICLE_COLUMNS = {
    "Lithium in particle k [mol]": "lithium in this particle",
    "Mean gap of particle k [m]": "opening of its interface, mean over the area of that",
    "Maximum gap of particle k [m]": "opening of its interface, largest",
    "Minimum volumetric strain of particle k [-]": "most negative in it; depends on the mesh",
    "0.1 % volumetric strain of particle k [-]": "0.1 % of its volume lies below",
    "Maximum von Mises stress of particle k [Pa]": "in it; at grain edges it depends on the mesh",
    "99 % von Mises stress of particle k [Pa]": "exceeded in 1 % of its volume",
}
_NUMBERED = re.compile(r"\bparticle [1-9]\d*\b")
# SI unit -> (unit on axes, what 1 of it is in SI): in particles of micrometres, these give figures
# without powers of ten.
_UNITS_ON_AXES = {
    "m": ("nm", nm),
    "mol": ("pmol", pmol),
    "Pa": ("GPa", GPa),
    "A": ("nA", nA),
    "J": ("pJ", 1e-12),
    "mol/m3": ("10³ mol m⁻³", 1e3),
}


def of_particle(name: str, number: int) -> str:
    """Return the name of a column of one particle.

    Args:
        name: A key of `PARTICLE_COLUMNS`.
        number: Of the particle, from 1.
    """
    return name.replace("particle k", f"particle {number}")


def check_columns(series: Mapping[str, Any]) -> None:
    """Check the names of the columns of a time series.

    Args:
        series: Column -> values.

    Raises:
        InputError: If one of `COLUMNS` is missing, none is of a particle, or one is unknown.
    """
    unknown = [name for name in series if name not in COLUMNS and not _is_of_particle(name)]
    missing = [name for name in COLUMNS if name not in series]
    if "Lithium in particle 1 [mol]" not in series:
        missing.append("Lithium in particle 1 [mol]")
    if missing or unknown:
        raise InputError(f"columns of the time series: missing {missing}, unknown {unknown}")


def on_axis(name: str) -> tuple[str, float]:
    """Return how the axis of a figure names a quantity, and what 1 on that axis is in SI.

    Args:
        name: Of a column or field, with its SI unit in brackets if it has one. That it is of
            particle "k" is left to the legend.
    """
    words, opening, rest = name.partition(" [")
    unit, scale = _UNITS_ON_AXES.get(rest.rstrip("]"), (rest.rstrip("]"), 1.0))
    if words.endswith("voltage drop"):
        unit, scale = "mV", mV
    elif "strain" in words or words.endswith("volume change"):
        unit, scale = "%", 0.01
    words = re.sub(r" (in|of) particle k\b", "", words)
    return (f"{words} [{unit}]" if opening else words), scale


def _is_of_particle(name: str) -> bool:
    kind, replaced = _NUMBERED.subn("particle k", name)
    return replaced == 1 and kind in PARTICLE_COLUMNS

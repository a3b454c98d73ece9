"""Every quantity in results, spelled once: its name, unit and meaning, and where it is shown.

A column or field is named by words and its SI unit in brackets, as in PyBaMM: ``Voltage [V]``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from femssb.description import checked
from femssb.errors import InputError, shown
from femssb.units import GPa, mV, nA, nm, pmol


@checked
@dataclass(frozen=True, slots=True)
class Quantity:
    """A column of the time series, or a field.

    Attributes:
        words: The name without its unit.
        unit: SI unit, "-" for a ratio, empty where the name has none.
        meaning: In words.
        key: Its key in the summary; empty where the summary leaves it out.
        read: What the summary takes: the values at the ends of charge and discharge, the value at
            the end of the run, the largest magnitude, or the sum over all rows.
        each: The word before "particle k" in the column of one particle; empty where there is none.
        shown: Unit on the axes of figures, where it is not the usual one of its SI unit.
    """

    words: str
    unit: str
    meaning: str
    key: str = ""
    read: Literal["ends", "last", "largest", "sum"] = "ends"
    each: Literal["of", "in", ""] = ""
    shown: str = ""

    @property
    def name(self) -> str:
        """Name of the column or field."""
        return f"{self.words} [{self.unit}]" if self.unit else self.words

    @property
    def of_each(self) -> str:
        """Name of the column of one particle, "k" being its number."""
        return self.name.replace(self.words, f"{self.words} {self.each} particle k")


# fmt: off
# Every column of a time series: one row per accepted time step, row 0 is the initial state.
SERIES = (
    Quantity("Time", "s", "time since the start of the run"),
    Quantity("Step", "", "index of the protocol step, from 0"),
    Quantity("C-rate", "", "magnitude of the current over that of 1C, which moves the nominal"
             " capacity in an hour"),
    Quantity("Voltage", "V", "collector potential against the lithium anode", "voltage"),
    Quantity("Current", "A", "cell current, positive on discharge"),
    Quantity("Discharge capacity", "C", "charge passed since the start, positive on discharge"),
    Quantity("Discharge capacity", "A.h", "the same in ampere hours"),
    Quantity("Temperature", "K", "of the cell, the same everywhere"),
    Quantity("Step size", "s", "length of the time step that ends here"),
    Quantity("Lithium", "mol", "lithium in the particles", "lithium", each="in"),
    Quantity("Mean gap", "m", "opening of the interface, area mean", "gap_mean", each="of"),
    Quantity("Maximum gap", "m", "opening of the interface, largest", "gap_max", each="of"),
    Quantity("Debonded area fraction", "",
             "share of the interface that has failed: all its fracture energy is spent",
             "debonded_fraction"),
    Quantity("Spent fracture energy", "-", "share of the interface's fracture energy, area mean",
             "fracture_energy_spent"),
    Quantity("Maximum penetration", "m", "overlap where the interface is pressed, largest",
             "penetration_max", "largest"),
    Quantity("Mean interface voltage drop", "V", "current times interface resistance, area mean",
             "voltage_drop_mean", shown="mV"),
    Quantity("Maximum interface voltage drop", "V",
             "current times interface resistance, largest magnitude",
             "voltage_drop_max", shown="mV"),
    Quantity("Maximum von Mises stress", "Pa", "in the particles; at grain edges mesh-dependent",
             "von_mises_max", each="of"),
    Quantity("99.9 % von Mises stress", "Pa", "exceeded in 0.1 % of the particle volume",
             "von_mises_p999"),
    Quantity("99 % von Mises stress", "Pa", "exceeded in 1 % of the particle volume",
             "von_mises_p99", each="of"),
    Quantity("Mean von Mises stress", "Pa", "mean over the particle volume", "von_mises_mean"),
    Quantity("Minimum volumetric strain", "-", "lowest in the particles; mesh-dependent",
             "volumetric_strain_min", each="of", shown="%"),
    Quantity("0.1 % volumetric strain", "-", "0.1 % of the particle volume lies below",
             "volumetric_strain_p001", each="of", shown="%"),
    Quantity("1 % volumetric strain", "-", "1 % of the particle volume lies below",
             "volumetric_strain_p01", shown="%"),
    Quantity("Mean volumetric strain", "-", "mean over the particle volume, from the stress-free"
             " state", "volumetric_strain_mean", shown="%"),
    Quantity("99 % volumetric strain", "-", "1 % of the particle volume lies above",
             "volumetric_strain_p99", shown="%"),
    Quantity("99.9 % volumetric strain", "-", "0.1 % of the particle volume lies above",
             "volumetric_strain_p999", shown="%"),
    Quantity("Maximum volumetric strain", "-", "highest in the particles; mesh-dependent",
             "volumetric_strain_max", shown="%"),
    Quantity("Particle volume change", "-",
             "change of the particles' volume over the one that is free of stress",
             "particle_volume_change", shown="%"),
    Quantity("Minimum concentration", "mol/m3", "lowest lithium concentration in the particles"),
    Quantity("Maximum concentration", "mol/m3", "highest lithium concentration in the particles"),
    Quantity("Concentration undershoot", "-",
             "by how much the lowest concentration is below 0, over the maximum",
             "concentration_undershoot", "largest"),
    Quantity("Concentration overshoot", "-",
             "by how much the highest concentration is above the maximum, over the maximum",
             "concentration_overshoot", "largest"),
    Quantity("Lithium ledger error", "-",
             "lithium lost minus charge passed over F, over the nominal capacity",
             "ledger_error", "largest"),
    Quantity("Interface current error", "-",
             "interface current minus applied current, over the 1C current",
             "interface_current_error", "largest"),
    # Voltage times current is the reversible power minus all losses.
    Quantity("Reversible power", "W",
             "current times the open-circuit voltage at the mean lithium, of each active material"
             " by itself, positive on discharge"),
    Quantity("Electronic loss", "W", "power lost to the resistance to electrons"),
    Quantity("Ionic loss", "W", "power lost to the resistance to ions"),
    Quantity("Activation loss", "W", "power lost to the reaction at the particles"),
    Quantity("Contact loss", "W",
             "power lost to contact resistances: of the reaction, between particles, to the"
             " collector"),
    Quantity("Concentration loss", "W",
             "power lost as the open-circuit voltage at the surface of the particles differs from"
             " that at their mean lithium"),
    Quantity("Anode loss", "W", "power lost to the reaction of the lithium anode"),
    Quantity("Power ledger error", "-",
             "voltage times current minus reversible power plus losses, over the sum of their"
             " magnitudes, and over 1e-4 of the power at 1C at least",
             "power_ledger_error", "largest"),
    Quantity("Cohesive energy dissipated", "J", "by debonding and cracks, since the start",
             "cohesive_energy_dissipated", "last"),
    Quantity("Viscous energy dissipated", "J",
             "by the viscous regularisation of debonding, since the start",
             "viscous_energy_dissipated", "last"),
    Quantity("Snap energy lost", "J",
             "elastic energy released where interface, contacts or grain boundaries let go by"
             " themselves, more than debonding and its regularisation took, since the start",
             "snap_energy_lost", "last"),
    Quantity("Step error", "-", "estimated error of the time step, over what is allowed"),
    Quantity("Newton iterations", "", "of both problems", "newton_iterations", "sum"),
    Quantity("Linear iterations", "", "of GMRES", "linear_iterations", "sum"),
    Quantity("Coupling iterations", "", "between electrochemistry and mechanics",
             "coupling_iterations", "sum"),
)
# Further columns where contacts of particles can open.
OF_CONTACTS = (
    Quantity("Mean contact gap", "m", "opening of the contacts of particles, area mean",
             "contact_gap_mean"),
    Quantity("Maximum contact gap", "m", "opening of the contacts of particles, largest",
             "contact_gap_max"),
    Quantity("Failed contact area fraction", "", "share of the contacts of particles that has"
             " failed: all its fracture energy is spent", "contact_failed_fraction"),
)
# Further columns where grain boundaries can break.
OF_CRACKS = (
    Quantity("Mean crack opening", "m", "opening of the grain boundaries, area mean",
             "crack_opening_mean"),
    Quantity("Maximum crack opening", "m", "opening of the grain boundaries, largest",
             "crack_opening_max"),
    Quantity("Cracked area", "m2", "area of the grain boundaries that have failed: all their"
             " fracture energy is spent", "cracked_area"),
    Quantity("Cracked area fraction", "", "share of the grain boundaries that has failed",
             "cracked_fraction"),
    Quantity("Spent boundary energy", "-", "share of the fracture energy of the grain boundaries,"
             " area mean", "boundary_energy_spent"),
    Quantity("Crack density", "1/m", "cracked area over the volume of the particles",
             "crack_density"),
    Quantity("Crack energy dissipated", "J", "that part of the cohesive energy which grain"
             " boundaries took, since the start", "crack_energy_dissipated"),
    Quantity("Wetted crack area", "m2", "area of the grain boundaries that electrolyte has entered;"
             " both faces react", "crack_area_wetted"),
    Quantity("Crack face current", "A", "part of the current that passes the faces of wetted"
             " cracks", "crack_face_current"),
)
# Further columns where particles are of several active materials.
OF_BLENDS = (
    Quantity("Minimum stoichiometry", "-", "lowest lithium concentration over that of its full"
             " host"),
    Quantity("Maximum stoichiometry", "-", "highest lithium concentration over that of its full"
             " host"),
    Quantity("Lithium beyond curves", "-", "by how much a concentration is outside the range of the"
             " open-circuit voltage of its material, over the full host; the largest"),
)
# Column of each loss -> its name in figures, in the order in which they are stacked.
LOSSES = {
    "Electronic loss [W]": "electrons",
    "Ionic loss [W]": "ions",
    "Anode loss [W]": "anode",
    "Contact loss [W]": "contact",
    "Activation loss [W]": "activation",
    "Concentration loss [W]": "concentration",
}
# Every field of a snapshot. Tensors have the components xx yy zz yz xz xy; see `vtk_files`.
SNAPSHOT = (
    Quantity("Concentration", "mol/m3", "lithium in the particles"),
    Quantity("Displacement", "m", "vector"),
    Quantity("Hydrostatic stress", "Pa", "in the particles, tension positive"),
    Quantity("Von Mises stress", "Pa", "mean over each mesh cell"),
    Quantity("Volumetric strain", "-", "mean over each mesh cell", shown="%"),
    Quantity("Stress", "Pa", "tensor, mean over each mesh cell"),
    Quantity("Strain", "-", "tensor (not engineering shear), mean over each mesh cell", shown="%"),
    Quantity("Grain", "-", "index of the grain, from 0"),
    Quantity("Particle", "-", "index of the particle, from 0"),
    Quantity("Region", "-", "tag of the region outside the particles"),
    Quantity("Ionic potential", "V", "outside the particles, against the lithium anode"),
    Quantity("Electronic potential", "V", "where electrons move, else NaN"),
    Quantity("Gap", "m", "opening of the interface, or of grain boundaries"),
    Quantity("Spent fracture energy", "-",
             "share of the surface's fracture energy, from 0 to 1 where it has failed"),
    Quantity("Stiffness damage", "-",
             "share of the surface's stiffness that is lost, from 0 to 1; depends on stiffness"),
    Quantity("Normal traction", "Pa", "on the surface, tension positive"),
    Quantity("Shear traction", "Pa", "on the surface, magnitude"),
    Quantity("Interface current", "A/m2", "positive when lithium leaves the particles"),
    Quantity("Interface voltage drop", "V", "current times interface resistance", shown="mV"),
    Quantity("Contact current", "A/m2",
             "of electrons, positive out of the particle with the lower number"),
)
# fmt: on

_OF_SOME = (*OF_CONTACTS, *OF_CRACKS)
AT_ENDS = tuple(one for one in (*SERIES, *_OF_SOME) if one.key and one.read == "ends")
OF_RUN = tuple(one for one in SERIES if one.key and one.read != "ends")
# Name -> meaning of every column, and of every field.
COLUMNS = {one.name: one.meaning for one in SERIES}
FIELDS = {one.name: one.meaning for one in SNAPSHOT}
# The same of the columns of each particle, "k" being its number, from 1. A cell with one particle
# has only the first of them: the others would repeat what `COLUMNS` gives.
PARTICLE_COLUMNS = {one.of_each: f"{one.meaning}; this one alone" for one in SERIES if one.each}
CONTACT_COLUMNS = {one.name: one.meaning for one in OF_CONTACTS}
CRACK_COLUMNS = {one.name: one.meaning for one in OF_CRACKS}
BLEND_COLUMNS = {one.name: one.meaning for one in OF_BLENDS}
# Keys of quantities whose largest value in a cycle is among its numbers.
PEAKS = ("gap_mean", "gap_max", "von_mises_p99", "von_mises_p999")
# Key of `Solution.performance` -> meaning.
PERFORMANCE = {
    "rejected_steps": "time steps that were cut and tried again",
    "failed_steps": "those of them that could not be solved; the others had too large an error",
    "factorisations": "matrix factorisations",
    "wall_time": "wall time of the run [s]",
    "peak_memory": "largest resident memory, sum over ranks [byte]",
    "ranks": "MPI ranks",
}
# Key -> meaning of the numbers of a cycle. A half-cycle includes the holds that follow its current
# steps, its time leaves rests out.
CYCLE = {
    "charge_time": "time on charge [s]",
    "discharge_time": "time on discharge [s]",
    "charge_capacity": "charge passed on charge [C]",
    "discharge_capacity": "charge passed on discharge [C]",
    "charge_capacity_Ah": "charge passed on charge [A.h]",
    "discharge_capacity_Ah": "charge passed on discharge [A.h]",
    "charge_energy": "energy put in on charge [J]",
    "discharge_energy": "energy taken out on discharge [J]",
    "charge_voltage": "mean voltage on charge, energy over charge passed [V]",
    "discharge_voltage": "mean voltage on discharge, energy over charge passed [V]",
    "coulombic_efficiency": "charge passed on discharge over that on the charge before it [-]",
    "energy_efficiency": "energy taken out on discharge over that put in on the charge before it"
    " [-]",
    "discharge_over_charge_time": "time on discharge over that on the charge before it [-]",
    **{
        f"{one.key}_{half}_end": f"{one.name}, at the end of {half}: {one.meaning}"
        for half in ("charge", "discharge")
        for one in AT_ENDS
    },
    **{
        f"{one.key}_peak": f"{one.name}, largest in the cycle: {one.meaning}"
        for one in SERIES
        if one.key in PEAKS
    },
}
# Key -> meaning of everything in summary.json. A key that does not apply, or whose value is not
# finite, is null. Numbers of a cycle are those of the first; cycles.csv has those of each.
SUMMARY = {
    "cycles": "cycles with a charge and a discharge after it",
    "cycle": "number of the cycle that charge and discharge are of; a discharge before the first "
    "charge, cycle 0, stands in where none follows it",
    **CYCLE,
    "lithium_initial": "lithium in all particles at the start [mol]",
    **{one.key: f"{one.name}, {one.read} of the run: {one.meaning}" for one in OF_RUN},
    "simulated_time": "time at the last row [s]",
    "steps": "accepted time steps",
    **PERFORMANCE,
    "ended_by": "what ended each protocol step, in their order; see `StepRecord`",
    "warnings": "what cannot be trusted, a list of sentences; empty where nothing is known",
    "versions": "versions of femssb and of the packages it stands on",
}

# SI unit, or `Quantity.shown` -> (unit on axes, its value in SI): for particles of micrometres,
# these give figures without powers of ten.
_ON_AXES = {
    "m": ("nm", nm),
    "mol": ("pmol", pmol),
    "Pa": ("GPa", GPa),
    "A": ("nA", nA),
    "J": ("pJ", 1e-12),
    "W": ("nW", 1e-9),
    "C": ("µC", 1e-6),
    "A.h": ("pA h", 1e-12),
    "mol/m3": ("10³ mol m⁻³", 1e3),
    "mV": ("mV", mV),
    "%": ("%", 0.01),
}
_KNOWN = {one.name: one for one in (*SERIES, *OF_CONTACTS, *OF_CRACKS, *OF_BLENDS, *SNAPSHOT)}
_KNOWN |= {one.of_each: one for one in SERIES if one.each}


@checked
def of_particle(name: str, number: int) -> str:
    """Return the name of a column of one particle.

    Args:
        name: A key of `PARTICLE_COLUMNS`.
        number: Number of the particle, from 1.
    """
    return name.replace("particle k", f"particle {number}")


def check_fields(where: str, names: object) -> None:
    """Check names of fields.

    Raises:
        InputError: If they are no list of names, or one is that of no field.
    """
    if not isinstance(names, list | tuple):
        raise InputError(f"{where} must be a list of names of fields, got {shown(names)}")
    for name in names:
        if name not in FIELDS:
            raise InputError(f"{where} has {shown(name)}, which is none of {list(FIELDS)}")


def check_columns(series: Mapping[str, Any]) -> None:
    """Check the names of the columns of a time series.

    Args:
        series: Column -> values.

    Raises:
        InputError: If one of `COLUMNS` is missing, none is of a particle, or one is unknown.
    """
    for name in series:
        if not isinstance(name, str):
            raise InputError(f"columns of the time series: {shown(name)} is no name")
    needed = [*COLUMNS, "Lithium in particle 1 [mol]"]
    general = {name: re.sub(r"\bparticle [1-9]\d*\b", "particle k", name) for name in series}
    unknown = [
        name
        for name, kind in general.items()
        if name not in {**COLUMNS, **CONTACT_COLUMNS, **CRACK_COLUMNS, **BLEND_COLUMNS}
        and (kind == name or kind not in PARTICLE_COLUMNS)
    ]
    missing = [name for name in needed if name not in series]
    if missing or unknown:
        raise InputError(f"columns of the time series: missing {missing}, unknown {unknown}")


@checked
def on_axis(name: str) -> tuple[str, float]:
    """Return how the axis of a figure names a quantity, and the value in SI of 1 on that axis.

    Args:
        name: Name of a column or field. That it is of particle "k" is left to the legend.
    """
    words, _, unit = name.removesuffix("]").partition(" [")
    known = _KNOWN.get(name, Quantity(words, unit, ""))
    shown, scale = _ON_AXES.get(known.shown or known.unit, (known.unit, 1.0))
    return (f"{known.words} [{shown}]" if shown else known.words), scale

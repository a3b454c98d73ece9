"""NMC811 as measured beside NMC811 with one curve and a constant ratio: gap, stress and capacity.

Along a and c the lattice of NMC811 does not follow one curve: c grows on charge and collapses at
its end. Here a cycle with the measured curves stands beside one in which the strain along c is a
constant multiple of that along a, such that both give the same crystal at the end of the charge.
Teaches a chemical strain with a curve for each crystal axis, and a table of your own on a page::

    python demos/measured_crystal.py --size 1
    mpirun -n 8 python demos/measured_crystal.py --upper 4.5
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np

import femssb
from femssb import Charge, Discharge, library, plotting
from femssb.studies import HalfCellRun, Study, Table, perform
from femssb.units import GPa, nm, um

PANELS = ("Voltage [V]", "Mean gap [m]", "Mean von Mises stress [Pa]", "Particle volume change [-]")
NUMBERS = {  # key of the summary -> words, unit
    "charge_capacity": ("charge passed on charge [nC]", 1e-9),
    "gap_mean_charge_end": ("mean gap at charge end [nm]", nm),
    "gap_max_charge_end": ("largest gap at charge end [nm]", nm),
    "von_mises_mean_charge_end": ("mean von Mises stress at charge end [GPa]", GPa),
    "von_mises_p99_charge_end": ("99 % von Mises stress at charge end [GPa]", GPa),
    "gap_mean_discharge_end": ("mean gap at discharge end [nm]", nm),
    "particle_volume_change_charge_end": ("particle volume at charge end [%]", 0.01),
}


def constant_ratio(active, voltage):
    """Return a crystal that has the curve along a, and at a voltage the measured strain along c."""
    at = np.linspace(0.12, 0.97, 2001) * active.maximum_concentration
    charged = at[np.argmin(np.abs(active.open_circuit_voltage.value(at) - voltage))]
    along_a, _, along_c = active.chemical_strain(np.array([charged]))[:, 0]
    ratio = (1.0, 1.0, float(along_c / along_a))
    return replace(active, expansion=active.expansion[0], expansion_ratio=ratio)


def tables(runs):
    rows = [
        [words, *(f"{run.summary[key] / unit:.4g}" for run in runs.values())]
        for key, (words, unit) in NUMBERS.items()
    ]
    return [Table(["", *runs], rows)]


def main(
    size: Annotated[float, "um", "mesh size in the particle"] = 0.8 * um,
    upper: Annotated[float, "V", "voltage that ends the charge"] = 4.3,
    out: Annotated[str | Path, "folder for the results"] = "results/measured_crystal",
):
    measured = library.nmc811.materials()
    constant = replace(measured, active=constant_ratio(measured.active, upper))
    cycle = (Charge(c_rate=1, until_voltage=upper), Discharge(c_rate=1, until_voltage=3.0))
    cases = [
        HalfCellRun(name=name, materials=materials, protocol=cycle, size=size)
        for name, materials in (("measured", measured), ("constant ratio", constant))
    ]

    def figures(runs, folder):
        return plotting.compare(runs, PANELS, folder / "crystals.png")

    study = Study(name="crystals", title="NMC811", cases=cases, figures=figures, tables=tables)
    perform(study, out=out)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

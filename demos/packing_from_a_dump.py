"""From a dump of a DEM program to conductivities, and on to a cell of all its particles.

Teaches the way from elsewhere: a packing is read, what it conducts is measured on voxels, and its
particles of active material become a cell whose matrix conducts as much. The dump is in the format
of LIGGGHTS: 17 particles of NMC among 144 of a sulfide, pressed with 375 MPa and let go::

    python demos/packing_from_a_dump.py --dump demos/data/pressed.liggghts
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import femssb
from femssb import (
    Charge,
    Couplings,
    Model,
    ParticleContacts,
    ResolvedCell,
    Simulation,
    library,
    plotting,
)
from femssb import packing as packings
from femssb.electrode import effective
from femssb.units import um

DUMP = Path(__file__).parent / "data" / "pressed.liggghts"
SULFIDE = library.LI6PS5CL


def main(
    dump: Annotated[Path, "of LIGGGHTS, LAMMPS or another program that femssb reads"] = DUMP,
    carbon: Annotated[float, "electrons in the sulfide with its fine carbon [S/m]"] = 1.0,
    spacing: Annotated[float, "um", "of the voxels that measure conductivities"] = 0.5 * um,
    size: Annotated[float, "um", "mesh size in the cathode"] = 3 * um,
    c_rate: Annotated[float, "of the charge"] = 1.0,
    out: Annotated[Path, "folder for the results"] = Path("results/packing_from_a_dump"),
):
    pressed = packings.read(dump, phases={1: "AM", 2: "SE"})  # the types in the dump
    electrode = effective(
        pressed,
        ionic={"SE": SULFIDE.ionic_conductivity},
        electronic={"SE": carbon},
        elasticity={"SE": SULFIDE.elasticity},
        spacing=spacing,
    )
    cell = ResolvedCell.from_packing(pressed, active="AM", electrolyte="SE")
    data = femssb.mesh(cell, size=size)

    base = library.yuan2023.materials()
    contacts = ParticleContacts(resistance=base.resistance, carbon=base.resistance, collector=1e-4)
    found = electrode.conductor(data, replace(base, contacts=contacts))
    model = Model(data, found.materials, couplings=Couplings(debonding=False))  # all stay bonded
    charge = Charge(c_rate=c_rate, until_voltage=4.2)
    solution = Simulation(model, [charge]).run(out, resume="auto")
    if femssb.is_first_rank():
        print(pressed, electrode, cell.healing.report(), found, sep="\n\n")
        solution.report()
        plotting.cycle(solution, out)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

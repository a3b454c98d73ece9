"""Charge and discharge one polycrystalline NCM111 particle in LLZO at 1C.

Teaches the way from a shape to figures: half-cell, mesh, model, protocol, solution. The case is
that of Yuan, Lu and Xu (2023), Figure 2: a secondary particle of 53 grains shrinks on charge, its
interface with the stiff electrolyte opens, and does not close completely on discharge::

    mpirun -n 2 python demos/cycle_1C.py --size 0.8
"""

import sys
from pathlib import Path
from typing import Annotated

import femssb
from femssb import (
    Charge,
    Discharge,
    HalfCell,
    Model,
    Polycrystal,
    Simulation,
    library,
    mesh,
    plotting,
)
from femssb.units import um


def main(
    size: Annotated[float, "um", "mesh size in the particle"] = 0.5 * um,
    grains: Annotated[int, "number of grains, 1 to 200"] = 53,
    seed: Annotated[int, "seed of tessellation and orientations"] = 1,
    c_rate: Annotated[float, "C-rate of charge and discharge"] = 1.0,
    out: Annotated[str | Path, "folder for the results"] = "results/cycle_1C",
    pictures: Annotated[bool, "draw the figures"] = True,
    resume: Annotated[bool, "go on with a run that was stopped, if there is one"] = False,
    overwrite: Annotated[bool, "replace results that are in the folder"] = False,
):
    cell = HalfCell(
        width=15 * um,
        cathode=15 * um,
        separator=10 * um,
        particles=(Polycrystal(radius=5 * um, grains=grains, seed=seed),),
    )
    protocol = [
        Charge(c_rate=c_rate, until_voltage=4.3),
        Discharge(c_rate=c_rate, until_voltage=3.0),
    ]
    model = Model(mesh(cell, size=size), library.yuan2023.materials())
    simulation = Simulation(model, protocol)
    solution = simulation.run(out, resume="auto" if resume else False, overwrite=overwrite)
    solution.report()
    if pictures:
        plotting.cycle(solution, out)
    return solution


if __name__ == "__main__":
    sys.exit(femssb.command(main))

"""Charge and discharge one polycrystalline NCM111 particle in LLZO at 1C.

The case of Yuan, Lu and Xu (paper 002), Figure 2: a secondary particle of 53 grains shrinks on
charge, its interface with the stiff electrolyte opens, and does not close completely on discharge.
"""

import sys
from argparse import ArgumentDefaultsHelpFormatter

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
from femssb.environment.command import Parser, exit_code
from femssb.units import um


def main(
    size=0.5 * um,
    grains=53,
    seed=1,
    c_rate=1.0,
    out="results/cycle_1C",
    pictures=True,
    resume=False,
):
    """Run the cycle and write numbers, fields and pictures to a folder."""
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
    solution = Simulation(model, protocol).run(out, resume=resume)
    solution.report()
    if pictures:
        plotting.cycle(solution, out)
    return solution


def command():
    """Run the cycle that the arguments ask for."""
    parser = Parser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--size", type=float, default=0.5, help="mesh size in the particle [um]")
    parser.add_argument("--grains", type=int, default=53, help="number of grains, 1 to 200")
    parser.add_argument("--seed", type=int, default=1, help="seed of tessellation and orientations")
    parser.add_argument("--c-rate", type=float, default=1.0, help="C-rate of charge and discharge")
    parser.add_argument("--out", default="results/cycle_1C", help="folder for the results")
    parser.add_argument("--no-pictures", action="store_true", help="write numbers and fields only")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    given = parser.parse_args()
    main(
        size=given.size * um,
        grains=given.grains,
        seed=given.seed,
        c_rate=given.c_rate,
        out=given.out,
        pictures=not given.no_pictures,
        resume=given.resume,
    )


if __name__ == "__main__":
    sys.exit(exit_code(command))

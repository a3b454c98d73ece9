"""A cycle as movies: how lithium leaves and comes back, and the stress that this makes.

Teaches when fields are kept: every so many seconds, as many as the movie has pictures::

    python demos/movie.py --every 200 --size 1.5
"""

import sys
from pathlib import Path
from typing import Annotated

import femssb
from femssb import Charge, Discharge, HalfCell, Polycrystal, Simulation, library, plotting
from femssb.units import um

FIELDS = {"lithium": "Concentration [mol/m3]", "stress": "Von Mises stress [Pa]"}


def main(
    every: Annotated[float, "seconds between the pictures"] = 200.0,
    grains: Annotated[int, "in the particle"] = 20,
    size: Annotated[float, "um", "mesh size in the particle"] = 1.2 * um,
    c_rate: Annotated[float, "of charge and discharge"] = 1.0,
    out: Annotated[Path, "folder for the results"] = Path("results/movie"),
):
    cell = HalfCell(particles=(Polycrystal(radius=5 * um, grains=grains, seed=1),))
    model = femssb.Model(femssb.mesh(cell, size=size), library.yuan2023.materials())
    cycle = [
        Charge(c_rate=c_rate, until_voltage=4.3, fields=every),
        Discharge(c_rate=c_rate, until_voltage=3.0, fields=every),
    ]
    solution = Simulation(model, cycle).run(out, resume="auto")
    frames = max(2, int(solution.series["Time [s]"][-1] / every) + 1)
    for name, field in FIELDS.items():
        plotting.animate(solution, out / f"{name}.gif", field=field, frames=frames)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

"""Cycle a particle whose open-circuit voltage comes from a table of yours.

Teaches how a material of your own begins: one curve of the library's set is replaced by the points
of a CSV file, here for 20 grains that are charged and discharged at C/2::

    python demos/own_voltage.py --table demos/data/ocv.csv --size 1.5
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from matplotlib.figure import Figure

import femssb
from femssb import Charge, Curve, Discharge, HalfCell, Polycrystal, Simulation, library, plotting
from femssb.units import um

TABLE = Path(__file__).parent / "data" / "ocv.csv"


def draw(curve, solution):
    """Return a figure: the curve with its points, and the voltage against the capacity."""
    figure = Figure(figsize=(7.5, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    curve.plot(label="Open-circuit voltage [V]", axes=left)
    capacity = "Discharge capacity [C]"
    plotting.draw(solution, ["Voltage [V]"], against=capacity, axes=right)
    return figure


def main(
    table: Annotated[Path, "CSV: lithium over that of the full host, voltage"] = TABLE,
    grains: Annotated[int, "in the particle"] = 20,
    c_rate: Annotated[float, "of charge and discharge"] = 0.5,
    size: Annotated[float, "um", "mesh size in the particle"] = 1.0 * um,
    out: Annotated[Path, "folder for the results"] = Path("results/own_voltage"),
):
    base = library.yuan2023.materials()
    full = base.active.maximum_concentration
    curve = Curve.from_table(table, scale=full)
    active = replace(base.active, open_circuit_voltage=curve, initial_concentration=0.95 * full)
    cell = HalfCell(particles=(Polycrystal(radius=5 * um, grains=grains, seed=1),))
    model = femssb.Model(femssb.mesh(cell, size=size), replace(base, active=active))
    cycle = [
        Charge(c_rate=c_rate, until_voltage=4.3),
        Discharge(c_rate=c_rate, until_voltage=3.2),
    ]
    solution = Simulation(model, cycle).run(out, resume="auto")
    solution.report()
    if femssb.is_first_rank():
        plotting.save(out / "own_voltage.png", draw, curve, solution)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

"""How much charge comes out at which rate? Some cycles at each, and the first rate once more.

Teaches many cycles: `Cycle` repeats steps, fields are kept of a few rounds only, and the capacity
of each cycle is a column of a table::

    python demos/rate_test.py --rounds 5 --size 1.5
"""

import sys
from pathlib import Path
from typing import Annotated

from matplotlib.figure import Figure

import femssb
from femssb import Charge, Cycle, Discharge, HalfCell, Polycrystal, Simulation, library, plotting
from femssb.units import um


def draw(numbers, rates):
    """Return a figure: capacity and mean voltage of the discharge in each cycle."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    first = numbers[0]["discharge_capacity"]
    shares = [100 * one["discharge_capacity"] / first for one in numbers]
    each = range(1, len(numbers) + 1)
    above.plot(each, shares, "o", color=plotting.BLUE)
    above.set(ylabel="Discharge capacity [%]", ylim=(0, 105))
    for row, rate in enumerate(rates):
        place = 1 + (row + 0.5) * len(numbers) / len(rates) - 0.5
        above.annotate(f"{rate:g}C", (place, 8), ha="center")
    below.plot(each, [one["discharge_voltage"] for one in numbers], "o", color=plotting.GREEN)
    below.set(xlabel="Cycle", ylabel="Mean voltage [V]")
    below.xaxis.get_major_locator().set_params(integer=True)
    return figure


def main(
    rates: Annotated[tuple[float, ...], "C-rates, one after the other"] = (0.2, 0.5, 1, 2, 0.2),
    rounds: Annotated[int, "cycles at each"] = 3,
    grains: Annotated[int, "in the particle"] = 5,
    size: Annotated[float, "um", "mesh size in the particle"] = 2.0 * um,
    out: Annotated[Path, "folder for the results"] = Path("results/rate_test"),
):
    cell = HalfCell(particles=(Polycrystal(radius=5 * um, grains=grains, seed=1),))
    model = femssb.Model(femssb.mesh(cell, size=size), library.yuan2023.materials())
    protocol = []
    for rate in rates:
        charge = Charge(c_rate=rate, until_voltage=4.2, fields="end")
        discharge = Discharge(c_rate=rate, until_voltage=3.2, fields="end")
        protocol.append(Cycle(steps=[charge, discharge], count=rounds, fields_every=rounds))
    solution = Simulation(model, protocol).run(out, resume="auto")
    if femssb.is_first_rank():
        numbers = [cycle.numbers for cycle in solution.cycles]
        for cycle in solution.cycles:
            print(f"{cycle.number:4d}  {1e9 * cycle.numbers['discharge_capacity_Ah']:.4f} nAh")
        plotting.save(out / "rate_test.png", draw, numbers, rates)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

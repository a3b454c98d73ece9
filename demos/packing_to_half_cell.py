"""From a pressed powder to a half-cell, and to the resolved cell of the same powder beside it.

Teaches the loop packing -> properties -> half-cell: a half-cell of one mean particle gets a matrix
with which it conducts as the powder does. All particles say what one leaves out, loss by loss::

    python demos/packing_to_half_cell.py
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure

import femssb
from femssb import library, mesh, plotting
from femssb.electrode import effective
from femssb.packing import Component, ListedSizes, Recipe, insert
from femssb.particles import ElasticPlastic, Uniaxial, press, yield_pressure
from femssb.units import MPa, hour, mV, um

SOLIDS = {"AM": library.NCM523, "SE": library.LI6PS5CL}
SIZES = {"AM": ListedSizes(diameters=(9 * um, 10 * um)), "SE": ListedSizes(diameters=(5 * um,))}
RAILS = {"ionic": {"SE": 0.125}, "electronic": {"SE": 1.0}}  # [S/m] SE holds fine carbon: assumed
LOSSES = ("Electronic", "Ionic", "Activation", "Contact", "Concentration", "Anode")


def pressed(out):
    shares = {"AM": 0.45, "SE": 0.55}
    parts = [Component(name=n, solid=SOLIDS[n], share=shares[n], sizes=SIZES[n]) for n in SOLIDS]
    recipe = Recipe(components=parts, by="volume", loading=0.105, width=38 * um)
    yields = {name: yield_pressure(solid) for name, solid in SOLIDS.items()}
    law = ElasticPlastic(solids=SOLIDS, yield_pressures=yields, friction=0.3)
    stages = [Uniaxial(pressure=375 * MPa), Uniaxial(pressure=5 * MPa)]
    return press(insert(recipe, height=150 * um, seed=1), stages, law, out=out)[-1]


def cells(packing, electrode):
    """Return a cell of one particle, with surface and share of AM of all, and that of all."""
    radii = packing.radii[packing.of_phase("AM")]
    ball = femssb.Polycrystal(radius=(radii**3).sum() / (radii**2).sum(), grains=1)
    edge = ball.radius * (4 * np.pi / (3 * electrode.shares["AM"])) ** (1 / 3)
    one = femssb.HalfCell(width=edge, cathode=edge, separator=10 * um, particles=(ball,))
    return {"one particle": one, "all particles": femssb.ResolvedCell.from_packing(packing)}


def cycled(name, cell, electrode, size, out):
    """Return what the cell stands for, a cycle, and its charge over what 1C moves in an hour."""
    base = library.yuan2023.materials()
    given = {"ionic_conductivity": 0.125, "elasticity": SOLIDS["SE"].elasticity}
    contacts = femssb.ParticleContacts(resistance=base.resistance, collector=1e-4)
    base = replace(base, electrolyte=replace(base.electrolyte, **given), contacts=contacts)
    found = electrode.conductor(data := mesh(cell, size=size), base, ohmic_drop="scaled")
    model = femssb.Model(data, found.materials, couplings=femssb.Couplings(debonding=False))
    cycle = femssb.Charge(c_rate=1, until_voltage=4.3), femssb.Discharge(c_rate=1, until_voltage=3)
    run = femssb.Simulation(model, cycle).run(out / name, resume="auto")
    return found, run, -run.series["Discharge capacity [C]"] / (model.one_c * hour)


def drops_of(_, run, passed):
    """Return voltage and losses at the same charge passed, about half of all [mV]."""
    rows = slice(1, run.charge[-1].end_row + 1)
    lost = {n: run.series[f"{n} loss [W]"][rows] / -run.series["Current [A]"][rows] for n in LOSSES}
    both = {"Voltage": run.series["Voltage [V]"][rows], **lost}
    return {n: np.interp(0.4, passed[rows], v) / mV for n, v in both.items()}


def draw(runs, drops):
    figure = Figure(figsize=(7.5, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for row, (name, (_, run, passed)) in enumerate(runs.items()):
        left.plot(passed, run.series["Voltage [V]"], label=name)
        right.barh(np.arange(6) + 0.4 * row, [drops[name][n] for n in LOSSES], 0.4)
    left.set(xlabel="Charge over that of 1C in an hour [-]", ylabel="Voltage [V]")
    left.legend()
    right.set(xlabel="Loss at 0.4 on charge [mV]", yticks=np.arange(6) + 0.2, yticklabels=LOSSES)
    return figure


def main(
    size: Annotated[float, "um", "mesh size in the cathode"] = 2.5 * um,
    out: Annotated[Path, "folder for the results"] = Path("results/packing_to_half_cell"),
):
    packing, elastic = pressed(out / "press"), {"SE": SOLIDS["SE"].elasticity}
    electrode = effective(packing, elasticity=elastic, spacing=0.5 * um, **RAILS)
    runs = {k: cycled(k, c, electrode, size, out) for k, c in cells(packing, electrode).items()}
    drops = {name: drops_of(*run) for name, run in runs.items()}
    if femssb.is_first_rank():
        print(electrode, *(run[0] for run in runs.values()), "At 0.4 on charge [mV]:", sep="\n\n")
        for name, one in drops["one particle"].items():  # one, all, difference
            every = drops["all particles"][name]
            print(f"{name:<16}{one:10.2f}{every:10.2f}{every - one:10.2f}")
        plotting.save(out / "voltage.png", draw, runs, drops)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

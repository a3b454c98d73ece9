"""How does a slurry flow? Its viscosity against the shear rate, and the laws that fit it.

Teaches `Shear` and `flow_curve`: the slurry of Alabdali 2023 in the box that its masses fill, with
`library.suspension`, which is calibrated to what casting wants, sheared from fast to slow::

    python demos/flow_curve.py --beads 400 --rates 10 30 100 300 1000 --viscosity 0.2
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure

import femssb
from femssb import library, plotting
from femssb.packing import disperse
from femssb.particles import Shear, Slurry, Window, flow_curve, krieger_dougherty, process
from femssb.studies import Table

RATES = (10.0, 30.0, 100.0, 300.0, 1000.0)


def draw(curve, estimate, window):
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    errors = 1.96 * curve.errors / curve.rates
    axes.errorbar(curve.rates, curve.viscosities, errors, fmt="o", capsize=3, label="beads, 95 %")
    rates = np.geomspace(curve.rates[0], curve.rates[-1], 200)
    if len(curve.points) >= 4:
        law = curve.herschel_bulkley()
        low, high = law.yield_interval
        label = (
            f"Herschel-Bulkley: yield stress {law.yield_stress:.3g} Pa ({low:.2g} to {high:.2g}),\n"
            f"index {law.index:.2f} ({law.index_interval[0]:.2f} to {law.index_interval[1]:.2f})"
        )
        axes.plot(rates, law.viscosity(rates), label=label)
    if len(curve.points) >= 5:
        label = f"Carreau, index {(law := curve.carreau()).index:.2f}"
        axes.plot(rates, law.viscosity(rates), "--", label=label)
    axes.axhline(estimate, color="0.5", ls=":", label="Krieger-Dougherty (closed form, no run)")
    axes.fill_between(
        (window.slowest, window.fastest),
        window.lowest,
        window.highest,
        alpha=0.15,
        label="wanted for casting",
    )
    axes.set(xscale="log", yscale="log", xlabel="Shear rate [1/s]", ylabel="Viscosity [Pa s]")
    axes.legend(fontsize="small")
    return figure


def main(
    rates: Annotated[tuple[float, ...], "of the shear, 1/s"] = RATES,
    beads: Annotated[int, "250 or more"] = 300,
    depth: Annotated[float, "of the wells of wet binder over their diameter, N"] = 5.2e-12,
    viscosity: Annotated[float, "of the liquid between the beads, Pa s"] = 0.26,
    seed: Annotated[int, "of the places of the beads"] = 1,
    out: Annotated[Path, "folder for the results"] = Path("results/flow_curve"),
):
    formulation = replace(library.alabdali2023.formulation(beads=beads), swelling=None)
    forces = library.suspension(formulation, depth=depth, viscosity=viscosity)
    stages = [Slurry(), *(Shear(rate=rate) for rate in sorted(set(rates), reverse=True))]
    start = disperse(formulation, seed=seed)
    curve = flow_curve(process(start, stages, formulation, forces, out=out)[-1])
    balance = formulation.balance()
    solids = balance.solids / balance.box
    estimate = float(krieger_dougherty(formulation.solvent.viscosity, solids))
    if femssb.is_first_rank():
        print(curve)
        print(f"Krieger-Dougherty, {solids:.3f} of solids: {1e3 * estimate:.3g} mPa s")
        columns = ["Rate [1/s]", "Viscosity [Pa s]", "Error [Pa s]", "Bead pressure [Pa]"]
        rows = [[p.rate, p.viscosity, p.viscosity_error, p.pressure] for p in curve.points]
        Table(columns, rows).write(out / "flow_curve.csv")
        plotting.save(out / "flow_curve.png", draw, curve, estimate, Window())


if __name__ == "__main__":
    sys.exit(femssb.command(main))

"""How hard must a composite cathode be pressed, and how large should its particles be?

Teaches a map of pressings: powders with different ratios of particle sizes, pressed harder and
harder. Shi et al. (doi:10.1002/aenm.201902881): large AM in a fine electrolyte is used best::

    mpirun -n 2 python demos/pressing_map.py --pressures 125 375
"""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure

import femssb
from femssb import InputError, library, plotting
from femssb.packing import Component, LognormalSizes, Recipe, insert, porosity
from femssb.particles import ElasticPlastic, Uniaxial, press, yield_pressure
from femssb.studies import Table
from femssb.units import MPa, um
from femssb.voxels import conductivity, voxelise

SOLIDS = {"AM": library.NCM523, "SE": library.LI6PS5CL}
YIELD = {name: yield_pressure(solid) for name, solid in SOLIDS.items()}
LAW = ElasticPlastic(solids=SOLIDS, yield_pressures=YIELD, friction=0.5)
PRESSURES = (50 * MPa, 125 * MPa, 250 * MPa, 375 * MPa)
SHARES, NARROW = {"AM": 0.733, "SE": 0.267}, {"geometric_deviation": 1.15}  # of mass; sizes
MEAN, LAYERS = 6 * um, 9.0  # of both median diameters; without pores, over the larger one


def powder(ratio, particles):
    medians = {"AM": MEAN * ratio**0.5, "SE": MEAN / ratio**0.5}
    components = tuple(
        Component(
            name=name,
            solid=SOLIDS[name],
            share=SHARES[name],
            sizes=LognormalSizes(median=d, smallest=0.65 * d, largest=1.5 * d, **NARROW),
        )
        for name, d in medians.items()
    )
    largest = max(medians.values())
    loading = LAYERS * largest / sum(SHARES[name] / SOLIDS[name].density for name in SOLIDS)
    wide = Recipe(components=components, loading=loading, width=20 * largest)
    width = wide.width * (particles / wide.counts().sum()) ** 0.5
    # A sphere must not touch its own image.
    return Recipe(components=components, loading=loading, width=max(width, 3.001 * largest))


def measure(packing, spacing):
    image = voxelise(packing, spacing=spacing, priority=("AM", "SE"))
    along = {"sides": "periodic", "tolerance": 1e-3}
    return {
        "Porosity [-]": porosity(packing).union,
        "sigma_el/sigma_AM [-]": conductivity(image, {"AM": 1.0}, **along).value,
        "tau of SE [-]": conductivity(image, {"SE": 1.0}, **along).tortuosity().tau,
    }


def draw(rows, ratios, pressures):
    names = list(rows[0])[2:]
    figure = Figure(figsize=(3.1 * len(names), 0.9 + 0.55 * len(ratios)), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names)), names, strict=True):
        grid = np.array([row[name] for row in rows]).reshape(len(ratios), -1)
        axes.imshow(np.ma.masked_invalid(grid), origin="lower", aspect="auto")
        for (row, column), value in np.ndenumerate(grid):
            axes.text(column, row, f"{value:.3g}", ha="center", backgroundcolor="#ffffffa0")
        axes.set_xticks(range(len(pressures)), [f"{p / MPa:g}" for p in pressures])
        axes.set_yticks(range(len(ratios)), ratios)
        axes.set(title=name, xlabel="Pressure [MPa]", ylabel="AM over SE diameter")
    return figure


def main(
    pressures: Annotated[tuple[float, ...], "MPa", "of the planes"] = PRESSURES,
    ratios: Annotated[tuple[float, ...], "AM over SE diameter"] = (0.6, 1.0, 1.6),
    particles: Annotated[int, "about how many in a powder, 100 or more"] = 400,
    seed: Annotated[int, "of the places and sizes of particles"] = 1,
    out: Annotated[Path, "folder for the results"] = Path("results/pressing_map"),
):
    if particles < 100:
        raise InputError(f"particles = {particles} is below 100")
    pressures, rows = sorted(pressures), []
    stages = [Uniaxial(pressure=pressure) for pressure in pressures]
    for ratio in ratios:
        recipe = powder(ratio, particles)
        start = insert(recipe, height=recipe.dense_thickness() / 0.4, seed=seed)
        pressed = press(start, stages, LAW, out=out / f"ratio_{ratio:g}")
        for pressure, packing in zip(pressures, pressed, strict=True):
            where = {"AM over SE diameter [-]": ratio, "Pressure [MPa]": pressure / MPa}
            rows.append(where | measure(packing, float(start.radii.min()) / 3))
    if femssb.is_first_rank():
        Table(list(rows[0]), [list(row.values()) for row in rows]).write(out / "map.csv")
        plotting.save(out / "map.png", draw, rows, ratios, pressures)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

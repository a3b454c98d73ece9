"""How hard must a composite cathode be pressed, and how large should its particles be?

Powders of NMC532 and Li6PS5Cl with the composition of paper 000 (Alabdali et al. 2024,
doi:10.1016/j.ensm.2024.103527) and different ratios of particle sizes are pressed harder and harder
between two planes. After every pressure the porosity, the electronic conductivity of the active
material and the tortuosity of the electrolyte are measured: a map for each, against pressure and
size ratio. Shi et al. (doi:10.1002/aenm.201902881) found that large active material in a fine
electrolyte is used best.
"""

import csv
import sys
from argparse import ArgumentDefaultsHelpFormatter
from pathlib import Path

import numpy as np
from paper000 import AM, LAWS, SE, measure_all

from femssb.__main__ import Parser, exit_code
from femssb.environment.files import make_folder, replacing
from femssb.environment.ranks import communicator, from_first_rank
from femssb.errors import check_number
from femssb.packing import Component, LognormalSizes, Recipe, insert
from femssb.particles import Uniaxial, press
from femssb.plotting.runs import DOTS_PER_INCH, STYLE
from femssb.units import MPa, um

SHARE = 0.733  # of the active material in the mass
SPREAD = 1.15  # geometric standard deviation of both sizes
MEAN = 6 * um  # geometric mean of both median diameters
LAYERS = 9.0  # height of a layer without pores, over the larger diameter
QUANTITIES = {
    "porosity": "Porosity [-]",
    "sigma_el": "Electronic conductivity over that of AM [-]",
    "tau": "Tortuosity of SE [-]",
}


def main(
    pressures=(50 * MPa, 125 * MPa, 250 * MPa, 375 * MPa),
    ratios=(0.6, 1.0, 1.6),
    particles=400,
    law="plastic",
    seed=1,
    out="results/pressing_map",
    picture=True,
    comm=None,
):
    """Press all powders, and write a table and the maps to a folder."""
    check_number("main", "particles", particles, lower=100)
    pressures = sorted(pressures)
    comm = communicator(comm)
    folder = from_first_rank(comm, lambda: make_folder(Path(out)))
    maps = {name: np.empty((len(ratios), len(pressures))) for name in QUANTITIES}
    for row, ratio in enumerate(ratios):
        recipe = powder(ratio, particles)
        start = insert(recipe, height=recipe.dense_thickness() / 0.4, seed=seed)
        place = folder / f"ratio_{ratio:g}"
        stages = [Uniaxial(pressure=pressure) for pressure in pressures]
        pressed = press(start, stages, LAWS[law], out=place, comm=comm)
        states = dict(zip((f"{p / MPa:g} MPa" for p in pressures), pressed, strict=True))
        spacing = float(start.radii.min()) / 3
        numbers = measure_all(states, spacing, place / "numbers.json", comm)
        for column, values in enumerate(numbers.values()):
            for name, grid in maps.items():
                grid[row, column] = values[name]
        if comm.rank == 0:
            print(f"size ratio {ratio:g}, {len(start.radii)} particles")
            for state, values in numbers.items():
                print(f"  {state:>8}", *(f"{n} {values[n]:.4g}" for n in QUANTITIES), flush=True)
    if comm.rank == 0:
        write_table(folder / "map.csv", ratios, pressures, maps)
        if picture:
            draw(folder / "map.png", ratios, pressures, maps)
    return maps


def powder(ratio, particles):
    """Return a recipe for a ratio of AM to SE diameters that makes about so many particles."""
    active, electrolyte = MEAN * ratio**0.5, MEAN / ratio**0.5
    components = tuple(
        Component(
            name=name,
            solid=solid,
            share=share,
            sizes=LognormalSizes(
                median=diameter,
                geometric_deviation=SPREAD,
                smallest=0.65 * diameter,
                largest=1.5 * diameter,
            ),
        )
        for name, solid, share, diameter in (
            ("AM", AM, SHARE, active),
            ("SE", SE, 1 - SHARE, electrolyte),
        )
    )
    largest = max(active, electrolyte)
    density = 1 / (SHARE / AM.density + (1 - SHARE) / SE.density)
    wide = Recipe(components=components, loading=density * LAYERS * largest, width=20 * largest)
    width = wide.width * (particles / wide.counts().sum()) ** 0.5
    # A sphere must not touch its own image.
    return Recipe(components=components, loading=wide.loading, width=max(width, 3.001 * largest))


def write_table(path, ratios, pressures, maps):
    """Write a row for every powder and pressure."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["AM over SE diameter [-]", "Pressure [MPa]", *QUANTITIES.values()])
        for row, ratio in enumerate(ratios):
            for column, pressure in enumerate(pressures):
                found = (grid[row, column] for grid in maps.values())
                writer.writerow([ratio, pressure / MPa, *found])


def draw(path, ratios, pressures, maps):
    """Draw the maps, with their numbers: there are too few to interpolate between."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.1 * len(maps), 0.9 + 0.55 * len(ratios)), layout="constrained")
        for axes, (name, grid) in zip(figure.subplots(1, len(maps)), maps.items(), strict=True):
            shown = np.where(np.isfinite(grid), grid, np.nan)
            image = axes.imshow(shown, origin="lower", aspect="auto", cmap="viridis")
            for (row, column), value in np.ndenumerate(grid):
                dark = image.norm(value) < 0.5 if np.isfinite(value) else False
                axes.text(
                    column,
                    row,
                    f"{value:.3g}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
            axes.set_xticks(range(len(pressures)), [f"{p / MPa:g}" for p in pressures])
            axes.set_yticks(range(len(ratios)), [f"{ratio:g}" for ratio in ratios])
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
            axes.set_title(QUANTITIES[name], fontsize=9)
            axes.set_xlabel("Pressure [MPa]")
        figure.axes[0].set_ylabel("AM over SE diameter")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)


def command():
    """Make the map that the arguments ask for."""
    parser = Parser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "--pressures", type=float, nargs="+", default=[50, 125, 250, 375], help="[MPa]"
    )
    parser.add_argument(
        "--ratios", type=float, nargs="+", default=[0.6, 1.0, 1.6], help="AM over SE diameter"
    )
    parser.add_argument("--particles", type=int, default=400, help="about how many in a powder")
    parser.add_argument("--law", choices=LAWS, default="plastic", help="contact law")
    parser.add_argument("--seed", type=int, default=1, help="of the places and sizes of particles")
    parser.add_argument("--out", default="results/pressing_map", help="folder for the results")
    parser.add_argument("--no-picture", action="store_true", help="table only")
    given = parser.parse_args()
    main(
        pressures=[pressure * MPa for pressure in given.pressures],
        ratios=given.ratios,
        particles=given.particles,
        law=given.law,
        seed=given.seed,
        out=given.out,
        picture=not given.no_picture,
    )


if __name__ == "__main__":
    sys.exit(exit_code(command))

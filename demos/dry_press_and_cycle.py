"""Press a powder of NMC532 and Li6PS5Cl dry, relax it, and cycle it under isostatic pressure.

The workflow of paper 000 (Alabdali et al. 2024, doi:10.1016/j.ensm.2024.103527) on a few hundred
particles: how thick and porous the electrode becomes, what stress its particles carry, and how well
it conducts, after every stage. Every stage ends when the particles are at rest, or the run fails.
"""

import csv
import sys
from argparse import ArgumentDefaultsHelpFormatter
from pathlib import Path

from paper000 import GROWTH, HEIGHT, LAWS, PRESSURE, cycling, measure_all, powder, pressing

from femssb.environment.command import Parser, exit_code
from femssb.environment.files import make_folder, replacing
from femssb.environment.ranks import communicator, from_first_rank
from femssb.errors import check_number
from femssb.packing import insert
from femssb.particles import press
from femssb.plotting.style import DOTS_PER_INCH, STYLE
from femssb.units import MPa, um

COLUMNS = {
    "length z": "thickness [um]",
    "porosity": "porosity [-]",
    "arms AM z": "AM stress zz [MPa]",
    "arms SE z": "SE stress zz [MPa]",
    "contacts AM-AM": "AM-AM contacts [-]",
    "sigma_el": "sigma_el/sigma_AM [-]",
    "tau": "tau of SE [-]",
}


def main(
    particles=500,
    law="Hertz",
    pressure=PRESSURE,
    isostatic=5 * MPa,
    growth=GROWTH,
    cycles=1,
    seed=1,
    spacing=1 * um,
    out="results/dry_press_and_cycle",
    pictures=True,
    movie=None,
    comm=None,
):
    """Press and cycle, and write packings, numbers and pictures to a folder."""
    check_number("main", "particles", particles, lower=400)
    check_number("main", "cycles", cycles, lower=1, upper=1000)
    comm = communicator(comm)
    folder = from_first_rank(comm, lambda: make_folder(Path(out)))
    start = insert(powder(particles), height=HEIGHT, seed=seed)
    stages = pressing(pressure) | cycling(isostatic, cycles, growth)
    pressed = press(start, list(stages.values()), LAWS[law], out=folder, comm=comm)
    states = dict(zip(stages, pressed, strict=True))
    numbers = measure_all(states, spacing, folder / "numbers.json", comm)
    if comm.rank == 0:
        report(numbers, folder / "states.csv")
        if pictures:
            draw(states, folder)
        if movie:
            from femssb.plotting.packings import frames

            frames({"as poured": start, **states} if movie == "phase" else states, folder, by=movie)
    return states, numbers


def report(numbers, path):
    """Print the table of the states, and write it to a file."""
    print("state      " + "  ".join(COLUMNS.values()))
    for state, values in numbers.items():
        cells = [f"{values[name]:{len(title)}.4g}" for name, title in COLUMNS.items()]
        print(f"{state:10} " + "  ".join(cells))
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["state", *COLUMNS.values()])
        for state, values in numbers.items():
            writer.writerow([state, *(values[name] for name in COLUMNS)])


def draw(states, folder):
    """Draw the packings by phase and by stress, the stress profiles, and the force chains."""
    import matplotlib as mpl

    from femssb.plotting import packings as pictures
    from femssb.plotting import profiles

    discharged, charged = list(states)[-2:]
    cycled = {name: states[name] for name in ("isostatic", discharged, charged)}
    shown = {name: states[name] for name in ("uniaxial", "relaxed", "isostatic", discharged)}
    with mpl.rc_context(STYLE):
        for name, figure in {
            "phases": pictures.by_phase(shown),
            "stress_pressed": pictures.stress_distribution({"uniaxial": states["uniaxial"]}),
            "stress_cycled": pictures.stress_distribution(cycled),
            "chains": pictures.chains(states["uniaxial"]),
            "maps": profiles.heat_maps({"": cycled}, bins=6),
        }.items():
            with replacing(folder / f"{name}.png") as temporary:
                figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)


def command():
    """Press and cycle as the arguments say."""
    parser = Parser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--particles", type=int, default=500, help="about how many, 400 or more")
    parser.add_argument("--law", choices=LAWS, default="Hertz", help="contact law")
    parser.add_argument("--pressure", type=float, default=375.0, help="of the press [MPa]")
    parser.add_argument("--isostatic", type=float, default=5.0, help="pressure in cycles [MPa]")
    parser.add_argument("--growth", type=float, default=0.06, help="of the AM diameter [-]")
    parser.add_argument("--cycles", type=int, default=1, help="number of cycles")
    parser.add_argument("--seed", type=int, default=1, help="of the places and sizes of particles")
    parser.add_argument("--spacing", type=float, default=1.0, help="edge of the voxels [um]")
    parser.add_argument("--out", default="results/dry_press_and_cycle", help="folder for results")
    parser.add_argument("--no-pictures", action="store_true", help="packings and numbers only")
    parser.add_argument(
        "--movie",
        choices=("phase", "x", "y", "z"),
        help="also write a frame of every state, coloured by phase or by stress along an axis",
    )
    given = parser.parse_args()
    main(
        particles=given.particles,
        law=given.law,
        pressure=given.pressure * MPa,
        isostatic=given.isostatic * MPa,
        growth=given.growth,
        cycles=given.cycles,
        seed=given.seed,
        spacing=given.spacing * um,
        out=given.out,
        pictures=not given.no_pictures,
        movie=given.movie,
    )


if __name__ == "__main__":
    sys.exit(exit_code(command))

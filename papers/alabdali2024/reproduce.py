"""Paper 000 reproduced: two electrodes pressed, relaxed, and cycled under 1, 3 and 5 MPa.

Alabdali et al., Energy Storage Mater. 2024, doi:10.1016/j.ensm.2024.103527. Everything is done with
the paper's own contact law, Hertz's, and with an elastic-plastic one: at 375 MPa Hertz's law puts
several times the hardness of a sulfide on its contacts.

A run that was stopped goes on where it was: stages and numbers that are there are not made again.
On several ranks, LAMMPS shares the stages and every rank measures other states.
"""

import csv
import sys
from argparse import ArgumentDefaultsHelpFormatter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from comparison_page import Heading, Picture, Table, Text, html, markdown, passes
from paper000 import (
    HEIGHT,
    ISOSTATIC,
    LAWS,
    VOXEL,
    cycling,
    measure_all,
    powder,
    pressing,
)
from paper000_figures import draw_all

from femssb.__main__ import Parser, exit_code
from femssb.environment.files import make_folder, replacing
from femssb.environment.ranks import communicator, from_first_rank
from femssb.errors import NotConverged, check_number
from femssb.packing import insert
from femssb.particles import Isostatic, press
from femssb.units import MPa, um

TARGETS = Path(__file__).parents[1] / "tests" / "validation" / "paper000.csv"
BEYOND = (0.3 * MPa, 10 * MPa, 30 * MPa)  # isostatic pressures of Figure S10
SHOWN = {
    "length z": "thickness [µm]",
    "porosity": "porosity [-]",
    "swallowed": "lost in overlaps [-]",
    "contacts AM-AM": "AM-AM contacts",
    "contacts SE-SE": "SE-SE contacts",
    "rattlers": "rattlers [-]",
    "halves AM z": "AM, z, halves [MPa]",
    "halves SE z": "SE, z, halves [MPa]",
    "arms AM z": "AM, z, arms [MPa]",
    "arms SE z": "SE, z, arms [MPa]",
    "sigma_el": "sigma_el/sigma_AM [-]",
    "tau": "tau [-]",
    "D_eff": "D_eff/D_SE [-]",
}


@dataclass(frozen=True, kw_only=True)
class Study:
    """How large and how fine everything is."""

    particles: int = 11_002
    spacing: float = VOXEL
    cycles: int = 5
    pressures: tuple[float, ...] = ISOSTATIC
    seeds: tuple[int, ...] = (1, 2)
    laws: tuple[str, ...] = tuple(LAWS)


COARSE = {"particles": 1500, "spacing": 1.0 * um, "cycles": 2}


def main(study, out="results/paper000", pictures=True, comm=None):
    """Do what is left of a study, and write the page that sets it beside the paper."""
    check_number("reproduce", "cycles", study.cycles, lower=1, upper=100)
    comm = communicator(comm)
    folder = from_first_rank(comm, lambda: make_folder(Path(out)))
    found, figures, troubles = {}, {}, []
    for law in study.laws:
        electrodes, numbers = {}, {}
        for seed in study.seeds:
            name = f"M{seed}"
            place = folder / law / name
            electrodes[name], trouble = run(study, law, seed, place, comm)
            troubles += [f"{law}, {name}: {text}" for text in trouble]
            numbers[name] = measure_all(
                electrodes[name],
                study.spacing,
                place / "numbers.json",
                comm,
                conserve=("uniaxial",),
            )
            say(comm, f"{law}, {name}: {len(numbers[name])} states measured")
        found[law] = numbers
        whole = all("uniaxial" in states for states in electrodes.values())
        if comm.rank == 0 and pictures and whole:
            figures[law] = draw_all(
                electrodes, numbers, study.pressures, study.cycles, folder / "figures" / law
            )
        if comm.rank == 0:  # after every law: a long run can be looked at before it ends
            write_page(folder, study, found, figures, troubles)
            say(comm, f"{folder / 'comparison.md'} and {folder / 'comparison.html'} are written")
        comm.Barrier()
    return found


def run(study, law, seed, place, comm):
    """Take an electrode through everything; return its packings by state, and what went wrong."""
    start = poured(study.particles, seed)
    states, trouble = stage_by_stage(start, pressing(), law, place / "pressed", comm)
    if "relaxed" not in states:
        return states, trouble
    branches = {
        f"{pressure / MPa:g} MPa": cycling(pressure, study.cycles) for pressure in study.pressures
    }
    for pressure in BEYOND:
        branches[f"{pressure / MPa:g} MPa"] = {"isostatic": Isostatic(pressure=pressure)}
    for label, stages in branches.items():
        branch = place / label.replace(" ", "")
        made, more = stage_by_stage(states["relaxed"], stages, law, branch, comm)
        states |= {f"{label} {state}": packing for state, packing in made.items()}
        trouble += more
        say(comm, f"{law}, {place.name}: {label}, {len(made)} of {len(stages)} stages")
    return states, trouble


@cache
def poured(particles, seed):
    """Return the powder before it is pressed, the same for every law."""
    return insert(powder(particles), height=HEIGHT, seed=seed)


def stage_by_stage(start, stages, law, folder, comm):
    """Press through named stages as far as they come to rest."""
    try:
        made = press(start, list(stages.values()), LAWS[law], out=folder, comm=comm)
        trouble = []
    except NotConverged as error:
        whole = [path for path in folder.glob("*.h5") if "unfinished" not in path.name]
        some = list(stages.values())[: len(whole)]
        made = press(start, some, LAWS[law], out=folder, comm=comm) if some else []
        trouble = [f"{folder.name}: {error}"]
    return dict(zip(stages, made, strict=False)), trouble


def say(comm, text):
    """Print on one rank."""
    if comm.rank == 0:
        print(text, flush=True)


# What a row of the table of targets is computed from: the numbers of the states of one electrode,
# and the way in which stress is shared between two spheres.
Quantity = Callable[[dict, str], float]


def at(state, name):
    """Return the quantity that is measured on one state; {p} in its name is the partition."""
    return lambda states, partition: states[state][name.format(p=partition)]


def over(above, below):
    """Return the ratio of two quantities."""
    return lambda states, partition: above(states, partition) / below(states, partition)


def mean(*quantities):
    """Return the mean of quantities."""
    return lambda states, partition: float(np.mean([q(states, partition) for q in quantities]))


def lowest(*quantities):
    """Return the lowest of quantities."""
    return lambda states, partition: min(q(states, partition) for q in quantities)


def across(state, group, axes="xyz"):
    """Return the stress of a group, averaged over directions."""
    return mean(*(at(state, f"{{p}} {group} {axis}") for axis in axes))


def cycled(name, which=min):
    """Return the lowest or highest value over all states from the isostatic ones on."""

    def extreme(states, partition):
        held = ("1 MPa", "3 MPa", "5 MPa")
        return which(values[name] for state, values in states.items() if state.startswith(held))

    return extreme


def last(states, half):
    """Return the name of the last discharged (D) or charged (C) state under 5 MPa."""
    return max(
        (state for state in states if state.startswith(f"5 MPa {half}")),
        key=lambda state: int(state.split(half)[-1]),
    )


def handed_over(states, partition):
    """Return how much larger the share of the electrolyte in the stress is after charge."""
    charged, discharged = (
        over(across(last(states, half), "SE"), across(last(states, half), "AM"))(states, partition)
        for half in "CD"
    )
    return charged / discharged


def grown(states, partition):
    """Return how much larger the stress in the active material is after discharge."""
    after, before = last(states, "D"), "5 MPa isostatic"
    return over(across(after, "AM"), across(before, "AM"))(states, partition)


def width(states, _partition):
    """Return the isostatic width that a box of the paper's 150 um would have [um]."""
    held, before = states[HELD], states[PRESSED]
    return 150 * (held["length x"] + held["length y"]) / (before["length x"] + before["length y"])


PRESSED, RELAXED, HELD = "uniaxial", "relaxed", "5 MPa isostatic"
QUANTITIES: dict[str, Quantity] = {
    "thickness pressed": at(PRESSED, "length z"),
    "thickness relaxed": at(RELAXED, "length z"),
    "width isostatic": width,
    "thickness isostatic": at(HELD, "length z"),
    "porosity pressed": at(PRESSED, "porosity"),
    "porosity relaxed": at(RELAXED, "porosity"),
    "porosity isostatic": at(HELD, "porosity"),
    "AM of solids": at(PRESSED, "AM of solids"),
    "dense thickness": at(PRESSED, "dense thickness"),
    "small AM": lowest(*(at(PRESSED, f"{{p}} small AM {axis}") for axis in "xyz")),
    "AM over SE": over(across(PRESSED, "AM"), across(PRESSED, "SE")),
    "near planes": at(PRESSED, "{p} near planes z"),
    "near over far from planes": over(
        at(PRESSED, "{p} near planes z"), at(PRESSED, "{p} far from planes z")
    ),
    **{f"mean {axis}": at(PRESSED, f"{{p}} all {axis}") for axis in "xyz"},
    "AM": across(PRESSED, "AM"),
    "SE": across(PRESSED, "SE"),
    "AM xy": across(PRESSED, "AM", "xy"),
    "SE xy": across(PRESSED, "SE", "xy"),
    "AM z": at(PRESSED, "{p} AM z"),
    "SE z": at(PRESSED, "{p} SE z"),
    "small AM xy": across(PRESSED, "small AM", "xy"),
    "large AM xy": across(PRESSED, "large AM", "xy"),
    "small AM z": at(PRESSED, "{p} small AM z"),
    "large AM z": at(PRESSED, "{p} large AM z"),
    "small over large AM": over(across(PRESSED, "small AM"), across(PRESSED, "large AM")),
    "isostatic small over large AM": over(across(HELD, "small AM"), across(HELD, "large AM")),
    "isostatic xy": across(HELD, "all", "xy"),
    "isostatic z": at(HELD, "{p} all z"),
    "isostatic over uniaxial": over(at(HELD, "{p} highest"), at(PRESSED, "{p} highest")),
    "AM grown": grown,
    "handed over": handed_over,
    "sigma_el pressed": at(PRESSED, "sigma_el"),
    "sigma_el relaxed": at(RELAXED, "sigma_el"),
    "sigma_el 1 MPa": at("1 MPa isostatic", "sigma_el"),
    "sigma_el 5 MPa": at(HELD, "sigma_el"),
    "sigma_el cycled lowest": cycled("sigma_el", min),
    "sigma_el cycled highest": cycled("sigma_el", max),
    "sigma_el pressed over 5 MPa": over(at(PRESSED, "sigma_el"), at(HELD, "sigma_el")),
    "sigma_el 1 MPa over relaxed": over(at("1 MPa isostatic", "sigma_el"), at(RELAXED, "sigma_el")),
    "sigma_el 3 over 1 MPa": over(
        at("3 MPa isostatic", "sigma_el"), at("1 MPa isostatic", "sigma_el")
    ),
    "sigma_el 5 over 3 MPa": over(at(HELD, "sigma_el"), at("3 MPa isostatic", "sigma_el")),
    "sigma_el 30 over 5 MPa": over(at("30 MPa isostatic", "sigma_el"), at(HELD, "sigma_el")),
    "sigma_el 0.3 over 1 MPa": over(
        at("0.3 MPa isostatic", "sigma_el"), at("1 MPa isostatic", "sigma_el")
    ),
    "tau pressed": at(PRESSED, "tau"),
    "tau cycled lowest": cycled("tau", min),
    "tau cycled highest": cycled("tau", max),
    "tau 3 over 1 MPa": over(at("3 MPa isostatic", "tau"), at("1 MPa isostatic", "tau")),
    "tau 5 over 3 MPa": over(at(HELD, "tau"), at("3 MPa isostatic", "tau")),
    "D_eff 1 over 3 MPa": over(at("1 MPa isostatic", "D_eff"), at("3 MPa isostatic", "D_eff")),
    "D_eff 3 over 5 MPa": over(at("3 MPa isostatic", "D_eff"), at(HELD, "D_eff")),
}


def values_of(quantity, electrodes, partition):
    """Return a quantity of every electrode that has the states for it."""
    found = []
    for states in electrodes.values():
        try:
            found.append(quantity(states, partition))
        except (KeyError, ValueError):  # a state that did not come to rest, or was not asked for
            continue
    return found


def compare(found):
    """Return the rows of the comparison: the paper's table of targets with our numbers."""
    with open(TARGETS, newline="", encoding="utf-8") as file:
        targets = list(csv.DictReader(file))
    rows = []
    for target in targets:
        quantity = QUANTITIES[target["key"]]
        where = f"{target['study']}, {target['case']}"
        row = [where, target["quantity"], target["unit"], target["paper"], target["band"]]
        for electrodes in found.values():
            halves = values_of(quantity, electrodes, "halves")
            arms = values_of(quantity, electrodes, "arms")
            ours = float(np.mean(halves)) if halves else None
            inside = passes(ours, float(target["paper"]), target["band"])
            row += [shown(halves), shown(arms) if arms != halves else ""]
            row.append({True: "yes", False: "**no**", None: ""}[inside])
        rows.append([*row, target["reason"]])
    return rows


def shown(values):
    """Return the mean of both electrodes and how far they are from it, as text."""
    if not values:
        return "not reached"
    middle, spread = np.mean(values), (max(values) - min(values)) / 2
    if not spread > 1e-6 * abs(middle):  # also where a tortuosity is infinite
        return f"{middle:.3g}"
    return f"{middle:.3g} ± {spread:.0f}" if spread >= 10 else f"{middle:.3g} ± {spread:.1g}"


def write_page(folder, study, found, figures, troubles):
    """Write ``comparison.md`` and ``comparison.html``."""
    head = ["Where", "Quantity", "Unit", "Paper", "Band"]
    for law in found:
        head += [law, f"{law}, by arms", f"{law} in band"]
    head.append("Why")
    rows = compare(found)
    blocks = [
        Text(
            f"{study.particles} particles in a box {powder(study.particles).width / um:.1f} µm "
            f"wide, voxels of {study.spacing / um:g} µm, {study.cycles} cycles; the paper has "
            "11002 particles, 150 µm, 0.5 µm and 5. Mean of two electrodes, ± half of their "
            "difference."
        ),
        Text(
            "The paper does not say how LIGGGHTS shares the stress of a contact between two "
            "spheres; what it prints gives each one half, whatever their sizes, and leaves out "
            "the planes. That is the column beside the paper's number. By arms: by where the "
            "contact is, planes included; only these sum to the applied pressure."
        ),
        Heading("Numbers"),
        Table(head, rows),
    ]
    for law in found:
        outside = [row for row in rows if row[5 + 3 * list(found).index(law) + 2] == "**no**"]
        blocks.append(Text(f"{law}: {len(outside)} of {len(rows)} rows are out of their band."))
    if troubles:
        blocks += [Heading("Stages that did not come to rest"), *map(Text, troubles)]
    for law, electrodes in found.items():
        for name, states in electrodes.items():
            blocks.append(Heading(f"States of {name}, {law}"))
            table = [
                [state, *(f"{numbers[key]:.3g}" for key in SHOWN)]
                for state, numbers in states.items()
            ]
            blocks.append(Table(["State", *SHOWN.values()], table))
    for law, drawn in figures.items():
        blocks.append(Heading(f"Figures, {law}"))
        blocks += [Picture(path, caption) for caption, path in drawn.items()]
    with replacing(folder / "comparison.md") as temporary:
        temporary.write_text(f"# Paper 000\n\n{markdown(blocks, folder)}", encoding="utf-8")
    with replacing(folder / "comparison.html") as temporary:
        temporary.write_text(html("Paper 000", blocks, folder), encoding="utf-8")


def command():
    """Reproduce what the arguments ask for."""
    parser = Parser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "--coarse", action="store_true", help="1500 particles, voxels of 1 um, two cycles"
    )
    parser.add_argument("--particles", type=int, help="instead of 11002, the box in proportion")
    parser.add_argument("--spacing", type=float, help="edge of the voxels [um]")
    parser.add_argument("--cycles", type=int, help="instead of 5")
    parser.add_argument("--laws", nargs="+", choices=LAWS, default=list(LAWS), help="contact laws")
    parser.add_argument("--out", default="results/paper000", help="folder for the results")
    parser.add_argument("--no-pictures", action="store_true", help="numbers and page only")
    given = parser.parse_args()
    asked = {
        "particles": given.particles,
        "spacing": given.spacing and given.spacing * um,
        "cycles": given.cycles,
    }
    sizes = (COARSE if given.coarse else {}) | {k: v for k, v in asked.items() if v is not None}
    study = Study(**sizes, laws=tuple(given.laws))
    main(study, given.out, pictures=not given.no_pictures)


if __name__ == "__main__":
    sys.exit(exit_code(command))

"""Alabdali 2024 reproduced: two electrodes pressed, relaxed, and cycled under 1, 3 and 5 MPa.

Alabdali et al., Energy Storage Mater. 2024, doi:10.1016/j.ensm.2024.103527. Everything is done with
the paper's own contact law, Hertz's, and with an elastic-plastic one: at 375 MPa Hertz's law puts
several times the hardness of a sulfide on its contacts::

    mpirun -n 2 python papers/alabdali2024/reproduce.py --coarse

A run that was stopped resumes: stages and numbers that are finished are not made again. On several
ranks, LAMMPS shares the stages and every rank measures different states.
"""

import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Literal

import femssb
from femssb import FemssbError, InputError, NotConverged
from femssb.packing import insert
from femssb.particles import press
from femssb.studies import (
    Cache,
    Study,
    Table,
    Text,
    read_targets,
    report,
    run,
    write_page,
)
from femssb.units import MPa, um

sys.path.append(str(Path(__file__).parents[2]))  # `papers` is not installed with femssb

from papers.alabdali2024 import figures
from papers.alabdali2024.electrodes import (
    HEIGHT,
    ISOSTATIC,
    LAWS,
    VOXEL,
    branches,
    measurement,
    powder,
    pressing,
)
from papers.alabdali2024.quantities import number

TARGETS = Path(__file__).with_name("targets.csv")
COARSE = {"particles": 1500, "spacing": 1.0 * um, "cycles": 2}
FULL = {"particles": 11_002, "spacing": VOXEL, "cycles": 5}
SEEDS = {"M1": 1, "M2": 2}  # the two electrodes
SHOWN = {  # in the tables of the states: number -> title, unit
    "length z": ("thickness [µm]", um),
    "porosity": ("porosity [-]", 1),
    "swallowed": ("lost in overlaps [-]", 1),
    "contacts AM-AM": ("AM-AM contacts", 1),
    "contacts SE-SE": ("SE-SE contacts", 1),
    "rattlers": ("rattlers [-]", 1),
    "halves AM z": ("AM, z, halves [MPa]", MPa),
    "halves SE z": ("SE, z, halves [MPa]", MPa),
    "arms AM z": ("AM, z, arms [MPa]", MPa),
    "arms SE z": ("SE, z, arms [MPa]", MPa),
    "sigma_el": ("sigma_el/sigma_AM [-]", 1),
    "tau": ("tau [-]", 1),
    "D_eff": ("D_eff/D_SE [-]", 1),
}
NOTES = (
    "Mean of two electrodes, ± half of their difference.",
    "The paper does not say how LIGGGHTS shares the stress of a contact between two "
    "spheres; what it prints gives each one half, whatever their sizes, and leaves out "
    "the planes. That is the column next to the paper's number. By arms: by where the "
    "contact is, planes included; only these sum to the applied pressure.",
)


@cache
def poured(particles, seed):
    """Return the powder before it is pressed, the same for every law."""
    return insert(powder(particles), height=HEIGHT, seed=seed)


def pressed(start, law, cycles, folder):
    """Take an electrode through everything; return its packings by state, and what went wrong."""
    states, troubles = stage_by_stage(start, pressing(), law, folder / "pressed")
    if "relaxed" not in states:
        return states, troubles
    for label, stages in branches(ISOSTATIC, cycles).items():
        place = folder / label.replace(" ", "")
        made, more = stage_by_stage(states["relaxed"], stages, law, place)
        states |= {f"{label} {state}": packing for state, packing in made.items()}
        troubles += more
        say(f"{folder.parent.name}, {folder.name}: {label}, {len(made)} of {len(stages)} stages")
    return states, troubles


def stage_by_stage(start, stages, law, folder):
    """Press through named stages as far as they come to rest."""
    try:
        made, troubles = press(start, list(stages.values()), LAWS[law], out=folder), []
    except NotConverged as error:
        whole = [path for path in folder.glob("*.h5") if "unfinished" not in path.name]
        some = list(stages.values())[: len(whole)]
        made = press(start, some, LAWS[law], out=folder) if some else []
        troubles = [f"{folder.parent.name}, {folder.name}: {error}"]
    return dict(zip(stages, made, strict=False)), troubles


def measured(packings, spacing, cache):
    """Return the numbers of packings by the name of their state."""
    cases = [
        measurement(name, packing, spacing, "SE" if name == "uniaxial" else None)
        for name, packing in packings.items()
    ]
    failures = run(cases, cache)
    if failures:
        raise FemssbError("; ".join(failures))
    return cache.results(cases)


def say(text):
    if femssb.is_first_rank():
        print(text, flush=True)


def tables(found):
    """Return a table of the states of every electrode."""
    blocks = []
    for name, states in found.items():
        rows = [
            [state, *(f"{numbers[key] / unit:.3g}" for key, (_, unit) in SHOWN.items())]
            for state, numbers in states.items()
        ]
        blocks += [Text(name), Table(["State", *(title for title, _ in SHOWN.values())], rows)]
    return blocks


def studies(packings, cycles):
    """Return the comparison with the paper, and the states with their figures.

    Args:
        packings: For every electrode its packings by state; none to draw nothing.
        cycles: Number of cycles.
    """

    def draw(found, folder):
        whole = packings and all("uniaxial" in states for states in packings.values())
        return figures.draw(packings, found, ISOSTATIC, cycles, folder) if whole else ()

    targets = [replace(row, case=f"{row.study}, {row.case}") for row in read_targets(TARGETS)]
    by_arms = partial(number, partition="arms")
    return (
        Study(
            name="numbers",
            title="Numbers",
            targets=targets,
            number=number,
            others={"by arms": by_arms},
        ),
        Study(name="figures", title="States and figures", tables=tables, figures=draw),
    )


def write(folder, title, found, packings, cycles, troubles):
    """Write the page of what is there.

    Args:
        folder: Where it goes, with the figures.
        title: Of the page.
        found: Law -> electrode -> state -> numbers.
        packings: Law -> electrode -> state -> packing.
        cycles: Number of cycles.
        troubles: Stages that did not come to rest.
    """
    pairs = {law: studies(packings.get(law, {}), cycles) for law in found}
    blocks = [Text(note) for note in (*NOTES, *(f"Not at rest: {text}" for text in troubles))]
    for part in (0, 1):
        columns = {law: (pair[part], found[law]) for law, pair in pairs.items()}
        blocks += report(columns, folder / "figures")
    return write_page(folder / "comparison", title, blocks)


def main(
    coarse: Annotated[bool, "1500 particles, voxels of 1 um, two cycles"] = False,
    particles: Annotated[int | None, "instead of 11002, the box in proportion"] = None,
    spacing: Annotated[float | None, "um", "edge of the voxels, instead of 0.5"] = None,
    cycles: Annotated[int | None, "instead of 5"] = None,
    laws: Annotated[tuple[Literal["Hertz", "plastic"], ...], "contact laws"] = tuple(LAWS),
    pictures: Annotated[bool, "draw the figures"] = True,
    out: Annotated[str | Path, "folder for the results"] = "results/alabdali2024",
):
    given = {"particles": particles, "spacing": spacing, "cycles": cycles}
    given = (COARSE if coarse else FULL) | {k: v for k, v in given.items() if v is not None}
    if not 1 <= given["cycles"] <= 100:
        raise InputError(f"reproduce.cycles = {given['cycles']} is outside [1, 100]")
    folder, results = Path(out), Cache(Path(out) / "cases")
    title = (
        f"Alabdali 2024 reproduced: {given['particles']} particles in a box "
        f"{powder(given['particles']).width / um:.1f} µm wide, voxels of "
        f"{given['spacing'] / um:g} µm, {given['cycles']} cycles (paper: 11002, 150, 0.5 and 5)"
    )
    found, packings, troubles = {}, {}, []
    for law in laws:
        found[law], packings[law] = {}, {}
        for name, seed in SEEDS.items():
            start = poured(given["particles"], seed)
            states, more = pressed(start, law, given["cycles"], folder / law / name)
            troubles += [f"{law}, {text}" for text in more]
            found[law][name] = measured(states, given["spacing"], results)
            packings[law][name] = states if pictures else {}
        if femssb.is_first_rank():  # after every law: a long run can be looked at before it ends
            shown = packings if pictures else {}
            write(folder, title, found, shown, given["cycles"], troubles)
            say(f"{folder / 'comparison.md'} and {folder / 'comparison.html'} are written")


if __name__ == "__main__":
    sys.exit(femssb.command(main))

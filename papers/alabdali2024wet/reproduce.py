"""Alabdali 2024 (wet) reproduced: two cathodes from slurries of three solid contents.

M. Alabdali et al., "Experimental and Computational Analysis of Slurry-Based Manufacturing of
Solid-State Battery Composite Cathode" (2024), doi:10.1002/batt.202400709. Slurries are sheared,
dried, and calendered, with electrodes of several random numbers each::

    python papers/alabdali2024wet/reproduce.py --coarse --jobs 2

A run that was stopped resumes: stages and numbers that are finished are not made again.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import femssb
from femssb import InputError
from femssb.studies import Study, Table, Text, perform, read_targets
from femssb.units import MPa, um
from femssb.voxels import voxelise

sys.path.append(str(Path(__file__).parents[2]))  # `papers` is not installed with femssb

from papers.alabdali2023.measures import ENLARGED, PHASES, enlarged
from papers.alabdali2023.quantities import states_of
from papers.alabdali2024wet import figures
from papers.alabdali2024wet.electrodes import (
    COARSE,
    FULL,
    electrode,
    formulation_of,
    packings_in,
)
from papers.alabdali2024wet.flow import curves_of, flow_curves
from papers.alabdali2024wet.quantities import (
    CALENDERED,
    DRIED,
    HELD,
    LOADED,
    MIDDLE,
    SLURRIES,
    Found,
    content_label,
    in_state,
    number,
    trends,
)

TARGETS = Path(__file__).with_name("targets.csv")
SHOWN = {  # in the tables of the states: number -> title, unit
    "density": ("density [g/cm³]", 1e3),
    "pressure": ("pressure [MPa]", MPa),
    "porosity": ("porosity by weight [%]", 0.01),
    "voxel porosity": ("on voxels [%]", 0.01),
    "swallowed": ("lost in overlaps [%]", 0.01),
    "contacts AM-CBD": ("CBD at an AM", 1),
    "contacts SE-SE": ("SE at an SE", 1),
    "percolates AM-CBD": ("AM and CBD that percolate [%]", 0.01),
    "percolates SE-SE": ("SE that percolates [%]", 0.01),
    "sigma_e": ("sigma_e [S/m]", 1),
    "sigma_e, binder wins": ("sigma_e, binder first [S/m]", 1),
    "D_eff": ("D_eff/D_SE [-]", 1),
    "tau": ("tau [-]", 1),
    "cpu": ("CPU [s]", 1),
}
NOTES = (
    "Electrodes of a slurry differ in their random numbers only; numbers are means, ± their "
    "standard deviation, of viscosities the standard error of a run. The paper's force field is"
    " in its supplement, which is not public: that of the first paper (Alabdali 2023, Table S1)"
    " stands for it. The sizes of the particles are confidential: all of a phase are equal "
    "here, 4 and 6 µm, 1 µm, and 2.6 µm.",
    "Ours in the table below is calendered with contacts that yield, under the 102 MPa of the "
    "paper's press, and then released to 1 atm; nothing in it was fitted to the paper. While it "
    "is measured, the paper's cell is held by 1 t on 10 mm, 125 MPa: see the column under 102 MPa. "
    "Elastic, held: with the paper's contacts, pressed until the porosity is 25 %, the middle of "
    "what it has; such an electrode springs back when it is released.",
    "What cannot follow: the viscosity from Table S1, see the table; the curves of Figures 4, 5"
    " and 8, which have no printed points: numbers are those of the text; conductivities of "
    "ions of 12 to 15 mS/cm, ten times those of the electrolyte itself (1.25 mS/cm), and the "
    "9.88 S/m of the binder, fitted to measurements that are in a figure only.",
    "Conductivities are those of voxels, whose size in the paper is not printed. Contacts between "
    "grains of 1 µm become narrower with it: one calendered electrode (AM_1, 50 %, 5051 beads) "
    "conducts ions with .123, .118, .111 and .102 mS/cm at .3, .2, .15 and .1 µm.",
    "5051 beads are {solid:.0f} µm³ of solids, a cube of {edge:.0f} µm with {counts[0]} "
    "particles of AM_1 or {counts[1]} of AM_2: single electrodes scatter.",
)


def tables(found):
    """Return a table of the states of the electrodes of every slurry, and one of flow curves."""
    blocks = []
    if found.flow or found.as_printed:
        rates = sorted({rate for curve in found.flow.values() for rate in curve})
        rows = [
            [f"{cathode}, {content_label(content)}", *(cell(curve.get(rate)) for rate in rates)]
            for (cathode, content), curve in found.flow.items()
        ]
        heads = [f"viscosity [Pa s] at {rate:g} /s" for rate in rates]
        blocks.append(Table(["slurry", *heads], rows))
        rows = [[f"{rate:g}", cell(found.as_printed[rate])] for rate in sorted(found.as_printed)]
        blocks.append(Text("Table S1 of the first paper as printed, AM_1, 50 %"))
        blocks.append(Table(["shear rate [1/s]", "viscosity [Pa s]"], rows))
        rows = [[name, f"{value:.3g}"] for name, value in found.calibration.items()]
        blocks.append(Table(["calibration", "value"], rows))
    for (cathode, content), electrodes in found.electrodes.items():
        for seed, states in enumerate(electrodes, start=1):
            rows = [
                [state, *(shown(numbers, key, unit) for key, (_, unit) in SHOWN.items())]
                for state, numbers in states.items()
            ]
            blocks.append(Text(f"{cathode}, {content_label(content)}, electrode {seed}"))
            blocks.append(Table(["State", *(title for title, _ in SHOWN.values())], rows))
    return blocks


def shown(numbers, key, unit):
    """Return a number for a cell of a table, a dash where a state has none."""
    return f"{numbers[key] / unit:.3g}" if key in numbers else "-"


def cell(viscosity):
    """Return a viscosity with its error for a cell of a table."""
    return "-" if viscosity is None else f"{viscosity[0]:.3g} ± {viscosity[1]:.1g}"


def studies(level, seeds, out, pictures=True):
    """Return the studies of the page.

    Args:
        level: How much is made, and how fine.
        seeds: Number of electrodes of every slurry.
        out: Folder of the page; stages are kept there, too.
        pictures: Whether beads are drawn, which takes a renderer.
    """
    made = {
        slurry: [electrode(level, slurry, seed, out) for seed in range(1, seeds + 1)]
        for slurry in SLURRIES
    }
    flow = flow_curves(level, out)

    def gather(results):
        electrodes = {
            slurry: [states_of(results[case.name]) for case in cases if case.name in results]
            for slurry, cases in made.items()
        }
        sheared = results.get(flow.name, {})
        curves = {
            slurry: curves_of(sheared, f"{slurry[0]} {content_label(slurry[1])}")
            for slurry in SLURRIES
        }
        return Found(
            electrodes={slurry: some for slurry, some in electrodes.items() if some},
            flow={slurry: curve for slurry, curve in curves.items() if curve},
            as_printed=curves_of(sheared, "printed"),
            calibration={name: x for name, x in sheared.items() if name.startswith("factor")},
        )

    def draw(found, folder):
        packings, images = {}, {}
        for slurry, cases in made.items():
            if pictures and slurry in found.electrodes:
                packings[slurry] = packings_in(cases[0], out)
            if slurry[1] == min(content for _, content in SLURRIES):
                images[slurry] = sections_of(packings.get(slurry, {}), level.spacing)
        return figures.draw(found, folder, packings, {k: v for k, v in images.items() if v})

    cases = [flow, *(case for some in made.values() for case in some)]
    return (
        Study(
            name="electrodes",
            title="Slurries and electrodes",
            cases=cases,
            gather=gather,
            trends=trends,
            figures=draw,
            tables=tables,
            targets=[
                replace(row, case=f"{row.study}, {row.case}") for row in read_targets(TARGETS)
            ],
            number=number,
            others={state: in_state(state) for state in (LOADED, HELD)},
        ),
    )


def sections_of(packings, spacing):
    """Return voxels of the dried and the calendered state of an electrode."""
    diameters = {DRIED: ENLARGED, CALENDERED: {}}
    return {
        state: voxelise(enlarged(packings[state], touching), spacing=spacing, priority=PHASES)
        for state, touching in diameters.items()
        if state in packings
    }


def notes(level):
    """Return what stands at the beginning of the page."""
    formulas = [formulation_of((cathode, MIDDLE[1]), level.beads) for cathode in ("AM_1", "AM_2")]
    solid = formulas[0].balance().solids
    counts = [int(formula.counts()[0]) for formula in formulas]
    last = NOTES[-1].replace("5051", str(level.beads))
    return (
        *NOTES[:-1],
        last.format(solid=solid / um**3, edge=solid ** (1 / 3) / um, counts=counts),
    )


def main(
    coarse: Annotated[bool, "2000 beads, voxels of 0.3 um, three shear rates"] = False,
    seeds: Annotated[int, "electrodes of different random numbers, of every slurry"] = 2,
    jobs: Annotated[int, "cases made at a time"] = 1,
    case: Annotated[int | None, "make this case only, from 1; writes no page"] = None,
    page_only: Annotated[bool, "make nothing, only the page"] = False,
    pictures: Annotated[bool, "draw the beads"] = True,
    out: Annotated[Path, "folder for the results"] = Path("results/alabdali2024wet"),
):
    if not 1 <= seeds <= 100:
        raise InputError(f"reproduce.seeds = {seeds} is outside [1, 100]")
    level, out = COARSE if coarse else FULL, Path(out)
    perform(
        *studies(level, seeds, out, pictures),
        out=out,
        title=f"Alabdali 2024 (wet) reproduced ({'coarse' if coarse else 'full'}): {level.beads} "
        f"beads (paper: 5051), {seeds} electrodes of every slurry",
        notes=notes(level),
        jobs=jobs,
        case=case,
        run_cases=not page_only,
    )


if __name__ == "__main__":
    sys.exit(femssb.command(main))

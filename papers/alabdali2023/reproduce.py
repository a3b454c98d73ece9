"""Alabdali 2023 reproduced: a slurry dried and calendered to 50 % of its thickness.

M. Alabdali et al., "Three-Dimensional Physical Modeling of the Wet Manufacturing Process of
Solid-State Battery Electrodes" (2023), doi:10.1016/j.jpowsour.2023.233427. Electrodes of several
random numbers are made with the paper's force field, in the one reading of its Table S1 that gives
its densities, and measured at every degree of calendering::

    python papers/alabdali2023/reproduce.py --coarse --jobs 2

A run that was stopped resumes: stages and numbers that are finished are not made again.
"""

import sys
from pathlib import Path
from typing import Annotated

import femssb
from femssb import InputError, library
from femssb.studies import Number, Picture, Study, Table, Text, perform, read_targets
from femssb.units import MPa, um

sys.path.append(str(Path(__file__).parents[2]))  # `papers` is not installed with femssb

from papers.alabdali2023 import figures
from papers.alabdali2023.electrodes import COARSE, FORCES, FULL, electrode, packings_in
from papers.alabdali2023.flow import flow_curve
from papers.alabdali2023.quantities import number, states_of, trends

TARGETS = Path(__file__).with_name("targets.csv")
MOST_OF_OURS = 2  # electrodes with our force field, whose stiff beads take longer
VISCOSITY = "Figure 2"  # study of the targets that are viscosities
SHOWN = {  # in the tables of the states: number -> title, unit
    "thickness": ("thickness [µm]", um),
    "density": ("density [g/cm³]", 1e3),
    "pressure": ("pressure [MPa]", MPa),
    "porosity": ("porosity by weight [%]", 0.01),
    "voxel porosity": ("on voxels [%]", 0.01),
    "uncovered": ("between beads [%]", 0.01),
    "swallowed": ("lost in overlaps [%]", 0.01),
    "contacts AM-CBD": ("CBD at an AM", 1),
    "contacts CBD-CBD": ("CBD at a CBD", 1),
    "contacts SE-SE": ("SE at an SE", 1),
    "contact area AM-SE": ("AM-SE contact [1/mm]", 1e3),
    "percolates AM-CBD": ("AM and CBD that percolate [%]", 0.01),
    "percolates SE-SE": ("SE that percolates [%]", 0.01),
    "true percolates SE-SE": ("SE, true diameters [%]", 0.01),
    "sigma_e": ("sigma_e [S/m]", 1),
    "sigma_e, binder wins": ("sigma_e, binder first [S/m]", 1),
    "D_eff": ("D_eff/D_SE [-]", 1),
    "tau": ("tau [-]", 1),
    "true sigma_e": ("sigma_e, true diameters [S/m]", 1),
    "true D_eff": ("D_eff/D_SE, true diameters [-]", 1),
    "pore width": ("pore width [µm]", um),
    "pores per volume": ("pores in 1000 µm³", 1e15),
    "throats of a pore": ("throats of a pore", 1),
    "throat diameter": ("throats [µm]", um),
    "cpu": ("CPU [s]", 1),
}
NOTES = (
    "Electrodes differ in their random numbers only; numbers are means, ± their standard "
    "deviation. Table S1 is the paper's force field with the distances of the binder as factors"
    " of its present diameter, and the diameters of AM and SE enlarged by 14 % wet and dried: "
    "of the readings that were tried the only one that gives the density of the slurry and the "
    "porosity of the dried electrode at once.",
    "Ours is a force field in which beads have their true sizes, fill the volume of the slurry "
    "once, and touch where their potential is lowest; it was not made for this paper.",
    "Conductivities are taken as in the paper, on voxels, a potential along z, periodic across "
    "x and y; the size of the paper's voxels is not printed. The spheres on voxels have the "
    "diameters at which the force field lets them touch: with the true ones, from which the "
    "porosity of 50 % by Table S1 follows, no two particles of a dried electrode touch, and "
    "nothing conducts until calendering has closed the gaps. One electrode cannot have both the"
    " porosity and the conduction of the paper by this force field.",
    "Networks of pores are split off by PoreSpy where it is installed (`pip install '.[pores]'`); "
    "else their columns are left out, and the widths of the pores stand alone.",
)
LIMITS = (
    "The viscosity. Table S1 gives some {as_printed:.0f} Pa s at 100 /s; slurries of this kind "
    "have 0.3 to 0.6 (second paper). Beads that 1 atm presses into one another have a yield "
    "stress in proportion to this pressure, and the viscosity is the yield stress over the "
    "rate. In life the solvent carries the atmosphere and the beads do not. The paper's runs of"
    " 70 ms are a strain of 0.007 at its lowest rate, 0.1 /s: the elastic answer of a solid, no"
    " viscosity.",
    "Figure 2, 3 and 4: the curves have no printed points. Where the text has a number or a "
    "trend it is a row above.",
    "The density of the slurry: 1.90 g/cm³ is none of the masses and densities in it, which "
    "fill their volume at 1.65 g/cm³. It is reached because the beads overlap.",
    "Where D_eff of Table S1 no longer rises, and tau no longer falls, spheres that are 14 % too "
    "large take the place of electrolyte from one another on voxels: with the true diameters D_eff"
    " rises to the end. The mean width of the pores may grow with the first degree, as a new layer"
    " of them lies between the beads and a flat plane.",
    "The porosity against the degree of calendering is arithmetic, 1 - (1 - e0)/(1 - c); what a"
    " force field adds is the pressure at every degree, the porosity on voxels, and what is "
    "left when the planes are taken away.",
)


def tables(found):
    """Return a table of the states of every electrode."""
    blocks = []
    for seed, states in enumerate(found, start=1):
        rows = [
            [state, *(shown(numbers, key, unit) for key, (_, unit) in SHOWN.items())]
            for state, numbers in states.items()
        ]
        blocks.append(Text(f"Electrode {seed}"))
        blocks.append(Table(["State", *(title for title, _ in SHOWN.values())], rows))
    return blocks


def shown(numbers, key, unit):
    """Return a number for a cell of a table, a dash where a state has none."""
    return f"{numbers[key] / unit:.3g}" if key in numbers else "-"


def viscosity_table(found):
    """Return the viscosities of Table S1 as printed and with two calibrated factors."""
    rows = []
    for kind, title in (("printed", "Table S1 as printed"), ("calibrated", "calibrated")):
        for key in sorted(
            (key for key in found if key.startswith(f"{kind} viscosity ")), key=_rate
        ):
            rate = key.rsplit(" ", 1)[1]
            error = found[f"{kind} error {rate}"]
            rows.append([title, rate, f"{found[key]:.3g} ± {error:.1g}"])
    table = Table(["force field", "shear rate [1/s]", "viscosity [Pa s]"], rows)
    return [table, *map(Text, limits(found))]


def _rate(key):
    return float(key.rsplit(" ", 1)[1])


def limits(found):
    """Return in words what cannot follow from what is printed."""
    as_printed = found.get("printed viscosity 100", float("nan"))
    return [f"What cannot follow: {LIMITS[0].format(as_printed=as_printed)}", *LIMITS[1:]]


def viscosity_numbers(found, target):
    """Return our viscosity for a row of the paper."""
    key = target.key
    if key not in found:
        return None
    rate = key.rsplit(" ", 1)[1]
    return Number(found[key], found[f"{key.split()[0]} error {rate}"])


def inputs(level):
    """Return the table of what goes in, beside what the paper prints."""
    formula = library.alabdali2023.formulation(beads=level.beads)
    counts = dict(zip(formula.names, formula.counts().tolist(), strict=True))
    balance = formula.balance(density=1890.0)
    filled = (balance.solids + balance.solvent) / balance.box
    shares = " / ".join(f"{100 * share:g}" for share in formula.shares)
    rows = [
        ["beads", "5089", f"{sum(counts.values())}: {counts}"],
        ["AM / SE / CBD [wt%]", "69.0 / 27.6 / 3.4", shares],
        ["AM diameter [µm]", "~10", "10"],
        ["SE diameters [µm]", "1-11, a figure", "1-11, lognormal, median 2.0 by number, assumed"],
        ["CBD diameter, slurry / dried [µm]", "7.5 / 3", f"{3 * formula.swollen():g} / 3"],
        ["solids and solvent at 1.89 g/cm³, over the box", "1", f"{filled:.2f}"],
        ["beads at 1.89 g/cm³, over the box", "1", f"{balance.beads / balance.box:.2f}"],
        ["degrees of calendering [%]", "0-50", ", ".join(f"{100 * x:g}" for x in level.degrees)],
        ["edge of the voxels [µm]", "-", f"{level.spacing / um:g}"],
    ]
    return Table(["input", "paper", "here"], rows)


def studies(level, seeds, out, pictures=True):
    """Return the studies of the page.

    Args:
        level: How much is made, and how fine.
        seeds: Number of electrodes.
        out: Folder of the page; stages are kept there, too.
        pictures: Whether beads are drawn, which takes a renderer.
    """
    targets = read_targets(TARGETS)

    def made(forces):
        number_of = seeds if forces == FORCES[0] else min(seeds, MOST_OF_OURS)
        cases = [electrode(level, seed, out, forces) for seed in range(1, number_of + 1)]

        def draw(found, folder):
            return figures.draw(found, folder, packings_in(cases[0], out) if pictures else {})

        return Study(
            name="electrodes",
            title="Slurry, dried and calendered electrodes",
            cases=cases,
            gather=lambda results: [states_of(found) for found in results.values()],
            trends=trends,
            figures=draw,
            tables=tables,
            targets=[row for row in targets if row.study != VISCOSITY],
            number=number,
        )

    flow = flow_curve(level, out)
    return (
        Study(
            name="inputs",
            title="What goes in",
            gather=lambda _: True,
            tables=lambda _: [inputs(level)],
        ),
        {forces: made(forces) for forces in FORCES},
        Study(
            name="viscosity",
            title="Section 3.2 and Figure 2: viscosity",
            cases=[flow],
            gather=lambda results: results.get(flow.name, {}),
            figures=lambda found, folder: [
                Picture(figures.save_flow(found, folder), "Viscosity against shear rate")
            ],
            tables=viscosity_table,
            targets=[row for row in targets if row.study == VISCOSITY],
            number=viscosity_numbers,
        ),
    )


def main(
    coarse: Annotated[bool, "800 beads, and degrees ten per cent apart"] = False,
    seeds: Annotated[int, "electrodes of different random numbers, with Table S1"] = 3,
    jobs: Annotated[int, "electrodes made at a time"] = 1,
    case: Annotated[int | None, "make this case only, from 1; writes no page"] = None,
    page_only: Annotated[bool, "make nothing, only the page"] = False,
    pictures: Annotated[bool, "draw the beads"] = True,
    out: Annotated[Path, "folder for the results"] = Path("results/alabdali2023"),
):
    if not 1 <= seeds <= 100:
        raise InputError(f"reproduce.seeds = {seeds} is outside [1, 100]")
    level, out = COARSE if coarse else FULL, Path(out)
    perform(
        *studies(level, seeds, out, pictures),
        out=out,
        title=f"Alabdali 2023 reproduced ({'coarse' if coarse else 'full'}): {level.beads} beads "
        f"(paper: 5089), {seeds} electrodes",
        notes=NOTES,
        jobs=jobs,
        case=case,
        run_cases=not page_only,
    )


if __name__ == "__main__":
    sys.exit(femssb.command(main))

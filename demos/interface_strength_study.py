"""How strong must the interface of particle and electrolyte be?

Teaches how a material is varied: `dataclasses.replace` on the library's set, here the strength of
the interface with its fracture energy in proportion::

    mpirun -n 4 python demos/interface_strength_study.py --size 1.2 --jobs 2
    python demos/interface_strength_study.py --case 3          # one case, for a job array
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import femssb
from femssb import library, plotting
from femssb.studies import HalfCellRun, Study, perform, rising
from femssb.units import MPa, um

PANELS = ("Voltage [V]", "Mean gap [m]", "Debonded area fraction", "99 % von Mises stress [Pa]")


def trends(runs):
    gaps = [run.summary["gap_mean_charge_end"] for run in runs.values()]
    return {"the gap falls with the strength": lambda: rising([-gap for gap in gaps])}


def figures(runs, folder):
    return plotting.compare(runs, PANELS, folder / "strengths.png")


def main(
    strengths: Annotated[tuple[float, ...], "MPa", "rising"] = (50 * MPa, 100 * MPa, 200 * MPa),
    size: Annotated[float, "um", "mesh size in the particle"] = 0.8 * um,
    jobs: Annotated[int, "cases at a time, which share the ranks"] = 1,
    case: Annotated[int | None, "run this case only, from 1"] = None,
    out: Annotated[str | Path, "folder for the results"] = "results/interface_strength_study",
):
    materials = library.yuan2023.materials(values=library.yuan2023.CALIBRATED)
    law = materials.cohesive
    cases = []
    for strength in strengths:
        energy = law.normal_fracture_energy * strength / law.normal_strength
        changed = replace(
            law,
            normal_strength=strength,
            shear_strength=strength,
            normal_fracture_energy=energy,
            shear_fracture_energy=energy,
        )
        own = replace(materials, cohesive=changed)
        cases.append(HalfCellRun(name=f"{strength / MPa:g} MPa", materials=own, size=size))
    title = "Strength of the interface"
    study = Study(name="strengths", title=title, cases=cases, trends=trends, figures=figures)
    perform(study, out=out, jobs=jobs, case=case)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

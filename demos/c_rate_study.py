"""Charge and discharge at 0.1C to 2C: a study of your own.

Teaches what a study is: cases that differ in one input, trends to look for, a figure. Finished
cases are not run again, and one that was stopped resumes. `papers/yuan2023` compares more with the
paper::

    mpirun -n 40 python demos/c_rate_study.py --size 0.5 --jobs 8   # groups of 5 ranks
    python demos/c_rate_study.py --case 3                           # one case, for a job array
"""

import sys
from pathlib import Path
from typing import Annotated

import femssb
from femssb import Charge, Discharge, library, plotting
from femssb.studies import HalfCellRun, Study, perform, rising
from femssb.units import hour, um

PANELS = ("Voltage [V]", "Lithium [mol]", "Mean gap [m]", "99 % von Mises stress [Pa]")


def trends(runs):
    def values(key):
        return [run.summary[key] for run in runs.values()]

    return {
        "more lithium stays inside at higher rates": lambda: rising(values("lithium_charge_end")),
        "a larger gap stays open": lambda: rising(values("gap_mean_discharge_end")),
    }


def main(
    rates: Annotated[tuple[float, ...], "C-rates, rising"] = (0.1, 0.5, 1.0, 2.0),
    size: Annotated[float, "um", "mesh size in the particle"] = 0.8 * um,
    jobs: Annotated[int, "cases at a time, which share the ranks"] = 1,
    case: Annotated[int | None, "run this case only, from 1"] = None,
    out: Annotated[str | Path, "folder for the results"] = "results/c_rate_study",
):
    materials = library.yuan2023.materials(values=library.yuan2023.CALIBRATED)
    cases = []
    for rate in rates:
        cycle = (
            Charge(c_rate=rate, until_voltage=4.3),
            Discharge(c_rate=rate, until_voltage=3.0),
        )
        run = HalfCellRun(name=f"{rate:g}C", materials=materials, protocol=cycle, size=size)
        cases.append(run)

    def figures(runs, folder):
        times = {f"{rate:g}C": hour / rate for rate in rates if f"{rate:g}C" in runs}
        return plotting.compare(runs, PANELS, folder / "rates.png", nominal_times=times)

    study = Study(name="rates", title="C-rate", cases=cases, trends=trends, figures=figures)
    perform(study, out=out, jobs=jobs, case=case)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

"""Fit what Yuan 2023 leaves open, once, for all of its cases together, on a coarse mesh.

    mpirun -n 2 python papers/yuan2023/calibrate.py

Free are the modulus of the ecbd, the stress drift volume, the size of the chemical strain and one
factor on the fast diffusivity, each between bounds. Resistance and decay length of the open
interface and the rate constant are as open, but the targets hardly feel them: the resistance is
held where the mean voltage drop obeys the paper's bound, the others as derived. Fitted are the
lithium at both ends for three rates, charge times, the mean gaps of the interface strengths and of
the pressures; maxima and residuals are not. The result is printed as it stands in
`femssb.library.yuan2023`. Every evaluation is kept in the folder, so that a fit that was stopped
starts from its best, and no case is run twice.
"""

import json
import sys
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
from scipy.optimize import least_squares

import femssb
from femssb import Charge, Model, Simulation, mesh
from femssb.library.yuan2023 import Open, materials
from femssb.studies import Cache, Measurement, run
from femssb.units import nm, pmol, um

sys.path.append(str(Path(__file__).parents[2]))  # `papers` is not installed with femssb

from papers.yuan2023 import heterogeneity, pressure, rates, strength
from papers.yuan2023.quantities import read

BOUNDS = {
    "ecbd_modulus": (5e9, 60e9),  # [Pa] stiffer than 12 GPa, 200 MPa do not hold the interface
    "drift_volume": (0.5e-6, 4e-6),  # [m3/mol]
    "strain": (0.0105, 0.0130),  # [-] evidence: femssb.library.yuan2023
    "diffusivity": (1e-14, 2.5e-14),  # [m2/s] one factor on the paper's 1e-14
}
START = Open(
    ecbd_modulus=8e9,  # from the strengths alone
    resistance=5.5e-4,  # so that the mean voltage drop stays below 15 mV (paper 3.3)
    strain=0.0106,
    diffusivity=1.6e-14,
)
# case, key, number of the paper, the difference that counts as one (of its logarithm)
TARGETS = [
    ("0.1C", "lithium_charge_end", 1.666 * pmol, 0.05),
    ("1C", "lithium_charge_end", 3.203 * pmol, 0.05),
    ("2C", "lithium_charge_end", 4.615 * pmol, 0.05),
    ("0.1C", "lithium_discharge_end", 24.518 * pmol, 0.02),
    ("1C", "lithium_discharge_end", 23.647 * pmol, 0.02),
    ("2C", "lithium_discharge_end", 22.772 * pmol, 0.02),
    ("1C", "charge_time", 3103.0, 0.02),
    ("case 2", "charge_time", 3185.0, 0.02),
    ("50 MPa", "gap_mean_charge_end", 19.9 * nm, np.log(1.3)),
    ("1C", "gap_mean_charge_end", 14.3 * nm, np.log(1.3)),
    ("200 MPa", "gap_mean_charge_end", 1.1 * nm, np.log(np.sqrt(10))),
    ("500 MPa", "gap_mean_charge_end", 0.027 * nm, np.log(np.sqrt(10))),
    ("0 MPa outside", "gap_mean_charge_end", 14.3 * nm, 0.15),
    ("15 MPa outside", "gap_mean_charge_end", 12.2 * nm, 0.15),
]
WHOLE = {"0.1C", "1C", "2C"}  # cases whose discharge counts, too
STUDIES = (rates.study, heterogeneity.study, strength.study, pressure.study)
UNFINISHED = 10.0  # residual of a case that could not be solved


def cases(values, size):
    """Return the cases of the targets at some values, without the discharges nobody reads."""
    every = {
        one.name: one for study in STUDIES for one in study(materials(values=values), size).cases
    }
    found = [every[name] for name in dict.fromkeys(name for name, *_ in TARGETS)]
    return [
        case if case.name in WHOLE else replace(case, protocol=_charges(case)) for case in found
    ]


def _charges(case):
    return tuple(step for step in case.protocol if isinstance(step, Charge))


@cache
def meshed(cell, size):
    """Return a mesh on this rank alone, made once."""
    from mpi4py import MPI

    return mesh(cell, size=size, comm=MPI.COMM_SELF)


def solve(case):
    """Return the numbers of a case that are targets."""
    data = meshed(case.cell, case.size)
    model = Model(data, case.materials, collector=case.collector, anode=case.anode)
    solution = Simulation(model, case.protocol).run(progress=False)
    return {key: read(solution, key) for name, key, *_ in TARGETS if name == case.name}


def misfit(values, size, folder, jobs):
    """Return the weighted differences to the targets, the same on every rank.

    Args:
        values: What the paper leaves open.
        size: Mesh size in the particles [m].
        folder: Where results are kept.
        jobs: Cases at a time, if this is one process; each rank takes cases of its own.
    """
    work = [
        Measurement(name=case.name, function=solve, arguments={"case": case}, made_from=case)
        for case in cases(values, size)
    ]
    kept = Cache(folder / "cases")
    run(work, kept, jobs=jobs)
    results = kept.results(work)
    found = [results[name][key] if name in results else None for name, key, *_ in TARGETS]
    residuals = [
        UNFINISHED if ours is None else np.log(max(ours, 1e-30) / paper) / scale
        for ours, (_, _, paper, scale) in zip(found, TARGETS, strict=True)
    ]
    if femssb.is_first_rank():
        entry = {"values": asdict(values), "found": found, "residuals": list(residuals)}
        with (folder / "calibration.jsonl").open("a") as log:
            log.write(json.dumps(entry) + "\n")
        cost = float(np.square(residuals).sum())
        print(f"misfit {cost:8.3f}  {json.dumps(asdict(values))}", flush=True)
    return np.array(residuals, dtype=float)


def values_at(places):
    """Return values at places between their bounds: 1 is the lower one, 2 the upper."""
    found = {
        name: float(low * (high / low) ** (place - 1))
        for place, (name, (low, high)) in zip(places, BOUNDS.items(), strict=True)
    }
    return replace(START, **found)


def best_so_far(log):
    """Return the best values of earlier evaluations, or those to start from."""
    if not log.exists():
        return asdict(START)
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return min(entries, key=lambda entry: np.square(entry["residuals"]).sum())["values"]


def main(
    size: Annotated[float, "um", "mesh size in the particles"] = 1.2 * um,
    jobs: Annotated[int, "cases at a time in one process; ranks take one each"] = 2,
    evaluations: Annotated[int, "stop after so many"] = 60,
    out: Annotated[str | Path, "folder for the results"] = "results/yuan2023_calibration",
):
    folder = Path(out)
    start = best_so_far(folder / "calibration.jsonl")
    first = [
        1 + np.log(start[name] / low) / np.log(high / low) for name, (low, high) in BOUNDS.items()
    ]
    least_squares(
        lambda places: misfit(values_at(places), size, folder, jobs),
        np.clip(first, 1 + 1e-3, 2 - 1e-3),
        bounds=(1.0, 2.0),
        diff_step=0.05,  # wide enough that different time steps do not show
        xtol=1e-3,
        ftol=1e-3,
        max_nfev=max(1, evaluations // (len(BOUNDS) + 1)),
    )
    if femssb.is_first_rank():
        print(json.dumps(best_so_far(folder / "calibration.jsonl"), indent=2))


if __name__ == "__main__":
    sys.exit(femssb.command(main))

"""Fit what paper 002 leaves open, once, for all of its cases together, on a coarse mesh.

    mpirun -n 2 python demos/calibrate_paper002.py

Free are the modulus of the ecbd, the stress drift volume, the size of the chemical strain and one
factor on the fast diffusivity, each between bounds. Resistance and decay length of the open
interface and the rate constant are as open, but the targets hardly feel them: the resistance is
held where the mean voltage drop obeys the paper's bound, the others as derived. Fitted are the
lithium at both ends for three rates, charge times, the mean gaps of the interface strengths and of
the pressures; maxima and residuals are not. The result is printed as it stands in
`femssb.library.yuan2023`; every evaluation is kept in the folder, so that a fit that was stopped
starts from its best.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import femssb.environment.platform

from mpi4py import MPI

import c_rate_study
import heterogeneity_study
import interface_strength_study
import numpy as np
import pressure_study
from paper002 import parser
from scipy.optimize import least_squares

from femssb import Charge, Model, Simulation, library, mesh
from femssb.errors import NotConverged
from femssb.library.yuan2023 import Open
from femssb.units import nm, pmol, um

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
# case, summary key, paper's value, the difference that counts as one (of its logarithm)
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
STUDIES = (c_rate_study, heterogeneity_study, interface_strength_study, pressure_study)
UNFINISHED = 10.0  # residual of a case that could not be solved


def cases(values, size):
    """Return the cases of the targets at some values, without the discharges nobody reads."""
    materials = library.yuan2023.materials(values=values)
    every = {case.name: case for study in STUDIES for case in study.cases(materials, size)}
    found = []
    for name in dict.fromkeys(name for name, *_ in TARGETS):
        case = every[name]
        if name not in WHOLE:
            charges = tuple(step for step in case.protocol if isinstance(step, Charge))
            case = replace(case, protocol=charges)
        found.append(case)
    return found


class Misfit:
    """The weighted differences to the targets, evaluated on all ranks together."""

    def __init__(self, size: float, jobs: int, log: Path) -> None:
        """Mesh once for each group of ranks."""
        self.size, self.log = size, log
        world = MPI.COMM_WORLD
        self.groups = max(1, min(jobs, world.size))
        self.group = world.rank * self.groups // world.size
        self.comm = world.Split(self.group, world.rank)
        self.data = mesh(cases(Open(), size)[0].cell, size=size, comm=self.comm)

    def solve(self, case):
        """Return the summary of a case, empty if it cannot be solved."""
        model = Model(self.data, case.materials, collector=case.collector, anode=case.anode)
        try:
            return Simulation(model, case.protocol).run(progress=False).summary
        except NotConverged:
            return {}

    def __call__(self, places):
        """Return the residuals at places between the bounds, the same on every rank."""
        values = values_at(places)
        mine = {
            case.name: self.solve(case)
            for number, case in enumerate(cases(values, self.size))
            if number % self.groups == self.group
        }
        first = mine if self.comm.rank == 0 else {}
        summaries = {k: v for part in MPI.COMM_WORLD.allgather(first) for k, v in part.items()}
        found = [summaries[name].get(key) for name, key, *_ in TARGETS]
        residuals = [
            UNFINISHED if ours is None else np.log(max(ours, 1e-30) / paper) / scale
            for ours, (_, _, paper, scale) in zip(found, TARGETS, strict=True)
        ]
        if MPI.COMM_WORLD.rank == 0:
            entry = {"values": asdict(values), "found": found, "residuals": list(residuals)}
            with self.log.open("a") as file:
                file.write(json.dumps(entry) + "\n")
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


def main():
    """Fit, and print what belongs into the library."""
    arguments = parser(__doc__)
    arguments.set_defaults(size=1.2, jobs=2)
    arguments.add_argument("--evaluations", type=int, default=60, help="stop after so many")
    given = arguments.parse_args()
    log = Path(given.out) / "calibration.jsonl"
    comm = MPI.COMM_WORLD
    if comm.rank == 0:
        log.parent.mkdir(parents=True, exist_ok=True)
    start = comm.bcast(best_so_far(log) if comm.rank == 0 else None, root=0)
    misfit = Misfit(given.size * um, given.jobs, log)
    first = [
        1 + np.log(start[name] / low) / np.log(high / low) for name, (low, high) in BOUNDS.items()
    ]
    least_squares(
        misfit,
        np.clip(first, 1 + 1e-3, 2 - 1e-3),
        bounds=(1.0, 2.0),
        diff_step=0.05,  # wide enough that time steps chosen otherwise do not show
        xtol=1e-3,
        ftol=1e-3,
        max_nfev=max(1, given.evaluations // (len(BOUNDS) + 1)),
    )
    if comm.rank == 0:
        print(json.dumps(best_so_far(log), indent=2))


if __name__ == "__main__":
    main()

"""Fit what Yuan 2023 leaves open, once, for all of its cases together, on a coarse mesh.

    mpirun -n 2 python papers/yuan2023/calibrate.py

Free are the modulus of the ecbd, size and shape of the chemical strain, stiffness of the interface,
stress drift, one factor on the fast diffusivity, resistance and decay length of the open
interface, each between bounds. Fitted are the lithium at both ends for all rates, the times of
cases 1 and 2, the gaps at 2200 s and at both ends, the residual stresses, the four strengths and
the pressures; a difference counts as one where it fills the band that is asked of it.

The result is printed as it stands in `femssb.library.yuan2023`, with what the numbers of the paper
say about each value: how far it can go, all others following, before the misfit has grown by one,
as the derivatives have it and, of the values in `--profiles`, as runs at both ends have it.
The derivatives are taken once, by differences on a coarser mesh and with larger time steps, and
then follow the misfits themselves (Broyden): only these are computed at the size asked for.

Every case is kept in the folder and none is run twice: a fit that was stopped, or that is given
more iterations, runs through what it has and goes on from there.
"""

import json
import sys
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from scipy.optimize import least_squares

import femssb
from femssb import Charge, Model, Simulation, Stepping, mesh
from femssb.library.yuan2023 import CALIBRATED, materials
from femssb.studies import Cache, Measurement, Table, run, write_page
from femssb.units import nm, pmol, um

sys.path.append(str(Path(__file__).parents[2]))  # `papers` is not installed with femssb

from papers.yuan2023 import heterogeneity, pressure, rates, strength
from papers.yuan2023.quantities import read

BOUNDS = {
    "ecbd_modulus": (5e9, 60e9),  # [Pa]
    "strain": (0.0100, 0.0130),  # [-] evidence: femssb.library.yuan2023
    "strain_early": (0.05, 0.6),  # [-]
    "strain_onset": (0.005, 0.3),  # [-]
    "strain_exponent": (1.5, 8.0),  # [-]
    "plateau": (0.03, 0.22),  # [-] the lithium at which the charge at 0.1C ends, to the first guess
    "cohesive_stiffness": (1e18, 1e19),  # [Pa/m] 0.1 to 0.3 GPa open 0.027 nm at 500 MPa
    "drift_volume": (0.5e-6, 4e-6),  # [m3/mol]
    "diffusivity": (1e-14, 2.5e-14),  # [m2/s] one factor on the paper's 1e-14
    "resistance": (2e-4, 1e-3),  # [ohm m2]
    "decay_length": (6e-9, 20e-9),  # [m]
}
Name = Literal[
    "ecbd_modulus",
    "strain",
    "strain_early",
    "strain_onset",
    "strain_exponent",
    "plateau",
    "cohesive_stiffness",
    "drift_volume",
    "diffusivity",
    "resistance",
    "decay_length",
]
START = CALIBRATED  # a fit goes on from what stands
COARSER = 5 / 3  # mesh size of the derivatives over that of the misfits
LARGER = Stepping(stoichiometry_error=4e-4, voltage_error=8e-3, jump_error=0.05)  # theirs
LITHIUM, TIME, GAP, RESIDUAL = 0.05, 0.02, 0.15, np.log(1.5)  # bands, of the logarithm
TARGETS = [  # case, key, number of the paper, the difference that counts as one
    ("0.1C", "lithium_charge_end", 1.666 * pmol, LITHIUM),
    ("0.5C", "lithium_charge_end", 2.362 * pmol, LITHIUM),
    ("1C", "lithium_charge_end", 3.203 * pmol, LITHIUM),
    ("2C", "lithium_charge_end", 4.615 * pmol, LITHIUM),
    ("0.1C", "lithium_discharge_end", 24.518 * pmol, 0.02),
    ("0.5C", "lithium_discharge_end", 24.058 * pmol, 0.02),
    ("1C", "lithium_discharge_end", 23.647 * pmol, 0.02),
    ("2C", "lithium_discharge_end", 22.772 * pmol, 0.02),
    ("1C", "charge_time", 3103.0, TIME),
    ("1C", "discharge_time", 3008.0, TIME),
    ("case 2", "charge_time", 3185.0, TIME),
    ("case 2", "discharge_time", 3155.0, TIME),
    ("1C", "Mean gap [m] at 2200", 0.3 * nm, RESIDUAL),
    ("1C", "Maximum gap [m] at 2200", 6.8 * nm, RESIDUAL),
    ("1C", "gap_mean_charge_end", 14.3 * nm, GAP),
    ("1C", "gap_max_charge_end", 55 * nm, GAP),
    ("2C", "gap_mean_charge_end", 13.5 * nm, GAP),
    ("2C", "gap_max_charge_end", 52.5 * nm, GAP),
    ("0.1C", "gap_mean_discharge_end", 0.010 * nm, RESIDUAL),
    ("0.5C", "gap_mean_discharge_end", 0.052 * nm, RESIDUAL),
    ("1C", "gap_mean_discharge_end", 0.255 * nm, RESIDUAL),
    ("2C", "gap_mean_discharge_end", 0.762 * nm, RESIDUAL),
    ("case 2", "gap_mean_discharge_end", 0.092 * nm, RESIDUAL),
    ("0.1C", "gap_max_discharge_end", 0.036 * nm, RESIDUAL),
    ("0.5C", "gap_max_discharge_end", 0.181 * nm, RESIDUAL),
    ("1C", "gap_max_discharge_end", 0.889 * nm, RESIDUAL),
    ("2C", "gap_max_discharge_end", 2.688 * nm, RESIDUAL),
    ("0.1C", "von_mises_max_discharge_end", 3e6, RESIDUAL),
    ("0.5C", "von_mises_max_discharge_end", 48e6, RESIDUAL),
    ("1C", "von_mises_max_discharge_end", 166e6, RESIDUAL),
    ("2C", "von_mises_max_discharge_end", 327e6, RESIDUAL),
    ("case 2", "von_mises_max_discharge_end", 69e6, RESIDUAL),
    ("50 MPa", "gap_mean_charge_end", 19.9 * nm, GAP),
    ("200 MPa", "gap_mean_charge_end", 1.1 * nm, RESIDUAL),
    ("500 MPa", "gap_mean_charge_end", 0.027 * nm, GAP),
    ("50 MPa", "peak Mean interface voltage drop [V]", 0.015, None),  # an upper bound
    ("0 MPa outside", "gap_mean_charge_end", 14.3 * nm, GAP),
    ("5 MPa outside", "gap_mean_charge_end", 12.8 * nm, GAP),
    ("10 MPa outside", "gap_mean_charge_end", 12.5 * nm, GAP),
    ("15 MPa outside", "gap_mean_charge_end", 12.2 * nm, GAP),
]
BETWEEN = {  # on the coarser mesh the mean of two neighbours stands for a case
    "0.5C": ("0.1C", "1C"),
    "5 MPa outside": ("0 MPa outside", "15 MPa outside"),
    "10 MPa outside": ("0 MPa outside", "15 MPa outside"),
}
WHOLE = {"0.1C", "0.5C", "1C", "2C", "case 2"}  # cases whose discharge counts, too
STUDIES = (rates.study, heterogeneity.study, strength.study, pressure.study)
UNFINISHED = 10.0  # residual of a case that could not be solved
ASIDE = 0.05  # step of a difference quotient, of the way between the bounds


def cases(values, size, stepping=None):
    """Return the cases of the targets at some values, without the discharges nobody reads."""
    stepping = stepping or Stepping()
    every = {
        one.name: one for study in STUDIES for one in study(materials(values=values), size).cases
    }
    found = [every[name] for name in dict.fromkeys(name for name, *_ in TARGETS)]
    return [replace(case, protocol=_read(case), stepping=stepping) for case in found]


def _read(case):
    """Return the steps of a case that targets are read from."""
    charges = tuple(step for step in case.protocol if isinstance(step, Charge))
    return case.protocol if case.name in WHOLE else charges


@cache
def meshed(cell, size):
    """Return a mesh on this rank alone, made once."""
    from mpi4py import MPI

    return mesh(cell, size=size, comm=MPI.COMM_SELF)


def solve(case):
    """Return the numbers of a case that are targets."""
    data = meshed(case.cell, case.size)
    model = Model(data, case.materials, collector=case.collector, anode=case.anode)
    solution = Simulation(model, case.protocol, stepping=case.stepping).run(progress=False)
    return {key: read(solution, key) for name, key, *_ in TARGETS if name == case.name}


def misfits(points, size, folder, jobs, *, stepping=None, left_out=()):
    """Return the weighted differences to the targets at some values, the same on every rank.

    Args:
        points: What the paper leaves open, one or more sets of it; their cases run side by side.
        size: Mesh size in the particles [m].
        folder: Where results are kept.
        jobs: Cases at a time, if this is one process; each rank takes cases of its own.
        stepping: How time steps are chosen; None for the default.
        left_out: Cases that are not run; their differences are nan.

    Returns:
        Shape (points, targets).
    """
    work = [
        Measurement(
            name=f"{place} {case.name}", function=solve, arguments={"case": case}, made_from=case
        )
        for place, values in enumerate(points)
        for case in cases(values, size, stepping)
        if case.name not in left_out
    ]
    kept = Cache(folder / "cases")
    run(work, kept, jobs=jobs)
    results = kept.results(work)
    rows = []
    for place, values in enumerate(points):
        found = [
            results[f"{place} {name}"][key] if f"{place} {name}" in results else None
            for name, key, *_ in TARGETS
        ]
        rows.append(
            [
                np.nan if row[0] in left_out else _residual(ours, *row[2:])
                for ours, row in zip(found, TARGETS, strict=True)
            ]
        )
        if femssb.is_first_rank():
            entry = {"values": asdict(values), "found": found, "residuals": rows[-1], "size": size}
            with (folder / "calibration.jsonl").open("a") as log:
                log.write(json.dumps(entry) + "\n")
            whole = misfit(np.array(rows[-1]))
            print(f"misfit {whole:8.3f}  {json.dumps(asdict(values))}", flush=True)
    return np.array(rows)


def _residual(ours, paper, scale):
    """Return a difference over the one that counts as one."""
    if ours is None:
        return UNFINISHED
    distance = float(np.log(max(ours, 1e-30) / paper))
    return max(distance, 0.0) / TIME if scale is None else distance / scale


def values_at(places):
    """Return values at places between their bounds: 1 is the lower one, 2 the upper."""
    found = {
        name: float(low * (high / low) ** (place - 1))
        for place, (name, (low, high)) in zip(places, BOUNDS.items(), strict=True)
    }
    return replace(START, **found)


def places_of(values):
    """Return the places of values between their bounds, the inverse of `values_at`."""
    return np.array(
        [
            1 + np.log(getattr(values, name) / low) / np.log(high / low)
            for name, (low, high) in BOUNDS.items()
        ]
    )


def slopes(places, residuals, measure):
    """Return the derivatives of the residuals to the places, by forward differences inwards."""
    aside = np.where(places < 1.5, ASIDE, -ASIDE)
    moved = measure([values_at(places + row) for row in np.diag(aside)])
    return (moved - residuals).T / aside


def bridged(residuals):
    """Return residuals, shape (points, targets), with those of cases in `BETWEEN` filled in."""
    at = {target[:2]: column for column, target in enumerate(TARGETS)}
    found = residuals.copy()
    for (name, key), column in at.items():
        if name in BETWEEN:
            found[:, column] = found[:, [at[one, key] for one in BETWEEN[name]]].mean(axis=1)
    return found


class Slopes:
    """Derivatives that are taken by differences once and then follow the misfits (Broyden)."""

    def __init__(self, coarse):
        """Keep how misfits on the coarser mesh are found, for places in rows."""
        self.coarse, self.last, self.jacobian = coarse, None, None

    def __call__(self, places, residuals):
        """Return the derivatives at places with these misfits, shape (targets, values)."""
        if self.last is None:
            here = self.coarse([values_at(places)])[0]
            self.jacobian = slopes(places, here, self.coarse)
        else:
            step, change = places - self.last[0], residuals - self.last[1]
            if step.any():
                wrong = change - self.jacobian @ step
                self.jacobian = self.jacobian + np.outer(wrong, step) / (step @ step)
        self.last = places.copy(), residuals.copy()
        return self.jacobian.copy()  # SciPy weights it in place


def profile(jacobian, places, grown):
    """Return how far each value can go before the misfit has grown by one, the others following.

    Args:
        jacobian: Of the residuals at the best places, shape (targets, values).
        places: The best, shape (values,).
        grown: By how much the misfit grows at lower and upper end, from runs; a mapping from names
            of values to pairs.

    Returns:
        Rows of a table: name, value, from, to, whether the targets determine it (an interval that
        is no wider than half of the way between its bounds), and the growth at the ends.
    """
    half = np.sqrt(np.diag(np.linalg.pinv(jacobian.T @ jacobian)))
    flat = np.linalg.norm(jacobian, axis=0) < 1e-6  # no target feels it
    rows = []
    for name, place, reach, lost in zip(BOUNDS, places, half, flat, strict=True):
        low, high = BOUNDS[name]
        ends = np.clip([place - reach, place + reach], 1, 2) if not lost else np.array([1.0, 2.0])
        value, least, most = (low * (high / low) ** (x - 1) for x in (place, *ends))
        determined = "yes" if ends[1] - ends[0] <= 0.5 else "no"
        runs = " / ".join(f"{more:.1f}" for more in grown[name]) if name in grown else "-"
        rows.append([name, *(f"{x:.4g}" for x in (value, least, most)), determined, runs])
    return rows


def followed(jacobian, places, name):
    """Return the places at both ends of the interval of a value, the others following."""
    covariance = np.linalg.pinv(jacobian.T @ jacobian)
    k = list(BOUNDS).index(name)
    move = covariance[k] / np.sqrt(covariance[k, k])
    return [np.clip(places + sign * move, 1, 2) for sign in (-1, 1)]


def misfit(residuals):
    """Return the sum that is made small: squares, of large residuals only their size."""
    return 2 * np.nansum(np.sqrt(1 + np.square(residuals)) - 1, axis=-1)


def main(
    size: Annotated[float, "um", "mesh size in the particles"] = 1.2 * um,
    jobs: Annotated[int, "cases at a time in one process; ranks take one each"] = 2,
    iterations: Annotated[int, "of Gauss and Newton, at most, after the derivatives"] = 8,
    profiles: Annotated[tuple[Name, ...], "values whose intervals are tried at both ends"] = (),
    out: Annotated[str | Path, "folder for the results"] = "results/yuan2023_calibration",
):
    folder = Path(out)

    @cache
    def measured(*places):
        return misfits([values_at(places)], size, folder, jobs)[0]

    def coarse(points):
        found = misfits(points, COARSER * size, folder, jobs, stepping=LARGER, left_out=(*BETWEEN,))
        return bridged(found)

    derivatives = Slopes(coarse)
    found = least_squares(
        lambda places: measured(*places),
        np.clip(places_of(START), 1 + 1e-3, 2 - 1e-3),
        jac=lambda places: derivatives(places, measured(*places)),
        bounds=(1.0, 2.0),
        loss="soft_l1",  # a row that the model cannot reach must not spoil the others
        xtol=3e-3,
        ftol=3e-3,
        max_nfev=iterations,
    )
    best = measured(*found.x)
    tried = [x for name in profiles for x in followed(found.jac, found.x, name)]
    here, *there = coarse([values_at(places) for places in (found.x, *tried)]) if tried else [best]
    growth = misfit(best + np.array(there).reshape(-1, len(best)) - here) - misfit(best)
    grown = dict(zip(profiles, growth.reshape(-1, 2), strict=True))
    if femssb.is_first_rank():
        rows = profile(found.jac, found.x, grown)
        head = ["value", "best", "from", "to", "determined", "misfit grows at the ends, by runs"]
        fit = [[name, key, f"{r:+.2f}"] for (name, key, *_), r in zip(TARGETS, best, strict=True)]
        print(json.dumps(asdict(values_at(found.x)), indent=2))
        blocks = [Table(head, rows), Table(["case", "number", "misfit over its band"], fit)]
        write_page(folder / "README", "Yuan 2023 calibrated", blocks)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

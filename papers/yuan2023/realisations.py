"""How much of what paper 002 reports is one realisation, one mesh, one choice of time steps?

The baseline on eight seeds of tessellation and orientations, on finer and coarser meshes and with
tighter tolerances; means and spreads of every headline number.
"""

from dataclasses import replace

import numpy as np
from comparison_page import Table
from paper002 import Case, Study, main

from femssb import HalfCell, Polycrystal, plotting
from femssb.cell.coupling import Tolerances
from femssb.run.stepping import Stepping

SEEDS = range(1, 9)
FACTORS = {"mesh 1.5 times coarser": 1.5, "mesh 0.7 times": 0.7}  # of the mesh size
FINE = {  # a quarter of the errors that steps and exchange may make by default
    "stepping": Stepping(stoichiometry_error=2.5e-5, voltage_error=5e-4, largest=60.0),
    "tolerances": Tolerances(current=1e-10, force=1e-7, exchange=1e-4),
}
HEADLINES = (
    "charge_time",
    "discharge_time",
    "coulombic_efficiency",
    "lithium_charge_end",
    "lithium_discharge_end",
    *(
        f"{name}_{half}_end"
        for half in ("charge", "discharge")
        for name in (
            "gap_mean",
            "gap_max",
            "von_mises_max",
            "von_mises_p999",
            "von_mises_p99",
            "volumetric_strain_max",
            "volumetric_strain_p999",
        )
    ),
)


def named(seed):
    """Return the name of a realisation; the first is the baseline."""
    return "1C" if seed == 1 else f"seed {seed}"


def cases(materials, size):
    """Return realisations, meshes and tolerances."""
    found = [
        Case(
            name=named(seed),
            materials=materials,
            size=size,
            cell=HalfCell(particles=(Polycrystal(seed=seed),)),
        )
        for seed in SEEDS
    ]
    base = found[0]
    found += [replace(base, name=name, size=size * factor) for name, factor in FACTORS.items()]
    return [*found, replace(base, name="small steps", **FINE)]


def trends(runs):
    """Return what must not depend on the numerics: 1 % of the scale of each headline number."""
    base = runs.get("1C")
    robust = [key for key in HEADLINES if "max" not in key and "discharge_end" not in key]
    found = []
    for name, share in (("small steps", 0.002), ("mesh 0.7 times", 0.05)):
        if base is None or name not in runs:
            continue
        worst = max(abs(runs[name].summary[key] / base.summary[key] - 1) for key in robust)
        found.append(
            (f"{name}: times, lithium, mean gap, quantiles within {share:.1%}", worst < share)
        )
    return found


def draw(runs, path):
    """Draw the realisations."""
    shown = {f"seed {seed}": runs[named(seed)] for seed in SEEDS if named(seed) in runs}
    columns = ["Voltage [V]", "Mean gap [m]", "Maximum gap [m]", "99 % von Mises stress [Pa]"]
    return plotting.compare(shown, columns, path)


def table(runs):
    """Return mean and spread of the realisations, and what mesh and steps change in the first."""
    shown = [runs[named(seed)] for seed in SEEDS if named(seed) in runs]
    others = {name: runs[name] for name in (*FACTORS, "small steps") if name in runs}
    rows = []
    for key in HEADLINES:
        values = np.array([run.summary[key] for run in shown])
        spread = values.std(ddof=1) if len(values) > 1 else np.nan
        numbers = [values.mean(), spread, values.min(), values.max(), shown[0].summary[key]]
        numbers += [run.summary[key] for run in others.values()]
        rows.append([key, *(f"{value:.5g}" for value in numbers)])
    head = ["number (SI)", "mean", "standard deviation", "lowest", "highest", "seed 1", *others]
    return Table(head, rows)


STUDY = Study(
    name="realisations",
    title="Realisations and convergence",
    cases=cases,
    trends=trends,
    draw=draw,
    table=table,
)

if __name__ == "__main__":
    main(STUDY, __doc__)

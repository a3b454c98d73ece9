"""How much of what the paper reports is one realisation, one mesh, one choice of time steps?

The baseline on eight seeds of tessellation and orientations, on finer and coarser meshes and with
tighter tolerances; means and spreads of every headline number.
"""

from dataclasses import replace

import numpy as np

from femssb import HalfCell, Polycrystal, Stepping, Tolerances, plotting
from femssb.studies import HalfCellRun, Table
from papers.yuan2023.quantities import paper_study, read

SEEDS = {"1C": 1, **{f"seed {seed}": seed for seed in range(2, 9)}}  # the first is the baseline
FACTORS = {"mesh 1.5 times coarser": 1.5, "mesh 0.7 times": 0.7}  # of the mesh size
FINE = {  # a quarter of the errors that steps and exchange may make by default
    "stepping": Stepping(stoichiometry_error=2.5e-5, voltage_error=5e-4, largest=60.0),
    "tolerances": Tolerances(current=1e-10, force=1e-7, exchange=1e-4),
}
HEADLINES = (
    "charge_time",
    "discharge_time",
    "discharge_over_charge_time",
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
            "volumetric_strain_min",
            "volumetric_strain_p001",
        )
    ),
)


def study(materials, size):
    """Return the study of realisations, meshes and tolerances."""
    cases = [
        HalfCellRun(
            name=name,
            materials=materials,
            size=size,
            cell=HalfCell(particles=(Polycrystal(seed=seed),)),
        )
        for name, seed in SEEDS.items()
    ]
    base = cases[0]
    cases += [replace(base, name=name, size=size * factor) for name, factor in FACTORS.items()]
    return paper_study(
        "realisations",
        title="Realisations and convergence",
        cases=[*cases, replace(base, name="small steps", **FINE)],
        trends=trends,
        figures=figures,
        tables=tables,
    )


def trends(runs):
    """Return what must not depend on the numerics: 1 % of the scale of each headline number."""
    fickle = ("_max_", "_min_", "discharge_end")  # extremes, and small differences
    robust = [key for key in HEADLINES if not any(word in key for word in fickle)]

    def worst(name):
        ratios = [read(runs[name], key) / read(runs["1C"], key) for key in robust]
        return max(abs(ratio - 1) for ratio in ratios)

    return {
        f"{name}: times, lithium, mean gap, quantiles within {share:.1%}": (
            lambda name=name, share=share: worst(name) < share
        )
        for name, share in (("small steps", 0.002), ("mesh 0.7 times", 0.05))
    }


def figures(runs, folder):
    """Draw the realisations."""
    shown = {f"seed {seed}": runs[name] for name, seed in SEEDS.items() if name in runs}
    columns = ["Voltage [V]", "Mean gap [m]", "Maximum gap [m]", "99 % von Mises stress [Pa]"]
    return plotting.compare(shown, columns, folder / "figure.png")


def tables(runs):
    """Return mean and spread of the realisations, and what mesh and steps change in the first."""
    shown = [runs[name] for name in SEEDS if name in runs]
    others = {name: runs[name] for name in (*FACTORS, "small steps") if name in runs}
    rows = []
    for key in HEADLINES:
        values = np.array([read(run, key) for run in shown])
        spread = values.std(ddof=1) if len(values) > 1 else np.nan
        numbers = [values.mean(), spread, values.min(), values.max(), values[0]]
        numbers += [read(run, key) for run in others.values()]
        rows.append([key, *(f"{value:.5g}" for value in numbers)])
    head = ["number (SI)", "mean", "standard deviation", "lowest", "highest", "seed 1", *others]
    return [Table(head, rows)]

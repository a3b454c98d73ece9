"""The same cell with a liquid in place of the solid electrolyte.

Section 2 says of Figure S2 that gap and stress are lower. The liquid is so soft that it follows
the particle, and wets it: neither strength nor resistance of the interface depends on a gap.
"""

from dataclasses import replace

from femssb import Couplings, Elasticity, plotting
from femssb.studies import HalfCellRun
from femssb.units import MPa
from papers.yuan2023.quantities import grows, paper_study

SOFT = Elasticity(young_modulus=1 * MPa, poisson_ratio=0.3)  # a stand-in: statics of a liquid
NAMES = ["liquid", "1C"]


def study(materials, size):
    """Return the study of the liquid and the baseline."""
    liquid = HalfCellRun(
        name="liquid",
        materials=replace(materials, ecbd=replace(materials.ecbd, elasticity=SOFT)),
        size=size,
        couplings=Couplings(gap_resistance=False, debonding=False),
    )
    return paper_study(
        "liquid_electrolyte",
        title="Liquid electrolyte",
        cases=[liquid, HalfCellRun(name="1C", materials=materials, size=size)],
        trends=trends,
        figures=figures,
    )


def trends(runs):
    """Return the trends of Figure S2."""
    return {
        "gap lower in the liquid": grows(runs, "gap_mean_charge_end", NAMES),
        "particle stress lower in the liquid (99 % quantile)": grows(
            runs, "von_mises_p99_charge_end", NAMES
        ),
    }


def figures(runs, folder):
    """Draw voltage, gap and stress."""
    shown = {"liquid" if name == "liquid" else "solid": run for name, run in runs.items()}
    columns = ["Voltage [V]", "Lithium [mol]", "Mean gap [m]", "99 % von Mises stress [Pa]"]
    return plotting.compare(shown, columns, folder / "figure.png")

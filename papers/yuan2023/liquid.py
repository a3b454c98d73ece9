"""The same cell with a liquid in place of the solid electrolyte.

What paper 002, section 2, says of Figure S2: gap and stress are lower. The liquid is so soft that
it follows the particle, and wets it: neither strength nor resistance of the interface knows a gap.
"""

from dataclasses import replace

from paper002 import Case, Study, main, rising

from femssb import plotting
from femssb.cell.model import Couplings
from femssb.inputs.materials import Elasticity
from femssb.units import MPa

SOFT = Elasticity(young_modulus=1 * MPa, poisson_ratio=0.3)  # a stand-in: statics of a liquid
NAMES = ["liquid", "1C"]


def cases(materials, size):
    """Return the liquid and the baseline."""
    wet = replace(materials, ecbd=replace(materials.ecbd, elasticity=SOFT))
    liquid = Case(
        name="liquid",
        materials=wet,
        size=size,
        couplings=Couplings(gap_resistance=False, debonding=False),
    )
    return [liquid, Case(name="1C", materials=materials, size=size)]


def trends(runs):
    """Return the trends of Figure S2."""
    return [
        rising(runs, "gap lower in the liquid", "gap_mean_charge_end", NAMES),
        rising(
            runs,
            "particle stress lower in the liquid (99 % quantile)",
            "von_mises_p99_charge_end",
            NAMES,
        ),
    ]


def draw(runs, path):
    """Draw voltage, gap and stress."""
    shown = {"liquid" if name == "liquid" else "solid": run for name, run in runs.items()}
    columns = ["Voltage [V]", "Lithium [mol]", "Mean gap [m]", "99 % von Mises stress [Pa]"]
    return plotting.compare(shown, columns, path)


STUDY = Study(
    name="liquid_electrolyte", title="Liquid electrolyte", cases=cases, trends=trends, draw=draw
)

if __name__ == "__main__":
    main(STUDY, __doc__)

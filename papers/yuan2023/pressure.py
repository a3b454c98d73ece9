"""External pressure: 0, 5, 10 and 15 MPa on the collector, the anode face held.

The statement of section 2 about Figure S4. The baseline holds the collector instead and leaves the
anode face free, so 0 MPa here is another case than the baseline.
"""

from femssb import Fixed, Pressure, plotting
from femssb.studies import HalfCellRun
from femssb.units import MPa
from papers.yuan2023.quantities import grows, marks, paper_study

PRESSURES = {f"{pressure} MPa outside": pressure * MPa for pressure in (0, 5, 10, 15)}
NOTES = (
    "The paper's slope from 5 to 15 MPa is 0.06 nm/MPa. The mean gap of a particle that has "
    "debonded altogether (strength 50 MPa) falls by 0.22 nm/MPa in an ecbd of 14 GPa and by 0.11 "
    "in one of 31 GPa, in inverse proportion: the slope asks for some 57 GPa. In such an ecbd an "
    "interface of 200 MPa opens by 17 nm instead of the paper's 1.1: the two contradict each "
    "other here, and the strengths are matched.",
    "The paper's value for 0 MPa is that of its baseline, which is held at the other face. With "
    "the anode held the mean gap is 14.8 instead of 16.6 nm at no pressure: most of the paper's "
    "first step, 1.5 nm, is the change of support.",
)


def study(materials, size):
    """Return the study of the four pressures."""
    cases = [
        HalfCellRun(
            name=name,
            materials=materials,
            size=size,
            collector=Pressure(pressure=pressure),
            anode=Fixed(),
        )
        for name, pressure in PRESSURES.items()
    ]
    return paper_study(
        "pressure",
        title="External pressure",
        cases=cases,
        trends=trends,
        figures=figures,
        notes=NOTES,
    )


def trends(runs):
    """Return the trend of Figure S4."""
    fall = grows(runs, "gap_mean_charge_end", list(PRESSURES), -1)
    return {"pressure lowers the mean gap at charge end": fall}


def figures(runs, folder):
    """Draw the gaps."""
    columns = ["Mean gap [m]", "Maximum gap [m]"]
    reference = marks("pressure", {name: name for name in runs}, columns)
    return plotting.compare(runs, columns, folder / "figure.png", reference=reference)

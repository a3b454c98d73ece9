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
    "The paper's series asks for two moduli of the ecbd: its slope of 0.06 nm/MPa from 5 to 15 "
    "MPa for about 31 GPa, the gaps of its interface strengths for about 10 GPa. Its value for "
    "0 MPa is that of its baseline, which is held at the other face.",
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

"""External pressure: 0, 5, 10 and 15 MPa on the collector, the anode face held.

What the text of paper 002, section 2, says of Figure S4. The baseline holds the collector instead
and leaves the anode face free, so 0 MPa here is another case than the baseline.
"""

from paper002 import Case, Study, main, references, rising

from femssb import plotting
from femssb.inputs.boundary import Fixed, Pressure
from femssb.units import MPa

PRESSURES = (0, 5, 10, 15)
NAMES = [f"{pressure} MPa outside" for pressure in PRESSURES]


def cases(materials, size):
    """Return the four pressures."""
    return [
        Case(
            name=name,
            materials=materials,
            size=size,
            collector=Pressure(pressure=pressure * MPa),
            anode=Fixed(),
        )
        for name, pressure in zip(NAMES, PRESSURES, strict=True)
    ]


def trends(runs):
    """Return the trend of Figure S4."""
    return [
        rising(runs, "pressure lowers the mean gap at charge end", "gap_mean_charge_end", NAMES, -1)
    ]


def draw(runs, path):
    """Draw the gaps."""
    columns = ["Mean gap [m]", "Maximum gap [m]"]
    marks = references("pressure", {name: name for name in runs}, columns)
    return plotting.compare(runs, columns, path, reference=marks)


STUDY = Study(
    name="pressure",
    title="External pressure",
    cases=cases,
    trends=trends,
    draw=draw,
    notes=(
        "The paper's series asks for two moduli of the ecbd: its slope of 0.06 nm/MPa from 5 to 15 "
        "MPa for about 31 GPa, the gaps of its interface strengths for about 10 GPa. Its value for "
        "0 MPa is that of its baseline, which is held at the other face.",
    ),
)

if __name__ == "__main__":
    main(STUDY, __doc__)

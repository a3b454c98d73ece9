"""Two particles, 12 um apart along the current: P1 nearer the anode, P2 nearer the collector.

Section 3.4 and Figure 6 of paper 002. Both are the same particle, so that only the place differs.
"""

from paper002 import Case, Study, ahead, main, references

from femssb import HalfCell, Polycrystal, plotting
from femssb.units import um

CELL = HalfCell(
    cathode=27 * um,
    particles=(
        Polycrystal(centre=(0.0, 0.0, 19.5 * um)),
        Polycrystal(centre=(0.0, 0.0, 7.5 * um)),
    ),
)
MIDDLE = (1200.0, 2200.0)  # of the charge, where the paper compares strain and stress [s]
NAME = "two particles"


def cases(materials, size):
    """Return the one case."""
    return [Case(name=NAME, materials=materials, size=size, cell=CELL)]


def trends(runs):
    """Return the trends of section 3.4."""
    if NAME not in runs:
        return []
    run = runs[NAME]
    charge, discharge = run.steps
    mean, largest = (
        [run.series[f"{kind} gap of particle {k} [m]"].max() for k in (1, 2)]
        for kind in ("Mean", "Maximum")
    )
    lithium, strain, stress = (
        "Lithium in particle k [mol]",
        "0.1 % volumetric strain of particle k [-]",
        "99 % von Mises stress of particle k [Pa]",
    )
    end = discharge.end_time
    return [
        (
            "P1 holds less lithium early in the charge",
            ahead(run, lithium, 0.0, 0.5 * charge.end_time) < 0,
        ),
        ("P1 holds more lithium at discharge end", ahead(run, lithium, end - 1, end) > 0),
        ("peak of the mean gap of P1 larger than of P2", mean[0] > mean[1]),
        ("peak of the largest gap of P1 larger than of P2", largest[0] > largest[1]),
        (
            "strain larger in P1 from 1200 to 2200 s (0.1 % quantile)",
            ahead(run, strain, *MIDDLE) < 0,
        ),
        (
            "stress larger in P1 from 1200 to 2200 s (99 % quantile)",
            ahead(run, stress, *MIDDLE) > 0,
        ),
    ]


def draw(runs, path):
    """Draw Figure 6."""
    columns = [
        "Lithium in particle k [mol]",
        "Maximum gap of particle k [m]",
        "Minimum volumetric strain of particle k [-]",
        "Maximum von Mises stress of particle k [Pa]",
    ]
    marks = references("particle_position", {name: name for name in runs}, columns)
    curves = plotting.compare(runs, columns, path, reference=marks)
    return curves + plotting.compare_cells(runs, path.with_name(f"cell_{path.name}"))


STUDY = Study(
    name="particle_position",
    title="Particle position",
    cases=cases,
    trends=trends,
    draw=draw,
    notes=(
        "The paper does not say which current two particles share: here 1C moves all the lithium "
        "of both in an hour, so each carries what the single particle does. The largest gap is one "
        "point of the interface; the mean gap tells the particles apart more surely.",
    ),
)

if __name__ == "__main__":
    main(STUDY, __doc__)

"""Two particles, 12 um apart along the current: P1 nearer the anode, P2 nearer the collector.

Section 3.4 and Figure 6. Both are the same particle, so that only the place differs.
"""

from femssb import HalfCell, Polycrystal, plotting
from femssb.studies import HalfCellRun
from femssb.units import um
from papers.yuan2023.quantities import ahead, marks, paper_study, read

CELL = HalfCell(
    cathode=27 * um,
    particles=(
        Polycrystal(centre=(0.0, 0.0, 19.5 * um)),
        Polycrystal(centre=(0.0, 0.0, 7.5 * um)),
    ),
)
MIDDLE = (1200.0, 2200.0)  # of the charge, where the paper compares strain and stress [s]
NAME = "two particles"
LITHIUM = "Lithium in particle k [mol]"
STRAIN = "0.1 % volumetric strain of particle k [-]"
STRESS = "99 % von Mises stress of particle k [Pa]"
NOTES = (
    "The paper does not say which current two particles share: here 1C moves all the lithium "
    "of both in an hour, so each carries as much as the single particle. The largest gap is one "
    "point of the interface; the mean gap tells the particles apart more surely.",
)


def study(materials, size):
    """Return the study of the one case."""
    return paper_study(
        "particle_position",
        title="Particle position",
        cases=[HalfCellRun(name=NAME, materials=materials, size=size, cell=CELL)],
        trends=trends,
        figures=figures,
        notes=NOTES,
    )


def trends(runs):
    """Return the trends of section 3.4."""

    def lead(column, start, end):
        return ahead(runs[NAME], column, start, end)

    def larger(column):
        peaks = [read(runs[NAME], f"peak {column} of particle {k} [m]") for k in (1, 2)]
        return peaks[0] > peaks[1]

    def end(step):
        return runs[NAME].steps[step].end_time

    return {
        "P1 holds less lithium early in the charge": lambda: lead(LITHIUM, 0.0, 0.5 * end(0)) < 0,
        "P1 holds more lithium at discharge end": lambda: lead(LITHIUM, end(1) - 1, end(1)) > 0,
        "peak of the mean gap of P1 larger than of P2": lambda: larger("Mean gap"),
        "peak of the largest gap of P1 larger than of P2": lambda: larger("Maximum gap"),
        "strain larger in P1 from 1200 to 2200 s (0.1 % quantile)": lambda: (
            lead(STRAIN, *MIDDLE) < 0
        ),
        "stress larger in P1 from 1200 to 2200 s (99 % quantile)": lambda: (
            lead(STRESS, *MIDDLE) > 0
        ),
    }


def figures(runs, folder):
    """Draw Figure 6."""
    columns = [
        LITHIUM,
        "Maximum gap of particle k [m]",
        "Minimum volumetric strain of particle k [-]",
        "Maximum von Mises stress of particle k [Pa]",
    ]
    reference = marks("particle_position", {name: name for name in runs}, columns)
    curves = plotting.compare(runs, columns, folder / "figure.png", reference=reference)
    return curves + plotting.compare_cells(runs, folder / "cell.png")

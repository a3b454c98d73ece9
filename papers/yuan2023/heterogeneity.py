"""Four cases of anisotropy: of the diffusivity, and of the chemical strain.

Section 3.2 and Figure 4. Case 1 is the baseline; cases 2 to 4 diffuse the same in all directions
and expand by 1 : 1 : -1, 1 : 1 : -0.5 and 1 : 1 : 0 along the crystal axes.
"""

from dataclasses import replace

from femssb import plotting
from femssb.studies import HalfCellRun, near
from papers.yuan2023.quantities import grows, marks, paper_study, read

RATIOS = {"case 2": -1.0, "case 3": -0.5, "case 4": 0.0}
NOTES = (
    "The paper's efficiency of case 2, 99.06 % by its times, contradicts the 0.744 pmol that "
    "it does not put back, 3 % of the lithium.",
)


def study(materials, size):
    """Return the study of the four cases."""
    active = materials.active
    fast = active.diffusivity[0]
    cases = [HalfCellRun(name="1C", materials=materials, size=size)]
    for name, ratio in RATIOS.items():
        changed = replace(active, diffusivity=(fast,) * 3, expansion_ratio=(1.0, 1.0, ratio))
        own = replace(materials, active=changed)
        cases.append(HalfCellRun(name=name, materials=own, size=size))
    return paper_study(
        "heterogeneity",
        title="Heterogeneity",
        cases=cases,
        trends=trends,
        figures=figures,
        notes=NOTES,
    )


def trends(runs):
    """Return the trends of section 3.2."""
    names = list(RATIOS)

    def close(key):
        return lambda: near(*(read(runs[name], key) for name in ("1C", "case 2")))

    return {
        "isotropic diffusion lengthens the charge": grows(runs, "charge_time", ["1C", "case 2"]),
        "isotropic diffusion lengthens the discharge": grows(
            runs, "discharge_time", ["1C", "case 2"]
        ),
        "isotropic diffusion lowers the residual gap": grows(
            runs, "gap_mean_discharge_end", ["case 2", "1C"]
        ),
        "isotropic diffusion lowers the residual stress (99 % quantile)": grows(
            runs, "von_mises_p99_discharge_end", ["case 2", "1C"]
        ),
        "peak gap close in cases 1 and 2 (10 %)": close("gap_mean_charge_end"),
        "peak stress close in cases 1 and 2 (10 %, 99 % quantile)": close(
            "von_mises_p99_charge_end"
        ),
        "peak stress: case 4 < 3 < 2 (99 % quantile)": grows(
            runs, "von_mises_p99_charge_end", names, -1
        ),
        "mean gap: case 4 > 3 > 2": grows(runs, "gap_mean_charge_end", names),
        "particle volume at charge end: case 4 < 3 < 2": grows(
            runs, "particle_volume_change_charge_end", names, -1
        ),
        "charge of case 4 shorter than of case 2": grows(runs, "charge_time", ["case 4", "case 2"]),
    }


def figures(runs, folder):
    """Draw Figure 4, curves and sections."""
    columns = [
        "Voltage [V]",
        "Lithium [mol]",
        "Mean gap [m]",
        "Maximum von Mises stress [Pa]",
    ]
    reference = marks("heterogeneity", {name: name for name in runs}, columns)
    curves = plotting.compare(runs, columns, folder / "figure.png", reference=reference)
    fields = ["Concentration [mol/m3]", "Von Mises stress [Pa]"]
    return curves + plotting.compare_sections(runs, fields, folder / "sections.png")

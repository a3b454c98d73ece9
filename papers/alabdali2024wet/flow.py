"""Flow curves of Alabdali 2024 (wet): one slurry calibrated, all of them sheared with its factors.

The paper fits one force field for all solid contents and both cathodes. So here: two factors follow
from the master curve of one slurry, and what they give for the others is a prediction.
"""

from femssb.studies import Measurement
from papers.alabdali2023.electrodes import place
from papers.alabdali2023.flow import FORCES, PRINTED, WANTED, calibrated, direct
from papers.alabdali2024wet.electrodes import formulation_of
from papers.alabdali2024wet.quantities import MIDDLE, SLURRIES, content_label


def flow_curves(level, out):
    """Return the case whose result are the viscosities of all slurries, with their errors."""
    name = f"flow curves, {level.sheared} beads"
    formulas = [formulation_of(slurry, level.sheared) for slurry in SLURRIES]
    return Measurement(
        name=name,
        function=make,
        arguments={"level": level, "folder": place(out, name)},
        made_from=[formulas, FORCES, PRINTED, WANTED, level.rates],
    )


def make(level, folder):
    """Shear all slurries in a folder and return their viscosities.

    Returns:
        "AM_1 48 % viscosity 50", "AM_1 48 % error 50" and so on, "printed viscosity 100" for
        Table S1 as it is [Pa s], and both factors.
    """
    numbers, found = calibrated(formulation_of(MIDDLE, level.sheared), folder)
    for slurry in SLURRIES:
        label = f"{slurry[0]} {content_label(slurry[1])}"
        own = folder / label.replace(" ", "")
        formula = formulation_of(slurry, level.sheared)
        numbers |= direct(formula, found, level.rates, own, label)
    return numbers


def curves_of(numbers, label):
    """Return shear rate [1/s] -> viscosity and its error [Pa s] of a label."""
    start = f"{label} viscosity "
    return {
        float(key.removeprefix(start)): (value, numbers[key.replace(" viscosity ", " error ")])
        for key, value in numbers.items()
        if key.startswith(start)
    }

"""Flow curves: Table S1 as printed, and calibrated by two factors.

Beads without heat and inertia have one master curve of stress against rate. From that of Table S1
two factors follow, of the forces and of the dashpots, with which the viscosity is the wanted one;
direct runs with these factors are the check.
"""

from dataclasses import replace

import numpy as np
from mpi4py import MPI

from femssb import library
from femssb.packing import disperse
from femssb.studies import Measurement
from papers.alabdali2023.electrodes import ATMOSPHERE, place

PRINTED = (1e2, 1e3, 1e4, 1e5)  # shear rates of Table S1 as it is [1/s]
CALIBRATED = (50.0, 100.0, 1000.0)  # of the check [1/s]


def flow_curve(level, out):
    """Return the case whose result are viscosities with their errors."""
    formula = library.alabdali2023.formulation(beads=level.sheared)
    name = f"flow curve, {level.sheared} beads"
    return Measurement(
        name=name,
        function=make,
        arguments={"beads": level.sheared, "folder": place(out, name)},
        made_from=[formula, library.alabdali2023.H1, PRINTED, CALIBRATED],
    )


def make(beads, folder):
    """Shear a slurry in a folder and return its viscosities.

    Returns:
        "printed viscosity 100", "printed error 100" and so on [Pa s], and both factors.
    """
    formula = library.alabdali2023.formulation(beads=beads)
    numbers, found = calibrated(formula, folder)
    return numbers | checked(formula, found, CALIBRATED, folder / "calibrated", "calibrated ")


def calibrated(formula, folder):
    raise NotImplementedError


def checked(formula, found, rates, folder, start):
    raise NotImplementedError

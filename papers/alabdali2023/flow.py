"""Flow curves: Table S1 as printed, and calibrated by two factors.

Beads without heat and inertia have one master curve of stress against rate. From that of Table S1
two factors follow, of the forces and of the dashpots, with which the viscosity is the wanted one;
direct runs with these factors are the check.
"""

from dataclasses import replace

from mpi4py import MPI

from femssb import library
from femssb.packing import disperse
from femssb.particles import Shear, Slurry, Window, calibrate, process
from femssb.particles import flow_curve as curve_of
from femssb.studies import Measurement
from papers.alabdali2023.electrodes import ATMOSPHERE, place

# Shear rates of Table S1 as it is [1/s]: up to where the dashpots alone are felt.
PRINTED = (1e2, 1e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7)
CALIBRATED = (50.0, 100.0, 1000.0)  # of the check [1/s]
WANTED = Window(margin=0.03)  # 0.3 to 0.6 Pa s from 50 to 1000 /s, second paper, section 2.1
FORCES = library.alabdali2023.H1


def flow_curve(level, out):
    """Return the case whose result are viscosities with their errors."""
    formula = library.alabdali2023.formulation(beads=level.sheared)
    name = f"flow curve, {level.sheared} beads"
    return Measurement(
        name=name,
        function=make,
        arguments={"beads": level.sheared, "folder": place(out, name)},
        made_from=[formula, FORCES, PRINTED, CALIBRATED, WANTED],
    )


def make(beads, folder):
    """Shear a slurry in a folder and return its viscosities.

    Returns:
        "printed viscosity 100", "printed error 100" and so on [Pa s], and both factors.
    """
    formula = library.alabdali2023.formulation(beads=beads)
    numbers, factors = calibrated(formula, folder)
    return numbers | direct(formula, factors, CALIBRATED, folder / "calibrated", "calibrated")


def calibrated(formula, folder):
    """Shear a slurry by Table S1 as printed, and read two factors off its curve.

    Returns:
        Its viscosities by name, with the factors, and the calibration.
    """
    # Lighter than true at the fastest rates: the master curve knows no inertia.
    curve = sheared(formula, FORCES, PRINTED, folder / "printed", lightest=1e-6)
    found = calibrate(curve.master, WANTED)
    numbers = named(curve, "printed") | {
        "factor of the forces": found.epsilon,
        "factor of the dashpots": found.gamma,
    }
    for rate in CALIBRATED:
        value, error = found.viscosity([rate])
        numbers |= {
            f"predicted viscosity {rate:g}": value[0],
            f"predicted error {rate:g}": error[0],
        }
    return numbers, found


def direct(formula, factors, rates, folder, label):
    """Return the viscosities of a slurry with forces and dashpots times two factors, by name."""
    depth, damping = factors.epsilon, factors.gamma
    slurry = FORCES.slurry.scaled(depth=depth, stiffness=depth, damping=damping)
    forces = replace(FORCES, slurry=slurry)
    return named(sheared(formula, forces, rates, folder), label)


def sheared(formula, forces, rates, folder, **options):
    """Return the flow curve of a slurry, brought together by Table S1 and sheared by some forces.

    The master curve is that of one arrangement: with other factors, the same beads in the same box.
    """
    shears = [Shear(rate=rate, **options) for rate in sorted(rates, reverse=True)]
    quiet = {"comm": MPI.COMM_SELF, "progress": False}
    start, settle = disperse(formula, seed=1), Slurry(pressure=ATMOSPHERE)
    (slurry,) = process(start, settle, formula, FORCES, out=folder / "slurry", **quiet)
    return curve_of(process(slurry, shears, formula, forces, out=folder / "sheared", **quiet)[-1])


def named(curve, label):
    """Return what a flow curve says by name, in SI."""
    numbers = {}
    for point in curve.points:
        rate = f"{point.rate:g}"
        numbers[f"{label} viscosity {rate}"] = point.viscosity
        numbers[f"{label} error {rate}"] = point.viscosity_error
        numbers[f"{label} bead pressure {rate}"] = point.pressure
        numbers[f"{label} inertia {rate}"] = point.inertia
        numbers[f"{label} cpu {rate}"] = point.cpu_time
    low, high = curve.yield_stress()
    return numbers | {f"{label} yield stress, least": low, f"{label} yield stress, most": high}

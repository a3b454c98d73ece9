"""Grains of NMC111 that crack, cycle by cycle, and what it costs in capacity.

Boundaries between grains hold with a strength and take an energy to break, 0.065 J/m2 for a
toughness of 0.1 MPa m^(1/2); an open one lets no lithium through.
Teaches a law for grain boundaries, and a figure of your own::

    python demos/cracking_grains.py --size 1.2 --grains 8 --cycles 3
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt

import femssb
from femssb import Charge, CohesiveLaw, Discharge, GrainBoundaries, library, plotting
from femssb.studies import HalfCellRun, Study, Table, perform
from femssb.units import MPa, nm, um

CYCLE = (Charge(c_rate=1, until_voltage=4.3), Discharge(c_rate=1, until_voltage=3.0))
PANELS = {  # key of a cycle -> words, unit
    "crack_density_charge_end": ("cracks at charge end [µm²/µm³]", 1 / um),
    "crack_opening_mean_charge_end": ("mean opening at charge end [nm]", nm),
    "discharge_capacity": ("discharge capacity [µC]", 1e-6),
}


def curves(runs):
    found = {}
    for key, (words, unit) in PANELS.items():
        for name, run in runs.items():
            numbers = [(cycle.numbers[key] or 0.0) / unit for cycle in run.cycles]
            found.setdefault(words, {})[name] = numbers
    return found


def draw(runs):
    figure, axes = plt.subplots(1, len(PANELS), figsize=(10, 3), layout="constrained")
    for panel, (words, found) in zip(axes, curves(runs).items(), strict=True):
        for name, numbers in found.items():
            panel.plot(range(1, len(numbers) + 1), numbers, "o-", markersize=3, label=name)
        panel.set(xlabel="cycle", ylabel=words)
    axes[-1].legend(loc="center")
    return figure


def tables(runs):
    rows = []
    for words, found in curves(runs).items():
        for when, at in (("first cycle", 0), ("last", -1)):
            rows.append([f"{words}, {when}", *(f"{row[at]:.4g}" for row in found.values())])
    return [Table(["", *runs], rows)]


def main(
    energies: Annotated[tuple[float, ...], "of the boundaries [J/m2]"] = (1.0, 0.3, 0.1),
    strength: Annotated[float, "MPa", "of the boundaries, where elements resolve it"] = 100 * MPa,
    viscosity: Annotated[float, "of the boundaries [Pa s/m]"] = 1e17,
    wetting: Annotated[float, "nm", "opening that electrolyte enters; 0: it is solid"] = 0.0,
    grains: Annotated[int, "of the particle, whose radius is 3 um"] = 13,
    cycles: Annotated[int, "how many"] = 10,
    size: Annotated[float, "um", "mesh size in the particle"] = 0.8 * um,
    jobs: Annotated[int, "cases at a time"] = 1,
    out: Annotated[str | Path, "folder for the results"] = "results/cracking_grains",
):
    ball = femssb.Polycrystal(radius=3 * um, grains=grains)
    cell = femssb.HalfCell(width=9 * um, cathode=9 * um, separator=3 * um, particles=(ball,))
    bonded = library.yuan2023.materials(values=library.yuan2023.CALIBRATED)

    def case(name, energy, cycles=cycles, size=size, viscosity=viscosity, resolved=1.1 * size):
        law = CohesiveLaw(
            normal_strength=strength,
            shear_strength=strength,
            normal_fracture_energy=energy,
            shear_fracture_energy=energy,
            stiffness=5e18,
            viscosity=viscosity,
        ).resolved_by(resolved, bonded.active.elasticity.modulus)
        cracking = GrainBoundaries(cohesive=law, wetting_opening=wetting or None)
        own = replace(bonded, grain_boundaries=cracking) if name else bonded
        given = {"materials": own, "cell": cell, "size": size, "protocol": CYCLE * cycles}
        return HalfCellRun(name=name or "bonded", **given)

    finer = case("finer elements", energies[0], cycles=1, size=0.75 * size)
    brisker = case("a third of the viscosity", energies[0], cycles=1, viscosity=viscosity / 3)
    found = [case("", energies[0]), *(case(f"{energy:g} J/m2", energy) for energy in energies)]

    parts = {"Grains that crack": found, "Elements and viscosity": [finer, brisker]}
    seen = {"figures": lambda runs, at: [plotting.save(at / "cracks.png", draw, runs)]}
    seen["tables"] = tables
    studies = [Study(name=part, title=part, cases=cases, **seen) for part, cases in parts.items()]
    perform(*studies, out=out, jobs=jobs)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

"""Cycle the particles of a pressed powder one by one, as they come loose from a sulfide.

Teaches resolved cells: all NMC of a pressed powder in a matrix like Li6PS5Cl with its pores, with
carbon or without. Interfaces have their energy, and the strength that the elements resolve::

    mpirun -n 2 python demos/resolved_cell.py --electrons particles
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import femssb
from femssb import ContactResistance, ParticleContacts, Simulation, Stepping, library, plotting
from femssb.electrode import effective
from femssb.packing import Component, LognormalSizes, Recipe, insert
from femssb.particles import ElasticPlastic, Uniaxial, press, yield_pressure
from femssb.studies import Table
from femssb.units import MPa, nm, um

SOLIDS = {"AM": library.NCM523, "SE": library.LI6PS5CL}
SHARES = {"AM": 0.45, "SE": 0.55}
SIZES = {"AM": (9, 7, 12), "SE": (5.2, 4, 7)}  # [um] median, smallest, largest diameter
NMC, CARBON = {"AM": 0.1}, {"SE": 1.0}  # [S/m] partly charged; carbon in the electrolyte: assumed
RAILS = {"matrix": CARBON, "particles": NMC, "both": CARBON | NMC}
GAP, STRESS = "Mean gap of particle k [m]", "99 % von Mises stress of particle k [Pa]"
COLUMNS = ("Lithium in particle k [mol]", GAP, STRESS)


def pressed(particles, pressure, seed, out):
    """Return a packing with about as many particles of NMC; its box grows with the number."""
    parts = []
    for name, (d, low, high) in SIZES.items():
        ends = {"smallest": low * um, "largest": high * um}
        sizes = LognormalSizes(median=d * um, geometric_deviation=1.15, **ends)
        parts.append(Component(name=name, solid=SOLIDS[name], share=SHARES[name], sizes=sizes))
    width = max(38 * um * (particles / 50) ** (1 / 3), 25 * um)
    loading = 0.1006 * particles / 50 * (38 * um / width) ** 2  # [kg/m2]
    recipe = Recipe(components=parts, by="volume", loading=loading, width=width)
    powder = insert(recipe, height=3.5 * loading / 0.1006 * (38 * um) + 20 * um, seed=seed)
    yields = {name: yield_pressure(solid) for name, solid in SOLIDS.items()}
    law = ElasticPlastic(solids=SOLIDS, yield_pressures=yields, friction=0.3)
    return press(powder, [Uniaxial(pressure=p) for p in (pressure, 5 * MPa)], law, out=out)[-1]


def materials(electrons, size):
    """Return NMC in a sulfide, of which the matrix of the cathode is not known yet."""
    base, sulfide = library.yuan2023.materials(values=library.yuan2023.CALIBRATED), SOLIDS["SE"]
    cohesive = base.cohesive.resolved_by(size, 20e9)  # [Pa] NMC beside the matrix
    resistance = ContactResistance(closed=1e-4, decay_length=20 * nm)
    own = {"ionic_conductivity": sulfide.ionic_conductivity, "elasticity": sulfide.elasticity}
    touching = {"resistance": resistance, "carbon": resistance, "collector": 1e-4}
    return replace(
        base,
        active=replace(base.active, electronic_conductivity=RAILS[electrons].get("AM", 0.0)),
        electrolyte=replace(base.electrolyte, **own),
        cohesive=cohesive,
        contacts=ParticleContacts(cohesive=cohesive, **touching),
    )


def table(solution, active):
    """Return a row for every particle at the end of the charge [SI]."""
    rows, end, series = [], solution.charge[-1].end_row, solution.series
    for k in range(1, 1 + sum(name.startswith("Lithium in") for name in series)):
        lithium, *others = (series[name.replace(" k ", f" {k} ")] for name in COLUMNS)
        used = (1 - lithium[end] / lithium[0]) * active.initial_concentration / active.capacity
        rows.append([k, used, lithium[end], *(column[end] for column in others)])
    return Table(["Particle", "Utilisation [-]", *COLUMNS], rows)


def main(
    particles: Annotated[int, "about how many of NMC"] = 50,
    size: Annotated[float, "um", "mesh size in the cathode"] = 2 * um,
    pressure: Annotated[float, "MPa", "of the press"] = 375 * MPa,
    electrons: Annotated[Literal["matrix", "particles", "both"], "what carries them"] = "matrix",
    seed: Annotated[int, "of places, sizes and orientations"] = 1,
    out: Annotated[Path, "folder for the results"] = Path("results/resolved_cell"),
):
    packing, se = pressed(particles, pressure, seed, out / "press"), SOLIDS["SE"]
    cell = femssb.ResolvedCell.from_packing(packing, electrons=electrons, seed=seed)
    data = femssb.mesh(cell, size=size, far_size=2 * size)
    rails = {"ionic": {"SE": se.ionic_conductivity}, "electronic": RAILS[electrons]}
    electrode = effective(packing, elasticity={"SE": se.elasticity}, spacing=0.6 * um, **rails)
    found = electrode.conductor(data, materials(electrons, size))
    model = femssb.Model(data, found.materials, anode=femssb.Pressure(pressure=5 * MPa))
    cycle = femssb.Charge(c_rate=1, until_voltage=4.3), femssb.Discharge(c_rate=1, until_voltage=3)
    steps = Stepping(jump_error=0.015)  # of the opening at failure: 0.6 nm
    solution = Simulation(model, cycle, stepping=steps).run(out / "cycle", resume="auto")
    solution.report()
    if femssb.is_first_rank():
        print(cell.healing.report(), electrode, found, sep="\n\n")
        table(solution, found.materials.active).write(out / "particles.csv")
        plotting.cycle(solution, out)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

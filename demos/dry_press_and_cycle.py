"""Press a powder of NMC532 and Li6PS5Cl dry, relax it, and cycle it under isostatic pressure.

Teaches recipes, contact laws, stages and measurements: the workflow of Alabdali et al. (2024,
doi:10.1016/j.ensm.2024.103527). A stage ends when the particles are at rest, or fails::

    mpirun -n 2 python demos/dry_press_and_cycle.py
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import femssb
from femssb import InputError, library, plotting
from femssb.packing import Component, LognormalSizes, Recipe, coordination, insert, porosity
from femssb.particles import (
    ElasticPlastic,
    HertzMindlin,
    Isostatic,
    Uniaxial,
    cycles,
    press,
    yield_pressure,
)  # fmt: skip
from femssb.studies import Table
from femssb.units import MPa, cm2, um
from femssb.voxels import conductivity, voxelise

SOLIDS = {"AM": library.NCM523, "SE": library.LI6PS5CL}
YIELD = {name: yield_pressure(solid) for name, solid in SOLIDS.items()}
LAWS = {
    "Hertz": HertzMindlin(solids=SOLIDS, friction=0.5),
    "plastic": ElasticPlastic(solids=SOLIDS, yield_pressures=YIELD, friction=0.5),
}


def powder(particles):
    """Return a recipe on an area that holds about as many particles."""
    shape = {"geometric_deviation": 1.3, "smallest": 3 * um, "largest": 10 * um}
    coarse = LognormalSizes(median=4.97 * um, **shape)
    shape = {"geometric_deviation": 1.17, "smallest": 6 * um, "largest": 13 * um}
    fine = LognormalSizes(median=7.6 * um, **shape)
    return Recipe(
        components=[
            Component(name="AM", solid=SOLIDS["AM"], share=0.733, sizes=coarse),
            Component(name="SE", solid=SOLIDS["SE"], share=0.267, sizes=fine),
        ],
        loading=14.96e-6 / cm2 / 0.733,
        width=150 * um * (particles / 11_002) ** 0.5,
    )


def measure(packing, spacing):
    """Return numbers of a packing by name; stress is positive in compression."""
    image = voxelise(packing, spacing=spacing, priority=("AM", "SE"))
    along = {"sides": "periodic", "tolerance": 1e-3}
    return {
        "thickness [um]": packing.lengths[2] / um,
        "porosity [-]": porosity(packing).union,
        "AM stress zz [MPa]": -packing.stress[packing.of_phase("AM"), 2, 2].mean() / MPa,
        "SE stress zz [MPa]": -packing.stress[packing.of_phase("SE"), 2, 2].mean() / MPa,
        "AM-AM contacts [-]": coordination(packing)[0, 0],
        "sigma_el/sigma_AM [-]": conductivity(image, {"AM": 1.0}, **along).value,
        "tau of SE [-]": conductivity(image, {"SE": 1.0}, **along).tortuosity().tau,
    }


def main(
    particles: Annotated[int, "about how many, 400 or more"] = 500,
    law: Annotated[Literal["Hertz", "plastic"], "contact law"] = "Hertz",
    pressure: Annotated[float, "MPa", "of the press"] = 375 * MPa,
    isostatic: Annotated[float, "MPa", "pressure in cycles"] = 5 * MPa,
    seed: Annotated[int, "of the places and sizes of particles"] = 1,
    spacing: Annotated[float, "um", "edge of the voxels"] = 1 * um,
    out: Annotated[Path, "folder for the results"] = Path("results/dry_press_and_cycle"),
    pictures: Annotated[bool, "draw the packings"] = True,
):
    if particles < 400:
        raise InputError(f"particles = {particles} is below 400")
    start = insert(powder(particles), height=150 * um, seed=seed)
    discharge, charge = cycles("AM", 0.06, pressure=isostatic, count=1)
    stages = {
        "uniaxial": Uniaxial(pressure=pressure), "relaxed": Uniaxial(pressure=0.101325 * MPa),
        "isostatic": Isostatic(pressure=isostatic), "discharged": discharge, "charged": charge,
    }  # fmt: skip
    pressed = press(start, list(stages.values()), LAWS[law], out=out)
    states = dict(zip(stages, pressed, strict=True))
    if femssb.is_first_rank():
        rows = [{"state": name} | measure(states[name], spacing) for name in states]
        for row in rows:
            print(*(f"{name} {value}" for name, value in row.items()), sep="  ")
        Table(list(rows[0]), [list(row.values()) for row in rows]).write(out / "states.csv")
        if pictures:
            plotting.save(out / "phases.png", plotting.by_phase, states)
            plotting.save(out / "chains.png", plotting.chains, states["uniaxial"])


if __name__ == "__main__":
    sys.exit(femssb.command(main))

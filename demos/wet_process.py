"""Make a cathode from a slurry: mix, dry, calender and release it, and see how it conducts.

Teaches formulations, the stages of a wet route, contacts that yield, and transport on voxels, after
Alabdali et al. (2023, doi:10.1016/j.jpowsour.2023.233427). A stage ends at a measured plateau, or
fails::

    mpirun -n 2 python demos/wet_process.py
"""

import sys
from pathlib import Path
from typing import Annotated

import femssb
from femssb import InputError, library, particles, plotting
from femssb.electrode import transport
from femssb.packing import Component, Formulation, ListedSizes, Solvent, disperse, weigh
from femssb.particles import Compaction, Drying, Slurry, Uniaxial, press, process, summary
from femssb.studies import Table
from femssb.units import MPa, um

DIAMETERS = {"AM": 8 * um, "SE": 4 * um, "CBD": 3 * um}
SOLIDS = {"AM": library.NCM811, "SE": library.LI6PS5CL, "CBD": library.CBD}
XYLENE = Solvent(name="p-xylene", density=861.0, viscosity=0.64e-3)
NANOPORES = particles.Porous(phase="CBD", porosity=0.5, strength=library.CBD.yield_strength)
YIELDING = particles.ElasticPlastic(
    solids=SOLIDS,
    yield_pressures={name: particles.yield_pressure(SOLIDS[name]) for name in ("SE", "CBD")},
)
CONDUCT = {"electronic": {"AM": 0.005, "CBD": 15.93}, "ionic": {"SE": 0.2}}  # [S/m]


def slurry(beads, active, binder, solid_content):
    """Return a formulation with shares of the dry mass."""
    shares = {"AM": active, "SE": 1 - active - binder, "CBD": binder}
    sizes = {name: ListedSizes(diameters=(diameter,)) for name, diameter in DIAMETERS.items()}
    components = [
        Component(name=name, solid=SOLIDS[name], share=shares[name], sizes=sizes[name])
        for name in SOLIDS
    ]
    return Formulation(
        components=components, solvent=XYLENE, solid_content=solid_content, beads=beads,
        binder_porosity=NANOPORES.porosity,
    )  # fmt: skip


def measure(packing, spacing):
    """Return numbers of an electrode by name; pores of the binder collapse as it is pressed."""
    binder = packing.of_phase("CBD")
    dense = library.CBD.density / (1 - NANOPORES.porosity)
    pores = {"CBD": 1 - packing.masses[binder].sum() / packing.volumes[binder].sum() / dense}
    mass = weigh(packing, own_porosity=pores)
    found = transport(packing, spacing=spacing, own_porosity=pores, priority=[*SOLIDS], **CONDUCT)
    print(*found.warnings, sep="\n")
    return {
        "thickness [um]": mass.thickness / um,
        "density [g/cm3]": mass.density / 1e3,
        "porosity [-]": mass.porosity,
        "porosity on voxels [-]": found.voxel_porosity,
        "sigma_e [S/m]": found.electronic_conductivity,
        "sigma_ion [S/m]": found.ionic_conductivity,
        "tau of SE [-]": found.tortuosity,
    }


def main(
    beads: Annotated[int, "how many, 200 or more"] = 1000,
    height: Annotated[float, "of the box of the slurry over its width"] = 2.5,
    active: Annotated[float, "share of active material in the dry mass"] = 0.69,
    binder: Annotated[float, "share of carbon and binder in the dry mass"] = 0.06,
    solid_content: Annotated[float, "dry mass over that of the slurry"] = 0.6,
    pressure: Annotated[float, "MPa", "of the calender"] = 100 * MPa,
    seed: Annotated[int, "of the places of the beads"] = 1,
    spacing: Annotated[float, "um", "edge of the voxels"] = 0.5 * um,
    out: Annotated[Path, "folder for the results"] = Path("results/wet_process"),
    pictures: Annotated[bool, "draw the electrode"] = True,
    movie: Annotated[bool, "draw a frame for every stage, too"] = False,
):
    if beads < 200:
        raise InputError(f"beads = {beads} is below 200")
    formula = slurry(beads, active, binder, solid_content)
    start = disperse(formula, seed=seed, height=height)
    wet = process(start, [Slurry(), Drying()], formula, out=out / "wet")
    pressing = [Compaction(pressure=pressure, porous=NANOPORES), Uniaxial(pressure=0.1 * MPa)]
    made = [*wet, *press(wet[-1], pressing, YIELDING, out=out / "pressed")]
    states = dict(zip(("slurry", "dried", "calendered", "released"), made, strict=True))
    if femssb.is_first_rank():
        print(formula.balance(), summary(wet[-1]), sep="\n")
        rows = [{"state": name} | measure(states[name], spacing) for name in list(states)[1:]]
        print(*rows, sep="\n")
        Table(list(rows[0]), [list(row.values()) for row in rows]).write(out / "states.csv")
        if pictures:
            plotting.save(out / "phases.png", plotting.by_phase, states)
        if movie:
            plotting.frames(states, out / "frames")


if __name__ == "__main__":
    sys.exit(femssb.command(main))

"""What decides over a cathode of pressed particles: the press, the interface, or the contacts?

Teaches a study of resolved cells. Ten particles of NMC in a sulfide, whose electrons pass from one
particle to the next, are charged; the pressure of the press, the strength of all interfaces and the
resistance of the contacts of particles are changed one at a time::

    mpirun -n 2 python demos/resolved_study.py
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import femssb
from femssb import ContactResistance, ParticleContacts, ResolvedCell, library, plotting
from femssb.packing import Component, LognormalSizes, Recipe, insert
from femssb.particles import ElasticPlastic, Uniaxial, press, yield_pressure
from femssb.studies import HalfCellRun, Study, perform, rising
from femssb.units import MPa, nm, um

SOLIDS = {"AM": library.NCM523, "SE": library.LI6PS5CL}
SHARES = {"AM": 0.45, "SE": 0.55}
SIZES = {"AM": (9, 7, 12), "SE": (5.2, 4, 7)}  # [um] median, smallest, largest diameter
BASE = {"pressure": 375 * MPa, "strength": 50 * MPa, "resistance": 1e-4}  # [Pa], [Pa], [ohm m2]
CHANGES = {"pressure": (100 * MPa,), "strength": (25 * MPa,), "resistance": (1e-2,)}
PANELS = ("Voltage [V]", "Mean gap [m]", "Mean contact gap [m]", "Failed contact area fraction")


def pressed(pressure, out):
    parts = []
    for name, (d, low, high) in SIZES.items():
        ends = {"smallest": low * um, "largest": high * um}
        sizes = LognormalSizes(median=d * um, geometric_deviation=1.15, **ends)
        parts.append(Component(name=name, solid=SOLIDS[name], share=SHARES[name], sizes=sizes))
    recipe = Recipe(components=parts, by="volume", loading=0.046, width=25 * um)
    yields = {name: yield_pressure(solid) for name, solid in SOLIDS.items()}
    law = ElasticPlastic(solids=SOLIDS, yield_pressures=yields, friction=0.3)
    powder = insert(recipe, height=70 * um, seed=1)
    return press(powder, [Uniaxial(pressure=p) for p in (pressure, 5 * MPa)], law, out=out)[-1]


def materials(strength, resistance):
    base, elastic = library.yuan2023.materials(), SOLIDS["SE"].elasticity
    energy = strength * 22 * nm  # fails 44 nm wide, within three elements
    normal = {"normal_strength": strength, "normal_fracture_energy": energy}
    shear = {"shear_strength": strength, "shear_fracture_energy": energy}
    cohesive = replace(base.cohesive, **normal, **shear)
    contact = ContactResistance(closed=resistance, decay_length=20 * nm)
    matrix = replace(
        base.ecbd, ionic_conductivity=0.03, electronic_conductivity=0.0,  # [S/m]
        elasticity=replace(elastic, young_modulus=12e9),  # [Pa] with 30 % of pores
    )  # fmt: skip
    return replace(
        base,
        active=replace(base.active, electronic_conductivity=0.1),  # [S/m] NMC, partly charged
        ecbd=matrix,
        electrolyte=replace(base.electrolyte, ionic_conductivity=0.125, elasticity=elastic),
        cohesive=cohesive,
        contacts=ParticleContacts(resistance=contact, collector=1e-4, cohesive=cohesive),
    )


def trends(runs):
    def gap(name):
        return runs[name].summary["gap_mean_charge_end"]

    return {"weak ones open more": lambda: rising([gap("as it is"), gap("strength 2.5e+07")])}


def figures(runs, folder):
    return plotting.compare(runs, PANELS, folder / "resolved.png")


def main(
    size: Annotated[float, "um", "mesh size in the cathode"] = 3 * um,
    until: Annotated[float, "V", "end of the charge"] = 4.3,
    jobs: Annotated[int, "cases at a time, which share the ranks"] = 1,
    out: Annotated[Path, "folder for the results"] = Path("results/resolved_study"),
):
    variations, cases = {"as it is": {}}, []
    for name, values in CHANGES.items():
        variations |= {f"{name} {value:g}": {name: value} for value in values}
    for name, change in variations.items():
        given = BASE | change
        packing = pressed(given.pop("pressure"), out / "press" / name.replace(" ", "_"))
        cell = ResolvedCell.from_packing(packing, electrons="particles")
        cases += [HalfCellRun(
            name=name, materials=materials(**given), cell=cell, size=size,
            anode=femssb.Pressure(pressure=5 * MPa),
            protocol=(femssb.Charge(c_rate=1.0, until_voltage=until),),
            stepping=femssb.Stepping(jump_error=0.015),  # of the opening at failure: 0.7 nm
        )]  # fmt: skip
    given = {"cases": cases, "trends": trends, "figures": figures}
    perform(Study(name="resolved", title="Pressed particles", **given), out=out, jobs=jobs)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

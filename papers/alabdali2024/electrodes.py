"""Electrodes of Alabdali 2024, and what is measured on them.

Alabdali, Zanotto, Chouchane, Ngandjong, Viallet, Seznec, Meng, Franco: Energy Storage Mater. 2024,
doi:10.1016/j.ensm.2024.103527. NMC532 and Li6PS5Cl, 73.3 and 26.7 % of the mass, are pressed
between planes with 375 MPa, relaxed, pressed from all sides with 1 to 5 MPa, and cycled: on
discharge the diameters of the active material grow by 6 %.
"""

from dataclasses import replace

import numpy as np

from femssb import Elasticity, Solid
from femssb.packing import (
    Component,
    LognormalSizes,
    Recipe,
    coordination,
    particle_stress,
    porosity,
    rattlers,
)
from femssb.particles import (
    ElasticPlastic,
    HertzMindlin,
    Isostatic,
    Uniaxial,
    cycles,
    yield_pressure,
)
from femssb.studies import Measurement
from femssb.units import GPa, MPa, cm2, um
from femssb.voxels import conductivity, voxelise

WIDTH, HEIGHT = 150 * um, 150 * um  # of the box before it is pressed, section 2.1.1
ACTIVE_LOADING = 14.96e-6 / cm2  # [kg/m2] of active material, section 2.1.1
PRESSURE, AMBIENT = 375 * MPa, 0.101325 * MPa  # section 2.1.2
ISOSTATIC = (1 * MPa, 3 * MPa, 5 * MPa)  # section 2.1.3
BEYOND = (0.3 * MPa, 10 * MPa, 30 * MPa)  # isostatic pressures of Figure S10
GROWTH = 0.06  # of the diameter, section 3.1; the cited lattice data say 6 % of the volume
VOXEL = 0.5 * um  # section 2.1.4

# Moduli are in the two indentation papers that the article cites for its force field; densities are
# of the lattice. The friction in its supplement is not in the article: assumed.
AM = Solid(
    name="NMC532",
    density=4700.0,  # [kg/m3]
    elasticity=Elasticity(young_modulus=142.5 * GPa, poisson_ratio=0.3),  # Xu 2017
    hardness=8.6 * GPa,  # Xu 2017, secondary particle
)
SE = Solid(
    name="Li6PS5Cl",
    density=1640.0,  # [kg/m3]
    elasticity=Elasticity(young_modulus=18.5 * GPa, poisson_ratio=0.3),  # McGrogan 2017, glass
    hardness=1.9 * GPa,  # McGrogan 2017, Li2S-P2S5 glass
)
SOLIDS = {"AM": AM, "SE": SE}
LAWS = {
    "Hertz": HertzMindlin(solids=SOLIDS, friction=0.5),
    "plastic": ElasticPlastic(
        solids=SOLIDS,
        yield_pressures={name: yield_pressure(solid) for name, solid in SOLIDS.items()},
        friction=0.5,
    ),
}
PARTITIONS = {"halves": {"partition": "halves", "planes": False}, "arms": {"partition": "arms"}}


def powder(particles=11_002):
    """Return the recipe of the paper, on an area that holds about as many particles.

    The article gives ranges of diameters, their distributions are in its supplement. The medians
    here make 8213 and 2789 particles of the paper's loading on the paper's area.
    """
    sizes = {
        "AM": LognormalSizes(
            median=4.9658 * um, geometric_deviation=1.3, smallest=3 * um, largest=10 * um
        ),
        "SE": LognormalSizes(
            median=7.6 * um, geometric_deviation=1.17, smallest=6 * um, largest=13 * um
        ),
    }
    shares = {"AM": 0.733, "SE": 0.267}
    return Recipe(
        components=tuple(
            Component(name=name, solid=SOLIDS[name], share=shares[name], sizes=sizes[name])
            for name in SOLIDS
        ),
        loading=ACTIVE_LOADING / shares["AM"],
        width=WIDTH * (particles / 11_002) ** 0.5,
    )


def pressing():
    """Return the stages on the uniaxial press, with the names of the states after them."""
    return {"uniaxial": Uniaxial(pressure=PRESSURE), "relaxed": Uniaxial(pressure=AMBIENT)}


def branches(pressures, count):
    """Return what follows the relaxed state: label -> stages with the names of their states."""
    found = {}
    for pressure in (*pressures, *BEYOND):
        stages = {"isostatic": Isostatic(pressure=pressure)}
        if pressure in pressures:
            names = [f"{half}{n}" for n in range(1, count + 1) for half in "DC"]
            swelling = cycles("AM", GROWTH, pressure=pressure, count=count)
            stages |= dict(zip(names, swelling, strict=True))
        found[f"{pressure / MPa:g} MPa"] = stages
    return found


def halved(packing):
    """Return a packing with its stress by halves, as LAMMPS and LIGGGHTS print it."""
    return replace(packing, stress=particle_stress(packing, **PARTITIONS["halves"]))


def measurement(name, packing, spacing, conserve):
    """Return the case whose result are the numbers of a packing that was pressed."""
    return Measurement(
        name=name,
        function=measure,
        arguments={"packing": packing, "spacing": spacing, "conserve": conserve},
        made_from=[packing.origin["stages"][-1]["key"], spacing, conserve],
    )


def measure(packing, spacing, conserve=None):
    """Return numbers of a packing by name, in SI; stress is positive in compression.

    Args:
        packing: A packing with contacts.
        spacing: Edge of the voxels [m].
        conserve: Phase whose volume is restored on a second set of voxels.
    """
    free = porosity(packing)
    volumes = {name: packing.volumes[packing.of_phase(name)].sum() for name in SOLIDS}
    table = coordination(packing)
    numbers = {
        **dict(zip(("length x", "length y", "length z"), packing.lengths, strict=True)),
        "porosity": free.union,
        "nominal porosity": free.nominal,
        "swallowed": free.swallowed,
        "AM of solids": volumes["AM"] / sum(volumes.values()),
        "dense thickness": sum(volumes.values()) / np.prod(packing.lengths[:2]),
        "contacts AM-AM": table[0, 0],
        "contacts AM-SE": table[0, 1],
        "contacts SE-SE": table[1, 1],
        "rattlers": float(rattlers(packing).mean()),
    }
    for partition, options in PARTITIONS.items():
        numbers |= _stresses(packing, particle_stress(packing, **options), partition)
    numbers |= _conduction(voxelise(packing, spacing=spacing, priority=("AM", "SE")))
    if conserve:
        image = voxelise(packing, spacing=spacing, priority=("AM", "SE"), conserve=conserve)
        numbers |= {f"{name}, volume kept": x for name, x in _conduction(image).items()}
    return {name: float(value) for name, value in numbers.items()}


def _stresses(packing, stress, partition):
    """Return mean stresses of phases, of small and large particles, near planes and far off.

    Means are by number.
    """
    pressed = -np.diagonal(stress, axis1=1, axis2=2)
    height = (packing.positions[:, 2] - packing.lower[2]) / packing.lengths[2]
    active = packing.of_phase("AM")
    quarters = np.quantile(packing.radii[active], (0.25, 0.75))
    groups = {
        "AM": active,
        "SE": packing.of_phase("SE"),
        "all": np.full(len(active), True),
        "small AM": active & (packing.radii <= quarters[0]),
        "large AM": active & (packing.radii >= quarters[1]),
        "near planes": np.abs(height - 0.5) > 0.42,
        "far from planes": np.abs(height - 0.5) < 0.2,
    }
    numbers = {
        f"{partition} {name} {letter}": pressed[members, axis].mean() if members.any() else np.nan
        for name, members in groups.items()
        for axis, letter in enumerate("xyz")
    }
    return numbers | {f"{partition} highest": np.percentile(pressed, 99)}


def _conduction(image):
    """Return what the paper calls sigma_el, tau and D_eff, all across the electrode."""
    # As in the paper: periodic across x and y at every stage, a potential difference along z.
    electrons = conductivity(image, {"AM": 1.0}, sides="periodic", tolerance=1e-3)
    ions = conductivity(image, {"SE": 1.0}, sides="periodic", tolerance=1e-3)
    shares = image.fractions()
    return {
        "sigma_el": electrons.value,  # over that of the active material
        "D_eff": ions.value,  # over that of the electrolyte
        "tau": ions.tortuosity().tau,
        "AM on voxels": shares["AM"],
        "SE on voxels": shares["SE"],
    }

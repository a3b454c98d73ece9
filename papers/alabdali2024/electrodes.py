"""Electrodes of Alabdali et al. (paper 000), and what is measured on them.

Alabdali, Zanotto, Chouchane, Ngandjong, Viallet, Seznec, Meng, Franco: Energy Storage Mater. 2024,
doi:10.1016/j.ensm.2024.103527. NMC532 and Li6PS5Cl, 73.3 and 26.7 % of the mass, are pressed
between planes with 375 MPa, relaxed, pressed from all sides with 1 to 5 MPa, and cycled: on
discharge the diameters of the active material grow by 6 %.
"""

import json
from dataclasses import replace

import numpy as np

from femssb.environment.files import replacing
from femssb.errors import FemssbError
from femssb.inputs.materials import Elasticity, Solid
from femssb.packing.recipe import Component, LognormalSizes, Recipe
from femssb.packing.stress import particle_stress
from femssb.packing.structure import coordination, porosity, rattlers
from femssb.particles.laws import ElasticPlastic, HertzMindlin, yield_pressure
from femssb.particles.stages import Isostatic, Uniaxial, cycles
from femssb.units import GPa, MPa, cm2, um
from femssb.voxels import voxelise
from femssb.voxels.conduct.conduction import conductivity

WIDTH, HEIGHT = 150 * um, 150 * um  # of the box before it is pressed, section 2.1.1
ACTIVE_LOADING = 14.96e-6 / cm2  # [kg/m2] of active material, section 2.1.1
PRESSURE, AMBIENT = 375 * MPa, 0.101325 * MPa  # section 2.1.2
ISOSTATIC = (1 * MPa, 3 * MPa, 5 * MPa)  # section 2.1.3
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
    return Recipe(
        components=(
            Component(
                name="AM",
                solid=AM,
                share=0.733,
                sizes=LognormalSizes(
                    median=4.9658 * um, spread=1.3, smallest=3 * um, largest=10 * um
                ),
            ),
            Component(
                name="SE",
                solid=SE,
                share=0.267,
                sizes=LognormalSizes(
                    median=7.6 * um, spread=1.17, smallest=6 * um, largest=13 * um
                ),
            ),
        ),
        loading=ACTIVE_LOADING / 0.733,
        width=WIDTH * (particles / 11_002) ** 0.5,
    )


def pressing(pressure=PRESSURE):
    """Return the stages on the uniaxial press, with the names of the states after them."""
    return {
        "uniaxial": Uniaxial(pressure=pressure),
        "relaxed": Uniaxial(pressure=AMBIENT),
    }


def cycling(pressure, count, growth=GROWTH, of="diameter"):
    """Return the stages in the isostatic press, with the names of the states after them."""
    swelling = cycles("AM", growth, pressure=pressure, count=count, of=of)
    names = [f"{half}{n}" for n in range(1, count + 1) for half in "DC"]
    return {"isostatic": Isostatic(pressure=pressure), **dict(zip(names, swelling, strict=True))}


def halved(packing):
    """Return a packing with its stress by halves, as LAMMPS and LIGGGHTS print it."""
    return replace(packing, stress=particle_stress(packing, **PARTITIONS["halves"]))


def measure(packing, spacing, conserve=None):
    """Return numbers of a packing by name.

    Lengths are in um and stresses in MPa, compression positive; means of stress are by number.
    """
    free = porosity(packing)
    volumes = {name: packing.volumes[packing.of_phase(name)].sum() for name in SOLIDS}
    table = coordination(packing)
    numbers = {
        **dict(zip(("length x", "length y", "length z"), packing.lengths / um, strict=True)),
        "porosity": free.union,
        "nominal porosity": free.nominal,
        "swallowed": free.swallowed,
        "AM of solids": volumes["AM"] / sum(volumes.values()),
        "dense thickness": sum(volumes.values()) / np.prod(packing.lengths[:2]) / um,
        "contacts AM-AM": table[0, 0],
        "contacts AM-SE": table[0, 1],
        "contacts SE-SE": table[1, 1],
        "rattlers": float(rattlers(packing).mean()),
    }
    for partition, options in PARTITIONS.items():
        numbers |= _stresses(packing, particle_stress(packing, **options), partition)
    numbers |= conduction(voxelise(packing, spacing=spacing, priority=("AM", "SE")))
    if conserve:
        image = voxelise(packing, spacing=spacing, priority=("AM", "SE"), conserve=conserve)
        numbers |= {f"{name}, volume kept": x for name, x in conduction(image).items()}
    return {name: float(value) for name, value in numbers.items()}


def _stresses(packing, stress, partition):
    """Return mean stresses of phases, of small and large particles, near planes and far off."""
    pressed = -np.diagonal(stress, axis1=1, axis2=2) / MPa
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


def conduction(image):
    """Return what the paper calls sigma_el, tau and D_eff, all across the electrode."""
    # As in the paper: periodic across x and y at every stage, a potential difference along z.
    electrons = conductivity(image, {"AM": 1.0}, sides="periodic", tolerance=1e-3)
    ions = conductivity(image, {"SE": 1.0}, sides="periodic", tolerance=1e-3)
    return {
        "sigma_el": electrons.value,  # over that of the active material
        "D_eff": ions.value,  # over that of the electrolyte
        "tau": ions.tau,
        "AM on voxels": image.fractions()["AM"],
        "SE on voxels": image.fractions()["SE"],
    }


def measure_all(packings, spacing, path, comm, conserve=()):
    """Measure packings, each on one rank, and keep the numbers in a file.

    Args:
        packings: By the name of their state.
        spacing: Edge of the voxels [m].
        path: File that keeps the numbers of what was measured before.
        comm: The ranks, which all hold the same packings.
        conserve: States on which the volume of the electrolyte is also restored.

    Returns:
        The numbers of every state, the same on every rank.
    """
    known = json.loads(path.read_text()) if comm.rank == 0 and path.exists() else {}
    known = comm.bcast(known)
    made = {name: [p.origin["stages"][-1]["key"], spacing] for name, p in packings.items()}
    left = [name for name in packings if known.get(name, {}).get("made") != made[name]]
    for start in range(0, len(left), comm.size):
        names = left[start : start + comm.size]
        own = None
        if comm.rank < len(names):
            name = names[comm.rank]
            kept = "SE" if name in conserve else None
            try:
                own = {"made": made[name], **measure(packings[name], spacing, kept)}
            except FemssbError as error:
                own = error  # raised where all ranks meet, or the others would wait for ever
        for name, numbers in zip(names, comm.allgather(own), strict=False):
            if isinstance(numbers, FemssbError):
                raise numbers
            known[name] = numbers
        if comm.rank == 0:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(known, indent=1))
    return {name: known[name] for name in packings}

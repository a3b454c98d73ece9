"""What is measured on the electrodes of both papers on the wet route, in SI, by name.

All conductivities are those of the papers: active material .005 S/m, carbon-binder domain 15.93 S/m
(section 2.4; the second paper takes over both), and the electrolyte 1, so that its effective
conductivity is the diffusivity over that of its bulk. Where spheres overlap, the active material
wins, then the electrolyte: the binder is what gives way, as the paper has it in section 3.4.

Density and porosity by weight are those of the true diameters. The spheres on voxels have the
diameters at which the force field lets them touch, 14 % larger for active material and electrolyte:
with their true ones hardly any two of a dried electrode touch, and nothing conducts. The numbers of
both are kept; those of the true diameters begin with "true".
"""

from dataclasses import replace
from importlib.util import find_spec
from itertools import combinations_with_replacement

import numpy as np

from femssb.electrode import transport
from femssb.packing import contact_network, weigh
from femssb.voxels import conductivity, local_widths, phase_profile, pore_network

PHASES = ("AM", "SE", "CBD")
PAIRS = tuple(combinations_with_replacement(PHASES, 2))
ACTIVE, BINDER = 0.005, 15.93  # [S/m] section 2.4
ELECTRONIC, IONIC = {"AM": ACTIVE, "CBD": BINDER}, {"SE": 1.0}
PORES = 0.5  # of the binder's volume when it has dried, section 3.3
DENSE = 900 / (1 - PORES)  # [kg/m3] of carbon and binder, section 3.1: 0.9 g/cm3 with the pores
BINDER_FIRST = ("CBD", "AM", "SE")  # the other order in which phases may win
ENLARGED = {"AM": 1.14, "SE": 1.14}  # diameters of the force field over the true ones, section 2.3
HAS_PORESPY = find_spec("porespy") is not None  # which splits the pores into a network
SLICES = 20  # of profiles along the thickness
WIDTHS = (0.1, 0.5, 0.9)  # shares of the pores whose width is kept


def own_porosity(packing):
    """Return the share of pores in the dry beads of binder: what their mass does not fill."""
    binder = packing.of_phase("CBD")
    density = packing.masses[binder].sum() / packing.volumes[binder].sum()
    return {"CBD": max(0.0, 1 - float(density) / DENSE)}


def weighed(packing):
    """Return what weighing a state gives; of a slurry no porosity, as solvent fills its beads."""
    wet = packing.origin["stages"][-1]["stage"] == "Slurry"
    found = weigh(packing, own_porosity=None if wet else own_porosity(packing))
    numbers = {
        "thickness": found.thickness,
        "density": found.density,
        "loading": found.loading,
        "swallowed": found.swallowed,
        **{f"nominal {name}": share for name, share in found.shares.items()},
    }
    if not wet:
        numbers |= {"porosity": found.porosity, "uncovered": found.uncovered}
    return numbers


def measure(packing, spacing, *, enlargement=ENLARGED, fitted=None):
    """Return all numbers of a dried or calendered electrode.

    Args:
        packing: The electrode.
        spacing: Edge of the voxels [m].
        enlargement: Diameters on the voxels over the true ones, by phase.
        fitted: Another conductivity of the carbon-binder domain, for one more number [S/m].
    """
    given = {"electronic": ELECTRONIC, "ionic": IONIC, "spacing": spacing}
    given["own_porosity"] = own_porosity(packing)
    met = enlarged(packing, enlargement)
    moved = transport(met, priority=PHASES, **given)
    other = transport(met, priority=BINDER_FIRST, **given)
    true = transport(packing, priority=PHASES, **given)
    more = {}
    if fitted:
        electronic = ELECTRONIC | {"CBD": fitted}
        found = conductivity(moved.image, electronic, sides="periodic", tolerance=1e-3)
        more["sigma_e, fitted binder"] = found.value
    return {
        **more,
        **weighed(packing),
        **network_numbers(packing, enlargement),
        **conduction(moved),
        **{f"true {name}": value for name, value in conduction(true).items()},
        "sigma_e, binder wins": other.electronic_conductivity,
        **pores(moved.image),
        **throats(moved.image),
        **profiles(moved.image),
    }


def enlarged(packing, enlargement):
    """Return a packing with other diameters of some phases."""
    factors = np.array([enlargement.get(name, 1.0) for name in packing.phase_names])
    return replace(packing, radii=packing.radii * factors[packing.phases])


def conduction(moved):
    """Return what voxels of an electrode say, of its phases and of its conduction."""
    shares = moved.image.fractions()
    return {
        "voxel porosity": moved.voxel_porosity,
        **{f"{name} on voxels": shares[name] for name in PHASES},
        "sigma_e": moved.electronic_conductivity,
        "D_eff": moved.relative_diffusivity,
        "tau": moved.tortuosity,
        "double layer area": moved.interface,
    }


def network_numbers(packing, enlargement):
    """Return contacts, their areas and what percolates, by pair of phases."""
    network = contact_network(packing, enlargement=enlargement)
    true = contact_network(packing)
    table, area, own = network.coordination(), network.contact_area(), true.coordination()
    numbers = {}
    for i, one in enumerate(packing.phase_names):
        for j, other in enumerate(packing.phase_names):
            numbers[f"contacts {one}-{other}"] = table[i, j]
            numbers[f"true contacts {one}-{other}"] = own[i, j]
    for one, other in PAIRS:
        i, j = packing.phase_names.index(one), packing.phase_names.index(other)
        phases = one if one == other else (one, other)
        numbers[f"contact area {one}-{other}"] = area[i, j]
        numbers[f"percolates {one}-{other}"] = network.percolating_share(phases)
        numbers[f"true percolates {one}-{other}"] = true.percolating_share(phases)
    cluster = network.clusters("SE")
    volumes = packing.volumes
    numbers["SE clusters"] = cluster.max() + 1
    numbers["SE largest cluster"] = volumes[cluster == 0].sum() / volumes[cluster >= 0].sum()
    return numbers


def pores(image):
    """Return widths of the pores between the spheres: their mean and some quantiles."""
    if not image.fractions()["void"]:
        return {"pore width": 0.0, **{f"pore width {share:g}": 0.0 for share in WIDTHS}}
    found = local_widths(image, "void", classes=16)
    below = np.cumsum(found.shares[::-1])  # from narrow to wide
    rows = np.searchsorted(below, WIDTHS)
    widths = found.widths[::-1][np.minimum(rows, len(below) - 1)]
    return {
        "pore width": found.mean,
        **{f"pore width {share:g}": width for share, width in zip(WIDTHS, widths, strict=True)},
    }


def throats(image):
    """Return what the network of the pores says; nothing where PoreSpy is not installed.

    Voxels that fill the box are cubes but for a few per cent; the network takes them as such.
    """
    if not HAS_PORESPY or not image.fractions()["void"]:
        return {}
    edge = float(np.cbrt(np.prod(image.spacing)))
    found = pore_network(replace(image, spacing=(edge, edge, edge)), "void")
    volume = float(np.prod(image.lengths))
    return {
        "pores per volume": len(found) / volume,
        "pore diameter": found.mean_diameter,
        "throats of a pore": float(found.coordination.mean()),
        "throat diameter": float(found.throat_diameters.mean()) if len(found.throats) else 0.0,
    }


def profiles(image):
    """Return the share of every phase in slices across the thickness, from the lower plane up."""
    found = phase_profile(image)
    layers = np.linspace(0, 1, len(found.positions) + 1)
    edges = np.linspace(0, 1, SLICES + 1)
    numbers = {}
    for name in ("void", *PHASES):
        below = np.concatenate([[0.0], np.cumsum(found.of_phase(name))]) / len(found.positions)
        shares = SLICES * np.diff(np.interp(edges, layers, below))
        numbers |= {f"{name} at {number}": share for number, share in enumerate(shares)}
    return numbers


def profile(numbers, name):
    """Return heights over the thickness, and the share of a phase there, from a state's numbers."""
    heights = (np.arange(SLICES) + 0.5) / SLICES
    return heights, np.array([numbers[f"{name} at {number}"] for number in range(SLICES)])

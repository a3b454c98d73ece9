"""Microstructures as voxel images: made, read, conducted through, counted. Needs no DOLFINx.

The names below are loaded when first used, so that importing the package starts nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from femssb.voxels.apertures import Apertures, face_conductances, measure_apertures
    from femssb.voxels.areas import (
        InterfaceArea,
        InterfaceAreas,
        active_interface,
        interface_area,
        interface_areas,
    )
    from femssb.voxels.areas_of_spheres import sphere_areas
    from femssb.voxels.clusters import Clusters, Networks, find_clusters, find_networks
    from femssb.voxels.conduction import (
        Conduction,
        ConductivityTensor,
        Extrapolation,
        conductivity,
        conductivity_tensor,
        extrapolate,
    )
    from femssb.voxels.estimates import CompositeCathode, PowerLaw, fit_power_law
    from femssb.voxels.generate import Composite
    from femssb.voxels.generate_binder import add_binder
    from femssb.voxels.generate_polyhedra import Polyhedra, Prisms, add_polyhedra
    from femssb.voxels.generate_spheres import Sizes, pack_spheres
    from femssb.voxels.image import VoxelImage, empty_image, from_array
    from femssb.voxels.image_files import read_image, write_image
    from femssb.voxels.impedance import (
        ImpedanceFit,
        SymmetricCell,
        fit_impedance,
        transmission_line,
    )
    from femssb.voxels.packing_conduction import PackingConduction, packing_conductivity
    from femssb.voxels.pores import PoreNetwork, pore_network
    from femssb.voxels.statistics import ChordLengths, PhaseProfile, chord_lengths, phase_profile
    from femssb.voxels.voxelisation import voxelise

__all__ = [
    "Apertures",
    "ChordLengths",
    "Clusters",
    "Composite",
    "CompositeCathode",
    "Conduction",
    "ConductivityTensor",
    "Extrapolation",
    "ImpedanceFit",
    "InterfaceArea",
    "InterfaceAreas",
    "Networks",
    "PackingConduction",
    "PhaseProfile",
    "Polyhedra",
    "PoreNetwork",
    "PowerLaw",
    "Prisms",
    "Sizes",
    "SymmetricCell",
    "VoxelImage",
    "active_interface",
    "add_binder",
    "add_polyhedra",
    "chord_lengths",
    "conductivity",
    "conductivity_tensor",
    "empty_image",
    "extrapolate",
    "face_conductances",
    "find_clusters",
    "find_networks",
    "fit_impedance",
    "fit_power_law",
    "from_array",
    "interface_area",
    "interface_areas",
    "measure_apertures",
    "pack_spheres",
    "packing_conductivity",
    "phase_profile",
    "pore_network",
    "read_image",
    "sphere_areas",
    "transmission_line",
    "voxelise",
    "write_image",
]

_HOMES = {
    "apertures": ("Apertures", "face_conductances", "measure_apertures"),
    "areas": (
        "InterfaceArea",
        "InterfaceAreas",
        "active_interface",
        "interface_area",
        "interface_areas",
    ),
    "areas_of_spheres": ("sphere_areas",),
    "clusters": ("Clusters", "Networks", "find_clusters", "find_networks"),
    "conduction": (
        "Conduction",
        "ConductivityTensor",
        "Extrapolation",
        "conductivity",
        "conductivity_tensor",
        "extrapolate",
    ),
    "estimates": ("CompositeCathode", "PowerLaw", "fit_power_law"),
    "generate": ("Composite",),
    "generate_binder": ("add_binder",),
    "generate_polyhedra": ("Polyhedra", "Prisms", "add_polyhedra"),
    "generate_spheres": ("Sizes", "pack_spheres"),
    "image": ("VoxelImage", "empty_image", "from_array"),
    "image_files": ("read_image", "write_image"),
    "impedance": ("ImpedanceFit", "SymmetricCell", "fit_impedance", "transmission_line"),
    "packing_conduction": ("PackingConduction", "packing_conductivity"),
    "pores": ("PoreNetwork", "pore_network"),
    "statistics": ("ChordLengths", "PhaseProfile", "chord_lengths", "phase_profile"),
    "voxelisation": ("voxelise",),
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"femssb.voxels.{module}"), name)
    raise AttributeError(f"module 'femssb.voxels' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

"""Microstructures as voxel images: made, read, conducted through, counted. Needs no DOLFINx.

The names below are loaded when first used, so that importing the package starts nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from femssb.voxels.apertures import Apertures, face_conductances, measure_apertures
    from femssb.voxels.image import VoxelImage, from_array
    from femssb.voxels.image_files import read_image, write_image
    from femssb.voxels.voxelisation import voxelise

__all__ = [
    "Apertures",
    "VoxelImage",
    "face_conductances",
    "from_array",
    "measure_apertures",
    "read_image",
    "voxelise",
    "write_image",
]

_HOMES = {
    "apertures": ("Apertures", "face_conductances", "measure_apertures"),
    "image": ("VoxelImage", "from_array"),
    "image_files": ("read_image", "write_image"),
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

"""Electro-chemo-mechanics of solid-state-battery cathodes.

The names below are loaded when first used, so that ``import femssb`` is quick and starts nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from femssb.errors import EngineError, FemssbError, InputError, MeshError, NotConverged
    from femssb.geometry import HalfCell, Polycrystal
    from femssb.meshing import mesh
    from femssb.model import Model
    from femssb.protocol import Charge, Discharge, Hold, Rest
    from femssb.simulation import Simulation
    from femssb.solution import Solution

    from . import library, plotting

__version__ = "0.1.0"

__all__ = [
    "Charge",
    "Discharge",
    "EngineError",
    "FemssbError",
    "HalfCell",
    "Hold",
    "InputError",
    "MeshError",
    "Model",
    "NotConverged",
    "Polycrystal",
    "Rest",
    "Simulation",
    "Solution",
    "library",
    "mesh",
    "plotting",
]

_HOMES = {
    "errors": ("EngineError", "FemssbError", "InputError", "MeshError", "NotConverged"),
    "geometry": ("HalfCell", "Polycrystal"),
    "meshing": ("mesh",),
    "model": ("Model",),
    "protocol": ("Charge", "Discharge", "Hold", "Rest"),
    "simulation": ("Simulation",),
    "solution": ("Solution",),
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"femssb.{module}"), name)
    if name in __all__:
        return import_module(f"femssb.{name}")
    raise AttributeError(f"module 'femssb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

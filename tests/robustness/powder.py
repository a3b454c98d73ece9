"""A small powder and its press."""

from __future__ import annotations

from functools import cache

from femssb import library, packing, particles
from femssb.units import MPa, um

STAGES = [
    particles.Uniaxial(pressure=20 * MPa),
    particles.Uniaxial(pressure=40 * MPa),
    particles.Uniaxial(pressure=10 * MPa),
]


@cache
def recipe() -> packing.Recipe:
    """Return a recipe of two components."""
    sizes = packing.ListedSizes(diameters=(2 * um, 3 * um), numbers=(1.0, 2.0))
    return packing.Recipe(
        components=(
            packing.Component(name="AM", solid=library.NCM523, share=0.7, sizes=sizes),
            packing.Component(name="SE", solid=library.LI6PS5CL, share=0.3, sizes=sizes),
        ),
        loading=0.05,
        width=10 * um,
    )


@cache
def powder() -> packing.Packing:
    """Return it as inserted."""
    return packing.insert(recipe(), height=60 * um, seed=1)


@cache
def contact_law() -> particles.HertzMindlin:
    """Return the law of its contacts."""
    return particles.HertzMindlin(solids={"AM": library.NCM523, "SE": library.LI6PS5CL})

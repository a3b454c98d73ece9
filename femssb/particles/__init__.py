"""Powders pressed and cycled: recipes, contact laws, stages driven by LAMMPS, stress and structure.

    recipe -> insert -> press, through a list of stages -> packings with stress and contacts

```python
recipe = Recipe(components=(cathode, electrolyte), loading=0.2, width=60 * um)
law = HertzMindlin(solids={"AM": NCM523, "SE": LI6PS5CL})
stages = [
    Uniaxial(pressure=375 * MPa),
    Uniaxial(pressure=101.325 * kPa),
    Isostatic(pressure=5 * MPa),
    *cycles("AM", 0.06, pressure=5 * MPa, count=5),
]
pressed = press(insert(recipe, height=60 * um, seed=1), stages, law, out="results/pressed")
```

A pressure is positive when it compresses, a stress is positive in tension. Everything here loads
without DOLFINx, PETSc or LAMMPS; LAMMPS is started by `press` only, on all ranks of ``mpirun``.
"""

from femssb.packing import Contacts, Packing
from femssb.particles.files import read, write
from femssb.particles.insertion import insert
from femssb.particles.laws import ContactLaw, ElasticPlastic, HertzMindlin, yield_pressure
from femssb.particles.pressing import press
from femssb.particles.recipe import (
    Component,
    ListedSizes,
    LognormalSizes,
    Recipe,
    TabulatedSizes,
)
from femssb.particles.stages import Isostatic, Stage, Swell, Uniaxial, cycles
from femssb.particles.stress import mean_stress, particle_stress, von_mises
from femssb.particles.structure import (
    Porosity,
    coordination,
    force_chains,
    heat_map,
    overlaps,
    porosity,
    profile,
    rattlers,
    solid_profile,
    thickness,
)

__all__ = [
    "Component",
    "ContactLaw",
    "Contacts",
    "ElasticPlastic",
    "HertzMindlin",
    "Isostatic",
    "ListedSizes",
    "LognormalSizes",
    "Packing",
    "Porosity",
    "Recipe",
    "Stage",
    "Swell",
    "TabulatedSizes",
    "Uniaxial",
    "coordination",
    "cycles",
    "force_chains",
    "heat_map",
    "insert",
    "mean_stress",
    "overlaps",
    "particle_stress",
    "porosity",
    "press",
    "profile",
    "rattlers",
    "read",
    "solid_profile",
    "thickness",
    "von_mises",
    "write",
    "yield_pressure",
]

"""The regions of a half-cell: a table of what they are made of and what lives on them.

The displacement is continuous within a body and may jump from one body to another. Lithium and the
potentials are continuous over all regions that carry them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from femssb.errors import InputError, MeshError, check_number, shown
from femssb.inputs.interfaces import InsertionKinetics
from femssb.inputs.materials import ActiveMaterial, Conductor, Materials
from femssb.meshing.data import MeshData
from femssb.meshing.parts import grain_numbers
from femssb.tensors import rotate_stiffness

PARTICLE, MATRIX = "particle", "matrix"  # bodies
LITHIUM, IONIC, ELECTRONIC = FIELDS = "lithium", "ionic", "electronic"
VOLTAGE = "voltage"  # of the cell: an unknown of its own


@dataclass(frozen=True, kw_only=True)
class Region:
    """Mesh cells made of one material; all grains of one are one region."""

    name: str  # in the mesh, or of what active material
    body: str  # that it is a part of
    material: ActiveMaterial | Conductor
    carries: tuple[str, ...]  # those of FIELDS (stoichiometry, two potentials) that live on it
    tags: tuple[int, ...]  # (n,) its cell tags in the mesh
    orientations: NDArray[np.float64]  # (n, 3, 3) of each tag: columns are the material's axes
    kinetics: InsertionKinetics | None = None  # of the reaction at the surface of particles
    diffusing: NDArray[np.float64] | float = 1.0  # (n,) factor of each tag on the diffusivity
    stiffening: NDArray[np.float64] | float = 1.0  # (n,) on the stiffness

    def stiffness(self) -> NDArray[np.float64]:
        """Return the stiffness of each tag in the axes of the box, shape (n, 6, 6) [Pa]."""
        own = rotate_stiffness(self.material.elasticity.stiffness_matrix(), self.orientations)
        return own * np.reshape(self.stiffening, (-1, 1, 1))

    @property
    def fastest(self) -> float:
        """Largest diffusivity along any axis of any grain, but for a factor on all [m2/s]."""
        assert isinstance(self.material, ActiveMaterial)
        return max(self.material.diffusivity) * float(np.max(self.diffusing))


def regions(data: MeshData, materials: Materials) -> tuple[Region, ...]:
    """Return the rows of the table that a mesh has.

    Raises:
        InputError: If `Materials.others` and the particles of the mesh do not fit.
        MeshError: If no region of the mesh carries one of the fields.
    """
    of_grain = np.array(_phases_of(data, materials))[data.grain_particle]

    def with_electrons(material: ActiveMaterial | Conductor, *carries: str) -> tuple[str, ...]:
        return (*carries, ELECTRONIC) if material.electronic_conductivity > 0 else carries

    numbers = grain_numbers(data.grain_particle)
    names = (PARTICLE, *(f"{PARTICLE} of {name}" for name in materials.others))
    phases = dict(zip(names, materials.phases, strict=True))
    inside = {name: of_grain == index for index, name in enumerate(names)}
    table: tuple[tuple[str, str, ActiveMaterial | Conductor, tuple[str, ...]], ...] = (
        *((n, PARTICLE, p.active, with_electrons(p.active, LITHIUM)) for n, p in phases.items()),
        ("ecbd", MATRIX, materials.ecbd, with_electrons(materials.ecbd, IONIC)),
        ("electrolyte", MATRIX, materials.electrolyte, (IONIC,)),
    )
    tags = {name: data.grain_tags[grains].tolist() for name, grains in inside.items()}
    tags |= {name: [tag] for name, tag in data.regions.items()}
    axes = {name: data.orientations[grains] for name, grains in inside.items()}
    for field in FIELDS:
        able = [name for name, *_, carries in table if field in carries]
        if not any(tags.get(name) for name in able):
            raise MeshError(
                f"the mesh has no region {' or '.join(able)!r}; it has {sorted(data.regions)} and "
                f"{len(data.grain_tags)} grains"
            )
    return tuple(
        Region(
            name=name,
            body=body,
            material=material,
            carries=carries,
            tags=tuple(tags[name]),
            orientations=axes.get(name, np.eye(3)[None]),
            kinetics=phases[name].kinetics if name in phases else None,
            **(_of_grains(phases[name].active, inside[name], numbers) if name in phases else {}),
        )
        for name, body, material, carries in table
        if tags.get(name)
    )


def _of_grains(
    active: ActiveMaterial, inside: NDArray[np.bool_], numbers: Sequence[tuple[int, int]]
) -> dict[str, NDArray[np.float64]]:
    """Return what differs between the grains of an active material.

    Raises:
        InputError: If a table does not fit, or a diffusivity is out of bounds.
    """
    grains, found = [numbers[k] for k in np.flatnonzero(inside).tolist()], {}
    if (given := active.diffusivity_of_grains) is not None:
        owner = "ActiveMaterial.diffusivity_of_grains"
        found["diffusing"] = factors = given.of(grains, owner)
        for extreme in (factors.min(), factors.max()):
            value = extreme * max(active.diffusivity)
            check_number(owner, "diffusivity (fastest)", value, lower=1e-19, upper=1e-9)
    if (given := active.stiffness_of_grains) is not None:
        found["stiffening"] = given.of(grains, "ActiveMaterial.stiffness_of_grains")
    return found


def _phases_of(data: MeshData, materials: Materials) -> list[int]:
    """Return which of the active materials each particle is made of.

    Raises:
        InputError: If a name stands for no particle, several stand for one, or none does for a
            material that the geometry names.
    """
    count = int(data.grain_particle.max(initial=-1)) + 1
    particles = getattr(data.origin.get("cell"), "particles", ())
    called = [particle.material for particle in particles]
    if len(called) != count:
        called = [None] * count
    found, used = [], set()
    for number, material in enumerate(called, start=1):
        own = f"{PARTICLE}_{number}"
        fits = [
            key
            for key in materials.others
            if any(name and fnmatchcase(name, key) for name in (own, material))
        ]
        if len(fits) > 1:
            raise InputError(f"Materials.others: {own} is both {fits[0]!r} and {fits[1]!r}")
        if material is not None and not fits:
            raise InputError(
                f"Materials.others has no {shown(material)}, of which {own} of the geometry is"
                f" made; it has {list(materials.others)}"
            )
        found.append(1 + list(materials.others).index(fits[0]) if fits else 0)
        used.update(fits)
    if unused := [key for key in materials.others if key not in used]:
        raise InputError(
            f"Materials.others[{unused[0]!r}] is of none of the {count} particles of the mesh:"
            f" names are particle_1 to particle_{count}, or those that the geometry gives"
        )
    return found

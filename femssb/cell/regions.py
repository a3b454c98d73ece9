"""The regions of a half-cell: a table of what they are made of and what lives on them.

The displacement is continuous within a body and may jump from one body to another. Lithium and the
potentials are continuous over all regions that carry them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.errors import MeshError
from femssb.inputs.materials import ActiveMaterial, Conductor, Materials
from femssb.meshing.data import MeshData
from femssb.tensors import rotate_stiffness

PARTICLE, MATRIX = "particle", "matrix"  # bodies
LITHIUM, IONIC, ELECTRONIC = FIELDS = "lithium", "ionic", "electronic"
VOLTAGE = "voltage"  # of the cell: an unknown of its own


@dataclass(frozen=True, kw_only=True)
class Region:
    """Mesh cells made of one material; all grains are one region."""

    name: str  # in the mesh
    body: str  # that it is a part of
    material: ActiveMaterial | Conductor
    carries: tuple[str, ...]  # those of FIELDS (stoichiometry, two potentials) that live on it
    tags: tuple[int, ...]  # (n,) its cell tags in the mesh
    orientations: NDArray[np.float64]  # (n, 3, 3) of each tag: columns are the material's axes

    def stiffness(self) -> NDArray[np.float64]:
        """Return the stiffness of each tag in the axes of the box, shape (n, 6, 6) [Pa]."""
        return rotate_stiffness(self.material.elasticity.stiffness_matrix(), self.orientations)


def regions(data: MeshData, materials: Materials) -> tuple[Region, ...]:
    """Return the rows of the table that a mesh has.

    Raises:
        MeshError: If no region of the mesh carries one of the fields.
    """

    def with_electrons(material: ActiveMaterial | Conductor, *carries: str) -> tuple[str, ...]:
        return (*carries, ELECTRONIC) if material.electronic_conductivity > 0 else carries

    table = (
        (PARTICLE, PARTICLE, materials.active, with_electrons(materials.active, LITHIUM)),
        ("ecbd", MATRIX, materials.ecbd, with_electrons(materials.ecbd, IONIC)),
        ("electrolyte", MATRIX, materials.electrolyte, (IONIC,)),
    )
    tags = {PARTICLE: data.grain_tags.tolist(), **{name: [t] for name, t in data.regions.items()}}
    axes = {PARTICLE: data.orientations}
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
        )
        for name, body, material, carries in table
        if tags.get(name)
    )

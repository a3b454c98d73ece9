"""The regions of a half-cell: a table of what they are made of and what lives on them.

The displacement is continuous within a body and may jump from one body to another. Lithium and the
potentials are continuous over all regions that carry them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.errors import MeshError
from femssb.inputs.materials import ActiveMaterial, Conductor, Materials
from femssb.meshing.data import MeshData
from femssb.tensors import rotate_stiffness

Array = NDArray[np.float64]

PARTICLE, MATRIX = "particle", "matrix"  # bodies
LITHIUM, IONIC, ELECTRONIC = FIELDS = "lithium", "ionic", "electronic"


@dataclass(frozen=True, kw_only=True)
class Region:
    """Mesh cells made of one material.

    Attributes:
        name: Its name in the mesh; all grains are one region.
        body: The body that it is a part of.
        material: What it is made of.
        carries: Which of `FIELDS`, the stoichiometry and the two potentials, live on it.
        tags: (n,) its cell tags in the mesh.
        orientations: (n, 3, 3) material axes of the cells of each tag, as columns.
    """

    name: str
    body: str
    material: ActiveMaterial | Conductor
    carries: tuple[str, ...]
    tags: tuple[int, ...]
    orientations: Array

    def stiffness(self) -> Array:
        """Return the stiffness of each tag in the axes of the box, shape (n, 6, 6) [Pa]."""
        return rotate_stiffness(self.material.elasticity.stiffness_matrix(), self.orientations)


def regions(data: MeshData, materials: Materials) -> tuple[Region, ...]:
    """Return the rows of the table that a mesh has.

    Raises:
        MeshError: If no region of the mesh carries one of the fields.
    """
    table = (
        (PARTICLE, PARTICLE, materials.active, (LITHIUM,)),
        ("ecbd", MATRIX, materials.ecbd, (IONIC, ELECTRONIC)),
        ("electrolyte", MATRIX, materials.electrolyte, (IONIC,)),
    )
    tags = {PARTICLE: data.grain_tags.tolist()}
    tags |= {name: [tag] for name, tag in data.regions.items()}
    axes = {PARTICLE: data.orientations}
    for field in FIELDS:
        able = [name for name, _, _, carries in table if field in carries]
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


def made_of[Material](
    rows: Iterable[Region], kind: type[Material]
) -> list[tuple[Region, Material]]:
    """Return the regions made of a kind of material, each with that."""
    return [(row, row.material) for row in rows if isinstance(row.material, kind)]

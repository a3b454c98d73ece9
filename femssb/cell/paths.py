"""Whether lithium, ions and electrons can get to every place of a mesh, and whether it is held.

A part of a region from which no chain of cells leads to where its field is given or exchanged has a
potential that is not determined, or lithium that cannot leave; its equations are singular. Cells
are connected where they share a face, and across the periodic sides.
"""

from collections.abc import Sequence

import numpy as np

from femssb.arrays import Indices
from femssb.cell.regions import ELECTRONIC, IONIC, LITHIUM, Region
from femssb.cell.surfaces import Insertion, Metal, Prescribed, Surface
from femssb.environment.ranks import from_first_rank, on_first_rank
from femssb.errors import MeshError
from femssb.inputs.boundary import Fixed
from femssb.meshing.data import MeshData, gather
from femssb.meshing.parts import Parts
from femssb.meshing.soundness import (
    Faces,
    check,
    described,
    face_keys,
    find_faces,
    periodic_links,
    pieces,
)

SOURCES = {  # the law of the current through the surfaces where what is carried comes from
    LITHIUM: ("lithium", Insertion),
    IONIC: ("ions", Metal),
    ELECTRONIC: ("electrons", Prescribed),
}

RESOLVED = {  # facets that are never to be passed over in silence
    "contact": "particles touch each other",
    "particle_collector": "particles touch the collector",
    "particle_separator": "particles touch the separator",
}


def check_mesh(
    data: MeshData, regions: Sequence[Region], surfaces: Sequence[Surface]
) -> tuple[str, ...]:
    """Check that a mesh is sound and every part of it is held, and return warnings; collective.

    Raises:
        MeshError: If it is not, or particles touch in a way for which there is no law; the message
            says where. On every rank.
    """
    missing = [surface.name for surface in surfaces if surface.name not in data.facets]
    if missing:
        raise MeshError(f"the mesh has no facets {missing}; it has {sorted(data.facets)}")
    known = {surface.name for surface in surfaces}
    parts = gather(data)

    def work() -> tuple[str, ...]:
        if parts is None:
            return ()
        for name, meaning in RESOLVED.items():
            if name in parts.facets and name not in known:
                count = int((parts.facet_tags == parts.facets[name]).sum())
                raise MeshError(
                    f"{meaning} ({count} facets {name!r}), for which the model has no law: they "
                    "would be joined as if there were no surface"
                )
        found = check(parts)
        joined = _Joined(parts, regions, surfaces)
        ends = [surface.name for surface in surfaces if isinstance(surface.traction, Fixed)]
        joined.check(regions, ends, "nothing holds a part of the cell")
        return found

    return tuple(dict.fromkeys(data.warnings + from_first_rank(data.mesh.comm, work)))


def check_paths(data: MeshData, regions: Sequence[Region], surfaces: Sequence[Surface]) -> None:
    """Check that every part of a mesh has its path for lithium, ions and electrons; collective.

    Raises:
        MeshError: If a part of a region is cut off; the message says which, by name, tag, number of
            cells and place. On every rank.
    """
    parts = gather(data)

    def work() -> None:
        if parts is None:
            return
        joined = _Joined(parts, regions, surfaces)
        for field, (carried, law) in SOURCES.items():
            ends = [surface.name for surface in surfaces if isinstance(surface.current, law)]
            rows = [row for row in regions if field in row.carries]
            joined.check(rows, ends, f"there is no path for {carried}")

    on_first_rank(data.mesh.comm, work)


class _Joined:
    """What is connected in a mesh, and the cells behind its surfaces."""

    def __init__(
        self, parts: Parts, regions: Sequence[Region], surfaces: Sequence[Surface]
    ) -> None:
        self.parts = parts
        self.faces = find_faces(parts.points, parts.cells)
        self.periodic = periodic_links(parts.points, self.faces)
        self.behind = {
            each.name: _cells_behind(
                parts, self.faces, each, [row for row in regions if row.body == each.minus]
            )
            for each in surfaces
        }

    def check(self, rows: Sequence[Region], ends: Sequence[str], without: str) -> None:
        """Check that from each piece of some regions a chain of cells leads to a surface."""
        inside = np.isin(self.parts.cell_tags, [tag for row in rows for tag in row.tags])
        joined = np.concatenate([self.behind[name] for name in ends])
        for piece in pieces(self.faces, inside, self.periodic):
            if not np.isin(piece, joined).any():
                raise MeshError(
                    f"{without}: {described(self.parts, piece)} is cut off from the facets "
                    f"{' and '.join(map(repr, ends))}"
                )


def _cells_behind(parts: Parts, faces: Faces, surface: Surface, minus: Sequence[Region]) -> Indices:
    """Return the cells on the minus side of a surface, which must have one at every facet."""
    triangles = parts.triangles[parts.facet_tags == parts.facets[surface.name]]
    known = face_keys(faces.corners, len(parts.points))
    at = np.searchsorted(known, face_keys(np.sort(triangles, axis=1), len(parts.points)))
    cells = faces.cells[at]
    inside = np.isin(parts.cell_tags[cells], [tag for row in minus for tag in row.tags])
    inside &= cells >= 0
    wrong = np.flatnonzero(inside.sum(axis=1) != 1)
    if not len(triangles):
        raise MeshError(f"facets {surface.name!r} are an empty list: the surface has no area")
    if len(wrong):
        owner = np.unique(cells[wrong].max(axis=1))
        raise MeshError(
            f"{len(wrong)} of {len(triangles)} facets {surface.name!r} do not end "
            f"{' or '.join(repr(row.name) for row in minus)}: there lies {described(parts, owner)}"
        )
    return cells[inside]

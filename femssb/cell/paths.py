"""Whether lithium, ions and electrons can get to every place of a mesh, and whether it is held.

A part of a region from which no chain of cells leads to where its field is given or exchanged has a
potential that is not determined, or lithium that cannot leave; its equations are singular. Cells
are connected where they share a face, and across the periodic sides. In the matrix such a part is
an error; a particle that is cut off is named, and takes no part.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Indices
from femssb.cell.regions import ELECTRONIC, IONIC, MATRIX, PARTICLE, Region
from femssb.cell.surfaces import (
    CONTACT,
    SEPARATOR,
    Insertion,
    Metal,
    Ohmic,
    Permeation,
    Prescribed,
    Surface,
)
from femssb.environment.ranks import from_first_rank, on_first_rank
from femssb.errors import MeshError
from femssb.inputs.boundary import Fixed
from femssb.inputs.materials import Materials
from femssb.meshing.data import MeshData, gather
from femssb.meshing.parts import FIRST_GRAIN, Parts
from femssb.meshing.resolved_cell import has_voids
from femssb.meshing.soundness import (
    Faces,
    check,
    described,
    face_keys,
    find_faces,
    periodic_links,
    pieces,
)
from femssb.tetrahedra import volumes

_NAMED = 12  # particles in a message


@dataclass(frozen=True, kw_only=True)
class CutOff:
    """Particles, from 0, that take no part, as something does not get to them."""

    electrons: tuple[int, ...] = ()  # no chain of contacts leads to the collector
    ions: tuple[int, ...] = ()  # nothing can be inserted

    @property
    def inert(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(sorted({*self.electrons, *self.ions}))


def check_mesh(
    data: MeshData, materials: Materials, regions: Sequence[Region], surfaces: Sequence[Surface]
) -> tuple[str, ...]:
    """Check that a mesh is sound and every part of it is held, and return warnings; collective.

    Raises:
        MeshError: If it is not, or particles touch for which there is no law; the message says
            where. On every rank.
    """
    missing = [surface.name for surface in surfaces if surface.name not in data.facets]
    if missing:
        raise MeshError(f"the mesh has no facets {missing}; it has {sorted(data.facets)}")
    parts = gather(data)

    def work() -> tuple[str, ...]:
        if parts is None:
            return ()
        if CONTACT in parts.facets and materials.contacts is None:
            count = int((parts.facet_tags == parts.facets[CONTACT]).sum())
            raise MeshError(
                f"particles touch each other ({count} facets {CONTACT!r}), for which the model has "
                "no law: give Materials.contacts"
            )
        found = check(parts, holes=has_voids(data.origin.get("cell")))
        for each in surfaces:
            if each.name == SEPARATOR and not each.currents:
                count = int((parts.facet_tags == parts.facets[SEPARATOR]).sum())
                found += (
                    f"particles touch the separator ({count} facets {SEPARATOR!r}), which has no "
                    "carbon: nothing is inserted there, as particles conduct no electrons",
                )
        joined = _Joined(parts, regions, surfaces)
        ends = [surface.name for surface in surfaces if isinstance(surface.traction, Fixed)]
        joined.check(regions, ends, "nothing holds a part of the cell")
        return found

    return tuple(dict.fromkeys(data.warnings + from_first_rank(data.mesh.comm, work)))


def check_paths(data: MeshData, regions: Sequence[Region], surfaces: Sequence[Surface]) -> None:
    """Check that every part of a mesh has its path for ions and electrons; collective.

    Raises:
        MeshError: If a part of the matrix is cut off; the message says which, by name, tag, number
            of cells and place. Also if every particle is. On every rank.
    """
    parts = gather(data)

    def work() -> None:
        if parts is None:
            return
        joined = _Joined(parts, regions, surfaces)
        ions = [row for row in regions if IONIC in row.carries]
        joined.check(ions, _ends(surfaces, Metal), "there is no path for ions")
        rows = [row for row in regions if ELECTRONIC in row.carries]
        sources = _sources(surfaces)
        without = "there is no path for electrons"
        if any(row.body == MATRIX for row in rows):
            joined.check(rows, sources, without, body=MATRIX)
        if len(joined.cut_off(regions, surfaces).inert) == len(np.unique(parts.grain_particle)):
            raise MeshError(
                f"no particle can react: electrons come from the facets {sources}, ions to "
                f"{_ends(surfaces, Insertion)}, and no particle has both"
            )

    on_first_rank(data.mesh.comm, work)


def find_cut_off(
    data: MeshData,
    regions: Sequence[Region],
    surfaces: Sequence[Surface],
    without_ions: Collection[int],
) -> tuple[CutOff, tuple[str, ...]]:
    """Return the particles that take no part, and sentences that name them; collective.

    Args:
        data: The mesh.
        regions: The rows of its table.
        surfaces: Likewise.
        without_ions: Particles known to have no ions although the mesh has a matrix around them.
    """
    if not without_ions and not any(
        row.within or any(isinstance(law, Ohmic) for law in row.currents) for row in surfaces
    ):
        return CutOff(), ()
    parts = gather(data)

    def work() -> tuple[CutOff, tuple[str, ...]]:
        if parts is None:
            return CutOff(), ()
        joined = _Joined(parts, regions, surfaces)
        found = joined.cut_off(regions, surfaces, without_ions)
        of_cell = joined.particle
        volume = np.bincount(of_cell + 1, volumes(parts.points, parts.cells))[1:]
        said = []
        for carried, numbers in (("electrons", found.electrons), ("ions", found.ions)):
            if numbers:
                names = ", ".join(str(number + 1) for number in numbers[:_NAMED])
                more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
                share = 100 * volume[list(numbers)].sum() / volume.sum()
                said.append(
                    f"No path of {carried} reaches {len(numbers)} of {len(volume)} particles "
                    f"({names}{more}, counted from 1), {share:.3g} % of the active material: "
                    "nothing is inserted there, though 1C counts it."
                )
        return found, tuple(said)

    return from_first_rank(data.mesh.comm, work)


def _ends(surfaces: Sequence[Surface], kind: type) -> list[str]:
    """Return the surfaces with a kind of law, not one that acts only once they have opened."""
    return [each.name for each in surfaces if any(type(law) is kind for law in each.currents)]


def _sources(surfaces: Sequence[Surface]) -> list[str]:
    """Return the surfaces through which electrons come."""
    return [
        each.name
        for each in surfaces
        if any(
            isinstance(law, Prescribed) or (isinstance(law, Ohmic) and law.collector)
            for law in each.currents
        )
    ]


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
        grain = parts.cell_tags - FIRST_GRAIN
        of = np.append(parts.grain_particle.astype(np.int64), -1)
        self.particle = of[np.where(grain >= 0, grain, -1)]  # of each cell, -1 for none

    def check(
        self, rows: Sequence[Region], ends: Sequence[str], without: str, *, body: str = ""
    ) -> None:
        """Check that from each piece of some regions a chain of cells leads to a surface.

        Where a body is given, only pieces with a cell of it count.
        """
        inside = self._inside(rows)
        counts = self._inside([row for row in rows if not body or row.body == body])
        joined = self._behind(ends)
        for piece in pieces(self.faces, inside, self.periodic):
            if counts[piece].any() and not np.isin(piece, joined).any():
                raise MeshError(
                    f"{without}: {described(self.parts, piece)} is cut off from the facets "
                    f"{' and '.join(map(repr, ends))}"
                )

    def cut_off(
        self,
        regions: Sequence[Region],
        surfaces: Sequence[Surface],
        without_ions: Collection[int] = (),
    ) -> CutOff:
        """Return the particles that take no part."""
        rows = [row for row in regions if ELECTRONIC in row.carries]
        active = [row for row in regions if row.body == PARTICLE]
        reached = self._behind(_ends(surfaces, Insertion))
        touching = [law for each in surfaces if each.name == CONTACT for law in each.currents]
        if any(isinstance(law, Permeation) for law in touching):
            without = self._unreached(active, reached)
        else:
            without = np.setdiff1d(self.particle, self.particle[reached])
        without = np.union1d(without, np.array(sorted(without_ions), np.int64))
        uncharged = np.empty(0, np.int64)
        if any(row.body == PARTICLE for row in rows):
            uncharged = self._unreached(rows, self._behind(_sources(surfaces)))
        return CutOff(
            electrons=tuple(uncharged[uncharged >= 0].tolist()),
            ions=tuple(without[without >= 0].tolist()),
        )

    def _unreached(self, rows: Sequence[Region], ends: Indices) -> Indices:
        """Return the particles with a piece from which no chain of cells leads to others."""
        found = [
            self.particle[piece]
            for piece in pieces(self.faces, self._inside(rows), self.periodic)
            if not np.isin(piece, ends).any()
        ]
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def _inside(self, rows: Sequence[Region]) -> NDArray[np.bool_]:
        return np.isin(self.parts.cell_tags, [tag for row in rows for tag in row.tags])

    def _behind(self, names: Sequence[str]) -> Indices:
        """Return the cells on the minus side of some surfaces."""
        return np.concatenate([np.empty(0, np.int64), *(self.behind[name] for name in names)])


def _cells_behind(parts: Parts, faces: Faces, surface: Surface, minus: Sequence[Region]) -> Indices:
    """Return the cells on the minus side of a surface, which must have one at every facet."""
    triangles = parts.triangles[parts.facet_tags == parts.facets[surface.name]]
    known = face_keys(faces.corners, len(parts.points))
    at = np.searchsorted(known, face_keys(np.sort(triangles, axis=1), len(parts.points)))
    cells = faces.cells[at]
    inside = np.isin(parts.cell_tags[cells], [tag for row in minus for tag in row.tags])
    inside &= cells >= 0
    wrong = np.flatnonzero(inside.sum(axis=1) != (2 if surface.within else 1))
    if not len(triangles):
        raise MeshError(f"facets {surface.name!r} are an empty list: the surface has no area")
    if len(wrong):
        owner = np.unique(cells[wrong].max(axis=1))
        raise MeshError(
            f"{len(wrong)} of {len(triangles)} facets {surface.name!r} do not end "
            f"{' or '.join(repr(row.name) for row in minus)}: there lies {described(parts, owner)}"
        )
    return cells[inside]

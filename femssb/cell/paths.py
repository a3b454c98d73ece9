"""Whether lithium, ions and electrons can get to every place of a mesh, and whether it is held.

A part of a region from which no chain of cells leads to where its field is given or exchanged has a
potential that is not determined, or lithium that cannot leave; its equations are singular. Cells
are connected where they share a face, and across the periodic sides. In the matrix such a part is
an error; a particle that is cut off is named, and takes no part.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array, Indices
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
from femssb.errors import InputError, MeshError
from femssb.inputs.boundary import Displacement, Fixed, Spring, Support, Symmetric
from femssb.inputs.materials import Materials
from femssb.meshing.data import MeshData, gather
from femssb.meshing.parts import FACETS, FIRST_GRAIN, OPPOSITE, Parts
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
_MOTIONS = (
    "move along x", "move along y", "move along z", "turn about x", "turn about y", "turn about z",
)  # fmt: skip
_LOOSE = 1e-8  # mean square of what holds a motion, below which none does
_FLAT = 1e-6  # of a normal, how far it may be from an axis


@dataclass(frozen=True, kw_only=True)
class CutOff:
    """Particles, from 0, that take no part, as something does not get to them."""

    electrons: tuple[int, ...] = ()  # no chain of contacts leads to the collector
    ions: tuple[int, ...] = ()  # nothing can be inserted

    @property
    def inert(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(sorted({*self.electrons, *self.ions}))


def ends_of(
    data: MeshData, supports: Mapping[str, Support]
) -> tuple[dict[tuple[str, str], Support], tuple[int, ...]]:
    """Return how the bodies end at named facets, and the axes left periodic; collective.

    Raises:
        InputError: If a name is of no outer facets of the mesh, or of such as have an argument of
            their own. On every rank.
        MeshError: If facets in a plane of symmetry are in no plane across an axis. On every rank.
    """
    for name in supports:
        if name in ("collector", "anode"):
            raise InputError(f"Model.supports names {name!r}: give Model.{name}")
        own = name in FACETS and name not in (*OPPOSITE, *OPPOSITE.values())
        if own or name not in data.facets:
            able = sorted(
                set(data.facets) - set(FACETS) | set(data.facets) & {*OPPOSITE, *OPPOSITE.values()}
            )
            raise InputError(
                f"Model.supports names {name!r}, which is none of the sides of this mesh: {able}"
            )
    axes = tuple(
        axis
        for axis in data.periodic
        if not {list(OPPOSITE)[axis], list(OPPOSITE.values())[axis]} & set(supports)
    )
    if not supports:
        return {}, axes
    parts = gather(data)

    def work() -> dict[tuple[str, str], Support]:
        if parts is None:
            return {}
        faces = find_faces(parts.points, parts.cells)
        found = {}
        for name, support in supports.items():
            _, cells = _facets(parts, faces, name)
            if (cells[:, 1] >= 0).any():
                raise MeshError(
                    f"facets {name!r}, which Model.supports names, lie between cells: only outer "
                    "ones can be held"
                )
            inside = parts.cell_tags[cells[:, 0]] >= FIRST_GRAIN
            for body, there in ((PARTICLE, inside), (MATRIX, ~inside)):
                if there.any():
                    found[name, body] = support
        return found

    return from_first_rank(data.mesh.comm, work), axes


def check_mesh(
    data: MeshData,
    materials: Materials,
    regions: Sequence[Region],
    surfaces: Sequence[Surface],
    periodic: Sequence[int],
) -> tuple[str, ...]:
    """Check that a mesh is sound and every part of it is held, and return warnings; collective.

    Raises:
        MeshError: If it is not, or particles touch for which there is no law; the message says
            where. On every rank.
    """
    missing = [surface.facets for surface in surfaces if surface.facets not in data.facets]
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
        joined = _Joined(parts, regions, surfaces, periodic)
        joined.check_planes(surfaces)
        joined.check_held(regions, surfaces)
        return found

    return tuple(dict.fromkeys(data.warnings + from_first_rank(data.mesh.comm, work)))


def check_paths(
    data: MeshData,
    regions: Sequence[Region],
    surfaces: Sequence[Surface],
    periodic: Sequence[int],
) -> None:
    """Check that every part of a mesh has its path for ions and electrons; collective.

    Raises:
        MeshError: If a part of the matrix is cut off; the message says which, by name, tag, number
            of cells and place. Also if every particle is. On every rank.
    """
    parts = gather(data)

    def work() -> None:
        if parts is None:
            return
        joined = _Joined(parts, regions, surfaces, periodic)
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
    periodic: Sequence[int],
    without_ions: Collection[int],
) -> tuple[CutOff, tuple[str, ...]]:
    """Return the particles that take no part, and sentences that name them; collective.

    Args:
        data: The mesh.
        regions: The rows of its table.
        surfaces: Likewise.
        periodic: Axes across which its sides are periodic.
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
        joined = _Joined(parts, regions, surfaces, periodic)
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
        self,
        parts: Parts,
        regions: Sequence[Region],
        surfaces: Sequence[Surface],
        axes: Sequence[int],
    ) -> None:
        self.parts, self.axes = parts, axes
        self.faces = find_faces(parts.points, parts.cells)
        self.periodic = periodic_links(parts.points, self.faces, axes)
        self.behind: dict[str, Indices] = {}
        self.triangles: dict[str, Indices] = {}
        for each in surfaces:
            rows = [row for row in regions if row.body == each.minus]
            self.behind[each.name], self.triangles[each.name] = _cells_behind(
                parts, self.faces, each, rows
            )
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

    def check_planes(self, surfaces: Sequence[Surface]) -> None:
        """Check that surfaces of symmetry are planes across axes."""
        for surface in surfaces:
            if isinstance(surface.traction, Symmetric):
                corners = self.parts.points[self.triangles[surface.name]]
                wrong = np.abs(_normals(corners)).max(axis=1) < 1 - _FLAT
                if wrong.any():
                    raise MeshError(
                        f"{int(wrong.sum())} facets {surface.facets!r} are not normal to x, y or z,"
                        " as those of a plane of symmetry must be; a Spring with a large normal "
                        "stiffness slides along any face"
                    )

    def check_held(self, regions: Sequence[Region], surfaces: Sequence[Surface]) -> None:
        """Check that each piece of the cell is held against all that a rigid body can do."""
        points = self.parts.points
        extent, middle = float(np.ptp(points, axis=0).max()), points.mean(axis=0)
        for piece in pieces(self.faces, self._inside(regions), self.periodic):
            held = self._without_turns(piece)
            for surface in surfaces:
                here = np.isin(self.behind[surface.name], piece)
                if not surface.ends or not here.any():
                    continue
                corners = points[self.triangles[surface.name][here]]
                along = _held_along(surface.traction, _normals(corners))[:, None]
                arms = ((corners - middle) / extent)[:, :, None]
                turned = np.cross(arms, along)
                rows = np.concatenate([np.broadcast_to(along, turned.shape), turned], axis=-1)
                held += np.einsum("fcki,fckj->ij", rows, rows) / len(rows)
            strength, motions = np.linalg.eigh(held)
            free = (motions[:, strength < _LOOSE] ** 2).sum(axis=1)
            if free.any():
                able = [_MOTIONS[k] for k in np.flatnonzero(free > 0.3)]
                raise MeshError(
                    f"nothing holds a part of the cell: {described(self.parts, piece)} can "
                    f"{', '.join(able)}; give it a support such as Fixed(), or Symmetric() on "
                    "sides across each axis"
                )

    def _without_turns(self, piece: Indices) -> Array:
        """Return what forbids a piece to turn, (6, 6): that it goes on across periodic sides."""
        x = self.parts.points[self.parts.cells[piece]].reshape(-1, 3)
        low, high = self.parts.points.min(axis=0), self.parts.points.max(axis=0)
        near = 1e-6 * float((high - low).max())
        reaches = (np.abs(x - low) < near).any(axis=0) & (np.abs(x - high) < near).any(axis=0)
        turns = {3 + about for axis in self.axes if reaches[axis] for about in {0, 1, 2} - {axis}}
        return np.diag([float(motion in turns) for motion in range(6)])

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
            by_material = [self._unreached([row], reached) for row in active]
            without = np.unique(np.concatenate(by_material))
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


def _held_along(support: object, normals: Array) -> Array:
    """Return directions in which a support holds facets with normals (f, 3): (f, k, 3)."""
    normal, axes = normals[:, None], np.broadcast_to(np.eye(3), (len(normals), 3, 3))
    if isinstance(support, Fixed):
        return axes
    if isinstance(support, Symmetric):
        return normal
    if isinstance(support, Displacement):
        moved = [k for k, by in enumerate((support.x, support.y, support.z)) if by is not None]
        return axes[:, moved]
    if isinstance(support, Spring):
        along = axes - normal.mT @ normal
        parts = [normal] * (support.normal > 0) + [along] * (support.tangential > 0)
        return np.concatenate(parts, axis=1)
    return axes[:, :0]


def _normals(corners: Array) -> Array:
    """Return unit normals of triangles (f, 3, 3)."""
    a, b, c = np.moveaxis(corners, 1, 0)
    normal = np.cross(b - a, c - a)
    return np.asarray(normal / np.linalg.norm(normal, axis=1, keepdims=True))


def _facets(parts: Parts, faces: Faces, name: str) -> tuple[Indices, Indices]:
    """Return the triangles of a name, and the cells on both sides of each, (f, 2)."""
    triangles = parts.triangles[parts.facet_tags == parts.facets[name]]
    known = face_keys(faces.corners, len(parts.points))
    at = np.searchsorted(known, face_keys(np.sort(triangles, axis=1), len(parts.points)))
    return triangles, faces.cells[at]


def _cells_behind(
    parts: Parts, faces: Faces, surface: Surface, minus: Sequence[Region]
) -> tuple[Indices, Indices]:
    """Return the cells on the minus side of a surface, one at every facet, and its facets."""
    triangles, cells = _facets(parts, faces, surface.facets)
    inside = np.isin(parts.cell_tags[cells], [tag for row in minus for tag in row.tags])
    inside &= cells >= 0
    if surface.named:  # it has those of its body
        own = inside.any(axis=1)
        triangles, cells, inside = triangles[own], cells[own], inside[own]
    wrong = np.flatnonzero(inside.sum(axis=1) != (2 if surface.within else 1))
    if not len(triangles):
        raise MeshError(f"facets {surface.name!r} are an empty list: the surface has no area")
    if len(wrong):
        owner = np.unique(cells[wrong].max(axis=1))
        raise MeshError(
            f"{len(wrong)} of {len(triangles)} facets {surface.name!r} do not end "
            f"{' or '.join(repr(row.name) for row in minus)}: there lies {described(parts, owner)}"
        )
    return cells[inside], triangles

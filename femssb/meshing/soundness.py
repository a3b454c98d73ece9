"""Whether a mesh can be what it says it is: checked on one rank, as arrays, before any work.

Tetrahedra must fill their place once, and regions that touch must share nodes and faces there:
across a face that is not shared nothing flows and nothing is held together, and the cell would run
all the same. What cannot be right is refused; what is only doubtful becomes a warning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from femssb.arrays import Array, Indices
from femssb.errors import MeshError
from femssb.inputs.geometry import EXTENTS, LENGTHS
from femssb.meshing.parts import (
    FIRST_GRAIN,
    INNER,
    OPPOSITE,
    REGIONS,
    Parts,
    Tags,
    periodic_axes,
    volume_tags,
)
from femssb.tetrahedra import gamma, volumes

Booleans = NDArray[np.bool_]

MOST_POINTS = 2**21 - 1  # three of their numbers make one whole number of 64 bits
FACES_OF_CELL = ((1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2))
FLAT = 1e-7  # volume below which a tetrahedron is flat, in units of the cube of its longest edge
SAME_PLACE = 1e-3  # distance of two nodes that are meant to be one, in units of the shortest edge
SAME_LEVEL = 1e-6  # distance from a side of the box, in units of its size
AHEAD = 1e-3  # where the other side of a face is looked for, in units of its size
UNUSUAL = (2e-6, 500e-6)  # sizes of a cell that are doubtful outside [m]
POOR_GAMMA = 1e-3  # quality below which a tetrahedron is doubtful
SKEW = 1e-6  # how far the product of an orientation with its transpose may be from 1
ADVICE = "fragment the volumes in the CAD, or merge their nodes, before meshing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Faces:
    """Every face of a mesh once."""

    corners: Indices  # (n, 3) ascending
    cells: Indices  # (n, 2) on both sides; -1 outside, which is second

    @property
    def outer(self) -> Booleans:
        """Return which faces have a cell on one side only, (n,)."""
        return np.asarray(self.cells[:, 1] < 0)


def check(parts: Parts, *, holes: bool = False) -> tuple[str, ...]:
    """Check a whole mesh, and return warnings; `holes` are meant to be there, or a warning.

    Raises:
        MeshError: If it cannot be what it says; the message names the place.
    """
    names = region_names(parts)
    present = set(np.unique(parts.cell_tags).tolist())
    if unknown := sorted(present - set(names)):
        raise MeshError(
            f"the mesh has cells of the tags {unknown}, which name no region or grain; known are "
            f"{names}"
        )
    if empty := [name for tag, name in names.items() if tag not in present]:
        raise MeshError(f"the mesh has no cells of {', '.join(empty)}")
    check_rotations(parts.orientations, len(parts.grain_particle))
    faces = check_cells(parts.points, parts.cells, parts.cell_tags, names)
    return check_size(parts.points) + check_named(parts, faces, holes=holes)


def check_named(parts: Parts, faces: Faces, *, holes: bool = False) -> tuple[str, ...]:
    """Check the facets and contacts of a mesh whose cells are sound, and return warnings.

    Raises:
        MeshError: If facets are not what they say, or regions do not touch as they must.
    """
    by_tag: dict[int, str] = {}  # two names may share one
    for name, tag in parts.facets.items():
        by_tag.setdefault(tag, name)
    named = {
        name: np.sort(parts.triangles[parts.facet_tags == tag], axis=1)
        for tag, name in by_tag.items()
    }
    check_facets(parts.points, faces, named)
    warnings = _check_contacts(parts, faces) + _doubtful(gamma(parts.points, parts.cells))
    if not holes and len(inner := _inner_sides(parts.points, faces)):
        first = _at(parts.points[faces.corners[inner[0]]])
        warnings += (
            f"the mesh has holes, or is no box: {len(inner)} of its outer faces lie inside the box "
            f"around it, one {first}",
        )
    return warnings


def region_names(parts: Parts) -> dict[int, str]:
    """Return the name of each cell tag."""
    return {tag: name for name, tag in volume_tags(parts).items()}


def check_rotations(orientations: Array, count: int) -> None:
    """Check that there is a rotation for each grain.

    Raises:
        MeshError: If there are more or fewer, or one is stretched or mirrored.
    """
    if orientations.shape != (count, 3, 3):
        raise MeshError(
            f"orientations need the shape ({count}, 3, 3) for {count} grains, got "
            f"{orientations.shape}"
        )
    skew = np.abs(orientations @ orientations.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    determinant = np.linalg.det(orientations)
    wrong = np.flatnonzero(~(skew < SKEW) | (determinant < 0))
    if len(wrong):
        first = wrong[0]
        raise MeshError(
            f"orientation {first} is no rotation: Q Q^T differs from 1 by {skew[first]:.2g} (at "
            f"most {SKEW:g}), determinant {determinant[first]:.3g} (must be 1)"
        )


def check_size(points: Array) -> tuple[str, ...]:
    """Check the size of a mesh, and return a warning if it is doubtful.

    Raises:
        MeshError: If it is too small or too large for a half-cell.
    """
    extents = np.ptp(points, axis=0)
    extent = float(extents.max())
    if not EXTENTS[0] <= extent <= EXTENTS[1]:
        raise MeshError(
            f"the mesh is {extent:.3g} m long, outside [{EXTENTS[0]:g}, {EXTENTS[1]:g}] m: is its "
            f"unit of length right? {_guess(extent)}Points of arrays are in m, those of a file in "
            "`unit`"
        )
    if (thinnest := float(extents.min())) < LENGTHS[0]:
        raise MeshError(
            f"the mesh is {thinnest:.3g} m thick along {'xyz'[int(extents.argmin())]}; at least "
            f"{LENGTHS[0]:g} m is possible"
        )
    if UNUSUAL[0] <= extent <= UNUSUAL[1]:
        return ()
    return (
        f"the mesh is {extent * 1e6:.3g} um long, which is unusual for a half-cell "
        f"({UNUSUAL[0] * 1e6:g} to {UNUSUAL[1] * 1e6:g} um): is its unit of length right?",
    )


def check_cells(points: Array, cells: Indices, tags: Tags, names: Mapping[int, str]) -> Faces:
    """Check that tetrahedra fill their place once and share their faces, and return the faces.

    Args:
        points: Coordinates [m], shape (k, 3), all of them used.
        cells: Corners, shape (m, 4).
        tags: Region or grain of each, shape (m,).
        names: Name of each tag, for the messages.

    Raises:
        MeshError: If tetrahedra are flat, given twice, folded over, on top of each other, or touch
            without sharing nodes.
    """
    corners = points[cells]
    edges = corners[:, (1, 2, 3, 2, 3, 3)] - corners[:, (0, 0, 0, 1, 1, 2)]
    lengths = np.linalg.norm(edges, axis=2)
    volume = volumes(points, cells)
    flat = np.flatnonzero(~(volume > FLAT * lengths.max(axis=1) ** 3))
    if len(flat):
        raise MeshError(
            f"{len(flat)} of {len(cells)} tetrahedra have no volume, the first "
            f"{_of(flat[0], tags, names)} {_at(corners[flat[0]])}"
        )
    ordered = np.sort(cells, axis=1)
    order = np.lexsort(ordered.T)
    same = (ordered[order[1:]] == ordered[order[:-1]]).all(axis=1)
    if (twice := order[1:][same]).size:
        raise MeshError(
            f"{len(twice)} tetrahedra are given more than once, the first "
            f"{_of(twice[0], tags, names)} {_at(corners[twice[0]])}"
        )
    faces = find_faces(points, cells)
    _check_folds(points, cells, faces, tags, names)
    _check_shared(points, cells, tags, names, shortest=float(lengths.min()))
    _check_sides(points, cells, faces, tags, names)
    low, high = points.min(axis=0), points.max(axis=0)
    if (filled := float(volume.sum())) > (box := float(np.prod(high - low))) * (1 + 1e-6):
        raise MeshError(
            f"regions overlap: all tetrahedra hold {filled:.6g} m3, the box around them "
            f"{box:.6g} m3"
        )
    return faces


def find_faces(points: Array, cells: Indices) -> Faces:
    """Return every face once, with the cells on both its sides.

    Raises:
        MeshError: If there are too many points, or a face belongs to more than two tetrahedra.
    """
    if len(points) > MOST_POINTS:
        raise MeshError(f"a mesh has {len(points)} points; at most {MOST_POINTS} are possible")
    every = np.sort(cells[:, FACES_OF_CELL].reshape(-1, 3), axis=1)
    keys = face_keys(every, len(points))
    order = np.argsort(keys, kind="stable")
    every, owner, keys = every[order], order // 4, keys[order]
    start = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    count = np.diff(np.append(start, len(keys)))
    if count.max() > 2:
        most = every[start[int(np.argmax(count))]]
        raise MeshError(
            f"{int((count > 2).sum())} faces belong to more than two tetrahedra, one of them "
            f"{_at(points[most])}: tetrahedra overlap"
        )
    second = np.where(count == 2, owner[np.minimum(start + 1, len(owner) - 1)], -1)
    return Faces(corners=every[start], cells=np.stack([owner[start], second], axis=1))


def face_keys(triangles: Indices, count: int) -> Indices:
    """Return a number for each triangle with ascending corners, of `count` points."""
    return np.asarray((triangles[:, 0] * count + triangles[:, 1]) * count + triangles[:, 2])


def check_facets(points: Array, faces: Faces, named: Mapping[str, Indices]) -> None:
    """Check that named facets are faces, each in one place and under one name.

    Args:
        points: Coordinates [m], shape (k, 3).
        faces: All faces of the mesh.
        named: Corners of the facets of each name, ascending, shape (f, 3).

    Raises:
        MeshError: If one is empty, given twice, no face, or inside where it should be outside.
    """
    known = face_keys(faces.corners, len(points))
    taken: dict[str, Indices] = {}
    for name, triangles in named.items():
        keys = face_keys(triangles, len(points))
        if not len(keys):
            if name in INNER:  # derived from the cells: there may be none
                continue
            raise MeshError(f"facets {name!r} are an empty list: they need at least one triangle")
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        if (lost := np.flatnonzero(known[at] != keys)).size:
            raise MeshError(
                f"{len(lost)} triangles of {name!r} are not faces of tetrahedra, the first "
                f"{_at(points[triangles[lost[0]]])}"
            )
        if len(np.unique(keys)) < len(keys):
            raise MeshError(
                f"{len(keys) - len(np.unique(keys))} triangles of {name!r} are given twice"
            )
        outside = {"collector", "anode", *OPPOSITE, *OPPOSITE.values()}
        if name in outside and (inner := np.flatnonzero(~faces.outer[at])).size:
            raise MeshError(
                f"{len(inner)} triangles of {name!r} lie inside the mesh, the first "
                f"{_at(points[triangles[inner[0]]])}; it must be an outer face of the cell"
            )
        for other, others in taken.items():
            if (both := np.flatnonzero(np.isin(keys, others))).size:
                raise MeshError(
                    f"{len(both)} triangles have two names, {other!r} and {name!r}, the first "
                    f"{_at(points[triangles[both[0]]])}"
                )
        taken[name] = keys


def pieces(faces: Faces, inside: Booleans, joined: Indices | None = None) -> list[Indices]:
    """Return the cells of each connected piece of a part of the mesh, the largest first.

    Args:
        faces: All faces of the mesh: cells are connected where they share one.
        inside: Which cells belong to the part, shape (m,).
        joined: Further pairs of cells that are connected, shape (p, 2).
    """
    links = faces.cells[~faces.outer]
    if joined is not None:
        links = np.vstack([links, joined])
    links = links[inside[links].all(axis=1)]
    number = np.cumsum(inside) - 1
    count = int(inside.sum())
    if not count:
        return []
    ends = number[links].T
    graph = coo_array((np.ones(len(links), dtype=bool), (ends[0], ends[1])), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    order = np.argsort(label, kind="stable")
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    found = np.split(np.flatnonzero(inside)[order], cuts)
    return sorted(found, key=lambda piece: -len(piece))


def periodic_links(points: Array, faces: Faces, axes: Sequence[int]) -> Indices:
    """Return pairs of cells that share a node across opposite sides of the box, (p, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    near = SAME_LEVEL * float((high - low).max())
    outer = np.flatnonzero(faces.outer)
    links = [np.empty((0, 2), dtype=np.int64)]
    for axis in axes:
        across, cells = [], []
        for level in (low[axis], high[axis]):
            on_side = (np.abs(points[faces.corners[outer], axis] - level) < near).all(axis=1)
            side = outer[on_side]
            across.append(np.delete(points[faces.corners[side].ravel()], axis, axis=1))
            cells.append(np.repeat(faces.cells[side, 0], 3))
        if len(cells[0]) and len(cells[1]):
            around = cKDTree(across[1]).query_ball_point(across[0], near)
            first = np.repeat(cells[0], [len(each) for each in around])
            second = cells[1][np.concatenate([np.array(each, dtype=np.int64) for each in around])]
            links.append(np.unique(np.stack([first, second], axis=1), axis=0))
    return np.vstack(links)


def described(parts: Parts, piece: Indices) -> str:
    """Return what a piece of a mesh is, in words: its regions, their tags, its size and place."""
    names = region_names(parts)
    found = [f"{names[tag]} (tag {tag})" for tag in np.unique(parts.cell_tags[piece]).tolist()]
    shown = " and ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    return f"{shown}, {len(piece)} tetrahedra {_at(parts.points[parts.cells[piece]])}"


def _check_contacts(parts: Parts, faces: Faces) -> tuple[str, ...]:
    """Check that regions touch as those of a half-cell must, and return warnings.

    Raises:
        MeshError: If the layers share no face, or a particle shares none with the ecbd.
    """
    tags = parts.cell_tags
    names = region_names(parts)
    inner = faces.cells[~faces.outer]
    sides = tags[inner]
    ecbd, electrolyte = REGIONS["ecbd"], REGIONS["electrolyte"]
    if "interface" in parts.facets:
        meets = ((sides >= FIRST_GRAIN) & (sides[:, ::-1] == ecbd)).any(axis=1)
        named = np.sort(parts.triangles[parts.facet_tags == parts.facets["interface"]], axis=1)
        corners = faces.corners[~faces.outer][meets]
        there, given = (face_keys(each, len(parts.points)) for each in (corners, named))
        found = np.isin(there, given)
        if not found.all() or len(named) != len(corners):
            raise MeshError(
                f"the facets 'interface' ({len(named)}) are not those between particles and ecbd "
                f"({len(corners)}, of which {int(found.sum())} are named)"
            )
    both = {ecbd, electrolyte} <= set(parts.regions.values())
    if both and not (np.sort(sides, axis=1) == [ecbd, electrolyte]).all(axis=1).any():
        raise MeshError(f"'ecbd' and 'electrolyte' share no face: {ADVICE}")
    warnings = []
    links = periodic_links(parts.points, faces, periodic_axes(parts.facets, parts.open_axes))
    if "ecbd" in parts.regions:
        touching = np.zeros(len(tags), dtype=bool)
        touching[inner[sides[:, ::-1] == ecbd]] = True
        for piece in pieces(faces, tags >= FIRST_GRAIN, links):
            if not touching[piece].any():
                raise MeshError(
                    f"a particle touches no ecbd: {described(parts, piece)} shares no face with "
                    f"it; {ADVICE}"
                )
    alike = np.vstack([inner, links])
    alike = alike[tags[alike[:, 0]] == tags[alike[:, 1]]].T
    graph = coo_array((np.ones(alike.shape[1], dtype=bool), tuple(alike)), shape=2 * (len(tags),))
    _, label = connected_components(graph, directed=False)
    _, first = np.unique(label, return_index=True)
    found, count = np.unique(tags[first], return_counts=True)
    for tag, several in zip(found.tolist(), count.tolist(), strict=True):
        if tag >= FIRST_GRAIN and several > 1:
            warnings.append(f"{names[tag]!r} consists of {several} pieces that share no face")
    return tuple(warnings)


def _doubtful(quality: Array) -> tuple[str, ...]:
    """Return a warning if tetrahedra are so poor that solvers may fail, by their gamma."""
    if (least := float(quality.min())) >= POOR_GAMMA:
        return ()
    poor = int((quality < POOR_GAMMA).sum())
    return (f"{poor} tetrahedra are nearly flat: smallest gamma {least:.2g}, below {POOR_GAMMA:g}",)


def _check_folds(
    points: Array, cells: Indices, faces: Faces, tags: Tags, names: Mapping[int, str]
) -> None:
    """Check that the cells on both sides of a face lie on opposite sides of it."""
    inner = np.flatnonzero(~faces.outer)
    triangle = faces.corners[inner]
    a, b, c = np.moveaxis(points[triangle], 1, 0)
    normal = np.cross(b - a, c - a)
    sides = []
    for cell in faces.cells[inner].T:
        apex = cells[cell].sum(axis=1) - triangle.sum(axis=1)  # the corner that is not in the face
        sides.append(((points[apex] - a) * normal).sum(axis=1) > 0)
    folded = np.flatnonzero(sides[0] == sides[1])
    if len(folded):
        cell = int(faces.cells[inner[folded[0]], 0])
        raise MeshError(
            f"{len(folded)} pairs of neighbouring tetrahedra lie on the same side of the face that "
            f"they share, the first {_of(cell, tags, names)} {_at(points[triangle[folded[0]]])}: "
            "tetrahedra overlap"
        )


def _check_shared(
    points: Array, cells: Indices, tags: Tags, names: Mapping[int, str], *, shortest: float
) -> None:
    """Check that no two nodes lie in the same place."""
    double = cKDTree(points).query_pairs(SAME_PLACE * shortest, output_type="ndarray")
    if not len(double):
        return
    cell_of = np.empty(len(points), dtype=np.int64)
    cell_of[cells] = np.arange(len(cells))[:, None]
    sorted_tags = np.sort(tags[cell_of[double]], axis=1)
    where = [
        " and ".join(names[tag] for tag in pair) for pair in np.unique(sorted_tags, axis=0)[:3]
    ]
    raise MeshError(
        f"{len(double)} pairs of nodes lie in the same place but are not shared, the first "
        f"{_at(points[double[0]])}; between {', '.join(where)}: {ADVICE}"
    )


def _inner_sides(points: Array, faces: Faces) -> Indices:
    """Return the faces of one cell only that do not lie in a side of the box around the mesh."""
    low, high = points.min(axis=0), points.max(axis=0)
    near = SAME_LEVEL * float((high - low).max())
    outer = np.flatnonzero(faces.outer)
    x = points[faces.corners[outer]]
    on_side = (np.abs(x - low) < near).all(axis=1) | (np.abs(x - high) < near).all(axis=1)
    return outer[~on_side.any(axis=1)]


def _check_sides(
    points: Array, cells: Indices, faces: Faces, tags: Tags, names: Mapping[int, str]
) -> None:
    """Check that no cell lies on the far side of a face that belongs to one cell only."""
    inner = _inner_sides(points, faces)
    if not len(inner):
        return
    owner = faces.cells[inner, 0]
    x = points[faces.corners[inner]]
    normal = np.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    size = np.sqrt(length)
    outward = normal / length
    outward *= np.sign(
        ((x.mean(axis=1) - points[cells[owner]].mean(axis=1)) * outward).sum(axis=1)
    )[:, None]
    weights = np.vstack([np.full(3, 1 / 3), np.full((3, 3), 1 / 6) + np.eye(3) / 2])
    probes = np.einsum("qv,fvi->fqi", weights, x) + (AHEAD * size * outward)[:, None]
    hit = _cells_around(points, cells, probes.reshape(-1, 3)).reshape(-1, len(weights)).max(axis=1)
    if (bad := np.flatnonzero(hit >= 0)).size:
        first = bad[0]
        raise MeshError(
            f"{len(bad)} faces touch or enter tetrahedra with which they share no nodes, the first "
            f"of {names[int(tags[owner[first]])]} against {names[int(tags[hit[first]])]} "
            f"{_at(x[first])}: {ADVICE}"
        )


def _cells_around(points: Array, cells: Indices, probes: Array) -> Indices:
    """Return a cell that holds each probe (n, 3), -1 where there is none."""
    found = np.full(len(probes), -1)
    corners = points[cells]
    middle = corners.mean(axis=1)
    radius = np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
    grade = np.floor(np.log2(radius)).astype(np.int64)  # cells of like size are looked up together
    for level in np.unique(grade).tolist():
        members = np.flatnonzero(grade == level)
        near = cKDTree(middle[members]).query_ball_point(probes, radius[members].max())
        number = np.repeat(np.arange(len(probes)), [len(each) for each in near])
        cell = members[np.concatenate([np.asarray(each, dtype=np.int64) for each in near])]
        origin = corners[cell, 0]
        system = np.swapaxes(corners[cell, 1:] - origin[:, None], 1, 2)
        share = np.linalg.solve(system, (probes[number] - origin)[..., None])[..., 0]
        inside = (share >= 0).all(axis=1) & (share.sum(axis=1) <= 1)
        found[number[inside]] = cell[inside]
    return found


def _guess(extent: float) -> str:
    """Return what a mesh would be whose unit has slipped by a power of a thousand."""
    for factor in (1e3, 1e-3, 1e-6, 1e6, 1e-9, 1e9):
        if UNUSUAL[0] <= factor * extent <= UNUSUAL[1]:
            return (
                f"In a unit {factor:g} times as large it would be {1e6 * factor * extent:.3g} um. "
            )
    return ""


def _of(cell: int, tags: Tags, names: Mapping[int, str]) -> str:
    return f"of {names[int(tags[cell])]!r}"


def _at(corners: Array | Sequence[Array]) -> str:
    """Return where the middle of some points is, in words."""
    x, y, z = 1e6 * np.asarray(corners).reshape(-1, 3).mean(axis=0)
    return f"near ({x:.4g}, {y:.4g}, {z:.4g}) um"

"""Grains from files of Neper: tessellations, and lists of orientations.

Neper named the convention in which its numbers describe orientations ``active`` up to the format
3.4 of its files, and has named it ``passive`` since format 3.5, that is since version 4.10; the
other name is its inverse. Where a file names none, it is this one.

Sources: R. Quey, P. R. Dawson, F. Barbe, Comput. Methods Appl. Mech. Eng. 200 (2011),
10.1016/j.cma.2011.01.002; the reference manual of Neper, file formats and release notes of 4.10.0.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from femssb.arrays import Array, Indices
from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.grains.rotations import Angles, parse_rotations, split_descriptor
from femssb.inputs.geometry import Grain, Vector
from femssb.tables import LARGEST_UNIT, SMALLEST_UNIT, numbers, read_text
from femssb.units import um

FORMATS = {"2.0": "active", "3.3": "active", "3.4": "active", "3.5": "passive"}  # standard's name
TYPES = ("standard", "periodic")
FAR = 1e9  # largest coordinate, in any unit
OFF = 1e-3  # how far a vertex may lie outside the cell of its seed, in units of the mean cell size

Sections = dict[str, list[str]]


@checked
def read_tess(
    path: str | Path,
    *,
    unit: float = um,
    centre: Vector | None = None,
    angles: Angles | None = None,
) -> tuple[Grain, ...]:
    """Read the seeds and the orientations of a ``.tess`` file of Neper.

    The cells become those of the power diagram of the seeds: the vertices that Neper moved to
    regularise them are not used, because a particle is regularised again. All others must be
    vertices of that diagram.

    Args:
        path: The file, in format 2.0 to 3.5; the format says how its orientations are meant.
        unit: Length of the unit of the file [m].
        centre: Point that becomes the centre of the particle, in the unit of the file; by default
            the middle of the bounding box of the vertices. The grains know how far from there the
            tessellation reaches: a particle must not be larger.
        angles: Unit of Euler angles and of angles about an axis, where it is in doubt.

    Raises:
        InputError: If the file is missing, damaged, of an unknown format or without seeds, or if
            its cells are not those of its seeds.
    """
    check_number("read_tess", "unit", unit, lower=SMALLEST_UNIT, upper=LARGEST_UNIT, unit="m")
    for along in centre or ():
        check_number("read_tess", "centre", along, lower=-FAR, upper=FAR)
    path = Path(path)
    sections = _sections(path)
    standard = _standard_convention(path, sections)
    count = _count(path, sections, "**cell")
    seeds = _numbered(path, sections, "*seed", 5, count)
    vertices = _numbered(path, sections, "**vertex", 5, _count(path, sections, "**vertex"))
    faces = _faces(path, sections, len(vertices))
    cells = _polyhedra(path, sections, len(faces), count)
    _check_cells(path, seeds[:, 1:], vertices[:, 1:], faces, cells)
    if centre is None:
        middle = 0.5 * (vertices[:, 1:4].min(axis=0) + vertices[:, 1:4].max(axis=0))
    else:
        middle = np.array(centre, dtype=np.float64)
    reach = _reach(path, middle, seeds[:, 1:], vertices[:, 1:4], faces, cells)
    orientations: list[Any] = [None] * count
    if "*ori" in sections:
        descriptor = "".join(sections["*ori"][:1])
        orientations = list(_orientations(path, sections["*ori"][1:], descriptor, standard, angles))
        if len(orientations) != count:
            raise InputError(f"{path.name} has {len(orientations)} orientations for {count} cells")
    points = unit * (seeds[:, 1:4] - middle)
    weights = (unit * seeds[:, 4]) ** 2  # the weight of Neper is a radius
    return tuple(
        Grain(point=point, weight=weight, orientation=rotation, reach=unit * reach)
        for point, weight, rotation in zip(points, weights, orientations, strict=True)
    )


@checked
def read_orientations(
    path: str | Path,
    *,
    descriptor: str = "rodrigues",
    before_4_10: bool = False,
    angles: Angles | None = None,
) -> Array:
    """Read a text file of Neper with the orientation of a grain on each line.

    Args:
        path: The file.
        descriptor: ``rodrigues``, ``quaternion`` (scalar first), ``euler-bunge``, ``euler-kocks``,
            ``euler-roe``, ``axis-angle`` or ``rotmat``, perhaps with ``:active`` or ``:passive``.
        before_4_10: True if Neper was older than 4.10 (see above; such a file does not say).
        angles: ``degrees`` or ``radians``; must be said where all angles are so small that they
            may be radians.

    Returns:
        Active rotations, columns are the crystal axes, shape (n, 3, 3).

    Raises:
        InputError: If the file is missing or damaged, or the descriptor unknown.
    """
    path = Path(path)
    lines = [line.strip() for line in read_text(path).split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    standard = "active" if before_4_10 else "passive"
    return _orientations(path, lines, descriptor, standard, angles)


def _orientations(
    path: Path, lines: list[str], descriptor: str, standard: str, angles: Angles | None
) -> Array:
    name, convention = split_descriptor(path.name, descriptor)
    rotation = parse_rotations(path.name, name, lines, angles)
    inverse = convention not in ("", standard)
    return np.asarray((rotation.inv() if inverse else rotation).as_matrix())


def _sections(path: Path) -> Sections:
    """Return the lines under each heading of a ``.tess`` file, up to those of the domain."""
    if os.path.isfile(path):
        with path.open("rb") as file:
            if not file.read(200).lstrip().startswith(b"***tess"):
                raise InputError(f"{path.name} is not a .tess file: does not begin with ***tess")
    lines = [line.strip() for line in read_text(path, end="***end").split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines[0] != "***tess":
        raise InputError(f"{path.name} is not a .tess file: it does not begin with ***tess")
    sections: Sections = {}
    heading = ""
    for line in lines[1:-1]:
        if line.startswith("*"):
            heading = line.split()[0]
            if heading == "**domain":
                break
            if heading in sections:
                raise InputError(f"{path.name} has two sections {heading}")
            sections[heading] = []
        elif heading:
            sections[heading].append(line)
    needed = ("**format", "**general", "**cell", "*seed", "**vertex", "**face", "**polyhedron")
    if missing := [name for name in needed if not sections.get(name)]:
        raise InputError(f"{path.name} has no section {missing}; found {list(sections)}")
    return sections


def _standard_convention(path: Path, sections: Sections) -> str:
    """Return what a file calls the standard convention of orientations, by its format."""
    found = " ".join(sections["**format"])
    if found not in FORMATS:
        raise InputError(
            f"{path.name}: **format {found[:40]!r} is unknown; known are {', '.join(FORMATS)}"
        )
    dimension, _, kind = " ".join(sections["**general"]).partition(" ")
    if dimension != "3" or kind not in TYPES:
        raise InputError(
            f"{path.name}: **general '{dimension} {kind}' must be 3 and {' or '.join(TYPES)}"
        )
    return FORMATS[found]


def _whole(path: Path, what: str, words: list[str]) -> list[int]:
    try:
        return [int(word) for word in words]
    except ValueError as error:
        raise InputError(f"{path.name}: {what}: {error}") from error


def _count(path: Path, sections: Sections, name: str) -> int:
    """Return the number on the first line of a section."""
    [count] = _whole(path, name, sections[name][:1])
    if count < 1:
        raise InputError(f"{path.name}: {name} = {count} must be at least 1")
    return count


def _numbered(path: Path, sections: Sections, name: str, columns: int, count: int) -> Array:
    """Return a table whose first column counts its rows from 1."""
    rows = [line.split() for line in sections[name][1 if name.startswith("**") else 0 :]]
    if len(rows) != count:
        what = name.strip("*")
        raise InputError(
            f"{path.name} has {len(rows)} rows of {what} for {count}: is it cut short?"
        )
    table = numbers(f"{path.name}: {name}", rows, columns)
    if (table[:, 0] != np.arange(1, count + 1)).any():
        raise InputError(f"{path.name}: {name} must be numbered from 1 to {count} in this order")
    return table


def _faces(path: Path, sections: Sections, vertices: int) -> list[Indices]:
    """Return the vertices of each face, from 0, in the order around it."""
    words = " ".join(sections["**face"][1:]).split()
    count = _count(path, sections, "**face")
    faces, at = [], 0
    for number in range(1, count + 1):
        given = _whole(path, "**face", words[at : at + 2])
        corners = given[1] if len(given) == 2 else 0
        around = _whole(path, "**face", words[at + 2 : at + 2 + corners])
        edges = _whole(path, "**face", words[at + 2 + corners : at + 3 + corners])
        at += 3 + 2 * corners + 4 + 5  # the edges, the plane, and the point of interpolation
        whole = given[:1] == [number] and edges == [corners] and at <= len(words)
        if not whole or corners < 3 or not all(1 <= vertex <= vertices for vertex in around):
            raise InputError(f"{path.name}: **face {number} of {count} is damaged")
        faces.append(np.array(around, dtype=np.int64) - 1)
    if at != len(words):
        raise InputError(f"{path.name}: **face has {len(words)} words for {count} faces, not {at}")
    return faces


def _polyhedra(path: Path, sections: Sections, faces: int, count: int) -> list[Indices]:
    """Return the faces of each cell, from 0."""
    lines = sections["**polyhedron"]
    if len(lines) != count + 1 or _count(path, sections, "**polyhedron") != count:
        raise InputError(
            f"{path.name} has {len(lines) - 1} polyhedra for {count} cells: is it cut short?"
        )
    cells = []
    for number, line in enumerate(lines[1:], start=1):
        given = _whole(path, "**polyhedron", line.split())
        around = np.abs(np.array(given[2:], dtype=np.int64)) - 1
        whole = given[0] == number and given[1:2] == [len(around)] and len(around) >= 4
        if not whole or around.min() < 0 or around.max() >= faces:
            raise InputError(f"{path.name}: **polyhedron {number} is damaged")
        cells.append(around)
    if max(np.bincount(np.concatenate(cells), minlength=faces)) > 2:
        raise InputError(f"{path.name}: a face belongs to more than two polyhedra")
    return cells


def _check_cells(
    path: Path, seeds: Array, vertices: Array, faces: list[Indices], cells: list[Indices]
) -> None:
    """Check that each cell lies in the cell of its seed, as far as Neper has not moved it."""
    farthest = max(np.abs(vertices[:, :3]).max(), np.abs(seeds).max())
    if farthest > FAR:
        raise InputError(f"{path.name}: coordinates go to {farthest:g}, beyond {FAR:g}")
    size = float(np.cbrt(np.prod(np.ptp(vertices[:, :3], axis=0)) / len(cells)))
    lift = (seeds[:, :3] ** 2).sum(axis=1) - seeds[:, 3] ** 2
    wrong, worst, culprit = 0, 0.0, 0
    for cell, around in enumerate(cells):
        corners = np.unique(np.concatenate([faces[face] for face in around]))
        corners = vertices[corners[vertices[corners, 3] == 0], :3]
        power = lift - 2 * corners @ seeds[:, :3].T
        apart = np.linalg.norm(seeds[:, :3] - seeds[cell, :3], axis=1)
        apart[cell] = np.inf
        if not apart.min() > 0:
            raise InputError(
                f"{path.name}: the seeds {cell + 1} and {int(np.argmin(apart)) + 1} coincide"
            )
        # distance beyond the plane between the cell and each other
        beyond = ((power[:, [cell]] - power) / (2 * apart)).max(axis=1, initial=0.0)
        wrong += int((beyond > OFF * size).sum())
        if beyond.max(initial=0.0) > worst:
            worst, culprit = float(beyond.max()), cell
    if wrong:
        raise InputError(
            f"{path.name}: its cells are not those of the power diagram of its seeds: {wrong} "
            f"vertices lie outside the cell of their seed, the farthest, of cell {culprit + 1}, by "
            f"{worst:.3g} (at most {OFF * size:.3g}). Multiscale, lamellar and transformed "
            "tessellations cannot be read"
        )


def _reach(
    path: Path,
    centre: Array,
    seeds: Array,
    vertices: Array,
    faces: list[Indices],
    cells: list[Indices],
) -> float:
    """Return the distance from a point inside the tessellation to its surface."""
    owner = int(np.argmin(((seeds[:, :3] - centre) ** 2).sum(axis=1) - seeds[:, 3] ** 2))
    middle = vertices[np.unique(np.concatenate([faces[face] for face in cells[owner]]))].mean(
        axis=0
    )
    size = float(np.ptp(vertices, axis=0).max())
    for face in cells[owner]:
        normal, level = _plane(vertices[faces[face]])
        side = np.sign(level - normal @ middle)
        if side * (level - normal @ centre) < -1e-9 * size:
            raise InputError(
                f"{path.name}: the centre {tuple(centre.tolist())} lies outside the tessellation"
            )
    outer = np.flatnonzero(np.bincount(np.concatenate(cells), minlength=len(faces)) == 1)
    return min(_distance(centre, vertices[faces[face]]) for face in outer.tolist())


def _plane(corners: Array) -> tuple[Array, float]:
    """Return the unit normal of a flat polygon (k, 3), and how far along it the polygon lies."""
    shifted = corners - corners.mean(axis=0)
    normal = np.cross(shifted, np.roll(shifted, -1, axis=0)).sum(axis=0)
    normal = normal / max(float(np.linalg.norm(normal)), 1e-300)
    return normal, float(normal @ corners.mean(axis=0))


def _distance(point: Array, corners: Array) -> float:
    """Return the distance of a point from a flat convex polygon (k, 3)."""
    normal, level = _plane(corners)
    height = level - normal @ point
    foot = point + height * normal
    along = np.roll(corners, -1, axis=0) - corners
    if (np.cross(along, foot - corners) @ normal >= 0).all():
        return abs(float(height))
    share = ((point - corners) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-300)
    nearest = corners + np.clip(share, 0, 1)[:, None] * along
    return float(np.linalg.norm(nearest - point, axis=1).min())

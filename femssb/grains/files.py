"""Grains from files: tessellations and orientations of Neper, and plain tables of sites.

Orientations of Neper: the sample frame turned by the rotation that the numbers describe (Bunge's
angles, or the axis and angle of a Rodrigues vector or quaternion) is the crystal frame, so that its
matrix has the crystal axes as columns; a `rotmat` has them as rows. Neper named this convention
``active`` before version 4.10 and has named it ``passive`` since; the other name is its inverse.

Sources: R. Quey, P. R. Dawson, F. Barbe, Comput. Methods Appl. Mech. Eng. 200 (2011),
10.1016/j.cma.2011.01.002; the reference manual of Neper, file formats and release notes of 4.10.0.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from femssb.arrays import Array
from femssb.errors import InputError, check_number
from femssb.inputs.geometry import Grain, Vector
from femssb.units import um

DESCRIPTORS: dict[str, tuple[int, Callable[[Array], Rotation]]] = {
    "rodrigues": (3, lambda r: Rotation.from_quat(np.insert(r, 0, 1, axis=1), scalar_first=True)),
    "quaternion": (4, lambda q: Rotation.from_quat(q, scalar_first=True)),
    "euler-bunge": (3, lambda angles: Rotation.from_euler("ZXZ", angles, degrees=True)),
    "axis-angle": (4, lambda a: Rotation.from_rotvec(_rotation_vectors(a))),
    "rotmat": (9, lambda g: Rotation.from_matrix(g.reshape(-1, 3, 3)).inv()),
}
COLUMNS = ("x", "y", "z", "weight", "qw", "qx", "qy", "qz")


def read_tess(
    path: str | Path, *, unit: float = um, centre: Vector | None = None, before_4_10: bool = False
) -> tuple[Grain, ...]:
    """Read the seeds and the orientations of a ``.tess`` file of Neper.

    The cells become those of the power diagram of the seeds: the faces that Neper regularised are
    not used, because a particle is regularised again.

    Args:
        path: The file.
        unit: Length of the unit of the file [m].
        centre: Point that becomes the centre of the particle, in the unit of the file; by default
            the middle of the bounding box of the vertices.
        before_4_10: True if Neper was older than 4.10 (see above; the file does not say).

    Raises:
        InputError: If the file is missing, damaged, or lacks seeds.
    """
    check_number("read_tess", "unit", unit, above=0, unit="m")
    path = Path(path)
    sections = _sections(path)
    if "**cell" not in sections or "*seed" not in sections:
        raise InputError(f"{path.name} has no section **cell with *seed; found {list(sections)}")
    count = int(_numbers(path, sections["**cell"][:1], 1, "**cell")[0, 0])
    seeds = _numbers(path, sections["*seed"], 5, "*seed")
    if len(seeds) != count:
        raise InputError(f"{path.name} has {len(seeds)} seeds for {count} cells: is it cut short?")
    if centre is None:
        vertices = _numbers(path, sections.get("**vertex", [""])[1:], 5, "**vertex")[:, 1:4]
        middle = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    else:
        middle = np.array(centre)
    orientations = None
    if "*ori" in sections:
        descriptor, text = "".join(sections["*ori"][:1]), sections["*ori"][1:]
        orientations = _orientations(path, text, descriptor, before_4_10)
        if len(orientations) != count:
            raise InputError(f"{path.name} has {len(orientations)} orientations for {count} cells")
    # the weight of Neper is a radius
    return _grains(unit * (seeds[:, 1:4] - middle), (unit * seeds[:, 4]) ** 2, orientations)


def read_orientations(
    path: str | Path, *, descriptor: str = "rodrigues", before_4_10: bool = False
) -> Array:
    """Read a text file of Neper with the orientation of a grain on each line.

    Args:
        path: The file.
        descriptor: ``rodrigues``, ``quaternion`` (scalar first), ``euler-bunge`` [degrees],
            ``axis-angle`` [degrees] or ``rotmat``, perhaps with ``:active`` or ``:passive``.
        before_4_10: True if Neper was older than 4.10 (see above).

    Returns:
        Active rotations, columns are the crystal axes, shape (n, 3, 3).

    Raises:
        InputError: If the file is missing or damaged, or the descriptor unknown.
    """
    path = Path(path)
    return _orientations(path, _lines(path), descriptor, before_4_10)


def read_sites(path: str | Path, *, unit: float = um) -> tuple[Grain, ...]:
    """Read a table of sites with the columns x, y, z, perhaps weight, perhaps qw, qx, qy, qz.

    The first line may name the columns; without it there are 3, 4, 7 or 8 in this order. Sites are
    given from the centre of the particle; quaternions describe the rotation whose matrix has the
    crystal axes as columns. Grains without one get a random orientation.

    Args:
        path: A CSV file; lines that begin with # are left out.
        unit: Length of the unit of the file [m]; weights are in its square.

    Raises:
        InputError: If the file is missing or damaged, or a column is unknown.
    """
    check_number("read_sites", "unit", unit, above=0, unit="m")
    path = Path(path)
    rows = [[item.strip() for item in row] for row in csv.reader(_lines(path))]
    if not rows:
        raise InputError(f"{path.name} is empty")
    names = [name.lower() for name in rows[0]]
    if not set(names).isdisjoint(COLUMNS):
        rows = rows[1:]
    else:
        by_count = {3: COLUMNS[:3], 4: COLUMNS[:4], 7: COLUMNS[:3] + COLUMNS[4:], 8: COLUMNS}
        names = list(by_count.get(len(names), ()))
    unknown = sorted(set(names) - set(COLUMNS))
    missing = [name for name in COLUMNS[:3] if name not in names]
    if "qw" in names or "qx" in names:
        missing += [name for name in COLUMNS[4:] if name not in names]
    if unknown or missing:
        raise InputError(
            f"{path.name}: missing columns {missing}, unknown columns {unknown}; "
            f"allowed are {', '.join(COLUMNS)}"
        )
    table = _numbers(path, [" ".join(row) for row in rows], len(names), "table")
    column = {name: table[:, index] for index, name in enumerate(names)}
    points = np.stack([column[name] for name in COLUMNS[:3]], axis=1) * unit
    weights = column.get("weight", np.zeros(len(table))) * unit**2
    orientations = None
    if "qw" in column:
        quaternions = np.stack([column[name] for name in COLUMNS[4:]], axis=1)
        orientations = _rotations(path, "quaternion", quaternions).as_matrix()
    return _grains(points, weights, orientations)


def _rotation_vectors(axis_angle: Array) -> Array:
    axis = axis_angle[:, :3] / np.linalg.norm(axis_angle[:, :3], axis=1, keepdims=True)
    return np.asarray(np.radians(axis_angle[:, 3:]) * axis)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _sections(path: Path) -> dict[str, list[str]]:
    """Return the lines under each heading of a ``.tess`` file, those of the domain apart."""
    lines = _lines(path)
    if not lines or lines[0] != "***tess":
        raise InputError(f"{path.name} is not a .tess file: it does not begin with ***tess")
    if lines[-1] != "***end":
        raise InputError(f"{path.name} is cut short: it does not end with ***end")
    sections: dict[str, list[str]] = {}
    heading = ""
    for line in lines[1:-1]:
        if line.startswith("*"):
            heading = line.split()[0]
            if heading == "**domain":
                break
            sections[heading] = []
        elif heading:
            sections[heading].append(line)
    return sections


def _numbers(path: Path, lines: Sequence[str], columns: int, what: str) -> Array:
    """Return the numbers of some lines, shape (lines, columns)."""
    rows = [line.split() for line in lines]
    if not rows or any(len(row) != columns for row in rows):
        raise InputError(f"{path.name}: {what} needs {columns} numbers on each of its lines")
    try:
        table = np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{path.name}: {what}: {error}") from error
    if not np.isfinite(table).all():
        raise InputError(f"{path.name}: {what} has numbers that are not finite")
    return table


def _orientations(path: Path, lines: Sequence[str], descriptor: str, before_4_10: bool) -> Array:
    name, _, convention = descriptor.partition(":")
    if name not in DESCRIPTORS or convention not in ("", "active", "passive"):
        raise InputError(
            f"{path.name}: unknown descriptor {descriptor!r}; allowed are "
            f"{', '.join(DESCRIPTORS)}, perhaps with :active or :passive"
        )
    rotation = _rotations(path, name, _numbers(path, lines, DESCRIPTORS[name][0], name))
    inverse = "passive" if before_4_10 else "active"
    return np.asarray((rotation.inv() if convention == inverse else rotation).as_matrix())


def _rotations(path: Path, name: str, values: Array) -> Any:
    try:
        return DESCRIPTORS[name][1](values)
    except ValueError as error:  # a quaternion of length zero, a matrix that is no rotation
        raise InputError(f"{path.name}: {name}: {error}") from error


def _grains(points: Array, weights: Array, orientations: Array | None) -> tuple[Grain, ...]:
    rotations = [None] * len(points) if orientations is None else orientations
    return tuple(
        Grain(point=point, weight=weight, orientation=rotation)
        for point, weight, rotation in zip(points, weights, rotations, strict=True)
    )

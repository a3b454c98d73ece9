"""Orientations of grains in a CSV file next to a mesh: grain, qw, qx, qy, qz.

Quaternions are those of active rotations, scalar first. A file that we wrote ends in the checksum
of the mesh that it belongs to, and its own.
"""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from femssb.arrays import Array
from femssb.environment.files import checksum
from femssb.errors import InputError
from femssb.meshing.parts import Parts, grain_names, grain_number
from femssb.tables import numbers, read_text, sealed

HEADER = ["grain", "qw", "qx", "qy", "qz"]
_MESH = re.compile(r"^# mesh sha256 ([0-9a-f]{64})$", re.MULTILINE)
CLOSE = 1e-3  # how far the length of a quaternion of few digits may be from 1


def beside(path: Path) -> Path:
    """Return where the orientations of a mesh lie."""
    return path.with_suffix(".orientations.csv")


def check_mesh_of(path: Path) -> None:
    """Check that a mesh is the one that the orientations next to it were written with.

    Raises:
        InputError: If it is not, or a file cannot be read.
    """
    known = _MESH.search(read_text(beside(path)))
    if known is not None and checksum(path) != known[1]:
        raise InputError(
            f"{path.name} is damaged, or not the mesh that {beside(path).name} belongs to; if you "
            f"have changed it, take the lines that begin with # out of {beside(path).name}"
        )


def read_orientations(path: Path, grains: Mapping[str, tuple[int, int]]) -> Array:
    """Return the orientations of the grains, by their numbers, shape (n_grains, 3, 3).

    Args:
        path: The file.
        grains: Particle and grain number of each name in the mesh.

    Raises:
        InputError: If it is missing or damaged, or has not one line for each grain.
    """
    lines = [line for line in read_text(path).split("\n") if not line.startswith("#")]
    try:
        rows = list(csv.reader(lines))
    except csv.Error as error:
        raise InputError(f"orientations {path.name} cannot be read: {error}") from error
    if not rows or rows[0] != HEADER:
        raise InputError(f"orientations {path.name} must begin with the line {','.join(HEADER)}")
    found: dict[tuple[int, int], Array] = {}
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        where = f"orientations {path.name}, line {line}"
        number = grain_number(row[0])
        if number is None or number not in grains.values():
            raise InputError(
                f"{where}: {row[0]!r} is no grain of the mesh; it has {sorted(grains)}"
            )
        if number in found:
            raise InputError(f"{where}: the grain {row[0]!r} has an orientation already")
        [quaternion] = numbers(where, [row[1:]], 4)
        if not abs(np.linalg.norm(quaternion) - 1) < CLOSE:
            raise InputError(
                f"{where}: the quaternion has the length {np.linalg.norm(quaternion):.6g}, not 1"
            )
        found[number] = Rotation.from_quat(quaternion, scalar_first=True).as_matrix()
    missing = sorted(name for name, number in grains.items() if number not in found)
    if missing:
        raise InputError(f"orientations {path.name} has no line for {', '.join(missing)}")
    return np.array([found[number] for number in sorted(grains.values())])


def orientations_text(parts: Parts, mesh: Path) -> str:
    """Return the text of such a file, for a mesh that is written."""
    quaternions = Rotation.from_matrix(parts.orientations).as_quat(scalar_first=True)
    lines = [",".join(HEADER)]
    for name, quaternion in zip(grain_names(parts.grain_particle), quaternions, strict=True):
        lines.append(",".join([name, *(f"{component:.15g}" for component in quaternion)]))
    return sealed("\n".join([*lines, f"# mesh sha256 {checksum(mesh)}", ""]))

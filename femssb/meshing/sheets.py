"""Triangulated surfaces with a volume on one side or both, and how volumes are numbered."""

from typing import NamedTuple

import numpy as np

from femssb.arrays import Array, Indices
from femssb.meshing.cut_balls import Cell
from femssb.meshing.parts import REGIONS

MATRIX, SEPARATOR_LAYER = REGIONS["ecbd"], REGIONS["electrolyte"]
FIRST_CELL = 1000  # number of the first cell of a particle as a volume
FIRST_PORE = 10  # number of the first closed pore of the matrix as a volume


class Sheet(NamedTuple):
    """Triangles with a volume on one side or both; their normals point from the first."""

    points: Array  # (k, 3)
    triangles: Indices  # (m, 3)
    volumes: tuple[int, ...]
    name: str | None


def volume_number(cell: Cell, first: Indices) -> int:
    """Return the number of a cell as a volume: pieces of one grain follow each other."""
    ball, x, y, grain = cell
    return FIRST_CELL + 9 * (int(first[ball]) + grain) + 3 * (x + 1) + y + 1


def six_volumes(points: Array, triangles: Indices) -> Array:
    """Return six times the volume of the cone over each triangle from the origin, (m,)."""
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    return np.asarray((a * np.cross(b, c)).sum(axis=1))

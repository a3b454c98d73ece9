"""Columns of cubes in which particles touch each other, the collector and the separator."""

from __future__ import annotations

from collections.abc import Sequence

import femssb.environment.platform

from mpi4py import MPI

import numpy as np

from femssb.meshing import MeshData, from_arrays
from femssb.units import um

EDGE = 1 * um
_CUBE = [[0, 1, 3, 7], [0, 1, 5, 7], [0, 2, 3, 7], [0, 2, 6, 7], [0, 4, 5, 7], [0, 4, 6, 7]]


def stack(names: Sequence[Sequence[str]], comm: MPI.Intracomm = MPI.COMM_WORLD) -> MeshData:
    """Return a box of cubes, each cut into six tetrahedra; collective.

    Particles at the lowest z have the facets ``particle_collector``, those below an
    ``electrolyte`` ``particle_separator``.

    Args:
        names: Region of each cube: names[z][x], from below to above.
        comm: Ranks to distribute it over.
    """
    regions = np.array(names)
    height, width = regions.shape
    nodes = np.stack(
        np.meshgrid(range(width + 1), range(2), range(height + 1), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    points = (nodes - [width / 2, 0.5, 0]) * EDGE

    def number(x: int, y: int, z: int) -> int:
        return (x * 2 + y) * (height + 1) + z

    cells, of_cell = [], []
    for z in range(height):
        for x in range(width):
            corners = [number(x + a, b, z + c) for c in (0, 1) for b in (0, 1) for a in (0, 1)]
            cells += [[corners[k] for k in tet] for tet in _CUBE]
            of_cell += 6 * [str(regions[z, x])]
    tets = np.array(cells)
    faces = np.sort(tets[:, [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]], axis=2).reshape(-1, 3)
    inside = np.repeat([name.startswith("particle") for name in of_cell], 4)
    level = nodes[faces][:, :, 2]
    ends = {
        "collector": faces[(level == 0).all(axis=1) & ~inside],
        "particle_collector": faces[(level == 0).all(axis=1) & inside],
        "anode": faces[(level == height).all(axis=1)],
        "particle_separator": _between(faces, inside, np.repeat(of_cell, 4) == "electrolyte"),
    }
    named = {name: some for name, some in ends.items() if len(some)}
    sides = {}
    for axis, letter, far in ((0, "x", width), (1, "y", 1)):
        at = [(nodes[faces][:, :, axis] == level).all(axis=1) for level in (0, far)]
        alike = [np.sort(nodes[faces[side]].mean(axis=1)[:, 2] + inside[side]) for side in at]
        if np.array_equal(*alike):  # the same bodies on both: periodic
            sides |= {f"{letter}_min": faces[at[0]], f"{letter}_max": faces[at[1]]}
    return from_arrays(points, tets, of_cell, facets=named | sides, comm=comm)


def _between(faces: np.ndarray, *sides: np.ndarray) -> np.ndarray:
    """Return the faces that cells of both sides have."""
    one, other = ({tuple(face) for face in faces[side].tolist()} for side in sides)
    return np.array(sorted(one & other), dtype=np.int64).reshape(-1, 3)

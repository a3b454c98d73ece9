"""Volumes between triangulated surfaces, filled with tetrahedra by Gmsh."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from femssb.arrays import Array, Indices
from femssb.errors import MeshError
from femssb.meshing.formats import TETRAHEDRON, TRIANGLE

LEAST_GAMMA = 0.02  # smallest gamma of a mesh that may be used
GROWTH = 0.4  # growth of the size per distance from where it is fine


class Surface(NamedTuple):
    """Triangles, the volumes on both sides of them, and the name of the facets they make."""

    triangles: Indices  # (m, 3)
    volumes: tuple[int, ...]
    name: str | None = None


def graded(start: Array, end: Array, spacing: Callable[[Array], Array]) -> Array:
    """Cut a segment into pieces that follow the size; return the points between its ends."""
    t = np.linspace(0, 1, 401)
    density = np.linalg.norm(end - start) / spacing(start + t[:, None] * (end - start))
    passed = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(t))])
    pieces = max(1, round(float(passed[-1])))
    at = np.interp(np.linspace(0, passed[-1], pieces + 1)[1:-1], passed, t)
    return np.asarray(start + at[:, None] * (end - start))


def tetrahedra(
    gmsh: Any, points: Array, surfaces: Sequence[Surface], set_size: Callable[[], None]
) -> tuple[Array, Indices, Any]:
    """Fill the volumes between surfaces; return points, the given ones first, cells and tags."""
    model = gmsh.model
    sides: dict[int, list[int]] = {}
    for index, surface in enumerate(surfaces, start=1):
        model.addDiscreteEntity(2, index)
        for volume in surface.volumes:
            sides.setdefault(volume, []).append(index)
    model.mesh.addNodes(2, 1, np.arange(1, len(points) + 1), points.ravel())
    for index, surface in enumerate(surfaces, start=1):
        model.mesh.addElementsByType(index, TRIANGLE, [], surface.triangles.ravel() + 1)
    for volume, faces in sides.items():
        model.geo.addVolume([model.geo.addSurfaceLoop(faces)], volume)
    model.geo.synchronize()
    set_size()
    model.mesh.generate(3)
    _, made, _ = model.mesh.getElements(3)
    if made and model.mesh.getElementQualities(made[0], "gamma").min() < LEAST_GAMMA:
        model.mesh.optimize()  # once more: Gmsh stops early
    tags, coordinates, _ = model.mesh.getNodes()
    order = np.argsort(tags)
    table = np.full(int(tags.max()) + 1, -1)
    table[tags[order].astype(np.int64)] = np.arange(len(tags))
    cells, owners = [], []
    for volume in sides:
        _, nodes = model.mesh.getElementsByType(TETRAHEDRON, volume)
        if not len(nodes):
            raise MeshError(f"Gmsh left volume {volume} empty")
        cells.append(table[nodes.astype(np.int64)].reshape(-1, 4))
        owners.append(np.full(len(cells[-1]), volume, dtype=np.int32))
    return coordinates.reshape(-1, 3)[order], np.vstack(cells), np.concatenate(owners)

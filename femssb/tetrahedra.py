"""Geometry of tetrahedra, as arrays."""

import numpy as np
from numpy.typing import NDArray


def volumes(points: NDArray[np.float64], cells: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the volumes of tetrahedra, shape (m,), in the cube of the unit of the points.

    Args:
        points: Coordinates (n, 3).
        cells: Corners (m, 4): rows of `points`.
    """
    corners = points[cells]
    return np.asarray(np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 6)


def gamma(points: NDArray[np.float64], cells: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return three times the radius of the inscribed over that of the circumscribed sphere.

    1 for a regular tetrahedron, 0 for a flat one: the measure that Gmsh calls gamma.

    Args:
        points: Coordinates, shape (k, 3).
        cells: Corners of the tetrahedra, shape (m, 4).
    """
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    a, b, c = np.moveaxis(edges, 1, 0)
    across = [np.cross(b, c), np.cross(c, a), np.cross(a, b)]
    six_volumes = np.abs((a * across[0]).sum(axis=1))
    last = np.linalg.norm(across[0] + across[1] + across[2], axis=1)
    twice_areas = last + sum(np.linalg.norm(face, axis=1) for face in across)
    squares = (edges**2).sum(axis=2)
    lever = sum(squares[:, k, None] * across[k] for k in range(3))
    # inscribed radius = 3 V / A, circumscribed radius = |lever| / (12 V)
    return np.asarray(6 * six_volumes**2 / (twice_areas * np.linalg.norm(lever, axis=1)))

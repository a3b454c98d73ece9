"""Geometry of tetrahedra, as arrays."""

from __future__ import annotations

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

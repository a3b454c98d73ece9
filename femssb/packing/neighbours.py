"""Distances across periodic sides, and which spheres are near each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]


def wrapped(positions: Array, period: Array, lower: Array | float = 0.0) -> Array:
    """Return the periodic images of points that lie in a box, in a new array.

    Args:
        positions: Shape (n, axes) [m].
        period: Period along each axis, 0 where there is none, shape (axes,) [m].
        lower: Lower corner of the box [m].
    """
    inside = np.array(positions)
    corner = np.broadcast_to(lower, period.shape)
    for axis in np.flatnonzero(period):
        place = (inside[:, axis] - corner[axis]) % period[axis]
        place[place >= period[axis]] = 0.0  # -1e-30 % 1 is 1
        inside[:, axis] = corner[axis] + place
    return inside


def nearest_image(steps: Array, period: Array) -> Array:
    """Return the shortest of all periodic images of vectors, shape (m, 3) [m].

    Args:
        steps: From one point to another, shape (m, 3) [m].
        period: Period along each axis, 0 where there is none, shape (3,) [m].
    """
    return np.asarray(steps - period * np.rint(steps / np.where(period > 0, period, np.inf)))


def neighbours(
    positions: Array, radii: Array, period: Array, reach: float, *, classes: int = 6
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs of spheres whose surfaces are nearer than a reach.

    Args:
        positions: Centres, shape (n, 3) [m].
        radii: Shape (n,) [m].
        period: Period along each axis, 0 where there is none, shape (3,) [m].
        reach: Largest distance between the surfaces [m].
        classes: Number of classes of like size into which spheres are sorted: small ones are then
            not searched as far as the largest would need.

    Returns:
        The first and second sphere of every pair, each pair once, shapes (m,).
    """
    edges = np.unique(np.quantile(radii, np.linspace(0, 1, classes + 1)))
    size = np.clip(np.searchsorted(edges, radii, side="right") - 1, 0, max(len(edges) - 2, 0))
    members = [np.flatnonzero(size == k) for k in range(size.max() + 1)]
    members = [rows for rows in members if len(rows)]
    inside = wrapped(positions, period)
    trees = [cKDTree(inside[rows], boxsize=period) for rows in members]
    pairs: list[NDArray[np.int64]] = []
    for a, (rows_a, tree_a) in enumerate(zip(members, trees, strict=True)):
        for rows_b, tree_b in zip(members[a:], trees[a:], strict=True):
            limit = radii[rows_a].max() + radii[rows_b].max() + reach
            if tree_a is tree_b:
                found = tree_a.query_pairs(limit, output_type="ndarray")
            else:
                near = tree_a.sparse_distance_matrix(tree_b, limit, output_type="ndarray")
                found = np.column_stack([near["i"], near["j"]])
            pairs.append(np.column_stack([rows_a[found[:, 0]], rows_b[found[:, 1]]]))
    first, second = np.concatenate(pairs).astype(np.int64).T
    branches = nearest_image(positions[second] - positions[first], period)
    near_enough = np.sum(branches**2, axis=1) < (radii[first] + radii[second] + reach) ** 2
    return first[near_enough], second[near_enough]

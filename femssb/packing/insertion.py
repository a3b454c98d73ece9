"""Random packings without overlaps: where the spheres of a recipe are before they are pressed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from femssb._version import __version__
from femssb.errors import InputError, NotConverged, check_number
from femssb.packing.packing import Packing
from femssb.packing.recipe import Recipe

Array = NDArray[np.float64]

DENSEST = 0.6  # share of solids above which random spheres jam before they are apart
MARGIN = 1e-3  # spheres are moved until they would not touch if they were larger by this share
SWEEPS = 5_000  # after which insertion gives up


def insert(recipe: Recipe, *, height: float, seed: int) -> Packing:
    """Place the spheres of a recipe at random, without overlaps.

    Centres are drawn uniformly; then every two spheres that overlap are moved apart along their
    line of centres, all at once, until none do. The sides across x and y are periodic; spheres
    stay inside the box along z.

    Args:
        recipe: What to place.
        height: Of the box, along z [m].
        seed: Of the random numbers: the same seed gives the same packing.

    Returns:
        The packing; its `origin` holds the recipe and the seed.

    Raises:
        InputError: If the solids do not fit the height.
        NotConverged: If some spheres still overlap after `SWEEPS` moves.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"insert: seed = {seed!r} must be a whole number from 0 on")
    check_number("insert", "height", height, above=0.0, below=1.0, unit="m")
    lengths = np.array([recipe.width, recipe.width, height])
    solid = recipe.volumes().sum() / np.prod(lengths)
    if solid > DENSEST:
        raise InputError(
            f"insert: height = {height:g} m leaves {solid:.3f} of the box to the solids, at most "
            f"{DENSEST:g} can be placed at random: {recipe.dense_thickness() / DENSEST:g} m is the "
            "least height"
        )
    kinds, diameters = recipe.diameters(seed)
    if diameters.max() > height:
        raise InputError(
            f"insert: height = {height:g} m is less than the largest diameter, "
            f"{diameters.max():g} m"
        )
    generator = np.random.default_rng([seed, 1])
    positions = generator.random((len(diameters), 3)) * lengths
    return Packing(
        positions=separate(positions, diameters / 2, lengths),
        radii=diameters / 2,
        phases=kinds,
        phase_names=tuple(component.name for component in recipe.components),
        lower=np.zeros(3),
        upper=lengths,
        periodic=(True, True, False),
        origin={"femssb": __version__, "seed": seed, "recipe": _plain(recipe)},
    )


def separate(positions: Array, radii: Array, lengths: Array) -> Array:
    """Move spheres apart until no two overlap, in a box from 0 that is periodic in x and y.

    Args:
        positions: Centres, shape (n, 3) [m].
        radii: Shape (n,) [m].
        lengths: Edge lengths of the box, shape (3,) [m].

    Returns:
        New centres, shape (n, 3) [m].

    Raises:
        NotConverged: If some spheres still overlap after `SWEEPS` moves.
    """
    n = len(radii)
    wanted = radii * (1 + MARGIN)
    reach = 0.3 * float(np.median(radii))  # pairs are searched anew once a sphere has moved half
    period = np.array([lengths[0], lengths[1], 0.0])
    positions = np.array(positions)
    searched_at = np.full_like(positions, np.inf)
    first = second = np.empty(0, dtype=np.int64)
    depth = 0.0
    for _ in range(SWEEPS):
        if np.max(np.sum((positions - searched_at) ** 2, axis=1), initial=0) > (reach / 2) ** 2:
            searched_at = positions
            first, second = neighbours(positions, wanted, period, reach)
        branch = positions[second] - positions[first]
        branch[:, :2] -= period[:2] * np.rint(branch[:, :2] / period[:2])
        distance = np.sqrt(np.sum(branch**2, axis=1))
        overlap = wanted[first] + wanted[second] - distance
        real = overlap - MARGIN * (radii[first] + radii[second])
        outside = np.maximum(radii - positions[:, 2], positions[:, 2] + radii - lengths[2])
        depth = max(real.max(initial=-1.0), outside.max(initial=-1.0)) / float(radii.mean())
        if depth <= 0:
            return np.column_stack([positions[:, :2] % period[:2], positions[:, 2]])
        touching = overlap > 0
        i, j = first[touching], second[touching]
        # Half the overlap each; two that sit on one point part along a line of their own.
        direction = branch[touching] / np.maximum(distance[touching], 1e-300)[:, None]
        push = 0.5 * overlap[touching, None] * direction
        moved = np.empty_like(positions)
        for axis in range(3):
            moved[:, axis] = np.bincount(j, push[:, axis], n) - np.bincount(i, push[:, axis], n)
        positions = positions + moved
        positions[:, 2] = np.clip(positions[:, 2], wanted, lengths[2] - wanted)
    raise NotConverged(
        "spheres could not be moved apart: they jam; use a higher box",
        step=SWEEPS,
        residuals={"largest overlap over mean radius": depth},
    )


def neighbours(
    positions: Array, radii: Array, period: Array, reach: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs of spheres whose surfaces are nearer than a reach.

    The spheres are sorted into classes of like size, so that small ones are not searched as far as
    the largest would need.

    Args:
        positions: Centres, shape (n, 3) [m]; inside the box along periodic directions.
        radii: Shape (n,) [m].
        period: Period along each axis, 0 where there is none, shape (3,) [m].
        reach: Largest distance between the surfaces [m].

    Returns:
        The first and second sphere of every pair, each pair once, shapes (m,).
    """
    edges = np.unique(np.quantile(radii, np.linspace(0, 1, 7)))
    size = np.clip(np.searchsorted(edges, radii, side="right") - 1, 0, max(len(edges) - 2, 0))
    members = [np.flatnonzero(size == k) for k in range(size.max() + 1)]
    members = [rows for rows in members if len(rows)]
    inside = positions.copy()
    for axis in np.flatnonzero(period):
        inside[:, axis] %= period[axis]
        inside[inside[:, axis] >= period[axis], axis] = 0.0  # -1e-30 % 1 is 1
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
    branch = positions[second] - positions[first]
    branch -= period * np.rint(branch / np.where(period > 0, period, np.inf))
    near_enough = np.sum(branch**2, axis=1) < (radii[first] + radii[second] + reach) ** 2
    return first[near_enough], second[near_enough]


def _plain(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain data; of each solid only what counts, its name and density."""
    plain = asdict(recipe)
    for component in plain["components"]:
        solid = component["solid"]
        component["solid"] = {"name": solid["name"], "density": solid["density"]}
    return plain

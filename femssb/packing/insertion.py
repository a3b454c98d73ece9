"""Random packings of the spheres of a recipe, without overlaps, before they are pressed.

Pairs are pushed apart one by one, which is fast while spheres fill less than `DENSEST` of the box;
`femssb.packing.jamming` reaches denser packings.
"""

import numpy as np

from femssb._version import __version__
from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, NotConverged, check_number
from femssb.inputs.case import describe
from femssb.packing.neighbours import nearest_image, neighbours, wrapped
from femssb.packing.packing import Packing
from femssb.packing.recipe import Recipe, check_seed

DENSEST = 0.6  # share of solids above which random spheres jam before they are apart
MARGIN = 1e-3  # spheres are moved until they would not touch if they were larger by this share
SWEEPS = 5_000  # after which insertion ends without success


@checked
def insert(recipe: Recipe, *, height: float, seed: int) -> Packing:
    """Place the spheres of a recipe at random, without overlaps.

    Centres are drawn uniformly; then every two spheres that overlap are moved apart along their
    line of centres, all at once, until none do. The sides across x and y are periodic; spheres
    stay inside the box along z.

    Args:
        recipe: Names the spheres to place.
        height: Of the box, along z [m].
        seed: Of the random numbers: the same seed gives the same packing.

    Returns:
        The packing; its `origin` holds the recipe and the seed.

    Raises:
        InputError: If the solids do not fit the height.
        NotConverged: If some spheres still overlap after `SWEEPS` moves.
    """
    check_seed("insert", seed)
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
    if (largest := diameters.max()) > height:
        what = f"insert: height = {height:g} m is less than the largest diameter"
        raise InputError(f"{what}, {largest:g} m")
    positions = np.random.default_rng([seed, 1]).random((len(diameters), 3)) * lengths
    return Packing(
        positions=separate(positions, diameters / 2, lengths),
        radii=diameters / 2,
        phases=kinds,
        phase_names=tuple(component.name for component in recipe.components),
        lower=np.zeros(3),
        upper=lengths,
        periodic=(True, True, False),
        origin={"femssb": __version__, "seed": seed, "recipe": describe(recipe)},
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
    reach = 0.3 * float(np.median(radii))  # pairs are searched again once a sphere has moved half
    period = np.array([lengths[0], lengths[1], 0.0])
    positions = np.array(positions)
    searched_at = np.full_like(positions, np.inf)
    first = second = np.empty(0, dtype=np.int64)
    depth = 0.0
    for _ in range(SWEEPS):
        if np.max(np.sum((positions - searched_at) ** 2, axis=1), initial=0) > (reach / 2) ** 2:
            searched_at = positions
            first, second = neighbours(positions, wanted, period, reach)
        branch = nearest_image(positions[second] - positions[first], period)
        distance = np.sqrt(np.sum(branch**2, axis=1))
        overlap = wanted[first] + wanted[second] - distance
        real = overlap - MARGIN * (radii[first] + radii[second])
        outside = np.maximum(radii - positions[:, 2], positions[:, 2] + radii - lengths[2])
        depth = max(real.max(initial=-1.0), outside.max(initial=-1.0)) / float(radii.mean())
        if depth <= 0:
            return wrapped(positions, period)
        touching = overlap > 0
        i, j = first[touching], second[touching]
        # Half the overlap each; two that sit on one point part along a line of their own.
        direction = branch[touching] / np.maximum(distance[touching], 1e-300)[:, None]
        push = (0.5 * overlap[touching, None] * direction).T
        moved = [np.bincount(j, along, n) - np.bincount(i, along, n) for along in push]
        positions = positions + np.column_stack(moved)
        positions[:, 2] = np.clip(positions[:, 2], wanted, lengths[2] - wanted)
    raise NotConverged(
        "spheres could not be moved apart: they jam; use a higher box",
        step=SWEEPS,
        residuals={"largest overlap over mean radius": depth},
    )

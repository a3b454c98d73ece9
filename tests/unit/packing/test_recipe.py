"""A recipe must become the powder that it says: these counts and sizes are the electrode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from femssb.errors import InputError, NotConverged
from femssb.library.cathodes import NCM523
from femssb.library.electrolytes import LI6PS5CL
from femssb.packing.insertion import insert, separate
from femssb.packing.neighbours import neighbours
from femssb.packing.recipe import Component, Recipe
from femssb.packing.sizes import ListedSizes, LognormalSizes, TabulatedSizes
from femssb.units import um

AM_SIZES = LognormalSizes(
    median=4.95 * um, geometric_deviation=1.3, smallest=3 * um, largest=10 * um
)
SE_SIZES = LognormalSizes(
    median=7.6 * um, geometric_deviation=1.17, smallest=6 * um, largest=13 * um
)


def alabdali(width: float = 150 * um) -> Recipe:
    """Return the mixture of doi 10.1016/j.ensm.2024.103527, section 2.1: 14.96 mg/cm2 of NMC532."""
    return Recipe(
        components=(
            Component(
                name="AM", solid=replace(NCM523, density=4700.0), share=0.733, sizes=AM_SIZES
            ),
            Component(
                name="SE", solid=replace(LI6PS5CL, density=1640.0), share=0.267, sizes=SE_SIZES
            ),
        ),
        loading=0.1496 / 0.733,
        width=width,
    )


def test_counts_of_a_paper():
    """Would catch mass for volume shares, radius for diameter, or a mean of the wrong moment."""
    recipe = alabdali()
    np.testing.assert_allclose(recipe.counts(), [8213, 2789], rtol=0.02)
    assert recipe.counts().sum() == pytest.approx(11002, rel=0.01)
    np.testing.assert_allclose(recipe.volumes() / um**3, [7.16e5, 7.48e5], rtol=2e-3)
    assert recipe.dense_thickness() == pytest.approx(65.06 * um, rel=2e-3)


@pytest.mark.parametrize("by", ["mass", "volume"])
def test_drawn_spheres_have_the_shares(by):
    """Would catch shares of mass and of volume that change places, and sizes out of bounds."""
    recipe = replace(alabdali(60 * um), by=by)
    kinds, diameters = recipe.diameters(seed=3)
    volume = np.bincount(kinds, np.pi / 6 * diameters**3)
    mass = volume * [4700.0, 1640.0]
    shares = (mass if by == "mass" else volume) / (mass if by == "mass" else volume).sum()
    np.testing.assert_allclose(shares, [0.733, 0.267], rtol=1e-12)
    assert mass.sum() == pytest.approx(recipe.loading * recipe.width**2, rel=1e-12)
    assert 2.99 * um < diameters[kinds == 0].min() < 3.2 * um
    assert diameters[kinds == 1].max() < 13.2 * um


@settings(max_examples=40, deadline=None)
@given(
    median=st.floats(1, 20),
    spread=st.floats(1.05, 2.0),
    low=st.floats(0.3, 0.95),
    high=st.floats(1.05, 3.0),
)
def test_lognormal_quantiles(median, spread, low, high):
    """Would catch a cut that moves the median of what is left, or leaves the ends out."""
    sizes = LognormalSizes(
        median=median * um,
        geometric_deviation=spread,
        smallest=low * median * um,
        largest=high * median * um,
    )
    drawn = sizes.quantile(np.linspace(0, 1, 4001))
    assert np.all(np.diff(drawn) >= 0)
    np.testing.assert_allclose(
        drawn[[0, -1]], [sizes.smallest, sizes.largest], rtol=1e-3
    )  # roundoff in the tails
    # Between two diameters inside, the share is that of the whole distribution, rescaled.
    ratio = np.mean((drawn > 0.97 * median * um) & (drawn < 1.02 * median * um))
    from scipy.stats import lognorm

    whole = lognorm(s=np.log(spread), scale=median)
    cut = whole.cdf(high * median) - whole.cdf(low * median)
    expected = (whole.cdf(1.02 * median) - whole.cdf(0.97 * median)) / cut
    assert ratio == pytest.approx(expected, abs=2e-3)


def test_tables_and_lists():
    """Would catch a table read the wrong way round, or a list whose sizes are not equally often."""
    table = TabulatedSizes(diameters=(1e-6, 2e-6, 4e-6), shares=(0.0, 0.5, 1.0))
    np.testing.assert_allclose(
        table.quantile(np.array([0, 0.25, 0.5, 0.75, 1])) / um, [1, 1.5, 2, 3, 4]
    )
    listed = ListedSizes(diameters=(3e-6, 1e-6))
    drawn = listed.quantile(np.linspace(0, 1, 100))
    assert np.count_nonzero(drawn == 1e-6) == 50


def test_spheres_do_not_overlap():
    """Would catch pairs that are missed across the periodic sides or among unlike sizes."""
    packing = insert(alabdali(40 * um), height=140 * um, seed=5)
    away = packing.positions[:, None] - packing.positions
    away[..., :2] -= packing.lengths[:2] * np.rint(away[..., :2] / packing.lengths[:2])
    gap = np.linalg.norm(away, axis=-1) - packing.radii[:, None] - packing.radii
    np.fill_diagonal(gap, 1.0)
    assert gap.min() >= 0
    assert np.all(packing.positions[:, 2] >= packing.radii)
    assert np.all(packing.positions[:, 2] <= packing.lengths[2] - packing.radii)
    assert packing.phase_names == ("AM", "SE")
    assert packing.origin["seed"] == 5


def test_neighbours_are_all_found():
    """Would catch a pair that the classes of size or the periodic sides hide."""
    generator = np.random.default_rng(1)
    radii = generator.lognormal(0, 0.6, 300)
    period = np.array([14.0, 0.0, 16.0])
    positions = generator.uniform(-3, 20, (300, 3))
    first, second = neighbours(positions, radii, period, 0.4)
    away = positions[:, None] - positions
    for axis in (0, 2):
        away[..., axis] -= period[axis] * np.rint(away[..., axis] / period[axis])
    near = np.linalg.norm(away, axis=-1) < radii[:, None] + radii + 0.4
    expected = {(i, j) for i, j in np.argwhere(near) if i < j}
    found = [(min(i, j), max(i, j)) for i, j in zip(first, second, strict=True)]
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_same_seed_same_packing():
    """Would catch a random number that does not come from the seed."""
    one, same, other = (insert(alabdali(30 * um), height=150 * um, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.positions, same.positions)
    assert np.abs(one.positions - other.positions).max() > 1 * um


def test_jammed_spheres_are_an_error():
    """Would catch an endless search, or overlapping spheres handed on in silence."""
    with pytest.raises(NotConverged, match="jam"):
        separate(np.full((8, 3), 0.5), np.full(8, 0.4), np.ones(3))


def bad(change):
    recipe = alabdali()
    first = recipe.components[0]
    return {
        "shares": lambda: replace(recipe, components=(replace(first, share=0.7), first)),
        "names": lambda: replace(recipe, components=(first, replace(first, share=0.267))),
        "sum": lambda: replace(recipe, components=(first,)),
        "width": lambda: alabdali(20 * um),
        "by": lambda: replace(recipe, by="number"),
        "spread": lambda: replace(AM_SIZES, geometric_deviation=0.9),
        "ends": lambda: replace(AM_SIZES, smallest=11 * um),
        "nothing": lambda: replace(AM_SIZES, median=1e-3),
        "micrometres": lambda: replace(AM_SIZES, median=4.95),
        "table": lambda: TabulatedSizes(diameters=(2e-6, 1e-6), shares=(0.0, 1.0)),
        "share": lambda: replace(first, share=1.2),
        "solid": lambda: replace(first, solid="NCM523"),
        "height": lambda: insert(recipe, height=100 * um, seed=1),
        "seed": lambda: insert(recipe, height=150 * um, seed=-1),
        "one sphere": lambda: replace(recipe, loading=1e-6).counts(),
    }[change]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("names", "same name"),
        ("sum", "sum to 0.733"),
        ("width", "twice the largest diameter"),
        ("by", r"by must be one of \('mass', 'volume'\)"),
        ("spread", "geometric_deviation = 0.9"),
        ("ends", "must exceed smallest"),
        ("nothing", "lies between"),
        ("micrometres", "median = 4.95 m"),
        ("table", "must rise"),
        ("share", "share = 1.2"),
        ("solid", "solid must be Solid"),
        ("height", "least height"),
        ("seed", "seed = -1"),
        ("one sphere", "less of SE on the area than one sphere|less of AM"),
    ],
)
def test_bad_input(change, message):
    """Would catch a recipe that fails late, or with a message that does not name the field."""
    with pytest.raises(InputError, match=message):
        bad(change)()

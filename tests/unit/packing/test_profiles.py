"""Composition against height: shares that close, errors that mean what they say, layers found."""

from dataclasses import replace

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.packing import Packing, composition, porosity, stratification
from femssb.units import um


def scattered(seed: int, spheres: int = 60) -> Packing:
    """Return spheres of two phases that were thrown into a box at random, and overlap."""
    random = np.random.default_rng(seed)
    return Packing(
        positions=random.uniform(0, 12, (spheres, 3)) * um,
        radii=np.where(np.arange(spheres) % 3, 0.7, 1.2) * um,
        phases=np.minimum(np.arange(spheres) % 3, 1),
        phase_names=("AM", "CBD"),
        lower=np.zeros(3),
        upper=np.full(3, 12 * um),
        periodic=(True, True, True),
    )


def test_shares_close():
    """Would catch overlaps that count twice, spheres lost at sides, or shares of another volume."""
    packing = scattered(1)
    found = composition(packing, bins=5)
    np.testing.assert_allclose(found.shares.sum(axis=0) + found.pores, 1, atol=1e-12)
    assert found.pores.mean() == pytest.approx(porosity(packing).union, abs=1e-12)
    np.testing.assert_allclose(found.heights, np.array([1.2, 3.6, 6.0, 8.4, 10.8]) * um)
    alone = replace(packing, positions=[[1e-6, 1e-6, 6e-6]], radii=[2e-6], phases=[1], ids=None)
    shares = composition(alone, bins=3).shares
    inside = np.pi * 2.0**3 * 4 / 3
    np.testing.assert_allclose(shares, [[0, 0, 0], [0, inside / (4 * 144), 0]], atol=1e-5)


def test_errors_cover_what_seeds_scatter():
    """Would catch errors that are too small or too large for beads thrown in at random."""
    packings = [scattered(seed) for seed in range(12)]
    found = [composition(packing, bins=4) for packing in packings]
    shares = np.array([one.shares[1] for one in found])
    stated = np.sqrt(np.mean([one.share_errors[1] ** 2 for one in found]))
    assert 0.75 < shares.std(axis=0).mean() / stated < 1.25
    films = [replace(packing, periodic=(True, True, False)) for packing in packings]
    layers = [stratification(film, "CBD") for film in films]
    scores = np.array([layer.value / layer.error for layer in layers])
    assert 0.5 < np.sqrt(np.mean(scores**2)) < 1.5
    assert abs(scores.mean()) < 3 / np.sqrt(len(scores))


def test_a_layer_on_top_is_found():
    """Would catch a sign, or a height measured from something else than the middle of solids."""
    packing = replace(scattered(2), periodic=(True, True, False))
    squeezed = np.array(packing.positions)
    squeezed[:, 2] = np.where(packing.phases == 1, 9 * um, 3 * um)
    layered = replace(packing, positions=squeezed)
    shares = composition(layered, bins=2).shares
    assert shares[0, 1] == shares[1, 0] == 0
    low, high = 20 * 1.2**3, 40 * 0.7**3
    found = stratification(layered, "CBD")
    assert found.value == pytest.approx(0.75 - (0.25 * low + 0.75 * high) / (low + high), rel=1e-6)
    assert found.value > 5 * found.error > 0


def test_bad_input():
    """Would catch a height in a box that has no top."""
    with pytest.raises(InputError, match="periodic across z"):
        stratification(scattered(1), "AM")
    with pytest.raises(InputError, match="bins = 0"):
        composition(scattered(1), bins=0)

"""Plateaus: errors of correlated values, and series that are none."""

from __future__ import annotations

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.particles import plateau
from femssb.particles.plateau import block_error


def correlated(number, memory, seed):
    """Return a series of unit variance, each value of which remembers a share of the one before."""
    noise = np.random.default_rng(seed).normal(size=number)
    values = np.empty(number)
    values[0] = noise[0]
    for i in range(1, number):
        values[i] = memory * values[i - 1] + np.sqrt(1 - memory**2) * noise[i]
    return values


def test_the_error_of_correlated_values_is_that_of_theory():
    """Would catch an error that takes correlated values for independent ones: five times less."""
    memory, number = 0.9, 4096
    exact = np.sqrt((1 + memory) / (1 - memory) / number)
    found = [block_error(correlated(number, memory, seed)) for seed in range(10)]
    assert np.mean(found) == pytest.approx(exact, rel=0.35)
    means = [correlated(number, memory, seed).mean() for seed in range(10)]
    assert np.std(means) == pytest.approx(exact, rel=0.5)


def test_a_series_that_creeps_tells_how_far_it_has_to_go():
    """Would catch a plateau that is called one because it moves slowly: 1 % is still to go."""
    time = np.arange(64)
    for pace in (40.0, 100.0):
        values = 10 - np.exp(-time / pace)
        found = plateau(values, discard=0.0)
        assert abs(found.mean - 10) <= 1.1 * found.error
        assert not found.steady
        assert not found.reached(0.01)
    rested = plateau(10 - np.exp(-(time + 400) / 40.0), discard=0.0)
    assert rested.reached(1e-3)
    assert rested.mean == pytest.approx(10, rel=1e-4)


def test_a_series_that_only_moves_is_no_plateau():
    """Would catch a straight line that passes, as its two halves are both smooth."""
    assert not plateau(100 + 0.1 * np.arange(100.0), discard=0.0).reached(0.02)
    flat = plateau(np.full(40, 3.0))
    assert (flat.mean, flat.error, flat.drift, flat.number) == (3.0, 0.0, 0.0, 20)
    assert flat.reached(1e-9)


def test_noise_seldom_ends_a_drift():
    """Would catch a slurry whose density grows by .3 % a window, said to be known within .5 %.

    It had 14 % to go: of two steps the later one was the smaller by chance, as of one series in
    five.
    """
    growing = [plateau(1000 + np.arange(64) / 20 + 0.3 * correlated(64, 0.5, seed), discard=0.0)
               for seed in range(200)]  # fmt: skip
    assert not any(found.steady for found in growing)
    assert np.mean([found.reached(5e-3) for found in growing]) < 0.05


def test_noise_is_no_drift():
    """Would catch a drift test that fails half of all steady series."""
    steady = [plateau(correlated(400, 0.5, seed), discard=0.0).steady for seed in range(40)]
    assert np.mean(steady) > 0.8


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        (np.ones(20), {}, "10 of 20 count, at least 16 must"),
        (np.full(100, np.nan), {}, "finite"),
        (np.ones((40, 2)), {}, "finite numbers, shape"),
        (np.ones(100), {"discard": 1.0}, "plateau.discard = 1"),
    ],
)
def test_what_is_no_series_is_refused(values, options, said):
    """Would catch a mean of three values with an error of nothing."""
    with pytest.raises(InputError, match=said):
        plateau(values, **options)

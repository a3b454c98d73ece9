"""If these fail, lithium leaves the host, or currents that keep it there are not differentiated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from femssb import Charge, Discharge, Simulation, library
from femssb.cell.limiter import MARGIN, limited
from tests.runs import tiny_model


def test_limited_currents_are_differentiated():
    """Catches a Newton method that slows down where lithium is nearly out."""
    rng = np.random.default_rng(3)
    filled = np.concatenate([rng.uniform(0, MARGIN, (40, 2)), 1 - rng.uniform(0, MARGIN, (40, 2))])
    entries, change = rng.normal(size=(80, 2)), 1e-7
    current, slope = limited(filled, entries)
    assert np.array_equal(current[:, 0], -current[:, 1])
    for end in range(2):
        moved = filled + change * np.eye(2)[end]
        other = filled - change * np.eye(2)[end]
        differences = (limited(moved, entries)[0] - limited(other, entries)[0]) / (2 * change)
        np.testing.assert_allclose(slope[:, :, end], differences, atol=1e-5)


def test_nothing_is_limited_far_from_the_bounds():
    """Catches a scheme that has lost its order where lithium is nowhere near empty or full."""
    filled = np.random.default_rng(4).uniform(MARGIN, 1 - MARGIN, (50, 2))
    assert not limited(filled, np.ones((50, 2)))[0].any()


def extremes(rate, time):
    """Return the least and the largest stoichiometry when a nearly full cell is cycled."""
    materials = library.yuan2023.materials()  # a millionfold anisotropy
    full = materials.active.maximum_concentration
    active = replace(materials.active, initial_concentration=0.9999 * full)
    model = tiny_model(materials=replace(materials, active=active), size=1.25e-6, grains=12)
    protocol = [
        Charge(c_rate=rate, until_voltage=4.3, until_duration=time),
        Discharge(c_rate=rate, until_voltage=2.8),
    ]
    solution = Simulation(model, protocol).run(progress=False)
    assert solution.summary["ledger_error"] < 1e-12
    series = solution.series
    least, most = series["Minimum concentration [mol/m3]"], series["Maximum concentration [mol/m3]"]
    return least.min() / full, most.max() / full


def test_lithium_stays_within_bounds():
    """Without limits it was 0.8 % above full, by elements that conduct backwards and by drift."""
    least, most = extremes(20, 4.0)
    assert least >= 0
    assert most <= 0.9999 + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1, 5, 20])
def test_lithium_stays_within_bounds_over_a_cycle(rate):
    """Catches a bound that is kept for a while only."""
    least, most = extremes(rate, 1e4)
    assert least >= 0
    assert most <= 1

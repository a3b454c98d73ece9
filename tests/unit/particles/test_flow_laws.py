"""Flow laws: fits of curves that are known, their intervals, and the closed form beside them."""

from __future__ import annotations

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.particles import fit_carreau, fit_herschel_bulkley, krieger_dougherty

RATES = np.geomspace(10, 1000, 7)
YIELDING = 5 + 2 * RATES**0.6  # [Pa]
THINNING = 0.2 + 2.8 * (1 + (0.05 * RATES) ** 2) ** -0.3  # [Pa s]: index .4


def test_a_made_up_curve_of_herschel_and_bulkley_is_found_again():
    """Would catch a wrong law, and a search that stops before the best."""
    law = fit_herschel_bulkley(RATES, YIELDING)
    assert law.yield_stress == pytest.approx(5, rel=1e-6)
    assert law.consistency == pytest.approx(2, rel=1e-6)
    assert law.index == pytest.approx(0.6, rel=1e-6)
    np.testing.assert_allclose(law.stress(RATES), YIELDING, rtol=1e-7)
    np.testing.assert_allclose(law.viscosity(RATES), YIELDING / RATES, rtol=1e-7)


def test_a_made_up_curve_of_carreau_is_found_again():
    """Would catch a wrong law, and a search that ends in another valley of its two shapes."""
    law = fit_carreau(RATES, THINNING)
    found = law.slow, law.fast, law.time, law.index
    assert found == pytest.approx((3, 0.2, 0.05, 0.4), rel=1e-5)
    np.testing.assert_allclose(law.viscosity(RATES), THINNING, rtol=1e-7)
    np.testing.assert_allclose(law.stress(RATES), THINNING * RATES, rtol=1e-7)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Would catch intervals that are too sure: of 16 noisy curves, 90 % ones miss a few."""
    random, held = np.random.default_rng(1), np.zeros(3)
    for _ in range(16):
        errors = 0.03 * YIELDING
        law = fit_herschel_bulkley(
            RATES, YIELDING + errors * random.normal(size=7), errors, confidence=0.9
        )
        pairs = (
            (law.yield_interval, 5.0),
            (law.consistency_interval, 2.0),
            (law.index_interval, 0.6),
        )
        held += [low <= value <= high for (low, high), value in pairs]
    # At 90 %, 11 of 16 or less have a probability of 2 in 100.
    assert np.all(held >= 12)
    assert held.sum() < 48


def test_a_curve_without_a_plateau_leaves_its_interval_open():
    """Would catch a viscosity at rest that is read off a power law, which holds none."""
    power = 3 * RATES**-0.5
    law = fit_carreau(RATES, power, 0.02 * power)
    assert law.slow_interval[1] == np.inf
    assert law.time_interval[1] == np.inf
    assert law.fast_interval[0] == 0
    assert law.index_interval[0] < 0.5 < law.index_interval[1]


def test_a_newtonian_liquid_has_no_yield_stress():
    """Would catch a yield stress below or above 0 where there is none."""
    stresses = 0.3 * RATES
    law = fit_herschel_bulkley(RATES, stresses, 0.01 * stresses)
    assert law.yield_interval[0] == 0
    assert law.yield_stress < 0.1
    assert law.index_interval[0] < 1 < law.index_interval[1]


def test_krieger_and_dougherty_begin_as_einstein_and_end_jammed():
    """Would catch a wrong exponent: the slope at no solids is 2.5."""
    assert krieger_dougherty(2e-3, 0.0) == pytest.approx(2e-3)
    assert krieger_dougherty(1.0, 1e-6) - 1 == pytest.approx(2.5e-6, rel=1e-4)
    assert krieger_dougherty(1.0, 0.32, densest=0.64) == pytest.approx(2**1.6)
    with pytest.raises(InputError, match=r"solids = 0\.64"):
        krieger_dougherty(1.0, 0.64)


@pytest.mark.parametrize(
    ("fit", "arguments", "said"),
    [
        (fit_herschel_bulkley, (RATES[:3], YIELDING[:3]), "at least 4"),
        (fit_carreau, (RATES[:4], THINNING[:4]), "at least 5"),
        (fit_herschel_bulkley, (RATES, -YIELDING), "above 0"),
        (fit_herschel_bulkley, (RATES, YIELDING, 0 * YIELDING), "errors"),
        (fit_herschel_bulkley, (RATES, YIELDING[:5]), "shapes"),
        (fit_carreau, (np.full(7, 10.0), THINNING), "1 shear rates"),
    ],
)
def test_points_that_are_no_curve_are_refused(fit, arguments, said):
    """Would catch a fit through too few points, or points that mean nothing."""
    with pytest.raises(InputError, match=said):
        fit(*arguments)

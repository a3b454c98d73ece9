"""If these fail, the rate that an electrode is said to bear is wrong.

Numbers: Bielefeld, Weber and Janek, doi:10.1021/acsami.9b22788. Worth reading: Table 1.
"""

import dataclasses

import numpy as np
import pytest

from femssb.electrode.estimates import CompositeCathode, fit_power_law
from femssb.errors import InputError
from femssb.units import cm2, hour, mA, um

LGPS, LSIPSCL = 0.32, 2.5  # [S/m]
NCM811 = {"specific_capacity": 196 * hour, "density": 4760.0}  # 196 mAh/g = 196 Ah/kg


def cathode(**changes):
    """Return the cathode of the binder study, section 3.3: 70:30, 15 % void, LGPS, 100 um."""
    return CompositeCathode(
        **{
            "thickness": 100 * um,
            "active_share": 0.7,
            "electrolyte_share": 0.3,
            "void": 0.15,
            "tortuosity_factor": 4.2,
            "conductivity": LGPS,
            **NCM811,
            **changes,
        }
    )


def test_table_1():
    """Catches a void counted twice or not at all, and a thickness with the wrong power.

    The high-power column is printed with tau^2 = 1.7 but was computed with 1.5: with 1.7 the
    current density of LGPS would be 6.40 mA/cm2, not 7.25.
    """
    layouts = cathode(
        thickness=np.array([300, 140, 100]) * um,
        active_share=np.array([0.8, 0.7, 0.6]),
        electrolyte_share=np.array([0.2, 0.3, 0.4]),
        tortuosity_factor=np.array([10, 4, 1.5]),
        conductivity=np.array([[LGPS], [LSIPSCL]]),
    )
    current = layouts.current_density(0.1) / (mA / cm2)
    # 0.01 and 1.5 are printed with few digits, 1.46 and 11.4 are cut, not rounded
    np.testing.assert_allclose(current, [[0.18, 1.46, 7.25], [1.42, 11.4, 56.7]], rtol=0.01)
    rate = layouts.c_rate(0.1)
    np.testing.assert_allclose(rate, [[0.0095, 0.19, 1.52], [0.074, 1.46, 11.9]], rtol=0.015)


def test_the_binder_cases_of_the_text():
    """Catches a C-rate of the wrong unit: per second, or per charge of the whole volume."""
    binder = cathode(tortuosity_factor=np.array([10, 6.4, 4.2]))
    current = binder.current_density(0.1) / (mA / cm2)
    np.testing.assert_allclose(current, [0.816, 1.275, 1.943], atol=1e-3)
    np.testing.assert_allclose(binder.c_rate(0.1), [0.147, 0.230, 0.350], atol=1e-3)


def test_the_thresholds_of_the_text():
    """Catches a wrong conductivity or thickness scale: 63.75 um and 17.4 mS/cm by equation 17."""
    thin = cathode(thickness=63.75 * um, conductivity=0.5, tortuosity_factor=4)
    assert float(thin.current_density(0.1)) == pytest.approx(5 * mA / cm2)
    fast = cathode(conductivity=1.742, tortuosity_factor=4)
    assert float(fast.c_rate(0.1)) == pytest.approx(2, rel=1e-3)


def test_the_rate_is_the_current_over_the_capacity():
    """Catches equations 16 and 17 that disagree: the void must fall out of the rate."""
    loose, dense = cathode(void=0.3), cathode(void=0.0)
    np.testing.assert_allclose(loose.c_rate(0.2), dense.c_rate(0.2))
    np.testing.assert_allclose(
        loose.c_rate(0.2) * loose.areal_capacity / hour, loose.current_density(0.2)
    )
    # 196 Ah/kg x 4760 kg/m3 x 0.7 x 0.7 x 100 um = 4.57 mAh/cm2
    assert float(loose.areal_capacity) / (mA * hour / cm2) == pytest.approx(4.572, abs=1e-3)


def test_no_path_carries_no_current():
    """Catches a tortuosity factor of a network that does not percolate ending in an error."""
    blocked = cathode(tortuosity_factor=np.inf)
    assert float(blocked.current_density(0.1)) == 0
    np.testing.assert_array_equal(
        cathode(tortuosity_factor=np.array([np.inf, 4.2])).c_rate(0.1) > 0, [False, True]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thickness": 0.0}, "thickness = 0 m"),
        ({"thickness": "100 um"}, "thickness must be a number or an array .* got '100 um'"),
        ({"active_share": 1.2}, "active_share = 1.2"),
        ({"active_share": 0.8}, "= 1.1 is above 1"),
        ({"void": -0.1}, "void = -0.1"),
        ({"tortuosity_factor": np.array([2.0, 0.9])}, "tortuosity_factor = 0.9"),
        ({"tortuosity_factor": np.nan}, "tortuosity_factor = nan"),
        ({"conductivity": -1.0}, "conductivity = -1 S/m"),
        ({"density": np.array([])}, "density must hold numbers"),
        ({"void": np.array([True])}, "void must hold numbers"),
        ({"specific_capacity": np.inf}, "specific_capacity = inf"),
    ],
)
def test_a_bad_cathode_is_named(change, message):
    """Catches a field that is not checked, or a message that does not name it."""
    with pytest.raises(InputError, match=message):
        cathode(**change)


def test_a_bad_voltage_is_named():
    """Catches a negative drop that gives a negative rate."""
    with pytest.raises(InputError, match=r"voltage_drop = -0\.1 V"):
        cathode().c_rate(-0.1)


def test_a_fit_finds_the_power_law_it_is_given():
    """Catches a wrong sign of the exponent, or logarithms to another base."""
    share = np.linspace(0.2, 0.5, 7)
    law = fit_power_law(share, 0.325 * share**-2.018)
    assert law.prefactor == pytest.approx(0.325, rel=1e-12)
    assert law.exponent == pytest.approx(2.018, rel=1e-12)
    np.testing.assert_allclose(law(share), 0.325 * share**-2.018)
    bruggeman = fit_power_law(share, share**-0.5, prefactor=1.0)
    assert bruggeman.exponent == pytest.approx(0.5, rel=1e-12)
    assert bruggeman.prefactor_interval == (1.0, 1.0)


@pytest.mark.parametrize("prefactor", [None, 0.67])
def test_the_intervals_hold_the_truth_as_often_as_they_say(prefactor):
    """Catches too few degrees of freedom taken off, and a normal instead of Student's t."""
    rng, share, held = np.random.default_rng(4), np.linspace(0.2, 0.5, 5), []
    for _ in range(600):
        noisy = 0.67 * share**-1.21 * np.exp(0.05 * rng.normal(size=5))
        law = fit_power_law(share, noisy, prefactor=prefactor, confidence=0.8)
        low, high = law.exponent_interval
        held.append(low < 1.21 < high)
        if prefactor is None:
            low, high = law.prefactor_interval
            held.append(low < 0.67 < high)
    assert np.mean(held) == pytest.approx(0.8, abs=0.05)  # three standard deviations


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.3, 0.4], [2.0, 3.0]), "n above 2"),
        (([0.3, 0.4, 0.5], [2.0, 3.0]), "have shapes"),
        (([0.3, 0.4, 0.5], [2.0, np.inf, 3.0]), "y = inf"),
        (([0.3, 0.4, -0.5], [2.0, 2.0, 3.0]), "x = -0.5"),
        (([0.3, 0.3, 0.3], [2.0, 2.0, 3.0]), "does not vary"),
    ],
)
def test_bad_points_are_named(arguments, message):
    """Catches points that no line goes through."""
    with pytest.raises(InputError, match=message):
        fit_power_law(*arguments)


def test_a_cathode_can_be_varied():
    """Catches arrays that a parameter study by replacement cannot take."""
    thicker = dataclasses.replace(cathode(), thickness=200 * um)
    assert float(cathode().c_rate(0.1) / thicker.c_rate(0.1)) == pytest.approx(4)

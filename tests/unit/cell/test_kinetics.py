"""Kinetics at points of a surface.

If these fail, every voltage that the package reports is wrong while all of its meshes and solvers
are right. The test worth reading: `test_current_agrees_with_a_scalar_root_finder`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from femssb import library
from femssb.cell.kinetics import (
    LARGEST_EXPONENT,
    contact_resistance,
    exchange_current,
    insertion_current,
    metal_current,
)
from femssb.errors import InputError, NotConverged
from femssb.inputs.curves import Curve
from femssb.inputs.interfaces import ContactResistance, InsertionKinetics, MetalKinetics
from femssb.units import FARADAY, GAS_CONSTANT, nm
from tests.verification.rates import taylor_rate

MATERIALS = library.yuan2023.materials()
ACTIVE = MATERIALS.active
KINETICS = MATERIALS.kinetics
TEMPERATURE = 298.15
THERMAL = GAS_CONSTANT * TEMPERATURE / FARADAY


# --- contact resistance -----------------------------------------------------------------------


def test_resistance_grows_e_fold_with_the_decay_length_and_never_overflows():
    """Catches a law in other units of length, and an exponential left to overflow."""
    law = ContactResistance(closed=8e-4, decay_length=10 * nm)
    resistance = contact_resistance(law, np.array([-5 * nm, 0.0, 10 * nm, 55 * nm, 1.0]))
    assert resistance[:2] == pytest.approx(8e-4)
    assert resistance[2] == pytest.approx(8e-4 * math.e)
    assert resistance[3] / resistance[0] == pytest.approx(244.7, rel=1e-3)  # physics: 245 times
    assert np.isfinite(resistance[4])
    assert resistance[4] > 1e9


def test_infinite_decay_length_switches_the_gap_off():
    """Catches a coupling that cannot be turned off."""
    law = ContactResistance(closed=8e-4, decay_length=math.inf)
    assert contact_resistance(law, np.array([0.0, 1e-6])) == pytest.approx(8e-4)


# --- insertion --------------------------------------------------------------------------------


def branch(kinetics, reduced):
    """Return the two exponentials of Butler-Volmer, written out for one number."""
    a = kinetics.anodic_transfer
    return math.exp(a * reduced) - math.exp(-(1 - a) * reduced)


def test_exchange_current_of_the_half_full_host():
    """Catches a factor of two, or k in other units: i0 = F k c_max / 2 there."""
    half = np.array([ACTIVE.maximum_concentration / 2])
    exchange, slope = exchange_current(KINETICS, ACTIVE, half)
    assert exchange == pytest.approx(FARADAY * 4.2e-9 * 49360 / 2)
    assert slope == pytest.approx(0.0, abs=1e-12)


def test_exchange_current_is_smooth_and_positive_beyond_empty_and_full():
    """Catches NaN from an overshoot, and a kink where the root is replaced (Newton would cycle)."""
    full = ACTIVE.maximum_concentration
    margins = np.array([1e-3, 1 - 1e-3]) * full
    points = np.concatenate([np.linspace(-full, 2 * full, 301), margins - 1e-6, margins + 1e-6])
    exchange, slope = exchange_current(KINETICS, ACTIVE, points)
    assert np.all(exchange > 0)
    step = 1e-7 * full
    ahead = exchange_current(KINETICS, ACTIVE, points + step)[0]
    behind = exchange_current(KINETICS, ACTIVE, points - step)[0]
    assert (ahead - behind) / (2 * step) == pytest.approx(slope, rel=2e-4, abs=1e-9)
    assert slope[-4:-2] == pytest.approx(slope[-2:], rel=1e-4)  # both sides of each margin


def test_exchange_current_of_another_form():
    """Catches a factor whose slope is left out, or that grows beyond empty and full."""
    full = ACTIVE.maximum_concentration
    factor = Curve.from_callable(lambda c: 0.2 + (c / full) ** 2, lower=0.0, upper=full)
    kinetics = replace(KINETICS, rate_factor=factor)
    inside = np.array([0.2, 0.5, 0.9]) * full
    plain = exchange_current(KINETICS, ACTIVE, inside)[0]
    exchange, slope = exchange_current(kinetics, ACTIVE, inside)
    assert exchange == pytest.approx(plain * (0.2 + (inside / full) ** 2))
    step = 1e-6 * full
    ends = [exchange_current(kinetics, ACTIVE, inside + by)[0] for by in (step, -step)]
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)
    beyond = np.array([-0.1, 1.2]) * full
    assert exchange_current(kinetics, ACTIVE, beyond)[0] == pytest.approx(
        [0.2, 1.2] * exchange_current(KINETICS, ACTIVE, beyond)[0]
    )
    with pytest.raises(InputError, match=r"rate_factor \(largest\)"):
        replace(
            MATERIALS,
            kinetics=replace(KINETICS, rate_factor=factor.plus(factor, 1e6)),
        )


@pytest.mark.parametrize("transfer", [0.01, 0.3, 0.5, 0.8, 0.99])
def test_current_agrees_with_a_scalar_root_finder(transfer):
    """Catches a Newton start on the wrong side of the root, for any load and overpotential."""
    kinetics = InsertionKinetics(rate_constant=4.2e-9, anodic_transfer=transfer)
    sizes = np.array([1e-9, 1e-3, 0.05, 0.3, 1.0, 5.0, 40.0])
    driving, resistance, concentration = (
        grid.ravel()
        for grid in np.meshgrid(
            np.concatenate([-sizes, sizes]), 10.0 ** np.arange(-14, 15), [50.0, 2e4, 49000.0]
        )
    )
    voltage = ACTIVE.open_circuit_voltage.value(concentration)
    exchange = exchange_current(kinetics, ACTIVE, concentration)[0]
    answer = insertion_current(
        kinetics,
        ACTIVE,
        TEMPERATURE,
        concentration=concentration,
        potential_difference=voltage + driving,
        resistance=resistance,
    )
    checked = 0
    for n in range(len(driving)):
        load = exchange[n] * resistance[n] / THERMAL
        target = driving[n] / THERMAL

        def residual(x, load=load, target=target):
            return x + load * branch(kinetics, x) - target

        if max(transfer * target, -(1 - transfer) * target) > LARGEST_EXPONENT:
            continue  # there the exponential is continued: see the next test
        root = brentq(residual, min(0.0, target), max(0.0, target), xtol=1e-20, maxiter=2000)
        assert answer.overpotential[n] / THERMAL == pytest.approx(root, rel=1e-9, abs=1e-13)
        # the voltage is shared without loss; roundoff is that of the potentials
        assert answer.overpotential[n] + answer.drop[n] == pytest.approx(driving[n], abs=1e-13)
        assert answer.current[n] == pytest.approx(
            exchange[n] * branch(kinetics, root), rel=1e-9, abs=1e-13 * exchange[n]
        )
        checked += 1
    assert checked > 900


@settings(deadline=None, max_examples=300)
@given(
    driving=st.floats(-100, 100),
    logarithm=st.floats(-60, 20),
    transfer=st.floats(1e-6, 1 - 1e-6),
    filling=st.floats(-0.05, 1.05),
)
def test_any_overpotential_gives_a_finite_current_of_the_right_sign(
    driving, logarithm, transfer, filling
):
    """Catches overflow, a stalled Newton, or a negative slope at a wild iterate."""
    kinetics = InsertionKinetics(rate_constant=4.2e-9, anodic_transfer=transfer)
    concentration = np.array([filling * ACTIVE.maximum_concentration])
    voltage = ACTIVE.open_circuit_voltage.value(concentration)
    answer = insertion_current(
        kinetics,
        ACTIVE,
        TEMPERATURE,
        concentration=concentration,
        potential_difference=voltage + driving,
        resistance=np.array([10.0**logarithm]),
    )
    exact = voltage + driving - voltage  # what roundoff leaves of the driving voltage
    assert np.isfinite(answer.current)
    assert answer.current * exact >= 0
    assert answer.d_potential > 0
    assert np.isfinite(answer.d_concentration)
    assert answer.overpotential + answer.drop == pytest.approx(exact, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("transfer", [0.5, 0.3])
@pytest.mark.parametrize("which", ["concentration", "potential"])
def test_derivatives_of_the_current_are_exact(which, transfer):
    """Catches a forgotten term (U', i0', series resistance): Newton would lose its order."""
    kinetics = InsertionKinetics(rate_constant=4.2e-9, anodic_transfer=transfer)
    rng = np.random.default_rng(3)
    concentration = rng.uniform(-500, 50500, 400)
    driving = rng.normal(0, 0.05, 400)
    difference = ACTIVE.open_circuit_voltage.value(concentration) + driving
    resistance = 8e-4 * np.exp(rng.uniform(-9, 6, 400))

    def law(d_concentration=0.0, d_potential=0.0):
        return insertion_current(
            kinetics,
            ACTIVE,
            TEMPERATURE,
            concentration=concentration + d_concentration,
            potential_difference=difference + d_potential,
            resistance=resistance,
        )

    if which == "concentration":
        slope, function = law().d_concentration, lambda x: law(d_concentration=x).current
        steps = 4.0 / 2.0 ** np.arange(5)  # [mol/m3]
    else:
        slope, function = law().d_potential, lambda x: law(d_potential=x).current
        steps = 1e-4 / 2.0 ** np.arange(5)  # [V]
    assert taylor_rate(function, slope, 0.0, 1.0, steps) == pytest.approx(2.0, abs=0.1)


def test_current_and_slopes_change_with_every_coefficient():
    """Catches a coefficient that is read but never used."""

    def law(kinetics=KINETICS, active=ACTIVE, temperature=TEMPERATURE, resistance=8e-4):
        answer = insertion_current(
            kinetics,
            active,
            temperature,
            concentration=np.array([2e4]),
            potential_difference=np.array([3.95]),
            resistance=np.array([resistance]),
        )
        return np.concatenate([answer.current, answer.d_potential, answer.d_concentration])

    curve = ACTIVE.open_circuit_voltage
    tilted = Curve(
        function=lambda c: curve.function(c) - 1e-6 * c,
        slope=lambda c: curve.slope(c) - 1e-6,
        lower=curve.lower,
        upper=curve.upper,
    )
    base = law()
    for other in (
        law(kinetics=replace(KINETICS, rate_constant=5e-9)),
        law(kinetics=replace(KINETICS, anodic_transfer=0.45)),
        law(active=replace(ACTIVE, maximum_concentration=51000.0)),
        law(active=replace(ACTIVE, open_circuit_voltage=tilted)),
        law(temperature=320.0),
        law(resistance=1e-3),
    ):
        assert np.all(np.abs(other - base) > 1e-4 * np.abs(base))


@pytest.mark.parametrize("guess", [0.0, 50.0, -50.0, 1e9, math.nan, math.inf])
def test_a_current_does_not_depend_on_where_it_is_sought_from(guess):
    """Catches a search that ends where it began, or is lost where a trial step had no number."""
    full = ACTIVE.maximum_concentration
    mesh = full * np.linspace(0.05, 0.95, 40)
    difference = np.linspace(3.2, 4.6, 40)
    fall = full * 2e-3  # for 1 A/m2

    def surface(current, points):
        return mesh[points] - fall * np.tanh(current / 20) * 20, fall * (
            np.tanh(current / 20) ** 2 - 1
        )

    given = {
        "concentration": mesh,
        "potential_difference": difference,
        "resistance": np.full(40, 1e-3),
        "surface": surface,
    }
    first = insertion_current(KINETICS, ACTIVE, TEMPERATURE, **given)
    other = insertion_current(KINETICS, ACTIVE, TEMPERATURE, **given, guess=np.full(40, guess))
    assert np.ptp(first.current) > 1.0
    np.testing.assert_allclose(other.current, first.current, rtol=1e-6, atol=1e-9)
    assert np.isfinite(other.d_potential).all()


def test_limits_of_the_series_resistance():
    """Catches a series resistance on paper only: none, at equilibrium, nothing but resistance."""
    concentration = np.full(3, 2e4)
    voltage = ACTIVE.open_circuit_voltage.value(concentration)
    exchange = exchange_current(KINETICS, ACTIVE, concentration)[0]
    # no resistance: Butler-Volmer itself; a vanishing one: the same
    for resistance in (0.0, 1e-15):
        answer = insertion_current(
            KINETICS,
            ACTIVE,
            TEMPERATURE,
            concentration=concentration,
            potential_difference=voltage + 0.05,
            resistance=np.full(3, resistance),
        )
        assert answer.current == pytest.approx(2 * exchange * np.sinh(0.025 / THERMAL), rel=1e-9)
    # equilibrium (Nernst): no current, and the small-signal resistance RT/(F i0) + R
    resistance = np.array([0.0, 8e-4, 1.0])
    answer = insertion_current(
        KINETICS,
        ACTIVE,
        TEMPERATURE,
        concentration=concentration,
        potential_difference=voltage,
        resistance=resistance,
    )
    assert answer.current == pytest.approx(0.0, abs=1e-12)
    assert 1 / answer.d_potential == pytest.approx(THERMAL / exchange + resistance)
    slope = ACTIVE.open_circuit_voltage.derivative(concentration)
    assert answer.d_concentration == pytest.approx(-slope * answer.d_potential)
    # an open interface: Ohm's law
    answer = insertion_current(
        KINETICS,
        ACTIVE,
        TEMPERATURE,
        concentration=concentration,
        potential_difference=voltage - 0.3,
        resistance=np.full(3, 1e9),
    )
    assert answer.current == pytest.approx(-0.3e-9, rel=1e-9)
    assert answer.drop == pytest.approx(-0.3, rel=1e-9)


def test_film_resistance_and_kinetics_of_the_4c_case():
    """Catches a wrong split of voltage: 4C's gold values, a film that drops 1 V at i = F 1e-5."""
    current = FARADAY * 1e-5
    concentration = np.array([ACTIVE.maximum_concentration / 2])
    rate_constant = 1e-5 * 2 / ACTIVE.maximum_concentration  # makes i0 = current
    answer = insertion_current(
        InsertionKinetics(rate_constant=rate_constant, anodic_transfer=0.5),
        ACTIVE,
        298.0,
        concentration=concentration,
        potential_difference=ACTIVE.open_circuit_voltage.value(concentration) + 1.0247147,
        resistance=np.array([1.0364273109887785]),
    )
    assert answer.current == pytest.approx(current, rel=1e-6)
    assert answer.overpotential == pytest.approx(0.0247147, abs=1e-7)


def test_what_is_not_a_number_raises():
    """Catches a NaN that passes as a converged current."""
    with pytest.raises(NotConverged, match="current"):
        insertion_current(
            KINETICS,
            ACTIVE,
            TEMPERATURE,
            concentration=np.array([2e4]),
            potential_difference=np.array([np.nan]),
            resistance=np.array([0.0]),
        )


def test_a_rank_without_interface_points_gets_empty_arrays():
    """Catches a reduction over nothing on a rank that owns no facet."""
    none = np.empty(0)
    answer = insertion_current(
        KINETICS,
        ACTIVE,
        TEMPERATURE,
        concentration=none,
        potential_difference=none,
        resistance=none,
    )
    assert answer.current.shape == (0,)


# --- lithium metal ----------------------------------------------------------------------------


def test_metal_current_is_anodic_for_a_positive_difference_and_linear_near_zero():
    """Catches a sign: lithium must dissolve when the metal is above the electrolyte."""
    kinetics = MetalKinetics(exchange_current=100.0, anodic_transfer=0.5)
    current, slope = metal_current(kinetics, TEMPERATURE, np.array([-50.0, -1e-7, 0.0, 1e-7, 50.0]))
    assert np.all(np.isfinite(current))
    assert np.all(np.diff(current) > 0)
    assert current[2] == 0.0
    assert slope[1:4] == pytest.approx(100.0 / THERMAL)
    assert current[3] == pytest.approx(1e-7 * 100.0 / THERMAL, rel=1e-6)


def test_metal_slope_is_exact():
    """Catches the transfer coefficients of the two branches swapped."""
    kinetics = MetalKinetics(exchange_current=100.0, anodic_transfer=0.3)
    potential = np.linspace(-0.2, 0.2, 21)
    slope = metal_current(kinetics, TEMPERATURE, potential)[1]
    expected = 100.0 / THERMAL * (
        0.3 * np.exp(0.3 * potential / THERMAL)
    ) + 100.0 / THERMAL * 0.7 * np.exp(-0.7 * potential / THERMAL)
    assert slope == pytest.approx(expected)
    rate = taylor_rate(
        lambda x: metal_current(kinetics, TEMPERATURE, potential + x)[0],
        slope,
        0.0,
        1.0,
        1e-3 / 2.0 ** np.arange(5),
    )
    assert rate == pytest.approx(2.0, abs=0.1)

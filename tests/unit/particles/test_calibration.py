"""Calibration: factors of forces from a master curve, and sizes from trials."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from femssb.errors import EngineError, InputError
from femssb.library import alabdali2023
from femssb.packing import disperse
from femssb.particles import (
    Aim,
    FlowCurve,
    FlowPoint,
    MasterCurve,
    Structure,
    Window,
    calibrate,
    flow_curve,
    tune,
)
from femssb.units import um

RATES = np.geomspace(1e2, 1e7, 26)
CURVE = MasterCurve(rates=RATES, stresses=5e3 + 30 * RATES**0.9, errors=0.02 * 5e3 + 0 * RATES)
POINT = FlowPoint(
    rate=100.0,
    stress=50.0,
    error=2.0,
    strain=2.0,
    start=1.0,
    halves=(49.0, 51.0),
    halves_error=4.0,
    pressure=200.0,
    pressure_error=1.0,
    normal_differences=(1.0, -2.0),
    inertia=0.02,
    mass_scaling=1e3,
    motion=1e-4,
    steps=40_000,
    time_step=1e-7,
    cpu_time=10.0,
)


def true(rates, epsilon, gamma):
    """Return the viscosity of the made-up slurry with other forces [Pa s]."""
    return epsilon * (5e3 + 30 * (rates * gamma / epsilon) ** 0.9) / rates


def test_other_forces_shift_the_curve():
    """Would catch factors in the wrong place: all of the curve is the law, shifted."""
    rates = np.array([10.0, 100.0, 1000.0])
    found, errors = CURVE.viscosity(rates, epsilon=1e-3, gamma=0.3)
    np.testing.assert_allclose(found, true(rates, 1e-3, 0.3), rtol=2e-3)
    assert np.all(errors > 0)


def test_factors_are_found_again():
    """Would catch a search that trades epsilon for gamma."""
    rates = np.array([10.0, 30.0, 100.0, 300.0, 1000.0])
    found = CURVE.shift(rates, true(rates, 2e-3, 0.4))
    assert found.epsilon == pytest.approx(2e-3, rel=0.02)
    assert found.gamma == pytest.approx(0.4, rel=0.02)
    assert found.misfit < 1e-3


def test_a_slurry_is_brought_into_the_window():
    """Would catch a calibration that leaves .3 to .6 Pa s between 50 and 1000 /s."""
    window = Window()
    found = calibrate(CURVE, window)
    rates = np.geomspace(50, 1000, 20)
    assert window.holds(rates, found.viscosity(rates)[0])
    assert window.holds(rates, true(rates, found.epsilon, found.gamma))


def test_a_curve_that_ends_too_early_says_where_points_are_missing():
    """Would catch an extrapolation: at slow rates this curve thins too much for the window."""
    slow = MasterCurve(rates=RATES[:8], stresses=CURVE.stresses[:8], errors=CURVE.errors[:8])
    with pytest.raises(InputError, match="faster rates"):
        calibrate(slow, Window())
    with pytest.raises(InputError, match="on the curve"):
        slow.viscosity([1.0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"strain": 1.9}, "strain = 1.9"),
        ({"start": 0.5}, "start = 0.5"),
        ({"error": 2.6}, "error = 2.6"),
        ({"halves": (40.0, 60.0)}, "halves"),
        ({"stress": -1.0}, "stress"),
    ],
)
def test_points_that_cannot_be_trusted_are_refused(change, said):
    """Would catch a viscosity from a start-up, from noise or from a drift."""
    with pytest.raises(InputError, match=said):
        replace(POINT, **change)


def test_a_flow_curve_always_tells_its_yield_stress():
    """Would catch a yield stress that is left out where there are too few points for a fit."""
    other = replace(POINT, rate=1000.0, stress=80.0, halves=(80.0, 80.0))
    curve = FlowCurve(points=(other, POINT))
    np.testing.assert_allclose(curve.rates, [100, 1000])
    assert curve.yield_stress() == (0, pytest.approx(54))
    assert "yield stress 0 to 54 Pa" in str(curve)
    with pytest.raises(InputError, match="differ"):
        FlowCurve(points=(POINT, POINT))
    with pytest.raises(InputError, match="not sheared"):
        flow_curve(disperse(alabdali2023.formulation(beads=60), seed=1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"forces": "b"}, "by different forces"),
        ({"density [kg/m3]": 1601.0}, "at different densities"),
    ],
)
def test_a_flow_curve_is_that_of_one_slurry(change, said):
    """Would catch points that were measured with other forces, or in another box."""
    start = disperse(alabdali2023.formulation(beads=60), seed=1)
    common = {"forces": "a", "density [kg/m3]": 1600.0}
    stages = [
        common | {"flow": asdict(POINT)},
        common | {"flow": asdict(replace(POINT, rate=300.0))} | change,
    ]
    sheared = replace(start, origin={"stages": stages})
    if said is None:
        np.testing.assert_allclose(flow_curve(sheared).rates, [100, 300])
    else:
        with pytest.raises(InputError, match=said):
            flow_curve(sheared)


def test_parameters_of_a_structure_reach_the_beads():
    """Would catch a trial that measures what it did not change."""
    start = alabdali2023.formulation(beads=250)
    structure = Structure(formulation=start, forces=alabdali2023.H1)
    changed, forces = structure.changed(
        {"enlargement": 1.05, "binder diameter": 6 * um, "median": 2.5 * um}
    )
    for state in (forces.slurry, forces.dried):
        assert [state.beads[name].enlargement for name in ("AM", "SE", "CBD")] == [1.05, 1.05, 1]
        assert state.beads["SE"].contact_enlargement == 1.05
    assert changed.swelling == pytest.approx(2)
    assert changed.components[1].sizes.median == 2.5 * um
    assert changed.ledger()["SE"] > start.ledger()["SE"]
    with pytest.raises(InputError, match="none of its parameters"):
        structure.changed({"colour": 1.0})


def measure(parameters, out):
    """Return two numbers that a pair of parameters determines."""
    a, b = parameters["a"], parameters["b"]
    return {"density": 1000 * (1 + 2 * a - b), "porosity": 0.5 - 0.3 * a**2 + 0.1 * b}


def test_trials_meet_their_aims():
    """Would catch a search that is blind: 25 random trials meet these aims once in 40 times."""
    pytest.importorskip("bayes_opt")
    aims = {"density": Aim(value=1500, error=10), "porosity": Aim(value=0.45, error=0.005)}
    found = tune(measure, {"a": (0, 1), "b": (-1, 1)}, aims, trials=25, progress=False)
    assert found.misfit < 1
    assert found.numbers["density"] == pytest.approx(1500, abs=10)
    assert found.misfit == min(misfit for *_, misfit in found.trials)


def test_a_missing_library_is_named(monkeypatch):
    """Would catch an ImportError instead of words on how to install it."""
    monkeypatch.setitem(__import__("sys").modules, "bayes_opt", None)
    with pytest.raises(EngineError, match="calibration"):
        tune(measure, {"a": (0, 1), "b": (0, 1)}, {"density": Aim(value=1, error=1)})

"""If these fail, a step goes on without lithium, or stops for another reason than it says.

Worth reading: `test_a_charge_by_time_ends_where_lithium_does`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from femssb import (
    Charge,
    Couplings,
    Discharge,
    Hold,
    Materials,
    Model,
    Pressure,
    Rest,
    Simulation,
    Solution,
    library,
)
from femssb.cell import limiter
from femssb.cell.model import State
from femssb.errors import InputError
from femssb.library.yuan2023 import MAXIMUM
from femssb.run.lithium import FAR
from femssb.run.stepping import FixedSteps, Stepping
from femssb.units import GPa, hour, um
from tests.runs import ALONE, CHARGE, DISCHARGE, LOOSE, tiny_model

FAST_CHARGE = Charge(c_rate=2, until_voltage=4.3)


def materials(**active: Any) -> Materials:
    """Return the parameter set of the paper with another active material."""
    baseline = library.yuan2023.materials()
    return replace(baseline, active=replace(baseline.active, **active))


def took(model: Model, *steps: Any, stepping: Stepping | FixedSteps = Stepping()) -> Solution:  # noqa: B008
    return Simulation(model, steps, stepping=stepping).run(progress=False)


def ends(run: Solution) -> list[str]:
    return [step.ended_by for step in run.steps]


def outside(run: Solution) -> float:
    """Return by how much concentrations of a run left [0, maximum], over the maximum."""
    low, high = (run.series[f"{end} concentration [mol/m3]"] for end in ("Minimum", "Maximum"))
    return max(-low.min(), high.max() - MAXIMUM, 0.0) / MAXIMUM


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model(couplings=ALONE)


@pytest.mark.parametrize(
    ("c_rate", "stepping"),
    [(20, Stepping()), (1, FixedSteps(sizes=(1.0, 5.0, 20.0, 60.0)))],
)
def test_a_charge_by_time_ends_where_lithium_does(
    model: Model, c_rate: float, stepping: Stepping | FixedSteps
) -> None:
    """Catches lithium of -9 % at the end of a 1C charge by time, and an end found by chance."""
    charge = Charge(c_rate=c_rate, until_duration=hour / c_rate)
    run = took(model, charge, Discharge(c_rate=1, until_duration=60.0), stepping=stepping)
    assert ends(run) == ["concentration", "duration"]
    lowest = run.series["Minimum concentration [mol/m3]"] / MAXIMUM
    assert -5e-3 < lowest[run.steps[0].end_row] < 0
    assert outside(run) < 0.02  # of the discretisation, inside
    assert "protocol[0], 'Charge" in run.warnings[0]
    assert "because lithium left [0, 49360] mol/m3" in run.warnings[0]
    # It is located: the surface empties by 1/3600 a second at 1C, and faster where it is fast.
    sharper = took(model, charge, stepping=replace(stepping, event=1e-3))
    assert run.steps[0].end_time == pytest.approx(sharper.steps[0].end_time, abs=0.06 / c_rate)


def test_a_discharge_by_time_ends_where_the_host_is_full(model: Model) -> None:
    """Catches lithium of 108 % after a charge and a discharge by time, and a charge not begun."""
    run = took(
        model,
        Charge(c_rate=1, until_duration=3000.0),
        Discharge(c_rate=1, until_duration=3700.0),
        Rest(until_duration=60.0),
        Charge(c_rate=1, until_duration=600.0),
    )
    assert ends(run) == ["duration", "concentration", "duration", "duration"]
    assert 0 < outside(run) < 5e-3
    full = run.series["Lithium [mol]"][run.steps[1].end_row]
    most = model.lithium_initial * MAXIMUM / library.yuan2023.INITIAL
    assert 0.97 * most < full < most


def test_a_cell_that_starts_full_can_only_be_charged() -> None:
    """Catches a discharge that fills a full host, and a charge that is refused because it is."""
    active = library.yuan2023.materials().active
    model = tiny_model(
        couplings=ALONE, materials=materials(initial_concentration=active.maximum_concentration)
    )
    run = took(model, Discharge(c_rate=1, until_duration=60.0), CHARGE)
    assert ends(run) == ["concentration", "voltage"]
    assert run.steps[0].duration < 2.0
    assert outside(run) < 1e-3


def test_a_hold_above_what_the_host_can_give_ends(model: Model) -> None:
    """Catches a hold that waits for a current that never falls, with lithium below zero."""
    run = took(model, FAST_CHARGE, Hold(voltage=4.6, until_c_rate=0.01), DISCHARGE, stepping=LOOSE)
    assert ends(run) == ["voltage", "concentration", "voltage"]
    assert outside(run) < 1e-2


def test_a_cut_off_that_no_curve_has_is_not_refused(model: Model) -> None:
    """Catches public parameter sets refused at their own cut-offs, 4.2 V on a curve up to 4.16 V.

    The voltage passes the end of the curve, by overpotential, by its tangent, or by both.
    """
    curve = library.yuan2023.materials().active.open_circuit_voltage
    narrow = replace(curve, lower=0.15 * MAXIMUM)
    assert float(narrow.value(np.array([narrow.lower]))[0]) < 4.2
    charge = Charge(c_rate=1, until_voltage=4.2)
    run = took(
        tiny_model(couplings=ALONE, materials=materials(open_circuit_voltage=narrow)), charge
    )
    assert ends(run) == ["voltage"]
    assert run.series["Voltage [V]"][-1] == pytest.approx(4.2, abs=1e-3)
    (doubt,) = run.warnings
    assert "Minimum concentration [mol/m3] is" in doubt
    assert "tangent" in doubt
    whole = took(model, Charge(c_rate=1, until_voltage=9.0))
    assert ends(whole) == ["concentration"]


@pytest.mark.parametrize(
    ("volume", "charge"),
    [
        (-1e-4, Charge(c_rate=1, until_duration=200.0)),
        pytest.param(-1e-4, CHARGE, marks=pytest.mark.slow),
        pytest.param(1e-4, CHARGE, marks=pytest.mark.slow),
    ],
)
def test_a_drift_that_outruns_diffusion_is_told(volume: float, charge: Charge) -> None:
    """Catches concentrations of nine times the maximum, and limited ones that come without a word.

    Drift knows no full and no empty host. What holds it back there is not its law, but a choice.
    """
    run = took(tiny_model(materials=materials(drift_volume=volume)), charge)
    assert outside(run) < 1e-9
    assert any("stress drift is held back" in doubt for doubt in run.warnings)


def test_a_strong_drift_inside_the_bounds_is_believed() -> None:
    """Catches a stress at the surface that is off, and carries lithium past the maximum."""
    model = tiny_model(materials=materials(drift_volume=-1e-5))
    run = took(model, FAST_CHARGE, Discharge(c_rate=2, until_voltage=3.0), stepping=LOOSE)
    assert ends(run) == ["voltage", "voltage"]
    assert outside(run) == 0.0
    assert not any("oncentration" in doubt for doubt in run.warnings)


def test_an_expansion_that_is_too_large_is_not_believed() -> None:
    """Catches strains of 100 % and stresses of tens of GPa that come without a word."""
    curve = library.yuan2023.materials().active.expansion
    huge = replace(
        curve,
        function=lambda c: 20 * curve.function(c),
        slope=lambda c: 20 * curve.slope(c),
    )
    with pytest.raises(InputError, match=r"expansion \(largest, along any axis\)"):
        materials(
            expansion=replace(
                curve,
                function=lambda c: 100 * curve.function(c),
                slope=lambda c: 100 * curve.slope(c),
            )
        )
    soft = materials(expansion=huge)
    soft = replace(soft, cohesive=replace(soft.cohesive, stiffness=soft.cohesive.stiffness / 5))
    run = took(tiny_model(materials=soft), FAST_CHARGE, stepping=LOOSE)
    assert outside(run) < FAR + 1e-3
    for doubt in ("volumetric strain [-] is -0.", "99 % von Mises stress [Pa] is ", "penetration"):
        assert any(doubt in sentence for sentence in run.warnings)


def test_a_pressure_of_gigapascals_is_not_believed() -> None:
    """Catches an interface that overlaps by nanometres, and lithium pressed out of its bounds."""
    drifting = materials(drift_volume=5e-6)
    run = took(
        tiny_model(materials=drifting, anode=Pressure(pressure=5 * GPa)),
        Charge(c_rate=1, until_duration=60.0),
    )
    assert any("Maximum penetration [m] is" in sentence for sentence in run.warnings)
    beyond = run.summary["concentration_undershoot"], run.summary["concentration_overshoot"]
    assert max(beyond) == pytest.approx(outside(run), abs=1e-9)
    assert (max(beyond) > 1e-4) == any("shoot [-] is" in sentence for sentence in run.warnings)


@pytest.mark.parametrize("limited", [True, False])
def test_overshoot_of_the_discretisation_is_told_and_ends_nothing(
    limited: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a charge from full that ends at once since a slow grain is 1 % too full.

    Nothing overshoots with limited currents on edges; without them it must still be told.
    """
    if not limited:
        monkeypatch.setattr(
            limiter, "_room", lambda distance, _, *slopes: (np.ones_like(distance), 0 * slopes[0])
        )
    full = materials(initial_concentration=MAXIMUM)
    still = Couplings(expansion=False, stress_drift=False, gap_resistance=False, debonding=False)
    model = tiny_model(materials=full, couplings=still, size=1.5 * um, grains=10)
    run = took(model, Charge(c_rate=20, until_voltage=4.0))
    assert ends(run) == ["voltage"]
    overshoot = run.summary["concentration_overshoot"]
    if limited:
        assert overshoot < 1e-9
        assert run.warnings == ()
        return
    assert 1e-4 < overshoot < 0.05
    assert overshoot == pytest.approx(outside(run), abs=1e-9)
    (doubt,) = run.warnings
    assert f"Concentration overshoot [-] is {overshoot:.4g}" in doubt
    assert "above 0.0001" in doubt
    assert run.summary["concentration_undershoot"] == 0


@pytest.mark.parametrize(
    "step",
    [
        Charge(c_rate=1, until_voltage=2.95),
        Charge(c_rate=1, until_voltage=2.95, until_duration=60.0),
        Discharge(c_rate=0.1, until_voltage=3.2),
        Charge(c_rate=900, until_voltage=4.3),  # by overpotential, 5.5 V
        Hold(voltage=3.2, until_c_rate=500.0),
    ],
)
def test_an_end_that_is_passed_at_the_start_is_told(model: Model, step: Any) -> None:
    """Catches a cut-off far behind, or jumped over by volts, that counts as a normal end."""
    run = took(model, step, Rest(until_duration=10.0))
    assert ends(run) == ["already passed", "duration"]
    first = run.steps[0]
    assert first.end_row - first.start_row == 1
    assert first.duration == pytest.approx(Stepping().event / getattr(step, "c_rate", 1.0))
    assert f"{run.series['Voltage [V]'][1]:.6g} V" in run.warnings[0]
    assert "already passed" in run.warnings[0]


def test_late_in_a_run_an_end_is_still_passed_at_the_start(model: Model) -> None:
    """Catches roundoff of times of hours, and the load before taken for that of the step."""
    slow = Charge(c_rate=0.1, until_voltage=4.0)
    run = took(
        model,
        slow,
        Hold(voltage=4.0, until_c_rate=0.2),  # of C/10, which falls from there
        Rest(until_duration=600.0),
        Hold(voltage=4.1, until_c_rate=0.05),  # no current before
        slow,
        Charge(c_rate=0.01, until_voltage=4.1),  # goes on: its losses are smaller
    )
    assert ends(run) == [
        "voltage", "already passed", "duration", "current", "already passed", "voltage",
    ]  # fmt: skip


def test_a_voltage_that_means_nothing_is_told() -> None:
    """Catches 45 V over a cell of 4 V, by an electrolyte that hardly conducts."""
    baseline = library.yuan2023.materials()
    dead = replace(baseline, ecbd=replace(baseline.ecbd, ionic_conductivity=1e-7))
    model = tiny_model(materials=dead, couplings=ALONE)
    run = took(model, CHARGE, Charge(c_rate=1, until_duration=10.0))
    assert ends(run) == ["already passed", "duration"]
    voltage = run.series["Voltage [V]"].max()
    assert voltage > 40
    assert any(f"Voltage [V] is {voltage:.4g}" in sentence for sentence in run.warnings)


def test_a_resumed_run_ends_where_the_other_did(model: Model, tmp_path: Path) -> None:
    """Catches what a step was held against at its start, lost in a checkpoint."""
    steps = [Charge(c_rate=4, until_duration=900.0), Discharge(c_rate=1, until_duration=30.0)]
    simulation = Simulation(model, steps, stepping=FixedSteps(sizes=(1.0, 5.0, 20.0)))

    class Enough(Exception):
        pass

    def stop(state: State, so_far: Solution) -> None:
        if len(so_far.steps) == 0 and state.time > 400.0:
            raise Enough

    with pytest.raises(Enough):
        simulation.run(tmp_path, progress=False, on_step=[stop])
    resumed = simulation.run(tmp_path, progress=False, resume=True)
    whole = simulation.run(progress=False)
    assert ends(resumed) == ends(whole) == ["concentration", "duration"]
    assert resumed.warnings == whole.warnings
    np.testing.assert_allclose(
        [step.end_time for step in resumed.steps],
        [step.end_time for step in whole.steps],
        atol=0.1,
    )


def test_a_short_rest_after_a_long_time_is_taken(model: Model) -> None:
    """Catches a step of a millisecond that is lost in the roundoff of a year."""
    run = took(model, Rest(until_duration=3e7), Rest(until_duration=1e-3))
    assert ends(run) == ["duration", "duration"]
    assert run.steps[1].duration == pytest.approx(1e-3, rel=1e-4)

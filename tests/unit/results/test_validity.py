"""If these fail, a run that cannot be trusted looks like any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from femssb.results.validity import Bounds, doubts
from femssb.units import GPa, um

BOUNDS = Bounds(
    maximum=49360.0,
    curve=(0.0, 49360.0),
    voltages=(2.8, 4.4),
    modulus=140 * GPa,
    radius=5 * um,
    fracture_energy=3e-10,
)


def found(run, bounds=BOUNDS, steps=None, **columns):
    """Return the doubts about a run with one value of some columns changed, in row 7."""
    series = {name: values.astype(float) for name, values in run.series.items()}
    for name, value in columns.items():
        series[name][7] = value
    return doubts(series, run.steps if steps is None else steps, bounds)


def test_drift_that_is_held_back_is_a_doubt(made_up_run):
    """Catches lithium that a limit keeps in place, and a host that starts full taken for it."""
    run, limited = made_up_run(snapshots=False), replace(BOUNDS, limited=0.01)
    (sentence,) = found(run, limited, **{"Minimum concentration [mol/m3]": 400.0})
    assert "below 493.6: there more than half of a strong stress drift is held back" in sentence
    high = "Maximum concentration [mol/m3]"
    (sentence,) = found(run, limited, **{high: 49000.0})
    assert "above 48866.4: there more than half" in sentence
    full = {name: values.copy() for name, values in run.series.items()}
    full[high][[0, 7]] = 49360.0, 49000.0
    assert doubts(full, run.steps, limited) == ()


def test_a_sound_run_raises_no_doubt(made_up_run):
    """Catches warnings that come with every run, which nobody reads any more."""
    assert found(made_up_run(snapshots=False)) == ()


@pytest.mark.parametrize(
    ("column", "value", "bound"),
    [
        ("Lithium ledger error [-]", 2e-6, "above 1e-06"),
        ("Lithium ledger error [-]", -2e-6, "below -1e-06"),
        ("Lithium ledger error [-]", np.nan, "above 1e-06"),
        ("Interface current error [-]", -2e-6, "below -1e-06"),
        ("Concentration undershoot [-]", 2e-4, "above 0.0001"),
        ("Concentration overshoot [-]", 2e-4, "above 0.0001"),
        ("Voltage [V]", 45.0, "above 5.4"),
        ("Voltage [V]", -4e6, "below 1.8"),
        ("Minimum volumetric strain [-]", -0.11, "below -0.1"),
        ("Mean volumetric strain [-]", 0.11, "above 0.1"),
        ("99 % von Mises stress [Pa]", 15 * GPa, "above 1.4e+10"),
        ("Maximum penetration [m]", 6e-9, "above 5e-09"),
        ("Step error [-]", 1.5, "above 1"),
    ],
)
def test_what_is_out_of_bounds_is_a_doubt(made_up_run, column, value, bound):
    """Catches a quantity that leaves its bound silently, or a sentence without its numbers."""
    run = made_up_run(snapshots=False)
    (sentence,) = found(run, **{column: value})
    time = f"{run.series['Time [s]'][7]:.6g} s"
    assert sentence.startswith(f"{column} is {value:.4g} at {time}, {bound}")


def test_a_curve_that_is_left_is_a_doubt(made_up_run):
    """Catches an open-circuit voltage that nobody measured, far outside its curve."""
    run, narrow = made_up_run(snapshots=False), replace(BOUNDS, curve=(5e3, 47e3))
    low, high = found(run, narrow)
    assert low.startswith("Minimum concentration [mol/m3] is 3000 at 3103 s, below 4950.64")
    assert high.startswith("Maximum concentration [mol/m3] is 4.71e+04 at 0 s, above 47049.4")


def test_a_regularisation_that_governs_is_a_doubt(made_up_run):
    """Catches debonding that is viscosity more than fracture."""
    run = made_up_run(snapshots=False)
    series = {**run.series, "Viscous energy dissipated [J]": np.full(81, 4e-12)}
    (sentence,) = doubts(series, run.steps, BOUNDS)
    assert sentence.startswith("Viscous energy dissipated [J] is 4e-12 at the end, above 3e-12")
    endless = replace(BOUNDS, fracture_energy=np.inf)  # an interface that never fails
    assert doubts(series, run.steps, endless) == ()


def test_an_interface_that_lets_go_by_itself_is_a_doubt(made_up_run):
    """Catches a jump between two states that no equilibrium connects, and its time."""
    run = made_up_run(snapshots=False)
    lost = np.where(np.arange(81) < 40, 1e-13, 5e-12)
    series = {**run.series, "Snap energy lost [J]": lost}
    (sentence,) = doubts(series, run.steps, BOUNDS)
    assert sentence.startswith("Snap energy lost [J] is 5e-12 at the end, above 3e-12")
    assert f"{run.series['Time [s]'][40]:.6g} s (4.9e-12 J)" in sentence
    assert doubts({**series, "Snap energy lost [J]": lost / 2}, run.steps, BOUNDS) == ()


def test_unusual_ends_are_doubts(made_up_run):
    """Catches a step that ended at once, or without lithium, like one that did what it should."""
    run = made_up_run(snapshots=False)
    charge, discharge = run.steps
    steps = replace(charge, ended_by="concentration"), replace(discharge, ended_by="already passed")
    first, second = found(run, steps=steps)
    assert first.startswith("protocol[0], 'Charge 1C until 4.3 V', ended at 3103 s because lithium")
    assert "[0, 49360] mol/m3: concentrations were between 3000 and 7095 mol/m3" in first
    assert second.startswith("protocol[1], 'Discharge 1C until 3 V', ended at 6111 s, as soon as")
    assert "already passed, at 3." in second
    assert second.endswith(" V and 1C.")


def test_an_end_without_lithium_is_told_once(made_up_run):
    """Catches the same fact under two names: what ended the step, and an overshoot."""
    run = made_up_run(snapshots=False)
    series = {**run.series, "Concentration undershoot [-]": np.zeros(81)}
    series["Concentration undershoot [-]"][40] = 2e-3
    steps = (replace(run.steps[0], ended_by="concentration"), run.steps[1])
    assert len(doubts(series, steps, BOUNDS)) == 1
    assert len(doubts(series, run.steps, BOUNDS)) == 1

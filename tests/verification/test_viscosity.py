"""Viscous regularisation of debonding: if this fails, softening either halts or depends on it.

Two bars of length L, 2 L strength / E against the opening at failure, decide: 1 um is stable, 20 um
snaps back (T20).
"""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb.units import MPa, nm, um
from tests.verification.bars import AREA, BRITTLE, ONSET, TOP, YOUNG, bars, softening
from tests.verification.rates import observed_order
from tests.verification.solids import Path

RATE = 1 * nm  # the end moves by this much in a second


def pulled(length, viscosity, *, end, steps, hold=False):
    """Return the path of two bars pulled apart at a constant rate, and then held for long."""
    path = Path(
        bars(length, comm=MPI.COMM_SELF, cells=2), replace(BRITTLE, viscosity=viscosity), TOP
    )
    for moved in np.linspace(0, end, steps + 1)[1:]:
        path.move(moved, time_step=end / steps / RATE)
    if hold:
        path.move(end, time_step=1e9)
    return path


LONG, LONG_END = 20 * um, 60 * nm
# what the interface loses in stiffness must be less than viscosity / time step and the bars give
NEEDED = 100 * MPa / (19 * nm) - YOUNG / (2 * LONG)  # [Pa/m]


def test_a_snap_back_without_viscosity_jumps():
    """T20. Catches a snap-back that is not there, so that the tests below would show nothing.

    Without viscosity the bars let go in one step, and what they free is not dissipated by anything.
    """
    peak = 2 * LONG * 100 * MPa / YOUNG + ONSET
    assert peak > 2 * 20 * nm  # the bars give back twice the opening at failure
    path = pulled(LONG, 0.0, end=LONG_END, steps=60)
    holding = np.array(path.moves) < peak * (1 + 1e-9)
    forces = np.array(path.forces) / AREA
    np.testing.assert_allclose(forces[holding], np.array(path.moves)[holding] / peak * 100 * MPa)
    assert np.abs(forces[~holding]).max() < 1e-6 * 100 * MPa
    assert path.cohesive / AREA == pytest.approx(1.0, rel=1e-9)
    assert path.viscous == 0.0
    assert path.work > 1.5 * path.cohesive


def test_snap_back_gets_through_and_loses_the_fracture_energy():
    """T20. A jump over the softening must dissipate G_c x area, and say what viscosity took.

    Work is balanced while the interface holds. Then nothing resists the bars any more: what they
    still store is free, and the force must vanish at once.
    """
    before, end = 40 * nm, 47 * nm  # elastic until 41 nm
    sizes, errors, freed = [], [], []
    for steps in (200, 400):
        time_step = (end - before) / steps / RATE
        path = pulled(LONG, 1e16, end=before, steps=1)
        for moved in np.linspace(before, end, steps + 1)[1:]:
            path.move(moved, time_step=time_step)
            missing = path.work - path.stored() - path.cohesive - path.viscous
            if path.spent.max() < 0.5:
                held = abs(missing) / path.work
        sizes.append(time_step)
        errors.append(held)
        freed.append(missing / AREA)
        assert path.damage.min() == path.spent.min() == 1.0
        assert path.cohesive / AREA == pytest.approx(1.0, rel=1e-9)
        assert abs(path.stored()) < 1e-9 * AREA
    assert path.viscous / AREA > 0.7  # the bars stored twice the fracture energy
    assert 0 < min(freed) <= max(freed) < 0.5 * YOUNG / (2 * LONG) * end**2
    assert errors[-1] < 1e-3
    assert observed_order(sizes, errors) > 0.8  # implicit Euler


def test_viscosity_takes_what_the_snap_back_frees():
    """T20. As viscosity falls, it must lose what the bars free and no more."""
    stored_at_peak = 0.5 * 100 * MPa * (2 * LONG * 100 * MPa / YOUNG + ONSET)  # [J/m2]
    excess = []
    for steps in (240, 480):
        viscosity = 3 * NEEDED * LONG_END / steps / RATE
        path = pulled(LONG, viscosity, end=LONG_END, steps=steps, hold=True)
        excess.append(path.work / AREA - stored_at_peak)
        assert max(path.forces) / AREA == pytest.approx(100 * MPa, rel=0.01)
    assert 0 < excess[1] < 0.7 * excess[0]  # falls with the viscosity
    assert excess[1] < 0.1 * stored_at_peak


def test_snap_back_ends_in_the_same_state_whatever_the_viscosity():
    """The final state must not remember the regularisation: opening, force, cohesive energy."""
    steps = 120
    least = 1.2 * NEEDED * LONG_END / steps / RATE
    ends = []
    for factor in (1, 2, 4):
        path = pulled(LONG, factor * least, end=LONG_END, steps=steps, hold=True)
        ends.append(
            [path.jump[:, 0].mean(), path.jump[:, 0].max(), path.cohesive, path.damage.min()]
        )
    expected = [LONG_END, LONG_END, 1.0 * AREA, 1.0]
    np.testing.assert_allclose(ends, np.broadcast_to(expected, (3, 4)), rtol=1e-6)


def test_result_converges_to_the_rate_independent_one():
    """A regularisation that leaves a trace as it goes to zero would change strength or energy."""
    length, end, steps = um, 22 * nm, 22
    moves = np.linspace(0, end, steps + 1)[1:]
    exact = softening(moves, length)
    sizes, errors, peaks, losses = [], [], [], []
    for viscosity in (4e14, 2e14, 1e14):
        path = pulled(length, viscosity, end=end, steps=steps)
        sizes.append(viscosity)
        errors.append(np.abs(np.array(path.forces[1:]) / AREA - exact).mean())
        peaks.append(max(path.forces) / AREA)
        losses.append(path.viscous)
        assert path.cohesive / AREA == pytest.approx(1.0, rel=1e-9)
    assert errors[-1] < 0.01 * 100 * MPa
    assert observed_order(sizes, errors) == pytest.approx(1, abs=0.05)
    assert observed_order(sizes, losses) == pytest.approx(1, abs=0.05)
    without = pulled(length, 0.0, end=end, steps=steps)
    np.testing.assert_allclose(np.array(without.forces[1:]) / AREA, exact, atol=1e-7 * 100 * MPa)
    assert peaks[-1] == pytest.approx(max(without.forces) / AREA, rel=0.01)

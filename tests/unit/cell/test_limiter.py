"""If these fail, lithium leaves the host, or currents that keep it there are not differentiated."""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
import pytest
import scipy.sparse as sp

from femssb import Charge, Discharge, Simulation, library
from femssb.cell.limiter import REACH, LimitedDiffusion, LimitedDrift, _taken_back, limited
from tests.runs import tiny_model


def edges(entries):
    """Return limited diffusion on edges apart, given the entry of each in its matrix (n,)."""
    ends = 2 * np.arange(len(entries))[:, None] + [0, 1]
    rows, columns, values = ends.ravel(), ends[:, ::-1].ravel(), np.repeat(entries, 2)
    sparse = sp.csr_array((values, (rows, columns)))
    places = (index.astype(PETSc.IntType) for index in (sparse.indptr, sparse.indices))
    matrix = PETSc.Mat().createAIJ(sparse.shape, csr=(*places, sparse.data), comm=PETSc.COMM_SELF)
    return LimitedDiffusion(matrix)


def check_slopes(respond, filled):
    """Hold derivatives against differences, and the currents of both ends against each other."""
    change = 1e-8
    current, slope = respond(filled)
    assert np.count_nonzero(current[:, 0]) > len(filled) / 3
    assert np.array_equal(current[:, 0], -current[:, 1])
    for end in range(2):
        step = change * np.eye(2)[end]
        differences = (respond(filled + step)[0] - respond(filled - step)[0]) / (2 * change)
        np.testing.assert_allclose(slope[:, :, end], differences, atol=1e-5 * np.abs(slope).max())


def test_limited_currents_are_differentiated():
    """Catches a Newton method that slows down where lithium is nearly out, or the host full."""
    rng = np.random.default_rng(3)
    near, far = rng.uniform(0, 2e-3, (80, 1)), rng.uniform(0.02, 0.4, (80, 1))
    filled = np.hstack([near, near + far])
    filled[::2] = filled[::2, ::-1]
    filled[40:] = 1 - filled[40:]
    check_slopes(edges(rng.uniform(0.5, 1, 80)).response, filled)

    numbers, factors = np.arange(160), rng.normal(size=160)
    pairs = numbers.reshape(-1, 2)
    drift = LimitedDrift(sp.csr_array((factors, (pairs.ravel(), pairs[:, ::-1].ravel()))), numbers)
    drift.refresh(factors, rng.uniform(-5, 5, 160))
    check_slopes(drift.response, filled)


def test_far_from_the_bounds_nothing_is_taken_back():
    """Catches edges that are left out though they are close, at any distance."""
    rng = np.random.default_rng(4)
    filled = rng.uniform(-0.02, 1.02, (4000, 2))
    within = np.repeat([1e-12, 1e-3, 0.02, 0.3], 1000)
    slopes = rng.normal(size=filled.shape)
    entries = rng.uniform(0.5, 1.0, filled.shape)
    found = limited(filled, entries, within, slopes)
    for one, expected in zip(found, _taken_back(filled, entries, within, slopes), strict=True):
        np.testing.assert_array_equal(one, expected)
    assert np.count_nonzero(found[0]) not in (0, found[0].size)


def test_no_current_leaves_the_empty_or_enters_the_full():
    """Catches a limit that lets a little pass at the bound, or anything beyond it."""
    at_bounds = np.array([[0.0, 0.3], [1.0, 0.4], [-0.1, 0.2], [0.7, 1.1], [0.0, 1.0]])
    entries = np.arange(1.0, 6.0)
    current, _ = edges(entries).response(at_bounds)
    backwards = entries * (at_bounds[:, 1] - at_bounds[:, 0])  # from the first to the second
    np.testing.assert_allclose(current[:, 0], -backwards, rtol=1e-14)


def test_nothing_is_limited_where_jumps_are_small():
    """Catches a scheme that has lost its order close to a bound, and so 71 mV near full."""
    rng = np.random.default_rng(4)
    distance = 10.0 ** rng.uniform(-6, -1, (50, 1))
    filled = distance + np.abs(rng.uniform(0, 0.9 / REACH, (50, 2))) * distance
    filled = np.clip(filled, 0.0, 0.8)
    assert not edges(np.ones(50)).response(filled)[0].any()
    assert not edges(np.ones(50)).response(1 - filled)[0].any()


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
    assert most <= 1


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1, 5, 20])
def test_lithium_stays_within_bounds_over_a_cycle(rate):
    """Catches a bound that is kept for a while only."""
    least, most = extremes(rate, 1e4)
    assert least >= 0
    assert most <= 1

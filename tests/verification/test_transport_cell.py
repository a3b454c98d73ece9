"""Cells that are laminates: their voltage, their current and their Jacobian, in closed form.

If these fail, the voltage of every run is wrong. The one worth reading is
`half_cells.voltage_of`: the whole chain from collector to lithium in a line.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.optimize import brentq

from femssb.cell.model import Couplings
from tests.verification import half_cells
from tests.verification.half_cells import (
    WIDTH,
    at_interface,
    laminate,
    lopsided,
    resistances_of,
    step,
    voltage_of,
)

ELECTROCHEMISTRY = Couplings(
    expansion=False, stress_drift=False, gap_resistance=False, debonding=False
)


def cell(geometry):
    """Return materials and model of a laminate."""
    materials = lopsided()
    if geometry == "side_collector":
        materials = replace(materials, ecbd=replace(materials.ecbd, electronic_conductivity=1e6))
    return materials, laminate(
        getattr(half_cells, geometry)(), materials, couplings=ELECTROCHEMISTRY
    )


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("density", [50.0, -50.0])
@pytest.mark.parametrize("geometry", ["face_collector", "side_collector"])
def test_voltage(geometry, density):
    """Would catch a term of the voltage that is missing, doubled, or of the wrong sign."""
    materials, model = cell(geometry)
    start = model.initial_state()
    state, _ = step(model, start, 0.1, current=density * WIDTH**2)
    expected = voltage_of(
        materials, density, at_interface(model, state), resistances_of(materials, model.data)
    )
    assert state.voltage == pytest.approx(expected, abs=1e-8)
    assert abs(expected - start.voltage) > 0.05


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("geometry", ["face_collector", "side_collector"])
def test_held_voltage(geometry):
    """Would catch a held voltage that is not the cell's, or a current read with the wrong sign."""
    materials, model = cell(geometry)
    start = model.initial_state()
    for shift in (0.08, -0.08):
        state, _ = step(model, start, 0.1, voltage=start.voltage + shift)
        resistances = resistances_of(materials, model.data)
        surface = at_interface(model, state)

        def excess(density, state=state, surface=surface, resistances=resistances):
            return voltage_of(materials, density, surface, resistances) - state.voltage

        density = brentq(excess, -1e3, 1e3, xtol=1e-12)
        assert state.voltage == pytest.approx(start.voltage + shift, abs=1e-12)
        assert state.current == pytest.approx(density * WIDTH**2, rel=1e-8)
        assert state.current * shift > 0

"""Cells that are laminates: their voltage, their current and their Jacobian, in closed form.

If these fail, the voltage of every run is wrong. The one worth reading is `voltage_of`: the whole
chain from collector to lithium in a line.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from femssb.cell.model import Couplings
from femssb.cell.surfaces import INTERFACE
from femssb.units import FARADAY, GAS_CONSTANT
from tests.verification import half_cells
from tests.verification.half_cells import ECBD, ELECTROLYTE, WIDTH, laminate, lopsided, step

ELECTROCHEMISTRY = Couplings(
    expansion=False, stress_drift=False, gap_resistance=False, debonding=False
)


def overpotential(density, exchange, anodic, temperature):
    """Return what drives a current density through Butler-Volmer kinetics [V]."""
    thermal = GAS_CONSTANT * temperature / FARADAY

    def excess(x):
        return np.exp(anodic * x) - np.exp((anodic - 1) * x) - density / exchange

    return thermal * brentq(excess, -50, 50, xtol=1e-15)


def voltage_of(materials, density, surface_concentration, resistances):
    """Return the voltage at which a charging current density [A/m2] flows."""
    active, kinetics, anode = materials.active, materials.kinetics, materials.anode
    c = surface_concentration
    exchange = FARADAY * kinetics.rate_constant * np.sqrt(c * (active.maximum_concentration - c))
    open_circuit = float(active.open_circuit_voltage.value(np.array([c]))[0])
    insertion = overpotential(density, exchange, kinetics.anodic_transfer, materials.temperature)
    lithium = overpotential(
        -density, anode.exchange_current, anode.anodic_transfer, materials.temperature
    )
    resistance = materials.resistance.closed + sum(resistances)
    return open_circuit + insertion - lithium + density * resistance


def resistances_of(materials, data):
    """Return what the layers add [ohm m2]; from the sides electrons arrive almost without loss."""
    ecbd = materials.ecbd
    if "electrolyte" in data.regions:
        return (
            ECBD / ecbd.ionic_conductivity,
            ELECTROLYTE / materials.electrolyte.ionic_conductivity,
        )
    return ECBD / ecbd.ionic_conductivity, ECBD / ecbd.electronic_conductivity


def at_interface(model, state):
    """Return the concentration [mol/m3] at the interface, the same all over it."""
    values = model.electrochemistry.problem.at_points(model.electrochemical(state))[0]
    filled = values[:, 0] + state.layer.sum(axis=1)
    total = model.bodies.sum(model.bodies.points[INTERFACE].weights * filled)
    total /= model.bodies.area(INTERFACE)
    return total * model.materials.active.maximum_concentration


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

"""Where the power goes: if this fails, a loss is booked under another name, or not at all.

Worth reading: `test_each_loss_of_a_laminate`, where a formula gives every term.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from scipy.optimize import brentq

from femssb import Charge, Discharge, Hold, Rest, Simulation
from femssb.results.quantities import LOSSES
from femssb.units import FARADAY, GAS_CONSTANT
from tests.runs import tiny_model
from tests.verification.half_cells import ECBD, WIDTH, face_collector, laminate, lopsided, step

AREA = WIDTH**2
DENSITY = 30.0  # [A/m2]


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("sign", [1, -1], ids=["charge", "discharge"])
def test_each_loss_of_a_laminate(sign):
    """Catches a loss of the wrong sign, at the wrong surface, or counted twice."""
    materials = lopsided()
    model = laminate(face_collector(), materials)
    state, _ = step(model, model.initial_state(), 0.05, current=sign * DENSITY * AREA)
    x = model.electrochemical(state)
    found = asdict(model.currents.powers(x, state.gap, state.layer))

    thermal = GAS_CONSTANT * materials.temperature / FARADAY
    filled = model.electrochemistry.problem.at_points(x)[0][:, 0] + state.layer.sum(axis=1)
    surface = model.bodies.comm.allreduce([*filled])[0] * materials.active.maximum_concentration
    stoichiometry = model.stoichiometry(state)
    nodes = model.electrochemistry
    mean = nodes.charge(stoichiometry) / nodes.charge(np.ones_like(stoichiometry))
    curve = materials.active.open_circuit_voltage.value
    at_rest, at_surface = curve(np.array([mean * materials.active.maximum_concentration, surface]))

    def overpotential(exchange, transfer):
        """Return what drives the current through a reaction [V]."""

        def excess(x):
            return exchange * (np.exp(transfer * x) - np.exp((transfer - 1) * x)) - sign * DENSITY

        return brentq(excess, -100, 100) * thermal

    full = materials.active.maximum_concentration
    exchange = FARADAY * materials.kinetics.rate_constant * np.sqrt(surface * (full - surface))
    anode = overpotential(materials.anode.exchange_current, 1 - materials.anode.anodic_transfer)
    current = sign * DENSITY
    expected = {
        "reversible": current * at_rest,
        "electronic": current**2 * ECBD / materials.ecbd.electronic_conductivity,
        "ionic": current**2 * ECBD / materials.ecbd.ionic_conductivity,
        "activation": current * overpotential(exchange, materials.kinetics.anodic_transfer),
        "contact": current**2 * materials.resistance.closed,
        "concentration": current * (at_surface - at_rest),
        "anode": current * anode,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value * AREA, rel=1e-6), name
    put_in = state.voltage * current * AREA
    assert sum(found.values()) == pytest.approx(put_in, rel=1e-10)


def test_the_ledger_closes_in_every_row():
    """Catches a term that is missing after a change of load, at rest, or in a hold."""
    protocol = [
        Charge(c_rate=2, until_duration=200.0),
        Hold(voltage=3.9, until_duration=10.0),
        Rest(until_duration=10.0),
        Discharge(c_rate=2, until_duration=60.0),
    ]
    series = Simulation(tiny_model(), protocol).run(progress=False).series
    assert np.abs(series["Power ledger error [-]"]).max() < 1e-6
    losses = np.array([series[name] for name in LOSSES])
    put_in = -series["Voltage [V]"] * series["Current [A]"]
    driven = series["Step"] != 2
    driven[0] = False
    closed = losses.sum(axis=0) - series["Reversible power [W]"]
    np.testing.assert_allclose(closed[driven], put_in[driven], rtol=1e-6)
    # All heat, on charge and on discharge, but for lithium that evens out after a change of load.
    assert np.all(losses[:-1, driven] > 0)
    assert list(LOSSES)[-1] == "Concentration loss [W]"

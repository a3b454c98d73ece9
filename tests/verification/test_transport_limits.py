"""Limits that remain when a coupling is switched off, or its coefficient vanishes.

If these fail, a study of one effect measures another. The one worth reading is
`test_no_expansion_is_electrochemistry`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from femssb.cell.model import Couplings
from femssb.cell.regions import VOLTAGE
from femssb.cell.surfaces import INTERFACE
from femssb.units import GPa, mV, nm
from tests.verification.half_cells import (
    WIDTH,
    constant,
    laminate,
    lopsided,
    side_collector,
    step,
)

CURRENT = 30.0 * WIDTH**2  # [A]


@pytest.fixture(scope="module")
def data():
    """A rotated grain, the ecbd and the electrolyte on each other."""
    return side_collector(orientation=Rotation.random(1, random_state=5).as_matrix())


def charged(data, materials, couplings):
    """Return the model and its state after charging for 3 s in two steps."""
    model = laminate(data, materials, couplings=couplings)
    start = model.initial_state()
    first, _ = step(model, start, 1.0, current=CURRENT)
    return model, step(model, first, 2.0, before=start, current=CURRENT)[0]


def kinetics(model, gap):
    """Return the kinetics of the interface at a gap, 10 mV above rest."""
    electrochemistry = model.electrochemistry
    x, voltage = electrochemistry.at_rest()
    electrochemistry.unknowns.write_single(x, VOLTAGE, voltage + 10 * mV)
    return model.currents.insertion(x, gap, electrochemistry.layer.at_rest())


def test_no_drift_volume_is_no_drift(data):
    """Would catch a drift that ignores its coefficient, or a switch that does nothing."""
    materials = lopsided()
    still = replace(materials, active=replace(materials.active, drift_volume=0.0))
    on, drifted = charged(data, materials, Couplings())
    _, off = charged(data, materials, Couplings(stress_drift=False))
    _, zero = charged(data, still, Couplings())

    assert np.abs(off.hydrostatic).max() > 1e6  # there is a stress to drift in
    assert zero.electrochemical == pytest.approx(off.electrochemical, rel=1e-12, abs=1e-12)
    change = on.stoichiometry(drifted) - on.stoichiometry(off)
    assert np.abs(change).max() > 1e-5


def test_closed_resistance_without_gap_coupling(data):
    """Would catch a gap that still raises the resistance after its coupling is switched off."""
    materials = lopsided()
    model = laminate(data, materials, couplings=Couplings(gap_resistance=False))
    gap = np.full(len(model.bodies.points[INTERFACE].points), 20 * nm)
    closed = np.full(gap.size, materials.resistance.closed)
    found = kinetics(model, gap)
    assert found.drop == pytest.approx(found.current * closed, rel=1e-14)

    endless = replace(materials, resistance=replace(materials.resistance, decay_length=np.inf))
    found = kinetics(laminate(data, endless), gap)
    assert found.drop == pytest.approx(found.current * closed, rel=1e-14)
    raised = materials.resistance.closed * np.exp(20 * nm / materials.resistance.decay_length)
    found = kinetics(laminate(data, materials), gap)
    assert found.drop == pytest.approx(found.current * raised, rel=1e-14)


def test_no_expansion_is_electrochemistry(data):
    """Would catch a mechanics that moves, or an electrochemistry that feels it, without strain."""
    materials = lopsided()
    model, off = charged(data, materials, Couplings(expansion=False))
    assert not off.mechanical.any()
    assert not off.jump.any()
    assert not off.hydrostatic.any()
    assert not off.damage.any()

    soft = replace(materials.active.elasticity, young_modulus=20 * GPa)
    rigid = replace(
        materials,
        active=replace(materials.active, expansion=constant(0.0), elasticity=soft),
    )
    _, zero = charged(data, rigid, Couplings())
    assert zero.electrochemical == pytest.approx(off.electrochemical, rel=1e-12, abs=1e-12)
    assert model.bodies.sum(model.bodies.points[INTERFACE].weights) == pytest.approx(
        WIDTH**2, rel=1e-12
    )


def test_isotropic_grain_has_no_axes(data):
    """Would catch an orientation that enters where the material has none."""
    materials = lopsided()
    materials = replace(
        materials,
        active=replace(materials.active, diffusivity=(1e-13,) * 3, expansion_ratio=(1.0, 1.0, 1.0)),
    )
    _, turned = charged(data, materials, Couplings())
    _, straight = charged(replace(data, orientations=np.eye(3)[None]), materials, Couplings())
    scale = np.abs(straight.mechanical).max()
    assert turned.electrochemical == pytest.approx(straight.electrochemical, rel=1e-9, abs=1e-9)
    assert turned.mechanical == pytest.approx(straight.mechanical, rel=1e-8, abs=1e-8 * scale)

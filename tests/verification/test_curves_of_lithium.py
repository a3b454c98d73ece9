"""Diffusivity and stiffness that change with lithium, and drift that feels the whole stress.

The one worth reading is `test_potentials_balance_across_a_grain_boundary`: strain, stiffness,
their derivatives and the rotation of both crystals in one number.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from femssb.cell.model import Couplings
from femssb.errors import InputError
from femssb.inputs.curves import Curve
from femssb.inputs.elasticity import CrystalElasticity
from femssb.units import FARADAY, GAS_CONSTANT, GPa
from tests.verification.crystals import CRYSTAL, turned
from tests.verification.half_cells import (
    ECBD,
    PARTICLE,
    TIGHT,
    WIDTH,
    constant,
    face_collector,
    laminate,
    line,
    lopsided,
    side_collector,
    step,
)
from tests.verification.rates import observed_order
from tests.verification.slabs import GRAIN, Layer, slabs

START = 30000.0  # lithium [mol/m3]
TURN = Rotation.random(2, random_state=5).as_matrix()


def host(**changes):
    """Return materials whose crystals are changed."""
    materials = lopsided()
    return replace(materials, active=replace(materials.active, **changes))


def rising(by):
    """Return a factor that is 1 at the start, and changes by so much to the full host."""
    return Curve(
        function=lambda c: 1 + by * (c - START) / 20000.0,
        slope=lambda c: np.full_like(c, by / 20000.0),
        lower=0.0,
        upper=2e5,
    )


def charged(materials, couplings=Couplings()):  # noqa: B008  (frozen)
    """Return a model of a rotated grain and its state after two steps of a current."""
    model = laminate(side_collector(orientation=TURN[:1]), materials, couplings=couplings)
    start = model.initial_state()
    current = 30.0 * WIDTH**2
    first, _ = step(model, start, 1.0, current=current)
    return model, step(model, first, 2.0, before=start, current=current)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"diffusivity_factor": constant(1.0)},
        {"diffusivity_factor": (constant(1.0), constant(1.0), constant(1.0))},
        {"stiffness_factor": constant(1.0)},
    ],
)
def test_a_factor_of_one_changes_nothing(changes):
    """Catches another scheme, other units or a turned tensor where a property has a curve."""
    model, plain = charged(host())
    _, state = charged(host(**changes))
    filled = model.stoichiometry(plain)
    assert np.ptp(filled) > 1e-3
    np.testing.assert_allclose(model.stoichiometry(state), filled, rtol=0, atol=1e-10)
    assert state.voltage == pytest.approx(plain.voltage, abs=1e-9)
    largest = np.abs(plain.hydrostatic).max()
    np.testing.assert_allclose(state.hydrostatic, plain.hydrostatic, atol=1e-8 * largest)


def manufactured_error(count):
    """Return the rms error of a stoichiometry that a source makes, on so many cells a side.

    Lithium diffuses along each axis by a curve of its own; no current flows.
    """
    diffusivity, rate = np.array([1.0, 0.5, 0.3]) * 1e-12, 2.0
    factors = [rising(by) for by in (0.5, -0.4, 0.6)]
    materials = host(
        diffusivity=tuple(diffusivity),
        diffusivity_factor=tuple(factors),
        open_circuit_voltage=constant(3.8),
        drift_volume=0.0,
    )
    data = face_collector(cells=count, layers=(count, 1))
    model = laminate(data, materials, couplings=Couplings(expansion=False, stress_drift=False))
    problem, full = model.electrochemistry, materials.active.maximum_concentration
    x, _, z = model.bodies.scalars.tabulate_dof_coordinates()[: problem.node_charge.size].T
    k, m = 2 * np.pi / WIDTH, np.pi / PARTICLE
    exact = 0.5 + 0.2 * np.cos(k * x) * np.cos(m * z)
    dx, dz = -0.2 * k * np.sin(k * x) * np.cos(m * z), -0.2 * m * np.cos(k * x) * np.sin(m * z)
    second = -0.2 * np.cos(k * x) * np.cos(m * z)
    into = np.zeros_like(exact)  # divergence of D(y) grad y
    for axis, first, curvature in ((0, dx, second * k**2), (2, dz, second * m**2)):
        value, slope = factors[axis].value_and_derivative(exact * full)
        into += diffusivity[axis] * (slope * full * first**2 + value * curvature)
    vector = model.electrochemical(model.initial_state())
    layer, filled = problem.layer, problem.stoichiometry(vector)
    problem.solve(
        vector,
        rate=rate,
        history=into - rate * exact,
        gap=np.zeros(model.bodies.weights.size),
        layer=layer.deepening(layer.at_rest(), 1 / rate, filled),
        pull=np.zeros(filled.size),
        current=0.0,
        voltage=None,
        tolerance=1e-12,
    )
    wrong = problem.stoichiometry(vector)[: exact.size] - exact
    return np.sqrt(problem.charge(wrong**2) / problem.charge(np.ones_like(wrong)))


def test_order_of_a_diffusivity_that_depends_on_lithium():
    """Catches a diffusivity that is taken at one corner, or along the wrong axis."""
    counts = [6, 12]
    errors = [manufactured_error(count) for count in counts]
    assert observed_order([1 / n for n in counts], errors) == pytest.approx(2.0, abs=0.15)
    assert errors[-1] < 3e-3


@pytest.mark.parametrize("sign", [1, -1])
def test_lithium_stays_within_its_bounds_and_is_conserved(sign):
    """Catches a curve by which lithium gets round what keeps it between empty and full."""
    factor = rising(0.6)
    materials = host(
        initial_concentration=0.985 * lopsided().active.maximum_concentration
        if sign < 0
        else 0.015 * lopsided().active.maximum_concentration,
        stress_free_concentration=START,
        diffusivity=(1e-14, 1e-14, 1e-20),
        diffusivity_factor=(factor, factor, constant(1.0)),
        drift_volume=2e-6,
        open_circuit_voltage=constant(3.8),
    )
    data = slabs(
        [
            Layer(region=GRAIN, thickness=PARTICLE / 2, cells=4),
            Layer(region=GRAIN, thickness=PARTICLE / 2, cells=4),
            Layer(region="ecbd", thickness=ECBD, cells=2),
        ],
        width=WIDTH,
        cells=2,
        orientations=TURN,
    )
    data = replace(data, facets={**data.facets, "collector": data.facets["anode"]})
    model = laminate(data, materials)
    state = model.initial_state()
    current, before = sign * 0.1 * model.one_c, None
    lost = 0.0
    for size in (1.0, 5.0, 20.0):
        after, _ = step(model, state, size, before=before, current=current)
        before, state, lost = None, after, lost + size * current
    filled = model.stoichiometry(state)
    assert np.ptp(filled) > 1e-4
    assert model.bodies.largest(filled) <= 1 + 1e-9
    assert model.bodies.largest(-filled) <= 1e-9
    left = model.electrochemistry.charge(filled)
    assert model.lithium_initial * FARADAY - left == pytest.approx(lost, rel=1e-7)


def pulled(active, turn, concentration):
    """Return what the stress releases in a layer that is free on top and held aside [J/mol].

    The stress along z vanishes, the strains across it do: the rest follows from each layer alone.
    """
    aside, free = [0, 1, 5], [2, 3, 4]  # Voigt 11 22 33 23 13 12
    at = np.array([concentration])
    stiffness = turned(active.elasticity.stiffness_matrix(), turn)
    strain, slope = np.zeros((2, 6))
    for curve, axis in zip(active.expansion_curves, np.eye(3), strict=True):
        tensor = turn @ np.diag(axis) @ turn.T
        voigt = np.array([*np.diag(tensor), *(2 * tensor[[1, 0, 0], [2, 2, 1]])])
        strain += (curve.value(at) - curve.value(np.array([active.stress_free])))[0] * voigt
        slope += curve.derivative(at)[0] * voigt
    elastic = np.zeros(6)
    elastic[aside] = -strain[aside]
    block = stiffness[np.ix_(free, free)]
    elastic[free] = -np.linalg.solve(block, stiffness[np.ix_(free, aside)] @ elastic[aside])
    factor, growth = (part[0] for part in active.stiffening(at))
    stress = stiffness @ elastic
    return factor * stress @ slope - 0.5 * growth * stress @ elastic


@pytest.mark.parametrize("factor", [None, rising(0.6)])
def test_potentials_balance_across_a_grain_boundary(factor):
    """Catches a part of the driving force that is forgotten, counted twice or turned wrongly.

    At rest R T ln c minus what the stress releases is the same in both crystals.
    """
    stiffness = tuple(map(tuple, 0.3 * GPa * CRYSTAL))
    materials = host(
        diffusivity=(1e-12, 2e-12, 3e-12),
        elasticity=CrystalElasticity(stiffness=stiffness),
        stiffness_factor=factor,
        expansion_ratio=(1.0, 1.0, 1.0),
        expansion=tuple(line(slope, START) for slope in (5e-7, 2.5e-7, -7.5e-7)),
        stress_free_concentration=0.8 * START,
        drift_volume=None,
        open_circuit_voltage=constant(3.8),
    )
    data = slabs(
        [
            Layer(region=GRAIN, thickness=PARTICLE, cells=6),
            Layer(region=GRAIN, thickness=PARTICLE, cells=6),
            Layer(region="ecbd", thickness=ECBD, cells=2),
        ],
        width=WIDTH,
        orientations=TURN,
    )
    data = replace(data, facets={**data.facets, "collector": data.facets["anode"]})
    model = laminate(data, materials)
    state = model.initial_state()
    for size in (10.0, 1e3, 1e4):
        state, _ = step(model, state, size, current=0.0, tolerances=replace(TIGHT, exchange=1e-8))
    active = materials.active
    height = model.bodies.scalars.tabulate_dof_coordinates()[:, 2]
    concentration = (
        model.electrochemistry.stoichiometry(model.electrochemical(state))
        * active.maximum_concentration
    )
    below, above = height < 0.01 * PARTICLE, height > 1.99 * PARTICLE
    ends, seen = (
        [model.bodies.largest(np.where(here, values, -np.inf)) for here in (below, above)]
        for values in (concentration, state.pull)
    )
    energy = GAS_CONSTANT * materials.temperature
    released = [pulled(active, turn, c) for turn, c in zip(TURN, ends, strict=True)]
    assert seen == pytest.approx(released, rel=1e-4)
    assert abs(np.diff(released)[0]) > 0.02 * energy
    # to what a jump between two nodes leaves
    assert energy * np.log(ends[1] / ends[0]) == pytest.approx(np.diff(released)[0], rel=1e-2)
    assert model.electrochemistry.charge(model.stoichiometry(state)) == pytest.approx(
        model.lithium_initial * FARADAY, rel=1e-12
    )


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"diffusivity_factor": rising(-2.0)}, r"diffusivity_factor \(smallest\)"),
        ({"diffusivity_factor": constant(1e7)}, "diffusivity_factor"),
        ({"diffusivity_factor": constant(1e5)}, "diffusivity times its factor"),
        ({"stiffness_factor": rising(-2.0)}, r"stiffness_factor \(smallest\)"),
    ],
)
def test_factors_out_of_bounds_are_refused(changes, named):
    """Catches a factor below zero, or a property in the place of its factor."""
    with pytest.raises(InputError, match=named):
        host(**changes)

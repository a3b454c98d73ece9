"""The electrochemical Jacobian against differences of the residual.

If these fail, Newton still converges, only slowly, or not at all once it matters: nobody would see
why. The one worth reading is `test_first_order_is_exact`.
"""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from femssb.cell.surfaces import INTERFACE
from femssb.fem import newton
from femssb.inputs.curves import Curve
from femssb.units import MPa, nm
from tests.verification.half_cells import constant, laminate, lopsided, side_collector
from tests.verification.rates import observed_order


@pytest.fixture(scope="module")
def data():
    """A grain, the ecbd and the electrolyte on each other."""
    return side_collector(orientation=Rotation.random(1, random_state=5).as_matrix())


class Linearised:
    """Residual and Jacobian of a laminate at a crooked state, as the time step sees them."""

    def __init__(self, data, materials, *, gap=5 * nm, rate=0.1, **control):
        self.model = model = laminate(data, materials)
        self.problem = model.electrochemistry.problem
        self.x = x = model.electrochemical(model.initial_state())
        x.axpy(1.0, self.direction(seed=1))
        caught = []

        def catch(problem, linear_solver, x, load, law, **keywords):
            caught.append((load, law, keywords["fixed"]))

        layer = model.electrochemistry.layer
        filled = model.electrochemistry.stoichiometry(x)
        height = model.bodies.scalars.tabulate_dof_coordinates()[:, 2]
        with patch.object(newton, "solve", catch):
            model.electrochemistry.solve(
                x,
                rate=rate,
                history=np.full(model.electrochemistry.node_charge.size, -0.05),
                gap=np.full(len(model.bodies.points[INTERFACE].points), gap),
                layer=layer.deepening(layer.at_rest(), 1 / rate, filled),
                pull=materials.active.drift_volume * 300 * MPa * np.sin(3e6 * height),
                tolerance=1e-9,
                **({"current": 1e-11, "voltage": None} | control),
            )
        ((self.load, self.law, self.fixed),) = caught

    def direction(self, seed):
        """Return random changes: 0.05 of the stoichiometry, 20 mV of the potentials."""
        random = np.random.default_rng(seed)
        vector = self.model.electrochemistry.unknowns.vector()
        vector.array[:] = random.uniform(-0.02, 0.02, vector.local_size)
        vector.array[self.model.electrochemistry.unknowns.owned(0)] *= 2.5
        return vector

    def residual(self, x):
        """Return the residual at x."""
        return self.problem.linearise(x, self.load, self.law).residual

    def jacobian_times(self, direction):
        """Return the product of the matrix that Newton uses with a direction."""
        tangents = [tangent for _, tangent in self.law(self.problem.at_points(self.x))]
        return self.problem.jacobian(tangents, self.fixed).operator @ direction


@pytest.mark.parametrize("filled", [None, 0.6])
def test_first_order_is_exact(data, filled):
    """Would catch a derivative that is missing, scaled, or taken by the wrong unknown.

    With a curve of the diffusivity along each axis, too.
    """
    materials = lopsided()
    if filled is not None:
        full = materials.active.maximum_concentration
        materials = active(
            diffusivity_factor=(RISING, constant(2.0), RISING), initial_concentration=filled * full
        )(materials)
    system = Linearised(data, materials)
    start = system.residual(system.x)
    for seed in (2, 3, 4):
        direction = system.direction(seed)
        linear = system.jacobian_times(direction)
        steps, remainders = [1 / 4, 1 / 8, 1 / 16, 1 / 32], []
        for length in steps:
            moved = system.x.copy()
            moved.axpy(length, direction)
            remainder = system.residual(moved)
            remainder.axpy(-1.0, start)
            remainder.axpy(-length, linear)
            remainders.append(remainder.norm())
        assert observed_order(steps, remainders) == pytest.approx(2.0, abs=0.1)
        assert remainders[-1] > 0


@pytest.mark.parametrize("filled", [0.01, 0.99])
def test_limited_cells_know_their_derivatives(data, filled):
    """Would catch a tangent that forgets what is taken back close to empty and to full."""
    full = lopsided().active.maximum_concentration
    materials = active(
        diffusivity_factor=(RISING, constant(2.0), RISING), initial_concentration=filled * full
    )(lopsided())
    system = Linearised(data, materials)
    seen = system.problem.at_points(system.x)
    rng = np.random.default_rng(5)  # some nodes of a cell at a bound, others far from it
    close = rng.integers(0, 2, seen[-1].shape) == 0
    distance = np.where(
        close, rng.uniform(0, 1e-3, close.shape), rng.uniform(0.02, 0.4, close.shape)
    )
    seen = [*seen[:-1], distance if filled < 0.5 else 1 - distance]
    tangent, small = system.law(seen)[-1][1], 1e-8
    for node in range(4):
        beside = []
        for sign in (1, -1):
            moved = seen[-1].copy()
            moved[:, node] += sign * small
            beside.append(system.law([*seen[:-1], moved])[-1][0])
        slope = (beside[0] - beside[1]) / (2 * small)
        np.testing.assert_allclose(tangent[..., node], slope, atol=1e-6 * np.abs(tangent).max())


def test_held_voltage_keeps_its_row(data):
    """Would catch a held voltage that Newton still moves."""
    system = Linearised(data, lopsided(), current=None, voltage=3.6)
    direction = system.direction(2)
    product = system.jacobian_times(direction)
    assert product.array_r[system.fixed] == direction.array_r[system.fixed]


RISING = Curve(
    function=lambda c: np.exp(c / 20000.0),
    slope=lambda c: np.exp(c / 20000.0) / 20000.0,
    lower=0.0,
    upper=1e5,
)


def active(**changes):
    return lambda materials: replace(materials, active=replace(materials.active, **changes))


def part(name, field):
    """Return the change of one field of one material by a tenth."""

    def change(materials):
        old = getattr(materials, name)
        return replace(materials, **{name: replace(old, **{field: 1.1 * getattr(old, field)})})

    return change


COEFFICIENTS = {
    "diffusivity": active(diffusivity=(1e-13, 3e-13, 2.2e-13)),
    "diffusivity factor": active(diffusivity_factor=RISING),
    "drift volume": part("active", "drift_volume"),
    "maximum concentration": part("active", "maximum_concentration"),
    "open-circuit voltage": active(open_circuit_voltage=constant(3.5)),
    "rate constant": part("kinetics", "rate_constant"),
    "transfer coefficient": part("kinetics", "anodic_transfer"),
    "closed resistance": part("resistance", "closed"),
    "decay length": part("resistance", "decay_length"),
    "ionic conductivity of the ecbd": part("ecbd", "ionic_conductivity"),
    "ionic conductivity of the electrolyte": part("electrolyte", "ionic_conductivity"),
    "electronic conductivity": part("ecbd", "electronic_conductivity"),
    "exchange current of lithium": part("anode", "exchange_current"),
    "transfer coefficient of lithium": part("anode", "anodic_transfer"),
    "temperature": lambda materials: replace(materials, temperature=330.0),
}


@pytest.fixture(scope="module")
def unchanged(data):
    """The product of the Jacobian of the library's materials with a direction."""
    system = Linearised(data, lopsided())
    return system.jacobian_times(system.direction(2))


def changes(system, unchanged):
    """Return whether the lithium, ionic or electronic part of the Jacobian differs."""
    product = system.jacobian_times(system.direction(2))
    parts = [system.model.electrochemistry.unknowns.owned(k) for k in range(3)]
    return any(
        np.linalg.norm((product - unchanged).array_r[part])
        > 1e-6 * np.linalg.norm(unchanged.array_r[part])
        for part in parts
    )


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_each_coefficient_counts(name, data, unchanged):
    """Would catch a coefficient that is read but never reaches the equations."""
    system = Linearised(data, COEFFICIENTS[name](lopsided()))
    assert changes(system, unchanged)


@pytest.mark.parametrize("argument", [{"gap": 8 * nm}, {"rate": 0.2}])
def test_state_counts(argument, data, unchanged):
    """Would catch a gap or a time step that never reaches the equations."""
    system = Linearised(data, lopsided(), **argument)
    assert changes(system, unchanged)

"""A sphere that is emptied at a constant current, with and without the drift by its own stress.

If these fail, the state of charge at which a cut-off comes is wrong although every balance holds.
The one worth reading is `test_stress_drift`: diffusion, expansion and stress in one number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from femssb.cell.coupling import Tolerances
from femssb.cell.model import Couplings, Model
from femssb.cell.regions import LITHIUM
from femssb.cell.surfaces import INTERFACE
from femssb.inputs.elasticity import Elasticity
from femssb.inputs.geometry import HalfCell, Polycrystal
from femssb.inputs.interfaces import CohesiveLaw
from femssb.library import yuan2023
from femssb.meshing import mesh
from femssb.units import FARADAY, GPa, MPa, hour, um
from tests.verification.half_cells import EXACT, constant, line, step
from tests.verification.rates import observed_order

RADIUS = 5 * um
DIFFUSIVITY = 1e-14  # [m2/s]
CURRENT = 0.66375e-9  # [A] 1C of the paper
FLUX = CURRENT / (FARADAY * 4 * np.pi * RADIUS**2)  # [mol/(m2 s)]
SCALE = FLUX * RADIUS / DIFFUSIVITY  # [mol/m3]
ROOTS = np.array([4.493409458, 7.725251837, 10.904121659, 14.066193913, 17.220755272])


@dataclass
class Sphere:
    """One grain alone in a half-cell so conductive and resistive that its current is uniform."""

    size: float
    filled: float = 0.0  # at the start, of the full host; 0 is as in the paper
    volume: float = 0.0  # partial molar volume of lithium, in the strain and in the drift [m3/mol]

    def __post_init__(self):
        """Build the model."""
        library = yuan2023.materials()
        full = library.active.maximum_concentration
        start = self.filled * full or library.active.initial_concentration
        soft = Elasticity(young_modulus=1e6, poisson_ratio=0.3)  # 1e-5 of the grain
        matrix = replace(library.ecbd, ionic_conductivity=1.0, elasticity=soft)
        self.materials = replace(
            library,
            active=replace(
                library.active,
                initial_concentration=start,
                nominal_capacity=library.active.capacity,
                diffusivity=(DIFFUSIVITY,) * 3,
                drift_volume=self.volume,
                open_circuit_voltage=constant(3.8),
                expansion=line(self.volume / 3, start),
                expansion_ratio=(1.0, 1.0, 1.0),
                elasticity=Elasticity(young_modulus=140 * GPa, poisson_ratio=0.3),
            ),
            ecbd=matrix,
            electrolyte=replace(matrix, electronic_conductivity=0.0),
            resistance=replace(library.resistance, closed=100.0),
            cohesive=CohesiveLaw(
                normal_strength=np.inf,
                shear_strength=np.inf,
                normal_fracture_energy=np.inf,
                shear_fracture_energy=np.inf,
                stiffness=1e9,
            ),
        )
        middle = 6 * um
        cell = HalfCell(
            width=12 * um,
            cathode=2 * middle,
            separator=2 * um,
            particles=(Polycrystal(radius=RADIUS, grains=1),),
        )
        coupled = self.volume > 0
        self.model = Model(
            mesh(cell, size=self.size),
            self.materials,
            couplings=Couplings(
                expansion=coupled, stress_drift=coupled, gap_resistance=False, debonding=False
            ),
            linear_solver=EXACT,
        )
        nodes = self.model.bodies.scalars.tabulate_dof_coordinates()
        self.radii = np.linalg.norm(nodes - [0, 0, middle], axis=1)[
            : self.model.electrochemistry.node_charge.size
        ]

    def states(self, times, steps, current=CURRENT):
        """Yield the states at given multiples of the last time over the number of steps."""
        tolerances = Tolerances(current=1e-10, force=1e-8, exchange=1e-6)
        before, state = None, self.model.initial_state()
        for k in range(1, steps + 1):
            after, _ = step(
                self.model,
                state,
                times[-1] / steps,
                before=before,
                tolerances=tolerances,
                current=current,
            )
            before, state = state, after
            if any(abs(k * times[-1] / steps - time) < 1e-6 * time for time in times):
                yield state

    def concentration(self, state):
        """Return the concentration at the nodes [mol/m3]."""
        return self.model.stoichiometry(state) * self.materials.active.maximum_concentration

    def at_surface(self, values):
        """Return the mean over the surface of values at the nodes."""
        bodies = self.model.bodies
        on = bodies.trace(bodies.scalars, bodies.domains[LITHIUM], INTERFACE, "minus")(values)
        return float(bodies.points[INTERFACE].weights @ on) / bodies.area(INTERFACE)

    def at_centre(self, values):
        """Return the value at the node nearest to the centre."""
        return float(values[np.argmin(self.radii)])


def profile(radii, time):
    """Return by how much the concentration has fallen, over `SCALE`, in a sphere without drift."""
    tau, rho = DIFFUSIVITY * time / RADIUS**2, np.maximum(radii / RADIUS, 1e-9)[:, None]
    waves = np.sin(ROOTS * rho) / (rho * ROOTS**2 * np.sin(ROOTS)) * np.exp(-(ROOTS**2) * tau)
    return 3 * tau + rho[:, 0] ** 2 / 2 - 0.3 - 2 * waves.sum(axis=1)


def test_sphere_at_constant_current():
    """Would catch a flux spread over the wrong area, and a diffusivity off by a grain's rotation.

    Source: Crank, The Mathematics of Diffusion (1975), section 6.3.
    """
    times = [250.0, 500.0]  # D t / R^2 = 0.1 and 0.2
    sizes, errors = [1.6 * um, 0.8 * um], []
    for size in sizes:
        sphere = Sphere(size)
        model, start = sphere.model, sphere.materials.active.initial_concentration
        for time, state in zip(times, sphere.states(times, 20), strict=True):
            fall = (start - sphere.concentration(state)) / SCALE
            error = fall - profile(sphere.radii, time)
            rms = np.sqrt(
                model.electrochemistry.charge(error**2)
                / model.electrochemistry.charge(np.ones_like(error))
            )
            if size == sizes[-1]:  # second order: 0.012 and 0.002 from 1.6 to 0.8 um
                k = times.index(time)
                assert sphere.at_surface(fall) == pytest.approx([0.486762, 0.798253][k], abs=5e-3)
                assert sphere.at_centre(fall) == pytest.approx([0.059878, 0.308037][k], abs=4e-3)
        errors.append(rms)
    assert observed_order(sizes, errors) == pytest.approx(2.0, abs=0.2)


def test_sphere_that_is_filled_to_the_brim():
    """Would catch limits of the concentration that hold lithium back before the host is full.

    The equation is linear: an emptier sphere that takes as much has the same profile.
    """
    rises = []
    for filled in (0.5, 0.889):
        sphere = Sphere(1.2 * um, filled=filled)
        (state,) = sphere.states([250.0], 10, -CURRENT)
        active = sphere.materials.active
        rise = (sphere.concentration(state) - active.initial_concentration) / SCALE
        assert sphere.at_surface(rise) == pytest.approx(0.486762, abs=0.013)
        rises.append(rise)
    highest = sphere.concentration(state).max() / active.maximum_concentration
    assert 0.996 < highest < 0.999
    np.testing.assert_allclose(*rises, atol=5e-5)


DRIFTED = {  # time: surface, centre [mol/m3], stress at the centre [MPa]; 1-D finite volumes
    600.0: (37928.4, 41101.0, -83.96),
    1200.0: (29929.5, 33381.7, -91.24),
    2400.0: (13855.4, 18041.3, -110.16),
}


def drift_errors(size):
    """Return the relative errors of what drift does, (times, 3): surface, centre, central stress.

    In a free sphere drift is an enhanced diffusivity, D (1 + theta c), theta = 2 Omega^2 E /
    (9 R T (1 - nu)). Its effect is the difference to the same mesh without drift.
    """
    with_drift, without = Sphere(size, volume=1e-6), Sphere(size)
    start = with_drift.materials.active.initial_concentration
    states = [sphere.states(list(DRIFTED), 20) for sphere in (with_drift, without)]
    errors = []
    for time, drifted, plain in zip(DRIFTED, *states, strict=True):
        change = with_drift.concentration(drifted) - without.concentration(plain)
        stress = drifted.hydrostatic[: change.size] / MPa
        found = [
            with_drift.at_surface(change),
            with_drift.at_centre(change),
            with_drift.at_centre(stress),
        ]
        surface, centre = start - SCALE * profile(np.array([RADIUS, 0.0]), time)
        gold = DRIFTED[time]
        errors.append(np.divide(found, [gold[0] - surface, gold[1] - centre, gold[2]]) - 1)
        mean = with_drift.model.electrochemistry.charge(with_drift.model.stoichiometry(drifted))
        lost = 1 - mean / (FARADAY * with_drift.model.lithium_initial)
        assert lost * with_drift.model.one_c * hour == pytest.approx(CURRENT * time, rel=1e-8)
    return np.array(errors)


def test_stress_drift():
    """Would catch a drift of the wrong sign, a forgotten factor 3, or R T in the wrong place."""
    errors = np.abs(drift_errors(1.6 * um)).max(axis=0)
    assert np.all(errors < [0.25, 0.08, 0.09])  # 3 elements per radius; second order, see below


@pytest.mark.slow
def test_stress_drift_converges():
    """Would catch a drift that settles on something else as the mesh is refined."""
    sizes = [1.6 * um, 0.8 * um]
    errors = [np.abs(drift_errors(size)).max(axis=0) for size in sizes]
    assert np.all(errors[-1] < [0.05, 0.04, 0.03])
    surface, centre, stress = (
        observed_order(sizes, list(pair)) for pair in zip(*errors, strict=True)
    )
    assert surface > 1.9
    assert centre > 0.9
    assert stress > 1.7

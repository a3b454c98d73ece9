"""The first seconds after a change of load, against a sphere resolved by 1-D finite volumes.

If these fail, the voltage after every change of load is wrong until lithium has diffused as far as
an element is long, and no balance shows it. The one worth reading is `voltage_errors`.
"""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from femssb.cell.boundary_layer import curved
from femssb.cell.limiter import held_back
from femssb.cell.model import Couplings, Model
from femssb.inputs.geometry import HalfCell, Polycrystal
from femssb.inputs.protocol import Charge, Discharge
from femssb.library import yuan2023
from femssb.meshing import mesh
from femssb.run.simulation import Simulation
from femssb.units import FARADAY, GAS_CONSTANT, hour, um

RADIUS = 5 * um
DIFFUSIVITY = 1e-14  # [m2/s]
RESISTANCE = 1e-3  # [ohm m2]


def surface_of_sphere(start, change, times, count=400):
    """Return the stoichiometry at the surface of a sphere whose mean changes at a rate [1/s].

    Finite volumes, 1 nm thick at the surface.
    """
    depth = RADIUS * np.expm1(6 * np.linspace(0, 1, count + 1)) / np.expm1(6)
    faces = (RADIUS - depth)[::-1]
    volume, middle = np.diff(faces**3) / 3, 0.5 * (faces[1:] + faces[:-1])
    conducts = DIFFUSIVITY * faces[1:-1] ** 2 / np.diff(middle)
    matrix = np.diag(conducts, 1) + np.diag(conducts, -1)
    matrix = (matrix - np.diag(matrix.sum(axis=1))) / volume[:, None]
    flux = change * RADIUS / 3
    source = np.zeros(count)
    source[-1] = flux * RADIUS**2 / volume[-1]
    found = solve_ivp(
        lambda _, y: matrix @ y + source,
        (0, times[-1]),
        np.full(count, start),
        method="Radau",
        t_eval=times,
        jac=matrix,
        rtol=1e-7,
        atol=1e-9,
        first_step=1e-5,
    )
    return found.y[-1] + flux / DIFFUSIVITY * (RADIUS - middle[-1])


def sphere(size, start, *, grains, comm=MPI.COMM_SELF):
    """Return a half-cell in which nothing but the particle, its reaction and its contact resist."""
    library = yuan2023.materials()
    conducts = replace(library.ecbd, ionic_conductivity=1e3, electronic_conductivity=1e6)
    active = replace(
        library.active,
        diffusivity=(DIFFUSIVITY,) * 3,
        initial_concentration=start * yuan2023.INITIAL,
        nominal_capacity=yuan2023.INITIAL,
    )
    materials = replace(
        library,
        active=active,
        ecbd=conducts,
        electrolyte=replace(conducts, electronic_conductivity=0.0),
        resistance=replace(library.resistance, closed=RESISTANCE),
    )
    cell = HalfCell(particles=(Polycrystal(radius=RADIUS, grains=grains),))
    return Model(
        mesh(cell, size=size, comm=comm),
        materials,
        couplings=Couplings(
            expansion=False, stress_drift=False, gap_resistance=False, debonding=False
        ),
    )


def voltage_errors(size, start, sign, *, grains=53, until=60.0, comm=MPI.COMM_SELF):
    """Return times [s] and errors of the voltage [V] of a 1C step, and the run.

    The current enters evenly all over the surface.
    """
    model = sphere(size, start, grains=grains, comm=comm)
    materials, active = model.materials, model.materials.active
    load = (Charge if sign > 0 else Discharge)(c_rate=1, until_duration=until)
    run = Simulation(model, [load]).run(progress=False)
    times, voltage = (np.array(run.series[name][1:]) for name in ("Time [s]", "Voltage [V]"))
    full, thermal = active.maximum_concentration, GAS_CONSTANT * materials.temperature / FARADAY
    filled = surface_of_sphere(
        start * yuan2023.INITIAL / full, -sign * yuan2023.INITIAL / full / hour, times
    )
    current = sign * model.one_c
    density, area = current / (4 * np.pi * RADIUS**2), model.bodies.area("anode")
    exchange = FARADAY * materials.kinetics.rate_constant * full * np.sqrt(filled * (1 - filled))
    expected = active.open_circuit_voltage.value(filled * full) + density * RESISTANCE
    expected += 2 * thermal * np.arcsinh(density / 2 / exchange)
    expected += 2 * thermal * np.arcsinh(current / area / 2 / materials.anode.exchange_current)
    return times, voltage - expected, run


def test_the_first_seconds_of_a_charge() -> None:
    """Catches a surface that changes too slowly: without a layer it is 110 mV off.

    Full grains are the worst case: there the open-circuit voltage changes by 10 V per unit. What
    the layer adds is no lithium: the ledgers close as without it.
    """
    times, errors, run = voltage_errors(0.8 * um, 1.0, 1, until=10.0, grains=1)
    assert np.abs(errors[times >= 1.0]).max() < 2e-3
    assert run.summary["ledger_error"] < 1e-9
    assert np.abs(run.series["Power ledger error [-]"]).max() < 1e-6


def test_modes_follow_any_step() -> None:
    """Catches modes that depend on the time steps: an even current, and one along a line."""
    model = sphere(2.2 * um, 1.0, grains=1)
    layer, rng = model.electrochemistry.layer, np.random.default_rng(3)
    filled = np.full(len(model.stoichiometry(model.initial_state())), 0.5)
    modes = 1e-3 * rng.normal(size=layer.amplitudes.shape)  # with room
    current, later = rng.normal(size=(2, len(modes)))
    for before in (None, current):
        once = layer.deepening(modes, 3.0, filled, before).by(later)
        middle = later if before is None else (before + 2 * later) / 3
        half = layer.deepening(modes, 2.0, filled, before).by(middle)
        twice = layer.deepening(half, 1.0, filled, None if before is None else middle).by(later)
        np.testing.assert_allclose(once, twice, atol=1e-12 * np.abs(once).max())


def test_a_load_leaves_nothing_and_never_lifts_the_surface() -> None:
    """Catches modes that stay, and a surface that would rise with the current that empties it."""
    model = sphere(2.2 * um, 1.0, grains=1)
    layer, filled = model.electrochemistry.layer, model.stoichiometry(model.initial_state())
    rest = layer.at_rest()
    steps = np.geomspace(1e-3, 1e5, 17)
    falls = [layer.deepening(rest, step, filled).given.sum(axis=1) for step in steps]
    largest = np.max(falls)
    assert np.min(falls) > -1e-12 * largest
    assert np.abs(falls[-1]).max() < 1e-9 * largest


def test_a_cube_turns_at_its_edges_and_a_sheet_nowhere() -> None:
    """Catches slabs with the curvature of a sphere: half the edge times the angle is exact."""
    corners = np.array(list(np.ndindex(2, 2, 2)), float) - 0.5
    faces, normals = [], []
    for axis in range(3):
        for side in (-0.5, 0.5):
            a, b, c, d = np.flatnonzero(corners[:, axis] == side)  # d is opposite to a
            faces += [(a, b, d), (a, d, c)]
            normals += [np.sign(side) * np.eye(3)[axis]] * 2
    faces, normals = np.array(faces), np.array(normals)
    edge = 3 * um
    bent, area = curved(faces, edge * corners[faces], normals, np.zeros(12, int), 1)
    np.testing.assert_allclose([bent[0], area[0]], [3 * np.pi * edge, 6 * edge**2], rtol=1e-12)
    sheet = curved(faces[:2], edge * corners[faces[:2]], normals[:2], np.zeros(2, int), 1)
    np.testing.assert_allclose(np.ravel(sheet), [0.0, edge**2], rtol=1e-12)


def test_a_ball_of_facets_is_as_curved_as_the_sphere() -> None:
    """Catches edges that grains or ranks count twice, or not at all."""
    layer = sphere(1.4 * um, 1.0, grains=3).electrochemistry.layer
    curvature, depth = layer._shape()
    np.testing.assert_allclose(curvature * RADIUS, 1.0, rtol=0.01)
    np.testing.assert_allclose(depth / RADIUS, 1.0, rtol=0.02)


def test_values_are_held_back_smoothly() -> None:
    """Catches a surface that leaves its room, and a derivative that Newton's method trips over."""
    room = np.array([0.1])
    at = np.linspace(-1.0, 1.0, 401)
    found = np.array([held_back(np.array([value]), room) for value in at])[:, :, 0]
    assert np.abs(found[:, 0]).max() <= room
    near = np.abs(at) <= 0.1 * room
    np.testing.assert_allclose(found[near, 0], at[near], rtol=2e-9)
    aside = 1e-6
    ends = [held_back(at + side, np.full(at.size, room))[0] for side in (-aside, aside)]
    np.testing.assert_allclose(found[:, 1], (ends[1] - ends[0]) / (2 * aside), atol=1e-6)
    assert held_back(np.array([0.3]), np.zeros(1))[0] == pytest.approx(0.0, abs=1e-300)


@pytest.mark.parametrize("volume", [1e-6, -1e-5])
def test_no_layer_against_diffusion_and_in_shallow_particles(volume: float) -> None:
    """Catches lithium out of its bounds: a drift of the wrong sign leaves no thin layer."""
    library = yuan2023.materials()
    materials = replace(library, active=replace(library.active, drift_volume=volume))
    largest = []
    for radius in (5 * um, 2.5 * um):
        cell = HalfCell(particles=(Polycrystal(radius=radius, grains=1),))
        model = Model(mesh(cell, size=1.8 * um, comm=MPI.COMM_SELF), materials)
        largest.append(np.abs(model.electrochemistry.layer.amplitudes).max())
    plain = sphere(1.8 * um, 1.0, grains=1).electrochemistry.layer.amplitudes
    assert (largest[0] > 0.1 * np.abs(plain).max()) == (volume > 0)
    assert largest[1] < 0.05 * np.abs(plain).max()


@pytest.mark.slow
@pytest.mark.parametrize(("size", "most"), [(0.8 * um, 2e-3), (0.5 * um, 1e-3)])
@pytest.mark.parametrize(("start", "sign"), [(1.0, 1), (0.5, 1), (0.5, -1), (0.08, -1)])
def test_voltage_after_a_change_of_load(size: float, most: float, start: float, sign: int) -> None:
    """Catches layers that are right at first and wrong as they grow as thick as an element."""
    times, errors, _ = voltage_errors(size, start, sign, until=400.0)
    assert np.abs(errors[times >= 1.0]).max() < most

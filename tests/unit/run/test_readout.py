"""If these fail, the numbers of a run are not those of its fields."""

from __future__ import annotations

from mpi4py import MPI

import numpy as np
import pytest
from scipy.spatial import cKDTree

from femssb import Charge, HalfCell, Model, Polycrystal, Simulation, Solution, library, mesh
from femssb.results.fields import Snapshot
from femssb.results.quantities import COLUMNS, FIELDS, PARTICLE_COLUMNS, of_particle
from femssb.run.readout import VALUES, Readout, Statistics
from femssb.units import FARADAY, um
from tests.runs import LOOSE, STEPS, TIGHT, read, tiny_model

RADII = (3.0 * um, 2.5 * um)
CENTRES = ((0.0, 0.5 * um, 4.0 * um), (0.0, -0.5 * um, 10.5 * um))


@pytest.fixture(scope="module")
def model() -> Model:
    """A model with all couplings, on this rank alone."""
    return tiny_model()


@pytest.fixture(scope="module")
def run(model: Model) -> Solution:
    """A charge, kept in memory."""
    charge = Charge(c_rate=2, until_voltage=4.3)
    return Simulation(model, [charge], stepping=LOOSE).run(progress=False)


def weights(snapshot: Snapshot) -> np.ndarray:
    corners = snapshot.particle.points[snapshot.particle.cells]
    return np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 6


def areas(snapshot: Snapshot) -> np.ndarray:
    corners = snapshot.interface.points[snapshot.interface.cells]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.linalg.norm(normal, axis=1) / 2


def test_every_quantity_is_read() -> None:
    """Catches a column that is named but never computed, and one that nobody can look up."""
    assert list(VALUES) == list(COLUMNS)


def test_every_field_is_named(run: Solution) -> None:
    """Catches a field whose meaning and unit nobody can look up, and one that does not exist."""
    snapshot = run.snapshots[-1]
    parts = (snapshot.particle, snapshot.matrix, snapshot.interface)
    found = {name for part in parts for name in (*part.point_data, *part.cell_data)}
    assert found == set(FIELDS) - {"Contact current [A/m2]"}  # its particle touches no other


def test_the_fields_hold_the_numbers(run: Solution) -> None:
    """Catches a column read from another state, region or component than its name says."""
    last = {name: values[-1] for name, values in run.series.items()}
    snapshot = run.snapshots[-1]
    cells, points = snapshot.particle.cell_data, snapshot.particle.point_data
    volume, area = weights(snapshot), areas(snapshot)
    concentration, surface = points["Concentration [mol/m3]"], snapshot.interface.cell_data
    stress, strain = cells["Von Mises stress [Pa]"], cells["Volumetric strain [-]"]
    expected = {
        "Maximum von Mises stress [Pa]": stress.max(),
        "Mean von Mises stress [Pa]": np.average(stress, weights=volume),
        "Minimum volumetric strain [-]": strain.min(),
        "Mean volumetric strain [-]": np.average(strain, weights=volume),
        "Minimum concentration [mol/m3]": concentration.min(),
        "Maximum concentration [mol/m3]": concentration.max(),
        "Lithium [mol]": concentration[snapshot.particle.cells].mean(axis=1) @ volume,
        "Mean gap [m]": np.average(surface["Gap [m]"], weights=area),
        "Mean interface voltage drop [V]": np.average(
            surface["Interface voltage drop [V]"], weights=area
        ),
        "Current [A]": -surface["Interface current [A/m2]"] @ area,
    }
    for name, value in expected.items():
        assert last[name] == pytest.approx(value, rel=1e-9), name
    assert last["Maximum gap [m]"] >= surface["Gap [m]"].max()
    assert snapshot.time == last["Time [s]"]


def test_the_potentials_are_counted_from_the_anode(run: Solution) -> None:
    """Catches a collector that is not at the voltage of the cell."""
    matrix = run.snapshots[-1].matrix
    potential = matrix.point_data["Electronic potential [V]"]
    collector = matrix.points[:, 2] < 1e-9
    np.testing.assert_allclose(potential[collector], run.series["Voltage [V]"][-1], rtol=1e-12)
    electrolyte = matrix.cell_data["Region [-]"] == 2
    inside = np.setdiff1d(matrix.cells[electrolyte], matrix.cells[~electrolyte])
    assert np.isnan(potential[inside]).all()
    assert not np.isnan(potential[matrix.cells[~electrolyte]]).any()


def test_stress_and_strain_of_the_fields_agree(run: Solution) -> None:
    """Catches tensors whose shear is the engineering one, or in another order."""
    for part in (run.snapshots[-1].particle, run.snapshots[-1].matrix):
        stress, strain = part.cell_data["Stress [Pa]"], part.cell_data["Strain [-]"]
        deviator = stress.copy()
        deviator[:, :3] -= stress[:, :3].mean(axis=1, keepdims=True)
        mises = np.sqrt(1.5 * ((deviator[:, :3] ** 2).sum(1) + 2 * (deviator[:, 3:] ** 2).sum(1)))
        np.testing.assert_allclose(part.cell_data["Von Mises stress [Pa]"], mises, rtol=1e-9)
        np.testing.assert_allclose(part.cell_data["Volumetric strain [-]"], strain[:, :3].sum(1))
        # Around the particle the displacement has a quadratic part that the corners do not show.
        on_surface = cKDTree(run.snapshots[-1].interface.points).query(part.points)[0] < 1e-12
        linear = ~on_surface[part.cells].any(axis=1) | (part is run.snapshots[-1].particle)
        assert linear.sum() > 20
        moved = part.points + part.point_data["Displacement [m]"]
        before, after = part.points[part.cells], moved[part.cells]
        gradient = np.linalg.solve(
            before[:, 1:] - before[:, :1], after[:, 1:] - after[:, :1]
        ).transpose(0, 2, 1) - np.eye(3)
        tensor = (gradient + gradient.transpose(0, 2, 1)) / 2
        found = tensor[:, (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)]
        strain, found = strain[linear], found[linear]
        np.testing.assert_allclose(strain, found, rtol=0, atol=1e-9 * np.abs(found).max() + 1e-12)


def test_percentiles_are_those_of_numpy() -> None:
    """Catches shares counted in cells where they are of the volume, or from the wrong end."""
    rng = np.random.default_rng(2)
    values, weights = rng.random(400), rng.random(400) + 0.01
    particle = rng.integers(0, 2, 400)
    shares = (0.999, 0.99, 0.5, 0.01)
    found = sample(np.full(400, 2.0), particle).quantiles(values, shares)
    for row, chosen in enumerate((particle >= 0, particle == 0, particle == 1)):
        expected = np.quantile(values[chosen], shares, method="hazen")
        np.testing.assert_allclose(found[row], expected, rtol=1e-12)
    found = sample(weights, particle).quantiles(values, shares)[0]
    step = np.quantile(values, shares, weights=weights, method="inverted_cdf")
    ordered = np.sort(values)
    row = np.searchsorted(ordered, step)
    assert (ordered[np.maximum(row - 1, 0)] <= found).all()
    assert (found <= ordered[np.minimum(row + 1, 399)]).all()


def sample(weights: np.ndarray, particle: np.ndarray) -> Statistics:
    return Statistics(MPI.COMM_SELF, weights, particle, 2)


@pytest.mark.mpi
def test_statistics_do_not_depend_on_who_has_what(comm: MPI.Comm) -> None:
    """Catches a rank without any place of a particle, or without any at all, that spoils it."""
    rng = np.random.default_rng(5)
    values, weights, particle = rng.normal(size=60), rng.random(60), np.arange(60) // 30
    last = comm.rank == comm.size - 1  # has all; with 2 and 3 ranks, others have nothing
    part = slice(0, 60 if last else 0)
    here = Statistics(comm, weights[part], particle[part], 2)
    there = sample(weights, particle)
    np.testing.assert_allclose(here.means(values[part]), there.means(values), rtol=1e-14)
    np.testing.assert_array_equal(here.largest(values[part]), there.largest(values))
    np.testing.assert_array_equal(
        here.quantiles(values[part], [0.1, 0.9]), there.quantiles(values, [0.1, 0.9])
    )
    assert there.means(values)[1] == pytest.approx(np.average(values[:30], weights=weights[:30]))
    assert there.largest(values).tolist() == [values.max(), values[:30].max(), values[30:].max()]


def two_particles(comm: MPI.Comm) -> Solution:
    """Return the first minutes of the charge of a cell with two unequal particles."""
    particles = tuple(
        Polycrystal(radius=radius, grains=2, seed=seed, centre=centre)
        for seed, (radius, centre) in enumerate(zip(RADII, CENTRES, strict=True))
    )
    cell = HalfCell(width=9 * um, cathode=15 * um, separator=3 * um, particles=particles)
    model = Model(mesh(cell, size=2.5 * um, comm=comm), library.yuan2023.materials())
    charge = Charge(c_rate=4, until_duration=20.0)
    run = Simulation(model, [charge], tolerances=TIGHT, stepping=STEPS)
    return run.run(progress=False)


@pytest.mark.mpi(ranks=2)
def test_each_particle_has_its_own_numbers(comm: MPI.Comm) -> None:
    """Catches numbers of another particle, of all of them, or of one rank's part of it."""
    run = two_particles(comm)
    last = {name: float(values[-1]) for name, values in run.series.items()}
    assert comm.allgather(last) == [last] * comm.size
    assert {of_particle(name, k) for name in PARTICLE_COLUMNS for k in (1, 2)} <= set(last)
    for name in ("Maximum gap of particle {} [m]", "Maximum von Mises stress of particle {} [Pa]"):
        both = [last[name.format(k)] for k in (1, 2)]
        assert max(both) == last[name.replace(" of particle {}", "")]
        assert min(both) > 0
    alone = {name: values[-1] for name, values in two_particles(MPI.COMM_SELF).series.items()}
    for name in last:
        if " particle " in name:
            assert last[name] == pytest.approx(alone[name], rel=1e-5), name
    if not run.snapshots:
        return
    snapshot = run.snapshots[-1]
    cells, volume, area = snapshot.particle.cell_data, weights(snapshot), areas(snapshot)
    middles = snapshot.interface.points[snapshot.interface.cells].mean(axis=1)
    distance = np.linalg.norm(middles[:, None] - np.array(CENTRES), axis=2) / RADII
    concentration = snapshot.particle.point_data["Concentration [mol/m3]"]
    for index in (0, 1):
        own, skin = cells["Particle [-]"] == index, distance.argmin(axis=1) == index
        gap = snapshot.interface.cell_data["Gap [m]"][skin]
        stress = cells["Von Mises stress [Pa]"][own]
        strain = cells["Volumetric strain [-]"][own]
        lithium = concentration[snapshot.particle.cells[own]].mean(axis=1) @ volume[own]
        for name, value in {
            "Lithium in particle k [mol]": lithium,
            "Mean gap of particle k [m]": np.average(gap, weights=area[skin]),
            "Maximum von Mises stress of particle k [Pa]": stress.max(),
            "Minimum volumetric strain of particle k [-]": strain.min(),
        }.items():
            assert last[of_particle(name, index + 1)] == pytest.approx(value, rel=1e-9), name
        assert last[of_particle("Maximum gap of particle k [m]", index + 1)] >= gap.max()


def test_percentiles_lie_between_mean_and_extreme(run: Solution) -> None:
    """Catches percentiles of stress and strain that are swapped."""
    series = run.series
    stress = [
        series[f"{name} von Mises stress [Pa]"][-1]
        for name in ("Mean", "99 %", "99.9 %", "Maximum")
    ]
    strain = [
        series[f"{name} volumetric strain [-]"][-1] for name in ("Mean", "1 %", "0.1 %", "Minimum")
    ]
    assert stress == sorted(stress)
    assert strain == sorted(strain, reverse=True)


@pytest.mark.mpi(ranks=2)
def test_the_rest_state_reads_as_rest(comm: MPI.Comm) -> None:
    """Catches numbers at the start that are not zero, not finite, or not the same on every rank."""
    model = tiny_model(comm)
    state = model.initial_state()
    numbers = read(model, state)
    assert comm.allgather(numbers) == [numbers] * comm.size
    assert numbers["Lithium [mol]"] == pytest.approx(model.lithium_initial, rel=1e-13)
    for name in ("Current [A]", "Maximum gap [m]", "Debonded area fraction", "Mean gap [m]"):
        assert numbers[name] == 0.0
    assert abs(numbers["Mean interface voltage drop [V]"]) < 1e-9
    active = model.materials.active
    assert numbers["Maximum concentration [mol/m3]"] == pytest.approx(active.initial_concentration)
    assert model.one_c == pytest.approx(FARADAY * model.lithium_initial / 3600)
    snapshot = Readout(model).snapshot(state, "start")
    assert (snapshot is not None) == (comm.rank == 0)


@pytest.mark.mpi
def test_the_gathered_fields_do_not_depend_on_the_ranks(comm: MPI.Comm) -> None:
    """Catches cells or nodes that are lost, doubled or misnumbered between ranks."""
    found = Readout(model := tiny_model(comm)).snapshot(model.initial_state(), "start")
    alone = Readout(model := tiny_model()).snapshot(model.initial_state(), "start")
    if found is None or alone is None:
        return

    def sorted_middles(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
        middles = np.round(points[cells].mean(axis=1) * 1e12)
        return middles[np.lexsort(middles.T)]

    for part in ("particle", "matrix", "interface"):
        here, there = getattr(found, part), getattr(alone, part)
        assert here.points.shape == there.points.shape
        np.testing.assert_allclose(
            sorted_middles(here.points, here.cells),
            sorted_middles(there.points, there.cells),
            rtol=0,
            atol=1.0,
        )

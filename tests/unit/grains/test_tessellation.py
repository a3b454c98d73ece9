"""Grains: wrong volumes falsify capacity, wrong orientations falsify diffusion and strain.

Worth reading: `test_volumes_are_those_of_counted_points` and `test_orientations_are_uniform`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from femssb.errors import InputError
from femssb.grains.power_diagram import inflated, ordered_items, power_diagram
from femssb.grains.tessellation import SHORTEST_EDGE, random_orientations, tessellate
from femssb.inputs.geometry import Grain, Polycrystal
from femssb.units import um


def sites(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sites in the unit ball and weights of the size of their distances."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points = direction * rng.uniform(size=(count, 1)) ** (1 / 3)
    return points, rng.uniform(0, 0.3 * count ** (-2 / 3), count)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 20, 200])
@pytest.mark.parametrize("seed", range(5))
def test_cells_fill_the_ball(count: int, seed: int) -> None:
    """Would catch a lost facet, a wrong arc or a wrong Euler characteristic of a patch."""
    diagram = power_diagram(*sites(count, seed))
    assert diagram.volumes.sum() == pytest.approx(4 * math.pi / 3, rel=1e-12)
    assert diagram.patches.sum() == pytest.approx(4 * math.pi, rel=1e-12)
    assert (diagram.volumes >= 0).all()


def test_volumes_are_those_of_counted_points() -> None:
    """Would catch cells that are not those of the power distance (a sign of the weights, say)."""
    points, weights = sites(12, 3)
    x = np.random.default_rng(0).uniform(-1, 1, (400_000, 3))
    x = x[(x**2).sum(axis=1) < 1]
    owner = np.argmin((points**2).sum(axis=1) - weights - 2 * x @ points.T, axis=1)
    counted = np.bincount(owner, minlength=12) / len(x) * 4 * math.pi / 3
    # 2e5 points: four standard deviations of the largest share
    assert power_diagram(points, weights).volumes == pytest.approx(counted, abs=0.015)


def test_two_equal_halves_are_exact() -> None:
    """Would catch a wrong area of a full disc or of a cap."""
    diagram = power_diagram(np.array([[0.0, 0.0, 0.3], [0.0, 0.0, -0.3]]), np.zeros(2))
    assert diagram.areas == pytest.approx([math.pi])
    assert diagram.patches == pytest.approx([2 * math.pi, 2 * math.pi])
    lower = power_diagram(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), np.zeros(2))
    assert lower.patches == pytest.approx([math.pi, 3 * math.pi])
    height = 0.5
    assert lower.volumes[0] == pytest.approx(math.pi * height**2 * (3 - height) / 3)


def test_octants_are_exact() -> None:
    """Would catch wrong exterior angles where three facets meet on the sphere."""
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    jitter = 1 + 1e-9 * np.random.default_rng(0).normal(size=(8, 1))  # no four planes in a point
    diagram = power_diagram(0.4 * signs * jitter, np.zeros(8))
    assert diagram.volumes == pytest.approx(np.full(8, math.pi / 6), rel=1e-6)
    assert diagram.patches == pytest.approx(np.full(8, math.pi / 2), rel=1e-6)


def test_site_without_a_cell_has_no_volume() -> None:
    """Would catch a hidden site that is given the whole ball."""
    points = np.array([[0.0, 0.0, 0.1], [0.0, 0.0, 0.0]])
    assert power_diagram(points, np.array([2.0, 0.0])).volumes[1] == 0


def test_loops_are_closed() -> None:
    """Would catch facets whose outline is broken, which Gmsh could not fill."""
    diagram = power_diagram(*sites(60, 4))
    for facet, items in enumerate(ordered_items(diagram)):
        ends = diagram.item_nodes[items]
        assert (diagram.item_facet[items] == facet).all()
        assert (ends[:, 1] == np.roll(ends[:, 0], -1)).all()


def test_inflated_nodes_stay_on_their_planes() -> None:
    """Would catch facets moved out with the sphere: inner grains would grow with the mesh size."""
    points, weights = sites(30, 5)
    diagram = power_diagram(points, weights)
    larger = inflated(diagram, 1.004)
    moved = larger.nodes[diagram.on_sphere]
    assert np.linalg.norm(moved, axis=1) == pytest.approx(np.full(len(moved), 1.004))
    assert (larger.nodes[~diagram.on_sphere] == diagram.nodes[~diagram.on_sphere]).all()
    ends = larger.item_nodes[larger.item_nodes[:, 0] >= 0]
    facets = larger.item_facet[larger.item_nodes[:, 0] >= 0]
    height = np.einsum("ij,ij->i", larger.nodes[ends[:, 0]], larger.normals[facets])
    assert height == pytest.approx(larger.offsets[facets], abs=1e-12)


@pytest.mark.parametrize(("grains", "seed"), [(1, 1), (2, 1), (10, 2), (53, 1), (200, 1)])
def test_grains_fill_the_particle(grains: int, seed: int) -> None:
    """Would catch a tessellation in the wrong units or with grains missing."""
    found = tessellate(Polycrystal(grains=grains, seed=seed))
    assert len(found.volumes) == grains
    assert found.volumes.sum() / um**3 == pytest.approx(4 / 3 * math.pi * 5**3, rel=1e-12)
    assert (found.volumes > 0).all()


def test_same_seed_same_grains() -> None:
    """Would catch hidden random state: a case could not be repeated."""
    first, again = (tessellate(Polycrystal(grains=20, seed=3)) for _ in range(2))
    assert (first.points == again.points).all()
    assert (first.orientations == again.orientations).all()
    other = tessellate(Polycrystal(grains=20, seed=4))
    assert not np.allclose(first.volumes / um**3, other.volumes / um**3, rtol=0.1)
    assert not np.allclose(first.orientations, other.orientations)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_short_edges_are_gone(seed: int) -> None:
    """Would catch a regularisation that gives up, or that reports what it did not do."""
    found = tessellate(Polycrystal(grains=53, seed=seed))
    statistics = found.statistics
    assert statistics.regular
    assert statistics.shortest_edge >= SHORTEST_EDGE * statistics.diameters.min()
    assert statistics.shortest_edge > 10 * statistics.shortest_edge_before
    assert 0 < statistics.largest_move < 0.2 * statistics.diameters.mean()
    assert "53 grains" in statistics.report()


@pytest.mark.parametrize("spread", [0.0, 0.2, 0.4])
def test_size_distribution_is_the_one_asked_for(spread: float) -> None:
    """Would catch a spread that is ignored, and grains that lose their size while regularised."""
    # the spread of 80 numbers is uncertain by 8 %
    statistics = tessellate(Polycrystal(grains=80, seed=2, size_spread=spread)).statistics
    assert np.log(statistics.asked_diameters).std() == pytest.approx(spread, rel=0.25, abs=1e-9)
    assert statistics.diameters == pytest.approx(statistics.asked_diameters, rel=0.3)
    changed = np.log(statistics.diameters / statistics.asked_diameters)
    assert changed.std() < 0.06


def test_orientations_are_uniform() -> None:
    """Would catch angles drawn evenly instead of rotations: poles would be too frequent.

    Uniform on SO(3): every axis is uniform on the sphere, and the angle has the density
    (1 - cos w)/pi (Mackenzie), so its mean is pi/2 + 2/pi.
    """
    rotations = random_orientations(20_000, 7)
    assert rotations @ rotations.transpose(0, 2, 1) == pytest.approx(
        np.broadcast_to(np.eye(3), rotations.shape), abs=1e-12
    )
    assert np.linalg.det(rotations) == pytest.approx(np.ones(20_000))
    error = 4 / math.sqrt(20_000)
    for axis in range(3):
        x = rotations[:, :, axis]
        assert x.mean(axis=0) == pytest.approx(np.zeros(3), abs=error)
        assert (x**2).mean(axis=0) == pytest.approx(np.full(3, 1 / 3), abs=error)
        assert np.quantile(x[:, 2], [0.1, 0.5, 0.9]) == pytest.approx([-0.8, 0.0, 0.8], abs=error)
    angle = Rotation.from_matrix(rotations).magnitude()
    assert angle.mean() == pytest.approx(math.pi / 2 + 2 / math.pi, abs=error)


def test_given_orientations_are_kept_and_others_drawn() -> None:
    """Would catch orientations that end up with another grain, or transposed."""
    turned = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    rows = tuple(tuple(row) for row in turned.tolist())
    grains = (
        Grain(point=(2 * um, 0.0, 0.0), orientation=rows),  # type: ignore[arg-type]
        Grain(point=(-2 * um, 0.0, 0.0)),
    )
    found = tessellate(Polycrystal(grains=grains, seed=5))
    assert found.orientations[0] == pytest.approx(turned)
    # the column is the crystal axis: turning by +30 degrees about z tilts [100] towards +y
    assert found.orientations[0, :, 0] == pytest.approx([math.cos(math.pi / 6), 0.5, 0.0])
    assert found.orientations[1] == pytest.approx(random_orientations(2, 5)[1])


def test_given_grains_outside_are_left_out_and_reported() -> None:
    """Would catch cells of zero volume that no mesh could hold."""
    points = [(2 * um, 0.0, 0.0), (-2 * um, 0.0, 0.0), (0.0, 0.0, 15 * um)]
    found = tessellate(Polycrystal(grains=tuple(Grain(point=point) for point in points)))
    assert found.statistics.left_out == (2,)
    assert len(found.volumes) == len(found.orientations) == 2
    outside = Grain(point=(0.0, 0.0, 15 * um))
    assert tessellate(Polycrystal(grains=(outside,))).statistics.left_out == ()


def test_grid_of_sites_is_regularised() -> None:
    """Would catch a failure where many cells meet in a point, as on every regular grid."""
    line = np.linspace(-4, 4, 4) * um
    points = np.array(np.meshgrid(line, line, line)).reshape(3, -1).T
    grains = tuple(Grain(point=tuple(point)) for point in points.tolist())
    statistics = tessellate(Polycrystal(grains=grains)).statistics
    assert statistics.shortest_edge_before < 1e-3 * um
    assert statistics.shortest_edge > 0.1 * um


def test_retry_keeps_the_grains_but_moves_them() -> None:
    """Would catch a retry that changes nothing, or that draws another particle."""
    particle = Polycrystal(grains=30, seed=6)
    first, second = tessellate(particle), tessellate(particle, attempt=1)
    assert second.statistics.attempt == 1
    assert (first.orientations == second.orientations).all()
    assert (first.statistics.asked_diameters == second.statistics.asked_diameters).all()
    moved = np.linalg.norm(first.points - second.points, axis=1)
    assert 0 < moved.max() < 0.3 * first.statistics.diameters.mean()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("radius", -1.0),
        ("points", np.zeros((3, 2))),
        ("weights", np.full(30, np.nan)),
        ("orientations", np.eye(3)),
    ],
)
def test_tessellation_whose_arrays_do_not_fit_is_refused(field: str, value: object) -> None:
    """Would catch a tessellation made by hand with other numbers of grains in its arrays."""
    with pytest.raises(InputError, match="Tessellation"):
        replace(tessellate(Polycrystal(grains=30)), **{field: value})


def test_tessellate_wants_a_particle() -> None:
    """Would catch a bare AttributeError for a thing that is no particle."""
    with pytest.raises(InputError, match=r"tessellate\.particle"):
        tessellate(30)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"tessellate\.attempt = -1"):
        tessellate(Polycrystal(grains=2), attempt=-1)

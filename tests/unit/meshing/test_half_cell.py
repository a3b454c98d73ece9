"""Meshes: a wrong region, side or volume would falsify every result without any error.

Worth reading: `test_regions_have_their_exact_volumes` and `test_grains_lie_where_their_sites_are`.
"""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import gmsh
import numpy as np
import pytest
import ufl
from dolfinx import fem

from femssb.errors import InputError, MeshError
from femssb.grains.tessellation import tessellate
from femssb.inputs.geometry import Grain, HalfCell, Polycrystal
from femssb.meshing import MeshData, describe, from_arrays, half_cell, mesh
from femssb.meshing.data import distribute, gather
from femssb.meshing.parts import Parts
from femssb.tetrahedra import gamma, volumes
from femssb.units import um

CELL = HalfCell(particles=(Polycrystal(grains=8, seed=2),))
BALL = 4 / 3 * math.pi * 5**3  # [um3]
SIZE = 1.5 * um

CORNERS = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=float)
CUBE = np.array(
    [[0, 1, 3, 7], [0, 1, 5, 7], [0, 2, 3, 7], [0, 2, 6, 7], [0, 4, 5, 7], [0, 4, 6, 7]]
)


def stacked_cubes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points and tetrahedra of cubes of 1 um on top of each other, six in each."""
    up = np.array([0.0, 0.0, 1.0])
    points = np.vstack([CORNERS[:4] + level * up for level in range(count + 1)])
    return points * um, np.vstack([CUBE + 4 * level for level in range(count)])


@pytest.fixture(scope="module")
def data() -> MeshData:
    """A coarse mesh of a half-cell with eight grains."""
    return mesh(CELL, size=SIZE)


def integrate(data: MeshData, kind: str, *tags: int) -> float:
    """Integrate one over cells, exterior or interior facets with some tags, in um."""
    marks = data.cell_tags if kind == "dx" else data.facet_tags
    measure = ufl.Measure(kind, data.mesh, subdomain_data=marks)(tags)
    one = fem.Constant(data.mesh, 1.0)
    form = fem.form((one("+") if kind == "dS" else one) * measure)
    total = data.mesh.comm.allreduce(fem.assemble_scalar(form), op=MPI.SUM)
    return float(total.real / um ** (3 if kind == "dx" else 2))


def everything(data: MeshData) -> Parts:
    """Return the whole mesh on every rank."""
    parts: Parts = data.mesh.comm.bcast(gather(data), root=0)
    return parts


@pytest.mark.mpi
def test_regions_have_their_exact_volumes(data: MeshData) -> None:
    """Would catch the volume lost by flat triangles, and tags lost between ranks."""
    ecbd, electrolyte = data.regions["ecbd"], data.regions["electrolyte"]
    grains = [int(tag) for tag in data.grain_tags]
    assert integrate(data, "dx", *grains) == pytest.approx(BALL, rel=1e-9)
    assert integrate(data, "dx", ecbd) == pytest.approx(15**3 - BALL, rel=1e-9)
    assert integrate(data, "dx", electrolyte) == pytest.approx(15 * 15 * 10, rel=1e-9)


@pytest.mark.mpi
def test_facets_have_their_areas(data: MeshData) -> None:
    """Would catch facets that are missing, doubled, or named after another side."""
    for name, area in {"collector": 225, "anode": 225, "x_min": 375, "y_max": 375}.items():
        assert integrate(data, "ds", data.facets[name]) == pytest.approx(area, rel=1e-9)
    # triangles of side h on the larger sphere: the area errs by (h/R)^2/8, 1.1 %, at most
    interface = integrate(data, "dS", data.facets["interface"])
    assert interface == pytest.approx(4 * math.pi * 25, rel=0.012)
    areas = tessellate(CELL.particles[0]).diagram.areas
    boundary = integrate(data, "dS", data.facets["grain_boundary"])
    assert boundary == pytest.approx(25 * areas.sum(), rel=0.03)


@pytest.mark.mpi
def test_facets_separate_what_they_should(data: MeshData) -> None:
    """Would catch an interface facet whose owner does not hold both its cells."""
    topology = data.mesh.topology
    topology.create_connectivity(2, 3)
    cells = topology.connectivity(2, 3)
    owned = topology.index_map(2).size_local
    ecbd = data.regions["ecbd"]
    for name, expected in (("interface", 1), ("grain_boundary", 2)):
        for facet in data.facet_tags.find(data.facets[name]):
            if facet < owned:
                sides = {int(data.cell_tags.values[cell]) for cell in cells.links(facet)}
                assert len(sides) == 2
                assert len(sides & set(data.grain_tags.tolist())) == expected
                assert (ecbd in sides) == (name == "interface")


@pytest.mark.mpi
def test_tags_cover_ghosts(data: MeshData) -> None:
    """Would catch ghost cells or facets without a tag: forms would miss them on some ranks."""
    cells = data.mesh.topology.index_map(3)
    assert len(data.cell_tags.values) == cells.size_local + cells.num_ghosts
    assert (data.cell_tags.values > 0).all()
    facets = data.mesh.topology.index_map(2)
    if data.mesh.comm.size > 1:
        assert (data.facet_tags.indices >= facets.size_local).any()


@pytest.mark.mpi
def test_mesh_does_not_depend_on_ranks(data: MeshData) -> None:
    """Would catch numbers that depend on how the mesh is shared out: they must agree exactly."""
    alone = mesh(CELL, size=SIZE, comm=MPI.COMM_SELF)
    assert describe(alone) == describe(data)
    one, all_ranks = everything(alone), everything(data)
    assert (one.points == all_ranks.points).all()
    assert (one.cells == all_ranks.cells).all()
    assert (one.triangles == all_ranks.triangles).all()


def test_shuffled_meshes_are_the_same_meshes() -> None:
    """Catches tests on meshes numbered otherwise that are the old ones, or have become others."""
    script = """
import femssb.environment.platform
from femssb import HalfCell, Polycrystal, mesh
from femssb.meshing.data import gather
from tests.renumbering import shuffle_meshes
cell = HalfCell(particles=(Polycrystal(grains=3),))
plain = mesh(cell, size=2e-6)
shuffle_meshes(1)
shuffled = mesh(cell, size=2e-6)
assert (plain.mesh.geometry.x != shuffled.mesh.geometry.x).any()
for name in ("points", "cells", "cell_tags", "triangles", "facet_tags"):
    assert (getattr(gather(plain), name) == getattr(gather(shuffled), name)).all(), name
"""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.mpi
@pytest.mark.parametrize(("low", "high", "axis"), [("x_min", "x_max", 0), ("y_min", "y_max", 1)])
def test_periodic_sides_match_node_by_node(data: MeshData, low: str, high: str, axis: int) -> None:
    """Would catch a side meshed on its own: its unknowns could not be tied to the opposite."""
    parts = everything(data)
    sides = []
    for name in (low, high):
        corners = parts.triangles[parts.facet_tags == parts.facets[name]]
        assert np.ptp(parts.points[corners][:, :, axis]) < 1e-9 * um
        centres = np.delete(parts.points[corners].mean(axis=1), axis, axis=1) / um
        nodes = np.delete(parts.points[np.unique(corners)], axis, axis=1) / um
        sides.append([found[np.lexsort(found.round(6).T)] for found in (nodes, centres)])
    for first, second in zip(*sides, strict=True):
        assert first == pytest.approx(second, abs=1e-9)


@pytest.mark.mpi
def test_grains_lie_where_their_sites_are(data: MeshData) -> None:
    """Would catch grains in another order than their orientations and asked sizes."""
    parts = everything(data)
    found = tessellate(CELL.particles[0])
    assert data.orientations == pytest.approx(found.orientations)
    sites = found.points + np.array(CELL.centre(0))
    middle = parts.points[parts.cells].mean(axis=1)
    for grain, tag in enumerate(data.grain_tags):
        inside = parts.cell_tags == tag
        power = ((middle[inside, None] - sites) ** 2).sum(axis=2) - found.weights
        # flat triangles between two facets and the sphere may stick out a little
        assert (np.argmin(power, axis=1) == grain).mean() > 0.97
        volume = volumes(parts.points, parts.cells[inside]).sum() / um**3
        assert volume == pytest.approx(found.volumes[grain] / um**3, rel=0.03)


@pytest.mark.parametrize("size", [0.8 * um, 1.2 * um])
def test_size_is_fine_at_the_particle_and_coarse_far_away(size: float) -> None:
    """Would catch a size field that is ignored, or sizes taken in another unit."""
    parts = everything(mesh(CELL, size=size, comm=MPI.COMM_SELF))

    def mean_edge(inside: np.ndarray) -> float:
        corners = parts.points[parts.cells[inside]]
        pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
        return float(
            np.mean([np.linalg.norm(corners[:, i] - corners[:, j], axis=1) for i, j in pairs])
        )

    # edges inside tetrahedra are longer than those of the triangles they start from
    assert size < mean_edge(parts.cell_tags >= 100) < 1.3 * size
    assert mean_edge(parts.cell_tags == parts.regions["electrolyte"]) > 2 * size


def test_no_sliver_and_exact_shares_with_several_particles() -> None:
    """Would catch particles mixed up, and poor tetrahedra in the gap between two of them."""
    first = Polycrystal(grains=5, radius=3 * um, centre=(-1.0 * um, 0.5 * um, 3.5 * um))
    second = Polycrystal(grains=3, radius=4 * um, seed=2, centre=(1.5 * um, 0.0, 10.3 * um))
    cell = HalfCell(width=12 * um, cathode=15 * um, particles=(first, second))
    data = mesh(cell, size=1 * um, comm=MPI.COMM_SELF)
    parts = everything(data)
    assert data.grain_particle.tolist() == [0] * 5 + [1] * 3
    assert gamma(parts.points, parts.cells).min() > 0.05
    for index, particle in enumerate(cell.particles):
        inside = np.isin(parts.cell_tags, data.grain_tags[data.grain_particle == index])
        volume = volumes(parts.points, parts.cells[inside]).sum()
        assert volume / particle.radius**3 == pytest.approx(4 / 3 * math.pi, rel=1e-9)
        distance = np.linalg.norm(parts.points[parts.cells[inside]] - cell.centre(index), axis=2)
        assert distance.max() < 1.02 * particle.radius


def test_gamma_of_known_tetrahedra() -> None:
    """Would catch a quality that is not 1 for the regular and 0 for the flat tetrahedron."""
    regular = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    flat = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0.3, 0.3, 1e-9]])
    one = np.arange(4)[None]
    assert gamma(regular, one) == pytest.approx([1.0])
    assert gamma(flat, one) == pytest.approx([0.0], abs=1e-6)
    # corner of a cube: inscribed radius 1/(3+sqrt 3), circumscribed sqrt(3)/2
    corner = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert gamma(corner, one) == pytest.approx([6 / (3 * math.sqrt(3) + 3)])
    assert volumes(corner, one) == pytest.approx([1 / 6])


def test_poor_mesh_is_tried_again_and_the_best_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch a retry that repeats itself, loses the better mesh, or goes untold."""
    monkeypatch.setattr(half_cell, "GOOD_GAMMA", 1.0)
    monkeypatch.setattr(half_cell, "ATTEMPTS", 3)
    found = [
        describe(distribute(half_cell._half_cell(CELL, 2.0, 6.0, attempt), MPI.COMM_SELF))
        for attempt in range(3)
    ]
    best = int(np.argmax([summary.smallest_gamma for summary in found]))
    data = mesh(CELL, size=2 * um, comm=MPI.COMM_SELF)
    assert len({summary.smallest_gamma for summary in found}) == 3
    assert describe(data) == found[best]
    assert data.tessellations[0].attempt == best
    monkeypatch.setattr(half_cell, "LEAST_GAMMA", 1.0)
    monkeypatch.setattr(half_cell, "MOST_ATTEMPTS", 5)
    with pytest.raises(MeshError, match=r"5 attempts.*gamma .* is below"):
        mesh(CELL, size=2 * um, comm=MPI.COMM_SELF)


def test_a_mesh_that_may_not_be_used_is_tried_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a cell of many particles given up for one tetrahedron that a later attempt mends."""
    poor = [0.05, 0.06, 0.07, 0.08, 0.09, 0.3, 0.4, 0.5]
    tried: list[int] = []

    def quality(*_: Any) -> Any:
        return np.array([poor[len(tried) - 1]])

    made = half_cell._half_cell

    def make(*arguments: Any) -> Any:
        tried.append(len(tried))
        return made(*arguments)

    monkeypatch.setattr(half_cell, "_half_cell", make)
    monkeypatch.setattr(half_cell, "gamma", quality)
    monkeypatch.setattr(half_cell, "GOOD_GAMMA", 0.45)
    monkeypatch.setattr(half_cell, "LEAST_GAMMA", 0.2)
    mesh(CELL, size=2 * um, comm=MPI.COMM_SELF)
    assert poor[len(tried) - 1] == 0.3


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("failure", "expected"),
    [(MeshError("made to fail"), MeshError), (ValueError("made to fail"), Exception)],
)
def test_failure_on_one_rank_is_raised_on_all(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, expected: type[Exception]
) -> None:
    """Would catch ranks that wait indefinitely for one that failed."""

    def fail(*_: object) -> Parts:
        raise failure

    if MPI.COMM_WORLD.rank == 0:
        monkeypatch.setattr(half_cell, "_half_cell", fail)
    with pytest.raises(expected, match="made to fail"):
        mesh(CELL, size=SIZE)


@pytest.mark.parametrize(
    ("sizes", "field"),
    [
        ({"size": 0.5}, "size"),
        ({"size": 0.5e-12}, "size"),
        ({"size": -1 * um}, "size"),
        ({"size": 6 * um}, "size"),
        ({"size": "0.5"}, "size"),
        ({"size": 1 * um, "far_size": 0.5 * um}, "far_size"),
        ({"size": 1 * um, "far_size": 1.0}, "far_size"),
    ],
)
def test_bad_sizes_are_refused(sizes: dict[str, float], field: str) -> None:
    """Would catch a size in um, which would fill the memory or give no particle at all."""
    with pytest.raises(InputError, match=rf"mesh\.{field}"):
        mesh(CELL, **sizes)


def test_gmsh_is_left_alone_and_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """Would catch a Gmsh left open, a user's model lost, or output of Gmsh on the screen."""
    assert not gmsh.isInitialized()
    mesh(CELL, size=2 * um, comm=MPI.COMM_SELF)
    assert not gmsh.isInitialized()
    gmsh.initialize(readConfigFiles=False, interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("Mesh.Algorithm3D", 10)
        gmsh.model.add("mine")
        gmsh.model.occ.addBox(0, 0, 0, 1, 1, 1)
        gmsh.model.occ.synchronize()
        with_user = mesh(CELL, size=2 * um, comm=MPI.COMM_SELF)
        assert gmsh.isInitialized()
        assert gmsh.model.getCurrent() == "mine"
        assert len(gmsh.model.getEntities(3)) == 1
        assert gmsh.option.getNumber("Mesh.Algorithm3D") == 10
    finally:
        gmsh.finalize()
    assert describe(with_user) == describe(mesh(CELL, size=2 * um, comm=MPI.COMM_SELF))
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


@pytest.mark.mpi
def test_arrays_of_slabs() -> None:
    """Would catch regions, grains or derived facets of a mesh made by hand that are mixed up."""
    points, cells = stacked_cubes(4)
    names = np.repeat(["grain_2", "grain_1", "ecbd", "electrolyte"], 6).tolist()
    turned = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    data = from_arrays(points, cells, names, orientations=[turned, np.eye(3)])
    assert integrate(data, "dx", data.regions["ecbd"]) == pytest.approx(1)
    first, second = data.grain_tags
    middle = ufl.SpatialCoordinate(data.mesh)[2]
    for tag, height in ((first, 1.5), (second, 0.5)):
        measure = ufl.Measure("dx", data.mesh, subdomain_data=data.cell_tags)(int(tag))
        local = fem.assemble_scalar(fem.form(middle * measure))
        assert data.mesh.comm.allreduce(local) / um**4 == pytest.approx(height)
    assert (data.orientations == np.stack([turned, np.eye(3)])).all()
    for name, kind, area in (
        ("interface", "dS", 1),
        ("grain_boundary", "dS", 1),
        ("collector", "ds", 1),
        ("anode", "ds", 1),
        ("x_max", "ds", 4),
    ):
        assert integrate(data, kind, data.facets[name]) == pytest.approx(area)


@pytest.mark.mpi
def test_arrays_with_names_of_their_own() -> None:
    """Would catch a user's own facets that are dropped, or take the tag of another."""
    points, cells = stacked_cubes(2)
    names = np.repeat(["particle", "ecbd"], 6).tolist()
    data = from_arrays(points, cells, names, facets={"bottom": [[0, 1, 3], [0, 2, 3]]})
    assert set(data.facets) == {"bottom", "interface", "grain_boundary"}
    assert len(set(data.facets.values())) == 3
    assert integrate(data, "ds", data.facets["bottom"]) == pytest.approx(1)


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"regions": ["particel"] * 6 + ["ecbd"] * 6}, r"unknown regions \['particel'\]"),
        ({"regions": ["grain"] * 6 + ["ecbd"] * 6}, "unknown regions"),
        ({"regions": ["particle", *["grain_1"] * 5] + ["ecbd"] * 6}, "same grain"),
        ({"regions": ["ecbd"] * 3}, "region for each tetrahedron"),
        ({"regions": ["particle"] * 6 + ["electrolyte"] * 6}, "touches the region 'electrolyte'"),
        ({"points": np.zeros((12, 2))}, "shape"),
        ({"points": np.zeros((12, 3))}, "no volume"),
        ({"points": np.full((12, 3), np.nan)}, "not finite"),
        ({"cells": stacked_cubes(2)[1] + 5}, "do not exist"),
        ({"facets": {"collector": [[0, 1, 99]]}}, "do not exist"),
        ({"facets": {"collector": [[0, 1, 11]]}}, "not faces"),
        ({"facets": {"x_min": [[0, 2, 6]]}}, "'x_max' are missing"),
        ({"facets": {"interface": [[4, 5, 7]]}}, "not those between the regions"),
        ({"facets": {"x_min": [[0, 2, 6]], "x_max": [[1, 3, 7], [1, 5, 7]]}}, "'x_min'.*match"),
        ({"orientations": np.ones((3, 3))}, "no rotation"),
        ({"orientations": np.zeros((2, 3, 3))}, "shape"),
        ({"orientations": np.diag([1.0, 1.0, -1.0])}, "no rotation"),
    ],
)
def test_bad_arrays_are_refused_on_all_ranks(change: dict[str, object], message: str) -> None:
    """Would catch a mesh whose names or shapes do not fit, used as if they did."""
    points, cells = stacked_cubes(2)
    given = {"points": points, "cells": cells, "regions": ["particle"] * 6 + ["ecbd"] * 6}
    orientations = change.pop("orientations", None) if "orientations" in change else None
    facets = change.get("facets")
    given.update({name: value for name, value in change.items() if name in given})
    with pytest.raises(MeshError, match=message):
        from_arrays(**given, facets=facets, orientations=orientations)  # type: ignore[arg-type]


def test_far_grain_of_a_given_tessellation_is_meshed() -> None:
    """Would catch given grains that reach the tessellation but not the mesh."""
    grains = tuple(Grain(point=(x * um, 0.0, 0.0)) for x in (-2.0, 2.0))
    particle = replace(CELL.particles[0], grains=grains)
    data = mesh(replace(CELL, particles=(particle,)), size=SIZE, comm=MPI.COMM_SELF)
    regions = describe(data).regions
    half = BALL / 2
    assert regions["particle_1_grain_01"].volume / um**3 == pytest.approx(half, rel=1e-3)
    assert regions["particle_1_grain_02"].volume / um**3 == pytest.approx(half, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.8 * um, 0.5 * um])
@pytest.mark.parametrize(("grains", "seeds"), [(1, 30), (10, 30), (53, 30), (100, 30), (200, 5)])
def test_every_seed_meshes(grains: int, seeds: int, size: float) -> None:
    """Would catch a rare seed that fails, has slivers, or loses volume."""
    for seed in range(1, seeds + 1):
        cell = HalfCell(particles=(Polycrystal(grains=grains, seed=seed),))
        summary = describe(mesh(cell, size=size, comm=MPI.COMM_SELF))
        assert summary.smallest_gamma >= 0.02
        ball = sum(region.volume for name, region in summary.regions.items() if "grain" in name)
        assert ball / um**3 == pytest.approx(BALL, rel=0.005)
        ecbd = summary.regions["ecbd"].volume / um**3
        assert ecbd == pytest.approx(15**3 - BALL, rel=0.005)

"""Resolved cells: a mesh that is not that of the packing would falsify every result without error.

Worth reading: `test_two_balls_meet_in_the_disc_of_the_lens`, `test_particles_keep_their_volumes`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import femssb.environment.platform

import numpy as np
import pytest

import femssb
from femssb import library
from femssb.errors import InputError, MeshError
from femssb.inputs.geometry import Polycrystal
from femssb.meshing import MeshData, describe, from_arrays, mesh
from femssb.meshing.cut_balls import Balls, caps, cut_volumes
from femssb.meshing.data import gather
from femssb.meshing.healing import features, heal
from femssb.meshing.parts import FIRST_GRAIN, Parts
from femssb.meshing.resolved_cell import ResolvedCell
from femssb.packing import Packing
from femssb.run.stepping import FixedSteps
from femssb.tetrahedra import gamma, volumes
from femssb.units import um

SIZE = 1.2 * um
RADIUS = 2.5
EDGE = 14.0


def cell(*centres: tuple[float, float, float], **changes: Any) -> ResolvedCell:
    """Return a cell of equal balls, lengths in um."""
    particles = tuple(
        Polycrystal(radius=RADIUS * um, grains=1, seed=k, centre=(x * um, y * um, z * um))
        for k, (x, y, z) in enumerate(centres)
    )
    given = {
        "width": EDGE * um,
        "depth": EDGE * um,
        "cathode": EDGE * um,
        "separator": 6 * um,
        "particles": particles,
        "smallest": 0.1 * um,
    }
    return ResolvedCell(**(given | changes))


def lattice(**changes: Any) -> Packing:
    """Return columns of touching spheres, active material in every other one, lengths in um."""
    places = np.stack(np.meshgrid(*[[0.5, 1.5, 2.5, 3.5]] * 3, indexing="ij"), axis=-1)
    places = 3.5 * places.reshape(-1, 3)
    column = np.rint(places[:, 0] / 3.5 - 0.5) + np.rint(places[:, 1] / 3.5 - 0.5)
    given = {
        "positions": places * um,
        "radii": np.full(64, 1.8 * um),
        "phases": (column % 2).astype(int),
        "phase_names": ("AM", "SE"),
        "lower": np.zeros(3),
        "upper": np.full(3, 14.0 * um),
        "periodic": (True, True, False),
    }
    return Packing(**(given | changes))


def everything(data: MeshData) -> Parts:
    """Return the whole mesh on every rank."""
    parts: Parts = data.mesh.comm.bcast(gather(data), root=0)
    return parts


def particle_volumes(parts: Parts) -> np.ndarray:
    """Return the volume of each particle in um3."""
    inside = parts.cell_tags >= FIRST_GRAIN
    owner = parts.grain_particle[parts.cell_tags[inside] - FIRST_GRAIN]
    found: np.ndarray = np.bincount(owner, volumes(parts.points, parts.cells)[inside]) / um**3
    return found


@pytest.fixture(scope="module")
def pair() -> MeshData:
    """Two balls that overlap by .3 um, across a side of the box."""
    return mesh(cell((-6.0, 0.5, 7.0), (6.0 - 2.7, 0.5, 7.0)), size=SIZE)


@pytest.mark.mpi
def test_two_balls_meet_in_the_disc_of_the_lens(pair: MeshData) -> None:
    """Would catch a contact taken for a grain boundary, and one of the wrong area."""
    summary = describe(pair)
    half = 0.5 * (EDGE - 9.3)
    disc = math.pi * (RADIUS**2 - half**2)
    assert summary.areas["contact"] == pytest.approx(disc * um**2, rel=1e-3)
    assert summary.areas["grain_boundary"] == 0.0
    assert "particle_collector" not in summary.areas
    assert summary.smallest_gamma >= 0.02


@pytest.mark.mpi
def test_particles_keep_their_volumes(pair: MeshData) -> None:
    """Would catch volume lost by flat triangles, or left out or counted twice at a side."""
    height = RADIUS - 0.5 * (EDGE - 9.3)
    ball = 4 / 3 * math.pi * RADIUS**3 - math.pi * height**2 * (RADIUS - height / 3)
    parts = everything(pair)
    np.testing.assert_allclose(particle_volumes(parts), [ball, ball], rtol=1e-6)
    assert volumes(parts.points, parts.cells).sum() == pytest.approx(
        EDGE**2 * (EDGE + 6) * um**3, rel=1e-9
    )


def test_the_box_may_be_anywhere() -> None:
    """Would catch wrong images of particles and contacts: a moved cell has the same areas."""
    areas = []
    for shift in (0.0, 2.2):
        moved = cell((-2.0 + shift, -1.0, 7.0), (2.7 + shift, -1.0, 7.0), (0.0, 5.0, 7.0))
        areas.append(describe(mesh(moved, size=SIZE)).areas["contact"])
    assert areas[0] == pytest.approx(areas[1], rel=2e-3)


def test_the_planes_of_the_layer_cut_particles() -> None:
    """Would catch particle and matrix mixed up at collector and separator."""
    data = mesh(cell((0.0, 0.0, 2.2), (6.0, 6.0, EDGE - 2.2)), size=SIZE)
    summary = describe(data)
    disc = math.pi * (RADIUS**2 - 2.2**2) * um**2
    assert summary.areas["particle_collector"] == pytest.approx(disc, rel=1e-3)
    assert summary.areas["particle_separator"] == pytest.approx(disc, rel=1e-3)
    assert summary.areas["collector"] == pytest.approx(EDGE**2 * um**2 - disc, rel=1e-3)


def test_the_model_refuses_contacts_it_has_no_law_for(pair: MeshData) -> None:
    """Would catch particles that are glued together in silence."""
    with pytest.raises(MeshError, match=r"particles touch each other .* no law"):
        femssb.Model(pair, library.yuan2023.materials())


def test_touching_particles_of_a_given_mesh_are_no_grain_boundary() -> None:
    """Would catch the same in meshes from elsewhere; grains of one particle still have one."""
    corners = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], dtype=float)
    cube = np.array(
        [[0, 1, 3, 7], [0, 1, 5, 7], [0, 2, 3, 7], [0, 2, 6, 7], [0, 4, 5, 7], [0, 4, 6, 7]]
    )
    points = np.vstack([corners[:4] + np.array([0, 0, z]) for z in range(6)]) * um
    cells = np.vstack([cube + 4 * z for z in range(5)])
    names = ["ecbd", "particle_1_grain_1", "particle_1_grain_2", "particle_2", "ecbd"]
    data = from_arrays(points, cells, np.repeat(names, 6).tolist())
    areas = describe(data).areas
    assert areas["contact"] == pytest.approx(um**2)
    assert areas["grain_boundary"] == pytest.approx(um**2)


def test_cut_volumes_are_those_of_caps() -> None:
    """Would catch a wrong closed form: one plane, two apart, and a plane beyond the centre."""
    balls = Balls(
        centres=np.array([[5.0, 5.0, 1.0]]),
        radii=np.array([2.0]),
        lower=np.zeros(2),
        lengths=np.array([10.0, 10.0]),
        height=2.5,
    )
    whole = 4 / 3 * math.pi * 8
    below, above = (math.pi * h**2 * (2 - h / 3) for h in (1.0, 0.5))
    assert cut_volumes(balls, caps(balls)) == pytest.approx([whole - below - above], rel=1e-9)
    half = replace(balls, centres=np.array([[5.0, 5.0, -0.5]]), height=20.0)
    depth = 1.5
    kept = math.pi * depth**2 * (2 - depth / 3)
    assert cut_volumes(half, caps(half)) == pytest.approx([kept], rel=1e-9)


def test_healing_leaves_nothing_small_and_no_contact_changed() -> None:
    """Would catch moves that open or close contacts, or that are larger than what they mend."""
    random = np.random.default_rng(3)
    balls = Balls(
        centres=random.uniform(0, 30, size=(40, 3)),
        radii=random.uniform(1.5, 2.5, 40),
        lower=np.zeros(2),
        lengths=np.array([30.0, 30.0]),
        height=30.0,
    )
    healed = heal(balls, 0.1)
    assert not healed.left
    assert not list(features(healed.balls, 0.1))
    assert np.linalg.norm(healed.moves, axis=1).max() < 0.6


def test_a_packing_becomes_a_cell() -> None:
    """Would catch particles, contacts or shares of volume that are not those of the packing."""
    made = ResolvedCell.from_packing(lattice())
    assert made.healing is not None
    assert len(made.particles) == 32
    # columns of four: three contacts each, one with the collector, one with the separator
    ends = [pair for pair in made.contacts if pair[1] < 0]
    assert len(ends) == 16
    assert len(made.contacts) - len(ends) == 24
    assert made.healing.opened == made.healing.closed == ()
    lens = math.pi * 0.05**2 * (1.8 - 0.05 / 3)
    exact = 32 * (4 / 3 * math.pi * 1.8**3) - 64 * lens
    assert made.volume == pytest.approx(exact * um**3, rel=1e-9)
    total = made.volume / (14 * um) ** 3 + made.healing.electrolyte + made.healing.voids
    assert total == pytest.approx(1.0, abs=1e-9)
    assert made.healing.without_electrons == made.healing.without_ions == ()
    assert "count as electrolyte" in made.healing.report()


def test_particles_without_a_path_are_named() -> None:
    """Would catch an inert particle that takes part: one that hangs on the separator only."""
    packing = lattice()
    radii = packing.radii.copy()
    column = np.flatnonzero(packing.of_phase("AM"))[:4]
    assert packing.positions[column[1], 2] > packing.positions[column[0], 2]
    radii[column[1]] = 1.5 * um
    made = ResolvedCell.from_packing(lattice(radii=radii), electrons="particles")
    assert made.healing is not None
    assert made.healing.without_electrons == (1, 2, 3)
    by_matrix = ResolvedCell.from_packing(lattice(radii=radii))
    assert by_matrix.healing is not None
    assert by_matrix.healing.without_electrons == ()


def test_particles_of_two_phases_keep_their_materials() -> None:
    """Would catch a particle that takes over the material of another as spheres are sorted."""
    one = lattice()
    phases = np.array(one.phases)
    second = np.flatnonzero(one.of_phase("AM"))[[1, 6, 7]]
    phases[second] = 2
    packing = lattice(phases=phases, phase_names=("AM", "SE", "LFP"))
    made = ResolvedCell.from_packing(packing, active=("AM", "LFP"))
    assert made.healing is not None
    wanted = ["LFP" if number in one.ids[second] else None for number in made.healing.spheres]
    assert [particle.material for particle in made.particles] == wanted
    alone = ResolvedCell.from_packing(one)
    assert [particle.radius for particle in made.particles] == [
        particle.radius for particle in alone.particles
    ]
    assert made.particles[0].centre == alone.particles[0].centre


@pytest.mark.parametrize(
    ("changes", "arguments", "named"),
    [
        ({"phases": [0] * 64}, {}, "no sphere of 'SE'"),
        ({}, {"active": ()}, "must be a phase, or several"),
        ({}, {"active": ("AM", "AM")}, "must be a phase, or several"),
        ({}, {"active": 3}, "must be a phase, or several"),
        ({}, {"active": ("AM", "LFP")}, "has no phase 'LFP'"),
        ({"periodic": (True, False, False)}, {}, "periodic"),
        ({"periodic": (True, True, True)}, {}, "periodic"),
        ({"radii": [2.2 * um] * 64}, {}, "overlap by 9e-07 m, 0.41 of the smaller radius"),
        ({"upper": [14 * um, 14 * um, 13 * um]}, {}, "beyond the closed side at the upper end"),
        ({"lower": [0, 0, -2 * um]}, {"electrons": "particles"}, "touches the collector"),
        ({"lower": [0, 0, -2 * um]}, {}, "no path through the packing"),
        ({}, {"active": "SE", "electrolyte": "SE"}, "are both 'SE'"),
        ({}, {"electrons": "everything"}, "must be one of"),
    ],
)
def test_bad_packings_are_refused_by_name(
    changes: dict[str, Any], arguments: dict[str, Any], named: str
) -> None:
    """Would catch a packing that is meshed although it cannot be a cell."""
    with pytest.raises(InputError, match=named):
        ResolvedCell.from_packing(lattice(**changes), **arguments)


@pytest.mark.parametrize(
    ("centres", "named"),
    [
        (((0.0, 0.0, 7.0), (5.01, 0.0, 7.0)), "balls 0 and 1 almost touch"),
        (((0.0, 0.0, 2.49),), "ball 0 almost touches the collector"),
        (((0.0, 0.0, 7.0), (2.0, 0.0, 7.0)), "overlap by"),
        (((0.0, 0.0, 0.5),), "out of the cathode layer"),
        (((4.5, 0.0, 7.0),), "almost touches a side"),
    ],
)
def test_cells_that_cannot_be_meshed_are_refused(
    centres: tuple[tuple[float, float, float], ...], named: str
) -> None:
    """Would catch a cell given by hand that Gmsh would choke on."""
    with pytest.raises(InputError, match=named):
        cell(*centres)


def random_packing(count: int) -> Packing:
    """Return about as many particles as asked for, and electrolyte, that overlap a little."""
    edge = max((count * 73 / 0.42) ** (1 / 3), 13.8) * um
    sizes = femssb.packing.ListedSizes(
        diameters=(3 * um, 4.4 * um, 5 * um, 6 * um), numbers=(8, 1, 1, 1)
    )
    found = femssb.packing.pack_spheres(
        lengths=(edge,) * 3,
        fraction=0.6,
        sizes=sizes,
        seed=1,
        periodic=(True, True, False),
        phase="AM",
    )
    large = found.radii > 1.9 * um
    return replace(
        found,
        radii=found.radii * np.where(large, 1.03, 1.06),
        phases=np.where(large, 0, 1),
        phase_names=("AM", "SE"),
    )


@pytest.mark.parametrize(
    ("count", "grains"),
    [
        (10, 1),
        pytest.param(10, 6, marks=pytest.mark.slow),
        pytest.param(50, 1, marks=pytest.mark.slow),
        pytest.param(200, 1, marks=pytest.mark.slow),
    ],
)
def test_random_packings_are_meshed(count: int, grains: int) -> None:
    """Would catch a poor element, a volume that is off, or a side that has no copy."""
    made = ResolvedCell.from_packing(random_packing(count), grains=grains)
    assert made.healing is not None
    # A contact that no move can mend opens, and is reported: rarely.
    assert len(made.healing.opened) + len(made.healing.closed) <= count // 100
    data = mesh(made, size=SIZE if grains == 1 else 0.7 * um)
    parts = everything(data)
    assert gamma(parts.points, parts.cells).min() >= 0.02
    assert particle_volumes(parts).sum() * um**3 == pytest.approx(made.volume, rel=1e-5)
    for axis in (0, 1):
        sides = []
        for name in (f"{'xy'[axis]}_min", f"{'xy'[axis]}_max"):
            used = np.unique(parts.triangles[parts.facet_tags == parts.facets[name]])
            flat = np.delete(parts.points[used], axis, axis=1)
            sides.append(flat[np.lexsort(np.round(flat / um, 6).T)])
        np.testing.assert_allclose(sides[0], sides[1], atol=1e-6 * um)
    assert (np.bincount(parts.grain_particle) == grains).all()


def four(**changes: Any) -> Packing:
    """Return two layers of a checkerboard of AM and SE, columns of either, lengths in um."""
    places = np.stack(np.meshgrid([1.75, 5.25], [1.75, 5.25], [1.7, 5.2], indexing="ij"), axis=-1)
    places = places.reshape(-1, 3)
    given = {
        "positions": places * um,
        "radii": np.full(8, 1.8 * um),
        "phases": (np.rint((places[:, 0] + places[:, 1]) / 3.5) % 2).astype(int),
        "phase_names": ("AM", "SE"),
        "lower": np.zeros(3),
        "upper": np.array([7.0, 7.0, 6.9]) * um,
        "periodic": (True, True, False),
    }
    return Packing(**(given | changes))


def test_spheres_of_electrolyte_are_resolved() -> None:
    """Would catch a void that conducts, volumes of the wrong phase, and surfaces mixed up.

    In a plane all four neighbours of a sphere are of the other phase, above it lies its own.
    """
    made = ResolvedCell.from_packing(four(), voids="empty", electrons="both", separator=4 * um)
    healing = made.healing
    assert healing is not None
    assert healing.opened == healing.closed == healing.left_out == ()
    assert (len(made.particles), len(made.electrolyte)) == (4, 4)
    summary = describe(data := mesh(made, size=1 * um))
    assert not data.warnings
    lens, flat = (math.pi * h**2 * (1.8 - h / 3) for h in (0.05, 0.1))
    ball = 4 / 3 * math.pi * 1.8**3
    active = 4 * ball - 4 * lens - 4 * flat  # two columns: a lens, and a cap at either end
    assert made.volume == pytest.approx(active * um**3, rel=1e-9)
    particles = sum(r.volume for name, r in summary.regions.items() if "grain" in name)
    assert particles == pytest.approx(active * um**3, rel=1e-5)
    # all spheres less 16 lenses between phases, which the particles keep
    assert made.electrolyte_volume == pytest.approx((active - 16 * 2 * lens) * um**3, rel=1e-3)
    assert summary.regions["ecbd"].volume == pytest.approx(made.electrolyte_volume, rel=1e-3)
    disc = math.pi * (1.8**2 - 1.75**2) * um**2
    grown = [sphere.radius for sphere in made.particles]
    assert 1.8 * um < min(grown) <= max(grown) < 1.81 * um
    assert summary.areas["interface"] == pytest.approx(16 * disc, rel=0.05)
    assert summary.areas["contact"] == pytest.approx(2 * disc, rel=0.05)
    assert summary.areas["x_min"] == pytest.approx(summary.areas["x_max"], rel=1e-9)
    cap = math.pi * (1.8**2 - 1.7**2) * um**2
    assert summary.areas["collector"] == pytest.approx(2 * cap, rel=0.01)
    assert summary.areas["particle_collector"] == pytest.approx(2 * cap, rel=0.05)
    assert summary.smallest_gamma >= 0.02


def test_resolved_electrolyte_cycles() -> None:
    """Would catch lithium or charge lost in the void, and a matrix that leads through it."""
    base = library.yuan2023.materials()
    resistance = femssb.ContactResistance(closed=1e-4, decay_length=1e-8)
    contacts = femssb.ParticleContacts(resistance=resistance, collector=1e-4)
    materials = replace(
        base,
        active=replace(base.active, electronic_conductivity=0.1),
        ecbd=replace(base.electrolyte, electronic_conductivity=0.0),
        contacts=contacts,
    )
    made = ResolvedCell.from_packing(four(), voids="empty", electrons="particles")
    couplings = femssb.Couplings(debonding=False, expansion=False, stress_drift=False)
    model = femssb.Model(mesh(made, size=1.8 * um, far_size=4 * um), materials, couplings=couplings)
    assert not model.cut_off.inert
    run = femssb.Simulation(
        model,
        [femssb.Charge(c_rate=1, until_duration=6.0)],
        stepping=FixedSteps(sizes=(1.0, 5.0)),
    ).run(progress=False)
    assert abs(run.series["Lithium ledger error [-]"][-1]) < 1e-8
    assert abs(run.series["Power ledger error [-]"]).max() < 1e-6


def test_electrolyte_that_leads_nowhere_is_left_out() -> None:
    """Would catch an island of electrolyte, whose potential nothing determines, in the mesh."""
    places, radii = four().positions.copy(), np.full(8, 1.8 * um)
    column = np.flatnonzero(four().of_phase("SE"))
    lower = column[np.argmin(places[column, 2])]
    places[lower, 2], radii[lower] = 1.5 * um, 1.6 * um  # on the collector, apart from all others
    packing = four(positions=places, radii=radii)
    made = ResolvedCell.from_packing(packing, voids="empty", electrons="particles")
    assert made.healing is not None
    assert made.healing.left_out == (int(lower),)
    assert len(made.electrolyte) == 3


def test_deep_electrolyte_is_refused() -> None:
    """Would catch a sphere whose centre is another's: nothing of it can be cut."""
    places = four().positions.copy()
    one, other = (np.flatnonzero(four().of_phase(name))[0] for name in ("AM", "SE"))
    places[other] = places[one] + [0.3 * um, 0, 0]
    radii = np.full(8, 1.8 * um)
    radii[other] = 0.9 * um
    with pytest.raises(InputError, match="has its centre in"):
        ResolvedCell.from_packing(four(positions=places, radii=radii), voids="empty")


def test_a_closed_pore_is_filled_and_told() -> None:
    """Would catch a pocket of matrix that no ions reach, which no solver can do with."""
    edge, places = 4.3, []
    for x, y, z in [(0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)]:  # a tetrahedron around a pore
        places.append(tuple(edge / math.sqrt(2) * np.array([x, y, z]) + [-1.5, -1.5, 5.5]))
    data = mesh(cell(*places, smallest=0.05 * um), size=SIZE)
    [told] = [warning for warning in data.warnings if "pore" in warning]
    assert "1 pores" in told
    assert describe(data).areas["contact"] > 0

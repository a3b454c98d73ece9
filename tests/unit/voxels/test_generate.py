"""Composite cathodes: the fractions asked for, in the shapes asked for, where they belong.

Worth reading: `test_binder_is_what_no_ball_reaches` and `test_composition_is_met`.
"""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import ConvexHull, HalfspaceIntersection

from femssb.errors import InputError, NotConverged
from femssb.packing import ListedSizes, Packing
from femssb.units import um
from femssb.voxels import VoxelImage, voxelise
from femssb.voxels.image import empty_image
from femssb.voxels.make import polyhedra as generate_polyhedra
from femssb.voxels.make.binder import add_binder
from femssb.voxels.make.composite import SULFIDE, Composite
from femssb.voxels.make.polyhedra import Polyhedra, Prisms, add_polyhedra

PLATELETS = Prisms(height=2 * um, height_spread=0.5 * um, ray=2.5 * um, ray_spread=0.5 * um)
SMALL = Composite(
    active=ListedSizes(diameters=(5 * um,)),
    active_share=0.6,
    binder_ratio=0.1,
    lengths=(24 * um, 24 * um, 30 * um),
    spacing=0.4 * um,
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"binder_ratio": 0.0, "active_share": 0.7},
        {"void": 0.05, "active_share": 0.5},
        {"active_share": 0.76, "active_overlap": 0.05},
        {"active": PLATELETS, "active_share": 0.5, "active_overlap": 0.2, "binder_ratio": 0.05},
        {
            "active": ListedSizes(diameters=(8 * um, 4 * um), numbers=(1, 3)),
            "periodic": (False,) * 3,
        },
    ],
)
def test_composition_is_met(changes):
    """Catches fractions of the solids taken for fractions of the box, and the other way round."""
    recipe = dataclasses.replace(SMALL, **changes)
    image = recipe.generate()
    found = image.fractions()
    solids = 1 - recipe.void
    assert found["void"] == pytest.approx(recipe.void, abs=1e-3)
    assert found["AM"] == pytest.approx(recipe.active_share * solids, abs=2e-3)
    assert found.get("binder", 0) == pytest.approx(recipe.binder_ratio * found["AM"], abs=1e-5)
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-12)
    # So the electrolyte fills what the others leave, and adds up the errors allowed above.
    assert found["SE"] == pytest.approx(recipe.electrolyte_fraction, abs=1e-3 + 2e-3 + 1e-5)
    assert image.periodic == recipe.periodic
    assert image.lengths == pytest.approx(recipe.lengths)


def test_same_seed_same_cathode():
    """Catches a study that cannot be repeated, and error bars from one and the same structure."""
    first, again = SMALL.generate(), SMALL.generate()
    other = dataclasses.replace(SMALL, seed=2).generate()
    assert np.array_equal(first.labels, again.labels)
    for phase in first.phase_names:
        assert not np.array_equal(first.mask(phase), other.mask(phase))
    assert first.origin["packing"]["seed"] == 1
    assert first.origin["polyhedra of SE"]["seed"] != other.origin["polyhedra of SE"]["seed"]


def test_particles_are_not_eaten():
    """Catches binder or electrolyte that takes voxels of what was there before."""
    with_binder = SMALL.generate()
    without = dataclasses.replace(SMALL, binder_ratio=0.0).generate()
    assert np.array_equal(with_binder.mask("AM"), without.mask("AM"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"active": 5 * um}, "must be Sizes or Prisms"),
        ({"active_share": 0.0}, "active_share = 0 is outside"),
        ({"active_share": 1.2}, "active_share = 1.2"),
        ({"void": -0.1}, "void = -0.1"),
        ({"active_share": 0.95, "binder_ratio": 0.1}, "leaves no room for electrolyte"),
        ({"electrolyte": ListedSizes(diameters=(3 * um,))}, "must be Polyhedra"),
    ],
)
def test_bad_recipes_are_named(changes, message):
    """Catches a composition that does not add up."""
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SMALL, **changes)


def volumes(faces):
    """Return the volumes of particles, and their farthest corners."""
    found = []
    for normals, distances in zip(faces.normals, faces.distances, strict=True):
        corners = HalfspaceIntersection(
            np.column_stack([normals, -distances / um]), np.zeros(3)
        ).intersections
        found.append((ConvexHull(corners).volume * um**3, np.linalg.norm(corners, axis=1).max()))
    volume, far = np.array(found).T
    return volume, far * um


def test_polyhedra_have_the_volume_of_their_sphere():
    """Catches a diameter taken for a radius, or for the distance of the faces."""
    faces = Polyhedra(sizes=ListedSizes(diameters=(3 * um,))).draw(np.random.default_rng(0), 40)
    volume, far = volumes(faces)
    assert volume == pytest.approx(np.pi / 6 * (3 * um) ** 3, rel=1e-6)
    assert far == pytest.approx(faces.reaches, rel=1e-6)
    assert np.linalg.norm(faces.normals, axis=2) == pytest.approx(1)


def test_prisms_have_their_height_and_sides():
    """Catches a ray taken to the corners, half heights, and spreads that are lost."""
    faces = PLATELETS.draw(np.random.default_rng(0), 300)
    volume, far = volumes(faces)
    rays, heights = faces.distances[:, 0], 2 * faces.distances[:, -1]
    assert volume == pytest.approx(5 * np.tan(np.pi / 5) * rays**2 * heights, rel=1e-6)
    assert far == pytest.approx(faces.reaches, rel=1e-6)
    assert rays.mean() == pytest.approx(2.5 * um, rel=0.03)
    assert heights.mean() == pytest.approx(2 * um, rel=0.04)
    assert rays.std() == pytest.approx(0.44 * um, rel=0.1)  # cut at 2: 0.88 of the spread
    # The two bases face each other, and the sides stand upright on them.
    assert faces.normals[:, 5] == pytest.approx(-faces.normals[:, 6])
    assert np.einsum("nfi,ni->nf", faces.normals[:, :5], faces.normals[:, 5]) == pytest.approx(
        0, abs=1e-12
    )


def test_directions_are_uniform():
    """Catches particles that all lie along an axis: conduction would depend on the direction."""
    faces = PLATELETS.draw(np.random.default_rng(1), 4000)
    axes = faces.normals[:, 5]
    assert (axes[:, :, None] * axes[:, None, :]).mean(axis=0) == pytest.approx(
        np.eye(3) / 3, abs=0.02
    )


def test_lone_polyhedron_covers_its_volume():
    """Catches rows cut wrongly where a face runs along them, and lost periodic images."""
    image = empty_image((6 * um,) * 3, 0.05 * um, (True, True, True))
    size = np.pi / 6 * 3**3 / 6**3
    filled = add_polyhedra(image, SULFIDE, phase="SE", left=1 - size)
    assert filled.origin["polyhedra of SE"]["particles"] == 1
    assert filled.fractions()["SE"] == pytest.approx(size, rel=5e-3)


def test_no_overlap_means_no_overlap():
    """Catches particles that merge although that is ruled out."""
    image = empty_image((20 * um,) * 3, 0.4 * um, (True, True, True))
    filled = add_polyhedra(image, PLATELETS, phase="AM", left=0.85, overlap=0.0, seed=3)
    made = filled.origin["polyhedra of AM"]
    each = 5 * np.tan(np.pi / 5) * (2.5 * um) ** 2 * 2 * um
    assert filled.fractions()["AM"] == pytest.approx(0.15, abs=2e-3)
    assert made["particles"] == pytest.approx(0.15 * (20 * um) ** 3 / each, rel=0.25)


def test_no_room_left_is_an_error():
    """Catches a search for room that never ends."""
    image = empty_image((8 * um,) * 3, 0.4 * um, (True, True, True))
    with pytest.raises(NotConverged, match="no room for one more particle"):
        add_polyhedra(image, PLATELETS, phase="AM", left=0.1, overlap=0.0)


@pytest.mark.parametrize(("missing", "enough"), [(100, True), (101, False)])
def test_half_a_particle_may_be_missing(monkeypatch, missing, enough):
    """Catches an error over the last sliver, which no particle is small enough to fill."""
    image = empty_image((8 * um,) * 3, 0.4 * um, (True, True, True))
    wanted = 10 * 200 + missing
    full = (10, generate_polyhedra.MOST_MISSES + 1, missing, False)
    monkeypatch.setattr(generate_polyhedra, "_throw", lambda *_: full)
    with nullcontext() if enough else pytest.raises(NotConverged, match="after 10 particles"):
        add_polyhedra(image, PLATELETS, phase="AM", left=1 - wanted / 20**3, overlap=0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left": 1.5}, "left = 1.5"),
        ({"overlap": -0.1}, "overlap = -0.1"),
        ({"phase": "void"}, "counts as empty"),
        ({"into": "pore"}, "no phase 'pore'"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_bad_input_for_polyhedra_is_named(changes, message):
    """Catches a phase that fills itself, and names that select nothing."""
    image = empty_image((8 * um,) * 3, 0.4 * um)
    with pytest.raises(InputError, match=message):
        add_polyhedra(image, SULFIDE, **{"phase": "SE", "left": 0.5, **changes})


def test_less_empty_than_to_be_left():
    """Catches an image that has less void than asked for being returned as it is."""
    image = voxelise(two_spheres(0.0), spacing=0.25 * um)
    with pytest.raises(InputError, match=r"left = 0\.99: only 0\.\d+ of the image is 'void'"):
        add_polyhedra(image, SULFIDE, phase="SE", left=0.99)


@pytest.mark.parametrize("shape", [{"faces": 5}, {"faces": 12.5}])
def test_bad_polyhedra_are_named(shape):
    """Catches bodies that are open."""
    with pytest.raises(InputError, match=r"Polyhedra\.faces"):
        Polyhedra(sizes=ListedSizes(diameters=(3 * um,)), **shape)
    with pytest.raises(InputError, match=r"Prisms\.ray_spread"):
        dataclasses.replace(PLATELETS, ray_spread=2 * um)


def two_spheres(gap):
    """Return two spheres of radius 2.5 um with their axis along x, far from all sides."""
    middle = np.array([8.0, 5.0, 5.0])
    apart = np.array([2.5 + gap / 2, 0, 0])
    return Packing(
        positions=np.array([middle - apart, middle + apart]) * um,
        radii=np.full(2, 2.5 * um),
        phases=[0, 0],
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.array([16.0, 10.0, 10.0]) * um,
    )


@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_binder_sits_in_the_neck(gap):
    """Catches binder that coats spheres instead of joining them: a ring about their axis."""
    image = add_binder(voxelise(two_spheres(gap), spacing=0.125 * um), 0.02)
    x, y, z = (np.argwhere(image.mask("binder")) + 0.5).T * 0.125 - np.array([[8], [5], [5]])
    radius = image.origin["binder"]["meniscus radius [m]"] / um
    # A ball of that radius that touches both spheres is this far from their axis; the ring ends
    # where it does.
    outer = np.sqrt((2.5 + radius) ** 2 - (2.5 + gap / 2) ** 2) - radius
    rings = np.hypot(y, z)
    assert np.abs(x).max() < radius
    assert rings.max() == pytest.approx(outer, abs=0.2)  # one and a half voxels
    assert image.fractions()["binder"] == pytest.approx(0.02 * image.fractions()["AM"], rel=1e-3)
    assert abs(x.mean()) < 0.02
    assert abs(y.mean()) < 0.05


def test_binder_is_what_no_ball_reaches():
    """Catches distances that are wrong: SciPy's transform and balls drawn one by one agree."""
    rng = np.random.default_rng(0)
    spheres = Packing(
        positions=rng.random((7, 3)) * 8 * um,
        radii=np.full(7, 2 * um),
        phases=np.zeros(7, int),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.full(3, 8 * um),
        periodic=(True, True, True),
    )
    plain = voxelise(spheres, spacing=0.4 * um)
    image = add_binder(plain, 0.05)
    wide = np.pad(plain.mask("AM"), 10, mode="wrap")
    distance = ndimage.distance_transform_edt(~wide)[10:-10, 10:-10, 10:-10]
    radius = image.origin["binder"]["meniscus radius [m]"] / (0.4 * um)
    reached = np.zeros(plain.shape, bool)
    grid = np.indices(plain.shape)
    for y in np.argwhere(distance >= radius - 1e-6):
        away = (grid - y[:, None, None, None] + 10) % 20 - 10
        reached |= np.sum(away**2, axis=0) < distance[tuple(y)] ** 2 - 1e-6
    binder = image.mask("binder")
    assert not np.any(binder & reached)
    left = ~reached & ~plain.mask("AM")
    assert binder.sum() > 0.7 * left.sum()  # the last level is taken only as far as needed


def test_binder_across_periodic_sides():
    """Catches necks that are missed at the sides of the box."""
    plain = voxelise(
        dataclasses.replace(two_spheres(0.0), periodic=(True, True, True)), spacing=0.25 * um
    )
    moved = dataclasses.replace(
        two_spheres(0.0), positions=two_spheres(0.0).positions + 8 * um, periodic=(True,) * 3
    )
    binder = add_binder(plain, 0.02).mask("binder")
    other = add_binder(voxelise(moved, spacing=0.25 * um), 0.02).mask("binder")
    differs = np.roll(binder, (32, 32, 32), (0, 1, 2)) != other
    assert differs.sum() < 0.1 * binder.sum()  # of equally deep voxels, the first ones are taken


def test_walls_are_mirrors():
    """Catches binder piled up in the corners of the box, where balls seem to find no room."""
    one = dataclasses.replace(
        two_spheres(0.0), positions=np.full((2, 3), 5 * um), upper=np.full(3, 10 * um)
    )
    image = add_binder(voxelise(one, spacing=0.25 * um), 0.005)
    corner = image.mask("binder")[:6, :6, :6]
    assert not corner.any()


@pytest.mark.parametrize(
    ("ratio", "changes", "message"),
    [
        (0.0, {}, "ratio = 0 is outside"),
        (1.5, {}, "ratio = 1.5"),
        (np.nan, {}, "ratio = nan"),
        (0.1, {"around": "NMC"}, "no phase 'NMC'"),
        (0.1, {"into": "pore"}, "no phase 'pore'"),
        (0.1, {"phase": "AM"}, "has that phase already"),
        (1e-9, {}, "too little of it"),
    ],
)
def test_bad_input_for_binder_is_named(ratio, changes, message):
    """Catches binder that goes nowhere."""
    image = voxelise(two_spheres(0.0), spacing=0.5 * um)
    with pytest.raises(InputError, match=message):
        add_binder(image, ratio, **changes)


def test_more_binder_than_room():
    """Catches a radius sought for that no pore has."""
    labels = np.ones((4, 4, 4), int)
    labels[0, 0, 0] = 0
    image = VoxelImage(labels=labels, phase_names=("void", "AM"), spacing=(1 * um,) * 3)
    with pytest.raises(InputError, match=r"but only 0\.0156 of it is 'void'"):
        add_binder(image, 0.5)

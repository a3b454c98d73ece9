"""If these fail, areas are too large by the staircase of voxels, and rates per area too small.

Worth reading: the sphere, and the covered sphere, whose parts must add up.
"""

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from femssb.errors import InputError
from femssb.voxels.image import VoxelImage
from femssb.voxels.measure.areas import active_interface, interface_area, interface_areas
from femssb.voxels.measure.clusters import find_networks

NAMES = ("void", "AM", "SE", "binder")


def image(labels, spacing=(1.0, 1.0, 1.0), periodic=(False, False, False), names=NAMES):
    """Return an image."""
    return VoxelImage(
        labels=np.asarray(labels, dtype=np.uint8),
        phase_names=names,
        spacing=spacing,
        periodic=periodic,
    )


def from_centre(shape, centre, spacing=(1.0, 1.0, 1.0)):
    """Return the distance of every voxel from a point."""
    axes = [(np.arange(n) + 0.5) * step for n, step in zip(shape, spacing, strict=True)]
    squares = [
        (axis - place) ** 2
        for axis, place in zip(np.meshgrid(*axes, indexing="ij"), centre, strict=True)
    ]
    return np.sqrt(sum(squares))


def sphere_errors(radius, spacing=(1.0, 1.0, 1.0), count=16):
    """Return the relative errors of the areas of spheres with centres anywhere in a voxel."""
    rng, errors = np.random.default_rng(5), []
    shape = [int(2 * radius / step) + 6 for step in spacing]
    for _ in range(count):
        centre = [
            (n / 2 + rng.uniform(-0.5, 0.5)) * step for n, step in zip(shape, spacing, strict=True)
        ]
        sphere = from_centre(shape, centre, spacing) < radius
        found = interface_areas(image(sphere, spacing)).between("AM", "void")
        exact = 4 * np.pi * radius**2
        errors.append((found.area / exact - 1, found.counted / 1.5 / exact - 1))
    return np.array(errors).T


@pytest.mark.parametrize(("radius", "bar"), [(4, 0.02), (8, 0.006), (16, 0.002)])
def test_the_area_of_a_sphere(radius, bar):
    """Catches the staircase (+50 %), wrong weights, and the bias stated in the module."""
    crofton, staircase = sphere_errors(radius)
    assert abs(crofton.mean()) < bar
    assert np.std(crofton) < 0.7 * np.std(staircase)  # more directions: less scatter


def test_the_area_of_a_sphere_in_flat_voxels():
    """Catches weights or lengths of lines that hold for cubes only."""
    crofton, staircase = sphere_errors(10.0, spacing=(1.0, 1.0, 2.0))
    assert abs(crofton.mean()) < 0.01
    assert abs(staircase.mean()) < 0.02  # the mean of |n|_1 does not depend on the voxels


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_area_of_a_plane_is_within_the_stated_error(axis):
    """Catches missing directions: with the three axes alone planes are off by -33 to +15 %."""
    n = 24
    labels = np.zeros((n, n, n))
    half = [slice(None)] * 3
    half[axis] = slice(n // 2)
    labels[tuple(half)] = 1
    found = interface_areas(image(labels)).between("void", "AM")
    assert found.counted == n**2
    assert found.area == pytest.approx(n**2 * 0.9266, rel=1e-3)  # -7.3 %, and no edge effect


@pytest.mark.parametrize("normal", [(1, 1, 0), (1, 1, 1), (2, 1, 0), (3, 2, 1)])
def test_the_area_of_a_slanted_slab_is_within_the_stated_error(normal):
    """Catches a direction counted twice or left out: it would show in some plane."""
    n = 60
    axes = np.meshgrid(*[np.arange(n)] * 3, indexing="ij")
    height = sum(part * axis for part, axis in zip(normal, axes, strict=True)) % n
    found = interface_areas(image(height < n // 2, periodic=(True,) * 3)).between("void", "AM")
    exact = 2 * np.linalg.norm(normal) * n**2  # two faces per period
    assert -0.075 < found.area / exact - 1 < 0.025
    assert found.per_volume == pytest.approx(found.area / n**3)


def test_periodic_and_mirrored_sides():
    """Catches an interface across a periodic side that is lost, or one at a mirror that is made."""
    labels = np.zeros((8, 8, 8))
    labels[:4] = 1
    inside = interface_areas(image(labels)).between("void", "AM")
    around = interface_areas(image(labels, periodic=(True, False, False))).between("void", "AM")
    assert around.area == pytest.approx(2 * inside.area, rel=1e-12)
    shifted = np.roll(labels, 2, axis=0)
    moved = interface_areas(image(shifted, periodic=(True, False, False))).between("void", "AM")
    assert moved.area == pytest.approx(around.area, rel=1e-12)


def test_areas_do_not_depend_on_the_axes():
    """Catches a direction whose shift goes the wrong way along one axis."""
    labels = np.random.default_rng(2).integers(0, 4, (9, 11, 7))
    some = image(labels, (1.0, 2.0, 3.0), (True, False, True))
    first = interface_areas(some)
    turned = interface_areas(image(labels.transpose(2, 0, 1), (3.0, 1.0, 2.0), (True, True, False)))
    mirrored = interface_areas(image(labels[:, ::-1], (1.0, 2.0, 3.0), (True, False, True)))
    for pair, found in first.pairs.items():
        assert turned.pairs[pair].area == pytest.approx(found.area, rel=1e-12)
        assert mirrored.pairs[pair].area == pytest.approx(found.area, rel=1e-12)


def test_pieces_do_not_show(monkeypatch):
    """Catches interfaces lost between the pieces in which large images are counted."""
    labels = np.random.default_rng(2).integers(0, 4, (9, 11, 7))
    some = image(labels, periodic=(True, False, True))
    whole = interface_areas(some)
    monkeypatch.setattr("femssb.voxels.measure.pieces.PIECE", 200)
    assert interface_areas(some) == whole


def test_the_parts_of_a_surface_add_up():
    """Catches pairs mixed up: binder on the lower half of a sphere, electrolyte on the rest."""
    radius, n = 12, 40
    distance = from_centre((n, n, n), (n / 2 + 0.2, n / 2 - 0.3, n / 2 + 0.1))
    labels = np.full((n, n, n), 2)
    labels[:, :, : n // 2] = 3
    labels[distance < radius] = 1
    areas = interface_areas(image(labels))
    exact = 4 * np.pi * radius**2
    parts = areas.between("AM", "SE").area, areas.between("binder", "AM").area
    assert sum(parts) == pytest.approx(exact, rel=0.01)
    surface = areas.surface("AM")
    assert surface["binder"] == pytest.approx(0.5, abs=0.02)
    assert sum(surface.values()) == pytest.approx(1)
    assert surface["void"] == 0
    masks = interface_area(image(labels), labels == 1, labels == 3)
    assert masks == areas.between("AM", "binder")


@pytest.mark.parametrize("thickness", [1.0, 1.5, 3.0])
def test_a_thin_film_is_not_seen_through(thickness):
    """Catches diagonal steps across a film: they would leave a tenth of a coated sphere bare."""
    radius, n = 8, 28
    distance = from_centre((n, n, n), (n / 2 + 0.2, n / 2 - 0.3, n / 2 + 0.1))
    labels = np.where(distance < radius, 1, np.where(distance < radius + thickness, 3, 2))
    areas = interface_areas(image(labels))
    assert areas.between("AM", "SE").area == 0
    assert areas.between("AM", "binder").area == pytest.approx(4 * np.pi * radius**2, rel=0.01)
    outside = 4 * np.pi * (radius + thickness) ** 2
    assert areas.between("binder", "SE").area == pytest.approx(outside, rel=0.02)


def test_parts_and_whole_agree_however_phases_mix():
    """Catches a step that counts for one of its phases only: areas must not depend on names."""
    noise = np.random.default_rng(4).normal(size=(4, 32, 32, 32))
    labels = gaussian_filter(noise, (0, 3, 3, 3), mode="wrap").argmax(axis=0)
    areas = interface_areas(image(labels, periodic=(True,) * 3))
    for name in NAMES:
        alone = image(labels == NAMES.index(name), periodic=(True,) * 3)
        parts = sum(part.area for pair, part in areas.pairs.items() if name in pair)
        assert parts == pytest.approx(interface_areas(alone).between("void", "AM").area, rel=0.03)


def test_only_the_conducting_clusters_are_active():
    """Catches islands, and carbon, counted as area at which lithium goes in."""
    labels = np.zeros((12, 6, 8), dtype=np.uint8)
    labels[0:2, :, :] = 1  # AM from the collector
    labels[2:4, :, :] = 2  # SE from the separator: 48 faces towards it
    labels[6:8, 1:3, 2:4] = 1  # an island of AM
    labels[8:10, :, :] = 2  # next to SE that conducts
    networks = find_networks(image(labels))
    active = active_interface(networks)
    assert active.counted == 48
    total = interface_areas(image(labels)).between("AM", "SE")
    assert total.counted == 48 + 4
    labels[0:2, :, :4] = 3
    carbon = find_networks(image(labels), electronic=("AM", "binder"))
    assert active_interface(carbon).counted == 24


def test_plates_are_no_interface():
    """Catches AM at the collector and SE at the separator that meet across a periodic side."""
    labels = np.zeros((4, 4, 6))
    labels[:, :, :3], labels[:, :, 3:] = 1, 2
    active = active_interface(find_networks(image(labels, periodic=(True, True, True))))
    assert active.counted == 16


def test_many_phases():
    """Catches numbers of pairs that run over a byte where there are many phases."""
    names = tuple(f"grain {k}" for k in range(70))
    labels = np.repeat(np.arange(70), 2)[None, None, :] * np.ones((3, 3, 1), dtype=int)
    areas = interface_areas(image(labels, names=names))
    for first, second in itertools.combinations(range(70), 2):
        counted = areas.between(names[first], names[second]).counted
        assert counted == (9 if second == first + 1 else 0)


def test_bad_input_is_named():
    """Catches masks of another image and names that are not there."""
    labels = np.zeros((3, 3, 3))
    some, mask = image(labels), np.zeros((3, 3, 3), dtype=bool)
    with pytest.raises(InputError, match="second has shape"):
        interface_area(some, mask, mask[1:])
    with pytest.raises(InputError, match="first must hold True and False"):
        interface_area(some, mask.astype(float), mask)
    with pytest.raises(InputError, match="share voxels"):
        interface_area(some, ~mask, ~mask)
    with pytest.raises(InputError, match="two at least"):
        interface_areas(image(labels, names=("AM",)))
    with pytest.raises(InputError, match=r"no interface 'AM' \| 'air'"):
        interface_areas(some).between("AM", "air")
    with pytest.raises(InputError, match="no interface of 'air'"):
        interface_areas(some).surface("air")
    with pytest.raises(InputError, match="'NCM' is not in its network"):
        active_interface(find_networks(some), active_material="NCM")

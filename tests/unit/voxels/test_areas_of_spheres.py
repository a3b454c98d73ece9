"""If these fail, contacts of particles are too large, and currents per area too small."""

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.packing import Packing
from femssb.voxels.image import VoxelImage
from femssb.voxels.measure.areas import interface_areas
from femssb.voxels.measure.areas_of_spheres import sphere_areas


def packing(positions, radii, phases, edge=40.0, periodic=(True, True, True)):
    """Return a packing of AM and SE in a cube."""
    return Packing(
        positions=np.asarray(positions, dtype=float),
        radii=np.asarray(radii, dtype=float),
        phases=np.asarray(phases),
        phase_names=("AM", "SE"),
        lower=np.array([-3.0, 0.0, 5.0]),
        upper=np.array([-3.0, 0.0, 5.0]) + edge,
        periodic=periodic,
    )


def cap(radius, other, distance):
    """Return the area of a sphere that lies in another one."""
    return np.pi * radius / distance * (other**2 - (distance - radius) ** 2)


@pytest.mark.parametrize("place", [(10.0, 12.0, 20.0), (-2.9, 0.1, 44.9)])
@pytest.mark.parametrize("gap", [7.0, 8.6])
def test_the_contact_of_two_spheres(place, gap):
    """Catches the wrong sphere as winner, and a contact across a periodic corner that is lost."""
    direction = np.array([2.0, -1.0, 1.5])
    direction /= np.linalg.norm(direction)
    two = packing([place, place + gap * direction], [5.0, 4.0], [0, 1])
    areas = sphere_areas(two, points=20_000)
    contact = cap(5.0, 4.0, gap)
    assert areas.between("AM", "SE").area == pytest.approx(contact, rel=0.01)
    assert areas.between("void", "AM").area == pytest.approx(4 * np.pi * 25 - contact, rel=1e-3)
    free = 4 * np.pi * 16 - cap(4.0, 5.0, gap)
    assert areas.between("SE", "void").area == pytest.approx(free, rel=2e-3)
    assert areas.between("SE", "void").per_volume == pytest.approx(free / 40**3, rel=2e-3)
    turned = sphere_areas(two, priority=("SE", "AM"), points=20_000)
    assert turned.between("AM", "SE").area == pytest.approx(cap(4.0, 5.0, gap), rel=0.01)


def test_overlaps_within_a_phase_are_no_interface():
    """Catches spheres of one phase that cover each other and still count."""
    same = packing([(10, 10, 20), (16, 10, 20)], [5, 4], [0, 0])
    areas = sphere_areas(same, points=20_000)
    free = 4 * np.pi * (25 + 16) - cap(5, 4, 6) - cap(4, 5, 6)
    assert areas.between("void", "AM").area == pytest.approx(free, rel=2e-3)
    assert areas.between("SE", "AM").area == 0
    hidden = packing([(10, 10, 20), (11, 10, 20)], [5, 3], [1, 0])
    assert sphere_areas(hidden).between("AM", "SE").area == pytest.approx(4 * np.pi * 9, rel=1e-9)


def test_sides_that_are_not_periodic_cut():
    """Catches the part of a sphere outside the box that still counts."""
    cut = packing([(-3.0, 20.0, 25.0)], [5], [0], periodic=(False, True, True))
    area = sphere_areas(cut).between("AM", "void").area
    assert area == pytest.approx(2 * np.pi * 25, rel=2e-3)


def test_random_spheres_have_the_surface_of_the_boolean_model():
    """Catches neighbours that are not found: S/V = n 4 pi R^2 exp(-n 4/3 pi R^3) for points."""
    rng, count, edge = np.random.default_rng(6), 1000, 28.0
    random = packing(rng.uniform(0, edge, (count, 3)), np.full(count, 1.5), np.zeros(count), edge)
    density = count / edge**3
    expected = density * 4 * np.pi * 1.5**2 * np.exp(-density * 4 / 3 * np.pi * 1.5**3)
    areas = sphere_areas(random, points=200)
    assert areas.between("AM", "void").per_volume == pytest.approx(expected, rel=0.03)


def test_the_areas_are_those_of_an_image():
    """Catches phases mixed up where spheres of both overlap many times."""
    rng, n = np.random.default_rng(9), 60
    centres, radii = rng.uniform(0, 40, (30, 3)), rng.uniform(4, 7, 30)
    phases = np.arange(30) % 2
    spheres = packing(centres + np.array([-3.0, 0.0, 5.0]), radii, phases)
    grid = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) * 40 / n] * 3, indexing="ij"), axis=-1)
    labels = np.zeros((n, n, n), dtype=np.uint8)
    for phase in (1, 0):  # AM, the first, wins
        for centre, radius in zip(centres[phases == phase], radii[phases == phase], strict=True):
            away = grid - centre
            away -= 40 * np.round(away / 40)
            labels[np.einsum("...i,...i", away, away) < radius**2] = phase + 1
    image = VoxelImage(
        labels=labels,
        phase_names=("void", "AM", "SE"),
        spacing=(40 / n,) * 3,
        periodic=(True, True, True),
    )
    fine, exact = interface_areas(image), sphere_areas(spheres, points=4000)
    assert list(fine.pairs) == list(exact.pairs)
    for pair, area in exact.pairs.items():
        assert fine.pairs[pair].area == pytest.approx(area.area, rel=0.1)  # R = 6 to 10 voxels


def test_bad_input_is_named():
    """Catches names that do not fit and boxes in which spheres meet twice."""
    some = packing([(10, 10, 10)], [5], [0])
    with pytest.raises(InputError, match="priority"):
        sphere_areas(some, priority=("AM",))
    with pytest.raises(InputError, match="background = 'SE'"):
        sphere_areas(some, background="SE")
    with pytest.raises(InputError, match="points = 1 "):
        sphere_areas(some, points=1)
    with pytest.raises(InputError, match="meet twice"):
        sphere_areas(packing([(10, 10, 10)], [5], [0], edge=18.0))


def test_an_empty_packing_has_no_area():
    """Catches a crash where a recipe left nothing over."""
    none = packing(np.zeros((0, 3)), [], [])
    assert sphere_areas(none).between("AM", "SE").area == 0

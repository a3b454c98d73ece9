"""Stress and structure of packings that are known by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.packing import Contacts, Packing, structure
from femssb.packing.stress import mean_stress, particle_stress
from femssb.tensors import von_mises
from femssb.units import um


def column() -> Packing:
    """Return a large and a small sphere, one on the other, pressed with 2 N between two planes."""
    big, small, overlap = 3.0, 1.0, 0.2
    low = big - overlap
    high = low + big + small - overlap
    return Packing(
        positions=np.array([[5, 5, low], [5, 5, high]]) * um,
        radii=np.array([big, small]) * um,
        phases=[0, 1],
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.array([10, 10, high + small - overlap]) * um,
        periodic=(True, True, False),
        contacts=Contacts(
            first=[0, 0, 1],
            second=[-1, 1, -1],
            branches=np.array([[0, 0, -low], [0, 0, high - low], [0, 0, small - overlap]]) * um,
            forces=np.array([[0, 0, 2.0], [0, 0, -2.0], [0, 0, -2.0]]),
        ),
    )


def test_stress_of_a_column():
    """Would catch a wrong sign, the arms of the two spheres exchanged, or a plane left out."""
    packing = column()
    stress = particle_stress(packing)
    # Arms end at the middle of the overlap: 2.8 + 2.9 um in the large sphere, 0.9 + 0.8 um below.
    arms = np.array([2.8 + 2.9, 0.9 + 0.8]) * um
    np.testing.assert_allclose(stress[:, 2, 2], -2.0 * arms / packing.volumes, rtol=1e-12)
    np.testing.assert_allclose(stress[:, 0, 0], 0, atol=1e-9)
    halves = particle_stress(packing, partition="halves", planes=False)
    np.testing.assert_allclose(halves[:, 2, 2], -2.0 * 1.9 * um / packing.volumes, rtol=1e-12)


def test_stresses_fill_the_box():
    """Would catch a part of the branches that belongs to no sphere: pressure would be lost."""
    packing = column()
    pressure = 2.0 / (10 * um) ** 2
    for partition in ("arms", "halves"):
        stress = particle_stress(packing, partition=partition)
        total = np.einsum("n,nij->ij", packing.volumes, stress) / np.prod(packing.lengths)
        np.testing.assert_allclose(total, mean_stress(packing), atol=1e-9 * pressure)
    assert mean_stress(packing)[2, 2] == pytest.approx(-pressure, rel=1e-12)


def test_von_mises():
    """Would catch a missing factor of 3/2: pure shear and pure tension are known."""
    shear = np.zeros((3, 3))
    shear[0, 1] = shear[1, 0] = 2.0
    found = von_mises(np.array([np.diag([5.0, 0, 0]), shear, 7 * np.eye(3)]))
    np.testing.assert_allclose(found, [5, 2 * np.sqrt(3), 0], atol=1e-14)


def two_spheres() -> Packing:
    return Packing(
        positions=np.array([[0.0, 0, 0], [0.3, 0.2, 0.8]]),
        radii=np.array([1.0, 0.6]),
        phases=[0, 0],
        phase_names=("AM",),
        lower=-2 * np.ones(3),
        upper=2 * np.ones(3),
    )


def test_overlaps_count_once():
    """Would catch overlaps counted twice or not at all: the lens of two spheres is known."""
    packing = two_spheres()
    distance = np.linalg.norm(packing.positions[1])
    big, small = packing.radii
    lens = (
        np.pi
        * (big + small - distance) ** 2
        * (distance**2 + 2 * distance * (big + small) - 3 * (big - small) ** 2)
        / (12 * distance)
    )
    found = structure.porosity(packing)
    solid = packing.volumes.sum()
    assert found.nominal == pytest.approx(1 - solid / 64, rel=1e-12)
    assert found.union == pytest.approx(1 - (solid - lens) / 64, abs=1e-4)  # the lines
    assert found.swallowed == pytest.approx(lens / solid, abs=1e-3)


def test_spheres_across_sides():
    """Would catch the part of a sphere that reaches through a periodic side, or beyond a plane."""
    packing = Packing(
        positions=np.array([[1.9, -1.9, -2.0]]),
        radii=np.array([1.0]),
        phases=[0],
        phase_names=("AM",),
        lower=-2 * np.ones(3),
        upper=2 * np.ones(3),
        periodic=(True, True, False),
    )
    half = 2 / 3 * np.pi
    assert structure.porosity(packing).union == pytest.approx(1 - half / 64, abs=1e-5)
    heights, shares = structure.solid_profile(packing, bins=4)
    np.testing.assert_allclose(heights, [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(shares, [half / 16, 0, 0, 0], atol=1e-4)


def test_coordination_and_rattlers():
    """Would catch contacts counted once for both spheres, or planes counted as spheres."""
    packing = column()
    np.testing.assert_array_equal(structure.coordination(packing), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(structure.rattlers(packing), [False, False])
    loose = replace(
        packing.contacts,
        **{
            name: getattr(packing.contacts, name)[:2]
            for name in ("first", "second", "branches", "forces")
        },
    )
    np.testing.assert_array_equal(
        structure.rattlers(replace(packing, contacts=loose)), [False, True]
    )
    np.testing.assert_allclose(structure.overlaps(packing, "SE", "AM"), [0.2])
    assert len(structure.overlaps(packing, "AM", "AM")) == 0
    assert structure.thickness(packing) == pytest.approx(7.4 * um)
    np.testing.assert_array_equal(structure.force_chains(packing, above=0.5), [1])


def test_profiles_and_maps():
    """Would catch means by number and by volume that change places, and axes that do."""
    packing = column()
    values = np.array([1.0, 5.0])
    _, by_number = structure.profile(packing, values, np.array([0.0, 0.1]), bins=1)
    _, by_volume = structure.profile(packing, values, np.array([0.0, 0.1]), bins=1, by_volume=True)
    np.testing.assert_allclose(by_number, [3.0])
    np.testing.assert_allclose(by_volume, [(27 * 1 + 1 * 5) / 28])
    moved = replace(packing, positions=np.array([[1, 6, 2], [-1, 6, 4]]) * um)
    found = structure.heat_map(moved, values, bins=2)
    np.testing.assert_allclose(found, [[np.nan, 1.0], [np.nan, 5.0]])


def test_bad_input():
    """Would catch a packing without contacts that fails deep inside NumPy."""
    bare = replace(column(), contacts=None)
    for needs in (structure.coordination, structure.rattlers, mean_stress, particle_stress):
        with pytest.raises(InputError, match="has no contacts"):
            needs(bare)
    with pytest.raises(InputError, match="'arms' or 'halves'"):
        particle_stress(column(), partition="virial")
    with pytest.raises(InputError, match="no phase 'binder'"):
        structure.overlaps(column(), "AM", "binder")
    with pytest.raises(InputError, match="bins = 0"):
        structure.solid_profile(column(), bins=0)

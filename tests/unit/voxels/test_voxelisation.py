"""Spheres to voxels: volumes, neighbours and priorities must be those of the packing.

Worth reading: `test_every_centre_is_where_the_spheres_say` and
`test_mirrored_and_turned_packings_give_mirrored_and_turned_images`.
"""

from __future__ import annotations

import dataclasses
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from femssb.errors import InputError
from femssb.packing import Packing
from femssb.units import um
from femssb.voxels import image as image_module
from femssb.voxels import voxelise

SIDES = np.array([10.0, 12.0, 15.0]) * um


def packing(seed=0, number=60, periodic=(True, True, False), lower=(0.0, 0.0, 0.0), sides=SIDES):
    """Return overlapping spheres of two phases, some of them across every side."""
    rng = np.random.default_rng(seed)
    return Packing(
        positions=np.array(lower) + rng.uniform(-0.1, 1.1, (number, 3)) * sides,
        radii=rng.uniform(0.5, 2.0, number) * um,
        phases=rng.integers(0, 2, number),
        phase_names=("AM", "SE"),
        lower=np.array(lower),
        upper=np.array(lower) + sides,
        periodic=periodic,
        origin={"seed": seed},
    )


def counted(spheres, shape, priority=("AM", "SE")):
    """Return labels by looking at every voxel and every sphere, nearest periodic image."""
    centres = [
        (np.arange(n) + 0.5) * side / n for n, side in zip(shape, spheres.lengths, strict=True)
    ]
    grid = np.stack(np.meshgrid(*centres, indexing="ij"), axis=-1)
    labels = np.zeros(shape, int)
    for name in reversed(priority):
        for s in np.nonzero(spheres.of_phase(name))[0]:
            away = grid - (spheres.positions[s] - spheres.lower)
            turns = np.where(spheres.periodic, np.round(away / spheres.lengths), 0)
            away = away - turns * spheres.lengths
            inside = np.sum(away**2, axis=-1) <= spheres.radii[s] ** 2
            labels[inside] = spheres.phase_names.index(name) + 1
    return labels


@pytest.mark.parametrize("periodic", [(True, True, True), (True, False, True), (False,) * 3])
@pytest.mark.parametrize("lower", [(0.0, 0.0, 0.0), (-3 * um, 5 * um, 1 * um)])
def test_every_centre_is_where_the_spheres_say(periodic, lower):
    """Catches lost periodic images, a shifted box, and spheres that run over its sides."""
    spheres = packing(periodic=periodic, lower=lower)
    image = voxelise(spheres, spacing=0.5 * um)
    assert image.shape == (20, 24, 30)
    assert image.spacing == pytest.approx((0.5 * um,) * 3)
    assert image.periodic == periodic
    assert np.array_equal(image.labels, counted(spheres, image.shape))


def test_priority_decides_overlaps():
    """Catches soft particles that cut into hard ones."""
    spheres = packing()
    default = voxelise(spheres, spacing=0.5 * um)
    turned = voxelise(spheres, spacing=0.5 * um, priority=("SE", "AM"))
    assert np.array_equal(turned.labels, counted(spheres, turned.shape, ("SE", "AM")))
    assert turned.fractions()["SE"] > default.fractions()["SE"]
    alone = dataclasses.replace(
        spheres, radii=np.where(spheres.of_phase("AM"), spheres.radii, 1e-9)
    )
    assert voxelise(alone, spacing=0.5 * um).fractions()["AM"] == default.fractions()["AM"]
    renamed = dataclasses.replace(spheres, phase_names=("SE", "AM"))  # the second wins by its name
    assert voxelise(renamed, spacing=0.5 * um).fractions()["AM"] == turned.fractions()["SE"]


def test_volumes_have_no_bias():
    """Catches a rule that counts cut voxels to one side: a shell of half a voxel is 15 % here."""
    rng = np.random.default_rng(1)
    sides = np.full(3, 40 * um)
    grid = np.stack(np.meshgrid(*[np.arange(8) * 5.0] * 3, indexing="ij"), -1).reshape(-1, 3)
    spheres = Packing(
        positions=(grid + 2.5 + rng.uniform(-0.4, 0.4, grid.shape)) * um,
        radii=np.full(512, 2.1 * um),
        phases=np.zeros(512, int),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=sides,
    )
    exact = spheres.volumes.sum() / np.prod(sides)
    share = voxelise(spheres, spacing=0.5 * um).fractions()["AM"]
    assert share == pytest.approx(exact, rel=5e-3)  # 512 spheres of 310 voxels: +-0.2 %
    share = voxelise(spheres, spacing=0.5 * um, rule="majority").fractions()["AM"]
    assert share == pytest.approx(exact, rel=0.02)  # cut voxels of a convex body lose the vote


def test_mirrored_and_turned_packings_give_mirrored_and_turned_images():
    """Catches a rule that prefers a direction, as one does that decides ties by roundoff."""
    rng = np.random.default_rng(2)
    sides = np.array([8.0, 8.0, 8.0]) * um
    spheres = Packing(  # on the grid and with radii of whole voxels: ties everywhere
        positions=rng.integers(0, 16, (20, 3)) * 0.5 * um,
        radii=rng.integers(1, 5, 20) * 0.5 * um,
        phases=np.arange(20) % 2,
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=sides,
        periodic=(True, True, True),
    )
    image = voxelise(spheres, spacing=0.5 * um)
    for axis in range(3):
        mirrored = spheres.positions.copy()
        mirrored[:, axis] = sides[axis] - mirrored[:, axis]
        other = voxelise(dataclasses.replace(spheres, positions=mirrored), spacing=0.5 * um)
        assert np.array_equal(other.labels, np.flip(image.labels, axis))
    for order in permutations(range(3)):
        turned = dataclasses.replace(spheres, positions=spheres.positions[:, list(order)])
        other = voxelise(turned, spacing=0.5 * um)
        assert np.array_equal(other.labels, np.transpose(image.labels, order))


def test_sphere_larger_than_a_periodic_box():
    """Catches images two boxes away being forgotten."""
    spheres = Packing(
        positions=np.zeros((1, 3)),
        radii=np.array([1.7 * um]),
        phases=[0],
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.full(3, 1 * um),
        periodic=(True, True, True),
    )
    assert voxelise(spheres, spacing=0.1 * um).fractions()["AM"] == 1


def test_box_is_cut_evenly():
    """Catches a box whose length changes with the spacing, or a last voxel that sticks out."""
    image = voxelise(packing(), spacing=(0.7 * um, 0.5 * um, 40.0 * um / 3))
    assert image.shape == (14, 24, 1)
    assert image.lengths == pytest.approx(tuple(SIDES))


def test_majority_keeps_what_single_points_miss():
    """Catches the majority looked at in the wrong voxel or among the wrong phases."""
    spheres = packing(periodic=(True, True, True))
    fine = voxelise(spheres, spacing=0.25 * um).labels  # 4 x 4 x 4 points a voxel
    blocks = fine.reshape(10, 4, 12, 4, 15, 4)
    counts = [(blocks == label).sum(axis=(1, 3, 5)) for label in (1, 2, 0)]  # ties: AM, SE, void
    image = voxelise(spheres, spacing=1 * um, rule="majority", samples=4)
    assert np.array_equal(image.labels, np.array([1, 2, 0])[np.argmax(counts, axis=0)])
    assert image.origin["voxelise"]["samples"] == 4


def test_pressed_aside_volume_comes_back():
    """Catches electrolyte that vanishes where particles overlap (28 % in a pressed cathode)."""
    spheres = packing(number=40, periodic=(True, True, True))
    box = np.prod(SIDES)
    nominal = spheres.volumes[spheres.of_phase("SE")].sum() / box
    lost = voxelise(spheres, spacing=0.25 * um)
    kept = voxelise(spheres, spacing=0.25 * um, conserve="SE")
    assert lost.fractions()["SE"] < 0.9 * nominal
    assert kept.fractions()["SE"] == pytest.approx(nominal, rel=1e-3)
    assert kept.fractions()["AM"] == lost.fractions()["AM"]
    assert np.all(kept.labels[lost.labels == 2] == 2)
    assert kept.origin["voxelise"]["dilation [m]"] > 0
    assert kept.origin["voxelise"]["nominal fractions"]["SE"] == pytest.approx(nominal)


def test_no_overlap_no_dilation():
    """Catches growth where nothing was lost."""
    spheres = Packing(
        positions=np.full((1, 3), 5 * um),
        radii=np.array([3 * um]),
        phases=[0],
        phase_names=("SE",),
        lower=np.zeros(3),
        upper=np.full(3, 10 * um),
    )
    image = voxelise(spheres, spacing=0.1 * um, conserve="SE")
    assert image.origin["voxelise"]["dilation [m]"] < 0.002 * um  # what the voxels are off


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    number=st.integers(0, 30),
    periodic=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    cells=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
)
def test_any_packing_is_counted_right(seed, number, periodic, cells):
    """Catches corner cases of ranges: no spheres, one voxel, spheres that only touch the box."""
    spheres = packing(seed, number, periodic, sides=np.full(3, 9 * um))
    image = voxelise(spheres, spacing=tuple(9 * um / n for n in cells))
    assert image.shape == cells
    assert np.array_equal(image.labels, counted(spheres, cells))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spacing": 0.0}, "spacing = 0 m"),
        ({"spacing": -1e-6}, "spacing = -1e-06 m"),
        ({"spacing": np.nan}, "spacing = nan m"),
        ({"spacing": 1.0}, "spacing = 1 m is outside"),
        ({"spacing": (1e-6, 1e-6)}, "one length or three"),
        ({"spacing": "1 um"}, "must be a number"),
        ({"priority": ("AM",)}, "must name every phase"),
        ({"priority": ("AM", "NMC")}, "must name every phase"),
        ({"rule": "corner"}, r"rule must be one of \('centre', 'majority'\), got 'corner'"),
        ({"rule": "majority", "samples": 1}, "samples = 1 is outside"),
        ({"rule": "majority", "samples": 2.5}, "whole number"),
        ({"background": "AM"}, "is a phase of the packing"),
        ({"conserve": "binder"}, "no phase 'binder'"),
    ],
)
def test_bad_input_is_named(changes, message):
    """Catches a slip that gives a plausible image of something else."""
    with pytest.raises(InputError, match=message):
        voxelise(packing(), **{"spacing": 0.5 * um, **changes})


def test_no_room_for_the_lost_volume():
    """Catches a dilation that never ends because the pores are too small."""
    spheres = packing(number=400, periodic=(True, True, True))
    with pytest.raises(InputError, match="is to be restored, but only"):
        voxelise(spheres, spacing=0.5 * um, conserve="SE")


def test_memory_is_asked_for_first(monkeypatch):
    """Catches a spacing too fine for the machine being tried."""
    monkeypatch.setattr(image_module, "available_memory", lambda: 10**6)
    with pytest.raises(InputError, match=r"voxels takes 0\.0018 GB, but only 0\.001 GB"):
        voxelise(packing(), spacing=0.1 * um)

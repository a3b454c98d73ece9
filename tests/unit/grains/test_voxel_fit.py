"""Grains from voxels: a wrong fit would give grains of the wrong size in the wrong place."""

from __future__ import annotations

import numpy as np
import pytest

from femssb import grains
from femssb.errors import InputError
from femssb.grains.tessellation import random_orientations, tessellate
from femssb.inputs.geometry import Polycrystal
from femssb.units import um

SIDE = 24
RADIUS = 5 * um
SPACING = 2 * RADIUS / SIDE


def voxels_of(particle: Polycrystal) -> np.ndarray:
    """Return the labels, from 1, of the voxels of a polycrystal; 0 outside."""
    made = tessellate(particle)
    line = (np.arange(SIDE) + 0.5) * SPACING - RADIUS
    x = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1)
    power = (made.points**2).sum(axis=1) - made.weights - 2 * x @ made.points.T
    inside = (x**2).sum(axis=-1) < RADIUS**2
    found: np.ndarray = np.where(inside, np.argmin(power, axis=-1) + 1, 0)
    return found


def test_a_tessellation_is_found_again_from_its_voxels() -> None:
    """Would catch sites or weights that do not divide the particle as its voxels do."""
    given = Polycrystal(radius=RADIUS, grains=6, seed=2)
    fit = grains.from_voxels(voxels_of(given), spacing=SPACING)
    assert fit.misfit < 2e-3
    np.testing.assert_allclose(fit.volumes, tessellate(given).volumes, rtol=0.05)
    np.testing.assert_allclose(fit.volumes, fit.voxel_volumes, rtol=0.05)
    # what is meshed are the grains of the particle, each with its own orientation
    assert fit.particle.number_of_grains == 6
    np.testing.assert_allclose(fit.centre, np.full(3, RADIUS), atol=0.02 * RADIUS)


def test_orientations_and_labels_go_with_their_grains() -> None:
    """Would catch orientations in the order of anything but the labels; labels may have gaps."""
    labels = 7 * voxels_of(Polycrystal(radius=RADIUS, grains=3, seed=4))
    turned = random_orientations(3, 9)
    fit = grains.from_voxels(labels, spacing=SPACING, orientations=turned)
    assert fit.names.tolist() == [7, 14, 21]
    assert isinstance(fit.particle.grains, tuple)
    found = np.array([grain.orientation for grain in fit.particle.grains])
    np.testing.assert_allclose(found, turned, atol=1e-12)


def test_a_shape_that_is_no_ball_is_told() -> None:
    """Would catch a misfit that is zero whatever the shape: two halves of a cube."""
    labels = np.ones((12, 12, 12), dtype=int)
    labels[6:] = 2
    fit = grains.from_voxels(labels, spacing=1 * um)
    assert fit.misfit == 0.0
    assert fit.shape_misfit > 0.1
    assert "outside the ball" in fit.report()


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (np.zeros((4, 4, 4), dtype=int), "0 grains"),
        (np.ones((4, 4), dtype=int), "shape"),
        (np.full((4, 4, 4), 1.5), "whole numbers"),
        (-np.ones((4, 4, 4), dtype=int), "above 0"),
        (np.pad(np.ones((1, 1, 1), dtype=int), 2), "has 1 voxels"),
    ],
)
def test_labels_that_are_none_are_refused(labels: np.ndarray, named: str) -> None:
    """Would catch an error from deep inside."""
    with pytest.raises(InputError, match=named):
        grains.from_voxels(labels, spacing=1 * um)

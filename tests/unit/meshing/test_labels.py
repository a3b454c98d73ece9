"""Meshes of labelled images: a particle of another volume, or a poor element, would go unseen.

Worth reading: `test_touching_particles_of_an_image`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import femssb.environment.platform

import numpy as np
import pytest

import femssb
from femssb import library
from femssb.errors import InputError, MeshError
from femssb.meshing import describe, mesh_labels
from femssb.run.stepping import FixedSteps
from femssb.units import um
from femssb.voxels import VoxelImage, separate

VOXEL = 0.5  # [um]
EDGE = 16  # voxels
SPACING = (VOXEL * um,) * 3


def touching() -> np.ndarray:
    """Return two balls that overlap, one across a side, and one on the separator; periodic."""
    middles = VOXEL * (np.arange(EDGE) + 0.5)
    places = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1)
    length = VOXEL * EDGE
    solid = np.zeros((EDGE,) * 3, dtype=np.uint8)
    for centre, radius in (((0.5, 4, 3), 2.1), ((4.3, 4, 3), 2.0), ((2.4, 0, 6.9), 1.8)):
        away = places - centre
        away[..., :2] -= length * np.rint(away[..., :2] / length)
        solid[np.linalg.norm(away, axis=-1) < radius] = 1
    image = VoxelImage(
        labels=solid, phase_names=("SE", "AM"), spacing=SPACING, periodic=(True, True, False)
    )
    return separate(image, "AM")


def test_touching_particles_of_an_image() -> None:
    """Would catch particles of the wrong volume, glued together, or sides that do not match."""
    labels = touching()
    count = np.bincount(labels.ravel())
    assert len(count) == 4
    data = mesh_labels(labels, spacing=SPACING, size=1 * um, separator=2 * um)
    summary = describe(data)
    assert summary.smallest_gamma >= 0.02
    [told] = data.warnings  # the neck has a radius of 0.8 um
    assert "particles touch in" in told
    for number in (1, 2, 3):
        found = summary.regions[f"particle_{number}_grain_01"].volume / um**3
        assert found == pytest.approx(count[number] * VOXEL**3, rel=0.02)
    box = (EDGE * VOXEL) ** 2
    total = sum(region.volume for region in summary.regions.values()) / um**3
    assert total == pytest.approx(box * (EDGE * VOXEL + 2), rel=1e-9)
    assert 0 < summary.areas["contact"] / um**2 < 5
    assert summary.areas["particle_separator"] > 0
    assert summary.areas["x_min"] == pytest.approx(summary.areas["x_max"], rel=1e-9)
    # two thirds of what faces of voxels sum up to: the surface is that of balls, not of stairs
    solid = labels > 0
    sides = sum(np.count_nonzero(solid != np.roll(solid, 1, axis)) for axis in (0, 1))
    sides += np.count_nonzero(solid[:, :, 1:] != solid[:, :, :-1])
    stairs = sides * VOXEL**2
    assert summary.areas["interface"] / um**2 == pytest.approx(2 / 3 * stairs, rel=0.1)
    base = library.yuan2023.materials()
    contacts = femssb.ParticleContacts(resistance=base.resistance, collector=1e-4)
    couplings = femssb.Couplings(debonding=False, expansion=False, stress_drift=False)
    model = femssb.Model(data, replace(base, contacts=contacts), couplings=couplings)
    run = femssb.Simulation(
        model, [femssb.Charge(c_rate=1, until_duration=5.0)], stepping=FixedSteps(sizes=(5.0,))
    ).run(progress=False)
    assert abs(run.series["Lithium ledger error [-]"][-1]) < 1e-8


def test_contacts_of_flat_particles() -> None:
    """Would catch a contact that is lost, or one of another area: of two halves of a block."""
    labels = np.zeros((EDGE, EDGE, EDGE), dtype=int)
    labels[4:12, 4:12, 2:8], labels[4:12, 4:12, 8:14] = 1, 2
    data = mesh_labels(labels, spacing=SPACING, size=1 * um, separator=2 * um)
    assert not data.warnings
    assert describe(data).areas["contact"] / um**2 == pytest.approx(4 * 4, rel=0.15)


def test_the_same_image_gives_the_same_mesh() -> None:
    """Would catch chance in the mesh; another seed turns the crystals only."""
    found = [
        mesh_labels(touching(), spacing=SPACING, size=1.4 * um, separator=2 * um, seed=seed)
        for seed in (1, 2)
    ]
    np.testing.assert_array_equal(*(data.mesh.geometry.x for data in found))
    assert (found[0].orientations != found[1].orientations).any()


def speck() -> np.ndarray:
    """Return a particle of one voxel."""
    labels = np.zeros((EDGE,) * 3, dtype=int)
    labels[3, 3, 3] = 1
    return labels


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"labels": touching() * 1.0}, InputError, "whole numbers"),
        ({"labels": -touching()}, InputError, "whole numbers"),
        ({"labels": touching()[0]}, InputError, "whole numbers"),
        ({"labels": np.zeros((9, 9, 9), int)}, InputError, "needs voxels of particles"),
        ({"labels": np.ones((9, 9, 9), int)}, InputError, "needs voxels of particles"),
        ({"labels": 2 * (touching() > 0)}, InputError, "no voxel of particle 1"),
        ({"size": 0.4 * um}, InputError, "mesh_labels.size"),
        ({"size": 4 * um}, InputError, "mesh_labels.size"),
        ({"spacing": (0.0, 1e-6, 1e-6)}, InputError, "mesh_labels.spacing"),
        ({"separator": 0.1 * um}, InputError, "mesh_labels.separator"),
        ({"labels": speck(), "size": 1.5 * um}, MeshError, "particle 1 is lost"),
    ],
)
def test_what_cannot_be_meshed_is_refused(
    changes: dict[str, Any], error: type[Exception], named: str
) -> None:
    """Would catch an image that is meshed as something else, or a crash."""
    given = {"labels": touching(), "spacing": SPACING, "size": 1.2 * um, "separator": 2 * um}
    with pytest.raises(error, match=named):
        mesh_labels(**(given | changes))

"""Particles of images: merged or split ones would change every size and contact of a cell."""

from __future__ import annotations

import numpy as np
import pytest

from femssb import packing, voxels
from femssb.errors import InputError
from femssb.packing.neighbours import nearest_image
from femssb.units import um


@pytest.fixture(scope="module")
def given() -> packing.Packing:
    """Spheres of two sizes that overlap a little, also across the sides."""
    found = packing.pack_spheres(
        lengths=(12 * um, 12 * um, 12 * um),
        fraction=0.5,
        sizes=packing.ListedSizes(diameters=(3 * um, 5 * um), numbers=(2, 1)),
        seed=1,
        periodic=(True, True, False),
        phase="AM",
    )
    return packing.Packing(
        positions=found.positions,
        radii=1.04 * found.radii,
        phases=found.phases,
        phase_names=("AM",),
        lower=found.lower,
        upper=found.upper,
        periodic=found.periodic,
    )


@pytest.fixture(scope="module")
def image(given: packing.Packing) -> voxels.VoxelImage:
    """The same as voxels."""
    return voxels.voxelise(given, spacing=0.3 * um)


def test_spheres_are_found_again(given: packing.Packing, image: voxels.VoxelImage) -> None:
    """Would catch particles that stay merged at their necks, or are cut at a periodic side."""
    found = voxels.to_packing(image, ["AM"])
    assert len(found.radii) == len(given.radii)
    apart = nearest_image(found.positions[:, None] - given.positions, given.period)
    distance = np.linalg.norm(apart, axis=2)
    match = np.argmin(distance, axis=1)
    assert len(set(match.tolist())) == len(match)
    assert distance.min(axis=1).max() < 0.3 * um
    np.testing.assert_allclose(found.radii, given.radii[match], rtol=0.05)
    held = float(image.mask("AM").sum()) * (0.3 * um) ** 3
    assert found.volumes.sum() == pytest.approx(held, rel=1e-9)


def test_a_waist_is_no_neck() -> None:
    """Would catch one long particle taken for several, whose distance has many maxima."""
    labels = np.zeros((40, 12, 12), dtype=np.uint8)
    labels[3:37, 3:9, 3:9] = 1
    rod = voxels.from_array(labels, phase_names=("void", "AM"), spacing=1 * um)
    assert voxels.separate(rod, "AM").max() == 1


def test_bad_requests_are_refused(image: voxels.VoxelImage) -> None:
    """Would catch an error from deep inside."""
    with pytest.raises(InputError, match="AM"):
        voxels.separate(image, "SE")
    with pytest.raises(InputError, match="neck"):
        voxels.separate(image, "AM", neck=0.0)
    with pytest.raises(InputError, match="twice"):
        voxels.to_packing(image, ["AM", "AM"])

"""If these fail, the sizes of pores on the pages of the wet route are wrong."""

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.voxels import local_widths
from femssb.voxels.image import VoxelImage


def image(mask, spacing=(1e-6, 1e-6, 1e-6), periodic=(False, False, False)):
    """Return an image with void where a mask is true."""
    return VoxelImage(
        labels=np.asarray(mask, dtype=np.uint8),
        phase_names=("SE", "void"),
        spacing=spacing,
        periodic=periodic,
    )


def test_a_slit_has_its_thickness():
    """Catches a radius for a diameter, and the half voxel at either wall."""
    mask = np.zeros((8, 8, 20))
    mask[:, :, 5:14] = 1  # 9 voxels
    found = local_widths(image(mask), "void")
    assert found.widths[found.shares > 0].tolist() == pytest.approx([9e-6])
    assert found.mean == found.median == pytest.approx(9e-6)
    flat = local_widths(image(mask, spacing=(3e-6, 3e-6, 1e-6)), "void")
    assert flat.mean == pytest.approx(9e-6)


def test_a_slit_across_a_periodic_side():
    """Catches a pore that is cut in two where the box repeats."""
    mask = np.zeros((6, 6, 24))
    mask[:, :, 5:14] = 1
    around = np.roll(mask, 14, axis=2)
    assert around[0, 0, 0] == around[0, 0, -1] == 1
    found = local_widths(image(around, periodic=(True, True, True)), "void")
    assert found.mean == pytest.approx(9e-6)


def test_two_balls():
    """Catches a corner of a wide pore that counts as a narrow one."""
    x, y, z = np.meshgrid(*[np.arange(48) + 0.5] * 3, indexing="ij")
    large = (x - 16.5) ** 2 + (y - 16.5) ** 2 + (z - 16.5) ** 2 < 14**2
    small = (x - 38.5) ** 2 + (y - 38.5) ** 2 + (z - 38.5) ** 2 < 6**2
    found = local_widths(image(large | small), "void", classes=40)
    share = large.sum() / (large.sum() + small.sum())
    assert found.shares[found.widths > 20e-6].sum() == pytest.approx(share, abs=0.02)
    assert found.shares[found.widths > 24e-6].sum() > 0.9 * share
    assert found.median == pytest.approx(28e-6, abs=2e-6)
    assert found.shares.sum() == pytest.approx(1)


def test_nothing_to_measure():
    """Catches an infinite width, and a phase without voxels."""
    with pytest.raises(InputError, match="all voxels"):
        local_widths(image(np.ones((3, 3, 3))), "void")
    with pytest.raises(InputError, match="no voxel"):
        local_widths(image(np.zeros((3, 3, 3))), "void")
    with pytest.raises(InputError, match="classes = 1"):
        local_widths(image(np.eye(3)[None]), "void", classes=1)

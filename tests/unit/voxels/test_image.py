"""Voxel images: a wrong label or length here falsifies every conductivity, without a word."""

from __future__ import annotations

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.units import um
from femssb.voxels import VoxelImage, from_array
from femssb.voxels import image as image_module
from femssb.voxels.image import check_memory, empty_image

NAMES = ("void", "AM", "SE")


def image_of(labels, **changes):
    given = {"labels": labels, "phase_names": NAMES, "spacing": (1 * um, 2 * um, 3 * um)} | changes
    return VoxelImage(**given)


def test_shape_lengths_and_fractions():
    """Catches axes or spacings taken in the wrong order."""
    labels = np.zeros((4, 3, 2), dtype=int)
    labels[0] = 1
    labels[1, 1, 1] = 2
    image = image_of(labels)
    assert image.shape == (4, 3, 2)
    assert image.lengths == pytest.approx((4 * um, 6 * um, 6 * um))
    assert image.voxel_volume == pytest.approx(6 * um**3)
    assert image.fractions() == pytest.approx({"void": 17 / 24, "AM": 6 / 24, "SE": 1 / 24})
    assert image.label("SE") == 2
    assert image.mask("SE").sum() == 1


def test_labels_belong_to_the_image():
    """Catches an image that changes when the array it was made from is written to."""
    mine = np.zeros((2, 2, 2), dtype=np.uint8)
    image = image_of(mine)
    view = mine[:]
    view.flags.writeable = False
    of_view = image_of(view)
    mine[:] = 1
    assert not image.labels.any()
    assert not of_view.labels.any()
    with pytest.raises(ValueError, match="read-only"):
        image.labels[0, 0, 0] = 1


def test_large_read_only_labels_are_not_copied():
    """Catches an image that doubles the memory of what was made for it."""
    labels = np.zeros((2, 2, 2), dtype=np.uint8)
    labels.flags.writeable = False
    assert image_of(labels).labels is labels


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.zeros((2, 2, 2))}, "type float64.*segment"),
        ({"labels": np.full((2, 2, 2), np.nan)}, "type float64"),
        ({"labels": np.zeros((2, 2), int)}, r"shape \(2, 2\)"),
        ({"labels": np.zeros((2, 0, 2), int)}, r"shape \(2, 0, 2\)"),
        ({"labels": np.full((2, 2, 2), 3)}, "goes from 3 to 3"),
        ({"labels": np.full((2, 2, 2), -1)}, "goes from -1 to -1"),
        ({"labels": np.full((2, 2, 2), 256)}, "goes from 256"),
        ({"spacing": (1 * um, 0.0, 1 * um)}, "spacing = 0 m"),
        ({"spacing": (1 * um, -1 * um, 1 * um)}, "spacing = -1e-06 m"),
        ({"spacing": (1 * um, np.nan, 1 * um)}, "spacing = nan"),
        ({"spacing": 1 * um}, "three values"),
        ({"spacing": (1 * um, 1 * um)}, "three values"),
        ({"phase_names": "AM"}, "tuple of names"),
        ({"phase_names": ("void", "AM", "AM")}, "none of them twice"),
        ({"phase_names": ()}, "1 to 256 names"),
        ({"phase_names": ("void", 1)}, "tuple of names"),
        ({"periodic": (1, 0, 0)}, "true or false"),
        ({"periodic": True}, "three values"),
    ],
)
def test_bad_input_is_named(changes, message):
    """Catches an image that is accepted and means something else later."""
    labels = changes.pop("labels", np.zeros((2, 2, 2), int))
    with pytest.raises(InputError, match=message):
        image_of(labels, **changes)


def test_unknown_phase_names_the_known_ones():
    """Catches a slip in a phase name that selects nothing."""
    image = image_of(np.zeros((2, 2, 2), int))
    with pytest.raises(InputError, match=r"no phase 'NMC'.*'AM'"):
        image.label("NMC")
    with pytest.raises(InputError, match="no phase"):
        image.mask("NMC")


def test_grey_values_become_phases():
    """Catches grey values taken for labels, or in the order of their values."""
    grey = np.array([[[0, 255], [128, 64]]], dtype=np.uint8)
    image = from_array(
        grey, phase_names={255: "AM", 0: "void", 64: "SE", 128: "SE"}, spacing=1 * um
    )
    assert image.phase_names == ("AM", "void", "SE")
    assert image.labels.tolist() == [[[1, 0], [2, 2]]]
    assert image.spacing == (1 * um,) * 3
    with pytest.raises(InputError, match=r"no name: 128 \(25.000%\); it names"):
        from_array(grey, phase_names={255: "AM", 0: "void", 64: "SE"}, spacing=1 * um)
    with pytest.raises(InputError, match="type float64"):
        from_array(grey / 255, phase_names={0: "void", 1: "AM"}, spacing=1 * um)


def test_masks_are_images():
    """Catches true and false being refused: the commonest image of two phases."""
    image = from_array(np.eye(3, dtype=bool)[None], phase_names=("void", "AM"), spacing=1 * um)
    assert image.fractions()["AM"] == pytest.approx(1 / 3)


def test_image_larger_than_the_memory_is_refused_before_it_is_made(monkeypatch):
    """Catches a machine brought to its knees by a spacing in the wrong unit."""
    with pytest.raises(InputError, match=r"1000000 x 1000000 x 1000000 voxels takes 1e\+09 GB"):
        empty_image((1.0, 1.0, 1.0), 1 * um)
    monkeypatch.setattr(image_module, "available_memory", lambda: None)
    check_memory("a test", (10**6, 10**6, 10**6), bytes_per_voxel=1)  # nothing known: no check


def test_empty_image_fits_its_box():
    """Catches a box that grows or shrinks because its length is no multiple of the spacing."""
    image = empty_image((1.0 * um, 2.1 * um, 0.3 * um), 0.2 * um)
    assert image.shape == (5, 10, 2)
    assert image.lengths == pytest.approx((1.0 * um, 2.1 * um, 0.3 * um))
    with pytest.raises(InputError, match="lengths = 1e-07 m"):
        empty_image((1.0 * um, 1 * um, 0.1 * um), 0.2 * um)

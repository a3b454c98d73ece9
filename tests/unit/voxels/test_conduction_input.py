"""Bad input to a conduction is refused by name, before any work; silence would cost hours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.voxels.conduct.conduction import conductivity, conductivity_tensor
from femssb.voxels.conduct.extrapolation import extrapolate
from femssb.voxels.image import VoxelImage


def cube(shape: tuple[int, int, int] = (4, 4, 4)) -> VoxelImage:
    """Return an image whose lower half is SE and upper half AM, without any binder."""
    labels = np.zeros(shape, np.uint8)
    labels[shape[0] // 2 :] = 1
    return VoxelImage(labels=labels, phase_names=("SE", "AM", "binder"), spacing=(1e-6, 1e-6, 1e-6))


FACES = [np.ones((4, 4, 4)), np.ones((4, 4, 4)), np.ones((4, 4, 5))]


@pytest.mark.parametrize(
    ("conductivities", "options", "named"),
    [
        ({"LPS": 1.0}, {}, "LPS"),
        ({"SE": -1.0}, {}, r"conductivities\['SE'\] = -1"),
        ({"SE": float("nan")}, {}, r"conductivities\['SE'\] = nan"),
        ({"SE": float("inf")}, {}, r"conductivities\['SE'\] = inf"),
        ({"SE": "high"}, {}, "must be a number"),
        ({"SE": 0.0}, {}, "none is above 0"),
        ({}, {}, "none is above 0"),
        ([1.0, 2.0], {}, "conductivities must be a mapping"),
        ({"binder": 1.0}, {}, "'binder' has no voxels"),
        ({"SE": 1.0}, {"axis": 2}, r"axis must be one of \('x', 'y', 'z'\), got 2"),
        ({"SE": 1.0}, {"sides": "open"}, "sides must be one of .* got 'open'"),
        ({"SE": 1.0}, {"tolerance": 0.0}, "tolerance = 0"),
        ({"SE": 1.0}, {"contact_resistance": {("SE", "SE"): 1.0}}, "two different phases"),
        ({"SE": 1.0}, {"contact_resistance": {("SE", "LPS"): 1.0}}, "LPS"),
        ({"SE": 1.0}, {"contact_resistance": {("SE", "AM"): -1.0}}, "= -1 ohm m2"),
        (
            {"SE": 1.0},
            {"contact_resistance": {("SE", "AM"): 1.0, ("AM", "SE"): 2.0}},
            "twice",
        ),
        ({"SE": 1.0}, {"faces": FACES[:2]}, "three arrays"),
        ({"SE": 1.0}, {"faces": [*FACES[:2], np.ones((4, 4, 4))]}, r"faces\[2\] has shape"),
        ({"SE": 1.0}, {"faces": [-FACES[0], *FACES[1:]]}, r"faces\[0\] holds values below 0"),
        ({"SE": 1.0}, {"faces": [0 * face for face in FACES]}, "no face conducts"),
        (
            {"SE": 1.0},
            {"faces": FACES, "contact_resistance": {("SE", "AM"): 1.0}},
            "not both",
        ),
    ],
)
def test_bad_input_is_named(conductivities: Any, options: dict[str, Any], named: str) -> None:
    """Would catch an input that is ignored, or fails deep inside without its name."""
    with pytest.raises(InputError, match=named):
        conductivity(cube(), conductivities, **options)


def test_one_voxel_thick() -> None:
    """Would catch a flux through a single layer, whose plates are each other's neighbours."""
    with pytest.raises(InputError, match="one voxel thick along y"):
        conductivity(cube((4, 1, 4)), {"SE": 1.0}, axis="y")
    assert conductivity(cube((4, 1, 4)), {"SE": 1.0, "AM": 1.0}).value == pytest.approx(1.0)


def test_a_bare_array_is_no_image() -> None:
    """Would catch an array whose voxel size and names are guessed."""
    with pytest.raises(
        InputError, match=r"conductivity\.image must be VoxelImage or CutVoxels, got array"
    ):
        conductivity(np.ones((4, 4, 4)), {"SE": 1.0})  # type: ignore[arg-type]


def test_tensor_and_extrapolation_refuse() -> None:
    """Would catch a tensor along one axis, and an extrapolation from fine to coarse."""
    with pytest.raises(InputError, match="takes no axis"):
        conductivity_tensor(cube(), {"SE": 1.0}, axis="x")
    found = conductivity(cube(), {"SE": 1.0, "AM": 1.0})
    with pytest.raises(InputError, match="holds 1 results"):
        extrapolate([found])
    with pytest.raises(InputError, match="do not become smaller"):
        extrapolate([found, found])

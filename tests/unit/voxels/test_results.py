"""Results as people and programs read them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from femssb.voxels import conductivity, conductivity_tensor, extrapolate, from_array

SIGMA = {"SE": 1.0, "AM": 0.1}


def image(finer: int = 1):
    labels = np.random.default_rng(1).integers(0, 3, (6, 6, 6), dtype=np.uint8)
    for axis in range(3):
        labels = labels.repeat(finer, axis)
    return from_array(labels, phase_names=("void", "AM", "SE"), spacing=1e-6 / finer)


def test_a_result_is_plain_data():
    """Catches a field or a derived number that is left out, and what JSON cannot keep."""
    found = conductivity(image(), SIGMA, maps=True)
    kept = json.loads(json.dumps(found.to_dict()))
    assert kept["value"] == found.value
    assert kept["conductivities"] == {"void": 0.0, "AM": 0.1, "SE": 1.0}
    assert kept["maps"] == {"shape": [6, 6, 6]}
    assert kept["tortuosity"]["tau_squared"] == found.tortuosity().tau_squared
    assert kept["tortuosity"]["tau_of_solid"] == found.tortuosity().tau_of_solid
    tensor = conductivity_tensor(image(), SIGMA)
    np.testing.assert_array_equal(json.loads(json.dumps(tensor.to_dict()))["value"], tensor.value)
    limit = extrapolate([found, conductivity(image(2), SIGMA)])
    assert json.loads(json.dumps(limit.to_dict()))["value"] == limit.value


def test_a_result_without_a_path_is_plain_data():
    """Catches an infinite tortuosity that is no JSON, or hides that nothing conducts."""
    labels = np.zeros((3, 3, 4), np.uint8)
    labels[:, :, :2] = 1
    found = conductivity(from_array(labels, phase_names=("void", "SE"), spacing=1e-6), {"SE": 1.0})
    kept = found.to_dict()
    assert json.loads(json.dumps(kept, allow_nan=False))["tortuosity"]["tau"] == "inf"
    assert not kept["percolates"]
    assert math.isinf(found.tortuosity().tau)


def test_what_is_printed_names_conventions():
    """Catches a number without its unit, or a tortuosity that does not say of what."""
    tensor = conductivity_tensor(image(), SIGMA)
    for result in (tensor.along[2], tensor):
        text = str(result)
        assert "S/m" in text
        assert f"{tensor.along[2].tortuosity().tau_squared:.4g}" in text
    assert "(SE, void included)" in str(tensor.along[2])
    assert "without void" in str(tensor.along[2].tortuosity())
    limit = extrapolate([tensor.along[2], conductivity(image(2), SIGMA)])
    assert f"{limit.value:.6g} S/m" in str(limit)


@pytest.mark.parametrize("phase", ["void", "SE"])
def test_the_share_of_the_solids_is_not_printed_of_the_void(phase):
    """Catches a share that is not defined, printed as nan."""
    assert "nan" not in str(conductivity(image(), {phase: 1.0}).tortuosity())

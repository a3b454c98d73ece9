"""What is said of the error of the voxel size, on cases by which no factor was chosen."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import voxel_size

LATTICES = [("SC", 0.24), ("SC", 0.4), ("BCC", 0.4), ("BCC", 0.57), ("FCC", 0.4), ("FCC", 0.59)]
ANSWERS = [(ratio, 0.0) for ratio in (3e-8, 0.07, 0.15, 8.0, 3e4)]
ANSWERS += [(20.0, 0.3), (5.0, 0.8), (0.4, 0.2)]
PACKINGS = {
    "loose": (71, 0.28, 0.0, (1.0, 0.85)),
    "dense": (72, 0.44, 0.1, (1.0,)),
    "overlapping": (73, 0.72, 0.35, (1.0, 0.75)),
}
MIXTURES = [
    ({"void": 1.0, "AM": 0.0, "SE": 1e-6}, 0.0),
    ({"void": 1.0, "AM": 0.2, "SE": 0.6}, 0.0),
    ({"void": 1.0, "AM": 8.0, "SE": 0.5}, 0.0),
    ({"void": 1.0, "AM": 200.0, "SE": 50.0}, 0.0),
    ({"void": 1.0, "AM": 15.0, "SE": 15.0}, 0.2),
    ({"void": 0.0, "AM": 0.3, "SE": 1.0}, 0.25),
]


@pytest.mark.slow
def test_the_interval_holds_the_truth_of_fresh_cases():
    """Catches an estimated error that was right for the cases alone by which it was chosen.

    Both kinds of voxels, all contrasts, with and without contact. The width is half the interval
    over the true error, in the median: 3.0 for all cases of the benchmark.
    """
    cases = list(voxel_size.lattice_cases(LATTICES, ANSWERS))
    cases += list(voxel_size.random_cases(PACKINGS, MIXTURES))
    found = voxel_size.estimates([case for case in cases if case["exact"] > 0])
    _, errors, claims = found[~np.isnan(found[:, 2])].T
    assert len(errors) >= 100
    assert np.mean(errors <= claims) >= 0.95
    assert np.median(claims / errors) < 3.5

"""Threads: they share the work, and nobody can tell from the answer how many there were."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from femssb.environment import compiled
from femssb.errors import InputError
from femssb.voxels import conductivity, from_array

SCRIPT = """
import threading
import numpy as np
from scipy import ndimage
from femssb.environment.compiled import most_threads
from femssb.packing import Packing
from femssb.voxels import conductivity, cut_voxels, from_array
field = ndimage.gaussian_filter(np.random.default_rng(1).random((40, 44, 60)), 1.5, mode="wrap")
labels = np.digitize(field, np.quantile(field, (0.3, 0.6))).astype(np.uint8)
voxels = from_array(labels, phase_names=("a", "b", "c"), spacing=1e-6, periodic=(True,) * 3)
sigma = {"a": 1.0, "b": 30.0}
assert most_threads() == 3
found = [
    conductivity(voxels, sigma, axis=x, threads=n, maps=True) for n in (1, 2, None) for x in "xz"
]
assert [one.cost.threads for one in found] == [1, 1, 2, 2, 3, 3]
for one, other in zip(found[:2] * 2, found[2:]):
    assert abs(one.value / other.value - 1) < 1e-12
    assert np.allclose(one.row, other.row, rtol=0, atol=1e-12 * one.value)
    assert np.allclose(one.maps.potential, other.maps.potential, atol=1e-7, equal_nan=True)
# Two threads of Python: one has the others for itself, and the second does its work alone.
values = []
both = [
    threading.Thread(target=lambda: values.append(conductivity(voxels, sigma).value))
    for _ in range(2)
]
[one.start() for one in both]
[one.join() for one in both]
assert np.allclose(values, found[1].value, rtol=1e-12)
"""


def test_the_value_does_not_depend_on_the_number_of_threads():
    """Catches threads that write into one another's nodes, or sums that differ by their number."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "3"}
    for name in ("OMP_NUM_THREADS", "PMI_SIZE"):
        environment.pop(name, None)
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_how_many_threads_there_may_be(monkeypatch):
    """Catches ranks of MPI that take each other's cores, and a setting that is passed over."""
    most = numba.config.NUMBA_NUM_THREADS
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "MV2_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert compiled.most_threads() == most
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert compiled.most_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "64,2")
    assert compiled.most_threads() == most
    monkeypatch.setenv("PMI_SIZE", "2")
    assert compiled.most_threads() == 1


@pytest.mark.parametrize("threads", [0, -1, 1000])
def test_threads_that_there_cannot_be(threads):
    """Catches a number that Numba refuses by an error of its own."""
    voxels = from_array(np.ones((3, 3, 3), np.uint8), phase_names=("a", "b"), spacing=1e-6)
    with pytest.raises(InputError, match="threads"):
        conductivity(voxels, {"b": 1.0}, threads=threads)

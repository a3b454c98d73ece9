"""Many images: each has its own answer, in order, and a bad one is named."""

from __future__ import annotations

import numpy as np
import pytest

from femssb.errors import EngineError, InputError
from femssb.voxels import conductivities_of, conductivity, from_array
from femssb.voxels.conduct import many

SIGMA = {"SE": 1.0, "AM": 0.1}


def images(count):
    """Yield images that differ."""
    for seed in range(count):
        labels = np.random.default_rng(seed).integers(0, 3, (7, 6, 5), dtype=np.uint8)
        yield from_array(labels, phase_names=("void", "AM", "SE"), spacing=1e-6)


@pytest.mark.parametrize("processes", [1, 2])
def test_each_image_has_its_own_answer(processes, capsys):
    """Catches answers out of order or lost between processes, and two lines of progress."""
    found = conductivities_of(
        images(5), SIGMA, processes=processes, progress=True, axis="x", tolerance=1e-6
    )
    alone = [conductivity(image, SIGMA, axis="x", tolerance=1e-6) for image in images(5)]
    assert [one.value for one in found] == pytest.approx([one.value for one in alone], rel=1e-12)
    assert [one.fractions for one in found] == [one.fractions for one in alone]
    assert "images done" in capsys.readouterr().err


@pytest.mark.parametrize("processes", [1, 2])
def test_a_bad_image_is_named(processes):
    """Catches an error that does not say of which image, or that ends a process instead."""
    good = list(images(3))
    bad = from_array(np.zeros((4, 4, 4), np.uint8), phase_names=("void", "AM", "SE"), spacing=1e-6)
    with pytest.raises(InputError, match=r"image 2: conductivity.conductivities: phase 'SE'"):
        conductivities_of([*good[:2], bad, good[2]], SIGMA, processes=processes)
    with pytest.raises(InputError, match="takes no threads"):
        conductivities_of(good, SIGMA, threads=2)


def test_a_process_that_ends_is_an_error(monkeypatch):
    """Catches a wait without end, or an answer left out."""
    monkeypatch.setattr(many, "_START", "import sys; sys.exit(3)")
    with pytest.raises(EngineError, match="ended without an answer"):
        conductivities_of(images(2), SIGMA, processes=2)

"""If these fail, sizes and neighbours of pores or particles of an image are wrong."""

import logging
import sys

import numpy as np
import pytest

from femssb.errors import EngineError, InputError
from femssb.voxels.image import VoxelImage
from femssb.voxels.measure.pores import pore_network


def image(labels, spacing=(2e-6, 2e-6, 2e-6)):
    """Return an image of electrolyte with some void."""
    return VoxelImage(
        labels=np.asarray(labels, dtype=np.uint8), phase_names=("SE", "void"), spacing=spacing
    )


def balls(n, centres, radii):
    """Return which of n^3 voxels are in one of the balls."""
    axes = np.meshgrid(*[np.arange(n) + 0.5] * 3, indexing="ij")
    inside = np.zeros((n, n, n), dtype=bool)
    for centre, radius in zip(centres, radii, strict=True):
        squares = sum((axis - place) ** 2 for axis, place in zip(axes, centre, strict=True))
        inside |= squares < radius**2
    return inside


@pytest.mark.slow  # loading PoreSpy takes half a minute
@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")  # of scikit-image
def test_balls_in_a_chain_are_nodes_and_throats():
    """Catches voxels for metres, centres off by half a voxel, and neighbours mixed up."""
    pytest.importorskip("porespy")
    centres, radii = [(12, 20, 20), (26, 20, 20), (12, 33, 20)], [8, 9, 6.5]
    network = pore_network(image(balls(40, centres, radii)), "void")
    assert len(network) == 3
    order = [np.abs(network.centres / 2e-6 - centre).sum(axis=1).argmin() for centre in centres]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(network.centres[order] / 2e-6, centres, atol=0.9)  # parts cut off
    np.testing.assert_allclose(network.diameters[order] / 4e-6, radii, atol=1.0)
    assert network.coordination[order].tolist() == [2, 1, 1]
    throats = {frozenset(pair) for pair in network.throats.tolist()}
    assert throats == {frozenset({order[0], order[1]}), frozenset({order[0], order[2]})}
    # Balls of 8 and 9 at 14: they meet in a circle of radius 4.68; balls of 8 and 6.5 at 13: 3.3
    wide = network.throat_diameters.max() / 4e-6
    assert wide == pytest.approx(4.68, abs=1.0)
    assert network.volumes.sum() == pytest.approx(np.sum(balls(40, centres, radii)) * 8e-18)
    assert network.diameters.min() < network.mean_diameter < network.diameters.max()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
def test_loading_changes_nothing_else():
    """Catches PoreSpy's handlers of the log, and its silence on division by zero, left behind."""
    pytest.importorskip("porespy")
    before = np.geterr(), logging.getLogger().handlers[:], logging.getLogger().level
    network = pore_network(image(balls(20, [(10, 10, 10)], [6])), "void")
    assert (np.geterr(), logging.getLogger().handlers, logging.getLogger().level) == before
    assert len(network) == 1
    assert network.coordination.tolist() == [0]


def test_without_porespy_it_says_what_is_missing(monkeypatch):
    """Catches an ImportError from the depths in place of what to install."""
    monkeypatch.setitem(sys.modules, "porespy", None)
    with pytest.raises(EngineError, match=r"porespy is missing: .*\[pores\]"):
        pore_network(image(np.ones((3, 3, 3))), "void")


def test_bad_input_is_named_before_anything_is_loaded(monkeypatch):
    """Catches a wait of half a minute that ends in an error of another package."""
    monkeypatch.setitem(sys.modules, "porespy", None)
    some = image(np.ones((3, 3, 3)))
    with pytest.raises(InputError, match="no phase 'pore'"):
        pore_network(some, "pore")
    with pytest.raises(InputError, match="no voxel of 'SE'"):
        pore_network(some, "SE")
    with pytest.raises(InputError, match="cubic"):
        pore_network(image(np.ones((3, 3, 3)), (1e-6, 1e-6, 2e-6)), "void")
    with pytest.raises(InputError, match="smoothing = -1"):
        pore_network(some, "void", smoothing=-1.0)
    with pytest.raises(InputError, match="window = 0"):
        pore_network(some, "void", window=0)

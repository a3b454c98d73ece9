"""If these fail, islands count as capacity, and networks lead where there is no path.

Worth reading: the path that winds through periodic sides, and the threshold of percolation.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from femssb.errors import InputError
from femssb.voxels.image import VoxelImage
from femssb.voxels.measure.clusters import find_clusters, find_networks

NAMES = ("void", "AM", "SE", "CBD")


def image(labels, periodic=(False, False, False), names=NAMES):
    """Return an image with cubic voxels."""
    return VoxelImage(
        labels=np.asarray(labels, dtype=np.uint8),
        phase_names=names,
        spacing=(1e-6, 1e-6, 1e-6),
        periodic=periodic,
    )


def reference_clusters(chosen, periodic, axis):
    """Return the clusters as sets of voxels, found one by one by walking over faces."""
    shape, todo, clusters = chosen.shape, set(zip(*np.nonzero(chosen), strict=True)), []
    while todo:
        front = [todo.pop()]
        cluster = set(front)
        while front:
            here = front.pop()
            for direction in range(3):
                for step in (-1, 1):
                    there = list(here)
                    there[direction] += step
                    if periodic[direction] and direction != axis:
                        there[direction] %= shape[direction]
                    if tuple(there) in todo:
                        todo.remove(tuple(there))
                        cluster.add(tuple(there))
                        front.append(tuple(there))
        clusters.append(frozenset(cluster))
    return clusters


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    periodic=st.tuples(*[st.booleans()] * 3),
    axis=st.integers(0, 2),
)
def test_clusters_are_those_of_a_walk_over_faces(seed, shape, periodic, axis):
    """Catches a side joined that is not periodic, or not joined that is, and diagonal contacts."""
    labels = np.random.default_rng(seed).integers(0, 4, shape)
    found = find_clusters(image(labels, periodic), ("AM", "CBD"), axis="xyz"[axis])
    expected = reference_clusters((labels == 1) | (labels == 3), periodic, axis)
    numbered = [
        set(zip(*np.nonzero(found.labels == k + 1), strict=True)) for k in range(len(found))
    ]
    assert {frozenset(cluster) for cluster in numbered} == set(expected)
    assert [len(cluster) for cluster in numbered] == sorted(map(len, expected), reverse=True)
    for cluster, voxels, touches in zip(numbered, found.voxels, found.touches, strict=True):
        phases = [labels[voxel] for voxel in cluster]
        assert voxels.tolist() == [phases.count(1), phases.count(3)]
        layers = {voxel[axis] for voxel in cluster}
        assert touches.tolist() == [0 in layers, shape[axis] - 1 in layers]


def winding_path():
    """Return labels in which AM climbs from plate to plate only across the side of x."""
    labels = np.zeros((4, 3, 4), dtype=np.uint8)
    labels[0, 1, :2] = 1
    labels[3, 1, 1:] = 1
    return labels


def test_a_path_across_a_periodic_side_percolates():
    """Catches a periodic side that cuts the only path."""
    labels = winding_path()
    assert not find_clusters(image(labels), "AM").percolates
    assert find_clusters(image(labels, (True, False, False)), "AM").percolates


def test_plates_are_not_joined_by_a_periodic_side():
    """Catches an image periodic along the axis of transport that is short-circuited there."""
    labels = np.zeros((3, 3, 6), dtype=np.uint8)
    labels[1, 1, :2] = labels[1, 1, 4:] = 1
    found = find_clusters(image(labels, (True, True, True)), "AM")
    assert len(found) == 2
    assert not found.percolates


def test_reach_tells_dead_ends_from_islands():
    """Catches a dead end that is taken for an island, and shares of the wrong total."""
    labels = np.zeros((7, 3, 5), dtype=np.uint8)
    labels[0, 0, :] = 1  # from plate to plate: 5 voxels
    labels[2, 0, :3] = 1  # a dead end from below: 3
    labels[4, 0, 3:] = 1  # a dead end from above: 2
    labels[6, 0, 2] = 1  # an island: 1
    found = find_clusters(image(labels), "AM")
    shares = {reach: 5 + 3 for reach in ("lower",)} | {"upper": 7, "percolating": 5, "isolated": 1}
    for reach, voxels in shares.items():
        assert found.utilisation(reach)["AM"] == pytest.approx(voxels / 11)
        assert np.count_nonzero(found.mask(reach)) == voxels
    assert found.mask("isolated")[6, 0, 2]


def test_networks_start_at_their_own_plate():
    """Catches collector and separator changed over: the wrong islands would be lost."""
    labels = np.zeros((6, 1, 4), dtype=np.uint8)
    labels[0, 0, :2] = 1  # AM at the lower plate
    labels[2, 0, 2:] = 1  # AM at the upper plate
    labels[4, 0, 1:] = 2  # SE at the upper plate
    assert find_networks(image(labels)).utilisation() == {"AM": 0.5, "SE": 1.0}
    turned = find_networks(image(labels), collector="upper")
    assert turned.separator == "lower"
    assert turned.utilisation() == {"AM": 0.5, "SE": 0.0}
    assert turned.electronic.mask(turned.collector)[2, 0, 3]


def test_carbon_connects_active_material():
    """Catches phases of one network that are looked at one by one."""
    labels = np.zeros((1, 1, 5), dtype=np.uint8)
    labels[0, 0] = [1, 3, 1, 0, 1]
    alone = find_networks(image(labels)).utilisation()
    together = find_networks(image(labels), electronic=("AM", "CBD")).utilisation()
    assert alone["AM"] == pytest.approx(1 / 3)
    assert together == pytest.approx({"AM": 2 / 3, "CBD": 1.0, "SE": 0.0})


@pytest.mark.parametrize(("share", "percolates"), [(0.27, False), (0.35, True)])
def test_the_threshold_is_that_of_faces(share, percolates):
    """Catches 18 or 26 neighbours: thresholds 0.137 and 0.098 instead of 0.3116 (Stauffer)."""
    rng = np.random.default_rng(3)
    for _ in range(3):
        found = find_clusters(image(rng.random((60, 60, 60)) < share, (True, True, False)), "AM")
        assert found.percolates == percolates


def test_a_phase_without_a_voxel_has_no_cluster():
    """Catches a crash, or a division by nothing, where a phase is absent."""
    found = find_clusters(image(np.zeros((3, 4, 5))), "SE")
    assert len(found) == 0
    assert not found.percolates
    assert found.utilisation("isolated") == {"SE": 0.0}
    assert not found.mask("lower").any()


def test_bad_input_is_named():
    """Catches a wrong name or axis that gives the clusters of something else."""
    some = image(np.ones((2, 2, 2)))
    with pytest.raises(InputError, match="no phase 'NCM'"):
        find_clusters(some, "NCM")
    with pytest.raises(InputError, match="only once"):
        find_clusters(some, ("AM", "AM"))
    with pytest.raises(InputError, match="at least one"):
        find_clusters(some, ())
    with pytest.raises(InputError, match=r"axis must be one of \('x', 'y', 'z'\), got 2"):
        find_clusters(some, "AM", axis=2)
    with pytest.raises(InputError, match="'both'"):
        find_clusters(some, "AM").select("both")
    with pytest.raises(
        InputError, match=r"collector must be one of \('lower', 'upper'\), got 'left'"
    ):
        find_networks(some, collector="left")
    with pytest.raises(InputError, match=r"\['AM'\]"):
        find_networks(some, ionic=("SE", "AM"))
    with pytest.raises(ValueError, match="read-only"):
        find_clusters(some, "AM").labels[0, 0, 0] = 7

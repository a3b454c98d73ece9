"""Random packings: spheres that overlap or miss their fraction bias every figure of a study.

Worth reading: `test_spheres_keep_clear_at_the_fraction_asked_for`.
"""

from __future__ import annotations

import numpy as np
import pytest

from femssb.errors import InputError, NotConverged
from femssb.packing.jamming import _overlaps, pack_spheres
from femssb.packing.sizes import ListedSizes, LognormalSizes
from femssb.units import um
from femssb.voxels import voxelise

FIVE = ListedSizes(diameters=(5 * um,))


def gaps(packing):
    """Return the distances between the surfaces of all pairs, nearest periodic image."""
    away = packing.positions[:, None] - packing.positions[None]
    away -= np.where(packing.periodic, packing.lengths * np.round(away / packing.lengths), 0)
    apart = np.sqrt((away**2).sum(-1)) - packing.radii[:, None] - packing.radii[None]
    return apart[np.triu_indices(len(apart), 1)]


@pytest.mark.parametrize(
    ("sizes", "fraction", "periodic"),
    [
        (FIVE, 0.3, (True, True, True)),
        (FIVE, 0.62, (True, True, True)),
        (FIVE, 0.58, (True, True, False)),
        (FIVE, 0.55, (False, False, False)),
        (
            ListedSizes(diameters=(13.3 * um, 5.5 * um, 3 * um), numbers=(1, 1, 2)),
            0.62,
            (True,) * 3,
        ),
        (LognormalSizes(median=5 * um, geometric_deviation=np.exp(0.3)), 0.6, (True,) * 3),
    ],
)
def test_spheres_keep_clear_at_the_fraction_asked_for(sizes, fraction, periodic):
    """Catches overlaps across periodic sides, spheres through walls, and a missed fraction."""
    packing = pack_spheres(sizes, fraction=fraction, lengths=(35 * um,) * 3, periodic=periodic)
    assert gaps(packing).min() > 0
    share = packing.volumes.sum() / np.prod(packing.lengths)
    assert share == pytest.approx(fraction, rel=1e-9)
    assert voxelise(packing, spacing=0.35 * um).fractions()["AM"] == pytest.approx(
        fraction, abs=2e-3
    )
    assert packing.origin["diameter scale"] == pytest.approx(1, abs=0.03)
    for axis in np.nonzero(~np.array(periodic))[0]:
        assert (packing.positions[:, axis] - packing.radii).min() > -1e-3 * um
        assert (packing.positions[:, axis] + packing.radii).max() < 35.001 * um


def test_number_ratio_of_the_sizes():
    """Catches shares of volume taken for shares of number, and the other way round."""
    trimodal = ListedSizes(diameters=(13.3 * um, 5.5 * um, 3 * um), numbers=(1, 1, 2))
    packing = pack_spheres(trimodal, fraction=0.4, lengths=(40 * um,) * 3)
    large, medium, small = packing.origin["numbers"]
    assert medium == pytest.approx(large, abs=1)
    assert small == pytest.approx(2 * large, abs=1)
    sieved = ListedSizes.by_volume((4 * um, 2 * um), (1, 1))
    assert np.array(sieved.numbers) * np.array(sieved.diameters) ** 3 == pytest.approx(64e-18 / 8)
    packing = pack_spheres(sieved, fraction=0.4, lengths=(20 * um,) * 3)
    volumes = [packing.volumes[packing.radii > 1.5 * um].sum(), packing.volumes.sum()]
    assert volumes[0] / volumes[1] == pytest.approx(0.5, abs=0.01)


def test_lognormal_moments():
    """Catches a spread taken in decades, or a mean taken for the median."""
    sizes = np.array(
        LognormalSizes(median=5 * um, geometric_deviation=np.exp(0.25)).listed().diameters
    )
    assert np.median(sizes) == pytest.approx(5 * um, rel=0.01)
    assert np.log(sizes).std() == pytest.approx(0.25, rel=0.03)


def test_start_is_random_and_repeatable():
    """Catches a hidden state: the same seed must give the same packing, another one another."""
    box = {"fraction": 0.4, "lengths": (20 * um,) * 3}
    first = pack_spheres(FIVE, seed=4, **box)
    assert np.array_equal(first.positions, pack_spheres(FIVE, seed=4, **box).positions)
    assert not np.allclose(first.positions, pack_spheres(FIVE, seed=5, **box).positions)
    assert first.origin["seed"] == 4


def test_spheres_are_spread_over_the_box():
    """Catches spheres that drift to one side, or walls where there are none."""
    packing = pack_spheres(FIVE, fraction=0.5, lengths=(60 * um,) * 3)
    share = voxelise(packing, spacing=1 * um).labels.astype(float)
    for axis in range(3):
        profile = share.mean(axis=tuple(a for a in range(3) if a != axis))
        assert profile.reshape(6, 10).mean(axis=1) == pytest.approx(0.5, abs=0.04)
        assert abs(profile[0] - 0.5) < 0.1  # at a wall it would be 0


def test_beyond_jamming_spheres_overlap_a_little():
    """Catches overlaps counted twice in the fraction, or deeper than allowed."""
    packing = pack_spheres(FIVE, fraction=0.67, lengths=(35 * um,) * 3, overlap=0.1)
    assert voxelise(packing, spacing=0.35 * um).fractions()["AM"] == pytest.approx(0.67, abs=2e-3)
    deepest = -gaps(packing).min() / (2 * packing.radii.min())
    assert 0.01 < deepest <= 0.1
    assert packing.origin["deepest overlap"] == pytest.approx(deepest, abs=1e-3)


def test_jammed_spheres_are_an_error():
    """Catches a packing returned with overlaps because the steps ran out."""
    with pytest.raises(NotConverged, match=r"jam.*0 is allowed"):
        pack_spheres(FIVE, fraction=0.7, lengths=(30 * um,) * 3, most_steps=300)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_a_few_spheres_that_jam_are_thrown_anew(seed):
    """Catches 16 spheres shaken in the same cage until the steps run out."""
    sizes = ListedSizes(diameters=(15 * um,))
    packing = pack_spheres(sizes, fraction=0.595, lengths=(36 * um,) * 3, seed=seed)
    assert packing.origin["steps"] < 3000


def test_push_is_the_gradient_of_the_overlaps():
    """Catches a wrong sign or factor: the minimisation would still end, but where?"""
    rng = np.random.default_rng(0)
    x, radii = rng.random((12, 3)), rng.uniform(0.15, 0.3, 12)
    first, second = np.triu_indices(12, 1)
    sides, joined = np.ones(3), np.array([True, True, False])

    def energy(points):
        return _overlaps(points, radii, first, second, sides, joined)[0]

    gradient = _overlaps(x, radii, first, second, sides, joined)[1]
    for i in range(12):
        for a in range(3):
            step = np.zeros_like(x)
            step[i, a] = 1e-6
            slope = (energy(x + step) - energy(x - step)) / 2e-6
            assert gradient[i, a] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fraction": 0.0}, "fraction = 0 is outside"),
        ({"fraction": 1.0}, "fraction = 1 is outside"),
        ({"fraction": np.nan}, "fraction = nan"),
        ({"lengths": (20 * um, 20 * um)}, "three lengths"),
        ({"lengths": (20 * um, 20 * um, 9 * um)}, "too short for spheres"),
        ({"lengths": (20 * um, 20 * um, np.inf)}, "too short for spheres"),
        ({"lengths": (1.0, 1.0, 1.0)}, r"volume = 0\.4 m3 is outside"),
        ({"fraction": 1e-6}, "0 spheres fill this box"),
        ({"fraction": 0.012}, "take a larger box"),
        ({"overlap": 0.5}, "overlap = 0.5 is outside"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_bad_input_is_named(changes, message):
    """Catches a search that never ends because what is asked for cannot be."""
    with pytest.raises(InputError, match=message):
        pack_spheres(FIVE, **{"fraction": 0.4, "lengths": (20 * um,) * 3, **changes})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"diameters": ()}, "diameters is empty"),
        ({"diameters": (5 * um,), "numbers": (1, 2)}, "1 diameters and 2 numbers"),
        ({"diameters": (-5 * um,)}, r"diameters\[0\] = -5e-06 m is outside"),
        ({"diameters": (5 * um,), "numbers": (0,)}, r"numbers\[0\] = 0 is outside"),
        ({"diameters": 5 * um}, "diameters must be a tuple"),
        ({"diameters": (np.nan,)}, r"diameters\[0\] = nan"),
    ],
)
def test_bad_sizes_are_named(given, message):
    """Catches a distribution that cannot be drawn from."""
    with pytest.raises(InputError, match=message):
        ListedSizes(**given)

"""If these fail, gradients across an electrode and the sizes of its pieces come out wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from femssb.errors import InputError
from femssb.voxels.image import VoxelImage
from femssb.voxels.measure.areas import interface_areas
from femssb.voxels.measure.statistics import chord_lengths, phase_profile

NAMES = ("void", "AM")


def image(labels, spacing=(1.0, 1.0, 1.0), periodic=(False, False, False)):
    """Return an image."""
    return VoxelImage(
        labels=np.asarray(labels, dtype=np.uint8),
        phase_names=NAMES,
        spacing=spacing,
        periodic=periodic,
    )


def reference_chords(line, periodic):
    """Return (lengths of the whole chords, cut ones, lines without an end) of one line."""
    n = len(line)
    if all(line):
        return ([], 0, 1) if periodic else ([], 1, 0)
    if periodic:  # begin behind a voxel that is outside
        gap = line.index(0)
        line = line[gap:] + line[:gap]
    runs, start = [], None
    for place, value in enumerate([*line, 0]):
        if value and start is None:
            start = place
        elif not value and start is not None:
            runs.append((start, place))
            start = None
    whole = [end - begin for begin, end in runs if periodic or (begin > 0 and end < n)]
    return whole, len(runs) - len(whole), 0


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(1, 7)] * 3),
    share=st.floats(0, 1),
    periodic=st.booleans(),
    axis=st.integers(0, 2),
)
def test_chords_are_the_runs_of_every_line(seed, shape, share, periodic, axis):
    """Catches runs paired over two lines, and one across a periodic side that counts as two."""
    labels = (np.random.default_rng(seed).random(shape) < share).astype(int)
    found = chord_lengths(image(labels, periodic=(periodic,) * 3), "AM", axis="xyz"[axis])
    lines = np.moveaxis(labels, axis, 2).reshape(-1, shape[axis]).tolist()
    whole, cut, through = [], 0, 0
    for line in lines:
        lengths, ended, endless = reference_chords(line, periodic)
        whole, cut, through = whole + lengths, cut + ended, through + endless
    assert found.counts.tolist() == np.bincount(whole, minlength=shape[axis] + 1).tolist()
    assert (found.cut, found.through) == (cut, through)


def test_chords_carry_the_spacing_of_their_axis():
    """Catches lengths in voxels, or along another axis."""
    labels = np.zeros((3, 4, 9))
    labels[:, :, 2:5] = 1
    labels[0, 0, 6] = 1
    chords = chord_lengths(image(labels, (1.0, 2.0, 0.5)), "AM")
    lengths = [1.5] * 12 + [0.5]
    assert chords.mean == pytest.approx(np.mean(lengths))
    assert chords.deviation == pytest.approx(np.std(lengths))
    assert chords.lengths[3] == 1.5


def test_no_chord_has_no_mean():
    """Catches a mean of 0, or a warning, where there is nothing to average."""
    chords = chord_lengths(image(np.zeros((2, 3, 4))), "AM")
    assert np.isnan(chords.mean)
    assert np.isnan(chords.deviation)


def test_chords_agree_with_the_surface():
    """Catches areas or chords that are off by a factor: mean chord = 4 volume / surface."""
    rng, n = np.random.default_rng(11), 64
    axis = np.arange(n) + 0.5
    labels = np.zeros((n, n, n), dtype=bool)
    for centre in rng.uniform(0, n, (40, 3)):
        squares = [(n / 2 - abs(n / 2 - abs(axis - place))) ** 2 for place in centre]
        labels |= squares[0][:, None, None] + squares[1][:, None] + squares[2] < 9**2
    spheres = image(labels, periodic=(True, True, True))
    surface = interface_areas(spheres).between("void", "AM").per_volume
    mean = np.mean([chord_lengths(spheres, "AM", axis=axis).mean for axis in "xyz"])
    assert mean == pytest.approx(4 * spheres.fractions()["AM"] / surface, rel=0.025)  # creases


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_profile_is_the_share_in_every_layer(axis, monkeypatch):
    """Catches layers of another axis, and pieces that are not added up."""
    monkeypatch.setattr("femssb.voxels.measure.pieces.PIECE", 50)
    labels = np.random.default_rng(1).integers(0, 2, (6, 7, 8))
    profile = phase_profile(image(labels, (1.0, 2.0, 3.0)), axis="xyz"[axis])
    other = tuple({0, 1, 2} - {axis})
    np.testing.assert_allclose(profile.of_phase("AM"), labels.mean(axis=other), rtol=1e-14)
    np.testing.assert_allclose(profile.fractions.sum(axis=1), 1, rtol=1e-14)
    step = (1.0, 2.0, 3.0)[axis]
    np.testing.assert_allclose(profile.positions[:2], [step / 2, 1.5 * step])


def test_bad_input_is_named():
    """Catches a wrong name or axis that measures something else."""
    some = image(np.zeros((2, 2, 2)))
    with pytest.raises(InputError, match="no phase 'SE'"):
        chord_lengths(some, "SE")
    with pytest.raises(InputError, match=r"axis must be one of \('x', 'y', 'z'\), got 'w'"):
        chord_lengths(some, "AM", axis="w")
    with pytest.raises(InputError, match=r"axis must be one of \('x', 'y', 'z'\), got 2"):
        phase_profile(some, axis=2)
    with pytest.raises(InputError, match="no phase 'SE'"):
        phase_profile(some).of_phase("SE")

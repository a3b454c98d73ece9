"""Conductances from geometry: exact where the exact answer is known, and better than labels.

Worth reading: `test_simple_cubic_spheres`.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from femssb.errors import InputError
from femssb.packing import Packing
from femssb.voxels import face_conductances, measure_apertures, voxelise
from femssb.voxels.image import AXES


def sphere(radius, number=1, side=1.0, periodic=(True, True, True)):
    """Return a sphere in the middle of a periodic box, and then others at random."""
    rng = np.random.default_rng(7)
    positions = np.vstack([np.full((1, 3), side / 2), rng.random((number - 1, 3)) * side])
    return Packing(
        positions=positions,
        radii=np.full(number, radius),
        phases=np.arange(number) % 2,
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.full(3, side),
        periodic=periodic,
    )


def conductance(links, axis):
    """Return the conductance between the plates of a network, by a direct solve."""
    shape = [n - (a == axis) for a, n in enumerate(links[axis].shape)]
    index = np.arange(np.prod(shape)).reshape(shape)
    matrix = sparse.lil_matrix((index.size, index.size))
    for a, link in enumerate(links):
        inner = np.take(link, range(1, shape[a]), a) if a == axis else link
        i = np.take(index, range(shape[a] - 1), a) if a == axis else index
        j = np.take(index, range(1, shape[a]), a) if a == axis else np.roll(index, -1, a)
        for p, q, t in zip(i.ravel(), j.ravel(), inner.ravel().astype(float), strict=True):
            matrix[p, p] += t
            matrix[q, q] += t
            matrix[p, q] -= t
            matrix[q, p] -= t
    right = np.zeros(index.size)
    low, high = np.take(links[axis], [0, -1], axis).swapaxes(0, axis).astype(float)
    for p, q, t, u in zip(
        np.take(index, 0, axis).ravel(),
        np.take(index, -1, axis).ravel(),
        low.ravel(),
        high.ravel(),
        strict=True,
    ):
        matrix[p, p] += t
        matrix[q, q] += u
        right[q] += u
    matrix = matrix.tocsr()
    used = np.nonzero(matrix.diagonal())[0]
    potential = spsolve(matrix[used][:, used], right[used])
    return float(right[used] @ (1 - potential))


@pytest.mark.parametrize(
    ("conductivity", "exact", "error"),
    [(0.0, 0.49011, 0.004), (10.0, 2.36443, 0.015), (1000.0, 3.26, 0.015)],
)
def test_simple_cubic_spheres(conductivity, exact, error):
    """Catches apertures no better than labels; exact: Sangani and Acrivos 1983, f = 0.4.

    At 12 voxels a period labels are off by more than 5 % for two of the three.
    """
    spheres = sphere((3 * 0.4 / 4 / np.pi) ** (1 / 3))
    apertures = measure_apertures(spheres, spacing=1 / 12)
    links = face_conductances(apertures, {"void": 1.0, "AM": conductivity}, axis="z")
    assert conductance(links, 2) == pytest.approx(exact, rel=error)


def test_one_conductor_is_exact():
    """Catches wrong areas, distances, plates or sides: a uniform box has sigma A / L."""
    spheres = sphere(0.1, periodic=(True, False, True))
    apertures = measure_apertures(spheres, spacing=(1 / 4, 1 / 5, 1 / 3))
    for axis, name in enumerate(AXES):
        links = face_conductances(apertures, {"void": 2.0, "AM": 2.0, "SE": 2.0}, axis=name)
        assert [link.shape for link in links] == [
            tuple(n + (a == axis == b) for b, n in enumerate((4, 5, 3))) for a in range(3)
        ]
        assert conductance(links, axis) == pytest.approx(2, rel=1e-5)  # single precision
        if axis != 1:
            assert not links[1][:, -1].any()  # no way round where y is not periodic


def test_faces_are_those_of_the_spheres():
    """Catches faces looked at half a voxel off, in the wrong plane, or with the wrong phase."""
    spheres = sphere(0.23, number=9)
    apertures = measure_apertures(spheres, spacing=1 / 8, samples=5)
    fine = (np.arange(40) + 0.5) / 40
    for axis in range(3):
        at = [fine, fine, fine]
        at[axis] = np.arange(9) / 8
        points = np.stack(np.meshgrid(*at, indexing="ij"), -1)
        labels = np.zeros(points.shape[:3], int)
        for phase in (1, 0):
            for centre in spheres.positions[spheres.phases == phase]:
                away = points - centre
                away -= np.round(away)
                labels[np.sum(away**2, -1) <= 0.23**2] = phase + 1
        cut = [9 if a == axis else 8 for a in range(3)]
        blocks = labels.reshape([n for a in range(3) for n in (cut[a], 1 if a == axis else 5)])
        for phase in range(3):
            expected = (blocks == phase).sum(axis=(1, 3, 5))
            assert np.array_equal(apertures.faces[axis][phase], expected)
        assert np.array_equal(
            np.take(apertures.faces[axis], 0, axis + 1), np.take(apertures.faces[axis], 8, axis + 1)
        )


def test_lines_are_those_between_the_centres():
    """Catches lines counted from faces, not centres: conductors then stand half a voxel off."""
    spheres = sphere(0.23, number=9)
    apertures = measure_apertures(spheres, spacing=1 / 8, samples=3)
    for axis in range(3):
        steps = [8, 8, 8]
        steps[axis] = 48
        fine = voxelise(spheres, spacing=tuple(1 / n for n in steps)).labels
        along = np.moveaxis(fine, axis, 0).reshape(16, 3, 8, 8)  # halves of voxels
        for phase in range(3):
            halves = (along == phase).sum(axis=1)
            expected = np.zeros((9, 8, 8), int)
            expected[1:] += halves[1::2]
            expected[:-1] += halves[::2]
            counts = np.moveaxis(apertures.lines[axis][phase], axis, 0)
            assert np.array_equal(counts, expected)


def test_fractions_agree_with_the_labels():
    """Catches points that are not spread evenly over the box."""
    spheres = sphere(0.2, number=20)
    fractions = measure_apertures(spheres, spacing=1 / 20).fractions()
    fine = voxelise(spheres, spacing=1 / 80).fractions()
    assert fractions == pytest.approx(fine, abs=5e-3)
    assert sum(fractions.values()) == pytest.approx(1)


def test_conductors_stand_in_series():
    """Catches contrast averaged the wrong way, or over what does not conduct."""
    spheres = sphere(0.25)  # its surface is on the centres' line at x = 0.25 and 0.75
    apertures = measure_apertures(spheres, spacing=0.5, samples=4)
    links = face_conductances(apertures, {"void": 1.0, "AM": 100.0}, axis="x")
    assert np.all(apertures.lines[0][1] == 0)  # no line through the centres meets the sphere
    assert np.all(links[0][1] == pytest.approx(0.5))
    line = measure_apertures(sphere(0.25), spacing=(0.5, 1.0, 1.0), samples=4)
    links = face_conductances(line, {"void": 1.0, "AM": 100.0}, axis="x")
    assert line.lines[0][1].ravel().tolist() == [0, 8, 0]
    assert links[0].ravel()[1] == pytest.approx(200.0)
    links = face_conductances(line, {"void": 1.0}, axis="x")
    assert links[0].ravel()[1] == pytest.approx(2 * line.faces[0][0, 1, 0, 0] / 16)


@pytest.mark.parametrize(
    ("conductivities", "axis", "message"),
    [
        ({"binder": 1.0}, "z", "names 'binder'"),
        ({"AM": -1.0}, "z", r"\['AM'\] = -1 S/m"),
        ({"AM": np.nan}, "z", r"\['AM'\] = nan S/m"),
        ({"AM": 0.0}, "z", r"= {'AM': 0.0}: none is above 0"),
        ({"AM": 1.0}, 2, r"axis must be one of \('x', 'y', 'z'\), got 2"),
        ({"AM": 1.0}, "w", r"axis must be one of \('x', 'y', 'z'\), got 'w'"),
    ],
)
def test_bad_input_is_named(conductivities, axis, message):
    """Catches a phase that silently insulates, and axes counted from 1."""
    apertures = measure_apertures(sphere(0.3), spacing=0.25)
    with pytest.raises(InputError, match=message):
        face_conductances(apertures, conductivities, axis=axis)


def test_background_is_no_phase_of_the_packing():
    """Catches two phases of one name."""
    with pytest.raises(InputError, match="'AM' is a phase"):
        measure_apertures(sphere(0.3), spacing=0.25, background="AM")

"""Voxels cut by spheres: pieces, faces and currents where the exact answer is known.

Worth reading: `test_lattices_at_any_contrast` in `tests/verification/test_voxel_conduction.py`.
"""

from __future__ import annotations

import math
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.packing import Packing
from femssb.voxels import conductivity, conductivity_tensor, cut_voxels, voxelise
from femssb.voxels.image import AXES


def spheres(radius, number=1, side=1.0, periodic=(True, True, True)):
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


def flat(surface):
    """Return a sphere so large that it fills a share of a box with an even surface across x."""
    side, radius = 1e-3, 0.9
    return Packing(
        positions=np.array([[side * surface - radius, side / 2, side / 2]]),
        radii=np.array([radius]),
        phases=np.zeros(1),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.full(3, side),
    )


def test_one_conductor_is_exact():
    """Catches wrong areas, distances, plates or sides: a uniform box has sigma A / L."""
    packing = spheres(0.2, number=12, periodic=(True, False, True))
    voxels = cut_voxels(packing, spacing=(1 / 4, 1 / 5, 1 / 3))
    for axis in AXES:
        found = conductivity(voxels, {"void": 2.0, "AM": 2.0, "SE": 2.0}, axis=axis)
        assert found.value == pytest.approx(2, rel=1e-5)  # single precision


def test_a_plane_in_the_way_is_exact():
    """Catches a surface that is moved to the face of a voxel: a sphere so large that it is flat.

    Two slabs in series, the surface at a place that no voxel knows, either the better conductor.
    """
    surface = 0.43
    voxels = cut_voxels(flat(surface), spacing=1e-3 / 5)
    for sigma in (1e-6, 0.1, 1.0, 10.0, 1e6):
        for contact in (0.0, 0.3, 50.0):
            found = conductivity(
                voxels,
                {"void": 1.0, "AM": sigma},
                axis="x",
                contact_resistance={("AM", "void"): 1e-3 * contact},
                tolerance=1e-6,
            )
            exact = 1 / (surface / sigma + contact + 1 - surface)
            assert found.value == pytest.approx(exact, rel=5e-4), (sigma, contact)


def test_a_plane_along_the_way_is_exact():
    """Catches a better conductor that gains or loses at its surface: two slabs in parallel."""
    surface = 0.43
    voxels = cut_voxels(flat(surface), spacing=1e-3 / 5, samples=5)
    assert voxels.fractions()["AM"] == pytest.approx(surface, abs=0.04)  # of 5 x 5 points on a face
    for sigma in (1e-6, 0.1, 1.0, 10.0, 1e6):
        found = conductivity(voxels, {"void": 1.0, "AM": sigma}, axis="z", tolerance=1e-6)
        on_faces = voxels.faces[voxels.phase == 1, 4].sum() / 25 / 125
        exact = on_faces * sigma + 1 - on_faces
        assert found.value == pytest.approx(exact, rel=5e-4), sigma


def test_faces_are_those_of_the_spheres():
    """Catches faces looked at half a voxel off, in the wrong plane, or with the wrong phase."""
    packing = spheres(0.23, number=9)
    voxels = cut_voxels(packing, spacing=1 / 8, samples=5)
    fine = (np.arange(40) + 0.5) / 40
    for axis in range(3):
        at = [fine, fine, fine]
        at[axis] = np.arange(9) / 8
        points = np.stack(np.meshgrid(*at, indexing="ij"), -1)
        labels = np.zeros(points.shape[:3], int)
        for phase in (1, 0):
            for centre in packing.positions[packing.phases == phase]:
                away = points - centre
                away -= np.round(away)
                labels[np.sum(away**2, -1) <= 0.23**2] = phase + 1
        cut = [9 if a == axis else 8 for a in range(3)]
        blocks = labels.reshape([n for a in range(3) for n in (cut[a], 1 if a == axis else 5)])
        for phase in range(3):
            expected = (blocks == phase).sum(axis=(1, 3, 5))
            for side, kept in ((0, slice(0, 8)), (1, slice(1, 9))):
                here = voxels.phase == phase
                counted = np.bincount(
                    voxels.voxel[here], voxels.faces[here, 2 * axis + side], minlength=512
                ).reshape(8, 8, 8)
                wanted = np.moveaxis(np.moveaxis(expected, axis, 0)[kept], 0, axis)
                assert np.array_equal(counted, wanted)


def test_pieces_fit_together():
    """Catches pieces without a partner, and areas that do not close: the divergence theorem."""
    packing = spheres(0.23, number=9)
    voxels = cut_voxels(packing, spacing=1 / 8)
    assert np.array_equal(voxels.labels, voxelise(packing, spacing=1 / 8).labels)
    for axis in range(3):
        crossing = voxels.faces[:, 2 * axis + 1] > 0
        above = voxels.above[crossing, axis]
        assert np.all(above >= 0)
        assert np.all(voxels.above[~crossing, axis] == -1)
        assert np.array_equal(voxels.body[above], voxels.body[crossing])
        assert np.array_equal(voxels.faces[above, 2 * axis], voxels.faces[crossing, 2 * axis + 1])
    sphere = cut_voxels(spheres(0.3), spacing=1 / 20)
    assert sphere.areas.sum() == pytest.approx(4 * np.pi * 0.3**2, rel=0.01)


def test_fractions_agree_with_the_labels():
    """Catches points that are not spread evenly over the box."""
    packing = spheres(0.2, number=20)
    fractions = cut_voxels(packing, spacing=1 / 20).fractions()
    fine = voxelise(packing, spacing=1 / 80).fractions()
    assert fractions == pytest.approx(fine, abs=3e-3)
    assert sum(fractions.values()) == pytest.approx(1)


def test_a_gap_within_a_voxel_insulates():
    """Catches two spheres that are one conductor because one voxel holds both surfaces."""
    packing = Packing(
        positions=np.array([[0.27, 0.28, 0.26], [0.73, 0.72, 0.74]]),
        radii=np.full(2, 0.39),
        phases=np.zeros(2),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.ones(3),
    )
    gap = np.linalg.norm(np.diff(packing.positions, axis=0)) - 2 * 0.39
    assert 0 < gap < 0.1
    for spacing in (1 / 5, 1 / 10, 1 / 20):
        voxels = cut_voxels(packing, spacing=spacing)
        assert not conductivity(voxels, {"AM": 1.0}, axis="x").percolates
        found = conductivity(voxels, {"AM": 1e6, "void": 1.0}, axis="x")
        assert found.value < 100


@pytest.mark.parametrize(
    ("radius", "exact"), [(0.501, 0.0585), (0.505, 0.1303), (0.515, 0.2258), (0.56, 0.4791)]
)
def test_necks_of_overlapping_spheres(radius, exact):
    """Catches two spheres joined by the gap around their neck, or cut off where a voxel holds it.

    A chain of overlapping spheres, of which half a period is solved; necks of 0.2 to 4 voxels of
    radius. Exact: the limit of up to 96 voxels to that half. The spheres touch within a voxel, or
    on the faces of voxels where their number is even.
    """
    for place in (-0.03, 0.0):
        packing = Packing(
            positions=np.array([[0.37, 0.41, z] for z in (place, place + 1, place + 2)]),
            radii=np.full(3, radius),
            phases=np.zeros(3),
            phase_names=("AM",),
            lower=np.zeros(3),
            upper=np.ones(3),
            periodic=(True, True, False),
        )
        for cells in (6, 8, 11, 16):
            found = conductivity(cut_voxels(packing, spacing=1 / cells), {"AM": 1.0})
            assert found.value == pytest.approx(exact, rel=0.06), (place, cells)


def two_spheres(radius, direction, middle):
    """Return two spheres at a distance of 1, of different phases, cut off by a cube of edge 1."""
    half = np.array(direction) / np.linalg.norm(direction) / 2
    return Packing(
        positions=np.array([middle - half, middle + half]),
        radii=np.full(2, radius),
        phases=np.arange(2),
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.ones(3),
        periodic=(False, False, False),
    )


ON_THE_GRID = {  # of 10 voxels: where the middle of the neck lies
    "face": [0.55, 0.55, 0.5],
    "next to a face": [0.52, 0.57, 0.502],
    "edge": [0.5, 0.55, 0.5],
    "corner": [0.5, 0.5, 0.5],
    "centre": [0.55, 0.55, 0.55],
}


@pytest.mark.parametrize("direction", [(0, 0, 1), (1, 1, 1)])
@pytest.mark.parametrize("place", ["face", "next to a face", "corner"])
def test_a_neck_may_lie_anywhere_on_the_grid(place, direction):
    """Catches a neck that is lost, or conducts as a pipe of its width, where it lies on a face.

    The spheres conduct alike or not, with and without contact resistance. Held against 2.7 times
    finer voxels, on which no neck lies on a face; the neck has a radius of 1.2 coarse voxels.
    """
    packing = two_spheres(0.515, direction, np.array(ON_THE_GRID[place]))
    coarse, fine = (cut_voxels(packing, spacing=1 / number) for number in (10, 27))
    for sigma, contact in ((1.0, 0.0), (0.1, 0.0), (1.0, 0.3), (10.0, 0.3)):
        found, exact = (
            conductivity(
                voxels,
                {"AM": 1.0, "SE": sigma},
                contact_resistance={("AM", "SE"): contact},
                tolerance=1e-3,
            ).value
            for voxels in (coarse, fine)
        )
        assert found == pytest.approx(exact, rel=0.1), (sigma, contact)


@pytest.mark.parametrize(("radius", "cells", "exact"), [(0.78, 6, 0.8392), (0.86, 4, 0.9763)])
def test_wide_overlaps_are_no_necks(radius, cells, exact):
    """Catches pieces that conduct as widely as they meet though other spheres fill the face.

    A face-centred lattice of conductors that overlap, an eighth of its cell. Exact: the limit of 8
    times finer voxels. Such packings were 2 to 4 % too good.
    """
    packing = Packing(
        positions=np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], float),
        radii=np.full(4, radius),
        phases=np.zeros(4),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.ones(3),
    )
    found = conductivity(cut_voxels(packing, spacing=1 / cells), {"AM": 1.0})
    assert found.value == pytest.approx(exact, rel=0.015)


@pytest.mark.parametrize(("radius", "exact"), [(0.505, 0.1303), (0.515, 0.2258), (0.56, 0.4791)])
def test_discs_on_the_plates(radius, exact):
    """Catches a sphere that meets a plate through a pipe of the width of the disc.

    As the chain above: its mirror planes are the plates here.
    """
    packing = Packing(
        positions=np.array([[0.37, 0.41, 0.5]]),
        radii=np.array([radius]),
        phases=np.zeros(1),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.ones(3),
        periodic=(True, True, False),
    )
    for cells in (6, 8, 11, 16):
        found = conductivity(cut_voxels(packing, spacing=1 / cells), {"AM": 1.0})
        assert found.value == pytest.approx(exact, rel=0.06), cells


@pytest.mark.parametrize("direction", [(0, 0, 1), (0, 1, 3), (1, 1, 1)])
def test_spheres_that_all_but_touch(direction):
    """Catches a neck that slips through the points on faces, and a point that conducts.

    A neck of radius a, however narrow, has the resistance 1 / (2 sigma a) (Holm).
    """
    for place in ON_THE_GRID.values():
        for radius in (0.4999, 0.5):
            voxels = cut_voxels(two_spheres(radius, direction, np.array(place)), spacing=0.1)
            assert not conductivity(voxels, {"AM": 1.0, "SE": 1.0}).percolates
            around = conductivity(voxels, {"AM": 1.0, "SE": 1.0, "void": 0.01})
            assert 0.05 < around.value < 0.1  # a point adds nothing to what goes round it
        for radius in (0.5000001, 0.50001):
            voxels = cut_voxels(two_spheres(radius, direction, np.array(place)), spacing=0.1)
            found = conductivity(voxels, {"AM": 1.0, "SE": 1.0})
            holm = 2 * math.sqrt(radius**2 - 0.25)
            assert found.value == pytest.approx(holm, rel=0.25)


def test_ranks_do_not_matter(comm: MPI.Intracomm) -> None:
    """Catches pieces lost or counted twice where the planes of two ranks meet."""
    voxels = cut_voxels(spheres(0.2, number=20), spacing=1 / 12)
    options: Any = {"contact_resistance": {("AM", "SE"): 0.1}, "tolerance": 1e-10, "maps": True}
    for axis in AXES:
        for sigma in ({"void": 0.1, "AM": 1.0, "SE": 20.0}, {"AM": 1.0, "SE": 2.0}):
            alone = conductivity(voxels, sigma, axis=axis, **options)
            shared = conductivity(voxels, sigma, axis=axis, comm=comm, **options)
            assert shared.value == pytest.approx(alone.value, rel=1e-7)
            assert shared.row == pytest.approx(alone.row, abs=1e-6 * alone.value)
            assert shared.maps is not None
            assert alone.maps is not None
            assert shared.maps.potential == pytest.approx(
                alone.maps.potential, abs=1e-4, nan_ok=True
            )


def test_axes_and_mirrors_do_not_matter():
    """Catches an axis treated otherwise than the others."""
    packing = spheres(0.2, number=15)
    sigma = {"void": 0.3, "AM": 5.0, "SE": 1.0}
    contacts = {("AM", "SE"): 0.2, ("AM", "void"): 0.01}
    options: Any = {"contact_resistance": contacts, "tolerance": 1e-7}
    first = conductivity(cut_voxels(packing, spacing=1 / 10), sigma, axis="x", **options)
    turned = Packing(
        positions=1 - packing.positions[:, [1, 2, 0]],
        radii=packing.radii,
        phases=packing.phases,
        phase_names=packing.phase_names,
        lower=packing.lower,
        upper=packing.upper,
        periodic=packing.periodic,
    )
    second = conductivity(cut_voxels(turned, spacing=1 / 10), sigma, axis="z", **options)
    assert second.value == pytest.approx(first.value, rel=1e-5)


def test_an_insulator_is_the_limit_of_poor_conductors():
    """Catches a jump at zero, and a conductivity that falls where a phase conducts better."""
    voxels = cut_voxels(spheres(0.22, number=12), spacing=1 / 10)
    ratios = [0.0, 1e-12, 1e-9, 1e-6, 1e-4, 1e-2, 0.1, 0.5, 1.0, 2.0, 10.0, 1e3, 1e6]
    for poor in ("AM", "void"):
        fixed = {"void": 1.0, "AM": 1.0, "SE": 0.2}
        values = [
            conductivity(voxels, fixed | {poor: ratio}, tolerance=1e-8).value for ratio in ratios
        ]
        assert values[1] == pytest.approx(values[0], rel=1e-6)
        assert np.all(np.diff(values) > -1e-6 * np.array(values[1:]))


def test_contact_from_none_to_infinite():
    """Catches a contact that jumps, or that leaves something through when it is very large."""
    voxels = cut_voxels(spheres(0.3), spacing=1 / 10)
    resistances = [0.0, 1e-6, 1e-3, 0.1, 1.0, 10.0, 1e3, 1e9]
    values = [
        conductivity(
            voxels,
            {"void": 1.0, "AM": 5.0},
            contact_resistance={("AM", "void"): resistance},
            tolerance=1e-8,
        ).value
        for resistance in resistances
    ]
    assert np.all(np.diff(values) < 1e-6)
    assert values[1] == pytest.approx(values[0], rel=1e-4)
    alone = conductivity(voxels, {"void": 1.0}, tolerance=1e-8).value
    assert values[-1] == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("number", [0, 1])
def test_one_body_alone(number):
    """Catches a box in which nothing meets: no sphere, or one that holds all of it."""
    packing = Packing(
        positions=np.full((number, 3), 0.5),
        radii=np.full(number, 2.0),
        phases=np.zeros(number),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.ones(3),
    )
    found = conductivity(cut_voxels(packing, spacing=0.25), {("void", "AM")[number]: 3.0})
    assert found.value == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("overlap", [1e-9, 1e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("off", [0.0, 0.013])
def test_plates_that_cut_spheres_in_narrow_discs(periodic, overlap, off):
    """Catches a disc between the points of a face: the two spheres would not conduct at all.

    One neck and two halves of one in series, each of 1 / (2 s a), as Holm has it.
    """
    radius = 0.25 * (1 + overlap)
    packing = Packing(
        positions=np.array([[0.5 + off, 0.5 + off / 2, z] for z in (0.25, 0.75)]),
        radii=np.full(2, radius),
        phases=np.zeros(2),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.ones(3),
        periodic=(periodic,) * 3,
    )
    disc = math.sqrt(radius**2 - 0.25**2)
    for spacing in (1 / 8, 1 / 16):
        found = conductivity(cut_voxels(packing, spacing=spacing), {"AM": 1.0})
        assert found.value == pytest.approx(disc, rel=0.2)


def test_contrasts_beyond_single_precision():
    """Catches a matrix that is lost beside spheres that conduct 1e100 times as well."""
    voxels = cut_voxels(spheres(0.3), spacing=0.1)
    perfect = conductivity(voxels, {"void": 1.0, "AM": 1e9}).value
    for sigma in (1e15, 1e31, 1e100):
        found = conductivity(voxels, {"void": 1.0, "AM": sigma}).value
        assert found == pytest.approx(perfect, rel=1e-3)
        tensor = conductivity_tensor(
            voxelise(spheres(0.3), spacing=0.1), {"void": 1.0, "AM": sigma}
        )
        assert tensor.along[0].value == pytest.approx(perfect, rel=0.1)


@pytest.mark.filterwarnings("error")
def test_extremes_do_not_overflow():
    """Catches a number that overflows, becomes NaN, and a wall of it."""
    voxels = cut_voxels(spheres(0.3), spacing=0.1)
    alone = conductivity(voxels, {"void": 1.0}).value
    for sigma, contact in ((1e-300, 0.0), (1e-300, 1e300), (1.0, 1e300)):
        found = conductivity(
            voxels,
            {"void": 1.0, "AM": sigma},
            contact_resistance={("AM", "void"): contact},
        )
        assert found.value == pytest.approx(alone, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing": -1.0}, "spacing = -1 m"),
        ({"spacing": 0.25, "samples": 9}, "samples = 9"),
        ({"spacing": 0.25, "background": "AM"}, "'AM' is a phase"),
        ({"spacing": 0.25, "priority": ("AM",)}, "must name every phase"),
    ],
)
def test_bad_input_is_named(options, message):
    """Catches two phases of one name, and a grid that cannot be."""
    with pytest.raises(InputError, match=message):
        cut_voxels(spheres(0.3), **options)


def test_sides_are_those_of_the_packing():
    """Catches faces joined across a side where the spheres do not continue."""
    voxels = cut_voxels(spheres(0.3, periodic=(False, False, False)), spacing=0.25)
    with pytest.raises(InputError, match="the cut voxels are not"):
        conductivity(voxels, {"void": 1.0}, sides="periodic")

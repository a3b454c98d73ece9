"""Wrong answers of a conduction: a path found where none is, a name taken for another.

A conductivity goes straight into the half-cell, and nobody sees the image again. Worth reading:
`test_clusters_that_reach_one_plate_carry_nothing` and `test_conventions_of_tortuosity`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from femssb.errors import InputError, NotConverged
from femssb.units import um
from femssb.voxels.conduct import conjugate_gradients
from femssb.voxels.conduct.conduction import Conduction, conductivity, conductivity_tensor
from femssb.voxels.conduct.extrapolation import extrapolate
from femssb.voxels.image import VoxelImage


def image(labels: Any, *, names: tuple[str, ...] = ("void", "SE"), **options: Any) -> VoxelImage:
    settings = {"spacing": (um, um, um), "phase_names": names, **options}
    return VoxelImage(labels=np.asarray(labels, np.uint8), **settings)


def grainy(shape: tuple[int, int, int], shares: tuple[float, ...], seed: int = 0) -> NDArray[Any]:
    """Return labels of blobs with given cumulative shares, periodic on all sides."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1.5, mode="wrap")
    return np.digitize(field, np.quantile(field, shares)).astype(np.uint8)


@pytest.fixture(scope="module")
def three_phases() -> VoxelImage:
    """20 % void, 35 % AM, 45 % SE in voxels of three different edges, periodic."""
    return image(
        grainy((23, 20, 18), (0.2, 0.55)),
        names=("void", "AM", "SE"),
        spacing=(um, 2 * um, 1.5 * um),
        periodic=(True, True, True),
    )


def test_clusters_that_reach_one_plate_carry_nothing() -> None:
    """Would catch dead ends or floating grains that are taken for a path: no solver converges."""
    labels = np.zeros((8, 8, 8))
    labels[2, 2, :] = 1  # the only path along z, an 8 x 8 th of the area
    labels[5, 5, :6] = 1  # a dead end at the lower plate
    labels[6:, 1, 3] = 1  # afloat
    found = conductivity(image(labels), {"SE": 2.0})
    assert found.percolates
    assert found.cost.nodes == 8
    assert found.value == pytest.approx(2.0 / 64, rel=1e-12)


def test_paths_round_a_periodic_side_count() -> None:
    """Would catch clusters that are labelled without the periodic sides."""
    labels = np.zeros((6, 1, 6))
    labels[5, 0, :4] = 1
    labels[0, 0, 3:] = 1  # they meet only across the sides in x
    alone = conductivity(image(labels), {"SE": 1.0})
    joined = conductivity(image(labels), {"SE": 1.0}, sides="periodic")
    assert not alone.percolates
    assert joined.percolates
    assert joined.value == pytest.approx(6 / 7 / 6, rel=1e-6)  # 4 + 3 voxels, one step sideways


def test_no_path_gives_zero_without_a_solve() -> None:
    """Would catch a solve of a singular network, or a tortuosity of 0 or below."""
    labels = np.ones((4, 4, 6))
    labels[:, :, 3] = 0
    found = conductivity(image(labels), {"SE": 1.0}, maps=True)
    assert not found.percolates
    assert (found.value, found.error, found.cost.iterations) == (0.0, 0.0, 0)
    assert math.isinf(found.tortuosity().tau_squared)
    assert math.isinf(found.tortuosity().tau_of_solid)
    assert found.maps is not None
    assert np.isnan(found.maps.potential).all()
    assert "nothing conducts from plate to plate" in str(found)
    assert "iterations" not in found.cost.times


def test_conventions_of_tortuosity() -> None:
    """Would catch tau given for tau^2, or a share of the wrong volume: a factor of 1.2 to 2."""
    labels = np.zeros((10, 10, 5))
    labels[:5] = 1  # SE
    labels[5:7] = 2  # void
    picture = image(labels, names=("AM", "SE", "void"))
    found = conductivity(picture, {"SE": 3.0, "AM": 1.0})
    assert found.value == pytest.approx(0.5 * 3.0 + 0.3 * 1.0, rel=1e-7)  # single precision
    best = found.tortuosity()
    assert (best.phase, best.bulk, best.fraction) == ("SE", 3.0, 0.5)
    assert best.fraction_of_solid == pytest.approx(0.5 / 0.8)
    assert best.formation_factor == pytest.approx(3.0 / 1.8)
    assert best.tau_squared == pytest.approx(0.5 * 3.0 / 1.8)
    assert best.tau == pytest.approx(math.sqrt(best.tau_squared))
    assert best.tau_squared_of_solid == pytest.approx(0.5 / 0.8 * 3.0 / 1.8)
    assert best.tau_of_solid == pytest.approx(math.sqrt(best.tau_squared_of_solid))
    assert found.tortuosity("AM").tau_squared == pytest.approx(0.3 * 1.0 / 1.8)
    assert found.tortuosity(void="AM").fraction_of_solid == pytest.approx(0.5 / 0.7)
    for phase in ("void", "LPS"):
        with pytest.raises(InputError, match=f"'{phase}' does not conduct"):
            found.tortuosity(phase)
    pores = conductivity(picture, {"void": 1.0})
    assert pores.tortuosity().tau_squared == pytest.approx(1.0)
    assert math.isnan(pores.tortuosity().tau_squared_of_solid)
    assert "1.8 S/m" in str(found)
    assert "tau^2  0.8333   tau  0.9129   (SE, void included)" in str(found)
    assert "1.042   tau  1.021   (SE, without void)" in str(found)
    assert "without void" not in str(pores)


def test_what_was_assumed_is_in_the_result(three_phases: VoxelImage) -> None:
    """Would catch results that cannot be compared, as nobody knows their sides and plates."""
    found = conductivity(three_phases, {"SE": 1.0}, axis="y")
    assert found.sides == ("periodic", "plates", "periodic")
    assert "outer faces" in str(found)
    closed = conductivity(three_phases, {"SE": 1.0}, axis="y", sides="insulating")
    assert closed.sides == ("insulating", "plates", "insulating")
    assert closed.value < found.value  # walls only take paths away


def test_the_error_is_proven(three_phases: VoxelImage) -> None:
    """Would catch a bound that the exact value lies outside of, or that is far too wide."""
    conductivities = {"SE": 1.0, "AM": 1e-3}
    exact = conductivity(three_phases, conductivities, tolerance=1e-9).value
    for tolerance in (1e-2, 1e-3, 1e-4):
        found = conductivity(three_phases, conductivities, tolerance=tolerance)
        assert abs(found.value - exact) <= found.error + 1e-9 * exact
        assert found.error <= tolerance * found.value
        upper = found.value + found.error / 5  # of two bounds 1.2 times the error apart
        assert exact <= upper * (1 + 1e-9)
        assert 1.2 * found.error <= 30 * (upper - exact)


def test_the_value_is_better_than_the_middle_of_its_bounds() -> None:
    """Would catch a value between the bounds where the truth is not: it is near the upper one."""
    near, middle = [], []
    for seed, sigma in ((1, {"SE": 1.0}), (2, {"SE": 1.0, "AM": 1e-3}), (3, {"SE": 1, "AM": 30.0})):
        labels = grainy((24, 20, 22), (0.2, 0.55), seed)
        voxels = image(labels, names=("void", "AM", "SE"), periodic=(True, True, True))
        exact = conductivity(voxels, sigma, tolerance=1e-9).value
        for tolerance in (1e-1, 1e-2, 1e-3):
            found = conductivity(voxels, sigma, tolerance=tolerance)
            near.append(abs(found.value / exact - 1))
            middle.append(abs((found.value - 0.4 * found.error) / exact - 1))
    assert np.mean(np.less(near, middle)) > 0.7
    assert np.median(near) < 0.6 * np.median(middle)


def test_a_solve_that_does_not_converge_raises(
    three_phases: VoxelImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch a value returned as if it were converged."""
    monkeypatch.setattr(conjugate_gradients, "MOST_STEPS", 2)
    with pytest.raises(NotConverged, match="after 2 iterations"):
        conductivity(three_phases, {"SE": 1.0}, tolerance=1e-10)


@pytest.mark.parametrize(
    "axis",
    [
        pytest.param("x", marks=pytest.mark.mpi(ranks=2)),
        pytest.param("z", marks=pytest.mark.mpi),
    ],
)
def test_any_number_of_ranks_gives_the_same(
    three_phases: VoxelImage, comm: MPI.Intracomm, axis: Any
) -> None:
    """Would catch a link lost or doubled between ranks, or clusters not joined across them."""
    options: dict[str, Any] = {
        "axis": axis,
        "tolerance": 1e-9,
        "contact_resistance": {("SE", "AM"): 1e-5},
        "maps": True,
    }
    conductivities = {"SE": 1.0, "AM": 0.01}
    alone = conductivity(three_phases, conductivities, **options)
    shared = conductivity(three_phases, conductivities, comm=comm, **options)
    assert shared.cost.ranks == comm.size
    assert shared.cost.nodes == alone.cost.nodes
    assert shared.value == pytest.approx(alone.value, rel=1e-8)
    np.testing.assert_allclose(shared.row, alone.row, atol=1e-5 * alone.value)
    assert shared.maps is not None
    assert alone.maps is not None
    np.testing.assert_allclose(shared.maps.potential, alone.maps.potential, atol=1e-4)
    np.testing.assert_allclose(
        shared.maps.current_density,
        alone.maps.current_density,
        atol=1e-3 * alone.value / (30 * um),
    )
    assert len(set(comm.allgather(shared.value))) == 1


@pytest.mark.mpi
def test_a_path_that_winds_through_all_ranks(comm: MPI.Intracomm) -> None:
    """Would catch clusters that are joined across one slab boundary but not back over another."""
    labels = np.zeros((6, 1, 12))
    labels[0, 0, :10] = 1
    labels[:3, 0, 9] = 1
    labels[2, 0, 2:10] = 1
    labels[2:5, 0, 2] = 1
    labels[4, 0, 2:] = 1
    found = conductivity(image(labels), {"SE": 1.0}, comm=comm)
    assert found.percolates
    assert found.cost.nodes == np.count_nonzero(labels)
    labels[3, 0, 2] = 0
    assert not conductivity(image(labels), {"SE": 1.0}, comm=comm).percolates


def test_maps_belong_to_the_value(three_phases: VoxelImage) -> None:
    """Would catch maps in another order or scale, or a current that does not run downhill."""
    found = conductivity(three_phases, {"SE": 2.0}, axis="y", tolerance=1e-8, maps=True)
    assert found.maps is not None
    potential, density = found.maps.potential, found.maps.current_density
    assert potential.shape == three_phases.shape
    assert np.count_nonzero(~np.isnan(potential)) == found.cost.nodes
    assert not density[np.isnan(potential)].any()
    layers = np.nanmean(potential, axis=(0, 2))
    assert np.all(np.diff(layers) < 0)
    assert layers[0] > 0.9
    assert layers[-1] < 0.1
    length = three_phases.lengths[1]
    np.testing.assert_allclose(density.mean(axis=(0, 1, 2)) * length, found.row, rtol=1e-4)
    through = density[..., 1].mean(axis=(0, 2)) * length
    np.testing.assert_allclose(through, found.value, rtol=1e-3)  # the same through every plane
    assert found.flux_imbalance < 1e-4


def test_faces_that_say_what_the_labels_say(three_phases: VoxelImage) -> None:
    """Would catch face conductances taken in another order, place or unit than documented."""
    sigma = np.array([0.0, 0.5, 2.0])[three_phases.labels]
    spacing = np.array(three_phases.spacing)
    for flux, axis in enumerate(("x", "y", "z")):
        faces = []
        for across in range(3):
            half = np.full(sigma.shape, np.inf)
            np.divide(spacing[across], 2 * sigma, out=half, where=sigma > 0)
            area = spacing.prod() / spacing[across]
            face = area / (half + np.roll(half, -1, axis=across))
            if across == flux:
                plates = np.moveaxis(area / half, across, 0)
                inner = np.moveaxis(face, across, 0)[:-1]
                face = np.moveaxis(np.concatenate([plates[:1], inner, plates[-1:]]), 0, across)
            faces.append(face)
        conductivities = {"SE": 2.0, "AM": 0.5}
        labelled = conductivity(three_phases, conductivities, axis=axis, tolerance=1e-7)
        given = conductivity(three_phases, conductivities, axis=axis, tolerance=1e-7, faces=faces)
        assert given.value == pytest.approx(labelled.value, rel=1e-6)


def test_the_tensor_of_an_inclined_laminate() -> None:
    """Would catch rows taken for columns, or axes in another order, in the off-diagonal terms."""
    x, _, z = np.indices((24, 4, 24))
    picture = image(((x + z) // 4) % 2, spacing=(um, um, um), periodic=(True, True, True))
    found = conductivity_tensor(picture, {"void": 1.0, "SE": 0.2}, tolerance=1e-6)
    series, parallel = 1 / (0.5 / 1.0 + 0.5 / 0.2), 0.6
    # Layers across (1, 0, 1): less than the mean of both along x and z, and skewed towards -x.
    assert found.value[1, 1] == pytest.approx(parallel, rel=1e-6)
    assert series < found.value[0, 0] < (series + parallel) / 2 * 1.1
    assert found.value[0, 0] == pytest.approx(found.value[2, 2], rel=1e-5)
    assert found.value[0, 2] == pytest.approx(found.value[2, 0], rel=1e-3)
    assert found.value[0, 2] < -0.05
    np.testing.assert_allclose(found.value[1, [0, 2]], 0, atol=1e-9)
    assert found.asymmetry < 1e-3
    assert [part.axis for part in found.along] == ["x", "y", "z"]


@pytest.mark.parametrize("contact", [0.0, 0.3])
def test_the_tensor_shares_its_hierarchy(contact: float) -> None:
    """Would catch plates, floating clusters or maps of one axis that leak into another's solve.

    A cluster leads from plate to plate along x alone, one along y alone, and some along none.
    """
    labels = (np.random.default_rng(8).random((9, 8, 10)) < 0.45).astype(int)
    labels[:, :2] = labels[:2] = labels[:, :, :2] = 0
    labels[:, 0, 0] = labels[0, :, -1] = labels[4, 4, 4] = 1
    split = labels * (1 + (np.indices(labels.shape)[0] > 4))
    picture = image(split, names=("void", "SE", "AM"))
    options = {"tolerance": 1e-9, "maps": True, "sides": "insulating"}
    options["contact_resistance"] = {("SE", "AM"): contact * um}
    sigma = {"SE": 1.0, "AM": 0.1}
    together = conductivity_tensor(picture, sigma, **options)
    for found in together.along:
        alone = conductivity(picture, sigma, axis=found.axis, **options)
        np.testing.assert_allclose(found.row, alone.row, rtol=1e-6, atol=1e-9)
        assert found.cost.nodes == alone.cost.nodes
        assert found.sides == alone.sides
        for one, other in (
            (found.maps.potential, alone.maps.potential),
            (found.maps.current_density * um, alone.maps.current_density * um),
        ):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    nodes = [found.cost.nodes for found in together.along]
    assert min(nodes[:2]) > 0
    assert nodes[2] == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("pair", [(1.0, 1e-300), (1e-150, 1e-305), (1e200, 1e-200), (1e200, 1e200)])
def test_extreme_conductivities_do_not_overflow(pair: tuple[float, float]) -> None:
    """Catches a conductance that becomes infinite, NaN, or wakes an insulator."""
    whole = image(grainy((8, 9, 10), (0.3,)))
    best, least = max(pair), min(pair)
    expected = best if least == best else best * conductivity(whole, {"SE": 1.0}).value
    found = conductivity(whole, {"SE": pair[0], "void": pair[1]})
    assert found.value == pytest.approx(expected, rel=1e-4)
    for sigma in (5e-324, 1e201):
        with pytest.raises(InputError, match="S/m"):
            conductivity(whole, {"SE": sigma})


def made_up(value: float, size: float, error: float = 0.0) -> Conduction:
    """Return a result of a given value and voxel size, all else being of no matter."""
    known = conductivity(image(np.ones((2, 2, 2), dtype=int)), {"SE": 1.0})
    return replace(known, value=value, error=error, spacing=(size,) * 3)


def test_extrapolation_of_what_does_not_conduct() -> None:
    """Would catch a claim about an image in which no path is left: coarse voxels close it."""
    results = [made_up(value, h * um) for value, h in ((0.0, 1.0), (0.2, 0.5), (0.3, 0.25))]
    assert math.isnan(extrapolate(results).uncertainty)
    assert extrapolate([made_up(0.0, h * um) for h in (1.0, 0.5)]).value == 0


def test_images_too_coarse_are_left_out() -> None:
    """Catches a limit that is drawn away by a grid whose voxels join spheres that do not touch."""
    values = (30.0, 1.02, 1.01, 1.005)
    results = [
        made_up(value, h * um) for value, h in zip(values, (1, 0.5, 0.25, 0.125), strict=True)
    ]
    assert extrapolate(results).value == extrapolate(results[1:]).value
    assert extrapolate(results).uncertainty == extrapolate(results[1:]).uncertainty
    assert math.isnan(extrapolate(results[:3]).uncertainty)
    assert extrapolate(results[:3]).value == pytest.approx(1.0)
    alone = extrapolate([made_up(0.0, um), made_up(0.3, 0.5 * um)])
    assert alone.value == 0.3
    assert math.isnan(alone.discretisation_error)


def test_extrapolation_of_two_kinds_of_voxels() -> None:
    """Would catch changes that come from another kind of voxels, not from their size."""
    results = [made_up(1.0, h * um) for h in (1.0, 0.5, 0.25)]
    with pytest.raises(InputError, match="all be cut, or all be whole"):
        extrapolate([results[0], results[1], replace(results[2], voxels="cut")])


def test_extrapolation_of_a_regular_error() -> None:
    """Would catch the wrong sign or ratio: the result would be worse than the finest value."""
    results = [made_up(1.0 + 0.2 * h, h * um, error=1e-3) for h in (1.0, 0.5, 0.25)]
    two, three = extrapolate(results[1:]), extrapolate(results)
    assert two.value == pytest.approx(1.0, rel=1e-12)
    assert three.value == pytest.approx(1.0, rel=1e-12)
    assert math.isnan(two.uncertainty)
    assert "error not estimated" in str(two)
    assert two.discretisation_error == pytest.approx(0.05)
    assert three.order == pytest.approx(1.0, rel=1e-6)
    assert abs(three.value - 1.0) < three.uncertainty
    assert three.uncertainty > extrapolate([replace(r, error=0.0) for r in results]).uncertainty
    third = extrapolate([made_up(1 + h**2, h * um) for h in (0.9, 0.6, 0.5)])
    assert third.order == pytest.approx(2.0, rel=1e-6)

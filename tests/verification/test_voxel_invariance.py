"""If these fail, a conductivity depends on what it must not: axes, names, ranks, or breaks a bound.

Worth reading: `test_bounds_are_never_violated`, on images that nobody would think of.
"""

from __future__ import annotations

import math

from mpi4py import MPI

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import spsolve

from femssb.electrode import packing_conductivity
from femssb.packing import Packing
from femssb.voxels import VoxelImage, conductivity, extrapolate, find_clusters, voxelise

NAMES = ("void", "AM", "SE")
SIDES = st.tuples(st.booleans(), st.booleans(), st.booleans())


@st.composite
def images(draw):
    """Draw an image of up to three phases on a small grid with voxels of any shape."""
    shape = draw(st.tuples(*[st.integers(2, 7)] * 3))
    seed = draw(st.integers(0, 2**32 - 1))
    shares = draw(st.lists(st.floats(0.05, 1), min_size=3, max_size=3))
    labels = np.random.default_rng(seed).choice(3, shape, p=np.array(shares) / sum(shares))
    edges = draw(st.tuples(*[st.sampled_from([0.5e-6, 1e-6, 2e-6])] * 3))
    return VoxelImage(
        labels=labels.astype(np.uint8), phase_names=NAMES, spacing=edges, periodic=draw(SIDES)
    )


CONDUCTIVITIES = st.tuples(*[st.sampled_from([0.0, 1e-6, 1e-3, 0.1, 1.0, 30.0])] * 3).filter(any)


def present(image, values):
    """Return the conductivities of the phases that an image has."""
    shares = image.fractions()
    return {name: v for name, v in zip(NAMES, values, strict=True) if shares[name] > 0}


@settings(max_examples=100, deadline=None)
@given(image=images(), values=CONDUCTIVITIES, axis=st.sampled_from("xyz"), more=st.floats(1, 100))
def test_bounds_are_never_violated(image, values, axis, more):
    """Catches a value outside Wiener's bounds, or that falls when a phase conducts better."""
    sigma = present(image, values)
    if not any(sigma.values()):
        return
    share = image.fractions()
    found = conductivity(image, sigma, axis=axis)
    upper = sum(share[name] * value for name, value in sigma.items())
    inverse = [math.inf if v == 0 else share[name] / v for name, v in sigma.items()]
    slack = 1 + 1e-6  # conductances are stored in single precision
    assert found.value - found.error <= upper * slack
    assert (found.value + found.error) * slack >= 1 / sum(inverse)
    assert found.percolates == (found.value > 0) == math.isfinite(found.tortuosity().tau_squared)
    best = max(sigma, key=sigma.__getitem__)
    better = conductivity(image, {**sigma, best: more * sigma[best]}, axis=axis)
    assert better.value + better.error >= (found.value - found.error) / slack


@settings(max_examples=25, deadline=None)
@given(image=images(), values=CONDUCTIVITIES, shift=st.integers(0, 2), flip=st.integers(0, 2))
def test_axes_and_mirrors_do_not_matter(image, values, shift, flip):
    """Catches an axis, a spacing or a side taken for another."""
    sigma = present(image, values)
    if not any(sigma.values()):
        return
    order = [(axis + shift) % 3 for axis in range(3)]
    turned = VoxelImage(
        labels=np.flip(np.transpose(image.labels, order), axis=flip),
        phase_names=NAMES,
        spacing=tuple(image.spacing[axis] for axis in order),
        periodic=tuple(image.periodic[axis] for axis in order),
    )
    contacts = {("AM", "SE"): 1e-6}
    for tolerance, resistance in ((1e-9, None), (1e-6, contacts)):
        options = {"tolerance": tolerance, "contact_resistance": resistance}
        one = conductivity(image, sigma, axis="xyz"[order[2]], **options)
        other = conductivity(turned, sigma, axis="z", **options)
        assert other.value == pytest.approx(one.value, rel=10 * tolerance, abs=1e-300)
        assert other.cost.nodes == one.cost.nodes


@settings(max_examples=25, deadline=None)
@given(image=images(), values=CONDUCTIVITIES, axis=st.sampled_from("xyz"))
def test_against_a_matrix_of_every_voxel(image, values, axis):
    """Catches a link in the wrong place or strength: the same by a direct solve of all voxels."""
    sigma = present(image, values)
    if not any(sigma.values()):
        return
    found = conductivity(image, sigma, axis=axis, tolerance=1e-8)
    exact = by_direct_solve(image, sigma, "xyz".index(axis))
    assert found.value == pytest.approx(exact, rel=1e-5, abs=1e-12 * max(sigma.values()))


def by_direct_solve(image, conductivities, flux):
    """Return the conductivity along an axis, all voxels in one matrix, with a leak of 1e-14."""
    sigma = np.array([conductivities.get(name, 0.0) for name in NAMES])[image.labels]
    leak = 1e-14 * sigma.max()
    index = np.arange(sigma.size).reshape(sigma.shape)
    volume = math.prod(image.spacing)
    entries = []
    for across, edge in enumerate(image.spacing):
        one, other = index, np.roll(index, -1, axis=across)
        if across == flux or not image.periodic[across]:
            cut = tuple(slice(0, -1) if a == across else slice(None) for a in range(3))
            one, other = one[cut], other[cut]
        a, b = sigma.ravel()[one.ravel()], sigma.ravel()[other.ravel()]
        mean = np.divide(2 * a * b, a + b, out=np.zeros_like(a), where=a + b > 0)
        entries.append((one.ravel(), other.ravel(), mean * volume / edge**2))
    i, j, links = (np.concatenate(part) for part in zip(*entries, strict=True))
    matrix = sparse.coo_array((links, (i, j)), shape=(sigma.size,) * 2)
    matrix = matrix + matrix.T
    edge = image.spacing[flux]
    plate = 2 * volume / edge**2
    lower, upper = (np.zeros(sigma.size) for _ in range(2))
    for plane, conductance in ((0, lower), (-1, upper)):
        ends = index.take(plane, axis=flux).ravel()
        conductance[ends] = plate * sigma.ravel()[ends]
    diagonal = np.asarray(matrix.sum(axis=1)).ravel() + lower + upper
    leak *= volume / edge**2
    potential = spsolve((sparse.diags_array(diagonal + leak) - matrix).tocsc(), lower)
    length = image.lengths[flux]
    return float(lower @ (1 - potential)) * length**2 / (volume * sigma.size)


def spheres(number, radius, seed=5, phases=1):
    """Return spheres at random in a periodic cube of edge 1; they overlap."""
    random = np.random.default_rng(seed)
    return Packing(
        positions=random.random((number, 3)),
        radii=np.full(number, radius),
        phases=np.arange(number) % phases,
        phase_names=("AM", "CBD")[:phases],
        lower=np.zeros(3),
        upper=np.ones(3),
        periodic=(True, True, True),
    )


@pytest.mark.parametrize("ratio", [0.1, 10.0])
def test_isotropic_media_keep_the_bounds_of_hashin_and_shtrikman(ratio):
    """Catches faces that favour one phase: random spheres lie well between the tighter bounds."""
    image = voxelise(spheres(160, 0.1), spacing=1 / 60)
    share = image.fractions()["AM"]
    found = conductivity(image, {"void": 1.0, "AM": ratio}).value
    ends = [
        1.0 + share / (1 / (ratio - 1.0) + (1 - share) / 3),
        ratio + (1 - share) / (1 / (1.0 - ratio) + share / (3 * ratio)),
    ]
    assert min(ends) < found < max(ends)


def test_overlapping_insulators():
    """Catches pores closed by coarse voxels: labels and cut voxels must have the same limit.

    Weissberg 1963 (doi:10.1063/1.1729783) bounds the conductivity around overlapping spheres.
    """
    packing = spheres(112, 1 / 7.8)  # 0.38 of the box is left free
    labels = [
        conductivity(voxelise(packing, spacing=1 / cells), {"void": 1.0}) for cells in (20, 40, 80)
    ]
    limit, free = extrapolate(labels), labels[-1].fractions["void"]
    assert limit.value < free / (1 - math.log(free) / 2)
    other = packing_conductivity(packing, {"void": 1.0}, spacing=1 / 40)
    assert other.limit.value == pytest.approx(limit.value, rel=0.02)
    coarse = other.results[0]  # 2.6 voxels to the radius: as good as 10 by labels
    assert abs(coarse.value - limit.value) < 1.2 * abs(labels[-1].value - limit.value)


@pytest.mark.parametrize(("share", "percolates"), [(0.24, False), (0.35, True)])
def test_overlapping_spheres_percolate_beyond_their_threshold(share, percolates):
    """Catches spheres drawn too large or small: they percolate from a share of 0.2896 on.

    Lorenz and Ziff 2001, doi:10.1063/1.1338506; the box is 25 radii wide.
    """
    radius = 0.04
    number = round(-math.log(1 - share) / (4 / 3 * math.pi * radius**3))
    image = voxelise(spheres(number, radius), spacing=1 / 100)
    assert image.fractions()["AM"] == pytest.approx(share, abs=0.02)
    assert find_clusters(image, "AM").percolates == percolates


@pytest.mark.mpi
@pytest.mark.parametrize(
    "conductivities",
    [{"void": 1.0}, {"AM": 0.005, "CBD": 15.93}, {"AM": 1e-4, "void": 1.0}, {"AM": 1e6, "CBD": 1}],
)
def test_ranks_do_not_matter(comm: MPI.Intracomm, conductivities):
    """Catches what differs where slabs meet: the same to 1e-8 on 1, 2 and 3 ranks, in few steps."""
    image = voxelise(spheres(150, 0.1, phases=2), spacing=1 / 24, priority=("CBD", "AM"))
    contacts = {("AM", "CBD"): 0.1}
    options = {"tolerance": 1e-9, "contact_resistance": contacts}
    alone = conductivity(image, conductivities, **options)
    shared = conductivity(image, conductivities, comm=comm, **options)
    assert shared.value == pytest.approx(alone.value, rel=1e-8)
    assert shared.cost.nodes == alone.cost.nodes
    quick = conductivity(image, conductivities, contact_resistance=contacts, comm=comm)
    assert quick.cost.iterations <= 25  # 4 to 12 are usual; mixed conductors take hundreds
    assert abs(quick.value - alone.value) <= quick.error + alone.error


@pytest.mark.parametrize("resistance", [0.0, 10.0, 1e5])
@pytest.mark.parametrize("contrast", [1.0, 1e-3, 1e-6])
def test_steps_depend_neither_on_contrast_nor_on_contacts(contrast, resistance):
    """Catches aggregates that mix conductors: hundreds of steps at a contrast of 1e4."""
    image = voxelise(spheres(300, 0.08, phases=2), spacing=1 / 32)
    found = conductivity(
        image,
        {"AM": contrast, "CBD": 1.0, "void": 0.0},
        contact_resistance={("AM", "CBD"): resistance / 32},
    )
    assert found.percolates
    assert found.cost.iterations <= 25
    assert found.error <= 1e-4 * found.value

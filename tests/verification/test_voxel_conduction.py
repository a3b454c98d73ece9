"""If these fail, the conductivity of an image is not that of the structure it shows.

Exact: blocks, laminates, a staircase. Closed forms in the limit of small voxels: checkerboards,
lattices of bonds, arrays of cylinders and spheres. Worth reading: `test_contact_of_spheres` and
`test_slanted_strip`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from femssb.electrode import packing_conductivity
from femssb.packing import Packing
from femssb.voxels import VoxelImage, conductivity, cut_voxels, extrapolate, voxelise
from tests.verification.lattices import CENTRES, conductivity_of_lattice


def image(labels, names=("void", "SE"), edge=1.0, periodic=(False, False, False)):
    """Return an image whose voxels have an edge of 1 m by default."""
    return VoxelImage(
        labels=np.asarray(labels, np.uint8),
        phase_names=names,
        spacing=(edge, edge, edge),
        periodic=periodic,
    )


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("shape", [(2, 2, 2), (7, 3, 5), (33, 20, 18)])
def test_uniform_block(shape, axis):
    """Catches plates at voxel centres: tau^2 would be (n - 1) / n, and differ with the size."""
    found = conductivity(image(np.ones(shape)), {"SE": 0.3}, axis=axis)
    assert found.value == pytest.approx(0.3, rel=1e-6)
    assert found.tortuosity().tau_squared == pytest.approx(1, rel=1e-6)
    assert found.flux_imbalance < 1e-6


def laminate(layers, axis):
    """Return layers of AM and SE in turn, of a given number of voxels, across an axis."""
    column = np.repeat(np.arange(len(layers)) % 2, layers)
    shape = [3, 3, 3]
    shape[axis] = len(column)
    at = [1, 1, 1]
    at[axis] = -1
    return image(np.broadcast_to(column.reshape(at), shape), names=("SE", "AM"))


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize(
    ("resistance", "exact"), [(0.0, 40 / (25 + 15 / 1e-3)), (5.0, 40 / (25 + 15 / 1e-3 + 2 * 5))]
)
def test_laminate_in_series(axis, resistance, exact):
    """Catches a contact counted twice, at half its area, or left out: 2.6622e-3 and 2.6605e-3."""
    found = conductivity(
        laminate((12, 15, 13), "xyz".index(axis)),
        {"SE": 1.0, "AM": 1e-3},
        axis=axis,
        contact_resistance={("AM", "SE"): resistance},
        tolerance=1e-7,
    )
    assert found.value == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("resistance", [0.01, 1.0, 1e3, 1e6])
def test_contact_dominates_a_laminate_of_thin_layers(resistance):
    """Catches a normal that is lost in layers one and two voxels thin: 1.5 times the resistance."""
    found = conductivity(
        laminate((3, 1, 4, 2, 5, 1, 2), 2),
        {"SE": 1.0, "AM": 0.5},
        contact_resistance={("SE", "AM"): resistance},
        tolerance=1e-7,
    )
    assert found.value == pytest.approx(18 / (14 + 4 / 0.5 + 6 * resistance), rel=1e-6)


@pytest.mark.parametrize(("along", "across"), [(0, 2), (1, 0), (2, 1)])
def test_laminate_in_parallel(along, across):
    """Catches a current that crosses layers it should run along: 0.625375 exactly."""
    found = conductivity(
        laminate((12, 15, 13), across),
        {"SE": 1.0, "AM": 1e-3},
        axis="xyz"[along],
        contact_resistance={("SE", "AM"): 7.0},
        tolerance=1e-7,
    )
    assert found.value == pytest.approx((25 + 15e-3) / 40, rel=1e-6)


@pytest.mark.parametrize("planes", [2, 20])
def test_slanted_strip(planes):
    """Catches voxels that touch at an edge or corner only, but conduct.

    A staircase of 2 x 2 voxels that shares one voxel with the next plane. Within a plane the
    current crosses the square from corner to corner, 1 voxel resistance, between planes another;
    the plates and a square at either end have 7 / 24. The image of TauFactor's own test.
    """
    labels = np.zeros((planes + 1, planes + 1, planes))
    for i in range(planes):
        labels[i : i + 2, i : i + 2, i] = 1
    found = conductivity(image(labels), {"SE": 1.0}, tolerance=1e-8)
    resistance = (planes - 1) + (planes - 2) + 2 * 7 / 24
    assert found.tortuosity().tau_squared == pytest.approx(4 * resistance / planes, rel=1e-7)


def test_checkerboard():
    """Catches faces that average conductivities: by Keller's reciprocity it is sqrt(s1 s2).

    The plates lie across the middle of squares, where mirrors have them. At the corners the current
    is singular, so the error falls slowly.
    """
    errors = []
    for size in (8, 16, 32, 64):
        x, y = np.indices((2 * size, 2 * size))
        squares = (((x + size // 2) // size + y // size) % 2)[:, :, None]
        board = image(squares, periodic=(True, True, True))
        found = conductivity(board, {"void": 1.0, "SE": 0.2}, axis="x", tolerance=1e-6)
        errors.append(found.value / math.sqrt(0.2) - 1)
    assert np.all(np.diff(np.abs(errors)) < 0)
    assert abs(errors[-1]) < 0.02


def test_random_bonds():
    """Catches conductances given by faces that are mixed up: half of the bonds at 1, half at s2.

    The square lattice is dual to itself: its conductivity is sqrt(s2), up to the scatter of a
    finite piece.
    """
    n = 150
    random = np.random.default_rng(3)
    along, across = (np.where(random.random((n, n, 1)) < 0.5, 1.0, 0.1) for _ in range(2))
    plates = np.full((1, n, 1), 1e4)
    faces = [np.concatenate([plates, along[:-1], plates]), across, np.zeros((n, n, 1))]
    lattice = image(np.ones((n, n, 1)), periodic=(False, True, True))
    found = conductivity(lattice, {"SE": 1.0}, axis="x", faces=faces)
    assert found.value * (n - 1) / n == pytest.approx(math.sqrt(0.1), rel=0.02)


def disc(cells, fraction):
    """Return a quarter of the cell of a square array of cylinders; mirrors make the rest."""
    x, y = np.indices((cells, cells)) + 0.5
    inside = np.hypot(x, y) < 2 * cells * math.sqrt(fraction / math.pi)
    return image(inside[:, :, None], names=("matrix", "cylinder"), edge=1 / cells)


@pytest.mark.parametrize(
    ("ratio", "fraction", "exact"),
    [
        (0, 0.1, 0.81818),
        (0, 0.3, 0.53758),
        (0, 0.5, 0.32465),
        (10, 0.3, 1.65204),
        (10, 0.5, 2.41547),
        (1e6, 0.1, 1.22223),
        (1e6, 0.5, 3.08020),
    ],
)
def test_square_array_of_cylinders(ratio, fraction, exact):
    """Catches an arithmetic mean at faces (+10 % and more), and a contrast that breaks the solver.

    Exact: Perrins, McKenzie and McPhedran 1979, doi:10.1098/rspa.1979.0160, Tables 1 to 3.
    """
    results = [
        conductivity(disc(cells, fraction), {"matrix": 1.0, "cylinder": ratio}, axis="x")
        for cells in (64, 128, 256)
    ]
    assert results[-1].value == pytest.approx(exact, rel=0.016)
    assert extrapolate(results[1:]).value == pytest.approx(exact, rel=0.008)
    assert all(result.cost.iterations <= 25 for result in results)


def octant(fraction, cells):
    """Return an eighth of the cell of a cubic array of spheres, and the edge of its voxels."""
    sphere = Packing(
        positions=np.zeros((1, 3)),
        radii=np.array([(3 * fraction / (4 * math.pi)) ** (1 / 3)]),
        phases=np.zeros(1),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.full(3, 0.5),
    )
    return sphere, 0.5 / cells


SPHERES = [
    (0, 0.3, 0.60566),
    (0, 0.5, 0.37373),
    (10, 0.3, 1.88774),
    (10, 0.4, 2.36443),
    (1e6, 0.3, 2.33288),
    (1e6, 0.4, 3.26257),
]


@pytest.mark.parametrize(("ratio", "fraction", "exact"), SPHERES)
def test_spheres_by_labels(ratio, fraction, exact):
    """Catches what cylinders do not see, the third direction: cubic arrays of spheres.

    Exact: multipole series; Sangani and Acrivos 1983, doi:10.1098/rspa.1983.0020.
    """
    results = []
    for cells in (16, 32, 48):  # radii of 9 to 47 voxels
        sphere, edge = octant(fraction, cells)
        labels = voxelise(sphere, spacing=edge)
        results.append(conductivity(labels, {"void": 1.0, "AM": ratio}))
    assert results[-1].value == pytest.approx(exact, rel=0.016)
    assert extrapolate(results).value == pytest.approx(exact, rel=0.008)


@pytest.mark.parametrize(("ratio", "fraction", "exact"), SPHERES)
def test_spheres_by_cut_voxels(ratio, fraction, exact):
    """Catches cut voxels that are no better than labels: 5 voxels of radius beat 20 by labels."""
    sphere, edge = octant(fraction, 24)
    found = packing_conductivity(sphere, {"void": 1.0, "AM": ratio}, spacing=edge, grids=3)
    assert [result.value for result in found.results][1:] == pytest.approx([exact] * 2, rel=0.02)
    assert found.limit.value == pytest.approx(exact, rel=0.004)
    assert abs(found.limit.value - exact) < 2 * found.limit.uncertainty
    of = found.tortuosity("void")
    assert of.tau_squared == pytest.approx((1 - fraction) / exact, rel=0.01)
    assert of.fraction == found.results[-1].fractions["void"]


def lattice(kind, fraction, radius):
    """Return an eighth of the cell of a cubic lattice, for spheres of so many voxels of radius."""
    points = CENTRES[kind]
    size = (3 * fraction / (4 * math.pi * len(points))) ** (1 / 3)
    centres = {
        tuple(np.add(point, shift) - 1)
        for point in points
        for shift in np.ndindex(3, 3, 3)
        if np.all(np.abs(np.add(point, shift) - 1.25) < 0.25 + size)
    }
    packing = Packing(
        positions=np.array(sorted(centres)),
        radii=np.full(len(centres), size),
        phases=np.zeros(len(centres)),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.full(3, 0.5),
    )
    return cut_voxels(packing, spacing=0.5 / round(radius / size / 2)), size


@pytest.mark.parametrize(
    ("ratio", "values"),
    [
        (0, (0.85711, 0.72670, 0.60566, 0.49011, 0.37373)),
        (10, (1.24334, 1.53172, 1.88774, 2.36443, 3.14456)),
        (math.inf, (1.33356, 1.75588, 2.33288, 3.26257, 5.891)),
    ],
)
def test_multipole_series(ratio, values):
    """Catches a wrong lattice sum in what the other tests are held against.

    Simple cubic, f = 0.1 to 0.5: Sangani and Acrivos 1983, doi:10.1098/rspa.1983.0020. Thin
    suspensions: Maxwell, to first order in f, whatever the lattice and the surface.
    """
    for fraction, exact in zip((0.1, 0.2, 0.3, 0.4, 0.5), values, strict=True):
        found = conductivity_of_lattice("SC", fraction, ratio)
        assert found == pytest.approx(exact, rel=1e-4 if fraction < 0.5 else 5e-4)
    for kind in CENTRES:
        thin = conductivity_of_lattice(kind, 1e-4, ratio, 0.3, degree=5)
        poor, good = (0.0, 1.0) if ratio == math.inf else (1.0, ratio)
        dipole = (good * (1 - 0.3) - poor) / (good * (1 + 2 * 0.3) + 2 * poor)
        assert (thin - 1) / 3e-4 == pytest.approx(dipole, rel=1e-3)


RATIOS = (0.0, 1e-12, 1e-6, 1e-4, 1e-2, 0.1, 10.0, 1e3, 1e9)  # the last stands for infinite


@pytest.mark.parametrize("fraction", [0.3, 0.5, 0.6])
@pytest.mark.parametrize("kind", CENTRES)
def test_lattices_at_any_contrast(kind, fraction):
    """Catches a surface that is not where it is, a ratio at which that is lost, a jump at zero.

    10 voxels of radius are within 0.5 % of the multipole series.
    """
    if kind == "SC" and fraction > 0.5:
        pytest.skip("spheres overlap")
    voxels, _ = lattice(kind, fraction, 10)
    found = [
        conductivity(voxels, {"void": 1.0, "AM": ratio}, axis="y", tolerance=1e-8).value
        for ratio in RATIOS
    ]
    exact = [
        conductivity_of_lattice(kind, fraction, ratio if ratio < 1e9 else math.inf)
        for ratio in RATIOS
    ]
    assert found == pytest.approx(exact, rel=0.005)
    assert found[1] == pytest.approx(found[0], rel=1e-6)
    assert np.all(np.diff(found[1:]) > 0)


@pytest.mark.parametrize("ratio", [1.0, 10.0])
@pytest.mark.parametrize(("kind", "fraction"), [("SC", 0.4), ("FCC", 0.6)])
def test_lattices_with_contact(kind, fraction, ratio):
    """Catches contact on the staircase of faces, or none where surfaces cut voxels.

    The resistance is in units of the radius over the conductivity of the matrix. 20 voxels of
    radius are within 1 % of the multipole series, extrapolated 0.3 %.
    """
    grids = [lattice(kind, fraction, radius) for radius in (5, 10, 20)]
    for resistance in (0.1, 0.5, 1.0, 10.0):
        exact = conductivity_of_lattice(kind, fraction, ratio, resistance)
        results = [
            conductivity(
                voxels,
                {"void": 1.0, "AM": ratio},
                contact_resistance={("AM", "void"): resistance * radius},
            )
            for voxels, radius in grids
        ]
        assert results[-1].value == pytest.approx(exact, rel=0.01)
        assert extrapolate(results).value == pytest.approx(exact, rel=0.003)


@pytest.mark.parametrize(
    ("ratio", "resistance", "exact"),
    [
        (10, 0.1, 1.90563),
        (10, 1.0, 0.96293),
        (10, 10.0, 0.55319),
        (10, 1000.0, 0.49077),
        (1, 1.0, 0.77655),
    ],
)
def test_contact_of_spheres(ratio, resistance, exact):
    """Catches contact on the staircase of faces: 5 to 15 % too high however fine the voxels.

    Cubic spheres, f = 0.4; the resistance is in units of their radius over the conductivity of the
    matrix. Exact: multipole series of spheres with a resistive surface.
    """
    results = []
    for cells, error in ((24, 0.023), (48, 0.013)):  # radii of 22 and 44 voxels
        sphere, edge = octant(0.4, cells)
        results.append(
            conductivity(
                voxelise(sphere, spacing=edge),
                {"void": 1.0, "AM": ratio},
                contact_resistance={("AM", "void"): resistance * float(sphere.radii[0])},
            )
        )
        assert results[-1].value == pytest.approx(exact, rel=error)
    assert extrapolate(results).value == pytest.approx(exact, rel=0.003)
    assert all(result.cost.iterations <= 25 for result in results)

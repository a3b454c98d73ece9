"""The impedance of a blocking symmetric cell against transmission lines in closed form."""

from __future__ import annotations

import json

from mpi4py import MPI

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.units import um
from femssb.voxels import conductivity, from_array, impedance_tortuosity

BULK, LAYER = 0.5, 0.2  # [S/m], [F/m2]
DEPTH = 60  # of the pores [voxels]


def image(labels, names=("AM", "electrolyte", "binder")):
    return from_array(
        np.asarray(labels, np.uint8),
        phase_names=names[: int(np.max(labels)) + 1],
        spacing=um,
        periodic=(True, True, False),
    )


def slits():
    """Return pores two voxels wide between walls of one, from collector to separator."""
    labels = np.zeros((6, 2, DEPTH), np.uint8)
    labels[[1, 2, 4, 5]] = 1
    return labels


def test_a_straight_pore_is_a_transmission_line():
    """Catches a resistance, an area of walls or a sign that is wrong at any frequency."""
    frequencies = [30.0, 1e3]
    found = impedance_tortuosity(
        image(slits()), "electrolyte", bulk=BULK, double_layer=LAYER, frequencies=frequencies
    )
    share, depth = 2 / 3, DEPTH * um
    resistance = depth / (BULK * share)
    capacitance = LAYER * (2 / 3) * DEPTH  # two faces of a voxel for every three in the section
    assert found.capacitance == pytest.approx(capacitance, rel=1e-5)
    assert found.resistance == pytest.approx(resistance, rel=2e-3)
    assert found.tau_squared == pytest.approx(1, rel=2e-3)
    root = np.sqrt(2j * np.pi * found.frequencies * resistance * capacitance)
    np.testing.assert_allclose(found.impedance, resistance / (root * np.tanh(root)), rtol=5e-3)
    assert found.imbalance < 1e-6


def test_where_the_walls_are_decides():
    """Catches the tortuosity of a flux under another name: that is 1 here, and 2 is right.

    The walls are in the half at the collector, so that all of the current crosses the other half:
    Re Z = (1/2 + 1/3 1/2) R.
    """
    labels = slits()
    labels[[0, 3], :, DEPTH // 2 :] = 2
    found = impedance_tortuosity(image(labels), "electrolyte", walls=["AM"])
    assert found.tau_squared == pytest.approx(2, rel=0.02)
    flux = conductivity(image(labels), {"electrolyte": 1.0}).tortuosity()
    assert flux.tau_squared == pytest.approx(1, rel=1e-3)


def test_a_dead_end_is_charged():
    """Catches an infinite tortuosity where nothing need percolate, and a floor that is forgotten.

    A line of resistance R and capacitance C that ends in one more, E, has at low frequency
    Re Z = R (C^2 / 3 + C E + E^2) / (C + E)^2.
    """
    labels = slits()
    labels[:, :, : DEPTH // 2] = 0
    found = impedance_tortuosity(image(labels), "electrolyte", bulk=BULK, double_layer=LAYER)
    resistance = DEPTH / 2 * um / (BULK * 2 / 3)
    side, floor = LAYER * (2 / 3) * DEPTH / 2, LAYER * 2 / 3
    line = (side**2 / 3 + side * floor + floor**2) / (side + floor) ** 2
    assert found.capacitance == pytest.approx(side + floor, rel=0.02)  # corners have no normal
    assert found.resistance == pytest.approx(3 * resistance * line, rel=0.02)
    assert not conductivity(image(labels), {"electrolyte": 1.0}).percolates


def test_a_thick_electrode_has_the_tortuosity_of_a_flux():
    """Catches links or walls that are wrong off the axes: both agree where pores repeat."""
    grid = (np.arange(16) + 0.5) / 16 - 0.5
    x, y, z = np.meshgrid(grid, grid, grid, indexing="ij")
    cell = (x**2 + y**2 + z**2 > 0.4**2).astype(np.uint8)
    thick = image(np.tile(cell, (1, 1, 6)))
    flux = conductivity(thick, {"electrolyte": 1.0}).tortuosity()
    found = impedance_tortuosity(thick, "electrolyte")
    assert found.tau_squared == pytest.approx(flux.tau_squared, rel=0.02)
    # Uncorrected, the faces of voxels have half as much again; this sphere's lack 4 % of that.
    sphere = 4 * np.pi * (0.4 * 16 * um) ** 2
    assert found.capacitance == pytest.approx(0.1 * 6 * sphere / (16 * um) ** 2, rel=0.05)


def test_only_the_shape_counts():
    """Catches a tortuosity that depends on conductivity, capacitance or direction."""
    labels = (np.random.default_rng(5).random((6, 7, 8)) < 0.7).astype(np.uint8)
    reference = impedance_tortuosity(image(labels), "electrolyte")
    for turned, options in (
        (labels, {"bulk": 1e-3, "double_layer": 3.0}),
        (labels[:, :, ::-1], {"separator": "lower"}),
        (labels.transpose(2, 0, 1), {"axis": "x"}),
    ):
        one = from_array(
            turned, phase_names=("AM", "electrolyte"), spacing=um, periodic=(True,) * 3
        )
        found = impedance_tortuosity(one, "electrolyte", **options)
        assert found.tau_squared == pytest.approx(reference.tau_squared, rel=1e-4)


@pytest.mark.mpi
def test_ranks_do_not_matter(comm: MPI.Intracomm) -> None:
    """Catches walls lost or counted twice where slabs meet, and a wall that only one rank sees."""
    labels = (np.random.default_rng(3).random((9, 8, 26)) < 0.65).astype(np.uint8)
    labels[:, :, 12] = 1  # where slabs may meet: all of the wall lies beyond
    alone = impedance_tortuosity(image(labels), "electrolyte", frequencies=[1e4])
    shared = impedance_tortuosity(image(labels), "electrolyte", frequencies=[1e4], comm=comm)
    np.testing.assert_allclose(shared.impedance, alone.impedance, rtol=1e-7)
    assert shared.capacitance == pytest.approx(alone.capacitance, rel=1e-6)
    assert shared.imbalance < 1e-6


def test_the_result_is_plain_data_and_readable():
    """Catches complex numbers that JSON refuses, and a print that names no convention."""
    found = impedance_tortuosity(image(slits()), "electrolyte", frequencies=[10.0])
    kept = json.loads(json.dumps(found.to_dict()))
    assert kept["tau_squared"] == found.tau_squared
    assert kept["impedance"]["imaginary"] == found.impedance.imag.tolist()
    assert f"{found.tau_squared:.4g}" in str(found)
    assert "collector to separator along z" in str(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phase": "void"}, "no phase 'void'"),
        ({"walls": []}, r"walls = \(\)"),
        ({"walls": ["electrolyte"]}, "other phases than 'electrolyte'"),
        ({"bulk": 0.0}, "bulk = 0 S/m is outside"),
        ({"frequencies": [-1.0]}, "frequencies = -1 Hz"),
        ({"separator": "lower"}, "no 'electrolyte' leads from the separator, at the lower end"),
    ],
)
def test_what_is_no_cell_is_refused(change, message):
    """Catches a division by nothing, or the phases of another image."""
    labels = slits()
    labels[:, :, :3] = 0
    arguments = {"image": image(labels), "phase": "electrolyte", **change}
    with pytest.raises(InputError, match=message):
        impedance_tortuosity(**arguments)

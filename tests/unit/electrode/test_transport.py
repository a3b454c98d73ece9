"""If these fail, numbers of wet electrodes are not what their names say."""

from __future__ import annotations

import numpy as np
import pytest

from femssb.electrode import transport
from femssb.errors import InputError
from femssb.packing import Packing

UM = 1e-6


def columns():
    """Return three columns of spheres that overlap along z, one of each phase, 10 um high."""
    heights = np.arange(0.5, 10, 1.0)
    places = [(2.5, 2.5, 1.5), (7.5, 2.5, 1.0), (5.0, 7.5, 1.2)]
    positions = [[x, y, z] for x, y, _ in places for z in heights]
    return Packing(
        positions=np.array(positions) * UM,
        radii=np.repeat([r for *_, r in places], len(heights)) * UM,
        phases=np.repeat([0, 1, 2], len(heights)),
        phase_names=("AM", "SE", "CBD"),
        lower=np.zeros(3),
        upper=np.full(3, 10.0) * UM,
        periodic=(True, True, True),
    )


def apart():
    """Return a sphere of each phase, none of which touches another."""
    return Packing(
        positions=np.array([[2, 2, 2], [7, 7, 2], [5, 5, 7]]) * UM,
        radii=np.array([2.0, 1.0, 1.5]) * UM,
        phases=[0, 1, 2],
        phase_names=("AM", "SE", "CBD"),
        lower=np.zeros(3),
        upper=np.full(3, 10.0) * UM,
        periodic=(True, True, False),
    )


def test_both_rails_of_three_columns():
    """Catches rails exchanged, periodic sides lost, and a diffusivity that is not over the bulk."""
    packing = columns()
    found = transport(
        packing, electronic={"AM": 2.0, "CBD": 10.0}, ionic={"SE": 0.5}, spacing=0.25 * UM
    )
    # Columns of beads that overlap conduct less than straight ones and more than their necks.
    necks = {"AM": np.pi * (1.5**2 - 0.25), "CBD": np.pi * (1.2**2 - 0.25), "SE": np.pi * 0.75}
    whole = {"AM": np.pi * 1.5**2, "CBD": np.pi * 1.2**2, "SE": np.pi}
    for value, parts in (
        (found.electronic_conductivity, {"AM": 2.0, "CBD": 10.0}),
        (found.ionic_conductivity, {"SE": 0.5}),
    ):
        low = sum(sigma * necks[name] for name, sigma in parts.items()) / 100
        high = sum(sigma * whole[name] for name, sigma in parts.items()) / 100
        assert 0.97 * low < value < 1.03 * high
    assert found.relative_diffusivity == pytest.approx(found.ionic_conductivity / 0.5)
    share = found.image.fractions()["SE"]
    assert found.tortuosity == pytest.approx(np.sqrt(share / found.relative_diffusivity))
    assert 1.0 < found.tortuosity < 1.1


def test_porosity_of_the_voxels_beside_the_nominal_one():
    """Catches own pores that count in one porosity and not in the other, and losses not told."""
    given = {"electronic": {"AM": 1.0}, "ionic": {"SE": 1.0}, "own_porosity": {"CBD": 0.5}}
    found = transport(columns(), spacing=0.25 * UM, **given)
    shares = found.image.fractions()
    assert found.voxel_porosity == pytest.approx(shares["void"] + shares["CBD"] / 2)
    nominal = found.nominal_shares
    solid = nominal["AM"] + nominal["SE"] + nominal["CBD"] / 2
    assert found.nominal_porosity == pytest.approx(1 - solid)
    assert any("On the voxels CBD" in text for text in found.warnings)
    coarse = transport(columns(), spacing=0.6 * UM, **given)
    assert any("of the volume of SE lies in spheres" in text for text in coarse.warnings)
    assert not any("lies in spheres" in text for text in found.warnings)


def test_nothing_leads_through():
    """Catches a division by zero, and an impedance of an electrode that has none."""
    found = transport(apart(), electronic={"AM": 1.0}, ionic={"SE": 1.0}, spacing=0.5 * UM)
    assert found.electronic_conductivity == found.relative_diffusivity == 0
    assert found.tortuosity == np.inf
    with pytest.raises(InputError, match="no path of electrons"):
        found.cell(0.1)


def test_the_impedance_of_an_electrode():
    """Catches a thickness or an area that is lost on the way to equation 1, or swapped ends."""
    packing = columns()
    touching = Packing(
        positions=packing.positions,
        radii=packing.radii * 2.2,  # now the columns overlap sideways, too
        phases=packing.phases,
        phase_names=packing.phase_names,
        lower=packing.lower,
        upper=packing.upper,
        periodic=packing.periodic,
    )
    found = transport(
        touching, electronic={"AM": 0.1, "CBD": 1.0}, ionic={"SE": 0.5}, spacing=0.5 * UM
    )
    cell = found.cell(0.2)
    slow, fast = cell.impedance([1e-6, 1e12])
    length = 10 * UM
    assert slow.real == pytest.approx(length / found.electronic_conductivity, rel=1e-3)
    both = found.electronic_conductivity + found.ionic_conductivity
    assert fast.real == pytest.approx(length / both, rel=1e-3)
    twice = found.cell(0.4)
    assert twice.capacitance == pytest.approx(2 * cell.capacitance)
    assert 0 < cell.capacitance < 0.2 * 6 / UM  # less than the surface of so many spheres


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ionic": {}}, "ionic is empty"),
        ({"own_porosity": {"CBD": 1.0}}, "own_porosity"),
        ({"own_porosity": {"C": 0.5}}, "no phase 'C'"),
        ({"electronic": {"AM": -1.0}}, "electronic"),
    ],
)
def test_bad_input(changes, message):
    """Catches an error from deep inside, after the voxels were made."""
    given = {"electronic": {"AM": 1.0}, "ionic": {"SE": 1.0}, "spacing": 1 * UM} | changes
    with pytest.raises(InputError, match=message):
        transport(apart(), **given)

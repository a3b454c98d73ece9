"""Networks of touching spheres that are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.packing import Packing, contact_network


def row(places, radii, phases, *, length=10.0, periodic=(False, False, False)):
    """Return spheres on a line along z."""
    n = len(places)
    return Packing(
        positions=np.column_stack([np.full(n, 5.0), np.full(n, 5.0), places]) * 1e-6,
        radii=np.array(radii) * 1e-6,
        phases=phases,
        phase_names=("AM", "SE", "CBD"),
        lower=np.zeros(3),
        upper=np.array([10, 10, length]) * 1e-6,
        periodic=periodic,
    )


def test_the_circle_in_which_two_spheres_cut():
    """Would catch the area of the overlap taken for that of the smaller sphere."""
    packing = row([3.0, 6.0], [2.0, 2.0], [0, 1])
    network = contact_network(packing)
    assert network.areas == pytest.approx([np.pi * (2.0**2 - 1.5**2) * 1e-12])
    packing = row([3.0, 6.0], [2.5, 1.5], [0, 1])  # 3, 4, 5: 2.5^2 - 1.5^2 = 4
    arm = (9 + 4) / 6
    network = contact_network(packing)
    assert network.areas == pytest.approx([np.pi * (2.5**2 - arm**2) * 1e-12])
    assert network.contact_area()[0, 1] == pytest.approx(network.areas[0] / 1e-15)
    assert contact_network(row([3.0, 3.5], [2.0, 1.0], [0, 1])).areas == [0.0]  # swallowed


def test_coordination_by_pair():
    """Would catch a table that is transposed, or contacts of like phases counted once."""
    packing = row([1.0, 2.8, 4.6, 6.4], [1.0, 1.0, 1.0, 1.0], [0, 0, 1, 2])
    table = contact_network(packing).coordination()
    np.testing.assert_allclose(table, [[1, 0.5, 0], [1, 0, 1], [0, 1, 0]])
    area = contact_network(packing).contact_area()
    np.testing.assert_allclose(area[0, 0], area[0, 1])  # one contact each
    np.testing.assert_allclose(area, area.T)


def test_enlargement_makes_neighbours_of_spheres_apart():
    """Would catch an enlargement of the wrong phase."""
    packing = row([2.0, 5.0], [1.4, 1.4], [0, 1])
    assert len(contact_network(packing).first) == 0
    assert len(contact_network(packing, enlargement={"SE": 1.2}).first) == 1
    assert len(contact_network(packing, enlargement={"CBD": 1.2}).first) == 0
    assert len(contact_network(packing, enlargement=1.1).first) == 1


def test_what_leads_from_plane_to_plane():
    """Would catch one end counted for both, or a network that leads through a foreign phase."""
    chain = row([0.9, 2.7, 4.5, 6.3, 8.1, 9.1], [1.0] * 6, [1, 1, 1, 2, 1, 1])
    network = contact_network(chain)
    assert not network.percolating("SE").any()
    assert network.percolating(("SE", "CBD")).all()
    assert network.percolating_share("SE") == 0
    assert network.percolating_share(("SE", "CBD")) == 1
    np.testing.assert_array_equal(network.clusters("SE"), [0, 0, 0, -1, 1, 1])
    assert not network.percolating(("SE", "CBD"), axis="x").any()


@pytest.mark.parametrize("shift", [0.0, 3.3, -25.0])
def test_what_leads_around_a_periodic_box(shift):
    """Would catch a chain that only crosses a side taken for one that goes around."""
    sides = (False, False, True)
    around = np.arange(6) * 10 / 6
    ring = row(around + shift, [0.9] * 6, [1] * 6, periodic=sides)
    assert contact_network(ring).percolating("SE").all()
    gap = row(around[1:] + shift, [0.9] * 5, [1] * 5, periodic=sides)
    assert len(np.unique(contact_network(gap).clusters("SE"))) == 1
    assert not contact_network(gap).percolating("SE").any()


def test_a_way_around_and_a_bystander():
    """Would catch spheres of another cluster that count with those that lead through."""
    places = np.concatenate([np.arange(6) * 10 / 6, [5.0]])
    packing = row(places, [0.9] * 6 + [0.5], [1] * 7, periodic=(True, True, True))
    positions = np.array(packing.positions)
    positions[-1, 0] = 1e-6
    far = Packing(
        positions=positions,
        radii=packing.radii,
        phases=packing.phases,
        phase_names=packing.phase_names,
        lower=packing.lower,
        upper=packing.upper,
        periodic=packing.periodic,
    )
    network = contact_network(far)
    np.testing.assert_array_equal(network.percolating("SE"), [True] * 6 + [False])
    ball = 0.9**3 * 6
    assert network.percolating_share("SE") == pytest.approx(ball / (ball + 0.5**3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"enlargement": 3.0}, "enlargement = 3"),
        ({"enlargement": {"void": 1.0}}, "no phase 'void'"),
    ],
)
def test_bad_enlargements(options, message):
    """Would catch a factor that is a diameter, and a phase that is misspelt."""
    with pytest.raises(InputError, match=message):
        contact_network(row([2.0, 5.0], [1.4, 1.4], [0, 1]), **options)


def test_two_spheres_that_touch_twice():
    """Would catch a contact across a side that is lost beside one inside the box."""
    network = contact_network(row([2.0, 7.0], [2.6, 2.6], [0, 1], periodic=(False, False, True)))
    np.testing.assert_allclose(np.sort(network.branches[:, 2]), [-5e-6, 5e-6])
    assert network.coordination()[0, 1] == 2
    assert network.percolating(("AM", "SE")).all()


def test_nothing_to_find():
    """Would catch a sphere that counts as its own neighbour, and a share of nothing."""
    with pytest.raises(InputError, match="touches itself"):
        contact_network(row([2.0], [5.5], [0], periodic=(True, True, False)))
    with pytest.raises(InputError, match="none of them"):
        contact_network(row([2.0], [1.0], [0])).percolating_share("SE")

"""Density and porosity of packings that are known by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.packing import Packing, weigh

UM = 1e-6
DENSITIES = {"AM": 4770.0, "SE": 1640.0, "CBD": 900.0}


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


def test_density_and_porosities():
    """Would catch the bead's own pores left out, or taken from the wrong phase."""
    found = weigh(apart(), densities=DENSITIES, own_porosity={"CBD": 0.5})
    balls = 4 / 3 * np.pi * np.array([8.0, 1.0, 1.5**3]) / 1e3
    assert found.shares == pytest.approx(dict(zip(("AM", "SE", "CBD"), balls, strict=True)))
    assert found.density == pytest.approx(balls @ [4770, 1640, 900])
    assert found.loading == pytest.approx(found.density * 10 * UM)
    assert found.own_pores == pytest.approx(balls[2] / 2)
    assert found.porosity == pytest.approx(1 - balls @ [1, 1, 0.5])
    assert found.uncovered == pytest.approx(1 - balls.sum(), abs=1e-4)
    assert found.swallowed == pytest.approx(0, abs=1e-3)


def test_masses_of_the_packing():
    """Would catch masses that are not those of the packing where it has them."""
    given = replace(apart(), masses=np.array([3.0, 2.0, 1.0]) * 1e-12)
    assert weigh(given).density == pytest.approx(6e-12 / 1e-15)
    with pytest.raises(InputError, match="has no masses"):
        weigh(apart())


def test_overlaps_count_twice_on_the_scales():
    """Would catch the porosity of an electrode's weight replaced by that of its picture."""
    packing = apart()
    near = replace(packing, positions=np.array([[2, 2, 2], [3, 2, 2], [2, 3, 2]]) * UM)
    found = weigh(near, densities=DENSITIES)
    assert found.porosity == pytest.approx(weigh(packing, densities=DENSITIES).porosity)
    assert found.uncovered > found.porosity + 0.01
    assert found.swallowed > 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"densities": {"AM": 1.0, "SE": 1.0}}, "'CBD' has none"),
        ({"densities": {**DENSITIES, "SE": -1.0}}, "SE"),
        ({"own_porosity": {"CBD": 1.0}}, "own_porosity"),
        ({"own_porosity": {"C": 0.5}}, "no phase 'C'"),
    ],
)
def test_bad_input(changes, message):
    """Would catch a phase without mass, and pores that leave no solid."""
    with pytest.raises(InputError, match=message):
        weigh(apart(), **({"densities": DENSITIES} | changes))

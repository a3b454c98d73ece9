"""What the readings of Table S1 of Alabdali 2023 give: densities of slurries, dried porosities.

If these fail, the force field of the paper is another one than it was when its pages were made.
"""

from __future__ import annotations

import numpy as np
import pytest

from femssb.library import alabdali2023
from femssb.packing import disperse
from femssb.particles import Drying, Slurry, process

pytestmark = pytest.mark.slow

STAGES = [Slurry(pressure=alabdali2023.PRESSURE), Drying(pressure=alabdali2023.PRESSURE)]


def made(formulation, forces, seed):
    """Return density of the slurry [g/cm3], and density and porosity of the dried film."""
    start = disperse(formulation, seed=seed)
    stages = process(start, STAGES, formulation, forces, progress=False)[-1].origin["stages"]
    slurry, film = (stage["density [kg/m3]"] / 1e3 for stage in stages)
    return slurry, film, stages[-1]["porosity"]


def test_h1_gives_the_density_and_the_porosity_of_the_paper():
    """Would catch forces, sizes or ends of stages that have moved.

    The paper has 1.89 g/cm3, its measurement 1.90, and a porosity of about 50 %.
    """
    formulation = alabdali2023.formulation(beads=1500)
    found = np.array([made(formulation, alabdali2023.H1, seed) for seed in (1, 2, 3)])
    assert np.all(np.abs(found[:, 0] - 1.93) <= 0.06)
    assert np.all(np.abs(found[:, 2] - 0.50) <= 0.02)


def test_the_sizes_of_the_second_paper_give_its_density():
    """Would catch a force field that fits one formulation only: 1.0 to 1.5 g/cm3, .5 to .7."""
    formulation = alabdali2023.second_formulation(beads=1500)
    found = np.array([made(formulation, alabdali2023.H1, seed) for seed in (1, 2, 3)])
    assert np.all((found[:, 1] >= 1.0) & (found[:, 1] <= 1.5))
    assert np.all((found[:, 2] >= 0.5) & (found[:, 2] <= 0.7))


@pytest.mark.parametrize(
    ("reading", "slurry", "porosity"),
    [
        ("dried enlarged by 2 %", (1.87, 1.99), (0.27, 0.35)),
        ("dried not enlarged", (1.87, 1.99), (0.25, 0.33)),
        ("enlarged in contacts only", (2.24, 2.42), (0.25, 0.33)),
        ("binder by its dry diameter", (3.3, 4.7), (0.44, 0.52)),
    ],
)
def test_other_readings_give_something_else(reading, slurry, porosity):
    """Would catch readings that are the same, or are mixed up.

    One seed with 600 beads each: porosities within .04 of .31, .29, .29 and .48, measured once.
    """
    formulation = alabdali2023.formulation(beads=600)
    density, _, pores = made(formulation, alabdali2023.READINGS[reading], 1)
    assert slurry[0] <= density <= slurry[1]
    assert porosity[0] <= pores <= porosity[1]

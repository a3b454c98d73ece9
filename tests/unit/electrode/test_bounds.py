"""If these fail, the matrix of a cell is softer or stiffer than its phases allow."""

from __future__ import annotations

import pytest

from femssb.electrode.bounds import elasticity_of, hashin_shtrikman, moduli_of
from femssb.inputs.elasticity import Elasticity
from femssb.units import GPa


def solid(bulk, shear):
    """Return an elasticity by its moduli [GPa]."""
    return elasticity_of((bulk * GPa, shear * GPa))


def test_equal_shear_moduli():
    """Would catch a wrong bound: with equal shear moduli both are the exact bulk modulus (Hill)."""
    phases = {"A": solid(20, 8), "B": solid(60, 8), "C": solid(10, 8)}
    share = {"A": 0.2, "B": 0.3, "C": 0.5}
    exact = 1 / sum(share[n] / (b + 32 / 3) for n, b in zip("ABC", (20, 60, 10), strict=True))
    for bulk, shear in hashin_shtrikman(share, phases):
        assert bulk == pytest.approx((exact - 32 / 3) * GPa)
        assert shear == pytest.approx(8 * GPa)


def test_pores():
    """Would catch pores that carry: the upper bound is that of hollow spheres, the lower is zero.

    Hollow spheres: K = 4 G K (1 - p) / (4 G + 3 p K), Hashin 1962.
    """
    bulk, shear, p = 24.0, 8.0, 0.2
    solids = Elasticity(young_modulus=22.1 * GPa, poisson_ratio=0.37)
    lower, upper = hashin_shtrikman({"void": p, "A": 1 - p}, {"A": solid(bulk, shear)})
    assert lower == (0.0, 0.0)
    assert upper[0] == pytest.approx(4 * shear * bulk * (1 - p) / (4 * shear + 3 * p * bulk) * GPa)
    z = shear * (9 * bulk + 8 * shear) / (6 * (bulk + 2 * shear))
    assert upper[1] == pytest.approx((1 / ((1 - p) / (shear + z) + p / z) - z) * GPa)
    one = hashin_shtrikman({"A": 0.4}, {"A": solids})
    for moduli in one:
        assert moduli == pytest.approx(moduli_of(solids))
        assert elasticity_of(moduli).poisson_ratio == pytest.approx(0.37)


def test_order_of_bounds():
    """Would catch the phases of comparison exchanged: bounds hold the mean and each other."""
    share, phases = {"A": 0.6, "B": 0.4}, {"A": solid(15, 8), "B": solid(100, 55)}
    lower, upper = hashin_shtrikman(share, phases)
    for low, high, soft, stiff in zip(lower, upper, (15, 8), (100, 55), strict=True):
        series = GPa / (0.6 / soft + 0.4 / stiff)
        parallel = (0.6 * soft + 0.4 * stiff) * GPa
        assert series < low < high < parallel

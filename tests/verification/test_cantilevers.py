"""A double-cantilever beam: if this fails, no crack grows without viscosity, or it costs too much.

The oldest test of fracture mechanics: two arms, glued beyond a crack, are pulled apart at its end.
By beam theory, force P, opening and crack length a fix the energy that the crack takes, P^2 a^2 /
(b E I): it must be that of the interface. The length is the one that the compliance tells, which
counts how the arms turn at the tip and half of the zone that softens, as no crack is sharp.
"""

from __future__ import annotations

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest

from femssb.inputs.interfaces import CohesiveLaw
from femssb.units import GPa, MPa, mm
from tests.verification.solids import Path, Solid, box, isotropic, middles

YOUNG, ARM, CRACK, ENERGY = 70 * GPa, 1.5 * mm, 30 * mm, 100.0
LENGTH, WIDTH = 60 * mm, 1 * mm
STIFFNESS = YOUNG * WIDTH * ARM**3 / 12  # E I of an arm
LAW = CohesiveLaw(
    normal_strength=20 * MPa,
    shear_strength=20 * MPa,
    normal_fracture_energy=ENERGY,
    shear_fracture_energy=ENERGY,
    stiffness=1e14,
)


def cantilevers(elements: int) -> Path:
    """Return two arms with so many elements along, cracked at the mouth, where one is held."""

    def mouth(x: np.ndarray) -> np.ndarray:
        return x[:, 0] < 1e-9 * LENGTH

    def lower(x: np.ndarray) -> bool:
        return bool(x[:, 2].max() < 1.5 * ARM)  # the nodes of one arm come at a time

    def held(x: np.ndarray) -> np.ndarray:
        end = x[:, 0] > LENGTH * (1 - 1e-9)
        return np.column_stack([end, np.ones(len(x), bool), mouth(x) & lower(x)])

    def pulled(x: np.ndarray) -> np.ndarray:
        none = np.zeros(len(x), bool)
        return np.column_stack([none, none, mouth(x) & (not lower(x))])

    domain = box((elements, 1, 2), (LENGTH, WIDTH, 2 * ARM), MPI.COMM_SELF)
    solid = Solid(
        domain,
        dict.fromkeys((0, 1), isotropic(YOUNG, 0.0)),
        tags=(middles(domain)[:, 2] > ARM).astype(np.int32),
        inner=(0,),
        order=2,
        held=held,
        tied={"pulled": pulled},
    )
    path = Path(solid, LAW, "pulled", tolerance=1e-7)
    cracked = solid.points.points[:, 0] < CRACK
    path.damage[cracked] = path.spent[cracked] = 1.0
    return path


def length(path: Path) -> float:
    """Return the length of the crack by beam theory [m]."""
    return float((1.5 * STIFFNESS * path.moves[-1] / path.forces[-1]) ** (1 / 3))


@pytest.mark.parametrize("elements", [60, 100])
def test_a_crack_grows_without_viscosity(elements: int) -> None:
    """Catches a Newton method that is lost where elements let go, or takes energy from a crack.

    The first step opens all of the crack, up to where it is about to grow.
    """
    path = cantilevers(elements)
    path.move(1.2 * mm, tangent=True)
    start = length(path)
    assert CRACK < start < CRACK + 2 * ARM
    assert path.cohesive < 0.01 * ENERGY * WIDTH * CRACK
    for opening in np.arange(1.4, 2.95, 0.1) * mm:
        path.move(opening, tangent=True)
        if opening > 1.65 * mm:
            released = path.forces[-1] ** 2 * length(path) ** 2 / (WIDTH * STIFFNESS)
            assert released == pytest.approx(ENERGY, rel=0.03)
    grown = length(path) - start
    assert grown > 10 * LENGTH / elements
    assert path.cohesive == pytest.approx(ENERGY * WIDTH * grown, rel=0.03)
    assert path.viscous == 0
    assert path.work == pytest.approx(path.stored() + path.cohesive, rel=0.01)

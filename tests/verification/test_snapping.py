"""Points of a surface that let go one by one, each behind a spring: Newton's method on snaps.

If these fail, what debonds in one place depends on what debonds in another.
"""

from __future__ import annotations

from types import SimpleNamespace

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
import pytest

from femssb.cell.cohesion import cohesive_traction
from femssb.fem import newton
from femssb.fem.surface_problem import Linearised
from tests.verification.bars import BRITTLE, FAILURE, ONSET

PEAK = BRITTLE.normal_strength
SOFT = PEAK / FAILURE / 4  # springs [Pa/m] that let a point go at once when it is at its peak
COMM = MPI.COMM_SELF


class Springs:
    """Points on springs whose far ends were moved; the other ends of the points are held."""

    name, energetic, failure = "springs", True, None
    unknowns = SimpleNamespace(comm=COMM)

    def __init__(self, stiffness):
        self.stiffness = stiffness

    def linearise(self, x, load, law, *, scale=None, fixed=None):
        """Return the forces on the points that are not in equilibrium."""
        traction, tangent = law(x.array_r)
        bulk = self.stiffness * x.array_r
        size = np.abs(traction).sum() + np.abs(bulk).sum() + load.norm(PETSc.NormType.NORM_1)
        residual = vector(bulk + traction - load.array_r)
        norm = residual.norm(PETSc.NormType.NORM_1)
        return Linearised(
            residual=residual,
            tangents=[tangent[:, None, None]],
            norm=norm,
            scale=load.norm(PETSc.NormType.NORM_1),
            magnitude=lambda: size,
        )

    def jacobian(self, tangents, fixed=None):
        """Return its diagonal."""
        return self.stiffness + tangents[0].ravel()

    reduction = 1e-2

    def solve(self, diagonal, right_side, *, reduction):
        """Solve exactly: this is the linear solver, too."""
        return vector(right_side.array_r / diagonal), 1


def vector(values):
    return PETSc.Vec().createWithArray(np.array(values, float), comm=COMM)


def opened(stiffness, beyond):
    """Return how far points open whose far ends have moved a share beyond their last hold."""
    n = len(stiffness)
    none, rest = np.zeros(n), np.zeros((n, 3))
    moved = (PEAK / stiffness + ONSET) * (1 + beyond)

    def law(jump):
        jumps = np.column_stack([jump, none, none])
        answer = cohesive_traction(BRITTLE, jumps, none, none, rest, 1.0)
        return answer.traction[:, 0], answer.tangent[:, 0, 0]

    x = vector(np.full(n, ONSET))
    springs = Springs(stiffness)
    newton.solve(springs, springs, x, vector(stiffness * moved), law, tolerance=1e-10)
    return x.array_r.copy(), moved


@pytest.mark.parametrize("count", [1, 2, 12])
def test_points_let_go_whatever_the_others_do(count):
    """Catches a step that one point shortens, or turns round, for all of them.

    Each is beyond the load that it can hold, by a share from 1e-7 to a tenth, and soft enough a
    spring pulls it off. Those below their strength hold on.
    """
    beyond = np.geomspace(1e-7, 0.1, count)
    beyond[2::3] *= -1.0
    stiffness = SOFT * np.linspace(0.5, 1.5, count)
    together, moved = opened(stiffness, beyond)
    holding = stiffness * moved / (stiffness + BRITTLE.stiffness)
    np.testing.assert_allclose(together, np.where(beyond > 0, moved, holding), rtol=1e-6)
    alone = [opened(stiffness[k : k + 1], beyond[k : k + 1])[0][0] for k in range(count)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)

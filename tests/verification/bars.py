"""Two bars that meet in a cohesive interface, and the closed form of their softening."""

from __future__ import annotations

from mpi4py import MPI

import numpy as np

from femssb.inputs.interfaces import CohesiveLaw
from femssb.units import GPa, MPa, nm, um
from tests.verification.solids import Solid, box, isotropic, middles

BRITTLE = CohesiveLaw(
    normal_strength=100 * MPa,
    shear_strength=100 * MPa,
    normal_fracture_energy=1.0,
    shear_fracture_energy=1.0,
    stiffness=1e17,
)
ONSET, FAILURE = 1 * nm, 20 * nm  # openings of `BRITTLE` in mode I


YOUNG = 100 * GPa
TOP = "top"
AREA = um * um


def bars(length, *, comm=MPI.COMM_WORLD, cells=4):
    """Return two bars along z of a length each, the top end to be moved; sides are periodic."""
    width = um
    domain = box((2, 2, 2 * cells), (width, width, 2 * length), comm=comm)

    def held(x):
        out = np.zeros((len(x), 3), bool)
        out[x[:, 2] < 1e-9 * length] = True
        out[x[:, 2] > (2 - 1e-9) * length, :2] = True
        return out

    def top(x):
        out = np.zeros((len(x), 3), bool)
        out[:, 2] = x[:, 2] > (2 - 1e-9) * length
        return out

    return Solid(
        domain,
        {0: isotropic(YOUNG, 0.0), 1: isotropic(YOUNG, 0.0)},
        tags=below(domain, length),
        inner=(0,),
        held=held,
        tied={TOP: top},
        period=(np.zeros(3), np.array([width, width, 2 * length])),
    )


def softening(moved, length):
    """Return the stress in the bars at a displacement of their end, rate independent [Pa]."""
    compliance = 2 * length / YOUNG
    peak = BRITTLE.normal_strength
    rising = moved / (compliance + 1 / BRITTLE.stiffness)
    # sigma = peak (FAILURE - opening) / (FAILURE - ONSET), opening = moved - compliance sigma
    slope = peak / (FAILURE - ONSET)
    falling = slope * (FAILURE - moved) / (1 - slope * compliance)
    return np.where(rising < peak, rising, np.maximum(falling, 0))


def below(domain, level):
    """Return tags: 0 under a height, 1 above."""
    return (middles(domain)[:, 2] > level).astype(np.int32)

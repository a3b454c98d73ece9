"""Conjugate gradients on a network that stop on the error of the conductance between the plates."""

import math
from typing import NamedTuple

import numpy as np

from femssb.arrays import Array
from femssb.environment.compiled import threaded
from femssb.errors import NotConverged
from femssb.voxels.conduct import bounds
from femssb.voxels.conduct.links import Longs
from femssb.voxels.conduct.multigrid import Multigrid
from femssb.voxels.conduct.network import Single

# Where the true conductance lies between its bounds, from the upper one on: the median of 90 cases,
# between 0.02 and 0.27 in half of them.
TRUTH = 1 / 6
HOPE = 0.1  # error left over the decrease by the last step, at best [-]
MOST_STEPS = 100  # after which the solve has failed; 5 to 15 are usual


class Solved(NamedTuple):
    """A potential and the conductance that it proves.

    Attributes:
        potential: At own nodes, 1 at the lower plate and 0 at the upper, shape (n,).
        conductance: Between the plates, where it is expected between its bounds.
        error: Its distance from the farther bound.
        iterations: Steps taken.
    """

    potential: Array
    conductance: float
    error: float
    iterations: int


def solve(solver: Multigrid, lower: Single, potential: Array, *, tolerance: float) -> Solved:
    """Improve a potential until its bounds on the conductance are close enough to each other.

    Each step takes `step * slope` off the dissipation beyond that of the true potential. Once that
    is little, the bounds are worth their cost, about that of a step.
    The potential, shape (n,), is the first guess, and overwritten; `lower` is the conductance of
    own nodes to the lower plate, shape (n,); the tolerance is the proven error over the
    conductance.

    Raises:
        NotConverged: If the bounds are still too far apart.
    """
    hierarchy = solver.hierarchy
    residual, upper = bounds.residual(hierarchy, potential, lower)
    currents, direction = np.zeros_like(potential), np.zeros_like(potential)
    parts = hierarchy.parts[0]
    products = np.zeros((len(parts) - 1, 2))
    step, slope, distance = 0.0, 1.0, math.inf
    for iteration in range(1, MOST_STEPS + 1):
        correction = solver.precondition(residual)
        # Polak and Ribiere: the preconditioner may differ a little from step to step.
        _products(parts, correction, residual, currents, products)
        along, mixed = hierarchy.sum(products.sum(axis=0))
        _turn(parts, direction, -step * mixed / slope, correction)
        slope = along
        curvature = hierarchy.sum(solver.multiply(direction, currents))
        exhausted = not (slope > 0 and curvature > 0)  # only roundoff is left
        step = 0.0 if exhausted else slope / curvature
        _go(parts, step, direction, currents, potential, residual)
        upper -= step * slope
        if HOPE * step * slope <= tolerance * upper:
            residual, upper = bounds.residual(hierarchy, potential, lower)
            gap = min(bounds.gap(hierarchy, residual), upper)
            conductance, error = upper - TRUTH * gap, (1 - TRUTH) * gap
            distance = error / conductance
            if distance <= tolerance:
                return Solved(potential, conductance, error, iteration)
        if exhausted:
            break
    raise NotConverged(
        f"the conductance is not within {tolerance:g} of its value after {iteration} iterations",
        residuals={"conductance": distance / tolerance},
    )


@threaded
def _products(
    start: int,
    stop: int,
    parts: Longs,
    correction: Single,
    residual: Array,
    currents: Array,
    products: Array,
) -> None:
    """Write the products of the correction with the other two."""
    for part in range(start, stop):
        along, mixed = 0.0, 0.0
        for i in range(parts[part], parts[part + 1]):
            along += correction[i] * residual[i]
            mixed += correction[i] * currents[i]
        products[part, 0], products[part, 1] = along, mixed


@threaded
def _turn(
    start: int, stop: int, parts: Longs, direction: Array, kept: float, correction: Single
) -> None:
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            direction[i] = kept * direction[i] + correction[i]


@threaded
def _go(
    start: int,
    stop: int,
    parts: Longs,
    step: float,
    direction: Array,
    currents: Array,
    potential: Array,
    residual: Array,
) -> None:
    for part in range(start, stop):
        for i in range(parts[part], parts[part + 1]):
            potential[i] += step * direction[i]
            residual[i] -= step * currents[i]

"""Time steps of beads: how stiff their pairs are, estimated before any is taken."""

import numpy as np

from femssb.arrays import Array
from femssb.description import checked
from femssb.inputs.beads import BeadForces, lennard_jones_stiffness

SQUEEZED = 0.9  # distance of pressed beads over sigma, at which pairs are this stiff
TOUCHED = 0.1  # overlap of pressed beads over the sum of their radii
NEIGHBOURS = 2.0  # stiffness around a bead over that of its stiffest pair


@checked
def stable_time_step(
    forces: BeadForces, phases: tuple[str, ...], diameters: Array, masses: Array
) -> float:
    """Return the longest time step for which the motion of beads can be stable [s].

    Every pair is a spring and a dashpot at the deepest overlap that is met in a slurry, where
    distances are `SQUEEZED` of sigma; a step of the leapfrog kind is stable up to
    2/omega (sqrt(1 + zeta^2) - zeta) for a frequency omega and a damping ratio zeta.

    Args:
        forces: Of the beads.
        phases: Phase of each kind of bead.
        diameters: True diameter of each kind, shape (k,) [m].
        masses: Smallest mass of each kind, shape (k,) [kg].
    """
    epsilon, sigma, cutoff = forces.pairs(phases, diameters)
    radii = forces.contact_radii(phases, diameters)
    inverse = np.add.outer(1 / masses, 1 / masses)
    near = np.minimum(SQUEEZED * sigma, cutoff)
    spring = lennard_jones_stiffness(near, epsilon, sigma)
    touch = np.add.outer(radii, radii)
    overlap = np.maximum(touch - SQUEEZED * sigma, TOUCHED * touch)
    root = np.sqrt(overlap * np.multiply.outer(radii, radii) / touch)
    spring = np.maximum(spring, 0.0) + 1.5 * forces.stiffness * root
    rate = forces.damping * root  # of the relative velocity [1/s]
    omega = np.sqrt(NEIGHBOURS * spring * inverse)
    with np.errstate(divide="ignore", invalid="ignore"):
        longest = 2 / omega * (np.hypot(1, NEIGHBOURS * rate / (2 * omega)) - NEIGHBOURS * rate / (2 * omega))
    return float(np.nanmin(longest))

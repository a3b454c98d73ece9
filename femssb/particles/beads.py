"""Kinds of beads, and the time step of their motion: how stiff pairs are, before any is taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError
from femssb.inputs.beads import BeadForces, lennard_jones_stiffness
from femssb.packing.packing import Packing

SQUEEZED = 0.9  # distance of pressed beads over sigma, at which pairs are this stiff
TOUCHED = 0.1  # overlap of pressed beads over the sum of their radii
NEIGHBOURS = 2.0  # stiffness around a bead over that of its stiffest pair
TURNING = 3.5  # inverse mass of two spheres at their contact, across over along: they turn as well
STICKING = 0.1  # friction from which contacts hold long enough to be springs across


@dataclass(frozen=True, kw_only=True, eq=False)
class Kinds:
    """Beads sorted into kinds, each of one phase and one diameter.

    Attributes:
        of_bead: Kind of every bead, shape (n,).
        phases: Of every kind.
        diameters: Of every kind, shape (k,) [m].
        lightest: Mass of the lightest bead of every kind, shape (k,) [kg].
    """

    of_bead: NDArray[np.int64]
    phases: tuple[str, ...]
    diameters: Array
    lightest: Array

    @classmethod
    def of(cls, packing: Packing) -> Kinds:
        """Return the kinds of the beads of a packing.

        Raises:
            InputError: If it has no masses.
        """
        if packing.masses is None:
            raise InputError("beads: the packing has no masses; `disperse` gives them")
        rows = np.column_stack([packing.phases.astype(np.float64), packing.radii])
        kinds, of_bead = np.unique(rows, axis=0, return_inverse=True)
        lightest = np.full(len(kinds), np.inf)
        np.minimum.at(lightest, of_bead.ravel(), packing.masses)
        return cls(
            of_bead=of_bead.ravel().astype(np.int64),
            phases=tuple(packing.phase_names[int(row)] for row in kinds[:, 0]),
            diameters=2 * kinds[:, 1],
            lightest=lightest,
        )

    def longest_step(self, forces: BeadForces, mass_scaling: float = 1.0) -> float:
        """Return the longest stable time step with a factor of all masses, dashpots kept [s]."""
        return stable_time_step(forces, self.phases, self.diameters, self.lightest, mass_scaling)


@checked
def stable_time_step(
    forces: BeadForces,
    phases: tuple[str, ...],
    diameters: Array,
    masses: Array,
    mass_scaling: float = 1.0,
) -> float:
    """Return the longest time step for which the motion of beads can be stable [s].

    Every pair is a spring and a dashpot at the deepest overlap that is met in a slurry, where
    distances are `SQUEEZED` of sigma; a step of the leapfrog kind is stable up to
    2/omega (sqrt(1 + zeta^2) - zeta) for a frequency omega and a damping ratio zeta. Contacts that
    stick are springs and dashpots across as well, on spheres that turn.

    Args:
        forces: Of the beads.
        phases: Phase of each kind of bead.
        diameters: True diameter of each kind, shape (k,) [m].
        masses: Smallest mass of each kind, shape (k,) [kg].
        mass_scaling: Factor of all masses; dashpots keep their strength [-].
    """
    epsilon, sigma, cutoff = forces.pairs(phases, diameters)
    radii = forces.contact_radii(phases, diameters)
    inverse = np.add.outer(1 / masses, 1 / masses) / mass_scaling
    near = np.minimum(SQUEEZED * sigma, cutoff)
    spring = lennard_jones_stiffness(near, epsilon, sigma)
    touch = np.add.outer(radii, radii)
    overlap = np.maximum(touch - SQUEEZED * sigma, TOUCHED * touch)
    root = np.sqrt(overlap * np.multiply.outer(radii, radii) / touch)
    spring = np.maximum(spring, 0.0) + 1.5 * forces.stiffness * root
    rate = forces.damping / mass_scaling * root  # of the relative velocity [1/s]
    if forces.friction > STICKING:
        across = TURNING * forces.tangential_stiffness * forces.stiffness * root
        spring = np.maximum(spring, across)
        rate = rate * max(1.0, TURNING * forces.tangential_damping)
    omega = np.sqrt(NEIGHBOURS * spring * inverse)
    with np.errstate(divide="ignore", invalid="ignore"):
        zeta = NEIGHBOURS * rate / (2 * omega)
        longest = 2 / (omega * (np.hypot(1, zeta) + zeta))
    return float(np.nanmin(longest))

"""Force fields of beads: coarse grains of a slurry or a dried electrode, as plain data.

Two beads attract and repel each other by a shifted-force Lennard-Jones potential,

    F(r) = F_LJ(r) - F_LJ(r_c) for r < r_c,   F_LJ(r) = 24 epsilon/r (2 (sigma/r)^12 - (sigma/r)^6),

and where they overlap by h, with the effective radius R = R_i R_j/(R_i + R_j), they also feel

    sqrt(R h) [(k_n h - m_eff gamma_n v_n) n - (k_t s + m_eff gamma_t v_t)],

whose tangential part slides at a friction coefficient (Alabdali 2023, equation 2). Everything that
a bead brings is a factor of its diameter, so one set of numbers serves all sizes.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.errors import InputError


@description
class Bead:
    """What the beads of one phase bring to their Lennard-Jones pairs and to their contacts."""

    depth: float = field("of the well, over the diameter: epsilon/d", unit="N", lower=0, upper=1)
    distance: float = field(
        "of zero potential, over the diameter: sigma/d", lower=0.05, upper=20, default=0.99
    )
    cutoff: float = field("over the diameter: r_c/d", lower=0.05, upper=50, default=1.5)
    enlargement: float = field(
        "diameter in the potential over the true one", lower=0.5, upper=3, default=1.0
    )
    contact_enlargement: float = field(
        "diameter in contacts over the true one", lower=0.5, upper=3, default=1.0
    )
    diameter: float | None = field(
        "from which distance and cut-off follow; None: from that of each bead",
        unit="m",
        lower=1e-9,
        upper=1e-2,
        default=None,
    )


@description
class BeadForces:
    """Force field of one state, slurry or dried electrode.

    Raises:
        InputError: If a field is out of its bounds, or no bead is given.
    """

    beads: Mapping[str, Bead] = field("of every phase, by name")
    stiffness: float = field("k_n of contacts", unit="Pa", lower=1e-6, upper=1e12)
    damping: float = field("gamma_n of contacts", unit="1/(m s)", lower=0, upper=1e18)
    friction: float = field("largest tangential over normal force", lower=0, upper=100)
    tangential_stiffness: float = field("k_t/k_n", lower=1e-6, upper=10, default=1.378)
    tangential_damping: float = field("gamma_t/gamma_n", lower=0, upper=10, default=0.959)
    mixing: Literal["geometric", "arithmetic"] = field(
        "mean of the depths of unlike beads; distances and cut-offs are arithmetic means",
        default="geometric",
    )

    def __post_init__(self) -> None:
        if not self.beads:
            raise InputError("BeadForces.beads must name the bead of every phase")

    def bead(self, phase: str) -> Bead:
        """Return the bead of a phase.

        Raises:
            InputError: If the force field does not know the phase.
        """
        if phase not in self.beads:
            raise InputError(f"the force field has no bead for phase {phase!r}")
        return self.beads[phase]

    @checked
    def pairs(self, phases: tuple[str, ...], diameters: Array) -> tuple[Array, Array, Array]:
        """Return epsilon [J], sigma [m] and r_c [m] of every pair of some beads.

        Args:
            phases: Phase of each bead.
            diameters: True diameter of each bead, shape (k,) [m].

        Returns:
            Three arrays of shape (k, k).
        """
        beads = [self.bead(phase) for phase in phases]
        own = np.array([b.enlargement for b in beads]) * diameters
        base = np.array([b.diameter or d for b, d in zip(beads, own, strict=True)])
        depth = own * [b.depth for b in beads]
        sigma = base * [b.distance for b in beads]
        cutoff = base * [b.cutoff for b in beads]
        mean = np.sqrt(np.outer(depth, depth))
        if self.mixing == "arithmetic":
            mean = np.add.outer(depth, depth) / 2
        return mean, np.add.outer(sigma, sigma) / 2, np.add.outer(cutoff, cutoff) / 2

    @checked
    def contact_radii(self, phases: tuple[str, ...], diameters: Array) -> Array:
        """Return the radii at which beads touch, shape (k,) [m]."""
        factors = np.array([self.bead(phase).contact_enlargement for phase in phases])
        return factors * diameters / 2

    @checked
    def scaled(
        self, *, depth: float = 1.0, damping: float = 1.0, stiffness: float = 1.0
    ) -> "BeadForces":
        """Return the force field with its depths, dashpots and contact stiffness multiplied."""
        from dataclasses import replace

        beads = {name: replace(b, depth=depth * b.depth) for name, b in self.beads.items()}
        return replace(
            self,
            beads=beads,
            damping=damping * self.damping,
            stiffness=stiffness * self.stiffness,
        )


@description
class ForceField:
    """Force fields of both states of a wet route."""

    slurry: BeadForces = field("beads of the binder hold the solvent")
    dried: BeadForces = field("after the solvent has left")


@checked
def lennard_jones(distance: Array, epsilon: Array, sigma: Array, cutoff: Array) -> Array:
    """Return the shifted Lennard-Jones force of pairs, positive pushes apart, shape of all [N]."""

    def force(r: Array) -> Array:
        sixth = (sigma / r) ** 6
        return np.asarray(24 * epsilon / r * (2 * sixth**2 - sixth))

    return np.where(distance < cutoff, force(distance) - force(cutoff), 0.0)


@checked
def lennard_jones_stiffness(distance: Array, epsilon: Array, sigma: Array) -> Array:
    """Return minus the slope of the Lennard-Jones force of pairs [N/m]."""
    sixth = (sigma / distance) ** 6
    return np.asarray(24 * epsilon / distance**2 * (26 * sixth**2 - 7 * sixth))

"""Beads in a box that is sheared: velocity along x, its gradient along y.

The box tilts at a steady rate; where its tilt would exceed half of its length, LAMMPS takes the
same lattice with the opposite tilt. A bead that crosses a side across y gains the velocity of the
images there (`remap v`), and the beads move freely otherwise, without a thermostat: work turns into
heat in the dashpots, which take it away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from femssb.arrays import Array
from femssb.particles.lammps.beads import PRESSURE, BeadEngine

SAMPLE = 10  # steps between values that a mean takes up

_PARTS = (1, 2, 3, 4)  # of LAMMPS's pressure that are used: xx, yy, zz, xy


@dataclass(frozen=True, kw_only=True, slots=True)
class Stress:
    """Mean stress of a sheared slurry, in the order xx, yy, zz, xy; tension positive [Pa].

    Attributes:
        pairs: Of the forces between beads, shape (4,).
        motion: Of the velocities beside the mean flow, with masses as they are scaled, shape (4,).
        strain: Over which was averaged.
    """

    strain: float
    pairs: Array
    motion: Array

    @property
    def shear(self) -> float:
        """Shear stress [Pa]."""
        return float(self.pairs[3] + self.motion[3])

    @property
    def pressure(self) -> float:
        """Bead pressure, positive compresses [Pa]."""
        return -float((self.pairs[:3] + self.motion[:3]).mean())

    @property
    def normal_differences(self) -> Array:
        """First and second difference of normal stresses, xx - yy and yy - zz, shape (2,) [Pa]."""
        return -np.diff(self.pairs[:3] + self.motion[:3])


class Flow:
    """Shear of the beads of an engine, which must have been made to be sheared."""

    def __init__(self, engine: BeadEngine, rate: float) -> None:
        """Start the flow: every bead moves and turns as the box does on average.

        Args:
            engine: Of the beads.
            rate: Of the shear [1/s].
        """
        self._engine, self.rate = engine, rate
        self._averaged = 0  # steps over which LAMMPS has been told to average
        velocities = np.zeros((len(engine.radii), 3))
        # At rest where LAMMPS's own mean flow is: at the lower side.
        velocities[:, 0] = rate * (engine.positions()[:, 1] - engine.box()[0][1])
        spins = np.zeros_like(velocities)
        spins[:, 2] = -rate / 2
        engine.set_velocities(velocities, spins)
        engine.shear(rate)
        engine.command(
            "compute peculiar all temp/deform",
            "compute motion all pressure peculiar ke",
        )

    def scale_masses(self, factor: float, share: float) -> None:
        """Set the factor of all masses, as `BeadEngine.scale_masses` does, and flow on."""
        self._engine.hold_box()  # LAMMPS wants contacts to be there before the box moves
        self._engine.scale_masses(factor, share)
        self._engine.shear(self.rate)

    def steps(self, strain: float) -> int:
        """Return how many steps a strain takes, a whole number of samples."""
        return max(1, round(strain / (self.rate * self._engine.time_step * SAMPLE))) * SAMPLE

    def run(self, strain: float) -> Stress:
        """Shear by about a strain and return the mean stress."""
        steps, engine = self.steps(strain), self._engine
        self.average(steps)
        engine.run(steps)
        means = -PRESSURE * engine.fix_values("means", 2 * len(_PARTS))
        strain = steps * engine.time_step * self.rate
        return Stress(strain=strain, pairs=means[:4], motion=means[4:])

    def average(self, steps: int) -> None:
        """Have the stress averaged over so many steps at a time from now on, 0 for no more."""
        if steps == self._averaged:
            return
        engine = self._engine
        if self._averaged:
            engine.command("unfix means")
        self._averaged = steps
        if not steps:
            return
        # LAMMPS averages up to multiples of the number of steps alone.
        if ahead := -engine.steps % steps:
            engine.run(ahead)
        terms = [f"c_{name}[{part}]" for name in ("pressing", "motion") for part in _PARTS]
        engine.command(
            f"fix means all ave/time {SAMPLE} {steps // SAMPLE} {steps} {' '.join(terms)}"
        )

    def straighten(self) -> None:
        """Shear on until the lattice of the box has right angles, and stop."""
        engine = self._engine
        self.average(0)
        lower, upper = engine.box()
        # Tilted by a whole length, the lattice is what it was; the box is tilted by half at most.
        left = (engine.tilt() / (upper - lower)[0]) % 1.0
        strain = (1 - left) * (upper - lower)[0] / (upper - lower)[1]
        engine.run(round(strain / (self.rate * engine.time_step)))
        engine.straighten()

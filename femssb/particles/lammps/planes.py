"""Planes across z that press beads in LAMMPS: rigid, as rough as beads, moved as one likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.errors import EngineError
from femssb.packing.packing import Packing
from femssb.particles.lammps.beads import LENGTH, PRESSURE, TIME, BeadEngine

FREE = 0.5  # space beyond each plane, over their distance, in which a lost bead is still found
NEAR = 0.01  # share of the box that a plane may come near to its end
NAMES = ("lower", "upper")
LOOK = 20  # steps between corrections of the planes


def room(packing: Packing) -> Packing:
    """Return a packing whose box has room beyond its ends across z: planes go there."""
    away = FREE * packing.lengths * [0, 0, 1]
    return replace(
        packing,
        lower=packing.lower - away,
        upper=packing.upper + away,
        periodic=(*packing.periodic[:2], False),
    )


class Planes:
    """A lower and an upper plane in a running engine of beads, each with Hertz's contacts.

    Attributes:
        places: Heights of both planes, shape (2,) [m].
        speeds: At which they move, shape (2,) [m/s].
    """

    def __init__(self, engine: BeadEngine, places: Array, stiffness: float) -> None:
        """Put two planes at rest into an engine.

        Args:
            engine: Of a packing with `room` across z.
            places: Heights of the planes, shape (2,) [m].
            stiffness: k_n of contacts with them; dashpots and friction are those of the beads [Pa].
        """
        self.engine = engine
        self.places = np.array(places, dtype=np.float64)
        self.speeds = np.zeros(2)
        self._stiffness = stiffness
        self._zero = self.places.copy()
        self._born = self._step()
        forces = engine.forces
        normal = stiffness / PRESSURE
        damping = forces.damping * LENGTH * TIME / engine.mass_scaling
        law = (
            f"hertz/history {normal:.17g} {normal * forces.tangential_stiffness:.17g} "
            f"{damping:.17g} {damping * forces.tangential_damping:.17g} {forces.friction:.17g} 1"
        )
        for name, place, side in zip(NAMES, self.places / LENGTH, (1, -1), strict=True):
            engine.command(
                *(f"variable {part}_{name} internal 0.0" for part in ("at", "speed", "since")),
                f"variable moved_{name} equal v_at_{name}+v_speed_{name}*(step-v_since_{name})",
                f"region {name} plane 0 0 {place:.17g} 0 0 {side} side in units box "
                f"move NULL NULL v_moved_{name}",
                f"fix {name} all wall/gran/region {law} region {name}",
            )
        self.move(np.zeros(2))

    def _step(self) -> int:
        return int(self.engine._lammps.extract_global("ntimestep"))

    @property
    def thickness(self) -> float:
        """Distance of the planes [m]."""
        return float(self.places[1] - self.places[0])

    @property
    def area(self) -> float:
        """Of each plane [m2]."""
        lower, upper = self.engine.box()
        return float(np.prod((upper - lower)[:2]))

    def move(self, speeds: Array) -> None:
        """Set the speeds of both planes from now on, shape (2,) [m/s]."""
        self.speeds = np.array(speeds, dtype=np.float64)
        lammps = self.engine._lammps
        for name, moved, speed in zip(NAMES, self.places - self._zero, self.speeds, strict=True):
            step = speed * self.engine.time_step
            for part, value in (("at", moved / LENGTH), ("speed", step / LENGTH)):
                lammps.set_internal_variable(f"{part}_{name}", float(value))
            lammps.set_internal_variable(f"since_{name}", float(self._step()))

    def run(self, steps: int) -> None:
        """Take some steps, with the planes at their speeds.

        Raises:
            EngineError: If beads are lost, or one went through a plane: it is named.
        """
        self._make_room(self.speeds * steps * self.engine.time_step)
        self.engine.run(steps)
        self.places += self.speeds * steps * self.engine.time_step
        self.move(self.speeds)
        _, height, _ = self._touching()
        outside = (height < self.places[0]) | (height > self.places[1])
        lost = self.engine.comm.allgather(self._rows()[outside].tolist())
        if named := sorted(row for rows in lost for row in rows):
            raise EngineError(
                f"{self.engine._named(named[0])} went through a plane, by {self.engine.time:.4g} s "
                f"(step {self.engine.steps}), and {len(named) - 1} more: the plane is too soft "
                "or too fast"
            )

    def _make_room(self, ways: Array) -> None:
        """Lengthen the box if planes come near its ends on their ways, shape (2,) [m].

        Beyond them beads would be lost that follow a receding plane.
        """
        lower, upper = self.engine.box()
        ends, places = np.array([lower[2], upper[2]]), self.places + ways
        left = (places - ends) * [1, -1]
        if left.min() > NEAR * (upper - lower)[2]:
            return
        away = FREE * float(np.ptp(places))
        low, high = np.array([places[0] - away, places[1] + away]) / LENGTH
        self.engine.command(f"change_box all z final {low:.17g} {high:.17g} units box")

    def _rows(self) -> NDArray[np.int64]:
        return self.engine._owned()

    def _touching(self) -> tuple[Array, Array, Array]:
        """Return radius, height [m] and force on each plane (2, m) [N] of this rank's beads."""
        radii = self.engine._local("radius") * LENGTH
        height = self.engine._local("x")[:, 2] * LENGTH
        away = np.stack([height - self.places[0], self.places[1] - height])
        overlap = np.maximum(radii - away, 0.0)
        return radii, height, self._stiffness * np.sqrt(radii * overlap) * overlap

    def forces(self) -> Array:
        """Return the force by which beads push each plane outwards, without dashpots, (2,) [N]."""
        return np.asarray(self.engine.comm.allreduce(self._touching()[2].sum(axis=1)))

    def pressures(self) -> Array:
        """Return the pressure on each plane, shape (2,) [Pa]."""
        return self.forces() / self.area

    def pressure(self) -> float:
        """Return the mean pressure on both planes [Pa]."""
        return float(self.pressures().mean())

    def stress(self) -> float:
        """Return the mean pressure along z in the beads between the planes, from all contacts [Pa].

        At rest it is the pressure on the planes.
        """
        _, height, force = self._touching()
        arms = np.stack([height - self.places[0], self.places[1] - height])
        own = float(np.sum(arms * force))
        pairs = float(self.engine.pressure_tensor()[2, 2]) * self.engine.volume()
        return (pairs + float(self.engine.comm.allreduce(own))) / (self.area * self.thickness)

    def packing(self) -> Packing:
        """Return the present state, whose box ends at the planes."""
        found = self.engine.packing()
        lower, upper = found.lower.copy(), found.upper.copy()
        lower[2], upper[2] = self.places
        return replace(found, lower=lower, upper=upper)


class MovedPlanes:
    """Planes with a rule for their speed, run like an engine of beads.

    Both move alike, so that the beads between them stay where they are.
    """

    def __init__(self, planes: Planes, approach: Callable[[], float]) -> None:
        """Keep the planes and what returns the speed at which they approach each other [m/s]."""
        self.planes, self._approach = planes, approach
        self.comm, self.time_step = planes.engine.comm, planes.engine.time_step

    @property
    def steps(self) -> int:
        """Steps of the engine since its start."""
        return self.planes.engine.steps

    @property
    def time(self) -> float:
        """Time of the engine since its start [s]."""
        return self.planes.engine.time

    def run(self, steps: int) -> None:
        """Take some steps, rounded up to whole intervals."""
        for _ in range(0, steps, LOOK):
            self.planes.move(self._approach() / 2 * np.array([1.0, -1.0]))
            self.planes.run(LOOK)

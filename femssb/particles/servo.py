"""Planes that follow the pressure asked for, until a packing is at rest.

A packing is at rest when the mean net force on a sphere is below `BALANCE` of the mean contact
force, and the pressure on every plane is within `PRESSURE_ERROR` of the one applied, twice in a
row. Both count: under a steady pressure on the planes, spheres may still be in full motion.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.packing.packing import Contacts
from femssb.particles.lammps.engine import Balance, Engine
from femssb.particles.stages import Stage, Swell, Uniaxial

Array = NDArray[np.float64]

BALANCE = 1e-3  # mean net force over mean contact force at the end of a stage
PRESSURE_ERROR = 1e-3  # of the pressure on every plane at the end of a stage, relative
LIMIT = 200_000  # steps after which a stage gives up
SERVO = 10  # steps between corrections of the planes
CHECK = 50  # corrections between looks at the balance
STIFFER = 1.5  # pressure over that at the last look above which masses are too small, if it is
SLACK = 0.01  # more than this share of that of the stage
GROW = 5  # corrections between changes of size
GROWTH = 6e-4  # relative change of diameter at once
WAIT = 0.1  # error of the pressure on a plane above which spheres wait with their growth
INERTIA = 4e-3  # inertial number: strain rate x diameter x sqrt(density / pressure)
PLANE = 1.0  # mass of a plane over that of all spheres
SHOCK = 0.3  # pressure that a receding plane may take off the spheres, over that on it
QUIET = 5e-3  # mean net force over mean contact force above which it recedes more slowly,
SLOWEST = 0.05  # at least with this share of the speed
INTERVAL = 1.0  # between lines of progress [s]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """How a stage ended."""

    settled: bool  # whether it is at rest, by both criteria
    contacts: Contacts
    balance: Balance
    pressure_error: float  # largest, of the planes that move, relative
    steps: int
    highest_speed: float  # of a plane [m per step]
    highest_inertia: float  # inertial number of the packing between the planes [-]


def until_rest(engine: Engine, stage: Stage, *, show: str = "") -> Rest:
    """Drive a stage until it is at rest, or `LIMIT` is reached.

    Args:
        engine: Holds the packing.
        stage: What to do.
        show: What this rank's lines of progress begin with; none if empty.
    """
    axes = _driven(engine, stage)
    began = engine.steps
    growth = left = math.log(stage.factor()) if isinstance(stage, Swell) else 0.0
    phase = engine.phase_names.index(stage.phase) if isinstance(stage, Swell) else 0
    rests, error = 0, 0.0
    servo = _Servo(engine, axes)
    shown = time.perf_counter()
    while True:
        state = engine.balance()
        servo.look(state)
        off = float(np.max(np.abs(state.pressures.reshape(3, 2)[axes] / stage.pressure - 1)))
        quiet = state.unbalanced < BALANCE and off < PRESSURE_ERROR
        rests = rests + 1 if quiet and left == 0 else 0
        if rests == 2 or engine.steps - began >= LIMIT:
            return Rest(
                settled=rests == 2,
                contacts=engine.contacts(),
                balance=state,
                pressure_error=off,
                steps=engine.steps - began,
                highest_speed=servo.highest_speed,
                highest_inertia=servo.highest_inertia,
            )
        if show and time.perf_counter() - shown > INTERVAL:
            shown = time.perf_counter()
            grown = f"  {growth - left:+.4f} of {growth:+.4f} grown" if growth else ""
            sys.stderr.write(
                f"{show}  step {engine.steps - began:6d}  pressure off by {100 * off:7.3g} %  "
                f"unbalanced {state.unbalanced:.1e} (rest: {100 * PRESSURE_ERROR:g} %, {BALANCE:g})"
                f"{grown}\n"
            )
            sys.stderr.flush()
        engine.calm(state)
        engine.rescale_masses(state, stage.pressure)
        suited = float(state.pressures.max())
        for k in range(CHECK):
            if left != 0 and error < WAIT and k % GROW == 0:
                part = math.copysign(min(GROWTH, abs(left)), left)
                left -= part
                factors = np.ones(len(engine.phase_names))
                factors[phase] = math.exp(part)
                engine.scale_radii(factors)
            pressures = engine.pressures()
            error = float(np.max(np.abs(pressures[axes] / stage.pressure - 1)))
            if pressures.max() > max(STIFFER * suited, SLACK * stage.pressure):
                engine.rescale_masses(engine.balance(), stage.pressure)
                suited = float(pressures.max())
            engine.move_planes(servo.velocities(pressures, stage.pressure))
            engine.run(SERVO)


class _Servo:
    """Moves the planes as if they had a mass and stopped whenever the pressure is right.

    A mass follows a packing that gives way at almost no pressure, and needs to know nothing of how
    stiff that is. As heavy as all spheres, it is no slower than they are: a lighter one follows
    every slip, and under it a packing at the edge of yield creeps on and on. Both planes of an axis
    move alike, for a packing cannot be shaken between them; they keep below a speed at which the
    deformation is not slow, and recede no faster than spheres can follow.
    """

    def __init__(self, engine: Engine, axes: NDArray[np.bool_]) -> None:
        self._engine, self._axes = engine, axes
        self._state: Balance | None = None
        self._inwards = np.zeros(3)  # speed of the planes [m per step]
        self.highest_speed = self.highest_inertia = 0.0

    def look(self, state: Balance) -> None:
        """Learn how stiff the packing is, and how far from rest."""
        self._state = state

    def velocities(self, pressures: Array, wanted: float) -> Array:
        """Return the velocities of the planes for the next `SERVO` steps, shape (3, 2) [m/step]."""
        assert self._state is not None
        engine, state = self._engine, self._state
        lengths = engine.planes[:, 1] - engine.planes[:, 0]
        density = engine.masses.sum() / np.prod(lengths)
        mean = pressures.mean(axis=1)
        force = (wanted - mean) * np.prod(lengths) / lengths
        kept = np.where(force * self._inwards < 0, 0.0, self._inwards)
        speed = kept + SERVO * force / (PLANE * engine.masses.sum())
        across = lengths / (4 * engine.radii.mean())
        unit = np.sqrt(np.maximum(mean, wanted) / density) * across  # speed of inertial number 1
        impedance = np.sqrt(density * np.maximum(state.modulus, wanted))
        followed = SHOCK * np.clip(QUIET / state.unbalanced, SLOWEST, 1.0) * mean / impedance
        slow = INERTIA * unit
        self._inwards = self._axes * np.clip(speed, -np.minimum(slow, followed), slow)
        speeds = np.abs(self._inwards)
        self.highest_speed = max(self.highest_speed, float(speeds.max()))
        self.highest_inertia = max(self.highest_inertia, float(np.max(speeds / unit)))
        return self._inwards[:, None] * [1.0, -1.0]


def _driven(engine: Engine, stage: Stage) -> NDArray[np.bool_]:
    """Return which axes have planes that the stage moves, shape (3,)."""
    walled = ~np.array(engine.periodic)
    if isinstance(stage, Uniaxial):
        walled[:2] = False
    return walled

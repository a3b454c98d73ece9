"""Planes that follow the pressure asked for, until a packing is at rest.

A packing is at rest when the mean net force on a sphere is below `BALANCE` of the mean contact
force, and the pressure on every plane is within `PRESSURE_ERROR` of the one applied, twice in a
row. Both count: under a steady pressure on the planes, spheres may still be in full motion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.packing import Contacts
from femssb.particles.engine import Balance, Engine
from femssb.particles.stages import Stage, Swell, Uniaxial

Array = NDArray[np.float64]

BALANCE = 1e-3  # mean net force over mean contact force at the end of a stage
PRESSURE_ERROR = 1e-3  # of the pressure on every plane at the end of a stage, relative
INERTIA = 4e-3  # inertial number: strain rate x diameter x sqrt(density / pressure)
SERVO = 50  # steps between corrections of the planes
CHECK = 10  # corrections between looks at the balance
SHOCK = 0.3  # pressure that stopping a plane at once would make, over the pressure on it

GAIN = 0.25  # least speed of a plane over that which swallows a wave
TOP = 100.0
BOLDER = 1.1
WAIT = 0.1  # error of the pressure on a plane above which spheres wait with their growth
GROWTH = 6e-4  # relative change of diameter between two corrections of the planes
LIMIT = 80_000  # steps after which a stage gives up


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


def until_rest(engine: Engine, stage: Stage) -> Rest:
    """Drive a stage until it is at rest, or `LIMIT` is reached."""
    axes = _driven(engine, stage)
    began = engine.steps
    left = math.log(stage.factor()) if isinstance(stage, Swell) else 0.0
    phase = engine.phase_names.index(stage.phase) if isinstance(stage, Swell) else 0
    rests, error = 0, 0.0
    servo = _Servo(engine, axes)
    while True:
        contacts = engine.contacts()
        state = engine.balance(contacts)
        servo.look(state)
        off = float(np.max(np.abs(state.pressures.reshape(3, 2)[axes] / stage.pressure - 1)))
        quiet = state.unbalanced < BALANCE and off < PRESSURE_ERROR
        rests = rests + 1 if quiet and left == 0 else 0
        if rests == 2 or engine.steps - began >= LIMIT:
            return Rest(
                settled=rests == 2,
                contacts=contacts,
                balance=state,
                pressure_error=off,
                steps=engine.steps - began,
                highest_speed=servo.highest_speed,
                highest_inertia=servo.highest_inertia,
            )
        engine.calm(contacts)
        engine.rescale_masses(contacts, stage.pressure)
        fresh = True
        for _ in range(CHECK):
            if left != 0 and error < WAIT:
                part = math.copysign(min(GROWTH, abs(left)), left)
                left -= part
                factors = np.ones(len(engine.phase_names))
                factors[phase] = math.exp(part)
                engine.scale_radii(factors)
                fresh = True
            pressures = engine.pressures()
            error = float(np.max(np.abs(pressures[axes] / stage.pressure - 1)))
            engine.move_planes(servo.velocities(pressures, stage.pressure))
            engine.run(SERVO, fresh=fresh)
            fresh = False


class _Servo:
    """Moves the planes such that the pressure on them becomes the one applied.

    A plane that moves with pressure over impedance swallows a wave that meets it. Ours moves with
    half of that for the error of pressure, so the response suits packings of any size, stiffness
    and pressure; and it gains speed while the error stays, for a loose packing yields at almost no
    pressure. It keeps below a speed that would shake the packing when it stops, and below one at
    which the deformation is not slow; the second counts while the packing is still loose.
    """

    def __init__(self, engine: Engine, axes: NDArray[np.bool_]) -> None:
        self._engine, self._axes = engine, axes
        self._modulus = np.zeros(3)
        self._gain = np.full(3, GAIN)  # speed of a plane over that which swallows a wave
        self._error = np.zeros(3)  # of pressure, before [Pa]
        self.highest_speed = self.highest_inertia = 0.0

    def look(self, state: Balance) -> None:
        """Learn how stiff the contacts of the packing are."""
        self._modulus = state.modulus

    def velocities(self, pressures: Array, wanted: float) -> Array:
        """Return the velocities of the planes for the next `SERVO` steps, shape (3, 2) [m/step]."""
        lengths = self._engine.planes[:, 1] - self._engine.planes[:, 0]
        density = self._engine.masses.sum() / np.prod(lengths)
        impedance = np.maximum(np.sqrt(density * self._modulus), 1e-300)
        mean = pressures.mean(axis=1)  # both planes alike: a packing cannot be shaken between them
        error = wanted - mean
        same = error * self._error > 0
        self._gain = np.clip(np.where(same, BOLDER, 0.5) * self._gain, GAIN, TOP)
        self._error = error
        across = lengths / (4 * self._engine.radii.mean())
        unit = np.sqrt(np.maximum(mean, wanted) / density) * across  # speed of inertial number 1
        push = np.maximum(self._gain * error, -SHOCK * mean)
        inwards = self._axes * np.clip(push / impedance, -INERTIA * unit, INERTIA * unit)
        self.highest_speed = max(self.highest_speed, float(np.max(np.abs(inwards))))
        self.highest_inertia = max(self.highest_inertia, float(np.max(np.abs(inwards) / unit)))
        return inwards[:, None] * [1.0, -1.0]


def _driven(engine: Engine, stage: Stage) -> NDArray[np.bool_]:
    """Return which axes have planes that the stage moves, shape (3,)."""
    walled = ~np.array(engine.periodic)
    if isinstance(stage, Uniaxial):
        walled[:2] = False
    return walled

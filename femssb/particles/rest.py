"""Planes that follow the pressure asked for, until a packing is at rest.

Both the balance of the spheres and the pressure on the planes count: under a steady pressure on the
planes, spheres may still be in full motion.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.environment.interruption import stop_if_asked
from femssb.errors import Interrupted
from femssb.packing.packing import Contacts
from femssb.particles.lammps.engine import Balance, Engine
from femssb.particles.servo import Servo
from femssb.particles.stages import Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """How a stage ended."""

    settled: bool  # is the packing at rest, by both criteria?
    contacts: Contacts
    balance: Balance  # at the last look
    pressure_error: float  # largest, of the planes that move, relative
    steps: int  # of LAMMPS, in this stage
    highest_speed: float  # of a plane [m per step]
    highest_inertia: float  # inertial number of the packing between the planes [-]
    stopped: Interrupted | None  # by a signal, before the packing was at rest


def until_rest(engine: Engine, stage: Stage, servo: Servo, report: Callable[[str], None]) -> Rest:
    """Drive a stage until it is at rest, has taken the most steps allowed, or a signal stops it.

    The stage does its own work in between; `report` takes lines of progress.
    """
    axes = stage.axes(engine.periodic)
    work, planes = stage.work(engine, servo), _Planes(engine, axes, servo)
    began, rests, error = engine.steps, 0, 0.0
    stopped: Interrupted | None = None
    while True:
        state = engine.balance()
        steps = engine.steps - began
        wanted = stage.wanted(engine, state.pressures)
        off = float(np.max(np.abs(state.pressures.reshape(3, 2)[axes] / wanted - 1)))
        quiet = state.unbalanced < servo.balance and off < servo.pressure_error
        rests = rests + 1 if quiet and work.done else 0
        if rests == 2 or stopped or steps >= servo.most_steps:
            return Rest(
                settled=rests == 2,
                contacts=engine.contacts(),
                balance=state,
                pressure_error=off,
                steps=steps,
                highest_speed=planes.highest_speed,
                highest_inertia=planes.highest_inertia,
                stopped=None if rests == 2 else stopped,
            )
        report(
            f"step {steps:6d}  pressure off by {100 * off:7.3g} %  "
            f"unbalanced {state.unbalanced:.1e} "
            f"(rest: {100 * servo.pressure_error:g} %, {servo.balance:g})  {work.progress}".rstrip()
        )
        engine.calm(state)
        engine.rescale_masses(state, wanted)
        suited = float(state.pressures.max())
        for _ in range(servo.corrections):
            work.advance(error)
            pressures = engine.pressures()
            wanted = stage.wanted(engine, pressures.ravel())
            error = float(np.max(np.abs(pressures[axes] / wanted - 1)))
            if pressures.max() > max(servo.stiffer * suited, servo.slack * wanted):
                engine.rescale_masses(engine.balance(), wanted)
                suited = float(pressures.max())
            engine.move_planes(planes.velocities(pressures, wanted, state))
            engine.run(servo.interval)
            try:
                stop_if_asked(engine.comm)
            except Interrupted as signal:
                stopped = signal
                break


class _Planes:
    """Planes that move as if they had a mass and stopped whenever the pressure is right.

    A mass follows a packing that gives way at almost no pressure, and needs to know nothing of how
    stiff that is. As heavy as all spheres, it is no slower than they are: a lighter one follows
    every slip, and under it a packing at the edge of yield creeps indefinitely. Both planes of an
    axis move alike, for a packing cannot be shaken between them; they keep below a speed at which
    the deformation is not slow, and recede no faster than spheres can follow.
    """

    def __init__(self, engine: Engine, axes: NDArray[np.bool_], servo: Servo) -> None:
        self._engine, self._axes, self._servo = engine, axes, servo
        self._inwards = np.zeros(3)  # speed of the planes [m per step]
        self.highest_speed = self.highest_inertia = 0.0

    def velocities(self, pressures: Array, wanted: float, state: Balance) -> Array:
        """Return the velocities of the planes until the next correction, shape (3, 2) [m/step]."""
        engine, servo = self._engine, self._servo
        lengths = engine.planes[:, 1] - engine.planes[:, 0]
        density = engine.masses.sum() / np.prod(lengths)
        mean = pressures.mean(axis=1)
        force = (wanted - mean) * np.prod(lengths) / lengths
        kept = np.where(force * self._inwards < 0, 0.0, self._inwards)
        speed = kept + servo.interval * force / (servo.plane_mass * engine.masses.sum())
        across = lengths / (4 * engine.radii.mean())
        unit = np.sqrt(np.maximum(mean, wanted) / density) * across  # speed of inertial number 1
        impedance = np.sqrt(density * np.maximum(state.modulus, wanted))
        unbalanced = max(state.unbalanced, servo.quiet)  # a few spheres may balance to the last bit
        share = max(servo.quiet / unbalanced, servo.slowest)
        followed = servo.shock * share * mean / impedance
        slow = servo.inertia * unit
        self._inwards = self._axes * np.clip(speed, -np.minimum(slow, followed), slow)
        speeds = np.abs(self._inwards)
        self.highest_speed = max(self.highest_speed, float(speeds.max()))
        self.highest_inertia = max(self.highest_inertia, float(np.max(speeds / unit)))
        return self._inwards[:, None] * [1.0, -1.0]

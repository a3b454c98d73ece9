"""What is done to a packing, one stage after the other: pressing, unloading, cycling.

A stage ends when the packing is at rest: the mean net force on a sphere is below `BALANCE` of the
mean contact force, and the pressure on every plane is within `PRESSURE_ERROR` of the one applied.
Both count: with a steady pressure on the planes alone, spheres may still be in full motion.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import femssb
from femssb.errors import InputError, NotConverged, check_number
from femssb.packing import Packing
from femssb.particles import files
from femssb.particles.engine import FACES, Balance, Engine
from femssb.particles.laws import ContactLaw
from femssb.particles.stress import particle_stress

if TYPE_CHECKING:
    from mpi4py import MPI

Array = NDArray[np.float64]

BALANCE = 1e-3  # mean net force over mean contact force at the end of a stage
PRESSURE_ERROR = 1e-3  # of the pressure on every plane at the end of a stage, relative
INERTIA = 1e-3  # inertial number: strain rate x diameter x sqrt(density / pressure)
SERVO = 50  # steps between corrections of the planes
CHECK = 10  # corrections between looks at the balance
SHOCK = 0.1  # pressure that stopping a plane at once would make, over the pressure on it
PATIENCE = 5.0  # transits of a wave after which the planes double their speed if the error stays
WAIT = 0.1  # error of the pressure on a plane above which spheres wait with their growth
GROWTH = 6e-4  # relative change of diameter between two corrections of the planes
LIMIT = 40_000  # steps after which a stage gives up

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Uniaxial:
    """Press between two planes along z, or unload to a lower pressure; x and y stay as they are.

    Raises:
        InputError: If the pressure is out of its bounds.
    """

    pressure: float  # on both planes, positive compresses [Pa]

    def __post_init__(self) -> None:
        """Check the pressure."""
        check_number("Uniaxial", "pressure", self.pressure, lower=1e3, upper=1e11, unit="Pa")


@dataclass(frozen=True, kw_only=True, slots=True)
class Isostatic:
    """Press with one pressure on all six faces; sides that were periodic become planes.

    Raises:
        InputError: If the pressure is out of its bounds.
    """

    pressure: float  # on every face, positive compresses [Pa]

    def __post_init__(self) -> None:
        """Check the pressure."""
        check_number("Isostatic", "pressure", self.pressure, lower=1e3, upper=1e11, unit="Pa")


@dataclass(frozen=True, kw_only=True, slots=True)
class Swell:
    """Change the size of the spheres of one phase, with one pressure on all planes.

    One half of a cycle: the growth of an active material on discharge, or its reverse on charge.

    Raises:
        InputError: If the growth is out of its bounds, or of an unknown kind.
    """

    phase: str
    growth: float  # relative change, negative shrinks [-]
    pressure: float  # on every plane, positive compresses [Pa]
    of: str = "diameter"  # what changes by it: "diameter" or "volume"

    def __post_init__(self) -> None:
        """Check every field."""
        check_number("Swell", "growth", self.growth, lower=-0.5, upper=1.0)
        check_number("Swell", "pressure", self.pressure, lower=1e3, upper=1e11, unit="Pa")
        if self.of not in ("diameter", "volume"):
            raise InputError(f"Swell.of = {self.of!r} must be 'diameter' or 'volume'")

    def factor(self) -> float:
        """Return the new diameter over the old one."""
        return 1 + self.growth if self.of == "diameter" else float(np.cbrt(1 + self.growth))


Stage = Uniaxial | Isostatic | Swell


def cycles(
    phase: str, growth: float, *, pressure: float, count: int, of: str = "diameter"
) -> list[Swell]:
    """Return the stages of cycles in which one phase grows and shrinks back to its first size.

    Args:
        phase: The one that changes.
        growth: Relative change, positive: grows first, as a cathode does on discharge [-].
        pressure: On every plane, positive compresses [Pa].
        count: Number of cycles.
        of: What changes by it: ``"diameter"`` or ``"volume"``.
    """
    grow = Swell(phase=phase, growth=growth, pressure=pressure, of=of)
    return [grow, replace(grow, growth=1 / (1 + growth) - 1)] * count


def press(
    packing: Packing,
    stages: Sequence[Stage] | Stage,
    law: ContactLaw,
    *,
    out: str | Path | None = None,
    comm: MPI.Intracomm | None = None,
) -> list[Packing]:
    """Take a packing through one or more stages.

    The contacts keep their history from one stage to the next. With a folder, the packing after
    every stage is written there at once, and a second call goes on after the last stage that is
    there and was made from the same packing, law and stages.

    Args:
        packing: Where to start.
        stages: What to do, in this order.
        law: Of all contacts.
        out: Folder for the packing after every stage, ``01_uniaxial.h5`` and so on.
        comm: The ranks that share the work; all of them if left out.

    Returns:
        The packing after every stage, with stress and contacts, the same on every rank; its
        `origin` reports on all stages behind it.

    Raises:
        InputError: If a phase is unknown, before any work.
        EngineError: If LAMMPS is missing, lacks a package or stops.
        NotConverged: If a stage does not come to rest; what came before it is in the folder, and
            so is the state that it reached, as ``..._unfinished.h5``.
    """
    stages = [stages] if isinstance(stages, Stage) else list(stages)
    _check(packing, stages, law)
    folder = None if out is None else Path(out)
    done: list[Packing] = []
    press_now = _Press(law, comm)
    try:
        for number, stage in enumerate(stages, start=1):
            key = _key(done[-1] if done else packing, stage, law)
            name = f"{number:02d}_{type(stage).__name__.lower()}"
            finished = None if folder is None else _finished(folder / f"{name}.h5", key)
            if finished is None:
                finished = press_now.run(done[-1] if done else packing, stage, key, folder, name)
            done.append(finished)
    finally:
        press_now.close()
    return done


class _Press:
    """Keeps one engine alive as long as its last state is where the next stage starts."""

    def __init__(self, law: ContactLaw, comm: MPI.Intracomm | None) -> None:
        self.law, self.comm = law, comm
        self.engine: Engine | None = None
        self.holds: Packing | None = None  # the packing that the engine's state is

    def close(self) -> None:
        if self.engine is not None:
            self.engine.close()
        self.engine = self.holds = None

    def run(
        self, packing: Packing, stage: Stage, key: str, folder: Path | None, name: str
    ) -> Packing:
        """Do one stage, and write its end, or where it got stuck, into the folder."""
        walled = isinstance(stage, Isostatic) and any(packing.periodic)
        if self.engine is None or self.holds is not packing or walled:
            self.close()
            self.engine = Engine(
                _between_planes(packing) if walled else packing, self.law, self.comm
            )
        engine = self.engine
        started, steps = time.process_time(), engine.steps
        self.holds = None
        state, settled = _until_rest(engine, stage)
        report = {
            "stage": type(stage).__name__,
            **asdict(stage),
            "steps": engine.steps - steps,
            "unbalanced": state.unbalanced,
            "pressures": dict(zip(FACES, state.pressures.tolist(), strict=True)),
            "cpu_time": time.process_time() - started,
            "settled": settled,
            "key": key,
        }
        made = [*packing.origin.get("stages", []), report]
        origin = {**packing.origin, "femssb": femssb.__version__, "stages": made}
        reached = engine.packing(origin)
        reached = replace(reached, stress=particle_stress(reached))
        if folder is not None and engine.comm.rank == 0:
            files.write(reached, folder / f"{name}{'' if settled else '_unfinished'}.h5")
        if not settled:
            raise NotConverged(
                f"{type(stage).__name__} did not come to rest",
                step=engine.steps - steps,
                residuals={
                    "unbalanced over allowed": state.unbalanced / BALANCE,
                    "pressure error over allowed": _pressure_error(engine, stage, state)
                    / PRESSURE_ERROR,
                },
            )
        logger.info("%s: %d steps", name, report["steps"])
        self.holds = reached
        return reached


def _until_rest(engine: Engine, stage: Stage) -> tuple[Balance, bool]:
    """Drive a stage until it is at rest, or `LIMIT` is reached.

    Returns:
        The last state, and whether it is at rest.
    """
    axes = _driven(engine, stage)
    last = engine.steps + LIMIT
    left = math.log(stage.factor()) if isinstance(stage, Swell) else 0.0
    phase = engine.phase_names.index(stage.phase) if isinstance(stage, Swell) else 0
    rests, error = 0, 0.0
    servo = _Servo(engine)
    while True:
        contacts = engine.contacts()
        state = engine.balance(contacts)
        servo.look(state)
        quiet = (
            state.unbalanced < BALANCE and _pressure_error(engine, stage, state) < PRESSURE_ERROR
        )
        rests = rests + 1 if quiet and left == 0 else 0
        if rests == 2 or engine.steps >= last:
            return state, rests == 2
        engine.rescale_masses(contacts)
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
            engine.move_planes(servo.velocities(pressures, stage.pressure) * axes[:, None])
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

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._modulus = np.zeros(3)
        self._stayed = np.zeros(3)  # error of pressure, over the time in which it is made good [Pa]

    def look(self, state: Balance) -> None:
        """Learn how stiff the contacts of the packing are."""
        self._modulus = state.modulus

    def velocities(self, pressures: Array, wanted: float) -> Array:
        """Return the velocities of the planes for the next `SERVO` steps, shape (3, 2) [m/step]."""
        lengths = self._engine.planes[:, 1] - self._engine.planes[:, 0]
        density = self._engine.masses.sum() / np.prod(lengths)
        impedance = np.maximum(np.sqrt(density * self._modulus), 1e-300)
        mean = pressures.mean(axis=1)  # both planes alike: a packing cannot be shaken between them
        error = (wanted - mean) / 2
        transits = SERVO * self._modulus / impedance / lengths  # of a wave from plane to plane
        gained = self._stayed + error * transits / PATIENCE
        self._stayed = np.where(self._stayed * error < 0, 0.0, gained)
        highest = SHOCK * np.maximum(mean, wanted)
        self._stayed = np.clip(self._stayed, -highest, highest)
        across = lengths / (4 * self._engine.radii.mean())
        slow = INERTIA * np.sqrt(np.maximum(mean, wanted) / density) * across
        push = np.clip(error + self._stayed, -highest, highest)
        inwards = np.clip(push / impedance, -slow, slow)
        return inwards[:, None] * [1.0, -1.0]


def _driven(engine: Engine, stage: Stage) -> NDArray[np.bool_]:
    """Return which axes have planes that the stage moves, shape (3,)."""
    walled = ~np.array(engine.periodic)
    if isinstance(stage, Uniaxial):
        walled[:2] = False
    return walled


def _pressure_error(engine: Engine, stage: Stage, state: Balance) -> float:
    """Return the largest error of the pressure on a driven plane over the applied pressure."""
    axes = _driven(engine, stage)
    error = np.abs(state.pressures.reshape(3, 2)[axes] - stage.pressure)
    return float(error.max() / stage.pressure)


def _check(packing: Packing, stages: Sequence[Stage], law: ContactLaw) -> None:
    """Raise InputError for what would fail later."""
    if len(packing.radii) == 0:
        raise InputError("press: the packing has no spheres")
    if not stages:
        raise InputError("press: there are no stages")
    periodic = packing.periodic
    for stage in stages:
        if not isinstance(stage, Stage):
            raise InputError(f"press: {stage!r} is not a stage")
        if isinstance(stage, Swell) and stage.phase not in packing.phase_names:
            raise InputError(
                f"press: Swell.phase = {stage.phase!r}, but the packing has {packing.phase_names!r}"
            )
        if isinstance(stage, Isostatic):
            periodic = (False, False, False)
        if periodic[2] or (isinstance(stage, Swell) and all(periodic)):
            raise InputError(f"press: {type(stage).__name__} needs planes across z")
    for name in packing.phase_names:
        if name not in law.solids:
            raise InputError(f"press: the contact law has no solid for phase {name!r}")


def _between_planes(packing: Packing) -> Packing:
    """Return a packing whose periodic sides became planes that just touch its spheres."""
    positions = np.array(packing.positions)
    lower, upper = np.array(packing.lower), np.array(packing.upper)
    for axis in np.flatnonzero(packing.periodic):
        length = upper[axis] - lower[axis]
        positions[:, axis] = lower[axis] + (positions[:, axis] - lower[axis]) % length
        lower[axis] = np.min(positions[:, axis] - packing.radii)
        upper[axis] = np.max(positions[:, axis] + packing.radii)
    return replace(
        packing,
        positions=positions,
        lower=lower,
        upper=upper,
        periodic=(False, False, False),
        stress=None,
        contacts=None,
    )


def _key(packing: Packing, stage: Stage, law: ContactLaw) -> str:
    """Return a word that changes with all that the result of a stage depends on."""
    hashed = hashlib.sha256()
    made = packing.origin.get("stages", [])
    if made:
        hashed.update(made[-1]["key"].encode())
    for array in (packing.positions, packing.radii, packing.phases, packing.lower, packing.upper):
        hashed.update(np.ascontiguousarray(array).tobytes())
    inputs = [packing.phase_names, packing.periodic, type(stage).__name__, asdict(stage)]
    inputs += [type(law).__name__, asdict(law)]
    hashed.update(json.dumps(inputs, sort_keys=True).encode())
    return hashed.hexdigest()[:16]


def _finished(path: Path, key: str) -> Packing | None:
    """Return the packing of a stage that was finished before, or None."""
    if not path.exists():
        return None
    found = files.read(path)
    made = found.origin.get("stages", [])
    return found if made and made[-1]["key"] == key else None

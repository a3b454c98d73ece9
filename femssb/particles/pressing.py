"""`press`: packings taken through stages in LAMMPS, each stage kept in a folder as it ends."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from femssb._version import __version__
from femssb.environment.files import make_folder
from femssb.environment.progress import progress_lines
from femssb.environment.ranks import communicator, from_first_rank
from femssb.errors import InputError, NotConverged
from femssb.inputs.case import fingerprint
from femssb.packing import files
from femssb.packing.packing import Packing
from femssb.packing.stress import particle_stress
from femssb.particles.lammps.engine import FACES, Engine
from femssb.particles.laws import ContactLaw
from femssb.particles.rest import until_rest
from femssb.particles.servo import Servo
from femssb.particles.stages import Stage

if TYPE_CHECKING:
    from mpi4py import MPI

USUAL = Servo()
Show = Callable[[str], None]  # takes a line of progress

logger = logging.getLogger(__name__)


def press(
    packing: Packing,
    stages: Sequence[Stage] | Stage,
    law: ContactLaw,
    *,
    out: str | Path | None = None,
    comm: MPI.Intracomm | None = None,
    progress: bool = True,
    servo: Servo = USUAL,
) -> list[Packing]:
    """Take a packing through one or more stages.

    The contacts keep their history from one stage to the next. With a folder, the packing after
    every stage is written there at once, and a second call resumes after the last stage that is
    there and was made from the same packing, law and stages.

    Args:
        packing: Where to start.
        stages: Done in this order.
        law: Of all contacts.
        out: Folder for the packing after every stage, ``01_uniaxial.h5`` and so on.
        comm: The ranks that share the work; all of them if left out.
        progress: Whether rank 0 shows progress on standard error.
        servo: How the planes move, and when a packing counts as being at rest.

    Returns:
        The packing after every stage, with stress and contacts, the same on every rank; its
        `origin` reports on all stages behind it.

    Raises:
        InputError: If a phase is unknown, or a stage does not suit the packing, before any work.
        EngineError: If LAMMPS is missing, lacks a package or stops.
        NotConverged: If a stage does not come to rest; what came before it is in the folder, and
            so is the state that it reached, as ``..._unfinished.h5``.
    """
    stages = [stages] if isinstance(stages, Stage) else list(stages)
    _check(packing, stages, law)
    comm = communicator(comm)
    show = progress_lines(progress and comm.rank == 0)
    done: list[Packing] = []
    state = None  # where the last stage left that of its engine
    with _folder(out, comm) as folder:
        for number, stage in enumerate(stages, start=1):
            start = done[-1] if done else packing
            record = _Record(folder, number, stage, _key(start, stage, law, servo))
            reached = from_first_rank(comm, record.read)
            if reached is None:
                title = f"{number}/{len(stages)} {stage.label}  "
                with Engine(stage.prepared(start), law, comm, state=state) as engine:
                    reached = _settled(engine, start, servo, record, show, title)
            done.append(reached)
            state = record.state
    return done


def _settled(
    engine: Engine, start: Packing, servo: Servo, record: _Record, show: Show, title: str
) -> Packing:
    """Do the stage of a record, and record its end, or where it got stuck."""
    started, stage = time.process_time(), record.stage
    rest = until_rest(engine, stage, servo, lambda line: show(title + line))
    name, times = type(stage).__name__, engine.time_steps()
    usual = float(np.median(times))
    report = {
        "stage": name,
        **asdict(stage),
        "steps": rest.steps,
        "unbalanced": rest.balance.unbalanced,
        "pressures": dict(zip(FACES, rest.balance.pressures.tolist(), strict=True)),
        "time_step": usual,  # [s]; masses at it over true ones:
        "mass_scaling": ((usual / np.array([times.max(), times.min()])) ** 2).tolist(),
        "highest_speed": rest.highest_speed / usual,  # of a plane [m/s]
        "highest_inertia": rest.highest_inertia,
        "cpu_time": engine.comm.allreduce(time.process_time() - started),
        "settled": rest.settled,
        "key": record.key,
    }
    made = [*start.origin.get("stages", []), report]
    reached = engine.packing(rest.contacts, {**start.origin, "femssb": __version__, "stages": made})
    if rest.settled:
        report["state"] = engine.save(record.state)
    reached = replace(reached, stress=particle_stress(reached))
    from_first_rank(engine.comm, lambda: record.write(reached, rest.settled))
    if not rest.settled:
        residuals = {
            "unbalanced over allowed": rest.balance.unbalanced / servo.balance,
            "pressure error over allowed": rest.pressure_error / servo.pressure_error,
        }
        raise NotConverged(f"{name} did not come to rest", step=rest.steps, residuals=residuals)
    logger.info("%s: %d steps", stage.label, rest.steps)
    return reached


class _Record:
    """Files that a stage leaves in the folder: its packing and the state of the engine."""

    def __init__(self, folder: Path, number: int, stage: Stage, key: str) -> None:
        name = f"{number:02d}_{type(stage).__name__.lower()}"
        self.stage, self.key = stage, key
        self.path = folder / f"{name}.h5"
        self.unfinished = folder / f"{name}_unfinished.h5"
        self.state = folder / f"{name}_{key}.restart"

    def read(self) -> Packing | None:
        """Return the packing, or None if the stage was not finished from the same start."""
        if not self.path.exists():
            return None
        found = files.read(self.path)
        made = found.origin.get("stages", [])
        if not made or made[-1]["key"] != self.key:
            return None
        size = self.state.stat().st_size if self.state.exists() else None
        if size != made[-1]["state"]:
            raise InputError(
                f"press: {self.state.name} has {size} bytes instead of {made[-1]['state']}; delete "
                f"{self.path.name} to do this stage again"
            )
        return found

    def write(self, packing: Packing, settled: bool) -> None:
        """Write the packing, whole or not at all."""
        files.write(packing, self.path if settled else self.unfinished)
        if settled:
            self.unfinished.unlink(missing_ok=True)


@contextmanager
def _folder(out: str | Path | None, comm: MPI.Intracomm) -> Iterator[Path]:
    """Make a folder that LAMMPS can write into, a temporary one if none is asked for."""
    if out is not None:
        if any(letter in str(out) for letter in '%*"'):
            raise InputError(f'press: out = {str(out)!r} must not hold any of the letters % * "')
        yield from_first_rank(comm, lambda: make_folder(Path(out)))
        return
    path = from_first_rank(comm, lambda: Path(tempfile.mkdtemp(prefix="femssb_")))
    try:
        yield path
    finally:
        if comm.rank == 0:
            shutil.rmtree(path, ignore_errors=True)


def _check(packing: Packing, stages: Sequence[Stage], law: ContactLaw) -> None:
    """Raise InputError for what would fail later."""
    if len(packing.radii) == 0:
        raise InputError("press: the packing has no spheres")
    if not stages:
        raise InputError("press: there are no stages")
    for name in packing.phase_names:
        if name not in law.solids:
            raise InputError(f"press: the contact law has no solid for phase {name!r}")
    for stage in stages:
        if not isinstance(stage, Stage):
            raise InputError(f"press: {stage!r} is not a stage")
        stage.check(packing)
        packing = stage.expected(packing)


def _key(packing: Packing, stage: Stage, law: ContactLaw, servo: Servo) -> str:
    """Return a word that changes with all that the result of a stage depends on."""
    before = [report["key"] for report in packing.origin.get("stages", [])[-1:]]
    bare = replace(packing, origin={}, stress=None)
    # A stage that came to rest did not need more steps, however many were allowed.
    return fingerprint(before, bare, stage, law, replace(servo, most_steps=1))

"""`press`: packings taken through stages in LAMMPS, each stage kept in a folder as it ends."""

from __future__ import annotations

import hashlib
import logging
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from femssb._version import __version__
from femssb.environment.files import given_path, make_folder, read_sealed, remove_leftovers, writing
from femssb.environment.interruption import interruptible
from femssb.environment.lock import locked
from femssb.environment.packages import load
from femssb.environment.progress import progress_lines
from femssb.environment.ranks import communicator, from_first_rank, on_first_rank
from femssb.errors import InputError, Interrupted, NotConverged
from femssb.inputs.case import fingerprint
from femssb.packing.files.reading import read
from femssb.packing.files.writing import write
from femssb.packing.neighbours import wrapped
from femssb.packing.packing import Packing
from femssb.packing.sizes import LARGEST, SMALLEST
from femssb.packing.stress import particle_stress
from femssb.particles.lammps.engine import FACES, Engine
from femssb.particles.laws import ContactLaw
from femssb.particles.rest import Rest, until_rest
from femssb.particles.servo import Servo
from femssb.particles.stages import Stage

if TYPE_CHECKING:
    from mpi4py import MPI

USUAL = Servo()
Show = Callable[[str], None]  # takes a line of progress

logger = logging.getLogger(__name__)

_FILE = re.compile(r"(\d{2,})_\w+\.(h5|restart)")  # of a stage, with its number


def press(
    packing: Packing,
    stages: Sequence[Stage] | Stage,
    law: ContactLaw,
    *,
    out: str | Path | None = None,
    comm: MPI.Intracomm | None = None,
    progress: bool = True,
    servo: Servo = USUAL,
    resume: bool | Literal["auto"] = "auto",
    overwrite: bool = False,
) -> list[Packing]:
    """Take a packing through one or more stages.

    The contacts keep their history from one stage to the next. With a folder, the packing after
    every stage is written there at once, and a second call resumes after the last stage that is
    there and was made from the same packing, law and stages. SIGINT and SIGTERM end a stage where
    all ranks can do so together; a second one ends it at once.

    Args:
        packing: Where to start.
        stages: Done in this order.
        law: Of all contacts.
        out: Folder for the packing after every stage, ``01_uniaxial.h5`` and so on. Two presses
            cannot use the same folder at a time.
        comm: The ranks that share the work; all of them if left out.
        progress: Whether rank 0 shows progress on standard error.
        servo: How the planes move, and when a packing counts as being at rest.
        resume: Whether to go on from what is in the folder; "auto" does so where there is anything.
        overwrite: Whether to do all stages anew where the folder holds any. Those that it holds
            stay until the first new one is there.

    Returns:
        The packing after every stage, with stress and contacts, the same on every rank; its
        `origin` reports on all stages behind it.

    Raises:
        InputError: Before any work, if an argument is of the wrong kind, a phase is unknown, a
            stage does not suit the packing, another press uses the folder, or the folder holds
            stages that are damaged or of another press. Later, if there is no room on the disk;
            the stages that are done stay, and a second call resumes after them.
        EngineError: If LAMMPS is missing, lacks a package or stops.
        NotConverged: If a stage does not come to rest; what came before it is in the folder, and
            so is the state that it reached, as ``..._unfinished.h5``.
        Interrupted: After a signal; the same is in the folder.
    """
    stages = [stages] if isinstance(stages, Stage) else stages
    _check(packing, stages, law, servo)
    _check_options(out, progress, resume, overwrite)
    comm = communicator(comm)
    show = progress_lines(progress and comm.rank == 0)
    done: list[Packing] = []
    state = None  # where the last stage left that of its engine
    with _folder(out, comm) as folder, interruptible():
        before = from_first_rank(comm, lambda: _stages_in(folder))
        if resume is True and not before:
            raise InputError(f"press: {folder} holds no stage to resume from")
        if resume is False and before and not overwrite:
            raise InputError(_occupied(folder, before))
        for number, stage in enumerate(stages, start=1):
            start = done[-1] if done else packing
            record = _Record(folder, number, stage, _key(start, stage, law, servo))
            reached = None if overwrite else from_first_rank(comm, record.read)
            if reached is None:
                if not overwrite:
                    on_first_rank(comm, record.check_place)
                title = f"{number}/{len(stages)} {stage.label}  "
                with Engine(stage.prepared(start), law, comm, state=state) as engine:
                    reached = _settled(engine, start, servo, record, show, title, out is not None)
                if overwrite and number == 1:
                    on_first_rank(comm, partial(record.remove_others, before))
            done.append(reached)
            state = record.state
    return done


def _settled(
    engine: Engine,
    start: Packing,
    servo: Servo,
    record: _Record,
    show: Show,
    title: str,
    lasting: bool,
) -> Packing:
    """Do the stage of a record, and record its end, or where it got stuck or was stopped."""
    started, stage = time.process_time(), record.stage
    rest = until_rest(engine, stage, servo, lambda line: show(title + line))
    used = engine.comm.allreduce(time.process_time() - started)
    report = _report(engine, stage, rest) | {"cpu_time": used, "key": record.key}
    made = [*start.origin.get("stages", []), report]
    reached = engine.packing(rest.contacts, {**start.origin, "femssb": __version__, "stages": made})
    if rest.settled:
        report["state"] = engine.save(record.state)
        reached = replace(reached, origin={**reached.origin, "stages": made})
    reached = replace(reached, stress=particle_stress(reached))
    if rest.stopped is not None:
        raise _stopped(engine.comm, rest.stopped.signal, record, reached, lasting)
    on_first_rank(engine.comm, lambda: record.write(reached, rest.settled))
    name = type(stage).__name__
    if not rest.settled:
        residuals = {
            "unbalanced over allowed": rest.balance.unbalanced / servo.balance,
            "pressure error over allowed": rest.pressure_error / servo.pressure_error,
        }
        raise NotConverged(f"{name} did not come to rest", step=rest.steps, residuals=residuals)
    logger.info("%s: %d steps", stage.label, rest.steps)
    return reached


def _report(engine: Engine, stage: Stage, rest: Rest) -> dict[str, Any]:
    """Return what is kept of how a stage went."""
    times = engine.time_steps()
    usual = float(np.median(times))
    return {
        "stage": type(stage).__name__,
        **asdict(stage),
        "steps": rest.steps,
        "unbalanced": rest.balance.unbalanced,
        "pressures": dict(zip(FACES, rest.balance.pressures.tolist(), strict=True)),
        "time_step": usual,  # [s]; masses at it over true ones:
        "mass_scaling": ((usual / np.array([times.max(), times.min()])) ** 2).tolist(),
        "highest_speed": rest.highest_speed / usual,  # of a plane [m/s]
        "highest_inertia": rest.highest_inertia,
        "settled": rest.settled,
    }


def _stopped(
    comm: MPI.Intracomm, signal: int, record: _Record, reached: Packing, lasting: bool
) -> Interrupted:
    """Keep what a stage had reached when a signal came, say so, and return what ends the work."""
    kept = "nothing is kept without a folder"
    if lasting:
        kept = f"stages done before are in {record.path.parent}, and the same call does the others"
        try:
            on_first_rank(comm, lambda: record.write(reached, settled=False))
            kept = f"{kept}; what this one had reached is in {record.unfinished.name}"
        except InputError as error:
            kept = f"{kept}; {error}"
    stop = Interrupted(signal, kept)
    if comm.rank == 0:
        sys.stderr.write(f"femssb: {stop}\n")
        sys.stderr.flush()
    return stop


class _Record:
    """Files that a stage leaves in the folder: its packing and the state of the engine."""

    def __init__(self, folder: Path, number: int, stage: Stage, key: str) -> None:
        name = f"{number:02d}_{type(stage).__name__.lower()}"
        self.stage, self.key, self.number = stage, key, number
        self.path = folder / f"{name}.h5"
        self.unfinished = folder / f"{name}_unfinished.h5"
        self.state = folder / f"{name}_{key}.restart"

    def read(self) -> Packing | None:
        """Return the packing, or None if the stage was not finished from the same start."""
        if not self.path.exists():
            return None
        found = read(self.path)
        report = _last_stage(found)
        if report.get("key") != self.key:
            return None
        again = f"remove {self.path.name} to do this stage again"
        try:
            state = read_sealed(self.state)
        except InputError as error:
            raise InputError(f"press: {error}; {again}") from error
        if hashlib.sha256(state).hexdigest() != report.get("state"):
            raise InputError(f"press: {self.state} does not belong to {self.path.name}; {again}")
        return found

    def check_place(self) -> None:
        """Check that nothing of another press is where this stage and the next ones go."""
        own = {self.state.name}
        if self.unfinished.exists() and _last_stage(read(self.unfinished)).get("key") == (self.key):
            own.add(self.unfinished.name)
        there = _stages_in(self.path.parent)
        others = [name for name, number in there.items() if number >= self.number]
        if others := [name for name in others if name not in own]:
            raise InputError(_occupied(self.path.parent, others))

    def write(self, packing: Packing, settled: bool) -> None:
        """Write the packing, whole or not at all."""
        write(packing, self.path if settled else self.unfinished)
        if settled:
            with writing(self.unfinished):
                self.unfinished.unlink(missing_ok=True)

    def remove_others(self, names: Mapping[str, int]) -> None:
        """Remove files of stages that this one has begun to replace."""
        for name in names.keys() - {self.path.name, self.state.name}:
            with writing(self.path.parent / name):
                (self.path.parent / name).unlink(missing_ok=True)


def _last_stage(packing: Packing) -> Mapping[str, Any]:
    """Return the report on the last stage that a packing went through, empty if there is none."""
    made = packing.origin.get("stages")
    last = made[-1] if isinstance(made, list) and made else None
    return last if isinstance(last, dict) else {}


def _stages_in(folder: Path) -> dict[str, int]:
    """Return the names of files that stages left in a folder, with their numbers."""
    with writing(folder):
        names = sorted(path.name for path in folder.iterdir())
    found = [(name, _FILE.fullmatch(name)) for name in names]
    return {name: int(match[1]) for name, match in found if match}


def _occupied(folder: Path, names: Sequence[str] | Mapping[str, int]) -> str:
    listed = list(names)
    shown = ", ".join(listed[:4]) + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")
    return (
        f"press: {folder} holds stages of another press: {shown}; take another folder, or replace "
        "them with overwrite=True"
    )


@contextmanager
def _folder(out: str | Path | None, comm: MPI.Intracomm) -> Iterator[Path]:
    """Give a folder to work in, a temporary one if none is asked for; only one press may use it."""
    with ExitStack() as held:

        def begin() -> Path:
            if out is None:
                with writing(Path(tempfile.gettempdir())):
                    temporary = tempfile.TemporaryDirectory(prefix="femssb_")
                return Path(held.enter_context(temporary))
            folder = make_folder(Path(out))
            held.enter_context(locked(folder))
            remove_leftovers(folder)
            return folder

        yield from_first_rank(comm, begin)


def _check(packing: Packing, stages: Sequence[Stage], law: ContactLaw, servo: Servo) -> None:
    """Raise InputError for what would fail later."""
    for name, value, kind in (
        ("packing", packing, Packing),
        ("law", law, ContactLaw),
        ("servo", servo, Servo),
    ):
        if not isinstance(value, kind):
            raise InputError(f"press: {name} must be a {kind.__name__}, got {value!r}")
    if not isinstance(stages, (list, tuple)):
        raise InputError(f"press: stages must be a list, in which they are done, got {stages!r}")
    _check_spheres(packing)
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


def _check_spheres(packing: Packing) -> None:
    """Raise InputError for spheres that cannot be pressed."""
    if len(packing.radii) == 0:
        raise InputError("press: the packing has no spheres")
    smallest, largest = 2 * float(packing.radii.min()), 2 * float(packing.radii.max())
    if not SMALLEST <= smallest <= largest <= LARGEST:
        raise InputError(
            f"press: diameters go from {smallest:g} to {largest:g} m, outside [{SMALLEST:g}, "
            f"{LARGEST:g}] m: are they in metres?"
        )
    beyond = np.maximum(packing.lower - packing.positions, packing.positions - packing.upper)
    closed = ~np.array(packing.periodic)
    lost = np.flatnonzero(np.any(closed & (beyond >= packing.radii[:, None]), axis=1))
    if len(lost):
        raise InputError(
            f"press: sphere {lost[0]} at {packing.positions[lost[0]]} m lies wholly beyond a plane "
            f"of the box, {packing.lower} to {packing.upper} m"
        )
    centres = wrapped(packing.positions, packing.period, packing.lower)
    if len(np.unique(centres, axis=0)) < len(centres):
        raise InputError("press: two spheres of the packing have the same centre")


def _check_options(out: object, progress: object, resume: object, overwrite: object) -> None:
    """Raise InputError for options that are not what they should be."""
    if out is not None:
        given_path("press", "out", out)
        load("h5py", extra="particles")  # needed when the first stage is done
    for name, value in (("progress", progress), ("overwrite", overwrite)):
        if not isinstance(value, bool):
            raise InputError(f"press: {name} must be True or False, got {value!r}")
    if not (isinstance(resume, bool) or (isinstance(resume, str) and resume == "auto")):
        raise InputError(f'press: resume must be True, False or "auto", got {resume!r}')
    if resume is True and overwrite:
        raise InputError("press: resume and overwrite exclude each other")
    if resume is True and out is None:
        raise InputError("press: resume needs the folder of the press that was stopped")


def _key(packing: Packing, stage: Stage, law: ContactLaw, servo: Servo) -> str:
    """Return a word that changes with all that the result of a stage depends on."""
    before = [report["key"] for report in packing.origin.get("stages", [])[-1:]]
    bare = replace(packing, origin={}, stress=None)
    # A stage that came to rest did not need more steps, however many were allowed.
    return fingerprint(before, bare, stage, law, replace(servo, most_steps=1))

"""Packings taken through stages, each kept in a folder as it ends: what all drivers share.

A driver says how to do one stage; the folder, its lock, what is found there and resumed, progress
and signals are here.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from femssb.environment.files import given_path, make_folder, read_sealed, remove_leftovers, writing
from femssb.environment.interruption import interruptible
from femssb.environment.lock import locked
from femssb.environment.packages import load
from femssb.environment.progress import progress_lines
from femssb.environment.ranks import communicator, from_first_rank, on_first_rank
from femssb.errors import FemssbError, InputError, Interrupted, shown
from femssb.packing.files.reading import read
from femssb.packing.files.writing import write
from femssb.packing.packing import Packing

if TYPE_CHECKING:
    from mpi4py import MPI

Show = Callable[[str], None]  # takes a line of progress

_FILE = re.compile(r"(\d{2,})_\w+\.(h5|restart)")  # of a stage, with its number


class Named(Protocol):
    """A stage, as far as folders are concerned."""

    @property
    def label(self) -> str:
        """Name of the stage in lines of progress."""


class Record:
    """Files that a stage leaves in the folder: its packing and the state of the engine."""

    def __init__(
        self, owner: str, folder: Path, number: int, stage: Named, key: str, lasting: bool
    ) -> None:
        """Name the files.

        Args:
            owner: Function that does the stage, for messages.
            folder: Where the files go.
            number: Of the stage, from 1.
            stage: To be done.
            key: Changes with all that the result depends on.
            lasting: Whether the folder outlives the work.
        """
        name = f"{number:02d}_{type(stage).__name__.lower()}"
        self.owner, self.number, self.key, self._lasting = owner, number, key, lasting
        self.path = folder / f"{name}.h5"
        self.unfinished = folder / f"{name}_unfinished.h5"
        self.state = folder / f"{name}_{key}.restart"

    def read(self) -> Packing | None:
        """Return the packing, or None if the stage was not finished from the same start."""
        if not self.path.exists():
            return None
        found = read(self.path)
        report = last_stage(found)
        if report.get("key") != self.key:
            return None
        if report.get("state") is None:
            return found
        again = f"remove {self.path.name} to do this stage again"
        try:
            state = read_sealed(self.state)
        except InputError as error:
            raise InputError(f"{self.owner}: {error}; {again}") from error
        if hashlib.sha256(state).hexdigest() != report["state"]:
            raise InputError(
                f"{self.owner}: {self.state} does not belong to {self.path.name}; {again}"
            )
        return found

    def check_place(self) -> None:
        """Check that nothing of other work is where this stage and the next ones go."""
        own = {self.state.name}
        if self.unfinished.exists() and last_stage(read(self.unfinished)).get("key") == (self.key):
            own.add(self.unfinished.name)
        there = _stages_in(self.path.parent)
        others = [name for name, number in there.items() if number >= self.number]
        if others := [name for name in others if name not in own]:
            raise InputError(_occupied(self.owner, self.path.parent, others))

    def keep(
        self, comm: MPI.Intracomm, reached: Packing, outcome: FemssbError | Interrupted | None
    ) -> None:
        """Write what a stage reached: its end, or where it got stuck or was stopped. Collective.

        Args:
            comm: The ranks.
            reached: Packing after the stage.
            outcome: None for a stage that came to its end; otherwise it is raised.

        Raises:
            Interrupted: If a signal stopped the stage; with words on what is kept.
            FemssbError: If the stage failed.
        """
        if isinstance(outcome, Interrupted):
            raise self._stopped(comm, outcome.signal, reached)
        on_first_rank(comm, lambda: self._write(reached, finished=outcome is None))
        if outcome is not None:
            raise outcome

    def remove_others(self, names: Mapping[str, int]) -> None:
        """Remove files of stages that this one has begun to replace."""
        for name in names.keys() - {self.path.name, self.state.name}:
            with writing(self.path.parent / name):
                (self.path.parent / name).unlink(missing_ok=True)

    def _write(self, packing: Packing, *, finished: bool) -> None:
        """Write the packing, whole or not at all."""
        write(packing, self.path if finished else self.unfinished)
        if finished:
            with writing(self.unfinished):
                self.unfinished.unlink(missing_ok=True)

    def _stopped(self, comm: MPI.Intracomm, signal: int, reached: Packing) -> Interrupted:
        """Keep what was reached when a signal came, say so, and return what ends the work."""
        kept = "nothing is kept without a folder"
        if self._lasting:
            kept = (
                f"stages done before are in {self.path.parent}, and the same call does the others"
            )
            try:
                on_first_rank(comm, lambda: self._write(reached, finished=False))
                kept = f"{kept}; what this one had reached is in {self.unfinished.name}"
            except InputError as error:
                kept = f"{kept}; {error}"
        stop = Interrupted(signal, kept)
        if comm.rank == 0:
            sys.stderr.write(f"femssb: {stop}\n")
            sys.stderr.flush()
        return stop


def take_through[Stage: Named](
    owner: str,
    packing: Packing,
    stages: Sequence[Stage],
    *,
    key: Callable[[Packing, Stage], str],
    work: Callable[[Packing, Stage, Record, Path | None, Show], Packing],
    out: str | Path | None,
    comm: MPI.Intracomm | None,
    progress: bool,
    resume: bool | str,
    overwrite: bool,
) -> list[Packing]:
    """Take a packing through stages, of which those that are in the folder are not done again.

    Args:
        owner: Function that does it, for messages.
        packing: Where to start.
        stages: Done in this order.
        key: Returns a word that changes with all that the result of a stage depends on.
        work: Does a stage and keeps it in its record, given the packing before it, the stage, the
            record, the state that the stage before left of its engine, and where lines go.
        out: Folder for the packing after every stage.
        comm: The ranks that share the work; all of them if left out.
        progress: Whether rank 0 shows progress on standard error.
        resume: Whether to go on from what is in the folder; "auto" does so where there is anything.
        overwrite: Whether to do all stages anew where the folder holds any.

    Returns:
        The packing after every stage, the same on every rank.
    """
    comm = communicator(comm)
    show = progress_lines(progress and comm.rank == 0)
    done: list[Packing] = []
    state = None  # where the last stage left that of its engine
    with _folder(out, comm) as folder, interruptible():
        before = from_first_rank(comm, lambda: _stages_in(folder))
        if resume is True and not before:
            raise InputError(f"{owner}: {folder} holds no stage to resume from")
        if resume is False and before and not overwrite:
            raise InputError(_occupied(owner, folder, before))
        for number, stage in enumerate(stages, start=1):
            start = done[-1] if done else packing
            record = Record(owner, folder, number, stage, key(start, stage), out is not None)
            reached = None if overwrite else from_first_rank(comm, record.read)
            if reached is None:
                if not overwrite:
                    on_first_rank(comm, record.check_place)
                title = f"{number}/{len(stages)} {stage.label}  "
                reached = work(start, stage, record, state, lambda line: show(title + line))  # noqa: B023
                if overwrite and number == 1:
                    on_first_rank(comm, partial(record.remove_others, before))
            done.append(reached)
            state = record.state if last_stage(reached).get("state") is not None else None
    return done


def last_stage(packing: Packing) -> Mapping[str, Any]:
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


def _occupied(owner: str, folder: Path, names: Sequence[str] | Mapping[str, int]) -> str:
    listed = list(names)
    shown = ", ".join(listed[:4]) + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")
    return (
        f"{owner}: {folder} holds stages of another {owner}: {shown}; take another folder, or "
        "replace them with overwrite=True"
    )


@contextmanager
def _folder(out: str | Path | None, comm: MPI.Intracomm) -> Iterator[Path]:
    """Give a folder to work in, a temporary one if none is asked for; only one may use it."""
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


def check_options(
    owner: str, out: object, progress: object, resume: object, overwrite: object
) -> None:
    """Raise InputError for options that are not what they should be."""
    if out is not None:
        given_path(owner, "out", out)
        load("h5py", extra="particles")  # needed when the first stage is done
    for name, value in (("progress", progress), ("overwrite", overwrite)):
        if not isinstance(value, bool):
            raise InputError(f"{owner}: {name} must be True or False, got {shown(value)}")
    if not (isinstance(resume, bool) or (isinstance(resume, str) and resume == "auto")):
        raise InputError(f'{owner}: resume must be True, False or "auto", got {shown(resume)}')
    if resume is True and overwrite:
        raise InputError(f"{owner}: resume and overwrite exclude each other")
    if resume is True and out is None:
        raise InputError(f"{owner}: resume needs the folder of the {owner} that was stopped")

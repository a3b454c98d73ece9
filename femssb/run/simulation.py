"""The time loop: it takes a model through a protocol and calls functions after each time step."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

import femssb.environment.platform

from mpi4py import MPI

from femssb.cell.coupling import Tolerances
from femssb.cell.model import Model, State
from femssb.description import checked
from femssb.environment.files import given_path
from femssb.environment.interruption import interruptible, stop_if_asked
from femssb.environment.lock import locked
from femssb.environment.progress import progress_lines
from femssb.environment.ranks import on_first_rank
from femssb.errors import InputError, Interrupted, NotConverged, shown
from femssb.inputs.case import describe
from femssb.inputs.cycle import Course, Cycle, steps_of
from femssb.inputs.protocol import Step
from femssb.results.quantities import check_fields
from femssb.results.solution import Solution
from femssb.run.case_file import meshed, read_case
from femssb.run.checkpoint import end_of_run
from femssb.run.control import check_protocol
from femssb.run.record import Record
from femssb.run.stepper import Position, Stepper, TimeStep
from femssb.run.stepping import FixedSteps, Stepping

# Unknowns of both problems on each rank at which another one still saves a third of the time: 1.52
# times as fast on two ranks with 3068 each (benchmarks/README.md: 6136 unknowns, multigrid); with
# 1000 each or less, where every rank factors the whole matrix, two are no faster than one.
PAYING = 3000


class Simulation:
    """A model taken through a protocol.

    Attributes:
        model: The discretised half-cell.
        protocol: The steps.
        output: What a case file says of results: ``folder``, and whether to draw ``figures``.
    """

    output: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        model: Model,
        protocol: Sequence[Step | Cycle | str],
        *,
        tolerances: Tolerances = Tolerances(),  # noqa: B008  (frozen)
        stepping: Stepping | FixedSteps = Stepping(),  # noqa: B008
        start: str | os.PathLike[str] | None = None,
    ) -> None:
        """Check the protocol against the model; solves nothing.

        Args:
            model: The discretised half-cell.
            protocol: The steps, at least one: `Charge`, `Discharge`, `Hold`, `Rest`, `Drive`, a
                `Cycle` of them, or one in words (`femssb.inputs.sentences`).
            tolerances: When a time step counts as solved.
            stepping: How time steps are chosen: by their error, or `FixedSteps`.
            start: Folder of a run of the same cell that is over, from whose end this one goes on:
                its lithium, gaps, damage and cracks, and its time and charge. Temperature,
                kinetics, contact resistance and pressures may differ. None: at rest, as the
                materials say.

        Raises:
            InputError: If an argument is of the wrong type, the protocol is empty or has an end
                that can never be reached, or the start is no run of this cell.
            MeshError: If a part of the mesh is cut off from lithium, ions or electrons.
        """
        for name, value, kind, wanted in (
            ("model", model, Model, "a femssb.Model"),
            ("tolerances", tolerances, Tolerances, "Tolerances(...)"),
            ("stepping", stepping, Stepping | FixedSteps, "Stepping(...) or FixedSteps(...)"),
        ):
            if not isinstance(value, kind):
                raise InputError(f"Simulation.{name} must be {wanted}, got {type(value).__name__}")
        self.model = model
        self.protocol = steps_of("Simulation.protocol", protocol)
        self.tolerances = tolerances
        self.stepping = stepping
        check_protocol(Course(self.protocol), model, tolerances)
        model.check_paths()
        self._begun = None
        if start is not None:
            self._begun = end_of_run(given_path("Simulation", "start", start), model)

    @classmethod
    @checked
    def from_case(
        cls,
        path: str | os.PathLike[str],
        *,
        modules: Sequence[str] = (),
        comm: MPI.Comm = MPI.COMM_WORLD,
    ) -> Self:
        """Mesh and set up what a case file says; collective.

        A file by hand begins with ``femssb new case.toml``; the ``case.json`` of any run is one.

        Args:
            path: A ``.toml`` or ``.json`` file, see `femssb.run.case_file`.
            modules: Modules whose functions it may name, besides those of femssb: only name those
                that you trust, and that Python finds.
            comm: Ranks over which the mesh is distributed.

        Raises:
            InputError: If the file cannot be read or says something that is no input, with the
                place; if a function is of another module, or has changed since; if the mesh is not
                that of the run.
            MeshError: If the cell cannot be meshed, or a part of it is cut off.
        """
        source = given_path("Simulation.from_case", "path", path)
        case = read_case(source, modules, comm)
        made = cls(
            Model(meshed(case, comm), **case.model),
            case.protocol,
            tolerances=case.tolerances,
            stepping=case.stepping,
            start=case.start.get("folder"),
        )
        if made._begun is not None:
            found = made._begun[2]["sha256"]
            if case.start.get("sha256", found) != found:
                raise InputError(
                    f"{source}: the run in {case.start['folder']}, from which it starts, is"
                    " not what it was"
                )
        made.output = case.output
        return made

    def run(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        progress: bool = True,
        resume: bool | Literal["auto"] = False,
        overwrite: bool = False,
        fields: Sequence[str] | None = None,
        on_step: Sequence[Callable[[State, Solution], None]] = (),
    ) -> Solution:
        """Run the protocol, from the start or from where it was stopped; collective.

        SIGINT and SIGTERM end the run where all ranks can do so together, within an iteration of
        Newton's method; what it had reached is kept, but for the present time step. A second one
        ends it at once.

        Args:
            folder: Where results are written as they come; None keeps them in memory only. Two runs
                cannot use the same folder at a time.
            progress: Whether rank 0 shows progress on standard error; warnings always come there.
            resume: Whether to continue from the checkpoint in the folder; "auto" does so if there
                are results and begins otherwise, so that a script can be sent again. A run that is
                over is given back. The ranks, `tolerances`, `stepping` and linear solver may differ
                from those that wrote it.
            overwrite: Whether to replace results that are in the folder. They stay until the first
                checkpoint after the start.
            fields: Names of the fields that snapshots keep (`femssb.results.FIELDS`), besides those
                that figures show (`femssb.results.fields.SHOWN`); None: all.
            on_step: Functions called on every rank after each accepted time step, with the state
                (`State.time` [s]; its arrays are this rank's) and the solution so far. One that
                raises ends the run; everything reached is on disk then, and the run can be resumed.

        Returns:
            The solution; its fields are on rank 0 only. `Solution.warnings` says what in it cannot
            be trusted.

        Raises:
            NotConverged: If a step cannot be solved however small; everything reached is on disk.
            InputError: Before anything is solved, if an argument is of the wrong type; if the
                folder holds results and neither `resume` nor `overwrite` is given, another run uses
                it, or it cannot be written to; if the checkpoints are missing, damaged or of
                another case. Later, if there is no room on the disk; the last checkpoint stands.
            Interrupted: After a signal; a `KeyboardInterrupt`, and a `SystemExit` with the code 130
                or 143.
        """
        path = None if folder is None else given_path("Simulation.run", "folder", folder)
        if not (isinstance(resume, bool) or (isinstance(resume, str) and resume == "auto")):
            raise InputError(
                f'Simulation.run: resume must be True, False or "auto", got {shown(resume)}'
            )
        if not isinstance(overwrite, bool):
            raise InputError(
                f"Simulation.run: overwrite must be True or False, got {shown(overwrite)}"
            )
        if resume and path is None:
            raise InputError("Simulation.run: resume needs the folder of the run that was stopped")
        if resume and overwrite:
            raise InputError("Simulation.run: resume and overwrite exclude each other")
        if fields is not None:
            check_fields("Simulation.run: fields", fields)
        if not isinstance(on_step, list | tuple) or not all(map(callable, on_step)):
            raise InputError(
                f"Simulation.run: on_step must be a list of functions, got {shown(on_step)}"
            )
        stepper = Stepper(self.model, self.protocol, self.stepping, self.tolerances)
        inputs = {
            "model": self.model.inputs(),
            "protocol": describe(self.protocol),
            "tolerances": describe(self.tolerances),
            "stepping": describe(self.stepping),
            **({} if self._begun is None else {"start": self._begun[2]}),
        }
        with _alone_in(path, self.model.comm), interruptible():
            record = Record(self.model, self.protocol, stepper, path, inputs, fields)
            try:
                position = record.open(resume, overwrite)
                if position is not None and stepper.course.over:
                    solution = record.finished(position)
                    _warn(solution, solution.warnings)
                    return solution
                return self._go_on(stepper, record, position, progress, on_step)
            except Interrupted as stop:
                if self.model.comm.rank == 0:
                    sys.stderr.write(f"femssb: {stop}\n")
                    sys.stderr.flush()
                raise
            finally:
                record.close()

    def _go_on(
        self,
        stepper: Stepper,
        record: Record,
        position: Position | None,
        progress: bool,
        on_step: Sequence[Callable[[State, Solution], None]],
    ) -> Solution:
        """Go through the protocol from a position, or from the rest state."""
        if position is None:
            past, temperature, _ = self._begun or (None, None, {})
            start = stepper.start(past, temperature)
            record.add(start)
            record.picture(start)
            position = start.position
        hooks = [record.add, self._progress(stepper, record, progress), record.picture]
        hooks += [_calling(on_step, record, self.model.comm)] if on_step else []
        hooks += [record.checkpoint]
        crowd = crowded(sum(self.model.inputs()["unknowns"].values()), self.model.comm.size)
        if progress and crowd and self.model.comm.rank == 0:
            sys.stderr.write(f"note: {crowd}\n")
        record.keep(position)  # at once: what cannot be written is known before the work
        _warn(record.kept, self.model.warnings)  # before the work, too
        try:
            while not stepper.course.over:
                try:
                    stop_if_asked(self.model.comm)
                    step = stepper.step(position)
                except NotConverged:
                    record.keep(position)
                    raise
                except Interrupted as stop:
                    record.keep(position)
                    raise Interrupted(stop.signal, record.kept_in_words) from None
                position = step.position
                for hook in hooks:
                    hook(step)
        finally:
            _warn(record.kept, record.kept.warnings[len(self.model.warnings) :])
        return record.kept

    def _progress(self, stepper: Stepper, record: Record, show: bool) -> Callable[[TimeStep], None]:
        """Return a hook that prints a line of progress now and then."""
        report = progress_lines(show and self.model.comm.rank == 0)

        def on_step(step: TimeStep) -> None:
            state, steps = step.now.state, len(stepper.course.order)
            done = max((step.index + step.share) / steps, 1e-3)
            report(
                f"{step.control.description}  t {state.time:8.1f} s  step {step.position.row:4d}  "
                f"{state.voltage:.4f} V  dt {step.size:6.2f} s  {100 * done:3.0f} %  "
                f"about {record.wall_time / done * (1 - done):4.0f} s left"
            )

        return on_step


def crowded(unknowns: int, ranks: int) -> str | None:
    """Return what is said of more ranks than pay for the unknowns, or None where all do."""
    paying = max(1, unknowns // PAYING)
    if ranks <= paying:
        return None
    return (
        f"{unknowns} unknowns on {ranks} ranks: more than about {paying} do not pay for this mesh "
        f"({PAYING} unknowns a rank); run several cases side by side instead"
    )


def _warn(solution: Solution, sentences: Sequence[str]) -> None:
    """Print warnings on standard error, on rank 0."""
    if solution.first_rank:
        sys.stderr.writelines(f"warning: {sentence}\n" for sentence in sentences)


@contextmanager
def _alone_in(folder: Path | None, comm: MPI.Comm) -> Iterator[None]:
    """Keep other runs out of a folder; collective at the beginning."""
    with ExitStack() as held:
        if folder is not None:
            on_first_rank(comm, lambda: held.enter_context(locked(folder)))
        yield


def _calling(
    functions: Sequence[Callable[[State, Solution], None]], record: Record, comm: MPI.Comm
) -> Callable[[TimeStep], None]:
    """Return a hook that calls functions of a user; where one raises on a rank, all ranks raise."""

    def on_step(step: TimeStep) -> None:
        state, solution, failure = step.now.state, record.solution(), None
        try:
            for function in functions:
                function(state, solution)
        except BaseException as error:  # also what ends the process: the other ranks must know
            failure = error
        if any(comm.allgather(failure is not None)):
            record.keep(step.position)
            raise failure or RuntimeError("a function of on_step failed on another rank")

    return on_step

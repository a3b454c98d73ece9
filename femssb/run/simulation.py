"""The time loop: it takes a model through a protocol and calls functions after each time step."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import femssb.environment.platform

from mpi4py import MPI

from femssb.cell.coupling import Tolerances
from femssb.cell.model import Model, State
from femssb.environment.progress import progress_lines
from femssb.errors import InputError, NotConverged
from femssb.inputs.case import describe
from femssb.inputs.protocol import Step
from femssb.results.solution import Solution
from femssb.run.control import check_protocol
from femssb.run.record import Record
from femssb.run.stepper import Stepper, TimeStep
from femssb.run.stepping import FixedSteps, Stepping


class Simulation:
    """A model taken through a protocol.

    Attributes:
        model: The discretised half-cell.
        protocol: The steps.
    """

    def __init__(
        self,
        model: Model,
        protocol: Sequence[Step],
        *,
        tolerances: Tolerances = Tolerances(),  # noqa: B008  (frozen)
        stepping: Stepping | FixedSteps = Stepping(),  # noqa: B008
    ) -> None:
        """Check the protocol against the model; solves nothing.

        Args:
            model: The discretised half-cell.
            protocol: The steps, at least one.
            tolerances: When a time step counts as solved.
            stepping: How time steps are chosen: by their error, or `FixedSteps`.

        Raises:
            InputError: If an argument is of the wrong type, or the protocol is empty or has an end
                that can never be reached.
        """
        for name, value, kind, wanted in (
            ("model", model, Model, "a femssb.Model"),
            ("protocol", protocol, list | tuple, "a list of steps such as Charge(...)"),
            ("tolerances", tolerances, Tolerances, "Tolerances(...)"),
            ("stepping", stepping, Stepping | FixedSteps, "Stepping(...) or FixedSteps(...)"),
        ):
            if not isinstance(value, kind):
                raise InputError(f"Simulation.{name} must be {wanted}, got {type(value).__name__}")
        self.model = model
        self.protocol = tuple(protocol)
        self.tolerances = tolerances
        self.stepping = stepping
        check_protocol(self.protocol, model, tolerances)

    def run(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        progress: bool = True,
        resume: bool = False,
        on_step: Sequence[Callable[[State, Solution], None]] = (),
    ) -> Solution:
        """Run the protocol, from the start or from where it was stopped; collective.

        Args:
            folder: Where results are written as they come; None keeps them in memory only.
            progress: Whether rank 0 shows progress on standard error; warnings always come there.
            resume: Whether to continue from the checkpoint in the folder; the ranks, `tolerances`,
                `stepping` and linear solver may differ from those that wrote it.
            on_step: Functions called on every rank after each accepted time step, with the state
                (`State.time` [s]; its arrays are this rank's) and the solution so far. One that
                raises ends the run; everything reached is on disk then, and the run can be resumed.

        Returns:
            The solution; its fields are on rank 0 only. `Solution.warnings` says what in it cannot
            be trusted.

        Raises:
            NotConverged: If a step cannot be solved however small; everything reached is on disk.
            InputError: If an argument is of the wrong type, the folder cannot be written to, or the
                checkpoint is missing, damaged or of another case; before anything is solved.
        """
        if folder is not None and not isinstance(folder, str | os.PathLike):
            raise InputError(f"Simulation.run: folder must be a path, got {folder!r}")
        if resume and folder is None:
            raise InputError("Simulation.run: resume needs the folder of the run that was stopped")
        if not isinstance(on_step, list | tuple) or not all(map(callable, on_step)):
            raise InputError(
                f"Simulation.run: on_step must be a list of functions, got {on_step!r}"
            )
        stepper = Stepper(self.model, self.protocol, self.stepping, self.tolerances)
        case = {
            "model": self.model.inputs(),
            "protocol": describe(self.protocol),
            "tolerances": describe(self.tolerances),
            "stepping": describe(self.stepping),
        }
        record = Record(self.model, stepper, Path(folder) if folder is not None else None, case)
        if resume:
            position = record.resume()
        else:
            start = stepper.start()
            record.add(start)
            record.picture(start)
            position = start.position
        hooks = [record.add, self._progress(record, progress), record.picture]
        hooks += [_calling(on_step, record, self.model.comm)] if on_step else []
        hooks += [record.checkpoint]
        record.keep(position)  # at once: what cannot be written is known before the work
        _warn(record.kept, self.model.warnings)  # before the work, too
        try:
            while position.index < len(self.protocol):
                try:
                    step = stepper.step(position)
                except NotConverged:
                    record.keep(position)
                    raise
                position = step.position
                for hook in hooks:
                    hook(step)
        finally:
            _warn(record.kept, record.kept.warnings[len(self.model.warnings) :])
        return record.kept

    def _progress(self, record: Record, show: bool) -> Callable[[TimeStep], None]:
        """Return a hook that prints a line of progress now and then."""
        report = progress_lines(show and self.model.comm.rank == 0)

        def on_step(step: TimeStep) -> None:
            state, done = step.now.state, max((step.index + step.share) / len(self.protocol), 1e-3)
            report(
                f"{step.control.description}  t {state.time:8.1f} s  step {step.position.row:4d}  "
                f"{state.voltage:.4f} V  dt {step.size:6.2f} s  {100 * done:3.0f} %  "
                f"about {record.wall_time / done * (1 - done):4.0f} s left"
            )

        return on_step


def _warn(solution: Solution, sentences: Sequence[str]) -> None:
    """Print warnings on standard error, on rank 0."""
    if solution.first_rank:
        sys.stderr.writelines(f"warning: {sentence}\n" for sentence in sentences)


def _calling(
    functions: Sequence[Callable[[State, Solution], None]], record: Record, comm: MPI.Comm
) -> Callable[[TimeStep], None]:
    """Return a hook that calls functions of a user; where one raises on a rank, all ranks raise."""

    def on_step(step: TimeStep) -> None:
        state, solution, failure = step.now.state, record.solution(), None
        try:
            for function in functions:
                function(state, solution)
        except Exception as error:
            failure = error
        if any(comm.allgather(failure is not None)):
            record.keep(step.position)
            raise failure or RuntimeError("a function of on_step failed on another rank")

    return on_step

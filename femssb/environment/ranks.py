"""Work shared by MPI ranks; MPI starts only when a communicator is needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from femssb.description import checked
from femssb.environment.packages import load
from femssb.errors import EngineError, FemssbError, InputError, shown

if TYPE_CHECKING:
    from mpi4py import MPI

PATIENCE = 10.0  # time a failing rank waits for the others to fail too [s]
FAILURE_TAG = 20931  # of the messages by which ranks report to each other that they fail


@checked
def communicator(comm: MPI.Intracomm | None = None) -> MPI.Intracomm:
    """Return a communicator: that of all ranks if none is given. This starts MPI.

    From then on an uncaught exception ends all ranks; see `fail_together`.

    Raises:
        InputError: If it is none of mpi4py.
        EngineError: If mpi4py is missing.
    """
    world: MPI.Intracomm = load("mpi4py.MPI", extra="particles").COMM_WORLD
    if world.size > 1 and sys.excepthook is sys.__excepthook__:
        sys.excepthook = fail_together
    if comm is None:
        return world
    _check(comm)
    return comm


def several_ranks(comm: MPI.Intracomm | None = None) -> MPI.Intracomm | None:
    """Return a communicator, that of all ranks if none is given; None where this process is alone.

    For work that needs no MPI: without mpi4py every process is alone.
    """
    try:
        comm = communicator(comm)
    except EngineError:
        return None
    return comm if comm.size > 1 else None


def is_first_rank() -> bool:
    """Return whether this process is the one that prints and draws: rank 0, or alone."""
    comm = several_ranks()
    return comm is None or comm.rank == 0


@checked
def on_first_rank[Result](comm: MPI.Comm, work: Callable[[], Result]) -> Result | None:
    """Do some work on rank 0 and return its result there, None elsewhere; collective.

    Args:
        comm: The ranks.
        work: Called on rank 0 only.

    Raises:
        FemssbError: On every rank what the work raised on rank 0, so that none waits indefinitely.
        RuntimeError: On every rank if rank 0 raised any other exception.
    """
    _check(comm)
    result, failure = None, None
    if comm.rank == 0:
        try:
            result = work()
        except Exception as error:
            failure = error
            if comm.size > 1 and not isinstance(error, FemssbError):
                failure = RuntimeError(f"{type(error).__name__} on rank 0: {error}")
                failure.__cause__ = error
    failure = comm.bcast(failure, root=0)
    if failure is not None:
        raise failure
    return result


@checked
def from_first_rank[Result](comm: MPI.Comm, work: Callable[[], Result]) -> Result:
    """Do some work on rank 0 and return its result on every rank; collective.

    Raises:
        FemssbError: As `on_first_rank` does.
    """
    _check(comm)
    result: Result = comm.bcast(on_first_rank(comm, work), root=0)
    return result


def together[Result](comm: MPI.Comm, work: Callable[[], Result]) -> Result:
    """Return what work gives on each rank; what it raises on one, all raise. Collective.

    No rank may wait for others within the work once it can fail.
    """
    result, failure = None, None
    try:
        result = work()
    except FemssbError as error:
        failure = error
    for found in comm.allgather(failure):
        if found is not None:
            raise found
    return cast("Result", result)


def _check(comm: object) -> None:
    if not isinstance(comm, load("mpi4py.MPI", extra="particles").Comm):
        raise InputError(f"comm must be a communicator of mpi4py, got {shown(comm)}")


def collect[T: np.generic](comm: MPI.Comm, values: NDArray[T]) -> NDArray[T]:
    """Return the rows of all ranks, in rank order, on rank 0; no rows elsewhere. Collective."""
    parts = comm.gather(values, root=0)
    return np.concatenate(parts) if parts is not None else values[:0]


def fail_together(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Show an uncaught exception once if all ranks raise one, else end the ranks that do not.

    Takes the place of `sys.excepthook` on several ranks: otherwise the others would wait
    indefinitely in a collective call.
    """
    comm = communicator()
    alone = fails_alone(comm)
    if alone or comm.rank == 0:
        sys.stderr.write(f"[rank {comm.rank} of {comm.size}]\n")
        sys.__excepthook__(kind, error, trace)
        sys.stderr.flush()
    if alone:
        end_all(comm)


def fails_alone(comm: MPI.Intracomm) -> bool:
    """Tell the other ranks that this one fails, and return whether one of them goes on without it.

    Such a rank would wait for this one in a collective call: it must be ended by ``comm.Abort``.
    """
    missing = set(range(comm.size)) - {comm.rank}
    sent = [comm.isend(None, dest=rank, tag=FAILURE_TAG) for rank in missing]
    deadline = time.monotonic() + PATIENCE
    while missing and time.monotonic() < deadline:
        for rank in [rank for rank in missing if comm.iprobe(source=rank, tag=FAILURE_TAG)]:
            comm.recv(source=rank, tag=FAILURE_TAG)
            missing.remove(rank)
        time.sleep(0.01)
    if not missing:
        for request in sent:
            request.wait()
    return bool(missing)


def end_all(comm: MPI.Comm) -> NoReturn:
    """End all ranks at once; what this one has written is passed on before."""
    sys.stderr.flush()
    time.sleep(1.0)  # mpirun must have passed the message on before it ends
    comm.Abort(1)
    raise SystemExit(1)

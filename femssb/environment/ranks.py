"""Work shared by MPI ranks; MPI starts only when a communicator is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from femssb.description import checked
from femssb.environment.packages import load
from femssb.errors import EngineError, FemssbError, InputError, shown

if TYPE_CHECKING:
    from mpi4py import MPI


@checked
def communicator(comm: MPI.Intracomm | None = None) -> MPI.Intracomm:
    """Return a communicator: that of all ranks if none is given. This starts MPI.

    Raises:
        InputError: If it is none of mpi4py.
        EngineError: If mpi4py is missing.
    """
    world: MPI.Intracomm = load("mpi4py.MPI", extra="particles").COMM_WORLD
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


def _check(comm: object) -> None:
    if not isinstance(comm, load("mpi4py.MPI", extra="particles").Comm):
        raise InputError(f"comm must be a communicator of mpi4py, got {shown(comm)}")


def collect[T: np.generic](comm: MPI.Comm, values: NDArray[T]) -> NDArray[T]:
    """Return the rows of all ranks, in rank order, on rank 0; no rows elsewhere. Collective."""
    parts = comm.gather(values, root=0)
    return np.concatenate(parts) if parts is not None else values[:0]

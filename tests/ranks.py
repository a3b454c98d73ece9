"""The same done on each rank alone and on all of them: for tests that compare the two."""

from __future__ import annotations

from collections.abc import Callable

from mpi4py import MPI


def alone_and_together[T](comm: MPI.Comm, work: Callable[[MPI.Comm], T]) -> tuple[T, T]:
    """Return what work gives on one rank and on all, which is the same where there is only one."""
    alone = work(MPI.COMM_SELF)
    return alone, alone if comm.size == 1 else work(comm)

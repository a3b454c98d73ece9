"""The loop over cases: several at a time, each once, a failed one without the others."""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from typing import TYPE_CHECKING, Any

from femssb.description import checked
from femssb.environment.interruption import terminable
from femssb.environment.ranks import from_first_rank, several_ranks
from femssb.errors import FemssbError, Interrupted, check_number
from femssb.studies.cache import Cache
from femssb.studies.case import Case

if TYPE_CHECKING:
    from mpi4py import MPI


@checked
def run(
    cases: Sequence[Case[Any]], cache: Cache, *, jobs: int = 1, comm: MPI.Intracomm | None = None
) -> list[str]:
    """Run the cases that are not finished yet, several at a time; collective.

    On several ranks a job is a group of them, or one rank for cases that cannot be shared; in a
    single process it is a process.

    Args:
        cases: The cases; of those with equal inputs, one is run.
        cache: Where results are kept.
        jobs: Number of cases that run at the same time.
        comm: The ranks that share the cases; all of ``mpirun`` if left out.

    Returns:
        The failures, each with the name of its case, the same on every rank.
    """
    check_number("run", "jobs", jobs, lower=1)
    comm = several_ranks(comm)
    first = comm is None or comm.rank == 0
    unique = list({case.key: case for case in reversed(cases)}.values())[::-1]
    finished = [cache.find(case) is not None for case in unique] if first else []
    if comm is not None:
        finished = comm.bcast(finished, root=0)
    left = [case for case, done in zip(unique, finished, strict=True) if not done]
    if first:
        _say(f"{len(unique)} cases, {len(left)} of them to be run")
    if comm is not None:
        alone = all(case.serial for case in left)
        found = _in_groups(left, cache, comm.size if alone else min(jobs, comm.size), comm)
    elif min(jobs, len(left)) > 1:
        found = _in_processes(left, cache, jobs)
    else:
        found = [_attempt(case, cache, None, progress=True) for case in left]
    return [failure for failure in found if failure]


def _in_groups(
    left: Sequence[Case[Any]], cache: Cache, groups: int, comm: MPI.Intracomm
) -> list[str]:
    group = comm.rank * groups // comm.size
    part: Any = comm.Split(group, comm.rank)
    failures: list[str] = []
    stop = None
    try:
        for case in left[group::groups]:
            failures.append(_attempt(case, cache, part, progress=groups == 1))
    except Interrupted as asked:
        stop = asked
    except Exception:  # one group alone would leave the others waiting
        traceback.print_exc()
        comm.Abort(1)
    every = comm.allgather((failures if part.rank == 0 else [], stop))
    part.Free()
    for _, asked_of_group in every:
        if asked_of_group is not None:
            raise asked_of_group
    return [failure for some, _ in every for failure in some]


def _in_processes(left: Sequence[Case[Any]], cache: Cache, jobs: int) -> list[str]:
    # Numba, SciPy and MPI hold locks that a fork would copy.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(max_workers=jobs, mp_context=context, initializer=_leave_mpi)
    with terminable(), pool:
        work = [pool.submit(_attempt, case, cache, None, progress=False) for case in left]
        try:
            return [done.result() for done in as_completed(work)]
        except BaseException:  # also a signal: the other cases stop where they can resume
            for process in multiprocessing.active_children():
                process.terminate()
            pool.shutdown(cancel_futures=True)
            raise


def _leave_mpi() -> None:
    """Forget the mpirun that started the parent: this process is none of its ranks."""
    for name in [name for name in os.environ if name.startswith(("PMI", "MPI_", "OMPI_"))]:
        del os.environ[name]


def _attempt(case: Case[Any], cache: Cache, comm: MPI.Intracomm | None, *, progress: bool) -> str:
    """Run a case and return why it failed, nothing if it did not; collective."""
    first = comm is None or comm.rank == 0
    if first:
        _say(f"{case.name} starts{f' on {comm.size} ranks' if comm and comm.size > 1 else ''}")
    try:
        prepare = partial(cache.prepare, case)
        folder = from_first_rank(comm, prepare) if comm is not None else prepare()
        case.run(folder, comm=comm, progress=progress)
    except FemssbError as error:
        failure = f"{case.name}: {error}"
        if first:
            _say(f"failed: {failure}")
        return failure
    if first:
        _say(f"{case.name} is done")
    return ""


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()

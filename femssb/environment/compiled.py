"""Functions compiled by Numba, which are kept on the disk where that is possible.

Numba itself stops where it finds no folder to keep them in, where what it kept is damaged, and
where the disk is full. None of these is a reason to stop: the functions are compiled again.

Threads are those of Python: they hand out parts of the work to functions that Numba compiles once,
and that let go of the interpreter. What Numba has for several threads takes twice as long again to
compile, and cannot be forked.
"""

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from queue import SimpleQueue
from typing import Any

from femssb.environment.cache import ignore_relative_home
from femssb.environment.packages import load
from femssb.errors import check_number

ignore_relative_home()
_numba = load("numba", extra="voxels")

# What is raised by an index or a function that was cut short, or replaced by something else.
_DAMAGED = (
    *(OSError, EOFError, pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError),
    *(AttributeError, ImportError, MemoryError, OverflowError, RuntimeError),
)


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function, as `numba.njit` does.

    Args:
        cache: Whether to keep the compiled function for other processes.
        **options: Those of `numba.njit`.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        made = _numba.njit(**options)(function)
        if cache and hasattr(made, "enable_caching"):  # else Numba is told not to compile
            with suppress(RuntimeError):  # no folder can be written
                made.enable_caching()
                _guard(made._cache)
        return made

    return compiled


_RANK_COUNTS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "MV2_COMM_WORLD_SIZE")
_lock = threading.Lock()  # of the threads that work for another
_tasks: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
_at_work: list[int] = []  # the process of each thread that waits for tasks: a fork of it has none


class _Active(threading.local):
    count = 1  # of the block that this thread of Python is in


_active = _Active()


def threaded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that works on parts from a first up to a last, by the threads of a block.

    Its first three arguments are where to start among the parts, where to stop, and an array of
    where each part of the work begins and ends; the first two are left out of a call. The block is
    that of `on_threads`.
    """
    kernel = njit(cache=True, nogil=True, error_model="numpy")(function)  # 1 / 0 is infinite

    def call(parts: Any, *arguments: Any) -> None:
        count = len(parts) - 1
        threads = min(_active.count, count)
        if threads == 1:
            kernel(0, count, parts, *arguments)
            return
        bounds = [count * thread // threads for thread in range(threads + 1)]
        done: SimpleQueue[BaseException | None] = SimpleQueue()
        for start, stop in pairwise(bounds[1:]):
            _tasks.put((done, kernel, start, stop, parts, *arguments))
        try:
            kernel(0, bounds[1], parts, *arguments)
        finally:
            errors = [done.get() for _ in range(threads - 1)]
        for error in errors:
            if error is not None:
                raise error

    return call


def _work(tasks: SimpleQueue[tuple[Any, ...]]) -> None:
    """Do one task after the other."""
    while True:
        done, kernel, *arguments = tasks.get()
        try:
            kernel(*arguments)
        except BaseException as error:
            done.put(error)
        else:
            done.put(None)
        del done, kernel, arguments  # else they live on until the next task comes


def most_threads() -> int:
    """Return how many threads this process may use: its cores, or fewer by the environment.

    `NUMBA_NUM_THREADS` and `OMP_NUM_THREADS` are obeyed. A rank of MPI has one.
    """
    if any(_number(name, 1) > 1 for name in _RANK_COUNTS):
        return 1
    most = int(_numba.config.NUMBA_NUM_THREADS)
    return min(most, _number("OMP_NUM_THREADS", most))


def _start(count: int) -> None:
    """Have that many threads wait for tasks."""
    global _tasks
    if _at_work and _at_work[0] != os.getpid():  # a fork: the threads stayed behind
        _at_work.clear()
        _tasks = SimpleQueue()
    while len(_at_work) < count:
        threading.Thread(target=_work, args=(_tasks,), daemon=True).start()
        _at_work.append(os.getpid())


def _number(variable: str, otherwise: int) -> int:
    """Return a number above 0 that a variable of the environment holds, the first of several."""
    given = os.environ.get(variable, "").split(",")[0].strip()
    return int(given) if given.isdecimal() and int(given) > 0 else otherwise


@contextmanager
def on_threads(count: int | None = None) -> Iterator[int]:
    """Share out the work of a block to threads; give how many there are.

    Only one thread at a time has others work for it.

    Args:
        count: How many, at most what Numba was started with; None: `most_threads`.

    Raises:
        InputError: If there cannot be as many.
    """
    if count is not None:
        most = int(_numba.config.NUMBA_NUM_THREADS)
        check_number("conductivity", "threads", count, lower=1, upper=most)
    wanted = most_threads() if count is None else int(count)
    alone = wanted == 1 or not _lock.acquire(blocking=False)
    before, _active.count = _active.count, 1 if alone else wanted
    try:
        if not alone:
            _start(wanted - 1)
        yield _active.count
    finally:
        _active.count = before
        if not alone:
            _lock.release()


def _guard(kept: Any) -> None:
    """Have what cannot be read, or written, count as not there."""
    load_one, save_one = kept.load_overload, kept.save_overload

    def load_overload(*given: Any) -> Any:
        try:
            return load_one(*given)
        except _DAMAGED:
            with suppress(OSError):
                kept.flush()
            return None

    def save_overload(*given: Any) -> None:
        with suppress(OSError):
            save_one(*given)

    kept.load_overload, kept.save_overload = load_overload, save_overload

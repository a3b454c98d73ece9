"""Functions compiled by Numba, which are kept on the disk where that is possible.

Numba itself stops where it finds no folder to keep them in, where what it kept is damaged, and
where the disk is full. None of these is a reason to stop: the functions are compiled again.

Functions for several threads are compiled twice. The variant for one thread starts none, so a rank
of MPI, and a process that is forked, never meets those of others.
"""

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FunctionType
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


prange = _numba.prange

# What Numba does of its own accord for several threads takes time to compile, and is little use.
_ONLY_LOOPS: dict[str, bool] = dict.fromkeys(
    ("comprehension", "reduction", "inplace_binop", "setitem", "numpy", "stencil", "fusion"), False
)
_RANK_COUNTS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "MV2_COMM_WORLD_SIZE")
_lock = threading.Lock()  # not every layer of threads below Numba can be entered twice
_started_in: list[int] = []  # the process that has started threads: a fork of it has none


class _Active(threading.local):
    count = 1  # of the block that this thread of Python is in


_active = _Active()


def threaded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function whose loops over `prange` are shared out to the threads of `on_threads`.

    Its first argument is an array of where each part of the work begins and ends. One part is done
    by one thread, without the cost of waking up others.
    """
    twin = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__
    )
    twin.__qualname__ = f"{function.__qualname__}_by_threads"  # a file of its own on the disk
    options: dict[str, Any] = {"cache": True, "error_model": "numpy"}  # 1 / 0 is infinite
    alone = njit(**options)(function)
    together = njit(**options, parallel={"prange": True, **_ONLY_LOOPS})(twin)

    def call(parts: Any, *arguments: Any) -> Any:
        several = _active.count > 1 and len(parts) > 2
        return (together if several else alone)(parts, *arguments)

    return call


def most_threads() -> int:
    """Return how many threads this process may use: its cores, or fewer by the environment.

    `NUMBA_NUM_THREADS` and `OMP_NUM_THREADS` are obeyed. A rank of MPI has one.
    """
    if any(_number(name, 1) > 1 for name in _RANK_COUNTS):
        return 1
    most = int(_numba.config.NUMBA_NUM_THREADS)
    return min(most, _number("OMP_NUM_THREADS", most))


def _start() -> None:
    """Start the threads, unless they are there.

    They sleep while there is nothing to do: those that wait in a loop, as they do by default, keep
    other processes off the cores, and took up to 3.5 times the time of the work itself.
    """
    if _started_in:
        return
    policy = os.environ.get("OMP_WAIT_POLICY")
    os.environ["OMP_WAIT_POLICY"] = policy or "PASSIVE"  # read when the library is loaded
    try:
        _numba.get_num_threads()
    finally:
        if policy is None:
            del os.environ["OMP_WAIT_POLICY"]
    _started_in.append(os.getpid())


def _number(variable: str, otherwise: int) -> int:
    """Return a number above 0 that a variable of the environment holds, the first of several."""
    given = os.environ.get(variable, "").split(",")[0].strip()
    return int(given) if given.isdecimal() and int(given) > 0 else otherwise


@contextmanager
def on_threads(count: int | None = None) -> Iterator[int]:
    """Share out the work of a block to threads; give how many there are.

    Only one thread of Python at a time has others work for it, and a forked process has none.

    Args:
        count: How many, at most what Numba was started with; None: `most_threads`.

    Raises:
        InputError: If there cannot be as many.
    """
    if count is not None:
        most = int(_numba.config.NUMBA_NUM_THREADS)
        check_number("conductivity", "threads", count, lower=1, upper=most)
    wanted = most_threads() if count is None else int(count)
    if wanted > 1 and (_started_in or [os.getpid()]) == [os.getpid()]:
        if _lock.acquire(blocking=False):
            _start()
            before = _active.count, _numba.get_num_threads()
            try:
                _numba.set_num_threads(wanted)
                _active.count = wanted
                yield wanted
            finally:
                _active.count = before[0]
                _numba.set_num_threads(before[1])
                _lock.release()
            return
    before_alone, _active.count = _active.count, 1
    try:
        yield 1
    finally:
        _active.count = before_alone


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

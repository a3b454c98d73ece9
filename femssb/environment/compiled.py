"""Functions compiled by Numba, which are kept on the disk where that is possible.

Numba itself stops where it finds no folder to keep them in, where what it kept is damaged, and
where the disk is full. None of these is a reason to stop: the functions are compiled again.
"""

import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from femssb.environment.cache import ignore_relative_home
from femssb.environment.packages import load

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

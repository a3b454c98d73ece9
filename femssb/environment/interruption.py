"""SIGINT and SIGTERM during long work: noted at once, obeyed where all ranks can do so together."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from femssb.environment.ranks import several_ranks
from femssb.errors import Interrupted

if TYPE_CHECKING:
    from mpi4py import MPI

_ECHO = 1.0  # a signal that follows sooner is the same: mpirun and the terminal both send it [s]

_watching = False
_received: int | None = None  # the signal that came first
_at = 0.0


@contextmanager
def interruptible() -> Iterator[None]:
    """Note SIGINT and SIGTERM, so that `stop_if_asked` raises, instead of ending at once.

    A second one ends at once, by `KeyboardInterrupt` where that is possible. Outside of the main
    thread, which alone receives signals, and within another such block this does nothing.
    """
    global _watching, _received
    if _watching or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # What is ignored stays so: a shell has a process in the background ignore SIGINT.
    chosen = [number for number, one in before.items() if one not in (signal.SIG_IGN, None)]
    _watching, _received = True, None
    try:
        for number in chosen:
            signal.signal(number, _note)
        yield
    except Interrupted:
        _received = None  # obeyed
        raise
    finally:
        _watching = False
        for number in chosen:
            signal.signal(number, before[number])
        if _received is not None:  # it came when the work was over
            signal.raise_signal(_received)


def stop_if_asked(comm: MPI.Comm) -> None:
    """Raise on all ranks if one of them was asked to stop; collective, within `interruptible`.

    Raises:
        Interrupted: Where that is so.
    """
    if _watching:
        number = max(comm.allgather(_received or 0))
        if number:
            raise Interrupted(number)


def _note(number: int, frame: FrameType | None) -> None:
    global _received, _at
    if _received is None:
        _received, _at = number, time.monotonic()
    elif time.monotonic() - _at > _ECHO:
        if number == signal.SIGINT and several_ranks() is None:
            signal.default_int_handler(number, frame)
        # One rank cannot end by an exception: the others would wait for it.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

"""SIGINT and SIGTERM during long work: noted at once, obeyed where all ranks can do so together."""

from __future__ import annotations

import os
import signal
import sys
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


class _Watch:
    """The signal that came first while work goes on."""

    number = 0  # of the signal; 0 while there is none
    time = 0.0  # at which it came [s]

    def note(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal, and end at once at a second one."""
        if not self.number:
            self.number, self.time = number, time.monotonic()
        elif time.monotonic() - self.time > _ECHO:
            if number == signal.SIGINT and several_ranks() is None:
                signal.default_int_handler(number, frame)
            # One rank cannot end by an exception: the others would wait for it.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


_watch: _Watch | None = None  # of the present work


@contextmanager
def interruptible() -> Iterator[None]:
    """Note SIGINT and SIGTERM, so that `stop_if_asked` raises, instead of ending at once.

    A second one ends at once, by `KeyboardInterrupt` where that is possible. Outside of the main
    thread, which alone receives signals, and within another such block this does nothing.
    """
    global _watch
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # What is ignored stays so: a shell has a process in the background ignore SIGINT.
    chosen = [number for number, one in before.items() if one not in (signal.SIG_IGN, None)]
    _watch = watch = _Watch()
    obeyed = False
    try:
        for number in chosen:
            signal.signal(number, watch.note)
        yield
    except Interrupted:
        obeyed = True
        raise
    finally:
        _watch = None
        for number in chosen:
            signal.signal(number, before[number])
        if watch.number and not obeyed:  # it came when the work was over
            signal.raise_signal(watch.number)


def stop_if_asked(comm: MPI.Comm) -> None:
    """Raise on all ranks if one of them was asked to stop; collective, within `interruptible`.

    Raises:
        Interrupted: Where that is so.
    """
    if _watch is not None:
        number = max(comm.allgather(_watch.number))
        if number:
            raise Interrupted(number)


@contextmanager
def terminable() -> Iterator[None]:
    """Have SIGTERM raise `Interrupted` at once, as SIGINT raises `KeyboardInterrupt`.

    For a process that waits for others, which it must not leave behind.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        stop = Interrupted(number)
        sys.stderr.write(f"femssb: {stop}\n")
        raise stop

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

"""A time limit on a call, and what comes out of one."""

from __future__ import annotations

import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import femssb
from femssb import FemssbError

ROOT = str(Path(femssb.__file__).parent)


class Hang(BaseException):
    """A call took longer than it may."""


class Reached(BaseException):
    """A call has passed its checks, and would begin its work."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `Hang` in a block that takes longer; in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang(f"still going after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Outcome:
    """What came out of a call: it was accepted, refused by an error of ours, or failed."""

    kind: str  # "accepted", "refused" or "failed"
    words: str = ""  # of the error
    place: str = ""  # where it comes from, for failures


def outcome(call: Callable[[], Any], seconds: float = 20.0) -> Outcome:
    """Call a function and say what came out; warnings that are not ours count as failures."""
    try:
        with time_limit(seconds), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "dofmap is deprecated", DeprecationWarning)
            # A run that resumes says which checkpoint it goes on with.
            warnings.filterwarnings("ignore", ".*is damaged", UserWarning)
            call()
    except Reached:
        return Outcome("accepted")
    except FemssbError as error:
        return Outcome("refused", str(error))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # Hang and SystemExit included
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if frame.filename.startswith(ROOT)] or frames[-1:]
        place = f"{ours[-1].filename.removeprefix(ROOT)}:{ours[-1].lineno}"
        words = f"{type(error).__name__}: {error}"
        return Outcome("failed", " ".join(words.split())[:160], place)
    return Outcome("accepted")

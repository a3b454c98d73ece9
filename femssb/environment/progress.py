"""Progress of long work, as lines on standard error."""

import sys
import time
from collections.abc import Callable

from femssb.description import checked

INTERVAL = 1.0  # shortest time between two lines [s]


@checked
def progress_lines(show: bool) -> Callable[[str], None]:
    """Return a function that prints a line of progress unless the last one is too recent.

    Args:
        show: Whether anything is printed at all; False on every rank but the first.
    """
    last = -INTERVAL

    def report(line: str) -> None:
        nonlocal last
        now = time.perf_counter()
        if show and now - last >= INTERVAL:
            last = now
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    return report

"""Progress of long work, as lines on standard error."""

import sys
import time
from collections.abc import Callable

from femssb.description import checked

INTERVAL = 1.0  # shortest time between two lines on a terminal [s]
LOG_INTERVAL = 60.0  # the same where they go to a file: a line a minute, with the time of day


@checked
def progress_lines(show: bool) -> Callable[[str], None]:
    """Return a function that prints a line of progress unless the last one is too recent.

    On a terminal there is a line a second at most; in a file, such as the log of a job, one a
    minute, which begins with date and time of day. The first comes at once.

    Args:
        show: Whether anything is printed at all; False on every rank but the first.
    """
    terminal = sys.stderr.isatty()
    interval = INTERVAL if terminal else LOG_INTERVAL
    last = -interval

    def report(line: str) -> None:
        nonlocal last
        now = time.monotonic()
        if show and now - last >= interval:
            last = now
            stamp = "" if terminal else time.strftime("%Y-%m-%d %H:%M:%S  ")
            sys.stderr.write(f"{stamp}{line}\n")
            sys.stderr.flush()

    return report

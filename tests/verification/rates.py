"""The order at which an error falls."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def observed_order(sizes: Sequence[float], errors: Sequence[float]) -> float:
    """Return the order between the two finest sizes: p in ``error = C size^p``.

    Args:
        sizes: Element sizes or time steps, from coarse to fine.
        errors: Error at each of them.
    """
    (coarse, fine), (large, small) = sizes[-2:], errors[-2:]
    return float(np.log(large / small) / np.log(coarse / fine))


def taylor_rate(
    function: Callable[[Any], Any], slope: Any, point: Any, direction: Any, steps: Sequence[float]
) -> float:
    """Return the order of |f(x + h d) - f(x) - h f'(x) d| in h, or inf if it is roundoff."""
    start = function(point)
    remainders = [
        np.max(np.abs(function(point + h * direction) - start - h * slope)) for h in steps
    ]
    if max(remainders) <= 1e-12 * np.max(np.abs(start)):
        return math.inf
    return float(np.polyfit(np.log(steps), np.log(remainders), 1)[0])

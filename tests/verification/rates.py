"""The order at which an error falls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def observed_order(sizes: Sequence[float], errors: Sequence[float]) -> float:
    """Return the order between the two finest sizes: p in ``error = C size^p``.

    Args:
        sizes: Element sizes or time steps, from coarse to fine.
        errors: Error at each of them.
    """
    (coarse, fine), (large, small) = sizes[-2:], errors[-2:]
    return float(np.log(large / small) / np.log(coarse / fine))

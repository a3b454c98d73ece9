"""What in a run cannot be trusted: sentences that name a quantity, its value and its bound."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = Mapping[str, NDArray[Any]]

# Both close to the tolerance of currents, 1e-9 by default, and to roundoff.
BALANCE = 1e-6


def doubts(series: Series) -> tuple[str, ...]:
    """Return what the time series says against the run, in sentences.

    Args:
        series: Column -> values (rows,).
    """
    return tuple(_of_series(series))


def _of_series(series: Series) -> Iterator[str]:
    for name in ("Lithium ledger error [-]", "Interface current error [-]"):
        at = int(np.argmax(np.abs(series[name])))
        if not abs(series[name][at]) <= BALANCE:
            yield (
                f"{name} is {series[name][at]:.3g} at {series['Time [s]'][at]:.6g} s, beyond "
                f"{BALANCE:g}: tighten Tolerances.current"
            )

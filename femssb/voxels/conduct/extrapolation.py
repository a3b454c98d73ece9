"""The limit of vanishing voxel size from images of one structure with voxels of several sizes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from scipy import optimize

from femssb.description import checked
from femssb.errors import InputError
from femssb.inputs.case import describe
from femssb.voxels.conduct.conduction import Conduction

ORDERS = (0.01, 10.0)  # between which an order of convergence is looked for [-]


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Extrapolation:
    """Conductivity at vanishing voxel size.

    Attributes:
        value: Richardson's extrapolation from the two finest images [S/m].
        uncertainty: Possible distance from the limit [S/m]: with three images or more, the distance
            from the extrapolation without the finest; with two, half the correction. The solver's
            errors are added.
        discretisation_error: Finest image less extrapolated, over the extrapolated value [-].
        order: Observed order of convergence of the last three images; the assumed 1 with two [-].
    """

    value: float
    uncertainty: float
    discretisation_error: float
    order: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data, for JSON."""
        return describe({item.name: getattr(self, item.name) for item in fields(self)})

    def __str__(self) -> str:
        """Return the limit in words."""
        return (
            f"conductivity at vanishing voxel size  {self.value:.6g} S/m, estimated to "
            f"{self.uncertainty:.1g} S/m\n"
            f"error of the finest voxels  {100 * self.discretisation_error:.2g} %, order of "
            f"convergence  {self.order:.2g}"
        )


@checked
def extrapolate(results: Sequence[Conduction]) -> Extrapolation:
    """Return the conductivity at vanishing voxel size from images of the same structure.

    Args:
        results: From coarse to fine voxels, two or more. The error of labels is
            about of first order in the voxel size, which is assumed with two results.

    Raises:
        InputError: If there are fewer than two, or their voxels do not become smaller.
    """
    if len(results) < 2:
        raise InputError(f"extrapolate.results holds {len(results)} results, needs two or more")
    sizes = [math.prod(result.spacing) ** (1 / 3) for result in results]
    if any(fine >= coarse for coarse, fine in pairwise(sizes)):
        raise InputError(f"extrapolate.results: voxel sizes {sizes} m do not become smaller")
    values = [result.value for result in results]
    limits = [
        fine + (fine - coarse) * step / (before - step)
        for (coarse, fine), (before, step) in zip(pairwise(values), pairwise(sizes), strict=True)
    ]
    value, order = limits[-1], 1.0
    if len(results) > 2:
        uncertainty = abs(limits[-1] - limits[-2])
        order = _observed_order(values[-3:], sizes[-3:])
    else:
        uncertainty = abs(value - values[-1]) / 2
    return Extrapolation(
        value=value,
        uncertainty=uncertainty + results[-1].error + results[-2].error,
        discretisation_error=(values[-1] - value) / value if value else math.nan,
        order=order,
    )


def _observed_order(values: Sequence[float], sizes: Sequence[float]) -> float:
    """Return p of an error h^p that fits three values, NaN if they do not approach a limit."""
    first, second = values[0] - values[1], values[1] - values[2]
    if second == 0 or first / second <= 0:
        return math.nan

    def mismatch(p: float) -> float:
        ratio = (sizes[0] ** p - sizes[1] ** p) / (sizes[1] ** p - sizes[2] ** p)
        return ratio - first / second

    low, high = ORDERS
    if mismatch(low) * mismatch(high) > 0:
        return math.nan
    return float(optimize.brentq(mismatch, low, high))

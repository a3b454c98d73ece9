"""The limit of vanishing voxel size from images of one structure with voxels of several sizes.

The *proven* error of a solve is that against the same voxels, solved exactly. The error against the
true shapes can only be *estimated*, from how the conductivity changes with the voxel size. With the
changes D1 and D2 from the coarse to the middle and on to the fine image, each as it would be for
twice the voxel size if the error were of first order,

    limit = fine + g D2,    uncertainty = a |D2| + b |D1| + c limit

Surfaces fall anew on every grid, so the error has no clean order, above all of cut voxels: where
the changes do not shrink or change their sign, Richardson's g = 1 is as often wrong as right. The
factors were chosen on lattices and random packings of `benchmarks/voxel_size.py` so that the limit
plus or minus its uncertainty holds the truth in 97 % of them or more. The uncertainty, half of that
interval, is 5 to 6.5 times the true error in the median. Narrower ones held only the cases that
they were chosen by: of the fresh cases of three sets in turn they held 90, 94 and 93 %, so the
factors were widened and the sets added to those that they were chosen by; on the next, that of
`tests/verification/test_voxel_size.py`, they hold 95 % or more at the first try. Errors of a normal
distribution of known width would need 2.9 times; two changes do not tell the width. Two images
cannot tell a change that shrinks from one that does not: from them nothing is estimated, and the
first order is taken for granted.
"""

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
# |D2| over the limit, above which the voxels do not resolve the shapes [-].
MOST_CHANGE = {"cut": 0.05, "whole": 0.1}
# Of changes that shrink and keep their sign, and of others: g, a, b, c.
FACTORS = {
    "cut": ((0.1, 0.65, 0.1, 6e-4), (0.5, 1.8, 0.05, 1.5e-3)),
    "whole": ((0.85, 0.65, 0.3, 1.5e-2), (0.3, 0.9, 0.9, 1e-2)),
}


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Extrapolation:
    """Conductivity at vanishing voxel size.

    Attributes:
        value: Of the true shapes, from the two finest images [S/m].
        uncertainty: Estimated, not proven: the truth lies within `value` plus or minus this in 95 %
            of many cases [S/m]. The proven errors of the solves are in it. NaN: not estimated, as
            there are but two images, nothing conducts in one of them, or |D2| is too large, 5 %
            of the limit for cut voxels and 10 % for whole ones.
        discretisation_error: Finest image less extrapolated, over the extrapolated value [-].
        order: Observed order of convergence of the last three images; NaN with two, or where they
            do not approach a limit [-].
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
        known = not math.isnan(self.uncertainty)
        near = f"estimated to {self.uncertainty:.1g} S/m" if known else "error not estimated"
        order = "not regular" if math.isnan(self.order) else f"{self.order:.2g}"
        return (
            f"conductivity at vanishing voxel size  {self.value:.6g} S/m, {near}\n"
            f"error of the finest voxels  {100 * self.discretisation_error:.2g} %, order of "
            f"convergence  {order}"
        )


@checked
def extrapolate(results: Sequence[Conduction]) -> Extrapolation:
    """Return the conductivity at vanishing voxel size from images of the same structure.

    The features that matter should have 8 voxels to their radius in the finest of three images if
    spheres cut the voxels, else 16.

    Args:
        results: From coarse to fine voxels, each half as large as before: three, or two without an
            estimated error. Of more than three, the last three are used.

    Raises:
        InputError: If there are fewer than two, their voxels do not become smaller, or only some
            are cut by spheres.
    """
    if len(results) < 2:
        raise InputError(f"extrapolate.results holds {len(results)} results, needs two or more")
    kinds = {result.voxels for result in results}
    if len(kinds) > 1:
        raise InputError("extrapolate.results: the voxels must all be cut, or all be whole")
    sizes = [math.prod(result.spacing) ** (1 / 3) for result in results]
    if any(fine >= coarse for coarse, fine in pairwise(sizes)):
        raise InputError(f"extrapolate.results: voxel sizes {sizes} m do not become smaller")
    values = [result.value for result in results][-3:]
    changes = [
        (fine - coarse) * step / (before - step)
        for (coarse, fine), (before, step) in zip(
            pairwise(values), pairwise(sizes[-3:]), strict=True
        )
    ]
    regular = len(values) == 3 and changes[0] != 0 and 0 < changes[1] / changes[0] < 1
    kind = kinds.pop()
    gain, last, before, floor = FACTORS[kind][0 if regular else 1]
    if kind == "whole" and len(values) == 2:
        gain = 1.0
    value = max(values[-1] + gain * changes[-1], 0.0)
    uncertainty, order = math.nan, math.nan
    if len(values) == 3:
        order = _observed_order(values, sizes[-3:])
        if min(values) > 0 and abs(changes[1]) <= MOST_CHANGE[kind] * value:
            uncertainty = last * abs(changes[1]) + before * abs(changes[0]) + floor * value
            uncertainty += results[-1].error + results[-2].error
    return Extrapolation(
        value=value,
        uncertainty=uncertainty,
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

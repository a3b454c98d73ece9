"""The limit of vanishing voxel size from images of one structure with voxels of several sizes.

The *proven* error of a solve is that against the same voxels, solved exactly. The error against the
true shapes can only be *estimated*, from how the conductivity changes with the voxel size h. It has
a part that shrinks as h^p, p = 2 for voxels that are cut by surfaces and 1 for whole ones, and a
part that falls anew on every grid, as the surfaces do, in proportion to h at most. So the limit is
that of generalised least squares,

    sigma(h) = limit + C h^p + noise h,

which follows a regular error exactly, as Richardson does, but does not take every chance difference
of two grids for a trend. With the last two changes D1 and D2 from grids that are refined twofold,

    uncertainty^2 = (a D2)^2 + (b (D2 - D1 / 2^p))^2 + (c limit)^2

for an order that is not quite p, for what the grids show of the noise, and for what they do not
show. a, b and c were chosen on 764 cases, lattices and random packings at all contrasts, with and
without contact (`benchmarks/voxel_size.py`), of which the limit plus or minus its uncertainty holds
the truth of 97 %: of 98 % of the lattices and 95 % of the random packings. The uncertainty is 4.2
times the true error in the median. Errors of a normal distribution of known width would need 2.9
times; two changes do not tell the width. With 3.5 times it held 96 % of the cases that it was
chosen by and 94.6 % of 224 fresh ones. A noise that grows as the root of h would need 2.9 times for
96 %, but by a worse value, whose error is a quarter larger. Two images cannot tell a trend from
noise: from them nothing is estimated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import optimize

from femssb.description import checked
from femssb.errors import InputError
from femssb.inputs.case import describe
from femssb.voxels.conduct.conduction import Conduction

ORDERS = (0.01, 10.0)  # between which an order of convergence is looked for [-]
SHRINKS = {"cut": 2, "whole": 1}  # p
ORDER_AND_NOISE = 0.5, 0.8  # a, b
UNSEEN = {"cut": 1.5e-3, "whole": 2.2e-2}  # c
MOST_CHANGE = {"cut": 0.02, "whole": 0.07}  # |D2| over the limit: more does not resolve the shapes


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Extrapolation:
    """Conductivity at vanishing voxel size.

    Attributes:
        value: Of the true shapes [S/m].
        uncertainty: Estimated, not proven: the truth lies within `value` plus or minus this in 95 %
            of many cases [S/m]. The proven errors of the solves are in it. NaN: not estimated, as
            there are but two images, nothing conducts in one of them, or the last two differ by
            too much, 2 % of the limit for cut voxels and 7 % for whole ones.
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
            estimated error.

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
    kind = kinds.pop()
    values, h = np.array([result.value for result in results]), np.array(sizes) / sizes[-1]
    p = SHRINKS[kind]
    weights = np.linalg.pinv(np.stack([1 / h, h ** (p - 1)], axis=1))[0] / h
    value = max(float(weights @ values), 0.0)
    uncertainty, order = math.nan, math.nan
    if len(values) > 2:
        order = _observed_order(values[-3:].tolist(), sizes[-3:])
        before, last = np.diff(values)[-2:] / -np.diff(h**p)[-2:] * (2**p - 1)  # as D1 / 2^p, D2
        if values.min() > 0 and abs(last) <= MOST_CHANGE[kind] * value:
            a, b = ORDER_AND_NOISE
            parts = a * last, b * (last - before), UNSEEN[kind] * value
            proven = [result.error for result in results]
            uncertainty = float(np.linalg.norm(parts) + np.abs(weights) @ proven)
    return Extrapolation(
        value=value,
        uncertainty=uncertainty,
        discretisation_error=float((values[-1] - value) / value) if value else math.nan,
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

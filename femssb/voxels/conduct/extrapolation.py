"""The limit of vanishing voxel size from images of one structure with voxels of several sizes.

The *proven* error of a solve is that against the same voxels, solved exactly. The error against the
true shapes can only be *estimated*, from how the conductivity changes with the voxel size h. It has
parts that shrink as h and h^2, and a part that falls anew on every grid, as the surfaces do. So the
limit is that of generalised least squares,

    sigma(h) = limit + C1 h + C2 h^2 + noise h

with C1 and C2 that are `REGULAR` times the noise in the mean of many structures. It does not take
every chance difference of two grids for a trend. The more closely the last two changes D1 and D2
keep to the ratio 2^p of a regular error, p = 2 for cut and 1 for whole voxels, the less is by
chance, and the limit goes over to that of Richardson, D2 / (2^p - 1) beyond the finest value. With
grids that are refined twofold,

    uncertainty^2 = (a D2)^2 + (b (D2 - D1 / 2^p))^2 + (c limit)^2

for an order that is not quite p, for what the grids show of the noise, and for what they do not
show: more where the first phase insulates, so that spheres conduct through necks that may be
narrower than any voxel. The form and the weights were chosen on 843 cases, lattices and random
packings at all contrasts, with and without contact (`benchmarks/voxel_size.py`), and held 95 % of
the truths of 122 fresh ones. With the factors of today, 96 % of all 965 lie within, 97 % of the
lattices and 93 % of the random packings, and the uncertainty is 3.0 times the true error in the
median. Errors of a normal distribution of known width would need 2.9 times. Two images cannot
tell a trend from noise: from them nothing is estimated. An image that is too coarse to belong to
the others is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import optimize

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError
from femssb.inputs.case import describe
from femssb.voxels.conduct.conduction import Conduction

TINY = 1e-300  # keeps a quotient finite
ORDERS = (0.01, 10.0)  # between which an order of convergence is looked for [-]
SHRINKS = {"cut": 2, "whole": 1}  # p
REGULAR = {"cut": (4.5, 3.0), "whole": (4.5, 1.5)}  # C1 and C2 over the noise, in the mean
CHANCE = 0.25  # |D2 - D1 / 2^p| over |D2| at which half of that counts as a regular error
ORDER_AND_NOISE = {"cut": (0.6, 0.4), "whole": (0.5, 0.9)}  # a, b
UNSEEN = {"cut": 8e-4, "whole": 1.35e-2}  # c
NECKS = {"cut": 0.045, "whole": 0.025}  # as c, beside it, if the first phase insulates
MOST_CHANGE = {"cut": 0.02, "whole": 0.07}  # |D2| over the finest value, or shapes are not resolved
TOO_COARSE = {"cut": 0.05, "whole": 0.2}  # the same of a change before, or its image is left out


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Extrapolation:
    """Conductivity at vanishing voxel size.

    Attributes:
        value: Of the true shapes [S/m].
        uncertainty: Estimated, not proven: the truth lies within `value` plus or minus this in 95 %
            of many cases [S/m]. The proven errors of the solves are in it. NaN: not estimated, as
            there are but two images, or nothing conducts in one of them, or the last two differ by
            too much, 2 % for cut voxels and 7 % for whole ones. An image counts as not there if the
            next differs from it by more than 5 % (cut) or 20 % (whole).
        discretisation_error: Finest image less extrapolated, over the extrapolated value; NaN if no
            other image counts [-].
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
    order = _observed_order(values[-3:].tolist(), sizes[-3:]) if len(values) > 2 else math.nan
    proven = np.array([result.error for result in results])
    apart = np.abs(np.diff(values)) > TOO_COARSE[kind] * values[-1]
    apart[-1] = values[-2] == 0
    first = int(np.nonzero(apart)[0].max(initial=-1)) + 1
    values, h, proven = values[first:], h[first:], proven[first:]
    weights, before, last = _weights(values, h, kind)
    value, uncertainty = max(float(weights @ values), 0.0), math.nan
    if len(values) > 2 and values.min() > 0 and abs(last) <= MOST_CHANGE[kind] * values[-1]:
        a, b = ORDER_AND_NOISE[kind]
        parts = [a * last, b * (last - before), UNSEEN[kind] * value]
        if next(iter(results[-1].conductivities.values())) == 0:
            parts.append(NECKS[kind] * value)
        uncertainty = float(np.linalg.norm(parts) + np.abs(weights) @ proven)
    off = float(values[-1] / value - 1) if value > 0 and len(values) > 1 else math.nan
    return Extrapolation(
        value=value,
        uncertainty=uncertainty,
        discretisation_error=off,
        order=order,
    )


def _weights(values: Array, h: Array, kind: str) -> tuple[Array, float, float]:
    """Return the weights of values in their limit, and D1 / 2^p and D2, 0 if there are too few."""
    weights, p = np.zeros(len(h)), SHRINKS[kind]
    weights[-1] = 1.0
    if len(h) < 2:
        return weights, 0.0, 0.0
    last = (values[-1] - values[-2]) / (h[-2] ** p - 1) * (2**p - 1)
    weights[-2:] = np.array([-1.0, h[-2] ** p]) / (h[-2] ** p - 1)  # of Richardson
    if len(h) < 3:
        return weights, 0.0, last
    before = (values[-2] - values[-3]) / (h[-3] ** p - h[-2] ** p) * (2**p - 1)
    chance = (last - before) ** 2 / max((CHANCE * last) ** 2 + (last - before) ** 2, TINY)
    regular = np.stack([h, h**2], axis=1) * REGULAR[kind]
    smooth = np.linalg.solve(regular @ regular.T + np.diag(h**2), np.ones(len(h)))
    return weights + chance * (smooth / smooth.sum() - weights), before, last


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

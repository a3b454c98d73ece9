"""Functions of lithium that are made from points, or from a function without a slope."""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from femssb.arrays import Array
from femssb.description import description, field
from femssb.errors import InputError, shown
from femssb.tables import read_columns

_STEP = 1e-40  # along the imaginary axis: without roundoff, as nothing is subtracted [mol/m3]


@description
class Table:
    """Points, and the monotone cubic between them: where the points rise, so does the curve.

    Source: Fritsch and Butland 1984, doi:10.1137/0905021, as `scipy.interpolate.PchipInterpolator`.

    Raises:
        InputError: If concentrations do not rise, or are fewer than two, or have not a value each.
    """

    concentrations: tuple[float, ...] = field("rising", unit="mol/m3", lower=0, upper=2e5)
    values: tuple[float, ...] = field("of the property there", lower=-1e12, upper=1e12)

    def __post_init__(self) -> None:
        """Check the order and the number of the points."""
        count = len(self.concentrations)
        if count < 2 or count != len(self.values):
            raise InputError(
                f"Table.concentrations and Table.values must hold as many numbers, at least 2, got"
                f" {count} and {len(self.values)}"
            )
        still = np.flatnonzero(np.diff(self.concentrations) <= 0)
        if still.size:
            row = int(still[0])
            before, after = self.concentrations[row : row + 2]
            raise InputError(
                f"Table.concentrations must rise from row to row: {after:g} mol/m3 follows"
                f" {before:g} mol/m3 in row {row + 2}"
            )

    def __call__(self, concentration: Array) -> Array:
        """Return the property, shape as the concentration [mol/m3]."""
        return np.asarray(_cubic(self)(concentration))

    @classmethod
    def read(cls, table: Any, values: Any, scale: float) -> "Table":
        """Return the points of a file, or of two arrays, rising whatever order they came in.

        Raises:
            InputError: If the file cannot be read, or the points are none of a curve.
        """
        where = "Curve.from_table"
        if isinstance(table, str | os.PathLike):
            if values is not None:
                raise InputError(f"{where}.values must be left out where a file holds them")
            table, values = read_columns(Path(table), 2)
        elif values is None:
            raise InputError(f"{where}.values is missing: concentrations have a value each")
        at, values = scale * np.ravel(table), np.ravel(values)
        if at.size > 1 and at[0] > at[-1]:
            at, values = at[::-1], values[::-1]
        try:
            return cls(concentrations=tuple(at.tolist()), values=tuple(values.tolist()))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error


@description
class TableSlope:
    """The derivative of what runs through the points of a table."""

    table: Table = field("the points")

    def __call__(self, concentration: Array) -> Array:
        """Return the derivative of the property, shape as the concentration [mol/m3]."""
        return np.asarray(_cubic(self.table)(concentration, 1))


@lru_cache(maxsize=64)
def _cubic(table: Table) -> Any:
    from scipy.interpolate import PchipInterpolator  # with the first table

    return PchipInterpolator(table.concentrations, table.values)


@description
class ComplexStep:
    """The derivative of a function that also takes complex numbers, exact to roundoff.

    f'(c) = Im f(c + i h)/h as h vanishes. Source: Squire and Trapp 1998,
    doi:10.1137/S003614459631241X.
    """

    function: Callable[[Any], Any] = field("concentration [mol/m3] -> property")

    def __post_init__(self) -> None:
        """Check that the function takes complex numbers."""
        try:
            found = np.asarray(self.function(np.full(3, 1e4 + 1j * _STEP)))
            failure = "" if found.dtype.kind == "c" else f"it returns {found.dtype}"
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
        if failure:
            raise InputError(
                f"Curve.from_callable.function = {shown(self.function)} takes no complex numbers"
                f" ({failure}): give its slope to Curve, or use Curve.from_table"
            )

    def __call__(self, concentration: Array) -> Array:
        """Return the derivative, shape as the concentration [mol/m3]."""
        found = np.asarray(self.function(np.asarray(concentration) + 1j * _STEP))
        return np.asarray(found.imag / _STEP)

"""An end of one's own: of a protocol step, or of a cycle of them."""

import math
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches

from femssb.description import checked, description, field
from femssb.errors import InputError, shown


@description
class Condition:
    """Comes where a column of the time series, or a function of its row, is above or below a value.

    A step ends there to the precision of its other ends (`Stepping.event`). A function is called on
    one rank, after each time step and as the end is located; it must depend on its row alone.

    Raises:
        InputError: If there is not one of column and function, and one of above and below.
    """

    column: str | None = field(
        "of the time series, such as ``Mean gap [m]``; its unit may be left out", default=None
    )
    function: Callable[[Mapping[str, float]], float] | None = field(
        "of a row of the series, column -> value, in the place of a column", default=None
    )
    above: float | None = field("value that is passed from below", default=None)
    below: float | None = field("value that is passed from above", default=None)

    def __post_init__(self) -> None:
        """Check that there is one quantity, and one bound."""
        for pair in ("column", "function"), ("above", "below"):
            given = [name for name in pair if getattr(self, name) is not None]
            if len(given) != 1:
                raise InputError(
                    f"Condition needs one of {' and '.join(pair)}, got"
                    f" {' and '.join(given) or 'none'}"
                )

    @property
    def words(self) -> str:
        """The condition in words, such as "mean gap above 2e-08"."""
        what = self.column or getattr(self.function, "__name__", type(self.function).__name__)
        side, bound = ("above", self.above) if self.below is None else ("below", self.below)
        return f"{what} {side} {bound:g}"

    @checked
    def beyond(self, row: Mapping[str, float]) -> float:
        """Return by how much a row is past the bound, negative before it.

        Args:
            row: Column -> value.

        Raises:
            InputError: If the function fails, or there is no finite number.
        """
        value = self._value(row)
        if not math.isfinite(value):
            raise InputError(f"Condition {self.words!r}: it is {value:g}")
        return value - self.above if self.above is not None else (self.below or 0.0) - value

    def _value(self, row: Mapping[str, float]) -> float:
        if self.function is None:
            return float(row[find_column(self.column or "", row)])
        try:
            return float(self.function(row))
        except Exception as error:
            raise InputError(
                f"Condition.function fails: {type(error).__name__}: {error}"
            ) from error


def find_column(name: str, columns: Collection[str]) -> str:
    """Return the column of a time series that a name means: its own, or that without the unit.

    Raises:
        InputError: If there is none, or more than one.
    """
    if name in columns:
        return name
    plain = name.casefold()
    found = [one for one in columns if plain in (one.casefold(), one.partition(" [")[0].casefold())]
    if len(found) != 1:
        near = found or get_close_matches(name, columns, 3, 0.5)
        raise InputError(
            f"{shown(name)} names {'several columns' if found else 'no column'} of the time series:"
            f" {', '.join(near) or 'see femssb.results.COLUMNS'}"
        )
    return found[0]

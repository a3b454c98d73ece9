"""Our numbers next to those of a paper, each with the band it must lie in and the reason for it."""

import csv
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from femssb.description import checked, description, field
from femssb.errors import InputError, check_number
from femssb.studies.cache import MissingCase
from femssb.studies.page import Table
from femssb.units import GPa, MPa, cm2, hour, mA, nm, pmol, um

UNITS = {  # of the numbers of papers, in SI
    "-": 1.0, "%": 0.01, "wt%": 0.01, "1e-3": 1e-3, "s": 1.0, "1/h": 1 / hour, "V": 1.0, "nm": nm,
    "um": um, "pmol": pmol, "MPa": MPa, "GPa": GPa, "S/m": 1.0, "mS/cm": 0.1, "mA/cm2": mA / cm2,
    "g/cm3": 1e3, "Pa s": 1.0,
}  # fmt: skip
VERDICTS = {True: "yes", False: "**no**", None: ""}


class Number(NamedTuple):
    """A number of ours, in SI."""

    value: float
    spread: float | None = None  # standard deviation, or half the difference of two, in SI


@description
class Target:
    """A number of a paper, and how near ours must come to it."""

    study: str = field("study, figure or table that it belongs to")
    case: str = field("name of the case")
    key: str = field("name by which our number is found")
    quantity: str = field("meaning")
    unit: str = field("unit of the number")
    paper: float = field("number of the paper, in its unit")
    band: str = field(
        "'5 %' (relative), 'x1.3' (factor), '<' or '>' (below or above the number) or 'none'"
    )
    reason: str = field("reason for the band, or for missing it")

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise InputError(f"Target.unit = {self.unit!r} is none of {', '.join(UNITS)}")
        try:
            factor, share = self._band
        except ValueError:
            raise InputError(
                f"Target.band = {self.band!r} is none of '5 %', 'x1.3', '<', '>', 'none'"
            ) from None
        check_number("Target", "band (factor)", factor, above=0, upper=1e6)
        check_number("Target", "band (share)", share, lower=0, upper=1e6)
        if factor != 1 and self.paper == 0:
            raise InputError(f"Target.band = {self.band!r} is a factor, but Target.paper = 0")

    @property
    def value(self) -> float:
        """The number of the paper in SI."""
        return self.paper * UNITS[self.unit]

    @checked
    def holds(self, ours: float | None) -> bool | None:
        """Return whether a number of ours lies in the band.

        Args:
            ours: In the unit of the paper; None if there is none, which is outside of every band.

        Returns:
            The verdict; None where the number of the paper is no target.
        """
        if self.band == "none":
            return None
        if self.band in ("<", ">"):
            return ours is not None and (ours < self.paper) == (self.band == "<")
        if self.band.startswith("x"):
            factor, _ = self._band
            return ours is not None and 1 / factor <= ours / self.paper <= factor
        _, share = self._band
        return ours is not None and abs(ours - self.paper) <= share * abs(self.paper)

    @property
    def _band(self) -> tuple[float, float]:
        """The factor and the share of the band, 1 and 0 where it is no such band."""
        if self.band in ("none", "<", ">"):
            return 1.0, 0.0
        if self.band.startswith("x"):
            return float(self.band[1:]), 0.0
        return 1.0, float(self.band.removesuffix("%")) / 100


Numbers = Callable[[Target], Number | None]


@checked
def read_targets(path: str | os.PathLike[str], study: str | None = None) -> tuple[Target, ...]:
    """Return the numbers of a paper from a table with the columns of `Target`.

    Args:
        path: A CSV file.
        study: Read the rows of this study only.

    Raises:
        InputError: If the file cannot be read, or a row is not complete.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
        return tuple(
            Target(**{**row, "paper": float(row["paper"])})
            for row in rows
            if study in (None, row["study"])
        )
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"cannot read the targets in {path}: {error}") from error


def compare(
    targets: Sequence[Target], ours: Mapping[str, Numbers], others: Mapping[str, Numbers]
) -> Table:
    """Return the table that sets our numbers next to those of a paper.

    Args:
        targets: The numbers of the paper.
        ours: Heading -> what returns our number for a target; each gets a difference and a verdict.
        others: The same for numbers that are shown only.
    """
    head = ["case", "quantity", "unit", "paper", "band"]
    for name in ours:
        head += [name or "ours", "difference", "in band"]
    rows = []
    for target in targets:
        band = "" if target.band == "none" else target.band
        row = [target.case, target.quantity, target.unit, f"{target.paper:g}", band]
        for numbers in ours.values():
            number = _of(numbers, target)
            value = None if number is None else number.value
            row += [_shown(number), _difference(value, target.paper), VERDICTS[target.holds(value)]]
        row += [_shown(_of(numbers, target)) for numbers in others.values()]
        rows.append([*row, target.reason])
    return Table([*head, *others, "reason for the band, or for missing it"], rows)


def judge(trends: Mapping[str, Mapping[str, Callable[[], bool]]]) -> Table:
    """Return the table that says which trends came out.

    Args:
        trends: Heading -> trends in words -> what returns whether one holds; a `MissingCase` that
            it raises leaves the verdict open.
    """
    verdicts: dict[str, list[str]] = {}
    for column, tests in enumerate(trends.values()):
        for text, holds in tests.items():
            row = verdicts.setdefault(text, ["-"] * len(trends))
            with suppress(MissingCase):
                row[column] = VERDICTS[bool(holds())]
    head = ["trend", *(name or "holds" for name in trends)]
    return Table(head, [[text, *row] for text, row in verdicts.items()])


@checked
def rising(values: Sequence[float], share: float = 0.0) -> bool:
    """Return whether each number exceeds the one before it by more than a share of the last.

    Args:
        values: The numbers; negative ones that grow in magnitude fall.
        share: Least change from one to the next, over the magnitude of the last number [-].
    """
    return all(after - before > share * abs(values[-1]) for before, after in pairwise(values))


@checked
def near(one: float, other: float, share: float = 0.1) -> bool:
    """Return whether two numbers differ by no more than a share of the first."""
    return abs(one - other) <= share * abs(one)


def _of(numbers: Numbers, target: Target) -> Number | None:
    """Return our number in the unit of the paper."""
    found = None
    with suppress(MissingCase):
        found = numbers(target)
    if found is None:
        return None
    unit = UNITS[target.unit]
    return Number(found.value / unit, None if found.spread is None else found.spread / unit)


def _shown(number: Number | None) -> str:
    if number is None:
        return "-"
    known = number.spread is not None and math.isfinite(number.spread) and number.spread > 0
    return f"{number.value:.4g}{f' ± {number.spread:.2g}' if known else ''}"


def _difference(value: float | None, paper: float) -> str:
    """Return how far a number is from that of the paper: in per cent or, if large, as a factor."""
    if value is None or paper == 0:
        return "-"
    ratio = value / paper
    return f"{100 * (ratio - 1):+.1f} %" if 0 < ratio < 3 else f"x {ratio:.3g}"

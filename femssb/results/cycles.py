"""The cycles that the steps of a protocol make, and the names of moments in them.

A cycle is a charge and the discharge after it, each with the holds that follow its current steps. A
discharge before the first charge is cycle 0. Holds and rests belong to the cycle they are in, and
so does a drive, of whose charge neither half knows.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

CURRENT = ("charge", "discharge")


def cycle_numbers(kinds: Sequence[str]) -> list[int]:
    """Return the number of the cycle that each step belongs to.

    Args:
        kinds: Kind of each step of a protocol: "charge", "discharge", "hold", "rest" or "drive".
    """
    driven = [kind for kind in kinds if kind in CURRENT]
    number = 0 if driven[:1] == ["discharge"] and "charge" in driven else 1
    last, found = None, []
    for kind in kinds:
        if kind == "charge" and last == "discharge":
            number += 1
        if kind in CURRENT:
            last = kind
        found.append(number)
    return found


def half_cycles(kinds: Sequence[str]) -> list[str | None]:
    """Return the half-cycle of each step: None for a rest, a drive, or before any current."""
    half, found = None, []
    for kind in kinds:
        half = kind if kind in CURRENT else half
        found.append(None if kind in ("rest", "drive") else half)
    return found


def of_cycle(name: str, cycle: int) -> str:
    """Return the name of a moment of a cycle: that of the first one goes without its number."""
    return name if cycle == 1 else f"cycle {cycle} {name}"


def labels(kinds: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names of middle and end of each step of a protocol; each name is there once.

    "charge end" and "discharge end" are the ends of half-cycles, after their holds. What else would
    bear such a name, or the same as another step of the cycle, gets the index of its step, from 0
    as in the column ``Step``: "charge end, step 0".

    Args:
        kinds: Kind of each step of a protocol.
    """
    numbers, halves = cycle_numbers(kinds), half_cycles(kinds)
    steps = list(zip(kinds, numbers, strict=True))
    driven = [row for row, half in enumerate(halves) if half is not None]
    ends = {a for a, b in pairwise(driven) if (halves[a], numbers[a]) != (halves[b], numbers[b])}
    ends.update(driven[-1:])
    found, counts = [], Counter(steps)
    for row, (kind, number) in enumerate(steps):
        alone = counts[kind, number] == 1
        plain_end = row in ends if kind in CURRENT else alone
        middle, end = (
            of_cycle(f"{kind} {name}", number) + ("" if plain else f", step {row}")
            for name, plain in (("middle", alone), ("end", plain_end))
        )
        found.append((middle, end))
    return found

"""How many inputs, files and ends were tried, and what came of them."""

from __future__ import annotations

import os
import random
from collections import Counter

COUNTS: dict[str, Counter[tuple[str, str]]] = {}


def seed() -> int:
    """Return `FEMSSB_FUZZ_SEED`, or a fresh seed; it is shown in what failed."""
    given = os.environ.get("FEMSSB_FUZZ_SEED")
    return int(given) if given else random.SystemRandom().randrange(10**9)


def count(kind: str, name: str, result: str) -> None:
    """Count one attempt of a kind ("inputs", "files", "faults")."""
    COUNTS.setdefault(kind, Counter())[name, result] += 1


def lines() -> list[str]:
    """Return the counts in words, a line for each kind, and for each fault."""
    found = []
    for kind, counter in sorted(COUNTS.items()):
        results: Counter[str] = Counter()
        for (_, result), number in counter.items():
            results[result] += number
        parts = ", ".join(f"{number} {result}" for result, number in sorted(results.items()))
        names = len({name for name, _ in counter})
        found.append(f"{kind}: {counter.total()} of {names} kinds: {parts}")
        if kind == "faults":
            found += [f"  {name}: {n} {result}" for (name, result), n in sorted(counter.items())]
    return found

"""How grains differ: a factor on a property for each, from a table or drawn from a seed.

Grains are called as in files of meshes, ``particle_2_grain_7``, or ``grain_7`` in the first
particle; both count from 1.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.errors import InputError, shown

_NAME = re.compile(r"(?:particle_(?P<particle>[0-9]{1,9})_)?grain_(?P<grain>[0-9]{1,9})")
Number = tuple[int, int]  # of a particle, and of a grain in it, from 1


@description
class GrainTable:
    """A factor for each grain, by its name.

    Raises:
        InputError: If a name is that of no grain, or two are of the same.
    """

    factors: Mapping[str, float] = field(
        "factor on the property of each grain", lower=1e-3, upper=1e3
    )

    def __post_init__(self) -> None:
        """Check the names."""
        numbers = [_number(name) for name in self.factors]
        if len(set(numbers)) < len(numbers):
            twice = max(numbers, key=numbers.count)
            raise InputError(f"GrainTable.factors names {_named(twice)} twice")

    @checked
    def of(self, grains: Sequence[Number], owner: str) -> Array:
        """Return the factors of grains (n,).

        Args:
            grains: All that there are, each the number of its particle and its own in it.
            owner: Where the table stands, for messages.

        Raises:
            InputError: If one is missing in the table, or the table has one that is not there.
        """
        known = {_number(name): value for name, value in self.factors.items()}
        if missing := [one for one in grains if one not in known]:
            raise InputError(
                f"{owner}: the table lacks {_named(missing[0])}, {len(missing)} of {len(grains)}"
                " grains"
            )
        if unknown := sorted(known.keys() - set(grains)):
            raise InputError(
                f"{owner}: the table has {_named(unknown[0])}, which is none of its {len(grains)}"
                " grains"
            )
        return np.array([known[one] for one in grains])


@description
class GrainDistribution:
    """A factor for each grain whose logarithm is normally distributed; the median is 1.

    Two properties with the same seed have the same factors but for their spread.
    """

    spread: float = field("standard deviation of the logarithm", lower=0, upper=1.5)
    seed: int = field("seed of the draw", lower=0, upper=2**63 - 1, default=1)

    @checked
    def of(self, grains: Sequence[Number], owner: str) -> Array:
        """Return the factors of grains (n,): each follows from its numbers and the seed alone."""
        drawn = [
            np.random.default_rng([self.seed, particle, grain]).standard_normal()
            for particle, grain in grains
        ]
        return np.exp(self.spread * np.array(drawn))


GrainValues = GrainTable | GrainDistribution


def of_grains(of: str) -> Any:
    """Return the field of a factor that differs between grains."""
    return field(f"factor on {of}, of each grain by itself; None: 1", default=None)


def _number(name: str) -> Number:
    found = _NAME.fullmatch(name)
    number = (int(found["particle"] or 1), int(found["grain"])) if found else (0, 0)
    if min(number) < 1:
        raise InputError(
            f"GrainTable.factors: {shown(name)} is no name of a grain, such as particle_2_grain_7"
            " or grain_7, from 1"
        )
    return number


def _named(number: Number) -> str:
    return f"particle_{number[0]}_grain_{number[1]}"

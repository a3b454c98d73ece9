"""A whole mesh as plain arrays on one rank, and the names of its regions and facets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array, Indices

if TYPE_CHECKING:
    from femssb.grains.tessellation import Statistics

Tags = NDArray[np.int32]

REGIONS = {  # name -> cell tag; grains have tags from FIRST_GRAIN
    "ecbd": 1,  # electrolyte, carbon and binder around the particles
    "electrolyte": 2,  # separator, between the ecbd and the anode
}
FACETS = {  # name -> facet tag; a mesh may have more names, with tags from FIRST_EXTRA
    "interface": 1,  # between a grain and the ecbd; the normal points into the ecbd
    "grain_boundary": 2,  # between two grains
    "collector": 3,  # face of the box at the lowest z
    "anode": 4,  # face of the box at the highest z
    "x_min": 5,  # sides of the box, periodic where both of a pair are named
    "x_max": 6,
    "y_min": 7,
    "y_max": 8,
    # of resolved cells
    "contact": 9,  # between two particles
    "particle_collector": 10,  # of a particle at the lowest z; "collector" is that of the ecbd
    "particle_separator": 11,  # of a particle at the separator
}
FIRST_GRAIN = 100  # cell tag of the first grain
FIRST_EXTRA = 100  # facet tag of the first name that is not in FACETS
INNER = (  # facets between two cells; all others of FACETS are outside
    "interface",
    "grain_boundary",
    "contact",
    "particle_separator",
)
OPPOSITE = {"x_min": "x_max", "y_min": "y_max"}
GRAIN_NAME = re.compile(
    r"particle(?:_(?P<particle>[0-9]{1,9}))?(?:_grain_(?P<grain>[0-9]{1,9}))?"
    r"|grain_(?P<alone>[0-9]{1,9})"
)
GRAIN_NAMES = "particle, particle_2, grain_7, particle_2_grain_7 (numbers from 1)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """A whole mesh as plain arrays, on one rank. Grain g has the cell tag `FIRST_GRAIN` + g."""

    points: Array  # (k, 3) [m]
    cells: Indices  # (m, 4)
    cell_tags: Tags  # (m,)
    triangles: Indices  # (f, 3) named facets, corners ascending
    facet_tags: Tags  # (f,)
    regions: dict[str, int]
    facets: dict[str, int]
    grain_particle: Tags  # (n_grains,)
    orientations: Array  # (n_grains, 3, 3)
    tessellations: tuple[Statistics, ...] = ()
    warnings: tuple[str, ...] = ()
    open_axes: tuple[int, ...] = ()  # whose sides are named but not periodic


def grain_number(name: str) -> tuple[int, int] | None:
    """Return the particle and the grain, from 1, that a name stands for; None if it is none."""
    if not (match := GRAIN_NAME.fullmatch(name)):
        return None
    number = int(match["particle"] or 1), int(match["grain"] or match["alone"] or 1)
    return number if min(number) > 0 else None


def periodic_axes(named: Collection[str], open_axes: Collection[int]) -> tuple[int, ...]:
    """Return the axes, 0 for x and 1 for y, both sides of which are named, without open ones."""
    pairs = enumerate(OPPOSITE.items())
    return tuple(
        axis
        for axis, (low, high) in pairs
        if low in named and high in named and axis not in open_axes
    )


def grain_numbers(grain_particle: Tags) -> list[tuple[int, int]]:
    """Return the number of the particle of each grain, and its own in that; both from 1."""
    count: Counter[int] = Counter()
    numbers = []
    for particle in grain_particle.tolist():
        count[particle] += 1
        numbers.append((particle + 1, count[particle]))
    return numbers


def grain_names(grain_particle: Tags) -> list[str]:
    """Return the name of each grain in files."""
    return [f"particle_{p}_grain_{grain:02d}" for p, grain in grain_numbers(grain_particle)]


def facets_of(tags: Tags) -> dict[str, int]:
    """Return the facets of some tags; there may be no interface and no grain boundary."""
    present = set(np.unique(tags).tolist())
    always = ("interface", "grain_boundary")
    return {name: tag for name, tag in FACETS.items() if name in always or tag in present}


def volume_tags(parts: Parts) -> dict[str, int]:
    """Return the cell tag of each region, and of each grain by its name in files."""
    names = enumerate(grain_names(parts.grain_particle), start=FIRST_GRAIN)
    return parts.regions | {name: tag for tag, name in names}

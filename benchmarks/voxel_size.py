"""How far extrapolated conductivities are from the truth, and how far they say that they may be.

    python benchmarks/voxel_size.py                    # all sets, ten minutes
    python benchmarks/voxel_size.py --set second       # one of five
    python benchmarks/voxel_size.py --part lattices    # those with exact references, minutes
    python benchmarks/voxel_size.py --read FILE        # the table of what --write FILE has kept

A case is a structure, its conductivities and a contact resistance, on three grids of which each
halves the spacing. Lattices (SC, BCC, FCC) are held against Rayleigh's multipole series; random
packings, loose, with overlaps, of two sizes and phases, or of which only the spheres conduct,
against cut voxels a quarter as large as those of the finest grid. `in it` is the share of the cases
whose truth lies within the limit plus or minus its uncertainty, `width` that uncertainty over the
true error, in the median. Both kinds of voxels are used,
cut by the spheres and whole. The contrasts go from 0 to infinite.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from femssb.packing import Packing
from femssb.voxels import conductivity, cut_voxels, extrapolate, voxelise

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the series that the tests use
from tests.verification.lattices import CENTRES, conductivity_of_lattice

RADII = {"cut": (8, 10, 12, 16), "whole": (16, 20, 24, 32)}  # of the finest grid, in voxels
EDGE = 1e-6  # of a lattice cell, and of a random box [m]
PROVEN = 1e-5  # of each solve


def octant(kind: str, fraction: float) -> tuple[Packing, float]:
    """Return an eighth of the cell of a lattice, of which mirrors make the rest, and the radius."""
    radius = EDGE * (3 * fraction / (4 * math.pi * len(CENTRES[kind]))) ** (1 / 3)
    found = {
        tuple(np.add(centre, shift) - 1)
        for centre in CENTRES[kind]
        for shift in np.ndindex(3, 3, 3)
        if np.all(np.abs(np.add(centre, shift) - 1.25) < 0.25 + radius / EDGE)
    }
    return spheres(np.array(sorted(found)) * EDGE, radius, EDGE / 2, periodic=False), radius


def spheres(
    centres: np.ndarray, radii: Any, side: float, *, phases: Any = 0, periodic: bool = True
) -> Packing:
    """Return spheres of the phases AM and SE in a cube."""
    return Packing(
        positions=centres,
        radii=np.broadcast_to(radii, len(centres)).astype(float),
        phases=np.broadcast_to(phases, len(centres)).astype(int),
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.full(3, side),
        periodic=(periodic,) * 3,
    )


def thrown(seed: int, fraction: float, overlap: float, sizes: tuple[float, ...]) -> Packing:
    """Return 6 spheres at random in a periodic box, any two apart but for a share of the radii."""
    rng = np.random.default_rng(seed)
    relative = np.sort(rng.choice(sizes, 6))[::-1]
    radii = EDGE * relative * (fraction / (4 / 3 * math.pi * np.sum(relative**3))) ** (1 / 3)
    placed: list[np.ndarray] = []
    tries = 0
    while len(placed) < len(radii):
        point = rng.random(3) * EDGE
        away = np.abs(np.array(placed).reshape(-1, 3) - point)
        away = np.linalg.norm(np.minimum(away, EDGE - away), axis=1)
        apart = (1 - overlap) * (radii[: len(placed)] + radii[len(placed)])
        tries += 1
        if np.all(away >= apart):
            placed.append(point)
        elif tries > 20000:
            placed, tries = [], 0
    return spheres(np.array(placed), radii, EDGE, phases=np.arange(len(radii)) % 2)


Mixture = tuple[dict[str, float], float]  # conductivities, contact of the spheres


class Set(NamedTuple):
    """Lattices by share, their ratios and contacts; packings as `thrown` takes them."""

    lattices: list[tuple[str, float]]
    answers: list[tuple[float, float]]
    packings: dict[str, tuple[int, float, float, tuple[float, ...]]]
    mixtures: list[Mixture]


def answers(*ratios: float, contacts: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [*((ratio, 0.0) for ratio in ratios), *contacts]


SETS = {
    "first": Set(
        [("SC", f) for f in (0.2, 0.3, 0.4, 0.5)]
        + [(kind, f) for kind in ("BCC", "FCC") for f in (0.3, 0.5, 0.6)],
        answers(
            0.0,
            1e-6,
            1e-2,
            0.1,
            10.0,
            1e3,
            1e9,
            contacts=[(10.0, 0.1), (10.0, 1.0), (10.0, 10.0), (1.0, 0.5)],
        ),
        {
            "loose": (1, 0.25, 0.0, (1.0,)),
            "dense": (2, 0.45, 0.12, (1.0,)),
            "two sizes": (3, 0.4, 0.1, (1.0, 0.7)),
            "overlapping": (4, 0.85, 0.35, (1.0,)),
            "overlapping, two sizes": (5, 0.75, 0.35, (1.0, 0.7)),
            "dense again": (6, 0.4, 0.1, (1.0,)),
            "overlapping again": (7, 0.8, 0.35, (1.0,)),
        },
        [
            ({"void": 1.0, "AM": 0.0, "SE": 0.0}, 0.0),
            ({"void": 1.0, "AM": 1e-2, "SE": 1e-2}, 0.0),
            ({"void": 1.0, "AM": 0.1, "SE": 0.3}, 0.0),
            ({"void": 1.0, "AM": 10.0, "SE": 10.0}, 0.0),
            ({"void": 1.0, "AM": 1e4, "SE": 0.0}, 0.0),
            ({"void": 1.0, "AM": 10.0, "SE": 10.0}, 0.5),
            ({"void": 0.0, "AM": 1.0, "SE": 1.0}, 0.0),
            ({"void": 0.0, "AM": 0.1, "SE": 1.0}, 0.2),
        ],
    ),
    "second": Set(
        [("SC", f) for f in (0.25, 0.35, 0.45)]
        + [(kind, f) for kind in ("BCC", "FCC") for f in (0.35, 0.45, 0.55)],
        answers(
            1e-9,
            1e-4,
            0.03,
            0.3,
            4.0,
            30.0,
            1e5,
            contacts=[(100.0, 0.03), (3.0, 0.3), (30.0, 3.0), (0.3, 1.0)],
        ),
        {
            "loose": (21, 0.3, 0.02, (1.0, 0.8)),
            "dense": (22, 0.42, 0.1, (1.0,)),
            "overlapping": (23, 0.8, 0.35, (1.0, 0.85)),
            "overlapping again": (24, 0.75, 0.3, (1.0,)),
        },
        [
            ({"void": 1.0, "AM": 1e-4, "SE": 1e-9}, 0.0),
            ({"void": 1.0, "AM": 0.3, "SE": 0.03}, 0.0),
            ({"void": 1.0, "AM": 3.0, "SE": 30.0}, 0.0),
            ({"void": 1.0, "AM": 300.0, "SE": 0.0}, 0.0),
            ({"void": 1.0, "AM": 30.0, "SE": 3.0}, 0.2),
            ({"void": 0.0, "AM": 1.0, "SE": 0.5}, 0.0),
            ({"void": 0.0, "AM": 1.0, "SE": 0.03}, 0.5),
        ],
    ),
    "third": Set(
        [("SC", f) for f in (0.22, 0.38, 0.48)]
        + [("BCC", f) for f in (0.33, 0.43, 0.48, 0.58)]
        + [("FCC", f) for f in (0.38, 0.43, 0.53)],
        answers(1e-7, 0.02, 0.4, 3.0, 25.0, 1e8, contacts=[(12.0, 0.25), (40.0, 4.0), (0.6, 0.6)]),
        {
            "dense": (43, 0.4, 0.1, (1.0,)),
            "overlapping": (44, 0.78, 0.35, (1.0,)),
            "loose": (45, 0.35, 0.05, (1.0, 0.75)),
            "overlapping, two sizes": (46, 0.7, 0.3, (1.0, 0.8)),
            "dense again": (47, 0.5, 0.15, (1.0,)),
        },
        [
            ({"void": 1.0, "AM": 0.0, "SE": 0.02}, 0.0),
            ({"void": 1.0, "AM": 5.0, "SE": 0.2}, 0.0),
            ({"void": 1.0, "AM": 100.0, "SE": 100.0}, 0.3),
            ({"void": 0.0, "AM": 1.0, "SE": 0.3}, 0.1),
            ({"void": 1.0, "AM": 0.0, "SE": 0.0}, 0.0),
            ({"void": 0.0, "AM": 1.0, "SE": 1.0}, 0.0),
        ],
    ),
    "fourth": Set(
        [("SC", f) for f in (0.28, 0.42)]
        + [("BCC", f) for f in (0.38, 0.52)]
        + [("FCC", f) for f in (0.36, 0.57)],
        answers(
            *(1e-5, 0.05, 0.5, 2.5, 18.0, 1e7), contacts=[(15.0, 0.2), (60.0, 5.0), (0.7, 0.7)]
        ),
        {"dense": (53, 0.42, 0.12, (1.0,))},
        [
            ({"void": 1.0, "AM": 0.0, "SE": 0.05}, 0.0),
            ({"void": 1.0, "AM": 4.0, "SE": 0.1}, 0.0),
            ({"void": 1.0, "AM": 60.0, "SE": 60.0}, 0.4),
            ({"void": 0.0, "AM": 1.0, "SE": 0.4}, 0.15),
        ],
    ),
    "fifth": Set(
        [("SC", f) for f in (0.26, 0.46)]
        + [("BCC", f) for f in (0.31, 0.56)]
        + [("FCC", f) for f in (0.33, 0.51)],
        answers(1e-3, 0.2, 6.0, 100.0, 1e6, contacts=[(8.0, 0.15), (50.0, 2.0), (2.0, 1.0)]),
        {
            "dense": (61, 0.4, 0.08, (1.0,)),
            "overlapping": (62, 0.77, 0.33, (1.0, 0.9)),
            "loose": (63, 0.32, 0.03, (1.0, 0.7)),
        },
        [
            ({"void": 1.0, "AM": 0.0, "SE": 0.0}, 0.0),
            ({"void": 1.0, "AM": 0.01, "SE": 0.5}, 0.0),
            ({"void": 1.0, "AM": 20.0, "SE": 2.0}, 0.0),
            ({"void": 1.0, "AM": 1e3, "SE": 1e3}, 0.0),
            ({"void": 1.0, "AM": 5.0, "SE": 50.0}, 0.3),
            ({"void": 0.0, "AM": 1.0, "SE": 0.2}, 0.1),
        ],
    ),
}


def solved(kind: str, packing: Packing, spacing: float, given: list[Any]) -> list[Any]:
    """Return the results of several mixtures on one grid."""
    make = cut_voxels if kind == "cut" else voxelise
    voxels = make(packing, spacing=spacing)
    present = {name: share for name, share in voxels.fractions().items() if share > 0}
    return [
        conductivity(
            voxels,
            {name: value for name, value in sigma.items() if name in present},
            contact_resistance=contacts,
            tolerance=PROVEN,
        )
        for sigma, contacts in given
    ]


def lattice_cases(
    lattices: list[tuple[str, float]], answers: list[tuple[float, float]]
) -> Iterator[dict[str, Any]]:
    """Yield the cases of lattices, each with all ratios of conductivity and contacts."""
    for n, (lattice, fraction) in enumerate(lattices):
        packing, radius = octant(lattice, fraction)
        for kind, radii in RADII.items():
            finest = EDGE / 2 / (4 * max(1, round(EDGE / 2 * radii[n % 4] / radius / 4)))
            given = [
                (
                    {"void": 1.0, "AM": ratio},
                    {("AM", "void"): resistance * radius} if resistance else None,
                )
                for ratio, resistance in answers
            ]
            grids = [solved(kind, packing, finest * 2**step, given) for step in (2, 1, 0)]
            for m, (ratio, resistance) in enumerate(answers):
                yield {
                    "case": f"{lattice} {fraction}, {ratio:g}, {resistance:g}",
                    "kind": kind,
                    "conductivities": given[m][0],
                    "values": [grid[m].value for grid in grids],
                    "sizes": [grid[m].spacing[0] for grid in grids],
                    "exact": conductivity_of_lattice(lattice, fraction, ratio, resistance),
                    "radius": radius / finest,
                }


def random_cases(
    packings: dict[str, tuple[int, float, float, tuple[float, ...]]],
    mixtures: list[Mixture],
) -> Iterator[dict[str, Any]]:
    """Yield the cases of random packings, each with all mixtures of conductivities."""
    for n, (name, recipe) in enumerate(packings.items()):
        packing = thrown(*recipe)
        smallest = float(packing.radii.min())
        given = [
            (
                sigma,
                {
                    (one, other): resistance * smallest
                    for one, other in (("AM", "void"), ("SE", "void"), ("AM", "SE"))
                }
                if resistance
                else None,
            )
            for sigma, resistance in mixtures
        ]
        finest = EDGE / (28, 24, 32)[n % 3]
        exact = solved("cut", packing, finest / 4, given)
        half = solved("cut", packing, finest / 2, given)  # the reference's own error is a tenth
        for kind in RADII:
            edge = finest if kind == "cut" else finest / 2
            grids = [solved(kind, packing, edge * 2**step, given) for step in (2, 1, 0)]
            for m, (sigma, resistance) in enumerate(mixtures):
                fine = exact[m].value
                yield {
                    "case": f"{name}, {list(sigma.values())}, {resistance:g}",
                    "kind": kind,
                    "conductivities": given[m][0],
                    "values": [grid[m].value for grid in grids],
                    "sizes": [grid[m].spacing[0] for grid in grids],
                    "exact": fine + (fine - half[m].value) / 2,
                    "radius": smallest / edge,
                }


def estimates(cases: list[dict[str, Any]]) -> np.ndarray:
    """Return the errors of the finest image and of the limit, and what is claimed of the latter.

    Relative to the truth, a row for each case; NaN where nothing is claimed.
    """
    block = voxelise(spheres(np.full((1, 3), EDGE / 2), EDGE / 4, EDGE), spacing=EDGE / 2)
    known = conductivity(block, {"void": 1.0})  # made to hold what was found
    rows = []
    for case in cases:
        limit = extrapolate(
            [
                replace(
                    known,
                    value=value,
                    error=0.0,
                    spacing=(size,) * 3,
                    voxels=case["kind"],
                    conductivities=case["conductivities"],
                )
                for value, size in zip(case["values"], case["sizes"], strict=True)
            ]
        )
        exact = case["exact"]
        off = abs(case["values"][-1] / exact - 1), abs(limit.value / exact - 1)
        rows.append((*off, limit.uncertainty / exact))
    return np.array(rows)


def table(cases: list[dict[str, Any]]) -> None:
    """Print how good the limits and what is said of their errors are, for each kind of voxels."""
    print(
        "| voxels | cases | estimated | finest: median error, 90 % | limit: same | in it | width |"
    )
    print("|---" * 7 + "|")
    for kind in (*RADII, "all"):
        chosen = [case for case in cases if case["exact"] > 0 and kind in (case["kind"], "all")]
        found = estimates(chosen)
        found = found[~np.isnan(found[:, 2])]
        finest, errors, claims = found.T
        shown = " | ".join(
            f"{100 * np.median(one):.2f} %, {100 * np.quantile(one, 0.9):.2f} %"
            for one in (finest, errors)
        )
        print(
            f"| {kind} | {len(chosen)} | {len(found)} | {shown} | "
            f"{100 * np.mean(errors <= claims):.1f} % | {np.median(claims / errors):.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=["lattices", "random", "all"], default="all")
    parser.add_argument("--set", choices=[*SETS, "all"], default="all")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--read", type=Path)
    given = parser.parse_args()
    if given.read:
        cases = [json.loads(line) for line in given.read.read_text().splitlines()]
    else:
        cases = []
        start = time.process_time()
        for name, chosen in SETS.items():
            if given.set not in (name, "all"):
                continue
            makers = {
                "lattices": lattice_cases(chosen.lattices, chosen.answers),
                "random": random_cases(chosen.packings, chosen.mixtures),
            }
            for part, maker in makers.items():
                for case in maker if given.part in (part, "all") else ():
                    cases.append(case)
                    if given.write:
                        with given.write.open("a") as file:
                            file.write(json.dumps(case) + "\n")
        print(f"{len(cases)} cases, {time.process_time() - start:.0f} CPU s")
    table(cases)


if __name__ == "__main__":
    main()

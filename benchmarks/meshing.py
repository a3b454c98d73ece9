"""Robustness and speed of meshing: many seeds, grain counts and sizes, in one table.

    python benchmarks/meshing.py --seeds 30 --grains 1 10 53 100 --size 0.8 0.5

A seed is good if the half-cell meshes, no tetrahedron has a gamma below 0.02, and every region has
its exact volume within 0.5 %.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from femssb import HalfCell, MeshError, Polycrystal
from femssb.grains import tessellate
from femssb.meshing import describe, mesh
from femssb.units import um

COLUMNS = (
    "grains   h/um   seeds ok   retries   CPU s (worst)   wall s   tetrahedra        "
    "min gamma   region %   grain % (rms, worst)"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--grains", type=int, nargs="+", default=[1, 10, 53, 100])
    parser.add_argument("--size", type=float, nargs="+", default=[0.8, 0.5], help="um")
    parser.add_argument("--spread", type=float, default=0.2)
    options = parser.parse_args()
    print(COLUMNS)
    for size in options.size:
        for grains in options.grains:
            print(row(grains, size, options.seeds, options.spread), flush=True)


def row(grains: int, size: float, seeds: int, spread: float) -> str:
    """Mesh the default half-cell with many seeds and return one line of the table."""
    good, retries = 0, 0
    times, walls, counts, qualities, region_errors, grain_errors = [], [], [], [], [], []
    for seed in range(1, seeds + 1):
        particle = Polycrystal(grains=grains, seed=seed, size_spread=spread)
        cell = HalfCell(particles=(particle,))
        start, begin = time.process_time(), time.perf_counter()
        try:
            data = mesh(cell, size=size * um)
        except MeshError as error:
            print(f"seed {seed}: {error}")
            continue
        times.append(time.process_time() - start)
        walls.append(time.perf_counter() - begin)
        summary = describe(data)
        attempt = data.tessellations[0].attempt
        retries += attempt
        ball = 4 / 3 * np.pi * particle.radius**3
        found = np.array(
            [region.volume for name, region in summary.regions.items() if "grain" in name]
        )
        exact = tessellate(particle, attempt=attempt).volumes
        errors = [
            found.sum() / ball - 1,
            summary.regions["ecbd"].volume / (cell.width**2 * cell.cathode - ball) - 1,
            summary.regions["electrolyte"].volume / (cell.width**2 * cell.separator) - 1,
        ]
        region_errors.append(np.abs(errors).max())
        grain_errors.append(found / exact - 1)
        qualities.append(summary.smallest_gamma)
        counts.append(summary.cells)
        good += summary.smallest_gamma >= 0.02 and region_errors[-1] < 0.005
    every = np.concatenate(grain_errors)
    return (
        f"{grains:6d} {size:6.2f} {good:6d}/{seeds:<3d} {retries:8d} "
        f"{np.median(times):8.1f} ({max(times):.1f}) {np.median(walls):8.1f} "
        f"{min(counts):9d} to {max(counts):<7d} "
        f"{min(qualities):10.3f} {100 * max(region_errors):12.1e} "
        f"{100 * np.sqrt((every**2).mean()):10.2f}, {100 * np.abs(every).max():.2f}"
    )


if __name__ == "__main__":
    main()

"""Cost of the coupled half-cell: mesh sizes, ranks and linear solvers side by side, in one table.

    python benchmarks/half_cell.py                        # the whole 1C charge: takes long
    python benchmarks/half_cell.py --size 1.2 --until 60  # a quick look
    python benchmarks/half_cell.py --particles 10 50 200 --size 1.2 --variant automatic

Every row is a run of its own, one after the other, under the mpirun of this environment. The cell
holds the particle of the paper, or as many as asked, of 4 um, placed by `pack_spheres` and apart.
The variants: ``automatic`` is what a model chooses for each of its problems; ``direct`` keeps a
factorisation until it has aged, ``plain`` factors again in each Newton iteration, ``incomplete``
and ``multigrid`` are the others. The last column is the time of the plain variant, on the same mesh
and ranks, over that of the row. The time is the processors', of all ranks, for the simulation
without the mesh and the model; the memory is the peak of all ranks together, with everything;
iterations are those of the accepted steps;
failed steps did not converge, repeated ones were too large for their error; factorisations (or
set-ups) are all there were.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from processes import result_of

if TYPE_CHECKING:
    from femssb import HalfCell

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"method": "direct", "refactor_after": 0},
    "automatic": {},
    "direct": {"method": "direct"},
    "incomplete": {"method": "incomplete"},
    "multigrid": {"method": "multigrid"},
}
COLUMNS = (
    "particles  size/um  tetrahedra  unknowns  ranks  variant       cpu/s  steps  failed  "
    "repeated  s/step  Newton  Krylov  factor.  memory/GB  plain/this"
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--particles", type=int, nargs="+", default=[1])
    parser.add_argument("--size", type=float, nargs="+", default=[1.2, 0.8, 0.5], help="um")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--variant", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--until", type=float, default=None, help="s of charge; default: to 4.3 V")
    parser.add_argument("--case", action="store_true", help=argparse.SUPPRESS)  # one row, as JSON
    options = parser.parse_args()
    if options.case:
        run(options.particles[0], options.size[0], options.variant[0], options.until)
        return
    print(COLUMNS)
    cases = itertools.product(options.particles, options.size, options.ranks)
    for particles, size, ranks in cases:
        plain = None
        for variant in sorted(options.variant, key=list(VARIANTS).index):
            found = start(particles, size, ranks, variant, options.until)
            if variant == "plain":
                plain = found["cpu"]
            print(line(found, particles, size, ranks, variant, plain), flush=True)


def start(
    particles: int, size: float, ranks: int, variant: str, until: float | None
) -> dict[str, Any]:
    """Start one case in processes of its own and return what it measured."""
    arguments = ["--case", "--particles", str(particles), "--size", str(size)]
    arguments += ["--variant", variant]
    if until is not None:
        arguments += ["--until", str(until)]
    return result_of(__file__, arguments, ranks)


def cell(particles: int) -> HalfCell:
    """Return the cell of the paper, or one with many smaller particles, apart from each other."""
    from femssb import HalfCell, Polycrystal
    from femssb.packing import ListedSizes, pack_spheres
    from femssb.units import um

    if particles == 1:
        return HalfCell()
    diameter, fraction = 5 * um, 0.4
    edge = (particles * np.pi / 6 * diameter**3 / fraction) ** (1 / 3)
    packed = pack_spheres(
        ListedSizes(diameters=(diameter,)),
        fraction=fraction,
        lengths=(edge,) * 3,
        periodic=(False,) * 3,
    )
    centres = packed.positions - [edge / 2, edge / 2, 0.0]
    return HalfCell(
        width=edge,
        cathode=edge,
        separator=5 * um,
        particles=tuple(
            Polycrystal(radius=0.8 * radius, grains=4, seed=seed, centre=tuple(map(float, centre)))
            for seed, (radius, centre) in enumerate(
                zip(map(float, packed.radii), centres, strict=True), start=1
            )
        ),
    )


def run(particles: int, size: float, variant: str, until: float | None) -> None:
    """Run one case and print, on rank 0, what it took."""
    from femssb import Charge, LinearSolver, Model, Simulation, library, mesh
    from femssb.units import um

    model = Model(
        mesh(cell(particles), size=size * um),
        library.yuan2023.materials(),
        linear_solver=LinearSolver(**VARIANTS[variant]),
    )
    charge = Charge(c_rate=1.0, until_voltage=4.3, until_duration=until)
    before = time.process_time()
    solution = Simulation(model, [charge]).run(progress=False)
    cpu = model.comm.allreduce(time.process_time() - before)
    inputs = model.inputs()
    if model.comm.rank == 0:
        performance, series = solution.performance, solution.series
        found = {
            "cells": inputs["cells"],
            "unknowns": sum(inputs["unknowns"].values()),
            "cpu": cpu,
            "steps": len(series["Time [s]"]) - 1,
            "failed": performance["failed_steps"],
            "repeated": performance["rejected_steps"] - performance["failed_steps"],
            "newton": int(series["Newton iterations"].sum()),
            "krylov": int(series["Linear iterations"].sum()),
            "factorisations": performance["factorisations"],
            "memory": performance["peak_memory"],
        }
        print(json.dumps(found), flush=True)


def line(
    found: dict[str, Any],
    particles: int,
    size: float,
    ranks: int,
    variant: str,
    plain: float | None,
) -> str:
    """Return one line of the table."""
    ratio = f"{plain / found['cpu']:10.2f}" if plain is not None else f"{'-':>10}"
    return (
        f"{particles:9d}  {size:7.2f}  {found['cells']:10d}  {found['unknowns']:8d}  {ranks:5d}  "
        f"{variant:10s}  {found['cpu']:7.1f}  {found['steps']:5d}  {found['failed']:6d}  "
        f"{found['repeated']:8d}  {found['cpu'] / found['steps']:6.3f}  {found['newton']:6d}  "
        f"{found['krylov']:6d}  {found['factorisations']:7d}  {found['memory'] / 1e9:9.2f}  {ratio}"
    )


if __name__ == "__main__":
    main()

"""Cost of the coupled half-cell: mesh sizes, ranks and linear solvers side by side, in one table.

    python benchmarks/half_cell.py                        # the whole 1C charge: takes long
    python benchmarks/half_cell.py --size 1.2 --until 60  # a quick look

Every row is a run of its own, one after the other, under the mpirun of this environment. The
variants: ``direct`` keeps a factorisation until it has aged, ``plain`` factors again in each Newton
iteration, ``iterative`` is multigrid; a model chooses between the first and the last by its size,
unless asked. The last column is the wall time of the plain
variant, on the same mesh and ranks, over that of the row. The time is that of
the simulation, without the mesh and the model; the memory is the peak of all ranks together, with
everything; iterations are those of the accepted steps, factorisations (or set-ups) all there were.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from processes import result_of

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"method": "direct", "refactor_after": 0},
    "direct": {"method": "direct"},
    "iterative": {"method": "iterative"},
}
COLUMNS = (
    "size/um  tetrahedra  unknowns  ranks  variant    wall/s  steps  s/step  Newton  Krylov  "
    "factor.  memory/GB  plain/this"
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=float, nargs="+", default=[1.2, 0.8, 0.5], help="um")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--variant", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--until", type=float, default=None, help="s of charge; default: to 4.3 V")
    parser.add_argument("--case", action="store_true", help=argparse.SUPPRESS)  # one row, as JSON
    options = parser.parse_args()
    if options.case:
        run(options.size[0], options.variant[0], options.until)
        return
    print(COLUMNS)
    for size in options.size:
        for ranks in options.ranks:
            plain = None
            for variant in sorted(options.variant, key=list(VARIANTS).index):
                found = start(size, ranks, variant, options.until)
                if variant == "plain":
                    plain = found["wall"]
                print(line(found, size, ranks, variant, plain), flush=True)


def start(size: float, ranks: int, variant: str, until: float | None) -> dict[str, Any]:
    """Start one case in processes of its own and return what it measured."""
    arguments = ["--case", "--size", str(size), "--variant", variant]
    if until is not None:
        arguments += ["--until", str(until)]
    return result_of(__file__, arguments, ranks)


def run(size: float, variant: str, until: float | None) -> None:
    """Run one case and print, on rank 0, what it took."""
    from femssb import Charge, HalfCell, LinearSolver, Model, Simulation, library, mesh
    from femssb.units import um

    model = Model(
        mesh(HalfCell(), size=size * um),
        library.yuan2023.materials(),
        linear_solver=LinearSolver(**VARIANTS[variant]),
    )
    charge = Charge(c_rate=1.0, until_voltage=4.3, until_duration=until)
    solution = Simulation(model, [charge]).run(progress=False)
    inputs = model.inputs()
    if model.comm.rank == 0:
        performance, series = solution.performance, solution.series
        found = {
            "cells": inputs["cells"],
            "unknowns": sum(inputs["unknowns"].values()),
            "wall": performance["wall_time"],
            "steps": len(series["Time [s]"]) - 1,
            "newton": int(series["Newton iterations"].sum()),
            "krylov": int(series["Linear iterations"].sum()),
            "factorisations": performance["factorisations"],
            "memory": performance["peak_memory"],
        }
        print(json.dumps(found), flush=True)


def line(found: dict[str, Any], size: float, ranks: int, variant: str, plain: float | None) -> str:
    """Return one line of the table."""
    ratio = f"{plain / found['wall']:10.2f}" if plain is not None else f"{'-':>10}"
    return (
        f"{size:7.2f}  {found['cells']:10d}  {found['unknowns']:8d}  {ranks:5d}  {variant:9s}  "
        f"{found['wall']:6.1f}  {found['steps']:5d}  {found['wall'] / found['steps']:6.3f}  "
        f"{found['newton']:6d}  {found['krylov']:6d}  {found['factorisations']:7d}  "
        f"{found['memory'] / 1e9:9.2f}  {ratio}"
    )


if __name__ == "__main__":
    main()

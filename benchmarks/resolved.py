"""What cells of many pressed particles cost: a whole cycle at 1C with debonding on two ranks.

    python benchmarks/resolved.py                          # 10, 50 and 200 particles: 20 minutes
    python benchmarks/resolved.py --particles 10 --ranks 1 2
    python benchmarks/resolved.py --profile                # also where the time goes
    python benchmarks/resolved.py --write FILE             # keeps the rows as JSON, one a line

The packings, materials and mesh are those of `demos/resolved_cell.py`, with carbon in the matrix.
Every row is a run of its own, under the mpirun of this environment. Times are wall seconds, of the
press, the mesh and the cycle, and the processors' seconds of all ranks in the cycle; memory is the
peak of all ranks together. Krylov iterations are those of both problems for each Newton iteration
of both; `ledger` is the larger error of the balances of lithium and of power. `--profile` also says
where the processor time of the first rank goes, by function; it takes some milliseconds a Newton
iteration, a fifth of the time of ten particles, a tenth of that of fifty.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import sys
import time
from pathlib import Path
from typing import Any

from processes import GROUPS, effort, grouped, result_of

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the demo

HEAD = (
    "| particles | ranks | tetrahedra | unknowns | press [s] | mesh [s] | cycle [s] | CPU [s] "
    "| steps + failed | Newton | Krylov/Newton | GB | ledger | debonded |"
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--particles", type=int, nargs="+", default=[10, 50, 200])
    parser.add_argument("--ranks", type=int, nargs="+", default=[2])
    parser.add_argument("--profile", action="store_true", help="by function")
    parser.add_argument("--write", type=Path, help="file for the rows")
    parser.add_argument("--case", action="store_true", help=argparse.SUPPRESS)  # one row, as JSON
    given = parser.parse_args()
    if given.case:
        run(given.particles[0], given.profile)
        return
    print(HEAD)
    print("|---" * HEAD.count(" |") + "|")
    rows = []
    for particles in given.particles:
        for ranks in given.ranks:
            case = ["--case", "--particles", str(particles)] + ["--profile"] * given.profile
            row = result_of(__file__, case, ranks)
            rows.append(row | {"ranks": ranks})
            print(line(rows[-1]), flush=True)
            if given.write is not None:
                with given.write.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    if given.profile:
        print(f"\n| particles | ranks | {' | '.join((*GROUPS, 'the rest'))} |")
        for row in rows:
            total = sum(row["shares"].values())
            shares = " | ".join(f"{100 * part / total:.0f} %" for part in row["shares"].values())
            print(f"| {row['found']} | {row['ranks']} | {shares} |")
    few, many = rows[0], rows[-1]
    grown = (many["krylov"] / many["newton"]) / (few["krylov"] / few["newton"])
    print(
        f"\nfrom {few['found']} to {many['found']} particles, Krylov iterations of a Newton "
        f"iteration grow {grown:.2f} times"
    )


def run(particles: int, profile: bool) -> None:
    """Press, mesh and cycle, and print, on rank 0, what it took."""
    import femssb
    from demos.resolved_cell import RAILS, SOLIDS, materials, pressed
    from femssb import Charge, Discharge, Model, Pressure, ResolvedCell, Simulation, Stepping
    from femssb.electrode import effective
    from femssb.units import MPa, um

    marks = [time.perf_counter()]
    packing = pressed(particles, 375 * MPa, 1, None)
    marks.append(time.perf_counter())
    cell = ResolvedCell.from_packing(packing, electrons="matrix", seed=1)
    data = femssb.mesh(cell, size=3 * um, far_size=6 * um)
    marks.append(time.perf_counter())
    ions, elastic = SOLIDS["SE"].ionic_conductivity, {"SE": SOLIDS["SE"].elasticity}
    rails = {"ionic": {"SE": ions}, "electronic": RAILS["matrix"]}
    electrode = effective(packing, elasticity=elastic, spacing=0.6 * um, **rails)
    matrix = electrode.conductor(data, materials("matrix", 3 * um)).materials
    model = Model(data, matrix, anode=Pressure(pressure=5 * MPa))
    cycle = Charge(c_rate=1, until_voltage=4.3), Discharge(c_rate=1, until_voltage=3)
    wall, cpu = time.perf_counter(), time.process_time()
    profiler = cProfile.Profile(time.process_time)
    if profile:
        profiler.enable()
    solution = Simulation(model, cycle, stepping=Stepping(jump_error=0.015)).run()
    profiler.disable()
    cpu = model.comm.allreduce(time.process_time() - cpu)
    wall = time.perf_counter() - wall
    if model.comm.rank == 0:
        summary = solution.summary
        found: dict[str, Any] = {
            "found": len(cell.particles),
            "press": marks[1] - marks[0],
            "mesh": marks[2] - marks[1],
            "wall": wall,
            "cpu": cpu,
            **effort(solution),
            "ledger": max(summary["ledger_error"], summary["power_ledger_error"]),
            "debonded": summary["debonded_fraction_charge_end"],
        }
        if profile:
            found["shares"] = grouped(profiler)
        print(json.dumps(found), flush=True)


def line(row: dict[str, Any]) -> str:
    """Return one line of the table."""
    return (
        f"| {row['found']} | {row['ranks']} | {row['cells']} | {row['unknowns']} "
        f"| {row['press']:.1f} | {row['mesh']:.1f} | {row['wall']:.1f} | {row['cpu']:.1f} "
        f"| {row['steps']} + {row['failed']} | {row['newton']} "
        f"| {row['krylov'] / row['newton']:.1f} | {row['memory']:.2f} | {row['ledger']:.0e} "
        f"| {100 * row['debonded']:.0f} % |"
    )


if __name__ == "__main__":
    main()

"""What the coupled half-cell costs: against an older release, by size, by ranks, by solver.

    python benchmarks/half_cell.py                                # all parts: two hours
    python benchmarks/half_cell.py --part solvers --size 1.2 --until 60   # a quick look
    python benchmarks/half_cell.py --part release --release ../femssb-0.3   # a checkout of it
    python benchmarks/half_cell.py --part growth --plot docs/cost_of_unknowns.png
    python benchmarks/half_cell.py --rows FILE   # keeps each row, and does not run it again

Every row is a run of its own, one after the other, under the mpirun of this environment. The cell
holds the particle of the paper, or as many as asked, of 4 um, placed by `pack_spheres` and apart;
it is charged at 1C to 4.3 V, in `release` also discharged. The parts:

- ``release``: the default cycle by an older release and by this one, by this one also on coarser
  meshes, and what they say;
- ``growth``: one particle in finer and finer meshes, and 10, 50 and 200 particles; seconds for each
  step against unknowns;
- ``shares``: where the time goes, by function, on one rank and on two;
- ``ranks``: the same charge on more and more ranks, also on more than there are cores;
- ``solvers``: linear solvers. ``automatic`` is what a model chooses for each of its problems;
  ``direct`` keeps a factorisation until it has aged, ``plain`` factors again in each Newton
  iteration, ``incomplete`` and ``multigrid`` are the others.

The time is the processors', of all ranks, for the simulation without the mesh and the model; the
memory is the peak of all ranks together, with everything; iterations are those of the accepted
steps; failed steps did not converge, repeated ones were too large for their error. Krylov
iterations are those of both problems for each Newton iteration of both.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from processes import GROUPS, effort, grouped, result_of

if TYPE_CHECKING:
    from femssb import HalfCell

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"method": "direct", "refactor_after": 0},
    "automatic": {},
    "direct": {"method": "direct"},
    "incomplete": {"method": "incomplete"},
    "multigrid": {"method": "multigrid"},
}
GROWTH = [(1, 1.2), (1, 0.8), (1, 0.5), (1, 0.34), (1, 0.207), (10, 1.2), (50, 1.2), (200, 1.2)]
COLUMNS = (
    "particles  size/um  tetrahedra  unknowns  ranks  solver        cpu/s  wall/s  steps  failed  "
    "repeated  s/step  Newton  Krylov/Newton  set-ups  memory/GB"
)
ANSWERS = {  # of a row, and their units
    "charge": "s",
    "mean gap": "nm",
    "largest gap": "nm",
    "99 % von Mises": "GPa",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = {
        "release": release,
        "growth": growth,
        "shares": shares,
        "ranks": ranks,
        "solvers": solvers,
    }
    parser.add_argument("--part", default="all", choices=("all", *parts))
    parser.add_argument("--particles", type=int, nargs="+", default=[1], help="of `solvers`")
    parser.add_argument("--size", type=float, nargs="+", default=[1.2, 0.8, 0.5], help="um")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--variant", nargs="+", default=["automatic"], choices=list(VARIANTS))
    parser.add_argument("--until", type=float, default=None, help="s of charge; default: to 4.3 V")
    parser.add_argument("--release", type=Path, help="checkout of an older release")
    parser.add_argument("--plot", type=Path, help="figure of `growth`")
    parser.add_argument("--rows", type=Path, help="file in which rows are kept, one a line")
    parser.add_argument("--cycle", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--profile", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--case", action="store_true", help=argparse.SUPPRESS)  # one row, as JSON
    options = parser.parse_args()
    if options.case:
        run(options)
        return
    for name, part in parts.items():
        if options.part in (name, "all"):
            print(f"\n{name}\n")
            part(options)


def start(
    particles: int,
    size: float,
    on: int,
    variant: str,
    options: argparse.Namespace,
    *more: str,
    package: Path | None = None,
) -> dict[str, Any]:
    """Return what one case measures in processes of its own, or what is known of it.

    Args:
        particles: In the cell.
        size: Of the mesh [um].
        on: Number of ranks.
        variant: Of the linear solver.
        options: As given.
        more: Further arguments of the case.
        package: Checkout of the package that runs it; None for this one.
    """
    arguments = ["--case", "--particles", str(particles), "--size", str(size), *more]
    arguments += ["--variant", variant]
    if options.until is not None:
        arguments += ["--until", str(options.until)]
    case = {"of": f"{on} {package or 'this'} {' '.join(arguments)}"}
    if options.rows is not None and options.rows.exists():
        for known in map(json.loads, options.rows.read_text().splitlines()):
            if known["of"] == case["of"]:
                return dict(known)
    found = result_of(__file__, arguments, on, package)
    row = {"particles": particles, "size": size, "ranks": on, "solver": variant, **found}
    if options.rows is not None:
        with options.rows.open("a") as file:
            file.write(json.dumps(case | row) + "\n")
    return row


def release(options: argparse.Namespace) -> None:
    """Print the default cycle, 47 000 tetrahedra on two ranks, by an older release and by this.

    By this one also on coarser meshes: which of them is as near to the finest charge of `growth`?
    """
    if options.release is None:
        print("no checkout of an older release was given")
        return
    print(COLUMNS)
    rows = {}
    ours = [(size, None) for size in (0.5, 0.65, 0.8, 1.2)]
    for size, package in [(0.5, options.release), *ours]:
        name = f"{'this' if package is None else 'older'} at {size:g} um"
        rows[name] = start(1, size, 2, "automatic", options, "--cycle", package=package)
        print(line(rows[name] | {"solver": name.split()[0]}), flush=True)
    print()
    older = rows["older at 0.5 um"]["cpu"]
    for name, row in rows.items():
        print(f"CPU time of older at 0.5 um over that of {name}: {older / row['cpu']:.2f}")
    answers(rows)


def growth(options: argparse.Namespace) -> None:
    """Print seconds for each step against unknowns on two ranks, the exponent, and draw both."""
    print(COLUMNS)
    rows = []
    for particles, size in GROWTH:
        rows.append(start(particles, size, 2, "automatic", options))
        print(line(rows[-1]), flush=True)
    single = [row for row in rows if row["particles"] == 1]
    many = [row for row in rows if row["particles"] > 1]
    exponents = {}
    for name, chosen in {"one particle": single, "many": many}.items():
        x, y = (np.log([row[key] for row in chosen]) for key in ("unknowns", "per step"))
        exponents[name] = float(np.polyfit(x, y, 1)[0])
        print(f"{name}: CPU seconds a step grow as unknowns to the {exponents[name]:.2f}")
    if options.plot is not None:
        draw({"one particle": single, "many": many}, exponents, options.plot)


def draw(rows: dict[str, list[dict[str, Any]]], exponents: dict[str, float], path: Path) -> None:
    """Draw seconds for each step, and Krylov iterations, against unknowns."""
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for (name, chosen), mark in zip(rows.items(), "os", strict=True):
        unknowns = [row["unknowns"] for row in chosen]
        label = f"{name}: exponent {exponents[name]:.2f}"
        left.loglog(unknowns, [row["per step"] for row in chosen], mark + "-", label=label)
        krylov = [row["krylov"] / row["newton"] for row in chosen]
        right.semilogx(unknowns, krylov, mark + "-", label=name)
    left.set(xlabel="Unknowns", ylabel="CPU time of a step [s]")
    right.set(xlabel="Unknowns", ylabel="Krylov iterations of a Newton iteration", ylim=(0, None))
    left.legend(frameon=False)
    right.legend(frameon=False)
    figure.savefig(path, dpi=150)


def shares(options: argparse.Namespace) -> None:
    """Print where the time of the first rank goes, and what does not scale."""
    print(f"ranks  {'  '.join(f'{name:>13}' for name in (*GROUPS, 'the rest'))}   cpu/s of a rank")
    spent = {}
    for on in (1, 2):
        found = start(1, 0.5, on, "automatic", options, "--profile")
        groups, spent[on] = found["shares"], found["cpu"] / on
        total = sum(groups.values())
        cells = "  ".join(f"{100 * share / total:11.1f} %" for share in groups.values())
        print(f"{on:5d}  {cells}   {spent[on]:.1f}", flush=True)
    serial = max(2 * spent[2] / spent[1] - 1, 0.0)
    print(f"\nwhat does not scale, by Amdahl's law: {100 * serial:.1f} %")
    for on in (8, 40):
        print(f"  then {on} ranks are {1 / (serial + (1 - serial) / on):.1f} times as fast as one")


def ranks(options: argparse.Namespace) -> None:
    """Print the same charge on more and more ranks."""
    print(COLUMNS)
    rows = {}
    for on in (1, 2, 8):
        rows[f"{on} ranks"] = start(1, 0.8, on, "automatic", options)
        print(line(rows[f"{on} ranks"]), flush=True)
    answers(rows)


def solvers(options: argparse.Namespace) -> None:
    """Print the linear solvers side by side."""
    print(COLUMNS)
    cases = itertools.product(options.particles, options.size, options.ranks, options.variant)
    for particles, size, on, variant in cases:
        print(line(start(particles, size, on, variant, options)), flush=True)


def answers(rows: dict[str, dict[str, Any]]) -> None:
    """Print what runs say, side by side."""
    print()
    for name, row in rows.items():
        said = ", ".join(f"{key} {row['answers'][key]:.5g} {unit}" for key, unit in ANSWERS.items())
        print(f"{name}: {said}")


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
            Polycrystal(radius=0.8 * radius, grains=4, seed=seed, centre=(x, y, z))
            for seed, (radius, (x, y, z)) in enumerate(
                zip(packed.radii.tolist(), centres.tolist(), strict=True), start=1
            )
        ),
    )


def run(options: argparse.Namespace) -> None:
    """Run one case and print, on rank 0, what it took and what it says."""
    from femssb import Charge, Discharge, LinearSolver, Model, Simulation, library, mesh
    from femssb.units import GPa, nm, um

    model = Model(
        mesh(cell(options.particles[0]), size=options.size[0] * um),
        library.yuan2023.materials(),
        linear_solver=LinearSolver(**VARIANTS[options.variant[0]]),
    )
    protocol: list[Any] = [Charge(c_rate=1.0, until_voltage=4.3, until_duration=options.until)]
    protocol += [Discharge(c_rate=1.0, until_voltage=3.0)] if options.cycle else []
    profiler = cProfile.Profile(time.process_time)
    wall, before = time.perf_counter(), time.process_time()
    if options.profile:
        profiler.enable()
    solution = Simulation(model, protocol).run(progress=False)
    profiler.disable()
    cpu = model.comm.allreduce(time.process_time() - before)
    wall = time.perf_counter() - wall
    if model.comm.rank == 0:
        series, charge = solution.series, solution.steps[0]
        found: dict[str, Any] = {
            **effort(solution),
            "cpu": cpu,
            "wall": wall,
            "answers": {
                "charge": charge.end_time,
                "mean gap": float(series["Mean gap [m]"][charge.end_row]) / nm,
                "largest gap": float(series["Maximum gap [m]"][charge.end_row]) / nm,
                "99 % von Mises": float(series["99 % von Mises stress [Pa]"][charge.end_row]) / GPa,
            },
        }
        found["per step"] = cpu / found["steps"]
        if options.profile:
            found["shares"] = grouped(profiler)
        print(json.dumps(found), flush=True)


def line(row: dict[str, Any]) -> str:
    """Return one line of the table."""
    return (
        f"{row['particles']:9d}  {row['size']:7.3g}  {row['cells']:10d}  {row['unknowns']:8d}  "
        f"{row['ranks']:5d}  {row['solver']:10s}  {row['cpu']:7.1f}  {row['wall']:6.1f}  "
        f"{row['steps']:5d}  {row['failed']:6d}  {row['repeated']:8d}  {row['per step']:6.3f}  "
        f"{row['newton']:6d}  {row['krylov'] / row['newton']:13.1f}  {row['set-ups']:7d}  "
        f"{row['memory']:9.2f}"
    )


if __name__ == "__main__":
    main()

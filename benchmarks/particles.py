"""Cost of pressing: contact laws and ranks side by side, with and without our driver.

    python benchmarks/particles.py                # 11 000 spheres: takes a while
    python benchmarks/particles.py --width 40     # a quick look

Every row is a run of its own: a mixture of NMC532 and Li6PS5Cl, 14.96 mg/cm2 of NMC532, is pressed
to 375 MPa by `press`. At the end, LAMMPS alone does 4000 steps with the same input, the planes at
rest and nothing read, and as many with our driver, 50 and 50 in turn: so both see the same machine.
Times are CPU seconds of all ranks; speeds are millions of particle steps per CPU second.

`driver` is what our driver adds to LAMMPS alone. With the elastic law it saves more than it costs,
for it lets LAMMPS look for contacts with planes among near spheres only; `work` is what it adds to
steps that already have that, so all that it does besides. The last column is the time of a step,
LAMMPS alone, over that of the elastic law on one rank. Where a `liggghts` is installed, it does the
same elastic steps, with the same spheres between six planes.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from processes import result_of

LAWS = ("elastic", "plastic")
LOOKS = 8  # at the balance, with our driver
TURN = 5  # corrections of the planes before LAMMPS alone has its turn
COLUMNS = (
    "law      spheres  ranks  press/s  steps  thickness/um  unbalanced  M steps/s  LAMMPS alone  "
    "driver/%  work/%  over elastic"
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=float, default=150.0, help="of the box [um]")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--law", nargs="+", default=list(LAWS), choices=LAWS)
    parser.add_argument("--case", action="store_true", help=argparse.SUPPRESS)  # one row, as JSON
    options = parser.parse_args()
    if options.case:
        run(options.width, options.law[0])
        return
    print(COLUMNS)
    elastic = None
    for ranks in options.ranks:
        for law in options.law:
            arguments = ["--case", "--width", str(options.width), "--law", law]
            found = result_of(__file__, arguments, ranks)
            if law == "elastic" and elastic is None:
                elastic = found
            print(line(found, ranks, law, elastic), flush=True)
            if "liggghts" in found:
                print(line_of_liggghts(found), flush=True)


def run(width: float, law: str) -> None:
    """Run one case and print, on rank 0, what it took."""
    from mpi4py import MPI

    from femssb.library import LI6PS5CL, NCM523
    from femssb.packing import Component, LognormalSizes, Recipe, insert
    from femssb.particles import (
        ElasticPlastic,
        HertzMindlin,
        Servo,
        Uniaxial,
        press,
        yield_pressure,
    )
    from femssb.particles.lammps import granular
    from femssb.particles.lammps.engine import Engine
    from femssb.units import MPa, um
    from tests.verification import liggghts

    comm = MPI.COMM_WORLD
    servo = Servo()
    recipe = Recipe(
        components=(
            Component(
                name="AM",
                solid=NCM523,
                share=0.733,
                sizes=LognormalSizes(
                    median=4.95 * um, geometric_deviation=1.3, smallest=3 * um, largest=10 * um
                ),
            ),
            Component(
                name="SE",
                solid=LI6PS5CL,
                share=0.267,
                sizes=LognormalSizes(
                    median=7.6 * um, geometric_deviation=1.17, smallest=6 * um, largest=13 * um
                ),
            ),
        ),
        loading=0.1496 / 0.733,
        width=width * um,
    )
    solids = {"AM": NCM523, "SE": LI6PS5CL}
    contact_law = (
        HertzMindlin(solids=solids)
        if law == "elastic"
        else ElasticPlastic(solids=solids, yield_pressures={"SE": yield_pressure(LI6PS5CL)})
    )
    powder = insert(recipe, height=150 * um, seed=1)
    packing = press(powder, Uniaxial(pressure=375 * MPa), contact_law, comm=comm)[0]
    report = packing.origin["stages"][-1]
    with Engine(packing, contact_law, comm) as engine:
        engine.run(servo.interval)
        steps = LOOKS * servo.corrections * servo.interval

        def driven(corrections: range) -> None:
            for k in corrections:
                if k % servo.corrections == 0:
                    balance = engine.balance()
                    engine.calm(balance)
                    engine.rescale_masses(balance, 375 * MPa)
                engine.pressures()
                engine.move_planes(engine.planes * 0)
                engine.run(servo.interval)

        alone = steps_only = with_us = 0.0
        for k in range(0, LOOKS * servo.corrections, TURN):
            with mock.patch.object(granular, "NEAR", np.inf):
                alone += clocked(comm, partial(engine.run, TURN * servo.interval))
            steps_only += clocked(comm, partial(engine.run, TURN * servo.interval))
            with_us += clocked(comm, partial(driven, range(k, k + TURN)))
        if law != "elastic":  # the two are the same
            alone = steps_only = 0.5 * (alone + steps_only)
    if comm.rank == 0:
        found = {
            "spheres": len(packing.radii),
            "count": report["steps"],
            "press": report["cpu_time"],
            "thickness": packing.lengths[2] / um,
            "unbalanced": report["unbalanced"],
            "alone": alone / steps,
            "steps": steps_only / steps,
            "driven": with_us / steps,
        }
        if law == "elastic" and comm.size == 1 and liggghts.installed():
            found["liggghts"] = cost_of_liggghts(packing, contact_law, steps)
        print(json.dumps(found), flush=True)


def cost_of_liggghts(packing: Any, law: Any, steps: int) -> float:
    """Return the CPU time that LIGGGHTS takes for a step [s]."""
    from tests.verification import liggghts

    closed = replace(
        packing,
        lower=(packing.positions - packing.radii[:, None]).min(axis=0),
        upper=(packing.positions + packing.radii[:, None]).max(axis=0),
        periodic=(False, False, False),
        contacts=None,
        stress=None,
    )
    times = []  # with a time step in which nothing moves: the sides are not under pressure
    for count in (1, steps + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        with tempfile.TemporaryDirectory() as folder:
            liggghts.run(closed, law, Path(folder), f"run {count}\n", time_step=1e-8)
        times.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    return (times[1] - times[0]) / steps


def clocked(comm: Any, work: Any) -> float:
    """Return the CPU time of all ranks that some work takes [s]."""
    comm.Barrier()
    begun = time.process_time()
    work()
    total: float = comm.allreduce(time.process_time() - begun)
    return total


def line(found: dict[str, Any], ranks: int, law: str, elastic: dict[str, Any] | None) -> str:
    """Return one line of the table."""
    ratio = f"{found['alone'] / elastic['alone']:12.2f}" if elastic is not None else f"{'-':>12}"
    spheres = found["spheres"]
    return (
        f"{law:7s}  {spheres:7d}  {ranks:5d}  {found['press']:7.1f}  {found['count']:5d}  "
        f"{found['thickness']:12.2f}  {found['unbalanced']:10.1e}  "
        f"{spheres * found['count'] / found['press'] / 1e6:9.2f}  "
        f"{spheres / found['alone'] / 1e6:12.2f}  "
        f"{100 * (found['driven'] / found['alone'] - 1):8.1f}  "
        f"{100 * (found['driven'] / found['steps'] - 1):6.1f}  {ratio}"
    )


def line_of_liggghts(found: dict[str, Any]) -> str:
    """Return the line of LIGGGHTS, next to LAMMPS alone."""
    speed = found["spheres"] / found["liggghts"] / 1e6
    ratio = found["liggghts"] / found["alone"]
    return f"LIGGGHTS {found['spheres']:6d}  {1:5d}  {speed:71.2f}  {ratio:30.2f}"


if __name__ == "__main__":
    main()

"""Cost of a viscosity: speed of a sheared slurry, with and without our driver, and of its points.

    python benchmarks/wet.py                            # takes minutes
    python benchmarks/wet.py --beads 250 --rates 1000   # a quick look

A slurry of Alabdali 2023, reading H1 of Table S1, at 100 kPa. The first table: thousands of bead
steps per CPU second in shear, LAMMPS alone with the same input, nothing averaged and nothing read,
and with our driver, in turn: so both see the same machine. The second: CPU seconds for a strain of
3, from which a viscosity is taken, with masses as the inertia number allows and with true masses.
The latter is not run to its end but for one block, which does not change the time of a step. Times
are CPU seconds of all ranks; compare the ratios.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import numpy as np

from femssb.library import alabdali2023
from femssb.packing import disperse
from femssb.particles import Shear, Slurry, flow_curve, process
from femssb.particles.lammps.beads import BeadEngine
from femssb.particles.lammps.flow import Flow
from femssb.units import kPa

TURNS = 6  # of LAMMPS alone and with our driver
BLOCK = 0.025  # strain of a turn
STRAIN = 3.0  # of a point, its start included


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--beads", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--rates", type=float, nargs="+", default=[1000.0, 10000.0], help="1/s")
    options = parser.parse_args()
    print("beads  ranks  kbead steps/s  LAMMPS alone  driver/%", flush=True)
    slurries = {beads: slurry(beads) for beads in options.beads}
    for beads, packing in slurries.items():
        say(speeds(packing, beads))
    say(
        "\nbeads  rate/s  viscosity/Pa s       masses x  inertia  steps  CPU/s  true masses/s  gain"
    )
    for beads, packing in slurries.items():
        for rate in sorted(options.rates, reverse=True):
            say(point(packing, beads, rate))


def say(line: str) -> None:
    if MPI.COMM_WORLD.rank == 0:
        print(line, flush=True)


def slurry(beads: int) -> Any:
    """Return a slurry at rest."""
    formulation = alabdali2023.formulation(beads=beads)
    start = disperse(formulation, seed=1)
    stage = Slurry(pressure=100 * kPa)
    return process(start, stage, formulation, alabdali2023.H1, progress=False)[-1]


def clocked(work: Any) -> float:
    """Return the CPU time of all ranks that some work takes [s]."""
    begun = time.process_time()
    work()
    return float(MPI.COMM_WORLD.allreduce(time.process_time() - begun))


def speeds(packing: Any, beads: int) -> str:
    """Return a line of the first table."""
    alone = driven = 0.0
    with BeadEngine(packing, alabdali2023.SLURRY, mass_scaling=10.0, sheared=True) as engine:
        flow = Flow(engine, 1e4)
        flow.run(BLOCK)
        steps = flow.steps(BLOCK)
        for _ in range(TURNS):
            driven += clocked(lambda: flow.run(BLOCK))
            flow.average(0)
            alone += clocked(lambda: engine.command(f"run {steps} post no"))
            engine.steps += steps
            flow.average(steps)
    work = beads * steps * TURNS / 1e3
    return (
        f"{beads:5d}  {MPI.COMM_WORLD.size:5d}  {work / driven:13.0f}  {work / alone:12.0f}  "
        f"{100 * (driven / alone - 1):8.1f}"
    )


def point(packing: Any, beads: int, rate: float) -> str:
    """Return a line of the second table."""
    formulation = alabdali2023.formulation(beads=beads)
    shear = Shear(rate=rate)
    sheared = process(packing, shear, formulation, alabdali2023.H1, progress=False)[-1]
    (found,) = flow_curve(sheared).points
    with BeadEngine(packing, alabdali2023.SLURRY, sheared=True) as engine:
        flow = Flow(engine, rate)
        strain = min(BLOCK, 2000 * rate * engine.time_step)
        flow.run(strain)
        true = clocked(lambda: flow.run(strain)) / strain * STRAIN
    scaled = found.cpu_time / (found.strain + found.start) * STRAIN
    return (
        f"{beads:5d}  {rate:6.0f}  {found.viscosity:8.4g} +- {found.viscosity_error:6.2g}  "
        f"{found.mass_scaling:8.3g}  {found.inertia:7.4f}  {found.steps:5d}  {scaled:5.1f}  "
        f"{true:13.1f}  {np.round(true / scaled, 1):4g}"
    )


if __name__ == "__main__":
    main()

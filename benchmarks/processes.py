"""A case in processes of its own: every row starts cold, on the ranks that it asks for."""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

GROUPS = {  # what a function belongs to, by its file and name
    "linear solves": ("fem/linear_solver.py", "fem/jacobian.py mult"),
    "assembly": ("dolfinx/fem/", "ufl/", "fem/assembly.py", "fem/jacobian.py", "limiter.py"),
    "surface laws": ("surface_problem.py", "kinetics.py", "cohesion.py", "passages.py"),
    "output": ("h5py", "readout.py", "record.py", "checkpoint.py", "vtk.py", "hdf5.py", "results/"),
}


def effort(solution: Any) -> dict[str, Any]:
    """Return the size of a run of a half-cell and what it took, as far as its release counts it.

    Cells, unknowns, steps, failed and repeated ones, iterations of Newton and of Krylov's method,
    set-ups of preconditioners, and the peak of memory [GB].
    """
    performance, series = solution.performance, solution.series
    failed = performance.get("failed_steps", 0)  # older releases count both together
    return {
        "cells": solution.case["model"]["cells"],
        "unknowns": sum(solution.case["model"]["unknowns"].values()),
        "steps": len(series["Time [s]"]) - 1,
        "failed": failed,
        "repeated": performance["rejected_steps"] - failed,
        "newton": int(series["Newton iterations"].sum()),
        "krylov": int(series["Linear iterations"].sum()),
        "set-ups": performance["factorisations"],
        "memory": performance["peak_memory"] / 1e9,
    }


def result_of(
    script: str, arguments: list[str], ranks: int, package: Path | None = None
) -> dict[str, Any]:
    """Run a script and return what it prints last, as JSON.

    Args:
        script: The file.
        arguments: Of the script.
        ranks: Of MPI; one starts without it.
        package: Checkout of the package that the script uses; None for the one it is in.
    """
    command = [sys.executable, script, *arguments]
    if ranks > 1:
        beside_python = Path(sys.executable).parent / "mpirun"
        launcher = beside_python if beside_python.exists() else shutil.which("mpirun")
        if launcher is None:
            raise SystemExit("no mpirun found in this environment: choose --ranks 1")
        command = [str(launcher), "-n", str(ranks), *command]
    package = (package or Path(__file__).parents[1]).resolve()
    paths = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def grouped(profiler: cProfile.Profile) -> dict[str, float]:
    """Return the CPU time of each of `GROUPS`, and of the rest [s].

    What is compiled counts where it is called.
    """
    found = dict.fromkeys((*GROUPS, "the rest"), 0.0)

    def add(file: str, name: str, spent: float) -> None:
        where = f"{file} {name}"
        marked = (key for key, marks in GROUPS.items() if any(mark in where for mark in marks))
        found[next(marked, "the rest")] += spent

    for (file, _, name), (_, _, own, _, callers) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        if file == "~":
            for (by, _, caller), (_, _, spent, _) in callers.items():
                add(by, caller, spent)
        else:
            add(file, name, own)
    return found

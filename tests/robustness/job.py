"""A run that faults are done to: started by `faults`, as one process or under ``mpirun``.

``python -m tests.robustness.job half_cell|press FOLDER OPTIONS``, where OPTIONS is JSON:

``quick``       whether the protocol is a short one
``die_at``      number of the change of the folder (file opened for writing, renamed, removed) at
                which the process is killed, on rank 0
``after``       time from there to the kill [s], so that a file is half written
``full_at``     number of the change from which the disk is full
``largest``     size that no file may exceed [byte]: as of a disk that is full while it is written
``raise_at``    number of the time step after which the last rank fails

A line ``step`` on standard output tells of each time step, or stage of a press.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Disk:
    """Watches the changes of a folder, and does to the process what was asked for."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self.folder, self.options, self.changes = str(folder.resolve()), options, 0
        sys.addaudithook(self.watch)

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count a change, and act when it is the one."""
        if event == "open":
            if not (isinstance(arguments[2], int) and arguments[2] & WRITING):
                return
        elif event not in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            return
        path = arguments[0]
        if not isinstance(path, str | os.PathLike) or not self._inside(os.fspath(path)):
            return
        self.changes += 1
        if self.changes == self.options.get("die_at"):
            if self.options.get("after", 0.0) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, at any moment
            signal.setitimer(signal.ITIMER_REAL, self.options["after"])
        full = self.options.get("full_at")
        if full is not None and self.changes >= full and event in ("open", "os.mkdir"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _inside(self, path: str | bytes) -> bool:
        return os.path.abspath(os.fsdecode(path)).startswith(self.folder)


def half_cell(folder: Path, options: dict[str, Any]) -> None:
    """Take the smallest half-cell through a charge and a discharge."""
    import femssb.environment.platform

    from mpi4py import MPI

    from femssb.run import record

    comm = MPI.COMM_WORLD
    record.CHECKPOINT_EVERY = 0.0
    count = 0

    def step(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == options.get("raise_at") and comm.rank == comm.size - 1:
            raise RuntimeError("this rank fails")
        if comm.rank == 0:
            os.write(OUTPUT, b"step\n")

    simulation = half_cell_simulation(comm, quick=options.get("quick", False))
    os.write(OUTPUT, f"rank {os.getpid()}\n".encode())
    comm.barrier()
    if comm.rank == 0:
        Disk(folder, options)
        if "largest" in options:
            resource.setrlimit(resource.RLIMIT_FSIZE, (options["largest"],) * 2)
    simulation.run(folder, progress=False, resume="auto", on_step=[step])


def half_cell_simulation(comm: Any, *, quick: bool) -> Any:
    """Return the run, which takes the same time steps whatever happens to it."""
    from femssb import Charge, Discharge, FixedSteps, Simulation
    from tests import runs

    protocol = runs.TIMED
    if quick:
        protocol = (Charge(c_rate=8, until_duration=60.0), Discharge(c_rate=4, until_duration=30.0))
    return Simulation(
        runs.tiny_model(comm),
        protocol,
        tolerances=runs.TIGHT,
        stepping=FixedSteps(sizes=(1.0, 4.0, 10.0)) if quick else runs.STEPS,
    )


def press(folder: Path, options: dict[str, Any]) -> None:
    """Press a small powder in stages."""
    from mpi4py import MPI

    from femssb import particles
    from femssb.particles import pressing
    from tests.robustness import powder

    comm, engine = MPI.COMM_WORLD, pressing.Engine

    def begin(*arguments: Any, **named: Any) -> Any:
        if comm.rank == 0:
            os.write(OUTPUT, b"step\n")
        return engine(*arguments, **named)

    pressing.Engine = begin  # type: ignore[assignment,misc]
    os.write(OUTPUT, f"rank {os.getpid()}\n".encode())
    comm.barrier()
    if comm.rank == 0:
        Disk(folder, options)
        if "largest" in options:
            resource.setrlimit(resource.RLIMIT_FSIZE, (options["largest"],) * 2)
    particles.press(
        powder.powder(), powder.STAGES, powder.contact_law(), out=folder, progress=False
    )


def main() -> int:
    """Do what the arguments ask for and return the exit code."""
    from femssb.environment.command import exit_code

    what, folder, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    started = time.process_time()
    code = exit_code(lambda: {"half_cell": half_cell, "press": press}[what](folder, options))
    os.write(OUTPUT, f"took {time.process_time() - started:.1f}\n".encode())
    return code


if __name__ == "__main__":
    OUTPUT = os.dup(1)
    os.dup2(2, 1)
    sys.exit(main())

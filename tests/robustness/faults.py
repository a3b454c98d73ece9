"""Runs that are killed, interrupted, starved of disk or robbed of a rank, and then go on.

A chain of processes works on one folder: each has something done to it at a random moment, the next
resumes, on another number of ranks, and the last one is left alone. After each the folder must hold
results that can be read, a part of the uninterrupted run; at the end all of it, within the
tolerances, and nothing else.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from femssb import InputError, Solution, particles
from femssb.packing import Packing, read
from femssb.units import um
from tests.robustness import job, powder, tally

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0  # for a process that is done with something, or with nothing [s]
MPIRUN = Path(sys.executable).parent / "mpirun"
COLUMNS = {  # of the series, and how close each must come, over its largest value
    "Time [s]": 1e-9, "Voltage [V]": 1e-6, "Lithium [mol]": 1e-6, "Mean gap [m]": 1e-6,
    "Cohesive energy dissipated [J]": 1e-5,
}  # fmt: skip
LOST = "one rank lost"


@dataclass(frozen=True)
class Fault:
    """What is done to a process.

    Attributes:
        name: What it is called in the counts.
        options: For the process itself: see `job`.
        signal: Sent from outside; None for none.
        to: Which ranks it is sent to, "all" or the number of one.
        at: Time step after which it is sent, and the time from there [s].
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    signal: signal.Signals | None = None
    to: int | str = "all"
    at: tuple[int, float] = (0, 0.0)


@dataclass(frozen=True)
class End:
    """How a process ended."""

    code: int
    steps: int
    words: str


def run(what: str, folder: Path, ranks: int, fault: Fault, **options: Any) -> End:
    """Start a process, do to it what is asked for, and wait for its end."""
    command = [sys.executable, "-m", "tests.robustness.job", what, str(folder)]
    command.append(json.dumps({**options, **fault.options}))
    if ranks > 1:
        command = [str(MPIRUN) if MPIRUN.exists() else "mpirun", "-n", str(ranks), *command]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "MPI", "OMPI"))}
    clean |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=clean, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            steps = _attend(process, ranks, fault)
            code = process.wait(PATIENCE)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        log.seek(0)
        return End(code, steps, log.read())


def _attend(process: subprocess.Popen[bytes], ranks: int, fault: Fault) -> int:
    """Read what a process tells, send it the signal, and return its time steps."""
    stdout = process.stdout
    assert stdout is not None
    pids: list[int] = []
    steps, pending, sent = 0, b"", False
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not select.select([stdout], [], [], 1.0)[0]:
            continue
        read = os.read(stdout.fileno(), 1 << 14)
        if not read:
            return steps
        *lines, pending = (pending + read).split(b"\n")
        for line in lines:
            pids += [int(line[5:])] if line.startswith(b"rank ") else []
            steps += line == b"step"
        if fault.signal is not None and not sent and steps >= fault.at[0] and len(pids) == ranks:
            time.sleep(fault.at[1])
            chosen = pids if fault.to == "all" else [sorted(pids)[int(fault.to)]]
            for pid in chosen:
                try:
                    os.kill(pid, fault.signal)
                except ProcessLookupError:
                    pass
            sent = True
    raise TimeoutError(f"a process hangs after {fault.name}: {steps} steps")


def draw(rng: random.Random, ranks: int, what: str, steps: int) -> Fault:
    """Return a random fault for a process that has some time steps before it."""
    kinds = ["killed", "killed while writing", "half written", "killed", "half written"]
    kinds += ["SIGTERM", "SIGINT", "disk full", "file cut by a full disk"]
    kinds += [LOST, "a rank fails"] if ranks > 1 else []
    name = rng.choice(kinds)
    at = (1 + rng.randrange(max(1, steps)), rng.uniform(0.0, 0.15))
    changes = rng.randint(1, 12 * max(1, min(steps, 12)) if what == "half_cell" else 14)
    match name:
        case "killed":
            return Fault(name, signal=signal.SIGKILL, at=at)
        case "killed while writing":
            return Fault(name, {"die_at": changes})
        case "half written":
            return Fault(name, {"die_at": changes, "after": rng.choice([1e-5, 1e-4, 1e-3, 4e-3])})
        case "SIGTERM" | "SIGINT":
            return Fault(name, signal=signal.Signals[name], at=at)
        case "disk full":
            return Fault(name, {"full_at": changes})
        case "file cut by a full disk":  # what is said of it is in a file, too
            return Fault(name, {"largest": rng.choice([1_000, 4096, 20_000, 60_000, 150_000])})
        case "a rank fails":
            return Fault(name, {"raise_at": 1 + at[0]})
    return Fault(name, signal=signal.SIGKILL, to=rng.randrange(ranks), at=at)


def judge(fault: Fault, end: End, ranks: int) -> str:
    """Return what is wrong with the way a process ended, nothing if all is right."""
    lines = [line for line in end.words.splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith("femssb: ")]
    if end.code == 0:  # it was over before anything could be done to it, or did not need the room
        return ""
    quiet = fault.name in ("SIGTERM", "SIGINT", "disk full", "file cut by a full disk")
    if quiet and any("Traceback" in line for line in lines):
        return f"a traceback: {' | '.join(lines[-5:])}"
    if quiet and len(ours) != 1:
        return f"{len(ours)} lines of ours: {' | '.join(lines[-5:])}"
    wanted = {"SIGTERM": 143, "SIGINT": 130, "disk full": 2, "file cut by a full disk": 2}
    if fault.name in wanted and end.code != wanted[fault.name]:
        return f"exit code {end.code}, expected {wanted[fault.name]}: {' | '.join(lines[-5:])}"
    return ""


@cache
def whole_run(quick: bool) -> Solution:
    """Return the run that nothing happens to."""
    from mpi4py import MPI

    return job.half_cell_simulation(MPI.COMM_SELF, quick=quick).run(progress=False)  # type: ignore[no-any-return]


def check_run(folder: Path, quick: bool, *, finished: bool) -> str:
    """Return what is wrong with the results in a folder, nothing if all is right."""
    try:
        found = Solution.load(folder)
        snapshots = list(found.snapshots)
    except InputError as error:
        if finished or any(folder.glob("checkpoint*")):
            return f"cannot be loaded: {error}"
        return ""
    whole = whole_run(quick)
    times = found.series["Time [s]"]
    rows = np.searchsorted(whole.series["Time [s]"], times - 1e-6)
    if np.any(np.diff(times) <= 0):
        return "times do not rise"
    if finished and not np.isclose(times[-1], whole.series["Time [s]"][-1]):
        return f"ends at {times[-1]} s"
    for name, tolerance in COLUMNS.items():
        expected = whole.series[name]
        rows = np.minimum(rows, len(expected) - 1)
        largest = np.abs(expected).max() or 1.0  # nothing of it yet: it must be so again
        apart = np.abs(found.series[name] - expected[rows]).max() / largest
        if not apart <= tolerance:
            return f"{name} is off by {apart:.2g}"
    if finished and len(snapshots) != len(whole.snapshots):
        return f"{len(snapshots)} snapshots instead of {len(whole.snapshots)}"
    return _leftovers(folder, finished=finished)


def _leftovers(folder: Path, *, finished: bool) -> str:
    hidden = [str(path.relative_to(folder)) for path in folder.rglob(".*")]
    return f"left over: {hidden}" if finished and hidden else ""


@cache
def whole_press() -> list[Packing]:
    """Return the packings of the press that nothing happens to."""
    from mpi4py import MPI

    return particles.press(
        powder.powder(), powder.STAGES, powder.contact_law(), comm=MPI.COMM_SELF, progress=False
    )


def check_press(folder: Path, *, finished: bool, alone: bool) -> str:
    """Return what is wrong with the stages in a folder, nothing if all is right.

    On another number of ranks sums round otherwise, and spheres that slide come to rest elsewhere:
    then the pressures must be right, and the thickness nearly. On one rank all must be the same.
    """
    whole, servo = whole_press(), particles.Servo()
    kept = sorted(folder.glob("[0-9]*.h5")) if folder.is_dir() else []
    if finished and len(kept) != len(whole):
        return f"{[path.name for path in kept]} instead of {len(whole)} stages"
    for path in kept:
        if path.stem.endswith("unfinished"):
            continue
        try:
            found, expected = read(path), whole[int(path.name[:2]) - 1]
        except InputError as error:
            return f"cannot be loaded: {error}"
        apart = abs(found.lengths[2] / expected.lengths[2] - 1)
        if not apart < (1e-9 if alone else 0.05):
            return f"{path.name} is {apart:.2g} thicker or thinner"
        if alone and not np.allclose(found.positions, expected.positions, rtol=0, atol=1e-9 * um):
            return f"{path.name} has its spheres elsewhere"
        report = found.origin["stages"][-1]
        for side in ("zlo", "zhi"):
            reached = report["pressures"][side] / report["pressure"]
            if abs(reached - 1) > servo.pressure_error:
                return f"{path.name}: {side} feels {reached} of the pressure"
    return _leftovers(folder, finished=finished)


def chain(
    what: str, seed: int, faults: int, *, ranks: tuple[int, ...] = (1, 2), quick: bool = False
) -> list[str]:
    """Do some faults to runs in one folder, let the last one finish, and return what went wrong."""
    rng, failures, used = random.Random(seed), [], set[int]()
    folder = Path(tempfile.mkdtemp(prefix="femssb_fault_")) / "run"
    check: Callable[..., str] = (
        (lambda *, finished: check_run(folder, quick, finished=finished))
        if what == "half_cell"
        else (lambda *, finished: check_press(folder, finished=finished, alone=used == {1}))
    )
    total = (12 if quick else 52) if what == "half_cell" else 1
    story = f"{what} {seed}"
    for number in range(faults + 1):
        on = rng.choice(ranks)
        used.add(on)
        last = number == faults
        fault = Fault("none") if last else draw(rng, on, what, max(2, total // faults))
        story += f", {fault.name} {fault.options or fault.at if not last else ''} on {on}"
        try:
            end = run(what, folder, on, fault, quick=quick)
            wrong = judge(fault, end, on)
            if last and end.code != 0:
                wrong = f"does not finish: code {end.code}: {end.words[-400:]}"
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            wrong = str(error)
        wrong = wrong or check(finished=last)
        spared = not wrong and not last and end.code == 0  # over before, or needed no more room
        result = "failed" if wrong else "spared" if spared else "right"
        tally.count("faults", f"{what}: {fault.name}", result)
        if number:
            tally.count("resumes", f"{what} on {on}", "failed" if wrong else "right")
        if wrong:
            failures.append(f"{story} -> {wrong} (kept in {folder})")
            return failures
    shutil.rmtree(folder.parent, ignore_errors=True)
    return failures

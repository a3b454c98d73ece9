"""What all tests share: the communicator, folders that the ranks agree on, and failing together.

On several ranks (``mpirun -n 3 python -m pytest -m mpi``) rank 0 reports as usual; another rank
reports only its own failures. When a test fails on some ranks while the others wait for them in
a collective call, all are ended after `PATIENCE` instead of hanging.

`FEMSSB_TEST_NUMBERING=1` (or another whole number) runs the tests on meshes whose nodes and cells
are numbered, and shared out to ranks, in another way: see `make test-portable`.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import pytest
from hypothesis import settings

from tests.renumbering import shuffle_meshes

# The same examples everywhere: a change is not to blame for what another would fail at, too. The
# slow tests draw new ones.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

PATIENCE = 30.0  # time a rank that failed gives the others to finish the same test [s]

_meeting = MPI.COMM_WORLD.Dup()  # apart from the communicator that the tests use
_here = {"failed": False}  # whether this rank failed the present test, and so has met the others


@pytest.fixture(scope="session")
def comm() -> MPI.Intracomm:
    """All ranks of this run."""
    return MPI.COMM_WORLD


@pytest.fixture
def shared_path(tmp_path_factory: pytest.TempPathFactory, comm: MPI.Intracomm) -> Path:
    """A fresh temporary folder, the same on every rank."""
    folder = tmp_path_factory.mktemp("shared") if comm.rank == 0 else None
    shared: Path = comm.bcast(folder)
    return shared


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Leave the reporting to rank 0, and number meshes as asked."""
    if "FEMSSB_TEST_NUMBERING" in os.environ:
        shuffle_meshes(int(os.environ["FEMSSB_TEST_NUMBERING"]))
    if MPI.COMM_WORLD.rank > 0:
        config.pluginmanager.unregister(name="terminalreporter")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests on more ranks than their mark asks for."""
    for item in items:
        mark = item.get_closest_marker("mpi")
        if mark is not None and MPI.COMM_WORLD.size > mark.kwargs.get("ranks", math.inf):
            item.add_marker(
                pytest.mark.skip(reason=f"runs on {mark.kwargs['ranks']} ranks at most")
            )


def pytest_collection_finish() -> None:
    """Leave what all tests share out of the searches for garbage, of which there are many."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Meet the other ranks when a test ends, or at once when it fails."""
    report = yield
    if MPI.COMM_WORLD.size == 1:
        return report
    if report.failed and not _here["failed"]:
        _here["failed"] = True
        if MPI.COMM_WORLD.rank > 0:
            _report(report)
        _meet(report, PATIENCE)
    elif call.when == "teardown":
        if not _here["failed"]:
            gc.collect()  # PETSc objects are destroyed collectively: here, where all ranks meet
            failures = _meet(report, math.inf)
            if failures > 0:
                report.outcome = "failed"
                report.longrepr = f"failed on {failures} of {MPI.COMM_WORLD.size} ranks, see above"
        _here["failed"] = False
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Say what a rank other than 0 could not collect."""
    if report.failed and MPI.COMM_WORLD.rank > 0:
        _report(report)


def _meet(report: pytest.TestReport, patience: float) -> int:
    """Wait for all ranks to finish a test and return how many of them failed it."""
    failures = np.zeros(1, dtype=np.int32)
    meeting = _meeting.Iallreduce(np.array([report.failed], dtype=np.int32), failures)
    deadline = time.monotonic() + patience
    while not meeting.Test():
        if time.monotonic() > deadline:
            if MPI.COMM_WORLD.rank == 0:
                _report(report)
            time.sleep(1.0)  # mpirun must have passed the message on before it ends
            MPI.COMM_WORLD.Abort(1)
        time.sleep(1e-3)
    return int(failures[0])


def _report(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Show a failure past pytest's capture."""
    sys.__stderr__.write(
        f"\n[rank {MPI.COMM_WORLD.rank}] {report.nodeid} failed\n{report.longreprtext}\n"
    )
    sys.__stderr__.flush()

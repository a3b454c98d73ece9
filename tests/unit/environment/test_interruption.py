"""If these fail, a signal loses hours of work, hangs ranks, or is not obeyed.

Worth reading: `test_a_signal_waits_until_all_ranks_can_stop`.
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import threading
import time

from mpi4py import MPI

import pytest

from femssb import FemssbError, Interrupted
from femssb.environment import interruption
from femssb.environment.command import exit_code
from femssb.environment.interruption import interruptible, stop_if_asked, terminable


def handlers() -> list[object]:
    """Return what is done at SIGINT and SIGTERM."""
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.fixture(autouse=True)
def ordinary_handlers():
    """Have SIGINT raise, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.mpi
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_all_ranks_can_stop(comm: MPI.Intracomm, number: int) -> None:
    """Catches ranks that wait for one that has stopped alone, and handlers left behind."""
    before = handlers()

    @interruptible()
    def work() -> None:
        stop_if_asked(comm)
        if comm.rank == comm.size - 1:
            signal.raise_signal(number)
        stop_if_asked(comm)

    with pytest.raises(Interrupted) as caught:
        work()
    assert caught.value.signal == number
    assert caught.value.code == 128 + number
    assert handlers() == before
    stop_if_asked(comm)  # outside of the work it does nothing


def test_the_exception_is_what_notebooks_and_scripts_expect() -> None:
    """Catches a loop over cases that goes on after Ctrl-C because it passes over errors."""
    stop = Interrupted(signal.SIGTERM, "10 s are in results")
    assert isinstance(stop, KeyboardInterrupt)
    assert isinstance(stop, SystemExit)
    assert not isinstance(stop, Exception | FemssbError)
    assert str(stop) == "stopped by SIGTERM: 10 s are in results"
    copy = pickle.loads(pickle.dumps(stop))
    assert (copy.code, str(copy)) == (143, str(stop))


def test_a_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a program that cannot be stopped, and one that takes an echo for a second signal."""
    reached: list[str] = []

    @interruptible()
    def work() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # mpirun and the terminal both send it
        reached.append("two")
        monkeypatch.setattr(interruption, "_ECHO", 0.0)
        time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)
        reached.append("three")

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert reached == ["two"]
    assert not isinstance(caught.value, Interrupted)


def test_a_signal_that_comes_too_late_is_not_lost() -> None:
    """Catches a Ctrl-C in the last instants of a run, after which the script goes on."""
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGINT)


def test_inner_work_leaves_the_signal_to_the_outer() -> None:
    """Catches a run within a run that takes the handlers away."""

    @interruptible()
    def work() -> None:
        with interruptible():
            signal.raise_signal(signal.SIGTERM)
        stop_if_asked(MPI.COMM_SELF)

    with pytest.raises(Interrupted):
        work()


def test_other_threads_and_ignored_signals_are_left_alone() -> None:
    """Catches an exception of `signal` in a thread, and nohup undone."""
    seen: list[object] = []

    def work() -> None:
        with interruptible(), terminable():
            seen.append(handlers())

    before = handlers()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_waiting_work_is_ended_by_both(capsys: pytest.CaptureFixture[str]) -> None:
    """Catches a study whose processes outlive it."""
    before = handlers()
    with pytest.raises(Interrupted), terminable():
        signal.raise_signal(signal.SIGTERM)
    assert capsys.readouterr().err == "femssb: stopped by SIGTERM\n"
    assert handlers() == before


def test_commands_end_with_the_code_of_the_signal(capsys: pytest.CaptureFixture[str]) -> None:
    """Catches a job scheduler that takes a run which was stopped for one that is over."""

    def stopped() -> None:
        raise Interrupted(signal.SIGTERM)

    def pressed() -> None:
        raise KeyboardInterrupt

    assert exit_code(stopped) == 143
    assert capsys.readouterr().err == ""
    assert exit_code(pressed) == 130
    assert capsys.readouterr().err == "femssb: stopped by SIGINT\n"


def test_a_script_without_a_command_ends_with_it_too() -> None:
    """Catches a traceback, or an exit code of 1, in the plainest script."""
    script = "import os, femssb; raise femssb.Interrupted(2)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("failing", ["rank == 0", "rank == 1"])
def test_a_rank_whose_command_fails_alone_ends_the_others(failing: str) -> None:
    """Catches a rank that waits in a collective call for one that has reported its error."""
    from femssb.environment import machine

    script = (
        "import sys, femssb\n"
        "from femssb.environment import platform, ranks\n"
        "ranks.PATIENCE = 1.0\n"
        "world = platform.MPI.COMM_WORLD\n"
        "rank = world.rank\n"
        "def main() -> None:\n"
        f"    if {failing}: raise femssb.InputError('lost')\n"
        "    world.Barrier(); world.Barrier()\n"
        "sys.exit(femssb.command(main, []))\n"
    )
    command = [str(machine.launcher()), "-n", "2", sys.executable, "-c", script]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert failed.returncode != 0
    assert failed.stderr.count("femssb: lost\n") == 1

"""If these fail, two runs write into one folder, or a run that was killed keeps all others out.

Worth reading: `test_a_lock_ends_with_its_process`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from femssb.environment import lock
from femssb.environment.lock import FILE, locked
from femssb.errors import InputError

HOLDING = """
import sys, time
from pathlib import Path
from femssb.environment.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Return another process that holds the lock of a folder."""
    command = [sys.executable, "-c", HOLDING, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def leave(folder: Path, **changes: Any) -> None:
    """Leave the lock file of a run that did not remove it."""
    holder = {"host": socket.gethostname(), "pid": 2**22 + 1, "since": 1.7e9} | changes
    (folder / FILE).write_text(json.dumps(holder))


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the file system be one without locks."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_ends_with_its_process(tmp_path: Path, number: int) -> None:
    """Catches two runs in one folder, and a folder that a killed run has closed for good."""
    process = hold(tmp_path)
    with pytest.raises(InputError) as caught, locked(tmp_path):
        pass
    said = str(caught.value)
    for item in (str(tmp_path), f"process {process.pid}", socket.gethostname(), "since 20"):
        assert item in said
    assert "remove" not in said  # it lives for certain
    process.send_signal(number)
    process.communicate()
    assert (tmp_path / FILE).exists()
    with locked(tmp_path):
        assert json.loads((tmp_path / FILE).read_text())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_lock_keeps_out_threads_and_nested_runs(tmp_path: Path) -> None:
    """Catches a lock that its own process passes."""
    seen: list[str] = []

    def enter() -> None:
        try:
            with locked(tmp_path):
                seen.append("in")
        except InputError:
            seen.append("out")

    with locked(tmp_path):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        enter()
        with locked(tmp_path / "another"):
            pass
    enter()
    assert seen == ["out", "out", "in"]


def test_a_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    """Catches a folder that cannot be used again in the same notebook."""
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), locked(tmp_path):
            raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_one_of_many_gets_the_lock(tmp_path: Path) -> None:
    """Catches two processes that both take over what a third has left."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from femssb.environment.lock import locked\n"
        "for _ in range(30):\n"
        "    try:\n"
        "        with locked(Path(sys.argv[1])):\n"
        "            path = Path(sys.argv[1]) / 'inside'\n"
        "            path.mkdir(); path.rmdir()\n"  # fails where another is inside
        "    except ValueError: pass\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"host": "a"}', '{"pid": "x"}', "[" * 9000])
def test_a_damaged_lock_file_of_nobody_is_taken_over(tmp_path: Path, content: str) -> None:
    """Catches a traceback of JSON where a machine stopped while the lock was written."""
    (tmp_path / FILE).write_text(content)
    with locked(tmp_path):
        assert json.loads((tmp_path / FILE).read_text())["pid"] == os.getpid()
    assert not (tmp_path / FILE).exists()


def test_without_locks_of_the_file_system_the_process_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches network file systems on which nothing can be run, or everything twice."""
    without_locks(monkeypatch)
    leave(tmp_path)  # of no living process
    with locked(tmp_path):
        pass
    leave(tmp_path, pid=os.getppid())
    with pytest.raises(InputError, match=rf"if it is over, remove .*{FILE}"), locked(tmp_path):
        pass
    leave(tmp_path, host="node17")
    with pytest.raises(InputError, match=rf"on node17.*if it is over, remove .*{FILE}"):
        with locked(tmp_path):
            pass
    assert (tmp_path / FILE).exists()


MOUNT = "40 2 {device} / /data rw - {kind} server:/data rw,relatime{options}\n"


@pytest.mark.parametrize(
    ("kind", "options", "shared"),
    [
        ("ext4", "", True),  # no other host writes there: the name of this one has changed
        ("nfs4", ",local_lock=none", True),
        ("nfs", ",nolock,local_lock=all", False),
        ("nfs4", ",local_lock=flock", False),
        ("lustre", ",flock,lazystatfs", True),
        ("lustre", ",localflock", False),
        ("gpfs", "", True),
        ("beegfs", "", False),
        ("fuse.sshfs", "", False),
        ("9p", "", False),
    ],
)
def test_a_run_killed_on_another_host_is_known_where_locks_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, shared: bool
) -> None:
    """Catches a killed job that cannot be sent again to another node, or one that runs twice."""
    mounts = tmp_path / "mountinfo"
    device = os.stat(tmp_path).st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    mounts.write_text(
        "1 0 0:0 / / rw - tmpfs none rw\n" + MOUNT.format(device=name, kind=kind, options=options)
    )
    monkeypatch.setattr(lock, "_MOUNTS", mounts)
    leave(tmp_path, host="node17")
    if shared:
        with locked(tmp_path):
            pass
    else:
        with pytest.raises(InputError, match=rf"on node17, .*remove .*{FILE}"), locked(tmp_path):
            pass


def test_a_folder_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    """Catches an OSError that nobody explains."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write results to .*file"):
        with locked(tmp_path / "file" / "below"):
            pass
    (tmp_path / FILE).mkdir()
    with pytest.raises(InputError, match=rf"cannot write .*{FILE}: Is a directory"):
        with locked(tmp_path):
            pass

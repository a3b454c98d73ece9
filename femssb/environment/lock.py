"""One run at a time in a folder, on one machine or on several that share it.

The kernel keeps the lock and drops it when the process ends, however it ends. Its file says who
holds it, for people, and for file systems whose locks other machines do not see.
"""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from femssb.environment.files import alive, make_folder, writing
from femssb.errors import InputError

FILE = "femssb.lock"
_MOUNTS = Path("/proc/self/mountinfo")
# File systems on which no two machines can hold a lock at once: of one machine, or sharing locks.
_OF_ONE_MACHINE = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay"}
_SHARING = {"nfs", "nfs4", "gpfs", "ceph"}
_NOT_SHARING = {"nolock", "local_lock=all", "local_lock=flock"}  # options of a mount
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads that ask for the same lock out of a folder.

    Args:
        folder: The folder; made if it does not exist.

    Raises:
        InputError: If another run holds it; the message says which, and what to do.
    """
    path = make_folder(folder) / FILE
    with writing(path):
        handle = _take(path)
    try:
        yield
    finally:
        with suppress(OSError):  # a file that stays tells of a process that is over
            path.unlink()
        os.close(handle)


def _take(path: Path) -> int:
    """Return the open lock file, which says that it is ours."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            certain = _lock(handle)
            holder = _holder(handle)
            if certain is False or (holder and not _is_over(holder, path, certain)):
                raise InputError(_refusal(path, holder, certain))
            if _is_at(handle, path):  # else the one before has just removed it
                mine = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps(mine).encode(), 0)
                os.fsync(handle)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _lock(handle: int) -> bool | None:
    """Return whether the kernel gave us the lock; None where the file system has none to give."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def _holder(handle: int) -> dict[str, Any]:
    """Return what a lock file says; nothing if it is empty or damaged."""
    try:
        found = json.loads(os.pread(handle, 10_000, 0))
        return {
            "host": str(found["host"]),
            "pid": int(found["pid"]),
            "since": float(found["since"]),
        }
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return {}


def _is_over(holder: dict[str, Any], path: Path, certain: bool | None) -> bool:
    """Return whether a run that did not remove its lock file is over for certain."""
    if holder["host"] != socket.gethostname():
        return certain is True and _reaches_all(path)
    return certain is True or holder["pid"] == os.getpid() or not alive(holder["pid"])


def _reaches_all(path: Path) -> bool:
    """Return whether a lock of the kernel is known to keep out all machines that see a file."""
    try:
        device = path.stat().st_dev
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:
        mount, _, system = line.partition(" - ")
        if mount.split()[2] == f"{os.major(device)}:{os.minor(device)}":
            kind, _, options = system.split(maxsplit=2)
            given = set(options.split(","))
            if kind == "lustre":
                return "flock" in given
            return kind in _OF_ONE_MACHINE or (kind in _SHARING and not given & _NOT_SHARING)
    return False


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _refusal(path: Path, holder: dict[str, Any], certain: bool | None) -> str:
    if not holder:
        return f"another run has just begun in {path.parent}"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
    text = (
        f"another run is going on in {path.parent}: process {holder['pid']} on {holder['host']}, "
        f"since {since}"
    )
    return text if certain is False else f"{text}; if it is over, remove {path}"

"""Folders and files of results, written whole or not at all, and known where they are damaged.

A file written by `replacing` is on the disk, not only in its cache, before it takes the place of
the one before it. One that is sealed ends in a line with the SHA-256 of all that is in front of it;
NumPy archives, HDF5, TIFF and PNG files are read by other programs all the same, and so are VTK's
XML files, where the line is a comment. The files of a
folder that belong together change together, by `replacing_together`, which keeps their SHA-256 in
``SHA256SUMS``; ``sha256sum -c SHA256SUMS`` checks them, too.
"""

import errno
import hashlib
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from femssb.description import checked
from femssb.errors import InputError, shown

CHECKSUMS = "SHA256SUMS"
_SEAL = re.compile(rb"\n(?:<!-- )?sha256 ([0-9a-f]{64})(?: -->)?\n\Z")
_LONGEST_SEAL = 82
_XML = (".vti", ".vtp", ".vtu")  # suffixes of files that allow a comment at their end, nothing else
_SUM = re.compile(rb"([0-9a-f]{64})  ([^/\n.][^/\n]*)")
_TEMPORARY = re.compile(r"\.(?P<host>[^/]*)\.(?P<pid>\d+)\.part\..+")
_FORGOTTEN = 24 * 3600.0  # age from which a temporary file of another host is left over [s]
# What file systems that cannot sync a folder answer.
_NO_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES, errno.ENOSYS}
# Folders in a folder that changes: files that are being written, all of them whole and on the disk,
# and a folder that one of them has taken the place of.
_NEW, _READY, _OLD = ".new", ".ready", ".old"


def given_path(owner: str, field: str, value: object) -> Path:
    """Return a path that was given by the user.

    Args:
        owner: Name of the function that takes it.
        field: Name of its argument.
        value: What was given.

    Raises:
        InputError: If it is no path, or an empty one, which would be the current folder.
    """
    if not isinstance(value, str | os.PathLike):
        raise InputError(f"{owner}: {field} must be a path, got {shown(value)}")
    text = os.fsdecode(value)
    if not text.strip() or "\0" in text:
        raise InputError(f"{owner}: {field} = {text!r} is no path; '.' is the current folder")
    try:
        os.lstat(text)
    except (OSError, ValueError) as error:  # an encoding that the system lacks
        if not isinstance(error, OSError) or error.errno == errno.ENAMETOOLONG:
            raise InputError(f"{owner}: {field} = {shown(text)} is no path: {error}") from error
    return Path(text)


@checked
def make_folder(folder: Path) -> Path:
    """Make a folder and those above it, and return it.

    Raises:
        InputError: If that is not possible; the message says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write results to {folder}: {_reason(error)}") from error
    return folder


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of an error of the operating system what could not be written, and why.

    Raises:
        InputError: If the block raises an OSError: no space, no permission, too many files open.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {_reason(error)}") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say of an error of the operating system what could not be read, and why.

    Raises:
        InputError: If the block raises an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot read {path}: {_reason(error)}") from error


@checked
@contextmanager
def replacing(path: Path, *, seal: bool = False) -> Iterator[Path]:
    """Write a file whole or not at all.

    Args:
        path: The file.
        seal: Whether to end it with the SHA-256 that `read_sealed` checks.

    Yields:
        A temporary path in the same folder, with the same suffix; it takes the place of the file
        when the block ends without error, and is on the disk then.

    Raises:
        InputError: If the file cannot be written, with the reason, such as a full disk.
    """
    if not path.name:
        raise InputError(f"cannot write {path}: it is a folder")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"cannot write {path}: it is a device, whose place no file may take")
    temporary = path.with_name(f".{socket.gethostname()}.{os.getpid()}.part.{path.name}")
    try:
        with writing(path):
            yield temporary
            if seal:
                append_seal(temporary)
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have the disk take what was written to a file, or the names in a folder."""
    try:
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        if not (path.is_dir() and error.errno in _NO_SYNC):
            raise


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 letters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_seal(path: Path) -> bool:
    """Return whether a file ends in a seal, be it the right one or not.

    Raises:
        InputError: If it cannot be read.
    """
    return _seal_of(path) is not None


def append_seal(path: Path) -> None:
    """End a file with the SHA-256 that `read_sealed` checks."""
    line = f"sha256 {checksum(path)}"
    line = f"<!-- {line} -->" if path.suffix.lower() in _XML else line
    with path.open("ab") as file:
        file.write(f"\n{line}\n".encode())


def check_seal(path: Path) -> int:
    """Check that a sealed file is as it was written, and return the length in front of the seal.

    The file is read in pieces: for files too large for `read_sealed`.

    Raises:
        InputError: If it cannot be read, has no seal, or differs from what was sealed.
    """
    seal = _seal_of(path)
    if seal is None:
        raise InputError(f"{path} is damaged: it does not end in its checksum")
    length, wanted = seal
    digest = hashlib.sha256()
    with reading(path), path.open("rb") as file:
        for start in range(0, length, 1 << 20):
            digest.update(file.read(min(1 << 20, length - start)))
    if wanted != digest.hexdigest():
        raise InputError(f"{path} is damaged: it differs from what was written")
    return length


def read_sealed(path: Path) -> bytes:
    """Return what a sealed file holds.

    Raises:
        InputError: As `check_seal` does.
    """
    with reading(path):
        content = path.read_bytes()
    seal = _SEAL.search(content, max(0, len(content) - _LONGEST_SEAL))
    if seal is None:
        raise InputError(f"{path} is damaged: it does not end in its checksum")
    if seal[1].decode() != hashlib.sha256(memoryview(content)[: seal.start()]).hexdigest():
        raise InputError(f"{path} is damaged: it differs from what was written")
    return content[: seal.start()]


def _seal_of(path: Path) -> tuple[int, str] | None:
    """Return the length in front of the seal of a file and its SHA-256, None without a seal."""
    with reading(path), path.open("rb") as file:
        start = max(0, path.stat().st_size - _LONGEST_SEAL)
        file.seek(start)
        found = _SEAL.search(file.read())
    return None if found is None else (start + found.start(), found[1].decode())


@contextmanager
def in_memory(content: bytes = b"") -> Iterator[Path]:
    """Give a file that is in memory alone, to libraries that read and write files by name.

    Its name has plain letters only, whatever folder the user works in, it cannot fill a disk, and
    nobody else can change it.

    Args:
        content: What it holds.

    Yields:
        Its path, in this process.

    Raises:
        InputError: If there is no memory for it.
    """
    with ExitStack() as stack:
        with writing(Path("a file in memory")):
            if hasattr(os, "memfd_create"):
                number = os.memfd_create("femssb")
                stack.callback(os.close, number)
                path = Path(f"/proc/self/fd/{number}")
            else:  # not Linux
                path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "femssb"
            path.write_bytes(content)
        yield path


@contextmanager
def replacing_together(folder: Path, *, removing: Collection[str] = ()) -> Iterator[Path]:
    """Change several files of a folder at once: all or none, whenever the machine stops.

    The new files are written to a folder of their own; when all are on the disk it is renamed, and
    from then on they count, by `read_together` and `newest`, even before they are in their places.

    Args:
        folder: The folder; made if it does not exist. Only one process may change it at a time.
        removing: Names of files, written in this way before, that go when the new ones come.

    Yields:
        A folder for the new files. The others of the folder stay as they are.

    Raises:
        InputError: If they cannot be written; the folder holds what it held before, or, where only
            moving them into their places failed, all of the new files.
    """
    make_folder(folder)
    finish(folder)
    new = folder / _NEW
    with writing(folder):
        try:
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            yield new
            sums = {name: sum_ for name, sum_ in _sums(folder).items() if name not in removing}
            sums |= {path.name: checksum(path) for path in sorted(new.iterdir())}
            text = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
            (new / CHECKSUMS).write_text(text, encoding="utf-8")
            for path in new.iterdir():
                sync(path)
            sync(new)
            take_over(folder, new)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def take_over(folder: Path, new: Path) -> None:
    """Have what a folder within holds, all of it on the disk, take its places at once.

    Files that are in the checksums of the folder but not in those of the new one are removed, and
    folders that are empty in the new one.

    Raises:
        InputError: As `replacing_together` does.
    """
    with writing(folder):
        os.rename(new, folder / _READY)
        sync(folder)
    finish(folder)


def finish(folder: Path) -> None:
    """Finish a change that was stopped when all of its files were on the disk, if there is one.

    Raises:
        InputError: If that is not possible.
    """
    ready, old = folder / _READY, folder / _OLD
    with writing(folder):
        if ready.is_dir():
            for path in ready.iterdir():
                if path.is_dir():
                    _discard(folder / path.name, old)
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
                elif path.name != CHECKSUMS:
                    os.replace(path, folder / path.name)
            if (ready / CHECKSUMS).exists():
                for name in _sums(folder, old=True).keys() - _sums(folder).keys():
                    (folder / name).unlink(missing_ok=True)
                os.replace(ready / CHECKSUMS, folder / CHECKSUMS)
            sync(folder)
            ready.rmdir()
        if old.is_dir():
            shutil.rmtree(old)


def newest(folder: Path, name: str) -> Path:
    """Return where the newest version of a file or folder in a folder is that changes together."""
    ready = folder / _READY / name
    return ready if ready.exists() else folder / name


def read_together(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return what files hold that were written by `replacing_together`, all by the same change.

    Raises:
        InputError: If a file is missing, or is not as it was written.
    """
    while True:
        before, failure = _state(folder), None
        try:
            found = {name: _read_listed(folder, name) for name in names}
        except InputError as error:
            failure = error
        if _state(folder) == before:  # else a run has changed them meanwhile
            if failure is not None:
                raise failure
            return found


def check_listed(folder: Path, name: str) -> Path:
    """Return where a file is that `replacing_together` wrote, after checking it; see `newest`.

    Raises:
        InputError: If it is missing, or is not as it was written.
    """
    path = newest(folder, name)
    _compare(folder, path, lambda: checksum(path))
    return path


def _read_listed(folder: Path, name: str) -> bytes:
    path = newest(folder, name)
    content = b""

    def digest() -> str:
        nonlocal content
        content = path.read_bytes()
        return hashlib.sha256(content).hexdigest()

    _compare(folder, path, digest)
    return content


def _compare(folder: Path, path: Path, digest: Callable[[], str]) -> None:
    listed = _sums(folder).get(path.name)
    try:
        found = digest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {_reason(error)}") from error
    if listed is None:
        raise InputError(
            f"{folder / CHECKSUMS} is missing or damaged: it does not list {path.name}"
        )
    if found != listed:
        raise InputError(f"{path} is damaged: it differs from what was written")


def _sums(folder: Path, *, old: bool = False) -> dict[str, str]:
    """Return file -> SHA-256 of a folder; what is damaged of the list is left out."""
    path = folder / CHECKSUMS if old else newest(folder, CHECKSUMS)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return {}
    found = [_SUM.fullmatch(line) for line in lines]
    return {one[2].decode(errors="replace"): one[1].decode() for one in found if one}


def _state(folder: Path) -> tuple[set[str], bytes]:
    """Return what tells whether a folder has changed: what is not in place yet, and sums."""

    def sums() -> bytes:
        with suppress(OSError):
            return (folder / CHECKSUMS).read_bytes()
        return b""

    while True:
        before, moving = sums(), set()
        with suppress(OSError):
            moving = set(os.listdir(folder / _READY))
        if sums() == before:  # else this was already the next change
            return moving, before


def _discard(folder: Path, old: Path) -> None:
    """Take a folder out of the way of another one, to be removed when that is in its place."""
    if folder.is_dir():
        if old.is_dir():
            shutil.rmtree(old)
        os.rename(folder, old)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that processes which were killed left in a folder.

    Those of a process that lives are kept, and those of other hosts for a day.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            found = _TEMPORARY.fullmatch(path.name)
            if found is None:
                continue
            if found["host"] == socket.gethostname():
                over = not alive(int(found["pid"]))
            else:
                over = time.time() - path.stat().st_mtime > _FORGOTTEN
            if over:
                path.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Return whether a process of this host lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _reason(error: OSError) -> str:
    return error.strerror or str(error)

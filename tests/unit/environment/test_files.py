"""If these fail, results are lost with the machine, half written, or damaged without a word.

Worth reading: `test_files_change_together_whenever_the_machine_stops`.
"""

from __future__ import annotations

import errno
import io
import os
import resource
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from femssb.environment import files
from femssb.environment.files import (
    append_seal,
    check_listed,
    check_seal,
    finish,
    given_path,
    make_folder,
    newest,
    read_sealed,
    read_together,
    remove_leftovers,
    replacing,
    replacing_together,
    take_over,
)
from femssb.errors import InputError
from tests.faults import Stopped, failing


def names(folder: Path) -> set[str]:
    """Return the names in a folder."""
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("value", ["", "  ", "a\0b", b"", 3, None, ["a"]])
def test_what_is_no_path_is_refused(value: Any) -> None:
    """Catches an empty variable of a script that stands for the current folder."""
    with pytest.raises(InputError, match="run: folder"):
        given_path("run", "folder", value)
    assert given_path("run", "folder", ".") == Path()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE])
def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, number: int) -> None:
    """Catches half a file, the old one lost, a temporary one left, an error without its path."""
    path = tmp_path / "numbers.txt"
    path.write_text("old")

    def write() -> None:
        with replacing(path, seal=True) as temporary, temporary.open("w") as file:
            file.write("new")

    with failing(within=tmp_path) as tried:
        write()
    assert {"open", "write", "fsync", "replace"} <= set(tried)
    assert read_sealed(path) == b"new"
    path.write_text("old")
    for at in range(len(tried) - 1):  # the last one removes the temporary file, which is gone
        with (
            pytest.raises(InputError, match=rf"cannot write .*numbers\.txt: {os.strerror(number)}"),
            failing(at, within=tmp_path, number=number),
        ):
            write()
        assert path.read_text() == "old" or read_sealed(path) == b"new"
        assert number != errno.ENOSPC or names(tmp_path) == {"numbers.txt"}
        path.write_text("old")


def test_a_file_is_on_the_disk_before_it_replaces_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a file that is empty after a power cut: its name came to the disk before it."""
    done: list[tuple[str, str]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        done.append(("fsync", os.readlink(f"/proc/self/fd/{handle}")))
        real(handle)

    def replace(source: Path, target: Path) -> None:
        done.append(("replace", str(source)))
        os.rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    with replacing(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"content")
    assert [step for step, _ in done] == ["fsync", "replace", "fsync"]
    assert [path for _, path in done] == [str(temporary), str(temporary), str(tmp_path)]


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    """Would catch a table that takes the place of a device: /dev/null, where root asked for it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="it is a device"), replacing(pipe) as new:
        new.write_text("numbers")
    assert pipe.is_fifo()


def test_a_limit_of_the_size_is_one_error(tmp_path: Path) -> None:
    """Catches a process that a quota ends with a signal or a traceback."""
    script = (
        "import sys, resource; from pathlib import Path\n"
        "from femssb.environment.files import replacing, InputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with replacing(Path(sys.argv[1])) as temporary: temporary.write_bytes(bytes(5000))\n"
        "except InputError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "big")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"cannot write {tmp_path / 'big'}: File too large"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
    assert not list(tmp_path.iterdir())


def test_any_bit_of_a_sealed_file_that_turned_is_known(tmp_path: Path) -> None:
    """Catches what the checksums within a zip file leave out: names, times, the directory."""
    path = tmp_path / "sealed.npz"
    with replacing(path, seal=True) as temporary:
        np.savez(temporary, a=np.arange(3.0))
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 11):
        turned = bytearray(content)
        turned[bit // 8] ^= 1 << bit % 8
        path.write_bytes(turned)
        for check in (read_sealed, check_seal):
            with pytest.raises(InputError, match=r"sealed\.npz is damaged"):
                check(path)
    for length in (0, 1, 72, 73, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"sealed\.npz is damaged"):
            read_sealed(path)
    path.write_bytes(content)
    assert check_seal(path) == len(content) - 73
    np.testing.assert_array_equal(np.load(io.BytesIO(read_sealed(path)))["a"], np.arange(3.0))


def test_other_programs_read_sealed_files(tmp_path: Path) -> None:
    """Catches a seal that only we can read past."""
    archive, table = tmp_path / "a.npz", tmp_path / "a.h5"
    np.savez(archive, a=np.arange(3.0))
    with h5py.File(table, "w") as file:
        file["a"] = np.arange(3.0)
    for path in (archive, table):
        append_seal(path)
    np.testing.assert_array_equal(np.load(archive)["a"], np.arange(3.0))
    assert zipfile.ZipFile(archive).testzip() is None
    with h5py.File(table) as file:
        np.testing.assert_array_equal(file["a"][:], np.arange(3.0))


OLD = {"a": b"1", "b": b"2", "gone": b"3"}
NEW = {"a": b"4", "b": b"5", "c": b"6"}


def write_old(folder: Path) -> None:
    """Write some files, and one that is not ours."""
    with replacing_together(folder) as new:
        for name, content in OLD.items():
            (new / name).write_bytes(content)
    (folder / "notes").write_text("mine")


def write_new(folder: Path) -> None:
    """Change some of them, add one and remove one."""
    with replacing_together(folder, removing=["gone"]) as new:
        for name, content in NEW.items():
            (new / name).write_bytes(content)


def state(folder: Path) -> dict[str, bytes]:
    """Return the files that count, all of them checked."""
    present = {"a", "b"} | ({"gone"} if "gone" in files._sums(folder) else {"c"})
    return read_together(folder, sorted(present))


@pytest.mark.parametrize("stops", [True, False])
def test_files_change_together_whenever_the_machine_stops(tmp_path: Path, stops: bool) -> None:
    """Catches a folder of old and new files, or one that cannot be read, at any moment."""
    with failing(within=tmp_path) as tried:
        write_old(tmp_path / "whole")
        first = len(tried)
        write_new(tmp_path / "whole")
    assert state(tmp_path / "whole") == NEW
    assert names(tmp_path / "whole") == {*NEW, "notes", "SHA256SUMS"}
    count = len(tried) - first
    assert count > 20
    reached = set()
    for at in range(count):
        folder = tmp_path / str(at)
        with failing(within=tmp_path):  # without waiting for the disk
            write_old(folder)
        try:
            with failing(at, within=tmp_path, stops=stops):
                write_new(folder)
        except (Stopped, InputError):
            pass
        found = state(folder)
        assert found in (OLD, NEW)
        reached.add(found == NEW)
        assert newest(folder, "a").read_bytes() == found["a"]
        assert check_listed(folder, "b").read_bytes() == found["b"]
        finish(folder)  # what the next writer does
        assert state(folder) == found
        with failing(within=tmp_path):
            write_new(folder)  # there is room again
        assert state(folder) == NEW
        assert names(folder) == {*NEW, "notes", "SHA256SUMS"}
        assert (folder / "notes").read_text() == "mine"
    assert reached == {True, False}


def write_replacement(folder: Path) -> None:
    """Replace all that a folder holds, folders included."""
    new = folder / ".starting"
    make_folder(new)
    write_new(new)
    (new / "empty").mkdir(exist_ok=True)
    write_old(new / "fields")
    take_over(folder, new)


def test_a_folder_is_replaced_whenever_the_machine_stops(tmp_path: Path) -> None:
    """Catches old fields under a new series, or results that neither run had."""

    def make(folder: Path) -> Path:
        write_old(folder)
        write_new(folder / "fields")
        write_new(folder / "empty")
        return folder

    make(tmp_path / "whole")
    with failing(within=tmp_path) as tried:
        write_replacement(tmp_path / "whole")
    for at in range(len(tried)):
        with failing(within=tmp_path):
            folder = make(tmp_path / str(at))
        with pytest.raises(Stopped), failing(at, within=tmp_path, stops=True):
            write_replacement(folder)
        found = state(folder)
        fields = state(newest(folder, "fields"))
        assert (found, fields) in ((OLD, NEW), (NEW, OLD))
        finish(folder)
        assert (state(folder), state(folder / "fields")) == (found, fields)
        assert (folder / "empty").exists() == (found == OLD)
        assert not names(folder) & {".ready", ".old"}


def test_what_does_not_fit_its_checksum_is_named(tmp_path: Path) -> None:
    """Catches a file that was changed, is missing, or whose checksum is."""
    write_old(tmp_path)
    (tmp_path / "a").write_bytes(b"9")
    with pytest.raises(InputError, match=r"/a is damaged"):
        read_together(tmp_path, ["b", "a"])
    with pytest.raises(InputError, match=r"/a is damaged"):
        check_listed(tmp_path, "a")
    (tmp_path / "b").unlink()
    with pytest.raises(InputError, match=r"cannot read .*/b: No such file"):
        read_together(tmp_path, ["b"])
    (tmp_path / "SHA256SUMS").write_text("nonsense\n")
    with pytest.raises(InputError, match="SHA256SUMS is missing or damaged: it does not list gone"):
        read_together(tmp_path, ["gone"])


def test_checksums_name_files_of_their_folder_only(tmp_path: Path) -> None:
    """Catches a list from elsewhere by which a file outside of the folder is removed."""
    (tmp_path / "mine").write_text("precious")
    write_old(tmp_path / "results")
    with (tmp_path / "results" / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  ../mine\n{'0' * 64}  ..\n")
    write_new(tmp_path / "results")
    assert (tmp_path / "mine").exists()
    assert state(tmp_path / "results") == NEW


def test_coreutils_check_the_checksums(tmp_path: Path) -> None:
    """Catches a list that `sha256sum` does not understand."""
    write_old(tmp_path)
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_a_reader_beside_a_writer_sees_one_state(tmp_path: Path) -> None:
    """Catches a plot of a run that goes on, with rows of one moment and steps of another."""
    done = threading.Event()

    def write(number: int) -> None:
        with replacing_together(tmp_path) as new:
            for name in ("a", "b", "c"):
                (new / name).write_text(str(number))

    def keep_writing() -> None:
        for number in range(1, 15):
            write(number)
        done.set()

    write(0)
    writer = threading.Thread(target=keep_writing)
    writer.start()
    seen = set()
    while not done.is_set():
        found = set(read_together(tmp_path, ["a", "b", "c"]).values())
        assert len(found) == 1
        seen |= found
    writer.join()
    assert len(seen) > 1


def test_left_over_temporary_files_go(tmp_path: Path) -> None:
    """Catches folders that fill up with the remains of killed runs, and work of others removed."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here, day = socket.gethostname(), 25 * 3600
    stays = {f".{here}.{os.getpid()}.part.a.csv", ".elsewhere.7.part.a.csv", ".profile", "a.csv"}
    goes = {f".{here}.{dead.pid}.part.a.csv", ".elsewhere.8.part.a.csv"}
    for name in stays | goes:
        (tmp_path / name).touch()
    old = time.time() - day
    os.utime(tmp_path / ".elsewhere.8.part.a.csv", (old, old))
    remove_leftovers(tmp_path)
    assert names(tmp_path) == stays


def test_a_folder_that_cannot_be_synced_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches results that cannot be written to a share of another system."""
    real = os.fsync

    def fsync(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "no")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("a")
    assert (tmp_path / "a").read_text() == "a"

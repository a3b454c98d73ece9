"""Files are read in a process of their own: what happens there must end as answer or error."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from femssb.environment import isolation
from femssb.environment.isolation import in_child
from femssb.errors import InputError, MeshError

READERS = """
import ctypes, os, sys, time
import numpy as np
from femssb.errors import MeshError

def everything(path, word):
    return {
        "word": [word, path.read_text(), None, True, 1.5, (1, 2)],
        "arrays": [np.arange(6, dtype=">i2").reshape(2, 3).T, np.array(3.5), np.empty((0, 3)),
                   np.array([True, False]), np.float32(2)],
        "\\u00e9": {"inner": np.arange(3, dtype=np.uint64)},
    }

def crash(path): ctypes.string_at(0)
def abort(path): os.abort()
def leave(path): os._exit(0)
def system_exit(path): sys.exit("no format")
def hang(path): time.sleep(100)
def recurse(path): recurse(path)
def fill(path): return np.ones((10**6, 10**6))
def key(path): raise KeyError("missing")
def ours(path): raise MeshError("no tetrahedra")
def pickled(path): return np.array([print], dtype=object)
def talk(path):
    os.write(1, b"x" * 10**6)
    os.write(2, b"x" * 10**6)
def write(path): path.with_name("made").write_text("by the reader")
def environment(path): return dict(os.environ)
"""


@pytest.fixture
def readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that the child finds, as it finds femssb: by the search path of this process."""
    (tmp_path / "readers_of_a_test.py").write_text(READERS)
    (tmp_path / "file").write_text("text")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "readers_of_a_test", raising=False)
    return import_module("readers_of_a_test")


def test_answers_come_back(readers: Any, tmp_path: Path) -> None:
    """Catches arrays that change type, order or shape on their way."""
    found = in_child(readers.everything, tmp_path / "file", "wörd\ud800")
    assert found["word"] == ["wörd\ud800", "text", None, True, 1.5, [1, 2]]
    turned, single, empty, flags, scalar = found["arrays"]
    assert turned.dtype == np.dtype(">i2")
    assert turned.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert (single.shape, float(single), empty.shape, scalar) == ((), 3.5, (0, 3), 2.0)
    assert flags.dtype == bool
    assert found["é"]["inner"].dtype == np.uint64


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("crash", "its reader ended by SIGSEGV"),
        ("abort", "its reader ended by SIGABRT"),
        ("leave", r"ended without an answer \(exit code 0\)"),
        ("system_exit", "SystemExit: no format"),
        ("recurse", "RecursionError"),
        ("fill", "takes more memory than a file of its size can need"),
        ("key", "KeyError: 'missing'"),
        ("pickled", "TypeError"),
        ("write", "OSError.*too large"),
    ],
)
def test_whatever_happens_is_an_input_error(
    readers: Any, tmp_path: Path, name: str, reason: str
) -> None:
    """Catches a crash that takes this process along, or one that nobody is told of."""
    with pytest.raises(InputError, match=rf"file is damaged, cut off.*{reason}"):
        in_child(getattr(readers, name), tmp_path / "file")


def test_errors_of_femssb_keep_their_kind(readers: Any, tmp_path: Path) -> None:
    """Catches a mesh without tetrahedra that is said to be a damaged file."""
    with pytest.raises(MeshError, match=r"^no tetrahedra$"):
        in_child(readers.ours, tmp_path / "file")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        in_child(readers.ours, tmp_path / "nowhere")


def test_a_reader_that_hangs_is_stopped(
    readers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a file that keeps a run waiting for ever."""
    monkeypatch.setattr(isolation, "PATIENCE", 1.0)
    with pytest.raises(InputError, match="took more than 1 s"):
        in_child(readers.hang, tmp_path / "file")


def test_a_reader_that_talks_is_not_heard(
    readers: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Catches a child that waits for somebody to read what it prints, or fills the screen."""
    assert in_child(readers.talk, tmp_path / "file") is None
    assert capfd.readouterr() == ("", "")


def test_the_child_is_no_rank(
    readers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a child that joins the ranks of its parent, and then waits for them."""
    variables = (
        "PMI_RANK",
        "PMIX_RANK",
        "OMPI_COMM_WORLD_RANK",
        "HYDI_CONTROL_FD",
        "MPI_LOCALNRANKS",
    )
    for variable in (*variables, "PYTHONSTARTUP", "PYTHONINSPECT"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("HOLIDAY", "yes")
    found = in_child(readers.environment, tmp_path / "file")
    assert found["HOLIDAY"] == "yes"
    assert not {*variables, "PYTHONSTARTUP", "PYTHONINSPECT"} & found.keys()


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    """Catches a child that runs the script of the user again, or a module next to the file."""
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the current folder')")
    (tmp_path / "file").write_text("text")
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\n"
        "from pathlib import Path\n"
        "from femssb.environment.isolation import _size, in_child\n"
        "print(in_child(_size, Path('file')))\n"
    )
    root = str(Path(isolation.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-P", str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["once", "4"], done.stderr

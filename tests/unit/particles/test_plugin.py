"""The plugin of the plastic law: compiled once, kept where only the user can write, and checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest

from femssb.environment.files import read_sealed, replacing
from femssb.errors import EngineError
from femssb.library.cathodes import NCM523
from femssb.packing import Packing
from femssb.particles import ElasticPlastic
from femssb.particles.lammps import plugin
from femssb.particles.lammps.engine import Engine
from femssb.units import um

LAW = ElasticPlastic(solids={"AM": NCM523}, yield_pressures={"AM": 1e9})
BALL = Packing(
    positions=[[5 * um] * 3],
    radii=[2 * um],
    phases=[0],
    phase_names=("AM",),
    lower=[0.0] * 3,
    upper=[10 * um] * 3,
)


def start() -> None:
    """Start LAMMPS with the plugin."""
    with Engine(BALL, LAW, MPI.COMM_SELF) as engine:
        np.testing.assert_allclose(engine.positions(), BALL.positions)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of caches whose name no command of LAMMPS could hold."""
    folder = tmp_path / "a \"home\" 'of' $caches\n#1"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "femssb"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count what is compiled; the library stands for one."""
    made: list[str] = []

    def count(compiler: str, headers: Path, options: list[str]) -> bytes:
        made.append(compiler)
        return b"library"

    monkeypatch.setattr(plugin, "_compiled", count)
    return made


class Lammps:
    """As much of LAMMPS as says which one it is."""

    class Library:
        """Where it is."""

        _name = "liblammps.so"

    lib = Library()

    def __init__(self, version: int = 20250722) -> None:
        self._version = version

    def version(self) -> int:
        """Return when it was released."""
        return self._version

    def extract_setting(self, _: str) -> int:
        """Return the bytes of an identifier."""
        return 4


def test_a_library_that_is_no_library_is_made_again(home):
    """Would catch garbage in the cache that is loaded, or fails for ever; and a path that breaks.

    The garbage is sealed as ours is: it was compiled by another system, say.
    """
    start()
    (kept,) = home.glob("*.so")
    good = read_sealed(kept)
    assert kept.stat().st_mode & 0o777 == 0o600
    with replacing(kept, seal=True) as temporary:
        temporary.write_bytes(b"\x7fELF garbage")
    start()
    assert read_sealed(kept)[:4] == good[:4] == b"\x7fELF"
    assert len(read_sealed(kept)) == len(good)
    assert list(home.glob("*.so")) == [kept]


def test_it_is_compiled_once_and_checked_before_it_is_loaded(home, compiled):
    """Would catch minutes lost, and a damaged or truncated library that is loaded."""
    for _ in range(2):
        assert plugin._library(Lammps(), fresh=False) == b"library"
    assert len(compiled) == 1
    (kept,) = home.glob("*.so")
    whole = kept.read_bytes()
    for place in range(0, len(whole), 9):
        kept.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert plugin._library(Lammps(), fresh=False) == b"library"
    spoiled = -(-len(whole) // 9)
    assert len(compiled) == 1 + spoiled
    for length in range(0, len(whole), 9):
        kept.write_bytes(whole[:length])
        plugin._library(Lammps(), fresh=False)
    assert len(compiled) == 1 + 2 * spoiled
    assert kept.read_bytes() == whole


def test_its_name_changes_with_what_it_was_made_from(home, compiled, monkeypatch, tmp_path):
    """Would catch the library of another LAMMPS, compiler or version of femssb."""
    plugin._library(Lammps(), fresh=False)
    plugin._library(Lammps(20250612), fresh=False)
    monkeypatch.setattr(plugin, "_output", lambda command, folder=None: "another compiler")
    plugin._library(Lammps(), fresh=False)
    changed = tmp_path / "contacts.cpp"
    changed.write_text("// another law")
    monkeypatch.setattr(plugin, "SOURCE", changed)
    plugin._library(Lammps(), fresh=False)
    assert len(list(home.glob("*.so"))) == len(compiled) == 4


def test_no_folder_can_be_written(compiled, monkeypatch, tmp_path):
    """Would catch a read-only home that ends all work, or a library left in a common folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    monkeypatch.chdir(tmp_path)
    assert plugin._library(Lammps(), fresh=False) == b"library"
    assert not list(tmp_path.iterdir())


def test_a_home_that_others_can_write_is_refused(home, compiled):
    """Would catch code of others that runs with the rights of the user."""
    home.mkdir(parents=True)
    home.chmod(0o777)
    with pytest.raises(EngineError, match="can be written by others"):
        plugin._library(Lammps(), fresh=False)
    assert not compiled


def test_a_compiler_that_fails_says_why(home, monkeypatch):
    """Would catch a library that is half there, and an error without what is needed."""
    monkeypatch.setattr(plugin, "SOURCE", Path(__file__))
    with pytest.raises(EngineError, match=r"did not compile with .*mpicxx.*apt-get install g\+\+"):
        plugin._library(Lammps(), fresh=False)
    assert not list(home.glob("*.so"))


def test_several_processes_at_once(home, tmp_path):
    """Would catch one that loads what another has half written."""
    script = tmp_path / "one.py"
    script.write_text(
        "import time\n"
        "from pathlib import Path\n"
        "from femssb.particles.lammps import plugin\n"
        "def slow(*_):\n"
        "    open('made', 'a').write('x')\n"
        "    time.sleep(0.5)\n"
        "    return b'library' * 100_000\n"
        "plugin._compiled = slow\n"
        "plugin._how = lambda lammps: ('c++', Path('headers'), [])\n"
        "plugin._output = lambda command: 'version 1'\n"
        "class Lammps:\n"
        "    lib = type('Library', (), {'_name': 'liblammps.so'})\n"
        "    version = lambda self: 20250722\n"
        "assert plugin._library(Lammps(), fresh=False) == b'library' * 100_000\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script)]
    running = [subprocess.Popen(command, cwd=tmp_path, env=environment) for _ in range(3)]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert (tmp_path / "made").read_text() == "x"
    (kept,) = home.glob("*.so")
    assert read_sealed(kept) == b"library" * 100_000

"""The cache of compiled code: what is loaded from it runs with the rights of the user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from femssb.environment import cache
from femssb.errors import EngineError


@pytest.mark.parametrize("given", ["", "cache", "./cache", None])
def test_what_is_no_absolute_path_is_ignored(given, monkeypatch, tmp_path):
    """Would catch code that is loaded from the current folder, which may be anybody's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    if given is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert cache.home() == tmp_path / ".cache"
    assert cache.private_folder() == tmp_path / ".cache" / "femssb"


def test_other_libraries_ignore_it_too(tmp_path):
    """Would catch DOLFINx or Numba that load what lies in the current folder."""
    script = (
        "import os\n"
        "import femssb.environment.platform, femssb.environment.compiled\n"
        "import dolfinx.jit\n"
        "assert os.path.isabs(dolfinx.jit.DOLFINX_DEFAULT_JIT_OPTIONS['cache_dir'][0])\n"
        "print(*(x for x in os.environ if x in ('XDG_CACHE_HOME', 'XDG_CONFIG_HOME')))\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "here"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("\n", "")


def test_it_is_private(monkeypatch, tmp_path):
    """Would catch a folder in which others can look, or one that is made for all."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    folder = cache.private_folder()
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    assert cache.private_folder() == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def _link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


def _open(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)


def _open_above(folder: Path) -> None:
    folder.mkdir(0o700)
    folder.parent.chmod(0o777)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_link, "is a link or a file"),
        (Path.touch, "is a link or a file"),
        (_open, r"can be written by others \(mode 770\)"),
        (_open_above, "everyone can replace it"),
    ],
)
def test_what_may_be_of_others_is_refused(make, words, monkeypatch, tmp_path):
    """Would catch a library that somebody else put where ours is looked for."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    make(tmp_path / "femssb")
    with pytest.raises(EngineError, match=f"{words}.*XDG_CACHE_HOME"):
        cache.private_folder()


def test_the_folder_of_another_user_is_refused(monkeypatch, tmp_path):
    """Would catch an administrator who runs what a user has compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "femssb").mkdir(0o700)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(EngineError, match=f"belongs to user {owner}, not to user {owner + 1}"):
        cache.private_folder()


@pytest.mark.parametrize("place", ["/dev/null/cache", "/proc/cache"])
def test_none_can_be_written(place, monkeypatch):
    """Would catch a run that ends because a home is read-only, or there is none."""
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    assert cache.private_folder() is None


def test_numba_does_without_a_folder_and_with_a_damaged_one(tmp_path):
    """Would catch an install that cannot be written to, or a full disk, that ends all work."""
    (tmp_path / "code.py").write_text(
        "from femssb.environment.compiled import njit\n"
        "@njit(cache=True)\n"
        "def twice(x):\n"
        "    return 2 * x\n"
        "print(twice(3))\n"
    )
    for spoil in (False, True):
        for kept in tmp_path.rglob("*.nb[ic]") if spoil else ():
            kept.write_bytes(b"garbage")
        done = _python(tmp_path, {"NUMBA_CACHE_DIR": str(tmp_path / "kept")})
        assert done == "6\n"
        assert len(list(tmp_path.rglob("*.nbc"))) == 1
    nowhere = dict.fromkeys(("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"), "/dev/null/cache")
    blocked = tmp_path / "__pycache__"  # where Numba looks next
    if blocked.exists():
        blocked.rename(tmp_path / "other")
    blocked.touch()
    assert _python(tmp_path, nowhere) == "6\n"


def _python(folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "code.py"],
        cwd=folder,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout

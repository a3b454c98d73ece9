"""If these fail, a fresh clone cannot set itself up, or importing femssb is slow."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import util
from itertools import chain
from pathlib import Path

import pytest

import femssb
from tests import stages

ROOT = Path(__file__).parents[2]


def test_importing_femssb_is_quick_and_starts_nothing() -> None:
    """Catches a top-level import that starts MPI or costs the user seconds."""
    script = "import femssb, sys; femssb.Charge, femssb.InputError; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"dolfinx", "gmsh", "matplotlib", "mpi4py", "numpy", "petsc4py", "pyvista", "scipy"}
    assert heavy.isdisjoint(done.stdout.split())
    assert done.stderr == ""


@pytest.mark.parametrize("name", femssb.__all__)
def test_public_names_load(name: str) -> None:
    """Catches a public name whose home has moved."""
    assert getattr(femssb, name) is not None
    assert name in dir(femssb)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Catches a lazy import that breaks hasattr, and with it much of the world's tooling."""
    assert not hasattr(femssb, "no_such_name")


def _names(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[ <>=\[]", line)[0].lower() for line in requirements}


def _wanted() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return _names(chain(project["dependencies"], *project["optional-dependencies"].values()))


def test_conda_and_pip_ask_for_the_same() -> None:
    """Catches a dependency added to one route and forgotten in the other."""
    lines = (ROOT / "environment.yml").read_text().splitlines()
    conda = _names(line.strip()[2:] for line in lines if line.startswith("  - "))
    there = {
        "dolfinx-solver-real": "fenics-dolfinx",
        "lazy-loader": "lazy_loader",
        "gmsh": "python-gmsh",
        "matplotlib": "matplotlib-base",
    }
    assert {there.get(name, name) for name in _wanted()} <= conda


def test_every_wheel_is_pinned() -> None:
    """Catches a dependency without a tested version, which a release may break any day."""
    assert _wanted() <= _names((ROOT / "constraints.txt").read_text().splitlines())


def test_processors_that_cannot_be_imitated_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches `make test-portable` that runs twice as the same processor, or not at all."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    old = {"X86_V3": 2}
    assert "vector units" in str(stages.obstacle("SkylakeX", old, ["SkylakeX"]))
    assert "no OpenBLAS" in str(stages.obstacle("Haswell", old, ["Prescott"]))
    assert stages.obstacle("Haswell", old, ["Haswell"]) is None
    assert stages.variables("Nehalem", old)["NPY_DISABLE_CPU_FEATURES"] == "X86_V3"
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert "vector units" in str(stages.obstacle("Nehalem", {}, ["ARMV8"]))
    assert stages.obstacle(stages.NUMBERING, {}, ["ARMV8"]) is None


@pytest.fixture
def bare_machine(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A copy of what setup.sh reads, in a folder with a space, and a PATH without any Python."""
    clone, tools = tmp_path / "a clone", tmp_path / "bin"
    clone.mkdir()
    tools.mkdir()
    for name in ("setup.sh", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, clone)
    for tool in ("cat", "cksum", "dirname", "grep", "rm", "sh", "tr"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    return clone, {"PATH": str(tools), "HOME": str(tmp_path)}


def test_a_machine_without_python_gets_advice(
    bare_machine: tuple[Path, dict[str, str]],
) -> None:
    """Catches a set-up that fails with a shell error instead of three lines of advice."""
    clone, environment = bare_machine
    done = subprocess.run([clone / "setup.sh"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 3
    assert "Python >= 3.12" in done.stderr
    assert "environment.yml" in done.stderr
    assert not (clone / ".venv").exists()


def test_a_finished_setup_is_kept_and_a_changed_one_is_not(
    bare_machine: tuple[Path, dict[str, str]],
) -> None:
    """Catches a set-up that is repeated for each command, or never after a change or a move."""
    clone, environment = bare_machine
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    read = b"".join(
        (clone / name).read_bytes() for name in ("pyproject.toml", "constraints.txt", "setup.sh")
    )
    cksum = subprocess.run(["cksum"], input=read, capture_output=True, check=True).stdout.decode()
    (clone / ".venv" / "made-from").write_text(f"{clone.resolve()} {cksum}")

    def setup() -> int:
        return subprocess.run([clone / "setup.sh"], capture_output=True, env=environment).returncode

    assert setup() == 0
    python.chmod(0o644)  # broken: its interpreter was upgraded away
    assert setup() == 1
    python.chmod(0o755)
    (clone / "pyproject.toml").write_text("changed")
    assert setup() == 1


@pytest.mark.skipif(util.find_spec("dolfinx_solver") is None, reason="no wheels here")
@pytest.mark.parametrize("first", ["dolfinx", "petsc4py.PETSc", "femssb.environment.platform"])
def test_dolfinx_may_be_imported_before_femssb(first: str, tmp_path: Path) -> None:
    """Catches "libmpi.so.12: cannot open shared object file" in a script that begins as any other.

    What setup.sh puts into .venv is tried as it is written there.
    """
    text = (ROOT / "setup.sh").read_text()
    _, _, rest = text.partition("mpi_first.py\" <<'END'\n")
    (tmp_path / "mpi_first.py").write_text(rest.partition("\nEND\n")[0])
    script = f"import mpi_first, {first}, dolfinx, femssb; print(femssb.Model.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("Model\n", "")

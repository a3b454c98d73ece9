"""If these fail, the scripts that users start from do not run, or their answers are wrong."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).parents[3]


def run(demo, *arguments):
    """Run a demo and return what it said."""
    return subprocess.run(
        [sys.executable, f"demos/{demo}.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_design_map(tmp_path):
    """Catches a demo that no longer runs, and tortuosities that do not rise with the share."""
    done = run(
        "composite_cathode_design",
        *("--spacing", 1, "--box", 15, "--realisations", 1, "--out", tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert "At 1C:" in done.stdout
    with open(tmp_path / "electrodes.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    factors = [float(row["Tortuosity factor [-]"]) for row in rows]
    assert len(rows) == 6
    assert 1 < 1.3 * factors[0] < factors[-1]
    assert all(0 < float(row["SE utilisation [-]"]) <= 1 for row in rows)
    assert (tmp_path / "design.png").stat().st_size > 10_000


def test_the_conductivity_of_a_stack_from_elsewhere(tmp_path):
    """Catches names, axes or units lost between the file and the answer: a laminate of 2 and 1."""
    grey = np.full((12, 10, 8), 255, np.uint8)  # pages are planes across z
    grey[:, :, :4] = 127
    tifffile.imwrite(tmp_path / "stack.tif", grey)
    phases = ("--phases", "127=SE", "255=AM", "--conductivities", "SE=2", "AM=1")
    options = (*phases, "--spacing", 0.5, "--out", tmp_path)
    done = run("conductivity_of_an_image", tmp_path / "stack.tif", *options, "--axis", "x")
    assert done.returncode == 0, done.stderr
    assert "conductivity along x  1.33333 S/m" in done.stdout
    assert (tmp_path / "current.png").stat().st_size > 10_000


@pytest.mark.slow  # makes its example
def test_the_conductivity_of_the_example(tmp_path):
    """Catches an example that cannot be read back."""
    done = run("conductivity_of_an_image", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert tifffile.imread(tmp_path / "example.tif").shape == (75, 60, 60)
    assert "periodic, periodic, plates" in done.stdout


@pytest.mark.parametrize(
    ("demo", "arguments", "told"),
    [
        ("composite_cathode_design", ("--voltage-drop", -0.1), "voltage_drop = -0.1 V"),
        ("conductivity_of_an_image", ("--conductivities", "SE"), "'SE' must read NAME=S/m"),
    ],
)
def test_a_bad_argument_is_told_in_a_line(demo, arguments, told, tmp_path):
    """Catches a traceback, or work done before the argument is looked at."""
    done = run(demo, *arguments, "--out", tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1

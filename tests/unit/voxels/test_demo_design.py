"""If these fail, the design map that users start from is wrong or does not run."""

import csv
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
DEMO = "demos/composite_cathode_design.py"


def run(*arguments):
    """Run the demo and return what it said."""
    return subprocess.run(
        [sys.executable, DEMO, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


def test_the_demo_writes_its_table_and_map(tmp_path):
    """Catches a demo that no longer runs, and tortuosities that do not rise with the share."""
    done = run("--spacing", "1", "--box", "15", "--realisations", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "At 1C:" in done.stdout
    with open(tmp_path / "electrodes.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    factors = [float(row["Tortuosity factor [-]"]) for row in rows]
    assert len(rows) == 6
    assert 1 < 1.3 * factors[0] < factors[-1]
    assert all(0 < float(row["SE utilisation [-]"]) <= 1 for row in rows)
    assert (tmp_path / "design.png").stat().st_size > 10_000


def test_a_bad_argument_is_told_in_a_line():
    """Catches a traceback, or electrodes generated before the argument is looked at."""
    done = run("--voltage-drop", "-0.1")
    assert done.returncode == 2
    assert "voltage_drop = -0.1 V" in done.stderr
    assert done.stderr.count("\n") == 1

"""If these fail, the studies of paper 002 compare, repeat or resume the wrong thing.

Worth reading: `test_finished_cases_are_not_run_again`.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from mpi4py import MPI

import pytest

from femssb import Charge, HalfCell, InputError, Polycrystal, Solution, library
from femssb.cell.coupling import advance
from femssb.errors import FemssbError
from femssb.results.quantities import COLUMNS, PARTICLE_COLUMNS
from femssb.results.solution import SUMMARY
from femssb.run import simulation as loop
from femssb.units import um

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "demos"))

import comparison_page  # noqa: E402
import paper002  # noqa: E402
import reproduce_paper002  # noqa: E402

SMALL = HalfCell(
    width=9 * um,
    cathode=9 * um,
    separator=3 * um,
    particles=(Polycrystal(radius=3 * um, grains=3),),
)
SHORT = (Charge(c_rate=2, until_duration=60.0),)
STUDIES = {study.name: study for study in reproduce_paper002.STUDIES}


def small_cases(materials, size):
    """Return two quick cases."""
    case = paper002.Case(name="one", materials=materials, size=size, cell=SMALL, protocol=SHORT)
    return [case, replace(case, name="other", protocol=(Charge(c_rate=1, until_duration=60.0),))]


QUICK = paper002.Study(
    name="quick", title="Quick", cases=small_cases, trends=lambda runs: [], draw=lambda *_: []
)


@pytest.mark.parametrize("name", STUDIES)
def test_every_number_of_the_paper_belongs_to_a_case(name: str) -> None:
    """Catches a row that is never compared: a case or a quantity that no run has."""
    rows = paper002.targets(name)
    cases = {case.name for case in STUDIES[name].cases(library.yuan2023.materials(), 1 * um)}
    columns = {*COLUMNS, *PARTICLE_COLUMNS}
    for row in rows:
        assert row["case"] in cases
        column, _ = paper002.place(row["key"].removeprefix("ahead ").split(" from ")[0])
        generic = column.replace("particle 1", "particle k").replace("particle 2", "particle k")
        known = row["key"] in SUMMARY or row["key"] == "lithium_lost" or generic in columns
        assert known, row["key"]
        assert row["unit"] in paper002.UNITS
        assert row["reason"], row["key"]
        assert comparison_page.passes(float(row["paper"]), float(row["paper"]), row["band"]) in (
            (True, None) if row["band"] != "<" else (False,)
        )


@pytest.mark.parametrize("name", STUDIES)
def test_names_of_cases_differ(name: str) -> None:
    """Catches two cases that share a folder: the second would stand for the first."""
    cases = STUDIES[name].cases(library.yuan2023.materials(), 1 * um)
    folders = [paper002.folder_of(Path(), "as printed", case) for case in cases]
    assert len(set(folders)) == len(folders)


def test_studies_that_share_a_case_mean_the_same() -> None:
    """Catches a baseline that one study runs and another one, with other inputs, runs again."""
    seen: dict[Path, paper002.Case] = {}
    for study in STUDIES.values():
        for case in study.cases(library.yuan2023.materials(), 1 * um):
            folder = paper002.folder_of(Path(), "as printed", case)
            kept = seen.setdefault(folder, case)
            assert paper002.describe(kept) == paper002.describe(case), folder


@pytest.mark.parametrize(
    ("found", "paper", "band", "verdict"),
    [
        (102.0, 100.0, "2 %", True),
        (103.0, 100.0, "2 %", False),
        (-97.0, -100.0, "5 %", True),
        (1.0, 3.0, "x3.16", True),
        (1.0, 4.0, "x3.16", False),
        (14.0, 15.0, "<", True),
        (16.0, 15.0, "<", False),
        (None, 1.0, "5 %", False),
        (5.0, 1.0, "none", None),
    ],
)
def test_bands(found: float | None, paper: float, band: str, verdict: bool | None) -> None:
    """Catches a band that passes what lies outside, or fails for a negative number."""
    assert comparison_page.passes(found, paper, band) is verdict


def test_finished_cases_are_not_run_again(tmp_path: Path, capsys) -> None:
    """Catches studies that repeat finished cases, or keep results of other inputs."""
    folders = [
        (paper002.folder_of(tmp_path, "as printed", case), case)
        for case in small_cases(library.yuan2023.materials(), 2.5 * um)
    ]
    assert paper002.run(folders[:1], jobs=1) == []
    assert capsys.readouterr().err.count("starts") == 1
    assert paper002.run(folders, jobs=1) == []
    assert capsys.readouterr().err.count("starts") == 1  # only the other one
    changed = [(folder, replace(case, protocol=SHORT)) for folder, case in folders]
    assert paper002.run(changed, jobs=1) == []
    assert capsys.readouterr().err.count("starts") == 1
    assert Solution.load(folders[1][0]).steps[0].description.startswith("Charge 2C")


def test_a_stopped_case_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a study that begins a case anew when it is started again."""
    case = small_cases(library.yuan2023.materials(), 2.5 * um)[0]
    work = [(paper002.folder_of(tmp_path, "as printed", case), case)]
    monkeypatch.setattr("femssb.run.record.CHECKPOINT_EVERY", 0.0)
    taken: list[float] = []

    def counted(*arguments, **named):
        taken.append(named["time_step"])
        if len(taken) == 8:
            raise FemssbError("stopped")
        return advance(*arguments, **named)

    monkeypatch.setattr(loop, "advance", counted)
    assert len(paper002.run(work, jobs=1)) == 1  # failed
    kept = Solution.load(work[0][0]).series["Time [s]"]
    assert paper002.run(work, jobs=1) == []
    whole = Solution.load(work[0][0]).series["Time [s]"]
    assert 1 < len(kept) < len(whole)
    assert (whole[: len(kept)] == kept).all()


def test_a_page_of_a_study_has_every_run(tmp_path: Path) -> None:
    """Catches a table that leaves out a case or a parameter set."""
    given = paper002.parser("").parse_args(["--out", str(tmp_path), "--size", "2.5"])
    paper002.perform([QUICK], given, page="page")
    with (tmp_path / "quick" / "table.csv").open(newline="") as file:
        rows = [(row["parameters"], row["case"]) for row in csv.DictReader(file)]
    assert rows == [(name, case) for name in paper002.SETS for case in ("one", "other")]
    for file in ("page.md", "page.html", "quick/comparison.md"):
        assert "Quick" in (tmp_path / file).read_text()


def test_an_unknown_case_number_is_refused(tmp_path: Path) -> None:
    """Catches a job array that is one too long and silently runs nothing."""
    given = paper002.parser("").parse_args(["--out", str(tmp_path), "--case", "5"])
    with pytest.raises(InputError, match="--case 5 is not between 1 and 4"):
        paper002.perform([QUICK], given)


def test_help_of_every_study() -> None:
    """Catches a script that does not start."""
    for name in (*(f"{study}_study" for study in ("c_rate", "pressure")), "reproduce_paper002"):
        done = subprocess.run(
            [sys.executable, ROOT / "demos" / f"{name}.py", "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert "--jobs" in done.stdout


@pytest.mark.mpi
def test_groups_of_ranks_share_the_cases(comm: MPI.Comm, shared_path: Path) -> None:
    """Catches cases that no group, or two groups, run; and groups that wait for each other."""
    work = [
        (paper002.folder_of(shared_path, "as printed", case), case)
        for case in small_cases(library.yuan2023.materials(), 2.5 * um)
    ]
    assert paper002.run(work, jobs=2) == []
    comm.Barrier()
    assert all(len(Solution.load(folder).steps) == 1 for folder, _ in work)

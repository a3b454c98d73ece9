"""If these fail, studies compare, repeat or resume the wrong thing.

Worth reading: `test_finished_cases_are_not_run_again` and
`test_a_failed_case_does_not_stop_the_others`.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from mpi4py import MPI

import pytest

from femssb import (
    Charge,
    FemssbError,
    HalfCell,
    InputError,
    Interrupted,
    Polycrystal,
    library,
    studies,
)
from femssb.cell.coupling import advance
from femssb.environment.lock import locked
from femssb.run import stepper as loop
from femssb.studies import (
    Cache,
    HalfCellRun,
    Measurement,
    MissingCase,
    Number,
    Results,
    Study,
    Table,
    Target,
    Text,
    perform,
    report,
    rising,
    run,
)
from femssb.units import nm, um

HALF_CELL = HalfCellRun(
    name="half-cell",
    materials=library.yuan2023.materials(),
    size=2.5 * um,
    cell=HalfCell(
        width=9 * um,
        cathode=9 * um,
        separator=3 * um,
        particles=(Polycrystal(radius=3 * um, grains=3),),
    ),
    protocol=(Charge(c_rate=2, until_duration=60.0),),
)
GAP = Target(
    study="quick", case="one", key="gap", quantity="gap", unit="nm", paper=14.3, band="5 %",
    reason="a | b",
)  # fmt: skip


def square(x: float) -> dict[str, float]:
    """Return numbers, or fail."""
    if x < 0:
        raise InputError(f"x = {x:g} is below 0")
    return {"square": x * x}


def case(name: str, x: float) -> Measurement:
    """Return a case that takes no time."""
    return Measurement(name=name, function=square, arguments={"x": x})


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
        (16.0, 15.0, ">", True),
        (None, 1.0, "5 %", False),
        (None, 1.0, "<", False),
        (5.0, 1.0, "none", None),
    ],
)
def test_bands(found: float | None, paper: float, band: str, verdict: bool | None) -> None:
    """Catches a band that passes what lies outside, or fails for a negative number."""
    assert replace(GAP, paper=paper, band=band).holds(found) is verdict


@pytest.mark.parametrize(("field", "value"), [("unit", "inch"), ("band", "about")])
def test_a_target_that_means_nothing_is_refused(field: str, value: str) -> None:
    """Catches a slip in a table of targets that would be found at the end of a long run."""
    with pytest.raises(InputError, match=f"Target.{field} = '{value}'"):
        replace(GAP, **{field: value})


def test_the_key_of_a_case_is_that_of_its_inputs() -> None:
    """Catches results that are found again for other inputs, or lost for a new name."""
    assert replace(HALF_CELL, name="other").key == HALF_CELL.key
    slow = replace(HALF_CELL, protocol=(Charge(c_rate=1, until_duration=60.0),))
    assert slow.key != HALF_CELL.key
    assert replace(slow, protocol=(Charge(c_rate=1.0, until_duration=60),)).key == slow.key
    assert replace(HALF_CELL, size=2.4 * um).key != HALF_CELL.key
    assert case("a", 1).key == case("b", 1.0).key != case("a", 2).key
    assert (
        replace(case("a", 1), made_from="word").key == replace(case("a", 2), made_from="word").key
    )


def test_studies_load_without_dolfinx() -> None:
    """Catches pages of finished runs that need DOLFINx, on a laptop without it."""
    script = (
        "import sys, femssb.studies as s; from femssb import library; "
        "s.HalfCellRun(name='a', materials=library.yuan2023.materials()).key; "
        "s.Cache('x').results([]); s.perform; print({'dolfinx', 'mpi4py.MPI'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_finished_cases_are_not_run_again(tmp_path: Path, capsys) -> None:
    """Catches studies that repeat finished cases, or keep results of other inputs."""
    cache = Cache(tmp_path)
    assert run([case("one", 1), case("the same", 1.0)], cache) == []
    assert capsys.readouterr().err.count("starts") == 1
    assert run([case("one", 1), case("two", 2)], cache) == []
    assert capsys.readouterr().err.count("starts") == 1  # only the other one
    found = cache.results([case("one", 1), case("two", 2), case("three", 3)])
    assert found == {"one": {"square": 1.0}, "two": {"square": 4.0}}
    with pytest.raises(MissingCase):
        found["three"]
    (cache.folder_of(case("one", 1)) / "numbers.json").write_text("{", encoding="utf-8")
    assert cache.find(case("one", 1)) is None


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failed_case_does_not_stop_the_others(jobs: int, tmp_path: Path) -> None:
    """Catches one bad case that ends a study of a day, and one that fails unseen."""
    study = Study(name="quick", title="Quick", cases=[case("bad", -1), case("good", 3)])
    with pytest.raises(FemssbError, match="1 of 2 cases failed: bad: x = -1 is below 0"):
        perform(study, out=tmp_path, jobs=jobs)
    with (tmp_path / "quick" / "table.csv").open(newline="") as file:
        assert [(row["case"], row["square"]) for row in csv.DictReader(file)] == [("good", "9")]
    assert "Failed: bad: x = -1" in (tmp_path / "comparison.md").read_text()


def test_one_case_by_its_number(tmp_path: Path) -> None:
    """Catches a job array that runs the wrong case, or is one too long and runs nothing."""
    study = Study(name="quick", title="Quick", cases=[case("one", 1), case("two", 2)])
    perform(study, out=tmp_path, case=2)
    assert set(Cache(tmp_path / "cases").results(study.cases)) == {"two"}
    assert not (tmp_path / "comparison.md").exists()
    with pytest.raises(InputError, match="case 3 is not between 1 and 2"):
        perform(study, out=tmp_path, case=3)


def test_names_of_cases_differ() -> None:
    """Catches two cases of one name: the second would stand for the first."""
    with pytest.raises(InputError, match="several are called 'one'"):
        Study(name="quick", title="Quick", cases=[case("one", 1), case("one", 2)])


def test_a_page_has_every_run_and_number(tmp_path: Path) -> None:
    """Catches a table that leaves out a case or a parameter set, and a verdict in the wrong one."""

    def study(factor: float) -> Study[Results[dict[str, float]]]:
        return Study(
            name="quick",
            title="Quick",
            cases=[case("one", 3 * factor), case("two", 4 * factor)],
            targets=[GAP, replace(GAP, case="lost"), replace(GAP, band="none", unit="%")],
            number=lambda found, target: Number(found[target.case]["square"] * 1.6 * nm, nm),
            others={"twice": lambda found, target: Number(2 * nm)},
            trends=lambda found: {
                "rises": lambda: rising([numbers["square"] for numbers in found.values()]),
                "is lost": lambda: found["lost"]["square"] > 0,
            },
            tables=lambda found: [Table(["n"], [[len(found)]])],
            notes=["A note."],
        )

    perform({"first": study(1), "second": study(-1)}, out=tmp_path, run_cases=False)
    assert "| gap |" in (tmp_path / "comparison.md").read_text()
    with pytest.raises(FemssbError, match="2 of 4 cases failed"):
        perform({"first": study(1), "second": study(-1)}, out=tmp_path, title="Title")
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert text.startswith("# Title\n")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| one")]
    assert rows[0][5:11] == ["14.4 ± 1", "+0.7 %", "yes", "-", "-", "**no**"]
    assert rows[0][11:13] == ["2", "2"]
    assert rows[0][13] == "a \\| b |"
    assert rows[1][7] == rows[1][10] == ""  # no target
    assert "| rises | yes | yes |" in text  # of nothing, too
    assert "| is lost | - | - |" in text
    assert "first: 1 of 3 numbers are outside of their bands." in text
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert page.count("<table>") == 3
    assert page.count('class="miss"') == 2


def test_warnings_of_a_run_are_on_the_page(tmp_path: Path) -> None:
    """Catches a doubtful run among the numbers of a study."""
    protocol = (Charge(c_rate=1, until_voltage=2.9),)
    doubtful = replace(HALF_CELL, name="doubtful", protocol=protocol)
    perform(Study(name="quick", title="Quick", cases=[doubtful]), out=tmp_path)
    page = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    (warned,) = [line for line in page.splitlines() if line.startswith("Warning, doubtful: ")]
    assert "protocol[0], 'Charge 1C until 2.9 V', ended at 0.05 s" in warned
    assert "already passed" in (tmp_path / "quick" / "table.csv").read_text(encoding="utf-8")


def test_a_renamed_number_is_no_missing_case(tmp_path: Path) -> None:
    """Catches a trend that stays open indefinitely because the number it reads has a new name."""
    found = Results(one={"square": 1.0})
    study = Study(
        name="quick", title="Quick", trends=lambda found: {"": lambda: found["one"]["cube"] > 0}
    )
    with pytest.raises(KeyError, match="cube"):
        report({"": (study, found)}, tmp_path)


def test_pictures_are_named_from_the_page(tmp_path: Path) -> None:
    """Catches links that work on the machine of the author only."""
    blocks = [Text("a < b"), studies.Picture(tmp_path / "my figures" / "one.png", "One")]
    files = studies.write_page(tmp_path / "page", "Title", blocks)
    markdown, html = (file.read_text(encoding="utf-8") for file in files)
    assert "![One](my%20figures/one.png)" in markdown
    assert 'src="my figures/one.png"' in html
    assert "a &lt; b" in html


def test_a_stopped_half_cell_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a study that begins a case again when it is started again."""
    cache = Cache(tmp_path)
    monkeypatch.setattr("femssb.run.record.CHECKPOINT_EVERY", 0.0)
    taken: list[float] = []

    def counted(*arguments, **named):
        taken.append(named["time_step"])
        if len(taken) == 8:
            raise FemssbError("stopped")
        return advance(*arguments, **named)

    monkeypatch.setattr(loop, "advance", counted)
    assert len(run([HALF_CELL], cache)) == 1  # failed
    assert cache.find(HALF_CELL) is None
    assert run([HALF_CELL], cache) == []
    whole = cache.find(HALF_CELL)
    assert whole is not None
    assert len(whole.series["Time [s]"]) > 7
    assert len(taken) < 7 + len(whole.series["Time [s]"])  # those before the stop were kept
    assert HALF_CELL.numbers(whole)["charge_time"] == pytest.approx(60.0)


@pytest.mark.mpi
def test_groups_of_ranks_share_the_cases(comm: MPI.Comm, shared_path: Path) -> None:
    """Catches cases that no group, or two groups, run; and groups that wait for each other."""
    cache = Cache(shared_path)
    other = replace(HALF_CELL, name="other", protocol=(Charge(c_rate=1, until_duration=60.0),))
    assert run([HALF_CELL, other], cache, jobs=comm.size) == []
    assert run([case("one", 1), case("two", 2), case("bad", -1)], cache) == [
        "bad: x = -1 is below 0"
    ]
    comm.Barrier()
    assert len(cache.results([HALF_CELL, other, case("one", 1), case("two", 2)])) == 4


def test_damaged_numbers_are_measured_again(tmp_path: Path) -> None:
    """Catches a digit that changed on the disk and ends up in a figure."""
    cache, one = Cache(tmp_path), case("one", 3.0)
    assert run([one], cache) == []
    file = cache.folder_of(one) / "numbers.json"
    file.write_text(file.read_text().replace("9", "8"))
    assert cache.find(one) is None
    assert run([one], cache) == []
    assert cache.find(one) == {"square": 9.0}


def test_two_processes_do_not_work_on_one_case(tmp_path: Path) -> None:
    """Catches two studies with one cache whose runs write over each other."""
    cache, one = Cache(tmp_path), case("one", 3.0)
    with locked(cache.folder_of(one)):
        (failure,) = run([one], cache)
    assert "another run is going on" in failure
    assert run([one], cache) == []


def test_a_study_needs_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches pages strewn over the current folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"perform\.out must be a word, got ''"):
        perform(Study(name="quick", title="Quick", cases=[case("one", 1)]), out="")
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Stopping(Measurement):
    """A case within which a rank is asked to stop."""

    def run(self, folder: Path, *, comm: MPI.Intracomm | None, progress: bool) -> None:
        """Be stopped."""
        raise Interrupted(signal.SIGTERM)


@pytest.mark.mpi
def test_groups_stop_together(comm: MPI.Comm, shared_path: Path) -> None:
    """Catches ranks that wait for a group that was stopped, or go on with the next case."""
    stopping = Stopping(name="stopping", function=square, arguments={"x": 1.0})
    object.__setattr__(stopping, "serial", False)
    cases = [stopping, case("one", 5), case("two", 6), case("three", 7), case("four", 8)]
    with pytest.raises(Interrupted):
        run(cases, Cache(shared_path), jobs=comm.size)


OF_A_SCRIPT = """
import sys
from pathlib import Path
from femssb.studies import Cache, Measurement, run

def twice(x):
    return {"y": 2 * x}

if __name__ == "__main__":
    cases = [
        Measurement(name=str(x), function=twice, arguments={"x": x}) for x in (1.0, 3.0)
    ]
    run(cases, cache := Cache(Path(sys.argv[1]) / "cases"), jobs=2)
    print(dict(cache.results(cases)))
"""
STUDY = """
import os, sys, time
from pathlib import Path
import femssb
from femssb.studies import Cache, Measurement, run

def wait(x, out):
    Path(out, f"{os.getpid()}.pid").touch()
    time.sleep(60)
    return {"x": x}

def main(out: Path):
    cases = [
        Measurement(name=str(x), function=wait, arguments={"x": x, "out": str(out)})
        for x in (1.0, 2.0, 3.0, 4.0)
    ]
    run(cases, Cache(out / "cases"), jobs=2)

if __name__ == "__main__":
    sys.exit(femssb.command(main))
"""


def test_cases_of_a_script_are_found_whichever_process_ran_them(tmp_path: Path) -> None:
    """Catches functions of a script with another name, and key, in the processes it starts."""
    (tmp_path / "study.py").write_text(OF_A_SCRIPT)
    command = [sys.executable, str(tmp_path / "study.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "{'1.0': {'y': 2.0}, '3.0': {'y': 6.0}}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_processes_of_a_study_stop_with_it(tmp_path: Path, number: int) -> None:
    """Catches processes that outlive a study, and a study that works on after Ctrl-C."""
    (tmp_path / "study.py").write_text(STUDY)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "study.py"), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while len(workers := list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert said.splitlines()[-1] == f"femssb: stopped by {signal.Signals(number).name}"
    assert "Traceback" not in said
    assert len(workers) == 2
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(int(worker.stem), 0)

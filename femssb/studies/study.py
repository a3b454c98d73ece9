"""What the studies of paper 002 share: cases, the loop over them, comparison with the paper.

C. Yuan, W. Lu, J. Xu, "Electrochemical-Mechanical Coupling Failure Mechanism of Composite Cathode
in All-Solid-State Batteries" (2023). Each study is a script beside this file::

    mpirun -n 2 python demos/c_rate_study.py --size 1.2 --jobs 2   # two cases at a time
    python demos/c_rate_study.py --case 3                          # one case: for a job array

A case that is finished in the folder of results is not run again, one that was stopped goes on from
its checkpoint; studies that have a case in common share it.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
import traceback
from argparse import ArgumentDefaultsHelpFormatter, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from comparison_page import Block, Heading, Picture, Table, Text, html, markdown, passes

from femssb import Charge, Discharge, HalfCell, Model, Simulation, Solution, library, mesh
from femssb.__main__ import Parser, exit_code
from femssb.cell.coupling import Tolerances
from femssb.cell.model import Couplings
from femssb.errors import FemssbError, InputError
from femssb.inputs.boundary import Fixed, Free, Support
from femssb.inputs.case import describe
from femssb.inputs.materials import Materials
from femssb.inputs.protocol import Step
from femssb.library.yuan2023 import CALIBRATED
from femssb.plotting import Reference
from femssb.results.quantities import of_particle
from femssb.run.stepping import Stepping
from femssb.units import GPa, nm, pmol, um

SETS = {  # the two parameter sets that stand side by side in every table
    "as printed": library.yuan2023.materials,
    "calibrated": lambda: library.yuan2023.materials(values=CALIBRATED),
}
BANDS = Path(__file__).parents[1] / "tests" / "validation" / "paper002.csv"
UNITS = {"s": 1.0, "%": 0.01, "nm": nm, "GPa": GPa, "pmol": pmol, "-": 1.0, "1e-3": 1e-3, "V": 1.0}
COLUMNS = {  # of the series, and the summary keys that begin like them
    "lithium": "Lithium [mol]",
    "gap_mean": "Mean gap [m]",
    "gap_max": "Maximum gap [m]",
    "von_mises_max": "Maximum von Mises stress [Pa]",
    "von_mises_p99": "99 % von Mises stress [Pa]",
    "volumetric_strain_max": "Minimum volumetric strain [-]",
    "volumetric_strain_p999": "0.1 % volumetric strain [-]",
}
SOURCE = "Yuan et al. 2023"
CYCLE_1C = (Charge(c_rate=1, until_voltage=4.3), Discharge(c_rate=1, until_voltage=3.0))


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run of a study."""

    name: str  # also of its folder
    materials: Materials
    protocol: tuple[Step, ...] = CYCLE_1C
    cell: HalfCell = HalfCell()  # noqa: RUF009  (frozen)
    size: float = 0.8 * um  # of the mesh in the particles [m]
    collector: Support = Fixed()  # noqa: RUF009
    anode: Support = Free()  # noqa: RUF009
    couplings: Couplings = Couplings()  # noqa: RUF009
    tolerances: Tolerances = Tolerances()  # noqa: RUF009
    stepping: Stepping = Stepping()  # noqa: RUF009


@dataclass(frozen=True, kw_only=True)
class Study:
    """A table of cases, the trends they must show and how they are drawn.

    A study gets its cases from a parameter set and a mesh size; `draw` and `table` get the finished
    runs by name. `draw` also gets the path of its first figure, and returns the paths of all.
    """

    name: str
    title: str
    cases: Callable[[Materials, float], Sequence[Case]]
    trends: Callable[[Mapping[str, Solution]], Sequence[tuple[str, bool]]]
    draw: Callable[[Mapping[str, Solution], Path], Sequence[Path]]
    table: Callable[[Mapping[str, Solution]], Table] | None = None  # what else is to be read
    notes: tuple[str, ...] = ()  # for instance where the paper contradicts itself


def parser(description: str | None) -> Parser:
    """Return the arguments that all studies have."""
    given = Parser(description=description, formatter_class=ArgumentDefaultsHelpFormatter)
    given.add_argument("--size", type=float, default=0.8, help="mesh size in the particles [um]")
    given.add_argument("--jobs", type=int, default=1, help="cases at a time; they share the ranks")
    given.add_argument("--case", type=int, help="run this case only, from 1; draws nothing")
    given.add_argument("--set", choices=[*SETS, "both"], default="both", help="parameters")
    given.add_argument("--out", default="results/paper002", help="folder for the results")
    return given


def main(study: Study, description: str | None) -> None:
    """Run one study as its arguments say, and write its table, figure and comparison."""
    sys.exit(exit_code(lambda: perform([study], parser(description).parse_args())))


def perform(studies: Sequence[Study], given: Namespace, *, page: str | None = None) -> None:
    """Run studies and write what they find.

    Args:
        studies: What to run.
        given: The arguments of `parser`.
        page: Name of one page of all studies; None for the pages of each alone.

    Raises:
        FemssbError: If a case failed; what did not is in the tables.
    """
    chosen = list(SETS) if given.set == "both" else [given.set]
    out, size = Path(given.out), given.size * um
    work: dict[Path, Case] = {}
    for study in studies:
        for name in chosen:
            for case in study.cases(SETS[name](), size):
                work[folder_of(out, name, case)] = case
    folders = list(work)
    if given.case is not None:
        if not 1 <= given.case <= len(folders):
            raise InputError(f"--case {given.case} is not between 1 and {len(folders)}")
        folders = folders[given.case - 1 : given.case]
    failed = run([(folder, work[folder]) for folder in folders], jobs=given.jobs)
    if given.case is None and MPI.COMM_WORLD.rank == 0:
        blocks = [block for study in studies for block in report(study, out, chosen, size)]
        if page is not None:
            title = f"Paper 002 reproduced, mesh size {given.size:g} um"
            (out / f"{page}.md").write_text(f"# {title}\n\n{markdown(blocks, out)}")
            (out / f"{page}.html").write_text(html(title, blocks, out))
    if failed:
        raise FemssbError(f"{len(failed)} of {len(folders)} cases failed: {'; '.join(failed)}")


def folder_of(out: Path, parameters: str, case: Case) -> Path:
    """Return where a case keeps its results."""
    return out / parameters.replace(" ", "_") / f"{case.size / um:g}um" / case.name


def run(work: Sequence[tuple[Path, Case]], *, jobs: int) -> list[str]:
    """Run what is not finished yet, several at a time; return what failed, on every rank."""
    world = MPI.COMM_WORLD
    groups = max(1, min(jobs, world.size))
    group = world.rank * groups // world.size
    comm = world.Split(group, world.rank)
    failed = []
    for number, (folder, case) in enumerate(work):
        if number % groups != group:
            continue
        if comm.bcast(finished(folder, case), root=0):
            continue
        say(comm, f"{folder}: starts on {comm.size} rank(s)")
        try:
            solve(case, folder, comm=comm, progress=groups == 1)
            say(comm, f"{folder}: done")
        except FemssbError as error:
            failed.append(f"{folder}: {error}")
            say(comm, failed[-1])
        except Exception:  # one rank alone would leave the others waiting
            traceback.print_exc()
            world.Abort(1)
    every = world.allgather(failed if comm.rank == 0 else [])
    comm.Free()
    return [item for one in every for item in one]


def near(
    runs: Mapping[str, Solution], text: str, key: str, one: str, other: str, share: float = 0.1
) -> tuple[str, bool]:
    """Return a trend: a number is the same in two cases up to a share of it."""
    if one not in runs or other not in runs:
        return text, False
    first, second = runs[one].summary[key], runs[other].summary[key]
    return text, abs(first - second) <= share * abs(first)


def say(comm: MPI.Comm, text: str) -> None:
    """Print on the first rank of a group."""
    if comm.rank == 0:
        print(text, file=sys.stderr, flush=True)


def solve(case: Case, folder: Path, *, comm: MPI.Comm, progress: bool) -> Solution:
    """Run a case, or what is left of it."""
    model = Model(
        mesh(case.cell, size=case.size, comm=comm),
        case.materials,
        collector=case.collector,
        anode=case.anode,
        couplings=case.couplings,
    )
    simulation = Simulation(
        model, case.protocol, tolerances=case.tolerances, stepping=case.stepping
    )
    kept = comm.bcast((folder / "checkpoint.npz").exists() and same(folder, case), root=0)
    if comm.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / "study.json"
        written.with_suffix(".part").write_text(json.dumps(describe(case), indent=1))
        os.replace(written.with_suffix(".part"), written)
    return simulation.run(folder, progress=progress, resume=kept)


def same(folder: Path, case: Case) -> bool:
    """Return whether a folder belongs to just this case."""
    try:
        kept = json.loads((folder / "study.json").read_text())
    except (OSError, ValueError):
        return False
    return bool(kept == json.loads(json.dumps(describe(case))))


def finished(folder: Path, case: Case) -> bool:
    """Return whether a folder holds all steps of just this case."""
    if not same(folder, case):
        return False
    try:
        return len(Solution.load(folder).steps) == len(case.protocol)
    except FemssbError:
        return False


def load(study: Study, out: Path, parameters: str, size: float) -> dict[str, Solution]:
    """Return the finished runs of a study by the names of their cases."""
    cases = study.cases(SETS[parameters](), size)
    folders = {case.name: (folder_of(out, parameters, case), case) for case in cases}
    return {
        name: Solution.load(folder)
        for name, (folder, case) in folders.items()
        if finished(folder, case)
    }


def report(study: Study, out: Path, chosen: Sequence[str], size: float) -> list[Block]:
    """Write table, figure and comparison of a study from its finished runs; return the page."""
    folder = out / study.name
    folder.mkdir(parents=True, exist_ok=True)
    runs = {name: load(study, out, name, size) for name in chosen}
    blocks: list[Block] = [Heading(study.title), *(Text(note) for note in study.notes)]
    rows = []
    for parameters, found in runs.items():
        rows += [
            {"parameters": parameters, "case": case, **plain(solution.summary)}
            for case, solution in found.items()
        ]
        if found:
            caption = f"{study.title}: {parameters} parameters"
            figures = study.draw(found, folder / f"figure_{parameters.replace(' ', '_')}.png")
            blocks += [Picture(figure, caption) for figure in figures]
            if study.table is not None:
                blocks += [Text(caption), study.table(found)]
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["case"])
        writer.writeheader()
        writer.writerows(rows)
    if targets(study.name):
        blocks.append(comparison(study, runs))
    blocks.append(trends(study, runs))
    (folder / "comparison.md").write_text(markdown(blocks, folder))
    return blocks


def plain(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a summary, without what is a list or a table."""
    return {key: value for key, value in summary.items() if not isinstance(value, dict | list)}


def targets(study: str) -> list[dict[str, str]]:
    """Return the rows of the paper's numbers that a study must reproduce, with their bands."""
    with BANDS.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["study"] == study]


def read(solution: Solution, key: str) -> float | None:
    """Return a number of a run.

    Args:
        solution: The run.
        key: A summary key, ``peak COLUMN``, ``COLUMN at TIME``, ``ahead COLUMN from TIME to TIME``
            (the mean by which particle 1 is above particle 2 in a column with "k"), or
            ``lithium_lost``: what a cycle does not put back [mol].
    """
    if key.startswith("ahead "):
        column, times = key.removeprefix("ahead ").split(" from ")
        start, end = (float(time) for time in times.split(" to "))
        return ahead(solution, column, start, end)
    if key.startswith("peak "):
        values = solution.series[key.removeprefix("peak ")]
        return float(values[np.argmax(np.abs(values))])
    if " at " in key:
        column, time = key.rsplit(" at ", 1)
        return float(np.interp(float(time), solution.series["Time [s]"], solution.series[column]))
    if key == "lithium_lost":
        return float(
            solution.series["Lithium [mol]"][0] - solution.summary["lithium_discharge_end"]
        )
    value = solution.summary[key]
    return None if value is None else float(value)


def ahead(solution: Solution, column: str, start: float, end: float) -> float:
    """Return the mean over a time [s] by which particle 1 is above particle 2 in a column."""
    times = np.linspace(start, end, 200)
    one, two = (
        np.interp(times, solution.series["Time [s]"], solution.series[of_particle(column, k)])
        for k in (1, 2)
    )
    return float(np.mean(one - two))


def comparison(study: Study, runs: Mapping[str, Mapping[str, Solution]]) -> Table:
    """Return the paper's numbers beside ours."""
    head = ["case", "quantity", "unit", "paper"]
    for parameters in runs:
        head += [parameters, "difference", "in band"]
    rows = []
    for target in targets(study.name):
        unit, paper, band = UNITS[target["unit"]], float(target["paper"]), target["band"]
        row = [target["case"], target["quantity"], target["unit"], f"{paper:g}"]
        for found in runs.values():
            solution = found.get(target["case"])
            value = read(solution, target["key"]) if solution else None
            number = None if value is None else value / unit
            verdict = passes(number, paper, band)
            row += [
                "-" if number is None else f"{number:.4g}",
                "-" if number is None else difference(number, paper),
                {True: "yes", False: "**no**", None: ""}[verdict],
            ]
        rows.append([*row, "" if band == "none" else band, target["reason"]])
    return Table([*head, "band", "why this band, or why it is missed"], rows)


def difference(number: float, paper: float) -> str:
    """Return how far a number is from the paper's, in per cent or, of large ones, as a factor."""
    ratio = number / paper
    return f"{100 * (ratio - 1):+.1f} %" if 0 < ratio < 3 else f"x {ratio:.3g}"


def trends(study: Study, runs: Mapping[str, Mapping[str, Solution]]) -> Table:
    """Return which of the trends that the paper reports came out."""
    verdicts: dict[str, list[str]] = {}
    for position, found in enumerate(runs.values()):
        for text, holds in study.trends(found):
            row = verdicts.setdefault(text, ["-"] * len(runs))
            row[position] = "yes" if holds else "**no**"
    return Table(["trend", *runs], [[text, *row] for text, row in verdicts.items()])


def references(study: str, labels: Mapping[str, str], columns: Sequence[str]) -> list[Reference]:
    """Return the paper's numbers that can be marked in panels, once each.

    Args:
        study: Name of a study.
        labels: Name of a case -> what the figure calls it; other cases are left out.
        columns: Of the panels.
    """
    found = {}
    for target in targets(study):
        column, when = place(target["key"])
        label = labels.get(target["case"])
        generic = re.sub(r"particle \d", "particle k", column)
        if label is not None and when is not None and {column, generic} & {*columns}:
            value = float(target["paper"]) * UNITS[target["unit"]]
            found[label, column, when] = Reference(
                run=label, column=column, when=when, value=value, source=SOURCE
            )
    return list(found.values())


def place(key: str) -> tuple[str, float | str | None]:
    """Return column and time of a key of the paper's numbers; no time if it is none of a series."""
    if key.startswith("peak "):
        return key.removeprefix("peak "), "charge end"
    if " at " in key:
        column, time = key.rsplit(" at ", 1)
        return column, float(time)
    for half in ("charge", "discharge"):
        name = key.removesuffix(f"_{half}_end")
        if name in COLUMNS:
            return COLUMNS[name], f"{half} end"
    return key, None


def rising(
    runs: Mapping[str, Solution],
    text: str,
    key: str,
    names: Sequence[str],
    sign: int = 1,
    share: float = 0.0,
) -> tuple[str, bool]:
    """Return a trend: a number rises (falls: sign -1) from case to case. Missing cases break it.

    Args:
        runs: Name of a case -> its run.
        text: What the trend says.
        key: What `read` knows.
        names: Of the cases in their order.
        sign: 1 or -1.
        share: How much it must at least change from one case to the next, over its last value.
    """
    values = [read(runs[name], key) if name in runs else None for name in names]
    known = np.array([sign * value for value in values if value is not None])
    if len(known) < len(names):
        return text, False
    return text, bool(np.all(np.diff(known) > share * np.abs(known[-1])))

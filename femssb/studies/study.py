"""A study: cases, the trends they must show, figures and tables; and the page they end up on."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from femssb.description import checked
from femssb.environment.files import given_path, make_folder
from femssb.environment.ranks import on_first_rank, several_ranks
from femssb.errors import FemssbError, InputError
from femssb.studies.cache import Cache, Results
from femssb.studies.case import Case
from femssb.studies.comparison import VERDICTS, Number, Target, compare, judge
from femssb.studies.page import Block, Heading, Picture, Table, Text, write_page
from femssb.studies.runner import run


@checked
@dataclass(frozen=True, kw_only=True)
class Study[Found]:
    """Cases that differ in what is varied, and what is to be seen in their results.

    A trend or a number may ask for a case that is not finished: the `MissingCase` that this raises
    leaves it open.

    Attributes:
        name: Name of its folder.
        title: Heading on the page.
        cases: The cases; their names differ.
        gather: Makes of the results what the functions below take; by default the results by name.
        trends: Returns the trends in words, each with a function that returns whether it holds.
        figures: Draws into a folder and returns the figures, with captions or as paths only.
        tables: Returns further tables and text for the page.
        targets: Numbers of a paper.
        number: Returns our number for a target, in SI.
        others: Heading -> the same for numbers that are shown without a verdict.
        notes: Paragraphs on the page.
    """

    name: str
    title: str
    cases: Sequence[Case[Any]] = ()
    gather: Callable[[Results[Any]], Found] = lambda results: results  # type: ignore[assignment,return-value]
    trends: Callable[[Found], Mapping[str, Callable[[], bool]]] = lambda found: {}
    figures: Callable[[Found, Path], Sequence[Picture | Path]] = lambda found, folder: ()
    tables: Callable[[Found], Sequence[Block]] = lambda found: ()
    targets: Sequence[Target] = ()
    number: Callable[[Found, Target], Number | None] = lambda found, target: None
    others: Mapping[str, Callable[[Found, Target], Number | None]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check that the names of the cases differ."""
        names = [case.name for case in self.cases]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"Study.cases of {self.name!r}: several are called {twice[0]!r}")


@checked
def perform(
    *studies: Study[Any] | Mapping[str, Study[Any]],
    out: str | os.PathLike[str],
    title: str | None = None,
    notes: Sequence[str] = (),
    jobs: int = 1,
    case: int | None = None,
    run_cases: bool = True,
) -> None:
    """Run studies and write what they find on one page; collective.

    Finished cases are not run again, and one that was stopped resumes, if it can.

    Args:
        studies: The studies. A mapping is one study with different inputs, a column of its tables
            each: heading -> study.
        out: Folder for the page ``comparison.md`` and ``.html``, for a folder per study with
            ``table.csv`` and figures, and for ``cases``, the `Cache`.
        title: Of the page; that of the first study if left out.
        notes: Paragraphs at its beginning.
        jobs: Number of cases that run at the same time.
        case: Number of a case, from 1: runs this one only and writes no page, for job arrays.
        run_cases: Whether cases are run; else the page is made of those that are finished.

    Raises:
        InputError: If there is no case of that number.
        FemssbError: If a case failed; the others are on the page.
    """
    folder = given_path("perform", "out", out)
    cache = Cache(folder / "cases")
    tables = [one if isinstance(one, Mapping) else {"": one} for one in studies]
    every = [one for columns in tables for study in columns.values() for one in study.cases]
    every = list({one.key: one for one in reversed(every)}.values())[::-1]
    if case is not None:
        if not 1 <= case <= len(every):
            raise InputError(f"case {case} is not between 1 and {len(every)}")
        every = every[case - 1 : case]
    failures = run(every, cache, jobs=jobs) if run_cases else []

    def write() -> None:
        blocks: list[Block] = [Text(note) for note in notes]
        blocks += [Text(f"Failed: {failure}") for failure in failures]
        for columns in tables:
            found = {}
            rows: list[dict[str, Any]] = []
            for column, study in columns.items():
                results = cache.results(study.cases)
                found[column] = study, study.gather(results)
                rows += _rows(study, column, results)
            place = folder / next(iter(columns.values())).name
            for row in rows:
                if row.get("warnings"):
                    blocks.append(Text(f"Warning, {row['case']}: {row['warnings']}"))
            if rows:
                head = list(dict.fromkeys(name for row in rows for name in row))
                table = [[row.get(name, "") for name in head] for row in rows]
                Table(head, table).write(place / "table.csv")
            blocks += report(found, place)
        first = next(iter(tables[0].values()))
        files = write_page(folder / "comparison", title or first.title, blocks)
        sys.stderr.write(f"{' and '.join(map(str, files))} are written\n")

    if case is None:
        comm = several_ranks()
        if comm is None:
            write()
        else:
            on_first_rank(comm, write)
    if failures:
        raise FemssbError(f"{len(failures)} of {len(every)} cases failed: {'; '.join(failures)}")


@checked
def report(
    columns: Mapping[str, tuple[Study[Any], Any]], folder: str | os.PathLike[str]
) -> list[Block]:
    """Return the part of a page that a study fills, and draw its figures.

    Args:
        columns: Heading -> study and what it found. The studies differ in their inputs only.
        folder: Where the figures go, in a folder for each column if there are several.

    Raises:
        InputError: If there is no study, or a folder cannot be made.
    """
    if not columns:
        raise InputError("report.columns is empty; it needs at least one study")
    study, _ = next(iter(columns.values()))
    blocks: list[Block] = [Heading(study.title), *map(Text, study.notes)]
    for column, (own, found) in columns.items():
        if not found:
            continue
        caption = f"{own.title}: {column}" if column else own.title
        place = make_folder(Path(folder) / column.replace(" ", "_"))
        for figure in own.figures(found, place):
            blocks.append(figure if isinstance(figure, Picture) else Picture(figure, caption))
        added = own.tables(found)
        blocks += [Text(caption), *added] if added and len(columns) > 1 else added
    if study.targets:
        ours = {name: partial(own.number, found) for name, (own, found) in columns.items()}
        others = {
            f"{name}, {other}" if name else other: partial(its, found)
            for name, (own, found) in columns.items()
            for other, its in own.others.items()
        }
        table = compare(study.targets, ours, others)
        blocks.append(table)
        for number, name in enumerate(ours):
            missed = sum(row[7 + 3 * number] == VERDICTS[False] for row in table.rows)
            count = f"{missed} of {len(table.rows)} numbers are outside of their bands."
            blocks.append(Text(f"{name}: {count}" if name else count))
    trends = judge({name: own.trends(found) for name, (own, found) in columns.items()})
    return [*blocks, trends] if trends.rows else blocks


def _rows(study: Study[Any], column: str, results: Results[Any]) -> list[dict[str, Any]]:
    """Return a row for each finished case: its numbers, and where its results are."""
    first = {"parameters": column} if column else {}
    rows = []
    for case in study.cases:
        if case.name in results:
            numbers = case.numbers(results[case.name])
            plain = {name: x for name, x in numbers.items() if not isinstance(x, dict | list)}
            rows.append({**first, "case": case.name, "key": case.key, **plain})
    return rows

"""If these fail, what README, CONTRIBUTING or a page of the docs shows does not work.

Worth reading: `tests/documents.py` says how a block is made small enough for a test.
"""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.documents import DOCUMENTS, ROOT, blocks, commands, complaint

every_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


@every_document
def test_python_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches names and arguments that the package does not have."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(path.read_text(), "python"):  # what one raises fails the test
        exec(compile(block.before, f"before line {block.line} of {path}", "exec"), namespace)
        placed = "\n" * (block.line - 1) + block.text  # so that a traceback has its line
        exec(compile(placed, str(path), "exec"), namespace)


@every_document
def test_commands_exist(path: Path) -> None:
    """Catches programs, files, targets and options that are gone."""
    for block in blocks(path.read_text(), "sh"):
        for command in commands(block.text):
            wrong = complaint(command)
            assert wrong is None, f"{path.name}, line {block.line}: {' '.join(command)}: {wrong}"


@every_document
def test_links_lead_somewhere(path: Path) -> None:
    """Catches a picture or page that was moved."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
    inside = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in inside if not (path.parent / link).exists()] == []


@every_document
def test_modules_exist(path: Path) -> None:
    """Catches a module or public name that has another place now."""
    gone = []
    for name in re.findall(r"`(femssb(?:\.\w+)+)(?:\([^`]*)?`", path.read_text()):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            home, _, last = name.rpartition(".")
            try:
                getattr(importlib.import_module(home), last)
            except (ModuleNotFoundError, AttributeError):
                gone.append(name)
    assert gone == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("make tset", "no target tset"),
        ("make demo SICE=1", "no variable SICE"),
        ("make test FILE=tests/unit/test_nothing.py", "no tests/unit/test_nothing.py"),
        ("python demos/nothing.py", "no demos/nothing.py"),
        ("mpirun -n 2 .venv/bin/python tests/stages.py --swift", "no option --swift"),
        ("A=1 python -m femssb mesh --radios 5", "no option --radios"),
        ("cd femssb && femssb bake", "bake --help fails"),
        ("pip install '.[plots]'", "no ['plots']"),
        ("conda env create -f environment.yaml", "no ['environment.yaml']"),
        ("bake cake", "no program 'bake'"),
    ],
)
def test_wrong_commands_are_found(line: str, message: str) -> None:
    """Catches a check of commands that lets everything pass."""
    found = [wrong for command in commands(line) if (wrong := complaint(command))]
    assert len(found) == 1
    assert message in found[0]


def test_comments_change_the_block_behind_them() -> None:
    """Catches a change that is lost, or that outlives what it changed."""
    comments = "<!-- test: smaller\n53 -> 3\n-->\n\n<!-- test: before\nx = 1\n-->\n"
    text = comments + "```python\ny = 53\n```\n"
    first, second = blocks(text + "```python\nz = 53\n```\n", "python")
    assert (first.text, first.before, first.line) == ("y = 3\n", "x = 1\n", 9)
    assert (second.text, second.before, second.line) == ("z = 53\n", "", 12)
    with pytest.raises(ValueError, match="no '53' in the block"):
        blocks(text.replace("y = 53", "y = 54"), "python")

"""If these fail, the documentation does not build, or sends readers to what is not there."""

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.documents import ROOT

DOCS = ROOT / "docs"


@pytest.mark.slow
def test_pages_are_made_without_a_warning(tmp_path: Path) -> None:
    """Catches dead links, pages that nothing leads to, and docstrings that are no reST."""
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-W", "--keep-going"]
    folders = ["-d", tmp_path / "doctrees", DOCS, tmp_path / "html"]
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "MPI", "OMPI"))}
    done = subprocess.run(
        [*command, *folders], capture_output=True, text=True, cwd=ROOT, env=plain, check=False
    )
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "html" / "api" / "femssb.html").read_text("utf-8")
    assert "until_capacity" in reference  # a field, from the metadata of its description
    assert not re.search(r'(src|href)="(https?:)?//(?!doi|docs|github)', reference)  # offline


def test_every_demo_is_in_the_gallery() -> None:
    """Catches a new demo that nobody finds."""
    index = (DOCS / "gallery" / "index.md").read_text("utf-8")
    demos = sorted(path.stem for path in (ROOT / "demos").glob("*.py"))
    assert [name for name in demos if f":link: {name}\n" not in index] == []
    assert [name for name in demos if not (DOCS / "gallery" / f"{name}.md").exists()] == []


def test_every_package_is_in_the_reference() -> None:
    """Catches a package whose names have no page."""
    stubs = [path.parent for path in (ROOT / "femssb").rglob("__init__.pyi")]
    names = [".".join(path.relative_to(ROOT).parts) for path in stubs]
    pages = "".join(path.read_text("utf-8") for path in (DOCS / "api").glob("*.rst"))
    assert [name for name in names if f".. package:: {name}\n" not in pages] == []


@cache
def _sentences() -> str:
    """Return every text in the sources; what is filled in is an ellipsis."""
    found = []
    for path in [*(ROOT / "femssb").rglob("*.py"), ROOT / "setup.sh"]:
        if path.suffix == ".sh":
            found.append(path.read_text("utf-8"))
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else "..." for v in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_messages_exist() -> None:
    """Catches a page of messages that the package does not give any more."""
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    terms = [before for before in re.findall(r"^(\*\*.+)\n: ", text, re.MULTILINE)]
    phrases = [phrase for term in terms for phrase in re.findall(r"\*\*(.+?)\*\*", term)]
    assert len(phrases) > 40
    gone = []
    for phrase in phrases:
        parts = [re.escape(part.strip()) for part in phrase.split("...")]
        if not re.search(r"[^\n]{0,200}".join(parts), _sentences()):
            gone.append(phrase)
    assert gone == []

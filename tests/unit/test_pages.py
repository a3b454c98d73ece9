"""If these fail, the documentation does not build, or sends readers to what is not there."""

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from femssb import errors
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


def test_every_error_has_an_entry() -> None:
    """Catches an error that a user meets and the page of messages does not know."""
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    own = [kind.__name__ for kind in kinds if kind.__module__ == errors.__name__]
    assert len(own) > 5
    assert [name for name in own if f"| `{name}` |" not in text] == []


def test_every_warning_of_a_run_has_an_entry() -> None:
    """Catches a warning at the end of a run that the page of messages does not know."""
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    phrases = [phrase.split("...") for phrase in re.findall(r"\*\*(.+?)\*\*", text)]
    tree = ast.parse((ROOT / "femssb" / "results" / "validity.py").read_text("utf-8"))
    places = [node for node in ast.walk(tree) if isinstance(node, ast.Yield | ast.Assign)]
    texts = {
        "".join(str(part.value) for part in ast.walk(node.value) if isinstance(part, ast.Constant))
        for node in places
        if isinstance(node.value, ast.JoinedStr | ast.Constant)
    }
    sentences = [said for said in texts if len(said) > 30]  # names and beginnings are shorter
    assert len(sentences) > 8
    unknown = [
        said
        for said in sentences
        if not any(all(part.strip() in said for part in parts) for parts in phrases)
    ]
    assert unknown == []


def test_every_equation_names_its_place_in_the_code() -> None:
    """Catches an equation without its lines, and lines that are gone."""
    text = (DOCS / "theory.md").read_text("utf-8")
    sections = [part for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:] if "$$" in part]
    link = r"\[`([\w.]+)`\]\(\.\./(femssb/[\w/]+\.py)\)"
    assert len(sections) > 8
    assert [part.splitlines()[0] for part in sections if not re.search(link, part)] == []
    for name, file in re.findall(link, text):
        lines, last = (ROOT / file).read_text("utf-8"), re.escape(name.rpartition(".")[2])
        if not name.endswith(".py"):
            found = re.search(rf"^\s*(?:def|class) {last}\b|^{last}\b.*=", lines, re.MULTILINE)
            assert found, f"{file} has no {name}"

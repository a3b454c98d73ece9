"""Code blocks of the documents, as a reader would run them.

Blocks in ``python`` of one document are run in order, in one namespace and an empty folder. What a
reader would not wait for is made small by a comment in front of the block, one change a line, and
what he would have at hand is made by another:

    <!-- test: smaller
    size=0.5 * um -> size=2.5 * um
    -->

    <!-- test: before
    recipe = ...
    -->

Lines of blocks in ``sh`` are not run: their programs, files, targets and options must exist.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "meshes/*.md", "benchmarks/*.md", "papers/**/*.md")
    for path in ROOT.glob(pattern)
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMENTS = re.compile(r"(?:^<!-- test: [^\n]*\n(?:(?!-->).)*-->\s*)+\Z", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"^<!-- test: ([^\n]*)\n(.*?)-->", re.DOTALL | re.MULTILINE)
ELSEWHERE = {"apt-get", "cd", "conda", "docker", "git", "pip", "sudo"}  # programs not ours


@dataclass(frozen=True)
class Block:
    """A block of code and where it stands."""

    language: str
    text: str  # with what the comments in front of it change
    line: int  # of its first line in the document, from 1
    before: str  # what is run first


def blocks(text: str, language: str) -> list[Block]:
    """Return the code blocks of a document in a language.

    Raises:
        ValueError: If a comment changes something that the block does not have.
    """
    found = []
    for match in BLOCK.finditer(text):
        if match[1] != language:
            continue
        code, before = match[2], ""
        comments = COMMENTS.search(text[: match.start()])
        for kind, body in COMMENT.findall(comments[0] if comments else ""):
            if kind == "before":
                before += body
                continue
            if kind != "smaller":
                raise ValueError(f"'test: {kind}' is neither 'before' nor 'smaller'")
            for change in body.strip().splitlines():
                old, _, new = (part.strip() for part in change.partition("->"))
                if old not in code or not new:
                    raise ValueError(f"no {old!r} in the block, which {change!r} would change")
                code = code.replace(old, new)
        line = text.count("\n", 0, match.start(2)) + 1
        found.append(Block(language, code, line, before))
    return found


def commands(block: str) -> list[list[str]]:
    """Return the commands of a block of shell, without comments, variables and ``mpirun -n 2``."""
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
                command = command[1:]
            if command and Path(command[0]).name == "mpirun":
                command = command[3:] if command[1] == "-n" else command[1:]
            if command:
                found.append(command)
    return found


def complaint(command: list[str]) -> str | None:
    """Return what is wrong with a command, or None."""
    program, *arguments = command
    name = Path(program).name
    if name == "make":
        return _of_make(arguments)
    if name == "femssb":
        return _of_help([sys.executable, "-m", "femssb"], arguments)
    if name.startswith("python"):
        if arguments[:2] == ["-m", "femssb"]:
            return _of_help([sys.executable, "-m", "femssb"], arguments[2:])
        if arguments[:2] == ["-m", "pytest"]:
            gone = [path for path in _files(arguments) if not (ROOT / path.split("::")[0]).exists()]
            return f"no {gone}" if gone else None
        if arguments and arguments[0].endswith(".py"):
            if not (ROOT / arguments[0]).exists():
                # a script that the document itself shows
                return f"no {arguments[0]}" if "/" in arguments[0] else None
            return _of_help([sys.executable, arguments[0]], arguments[1:])
        return f"python is not called with a script, but with {arguments}"
    if name in ELSEWHERE:
        extras = {extra for text in arguments for extra in re.findall(r"\.\[([\w,]+)\]", text)}
        unknown = {extra for text in extras for extra in text.split(",")} - _extras()
        gone = [path for path in _files(arguments) if path.endswith((".yml", ".yaml", ".txt"))]
        gone = [path for path in gone if not (ROOT / path).exists()]
        return f"no {sorted(unknown) + gone}" if unknown or gone else None
    return None if (ROOT / program).is_file() else f"no program {program!r} is known"


def _files(arguments: list[str]) -> list[str]:
    return [word for word in arguments if "." in word and not word.startswith("-")]


def _extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["optional-dependencies"])


def _of_make(arguments: list[str]) -> str | None:
    text = (ROOT / "Makefile").read_text()
    for word in arguments:
        name, given, value = word.partition("=")
        if given and f"$({name})" not in text:
            return f"the Makefile has no variable {name}"
        if given and name == "FILE" and not (ROOT / value.split("::")[0]).exists():
            return f"no {value}"
        if not given and not re.search(rf"^{re.escape(name)}:", text, re.MULTILINE):
            return f"the Makefile has no target {name}"
    return None


def _of_help(command: list[str], arguments: list[str]) -> str | None:
    """Compare arguments with what the help of a command, or of its subcommand, lists."""
    subcommand = arguments[:1] if command[-1] == "femssb" else []
    text = _help(tuple(command + subcommand))
    if text is None:
        return f"{' '.join(subcommand) or command[-1]} --help fails"
    for word in arguments:
        option = word.split("=")[0]
        if option.startswith("-") and not re.search(rf"(?<![\w-]){option}(?![\w-])", text):
            return f"{command[-1]} has no option {option}"
    return None


@cache
def _help(command: tuple[str, ...]) -> str | None:
    done = subprocess.run(
        [*command, "--help"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    return done.stdout if done.returncode == 0 else None

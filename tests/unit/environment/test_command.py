"""If these fail, a command line gives a function other arguments than the user typed.

Worth reading: `test_words_of_the_command_line_become_arguments`.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from femssb import InputError, command
from femssb.environment.command import exit_code
from femssb.units import MPa, um

type Law = Literal["Hertz", "plastic"]
GIVEN: dict[str, Any] = {}


def main(
    image: Path,
    size: Annotated[float, "um", "element size"] = 0.3 * um / 0.9,
    pressures: Annotated[tuple[float, ...], "MPa", "of the press"] = (8 * MPa, 4 * MPa),
    particles: Annotated[int | None, "about 100 % of them"] = None,
    law: Annotated[Law, "contact law"] = "Hertz",
    axis: Literal["x", "z"] | None = None,
    seeds: list[int] | None = None,
    out: Annotated[str | Path | None, "folder"] = "results",
    pictures: Annotated[bool, "draw figures"] = True,
    resume: bool = False,
) -> None:
    """Do something with an image.

    This is no help text.
    """
    GIVEN.update(locals())


DEFAULTS = {
    "image": Path("a.tif"),
    "size": 0.3 * um / 0.9,
    "pressures": (8 * MPa, 4 * MPa),
    "particles": None,
    "law": "Hertz",
    "axis": None,
    "seeds": None,
    "out": "results",
    "pictures": True,
    "resume": False,
}


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("", {}),
        ("--size 0.8", {"size": 0.8 * um}),
        ("--pressures 2 3 5", {"pressures": (2 * MPa, 3 * MPa, 5 * MPa)}),
        ("--particles 7 --law plastic", {"particles": 7, "law": "plastic"}),
        ("--axis z --seeds 1 2", {"axis": "z", "seeds": [1, 2]}),
        ("--out new/place", {"out": Path("new/place")}),
        ("--no-pictures --resume", {"pictures": False, "resume": True}),
    ],
)
def test_words_of_the_command_line_become_arguments(words: str, changes: dict[str, Any]) -> None:
    """Catches lengths taken in metres, a default that is rounded, or a flag turned round."""
    GIVEN.clear()
    assert command(main, ["a.tif", *words.split()]) == 0
    expected = DEFAULTS | changes
    assert expected == GIVEN
    assert {name: type(value) for name, value in expected.items()} == {
        name: type(value) for name, value in GIVEN.items()
    }


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "image"),
        (["a.tif", "--size", "large"], "--size: invalid float value: 'large'"),
        (["a.tif", "--size"], "--size: expected one argument"),
        (["a.tif", "--law", "Hooke"], "--law: invalid choice: 'Hooke'"),
        (["a.tif", "--particles", "1.5"], "--particles: invalid int value: '1.5'"),
        (["a.tif", "--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_bad_words_are_one_line(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Catches the usage printed by every rank, and a traceback for a slip of the keyboard."""
    assert command(main, words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("femssb: ")
    assert named in shown.err
    assert shown.err.count("\n") == 1


def test_help_shows_units_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    """Catches help without the unit, a default in another unit, and text of the second page."""
    with pytest.raises(SystemExit, match="0"):
        command(main, ["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for text in (
        "Do something with an image. positional arguments: image",
        "element size [um] (default: 0.333333)",
        "of the press [MPa] (default: 8 4)",
        "about 100 % of them --law {Hertz,plastic} contact law (default: Hertz)",
        "--pictures, --no-pictures draw figures (default: True)",
        "folder (default: results)",
    ):
        assert text in shown
    assert "no help text" not in shown
    assert "None" not in shown


def test_only_errors_of_the_input_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Catches a fault of the program that is reported as one of the user, without a traceback."""

    def wrong() -> None:
        raise InputError("size = 0")

    def full() -> None:  # while DOLFINx compiles a form, for instance
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/me/.cache/form.c")

    assert exit_code(wrong) == 2
    assert exit_code(full) == 2
    shown = capsys.readouterr().err.splitlines()
    assert shown[-1] == "femssb: cannot write /home/me/.cache/form.c: No space left on device"
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: 1 / 0)


@pytest.mark.parametrize("variable", ["PMI_RANK", "OMPI_COMM_WORLD_RANK"])
def test_one_rank_speaks_before_mpi_is_started(variable: str) -> None:
    """Catches a misspelt option reported once by each of a hundred ranks."""
    script = (
        "import os, sys\n"
        f"os.environ[{variable!r}] = sys.argv[1]\n"
        "import femssb\n"
        "sys.exit(femssb.command(lambda: None, ['--colour']))\n"
    )
    for rank, lines in (("0", 1), ("1", 0)):
        ended = subprocess.run([sys.executable, "-c", script, rank], capture_output=True, text=True)
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == lines

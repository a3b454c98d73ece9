"""Progress: a line a second on a terminal, a line a minute with the time of day in a file."""

from __future__ import annotations

import re

import pytest

from femssb.environment import progress


@pytest.mark.parametrize(("terminal", "shown"), [(True, [0, 1, 2, 61]), (False, [0, 61])])
def test_lines_are_as_far_apart_as_their_reader_needs(
    terminal: bool,
    shown: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Catches the log of a job with a line a second, or one that does not say when."""
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: terminal, raising=False)
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    report = progress.progress_lines(True)
    for second in (0.0, 0.5, 1.0, 2.0, 61.0):
        now[0] = 1000.0 + second
        report(f"at {second:.0f}")
    lines = capsys.readouterr().err.splitlines()
    assert [int(line.split("at ")[1]) for line in lines] == shown
    stamped = [bool(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  at ", line)) for line in lines]
    assert all(stamped) != terminal
    progress.progress_lines(False)("not shown")
    assert capsys.readouterr().err == ""

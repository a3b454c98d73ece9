"""Counts of what was tried, at the end of a session."""

from __future__ import annotations

import pytest

from tests.robustness import tally


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the counts."""
    for line in tally.lines():
        terminalreporter.write_line(line)

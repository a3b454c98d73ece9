"""Counts of what was tried, at the end of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.robustness import examples, tally


@pytest.fixture(autouse=True)
def gmsh_is_left_as_it_was() -> Iterator[None]:
    """Close the model of Gmsh that an example opened: other tests find none open."""
    yield
    if examples.gmsh_model.cache_info().currsize:
        import gmsh

        gmsh.finalize()
        examples.gmsh_model.cache_clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the counts."""
    for line in tally.lines():
        terminalreporter.write_line(line)

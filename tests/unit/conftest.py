"""What unit tests share."""

from collections.abc import Callable

import pytest

from femssb.results.solution import Solution
from tests import made_up_runs


@pytest.fixture(scope="session")
def made_up_run() -> Callable[..., Solution]:
    """Return the maker of made-up runs."""
    return made_up_runs.solution

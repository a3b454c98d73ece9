"""A case: everything that one result depends on, and how the result is made and read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from femssb.inputs.case import describe, fingerprint

if TYPE_CHECKING:
    from mpi4py import MPI


class Case[Result](ABC):
    """Everything that one result depends on: a frozen dataclass of inputs.

    Attributes:
        name: Name of the case in its study; the result does not depend on it.
        serial: Whether one rank does all the work.
    """

    name: str
    serial: ClassVar[bool] = False

    def inputs(self) -> dict[str, Any]:
        """Return all that the result depends on, as plain data."""
        names = (item.name for item in fields(self) if item.name != "name")  # type: ignore[arg-type]
        return {name: describe(getattr(self, name)) for name in names}

    @property
    def key(self) -> str:
        """Word that changes with anything that the result depends on."""
        return fingerprint(type(self).__name__, _floats(self.inputs()))

    @abstractmethod
    def run(self, folder: Path, *, comm: MPI.Intracomm | None, progress: bool) -> None:
        """Make the result, or what is left of it, and keep it in a folder; collective.

        Args:
            folder: The folder, of this case alone; it may hold a part of the result.
            comm: The ranks that share the work; None for this process alone.
            progress: Whether progress is shown on standard error.

        Raises:
            FemssbError: If the case cannot be run; the same on every rank.
        """

    @abstractmethod
    def load(self, folder: Path) -> Result | None:
        """Return the result that is kept in a folder, None if it is not finished."""

    @abstractmethod
    def numbers(self, result: Result) -> Mapping[str, Any]:
        """Return the numbers of a result by name, for a row of a table."""


def _floats(value: Any) -> Any:
    """Return plain data in which every number is a float: 1 and 1.0 are the same input."""
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float(value) if type(value) is int else value

"""A case whose result is a handful of numbers, returned by a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from femssb.description import description, field
from femssb.environment.files import read_together, replacing_together
from femssb.environment.lock import locked
from femssb.environment.ranks import on_first_rank
from femssb.inputs.case import describe
from femssb.studies.case import Case

if TYPE_CHECKING:
    from mpi4py import MPI

FILE = "numbers.json"


@description
class Measurement(Case[dict[str, float]]):
    """Numbers that a function returns, of an image or a packing for instance."""

    serial: ClassVar[bool] = True

    name: str = field("name of the case in its study")
    function: Callable[..., Mapping[str, float]] = field(
        "returns numbers by name; of a module, so that other processes find it"
    )
    arguments: Mapping[str, Any] = field("keyword arguments of the function")
    made_from: Any = field(
        "stands for the arguments in the key, where these are large; None for themselves",
        default=None,
    )

    def inputs(self) -> dict[str, Any]:
        """Return the name of the function and its arguments, or what stands for them."""
        known = self.arguments if self.made_from is None else self.made_from
        return {"function": describe(self.function), "arguments": describe(known)}

    def run(self, folder: Path, *, comm: MPI.Intracomm | None, progress: bool) -> None:
        """Call the function, on the first rank alone, and keep its numbers."""

        def measure() -> None:
            with locked(folder):
                found = dict(self.function(**self.arguments))
                with replacing_together(folder) as new:
                    text = json.dumps(found, indent=1, default=float)
                    (new / FILE).write_text(text, encoding="utf-8")

        if comm is None:
            measure()
        else:
            on_first_rank(comm, measure)

    def load(self, folder: Path) -> dict[str, float] | None:
        """Return the numbers, None if they are not known yet or damaged."""
        try:
            found: dict[str, float] = json.loads(read_together(folder, [FILE])[FILE])
        except ValueError:  # an InputError is one
            return None
        return found

    def numbers(self, result: dict[str, float]) -> dict[str, float]:
        """Return the numbers themselves."""
        return result

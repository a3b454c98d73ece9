"""Finished results in a folder, found again by the inputs they were made from."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from femssb.description import checked
from femssb.environment.files import make_folder, replacing
from femssb.errors import FemssbError
from femssb.studies.case import Case


class MissingCase(FemssbError, KeyError):
    """A case that is asked for is not finished."""


class Results[Result](dict[str, Result]):
    """Finished results by the names of their cases.

    Raises:
        MissingCase: If the result of a case that is not there is asked for.
    """

    def __missing__(self, name: str) -> Result:
        raise MissingCase(name)


class Cache:
    """A folder of results, in which each case has a folder named by its key.

    Cases with equal inputs share a result, whatever their names and whatever study they are of.
    Beside the result, ``inputs.json`` holds what it was made from.

    Attributes:
        folder: The folder.
    """

    @checked
    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Name the folder; nothing is written before a case is run."""
        self.folder = Path(folder)

    @checked
    def folder_of(self, case: Case[Any]) -> Path:
        """Return the folder of a case."""
        return self.folder / case.key

    @checked
    def prepare(self, case: Case[Any]) -> Path:
        """Make the folder of a case, with its inputs, and return it.

        Raises:
            InputError: If the folder cannot be made.
        """
        folder = make_folder(self.folder_of(case))
        with replacing(folder / "inputs.json") as temporary:
            text = json.dumps({"name": case.name, **case.inputs()}, indent=1, default=float)
            temporary.write_text(text, encoding="utf-8")
        return folder

    @checked
    def find[Result](self, case: Case[Result]) -> Result | None:
        """Return the result of a case, None if it is not finished."""
        return case.load(self.folder_of(case))

    @checked
    def results[Result](self, cases: Sequence[Case[Result]]) -> Results[Result]:
        """Return the results of those cases that are finished."""
        found = ((case.name, self.find(case)) for case in cases)
        return Results({name: result for name, result in found if result is not None})

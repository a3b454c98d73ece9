"""Folders and files of results, written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from femssb.errors import InputError


def make_folder(folder: Path) -> Path:
    """Make a folder and those above it, and return it.

    Raises:
        InputError: If that is not possible; the message says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write results to {folder}: {error.strerror}") from error
    return folder


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all.

    Yields:
        A temporary path in the same folder, with the same suffix; it takes the place of the file
        when the block ends without error.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)

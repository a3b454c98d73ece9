"""Disks that fail at a chosen moment, and machines that stop there."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# What changes a disk, by the functions of `os` that pathlib, shutil and zipfile call.
CHANGES = ("replace", "rename", "unlink", "rmdir", "mkdir", "link", "fsync", "ftruncate", "pwrite")


class Stopped(BaseException):
    """The machine has stopped."""


class _File:
    """An open file whose writes are counted; the one that fails has written half."""

    def __init__(self, file: Any, count: Callable[[Callable[[], Any], str], Any]) -> None:
        self._file, self._count = file, count

    def write(self, data: Any) -> Any:
        def half() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        return self._count(half, "write") or self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


@contextmanager
def failing(
    at: int = 1_000_000, *, within: Path, stops: bool = False, number: int = errno.ENOSPC
) -> Iterator[list[str]]:
    """Have the disk fail at a change of it, and at all later ones, as a full disk does.

    Args:
        at: Number of the change that fails, from 0; by default none, but nothing waits for a disk.
        within: Folder of the changes that are meant.
        stops: Whether the machine stops there instead: nothing is changed any more, by nobody.
        number: Number of the error.

    Yields:
        The changes that were tried.
    """
    tried: list[str] = []

    def outside(file: Any) -> bool:
        path = Path(file) if isinstance(file, str | os.PathLike) else None
        return path is not None and path.is_absolute() and not path.is_relative_to(within)

    def count(before: Callable[[], Any] | None, name: str) -> None:
        tried.append(name)
        if len(tried) > at:
            if before is not None and len(tried) == at + 1:
                before()
            if stops:
                raise Stopped
            # A full disk still removes.
            if name not in ("unlink", "rmdir") or number != errno.ENOSPC:
                raise OSError(number, os.strerror(number))

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if not outside(arguments[0]):
                count(None, name)
            return None if name == "fsync" else function(*arguments, **named)

        return call

    opened = io.open

    def opening(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if outside(file) or not set(mode) & set("wax+"):
            return opened(file, mode, *arguments, **named)
        count(None, "open")
        return _File(opened(file, mode, *arguments, **named), count)

    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, counted(name, getattr(os, name)))
        patch.setattr(io, "open", opening)
        patch.setattr(builtins, "open", opening)
        yield tried

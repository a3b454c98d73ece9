"""Tables in text files: read as they were written, or refused where they may have been cut.

One rule holds for every one of them: *a text ends with a line break*. What is left of a number that
was cut is a number, too, so a last line that does not end cannot be trusted; a file that is whole
and lacks its last line break is mended by any editor. A table of our own also ends in a comment
with the SHA-256 of all lines in front of it, which is checked wherever it is found.
"""

import codecs
import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from femssb.arrays import Array
from femssb.errors import InputError

_SEAL = re.compile(r"^# sha256 ([0-9a-f]{64})\n", re.MULTILINE)
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

LARGEST_NUMBER = 1e60  # whose square is a number, too
SMALLEST_UNIT, LARGEST_UNIT = 1e-12, 1e3  # of the lengths in a file [m]


def sealed(text: str) -> str:
    """Return lines with the comment after them by which `read_text` knows that they are whole."""
    return f"{text}# sha256 {hashlib.sha256(text.encode()).hexdigest()}\n"


def read_text(path: Path, *, end: str = "") -> str:
    """Return the text of a file, without the seal if it has one, with plain line breaks.

    Args:
        path: The file, in UTF-8, or in UTF-16 with a byte-order mark.
        end: Last line of formats that have a closing mark, which then needs no line break.

    Raises:
        InputError: If it is missing, no text, cut short, or not as it was sealed.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path} cannot be read: there is no such file")
    try:
        with path.open("rb") as file:
            wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        # A byte-order mark is no part of the text; line breaks of any system become \n.
        text = path.read_text(encoding="utf-16" if wide else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if "\0" in text:
        raise InputError(f"{path} cannot be read: it is no text")
    if end:
        if text.rstrip().rsplit("\n", 1)[-1].strip() != end:
            raise InputError(f"{path.name} is cut short: it does not end with {end}")
        return text
    if text and not text.endswith("\n"):
        last = text.rsplit("\n", 1)[-1]
        raise InputError(
            f"{path.name} may be cut short: its last line, {last[-60:]!r}, does not end with a "
            "line break (add one if the file is whole)"
        )
    for seal in _SEAL.finditer(text):
        whole = seal.end() == len(text)
        text = text[: seal.start()]
        if not whole or hashlib.sha256(text.encode()).hexdigest() != seal[1]:
            raise InputError(
                f"{path.name} is damaged: it differs from what was written (if it was changed on "
                "purpose, take the line with the checksum out)"
            )
    return text


def numbers(where: str, rows: Sequence[Sequence[str]], columns: int) -> Array:
    """Return a table of finite numbers, shape (rows, columns), from its words.

    Args:
        where: File and table, for the messages.
        rows: The words of each row.
        columns: How many there must be.

    Raises:
        InputError: If a row has another number of words, or a word is no finite decimal number, or
            none that can be squared.
    """
    for count, row in enumerate(rows, start=1):
        if len(row) != columns:
            raise InputError(
                f"{where} needs {columns} numbers on each of its lines, row {count} has {len(row)}"
            )
        for word in row:
            if not _NUMBER.fullmatch(word):  # also nan, inf, and what only Python takes for one
                raise InputError(f"{where}, row {count}: {word[:40]!r} is not a finite number")
    table = np.array(rows, dtype=np.float64).reshape(len(rows), columns)
    if not (np.abs(table) < LARGEST_NUMBER).all():
        raise InputError(f"{where} has numbers that are not finite, or above {LARGEST_NUMBER:g}")
    return table


def read_columns(path: Path, columns: int) -> Array:
    """Return the columns of a table of numbers, shape (columns, rows).

    Words are separated by commas, semicolons, or blanks. A first line of words is a heading, and
    what follows ``#`` a comment.

    Raises:
        InputError: If the file cannot be read, or a row is not of so many numbers.
    """
    lines = [line.partition("#")[0].strip() for line in read_text(path).splitlines()]
    rows = [_SEPARATOR.split(line) for line in lines if line]
    if rows and not any(_NUMBER.fullmatch(word) for word in rows[0]):
        rows = rows[1:]
    if not rows:
        raise InputError(f"{path.name} holds no numbers")
    if len(rows[0]) == 2 * columns and any(";" in line and "," in line for line in lines):
        raise InputError(
            f"{path.name} has decimal commas ({lines[-1]!r}): write numbers with a decimal point"
        )
    return numbers(path.name, rows, columns).T

"""Damage to a file: what disks, transfers and editors do to it."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable

Bytes = bytes
Damage = Callable[[Bytes, random.Random], Bytes]

_NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_NUMBERS = [
    b"0", b"-1", b"1", b"2", b"nan", b"NaN", b"inf", b"-inf", b"1e400", b"1e308", b"-1e-320", b"",
    b"x", b"99999999999", b"9" * 25, b"9" * 5000, b"4294967296", b"-2147483649", b"1.5", b"0x10",
    b"1_0", b"1,5", b"true", b"null", b'"1"', b"[]", b"{}", b"1e5", b"255", b"256",
]  # fmt: skip


def cut(data: Bytes, rng: random.Random) -> Bytes:
    """Cut the end off."""
    return data[: rng.randrange(len(data) + 1)]


def cut_short(data: Bytes, rng: random.Random) -> Bytes:
    """Cut a few bytes off the end."""
    return data[: -rng.randint(1, 40)]


def behead(data: Bytes, rng: random.Random) -> Bytes:
    """Cut the beginning off."""
    return data[rng.randint(1, max(1, min(len(data), 600))) :]


def flip(data: Bytes, rng: random.Random) -> Bytes:
    """Flip a few bits."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_at_head(data: Bytes, rng: random.Random) -> Bytes:
    """Flip bits of the header."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        changed[rng.randrange(min(len(data), 200))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(data: Bytes, rng: random.Random) -> Bytes:
    """Overwrite some bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(data))] = rng.choice([0, 255, 10, 32, rng.randrange(256)])
    return bytes(changed)


def blank(data: Bytes, rng: random.Random) -> Bytes:
    """Blank a block, as after a crash of a machine."""
    start, size = rng.randrange(len(data)), rng.choice([1, 16, 64, 512, 4096])
    size = min(size, len(data) - start)
    return data[:start] + rng.choice([b"\0", b"\xff", b" "]) * size + data[start + size :]


def insert(data: Bytes, rng: random.Random) -> Bytes:
    """Insert bytes."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice([1, 2, 7, 64])) + data[at:]


def remove(data: Bytes, rng: random.Random) -> Bytes:
    """Take a block out."""
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice([1, 2, 7, 64, 512]) :]


def swap(data: Bytes, rng: random.Random) -> Bytes:
    """Swap two blocks."""
    size = rng.choice([1, 4, 16, 128])
    if len(data) < 2 * size:
        return data[::-1]
    first = rng.randrange(len(data) - 2 * size + 1)
    second = rng.randrange(first + size, len(data) - size + 1)
    middle = data[first + size : second]
    tail = data[second + size :]
    return data[:first] + data[second : second + size] + middle + data[first : first + size] + tail


def repeat(data: Bytes, rng: random.Random) -> Bytes:
    """Repeat a block."""
    at, size = rng.randrange(len(data)), rng.choice([1, 16, 128, 1024])
    return data[: at + size] + data[at : at + size] + data[at + size :]


def append(data: Bytes, rng: random.Random) -> Bytes:
    """Append something."""
    return data + rng.choice([b"\0" * 512, b"\n", data, b"x", rng.randbytes(20)])


def replace_number(data: Bytes, rng: random.Random) -> Bytes:
    """Write another number."""
    found = list(_NUMBER.finditer(data[:200_000]))
    if not found:
        return overwrite(data, rng)
    at = rng.choice(found)
    return data[: at.start()] + rng.choice(_NUMBERS) + data[at.end() :]


def change_digit(data: Bytes, rng: random.Random) -> Bytes:
    """Change a digit."""
    found = [at for at, byte in enumerate(data[:200_000]) if 48 <= byte <= 57]
    if not found:
        return overwrite(data, rng)
    at = rng.choice(found)
    return data[:at] + b"%d" % rng.randrange(10) + data[at + 1 :]


def edit_lines(data: Bytes, rng: random.Random) -> Bytes:
    """Drop, repeat, swap or empty lines."""
    lines = data.splitlines(keepends=True)
    if len(lines) < 3:
        return remove(data, rng)
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    how = rng.randrange(5)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(at, lines[at])
    elif how == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif how == 3:
        lines[at] = b"\n"
    else:
        del lines[at : at + 5]
    return b"".join(lines)


def edit_words(data: Bytes, rng: random.Random) -> Bytes:
    """Drop, repeat or swap words of a line."""
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines)) if lines else 0
    words = lines[at].split() if lines else []
    if len(words) < 2:
        return edit_lines(data, rng)
    one, other = rng.randrange(len(words)), rng.randrange(len(words))
    how = rng.randrange(4)
    if how == 0:
        del words[one]
    elif how == 1:
        words.insert(one, words[one])
    elif how == 2:
        words[one], words[other] = words[other], words[one]
    else:
        words[one] = rng.choice([*_NUMBERS, b"word", b"\xff\xfe", b"\xc3"])
    lines[at] = b" ".join(words) + b"\n"
    return b"".join(lines)


def foreign(data: Bytes, rng: random.Random) -> Bytes:
    """Hold something else."""
    head = data[: rng.choice([4, 8, 16, 64])]
    return rng.choice([
        b"", b"\0", b"\n", b"\0" * len(data), b"\xff" * 100, rng.randbytes(200), b"[" * 100_000,
        b'{"a":' * 50_000, b"(" * 100_000, b"<a>" * 50_000, head, head + rng.randbytes(500),
        head + b"\0" * 5000, "é漢\n".encode("utf-16"), "é\n".encode("latin-1") * 20,
        b"\x80\x04\x95" + rng.randbytes(50), b"PK\x03\x04" + rng.randbytes(100),
        b"\x89HDF\r\n\x1a\n" + rng.randbytes(200), b"II*\0" + rng.randbytes(200),
        b"\x93NUMPY\x01\0v\0" + rng.randbytes(200), zlib.compress(data), b"<?xml version='1.0'?>",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><a>&d;</a>',
        b"$MeshFormat\n4.1 0 8\n$EndMeshFormat\n", b"0 " * 10_000, b"1\n" * 10_000,
    ])  # fmt: skip


DAMAGES: tuple[Damage, ...] = (
    cut, cut_short, behead, flip, flip, flip, flip_at_head, overwrite, overwrite, blank, insert,
    remove, swap, repeat, append, replace_number, replace_number, change_digit, edit_lines,
    edit_words, foreign,
)  # fmt: skip


def damage(data: Bytes, seed: int) -> tuple[str, Bytes]:
    """Return the kind of a damage and the damaged content; it differs from the sound one."""
    rng = random.Random(seed)
    while True:
        how = rng.choice(DAMAGES)
        changed = how(data, rng) if data else rng.randbytes(10)
        if changed != data:
            return how.__name__, changed

"""Tables of MercuryDPM (.data): frames of a head, with time and box, and a line for each particle.

Results in two dimensions have discs, no spheres, and are refused.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from femssb.errors import InputError
from femssb.packing.files.spheres import LARGEST_WHOLE, Spheres, numbers
from femssb.tables import read_text

_HEAD, _HEAD_OF_DISCS = 8, 6  # words: number, time, lower and upper corner
_WIDTH, _RADIUS, _SPECIES = 14, 6, 13  # columns: place, velocity, radius, angle, spin, species


def is_mercury(path: Path) -> bool:
    """Return whether a .data file begins as MercuryDPM does, not as LAMMPS: with numbers alone."""
    with path.open("rb") as file:
        words = file.readline(1000).split()
    try:
        return len([float(word) for word in words]) in (_HEAD, _HEAD_OF_DISCS)
    except ValueError:
        return False


class Frames:
    """The frames of a table, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = [line.split() for line in read_text(path).splitlines()]
        self._starts: list[int] = []
        row = 0
        while row < len(self._rows):
            head = self._rows[row]
            if len(head) == _HEAD_OF_DISCS:
                raise InputError(f"read: {path.name} is in two dimensions: discs are no spheres")
            count = _count(path, head)
            self._starts.append(row)
            row += 1 + count
        if row > len(self._rows):
            raise InputError(
                f"read: a frame of {path.name} announces {count} spheres but has "
                f"{len(self._rows) - self._starts[-1] - 1} lines: it is cut short"
            )

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._starts)

    def __getitem__(self, frame: int) -> Spheres:
        """Return the spheres of a frame."""
        start = self._starts[frame]
        (head,) = numbers(self._path, [self._rows[start]], _HEAD, range(_HEAD))
        rows = self._rows[start + 1 : start + 1 + int(head[0])]
        table = numbers(self._path, rows, _WIDTH, range(_WIDTH))
        return Spheres(
            positions=table[:, :3],
            radii=table[:, _RADIUS],
            types=table[:, _SPECIES],
            corners=np.array([head[2:5], head[5:8]]),
            about={"time": float(head[1])},
        )


def _count(path: Path, head: Sequence[str]) -> int:
    """Return the number of lines that follow a head."""
    (found,) = numbers(path, [head], _HEAD, [0])[0]
    if not (0 <= found <= LARGEST_WHOLE and found == np.round(found)):
        raise InputError(f"read: a frame of {path.name} announces {found:g} spheres")
    return int(found)

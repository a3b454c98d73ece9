"""Large images in pieces: counting piece by piece takes memory for one piece only."""

from __future__ import annotations

from collections.abc import Iterator

PIECE = 1 << 20  # voxels in a piece, about what a processor cache holds [-]


def pieces(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices along the first direction that together cover an array of this shape."""
    plane = max(1, shape[1] * shape[2])
    thickness = max(1, PIECE // plane)
    for start in range(0, shape[0], thickness):
        yield slice(start, min(start + thickness, shape[0]))

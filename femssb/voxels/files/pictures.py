"""PNG files: a plane each."""

from pathlib import Path
from typing import Any

import numpy as np

from femssb.environment.isolation import in_child, reading
from femssb.environment.packages import load
from femssb.errors import InputError
from femssb.voxels import image as images
from femssb.voxels.files.content import Content, Values, check

# Modes of Pillow with one number per pixel, and the types of these.
_KINDS = {"1": "?", "L": "u1", "P": "u1", "I;16": "<u2", "I;16B": ">u2", "I": "<i4"}


def read_png(path: Path) -> Content:
    """Return a PNG file as an image of one plane."""
    values, said = in_child(_png_in_child, path, images.available_memory())
    return Content(values, "zyx", said)


def _png_in_child(path: Path, free: int | None) -> tuple[Values, dict[str, Any]]:
    return picture(path, free)


def picture(path: Path, free: int | None, *, planes: int = 1) -> tuple[Values, dict[str, Any]]:
    """Return the one plane of a PNG file, and what it says of its values; for a child.

    Args:
        path: The file.
        free: Memory [bytes].
        planes: How many files there are of which this is one.
    """
    pillow = load("PIL.Image", extra="images")
    pillow.MAX_IMAGE_PIXELS = None  # what fits into memory is checked here
    with reading(path), pillow.open(path, formats=("PNG",)) as found:
        if found.mode not in _KINDS:
            raise InputError(
                f"{path} holds colours (mode {found.mode}), expected one whole number per voxel"
            )
        if getattr(found, "n_frames", 1) > 1:
            raise InputError(f"{path} holds {found.n_frames} images, expected one")
        columns, rows = found.size
        check(path, (planes, rows, columns), np.dtype(_KINDS[found.mode]), 2, free)
        values = np.array(found)
        said = {"polarity": "1 is white"} if found.mode == "1" else {}
        return values[np.newaxis], said

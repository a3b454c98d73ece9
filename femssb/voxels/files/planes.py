"""A folder with a TIFF or PNG file for each plane across z."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from femssb.environment.isolation import in_child
from femssb.errors import InputError
from femssb.voxels import image as images
from femssb.voxels.files import pictures, tiff
from femssb.voxels.files.content import Content, Values

_TIFF, _PNG = (".tif", ".tiff"), (".png",)


def read_planes(folder: Path, *, sure: bool) -> Content:
    """Return the planes of a folder, sorted by the number in which their names differ."""
    values, said = in_child(_planes_in_child, folder, images.available_memory(), sure)
    return Content(values, "zyx", said)


def _planes_in_child(folder: Path, free: int | None, sure: bool) -> tuple[Values, dict[str, Any]]:
    files = _sorted(folder)

    def read(file: Path) -> tuple[Values, dict[str, Any]]:
        if file.suffix.lower() in _PNG:
            return pictures.picture(file, free, planes=len(files))
        return tiff.pages(file, free, sure=sure, planes=len(files))

    (first,), said = read(files[0])
    stack = np.empty((len(files), *first.shape), first.dtype)
    stack[0] = first
    for row, file in enumerate(files[1:], start=1):
        (plane,), _ = read(file)
        for kind, one, other in (
            ("size", first.shape, plane.shape),
            ("type", first.dtype, plane.dtype),
        ):
            if one != other:
                raise InputError(
                    f"{folder}: the planes differ in {kind}: {files[0].name} has {one}, "
                    f"{file.name} {other}"
                )
        stack[row] = plane
    if len(said.get("spacing", ())) == 2:  # a plane does not say how far the next one is
        said = {"unitless": []} | {name: said[name] for name in said if name != "spacing"}
    return stack, said


def _sorted(folder: Path) -> list[Path]:
    """Return the planes of a folder, in the order of the number in which their names differ."""
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in _TIFF + _PNG and not file.name.startswith(".")
    ]
    files.sort()
    where = f"read_image.path = {folder}"
    if not files:
        raise InputError(f"{where}: the folder holds no .tif or .png file")
    for file in files:
        if not file.is_file():
            raise InputError(f"{where}: {file.name} is no file")
    if len({file.suffix.lower() in _PNG for file in files}) > 1:
        raise InputError(f"{where}: the folder holds both .tif and .png files")
    words = [re.split(r"([0-9]+)", file.stem) for file in files]
    numbers = [[int(number) for number in word[1::2]] for word in words]
    for file, word, number in zip(files, words, numbers, strict=True):
        if word[::2] != words[0][::2] or sum(map(int.__ne__, number, numbers[0])) > 1:
            raise InputError(
                f"{where}: the names of its planes must differ in one number "
                f"only, by which they are sorted, but there are {files[0].name} and {file.name}"
            )
    differing = [i for i, column in enumerate(zip(*numbers, strict=True)) if len({*column}) > 1]
    if len(files) > 1 and len(differing) != 1:
        raise InputError(
            f"{where}: the names of its planes must differ in one number only, "
            f"by which they are sorted, but those of {files[0].name} to {files[-1].name} do in "
            f"{len(differing)}"
        )
    order = sorted(
        (number[differing[0]] if differing else 0, file)
        for number, file in zip(numbers, files, strict=True)
    )
    for (first, file), (second, other) in pairwise(order):
        if second == first:
            raise InputError(f"{where}: {file.name} and {other.name} have the same number")
        if second != first + 1:
            raise InputError(f"{where}: between {file.name} and {other.name} a plane is missing")
    return [file for _, file in order]

"""What a file of an image holds, and what is checked of it before it is read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from femssb.environment.isolation import damaged
from femssb.errors import InputError
from femssb.units import mm, nm, um
from femssb.voxels.image import AXES, VoxelImage, check_memory

Values = NDArray[Any]

# Units of length, in the spellings of ImageJ, OME and NRRD [m].
UNITS = {
    **{"m": 1.0, "cm": 1e-2, "mm": mm, "um": um, "nm": nm, "pm": 1e-12, "inch": 25.4 * mm},
    **dict.fromkeys(("micron", "microns", "micrometer", "micrometers", "micrometre"), um),
    **dict.fromkeys(("nanometer", "nanometers", "nanometre"), nm),
    **dict.fromkeys(("millimeter", "millimeters", "millimetre"), mm),
    **{"\u00c5": 0.1 * nm, "angstrom": 0.1 * nm},
}
KEPT = ("phase_names", "spacing", "periodic")


class Content(NamedTuple):
    """What a reader found.

    Attributes:
        values: As the file has them, with two axes or three.
        order: What their indices count, first to last, as far as the file says it.
        said: What it says of the image: `KEPT`, origin; ``unitless``, edges of a voxel without
            their unit; ``sealed``, whether it must end in a checksum.
    """

    values: Values
    order: str | None
    said: dict[str, Any]


def unit_of(name: str) -> float | None:
    """Return a unit of length from its name, None if it is not known [m]."""
    plain = name.strip().replace("\\u00B5", "u").replace("\u00b5", "u").replace("\u03bc", "u")
    return UNITS.get(plain)


def about(image: VoxelImage) -> str:
    """Return names, spacing, sides and origin as JSON."""
    kept = {name: getattr(image, name) for name in KEPT}
    kept |= {"origin": dict(image.origin), "shape": image.shape, "sealed": True}
    return json.dumps({"femssb image": kept})


def said_by(text: object) -> dict[str, Any]:
    """Return the contents of `about`, empty if the text has another source."""
    try:
        kept = json.loads(str(text))["femssb image"]
        lists = all(isinstance(kept[name], list) for name in KEPT)
        sides = len(kept["spacing"]) == len(kept["periodic"]) == len(AXES)
        if lists and sides and isinstance(kept["origin"], dict):
            more = {name: kept[name] for name in ("shape", "sealed") if name in kept}
            return {name: kept[name] for name in (*KEPT, "origin")} | more
    except (ValueError, TypeError, LookupError, RecursionError):
        pass
    return {}


def check(
    path: Path,
    shape: Sequence[int],
    kind: np.dtype[Any],
    copies: float,
    free: int | None,
    *,
    floats: bool = False,
) -> None:
    """Check an array in a file before it is read: its type, its axes, its size in memory.

    Args:
        path: The file.
        shape: Of the array.
        kind: Type of its numbers.
        copies: How often it is in memory at once.
        free: Memory [bytes].
        floats: Whether whole numbers may come as floats, to be checked by `whole` when read.

    Raises:
        InputError: If it can be no image; it names the file.
    """
    if kind.kind not in ("biuf" if floats else "biu"):
        raise InputError(
            f"{path} holds values of type {kind}, expected whole numbers, one per phase: "
            "segment a grey or float image first"
        )
    if len(shape) not in (2, 3):
        raise InputError(
            f"{path} holds an array of shape {tuple(shape)}, expected three axes, or two of a slab"
        )
    if 0 in shape:
        raise InputError(f"{path} holds an array of shape {tuple(shape)}, expected none of them 0")
    check_memory(
        f"read_image({path})", shape, bytes_per_voxel=copies * kind.itemsize + 1, free=free
    )


def whole(path: Path, values: Values) -> Values:
    """Return floats as the whole numbers that they must be.

    Raises:
        InputError: If one of them is none; it names the file.
    """
    if values.dtype.kind != "f":
        return values
    if not (np.abs(values) <= 2**53).all() or (values != np.rint(values)).any():
        raise InputError(
            f"{path} holds values of type {values.dtype} that are no whole numbers, one per phase: "
            "segment a grey or float image first"
        )
    return values.astype(np.int64)


def chosen(path: Path, names: list[str], wanted: str | None, usual: str) -> str:
    """Return the name of the array to read: as asked for, as `usual`, or the only one.

    A name asked for may leave out the folders in front of it where no other ends alike.

    Raises:
        InputError: If there is no such array, or several and none was asked for.
    """
    if wanted is not None:
        ends = [name for name in names if name.rpartition("/")[2] == wanted]
        full = wanted.strip("/")
        if full in names:
            return full
        if len(ends) != 1:
            raise InputError(f"read_image.array = {wanted!r}: {path} holds {names}")
        return ends[0]
    if usual in names:
        return usual
    if not names:
        raise damaged(path, "there is no array in it")
    if len(names) != 1:
        raise InputError(f"read_image.array must name one of the arrays of {path}: {names}")
    return names[0]

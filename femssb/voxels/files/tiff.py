"""TIFF files as they stand: pages, compression, and what ImageJ and OME say of the voxels."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from femssb.environment.isolation import damaged, in_child, reading
from femssb.environment.packages import load
from femssb.errors import EngineError, InputError
from femssb.units import um
from femssb.voxels import image as images
from femssb.voxels.files.content import Content, Values, about, check, said_by, unit_of
from femssb.voxels.image import AXES, VoxelImage

# Compressions that keep every value: those that tifffile undoes itself, and those that it leaves to
# imagecodecs.
_PLAIN = {"NONE", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "LZMA"}
_CODECS = {"LZW", "ZSTD", "PNG", "CCITTRLE", "CCITTRLEW", "CCITTFAX3", "CCITTFAX4"}


def read_tiff(path: Path, *, sure: bool) -> Content:
    """Return the pages of a TIFF file; `sure` of pages that say to be channels or times."""
    values, said = in_child(_tiff_in_child, path, images.available_memory(), sure)
    return Content(values, "zyx", said)


def _tiff_in_child(path: Path, free: int | None, sure: bool) -> tuple[Values, dict[str, Any]]:
    return pages(path, free, sure=sure)


def pages(
    path: Path, free: int | None, *, sure: bool = False, planes: int = 0
) -> tuple[Values, dict[str, Any]]:
    """Return the pages of a TIFF file, and what it says of the voxels; for a child.

    Args:
        path: The file.
        free: Memory [bytes].
        sure: Whether pages that say to be channels or times are planes.
        planes: How many files there are of which this is one, with one page each; 0 if alone.
    """
    tifffile = load("tifffile", extra="voxels")
    # Several files may be one image in TIFF's dialects; here a file is read as it stands.
    with (
        reading(path),
        _complaints(path) as check_log,
        tifffile.TiffFile(path, _multifile=False) as tiff,
    ):
        series = list(tiff.series)
        check_log()
        _check_extent(path, tiff)
        _check_compression(path, tiff)
        said = said_by((tiff.imagej_metadata or {}).get("Info"))
        shape = tuple(said.get("shape", ())[::-1])  # other programs drop axes of length 1
        shape = shape or _shape(path, tiff, series, sure)
        said = said or _voxels(tiff, flat=shape[0] == 1)
        if planes and shape[0] != 1:
            raise InputError(f"{path} holds {shape[0]} planes, expected one in each file")
        check(path, (planes or shape[0], *shape[1:]), series[0].dtype, 2, free)
        values = tiff.asarray(key=slice(None)) if len(series) > 1 else series[0].asarray()
        check_log()
        values, polarity = _polarity(tiff.pages[0], values)
        return values.reshape(shape), said | polarity


def _polarity(page: Any, values: Values) -> tuple[Values, dict[str, Any]]:
    """Return 1-bit values with 1 for white, and in words which way round the file has them."""
    inverse = page.photometric.name == "MINISWHITE"
    if page.bitspersample == 1:
        words = "0 is white in the file, turned: 1 is white" if inverse else "1 is white"
        return (np.logical_not(values) if inverse else values), {"polarity": words}
    return values, {"polarity": "0 is shown white"} if inverse else {}


def _shape(path: Path, tiff: Any, series: list[Any], sure: bool) -> tuple[int, ...]:
    """Return the numbers of pages, rows and columns, once the file holds nothing else."""
    first = series[0]
    parted = any(getattr(one, "is_multifile", False) for one in series)
    if parted or (tiff.is_ome and first.kind != "ome"):
        raise InputError(f"{path} is a part of an image in several files: join them first")
    if len({(one.axes, one.shape, one.dtype) for one in series}) > 1:
        raise InputError(f"{path} holds {len(series)} images, expected one")
    found = list(zip(first.axes, first.shape, strict=True))
    if len(series) > 1:
        found = [("I", len(series)), *found]
    if len(found) > len(AXES):
        found = [(axis, n) for axis, n in found if n > 1 or axis in "ZYX"]
    if len(found) == 2:
        found = [("I", 1), *found]
    axes, shape = "".join(axis for axis, _ in found), tuple(n for _, n in found)
    if "S" in axes:
        raise InputError(f"{path} holds colours, expected one whole number per voxel")
    if len(axes) != len(AXES) or axes[1:] != "YX":
        raise InputError(f"{path} holds an array of shape {shape} ({axes}), expected three axes")
    if axes[0] not in "ZIQ" and shape[0] > 1 and not sure:
        what = {"C": "channels", "T": "times"}.get(axes[0], f"of kind {axes[0]!r}")
        raise InputError(
            f"{path} says that its {shape[0]} pages are {what}; if they are planes across z, give "
            "axes='zyx'"
        )
    return shape


@contextmanager
def _complaints(path: Path) -> Iterator[Callable[[], None]]:
    """Give a check of the log of tifffile, the only place where it reports missing planes."""
    handler = BufferingHandler(capacity=2**31)
    handler.setLevel(logging.ERROR)
    log = logging.getLogger("tifffile")

    def check_log() -> None:
        if handler.buffer:
            raise damaged(path, "; ".join(record.getMessage() for record in handler.buffer))

    log.addHandler(handler)
    try:
        yield check_log
    finally:
        log.removeHandler(handler)


def _check_extent(path: Path, tiff: Any) -> None:
    """Check that a TIFF file holds all the data it announces: readers fill up with zeros."""
    size = path.stat().st_size
    needed = 0
    for series in tiff.series:
        if series.dataoffset is not None:  # all planes in one piece, whatever the pages say
            needed = max(needed, series.dataoffset + series.nbytes)
    for page in tiff.pages:
        counts = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        needed = max([needed, *(offset + count for offset, count in counts)])
        if not counts or min(min(pair) for pair in counts) <= 0:
            raise damaged(path, "some of its pixels are missing")
    if needed > size:
        raise InputError(f"{path} is cut off: it has {size} bytes and announces {needed}")


def _check_compression(path: Path, tiff: Any) -> None:
    """Check that the compression keeps every value, and that it can be undone here."""
    kinds = {page.compression for page in tiff.pages}
    for kind in sorted(kinds):
        name = getattr(kind, "name", str(kind))
        if name not in _PLAIN | _CODECS:
            raise InputError(
                f"{path} is compressed by {name}, which may change values: save it without "
                "compression, or with LZW, ZSTD or deflate"
            )
        if name in _CODECS:
            try:
                load("imagecodecs", extra="images")
            except EngineError as error:
                raise EngineError(f"{path} is compressed by {name}: {error}") from error


def _voxels(tiff: Any, *, flat: bool) -> dict[str, Any]:
    """Return the edges of a voxel as OME or ImageJ give them; of a single page only two."""
    if tiff.is_ome:
        return _of_ome(tiff.ome_metadata, flat=flat)
    given = tiff.imagej_metadata or {}
    units = {str(given.get(name, given.get("unit", ""))) for name in ("unit", "yunit", "zunit")}
    unit = unit_of(units.pop())
    if units or unit is None or ("spacing" not in given and not flat):
        return {}
    edges = []
    for tag in ("XResolution", "YResolution"):
        count, length = tiff.pages[0].tags[tag].value if tag in tiff.pages[0].tags else (0, 0)
        if count == 0 or length == 0:
            return {}
        edges.append(length / count)
    if "spacing" in given:
        edges.append(float(given["spacing"]))
    return {"spacing": [edge * unit for edge in edges]}


def _of_ome(text: str, *, flat: bool) -> dict[str, Any]:
    """Return the physical sizes of OME-XML; their unit is um where none is said."""
    elements = ElementTree.fromstring(text).iter()
    pixels = next((one for one in elements if one.tag.rpartition("}")[2] == "Pixels"), None)
    edges = []
    for axis in "XYZ":
        size = None if pixels is None else pixels.get(f"PhysicalSize{axis}")
        unit = None if pixels is None else unit_of(pixels.get(f"PhysicalSize{axis}Unit", "um"))
        if size is None or unit is None:
            break
        edges.append(float(size) * unit)
    return {"spacing": edges} if len(edges) == 3 or (flat and len(edges) == 2) else {}


def write_tiff(image: VoxelImage, path: Path) -> None:
    """Write an image as a stack of ImageJ, with everything else in its comment."""
    tifffile = load("tifffile", extra="voxels")
    dx, dy, dz = (edge / um for edge in image.spacing)
    nx, ny, nz = image.shape
    tifffile.imwrite(
        path,
        np.ascontiguousarray(image.labels.T).reshape(1, nz, 1, ny, nx, 1),  # nx may be 1
        imagej=True,
        resolution=(1 / dx, 1 / dy),
        metadata={"axes": "TZCYXS", "spacing": dz, "unit": "um", "Info": about(image)},
    )

"""Files of voxel images: NumPy, TIFF stack, VTK image, HDF5.

========== ======================== =======================================
Ending     Kept next to the labels  Read by
========== ======================== =======================================
.npy       nothing                  NumPy
.tif .tiff all; spacing for ImageJ  Fiji, Avizo, Dragonfly, GeoDict
.vti       all                      ParaView, PyVista, VTK; cell data "phase"
.h5 .hdf5  all                      h5py; data set "labels"
========== ======================== =======================================

In memory, and in the .npy and HDF5 files that femssb writes, an image is ``labels[x, y, z]``. In a
TIFF stack pages are planes across z, rows run along y and columns along x: the same image is
``stack[z, y, x]`` there. In a VTK image x changes fastest. Whatever a file does not hold has to be
given when it is read: names, spacing and, for .npy and HDF5 files of other programs unless they
label their dimensions x, y and z, what the indices count. Values given replace those in the file.

Each file ends in a checksum, which other programs ignore: one that was damaged since femssb wrote
it is refused. .npy files of femssb are known by it.

A folder is read as a stack with a TIFF file per plane. Their names are the same but for one number,
by which they are sorted and which counts without gaps: ``plane_9.tif``, ``plane_10.tif`` ...
"""

import io
import json
import logging
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.description import checked
from femssb.environment import hdf5, vtk
from femssb.environment.files import check_seal, has_seal, replacing
from femssb.environment.isolation import damaged, in_child, reading
from femssb.environment.packages import load
from femssb.errors import InputError, check_number
from femssb.units import mm, nm, um
from femssb.voxels import image as images
from femssb.voxels.image import AXES, Names, VoxelImage, check_memory, from_array

Values = NDArray[Any]
# Values as the file has them, the names of their indices as far as it says them, and the names of
# phases, spacing and sides, as far as it has them.
_Content = tuple[Values, "str | None", dict[str, Any]]

# Units in which ImageJ writes a spacing, in the spellings it knows.
_UNITS = {
    **{"m": 1.0, "cm": 1e-2, "mm": mm, "um": um, "nm": nm, "inch": 25.4 * mm},
    **dict.fromkeys(("micron", "microns", "micrometer", "micrometers", "micrometre"), um),
    **dict.fromkeys(("nanometer", "nanometers", "nanometre"), nm),
}
_SPACINGS = (0.1 * nm, 1 * mm)  # edges of voxels: those outside are in another unit than metres
_TIFF_FOLDER = (".tif", ".tiff")
_KEPT = ("phase_names", "spacing", "periodic")


@checked
def write_image(image: VoxelImage, path: str | Path) -> Path:
    """Write an image to a file; the ending of its name says how.

    Args:
        image: The image.
        path: Name of the file, see the table at the head of this module.

    Returns:
        The path.

    Raises:
        InputError: If the ending is not known, or the folder does not exist.
        EngineError: If the library for this kind of file is not installed.
    """
    path = Path(path)
    _, write = _format(path)
    if not os.path.isdir(path.parent):
        raise InputError(f"write_image.path = {path}: there is no folder {path.parent}")
    with replacing(path, seal=True) as temporary:
        write(image, temporary)
    return path


@checked
def read_image(
    path: str | Path,
    *,
    phase_names: Names | None = None,
    spacing: float | Sequence[float] | None = None,
    periodic: tuple[bool, bool, bool] | None = None,
    array: str | None = None,
    axes: str | None = None,
) -> VoxelImage:
    """Read an image from a file, or from a folder with a TIFF file per plane.

    Files other than .npy are read in a process of their own, so that a damaged one does no harm.

    Args:
        path: Name of the file or folder, see the table at the head of this module.
        phase_names: Names of the values 0, 1, 2 ..., or the name of each value, such as
            ``{0: "void", 127: "SE", 255: "AM"}``; None: as the file says.
        spacing: Edge of a voxel, or its three edges along x, y and z [m]; None: as the file says.
        periodic: Whether the sides across x, y and z are periodic; None: as the file says, or not.
        array: Name of the data set of an HDF5 or VTK file; None: the one that femssb writes, or
            the only one there.
        axes: What the three indices of the array count, first to last, as NumPy, h5py or tifffile
            show it: ``"xyz"`` for ``labels[x, y, z]``, as femssb writes .npy and HDF5 files,
            ``"zyx"`` for what was read from a TIFF stack; None: as the file says.

    Raises:
        InputError: If there is no such file, it is damaged, larger than the memory, holds no whole
            numbers, values in another file or a value without a name, or its names, spacing or axes
            are neither held nor given.
        EngineError: If the library for this kind of file is not installed.
    """
    path = Path(path)
    if not os.path.isfile(path) and not os.path.isdir(path):
        raise InputError(f"read_image.path = {path}: there is no such file")
    sealed = os.path.isfile(path) and has_seal(path)
    if sealed:
        check_seal(path)
    read, _ = _format(path)
    if array is not None and read in (_read_npy, _read_tiff):
        raise InputError(f"read_image.array = {array!r}: {path} holds only one array")
    if axes is not None and sorted(axes) != list(AXES):
        raise InputError(f"read_image.axes = {axes!r} must hold each of x, y and z once")
    values, order, said = read(path, array, axes)
    if said.pop("sealed", False) and not (sealed or path.is_dir()):
        raise damaged(path, "it does not end in its checksum")
    said = _turned(said, order, axes)
    given = zip(_KEPT, (phase_names, spacing, periodic), strict=True)
    said |= {name: value for name, value in given if value is not None}
    for name in ("phase_names", "spacing"):
        if name not in said:
            raise InputError(f"read_image.{name} must be given: {path} does not hold it")
    axes = axes or order
    if axes is None:
        raise InputError(
            f"read_image.axes must be given: {path} does not say what its indices count; 'xyz' if "
            "femssb wrote it, 'zyx' if it was read from a TIFF stack"
        )
    edges = (said["spacing"],) * 3 if np.ndim(said["spacing"]) == 0 else said["spacing"]
    for edge in edges:
        lower, upper = _SPACINGS
        check_number("read_image", "spacing", edge, lower=lower, upper=upper, unit="m")
    try:
        return from_array(
            values.transpose([axes.index(axis) for axis in AXES]),
            phase_names=said["phase_names"],
            spacing=said["spacing"],
            periodic=tuple(said.get("periodic", (False, False, False))),
            origin={**said.get("origin", {}), "file": path.name},
        )
    except InputError as error:
        raise InputError(f"read_image({path}): {error}") from error


def _turned(said: dict[str, Any], order: str | None, axes: str | None) -> dict[str, Any]:
    """Return what a file says along x, y and z when its indices count other axes than it says."""
    if order is None or axes is None or order == axes:
        return said
    place = [AXES.index(order[axes.index(axis)]) for axis in AXES]
    sides = {name: [said[name][i] for i in place] for name in said.keys() & {"spacing", "periodic"}}
    return said | sides


def _about(image: VoxelImage) -> str:
    """Return names, spacing, sides and origin as JSON."""
    about = {name: getattr(image, name) for name in _KEPT}
    about |= {"origin": dict(image.origin), "shape": image.shape, "sealed": True}
    return json.dumps({"femssb image": about})


def _said(text: object) -> dict[str, Any]:
    """Return the contents of `_about`, empty if the text has another source."""
    try:
        about = json.loads(str(text))["femssb image"]
        lists = all(isinstance(about[name], list) for name in _KEPT)
        sides = len(about["spacing"]) == len(about["periodic"]) == len(AXES)
        if lists and sides and isinstance(about["origin"], dict):
            more = {name: about[name] for name in ("shape", "sealed") if name in about}
            return {name: about[name] for name in (*_KEPT, "origin")} | more
    except (ValueError, TypeError, LookupError, RecursionError):
        pass
    return {}


def _check(
    path: Path, shape: Sequence[int], kind: np.dtype[Any], copies: float, free: int | None
) -> None:
    """Check an array in a file before it is read: its type, its axes, its size in memory."""
    if kind.kind not in "biu":
        raise InputError(
            f"{path} holds values of type {kind}, expected whole numbers, one per phase: "
            "segment a grey or float image first"
        )
    if len(shape) != 3:
        raise InputError(f"{path} holds an array of shape {tuple(shape)}, expected three axes")
    if 0 in shape:
        raise InputError(f"{path} holds an array of shape {tuple(shape)}, expected none of them 0")
    check_memory(
        f"read_image({path})", shape, bytes_per_voxel=copies * kind.itemsize + 1, free=free
    )


def _read_npy(path: Path, array: str | None, axes: str | None) -> _Content:
    with reading(path), path.open("rb") as file:
        if (version := np.lib.format.read_magic(file)) == (1, 0):
            shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, fortran, kind = np.lib.format.read_array_header_2_0(file)
        else:
            raise damaged(path, f"its version is {version}")
        _check(path, shape, kind, 0, images.available_memory())
        start, size = file.tell(), path.stat().st_size
        ours = has_seal(path)
        size = check_seal(path) if ours else size
        if size != (needed := start + math.prod(shape) * kind.itemsize):
            raise damaged(path, f"it has {size} bytes, but its head announces {needed}")
        order: Any = "F" if fortran else "C"
        return np.memmap(file, kind, "r", start, shape, order), "xyz" if ours else None, {}


def _write_npy(image: VoxelImage, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, image.labels)


def _read_tiff(path: Path, array: str | None, axes: str | None) -> _Content:
    values, said = in_child(_tiff_in_child, path, images.available_memory(), axes is not None)
    return values, "zyx", said


def _tiff_in_child(path: Path, free: int | None, sure: bool) -> tuple[Values, dict[str, Any]]:
    """Return the planes of a TIFF file or folder, and what the first says of the voxels.

    Args:
        path: File or folder.
        free: Memory [bytes].
        sure: Whether pages that say to be channels or times are planes.
    """
    if not path.is_dir():
        return _tiff_stack(path, free, sure)
    files = _planes(path)
    stack, said = _tiff_stack(files[0], free, sure, planes=len(files))
    for row, file in enumerate(files):
        plane = stack[0] if row == 0 else _tiff_stack(file, free, sure, planes=len(files))[0][0]
        for kind, first, other in (
            ("size", stack.shape[1:], plane.shape),
            ("type", stack.dtype, plane.dtype),
        ):
            if first != other:
                raise InputError(
                    f"{path}: the planes differ in {kind}: {files[0].name} has {first}, "
                    f"{file.name} {other}"
                )
        if row == 0:
            stack = np.empty((len(files), *plane.shape), plane.dtype)
        stack[row] = plane
    return stack, said


def _planes(folder: Path) -> list[Path]:
    """Return the planes of a folder, in the order of the number in which their names differ."""
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in _TIFF_FOLDER and not file.name.startswith(".")
    ]
    files.sort()
    if not files:
        raise InputError(f"read_image.path = {folder}: the folder holds no .tif file")
    for file in files:
        if not file.is_file():
            raise InputError(f"read_image.path = {folder}: {file.name} is no file")
    words = [re.split(r"([0-9]+)", file.stem) for file in files]
    numbers = [[int(number) for number in word[1::2]] for word in words]
    for file, word, number in zip(files, words, numbers, strict=True):
        if word[::2] != words[0][::2] or sum(map(int.__ne__, number, numbers[0])) > 1:
            raise InputError(
                f"read_image.path = {folder}: the names of its planes must differ in one number "
                f"only, by which they are sorted, but there are {files[0].name} and {file.name}"
            )
    differing = [i for i, column in enumerate(zip(*numbers, strict=True)) if len({*column}) > 1]
    if len(files) > 1 and len(differing) != 1:
        raise InputError(
            f"read_image.path = {folder}: the names of its planes must differ in one number only, "
            f"by which they are sorted, but those of {files[0].name} to {files[-1].name} do in "
            f"{len(differing)}"
        )
    order = sorted(
        (number[differing[0]] if differing else 0, file)
        for number, file in zip(numbers, files, strict=True)
    )
    for (first, file), (second, other) in pairwise(order):
        if second == first:
            raise InputError(
                f"read_image.path = {folder}: {file.name} and {other.name} have the same number"
            )
        if second != first + 1:
            raise InputError(
                f"read_image.path = {folder}: between {file.name} and {other.name} a plane is "
                "missing"
            )
    return [file for _, file in order]


def _tiff_stack(
    path: Path, free: int | None, sure: bool, planes: int = 0
) -> tuple[Values, dict[str, Any]]:
    """Return the pages of a TIFF file; only one if it is one of several planes."""
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
        said = _tiff_says(tiff)
        shape = tuple(said.get("shape", ())[::-1])  # other programs drop axes of length 1
        shape = shape or _tiff_shape(path, tiff, series, sure, planes)
        if planes and shape[0] != 1:
            raise InputError(f"{path} holds {shape[0]} planes, expected one in each file")
        _check(path, (planes or shape[0], *shape[1:]), series[0].dtype, 2, free)
        values = tiff.asarray(key=slice(None)) if len(series) > 1 else series[0].asarray()
        check_log()
        return values.reshape(shape), said


def _tiff_shape(
    path: Path, tiff: Any, series: list[Any], sure: bool, planes: int
) -> tuple[int, ...]:
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
    if planes and len(found) == 2:
        found = [("I", 1), *found]
    axes, shape = "".join(axis for axis, _ in found), tuple(n for _, n in found)
    if "S" in axes:
        raise InputError(f"{path} holds colours, expected one whole number per voxel")
    if len(axes) != len(AXES) or axes[1:] != "YX":
        raise InputError(f"{path} holds an array of shape {shape} ({axes}), expected three axes")
    if axes[0] not in "ZIQ" and not sure:
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

    def check() -> None:
        if handler.buffer:
            raise damaged(path, "; ".join(record.getMessage() for record in handler.buffer))

    log.addHandler(handler)
    try:
        yield check
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


def _tiff_says(tiff: Any) -> dict[str, Any]:
    """Return the description of the voxels in a TIFF file: by femssb, or else by ImageJ."""
    about = tiff.imagej_metadata or {}
    if said := _said(about.get("Info")):
        return said
    units = {str(about.get(name, about.get("unit", ""))) for name in ("unit", "yunit", "zunit")}
    unit = units.pop().replace("\\u00B5", "u").replace("\u00b5", "u").replace("\u03bc", "u")
    if units or unit not in _UNITS or "spacing" not in about:
        return {}
    edges = []
    for tag in ("XResolution", "YResolution"):
        count, length = tiff.pages[0].tags[tag].value if tag in tiff.pages[0].tags else (0, 0)
        if count == 0 or length == 0:
            return {}
        edges.append(length / count)
    return {"spacing": [edge * _UNITS[unit] for edge in (*edges, float(about["spacing"]))]}


def _write_tiff(image: VoxelImage, path: Path) -> None:
    tifffile = load("tifffile", extra="voxels")
    dx, dy, dz = (edge / um for edge in image.spacing)
    nx, ny, nz = image.shape
    tifffile.imwrite(
        path,
        np.ascontiguousarray(image.labels.T).reshape(1, nz, 1, ny, nx, 1),  # nx may be 1
        imagej=True,
        resolution=(1 / dx, 1 / dy),
        metadata={"axes": "TZCYXS", "spacing": dz, "unit": "um", "Info": _about(image)},
    )


def _read_vti(path: Path, array: str | None, axes: str | None) -> _Content:
    if axes is not None:
        raise InputError(f"read_image.axes = {axes!r}: a VTK image says its axes itself")
    values, said = in_child(_vti_in_child, path, array, images.available_memory())
    return values, "zyx", said


def _vti_in_child(path: Path, array: str | None, free: int | None) -> tuple[Values, dict[str, Any]]:
    """Return the values of a VTK image, x fastest, and what it says of the voxels."""
    grid = vtk.read(path, "ImageData")
    if not grid.GetDirectionMatrix().IsIdentity():
        raise InputError(f"{path} is turned: its axes are not along x, y and z")
    points = tuple(grid.GetDimensions())
    on_points = dict.fromkeys(vtk.arrays(grid.GetPointData()), points)
    on_cells = dict.fromkeys(vtk.arrays(grid.GetCellData()), tuple(n - 1 for n in points))
    if array is not None and array in on_points.keys() & on_cells.keys():
        raise InputError(f"{path} has values {array!r} both on points and on cells")
    shapes = on_points | on_cells if array is not None else on_cells or on_points
    name = _chosen(path, list(shapes), array, "phase")
    data = grid.GetCellData() if name in on_cells else grid.GetPointData()
    values, shape = vtk.arrays(data)[name], shapes[name]
    if values.ndim != 1:
        raise InputError(f"{path}: {name!r} has {values.shape[-1]} components, expected one")
    if len(values) != math.prod(shape):
        raise damaged(path, f"{len(values)} values for {shape} voxels")
    _check(path, shape, values.dtype, 2, free)
    said: dict[str, Any] = {"spacing": list(grid.GetSpacing())}
    about = vtk.arrays(grid.GetFieldData()).get("femssb", np.array([""]))
    return values.reshape(shape[::-1]), _said(about[0]) or said


def _write_vti(image: VoxelImage, path: Path) -> None:
    pyvista = load("pyvista", extra="plot")
    grid = pyvista.ImageData(
        dimensions=tuple(n + 1 for n in image.shape), spacing=image.spacing, origin=(0, 0, 0)
    )
    grid.cell_data["phase"] = image.labels.ravel(order="F")
    grid.field_data["femssb"] = [_about(image)]
    path.write_text(vtk.xml(grid, "ImageData"), encoding="utf-8")


def _read_hdf5(path: Path, array: str | None, axes: str | None) -> _Content:
    values, order, said = in_child(_hdf5_in_child, path, array, images.available_memory())
    return values, order, said


def _hdf5_in_child(path: Path, array: str | None, free: int | None) -> _Content:
    """Return a data set, the labels of its dimensions, and what it says of the voxels."""
    h5py = load("h5py", extra="voxels")
    with h5py.File(path, "r") as file:
        found: dict[str, Any] = {}

        def keep(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.ndim == len(AXES):
                found[name] = item

        file.visititems(keep)  # follows no links to other files
        data = found[_chosen(path, list(found), array, "labels")]
        hdf5.check_data(path, data)
        _check(path, data.shape, data.dtype, 2, free)
        said = _said(data.attrs.get("femssb"))
        order = "".join(dimension.label for dimension in data.dims)
        return data[...], "xyz" if said else order if sorted(order) == [*AXES] else None, said


def _write_hdf5(image: VoxelImage, path: Path) -> None:
    h5py = load("h5py", extra="voxels")
    made = io.BytesIO()  # HDF5 crashes where the disk is full
    with h5py.File(made, "w") as file:
        data = file.create_dataset("labels", data=image.labels, compression="gzip", shuffle=False)
        for dimension, axis in zip(data.dims, AXES, strict=True):
            dimension.label = axis
        data.attrs["femssb"] = _about(image)
    path.write_bytes(made.getbuffer())


def _chosen(path: Path, names: list[str], wanted: str | None, usual: str) -> str:
    """Return the name of the array to read: as asked for, as femssb writes it, or the only one."""
    if wanted is not None:
        if wanted not in names:
            raise InputError(f"read_image.array = {wanted!r}: {path} holds {names}")
        return wanted
    if usual in names:
        return usual
    if not names:
        raise damaged(path, "there is no array in it")
    if len(names) != 1:
        raise InputError(f"read_image.array must name one of the arrays of {path}: {names}")
    return names[0]


_Reader = Callable[[Path, "str | None", "str | None"], _Content]
_Writer = Callable[[VoxelImage, Path], None]
_FORMATS: dict[str, tuple[_Reader, _Writer]] = {
    ".npy": (_read_npy, _write_npy),
    ".tif": (_read_tiff, _write_tiff),
    ".tiff": (_read_tiff, _write_tiff),
    ".vti": (_read_vti, _write_vti),
    ".h5": (_read_hdf5, _write_hdf5),
    ".hdf5": (_read_hdf5, _write_hdf5),
}


def _format(path: Path) -> tuple[_Reader, _Writer]:
    ending = ".tif" if os.path.isdir(path) else path.suffix.lower()
    if ending not in _FORMATS:
        raise InputError(f"{path}: the ending {ending!r} is none of {', '.join(_FORMATS)}")
    return _FORMATS[ending]

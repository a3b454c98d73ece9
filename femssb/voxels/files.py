"""Files of voxel images: NumPy, TIFF stack, VTK image, HDF5.

========== ======================== ================================================
Ending     Kept next to the labels  Read by
========== ======================== ================================================
.npy       nothing                  NumPy
.tif .tiff all; spacing for ImageJ  Fiji, Avizo, Dragonfly, GeoDict; pages are planes
                                    across z, rows run along y
.vti       all                      ParaView, PyVista, VTK; cell data "phase"
.h5 .hdf5  all                      h5py; data set "labels"
========== ======================== ================================================

Whatever a file does not hold has to be given when it is read; values given replace those it holds.
Each file ends in a checksum, which other programs ignore: one that was damaged since femssb wrote
it is refused. A folder is read as a TIFF stack with one file per plane across z, in the order of
their numbers.
"""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.environment.files import check_seal, has_seal, replacing
from femssb.environment.packages import load
from femssb.environment.vtk import xml
from femssb.errors import InputError
from femssb.units import mm, nm, um
from femssb.voxels.image import Names, VoxelImage, check_memory, from_array

Values = NDArray[Any]
# Values over (x, y, z) in a file, and the names, spacing and sides as far as it has them.
_Content = tuple[Values, dict[str, Any]]

# Units in which ImageJ writes a spacing, in the spellings it knows.
_UNITS = {"m": 1.0, "cm": 1e-2, "mm": mm, "um": um, "micron": um, "microns": um, "nm": nm}
_TIFF_FOLDER = (".tif", ".tiff")
_KEPT = ("phase_names", "spacing", "periodic")


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
    if not path.parent.is_dir():
        raise InputError(f"write_image.path = {path}: there is no folder {path.parent}")
    with replacing(path, seal=True) as temporary:
        write(image, temporary)
    return path


def read_image(
    path: str | Path,
    *,
    phase_names: Names | None = None,
    spacing: float | Sequence[float] | None = None,
    periodic: tuple[bool, bool, bool] | None = None,
    array: str | None = None,
) -> VoxelImage:
    """Read an image from a file, or from a folder with a TIFF file per plane.

    Args:
        path: Name of the file or folder, see the table at the head of this module.
        phase_names: Names of the values 0, 1, 2 ..., or the name of each value, such as
            ``{0: "void", 127: "SE", 255: "AM"}``; None: as the file says.
        spacing: Edge of a voxel, or its three edges [m]; None: as the file says.
        periodic: Whether the sides across x, y and z are periodic; None: as the file says, or not.
        array: Name of the data set of an HDF5 or VTK file; None: the one that femssb writes, or
            the only one there.

    Raises:
        InputError: If there is no such file, it is cut off, larger than the memory, holds no whole
            numbers or a value without a name, or its names or spacing are neither held nor given.
        EngineError: If the library for this kind of file is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"read_image.path = {path}: there is no such file")
    sealed = path.is_file() and has_seal(path)
    if sealed:
        check_seal(path)
    read, _ = _format(path)
    if array is not None and read in (_read_npy, _read_tiff):
        raise InputError(f"read_image.array = {array!r}: {path} holds only one array")
    values, said = read(path, array)
    if said.pop("sealed", False) and not (sealed or path.is_dir()):
        raise _cut_off(path, "it does not end in its checksum")
    given = zip(_KEPT, (phase_names, spacing, periodic), strict=True)
    said |= {name: value for name, value in given if value is not None}
    for name in ("phase_names", "spacing"):
        if name not in said:
            raise InputError(f"read_image.{name} must be given: {path} does not hold it")
    return from_array(
        values,
        phase_names=said["phase_names"],
        spacing=said["spacing"],
        periodic=tuple(said.get("periodic", (False, False, False))),
        origin={**said.get("origin", {}), "file": path.name},
    )


def _about(image: VoxelImage) -> str:
    """Return names, spacing, sides and origin as JSON."""
    about = {name: getattr(image, name) for name in _KEPT}
    about |= {"origin": dict(image.origin), "sealed": True}
    return json.dumps({"femssb image": about})


def _said(text: object) -> dict[str, Any]:
    """Return the contents of `_about`, empty if the text has another source."""
    try:
        about = json.loads(str(text))["femssb image"]
        return {name: about[name] for name in (*_KEPT, "origin")} | {"sealed": "sealed" in about}
    except (ValueError, TypeError, KeyError):
        return {}


def _check(path: Path, shape: Sequence[int], kind: np.dtype[Any], copies: float) -> None:
    """Check an array in a file before it is read: its type, its axes, its size in memory."""
    if kind.kind not in "biu":
        raise InputError(
            f"{path} holds values of type {kind}, expected whole numbers, one per phase: "
            "segment a grey or float image first"
        )
    if len(shape) != 3:
        raise InputError(f"{path} holds an array of shape {tuple(shape)}, expected three axes")
    check_memory(f"read_image({path})", shape, bytes_per_voxel=copies * kind.itemsize + 1)


def _cut_off(path: Path, error: object) -> InputError:
    return InputError(f"{path} is damaged, cut off, or not what its ending says: {error}")


def _read_npy(path: Path, array: str | None) -> _Content:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise _cut_off(path, error) from error
    _check(path, values.shape, values.dtype, copies=0)
    with path.open("rb") as file:
        file.seek(values.offset + values.nbytes)
        if (rest := file.read(100)) and not has_seal(path) and b"\nsha256 ".startswith(rest[:8]):
            raise _cut_off(path, "its checksum is not whole")
    return values, {}


def _write_npy(image: VoxelImage, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, image.labels)


def _read_tiff(path: Path, array: str | None) -> _Content:
    tifffile = load("tifffile", extra="voxels")
    files = [path]
    if path.is_dir():
        files = [file for file in path.iterdir() if file.suffix.lower() in _TIFF_FOLDER]
        files.sort(key=lambda file: [int(n) for n in re.findall(r"\d+", file.stem)])
        if not files:
            raise InputError(f"read_image.path = {path}: the folder holds no .tif file")
    planes: list[Values] = []
    said: dict[str, Any] = {}
    shape: tuple[int, ...] = ()
    for file in files:
        try:
            with _complaints(file) as check_log, tifffile.TiffFile(file) as tiff:
                series = tiff.series[0]
                check_log()
                single = len(series.shape) == 2 and len(tiff.series) > 1  # every plane on its own
                above = [len(files)] if len(files) > 1 else [len(tiff.series)] if single else []
                shape = (*above, *series.shape)
                _check(path, shape, series.dtype, copies=1 if len(files) == 1 else 2)
                _check_extent(file, tiff)
                said = said or _tiff_says(tiff)
                planes.append(tiff.asarray(key=slice(None)) if single else series.asarray())
                check_log()
        except InputError:
            raise
        except Exception as error:  # tifffile passes on the errors of its many decoders
            raise _cut_off(file, error) from error
    if len({plane.shape for plane in planes}) > 1:
        raise InputError(
            f"{path}: the planes differ in size: {sorted({plane.shape for plane in planes})}"
        )
    stack = planes[0] if len(planes) == 1 else np.stack(planes)
    return stack.T, said


@contextmanager
def _complaints(path: Path) -> Iterator[Callable[[], None]]:
    """Give a check of the log of tifffile, the only place where it reports missing planes."""
    handler = BufferingHandler(capacity=2**31)
    handler.setLevel(logging.ERROR)
    log = logging.getLogger("tifffile")

    def check() -> None:
        if handler.buffer:
            raise _cut_off(path, "; ".join(record.getMessage() for record in handler.buffer))

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
        counts = zip(page.dataoffsets, page.databytecounts, strict=True)
        needed = max(needed, *(offset + count for offset, count in counts))
    if needed > size:
        raise InputError(f"{path} is cut off: it has {size} bytes and announces {needed}")


def _tiff_says(tiff: Any) -> dict[str, Any]:
    """Return the description of the voxels in a TIFF file: by femssb, or else by ImageJ."""
    about = tiff.imagej_metadata or {}
    said = _said(about.get("Info"))
    unit = _UNITS.get(str(about.get("unit", "")).replace("\\u00B5", "u").replace("\u00b5", "u"))
    if said or unit is None or "spacing" not in about:
        return said
    per_unit = []
    for tag in ("XResolution", "YResolution"):
        if tag not in tiff.pages[0].tags:
            return said
        count, length = tiff.pages[0].tags[tag].value
        if count == 0 or length == 0:
            return said
        per_unit.append(length / count)
    return {"spacing": (per_unit[0] * unit, per_unit[1] * unit, float(about["spacing"]) * unit)}


def _write_tiff(image: VoxelImage, path: Path) -> None:
    tifffile = load("tifffile", extra="voxels")
    dx, dy, dz = (edge / um for edge in image.spacing)
    tifffile.imwrite(
        path,
        np.ascontiguousarray(image.labels.T),
        imagej=True,
        resolution=(1 / dx, 1 / dy),
        metadata={"axes": "ZYX", "spacing": dz, "unit": "um", "Info": _about(image)},
    )


def _read_vti(path: Path, array: str | None) -> _Content:
    pyvista = load("pyvista", extra="plot")
    vtk_core = load("vtkmodules.vtkCommonCore", extra="plot")
    warned = vtk_core.vtkObject.GetGlobalWarningDisplay()
    vtk_core.vtkObject.SetGlobalWarningDisplay(0)  # a damaged file is reported below, once
    try:
        reader = pyvista.get_reader(str(path))
        grid = reader.read()
    except Exception as error:  # VTK's readers raise many kinds
        raise _cut_off(path, error) from error
    finally:
        vtk_core.vtkObject.SetGlobalWarningDisplay(warned)
    if not isinstance(grid, pyvista.ImageData):
        raise _cut_off(path, "no regular grid in it")
    on_cells = len(grid.cell_data) > 0
    data = grid.cell_data if on_cells else grid.point_data
    shape = tuple(n - 1 if on_cells else n for n in grid.dimensions)
    name = _chosen(path, list(data.keys()), array, "phase")
    values = np.asarray(data[name])
    if values.size != np.prod(shape):
        raise _cut_off(path, f"{values.size} values for {shape} voxels")
    _check(path, shape, values.dtype, copies=1)
    said: dict[str, Any] = {"spacing": tuple(float(edge) for edge in grid.spacing)}
    if "femssb" in grid.field_data:
        said = _said(grid.field_data["femssb"][0]) or said
    return values.reshape(shape, order="F"), said


def _write_vti(image: VoxelImage, path: Path) -> None:
    pyvista = load("pyvista", extra="plot")
    grid = pyvista.ImageData(
        dimensions=tuple(n + 1 for n in image.shape), spacing=image.spacing, origin=(0, 0, 0)
    )
    grid.cell_data["phase"] = image.labels.ravel(order="F")
    grid.field_data["femssb"] = [_about(image)]
    path.write_text(xml(grid, "ImageData"), encoding="utf-8")


def _read_hdf5(path: Path, array: str | None) -> _Content:
    h5py = load("h5py", extra="voxels")
    try:
        with h5py.File(path, "r") as file:
            found: dict[str, Any] = {}
            file.visititems(
                lambda name, item: found.update(
                    {name: item} if getattr(item, "ndim", 0) == 3 else {}
                )
            )
            data = found[_chosen(path, list(found), array, "labels")]
            _check(path, data.shape, data.dtype, copies=1)
            return data[...], _said(data.attrs.get("femssb"))
    except (OSError, RuntimeError) as error:
        raise _cut_off(path, error) from error


def _write_hdf5(image: VoxelImage, path: Path) -> None:
    h5py = load("h5py", extra="voxels")
    made = io.BytesIO()  # HDF5 crashes where the disk is full
    with h5py.File(made, "w") as file:
        data = file.create_dataset("labels", data=image.labels, compression="gzip", shuffle=False)
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
        raise _cut_off(path, "there is no array in it")
    if len(names) != 1:
        raise InputError(f"read_image.array must name one of the arrays of {path}: {names}")
    return names[0]


_Reader = Callable[[Path, "str | None"], _Content]
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
    ending = ".tif" if path.is_dir() else path.suffix.lower()
    if ending not in _FORMATS:
        raise InputError(f"{path}: the ending {ending!r} is none of {', '.join(_FORMATS)}")
    return _FORMATS[ending]

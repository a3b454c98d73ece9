"""Images from files.

============ ========================= ============================ ==============================
Ending       What the file says        What must be given           Written by
============ ========================= ============================ ==============================
.npy         the array                 names, spacing, axes         femssb (axes known), NumPy
.npz         arrays with names         names, spacing, axes         NumPy
.mat         arrays with names         names, spacing, axes         MATLAB, SciPy
.raw         bare numbers              names, spacing, header       ImageJ, Avizo, GeoDict, NumPy
.tif .tiff   axes; spacing (ImageJ,    names; spacing otherwise     femssb (all known), ImageJ,
             OME)                                                   Avizo, Dragonfly, GeoDict
.png         a plane                   names, spacing               any; needs Pillow
.nrrd        axes; edges, the unit     names; spacing if no unit    3D Slicer, Dragonfly, ITK
             of some
.vti         axes, spacing             names                        femssb (all known), ParaView
.h5 .hdf5    arrays with names         names, spacing, axes         femssb (all known), h5py
.dream3d     arrays, axes, edges       names, spacing               DREAM.3D; as .h5, too
             without a unit
============ ========================= ============================ ==============================

In memory, and in the .npy and HDF5 files that femssb writes, an image is ``labels[x, y, z]``. In a
TIFF stack pages are planes across z, rows run along y and columns along x: the same image is
``stack[z, y, x]`` there. In a VTK image x changes fastest. What is given when a file is read
replaces what the file says.

A folder is read as a stack with a TIFF or PNG file per plane. Their names are the same but for one
number, by which they are sorted and which counts without gaps: ``plane_9.tif``, ``plane_10.tif``.
A picture, or an array with two axes, is an image one voxel thick: a slab.

TIFF files compressed by LZW, ZSTD or fax codes are read with imagecodecs; those compressed by JPEG
and its kin are refused, as their values may have changed. In an image of one bit per voxel 1 is
white and 0 black, whichever way round the file keeps them; the origin of the image says which.

Files of femssb end in a checksum, which other programs ignore: one that was damaged since it was
written is refused. .npy files of femssb are known by it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from femssb.description import checked
from femssb.environment.files import check_seal, has_seal
from femssb.environment.isolation import damaged
from femssb.errors import InputError, check_number
from femssb.units import mm, nm
from femssb.voxels.files.arrays import RawHeader, read_npy, read_npz, read_raw
from femssb.voxels.files.content import KEPT, Content, Values
from femssb.voxels.files.hdf5_images import read_hdf5
from femssb.voxels.files.matlab import read_mat
from femssb.voxels.files.nrrd_images import read_nrrd
from femssb.voxels.files.pictures import read_png
from femssb.voxels.files.planes import read_planes
from femssb.voxels.files.tiff import read_tiff
from femssb.voxels.files.vtk_images import read_vti
from femssb.voxels.image import AXES, Names, VoxelImage, from_array, listed_values

_SPACINGS = (0.1 * nm, 1 * mm)  # edges of voxels: those outside are in another unit than metres
_SEVERAL = (".npz", ".mat", ".h5", ".hdf5", ".dream3d", ".vti")  # may hold several arrays
_ENDINGS = (".npy", ".npz", ".mat", ".raw", ".tif", ".tiff", ".png", ".nrrd", *_SEVERAL[2:])


@checked
def read_image(
    path: str | Path,
    *,
    phase_names: Names | None = None,
    spacing: float | Sequence[float] | None = None,
    periodic: tuple[bool, bool, bool] | None = None,
    array: str | None = None,
    axes: str | None = None,
    header: RawHeader | None = None,
) -> VoxelImage:
    """Read an image from a file, or from a folder with a TIFF or PNG file per plane.

    Files other than .npy and .raw are read in a process of their own, so that a damaged one does no
    harm. `femssb.voxels.files.reading` has a table of formats.

    Args:
        path: Name of the file or folder.
        phase_names: Names of the values 0, 1, 2 ..., or the name of each value, such as
            ``{0: "void", 127: "SE", 255: "AM"}``; None: as the file says. An error lists the values
            that are there, with their shares.
        spacing: Edge of a voxel, or its three edges along x, y and z [m]; None: as the file says.
            Where the file of a slab says only two, its thickness is the edge along x.
        periodic: Whether the sides across x, y and z are periodic; None: as the file says, or not.
        array: Name of the array in a .npz, .mat, HDF5 or VTK file, the last part of its path if no
            other ends alike; None: the one that femssb writes, the material of DREAM.3D, or the
            only one there.
        axes: What the indices of the array count, first to last, as NumPy, h5py, tifffile or MATLAB
            show it: ``"xyz"`` for ``labels[x, y, z]``, as femssb writes .npy and HDF5 files,
            ``"zyx"`` for what was read from a TIFF stack, ``"yx"`` for rows and columns of a slab;
            None: as the file says.
        header: What a .raw file leaves out.

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
    if axes is not None and sorted(axes) not in ([*"xyz"], [*"xy"], [*"xz"], [*"yz"]):
        raise InputError(
            f"read_image.axes = {axes!r} must hold each of x, y and z once, or two of them for a "
            "slab"
        )
    values, order, said = _content(path, array, axes, header)
    if said.pop("sealed", False) and not (sealed or path.is_dir()):
        raise damaged(path, "it does not end in its checksum")
    values, order, axes = _solid(path, values, order, axes)
    said = _turned(said, order, axes)
    given = zip(KEPT, (phase_names, spacing, periodic), strict=True)
    said |= {name: value for name, value in given if value is not None}
    axes = axes or order
    _check_said(path, values, said, axes)
    assert axes is not None  # checked just now
    edges = (said["spacing"],) * 3 if np.ndim(said["spacing"]) == 0 else said["spacing"]
    for edge in edges:
        lower, upper = _SPACINGS
        check_number("read_image", "spacing", edge, lower=lower, upper=upper, unit="m")
    origin = {**said.get("origin", {}), "file": path.name}
    if "polarity" in said:
        origin["polarity"] = said["polarity"]
    try:
        return from_array(
            values.transpose([axes.index(axis) for axis in AXES]),
            phase_names=said["phase_names"],
            spacing=said["spacing"],
            periodic=tuple(said.get("periodic", (False, False, False))),
            origin=origin,
        )
    except InputError as error:
        raise InputError(f"read_image({path}): {error}{_in_white(said)}") from error


def _content(path: Path, array: str | None, axes: str | None, header: RawHeader | None) -> Content:
    """Return what a file or folder holds, once it takes what was given for it."""
    folder = os.path.isdir(path)
    ending = "" if folder else path.suffix.lower()
    if not folder and ending not in _ENDINGS:
        raise InputError(f"{path}: the ending {ending!r} is none of {', '.join(_ENDINGS)}")
    if array is not None and ending not in _SEVERAL:
        raise InputError(f"read_image.array = {array!r}: {path} holds only one array")
    if axes is not None and ending == ".vti":
        raise InputError(f"read_image.axes = {axes!r}: a VTK image says its axes itself")
    if axes is not None and ending == ".raw":
        raise InputError(f"read_image.axes = {axes!r}: the header of a .raw file says its axes")
    if header is not None and ending != ".raw":
        raise InputError(f"read_image.header: {path} is no .raw file, it has a header of its own")
    if ending == ".raw" and header is None:
        raise InputError(
            f"read_image.header must be given: {path} holds bare numbers; "
            "header=RawHeader(shape=(nx, ny, nz), fastest='x', kind='uint8')"
        )
    match ending:
        case "":
            return read_planes(path, sure=axes is not None)
        case ".npy":
            return read_npy(path)
        case ".npz":
            return read_npz(path, array)
        case ".mat":
            return read_mat(path, array)
        case ".raw":
            assert header is not None  # checked above
            return read_raw(path, header)
        case ".tif" | ".tiff":
            return read_tiff(path, sure=axes is not None)
        case ".png":
            return read_png(path)
        case ".nrrd":
            return read_nrrd(path)
        case ".vti":
            return read_vti(path, array)
        case _:
            return read_hdf5(path, array)


def _solid(
    path: Path, values: Values, order: str | None, axes: str | None
) -> tuple[Values, str | None, str | None]:
    """Return values with three axes, and what these count: a slab is one voxel thick."""
    if axes is not None and len(axes) != values.ndim:
        raise InputError(
            f"read_image.axes = {axes!r}: the array in {path} has {values.ndim} axes, its shape is "
            f"{values.shape}"
        )
    if values.ndim == 3:
        return values, order, axes
    order, axes = (
        None if known is None else known + next(a for a in AXES if a not in known)
        for known in (order, axes)
    )
    return values[..., np.newaxis], order, axes


def _turned(said: dict[str, Any], order: str | None, axes: str | None) -> dict[str, Any]:
    """Return what a file says along x, y and z when its indices count other axes than it says."""
    if len(said.get("spacing", ())) == 2:
        said = said | {"spacing": [*said["spacing"], said["spacing"][0]]}
    if order is None or axes is None or order == axes:
        return said
    place = [AXES.index(order[axes.index(axis)]) for axis in AXES]
    sides = {name: [said[name][i] for i in place] for name in said.keys() & {"spacing", "periodic"}}
    return said | sides


def _check_said(path: Path, values: Values, said: dict[str, Any], axes: str | None) -> None:
    """Raise InputError, once, for all that neither the file nor the user has said."""
    missing = []
    if "phase_names" not in said:
        missing.append(
            f"read_image.phase_names must be given: {path} does not hold it; its values are "
            f"{listed_values(values)}{_in_white(said)}"
        )
    if "spacing" not in said:
        edges = " x ".join(f"{edge:g}" for edge in said.get("unitless", ()))
        hint = f", only edges of {edges} without a unit" if edges else ""
        missing.append(f"read_image.spacing must be given: {path} does not hold it{hint}")
    if axes is None:
        slab = values.shape[-1] == 1
        example = "'yx' for rows and columns" if slab else "'zyx' if it was read from a TIFF stack"
        missing.append(
            f"read_image.axes must be given: {path} does not say what its indices count; "
            f"{'' if slab else repr('xyz') + ' if femssb wrote it, '}{example}"
        )
    if missing:
        raise InputError("; ".join(missing))


def _in_white(said: dict[str, Any]) -> str:
    """Return in words which value is white."""
    return f" ({said['polarity']})" if "polarity" in said else ""

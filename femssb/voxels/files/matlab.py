"""Arrays of MATLAB: files up to version 7 by SciPy, files of version 7.3 are HDF5."""

from pathlib import Path
from typing import Any

import numpy as np

from femssb.environment import hdf5
from femssb.environment.isolation import damaged, in_child
from femssb.environment.packages import load
from femssb.errors import InputError
from femssb.voxels import image as images
from femssb.voxels.files.content import Content, Values, check, chosen, whole

_HDF5 = b"MATLAB 7.3"
# Classes of MATLAB that hold numbers: double is the usual one, also of whole numbers.
_NUMBERS = {"double", "single", "logical"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def read_mat(path: Path, array: str | None) -> Content:
    """Return an array as MATLAB indexes it."""
    return Content(in_child(_mat_in_child, path, array, images.available_memory()), None, {})


def _mat_in_child(path: Path, array: str | None, free: int | None) -> Values:
    with path.open("rb") as file:
        start = file.read(len(_HDF5))
    if start == _HDF5:
        return _of_hdf5(path, array, free)
    from scipy.io import loadmat, whosmat

    found = {name: (shape, kind) for name, shape, kind in whosmat(path)}
    name = _image_among(path, found, array)
    shape, kind = found[name]
    check(path, shape, _dtype(kind), 3, free, floats=True)
    values = loadmat(path, variable_names=[name])[name]
    if not isinstance(values, np.ndarray) or values.shape != tuple(shape):
        raise damaged(path, f"{name!r} is not the array that its head announces")
    return whole(path, values)


def _of_hdf5(path: Path, array: str | None, free: int | None) -> Values:
    with load("h5py", extra="voxels").File(path, "r") as file:
        hdf5.check_links(path, file)
        found = {
            name: (data.shape[::-1], _word(data.attrs.get("MATLAB_class", b"")))
            for name, data in file.items()
            if hasattr(data, "shape")
        }
        name = _image_among(path, found, array)
        data = file[name]
        hdf5.check_data(path, data)
        check(path, data.shape, data.dtype, 3, free, floats=True)
        return whole(path, data[...].T)


def _image_among(
    path: Path, found: dict[str, tuple[tuple[int, ...], str]], array: str | None
) -> str:
    """Return the name of the variable to read; MATLAB makes tables of numbers and words, too."""
    if array in found and found[array][1] not in _NUMBERS:
        raise InputError(f"read_image.array = {array!r}: {path} has {found[array][1]} there")
    numbers = {name: shape for name, (shape, kind) in found.items() if kind in _NUMBERS}
    solid = [name for name, shape in numbers.items() if len(shape) == 3]
    flat = [name for name, shape in numbers.items() if len(shape) == 2 and min(shape) > 1]
    names = list(numbers) if array is not None else solid or flat
    return chosen(path, names, array, "labels")


def _dtype(kind: str) -> np.dtype[Any]:
    return np.dtype({"double": "f8", "single": "f4", "logical": "u1"}.get(kind, kind))


def _word(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

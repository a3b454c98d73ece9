"""Arrays of NumPy, alone (.npy) or several in one file (.npz), and bare numbers (.raw)."""

import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from femssb.description import description, field
from femssb.environment.files import check_seal, has_seal
from femssb.environment.isolation import damaged, in_child, reading
from femssb.errors import InputError
from femssb.voxels import image as images
from femssb.voxels.files.content import Content, Values, check, chosen
from femssb.voxels.image import VoxelImage

Kind = Literal["uint8", "uint16", "uint32", "int8", "int16", "int32"]
MOST_VOXELS = 2**40  # along an edge, or of bytes in front of them


@description
class RawHeader:
    """What a .raw file leaves out: bare numbers, without a word about them."""

    shape: tuple[int, int, int] = field(
        "numbers of voxels along x, y and z; that along z is 1 for a slab",
        lower=1,
        upper=MOST_VOXELS,
    )
    fastest: Literal["x", "z"] = field(
        "axis along which neighbours in the file lie: x in ImageJ, Avizo, GeoDict and VTK, z where "
        "NumPy wrote labels[x, y, z]"
    )
    kind: Kind = field("of each number", default="uint8")
    byte_order: Literal["little", "big"] = field("of numbers of several bytes", default="little")
    offset: int = field("bytes in front of the numbers", lower=0, upper=MOST_VOXELS, default=0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers for NumPy."""
        return np.dtype(self.kind).newbyteorder("<" if self.byte_order == "little" else ">")


def read_npy(path: Path) -> Content:
    """Return the array of a .npy file, left on the disk."""
    with reading(path), path.open("rb") as file:
        shape, fortran, kind = _head(path, file)
        check(path, shape, kind, 0, images.available_memory())
        start, size = file.tell(), path.stat().st_size
        ours = has_seal(path)
        size = check_seal(path) if ours else size
        if size != (needed := start + math.prod(shape) * kind.itemsize):
            raise damaged(path, f"it has {size} bytes, but its head announces {needed}")
        order: Any = "F" if fortran else "C"
        values = np.memmap(file, kind, "r", start, shape, order)
        return Content(values, "xyz" if ours else None, {})


def write_npy(image: VoxelImage, path: Path) -> None:
    """Write the labels of an image alone."""
    with path.open("wb") as file:
        np.save(file, image.labels)


def read_npz(path: Path, array: str | None) -> Content:
    """Return one of the arrays of a .npz file."""
    return Content(in_child(_npz_in_child, path, array, images.available_memory()), None, {})


def _npz_in_child(path: Path, array: str | None, free: int | None) -> Values:
    """Return an array of a .npz file; the archive keeps a checksum of each."""
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        heads = {}
        for name in names:
            with archive.open(f"{name}.npy") as file:
                heads[name] = _head(path, file)
        ranks = {len(shape) for shape, _, _ in heads.values()} & {2, 3}
        images_in = [
            name
            for name, (shape, _, kind) in heads.items()
            if name == array or (len(shape) == max(ranks, default=0) and kind.kind in "biu")
        ]
        name = chosen(path, images_in, array, "labels")
        shape, _, kind = heads[name]
        check(path, shape, kind, 2, free)
        with archive.open(f"{name}.npy") as file:
            values: Values = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):
                raise damaged(path, f"{name!r} is longer than its head announces")
            return values


def _head(path: Path, file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type of an array of NumPy, from where the file stands."""
    binary: BinaryIO = file
    if (version := np.lib.format.read_magic(binary)) == (1, 0):
        return np.lib.format.read_array_header_1_0(binary)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(binary)
    raise damaged(path, f"its version is {version}")


def read_raw(path: Path, header: RawHeader) -> Content:
    """Return the numbers of a .raw file, left on the disk."""
    shape, kind = tuple(header.shape), header.dtype
    check(path, shape, kind, 0, images.available_memory())
    size, needed = path.stat().st_size, header.offset + math.prod(shape) * kind.itemsize
    if size != needed:
        raise InputError(
            f"read_image.header: {path} has {size} bytes, but {' x '.join(map(str, shape))} voxels "
            f"of {header.kind} after {header.offset} bytes take {needed}"
        )
    across = shape[::-1] if header.fastest == "x" else shape
    with reading(path):
        values = np.memmap(path, kind, "r", header.offset, across)
    return Content(values, "zyx" if header.fastest == "x" else "xyz", {})

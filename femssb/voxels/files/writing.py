"""Images to files; `femssb.voxels.files.reading` has the table of formats."""

import os
from collections.abc import Callable
from pathlib import Path

from femssb.description import checked
from femssb.environment.files import replacing
from femssb.errors import InputError
from femssb.voxels.files.arrays import write_npy
from femssb.voxels.files.hdf5_images import write_hdf5
from femssb.voxels.files.tiff import write_tiff
from femssb.voxels.files.vtk_images import write_vti
from femssb.voxels.image import VoxelImage

_WRITERS: dict[str, Callable[[VoxelImage, Path], None]] = {
    ".npy": write_npy,
    ".tif": write_tiff,
    ".tiff": write_tiff,
    ".vti": write_vti,
    ".h5": write_hdf5,
    ".hdf5": write_hdf5,
}


@checked
def write_image(image: VoxelImage, path: str | Path) -> Path:
    """Write an image to a file; the ending of its name says how.

    Args:
        image: The image.
        path: Name of the file: .npy, .tif, .tiff, .vti, .h5 or .hdf5; `read_image` says what each
            keeps.

    Returns:
        The path.

    Raises:
        InputError: If the ending is not known, or the folder does not exist.
        EngineError: If the library for this kind of file is not installed.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in _WRITERS:
        raise InputError(f"{path}: the ending {ending!r} is none of {', '.join(_WRITERS)}")
    if not os.path.isdir(path.parent):
        raise InputError(f"write_image.path = {path}: there is no folder {path.parent}")
    with replacing(path, seal=True) as temporary:
        _WRITERS[ending](image, temporary)
    return path

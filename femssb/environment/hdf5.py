"""What must hold of an HDF5 file for its values to be its own, and all of them there.

HDF5 lets a data set lie in another file, raw bytes of any file included, and gives a fill value for
whatever was never written.
"""

import math
from pathlib import Path
from typing import Any

from femssb.environment.packages import load
from femssb.errors import InputError


def check_links(path: Path, file: Any) -> None:
    """Check that nothing in an open file leads out of it, or to nowhere.

    Raises:
        InputError: If there is a link of another kind than the one that says where data is.
    """
    hard = load("h5py", extra="voxels").HardLink

    # What is not None ends the visit; h5py loses errors on the way.
    odd = file.visititems_links(lambda name, link: None if isinstance(link, hard) else name)
    if odd is not None:
        raise InputError(f"{path} has a link at {odd!r}, which may lead to another file")


def check_data(path: Path, data: Any) -> None:
    """Check that a data set is in its file, and was written.

    Raises:
        InputError: If it is in another file, or some of it is missing.
    """
    if data.external or data.is_virtual:
        raise InputError(f"{path} has the values of {data.name!r} in another file")
    if not data.size:
        return
    missing = data.id.get_storage_size() == 0
    if data.chunks is not None and not missing:
        pieces = math.prod(-(-n // c) for n, c in zip(data.shape, data.chunks, strict=True))
        missing = data.id.get_num_chunks() < pieces
    if missing:
        raise InputError(f"{path} is cut short: some values of {data.name!r} were never written")

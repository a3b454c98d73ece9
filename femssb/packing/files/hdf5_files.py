"""Packings in HDF5: everything is kept."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from femssb.environment import hdf5
from femssb.environment.isolation import in_child
from femssb.environment.packages import load
from femssb.errors import InputError
from femssb.packing.files.spheres import check_sealed, sides_of
from femssb.packing.packing import Contacts, Packing

FORMAT = 1  # raised when older readers would misread newer files


def content(packing: Packing) -> bytes:
    """Return the file of a packing."""
    # Made in memory: HDF5 crashes where the disk is full.
    image = io.BytesIO()
    with load("h5py", extra="particles").File(image, "w") as file:
        file.attrs["sealed"] = True
        file.attrs["femssb packing"] = FORMAT
        file.attrs["phase_names"] = json.dumps(packing.phase_names)
        file.attrs["periodic"] = np.array(packing.periodic)
        file.attrs["origin"] = json.dumps(packing.origin)
        kept = ("positions", "radii", "phases", "ids", "lower", "upper", "stress")
        arrays = {name: getattr(packing, name) for name in kept}
        if packing.contacts is not None:
            arrays |= {f"contacts/{name}": a for name, a in vars(packing.contacts).items()}
        for name, array in arrays.items():
            if array is not None:
                file.create_dataset(name, data=array)
    return image.getvalue()


def fields_in(path: Path) -> dict[str, Any]:
    """Return the fields of the packing in a file."""
    attributes, values, contacts = in_child(_hdf5_in_child, path)
    check_sealed(path, attributes.get("sealed"))
    return {
        **values,
        "contacts": Contacts(**contacts) if contacts else None,
        "phase_names": tuple(json.loads(attributes["phase_names"])),
        "periodic": sides_of(path, attributes["periodic"]),
        "origin": json.loads(attributes["origin"]),
    }


def _hdf5_in_child(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return attributes, arrays and arrays of the contacts."""
    with load("h5py", extra="particles").File(path, "r") as file:
        if "femssb packing" not in file.attrs:
            raise InputError(f"read: {path.name} is HDF5, but not a packing of femssb")
        if file.attrs["femssb packing"] > FORMAT:
            raise InputError(f"read: {path.name} was written by a newer femssb")
        hdf5.check_links(path, file)
        spheres: dict[str, Any] = {}
        contacts: dict[str, Any] = {}
        for group, arrays in ((file, spheres), (file.get("contacts", {}), contacts)):
            for name, data in group.items():
                if name != "contacts":
                    hdf5.check_data(path, data)
                    arrays[name] = data[()]
        return dict(file.attrs), spheres, contacts

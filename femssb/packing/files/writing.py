"""Packings to files; `femssb.packing.files.reading` has the table of formats."""

from collections.abc import Mapping
from pathlib import Path

from femssb.description import checked
from femssb.environment.files import make_folder, replacing
from femssb.errors import InputError
from femssb.packing.files import csv_files, data_files, dumps, hdf5_files, vtk_files
from femssb.packing.files.spheres import Units
from femssb.packing.packing import Packing

_SEALED = (".h5", ".hdf5", ".vtp")
_SUFFIXES = ".h5, .hdf5, .vtp, .csv, .dump, .liggghts, .data"


@checked
def write(
    packing: Packing,
    path: str | Path,
    *,
    units: Units = "micro",
    densities: Mapping[str, float] | None = None,
) -> None:
    """Write a packing, whole or not at all; the suffix says in which format.

    Args:
        packing: Any.
        path: With the suffix .h5, .hdf5, .vtp, .csv, .dump, .liggghts or .data.
        units: Of a LAMMPS file; LIGGGHTS files are in SI.
        densities: Density of each phase, needed by a LAMMPS data file [kg/m3].

    Raises:
        InputError: If the suffix is unknown, the folder cannot be written, or a density is missing.
        EngineError: If the package for the format is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".h5", ".hdf5"):
        content = hdf5_files.content(packing)
    elif suffix == ".vtp":
        content = vtk_files.text(packing).encode()
    elif suffix == ".csv":
        content = csv_files.text(packing).encode()
    elif suffix in (".dump", ".liggghts"):
        of_file = "si" if suffix == ".liggghts" else units
        content = dumps.dump_text(packing, of_file).encode()
    elif suffix == ".data":
        content = data_files.data_text(packing, units, densities or {}).encode()
    else:
        raise InputError(f"write: {path.name} has none of the suffixes {_SUFFIXES}")
    make_folder(path.parent)
    with replacing(path, seal=suffix in _SEALED) as temporary:
        temporary.write_bytes(content)

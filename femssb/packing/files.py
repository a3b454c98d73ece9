"""Packings from and to files, those of other programs included.

========================  =====================================  ===============================
suffix                    what is kept                           what must be said when reading
========================  =====================================  ===============================
``.h5``, ``.hdf5``        everything                             nothing
``.vtp``                  all but the contacts                   nothing
``.csv``                  all but the contacts                   nothing; box of foreign files
``.dump``, ``.liggghts``  spheres, box                           units, names of the types
``.data``                 spheres, box                           units, names of the types
========================  =====================================  ===============================

Only HDF5 keeps the contacts, with which the next stage starts exactly where the last one ended.
"""

import contextlib
import csv
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.environment.files import make_folder, replacing
from femssb.environment.packages import load
from femssb.errors import InputError
from femssb.packing import lammps_files
from femssb.packing.packing import Contacts, Packing

FORMAT = 1  # of the HDF5 files; raised when older readers would misread newer files
_CSV = ("id", "phase", "x [m]", "y [m]", "z [m]", "radius [m]")
_STRESS = tuple(i + j for i in "xyz" for j in "xyz")  # branch, then force: not always symmetric
_CSV_STRESS = tuple(f"stress {name} [Pa]" for name in _STRESS)
_SUFFIXES = ".h5, .hdf5, .vtp, .csv, .dump, .liggghts, .data"


def write(
    packing: Packing,
    path: str | Path,
    *,
    units: Literal["si", "micro"] = "micro",
    densities: Mapping[str, float] | None = None,
) -> None:
    """Write a packing, whole or not at all; the suffix says in which format.

    Args:
        packing: Any.
        path: With one of the suffixes of this module's table.
        units: ``"si"`` or ``"micro"`` (pg, um, us): of a LAMMPS file; LIGGGHTS files are in SI.
        densities: Density of each phase, needed by a LAMMPS data file [kg/m3].

    Raises:
        InputError: If the suffix is unknown, the folder cannot be written, or a density is missing.
        EngineError: If the package for the format is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    make_folder(path.parent)
    with replacing(path) as temporary:
        if suffix in (".h5", ".hdf5"):
            _write_hdf5(packing, temporary)
        elif suffix == ".vtp":
            _write_vtk(packing, temporary)
        elif suffix == ".csv":
            _write_csv(packing, temporary)
        elif suffix in (".dump", ".liggghts"):
            of_file = "si" if suffix == ".liggghts" else units
            temporary.write_text(lammps_files.dump_text(packing, of_file))
        elif suffix == ".data":
            temporary.write_text(lammps_files.data_text(packing, units, densities or {}))
        else:
            raise InputError(f"write: {path.name} has none of the suffixes {_SUFFIXES}")


def read(
    path: str | Path,
    *,
    units: Literal["si", "micro"] | None = None,
    phases: Mapping[int, str] | None = None,
    box: tuple[Sequence[float], Sequence[float]] | None = None,
    periodic: tuple[bool, bool, bool] | None = None,
) -> Packing:
    """Read a packing; the suffix says from which format.

    Args:
        path: With one of the suffixes of this module's table. Of a dump, the last frame is read.
        units: ``"si"`` or ``"micro"`` (pg, um, us), of a LAMMPS dump or data file: the file itself
            does not say. LIGGGHTS files are in SI.
        phases: Name of the phase of every type, of a dump or data file.
        box: Lower and upper corner, of a CSV file that femssb did not write, or instead of the box
            in the file [m].
        periodic: Whether the sides across x, y and z are periodic, if the file does not say so.

    Raises:
        InputError: If the file is missing, cut short or of an unknown format, or does not say what
            is needed.
        EngineError: If the package for the format is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError(f"read: there is no file {path}")
    if suffix in (".h5", ".hdf5"):
        return _read_hdf5(path)
    if suffix == ".vtp":
        return _read_vtk(path)
    if suffix == ".csv":
        return _read_csv(path, box, periodic)
    if suffix == ".liggghts":
        units = "si"
    if suffix not in (".dump", ".liggghts", ".data"):
        raise InputError(f"read: {path.name} has none of the suffixes {_SUFFIXES}")
    if units is None:
        raise InputError(f"read: {path.name} does not say its units: give units='si' or 'micro'")
    if not phases:
        raise InputError(f"read: {path.name} numbers its types: give phases={{1: 'AM', ...}}")
    reader = lammps_files.read_data if suffix == ".data" else lammps_files.read_dump
    return reader(path, units, phases, box, periodic)


def _write_hdf5(packing: Packing, path: Path) -> None:
    with load("h5py", extra="particles").File(path, "w") as file:
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


def _read_hdf5(path: Path) -> Packing:
    h5py = load("h5py", extra="particles")
    try:
        with h5py.File(path, "r") as file:
            if "femssb packing" not in file.attrs:
                raise InputError(f"read: {path.name} is HDF5, but not a packing of femssb")
            if file.attrs["femssb packing"] > FORMAT:
                raise InputError(f"read: {path.name} was written by a newer femssb")
            values = {name: file[name][()] for name in file if name != "contacts"}
            if "contacts" in file:
                parts = {name: data[()] for name, data in file["contacts"].items()}
                values["contacts"] = Contacts(**parts)
            return Packing(
                **values,
                phase_names=tuple(json.loads(file.attrs["phase_names"])),
                periodic=tuple(file.attrs["periodic"]),
                origin=json.loads(file.attrs["origin"]),
            )
    except (OSError, KeyError, TypeError) as error:
        raise InputError(f"read: {path.name} is cut short or no packing: {error}") from error


def _write_vtk(packing: Packing, path: Path) -> None:
    pyvista = load("pyvista", extra="plot")
    cloud = pyvista.PolyData(packing.positions)
    cloud["radius"], cloud["phase"], cloud["id"] = packing.radii, packing.phases, packing.ids
    if packing.stress is not None:
        cloud["stress"] = packing.stress.reshape(-1, 9)
        for number, name in enumerate(_STRESS):
            cloud["stress"].VTKObject.SetComponentName(number, name.upper())
    cloud.field_data["lower"], cloud.field_data["upper"] = packing.lower, packing.upper
    cloud.field_data["periodic"] = np.array(packing.periodic, dtype=np.int8)
    cloud.field_data["phase_names"] = [json.dumps(packing.phase_names)]
    cloud.field_data["origin"] = [json.dumps(packing.origin)]
    named = path.with_name(path.name + ".vtp")  # pyvista goes by the suffix
    cloud.save(named)
    named.replace(path)


def _read_vtk(path: Path) -> Packing:
    pyvista = load("pyvista", extra="plot")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # which pyvista gives where VTK cannot read a file
            cloud = pyvista.read(path)
        return Packing(
            positions=cloud.points,
            radii=cloud["radius"],
            phases=cloud["phase"],
            ids=cloud["id"],
            stress=cloud["stress"].reshape(-1, 3, 3) if "stress" in cloud.array_names else None,
            lower=cloud.field_data["lower"],
            upper=cloud.field_data["upper"],
            periodic=tuple(cloud.field_data["periodic"]),
            phase_names=tuple(json.loads(str(cloud.field_data["phase_names"][0]))),
            origin=json.loads(str(cloud.field_data["origin"][0])),
        )
    except (KeyError, ValueError, OSError, UserWarning) as error:
        raise InputError(f"read: {path.name} is cut short or no packing: {error}") from error


def _write_csv(packing: Packing, path: Path) -> None:
    about = {
        "spheres": len(packing.radii),
        "lower": packing.lower.tolist(),
        "upper": packing.upper.tolist(),
        "periodic": packing.periodic,
        "phase_names": packing.phase_names,
        "origin": dict(packing.origin),
    }
    names = np.array(packing.phase_names)[packing.phases]
    columns = [np.asarray(packing.ids), names, *packing.positions.T, packing.radii]
    header = list(_CSV)
    if packing.stress is not None:
        header += _CSV_STRESS
        columns += list(packing.stress.reshape(-1, 9).T)
    with path.open("w", newline="") as file:
        file.write(f"# {json.dumps(about)}\n")
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(zip(*(np.asarray(column).tolist() for column in columns), strict=True))


def _read_csv(path: Path, box: lammps_files.Box, periodic: lammps_files.Sides) -> Packing:
    with path.open() as file:
        lines = file.readlines()
    about: dict[str, Any] = {}
    if lines and lines[0].startswith("#"):
        with contextlib.suppress(json.JSONDecodeError):  # a comment of another program
            about = json.loads(lines[0][1:])
        lines = lines[1:]
    rows = list(csv.DictReader(lines))
    if box is None and "lower" not in about:
        raise InputError(f"read: {path.name} does not say its box: give box=(lower, upper)")
    lower, upper = (about["lower"], about["upper"]) if box is None else box
    if not rows:
        raise InputError(f"read: {path.name} has no rows")
    if "spheres" in about and (len(rows) < about["spheres"] or not lines[-1].endswith("\n")):
        announced = f"{path.name} announces {about['spheres']} spheres"
        raise InputError(f"read: {announced}, but after {len(rows)} it is cut short")
    if missing := [name for name in _CSV if name not in rows[0]]:
        raise InputError(f"read: {path.name} lacks the columns {missing}")

    def column(name: str) -> NDArray[np.float64]:
        try:
            return np.array([float(row[name]) for row in rows])
        except (TypeError, ValueError) as error:
            raise InputError(f"read: {path.name}, column {name!r}: {error}") from error

    names = tuple(about.get("phase_names", sorted({row["phase"] for row in rows})))
    if unknown := {row["phase"] for row in rows} - set(names):
        raise InputError(f"read: {path.name} has phases {unknown}, which it does not announce")
    stress = None
    if all(name in rows[0] for name in _CSV_STRESS):
        stress = np.column_stack([column(name) for name in _CSV_STRESS]).reshape(-1, 3, 3)
    return Packing(
        positions=np.column_stack([column(name) for name in _CSV[2:5]]),
        radii=column("radius [m]"),
        phases=np.array([names.index(row["phase"]) for row in rows]),
        ids=column("id").astype(np.int64),
        stress=stress,
        lower=np.array(lower),
        upper=np.array(upper),
        periodic=periodic or tuple(about.get("periodic", (False, False, False))),
        phase_names=names,
        origin=about.get("origin", {"file": path.name}),
    )

"""Packings from and to files, those of other programs included.

========================  =====================================  ===============================
suffix                    what is kept                           what must be said when reading
========================  =====================================  ===============================
``.h5``, ``.hdf5``        everything                             nothing
``.vtp``                  all but contacts and masses            nothing
``.csv``                  all but contacts and masses            nothing; box of foreign files
``.dump``, ``.liggghts``  spheres, box                           units, names of the types
``.data``                 spheres, box                           names of the types; of foreign
                                                                 files also units and sides
========================  =====================================  ===============================

Only HDF5 keeps the contacts and the masses, with which the next stage starts exactly where the last
one ended.
All but dumps carry a checksum: one that was damaged since femssb wrote it is refused. HDF5 and VTK
files are read in a process of their own, so that a damaged one does no harm.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from femssb.description import checked
from femssb.environment import hdf5, vtk
from femssb.environment.files import check_seal, has_seal, make_folder, replacing
from femssb.environment.isolation import damaged, in_child, reading
from femssb.environment.packages import load
from femssb.errors import InputError
from femssb.packing import lammps_files
from femssb.packing.packing import Contacts, Packing
from femssb.tables import read_text

FORMAT = 1  # of the HDF5 files; raised when older readers would misread newer files
_CSV = ("id", "phase", "x [m]", "y [m]", "z [m]", "radius [m]")
_STRESS = tuple(i + j for i in "xyz" for j in "xyz")  # branch, then force: not always symmetric
_CSV_STRESS = tuple(f"stress {name} [Pa]" for name in _STRESS)
_SEALED = (".h5", ".hdf5", ".vtp")
_SUFFIXES = ".h5, .hdf5, .vtp, .csv, .dump, .liggghts, .data"


@checked
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
    if suffix in (".h5", ".hdf5"):
        content = _hdf5(packing)
    elif suffix == ".vtp":
        content = _vtk(packing).encode()
    elif suffix == ".csv":
        content = _csv(packing).encode()
    elif suffix in (".dump", ".liggghts"):
        of_file = "si" if suffix == ".liggghts" else units
        content = lammps_files.dump_text(packing, of_file).encode()
    elif suffix == ".data":
        content = lammps_files.data_text(packing, units, densities or {}).encode()
    else:
        raise InputError(f"write: {path.name} has none of the suffixes {_SUFFIXES}")
    make_folder(path.parent)
    with replacing(path, seal=suffix in _SEALED) as temporary:
        temporary.write_bytes(content)


@checked
def read(
    path: str | Path,
    *,
    units: Literal["si", "micro"] | None = None,
    phases: Mapping[int, str] | None = None,
    box: tuple[Sequence[float], Sequence[float]] | None = None,
    periodic: tuple[bool, bool, bool] | None = None,
    style: str | None = None,
) -> Packing:
    """Read a packing; the suffix says from which format.

    Args:
        path: With one of the suffixes of this module's table. Of a dump, the last frame is read.
        units: ``"si"`` or ``"micro"`` (pg, um, us), of a LAMMPS dump or data file that does not
            say its units. LIGGGHTS files are in SI.
        phases: Name of the phase of every type, of a dump or data file.
        box: Lower and upper corner, of a CSV file that femssb did not write, or instead of the box
            in the file [m].
        periodic: Whether the sides across x, y and z are periodic, if the file does not say so, as
            data files of LAMMPS. Those of a CSV file are not if neither says so.
        style: Atom style of a data file that does not name it after ``Atoms``: the columns of many
            styles look the same.

    Raises:
        InputError: If the file is missing, damaged, cut short or of an unknown format, does not say
            what is needed, contradicts what is given, or holds particles that are no spheres or
            cannot be in its unit.
        EngineError: If the package for the format is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not os.path.isfile(path):
        raise InputError(f"read: there is no file {path}")
    if suffix in _SEALED and has_seal(path):
        check_seal(path)
    if box is not None and [len(corner) for corner in box] != [3, 3]:
        raise InputError(f"read.box = {box!r} must hold a lower and an upper corner")
    if suffix in (".h5", ".hdf5", ".vtp", ".csv"):
        with reading(path):
            if suffix == ".csv":
                fields = _read_csv(path, box, periodic)
            elif suffix == ".vtp":
                fields = _read_vtk(path)
            else:
                fields = _read_hdf5(path)
        return lammps_files.packing(path, fields)
    if suffix not in (".dump", ".liggghts", ".data"):
        raise InputError(f"read: {path.name} has none of the suffixes {_SUFFIXES}")
    if suffix == ".liggghts" and units not in (None, "si"):
        raise InputError(f"read: units = {units!r}, but {path.name} of LIGGGHTS is in SI")
    if not phases:
        raise InputError(f"read: {path.name} numbers its types: give phases={{1: 'AM', ...}}")
    if suffix == ".data":
        return lammps_files.read_data(path, units, phases, box, periodic, style)
    units = "si" if suffix == ".liggghts" else units
    return lammps_files.read_dump(path, units, phases, box, periodic)


def _check_sealed(path: Path, sealed: object) -> None:
    """Raise InputError if a file says that it was sealed, and is not."""
    if sealed and not has_seal(path):
        raise InputError(f"read: {path.name} is damaged: it does not end in its checksum")


def _hdf5(packing: Packing) -> bytes:
    # Made in memory: HDF5 crashes where the disk is full.
    image = io.BytesIO()
    with load("h5py", extra="particles").File(image, "w") as file:
        file.attrs["sealed"] = True
        file.attrs["femssb packing"] = FORMAT
        file.attrs["phase_names"] = json.dumps(packing.phase_names)
        file.attrs["periodic"] = np.array(packing.periodic)
        file.attrs["origin"] = json.dumps(packing.origin)
        kept = ("positions", "radii", "phases", "ids", "lower", "upper", "stress", "masses")
        arrays = {name: getattr(packing, name) for name in kept}
        if packing.contacts is not None:
            arrays |= {f"contacts/{name}": a for name, a in vars(packing.contacts).items()}
        for name, array in arrays.items():
            if array is not None:
                file.create_dataset(name, data=array)
    return image.getvalue()


def _read_hdf5(path: Path) -> dict[str, Any]:
    attributes, values, contacts = in_child(_hdf5_in_child, path)
    _check_sealed(path, attributes.get("sealed"))
    return {
        **values,
        "contacts": Contacts(**contacts) if contacts else None,
        "phase_names": tuple(json.loads(attributes["phase_names"])),
        "periodic": _sides(path, attributes["periodic"]),
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


def _vtk(packing: Packing) -> str:
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
    cloud.field_data["sealed"] = np.array([1], dtype=np.int8)
    return vtk.xml(cloud, "PolyData")


def _read_vtk(path: Path) -> dict[str, Any]:
    points, spheres, about = in_child(_vtk_in_child, path)
    _check_sealed(path, "sealed" in about)
    stress = spheres.get("stress")
    return {
        "positions": points,
        "radii": spheres["radius"],
        "phases": spheres["phase"],
        "ids": spheres["id"],
        "stress": None if stress is None else stress.reshape(-1, 3, 3),
        "lower": about["lower"],
        "upper": about["upper"],
        "periodic": _sides(path, about["periodic"]),
        "phase_names": tuple(json.loads(about["phase_names"])),
        "origin": json.loads(about["origin"]),
    }


def _vtk_in_child(path: Path) -> tuple[NDArray[Any], dict[str, Any], dict[str, Any]]:
    """Return points, and arrays on them and on the whole; words are single."""
    cloud = vtk.read(path, "PolyData")
    about = vtk.arrays(cloud.GetFieldData())
    return (
        vtk.points(cloud),
        vtk.arrays(cloud.GetPointData()),
        {name: str(a[0]) if a.dtype.kind == "U" else a for name, a in about.items()},
    )


def _sides(path: Path, values: Any) -> tuple[bool, ...]:
    """Return which sides are periodic, from the numbers 0 and 1 in a file."""
    sides = np.asarray(values)
    if sides.shape != (3,) or sides.dtype.kind not in "biu" or not np.isin(sides, (0, 1)).all():
        raise damaged(path, f"periodic is {values!r}")
    return tuple(map(bool, sides))


def _csv(packing: Packing) -> str:
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
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*(np.asarray(column).tolist() for column in columns), strict=True))
    about["sha256"] = _sum_of(about, rows.getvalue())
    return f"# {json.dumps(about)}\n{rows.getvalue()}"


def _sum_of(about: Mapping[str, Any], rows: str) -> str:
    """Return the SHA-256 of what a CSV file holds."""
    rest = {name: value for name, value in about.items() if name != "sha256"}
    return hashlib.sha256(f"{json.dumps(rest)}\n{rows}".encode()).hexdigest()


def _read_csv(path: Path, box: lammps_files.Box, periodic: lammps_files.Sides) -> dict[str, Any]:
    text = read_text(path)
    about: dict[str, Any] = {}
    if text.startswith("#"):
        head, _, text = text.partition("\n")
        with contextlib.suppress(json.JSONDecodeError):  # a comment of another program
            found = json.loads(head[1:])
            about = found if isinstance(found, dict) else {}
    if "sha256" in about and about["sha256"] != _sum_of(about, text):
        raise InputError(
            f"read: {path.name} is damaged or cut short: it differs from what was written; if you "
            "have changed it, take sha256 out of its first line"
        )
    header, *rows = [*csv.reader(io.StringIO(text, newline=""), strict=True)] or [[]]
    rows = [row for row in rows if row]
    if box is None and "lower" not in about:
        raise InputError(f"read: {path.name} does not say its box: give box=(lower, upper)")
    lower, upper = (about["lower"], about["upper"]) if box is None else box
    if not rows:
        raise InputError(f"read: {path.name} has no rows")
    if "spheres" in about and len(rows) != about["spheres"]:
        announced = f"{path.name} announces {about['spheres']} spheres"
        raise InputError(f"read: {announced}, but has {len(rows)}: it is cut short or damaged")
    if missing := [name for name in _CSV if header.count(name) != 1]:
        raise InputError(f"read: {path.name} lacks the columns {missing}, or has them twice")
    if wrong := [row for row in rows if len(row) != len(header)]:
        raise InputError(f"read: {path.name} has {len(header)} columns, but a line {wrong[0]}")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))

    def column(name: str) -> NDArray[np.float64]:
        try:
            return np.array([float(word) for word in columns[name]])
        except ValueError as error:
            raise InputError(f"read: {path.name}, column {name!r}: {error}") from error

    names = tuple(about.get("phase_names", sorted({*columns["phase"]})))
    if unknown := {*columns["phase"]} - {*names}:
        raise InputError(f"read: {path.name} has phases {unknown}, which it does not announce")
    stress = None
    missing = [name for name in _CSV_STRESS if name not in header]
    if 0 < len(missing) < len(_CSV_STRESS):
        raise InputError(f"read: {path.name} has some components of the stress, but not {missing}")
    if not missing:
        stress = np.column_stack([column(name) for name in _CSV_STRESS]).reshape(-1, 3, 3)
    return {
        "positions": np.column_stack([column(name) for name in _CSV[2:5]]),
        "radii": column("radius [m]"),
        "phases": np.array([names.index(name) for name in columns["phase"]]),
        "ids": lammps_files.whole_numbers(path, "id", column("id")),
        "stress": stress,
        "lower": np.array(lower),
        "upper": np.array(upper),
        "periodic": periodic or tuple(about.get("periodic", (False, False, False))),
        "phase_names": names,
        "origin": about.get("origin", {"file": path.name}),
    }

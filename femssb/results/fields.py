"""The fields of a half-cell at chosen times, and their files for ParaView.

A folder of results keeps them in ``fields/``: a VTU file per part (particle, matrix, interface;
contact where particles touch, cracks where grains can break apart) and time, and per part a
``.pvd`` collection that lists them, which ParaView opens. A snapshot is added whole or not at all,
and ``SHA256SUMS`` tells whether a file is as it was written.
"""

import io
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from femssb.description import checked
from femssb.environment.files import (
    check_listed,
    given_path,
    newest,
    read_together,
    replacing_together,
)
from femssb.errors import InputError, check_number
from femssb.results import vtk_files
from femssb.results.folder import FIELDS_FOLDER
from femssb.results.quantities import check_fields

PARTS = ("particle", "matrix", "interface")
# What figures, movies and pages show: every snapshot keeps it.
SHOWN = (
    "Concentration [mol/m3]",
    "Displacement [m]",
    "Von Mises stress [Pa]",
    "Volumetric strain [-]",
    "Grain [-]",
    "Particle [-]",
    "Region [-]",
    "Ionic potential [V]",
    "Gap [m]",
)
SOME = "contact", "cracks"  # parts that only some cells have


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FieldData:
    """Fields on one part of the half-cell. Arrays are kept read-only.

    Six components are a symmetric tensor in Voigt order, xx yy zz yz xz xy; shear strains are
        tensor components, not engineering ones. Files have VTK's order, and name the components.

    Attributes:
        points: Coordinates (n, 3) [m].
        cells: Tetrahedra (m, 4) or triangles (m, 3): rows of `points`.
        point_data: Name with its unit -> values at the points, (n,) or (n, k).
        cell_data: Name with its unit -> values in the mesh cells, (m,) or (m, k).

    Raises:
        InputError: If an array has the wrong shape or is not numeric, or a mesh cell names a point
            that does not exist.
    """

    points: NDArray[np.float64]
    cells: NDArray[np.int64]
    point_data: Mapping[str, NDArray[Any]]
    cell_data: Mapping[str, NDArray[Any]]

    def __post_init__(self) -> None:
        """Check every array and keep a read-only view of it."""
        points, cells = _numeric("points", self.points), _numeric("cells", self.cells)
        if points.ndim != 2 or points.shape[1] != 3:
            raise InputError(f"FieldData.points must have shape (n, 3), got {points.shape}")
        if cells.ndim != 2 or cells.shape[1] not in (3, 4) or cells.dtype != np.int64:
            raise InputError(
                "FieldData.cells must be integers of shape (m, 4) or (m, 3), "
                f"got {cells.dtype} of shape {cells.shape}"
            )
        if cells.size and not 0 <= cells.min() <= cells.max() < len(points):
            raise InputError(
                f"FieldData.cells must lie in [0, {len(points) - 1}], "
                f"got values from {cells.min()} to {cells.max()}"
            )
        object.__setattr__(self, "points", points.astype(np.float64, copy=False))
        object.__setattr__(self, "cells", cells)
        for name, rows in (("point_data", len(points)), ("cell_data", len(cells))):
            kept = {}
            for key, value in getattr(self, name).items():
                kept[key] = array = _numeric(f"{name}[{key!r}]", value)
                if array.ndim not in (1, 2) or len(array) != rows:
                    raise InputError(
                        f"FieldData.{name}[{key!r}] must have {rows} rows, got shape {array.shape}"
                    )
            object.__setattr__(self, name, kept)


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Snapshot:
    """The fields of the half-cell at one time; `femssb.results.FIELDS` says what they mean.

    Attributes:
        time: Time since the start of the run [s].
        label: The moment in words, such as "charge end"; may be empty.
        particle: Fields on the tetrahedra of the particles.
        matrix: Fields on the tetrahedra of ecbd and electrolyte.
        interface: Fields on the triangles of the particles' surface.
        contact: Fields on the triangles where particles touch each other; None where none do.
        cracks: Fields on the triangles of the grain boundaries; None where they cannot break.

    Raises:
        InputError: If the time is negative or not finite.
    """

    time: float
    label: str
    particle: FieldData
    matrix: FieldData
    interface: FieldData
    contact: FieldData | None = None
    cracks: FieldData | None = None

    @property
    def parts(self) -> Mapping[str, FieldData]:
        """The parts by name: those that the cell has."""
        found = {part: getattr(self, part) for part in (*PARTS, *SOME)}
        return {part: data for part, data in found.items() if data is not None}

    def __post_init__(self) -> None:
        """Check the time."""
        check_number("Snapshot", "time", self.time, lower=0, unit="s")

    @checked
    def keeping(self, names: Sequence[str]) -> "Snapshot":
        """Return a snapshot of the fields with these names and of those that figures show.

        Raises:
            InputError: If a name is that of no field.
        """
        check_fields("Snapshot.keeping: names", names)
        wanted = {*SHOWN, *names}

        def some(data: FieldData) -> FieldData:
            points, cells = (
                {name: values for name, values in fields.items() if name in wanted}
                for fields in (data.point_data, data.cell_data)
            )
            return replace(data, point_data=points, cell_data=cells)

        kept: dict[str, Any] = {part: some(data) for part, data in self.parts.items()}
        return replace(self, **kept)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Add this snapshot to a folder of results.

        Snapshots of the same or a later time that the folder holds already are removed: a resumed
        or repeated run replaces what it computes again.

        Args:
            folder: The folder of results; made if it does not exist.

        Raises:
            InputError: If the folder cannot be written to, or holds something else under these
                names.
        """
        target = given_path("Snapshot.write", "folder", folder) / FIELDS_FOLDER
        present = _read_index(target)
        kept = [entry for entry in present if entry[0] < self.time]
        with replacing_together(target, removing=_files(len(kept), len(present))) as new:
            for part, data in self.parts.items():
                path = new / _file_name(part, len(kept))
                vtk_files.write(path, data.points, data.cells, data.point_data, data.cell_data)
            _write_index(new, [*kept, (self.time, self.label)], self.parts)


def cut_snapshots(folder: Path, time: float) -> None:
    """Remove the snapshots of a folder of results that are later than a time [s].

    Raises:
        InputError: As `Snapshot.write` does.
    """
    target = newest(folder, FIELDS_FOLDER)
    present = _read_index(target)
    kept = [entry for entry in present if entry[0] <= time]
    if len(kept) < len(present):
        with replacing_together(target, removing=_files(len(kept), len(present))) as new:
            _write_index(new, kept, _parts(target))


class Snapshots(Sequence[Snapshot]):
    """The snapshots that a folder of results holds, in time; each is read when it is asked for.

    Attributes:
        folder: The folder of results.
        times: Time of every snapshot [s].
        labels: Label of every snapshot.
    """

    @checked
    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Read times and labels, but no field yet.

        Args:
            folder: The folder of results; without snapshots in it, the sequence is empty.

        Raises:
            InputError: If a collection there is damaged or of another program.
        """
        self.folder = given_path("Snapshots", "folder", folder)
        entries = _read_index(newest(self.folder, FIELDS_FOLDER))
        self.times = tuple(time for time, _ in entries)
        self.labels = tuple(label for _, label in entries)

    def __len__(self) -> int:
        """Return the number of snapshots."""
        return len(self.times)

    @overload
    def __getitem__(self, index: int) -> Snapshot: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Snapshot]: ...

    def __getitem__(self, index: int | slice) -> Snapshot | Sequence[Snapshot]:
        """Read one snapshot, or several.

        Raises:
            InputError: If a file is missing, truncated or of another program.
        """
        if isinstance(index, slice):
            return tuple(self[row] for row in range(*index.indices(len(self))))
        row = range(len(self))[index]
        target = newest(self.folder, FIELDS_FOLDER)
        parts = {}
        for part in _parts(target):
            points, cells, *data = vtk_files.read(check_listed(target, _file_name(part, row)))
            parts[part] = FieldData(
                points=points, cells=cells, point_data=data[0], cell_data=data[1]
            )
        return Snapshot(time=self.times[row], label=self.labels[row], **parts)


def _numeric(name: str, value: ArrayLike) -> NDArray[Any]:
    """Return a read-only view as float64 or int64, the two types that every reader takes."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise InputError(f"FieldData.{name} must be real numbers, got {array.dtype}")
    array = array.astype(np.float64 if array.dtype.kind == "f" else np.int64, copy=False).view()
    array.flags.writeable = False
    return array


def _file_name(part: str, row: int) -> str:
    return f"{part}_{row:04d}.vtu"


def _files(first: int, last: int) -> list[str]:
    """Return the names of the files of some snapshots."""
    return [_file_name(part, row) for part in (*PARTS, *SOME) for row in range(first, last)]


def _parts(folder: Path) -> tuple[str, ...]:
    """Return the parts of which a folder of fields holds a collection."""
    return (*PARTS, *(part for part in SOME if newest(folder, f"{part}.pvd").exists()))


def _write_index(folder: Path, entries: Sequence[tuple[float, str]], parts: Iterable[str]) -> None:
    for part in parts:
        root = ET.Element("VTKFile", type="Collection", version="0.1")
        collection = ET.SubElement(root, "Collection")
        for row, (time, label) in enumerate(entries):
            file = _file_name(part, row)
            ET.SubElement(collection, "DataSet", timestep=repr(float(time)), name=label, file=file)
        ET.indent(root)
        ET.ElementTree(root).write(folder / f"{part}.pvd", encoding="utf-8", xml_declaration=True)


def _read_index(folder: Path) -> list[tuple[float, str]]:
    """Return time and label of each snapshot; all collections list the same."""
    names = [f"{part}.pvd" for part in PARTS]
    if not any(newest(folder, name).exists() for name in names):
        return []
    *_, text = read_together(folder, names).values()
    try:
        found = ET.parse(io.BytesIO(text)).getroot().findall("Collection/DataSet")
        return [(float(entry.attrib["timestep"]), entry.attrib["name"]) for entry in found]
    except (ET.ParseError, LookupError, ValueError) as error:  # of an encoding, too
        path = newest(folder, names[-1])
        raise InputError(f"{path} is not a collection of snapshots: {error}") from error

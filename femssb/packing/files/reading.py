"""Packings from files, those of other programs included.

======================= ====================================== ================================
suffix                  what is kept                           what must be said when reading
======================= ====================================== ================================
``.h5``, ``.hdf5``      everything                             nothing
``.vtp``                all but contacts and masses            nothing; of other programs as
                                                               ``.vtk``
``.csv``                all but contacts and masses            nothing; box of foreign files
``.dump``               spheres, box; frames                   units, names of the types
``.liggghts``           spheres, box; frames                   names of the types
``.data`` of LAMMPS     spheres, box                           names of the types; of foreign
                                                               files also units, sides, and the
                                                               atom style where not named
``.data`` of MercuryDPM spheres, box; frames                   units, sides, names of species
``.vtk``                spheres                                units, box, sides, names of types
``.txt`` of Yade        spheres; the cell if periodic          units, box, sides, names of
                                                               materials
======================= ====================================== ================================

Files of other programs keep what the first column says; femssb writes only the first six. Types
that have labels need no names. Only HDF5 keeps the contacts, with which the next stage starts
exactly where the last one ended. HDF5, VTK, CSV and data files of femssb carry a checksum: one that
was damaged since it was written is refused. HDF5 and VTK files are read in a process of their own,
so that a damaged one does no harm.

Particles that are no spheres are refused: ellipsoids, superquadrics, bodies, clumps, discs.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from femssb.description import checked
from femssb.environment.files import check_seal, has_seal
from femssb.environment.isolation import reading
from femssb.errors import InputError, shown
from femssb.packing.files import csv_files, data_files, hdf5_files, mercury, vtk_files, yade
from femssb.packing.files.dumps import Dump
from femssb.packing.files.spheres import Given, Spheres, Units, packing, packing_of
from femssb.packing.packing import Packing

_SEALED = (".h5", ".hdf5", ".vtp")
_FRAMES = (".dump", ".liggghts", ".data")  # may hold several
_SUFFIXES = (*_SEALED, ".csv", *_FRAMES, ".vtk", ".txt")


@checked
def read(
    path: str | Path,
    *,
    units: Units | None = None,
    phases: Mapping[int | str, str] | None = None,
    box: tuple[Sequence[float], Sequence[float]] | None = None,
    periodic: tuple[bool, bool, bool] | None = None,
    style: str | None = None,
    frame: int = -1,
) -> Packing:
    """Read a packing; the suffix says from which format.

    Args:
        path: With one of the suffixes of the table in `femssb.packing.files.reading`.
        units: Of a file that does not say them, by their name in LAMMPS: ``"si"``, ``"cgs"`` (cm),
            ``"micro"`` (um), ``"nano"`` (nm), ``"real"`` or ``"metal"`` (angstrom). ``.liggghts``
            files are in SI.
        phases: Name of the phase of every type, by its number, or its label where it has one.
            Where the file does not tell types apart, one name for all spheres.
        box: Lower and upper corner, of a file that does not say its box, or instead of it [m].
        periodic: Whether the sides across x, y and z are periodic, if the file does not say so, as
            data files of LAMMPS. Those of a CSV file are not if neither says so.
        style: Atom style of a data file that does not name it after ``Atoms``, or not its parts,
            such as ``"hybrid sphere charge"``: the columns of many styles look the same. Columns of
            a table of Yade that does not name them, such as ``"x_y_z_r"``.
        frame: Which frame of a file that has several: 0 is the first, -1 the last.

    Raises:
        InputError: If the file is missing, damaged, cut short or of an unknown format, does not say
            what is needed, contradicts what is given, or holds particles that are no spheres or
            cannot be in its unit.
        EngineError: If the package for the format is not installed.
    """
    path, given = _checked(path, Given(units, phases, box, periodic, style))
    with reading(path):
        frames = _frames(path, given)
        if not -len(frames) <= frame < len(frames):
            raise InputError(f"read: frame = {frame}, but {path.name} has {len(frames)} frames")
        return _packing(path, frames[frame], given)


@checked
def read_frames(
    path: str | Path,
    *,
    units: Units | None = None,
    phases: Mapping[int | str, str] | None = None,
    box: tuple[Sequence[float], Sequence[float]] | None = None,
    periodic: tuple[bool, bool, bool] | None = None,
    style: str | None = None,
) -> tuple[Packing, ...]:
    """Read all frames of a file, from the first to the last; their origin has step or time.

    Args:
        path: As for `read`, and so are the others. A file without frames has one.
        units: Of a file that does not say them.
        phases: Name of the phase of every type.
        box: Lower and upper corner, the same for all frames [m].
        periodic: Whether the sides across x, y and z are periodic.
        style: Atom style, or columns, where the file does not name them.

    Raises:
        InputError: As `read` does.
        EngineError: As `read` does.
    """
    path, given = _checked(path, Given(units, phases, box, periodic, style))
    with reading(path):
        frames = _frames(path, given)
        return tuple(_packing(path, frames[row], given) for row in range(len(frames)))


def _checked(path: str | Path, given: Given) -> tuple[Path, Given]:
    """Return a path and what is given for it, once they fit together."""
    path = Path(path)
    suffix = path.suffix.lower()
    if not os.path.isfile(path):
        raise InputError(f"read: there is no file {path}")
    if suffix not in _SUFFIXES:
        raise InputError(f"read: {path.name} has none of the suffixes {', '.join(_SUFFIXES)}")
    if suffix in _SEALED and has_seal(path):
        check_seal(path)
    if given.box is not None and [len(corner) for corner in given.box] != [3, 3]:
        raise InputError(f"read.box = {shown(given.box)} must hold a lower and an upper corner")
    if suffix == ".liggghts":
        if given.units not in (None, "si"):
            raise InputError(f"read: units = {given.units!r}, but {path.name} of LIGGGHTS is in SI")
        given = given._replace(units="si")
    return path, given


def _frames(path: Path, given: Given) -> Sequence[Spheres | Packing] | Dump | mercury.Frames:
    """Return what a file holds, frame by frame."""
    match path.suffix.lower():
        case ".h5" | ".hdf5":
            return [packing(path, hdf5_files.fields_in(path))]
        case ".csv":
            return [packing(path, csv_files.fields_in(path, given.box, given.periodic))]
        case ".vtp" | ".vtk":
            found = vtk_files.found_in(path)
            return [found if isinstance(found, Spheres) else packing(path, found)]
        case ".txt":
            return [yade.spheres_in(path, given.style)]
        case ".dump" | ".liggghts":
            return Dump(path)
        case _ if mercury.is_mercury(path):
            return mercury.Frames(path)
        case _:
            return [data_files.spheres_in(path, given.style)]


def _packing(path: Path, found: Spheres | Packing, given: Given) -> Packing:
    """Return the packing of a frame."""
    return found if isinstance(found, Packing) else packing_of(path, found, given)

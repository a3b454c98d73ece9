"""Meshes from and to files, and from Gmsh models built in Python.

Volumes are named ``ecbd``, ``electrolyte`` and, for the grains, ``particle`` (one single crystal),
``particle_2``, ``grain_7`` (of the only particle) or ``particle_2_grain_7``; numbers count from 1.
Surfaces are named ``collector``, ``anode`` (both needed), ``x_min``, ``x_max``, ``y_min`` and
``y_max`` (periodic where a pair is named); ``interface`` and ``grain_boundary`` may be left out.
Orientations lie next to a mesh ``name.msh`` in ``name.orientations.csv``.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from numpy.typing import ArrayLike

from femssb.arrays import Array
from femssb.description import checked
from femssb.environment.files import given_path, make_folder, replacing
from femssb.environment.isolation import in_child
from femssb.environment.ranks import on_first_rank
from femssb.errors import InputError, MeshError, check_number, shown
from femssb.meshing.data import MeshData, assemble, check_ranks, distribute, gather
from femssb.meshing.formats import (
    TETRAHEDRON,
    TRIANGLE,
    Named,
    from_model,
    gmsh_session,
    read_mesh,
)
from femssb.meshing.orientations import (
    beside,
    check_mesh_of,
    orientations_text,
    read_orientations,
)
from femssb.meshing.parts import INNER, REGIONS, Parts, grain_number, volume_tags
from femssb.tables import LARGEST_NUMBER, LARGEST_UNIT, SMALLEST_UNIT
from femssb.units import um

NEEDED_REGIONS = ("ecbd",)
NEEDED_FACETS = ("collector", "anode")
FOR_EXAMPLE = "for example numpy.eye(3) for crystal axes along those of the box"


def read(
    path: str | Path,
    *,
    unit: float = um,
    orientations: ArrayLike | str | Path | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Read a mesh with named volumes and surfaces from a file.

    Args:
        path: A ``.msh`` of Gmsh (versions 2 to 4.1), or a ``.inp`` of Abaqus with element sets.
        unit: Length of the unit of the file [m].
        orientations: Active rotations, columns are the crystal axes, shape (3, 3) for all grains
            or (n_grains, 3, 3) in the order of particle and grain numbers; or a CSV file with
            the columns grain, qw, qx, qy, qz. By default the CSV file next to the mesh.
        comm: Ranks over which the mesh is distributed.

    Raises:
        InputError: If the file, the unit or the orientations are missing or wrong; on every rank.
        MeshError: If the file is damaged, or names or shapes do not fit; on every rank.
    """
    check_number("read", "unit", unit, lower=SMALLEST_UNIT, upper=LARGEST_UNIT, unit="m")
    check_ranks("read", comm)
    path = given_path("read", "path", path)
    data = distribute(on_first_rank(comm, lambda: _read(path, unit, orientations)), comm)
    origin: dict[str, Any] = {"file": str(path.absolute()), "unit": unit}
    if orientations is not None:
        origin["orientations"] = (
            str(Path(orientations).absolute())
            if isinstance(orientations, str | Path)
            else np.asarray(orientations)
        )
    return replace(data, origin=origin)


def from_gmsh(
    model: Any,
    *,
    unit: float = um,
    orientations: ArrayLike | str | Path | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Copy the current Gmsh model of rank 0, already meshed, with named physical groups.

    Args:
        model: ``gmsh.model``; only used on rank 0.
        unit: Length of the unit of the model [m].
        orientations: As for `read`; needed.
        comm: Ranks over which the mesh is distributed.

    Raises:
        InputError: If the unit or the orientations are missing or wrong; on every rank.
        MeshError: If names or shapes do not fit; on every rank.
    """
    check_number("from_gmsh", "unit", unit, lower=SMALLEST_UNIT, upper=LARGEST_UNIT, unit="m")
    check_ranks("from_gmsh", comm)

    def work() -> Parts:
        if not hasattr(model, "mesh"):
            raise InputError(f"from_gmsh.model must be gmsh.model, got {shown(model)}")
        return _assemble("the Gmsh model", *from_model(model), unit, orientations)

    return distribute(on_first_rank(comm, work), comm)


@checked
def write(data: MeshData, path: str | Path) -> None:
    """Write a mesh in um to a ``.msh`` file of Gmsh, and its orientations to a CSV file next to it.

    The files are the same whatever the number of ranks.

    Raises:
        InputError: If the path cannot be written or is no ``.msh``; on every rank.
    """
    path = given_path("write", "path", path)
    if path.suffix != ".msh":
        raise InputError(f"write.path = {path} must end in .msh")
    parts = gather(data)

    def work() -> None:
        if parts is not None:
            make_folder(path.parent)
            try:
                _write(parts, path)
            except OSError as error:
                raise InputError(f"write.path = {path} cannot be written: {error}") from error

    on_first_rank(data.mesh.comm, work)


def _read(path: Path, unit: float, orientations: ArrayLike | str | Path | None) -> Parts:
    if not os.path.isfile(path):
        raise InputError(f"read.path = {path}: there is no such file")
    if orientations is None:
        orientations = beside(path)
        if not os.path.isfile(orientations):
            raise InputError(
                f"read.orientations: there is no {orientations.name} next to {path.name}; give "
                f"orientations, {FOR_EXAMPLE}"
            )
        check_mesh_of(path)
    points, volumes, surfaces = in_child(read_mesh, path)
    try:
        return _assemble(path.name, points, volumes, surfaces, unit, orientations)
    except MeshError as error:
        if path.name in str(error):
            raise
        raise MeshError(f"{path.name}: {error}") from error


def _assemble(
    source: str,
    points: Array,
    volumes: Named,
    surfaces: Named,
    unit: float,
    orientations: ArrayLike | str | Path | None,
) -> Parts:
    """Check the names and sizes of what was read, and number it."""
    missing = [name for name in NEEDED_REGIONS if name not in volumes]
    missing += [name for name in NEEDED_FACETS if name not in surfaces]
    grains = {name: number for name in volumes if (number := grain_number(name))}
    if not grains:
        missing.append("a grain (particle, grain_1, particle_1_grain_1 ...)")
    unknown = sorted(set(volumes) - set(grains) - set(REGIONS))
    if missing or unknown:
        raise MeshError(
            f"{source}: missing {', '.join(missing) or 'nothing'}; "
            f"unknown {', '.join(unknown) or 'nothing'}; "
            f"found volumes {sorted(volumes)}, surfaces {sorted(surfaces)}"
        )
    for name, corners in (volumes | surfaces).items():
        if not len(corners) and name not in INNER:
            what = "tetrahedra" if name in volumes else "triangles"
            raise MeshError(f"{source}: {name!r} has no {what}; is it meshed?")
        if corners.size and not 0 <= corners.min() <= corners.max() < len(points):
            raise MeshError(f"{source}: {name!r} has corners that are not among its points")
    if not (np.abs(points) < LARGEST_NUMBER).all():
        raise MeshError(f"{source} has coordinates that are not below {LARGEST_NUMBER:g}")
    cells = np.vstack(list(volumes.values()))
    if orientations is None:
        raise InputError(f"orientations are needed, {FOR_EXAMPLE}")
    if isinstance(orientations, (str, Path)):
        orientations = read_orientations(Path(orientations), grains)
    regions = np.repeat(list(volumes), list(map(len, volumes.values()))).tolist()
    return assemble(points * unit, cells, regions, surfaces, orientations, derive_sides=False)


def _write(parts: Parts, path: Path) -> None:
    volumes = (3, TETRAHEDRON, parts.cells, parts.cell_tags, volume_tags(parts))
    surfaces = (2, TRIANGLE, parts.triangles, parts.facet_tags, parts.facets)
    with gmsh_session() as gmsh:
        model = gmsh.model
        for dimension, kind, corners, tags, names in (volumes, surfaces):
            for row, (name, tag) in enumerate(names.items()):
                model.addDiscreteEntity(dimension, tag)
                if dimension == 3 and row == 0:  # all points belong to the first volume
                    numbers = np.arange(1, len(parts.points) + 1)
                    model.mesh.addNodes(3, tag, numbers, (parts.points / um).ravel())
                model.mesh.addElementsByType(tag, kind, [], corners[tags == tag].ravel() + 1)
                model.addPhysicalGroup(dimension, [tag], tag, name)
        with replacing(path) as temporary:
            gmsh.write(os.fspath(temporary))
    with replacing(beside(path)) as temporary:
        temporary.write_text(orientations_text(parts, path), encoding="utf-8", newline="")

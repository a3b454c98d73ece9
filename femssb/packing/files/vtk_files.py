"""Packings in VTK: of femssb, with all but the contacts, and clouds of points of other programs.

LIGGGHTS, Yade and ParaView write points with arrays: the radius or diameter of each, and perhaps
its number and type. Neither the unit nor the box is in such a file.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.environment import vtk
from femssb.environment.isolation import damaged, in_child
from femssb.environment.packages import load
from femssb.errors import InputError
from femssb.packing.files.shapes import check_spheres
from femssb.packing.files.spheres import Spheres, check_sealed, sides_of
from femssb.packing.packing import Packing

_STRESS = tuple(i + j for i in "xyz" for j in "xyz")  # branch, then force: not always symmetric
# Names of arrays, without regard to capitals.
_IDS = ("id", "ids")
_TYPES = ("type", "phase", "species", "mat", "matid", "material")


def text(packing: Packing) -> str:
    """Return the file of a packing."""
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


def found_in(path: Path) -> dict[str, Any] | Spheres:
    """Return the fields of a packing of femssb, or the spheres of another program."""
    points, spheres, about = in_child(_cloud_in_child, path)
    if "phase_names" not in about:
        return _of_others(path, points, spheres)
    check_sealed(path, "sealed" in about)
    stress = spheres.get("stress")
    return {
        "positions": points,
        "radii": spheres["radius"],
        "phases": spheres["phase"],
        "ids": spheres["id"],
        "stress": None if stress is None else stress.reshape(-1, 3, 3),
        "lower": about["lower"],
        "upper": about["upper"],
        "periodic": sides_of(path, about["periodic"]),
        "phase_names": tuple(json.loads(about["phase_names"])),
        "origin": json.loads(about["origin"]),
    }


def _cloud_in_child(path: Path) -> tuple[NDArray[Any], dict[str, Any], dict[str, Any]]:
    """Return points, and arrays on them and on the whole; words are single."""
    cloud = vtk.read_legacy(path) if path.suffix.lower() == ".vtk" else vtk.read(path, "PolyData")
    about = vtk.arrays(cloud.GetFieldData())
    on_points = vtk.arrays(cloud.GetPointData())
    return (
        vtk.points(cloud),
        {name: a for name, a in on_points.items() if a.dtype.kind != "U"},
        {name: str(a[0]) if a.dtype.kind == "U" else a for name, a in about.items()},
    )


def _of_others(path: Path, points: NDArray[Any], arrays: Mapping[str, NDArray[Any]]) -> Spheres:
    check_spheres(path, arrays)
    found = {name.lower(): values for name, values in arrays.items()}
    if "radius" in found:
        radii = found["radius"]
    elif "diameter" in found:
        radii = found["diameter"] / 2
    else:
        raise InputError(
            f"read: {path.name} has no array 'radius' or 'diameter' on its points, only "
            f"{list(arrays)}: it is no packing of spheres"
        )
    if radii.shape != (len(points),):
        raise damaged(path, f"{radii.shape} radii for {len(points)} points")
    ids = next((found[name] for name in _IDS if name in found), None)
    types = next((found[name] for name in _TYPES if name in found), None)
    return Spheres(
        positions=points.astype(np.float64), radii=radii.astype(np.float64), ids=ids, types=types
    )

"""Images in HDF5: of femssb, of h5py, and of DREAM.3D, which says the edges of a voxel.

DREAM.3D keeps a number per cell as an array with four axes, the last of length 1, in a group of
cells next to a group ``_SIMPL_GEOMETRY`` (to version 6), or within a group with the attributes
``_DIMENSIONS`` and ``_SPACING`` along x, y and z (version 7 and NX), with ``Units``, a number that
stands for a unit of length. That of the metre is what NX writes if nobody has set one, so it counts
as none; nor has version 6 a unit.

Source: the file specification of simplnx, github.com/BlueQuartzSoftware/simplnx, with its numbers
of units; that of DREAM.3D 6 in its reference manual, "Native DREAM.3D File Format".
"""

import io
from pathlib import Path
from typing import Any

from femssb.environment import hdf5
from femssb.environment.isolation import damaged, in_child
from femssb.environment.packages import load
from femssb.units import mm, nm, um
from femssb.voxels import image as images
from femssb.voxels.files.content import Content, about, check, chosen, said_by
from femssb.voxels.image import AXES, VoxelImage

UNITS = {4: 1e-12, 5: nm, 6: um, 7: mm, 8: 1e-2, 9: 0.1, 21: 0.1 * nm}  # of NX [m]
_CELLS = "Phases"  # array of DREAM.3D with the material of each cell


def read_hdf5(path: Path, array: str | None) -> Content:
    """Return a data set of whole numbers."""
    return Content(*in_child(_hdf5_in_child, path, array, images.available_memory()))


def _hdf5_in_child(
    path: Path, array: str | None, free: int | None
) -> tuple[Any, str | None, dict[str, Any]]:
    """Return a data set, what its indices count, and what the file says of the voxels."""
    h5py = load("h5py", extra="voxels")
    with h5py.File(path, "r") as file:
        sets: dict[str, Any] = {}
        grids: dict[str, dict[str, Any]] = {}

        def keep(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                sets[name] = item
            elif "_DIMENSIONS" in item.attrs and "_SPACING" in item.attrs:
                grids[name] = {"shape": item.attrs["_DIMENSIONS"], "edges": item.attrs["_SPACING"]}
                grids[name]["unit"] = UNITS.get(int(item.attrs.get("Units", -1)))

        file.visititems(keep)  # follows no links to other files
        for name, data in sets.items():
            folder, _, last = name.rpartition("/")
            if last == "DIMENSIONS" and folder.endswith("_SIMPL_GEOMETRY"):
                edges = sets.get(f"{folder}/SPACING", sets.get(f"{folder}/RESOLUTION"))
                if edges is not None:
                    for one in (data, edges):
                        hdf5.check_data(path, one)
                    grids[folder.rpartition("/")[0]] = {"shape": data[()], "edges": edges[()]}
        shapes = {name: _shape(data) for name, data in sets.items()}
        name = chosen(path, _candidates(sets, shapes, array), array, _usual(shapes))
        data = sets[name]
        hdf5.check_data(path, data)
        check(path, shapes[name], data.dtype, 2, free)
        said = said_by(data.attrs.get("femssb"))
        values = data[...].reshape(shapes[name])
        order = "".join(dimension.label for dimension in data.dims)
        if said:
            return values, "xyz", said
        if (grid := _grid_of(name, grids)) is not None:
            if tuple(grid["shape"])[::-1] != shapes[name]:
                raise damaged(path, f"{name!r} has the shape {shapes[name]}, its grid another")
            edges = [float(edge) for edge in grid["edges"]]
            unit = grid.get("unit")
            if unit is None:
                return values, "zyx", {"unitless": edges}
            return values, "zyx", {"spacing": [edge * unit for edge in edges][::-1]}
        counted = len({*order}) == len(order) == values.ndim and {*order} <= {*AXES}
        return values, order if counted else None, {}


def _grid_of(name: str, grids: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the grid of DREAM.3D in whose group a data set lies."""
    for folder, grid in grids.items():
        if name.startswith(f"{folder}/"):
            return grid
    return None


def _shape(data: Any) -> tuple[int, ...]:
    """Return the shape of an array, without the axis of its components where it has only one."""
    shape = tuple(data.shape)
    return shape[:-1] if len(shape) == 4 and shape[-1] == 1 else shape


def _candidates(
    sets: dict[str, Any], shapes: dict[str, tuple[int, ...]], array: str | None
) -> list[str]:
    """Return the names of the data sets that may be meant: whole numbers first, volumes first."""
    if array is not None:
        named = [name for name, shape in shapes.items() if len(shape) in (2, 3)]
        solid = [name for name in named if len(shapes[name]) == 3]
        ends = [name for name in solid if name.rpartition("/")[2] == array]
        return solid if ends else named  # of grains, DREAM.3D keeps tables of the same names
    for axes in (3, 2):
        for kinds in ("biu", "f"):
            found = [
                name
                for name, data in sets.items()
                if len(shapes[name]) == axes and data.dtype.kind in kinds
            ]
            if found:
                return found
    return []


def _usual(shapes: dict[str, tuple[int, ...]]) -> str:
    """Return the data set that is meant if none is asked for."""
    ends = [name for name in shapes if name.rpartition("/")[2] == _CELLS]
    solid = [name for name in ends if len(shapes[name]) == 3]
    return solid[0] if len(solid) == 1 and "labels" not in shapes else "labels"


def write_hdf5(image: VoxelImage, path: Path) -> None:
    """Write an image as a data set with labelled axes."""
    h5py = load("h5py", extra="voxels")
    made = io.BytesIO()  # HDF5 crashes where the disk is full
    with h5py.File(made, "w") as file:
        data = file.create_dataset("labels", data=image.labels, compression="gzip", shuffle=False)
        for dimension, axis in zip(data.dims, AXES, strict=True):
            dimension.label = axis
        data.attrs["femssb"] = about(image)
    path.write_bytes(made.getbuffer())

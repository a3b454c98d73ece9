"""Images of VTK in XML (.vti), of ParaView, PyVista and segmentation programs."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from femssb.environment import vtk
from femssb.environment.isolation import damaged, in_child
from femssb.environment.packages import load
from femssb.errors import InputError
from femssb.voxels import image as images
from femssb.voxels.files.content import Content, Values, about, check, chosen, said_by
from femssb.voxels.image import VoxelImage


def read_vti(path: Path, array: str | None) -> Content:
    """Return the values of a VTK image."""
    values, said = in_child(_vti_in_child, path, array, images.available_memory())
    return Content(values, "zyx", said)


def _vti_in_child(path: Path, array: str | None, free: int | None) -> tuple[Values, dict[str, Any]]:
    """Return the values of a VTK image, x fastest, and what it says of the voxels."""
    grid = vtk.read(path, "ImageData")
    if not grid.GetDirectionMatrix().IsIdentity():
        raise InputError(f"{path} is turned: its axes are not along x, y and z")
    points = tuple(grid.GetDimensions())
    on_points = dict.fromkeys(vtk.arrays(grid.GetPointData()), points)
    # A grid of one plane of points has one layer of cells.
    on_cells = dict.fromkeys(vtk.arrays(grid.GetCellData()), tuple(max(n - 1, 1) for n in points))
    if array is not None and array in on_points.keys() & on_cells.keys():
        raise InputError(f"{path} has values {array!r} both on points and on cells")
    shapes = on_points | on_cells if array is not None else on_cells or on_points
    name = chosen(path, list(shapes), array, "phase")
    data = grid.GetCellData() if name in on_cells else grid.GetPointData()
    values, shape = vtk.arrays(data)[name], shapes[name]
    if values.ndim != 1:
        raise InputError(f"{path}: {name!r} has {values.shape[-1]} components, expected one")
    if len(values) != math.prod(shape):
        raise damaged(path, f"{len(values)} values for {shape} voxels")
    check(path, shape, values.dtype, 2, free)
    said: dict[str, Any] = {"spacing": list(grid.GetSpacing())}
    text = vtk.arrays(grid.GetFieldData()).get("femssb", np.array([""]))
    return values.reshape(shape[::-1]), said_by(text[0]) or said


def write_vti(image: VoxelImage, path: Path) -> None:
    """Write an image with its labels on the cells."""
    pyvista = load("pyvista", extra="plot")
    grid = pyvista.ImageData(
        dimensions=tuple(n + 1 for n in image.shape), spacing=image.spacing, origin=(0, 0, 0)
    )
    grid.cell_data["phase"] = image.labels.ravel(order="F")
    grid.field_data["femssb"] = [about(image)]
    path.write_text(vtk.xml(grid, "ImageData"), encoding="utf-8")

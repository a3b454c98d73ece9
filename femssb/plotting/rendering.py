"""PyVista renderings as arrays of pixels, made without a display.

Lengths are micrometres in here. A `View` looks at the scene in parallel projection, so that a place
in the picture is a place in the scene and Matplotlib can write on it.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import description, field
from femssb.results.fields import FieldData
from femssb.tetrahedra import volumes
from femssb.units import um

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Vector = tuple[float, float, float]
Layer = tuple[pv.DataSet, dict[str, Any]]  # a mesh, and how `pyvista.Plotter.add_mesh` shows it

Draw = Callable[["View", Sequence[Layer]], NDArray[np.uint8]]

LINE = {"color": "black", "line_width": 1.5, "lighting": False}
_PROBE = """
import vtkmodules.vtkRenderingOpenGL2
from vtkmodules.vtkRenderingCore import vtkRenderWindow
window = vtkRenderWindow()
window.SetOffScreenRendering(1)
window.Render()
"""


@description
class View:
    """The place from which the scene is seen."""

    focus: Vector = field("point in the middle of the picture", unit="um")
    towards: Vector = field("direction from the focus to the viewer, of any length")
    up: Vector = field("direction that points up in the picture, of any length")
    half_height: float = field("half the height of the picture", unit="um", above=0)
    aspect: float = field("width over height", above=0, default=1.0)

    @classmethod
    def of(cls, points: Array, *, towards: Vector, up: Vector) -> View:
        """Return the view that just holds some points of the scene, (n, 3) [um]."""
        x, y, z = ((points.min(axis=0) + points.max(axis=0)) / 2).tolist()
        view = cls(focus=(x, y, z), towards=towards, up=up, half_height=1.0)
        half_width, half_height = 1.03 * np.abs(view.place(points)).max(axis=0)
        return replace(view, half_height=float(half_height), aspect=float(half_width / half_height))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of the picture, from the focus [um]."""
        half_width = self.aspect * self.half_height
        return -half_width, half_width, -self.half_height, self.half_height

    def place(self, points: Array) -> Array:
        """Return where points of the scene, (n, 3) [um], are in the picture, (n, 2) [um]."""
        towards = np.array(self.towards) / np.linalg.norm(self.towards)
        right = np.cross(self.up, towards)
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(towards, right)])
        return np.asarray((points - np.array(self.focus)) @ axes.T)


@functools.cache
def can_render() -> bool:
    """Return whether VTK finds OpenGL; a process of its own tries it, which may crash without."""
    probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, check=False)
    return probe.returncode == 0


@contextmanager
def renderer(height: int) -> Iterator[Draw]:
    """Open a window that is not shown.

    Args:
        height: Height of the pictures [pixels].

    Yields:
        A function that draws meshes, seen from a view, as pixels (height, width, 3) on white.
        Meshes without points are left out.
    """
    # VTK tries an X server first and warns that there is none.
    with pv.vtk_verbosity("error"):
        plotter = pv.Plotter(off_screen=True, border=False)
        plotter.set_background("white")  # type: ignore[arg-type]

        def draw(view: View, layers: Sequence[Layer]) -> NDArray[np.uint8]:
            plotter.clear_actors()
            size = [round(height * view.aspect), height]
            if plotter.window_size != size:  # setting it draws the scene once more
                plotter.window_size = size
            for mesh, options in layers:
                if mesh.n_points:
                    plotter.add_mesh(mesh, show_scalar_bar=False, render=False, **options)
            towards = np.array(view.towards) / np.linalg.norm(view.towards)
            plotter.camera.focal_point = view.focus
            plotter.camera.position = view.focus + 20 * view.half_height * towards
            plotter.camera.up = view.up
            plotter.camera.parallel_projection = True
            plotter.camera.parallel_scale = view.half_height
            plotter.reset_camera_clipping_range()
            plotter.render()
            return np.array(plotter.screenshot(return_img=True), dtype=np.uint8)

        try:
            yield draw
        finally:
            plotter.close()


def show(axes: Axes, draw: Draw, view: View, layers: Sequence[Layer]) -> None:
    """Show a rendered picture in a panel whose coordinates are those of the view [um]."""
    axes.imshow(draw(view, layers), extent=view.extent)


def grid(data: FieldData, group: str) -> pv.UnstructuredGrid:
    """Return tetrahedra whose cell data have become point data, smooth within each group.

    A point shared by several groups (grains, regions) becomes one point of each, so that the jump
    from grain to grain stays a jump; within a group, the values of the cells around a point are
    averaged by volume.

    Args:
        data: Fields on tetrahedra.
        group: Name of the cell data that number the groups.

    Returns:
        The grid [um], every field as point data; a surface of it surrounds each group.
    """
    n = len(data.points)
    keys = data.cell_data[group].astype(np.int64)[:, None] * n + data.cells
    unique, cells = np.unique(keys, return_inverse=True)
    cells = cells.reshape(keys.shape)
    volume = volumes(data.points, data.cells)
    weight = np.bincount(cells.ravel(), weights=np.repeat(volume, 4))
    result = pv.UnstructuredGrid({pv.CellType.TETRA: cells}, data.points[unique % n] / um)
    for name, values in data.point_data.items():
        result.point_data[name] = values[unique % n]
    for name, values in data.cell_data.items():
        if values.ndim == 1:
            total = np.bincount(cells.ravel(), weights=np.repeat(values * volume, 4))
            result.point_data[name] = total / weight
    return result


def skin(cells: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the faces that belong to one tetrahedron only, (k, 3), and the row of that one."""
    faces = cells[:, [[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]]].reshape(-1, 3)
    _, first, count = np.unique(np.sort(faces), axis=0, return_index=True, return_counts=True)
    single = first[count == 1]
    return faces[single], single // 4


def walls(solid: pv.UnstructuredGrid) -> pv.PolyData:
    """Return the triangles around every group of a `grid`: grain boundaries and outer surface."""
    faces, _ = skin(solid.cell_connectivity.reshape(-1, 4))
    result: pv.PolyData = pv.PolyData.from_regular_faces(solid.points, faces)
    return result


def seams(data: FieldData, group: str) -> pv.PolyData:
    """Return the lines [um] along which groups meet on the outer surface of tetrahedra."""
    faces, owner = skin(data.cells)
    label = np.repeat(data.cell_data[group][owner], 3)
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2))
    order = np.lexsort((edges[:, 0], edges[:, 1]))  # the two sides of an edge come to be neighbours
    edges, label = edges[order], label[order]
    meet = (edges[1:] == edges[:-1]).all(axis=1) & (label[1:] != label[:-1])
    lines = np.insert(edges[1:][meet], 0, 2, axis=1)
    return pv.PolyData(data.points / um, lines=lines.ravel())


def surface(data: FieldData) -> pv.PolyData:
    """Return triangles [um] with their point data; cell data are averaged to the points."""
    cells: NDArray[Any] = data.cells
    result: pv.PolyData = pv.PolyData.from_regular_faces(data.points / um, cells)
    for name, values in data.cell_data.items():
        result.cell_data[name] = values
    if data.cell_data:
        result = result.cell_data_to_point_data()
    for name, values in data.point_data.items():
        result.point_data[name] = values
    return result


def corners(ring: Sequence[tuple[float, float]], bottom: float, top: float) -> Array:
    """Return the corners of an upright prism, those of its bottom first, shape (2 n, 3)."""
    return np.array([(*place, z) for z in (bottom, top) for place in ring])


def prism(corners: Array) -> pv.PolyData:
    """Return the edges of a prism: see `corners`."""
    n = len(corners) // 2
    here, next_ = np.arange(n), np.roll(np.arange(n), -1)
    edges = np.vstack([(here, next_), (here + n, next_ + n), (here, here + n)]).reshape(3, 2, n)
    lines = np.insert(edges.transpose(0, 2, 1).reshape(-1, 2), 0, 2, axis=1)
    return pv.PolyData(corners, lines=lines.ravel())

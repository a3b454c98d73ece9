"""Figures of fields: pictures that PyVista renders, in Matplotlib's frames, scales and bars."""

import itertools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyvista as pv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from vtkmodules.vtkFiltersGeometry import vtkGeometryFilter

from femssb.errors import InputError
from femssb.plotting import rendering
from femssb.plotting.rendering import Vector, View, show
from femssb.plotting.style import bare, colour_bar
from femssb.results.fields import FieldData, Snapshot
from femssb.results.quantities import on_axis
from femssb.results.solution import Solution
from femssb.tetrahedra import volumes
from femssb.units import GPa, nm, um

PIXELS = 600  # height of a rendered picture: twice what is printed, so edges come out smooth
BARE = {"color": "#ececec"}  # look of bodies without the field that is shown
LINES = 14  # of current, along x and along y
LIFT = 0.02  # [um] towards the viewer, so that lines are not lost in the faces they lie on
HEAD = "-|>,head_width=0.15,head_length=0.3"
ARROW = {"arrowstyle": HEAD, "linewidth": 0.8, "color": "black", "shrinkA": 0, "shrinkB": 0}


SOFT = {"smooth_shading": True, "ambient": 0.75, "diffuse": 0.3}  # of a surface seen from outside
Look = Mapping[str, Any]  # as `pyvista.Plotter.add_mesh` takes it


class _Field(NamedTuple):
    name: str  # in the snapshots
    label: str  # on the colour bar
    unit: float  # what 1 on the colour bar is in SI
    colours: str = "viridis"  # a perceptually uniform colour map
    from_zero: bool = True  # whether the range includes zero


STRESS = _Field("Von Mises stress [Pa]", "Von Mises stress [GPa]", GPa, "magma_r")
AROUND = "Blues"  # colours of what surrounds the particles, where these have a scale of theirs
FIELDS = (
    _Field("Concentration [mol/m3]", "Lithium concentration [10³ mol m⁻³]", 1e3, from_zero=False),
    _Field("Volumetric strain [-]", "Volumetric strain [%]", 0.01, "cividis"),
    STRESS,
)
GAP = _Field("Gap [m]", "Gap [nm]", nm, "magma_r")
EVENNESS = _Field(
    "Lithium [-]", "Lithium of a particle against the mean of all [%]", 0.01, "coolwarm"
)
IONS = _Field("Ionic potential [V]", "Ionic potential [mV]", 1e-3)
# Planes through the middle of a particle, named by the axes that point right and up in the picture:
# the direction to the viewer and the one that points up.
PLANES: dict[str, tuple[Vector, Vector]] = {
    "x-y": ((0, 0, 1), (0, 1, 0)),
    "z-y": ((-1, 0, 0), (0, 1, 0)),
    "z-x": ((0, 1, 0), (1, 0, 0)),
}


class _Scene(NamedTuple):
    """Faces of bodies that a field colours, with black lines on them."""

    view: View
    solids: list[pv.UnstructuredGrid]  # the bodies, particles last
    faces: list[list[pv.DataSet]]  # of each body
    lines: list[pv.DataSet]
    corners: NDArray[np.float64] = np.empty((0, 3))  # of an opened cell, the collector first [um]

    def values(self, field: _Field) -> list[NDArray[Any]]:
        """Return the values of a field in each body that has it [SI]."""
        data = [solid.point_data for solid in self.solids]
        return [np.asarray(one[field.name]) for one in data if field.name in one]

    def layers(self, *looks: Look) -> list[rendering.Layer]:
        """Return faces and lines to draw, given how each body looks, or all of them."""
        each = looks if len(looks) > 1 else looks * len(self.faces)
        faces = zip(self.faces, each, strict=True)
        shown = [(face, {**look, "lighting": False}) for body, look in faces for face in body]
        return [*shown, *((line, rendering.LINE) for line in self.lines)]


def sections(snapshots: Sequence[Snapshot], number: int) -> Figure:
    """Draw three sections of a particle (rows) at each time (columns), for each of `FIELDS`."""
    columns = [
        {plane: _section(snapshot, number, plane) for plane in PLANES} for snapshot in snapshots
    ]
    titles = _titles(snapshots)
    figure, groups = _picture_groups(
        len(FIELDS), len(PLANES), len(snapshots), title_lines=_lines(titles)
    )
    with rendering.renderer(PIXELS) as draw:
        for field, (panels, bar) in zip(FIELDS, groups, strict=True):
            values = [part for scenes in columns for part in scenes["x-y"].values(field)]
            limits = limits_of(field, values)
            for row, plane in zip(panels, PLANES, strict=True):
                name = plane.replace("-", "\N{EN DASH}")
                row[0].set_ylabel(name, rotation=0, labelpad=14, va="center")
                for axes, scenes in zip(row, columns, strict=True):
                    look = coloured(field, limits)
                    show(axes, draw, scenes[plane].view, scenes[plane].layers(look))
            _colour_bar(bar, field, limits, values)
    _put_titles(groups[0][0][0], titles)
    _scale_bar(groups[-1][0][-1][0])
    return figure


def compared_sections(
    solutions: Mapping[str, Solution],
    names: Sequence[str],
    moments: Sequence[str],
    plane: str,
    number: int,
) -> Figure:
    """Draw a section of a particle for each field and moment (rows) and run (columns)."""
    if plane not in PLANES:
        raise InputError(f"plane = {plane!r} is none of {list(PLANES)}")
    shots = _snapshots(solutions, moments)
    for (_, run), snapshot in shots.items():
        if number not in snapshot.particle.cell_data["Particle [-]"]:
            raise InputError(f"particle = {number + 1} is not in run {run!r}")
        for name in names:
            _check_field(name, run, snapshot.particle)
    scenes = {key: _section(snapshot, number, plane) for key, snapshot in shots.items()}
    figure, rows = _compared(shots, scenes, names, pixels=PIXELS, size=1.5, aspect=1.0)
    _scale_bar(rows[-1][0])
    return figure


def gap(snapshots: Sequence[Snapshot]) -> Figure:
    """Draw the gap on the particles, seen from two sides (rows), at each time (columns)."""
    surfaces = [rendering.surface(snapshot.interface) for snapshot in snapshots]
    values = [surface.point_data[GAP.name] for surface in surfaces]
    seams = rendering.seams(snapshots[0].particle, "Grain [-]")
    limits = limits_of(GAP, values)
    options = coloured(GAP, limits) | SOFT
    views = {
        "front": View.of(surfaces[0].points, towards=(-1, 0.3, -0.3), up=(0, 1, 0)),
        "back": View.of(surfaces[0].points, towards=(1, 0.3, 0.3), up=(0, 1, 0)),
    }
    titles = _titles(snapshots)
    shape: dict[str, Any] = {"aspect": views["front"].aspect, "title_lines": _lines(titles)}
    figure, ((panels, bar),) = _picture_groups(1, 2, len(snapshots), **shape)
    with rendering.renderer(PIXELS) as draw:
        for row, (name, view) in enumerate(views.items()):
            for axes, surface in zip(panels[row], surfaces, strict=True):
                lines = seams.translate(LIFT * np.array(view.towards))
                show(axes, draw, view, [(surface, options), (lines, rendering.LINE)])
            _triad(figure, panels[row][0], view, name)
    _colour_bar(bar, GAP, limits, values)
    _put_titles(panels[0], titles)
    _scale_bar(panels[-1][-1])
    return figure


def particles(snapshots: Sequence[Snapshot]) -> Figure:
    """Draw a cell of many particles at each time (columns): lithium, gap, and lines of current.

    A particle has one colour for its mean lithium over that of all. Ions flow along the lines,
    which start evenly over the anode.
    """
    rows = (_mean_lithium, _gaps, _current_lines)
    first = snapshots[0].matrix.points / um
    (x0, y0, bottom), (x1, y1, top) = first.min(axis=0), first.max(axis=0)
    corners = rendering.corners([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], bottom, top)
    view = View.of(corners, towards=(1.0, -1.6, 0.7), up=(0.0, 0.0, 1.0))
    titles = _titles(snapshots)
    shape: dict[str, Any] = {"aspect": view.aspect, "size": 2.6, "title_lines": _lines(titles)}
    figure, groups = _picture_groups(len(rows), 1, len(snapshots), **shape)
    box = (rendering.prism(corners), rendering.LINE | {"color": "grey"})
    with rendering.renderer(2 * PIXELS) as draw:
        for row, ((panels,), bar) in zip(rows, groups, strict=True):
            scenes = [row(snapshot) for snapshot in snapshots]
            field = scenes[0][0]
            values = [np.asarray(mesh.point_data[field.name]) for _, mesh, _ in scenes]
            limits = limits_of(field, values)
            look = coloured(field, limits) | {"ambient": 0.6, "diffuse": 0.45}
            for axes, (_, mesh, others) in zip(panels, scenes, strict=True):
                lined = {"render_lines_as_tubes": True, "line_width": 3} if mesh.n_lines else {}
                show(axes, draw, view, [*others, box, (mesh, look | lined)])
            _colour_bar(bar, field, limits, values)
    _put_titles(groups[0][0][0], titles)
    _triad(figure, groups[0][0][0][0], view, "")
    _scale_bar(groups[-1][0][0][0])
    return figure


_Layers = list[tuple[pv.DataSet, dict[str, Any]]]
PLAIN: dict[str, Any] = {"color": "lightgrey", "opacity": 0.35, "smooth_shading": True}


def _mean_lithium(snapshot: Snapshot) -> tuple[_Field, pv.PolyData, _Layers]:
    """Return the surfaces of particles, with their mean lithium over that of all."""
    data = snapshot.particle
    owner = data.cell_data["Particle [-]"]
    volume = volumes(data.points, data.cells)
    lithium = volume * data.point_data[FIELDS[0].name][data.cells].mean(axis=1)
    over = np.bincount(owner, lithium) / np.bincount(owner, volume) * volume.sum() / lithium.sum()
    solid = rendering.grid(data, "Particle [-]")
    surface = rendering.walls(solid)
    number = np.rint(solid.point_data["Particle [-]"]).astype(int)
    surface.point_data[EVENNESS.name] = over[number] - 1
    return EVENNESS, surface, []


def _gaps(snapshot: Snapshot) -> tuple[_Field, pv.PolyData, _Layers]:
    """Return the surfaces of particles with their gaps."""
    return GAP, rendering.surface(snapshot.interface), []


def _current_lines(snapshot: Snapshot) -> tuple[_Field, pv.PolyData, _Layers]:
    """Return lines along which ions flow from the anode, and the particles around them."""
    matrix = rendering.grid(snapshot.matrix, "Region [-]")
    slope = matrix.compute_derivative(scalars=IONS.name, gradient="slope")
    (x0, y0, bottom), (x1, y1, top) = matrix.points.min(axis=0), matrix.points.max(axis=0)
    places = (np.arange(LINES) + 0.5) / LINES
    x, y = np.meshgrid(x0 + places * (x1 - x0), y0 + places * (y1 - y0))
    ends = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, top - 1e-3 * (top - bottom))])
    lines = slope.streamlines_from_source(
        pv.PolyData(ends),
        vectors="slope",
        integration_direction="both",
        max_length=5 * (top - bottom),
        max_steps=5000,
    )
    balls = rendering.walls(rendering.grid(snapshot.particle, "Particle [-]"))
    return IONS, lines, [(balls, PLAIN)]


def opened_cell(snapshot: Snapshot) -> Figure:
    """Draw lithium, strain, stress and gap of a cell, opened down to the first particle's axis.

    The stress of what surrounds the particles has a scale of its own.
    """
    cell = opened_scene(snapshot)
    figure, panels = _four_panels(cell.view.aspect)
    with rendering.renderer(2 * PIXELS) as draw:
        for field, (axes, bars) in zip((*FIELDS, GAP), panels, strict=True):
            axes.set_title(field.label.split(" [")[0], fontsize=9)
            layers = (
                _gap_in(cell, snapshot, bars) if field is GAP else _in_colour(cell, field, bars)
            )
            show(axes, draw, cell.view, layers)
            _name_ends(axes, cell, "collector", "lithium", 7)
    figure.text(0.5, 0.995, f"{snapshot.label}, {snapshot.time:.0f} s", ha="center", va="top")
    return figure


_Bar = Callable[[float, float], Axes]  # lower end and height of a colour bar, of a panel's height


def _four_panels(aspect: float) -> tuple[Figure, list[tuple[Axes, _Bar]]]:
    """Return a figure of two by two panels without axes, each with a function that adds a bar."""
    across, beside, above, head = 3.5, 0.95, 0.25, 0.25  # [inch]
    down = across / aspect
    width, height = 2 * (across + beside), head + 2 * (above + down)
    figure = Figure(figsize=(width, height))

    def panel(number: int) -> tuple[Axes, _Bar]:
        left = (number % 2) * (across + beside)
        bottom = (1 - number // 2) * (above + down)
        axes = figure.add_axes((left / width, bottom / height, across / width, down / height))
        axes.set_axis_off()

        def bar(low: float, high: float) -> Axes:
            box = (left + across, bottom + low * down, 0.12, high * down)
            return figure.add_axes(tuple(np.divide(box, (width, height, width, height))))

        return axes, bar

    return figure, [panel(number) for number in range(4)]


def _in_colour(cell: _Scene, field: _Field, bar: _Bar) -> list[rendering.Layer]:
    """Return the opened cell with a field of the particles, and draw its colour bars."""
    *around, inside = cell.values(field)
    limits = limits_of(field, [inside])
    if field is not STRESS:
        _colour_bar(bar(0.15, 0.62), field, limits, [inside])
        return cell.layers(BARE, coloured(field, limits))
    inner = field._replace(label="in particles [GPa]")
    outer = field._replace(label="around [GPa]", colours=AROUND)
    wide = limits_of(outer, around)
    _colour_bar(bar(0.1, 0.36), inner, limits, [inside])
    _colour_bar(bar(0.58, 0.36), outer, wide, around)
    return cell.layers(coloured(outer, wide), coloured(inner, limits))


def _gap_in(cell: _Scene, snapshot: Snapshot, bar: _Bar) -> list[rendering.Layer]:
    """Return particles whose surfaces show the gap, in the opened cell, and draw the colour bar."""
    surface = rendering.surface(snapshot.interface)
    gaps = [surface.point_data[GAP.name]]
    limits = limits_of(GAP, gaps)
    _colour_bar(bar(0.15, 0.62), GAP, limits, gaps)
    seams = rendering.seams(snapshot.particle, "Grain [-]")
    lines = seams.translate(LIFT * np.array(cell.view.towards))
    around = [(face, BARE | {"lighting": False}) for face in cell.faces[0]]
    balls = (surface, coloured(GAP, limits) | SOFT), (lines, rendering.LINE)
    return [*around, (cell.lines[0], rendering.LINE), *balls]


# Points [um], corners of triangles, and a value at each point [SI].
Faces = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]


def opened_faces(snapshot: Snapshot) -> Faces:
    """Return the triangles of a cell opened as by `opened_cell`, with the stress there."""
    return _triangles([*itertools.chain(*opened_scene(snapshot).faces)], STRESS.name)


def halved_faces(snapshot: Snapshot) -> Faces:
    """Return the triangles of the half of the particles that is behind, with their lithium."""
    solid = rendering.grid(snapshot.particle, "Grain [-]")
    first = _only(snapshot.particle, "Particle [-]", 0).points[:, 0] / um
    middle = float((first.min() + first.max()) / 2)
    return _triangles([solid.clip(normal="x", origin=(middle, 0, 0), invert=False)], FIELDS[0].name)


def gap_faces(snapshot: Snapshot) -> Faces:
    """Return the triangles of the surface of the particles, with their gap."""
    return _triangles([rendering.surface(snapshot.interface)], GAP.name)


def _shell(part: pv.DataSet) -> pv.PolyData:
    """Return the surface of a body; PyVista's own call of this changed between its versions."""
    if isinstance(part, pv.PolyData):
        return part
    outside = vtkGeometryFilter()
    outside.SetInputData(part)
    outside.Update()
    shell: pv.PolyData = pv.wrap(outside.GetOutput())
    return shell


def _triangles(parts: Sequence[pv.DataSet], name: str) -> Faces:
    points, faces, values, count = [], [], [], 0
    for part in parts:
        if not part.n_points:
            continue
        flat = _shell(part).triangulate()
        points.append(flat.points)
        faces.append(flat.faces.reshape(-1, 4)[:, 1:] + count)
        values.append(flat.point_data[name])
        count += flat.n_points
    return np.vstack(points), np.vstack(faces), np.concatenate(values)


def compared_cells(solutions: Mapping[str, Solution], name: str, moments: Sequence[str]) -> Figure:
    """Draw the whole cell, opened, in several runs (columns) at each moment (rows)."""
    shots = _snapshots(solutions, moments)
    for (_, run), snapshot in shots.items():
        _check_field(name, run, snapshot.particle)
        _check_field(name, run, snapshot.matrix)
    cells = {key: opened_scene(snapshot) for key, snapshot in shots.items()}
    aspect = max(cell.view.aspect for cell in cells.values())
    figure, rows = _compared(shots, cells, [name], pixels=2 * PIXELS, size=2.1, aspect=aspect)
    for axes, cell in zip(itertools.chain(*rows), cells.values(), strict=True):
        _name_ends(axes, cell, "collector", "anode", 7)
    return figure


def _compared(
    shots: Mapping[tuple[str, str], Snapshot],
    scenes: Mapping[tuple[str, str], _Scene],
    names: Sequence[str],
    *,
    pixels: int,
    size: float,
    aspect: float,
) -> tuple[Figure, list[list[Axes]]]:
    """Draw the scene of each (moment, run) in a row for each field and moment; return the rows."""
    moments, runs = (list(dict.fromkeys(keys)) for keys in zip(*scenes, strict=True))
    titles = [textwrap.fill(run, 22) for run in runs]
    shape: dict[str, Any] = {"aspect": aspect, "size": size}
    shape["title_lines"] = _lines(titles)
    rows = list(itertools.product(map(field_of, names), moments))
    figure, groups = _picture_groups(len(rows), 1, len(runs), **shape)
    with rendering.renderer(pixels) as draw:
        for (field, moment), ((panels,), bar) in zip(rows, groups, strict=True):
            values = [part for run in runs for part in scenes[moment, run].values(field)]
            limits = limits_of(field, values)
            for axes, run in zip(panels, runs, strict=True):
                scene = scenes[moment, run]
                show(axes, draw, scene.view, scene.layers(coloured(field, limits)))
                look: dict[str, Any] = {"ha": "right", "fontsize": 7, "color": "0.35"}
                time = f"{shots[moment, run].time:.0f} s"
                axes.annotate(time, (1, 0.01), xycoords="axes fraction", **look)
            panels[0].set_ylabel(moment)
            _colour_bar(bar, field, limits, values)
    for axes, title in zip(groups[0][0][0], titles, strict=True):
        axes.set_title(title)
    return figure, [panels for (panels,), _ in groups]


def _section(snapshot: Snapshot, number: int, plane: str) -> _Scene:
    """Return a section through the middle of a particle."""
    solid = rendering.grid(_only(snapshot.particle, "Particle [-]", number), "Grain [-]")
    walls = rendering.walls(solid)
    towards, up = PLANES[plane]
    view = View.of(walls.points, towards=towards, up=up)
    cut, outline = (mesh.slice(normal=towards, origin=view.focus) for mesh in (solid, walls))
    return _Scene(view, [solid], [[cut]], [outline])


def opened_scene(snapshot: Snapshot) -> _Scene:
    """Return a cell of which a quarter is taken out, down to the axis of the first particle."""
    matrix = rendering.grid(snapshot.matrix, "Region [-]")
    solids = [matrix, rendering.grid(snapshot.particle, "Grain [-]")]
    first = _only(snapshot.particle, "Particle [-]", 0).points / um
    x, y, _ = ((first.min(axis=0) + first.max(axis=0)) / 2).tolist()
    points = snapshot.matrix.points / um
    (x0, y0, bottom), (x1, y1, top) = points.min(axis=0), points.max(axis=0)
    ring = [(x0, y0), (x1, y0), (x1, y1), (x, y1), (x, y), (x0, y)]
    corners = rendering.corners(ring, bottom, top)
    view = View.of(corners, towards=(-1.0, 0.8, -0.6), up=(0.0, 1.0, 0.0))
    origin, lift = (x, y, 0.0), LIFT * np.array(view.towards)
    faces: list[list[pv.DataSet]] = []
    lines: list[pv.DataSet] = [rendering.prism(corners + lift)]
    for solid in solids:
        walls = rendering.walls(solid)
        behind = solid.clip(normal="x", origin=origin, invert=False)
        below = solid.clip(normal="x", origin=origin).clip(normal="y", origin=origin)
        upright = walls.slice(normal="x", origin=origin).clip("y", origin=origin, invert=False)
        level = walls.slice(normal="y", origin=origin).clip("x", origin=origin)
        faces.append([behind, below])
        lines += [line.translate(lift) for line in (upright, level)]
    return _Scene(view, solids, faces, lines, corners)


def _name_ends(axes: Axes, cell: _Scene, collector: str, anode: str, size: float) -> None:
    """Write along its edges where the cell has its collector and its anode."""
    for name, ends in ((collector, [1, 0]), (f"z \N{RIGHTWARDS ARROW} {anode}", [0, 6])):
        start, end = cell.view.place(cell.corners[ends])
        x, y = (end - start) / np.hypot(*(end - start))
        look: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": size}
        look |= {"rotation": np.degrees(np.arctan2(y, x)), "rotation_mode": "anchor"}
        offset, middle = (5 * y, -5 * x), (start + end) / 2
        axes.annotate(name, middle, offset, textcoords="offset points", **look)


def _snapshots(
    solutions: Mapping[str, Solution], moments: Sequence[str]
) -> dict[tuple[str, str], Snapshot]:
    """Return the fields at each (moment, run); no file is read unless all moments are known."""
    for solution, moment in itertools.product(solutions.values(), moments):
        solution.time_of(moment)
    both = itertools.product(moments, solutions)
    return {(moment, run): solutions[run].snapshot_at(moment) for moment, run in both}


def _check_field(name: str, run: str, data: FieldData) -> None:
    both = {**data.point_data, **data.cell_data}
    scalars = [key for key, values in both.items() if values.ndim == 1]
    if name not in scalars:
        raise InputError(f"field {name!r} is not in run {run!r}, which has {scalars}")


def field_of(name: str) -> _Field:
    """Return how a field is shown, by its name."""
    known = {field.name: field for field in FIELDS}
    if name in known:
        return known[name]
    label, unit = on_axis(name)
    return _Field(name, label, unit, from_zero=False)


def _only(data: FieldData, name: str, number: int) -> FieldData:
    """Return the tetrahedra whose cell data have a number, and no point of the others."""
    chosen = data.cell_data[name] == number
    points, cells = np.unique(data.cells[chosen], return_inverse=True)
    return FieldData(
        points=data.points[points],
        cells=cells.reshape(-1, data.cells.shape[1]),
        point_data={key: values[points] for key, values in data.point_data.items()},
        cell_data={key: values[chosen] for key, values in data.cell_data.items()},
    )


def limits_of(field: _Field, values: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Return the range of colours [SI]: all but the most extreme 0.2 % of the values."""
    low, high = np.percentile(np.concatenate(values), (0.1, 99.9))
    if field.from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (low, low + field.unit)


def coloured(field: _Field, limits: tuple[float, float]) -> dict[str, Any]:
    """Return how a mesh is coloured by a field within limits [SI]."""
    return {"scalars": field.name, "cmap": field.colours, "clim": limits}


def _picture_groups(
    groups: int,
    rows: int,
    columns: int,
    *,
    aspect: float = 1.0,
    size: float = 1.35,
    title_lines: int = 2,
) -> tuple[Figure, list[tuple[list[list[Axes]], Axes]]]:
    """Return a figure of pictures: for each group its rows of panels and its colour bar.

    Groups lie one below the other. The aspect is width over height; the size is the side of a
    square picture [inch], and others have the same area.
    """
    across, down = size * aspect**0.5, size / aspect**0.5
    left, right, between = 0.6, 0.95 if rows > 1 else 1.15, 0.12
    top = 0.13 + 0.16 * title_lines
    width = left + columns * across + right
    height = top + groups * rows * down + (groups - 1) * between + 0.08
    figure = Figure(figsize=(width, height))

    def place(x: float, y: float, wide: float, high: float) -> Axes:
        return figure.add_axes((x / width, 1 - (y + high) / height, wide / width, high / height))

    result = []
    for group in range(groups):
        y = top + group * (rows * down + between)
        panels = [
            [
                bare(place(left + column * across, y + row * down, 0.97 * across, 0.97 * down))
                for column in range(columns)
            ]
            for row in range(rows)
        ]
        bar = place(width - right + 0.1, y + 0.15 * down, 0.13, (rows - 0.3) * down)
        result.append((panels, bar))
    return figure, result


def _colour_bar(
    axes: Axes, field: _Field, limits: tuple[float, float], values: Sequence[NDArray[Any]]
) -> None:
    """Draw a colour bar, with an arrow at each end that values go beyond."""
    low, high = limits
    below = min(np.min(value) for value in values) < low
    above = max(np.max(value) for value in values) > high
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
    room = axes.get_window_extent().height / axes.figure.dpi + 0.3  # [inch]
    words, opening, unit = field.label.partition(" [")
    together = opening + unit.replace(" ", "\N{NO-BREAK SPACE}")
    label = textwrap.fill(words + together, int(14 * room))
    beyond = {"cax": axes, "extend": extend.get((bool(below), bool(above)), "neither")}
    bar = colour_bar(axes.figure, limits, field.unit, label, field.colours, **beyond)
    bar.outline.set_linewidth(0.6)


def _titles(snapshots: Sequence[Snapshot]) -> list[str]:
    """Return moment and time of each snapshot, on lines that fit above its picture."""
    return [f"{textwrap.fill(one.label, 18)}\n{one.time:.0f} s" for one in snapshots]


def _lines(titles: Sequence[str]) -> int:
    """Return the lines of the longest title."""
    return max(title.count("\n") + 1 for title in titles)


def _put_titles(panels: Sequence[Axes], titles: Sequence[str]) -> None:
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontsize=9)


def _scale_bar(axes: Axes) -> None:
    """Draw a bar as long as one of 1, 2, 5, 10 ... um below the left of a picture."""
    left, right, bottom, top = axes.get_images()[0].get_extent()
    lengths = [step * 10.0**power for power in range(-2, 4) for step in (1, 2, 5)]
    length = max(length for length in lengths if length < 0.3 * (right - left))
    height = bottom + 0.03 * (top - bottom)
    axes.plot([left, left + length], [height, height], "k", linewidth=2, solid_capstyle="butt")
    look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7}
    axes.annotate(f"{length:g} µm", (left, height), (0, 3), **look)


def _triad(figure: Figure, axes: Axes, view: View, name: str) -> None:
    """Draw the axes of the sample as a view shows them, below its name, left of a picture."""
    box = axes.get_position()
    width, height = 0.5 / figure.get_size_inches()
    middle = (box.y0 + box.y1) / 2
    own = figure.add_axes((box.x0 - 1.1 * width, middle - 0.75 * height, width, height))
    own.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
    own.set_axis_off()
    own.set_title(name, fontsize=9, pad=0)
    for letter, arrow in zip("xyz", view.place(np.array(view.focus) + np.eye(3)), strict=True):
        own.annotate("", arrow, (0, 0), arrowprops=ARROW)
        own.annotate(letter, 1.35 * arrow, ha="center", va="center", fontsize=7)

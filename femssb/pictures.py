"""Figures of fields: what PyVista renders, framed by Matplotlib with times, colour bars, scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from femssb import rendering
from femssb.rendering import View
from femssb.snapshot import FieldData, Snapshot
from femssb.units import GPa, nm, um

PIXELS = 600  # height of a rendered picture: twice what is printed, so edges come out smooth
LIFT = 0.02  # [um] towards the viewer, so that lines are not lost in the faces they lie on
ARROW = {
    "arrowstyle": "-|>,head_width=0.15,head_length=0.3",
    "linewidth": 0.8,
    "color": "black",
    "shrinkA": 0,
    "shrinkB": 0,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Field:
    name: str  # in the snapshots
    label: str  # on the colour bar
    unit: float  # what 1 on the colour bar is in SI
    colours: str  # a perceptually uniform colour map
    from_zero: bool  # whether the range includes zero


FIELDS = (
    _Field(
        name="Concentration [mol/m3]",
        label="Lithium concentration [10³ mol m⁻³]",
        unit=1e3,
        colours="viridis",
        from_zero=False,
    ),
    _Field(
        name="Volumetric strain [-]",
        label="Volumetric strain [%]",
        unit=0.01,
        colours="cividis",
        from_zero=True,
    ),
    _Field(
        name="Von Mises stress [Pa]",
        label="Von Mises stress [GPa]",
        unit=GPa,
        colours="magma_r",
        from_zero=True,
    ),
)
STRESS = FIELDS[2]
GAP = _Field(name="Gap [m]", label="Gap [nm]", unit=nm, colours="magma_r", from_zero=True)


def sections(snapshots: Sequence[Snapshot], number: int) -> Figure:
    """Three sections of a particle (rows) at each time (columns), for each of `FIELDS`."""
    solids = [
        rendering.grid(_only(snapshot.particle, "Particle [-]", number), "Grain [-]")
        for snapshot in snapshots
    ]
    walls = rendering.walls(solids[0])
    views = {
        "x\N{EN DASH}y": View.of(walls.points, towards=(0, 0, 1), up=(0, 1, 0)),
        "z\N{EN DASH}y": View.of(walls.points, towards=(-1, 0, 0), up=(0, 1, 0)),
        "z\N{EN DASH}x": View.of(walls.points, towards=(0, 1, 0), up=(1, 0, 0)),
    }
    figure, groups = _picture_groups(len(FIELDS), len(views), len(snapshots))
    ranges = [
        _limits(field, [solid.point_data[field.name] for solid in solids]) for field in FIELDS
    ]
    with rendering.renderer(PIXELS) as draw:
        for row, (name, view) in enumerate(views.items()):
            outline = walls.slice(normal=view.towards, origin=view.focus)
            for column, solid in enumerate(solids):
                cut = solid.slice(normal=view.towards, origin=view.focus)
                for field, limits, (panels, _) in zip(FIELDS, ranges, groups, strict=True):
                    layers = [
                        (cut, _coloured(field, limits) | {"lighting": False}),
                        (outline, rendering.LINE),
                    ]
                    panels[row][column].imshow(draw(view, layers), extent=view.extent)
            for panels, _ in groups:
                panels[row][0].set_ylabel(name, rotation=0, labelpad=14, va="center")
    for field, limits, (_, bar) in zip(FIELDS, ranges, groups, strict=True):
        _colour_bar(bar, field, limits, [solid.point_data[field.name] for solid in solids])
    _name_times(groups[0][0][0], snapshots)
    _scale_bar(groups[-1][0][-1][0])
    return figure


def gap(snapshots: Sequence[Snapshot]) -> Figure:
    """The gap on the particles' surface, seen from two sides (rows), at each time (columns)."""
    surfaces = [rendering.surface(snapshot.interface) for snapshot in snapshots]
    values = [surface.point_data[GAP.name] for surface in surfaces]
    seams = rendering.seams(snapshots[0].particle, "Grain [-]")
    limits = _limits(GAP, values)
    options = _coloured(GAP, limits) | {"smooth_shading": True, "ambient": 0.75, "diffuse": 0.3}
    views = {
        "front": View.of(surfaces[0].points, towards=(-1, 0.3, -0.3), up=(0, 1, 0)),
        "back": View.of(surfaces[0].points, towards=(1, 0.3, 0.3), up=(0, 1, 0)),
    }
    figure, ((panels, bar),) = _picture_groups(1, 2, len(snapshots), views["front"].aspect)
    with rendering.renderer(PIXELS) as draw:
        for row, (name, view) in enumerate(views.items()):
            for axes, surface in zip(panels[row], surfaces, strict=True):
                lines = seams.translate(LIFT * np.array(view.towards))
                picture = draw(view, [(surface, options), (lines, rendering.LINE)])
                axes.imshow(picture, extent=view.extent)
            first = panels[row][0]
            first.annotate(name, (-0.2, 0.6), xycoords="axes fraction", ha="center", va="center")
            _triad(first, view, (-0.24, 0.35))
    _colour_bar(bar, GAP, limits, values)
    _name_times(panels[0], snapshots)
    _scale_bar(panels[-1][-1])
    return figure


def opened_cell(snapshot: Snapshot) -> Figure:
    """Von Mises stress of the whole cell, a quarter taken out down to the first particle's axis."""
    solids = [
        rendering.grid(snapshot.matrix, "Region [-]"),
        rendering.grid(snapshot.particle, "Grain [-]"),
    ]
    first = _only(snapshot.particle, "Particle [-]", 0).points / um
    x, y, _ = ((first.min(axis=0) + first.max(axis=0)) / 2).tolist()
    low, high = (snapshot.matrix.points / um).min(axis=0), (snapshot.matrix.points / um).max(axis=0)
    ring = [
        (low[0], low[1]),
        (high[0], low[1]),
        (high[0], high[1]),
        (x, high[1]),
        (x, y),
        (low[0], y),
    ]
    corners = np.array([(*place, z) for z in (low[2], high[2]) for place in ring])
    view = View.of(corners, towards=(-1.0, 0.8, -0.6), up=(0.0, 1.0, 0.0))
    values = [solid.point_data[STRESS.name] for solid in solids]
    limits = _limits(STRESS, values)
    options = _coloured(STRESS, limits) | {"lighting": False}
    origin, lift = (x, y, 0.0), LIFT * np.array(view.towards)
    layers: list[rendering.Layer] = [(rendering.prism(corners + lift), rendering.LINE)]
    for solid in solids:
        walls = rendering.walls(solid)
        behind = solid.clip(normal="x", origin=origin, invert=False)
        below = solid.clip(normal="x", origin=origin).clip(normal="y", origin=origin)
        upright = walls.slice(normal="x", origin=origin).clip("y", origin=origin, invert=False)
        level = walls.slice(normal="y", origin=origin).clip("x", origin=origin)
        layers += [(behind, options), (below, options)]
        layers += [(lines.translate(lift), rendering.LINE) for lines in (upright, level)]
    width, right, top = 5.6, 1.2, 0.35  # [inch]
    height = width / view.aspect
    size = (width + right, height + top)
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, width / size[0], height / size[1]))
    with rendering.renderer(2 * PIXELS) as draw:
        axes.imshow(draw(view, layers), extent=view.extent)
    axes.set_axis_off()
    axes.set_title(f"{snapshot.label}, {snapshot.time:.0f} s", fontsize=9)
    for name, ends in (
        ("current collector", corners[[1, 0]]),
        ("z \N{RIGHTWARDS ARROW} lithium anode", corners[[0, 6]]),
    ):
        start, end = view.place(ends)
        along = (end - start) / np.hypot(*(end - start))
        axes.annotate(
            name,
            (start + end) / 2,
            xytext=(5 * along[1], -5 * along[0]),
            textcoords="offset points",
            rotation=np.degrees(np.arctan2(along[1], along[0])),
            rotation_mode="anchor",
            ha="center",
            va="top",
        )
    bar = figure.add_axes((1 - (right - 0.1) / size[0], 0.2, 0.15 / size[0], 0.6))
    _colour_bar(bar, STRESS, limits, values)
    return figure


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


def _limits(field: _Field, values: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Return the range of colours [SI]: all but the most extreme 0.2 % of the values."""
    low, high = np.percentile(np.concatenate(values), (0.1, 99.9))
    if field.from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (low, low + field.unit)


def _coloured(field: _Field, limits: tuple[float, float]) -> dict[str, Any]:
    return {"scalars": field.name, "cmap": field.colours, "clim": limits}


def _picture_groups(
    groups: int, rows: int, columns: int, aspect: float = 1.0
) -> tuple[Figure, list[tuple[list[list[Axes]], Axes]]]:
    """Return a figure of pictures: for each group its rows of panels and its colour bar."""
    across, down = 1.35 * aspect**0.5, 1.35 / aspect**0.5  # of a panel [inch]
    left, right, top, between = 0.6, 0.95, 0.45, 0.12
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
                place(left + column * across, y + row * down, 0.97 * across, 0.97 * down)
                for column in range(columns)
            ]
            for row in range(rows)
        ]
        for axes in (axes for row in panels for axes in row):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
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
    bar = axes.figure.colorbar(
        ScalarMappable(Normalize(low / field.unit, high / field.unit), field.colours),
        cax=axes,
        extend=extend.get((bool(below), bool(above)), "neither"),
    )
    bar.set_label(field.label)
    bar.outline.set_linewidth(0.6)


def _name_times(panels: Sequence[Axes], snapshots: Sequence[Snapshot]) -> None:
    for axes, snapshot in zip(panels, snapshots, strict=True):
        axes.set_title(f"{snapshot.label}\n{snapshot.time:.0f} s", fontsize=9)


def _scale_bar(axes: Axes) -> None:
    """Draw a bar as long as one of 1, 2, 5, 10 ... um below the left of a picture."""
    left, right, bottom, top = axes.get_images()[0].get_extent()
    lengths = [step * 10.0**power for power in range(-2, 4) for step in (1, 2, 5)]
    length = max(length for length in lengths if length < 0.3 * (right - left))
    height = bottom + 0.03 * (top - bottom)
    axes.plot([left, left + length], [height, height], "k", linewidth=2, solid_capstyle="butt")
    axes.annotate(
        f"{length:g} µm", (left, height), xytext=(0, 3), textcoords="offset points", fontsize=7
    )


def _triad(axes: Axes, view: View, corner: tuple[float, float]) -> None:
    """Draw the axes of the sample as a view shows them, from a place in fractions of a picture."""
    left, right, bottom, top = view.extent
    start = np.array([left, bottom]) + np.array(corner) * [right - left, top - bottom]
    arrows = 0.12 * (top - bottom) * view.place(np.array(view.focus) + np.eye(3))
    for name, arrow in zip("xyz", arrows, strict=True):
        axes.annotate("", start + arrow, start, annotation_clip=False, arrowprops=ARROW)
        axes.annotate(
            name, start + 1.3 * arrow, ha="center", va="center", fontsize=7, annotation_clip=False
        )

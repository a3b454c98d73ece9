"""Pictures of packings: spheres by phase and by stress, force chains, frames of a movie.

PyVista renders the spheres without a display, Matplotlib adds scales and colour bars. Stress is
shown as pressure: compression is positive. Across periodic sides, a sphere is drawn where its
centre is inside the box.
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyvista as pv
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError
from femssb.packing.packing import Packing
from femssb.packing.stress import contacts_of
from femssb.packing.structure import force_chains
from femssb.plotting import rendering
from femssb.plotting.profiles import STRESS_MAP, compression, draw_profiles
from femssb.plotting.rendering import Layer, View, show
from femssb.plotting.style import PHASE_COLOURS, bare, colour_bar, save
from femssb.units import MPa, um

By = Literal["phase", "x", "y", "z"]

PIXELS = 900  # height of a rendered picture
FRAME_SIZE = (6.4, 4.8)  # of a frame of a movie [inch]
FRAME_DOTS = 200  # of a frame, per inch
CUTS = 2  # how often the triangles of an icosahedron are cut in four to make a sphere
TOWARDS, UP = (-1.0, -1.7, 0.75), (0.0, 0.0, 1.0)
LIGHT = {"smooth_shading": True, "ambient": 0.25, "diffuse": 0.8, "specular": 0.1}
EDGES = {"color": "black", "line_width": 2.0, "lighting": False}
TIMES = "\N{MULTIPLICATION SIGN}"
THICKEST = 0.3  # radius of the strongest force chain over the mean radius of the spheres


@checked
def by_phase(packings: Mapping[str, Packing]) -> Figure:
    """Draw packings side by side at one scale, coloured by phase, with the size of their boxes.

    Args:
        packings: By name, in the order of the work: an arrow leads from each to the next.

    Raises:
        InputError: If there is no packing.
    """
    view = _view(packings)
    figure = Figure(figsize=(3.1 * len(packings), 3.1 / view.aspect + 1.0), layout="constrained")
    panels = _panels(figure, 1, len(packings))[0]
    with rendering.renderer(PIXELS) as draw:
        for axes, (name, packing) in zip(panels, packings.items(), strict=True):
            show(axes, draw, _centred(view, packing), _coloured_by_phase(packing))
            x, y, z = packing.lengths / um
            axes.set_title(f"{name}\n{x:.0f} {TIMES} {y:.0f} {TIMES} {z:.0f} µm³", fontsize=9)
    for axes in panels[1:]:
        arrow = {"arrowstyle": "-|>", "color": "0.3", "linewidth": 1.5}
        axes.annotate("", (0.05, 0.5), (-0.07, 0.5), xycoords="axes fraction", arrowprops=arrow)
    _name_phases(figure, packings)
    return figure


@checked
def by_stress(packings: Mapping[str, Packing]) -> Figure:
    """Draw packings (rows) coloured by the stress along x, y and z (columns), on one scale.

    Args:
        packings: By name.

    Raises:
        InputError: If there is no packing, or one has no stress.
    """
    figure = Figure(figsize=(8.0, 0.3 + _row_height(packings)), layout="constrained")
    _draw_by_stress(figure, packings)
    return figure


@checked
def stress_distribution(packings: Mapping[str, Packing], *, bins: int = 12) -> Figure:
    """Draw packings coloured by stress along x, y, z, and below the profiles of that stress.

    Args:
        packings: By name, at most four.
        bins: Of height and of radius.

    Raises:
        InputError: If there is no packing, there are too many, or one has no stress.
    """
    above, below = 0.3 + _row_height(packings), 4.6
    figure = Figure(figsize=(8.0, above + below), layout="constrained")
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(above, below)).ravel()
    _draw_by_stress(upper, packings)
    draw_profiles(lower, packings, bins=bins, titled=False)
    return figure


@checked
def chains(packing: Packing, *, above: float = 1.0) -> Figure:
    """Draw the contacts that carry more than most: thick and dark where the force is great.

    Args:
        packing: With contacts.
        above: Times the mean contact force from which a contact is drawn.

    Raises:
        InputError: If the packing has no contacts, or none carries as much.
    """
    contacts = contacts_of(packing)
    rows = force_chains(packing, above=above)
    if not len(rows):
        raise InputError(f"chains: no contact carries more than above = {above:g} times the mean")
    forces = np.linalg.norm(contacts.forces[rows], axis=1)
    start = _inside(packing)[contacts.first[rows]]
    ends = np.stack([start, start + contacts.branches[rows]], axis=1).reshape(-1, 3) / um
    lines = np.insert(np.arange(len(ends)).reshape(-1, 2), 0, 2, axis=1)
    net = pv.PolyData(ends, lines=lines.ravel())
    limits = (0.0, float(np.percentile(forces, 99)))
    # The cross-section of a chain goes with its force.
    thickness = np.sqrt(np.minimum(forces / limits[1], 1.0))
    net.point_data["radius"] = np.repeat(thickness * THICKEST * packing.radii.mean() / um, 2)
    net.point_data["force"] = np.repeat(forces, 2)
    tubes = net.tube(scalars="radius", absolute=True, n_sides=8)
    options = LIGHT | {"scalars": "force", "cmap": "magma_r", "clim": limits}
    view = _view({"": packing})
    figure = Figure(figsize=(5.6, 4.6 / view.aspect), layout="constrained")
    axes = _panels(figure, 1, 1)[0][0]
    with rendering.renderer(PIXELS) as draw:
        show(axes, draw, view, [(_box(packing), EDGES), (tubes, options)])
    _bar(figure, [axes], limits, 1e-3, "Contact force [mN]", "magma_r")
    return figure


@checked
def frames(packings: Mapping[str, Packing], folder: str | Path, *, by: By = "phase") -> list[Path]:
    """Write a picture of every packing, seen from the same place and on one scale: a movie.

    A program such as ffmpeg joins the frames:
    ``ffmpeg -framerate 4 -i frame_%04d.png -pix_fmt yuv420p movie.mp4``.

    Args:
        packings: In the order of the movie, by the name that is shown.
        folder: Where the frames go, ``frame_0000.png`` and so on.
        by: Quantity that colours the spheres: ``"phase"``, or the axis of the stress.

    Returns:
        The files written.

    Raises:
        InputError: If there is no packing, one has no stress, or the folder cannot be made.
    """
    view = _view(packings)
    axis = 0 if by == "phase" else "xyz".index(by)
    limits = None if by == "phase" else _limits(packings)
    with rendering.renderer(PIXELS) as draw:

        def frame(name: str, packing: Packing) -> Figure:
            figure = Figure(figsize=FRAME_SIZE, layout="constrained")
            axes = _panels(figure, 1, 1)[0][0]
            if limits is None:
                layers = _coloured_by_phase(packing)
                _name_phases(figure, packings)
            else:
                layers = _coloured_by_stress(packing, axis, limits)
                _stress_bar(figure, [axes], limits, f" along {by}")
            show(axes, draw, _centred(view, packing), layers)
            axes.set_title(name, fontsize=9)
            return figure

        return [
            save(Path(folder) / f"frame_{number:04d}.png", frame, *item, dots_per_inch=FRAME_DOTS)
            for number, item in enumerate(packings.items())
        ]


def _draw_by_stress(figure: Figure | SubFigure, packings: Mapping[str, Packing]) -> None:
    view = _view(packings)
    limits = _limits(packings)
    panels = _panels(figure, len(packings), 3)
    with rendering.renderer(PIXELS) as draw:
        for row, (name, packing) in zip(panels, packings.items(), strict=True):
            for axis, axes in enumerate(row):
                layers = _coloured_by_stress(packing, axis, limits)
                show(axes, draw, _centred(view, packing), layers)
            if len(packings) > 1:
                row[0].set_ylabel(name)
    for axes, letter in zip(panels[0], "xyz", strict=True):
        axes.set_title(f"along {letter}", fontsize=9)
    _stress_bar(figure, [axes for row in panels for axes in row], limits)


def _row_height(packings: Mapping[str, Packing]) -> float:
    """Return the height of all rows of pictures by stress [inch]."""
    return min(2.3 / _view(packings).aspect, 2.7) * len(packings)


def _panels(figure: Figure | SubFigure, rows: int, columns: int) -> list[list[Axes]]:
    grid = figure.subplots(rows, columns, squeeze=False)
    return [[bare(axes) for axes in row] for row in grid]


def _view(packings: Mapping[str, Packing]) -> View:
    """Return the view that holds the largest of some packings, and so each of them, if centred."""
    if not packings:
        raise InputError("there is no packing to draw")
    views = []
    for packing in packings.values():
        outside = packing.radii.max(initial=0.0) * np.array(packing.periodic)
        middle = (packing.lower + packing.upper) / 2
        reach = 1 + 2 * outside / packing.lengths
        corners = middle + reach * (_corners(packing) - middle)
        views.append(View.of(corners / um, towards=TOWARDS, up=UP))
    height = max(view.half_height for view in views)
    width = max(view.half_height * view.aspect for view in views)
    return replace(views[0], half_height=height, aspect=width / height)


def _centred(view: View, packing: Packing) -> View:
    """Return the view with the middle of a packing in the middle of the picture."""
    x, y, z = ((packing.lower + packing.upper) / 2 / um).tolist()
    return replace(view, focus=(x, y, z))


def _inside(packing: Packing) -> Array:
    """Return the centres, moved into the box across periodic sides, shape (n, 3) [m]."""
    centres = np.array(packing.positions)
    for axis in np.flatnonzero(packing.periodic):
        low, length = packing.lower[axis], packing.lengths[axis]
        centres[:, axis] = low + (centres[:, axis] - low) % length
    return centres


def _corners(packing: Packing) -> Array:
    """Return the corners of the box, those of its bottom first, shape (8, 3) [m]."""
    unit = rendering.corners([(0, 0), (1, 0), (1, 1), (0, 1)], 0, 1)
    return np.asarray(packing.lower + unit * packing.lengths)


def _box(packing: Packing) -> pv.PolyData:
    return rendering.prism(_corners(packing) / um)


def _spheres(packing: Packing, chosen: NDArray[np.bool_]) -> pv.PolyData:
    """Return the surfaces of the chosen spheres as triangles with normals [um]."""
    ball = pv.Icosphere(radius=1.0, nsub=CUTS)
    unit = np.array(ball.points)
    faces: NDArray[Any] = ball.regular_faces
    centres, radii = _inside(packing)[chosen] / um, packing.radii[chosen] / um
    points = centres[:, None, :] + radii[:, None, None] * unit
    shifts = len(unit) * np.arange(len(radii))[:, None, None]
    triangles: NDArray[Any] = (faces + shifts).reshape(-1, 3)
    result: pv.PolyData = pv.PolyData.from_regular_faces(points.reshape(-1, 3), triangles)
    result.point_data.active_normals = np.tile(unit, (len(radii), 1))
    return result


def _name_phases(figure: Figure, packings: Mapping[str, Packing]) -> None:
    names = next(iter(packings.values())).phase_names
    colours = itertools.cycle(PHASE_COLOURS)
    patches = [Patch(color=c, label=name) for c, name in zip(colours, names, strict=False)]
    figure.legend(handles=patches, loc="outside lower center", ncols=6)


def _coloured_by_phase(packing: Packing) -> list[Layer]:
    layers: list[Layer] = [(_box(packing), EDGES)]
    for phase in range(len(packing.phase_names)):
        look = LIGHT | {"color": PHASE_COLOURS[phase % len(PHASE_COLOURS)]}
        layers.append((_spheres(packing, packing.phases == phase), look))
    return layers


def _coloured_by_stress(packing: Packing, axis: int, limits: tuple[float, float]) -> list[Layer]:
    spheres = _spheres(packing, np.full(len(packing.radii), True))
    each = spheres.n_points // len(packing.radii)
    spheres.point_data["stress"] = np.repeat(compression(packing)[:, axis], each)
    options = LIGHT | {"scalars": "stress", "cmap": STRESS_MAP, "clim": limits}
    return [(_box(packing), EDGES), (spheres, options)]


def _limits(packings: Mapping[str, Packing]) -> tuple[float, float]:
    """Return the range of colours [Pa]: all but the highest 2 %, and of tension the lowest 2 %."""
    values = np.concatenate([compression(packing).ravel() for packing in packings.values()])
    low, high = np.percentile(values, (2, 98))
    return min(float(low), 0.0), max(float(high), 1.0)


def _stress_bar(
    figure: Figure | SubFigure, panels: list[Axes], limits: tuple[float, float], of: str = ""
) -> None:
    label = f"Compressive stress{of} [MPa]"
    _bar(figure, panels, limits, MPa, label, STRESS_MAP, extend="both")


def _bar(figure: Figure | SubFigure, panels: list[Axes], *what: Any, extend: str = "max") -> None:
    aspect = 20 * max(1, len(panels) // 3)  # as thick next to many rows of three as next to one
    colour_bar(figure, *what, ax=panels, extend=extend, shrink=0.8, aspect=aspect)

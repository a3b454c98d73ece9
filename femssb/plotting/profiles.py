"""Figures of the stress in a packing: against height and radius, and as maps of the xy plane.

Stress is shown as pressure: compression is positive. Which stress it is, by the arms of the
contacts or by halves of the branches, depends on the packing: see `femssb.packing.stress`.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from scipy.stats import binned_statistic

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.packing.packing import Packing
from femssb.packing.structure import heat_map
from femssb.plotting.style import PHASE_COLOURS, colour_bar
from femssb.units import MPa, um

LINES = ("-", "--", ":", "-.")
MOST_BINS = 1000  # of height and radius
FEWEST = 3  # spheres in a bin whose mean is worth showing
STRESS_MAP = "viridis"


def compression(packing: Packing) -> Array:
    """Return the compressive normal stress in every sphere along x, y, z, shape (n, 3) [Pa].

    Raises:
        InputError: If the stress of the packing is not known.
    """
    if packing.stress is None:
        raise InputError("the packing has no stress: only those that were pressed have it")
    return -np.diagonal(packing.stress, axis1=1, axis2=2)


@checked
def stress_profiles(packings: Mapping[str, Packing], *, bins: int = 12) -> Figure:
    """Draw the mean stress of each phase against height (above) and radius (below), by number.

    Args:
        packings: States by name, at most four; each has a line style of its own.
        bins: Of height and of radius.

    Raises:
        InputError: If there is no packing, there are too many, one has no stress, or there is no
            bin.
    """
    figure = Figure(figsize=(7.4, 4.6), layout="constrained")
    draw_profiles(figure, packings, bins=bins)
    return figure


def draw_profiles(
    figure: Figure | SubFigure, packings: Mapping[str, Packing], *, bins: int, titled: bool = True
) -> None:
    """Draw `stress_profiles` into a figure or a part of one, with or without its titles."""
    check_number("stress profiles", "bins", bins, lower=1, upper=MOST_BINS)
    if not 1 <= len(packings) <= len(LINES):
        raise InputError(f"stress profiles show 1 to {len(LINES)} packings, not {len(packings)}")
    panels = figure.subplots(2, 3, sharey=True, squeeze=False)
    for style, (title, packing) in zip(LINES, packings.items(), strict=False):
        pressed = compression(packing) / MPa
        along = (packing.positions[:, 2] - packing.lower[2], packing.radii)
        for phase, name in enumerate(packing.phase_names):
            own = packing.phases == phase
            if not own.any():
                continue
            label = name if len(packings) == 1 else f"{name}, {title}"
            colour = PHASE_COLOURS[phase % len(PHASE_COLOURS)]
            for row, axis in itertools.product(range(2), range(3)):
                place, mean = _means(pressed[own, axis], along[row][own], bins)
                panels[row, axis].plot(place / um, mean, style, color=colour, label=label)
    for axis, letter in enumerate("xyz"):
        if titled:
            panels[0, axis].set_title(f"along {letter}", fontsize=9)
        panels[0, axis].set_xlabel("Height z [µm]")
        panels[1, axis].set_xlabel("Radius [µm]")
    panels[0, 0].set_ylim(bottom=min(0.0, panels[0, 0].get_ylim()[0]))
    for left in panels[:, 0]:
        left.set_ylabel("Compressive stress [MPa]")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))


@checked
def heat_maps(
    rows: Mapping[str, Mapping[str, Packing]], *, axis: int = 2, bins: int = 15
) -> Figure:
    """Draw maps over the xy plane of the stress along an axis, through the whole thickness.

    Args:
        rows: For every row, its packings by name, one in each column; rows alike.
        axis: Direction of the stress, 0 to 2.
        bins: Of the map, along x and along y.

    Raises:
        InputError: If rows differ in length, or a packing has no stress.
    """
    grid = [list(row.items()) for row in rows.values()]
    if not grid or not grid[0] or any(len(row) != len(grid[0]) for row in grid):
        raise InputError("heat_maps.rows must be one or more rows of equally many packings")
    if axis not in (0, 1, 2):
        raise InputError(f"heat_maps.axis = {axis!r} must be 0, 1 or 2")
    maps = [
        [heat_map(packing, compression(packing)[:, axis] / MPa, bins=bins) for _, packing in row]
        for row in grid
    ]
    low, high = np.nanpercentile(np.array(maps), (1, 99))
    figure = Figure(figsize=(1.0 + 2.2 * len(grid[0]), 0.4 + 2.1 * len(grid)), layout="constrained")
    panels = figure.subplots(len(grid), len(grid[0]), squeeze=False)
    for down, (name, row) in enumerate(zip(rows, grid, strict=True)):
        for across, (title, packing) in enumerate(row):
            axes: Axes = panels[down, across]
            width, depth = packing.lengths[:2] / um
            look: dict[str, Any] = {"cmap": STRESS_MAP, "vmin": low, "vmax": high}
            extent = (0, width, 0, depth)
            axes.imshow(maps[down][across].T, origin="lower", extent=extent, **look)
            axes.spines[:].set_visible(True)
            if down == 0:
                axes.set_title(title, fontsize=9)
            axes.set_ylabel(f"{name}\ny [µm]" if across == 0 else "")
            axes.set_xlabel("x [µm]" if down == len(grid) - 1 else "")
    label = f"Compressive stress along {'xyz'[axis]} [MPa]"
    options = {"ax": panels, "extend": "both", "shrink": 0.8}
    colour_bar(figure, (low, high), 1.0, label, STRESS_MAP, **options)
    return figure


def _means(values: Array, along: Array, bins: int) -> tuple[Array, Array]:
    """Return the middle of bins and the means in them, without bins that hold too few spheres."""
    mean, edges, _ = binned_statistic(along, values, "mean", bins)
    count, _, _ = binned_statistic(along, values, "count", bins)
    full = count >= min(FEWEST, len(values))
    return (edges[1:] + edges[:-1])[full] / 2, mean[full]

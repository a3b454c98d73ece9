"""Figures of a run: what a user calls, and the curves against time. Computes nothing.

Figures of fields are in `femssb.pictures`. Matplotlib and PyVista are loaded when a figure is asked
for, not with this module: a parallel run imports it on every rank.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from femssb.snapshot import make_folder, replacing
from femssb.solution import Solution
from femssb.units import GPa, nm, pmol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

# Colours that the colour-blind can tell apart: Okabe and Ito, "Color universal design" (2008).
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SHADE = {"charge": BLUE, "discharge": ORANGE, "hold": GREEN, "rest": "white"}
DOTS_PER_INCH = 220
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


def cycle(solution: Solution, folder: str | os.PathLike[str]) -> list[Path]:
    """Draw a run: curves against time, sections of each particle, the opened cell, the gap.

    Renderings need snapshots; where VTK finds no OpenGL they are left out, with a warning.

    Args:
        solution: The run, as computed or as loaded.
        folder: Where the figures go; made if it does not exist.

    Returns:
        The files written; none on ranks other than the first.

    Raises:
        InputError: If the folder cannot be made, or a file of the fields is damaged.
    """
    if not solution.first_rank:
        return []
    target = make_folder(Path(folder))
    written = [
        _save(target / "voltage_and_gap.png", _voltage_and_gap, solution),
        _save(target / "lithium.png", _lithium, solution),
        _save(target / "stress_and_strain.png", _stress_and_strain, solution),
    ]
    rows = _chosen_rows(solution)
    if not rows:
        return written
    from femssb import pictures, rendering

    if not rendering.can_render():
        logger.warning("no renderings: VTK finds no OpenGL here (Debian: install libegl1)")
        return written
    snapshots = [solution.snapshots[row] for row in rows]
    numbers = np.unique(snapshots[0].particle.cell_data["Particle [-]"])
    for number in numbers:
        name = "sections.png" if len(numbers) == 1 else f"sections_particle_{number + 1}.png"
        written.append(_save(target / name, pictures.sections, snapshots, int(number)))
    peak = solution.charge[-1].end_time if solution.charge else snapshots[-1].time
    fullest = min(snapshots, key=lambda snapshot: abs(snapshot.time - peak))
    written.append(_save(target / "cell.png", pictures.opened_cell, fullest))
    written.append(_save(target / "gap.png", pictures.gap, snapshots))
    return written


def _save(path: Path, draw: Callable[..., Figure], *arguments: Any) -> Path:
    import matplotlib as mpl

    with mpl.rc_context(STYLE), replacing(path) as temporary:
        draw(*arguments).savefig(temporary, format="png", dpi=DOTS_PER_INCH)
    return path


def _voltage_and_gap(solution: Solution) -> Figure:
    figure, (above, below) = _panels(solution, 2)
    _curves(above, solution, 1.0, {"Voltage [V]": ("", "black", "-")})
    above.set_ylabel("Voltage [V]")
    _curves(
        below,
        solution,
        nm,
        {"Maximum gap [m]": ("maximum", VERMILION, "-"), "Mean gap [m]": ("mean", BLUE, "-")},
    )
    below.set_ylabel("Interface gap [nm]")
    return figure


def _lithium(solution: Solution) -> Figure:
    figure, (axes,) = _panels(solution, 1)
    names = [name for name in solution.series if name.startswith("Lithium in particle")]
    colours = [BLUE, VERMILION, GREEN, ORANGE]
    styles = ["-", "--", ":"]
    shown = {
        name: (
            f"particle {row + 1}" if len(names) > 1 else "",
            colours[row % 4],
            styles[row // 4 % 3],
        )
        for row, name in enumerate(names)
    }
    _curves(axes, solution, pmol, shown)
    axes.set_ylabel("Lithium in particle [pmol]" if len(names) > 1 else "Lithium [pmol]")
    axes.set_ylim(bottom=0)
    return figure


def _stress_and_strain(solution: Solution) -> Figure:
    figure, (above, below) = _panels(solution, 2)
    _curves(
        above,
        solution,
        GPa,
        {
            "Maximum von Mises stress [Pa]": ("maximum", VERMILION, "-"),
            "99.9 % von Mises stress [Pa]": ("99.9th percentile", ORANGE, "-"),
            "99 % von Mises stress [Pa]": ("99th percentile", GREEN, "-"),
            "Mean von Mises stress [Pa]": ("mean", BLUE, "-"),
        },
    )
    above.set_ylabel("Von Mises stress [GPa]")
    _curves(
        below,
        solution,
        0.01,
        {
            "Mean volumetric strain [-]": ("mean", BLUE, "-"),
            "1 % volumetric strain [-]": ("1st percentile", GREEN, "-"),
            "0.1 % volumetric strain [-]": ("0.1th percentile", ORANGE, "-"),
            "Minimum volumetric strain [-]": ("minimum", VERMILION, "-"),
        },
    )
    below.set_ylabel("Volumetric strain [%]")
    return figure


def _panels(solution: Solution, count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels one above the other, the protocol's steps shaded and named."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 0.7 + 2.0 * count), layout="constrained")
    panels = list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])
    times = solution.series["Time [s]"]
    panels[0].set_xlim(times[0], times[-1])
    for axes in panels:
        for step in solution.steps:
            axes.axvspan(
                step.start_time, step.end_time, color=SHADE[step.kind], alpha=0.07, linewidth=0
            )
            axes.axvline(step.end_time, color="0.7", linewidth=0.6, zorder=0)
    for step in solution.steps:
        if step.duration > 0.08 * (times[-1] - times[0]):  # else the name would not fit
            middle = (step.start_time + step.end_time) / 2
            panels[0].annotate(
                step.kind,
                (middle, 1),
                xycoords=panels[0].get_xaxis_transform(),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                color="0.35",
            )
    panels[-1].set_xlabel("Time [s]")
    figure.align_ylabels(panels)
    return figure, panels


def _curves(
    axes: Axes,
    solution: Solution,
    unit: float,
    columns: dict[str, tuple[str, str, str]],
) -> None:
    """Draw columns of the series, each with (label, colour, line style)."""
    for name, (label, colour, style) in columns.items():
        axes.plot(
            solution.series["Time [s]"],
            solution.series[name] / unit,
            label=label,
            color=colour,
            linestyle=style,
        )
    if any(label for label, _, _ in columns.values()):
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _chosen_rows(solution: Solution) -> list[int]:
    """Return the snapshots nearest to start, middle and end of charge and discharge."""
    available = np.array(solution.snapshot_times)
    if not len(available):
        return []
    targets = [available[0]]
    for half in (solution.charge, solution.discharge):
        if half:
            start, end = half[0].start_time, half[-1].end_time
            targets += [(start + end) / 2, end]
    if len(targets) == 1:
        targets = list(np.linspace(available[0], available[-1], 5))
    return sorted({int(np.argmin(np.abs(available - target))) for target in targets})

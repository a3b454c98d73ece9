"""Figures of time series, of one run and of several.

Matplotlib is loaded with the first figure, not with this module, which every rank imports.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from femssb.description import checked, description, field
from femssb.errors import InputError, check_number, shown
from femssb.plotting.style import BLUE, GREEN, ORANGE, PURPLE, SEQUENCE, VERMILION
from femssb.results.quantities import LOSSES, PARTICLE_COLUMNS, of_particle, on_axis
from femssb.results.solution import Solution
from femssb.units import GPa, mV, nm, pmol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHADE = {"charge": BLUE, "discharge": ORANGE, "hold": GREEN, "rest": "white", "drive": PURPLE}
LINES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (4, 1.2, 1.2, 1.2)))
MARKERS = ("o", "s", "^", "D", "v", "P")


@description
class Reference:
    """A value from elsewhere, drawn as a marker in the colour of the run it belongs to."""

    run: str = field("key of the run in the comparison")
    column: str = field("of the series; one of a particle where the panel shows all particles")
    when: float | str = field('or a moment of `Solution.time_of`, such as "charge end"', unit="s")
    value: float = field("in the SI unit of the column")
    source: str = field('its name in the legend, such as "Yuan et al. 2023"')

    @checked
    def time_in(self, solution: Solution) -> float:
        """Return the time in a run [s].

        Raises:
            InputError: If the run has no such moment.
        """
        return solution.time_of(self.when) if isinstance(self.when, str) else self.when


@checked
def voltage_and_gap(solution: Solution, axes: Sequence[Axes] | None = None) -> Figure:
    """Draw the voltage, and the largest and the mean gap; return the figure.

    Args:
        solution: The run.
        axes: Two panels to draw in; None for a new figure.

    Raises:
        InputError: If there are more or fewer panels.
    """
    figure, (above, below) = _panels(solution, 2, axes)
    _curves(above, solution, "Voltage [V]", 1.0, {"Voltage [V]": ("", "black")})
    gaps = {"Maximum gap [m]": ("maximum", VERMILION), "Mean gap [m]": ("mean", BLUE)}
    _curves(below, solution, "Interface gap [nm]", nm, gaps)
    return figure


@checked
def draw(
    solution: Solution,
    columns: Sequence[str],
    *,
    against: str = "Time [s]",
    axes: Axes | None = None,
) -> Figure:
    """Draw columns of the series against another one, and return the figure.

    Args:
        solution: The run.
        columns: Names of columns of one unit, at least one.
        against: Name of the column along the horizontal axis, such as "Discharge capacity [A.h]".
        axes: Where to draw; None for a new figure.

    Raises:
        InputError: If the run lacks a column, or their units differ.
    """
    from matplotlib.figure import Figure

    check_many("draw.columns", columns)
    for name in (*columns, against):
        if name not in solution.series:
            raise InputError(f"draw: the run has no {name!r}; it has {sorted(solution.series)}")
    labels = {on_axis(name)[0].partition(" [")[2] for name in columns}
    if len(labels) > 1:
        raise InputError(f"draw.columns = {list(columns)} have several units: give axes for each")
    if axes is None:
        axes = Figure(figsize=(6.2, 3.4), layout="constrained").add_subplot()
    label, unit = on_axis(against)
    along = solution.series[against] / unit
    for name in columns:
        words, scale = on_axis(name)
        axes.plot(along, solution.series[name] / scale, label=words.partition(" [")[0])
    axes.set_xlabel(label)
    axes.set_ylabel(on_axis(columns[0])[0] if len(columns) == 1 else f"[{labels.pop()}")
    if len(columns) > 1:
        axes.legend()
    figure: Any = axes.figure
    return figure


def lithium(solution: Solution) -> Figure:
    """Draw the lithium in each particle; more than twelve are not told apart."""
    figure, (axes,) = _panels(solution, 1)
    names = [name for name in solution.series if name.startswith("Lithium in particle")]
    several = len(names) > 1
    looks = itertools.cycle(itertools.product(("-", "--", ":"), SEQUENCE[:4]))
    shown = {}
    for number, (name, (style, colour)) in enumerate(zip(names, looks, strict=False), start=1):
        shown[name] = (f"particle {number}" if several else "", colour, style)
    if len(names) > 12:
        shown = {name: ("", BLUE, "-") for name in names}
        shown[names[0]] = (f"each of {len(names)}\nparticles", BLUE, "-")
    label = "Lithium in particle [pmol]" if several else "Lithium [pmol]"
    _curves(axes, solution, label, pmol, shown)
    axes.set_ylim(bottom=0)
    return figure


@checked
def stress_and_strain(solution: Solution, axes: Sequence[Axes] | None = None) -> Figure:
    """Draw mean, percentiles and extreme of stress and strain; return the figure.

    Args:
        solution: The run.
        axes: Two panels to draw in; None for a new figure.

    Raises:
        InputError: If there are more or fewer panels.
    """
    figure, (above, below) = _panels(solution, 2, axes)
    stresses = {
        "Maximum von Mises stress [Pa]": ("maximum", VERMILION),
        "99.9 % von Mises stress [Pa]": ("99.9th percentile", ORANGE),
        "99 % von Mises stress [Pa]": ("99th percentile", GREEN),
        "Mean von Mises stress [Pa]": ("mean", BLUE),
    }
    strains = {
        "Maximum volumetric strain [-]": ("maximum", VERMILION, "--"),
        "99.9 % volumetric strain [-]": ("99.9th percentile", ORANGE, "--"),
        "99 % volumetric strain [-]": ("99th percentile", GREEN, "--"),
        "Mean volumetric strain [-]": ("mean", BLUE),
        "1 % volumetric strain [-]": ("1st percentile", GREEN),
        "0.1 % volumetric strain [-]": ("0.1th percentile", ORANGE),
        "Minimum volumetric strain [-]": ("minimum", VERMILION),
    }
    _curves(above, solution, "Von Mises stress [GPa]", GPa, stresses)
    _curves(below, solution, "Volumetric strain [%]", 0.01, strains)
    return figure


@checked
def losses(solution: Solution, axes: Sequence[Axes] | None = None) -> Figure:
    """Draw where the voltage goes on charge and discharge: all losses stacked, against capacity.

    The cohesive energy that debonding has dissipated is drawn below; returns the figure.

    Args:
        solution: The run.
        axes: Panels to draw in, row by row: voltages, losses and energies, each on charge and on
            discharge, as far as the run has them; None for a new figure.

    Raises:
        InputError: If the run has neither, or the panels are more or fewer.
    """
    from matplotlib.figure import Figure

    halves = [half for half in (solution.charge, solution.discharge) if half]
    if not halves:
        raise InputError("losses: the run has neither a charge nor a discharge")
    if axes is not None:
        rows = np.array(_given(axes, 3 * len(halves)), dtype=object).reshape(3, -1)
        figure: Any = rows[0, 0].figure
    else:
        figure = Figure(figsize=(1.4 + 2.9 * len(halves), 6.2), layout="constrained")
        rows = figure.subplots(3, len(halves), sharex="col", sharey="row", squeeze=False)
    series, colours = solution.series, dict(zip(LOSSES, SEQUENCE, strict=False))
    capacity, charge = on_axis("Capacity [C]")
    for half, (above, middle, below) in zip(halves, rows.T, strict=True):
        # The first row has the load before it.
        chosen = np.concatenate([np.arange(one.start_row + 1, one.end_row + 1) for one in half])
        current = series["Current [A]"][chosen]
        chosen, current = chosen[current != 0], current[current != 0]
        start = series["Discharge capacity [C]"][half[0].start_row]
        passed = np.abs(series["Discharge capacity [C]"][chosen] - start) / charge
        at_rest = series["Reversible power [W]"][chosen] / current
        above.plot(passed, at_rest, color="0.5", linestyle="--", label="at rest, mean lithium")
        above.plot(passed, series["Voltage [V]"][chosen], color="black", label="cell")
        above.set_title(half[0].kind, loc="left")
        lost = [series[name][chosen] / np.abs(current) / mV for name in LOSSES]
        middle.stackplot(passed, *lost, colors=colours.values(), labels=LOSSES.values())
        spent = series["Cohesive energy dissipated [J]"][chosen]
        label, energy = on_axis("Cohesive energy dissipated [J]")
        below.plot(passed, spent / energy, color="black")
        below.set_xlabel(capacity)
    for panel, name in zip(rows[:, 0], ("Voltage [V]", "Voltage lost [mV]", label), strict=True):
        panel.set_ylabel(textwrap.fill(name, 24))
    for panel in rows[:2, -1]:
        panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), reverse=True)
    figure.align_ylabels(rows[:, 0])
    return figure


@checked
def cycles(solution: Solution, axes: Sequence[Axes] | None = None) -> Figure:
    """Draw what each cycle passed, its efficiency, and the gap at both of its ends.

    Args:
        solution: The run.
        axes: Three panels to draw in; None for a new figure.

    Returns:
        The figure.

    Raises:
        InputError: If the panels are more or fewer, or the run has no cycle.
    """
    from matplotlib.figure import Figure

    rows = solution.cycles
    if not rows:
        raise InputError("cycles: the run has no cycle")
    numbers = [cycle.number for cycle in rows]

    def column(key: str, unit: float) -> list[float]:
        values = (cycle.numbers[key] for cycle in rows)
        return [np.nan if value is None else value / unit for value in values]

    (capacity, charge), (gap, length) = on_axis("Capacity [C]"), on_axis("Mean gap [m]")
    if axes is not None:
        panels = _given(axes, 3)
        figure: Any = panels[0].figure
    else:
        figure = Figure(figsize=(6.2, 6.7), layout="constrained")
        panels = list(figure.subplots(3, 1, sharex=True))
    both = {"charge": VERMILION, "discharge": BLUE}
    for half, colour in both.items():
        look: dict[str, Any] = {"color": colour, "marker": "o", "label": half}
        panels[0].plot(numbers, column(f"{half}_capacity", charge), **look)
        look["label"] = f"at {half} end"
        panels[2].plot(numbers, column(f"gap_mean_{half}_end", length), **look)
    panels[1].plot(numbers, column("coulombic_efficiency", 0.01), color="black", marker="o")
    for panel, label in zip(panels, (capacity, "Coulombic efficiency [%]", gap), strict=True):
        panel.set_ylabel(label)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    panels[-1].set_xlabel("Cycle")
    locator: Any = panels[-1].xaxis.get_major_locator()
    locator.set_params(integer=True)
    figure.align_ylabels(panels)
    return figure


def _given(axes: Sequence[Axes], count: int) -> list[Axes]:
    """Return panels to draw in.

    Raises:
        InputError: If they are more or fewer, or something else.
    """
    panels = list(axes)
    if len(panels) != count or not all(hasattr(one, "axvspan") for one in panels):
        raise InputError(f"axes must be {count} panels of Matplotlib, got {shown(axes)}")
    return panels


def _panels(
    solution: Solution, count: int, axes: Sequence[Axes] | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels one above the other, the protocol's steps shaded and named."""
    from matplotlib.figure import Figure

    if axes is not None:
        panels = _given(axes, count)
        figure: Any = panels[0].figure
    else:
        figure = Figure(figsize=(6.2, 0.7 + 2.0 * count), layout="constrained")
        panels = list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])
    times = solution.series["Time [s]"]
    panels[0].set_xlim(times[0], times[-1])
    for panel, step in itertools.product(panels, solution.steps):
        shade: dict[str, Any] = {"color": SHADE[step.kind], "alpha": 0.07, "linewidth": 0}
        panel.axvspan(step.start_time, step.end_time, **shade)
        panel.axvline(step.end_time, color="0.7", linewidth=0.6, zorder=0)
    for step in solution.steps:
        if step.duration > 0.08 * (times[-1] - times[0]):  # else the name would not fit
            middle = (step.start_time + step.end_time) / 2
            across: dict[str, Any] = {"xycoords": panels[0].get_xaxis_transform(), "ha": "center"}
            options = across | {"textcoords": "offset points", "color": "0.35"}
            panels[0].annotate(step.kind, (middle, 1), (0, 2), **options)
    panels[-1].set_xlabel("Time [s]")
    figure.align_ylabels(panels)
    return figure, panels


def _curves(
    axes: Axes, solution: Solution, label: str, unit: float, columns: Mapping[str, tuple[str, ...]]
) -> None:
    """Draw columns of the series, each with (label, colour) or (label, colour, line style)."""
    times = solution.series["Time [s]"]
    for name, (curve, colour, *style) in columns.items():
        values = solution.series[name] / unit
        axes.plot(times, values, *style, color=colour, label=curve)
    axes.set_ylabel(label)
    if any(look[0] for look in columns.values()):
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def check_many(field: str, value: Sized) -> None:
    """Check that an argument holds at least one thing.

    Raises:
        InputError: If it is empty.
    """
    if len(value) == 0:
        raise InputError(f"{field} = {value!r} must hold at least one item")


def check_comparison(
    solutions: Mapping[str, Solution],
    columns: Sequence[str],
    nominal_times: Mapping[str, float] | None,
    reference: Sequence[Reference],
) -> None:
    """Check the arguments of `comparison`.

    Raises:
        InputError: If there is nothing to draw, a run lacks a column, a moment or a nominal time,
            or a reference belongs to no run or panel.
    """
    check_many("solutions", solutions)
    check_many("columns", columns)
    shown: set[str] = set()
    for run, solution in solutions.items():
        for column in columns:
            names = _shown(solution, column).values()
            if not names or any(name not in solution.series for name in names):
                raise InputError(f"columns: run {run!r} has no {column!r}")
            shown.update(names)
        if nominal_times is not None:
            if run not in nominal_times:
                raise InputError(f"nominal_times has no time of run {run!r}")
            check_number("nominal_times", repr(run), nominal_times[run], above=0, unit="s")
    for value in reference:
        if value.run not in solutions:
            raise InputError(f"reference: run {value.run!r} is none of {list(solutions)}")
        if value.column not in shown:
            raise InputError(f"reference: column {value.column!r} is in none of the panels")
        value.time_in(solutions[value.run])


def comparison(
    solutions: Mapping[str, Solution],
    columns: Sequence[str],
    nominal_times: Mapping[str, float] | None,
    reference: Sequence[Reference],
) -> Figure:
    """Draw a panel per column, a curve per run, and values from elsewhere: see `plotting.compare`.

    The colour stands for the run and the line style for the particle; where there is one run only,
    the colour stands for the particle.
    """
    unit_of_time = nominal_times or dict.fromkeys(solutions, 1.0)
    figure, panels = _grid(len(columns), "Time / nominal time [-]" if nominal_times else "Time [s]")
    end = max(run.series["Time [s]"][-1] / unit_of_time[name] for name, run in solutions.items())
    looks = _looks(solutions, columns)
    sources = dict.fromkeys(value.source for value in reference)
    markers = dict(zip(sources, itertools.cycle(MARKERS), strict=False))
    for axes, column in zip(panels, columns, strict=True):
        label, unit = on_axis(column)
        for run, solution in solutions.items():
            for particle, name in _shown(solution, column).items():
                colour, style = looks[run, particle]
                times = solution.series["Time [s]"] / unit_of_time[run]
                axes.plot(times, solution.series[name] / unit, color=colour, linestyle=style)
                for value in reference:
                    if (value.run, value.column) == (run, name):
                        time, marker = value.time_in(solution), _marker(markers[value.source])
                        place = time / unit_of_time[run], value.value / unit
                        axes.plot(*place, color=colour, **marker)
        axes.set_title(textwrap.fill(label, 33), loc="left")
        axes.set_xlim(0, 1.02 * end)
        _start_at_zero(axes)
    _legend(figure, columns, looks, markers)
    return figure


def _shown(solution: Solution, column: str) -> dict[int | None, str]:
    """Return the columns of a panel: one of each particle (numbers from 1), or one of the run."""
    if column not in PARTICLE_COLUMNS:
        return {None: column}
    numbers = itertools.takewhile(
        lambda number: of_particle(column, number) in solution.series, itertools.count(1)
    )
    return {number: of_particle(column, number) for number in numbers}


def _looks(
    solutions: Mapping[str, Solution], columns: Sequence[str]
) -> dict[tuple[str, int | None], tuple[Any, Any]]:
    """Return colour and line style of each run (particle None) and of each of its particles."""
    panels = itertools.product(solutions.values(), columns)
    particles = range(1, 1 + max(n or 0 for panel in panels for n in _shown(*panel)))
    if len(solutions) == 1 and particles:
        (run,) = solutions
        of_particles = zip(particles, _colours(len(particles)), strict=True)
        return {(run, None): ("black", "-")} | {(run, k): (c, "-") for k, c in of_particles}
    colours = dict(zip(solutions, _colours(len(solutions)), strict=True))
    return {
        (run, number): (colour, LINES[(number - 1) % len(LINES)] if number else "-")
        for run, colour in colours.items()
        for number in (None, *particles)
    }


def _colours(count: int) -> Sequence[Any]:
    """Return distinct colours, or, where there are too few, a scale from dark to light."""
    import matplotlib as mpl

    if count <= len(SEQUENCE):
        return SEQUENCE[:count]
    return list(mpl.colormaps["viridis"](np.linspace(0, 0.93, count)))


def _grid(count: int, time_label: str) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels that share their time axis, with letters if there are several."""
    from matplotlib.figure import Figure

    across = 2 if count == 4 else min(count, 3)
    down = -(-count // across)
    width = {1: 4.0, 2: 6.0, 3: 7.6}[across]
    figure = Figure(figsize=(width, 0.55 + 2.0 * down), layout="constrained")
    panels = []
    for index in range(count):
        axes = figure.add_subplot(down, across, index + 1)
        if count > 1:
            look: dict[str, Any] = {"fontweight": "bold", "fontsize": 10}
            place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
            axes.annotate(chr(ord("a") + index), (0, 1), (-22, 6), **place, **look)
        lowest = index + across >= count
        axes.tick_params(labelbottom=lowest)
        axes.set_xlabel(time_label if lowest else "")
        panels.append(axes)
    return figure, panels


def _marker(shape: str) -> dict[str, Any]:
    return {
        "marker": shape,
        "linestyle": "none",
        "markerfacecolor": "white",
        "markeredgewidth": 1.3,
        "markersize": 5,
        "clip_on": False,
        "zorder": 5,
    }


def _start_at_zero(axes: Axes) -> None:
    """Let an axis of values that begin near zero begin there."""
    values = np.concatenate([np.ravel(line.get_ydata()) for line in axes.lines])
    low, high = values.min(), values.max()
    if 0 <= low < 0.25 * high:
        axes.set_ylim(bottom=0)
    elif 0 >= high > 0.25 * low:
        axes.set_ylim(top=0)


def _legend(
    figure: Figure,
    columns: Sequence[str],
    looks: Mapping[tuple[str, int | None], tuple[Any, Any]],
    markers: Mapping[str, str],
) -> None:
    """Name runs, particles and sources above all panels."""
    from matplotlib.lines import Line2D

    runs = [run for run, number in looks if number is None]
    numbers = [number for run, number in looks if run == runs[0] and number is not None]
    by_particle = len(runs) == 1 and len(numbers) > 0  # what the colour stands for
    entries: dict[str, Line2D] = {}
    if not by_particle or not PARTICLE_COLUMNS.keys() >= set(columns):
        entries |= {run: Line2D([], [], color=looks[run, None][0]) for run in runs}
    for number in numbers:
        own, style = looks[runs[0], number]
        colour = own if by_particle else "0.35"
        entries[f"particle {number}"] = Line2D([], [], color=colour, linestyle=style)
    for source, marker in markers.items():
        entries[source] = Line2D([], [], color="0.35", **_marker(marker))
    letters = 13 * figure.get_figwidth()
    across = max(1, min(len(entries), int(letters / (6 + max(map(len, entries))))))
    figure.set_figheight(figure.get_figheight() + 0.17 * (-(-len(entries) // across) - 1))
    figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=across)

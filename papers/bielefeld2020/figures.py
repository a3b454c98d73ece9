"""The figures of Bielefeld 2020, drawn from measured electrodes; they compute nothing of their own.

The fits of the paper stand next to ours in grey, its numbers as stars. Points are means over the
realisations, at the voxel size of the paper; bars are one standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from femssb.electrode import PowerLaw
from femssb.plotting import BLUE, GREEN, ORANGE, VERMILION
from femssb.studies import Results
from femssb.units import cm2, mA, um
from femssb.voxels import VoxelImage, find_clusters
from papers.bielefeld2020.electrodes import (
    BINDER_DENSITIES,
    BINDERS,
    DROP,
    LGPS,
    LPSCL,
    PAPER_VOXEL,
    SHARES,
    VOID,
    Electrodes,
    Line,
    Point,
    cathode,
    weight_share,
)

Array = NDArray[np.float64]
Points = Results[Point]
Law = Callable[[Array], Array]
Fits = Mapping[str, PowerLaw]

MS_CM = 0.1  # mS/cm in S/m
GREY = "0.45"
THROUGH, BACKGROUND = "#4477AA", "#F0E6B0"
BARS = {"marker": "o", "markersize": 3.5, "capsize": 2}
STAR = {"markersize": 10, "alpha": 0.6}
SHARE_LABEL = "AM share of the solids [%]"
TAU_LABEL = r"Ionic tortuosity factor $\tau^2$ [-]"


def _power_law(prefactor: float, exponent: float) -> Law:
    """Return a power law of the paper."""
    return lambda x: prefactor * x**-exponent


# The paper's fits; digits beyond those of its text are from the labels of its figures.
BRUGGEMAN = {"3 um": _power_law(0.325, 2.018), "15 um": _power_law(0.668, 1.213)}
BY_SIZE = {"monomodal": _power_law(6.40, 0.246), "trimodal": _power_law(5.55, 0.190)}
BINDER_TAU = {"without": 4.2, "0.05": 6.4, "0.1": 10.0}  # at 70:30, section 3.3
BINDER_AREA = ((0.83, 0.57), (0.71, 0.18))  # by binder, at low and high AM share; section 3.2.1


def known(points: Points, line: Line) -> list[tuple[float, Point]]:
    """Return the points of a line that are there, with their abscissae."""
    return [(x, points[electrode]) for x, electrode in line.items() if electrode in points]


def _panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns)


def _colours(number: int) -> list[Any]:
    if number <= 4:
        return [BLUE, VERMILION, GREEN, ORANGE][:number]
    return list(mpl.colormaps["viridis"](np.linspace(0, 0.9, number)))


def _letters(*panels: Any, first: str = "a") -> None:
    for number, axes in enumerate(panels):
        axes.set_title(f"({chr(ord(first) + number)})", loc="left", fontweight="bold")


def _curve(axes: Any, x: Sequence[float], mean: Sequence[float], spread: Sequence[float], **how):
    """Draw points with bars, leaving out what is infinite."""
    rows = np.array([x, mean, spread], dtype=float)
    rows = rows[:, np.isfinite(rows[1])]
    axes.errorbar(rows[0], rows[1], yerr=rows[2], **{**BARS, **how})


def _tau_curve(axes: Any, x: Sequence[float], points: Sequence[Point], h=PAPER_VOXEL, **how):
    factors = [point.tau_squared(h) for point in points]
    _curve(axes, x, factors, [point.tau_squared_spread(h) for point in points], **how)


def _conduction(
    left: Any, right: Any, points: Points, series: Mapping[str, Line], legend: str, highest: float
) -> None:
    """Draw conductivity and tortuosity factor of series of electrodes against the composition."""
    scale = LPSCL / MS_CM
    for colour, (label, line) in zip(_colours(len(series)), series.items(), strict=True):
        x, found = [100 * s for s, _ in known(points, line)], [p for _, p in known(points, line)]
        if found:
            mean = [scale * p.mean("conductivity") for p in found]
            spread = [scale * p.spread("conductivity") for p in found]
            _curve(left, x, mean, spread, color=colour, label=label)
            _tau_curve(right, x, found, color=colour, label=label)
    left.set(xlabel=SHARE_LABEL, ylabel="Effective ionic conductivity [mS/cm]")
    right.set(xlabel=SHARE_LABEL, ylabel=TAU_LABEL)
    left.set_ylim(bottom=0)
    right.set_ylim(1, highest)
    left.legend(title=legend)


def figure_1(electrodes: Electrodes, points: Points, fits: Fits) -> Figure:
    """Draw conductivity and tortuosity against composition, for AM of several sizes."""
    figure, (left, right) = _panels(1, 2, (7.4, 3.2))
    _conduction(left, right, points, electrodes.by_size, "AM diameter", 14)
    share = np.linspace(0.5, 0.79, 100)
    electrolyte = (1 - share) * (1 - VOID)
    papers = []
    for style, (label, law) in zip(("--", ":"), BRUGGEMAN.items(), strict=True):
        factor = law(electrolyte)
        papers += right.plot(100 * share, factor, style, color=GREY, label=f"paper, {label}")
        left.plot(100 * share, LPSCL / MS_CM * electrolyte / factor, style, color=GREY)
    left.set_ylim(0, 0.7)
    right.legend(handles=papers)
    _letters(left, right)
    return figure


def figure_2(electrodes: Electrodes, points: Points, fits: Fits) -> Figure:
    """Draw tortuosity against the electrolyte's share, with Bruggeman relations."""
    figure, axes = _panels(1, 1, (4.4, 3.4))
    share = np.linspace(0.17, 0.44, 100)
    for colour, (label, law) in zip((BLUE, VERMILION), BRUGGEMAN.items(), strict=True):
        found = [point for _, point in known(points, electrodes.by_size[label])]
        electrolyte = [point.mean("SE") for point in found]
        _tau_curve(axes, electrolyte, found, color=colour, label=label, linestyle="")
        if label in fits:
            fit = fits[label]
            name = rf"{fit.prefactor:.2f} $\varepsilon^{{-{fit.exponent:.2f}}}$"
            axes.plot(share, fit(share), color=colour, linewidth=1, label=name)
        axes.plot(share, law(share), "--", color=colour, alpha=0.45, linewidth=1)
    axes.plot([], [], "--", color=GREY, linewidth=1, label="fits of the paper")
    axes.plot(share, share**-0.5, "k-.", linewidth=1, label="Bruggeman, eq. 18")
    axes.set(ylim=(1, 14), xlabel=r"SE share of the electrode $\varepsilon_\mathrm{SE}$ [-]")
    axes.set_ylabel(TAU_LABEL)
    axes.legend()
    return figure


def figure_3(electrodes: Electrodes, points: Points, fits: Fits) -> Figure:
    """Draw electrodes with AM of three sizes, their conduction, and tortuosity against size."""
    figure = Figure(figsize=(7.4, 6.0), layout="constrained")
    above, below = figure.subfigures(2, 1)
    mixtures = list(electrodes.mixtures.items())
    sections = mixtures[:: len(mixtures) // 2]
    shades = ("black", VERMILION, THROUGH, BACKGROUND)
    for axes, (label, line) in zip(above.subplots(1, len(sections)), sections, strict=True):
        image = line[SHARES[0]].section(0.55 / (1 - VOID))
        middle = image.shape[0] // 2
        shown = image.mask("AM")[middle].astype(int)
        shown += find_clusters(image, "AM").mask("percolating")[middle]
        shown[image.mask("SE")[middle]] = 3
        _section(axes, image, shown, shades)
        axes.set_title(f"largest AM {label}, 55 % AM", fontsize=8, loc="right")
    _letters(above.axes[0])
    _phases(above, ("void", "AM, isolated", "AM, through-going cluster", "SE"), shades)
    left, middle, right = below.subplots(1, 3)
    _conduction(left, middle, points, electrodes.mixtures, "largest AM", 12)
    diameters = np.linspace(2.5, 16, 50)
    for colour, (label, law) in zip((VERMILION, BLUE), BY_SIZE.items(), strict=True):
        pairs = known(points, electrodes.at_seventy[label])
        x, found = [diameter / um for diameter, _ in pairs], [point for _, point in pairs]
        _tau_curve(right, x, found, color=colour, label=label, linestyle="")
        if label in fits:
            fit = fits[label]
            name = f"{fit.prefactor:.2f} $d^{{-{fit.exponent:.2f}}}$"
            right.plot(diameters, fit(diameters), color=colour, linewidth=1, label=name)
        right.plot(diameters, law(diameters), "--", color=colour, alpha=0.45, linewidth=1)
    right.plot([], [], "--", color=GREY, linewidth=1, label="fits of the paper")
    right.set(xscale="log", yscale="log", ylim=(2, 8))
    right.set(xlabel="(Largest) AM diameter [um]", ylabel=r"$\tau^2$ at 70:30 [-]")
    for axis, ticks in ((right.xaxis, (3, 5, 8, 12, 15)), (right.yaxis, (2, 3, 4, 5, 6, 7))):
        axis.set_major_locator(mpl.ticker.FixedLocator(ticks))
        axis.set_minor_locator(mpl.ticker.NullLocator())
        axis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:g}"))
    right.legend(fontsize=7)
    _letters(left, middle, right, first="b")
    return figure


def figure_4(electrodes: Electrodes, points: Points, fits: Fits) -> Figure:
    """Draw conductivity and tortuosity against composition, for several shares of void."""
    figure, (left, right) = _panels(1, 2, (7.4, 3.2))
    _conduction(left, right, points, electrodes.by_void, "void", 14)
    _letters(left, right)
    return figure


def figure_5(electrodes: Electrodes, points: Points, fits: Fits) -> Figure:
    """Draw what binder does: weight, utilisation, active interface, conductivity, tortuosity."""
    figure, panels = _panels(3, 2, (7.4, 8.4))
    (weight, use), (active, relative), (left, right) = panels
    series = electrodes.by_binder
    colours = dict(zip(series, _colours(len(series)), strict=True))
    share = np.linspace(0.5, 0.8, 31)
    for (binder, density), style in zip(BINDER_DENSITIES.items(), ("-", "--"), strict=True):
        for label, ratio in BINDERS.items():
            if ratio:
                amount = 100 * weight_share(share, ratio, density)
                name = f"{binder}, {label}"
                weight.plot(100 * share, amount, style, color=colours[label], label=name)
    bare = dict(known(points, series["without"]))
    for label, line in series.items():
        pairs, colour = known(points, line), colours[label]
        x = [100 * share for share, _ in pairs]
        for phase, style in (("SE", "o-"), ("AM", "o:")):
            key = f"{phase} utilisation"
            use.errorbar(
                x,
                [100 * min(1.0, p.mean(key)) for _, p in pairs],
                yerr=[100 * p.spread(key) for _, p in pairs],
                fmt=style,
                markersize=3,
                capsize=2,
                color=colour,
                label=f"{phase}, {label}",
            )
        area = [p.mean("active interface") * um for _, p in pairs]
        spread = [p.spread("active interface") * um for _, p in pairs]
        _curve(active, x, area, spread, color=colour, label=label)
        both = [(s, p, bare[s]) for s, p in pairs if s in bare]
        ratio = [p.mean("active interface") / q.mean("active interface") for _, p, q in both]
        spread = [area_kept(p, q)[1] for _, p, q in both]
        _curve(relative, [100 * s for s, *_ in both], ratio, spread, color=colour)
    weight.set(ylabel="Binder [wt%]", ylim=(0, 4.5))
    weight.legend(fontsize=7, ncols=2, loc="upper left")
    use.set(ylabel="Utilisation [%]", ylim=(0, 105))
    use.legend(fontsize=7)
    active.set_ylabel("Active interface [1/um]")
    active.set_ylim(bottom=0)
    relative.set(ylabel="Active interface, relative [-]", ylim=(0, 1.1))
    ends = [100 * min(s for line in series.values() for s in line), 80]
    for ratios, colour in zip(BINDER_AREA, list(colours.values())[1:], strict=True):
        relative.plot(ends, ratios, "*", color=colour, **STAR)
    _conduction(left, right, points, series, "V(B):V(AM)", 16)
    for label, value in BINDER_TAU.items():
        right.plot(70, value, "*", color=colours[label], **STAR)
    for axes, where in ((relative, (52, 0.1)), (right, (52, 14.5))):
        axes.text(*where, "stars: paper", color=GREY, fontsize=8)
    for axes in (weight, use, active, relative):
        axes.set_xlabel(SHARE_LABEL)
    _letters(*panels.flat)
    return figure


def area_kept(with_it: Point, without: Point, spacing: float = PAPER_VOXEL) -> tuple[float, float]:
    """Return the share of the active interface that binder leaves, mean and deviation."""
    number = min(with_it.realisations, without.realisations)
    kept = [point.at("active interface", spacing)[:number] for point in (with_it, without)]
    ratios = kept[0] / kept[1]
    return float(np.mean(ratios)), float(np.std(ratios, ddof=1 if number > 1 else 0))


def figure_6(electrodes: Electrodes, points: Points, fits: Fits) -> Figure:
    """Draw current density and C-rate that a voltage drop allows; triangles are our electrodes."""
    figure, panels = _panels(2, 2, (7.4, 6.2))
    thickness, bulk = np.linspace(30, 300, 136), np.linspace(0.05, 3, 119)
    share, factor = np.linspace(0.5, 0.85, 71), np.linspace(1.5, 12, 106)
    ours = [
        (100 * s, p.tau_squared())
        for s, p in known(points, electrodes.by_size["5 um"])
        if p.tau_squared() <= factor.max()
    ]
    maps = (
        (thickness, bulk / MS_CM, cathode(thickness * um, 0.7, 4.0, bulk[:, None])),
        (100 * share, factor, cathode(100 * um, share, factor[:, None], LGPS)),
    )
    labels = (("Thickness [um]", "SE conductivity [mS/cm]"), (SHARE_LABEL, TAU_LABEL))
    for column, ((x, y, made), names) in enumerate(zip(maps, labels, strict=True)):
        current, rate = made.current_density(DROP) / (mA / cm2), made.c_rate(DROP)
        for axes, value, levels, name in (
            (
                panels[0, column],
                current,
                (0.2, 0.5, 1, 2, 5, 10, 20, 50),
                "Current density [mA/cm$^2$]",
            ),
            (panels[1, column], rate, (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20), "C-rate [1/h]"),
        ):
            how = {"levels": levels, "norm": LogNorm(), "cmap": "viridis", "extend": "both"}
            filled = axes.contourf(x, y, value, **how)
            lines = axes.contour(x, y, value, levels=levels, colors="white", linewidths=0.5)
            axes.clabel(lines, fmt="%g", fontsize=7)
            figure.colorbar(filled, ax=axes, label=name, ticks=levels, format="%g")
            axes.set(xlabel=names[0], ylabel=names[1])
            if column:
                marks = np.array(ours).T.reshape(2, -1)
                axes.plot(*marks, "w^-", markersize=4, linewidth=0.8)
    _letters(*panels.flat)
    return figure


def figure_voxels(electrodes: Electrodes, points: Points, fits: Fits) -> Figure:
    """Draw the tortuosity factor against voxel size, and against the size of the box."""
    figure, (left, right) = _panels(1, 2, (7.4, 3.2))
    series = electrodes.by_voxel
    for colour, (label, electrode) in zip(_colours(len(series)), series.items(), strict=True):
        if electrode not in points:
            continue
        point = points[electrode]
        sizes = point.spacings
        factors = [point.tau_squared(h) for h in sizes]
        spreads = [point.tau_squared_spread(h) for h in sizes]
        _curve(left, sizes / um, factors, spreads, color=colour, label=label)
        line = np.array([0.0, sizes[-1]])
        left.plot(line / um, [point.tau_squared(h) for h in line], ":", color=colour)
    left.axvline(PAPER_VOXEL / um, color=GREY, linewidth=0.8, zorder=0)
    left.text(PAPER_VOXEL / um + 0.01, 1.4, "paper", color=GREY, fontsize=8)
    left.set(xlabel="Voxel size [um]", ylabel=TAU_LABEL)
    left.set_xlim(left=0)
    left.set_ylim(bottom=1)
    left.legend()
    pairs = known(points, electrodes.by_box)
    if pairs:
        h = float(pairs[0][1].spacings[-1])
        found = [point for _, point in pairs]
        _tau_curve(right, [box / um for box, _ in pairs], found, h, color=BLUE)
        right.set_ylim(0, 1.4 * max(f for p in found if np.isfinite(f := p.tau_squared(h))))
        right.set_ylabel(rf"$\tau^2$ in voxels of {h / um:g} um [-]")
    right.set_xlabel("Edge of the box [um]")
    right.set_xlim(left=0)
    _letters(left, right)
    return figure


def figure_kato(electrodes: Electrodes, points: Points, fits: Fits) -> Figure:
    """Draw a section through the LiCoO2 electrode with platelets."""
    image = next(iter(electrodes.kato.values())).section()
    figure, axes = _panels(1, 1, (3.6, 3.4))
    shades = ("black", THROUGH, BACKGROUND)
    order = [image.label(name) for name in ("void", "AM", "SE")]
    _section(axes, image, np.argsort(order)[image.labels[image.shape[0] // 2]], shades)
    axes.set_ylabel("z [um]")
    _phases(figure, ("void", "LCO", "LGPS"), shades)
    return figure


def _section(axes: Any, image: VoxelImage, shown: NDArray[Any], shades: Sequence[str]) -> None:
    """Draw a section across x, each number in its shade."""
    axes.imshow(
        shown.T,
        origin="lower",
        cmap=ListedColormap(list(shades)),
        vmin=0,
        vmax=len(shades) - 1,
        extent=[0, image.lengths[1] / um, 0, image.lengths[2] / um],
        interpolation="nearest",
    )
    axes.set_xlabel("y [um]")


def _phases(figure: Any, names: Sequence[str], shades: Sequence[str]) -> None:
    marks = [
        Line2D([], [], marker="s", linestyle="", color=shade, label=name)
        for name, shade in zip(names, shades, strict=True)
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=4)

"""The figures of paper 004, drawn from measured electrodes; they compute nothing of their own.

What the paper prints stands beside it in grey: its fits, and its numbers as stars. Points are means
over the realisations, at the paper's voxel size; bars are one standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from comparison_page import Picture
from matplotlib import pyplot
from matplotlib.colors import ListedColormap, LogNorm
from numpy.typing import NDArray
from paper004 import (
    BINDER_DENSITIES,
    BINDERS,
    DROP,
    LGPS,
    LPSCL,
    PAPER_VOXEL,
    SHARES,
    VOID,
    Case,
    Electrodes,
    Point,
    Points,
    cathode,
    weight_share,
)

from femssb.electrode import CompositeCathode, PowerLaw
from femssb.plotting.curves import BLUE, GREEN, ORANGE, VERMILION
from femssb.plotting.runs import STYLE
from femssb.units import cm2, mA, um
from femssb.voxels import VoxelImage, find_clusters

Array = NDArray[np.float64]
Series = Mapping[str, Mapping[float, Case]]  # label -> abscissa -> electrode
Law = Callable[[Array], Array]

MS_CM = 0.1  # mS/cm in S/m
GREY = "0.45"
BARS = {"marker": "o", "markersize": 3.5, "capsize": 2}


def _power_law(prefactor: float, exponent: float) -> Law:
    """Return a power law of the paper."""
    return lambda x: prefactor * x**-exponent


# The paper's fits; digits beyond those of its text are from the labels of its figures.
BRUGGEMAN = {"3 um": _power_law(0.325, 2.018), "15 um": _power_law(0.668, 1.213)}
BY_SIZE = {"monomodal": _power_law(6.40, 0.246), "trimodal": _power_law(5.55, 0.190)}
BINDER_TAU = {"without": 4.2, "0.05": 6.4, "0.1": 10.0}  # at 70:30, section 3.3
BINDER_AREA = ((0.83, 0.57), (0.71, 0.18))  # by binder, at low and high AM share; section 3.2.1


def _colours(number: int) -> list[Any]:
    if number <= 4:
        return [BLUE, VERMILION, GREEN, ORANGE][:number]
    return list(mpl.colormaps["viridis"](np.linspace(0, 0.9, number)))


def _known(points: Points, line: Mapping[float, Case]) -> list[tuple[float, Point]]:
    return [(x, points[case]) for x, case in line.items() if case in points]


def _curve(axes: Any, x: Sequence[float], mean: Sequence[float], spread: Sequence[float], **how):
    """Draw points with bars, leaving out what is infinite."""
    rows = np.array([x, mean, spread], dtype=float)
    rows = rows[:, np.isfinite(rows[1])]
    axes.errorbar(rows[0], rows[1], yerr=rows[2], **{**BARS, **how})


def conduction_panels(
    left: Any,
    right: Any,
    points: Points,
    series: Series,
    *,
    legend: str,
    highest: float | None = None,
) -> None:
    """Draw conductivity and tortuosity factor of series of electrodes against the composition."""
    for colour, (label, line) in zip(_colours(len(series)), series.items(), strict=True):
        known = _known(points, line)
        if not known:
            continue
        x = [100 * share for share, _ in known]
        scale = LPSCL / MS_CM
        _curve(
            left,
            x,
            [scale * p.mean("conductivity") for _, p in known],
            [scale * p.spread("conductivity") for _, p in known],
            color=colour,
            label=label,
        )
        _curve(
            right,
            x,
            [p.tau_squared() for _, p in known],
            [p.tau_squared_spread() for _, p in known],
            color=colour,
            label=label,
        )
    left.set_ylabel("Effective ionic conductivity [mS/cm]")
    right.set_ylabel(r"Ionic tortuosity factor $\tau^2$ [-]")
    left.set_ylim(bottom=0)
    right.set_ylim(1, highest)
    for axes in (left, right):
        axes.set_xlabel("AM share of the solids [%]")
    left.legend(title=legend)


def figure_1(path: Path, points: Points, series: Series, void: float, laws: Mapping[str, Law]):
    """Conductivity and tortuosity against composition, for AM of several sizes."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(7.4, 3.2), layout="constrained")
        conduction_panels(left, right, points, series, legend="AM diameter", highest=14)
        share = np.linspace(0.5, 0.79, 100)
        for style, (label, law) in zip(("--", ":"), laws.items(), strict=False):
            electrolyte = (1 - share) * (1 - void)
            right.plot(100 * share, law(electrolyte), style, color=GREY, label=f"paper, {label}")
            conducts = LPSCL / MS_CM * electrolyte / law(electrolyte)
            left.plot(100 * share, conducts, style, color=GREY)
        left.set_ylim(0, 0.7)
        right.legend(*_only(right, "paper"))
        _letters(left, right)
        _save(figure, path)


def _only(axes: Any, start: str) -> tuple[list[Any], list[str]]:
    pairs = zip(*axes.get_legend_handles_labels(), strict=True)
    chosen = [(handle, label) for handle, label in pairs if label.startswith(start)]
    return [handle for handle, _ in chosen], [label for _, label in chosen]


def figure_2(
    path: Path,
    points: Points,
    series: Series,
    fits: Mapping[str, PowerLaw],
    laws: Mapping[str, Law],
) -> None:
    """Tortuosity against the electrolyte's share, with Bruggeman relations."""
    with mpl.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(4.4, 3.4), layout="constrained")
        share = np.linspace(0.17, 0.44, 100)
        for colour, (label, line) in zip((BLUE, VERMILION), series.items(), strict=True):
            known = [point for _, point in _known(points, line)]
            electrolyte = [point.mean("SE") for point in known]
            factors = [point.tau_squared() for point in known]
            spreads = [point.tau_squared_spread() for point in known]
            shown = np.isfinite(factors)
            axes.errorbar(
                np.array(electrolyte)[shown],
                np.array(factors)[shown],
                yerr=np.array(spreads)[shown],
                fmt="o",
                markersize=3.5,
                capsize=2,
                color=colour,
                label=label,
            )
            if label in fits:
                law = fits[label]
                name = rf"{law.prefactor:.2f} $\varepsilon^{{-{law.exponent:.2f}}}$"
                axes.plot(share, law(share), color=colour, linewidth=1, label=name)
            axes.plot(share, laws[label](share), "--", color=colour, alpha=0.45, linewidth=1)
        axes.plot([], [], "--", color=GREY, linewidth=1, label="fits of the paper")
        axes.plot(share, share**-0.5, "k-.", linewidth=1, label="Bruggeman, eq. 18")
        axes.set_ylim(1, 14)
        axes.set_xlabel(r"SE share of the electrode $\varepsilon_\mathrm{SE}$ [-]")
        axes.set_ylabel(r"Ionic tortuosity factor $\tau^2$ [-]")
        axes.legend()
        _save(figure, path)


def figure_3(
    path: Path,
    points: Points,
    series: Series,
    electrodes: Mapping[str, VoxelImage],
    sizes: Mapping[str, tuple[Mapping[float, Case], PowerLaw | None, Law]],
) -> None:
    """Electrodes with AM of three sizes, their conduction, and tortuosity against size."""
    with mpl.rc_context(STYLE):
        figure = pyplot.figure(figsize=(7.4, 6.0), layout="constrained")
        above, below = figure.subfigures(2, 1)
        for axes, (label, image) in zip(
            above.subplots(1, len(electrodes), squeeze=False)[0], electrodes.items(), strict=True
        ):
            clusters = find_clusters(image, "AM")
            middle = image.shape[0] // 2
            shown = image.mask("AM")[middle].astype(int)
            shown += clusters.mask("percolating")[middle]
            shown[(image.mask("SE"))[middle]] = 3
            colours = ListedColormap(["black", VERMILION, "#4477AA", "#F0E6B0"])
            extent = [0, image.lengths[1] / um, 0, image.lengths[2] / um]
            axes.imshow(
                shown.T, origin="lower", cmap=colours, vmin=0, vmax=3, extent=extent,
                interpolation="nearest",
            )  # fmt: skip
            axes.set_title(label, fontsize=8, loc="right")
            axes.set_xlabel("y [um]")
        _letters(above.axes[0])
        marks = [
            pyplot.Line2D([], [], marker="s", linestyle="", color=colours(n), label=name)
            for n, name in enumerate(("void", "AM, isolated", "AM, through-going cluster", "SE"))
        ]
        above.legend(handles=marks, loc="outside lower center", ncols=4)
        left, middle, right = below.subplots(1, 3)
        conduction_panels(left, middle, points, series, legend="largest AM", highest=12)
        for colour, (label, (line, fit, law)) in zip((VERMILION, BLUE), sizes.items(), strict=True):
            known = _known(points, line)
            _curve(
                right,
                [diameter / um for diameter, _ in known],
                [point.tau_squared() for _, point in known],
                [point.tau_squared_spread() for _, point in known],
                color=colour,
                label=label,
                linestyle="",
            )
            diameters = np.linspace(2.5, 16, 50)
            if fit is not None:
                name = f"{fit.prefactor:.2f} $d^{{-{fit.exponent:.2f}}}$"
                right.plot(diameters, fit(diameters), color=colour, linewidth=1, label=name)
            right.plot(diameters, law(diameters), "--", color=colour, alpha=0.45, linewidth=1)
        right.plot([], [], "--", color=GREY, linewidth=1, label="fits of the paper")
        right.set_xscale("log")
        right.set_yscale("log")
        for axis, ticks in ((right.xaxis, (3, 5, 8, 12, 15)), (right.yaxis, (2, 3, 4, 5, 6, 7))):
            axis.set_major_locator(mpl.ticker.FixedLocator(ticks))
            axis.set_minor_locator(mpl.ticker.NullLocator())
            axis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:g}"))
        right.set_ylim(2, 8)
        right.set_xlabel("(Largest) AM diameter [um]")
        right.set_ylabel(r"$\tau^2$ at 70:30 [-]")
        right.legend(fontsize=7)
        _letters(left, middle, right, first="b")
        _save(figure, path)


def figure_4(path: Path, points: Points, series: Series) -> None:
    """Conductivity and tortuosity against composition, for several shares of void."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(7.4, 3.2), layout="constrained")
        conduction_panels(left, right, points, series, legend="void", highest=14)
        _letters(left, right)
        _save(figure, path)


def figure_5(
    path: Path,
    points: Points,
    series: Series,
    weights: Mapping[str, Mapping[str, Array]],
    printed: Mapping[str, float],
) -> None:
    """What binder does: weight, utilisation, active interface, conductivity, tortuosity."""
    with mpl.rc_context(STYLE):
        figure, panels = pyplot.subplots(3, 2, figsize=(7.4, 8.4), layout="constrained")
        (weight, use), (active, relative), (left, right) = panels
        star = {"markersize": 10, "alpha": 0.6}
        colours = dict(zip(series, _colours(len(series)), strict=True))
        for binder, style in (("NBR", "-"), ("PVDF", "--")):
            for label, share in weights[binder].items():
                weight.plot(
                    100 * share[0], 100 * share[1], style, color=colours[label],
                    label=f"{binder}, {label}",
                )  # fmt: skip
        weight.set_ylabel("Binder [wt%]")
        weight.set_ylim(0, 4.5)
        weight.legend(fontsize=7, ncols=2, loc="upper left")
        bare = dict(_known(points, next(iter(series.values()))))
        for label, line in series.items():
            known = _known(points, line)
            x = [100 * share for share, _ in known]
            for phase, marker in (("SE", "-"), ("AM", ":")):
                key = f"{phase} utilisation"
                use.errorbar(
                    x,
                    [100 * min(1.0, p.mean(key)) for _, p in known],
                    yerr=[100 * p.spread(key) for _, p in known],
                    fmt="o" + marker,
                    markersize=3,
                    capsize=2,
                    color=colours[label],
                    label=f"{phase}, {label}",
                )
            area = [p.mean("active interface") * um for _, p in known]
            _curve(
                active, x, area, [p.spread("active interface") * um for _, p in known],
                color=colours[label], label=label,
            )  # fmt: skip
            both = [(share, p) for share, p in known if share in bare]
            ratio = [p.mean("active interface") / bare[s].mean("active interface") for s, p in both]
            spread = [
                np.std(
                    p.at("active interface")[: bare[s].realisations]
                    / bare[s].at("active interface")[: p.realisations],
                    ddof=1 if min(p.realisations, bare[s].realisations) > 1 else 0,
                )
                for s, p in both
            ]
            _curve(relative, [100 * s for s, _ in both], ratio, spread, color=colours[label])
        use.set_ylabel("Utilisation [%]")
        use.set_ylim(0, 105)
        use.legend(fontsize=7)
        active.set_ylabel("Active interface [1/um]")
        active.set_ylim(bottom=0)
        relative.set_ylabel("Active interface, relative [-]")
        relative.set_ylim(0, 1.1)
        low, high = (min(s for line in series.values() for s in line), 0.8)
        for ratios, colour in zip(BINDER_AREA, list(colours.values())[1:], strict=True):
            relative.plot([100 * low, 100 * high], ratios, "*", color=colour, **star)
        conduction_panels(left, right, points, series, legend="V(B):V(AM)", highest=16)
        for axes in (weight, use, active, relative):
            axes.set_xlabel("AM share of the solids [%]")
        for colour, value in zip(colours.values(), printed.values(), strict=True):
            right.plot(70, value, "*", color=colour, **star)
        for axes, shown in ((relative, (52, 0.1)), (right, (52, 14.5))):
            axes.text(*shown, "stars: paper", color=GREY, fontsize=8)
        _letters(weight, use, active, relative, left, right)
        _save(figure, path)


def figure_6(
    path: Path,
    thick: tuple[Array, Array, CompositeCathode],
    tortuous: tuple[Array, Array, CompositeCathode],
    drop: float,
    measured: Sequence[tuple[float, float]],
) -> None:
    """Current density and C-rate that a voltage drop allows.

    Args:
        path: File to write.
        thick: Thickness [m], bulk conductivity [S/m], both shape (n,), and the cathodes of all.
        tortuous: Share of the active material, tortuosity factor, and the cathodes of all.
        drop: The voltage [V].
        measured: Share and tortuosity factor of electrodes to mark on the map.
    """
    with mpl.rc_context(STYLE):
        figure, panels = pyplot.subplots(2, 2, figsize=(7.4, 6.2), layout="constrained")
        for column, (across, up, cathode) in enumerate((thick, tortuous)):
            x = across / um if column == 0 else 100 * across
            y = up / MS_CM if column == 0 else up
            current = cathode.current_density(drop) / (mA / cm2)
            for row, (value, levels, name) in enumerate(
                [
                    (current, [0.2, 0.5, 1, 2, 5, 10, 20, 50], "Current density [mA/cm$^2$]"),
                    (cathode.c_rate(drop), [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20], "C-rate [1/h]"),
                ]
            ):
                axes = panels[row][column]
                filled = axes.contourf(
                    x, y, value, levels=levels, norm=LogNorm(), cmap="viridis", extend="both"
                )
                lines = axes.contour(x, y, value, levels=levels, colors="white", linewidths=0.5)
                axes.clabel(lines, fmt="%g", fontsize=7)
                figure.colorbar(filled, ax=axes, label=name, ticks=levels, format="%g")
                if column == 0:
                    axes.set_xlabel("Thickness [um]")
                    axes.set_ylabel("SE conductivity [mS/cm]")
                else:
                    axes.set_xlabel("AM share of the solids [%]")
                    axes.set_ylabel(r"Ionic tortuosity factor $\tau^2$ [-]")
                    shown = [(s, t) for s, t in measured if t <= up.max()]
                    axes.plot(*np.array([(100 * s, t) for s, t in shown]).T.reshape(2, -1), "w^-",
                              markersize=4, linewidth=0.8)  # fmt: skip
        _letters(*panels.flat)
        _save(figure, path)


def figure_voxels(path: Path, points: Points, series: Mapping[str, Case], boxes: Mapping) -> None:
    """Tortuosity factor against voxel size, and against the size of the box."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(7.4, 3.2), layout="constrained")
        for colour, (label, case) in zip(_colours(len(series)), series.items(), strict=True):
            if case not in points:
                continue
            point = points[case]
            sizes = point.spacings
            _curve(
                left,
                sizes / um,
                [point.tau_squared(h) for h in sizes],
                [point.tau_squared_spread(h) for h in sizes],
                color=colour,
                label=label,
            )
            line = np.array([0.0, sizes[-1]])
            left.plot(line / um, [point.tau_squared(h) for h in line], ":", color=colour)
        left.axvline(PAPER_VOXEL / um, color=GREY, linewidth=0.8, zorder=0)
        left.text(PAPER_VOXEL / um + 0.01, 1.4, "paper", color=GREY, fontsize=8)
        left.set_xlim(left=0)
        left.set_ylim(bottom=1)
        left.set_xlabel("Voxel size [um]")
        left.set_ylabel(r"Ionic tortuosity factor $\tau^2$ [-]")
        left.legend()
        known = _known(points, boxes)
        if known:
            spacing = float(known[0][1].spacings[-1])
            values = [point.tau_squared(spacing) for _, point in known]
            spreads = [point.tau_squared_spread(spacing) for _, point in known]
            _curve(right, [box / um for box, _ in known], values, spreads, color=BLUE)
            right.set_ylim(0, 1.4 * max(x for x in values if np.isfinite(x)))
            right.set_ylabel(rf"$\tau^2$ in voxels of {spacing / um:g} um [-]")
        right.set_xlabel("Edge of the box [um]")
        right.set_xlim(left=0)
        _letters(left, right)
        _save(figure, path)


def figure_kato(path: Path, image: VoxelImage) -> None:
    """A section through the LiCoO2 electrode with platelets."""
    with mpl.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(3.6, 3.4), layout="constrained")
        colours = {"void": "black", "AM": "#4477AA", "SE": "#F0E6B0"}
        order = [image.label(name) for name in colours]
        shown = np.argsort(order)[image.labels[image.shape[0] // 2]]
        extent = [0, image.lengths[1] / um, 0, image.lengths[2] / um]
        axes.imshow(
            shown.T, origin="lower", cmap=ListedColormap(list(colours.values())), vmin=0, vmax=2,
            extent=extent, interpolation="nearest",
        )  # fmt: skip
        axes.set_xlabel("y [um]")
        axes.set_ylabel("z [um]")
        marks = [
            pyplot.Line2D([], [], marker="s", linestyle="", color=colour, label=name)
            for name, colour in zip(("void", "LCO", "LGPS"), colours.values(), strict=True)
        ]
        figure.legend(handles=marks, loc="outside upper center", ncols=3)
        _save(figure, path)


def draw(
    electrodes: Electrodes, points: Points, laws: Mapping[str, PowerLaw], folder: Path
) -> dict[str, Picture]:
    """Draw all figures; return their blocks of the page by study."""
    made: dict[str, Picture] = {}

    def picture(study: str, text: str) -> Path:
        path = folder / f"{study.replace(' ', '_')}.png"
        made[study] = Picture(path, text)
        return path

    figure_1(
        picture("figure 1", "Figure 1: conductivity and tortuosity against composition, by size"),
        points, electrodes.by_size, VOID, BRUGGEMAN,
    )  # fmt: skip
    figure_2(
        picture("figure 2", "Figure 2: tortuosity against the share of electrolyte"),
        points, {name: electrodes.by_size[name] for name in BRUGGEMAN}, laws, BRUGGEMAN,
    )  # fmt: skip
    seventy = electrodes.at_seventy
    figure_3(
        picture("figure 3", "Figure 3 and S5: mixtures of three sizes"),
        points,
        electrodes.mixtures,
        {
            f"largest AM {label}, 55 % AM": line[SHARES[0]].section(0.55 / (1 - VOID))
            for label, line in list(electrodes.mixtures.items())[:: len(electrodes.mixtures) // 2]
        },
        {name: (seventy[name], laws.get(name), BY_SIZE[name]) for name in seventy},
    )
    figure_4(
        picture("figure 4", "Figure 4: conductivity and tortuosity by void"),
        points, electrodes.by_void,
    )  # fmt: skip
    share = np.linspace(0.5, 0.8, 31)
    weights = {
        binder: {
            label: np.array([share, weight_share(share, ratio, density)])
            for label, ratio in BINDERS.items()
            if ratio
        }
        for binder, density in BINDER_DENSITIES.items()
    }
    figure_5(
        picture("figure 5", "Figure 5: what binder does"),
        points, electrodes.by_binder, weights, BINDER_TAU,
    )  # fmt: skip
    thickness, bulk = np.linspace(30, 300, 136) * um, np.linspace(0.05, 3, 119)[:, None]
    shares, factor = np.linspace(0.5, 0.85, 71), np.linspace(1.5, 12, 106)[:, None]
    ours = [
        (s, points[c].tau_squared()) for s, c in electrodes.by_size["5 um"].items() if c in points
    ]
    figure_6(
        picture("figure 6", "Figure 6: current density and C-rate for 0.1 V (triangles: ours)"),
        (thickness, bulk[:, 0], cathode(thickness, 0.7, 4.0, bulk)),
        (shares, factor[:, 0], cathode(100 * um, shares, factor, LGPS)),
        DROP,
        ours,
    )
    figure_voxels(
        picture("voxels", "Effect of the voxel size and of the box; dotted: to voxels of no size"),
        points, electrodes.by_voxel, electrodes.by_box,
    )  # fmt: skip
    figure_kato(
        picture("kato", "Section of the LCO : LGPS electrode"),
        next(iter(electrodes.kato.values())).section(),
    )
    return made


def _letters(*panels: Any, first: str = "a") -> None:
    for number, axes in enumerate(panels):
        letter = chr(ord(first) + number)
        axes.set_title(f"({letter})", loc="left", fontweight="bold")


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=180)
    pyplot.close(figure)

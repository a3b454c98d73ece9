"""Figures in the layout of those of Alabdali 2024 (wet), from numbers of electrodes and slurries.

Points are means over electrodes of other random numbers, bars their standard deviation. Windows
that the paper prints are shaded; its curves have no printed points.
"""

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from femssb import plotting
from femssb.plotting import BLUE, GREEN, ORANGE, VERMILION
from femssb.studies import MissingCase, Picture
from femssb.units import um
from papers.alabdali2023.measures import SLICES
from papers.alabdali2024wet.quantities import (
    BULK,
    CALENDERED,
    CATHODES,
    CONTENTS,
    DRIED,
    FREED,
    FREQUENCIES,
    HELD,
    LOADED,
    SLURRIES,
    cell,
    content_label,
)

GREY, SHADE, PURPLE = "0.6", "0.9", "#CC79A7"
COLOURS = dict(zip(CONTENTS, (BLUE, GREEN, VERMILION), strict=True))
MARKERS = dict(zip(CATHODES, ("o", "^"), strict=True))
BARS = {"markersize": 4.5, "capsize": 2, "linewidth": 1.2}
CONTENT = "Solid content [%]"
PHASE_COLOURS = {"void": "black", "AM": "0.75", "SE": "#F0E6B0", "CBD": "#E377A2"}
STEPS = (DRIED, HELD, LOADED, CALENDERED)
HIGHEST = {"density": 3.0, "porosity": 75.0}  # of axes [g/cm3, %]


def draw(found, folder, packings, images):
    """Draw all figures that can be drawn, and return them with their captions.

    Args:
        found: What was found.
        folder: Where they go.
        packings: (cathode, solid content) -> state -> packing; empty: no pictures.
        images: (cathode, solid content) -> state -> voxels; empty: no sections.
    """
    drawn = []

    def save(name, caption, figure, *arguments):
        path = plotting.save(folder / f"{name}.png", figure, *arguments, tight=True)
        drawn.append(Picture(path, caption))

    if found.flow:
        save("fig4", "Figure 4: viscosity (window of the paper shaded)", viscosities, found)
    if found.electrodes:
        caption = "Figure 5: density and porosity (windows of the paper shaded)"
        save("fig5", caption, structures, found)
        if plotting.can_render():
            for slurry, states in packings.items():
                steps = {name: states[name] for name in ("slurry", *STEPS) if name in states}
                if steps:
                    title = " ".join((slurry[0], content_label(slurry[1])))
                    name = f"fig6_{slurry[0]}_{100 * slurry[1]:g}"
                    save(name, f"Figure 6: {title}", plotting.by_phase, steps)
        save("fig7", "Figure 7: impedance by equation 1, contacts that block ions", spectra, found)
        save("fig8", "Figure 8: conductivities (windows of the paper shaded)", conduction, found)
        save("figS5", "Figure S5: shares along the thickness, calendered", shares, found)
    if images:
        save("fig9", "Figure 9: sections; pores black, binder pink", sections, images)
    return drawn


def _known(found, slurries, state, name, scale=1.0):
    """Return solid contents [%], means and standard deviations of a number where it is known."""
    rows = []
    for slurry in slurries:
        try:
            values = scale * found.values(slurry, state, name)
        except MissingCase:
            continue
        spread = values.std(ddof=1) if len(values) > 1 else 0.0
        rows.append((100 * slurry[1], values.mean(), spread))
    return np.array(rows).reshape(-1, 3).T


def _of(cathode):
    return [slurry for slurry in SLURRIES if slurry[0] == cathode]


def viscosities(found):
    """Draw viscosity against shear rate: calibrated for all slurries, Table S1 for one."""
    figure = Figure(figsize=(7.4, 3.0), layout="constrained")
    first, second = figure.subplots(1, 2)
    for slurry, curve in found.flow.items():
        rates = np.array(sorted(curve))
        values, errors = np.array([curve[rate] for rate in rates]).T
        style = {"color": COLOURS[slurry[1]], "marker": MARKERS[slurry[0]]}
        label = f"{slurry[0]}, {content_label(slurry[1])}"
        line = "-" if slurry[0] == CATHODES[0] else "--"
        first.errorbar(rates, values, errors, linestyle=line, label=label, **style, **BARS)
    first.axhspan(0.3, 0.6, color=SHADE, zorder=0)
    first.set(xscale="log", yscale="log", xlabel="Shear rate [1/s]", ylabel="Viscosity [Pa s]")
    first.set_title("two factors calibrated for one slurry")
    first.legend(fontsize=7, loc="lower left")
    rates = np.array(sorted(found.as_printed))
    if len(rates):
        values, errors = np.array([found.as_printed[rate] for rate in rates]).T
        second.errorbar(rates, values, errors, marker="s", color=ORANGE, **BARS)
    second.axhspan(0.3, 0.6, color=SHADE, zorder=0)
    second.set(xscale="log", yscale="log", xlabel="Shear rate [1/s]", title="Table S1 as printed")
    return figure


def structures(found):
    """Draw density and porosity of dried and calendered electrodes of both cathodes."""
    figure = Figure(figsize=(7.4, 5.0), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    looks = {
        DRIED: (BLUE, "dried"),
        HELD: (ORANGE, HELD),
        FREED: (GREEN, FREED),
        LOADED: (PURPLE, LOADED),
        CALENDERED: (VERMILION, CALENDERED),
    }
    windows = {"density": ((1.0, 1.5), (2.0, 2.5)), "porosity": ((20, 30),)}
    for row, cathode in zip(panels, CATHODES, strict=True):
        for axes, name, scale, title in (
            (row[0], "density", 1e-3, "Density [g/cm³]"),
            (row[1], "porosity", 100.0, "Porosity [%]"),
        ):
            for low, high in windows[name]:
                axes.axhspan(low, high, color=SHADE, zorder=0)
            for state, (colour, label) in looks.items():
                contents, values, spread = _known(found, _of(cathode), state, name, scale)
                axes.errorbar(
                    contents, values, spread, marker="o", color=colour, label=label, **BARS
                )
            axes.set(title=cathode, ylabel=title, ylim=(0, HIGHEST[name]))
    dry = (70, 70, 50)
    panels[0, 1].plot([48, 50, 52], dry, "*", color=GREY, markersize=9, label="paper, dried")
    for axes in panels[1]:
        axes.set_xlabel(CONTENT)
    panels[0, 1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def spectra(found):
    """Draw the impedance of every electrode between contacts that block its ions."""
    figure = Figure(figsize=(7.4, 3.0), layout="constrained")
    for axes, cathode in zip(figure.subplots(1, 2), CATHODES, strict=True):
        for content in CONTENTS:
            try:
                own = cell(found, (cathode, content))
            except MissingCase:
                continue
            impedance = 1e4 * own.impedance(FREQUENCIES)  # [ohm cm2]
            label = f"{content_label(content)}, {own.thickness / um:.0f} µm"
            axes.plot(impedance.real, -impedance.imag, color=COLOURS[content], label=label)
        axes.set(title=cathode, xlabel="Re Z A [Ω cm²]", ylabel="-Im Z A [Ω cm²]")
        axes.margins(x=0.1)
        if axes.lines:
            axes.legend()
    return figure


def conduction(found):
    """Draw both conductivities of calendered electrodes against the solid content."""
    figure = Figure(figsize=(7.4, 3.6), layout="constrained")
    first, second = figure.subplots(1, 2)
    for cathode, colour in zip(CATHODES, (BLUE, VERMILION), strict=True):
        for state, line in ((LOADED, "-"), (CALENDERED, "--"), (HELD, ":")):
            style = {"color": colour, "marker": MARKERS[cathode], "linestyle": line, **BARS}
            label = f"{cathode}: {state}"
            first.errorbar(*_known(found, _of(cathode), state, "sigma_e"), label=label, **style)
            ions = _known(found, _of(cathode), state, "D_eff", 10 * BULK)  # [mS/cm]
            second.errorbar(*ions, label=label, **style)
    known = _known(found, _of("AM_1"), CALENDERED, "sigma_e, fitted binder")
    first.errorbar(*known, marker="s", color=GREY, label="AM_1, binder 9.88 S/m", **BARS)
    first.axhline(1.04, color=GREY, linewidth=0.8, linestyle="--")
    first.set(xlabel=CONTENT, ylabel=r"$\sigma_e$ [S/m]", yscale="log")
    second.axhspan(0.12, 0.15, color=SHADE, zorder=0)
    second.set(xlabel=CONTENT, ylabel=r"$\sigma_{ion}$ [mS/cm]", ylim=(0, None))
    figure.legend(
        *first.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7
    )
    return figure


def shares(found):
    """Draw the shares of all phases along the thickness of calendered electrodes."""
    figure = Figure(figsize=(7.8, 4.4), layout="constrained")
    panels = figure.subplots(len(CATHODES), len(CONTENTS), sharex=True, sharey=True)
    looks = {
        "void": ("black", "pores"),
        "AM": (BLUE, "AM"),
        "SE": (ORANGE, "SE"),
        "CBD": (GREEN, "CBD"),
    }
    for row, cathode in zip(panels, CATHODES, strict=True):
        for axes, content in zip(row, CONTENTS, strict=True):
            axes.set_title(f"{cathode}, {content_label(content)}", fontsize=8)
            for name, (colour, label) in looks.items():
                try:
                    values = [
                        found.mean((cathode, content), CALENDERED, f"{name} at {number}")
                        for number in range(SLICES)
                    ]
                except MissingCase:
                    continue
                heights = (np.arange(SLICES) + 0.5) / SLICES
                axes.plot(heights, 100 * np.array(values), color=colour, label=label)
    for axes in panels[-1]:
        axes.set_xlabel("Height over thickness [-]")
    for axes in panels[:, 0]:
        axes.set_ylabel("Share [%]")
    known = [Patch(color=colour, label=label) for colour, label in looks.values()]
    figure.legend(handles=known, loc="outside right upper")
    return figure


def sections(images):
    """Draw sections along the thickness of electrodes, a row for each, a column for each state."""
    states = list(dict.fromkeys(state for row in images.values() for state in row))
    size = (2.2 * len(states), 2.2 * len(images) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(images), len(states), squeeze=False)
    colours = ListedColormap(list(PHASE_COLOURS.values()))
    for row, ((cathode, content), found) in zip(panels, images.items(), strict=True):
        for axes, state in zip(row, states, strict=True):
            axes.set(xticks=[], yticks=[])
            if state not in found:
                continue
            image = found[state]
            order = [list(PHASE_COLOURS).index(name) for name in image.phase_names]
            labels = np.array(order)[image.labels[:, image.shape[1] // 2].T]
            width, height = image.lengths[0] / um, image.lengths[2] / um
            axes.imshow(
                labels, origin="lower", cmap=colours, vmin=-0.5, vmax=3.5,
                extent=(0, width, 0, height), interpolation="nearest",
            )  # fmt: skip
            axes.set_title(state, fontsize=8)
        row[0].set_ylabel(f"{cathode}, {content_label(content)}", fontsize=8)
    patches = [Patch(color=colour, label=name) for name, colour in PHASE_COLOURS.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=4)
    return figure

"""Figures in the layout of those of Alabdali 2023, from the numbers of the states of electrodes.

Points are means over electrodes of other random numbers, bars their standard deviation. What the
paper prints as a number is drawn in grey; its curves have no printed points.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from femssb import plotting
from femssb.plotting import BLUE, GREEN, ORANGE, PHASE_COLOURS, VERMILION
from femssb.studies import Picture
from femssb.units import MPa, um
from papers.alabdali2023.measures import PHASES, WIDTHS, profile
from papers.alabdali2023.quantities import DRIED, PRESSED, curve, merit

GREY = "0.6"
BARS = {"marker": "o", "markersize": 4, "capsize": 2, "linewidth": 1.2}
COLOURS = dict(zip(PHASES, PHASE_COLOURS, strict=False)) | {"void": GREY}
DEGREE = "Degree of calendering [%]"


def draw(electrodes, folder, packings):
    """Draw all figures that can be drawn, and return them with their captions.

    Args:
        electrodes: States of every electrode: state -> name -> value.
        folder: Where they go.
        packings: Packings of the first electrode by state; empty: no pictures.
    """
    drawn = []

    def save(name, caption, figure, *arguments):
        path = plotting.save(folder / f"{name}.png", figure, *arguments, tight=True)
        drawn.append(Picture(path, caption))

    shown = {state: packings[state] for state in ("slurry", DRIED, PRESSED) if state in packings}
    if shown and plotting.can_render():
        save("fig1", "Figures 1 and 6: slurry, dried, calendered", plotting.by_phase, shown)
    save("fig3a", "Figure 3a: pores along the thickness, collector on the left", pores, electrodes)
    for name, state in (("fig3b", DRIED), ("fig3c", PRESSED)):
        if all(state in states for states in electrodes):
            caption = f"Figure {name[3:]}: shares along the thickness, {state}"
            save(name, caption, shares, electrodes, state)
    save("fig3d", "Figure 3d: the network of electrolyte particles", network, electrodes)
    save("fig4", "Figure 4: conduction against the degree of calendering", conduction, electrodes)
    save(
        "figS4",
        "Figure S4: widths of the pores, and their network where PoreSpy is installed",
        widths,
        electrodes,
    )
    save("porosity", "Porosity by weight, of the spheres and on voxels", porosities, electrodes)
    save(
        "pressure", "Pressure at every degree, and what is left after release", pressure, electrodes
    )
    save("contacts", "Contacts by pair of phases", contacts, electrodes)
    return drawn


def over_degrees(electrodes, values_of):
    """Return degrees [%], means and standard deviations over electrodes of what a curve gives.

    Args:
        electrodes: States of every electrode.
        values_of: Returns degrees and values of one electrode; or the name of a number.
    """
    if isinstance(values_of, str):
        curves = [curve(states, values_of) for states in electrodes]
    else:
        curves = [values_of(states) for states in electrodes]
    values = np.array([found for _, found in curves])
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
    return 100 * curves[0][0], values.mean(axis=0), spread


def _plot(axes, electrodes, name, scale=1.0, **how):
    degrees, values, spread = over_degrees(electrodes, name)
    known = np.isfinite(values)
    bars = np.where(np.isfinite(spread), spread, 0.0)
    style = BARS | how
    axes.errorbar(degrees[known], scale * values[known], scale * bars[known], **style)


def _panels(count, width=2.7, height=2.5):
    figure = Figure(figsize=(width * count, height), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]


def conduction(electrodes):
    """Draw sigma_e; tau and D_eff; sigma_e over tau over its largest value."""
    figure, (first, second, third) = _panels(3)
    _plot(first, electrodes, "sigma_e", color=BLUE, label="AM, SE, then binder")
    _plot(first, electrodes, "sigma_e, binder wins", color=GREY, label="binder first")
    _plot(first, electrodes, "true sigma_e", color=ORANGE, label="true diameters", linestyle=":")
    first.axvline(30, color=GREY, linewidth=0.8, linestyle=":")
    first.set(ylabel=r"$\sigma_e$ [S/m]", ylim=(0, 1.4 * first.get_ylim()[1]))
    first.legend(loc="upper left", fontsize=7)
    _plot(second, electrodes, "tau", color=BLUE)
    second.set_ylabel(r"$\tau$ [-]", color=BLUE)
    other = second.twinx()
    other.spines["right"].set_visible(True)
    _plot(other, electrodes, "D_eff", color=VERMILION)
    _plot(other, electrodes, "true D_eff", color=VERMILION, linestyle=":")
    other.set_ylabel(r"$D_{eff}/D_{SE}$ [-]", color=VERMILION)
    degrees, values, spread = over_degrees(electrodes, merit)
    highest = values.max() or 1.0
    third.errorbar(degrees, values / highest, spread / highest, color=GREEN, **BARS)
    third.axvline(40, color=GREY, linewidth=0.8, linestyle=":")
    third.set(ylabel=r"$\sigma_e/\tau$ over its largest", ylim=(0, None))
    for axes in (first, second, third):
        axes.set_xlabel(DEGREE)
    return figure


def pores(electrodes):
    """Draw the share of pores along the thickness at every degree."""
    figure = Figure(figsize=(4.4, 2.8), layout="constrained")
    axes = figure.subplots()
    degrees, _, _ = over_degrees(electrodes, "porosity")
    for number, degree in enumerate(degrees):
        state = f"{degree:g} %" if degree else DRIED
        values = np.array([profile(states[state], "void")[1] for states in electrodes])
        shade = number / max(len(degrees) - 1, 1)
        heights, _ = profile(electrodes[0][state], "void")
        axes.plot(heights, 100 * values.mean(axis=0), color=(shade, 0.25, 1 - shade), label=state)
    axes.set(xlabel="Height over thickness [-]", ylabel="Pores between beads [%]", ylim=(0, None))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def shares(electrodes, state):
    """Draw the shares of all phases along the thickness of a state."""
    figure = Figure(figsize=(4.4, 2.8), layout="constrained")
    axes = figure.subplots()
    for name, colour in COLOURS.items():
        values = np.array([profile(states[state], name)[1] for states in electrodes])
        heights, _ = profile(electrodes[0][state], name)
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else 0 * heights
        label = "pores" if name == "void" else name
        axes.errorbar(heights, 100 * values.mean(axis=0), 100 * spread, color=colour, label=label)
    axes.set(xlabel="Height over thickness [-]", ylabel="Share of the volume [%]", ylim=(0, None))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def network(electrodes):
    """Draw how well particles of electrolyte are connected, by touch and by the force field."""
    figure, (first, second) = _panels(2, width=3.2)
    for prefix, colour, label in (
        ("", BLUE, "diameters of the force field"),
        ("true ", ORANGE, "true diameters"),
    ):
        _plot(first, electrodes, f"{prefix}contacts SE-SE", color=colour, label=label)
        _plot(second, electrodes, f"{prefix}percolates SE-SE", 100, color=colour)
    first.set(xlabel=DEGREE, ylabel="Electrolyte at a bead of electrolyte [-]", ylim=(0, None))
    second.set(xlabel=DEGREE, ylabel="Electrolyte that leads through [%]", ylim=(0, 105))
    first.legend()
    return figure


def widths(electrodes):
    """Draw mean width of the pores, between which widths most of them lie, and their network."""
    known = all("pores per volume" in states[DRIED] for states in electrodes)
    figure, panels = _panels(2 if known else 1, width=3.4)
    axes = panels[0]
    low, middle, high = (
        over_degrees(electrodes, f"pore width {share:g}")[1] / um for share in WIDTHS
    )
    degrees, _, _ = over_degrees(electrodes, "pore width")
    axes.fill_between(degrees, low, high, color=BLUE, alpha=0.2, label="10 to 90 % of the pores")
    axes.plot(degrees, middle, color=BLUE, linestyle=":", label="median")
    _plot(axes, electrodes, "pore width", 1 / um, color=BLUE, label="mean")
    if known:
        _plot(axes, electrodes, "throat diameter", 1 / um, color=VERMILION, label="throats")
        _plot(panels[1], electrodes, "pores per volume", 1e-15, color=BLUE)
        panels[1].set_ylabel("Pores in 1000 µm³ [-]", color=BLUE)
        other = panels[1].twinx()
        other.spines["right"].set_visible(True)
        _plot(other, electrodes, "throats of a pore", color=VERMILION)
        other.set_ylabel("Throats of a pore [-]", color=VERMILION)
        panels[1].set_xlabel(DEGREE)
    axes.set(xlabel=DEGREE, ylabel="Width [µm]", ylim=(0, None))
    axes.legend()
    return figure


def porosities(electrodes):
    """Draw the porosities that differ once spheres overlap."""
    figure = Figure(figsize=(3.8, 2.8), layout="constrained")
    axes = figure.subplots()
    for name, colour, label in (
        ("porosity", BLUE, "by weight and thickness"),
        ("voxel porosity", VERMILION, "on voxels, diameters of the force field"),
        ("true voxel porosity", GREEN, "on voxels, true diameters"),
    ):
        _plot(axes, electrodes, name, 100, color=colour, label=label)
    axes.plot([0], [50], "*", color=GREY, markersize=10, label="paper, dried")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(xlabel=DEGREE, ylabel="Porosity [%]")
    axes.legend()
    return figure


def pressure(electrodes):
    """Draw the pressure that holds every degree, and the porosity before and after release."""
    figure, (first, second) = _panels(2, width=3.2)
    _plot(first, [_pressed(states) for states in electrodes], "pressure", 1 / MPa, color=BLUE)
    first.set(xlabel=DEGREE, ylabel="Pressure on the planes [MPa]", ylim=(0, None))
    _plot(second, electrodes, "porosity", 100, color=BLUE, label="held")
    for states in electrodes:
        freed = {name.split()[1]: state for name, state in states.items() if "released" in name}
        degrees = sorted(map(float, freed))
        values = [100 * freed[f"{degree:g}"]["porosity"] for degree in degrees]
        second.plot(degrees, values, "^", color=VERMILION, markersize=4)
    second.set(xlabel=DEGREE, ylabel="Porosity [%]")
    marks = [
        Line2D([], [], color=BLUE, marker="o", markersize=4, label="held"),
        Line2D([], [], color=VERMILION, marker="^", linestyle="", markersize=4, label="released"),
    ]
    second.legend(handles=marks)
    return figure


def _pressed(states):
    """Return states whose dried one stands under no pressure of planes."""
    return {**states, DRIED: {**states[DRIED], "pressure": 0.0}}


def save_flow(found, folder):
    """Draw viscosity against shear rate and return the file."""
    return plotting.save(folder / "fig2.png", flow, found)


def flow(found):
    """Draw viscosities: Table S1 as printed, and with two factors calibrated."""
    figure = Figure(figsize=(4.2, 3.0), layout="constrained")
    axes = figure.subplots()
    for kind, colour, label in (
        ("printed", ORANGE, "Table S1 as printed"),
        ("calibrated", BLUE, "two factors calibrated"),
    ):
        start = f"{kind} viscosity "
        rates = sorted(float(key.removeprefix(start)) for key in found if key.startswith(start))
        values = [found[f"{start}{rate:g}"] for rate in rates]
        errors = [found[f"{kind} error {rate:g}"] for rate in rates]
        axes.errorbar(rates, values, errors, color=colour, label=label, **BARS)
    axes.axhspan(0.3, 0.6, color="0.9", zorder=0, label="wanted, second paper")
    axes.set(xscale="log", yscale="log", xlabel="Shear rate [1/s]", ylabel="Viscosity [Pa s]")
    axes.legend()
    return figure


def contacts(electrodes):
    """Draw how many beads of each phase a bead of a phase touches."""
    figure, panels = _panels(3, width=2.4)
    for axes, one in zip(panels, PHASES, strict=True):
        for other, marker in zip(PHASES, "os^", strict=True):
            style = {"color": COLOURS[other], "marker": marker, "label": other}
            _plot(axes, electrodes, f"contacts {one}-{other}", **style)
        axes.set(xlabel=DEGREE, title=f"at a bead of {one}", ylim=(0, None))
    panels[0].set_ylabel("Beads that touch [-]")
    panels[0].legend()
    return figure

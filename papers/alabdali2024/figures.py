"""Figures in the layout of those of paper 000, from packings and the numbers measured on them."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from paper000 import SOLIDS, halved

from femssb.environment.files import make_folder, replacing
from femssb.plotting import packings as pictures
from femssb.plotting import profiles, rendering
from femssb.plotting.curves import BLUE, GREEN, ORANGE, VERMILION
from femssb.plotting.runs import DOTS_PER_INCH, STYLE
from femssb.units import MPa, um

PRESSURE_COLOURS = (BLUE, GREEN, VERMILION, ORANGE)
MARKERS = ("o", "^", "s", "D")


def draw_all(electrodes, numbers, pressures, cycles, folder):
    """Draw all figures of one contact law.

    Args:
        electrodes: For every electrode its packings by the name of their state.
        numbers: For every electrode the numbers of every state.
        pressures: Isostatic pressures [Pa].
        cycles: Number of cycles.
        folder: Where the figures go.

    Returns:
        The figures that could be drawn, file by caption; states that are missing are left out.
    """
    folder = make_folder(folder)
    drawn = {}

    def save(name, caption, draw, *arguments, **options):
        path = folder / f"{name}.png"
        with mpl.rc_context(STYLE), replacing(path) as temporary:
            figure = draw(*arguments, **options)
            # tight: names of rows may stand out on the left
            figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight")
        drawn[caption] = path

    first = next(iter(electrodes))
    highest = f"{max(pressures) / MPa:g} MPa"
    at_highest = [f"{highest} {state}" for state in ("isostatic", f"D{cycles}", f"C{cycles}")]
    one = electrodes[first]
    if rendering.can_render():
        steps = ["uniaxial", "relaxed"]
        save("fig2", "Figure 2: pressed and relaxed", pictures.by_phase, _chosen(one, steps))
        if at_highest[0] in one:
            steps = ["relaxed", at_highest[0]]
            caption = f"Figure 3: relaxed, then {highest} from all sides"
            save("fig3", caption, pictures.by_phase, _chosen(one, steps))
        for number, (name, states) in enumerate(electrodes.items()):
            suffix = "" if number == 0 else f"_{name}"
            paper = "Figure 4" if number == 0 else "Figures S2, S5"
            pressed = _chosen(states, ["uniaxial"])
            for kind, shown in (("halves", _halved(pressed)), ("arms", pressed)):
                caption = f"{paper}: stress of {name} at 375 MPa, by {kind}"
                save(f"fig4{suffix}_{kind}", caption, pictures.stress_distribution, shown)
            for pressure in sorted(pressures, reverse=True):
                label = f"{pressure / MPa:g} MPa"
                asked = [f"{label} {state}" for state in ("isostatic", f"D{cycles}", f"C{cycles}")]
                cycled = _halved(_chosen(states, asked))
                if not cycled:
                    continue
                paper = "Figures S4, S7" if number else "Figure S6"
                if number == 0 and pressure == max(pressures):
                    paper = "Figure 5a"
                caption = f"{paper}: stress of {name} at {label}, by halves"
                stem = f"fig5a{suffix}_{pressure / MPa:g}MPa"
                save(stem, caption, pictures.stress_distribution, cycled)
        save("chains", "Force chains at 375 MPa, above the mean", pictures.chains, one["uniaxial"])
    for pressure in sorted(pressures, reverse=True):
        label = f"{pressure / MPa:g} MPa"
        asked = [f"{label} {state}" for state in (f"D{cycles}", f"C{cycles}")]
        rows = {
            name: _halved(_chosen(states, asked))
            for name, states in electrodes.items()
            if all(state in states for state in asked)
        }
        if rows:
            paper = "Figure 5b" if pressure == max(pressures) else "Figure S8"
            caption = f"{paper}: stress along z, discharged and charged, {label}, by halves"
            save(f"fig5b_{pressure / MPa:g}MPa", caption, profiles.heat_maps, rows)
    caption = "Figure 6: conductivity of the active material and tortuosity of the electrolyte"
    quantities = {"sigma_el": "$\\sigma_{el}/\\sigma_{AM}$", "tau": "$\\tau$"}
    save("fig6", caption, evolution, numbers, pressures, cycles, quantities)
    quantities = {"D_eff": "$D_{eff}/D_{SE}$"}
    save("figS9", "Figure S9: diffusivity", evolution, numbers, pressures, cycles, quantities)
    caption = "Figure S10: before cycling, against the isostatic pressure"
    save("figS10", caption, against_pressure, numbers)
    save("figS1", "Figure S1: sizes", sizes, one["uniaxial"])
    return drawn


def evolution(numbers, pressures, cycles, quantities):
    """Draw quantities from state to state, a line for each pressure and electrode."""
    names = [f"{half}{n}" for n in range(1, cycles + 1) for half in "DC"]
    figure = Figure(figsize=(6.6, 0.9 + 2.3 * len(quantities)), layout="constrained")
    panels = figure.subplots(len(quantities), 1, sharex=True, squeeze=False)[:, 0]
    for marker, (electrode, states) in zip(MARKERS, numbers.items(), strict=False):
        for colour, pressure in zip(PRESSURE_COLOURS, sorted(pressures), strict=False):
            label = f"{pressure / MPa:g} MPa"
            steps = ["uniaxial", "relaxed", *(f"{label} {step}" for step in ("isostatic", *names))]
            for axes, quantity in zip(panels, quantities, strict=True):
                values = [states.get(step, {}).get(quantity, np.nan) for step in steps]
                axes.plot(
                    values,
                    color=colour,
                    marker=marker,
                    markersize=4.5,
                    linewidth=0.8,
                    label=f"{electrode}, {label}",
                )
    for axes, title in zip(panels, quantities.values(), strict=True):
        axes.set_ylabel(title)
    ticks = ["uniaxial", "relaxed", "isostatic", *names]
    panels[-1].set_xticks(range(len(ticks)), ticks, rotation=40, ha="right")
    panels[0].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def against_pressure(numbers):
    """Draw conductivity, tortuosity and diffusivity of isostatic states against their pressure."""
    titles = {
        "sigma_el": "$\\sigma_{el}/\\sigma_{AM}$",
        "tau": "$\\tau$",
        "D_eff": "$D_{eff}/D_{SE}$",
    }
    figure = Figure(figsize=(7.4, 2.4), layout="constrained")
    panels = figure.subplots(1, 3)
    for marker, colour, (electrode, states) in zip(
        MARKERS, (BLUE, VERMILION), numbers.items(), strict=False
    ):
        found = {
            float(name.split()[0]): values
            for name, values in states.items()
            if name.endswith("MPa isostatic")
        }
        pressures = sorted(found)
        for axes, quantity in zip(panels, titles, strict=True):
            values = [found[pressure][quantity] for pressure in pressures]
            axes.semilogx(pressures, values, marker + "-", color=colour, label=electrode)
    for axes, title in zip(panels, titles.values(), strict=True):
        axes.set(xlabel="Isostatic pressure [MPa]", ylabel=title)
    panels[0].legend()
    return figure


def sizes(packing):
    """Draw how often diameters occur, for each phase."""
    figure = Figure(figsize=(4.0, 2.6), layout="constrained")
    axes = figure.subplots()
    for phase, colour in zip(SOLIDS, profiles.PHASE_COLOURS, strict=False):
        diameters = 2 * packing.radii[packing.of_phase(phase)] / um
        axes.hist(diameters, bins=30, color=colour, alpha=0.8, label=phase)
    axes.set(xlabel="Diameter [µm]", ylabel="Particles")
    axes.legend()
    return figure


def _chosen(states, names):
    return {name: states[name] for name in names if name in states}


def _halved(states):
    return {name: halved(packing) for name, packing in states.items()}

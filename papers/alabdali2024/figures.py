"""Figures in the layout of those of Alabdali 2024, from packings and their numbers."""

import numpy as np
from matplotlib.figure import Figure

from femssb import plotting
from femssb.plotting import BLUE, GREEN, ORANGE, PHASE_COLOURS, VERMILION
from femssb.studies import Picture
from femssb.units import MPa, um
from papers.alabdali2024.electrodes import SOLIDS, halved

PRESSURE_COLOURS = (BLUE, GREEN, VERMILION, ORANGE)
MARKERS = ("o", "^", "s", "D")
TITLES = {
    "sigma_el": "$\\sigma_{el}/\\sigma_{AM}$",
    "tau": "$\\tau$",
    "D_eff": "$D_{eff}/D_{SE}$",
}


def draw(electrodes, numbers, pressures, cycles, folder):
    """Draw all figures of one contact law.

    Args:
        electrodes: For every electrode its packings by the name of their state.
        numbers: For every electrode the numbers of every state.
        pressures: Isostatic pressures, rising [Pa].
        cycles: Number of cycles.
        folder: Where the figures go.

    Returns:
        The figures that can be drawn, with their captions; states that are missing are left out.
    """
    drawn = []

    def save(name, caption, figure, *arguments):
        # tight: names of rows may stand out on the left
        path = plotting.save(folder / f"{name}.png", figure, *arguments, tight=True)
        drawn.append(Picture(path, caption))

    def chosen(states, names, partition="arms"):
        shown = {name: states[name] for name in names if name in states}
        return shown if partition == "arms" else {name: halved(p) for name, p in shown.items()}

    labels = [f"{pressure / MPa:g} MPa" for pressure in reversed(pressures)]
    highest = labels[0]
    one = next(iter(electrodes.values()))
    if plotting.can_render():
        steps = ["uniaxial", "relaxed"]
        save("fig2", "Figure 2: pressed and relaxed", plotting.by_phase, chosen(one, steps))
        steps = ["relaxed", f"{highest} isostatic"]
        if steps[1] in one:
            caption = f"Figure 3: relaxed, then {highest} from all sides"
            save("fig3", caption, plotting.by_phase, chosen(one, steps))
        for number, (name, states) in enumerate(electrodes.items()):
            suffix = f"_{name}" if number else ""
            paper = "Figures S2, S5" if number else "Figure 4"
            for kind in ("halves", "arms"):
                caption = f"{paper}: stress of {name} at 375 MPa, by {kind}"
                pressed = chosen(states, ["uniaxial"], kind)
                save(f"fig4{suffix}_{kind}", caption, plotting.stress_distribution, pressed)
            for label in labels:
                steps = [f"{label} {state}" for state in ("isostatic", f"D{cycles}", f"C{cycles}")]
                cycled = chosen(states, steps, "halves")
                if cycled:
                    first = "Figure 5a" if label == highest else "Figure S6"
                    paper = "Figures S4, S7" if number else first
                    caption = f"{paper}: stress of {name} at {label}, by halves"
                    stem = f"fig5a{suffix}_{label.replace(' ', '')}"
                    save(stem, caption, plotting.stress_distribution, cycled)
        caption = "Force chains at 375 MPa, above the mean"
        save("chains", caption, plotting.chains, one["uniaxial"])
    for label in labels:
        steps = [f"{label} {half}{cycles}" for half in "DC"]
        rows = {
            name: chosen(states, steps, "halves")
            for name, states in electrodes.items()
            if all(step in states for step in steps)
        }
        if rows:
            paper = "Figure 5b" if label == highest else "Figure S8"
            caption = f"{paper}: stress along z, discharged and charged, {label}, by halves"
            save(f"fig5b_{label.replace(' ', '')}", caption, plotting.heat_maps, rows)
    caption = "Figure 6: conductivity of the active material and tortuosity of the electrolyte"
    save("fig6", caption, evolution, numbers, labels[::-1], cycles, ("sigma_el", "tau"))
    caption = "Figure S9: diffusivity"
    save("figS9", caption, evolution, numbers, labels[::-1], cycles, ("D_eff",))
    caption = "Figure S10: before cycling, against the isostatic pressure"
    save("figS10", caption, against_pressure, numbers)
    save("figS1", "Figure S1: sizes", sizes, one["uniaxial"])
    return drawn


def evolution(numbers, labels, cycles, quantities):
    """Draw quantities from state to state, a line for each pressure and electrode."""
    names = [f"{half}{n}" for n in range(1, cycles + 1) for half in "DC"]
    figure = Figure(figsize=(6.6, 0.9 + 2.3 * len(quantities)), layout="constrained")
    panels = figure.subplots(len(quantities), 1, sharex=True, squeeze=False)[:, 0]
    for marker, (electrode, states) in zip(MARKERS, numbers.items(), strict=False):
        for colour, label in zip(PRESSURE_COLOURS, labels, strict=False):
            steps = ["uniaxial", "relaxed", *(f"{label} {step}" for step in ("isostatic", *names))]
            how = {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 0.8}
            for axes, quantity in zip(panels, quantities, strict=True):
                values = [states[step][quantity] if step in states else np.nan for step in steps]
                axes.plot(values, label=f"{electrode}, {label}", **how)
    for axes, quantity in zip(panels, quantities, strict=True):
        axes.set_ylabel(TITLES[quantity])
    ticks = ["uniaxial", "relaxed", "isostatic", *names]
    panels[-1].set_xticks(range(len(ticks)), ticks, rotation=40, ha="right")
    panels[0].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def against_pressure(numbers):
    """Draw conductivity, tortuosity and diffusivity of isostatic states against their pressure."""
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
        for axes, quantity in zip(panels, TITLES, strict=True):
            values = [found[pressure][quantity] for pressure in pressures]
            axes.semilogx(pressures, values, marker + "-", color=colour, label=electrode)
    for axes, title in zip(panels, TITLES.values(), strict=True):
        axes.set(xlabel="Isostatic pressure [MPa]", ylabel=title)
    panels[0].legend()
    return figure


def sizes(packing):
    """Draw how often diameters occur, for each phase."""
    figure = Figure(figsize=(4.0, 2.6), layout="constrained")
    axes = figure.subplots()
    for phase, colour in zip(SOLIDS, PHASE_COLOURS, strict=False):
        diameters = 2 * packing.radii[packing.of_phase(phase)] / um
        axes.hist(diameters, bins=30, color=colour, alpha=0.8, label=phase)
    axes.set(xlabel="Diameter [µm]", ylabel="Particles")
    axes.legend()
    return figure

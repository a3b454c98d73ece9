"""How the numbers of the paper follow from those of the states of an electrode.

A quantity is a function of the numbers of all states and of the way in which stress is shared
between two spheres; a state that was not reached raises `MissingCase`.
"""

import numpy as np

from femssb.studies import MissingCase, Number
from femssb.units import um

PRESSED, RELAXED, HELD = "uniaxial", "relaxed", "5 MPa isostatic"
BOX = 150 * um  # width of the box in the paper


def number(electrodes, target, partition="halves"):
    """Return the mean of a quantity over the electrodes that have its states.

    The spread is half of the difference between the electrodes.
    """
    values = []
    for states in electrodes.values():
        try:
            values.append(QUANTITIES[target.key](states, partition))
        except MissingCase:  # a state that did not come to rest, or was not asked for
            continue
    if not values:
        return None
    return Number(float(np.mean(values)), float(max(values) - min(values)) / 2)


def at(state, name):
    """Return the quantity that is measured on one state; {p} in its name is the partition."""
    return lambda states, partition: states[state][name.format(p=partition)]


def over(above, below):
    """Return the ratio of two quantities, nan over zero: nothing may conduct in a few particles."""

    def ratio(states, partition):
        value = below(states, partition)
        return above(states, partition) / value if value else float("nan")

    return ratio


def mean(*quantities):
    """Return the mean of quantities."""
    return lambda states, partition: float(np.mean([q(states, partition) for q in quantities]))


def lowest(*quantities):
    """Return the lowest of quantities."""
    return lambda states, partition: min(q(states, partition) for q in quantities)


def across(state, group, axes="xyz"):
    """Return the stress of a group, averaged over directions."""
    return mean(*(at(state, f"{{p}} {group} {axis}") for axis in axes))


def cycled(name, which=min):
    """Return the lowest or highest value over all states from the isostatic ones on."""

    def extreme(states, partition):
        held = [state for state in states if state.startswith(("1 MPa", "3 MPa", "5 MPa"))]
        return which(states[state][name] for state in held or ["isostatic"])

    return extreme


def last(states, half):
    """Return the name of the last discharged (D) or charged (C) state under 5 MPa."""
    counts = [int(state.split(half)[-1]) for state in states if state.startswith(f"5 MPa {half}")]
    return f"5 MPa {half}{max(counts, default=1)}"


def handed_over(states, partition):
    """Return how much larger the share of the electrolyte in the stress is after charge."""
    charged, discharged = (
        over(across(last(states, half), "SE"), across(last(states, half), "AM"))(states, partition)
        for half in "CD"
    )
    return charged / discharged


def grown(states, partition):
    """Return how much larger the stress in the active material is after discharge."""
    return over(across(last(states, "D"), "AM"), across(HELD, "AM"))(states, partition)


def width(states, _partition):
    """Return the isostatic width that a box as wide as the paper's would have [m]."""
    held, before = states[HELD], states[PRESSED]
    return BOX * (held["length x"] + held["length y"]) / (before["length x"] + before["length y"])


def _between(name, one, other):
    """Return a number of one isostatic pressure over that of another [MPa]."""
    return over(at(f"{one} MPa isostatic", name), at(f"{other} MPa isostatic", name))


QUANTITIES = {
    "thickness pressed": at(PRESSED, "length z"),
    "thickness relaxed": at(RELAXED, "length z"),
    "width isostatic": width,
    "thickness isostatic": at(HELD, "length z"),
    "porosity pressed": at(PRESSED, "porosity"),
    "porosity relaxed": at(RELAXED, "porosity"),
    "porosity isostatic": at(HELD, "porosity"),
    "AM of solids": at(PRESSED, "AM of solids"),
    "dense thickness": at(PRESSED, "dense thickness"),
    "small AM": lowest(*(at(PRESSED, f"{{p}} small AM {axis}") for axis in "xyz")),
    "AM over SE": over(across(PRESSED, "AM"), across(PRESSED, "SE")),
    "near planes": at(PRESSED, "{p} near planes z"),
    "near over far from planes": over(
        at(PRESSED, "{p} near planes z"), at(PRESSED, "{p} far from planes z")
    ),
    **{f"mean {axis}": at(PRESSED, f"{{p}} all {axis}") for axis in "xyz"},
    "AM": across(PRESSED, "AM"),
    "SE": across(PRESSED, "SE"),
    "AM xy": across(PRESSED, "AM", "xy"),
    "SE xy": across(PRESSED, "SE", "xy"),
    "AM z": at(PRESSED, "{p} AM z"),
    "SE z": at(PRESSED, "{p} SE z"),
    "small AM xy": across(PRESSED, "small AM", "xy"),
    "large AM xy": across(PRESSED, "large AM", "xy"),
    "small AM z": at(PRESSED, "{p} small AM z"),
    "large AM z": at(PRESSED, "{p} large AM z"),
    "small over large AM": over(across(PRESSED, "small AM"), across(PRESSED, "large AM")),
    "isostatic small over large AM": over(across(HELD, "small AM"), across(HELD, "large AM")),
    "isostatic xy": across(HELD, "all", "xy"),
    "isostatic z": at(HELD, "{p} all z"),
    "isostatic over uniaxial": over(at(HELD, "{p} highest"), at(PRESSED, "{p} highest")),
    "AM grown": grown,
    "handed over": handed_over,
    "sigma_el pressed": at(PRESSED, "sigma_el"),
    "sigma_el relaxed": at(RELAXED, "sigma_el"),
    "sigma_el 1 MPa": at("1 MPa isostatic", "sigma_el"),
    "sigma_el 5 MPa": at(HELD, "sigma_el"),
    "sigma_el cycled lowest": cycled("sigma_el", min),
    "sigma_el cycled highest": cycled("sigma_el", max),
    "sigma_el pressed over 5 MPa": over(at(PRESSED, "sigma_el"), at(HELD, "sigma_el")),
    "sigma_el 1 MPa over relaxed": over(at("1 MPa isostatic", "sigma_el"), at(RELAXED, "sigma_el")),
    "sigma_el 3 over 1 MPa": _between("sigma_el", 3, 1),
    "sigma_el 5 over 3 MPa": _between("sigma_el", 5, 3),
    "sigma_el 30 over 5 MPa": _between("sigma_el", 30, 5),
    "sigma_el 0.3 over 1 MPa": _between("sigma_el", 0.3, 1),
    "tau pressed": at(PRESSED, "tau"),
    "tau cycled lowest": cycled("tau", min),
    "tau cycled highest": cycled("tau", max),
    "tau 3 over 1 MPa": _between("tau", 3, 1),
    "tau 5 over 3 MPa": _between("tau", 5, 3),
    "D_eff 1 over 3 MPa": _between("D_eff", 1, 3),
    "D_eff 3 over 5 MPa": _between("D_eff", 3, 5),
}

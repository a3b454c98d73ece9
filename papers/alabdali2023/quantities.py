"""How the numbers of the paper follow from those of the states of our electrodes.

A quantity is a function of the numbers of all states of one electrode; a state that is not there
raises `MissingCase`. Electrodes differ in their random numbers only: ours is their mean, its spread
their standard deviation.
"""

import re

import numpy as np

from femssb.studies import MissingCase, Number, Results
from papers.alabdali2023.measures import profile

DRIED, PRESSED = "dried", "50 %"


def label(degree):
    """Return the name of the state that is calendered by a share of its thickness."""
    return f"{100 * degree:g} %" if degree else DRIED


def states_of(numbers):
    """Return the numbers of every state: state -> name -> value."""
    states = Results()
    for key, value in numbers.items():
        state, _, name = key.partition("|")
        states.setdefault(state, Results())[name] = value
    return states


def number(electrodes, target):
    """Return the mean of a quantity over electrodes, with its standard deviation."""
    values = []
    for states in electrodes:
        try:
            values.append(QUANTITIES[target.key](states))
        except MissingCase:
            continue
    return averaged(values)


def averaged(values):
    """Return the mean of values with their standard deviation, None of none."""
    if not values:
        return None
    spread = (
        float(np.std(values, ddof=1)) if len(values) > 1 and np.isfinite(values).all() else None
    )
    return Number(float(np.mean(values)), spread)


def curve(states, name):
    """Return degrees of calendering [-] and a number at each, the dried state first."""
    names = [state for state in states if re.fullmatch(r"[\d.]+ %", state)]
    degrees = sorted(float(name.removesuffix(" %")) / 100 for name in names)
    degrees = [0.0, *degrees]
    return np.array(degrees), np.array([states[label(degree)][name] for degree in degrees])


def at(state, name):
    """Return what gives a number of a state."""
    return lambda states: states[state][name]


def ratio(name, above, below):
    """Return what gives a number of one state over that of another; nan if both are 0."""

    def found(states):
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.float64(states[above][name]) / np.float64(states[below][name]))

    return found


def tortuosity_ratio(states):
    """Return tau at the highest degree over tau dried; 0 where only the dried has no path."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(states[PRESSED]["tau"]) / np.float64(states[DRIED]["tau"]))


def merit(states):
    """Return degrees and sigma_e over tau, 0 where no path of ions leads through."""
    degrees, electrons = curve(states, "sigma_e")
    _, tau = curve(states, "tau")
    return degrees, electrons / tau


def best(values_of):
    """Return what gives the degree at which a curve is highest."""

    def found(states):
        degrees, values = values_of(states)
        return float(degrees[np.argmax(values)])

    return found


def over_best(states):
    """Return sigma_e at the highest degree over its largest value."""
    _, values = curve(states, "sigma_e")
    return float(values[-1] / values.max())


def upper(name):
    """Return what gives the share of a phase in the upper fifth over that in the whole, pressed."""

    def found(states):
        heights, shares = profile(states[PRESSED], name)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(shares[heights > 0.8].mean() / shares.mean())

    return found


QUANTITIES = {
    "slurry density": at("slurry", "density"),
    "closed density": at("slurry", "closed density"),
    "beads over box": at("slurry", "beads over box"),
    "dried porosity": at(DRIED, "porosity"),
    "pressed porosity": at(PRESSED, "porosity"),
    "pressed voxel porosity": at(PRESSED, "voxel porosity"),
    "pores near the top": upper("void"),
    "binder near the top": upper("CBD"),
    "active near the top": upper("AM"),
    "degree of sigma_e": best(lambda states: curve(states, "sigma_e")),
    "sigma_e at 30 %": ratio("sigma_e", "30 %", DRIED),
    "sigma_e at 50 %": over_best,
    "tau at 50 %": tortuosity_ratio,
    "D_eff at 50 %": ratio("D_eff", PRESSED, DRIED),
    "degree of merit": best(merit),
}


def trends(electrodes):
    """Return the trends of the paper, each with what says whether the mean electrode has it."""

    def mean(name):
        curves = [curve(states, name) for states in electrodes]
        if not curves:
            raise MissingCase(name)
        return curves[0][0], np.mean([values for _, values in curves], axis=0)

    def falls(name):
        return bool(np.all(np.diff(mean(name)[1]) < 0))

    def rises(name, upto=1.0):
        degrees, values = mean(name)
        return bool(np.all(np.diff(values[degrees <= upto]) > 0))

    def falls_beyond(name, degree):
        degrees, values = mean(name)
        return bool(np.all(np.diff(values[degrees >= degree]) < 0))

    return {
        "Porosity falls with every degree of calendering (Figure 3a)": lambda: falls(
            "voxel porosity"
        ),
        "sigma_e rises up to 30 % (Figure 4a)": lambda: rises("sigma_e", 0.3),
        "sigma_e falls beyond 30 % (Figure 4a)": lambda: falls_beyond("sigma_e", 0.3),
        "Where the binder wins overlaps, sigma_e does not fall: its fall is a choice of voxels": (
            lambda: rises("sigma_e, binder wins")
        ),
        "D_eff rises with every degree (Figure 4b)": lambda: rises("D_eff"),
        "tau falls with every degree (Figure 4b)": lambda: falls("tau"),
        "The pores become narrower with every degree (Figure S4)": lambda: falls("pore width"),
        "A bead of electrolyte touches more others with every degree (Figure 3d)": (
            lambda: rises("contacts SE-SE")
        ),
    }

"""How the numbers of the paper follow from those of our electrodes and flow curves.

Everything is found by the name of the cathode, AM_1 or AM_2, and the solid content. Ours is the
mean over electrodes of other random numbers, its spread their standard deviation; of a viscosity it
is the standard error of the run.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np

from femssb.electrode import SymmetricCell, fit_impedance
from femssb.studies import MissingCase, Number
from femssb.units import um
from papers.alabdali2023.measures import BINDER
from papers.alabdali2023.quantities import averaged

CATHODES = ("AM_1", "AM_2")
CONTENTS = (0.48, 0.50, 0.52)
SLURRIES = tuple(product(CATHODES, CONTENTS))
GAPS = {"AM_1": 100 * um, "AM_2": 300 * um}  # of the blade, Experiments
BULK = 0.125  # [S/m] of the electrolyte, 1.25 mS/cm, Effective conductivities
FITTED = 9.88  # [S/m] of the binder, section 2.4
DOUBLE_LAYER = 0.1  # [F/m2] of the interface of electrons and ions: assumed, 10 uF/cm2
FREQUENCIES = np.logspace(-1, 9, 101)  # [Hz]
DRIED, LOADED, CALENDERED = "dried", "yielding, 102 MPa", "yielding, released"
HELD, FREED = "elastic, held", "elastic, released"


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that was found.

    Attributes:
        electrodes: (cathode, solid content) -> electrodes, each state -> name -> value.
        flow: (cathode, solid content) -> shear rate [1/s] -> viscosity and its error [Pa s].
        as_printed: For Table S1 as it is, of one slurry: shear rate -> viscosity and its error.
        calibration: Factors of the forces and of the dashpots; nothing if not known.
    """

    electrodes: dict = field(default_factory=dict)
    flow: dict = field(default_factory=dict)
    as_printed: dict = field(default_factory=dict)
    calibration: dict = field(default_factory=dict)

    def __bool__(self):
        return bool(self.electrodes or self.flow)

    def values(self, slurry, state, name):
        """Return a number of a state of all electrodes made of a slurry.

        Raises:
            MissingCase: If there is none.
        """
        values = [
            states[state][name] for states in self.electrodes.get(slurry, ()) if state in states
        ]
        if not values:
            raise MissingCase(f"{slurry}, {state}")
        return np.array(values)

    def mean(self, slurry, state, name):
        """Return the mean of a number over the electrodes made of a slurry."""
        return float(np.mean(self.values(slurry, state, name)))

    def over_contents(self, cathode, state, name):
        """Return a number averaged over solid contents, one for each random number."""
        rows = [self.values((cathode, content), state, name) for content in CONTENTS]
        shortest = min(map(len, rows))
        return np.mean([row[:shortest] for row in rows], axis=0)

    def viscosity(self, slurry, rate):
        """Return the viscosity of a slurry at a rate and its standard error.

        Raises:
            MissingCase: If it was not measured.
        """
        curve = self.flow.get(slurry, {})
        if rate not in curve:
            raise MissingCase(f"{slurry} at {rate:g} /s")
        return curve[rate]


def number(found, target):
    """Return our number for a row of the paper."""
    return QUANTITIES[target.key](found)


def content_label(content):
    """Return a solid content in per cent."""
    return f"{100 * content:g} %"


def at(slurry, state, name, scale=1.0):
    """Return what gives a number of a state of a slurry."""
    return lambda found: averaged((scale * found.values(slurry, state, name)).tolist())


def over_contents(cathode, state, name, scale=1.0):
    """Return what gives a number of a cathode averaged over solid contents."""
    return lambda found: averaged((scale * found.over_contents(cathode, state, name)).tolist())


def cathode_ratio(above, below, state, name):
    """Return what gives the mean of one cathode over that of the other."""

    def ratio(found):
        first, second = (found.over_contents(one, state, name) for one in (above, below))
        shortest = min(len(first), len(second))
        with np.errstate(divide="ignore", invalid="ignore"):
            return averaged((first[:shortest] / second[:shortest]).tolist())

    return ratio


def content_ratio(content, name):
    """Return what gives a number of AM_1 over that of AM_2 at a solid content, calendered."""

    def ratio(found):
        first, second = (found.values((one, content), CALENDERED, name) for one in CATHODES)
        shortest = min(len(first), len(second))
        with np.errstate(divide="ignore", invalid="ignore"):
            return averaged((first[:shortest] / second[:shortest]).tolist())

    return ratio


def viscosity(slurry, rate):
    """Return what gives the viscosity of a slurry at a rate."""
    return lambda found: Number(*found.viscosity(slurry, rate))


def viscosity_ratio(above, below, rate=100.0):
    """Return what gives the viscosity of one slurry over that of another."""

    def ratio(found):
        (first, one), (second, other) = (found.viscosity(slurry, rate) for slurry in (above, below))
        value = first / second
        return Number(value, value * float(np.hypot(one / first, other / second)))

    return ratio


def as_printed(found):
    """Return the viscosity at 100 /s that Table S1 gives."""
    if 100.0 not in found.as_printed:
        raise MissingCase("Table S1 at 100 /s")
    return Number(*found.as_printed[100.0])


def springback(found):
    """Return the porosity after release over that before, elastic contacts, of all slurries."""
    ratios = [
        found.mean(slurry, FREED, "porosity") / found.mean(slurry, HELD, "porosity")
        for slurry in SLURRIES
    ]
    return averaged(ratios)


def cell(found, slurry):
    """Return the electrode of a slurry between two contacts, as thick as its blade makes it.

    The gap of the blade is the thickness of the wet film: the mass of its solids, at the density of
    the calendered electrode, is the thickness of the dry one.

    Raises:
        MissingCase: If there is no such electrode, or it does not conduct.
    """
    (cathode, content), state = slurry, CALENDERED
    electrons = found.mean(slurry, state, "sigma_e")
    ions = BULK * found.mean(slurry, state, "D_eff")
    if not electrons > 0 or not ions > 0:
        raise MissingCase(f"{slurry} does not conduct")
    wet = found.mean(slurry, "slurry", "closed density")
    thickness = GAPS[cathode] * wet * content / found.mean(slurry, state, "density")
    return SymmetricCell(
        thickness=thickness,
        electronic_conductivity=electrons,
        ionic_conductivity=ions,
        capacitance=DOUBLE_LAYER * found.mean(slurry, state, "double layer area"),
    )


def limit(slurry, frequency, rails):
    """Return what gives the resistance at a frequency over that of some rails in parallel."""

    def ratio(found):
        own = cell(found, slurry)
        through = sum(getattr(own, f"{rail}_conductivity") for rail in rails)
        impedance = own.impedance([frequency])[0]
        return Number(float(impedance.real) * through / own.thickness)

    return ratio


def fitted(slurry):
    """Return what gives sigma_e as fitted to the spectrum over that which was put in."""

    def ratio(found):
        own = cell(found, slurry)
        fit = fit_impedance(FREQUENCIES, own.impedance(FREQUENCIES), thickness=own.thickness)
        return Number(fit.cell.electronic_conductivity / own.electronic_conductivity)

    return ratio


def fitted_binder(found):
    """Return sigma_e with the paper's fitted binder over that with the first one."""
    slurry = ("AM_1", 0.50)
    first = found.values(slurry, CALENDERED, "sigma_e")
    second = found.values(slurry, CALENDERED, "sigma_e, fitted binder")
    with np.errstate(divide="ignore", invalid="ignore"):
        return averaged((second / first).tolist())


def reduction(found):
    """Return by how much the electrode conducts electrons worse than its binder."""
    values = found.values(("AM_1", 0.50), CALENDERED, "sigma_e")
    return averaged((1 - values / BINDER).tolist())


MIDDLE = ("AM_1", 0.50)
QUANTITIES = {
    "viscosity AM_1 50 % 50": viscosity(MIDDLE, 50.0),
    "viscosity AM_1 50 % 1000": viscosity(MIDDLE, 1000.0),
    "Table S1 viscosity": as_printed,
    **{f"viscosity ratio {name}": viscosity_ratio((name, 0.52), (name, 0.48)) for name in CATHODES},
    "viscosity AM_1 over AM_2": viscosity_ratio(("AM_1", 0.50), ("AM_2", 0.50)),
    **{
        f"dried density {name} {content_label(content)}": at((name, content), DRIED, "density")
        for name, content in SLURRIES
    },
    "dried density AM_2 over AM_1": cathode_ratio("AM_2", "AM_1", DRIED, "density"),
    **{
        f"dried porosity AM_1 {content_label(content)}": at(("AM_1", content), DRIED, "porosity")
        for content in CONTENTS
    },
    **{
        f"calendered {quantity} {name}": over_contents(name, CALENDERED, quantity)
        for quantity in ("density", "porosity")
        for name in CATHODES
    },
    "calendered density AM_1 over AM_2": cathode_ratio("AM_1", "AM_2", CALENDERED, "density"),
    "elastic springback": springback,
    "sigma_e AM_1 50 %": at(MIDDLE, CALENDERED, "sigma_e"),
    "reduction AM_1": reduction,
    "fitted binder": fitted_binder,
    "sigma_e AM_1 over AM_2": cathode_ratio("AM_1", "AM_2", CALENDERED, "sigma_e"),
    "sigma_ion printed": over_contents("AM_1", CALENDERED, "D_eff", BULK),
    **{f"sigma_ion {name}": over_contents(name, CALENDERED, "D_eff", BULK) for name in CATHODES},
    **{
        f"sigma_ion {content_label(content)} AM_1 over AM_2": content_ratio(content, "D_eff")
        for content in (0.48, 0.52)
    },
    "slow impedance": limit(MIDDLE, 1e-6, ("electronic",)),
    "fast impedance": limit(MIDDLE, 1e15, ("electronic", "ionic")),
    "fitted impedance": fitted(MIDDLE),
}


def in_state(state):
    """Return what gives our number for a row on calendered electrodes, taken of another state."""
    rows = {
        **{
            f"calendered {quantity} {name}": over_contents(name, state, quantity)
            for quantity in ("density", "porosity")
            for name in CATHODES
        },
        "calendered density AM_1 over AM_2": cathode_ratio("AM_1", "AM_2", state, "density"),
        "sigma_e AM_1 50 %": at(MIDDLE, state, "sigma_e"),
        "sigma_e AM_1 over AM_2": cathode_ratio("AM_1", "AM_2", state, "sigma_e"),
        **{f"sigma_ion {name}": over_contents(name, state, "D_eff", BULK) for name in CATHODES},
    }
    return lambda found, target: rows[target.key](found) if target.key in rows else None


def trends(found):
    """Return the trends of the paper, each with what says whether our means have it."""

    def along(cathode, state, name):
        return [found.mean((cathode, content), state, name) for content in CONTENTS]

    def steps(values):
        return np.diff(values)

    def every(name, rate=100.0):
        return [found.viscosity((name, content), rate)[0] for content in CONTENTS]

    def thins(slurry):
        curve = found.flow.get(slurry)
        if not curve or len(curve) < 2:
            raise MissingCase(f"{slurry}")
        return bool(np.all(steps([curve[rate][0] for rate in sorted(curve)]) < 0))

    shown = {
        f"Viscosity of {name} rises with the solid content (Figure 4)": (
            lambda name=name: bool(np.all(steps(every(name)) > 0))
        )
        for name in CATHODES
    }
    shown["The slurry thins as it is sheared faster (Figure 4)"] = lambda: thins(MIDDLE)
    for name in CATHODES:
        shown[f"Density of {name} dried rises with the solid content (Figure 5)"] = (
            lambda name=name: bool(np.all(steps(along(name, DRIED, "density")) > 0))
        )
        shown[f"sigma_e of {name} falls with the solid content (Figure 8a, simulated)"] = (
            lambda name=name: bool(np.all(steps(along(name, CALENDERED, "sigma_e")) < 0))
        )
        shown[f"sigma_ion of {name} is below sigma_e (section 2.4)"] = lambda name=name: bool(
            np.all(
                BULK * np.array(along(name, CALENDERED, "D_eff"))
                < np.array(along(name, CALENDERED, "sigma_e"))
            )
        )
    return shown

"""What in a run cannot be trusted: sentences that name a quantity, its value and its bound."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.results.solution import StepRecord

Series = Mapping[str, NDArray[Any]]

# Lithium and current that get lost: far above roundoff and the tolerance of currents, 1e-9.
_BALANCE = 1e-6
# Of the maximum, for concentrations beyond their bounds: the error that a time step may have.
_OUTSIDE = 1e-4
# Of the maximum, beyond the open-circuit voltage: where the exchange current is replaced, too.
_BEYOND_CURVE = 1e-3
_BEYOND = "Lithium beyond curves [-]"  # a column where there are several active materials
# Losses for which no kinetics are known [V].
_LOSSES = 1.0
# Volumetric strain: the theory of small strains is off by as much, relatively.
_STRAIN = 0.1
# Stress over Young's modulus: no solid has a higher strength.
_STRENGTH = 0.1
# Overlap over the radius of a particle: a tenth of what lithium does to it, 1 % or so.
_PENETRATION = 1e-3
# Of the energy spent by debonding: more is a result of the regularisation.
_VISCOUS = 0.1
# Of the energy spent by debonding, lost in jumps: a step over a kink of the law leaves a percent.
_SNAP = 0.1


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a run is held against; infinite or empty where there is no bound.

    Attributes:
        maximum: Lithium of the full host, of several the largest [mol/m3].
        curve: Smallest and largest concentration of the open-circuit voltage [mol/m3].
        voltages: Smallest and largest open-circuit voltage between them [V].
        modulus: Young's modulus of the particles, of a crystal its smallest stiffness; of several
            active materials the largest [Pa].
        radius: That of a ball as large as the mean particle [m].
        fracture_energy: What debonds all surfaces that can fail, of particles with the matrix and
            with each other, in mode I [J].
        limited: Share of the maximum, at empty and at full, within which more than half of a
            strong stress drift is held back; 0 without drift.
    """

    maximum: float
    curve: tuple[float, float]
    voltages: tuple[float, float]
    modulus: float
    radius: float
    fracture_energy: float
    limited: float = 0.0


def doubts(series: Series, steps: Sequence[StepRecord], bounds: Bounds) -> tuple[str, ...]:
    """Return what speaks against a run, in sentences.

    Args:
        series: Column -> values (rows,).
        steps: The steps of the protocol that are over.
        bounds: What the model allows.
    """
    exhausted = [step.end_row for step in steps if step.ended_by == "concentration"]
    sound = np.delete(np.arange(len(series["Time [s]"])), exhausted)  # those ends are known
    inside = {name: values[sound] for name, values in series.items()}
    return (*_of_ends(series, steps, bounds), *_of_series(series, inside, bounds))


def _of_ends(series: Series, steps: Sequence[StepRecord], bounds: Bounds) -> Iterator[str]:
    """Yield what is unusual about the ends of protocol steps."""
    for number, step in enumerate(steps):
        where = f"protocol[{number}], {step.description!r}, ended at {step.end_time:.6g} s"
        if step.ended_by == "already passed":
            voltage, c_rate = (series[name][step.end_row] for name in ("Voltage [V]", "C-rate"))
            yield (
                f"{where}, as soon as it began: its end was already passed, at {voltage:.6g} V and "
                f"{c_rate:.4g}C."
            )
        if step.ended_by == "concentration":
            blend = _BEYOND in series
            what, unit = ("stoichiometry", "-") if blend else ("concentration", "mol/m3")
            low, high = (
                series[f"{end} {what} [{unit}]"][step.end_row] for end in ("Minimum", "Maximum")
            )
            top, of = ("1", "of the full host") if blend else (f"{bounds.maximum:g}", unit)
            yield (
                f"{where} because lithium left [0, {top}] {of}: concentrations were "
                f"between {low:.6g} and {high:.6g} {of}."
            )


def _of_series(series: Series, inside: Series, bounds: Bounds) -> Iterator[str]:
    """Yield what is out of bounds in the series, each with its worst value.

    Of concentrations only the rows `inside` count.
    """

    def worst(
        name: str, low: float, high: float, reason: str, series: Series = series
    ) -> Iterator[str]:
        """Yield a sentence with the worst value of a column, if that leaves [low, high]."""
        values = series[name]
        beyond = np.where(np.isnan(values), np.inf, np.maximum(values - high, low - values))
        at = int(np.argmax(beyond))
        if beyond[at] > 0:
            bound = f"below {low:.6g}" if values[at] < low else f"above {high:.6g}"
            time = series["Time [s]"][at]
            yield f"{name} is {values[at]:.4g} at {time:.6g} s, {bound}: {reason}."

    for name in ("Lithium ledger error [-]", "Interface current error [-]"):
        yield from worst(name, -_BALANCE, _BALANCE, "tighten Tolerances.current")
    overshoot = (
        "the discretisation overshoots, or stress drift does, whose law knows no full host; "
        "a finer mesh in the particles helps"
    )
    for name in ("Concentration undershoot [-]", "Concentration overshoot [-]"):
        yield from worst(name, 0.0, _OUTSIDE, overshoot, inside)
    blend = _BEYOND in series
    margin = _BEYOND_CURVE * bounds.maximum
    low, high = bounds.curve[0] - margin, bounds.curve[1] + margin
    tangent = "there the open-circuit voltage is no longer its curve but the tangent at its end"
    if blend:
        yield from worst(_BEYOND, 0.0, _BEYOND_CURVE, tangent, inside)
    if bounds.curve[0] > 0 and not blend:
        yield from worst("Minimum concentration [mol/m3]", low, np.inf, tangent, inside)
    if bounds.curve[1] < bounds.maximum and not blend:
        yield from worst("Maximum concentration [mol/m3]", -np.inf, high, tangent, inside)
    if bounds.limited:
        held = (
            "there more than half of a strong stress drift is held back, whose law knows neither a "
            "full nor an empty host; lower ActiveMaterial.drift_volume or expect no profile of "
            "lithium"
        )
        what, full = ("concentration [mol/m3]", bounds.maximum)
        if blend:
            what, full = ("stoichiometry [-]", 1.0)
        low, high = (series[f"{end} {what}"][0] for end in ("Minimum", "Maximum"))
        low, high = min(low, bounds.limited * full), max(high, (1 - bounds.limited) * full)
        yield from worst(f"Minimum {what}", low, np.inf, held, inside)
        yield from worst(f"Maximum {what}", -np.inf, high, held, inside)
    low, high = bounds.voltages[0] - _LOSSES, bounds.voltages[1] + _LOSSES
    losses = f"losses of more than {_LOSSES:g} V, no kinetics are known for them"
    yield from worst("Voltage [V]", low, high, losses)
    for name in ("Minimum", "Mean", "Maximum"):
        reason = "the theory is one of small strains"
        yield from worst(f"{name} volumetric strain [-]", -_STRAIN, _STRAIN, reason)
    reason = "a tenth of Young's modulus, which no solid bears"
    yield from worst("99 % von Mises stress [Pa]", 0.0, _STRENGTH * bounds.modulus, reason)
    reason = "the interface overlaps where it is pressed; raise CohesiveLaw.stiffness"
    yield from worst("Maximum penetration [m]", 0.0, _PENETRATION * bounds.radius, reason)
    spent = series["Cohesive energy dissipated [J]"][-1]
    allowed = _VISCOUS * max(spent, _VISCOUS * bounds.fracture_energy)
    viscous = series["Viscous energy dissipated [J]"][-1]
    if viscous > allowed:
        yield (
            f"Viscous energy dissipated [J] is {viscous:.3g} at the end, above {allowed:.3g}: "
            f"debonding took {spent:.3g} J; lower CohesiveLaw.viscosity."
        )
    snapped = series["Snap energy lost [J]"]
    allowed = _SNAP * max(spent, _VISCOUS * bounds.fracture_energy)
    if snapped[-1] > allowed:
        at = int(np.argmax(np.diff(snapped))) + 1
        yield (
            f"Snap energy lost [J] is {snapped[-1]:.3g} at the end, above {allowed:.3g}: debonding "
            f"took {spent:.3g} J, and surfaces let go by themselves, most of all at "
            f"{series['Time [s]'][at]:.6g} s ({snapped[at] - snapped[at - 1]:.3g} J); where such a "
            "jump ends, and the stress after it, may not be what motion would lead to."
        )
    reason = "no smaller step was allowed, see Stepping.smallest"
    yield from worst("Step error [-]", 0.0, 1.0, reason)

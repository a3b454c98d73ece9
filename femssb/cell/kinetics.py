"""Kinetics at points of a surface: Butler-Volmer insertion behind a contact resistance, and metal.

Plain arrays in, plain arrays out, one entry per point; no mesh. A current is positive when anodic:
lithium leaves the particle or the metal.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from femssb.arrays import Array, Indices
from femssb.errors import NotConverged
from femssb.inputs.interfaces import ContactResistance, InsertionKinetics, MetalKinetics
from femssb.inputs.materials import ActiveMaterial
from femssb.units import FARADAY, GAS_CONSTANT

# exp(30) = 1e13: a surface that carries no current, yet whose resistance stays a finite number.
LARGEST_GAP_EXPONENT = 30.0
# Beyond exp(200) the exponentials of Butler-Volmer continue along their tangents: no overflow, yet
# smooth and monotone, and 80 orders of magnitude above any current that means something.
LARGEST_EXPONENT = 200.0
# The square root of the exchange current is replaced outside this margin of the full range of c.
STOICHIOMETRY_MARGIN = 1e-3
# A Newton step of this size in the reduced overpotential leaves an error below its square.
STEP_TOLERANCE = 1e-8
MOST_ITERATIONS = 100
# A Newton step of this size in a concentration that falls, over the largest one, leaves an error
# below its square, times how much the current bends: 1e3.
CONCENTRATION_TOLERANCE = 1e-9
# Where the current falls with the concentration, Newton steps are no longer than this slope says.
LEAST_SLOPE = 0.1


# Concentration at the surface behind a current (n,) at some points, and its derivative.
Surface = Callable[[Array, Indices | slice], tuple[Array, Array]]


@dataclass(frozen=True, kw_only=True, slots=True)
class InsertionCurrent:
    """The current of insertion at points and how it changes, arrays of shape (n,)."""

    current: Array  # anodic positive [A/m2]
    d_concentration: Array  # derivative by the concentration [A m/mol]
    d_potential: Array  # derivative by phi_s - phi_l [S/m2]
    drop: Array  # voltage lost in the contact resistance, current times resistance [V]
    overpotential: Array  # what drives the reaction, the drop taken off [V]


def contact_resistance(resistance: ContactResistance, gap: Array) -> Array:
    """Return the resistance R = closed exp(gap / decay_length) at gaps (n,) [m], (n,) [ohm m2].

    Below 0 the surface is closed; beyond 30 decay lengths the resistance no longer grows.
    """
    exponent = np.clip(gap / resistance.decay_length, 0.0, LARGEST_GAP_EXPONENT)
    return resistance.closed * np.exp(exponent)


def exchange_current(
    kinetics: InsertionKinetics, active: ActiveMaterial, concentration: Array
) -> tuple[Array, Array]:
    """Return the exchange current i0 = F k f(c) sqrt(c (c_max - c)) and its slope.

    Outside 0.1 % to 99.9 % of the maximum concentration, where the root or its slope ceases to
    exist, it falls off as a hyperbola with the same value and slope: smooth and always positive.
    The factor f is that at empty and full beyond them.
    From concentrations (n,) [mol/m3] follow i0 (n,) [A/m2] and its slope (n,) [A m/mol].
    """
    full = active.maximum_concentration
    filled = concentration / full
    inside = np.clip(filled, STOICHIOMETRY_MARGIN, 1.0 - STOICHIOMETRY_MARGIN)
    root = np.sqrt(inside * (1.0 - inside))
    slope = (0.5 - inside) / root
    outside = np.flatnonzero(inside != filled)
    if outside.size:
        decay = 1.0 + slope[outside] / root[outside] * (inside[outside] - filled[outside])
        root[outside] /= decay
        slope[outside] /= decay * decay
    scale = FARADAY * kinetics.rate_constant
    exchange, exchange_slope = scale * full * root, scale * slope
    if kinetics.rate_factor is not None:
        host = np.clip(concentration, 0.0, full)
        factor, rise = kinetics.rate_factor.value_and_derivative(host)
        rise = np.where(host == concentration, rise, 0.0)
        exchange_slope = exchange_slope * factor + exchange * rise
        exchange = exchange * factor
    return exchange, exchange_slope


def insertion_current(
    kinetics: InsertionKinetics,
    active: ActiveMaterial,
    temperature: float,
    *,
    concentration: Array,
    potential_difference: Array,
    resistance: Array,
    surface: Surface | None = None,
    guess: Array | None = None,
) -> InsertionCurrent:
    """Return the insertion current behind a series resistance, solved at every point.

    i = i0(c) [exp(a F eta / RT) - exp(-(1 - a) F eta / RT)], eta = phi_s - phi_l - U(c) - i R. The
    concentration c at the surface may itself fall with the current, which is solved at every point,
    too.

    Args:
        kinetics: Rate constant and transfer coefficient.
        active: Open-circuit voltage and maximum concentration.
        temperature: [K].
        concentration: Lithium, shape (n,) [mol/m3].
        potential_difference: phi_s - phi_l, shape (n,) [V].
        resistance: Contact resistance R >= 0, shape (n,) [ohm m2].
        surface: What is at the surface, given the current [mol/m3], where that is not
            `concentration`, but follows it: it does not rise with the current.
        guess: Of the current then, shape (n,) [A/m2]; by default none flows.

    Returns:
        Current, its exact derivatives, and how the voltage is shared.

    Raises:
        NotConverged: If an argument is not finite, or no concentration is found.
    """

    def current(at: Array, points: Indices | slice) -> InsertionCurrent:
        return _at_surface(
            kinetics, active, temperature, at, potential_difference[points], resistance[points]
        )

    if surface is None:
        return current(concentration, slice(None))
    first = (
        np.zeros(concentration.size)
        if guess is None
        else np.nan_to_num(guess, posinf=0.0, neginf=0.0)
    )
    found = current(_behind(current, surface, first), slice(None))
    slope = 1.0 - surface(found.current, slice(None))[1] * found.d_concentration
    return replace(
        found,
        d_concentration=found.d_concentration / slope,
        d_potential=found.d_potential / slope,
    )


def _behind(
    current: Callable[[Array, Indices], InsertionCurrent], surface: Surface, first: Array
) -> Array:
    """Return the concentration at each point that is there behind the current which it lets pass.

    The search begins behind a `first` current (n,).

    Newton's method, in a bracket, which is halved where the steps of Newton do not halve; points
    that are found are left out.
    """
    left = np.arange(first.size)
    found, _ = surface(first, left)
    lower, upper = np.full_like(found, -np.inf), np.full_like(found, np.inf)
    moved = upper.copy()  # by the last step
    tolerance = CONCENTRATION_TOLERANCE * max(float(np.max(np.abs(found), initial=0.0)), 1.0)
    for _ in range(MOST_ITERATIONS):
        at = found[left]
        there = current(at, left)
        behind, by_current = surface(there.current, left)
        excess = at - behind
        step = excess / np.maximum(1.0 - by_current * there.d_concentration, LEAST_SLOPE)
        high = excess > 0.0
        upper[left] = np.where(high, at, upper[left])
        lower[left] = np.where(high, lower[left], at)
        middle = 0.5 * (lower[left] + upper[left])
        after = at - step
        halve = (after < lower[left]) | (after > upper[left]) | (np.abs(step) > 0.5 * moved[left])
        found[left] = np.where(halve & np.isfinite(middle), middle, after)
        moved[left] = np.abs(found[left] - at)
        left = left[~(moved[left] <= tolerance)]
        if not left.size:
            return found
    raise NotConverged(
        "the lithium at the particle interface could not be found",
        residuals={"concentration": float(np.max(np.abs(step))) / tolerance},
    )


def _at_surface(
    kinetics: InsertionKinetics,
    active: ActiveMaterial,
    temperature: float,
    concentration: Array,
    potential_difference: Array,
    resistance: Array,
) -> InsertionCurrent:
    """Return the insertion current at a concentration."""
    thermal = GAS_CONSTANT * temperature / FARADAY
    voltage, voltage_slope = active.open_circuit_voltage.value_and_derivative(concentration)
    exchange, exchange_slope = exchange_current(kinetics, active, concentration)
    driving = (potential_difference - voltage) / thermal
    load = exchange * resistance / thermal
    target = np.abs(driving)
    forward = _forward_transfer(kinetics.anodic_transfer, driving)
    reduced = _reduced_overpotential(target, load, forward)
    rate, rate_slope = _butler_volmer(reduced, forward)

    # Where the resistance governs, the current is what Ohm's law leaves, free of cancellation.
    stiffness = load * rate_slope
    ohmic = np.flatnonzero(stiffness > 1.0)
    rate[ohmic] = (target[ohmic] - reduced[ohmic]) / load[ohmic]

    current = np.copysign(exchange * rate, driving)
    conductance = exchange * rate_slope / thermal
    stiffness += 1.0
    d_potential = conductance / stiffness
    d_concentration = current / exchange * exchange_slope / stiffness - d_potential * voltage_slope
    return InsertionCurrent(
        current=current,
        d_concentration=d_concentration,
        d_potential=d_potential,
        drop=current * resistance,
        overpotential=np.copysign(reduced * thermal, driving),
    )


def metal_current(
    kinetics: MetalKinetics, temperature: float, potential_difference: Array
) -> tuple[Array, Array]:
    """Return the Butler-Volmer current that leaves lithium metal, and its slope.

    From potential differences phi_Li - phi_l (n,) [V] follow the current (n,) [A/m2] and its
    derivative (n,) [S/m2].
    """
    thermal = GAS_CONSTANT * temperature / FARADAY
    driving = potential_difference / thermal
    forward = _forward_transfer(kinetics.anodic_transfer, driving)
    rate, rate_slope = _butler_volmer(np.abs(driving), forward)
    exchange = kinetics.exchange_current
    return np.copysign(exchange * rate, driving), exchange / thermal * rate_slope


def _forward_transfer(anodic_transfer: float, driving: Array) -> Array | float:
    """Return the transfer coefficient of the branch that runs, taken as the one with x >= 0."""
    if anodic_transfer == 0.5:
        return 0.5
    return np.where(driving < 0.0, 1.0 - anodic_transfer, anodic_transfer)


def _butler_volmer(reduced: Array, forward: Array | float) -> tuple[Array, Array]:
    """Return h = exp(a x) - exp(-(1 - a) x) and dh/dx for x >= 0, exp continued by its tangent."""
    exponent = forward * reduced
    rising_slope = np.exp(np.minimum(exponent, LARGEST_EXPONENT))
    rising = rising_slope * (1.0 + np.maximum(exponent - LARGEST_EXPONENT, 0.0))
    # a scalar coefficient is one half: the branches are reciprocal, which spares half the time
    falling = np.exp(exponent - reduced) if isinstance(forward, np.ndarray) else 1.0 / rising_slope
    return rising - falling, forward * rising_slope + (1.0 - forward) * falling


def _reduced_overpotential(target: Array, load: Array, forward: Array | float) -> Array:
    """Return the root x of f(x) = x + load h(x) - target, for target, load >= 0.

    f rises; it is concave below the point where h bends and convex above. Newton's iterates are
    therefore monotone, whatever the arguments, if they start below a root in the concave part or
    above a root in the convex part. There ``log(1 + target/load)/a`` (drop the falling exponential;
    where the rising one is continued, f is linear and one step exact) and, if h never bends,
    ``target/(1 + load)`` (the tangent at 0) lie above the root. The second derivative of f stays
    below the first, so that the error after a step is less than the square of the step.
    """
    logarithm = np.log1p(target / np.maximum(load, 1e-300))
    ohmic = np.where(np.asarray(forward) >= 0.5, target / (1.0 + load), target)
    reduced = np.minimum(ohmic, logarithm / forward)
    if isinstance(forward, np.ndarray):
        bend = np.maximum(2.0 * np.log((1.0 - forward) / forward), 0.0)
        at_bend = bend + load * _butler_volmer(bend, forward)[0] - target
        reduced[(bend > 0.0) & (at_bend > 0.0)] = 0.0
    for _ in range(MOST_ITERATIONS):
        rate, slope = _butler_volmer(reduced, forward)
        step = (load * rate + reduced - target) / (load * slope + 1.0)
        reduced -= step
        largest = float(np.max(np.abs(step), initial=0.0))
        if largest <= STEP_TOLERANCE:
            return reduced
    raise NotConverged(
        "the current at the particle interface could not be found",
        residuals={"reduced overpotential": largest / STEP_TOLERANCE},
    )

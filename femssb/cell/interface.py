"""Laws of the interface at points: charge transfer, contact resistance, traction and damage.

Plain arrays in, plain arrays out, one entry per point; no mesh. Interface current is positive when
anodic (lithium leaves the particle or the metal); tension is positive; the jump is the displacement
of the matrix minus that of the particle, in the local frame (normal out of the particle, then two
tangents).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.errors import NotConverged
from femssb.inputs.materials import (
    ActiveMaterial,
    CohesiveLaw,
    ContactResistance,
    InsertionKinetics,
    MetalKinetics,
)
from femssb.units import FARADAY, GAS_CONSTANT

Array = NDArray[np.float64]

# exp(30) = 1e13: an interface that carries no current, yet whose resistance stays a finite number.
LARGEST_GAP_EXPONENT = 30.0
# Beyond exp(200) the exponentials of Butler-Volmer go on along their tangents: no overflow, still
# smooth and monotone, and 80 orders of magnitude above any current that means something.
LARGEST_EXPONENT = 200.0
# The square root of the exchange current is replaced outside this margin of the full range of c.
STOICHIOMETRY_MARGIN = 1e-3
# A Newton step of this size in the reduced overpotential leaves an error below its square.
STEP_TOLERANCE = 1e-8
MOST_ITERATIONS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class InsertionCurrent:
    """The current through particle interface points and how it changes, arrays of shape (n,)."""

    current: Array  # anodic positive [A/m2]
    d_concentration: Array  # derivative by the concentration [A m/mol]
    d_potential: Array  # derivative by phi_s - phi_l [S/m2]
    drop: Array  # voltage lost in the contact resistance, current times resistance [V]
    overpotential: Array  # what drives the reaction, the drop taken off [V]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cohesion:
    """The mechanical answer of interface points to a jump."""

    traction: Array  # (n, 3) with which the interface resists the jump, viscous part included [Pa]
    tangent: Array  # (n, 3, 3) exact derivative of the traction by the jump [Pa/m]
    damage: Array  # (n,) 0 intact to 1 failed; above 0.99 a point counts as debonded
    dissipated: Array  # (n,) cohesive energy lost since the committed state [J/m2]
    viscous: Array  # (n,) energy lost in the viscous traction since the committed state [J/m2]


def contact_resistance(resistance: ContactResistance, gap: Array) -> Array:
    """Return the resistance of the interface, R = closed exp(gap / decay_length).

    Args:
        resistance: The two constants of the law.
        gap: Normal opening, shape (n,) [m]; below 0 the interface is closed, and beyond 30 decay
            lengths the resistance no longer grows.

    Returns:
        Shape (n,) [ohm m2].
    """
    exponent = np.clip(gap / resistance.decay_length, 0.0, LARGEST_GAP_EXPONENT)
    return resistance.closed * np.exp(exponent)


def exchange_current(
    kinetics: InsertionKinetics, active: ActiveMaterial, concentration: Array
) -> tuple[Array, Array]:
    """Return the exchange current i0 = F k sqrt(c (c_max - c)) and its slope.

    Outside 0.1 % to 99.9 % of the maximum concentration, where the root or its slope ceases to
    exist, i0 falls off as a hyperbola with the same value and slope: smooth and always positive.

    Args:
        kinetics: Rate constant.
        active: Maximum concentration.
        concentration: Lithium at the surface, shape (n,) [mol/m3].

    Returns:
        i0 [A/m2] and its derivative by the concentration [A m/mol], each of shape (n,).
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
    root *= scale * full
    slope *= scale
    return root, slope


def insertion_current(
    kinetics: InsertionKinetics,
    active: ActiveMaterial,
    temperature: float,
    *,
    concentration: Array,
    potential_difference: Array,
    resistance: Array,
) -> InsertionCurrent:
    """Return the insertion current behind a series resistance, solved at every point.

    i = i0(c) [exp(a F eta / RT) - exp(-(1 - a) F eta / RT)], eta = phi_s - phi_l - U(c) - i R.

    Args:
        kinetics: Rate constant and transfer coefficient.
        active: Open-circuit voltage and maximum concentration.
        temperature: Absolute temperature [K].
        concentration: Lithium at the surface, shape (n,) [mol/m3].
        potential_difference: phi_s - phi_l, shape (n,) [V].
        resistance: Contact resistance R >= 0, shape (n,) [ohm m2].

    Returns:
        Current, its exact derivatives, and how the voltage is shared.

    Raises:
        NotConverged: If an argument is not finite (for finite ones the iteration is monotone).
    """
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
    """Return the current that leaves lithium metal into the electrolyte (Butler-Volmer).

    Args:
        kinetics: Exchange current and transfer coefficient.
        temperature: Absolute temperature [K].
        potential_difference: phi_Li - phi_l, shape (n,) [V].

    Returns:
        The current, anodic positive [A/m2], and its derivative by the potential difference [S/m2],
        each of shape (n,).
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
    rising -= falling
    falling *= 1.0 - forward
    rising_slope *= forward
    rising_slope += falling
    return rising, rising_slope


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
    largest = np.inf
    for _ in range(MOST_ITERATIONS):
        rate, slope = _butler_volmer(reduced, forward)
        rate *= load
        rate += reduced
        rate -= target
        slope *= load
        slope += 1.0
        rate /= slope
        reduced -= rate
        largest = float(np.max(np.abs(rate), initial=0.0))
        if largest <= STEP_TOLERANCE:
            return reduced
    raise NotConverged(
        "the current at the particle interface could not be found",
        residuals={"reduced overpotential": largest / STEP_TOLERANCE},
    )


def cohesive_traction(
    law: CohesiveLaw, jump: Array, damage: Array, previous_jump: Array, time_step: float
) -> Cohesion:
    """Return traction, tangent and damage of the bilinear cohesive law.

    With the opening d = (max(jump_n, 0), jump_s1, jump_s2), stored energies w_n = K d_n^2 / 2 and
    w_s = K (d_s1^2 + d_s2^2) / 2:

    - onset when r^2 = w_n / w_n0 + w_s / w_s0 = 1, with w_n0 = normal_strength^2 / (2 K) and
      w_s0 alike: the quadratic criterion in the nominal stresses;
    - failure energy G(mix) by the power law, 1/G = [(w_n/w G_I)^p + (w_s/w G_II)^p]^(1/p) with
      w = w_n + w_s, or by Benzeggagh and Kenane, G = G_I + (G_II - G_I) (w_s/w)^p;
    - damage D = max(committed damage, (1 - 1/r) / (1 - e)) up to 1, with e = w / (r^2 G), the share
      of G that is stored at onset: traction falls linearly with opening at fixed mix;
    - traction = K (jump - D d) + viscosity (jump - previous_jump) / time_step.

    So unloading follows the secant, no change of mode mix heals, and a closed interface keeps its
    full normal stiffness whatever the damage (contact; a failed one slides without friction). An
    infinite strength, with infinite energy, never fails.

    Args:
        law: Strengths, fracture energies, stiffness, viscosity.
        jump: Displacement jump in the local frame, shape (n, 3) [m]; component 0 is normal.
        damage: Damage committed at the last accepted step, shape (n,).
        previous_jump: Jump at the last accepted step, shape (n, 3) [m].
        time_step: Time since the last accepted step, positive [s].

    Returns:
        Traction, exact tangent, new damage and the two dissipated energies. The cohesive one is
        that of the present mode mix between both damages: exact when the mix does not change.

    Source:
        Camanho and Davila, NASA/TM-2002-211737 (bilinear law under mixed mode); Benzeggagh and
        Kenane, Compos. Sci. Technol. 56 (1996) 439, doi 10.1016/0266-3538(96)00005-X.
    """
    stiffness = law.stiffness
    opening = jump.copy()
    np.maximum(opening[:, 0], 0.0, out=opening[:, 0])
    normal_energy = 0.5 * stiffness * opening[:, 0] ** 2
    shear_energy = 0.5 * stiffness * (opening[:, 1] ** 2 + opening[:, 2] ** 2)
    level = normal_energy * _over_onset(law.normal_strength, stiffness)
    level += shear_energy * _over_onset(law.shear_strength, stiffness)

    new_damage = damage.copy()
    dissipated = np.zeros(len(jump))
    beyond = np.flatnonzero(level > 1.0)
    growth = _damage_growth(law, normal_energy[beyond], shear_energy[beyond], damage[beyond])
    new_damage[beyond] = growth.damage
    dissipated[beyond] = growth.dissipated

    traction = jump - new_damage[:, None] * opening
    traction *= stiffness
    intact = stiffness * (1.0 - new_damage)
    tangent = np.zeros((len(jump), 3, 3))
    tangent[:, 0, 0] = np.where(jump[:, 0] > 0.0, intact, stiffness)
    tangent[:, 1, 1] = intact
    tangent[:, 2, 2] = intact
    if beyond.size:
        slope = np.zeros((3, len(jump)))  # of the damage by each energy
        slope[0, beyond] = growth.d_normal
        slope[1:, beyond] = growth.d_shear
        pull = stiffness * opening.T
        slope *= pull  # of the damage by each component of the jump
        for row in range(3):
            for column in range(3):
                tangent[:, row, column] -= pull[row] * slope[column]

    viscous = np.zeros(len(jump))
    if law.viscosity > 0.0:
        change = jump - previous_jump
        rate = law.viscosity / time_step
        traction += rate * change
        for axis in range(3):
            tangent[:, axis, axis] += rate
        viscous = rate * np.einsum("ni,ni->n", change, change)
    return Cohesion(
        traction=traction,
        tangent=tangent,
        damage=new_damage,
        dissipated=dissipated,
        viscous=viscous,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Growth:
    damage: Array
    d_normal: Array  # derivative of the damage by the normal energy [m2/J]
    d_shear: Array  # derivative of the damage by the shear energy [m2/J]
    dissipated: Array  # [J/m2]


def _over_onset(strength: float, stiffness: float) -> float:
    """Return one over the energy stored at onset in a pure mode [m2/J]; 0 if it never comes."""
    return 2.0 * stiffness / strength / strength


def _damage_growth(law: CohesiveLaw, normal: Array, shear: Array, damage: Array) -> _Growth:
    """Return the damage of points beyond onset, from their stored energies [J/m2]."""
    over_normal = _over_onset(law.normal_strength, law.stiffness)
    over_shear = _over_onset(law.shear_strength, law.stiffness)
    level = normal * over_normal + shear * over_shear  # r^2
    total = normal + shear
    exponent = law.mixed_mode_exponent
    # spent = w / G(mix), with its derivatives by both energies
    if law.mixed_mode == "power":
        normal_share = normal / law.normal_fracture_energy
        shear_share = shear / law.shear_fracture_energy
        spent = (normal_share**exponent + shear_share**exponent) ** (1.0 / exponent)
        scale = np.maximum(spent, 1e-300)
        spent_normal = (normal_share / scale) ** (exponent - 1.0) / law.normal_fracture_energy
        spent_shear = (shear_share / scale) ** (exponent - 1.0) / law.shear_fracture_energy
    else:
        mix = shear / total
        excess = law.shear_fracture_energy - law.normal_fracture_energy
        energy = law.normal_fracture_energy + excess * mix**exponent
        turn = excess * exponent * mix ** (exponent - 1.0) / energy**2
        spent = total / energy
        spent_normal = 1.0 / energy + turn * mix
        spent_shear = 1.0 / energy - turn * (1.0 - mix)

    stored = spent / level  # e
    remaining = 1.0 - stored
    inverse = 1.0 / np.sqrt(level)  # 1 / r
    target = (1.0 - inverse) / remaining
    growing = target > damage
    softening = growing & (target < 1.0)
    new_damage = np.where(growing, np.minimum(target, 1.0), damage)

    by_level = softening * (0.5 * inverse - target * stored) / (remaining * level)
    by_spent = softening * target / (remaining * level)
    released = total / level * (new_damage - damage)
    released /= (1.0 - new_damage * remaining) * (1.0 - damage * remaining)
    return _Growth(
        damage=new_damage,
        d_normal=by_level * over_normal + by_spent * spent_normal,
        d_shear=by_level * over_shear + by_spent * spent_shear,
        dissipated=released,
    )

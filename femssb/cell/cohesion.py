"""The cohesive law at points of a surface: traction, damage and dissipation from a jump.

Plain arrays in, plain arrays out, one entry per point; no mesh. Tension is positive; the jump is in
the local frame, normal first, with the signs of `femssb.cell.surfaces`.
"""

from dataclasses import dataclass, replace

import numpy as np

from femssb.arrays import Array
from femssb.inputs.interfaces import CohesiveLaw


@dataclass(frozen=True, kw_only=True, slots=True)
class Cohesion:
    """The mechanical answer of points to a jump."""

    traction: Array  # (n, 3) that resists the jump, viscous part included [Pa]
    tangent: Array  # (n, 3, 3) exact derivative of the traction by the jump [Pa/m]
    damage: Array  # (n,) loss of stiffness: 0 intact to 1 failed
    spent: Array  # (n,) share of the fracture energy that is spent: 0 intact to 1 failed
    dissipated: Array  # (n,) cohesive energy lost since the committed state [J/m2]
    viscous: Array  # (n,) energy lost in the viscous traction since the committed state [J/m2]


def cohesive_traction(
    law: CohesiveLaw,
    jump: Array,
    damage: Array,
    spent: Array,
    previous_jump: Array,
    time_step: float,
    *,
    strength: Array | None = None,
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
    - spent share s of the fracture energy: damage from D0 to D leaves of what was left the share
      (1 - s) / (1 - s0) = [(1 - D) / (1 - D (1 - e))] / [(1 - D0) / (1 - D0 (1 - e))];
    - traction = K (jump - D d) + (1 - s0) viscosity (jump - previous_jump) / time_step.

    So unloading follows the secant, no change of mode mix heals, and a closed surface keeps its
    full normal stiffness whatever the damage (contact; a failed one slides without friction). At a
    jump of zero the tangent is that of an opening, so that a crack at rest opens at once. An
    infinite strength, with infinite energy, never fails.

    D tells how much of K is lost and depends on K: of a stiff interface, 99 % are lost when hardly
    any energy is spent. The share s does not: at a fixed mix it is what has dissipated over G, and
    (opening - onset) / (failure - onset). It is 1 where, and only where, D is.

    The viscous traction is (1 - s) viscosity d(jump)/dt: it lets go as the interface does, and a
    failed point has none. With s0, of the start of the step, it is linear in the jump.

    Args:
        law: Strengths, fracture energies, stiffness, viscosity.
        jump: Displacement jump in the local frame, shape (n, 3) [m]; component 0 is normal.
        damage: Damage committed at the last accepted step, shape (n,).
        spent: Spent share of the fracture energy then, shape (n,).
        previous_jump: Jump at the last accepted step, shape (n, 3) [m].
        time_step: Time since the last accepted step, positive [s].
        strength: Factor on the strengths at each point, and its square on the fracture energies,
            (n,): tractions and openings of the law are so many times as large. None: 1.

    Returns:
        Traction, exact tangent, new damage and spent share, and the two dissipated energies. The
        cohesive one is that of the present mode mix between both damages: exact when the mix does
        not change.

    Source:
        Camanho and Davila, NASA/TM-2002-211737 (bilinear law under mixed mode); Benzeggagh and
        Kenane, Compos. Sci. Technol. 56 (1996) 439, doi 10.1016/0266-3538(96)00005-X.
    """
    if strength is not None:
        scale = strength[:, None]
        found = cohesive_traction(
            law, jump / scale, damage, spent, previous_jump / scale, time_step
        )
        return replace(
            found,
            traction=scale * found.traction,
            dissipated=strength**2 * found.dissipated,
            viscous=strength**2 * found.viscous,
        )
    stiffness = law.stiffness
    opening = jump.copy()
    np.maximum(opening[:, 0], 0.0, out=opening[:, 0])
    normal_energy = 0.5 * stiffness * opening[:, 0] ** 2
    shear_energy = 0.5 * stiffness * (opening[:, 1] ** 2 + opening[:, 2] ** 2)
    level = normal_energy * _over_onset(law.normal_strength, stiffness)
    level += shear_energy * _over_onset(law.shear_strength, stiffness)

    reached = damage.copy()
    dissipated = np.zeros(len(jump))
    left = 1.0 - spent
    beyond = np.flatnonzero(level > 1.0)
    reached[beyond], d_normal, d_shear, dissipated[beyond], kept = _damage_growth(
        law, normal_energy[beyond], shear_energy[beyond], damage[beyond]
    )
    left[beyond] *= kept

    traction = stiffness * (jump - reached[:, None] * opening)
    intact = stiffness * (1.0 - reached)
    tangent = np.zeros((len(jump), 3, 3))
    tangent[:, 0, 0] = np.where(jump[:, 0] >= 0.0, intact, stiffness)  # a crack may open at once
    tangent[:, 1, 1] = tangent[:, 2, 2] = intact
    if beyond.size:
        slope = np.zeros((3, len(jump)))  # of the damage by each energy
        slope[0, beyond] = d_normal
        slope[1:, beyond] = d_shear
        pull = stiffness * opening.T
        slope *= pull  # of the damage by each component of the jump
        tangent -= np.moveaxis(pull[:, None] * slope, 2, 0)

    viscous = np.zeros(len(jump))
    if law.viscosity > 0.0:
        change = jump - previous_jump
        rate = law.viscosity / time_step * (1.0 - spent)
        traction += rate[:, None] * change
        tangent[:, range(3), range(3)] += rate[:, None]
        viscous = rate * np.einsum("ni,ni->n", change, change)
    return Cohesion(
        traction=traction,
        tangent=tangent,
        damage=reached,
        spent=1.0 - left,
        dissipated=dissipated,
        viscous=viscous,
    )


def _over_onset(strength: float, stiffness: float) -> float:
    """Return one over the energy stored at onset in a pure mode [m2/J]; 0 if it never comes."""
    return 2.0 * stiffness / strength / strength


def _damage_growth(
    law: CohesiveLaw, normal: Array, shear: Array, damage: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Return what becomes of points beyond onset, from their stored energies [J/m2].

    These are the damage, its derivatives by both energies [m2/J], what dissipates [J/m2], and the
    share of the energy left before that is still left.
    """
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
    after, before = 1.0 - new_damage * remaining, 1.0 - damage * remaining
    released /= after * before
    kept = np.ones_like(released)
    np.divide((1.0 - new_damage) * before, (1.0 - damage) * after, out=kept, where=damage < 1.0)
    d_normal = by_level * over_normal + by_spent * spent_normal
    d_shear = by_level * over_shear + by_spent * spent_shear
    return new_damage, d_normal, d_shear, released, kept

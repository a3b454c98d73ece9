"""Contact laws between spheres: elastic (Hertz and Mindlin), and elastic-plastic with adhesion.

Forces are positive when they push apart; an overlap is positive when spheres touch. The engine
computes the forces of a run; the formulas here are the same laws on arrays, for time steps, for
stiffnesses and to test the engine against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.errors import InputError, check_number
from femssb.inputs.materials import Elasticity, Solid

Array = NDArray[np.float64]

TABOR = 2.8  # hardness over yield strength; D. Tabor, The Hardness of Metals, 1951


@dataclass(frozen=True, kw_only=True, slots=True)
class HertzMindlin:
    """Elastic spheres with friction.

    Normal force 4/3 E* sqrt(R* overlap^3) (Hertz), tangential spring 8 G* sqrt(R* overlap) per
    displacement up to the friction limit (Mindlin, no slip inside the contact), and a dashpot that
    gives a head-on impact its coefficient of restitution: states at rest hardly depend on it, but
    the lower it is, the more steps they take. Valid while the contact pressure stays
    below the hardness, which is a few MPa of applied pressure for a sulfide electrolyte.

    Raises:
        InputError: If a field is out of its bounds, or a solid lacks its elasticity.
    """

    solids: Mapping[str, Solid]  # of every phase, by name
    friction: float = 0.5  # between any two spheres [-]
    restitution: float = 0.9  # speed after over before a head-on impact [-]

    def __post_init__(self) -> None:
        """Check every field."""
        _check_solids(type(self).__name__, self.solids)
        check_number(type(self).__name__, "friction", self.friction, lower=0.0, upper=10.0)
        check_number(type(self).__name__, "restitution", self.restitution, lower=0.01, upper=1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ElasticPlastic:
    """Spheres that yield where they touch, of the same or of unlike materials, with adhesion.

    Loading is Hertz's law until the pressure in the middle of the contact reaches the yield
    pressure of the softer body; from there on the force rises linearly, as the pressure in the
    middle stays at that value. Unloading is elastic, with the flatter radius of the dent:
    C. Thornton, J. Appl. Mech. 64, 383 (1997), doi 10.1115/1.2787319. Adhesion adds the pull
    2 pi w R of Derjaguin, Muller and Toporov, doi 10.1016/0021-9797(75)90018-1, with the radius of
    the dent, so that what was pressed hard also sticks well. Friction is that of `HertzMindlin`.

    The law knows nothing of neighbouring contacts: above a relative density of about 0.9, where
    dents meet, it is too soft.

    Raises:
        InputError: If a field is out of its bounds, or a solid lacks its elasticity.
    """

    solids: Mapping[str, Solid]  # of every phase, by name
    yield_pressures: Mapping[str, float]  # of every phase that yields, about its hardness [Pa]
    adhesion: float = 0.0  # work of adhesion w of any two spheres [J/m2]
    friction: float = 0.5  # between any two spheres [-]
    restitution: float = 0.9  # of an impact too weak to yield [-]

    def __post_init__(self) -> None:
        """Check every field."""
        _check_solids(type(self).__name__, self.solids)
        check_number(type(self).__name__, "friction", self.friction, lower=0.0, upper=10.0)
        check_number(type(self).__name__, "restitution", self.restitution, lower=0.01, upper=1.0)
        check_number(
            type(self).__name__, "adhesion", self.adhesion, lower=0, upper=100, unit="J/m2"
        )
        for name, pressure in self.yield_pressures.items():
            if name not in self.solids:
                raise InputError(
                    f"ElasticPlastic.yield_pressures names {name!r}, which solids does not"
                )
            check_number(
                "ElasticPlastic",
                f"yield_pressures[{name!r}]",
                pressure,
                lower=1e5,
                upper=1e12,
                unit="Pa",
            )


ContactLaw = HertzMindlin | ElasticPlastic


def yield_pressure(solid: Solid) -> float:
    """Return the pressure at which a solid yields in a contact, its hardness [Pa].

    Raises:
        InputError: If neither the hardness nor the yield strength of the solid is known.
    """
    if solid.hardness is not None:
        return solid.hardness
    if solid.yield_strength is None:
        raise InputError(f"{solid.name} has neither a hardness nor a yield strength")
    return TABOR * solid.yield_strength


def elasticity(law: ContactLaw, phase: str) -> Elasticity:
    """Return the elasticity of a phase.

    Raises:
        InputError: If the law does not know the phase.
    """
    if phase not in law.solids:
        raise InputError(f"the contact law has no solid for phase {phase!r}")
    known = law.solids[phase].elasticity
    assert known is not None  # checked by the law
    return known


def effective_moduli(law: ContactLaw, phases: tuple[str, ...]) -> Array:
    """Return E* of every pair of phases: 1/E* is the sum of (1 - nu^2)/E of both [Pa]."""
    known = [elasticity(law, phase) for phase in phases]
    compliance = np.array([(1 - e.poisson_ratio**2) / e.young_modulus for e in known])
    return np.asarray(1 / (compliance[:, None] + compliance))


def effective_shear_moduli(law: ContactLaw, phases: tuple[str, ...]) -> Array:
    """Return G* of every pair of phases: 1/G* is the sum of (2 - nu)/G of both [Pa].

    A contact of the radius a has the tangential stiffness 8 G* a (Mindlin, doi 10.1115/1.4009973).
    """
    known = [elasticity(law, phase) for phase in phases]
    compliance = np.array(
        [2 * (2 - e.poisson_ratio) * (1 + e.poisson_ratio) / e.young_modulus for e in known]
    )
    return np.asarray(1 / (compliance[:, None] + compliance))


def plane_moduli(law: ContactLaw, phases: tuple[str, ...]) -> Array:
    """Return E* of every phase against a rigid plane, shape (phases,) [Pa]."""
    known = [elasticity(law, phase) for phase in phases]
    return np.array([e.young_modulus / (1 - e.poisson_ratio**2) for e in known])


def pair_yield_pressures(law: ElasticPlastic, phases: tuple[str, ...]) -> Array:
    """Return the yield pressure of every pair of phases, that of the softer one [Pa]."""
    own = np.array([law.yield_pressures.get(phase, np.inf) for phase in phases])
    return np.minimum(own[:, None], own)


def hertz_force(modulus: Array, radius: Array, overlap: Array) -> Array:
    """Return Hertz's force, 0 without contact [N].

    Args:
        modulus: E* [Pa].
        radius: R*, where 1/R* is the sum of 1/R of both [m].
        overlap: [m].
    """
    return 4 / 3 * modulus * np.sqrt(radius) * np.maximum(overlap, 0) ** 1.5


def hertz_stiffness(modulus: Array, radius: Array, overlap: Array) -> Array:
    """Return the slope of `hertz_force` [N/m]; arguments as there."""
    return 2 * modulus * np.sqrt(radius * np.maximum(overlap, 0))


def plastic_force(
    modulus: Array, radius: Array, limit: Array, overlap: Array, largest: Array
) -> tuple[Array, Array]:
    """Return the elastic-plastic force without adhesion, and the radius of the dent.

    Args:
        modulus: E* [Pa].
        radius: R* [m].
        limit: Yield pressure of the pair [Pa].
        overlap: [m].
        largest: Largest overlap so far, at least `overlap` [m].

    Returns:
        Force [N] and the effective radius on unloading, R* before yield [m].

    Source:
        Thornton, doi 10.1115/1.2787319: eqs. for the yield point, the loading line and the radius
        of the dent.
    """
    start = (np.pi * limit / (2 * modulus)) ** 2 * radius  # overlap at which it yields
    yielded = largest > start
    with np.errstate(invalid="ignore", divide="ignore"):  # where nothing yields
        at_start = hertz_force(modulus, radius, start)
        loaded = at_start + np.pi * limit * radius * (largest - start)
        peak = np.where(yielded, loaded, hertz_force(modulus, radius, largest))
        dent = 4 * modulus / (3 * peak) * ((2 * peak + at_start) / (2 * np.pi * limit)) ** 1.5
        dent = np.where(yielded, dent, radius)
        left = largest - (3 * peak / (4 * modulus * np.sqrt(dent))) ** (2 / 3)
    left = np.where(yielded, left, 0.0)
    return np.where(overlap >= largest, peak, hertz_force(modulus, dent, overlap - left)), dent


def _check_solids(owner: str, solids: Mapping[str, Solid]) -> None:
    if not solids:
        raise InputError(f"{owner}.solids must name the solid of every phase")
    for name, solid in solids.items():
        if not isinstance(solid, Solid):
            raise InputError(f"{owner}.solids[{name!r}] must be a Solid, got {solid!r}")
        if not isinstance(solid.elasticity, Elasticity):
            raise InputError(f"{owner}.solids[{name!r}]: {solid.name} has no elasticity")

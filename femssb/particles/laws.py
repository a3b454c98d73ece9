"""Contact laws between spheres: elastic (Hertz and Mindlin), and elastic-plastic with adhesion.

Forces are positive when they push apart; an overlap is positive when spheres touch. The engine
computes the forces of a run; the formulas here are the same laws on arrays, for time steps, for
stiffnesses and to test the engine against.
"""

from collections.abc import Mapping

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.errors import InputError
from femssb.inputs.elasticity import Elasticity
from femssb.inputs.materials import Solid

TABOR = 2.8  # hardness over yield strength; D. Tabor, The Hardness of Metals, 1951


@description
class ContactLaw:
    """Solids in contact, with friction: base of all laws."""

    solids: Mapping[str, Solid] = field("solid of every phase, by name")
    friction: float = field("between any two spheres", lower=0.0, upper=10.0, default=0.5)
    restitution: float = field(
        "speed after over before an impact too weak to yield", lower=0.01, upper=1.0, default=0.9
    )

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not self.solids:
            raise InputError(f"{name}.solids must name the solid of every phase")
        for phase, solid in self.solids.items():
            if solid.elasticity is None:
                raise InputError(f"{name}.solids[{phase!r}]: {solid.name} has no elasticity")

    def elasticity(self, phase: str) -> Elasticity:
        """Return the elasticity of a phase.

        Raises:
            InputError: If the law does not know the phase.
        """
        if phase not in self.solids:
            raise InputError(f"the contact law has no solid for phase {phase!r}")
        known = self.solids[phase].elasticity
        assert known is not None  # checked when made
        return known


@description
class HertzMindlin(ContactLaw):
    """Elastic spheres with friction.

    Normal force 4/3 E* sqrt(R* overlap^3) (Hertz), tangential spring 8 G* sqrt(R* overlap) per
    displacement up to the friction limit (Mindlin, no slip inside the contact), and a dashpot that
    gives a head-on impact its coefficient of restitution: states at rest hardly depend on it, but
    the lower it is, the more steps they take. Valid while the contact pressure stays
    below the hardness, which is a few MPa of applied pressure for a sulfide electrolyte.
    """


@description
class ElasticPlastic(ContactLaw):
    """Spheres that yield where they touch, of the same or of unlike materials, with adhesion.

    Loading is Hertz's law until the pressure in the middle of the contact reaches the yield
    pressure of the softer body; from there on the force rises linearly, as the pressure in the
    middle stays at that value. Unloading is elastic, with the flatter radius of the dent:
    C. Thornton, J. Appl. Mech. 64, 383 (1997), doi 10.1115/1.2787319. Adhesion adds the pull
    2 pi w R of Derjaguin, Muller and Toporov, doi 10.1016/0021-9797(75)90018-1, with the radius of
    the dent, so that what was pressed hard also sticks well. Friction is that of `HertzMindlin`.

    The law knows nothing of neighbouring contacts: above a relative density of about 0.9, where
    dents meet, it is too soft.
    """

    yield_pressures: Mapping[str, float] = field(
        "of every phase that yields, about its hardness", unit="Pa", lower=1e5, upper=1e12
    )
    adhesion: float = field(
        "work of adhesion w of any two spheres", unit="J/m2", lower=0, upper=100, default=0.0
    )

    def __post_init__(self) -> None:
        ContactLaw.__post_init__(self)
        for name in self.yield_pressures:
            if name not in self.solids:
                what = "ElasticPlastic.yield_pressures"
                raise InputError(f"{what} names {name!r}, which solids does not")


@checked
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


def effective_moduli(law: ContactLaw, phases: tuple[str, ...]) -> Array:
    """Return E* of every pair of phases: 1/E* is the sum of (1 - nu^2)/E of both [Pa]."""
    known = [law.elasticity(phase) for phase in phases]
    compliance = np.array([(1 - e.poisson_ratio**2) / e.young_modulus for e in known])
    return np.asarray(1 / (compliance[:, None] + compliance))


def effective_shear_moduli(law: ContactLaw, phases: tuple[str, ...]) -> Array:
    """Return G* of every pair of phases: 1/G* is the sum of (2 - nu)/G of both [Pa].

    A contact of the radius a has the tangential stiffness 8 G* a (Mindlin, doi 10.1115/1.4009973).
    """
    known = [law.elasticity(phase) for phase in phases]
    nu, young = np.array([(e.poisson_ratio, e.young_modulus) for e in known]).T
    compliance = 2 * (2 - nu) * (1 + nu) / young
    return np.asarray(1 / (compliance[:, None] + compliance))


def plane_moduli(law: ContactLaw, phases: tuple[str, ...]) -> Array:
    """Return E* of every phase against a rigid plane, shape (phases,) [Pa]."""
    known = [law.elasticity(phase) for phase in phases]
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
        Yield point, loading line and radius of the dent: Thornton, doi 10.1115/1.2787319.
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

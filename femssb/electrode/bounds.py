"""Bounds of the elastic moduli of a mixture of isotropic phases that has no direction.

With K and G of every phase, its share f, and

    B(z) = 1 / sum(f / (K + 4 z / 3)) - 4 z / 3,    S(z) = 1 / sum(f / (G + z)) - z,
    z(K, G) = G (9 K + 8 G) / (6 (K + 2 G)),

the bulk modulus lies between B at the smallest and at the largest G, the shear modulus between S at
the z of the smallest and of the largest moduli. No pores: both bounds are above zero. Pores: the
lower ones are zero, as nothing says that solid joins solid, and the upper ones are those of pores
that solid surrounds.

Source: Z. Hashin, S. Shtrikman, J. Mech. Phys. Solids 11 (1963) 127,
doi:10.1016/0022-5096(63)90060-7; for any number of phases L. J. Walpole, J. Mech. Phys. Solids 14
(1966) 151, doi:10.1016/0022-5096(66)90035-4.
"""

from collections.abc import Mapping

import numpy as np

from femssb.arrays import Array
from femssb.inputs.elasticity import Elasticity

Moduli = tuple[float, float]  # bulk and shear modulus [Pa]


def hashin_shtrikman(
    shares: Mapping[str, float], elasticity: Mapping[str, Elasticity]
) -> tuple[Moduli, Moduli]:
    """Return the lower and the upper bound of bulk and shear modulus [Pa].

    Args:
        shares: Share of the volume of each phase; they need not sum to one.
        elasticity: Of the phases; those left out are pores.
    """
    present = [name for name, share in shares.items() if share > 0]
    share = np.array([shares[name] for name in present])
    share /= share.sum()
    moduli = [moduli_of(elasticity[name]) if name in elasticity else (0.0, 0.0) for name in present]
    bulk, shear = np.array(moduli).T
    lower, upper = (
        (
            _mixed(share, bulk, 4 / 3 * float(pick(shear))),
            _mixed(share, shear, _comparison(float(pick(bulk)), float(pick(shear)))),
        )
        for pick in (np.min, np.max)
    )
    return lower, upper


def moduli_of(elasticity: Elasticity) -> Moduli:
    """Return bulk and shear modulus [Pa]."""
    first, shear = elasticity.lame()
    return first + 2 / 3 * shear, shear


def elasticity_of(moduli: Moduli) -> Elasticity:
    """Return the elasticity with a bulk and a shear modulus [Pa]."""
    bulk, shear = moduli
    return Elasticity(
        young_modulus=9 * bulk * shear / (3 * bulk + shear),
        poisson_ratio=(3 * bulk - 2 * shear) / (6 * bulk + 2 * shear),
    )


def _mixed(share: Array, modulus: Array, stiffness: float) -> float:
    """Return the modulus of a mixture around a stiffness of comparison."""
    if stiffness == 0.0 and modulus.min() == 0.0:
        return 0.0
    return float(1 / np.sum(share / (modulus + stiffness)) - stiffness)


def _comparison(bulk: float, shear: float) -> float:
    return shear * (9 * bulk + 8 * shear) / (6 * (bulk + 2 * shear)) if shear > 0 else 0.0

"""Cathode active materials.

Densities and full concentrations are those of the unit cell, lattice parameters from memory.
"second-hand": taken from a digest of the named paper, not from the paper itself.

- Ai 2019: doi 10.1149/2.0122001JES, as PyBaMM's set Ai2020 gives it
- Alabdali 2024: "Experimental and Computational Analysis of Slurry-Based Manufacturing of
  Solid-State Battery Composite Cathode" (NMC811)
- Amin 2016: R. Amin, Y.-M. Chiang, J. Electrochem. Soc. 163, A1512, doi 10.1149/2.0131608jes; its
  "NMC523" is NMC532 by its erratum
- Bielefeld 2020: doi 10.1021/acsami.9b22788
- Chen 2020: doi 10.1149/1945-7111/ab9050, as PyBaMM gives it
- Koerver 2018: doi 10.1039/c8ee00907d, Table 1
- Kondrakov 2017: doi 10.1021/acs.jpcc.6b12885, abstract
- Minnmann 2021: doi 10.1149/1945-7111/abf8d7
- O'Regan 2022: PyBaMM's set ORegan2022
- Xu 2017: R. Xu et al., J. Electrochem. Soc. 164, A3333
"""

import math
from functools import partial

import numpy as np

from femssb.arrays import Array
from femssb.description import checked
from femssb.inputs.curves import Curve
from femssb.inputs.elasticity import Elasticity
from femssb.inputs.materials import Solid

# Chemical diffusivity of NCM111 pellets at two shares of lithium: Amin 2016, second-hand. No
# measurement of the elasticity of any of these against lithium is among the sources.
EMPTIER, FULLER = 0.25, 0.9  # [-] Amin 2016, second-hand
GROWTH = math.log(4.1e-14 / 1.3e-14) / (FULLER - EMPTIER)  # [-] derived: exponential in between


def _growth(concentration: Array, maximum: float, order: int) -> Array:
    """Return the factor of `ncm111_diffusivity_factor`, or its derivative."""
    rate = GROWTH / maximum
    return np.asarray(rate**order * np.exp(rate * (concentration - EMPTIER * maximum)))


@checked
def ncm111_diffusivity_factor(maximum_concentration: float) -> Curve:
    """Return the diffusivity of NCM111 over that at a quarter of its lithium, 1.3e-14 m2/s.

    It grows exponentially to 4.1e-14 m2/s at nine tenths, and goes on along its tangents.

    Args:
        maximum_concentration: Lithium of the full crystal [mol/m3].

    Raises:
        InputError: If that is no concentration of a host.
    """
    return Curve(
        function=partial(_growth, maximum=maximum_concentration, order=0),
        slope=partial(_growth, maximum=maximum_concentration, order=1),
        lower=EMPTIER * maximum_concentration,
        upper=FULLER * maximum_concentration,
    )


NCM111 = Solid(
    name="NCM111",
    density=4760.0,  # [kg/m3] derived: unit cell
    elasticity=Elasticity(
        young_modulus=140e9,  # [Pa] assumed as NCM523 (Xu 2017); dense pellet 199, Koerver 2018
        poisson_ratio=0.3,  # [-] assumed, 0.2 to 0.3
    ),
    ionic_conductivity=9e-7,  # [S/m] Amin 2016 at 51 C, 3.7e-7 to 9.1e-7 with lithium, second-hand
    electronic_conductivity=5e-6,  # [S/m] Amin 2016 full at 30 C, 0.8 at 1/4 lithium, second-hand
    maximum_concentration=49360.0,  # [mol/m3] derived: unit cell
    diffusivity=1.3e-14,  # [m2/s] Amin 2016 at 1/4 lithium, 4.1e-14 near full, second-hand
    charged_volume_change=-0.012,  # [-] Kondrakov 2017, 3.0 to 4.3 V
)

NCM523 = Solid(
    name="NCM523",
    density=4740.0,  # [kg/m3] derived: unit cell
    elasticity=Elasticity(
        young_modulus=142.5e9,  # [Pa] Xu 2017, secondary particle, 110 to 178, second-hand
        poisson_ratio=0.3,  # [-] assumed, 0.25 to 0.3
    ),
    hardness=8.6e9,  # [Pa] Xu 2017, secondary particle (sintered 12.6), second-hand
    fracture_toughness=0.1e6,  # [Pa m^0.5] Xu 2017, secondary particle (sintered 0.31), second-hand
    ionic_conductivity=9e-7,  # [S/m] Amin 2016 at 50 C, second-hand
    electronic_conductivity=1.9e-4,  # [S/m] Amin 2016 full, 1.4 when charged, second-hand
    maximum_concentration=49110.0,  # [mol/m3] derived: unit cell (48230 in PyBaMM's Xu2019)
    diffusivity=2e-14,  # [m2/s] Amin 2016, 2e-14 to 5e-14 with lithium, second-hand
)

NCM622 = Solid(
    name="NCM622",
    density=4767.0,  # [kg/m3] derived: unit cell
    elasticity=Elasticity(
        young_modulus=140e9,  # [Pa] assumed as NCM523 (Xu 2017)
        poisson_ratio=0.3,  # [-] assumed
    ),
    electronic_conductivity=1.0,  # [S/m] Minnmann 2021, second-hand (0.005 in Alabdali 2024)
    maximum_concentration=49180.0,  # [mol/m3] derived: unit cell
    charged_volume_change=-0.04,  # [-] assumed, between NCM111 and NCM811
)

NCM811 = Solid(
    name="NCM811",
    density=4760.0,  # [kg/m3] Bielefeld 2020 (unit cell 4780)
    elasticity=Elasticity(
        young_modulus=140e9,  # [Pa] assumed as NCM523 (Xu 2017)
        poisson_ratio=0.3,  # [-] assumed, 0.25 to 0.3
    ),
    electronic_conductivity=0.005,  # [S/m] Alabdali 2024, up to 0.85 when charged
    maximum_concentration=49110.0,  # [mol/m3] derived: unit cell (63104 fitted by Chen 2020)
    diffusivity=4e-15,  # [m2/s] Chen 2020
    exchange_current=5.03,  # [A/m2] O'Regan 2022, liquid electrolyte
    charged_volume_change=-0.051,  # [-] Kondrakov 2017, 3.0 to 4.3 V
    specific_capacity=7.056e5,  # [C/kg] Bielefeld 2020: 196 mAh/g
)

LCO = Solid(
    name="LCO",
    density=5050.0,  # [kg/m3] derived: unit cell
    elasticity=Elasticity(
        young_modulus=191e9,  # [Pa] Koerver 2018, second-hand
        poisson_ratio=0.24,  # [-] Koerver 2018, second-hand
    ),
    maximum_concentration=51630.0,  # [mol/m3] derived: unit cell
    diffusivity=5.39e-15,  # [m2/s] Ai 2019
    lithium_molar_volume=-7.28e-7,  # [m3/mol] Ai 2019
    charged_volume_change=0.02,  # [-] Koerver 2018, second-hand
)

"""Solid electrolytes.

"second-hand": taken from a digest of the named paper, not from the paper itself.

- Alabdali 2024: "Experimental and Computational Analysis of Slurry-Based Manufacturing of
  Solid-State Battery Composite Cathode"
- Bielefeld 2020: doi 10.1021/acsami.9b22788, which cites the two papers of Kato
- Deng 2016: Z. Deng et al., J. Electrochem. Soc. 163, A67 (first principles)
- Kato 2016: doi 10.1038/nenergy.2016.30; Kato 2018: J. Phys. Chem. Lett. 9, 607
- Koerver 2018: doi 10.1039/c8ee00907d, Table 1
- McGrogan 2017: doi 10.1002/aenm.201602011
- Ni 2012: no more than this is known of it
- Sakuda 2013: Sci. Rep. 3, 2261
- Yuan 2023: the paper of `femssb.library.yuan2023`
"""

from femssb.inputs.elasticity import Elasticity
from femssb.inputs.materials import Solid

LLZO = Solid(
    name="LLZO",
    density=5110.0,  # [kg/m3] derived: unit cell, a = 12.97 A (from memory)
    elasticity=Elasticity(
        young_modulus=150e9,  # [Pa] Yuan 2023
        poisson_ratio=0.26,  # [-] Koerver 2018, second-hand
    ),
    fracture_toughness=1e6,  # [Pa m^0.5] Ni 2012, second-hand
    ionic_conductivity=0.04,  # [S/m] doped, 25 C, 0.02 to 0.1 (from memory)
    electronic_conductivity=1e-6,  # [S/m] order of magnitude (from memory)
)

# The unit cell gives 1860 kg/m3; the densities used by Alabdali 2024 mean 1640.
LI6PS5CL = Solid(
    name="Li6PS5Cl",
    density=1860.0,  # [kg/m3] derived: unit cell, a = 9.859 A (from memory)
    elasticity=Elasticity(
        young_modulus=22.1e9,  # [Pa] Deng 2016, up to 30, second-hand
        poisson_ratio=0.37,  # [-] Deng 2016, 0.33 to 0.37, second-hand
    ),
    yield_strength=0.3e9,  # [Pa] assumed, 0.15 to 0.7: glass densifies to 90 % at 360 MPa
    ionic_conductivity=0.125,  # [S/m] Alabdali 2024, by the supplier; 0.10 to 0.30 elsewhere
    electronic_conductivity=4e-7,  # [S/m] 4.1e-9 S/cm, second-hand, source not recorded: assumed
)

LI3PS4_GLASS = Solid(
    name="Li3PS4 glass",
    density=1870.0,  # [kg/m3] Sakuda 2013, second-hand
    elasticity=Elasticity(
        young_modulus=24e9,  # [Pa] Sakuda 2013, second-hand; indentation 18.5 by McGrogan 2017
        poisson_ratio=0.3,  # [-] assumed, 0.27 to 0.30
    ),
    hardness=1.9e9,  # [Pa] McGrogan 2017, second-hand
    fracture_toughness=0.23e6,  # [Pa m^0.5] McGrogan 2017 (from memory)
    ionic_conductivity=0.031,  # [S/m] Sakuda 2013, second-hand; up to 0.039
)

LGPS = Solid(
    name="Li10GeP2S12",
    density=2040.0,  # [kg/m3] from memory: assumed
    elasticity=Elasticity(
        young_modulus=37.2e9,  # [Pa] Koerver 2018, second-hand
        poisson_ratio=0.3,  # [-] Koerver 2018, second-hand
    ),
    ionic_conductivity=0.32,  # [S/m] Kato 2018 by Bielefeld 2020; up to 1.2
)

LSIPSCL = Solid(
    name="Li9.54Si1.74P1.44S11.7Cl0.3",
    density=1900.0,  # [kg/m3] assumed
    elasticity=Elasticity(
        young_modulus=37.2e9,  # [Pa] assumed as LGPS
        poisson_ratio=0.3,  # [-] assumed as LGPS
    ),
    ionic_conductivity=2.5,  # [S/m] Kato 2016 by Bielefeld 2020
)

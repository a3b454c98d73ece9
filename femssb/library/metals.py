"""Metals: the lithium anode.

- Koerver 2018: doi 10.1039/c8ee00907d, Table 1, second-hand
- Masias 2019: stress-strain behaviour of lithium metal, second-hand
"""

from femssb.inputs.elasticity import Elasticity
from femssb.inputs.materials import Solid

LITHIUM = Solid(
    name="lithium",
    density=534.0,  # [kg/m3] handbook value (from memory)
    elasticity=Elasticity(
        young_modulus=4.9e9,  # [Pa] Koerver 2018
        poisson_ratio=0.42,  # [-] Koerver 2018
    ),
    yield_strength=0.7e6,  # [Pa] Masias 2019, 0.6 to 0.8
    electronic_conductivity=1.08e7,  # [S/m] handbook value (from memory)
    lithium_molar_volume=13.0e-6,  # [m3/mol] derived: molar mass over density; also in PyBaMM
)

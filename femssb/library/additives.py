"""Conductive additives and binders.

"second-hand": taken from a digest of the named work, not from the work itself.

- Alabdali 2023: "Three-Dimensional Physical Modeling of the Wet Manufacturing Process of
  Solid-State Battery Electrodes"
- Alabdali 2024: "Experimental and Computational Analysis of Slurry-Based Manufacturing of
  Solid-State Battery Composite Cathode"
- Bielefeld 2020: doi 10.1021/acsami.9b22788
- Gibson 1997: L. J. Gibson, M. F. Ashby, Cellular Solids, second-hand; open cells: modulus
  (1 - e)^2 and strength 0.3 (1 - e)^1.5 of the dense solid, at a porosity e
- Iyer 2023: A. H. S. Iyer et al., Mater. Sci. Eng. A, doi 10.1016/j.msea.2023.145352, second-hand,
  of its abstract: hardness of the binder between NCM622 grains of an electrode
"""

from femssb.inputs.elasticity import Elasticity
from femssb.inputs.materials import Solid

CARBON_BLACK = Solid(
    name="carbon black",
    density=1900.0,  # [kg/m3] from memory: assumed
    elasticity=Elasticity(
        young_modulus=15e9,  # [Pa] assumed, 5 to 30
        poisson_ratio=0.3,  # [-] assumed
    ),
    ionic_conductivity=0.0,  # [S/m] assumed: conducts no lithium
    electronic_conductivity=100.0,  # [S/m] from memory, up to 1000: assumed
)

CBD = Solid(
    name="carbon-binder domain",
    density=900.0,  # [kg/m3] Alabdali 2023, with its 50 % of nanopores; 900 to 950 when dry
    elasticity=Elasticity(
        young_modulus=0.5e9,  # [Pa] 2 GPa dense (assumed, 1 to 3) by Gibson 1997, second-hand
        poisson_ratio=0.3,  # [-] assumed
    ),
    yield_strength=25e6,  # [Pa] 0.65 +- 0.25 GPa / 2.8 by Iyer 2023 and Gibson 1997, second-hand
    ionic_conductivity=0.0,  # [S/m] assumed: conducts no lithium
    electronic_conductivity=15.93,  # [S/m] Alabdali 2023 and 2024
)

PVDF = Solid(
    name="PVDF",
    density=1780.0,  # [kg/m3] Bielefeld 2020
    ionic_conductivity=0.0,  # [S/m] assumed: an insulator
    electronic_conductivity=0.0,  # [S/m] assumed: an insulator
)

NBR = Solid(
    name="NBR",
    density=1000.0,  # [kg/m3] Bielefeld 2020
    ionic_conductivity=0.0,  # [S/m] assumed: an insulator
    electronic_conductivity=0.0,  # [S/m] assumed: an insulator
)

SBS = Solid(
    name="SBS",
    density=940.0,  # [kg/m3] from memory: assumed
    ionic_conductivity=0.0,  # [S/m] assumed: an insulator
    electronic_conductivity=0.0,  # [S/m] assumed: an insulator
)

"""How thick may a composite cathode be, and how full of active material, at a wanted C-rate?

Teaches generated microstructures, a study of measurements, and estimates from them: the question of
Bielefeld, Weber and Janek (2020, doi:10.1021/acsami.9b22788, section 3.3). For every composition
electrodes are generated, spheres in a sulfide with 15 % of void, and measured; a modified Bruggeman
relation gives the C-rate at which the ions lose 0.1 V::

    python demos/composite_cathode_design.py --jobs 2
"""

import sys
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import femssb
from femssb import plotting
from femssb.electrode import CompositeCathode, fit_power_law
from femssb.packing import ListedSizes
from femssb.studies import Measurement, Study, Table, perform
from femssb.units import cm2, hour, mA, um
from femssb.voxels import Composite, active_interface, conductivity, find_networks

SHARES = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7)  # of active material in the solids
VOID, DROP = 0.15, 0.1  # [-], voltage that the ions may lose [V]
LGPS = 0.32  # conductivity of the electrolyte [S/m] by Kato et al. 2018
NCM811 = {"specific_capacity": 196 * hour, "density": 4760.0}  # 196 mAh/g, 4.76 g/cm3
SAME = {"void": VOID, "conductivity": LGPS, **NCM811}


def measure(recipe):
    image = recipe.generate()
    networks = find_networks(image)
    ionic = conductivity(image, {"SE": LGPS})  # AM conducts ions 10^4 times worse
    return {
        "SE share of the electrode [-]": ionic.fractions["SE"],
        "SE utilisation [-]": networks.utilisation()["SE"],
        "Active interface [1/m]": active_interface(networks).per_volume,
        "Ionic conductivity [S/m]": ionic.value,
        "Tortuosity factor [-]": ionic.tortuosity().tau_squared,
    }


def cathodes(electrodes, share, thickness):
    """Return cathodes by the relation that fits the electrodes."""
    names = ("SE share of the electrode [-]", "Tortuosity factor [-]")
    pairs = np.array([[numbers[name] for name in names] for numbers in electrodes.values()])
    law = fit_power_law(*pairs[np.isfinite(pairs[:, 1])].T)
    factor = np.maximum(law((1 - share) * (1 - VOID)), 1.0)
    given = {"thickness": thickness, "active_share": share, "electrolyte_share": 1 - share}
    return CompositeCathode(**given, tortuosity_factor=factor, **SAME)


def draw(electrodes):
    share, thickness = np.linspace(SHARES[0], SHARES[-1], 101), np.linspace(30, 300, 136)
    rate = cathodes(electrodes, share[:, None], thickness * um).c_rate(DROP)
    figure = Figure(figsize=(4.4, 3.2), layout="constrained")
    axes = figure.subplots()
    levels = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
    shown = axes.contourf(thickness, share, rate, levels=levels, norm=LogNorm(), extend="both")
    figure.colorbar(shown, label="C-rate [1/h]", ticks=levels, format="%g")
    axes.set(xlabel="Thickness [um]", ylabel="AM share of the solids [-]")
    return figure


def at_1c(electrodes):
    share, thin = np.array(SHARES), 100 * um  # the rate falls with its square, equation 17
    thickness = thin * cathodes(electrodes, share, thin).c_rate(DROP) ** 0.5
    capacity = cathodes(electrodes, share, thickness).areal_capacity / (mA * hour / cm2)
    rows = [[f"{x:.3g}" for x in row] for row in zip(share, thickness / um, capacity, strict=True)]
    return [Table(["AM share [-]", "Thickness at 1C [um]", "Capacity [mAh/cm2]"], rows)]


def main(
    spacing: Annotated[float, "um", "edge of a voxel"] = 0.25 * um,
    box: Annotated[float, "um", "edge of an electrode"] = 30 * um,
    realisations: Annotated[int, "electrodes per composition"] = 2,
    jobs: Annotated[int, "electrodes at a time"] = 1,
    out: Annotated[Path, "folder for the results"] = Path("results/composite_cathode_design"),
):
    same = {"active": ListedSizes(diameters=(5 * um,)), "void": VOID, "lengths": (box, box, box)}
    cases = []
    for share, seed in product(SHARES, range(1, realisations + 1)):
        made = {"recipe": Composite(active_share=share, seed=seed, spacing=spacing, **same)}
        cases.append(Measurement(name=f"{share:g}, {seed}", function=measure, arguments=made))

    def figures(electrodes, folder):
        return [plotting.save(folder / "design.png", draw, electrodes)]

    given = {"cases": cases, "figures": figures, "tables": at_1c}
    perform(Study(name="design", title="Composite cathodes", **given), out=out, jobs=jobs)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

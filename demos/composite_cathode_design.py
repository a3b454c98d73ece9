"""How thick may a composite cathode be, and how full of active material, at a wanted C-rate?

The question of Bielefeld, Weber and Janek (paper 004, doi:10.1021/acsami.9b22788, section 3.3). For
every composition electrodes are generated, spheres of active material in a sulfide with 15 % of
void, and measured: what is connected, where lithium can go in, how tortuous the way of the ions is.
A modified Bruggeman relation through the tortuosity factors turns this into a map: the C-rate at
which the ions lose 0.1 V, for any thickness and composition.

Coarse voxels close narrow ways: with 70 % of active material tau^2 is 5.6 in voxels of 0.5 um and
4.4 in those of 0.25 um (4.2 in the paper, in voxels of 0.2 um).
"""

import csv
import sys
from argparse import ArgumentDefaultsHelpFormatter
from pathlib import Path

import numpy as np

from femssb.__main__ import Parser, exit_code
from femssb.electrode.estimates import CompositeCathode, fit_power_law
from femssb.environment.files import make_folder
from femssb.errors import check_number
from femssb.packing import ListedSizes
from femssb.plotting.curves import BLUE, VERMILION
from femssb.plotting.runs import STYLE
from femssb.units import cm2, hour, mA, um
from femssb.voxels.conduct.conduction import conductivity
from femssb.voxels.make.composite import Composite
from femssb.voxels.measure.areas import active_interface
from femssb.voxels.measure.clusters import find_networks

SHARES = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7)  # of active material in the solids
VOID = 0.15
LGPS = 0.32  # conductivity of the electrolyte [S/m], Kato et al. 2018
NCM811 = {"specific_capacity": 196 * hour, "density": 4760.0}  # 196 mAh/g, 4.76 g/cm3
COLUMNS = (
    "AM share of the solids [-]",
    "Seed",
    "SE share of the electrode [-]",
    "AM utilisation [-]",
    "SE utilisation [-]",
    "Active interface [1/m]",
    "Ionic conductivity [S/m]",
    "Tortuosity factor [-]",
)


def main(
    diameter=5 * um,
    box=30 * um,
    spacing=0.25 * um,
    realisations=2,
    voltage_drop=0.1,
    out="results/composite_cathode_design",
    picture=True,
):
    """Measure the electrodes, fit, and write a table and the map to a folder."""
    check_number("main", "realisations", realisations, lower=1)
    check_number("main", "voltage_drop", voltage_drop, above=0, unit="V")
    folder = make_folder(Path(out))
    rows = []
    for share in SHARES:
        for seed in range(1, realisations + 1):
            rows.append(measure(share, diameter, box, spacing, seed))
            print("  ".join(f"{value:.4g}" for value in rows[-1]), flush=True)
    with open(folder / "electrodes.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    table = np.array(rows)
    electrolyte, factor = table[:, 2], table[:, 7]
    conducts = np.isfinite(factor)
    law = fit_power_law(electrolyte[conducts], factor[conducts])
    report(law, voltage_drop)
    if picture:
        draw(folder / "design.png", electrolyte, factor, law, voltage_drop)
    return table, law


def measure(share, diameter, box, spacing, seed):
    """Return a row of the table: what one generated electrode is like."""
    image = Composite(
        active=ListedSizes(diameters=(diameter,)),
        active_share=share,
        void=VOID,
        lengths=(box, box, box),
        spacing=spacing,
        seed=seed,
    ).generate()
    networks = find_networks(image)
    utilisation = networks.utilisation()
    # The active material conducts ions 10^4 times worse: it is left out.
    ionic = conductivity(image, {"SE": LGPS}, axis="z")
    return (
        share,
        seed,
        ionic.fractions["SE"],
        utilisation["AM"],
        utilisation["SE"],
        active_interface(networks).per_volume,
        ionic.value,
        ionic.tortuosity().tau_squared,
    )


def cathode(law, share, thickness):
    """Return the electrode that the fitted relation stands for; arrays broadcast."""
    return CompositeCathode(
        thickness=thickness,
        active_share=share,
        electrolyte_share=1 - share,
        void=VOID,
        tortuosity_factor=np.maximum(law((1 - share) * (1 - VOID)), 1.0),
        conductivity=LGPS,
        **NCM811,
    )


def report(law, voltage_drop):
    """Print the fit, and the thickness and capacity that each composition allows at 1C."""
    low, high = law.exponent_interval
    print(
        f"\ntau^2 = {law.prefactor:.3f} eps^-{law.exponent:.2f} "
        f"({law.confidence:.0%} of the exponent: {low:.2f} to {high:.2f})\n\nAt 1C:"
    )
    for share in SHARES:
        reference = cathode(law, share, 100 * um)
        # The rate falls with the square of the thickness, equation 17.
        allowed = 100 * um * float(np.sqrt(reference.c_rate(voltage_drop)))
        capacity = float(cathode(law, share, allowed).areal_capacity)
        print(
            f"  AM share {share:.0%}: {allowed / um:4.0f} um, "
            f"{capacity / (mA * hour / cm2):.2f} mAh/cm2"
        )


def draw(path, electrolyte, factor, law, voltage_drop):
    """Draw the tortuosity factors with their fit, and the map."""
    import matplotlib as mpl
    from matplotlib import pyplot

    shares = np.linspace(min(SHARES), max(SHARES), 101)[:, None]
    thickness = np.linspace(30, 300, 136)[None, :] * um
    design = cathode(law, shares, thickness)
    with mpl.rc_context(STYLE):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(7.4, 3.2), layout="constrained")
        line = np.linspace(electrolyte.min(), electrolyte.max(), 100)
        left.plot(electrolyte, factor, "o", color=BLUE, markersize=4, label="electrodes")
        left.plot(
            line,
            law(line),
            color=BLUE,
            label=rf"{law.prefactor:.2f} $\varepsilon^{{-{law.exponent:.2f}}}$",
        )
        left.plot(line, line**-0.5, "--", color=VERMILION, label="Bruggeman")
        left.set_xlabel("SE share of the electrode [-]")
        left.set_ylabel(r"Tortuosity factor $\tau^2$ [-]")
        left.legend()
        across, up = thickness[0] / um, shares[:, 0]
        rate = design.c_rate(voltage_drop)
        levels = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
        filled = right.contourf(
            across,
            up,
            rate,
            levels=levels,
            norm=mpl.colors.LogNorm(),
            cmap="viridis",
            extend="both",
        )
        figure.colorbar(filled, ax=right, label="C-rate [1/h]", ticks=levels, format="%g")
        capacity = design.areal_capacity / (mA * hour / cm2)
        held = [2, 4, 6, 8, 10]
        lines = right.contour(across, up, capacity, levels=held, colors="white", linewidths=0.8)
        middle = len(up) // 2
        places = [(np.interp(level, capacity[middle], across), up[middle]) for level in held]
        right.clabel(lines, fmt="%g mAh/cm$^2$", fontsize=7, manual=places)
        right.set_xlabel("Thickness [um]")
        right.set_ylabel("AM share of the solids [-]")
        figure.savefig(path, dpi=220)
        pyplot.close(figure)


def command():
    """Make the map that the arguments ask for."""
    parser = Parser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--diameter", type=float, default=5.0, help="of the active material [um]")
    parser.add_argument("--box", type=float, default=30.0, help="edge of an electrode [um]")
    parser.add_argument("--spacing", type=float, default=0.25, help="edge of a voxel [um]")
    parser.add_argument("--realisations", type=int, default=2, help="electrodes per composition")
    parser.add_argument(
        "--voltage-drop", type=float, default=0.1, help="that the ions may lose [V]"
    )
    parser.add_argument("--out", default="results/composite_cathode_design", help="folder to write")
    parser.add_argument("--no-picture", action="store_true", help="write the table only")
    given = parser.parse_args()
    main(
        diameter=given.diameter * um,
        box=given.box * um,
        spacing=given.spacing * um,
        realisations=given.realisations,
        voltage_drop=given.voltage_drop,
        out=given.out,
        picture=not given.no_picture,
    )


if __name__ == "__main__":
    sys.exit(exit_code(command))

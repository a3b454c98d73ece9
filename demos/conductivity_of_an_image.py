"""The conductivity and tortuosity of an electrode from a TIFF stack, with a picture of the current.

What it takes is three lines:

    image = read_image("electrode.tif", phase_names={0: "void", 1: "AM", 2: "SE"}, spacing=0.4e-6)
    found = conductivity(image, {"SE": 0.32, "AM": 1e-5}, axis="z")
    print(found)

Without an image, an example is made first: spheres of active material in a sulfide with voids,
as a TIFF that Fiji opens, too.
"""

import sys
from argparse import ArgumentDefaultsHelpFormatter
from pathlib import Path

import numpy as np

from femssb.__main__ import Parser, exit_code
from femssb.environment.files import make_folder
from femssb.errors import InputError
from femssb.packing import ListedSizes
from femssb.plotting.runs import DOTS_PER_INCH, STYLE
from femssb.units import um
from femssb.voxels import Composite, conductivity, read_image, write_image

SULFIDE, OXIDE = 0.32, 1e-5  # of the electrolyte and, for ions, of the active material [S/m]
SHADES = ("white", "0.55", "#E6C36A", "#7A5195", "#4C9F70")  # of the phases: void, then the rest


def main(
    path=None,
    phase_names=None,
    conductivities=None,
    spacing=None,
    axis="z",
    sides=None,
    out="results/conductivity_of_an_image",
    picture=True,
):
    """Solve for the flux through the image, print what it means, and draw it."""
    folder = make_folder(Path(out))
    if path is None:
        path = example(folder)
    image = read_image(path, phase_names=phase_names, spacing=spacing)
    sigma = conductivities or {"SE": SULFIDE, "AM": OXIDE}
    found = conductivity(image, sigma, axis=axis, sides=sides, maps=picture)
    print(found)
    if picture and found.percolates:
        print(draw(folder / "current.png", image, found))
    return found


def example(folder):
    """Write a TIFF of a composite cathode and return its name."""
    cathode = Composite(
        active=ListedSizes(diameters=(7 * um, 5 * um), numbers=(1, 2)),
        active_share=0.6,
        void=0.15,
        lengths=(24 * um, 24 * um, 30 * um),
        spacing=0.4 * um,
    )
    return write_image(cathode.generate(), folder / "example.tif")


def draw(path, image, found):
    """Draw the phases, the potential and the current density in a section; return the path."""
    import matplotlib as mpl
    from matplotlib import pyplot

    flux = "xyz".index(found.axis)
    across = (flux + 1) % 3  # horizontal; the flux runs upward, the third axis into the page

    def section(values):
        middle = values.take(values.shape[3 - flux - across] // 2, axis=3 - flux - across)
        return middle if flux < across else middle.T

    width, height = image.lengths[across] / um, image.lengths[flux] / um
    phases = section(image.labels)
    potential = section(found.maps.potential)
    speed = section(np.linalg.norm(found.maps.current_density, axis=3))
    speed /= found.value / image.lengths[flux]  # the mean over the box
    extent = (0, width, 0, height)
    options = {"origin": "lower", "extent": extent, "interpolation": "nearest"}
    with mpl.rc_context(STYLE):
        size = (7.6, 1.1 + 1.9 * height / width)
        figure, panels = pyplot.subplots(1, 3, figsize=size, layout="constrained", sharey=True)
        names = image.phase_names
        shades = mpl.colors.ListedColormap((SHADES * len(names))[: len(names)])
        shown = panels[0].imshow(phases, cmap=shades, vmin=-0.5, vmax=len(names) - 0.5, **options)
        bar = figure.colorbar(shown, ax=panels[0], location="top", ticks=range(len(names)))
        bar.ax.set_xticklabels(names)
        shown = panels[1].imshow(potential, cmap="viridis", vmin=0, vmax=1, **options)
        panels[1].contour(
            potential, levels=np.arange(0.1, 1, 0.1), extent=extent, colors="k", linewidths=0.5
        )
        figure.colorbar(shown, ax=panels[1], location="top", label="Potential [V]")
        norm = mpl.colors.LogNorm(0.03, 10)
        flowing = np.ma.masked_less_equal(speed, 0)
        shown = panels[2].imshow(flowing, cmap="magma", norm=norm, **options)
        label = "Current density over its mean [-]"
        figure.colorbar(shown, ax=panels[2], location="top", label=label, extend="both")
        for panel in panels:
            panel.set_xlabel(f"{'xyz'[across]} [um]")
            panel.set_facecolor("0.9")
        panels[0].set_ylabel(f"{found.axis} [um]")
        figure.savefig(path, dpi=DOTS_PER_INCH)
        pyplot.close(figure)
    return path


def pairs(texts, kind):
    """Return ``NAME=NUMBER`` or ``VALUE=NAME`` arguments as a dictionary."""
    found = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign:
            raise InputError(f"{text!r} must read {kind}")
        found[key] = value
    return found


def number(text, owner):
    """Return a number that was given as text."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{owner} = {text!r} must be a number") from None


def command():
    """Treat the image that the arguments name."""
    parser = Parser(description=__doc__, formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("image", nargs="?", help="TIFF stack, folder of planes, .npy, .vti or .h5")
    parser.add_argument(
        "--phases", nargs="+", default=[], metavar="VALUE=NAME", help="grey values, as 0=void 1=AM"
    )
    parser.add_argument(
        "--conductivities", nargs="+", default=[], metavar="NAME=S/m", help="as SE=0.32 AM=1e-5"
    )
    parser.add_argument("--spacing", type=float, help="edge of a voxel, if the file lacks it [um]")
    parser.add_argument("--axis", default="z", choices=("x", "y", "z"), help="of the flux")
    parser.add_argument("--sides", choices=("periodic", "insulating"), help="if not as the image")
    parser.add_argument("--out", default="results/conductivity_of_an_image", help="folder to write")
    parser.add_argument("--no-picture", action="store_true", help="print the numbers only")
    given = parser.parse_args()
    names = pairs(given.phases, "VALUE=NAME")
    sigma = pairs(given.conductivities, "NAME=S/m")
    main(
        given.image,
        phase_names={int(number(v, "--phases")): name for v, name in names.items()} or None,
        conductivities={name: number(v, "--conductivities") for name, v in sigma.items()},
        spacing=None if given.spacing is None else given.spacing * um,
        axis=given.axis,
        sides=given.sides,
        out=given.out,
        picture=not given.no_picture,
    )


if __name__ == "__main__":
    sys.exit(exit_code(command))

"""The conductivity and tortuosity of an electrode from a TIFF stack, with a picture of the current.

Teaches how an image is read, named and solved; the work is three lines::

    image = read_image("electrode.tif", phase_names={0: "void", 1: "AM", 2: "SE"}, spacing=0.4e-6)
    found = conductivity(image, {"SE": 0.32, "AM": 1e-5}, axis="z")
    print(found)

Without an image, an example is made first, as a TIFF that Fiji opens, too::

    python demos/conductivity_of_an_image.py --image electrode.tif --spacing 0.4 \
        --phases 0=void 1=AM 2=SE --conductivities SE=0.32 AM=1e-5
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import femssb
from femssb import InputError, plotting
from femssb.packing import ListedSizes
from femssb.units import um
from femssb.voxels import Composite, conductivity, impedance_tortuosity, read_image, write_image


def example(folder):
    """Write a TIFF of a composite cathode and return its name."""
    cathode = Composite(
        active=ListedSizes(diameters=(7 * um, 5 * um), numbers=(1, 2)),
        active_share=0.6,
        lengths=(24 * um, 24 * um, 30 * um),
        spacing=0.4 * um,
    )
    folder.mkdir(parents=True, exist_ok=True)
    return write_image(cathode.generate(), folder / "example.tif")


def draw(image, found):
    """Draw phases, potential and current density in a section; the flux runs upward."""
    flux = "xyz".index(found.axis)
    across, depth = (flux + 1) % 3, (flux + 2) % 3

    def section(values):
        middle = values.take(values.shape[depth] // 2, axis=depth)
        return middle if flux < across else middle.T

    width, height = (image.lengths[axis] / um for axis in (across, flux))
    speed = section(np.linalg.norm(found.maps.current_density, axis=3))
    speed = np.ma.masked_less_equal(speed * image.lengths[flux] / found.value, 0)
    panels = {
        "Phases: " + ", ".join(image.phase_names): (section(image.labels), {"cmap": "cividis"}),
        "Potential [V]": (section(found.maps.potential), {"cmap": "viridis"}),
        "Current density over its mean": (speed, {"cmap": "magma", "norm": LogNorm(0.03, 10)}),
    }
    figure = Figure(figsize=(7.6, 1 + 2 * height / width), layout="constrained")
    for axes, (label, (values, how)) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        shown = axes.imshow(values, origin="lower", extent=(0, width, 0, height), **how)
        figure.colorbar(shown, ax=axes, location="top", label=label)
        axes.set(xlabel=f"{'xyz'[across]} [um]", ylabel=f"{found.axis} [um]", facecolor="0.9")
    return figure


def pairs(option, texts, key, value):
    try:
        return {key(left): value(right) for left, right in (text.split("=") for text in texts)}
    except ValueError:
        raise InputError(f"{option}: each of {' '.join(texts)!r} must read KEY=VALUE") from None


def main(
    image: Annotated[Path | None, "any file that read_image takes, or a folder of planes"] = None,
    phases: Annotated[tuple[str, ...], "names of grey values, as 0=void 1=AM"] = (),
    conductivities: Annotated[tuple[str, ...], "in S/m, as SE=0.32"] = ("SE=0.32", "AM=1e-5"),
    spacing: Annotated[float | None, "um", "edge of a voxel, if the file lacks it"] = None,
    axes: Annotated[str | None, "that its indices count, as zyx, if the file lacks it"] = None,
    axis: Annotated[Literal["x", "y", "z"], "of the flux"] = "z",
    sides: Annotated[Literal["periodic", "insulating"] | None, "if not as the image"] = None,
    blocking: Annotated[str | None, "phase whose blocking symmetric cell is solved, too"] = None,
    out: Annotated[Path, "folder for the results"] = Path("results/conductivity_of_an_image"),
    picture: Annotated[bool, "draw the current"] = True,
):
    names = pairs("--phases", phases, int, str) or None
    sigma = pairs("--conductivities", conductivities, str, float)
    path = image or example(Path(out))
    voxels = read_image(path, phase_names=names, spacing=spacing, axes=axes)
    found = conductivity(voxels, sigma, axis=axis, sides=sides, maps=picture)
    print(found)
    if blocking is not None:
        print(impedance_tortuosity(voxels, blocking, axis=axis, sides=sides))
    if picture and found.percolates:
        print(plotting.save(Path(out) / "current.png", draw, voxels, found))


if __name__ == "__main__":
    sys.exit(femssb.command(main))

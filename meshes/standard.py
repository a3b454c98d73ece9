"""The standard half-cells, and the small meshes of them that tests read.

    python meshes/standard.py

writes the meshes into this folder again; on the same version of Gmsh they come out the same.
"""

from __future__ import annotations

from pathlib import Path

from femssb.inputs.geometry import HalfCell, Polycrystal
from femssb.meshing import mesh, write
from femssb.units import um

# one particle of 53 grains in the middle of the cathode: the case of Yuan, Lu and Xu (2023);
# thicknesses of the layers are assumed, the other lengths are theirs
BASELINE = HalfCell(
    width=15 * um,
    cathode=15 * um,
    separator=10 * um,
    particles=(Polycrystal(radius=5 * um, grains=53, seed=1),),
)

# the same particle as one crystal: what grain boundaries and random orientations do is missing
SINGLE_CRYSTAL = HalfCell(particles=(Polycrystal(radius=5 * um, grains=1, seed=1),))

# two particles whose centres are 12 um apart along the current, as in their two-particle case
TWO_PARTICLES = HalfCell(
    cathode=27 * um,
    particles=(
        Polycrystal(radius=5 * um, grains=53, seed=1, centre=(0.0, 0.0, 7.5 * um)),
        Polycrystal(radius=5 * um, grains=53, seed=2, centre=(0.0, 0.0, 19.5 * um)),
    ),
)

# few grains and a thin separator: coarse meshes for tests
SMALL = HalfCell(
    width=12 * um,
    cathode=12 * um,
    separator=3 * um,
    particles=(Polycrystal(radius=5 * um, grains=6, seed=1),),
)

SMALL_MESHES = {
    "single_crystal_2um": (SINGLE_CRYSTAL, 2.0 * um),
    "six_grains_1.5um": (SMALL, 1.5 * um),
}


def main() -> None:
    """Write the small meshes into this folder."""
    folder = Path(__file__).parent
    for name, (cell, size) in SMALL_MESHES.items():
        write(mesh(cell, size=size), folder / f"{name}.msh")


if __name__ == "__main__":
    main()

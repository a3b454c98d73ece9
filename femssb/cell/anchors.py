"""What keeps a particle in its place when it has come loose all round.

A failed interface transmits nothing while it is open: a particle with no other has no place of its
own, and the matrix of equilibrium would be singular. It counts as loose whatever its contacts hold,
as a cluster of particles may come loose as a whole. Weak springs in its volume, to where it was at
the start of the time step, then keep its mean place and turn. They are moved along with it, solve
by solve, until they carry nothing: so they change no stress and take no energy.
"""

import femssb.environment.platform

import numpy as np
from dolfinx import fem

from femssb.arrays import Array, Indices
from femssb.cell.bodies import Bodies
from femssb.cell.regions import LITHIUM
from femssb.tetrahedra import volumes

_SHARE = 1e-2  # stiffness of all springs over that of the particle itself, modulus times size
_LOOSE = 1e-2  # area mean of the share of the fracture energy left, below which one is let go


class Anchors:
    """The springs of all particles; each rank has those of its own cells."""

    def __init__(self, bodies: Bodies, space: fem.FunctionSpace, stiffness: fem.Function) -> None:
        """Lay the springs out; collective.

        Args:
            bodies: The particles are one of them.
            space: Of the displacement of the particles.
            stiffness: (6, 6) of their cells [Pa].
        """
        part, data, self._comm = bodies.domains[LITHIUM], bodies.data, bodies.comm
        owned, geometry = part.mesh.topology.index_map(3).size_local, part.mesh.geometry
        of_cell = data.grain_particle[np.searchsorted(data.grain_tags, part.cell_tags[:owned])]
        self._count = count = int(data.grain_particle.max()) + 1
        volume = volumes(geometry.x, geometry.dofmap[:owned])
        modulus = stiffness.x.array[stiffness.function_space.dofmap.list[:owned, 0] * 36]
        sums = [np.bincount(of_cell, w, count) for w in (volume, volume * modulus)]
        whole, strength = np.asarray(self._comm.allreduce(np.array(sums)))
        by_volume = (_SHARE * strength / whole ** (5 / 3))[of_cell] * volume  # [N/m] in each cell

        cells = space.dofmap.list[:owned]
        self._nodes, place = np.unique(cells, return_inverse=True)
        shares = np.repeat(by_volume / cells.shape[1], cells.shape[1])
        self._springs = np.bincount(place.ravel(), shares, len(self._nodes))
        particle = np.zeros(len(self._nodes), np.int64)
        particle[place.reshape(cells.shape)] = of_cell[:, None]
        self._particle = particle
        self._loose = np.zeros(count, bool)

        rows = [surface for surface in bodies.surfaces if surface.name in bodies.cohesive]
        sizes = [bodies.points[row.name].weights.size for row in rows]
        sides = [[bodies.particles_at(row.name, "minus") for row in rows]]
        sides += [[bodies.particles_at(row.name, "plus") for row in rows]]
        self._sides = [np.concatenate(side) for side in sides]
        self._weights = bodies.weights
        outside = [row.name in bodies.outside for row in rows]
        self._outside = self._weights * np.repeat(outside, sizes)
        self._area = self._sums(self._weights)

    def release(self, spent: Array) -> bool:
        """Find the loose particles, and return whether they are others than before; collective.

        The share of the fracture energy that is spent is given at the cohesive points, (n,).
        """
        left = self._sums(self._outside * (1.0 - spent))
        before, self._loose = self._loose, left < _LOOSE * self._area
        return bool((before != self._loose).any())

    def triplets(self, numbers: Indices) -> tuple[Indices, Indices, Array]:
        """Return rows, columns and values of their matrix, given the number of each component."""
        diagonal = numbers[3 * self._nodes[:, None] + np.arange(3)].ravel()
        return diagonal, diagonal, self.values()

    def values(self) -> Array:
        """Return the values of `triplets`: zero for a particle that is not loose [N/m]."""
        return np.repeat(self._springs * self._loose[self._particle], 3)

    def force(self, displacement: Array) -> Array:
        """Return the forces, unrolled, that pull the nodes to such a displacement [N]."""
        forces = np.zeros_like(displacement)
        unrolled = (3 * self._nodes[:, None] + np.arange(3)).ravel()
        forces[unrolled] = self.values() * displacement[unrolled]
        return forces

    def _sums(self, values: Array) -> Array:
        here = np.zeros(self._count)
        for particle in self._sides:  # a contact belongs to two of them
            there = particle >= 0
            here += np.bincount(particle[there], weights=values[there], minlength=self._count)
        return np.asarray(self._comm.allreduce(here))

"""What keeps a particle, or a grain, in its place when it has come loose all round.

A failed interface transmits nothing while it is open: a particle with no other has no place of its
own, and the matrix of equilibrium would be singular. It counts as loose whatever its contacts hold,
as a cluster of particles may come loose as a whole. Where grain boundaries can fail a grain is
loose from which no chain of grains that hold leads to an interface that does. Weak springs in its
volume, to where it was at the start of the time step, then keep its mean place and turn. They are
moved along with it, solve by solve, until they carry nothing: so they change no stress and take no
energy.
"""

import femssb.environment.platform

import numpy as np
import scipy.sparse as sp
from dolfinx import fem
from scipy.sparse import csgraph

from femssb.arrays import Array, Indices
from femssb.cell.bodies import DISPLACEMENT, Bodies
from femssb.cell.regions import LITHIUM
from femssb.cell.surfaces import CONTACT
from femssb.tetrahedra import volumes

_SHARE = 1e-2  # stiffness of all springs over that of the particle itself, modulus times size
_LOOSE = 1e-2  # area mean of the share of the fracture energy left, below which one is let go


class Anchors:
    """The springs of all pieces; each rank has those of its own cells."""

    def __init__(self, bodies: Bodies, space: fem.FunctionSpace, stiffness: fem.Function) -> None:
        """Lay the springs out; collective.

        Args:
            bodies: The particles are one of them.
            space: Of the displacement of the particles.
            stiffness: (6, 6) of their cells [Pa].
        """
        part, data, self._comm = bodies.domains[LITHIUM], bodies.data, bodies.comm
        owned, geometry = part.mesh.topology.index_map(3).size_local, part.mesh.geometry
        by_grain = bodies.pieces[DISPLACEMENT] == "grain"
        piece = bodies.grain_of if by_grain else bodies.particle_of
        of_cell = piece(part.cell_tags[:owned])
        self._count = count = int(piece(data.grain_tags).max()) + 1
        volume = volumes(geometry.x, geometry.dofmap[:owned])
        modulus = stiffness.x.array[stiffness.function_space.dofmap.list[:owned, 0] * 36]
        sums = [np.bincount(of_cell, w, count) for w in (volume, volume * modulus)]
        whole, strength = np.asarray(self._comm.allreduce(np.array(sums)))
        by_volume = (_SHARE * strength / whole ** (5 / 3))[of_cell] * volume  # [N/m] in each cell

        cells = space.dofmap.list[:owned]
        self._nodes, place = np.unique(cells, return_inverse=True)
        shares = np.repeat(by_volume / cells.shape[1], cells.shape[1])
        self._springs = np.bincount(place.ravel(), shares, len(self._nodes))
        piece_of_node = np.zeros(len(self._nodes), np.int64)
        piece_of_node[place.reshape(cells.shape)] = of_cell[:, None]
        self._piece = piece_of_node
        self._loose = np.zeros(count, bool)

        rows = [surface for surface in bodies.surfaces if surface.name in bodies.cohesive]
        sizes = [bodies.points[row.name].weights.size for row in rows]
        at = bodies.grains_at if by_grain else bodies.particles_at
        one, other = (
            np.concatenate([at(row.name, side) for row in rows]) for side in ("minus", "plus")
        )
        other = np.where(other < 0, count, other)  # the matrix, too, is a piece
        holds = np.repeat([row.name != CONTACT for row in rows], sizes)
        area = self._sums(one, bodies.weights) + self._sums(other, bodies.weights)
        area[count] = np.inf
        pair = np.minimum(one, other) * (count + 1) + np.maximum(one, other)
        here = np.unique(pair[holds])
        pairs = np.unique(np.concatenate(self._comm.allgather(here)))
        self._pair = np.searchsorted(pairs, pair)
        self._pair[~holds] = 0
        self._ends = pairs // (count + 1), pairs % (count + 1)
        self._weights = bodies.weights * holds
        self._least = _LOOSE * np.minimum(*(area[end] for end in self._ends))

    def release(self, spent: Array) -> bool:
        """Find the loose pieces, and return whether they are others than before; collective.

        The share of the fracture energy that is spent is given at the cohesive points, (n,).
        """
        left = np.bincount(self._pair, self._weights * (1.0 - spent), len(self._least))
        holds = np.asarray(self._comm.allreduce(left)) >= self._least
        one, other = (end[holds] for end in self._ends)
        shape = self._count + 1, self._count + 1
        joined = sp.coo_array((np.ones(len(one)), (one, other)), shape=shape)
        of = csgraph.connected_components(joined, directed=False)[1]
        before, self._loose = self._loose, of[:-1] != of[-1]
        return bool((before != self._loose).any())

    def triplets(self, numbers: Indices) -> tuple[Indices, Indices, Array]:
        """Return rows, columns and values of their matrix, given the number of each component."""
        diagonal = numbers[3 * self._nodes[:, None] + np.arange(3)].ravel()
        return diagonal, diagonal, self.values()

    def values(self) -> Array:
        """Return the values of `triplets`: zero for a piece that is not loose [N/m]."""
        return np.repeat(self._springs * self._loose[self._piece], 3)

    def force(self, displacement: Array) -> Array:
        """Return the forces, unrolled, that pull the nodes to such a displacement [N]."""
        forces = np.zeros_like(displacement)
        unrolled = (3 * self._nodes[:, None] + np.arange(3)).ravel()
        forces[unrolled] = self.values() * displacement[unrolled]
        return forces

    def _sums(self, piece: Indices, values: Array) -> Array:
        here = np.bincount(piece, weights=values, minlength=self._count + 1)
        return np.asarray(self._comm.allreduce(here))

"""The network and its coarser copies, down to one that is solved directly, on any number of ranks.

A rank owns a slab of planes, so it meets only the ranks below and above it. Aggregates never cross
to another rank.
"""

from copy import copy
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from femssb.arrays import Array
from femssb.voxels.conduct.aggregation import OVERCORRECTION, Grouping, aggregate, coarsen, group
from femssb.voxels.conduct.links import Longs
from femssb.voxels.conduct.network import Integers, Network, Single, parts_of

DIRECT = 600, 2000  # largest networks that are solved directly: of small ones, of any [nodes]
CHEAP = 0.01  # share of the nodes up to which that costs little [-]
SLOW = 0.7  # share of nodes left above which blocks are doubled again before they are used [-]


class Halo:
    """Exchange of values at nodes of the ranks below and above."""

    def __init__(self, comm: Any, level: Network) -> None:
        self._comm = comm
        self._asked: dict[int, Integers] = {}  # own nodes that a neighbouring rank needs
        if comm is None:
            return
        below, above = np.split(level.ghosts, [np.searchsorted(level.ghosts, level.first)])
        for wanted, rank in ((below, comm.rank - 1), (above, comm.rank + 1)):
            if 0 <= rank < comm.size:
                theirs = comm.sendrecv(wanted, dest=rank, source=rank)
                self._asked[rank] = (theirs - level.first).astype(np.int32)

    def ghosts(self, own: Any) -> Any:
        """Return the values at the ghosts, given those of all own nodes."""
        parts = [
            self._comm.sendrecv(own[nodes], dest=rank, source=rank)
            for rank, nodes in self._asked.items()
        ]
        return np.concatenate(parts) if parts else own[:0]

    def extend(self, own: Any) -> Any:
        """Return the values at own nodes followed by those at ghosts."""
        return np.concatenate([own, self.ghosts(own)]) if self._asked else own


class Hierarchy:
    """Networks from fine to coarse, of an image whose shape has the flux direction first.

    Attributes:
        comm: Communicator of mpi4py, or None if alone.
        levels: From fine to coarse.
        aggregates: Node of the next level of each node, ghosts included; one fewer than levels.
        groupings: The nodes of each level in their aggregates; one fewer than levels.
        parts: Of each level: see `parts_of`.
        halos: Of each level.
    """

    def __init__(self, level: Network, shape: tuple[int, ...], comm: Any = None) -> None:
        self.comm = comm
        self.levels = [level]
        self.aggregates: list[Integers] = []
        self.groupings: list[Grouping] = []
        self.parts: list[Longs] = []
        self.halos = [Halo(comm, level)]
        largest = max(shape).bit_length()
        direct = np.clip(CHEAP * level.total, *DIRECT)
        for shift in range(1, largest + 1):
            level, halo = self.levels[-1], self.halos[-1]
            if level.total <= direct:
                break
            parts = parts_of(level, shape[1] * shape[2], shift)
            aggregates, firsts = aggregate(parts, level, shift, *shape[1:])
            count = int(firsts[-1])
            counts = [count] if comm is None else comm.allgather(count)
            if sum(counts) > SLOW * level.total and shift < largest:
                continue
            first = sum(counts[: 0 if comm is None else comm.rank])
            theirs = halo.ghosts(aggregates.astype(np.int64) + first)
            ghosts = np.unique(theirs)
            beyond = (count + np.searchsorted(ghosts, theirs)).astype(np.int32)
            aggregates = np.concatenate([aggregates, beyond])
            grouping = group(parts, firsts, aggregates)
            level = coarsen(
                level, grouping, aggregates, ghosts=ghosts, first=first, total=sum(counts)
            )
            self.aggregates.append(aggregates)
            self.groupings.append(grouping)
            self.parts.append(parts)
            self.levels.append(level)
            self.halos.append(Halo(comm, level))
        self.parts.append(np.array([0, self.levels[-1].nodes]))
        self._factor = self._coarsest_factor()

    def grounded(self, ground: Single) -> "Hierarchy":
        """Return the hierarchy of the same nodes with other links to the plates, shape (n,)."""
        other = copy(self)
        other.levels = [self.levels[0]._replace(ground=ground)]
        for coarse, aggregates in zip(self.levels[1:], self.aggregates, strict=True):
            fine = other.levels[-1].ground
            sums = np.bincount(aggregates[: len(fine)], fine, coarse.nodes)
            ground = (OVERCORRECTION * sums).astype(np.float32)
            other.levels.append(coarse._replace(ground=ground))
        other._factor = other._coarsest_factor()
        return other

    def sum(self, value: Any) -> Any:
        """Return the sum over all ranks."""
        return value if self.comm is None else self.comm.allreduce(value)

    def solve_coarsest(self, right: Array) -> Array:
        """Return the potential of the own nodes of the coarsest network for given currents."""
        level = self.levels[-1]
        if self.comm is not None:
            right = np.concatenate(self.comm.allgather(right))
        potential: Array = self._factor.solve(right)
        return potential[level.first : level.first + level.nodes]

    def _coarsest_factor(self) -> SuperLU:
        return splu(
            self._coarsest_matrix(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

    def _coarsest_matrix(self) -> sparse.csc_array:
        level = self.levels[-1]
        number = np.concatenate([level.first + np.arange(level.nodes), level.ghosts])
        rows = np.repeat(number[: level.nodes], np.diff(level.starts))
        columns = number[level.neighbours]
        diagonal = level.ground + np.bincount(rows - level.first, level.conductances, level.nodes)
        parts = [(rows, columns, -level.conductances.astype(np.float64), diagonal)]
        if self.comm is not None:
            parts = self.comm.allgather(parts[0])
        rows, columns, values, diagonal = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        links = sparse.coo_array((values, (rows, columns)), shape=(level.total, level.total))
        return (links + sparse.diags_array(diagonal)).tocsc()

"""One numbering of all unknowns in which every constraint is already built in.

A *field* is a DOLFINx function space. Each of its degrees of freedom is free, fixed at zero, the
periodic image of another, or tied to a group that moves as one (a rigid plate, an equipotential).
All of these say that a full vector is ``P reduced``, where every row of the prolongation P holds
one 1 or nothing; so P is stored as what it is: for each degree of freedom, the index of its
unknown, or -1. Then ``P^T A P`` is a relabelling of the entries of A.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx import fem, la
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from femssb.arrays import Array, Indices
from femssb.errors import MeshError

_MATCH = 1e-6  # distance of periodic images, relative to the period


@dataclass(frozen=True, kw_only=True)
class Field:
    """A function space and its constraints.

    Degrees of freedom are local and unrolled: ``block_size * node + component``, ghosts included.
    """

    space: fem.FunctionSpace
    fixed: Indices = field(default_factory=lambda: np.empty(0, np.int64))  # always zero
    tied: tuple[tuple[str, Indices], ...] = ()  # (group, members): all members are one unknown
    piece: Indices | None = None  # (local nodes,) number of the piece of a broken space, if it is


class Unknowns:
    """The reduced unknowns of several fields and of named single unknowns.

    Attributes:
        fields: The fields.
        comm: Communicator of the fields.
        local_size: Number of unknowns owned by this rank.
        size: Number of unknowns of all ranks.
        offset: First unknown owned by this rank.
        reduced: For each field, the unknown of each local degree of freedom, -1 where fixed.
        single: Unknown of each group and of each name in ``names``.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        *,
        period: tuple[Array, Array] | None = None,
        axes: tuple[int, ...] = (0, 1),
        names: Sequence[str] = (),
    ) -> None:
        """Number the unknowns; collective.

        Args:
            fields: The fields, in the order in which they are numbered.
            period: Lower and upper corner of the box [m], shape (3,) each; None for no
                periodicity.
            axes: Axes across which its sides are periodic: 0 for x, 1 for y.
            names: Further unknowns that belong to no mesh; they sit on the first rank, as do the
                groups of tied degrees of freedom.

        Raises:
            MeshError: If a node of a periodic side has no image on the opposite side.
        """
        self.fields = tuple(fields)
        self.comm: MPI.Comm = fields[0].space.mesh.comm
        if not axes:
            period = None
        groups = [group for item in fields for group, _ in item.tied]
        singles = list(dict.fromkeys([*groups, *names]))
        owner = [_ownership(item, period, axes) for item in fields]
        counts = [int(np.count_nonzero(kind == _FREE)) for kind, _ in owner]
        self.local_size = sum(counts) + (len(singles) if self.comm.rank == 0 else 0)
        self.size = int(self.comm.allreduce(self.local_size))
        self.offset = int(self.comm.exscan(self.local_size) or 0)
        last_of_first = self.comm.bcast(self.local_size, root=0)
        self.single = {name: last_of_first - len(singles) + k for k, name in enumerate(singles)}

        self.reduced: list[Indices] = []
        start = self.offset
        for item, (kind, image), count in zip(fields, owner, counts, strict=True):
            numbers = np.full(kind.size, -1, np.int64)
            numbers[kind == _FREE] = start + np.arange(count)
            for group, members in item.tied:
                numbers[members[members < kind.size]] = self.single[group]
            if period is not None:
                _number_images(item, numbers, kind, image, period, axes)
            self.reduced.append(with_ghosts(item.space, numbers))
            start += count
        self._owned = _slices(counts)
        self._local_slices = _slices([numbers.size for numbers in self.reduced])
        everything = np.concatenate(self.reduced)
        self._present = everything >= 0
        needed = np.maximum(everything, 0).astype(PETSc.IntType)
        self._local = PETSc.Vec().createSeq(needed.size)
        self._scatter = PETSc.Scatter().create(
            self.vector(), PETSc.IS().createGeneral(needed, comm=PETSc.COMM_SELF), self._local, None
        )

    def vector(self) -> PETSc.Vec:
        """Return a new zero vector of the unknowns."""
        return PETSc.Vec().createMPI((self.local_size, self.size), comm=self.comm)

    def filled(self, values: Array) -> PETSc.Vec:
        """Return a new vector with the given local values."""
        vector = self.vector()
        vector.array[:] = values
        return vector

    def owned(self, index: int) -> slice:
        """Return where the unknowns of a field lie in the local part of a vector."""
        return self._owned[index]

    def expand(self, vector: PETSc.Vec) -> list[Array]:
        """Return ``P vector``: the values of each field, ghosts included; collective."""
        self._scatter.scatter(
            vector, self._local, PETSc.InsertMode.INSERT, PETSc.ScatterMode.FORWARD
        )
        values = np.where(self._present, self._local.array_r, 0.0)
        return [values[part] for part in self._local_slices]

    def gather(self, values: Sequence[Array]) -> PETSc.Vec:
        """Return ``P^T values``: sum values of each field (ghosts included) into the unknowns."""
        self._local.array[:] = np.where(self._present, np.concatenate(values), 0.0)
        vector = self.vector()
        self._scatter.scatter(self._local, vector, PETSc.InsertMode.ADD, PETSc.ScatterMode.REVERSE)
        return vector

    def assign(self, vector: PETSc.Vec, index: int, values: Array) -> None:
        """Set the unknowns of a field that this rank owns, from values at all that it owns."""
        numbers = self.reduced[index][: values.size] - self.offset
        here = (numbers >= 0) & (numbers < self.local_size)
        vector.array[numbers[here]] = values[here]

    def read_single(self, vector: PETSc.Vec, name: str) -> float:
        """Return the value of a group or named unknown on every rank; collective."""
        here = float(vector.array_r[self.single[name]]) if self.comm.rank == 0 else 0.0
        return float(self.comm.bcast(here, root=0))

    def write_single(self, vector: PETSc.Vec, name: str, value: float) -> None:
        """Set the value of a group or named unknown; collective."""
        self.write(vector, self.single[name], value)

    def write(self, vector: PETSc.Vec, index: int, value: float) -> None:
        """Set the value of one unknown; collective."""
        values = vector.array  # on every rank: PETSc would keep an old norm where it is not written
        if self.offset <= index < self.offset + self.local_size:
            values[index - self.offset] = value


_FREE, _HELD, _IMAGE = 0, 1, 2


def _slices(sizes: Sequence[int]) -> list[slice]:
    """Return where arrays of these sizes lie when they are joined."""
    return [slice(a, b) for a, b in pairwise(np.cumsum([0, *sizes]).tolist())]


def _ownership(
    item: Field, period: tuple[Array, Array] | None, axes: tuple[int, ...]
) -> tuple[NDArray[np.int8], Array]:
    """Return whether each owned degree of freedom is free, held, or a periodic image.

    Also return the coordinates (n_nodes, 3) at which each owned node has its original.
    """
    dofmap = item.space.dofmap
    n_nodes, block = dofmap.index_map.size_local, dofmap.index_map_bs
    points = item.space.tabulate_dof_coordinates()[:n_nodes].copy()
    kind = np.full(n_nodes * block, _FREE, np.int8)
    if period is not None:
        lower, upper = period
        moved = np.zeros(n_nodes, bool)
        for axis in axes:
            length = upper[axis] - lower[axis]
            beyond = points[:, axis] > upper[axis] - _MATCH * length
            points[beyond, axis] -= length
            moved |= beyond
        kind.reshape(n_nodes, block)[moved] = _IMAGE
    kind[item.fixed[item.fixed < kind.size]] = _HELD
    for _, members in item.tied:
        kind[members[members < kind.size]] = _HELD
    if period is not None and item.piece is not None:
        apart = _apart(item, points, period)
        table = kind.reshape(n_nodes, block)
        alone = _alone(item, apart, (table == _IMAGE).any(axis=1), period, axes)
        table[alone] = np.where(table[alone] == _IMAGE, _FREE, table[alone])
    return kind, points


def _apart(item: Field, points: Array, period: tuple[Array, Array]) -> Array:
    """Return the places of nodes with their piece as a fourth coordinate: several lie in one."""
    lower, upper = period
    if item.piece is None:
        return points
    return np.column_stack([points, float(max(upper - lower)) * item.piece[: len(points)]])


def _originals(
    points: Array, is_image: NDArray[np.bool_], period: tuple[Array, Array], axes: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return which nodes may be originals: those on the lower sides."""
    lower, upper = period
    across = list(axes)
    tolerance = _MATCH * float(max(upper - lower))
    on_side = (np.abs(points[:, across] - lower[across]) < tolerance).any(axis=1)
    return np.asarray(on_side & ~is_image)


def _alone(
    item: Field,
    apart: Array,
    is_image: NDArray[np.bool_],
    period: tuple[Array, Array],
    axes: tuple[int, ...],
) -> Indices:
    """Return owned images that are to be originals: of several in one place the first; collective.

    A piece may touch a corner of the box from one side only; its images there belong to others.
    """
    comm, tolerance = item.space.mesh.comm, _MATCH * float(max(period[1] - period[0]))
    images = np.flatnonzero(is_image)
    originals = apart[_originals(apart, is_image, period, axes)]
    distance, _ = cKDTree(np.vstack(comm.allgather(originals))).query(apart[images])
    missing = images[distance > tolerance]
    first = int(comm.exscan(len(missing)) or 0)
    every = np.vstack(comm.allgather(apart[missing]))
    if not len(every):
        return missing
    same = cKDTree(every).query_ball_point(apart[missing], tolerance)
    leads = [min(found) == first + row for row, found in enumerate(same)]
    return missing[np.array(leads, bool)]


def _number_images(
    item: Field,
    numbers: Indices,
    kind: NDArray[np.int8],
    points: Array,
    period: tuple[Array, Array],
    axes: tuple[int, ...],
) -> None:
    """Give every periodic image the number of its original, of the same piece; collective."""
    lower, upper = period
    space, comm = item.space, item.space.mesh.comm
    points = _apart(item, points, period)
    table = numbers.reshape(len(points), space.dofmap.index_map_bs)
    image_here = kind.reshape(table.shape) == _IMAGE
    is_image = image_here.any(axis=1)
    tolerance = _MATCH * float(max(upper - lower))
    on_side = _originals(points, is_image, period, axes)
    originals = np.vstack(comm.allgather(points[on_side]))
    original_numbers = np.vstack(comm.allgather(table[on_side]))
    distance, nearest = cKDTree(originals).query(points[is_image])
    missing = comm.allreduce(int(np.count_nonzero(distance > tolerance)))
    if missing:
        raise MeshError(f"{missing} nodes of the periodic sides have no image on the opposite side")
    table[is_image] = np.where(image_here[is_image], original_numbers[nearest], table[is_image])


def with_ghosts[Values: (Array, Indices)](space: fem.FunctionSpace, owned: Values) -> Values:
    """Return values at all local degrees of freedom, given those at the owned ones; collective."""
    vector = la.vector(space.dofmap.index_map, space.dofmap.index_map_bs, dtype=owned.dtype)
    vector.array[: owned.size] = owned
    vector.scatter_forward()
    return vector.array.copy()

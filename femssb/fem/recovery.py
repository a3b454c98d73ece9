"""Values at the nodes of a mesh, recovered from integrals over its cells.

What is constant in a cell, as a stress of linear displacements, is closest to the truth in its
middle. The mean over the cells around a node therefore stands for the middle of these cells, which
for a node on the surface lies inside: first order. Here a linear function is fitted to such means,
of a node and of its neighbours, each taken at the middle that it stands for, and read at the node:
second order there, too. Nothing is fitted across a jump: each grain has its own means and its own
functions, and a node between grains takes what these give, weighted by volume. At a plane of
symmetry the fit is that of the whole body: as many cells again lie behind it.

Source: Zienkiewicz and Zhu 1992, doi:10.1002/nme.1620330702, for recovery on patches.
"""

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
import scipy.sparse as sp
from dolfinx import fem, la
from numpy.typing import NDArray

from femssb.arrays import Array, Indices
from femssb.tetrahedra import volumes

# In a direction in which the places of a fit are spread by less than this share of their mean
# square distance from the node, there is no slope: a grain may touch a node with a single cell.
_LEAST_SPREAD = 0.01


class Recovery:
    """What takes integrals over the cells that a rank owns to values at the nodes that it owns."""

    def __init__(
        self, space: fem.FunctionSpace, group: Indices, mirrored: NDArray[np.bool_]
    ) -> None:
        """Fit once, as every fit is linear in the values; collective.

        Args:
            space: Linear scalar space; its nodes are those of the mesh.
            group: (local cells, ghosts included) number from 0 of what a cell belongs to: the field
                may jump from one to another.
            mirrored: (local nodes, ghosts included, 3) whether a node lies in a plane of symmetry
                across x, y and z.
        """
        domain, geometry = space.mesh, space.mesh.geometry
        self._index_map = space.dofmap.index_map
        owned = domain.topology.index_map(3).size_local
        cells, corners = space.dofmap.list[:owned], geometry.dofmap[:owned]
        points = space.tabulate_dof_coordinates()
        volume, middles = volumes(geometry.x, corners), geometry.x[corners].mean(axis=1)

        # A patch is the cells of one group around a node.
        groups = 1 + int(domain.comm.allreduce(int(group.max(initial=0)), op=MPI.MAX))
        nodes = self._index_map.local_to_global(cells.ravel().astype(np.int32)).reshape(-1, 4)
        keys, patch = np.unique(nodes * groups + group[:owned, None], return_inverse=True)
        patch = patch.reshape(-1, 4)
        self._connect(domain.comm, keys)
        node = np.zeros(len(keys), np.int64)
        node[patch] = cells
        columns = np.repeat(np.arange(owned), 4)
        shape = len(keys), owned
        around = sp.csr_array((np.ones(columns.size), (patch.ravel(), columns)), shape=shape)
        whole = self._summed(around @ volume)
        places = np.column_stack([self._summed(around @ (volume * x)) for x in middles.T])
        at, behind = points[node], mirrored[node]
        places = np.where(behind, at, places / whole[:, None])
        self._means = sp.diags_array(1 / whole) @ around

        # Weight of the place of a patch in the fit of another: the volume of the cells they share.
        one, other = (np.repeat(patch, 4, axis=1), np.tile(patch, 4))
        shape = len(keys), len(keys)
        weights = sp.coo_array(
            (np.repeat(volume, 16), (one.ravel(), other.ravel())), shape=shape
        ).tocsr()
        weights.sum_duplicates()
        row = np.repeat(np.arange(len(keys)), np.diff(weights.indptr))
        away = places[weights.indices] - at[row]
        moments = [np.ones(len(row)), *away.T, *(away[:, :, None] * away[:, None]).reshape(-1, 9).T]
        sums = np.column_stack(
            [self._summed(np.bincount(row, weights.data * m, len(keys))) for m in moments]
        )
        middle = np.where(behind, 0.0, sums[:, 1:4] / sums[:, :1])
        square = (sums[:, 4:] / sums[:, :1]).reshape(-1, 3, 3)
        cancels = behind[:, :, None] | behind[:, None]
        square[cancels & ~np.eye(3, dtype=bool)] = 0.0
        spread, axes = np.linalg.eigh(square - middle[:, :, None] * middle[:, None])
        fits = spread > _LEAST_SPREAD * np.trace(square, axis1=1, axis2=2)[:, None]
        offset = places - at  # of a mean from the node
        along = np.einsum("pi,pij->pj", offset, axes)
        slope = np.divide(along, spread, out=np.zeros_like(along), where=fits)
        lever = np.einsum("pij,pj->pi", axes, slope)
        weights.data *= np.einsum("ni,ni->n", lever[row], middle[row] - away) / sums[row, 0]

        volume_around = la.vector(self._index_map, 1)
        np.add.at(volume_around.array, cells, volume[:, None])
        volume_around.scatter_reverse(la.InsertMode.add)
        volume_around.scatter_forward()
        share = whole / volume_around.array[node]
        size = len(volume_around.array)
        at_nodes = sp.csr_array((share, (node, np.arange(len(keys)))), shape=(size, len(keys)))
        own = sp.diags_array((around @ volume) / whole)  # the part that this rank adds
        self._values = at_nodes @ (own + weights)

    def __call__(self, integrals: Array) -> Array:
        """Return the values at the owned nodes, from integrals over the owned cells; collective."""
        total = la.vector(self._index_map, 1)
        total.array[:] = self._values @ self._summed(self._means @ integrals)
        total.scatter_reverse(la.InsertMode.add)
        return total.array[: self._index_map.size_local].copy()

    def _connect(self, comm: MPI.Comm, keys: Indices) -> None:
        """Number the patches of all ranks, given ascending keys of those on this one."""
        everywhere = np.unique(np.concatenate(comm.allgather(keys)))
        numbers = np.searchsorted(everywhere, keys).astype(PETSc.IntType)
        self._everywhere = PETSc.Vec().createMPI(len(everywhere), comm=comm)
        self._here = PETSc.Vec().createSeq(len(keys))
        chosen = PETSc.IS().createGeneral(numbers, comm=PETSc.COMM_SELF)
        self._scatter = PETSc.Scatter().create(self._everywhere, chosen, self._here, None)

    def _summed(self, values: Array) -> Array:
        """Return values at the patches of this rank, summed over ranks; collective."""
        self._here.array[:] = values
        self._everywhere.zeroEntries()
        add, insert = PETSc.InsertMode.ADD, PETSc.InsertMode.INSERT
        backward, forward = PETSc.ScatterMode.REVERSE, PETSc.ScatterMode.FORWARD
        self._scatter.scatter(self._here, self._everywhere, add, backward)
        self._scatter.scatter(self._everywhere, self._here, insert, forward)
        return self._here.array_r.copy()

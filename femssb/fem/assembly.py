"""Parts of a mesh, and forms assembled on them, as local arrays ready to be renumbered."""

from collections.abc import Mapping

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import scipy.sparse as sp
from dolfinx import fem, la, mesh
from numpy.typing import NDArray

from femssb.arrays import Array, Indices


class Part:
    """Some of the cells of a mesh, as a mesh of their own.

    Attributes:
        mesh: The submesh.
        entities: Map of its cells to those of the parent.
        cell_tags: (local cells,) tag of each cell in the parent.
    """

    def __init__(
        self, parent: mesh.Mesh, chosen: NDArray[np.bool_], tags: NDArray[np.int32]
    ) -> None:
        """Cut chosen cells out, from marks and tags of all local cells, (n,) each; collective."""
        cells = np.flatnonzero(chosen).astype(np.int32)
        self.mesh, self.entities, _, _ = mesh.create_submesh(parent, parent.topology.dim, cells)
        own = np.arange(n_cells(self.mesh), dtype=np.int32)
        self.cell_tags = tags[self.entities.sub_topology_to_topology(own, False)]

    def holds(self, tags: NDArray[np.int32]) -> bool:
        """Return whether a cell on any rank has one of some tags; collective."""
        here = bool(np.isin(self.cell_tags, tags).any())
        return bool(self.mesh.comm.allreduce(here, op=MPI.LOR))

    def by_tag(self, values: Mapping[int, Array]) -> fem.Function:
        """Return a cell-wise constant function from the value of each tag, all of one shape."""
        shape = np.shape(next(iter(values.values())))
        function = fem.Function(fem.functionspace(self.mesh, ("DG", 0, shape)))
        table = np.zeros((max(values) + 1, *shape))
        table[list(values)] = list(values.values())
        cells = function.function_space.dofmap.list[:, 0]
        function.x.array.reshape(-1, *shape)[cells] = table[self.cell_tags]
        return function


def n_cells(domain: mesh.Mesh) -> int:
    """Return the number of local cells, ghosts included."""
    cells = domain.topology.index_map(domain.topology.dim)
    return int(cells.size_local + cells.num_ghosts)


def n_dofs(space: fem.FunctionSpace) -> int:
    """Return the number of local degrees of freedom, unrolled, ghosts included."""
    dofmap = space.dofmap
    return int((dofmap.index_map.size_local + dofmap.index_map.num_ghosts) * dofmap.index_map_bs)


class Operator:
    """A bilinear form as the matrix of this rank's own cells, not summed over ranks.

    Rows and columns are local degrees of freedom, ghosts included; what several ranks share is the
    sum of their parts, taken where the result is gathered. Test and trial space need the same
    number of components (DOLFINx assembles no others).

    Attributes:
        matrix: SciPy CSR matrix (local rows, local columns).
    """

    def __init__(self, form: fem.Form) -> None:
        """Assemble the form."""
        self._form = form
        self._storage = fem.create_matrix(form, block_mode=la.BlockMode.expanded)
        fem.assemble_matrix(self._storage, form)
        shape = (n_dofs(form.function_spaces[0]), n_dofs(form.function_spaces[1]))
        parts = self._storage.data, self._storage.indices, self._storage.indptr
        columns = parts[1].max(initial=-1) + 1  # the storage has room for other ranks' columns
        wide = sp.csr_array(parts, shape=(shape[0], max(shape[1], columns)))
        self.matrix = wide[:, : shape[1]]
        self._kept = np.flatnonzero(parts[1] < shape[1])

    def refresh(self) -> Array:
        """Assemble again with the present coefficients; return the entries of `triplets`."""
        self._storage.data[:] = 0.0
        fem.assemble_matrix(self._storage, self._form)
        self.matrix.data[:] = self._storage.data[self._kept]
        return self.matrix.data

    def triplets(
        self, numbers: Indices, columns: Indices | None = None
    ) -> tuple[Indices, Indices, Array]:
        """Return rows, columns and values of the entries, in a new numbering.

        Args:
            numbers: The new number of each row.
            columns: That of each column; None where it is that of the rows.
        """
        row = np.repeat(np.arange(self.matrix.shape[0]), np.diff(self.matrix.indptr))
        columns = numbers if columns is None else columns
        return numbers[row], columns[self.matrix.indices], self.matrix.data


def linear_form(form: fem.Form) -> Array:
    """Return an assembled linear form at the owned degrees of freedom; collective."""
    vector = fem.assemble_vector(form)
    vector.scatter_reverse(la.InsertMode.add)
    dofmap = form.function_spaces[0].dofmap
    return vector.array[: dofmap.index_map.size_local * dofmap.index_map_bs].copy()

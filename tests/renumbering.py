"""Other numbers for nodes and cells, and so another partition: as if a mesh came from elsewhere.

Nothing in the package may depend on the order in which a mesh generator writes nodes and cells.
`shuffle_meshes` gives every mesh that is made later a random order of both; the indices by which
the caller finds its own nodes and cells again stay those it knows.
"""

from __future__ import annotations

from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import basix.ufl
import dolfinx.mesh
import numpy as np
from numpy.typing import NDArray


def shuffle_meshes(seed: int) -> None:
    """Shuffle nodes and cells of the meshes that this process makes from now on; call it once."""
    make = dolfinx.mesh.create_mesh
    box = dolfinx.mesh.create_box

    def create_mesh(
        comm: MPI.Comm, cells: NDArray[np.int64], e: Any, x: NDArray[np.float64], *others: Any
    ) -> dolfinx.mesh.Mesh:
        sizes = comm.allgather((len(x), len(cells)))
        if any(sum(size) for size in sizes[1:]):
            return make(comm, cells, e, x, *others)  # only meshes that lie on the first rank
        random = np.random.default_rng((seed, *sizes[0]))
        nodes, order = (random.permutation(size) for size in sizes[0])
        if comm.rank == 0:
            x, cells = x[nodes], np.argsort(nodes)[cells[order]]
        mesh = make(comm, cells, e, x, *others)
        mesh.geometry.shuffled, mesh.topology.shuffled = nodes, order
        return mesh

    def create_box(
        comm: MPI.Comm,
        points: Any,
        n: Any,
        ghost_mode: dolfinx.mesh.GhostMode = dolfinx.mesh.GhostMode.shared_facet,
    ) -> dolfinx.mesh.Mesh:
        x, cells = np.empty((0, 3)), np.empty((0, 4), dtype=np.int64)
        if comm.rank == 0:
            whole = box(MPI.COMM_SELF, points, n).geometry
            x, cells = whole.x, whole.dofmap.astype(np.int64)
        element = basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,))
        partitioner = dolfinx.mesh.create_cell_partitioner(ghost_mode, 2)
        return create_mesh(comm, cells, element, x, partitioner)

    dolfinx.mesh.create_mesh, dolfinx.mesh.create_box = create_mesh, create_box
    _as_the_caller_counts(dolfinx.mesh.Topology, "original_cell_index")
    _as_the_caller_counts(dolfinx.mesh.Geometry, "input_global_indices")


def _as_the_caller_counts(owner: type, name: str) -> None:
    """Let an array of original indices undo the shuffling."""
    shuffled = getattr(owner, name).fget

    def original(self: Any) -> NDArray[np.int64]:
        found = shuffled(self)
        return self.shuffled[found] if hasattr(self, "shuffled") else found

    setattr(owner, name, property(original))

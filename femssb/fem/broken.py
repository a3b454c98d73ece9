"""Function spaces whose functions may jump where two groups of cells meet.

The cells of one mesh belong to groups; a node that several of them share gets a degree of freedom
for each. Forms, traces and files need not know: what joins the groups again is a law at the points
of the surface between them.
"""

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from dolfinx import cpp, fem

from femssb.arrays import Indices


def broken(space: fem.FunctionSpace, group: Indices) -> fem.FunctionSpace:
    """Return the space of the same functions, continuous within groups of cells; collective.

    Args:
        space: Lagrange space, scalar or vector.
        group: (local cells, ghosts included) number from 0 of the group of each cell.
    """
    dofmap, comm = space.dofmap, space.mesh.comm
    owned = space.mesh.topology.index_map(3).size_local
    groups = 1 + int(comm.allreduce(int(group.max(initial=0)), op=MPI.MAX))
    nodes = dofmap.index_map.local_to_global(dofmap.list.ravel().astype(np.int32))
    keys = nodes.reshape(dofmap.list.shape) * groups + group[:, None]

    # Each belongs to the first rank that owns a cell with it. Those of a group follow each other.
    present = comm.allgather(np.unique(keys[:owned]))
    others = np.concatenate([np.empty(0, np.int64), *present[: comm.rank]])
    mine = np.setdiff1d(present[comm.rank], others)
    mine = mine[np.lexsort((mine // groups, mine % groups))]
    of_ranks = comm.allgather(mine)
    everywhere = np.concatenate(of_ranks)
    owner = np.repeat(np.arange(comm.size, dtype=np.int32), [len(each) for each in of_ranks])
    order = np.argsort(everywhere)

    ghosts = np.setdiff1d(keys, mine)
    number = order[np.searchsorted(everywhere, ghosts, sorter=order)]  # of all ranks
    index_map = cpp.common.IndexMap(comm, len(mine), number, owner[number], 1200)
    local = np.concatenate([mine, ghosts])
    by_key = np.argsort(local)
    cells = by_key[np.searchsorted(local, keys, sorter=by_key)].astype(np.int32)
    made = cpp.fem.DofMap(
        dofmap.dof_layout,
        index_map,
        dofmap.index_map_bs,
        cpp.graph.AdjacencyList_int32(cells),
        dofmap.bs,
    )
    compiled = cpp.fem.FunctionSpace_float64(
        space.mesh._cpp_object, space.element._cpp_object, made
    )
    return fem.FunctionSpace(space.mesh, space.ufl_element(), compiled)


def node_groups(space: fem.FunctionSpace, group: Indices) -> Indices:
    """Return the group of each local node of a space that is broken between them, (nodes,)."""
    index_map = space.dofmap.index_map
    found = np.zeros(index_map.size_local + index_map.num_ghosts, np.int64)
    found[space.dofmap.list] = group[:, None]
    return found

"""A coarse space for elasticity: rigid motions and uniform strains of lumps of nodes.

What an incomplete factorisation reduces slowly, as nothing in it reaches far, is nearly a linear
displacement of each of many lumps. Lumps are chosen once, by place. They never span two bodies,
whose matrix is coupled by surfaces alone, so that they serve whatever opens or fails.
"""

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from femssb.arrays import Array, Indices
from femssb.fem.constraints import Unknowns

_NODES = 100  # of a lump: with half as many or twice as many a solve takes as long
_LUMPS = 1000  # of all ranks, beyond which lumps grow: their matrix is factored


def linear_displacements(unknowns: Unknowns, bulk: PETSc.Mat, places: Array) -> PETSc.Mat:
    """Return the unknowns (rows) of linear displacements of lumps (columns); collective.

    The columns are orthonormal.

    Args:
        unknowns: Three displacements of each node follow each other.
        bulk: Their matrix without surfaces, which says what is one body.
        places: (nodes, 3) of the nodes on this rank [m]; NaN where a linear displacement has no
            part, as on the edges of a hierarchical quadratic one.
    """
    comm = unknowns.comm
    linear = np.isfinite(places).all(axis=1)
    size = max(_NODES, comm.allreduce(np.count_nonzero(linear)) // _LUMPS)
    lumps = [
        lump
        for body in _bodies(bulk, len(places))
        for lump in _halved(places, body[linear[body]], -(-np.count_nonzero(linear[body]) // size))
    ]
    found = [_displacements(places[lump]) for lump in lumps]
    blocks = sp.block_diag([sp.coo_array((0, 0)), *found], format="coo")
    rows = np.concatenate([np.empty(0, np.int64), *lumps])[:, None] * 3 + np.arange(3)
    shape = unknowns.local_size, blocks.shape[1]
    inside = sp.csr_array((blocks.data, (rows.ravel()[blocks.row], blocks.col)), shape=shape)
    before = comm.allgather(shape[1])[: comm.rank]
    displacements = PETSc.Mat().create(comm)
    displacements.setSizes(((unknowns.local_size, unknowns.size), (shape[1], None)))
    displacements.setType(PETSc.Mat.Type.AIJ)
    starts, columns = (part.astype(PETSc.IntType) for part in (inside.indptr, inside.indices))
    displacements.setPreallocationCSR((starts, columns + PETSc.IntType(sum(before)), inside.data))
    displacements.assemble()
    return displacements


def _bodies(bulk: PETSc.Mat, nodes: int) -> list[Indices]:
    """Return the nodes of each connected part of the bulk on this rank."""
    starts, columns, _ = bulk.getDiagonalBlock().getValuesCSR()
    rows = np.repeat(np.arange(3 * nodes), np.diff(starts))
    graph = sp.coo_array((np.ones(len(rows)), (rows // 3, columns // 3)), shape=(nodes, nodes))
    count, body = connected_components(graph, directed=False)
    order = np.argsort(body, kind="stable")
    return np.split(order, np.cumsum(np.bincount(body, minlength=count))[:-1])


def _halved(places: Array, nodes: Indices, parts: int) -> list[Indices]:
    """Return nodes cut into parts of equal size, across their longest side again and again."""
    if parts <= 1:
        return [nodes] if len(nodes) else []
    axis = int(np.argmax(np.ptp(places[nodes], axis=0)))
    order = nodes[np.argsort(places[nodes, axis], kind="stable")]
    some = parts // 2
    middle = len(order) * some // parts
    return [
        *_halved(places, order[:middle], some),
        *_halved(places, order[middle:], parts - some),
    ]


def _displacements(places: Array) -> Array:
    """Return orthonormal linear displacements of nodes, (3 n, 12), or as many as they have."""
    arms = places - places.mean(axis=0)
    arms /= np.sqrt(np.einsum("ni,ni->", arms, arms)) or 1.0
    functions = np.column_stack([np.full(len(places), 1 / np.sqrt(len(places))), arms])
    orthonormal, sizes, _ = np.linalg.svd(functions, full_matrices=False)
    return np.asarray(np.kron(orthonormal[:, sizes > 1e-6 * sizes[0]], np.eye(3)))

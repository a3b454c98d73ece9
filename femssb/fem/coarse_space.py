"""A coarse space for elasticity: rigid motions of lumps of nodes.

What an incomplete factorisation reduces slowly, as nothing in it reaches far, is nearly a rigid
motion of each of many lumps. Lumps are chosen once, by place. They never span two bodies, whose
matrix is coupled by surfaces alone, so that they serve whatever opens or fails.
"""

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from femssb.arrays import Array, Indices
from femssb.fem.constraints import Unknowns

_NODES = 150  # of a lump: with half as many or twice as many a solve takes as long
_LUMPS = 1500  # of all ranks, beyond which lumps grow: their matrix is factored


def rigid_motions(unknowns: Unknowns, bulk: PETSc.Mat, places: Array) -> PETSc.Mat:
    """Return the unknowns (rows) of rigid motions of lumps (columns), orthonormal; collective.

    Args:
        unknowns: Three displacements of each node follow each other.
        bulk: Their matrix without surfaces, which says what is one body.
        places: (nodes, 3) of the nodes on this rank [m].
    """
    comm = unknowns.comm
    size = max(_NODES, comm.allreduce(len(places)) // _LUMPS)
    lumps = [
        lump
        for body in _bodies(bulk, len(places))
        for lump in _halved(places, body, -(-len(body) // size))
    ]
    found = [_motions(places[lump]) for lump in lumps]
    ends = np.cumsum([0, *(motions.shape[1] for motions in found)])
    before = comm.allgather(int(ends[-1]))[: comm.rank]
    first = sum(before)
    rows = [(3 * lump[:, None] + np.arange(3)).ravel() for lump in lumps]
    inside = sp.block_diag([sp.csr_array((0, 0)), *found], format="csr")
    order = np.argsort(np.concatenate([np.empty(0, np.int64), *rows]))
    inside = inside[order]
    motions = PETSc.Mat().create(comm)
    motions.setSizes(((unknowns.local_size, unknowns.size), (int(ends[-1]), None)))
    motions.setType(PETSc.Mat.Type.AIJ)
    starts, columns = (part.astype(PETSc.IntType) for part in (inside.indptr, inside.indices))
    motions.setPreallocationCSR((starts, columns + PETSc.IntType(first), inside.data))
    motions.assemble()
    return motions


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


def _motions(places: Array) -> Array:
    """Return orthonormal rigid motions of nodes, (3 n, 6), or as many as they have."""
    arms = places - places.mean(axis=0)
    arms /= np.sqrt(np.einsum("ni,ni->", arms, arms)) or 1.0
    axes = np.eye(3)
    turns = np.stack([np.cross(axis, arms) for axis in axes], axis=-1)
    shifts = np.broadcast_to(axes, (len(places), 3, 3)) / np.sqrt(len(places))
    motions = np.concatenate([shifts, turns], axis=-1).reshape(-1, 6)
    orthonormal, sizes, _ = np.linalg.svd(motions, full_matrices=False)
    return np.asarray(orthonormal[:, sizes > 1e-6 * sizes[0]])

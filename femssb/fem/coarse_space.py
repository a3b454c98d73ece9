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
_MOTIONS = 6


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
    count = _MOTIONS * len(lumps)
    first = int(comm.exscan(count) or 0)
    motions = PETSc.Mat().create(comm)
    motions.setSizes(((unknowns.local_size, unknowns.size), (count, None)))
    motions.setType(PETSc.Mat.Type.AIJ)
    motions.setBlockSizes(3, _MOTIONS)
    columns = np.zeros((len(places), 3, _MOTIONS), PETSc.IntType)
    values = np.zeros((len(places), 3, _MOTIONS))
    for number, lump in enumerate(lumps):
        columns[lump] = first + _MOTIONS * number + np.arange(_MOTIONS)
        values[lump] = _motions(places[lump])
    starts = _MOTIONS * np.arange(unknowns.local_size + 1, dtype=PETSc.IntType)
    motions.setPreallocationCSR((starts, columns.ravel(), values.ravel()))
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
    """Return orthonormal rigid motions of nodes, (n, 3, 6); zero where there are fewer of them."""
    arms = places - places.mean(axis=0)
    arms /= np.sqrt(np.einsum("ni,ni->", arms, arms)) or 1.0
    axes = np.eye(3)
    turns = np.stack([np.cross(axis, arms) for axis in axes], axis=-1)
    shifts = np.broadcast_to(axes, (len(places), 3, 3)) / np.sqrt(len(places))
    motions = np.concatenate([shifts, turns], axis=-1).reshape(-1, _MOTIONS)
    left, sizes, _ = np.linalg.svd(motions, full_matrices=False)
    found = np.zeros_like(motions)
    found[:, : left.shape[1]] = left * (sizes > 1e-6 * sizes[0])
    return found.reshape(-1, 3, _MOTIONS)

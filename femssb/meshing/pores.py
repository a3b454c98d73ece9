"""Pores of the matrix that particles close: one of the particles around fills each."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from femssb.arrays import Array, Indices
from femssb.meshing.filling import Surface
from femssb.meshing.sheets import FIRST_CELL, FIRST_PORE, MATRIX, six_volumes


class Pores(NamedTuple):
    """Pores that particles close."""

    owners: tuple[int, ...]  # cell that fills each
    volume: float  # of all


def find_pores(
    points: Array, surfaces: list[Surface], first: Indices
) -> tuple[list[Surface], Pores]:
    """Make every pore that particles close a volume of its own, which one of them fills."""
    rows = [k for k, surface in enumerate(surfaces) if MATRIX in surface.volumes]
    counts = [len(surfaces[k].triangles) for k in rows]
    triangles = np.vstack(
        [surfaces[k].triangles[:, :: 1 if surfaces[k].volumes[0] == MATRIX else -1] for k in rows]
    )
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1) @ [len(points), 1]
    order = np.argsort(edges, kind="stable")
    same = edges[order[1:]] == edges[order[:-1]]
    links = np.stack([order[1:][same], order[:-1][same]]) // 3
    graph = coo_array((np.ones(links.shape[1], bool), tuple(links)), shape=2 * (len(triangles),))
    _, label = connected_components(graph, directed=False)
    volumes = np.bincount(label, six_volumes(points - points.mean(axis=0), triangles)) / 6
    closed = np.flatnonzero(volumes > 0)
    closed = closed[closed != np.argmax(volumes)]
    if not len(closed):
        return surfaces, Pores((), 0.0)
    whole = [surface for surface in surfaces if MATRIX not in surface.volumes]
    owners = []
    for pore in closed.tolist():
        around = [
            v
            for k, here in zip(rows, np.split(label, np.cumsum(counts)[:-1]), strict=True)
            for v in surfaces[k].volumes
            if v >= FIRST_CELL and (here == pore).any()
        ]
        owners.append(min(around))  # the same on both sides of the box
    for k, here in zip(rows, np.split(label, np.cumsum(counts)[:-1]), strict=True):
        surface = surfaces[k]
        volume = np.full(len(here), MATRIX)
        for number, pore in enumerate(closed.tolist()):
            volume[here == pore] = FIRST_PORE + number
        for one in np.unique(volume).tolist():
            name = surface.name
            if one >= FIRST_PORE:
                other = next((v for v in surface.volumes if v != MATRIX), 0)
                name = _filled_name(surface.name, owners[one - FIRST_PORE], other, first)
            volumes_here = tuple(one if v == MATRIX else v for v in surface.volumes)
            whole.append(Surface(surface.triangles[volume == one], volumes_here, name))
    return whole, Pores(tuple(owners), float(volumes[closed].sum()))


def _filled_name(name: str | None, owner: int, other: int, first: Indices) -> str | None:
    """Return what a face of a pore is called once a particle has filled it."""
    if other < FIRST_CELL:
        return {"collector": "particle_collector", None: "particle_separator"}.get(name, name)
    one, two = ((v - FIRST_CELL) // 9 for v in (owner, other))
    if one == two:
        return None
    balls = np.searchsorted(first, [one, two], side="right")
    return "grain_boundary" if balls[0] == balls[1] else "contact"

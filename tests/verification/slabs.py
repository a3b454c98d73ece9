"""A box of layers as a `MeshData`: the one-dimensional cells that have closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import femssb.environment.platform

from mpi4py import MPI

import dolfinx.mesh
import numpy as np
from numpy.typing import NDArray

from femssb.meshing import MeshData
from femssb.meshing.parts import FACETS, FIRST_GRAIN, REGIONS

GRAIN = "grain"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One slab of the box, from below to above along z."""

    region: str  # "ecbd", "electrolyte", or "grain": every layer of that name is a grain of its own
    thickness: float  # [m]
    cells: int  # cells across it


def slabs(
    layers: Sequence[Layer],
    *,
    width: float,
    cells: int = 1,
    orientations: NDArray[np.float64] | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> MeshData:
    """Mesh a box of layers, alike on opposite sides; collective.

    The box is centred on x = y = 0 and starts at z = 0 with the facets ``collector``; it ends with
    the facets ``anode``. Neighbouring grains belong to one particle; where they meet lies a
    ``grain_boundary``, where a grain meets anything else an ``interface``.

    Args:
        layers: From below to above.
        width: Side of the square cross-section [m].
        cells: Cells along each side of the cross-section.
        orientations: Rotations of the grains (n_grains, 3, 3); none by default.
        comm: Ranks to distribute it over.
    """
    counts = [layer.cells for layer in layers]
    levels = np.cumsum([0.0, *(layer.thickness for layer in layers)])
    half = width / 2
    domain = dolfinx.mesh.create_box(
        comm,
        [[-half, -half, 0.0], [half, half, sum(counts)]],
        [cells, cells, sum(counts)],
        ghost_mode=dolfinx.mesh.GhostMode.shared_facet,
    )
    z = domain.geometry.x[:, 2]
    z[:] = np.interp(z, np.cumsum([0, *counts]), levels)

    is_grain = [layer.region == GRAIN for layer in layers]
    starts = np.diff(np.array([False, *is_grain]).astype(int)) == 1  # of particles
    tags, grain_tags, grain_particle = [], [], []
    for k, layer in enumerate(layers):
        if is_grain[k]:
            grain_tags.append(FIRST_GRAIN + len(grain_tags))
            grain_particle.append(int(starts[: k + 1].sum()) - 1)
        tags.append(grain_tags[-1] if is_grain[k] else REGIONS[layer.region])
    if orientations is None:
        orientations = np.tile(np.eye(3), (len(grain_tags), 1, 1))

    cell_map = domain.topology.index_map(3)
    local = np.arange(cell_map.size_local + cell_map.num_ghosts, dtype=np.int32)
    middle = domain.geometry.x[domain.geometry.dofmap].mean(axis=1)[:, 2]
    at = np.searchsorted(levels[1:-1], middle)

    domain.topology.create_connectivity(2, 3)
    planes = {"collector": [0], "anode": [len(layers)], "interface": [], "grain_boundary": []}
    for k in range(1, len(layers)):
        if is_grain[k - 1] or is_grain[k]:
            both = is_grain[k - 1] and is_grain[k]
            planes["grain_boundary" if both else "interface"].append(k)
    named: dict[str, NDArray[np.int32]] = {
        name: np.concatenate(
            [np.empty(0, np.int32), *(facets_at(domain, float(levels[k])) for k in where)]
        )
        for name, where in planes.items()
        if where
    }
    for axis, letter in enumerate("xy"):
        named[f"{letter}_min"] = facets_at(domain, -half, axis=axis)
        named[f"{letter}_max"] = facets_at(domain, half, axis=axis)
    facets = np.concatenate(list(named.values()))
    values = np.repeat([FACETS[name] for name in named], [len(f) for f in named.values()])
    order = np.argsort(facets)
    return MeshData(
        mesh=domain,
        cell_tags=dolfinx.mesh.meshtags(domain, 3, local, np.array(tags, np.int32)[at]),
        facet_tags=dolfinx.mesh.meshtags(domain, 2, facets[order], values[order].astype(np.int32)),
        regions={name: tag for name, tag in REGIONS.items() if tag in tags},
        facets={name: FACETS[name] for name in named},
        grain_tags=np.array(grain_tags, np.int32),
        grain_particle=np.array(grain_particle, np.int32),
        orientations=orientations,
    )


def facets_at(domain: dolfinx.mesh.Mesh, level: float, *, axis: int = 2) -> NDArray[np.int32]:
    """Return the local facets, ghosts included, that lie in a plane across an axis.

    Args:
        domain: A box mesh.
        level: Where the plane lies [m].
        axis: Which axis it is normal to.
    """
    x = domain.geometry.x[:, axis]
    extent = domain.comm.allreduce(float(np.abs(x).max(initial=0.0)), op=MPI.MAX)
    return dolfinx.mesh.locate_entities(
        domain, 2, lambda x: np.abs(x[axis] - level) < 1e-9 * extent
    )

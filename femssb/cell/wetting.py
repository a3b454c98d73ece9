"""Where electrolyte in a crack takes its potential from: the nearest place on its particle.

Electrolyte that fills a crack is taken to have the potential that the matrix has at the mouth, and
to resist nothing on the way; so what leaves a face of the crack enters the ions at the mouth, at
once. The mouth of a point is the nearest point of the surface of its particle at which lithium is
inserted, also across sides that are periodic; no way through the crack is looked for.
"""

from dataclasses import dataclass

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from dolfinx import fem
from scipy.spatial import cKDTree

from femssb.arrays import Array, Indices
from femssb.cell.bodies import Bodies

_FAR = 1e3  # distance of particles in the tree along an axis of its own, over the size of the cell


@dataclass(frozen=True, kw_only=True)
class Mouths:
    """The nearest points of a surface for each point of another."""

    nearest: Indices  # (n,) among the points of all ranks
    found: Array  # (n,) 1 where there is one, else 0

    def columns(
        self,
        bodies: Bodies,
        space: fem.FunctionSpace,
        field: str,
        numbers: Indices,
        surfaces: list[str],
    ) -> tuple[Indices, Array]:
        """Return the unknowns (n, m) and weights (n, m) of a field there; collective.

        Args:
            bodies: The mesh.
            space: Of the field, which lives on the plus side of the surfaces.
            field: Its name.
            numbers: Number of each of its degrees of freedom among the unknowns.
            surfaces: With the points.
        """
        traces = [bodies.trace(space, bodies.domains[field], name, "plus") for name in surfaces]
        width = bodies.comm.allreduce(max(one.nodes.shape[1] for one in traces), op=MPI.MAX)
        columns, values = [], []
        for one in traces:
            lacks = ((0, 0), (0, width - one.nodes.shape[1]))
            columns.append(np.pad(numbers[one.nodes], lacks, constant_values=-1))
            values.append(np.pad(one.values, lacks))
        every, weights = (
            np.concatenate(bodies.comm.allgather(np.concatenate(part)))[self.nearest]
            for part in (columns, values)
        )
        return every, weights * self.found[:, None]


def mouths(bodies: Bodies, crack: str, surfaces: list[str]) -> Mouths:
    """Find the nearest points of some surfaces of the same particle; collective."""
    low, high = bodies.period
    extent = high - low
    far = _FAR * float(extent.max())
    axes = list(bodies.periodic)
    period = np.zeros(4)  # along the axes of the tree; 0 where it is not periodic
    period[axes] = extent[axes]

    def placed(name: str) -> Array:
        points = bodies.points[name].points - low
        within = points[:, axes] % extent[axes]
        points[:, axes] = np.where(within < extent[axes], within, 0.0)  # not so after roundoff
        return np.column_stack([points, far * bodies.particles_at(name)])

    there = np.concatenate(bodies.comm.allgather(np.vstack([placed(name) for name in surfaces])))
    tree = cKDTree(there, boxsize=period)
    distance, nearest = tree.query(placed(crack))
    return Mouths(nearest=nearest, found=np.asarray(distance < 0.5 * far, dtype=np.float64))

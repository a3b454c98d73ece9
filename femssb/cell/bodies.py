"""The bodies of a half-cell and the surfaces where they meet.

All particles are one body, the ecbd and the electrolyte together another. Both problems live on
these, and agree on the nodes of the particles and on the points of the interface.
"""

from __future__ import annotations

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from dolfinx import fem, la
from numpy.typing import NDArray

from femssb.errors import MeshError
from femssb.fem.assembly import Part, n_cells
from femssb.fem.trace import SurfacePoints, Trace, submesh_cells, surface_points, trace
from femssb.meshing.data import MeshData

Array = NDArray[np.float64]


class Bodies:
    """A mesh cut into its bodies, with points on the surfaces between and around them.

    Attributes:
        data: The mesh and its regions.
        comm: The ranks it is shared by.
        particle, matrix, ecbd: Submeshes of the particles, of everything else, of the ecbd.
        matrix_cells_of_ecbd: Cell of `matrix` that each local cell of `ecbd` is.
        interface: Points of the particle | ecbd interface; the particle is its ``minus`` side.
        anode, collector: Points of the two end faces.
        interface_area, anode_area: [m2].
        period: Lower and upper corner of the mesh, shape (3,) each [m].
        vectors: Linear vector space on the particles.
        scalars: Linear scalar space on the same nodes: the particle nodes.
        first_component: Degree of freedom of `vectors` that is x at each node of `scalars`.
    """

    def __init__(self, data: MeshData, *, order: int) -> None:
        """Cut a mesh; collective.

        Args:
            data: The mesh, with the facets ``interface``, ``collector`` and ``anode``.
            order: Polynomial degree that integrals over surfaces must resolve.

        Raises:
            MeshError: If the mesh lacks a region or a facet that a half-cell needs.
        """
        _check(data)
        self.data = data
        self.comm: MPI.Comm = data.mesh.comm
        tags = np.zeros(n_cells(data.mesh), np.int32)
        tags[data.cell_tags.indices] = data.cell_tags.values
        inside = np.isin(tags, data.grain_tags)
        self.particle = Part(data.mesh, inside, tags)
        self.matrix = Part(data.mesh, ~inside, tags)
        self.ecbd = Part(data.mesh, tags == data.regions["ecbd"], tags)
        own = np.arange(n_cells(self.ecbd.mesh), dtype=np.int32)
        parents = self.ecbd.entities.sub_topology_to_topology(own, False)
        self.matrix_cells_of_ecbd = submesh_cells(self.matrix.entities, parents, len(tags))

        def surface(name: str, minus: NDArray[np.bool_]) -> SurfacePoints:
            facets = data.facet_tags.find(data.facets[name])
            return surface_points(data.mesh, facets, inside=minus, order=order)

        self.interface = surface("interface", inside)
        self.anode = surface("anode", np.ones_like(inside))
        self.collector = surface("collector", np.ones_like(inside))
        self.interface_area = self.sum(self.interface.weights)
        self.anode_area = self.sum(self.anode.weights)

        corners = data.mesh.geometry.x
        lower, upper = np.empty(3), np.empty(3)
        self.comm.Allreduce(corners.min(axis=0, initial=np.inf), lower, op=MPI.MIN)
        self.comm.Allreduce(corners.max(axis=0, initial=-np.inf), upper, op=MPI.MAX)
        self.period = (lower, upper)

        self.vectors = fem.functionspace(self.particle.mesh, ("Lagrange", 1, (3,)))
        self.scalars, first = self.vectors.sub(0).collapse()
        self.first_component = np.ravel(first)

    def trace(
        self, space: fem.FunctionSpace, part: Part, surface: SurfacePoints, cells: NDArray[np.int32]
    ) -> Trace:
        """Return what evaluates a field at the points of a surface.

        Args:
            space: Space of the field, on `part`.
            part: The submesh.
            surface: The points.
            cells: (facets,) cell of the whole mesh on the wanted side of each facet.
        """
        own = submesh_cells(part.entities, cells, n_cells(self.data.mesh))
        if np.any(own < 0):
            raise MeshError("a facet of a named surface does not belong to the region it bounds")
        return trace(space, np.repeat(own, surface.per_facet), surface.points)

    def sum(self, values: Array) -> float:
        """Return the sum of local values over all ranks; collective."""
        return float(self.comm.allreduce(float(values.sum())))

    def largest(self, values: Array) -> float:
        """Return the largest local value over all ranks; collective."""
        return float(self.comm.allreduce(float(values.max(initial=-np.inf)), op=MPI.MAX))

    def spread(self, owned: Array) -> Array:
        """Return values at the particle nodes with those of the ghosts appended; collective."""
        vector = la.vector(self.scalars.dofmap.index_map, 1)
        vector.array[: owned.size] = owned
        vector.scatter_forward()
        return vector.array.copy()


def _check(data: MeshData) -> None:
    """Check that the mesh has what a half-cell needs."""
    if "ecbd" not in data.regions:
        raise MeshError(f"the mesh has no region 'ecbd'; it has {sorted(data.regions)}")
    if not len(data.grain_tags):
        raise MeshError("the mesh has no grain: name the volumes of the particles")
    missing = [n for n in ("interface", "collector", "anode") if n not in data.facets]
    if missing:
        raise MeshError(f"the mesh has no facets {missing}; it has {sorted(data.facets)}")

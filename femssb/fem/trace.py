"""Values of fields of both sides at the points of an internal surface.

Laws of a surface live at quadrature points of its facets. What they need from a finite-element
field is a fixed linear combination of a few degrees of freedom, found here once: for each point,
the degrees of freedom and the values of their basis functions there. Everything that follows
(residual, Jacobian, read-out) is linear algebra on these small tables.
"""

from dataclasses import dataclass
from typing import Any

import femssb.environment.platform

import basix
import numpy as np
from dolfinx import fem, la, mesh
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.errors import MeshError

Cells = NDArray[np.int32]

_NEGLIGIBLE = 1e-10  # basis values below are roundoff of the pull-back


@dataclass(frozen=True, kw_only=True)
class SurfacePoints:
    """Quadrature points of the facets of a surface that this rank owns.

    The points of one facet follow each other: point ``p`` lies on facet ``p // per_facet``.
    """

    facets: Cells  # (n_facets,) local facets of the parent mesh
    vertices: Array  # (n_facets, 3, 3) corners of each facet [m]
    minus: Cells  # (n_facets,) local cell of the parent mesh that the normal points out of
    plus: Cells  # (n_facets,) the cell on the other side; -1 on the boundary
    per_facet: int  # points on each facet
    points: Array  # (n, 3) [m]
    weights: Array  # (n,) share of the area [m2]
    frame: Array  # (n, 3, 3) rows: normal, first tangent, second tangent


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Scalar basis of one function space at the points of a surface."""

    nodes: Cells  # (n, m) local nodes of the space (not unrolled by components)
    values: Array  # (n, m) values of their basis functions

    def __call__(self, field: Array) -> Array:
        """Return a scalar field at the points (n,), from its local values, ghosts included."""
        return np.einsum("nm,nm->n", self.values, field[self.nodes])


def quadrature(order: int) -> tuple[Array, Array]:
    """Return points (m, 3), barycentric, and weights (m,) that sum to one, on a triangle.

    For linear fields the points are the corners. A stiff law between coincident nodes then acts on
    each pair by itself, which avoids the oscillating tractions that interior points give
    (Schellekens and de Borst 1993, doi:10.1002/nme.1620360104). For quadratic fields the corners
    would leave the jump at the edges free, so a Gauss rule of degree 4 is used.
    """
    if order == 1:
        return np.eye(3), np.full(3, 1 / 3)
    points, weights = basix.make_quadrature(basix.CellType.triangle, 2 * order)
    return np.column_stack([1 - points.sum(axis=1), points]), 2 * weights


def surface_points(
    domain: mesh.Mesh, facets: Cells, *, piece: NDArray[np.integer[Any]], order: int = 1
) -> SurfacePoints:
    """Place quadrature points on the facets of a surface.

    Args:
        domain: Parent mesh of tetrahedra.
        facets: Local facets of the surface; those owned by other ranks are left out.
        piece: Number of each local cell (ghosts included): the minus side, which the normal points
            out of, is that of the lower one; -1 for cells that are never on it.
        order: Polynomial degree of the fields that meet there.

    Raises:
        MeshError: If a facet has no minus side, or both its cells have the same number.
    """
    dim = domain.topology.dim
    domain.topology.create_connectivity(dim - 1, dim)
    domain.topology.create_connectivity(dim, dim - 1)
    facets = np.sort(facets[facets < domain.topology.index_map(dim - 1).size_local])
    to_cells = domain.topology.connectivity(dim - 1, dim)
    minus, plus = np.full((2, facets.size), -1, np.int32)
    for k, facet in enumerate(facets):
        cells = to_cells.links(facet)
        first, *second = sorted(cells, key=lambda cell: (piece[cell] < 0, piece[cell]))
        if piece[first] >= 0 and not any(piece[cell] == piece[first] for cell in second):
            minus[k], plus[k] = first, *(second or [-1])
    wrong = domain.comm.allreduce(int(np.count_nonzero(minus < 0)))
    if wrong:
        raise MeshError(f"{wrong} facets of a surface do not separate its two sides")

    vertices = domain.geometry.x[mesh.entities_to_geometry(domain, dim - 1, facets).reshape(-1, 3)]
    cross = np.cross(vertices[:, 1] - vertices[:, 0], vertices[:, 2] - vertices[:, 0])
    length = np.linalg.norm(cross, axis=1, keepdims=True)
    normal = cross / length
    middle = domain.geometry.x[domain.geometry.dofmap[minus]].mean(axis=1)
    normal[np.einsum("ij,ij->i", vertices.mean(axis=1) - middle, normal) < 0] *= -1
    tangent = vertices[:, 1] - vertices[:, 0]
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    frame = np.stack([normal, tangent, np.cross(normal, tangent)], axis=1)

    barycentric, weights = quadrature(order)
    return SurfacePoints(
        facets=facets,
        vertices=vertices,
        minus=minus,
        plus=plus,
        per_facet=len(weights),
        points=np.einsum("qv,fvi->fqi", barycentric, vertices).reshape(-1, 3),
        weights=(0.5 * length * weights).ravel(),
        frame=np.repeat(frame, len(weights), axis=0),
    )


def trace(space: fem.FunctionSpace, cells: Cells, points: Array) -> Trace:
    """Evaluate the basis of a Lagrange space at points of given cells.

    Args:
        space: Lagrange space, scalar or vector, on straight tetrahedra.
        cells: (n,) local cell of the space's mesh that holds each point.
        points: (n, 3) [m].
    """
    geometry = space.mesh.geometry
    corners = geometry.x[geometry.dofmap[cells]]
    jacobian = np.swapaxes(corners[:, 1:] - corners[:, :1], 1, 2)
    reference = np.linalg.solve(jacobian, (points - corners[:, 0])[:, :, None])[:, :, 0]
    values = space.element.basix_element.tabulate(0, reference)[0, :, :, 0]
    values = np.where(np.abs(values) < _NEGLIGIBLE, 0.0, values)
    # Sort the zeros last, and drop the columns in which every point has one.
    order = np.argsort(values == 0.0, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    nodes = np.take_along_axis(space.dofmap.list[cells], order, axis=1)
    width = int((values != 0.0).sum(axis=1).max(initial=1))
    return Trace(nodes=np.ascontiguousarray(nodes[:, :width]), values=values[:, :width].copy())


def surface_nodes(space: fem.FunctionSpace, on: Trace) -> NDArray[np.int64]:
    """Return the owned nodes of a space on a surface, from its trace on each rank; collective."""
    mark = la.vector(space.dofmap.index_map, 1)
    mark.array[on.nodes[on.values != 0.0]] = 1.0
    mark.scatter_reverse(la.InsertMode.add)
    return np.flatnonzero(mark.array[: space.dofmap.index_map.size_local] > 0)


def submesh_cells(entities: mesh.EntityMap, cells: Cells, n_parent: int) -> Cells:
    """Return the local cells of a submesh that are the given local cells of its parent.

    The entity map was made with the submesh; the parent has so many cells, ghosts included.
    """
    n_sub = entities.sub_topology.index_map(entities.dim)
    own = np.arange(n_sub.size_local + n_sub.num_ghosts, dtype=np.int32)
    inverse = np.full(n_parent, -1, np.int32)
    inverse[entities.sub_topology_to_topology(own, False)] = own
    return inverse[cells]

"""Quadratic functions on edges, on top of linear ones.

The function of an edge is four times the product of the two linear functions of its ends: 1 in its
middle, 0 on all other edges and at all nodes. With all edges a linear displacement becomes a
quadratic one; with some, it does so where they are.
"""

import femssb.environment.platform

import basix
import basix.ufl
import numpy as np
from dolfinx import fem, la, mesh
from numpy.typing import NDArray

from femssb.arrays import Array, Indices
from femssb.fem.trace import Cells, surface_nodes, trace

_TETRAHEDRON = basix.CellType.tetrahedron
_ENDS = np.array(basix.topology(_TETRAHEDRON)[1])  # (6, 2) corners of each edge


def edge_space(domain: mesh.Mesh) -> fem.FunctionSpace:
    """Return the vector space of the edge functions of a mesh of tetrahedra, three for each."""
    points, weights = basix.make_quadrature(_TETRAHEDRON, 4)
    linear = np.column_stack([1 - points.sum(axis=1), points])
    functions = 4 * linear[:, _ENDS[:, 0]] * linear[:, _ENDS[:, 1]]
    orthonormal = basix.tabulate_polynomials(basix.PolynomialType.legendre, _TETRAHEDRON, 2, points)
    middles = basix.geometry(_TETRAHEDRON)[_ENDS].mean(axis=1)
    none, of_none = np.zeros((0, 3)), np.zeros((0, 1, 0, 1))
    one = np.ones((1, 1, 1, 1))  # the value in the middle
    element = basix.ufl.custom_element(
        _TETRAHEDRON,
        [],
        functions.T @ (weights[:, None] * orthonormal.T),
        [[none] * 4, [middle[None] for middle in middles], [none] * 4, [none]],
        [[of_none] * 4, [one] * 6, [of_none] * 4, [of_none]],
        0,
        basix.MapType.identity,
        basix.SobolevSpace.H1,
        False,
        -1,  # no polynomial of any degree is among its functions
        2,
        basix.PolysetType.standard,
    )
    return fem.functionspace(domain, basix.ufl.blocked_element(element, shape=(3,)))


def edge_nodes(space: fem.FunctionSpace, cells: Cells, facets: Array) -> Indices:
    """Return the local edges of an edge space that lie in facets; collective.

    Args:
        space: The edge space.
        cells: (n,) local cell behind each facet.
        facets: (n, 3, 3) corners of the facets.
    """
    middles = 0.5 * (facets + np.roll(facets, 1, axis=1))
    owned = surface_nodes(space, trace(space, np.repeat(cells, 3), middles.reshape(-1, 3)))
    return np.flatnonzero(_everywhere(space, owned))


def touching(
    nodes: fem.FunctionSpace, space: fem.FunctionSpace, chosen: Indices
) -> NDArray[np.bool_]:
    """Return whether each local edge has an end at one of some nodes; collective.

    Args:
        nodes: Linear space on the same mesh.
        space: The edge space.
        chosen: Owned nodes of the linear one.
    """
    ends = _everywhere(nodes, chosen)[nodes.dofmap.list][:, _ENDS].any(axis=2)
    index_map = space.dofmap.index_map
    found = np.zeros(index_map.size_local + index_map.num_ghosts, bool)
    found[space.dofmap.list[ends]] = True
    return found


def _everywhere(space: fem.FunctionSpace, owned: Indices) -> NDArray[np.bool_]:
    """Return whether each local node is one of some that their ranks own; collective."""
    mark = la.vector(space.dofmap.index_map, 1)
    mark.array[owned] = 1.0
    mark.scatter_forward()
    return np.asarray(mark.array > 0)

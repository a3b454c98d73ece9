"""The cathode layer of a mesh between two plates: how much of its matrix's conductivity it has.

    div(grad phi) = 0 in the matrix,    phi the same all over either plate,

with particles that do not conduct, and periodic sides. The layer, particles in it, then has
`relative` times the conductivity of its matrix, whatever that is. This is the one part of
`femssb.electrode` that needs DOLFINx: it is loaded where it is called.
"""

from dataclasses import dataclass

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
import ufl
from dolfinx import fem

from femssb.arrays import Array
from femssb.errors import InputError, MeshError
from femssb.fem.assembly import Operator, Part, n_cells
from femssb.fem.constraints import Field, Unknowns
from femssb.fem.linear_solver import KrylovSolver, LinearSolver
from femssb.fem.surface_problem import SurfaceProblem
from femssb.meshing.data import MeshData, gather
from femssb.tetrahedra import volumes

LEVEL = 1e-6  # of the thickness: nodes as close to a plate lie on it
EXACT = LinearSolver(reduction=1e-10)
REACTS = ("interface", "particle_separator")  # surfaces at which lithium is inserted


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A meshed cathode layer."""

    relative: float  # its conductivity over that of its matrix [-]
    thickness: float  # [m]
    area: float  # of its cross-section [m2]
    active: float  # volume of the particles [m3]
    interface: float  # area between particles and matrix or separator [m2]


def layer(data: MeshData, matrix: str = "ecbd") -> Layer:
    """Return the layer of a mesh; collective.

    Raises:
        InputError: If the mesh has no such region.
        MeshError: If the matrix does not lead from plate to plate.
        NotConverged: If the potential is not found.
    """
    if matrix not in data.regions:
        raise InputError(f"the mesh has no region {matrix!r}; it has {sorted(data.regions)}")
    comm: MPI.Comm = data.mesh.comm
    tags = np.zeros(n_cells(data.mesh), np.int32)
    tags[data.cell_tags.indices] = data.cell_tags.values
    part = Part(data.mesh, tags == data.regions[matrix], tags)
    space = fem.functionspace(part.mesh, ("Lagrange", 1))
    height = space.tabulate_dof_coordinates()[:, 2]
    bottom, top = _range(comm, height)
    near = LEVEL * (top - bottom)
    corners = data.mesh.geometry.x
    x, y = (_range(comm, corners[:, axis]) for axis in (0, 1))
    period = np.array([x[0], y[0], bottom]), np.array([x[1], y[1], top])
    unknowns = Unknowns(
        [
            Field(
                space=space,
                fixed=np.flatnonzero(height > top - near),
                tied=(("plate", np.flatnonzero(height < bottom + near)),),
            )
        ],
        period=period,
        axes=data.periodic,
    )
    phi, w = ufl.TrialFunction(space), ufl.TestFunction(space)
    operator = Operator(fem.form(ufl.inner(ufl.grad(phi), ufl.grad(w)) * ufl.dx))
    problem = SurfaceProblem("layer", unknowns, [operator.triplets(unknowns.reduced[0])], [])
    current = unknowns.vector()
    unknowns.write_single(current, "plate", 1.0)
    potential, _ = KrylovSolver("layer", unknowns, EXACT).solve(problem.jacobian([]), current)
    resistance = unknowns.read_single(potential, "plate")
    area = (x[1] - x[0]) * (y[1] - y[0])
    relative = (top - bottom) / (area * resistance)
    if not 0 < relative <= 1 + 1e-6:
        raise MeshError(f"region {matrix!r} of the mesh does not lead from plate to plate")
    active, interface = _measures(data)
    return Layer(
        relative=relative,
        thickness=top - bottom,
        area=area,
        active=active,
        interface=interface,
    )


def _range(comm: MPI.Comm, values: Array) -> tuple[float, float]:
    """Return the smallest and the largest value of all ranks."""
    return (
        float(comm.allreduce(float(values.min(initial=np.inf)), op=MPI.MIN)),
        float(comm.allreduce(float(values.max(initial=-np.inf)), op=MPI.MAX)),
    )


def _measures(data: MeshData) -> tuple[float, float]:
    """Return the volume of the particles and the area at which they react, on every rank."""
    found = None
    if (parts := gather(data)) is not None:
        grains = np.isin(parts.cell_tags, data.grain_tags)
        reacts = [data.facets[name] for name in REACTS if name in data.facets]
        a, b, c = np.moveaxis(
            parts.points[parts.triangles[np.isin(parts.facet_tags, reacts)]], 1, 0
        )
        areas = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
        found = (
            float(volumes(parts.points, parts.cells)[grains].sum()),
            float(areas.sum()),
        )
    return data.mesh.comm.bcast(found, root=0)

"""Elastic bodies of any shape and support, put together from the parts that `Model` is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import basix
import basix.ufl
import dolfinx.mesh
import numpy as np
from dolfinx import fem
from numpy.typing import NDArray

from femssb.cell import mechanics
from femssb.cell.cohesion import Cohesion, cohesive_traction
from femssb.fem import newton
from femssb.fem.assembly import Operator, Part, n_cells, n_dofs
from femssb.fem.constraints import Field, Unknowns
from femssb.fem.linear_solver import KrylovSolver, LinearSolver
from femssb.fem.surface_problem import PointOperator, SurfaceProblem
from femssb.fem.trace import submesh_cells, surface_points, trace
from femssb.inputs.interfaces import CohesiveLaw

Array = NDArray[np.float64]
Where = Callable[[Array], NDArray[np.bool_]]


def isotropic(young: float, poisson: float) -> Array:
    """Return the Voigt stiffness (6, 6) from its definition, without the package."""
    shear = young / (2 * (1 + poisson))
    lame = young * poisson / ((1 + poisson) * (1 - 2 * poisson))
    stiffness = np.diag([2 * shear] * 3 + [shear] * 3)
    stiffness[:3, :3] += lame
    return stiffness


def rotation(seed: int) -> Array:
    """Return a random proper rotation (3, 3)."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def tensor(voigt: Array) -> Array:
    """Return symmetric tensors (..., 3, 3) of Voigt stresses (..., 6)."""
    return np.asarray(voigt)[..., [[0, 5, 4], [5, 1, 3], [4, 3, 2]]]


def voigt(strain: Array) -> Array:
    """Return Voigt strains (..., 6), engineering shear, of symmetric tensors (..., 3, 3)."""
    i, j = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]
    return strain[..., i, j] * np.array([1, 1, 1, 2, 2, 2])


def box(
    cells: tuple[int, int, int],
    size: tuple[float, float, float] = (1.0, 1.0, 1.0),
    comm: MPI.Comm = MPI.COMM_WORLD,
) -> dolfinx.mesh.Mesh:
    """Return a box of tetrahedra from the origin, its opposite sides alike."""
    return dolfinx.mesh.create_box(
        comm, [np.zeros(3), size], cells, ghost_mode=dolfinx.mesh.GhostMode.shared_facet
    )


def middles(domain: dolfinx.mesh.Mesh) -> Array:
    """Return the centres of the local cells, ghosts included, (n, 3)."""
    return domain.geometry.x[domain.geometry.dofmap].mean(axis=1)


@dataclass(frozen=True, kw_only=True)
class Quadrature:
    """A space evaluated at quadrature points of the owned cells of its mesh, without any form."""

    points: Array  # (c, q, 3) [m]
    weights: Array  # (c, q) [m3]
    values: Array  # (q, m) basis
    gradients: Array  # (c, q, m, 3) of the basis
    nodes: NDArray[np.int32]  # (c, m)

    def field(self, values: Array) -> Array:
        """Return a vector field (c, q, 3), given its local values, unrolled."""
        return np.einsum("qm,cmk->cqk", self.values, values.reshape(-1, 3)[self.nodes])

    def gradient(self, values: Array) -> Array:
        """Return the gradient (c, q, 3, 3) of a vector field, derivative last."""
        return np.einsum("cqmi,cmk->cqki", self.gradients, values.reshape(-1, 3)[self.nodes])

    def strain(self, values: Array) -> Array:
        """Return the Voigt strain (c, q, 6) of a displacement."""
        gradient = self.gradient(values)
        return voigt(0.5 * (gradient + np.swapaxes(gradient, -1, -2)))

    def load(self, force: Array, size: int) -> Array:
        """Return the nodal forces (size,) of a body force (c, q, 3)."""
        nodal = np.einsum("cq,qm,cqk->cmk", self.weights, self.values, force)
        total = np.zeros((size // 3, 3))
        np.add.at(total, self.nodes, nodal)
        return total.ravel()

    def integral(self, integrand: Array, comm: MPI.Comm) -> float:
        """Return the integral of values (c, q) over all ranks; collective."""
        return float(comm.allreduce(float((self.weights * integrand).sum())))


def quadrature(space: fem.FunctionSpace, degree: int = 1, *, at: Array | None = None) -> Quadrature:
    """Evaluate a Lagrange space on straight tetrahedra.

    Args:
        space: The space.
        degree: Of the polynomials that the rule integrates.
        at: Reference points (q, 3) to take instead of a rule, each for an equal share of the cell.
    """
    domain = space.mesh
    owned = domain.topology.index_map(3).size_local
    corners = domain.geometry.x[domain.geometry.dofmap[:owned]]
    jacobian = np.swapaxes(corners[:, 1:] - corners[:, :1], 1, 2)
    if at is None:
        at, weights = basix.make_quadrature(basix.CellType.tetrahedron, degree)
    else:
        weights = np.full(len(at), 1 / (6 * len(at)))
    table = space.element.basix_element.tabulate(1, at)[..., 0]
    return Quadrature(
        points=corners[:, None, 0] + np.einsum("cij,qj->cqi", jacobian, at),
        weights=np.abs(np.linalg.det(jacobian))[:, None] * weights,
        values=table[0],
        gradients=np.einsum("jqm,cji->cqmi", table[1:], np.linalg.inv(jacobian)),
        nodes=space.dofmap.list[:owned],
    )


@dataclass(frozen=True, kw_only=True)
class Body:
    """One elastic body."""

    part: Part
    space: fem.FunctionSpace
    stiffness: Array  # (local cells, 6, 6) [Pa]
    direction: Array  # (local cells, 6) chemical strain per amplitude
    bulk: Operator
    chemical: Operator  # columns: 3 per node of `linear`, of which the first counts
    linear: fem.FunctionSpace  # linear vector space

    def expansion_force(self, amplitude: Array) -> Array:
        """Return the nodal forces of a chemical strain amplitude, given at the linear nodes."""
        return self.chemical.matrix[:, ::3] @ amplitude


class Solid:
    """One elastic body, or two that meet in an interface: the inner one is the minus side."""

    def __init__(
        self,
        domain: dolfinx.mesh.Mesh,
        stiffness: Mapping[int, Array],
        *,
        tags: NDArray[np.int32] | None = None,
        inner: tuple[int, ...] = (),
        direction: Mapping[int, Array] | None = None,
        order: int = 1,
        held: Where | None = None,
        tied: Mapping[str, Where] | None = None,
        period: tuple[Array, Array] | None = None,
        linear_solver: LinearSolver | None = None,
    ) -> None:
        """Discretise; collective.

        Args:
            domain: The mesh.
            stiffness: Voigt matrix of each tag [Pa].
            tags: (local cells,) of the mesh, ghosts included; all 0 by default.
            inner: Tags of the inner body; none: one body without an interface.
            direction: Voigt chemical strain of each tag, per unit amplitude; zero by default.
            order: Degree of the displacement.
            held: Returns, for nodes (n, 3), which components (n, 3) stay at zero.
            tied: For each name, which components (n, 3) of nodes (n, 3) are one unknown.
            period: Lower and upper corner of the periodic box.
            linear_solver: How to solve; by default directly, which is quick at the size of tests.
        """
        self.comm = domain.comm
        self.domain = domain
        tags = np.zeros(n_cells(domain), np.int32) if tags is None else tags
        axes_of = {**dict.fromkeys(stiffness, np.zeros(6)), **(direction or {})}
        inside = np.isin(tags, inner)
        masks = [inside, ~inside] if inner else [np.ones_like(inside)]
        self.bodies = []
        for mask in masks:
            part = Part(domain, mask, tags)
            space = fem.functionspace(part.mesh, ("Lagrange", order, (3,)))
            linear = fem.functionspace(part.mesh, ("Lagrange", 1, (3,)))
            modulus, axes = part.by_tag(stiffness), part.by_tag(axes_of)
            body = Body(
                part=part,
                space=space,
                stiffness=np.array([stiffness[tag] for tag in part.cell_tags]).reshape(-1, 6, 6),
                direction=np.array([axes_of[tag] for tag in part.cell_tags]).reshape(-1, 6),
                bulk=Operator(mechanics.elasticity(space, modulus)),
                chemical=Operator(mechanics.chemical_load(space, linear, modulus, axes)),
                linear=linear,
            )
            self.bodies.append(body)

        fields = []
        for body in self.bodies:
            owned = body.space.dofmap.index_map.size_local
            x = body.space.tabulate_dof_coordinates()[:owned]
            groups = tuple((n, _chosen(where(x))) for n, where in (tied or {}).items())
            fixed = _chosen(held(x)) if held else np.empty(0, np.int64)
            fields.append(Field(space=body.space, fixed=fixed, tied=groups))
        self.unknowns = Unknowns(fields, period=period)

        numbers = self.unknowns.reduced
        entries = [b.bulk.triplets(n) for b, n in zip(self.bodies, numbers, strict=True)]
        operators = [self._jump(inside, order)] if inner else []
        self.problem = SurfaceProblem(
            "solid",
            self.unknowns,
            entries,
            operators,
            energetic=True,
        )
        method = linear_solver or LinearSolver(method="direct")
        self.linear_solver = KrylovSolver("solid", self.unknowns, method)

    def _jump(self, inside: NDArray[np.bool_], order: int) -> PointOperator:
        domain = self.domain
        domain.topology.create_connectivity(2, 3)
        to_cells = domain.topology.connectivity(2, 3)
        facets = np.array(
            [
                f
                for f in range(domain.topology.index_map(2).size_local)
                if len(np.unique(inside[to_cells.links(f)])) == 2
            ],
            np.int32,
        )
        self.points = surface_points(domain, facets, piece=np.where(inside, 0, -1), order=order)
        columns, values = [], []
        sides = ((-1.0, self.points.minus), (1.0, self.points.plus))
        for body, (sign, cells) in zip(self.bodies, sides, strict=True):
            own = submesh_cells(body.part.entities, cells, n_cells(domain))
            on = trace(body.space, np.repeat(own, self.points.per_facet), self.points.points)
            n, m = on.nodes.shape
            columns.append((3 * on.nodes[:, :, None] + np.arange(3)).reshape(n, 3 * m))
            weights = sign * np.einsum("nm,nki->nkmi", on.values, self.points.frame)
            values.append(weights.reshape(n, 3, 3 * m))
        self._sides = list(zip(columns, values, strict=True))
        return PointOperator(
            columns=np.hstack([n[c] for n, c in zip(self.unknowns.reduced, columns, strict=True)]),
            values=np.concatenate(values, axis=2),
            weights=self.points.weights,
        )

    def jump(self, displacements: list[Array]) -> Array:
        """Return the jump (n, 3) in the local frame of displacements, one array for each body."""
        return sum(
            np.einsum("nkm,nm->nk", values, u[columns])
            for u, (columns, values) in zip(displacements, self._sides, strict=True)
        )

    def solve(
        self,
        law: Callable[[Array], Cohesion] | None = None,
        *,
        forces: list[Array] | None = None,
        lift: list[Array] | None = None,
        x: PETSc.Vec | None = None,
        fixed: str | None = None,
        tolerance: float = 1e-10,
        scale: float | None = None,
    ) -> tuple[list[Array], newton.Convergence]:
        """Solve; collective.

        Args:
            law: Cohesion of a jump (n, 3).
            forces: Nodal forces of each body, ghosts included.
            lift: Displacement of each body that is prescribed, zero where it is not.
            x: Guess, then the solution without the lift.
            fixed: Name of tied components that keep their value.
            tolerance: Of Newton.
            scale: Force that the tolerance refers to [N]; by default the forces at work.

        Returns:
            The displacement of each body, ghosts included, and what it took.
        """
        x = self.unknowns.vector() if x is None else x
        lift = lift or [np.zeros(n_dofs(b.space)) for b in self.bodies]
        forces = forces or [np.zeros_like(u) for u in lift]
        load = self.unknowns.gather(
            [f - b.bulk.matrix @ u for f, b, u in zip(forces, self.bodies, lift, strict=True)]
        )
        start = self.jump(lift) if self.problem.operators else None

        def respond(values: list[Array]) -> list[tuple[Array, Array]]:
            if law is None:
                return []
            response = law(values[0] + start)
            return [(response.traction, response.tangent)]

        number = None if fixed is None else self.unknowns.single[fixed]
        taken = newton.solve(
            self.problem,
            self.linear_solver,
            x,
            load,
            respond,
            tolerance=tolerance,
            scale=scale,
            fixed=number,
        )
        solution = [u + v for u, v in zip(self.unknowns.expand(x), lift, strict=True)]
        return solution, taken

    def elastic_energy(self, displacements: list[Array]) -> float:
        """Return the energy stored in the bodies without chemical strain [J]; collective."""
        here = sum(
            0.5 * float(u @ (body.bulk.matrix @ u))
            for u, body in zip(displacements, self.bodies, strict=True)
        )
        return float(self.comm.allreduce(here))

    def sum(self, values: Array) -> float:
        """Return the sum over all ranks; collective."""
        return float(self.comm.allreduce(float(np.sum(values))))


def _chosen(components: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.flatnonzero(components.ravel()).astype(np.int64)


def balls(
    radii: tuple[float, ...], sizes: tuple[float, ...], *, octant: bool = False
) -> tuple[dolfinx.mesh.Mesh, NDArray[np.int32]]:
    """Mesh concentric balls on this rank alone, with the tag of each cell: 0 innermost.

    Args:
        radii: From inside to outside [m].
        sizes: Length of the edges at each radius; the first also at the centre [m].
        octant: Only the part where x, y and z are positive.
    """
    unit = radii[-1]

    def build(gmsh: Any) -> None:
        occ = gmsh.model.occ
        shape = {"angle1": 0, "angle3": np.pi / 2} if octant else {}
        solids = [(3, occ.addSphere(0, 0, 0, r / unit, **shape)) for r in radii]
        if len(solids) > 1:
            occ.fragment(solids[:1], solids[1:])
        occ.synchronize()
        field = gmsh.model.mesh.field.add("MathEval")
        knots = [(0.0, sizes[0]), *zip(radii, sizes, strict=True)]
        terms = [f"{knots[0][1] / unit}"]
        for (r0, h0), (r1, h1) in pairwise(knots):
            slope = (h1 - h0) / (r1 - r0)
            inside = f"(Sqrt(x*x+y*y+z*z)-{r0 / unit})"
            span = (r1 - r0) / unit
            # the distance into this shell, at least 0 and at most its thickness
            terms.append(f"{slope / 2}*(Abs{inside}-Abs({inside}-{span})+{span})")
        gmsh.model.mesh.field.setString(field, "F", "+".join(terms))
        gmsh.model.mesh.field.setAsBackgroundMesh(field)

    domain = gmsh_mesh(build)
    domain.geometry.x[:] *= unit
    distance = np.linalg.norm(middles(domain), axis=1)
    return domain, np.searchsorted(radii[:-1], distance).astype(np.int32)


def gmsh_mesh(build: Callable[[Any], None]) -> dolfinx.mesh.Mesh:
    """Return the tetrahedra of what ``build`` makes of an empty Gmsh model, on this rank alone."""
    import gmsh

    gmsh.initialize(readConfigFiles=False, interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("General.NumThreads", 1)
        gmsh.option.setNumber("Mesh.MeshSizeExtendFromBoundary", 0)
        build(gmsh)
        gmsh.model.mesh.generate(3)
        names, points, _ = gmsh.model.mesh.getNodes()
        _, corners = gmsh.model.mesh.getElementsByType(4)
    finally:
        gmsh.finalize()
    used, cells = np.unique(corners, return_inverse=True)
    points = points.reshape(-1, 3)[np.argsort(names)][np.searchsorted(np.sort(names), used)]
    element = basix.ufl.element("Lagrange", "tetrahedron", 1, shape=(3,))
    return dolfinx.mesh.create_mesh(MPI.COMM_SELF, cells.reshape(-1, 4), element, points)


class Path:
    """A body pulled apart step by step: tied components are moved, damage and energies kept."""

    def __init__(self, solid: Solid, law: CohesiveLaw, name: str, tolerance: float = 1e-10) -> None:
        """Start at rest.

        Args:
            solid: Two bodies with an interface.
            law: Of the interface.
            name: The tied components that are moved.
            tolerance: Of Newton.
        """
        self.solid, self.cohesive_law, self.name, self.tolerance = solid, law, name, tolerance
        self.x = solid.unknowns.vector()
        n = len(solid.points.points)
        self.jump, self.damage, self.spent = np.zeros((n, 3)), np.zeros(n), np.zeros(n)
        self.moves, self.forces = [0.0], [0.0]
        self.work = self.cohesive = self.viscous = 0.0  # [J]
        self.newton: list[int] = []
        # forces fall to zero with the last point that holds: count from those of the intact state
        self._scale = solid.sum(solid.points.weights) * law.normal_strength

    def law(self, time_step: float) -> Callable[[Array], Cohesion]:
        """Return what the interface answers to a jump at the end of the next step."""
        at = {"damage": self.damage, "spent": self.spent, "previous_jump": self.jump}

        def respond(now: Array) -> Cohesion:
            return cohesive_traction(self.cohesive_law, now, time_step=time_step, **at)

        return respond

    def move(self, to: float, time_step: float = 1.0, *, tangent: bool = False) -> None:
        """Move the tied components [m] in a time [s], with the rest along the tangent if asked."""
        solid, unknowns = self.solid, self.solid.unknowns
        respond = self.law(time_step)
        x = self.x.copy()
        if tangent:
            x.axpy(1.0, self._tangent(respond, to - self.moves[-1]))
        unknowns.write_single(x, self.name, to)
        displacement, taken = solid.solve(
            respond, x=x, fixed=self.name, tolerance=self.tolerance, scale=self._scale
        )
        jump = solid.jump(displacement)
        cohesion = respond(jump)
        answer = [(cohesion.traction, cohesion.tangent)]
        force = solid.problem.linearise(x, unknowns.vector(), lambda _: answer).residual
        reaction = unknowns.read_single(force, self.name)
        self.work += 0.5 * (reaction + self.forces[-1]) * (to - self.moves[-1])
        weights = solid.points.weights
        self.cohesive += solid.sum(weights * cohesion.dissipated)
        self.viscous += solid.sum(weights * cohesion.viscous)
        self.x, self.jump = x, jump
        self.damage, self.spent = cohesion.damage, cohesion.spent
        self.moves.append(to)
        self.forces.append(reaction)
        self.newton.append(taken.newton)

    def _tangent(self, respond: Callable[[Array], Cohesion], by: float) -> PETSc.Vec:
        """Return by how much all unknowns move with the tied components, to first order."""
        solid, number = self.solid, self.solid.unknowns.single[self.name]
        cohesion = respond(self.jump)
        moved = solid.unknowns.vector()
        solid.unknowns.write(moved, number, by)
        matrix = solid.problem.jacobian([cohesion.tangent], number)
        return solid.linear_solver.solve(matrix, moved)[0]

    def stored(self) -> float:
        """Return the elastic energy of bodies and interface [J]; collective."""
        opening = self.jump.copy()
        opening[:, 0] = np.maximum(opening[:, 0], 0)
        closed = np.minimum(self.jump[:, 0], 0)
        density = (1 - self.damage) * (opening**2).sum(axis=1) + closed**2
        at_interface = 0.5 * self.cohesive_law.stiffness * density * self.solid.points.weights
        bulk = self.solid.elastic_energy(self.solid.unknowns.expand(self.x))
        return bulk + self.solid.sum(at_interface)

    def mean_damage(self) -> float:
        """Return the damage averaged over the interface; collective."""
        weights = self.solid.points.weights
        return self.solid.sum(weights * self.damage) / self.solid.sum(weights)

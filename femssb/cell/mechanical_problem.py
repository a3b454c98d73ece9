"""The second of the two discrete problems: equilibrium of bodies that cohesive surfaces hold.

Unknowns are the displacements of the bodies; lithium strains the grains, surfaces open and are
damaged.
"""

from __future__ import annotations

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
from dolfinx import fem, la
from numpy.typing import NDArray

from femssb.cell import mechanics
from femssb.cell.bodies import Bodies
from femssb.cell.cohesion import Cohesion, cohesive_traction
from femssb.cell.regions import LITHIUM, made_of
from femssb.cell.surfaces import Side, Surface, joined
from femssb.fem import newton
from femssb.fem.assembly import Operator, linear_form, n_dofs
from femssb.fem.constraints import Field, Unknowns
from femssb.fem.linear_solver import KrylovSolver, LinearSolver
from femssb.fem.surface_problem import PointOperator, SurfaceProblem
from femssb.fem.trace import Trace, surface_nodes
from femssb.inputs.boundary import Fixed, Pressure
from femssb.inputs.materials import ActiveMaterial

Array = NDArray[np.float64]


class MechanicalProblem:
    """Elastic bodies, the cohesive surfaces between them, and the supports of their ends.

    Attributes:
        spaces: Space of the displacement of each body.
        unknowns: How these are numbered.
        problem: The discrete problem.
        linear_solver: What solves its linear systems.
        stiffness: (6, 6) of each cell of each body, in the axes of the box [Pa].
        expansion_direction: (6,) of each cell with lithium: strain over its amplitude.
        node_volume: Volume of each owned particle node [m3].
    """

    def __init__(
        self, bodies: Bodies, linear_solver: LinearSolver, *, displacement_order: int
    ) -> None:
        """Lay the unknowns out and assemble all that never changes; collective.

        Args:
            bodies: Where the fields live.
            linear_solver: How linear systems are solved.
            displacement_order: Polynomial degree of the displacement, 1 or 2.
        """
        self.bodies = bodies
        vectors = ("Lagrange", displacement_order, (3,))
        self.spaces = {
            body: fem.functionspace(part.mesh, vectors) for body, part in bodies.parts.items()
        }
        held = {body: [np.empty(0, np.int64)] for body in self.spaces}
        for surface in bodies.surfaces:
            if isinstance(surface.traction, Fixed):
                nodes = surface_nodes(self.spaces[surface.minus], self._trace(surface, "minus"))
                held[surface.minus].append((3 * nodes[:, None] + np.arange(3)).ravel())
        self.unknowns = Unknowns(
            [
                Field(space=space, fixed=np.unique(np.concatenate(held[body])))
                for body, space in self.spaces.items()
            ],
            period=bodies.period,
        )
        self._assemble()
        iterative = linear_solver.method_for(self.unknowns.size) == "iterative"
        self.linear_solver = KrylovSolver(
            "mechanics",
            self.unknowns,
            linear_solver,
            near_nullspace=self._rigid_modes() if iterative else (),
        )

    def _assemble(self) -> None:
        bodies = self.bodies
        self.stiffness = {
            body: bodies.by_cell(
                part, [(row, row.stiffness()) for row in bodies.regions if row.body == body]
            )
            for body, part in bodies.parts.items()
        }
        host = bodies.domains[LITHIUM]
        self._host = next(body for body, part in bodies.parts.items() if part is host)
        space, stiffness = self.spaces[self._host], self.stiffness[self._host]
        self.expansion_direction = direction = bodies.by_cell(
            host,
            [
                (row, mechanics.expansion_direction(active.expansion_ratio, row.orientations))
                for row, active in made_of(bodies.regions, ActiveMaterial)
            ],
        )
        first = bodies.first_component
        self._chemical_load = Operator(
            mechanics.chemical_load(space, bodies.vectors, stiffness, direction)
        ).matrix[:, first]
        self._hydrostatic_of_displacement = Operator(
            mechanics.hydrostatic_of_displacement(space, bodies.vectors, stiffness)
        ).matrix[first]
        self._hydrostatic_of_expansion = Operator(
            mechanics.hydrostatic_of_expansion(bodies.scalars, stiffness, direction)
        ).matrix
        self.node_volume = linear_form(mechanics.volume_weight(bodies.scalars))
        self._end_forces = self._pressure_load()

        numbers = dict(zip(self.spaces, self.unknowns.reduced, strict=True))
        entries = [
            Operator(mechanics.elasticity(space, self.stiffness[body])).triplets(n, n)
            for (body, space), n in zip(self.spaces.items(), self.unknowns.reduced, strict=True)
        ]
        self.problem = SurfaceProblem(
            "mechanics",
            self.unknowns,
            np.concatenate([rows for rows, _, _ in entries]),
            np.concatenate([columns for _, columns, _ in entries]),
            [self._jump(s, numbers) for s in bodies.surfaces if s.name in bodies.cohesive],
            block_size=3,  # a node is free or held as a whole
        )
        self.problem.set_bulk(np.concatenate([values for _, _, values in entries]))

    def _trace(self, surface: Surface, side: Side) -> Trace:
        """Return what evaluates a displacement component on one side of a surface."""
        body = surface.minus if side == "minus" else surface.plus
        return self.bodies.trace(self.spaces[body], self.bodies.parts[body], surface.name, side)

    def _jump(self, surface: Surface, numbers: dict[str, NDArray[np.int64]]) -> PointOperator:
        """Return what evaluates the displacement jump, in the local frame, at the points."""
        points = self.bodies.points[surface.name]

        def side(side: Side, body: str, sign: float) -> tuple[NDArray[np.int64], Array]:
            on = self._trace(surface, side)
            n, width = len(on.nodes), 3 * on.nodes.shape[1]  # a rank may have no point at all
            columns = numbers[body][3 * on.nodes[:, :, None] + np.arange(3)].reshape(n, width)
            values = sign * np.einsum("nm,nki->nkmi", on.values, points.frame)
            return columns, values.reshape(n, 3, width)

        return PointOperator.joined(
            [side("minus", surface.minus, -1.0), side("plus", surface.plus, 1.0)], points.weights
        )

    def _pressure_load(self) -> dict[str, Array]:
        """Return the nodal forces on each body of the pressures at its ends, ghosts included."""
        forces = {body: np.zeros(n_dofs(space)) for body, space in self.spaces.items()}
        for surface in self.bodies.surfaces:
            if isinstance(surface.traction, Pressure):
                points, on = self.bodies.points[surface.name], self._trace(surface, "minus")
                traction = -surface.traction.pressure * points.frame[:, 0]
                nodal = np.einsum("n,nm,ni->nmi", points.weights, on.values, traction)
                np.add.at(forces[surface.minus].reshape(-1, 3), on.nodes, nodal)
        return forces

    def _rigid_modes(self) -> list[PETSc.Vec]:
        """Return orthonormal rigid motions of the whole cell, in the unknowns."""
        modes = [self.unknowns.vector() for _ in range(6)]
        for index, space in enumerate(self.spaces.values()):
            x, y, z = space.tabulate_dof_coordinates().T
            zero, one = np.zeros_like(x), np.ones_like(x)
            motions = [
                (one, zero, zero),
                (zero, one, zero),
                (zero, zero, one),
                (zero, -z, y),
                (z, zero, -x),
                (-y, x, zero),
            ]
            for mode, motion in zip(modes, motions, strict=True):
                self.unknowns.assign(mode, index, np.column_stack(motion).ravel())
        for k, mode in enumerate(modes):
            for other in modes[:k]:
                mode.axpy(-mode.dot(other), other)
            mode.normalize()
        return modes

    def solve(
        self,
        x: PETSc.Vec,
        *,
        expansion: Array,
        damage: Array,
        previous_jump: Array,
        time_step: float,
        tolerance: float,
    ) -> tuple[newton.Convergence, Cohesion, Array]:
        """Solve equilibrium with the cohesive surfaces, in place; collective.

        Args:
            x: Guess, then solution.
            expansion: Chemical strain amplitude at the particle nodes, ghosts included [-].
            damage: (n,) at the cohesive points at the start of the step.
            previous_jump: (n, 3) there at the start of the step [m].
            time_step: [s].
            tolerance: Sum of absolute force residuals over the sum of absolute forces.

        Returns:
            What it took, the surfaces at the solution, and the jump (n, 3) [m].

        Raises:
            NotConverged: If Newton's method fails.
        """
        forces = {**self._end_forces}
        forces[self._host] = forces[self._host] + self._chemical_load @ expansion
        load = self.unknowns.gather(list(forces.values()))

        def respond(jumps: list[Array]) -> list[Cohesion]:
            return self._respond(jumps, damage, previous_jump, time_step)

        taken = newton.solve(
            self.problem,
            self.linear_solver,
            x,
            load,
            lambda jumps: [(found.traction, found.tangent) for found in respond(jumps)],
            tolerance=tolerance,
        )
        jumps = self.problem.at_points(x)
        return taken, joined(respond(jumps)), np.concatenate(jumps)

    def traction(self, jump: Array, damage: Array) -> Array:
        """Return the traction at rest at the cohesive points, in their frame, shape (n, 3) [Pa]."""
        jumps = list(self.bodies.split(jump).values())
        return joined(self._respond(jumps, damage, jump, 1.0)).traction

    def _respond(
        self, jumps: list[Array], damage: Array, previous_jump: Array, time_step: float
    ) -> list[Cohesion]:
        """Return the answer of each cohesive surface to its jump."""
        before = (self.bodies.split(values).values() for values in (damage, previous_jump))
        return [
            cohesive_traction(law, jump, damage=d, previous_jump=p, time_step=time_step)
            for law, jump, d, p in zip(self.bodies.cohesive.values(), jumps, *before, strict=True)
        ]

    def hydrostatic_stress(self, x: PETSc.Vec, expansion: Array) -> Array:
        """Return a third of the trace of the stress at the particle nodes, ghosts included [Pa].

        The cell-wise stress is averaged to the nodes by volume (a lumped L2 projection).

        Args:
            x: Unknowns.
            expansion: Chemical strain amplitude at the particle nodes, ghosts included [-].
        """
        displacement = dict(zip(self.spaces, self.unknowns.expand(x), strict=True))[self._host]
        total = la.vector(self.bodies.scalars.dofmap.index_map, 1)
        total.array[:] = (
            self._hydrostatic_of_displacement @ displacement
            - self._hydrostatic_of_expansion @ expansion
        )
        total.scatter_reverse(la.InsertMode.add)
        return self.bodies.spread(total.array[: self.node_volume.size] / self.node_volume)

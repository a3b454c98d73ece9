"""The second of the two discrete problems: equilibrium with a cohesive interface.

Unknowns are the displacements of the particles and of everything else; lithium strains the grains,
the interface opens and is damaged.
"""

from __future__ import annotations

from dataclasses import replace

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
from dolfinx import fem, la
from numpy.typing import NDArray

from femssb.cell import interface, mechanics
from femssb.cell.bodies import Bodies
from femssb.fem.assembly import Operator, linear_form, n_dofs
from femssb.fem.constraints import Field, Unknowns
from femssb.fem.solver import Convergence, LinearSolver, PointOperator, SurfaceProblem
from femssb.fem.trace import Trace, surface_nodes
from femssb.inputs.boundary import Fixed, Pressure, Support
from femssb.inputs.materials import Materials
from femssb.tensors import rotate_stiffness

Array = NDArray[np.float64]


class MechanicalProblem:
    """Elastic bodies that meet at a cohesive interface.

    Attributes:
        particle_space, matrix_space: Of the displacement of the particles and of the rest.
        unknowns: How these are numbered.
        problem: The discrete problem.
        particle_stiffness, matrix_stiffness: (6, 6) of each cell, in the axes of the box [Pa].
        expansion_direction: (6,) of each cell: strain over chemical strain amplitude.
        node_volume: Volume of each owned particle node [m3].
    """

    def __init__(
        self,
        bodies: Bodies,
        materials: Materials,
        linear_solver: LinearSolver,
        *,
        collector: Support,
        anode: Support,
        displacement_order: int,
        debonding: bool,
    ) -> None:
        """Lay the unknowns out and assemble all that never changes; collective.

        Args:
            bodies: Where the fields live.
            materials: The parameter set.
            linear_solver: How linear systems are solved.
            collector: How the collector face is held.
            anode: How the anode face is held.
            displacement_order: Polynomial degree of the displacement, 1 or 2.
            debonding: Whether the interface can be damaged.
        """
        self.bodies = bodies
        self.materials = materials
        self.cohesive = materials.cohesive
        if not debonding:
            self.cohesive = replace(
                materials.cohesive,
                normal_strength=np.inf,
                shear_strength=np.inf,
                normal_fracture_energy=np.inf,
                shear_fracture_energy=np.inf,
            )
        self._ends = ((collector, bodies.collector), (anode, bodies.anode))
        vectors = ("Lagrange", displacement_order, (3,))
        self.particle_space = fem.functionspace(bodies.particle.mesh, vectors)
        self.matrix_space = fem.functionspace(bodies.matrix.mesh, vectors)
        held = [np.empty(0, np.int64)]
        for support, face in self._ends:
            if isinstance(support, Fixed):
                on_face = bodies.trace(self.matrix_space, bodies.matrix, face, face.minus)
                nodes = surface_nodes(self.matrix_space, on_face)
                held.append((3 * nodes[:, None] + np.arange(3)).ravel())
        self.unknowns = Unknowns(
            [
                Field(space=self.particle_space),
                Field(space=self.matrix_space, fixed=np.unique(np.concatenate(held))),
            ],
            period=bodies.period,
        )
        self._assemble(linear_solver)

    def _assemble(self, linear_solver: LinearSolver) -> None:
        bodies, active = self.bodies, self.materials.active
        rotations, tags = bodies.data.orientations, bodies.data.grain_tags
        rotated = rotate_stiffness(active.elasticity.stiffness_matrix(), rotations)
        axes = mechanics.expansion_direction(active.expansion_ratio, rotations)
        stiffness = bodies.particle.by_tag(dict(zip(tags, rotated, strict=True)))
        direction = bodies.particle.by_tag(dict(zip(tags, axes, strict=True)))
        self.particle_stiffness, self.expansion_direction = stiffness, direction
        conductors = {"ecbd": self.materials.ecbd, "electrolyte": self.materials.electrolyte}
        self.matrix_stiffness = bodies.matrix.by_tag(
            {
                bodies.data.regions[name]: conductor.elasticity.stiffness_matrix()
                for name, conductor in conductors.items()
                if name in bodies.data.regions
            }
        )
        space, first = self.particle_space, bodies.first_component
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
        self._face_load = self._pressure_load()

        blocks = [
            Operator(mechanics.elasticity(space, stiffness)),
            Operator(mechanics.elasticity(self.matrix_space, self.matrix_stiffness)),
        ]
        entries = [a.triplets(n, n) for a, n in zip(blocks, self.unknowns.reduced, strict=True)]
        iterative = linear_solver.method_for(self.unknowns.size) == "iterative"
        self.problem = SurfaceProblem(
            "mechanics",
            self.unknowns,
            np.concatenate([e[0] for e in entries]),
            np.concatenate([e[1] for e in entries]),
            [self._at_interface()],
            linear_solver,
            block_size=3,  # a node is free or held as a whole
            near_nullspace=self._rigid_modes() if iterative else (),
        )
        self.problem.set_bulk(np.concatenate([e[2] for e in entries]))

    def _at_interface(self) -> PointOperator:
        """Return what evaluates the displacement jump, in the local frame, at the points."""
        bodies, surface = self.bodies, self.bodies.interface
        components, n = np.arange(3), len(surface.points)

        def side(own: Trace, numbers: NDArray[np.int64], sign: float) -> tuple[Array, Array]:
            width = 3 * own.nodes.shape[1]  # said outright: a rank may have no point at all
            columns = numbers[3 * own.nodes[:, :, None] + components].reshape(n, width)
            values = sign * np.einsum("nm,nki->nkmi", own.values, surface.frame)
            return columns, values.reshape(n, 3, width)

        particle = bodies.trace(self.particle_space, bodies.particle, surface, surface.minus)
        matrix = bodies.trace(self.matrix_space, bodies.matrix, surface, surface.plus)
        minus = side(particle, self.unknowns.reduced[0], -1.0)
        plus = side(matrix, self.unknowns.reduced[1], 1.0)
        return PointOperator(
            columns=np.hstack([minus[0], plus[0]]),
            values=np.concatenate([minus[1], plus[1]], axis=2),
            weights=surface.weights,
        )

    def _pressure_load(self) -> Array:
        """Return the nodal forces of the pressures on the two end faces, ghosts included."""
        force = np.zeros(n_dofs(self.matrix_space))
        for support, face in self._ends:
            if isinstance(support, Pressure):
                on = self.bodies.trace(self.matrix_space, self.bodies.matrix, face, face.minus)
                traction = -support.pressure * face.frame[:, 0]
                nodal = np.einsum("n,nm,ni->nmi", face.weights, on.values, traction)
                np.add.at(force.reshape(-1, 3), on.nodes, nodal)
        return force

    def _rigid_modes(self) -> list[PETSc.Vec]:
        """Return orthonormal rigid motions of the whole cell, in the unknowns."""
        modes = [self.unknowns.vector() for _ in range(6)]
        for index, space in enumerate((self.particle_space, self.matrix_space)):
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
            numbers = self.unknowns.reduced[index] - self.unknowns.offset
            here = (numbers >= 0) & (numbers < self.unknowns.local_size)
            for mode, motion in zip(modes, motions, strict=True):
                mode.array[numbers[here]] = np.column_stack(motion).ravel()[here]
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
    ) -> tuple[Convergence, interface.Cohesion, Array]:
        """Solve equilibrium with the cohesive interface, in place; collective.

        Args:
            x: Guess, then solution.
            expansion: Chemical strain amplitude at the particle nodes, ghosts included [-].
            damage: (n,) of the interface at the start of the step.
            previous_jump: (n, 3) at the start of the step [m].
            time_step: [s].
            tolerance: Sum of absolute force residuals over the sum of absolute forces.

        Returns:
            What it took, the interface at the solution, and the jump (n, 3) [m].

        Raises:
            NotConverged: If Newton's method fails.
        """
        load = self.unknowns.gather([self._chemical_load @ expansion, self._face_load])

        def respond(jump: Array) -> interface.Cohesion:
            return interface.cohesive_traction(
                self.cohesive,
                jump,
                damage=damage,
                previous_jump=previous_jump,
                time_step=time_step,
            )

        def law(values: list[Array]) -> list[tuple[Array, Array]]:
            response = respond(values[0])
            return [(response.traction, response.tangent)]

        taken = self.problem.solve(x, load, law, tolerance=tolerance)
        jump = self.problem.at_points(x)[0]
        return taken, respond(jump), jump

    def traction(self, jump: Array, damage: Array) -> Array:
        """Return the traction at rest, in the local frame of the points, shape (n, 3) [Pa]."""
        return interface.cohesive_traction(
            self.cohesive, jump, damage=damage, previous_jump=jump, time_step=1.0
        ).traction

    def hydrostatic_stress(self, x: PETSc.Vec, expansion: Array) -> Array:
        """Return a third of the trace of the stress at the particle nodes, ghosts included [Pa].

        The cell-wise stress is averaged to the nodes by volume (a lumped L2 projection).

        Args:
            x: Unknowns.
            expansion: Chemical strain amplitude at the particle nodes, ghosts included [-].
        """
        displacement = self.unknowns.expand(x)[0]
        total = la.vector(self.bodies.scalars.dofmap.index_map, 1)
        total.array[:] = (
            self._hydrostatic_of_displacement @ displacement
            - self._hydrostatic_of_expansion @ expansion
        )
        total.scatter_reverse(la.InsertMode.add)
        return self.bodies.spread(total.array[: self.node_volume.size] / self.node_volume)

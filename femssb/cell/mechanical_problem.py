"""The second of the two discrete problems: equilibrium of bodies that cohesive surfaces hold.

Unknowns are the displacements of the bodies; lithium strains the grains, surfaces open and are
damaged.

A linear displacement is too stiff where the strain changes within a cell: around an inclusion it
decays with the third power of the distance, and its first layer of cells sets the error of the
stress *inside*. There the displacement has a quadratic part as well, on the edges of these cells.
It vanishes on all surfaces, so what acts there is as it is without. On edges of the surface itself
it would make things worse: the polyhedron has edges where the sphere has none.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
import scipy.sparse as sp
from dolfinx import fem, la
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.cell import mechanics
from femssb.cell.anchors import Anchors
from femssb.cell.bodies import DISPLACEMENT, Bodies
from femssb.cell.cohesion import Cohesion, cohesive_traction
from femssb.cell.regions import LITHIUM
from femssb.cell.surfaces import Side, Surface, joined
from femssb.errors import InputError, NotConverged
from femssb.fem import newton
from femssb.fem.assembly import Operator, linear_form, n_dofs
from femssb.fem.coarse_space import linear_displacements
from femssb.fem.constraints import Field, Unknowns
from femssb.fem.edges import edge_nodes, edge_space, touching
from femssb.fem.linear_solver import KrylovSolver, LinearSolver
from femssb.fem.recovery import Recovery
from femssb.fem.surface_problem import PointOperator, SurfaceProblem
from femssb.fem.trace import Trace, surface_nodes
from femssb.inputs.boundary import Displacement, Fixed, Pressure, Spring, Symmetric, Traction
from femssb.inputs.materials import ActiveMaterial
from femssb.tetrahedra import volumes
from femssb.units import hour

# Of the chemical strain at the start, in one step towards it.
_LARGEST_SHARE, _SMALLEST_SHARE = 1 / 16, 1e-6
_BLOCK = 3  # components of a node, which is free or held as a whole
_SAME = 1e-15  # displacements of a node that are meant to be one [m]
_NOT = (0.0, 0.0, 0.0)  # strain of a material with fewer curves than another
_MOVES = 20  # of what keeps loose particles in their place, in a time step


class MechanicalProblem:
    """Elastic bodies, the cohesive surfaces between them, and the supports of their ends.

    Attributes:
        spaces: Space of the displacement of each body; of the quadratic part of one, too, where it
            has one, under `edges_of` its name.
        unknowns: How these are numbered.
        problem: The discrete problem.
        linear_solver: Solver of its linear systems.
        stiffness: (6, 6) of each cell of each body, in the axes of the box [Pa].
        expansion_directions: (6,) of each cell with lithium, for each amplitude of the chemical
            strain: the strain over it.
        node_volume: Volume of each owned particle node [m3].
    """

    def __init__(
        self, bodies: Bodies, linear_solver: LinearSolver, *, displacement_order: int
    ) -> None:
        """Lay the unknowns out and assemble all that never changes; collective."""
        self.bodies = bodies
        host = bodies.domains[LITHIUM]
        self._host = next(body for body, part in bodies.parts.items() if part is host)
        self._split = {
            body: bodies.pieces[DISPLACEMENT] if body == self._host else "" for body in bodies.parts
        }
        self.spaces = {
            body: bodies.space(part, (3,), split=self._split[body], order=displacement_order)
            for body, part in bodies.parts.items()
        }
        held = {body: [np.empty(0, np.int64)] for body in self.spaces}
        for surface in bodies.surfaces:
            if isinstance(surface.traction, Fixed):
                on = self._trace(surface.name, surface.minus)
                nodes = surface_nodes(self.spaces[surface.minus], on)
                held[surface.minus].append((3 * nodes[:, None] + np.arange(3)).ravel())
        fixed = {body: np.unique(np.concatenate(nodes)) for body, nodes in held.items()}
        if displacement_order == 1:
            for body in dict.fromkeys(s.plus for s in bodies.surfaces if s.name in bodies.outside):
                name, space = edges_of(body), edge_space(bodies.parts[body].mesh)
                self.spaces[name], fixed[name] = space, self._linear_edges(body, space)
        self.unknowns = Unknowns(
            [self._field(name, space, fixed[name]) for name, space in self.spaces.items()],
            period=bodies.period,
            axes=bodies.periodic,
        )
        self._held, self._moved = self._held_components()
        self._assemble()
        method = linear_solver.method_for(self.unknowns.size, _BLOCK)
        self.linear_solver = KrylovSolver(
            "mechanics",
            self.unknowns,
            linear_solver,
            block_size=_BLOCK,
            near_nullspace=self._rigid_modes() if method == "multigrid" else (),
            coarse_space=self._lumps() if method == "incomplete" else None,
        )

    def _field(self, name: str, space: fem.FunctionSpace, fixed: NDArray[np.int64]) -> Field:
        """Return the displacement of a body, or its quadratic part, as a field."""
        part = self.bodies.parts.get(name)
        if part is None:
            return Field(space=space, fixed=fixed)
        return self.bodies.field(space, part, split=self._split[name], fixed=fixed)

    def _assemble(self) -> None:
        bodies = self.bodies
        self.stiffness = {
            body: bodies.by_cell(part, object, lambda region, _: region.stiffness())
            for body, part in bodies.parts.items()
        }
        host, first = bodies.domains[LITHIUM], bodies.first_component
        space, stiffness = self.spaces[self._host], self.stiffness[self._host].copy()
        self._present = stiffness
        self._factor: Array | None = None
        count = max(len(active.expansion_axes) for active, _ in bodies.active_nodes())
        self.expansion_directions = [self._expansion_direction(k) for k in range(count)]

        def of_amplitudes(form: Callable[[fem.Function], fem.Form]) -> list[Operator]:
            """Return a form of each direction."""
            return [Operator(form(direction)) for direction in self.expansion_directions]

        def at_amplitudes(operators: list[Operator]) -> sp.csr_array:
            """Return them side by side, at the nodes of the amplitudes."""
            return sp.hstack([part.matrix[:, first] for part in operators], format="csr")

        self._at_amplitudes = at_amplitudes
        self._loads = of_amplitudes(
            partial(mechanics.chemical_load, space, bodies.vectors, stiffness)
        )
        self._chemical_load = at_amplitudes(self._loads)
        cells = fem.functionspace(host.mesh, ("DG", 0, (3,)))
        owned = 3 * cells.dofmap.list[: host.mesh.topology.index_map(3).size_local, 0]
        self._hydrostatic_of_displacement = Operator(
            mechanics.hydrostatic_of_displacement(space, cells, stiffness)
        ).matrix[owned]
        self._hydrostatic_of_expansion = at_amplitudes(
            of_amplitudes(
                partial(mechanics.hydrostatic_of_expansion, bodies.vectors, cells, stiffness)
            )
        )[owned]
        grains = np.searchsorted(bodies.data.grain_tags, host.cell_tags)
        self._recovery = Recovery(bodies.scalars, grains, self._mirrored())
        self.node_volume = linear_form(mechanics.volume_weight(bodies.scalars))
        self._face_forces = self._loads_on_faces()
        numbers = dict(zip(self.spaces, self.unknowns.reduced, strict=True))
        present = self.stiffness | {self._host: stiffness}
        operators = {
            body: Operator(mechanics.elasticity(self.spaces[body], function))
            for body, function in present.items()
        }
        self._of_host, self._place = operators[self._host], list(present).index(self._host)
        entries = [operators[body].triplets(numbers[body]) for body in present]
        entries += [entry for body in self.stiffness for entry in self._of_edges(body, numbers)]
        entries += self._springs(numbers)
        self._anchors = Anchors(bodies, space, stiffness)
        self._elastic = [values for _, _, values in entries]
        entries.append(self._anchors.triplets(numbers[self._host]))
        self.problem = SurfaceProblem(
            "mechanics",
            self.unknowns,
            entries,
            [self._jump(s, numbers) for s in bodies.surfaces if s.name in bodies.cohesive],
            block_size=_BLOCK,
            energetic=True,
            held=self._held,
        )

    def stiffen(self, factor: Array | None) -> None:
        """Take a factor on the stiffness of each local cell with lithium, or None; collective.

        It stays until the next call.
        """
        if factor is None:
            return
        self._factor = factor
        base = self.stiffness[self._host]
        cells = base.function_space.dofmap.list[:, 0]
        self._present.x.array.reshape(-1, 36)[cells] = (
            factor[:, None] * base.x.array.reshape(-1, 36)[cells]
        )
        self._elastic[self._place] = self._of_host.refresh()
        for load in self._loads:
            load.refresh()
        self._chemical_load = self._at_amplitudes(self._loads)
        self.problem.set_bulk([*self._elastic, self._anchors.values()])

    def _mirrored(self) -> NDArray[np.bool_]:
        """Return which particle nodes lie in planes of symmetry across x, y and z; collective.

        Of nodes with ghosts, (nodes, 3).
        """
        bodies, lithium = self.bodies, self.bodies.domains[LITHIUM]
        marks = la.vector(bodies.scalars.dofmap.index_map, 3)
        for surface in bodies.surfaces:
            if surface.minus == self._host and isinstance(surface.traction, Symmetric):
                on = bodies.trace(bodies.scalars, lithium, surface.name, "minus")
                across = np.abs(bodies.points[surface.name].frame[:, 0]) > 0.5
                point, corner, axis = np.nonzero((on.values != 0.0)[:, :, None] & across[:, None])
                np.add.at(marks.array, 3 * on.nodes[point, corner] + axis, 1.0)
        marks.scatter_reverse(la.InsertMode.add)
        marks.scatter_forward()
        return np.asarray(marks.array.reshape(-1, 3) > 0.0)

    def _expansion_direction(self, curve: int) -> fem.Function:
        """Return the strain of each cell with lithium over the amplitude of one of the curves."""
        return self.bodies.by_cell(
            self.bodies.domains[LITHIUM],
            ActiveMaterial,
            lambda r, a: mechanics.expansion_direction(
                a.expansion_axes[curve] if curve < len(a.expansion_axes) else _NOT, r.orientations
            ),
        )

    def _linear_edges(self, body: str, space: fem.FunctionSpace) -> NDArray[np.int64]:
        """Return the components of the edges of a body on which it stays linear; collective.

        They are those that do not touch a cohesive surface, and those on any surface but planes of
        symmetry, along which they are as within the body.
        """
        near, on_surface = [], []
        for surface in self.bodies.surfaces:
            if body in (surface.minus, surface.plus):
                side: Side = "minus" if body == surface.minus else "plus"
                if surface.name in self.bodies.cohesive:
                    on = self._trace(surface.name, body, side)
                    near.append(surface_nodes(self.spaces[body], on))
                if isinstance(surface.traction, Symmetric):
                    continue
                points, part = self.bodies.points[surface.name], self.bodies.parts[body]
                cells = self.bodies.cells_behind(surface.name, part, side)
                on_surface.append(edge_nodes(space, cells, points.vertices))
        quadratic = touching(self.spaces[body], space, np.concatenate(near))
        quadratic[np.concatenate(on_surface)] = False
        return (3 * np.flatnonzero(~quadratic)[:, None] + np.arange(3)).ravel()

    def _edges_across(self, surface: Surface) -> list[NDArray[np.int64]]:
        """Return the local edges in those facets of a surface that are normal to x, y and z."""
        bodies, points = self.bodies, self.bodies.points[surface.name]
        space = self.spaces[edges_of(surface.minus)]
        cells = bodies.cells_behind(surface.name, bodies.parts[surface.minus], "minus")
        normal = np.abs(points.frame[:: points.per_facet, 0])
        return [
            edge_nodes(space, cells[across], points.vertices[across]) for across in normal.T > 0.5
        ]

    def _of_edges(
        self, body: str, numbers: dict[str, NDArray[np.int64]]
    ) -> list[tuple[NDArray[np.int64], NDArray[np.int64], Array]]:
        """Return the parts of the matrix that the quadratic displacement of a body adds."""
        name = edges_of(body)
        if name not in self.spaces:
            return []
        space, edges, stiffness = self.spaces[body], self.spaces[name], self.stiffness[body]
        within = Operator(mechanics.elasticity(edges, stiffness)).triplets(numbers[name])
        rows, columns, values = Operator(mechanics.elasticity(space, stiffness, edges)).triplets(
            numbers[body], numbers[name]
        )
        found = []
        for row, column, value in (within, (rows, columns, values), (columns, rows, values)):
            free = (row >= 0) & (column >= 0)  # most edges are linear
            found.append((row[free], column[free], value[free]))
        return found

    def _jump(self, surface: Surface, numbers: dict[str, NDArray[np.int64]]) -> PointOperator:
        """Return what evaluates the displacement jump, in the local frame, at the points."""
        points = self.bodies.points[surface.name]
        sides: tuple[tuple[Side, str, float], ...]
        sides = ("minus", surface.minus, -1.0), ("plus", surface.plus, 1.0)
        blocks = [
            self._in_frame(surface, side, body, factor, numbers) for side, body, factor in sides
        ]
        return PointOperator.joined(blocks, points.weights)

    def _in_frame(
        self,
        surface: Surface,
        side: Side,
        body: str,
        factor: float,
        numbers: dict[str, NDArray[np.int64]],
    ) -> tuple[NDArray[np.int64], Array]:
        """Return what evaluates a factor times the displacement on a side, in the local frame."""
        on = self._trace(surface.name, body, side)
        n, width = len(on.nodes), 3 * on.nodes.shape[1]  # a rank may have no point at all
        columns = numbers[body][3 * on.nodes[:, :, None] + np.arange(3)].reshape(n, width)
        frame = self.bodies.points[surface.name].frame
        values = factor * np.einsum("nm,nki->nkmi", on.values, frame)
        return columns, values.reshape(n, 3, width)

    def _trace(self, surface: str, body: str, side: Side = "minus") -> Trace:
        """Return what evaluates each component of the displacement on one side of a surface."""
        return self.bodies.trace(self.spaces[body], self.bodies.parts[body], surface, side)

    def _loads_on_faces(self) -> dict[str, Array]:
        """Return the nodal forces of dead loads on faces of each body, ghosts included."""
        forces = {name: np.zeros(n_dofs(space)) for name, space in self.spaces.items()}
        for surface in self.bodies.surfaces:
            points, load = self.bodies.points[surface.name], surface.traction
            if isinstance(load, Pressure):
                traction = -load.pressure * points.frame[:, 0]
            elif isinstance(load, Traction):
                traction = np.tile([load.x, load.y, load.z], (len(points.weights), 1))
            else:
                continue
            on = self._trace(surface.name, surface.minus)
            nodal = np.einsum("n,nm,ni->nmi", points.weights, on.values, traction)
            np.add.at(forces[surface.minus].reshape(-1, 3), on.nodes, nodal)
        return forces

    def _springs(
        self, numbers: dict[str, NDArray[np.int64]]
    ) -> list[tuple[NDArray[np.int64], NDArray[np.int64], Array]]:
        """Return the parts of the matrix that faces on springs add."""
        found = []
        for surface in self.bodies.surfaces:
            spring = surface.traction
            if isinstance(spring, Spring):
                columns, values = self._in_frame(surface, "minus", surface.minus, 1.0, numbers)
                stiff = np.array([spring.normal, spring.tangential, spring.tangential])
                weights = self.bodies.points[surface.name].weights[:, None, None]
                matrix = values.mT @ (weights * stiff[:, None] * values)
                width = columns.shape[1]
                rows = np.repeat(columns, width, axis=1).ravel()
                found.append((rows, np.tile(columns, (1, width)).ravel(), matrix.ravel()))
        return found

    def _held_components(self) -> tuple[NDArray[np.int64], Array]:
        """Return the unknowns of this rank whose displacement is given, and it [m]; collective.

        They are components of nodes whose others are free; nodes held as a whole are no unknowns.
        """
        counted, given = (
            {name: np.zeros(n_dofs(space)) for name, space in self.spaces.items()} for _ in range(2)
        )
        for surface in self.bodies.surfaces:
            support = surface.traction
            if not isinstance(support, Symmetric | Displacement):
                continue
            points, on = self.bodies.points[surface.name], self._trace(surface.name, surface.minus)
            if isinstance(support, Symmetric):
                held = np.abs(points.frame[:, 0]) > 0.5  # a plane across an axis
                values = np.zeros(3)
            else:
                wanted = (support.x, support.y, support.z)
                held = np.tile([by is not None for by in wanted], (len(on.nodes), 1))
                values = np.array([by or 0.0 for by in wanted])
            seen = (on.values != 0.0)[:, :, None] & held[:, None]
            point, node, component = np.nonzero(seen)
            place = 3 * on.nodes[point, node] + component
            np.add.at(counted[surface.minus], place, 1.0)
            np.add.at(given[surface.minus], place, values[component])
            if isinstance(support, Symmetric) and edges_of(surface.minus) in self.spaces:
                edges = counted[edges_of(surface.minus)]
                for axis, on_edges in enumerate(self._edges_across(surface)):
                    edges[3 * on_edges + axis] += 1.0
        count = self.unknowns.gather(list(counted.values())).array_r
        total = self.unknowns.gather(list(given.values())).array_r
        here = np.flatnonzero(count)
        mean = total[here] / count[here]
        everywhere = self.unknowns.vector()
        everywhere.array[here] = mean
        apart = 0.0
        for at, number, sought in zip(
            self.unknowns.expand(everywhere), counted.values(), given.values(), strict=True
        ):
            asked = number > 0
            excess = np.abs(sought[asked] / number[asked] - at[asked])
            apart = max(apart, float(excess.max(initial=0.0)))
        if self.bodies.largest(np.array([apart])) > _SAME:
            raise InputError(
                "Model.supports moves nodes where two faces meet to different places: one of them "
                "must leave that component free"
            )
        return self.unknowns.offset + here, mean

    def _rigid_modes(self) -> list[PETSc.Vec]:
        """Return orthonormal rigid motions of the whole cell, in the unknowns."""
        modes = [self.unknowns.vector() for _ in range(6)]
        for index, (name, space) in enumerate(self.spaces.items()):
            if name not in self.bodies.parts:
                continue  # a rigid motion has no quadratic part
            x, axes = space.tabulate_dof_coordinates(), np.eye(3)
            motions = [*(np.tile(e, (len(x), 1)) for e in axes), *(np.cross(e, x) for e in axes)]
            for mode, motion in zip(modes, motions, strict=True):
                self.unknowns.assign(mode, index, motion.ravel())
        for k, mode in enumerate(modes):
            for other in modes[:k]:
                mode.axpy(-mode.dot(other), other)
            mode.normalize()
        return modes

    def _lumps(self) -> PETSc.Mat:
        """Return linear displacements of lumps of nodes, in the unknowns; collective."""
        places = np.empty((3, self.unknowns.local_size))
        for axis, values in enumerate(places):
            at = self.unknowns.vector()
            for index, (name, space) in enumerate(self.spaces.items()):
                x = space.tabulate_dof_coordinates()[:, axis]
                if name not in self.bodies.parts:
                    x = np.full_like(x, np.nan)  # a linear displacement has no quadratic part
                self.unknowns.assign(at, index, np.repeat(x, _BLOCK))
            values[:] = at.array_r
        return linear_displacements(self.unknowns, self.problem.bulk, places[:, ::_BLOCK].T)

    def solve(
        self,
        x: PETSc.Vec,
        *,
        expansion: Array,
        previous: Array,
        damage: Array,
        spent: Array,
        previous_jump: Array,
        time_step: float,
        tolerance: float,
        limits: newton.Limits = newton.Limits(),  # noqa: B008  (frozen)
    ) -> tuple[newton.Convergence, Cohesion, Array]:
        """Solve equilibrium with the cohesive surfaces, in place; collective.

        Args:
            x: Guess, then solution.
            expansion: Chemical strain amplitudes, as `Model.expansion` returns them [-].
            previous: Unknowns on this rank at the start of the step.
            damage: (n,) at the cohesive points at the start of the step.
            spent: (n,) share of the fracture energy spent there at the start of the step.
            previous_jump: (n, 3) there at the start of the step [m].
            time_step: [s].
            tolerance: Sum of absolute force residuals over the sum of absolute forces.
            limits: When Newton's method gives up.

        Returns:
            The effort, the surfaces at the solution, and the jump (n, 3) [m].

        Raises:
            NotConverged: If Newton's method fails.
        """
        x.array[self._held - self.unknowns.offset] = self._moved
        if self._anchors.release(spent):
            self.problem.set_bulk([*self._elastic, self._anchors.values()])
        nodal = self._face_forces[self._host] + self._chemical_load @ expansion
        split = self.bodies.split
        at = split(damage), split(spent), split(previous_jump), time_step
        place, effort = self._on_host(self.unknowns.filled(previous)), []
        for _ in range(_MOVES):
            pulled = nodal + self._anchors.force(place)
            load = self.unknowns.gather([*(self._face_forces | {self._host: pulled}).values()])
            effort.append(
                newton.solve(
                    self.problem,
                    self.linear_solver,
                    x,
                    load,
                    lambda jumps: [(a.traction, a.tangent) for a in self._respond(jumps, *at)],
                    tolerance=tolerance,
                    limits=limits,
                )
            )
            before, place = place, self._on_host(x)
            carried = self.bodies.sum(np.abs(self._anchors.force(place - before)))
            if carried <= tolerance * load.norm(PETSc.NormType.NORM_1):
                break
        else:
            raise NotConverged("mechanics: a loose particle found no place")
        taken = newton.Convergence(
            newton=sum(one.newton for one in effort),
            linear=sum(one.linear for one in effort),
            residual=effort[-1].residual,
        )
        jumps = self.problem.at_points(x)
        return taken, joined(self._respond(jumps, *at)), np.concatenate(jumps)

    def _on_host(self, x: PETSc.Vec) -> Array:
        """Return the displacement of the body with lithium, ghosts included; collective."""
        return dict(zip(self.spaces, self.unknowns.expand(x), strict=True))[self._host]

    def at_rest(
        self, expansion: Array, tolerance: float, cracked: tuple[Array, Array] | None = None
    ) -> tuple[PETSc.Vec, Array, Cohesion]:
        """Solve equilibrium at the start, reached from rest without chemical strain; collective.

        The pressures come first. Where the surfaces let go under the chemical strain, it grows as
        slowly as at 1C, so that their viscosity carries what snaps back, and is then held.

        Args:
            expansion: Chemical strain amplitudes, as `Model.expansion` returns them [-].
            tolerance: Sum of absolute force residuals over the sum of absolute forces.
            cracked: Damage and spent share of the surfaces to begin with, (n,) each; none.

        Returns:
            The displacements, the jump (n, 3) [m], and the surfaces with all that they dissipated.

        Raises:
            NotConverged: If equilibrium is not found.
        """
        n = self.bodies.weights.size
        lost = np.zeros((2, n))
        x, jump = self.unknowns.vector(), np.zeros((n, 3))
        damage, spent = cracked or (np.zeros(n), np.zeros(n))

        def load(share: float, time_step: float) -> Cohesion:
            nonlocal x, jump, damage, spent
            trial = x.copy()
            _, cohesion, opened = self.solve(
                trial,
                expansion=share * expansion,
                previous=x.array_r.copy(),
                damage=damage,
                spent=spent,
                previous_jump=jump,
                time_step=time_step,
                tolerance=tolerance,
            )
            x, jump, damage, spent = trial, opened, cohesion.damage, cohesion.spent
            lost[:] += cohesion.dissipated, cohesion.viscous
            return cohesion

        load(0.0, np.inf)
        rest = x, jump, damage, spent
        with suppress(NotConverged):
            cohesion = load(1.0, np.inf)
            if self.bodies.largest(cohesion.dissipated) <= 0.0:
                return x, jump, cohesion
        x, jump, damage, spent = rest
        lost[:] = 0.0
        share, size = 0.0, _LARGEST_SHARE
        while share < 1.0:
            reached = min(1.0, share + size)
            try:
                load(reached, (reached - share) * hour)
            except NotConverged:
                size *= 0.3
                if size < _SMALLEST_SHARE:
                    raise
            else:
                share, size = reached, min(2.0 * size, _LARGEST_SHARE)
        cohesion = load(1.0, np.inf)
        return x, jump, replace(cohesion, dissipated=lost[0], viscous=lost[1])

    def traction(self, jump: Array, damage: Array) -> Array:
        """Return the traction at rest at the cohesive points, in their frame, shape (n, 3) [Pa]."""
        jumps = self.bodies.split(jump)
        at = [jumps[name] for name in self.bodies.cohesive]
        damages, spents = map(self.bodies.split, (damage, np.zeros_like(damage)))
        at_rest = self._respond(at, damages, spents, jumps, 1.0)
        return joined(at_rest).traction

    def _respond(
        self,
        jumps: list[Array],
        damage: dict[str, Array],
        spent: dict[str, Array],
        previous_jump: dict[str, Array],
        time_step: float,
    ) -> list[Cohesion]:
        """Return the answer of each cohesive surface to its jump; the rest by the name of each."""
        return [
            cohesive_traction(
                law,
                jump,
                damage[name],
                spent[name],
                previous_jump[name],
                time_step,
                strength=self.bodies.strengths.get(name),
            )
            for (name, law), jump in zip(self.bodies.cohesive.items(), jumps, strict=True)
        ]

    def hydrostatic_stress(self, x: PETSc.Vec, expansion: Array) -> Array:
        """Return a third of the trace of the stress at the particle nodes, ghosts included [Pa].

        Recovered from its means over the cells, within each grain (`femssb.fem.recovery`). The
        chemical strain amplitude is given at the particle nodes, ghosts included.
        """
        displacement = self._on_host(x)
        integrals = self._hydrostatic_of_displacement @ displacement
        integrals -= self._hydrostatic_of_expansion @ expansion
        if self._factor is not None:
            integrals *= self._factor[: integrals.size]
        return self.bodies.spread(self._recovery(integrals))

    def released(self, x: PETSc.Vec, expansion: Array, slopes: Array, stiffening: Array) -> Array:
        """Return the energy that the stress releases with a mole of lithium [J/mol]; collective.

        At the particle nodes, ghosts included. It is minus the derivative of the elastic energy by
        the concentration at a given strain: the work of the stress on the chemical strain along
        each axis, less what a stiffness that grows would store. Recovered as the
        `hydrostatic_stress`.

        Args:
            x: Displacements.
            expansion: Chemical strain amplitudes, as `Model.expansion` returns them [-].
            slopes: (curves, cells) their derivatives by the concentration in the cells [m3/mol].
            stiffening: (cells,) derivative of the factor on the stiffness [m3/mol].
        """
        moved, strain, expression = self._strain
        moved.x.array[:] = self._on_host(x)
        strain.interpolate(expression)
        owned = len(self._volumes)
        elastic = _of_cells(strain)[:owned]
        nodes = self.bodies.scalars.dofmap.list[:owned]
        directions = [_of_cells(each)[:owned] for each in self.expansion_directions]
        amplitudes = expansion.reshape(len(directions), -1)
        for amplitude, direction in zip(amplitudes, directions, strict=True):
            elastic = elastic - amplitude[nodes].mean(axis=1)[:, None] * direction
        stiffness = _of_cells(self.stiffness[self._host])[:owned].reshape(-1, 6, 6)
        stress = np.einsum("cij,cj->ci", stiffness, elastic)
        factor = 1.0 if self._factor is None else self._factor[:owned]
        energy = -0.5 * stiffening[:owned] * np.einsum("ci,ci->c", stress, elastic)
        for slope, direction in zip(slopes, directions, strict=True):
            energy += factor * slope[:owned] * np.einsum("ci,ci->c", stress, direction)
        return self.bodies.spread(self._recovery(self._volumes * energy))

    @cached_property
    def _strain(self) -> tuple[fem.Function, fem.Function, fem.Expression]:
        """A displacement of the grains, its strain in the cells, and the expression of that."""
        space = fem.functionspace(self.bodies.parts[self._host].mesh, ("DG", 0, (6,)))
        moved = fem.Function(self.spaces[self._host])
        points = space.element.interpolation_points
        return moved, fem.Function(space), fem.Expression(mechanics.strain(moved), points)

    @cached_property
    def _volumes(self) -> Array:
        """Volumes of the owned cells with lithium [m3]."""
        mesh = self.bodies.parts[self._host].mesh
        owned = mesh.topology.index_map(3).size_local
        return volumes(mesh.geometry.x, mesh.geometry.dofmap[:owned])


def _of_cells(function: fem.Function) -> Array:
    """Return the values of a cell-wise constant function, (cells with ghosts, components)."""
    dofmap = function.function_space.dofmap
    return np.asarray(function.x.array.reshape(-1, dofmap.bs)[dofmap.list[:, 0]])


def edges_of(body: str) -> str:
    """Return the name of the quadratic part of the displacement of a body."""
    return f"{body} edges"

"""Mesh and materials become two discrete problems: electrochemistry and mechanics.

`Model` lays the unknowns out, assembles everything that never changes, and solves each problem
when the other is given: electrochemistry at a gap and a hydrostatic stress, mechanics at a
concentration. `coupling` brings the two together in a time step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import femssb._platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx import fem, la
from numpy.typing import NDArray

from femssb import electrochemistry, interface, mechanics
from femssb.assembly import Operator, Part, linear_form, n_cells, n_dofs
from femssb.boundary import Fixed, Free, Pressure, Support
from femssb.case import describe
from femssb.constraints import Field, Unknowns
from femssb.errors import InputError, MeshError
from femssb.materials import Materials
from femssb.meshing import MeshData
from femssb.solver import Convergence, LinearSolver, PointOperator, SurfaceProblem
from femssb.trace import (
    SurfacePoints,
    Trace,
    submesh_cells,
    surface_nodes,
    surface_points,
    trace,
)
from femssb.units import FARADAY, hour

Array = NDArray[np.float64]

VOLTAGE = "voltage"


@dataclass(frozen=True, kw_only=True, slots=True)
class Couplings:
    """Which couplings act; all by default."""

    expansion: bool = True  # concentration strains the grains
    stress_drift: bool = True  # stress moves lithium
    gap_resistance: bool = True  # an open gap raises the interface resistance
    debonding: bool = True  # the interface can be damaged


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything that a time step starts from; arrays are local to the rank and never changed."""

    time: float  # [s]
    electrochemical: Array  # local unknowns: stoichiometry, ionic and electronic potential, voltage
    mechanical: Array  # local unknowns: displacement [m]
    jump: Array  # (n, 3) displacement jump in the local frame at the interface points [m]
    damage: Array  # (n,) of the interface
    gap: Array  # (n,) that the interface resistance was taken at [m]
    hydrostatic: Array  # (nodes with ghosts,) of the particle [Pa]
    voltage: float  # [V]
    current: float  # charging current, positive when lithium leaves the particles [A]
    cohesive_dissipation: float = 0.0  # up to now, all ranks [J]
    viscous_dissipation: float = 0.0  # up to now, all ranks [J]


class Model:
    """A half-cell, discretised.

    Attributes:
        data: The mesh and its regions.
        materials: The parameter set.
        one_c: Current that moves all the initial lithium in one hour [A].
        lithium_initial: Lithium in all particles at the start [mol].
        particle, matrix, ecbd: Submeshes of the particles, of everything else, of the ecbd.
        points: Points of the particle | ecbd interface.
        chemistry, mechanics: The two discrete problems.
    """

    def __init__(
        self,
        data: MeshData,
        materials: Materials,
        *,
        collector: Support = Fixed(),  # noqa: B008  (frozen, without fields)
        anode: Support = Free(),  # noqa: B008
        couplings: Couplings = Couplings(),
        displacement_order: int = 1,
        linear_solver: LinearSolver = LinearSolver(),  # noqa: B008
    ) -> None:
        """Discretise a half-cell; collective.

        Args:
            data: The mesh, with the facets ``interface``, ``collector`` and ``anode``.
            materials: The parameter set.
            collector: How the collector face is held.
            anode: How the anode face is held.
            couplings: Which couplings act.
            displacement_order: Polynomial degree of the displacement, 1 or 2.
            linear_solver: How linear systems are solved.

        Raises:
            InputError: If an argument is out of bounds, or nothing holds the cell along z.
            MeshError: If the mesh lacks a region or a facet that the model needs.
        """
        for name, value, kind in (
            ("data", data, MeshData),
            ("materials", materials, Materials),
            ("couplings", couplings, Couplings),
            ("linear_solver", linear_solver, LinearSolver),
        ):
            if not isinstance(value, kind):
                raise InputError(f"Model.{name} = {value!r} is not a {kind.__name__}")
        _check(data, collector, anode, displacement_order)
        self.data = data
        self.materials = materials
        self.collector = collector
        self.anode = anode
        self.couplings = couplings
        self.displacement_order = displacement_order
        self.linear_solver = linear_solver
        self.cohesive = materials.cohesive
        if not couplings.debonding:
            self.cohesive = replace(
                materials.cohesive,
                normal_strength=np.inf,
                shear_strength=np.inf,
                normal_fracture_energy=np.inf,
                shear_fracture_energy=np.inf,
            )
        self.comm: MPI.Comm = data.mesh.comm

        is_grain = np.isin(data.cell_tags.values, data.grain_tags)
        inside = np.zeros(n_cells(data.mesh), bool)
        inside[data.cell_tags.indices] = is_grain
        tags = np.zeros(n_cells(data.mesh), np.int32)
        tags[data.cell_tags.indices] = data.cell_tags.values
        self.particle = Part(data.mesh, inside, tags)
        self.matrix = Part(data.mesh, ~inside, tags)
        self.ecbd = Part(data.mesh, tags == data.regions["ecbd"], tags)

        own = np.arange(n_cells(self.ecbd.mesh), dtype=np.int32)
        parents = self.ecbd.entities.sub_topology_to_topology(own, False)
        self.matrix_cells_of_ecbd = submesh_cells(self.matrix.entities, parents, len(tags))

        self._lay_out_surfaces(inside)
        self._lay_out_unknowns()
        self._assemble_electrochemistry()
        self._assemble_mechanics()

    # What follows is called once, by __init__.

    def _lay_out_surfaces(self, inside: NDArray[np.bool_]) -> None:
        data, order = self.data, self.displacement_order

        def surface(name: str, inside: NDArray[np.bool_], order: int) -> SurfacePoints:
            facets = data.facet_tags.find(data.facets[name])
            return surface_points(data.mesh, facets, inside=inside, order=order)

        everywhere = np.ones_like(inside)
        self.points = surface("interface", inside, order)
        self.anode_points = surface("anode", everywhere, order)
        self.collector_points = surface("collector", everywhere, order)
        self.interface_area = self.sum(self.points.weights)
        self.anode_area = self.sum(self.anode_points.weights)

    def _lay_out_unknowns(self) -> None:
        particle, matrix, ecbd, order = (
            self.particle,
            self.matrix,
            self.ecbd,
            self.displacement_order,
        )
        self._vectors = fem.functionspace(particle.mesh, ("Lagrange", 1, (3,)))
        self.lithium_space, first = self._vectors.sub(0).collapse()
        self._first_component = np.ravel(first)
        self.ionic_space = fem.functionspace(matrix.mesh, ("Lagrange", 1))
        self.electronic_space = fem.functionspace(ecbd.mesh, ("Lagrange", 1))
        self.particle_space = fem.functionspace(particle.mesh, ("Lagrange", order, (3,)))
        self.matrix_space = fem.functionspace(matrix.mesh, ("Lagrange", order, (3,)))

        points = self.points
        self._lithium = self._trace(self.lithium_space, particle, points, points.minus)
        self._ionic = self._trace(self.ionic_space, matrix, points, points.plus)
        self._electronic = self._trace(self.electronic_space, ecbd, points, points.plus)
        self._moved_particle = self._trace(self.particle_space, particle, points, points.minus)
        self._moved_matrix = self._trace(self.matrix_space, matrix, points, points.plus)
        self._ionic_anode = self._trace(
            self.ionic_space, matrix, self.anode_points, self.anode_points.minus
        )

        coordinates = self.data.mesh.geometry.x
        lower, upper = np.empty(3), np.empty(3)
        self.comm.Allreduce(coordinates.min(axis=0, initial=np.inf), lower, op=MPI.MIN)
        self.comm.Allreduce(coordinates.max(axis=0, initial=-np.inf), upper, op=MPI.MAX)
        period = (lower, upper)

        # The electronic potential is counted from the collector: the cell voltage is an unknown of
        # its own, and volts never hide the microvolts that drive the current.
        grounded = surface_nodes(
            self.electronic_space,
            self._trace(
                self.electronic_space, ecbd, self.collector_points, self.collector_points.minus
            ),
        )
        self.electrical = Unknowns(
            [
                Field(space=self.lithium_space),
                Field(space=self.ionic_space),
                Field(space=self.electronic_space, fixed=grounded),
            ],
            period=period,
            names=(VOLTAGE,),
        )
        held = [np.empty(0, np.int64)]
        for support, surface in (
            (self.collector, self.collector_points),
            (self.anode, self.anode_points),
        ):
            if isinstance(support, Fixed):
                nodes = surface_nodes(
                    self.matrix_space,
                    self._trace(self.matrix_space, matrix, surface, surface.minus),
                )
                held.append((3 * nodes[:, None] + np.arange(3)).ravel())
        self.moving = Unknowns(
            [
                Field(space=self.particle_space),
                Field(space=self.matrix_space, fixed=np.unique(np.concatenate(held))),
            ],
            period=period,
        )

    def _trace(
        self, space: fem.FunctionSpace, part: Part, surface: SurfacePoints, cells: NDArray[np.int32]
    ) -> Trace:
        own = submesh_cells(part.entities, cells, n_cells(self.data.mesh))
        if np.any(own < 0):
            raise MeshError("a facet of a named surface does not belong to the region it bounds")
        return trace(space, np.repeat(own, surface.per_facet), surface.points)

    def _assemble_electrochemistry(self) -> None:
        active = self.materials.active
        c_max = active.maximum_concentration
        rotation = self.data.orientations
        tensors = np.einsum("gik,k,gjk->gij", rotation, np.asarray(active.diffusivity), rotation)
        self._diffusivity = self.particle.by_tag(
            dict(zip(self.data.grain_tags, tensors, strict=True))
        )
        self.hydrostatic = fem.Function(self.lithium_space)
        self._drift = Operator(
            electrochemistry.lithium_drift(
                self.lithium_space,
                self._diffusivity,
                self.hydrostatic,
                maximum_concentration=c_max,
                drift_volume=active.drift_volume,
                temperature=self.materials.temperature,
            )
        )
        conductors = {"ecbd": self.materials.ecbd, "electrolyte": self.materials.electrolyte}
        ionic = self.matrix.by_tag(
            {
                self.data.regions[name]: np.asarray(conductor.ionic_conductivity)
                for name, conductor in conductors.items()
                if name in self.data.regions
            }
        )
        electronic = self.ecbd.by_tag(
            {self.data.regions["ecbd"]: np.asarray(self.materials.ecbd.electronic_conductivity)}
        )
        blocks = [
            Operator(
                electrochemistry.lithium_diffusion(self.lithium_space, self._diffusivity, c_max)
            ),
            Operator(electrochemistry.conduction(self.ionic_space, ionic)),
            Operator(electrochemistry.conduction(self.electronic_space, electronic)),
        ]
        mass = linear_form(electrochemistry.lithium_mass(self.lithium_space, c_max))
        owned = len(mass)
        self.node_charge = mass  # F c_max times the volume of each owned node [C]

        numbers = self.electrical.reduced
        entries = [a.triplets(n, n) for a, n in zip(blocks, numbers, strict=True)]
        drift = self._drift.triplets(numbers[0], numbers[0])
        diagonal = numbers[0][:owned]
        rows = np.concatenate([diagonal, drift[0], *(e[0] for e in entries)])
        columns = np.concatenate([diagonal, drift[1], *(e[1] for e in entries)])
        self._constant_conduction = np.concatenate([e[2] for e in entries])

        voltage = np.full((len(self.points.points), 1), self.electrical.single[VOLTAGE])
        n, width = (
            len(voltage),
            [
                self._lithium.nodes.shape[1],
                self._ionic.nodes.shape[1],
                self._electronic.nodes.shape[1],
            ],
        )
        values = np.zeros((n, 2, sum(width) + 1))
        a, b = width[0], width[0] + width[1]
        values[:, 0, :a] = self._lithium.values
        values[:, 1, a:b] = -self._ionic.values
        values[:, 1, b:-1] = self._electronic.values
        values[:, 1, -1] = 1.0
        at_interface = PointOperator(
            columns=np.hstack(
                [
                    numbers[0][self._lithium.nodes],
                    numbers[1][self._ionic.nodes],
                    numbers[2][self._electronic.nodes],
                    voltage,
                ]
            ),
            values=values,
            weights=self.points.weights,
        )
        at_anode = PointOperator(
            columns=numbers[1][self._ionic_anode.nodes],
            values=-self._ionic_anode.values[:, None, :],
            weights=self.anode_points.weights,
        )
        self.chemistry = SurfaceProblem(
            "electrochemistry",
            self.electrical,
            rows,
            columns,
            [at_interface, at_anode],
            self.linear_solver,
            splits=self._electrical_fields(),
        )
        self.lithium_initial = (
            self.sum(self.node_charge) * active.initial_concentration / (FARADAY * c_max)
        )
        self.one_c = FARADAY * self.lithium_initial / hour

    def _assemble_mechanics(self) -> None:
        active, data = self.materials.active, self.data
        rotations = data.orientations
        rotated = mechanics.rotate_stiffness(active.elasticity.stiffness_matrix(), rotations)
        axes = mechanics.expansion_direction(active.expansion_ratio, rotations)
        tags = data.grain_tags
        self.particle_stiffness = self.particle.by_tag(dict(zip(tags, rotated, strict=True)))
        self.expansion_direction = self.particle.by_tag(dict(zip(tags, axes, strict=True)))
        conductors = {"ecbd": self.materials.ecbd, "electrolyte": self.materials.electrolyte}
        self.matrix_stiffness = self.matrix.by_tag(
            {
                data.regions[name]: conductor.elasticity.stiffness_matrix()
                for name, conductor in conductors.items()
                if name in data.regions
            }
        )
        blocks = [
            Operator(mechanics.elasticity(self.particle_space, self.particle_stiffness)),
            Operator(mechanics.elasticity(self.matrix_space, self.matrix_stiffness)),
        ]
        scalars, first = self.lithium_space, self._first_component
        stiffness, direction = self.particle_stiffness, self.expansion_direction
        self._chemical_load = Operator(
            mechanics.chemical_load(self.particle_space, self._vectors, stiffness, direction)
        ).matrix[:, first]
        self._hydrostatic_of_displacement = Operator(
            mechanics.hydrostatic_of_displacement(self.particle_space, self._vectors, stiffness)
        ).matrix[first]
        self._hydrostatic_of_expansion = Operator(
            mechanics.hydrostatic_of_expansion(scalars, stiffness, direction)
        ).matrix
        self.node_volume = linear_form(mechanics.volume_weight(scalars))

        numbers = self.moving.reduced
        entries = [a.triplets(n, n) for a, n in zip(blocks, numbers, strict=True)]
        rows = np.concatenate([e[0] for e in entries])
        columns = np.concatenate([e[1] for e in entries])

        components = np.arange(3)
        n = len(self.points.points)

        def side(own: Trace, numbers: NDArray[np.int64], sign: float) -> tuple[Array, Array]:
            width = 3 * own.nodes.shape[1]  # said outright: a rank may have no point at all
            columns = numbers[3 * own.nodes[:, :, None] + components].reshape(n, width)
            values = sign * np.einsum("nm,nki->nkmi", own.values, self.points.frame)
            return columns, values.reshape(n, 3, width)

        minus = side(self._moved_particle, numbers[0], -1.0)
        plus = side(self._moved_matrix, numbers[1], 1.0)
        at_interface = PointOperator(
            columns=np.hstack([minus[0], plus[0]]),
            values=np.concatenate([minus[1], plus[1]], axis=2),
            weights=self.points.weights,
        )
        iterative = self.linear_solver.method_for(self.moving.size) == "iterative"
        self.mechanics = SurfaceProblem(
            "mechanics",
            self.moving,
            rows,
            columns,
            [at_interface],
            self.linear_solver,
            block_size=3,  # a node is free or held as a whole
            near_nullspace=self._rigid_modes() if iterative else (),
        )
        self.mechanics.set_bulk(np.concatenate([e[2] for e in entries]))
        self._face_load = self._pressure_load()

    def _pressure_load(self) -> Array:
        """Return the nodal forces of the pressures on the two end faces, ghosts included."""
        force = np.zeros(n_dofs(self.matrix_space))
        for support, surface in (
            (self.collector, self.collector_points),
            (self.anode, self.anode_points),
        ):
            if isinstance(support, Pressure):
                on = self._trace(self.matrix_space, self.matrix, surface, surface.minus)
                traction = -support.pressure * surface.frame[:, 0]
                nodal = np.einsum("n,nm,ni->nmi", surface.weights, on.values, traction)
                np.add.at(force.reshape(-1, 3), on.nodes, nodal)
        return force

    def _electrical_fields(self) -> dict[str, NDArray[np.int64]]:
        """Return the unknowns of each field that this rank owns."""
        fields = {
            name: np.arange(self.electrical.local_size)[self.electrical.owned(index)]
            + self.electrical.offset
            for index, name in enumerate(("lithium", "ionic", "electronic"))
        }
        own = [self.electrical.single[VOLTAGE]] if self.comm.rank == 0 else []
        return {**fields, VOLTAGE: np.array(own, np.int64)}

    def _rigid_modes(self) -> list[PETSc.Vec]:
        """Return orthonormal rigid motions of the whole cell, in the unknowns."""
        modes = [self.moving.vector() for _ in range(6)]
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
            numbers = self.moving.reduced[index] - self.moving.offset
            here = (numbers >= 0) & (numbers < self.moving.local_size)
            for mode, motion in zip(modes, motions, strict=True):
                mode.array[numbers[here]] = np.column_stack(motion).ravel()[here]
        for k, mode in enumerate(modes):
            for other in modes[:k]:
                mode.axpy(-mode.dot(other), other)
            mode.normalize()
        return modes

    # What follows is the physics, at a state.

    def sum(self, values: Array) -> float:
        """Return the sum of local values over all ranks; collective."""
        return float(self.comm.allreduce(float(values.sum())))

    def largest(self, values: Array) -> float:
        """Return the largest local value over all ranks; collective."""
        return float(self.comm.allreduce(float(values.max(initial=-np.inf)), op=MPI.MAX))

    def stoichiometry(self, state: State) -> Array:
        """Return c / c_max at the owned nodes of the particles, shape (nodes,); collective."""
        unknowns = self.electrical.filled(state.electrochemical)
        return self.electrical.expand(unknowns)[0][: self.node_charge.size]

    def charge(self, stoichiometry: Array) -> float:
        """Return F times the lithium of all particles [C]; collective."""
        return self.sum(self.node_charge * stoichiometry)

    def gap(self, jump: Array) -> Array:
        """Return the opening at the interface points, shape (n,) [m]."""
        return np.maximum(jump[:, 0], 0.0)

    def resistance(self, gap: Array) -> Array:
        """Return the interface resistance at the points, shape (n,) [ohm m2]."""
        if not self.couplings.gap_resistance:
            gap = np.zeros_like(gap)
        return interface.contact_resistance(self.materials.resistance, gap)

    def initial_state(self) -> State:
        """Return the state at rest: uniform lithium, no stress, no gap; collective."""
        active = self.materials.active
        x = self.electrical.vector()
        filled = active.initial_concentration / active.maximum_concentration
        x.array[self.electrical.owned(0)] = filled
        concentration = np.array([active.initial_concentration])
        voltage = float(active.open_circuit_voltage.value(concentration)[0])
        self.electrical.write_single(x, VOLTAGE, voltage)
        n = len(self.points.points)
        return State(
            time=0.0,
            electrochemical=x.array_r.copy(),
            mechanical=np.zeros(self.moving.local_size),
            jump=np.zeros((n, 3)),
            damage=np.zeros(n),
            gap=np.zeros(n),
            hydrostatic=np.zeros(n_dofs(self.lithium_space)),
            voltage=voltage,
            current=0.0,
        )

    def interface_current(self, x: PETSc.Vec, gap: Array) -> interface.InsertionCurrent:
        """Return the kinetics at the interface points; collective.

        Args:
            x: Electrochemical unknowns.
            gap: (n,) [m].
        """
        return self._insertion(self.chemistry.at_points(x)[0], self.resistance(gap))

    def _insertion(self, values: Array, resistance: Array) -> interface.InsertionCurrent:
        materials = self.materials
        return interface.insertion_current(
            materials.kinetics,
            materials.active,
            materials.temperature,
            concentration=values[:, 0] * materials.active.maximum_concentration,
            potential_difference=values[:, 1],
            resistance=resistance,
        )

    def solve_electrochemistry(
        self,
        x: PETSc.Vec,
        *,
        rate: float,
        history: Array,
        gap: Array,
        hydrostatic: Array,
        current: float | None,
        voltage: float | None,
        tolerance: float,
    ) -> Convergence:
        """Solve lithium, ions and electrons implicitly, in place; collective.

        Args:
            x: Guess, then solution.
            rate: Factor of the new stoichiometry in its time derivative [1/s].
            history: (owned nodes,) the rest of that derivative [1/s].
            gap: (n,) at the interface points [m].
            hydrostatic: (nodes with ghosts,) [Pa].
            current: Charging current [A], or None to hold the voltage.
            voltage: Cell voltage to hold [V], or None.
            tolerance: Sum of absolute residual currents over the 1C current.
        """
        if self.couplings.stress_drift:
            self.hydrostatic.x.array[:] = hydrostatic
            drift = self._drift.refresh()
        else:
            drift = np.zeros_like(self._drift.matrix.data)
        self.chemistry.set_bulk(
            np.concatenate([rate * self.node_charge, drift, self._constant_conduction])
        )
        storage = [np.zeros(numbers.size) for numbers in self.electrical.reduced]
        storage[0][: history.size] = -self.node_charge * history
        load = self.electrical.gather(storage)  # a particle may cross a periodic side
        fixed = None
        if voltage is not None:
            fixed = self.electrical.single[VOLTAGE]
            self.electrical.write_single(x, VOLTAGE, voltage)
        else:
            self.electrical.write_single(load, VOLTAGE, float(current or 0.0))
        resistance = self.resistance(gap)
        c_max = self.materials.active.maximum_concentration
        anode, temperature = self.materials.anode, self.materials.temperature

        def law(values: list[Array]) -> list[tuple[Array, Array]]:
            kinetics = self._insertion(values[0], resistance)
            flux = np.repeat(kinetics.current[:, None], 2, axis=1)
            row = np.column_stack([kinetics.d_concentration * c_max, kinetics.d_potential])
            tangent = np.repeat(row[:, None, :], 2, axis=1)
            metal, slope = interface.metal_current(anode, temperature, values[1][:, 0])
            return [(flux, tangent), (metal[:, None], slope[:, None, None])]

        return self.chemistry.solve(
            x, load, law, tolerance=tolerance, scale=self.one_c, fixed=fixed
        )

    def cell_current(self, x: PETSc.Vec, gap: Array) -> float:
        """Return the charging current that the interface carries [A]; collective."""
        return self.sum(self.points.weights * self.interface_current(x, gap).current)

    def anode_current(self, state: State) -> float:
        """Return the charging current that the lithium anode carries [A]; collective."""
        values = self.chemistry.at_points(self.electrical.filled(state.electrochemical))[1]
        metal, _ = interface.metal_current(
            self.materials.anode, self.materials.temperature, values[:, 0]
        )
        return -self.sum(self.anode_points.weights * metal)

    def inputs(self) -> dict[str, Any]:
        """Return what the model was made of, as plain data."""
        return {
            "materials": describe(self.materials),
            "collector": describe(self.collector),
            "anode": describe(self.anode),
            "couplings": describe(self.couplings),
            "displacement_order": self.displacement_order,
            "linear_solver": describe(self.linear_solver),
            "grains": len(self.data.grain_tags),
            "cells": int(self.data.mesh.topology.index_map(3).size_global),
            "unknowns": {"electrochemistry": self.electrical.size, "mechanics": self.moving.size},
        }

    def expansion(self, x: PETSc.Vec) -> Array:
        """Return the chemical strain amplitude at the particle nodes, ghosts included [-]."""
        if not self.couplings.expansion:
            return np.zeros(n_dofs(self.lithium_space))
        active = self.materials.active
        stoichiometry = self.electrical.expand(x)[0]
        return active.expansion.value(stoichiometry * active.maximum_concentration)

    def solve_mechanics(
        self, x: PETSc.Vec, *, expansion: Array, previous: State, time_step: float, tolerance: float
    ) -> tuple[Convergence, interface.Cohesion, Array]:
        """Solve equilibrium with the cohesive interface, in place; collective.

        Args:
            x: Guess, then solution.
            expansion: Chemical strain amplitude at the particle nodes, ghosts included.
            previous: State at the start of the step: damage and jump.
            time_step: [s].
            tolerance: Sum of absolute force residuals over the sum of absolute forces.

        Returns:
            What it took, the interface at the solution, and the jump (n, 3) [m].
        """
        load = self.moving.gather([self._chemical_load @ expansion, self._face_load])

        def respond(jump: Array) -> interface.Cohesion:
            return interface.cohesive_traction(
                self.cohesive,
                jump,
                damage=previous.damage,
                previous_jump=previous.jump,
                time_step=time_step,
            )

        def law(values: list[Array]) -> list[tuple[Array, Array]]:
            response = respond(values[0])
            return [(response.traction, response.tangent)]

        taken = self.mechanics.solve(x, load, law, tolerance=tolerance)
        jump = self.mechanics.at_points(x)[0]
        return taken, respond(jump), jump

    def traction(self, state: State) -> Array:
        """Return the traction at the interface points in the local frame, shape (n, 3) [Pa]."""
        return interface.cohesive_traction(
            self.cohesive,
            state.jump,
            damage=state.damage,
            previous_jump=state.jump,
            time_step=1.0,
        ).traction

    def hydrostatic_stress(self, x: PETSc.Vec, expansion: Array) -> Array:
        """Return a third of the trace of the stress at the particle nodes, ghosts included [Pa].

        The cell-wise stress is averaged to the nodes by volume (a lumped L2 projection).
        """
        displacement = self.moving.expand(x)[0]
        total = la.vector(self.lithium_space.dofmap.index_map, 1)
        total.array[:] = (
            self._hydrostatic_of_displacement @ displacement
            - self._hydrostatic_of_expansion @ expansion
        )
        total.scatter_reverse(la.InsertMode.add)
        return self.spread(total.array[: self.node_volume.size] / self.node_volume)

    def spread(self, owned: Array) -> Array:
        """Return values at the particle nodes with those of the ghosts appended; collective."""
        vector = la.vector(self.lithium_space.dofmap.index_map, 1)
        vector.array[: owned.size] = owned
        vector.scatter_forward()
        return vector.array.copy()


def _check(data: MeshData, collector: Support, anode: Support, displacement_order: int) -> None:
    """Check what can be checked before any work."""
    if displacement_order not in (1, 2):
        raise InputError(f"Model.displacement_order = {displacement_order!r} is not 1 or 2")
    for name, support in (("collector", collector), ("anode", anode)):
        if not isinstance(support, Fixed | Free | Pressure):
            raise InputError(f"Model.{name} = {support!r} is not Fixed(), Free() or Pressure(...)")
    if not isinstance(collector, Fixed) and not isinstance(anode, Fixed):
        raise InputError("Model.collector and Model.anode: one of them must be Fixed()")
    if "ecbd" not in data.regions:
        raise MeshError(f"the mesh has no region 'ecbd'; it has {sorted(data.regions)}")
    if not len(data.grain_tags):
        raise MeshError("the mesh has no grain: name the volumes of the particles")
    missing = [n for n in ("interface", "collector", "anode") if n not in data.facets]
    if missing:
        raise MeshError(f"the mesh has no facets {missing}; it has {sorted(data.facets)}")

"""The first of the two discrete problems: lithium, ions and electrons, at a gap and a stress.

Unknowns are the stoichiometry at the particle nodes, the ionic and the electronic potential, and
the cell voltage. All are implicit; lithium is conserved to roundoff.
"""

from __future__ import annotations

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
from dolfinx import fem
from numpy.typing import NDArray

from femssb.cell import electrochemistry, interface
from femssb.cell.bodies import Bodies
from femssb.fem.assembly import Operator, linear_form
from femssb.fem.constraints import Field, Unknowns
from femssb.fem.solver import Convergence, LinearSolver, PointOperator, SurfaceProblem
from femssb.fem.trace import surface_nodes
from femssb.inputs.materials import Materials
from femssb.units import FARADAY, hour

Array = NDArray[np.float64]

VOLTAGE = "voltage"


class ElectrochemicalProblem:
    """Lithium in the particles, ions and electrons around them, and the kinetics between.

    Attributes:
        lithium_space, ionic_space, electronic_space: Of the stoichiometry and the potentials.
        unknowns: How these and the voltage are numbered.
        problem: The discrete problem.
        node_charge: F c_max times the volume of each owned particle node [C].
        lithium_initial: Lithium in all particles at the start [mol].
        one_c: Current that moves all the initial lithium in one hour [A].
    """

    def __init__(
        self,
        bodies: Bodies,
        materials: Materials,
        linear_solver: LinearSolver,
        *,
        stress_drift: bool,
        gap_resistance: bool,
    ) -> None:
        """Lay the unknowns out and assemble all that never changes; collective.

        Args:
            bodies: Where the fields live.
            materials: The parameter set.
            linear_solver: How linear systems are solved.
            stress_drift: Whether stress moves lithium.
            gap_resistance: Whether an open gap raises the interface resistance.
        """
        self.bodies = bodies
        self.materials = materials
        self.stress_drift = stress_drift
        self.gap_resistance = gap_resistance
        matrix, ecbd = bodies.matrix, bodies.ecbd
        self.lithium_space = bodies.scalars
        self.ionic_space = fem.functionspace(matrix.mesh, ("Lagrange", 1))
        self.electronic_space = fem.functionspace(ecbd.mesh, ("Lagrange", 1))
        # The electronic potential is counted from the collector: the cell voltage is an unknown of
        # its own, and volts never hide the microvolts that drive the current.
        face = bodies.collector
        on_collector = bodies.trace(self.electronic_space, ecbd, face, face.minus)
        grounded = surface_nodes(self.electronic_space, on_collector)
        self.unknowns = Unknowns(
            [
                Field(space=self.lithium_space),
                Field(space=self.ionic_space),
                Field(space=self.electronic_space, fixed=grounded),
            ],
            period=bodies.period,
            names=(VOLTAGE,),
        )
        self.hydrostatic = fem.Function(self.lithium_space)
        self._assemble(linear_solver)
        active = materials.active
        self.lithium_initial = (
            bodies.sum(self.node_charge)
            * active.initial_concentration
            / (FARADAY * active.maximum_concentration)
        )
        self.one_c = FARADAY * self.lithium_initial / hour

    def _assemble(self, linear_solver: LinearSolver) -> None:
        bodies, active = self.bodies, self.materials.active
        data, c_max = bodies.data, active.maximum_concentration
        rotation = data.orientations
        tensors = np.einsum("gik,k,gjk->gij", rotation, np.asarray(active.diffusivity), rotation)
        self._diffusivity = bodies.particle.by_tag(dict(zip(data.grain_tags, tensors, strict=True)))
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
        ionic = bodies.matrix.by_tag(
            {
                data.regions[name]: np.asarray(conductor.ionic_conductivity)
                for name, conductor in conductors.items()
                if name in data.regions
            }
        )
        electronic = bodies.ecbd.by_tag(
            {data.regions["ecbd"]: np.asarray(self.materials.ecbd.electronic_conductivity)}
        )
        blocks = [
            Operator(
                electrochemistry.lithium_diffusion(self.lithium_space, self._diffusivity, c_max)
            ),
            Operator(electrochemistry.conduction(self.ionic_space, ionic)),
            Operator(electrochemistry.conduction(self.electronic_space, electronic)),
        ]
        self.node_charge = linear_form(electrochemistry.lithium_mass(self.lithium_space, c_max))

        numbers = self.unknowns.reduced
        entries = [a.triplets(n, n) for a, n in zip(blocks, numbers, strict=True)]
        drift = self._drift.triplets(numbers[0], numbers[0])
        diagonal = numbers[0][: self.node_charge.size]
        rows = np.concatenate([diagonal, drift[0], *(e[0] for e in entries)])
        columns = np.concatenate([diagonal, drift[1], *(e[1] for e in entries)])
        self._constant_conduction = np.concatenate([e[2] for e in entries])
        self.problem = SurfaceProblem(
            "electrochemistry",
            self.unknowns,
            rows,
            columns,
            [self._at_interface(), self._at_anode()],
            linear_solver,
            splits=self._fields(),
        )

    def _at_interface(self) -> PointOperator:
        """Return what evaluates stoichiometry and phi_s - phi_l at the interface points."""
        bodies, surface, numbers = self.bodies, self.bodies.interface, self.unknowns.reduced
        lithium = bodies.trace(self.lithium_space, bodies.particle, surface, surface.minus)
        ionic = bodies.trace(self.ionic_space, bodies.matrix, surface, surface.plus)
        electronic = bodies.trace(self.electronic_space, bodies.ecbd, surface, surface.plus)
        n, a = lithium.nodes.shape
        b = a + ionic.nodes.shape[1]
        values = np.zeros((n, 2, b + electronic.nodes.shape[1] + 1))
        values[:, 0, :a] = lithium.values
        values[:, 1, a:b] = -ionic.values
        values[:, 1, b:-1] = electronic.values
        values[:, 1, -1] = 1.0
        columns = [
            numbers[0][lithium.nodes],
            numbers[1][ionic.nodes],
            numbers[2][electronic.nodes],
            np.full((n, 1), self.unknowns.single[VOLTAGE]),
        ]
        return PointOperator(columns=np.hstack(columns), values=values, weights=surface.weights)

    def _at_anode(self) -> PointOperator:
        """Return what evaluates -phi_l at the anode points."""
        surface = self.bodies.anode
        ionic = self.bodies.trace(self.ionic_space, self.bodies.matrix, surface, surface.minus)
        return PointOperator(
            columns=self.unknowns.reduced[1][ionic.nodes],
            values=-ionic.values[:, None, :],
            weights=surface.weights,
        )

    def _fields(self) -> dict[str, NDArray[np.int64]]:
        """Return the unknowns of each field that this rank owns."""
        fields = {
            name: np.arange(self.unknowns.local_size)[self.unknowns.owned(index)]
            + self.unknowns.offset
            for index, name in enumerate(("lithium", "ionic", "electronic"))
        }
        own = [self.unknowns.single[VOLTAGE]] if self.bodies.comm.rank == 0 else []
        return {**fields, VOLTAGE: np.array(own, np.int64)}

    def at_rest(self) -> tuple[PETSc.Vec, float]:
        """Return the unknowns at uniform lithium without current, and the voltage [V]."""
        active = self.materials.active
        x = self.unknowns.vector()
        filled = active.initial_concentration / active.maximum_concentration
        x.array[self.unknowns.owned(0)] = filled
        concentration = np.array([active.initial_concentration])
        voltage = float(active.open_circuit_voltage.value(concentration)[0])
        self.unknowns.write_single(x, VOLTAGE, voltage)
        return x, voltage

    def stoichiometry(self, x: PETSc.Vec) -> Array:
        """Return c / c_max at the particle nodes, ghosts included, shape (nodes,); collective."""
        return self.unknowns.expand(x)[0]

    def voltage(self, x: PETSc.Vec) -> float:
        """Return the cell voltage [V]; collective."""
        return self.unknowns.read_single(x, VOLTAGE)

    def charge(self, stoichiometry: Array) -> float:
        """Return F times the lithium of all particles, from owned nodes [C]; collective."""
        return self.bodies.sum(self.node_charge * stoichiometry)

    def resistance(self, gap: Array) -> Array:
        """Return the interface resistance at the points, shape (n,) [ohm m2]."""
        if not self.gap_resistance:
            gap = np.zeros_like(gap)
        return interface.contact_resistance(self.materials.resistance, gap)

    def interface_current(self, x: PETSc.Vec, gap: Array) -> interface.InsertionCurrent:
        """Return the kinetics at the interface points; collective.

        Args:
            x: Unknowns.
            gap: (n,) [m].
        """
        return self._insertion(self.problem.at_points(x)[0], self.resistance(gap))

    def cell_current(self, x: PETSc.Vec, gap: Array) -> float:
        """Return the charging current that the interface carries [A]; collective."""
        weights = self.bodies.interface.weights
        return self.bodies.sum(weights * self.interface_current(x, gap).current)

    def anode_current(self, x: PETSc.Vec) -> float:
        """Return the charging current that the lithium anode carries [A]; collective."""
        values = self.problem.at_points(x)[1]
        metal, _ = interface.metal_current(
            self.materials.anode, self.materials.temperature, values[:, 0]
        )
        return -self.bodies.sum(self.bodies.anode.weights * metal)

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

    def solve(
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

        Raises:
            NotConverged: If Newton's method fails.
        """
        if self.stress_drift:
            self.hydrostatic.x.array[:] = hydrostatic
            drift = self._drift.refresh()
        else:
            drift = np.zeros_like(self._drift.matrix.data)
        self.problem.set_bulk(
            np.concatenate([rate * self.node_charge, drift, self._constant_conduction])
        )
        storage = [np.zeros(numbers.size) for numbers in self.unknowns.reduced]
        storage[0][: history.size] = -self.node_charge * history
        load = self.unknowns.gather(storage)  # a particle may cross a periodic side
        fixed = None
        if voltage is not None:
            fixed = self.unknowns.single[VOLTAGE]
            self.unknowns.write_single(x, VOLTAGE, voltage)
        else:
            self.unknowns.write_single(load, VOLTAGE, float(current or 0.0))
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

        return self.problem.solve(x, load, law, tolerance=tolerance, scale=self.one_c, fixed=fixed)

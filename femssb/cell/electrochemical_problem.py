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

from femssb.cell import electrochemistry
from femssb.cell.bodies import Bodies
from femssb.cell.kinetics import InsertionCurrent
from femssb.cell.regions import ELECTRONIC, FIELDS, IONIC, LITHIUM, made_of
from femssb.cell.surfaces import Insertion, Metal, Prescribed, Surface, joined
from femssb.fem import newton
from femssb.fem.assembly import Operator, linear_form
from femssb.fem.constraints import Field, Unknowns
from femssb.fem.linear_solver import KrylovSolver, LinearSolver
from femssb.fem.surface_problem import PointOperator, SurfaceProblem
from femssb.fem.trace import surface_nodes
from femssb.inputs.materials import ActiveMaterial, Conductor
from femssb.units import FARADAY, hour

Array = NDArray[np.float64]

VOLTAGE = "voltage"


class ElectrochemicalProblem:
    """Lithium in the particles, ions and electrons around them, and the kinetics between.

    Attributes:
        spaces: Space of the stoichiometry and of each potential.
        unknowns: How these and the voltage are numbered.
        problem: The discrete problem.
        linear_solver: What solves its linear systems.
        node_charge: F c_max times the volume of each owned particle node [C].
        lithium_initial: Lithium in all particles at the start [mol].
        one_c: Current that moves all the initial lithium in one hour [A].
    """

    def __init__(self, bodies: Bodies, linear_solver: LinearSolver, *, temperature: float) -> None:
        """Lay the unknowns out and assemble all that never changes; collective.

        Args:
            bodies: Where the fields live.
            linear_solver: How linear systems are solved.
            temperature: [K].
        """
        self.bodies = bodies
        self.spaces = {LITHIUM: bodies.scalars} | {
            name: fem.functionspace(bodies.domains[name].mesh, ("Lagrange", 1))
            for name in (IONIC, ELECTRONIC)
        }
        # The electronic potential is counted from the collector: the cell voltage is an unknown of
        # its own, and volts never hide the microvolts that drive the current.
        space, domain = self.spaces[ELECTRONIC], bodies.domains[ELECTRONIC]
        grounded = [
            surface_nodes(space, bodies.trace(space, domain, surface.name, "minus"))
            for surface in bodies.surfaces
            if isinstance(surface.current, Prescribed)
        ]
        fixed = {ELECTRONIC: np.concatenate(grounded)}
        self.unknowns = Unknowns(
            [
                Field(space=space, fixed=fixed.get(name, np.empty(0, np.int64)))
                for name, space in self.spaces.items()
            ],
            period=bodies.period,
            names=(VOLTAGE,),
        )
        self._numbers = dict(zip(FIELDS, self.unknowns.reduced, strict=True))
        self._reactions = [
            (surface, surface.current)
            for surface in bodies.surfaces
            if isinstance(surface.current, Insertion | Metal)
        ]
        self._assemble(temperature)
        self.linear_solver = KrylovSolver(
            "electrochemistry", self.unknowns, linear_solver, splits=self._splits()
        )
        self._filled = bodies.at_nodes(
            lambda active, _: active.initial_concentration / active.maximum_concentration
        )
        _, active = made_of(bodies.regions, ActiveMaterial)[0]
        self.lithium_initial = (
            bodies.sum(self.node_charge)
            * active.initial_concentration
            / (FARADAY * active.maximum_concentration)
        )
        self.one_c = FARADAY * self.lithium_initial / hour

    def _assemble(self, temperature: float) -> None:
        bodies, numbers = self.bodies, self._numbers
        host = bodies.domains[LITHIUM]
        hosts = made_of(bodies.regions, ActiveMaterial)
        conductors = made_of(bodies.regions, Conductor)
        ((_, active),) = hosts
        c_max = active.maximum_concentration
        diffusivity = bodies.by_cell(
            host,
            [
                (r, np.einsum("gik,k,gjk->gij", r.orientations, a.diffusivity, r.orientations))
                for r, a in hosts
            ],
        )
        ionic = bodies.by_cell(
            bodies.domains[IONIC], [(r, np.array([m.ionic_conductivity])) for r, m in conductors]
        )
        electronic = bodies.by_cell(
            bodies.domains[ELECTRONIC],
            [
                (r, np.array([m.electronic_conductivity]))
                for r, m in conductors
                if ELECTRONIC in r.carries
            ],
        )
        self._stress = fem.Function(self.spaces[LITHIUM])
        self._drifts = any(a.drift_volume for _, a in hosts)
        self._drift = Operator(
            electrochemistry.lithium_drift(
                self.spaces[LITHIUM],
                diffusivity,
                self._stress,
                maximum_concentration=c_max,
                drift_volume=active.drift_volume,
                temperature=temperature,
            )
        )
        blocks = {
            LITHIUM: electrochemistry.lithium_diffusion(self.spaces[LITHIUM], diffusivity, c_max),
            IONIC: electrochemistry.conduction(self.spaces[IONIC], ionic),
            ELECTRONIC: electrochemistry.conduction(self.spaces[ELECTRONIC], electronic),
        }
        self.node_charge = linear_form(electrochemistry.lithium_mass(self.spaces[LITHIUM], c_max))
        entries = [Operator(f).triplets(numbers[name], numbers[name]) for name, f in blocks.items()]
        drift = self._drift.triplets(numbers[LITHIUM], numbers[LITHIUM])
        diagonal = numbers[LITHIUM][: self.node_charge.size]
        self._constant_conduction = np.concatenate([values for _, _, values in entries])
        self.problem = SurfaceProblem(
            "electrochemistry",
            self.unknowns,
            np.concatenate([diagonal, drift[0], *(rows for rows, _, _ in entries)]),
            np.concatenate([diagonal, drift[1], *(columns for _, columns, _ in entries)]),
            [self._operator(surface, law) for surface, law in self._reactions],
        )

    def _operator(self, surface: Surface, law: Insertion | Metal) -> PointOperator:
        """Return what evaluates the quantities that a law sees at the points of its surface."""
        blocks = []
        for name, side, factors in law.sees:
            domain = self.bodies.domains[name]
            on = self.bodies.trace(self.spaces[name], domain, surface.name, side)
            columns, values = self._numbers[name][on.nodes], on.values
            if name == ELECTRONIC:  # counted from the collector
                n = len(columns)
                columns = np.hstack([columns, np.full((n, 1), self.unknowns.single[VOLTAGE])])
                values = np.hstack([values, np.ones((n, 1))])
            blocks.append((columns, np.einsum("nm,k->nkm", values, factors)))
        return PointOperator.joined(blocks, self.bodies.points[surface.name].weights)

    def _splits(self) -> dict[str, NDArray[np.int64]]:
        """Return the unknowns of each field that this rank owns."""
        fields = {
            name: np.arange(self.unknowns.local_size)[self.unknowns.owned(index)]
            + self.unknowns.offset
            for index, name in enumerate(FIELDS)
        }
        own = [self.unknowns.single[VOLTAGE]] if self.bodies.comm.rank == 0 else []
        return {**fields, VOLTAGE: np.array(own, np.int64)}

    def at_rest(self) -> tuple[PETSc.Vec, float]:
        """Return the unknowns at the initial lithium without current, and the voltage [V]."""
        x = self.unknowns.vector()
        self.unknowns.assign(x, 0, self._filled)
        _, active = made_of(self.bodies.regions, ActiveMaterial)[0]
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

    def interface_current(self, x: PETSc.Vec, gap: Array) -> InsertionCurrent:
        """Return the kinetics at the points where lithium is inserted; collective.

        Args:
            x: Unknowns.
            gap: At the cohesive points, shape (n,) [m].
        """
        found = zip(self._reactions, self.problem.at_points(x), self._gaps(gap), strict=True)
        return joined([law.current(v, g) for (_, law), v, g in found if isinstance(law, Insertion)])

    def cell_current(self, x: PETSc.Vec, gap: Array) -> float:
        """Return the charging current that the particles release [A]; collective."""
        return self._carried(Insertion, x, gap)

    def anode_current(self, x: PETSc.Vec) -> float:
        """Return the charging current that the lithium anode carries [A]; collective."""
        return -self._carried(Metal, x, np.zeros(self.bodies.weights.size))

    def _carried(self, kind: type, x: PETSc.Vec, gap: Array) -> float:
        """Return the current through all surfaces with a kind of law [A]."""
        found = zip(self._reactions, self.problem.at_points(x), self._gaps(gap), strict=True)
        return sum(
            self.bodies.sum(self.bodies.points[surface.name].weights * law.at_gap(g)(v)[0][:, 0])
            for (surface, law), v, g in found
            if isinstance(law, kind)
        )

    def _gaps(self, gap: Array) -> list[Array]:
        """Return the gap at the points of each surface that carries a current, closed if rigid."""
        opened = self.bodies.split(gap)
        names = [surface.name for surface, _ in self._reactions]
        return [opened.get(n, np.zeros(self.bodies.points[n].weights.size)) for n in names]

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
    ) -> newton.Convergence:
        """Solve lithium, ions and electrons implicitly, in place; collective.

        Args:
            x: Guess, then solution.
            rate: Factor of the new stoichiometry in its time derivative [1/s].
            history: (owned nodes,) the rest of that derivative [1/s].
            gap: (n,) at the cohesive points [m].
            hydrostatic: (nodes with ghosts,) [Pa].
            current: Charging current [A], or None to hold the voltage.
            voltage: Cell voltage to hold [V], or None.
            tolerance: Sum of absolute residual currents over the 1C current.

        Raises:
            NotConverged: If Newton's method fails.
        """
        if self._drifts:
            self._stress.x.array[:] = hydrostatic
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
        laws = [law.at_gap(g) for (_, law), g in zip(self._reactions, self._gaps(gap), strict=True)]
        return newton.solve(
            self.problem,
            self.linear_solver,
            x,
            load,
            lambda values: [law(seen) for law, seen in zip(laws, values, strict=True)],
            tolerance=tolerance,
            scale=self.one_c,
            fixed=fixed,
        )

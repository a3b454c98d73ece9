"""The first of the two discrete problems: lithium, ions and electrons, at a gap and a stress.

Unknowns are the stoichiometry at the particle nodes, the ionic and the electronic potential, and
the cell voltage. All are implicit; lithium is conserved to roundoff.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
from dolfinx import fem
from scipy.optimize import brentq

from femssb.arrays import Array
from femssb.cell import electrochemistry
from femssb.cell.bodies import Bodies
from femssb.cell.boundary_layer import BoundaryLayer, Deepening
from femssb.cell.consumer import Consumer
from femssb.cell.limiter import LimitedDiffusion, LimitedDrift
from femssb.cell.passages import Passages
from femssb.cell.paths import CutOff
from femssb.cell.regions import ELECTRONIC, FIELDS, IONIC, LITHIUM, VOLTAGE, Region
from femssb.cell.surfaces import GRAIN_BOUNDARY, Insertion, Metal, Prescribed
from femssb.cell.variable_diffusion import VariableDiffusion
from femssb.errors import NotConverged
from femssb.fem import newton
from femssb.fem.assembly import Operator, linear_form
from femssb.fem.constraints import Unknowns
from femssb.fem.linear_solver import KrylovSolver, LinearSolver
from femssb.fem.surface_problem import PointOperator, SurfaceProblem
from femssb.fem.trace import surface_nodes
from femssb.inputs.materials import ActiveMaterial, Conductor
from femssb.units import FARADAY, GAS_CONSTANT, hour

_MOMENT = 1e-8  # in which lithium stays where it is [s]
_FARTHEST = 1e5  # overpotential beyond which no current is looked for [V]


class ElectrochemicalProblem:
    """Lithium in the particles, ions and electrons around them, and the kinetics between.

    Attributes:
        spaces: Space of the stoichiometry and of each potential.
        unknowns: How these and the voltage are numbered.
        passages: The currents through surfaces.
        problem: The discrete problem: first its passages, then the terminals and the edges.
        layer: What the surface of the particles has beyond the mesh.
        linear_solver: Solver of its linear systems.
        node_charge: F c_max times the volume of each owned particle node [C].
        lithium_initial: Lithium in all particles at the start [mol].
        lithium_nominal: Lithium that 1C moves in an hour, the nominal capacity [mol].
        lithium_full: Lithium that fits the particles [mol].
        one_c: Current of 1C [A].
    """

    def __init__(
        self,
        bodies: Bodies,
        linear_solver: LinearSolver,
        *,
        temperature: float,
        cut_off: CutOff = CutOff(),  # noqa: B008  (frozen)
        covered: Mapping[str, Array] = MappingProxyType({}),
    ) -> None:
        """Lay the unknowns out and assemble all that never changes; collective.

        Args:
            bodies: The mesh.
            linear_solver: How linear systems are solved.
            temperature: [K].
            cut_off: Particles that take no part.
            covered: By the name of a surface, the share of the area that reacts at its points (n,).
        """
        self.bodies = bodies
        self._inert = np.array(cut_off.inert, np.int64)
        self.spaces = {LITHIUM: bodies.scalars} | {
            name: bodies.space(bodies.domains[name], (), split=bodies.pieces[name])
            for name in (IONIC, ELECTRONIC)
        }
        # The electronic potential is counted from the collector: the cell voltage is an unknown of
        # its own, and volts never hide the microvolts that drive the current.
        space, domain = self.spaces[ELECTRONIC], bodies.domains[ELECTRONIC]
        grounded = [
            surface_nodes(space, bodies.trace(space, domain, surface.name, "minus"))
            for surface in bodies.surfaces
            if any(isinstance(law, Prescribed) for law in surface.currents)
        ]
        none = np.empty(0, np.int64)
        if cut_off.electrons:  # potentials that nothing determines, and that drive nothing
            floats = np.isin(bodies.particle_of(domain.cell_tags), cut_off.electrons)
            grounded.append(np.unique(space.dofmap.list[floats]))
        fixed = {ELECTRONIC: np.unique(np.concatenate([none, *grounded]))}
        self.unknowns = Unknowns(
            [
                bodies.field(s, bodies.domains[k], split=bodies.pieces[k], fixed=fixed.get(k, none))
                for k, s in self.spaces.items()
            ],
            period=bodies.period,
            axes=bodies.periodic,
            names=(VOLTAGE,),
        )
        self.passages = Passages(
            bodies, self.spaces, self.unknowns, covered=covered, inert=self._inert
        )
        self._assemble(temperature)
        own = self.unknowns.offset + np.arange(self.unknowns.local_size)
        splits = {name: own[self.unknowns.owned(index)] for index, name in enumerate(FIELDS)}
        splits[VOLTAGE] = own[own == self.unknowns.single[VOLTAGE]]
        self.linear_solver = KrylovSolver(
            "electrochemistry", self.unknowns, linear_solver, splits=splits
        )
        self._filled = bodies.at_nodes(
            lambda active, _: active.initial_concentration / active.maximum_concentration
        )
        self._takes_part = np.ones(self.node_charge.size)
        if len(self._inert):
            lithium = bodies.domains[LITHIUM]
            idle = np.isin(bodies.particle_of(lithium.cell_tags), self._inert)
            nodes = np.unique(bodies.scalars.dofmap.list[idle])
            self._takes_part[nodes[nodes < self.node_charge.size]] = 0.0
        self.lithium_initial = self._lithium(lambda active: active.initial_concentration)
        self.lithium_nominal = self._lithium(lambda active: active.capacity)
        self.lithium_full = self._lithium(lambda active: active.maximum_concentration)
        self.one_c = FARADAY * self.lithium_nominal / hour

    def warm_to(self, temperature: float) -> None:
        """Take what regions and surfaces of the bodies are now, at a temperature [K]; collective.

        Which fields live where, and which laws act, must be as before.
        """
        self.passages.renew()
        self._assemble(temperature)

    def _assemble(self, temperature: float) -> None:
        bodies, domains, spaces = self.bodies, self.bodies.domains, self.spaces
        lithium = domains[LITHIUM]
        numbers = dict(zip(FIELDS, self.unknowns.reduced, strict=True))

        def turned(region: Region, active: ActiveMaterial) -> Array:
            axes = region.orientations
            found = np.einsum("gik,k,gjk->gij", axes, np.asarray(active.diffusivity), axes)
            return found * np.reshape(region.diffusing, (-1, 1, 1))

        def in_grains(value: Callable[[ActiveMaterial], float]) -> fem.Function:
            return bodies.by_cell(lithium, ActiveMaterial, lambda r, a: [value(a)] * len(r.tags))

        energy, y_space = GAS_CONSTANT * temperature, spaces[LITHIUM]
        capacity = in_grains(lambda a: FARADAY * a.maximum_concentration)
        over = in_grains(lambda a: FARADAY * a.maximum_concentration / energy)
        diffusivity = bodies.by_cell(lithium, ActiveMaterial, turned)
        ionic = bodies.by_cell(domains[IONIC], Conductor, lambda _, c: [c.ionic_conductivity])
        electronic = bodies.by_cell(
            domains[ELECTRONIC],
            object,
            lambda r, _: [r.material.electronic_conductivity] * len(r.tags),
        )
        self.node_charge = linear_form(electrochemistry.charge(y_space, capacity))
        self._pull = fem.Function(y_space)
        self._drift = Operator(electrochemistry.drift(y_space, over, diffusivity, self._pull))
        forms = {
            LITHIUM: electrochemistry.diffusion(y_space, capacity, diffusivity),
            IONIC: electrochemistry.conduction(spaces[IONIC], ionic),
            ELECTRONIC: electrochemistry.conduction(spaces[ELECTRONIC], electronic),
        }
        operators = {name: Operator(form) for name, form in forms.items()}
        entries = [operator.triplets(numbers[name]) for name, operator in operators.items()]
        self._conductors = [operators[name].matrix for name in (IONIC, ELECTRONIC)]
        diagonal = numbers[LITHIUM][: self.node_charge.size]
        storage = diagonal, diagonal, self.node_charge
        self._conduction = [values for _, _, values in entries]
        diffusion = SurfaceProblem("diffusion", self.unknowns, entries[:1], []).bulk
        # The layer below the surface passes grain boundaries, as they are when closed and at rest.
        passed = [
            (self.passages.operator(one), one.law)
            for one in self.passages.laws
            if one.permeates and one.surface == GRAIN_BOUNDARY
        ]
        through = SurfaceProblem(
            "diffusion", self.unknowns, entries[:1], [operator for operator, _ in passed]
        ).jacobian([law.response(*_nothing(operator))[1] for operator, law in passed])
        self.layer = BoundaryLayer(
            bodies, self.unknowns, through.assembled(), self.node_charge, inert=self._inert
        )
        self._energy = energy
        factors = [active.largest_diffusivity_factor for active, _ in bodies.active_nodes()]
        self._largest_factor = max(factors)
        self._limits: tuple[LimitedDiffusion | LimitedDrift | VariableDiffusion, ...]
        if any(active.diffusivity_factor for active, _ in bodies.active_nodes()):
            self._variable: VariableDiffusion | None = VariableDiffusion(
                bodies, numbers[LITHIUM], energy=energy
            )
            self._limits = (self._variable,)
        else:
            self._variable = None
            self._limited_drift = LimitedDrift(self._drift.matrix, numbers[LITHIUM])
            self._limits = LimitedDiffusion(diffusion), self._limited_drift
        self.problem = SurfaceProblem(
            "electrochemistry",
            self.unknowns,
            [storage, self._drift.triplets(numbers[LITHIUM]), *entries],
            [
                *(self.passages.operator(one) for one in self.passages.laws),
                self._at_terminals(),
                *(limit.operator for limit in self._limits),
            ],
        )

    def _at_terminals(self) -> PointOperator:
        """Return the point at which the cell voltage decides what a consumer draws."""
        here = np.ones(int(self.unknowns.comm.rank == 0))
        column = np.full((here.size, 1), self.unknowns.single[VOLTAGE])
        return PointOperator(columns=column, values=here[:, None, None], weights=here)

    def _lithium(self, concentration: Callable[[ActiveMaterial], float]) -> float:
        """Return the lithium in all particles at a concentration of each material [mol]."""
        return sum(
            self.bodies.sum(self.node_charge[nodes[nodes < self.node_charge.size]])
            * concentration(active)
            / (FARADAY * active.maximum_concentration)
            for active, nodes in self.bodies.active_nodes()
        )

    def at_rest(self) -> tuple[PETSc.Vec, float]:
        """Return the unknowns at the initial lithium without current, and the voltage [V]."""
        x = self.unknowns.vector()
        self.unknowns.assign(x, 0, self._filled)
        voltage = float(self.voltages_at_rest().max())
        self.unknowns.write_single(x, VOLTAGE, voltage)
        return x, voltage

    def voltages_at_rest(self) -> Array:
        """Return the open-circuit voltage of each active material at the initial lithium [V]."""
        found = [
            active.open_circuit_voltage.value(np.array([active.initial_concentration]))
            for active, _ in self.bodies.active_nodes()
        ]
        return np.concatenate(found)

    def balance(self, x: PETSc.Vec, gap: Array, pull: Array, tolerance: float) -> float:
        """Find the potentials without a current of the cell, in place; return the voltage [V].

        Lithium stays as it is: where particles are not at rest with each other it passes between
        them, and the potentials are those of that moment. Collective.

        Args:
            x: The unknowns.
            gap: (n,) at the cohesive points [m].
            pull: What the stress releases with lithium, (nodes with ghosts,) [J/mol].
            tolerance: Sum of absolute residual currents over the 1C current.

        Raises:
            NotConverged: If Newton's method fails.
        """
        filled, none = self.stoichiometry(x), self.layer.at_rest()
        self.solve(
            x,
            rate=1 / _MOMENT,
            history=-filled[: self.node_charge.size] / _MOMENT,
            gap=gap,
            layer=Deepening(kept=none, given=none, room=none[:, 0]),
            pull=pull,
            current=0.0,
            voltage=None,
            tolerance=tolerance,
        )
        self.unknowns.assign(x, 0, filled)
        return self.voltage(x)

    def stoichiometry(self, x: PETSc.Vec) -> Array:
        """Return c / c_max at the particle nodes, ghosts included, shape (nodes,); collective."""
        return self.unknowns.expand(x)[0]

    def voltage(self, x: PETSc.Vec) -> float:
        """Return the cell voltage [V]; collective."""
        return self.unknowns.read_single(x, VOLTAGE)

    def charge(self, stoichiometry: Array) -> float:
        """Return F times the lithium of all particles, from owned nodes [C]; collective."""
        return self.bodies.sum(self.node_charge * stoichiometry)

    def conducted(self, x: PETSc.Vec) -> tuple[float, float]:
        """Return the power that ions and electrons lose to resistance [W]; collective."""
        _, *potentials = self.unknowns.expand(x)
        ionic, electronic = (
            self.bodies.sum(phi @ matrix @ phi)
            for phi, matrix in zip(potentials, self._conductors, strict=True)
        )
        return ionic, electronic

    def voltage_at_mean(self, x: PETSc.Vec, active: ActiveMaterial) -> float:
        """Return the open-circuit voltage of an active material at its mean lithium [V].

        Particles that take no part do not count; collective.
        """
        filled = self.stoichiometry(x)[: self.node_charge.size]
        own = np.zeros(filled.size)
        for material, nodes in self.bodies.active_nodes():
            if material is active:
                own[nodes[nodes < filled.size]] = 1.0
        own *= self._takes_part
        mean = self.charge(own * filled) / max(self.charge(own), 1e-300)
        at = np.array([mean * active.maximum_concentration])
        return float(active.open_circuit_voltage.value(at)[0])

    def deepened(self, x: PETSc.Vec, gap: Array, layer: Deepening) -> Array:
        """Return the modes of the layer (n, modes) where a time step has led to x; collective."""
        passages, values = self.passages, self.problem.at_points(x)
        responses = passages.responses(values, gap, passages.split(layer))
        return layer.by(passages.inserted(self.problem.operators, responses))

    def solve(
        self,
        x: PETSc.Vec,
        *,
        rate: float,
        history: Array,
        gap: Array,
        layer: Deepening,
        pull: Array,
        current: float | None,
        voltage: float | None,
        power: float = 0.0,
        conductance: float = 0.0,
        tolerance: float,
        limits: newton.Limits = newton.Limits(),  # noqa: B008  (frozen)
    ) -> newton.Convergence:
        """Solve lithium, ions and electrons implicitly, in place; collective.

        Args:
            x: Guess, then solution.
            rate: Factor of the new stoichiometry in its time derivative [1/s].
            history: (owned nodes,) the rest of that derivative [1/s].
            gap: (n,) at the cohesive points [m].
            layer: How the boundary layer changes in the step.
            pull: What the stress releases with lithium, (nodes with ghosts,) [J/mol].
            current: Charging current [A], or None to hold the voltage.
            voltage: Cell voltage to hold [V], or None.
            power: Of a consumer, whose current is taken off the charging current [W].
            conductance: Of a resistance between the terminals, likewise [S].
            tolerance: Sum of absolute residual currents over the 1C current.
            limits: When Newton's method gives up.

        Raises:
            NotConverged: If Newton's method fails.
        """
        self._set_transport(rate, pull)
        storage = [np.zeros(numbers.size) for numbers in self.unknowns.reduced]
        storage[0][: history.size] = -self.node_charge * history
        load = self.unknowns.gather(storage)  # a particle may cross a periodic side
        fixed = None
        if voltage is not None:
            fixed = self.unknowns.single[VOLTAGE]
            self.unknowns.write_single(x, VOLTAGE, voltage)
        else:
            self.unknowns.write_single(load, VOLTAGE, float(current or 0.0))
        consumer = Consumer(power=power, conductance=conductance)
        count, layers = len(self.passages.laws), self.passages.split(layer)

        answers: list[tuple[Array, Array]] = []

        def respond(values: list[Array]) -> list[tuple[Array, Array]]:
            nonlocal answers
            answers = self.passages.responses(values, gap, layers, answers)
            answers.append(consumer.response(values[count]))
            edges = zip(self._limits, values[count + 1 :], strict=True)
            return answers + [limit.response(filled) for limit, filled in edges]

        solve = partial(
            newton.solve,
            self.problem,
            self.linear_solver,
            x,
            load,
            respond,
            tolerance=tolerance,
            scale=self.one_c,
            fixed=fixed,
            limits=limits,
        )
        guess = x.copy()
        try:
            return solve()
        except NotConverged:
            if current is None:
                raise
        # Newton sees a slow reaction, far from its current, as a conductor of almost nothing.
        guess.copy(x)
        drawn = consumer.current(self.voltage(x))
        self._bring_to(x, current - drawn, gap, layers)
        return solve()

    def _set_transport(self, rate: float, pull: Array) -> None:
        """Set the matrices for the rate of a time step [1/s] and a pull [J/mol]; collective."""
        self._pull.x.array[:] = pull
        self.passages.pull_at(pull / self._energy)
        drift = self._drift.refresh()
        parts = [rate * self.node_charge, drift, *self._conduction]
        if self._variable is None:
            self._limited_drift.refresh(drift, pull / self._energy)
            self.problem.set_bulk(parts)
            return
        self._variable.refresh(pull)
        diffusion, *others = self._conduction
        terms = [parts[0], *(self._largest_factor * part for part in (drift, diffusion)), *others]
        values = [parts[0], np.zeros_like(drift), np.zeros_like(diffusion), *others]
        self.problem.set_bulk(values, terms=terms)

    def _bring_to(
        self, x: PETSc.Vec, current: float, gap: Array, layers: Mapping[str, Deepening]
    ) -> None:
        """Shift potentials so that each electrode carries a charging current [A]; collective."""
        values = self.problem.at_points(x)
        laws = self.passages.laws
        rows = list(zip(laws, self.problem.operators, values, strict=False))

        def shift(kind: type, wanted: float) -> float:
            """Return by how much the difference of potentials over a kind of law must change."""

            def excess(by: float) -> float:
                moved = [seen.copy() for _, _, seen in rows]
                for seen, one in zip(moved, laws, strict=True):
                    seen[:, -1] += by * isinstance(one.law, kind)
                found = self.passages.responses(moved, gap, layers)
                return -wanted + sum(
                    self.bodies.sum(op.weights * flux[:, 0])
                    for (one, op, _), (flux, _) in zip(rows, found, strict=True)
                    if isinstance(one.law, kind)
                )

            reach = 0.1  # [V]
            while excess(-reach) * excess(reach) > 0 and reach < _FARTHEST:
                reach *= 4
            if excess(-reach) * excess(reach) > 0:
                return 0.0
            return float(brentq(excess, -reach, reach, xtol=1e-4))

        over_metal, over_grains = shift(Metal, -current), shift(Insertion, current)
        x.array[self.unknowns.owned(FIELDS.index(IONIC))] -= over_metal
        self.unknowns.write_single(x, VOLTAGE, self.voltage(x) + over_grains - over_metal)


def _nothing(operator: PointOperator) -> tuple[Array, Array]:
    """Return quantities (n, k) and gaps (n,) of zero at the points of a surface."""
    count, quantities = operator.values.shape[:2]
    return np.zeros((count, quantities)), np.zeros(count)

"""Numbers of each time step, and whole fields, read out of a model.

All functions are collective. Numbers are the same on every rank; fields are gathered on rank 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from dolfinx import fem
from numpy.typing import NDArray

from femssb import tensors
from femssb.arrays import Array
from femssb.cell import mechanics
from femssb.cell.currents import Powers
from femssb.cell.limiter import WIDEST
from femssb.cell.mechanical_problem import edges_of
from femssb.cell.model import Model, State
from femssb.cell.regions import ELECTRONIC, IONIC, MATRIX, PARTICLE
from femssb.cell.surfaces import CONTACT, GRAIN_BOUNDARY
from femssb.environment.ranks import collect, from_first_rank
from femssb.fem.assembly import Part
from femssb.fem.trace import SurfacePoints
from femssb.inputs.condition import Condition, find_column
from femssb.inputs.materials import ActiveMaterial
from femssb.results.fields import FieldData, Snapshot
from femssb.results.quantities import (
    BLEND_COLUMNS,
    CONTACT_COLUMNS,
    CRACK_COLUMNS,
    SERIES,
    of_particle,
)
from femssb.results.validity import Bounds
from femssb.tetrahedra import volumes
from femssb.units import FARADAY, hour

if TYPE_CHECKING:
    from femssb.run.stepper import TimeStep

Cells = NDArray[np.int64]


def columns_of(model: Model) -> list[str]:
    """Return the names of the columns of the time series of a model."""
    bodies, each = model.bodies, [one for one in SERIES if one.each]
    particles = int(model.data.grain_particle.max()) + 1
    found = [one.name for one in SERIES]
    for one in each if particles > 1 else [one for one in each if one.name == "Lithium [mol]"]:
        found += [of_particle(one.of_each, number + 1) for number in range(particles)]
    found += CONTACT_COLUMNS if CONTACT in bodies.cohesive else []
    found += CRACK_COLUMNS if GRAIN_BOUNDARY in bodies.cohesive else []
    found += BLEND_COLUMNS if len(list(bodies.active_nodes())) > 1 else []
    return found


class _Body:
    """Operators that turn a displacement into cell-wise strain and stress."""

    def __init__(self, model: Model, name: str, corners: fem.FunctionSpace) -> None:
        self.name = name
        self.part = part = model.bodies.parts[name]
        self.corners = corners  # linear scalar space whose nodes are the points of the output
        space = fem.functionspace(part.mesh, ("DG", 0, (6,)))
        spaces = model.mechanics.spaces
        # Name of each part of the displacement, linear first, and its function.
        self.displacements = {
            part: fem.Function(spaces[part]) for part in (name, edges_of(name)) if part in spaces
        }
        self.strain = fem.Function(space)
        self.expression = fem.Expression(
            sum(map(mechanics.strain, self.displacements.values())),
            space.element.interpolation_points,
        )
        # Shape (cells, 6, 6) [Pa].
        self.stiffness = _by_cell(model.mechanics.stiffness[name]).reshape(-1, 6, 6)
        # The displacement at the corners.
        space = fem.functionspace(part.mesh, ("Lagrange", 1, (3,)))
        self.at_corners = fem.Function(model.bodies.vectors if name == PARTICLE else space)


class Readout:
    """Reads numbers and fields out of a model.

    Attributes:
        model: The discretised half-cell.
        particles: Number of particles.
        volume: Statistics over the mesh cells of the particles.
        surface: Statistics over the interface.
        bounds: What the results of the model are held against.
    """

    def __init__(self, model: Model) -> None:
        """Prepare the strain operators; collective."""
        self.model, bodies = model, model.bodies
        particle, scalars = bodies.parts[PARTICLE], bodies.scalars
        self._interface = [bodies.points[name] for name in bodies.outside]
        self._particle = _Body(model, PARTICLE, scalars)
        self._matrix = _Body(model, MATRIX, model.electrochemistry.spaces[IONIC])
        self._conducting = bodies.cells_of(bodies.domains[ELECTRONIC], bodies.parts[MATRIX])
        self._grain_of_cell = np.searchsorted(model.data.grain_tags, particle.cell_tags)
        self._particle_of_cell = of_cell = model.data.grain_particle[self._grain_of_cell]
        self.particles = count = int(model.data.grain_particle.max()) + 1
        owned, geometry = _owned_cells(particle), particle.mesh.geometry
        shares = volumes(geometry.x, geometry.dofmap)[:owned]
        self.volume = Statistics(model.comm, shares, of_cell[:owned], count)
        of_point = np.concatenate([bodies.particles_at(name) for name in bodies.outside])
        areas = np.concatenate([points.weights for points in self._interface])
        self.surface = Statistics(model.comm, areas, of_point, count)
        self.bounds = self._bounds()
        node = np.zeros(scalars.dofmap.index_map.size_local, np.int64)
        dofs = scalars.dofmap.list
        in_owned = dofs < node.size
        node[dofs[in_owned]] = np.broadcast_to(of_cell[:, None], dofs.shape)[in_owned]
        self._particle_of_node = node

    def _bounds(self) -> Bounds:
        """Return what the results of the model are held against; collective."""
        bodies = self.model.bodies
        actives = [active for active, _ in bodies.active_nodes()]
        full = max(active.maximum_concentration for active in actives)
        curves = [active.open_circuit_voltage for active in actives]
        ends = [_range(active) for active in actives]
        spans = [np.linspace(low, high, 1001) for low, high in ends]
        at_rest = [curve.value(span) for curve, span in zip(curves, spans, strict=True)]
        voltages = np.concatenate(at_rest)
        size = bodies.sum(self.volume.weights) / self.particles
        laws = bodies.cohesive.items()
        energies = [
            bodies.sum(bodies.points[name].weights * bodies.strengths.get(name, 1.0) ** 2)
            * law.normal_fracture_energy
            for name, law in laws
        ]
        return Bounds(
            maximum=full,
            curve=(min(low for low, _ in ends), max(high for _, high in ends)),
            voltages=(float(voltages.min()), float(voltages.max())),
            modulus=max(active.elasticity.modulus for active in actives),
            radius=float(np.cbrt(3 * size / (4 * np.pi))),
            fracture_energy=sum(energy for energy in energies if energy < np.inf) or np.inf,
            limited=WIDEST / 2 if any(active.drift_volume != 0.0 for active in actives) else 0.0,
        )

    def row(self, step: "TimeStep") -> dict[str, float]:
        """Return a row of the time series: every column after an accepted time step; collective."""
        measured = _Measured(self, step)
        values = {one.name: np.atleast_1d(VALUES[one.name](measured)) for one in SERIES}
        row = {name: value[0].item() for name, value in values.items()}
        for one in SERIES:
            if one.each and (self.particles > 1 or one.name == "Lithium [mol]"):
                for number, value in enumerate(values[one.name][1:], start=1):
                    row[of_particle(one.of_each, number)] = float(value)
        state = step.now.state
        return row | self._contacts(state) | self._cracks(state) | self._blend(state)

    def beyond(self, condition: Condition, step: "TimeStep") -> float:
        """Return by how much a time step is past a condition, negative before it; collective."""
        if condition.column is None:
            row = self.row(step)
            return from_first_rank(self.model.comm, lambda: condition.beyond(row))
        name = find_column(condition.column, columns_of(self.model))
        if name not in VALUES:
            return condition.beyond({name: self.row(step)[name]})
        return condition.beyond({name: np.ravel(VALUES[name](_Measured(self, step)))[0].item()})

    def _contacts(self, state: State) -> dict[str, float]:
        """Return the columns of `CONTACT_COLUMNS`, if contacts of particles can open."""
        bodies = self.model.bodies
        if CONTACT not in bodies.cohesive:
            return {}
        gap = np.maximum(bodies.split(state.jump)[CONTACT][:, 0], 0.0)
        weights, area = bodies.points[CONTACT].weights, bodies.area(CONTACT)
        values = (
            bodies.sum(weights * gap) / area,
            bodies.largest(gap),
            bodies.sum(weights * (bodies.split(state.spent)[CONTACT] >= 1.0)) / area,
        )
        return dict(zip(CONTACT_COLUMNS, values, strict=True))

    def _cracks(self, state: State) -> dict[str, float]:
        """Return the columns of `CRACK_COLUMNS`, if grain boundaries can break."""
        bodies = self.model.bodies
        if GRAIN_BOUNDARY not in bodies.cohesive:
            return {}
        currents = self.model.currents
        opening = np.maximum(bodies.split(state.jump)[GRAIN_BOUNDARY][:, 0], 0.0)
        spent = bodies.split(state.spent)[GRAIN_BOUNDARY]
        weights, area = bodies.points[GRAIN_BOUNDARY].weights, bodies.area(GRAIN_BOUNDARY)
        cracked = bodies.sum(weights * (spent >= 1.0))
        values = (
            bodies.sum(weights * opening) / area,
            bodies.largest(opening),
            cracked,
            cracked / area,
            bodies.sum(weights * spent) / area,
            cracked / bodies.sum(self.volume.weights),
            state.crack_dissipation,
            currents.wetted_area(state.gap),
            -currents.crack(self.model.electrochemical(state), state.gap, state.layer),
        )
        return dict(zip(CRACK_COLUMNS, values, strict=True))

    def _blend(self, state: State) -> dict[str, float]:
        """Return the columns of `BLEND_COLUMNS`, if there are several active materials."""
        bodies = self.model.bodies
        if len(list(bodies.active_nodes())) < 2:
            return {}
        filled = self.model.stoichiometry(state)
        low = bodies.at_nodes(lambda active, _: _range(active)[0] / _full(active))[: filled.size]
        high = bodies.at_nodes(lambda active, _: _range(active)[1] / _full(active))[: filled.size]
        beyond = np.maximum(low - filled, filled - high)
        values = (
            -bodies.largest(-filled), bodies.largest(filled), max(0.0, bodies.largest(beyond)),
        )  # fmt: skip
        return dict(zip(BLEND_COLUMNS, values, strict=True))

    def lithium(self, stoichiometry: Array) -> Array:
        """Return the lithium in all particles, then in each, shape (1 + particles,) [mol]."""
        here = np.bincount(
            self._particle_of_node,
            weights=self.model.electrochemistry.node_charge * stoichiometry / FARADAY,
            minlength=self.particles,
        )
        each = np.asarray(self.model.comm.allreduce(here))
        return np.append(each.sum(), each)

    def particle_stress(self, state: State) -> tuple[Array, Array]:
        """Return von Mises stress [Pa] and volumetric strain of the owned particle cells."""
        strain, stress = self._strain_and_stress(self._particle, state)
        owned = self.volume.weights.size
        return tensors.von_mises(stress[:owned]), strain[:owned, :3].sum(axis=1)

    def snapshot(self, state: State, label: str) -> Snapshot | None:
        """Return all fields on rank 0, None on the other ranks; collective."""
        model = self.model
        unknowns, spaces = model.electrochemistry.unknowns, model.electrochemistry.spaces
        stoichiometry, ionic, electronic = unknowns.expand(model.electrochemical(state))
        cells = _tensors(*self._strain_and_stress(self._particle, state))
        cells |= {"Grain [-]": self._grain_of_cell, "Particle [-]": self._particle_of_cell}
        points = {
            "Concentration [mol/m3]": stoichiometry * model.bodies.at_nodes(_full),
            "Displacement [m]": self._at_particle_nodes(),
            "Hydrostatic stress [Pa]": state.hydrostatic,
        }
        domain, electrons = model.bodies.domains[ELECTRONIC], spaces[ELECTRONIC].dofmap.list
        electronic = electronic + state.voltage
        if domain.holds(model.data.grain_tags):
            inside = model.bodies.cells_of(domain, self._particle.part)
            reached = ~np.isin(model.bodies.particle_of(domain.cell_tags), model.cut_off.electrons)
            at = (inside >= 0) & reached
            potential = np.full(stoichiometry.size, np.nan)
            potential[self._particle.corners.dofmap.list[inside[at]]] = electronic[electrons[at]]
            points["Electronic potential [V]"] = potential
        particle = self._gather(self._particle, points, cells)
        cells = _tensors(*self._strain_and_stress(self._matrix, state))
        cells["Region [-]"] = self._matrix.part.cell_tags.astype(np.int64)
        potential = np.full(ionic.size, np.nan)
        at = self._conducting >= 0
        potential[spaces[IONIC].dofmap.list[self._conducting[at]]] = electronic[electrons[at]]
        points = {
            "Ionic potential [V]": ionic,
            "Electronic potential [V]": potential,
            "Displacement [m]": self._matrix.at_corners.x.array.reshape(-1, 3),
        }
        matrix = self._gather(self._matrix, points, cells)
        interface = self._gather_interface(state)
        contact, cracks = self._gather_contacts(state), self._gather_cracks(state)
        if particle is None or matrix is None or interface is None:
            return None
        return Snapshot(
            time=state.time,
            label=label,
            particle=particle,
            matrix=matrix,
            interface=interface,
            contact=contact,
            cracks=cracks,
        )

    def _strain_and_stress(self, body: _Body, state: State) -> tuple[Array, Array]:
        """Return Voigt strain and stress (cells with ghosts, 6), means over each cell."""
        model = self.model
        fields = model.mechanics.unknowns.expand(model.mechanical(state))
        moved = dict(zip(model.mechanics.spaces, fields, strict=True))
        for name, displacement in body.displacements.items():
            displacement.x.array[:] = moved[name]
        body.strain.interpolate(body.expression)
        body.strain.x.scatter_forward()
        body.at_corners.interpolate(body.displacements[body.name])
        body.at_corners.x.scatter_forward()
        strain = _by_cell(body.strain)
        elastic, stiffness = strain, body.stiffness
        if body is self._particle:
            factor = model.stiffness_factor(model.electrochemical(state))
            if factor is not None:
                stiffness = factor[:, None, None] * stiffness
            expansion = model.expansion(model.electrochemical(state))
            directions = model.mechanics.expansion_directions
            for amplitude, along in zip(
                expansion.reshape(len(directions), -1), directions, strict=True
            ):
                mean = amplitude[body.corners.dofmap.list].mean(axis=1)
                elastic = elastic - mean[:, None] * _by_cell(along)
        return strain, np.einsum("cij,cj->ci", stiffness, elastic)

    def _gather(
        self, body: _Body, at_points: dict[str, Array], at_cells: dict[str, Array]
    ) -> FieldData | None:
        comm, nodes = self.model.comm, body.corners.dofmap
        n, m = nodes.index_map.size_local, _owned_cells(body.part)
        local = nodes.list[:m].ravel().astype(np.int32)
        cells = nodes.index_map.local_to_global(local).reshape(-1, 4)
        points = collect(comm, body.corners.tabulate_dof_coordinates()[:n])
        all_cells = collect(comm, cells)
        point_data = {name: collect(comm, values[:n]) for name, values in at_points.items()}
        cell_data = {name: collect(comm, values[:m]) for name, values in at_cells.items()}
        if comm.rank != 0:
            return None
        return FieldData(points=points, cells=all_cells, point_data=point_data, cell_data=cell_data)

    def _at_particle_nodes(self) -> Array:
        """Return the displacement at the particle nodes, (nodes, 3), as it was last evaluated."""
        components = self.model.bodies.first_component[:, None] + np.arange(3)
        return np.asarray(self._particle.at_corners.x.array[components])

    def _gather_interface(self, state: State) -> FieldData | None:
        kinetics = self.model.interface_current(state)
        fields = self._openings(state, self.model.bodies.outside) | {
            "Interface current [A/m2]": kinetics.current,
            "Interface voltage drop [V]": kinetics.drop,
        }
        return self._gather_facets(self._interface, fields)

    def _gather_contacts(self, state: State) -> FieldData | None:
        """Return the fields at the contacts of particles; None where there are none."""
        model, bodies = self.model, self.model.bodies
        if CONTACT not in bodies.points:
            return None
        x = model.electrochemical(state)
        current = model.currents.contact(x, state.gap, state.layer)
        fields = self._openings(state, [CONTACT]) | {"Contact current [A/m2]": current}
        return self._gather_facets([bodies.points[CONTACT]], fields)

    def _gather_cracks(self, state: State) -> FieldData | None:
        """Return the fields at the grain boundaries; None where none can break."""
        bodies = self.model.bodies
        if GRAIN_BOUNDARY not in bodies.cohesive:
            return None
        fields = self._openings(state, [GRAIN_BOUNDARY])
        return self._gather_facets([bodies.points[GRAIN_BOUNDARY]], fields)

    def _openings(self, state: State, surfaces: Sequence[str]) -> dict[str, Array]:
        """Return what opens and damages surfaces, at their points."""
        jump, spent, damage, traction = (
            np.concatenate([at[name] for name in surfaces])
            for at in map(
                self.model.bodies.split,
                (state.jump, state.spent, state.damage, self.model.traction(state)),
            )
        )
        return {
            "Gap [m]": np.maximum(jump[:, 0], 0.0),
            "Spent fracture energy [-]": spent,
            "Stiffness damage [-]": damage,
            "Normal traction [Pa]": traction[:, 0],
            "Shear traction [Pa]": np.hypot(traction[:, 1], traction[:, 2]),
        }

    def _gather_facets(
        self, surfaces: Sequence[SurfacePoints], fields: dict[str, Array]
    ) -> FieldData | None:
        """Return fields at the points of surfaces as means over their facets, on rank 0."""
        comm = self.model.comm
        vertices = np.concatenate([points.vertices for points in surfaces])
        shape = len(vertices), surfaces[0].per_facet
        means = {
            name: collect(comm, values.reshape(shape).mean(axis=1))
            for name, values in fields.items()
        }
        corners = collect(comm, vertices.reshape(-1, 3))
        if comm.rank != 0:
            return None
        cells = np.arange(len(corners)).reshape(-1, 3)
        return FieldData(points=corners, cells=cells, point_data={}, cell_data=means)


class Statistics:
    """Statistics of values at places that each stand for a share of one particle.

    Results are those of all particles together, then of each. All methods are collective.

    Attributes:
        weights: Share of each place on this rank, (n,): its area [m2] or volume [m3].
    """

    def __init__(self, comm: MPI.Comm, weights: Array, particle: Cells, particles: int) -> None:
        """Keep the places on this rank, each with the index of its particle; collective."""
        self.weights, self._comm = weights, comm
        self._particle, self._particles = particle, particles
        self._total = self._sums(np.ones_like(weights))
        self._all_weights = collect(comm, weights)
        self._all_particle = collect(comm, particle)

    def means(self, values: NDArray[Any]) -> Array:
        """Return weighted means of values (n,), (1 + particles,); NaN for one without place."""
        nothing = np.full_like(self._total, np.nan)
        return np.divide(self._sums(values), self._total, out=nothing, where=self._total > 0)

    def largest(self, values: Array) -> Array:
        """Return the largest of values (n,), (1 + particles,); NaN for one without place."""
        own, each = np.full(self._particles, -np.inf), np.empty(self._particles)
        np.maximum.at(own, self._particle, values)
        self._comm.Allreduce(own, each, op=MPI.MAX)
        return np.append(each.max(), np.where(self._total[1:] > 0, each, np.nan))

    def quantiles(self, values: Array, shares: Sequence[float]) -> Array:
        """Return the values (n,) below which shares of the weight lie, (1 + particles, shares)."""
        everywhere = collect(self._comm, values)
        found = None
        if self._comm.rank == 0:
            order = np.argsort(everywhere)
            owner = self._all_particle[order]
            groups = [order, *(order[owner == index] for index in range(self._particles))]
            found = np.array([self._quantiles_of(everywhere, rows, shares) for rows in groups])
        return np.asarray(self._comm.bcast(found, root=0))

    def _quantiles_of(self, values: Array, rows: Cells, shares: Sequence[float]) -> Array:
        """Return these values of some rows, which sort the values."""
        weights = self._all_weights[rows]
        below = np.cumsum(weights) - 0.5 * weights
        return np.interp(np.asarray(shares) * weights.sum(), below, values[rows])

    def _sums(self, values: NDArray[Any]) -> Array:
        own = np.bincount(self._particle, weights=self.weights * values, minlength=self._particles)
        each = np.asarray(self._comm.allreduce(own))
        return np.append(each.sum(), each)


class _Measured:
    """Fields and statistics that several columns of a row share, each computed once."""

    def __init__(self, readout: Readout, step: "TimeStep") -> None:
        self.model, self.step, self.state = readout.model, step, step.now.state
        self.surface, self.volume = readout.surface, readout.volume
        self._readout = readout

    @cached_property
    def stoichiometry(self) -> Array:
        return self.model.stoichiometry(self.state)

    @cached_property
    def lithium(self) -> Array:
        return self._readout.lithium(self.stoichiometry)

    @cached_property
    def gap(self) -> Array:
        return np.maximum(self.model.bodies.at_matrix(self.state.jump)[:, 0], 0.0)

    @cached_property
    def spent(self) -> Array:
        return self.model.bodies.at_matrix(self.state.spent)

    @cached_property
    def drop(self) -> Array:
        return self.model.interface_current(self.state).drop

    @cached_property
    def powers(self) -> Powers:
        x = self.model.electrochemical(self.state)
        return self.model.currents.powers(x, self.state.gap, self.state.layer)

    @cached_property
    def _deformed(self) -> tuple[Array, Array]:
        return self._readout.particle_stress(self.state)

    @property
    def von_mises(self) -> Array:
        return self._deformed[0]

    @property
    def volumetric(self) -> Array:
        return self._deformed[1]

    @cached_property
    def mean_strain(self) -> Array:
        return self.volume.means(self.volumetric)

    @cached_property
    def stress_quantiles(self) -> Array:
        return self.volume.quantiles(self.von_mises, [0.99, 0.999])

    @cached_property
    def strain_quantiles(self) -> Array:
        return self.volume.quantiles(self.volumetric, [1 - 0.99, 1 - 0.999, 0.99, 0.999])

    def largest_stoichiometry(self, sign: int) -> float:
        """Return the largest concentration (sign 1) or minus the smallest (-1), over the maximum.

        Roundoff of a full or empty host does not show.
        """
        return float(round(self.model.bodies.largest(sign * self.stoichiometry), 12))

    def largest_concentration(self, sign: int) -> float:
        """Return the largest concentration (sign 1) or minus the smallest (-1) [mol/m3]."""
        filled = self.stoichiometry
        scale = self.model.bodies.at_nodes(_full)[: filled.size]
        return self.model.bodies.largest(sign * filled * scale)

    def ledger_error(self) -> float:
        """Return the lithium lost minus the charge passed over F, over the nominal capacity."""
        lost = self.model.lithium_initial - self.lithium[0]
        return (lost - self.step.now.charge / FARADAY) / self.model.lithium_nominal

    def applied_current(self) -> float:
        """Return the charging current at the collector [A]."""
        applied = self.step.applied
        if applied is None:
            x = self.model.electrochemical(self.state)
            applied = self.model.currents.anode(x)
        return applied

    def current_error(self) -> float:
        """Return the interface current minus the applied one, over the 1C current."""
        return (self.state.current - self.applied_current()) / self.model.one_c

    def power_error(self) -> float:
        """Return voltage times current minus where it goes, over the sum of the magnitudes.

        At rest there is little of either: it is then the roundoff of what cancels over 1e-4 of the
        power at 1C.
        """
        put_in = self.state.voltage * self.applied_current()
        parts = list(asdict(self.powers).values())
        whole = max(
            sum(map(abs, [put_in, *parts])), 1e-4 * abs(self.state.voltage) * self.model.one_c
        )
        return (put_in - sum(parts)) / whole


# Column -> its value, or those of all particles together and of each, (1 + particles,).
VALUES: dict[str, Callable[[_Measured], float | Array]] = {
    "Time [s]": lambda at: at.state.time,
    "Step": lambda at: at.step.index,
    "C-rate": lambda at: abs(at.state.current) / at.model.one_c,
    "Voltage [V]": lambda at: at.state.voltage,
    "Current [A]": lambda at: -at.state.current,
    "Discharge capacity [C]": lambda at: 0.0 - at.step.now.charge,
    "Discharge capacity [A.h]": lambda at: (0.0 - at.step.now.charge) / hour,
    "Temperature [K]": lambda at: at.model.temperature,
    "Step size [s]": lambda at: at.step.size,
    "Lithium [mol]": lambda at: at.lithium,
    "Mean gap [m]": lambda at: at.surface.means(at.gap),
    "Maximum gap [m]": lambda at: at.surface.largest(at.gap),
    "Debonded area fraction": lambda at: at.surface.means(at.spent >= 1.0),
    "Spent fracture energy [-]": lambda at: at.surface.means(at.spent),
    "Maximum penetration [m]": lambda at: max(0.0, at.model.bodies.largest(-at.state.jump[:, 0])),
    "Mean interface voltage drop [V]": lambda at: at.surface.means(at.drop),
    "Maximum interface voltage drop [V]": lambda at: at.surface.largest(np.abs(at.drop)),
    "Maximum von Mises stress [Pa]": lambda at: at.volume.largest(at.von_mises),
    "99.9 % von Mises stress [Pa]": lambda at: at.stress_quantiles[:, 1],
    "99 % von Mises stress [Pa]": lambda at: at.stress_quantiles[:, 0],
    "Mean von Mises stress [Pa]": lambda at: at.volume.means(at.von_mises),
    "Minimum volumetric strain [-]": lambda at: -at.volume.largest(-at.volumetric),
    "0.1 % volumetric strain [-]": lambda at: at.strain_quantiles[:, 1],
    "1 % volumetric strain [-]": lambda at: at.strain_quantiles[:, 0],
    "Mean volumetric strain [-]": lambda at: at.mean_strain,
    "99 % volumetric strain [-]": lambda at: at.strain_quantiles[:, 2],
    "99.9 % volumetric strain [-]": lambda at: at.strain_quantiles[:, 3],
    "Maximum volumetric strain [-]": lambda at: at.volume.largest(at.volumetric),
    "Particle volume change [-]": lambda at: at.mean_strain,  # equal in small strain
    "Minimum concentration [mol/m3]": lambda at: -at.largest_concentration(-1),
    "Maximum concentration [mol/m3]": lambda at: at.largest_concentration(1),
    "Concentration undershoot [-]": lambda at: max(0.0, at.largest_stoichiometry(-1)),
    "Concentration overshoot [-]": lambda at: max(0.0, at.largest_stoichiometry(1) - 1.0),
    "Lithium ledger error [-]": _Measured.ledger_error,
    "Interface current error [-]": _Measured.current_error,
    "Reversible power [W]": lambda at: 0.0 - at.powers.reversible,
    "Electronic loss [W]": lambda at: at.powers.electronic,
    "Ionic loss [W]": lambda at: at.powers.ionic,
    "Activation loss [W]": lambda at: at.powers.activation,
    "Contact loss [W]": lambda at: at.powers.contact,
    "Concentration loss [W]": lambda at: at.powers.concentration,
    "Anode loss [W]": lambda at: at.powers.anode,
    "Power ledger error [-]": _Measured.power_error,
    "Cohesive energy dissipated [J]": lambda at: at.state.cohesive_dissipation,
    "Viscous energy dissipated [J]": lambda at: at.state.viscous_dissipation,
    "Snap energy lost [J]": lambda at: at.state.snap_release,
    "Step error [-]": lambda at: at.step.error,
    "Newton iterations": lambda at: (
        at.step.work.newton_electrochemistry + at.step.work.newton_mechanics
    ),
    "Linear iterations": lambda at: (
        at.step.work.linear_electrochemistry + at.step.work.linear_mechanics
    ),
    "Coupling iterations": lambda at: at.step.work.passes,
}


def _full(active: ActiveMaterial, nodes: Any = None) -> float:
    """Return the lithium of the full host [mol/m3]."""
    return active.maximum_concentration


def _range(active: ActiveMaterial) -> tuple[float, float]:
    """Return the concentrations between which the open-circuit voltage is known [mol/m3]."""
    curve = active.open_circuit_voltage
    return curve.lower, min(curve.upper, active.maximum_concentration)


def _by_cell(function: fem.Function) -> Array:
    """Return the values of a cell-wise constant function, shape (cells with ghosts, components)."""
    dofmap = function.function_space.dofmap
    values: Array = function.x.array.reshape(-1, dofmap.bs)[dofmap.list[:, 0]]
    return values


def _owned_cells(part: Part) -> int:
    return int(part.mesh.topology.index_map(3).size_local)


def _tensors(strain: Array, stress: Array) -> dict[str, Array]:
    tensor = strain.copy()
    tensor[:, 3:] /= 2  # engineering shear to tensor components
    return {
        "Von Mises stress [Pa]": tensors.von_mises(stress),
        "Volumetric strain [-]": strain[:, :3].sum(axis=1),
        "Stress [Pa]": stress,
        "Strain [-]": tensor,
    }

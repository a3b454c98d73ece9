"""Mesh and materials become two discrete problems, and a state of both.

`Model` holds the electrochemical and the mechanical problem of a half-cell, and says what passes
between them; `coupling` solves them together in a time step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, get_args

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from femssb.arrays import Array
from femssb.cell.bodies import Bodies
from femssb.cell.currents import Currents
from femssb.cell.electrochemical_problem import ElectrochemicalProblem
from femssb.cell.kinetics import InsertionCurrent
from femssb.cell.mechanical_problem import MechanicalProblem
from femssb.cell.paths import check_mesh, check_paths, ends_of, find_cut_off
from femssb.cell.places import cracked, described, shares
from femssb.cell.regions import Region, regions
from femssb.cell.surfaces import GRAIN_BOUNDARY, Surface, surfaces
from femssb.description import description, field
from femssb.errors import InputError, NotConverged, shown
from femssb.fem.linear_solver import LinearSolver
from femssb.fem.trace import Cells
from femssb.inputs.boundary import Fixed, Free, Place, Pressure, Support, Traction
from femssb.inputs.case import describe
from femssb.inputs.interfaces import IN_ZONE, GrainBoundaries, ParticleContacts
from femssb.inputs.materials import ActiveMaterial, Materials
from femssb.meshing.data import MeshData
from femssb.meshing.resolved_cell import ResolvedCell

# Voltages of active materials at the start that differ by less count as the same, and at rest [V].
_EQUAL, _AT_REST = 1e-3, 1e-9
_BALANCED = 1e-12  # tolerance of the currents between particles at the start, over 1C
_LOOSE = (Free, Pressure, Traction)  # supports that hold nothing
_PROBLEMS = _ELECTROCHEMISTRY, _MECHANICS = "electrochemistry", "mechanics"


@description
class Couplings:
    """The couplings that act; all by default."""

    expansion: bool = field("concentration strains the grains", default=True)
    stress_drift: bool = field("stress moves lithium", default=True)
    gap_resistance: bool = field(
        "an open gap raises the interface resistance, and lets electrolyte into cracks",
        default=True,
    )
    debonding: bool = field("interface and grain boundaries can be damaged", default=True)

    def of(self, materials: Materials) -> Materials:
        """Return materials without what the couplings that do not act would need."""
        resistance, cohesive = materials.resistance, materials.cohesive
        contacts, boundaries = materials.contacts, materials.grain_boundaries
        phases = [replace(one, active=self._of_active(one.active)) for one in materials.phases]
        if not self.gap_resistance:
            resistance = replace(resistance, decay_length=np.inf)
        if not self.debonding:
            cohesive = cohesive.unbreakable
        if contacts is not None:
            contacts = self._of_contacts(contacts)
        if boundaries is not None:
            boundaries = self._of_boundaries(boundaries)
        return replace(
            materials.with_phases(phases),
            resistance=resistance,
            cohesive=cohesive,
            contacts=contacts,
            grain_boundaries=boundaries,
        )

    def _of_active(self, active: ActiveMaterial) -> ActiveMaterial:
        if not self.expansion:
            none = replace(active.expansion_curves[0], function=np.zeros_like, slope=np.zeros_like)
            active = replace(active, expansion=none)
        if not self.stress_drift:
            active = replace(active, drift_volume=0.0)
        return active

    def _of_contacts(self, contacts: ParticleContacts) -> ParticleContacts:
        if not self.gap_resistance:
            carbon = contacts.carbon and replace(contacts.carbon, decay_length=np.inf)
            resistance = replace(contacts.resistance, decay_length=np.inf)
            contacts = replace(contacts, resistance=resistance, carbon=carbon)
        if not self.debonding and contacts.cohesive is not None:
            contacts = replace(contacts, cohesive=contacts.cohesive.unbreakable)
        return contacts

    def _of_boundaries(self, boundaries: GrainBoundaries) -> GrainBoundaries:
        if not self.gap_resistance:
            resistance = boundaries.resistance and replace(
                boundaries.resistance, decay_length=np.inf
            )
            boundaries = replace(
                boundaries, decay_length=np.inf, resistance=resistance, wetting_opening=None
            )
        if self.debonding:
            return boundaries
        return replace(boundaries, cohesive=None, wetting_opening=None, strength_of_grains=None)


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything that a time step starts from; arrays are local to the rank and never changed."""

    time: float  # [s]
    electrochemical: Array  # local unknowns: stoichiometry, ionic and electronic potential, voltage
    mechanical: Array  # local unknowns: displacement [m]
    jump: Array  # (n, 3) displacement jump in the local frame at the cohesive points [m]
    damage: Array  # (n,) at the cohesive points: loss of stiffness
    spent: Array  # (n,) there: share of the fracture energy that is spent
    gap: Array  # (n,) there, that the contact resistance was taken at [m]
    layer: Array  # (n, modes) there: stoichiometry of the surface beyond that of the mesh
    hydrostatic: Array  # (particle nodes with ghosts,) [Pa]
    pull: Array  # (particle nodes with ghosts,) that the stress releases with lithium [J/mol]
    voltage: float  # [V]
    current: float  # charging current, positive when lithium leaves the particles [A]
    cohesive_dissipation: float = 0.0  # up to now, all ranks [J]
    viscous_dissipation: float = 0.0  # up to now, all ranks [J]
    crack_dissipation: float = 0.0  # of the cohesive one, what grain boundaries took [J]
    snap_release: float = 0.0  # lost where surfaces let go by themselves, up to now, all ranks [J]


class Model:
    """A half-cell, discretised.

    Attributes:
        data: The mesh and its regions.
        materials: The parameter set.
        couplings: Which couplings act.
        temperature: Of the cell now [K].
        comm: The ranks that share the mesh.
        bodies: The mesh cut into bodies, and the points of their surfaces.
        electrochemistry, mechanics: The two discrete problems.
        currents: Those through surfaces.
        lithium_initial: Lithium in all particles at the start [mol].
        lithium_nominal: Lithium that 1C moves in an hour, the nominal capacity [mol].
        lithium_full: Lithium that fits the particles [mol].
        one_c: Current of 1C [A].
        cut_off: Particles that take no part.
        failure_opening: The smallest at which a cohesive surface has failed [m].
        warnings: What is doubtful before anything is solved: sentences that name a quantity, its
            value and its bound. They become `Solution.warnings`.
    """

    def __init__(
        self,
        data: MeshData,
        materials: Materials,
        *,
        collector: Support = Fixed(),  # noqa: B008  (frozen, without fields)
        anode: Support = Free(),  # noqa: B008
        supports: Mapping[str, Support] = MappingProxyType({}),
        coverage: Mapping[str, float | Place] = MappingProxyType({}),
        damage: Mapping[str, float | Place] = MappingProxyType({}),
        couplings: Couplings = Couplings(),  # noqa: B008
        displacement_order: int = 1,
        linear_solver: LinearSolver | Mapping[str, LinearSolver] = LinearSolver(),  # noqa: B008
    ) -> None:
        """Discretise a half-cell; collective.

        Args:
            data: The mesh, with the facets of all surfaces (see `femssb.cell.surfaces`).
            materials: The parameter set.
            collector: How the collector face is held.
            anode: How the anode face is held.
            supports: How other outer faces are held, by the names of their facets: ``x_min``,
                or any name of your own. Sides of the box that the mesh names in pairs are periodic
                unless one of the pair stands here; a face without a name or a support is free.
            coverage: Share of the area of a surface that reacts, from 0 (insulated) to 1, by its
                name: ``interface``, ``particle_separator``, ``anode``, ``contact``,
                ``particle_collector`` or ``grain_boundary``. A number, or a function of place: it
                takes points (n, 3) [m] and returns a number for each.
            damage: Cracks at the start, likewise, at ``interface``, ``particle_separator``,
                ``contact`` or ``grain_boundary``: the share of the fracture energy in opening that
                is spent, from 0 (intact) to 1 (a crack, which only carries pressure).
            couplings: Which couplings act.
            displacement_order: Polynomial degree of the displacement, 1 or 2.
            linear_solver: How linear systems are solved: of both problems, or of each by its name,
                ``electrochemistry`` and ``mechanics``; one not named is solved as by default.

        Raises:
            InputError: If an argument is out of bounds, or nothing holds the cell along z.
            MeshError: If the mesh is not sound, lacks a region or a facet that the model needs, or
                has a part that nothing holds.
        """
        support = get_args(Support)
        given: dict[str, tuple[Any, tuple[type, ...]]] = {
            "data": (data, (MeshData,)),
            "materials": (materials, (Materials,)),
            "collector": (collector, support),
            "anode": (anode, support),
            "supports": (supports, (Mapping,)),
            "coverage": (coverage, (Mapping,)),
            "damage": (damage, (Mapping,)),
            "couplings": (couplings, (Couplings,)),
            "displacement_order": (displacement_order, (object,)),
            "linear_solver": (linear_solver, (LinearSolver, Mapping)),
        }
        for name, (value, kinds) in given.items():
            if not isinstance(value, kinds):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                raise InputError(f"Model.{name} = {shown(value)} is not a {wanted}")
        if displacement_order not in (1, 2):
            raise InputError(
                f"Model.displacement_order = {shown(displacement_order)} is not 1 or 2"
            )
        for name, value in supports.items():
            if not isinstance(value, support):
                raise InputError(
                    f"Model.supports[{name!r}] = {shown(value)} is none of "
                    f"{', '.join(kind.__name__ for kind in support)}"
                )
        if all(isinstance(each, _LOOSE) for each in (collector, anode, *supports.values())):
            raise InputError(
                "Model.collector and Model.anode: one of them must be Fixed(), or it or one of "
                "Model.supports hold the cell in another way"
            )
        solvers = _of_each(linear_solver)
        self.data = data
        self.materials = materials
        self.couplings = couplings
        self._inputs = {name: value for name, (value, _) in given.items() if name != "data"}
        for name in ("supports", "coverage", "damage"):
            if not self._inputs[name]:
                del self._inputs[name]
        self.comm: MPI.Comm = data.mesh.comm
        self.temperature = materials.temperature
        ends, self._periodic = ends_of(data, supports)
        self._held = partial(surfaces, collector=collector, anode=anode, others=ends)
        acting, tables = self._tables()
        without_ions = _without_ions(data, acting)
        self.warnings = check_mesh(data, acting, *tables, self._periodic)
        self.cut_off, said = find_cut_off(data, *tables, self._periodic, without_ions)
        self.warnings += said
        self.bodies = Bodies(data, *tables, order=displacement_order, periodic=self._periodic)
        self.warnings += self._coarse()
        covered = shares(self.bodies, coverage)
        self._cracked = cracked(self.bodies, damage)
        self.electrochemistry = ElectrochemicalProblem(
            self.bodies,
            solvers[_ELECTROCHEMISTRY],
            temperature=self.temperature,
            cut_off=self.cut_off,
            covered=covered,
        )
        self.currents = Currents(self.electrochemistry)
        self.warnings += self._unequal()
        self.mechanics = MechanicalProblem(
            self.bodies, solvers[_MECHANICS], displacement_order=displacement_order
        )
        self.failure_opening = min(
            law.failure_opening * self._weakest(name) for name, law in self.bodies.cohesive.items()
        )
        self.lithium_initial = self.electrochemistry.lithium_initial
        self.lithium_nominal = self.electrochemistry.lithium_nominal
        self.lithium_full = self.electrochemistry.lithium_full
        self.one_c: float = self.electrochemistry.one_c

    def _tables(self) -> tuple[Materials, tuple[tuple[Region, ...], tuple[Surface, ...]]]:
        """Return the materials that act at the present temperature, and the two tables of them."""
        acting = self.couplings.of(self.materials.at(self.temperature))
        named = _with_facets(self.data)
        rows = regions(self.data, acting)
        return acting, (rows, self._held(acting, rows, named))

    def warm_to(self, temperature: float) -> None:
        """Take the cell to another temperature [K]; collective.

        Diffusion, conduction, reactions and open-circuit voltage become those of `Materials.at`; a
        state stays as it is, and the next time step goes on from it.

        Raises:
            InputError: If a value of the materials is out of bounds there.
        """
        if temperature == self.temperature:
            return
        before, self.temperature = self.temperature, temperature
        try:
            _, tables = self._tables()
        except InputError:
            self.temperature = before
            raise
        self.bodies.regions, self.bodies.surfaces = tables
        self.electrochemistry.warm_to(temperature)

    def check_paths(self) -> None:
        """Check that lithium, ions and electrons can get everywhere they must; collective.

        Raises:
            MeshError: If a part of the mesh is cut off; the message says which.
        """
        check_paths(self.data, self.bodies.regions, self.bodies.surfaces, self._periodic)

    def _coarse(self) -> tuple[str, ...]:
        """Return which surfaces break within less than their elements resolve; collective."""
        found = []
        for name, law in self.bodies.cohesive.items():
            count = self.comm.allreduce(len(self.bodies.points[name].facets))
            if not count or not law.breakable:
                continue
            edge = np.sqrt(4 / np.sqrt(3) * self.bodies.area(name) / count)
            zone = law.zone(self.bodies.modulus(name))
            if edge * IN_ZONE > zone:
                found.append(
                    f"{name!r} breaks within a zone of {zone:.3g} m, and its facets measure "
                    f"{edge:.3g} m, above a third of it: where cracks begin and how far they run "
                    "depends on the mesh; take finer elements, or a lower strength "
                    "(CohesiveLaw.resolved_by)."
                )
        return tuple(found)

    def _weakest(self, surface: str) -> float:
        """Return the smallest factor on the strength of a surface; collective."""
        strengths = self.bodies.strengths
        return -self.bodies.largest(-strengths[surface]) if surface in strengths else 1.0

    def _unequal(self) -> tuple[str, ...]:
        """Return what is doubtful about where active materials start."""
        voltages = self.electrochemistry.voltages_at_rest()
        low, high = voltages.min(), voltages.max()
        if high - low <= _EQUAL:
            return ()
        return (
            f"Particles start at open-circuit voltages from {low:.5g} to {high:.5g} V: lithium "
            "passes between them from the start on; Materials.starting_at gives them the same.",
        )

    def inputs(self) -> dict[str, Any]:
        """Return what the model was made of, as plain data."""
        return {
            "mesh": describe(self.data.origin),
            **{name: describe(value) for name, value in self._inputs.items()},
            **{
                name: described(self.bodies, self._inputs[name])
                for name in ("coverage", "damage")
                if name in self._inputs
            },
            "grains": len(self.data.grain_tags),
            "cells": int(self.data.mesh.topology.index_map(3).size_global),
            "unknowns": {
                _ELECTROCHEMISTRY: self.electrochemistry.unknowns.size,
                _MECHANICS: self.mechanics.unknowns.size,
            },
        }

    def initial_state(self, tolerance: float = 1e-6) -> State:
        """Return the state at the start: uniform lithium, in mechanical equilibrium; collective.

        The cell is taken to the temperature of its materials.

        Where the lithium is that of the stress-free state and nothing presses, nothing moves. Else
        the interface may have opened, and be damaged.

        Args:
            tolerance: Sum of absolute force residuals over the sum of absolute forces.

        Raises:
            NotConverged: If equilibrium is not found.
        """
        self.warm_to(self.materials.temperature)
        x, voltage = self.electrochemistry.at_rest()
        expansion = self.expansion(x)
        self.mechanics.stiffen(self.stiffness_factor(x))
        try:
            moved, jump, cohesion = self.mechanics.at_rest(expansion, tolerance, self._cracked)
        except NotConverged as failure:
            raise NotConverged(
                f"no equilibrium at the start: {failure.reason}", residuals=failure.residuals
            ) from failure
        hydrostatic, pull = self.stresses(x, moved, expansion)
        if np.ptp(self.electrochemistry.voltages_at_rest()) > _AT_REST:
            voltage = self.electrochemistry.balance(x, self.gap(jump), pull, _BALANCED)
        lost = self.bodies.weights * [cohesion.dissipated, cohesion.viscous]
        return State(
            time=0.0,
            electrochemical=x.array_r.copy(),
            mechanical=moved.array_r.copy(),
            jump=jump,
            damage=cohesion.damage,
            spent=cohesion.spent,
            gap=self.gap(jump),
            layer=self.electrochemistry.layer.at_rest(),
            hydrostatic=hydrostatic,
            pull=pull,
            voltage=voltage,
            current=0.0,
            cohesive_dissipation=self.bodies.sum(lost[0]),
            viscous_dissipation=self.bodies.sum(lost[1]),
            crack_dissipation=self.bodies.sum(self.bodies.split(lost[0])[GRAIN_BOUNDARY]),
        )

    def expansion(self, x: PETSc.Vec) -> Array:
        """Return the chemical strain amplitude at the particle nodes, ghosts included [-].

        Where each crystal axis has its curve, those of one follow those of the other.
        """
        filled = self.electrochemistry.stoichiometry(x)

        def amplitude(curve: int) -> Array:
            def strain(active: ActiveMaterial, at: Cells) -> Array | float:
                if curve >= len(active.expansion_curves):
                    return 0.0
                return active.chemical_strain(filled[at] * active.maximum_concentration)[curve]

            return self.bodies.at_nodes(strain)

        count = len(self.mechanics.expansion_directions)
        return np.concatenate([amplitude(curve) for curve in range(count)])

    def stiffness_factor(self, x: PETSc.Vec) -> Array | None:
        """Return the factor on the stiffness of each local cell with lithium; collective.

        None where it is one everywhere.
        """
        if all(active.stiffness_factor is None for active, _ in self.bodies.active_nodes()):
            return None
        filled = self.electrochemistry.stoichiometry(x)
        return self.bodies.in_cells(
            lambda active, mean: active.stiffening(mean * active.maximum_concentration)[0], filled
        )

    def stresses(self, x: PETSc.Vec, moved: PETSc.Vec, expansion: Array) -> tuple[Array, Array]:
        """Return what lithium sees of the stress at particle nodes, ghosts included; collective.

        They are a third of its trace [Pa], and the energy that it releases with a mole of lithium
        [J/mol]: the partial molar volume times that, or of the whole stress, by the derivatives of
        chemical strain and stiffness. Given are the electrochemical and mechanical unknowns, and
        the amplitudes of `expansion`.
        """
        hydrostatic = self.mechanics.hydrostatic_stress(moved, expansion)
        by_volume = hydrostatic * self.bodies.at_nodes(lambda active, _: active.drift_volume or 0.0)
        given = [active.drift_volume is not None for active, _ in self.bodies.active_nodes()]
        if all(given):
            return hydrostatic, by_volume
        filled = self.electrochemistry.stoichiometry(x)

        def slope(curve: int) -> Array:
            def of(active: ActiveMaterial, mean: Array) -> Array | float:
                if curve >= len(active.expansion_curves):
                    return 0.0
                return active.expansion_curves[curve].derivative(
                    mean * active.maximum_concentration
                )

            return self.bodies.in_cells(of, filled)

        count = len(self.mechanics.expansion_directions)
        softening = self.bodies.in_cells(
            lambda active, mean: active.stiffening(mean * active.maximum_concentration)[1], filled
        )
        slopes = np.array([slope(curve) for curve in range(count)])
        released = self.mechanics.released(moved, expansion, slopes, softening)
        if any(given):
            of_whole = self.bodies.at_nodes(lambda active, _: active.drift_volume is None)
            released = np.where(of_whole, released, by_volume)
        return hydrostatic, released

    def gap(self, jump: Array) -> Array:
        """Return the opening at the cohesive points, shape (n,) [m]."""
        return np.maximum(jump[:, 0], 0.0)

    # Read from a state.

    def electrochemical(self, state: State) -> PETSc.Vec:
        """Return the electrochemical unknowns of a state."""
        return self.electrochemistry.unknowns.filled(state.electrochemical)

    def mechanical(self, state: State) -> PETSc.Vec:
        """Return the mechanical unknowns of a state."""
        return self.mechanics.unknowns.filled(state.mechanical)

    def stoichiometry(self, state: State) -> Array:
        """Return c / c_max at the owned nodes of the particles, shape (nodes,); collective."""
        values = self.electrochemistry.stoichiometry(self.electrochemical(state))
        return values[: self.electrochemistry.node_charge.size]

    def interface_current(self, state: State) -> InsertionCurrent:
        """Return the kinetics at the points where lithium is inserted; collective."""
        x = self.electrochemical(state)
        return self.currents.insertion(x, state.gap, state.layer)

    def traction(self, state: State) -> Array:
        """Return the traction at the cohesive points in the local frame, shape (n, 3) [Pa]."""
        return self.mechanics.traction(state.jump, state.damage)


def _with_facets(data: MeshData) -> set[str]:
    """Return the names of the facets of a mesh, without grain boundaries if it has none of them."""
    tag = data.facets.get(GRAIN_BOUNDARY, 0)
    empty = not data.mesh.comm.allreduce(int(data.facet_tags.find(tag).size))
    return set(data.facets) - ({GRAIN_BOUNDARY} if empty else set())


def _without_ions(data: MeshData, materials: Materials) -> tuple[int, ...]:
    """Return the particles that the packing of a resolved cell leaves without ions.

    Raises:
        InputError: If the cell was made for electrons that move elsewhere.
    """
    cell = data.origin.get("cell")
    if not isinstance(cell, ResolvedCell):
        return ()
    in_particles = materials.active.electronic_conductivity > 0
    in_matrix = materials.ecbd.electronic_conductivity > 0
    where = "both" if in_particles and in_matrix else "particles" if in_particles else "matrix"
    if cell.electrons != where:
        raise InputError(
            f"Model.data was made of a ResolvedCell with electrons = {cell.electrons!r}, but the "
            f"electronic conductivities of Materials.active and Materials.ecbd say {where!r}"
        )
    return () if cell.healing is None else cell.healing.without_ions


def _of_each(given: LinearSolver | Mapping[str, LinearSolver]) -> dict[str, LinearSolver]:
    """Return the linear solver of each problem.

    Raises:
        InputError: If a name is of no problem, or what it names no `LinearSolver`.
    """
    if isinstance(given, LinearSolver):
        return dict.fromkeys(_PROBLEMS, given)
    for name, value in given.items():
        if name not in _PROBLEMS:
            raise InputError(
                f"Model.linear_solver names {shown(name)}, which is not one of {list(_PROBLEMS)}"
            )
        if not isinstance(value, LinearSolver):
            raise InputError(
                f"Model.linear_solver[{name!r}] = {shown(value)} is not a LinearSolver"
            )
    return dict.fromkeys(_PROBLEMS, LinearSolver()) | dict(given)

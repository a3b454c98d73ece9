"""What can be read out of a model at a state: the numbers of each time step, and whole fields.

All functions are collective. Numbers are the same on every rank; fields are gathered on rank 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from dolfinx import fem
from numpy.typing import NDArray

from femssb import tensors
from femssb.cell import mechanics
from femssb.cell.model import Model, State
from femssb.cell.regions import ELECTRONIC, IONIC, MATRIX, PARTICLE
from femssb.cell.surfaces import INTERFACE
from femssb.environment.ranks import collect
from femssb.fem.assembly import Part, n_cells
from femssb.fem.trace import submesh_cells
from femssb.results.fields import FieldData, Snapshot
from femssb.results.quantities import of_particle
from femssb.units import FARADAY

Array = NDArray[np.float64]
Cells = NDArray[np.int64]

DEBONDED = 0.99  # damage beyond which a point counts as debonded
QUANTILES = (0.99, 0.999)  # of stress; one minus these of volumetric strain


@dataclass(frozen=True, kw_only=True)
class _Body:
    """What is needed to turn a displacement into cell-wise strain and stress."""

    part: Part
    displacement: fem.Function
    strain: fem.Function
    expression: fem.Expression
    stiffness: Array  # (cells, 6, 6) [Pa]
    corners: fem.FunctionSpace  # linear scalar space whose nodes are the points of the output
    at_corners: fem.Function  # displacement there


class Readout:
    """Reads numbers and fields out of a model."""

    def __init__(self, model: Model) -> None:
        """Prepare the strain operators; collective."""
        self.model = model
        particle, matrix = model.bodies.parts[PARTICLE], model.bodies.parts[MATRIX]
        mechanics, scalars = model.mechanics, model.bodies.scalars
        self._particle = _body(
            particle, mechanics.spaces[PARTICLE], mechanics.stiffness[PARTICLE], scalars
        )
        self._matrix = _body(
            matrix,
            mechanics.spaces[MATRIX],
            mechanics.stiffness[MATRIX],
            model.electrochemistry.spaces[IONIC],
        )
        grain = np.searchsorted(model.data.grain_tags, particle.cell_tags)
        self._grain_of_cell = grain
        self._particle_of_cell = model.data.grain_particle[grain]
        self.particles = int(model.data.grain_particle.max()) + 1
        owned = _owned_cells(particle)
        self._volume = _Sample(
            model.comm,
            _cell_volumes(particle)[:owned],
            self._particle_of_cell[:owned],
            self.particles,
        )
        interface = model.bodies.points[INTERFACE]
        inside = submesh_cells(particle.entities, interface.minus, n_cells(model.data.mesh))
        self._surface = _Sample(
            model.comm,
            interface.weights,
            np.repeat(self._particle_of_cell[inside], interface.per_facet),
            self.particles,
        )
        node = np.zeros(scalars.dofmap.index_map.size_local, np.int64)
        dofs = scalars.dofmap.list
        in_owned = dofs < node.size
        spread = np.broadcast_to(self._particle_of_cell[:, None], dofs.shape)
        node[dofs[in_owned]] = spread[in_owned]
        self._particle_of_node = node

    def numbers(self, state: State) -> dict[str, float]:
        """Return the columns of a time series that a state decides; collective."""
        model = self.model
        bodies, surface, volume = model.bodies, self._surface, self._volume
        stoichiometry = model.stoichiometry(state)
        c_max = model.materials.active.maximum_concentration
        lithium = np.bincount(
            self._particle_of_node,
            weights=model.electrochemistry.node_charge * stoichiometry / FARADAY,
            minlength=self.particles,
        )
        lithium = np.asarray(model.comm.allreduce(lithium))
        gap = np.maximum(state.jump[:, 0], 0.0)
        drop = model.interface_current(state).drop
        strain, stress = self._strain_and_stress(self._particle, state)
        owned = volume.weights.size
        von_mises = tensors.von_mises(stress[:owned])
        volumetric = strain[:owned, :3].sum(axis=1)
        # Of all particles together, then of each.
        mean_gap, largest_gap = surface.means(gap), surface.largest(gap)
        largest_stress, least_strain = volume.largest(von_mises), -volume.largest(-volumetric)
        stress_quantiles = volume.quantiles(von_mises, QUANTILES)
        strain_quantiles = volume.quantiles(volumetric, [1 - q for q in QUANTILES])
        mean_strain = volume.means(volumetric)[0]
        numbers = {
            "Time [s]": state.time,
            "C-rate": abs(state.current) / model.one_c,
            "Voltage [V]": state.voltage,
            "Current [A]": -state.current,
            "Lithium [mol]": lithium.sum(),
            "Mean gap [m]": mean_gap[0],
            "Maximum gap [m]": largest_gap[0],
            "Debonded area fraction": surface.means(state.damage > DEBONDED)[0],
            "Mean interface voltage drop [V]": surface.means(drop)[0],
            "Maximum interface voltage drop [V]": surface.largest(np.abs(drop))[0],
            "Maximum von Mises stress [Pa]": largest_stress[0],
            "99.9 % von Mises stress [Pa]": stress_quantiles[0, 1],
            "99 % von Mises stress [Pa]": stress_quantiles[0, 0],
            "Mean von Mises stress [Pa]": volume.means(von_mises)[0],
            "Minimum volumetric strain [-]": least_strain[0],
            "0.1 % volumetric strain [-]": strain_quantiles[0, 1],
            "1 % volumetric strain [-]": strain_quantiles[0, 0],
            "Mean volumetric strain [-]": mean_strain,
            "Particle volume change [-]": mean_strain,  # what it is in small strain
            "Minimum concentration [mol/m3]": -bodies.largest(-stoichiometry) * c_max,
            "Maximum concentration [mol/m3]": bodies.largest(stoichiometry) * c_max,
            "Cohesive energy dissipated [J]": state.cohesive_dissipation,
            "Viscous energy dissipated [J]": state.viscous_dissipation,
        }
        of_each = {"Lithium in particle k [mol]": lithium}
        if self.particles > 1:
            of_each |= {
                "Mean gap of particle k [m]": mean_gap[1:],
                "Maximum gap of particle k [m]": largest_gap[1:],
                "Minimum volumetric strain of particle k [-]": least_strain[1:],
                "0.1 % volumetric strain of particle k [-]": strain_quantiles[1:, 1],
                "Maximum von Mises stress of particle k [Pa]": largest_stress[1:],
                "99 % von Mises stress of particle k [Pa]": stress_quantiles[1:, 0],
            }
        for index in range(self.particles):
            for name, values in of_each.items():
                numbers[of_particle(name, index + 1)] = values[index]
        return {name: float(value) for name, value in numbers.items()}

    def snapshot(self, state: State, label: str) -> Snapshot | None:
        """Return all fields on rank 0, None on the other ranks; collective."""
        model = self.model
        c_max = model.materials.active.maximum_concentration
        electrochemistry = model.electrochemistry
        stoichiometry, ionic, electronic = electrochemistry.unknowns.expand(
            model.electrochemical(state)
        )
        strain, stress = self._strain_and_stress(self._particle, state)
        particle = self._gather(
            self._particle,
            {
                "Concentration [mol/m3]": stoichiometry * c_max,
                "Displacement [m]": self._particle.at_corners.x.array.reshape(-1, 3),
                "Hydrostatic stress [Pa]": state.hydrostatic,
            },
            {
                **_tensors(strain, stress),
                "Grain [-]": self._grain_of_cell,
                "Particle [-]": self._particle_of_cell,
            },
        )
        strain, stress = self._strain_and_stress(self._matrix, state)
        potential = np.full(ionic.size, np.nan)
        own = model.bodies.cells_of(model.bodies.domains[ELECTRONIC], self._matrix.part)
        potential[electrochemistry.spaces[IONIC].dofmap.list[own]] = (
            electronic[electrochemistry.spaces[ELECTRONIC].dofmap.list] + state.voltage
        )
        matrix = self._gather(
            self._matrix,
            {
                "Ionic potential [V]": ionic,
                "Electronic potential [V]": potential,
                "Displacement [m]": self._matrix.at_corners.x.array.reshape(-1, 3),
            },
            {
                **_tensors(strain, stress),
                "Region [-]": self._matrix.part.cell_tags.astype(np.int64),
            },
        )
        interface = self._gather_interface(state)
        if particle is None or matrix is None or interface is None:
            return None
        return Snapshot(
            time=state.time, label=label, particle=particle, matrix=matrix, interface=interface
        )

    def _strain_and_stress(self, body: _Body, state: State) -> tuple[Array, Array]:
        """Return Voigt strain and stress (cells with ghosts, 6), means over each cell."""
        model = self.model
        index = 0 if body is self._particle else 1
        moved = model.mechanics.unknowns.expand(model.mechanical(state))
        body.displacement.x.array[:] = moved[index]
        body.strain.interpolate(body.expression)
        body.strain.x.scatter_forward()
        body.at_corners.interpolate(body.displacement)
        body.at_corners.x.scatter_forward()
        strain = _by_cell(body.strain)
        elastic = strain
        if body is self._particle:
            amplitude = model.expansion(model.electrochemical(state))
            mean = amplitude[model.bodies.scalars.dofmap.list].mean(axis=1)
            elastic = strain - mean[:, None] * _by_cell(model.mechanics.expansion_direction)
        return strain, np.einsum("cij,cj->ci", body.stiffness, elastic)

    def _gather(
        self, body: _Body, at_points: dict[str, Array], at_cells: dict[str, Array]
    ) -> FieldData | None:
        comm, nodes = self.model.comm, body.corners.dofmap
        n, m = nodes.index_map.size_local, _owned_cells(body.part)
        local = nodes.list[:m]
        cells = nodes.index_map.local_to_global(local.ravel().astype(np.int32)).reshape(-1, 4)
        points = collect(comm, body.corners.tabulate_dof_coordinates()[:n])
        all_cells = collect(comm, cells)
        point_data = {name: collect(comm, values[:n]) for name, values in at_points.items()}
        cell_data = {name: collect(comm, values[:m]) for name, values in at_cells.items()}
        if comm.rank != 0:
            return None
        return FieldData(points=points, cells=all_cells, point_data=point_data, cell_data=cell_data)

    def _gather_interface(self, state: State) -> FieldData | None:
        model, points = self.model, self.model.bodies.points[INTERFACE]
        kinetics = model.interface_current(state)
        traction = model.traction(state)
        fields = {
            "Gap [m]": np.maximum(state.jump[:, 0], 0.0),
            "Damage [-]": state.damage,
            "Normal traction [Pa]": traction[:, 0],
            "Shear traction [Pa]": np.hypot(traction[:, 1], traction[:, 2]),
            "Interface current [A/m2]": kinetics.current,
            "Interface voltage drop [V]": kinetics.drop,
        }
        n = len(points.facets)
        means = {
            name: collect(model.comm, values.reshape(n, points.per_facet).mean(axis=1))
            for name, values in fields.items()
        }
        corners = collect(model.comm, points.vertices.reshape(-1, 3))
        if model.comm.rank != 0:
            return None
        cells = np.arange(len(corners)).reshape(-1, 3)
        return FieldData(points=corners, cells=cells, point_data={}, cell_data=means)


class _Sample:
    """Places that each stand for a share of one particle: statistics of values there.

    Results are of all particles together, then of each. All methods are collective.
    """

    def __init__(self, comm: MPI.Comm, weights: Array, particle: Cells, particles: int) -> None:
        """Keep the places; collective.

        Args:
            comm: The ranks.
            weights: (n,) share of each place on this rank: its area or volume.
            particle: (n,) index of the particle it belongs to.
            particles: Number of particles.
        """
        self.weights = weights
        self._comm = comm
        self._particle = particle
        self._particles = particles
        self._total = self._sums(np.ones_like(weights))
        self._all_weights = collect(comm, weights)
        self._all_particle = collect(comm, particle)

    def means(self, values: NDArray[Any]) -> Array:
        """Return weighted means of values (n,), shape (1 + particles,)."""
        return self._sums(values) / self._total

    def largest(self, values: Array) -> Array:
        """Return the largest of values (n,), shape (1 + particles,)."""
        own, each = np.full(self._particles, -np.inf), np.empty(self._particles)
        np.maximum.at(own, self._particle, values)
        self._comm.Allreduce(own, each, op=MPI.MAX)
        return np.append(each.max(), each)

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
        """Return the same of some rows, which sort the values."""
        weights = self._all_weights[rows]
        below = np.cumsum(weights) - 0.5 * weights
        return np.interp(np.asarray(shares) * weights.sum(), below, values[rows])

    def _sums(self, values: NDArray[Any]) -> Array:
        own = np.bincount(self._particle, weights=self.weights * values, minlength=self._particles)
        each = np.asarray(self._comm.allreduce(own))
        return np.append(each.sum(), each)


def _body(
    part: Part,
    space: fem.FunctionSpace,
    stiffness: fem.Function,
    corners: fem.FunctionSpace,
) -> _Body:
    displacement = fem.Function(space)
    strain_space = fem.functionspace(part.mesh, ("DG", 0, (6,)))
    points = strain_space.element.interpolation_points
    return _Body(
        part=part,
        displacement=displacement,
        strain=fem.Function(strain_space),
        expression=fem.Expression(mechanics.strain(displacement), points),
        stiffness=_by_cell(stiffness).reshape(-1, 6, 6),
        corners=corners,
        at_corners=fem.Function(fem.functionspace(part.mesh, ("Lagrange", 1, (3,)))),
    )


def _by_cell(function: fem.Function) -> Array:
    """Return the values of a cell-wise constant function, shape (cells with ghosts, components)."""
    dofmap = function.function_space.dofmap
    values: Array = function.x.array.reshape(-1, dofmap.bs)[dofmap.list[:, 0]]
    return values


def _owned_cells(part: Part) -> int:
    return int(part.mesh.topology.index_map(3).size_local)


def _cell_volumes(part: Part) -> Array:
    corners = part.mesh.geometry.x[part.mesh.geometry.dofmap]
    edges = corners[:, 1:] - corners[:, :1]
    return np.abs(np.linalg.det(edges)) / 6


def _tensors(strain: Array, stress: Array) -> dict[str, Array]:
    tensor = strain.copy()
    tensor[:, 3:] /= 2  # engineering shear to tensor components
    return {
        "Von Mises stress [Pa]": tensors.von_mises(stress),
        "Volumetric strain [-]": strain[:, :3].sum(axis=1),
        "Stress [Pa]": stress,
        "Strain [-]": tensor,
    }

"""What can be read out of a model at a state: the numbers of each time step, and whole fields.

All functions are collective. Numbers are the same on every rank; fields are gathered on rank 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import femssb._platform

from mpi4py import MPI

import numpy as np
from dolfinx import fem
from numpy.typing import NDArray

from femssb import mechanics
from femssb.assembly import Part
from femssb.model import Model, State
from femssb.solution import FieldData, Snapshot
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
        particle, matrix = model.bodies.particle, model.bodies.matrix
        mechanics, scalars = model.mechanics, model.bodies.scalars
        self._particle = _body(
            particle, mechanics.particle_space, mechanics.particle_stiffness, scalars
        )
        self._matrix = _body(
            matrix,
            mechanics.matrix_space,
            mechanics.matrix_stiffness,
            model.electrochemistry.ionic_space,
        )
        owned = _owned_cells(particle)
        self._volume = _cell_volumes(particle)[:owned]
        self._total_volume = model.bodies.sum(self._volume)
        grain = np.searchsorted(model.data.grain_tags, particle.cell_tags)
        self._grain_of_cell = grain
        self._particle_of_cell = model.data.grain_particle[grain]
        self.particles = int(model.data.grain_particle.max()) + 1
        node = np.zeros(scalars.dofmap.index_map.size_local, np.int64)
        dofs = scalars.dofmap.list
        in_owned = dofs < node.size
        spread = np.broadcast_to(self._particle_of_cell[:, None], dofs.shape)
        node[dofs[in_owned]] = spread[in_owned]
        self._particle_of_node = node

    def numbers(self, state: State) -> dict[str, float]:
        """Return the columns of a time series that a state decides; collective."""
        model = self.model
        bodies, weights = model.bodies, model.bodies.interface.weights
        area = bodies.interface_area
        stoichiometry = model.stoichiometry(state)
        c_max = model.materials.active.maximum_concentration
        lithium = np.bincount(
            self._particle_of_node,
            weights=model.electrochemistry.node_charge * stoichiometry / FARADAY,
            minlength=self.particles,
        )
        lithium = np.asarray(model.comm.allreduce(lithium))
        gap = np.maximum(state.jump[:, 0], 0.0)
        kinetics = model.interface_current(state)
        strain, stress = self._strain_and_stress(self._particle, state)
        owned = self._volume.size
        von_mises = mechanics.von_mises(stress[:owned])
        volumetric = strain[:owned, :3].sum(axis=1)
        stress_quantiles = self._quantiles(von_mises, QUANTILES)
        strain_quantiles = self._quantiles(volumetric, [1 - q for q in QUANTILES])
        numbers = {
            "Time [s]": state.time,
            "C-rate": abs(state.current) / model.one_c,
            "Voltage [V]": state.voltage,
            "Current [A]": -state.current,
            "Lithium [mol]": float(lithium.sum()),
            "Mean gap [m]": bodies.sum(weights * gap) / area,
            "Maximum gap [m]": bodies.largest(gap),
            "Debonded area fraction": bodies.sum(weights * (state.damage > DEBONDED)) / area,
            "Mean interface voltage drop [V]": bodies.sum(weights * kinetics.drop) / area,
            "Maximum interface voltage drop [V]": bodies.largest(np.abs(kinetics.drop)),
            "Maximum von Mises stress [Pa]": bodies.largest(von_mises),
            "99.9 % von Mises stress [Pa]": stress_quantiles[1],
            "99 % von Mises stress [Pa]": stress_quantiles[0],
            "Mean von Mises stress [Pa]": bodies.sum(self._volume * von_mises) / self._total_volume,
            "Minimum volumetric strain [-]": -bodies.largest(-volumetric),
            "0.1 % volumetric strain [-]": strain_quantiles[1],
            "1 % volumetric strain [-]": strain_quantiles[0],
            "Mean volumetric strain [-]": bodies.sum(self._volume * volumetric)
            / self._total_volume,
            "Minimum concentration [mol/m3]": -bodies.largest(-stoichiometry) * c_max,
            "Maximum concentration [mol/m3]": bodies.largest(stoichiometry) * c_max,
            "Cohesive energy dissipated [J]": state.cohesive_dissipation,
            "Viscous energy dissipated [J]": state.viscous_dissipation,
        }
        # In small strain the change of volume is the mean of the trace.
        numbers["Particle volume change [-]"] = numbers["Mean volumetric strain [-]"]
        for index, amount in enumerate(lithium, start=1):
            numbers[f"Lithium in particle {index} [mol]"] = float(amount)
        return numbers

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
        own = model.bodies.matrix_cells_of_ecbd
        potential[electrochemistry.ionic_space.dofmap.list[own]] = (
            electronic[electrochemistry.electronic_space.dofmap.list] + state.voltage
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
                "Region [-]": model.bodies.matrix.cell_tags.astype(np.int64),
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

    def _quantiles(self, values: Array, shares: Sequence[float]) -> Array:
        """Return the values below which given shares of the particle volume lie; collective."""
        gathered = self.model.comm.gather(np.stack([values, self._volume]), root=0)
        found = None
        if gathered is not None:
            value, volume = np.hstack(gathered)
            order = np.argsort(value)
            below = np.cumsum(volume[order]) - 0.5 * volume[order]
            found = np.interp(np.asarray(shares) * volume.sum(), below, value[order])
        return np.asarray(self.model.comm.bcast(found, root=0))

    def _gather(
        self, body: _Body, at_points: dict[str, Array], at_cells: dict[str, Array]
    ) -> FieldData | None:
        comm, nodes = self.model.comm, body.corners.dofmap
        n, m = nodes.index_map.size_local, _owned_cells(body.part)
        local = nodes.list[:m]
        cells = nodes.index_map.local_to_global(local.ravel().astype(np.int32)).reshape(-1, 4)
        points = _collect(comm, body.corners.tabulate_dof_coordinates()[:n])
        all_cells = _collect(comm, cells)
        point_data = {name: _collect(comm, values[:n]) for name, values in at_points.items()}
        cell_data = {name: _collect(comm, values[:m]) for name, values in at_cells.items()}
        if comm.rank != 0:
            return None
        return FieldData(points=points, cells=all_cells, point_data=point_data, cell_data=cell_data)

    def _gather_interface(self, state: State) -> FieldData | None:
        model, points = self.model, self.model.bodies.interface
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
            name: _collect(model.comm, values.reshape(n, points.per_facet).mean(axis=1))
            for name, values in fields.items()
        }
        corners = _collect(model.comm, points.vertices.reshape(-1, 3))
        if model.comm.rank != 0:
            return None
        cells = np.arange(len(corners)).reshape(-1, 3)
        return FieldData(points=corners, cells=cells, point_data={}, cell_data=means)


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
        "Von Mises stress [Pa]": mechanics.von_mises(stress),
        "Volumetric strain [-]": strain[:, :3].sum(axis=1),
        "Stress [Pa]": stress,
        "Strain [-]": tensor,
    }


def _collect[T: np.generic](comm: MPI.Comm, values: NDArray[T]) -> NDArray[T]:
    """Return the values of all ranks, one below the other, on rank 0; empty elsewhere."""
    parts = comm.gather(values, root=0)
    return np.concatenate(parts) if parts is not None else values[:0]

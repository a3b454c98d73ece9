r"""Lithium in crystals whose diffusivity depends on how full they are, cell by cell.

In a cell the stoichiometry y is linear, the diffusivity that of its mean. With the gradients
:math:`g_{ki}` along the crystal axis k of the four shape functions, the current that leaves node i
[A] is :math:`\sum_j A_{ij} y_j`,

:math:`A_{ij} = F c_{max} V \sum_k D_k(\bar y)\, g_{ki}
(g_{kj} - \frac{1}{4RT} \sum_l g_{kl} \tau_l)`,

where :math:`\tau` is the energy that the stress releases with a mole of lithium (stress drift).
Columns of A sum to zero: what leaves one node enters the others. Its derivatives are exact. Close
to empty and to full, currents that would lead beyond are limited as in `femssb.cell.limiter`, here
on the edges of each cell.
"""

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.cell.bodies import Bodies
from femssb.cell.limiter import limited, reach_of_diffusion, reach_of_drift
from femssb.cell.regions import LITHIUM
from femssb.fem.surface_problem import PointOperator
from femssb.inputs.materials import ActiveMaterial
from femssb.tetrahedra import volumes
from femssb.units import FARADAY

_EDGES = np.array([(i, j) for i in range(4) for j in range(i + 1, 4)])


class VariableDiffusion:
    """Diffusion and drift in each of this rank's own cells.

    Attributes:
        operator: What sees the stoichiometry at the four nodes of each cell.
    """

    def __init__(self, bodies: Bodies, numbers: NDArray[np.int64], *, energy: float) -> None:
        """Measure the cells.

        Args:
            bodies: The particles are one of them.
            numbers: The unknown of each local particle node.
            energy: Gas constant times temperature [J/mol].
        """
        part = bodies.domains[LITHIUM]
        mesh, self._energy = part.mesh, energy
        owned = int(mesh.topology.index_map(3).size_local)
        self._nodes = bodies.scalars.dofmap.list[:owned]
        corners = mesh.geometry.x[mesh.geometry.dofmap[:owned]]
        # Shape functions are 1 at one corner and 0 at the others: rows of an inverse.
        inverse = np.linalg.inv(np.dstack([np.ones((owned, 4, 1)), corners]))
        turns, self._factor = np.zeros((owned, 3, 3)), np.ones((owned, 1))
        self._volume = volumes(mesh.geometry.x, mesh.geometry.dofmap[:owned])
        self._cells: list[tuple[ActiveMaterial, NDArray[np.bool_]]] = []
        for region in bodies.regions:
            if isinstance(region.material, ActiveMaterial):
                inside = np.isin(part.cell_tags[:owned], region.tags)
                place = np.searchsorted(region.tags, part.cell_tags[:owned][inside])
                order = np.argsort(region.tags)
                turns[inside] = region.orientations[order][place]
                factors = np.broadcast_to(region.diffusing, len(region.tags))
                self._factor[inside, 0] = factors[order][place]
                self._cells.append((region.material, inside))
        self._slopes = np.einsum("cxk,cxi->cki", turns, inverse[:, 1:])  # along each axis
        self._pull = np.zeros((owned, 4))  # over R T
        self._pulled = np.zeros((owned, 3))
        self.operator = PointOperator(
            columns=numbers[self._nodes],
            values=np.tile(np.eye(4), (owned, 1, 1)),
            weights=np.ones(owned),
        )

    def refresh(self, pull: Array) -> None:
        """Take what the stress releases at the local particle nodes, (nodes,) [J/mol]."""
        self._pull = pull[self._nodes] / self._energy
        self._pulled = np.einsum("cki,ci->ck", self._slopes, self._pull)

    def response(self, filled: Array) -> tuple[Array, Array]:
        """Return the currents from the nodes (n, 4), and derivatives (n, 4, 4), at (n, 4) [-]."""
        strength, rise = self._strength(filled.mean(axis=1))
        matrices, changes = self._matrices(strength), self._matrices(rise)
        current = np.einsum("cij,cj->ci", matrices, filled)
        slope = matrices + np.einsum("cij,cj->ci", changes, filled)[..., None] / 4
        ends = filled[:, _EDGES].reshape(-1, 2)
        drifts = reach_of_drift(self._pull[:, _EDGES].reshape(-1, 2)), np.zeros_like(ends)
        for part, reach in (
            (self._diffusion, reach_of_diffusion(ends)),
            (self._drift, drifts),
        ):
            everywhere = part == self._drift
            self._limit(current, slope, filled, part(strength), part(rise), everywhere, reach)
        return current, slope

    def _strength(self, mean: Array) -> tuple[Array, Array]:
        """Return F c_max D V of each cell along each axis, and its derivative by y, (n, 3)."""
        found, rise = np.zeros((2, len(mean), 3))
        for active, inside in self._cells:
            full = active.maximum_concentration
            value, slope = active.diffusivities(mean[inside] * full)
            scale = FARADAY * full * self._volume[inside, None] * self._factor[inside]
            found[inside], rise[inside] = scale * value, scale * full * slope
        return found, rise

    def _matrices(self, strength: Array) -> Array:
        return self._diffusion(strength) + self._drift(strength)

    def _diffusion(self, strength: Array) -> Array:
        """Return the part of the matrix of each cell that is diffusion, (n, 4, 4) [A]."""
        return np.einsum("cki,ck,ckj->cij", self._slopes, strength, self._slopes)

    def _drift(self, strength: Array) -> Array:
        """Return the part that is stress drift: it takes lithium from the mean of the cell."""
        moved = -np.einsum("cki,ck,ck->ci", self._slopes, strength, self._pulled) / 4
        return np.repeat(moved[..., None], 4, axis=2)

    def _limit(
        self,
        current: Array,
        slope: Array,
        filled: Array,
        matrices: Array,
        changes: Array,
        everywhere: bool,
        reach: tuple[Array, Array],
    ) -> None:
        """Add what takes currents back close to the bounds, in place.

        Either everywhere, or on edges on which diffusion goes backwards, from low to high. The
        matrices change with the mean of the cell.
        """
        first, second = _EDGES.T
        there, back = matrices[:, first, second], matrices[:, second, first]
        counted = np.where(everywhere | (there > 0), 1.0, 0.0).reshape(-1, 1)
        entries = counted * np.stack([back, there], axis=2).reshape(-1, 2)
        rises = counted * np.stack(
            [changes[:, second, first], changes[:, first, second]], axis=2
        ).reshape(-1, 2)
        ends = filled[:, _EDGES].reshape(-1, 2)
        shape = len(filled), len(_EDGES), 2
        taken, by_ends = limited(ends, entries, *reach)
        by_mean = limited(ends, rises, *reach)[0].reshape(shape) / 4
        taken, by_ends = taken.reshape(shape), by_ends.reshape(*shape, 2)
        for edge, nodes in enumerate(_EDGES):
            current[:, nodes] += taken[:, edge]
            slope[:, nodes] += by_mean[:, edge, :, None]
            for end in range(2):
                slope[:, nodes, nodes[end]] += by_ends[:, edge, :, end]

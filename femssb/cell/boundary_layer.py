r"""The layer of lithium below the surface of the particles that is thinner than the mesh.

Just after a load has changed the profile of lithium below the surface is as thin as
:math:`\sqrt{D t}`, a tenth of a micrometre after a second. Linear elements spread what enters over
all that belongs to a node, so that their surface changes too slowly. Both answer linearly. To a
flux that grows as :math:`e^{st}` the surface of a sphere answers by

.. math:: H(s) = \frac{1}{\sqrt{s D} \coth(\sqrt{s/D}/\kappa) - \kappa D}

times the flux, with the diffusivity D along the normal and the curvature :math:`\kappa`; that of
the mesh by the solution of :math:`(s M + K) y = f`, with the lumped matrix M of storage, the matrix
K of diffusion and the load f of a flux of one. What is lacking between the two fades as the layer
outgrows an element. It is written as a few modes that decay, of given rates,

.. math:: H(s) - H_h(s) \approx \sum_k \frac{g_k}{s + r_k}, \qquad
   \dot z_k = -r_k z_k - \frac{g_k}{F c_{max}} i, \qquad y_s = y + \sum_k z_k,

with amplitudes :math:`g_k` fitted at each point of the surface. The kinetics see the stoichiometry
:math:`y_s` of the surface instead of that of the mesh, y. In a time step the current is even, or
goes on along a line; so the modes are integrated exactly, no step is too long for them, and
:math:`y_s` falls in proportion to the current. They come in pulses,
:math:`e^{-r_k t} - e^{-r_{k+1} t}` times a height that is not negative: so :math:`y_s` never rises
with the current, and of an old load nothing is left. No lithium is added or taken: the modes say
how that of a node is distributed below the surface, not how much it is.

The curvature is that of a sphere with as much surface for its volume as the particle. In a crystal
with unequal axes the formula holds in coordinates in which all directions are equal; there the
sphere is an ellipsoid, of mean curvature

.. math:: \kappa' = \frac{\kappa}{2} \left( \frac{\mathrm{tr} D - d}{\sqrt d}
   - \frac{|D n|^2 - d^2}{d^{3/2}} \right), \qquad d = n \cdot D n,
   \qquad H(s) = \frac{1}{\sqrt d \, (\sqrt s \coth(\sqrt s / \kappa') - \kappa')}.

Once the layer is as deep as that is curved, lithium from aside takes over, and the mesh is left as
it is: the lack is divided by :math:`1 + (\kappa'^2/s)^2`. As the normal of a curved surface turns
within a facet of size h, the squares of its components along the axes are means over directions
around it. What a stress drives is left as it is, and so is what passes between particles. Where the
diffusivity depends on the concentration, the rates follow the factor on it at the surface before
each step.

Source: Carslaw and Jaeger, Conduction of Heat in Solids (1959), section 9.7, for the sphere.
"""

from dataclasses import dataclass

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from scipy.optimize import nnls

from femssb.arrays import Array, Indices
from femssb.cell.bodies import Bodies
from femssb.cell.regions import LITHIUM
from femssb.cell.surfaces import Insertion
from femssb.errors import NotConverged
from femssb.fem.constraints import Unknowns
from femssb.inputs.materials import ActiveMaterial
from femssb.tetrahedra import volumes
from femssb.units import FARADAY

MODES = 10
_SLOWEST, _FASTEST = 0.2, 3000.0  # rates of the modes, times h^2/D of the fastest axis
_SAMPLES = 2  # of the answers for each mode
_RESIDUAL = 1e-9  # relative, of the answer of the mesh
_ITERATIONS = 10_000


@dataclass(frozen=True, kw_only=True)
class Deepening:
    """How the layer changes in one time step, at the cohesive points.

    Attributes:
        kept: (n, modes) stoichiometries that are left of the modes at the end of the step.
        given: (n, modes) by how much they fall for a current of one in the step [m2/A].
    """

    kept: Array
    given: Array

    @property
    def start(self) -> Array:
        """Stoichiometry of the surface minus that of the mesh without current, (n,)."""
        return np.asarray(self.kept.sum(axis=1))

    @property
    def fall(self) -> Array:
        """By how much it falls for a current of one, (n,) [m2/A]."""
        return np.asarray(self.given.sum(axis=1))

    def by(self, current: Array) -> Array:
        """Return the modes (n, modes) at the end of the step, given its current (n,) [A/m2]."""
        return self.kept - self.given * current[:, None]


class BoundaryLayer:
    """The modes at the cohesive points: none where nothing is inserted.

    Attributes:
        rates: (modes,) at which they decay [1/s].
        amplitudes: (n, modes) rise of the modes for a current of one that enters [m2/(A s)].
    """

    def __init__(
        self,
        bodies: Bodies,
        unknowns: Unknowns,
        diffusion: PETSc.Mat,
        node_charge: Array,
        inert: Indices,
    ) -> None:
        """Compare the mesh with what it stands for; collective.

        Args:
            bodies: The mesh.
            unknowns: Their first field is the stoichiometry.
            diffusion: Matrix of diffusion in the unknowns [A].
            node_charge: (owned nodes,) F c_max times the volume of each node [C].
            inert: Particles that nothing enters.
        """
        self._bodies = bodies
        lithium = bodies.domains[LITHIUM]
        self._laws = {
            surface.name: law
            for surface in bodies.surfaces
            for law in surface.currents
            if isinstance(law, Insertion)
        }
        self._traces = {
            name: bodies.trace(bodies.scalars, lithium, name, "minus") for name in self._laws
        }
        area = sum(bodies.area(name) for name in self._laws)
        facets = bodies.comm.allreduce(sum(bodies.points[n].facets.size for n in self._laws))
        size = float(np.sqrt(4 / np.sqrt(3) * area / facets))  # equilateral
        fastest = [max(active.diffusivity) for active, _ in bodies.active_nodes()]
        scale = bodies.largest(np.array(fastest)) / size**2
        self.rates = scale * np.geomspace(_SLOWEST, _FASTEST, MODES)
        at = scale * np.geomspace(_SLOWEST, _FASTEST, _SAMPLES * MODES)
        shares = at[:, None] / (at[:, None] + self.rates)
        pulses = shares[:, :-1] - shares[:, 1:]
        answers = self._answers(unknowns, diffusion, node_charge, at)
        curvature = self._curvature()
        axes = bodies.by_cell(lithium, ActiveMaterial, lambda region, _: region.orientations)
        turned = axes.x.array.reshape(-1, 3, 3)[axes.function_space.dofmap.list[:, 0]]
        self._along: dict[str, Array] = {}  # shares of the crystal axes in the diffusivity
        amplitudes = {
            name: np.zeros((bodies.points[name].weights.size, MODES)) for name in bodies.cohesive
        }
        for name, law in self._laws.items():
            points, trace = bodies.points[name], self._traces[name]
            behind = np.repeat(bodies.cells_behind(name, lithium, "minus"), points.per_facet)
            particle = bodies.particles_at(name)
            along = np.einsum("pi,pik->pk", points.frame[:, 0], turned[behind]) ** 2
            along += (curvature[particle, None] * size / 4) ** 2 * (1 - along)
            self._along[name] = along
            of_crystal = _Crystal(law.active.diffusivity, along, curvature[particle])
            full = FARADAY * law.active.maximum_concentration
            lack = of_crystal.answer(at) / full - [trace(answer) for answer in answers]
            lack /= 1 + (of_crystal.turn**2 / at[:, None]) ** 2
            heights = np.zeros((len(particle), MODES + 1))
            for point in np.flatnonzero(~np.isin(particle, inert)):
                heights[point, 1:-1], _ = nnls(pulses, lack[:, point])
            amplitudes[name] = -np.diff(heights) * self.rates
        self.amplitudes = np.concatenate(list(amplitudes.values()))

    def at_rest(self) -> Array:
        """Return the modes where no load has changed for long, (n, modes)."""
        return np.zeros(self.amplitudes.shape)

    def deepening(
        self, modes: Array, time_step: float, filled: Array, current: Array | None = None
    ) -> Deepening:
        """Return how the modes change in a time step.

        Args:
            modes: (n, modes) before it.
            time_step: [s].
            filled: Stoichiometry at the local particle nodes before it, which sets the pace.
            current: (n,) before it, from which that in the step goes on along a line [A/m2]; None:
                the current jumps, and then is even.
        """
        rates = self._pace(filled) * self.rates
        left = np.exp(-rates * time_step)
        even = (1 - left) / rates
        if current is None:
            return Deepening(kept=modes * left, given=self.amplitudes * even)
        new = (1 - even / time_step) / rates
        old = self.amplitudes * (even - new)
        return Deepening(kept=modes * left - old * current[:, None], given=self.amplitudes * new)

    def _pace(self, filled: Array) -> Array:
        """Return the factor on the diffusivity along the normal, (n, 1)."""
        bodies = self._bodies
        pace = {name: np.ones(bodies.points[name].weights.size) for name in bodies.cohesive}
        for name, law in self._laws.items():
            if law.active.diffusivity_factor is not None:
                at = self._traces[name](filled) * law.active.maximum_concentration
                now, _ = law.active.diffusivities(at)
                along = self._along[name]
                pace[name] = (along * now).sum(axis=1) / (along @ law.active.diffusivity)
        return np.concatenate(list(pace.values()))[:, None]

    def _answers(
        self, unknowns: Unknowns, diffusion: PETSc.Mat, node_charge: Array, at: Array
    ) -> list[Array]:
        """Return the answer of the mesh to a current density of one, at each rate (m,) [1/s].

        It is the stoichiometry at the local particle nodes over the density [m2/A].
        """
        own, sizes = unknowns.owned(0), [numbers.size for numbers in unknowns.reduced]
        numbers = unknowns.offset + np.arange(own.start, own.stop)
        lithium = PETSc.IS().createGeneral(numbers.astype(PETSc.IntType), comm=unknowns.comm)
        matrix = diffusion.createSubMatrix(lithium, lithium)

        def at_unknowns(nodes: Array) -> PETSc.Vec:
            vector = matrix.createVecLeft()
            rest = [np.zeros(size) for size in sizes[1:]]
            vector.array[:] = unknowns.gather([nodes, *rest]).array_r[own]
            return vector

        storage, flux = np.zeros((2, sizes[0]))
        storage[: node_charge.size] = node_charge
        for name, trace in self._traces.items():
            shares = self._bodies.points[name].weights[:, None] * trace.values
            flux += np.bincount(trace.nodes.ravel(), shares.ravel(), sizes[0])
        stored, entering, conducts = at_unknowns(storage), at_unknowns(flux), matrix.getDiagonal()
        solver = PETSc.KSP().create(unknowns.comm)
        solver.setType(PETSc.KSP.Type.CG)
        solver.getPC().setType(PETSc.PC.Type.JACOBI)
        solver.setTolerances(rtol=_RESIDUAL, max_it=_ITERATIONS)
        found = []
        for rate in at.tolist():
            matrix.setDiagonal(conducts + rate * stored)
            solver.setOperators(matrix)
            answer, everywhere = matrix.createVecLeft(), unknowns.vector()
            solver.solve(entering, answer)
            if solver.getConvergedReason() < 0:
                reached = {"diffusion": solver.getResidualNorm() / entering.norm()}
                raise NotConverged("the mesh gives no answer to a flux", residuals=reached)
            everywhere.array[own] = answer.array_r
            found.append(unknowns.expand(everywhere)[0])
        solver.destroy()
        return found

    def _curvature(self) -> Array:
        """Return that of the sphere with as much surface for its volume as each particle [1/m]."""
        bodies, part = self._bodies, self._bodies.domains[LITHIUM]
        owned = part.mesh.topology.index_map(3).size_local
        cells = part.mesh.geometry.dofmap[:owned]
        surface, volume = np.zeros((2, int(bodies.data.grain_particle.max()) + 1))
        particle = bodies.particle_of(part.cell_tags[:owned])
        np.add.at(volume, particle, volumes(part.mesh.geometry.x, cells))
        for name in self._laws:
            np.add.at(surface, bodies.particles_at(name), bodies.points[name].weights)
        surface, volume = (bodies.comm.allreduce(one, op=MPI.SUM) for one in (surface, volume))
        return np.asarray(surface / (3 * volume))


class _Crystal:
    """The surface of a sphere, in coordinates in which its diffusivity is one in all directions.

    Attributes:
        along: (n,) diffusivity along the normal [m2/s].
        turn: (n,) mean curvature of the ellipsoid that the sphere becomes [1/s^(1/2)].
    """

    def __init__(self, axes: tuple[float, float, float], shares: Array, curvature: Array) -> None:
        """Take the diffusivities of the axes and their shares (n, 3) in that along the normal."""
        self.along = shares @ axes
        across = (sum(axes) - self.along) / np.sqrt(self.along)
        aslant = (shares @ np.square(axes) - self.along**2) / self.along**1.5
        self.turn = curvature / 2 * (across - aslant)

    def answer(self, at: Array) -> Array:
        """Return the answers to fluxes that grow at rates (m,), (m, n) [s/m]."""
        root = np.sqrt(at)[:, None]
        return np.asarray(
            1 / (np.sqrt(self.along) * (root / np.tanh(root / self.turn) - self.turn))
        )

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

The curvature is the mean one of the surface that lithium enters, of each particle: 1/R of a sphere,
none of a slab; of a particle that a plane of symmetry cuts, that of the whole one. In a crystal
with unequal axes the formula holds in coordinates in which all directions are equal; there the
sphere is an ellipsoid, of mean curvature

.. math:: \kappa' = \frac{\kappa}{2} \left( \frac{\mathrm{tr} D - d}{\sqrt d}
   - \frac{|D n|^2 - d^2}{d^{3/2}} \right), \qquad d = n \cdot D n,
   \qquad H(s) = \frac{1}{\sqrt d \, (\sqrt s \coth(\sqrt s / \kappa') - \kappa')}.

Once the layer is as deep as that is curved, lithium from aside takes over, and the mesh is left as
it is: the lack is divided by :math:`1 + (\kappa'^2/s)^2`. The same holds of a depth of three times
volume over surface, the radius of a sphere: the larger of :math:`\kappa'^2` and
:math:`d (A/3V)^2` counts. As the normal of a curved surface turns within a facet of size h, the
squares of its components along the axes are means over directions around it. What a stress drives
is left as it is, and so is what passes between particles. Where the diffusivity depends on the
concentration, the rates follow the factor on it at the surface before each step.

There is no layer where particles are but a few elements deep (`SHALLOW`), nor where a stress drives
lithium several times as hard as its concentration does (`WITH`), or against its diffusion
(`AGAINST`): there the surface of the mesh counts.

Close to empty and full the layer would carry what the kinetics see out of the bounds, or hide from
them that the mesh is there. Its sum is therefore held back to the room that the mesh had before the
step: `ROOM` times the distance from the bounds, less a `MARGIN`; within that the kinetics see the
mesh.

Source: Carslaw and Jaeger, Conduction of Heat in Solids (1959), section 9.7, for the sphere.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import femssb.environment.platform

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx.mesh import entities_to_geometry
from scipy.optimize import nnls

from femssb.arrays import Array, Indices
from femssb.cell.bodies import Bodies
from femssb.cell.limiter import held_back
from femssb.cell.regions import LITHIUM
from femssb.cell.surfaces import Insertion, Wetted
from femssb.errors import NotConverged
from femssb.fem.constraints import Unknowns
from femssb.inputs.boundary import Symmetric
from femssb.inputs.materials import ActiveMaterial
from femssb.tetrahedra import volumes
from femssb.units import FARADAY, GAS_CONSTANT

MODES = 10
# Closer to empty or full than this there is no layer; beyond, there is room for so many times more.
MARGIN, ROOM = 0.02, 10.0
# Elements over the depth of a particle, and how hard stress drives lithium with and against its
# diffusion, over R T, beyond which there is no layer.
SHALLOW, WITH, AGAINST = 0.4, 6.0, 1.0
_SLOWEST, _FASTEST = 0.2, 3000.0  # rates of the modes, times h^2/D of the fastest axis
_SAMPLES = 2  # of the answers for each mode
_SAMPLED = 101  # concentrations
_RESIDUAL = 1e-9  # relative, of the answer of the mesh
_ITERATIONS = 10_000
_SAME = 1e-9  # distance of places that are one, over the size of the mesh


@dataclass(frozen=True, kw_only=True)
class Deepening:
    """How the layer changes in one time step, at the cohesive points.

    Attributes:
        kept: (n, modes) stoichiometries that are left of the modes at the end of the step.
        given: (n, modes) by how much they fall for a current of one in the step [m2/A].
        room: (n,) between the mesh and the bounds, for their sum.
    """

    kept: Array
    given: Array
    room: Array

    @cached_property
    def _start(self) -> Array:
        return np.asarray(self.kept.sum(axis=1))

    @cached_property
    def _fall(self) -> Array:
        return np.asarray(self.given.sum(axis=1))

    def __getitem__(self, points: Indices | slice) -> "Deepening":
        """Return that of some of the points."""
        return Deepening(kept=self.kept[points], given=self.given[points], room=self.room[points])

    def __call__(self, current: Array, points: Indices | slice) -> tuple[Array, Array]:
        """Return the stoichiometry of the surface minus that of the mesh, and its derivative.

        Both (n,) at the end of the step, given its current (n,) [A/m2] at some points.
        """
        fall = self._fall[points]
        beyond, slope = held_back(self._start[points] - fall * current, self.room[points])
        return beyond, -fall * slope

    def by(self, current: Array) -> Array:
        """Return the modes (n, modes) at the end of the step, given its current (n,) [A/m2]."""
        modes = self.kept - self.given * current[:, None]
        beyond = modes.sum(axis=1)
        fits = np.divide(
            held_back(beyond, self.room)[0], beyond, out=np.ones(beyond.size), where=beyond != 0
        )
        return np.asarray(modes * fits[:, None])


class BoundaryLayer:
    """The modes at the cohesive points: none where nothing is inserted.

    Attributes:
        rates: (n, modes) at which they decay [1/s].
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
        self._laws = [
            (surface.name, law)
            for surface in bodies.surfaces
            for law in surface.currents
            if isinstance(law, Insertion) and not isinstance(law, Wetted)
        ]
        self._traces = {
            name: bodies.trace(bodies.scalars, lithium, name, "minus")
            for name in dict.fromkeys(name for name, _ in self._laws)
        }
        area = sum(bodies.area(name) for name in self._traces)
        facets = bodies.comm.allreduce(sum(bodies.points[n].facets.size for n in self._traces))
        size = float(np.sqrt(4 / np.sqrt(3) * area / facets))  # equilateral
        curvature, depth = self._shape()
        turns = bodies.by_cell(lithium, ActiveMaterial, lambda region, _: region.orientations)
        turned = turns.x.array.reshape(-1, 3, 3)[turns.function_space.dofmap.list[:, 0]]
        self._along: dict[str, Array] = {}  # shares of the crystal axes in the diffusivity
        amplitudes = {
            name: np.zeros((bodies.points[name].weights.size, MODES)) for name in bodies.cohesive
        }
        rates = {name: np.ones_like(values) for name, values in amplitudes.items()}
        known: dict[float, list[Array]] = {}  # answers of the mesh, by the scale of their rates
        for name, law in self._laws:
            points, trace, here = bodies.points[name], self._traces[name], bodies.where(name, law)
            behind = np.repeat(bodies.cells_behind(name, lithium, "minus"), points.per_facet)
            particle = bodies.particles_at(name)
            along = np.einsum("pi,pik->pk", points.frame[:, 0], turned[behind]) ** 2
            along += (curvature[particle, None] * size / 4) ** 2 * (1 - along)
            self._along[name] = along
            along, particle = along[here], particle[here]
            fastest = [row.fastest for row in bodies.regions if row.material is law.active]
            scale = max(fastest) / size**2
            decay = scale * np.geomspace(_SLOWEST, _FASTEST, MODES)
            at = scale * np.geomspace(_SLOWEST, _FASTEST, _SAMPLES * MODES)
            shares = at[:, None] / (at[:, None] + decay)
            pulses = shares[:, :-1] - shares[:, 1:]
            if scale not in known:
                known[scale] = self._answers(unknowns, diffusion, node_charge, at)
            axes = np.multiply.outer(bodies.diffusing(name)[here], law.active.diffusivity)
            of_crystal = _Crystal(axes, along, curvature[particle])
            full = FARADAY * law.active.maximum_concentration
            lack = of_crystal.answer(at) / full
            lack -= np.array([trace(answer)[here] for answer in known[scale]])
            slowest = np.maximum(of_crystal.turn**2, of_crystal.along / depth[particle] ** 2)
            lack /= 1 + (slowest / at[:, None]) ** 2
            driven = _driven(law)
            lack *= _fading(size / (SHALLOW * depth[particle]))
            lack *= _fading(max(driven / WITH, -driven / AGAINST))
            heights = np.zeros((len(particle), MODES + 1))
            for point in np.flatnonzero(~np.isin(particle, inert)):
                heights[point, 1:-1], _ = nnls(pulses, lack[:, point])
            amplitudes[name][here] = -np.diff(heights) * decay
            rates[name][here] = decay
        self.amplitudes = np.concatenate(list(amplitudes.values()))
        self.rates = np.concatenate(list(rates.values()))

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
            filled: Stoichiometry at the local particle nodes before it, which sets pace and room.
            current: (n,) before it, from which that in the step goes on along a line [A/m2]; None:
                the current jumps, and then is even.
        """
        rates, room = self._pace(filled) * self.rates, self._room(filled)
        left = np.exp(-rates * time_step)
        even = (1 - left) / rates
        if current is None:
            return Deepening(kept=modes * left, given=self.amplitudes * even, room=room)
        new = (1 - even / time_step) / rates
        old = self.amplitudes * (even - new)
        kept = modes * left - old * current[:, None]
        return Deepening(kept=kept, given=self.amplitudes * new, room=room)

    def _room(self, filled: Array) -> Array:
        """Return how far the surface may be from the mesh, (n,)."""
        bodies = self._bodies
        room = {name: np.zeros(bodies.points[name].weights.size) for name in bodies.cohesive}
        for name, trace in self._traces.items():
            at = trace(filled)
            room[name] = ROOM * np.maximum(np.minimum(at, 1 - at) - MARGIN, 0.0)
        return np.concatenate(list(room.values()))

    def _pace(self, filled: Array) -> Array:
        """Return the factor on the diffusivity along the normal, (n, 1)."""
        bodies = self._bodies
        pace = {name: np.ones(bodies.points[name].weights.size) for name in bodies.cohesive}
        for name, law in self._laws:
            if law.active.diffusivity_factor is not None:
                here = bodies.where(name, law)
                at = self._traces[name](filled)[here] * law.active.maximum_concentration
                now, _ = law.active.diffusivities(at)
                along = self._along[name][here]
                pace[name][here] = (along * now).sum(axis=1) / (along @ law.active.diffusivity)
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

    def _shape(self) -> tuple[Array, Array]:
        """Return mean curvature and depth of each particle, three times volume over surface [m]."""
        bodies, part = self._bodies, self._bodies.domains[LITHIUM]
        owned = part.mesh.topology.index_map(3).size_local
        cells = part.mesh.geometry.dofmap[:owned]
        count = int(bodies.data.grain_particle.max()) + 1
        particle = bodies.particle_of(part.cell_tags[:owned])
        volume = np.bincount(particle, volumes(part.mesh.geometry.x, cells), count)
        whole, facets = bodies.data.mesh, [bodies.points[name] for name in self._traces]
        numbers = [entities_to_geometry(whole, 2, points.facets) for points in facets]
        numbers = whole.geometry.index_map().local_to_global(np.concatenate(numbers).ravel())
        of = [bodies.particles_at(n)[:: bodies.points[n].per_facet] for n in self._traces]

        def everywhere(values: Array | Indices) -> Any:
            return np.concatenate(bodies.comm.allgather(values))

        whole_body = (
            everywhere(numbers.reshape(-1, 3)),
            everywhere(np.concatenate([points.vertices for points in facets])),
            everywhere(np.concatenate([points.frame[:: points.per_facet, 0] for points in facets])),
            everywhere(np.concatenate(of)),
        )
        planes = _planes_of_symmetry(bodies)
        for axis, place in planes:
            whole_body = _mirrored(*whole_body, axis, place)
        bent, surface = (values / 2 ** len(planes) for values in curved(*whole_body, count))
        volume = bodies.comm.allreduce(volume, op=MPI.SUM)
        enters = surface > 0
        return (
            np.divide(np.maximum(bent, 0.0), surface, out=np.zeros(count), where=enters),
            np.divide(3 * volume, surface, out=np.ones(count), where=enters),
        )


def curved(
    numbers: Indices, vertices: Array, normals: Array, body: Indices, count: int
) -> tuple[Array, Array]:
    """Return integral of mean curvature [m], and area [m2], of facets of bodies, (count,) each.

    The surface turns at the edges: each gives half its length times the angle, positive where the
    body is convex. An edge of one facet is where the surface ends, and gives nothing.

    Args:
        numbers: (n, 3) of the corners of facets.
        vertices: (n, 3, 3) where these are [m].
        normals: (n, 3) out of the body.
        body: (n,) of each facet, from 0.
        count: Number of bodies.

    Source: Schneider 2014, Convex Bodies, doi:10.1017/CBO9781139003858, section 4.2, for polytopes.
    """
    first, second = np.array([[0, 1], [1, 2], [2, 0]]).T
    ends = np.sort(np.stack([numbers[:, first], numbers[:, second]], axis=-1)).reshape(-1, 2)
    facet, corner = np.divmod(np.arange(len(ends)), 3)
    order = np.lexsort((ends[:, 1], ends[:, 0], body[facet]))
    one, other = order[:-1], order[1:]
    same = (ends[one] == ends[other]).all(axis=1) & (body[facet[one]] == body[facet[other]])
    one, other = one[same], other[same]
    n, m = normals[facet[one]], normals[facet[other]]
    angle = np.arctan2(np.linalg.norm(np.cross(n, m), axis=1), np.einsum("ij,ij->i", n, m))
    at, far = vertices[facet[one], corner[one]], vertices[facet[other], corner[other] - 1]
    angle *= np.sign(np.einsum("ij,ij->i", at - far, n))
    along = vertices[facet[one], first[corner[one]]] - vertices[facet[one], second[corner[one]]]
    bent = 0.5 * np.linalg.norm(along, axis=1) * angle
    sides = vertices[:, 1:] - vertices[:, :1]
    area = 0.5 * np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    return np.bincount(body[facet[one]], bent, count), np.bincount(body, area, count)


def _planes_of_symmetry(bodies: Bodies) -> list[tuple[int, float]]:
    """Return axis, and place along it [m], of each plane of symmetry; collective."""
    found = set()
    for surface in bodies.surfaces:
        if isinstance(surface.traction, Symmetric):
            points = bodies.points[surface.name]
            axes = np.abs(points.frame[:: points.per_facet, 0]).argmax(axis=1)
            places = np.take_along_axis(points.vertices[:, 0], axes[:, None], axis=1)[:, 0]
            size = float(np.max(bodies.period[1] - bodies.period[0]))
            steps = np.rint(places / (_SAME * size)).astype(np.int64)
            found |= {
                (a, s * _SAME * size) for a, s in zip(axes.tolist(), steps.tolist(), strict=True)
            }
    return sorted({plane for part in bodies.comm.allgather(found) for plane in part})


def _mirrored(
    numbers: Indices, vertices: Array, normals: Array, body: Indices, axis: int, place: float
) -> tuple[Indices, Array, Array, Indices]:
    """Return facets as `curved` takes them, with their images in a plane across an axis."""
    size = float(np.abs(vertices - place).max(initial=1e-300))
    on_plane = np.abs(vertices[:, :, axis] - place) < 10 * _SAME * size
    images = np.where(on_plane, numbers, numbers + numbers.max(initial=0) + 1)
    behind, turned = vertices.copy(), normals.copy()
    behind[:, :, axis] = 2 * place - vertices[:, :, axis]
    turned[:, axis] *= -1
    return (
        np.concatenate([numbers, images]),
        np.concatenate([vertices, behind]),
        np.concatenate([normals, turned]),
        np.concatenate([body, body]),
    )


def _fading(beyond: Any) -> Any:
    """Return 1 well below 1, 0 well beyond, and one half there."""
    return 1 / (1 + beyond**8)


def _driven(law: Insertion) -> float:
    """Return how hard a stress drives lithium out of a clamped host as it fills, over R T [-].

    Positive, it helps diffusion; negative, it takes lithium to where most of it is.
    """
    active = law.active
    filled = np.linspace(0.0, active.maximum_concentration, _SAMPLED)
    strains = np.array([curve.value(filled) for curve in active.expansion_curves])
    volumetric = (np.array(active.expansion_axes).T @ strains).sum(axis=0)
    swelling = float(np.abs(np.diff(volumetric)).sum())
    volume = active.drift_volume
    if volume is None:
        volume = swelling / active.maximum_concentration
    elif volumetric[-1] < volumetric[0]:
        volume = -volume
    energy = GAS_CONSTANT * law.temperature
    return volume * active.elasticity.modulus * swelling / 3 / energy


class _Crystal:
    """The surface of a sphere, in coordinates in which its diffusivity is one in all directions.

    Attributes:
        along: (n,) diffusivity along the normal [m2/s].
        turn: (n,) mean curvature of the ellipsoid that the sphere becomes [1/s^(1/2)].
    """

    def __init__(self, axes: Array, shares: Array, curvature: Array) -> None:
        """Take diffusivities of the axes and their shares in that along the normal, (n, 3)."""
        self.along = (shares * axes).sum(axis=1)
        across = (axes.sum(axis=1) - self.along) / np.sqrt(self.along)
        aslant = ((shares * axes**2).sum(axis=1) - self.along**2) / self.along**1.5
        self.turn = curvature / 2 * (across - aslant)

    def answer(self, at: Array) -> Array:
        """Return the answers to fluxes that grow at rates (m,), (m, n) [s/m]."""
        root = np.sqrt(at)[:, None]
        deep = root / np.maximum(self.turn, 1e-3 * root)  # over the radius; 1000 is a flat surface
        return np.asarray(1 / (np.sqrt(self.along) * (root / np.tanh(deep) - self.turn)))

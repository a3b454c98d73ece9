"""A mesh cut into the bodies of a half-cell, with points on the surfaces where they meet or end.

The two problems live on these, and agree on the particle nodes and on the points of the surfaces.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import femssb.environment.platform

from mpi4py import MPI

import numpy as np
from dolfinx import fem
from numpy.typing import NDArray

from femssb.arrays import Array, Indices
from femssb.cell.regions import ELECTRONIC, FIELDS, IONIC, LITHIUM, Region
from femssb.cell.surfaces import GRAIN_BOUNDARY, Law, Ohmic, Pieces, Side, Surface
from femssb.errors import MeshError
from femssb.fem.assembly import Part, n_cells, n_dofs
from femssb.fem.broken import broken, node_groups
from femssb.fem.constraints import Field, with_ghosts
from femssb.fem.trace import Cells, Trace, submesh_cells, surface_points, trace
from femssb.inputs.grain_values import GrainValues
from femssb.inputs.interfaces import CohesiveLaw
from femssb.inputs.materials import ActiveMaterial
from femssb.meshing.data import MeshData
from femssb.meshing.parts import grain_numbers

DISPLACEMENT = "displacement"


class Bodies:
    """A mesh cut into its bodies.

    Attributes:
        data: The mesh and its regions.
        comm: The ranks it is shared by.
        regions, surfaces: The rows of the two tables.
        parts: Submesh of each body.
        domains: Submesh of the regions that carry each field: that of a body where they fill it.
        points: Points of each surface.
        cohesive: Law of each surface that has a cohesive one. Arrays at the *cohesive points* hold
            the points of these surfaces one after the other.
        strengths: At the points of a surface where it differs, the factor on its strength (n,).
        outside: Those of them between particles and matrix.
        weights: Areas of the cohesive points, shape (n,) [m2].
        pieces: Between what fields may jump: lithium, potentials, displacement of the particles.
        period: Lower and upper corner of the mesh, shape (3,) each [m].
        periodic: Axes across which its sides are periodic: 0 for x, 1 for y.
        vectors: Linear vector space on the body that carries lithium.
        scalars: Linear scalar space on the same nodes: the particle nodes.
        first_component: Degree of freedom of `vectors` that is x at each node of `scalars`.
    """

    def __init__(
        self,
        data: MeshData,
        regions: Sequence[Region],
        surfaces: Sequence[Surface],
        *,
        order: int,
        periodic: tuple[int, ...] = (0, 1),
    ) -> None:
        """Cut a mesh; collective.

        Args:
            data: The mesh.
            regions: The rows of the table of what it is made of.
            surfaces: Those of its surfaces.
            order: Polynomial degree that integrals over surfaces resolve.
            periodic: Axes across which opposite sides are one.
        """
        self.data = data
        self.periodic = periodic
        self.comm: MPI.Comm = data.mesh.comm
        self.regions, self.surfaces = tuple(regions), tuple(surfaces)
        self._nodes: dict[tuple[int, ...], Cells] = {}  # of regions, by their tags
        self._tags = tags = np.zeros(n_cells(data.mesh), np.int32)
        tags[data.cell_tags.indices] = data.cell_tags.values
        cut: dict[tuple[str, ...], Part] = {}

        def part(rows: Iterable[Region]) -> Part:
            wanted = {row.name: row for row in rows}
            names = tuple(wanted)
            if names not in cut:
                cut[names] = Part(data.mesh, _within(tags, *wanted.values()), tags)
            return cut[names]

        of_body = {row.body: [r for r in regions if r.body == row.body] for row in regions}
        self.parts = {body: part(rows) for body, rows in of_body.items()}
        self.domains = {name: part(r for r in regions if name in r.carries) for name in FIELDS}
        self.points = {
            surface.name: surface_points(
                data.mesh,
                self._facets(surface, of_body[surface.minus]),
                piece=np.where(
                    _within(tags, *of_body[surface.minus]),
                    self._pieces(tags, surface.pieces),
                    -1,
                ),
                order=order,
            )
            for surface in surfaces
        }
        self.cohesive = {
            s.name: s.traction for s in surfaces if isinstance(s.traction, CohesiveLaw)
        }
        self.strengths = {
            s.name: self._weaker(s.name, s.strength) for s in surfaces if s.strength is not None
        }
        self.outside = [s.name for s in surfaces if s.name in self.cohesive and not s.within]
        self.weights = np.concatenate([self.points[name].weights for name in self.cohesive])

        corners = data.mesh.geometry.x
        lower, upper = self.period = np.empty(3), np.empty(3)
        self.comm.Allreduce(corners.min(axis=0, initial=np.inf), lower, op=MPI.MIN)
        self.comm.Allreduce(corners.max(axis=0, initial=-np.inf), upper, op=MPI.MAX)

        host, electrons = self.domains[LITHIUM], self.domains[ELECTRONIC]
        within = [surface for surface in surfaces if surface.within]
        resist = [s for s in within if any(isinstance(law, Ohmic) for law in s.currents)]
        self.pieces: dict[str, Pieces] = {
            LITHIUM: _finest(within),
            IONIC: "",
            # those of particles may differ from those around them
            ELECTRONIC: (_finest(resist) or "particle") if electrons.holds(data.grain_tags) else "",
            DISPLACEMENT: _finest([s for s in within if s.name in self.cohesive]),
        }
        self.vectors = self.space(host, (3,), split=self.pieces[LITHIUM])
        if self.pieces[LITHIUM]:
            self.scalars = self.space(host, (), split=self.pieces[LITHIUM])
            self.first_component = np.empty(n_dofs(self.scalars), np.int64)
            self.first_component[self.scalars.dofmap.list] = 3 * self.vectors.dofmap.list
        else:
            self.scalars, first = self.vectors.sub(0).collapse()
            self.first_component = np.ravel(first)

    def _facets(self, surface: Surface, rows: Sequence[Region]) -> Cells:
        """Return the local facets of a surface; where it shares a name, those of its body alone."""
        facets = self.data.facet_tags.find(self.data.facets[surface.facets])
        if not surface.named:
            return facets
        topology = self.data.mesh.topology
        topology.create_connectivity(2, 3)
        cells = topology.connectivity(2, 3)
        inside = _within(self._tags, *rows)
        return facets[[bool(inside[cells.links(facet)].any()) for facet in facets.tolist()]]

    def space(
        self, part: Part, shape: tuple[int, ...], *, split: Pieces = "", order: int = 1
    ) -> fem.FunctionSpace:
        """Return a Lagrange space on a part, which may jump between pieces of it; collective."""
        element = ("Lagrange", order, shape) if shape else ("Lagrange", order)
        made = fem.functionspace(part.mesh, element)
        return broken(made, self._pieces(part.cell_tags, split)) if split else made

    def field(
        self, space: fem.FunctionSpace, part: Part, *, split: Pieces, fixed: Indices
    ) -> Field:
        """Return such a space, of which some degrees of freedom are fixed, as a field."""
        pieces = node_groups(space, self._pieces(part.cell_tags, split)) if split else None
        return Field(space=space, fixed=fixed, piece=pieces)

    def _pieces(self, tags: Cells, kind: Pieces) -> Indices:
        """Return the number of the piece that each cell belongs to: 1 + that of it, else 0."""
        if not kind:
            return np.zeros(tags.shape, np.int64)
        return 1 + (self.grain_of(tags) if kind == "grain" else self.particle_of(tags))

    def particle_of(self, tags: Cells) -> Indices:
        """Return the particle, from 0, that each cell tag belongs to; -1 for none."""
        known = np.append(self.data.grain_particle.astype(np.int64), -1)
        return known[self.grain_of(tags)]

    def grain_of(self, tags: Cells) -> Indices:
        """Return the grain, from 0, that each cell tag belongs to; -1 for none."""
        grains = self.data.grain_tags
        return np.where(np.isin(tags, grains), np.searchsorted(grains, tags), -1)

    def by_cell[Material](
        self, part: Part, kind: type[Material], value: Callable[[Region, Material], Any]
    ) -> fem.Function:
        """Return a cell-wise constant function on a part, whose materials are of a kind.

        For a region and its material `value` gives the value of each tag, shape (n, ...).
        """
        made = [(r, r.material) for r in self.regions if isinstance(r.material, kind)]
        return part.by_tag(
            {t: v for r, m in made for t, v in zip(r.tags, value(r, m), strict=True)}
        )

    def at_nodes(self, value: Callable[[ActiveMaterial, Cells], Any]) -> Array:
        """Return what `value` gives for a material at local nodes, at all of them, (nodes,)."""
        result = np.zeros(n_dofs(self.scalars))
        for active, nodes in self.active_nodes():
            result[nodes] = value(active, nodes)
        return result

    def in_cells(self, value: Callable[[ActiveMaterial, Array], Any], nodal: Array) -> Array:
        """Return what `value` gives for a material and cell means, at all local cells with lithium.

        The means are those of values at the particle nodes, ghosts included.
        """
        part = self.domains[LITHIUM]
        mean = nodal[self.scalars.dofmap.list].mean(axis=1)
        result = np.zeros(n_cells(part.mesh))
        for region in self.regions:
            if isinstance(region.material, ActiveMaterial):
                inside = _within(part.cell_tags, region)
                result[inside] = value(region.material, mean[inside])
        return result

    def active_nodes(self) -> Iterator[tuple[ActiveMaterial, Cells]]:
        """Yield each active material with its local nodes, ghosts included, ascending."""
        for region in self.regions:
            if isinstance(region.material, ActiveMaterial):
                if region.tags not in self._nodes:  # it takes long
                    cells = _within(self.domains[LITHIUM].cell_tags, region)
                    self._nodes[region.tags] = np.unique(self.scalars.dofmap.list[cells])
                yield region.material, self._nodes[region.tags]

    def trace(self, space: fem.FunctionSpace, part: Part, surface: str, side: Side) -> Trace:
        """Return what evaluates a field of a part at the points of a surface, on one side."""
        points = self.points[surface]
        cells = np.repeat(self.cells_behind(surface, part, side), points.per_facet)
        return trace(space, cells, points.points)

    def cells_behind(self, surface: str, part: Part, side: Side) -> Cells:
        """Return the cell of a part behind each facet of a surface, on one side of it."""
        parents = getattr(self.points[surface], side)
        own = submesh_cells(part.entities, parents, n_cells(self.data.mesh))
        if np.any(own < 0):
            raise MeshError(f"a facet of {surface!r} does not belong to the region it bounds")
        return own

    def cells_of(self, inner: Part, outer: Part) -> Cells:
        """Return the cell of a part that each local cell of another part, inside it, is."""
        own = np.arange(n_cells(inner.mesh), dtype=np.int32)
        parents = inner.entities.sub_topology_to_topology(own, False)
        return submesh_cells(outer.entities, parents, n_cells(self.data.mesh))

    def particles_at(self, surface: str, side: Side = "minus") -> Indices:
        """Return the particle, from 0, on one side of each point of a surface; -1 for none."""
        return self._at_points(self.particle_of, surface, side)

    def grains_at(self, surface: str, side: Side = "minus") -> Indices:
        """Return the grain, from 0, on one side of each point of a surface; -1 for none."""
        return self._at_points(self.grain_of, surface, side)

    def diffusing(self, surface: str) -> Array:
        """Return the factor of the grain on the minus side of each point on its diffusivity."""
        factors = np.ones(len(self.data.grain_tags))
        for row in self.regions:
            if isinstance(row.material, ActiveMaterial):
                factors[self.grain_of(np.array(row.tags))] = row.diffusing
        return factors[self.grains_at(surface)]

    def _weaker(self, surface: str, given: GrainValues) -> Array:
        """Return the smaller factor of the grains on both sides of each point of a surface."""
        sides: tuple[Side, Side] = ("minus", "plus")
        owner = "GrainBoundaries.strength_of_grains"
        factors = given.of(grain_numbers(self.data.grain_particle), owner)
        return np.minimum(*(factors[self.grains_at(surface, side)] for side in sides))

    def where(self, surface: str, law: Law) -> Indices | slice:
        """Return the points of a surface at which a law of a current holds."""
        if law.tags is None:
            return slice(None)
        points, inside = self.points[surface], np.isin(self._tags, law.tags)
        sides = [side for name, side, _ in law.sees if name == LITHIUM]
        there = np.all([inside[getattr(points, side)] for side in sides], axis=0)
        return np.flatnonzero(np.repeat(there, points.per_facet))

    def _at_points(self, of: Callable[[Cells], Indices], surface: str, side: Side) -> Indices:
        points = self.points[surface]
        return np.repeat(of(self._tags[getattr(points, side)]), points.per_facet)

    def at_matrix(self, values: Array) -> Array:
        """Return those of values at the cohesive points that lie at the `outside` surfaces."""
        at = self.split(values)
        return np.concatenate([at[name] for name in self.outside])

    def split(self, values: Array) -> dict[str, Array]:
        """Return values at the cohesive points for each surface: zero where it is not cohesive.

        Without grain boundaries that break there is none at them.
        """
        sizes = {name: points.weights.size for name, points in self.points.items()}
        ends = np.cumsum([sizes[name] for name in self.cohesive])
        parts = zip(self.cohesive, np.split(values, ends[:-1]), strict=True)
        none = {name: np.zeros((size, *values.shape[1:])) for name, size in sizes.items()}
        return {GRAIN_BOUNDARY: values[:0]} | none | dict(parts)

    def area(self, surface: str) -> float:
        """Return the area of a surface over all ranks [m2]; collective."""
        return self.sum(self.points[surface].weights)

    def modulus(self, surface: str) -> float:
        """Return Young's modulus at a surface [Pa]; collective.

        The harmonic mean of those of the softest solids on its two sides: what a crack between
        them releases.

        Source: Hutchinson and Suo 1992, doi:10.1016/S0065-2156(08)70164-9.
        """
        points, compliance = self.points[surface], 0.0
        for cells in (points.minus, points.plus):
            moduli = [
                row.material.elasticity.modulus
                for row in self.regions
                if np.isin(self._tags[cells], row.tags).any()
            ]
            compliance += 0.5 / -self.largest(-np.array([min(moduli, default=np.inf)]))
        return 1.0 / compliance

    def sum(self, values: Array) -> float:
        """Return the sum of local values over all ranks; collective."""
        return float(self.comm.allreduce(float(values.sum())))

    def largest(self, values: Array) -> float:
        """Return the largest local value over all ranks; collective."""
        return float(self.comm.allreduce(float(values.max(initial=-np.inf)), op=MPI.MAX))

    def spread(self, owned: Array) -> Array:
        """Return values at the particle nodes with those of the ghosts appended; collective."""
        return with_ghosts(self.scalars, owned)


def _finest(surfaces: Iterable[Surface]) -> Pieces:
    """Return the finest pieces that surfaces within a body part."""
    kinds = {surface.pieces for surface in surfaces}
    return "grain" if "grain" in kinds else "particle" if "particle" in kinds else ""


def _within(tags: Cells, *rows: Region) -> NDArray[np.bool_]:
    """Return whether each cell belongs to one of the regions."""
    return np.isin(tags, [tag for row in rows for tag in row.tags])

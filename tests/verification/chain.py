"""Layers that each conduct by themselves, joined by laws at the planes between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import femssb.environment.platform

from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx import fem
from numpy.typing import NDArray

from femssb.cell import electrochemistry
from femssb.fem import newton
from femssb.fem.assembly import Operator, Part, linear_form
from femssb.fem.constraints import Field, Unknowns
from femssb.fem.linear_solver import KrylovSolver, LinearSolver
from femssb.fem.surface_problem import PointOperator, SurfaceProblem
from femssb.fem.trace import (
    SurfacePoints,
    Trace,
    submesh_cells,
    surface_nodes,
    surface_points,
    trace,
)
from tests.verification.slabs import GRAIN, Layer, facets_at, slabs

Array = NDArray[np.float64]
Law = Callable[[Array], tuple[Array, Array]]


class Chain:
    """Layers of unit cross-section, periodic sideways, each with a scalar field of its own.

    The law of a plane sees the values below and above it (n, 2), and as a third the unknown
    "plane k" where there is one. It returns what flows out of each of them, per area, and the
    derivatives of that.

    Attributes:
        unknowns: One field for each layer.
        heights: z of the nodes of each layer, ghosts included [m].
        content: Capacity times volume of each local unknown.
    """

    def __init__(
        self,
        layers: Sequence[tuple[float, int, float]],
        *,
        capacity: float = 0.0,
        grounded: Sequence[int] = (),
        tied: bool = False,
        own_unknown: Sequence[int] = (),
    ) -> None:
        """Lay out and assemble; collective.

        Args:
            layers: Thickness [m], cells across, and conductivity of each, from below to above.
            capacity: Per volume, for problems in time.
            grounded: Layers whose outer face is held at zero.
            tied: Whether the upper face moves as one, as the unknown "end".
            own_unknown: Planes, the lowest is 1, that have an unknown of their own.
        """
        data = slabs([Layer(region=GRAIN, thickness=t, cells=n) for t, n, _ in layers], width=1.0)
        self._levels = np.cumsum([0.0, *(t for t, _, _ in layers)])
        self._mesh, self._tags, self._layers = data.mesh, data.cell_tags.values, data.grain_tags
        self._parts = [Part(data.mesh, self._tags == k, self._tags) for k in self._layers]
        self._spaces = [fem.functionspace(part.mesh, ("Lagrange", 1)) for part in self._parts]
        self.heights = [space.tabulate_dof_coordinates()[:, 2] for space in self._spaces]

        last = len(layers) - 1
        fields = []
        for index, space in enumerate(self._spaces):
            outer = surface_nodes(space, self._trace(index, 0 if index == 0 else index + 1)[1])
            fixed = outer if index in grounded else outer[:0]
            end = (("end", outer),) if tied and index == last else ()
            fields.append(Field(space=space, fixed=fixed, tied=end))
        corner = np.array([0.5, 0.5, 0.0])
        self.unknowns = Unknowns(
            fields,
            period=(-corner, np.append(corner[:2], self._levels[-1])),
            names=[f"plane {k}" for k in own_unknown],
        )

        blocks, volumes = [], []
        for index, (_, _, conductivity) in enumerate(layers):
            space, numbers = self._spaces[index], self.unknowns.reduced[index]
            cellwise = self._parts[index].by_tag({int(self._layers[index]): np.array(conductivity)})
            form = electrochemistry.conduction(space, cellwise)
            blocks.append(Operator(form).triplets(numbers))
            unit = fem.Constant(space.mesh, capacity)
            volume = linear_form(fem.form(unit * ufl.TestFunction(space) * ufl.dx))
            volumes.append(np.append(volume, np.zeros(numbers.size - volume.size)))
        self._conduction = [values for _, _, values in blocks]
        self.content = self.unknowns.gather(volumes).array_r.copy()
        diagonal = self.unknowns.offset + np.arange(self.unknowns.local_size)
        self.problem = SurfaceProblem(
            "chain",
            self.unknowns,
            [(diagonal, diagonal, self.content), *blocks],
            [self._plane(plane, plane in own_unknown) for plane in range(1, len(layers))],
        )
        self._linear_solver = KrylovSolver("chain", self.unknowns, LinearSolver(reduction=1e-10))

    def _trace(self, layer: int, plane: int) -> tuple[SurfacePoints, Trace]:
        """Return the points of a plane (0 is the lowest face), and a layer's field there."""
        inside = self._tags == self._layers[max(plane - 1, 0)]
        facets = facets_at(self._mesh, float(self._levels[plane]))
        points = surface_points(self._mesh, facets, piece=np.where(inside, 0, -1))
        cells = points.plus if 0 < plane == layer else points.minus
        own = submesh_cells(self._parts[layer].entities, cells, self._tags.size)
        return points, trace(self._spaces[layer], np.repeat(own, 3), points.points)

    def _plane(self, plane: int, own_unknown: bool) -> PointOperator:
        points, below = self._trace(plane - 1, plane)
        above = self._trace(plane, plane)[1]
        columns = [
            self.unknowns.reduced[plane - 1][below.nodes],
            self.unknowns.reduced[plane][above.nodes],
        ]
        if own_unknown:
            single = self.unknowns.single[f"plane {plane}"]
            columns.append(np.full((points.weights.size, 1), single))
        a, b = (block.shape[1] for block in columns[:2])
        values = np.zeros((points.weights.size, len(columns), a + b + own_unknown))
        values[:, 0, :a] = below.values
        values[:, 1, a : a + b] = above.values
        values[:, 2:, a + b :] = 1.0
        return PointOperator(columns=np.hstack(columns), values=values, weights=points.weights)

    def solve(
        self,
        x: PETSc.Vec,
        laws: Sequence[Law],
        *,
        load: PETSc.Vec | None = None,
        rate: float = 0.0,
    ) -> None:
        """Solve in place; collective.

        Args:
            x: Guess, then solution.
            laws: One for each plane, from below to above.
            load: What flows into each unknown.
            rate: Factor of the values in their time derivative [1/s].
        """
        self.problem.set_bulk([rate * self.content, *self._conduction])
        newton.solve(
            self.problem,
            self._linear_solver,
            x,
            load if load is not None else self.unknowns.vector(),
            lambda values: [law(v) for law, v in zip(laws, values, strict=True)],
            tolerance=1e-13,
            scale=1.0,
        )

    def at(self, x: PETSc.Vec, layer: int, height: float) -> float:
        """Return the mean of a layer's field over its nodes at a height; collective."""
        values = self.unknowns.expand(x)[layer]
        here = np.abs(self.heights[layer] - height) < 1e-9 * self._levels[-1]
        total = self.unknowns.comm.allreduce(np.array([values[here].sum(), here.sum()]))
        return float(total[0] / total[1])


def transfer(flux: Callable[[Array], tuple[Array, Array]]) -> Law:
    """Return the law of a flux from below to above that depends on the difference below - above."""

    def law(values: Array) -> tuple[Array, Array]:
        through, slope = flux(values[:, 0] - values[:, 1])
        sign = np.array([1.0, -1.0])
        return through[:, None] * sign, slope[:, None, None] * np.outer(sign, sign)

    return law

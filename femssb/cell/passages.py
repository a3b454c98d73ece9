"""What passes through the surfaces of a cell: the laws of currents, and the points they hold at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from dolfinx import fem

from femssb.arrays import Array, Indices
from femssb.cell.bodies import Bodies
from femssb.cell.boundary_layer import Deepening
from femssb.cell.regions import FIELDS, LITHIUM, VOLTAGE
from femssb.cell.surfaces import MOUTH, Insertion, Law, Permeation, Prescribed, Side, Wetted
from femssb.cell.wetting import mouths
from femssb.fem.constraints import Unknowns
from femssb.fem.surface_problem import PointOperator


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """A current through a surface: its law, and the points at which it holds."""

    surface: str
    law: Law
    at: Indices | slice

    @property
    def permeates(self) -> bool:
        """Whether lithium passes from grain to grain."""
        return isinstance(self.law, Permeation)


class Passages:
    """All currents through surfaces of a cell, in a fixed order.

    Attributes:
        laws: Each law, with its surface and where it holds there.
    """

    def __init__(
        self,
        bodies: Bodies,
        spaces: Mapping[str, fem.FunctionSpace],
        unknowns: Unknowns,
        *,
        covered: Mapping[str, Array],
        inert: Indices,
    ) -> None:
        """Find what each law sees; collective.

        Args:
            bodies: The mesh.
            spaces: Of the fields that laws see.
            unknowns: How their degrees of freedom are numbered.
            covered: By the name of a surface, the share of the area that reacts at its points (n,).
            inert: Particles at which nothing is inserted.
        """
        self._bodies, self._spaces, self._unknowns = bodies, spaces, unknowns
        self._numbers = dict(zip(FIELDS, unknowns.reduced, strict=True))
        self._covered, self._inert = covered, inert
        self.laws = self._acting()
        inserts = {one.surface for one in self.laws if type(one.law) is Insertion}
        self._inserts = [name for name in bodies.outside if name in inserts]
        cracks = {one.surface for one in self.laws if isinstance(one.law, Wetted)}
        self._mouths = {name: mouths(bodies, name, self._inserts) for name in sorted(cracks)}
        both: tuple[Side, ...] = ("minus", "plus")
        self._sides = {
            name: [bodies.trace(spaces[LITHIUM], bodies.domains[LITHIUM], name, s) for s in both]
            for name in {one.surface: one for one in self.laws if one.permeates}
        }

    def _acting(self) -> list[Passage]:
        return [
            Passage(surface=surface.name, law=law, at=self._bodies.where(surface.name, law))
            for surface in self._bodies.surfaces
            for law in surface.currents
            if not isinstance(law, Prescribed)
        ]

    def renew(self) -> None:
        """Take what the laws of the bodies are now; the same as before must act; collective."""
        self.laws = self._acting()

    def pull_at(self, pull: Array) -> None:
        """Take what the stress releases with lithium at the nodes (with ghosts,), over RT."""
        for index, one in enumerate(self.laws):
            if isinstance(one.law, Permeation):
                sides = [side(pull)[one.at] for side in self._sides[one.surface]]
                law = replace(one.law, pull=np.column_stack(sides))
                self.laws[index] = replace(one, law=law)

    def operator(self, one: Passage) -> PointOperator:
        """Return what evaluates the quantities that a law sees at its points; collective.

        Nothing is inserted at inert particles: their points have no area. Of a surface that is
        partly covered the currents are those where it reacts, and the area is that.
        """
        bodies, surface, law, blocks = self._bodies, one.surface, one.law, []
        weights = bodies.points[surface].weights * self._covered.get(surface, 1.0)
        for name, side, factors in law.sees:
            if name == VOLTAGE:
                columns = np.full((len(weights), 1), self._unknowns.single[VOLTAGE])
                values = np.ones(columns.shape)
            elif side == MOUTH:
                columns, values = self._mouths[surface].columns(
                    bodies, self._spaces[name], name, self._numbers[name], self._inserts
                )
            else:
                on = bodies.trace(self._spaces[name], bodies.domains[name], surface, side)
                columns, values = self._numbers[name][on.nodes], on.values
            blocks.append((columns, np.einsum("nm,k->nkm", values, np.asarray(factors))))
        if isinstance(law, Wetted):
            weights = weights * self._mouths[surface].found
        if isinstance(law, Insertion) and len(self._inert):
            weights = weights * ~np.isin(bodies.particles_at(surface), self._inert)
        return PointOperator.joined(blocks, weights)[one.at]

    def split(self, layer: Deepening) -> dict[str, Deepening]:
        """Return the boundary layer of each surface."""
        points, cohesive = self._bodies.points, self._bodies.cohesive
        ends = np.cumsum([0, *(points[name].weights.size for name in cohesive)])
        spans = zip(cohesive, ends[:-1], ends[1:], strict=True)
        return {name: layer[start:end] for name, start, end in spans}

    def responses(
        self,
        values: Sequence[Array],
        gap: Array,
        layers: Mapping[str, Deepening],
        before: Sequence[tuple[Array, Array]] = (),
    ) -> list[tuple[Array, Array]]:
        """Return flux and derivative of each law at the end of a time step.

        Args:
            values: What the laws see; more may follow, which is left out.
            gap: (n,) at the cohesive points [m].
            layers: How the boundary layer of each surface changes in the step.
            before: The responses at values close by, which help to find them.
        """
        gaps, count = self._bodies.split(gap), len(self.laws)
        return [
            one.law.response(
                seen,
                gaps[one.surface][one.at],
                layers[one.surface][one.at],
                close[0][:, 0] if close else None,
            )
            if isinstance(one.law, Insertion)
            else one.law.response(seen, gaps[one.surface][one.at])
            for one, seen, close in zip_longest(self.laws, values[:count], before[:count])
        ]

    def inserted(
        self, operators: Sequence[PointOperator], responses: Sequence[tuple[Array, Array]]
    ) -> Array:
        """Return the current of insertion at the cohesive points (n,) [A/m2]; zero elsewhere."""
        current = self._bodies.split(np.zeros(self._bodies.weights.size))
        for one, operator, (flux, _) in zip(self.laws, operators, responses, strict=False):
            if isinstance(one.law, Insertion) and not isinstance(one.law, Wetted):
                current[one.surface][one.at] = flux[:, 0] * (operator.weights > 0.0)
        return np.concatenate([current[name] for name in self._bodies.cohesive])

"""Networks of spheres that touch: contacts by geometry, by pair of phases, and what percolates.

The contacts of a `Packing` are those of its force field. Beads with soft potentials feel each other
from afar; which of them touch, and so conduct into one another, is a question to their diameters
alone. Two spheres touch in the circle in which their surfaces cut each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.packing.neighbours import nearest_image, neighbours
from femssb.packing.packing import Packing

AXES = ("x", "y", "z")


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ContactNetwork:
    """Which spheres of a packing touch each other.

    Attributes:
        packing: The packing.
        radii: Radii with which spheres touch, those of the packing unless enlarged, shape (n,) [m].
        first: Row in the packing of one sphere of each pair, shape (m,).
        second: Row of the other, shape (m,).
        branches: From the first centre to the second, across periodic sides, shape (m, 3) [m].
        areas: Of the circle in which their surfaces meet; 0 where one swallows the other, shape
            (m,) [m2].
    """

    packing: Packing
    radii: Array
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    branches: Array
    areas: Array

    def coordination(self) -> Array:
        """Return how many spheres of one phase a sphere of another touches, on average.

        Returns:
            Shape (phases, phases): row i, column j is the number of phase j at a sphere of phase i.
        """
        kinds = len(self.packing.phase_names)
        spheres = np.bincount(self.packing.phases, minlength=kinds)
        return self._table(np.ones(len(self.first))) / np.maximum(spheres, 1)[:, None]

    def contact_area(self) -> Array:
        """Return the area of contact between phases over the volume of the box [1/m].

        Returns:
            Shape (phases, phases), symmetric; each contact counts once, also within a phase.
        """
        table = self._table(self.areas) / float(np.prod(self.packing.lengths))
        return table - np.diag(np.diag(table)) / 2

    @checked
    def clusters(self, phases: str | Sequence[str]) -> NDArray[np.int64]:
        """Return the cluster of every sphere of some phases, shape (n,).

        Args:
            phases: The phase, or the phases that form a network together.

        Returns:
            Number of the cluster, 0 for the one with most spheres; -1 for spheres of other phases.

        Raises:
            InputError: If there is no such phase.
        """
        member, first, second, _ = self._within(phases)
        n = len(member)
        graph = sparse.coo_array((np.ones(len(first), bool), (first, second)), shape=(n, n))
        _, label = csgraph.connected_components(graph, directed=False)
        found = np.full(n, -1, dtype=np.int64)
        names, place, sizes = np.unique(label[member], return_inverse=True, return_counts=True)
        rank = np.empty(len(names), dtype=np.int64)
        rank[np.argsort(-sizes, kind="stable")] = np.arange(len(names))
        found[member] = rank[place]
        return found

    @checked
    def percolating(
        self, phases: str | Sequence[str], *, axis: Literal["x", "y", "z"] = "z"
    ) -> NDArray[np.bool_]:
        """Return which spheres belong to a cluster that leads through the box, shape (n,).

        Between planes, it touches both. Across periodic sides, it leads back to itself one box
        further on.

        Args:
            phases: The phase, or the phases that form a network together.
            axis: Direction through the box.

        Raises:
            InputError: If there is no such phase.
        """
        along, packing = AXES.index(axis), self.packing
        cluster = self.clusters(phases)
        through = np.zeros(cluster.max(initial=-1) + 2, dtype=np.bool_)  # the last: other phases
        if packing.periodic[along]:
            _, first, second, rows = self._within(phases)
            straight = packing.positions[second, along] - packing.positions[first, along]
            shift = self.branches[rows, along] - straight
            turns = np.rint(shift / packing.lengths[along]).astype(np.int64)
            through[cluster[first[_closed(cluster, first, second, turns)]]] = True
        else:
            place = packing.positions[:, along]
            high = np.zeros_like(through)
            through[cluster[place - self.radii <= packing.lower[along]]] = True
            high[cluster[place + self.radii >= packing.upper[along]]] = True
            through &= high
        through[-1] = False
        return through[cluster]

    @checked
    def percolating_share(
        self, phases: str | Sequence[str], *, axis: Literal["x", "y", "z"] = "z"
    ) -> float:
        """Return the share of the volume of some phases that lies in clusters through the box.

        Args:
            phases: The phase, or the phases that form a network together.
            axis: Direction through the box.

        Raises:
            InputError: If there is no such phase, or no sphere of it.
        """
        member, *_ = self._within(phases)
        volumes = self.packing.volumes
        if not member.any():
            raise InputError(f"percolating_share.phases = {phases!r}: the packing has none of them")
        inside = self.percolating(phases, axis=axis)
        return float(volumes[inside].sum() / volumes[member].sum())

    def _table(self, values: Array) -> Array:
        """Return values of pairs summed by the phases of both spheres, seen from either."""
        kinds = len(self.packing.phase_names)
        table = np.zeros((kinds, kinds))
        pairs = self.packing.phases[self.first], self.packing.phases[self.second]
        np.add.at(table, pairs, values)
        return table + table.T

    def _within(
        self, phases: str | Sequence[str]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return which spheres are of some phases, and the pairs of these with their rows."""
        names = (phases,) if isinstance(phases, str) else tuple(phases)
        if not names:
            raise InputError("ContactNetwork: phases must name at least one phase")
        member = np.any([self.packing.of_phase(name) for name in names], axis=0)
        rows = member[self.first] & member[self.second]
        return member, self.first[rows], self.second[rows], rows


@checked
def contact_network(
    packing: Packing, *, enlargement: float | Mapping[str, float] = 1.0
) -> ContactNetwork:
    """Find the spheres of a packing that touch each other.

    Args:
        packing: Any; its contacts are not needed.
        enlargement: Diameter with which spheres touch over their own, of all phases or by phase; 1
            for those that are left out.

    Raises:
        InputError: If there are no spheres, an enlargement is not from 0.5 to 2 or of no phase, or
            a sphere reaches around the box to itself.
    """
    if not len(packing.radii):
        raise InputError("contact_network: the packing has no spheres")
    given = enlargement if isinstance(enlargement, Mapping) else {}
    for name in given:
        packing.of_phase(name)
    usual = 1.0 if isinstance(enlargement, Mapping) else enlargement
    factors = [given.get(name, usual) for name in packing.phase_names]
    for factor in factors:
        check_number("contact_network", "enlargement", factor, lower=0.5, upper=2.0)
    radii = packing.radii * np.array(factors)[packing.phases]
    for axis, period in zip(AXES, packing.period, strict=True):
        if 0 < period < 2 * radii.max():
            raise InputError(
                f"contact_network: the sides across {axis} are periodic and {period:g} m apart, "
                f"but the largest diameter is {2 * radii.max():g} m: it touches itself"
            )
    first, second = neighbours(packing.positions, radii, packing.period, 0.0)
    nearest = nearest_image(packing.positions[second] - packing.positions[first], packing.period)
    # In a narrow box two spheres may touch again, across other sides.
    steps = np.where(nearest > 0, -packing.period, packing.period)
    sides = [(0, 1) if joined else (0,) for joined in packing.periodic]
    images = [nearest + steps * choice for choice in product(*sides)]
    reach = radii[first] + radii[second]
    touching = [np.flatnonzero(np.linalg.norm(image, axis=1) < reach) for image in images]
    branches = np.concatenate([image[rows] for image, rows in zip(images, touching, strict=True)])
    rows = np.concatenate(touching)
    first, second = first[rows], second[rows]
    distance = np.linalg.norm(branches, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # two with one centre: one swallows
        arm = (distance**2 + radii[first] ** 2 - radii[second] ** 2) / (2 * distance)
    square = np.nan_to_num(radii[first] ** 2 - arm**2, nan=0.0, neginf=0.0)
    return ContactNetwork(
        packing=packing,
        radii=radii,
        first=first,
        second=second,
        branches=branches,
        areas=np.pi * np.maximum(square, 0.0),
    )


def _closed(
    cluster: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    turns: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which pairs close a way through the box, shape (m,).

    Every sphere is given the box in which it lies on the way to it from the first one of its
    cluster; a pair whose two ends disagree about this closes a way around.
    """
    boxes = np.zeros(len(cluster), dtype=np.int64)
    known = np.zeros(len(cluster), dtype=np.bool_)
    _, roots = np.unique(cluster, return_index=True)
    known[roots] = True
    while True:
        before = np.count_nonzero(known)
        for start, end, step in ((first, second, turns), (second, first, -turns)):
            new = known[start] & ~known[end]
            boxes[end[new]] = boxes[start[new]] + step[new]
            known[end[new]] = True
        if np.count_nonzero(known) == before:
            return boxes[first] + turns != boxes[second]

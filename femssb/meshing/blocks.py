"""What a file of a mesh holds, whatever its format: points, and simplices by name or number."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from femssb.arrays import Array, Indices
from femssb.errors import MeshError

CORNERS = {3: 4, 2: 3}  # of tetrahedra and triangles, by dimension
WORDS = {3: "tetrahedra", 2: "triangles"}
_FACES = {
    # corners of the sides of a tetrahedron, in the order in which a format counts them
    "abaqus": ((0, 1, 2), (0, 3, 1), (1, 3, 2), (2, 3, 0)),
    "exodus": ((0, 1, 3), (1, 2, 3), (0, 3, 2), (0, 2, 1)),
}

Key = str | int  # a name, or the number of what has none
Entry = tuple[Key, Indices]


class Found(NamedTuple):
    """What a file holds."""

    points: Array  # (k, 3) in its unit
    volumes: Sequence[Entry]  # corners of tetrahedra (m, 4); one may be in several
    surfaces: Sequence[Entry]  # corners of triangles (f, 3)
    total: int  # tetrahedra in all
    notes: Sequence[str] = ()  # what was changed on the way


class Blocks:
    """Collects simplices of any order by name or number; what is curved becomes straight."""

    def __init__(self, source: str, points: Array) -> None:
        """Begin with all points of a file, (k, 3) in its unit."""
        self._source, self._points = source, np.asarray(points, dtype=np.float64)
        if self._points.ndim != 2 or self._points.shape[1] != 3:
            raise MeshError(f"{source} has points of shape {self._points.shape}; they must be 3-D")
        self._entries: dict[int, dict[Key, list[Indices]]] = {3: {}, 2: {}}
        self._curved, self._bulge = 0, 0.0
        self._total = 0

    def straight(self, dimension: int, nodes: Indices) -> Indices:
        """Return the corners of simplices, which come first among the nodes of each, (m, n)."""
        count = CORNERS[dimension]
        if nodes.shape[1] > count and len(nodes):
            self._curved += len(nodes) * (dimension == 3)
            self._bulge = max(self._bulge, self._off(nodes, count))
        return nodes[:, :count].astype(np.int64)

    def add(self, dimension: int, key: Key, corners: Indices) -> None:
        """Add simplices to those of a name or number."""
        self._entries[dimension].setdefault(key, []).append(corners)

    def count(self, tetrahedra: int) -> None:
        """Count tetrahedra of the file, whether they have a name or not."""
        self._total += tetrahedra

    def found(self) -> Found:
        """Return what was collected."""
        volumes, surfaces = (
            [(key, np.vstack(parts)) for key, parts in entries.items()]
            for entries in self._entries.values()
        )
        notes: tuple[str, ...] = ()
        if self._curved:
            notes = (
                f"{self._curved} tetrahedra of higher order were made linear: the nodes on their "
                f"edges are left out, which lie up to {100 * self._bulge:.2g} % of the edge beside "
                "it",
            )
        return Found(self._points, volumes, surfaces, self._total, notes)

    def _off(self, nodes: Indices, count: int) -> float:
        """Return how far nodes on edges are from the straight ones, over the length of these."""
        first, second = np.triu_indices(count, 1)
        if nodes.shape[1] != count + len(first):
            return 0.0  # of third order and more: not measured
        x = self._points[nodes]
        middle = 0.5 * (x[:, first] + x[:, second])
        away = np.linalg.norm(x[:, count:, None] - middle[:, None], axis=-1)
        length = np.linalg.norm(x[:, first] - x[:, second], axis=-1)
        return float((away / length[:, None]).min(axis=2).max(initial=0.0))


def by_value(tags: Indices) -> Iterator[tuple[int, Indices]]:
    """Yield each value of some tags, and the rows that have it."""
    for tag in np.unique(tags).tolist():
        yield int(tag), np.flatnonzero(tags == tag)


def sides(kind: str, cells: Indices, numbers: Iterable[int]) -> Indices:
    """Return the corners of one side of each tetrahedron, counted from 1 as a format does."""
    corners = np.array(_FACES[kind])[np.asarray(list(numbers), dtype=np.int64) - 1]
    return np.take_along_axis(cells, corners, axis=1)

"""Meshes in files of Abaqus: nodes, elements, and sets and surfaces in any order.

A set may come before what it names, name other sets, or be made by GENERATE; a surface is made of
sides of elements, or of triangles. One part and one instance of it, where it was made.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from femssb.arrays import Indices
from femssb.errors import MeshError
from femssb.meshing.blocks import CORNERS, Blocks, Found, sides

_TETRAHEDRON = re.compile(r"(?:AC|D|Q)?C?3D(?P<nodes>4|10)[A-Z]*")
_TRIANGLE = re.compile(
    r"(?:D?S|STRI|CPS|CPE|CAX|CPEG|M3D|SFM3D|R3D|DC2D|WARP2D|F3D)(?P<nodes>3|6|65)[A-Z]*"
)
_NODES = {"65": 6}

_Line = tuple[str, dict[str, str], list[list[str]]]  # keyword, its parameters, rows of data


def read_abaqus(path: Path) -> Found:
    """Return what a file holds.

    Raises:
        MeshError: If it takes something from another file, is damaged, or has elements that are no
            tetrahedra.
    """
    try:
        return _Model(path).found()
    except (ValueError, IndexError, KeyError) as error:
        raise MeshError(
            f"{path.name} is damaged, or no file of Abaqus: {type(error).__name__} {error}"
        ) from error


class _Model:
    """Everything of a file that concerns its mesh; the names of sets are in capitals."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.nodes: dict[int, int] = {}
        self.points: list[list[float]] = []
        self.elements: list[tuple[int, list[int], Indices]] = []  # dimension, numbers, node numbers
        self.sets: dict[str, list[str | int]] = {}
        self.surfaces: dict[str, list[list[str]]] = {}
        self.names: dict[str, str] = {}  # as they are written
        parts = 0
        for keyword, given, rows in _keywords(path):
            parts += keyword == "PART"
            if keyword == "INCLUDE" or "INPUT" in given:
                raise MeshError(f"{path.name} includes another file; put all into one file")
            if parts > 1 or (keyword == "INSTANCE" and any(any(row) for row in rows)):
                raise MeshError(
                    f"{path.name} has several parts, or one that is moved; merge the instances "
                    "into one mesh, whose regions share nodes"
                )
            if keyword == "NODE":
                for number, *place in rows:
                    self.nodes[int(number)] = len(self.points)
                    self.points.append([float(x or 0.0) for x in [*place, "", ""][:3]])
            elif keyword == "ELEMENT":
                self._add_elements(given, rows)
            elif keyword == "ELSET":
                self._add_set(given, rows)
            elif keyword == "SURFACE" and given.get("TYPE", "ELEMENT").upper() == "ELEMENT":
                self.surfaces.setdefault(self._named(given["NAME"]), []).extend(rows)

    def _named(self, name: str) -> str:
        self.names.setdefault(name.upper(), name)
        return name.upper()

    def _add_elements(self, given: dict[str, str], rows: list[list[str]]) -> None:
        kind = given["TYPE"].upper()
        dimension, count = _shape(kind)
        if not dimension:
            if kind.startswith(("C3D", "DC3D")):
                raise MeshError(f"{self.path.name} has elements {kind}, which are not tetrahedra")
            return
        numbers = np.array([int(word) for row in rows for word in row if word])
        table = numbers.reshape(-1, count + 1)
        self.elements.append((dimension, table[:, 0].tolist(), table[:, 1:]))
        if "ELSET" in given:
            self.sets.setdefault(self._named(given["ELSET"]), []).extend(table[:, 0].tolist())

    def _add_set(self, given: dict[str, str], rows: list[list[str]]) -> None:
        members = self.sets.setdefault(self._named(given["ELSET"]), [])
        for row in rows:
            words = [word for word in row if word]
            if "GENERATE" in given and words:
                first, last, *step = map(int, words)
                members += range(first, last + 1, *step)
            else:
                members += [int(word) if word.isdigit() else word.upper() for word in words]

    def _elements_of(self, name: str | int, above: tuple[str, ...] = ()) -> Iterator[int]:
        """Yield the numbers of the elements of a set, or of a set of sets."""
        if isinstance(name, int):
            yield name
            return
        if name in above:
            raise MeshError(f"{self.path.name}: the set {self.names[name]!r} contains itself")
        if name not in self.sets:
            raise MeshError(f"{self.path.name} names the set {name!r}, which it does not have")
        for member in self.sets[name]:
            yield from self._elements_of(member, (*above, name))

    def found(self) -> Found:
        if not self.points or not self.elements:
            raise MeshError(f"{self.path.name} has no nodes or no elements of a mesh in 3-D")
        blocks = Blocks(self.path.name, np.array(self.points))
        place: dict[int, tuple[int, int]] = {}  # of each element: its dimension and row there
        corners: dict[int, list[Indices]] = {3: [], 2: []}
        for dimension, numbers, table in self.elements:
            start = sum(map(len, corners[dimension]))
            place |= {number: (dimension, start + k) for k, number in enumerate(numbers)}
            rows = np.array([self.nodes[node] for node in table.ravel().tolist()])
            corners[dimension].append(blocks.straight(dimension, rows.reshape(table.shape)))
        of = {d: np.vstack([np.empty((0, CORNERS[d]), np.int64), *corners[d]]) for d in corners}
        blocks.count(len(of[3]))
        for name in self.sets:
            members = [place[number] for number in self._elements_of(name) if number in place]
            for dimension, all_corners in of.items():
                rows = np.unique([row for d, row in members if d == dimension]).astype(np.int64)
                if len(rows):
                    blocks.add(dimension, self.names[name], all_corners[rows])
        for name, lines in self.surfaces.items():
            for first, *side in lines:
                behind = self._elements_of(int(first) if first.isdigit() else first.upper())
                face = side[0].upper() if side else ""
                blocks.add(2, self.names[name], self._sides(face, behind, place, of))
        return blocks.found()

    def _sides(
        self,
        face: str,
        members: Iterator[int],
        place: dict[int, tuple[int, int]],
        of: dict[int, Indices],
    ) -> Indices:
        """Return the corners of a side of elements, (f, 3)."""
        found = [place[number] for number in members]
        flat = [row for dimension, row in found if dimension == 2]
        solid = [row for dimension, row in found if dimension == 3]
        if solid and face not in ("S1", "S2", "S3", "S4"):
            raise MeshError(
                f"{self.path.name} has a surface of tetrahedra without their sides (S1 to S4), "
                f"but {face!r}"
            )
        numbers = [int(face[1])] * len(solid) if solid else []
        return np.vstack([of[2][flat], sides("abaqus", of[3][solid], numbers)])


def _shape(kind: str) -> tuple[int, int]:
    """Return dimension and number of nodes of an element; no dimension where it is no simplex."""
    if (match := _TETRAHEDRON.fullmatch(kind)) is not None:
        return 3, int(match["nodes"])
    if (match := _TRIANGLE.fullmatch(kind)) is not None:
        return 2, _NODES.get(match["nodes"]) or int(match["nodes"])
    return 0, 0


def _keywords(path: Path) -> Iterator[_Line]:
    """Yield the keywords of a file with their parameters and data."""
    current: _Line | None = None
    for line in path.read_text(encoding="latin-1").splitlines():
        text = line.strip()
        if not text or text.startswith("**"):
            continue
        if text.startswith("*"):
            if current is not None:
                yield current
            keyword, *words = (word.strip() for word in text[1:].split(","))
            given = {}
            for word in words:
                name, _, value = word.partition("=")
                given[name.strip().upper()] = value.strip().strip('"')
            current = (" ".join(keyword.upper().split()), given, [])
        elif current is not None:
            current[2].append([word.strip().strip('"') for word in text.split(",")])
    if current is not None:
        yield current

"""Volumes and areas of a mesh and the quality of its tetrahedra, the same on any ranks."""

from dataclasses import dataclass

import numpy as np

from femssb.description import checked
from femssb.meshing.data import MeshData, gather
from femssb.meshing.parts import Parts, volume_tags
from femssb.tetrahedra import gamma, volumes


@dataclass(frozen=True, kw_only=True, slots=True)
class RegionSummary:
    """The tetrahedra of one region.

    Attributes:
        volume: Sum of their volumes [m3].
        cells: Number of tetrahedra.
        smallest_gamma: Quality of the poorest: see `femssb.tetrahedra.gamma`.
    """

    volume: float
    cells: int
    smallest_gamma: float


@dataclass(frozen=True, kw_only=True, slots=True)
class MeshSummary:
    """Sizes and quality of a whole mesh.

    Attributes:
        nodes: Number of points.
        cells: Number of tetrahedra.
        regions: By name: "ecbd", "electrolyte", "particle_1_grain_01" ...
        areas: "interface", "collector" ... -> area [m2].
        smallest_gamma: Quality of the poorest tetrahedron: see `femssb.tetrahedra.gamma`.
        mean_gamma: Mean quality.
        shortest_edge: Length of the shortest edge [m].
    """

    nodes: int
    cells: int
    regions: dict[str, RegionSummary]
    areas: dict[str, float]
    smallest_gamma: float
    mean_gamma: float
    shortest_edge: float

    def report(self) -> str:
        """Return the summary in a few lines of text, all grains as one."""
        grains = [region for name, region in self.regions.items() if "grain" in name]
        shown = {name: region for name, region in self.regions.items() if "grain" not in name}
        if grains:
            shown[f"particles ({len(grains)} grains)"] = RegionSummary(
                volume=sum(grain.volume for grain in grains),
                cells=sum(grain.cells for grain in grains),
                smallest_gamma=min(grain.smallest_gamma for grain in grains),
            )
        lines = [
            f"{self.cells} tetrahedra, {self.nodes} nodes, "
            f"gamma {self.smallest_gamma:.3f} (mean {self.mean_gamma:.3f}), "
            f"shortest edge {self.shortest_edge * 1e6:.3g} um"
        ]
        for name, region in shown.items():
            lines.append(
                f"{name}: {region.volume * 1e18:.6g} um3, {region.cells} tetrahedra, "
                f"gamma {region.smallest_gamma:.3f}"
            )
        lines += [f"{name}: {area * 1e12:.6g} um2" for name, area in self.areas.items()]
        return "\n".join(lines)


@checked
def describe(data: MeshData) -> MeshSummary:
    """Measure a mesh; every rank gets the same numbers, whatever their count."""
    parts = gather(data)
    return data.mesh.comm.bcast(None if parts is None else summarise(parts), root=0)


def summarise(parts: Parts) -> MeshSummary:
    """Measure a mesh that lies on one rank."""
    corners = parts.points[parts.cells]
    quality = gamma(parts.points, parts.cells)
    volume = volumes(parts.points, parts.cells)
    regions = {}
    for name, tag in volume_tags(parts).items():
        inside = parts.cell_tags == tag
        regions[name] = RegionSummary(
            volume=float(volume[inside].sum()),
            cells=int(inside.sum()),
            smallest_gamma=float(quality[inside].min(initial=1.0)),
        )
    a, b, c = np.moveaxis(parts.points[parts.triangles], 1, 0)
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    start, end = np.triu_indices(4, 1)
    edges = np.linalg.norm(corners[:, start] - corners[:, end], axis=2)
    facets, tags = parts.facets.items(), parts.facet_tags
    return MeshSummary(
        nodes=len(parts.points),
        cells=len(parts.cells),
        regions=regions,
        areas={name: float(area[tags == tag].sum()) for name, tag in facets},
        smallest_gamma=float(quality.min()),
        mean_gamma=float(quality.mean()),
        shortest_edge=float(edges.min()),
    )

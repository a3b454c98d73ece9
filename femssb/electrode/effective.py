"""The conductivity of a packing of spheres, extrapolated to vanishing voxel size.

Voxels cut by the spheres themselves (`femssb.voxels.make.cut_voxels`), on grids that are refined
twofold, and Richardson's extrapolation from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.packing.packing import Packing
from femssb.voxels.conduct.conduction import Conduction, conductivity
from femssb.voxels.conduct.extrapolation import Extrapolation, extrapolate
from femssb.voxels.image import Axis
from femssb.voxels.make.cut_voxels import cut_voxels


@checked
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PackingConduction:
    """Conductivity of a packing.

    Attributes:
        limit: At vanishing voxel size, with its uncertainty.
        results: On each grid, from coarse to fine.
    """

    limit: Extrapolation
    results: tuple[Conduction, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON."""
        results = [result.to_dict() for result in self.results]
        return {"limit": self.limit.to_dict(), "results": results}

    def __str__(self) -> str:
        """Return the limit, and the result on the finest grid."""
        return f"{self.limit}\nfinest grid:\n{self.results[-1]}"


@checked
def packing_conductivity(
    packing: Packing,
    conductivities: Mapping[str, float],
    *,
    spacing: float,
    axis: Axis = "z",
    grids: int = 2,
    priority: Sequence[str] | None = None,
    background: str = "void",
    **options: Any,
) -> PackingConduction:
    """Return the conductivity of a packing at vanishing voxel size.

    Five voxels to the radius of the smallest spheres that matter give about 1 %.

    Args:
        packing: Spheres of named phases.
        conductivities: Of the phases and the background [S/m]; those left out do not conduct.
        spacing: Edge of a voxel of the finest grid [m].
        axis: Direction of the flux.
        grids: How many grids, each with half the spacing of the one before; 2 to 4.
        priority: As for `voxelise`.
        background: Name of what no sphere covers.
        options: As for `conductivity`.

    Raises:
        InputError: As `voxelise` and `conductivity` do.
        NotConverged: As `conductivity` does.
    """
    check_number("packing_conductivity", "grids", grids, lower=2, upper=4)
    check_number("packing_conductivity", "spacing", spacing, above=0, unit="m")
    if "faces" in options:
        raise InputError("packing_conductivity takes no faces: they follow from the spheres")
    results = []
    for finer in reversed(range(int(grids))):
        grid: Any = {"spacing": spacing * 2**finer, "priority": priority, "background": background}
        voxels = cut_voxels(packing, **grid)
        results.append(conductivity(voxels, conductivities, axis=axis, **options))
    return PackingConduction(limit=extrapolate(results), results=tuple(results))

"""Weighing an electrode: density, loading and the porosity that follows from them.

A phase may have pores of its own, as the carbon-binder domain does: the bead is as large as the
domain, its solid fills only a part of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.packing.packing import Packing
from femssb.packing.structure import porosity


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Weighed:
    """Density and porosity of a packing.

    Attributes:
        density: Mass over the volume of the box, pores included [kg/m3].
        loading: Mass over the area across z [kg/m2].
        thickness: Of the box along z [m].
        porosity: One less the solid volume over that of the box, each sphere counted whole and
            less its own pores: what the scales and the thickness of an electrode give. Negative
            where spheres overlap so far that their volume does not fit the box.
        own_pores: Share of the box in pores inside the spheres, each counted whole.
        uncovered: Share of the box that no sphere covers, overlaps counted once.
        swallowed: Volume that spheres lose in overlaps and beyond planes, over their volume.
        shares: Volume of the spheres of each phase, counted whole, over that of the box.
    """

    density: float
    loading: float
    thickness: float
    porosity: float
    own_pores: float
    uncovered: float
    swallowed: float
    shares: Mapping[str, float]


@checked
def weigh(
    packing: Packing,
    *,
    densities: Mapping[str, float] | None = None,
    own_porosity: Mapping[str, float] | None = None,
) -> Weighed:
    """Return density and porosity of a packing.

    Args:
        packing: Any.
        densities: Mass of a sphere over its whole volume, of every phase [kg/m3]; None: by the
            masses of the packing.
        own_porosity: Share of pores in the spheres of a phase; 0 for those left out.

    Raises:
        InputError: If there are no spheres, neither the packing has masses nor every phase its
            density, a name is not known, or a value is out of its bounds.
    """
    own = {} if own_porosity is None else own_porosity
    for name in (*(densities or ()), *own):
        packing.of_phase(name)
    for name, value in own.items():
        check_number("weigh", f"own_porosity[{name!r}]", value, lower=0, below=1)
    free = porosity(packing)
    box = float(np.prod(packing.lengths))
    filled = np.bincount(packing.phases, packing.volumes, len(packing.phase_names)) / box
    shares = dict(zip(packing.phase_names, filled.tolist(), strict=True))
    density = _mass(packing, densities) / box
    pores = sum(own.get(name, 0.0) * share for name, share in shares.items())
    height = float(packing.lengths[2])
    return Weighed(
        density=density,
        loading=density * height,
        thickness=height,
        porosity=free.nominal + pores,
        own_pores=pores,
        uncovered=free.union,
        swallowed=free.swallowed,
        shares=shares,
    )


def _mass(packing: Packing, densities: Mapping[str, float] | None) -> float:
    """Return the mass of all spheres [kg]."""
    if densities is None:
        if packing.masses is None:
            raise InputError("weigh: the packing has no masses; give the densities of its phases")
        return float(packing.masses.sum())
    lacking = [name for name in packing.phase_names if name not in densities]
    if lacking:
        raise InputError(f"weigh.densities: phase {lacking[0]!r} has none")
    for name, value in densities.items():
        check_number("weigh", f"densities[{name!r}]", value, above=0, upper=1e5, unit="kg/m3")
    each = np.array([densities[name] for name in packing.phase_names])
    return float(packing.volumes @ each[packing.phases])

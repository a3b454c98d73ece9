"""Composition and porosity of a packing against height, with their statistical errors.

Errors are those of beads that lie where they do independently of each other: the scatter of a sum
over beads is then the root of the sum of their squares. This holds for a phase that fills little of
the volume, such as a binder. Beads that fill much of it make room for each other and scatter less,
so that the errors of such a phase, and of the pores, are upper bounds.
"""

from dataclasses import dataclass

import numpy as np

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.packing.lines import lines_through
from femssb.packing.packing import Packing

MOST_BINS = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Composition:
    """Share of each phase and of pores in slices across z; phases and pores sum to one.

    Attributes:
        heights: Of the middle of the slices, shape (bins,) [m].
        phase_names: Of the packing.
        shares: Of the volume of each slice that a phase covers, shape (phases, bins).
        share_errors: Standard errors of `shares`.
        pores: Share that no sphere covers, shape (bins,); pores within spheres do not count.
        pore_errors: Standard errors of `pores`.
    """

    heights: Array
    phase_names: tuple[str, ...]
    shares: Array
    share_errors: Array
    pores: Array
    pore_errors: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Stratification:
    """How far the middle of a phase lies above that of all solids, over the thickness.

    Zero where the phases are mixed alike at every height, at most 1/2: a phase on top of all others
    that fill the lower half of the box.
    """

    value: float
    error: float  # standard error


@checked
def composition(packing: Packing, *, bins: int = 10) -> Composition:
    """Return the share of every phase and of pores in slices across z, overlaps counted once.

    Args:
        packing: Any; if z is periodic, the slices begin at the lower side of the box.
        bins: Number of slices.

    Raises:
        InputError: If there are no spheres, or too many slices or none.
    """
    check_number("composition", "bins", bins, lower=1, upper=MOST_BINS)
    n, kinds = len(packing.radii), len(packing.phase_names)
    if not n:
        raise InputError("composition: the packing has no spheres")
    lines = lines_through(packing)
    edges = np.linspace(packing.lower[2], packing.upper[2], bins + 1)
    shares, squares = np.empty((2, kinds, bins))
    before = np.zeros(n)
    for slice_, edge in enumerate(edges[1:]):
        below = np.clip(edge, lines.starts, lines.ends) - lines.starts
        covered = np.bincount(lines.spheres, below, n)
        own = covered - before  # of every sphere, in this slice
        shares[:, slice_] = np.bincount(packing.phases, own, kinds)
        squares[:, slice_] = np.bincount(packing.phases, own**2, kinds)
        before = covered
    whole = packing.lengths[0] * packing.lengths[1] * np.diff(edges) / lines.area
    shares, squares = shares / whole, squares / whole**2
    return Composition(
        heights=(edges[1:] + edges[:-1]) / 2,
        phase_names=packing.phase_names,
        shares=shares,
        share_errors=np.sqrt(squares),
        pores=1 - shares.sum(axis=0),
        pore_errors=np.sqrt(squares.sum(axis=0)),
    )


@checked
def stratification(packing: Packing, phase: str) -> Stratification:
    """Return how far the middle of a phase lies above that of all solids, over the thickness.

    Spheres count whole, at their centres.

    Args:
        packing: With planes across z.
        phase: Name of the phase.

    Raises:
        InputError: If z is periodic, so that nothing is above anything else, or there are no
            spheres of the phase.
    """
    if packing.periodic[2]:
        raise InputError("stratification: the packing is periodic across z")
    chosen = packing.of_phase(phase)
    if not chosen.any():
        raise InputError(f"stratification: the packing has no spheres of phase {phase!r}")
    heights = packing.positions[:, 2] / packing.lengths[2]
    all_of, own = packing.volumes, packing.volumes * chosen
    middle, middle_of_all = (np.average(heights, weights=w) for w in (own, all_of))
    pulls = own / own.sum() * (heights - middle) - all_of / all_of.sum() * (heights - middle_of_all)
    return Stratification(value=float(middle - middle_of_all), error=float(np.linalg.norm(pulls)))

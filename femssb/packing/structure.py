"""Structure of packings: porosity, coordination, overlaps, force chains, profiles and maps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.packing.lines import lines_through
from femssb.packing.neighbours import wrapped
from femssb.packing.packing import Packing, as_array
from femssb.packing.stress import contacts_of
from femssb.tables import LARGEST_NUMBER

MOST_BINS, MOST_BINS_ACROSS = 10_000, 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Porosity:
    """Share of a box that is not solid, in the two ways that differ once spheres overlap.

    Attributes:
        nominal: With every sphere counted whole, as if what overlaps swallow had moved elsewhere.
        union: Not covered by any sphere: overlaps count once, as on voxels.
        swallowed: Solid volume lost in overlaps and beyond planes, over all solid volume.
    """

    nominal: float
    union: float
    swallowed: float


@checked
def porosity(packing: Packing) -> Porosity:
    """Return the porosity of the box of a packing.

    The union of the spheres is measured along many lines across the box: exactly along a line, and
    to about 1e-4 over all.

    Raises:
        InputError: If there are no spheres.
    """
    if not len(packing.radii):
        raise InputError("porosity: the packing has no spheres, so that no share of them is lost")
    box = float(np.prod(packing.lengths))
    solid = float(packing.volumes.sum())
    covered = float(lines_through(packing).covered() / box)
    return Porosity(nominal=1 - solid / box, union=1 - covered, swallowed=1 - covered * box / solid)


@checked
def solid_profile(packing: Packing, *, bins: int = 50) -> tuple[Array, Array]:
    """Return the share of solids in slices across z, overlaps counted once.

    Args:
        packing: Any.
        bins: Number of slices.

    Returns:
        Heights of the middle of the slices [m] and shares, shapes (bins,).

    Raises:
        InputError: If there are too many slices, or none.
    """
    check_number("solid_profile", "bins", bins, lower=1, upper=MOST_BINS)
    edges = np.linspace(packing.lower[2], packing.upper[2], bins + 1)
    lines = lines_through(packing)
    below = np.array([lines.covered(edge) for edge in edges])
    slices = np.diff(edges) * packing.lengths[0] * packing.lengths[1]
    return (edges[1:] + edges[:-1]) / 2, np.diff(below) / slices


@checked
def thickness(packing: Packing) -> float:
    """Return the distance of the planes across z, or of the outermost surfaces without planes [m].

    Raises:
        InputError: If z is periodic.
    """
    if packing.periodic[2]:
        raise InputError("thickness: the packing is periodic across z")
    return float(packing.lengths[2])


@checked
def coordination(packing: Packing) -> Array:
    """Return how many contacts a sphere of one phase has with spheres of another, on average.

    Returns:
        Shape (phases, phases): row i, column j is the number with phase j of a sphere of phase i.

    Raises:
        InputError: If the packing has no contacts.
    """
    contacts = contacts_of(packing)
    ball = contacts.between_spheres & contacts.loaded
    kinds = len(packing.phase_names)
    pairs = packing.phases[contacts.first[ball]], packing.phases[contacts.second[ball]]
    table = np.zeros((kinds, kinds))
    np.add.at(table, pairs, 1)
    table += table.T
    return table / np.maximum(np.bincount(packing.phases, minlength=kinds), 1)[:, None]


@checked
def rattlers(packing: Packing) -> NDArray[np.bool_]:
    """Return which spheres have fewer than two contacts and so carry no load, shape (n,).

    Raises:
        InputError: If the packing has no contacts.
    """
    contacts = contacts_of(packing)
    loaded, ball = contacts.loaded, contacts.loaded & contacts.between_spheres
    touched = np.bincount(contacts.first[loaded], minlength=len(packing.radii))
    touched += np.bincount(contacts.second[ball], minlength=len(packing.radii))
    return touched < 2


@checked
def overlaps(packing: Packing, one: str, other: str) -> Array:
    """Return the overlaps between two phases over the smaller radius, shape (m,).

    Raises:
        InputError: If the packing has no contacts, or no such phase.
    """
    contacts = contacts_of(packing)
    ball = contacts.between_spheres
    first, second = contacts.first[ball], contacts.second[ball]
    a, b = packing.of_phase(one), packing.of_phase(other)
    asked = (a[first] & b[second]) | (b[first] & a[second])
    first, second = first[asked], second[asked]
    distance = np.linalg.norm(contacts.branches[ball][asked], axis=1)
    own, facing = packing.radii[first], packing.radii[second]
    return (own + facing - distance) / np.minimum(own, facing)


@checked
def force_chains(packing: Packing, *, above: float = 1.0) -> NDArray[np.int64]:
    """Return the contacts between spheres that carry more than most, for pictures.

    Args:
        packing: With contacts.
        above: Times the mean contact force.

    Returns:
        Rows in the contacts of the packing, strongest first, shape (m,).

    Raises:
        InputError: If the packing has no contacts, or the bound is below 0.
    """
    check_number("force_chains", "above", above, lower=0.0)
    contacts = contacts_of(packing)
    size = np.linalg.norm(contacts.forces, axis=1)
    carried = contacts.between_spheres
    if not carried.any():
        return np.empty(0, dtype=np.int64)
    strong = np.flatnonzero(carried & (size > above * size[carried].mean()))
    return strong[np.argsort(-size[strong], kind="stable")]


@checked
def profile(
    packing: Packing, values: Array, along: Array, *, bins: int = 20, by_volume: bool = False
) -> tuple[Array, Array]:
    """Return the mean of a value of spheres over bins of another, say stress along z or radius.

    Args:
        packing: Gives the volumes.
        values: Of every sphere, shape (n,).
        along: Of every sphere, shape (n,), such as ``packing.positions[:, 2]``.
        bins: Number of bins of equal width.
        by_volume: Whether spheres count by their volume; by number otherwise.

    Returns:
        Middle of the bins and means, shapes (bins,); nan where a bin is empty.

    Raises:
        InputError: If there is no sphere, or not a value for each; if there are too many bins, or
            none.
    """
    check_number("profile", "bins", bins, lower=1, upper=MOST_BINS)
    if not len(packing.radii):
        raise InputError("profile: the packing has no spheres")
    values = _of_spheres("profile", "values", values, packing)
    along = _of_spheres("profile", "along", along, packing)
    edges = np.linspace(along.min(), along.max(), bins + 1)
    weights = packing.volumes if by_volume else np.ones(len(values))
    total, _ = np.histogram(along, edges, weights=weights)
    summed, _ = np.histogram(along, edges, weights=weights * values)
    mean = np.divide(summed, total, out=np.full(bins, np.nan), where=total > 0)
    return (edges[1:] + edges[:-1]) / 2, mean


def _of_spheres(owner: str, name: str, given: Array, packing: Packing) -> Array:
    """Return numbers of spheres (n,), of which sums and differences do not overflow."""
    values = as_array(f"{owner}.{name}", given, np.float64, packing.radii.shape)
    largest = float(np.abs(values).max(initial=0.0))
    check_number(owner, f"{name} (largest)", largest, upper=LARGEST_NUMBER)
    return values


@checked
def heat_map(packing: Packing, values: Array, *, bins: int = 20) -> Array:
    """Return the mean of a value of spheres over the xy plane, through the whole thickness.

    Args:
        packing: Any.
        values: Of every sphere, shape (n,).
        bins: Along x and along y.

    Returns:
        Shape (bins, bins), first index along x; every sphere counts where its centre is, by its
        volume; nan where there is none.

    Raises:
        InputError: If there is not a value for each sphere; if there are too many bins, or none.
    """
    check_number("heat_map", "bins", bins, lower=1, upper=MOST_BINS_ACROSS)
    values = _of_spheres("heat_map", "values", values, packing)
    lengths = packing.lengths[:2]
    place = wrapped(packing.positions[:, :2] - packing.lower[:2], packing.period[:2])
    # Cells in a row, x slowest; a centre on the far side counts to the last cell.
    cells = np.clip((place / lengths * bins).astype(int), 0, bins - 1) @ [bins, 1]
    total = np.bincount(cells, packing.volumes, bins * bins).reshape(bins, bins)
    summed = np.bincount(cells, packing.volumes * values, bins * bins).reshape(bins, bins)
    return np.divide(summed, total, out=np.full((bins, bins), np.nan), where=total > 0)

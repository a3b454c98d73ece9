"""Random packings of spheres that do not overlap, up to the random close limit.

Spheres of the final size are thrown into the box at random and pushed apart: the sum of the squares
of their overlaps is minimised until none is left. From random starts this reaches the jamming
density, 0.64 for equal spheres (O'Hern, Silbert, Liu, Nagel 2003, doi:10.1103/PhysRevE.68.011306).
Beyond, spheres can be allowed to overlap a little, as particles do that were pressed flat.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from femssb.arrays import Array
from femssb.environment.compiled import njit
from femssb.errors import InputError, NotConverged, check_number, shown
from femssb.packing.neighbours import nearest_image, neighbours, wrapped
from femssb.packing.packing import Packing, sides_joined
from femssb.packing.recipe import check_seed
from femssb.packing.sizes import Sizes

MARGIN = 3e-4  # by which spheres are larger while pushed apart, so that they end up clear
SKIN = 0.2  # reach of a neighbour list beyond touching, in units of the smallest diameter
MOST_SPHERES = 2_000_000
SHAKE = 0.05  # displacements that get jammed spheres going, in units of the smallest radius,
MOST_SHAKE = 1.6  # and what they grow to, twice as large each time it fails
CLOSE = 1e-4  # of the volume fraction, where spheres overlap
MOST_ROUNDS = 20  # of scaling them until it is met


def pack_spheres(
    sizes: Sizes,
    *,
    fraction: float,
    lengths: Sequence[float],
    periodic: tuple[bool, bool, bool] = (True, True, True),
    phase: str = "AM",
    overlap: float = 0.0,
    seed: int = 1,
    most_steps: int = 20_000,
) -> Packing:
    """Pack spheres of given sizes at random, without overlap, to a given volume fraction.

    The number of spheres is whole; all diameters are scaled by one factor, kept in ``origin``, so
    that the fraction is exact.

    Args:
        sizes: Distribution of the diameters.
        fraction: Share of the box that is filled, up to about 0.63 for equal spheres [-].
        lengths: Edges of the box [m].
        periodic: Whether opposite sides are joined; if not, they are walls that spheres touch.
        phase: Name of the phase.
        overlap: How deep spheres may go into each other where they jam, over the distance at which
            they touch; what overlaps counts once in the fraction [-].
        seed: Of the random start; the same seed gives the same packing.
        most_steps: Steps of the minimisation after which the search ends without success.

    Raises:
        InputError: If an input is out of bounds, or the box is too small for the spheres.
        NotConverged: If the spheres jam before they are all free.
    """
    edges = _edges(lengths)
    periodic = sides_joined("pack_spheres.periodic", periodic)
    if not isinstance(sizes, Sizes):
        raise InputError(f"pack_spheres.sizes must be Sizes, got {shown(sizes)}")
    if not isinstance(phase, str) or not phase:
        raise InputError(f"pack_spheres.phase must be a name, got {shown(phase)}")
    check_number("pack_spheres", "fraction", fraction, above=0, below=1)
    check_number("pack_spheres", "overlap", overlap, lower=0, upper=0.2)
    check_seed("pack_spheres", seed)
    check_number("pack_spheres", "most_steps", most_steps, lower=1)
    listed = sizes.listed()
    largest = max(listed.diameters)
    for edge, side in zip(edges.tolist(), periodic, strict=True):
        need = largest * (2.1 if side else 1.05)
        if not need <= edge < np.inf:
            raise InputError(
                f"pack_spheres.lengths: an edge of {edge:g} m is too short for spheres of "
                f"{largest:g} m; it must be at least {need:g} m"
            )
    volume = fraction * float(np.prod(edges))
    counts = listed.counts(volume)
    number = int(counts.sum())
    if not 1 <= number <= MOST_SPHERES:
        raise InputError(f"pack_spheres: {number} spheres fill this box; 1 to {MOST_SPHERES} do")
    diameters = np.repeat(listed.diameters, counts)
    scale = float((volume / (np.pi / 6 * np.sum(diameters**3))) ** (1 / 3))
    if abs(scale - 1) > 0.05:
        raise InputError(
            f"pack_spheres: {number} spheres would need diameters {scale:.3f} times those asked "
            "for to reach the fraction; take a larger box"
        )
    radii = diameters * scale / 2
    random, joined = np.random.default_rng(seed), np.array(periodic)
    points = random.random((number, 3)) * edges
    steps, deepest = 0, 0.0
    for _ in range(MOST_ROUNDS):
        points, taken, deepest, lost = _separate(
            random, points, radii, edges, joined, overlap, most_steps - steps
        )
        steps += taken
        union = float(np.sum(radii**3) * 4 / 3 * np.pi) - lost
        if abs(union / volume - 1) < CLOSE:
            break
        radii = radii * (volume / union) ** (1 / 3)
    return Packing(
        positions=points,
        radii=radii,
        phases=np.zeros(number, dtype=np.int32),
        phase_names=(phase,),
        lower=np.zeros(3),
        upper=edges,
        periodic=periodic,
        origin={
            "generator": "pack_spheres",
            "seed": int(seed),
            "fraction": float(fraction),
            "diameters [m]": list(listed.diameters),
            "numbers": counts.tolist(),
            "diameter scale": float(radii[0] / diameters[0] * 2),
            "deepest overlap": deepest,
            "steps": steps,
        },
    )


def _edges(lengths: object) -> Array:
    """Return the edges of the box, shape (3,) [m]; how long they must be is not checked."""
    given = lengths if isinstance(lengths, (list, tuple, np.ndarray)) else ()
    numbers_only = all(isinstance(x, (int, float, np.number)) for x in given)
    if len(given) != 3 or not numbers_only or np.iscomplexobj(given):
        raise InputError(f"pack_spheres.lengths = {shown(lengths)} must be three lengths")
    return np.array(given, dtype=np.float64)


@njit(cache=True)
def _overlaps(x: Any, radii: Any, first: Any, second: Any, sides: Any, joined: Any) -> Any:
    """Return half the sum of the squared overlaps, its gradient, and the largest relative one."""
    gradient = np.zeros_like(x)
    energy = worst = 0.0
    step = np.empty(3)
    for pair in range(len(first)):
        i, j = first[pair], second[pair]
        reach = radii[i] + radii[j]
        square = 0.0
        for a in range(3):
            step[a] = x[i, a] - x[j, a]
            if joined[a]:
                step[a] -= sides[a] * np.round(step[a] / sides[a])
            square += step[a] ** 2
        if square >= reach**2:
            continue
        distance = np.sqrt(square)
        overlap = reach - distance
        energy += overlap**2 / 2
        worst = max(worst, overlap / reach)
        if distance > 0:
            for a in range(3):
                push = overlap * step[a] / distance
                gradient[i, a] -= push
                gradient[j, a] += push
    for i in range(len(x)):
        for a in range(3):
            if not joined[a]:
                low = radii[i] - x[i, a]
                high = x[i, a] + radii[i] - sides[a]
                overlap = max(low, high)
                if overlap > 0:
                    energy += overlap**2 / 2
                    worst = max(worst, overlap / (2 * radii[i]))
                    gradient[i, a] += overlap if high > low else -overlap
    return energy, gradient, worst


class _Overlaps:
    """Overlaps of spheres; pairs are searched again once one has moved by half the skin."""

    def __init__(self, radii: Array, sides: Array, joined: NDArray[np.bool_]) -> None:
        self.radii, self.sides, self.joined = radii, sides, joined
        self.period = np.where(joined, sides, 0.0)
        self.skin = SKIN * 2 * float(radii.min())
        self.searched_at = np.full((len(radii), 3), np.inf)
        self.first = self.second = np.empty(0, dtype=np.int64)
        self.worst = np.inf

    def __call__(self, flat: Array) -> tuple[float, Array]:
        """Return the energy of the overlaps and its gradient."""
        x = flat.reshape(-1, 3)
        if np.max(np.sum((x - self.searched_at) ** 2, axis=1)) > self.skin**2 / 4:
            self.searched_at = x.copy()
            self.first, self.second = neighbours(x, self.radii, self.period, self.skin, classes=1)
        energy, gradient, self.worst = _overlaps(
            x, self.radii, self.first, self.second, self.sides, self.joined
        )
        return energy, gradient.ravel()

    def lens_volume(self, x: Array, radii: Array) -> float:
        """Return the volume that lies in two spheres."""
        steps = nearest_image(x[self.first] - x[self.second], self.period)
        distance = np.sqrt(np.einsum("ij,ij->i", steps, steps))
        r, q = radii[self.first], radii[self.second]
        meet = distance < r + q
        d, r, q = distance[meet], r[meet], q[meet]
        lens = np.pi * (r + q - d) ** 2 * (d**2 + 2 * d * (r + q) - 3 * (r - q) ** 2) / (12 * d)
        return float(lens.sum())


def _separate(
    random: np.random.Generator,
    points: Array,
    radii: Array,
    sides: Array,
    joined: NDArray[np.bool_],
    allowed: float,
    most_steps: int,
) -> tuple[Array, int, float, float]:
    """Push spheres apart; return centres, steps taken, deepest overlap, volume that overlaps."""
    unit = 2 * float(radii.mean())
    edges, swollen = sides / unit, radii / unit * (1 + MARGIN)
    overlaps = _Overlaps(swollen, edges, joined)
    x, nearest = points / unit, swollen[:, None]  # nearest to walls
    x = np.where(joined, x, np.clip(x, nearest, edges - nearest))
    steps, shake = 0, SHAKE
    while steps < most_steps:

        def free(_: Array) -> None:
            if overlaps.worst < 0.9 * MARGIN:
                raise StopIteration

        options = {"maxiter": most_steps - steps, "maxfun": 10 * most_steps, "gtol": 0.0}
        options["ftol"] = 1e-5 if allowed else 1e-10
        with threadpool_limits(1):  # vectors this short are slower on several threads
            found = minimize(
                overlaps, x.ravel(), jac=True, method="L-BFGS-B", callback=free, options=options
            )
        steps += found.nit
        x = found.x.reshape(-1, 3)
        overlaps(found.x)
        if overlaps.worst < max(0.9 * MARGIN, allowed):
            lost = overlaps.lens_volume(x, swollen / (1 + MARGIN)) * unit**3
            deepest = max(0.0, overlaps.worst - MARGIN)
            return wrapped(x, overlaps.period) * unit, steps, deepest, lost
        # Jammed: shake and try again. A few spheres jam the same way until they are thrown again.
        x = x + shake * swollen.min() * random.standard_normal(x.shape)
        shake = min(2 * shake, MOST_SHAKE)
    raise NotConverged(
        f"pack_spheres: the spheres jam; after {steps} steps the deepest overlap is still "
        f"{overlaps.worst:.2g} of their distance, {allowed:g} is allowed: lower the fraction, "
        "widen the sizes, or allow more overlap"
    )

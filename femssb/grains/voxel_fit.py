"""A polycrystal from voxels of its grains: the Laguerre tessellation that divides them best.

The cell of a Laguerre tessellation is where one of the functions ``2 p_i x + w_i - |p_i|^2`` is the
largest. Those are linear in x, so finding sites and weights for voxels whose grains are known is
multinomial logistic regression: a convex problem, whatever the start. Adding one linear function to
all, and scaling all, moves no boundary: both are chosen such that sites lie near the centroids of
their grains.

Source: F. Aurenhammer, Power diagrams, SIAM J. Comput. 16 (1987), 10.1137/0216006: every partition
by the largest of linear functions is a power diagram.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError, check_number, shown
from femssb.grains.power_diagram import power_diagram
from femssb.inputs.geometry import MOST_GRAINS, Grain, Polycrystal

MOST_SAMPLES = 10_000  # voxels that are fitted, most of them at boundaries
SHARPNESS = (20.0, 80.0, 320.0)  # of the softmax, per radius: from blurred to sharp boundaries
PULL = 1e-6  # towards sites at the centroids, without which a perfect fit has no end
ITERATIONS = 150
FEWEST_VOXELS = 8  # of a grain


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VoxelFit:
    """A Laguerre tessellation fitted to the voxels of a particle.

    Attributes:
        particle: The polycrystal; its radius is that of the ball of the same volume.
        centre: Centre of the particle in the image, from its lower corner, (3,) [m].
        names: Label of each grain in the image, (n,).
        misfit: Share of the voxels that lie in another grain of the tessellation.
        voxel_volumes: Volumes of the grains by their voxels, (n,) [m3].
        volumes: Volumes of the cells of the tessellation in the ball, (n,) [m3].
        shape_misfit: Share of the voxels that lie outside the ball.
    """

    particle: Polycrystal
    centre: Array
    names: NDArray[np.int64]
    misfit: float
    voxel_volumes: Array
    volumes: Array
    shape_misfit: float

    def report(self) -> str:
        """Return the misfit in a few lines of text."""
        off = np.abs(self.volumes / self.voxel_volumes - 1)
        return "\n".join(
            [
                f"{len(self.names)} grains in a ball of radius {1e6 * self.particle.radius:.4g} um",
                f"{100 * self.misfit:.2f} % of the voxels lie in another grain, "
                f"{100 * self.shape_misfit:.2f} % outside the ball",
                f"volumes of grains are off by {100 * off.mean():.2f} % on average, "
                f"{100 * off.max():.2f} % at most (grain {self.names[int(np.argmax(off))]})",
            ]
        )


@checked
def from_voxels(
    labels: NDArray[np.int64],
    *,
    spacing: float,
    orientations: Array | None = None,
    seed: int = 1,
) -> VoxelFit:
    """Fit a Laguerre tessellation to the labelled voxels of one particle.

    Args:
        labels: Number of the grain of each voxel, 0 outside the particle, shape (nx, ny, nz), as
            kanapy and DREAM.3D write them.
        spacing: Edge of a voxel [m].
        orientations: Active rotations, columns are the crystal axes, shape (n_grains, 3, 3), in
            ascending order of the labels; by default drawn from the seed.
        seed: Of orientations that are not given, and of the voxels that are fitted.

    Returns:
        The polycrystal, for `HalfCell`, and how well it fits.

    Raises:
        InputError: If the labels are no whole numbers, grains are too many, too few or too small,
            or arguments are out of their bounds.
    """
    check_number("from_voxels", "spacing", spacing, lower=1e-10, upper=1e-4, unit="m")
    check_number("from_voxels", "seed", seed, lower=0)
    image = np.asarray(labels)
    if image.ndim != 3 or image.dtype.kind not in "iu" or not image.size or image.min() < 0:
        raise InputError(
            "from_voxels.labels must be whole numbers of shape (nx, ny, nz), 0 outside the "
            f"particle and above 0 in grains, got {shown(labels)}"
        )
    image = image.astype(np.int64)
    names, owner, count = np.unique(image[image > 0], return_inverse=True, return_counts=True)
    if not 1 <= len(names) <= MOST_GRAINS:
        raise InputError(f"from_voxels.labels hold {len(names)} grains; 1 to {MOST_GRAINS} can be")
    if count.min() < FEWEST_VOXELS:
        raise InputError(
            f"from_voxels: grain {names[np.argmin(count)]} has {count.min()} voxels; at least "
            f"{FEWEST_VOXELS} are needed"
        )
    given = None
    if orientations is not None:
        given = np.asarray(orientations)
        if given.shape != (len(names), 3, 3) or given.dtype.kind not in "iuf":
            raise InputError(
                f"from_voxels.orientations must be numbers of shape ({len(names)}, 3, 3), got "
                f"{shown(orientations)}"
            )
    places = (np.argwhere(image > 0) + 0.5) * spacing
    centre = places.mean(axis=0)
    radius = float(np.cbrt(3 / (4 * np.pi) * len(places) * spacing**3))
    x = (places - centre) / radius
    points, weights = _fit(x, owner, len(names), _at_boundaries(image)[image > 0], seed)
    diagram = power_diagram(points, weights)
    lift = (points**2).sum(axis=1) - weights
    parts = np.array_split(x, len(x) // 10**5 + 1)
    found = np.concatenate([np.argmin(lift - 2 * part @ points.T, axis=1) for part in parts])
    grains = tuple(
        Grain(
            point=tuple((radius * points[g]).tolist()),
            weight=float(radius**2 * weights[g]),
            orientation=None if given is None else given[g].tolist(),
        )
        for g in range(len(names))
    )
    return VoxelFit(
        particle=Polycrystal(radius=radius, grains=grains, seed=seed),
        centre=np.asarray(centre, dtype=np.float64),
        names=names,
        misfit=float((found != owner).mean()),
        voxel_volumes=np.asarray(count * spacing**3, dtype=np.float64),
        volumes=diagram.volumes * radius**3,
        shape_misfit=float((np.linalg.norm(x, axis=1) > 1).mean()),
    )


def _at_boundaries(image: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which voxels have another grain at one of their faces, (nx, ny, nz)."""
    found = np.zeros(image.shape, dtype=bool)
    for axis in range(3):
        before, after = [slice(None)] * 3, [slice(None)] * 3
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        low, high = image[tuple(before)], image[tuple(after)]
        differ = (low != high) & (low > 0) & (high > 0)
        found[tuple(before)] |= differ
        found[tuple(after)] |= differ
    return found


def _fit(
    x: Array, owner: NDArray[np.int64], n: int, outer: NDArray[np.bool_], seed: int
) -> tuple[Array, Array]:
    """Return sites and weights, in units of the radius; `outer` voxels lie at boundaries."""
    ones = np.bincount(owner, minlength=n)
    centroids = np.stack([np.bincount(owner, x[:, k], n) / ones for k in range(3)], axis=1)
    if n == 1:
        return centroids, np.zeros(1)
    random = np.random.default_rng([seed, 2])
    mixed = random.permutation(len(x))
    mixed = mixed[np.argsort(~outer[mixed], kind="stable")]  # those at boundaries first
    edge = min(int(outer.sum()), 4 * MOST_SAMPLES // 5)
    chosen = np.concatenate([mixed[:edge], mixed[int(outer.sum()) :][: MOST_SAMPLES - edge]])
    x, owner = x[chosen], owner[chosen]
    full = np.column_stack([x, np.ones(len(x))])
    radii = np.cbrt(ones / ones.sum())
    start = np.column_stack([2 * centroids, radii**2 - (centroids**2).sum(axis=1)])
    slopes, rows = start.copy(), np.arange(len(x))
    for sharpness in SHARPNESS:

        def loss(flat: Array, sharpness: float = sharpness) -> tuple[float, Array]:
            trial = flat.reshape(n, 4)
            scores = sharpness * full @ trial.T
            total = logsumexp(scores, axis=1)
            away = trial - start
            value = float((total - scores[rows, owner]).mean()) + PULL * float((away**2).sum())
            share = np.exp(scores - total[:, None])
            share[rows, owner] -= 1
            gradient = sharpness / len(x) * share.T @ full + 2 * PULL * away
            return value, gradient.ravel()

        options = {"maxiter": ITERATIONS, "ftol": 1e-12, "gtol": 1e-8}
        found = minimize(loss, slopes.ravel(), jac=True, method="L-BFGS-B", options=options)
        slopes = found.x.reshape(n, 4)
    # scale and shift that bring the sites nearest to the centroids
    sites, offsets = 0.5 * slopes[:, :3], slopes[:, 3]
    about, around = sites - sites.mean(axis=0), centroids - centroids.mean(axis=0)
    scale = float((about * around).sum() / max((about**2).sum(), 1e-300))
    scale = scale if scale > 0 else 1.0
    shift = centroids.mean(axis=0) - scale * sites.mean(axis=0)
    points = scale * sites + shift
    weights = scale * offsets + (points**2).sum(axis=1)
    return points, weights - weights.mean()

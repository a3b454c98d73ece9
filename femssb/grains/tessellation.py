"""Laguerre tessellation of a ball: grains with a size distribution and random orientations.

Sites are scattered, weighted so that every cell has the volume drawn for it, and moved to the
centroids of their cells a few times. Then they are moved a little more until no edge is short and
no facet cuts the sphere at a shallow angle: tetrahedra are only as good as the edges they must
keep. The result is still an exact power diagram; its statistics report sizes asked for and found.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from femssb.arrays import Array, Indices
from femssb.description import checked
from femssb.errors import InputError, check_number
from femssb.grains.power_diagram import PowerDiagram, power_diagram
from femssb.inputs.geometry import Grain, Polycrystal

CENTRINGS = 3  # moves of the sites to the centroids of their cells: rounder grains
SAMPLES = 20_000  # points of the ball over which centroids are averaged
FEWEST_SAMPLES = 30  # of a cell for its centroid to be that of the points in it
SHORTEST_EDGE = 0.15  # edge or arc, in units of the smallest grain next to it
SHALLOWEST_CUT = 0.05  # height of the cap that a facet cuts off the sphere, in units of its radius
MOST_MOVES = 200  # of the regularisation
SMALLEST_GRAIN = 0.01  # diameter below which a given grain is left out, in units of the radius


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """Sizes asked of a tessellation, and those found.

    Attributes:
        asked_diameters: Diameters of balls of the volumes drawn, or of the given cells, (n,) [m].
        diameters: Diameters of balls of the volumes of the grains, (n,) [m].
        shortest_edge_before: Shortest edge or arc before sites were moved apart [m].
        shortest_edge: Shortest edge or arc [m]; infinite if there is none.
        moves: Number of times that sites were moved to lengthen short edges.
        largest_move: Largest distance that these moves took a site [m].
        regular: True if every edge and every cut reached its bound.
        left_out: Indices of given grains that own next to nothing of the ball.
        attempt: 0 unless the mesh of the first tessellation was not good enough.
    """

    asked_diameters: Array
    diameters: Array
    shortest_edge_before: float
    shortest_edge: float
    moves: int
    largest_move: float
    regular: bool
    left_out: tuple[int, ...]
    attempt: int

    def report(self) -> str:
        """Return the statistics in a few lines of text."""

        def spread(diameters: Array) -> str:
            least, most, mean = 1e6 * diameters.min(), 1e6 * diameters.max(), 1e6 * diameters.mean()
            logarithm = np.log(diameters).std()
            return f"{least:.3g} to {most:.3g} um, mean {mean:.3g} um, spread {logarithm:.3f}"

        lines = [
            f"{len(self.diameters)} grains",
            f"diameters asked: {spread(self.asked_diameters)}",
            f"diameters found: {spread(self.diameters)}",
            f"shortest edge: {self.shortest_edge * 1e6:.3g} um, "
            f"{self.shortest_edge_before * 1e6:.3g} um before {self.moves} moves "
            f"of at most {self.largest_move * 1e6:.3g} um in all",
        ]
        if self.left_out:
            lines.append(f"given grains outside the ball: {len(self.left_out)}")
        if self.attempt:
            lines.append(f"attempt {self.attempt + 1}: earlier ones gave poor tetrahedra")
        return "\n".join(lines)


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Tessellation:
    """Grains of one ball, centred on the origin.

    Attributes:
        radius: Radius of the ball [m].
        points: Sites, (n, 3) [m].
        weights: Weights of the sites, (n,) [m2].
        orientations: Active rotations: columns are the crystal axes, (n, 3, 3).
        diagram: Facets, edges and neighbours, in units of the radius.
        statistics: Sizes asked for and found.
    """

    radius: float
    points: Array
    weights: Array
    orientations: Array
    diagram: PowerDiagram
    statistics: Statistics

    def __post_init__(self) -> None:
        """Check that there are as many of each."""
        check_number("Tessellation", "radius", self.radius, above=0, unit="m")
        count = np.size(self.points, 0) if np.ndim(self.points) else 0
        wanted = {"points": (count, 3), "weights": (count,), "orientations": (count, 3, 3)}
        for name, shape in wanted.items():
            if np.shape(found := getattr(self, name)) != shape or not np.isfinite(found).all():
                raise InputError(
                    f"Tessellation.{name} must be finite numbers of shape {shape}, got "
                    f"{np.shape(found)}"
                )

    @property
    def volumes(self) -> Array:
        """Return the volumes of the grains, exact, (n,) [m3]."""
        return self.diagram.volumes * self.radius**3


@checked
def tessellate(particle: Polycrystal, *, attempt: int = 0) -> Tessellation:
    """Fill a particle with grains; the same fields always give the same grains.

    Args:
        particle: Its radius, its grains or their number, its seed and the spread of sizes.
        attempt: Number of the retry; each moves the sites a little before short edges are removed.

    Raises:
        InputError: If an argument is of the wrong kind, or no given grain lies in the particle.
    """
    check_number("tessellate", "attempt", attempt, lower=0)
    rng = np.random.default_rng([particle.seed, 0])
    if isinstance(particle.grains, tuple):
        points, weights, kept = _given(particle.grains, particle.radius)
        targets = power_diagram(points, weights).volumes
    else:
        points, weights, targets = _grow(particle.grains, particle.size_spread, rng)
        kept = np.arange(particle.grains)
    if attempt:
        rng = np.random.default_rng([particle.seed, 0, attempt])
        points = points + 0.02 * len(points) ** (-1 / 3) * rng.normal(size=points.shape)
    moved, weights, penalty, moves, shortest_before = _regularise(points, weights, rng)
    diagram = power_diagram(moved, weights)
    scale = particle.radius
    statistics = Statistics(
        asked_diameters=_diameters(targets) * scale,
        diameters=_diameters(diagram.volumes) * scale,
        shortest_edge_before=shortest_before * scale,
        shortest_edge=_shortest(diagram) * scale,
        moves=moves,
        largest_move=float(np.linalg.norm(moved - points, axis=1).max()) * scale,
        regular=penalty == 0,
        left_out=tuple(np.setdiff1d(np.arange(particle.number_of_grains), kept).tolist()),
        attempt=attempt,
    )
    return Tessellation(
        radius=scale,
        points=moved * scale,
        weights=weights * scale**2,
        orientations=_orientations(particle)[kept],
        diagram=diagram,
        statistics=statistics,
    )


def random_orientations(count: int, seed: int) -> Array:
    """Return rotations uniform on SO(3), active, shape (count, 3, 3)."""
    # four normal numbers point in a direction uniform on the sphere of unit quaternions
    quaternions = np.random.default_rng([seed, 1]).normal(size=(count, 4))
    return np.asarray(Rotation.from_quat(quaternions).as_matrix())


def _orientations(particle: Polycrystal) -> Array:
    found = random_orientations(particle.number_of_grains, particle.seed)
    for index, grain in enumerate(particle.grains if isinstance(particle.grains, tuple) else ()):
        if grain.orientation is not None:
            found[index] = grain.orientation
    return found


def _diameters(volumes: Array) -> Array:
    """Return the diameters of balls of the given volumes."""
    return np.asarray(np.cbrt(6 / np.pi * np.maximum(volumes, 0.0)))


def _given(grains: tuple[Grain, ...], radius: float) -> tuple[Array, Array, Indices]:
    """Return sites and weights of given grains, without those that own nothing of the ball."""
    points = np.array([grain.point for grain in grains]) / radius
    weights = np.array([grain.weight for grain in grains]) / radius**2
    kept = np.arange(len(grains))
    while len(kept):
        volumes = power_diagram(points[kept], weights[kept]).volumes
        large = _diameters(volumes) > SMALLEST_GRAIN
        if large.all():
            return points[kept], weights[kept], kept
        kept = kept[large]
    raise InputError("Polycrystal.grains: none of the given grains lies in the particle")


def _grow(count: int, spread: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Scatter sites and weight them so that their cells have the volumes drawn for them."""
    points = _scatter(count, rng)
    targets = rng.lognormal(0.0, spread, count) ** 3
    targets *= 4 * np.pi / 3 / targets.sum()
    weights = np.zeros(count)
    ball = _scatter_evenly(SAMPLES, rng)
    for _ in range(CENTRINGS):
        weights = _fit_weights(points, weights, targets)
        points = _centroids(points, weights, ball)
    return points, _fit_weights(points, weights, targets), targets


def _centroids(points: Array, weights: Array, ball: Array) -> Array:
    """Return the centroids of the points of a ball in each cell, of its nodes in a small cell."""
    n = len(points)
    power = (points**2).sum(axis=1) - weights - 2 * ball @ points.T
    diagram = power_diagram(points, weights)
    node, slot = np.nonzero(diagram.owners >= 0)
    corners = (diagram.nodes[node], diagram.owners[node, slot], 1)
    centroids = points.copy()
    for cloud, owner, fewest in (corners, (ball, np.argmin(power, axis=1), FEWEST_SAMPLES)):
        number = np.bincount(owner, minlength=n)
        sums = [np.bincount(owner, weights=cloud[:, k], minlength=n) for k in range(3)]
        enough = number >= fewest
        centroids[enough] = np.stack(sums, axis=1)[enough] / number[enough, None]
    return centroids


def _scatter_evenly(count: int, rng: np.random.Generator) -> Array:
    """Return points uniform in the unit ball, shape (count, 3)."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.asarray(direction * rng.uniform(size=(count, 1)) ** (1 / 3))


def _scatter(count: int, rng: np.random.Generator) -> Array:
    """Scatter sites in the ball, each the farthest of a few candidates from those before it."""
    points = 0.8 * _scatter_evenly(1, rng)
    while len(points) < count:
        candidates = 0.9 * _scatter_evenly(8, rng)
        apart = np.linalg.norm(candidates[:, None] - points[None], axis=2).min(axis=1)
        points = np.vstack([points, candidates[np.argmax(apart)]])
    return points


def _fit_weights(points: Array, weights: Array, targets: Array) -> Array:
    """Find the weights that give cells the asked volumes: damped Newton on a concave problem.

    Source: F. Aurenhammer, F. Hoffmann, B. Aronov, Algorithmica 20 (1998), 10.1007/PL00009187.
    """
    n = len(points)
    diagram = power_diagram(points, weights)
    if diagram.volumes.min() <= 0:
        weights = np.zeros(n)  # every site then lies in its own cell
        diagram = power_diagram(points, weights)
    floor = 0.5 * min(diagram.volumes.min(), targets.min())
    for _ in range(50):
        defect = targets - diagram.volumes
        if np.abs(defect).max() < 1e-4 * targets.min():
            break
        i, j = diagram.pairs.T
        slope = np.zeros((n, n))  # dV_i/dw_j
        apart = np.linalg.norm(points[i] - points[j], axis=1)
        slope[i, j] = slope[j, i] = -diagram.areas / (2 * apart)
        slope[np.arange(n), np.arange(n)] = -slope.sum(axis=1)
        slope += slope.max() / n  # equal weights change nothing: fix their mean
        step = np.linalg.solve(slope, defect)
        damping = min(1.0, float(n ** (-2 / 3) / np.abs(step).max()))
        while damping > 1e-6:
            trial = weights + damping * step
            found = power_diagram(points, trial)
            gained = np.abs(targets - found.volumes).sum() < np.abs(defect).sum()
            if found.volumes.min() > floor and gained:
                weights, diagram = trial - trial.mean(), found
                break
            damping /= 2
        else:
            break  # no better weights: the statistics show how far sizes are off
    return weights


def _regularise(
    points: Array, weights: Array, rng: np.random.Generator
) -> tuple[Array, Array, float, int, float]:
    """Move sites until no edge is short and no facet cuts the sphere at a shallow angle.

    Each feature that misses its bound asks for the smallest change of its sites that would mend it
    to first order; all of these are added up, and now and then a little noise is. Returns points,
    weights, penalty (0 if no bound is missed), number of moves, and the shortest edge before them.
    """
    spacing = len(points) ** (-1 / 3)
    best, shortest, moves = (np.inf, points, weights), np.inf, 0
    for move in range(MOST_MOVES):
        diagram = power_diagram(points, weights)
        penalty, change = _mend(points, diagram)
        if move == 0:
            shortest = _shortest(diagram)
        if penalty < best[0]:
            best, moves = (penalty, points, weights), move
        if penalty == 0:
            break
        limit = 0.1 * spacing / np.maximum(np.linalg.norm(change[:, :3], axis=1), 0.1 * spacing)
        shift = 0.8 * limit[:, None] * change[:, :3]
        if move % 5 == 4 or _shortest(diagram) < 1e-6:
            touched = (change != 0).any(axis=1)[:, None] | (_shortest(diagram) < 1e-6)
            shift = shift + 0.02 * spacing * touched * rng.normal(size=points.shape)
        points = points + shift
        weights = weights + 0.8 * np.clip(change[:, 3], -0.1 * spacing, 0.1 * spacing) * spacing
    penalty, points, weights = best
    return points, weights, penalty, moves, shortest


def _mend(points: Array, diagram: PowerDiagram) -> tuple[float, Array]:
    """Return how far the diagram misses its bounds, and changes of its sites that mend it.

    The changes have shape (n, 4): of the points, and of the weights over the grain spacing.
    """
    spacing = len(points) ** (-1 / 3)
    change = np.zeros((len(points), 4))
    penalty = 0.0

    def add(cells: list[Indices], places: list[Array], factors: list[Array], miss: float) -> None:
        # moving along a face by dx changes the power difference of its sites, with
        # d(-power) = 2 (x - p) . dp + dw, so the factors below are per unit of that
        gradient = np.zeros_like(change)
        for three, place, factor in zip(cells, places, factors, strict=True):
            gradient[three, :3] += 2 * factor[:, None] * (place - points[three])
            gradient[three, 3] += factor * spacing
        size = (gradient**2).sum()
        if size > 0:
            change[...] += miss / size * gradient

    ends = _ends(diagram)
    along = diagram.nodes[ends[:, 0]] - diagram.nodes[ends[:, 1]]
    length = np.linalg.norm(along, axis=1)
    owners = diagram.owners[ends].reshape(-1, 8)
    adjacent = np.where(owners >= 0, _diameters(diagram.volumes)[owners], np.inf)
    bound = SHORTEST_EDGE * adjacent.min(axis=1)
    for k in np.flatnonzero(length < bound).tolist():
        penalty += 1 - length[k] / bound[k]
        direction = along[k] / max(length[k], 1e-12)
        cells, places, factors = [], [], []
        for node, sign in zip(ends[k].tolist(), (1.0, -1.0), strict=True):
            place, own = diagram.nodes[node], diagram.owners[node]
            own = own[own >= 0]
            faces = 2 * (points[own[1:]] - points[own[0]])
            if len(own) == 3:
                faces = np.vstack([faces, place])  # the node stays on the sphere
            if abs(np.linalg.det(faces)) < 1e-14:
                continue
            factor = -np.linalg.solve(faces.T, sign * direction)[: len(own) - 1]
            cells.append(own)
            places.append(place)
            factors.append(np.concatenate([[-factor.sum()], factor]))
        add(cells, places, factors, 1.3 * bound[k] - length[k])

    cut = np.unique(diagram.item_facet[diagram.item_angle > 0])
    height = 1 - np.abs(diagram.offsets[cut])
    for facet in cut[height < SHALLOWEST_CUT].tolist():
        offset = diagram.offsets[facet]
        miss = SHALLOWEST_CUT - (1 - abs(offset))
        penalty += miss / SHALLOWEST_CUT
        pair = diagram.pairs[facet]
        distance = float(np.linalg.norm(points[pair[1]] - points[pair[0]]))
        factor = -np.sign(offset) * np.array([1.0, -1.0]) / (2 * distance)
        add([pair], [offset * diagram.normals[facet]], [factor], miss + 0.3 * SHALLOWEST_CUT)
    return penalty, change


def _ends(diagram: PowerDiagram) -> Indices:
    """Return the nodes at the ends of all straight edges and arcs, (k, 2)."""
    return np.vstack([diagram.edges, diagram.item_nodes[diagram.arcs]])


def _shortest(diagram: PowerDiagram) -> float:
    """Return the shortest distance between the ends of an edge or arc."""
    ends = diagram.nodes[_ends(diagram)]
    return float(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).min(initial=np.inf))

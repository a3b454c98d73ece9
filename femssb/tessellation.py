"""Laguerre tessellation of a ball: grains with a size distribution and random orientations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from femssb.geometry import Polycrystal
from femssb.power_diagram import Array, PowerDiagram, power_diagram

LLOYD_STEPS = 3  # moves of the sites to the centroids of their cells: rounder grains
SAMPLES = 20_000  # points of the ball over which centroids are averaged


@dataclass(frozen=True, kw_only=True, slots=True)
class Tessellation:
    """Grains of one ball, centred on the origin."""

    radius: float  # [m]
    points: Array  # (n, 3) sites [m]
    weights: Array  # (n,) [m2]
    orientations: Array  # (n, 3, 3) active rotations: columns are the crystal axes
    diagram: PowerDiagram  # in units of the radius

    @property
    def volumes(self) -> Array:
        """Return the volumes of the grains, exact, (n,) [m3]."""
        return self.diagram.volumes * self.radius**3


def tessellate(particle: Polycrystal) -> Tessellation:
    """Fill a particle with grains, the same ones for the same fields."""
    n = particle.grains
    rng = np.random.default_rng(particle.seed)
    points = _scatter(n, rng)
    targets = np.sort(rng.lognormal(0.0, 0.2, n))[::-1] ** 3
    targets *= 4 * np.pi / 3 / targets.sum()
    weights = np.zeros(n)
    ball = _scatter_uniform(SAMPLES, rng)
    for _ in range(LLOYD_STEPS):
        weights = _fit_weights(points, weights, targets)
        power = (points**2).sum(axis=1) - weights - 2 * ball @ points.T
        owner = np.argmin(power, axis=1)
        count = np.maximum(np.bincount(owner, minlength=n), 1)
        points = np.stack(
            [np.bincount(owner, weights=ball[:, k], minlength=n) / count for k in range(3)], axis=1
        )
    weights = _fit_weights(points, weights, targets)
    orientations = Rotation.random(n, rng=rng).as_matrix()
    return Tessellation(
        radius=particle.radius,
        points=points * particle.radius,
        weights=weights * particle.radius**2,
        orientations=orientations,
        diagram=power_diagram(points, weights),
    )


def _scatter_uniform(n: int, rng: np.random.Generator) -> Array:
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.asarray(direction * rng.uniform(size=(n, 1)) ** (1 / 3))


def _scatter(n: int, rng: np.random.Generator) -> Array:
    """Scatter sites in the ball, each the farthest of a few candidates from those before it."""
    points = _scatter_uniform(1, rng) * 0.8
    while len(points) < n:
        candidates = _scatter_uniform(8, rng) * 0.9
        apart = np.linalg.norm(candidates[:, None] - points[None], axis=2).min(axis=1)
        points = np.vstack([points, candidates[np.argmax(apart)]])
    return points


def _fit_weights(points: Array, weights: Array, targets: Array) -> Array:
    """Find the weights that give cells the asked volumes: damped Newton on a convex problem.

    Source: F. Aurenhammer, F. Hoffmann, B. Aronov, Algorithmica 20 (1998), 10.1007/PL00009187.
    """
    n = len(points)
    if n == 1:
        return np.zeros(1)
    diagram = power_diagram(points, weights)
    if diagram.volumes.min() <= 0:
        weights = np.zeros(n)
        diagram = power_diagram(points, weights)
    for _ in range(50):
        defect = targets - diagram.volumes
        if np.abs(defect).max() < 1e-8:
            break
        floor = 0.5 * min(diagram.volumes.min(), targets.min())
        slope = np.diag(diagram.transport.sum(axis=1)) - diagram.transport
        step = np.linalg.lstsq(slope, defect, rcond=None)[0]
        damping = 1.0
        while damping > 1e-6:
            trial = weights + damping * step
            found = power_diagram(points, trial - trial.mean())
            gained = np.abs(targets - found.volumes).sum() < np.abs(defect).sum()
            if found.volumes.min() > floor and gained:
                break
            damping /= 2
        weights, diagram = trial - trial.mean(), found
    return weights

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
    history: list

    @property
    def volumes(self) -> Array:
        """Return the volumes of the grains, exact, (n,) [m3]."""
        return self.diagram.volumes * self.radius**3


def tessellate(particle: Polycrystal, **kw) -> Tessellation:
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
    points, weights, hist = _regularise(points, weights, rng, **kw)
    orientations = Rotation.random(n, rng=rng).as_matrix()
    return Tessellation(
        radius=particle.radius,
        points=points * particle.radius,
        weights=weights * particle.radius**2,
        orientations=orientations,
        diagram=power_diagram(points, weights),
        history=hist,
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
    diagram = power_diagram(points, weights)
    if diagram.volumes.min() <= 0:
        weights = np.zeros(n)
        diagram = power_diagram(points, weights)
    for _ in range(50):
        defect = targets - diagram.volumes
        if np.abs(defect).max() < 1e-6 * targets.mean():
            break
        floor = 0.5 * min(diagram.volumes.min(), targets.min())
        i, j = diagram.pairs.T
        slope = np.zeros((n, n))
        slope[i, j] = slope[j, i] = -diagram.areas / (
            2 * np.linalg.norm(points[i] - points[j], axis=1)
        )
        slope[np.arange(n), np.arange(n)] = -slope.sum(axis=1)
        slope += slope.max() / n  # constant weights change nothing
        step = np.linalg.solve(slope, defect)
        damping = 1.0
        while damping > 1e-6:
            trial = weights + damping * step
            found = power_diagram(points, trial)
            gained = np.abs(targets - found.volumes).sum() < np.abs(defect).sum()
            if found.volumes.min() > floor and gained:
                break
            damping /= 2
        weights, diagram = trial - trial.mean(), found
    return weights


SHORT = 0.08
SHALLOW = 0.05


def _regularise(points, weights, rng, short=SHORT, shallow=SHALLOW, steps=300):
    n = len(points)
    spacing = n ** (-1 / 3)
    points, weights = points.copy(), weights.copy()
    best = (np.inf, points, weights)
    hist = []
    for it in range(steps):
        d = power_diagram(points, weights)
        size = np.cbrt(6 / np.pi * np.maximum(d.volumes, 0))
        # lengths: straight edges and arcs
        arcs = (d.item_angle > 0) & (d.item_nodes[:, 0] >= 0)
        ends = np.vstack([d.edges, d.item_nodes[arcs]])
        a, b = ends.T
        e = d.nodes[a] - d.nodes[b]
        length = np.linalg.norm(e, axis=1)
        owners = np.hstack([d.owners[a], d.owners[b]])
        scale = np.where(owners >= 0, size[owners], np.inf).min(axis=1)
        bound = short * scale
        bad = length < bound
        penalty = (1 - length[bad] / bound[bad]).sum()
        # shallow planes
        cut = np.unique(d.item_facet[d.item_angle > 0])
        depth = 1 - np.abs(d.offsets[cut])
        flat = cut[depth < shallow]
        penalty += (1 - (1 - np.abs(d.offsets[flat])) / shallow).sum()
        hist.append((penalty, bad.sum(), len(flat)))
        if penalty < best[0]:
            best = (penalty, points.copy(), weights.copy())
        if penalty == 0:
            break
        dp, dw = np.zeros_like(points), np.zeros(n)
        for k in np.flatnonzero(bad):
            u = e[k] / max(length[k], 1e-12)
            co = np.zeros(n)
            gp = np.zeros((n, 3))
            for node, sign in ((a[k], 1.0), (b[k], -1.0)):
                x = d.nodes[node]
                own = d.owners[node]
                own = own[own >= 0]
                M = np.zeros((3, 3))
                M[: len(own) - 1] = 2 * (points[own[1:]] - points[own[0]])
                if len(own) == 3:
                    M[2] = x
                try:
                    y = np.linalg.solve(M.T, sign * u)
                except np.linalg.LinAlgError:
                    continue
                c = -y[: len(own) - 1]
                co[own[1:]] += c
                co[own[0]] -= c.sum()
                gp[own[1:]] += c[:, None] * 2 * (x - points[own[1:]])
                gp[own[0]] -= c.sum() * 2 * (x - points[own[0]])
            gw = co * spacing
            g2 = (gp**2).sum() + (gw**2).sum()
            t = (1.3 * bound[k] - length[k]) / g2
            dp += t * gp
            dw += t * gw * spacing
        for f in flat:
            i, j = d.pairs[f]
            x = d.offsets[f] * d.normals[f]
            c = 1 / (2 * np.linalg.norm(points[i] - points[j]))
            s = -np.sign(d.offsets[f])  # want offset*s to grow
            gp = np.zeros((n, 3))
            gw = np.zeros(n)
            gp[i] = s * c * 2 * (x - points[i])
            gp[j] = -s * c * 2 * (x - points[j])
            gw[i] = s * c * spacing
            gw[j] = -s * c * spacing
            g2 = (gp**2).sum() + (gw**2).sum()
            t = (1.3 * shallow - (1 - abs(d.offsets[f]))) / g2
            dp += t * gp
            dw += t * gw * spacing
        big = np.linalg.norm(dp, axis=1)
        cap = 0.1 * spacing
        dp *= np.minimum(1, cap / np.maximum(big, 1e-300))[:, None]
        dw = np.clip(dw, -cap * spacing, cap * spacing)
        touched = big > 0
        noise = 0.02 * spacing * rng.normal(size=points.shape) * touched[:, None]
        points = points + 0.8 * dp + noise * (it % 5 == 4)
        weights = weights + 0.8 * dw
        weights -= weights.mean()
    return best[1], best[2], hist

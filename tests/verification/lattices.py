"""Cubic lattices of spheres: the effective conductivity by Rayleigh's multipole series.

A sphere of radius a and conductivity k in a matrix of conductivity 1, with a contact resistance b a
on its surface, answers a potential A r^l Y_lm by B r^-(l+1) Y_lm with

    B = -T_l a^(2 l + 1) A,    T_l = (k (1 - b l) - 1) / (k (1 + b (l + 1)) + (l + 1) / l)

and A is the mean field and what all other spheres of the lattice send. With the field along a cube
edge only odd l and multiples of 4 of m are there. The sums over the lattice of solid harmonics of
degree L = l + l' converge at once but for small L, where they are done by Ewald's method; that of
L = 2 depends on the shape of the whole, and is 4 pi n / 3 for a given mean field.

Source: Rayleigh, Phil. Mag. 34 (1892) 481; McPhedran and McKenzie, doi:10.1098/rspa.1978.0031 (SC),
McKenzie, McPhedran and Derrick, doi:10.1098/rspa.1978.0129 (BCC, FCC); Nijboer and de Wette,
Physica 23 (1957) 309, for the sums; the surface resistance as in Cheng and Torquato,
doi:10.1098/rspa.1997.0074.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy import special

CENTRES = {  # of the spheres of a cell, over its edge
    "SC": [(0, 0, 0)],
    "BCC": [(0, 0, 0), (0.5, 0.5, 0.5)],
    "FCC": [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)],
}
EWALD = 12  # degree below which a sum over the lattice is split
FAST = 20  # degree from which near neighbours are enough
SPLIT = 2.0  # inverse length at which


def conductivity_of_lattice(
    kind: str, fraction: float, ratio: float, resistance: float = 0.0, degree: int = 25
) -> float:
    """Return the conductivity of a lattice over that of its matrix.

    Args:
        kind: "SC", "BCC" or "FCC".
        fraction: Share of the volume in the spheres, which must not touch [-].
        ratio: Conductivity of a sphere over that of the matrix, also infinite.
        resistance: Of the surface, times the conductivity of the matrix, over the radius [-].
        degree: Highest l.
    """
    number = len(CENTRES[kind])
    radius = (3 * fraction / (4 * math.pi * number)) ** (1 / 3)
    terms = [(k, m) for k in range(1, degree + 1, 2) for m in range(0, k + 1, 4)]
    answer, scale = np.empty(len(terms)), np.empty(len(terms))
    poor, good = (0.0, 1.0) if ratio == math.inf else (1.0, ratio)
    for n, (k, m) in enumerate(terms):
        answer[n] = (good * (1 - resistance * k) - poor) / (
            good * (1 + resistance * (k + 1)) + poor * (k + 1) / k
        )
        logs = (2 * k + 1) * math.log(radius) - math.lgamma(k + m + 1) - math.lgamma(k - m + 1)
        scale[n] = math.exp(logs / 2)
    sent = np.empty((len(terms), len(terms)))
    for n, (k, m) in enumerate(terms):
        for o, (p, q) in enumerate(terms):
            both = _sum(kind, k + p, m + q) + _sum(kind, k + p, abs(m - q))
            sent[n, o] = -both * (1 if m > 0 else 0.5) * scale[n] * scale[o]
    sent[0, 0] = -4 * math.pi * number / 3 * scale[0] ** 2
    field = np.zeros(len(terms))
    field[0] = scale[0]
    arriving = np.linalg.solve(np.eye(len(terms)) + sent * answer, field)
    dipole = -answer[0] * scale[0] * arriving[0]
    return 1 - 4 * math.pi * number * dipole


@cache
def _sum(kind: str, degree: int, order: int) -> float:
    """Return the sum over all sites but one of (L - M)! P_LM cos(M phi) / r^(L + 1)."""
    if degree < 4 or order > degree:
        return 0.0
    reach = 7 if degree < EWALD else 12 if degree < FAST else 4
    n = np.arange(-reach, reach + 1)
    cells = np.stack(np.meshgrid(n, n, n, indexing="ij"), -1).reshape(-1, 3)
    sites = np.concatenate([cells + centre for centre in np.array(CENTRES[kind])])
    sites = sites[np.any(sites != 0, axis=1)]
    values, lengths = _harmonic(sites, degree, order)
    if degree >= EWALD:
        return float(np.sum(values / lengths ** (degree + 1)))
    half = degree + 0.5
    near = values * special.gammaincc(half, (SPLIT * lengths) ** 2) / lengths ** (degree + 1)
    waves = cells[np.any(cells != 0, axis=1)]
    phases = np.array([waves @ np.array(centre) for centre in CENTRES[kind]])
    structure = np.cos(2 * math.pi * phases).sum(axis=0)
    values, lengths = _harmonic(2 * math.pi * waves, degree, order)
    far = structure * values * lengths ** (degree - 2) * np.exp(-((lengths / (2 * SPLIT)) ** 2))
    sign = (-1) ** (degree // 2)
    factor = sign * 4 * math.pi**1.5 / 2**degree / math.gamma(half)
    return float(near.sum() + factor * far.sum())


def _harmonic(points: np.ndarray, degree: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (L - M)! P_LM cos(M phi) of each point, and its distance."""
    lengths = np.linalg.norm(points, axis=1)
    angle = np.arctan2(points[:, 1], points[:, 0])
    polynomial = special.assoc_legendre_p(degree, order, points[:, 2] / lengths)[0]
    return math.factorial(degree - order) * polynomial * np.cos(order * angle), lengths

"""A made-up run with the shape of a real one: fields and series by formula, no solver."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.spatial import ConvexHull, Delaunay

from femssb.results.fields import FieldData, Snapshot
from femssb.results.quantities import COLUMNS, PARTICLE_COLUMNS, of_particle
from femssb.results.solution import Solution, StepRecord
from femssb.units import FARADAY, GPa, nm, um

RADIUS = 5 * um
CHARGE_END, DISCHARGE_END = 3103.0, 6111.0  # [s]
AMOUNT, AMPLITUDE = 24.659e-12, 21.5e-12  # lithium at the start, lithium taken [mol]


def depth_of_charge(time):
    """Return the share of the way to the charge end, 0 to 1 and back to 0.04."""
    return np.interp(time, [0, CHARGE_END, DISCHARGE_END], [0, 1, 0.04])


def mean_gap(time):
    """Return the mean gap [m]: closed at first, then a rapid opening, partial recovery."""
    opening = 14.3 / (1 + np.exp(-(depth_of_charge(time) - 0.85) / 0.04))
    return np.where(time <= CHARGE_END, opening, opening * 1.2 + 0.25).clip(0, 14.3) * nm


def series(times, particles):
    """Return every column of a time series, by formula."""
    depth = depth_of_charge(times)
    charging = times <= CHARGE_END
    y = 1 - depth * AMPLITUDE / AMOUNT
    voltage = 4.6356 - 1.8985 * y + 0.6564 * np.tanh(2.508 * (y - 0.6694))
    voltage -= 0.3757 * np.tanh(37.0 * (y - 0.9856))
    voltage += np.where(charging, 0.02, -0.02)
    current = np.where(charging, -1, 1) * 0.664e-9
    lithium = AMOUNT - depth * AMPLITUDE
    stress, strain, gap = 2.6 * GPa * depth**0.7, -0.0253 * depth, mean_gap(times)
    steps = np.diff(times, prepend=0.0)
    passed = -depth * AMPLITUDE * FARADAY
    lost = [share * 0.02 * np.abs(current) for share in (0.01, 0.3, 0.04, 0.15, 0.2, 0.3)]
    values = [
        times, (~charging).astype(int), np.ones(len(times)), voltage, current,
        passed, passed / 3600, np.full(len(times), 298.15), steps, lithium,
        gap, 3.8 * gap, (gap > 5 * nm) * 0.4, np.clip(gap / (9 * nm), 0, 1), 1e-3 * gap,
        gap * 3e5, gap * 9e5,
        stress, 0.8 * stress, 0.65 * stress, 0.3 * stress,
        strain, 0.85 * strain, 0.75 * strain, 0.4 * strain, 0.1 * strain, 0.05 * strain,
        -0.01 * strain, 0.41 * strain,
        47000 - 44000 * depth, 47095 - 40000 * depth, 0 * times, 0 * times,
        1e-11 * np.sin(times), 1e-9 * np.cos(times),
        (voltage - np.where(charging, 0.02, -0.02)) * current, *lost, 0 * times,
        gap * 2e-4, gap * 1e-6, 0 * times, np.full(len(times), 0.5),
        np.full(len(times), 6), np.zeros(len(times), int), np.full(len(times), 3),
    ]  # fmt: skip
    columns = dict(zip(COLUMNS, values, strict=True))
    shares = np.linspace(0.9, 1.1, particles) / particles
    for row, share in enumerate(shares / shares.sum()):
        own = [share * lithium, gap, 3.8 * gap, stress, 0.65 * stress, strain, 0.85 * strain]
        own[1:] = [(0.9 + 0.1 * row) * values for values in own[1:]]
        for name, values in list(zip(PARTICLE_COLUMNS, own, strict=True))[
            : 7 if particles > 1 else 1
        ]:
            columns[of_particle(name, row + 1)] = values
    return columns


def ball(spacing, rng):
    """Return points of a ball around the origin, its surface points first, and their number."""
    n = int(4 * np.pi * RADIUS**2 / spacing**2)
    turn = np.arange(n) * np.pi * (3 - np.sqrt(5))
    z = 1 - (2 * np.arange(n) + 1) / n
    surface = np.stack([np.cos(turn), np.sin(turn)]) * np.sqrt(1 - z**2)
    inside = rng.uniform(-1, 1, (int(8 * (RADIUS / spacing) ** 3), 3))
    inside = inside[np.linalg.norm(inside, axis=1) < 1 - 0.6 * spacing / RADIUS]
    return RADIUS * np.vstack([np.column_stack([*surface, z]), inside]), n


def half_cell(particles, spacing, grains, rng):
    """Return (points, cells, grain, particle) of the balls, (points, cells) outside, triangles."""
    points, surface = ball(spacing, rng)
    cells = Delaunay(points).simplices.astype(int)
    hull = ConvexHull(points[:surface])
    seeds = rng.normal(size=(grains, 3))
    seeds *= (
        RADIUS * rng.uniform(0, 1, (grains, 1)) ** 0.33 / np.linalg.norm(seeds, axis=1)[:, None]
    )
    centroids = points[cells].mean(axis=1)
    grain = ((centroids[:, None] - seeds[None]) ** 2).sum(axis=2).argmin(axis=1)
    centres = [np.array([0, 0, (7.5 + 12 * row) * um]) for row in range(particles)]
    inside = (
        np.vstack([points + centre for centre in centres]),
        np.vstack([cells + row * len(points) for row in range(particles)]),
        np.concatenate([grain + row * grains for row in range(particles)]),
        np.repeat(np.arange(particles), len(cells)),
    )
    top = (25 + 12 * (particles - 1)) * um
    axes = [np.arange(-7.5, 7.51, 1.5) * um] * 2 + [np.linspace(0, top, int(top / (1.5 * um)))]
    box = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    for centre in centres:
        box = box[np.linalg.norm(box - centre, axis=1) > RADIUS + 0.5 * um]
    skin = np.vstack([points[:surface] + centre for centre in centres])
    outer = np.vstack([skin, box])
    tets = Delaunay(outer).simplices.astype(int)
    owner = np.where(tets < len(skin), tets // surface, -1)
    alone = (owner == owner[:, :1]).all(axis=1) & (owner[:, 0] >= 0)
    edges = outer[tets[:, 1:]] - outer[tets[:, :1]]
    alone |= np.abs(np.linalg.det(edges)) < 1e-6 * um**3  # flat ones between points of a lattice
    triangles = np.vstack([hull.simplices.astype(int) + row * surface for row in range(particles)])
    return inside, (outer, tets[~alone]), (skin, triangles)


def snapshot(cell, time, label, rng):
    """Return the fields at a time, by formula."""
    (points, cells, grain, particle), (outer, tets), (skin, triangles) = cell
    depth = float(depth_of_charge(time))
    middle = np.array([[0, 0, (7.5 + 12 * row) * um] for row in range(particle.max() + 1)])

    def radius(where):
        return np.linalg.norm(where[:, None] - middle[None], axis=2).min(axis=1) / RADIUS

    contrast = np.random.default_rng(3).normal(size=grain.max() + 1)[grain]
    centroids, away = points[cells].mean(axis=1), radius(outer[tets].mean(axis=1))
    strain = -0.018 * depth * (1 + 0.25 * contrast)
    stress = 1.3 * GPa * depth * (0.4 + 0.5 * np.abs(contrast)) * (0.6 + 0.6 * radius(centroids))
    tensor = np.array([1, 1, 1, 0, 0, 0]) / 3
    swing = 6000 * depth * (1.2 if time <= CHARGE_END else -1) * (0.6 - radius(points) ** 2)
    lithium = 47095 - 41000 * depth + swing
    direction = skin / RADIUS
    pattern = 1 + 0.9 * np.sin(3 * direction[:, 0] + 1) * np.cos(2 * direction[:, 1])
    gap = float(mean_gap(time)) * pattern
    return Snapshot(
        time=time,
        label=label,
        particle=FieldData(
            points=points,
            cells=cells,
            point_data={
                "Concentration [mol/m3]": lithium,
                "Displacement [m]": -0.006 * depth * (points - [0, 0, 7.5 * um]),
                "Hydrostatic stress [Pa]": 0.2 * GPa * depth * (1 - radius(points)),
            },
            cell_data={
                "Von Mises stress [Pa]": stress,
                "Volumetric strain [-]": strain,
                "Stress [Pa]": stress[:, None] * tensor,
                "Strain [-]": strain[:, None] * tensor,
                "Grain [-]": grain,
                "Particle [-]": particle,
            },
        ),
        matrix=FieldData(
            points=outer,
            cells=tets,
            point_data={
                "Ionic potential [V]": 1e-3 * outer[:, 2] / um,
                "Electronic potential [V]": np.where(outer[:, 2] < 15 * um, 4.0, np.nan),
                "Displacement [m]": np.zeros_like(outer),
            },
            cell_data={
                "Von Mises stress [Pa]": 0.3 * GPa * depth * away**-3.0,
                "Stress [Pa]": np.zeros((len(tets), 6)),
                "Strain [-]": np.zeros((len(tets), 6)),
                "Region [-]": (outer[tets][:, :, 2].mean(axis=1) > 15 * um).astype(int),
            },
        ),
        interface=FieldData(
            points=skin,
            cells=triangles,
            point_data={
                "Gap [m]": gap,
                "Spent fracture energy [-]": np.clip(gap / (20 * nm), 0, 1),
                "Stiffness damage [-]": np.clip(gap / (1 * nm), 0, 1),
                "Normal traction [Pa]": 1e8 * depth * pattern,
            },
            cell_data={"Interface current [A/m2]": np.full(len(triangles), 2.1)},
        ),
    )


@cache
def solution(particles=1, spacing=1.6 * um, grains=12, charge_only=False, snapshots=True):
    """Return a made-up run; equal arguments give the same run, made once."""
    rng = np.random.default_rng(1)
    charge = StepRecord(
        description="Charge 1C until 4.3 V", kind="charge", start_row=0, end_row=40,
        start_time=0.0, end_time=CHARGE_END, ended_by="voltage",
    )  # fmt: skip
    discharge = StepRecord(
        description="Discharge 1C until 3 V", kind="discharge", start_row=40, end_row=80,
        start_time=CHARGE_END, end_time=DISCHARGE_END, ended_by="voltage",
    )  # fmt: skip
    times = np.linspace(0, CHARGE_END, 41)
    chosen = {0.0: "start", CHARGE_END / 2: "charge middle", CHARGE_END: "charge end"}
    if not charge_only:
        times = np.append(times, np.linspace(CHARGE_END, DISCHARGE_END, 41)[1:])
        chosen[(CHARGE_END + DISCHARGE_END) / 2] = "discharge middle"
        chosen[DISCHARGE_END] = "discharge end"
    fields = ()
    if snapshots:
        cell = half_cell(particles, spacing, grains, rng)
        fields = tuple(snapshot(cell, time, label, rng) for time, label in chosen.items())
    return Solution(
        series=series(times, particles),
        steps=(charge,) if charge_only else (charge, discharge),
        snapshots=fields,
        case={"size": 0.8e-6, "protocol": [{"c_rate": 1.0, "until_voltage": 4.3}]},
        performance={
            "wall_time": 402.5, "ranks": 2, "peak_memory": 2.1e9, "factorisations": 31,
            "rejected_steps": 2, "failed_steps": 1,
            "versions": {"femssb": "0.1.0", "dolfinx": "0.11.0"},
        },
    )  # fmt: skip

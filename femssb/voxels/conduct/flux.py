"""A flux from plate to plate: voxels become a network, which is solved for its currents.

Axes and components have the flux direction first.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.arrays import Array
from femssb.description import checked
from femssb.errors import InputError
from femssb.voxels.conduct import links
from femssb.voxels.conduct.conjugate_gradients import solve
from femssb.voxels.conduct.currents import flow
from femssb.voxels.conduct.hierarchy import Hierarchy
from femssb.voxels.conduct.links import Slab
from femssb.voxels.conduct.multigrid import Multigrid
from femssb.voxels.conduct.network import Network, Single, assemble, percolating

BLOCK = 16  # planes to whose multiples thick slabs are cut: aggregates do not cross ranks


@dataclass(frozen=True, kw_only=True, eq=False)
class FluxProblem:
    """Voxels between two plates.

    Attributes:
        labels: Phase of every voxel, shape (n0, n1, n2).
        conductivities: Of every label [S/m].
        spacing: Edges of a voxel [m].
        periodic: Whether the two lateral pairs of sides are joined.
        contacts: Contact resistance between two labels [ohm m2].
        faces: As for `femssb.voxels.conduct.links.from_faces`, instead of what labels give.
        cut: Returns the network of a slab of cut voxels, its links to the lower plate and its unit
            [S], instead of what labels give.
    """

    labels: NDArray[Any]
    conductivities: Array
    spacing: tuple[float, float, float]
    periodic: tuple[bool, bool]
    contacts: Mapping[tuple[int, int], float]
    faces: Sequence[NDArray[Any]] | None
    cut: Callable[..., tuple[Network, Single, float]] | None = None


@checked
@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Work of a solve.

    Attributes:
        iterations: Steps of conjugate gradients.
        nodes: Voxels in clusters that reach both plates; if there are none, nothing was solved.
        ranks: Number of MPI ranks.
        threads: Of each rank.
        times: Wall time of each stage [s].
    """

    iterations: int
    nodes: int
    ranks: int
    threads: int
    times: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class FluxSolution:
    """Currents for 1 V between the plates; the same on every rank.

    Attributes:
        row: Mean current density times distance of the plates, shape (3,) [S/m].
        error: Distance of ``row[0]`` from the farther of its bounds [S/m].
        imbalance: Largest relative difference of the current through a plane from the mean [-].
        maps: Potential, shape (n0, n1, n2), NaN where nothing flows [V], and current density, shape
            (n0, n1, n2, 3) [A/m2]; None unless asked for.
        cost: Work done.
    """

    row: Array
    error: float
    imbalance: float
    maps: tuple[Array, Array] | None
    cost: Cost


def solve_flux(
    problem: FluxProblem, *, tolerance: float, maps: bool, threads: int, comm: Any
) -> FluxSolution:
    """Solve for the flux between the plates, with the voxels whole on every rank.

    The tolerance is the proven error of the conductance, over its value.
    There are that many threads by now: `femssb.environment.compiled.on_threads`.

    Raises:
        InputError: If there are more ranks than pairs of planes.
        NotConverged: If the bounds stay apart.
    """
    clock = {"start": time.perf_counter()}
    shape = problem.labels.shape
    slab = cut(shape[0], comm)
    network, lower, unit = _network(problem, slab, comm, clock)
    row, error, imbalance, iterations = np.zeros(3), 0.0, 0.0, 0
    potential, currents = np.empty(0), np.empty((0, 3))
    if network.total > 0:
        hierarchy = Hierarchy(network, shape, comm)
        clock["hierarchy"] = time.perf_counter()
        linear = 1 - (network.voxels // (shape[1] * shape[2]) + 0.5) / shape[0]
        solved = solve(Multigrid(hierarchy), lower, linear, tolerance=tolerance)
        clock["iterations"] = time.perf_counter()
        potential, iterations = solved.potential, solved.iterations
        extended = hierarchy.halos[0].extend(potential)
        planes, total, currents = flow(
            *(hierarchy.parts[0], network, lower, extended),
            shape=shape,
            periodic=problem.periodic,
            at_nodes=maps,
        )
        planes, total = hierarchy.sum(planes), hierarchy.sum(total)
        lengths = np.multiply(shape, problem.spacing)
        scale = unit * lengths[0] / np.prod(lengths)
        row = scale * total * problem.spacing
        row[0] = scale * lengths[0] * solved.conductance
        error = float(scale * lengths[0] * solved.error)
        imbalance = float(np.abs(planes / planes.mean() - 1).max())
        currents *= unit
    drawn = _maps(problem, network, potential, currents, comm) if maps else None
    clock["currents"] = time.perf_counter()
    ranks = 1 if comm is None else comm.size
    times = {stage: now - last for (_, last), (stage, now) in pairwise(clock.items())}
    cost = Cost(
        iterations=iterations, nodes=network.total, ranks=ranks, threads=threads, times=times
    )
    return FluxSolution(row=row, error=error, imbalance=imbalance, maps=drawn, cost=cost)


def _network(
    problem: FluxProblem, slab: Slab, comm: Any, clock: dict[str, float]
) -> tuple[Network, Single, float]:
    """Return the network that percolates, what links it to the lower plate, and its unit [S]."""
    if problem.cut is not None:
        found = problem.cut(slab=slab)
        clock["network"] = time.perf_counter()
        return found
    if problem.faces is None:
        conductances = links.from_labels(
            problem.labels,
            problem.conductivities,
            spacing=problem.spacing,
            periodic=problem.periodic,
            slab=slab,
            contacts=problem.contacts,
        )
    else:
        conductances = links.from_faces(problem.faces, periodic=problem.periodic, slab=slab)
    clock["links"] = time.perf_counter()
    active = percolating(conductances, slab, comm)
    clock["percolation"] = time.perf_counter()
    network, lower = assemble(conductances, active, slab, comm)
    clock["network"] = time.perf_counter()
    return network, lower, conductances.unit


def cut(planes: int, comm: Any, owner: str = "conductivity") -> Slab:
    """Return the planes of this rank: about as many each, most blocks of voxels left whole."""
    if comm is None:
        return Slab(start=0, stop=planes, planes=planes)
    share = planes // comm.size
    if share < 2:
        raise InputError(
            f"{owner}.comm has {comm.size} ranks for {planes} planes: at least two each"
        )
    even = BLOCK if share >= 4 * BLOCK else 2
    start, stop = (planes * rank // comm.size // even * even for rank in (comm.rank, comm.rank + 1))
    return Slab(start=start, stop=planes if comm.rank == comm.size - 1 else stop, planes=planes)


def _maps(
    problem: FluxProblem, network: Network, potential: Array, currents: Array, comm: Any
) -> tuple[Array, Array]:
    """Return the potential and the current density of every voxel, on every rank."""
    areas = np.prod(problem.spacing) / np.array(problem.spacing)
    parts = [(network.voxels, potential, currents / areas)]
    if comm is not None:
        parts = comm.allgather(parts[0])
    whole = np.full(problem.labels.shape, np.nan)
    density = np.zeros((*problem.labels.shape, 3))
    for voxels, values, vectors in parts:
        whole.reshape(-1)[voxels[::-1]] = values[::-1]  # the first node of a voxel is its centre's
        np.add.at(density.reshape(-1, 3), voxels, vectors)
    return whole, density

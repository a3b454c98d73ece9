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
from femssb.voxels.conduct.links import Longs, Slab
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
        error: Distance of the conductivity along the flux from the farther of its bounds [S/m].
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
    if network.total == 0:
        return _nothing(problem, clock, maps=maps, threads=threads, comm=comm)
    hierarchy = Hierarchy(network, shape, comm)
    clock["hierarchy"] = time.perf_counter()
    options: dict[str, Any] = {"tolerance": tolerance, "maps": maps, "threads": threads}
    return _through(problem, hierarchy, lower, unit, clock, **options)


def solve_fluxes(
    problem: FluxProblem, *, tolerance: float, maps: bool, threads: int
) -> list[FluxSolution]:
    """Solve for the fluxes along all three axes; the four other sides insulate each time.

    Only the links to the plates differ, so all three share their network and its coarser copies.
    Periodic sides would add other links each time, and with them other copies.

    Raises:
        NotConverged: As `solve_flux` does.
    """
    clock = {"start": time.perf_counter()}
    labels, shape, spacing = problem.labels, problem.labels.shape, np.array(problem.spacing)
    slab = cut(shape[0], None)
    joined = links.from_labels(
        labels,
        problem.conductivities,
        spacing=problem.spacing,
        periodic=(False, False),
        slab=slab,
        contacts=problem.contacts,
    )
    # Between i and i + 1 along each axis; the last ones are closed.
    upward = np.concatenate([joined.along[1:-1], np.zeros_like(joined.along[:1])])
    between = upward, joined.second, joined.third
    to_plate = 2 * np.prod(spacing) / spacing**2 / joined.unit  # of 1 S/m
    clock["links"] = time.perf_counter()
    carries = []
    for axis in range(3):
        order = [axis, (axis + 1) % 3, (axis + 2) % 3]
        along, second, third = (np.ascontiguousarray(between[a].transpose(order)) for a in order)
        ends = problem.conductivities[labels.take([0, -1], axis)].transpose(order)
        ends = (to_plate[axis] * ends).astype(np.float32)
        along = np.concatenate([ends[:1], along[:-1], ends[1:]])
        turned = links.Links(along=along, second=second, third=third, unit=joined.unit)
        found = percolating(turned, cut(shape[axis], None))
        carries.append(found.transpose(np.argsort(order)))
    clock["percolation"] = time.perf_counter()
    network, _ = assemble(joined, np.any(carries, axis=0), slab)
    clock["network"] = time.perf_counter()
    if network.total == 0:
        return [_nothing(problem, clock, maps=maps, threads=threads, comm=None) for _ in range(3)]
    places = np.unravel_index(network.voxels, shape)
    sigma = problem.conductivities[labels[places]]
    options: dict[str, Any] = {"tolerance": tolerance, "maps": maps, "threads": threads}
    hierarchy, solutions = None, []
    for axis in range(3):
        here = carries[axis][places]
        plate = np.where(here, to_plate[axis] * sigma, 0.0).astype(np.float32)
        lower = plate * (places[axis] == 0)
        # What carries nothing along this axis is held at the upper plate.
        ground = np.where(here, lower + plate * (places[axis] == shape[axis] - 1), 1)
        ground = ground.astype(np.float32)
        if hierarchy is None:
            hierarchy = Hierarchy(network._replace(ground=ground), shape)
        else:
            hierarchy = hierarchy.grounded(ground)
        clock["hierarchy"] = time.perf_counter()
        solutions.append(
            _through(
                *(problem, hierarchy, lower, joined.unit, clock), **options, flux=axis, carries=here
            )
        )
        clock = {"start": time.perf_counter()}
    return solutions


def _through(
    problem: FluxProblem,
    hierarchy: Hierarchy,
    lower: Single,
    unit: float,
    clock: dict[str, float],
    *,
    tolerance: float,
    maps: bool,
    threads: int,
    flux: int = 0,
    carries: NDArray[np.bool_] | None = None,
) -> FluxSolution:
    """Return the flux along an axis; `carries` are nodes that carry some, None: all."""
    shape, network, comm = problem.labels.shape, hierarchy.levels[0], hierarchy.comm
    if carries is None:
        carries = np.ones(network.nodes, np.bool_)
    nodes = int(hierarchy.sum(int(np.count_nonzero(carries))))
    if nodes == 0:
        return _nothing(problem, clock, maps=maps, threads=threads, comm=comm)
    place = np.unravel_index(network.voxels, shape)[flux]
    linear = np.where(carries, 1 - (place + 0.5) / shape[flux], 0.0)
    solved = solve(Multigrid(hierarchy), lower, linear, tolerance=tolerance)
    clock["iterations"] = time.perf_counter()
    planes, total, currents = flow(
        *(hierarchy.parts[0], network, lower, hierarchy.halos[0].extend(solved.potential)),
        shape=shape,
        periodic=problem.periodic,
        at_nodes=maps,
        flux=flux,
    )
    planes, total = hierarchy.sum(planes), hierarchy.sum(total)
    lengths = np.multiply(shape, problem.spacing)
    scale = unit * lengths[flux] / np.prod(lengths)
    row = scale * total * problem.spacing
    row[flux] = scale * lengths[flux] * solved.conductance
    drawn = None
    if maps:
        fields = network.voxels[carries], solved.potential[carries], unit * currents[carries]
        drawn = _maps(problem, *fields, comm)
    clock["currents"] = time.perf_counter()
    return FluxSolution(
        row=row,
        error=float(scale * lengths[flux] * solved.error),
        imbalance=float(np.abs(planes / planes.mean() - 1).max()),
        maps=drawn,
        cost=_cost(clock, solved.iterations, nodes, threads, comm),
    )


def _nothing(
    problem: FluxProblem, clock: dict[str, float], *, maps: bool, threads: int, comm: Any
) -> FluxSolution:
    """Return the flux through what does not percolate."""
    none = np.empty(0, np.int64), np.empty(0), np.empty((0, 3))
    drawn = _maps(problem, *none, comm) if maps else None
    cost = _cost(clock, 0, 0, threads, comm)
    return FluxSolution(row=np.zeros(3), error=0.0, imbalance=0.0, maps=drawn, cost=cost)


def _cost(clock: dict[str, float], iterations: int, nodes: int, threads: int, comm: Any) -> Cost:
    times = {stage: now - last for (_, last), (stage, now) in pairwise(clock.items())}
    ranks = 1 if comm is None else comm.size
    return Cost(iterations=iterations, nodes=nodes, ranks=ranks, threads=threads, times=times)


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
    problem: FluxProblem, voxels: Longs, potential: Array, currents: Array, comm: Any
) -> tuple[Array, Array]:
    """Return the potential and the current density of every voxel, on every rank."""
    areas = np.prod(problem.spacing) / np.array(problem.spacing)
    parts = [(voxels, potential, currents / areas)]
    if comm is not None:
        parts = comm.allgather(parts[0])
    whole = np.full(problem.labels.shape, np.nan)
    density = np.zeros((*problem.labels.shape, 3))
    for places, values, vectors in parts:
        whole.reshape(-1)[places[::-1]] = values[::-1]  # the first node of a voxel is its centre's
        np.add.at(density.reshape(-1, 3), places, vectors)
    return whole, density

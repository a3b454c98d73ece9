"""A flux from plate to plate: from voxels over their network to what flows.

Axes and components have the flux direction first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from femssb.errors import InputError
from femssb.voxels.conduct import links
from femssb.voxels.conduct.conjugate_gradients import Solver, solve
from femssb.voxels.conduct.currents import flow
from femssb.voxels.conduct.hierarchy import Hierarchy
from femssb.voxels.conduct.links import Slab
from femssb.voxels.conduct.multigrid import Multigrid
from femssb.voxels.conduct.network import Array, Network, Single, assemble, percolating


@dataclass(frozen=True, kw_only=True, eq=False)
class FluxProblem:
    """Voxels between two plates; axes and components have the flux direction first.

    Attributes:
        labels: Phase of every voxel, shape (n0, n1, n2).
        conductivities: Of every label [S/m].
        spacing: Edges of a voxel [m].
        periodic: Whether the two lateral pairs of sides are joined.
        contacts: Contact resistance between two labels [ohm m2].
        normals: As for `femssb.voxels.conduct.links.from_labels`.
        faces: As for `femssb.voxels.conduct.links.from_faces`, instead of what labels give.
    """

    labels: NDArray[Any]
    conductivities: Array
    spacing: tuple[float, float, float]
    periodic: tuple[bool, bool]
    contacts: Mapping[tuple[int, int], float]
    normals: NDArray[Any] | None
    faces: Sequence[NDArray[Any]] | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        n0, n1, n2 = self.labels.shape
        return n0, n1, n2


@dataclass(frozen=True, kw_only=True, eq=False)
class FluxSolution:
    """What flows for 1 V between the plates; the same on every rank.

    Attributes:
        row: Mean current density times distance of the plates, shape (3,) [S/m].
        error: Half the distance between the bounds of ``row[0]`` [S/m].
        imbalance: Largest relative difference of the current through a plane from the mean.
        iterations: Steps taken.
        nodes: Voxels that carry current.
        potential: Shape (n0, n1, n2), NaN at others; None unless asked for [V].
        density: Current density, shape (n0, n1, n2, 3); None unless asked for [A/m2].
        times: Wall time of each stage [s].
    """

    row: Array
    error: float = 0.0
    imbalance: float = 0.0
    iterations: int = 0
    nodes: int = 0
    potential: Array | None = None
    density: Array | None = None
    times: Mapping[str, float]


def solve_flux(
    problem: FluxProblem,
    *,
    tolerance: float,
    maximum_iterations: int,
    maps: bool,
    comm: Any,
    on_petsc: bool,
) -> FluxSolution:
    """Solve for the flux between the plates.

    Args:
        problem: The voxels, whole on every rank.
        tolerance: Half the distance between the bounds of the conductance, over their mean.
        maximum_iterations: Steps after which it has failed.
        maps: Whether to return potential and current density.
        comm: Communicator of mpi4py, or None if alone.
        on_petsc: Whether PETSc solves.

    Raises:
        InputError: If there are more ranks than pairs of planes.
        NotConverged: If the bounds stay apart.
    """
    clock = _Clock()
    slab = cut(problem.shape[0], comm)
    network, lower, unit = _network(problem, slab, comm, clock)
    if network.total == 0:
        empty = np.full(problem.shape, np.nan), np.zeros((*problem.shape, 3))
        potential, density = empty if maps else (None, None)
        return FluxSolution(
            row=np.zeros(3), potential=potential, density=density, times=clock.times
        )
    hierarchy = Hierarchy(network, problem.shape, comm)
    clock.lap("hierarchy")
    solver = _solver(hierarchy, on_petsc)
    clock.lap("solver")
    plane = network.voxels // (problem.shape[1] * problem.shape[2])
    solved = solve(
        solver,
        lower,
        1 - (plane + 0.5) / problem.shape[0],
        tolerance=tolerance,
        maximum_iterations=maximum_iterations,
    )
    clock.lap("iterations")
    currents = flow(
        network,
        lower,
        hierarchy.halos[0].extend(solved.potential),
        shape=problem.shape,
        periodic=problem.periodic,
        at_nodes=maps,
    )
    planes, total = hierarchy.sum(currents.planes), hierarchy.sum(currents.total)
    lengths = np.multiply(problem.shape, problem.spacing)
    scale = unit * lengths[0] / np.prod(lengths)
    row = scale * total * problem.spacing
    row[0] = scale * lengths[0] * solved.conductance
    potential = density = None
    if maps:
        potential, density = _maps(problem, network, solved.potential, unit * currents.nodes, comm)
    clock.lap("currents")
    return FluxSolution(
        row=row,
        error=float(scale * lengths[0] * solved.error),
        imbalance=float(np.abs(planes / planes.mean() - 1).max()),
        iterations=solved.iterations,
        nodes=network.total,
        potential=potential,
        density=density,
        times=clock.times,
    )


def _network(
    problem: FluxProblem, slab: Slab, comm: Any, clock: _Clock
) -> tuple[Network, Single, float]:
    """Return the network that percolates, what links it to the lower plate, and its unit [S]."""
    if problem.faces is None:
        conductances = links.from_labels(
            problem.labels,
            problem.conductivities,
            spacing=problem.spacing,
            periodic=problem.periodic,
            slab=slab,
            contacts=problem.contacts,
            normals=problem.normals,
        )
    else:
        conductances = links.from_faces(problem.faces, periodic=problem.periodic, slab=slab)
    clock.lap("links")
    active = percolating(conductances, slab, comm)
    clock.lap("percolation")
    network, lower = assemble(conductances, active, slab, comm)
    clock.lap("network")
    return network, lower, conductances.unit


def cut(planes: int, comm: Any) -> Slab:
    """Return the planes of this rank: about as many each, blocks of voxels mostly left whole."""
    if comm is None:
        return Slab(start=0, stop=planes, planes=planes)
    share = planes // comm.size
    if share < 2:
        raise InputError(
            f"conductivity.comm has {comm.size} ranks for {planes} planes: at least two each"
        )
    even = 16 if share >= 64 else 2
    start, stop = (planes * rank // comm.size // even * even for rank in (comm.rank, comm.rank + 1))
    return Slab(start=start, stop=planes if comm.rank == comm.size - 1 else stop, planes=planes)


def _solver(hierarchy: Hierarchy, on_petsc: bool) -> Solver:
    if not on_petsc:
        return Multigrid(hierarchy)
    from femssb.voxels.conduct.petsc_solver import PetscSolver

    return PetscSolver(hierarchy)


def _maps(
    problem: FluxProblem,
    network: Network,
    potential: Array,
    currents: Array,
    comm: Any,
) -> tuple[Array, Array]:
    """Return the potential and the current density of every voxel, on every rank."""
    areas = np.prod(problem.spacing) / np.array(problem.spacing)
    parts = [(network.voxels, potential, currents / areas)]
    if comm is not None:
        parts = comm.allgather(parts[0])
    whole = np.full(problem.shape, np.nan)
    density = np.zeros((*problem.shape, 3))
    for voxels, values, vectors in parts:
        whole.reshape(-1)[voxels] = values
        density.reshape(-1, 3)[voxels] = vectors
    return whole, density


class _Clock:
    """Wall time of stages, one after the other."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.times[stage] = now - self._last
        self._last = now

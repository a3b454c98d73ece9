"""Conduction through voxel images: femssb, TauFactor and PoreSpy on the same images, all cores.

    python benchmarks/voxels.py --part all               # every figure of the README, ten minutes
    python benchmarks/voxels.py                          # the comparison, minutes
    python benchmarks/voxels.py --part ours --size 64 128 200
    python benchmarks/voxels.py --part threads --size 128 200   # one thread against all
    python benchmarks/voxels.py --part tensor --size 96         # three solves, alone and together
    mpirun -n 2 python benchmarks/voxels.py --part large --size 300
    python benchmarks/voxels.py --part bandwidth         # what large machines need
    python benchmarks/voxels.py --part shape --size 128  # against the truth of a lattice

Three cases, periodic, of spheres that overlap at random: `pores` is what spheres of 10 voxels
leave, 40 %, at 1 | 0 S/m; `carbon` has active material at 0.005, carbon at 15.93 and the rest at
0 S/m; `ions` is the same image with the active material at 1e-4 and the electrolyte at 1 S/m.

Times are wall time and CPU seconds of all threads together, per million voxels of the whole box;
all tools have the same number of threads, by default one for each core (`--threads`). Memory is
what a solve adds to the process at its peak, per voxel. A tool's error is against the exact
solution of its own discretisation: the plates of TauFactor (several phases) lie a voxel beyond the
image, those of PoreSpy at the centres of the first and last voxels. The proven error of femssb is
shown next to the true one. `ratio` is the wall time of a tool over that of femssb at the loosest
tolerance at which its true error is no larger.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import io
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module, util
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from femssb.environment.compiled import most_threads
from femssb.packing import Packing
from femssb.units import um
from femssb.voxels import (
    VoxelImage,
    conductivity,
    conductivity_tensor,
    cut_voxels,
    from_array,
    voxelise,
)

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the series that the tests use
from tests.verification.lattices import CENTRES, conductivity_of_lattice

CASES = {
    "pores": {"pores": 1.0},
    "carbon": {"AM": 0.005, "CBD": 15.93},
    "ions": {"AM": 1e-4, "SE": 1.0},
}
TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
MOST_STEPS = 2000  # of TauFactor, which would run indefinitely in some cases
HEAD = (
    "| case | voxels | sides | tool | it | wall s/Mvox | CPU s/Mvox | B/voxel | sigma [S/m] "
    "| error | ratio |"
)
THREADS = most_threads()
ALL = {  # part: voxels along an edge
    "compare": [64, 100, 128],
    "threads": [128, 200],
    "ours": [128, 200],
    "tensor": [96],
    "bandwidth": [128],
    "shape": [32, 64, 128, 200],
}
SOLID = 0.6  # share of the spheres of `shape`


@dataclass
class Cost:
    """CPU time [s], wall time [s] and memory [bytes] of what runs under `measure`."""

    cpu: float = 0.0
    wall: float = 0.0
    memory: float = 0.0


@contextlib.contextmanager
def measure() -> Iterator[Cost]:
    """Measure what a block costs; its memory is the rise of the resident set to its peak."""
    cost = Cost()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before does not count as there
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = resident("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    yield cost
    cost.cpu, cost.wall = time.process_time() - cpu, time.perf_counter() - wall
    cost.memory = resident("VmHWM") - before


def resident(field: str) -> float:
    """Return an entry of the memory of this process [bytes]."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return float(line.split()[1]) * 1024
    raise OSError(f"this system does not report {field}")


def spheres(radius: float, share: float, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return which voxels lie in spheres, as many as cover that share on average."""
    random = np.random.default_rng(seed)
    number = round(-math.log(1 - share) * math.prod(shape) / (4 / 3 * math.pi * radius**3))
    packing = Packing(
        positions=random.random((number, 3)) * shape * um,
        radii=np.full(number, radius * um),
        phases=np.zeros(number),
        phase_names=("AM",),
        lower=np.zeros(3),
        upper=np.array(shape) * um,
        periodic=(True, True, True),
    )
    return voxelise(packing, spacing=um).labels


def image_of(case: str, size: int) -> VoxelImage:
    """Return the image of a case; `carbon` and `ions` share theirs."""
    shape = (size, size, size)
    if case == "pores":
        labels = spheres(10, 0.6, shape, 1)
        names: tuple[str, ...] = ("pores", "solid")
    else:
        labels = np.full(shape, 3, np.uint8)  # SE
        labels[spheres(6, 0.1, shape, 4) > 0] = 0
        labels[spheres(4, 0.27, shape, 3) > 0] = 2
        labels[spheres(12, 0.449, shape, 2) > 0] = 1
        names = ("void", "AM", "CBD", "SE")
    labels.flags.writeable = False
    return from_array(labels, phase_names=names, spacing=1.0, periodic=(True, True, True))


def reference(case: str, image: VoxelImage, sides: Any, plates: float, shift: int) -> float:
    """Return the conductivity, solved exactly, with links to the plates `plates` times as strong.

    Args:
        case: Name of the case.
        image: Its image.
        sides: As for `conductivity`.
        plates: 1 for plates at the outer faces, 1/2 a voxel beyond, large for voxel centres.
        shift: By how much the distance of the plates is longer than the image, in voxels.
    """
    table = np.array([CASES[case].get(name, 0.0) for name in image.phase_names], np.float32)
    sigma = table[image.labels]
    faces = []
    for axis in range(3):
        other = np.roll(sigma, -1, axis)
        total = sigma + other
        face = np.divide(2 * sigma * other, total, out=np.zeros_like(sigma), where=total > 0)
        if axis == 2:
            ends = [2 * plates * sigma[:, :, :1], 2 * plates * sigma[:, :, -1:]]
            face = np.concatenate([ends[0], face[:, :, :-1], ends[1]], axis=2)
        elif sides == "insulating":
            face[(slice(None),) * axis + (-1,)] = 0
        faces.append(face)
    found = conductivity(image, CASES[case], sides=sides, faces=faces, tolerance=1e-8)
    return found.value * (image.shape[2] + shift) / image.shape[2]


def ours(
    case: str, image: VoxelImage, sides: Any, tolerance: float, comm: Any = None
) -> tuple[Any, Cost]:
    """Solve and return the result and what it cost."""
    with measure() as cost:
        found = conductivity(
            image,
            CASES[case],
            sides=sides,
            tolerance=tolerance,
            threads=THREADS if comm is None else None,
            comm=comm,
        )
    return found, cost


def taufactor(case: str, image: VoxelImage, sides: str, criterion: float, limit: int) -> Any:
    """Solve by TauFactor; return iterations, sigma, and its plates as for `reference`."""
    package = import_module("taufactor")
    labels = np.moveaxis(image.labels, 2, 0)
    if case == "pores":
        kind = package.PeriodicSolver if sides == "periodic" else package.Solver
        solver = kind((labels == 0).astype(np.uint8), device="cpu")
        plates = (1.0, 0)
    else:
        conducts = {image.label(name): value for name, value in CASES[case].items()}
        chosen = np.where(np.isin(labels, list(conducts)), labels, 0)
        solver = package.MultiPhaseSolver(chosen, conducts, device="cpu")
        plates = (0.5, 1)
    solver.solve(verbose=False, conv_crit=criterion, iter_limit=limit)
    return solver.iter, float(solver.D_eff[0]), plates


def porespy(case: str, image: VoxelImage) -> Any:
    """Solve by PoreSpy; return no iterations, sigma, and its plates as for `reference`."""
    found = import_module("porespy").simulations.tortuosity_fd(image.labels == 0, axis=2)
    return "-", 1 / float(found.formation_factor), (1e5, -1)


def tools(case: str, image: VoxelImage, sides: str) -> dict[str, Callable[[], Any]]:
    """Return what else can solve a case, as far as it is installed."""
    found: dict[str, Callable[[], Any]] = {}
    if util.find_spec("taufactor") and util.find_spec("torch"):
        import_module("torch").set_num_threads(THREADS)
        if case == "pores" or sides == "insulating":
            for criterion in (1e-2, 1e-3):
                found[f"TauFactor {criterion:g}"] = lambda c=criterion: taufactor(
                    case, image, sides, c, MOST_STEPS
                )
    if util.find_spec("porespy") and case == "pores" and sides == "insulating":
        found["PoreSpy"] = lambda: porespy(case, image)
    return found


def warm_up() -> None:
    """Load and compile everything with a small image, so that this is in no time."""
    for case, sides in (("pores", "insulating"), ("ions", "insulating")):
        image = image_of(case, 24)
        conductivity(image, CASES[case])
        quietly(tools(case, image, sides))


def quietly(solvers: dict[str, Callable[[], Any]]) -> dict[str, tuple[Any, Cost, str]]:
    """Return what each solver finds, what it costs and what it prints."""
    found = {}
    for name, solve in solvers.items():
        noise = io.StringIO()
        with contextlib.redirect_stdout(noise), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with measure() as cost:
                answer = solve()
        found[name] = answer, cost, noise.getvalue()
    return found


def row(
    case: str,
    image: VoxelImage,
    sides: str,
    tool: str,
    steps: Any,
    cost: Cost,
    sigma: float,
    error: str,
    ratio: str,
) -> None:
    """Print a row of the table."""
    voxels = image.labels.size
    print(
        f"| {case} | {image.shape[0]}³ | {sides} | {tool} | {steps} | "
        f"{cost.wall / voxels * 1e6:.2f} | {cost.cpu / voxels * 1e6:.2f} | "
        f"{cost.memory / voxels:.0f} | {sigma:.6g} | {error} | {ratio} |",
        flush=True,
    )


def compare(sizes: list[int], cases: list[str]) -> None:
    """Print the comparison."""
    print(HEAD)
    print("|---" * 11 + "|")
    for case, sides in (
        ("pores", "periodic"),
        ("pores", "insulating"),
        ("carbon", "insulating"),
        ("ions", "insulating"),
    ):
        for size in sizes if case in cases else []:
            image = image_of(case, size)
            exact = reference(case, image, sides, 1.0, 0)
            mine = {}
            for tolerance in TOLERANCES:
                found, cost = ours(case, image, sides, tolerance)
                error = abs(found.value / exact - 1)
                mine[error] = cost.wall
                shown = f"{error:.0e} (proven {found.error / found.value:.0e})"
                name, steps = f"femssb {tolerance:g}", found.cost.iterations
                row(case, image, sides, name, steps, cost, found.value, shown, "1")
            for name, (answer, cost, noise) in quietly(tools(case, image, sides)).items():
                steps, sigma, plates = answer
                error = abs(sigma / reference(case, image, sides, *plates) - 1)
                note = " (not converged)" if "not converged" in noise else ""
                equal = [wall for found, wall in mine.items() if found <= error]
                ratio = f"{cost.wall / min(equal):.1f}" if equal else "-"
                row(case, image, sides, name + note, steps, cost, sigma, f"{error:.0e}", ratio)


def alone(sizes: list[int], cases: list[str], tolerance: float) -> None:
    """Print what femssb alone takes, all cases, one rank."""
    print(HEAD)
    print("|---" * 11 + "|")
    for size in sizes:
        for case in cases:
            image = image_of(case, size)
            found, cost = ours(case, image, "periodic", tolerance)
            shown = f"proven {found.error / found.value:.0e}"
            name, steps = f"femssb {tolerance:g}", found.cost.iterations
            row(case, image, "periodic", name, steps, cost, found.value, shown, "")


def large(sizes: list[int], cases: list[str], tolerance: float) -> None:
    """Print what all ranks of this run together take."""
    import_module("femssb.environment.platform")
    comm = import_module("mpi4py.MPI").COMM_WORLD
    for size in sizes:
        for case in cases:
            image = image_of(case, size)
            comm.barrier()
            shared = None if comm.size == 1 else comm
            found, cost = ours(case, image, "periodic", tolerance, shared)
            cpu, memory = comm.allreduce(cost.cpu), comm.allreduce(cost.memory)
            wall = max(comm.allgather(cost.wall))
            whole = comm.allreduce(resident("VmHWM"))
            if comm.rank == 0:
                voxels = size**3
                laps = ", ".join(f"{lap} {took:.1f}" for lap, took in found.cost.times.items())
                print(
                    f"{case} {size}^3 on {comm.size} ranks: wall {wall:.1f} s, CPU "
                    f"{cpu:.1f} s ({cpu / voxels * 1e6:.2f} s/Mvox), {memory / 1e9:.2f} GB "
                    f"({memory / voxels:.0f} B/voxel; {whole / 1e9:.2f} GB with image and "
                    f"libraries), {found.cost.iterations} iterations, sigma {found.value:.7g} +- "
                    f"{found.error:.1g} S/m; {laps}",
                    flush=True,
                )


def threads(sizes: list[int], cases: list[str], tolerance: float) -> None:
    """Print how much faster all threads are than one, the best of three runs of each.

    `path` is CPU time of one thread over that of the main thread of several: what the cores would
    give if nothing else ran on them.
    """
    print("| case | voxels | threads | first [s] | best [s] | CPU [s] | faster | path | GB/s |")
    print("|---" * 9 + "|")
    for size in sizes:
        for case in cases:
            image = image_of(case, size)
            alone = math.inf, math.inf
            for count in (1, THREADS) if THREADS > 1 else (1,):
                runs = []
                for _ in range(4):
                    marks = time.perf_counter(), time.process_time(), time.thread_time()
                    found = conductivity(image, CASES[case], tolerance=tolerance, threads=count)
                    now = time.perf_counter(), time.process_time(), time.thread_time()
                    runs.append([end - begin for begin, end in zip(marks, now, strict=True)])
                wall, cpu, main = np.min(runs[1:], axis=0)
                alone = (wall, cpu) if count == 1 else alone
                moved = size**3 * moved_bytes(found) / wall / 1e9
                print(
                    f"| {case} | {size}³ | {count} | {runs[0][0]:.2f} | {wall:.2f} | {cpu:.2f} | "
                    f"{alone[0] / wall:.2f} | {alone[1] / main:.2f} | {moved:.1f} |"
                )


def tensor(sizes: list[int], cases: list[str], tolerance: float) -> None:
    """Print what sharing the network saves of three solves, on one thread, the best of three."""
    print("| case | voxels | three solves: CPU [s] | tensor: CPU [s] | saved |")
    print("|---" * 5 + "|")
    for size in sizes:
        for case in cases:
            image, best = image_of(case, size), [math.inf, math.inf]
            given: Any = {"sides": "insulating", "tolerance": tolerance, "threads": 1}
            for _ in range(3):
                start = time.process_time()
                for axis in ("x", "y", "z"):
                    conductivity(image, CASES[case], axis=axis, **given)
                middle = time.process_time()
                conductivity_tensor(image, CASES[case], **given)
                best[0] = min(best[0], middle - start)
                best[1] = min(best[1], time.process_time() - middle)
            saved = 1 - best[1] / best[0]
            print(f"| {case} | {size}³ | {best[0]:.2f} | {best[1]:.2f} | {100 * saved:.0f} % |")


def shape(sizes: list[int], tolerance: float) -> None:
    """Print what the pores between spheres on a BCC lattice conduct, against the true value.

    TauFactor solves on whole voxels, femssb on those and on a quarter as many along an edge that
    the spheres cut. Times hold making the image and its solution.
    """
    print("| tool | voxels | wall [s] | error against the lattice |")
    print("|---" * 4 + "|")
    exact = conductivity_of_lattice("BCC", SOLID, 0.0)
    radius = (3 * SOLID / (8 * math.pi)) ** (1 / 3)

    def lattice(size: int) -> Packing:
        return Packing(
            positions=np.array(CENTRES["BCC"]) * size * um,
            radii=np.full(2, radius * size * um),
            phases=np.zeros(2),
            phase_names=("AM",),
            lower=np.zeros(3),
            upper=np.full(3, size * um),
            periodic=(True, True, True),
        )

    def by_taufactor(size: int) -> float:
        labels = voxelise(lattice(size), spacing=um).labels
        solver = import_module("taufactor").Solver((labels == 0).astype(np.uint8), device="cpu")
        solver.solve(verbose=False, conv_crit=1e-3, iter_limit=MOST_STEPS)
        return float(solver.D_eff[0])

    def by_femssb(make: Any, size: int) -> float:
        return conductivity(
            make(lattice(size), spacing=um), {"void": 1.0}, tolerance=tolerance
        ).value

    solvers: dict[str, tuple[Callable[[int], float], int]] = {
        "femssb, cut voxels": (lambda size: by_femssb(cut_voxels, size), 4),
        "femssb, whole voxels": (lambda size: by_femssb(voxelise, size), 1),
    }
    if util.find_spec("taufactor") and util.find_spec("torch"):
        solvers["TauFactor, whole voxels"] = by_taufactor, 1
    for name, (solve, coarser) in solvers.items():
        solve(16)  # compiles
        for size in sizes:
            (answer, cost, _), *_ = quietly({name: partial(solve, size // coarser)}).values()
            error = abs(answer / exact - 1)
            print(f"| {name} | {size // coarser}³ | {cost.wall:.2f} | {100 * error:.2f} % |")


def moved_bytes(found: Any) -> float:
    """Return the bytes that a solve must move at least, per voxel of the box.

    Of a node with 4 links on the finest level, and twice a seventh with 9, and so on: 8 bytes a
    link and 20 a node in each of the five passes of a cycle, ten passes for the set-up.
    """
    voxels = found.cost.nodes / sum(
        found.fractions[name] for name, value in found.conductivities.items() if value > 0
    )
    node = (4 * 8 + 20) + 2 / 7 * (9 * 8 + 20) + 4 / 49 * (12 * 8 + 20)
    return found.cost.nodes / voxels * node * (5 * found.cost.iterations + 10)


def bandwidth(sizes: list[int], tolerance: float) -> None:
    """Print the bandwidth of the memory, what a solve uses of it, and what 10^9 voxels need."""
    count = 1 << 24
    a, b, c = (np.ones(count) for _ in range(3))
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        np.multiply(b, 3.0, out=a)
        np.add(a, c, out=a)
        best = min(best, time.perf_counter() - start)
    speed = 5 * 8 * count / best  # both statements: two reads and a write, one read and a write
    print(f"memory bandwidth of one thread: {speed / 1e9:.1f} GB/s")
    for case in CASES:
        image = image_of(case, max(sizes))
        found, cost = ours(case, image, "periodic", tolerance)
        per_voxel = cost.cpu / image.labels.size
        stored = cost.memory / image.labels.size
        print(
            f"{case}: {per_voxel * 1e6:.2f} s/Mvox, {stored:.0f} B/voxel; the time is that of "
            f"moving {per_voxel * speed:.0f} bytes per voxel, {per_voxel * speed / stored:.0f} "
            f"times what is stored ({found.cost.iterations} iterations)"
        )
        for ranks, machine in ((40, 200e9), (40, 40 * speed)):
            wall = max(1e9 * per_voxel / ranks, 1e9 * per_voxel * speed / machine)
            print(
                f"  10^9 voxels on {ranks} ranks, {machine / 1e9:.0f} GB/s together: "
                f"{1e9 * (stored + ranks) / 1e9:.0f} GB with an image on every rank, {wall:.0f} s"
            )


def main() -> None:
    global THREADS
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts: dict[str, Callable[[], None]] = {
        "compare": lambda: compare(given.size, given.case),
        "threads": lambda: threads(given.size, given.case, given.tolerance),
        "ours": lambda: alone(given.size, given.case, given.tolerance),
        "tensor": lambda: tensor(given.size, given.case, given.tolerance),
        "bandwidth": lambda: bandwidth(given.size, given.tolerance),
        "large": lambda: large(given.size, given.case, given.tolerance),
        "shape": lambda: shape(given.size, given.tolerance),
    }
    parser.add_argument("--part", default="compare", choices=("all", *parts))
    parser.add_argument("--size", type=int, nargs="+", default=[100], help="voxels along an edge")
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of ours, and of large")
    parser.add_argument("--threads", type=int, default=THREADS)
    given = parser.parse_args()
    THREADS = given.threads
    with threadpool_limits(THREADS):
        warm_up()
        if given.part != "all":
            parts[given.part]()
            return
        for part, sizes in ALL.items():
            print(f"\n{part}\n")
            given.size = sizes
            parts[part]()


if __name__ == "__main__":
    main()

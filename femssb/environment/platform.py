"""The ground femssb stands on: MPI, PETSc and DOLFINx, loaded in the right order and checked once.

Every module that imports DOLFINx imports this one first. On several ranks it keeps each rank to one
BLAS thread, and makes an uncaught exception end all ranks: otherwise the others would wait for ever
in a collective call, and PETSc's own clean-up would wait for them.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping
from importlib import import_module, metadata, util
from pathlib import Path
from types import TracebackType

import numpy as np
import threadpoolctl

from femssb._version import __version__
from femssb.errors import EngineError

SUPPORTED_DOLFINX = ("0.10", "0.11")
HOW_TO_GET_DOLFINX = (
    "install it with `pip install 'femssb[wheels]'` or `conda env create -f environment.yml`, "
    "or load your cluster's module"
)
FACTORISATIONS = ("mumps", "superlu_dist", "pastix", "mkl_pardiso")
PRECONDITIONERS = ("hypre", "ml")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
RANK_COUNT_VARIABLES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # set by MPICH's and Open MPI's mpirun
FAILURE_TAG = 20931  # of the messages by which ranks tell each other that they fail
PATIENCE = 10.0  # time a failing rank waits for the others to fail too [s]

logger = logging.getLogger(__name__)

if int(os.environ.get("MPI_LOCALNRANKS", "1")) > (os.cpu_count() or 1):
    # More ranks than cores: MPICH's waiting ranks would keep the working ones off the cores.
    os.environ.setdefault("MPIR_CVAR_ENABLE_HEAVY_YIELD", "1")

if util.find_spec("dolfinx_solver"):
    import_module("dolfinx_solver")  # the wheel: loads MPI before the libraries that link to it

try:
    from mpi4py import MPI
    from petsc4py import PETSc

    import dolfinx
except ModuleNotFoundError as error:
    raise EngineError(
        f"DOLFINx with PETSc is missing (no module {error.name!r}); {HOW_TO_GET_DOLFINX}"
    ) from error


def _check_dolfinx(version: str, scalar: str) -> None:
    if not version.startswith(tuple(f"{supported}." for supported in SUPPORTED_DOLFINX)):
        raise EngineError(
            f"DOLFINx {version} is not supported: femssb needs {' or '.join(SUPPORTED_DOLFINX)}; "
            + HOW_TO_GET_DOLFINX
        )
    if scalar != "float64":
        raise EngineError(f"PETSc was built for {scalar} scalars: femssb needs a real double build")


def _check_launcher(environment: Mapping[str, str], ranks: int) -> None:
    """Refuse the mpirun of another MPI: it would start n runs of one rank, each over the other."""
    for variable in RANK_COUNT_VARIABLES:
        if ranks == 1 and int(environment.get(variable, "1")) > 1:
            raise EngineError(
                f"mpirun started {environment[variable]} processes, but each is alone: it belongs "
                f"to another MPI than mpi4py; use {_launcher() or 'the one of this environment'}"
            )


def _limit_threads(environment: Mapping[str, str], ranks: int) -> None:
    """Keep each rank's linear algebra to one thread, unless the user has chosen otherwise."""
    if ranks > 1 and not any(variable in environment for variable in THREAD_VARIABLES):
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # for libraries loaded later
        threadpoolctl.threadpool_limits(1)  # for those already here


def _fail_together(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Show an uncaught exception once if all ranks raise one, else end the ranks that do not."""
    comm = MPI.COMM_WORLD
    missing = set(range(comm.size)) - {comm.rank}
    told = [comm.isend(None, dest=rank, tag=FAILURE_TAG) for rank in missing]
    deadline = time.monotonic() + PATIENCE
    while missing and time.monotonic() < deadline:
        for rank in [rank for rank in missing if comm.iprobe(source=rank, tag=FAILURE_TAG)]:
            comm.recv(source=rank, tag=FAILURE_TAG)
            missing.remove(rank)
        time.sleep(0.01)
    if missing or comm.rank == 0:
        sys.stderr.write(f"[rank {comm.rank} of {comm.size}]\n")
        sys.__excepthook__(kind, error, trace)
        sys.stderr.flush()
    if missing:
        time.sleep(1.0)  # mpirun must have passed the message on before it is told to end
        comm.Abort(1)
    MPI.Request.waitall(told)


def _reference_blas(libraries: Iterable[str], tuned: Iterable[str]) -> str | None:
    """Return the path of an untuned (netlib) BLAS among the loaded libraries, or None.

    Args:
        libraries: Paths of the shared libraries in this process.
        tuned: Paths of those that threadpoolctl knows as OpenBLAS, MKL, BLIS or FlexiBLAS.
    """
    # Debian's OpenBLAS comes with a libblas.so.3 beside it that only passes calls on.
    good = {os.path.dirname(path) for path in tuned}
    for path in libraries:
        folder, name = os.path.split(path)
        is_blas = name.startswith(("libblas.so", "librefblas.so"))
        if is_blas and folder not in good and "atlas" not in folder:
            return path
    return None


def _loaded_libraries() -> list[str]:
    maps = Path("/proc/self/maps")  # Linux only: elsewhere nothing is said of the BLAS
    if not maps.exists():
        return []
    columns = (line.split(maxsplit=5) for line in maps.read_text().splitlines())
    return sorted({column[5] for column in columns if len(column) == 6 and ".so" in column[5]})


def _launcher() -> str | None:
    """Return the mpirun of this environment, else the first on PATH."""
    beside_python = Path(sys.prefix) / "bin" / "mpirun"
    return str(beside_python) if beside_python.exists() else shutil.which("mpirun")


def _version_of(distribution: str, module: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # conda's gmsh and lammps come without metadata
        if util.find_spec(module) is None:
            return None
        return str(getattr(import_module(module), "__version__", "unknown"))


def versions() -> dict[str, str]:
    """Return the version of all that a result depends on, by name; what is absent is left out."""
    vendor, release = MPI.get_vendor()
    found = {
        "femssb": __version__,
        "python": platform.python_version(),
        "dolfinx": dolfinx.__version__,
        "petsc": ".".join(map(str, PETSc.Sys.getVersion())),
        "mpi": f"{vendor} {'.'.join(map(str, release))}",
    }
    for package in ("numpy", "scipy", "gmsh", "meshio", "pyvista", "lammps"):
        version = _version_of(package, package)
        if version is not None:
            found[package] = version
    return found


def doctor() -> dict[str, str]:
    """Return what a bug report needs to know of this machine, one line an item."""
    pools = threadpoolctl.threadpool_info()
    tuned = [pool["filepath"] for pool in pools]
    report = versions()
    for kind, packages in (
        ("factorisations", FACTORISATIONS),
        ("preconditioners", PRECONDITIONERS),
    ):
        present = [name for name in packages if PETSc.Sys.hasExternalPackage(name)]
        report[f"petsc {kind}"] = ", ".join([*present, "petsc's own"])
    report["mpirun"] = _launcher() or "none: only runs on one rank are possible"
    report["C compiler"] = _compiler() or "none: DOLFINx needs one to compile its forms"
    report["BLAS threads"] = "; ".join(
        f"{pool['num_threads']} in {'/'.join(Path(pool['filepath']).parts[-3:])}" for pool in pools
    )
    report["reference BLAS"] = _reference_blas(_loaded_libraries(), tuned) or "none (good)"
    report["LAMMPS packages"] = _lammps_packages() or "no lmp executable found"
    return report


def _compiler() -> str | None:
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(command.split()[0])


def _lammps_packages() -> str | None:
    """Return those LAMMPS packages that the particle engine uses, or None without LAMMPS."""
    beside_python = str(Path(sys.prefix) / "bin")
    search = os.pathsep.join([beside_python, os.environ.get("PATH", "")])
    executable = shutil.which("lmp", path=search) or shutil.which("lmp_mpi", path=search)
    if executable is None:
        return None
    # LAMMPS is a program of its own, never a child in our communicator.
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PMI")}
    told = subprocess.run(
        [executable, "-h"], capture_output=True, text=True, env=alone, check=False, timeout=60
    )
    words = told.stdout.partition("Installed packages:")[2].split()
    wanted = ("GRANULAR", "EXTRA-FIX", "EXTRA-COMPUTE")
    return ", ".join(f"{name} {'yes' if name in words else 'MISSING'}" for name in wanted)


_check_launcher(os.environ, MPI.COMM_WORLD.size)
_check_dolfinx(dolfinx.__version__, np.dtype(PETSc.ScalarType).name)
_limit_threads(os.environ, MPI.COMM_WORLD.size)
if MPI.COMM_WORLD.size > 1:
    sys.excepthook = _fail_together
_slow = _reference_blas(
    _loaded_libraries(), [pool["filepath"] for pool in threadpoolctl.threadpool_info()]
)
if _slow is not None and MPI.COMM_WORLD.rank == 0:
    logger.warning(
        "PETSc runs on the reference BLAS %s: factorisations are 6 to 10 times slower than with "
        "OpenBLAS (Debian: install libopenblas0-serial)",
        _slow,
    )

"""The ground femssb stands on: MPI, PETSc and DOLFINx, loaded in the right order and checked once.

Every module that imports DOLFINx imports this one first. On several ranks it keeps each rank to one
BLAS thread, and makes an uncaught exception end all ranks: otherwise the others would wait
indefinitely in a collective call, and PETSc's own clean-up would wait for them.
"""

import logging
import os
import sys
from collections.abc import Mapping
from importlib import util

import numpy as np
import threadpoolctl

from femssb.environment.cache import ignore_relative_home
from femssb.environment.machine import launcher, reference_blas
from femssb.environment.packages import load
from femssb.environment.ranks import fail_together
from femssb.errors import EngineError

SUPPORTED_DOLFINX = ("0.10", "0.11")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
RANK_COUNT_VARIABLES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # set by MPICH's and Open MPI's mpirun

logger = logging.getLogger(__name__)

if int(os.environ.get("MPI_LOCALNRANKS", "1")) > (os.cpu_count() or 1):
    # More ranks than cores: MPICH's waiting ranks would keep the working ones off the cores.
    os.environ.setdefault("MPIR_CVAR_ENABLE_HEAVY_YIELD", "1")

ignore_relative_home()
if util.find_spec("dolfinx_solver"):  # the wheel: loads MPI before the libraries that link to it
    load("dolfinx_solver", extra="wheels")
MPI = load("mpi4py.MPI", extra="wheels")
PETSc = load("petsc4py.PETSc", extra="wheels")
dolfinx = load("dolfinx", extra="wheels")


def _check_dolfinx(version: str, scalar: str) -> None:
    if not version.startswith(tuple(f"{supported}." for supported in SUPPORTED_DOLFINX)):
        raise EngineError(
            f"DOLFINx {version} is not supported: femssb needs {' or '.join(SUPPORTED_DOLFINX)}; "
            "install it with `pip install '.[wheels]'` in the folder of femssb or "
            "`conda env create -f environment.yml`, or load your cluster's module"
        )
    if scalar != "float64":
        raise EngineError(f"PETSc was built for {scalar} scalars: femssb needs a real double build")


def _check_launcher(environment: Mapping[str, str], ranks: int) -> None:
    """Refuse the mpirun of another MPI: it would start n runs of one rank, each over the other."""
    for variable in RANK_COUNT_VARIABLES:
        if ranks == 1 and int(environment.get(variable, "1")) > 1:
            raise EngineError(
                f"mpirun started {environment[variable]} processes, but each is alone: it belongs "
                f"to another MPI than mpi4py; use {launcher() or 'the one of this environment'}"
            )


def _limit_threads(environment: Mapping[str, str], ranks: int) -> None:
    """Keep each rank's linear algebra to one thread, unless the user has chosen otherwise."""
    if ranks > 1 and not any(variable in environment for variable in THREAD_VARIABLES):
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # for libraries loaded later
        threadpoolctl.threadpool_limits(1)  # for those already here


_check_launcher(os.environ, MPI.COMM_WORLD.size)
_check_dolfinx(dolfinx.__version__, np.dtype(PETSc.ScalarType).name)
_limit_threads(os.environ, MPI.COMM_WORLD.size)
if MPI.COMM_WORLD.size > 1:
    sys.excepthook = fail_together
_slow = reference_blas()
if _slow is not None and MPI.COMM_WORLD.rank == 0:
    logger.warning(
        "PETSc runs on the reference BLAS %s: factorisations are 6 to 10 times slower than with "
        "OpenBLAS (Debian: install libopenblas0-serial)",
        _slow,
    )

"""Versions and engines of this machine, for results and bug reports, also without DOLFINx."""

import platform
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module, metadata, util
from pathlib import Path

from femssb._version import __version__
from femssb.environment import cache, machine
from femssb.errors import EngineError

PACKAGES = ("numpy", "scipy", "mpi4py", "gmsh", "meshio", "numba", "pyvista", "lammps")
READERS = ("h5py", "tifffile", "imagecodecs", "pillow", "pynrrd")  # of images in files
PETSC_PACKAGES = {
    "factorisations": ("mumps", "superlu_dist", "pastix", "mkl_pardiso"),
    "preconditioners": ("hypre", "ml"),
}


def versions() -> dict[str, str]:
    """Return the version of all that a result depends on, by name; what is absent is left out."""
    found = {"femssb": __version__, "python": platform.python_version()}
    with suppress(Exception):  # neither particles nor voxels need it
        found |= _solver_versions()
    return found | {package: text for package in PACKAGES if (text := _version_of(package))}


def doctor() -> dict[str, str]:
    """Return what decides whether and how fast femssb runs here, a line for each item.

    Whatever is missing or broken on a machine is an answer, never an error.
    """
    report = versions()
    try:
        report |= _solver_versions(with_packages=True)
    except Exception as error:  # whatever a broken library raises
        report["dolfinx"] = _in_one_line(error)
    items: dict[str, Callable[[], str]] = {
        "mpirun": lambda: machine.launcher() or "none: only runs on one rank are possible",
        "C compiler": lambda: machine.compiler() or "none: DOLFINx needs one to compile its forms",
        "BLAS threads": _threads,
        "reference BLAS": lambda: machine.reference_blas() or "none (good)",
        "LAMMPS packages": lambda: machine.lammps_packages() or "no lmp executable found",
        "readers of images": _readers,
        "cache": lambda: str(cache.private_folder() or "none can be written: compiled anew"),
    }
    for name, examine in items.items():
        try:
            report[name] = str(examine())
        except Exception as error:
            report[name] = _in_one_line(error)
    return report


def _threads() -> str:
    libraries = machine.tuned_libraries().items()
    return "; ".join(f"{count} in {'/'.join(Path(path).parts[-3:])}" for path, count in libraries)


def _readers() -> str:
    return ", ".join(f"{package} {_version_of(package) or 'missing'}" for package in READERS)


def _in_one_line(error: Exception) -> str:
    kind = "" if isinstance(error, EngineError) else f"{type(error).__name__}: "
    return " ".join(f"{kind}{error}".split())


def _solver_versions(*, with_packages: bool = False) -> dict[str, str]:
    """Return the versions of DOLFINx, PETSc and MPI, and perhaps the packages of PETSc."""
    import femssb.environment.platform

    from mpi4py import MPI
    from petsc4py import PETSc

    import dolfinx

    vendor, release = MPI.get_vendor()
    found = {
        "dolfinx": dolfinx.__version__,
        "petsc": ".".join(map(str, PETSc.Sys.getVersion())),
        "mpi": f"{vendor} {'.'.join(map(str, release))}",
    }
    for kind, names in PETSC_PACKAGES.items() if with_packages else ():
        present = filter(PETSc.Sys.hasExternalPackage, names)
        found[f"petsc {kind}"] = ", ".join([*present, "petsc's own"])
    return found


def _version_of(package: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    try:  # conda's gmsh and lammps come without metadata
        if util.find_spec(package) is None:
            return None
        return str(getattr(import_module(package), "__version__", "unknown"))
    except Exception as error:
        return f"does not load: {_in_one_line(error)}"

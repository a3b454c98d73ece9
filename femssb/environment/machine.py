"""The machine outside Python: its launcher of ranks, compiler, linear algebra and LAMMPS."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

LAMMPS_PACKAGES = ("GRANULAR", "EXTRA-FIX", "EXTRA-COMPUTE")  # those that the particles need


def launcher() -> str | None:
    """Return the mpirun of this environment, else the first on PATH."""
    own = Path(sys.prefix) / "bin" / "mpirun"
    return str(own) if own.exists() else shutil.which("mpirun")


def compiler() -> str | None:
    """Return the path of the C compiler."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(command.split()[0])


def loaded_libraries() -> list[str]:
    """Return the paths of the shared libraries in this process; none except on Linux."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return []
    columns = (line.split(maxsplit=5) for line in maps.read_text().splitlines())
    return sorted({column[5] for column in columns if len(column) == 6 and ".so" in column[5]})


def tuned_libraries() -> dict[str, int]:
    """Return the paths of OpenBLAS, MKL, BLIS, FlexiBLAS and OpenMP, with their threads."""
    import threadpoolctl  # a report must not fail where it is missing

    return {pool["filepath"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}


def reference_blas() -> str | None:
    """Return the path of an untuned (netlib) BLAS among the loaded libraries, or None."""
    # Debian's OpenBLAS comes with a libblas.so.3 next to it that only passes calls on.
    good = {os.path.dirname(path) for path in tuned_libraries()}
    for path in loaded_libraries():
        folder, name = os.path.split(path)
        is_blas = name.startswith(("libblas.so", "librefblas.so"))
        if is_blas and folder not in good and "atlas" not in folder:
            return path
    return None


def lammps_packages() -> str | None:
    """Return which packages the LAMMPS executable has of those needed, or None without one."""
    search = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")])
    executable = shutil.which("lmp", path=search) or shutil.which("lmp_mpi", path=search)
    if executable is None:
        return None
    # LAMMPS is a program of its own, never a child in our communicator.
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PMI")}
    help_text = subprocess.run(
        [executable, "-h"], capture_output=True, text=True, env=alone, check=False, timeout=60
    ).stdout
    words = help_text.partition("Installed packages:")[2].split()
    return ", ".join(f"{name} {'yes' if name in words else 'MISSING'}" for name in LAMMPS_PACKAGES)

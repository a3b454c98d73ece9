"""Files from outside, read where they can do no harm: in a process of its own.

The C and C++ libraries that read meshes and images end their process, or write over its memory, on
files that are damaged in the right place. `in_child` lets them do so to a child, and makes it an
error here. The child is a fresh interpreter, not a fork: it knows nothing of MPI, threads and open
files, and it needs no guard in the script of a user. It starts in 0.1 s, to which the library that
reads the file adds its own: 0.3 s for Gmsh, VTK or HDF5 in all.

This is no sandbox: readers also check, from its first bytes, that a file is what its name says, and
that it refers to no other file.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from femssb.errors import EngineError, FemssbError, InputError, MeshError

PATIENCE, SPEED = 100.0, 5e5  # time for the child [s], and what it reads at least on top [bytes/s]
# Address space for the interpreter and its libraries [bytes], and for each byte of the file: what
# deflate, the usual compression, makes of a byte at most.
LIBRARIES, EXPANSION = 4e9, 1100
# What MPI's launchers tell a process by, and so would the child join or wait for the others.
_LAUNCHERS = ("PMI", "MPI", "HYD", "OMPI", "PRTE", "MV2_", "I_MPI", "PALS", "SLURM")
_PYTHON = ("PYTHONHOME", "PYTHONUTF8")  # what the interpreter cannot do without
_ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# The path comes first: until then nothing may be imported, not even from the current folder.
_START = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from femssb.environment.isolation import answer; answer(sys.argv[1])"
)
_ERRORS = {kind.__name__: kind for kind in (InputError, MeshError, EngineError)}
_ARRAY = "\0array"  # marks the place of an array in an answer; no key that a file gives begins so


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make one error of the many kinds that libraries raise on a damaged file.

    Raises:
        InputError: If the block raises anything but an error of femssb; it names the file.
    """
    try:
        yield
    except FemssbError:
        raise
    except Exception as error:
        raise damaged(path, _reason(error)) from error


def damaged(path: str | os.PathLike[str], reason: object) -> InputError:
    """Return the error for a file that cannot be read."""
    return InputError(f"{path} is damaged, cut off, or not what its ending says: {reason}")


def in_child(function: Callable[..., Any], path: Path, *arguments: Any) -> Any:
    """Call a function that reads a file, in a process of its own; not collective.

    Args:
        function: Of a module of femssb that loads quickly, called with the path and the other
            arguments; returns plain data with arrays of numbers in it.
        path: The file, or a folder with files.
        arguments: Plain data.

    Returns:
        What the function returns; tuples become lists.

    Raises:
        FemssbError: What the function raises.
        InputError: If it raises anything else, if its process ends without an answer, or if it
            takes more time or memory than a file of this size can need.
        EngineError: If the process cannot be started.
    """
    size = _size(path)
    seconds = PATIENCE + size / SPEED
    order: dict[str, Any] = {
        "function": [function.__module__, function.__qualname__],
        "arguments": [os.fspath(path), *arguments],
        "seconds": int(seconds),
        "memory": int(min(LIBRARIES + EXPANSION * size, max(_memory(), LIBRARIES))),
    }
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as stream:
        try:
            order["pipe"] = write_end
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, json.dumps(order), *sys.path],
                stdin=subprocess.DEVNULL,
                # A pipe: the null device may count as a file, and the child may write none.
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(),
                pass_fds=(write_end,),
            )
        except (OSError, ValueError) as error:
            raise EngineError(f"no process can be started to read {path}: {error}") from error
        finally:
            os.close(write_end)
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        try:
            timer.start()
            threading.Thread(target=_discard, args=[process.stdout], daemon=True).start()
            found = _receive(stream)
            if found is None:
                process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
    if found is None:
        raise damaged(path, _end(process.returncode, f"{seconds:.0f} s" if late.is_set() else ""))
    if "error" in found:
        raise _ERRORS.get(found["error"], InputError)(found["message"])
    return found["value"]


def answer(text: str) -> None:
    """Do what `in_child` ordered, in the child, and leave it."""
    order = json.loads(text)
    with os.fdopen(order["pipe"], "wb") as stream:
        _limit(order)
        (module, name), (path, *arguments) = order["function"], order["arguments"]
        try:
            with reading(path):
                function = getattr(import_module(module), name)
                message = _packed({"value": function(Path(path), *arguments)})
        except FemssbError as error:
            message = _packed({"error": type(error).__name__, "message": str(error)})
        except BaseException as error:  # meshio leaves Python where it knows no format
            text = str(damaged(path, _reason(error)))
            message = _packed({"error": "InputError", "message": text})
        for part in message:
            stream.write(part)
    os._exit(0)  # without the clean-up of libraries, which may crash after a damaged file


def _limit(order: dict[str, Any]) -> None:
    """Bound what this process may use; it writes no file, not even what is left of a crash."""
    limits = {
        resource.RLIMIT_AS: order["memory"],
        resource.RLIMIT_CPU: order["seconds"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
    }
    sys.dont_write_bytecode = True
    for kind, limit in limits.items():
        _, hard = resource.getrlimit(kind)
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with suppress(OSError, ValueError):  # some systems do not know some of them
            resource.setrlimit(kind, (bound, hard))
    with suppress(OSError):  # where memory runs out, this process is the one to go
        Path("/proc/self/oom_score_adj").write_text("1000")


def _packed(value: Any) -> Iterator[bytes | memoryview]:
    """Yield plain data as bytes: a line about the arrays in it, a line of JSON, the arrays."""
    arrays: list[np.ndarray[Any, Any]] = []

    def aside(item: Any) -> Any:
        if isinstance(item, np.ndarray) and item.dtype.kind in "biuf":
            arrays.append(np.asarray(item, order="C"))
            return {_ARRAY: len(arrays) - 1}
        if isinstance(item, np.generic):
            return item.item()
        raise TypeError(f"it holds {type(item).__name__}, expected numbers")

    text = json.dumps(value, default=aside)
    about = json.dumps([[array.dtype.str, array.shape] for array in arrays])
    raw = [memoryview(array.reshape(-1).view(np.uint8)) for array in arrays]
    return iter([f"{about}\n{text}\n".encode(), *raw])


def _discard(stream: BufferedReader) -> None:
    """Read what a child prints until it ends, so that it never waits for a reader."""
    with stream:
        while stream.read1(65536):
            pass


def _receive(stream: BufferedReader) -> Any:
    """Return what a child sent by `_packed`, None where it did not get to the end."""
    try:
        about, text = json.loads(stream.readline()), stream.readline()
        arrays = []
        for kind, shape in about:
            array = np.empty(tuple(shape), np.dtype(str(kind)))
            if array.dtype.kind not in "biuf":
                return None
            if stream.readinto(array.reshape(-1).view(np.uint8)) < array.nbytes:
                return None
            arrays.append(array)
        return json.loads(text, object_hook=lambda d: arrays[d[_ARRAY]] if _ARRAY in d else d)
    except (ValueError, TypeError, LookupError, MemoryError, RecursionError):
        return None


def _end(code: int, limit: str) -> str:
    """Return in words how a child ended that gave no answer."""
    if limit:
        return f"reading it took more than {limit}"
    if code < 0:
        with suppress(ValueError):
            return f"its reader ended by {signal.Signals(-code).name}"
    return f"its reader ended without an answer (exit code {code})"


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"it takes more memory than a file of its size can need, or than there is {error}"
    return f"{type(error).__name__}: {error}"


def _size(path: Path) -> int:
    """Return the size of a file, or of all files in a folder [bytes]."""
    try:
        files = list(path.iterdir()) if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _memory() -> float:
    """Return the memory of this machine [bytes]."""
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _environment() -> dict[str, str]:
    """Return the environment for a process that is no rank."""
    others = (*_LAUNCHERS, "PYTHON")
    kept = {name: v for name, v in os.environ.items() if not name.startswith(others)}
    return kept | {name: os.environ[name] for name in _PYTHON if name in os.environ} | _ALONE

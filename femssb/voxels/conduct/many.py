"""The conductivities of many images: a process works on each, as many at a time as there are cores.

For many images that is faster than threads, which share even what little cannot be shared. The
processes are fresh interpreters that import femssb alone, so that a script needs no guard around
its main part.
"""

import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import IO, Any

from femssb.description import checked
from femssb.environment.compiled import most_threads
from femssb.environment.progress import progress_lines
from femssb.environment.ranks import is_first_rank
from femssb.errors import EngineError, FemssbError, InputError, NotConverged, check_number
from femssb.voxels.conduct.conduction import Conduction, conductivity
from femssb.voxels.image import VoxelImage
from femssb.voxels.make.cut_voxels import CutVoxels

MOST_PROCESSES = 1024
# The path comes first: until then nothing may be imported, not even from the current folder.
_START = (
    "import sys; sys.path[:] = sys.argv[1:]; from femssb.voxels.conduct.many import work; work()"
)


@checked
def conductivities_of(
    images: Iterable[VoxelImage | CutVoxels],
    conductivities: Mapping[str, float],
    *,
    processes: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> tuple[Conduction, ...]:
    """Return the conductivity of each of many images, in their order.

    Args:
        images: They may come from a generator: only as many as there are processes are held.
        conductivities: Of the phases, as for `conductivity`.
        processes: How many images are worked on at a time, by one thread each; None: as many as
            this process may use cores.
        progress: Whether lines of progress go to standard error; None: if that is a terminal.
        options: As for `conductivity`, but for `comm` and `threads`.

    Raises:
        InputError: As `conductivity` does; the message begins with the number of the image, from 0.
        NotConverged: As `conductivity` does.
        EngineError: If a process cannot be started, or ends without an answer.
    """
    for name in ("comm", "threads"):
        if name in options:
            raise InputError(f"conductivities_of takes no {name}: it has a process for each image")
    if processes is not None:
        check_number("conductivities_of", "processes", processes, lower=1, upper=MOST_PROCESSES)
    count = most_threads() if processes is None else int(processes)
    show = sys.stderr.isatty() if progress is None else progress
    queue = _Queue(enumerate(images), progress_lines(show and is_first_rank()))
    options = {**options, "conductivities": dict(conductivities)}
    if count == 1:
        _alone(queue, options)
    else:
        servers = [threading.Thread(target=_serve, args=(queue, options)) for _ in range(count)]
        for server in servers:
            server.start()
        try:
            for server in servers:
                server.join()
        except BaseException:
            queue.stop()
            raise
    return queue.answers()


class _Queue:
    """Images to be worked on and what has been found, shared by the threads that wait for it."""

    def __init__(self, images: Iterator[tuple[int, Any]], report: Any) -> None:
        self._images, self._report = images, report
        self._lock = threading.Lock()
        self._found: dict[int, Conduction] = {}
        self._error: tuple[int, Exception] | None = None
        self._running: list[subprocess.Popen[bytes]] = []
        self._stopped = False

    def next(self) -> tuple[int, Any] | None:
        """Return the next image, None if there are no more or one has failed."""
        with self._lock:
            try:
                return None if self._stopped else next(self._images, None)
            except Exception as error:  # of the generator of the images
                self._fail(len(self._found), error)
                return None

    def runs(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.append(process)

    def put(self, number: int, answer: Conduction | Exception) -> None:
        with self._lock:
            if isinstance(answer, Exception):
                self._fail(number, answer)
            else:
                self._found[number] = answer
                self._report(f"conductivities: {len(self._found)} images done")

    def stop(self) -> None:
        """End all processes."""
        self._stopped = True
        for process in self._running:
            process.kill()

    def answers(self) -> tuple[Conduction, ...]:
        if self._error is not None:
            raise self._error[1]
        return tuple(self._found[number] for number in sorted(self._found))

    def _fail(self, number: int, error: Exception) -> None:
        if self._error is None or number < self._error[0]:
            self._error = number, error
        self._stopped = True


def _alone(queue: _Queue, options: dict[str, Any]) -> None:
    while (given := queue.next()) is not None:
        queue.put(given[0], _answer(*given, options))


def _answer(number: int, image: Any, options: dict[str, Any]) -> Conduction | Exception:
    try:
        return conductivity(image, threads=1, **options)
    except NotConverged as error:
        return NotConverged(f"image {number}: {error.reason}", residuals=error.residuals)
    except InputError as error:
        return InputError(f"image {number}: {error}")
    except FemssbError as error:
        return error


def _serve(queue: _Queue, options: dict[str, Any]) -> None:
    """Have a process of its own work on images until there are no more."""
    given = queue.next()
    if given is None:
        return
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    except OSError as error:
        queue.put(given[0], EngineError(f"no process can be started: {error}"))
        return
    queue.runs(process)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        while given is not None:
            try:
                _write(process.stdin, (*given, options))
                answer = _read(process.stdout)
            except (OSError, EOFError, struct.error):
                answer = EngineError(f"image {given[0]}: its process ended without an answer")
            queue.put(given[0], answer)
            given = queue.next()
        with suppress(OSError):
            process.stdin.close()


def work() -> None:
    """Answer what comes by standard input, until it ends."""
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints is no answer
    with suppress(EOFError, struct.error):
        while True:
            _write(answers, _answer(*_read(given)))


def _write(stream: IO[bytes], value: Any) -> None:
    data = pickle.dumps(value)
    stream.write(struct.pack("<Q", len(data)))
    stream.write(data)
    stream.flush()


def _read(stream: IO[bytes]) -> Any:
    (size,) = struct.unpack("<Q", stream.read(8))
    return pickle.loads(stream.read(size))

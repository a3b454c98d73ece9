"""The process that reads damaged files: it may crash or hang, its parent sees to that.

It takes tasks as lines of JSON, ``{"kind": ..., "seed": ...}``, and answers each with lines: what
it is about to do, and then what came of it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

ROOM = 6 << 30  # memory that reading may take beyond what the process has at the start [byte]


def say(**answer: Any) -> None:
    """Answer the parent."""
    os.write(ANSWERS, (json.dumps(answer) + "\n").encode())


def limit_memory() -> None:
    """Let a size that a damaged file announces be a MemoryError, not the end of the machine."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))


def all_files(folder: Path) -> list[Path]:
    """Return the files of a folder and those below."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def right_results(kind: Any, folder: Path, place: Path) -> set[str]:
    """Return the digests of what may be read."""
    from tests.robustness import readers

    found = set()
    for lost in {"", kind.spare}:
        shutil.copytree(folder, place)  # which a run that resumes may change
        if lost:
            (place / lost).unlink()
        found.add(readers.digest(kind.read(place)))
        shutil.rmtree(place)
    return found


def main() -> None:
    """Make sound files and read damaged ones, as told."""
    from tests.robustness import damage, limits, readers

    faulthandler.enable()
    base = Path(sys.argv[1])
    sound: dict[str, tuple[Path, set[str]]] = {}
    limited = False
    for line in sys.stdin:
        task = json.loads(line)
        kind = readers.KINDS[task["kind"]]
        if task["kind"] not in sound:
            say(begins="sound files")
            folder = base / "sound" / task["kind"].replace(" ", "_")
            folder.mkdir(parents=True)
            kind.make(folder)
            sound[task["kind"]] = folder, right_results(kind, folder, base / "spare")
        if not limited and task.get("limit", True):
            limit_memory()
            limited = True
        source, expected = sound[task["kind"]]
        place = base / "damaged"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(source, place)
        rng = random.Random(task["seed"])
        chosen = rng.choice(all_files(place))
        how, content = damage.damage(chosen.read_bytes(), task["seed"])
        others = [path for path in all_files(place) if path != chosen]
        if rng.random() < 0.04 and others:
            how, content = "swapped files", rng.choice(others).read_bytes()
        chosen.write_bytes(content)
        if rng.random() < 0.01:
            how = "missing"
            chosen.unlink()
        say(begins=f"{chosen.relative_to(place)}: {how}")
        seen: list[Any] = []
        found = limits.outcome(lambda: seen.append(kind.read(place)))  # noqa: B023
        words, result = found.words, found.kind
        if result == "accepted":
            again = isinstance(seen[0], str) and seen[0] == readers.AGAIN
            same = again or readers.digest(seen[0]) in expected
            result = "done again" if again else "equal" if same else "other"
            result = "failed" if result == "other" and kind.guarded else result
            words = words or ("other numbers" if result == "failed" else "")
        say(result=result, words=words, place=found.place)


if __name__ == "__main__":
    ANSWERS = os.dup(1)
    os.dup2(2, 1)  # what libraries print does not reach the parent
    main()

"""Damaged files read in a process of their own: a crash or hang is laid to the file that did it."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.robustness import readers, tally

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "results" / "robustness"  # files that crash or are misread
PATIENCE = 60.0  # for one file [s]
START = 300.0  # for sound files to be made [s]


@dataclass(frozen=True)
class Task:
    """A damaged file to read."""

    kind: str
    seed: int


class Reader:
    """A process that reads damaged files, until it dies."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="femssb_damaged_"))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "MPI", "OMPI"))}
        with (self.folder / "log.txt").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.robustness.worker", str(self.folder)],
                cwd=ROOT, env=clean, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self.pending = b""

    def ask(self, task: Task) -> dict[str, Any]:
        """Have a damaged file read, and return what came of it."""
        doing, wait = "start", START
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write((json.dumps({"kind": task.kind, "seed": task.seed}) + "\n").encode())
            stdin.flush()
        except BrokenPipeError:
            return self._died(doing)
        deadline = time.monotonic() + wait
        while True:
            while b"\n" not in self.pending:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([stdout], [], [], left)[0]:
                    self.process.kill()
                    self.process.wait()
                    return {"result": "failed", "words": f"hangs at {doing}", "doing": doing}
                read = os.read(stdout.fileno(), 1 << 16)
                if not read:
                    return self._died(doing)
                self.pending += read
            line, _, self.pending = self.pending.partition(b"\n")
            answer: dict[str, Any] = json.loads(line)
            if "result" in answer:
                return {**answer, "doing": doing}
            doing = answer["begins"]
            deadline = time.monotonic() + (START if doing == "sound files" else PATIENCE)

    @property
    def alive(self) -> bool:
        """Whether it still reads."""
        return self.process.poll() is None

    def _died(self, doing: str) -> dict[str, Any]:
        code = self.process.wait(30)
        log = (self.folder / "log.txt").read_text(errors="replace").splitlines()
        words = f"ended with {code}: {' | '.join(log[-6:])[-400:]}"
        return {"result": "failed", "words": words, "doing": doing}

    def keep(self, task: Task) -> Path | None:
        """Keep the file it read last, so that what happened can be repeated."""
        place = self.folder / "damaged"
        if not place.is_dir():
            return None
        kept = KEPT / f"{task.kind.replace(' ', '_')}_{task.seed}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(place, kept)
        return kept

    def close(self) -> None:
        """End the process, and forget its files."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def read_damaged(tasks: Sequence[Task]) -> list[str]:
    """Read damaged files and return what went wrong, each thing once."""
    failures: dict[tuple[str, str], str] = {}
    reader = Reader()
    try:
        for task in tasks:
            if not reader.alive:
                reader.close()
                reader = Reader()
            answer = reader.ask(task)
            tally.count("files", task.kind, answer["result"])
            if answer["result"] == "failed":
                what = answer["words"].partition(":")[0]
                if (what, answer.get("place", "") + task.kind) in failures:
                    continue
                kept = reader.keep(task)
                failures[what, answer.get("place", "") + task.kind] = (
                    f"{task.kind} {task.seed} ({answer['doing']}) -> {answer['words']} "
                    f"[{answer.get('place', '')}]{f' kept in {kept}' if kept else ''}"
                )
    finally:
        reader.close()
    return list(failures.values())


def tasks(count: int, first: int, kinds: Sequence[str] | None = None) -> list[Task]:
    """Return damaged files to read, about so many of each kind."""
    return [
        Task(name, first + 1000 * row + number)
        for row, name in enumerate(readers.KINDS)
        if kinds is None or name in kinds
        for number in range(max(1, round(count * readers.KINDS[name].weight)))
    ]

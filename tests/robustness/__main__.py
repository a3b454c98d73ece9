"""Try to break femssb, with fresh seeds, and count: ``python -m tests.robustness --help``."""

# ruff: noqa: T201 - it is a command

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

from femssb import command

ROOT = Path(__file__).parents[2]


def main(
    inputs: Annotated[int, "wrong arguments of each public class, function and method"] = 150,
    files: Annotated[int, "damaged files of each kind"] = 660,
    faults: Annotated[int, "faults to runs, and as many runs that go on"] = 220,
    seed: Annotated[int | None, "of all that is random; a fresh one if left out"] = None,
) -> None:
    """Try wrong inputs, damaged files and faults, and print how many and what failed."""
    seed = seed if seed is not None else int(time.time())
    print(f"seed {seed}", flush=True)
    settings = {"INPUTS": inputs, "FILES": files, "FAULTS": faults, "SEED": seed}
    environment = {**os.environ, **{f"FEMSSB_FUZZ_{k}": str(v) for k, v in settings.items()}}
    parts = {"test_inputs": inputs, "test_files": files, "test_faults": faults}
    codes = []
    for name, number in parts.items():
        if number == 0:
            continue
        start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        test = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
        test += [f"tests/robustness/{name}.py", "-m", "slow", "--tb=short"]
        test += ["--hypothesis-profile", "default", f"--hypothesis-seed={seed}"]
        codes.append(subprocess.run(test, cwd=ROOT, env=environment, check=False).returncode)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{name}: {time.monotonic() - start:.0f} s, {spent:.0f} s of processor", flush=True)
    if any(codes):
        raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(command(main))

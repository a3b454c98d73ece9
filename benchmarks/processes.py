"""A case in processes of its own: every row starts cold, on the ranks that it asks for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def result_of(
    script: str, arguments: list[str], ranks: int, package: Path | None = None
) -> dict[str, Any]:
    """Run a script and return what it prints last, as JSON.

    Args:
        script: The file.
        arguments: Of the script.
        ranks: Of MPI; one starts without it.
        package: Checkout of the package that the script uses; None for the one it is in.
    """
    command = [sys.executable, script, *arguments]
    if ranks > 1:
        beside_python = Path(sys.executable).parent / "mpirun"
        launcher = beside_python if beside_python.exists() else shutil.which("mpirun")
        if launcher is None:
            raise SystemExit("no mpirun found in this environment: choose --ranks 1")
        command = [str(launcher), "-n", str(ranks), *command]
    package = (package or Path(__file__).parents[1]).resolve()
    paths = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result

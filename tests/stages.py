"""Run the tests in stages, on 1, 2 and 3 ranks: what `make test` and `make test-portable` call.

All stages run, also after one that failed; the exit code is 1 if any did.

With `--portable` the stages run again as on other machines: with the kernels that OpenBLAS and the
vector units that NumPy, Numba and the C library would choose on processors from 2008 to 2017, and
on meshes whose nodes and cells are numbered and shared out to ranks in another way. Rounding then
differs everywhere, so a test that passes by chance of the last digit fails here. Processors that
this one cannot imitate are left out, with a line that says so.
"""

# ruff: noqa: T201 - it is a command

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
TESTS = Path(__file__).parent
LOGS = ROOT / "results" / "portable"
RANKS = (1, 2, 3)
NOTHING_TO_RUN = 5  # pytest's exit code
# Stages start Python some 200 times: what it has compiled is kept for the next, outside the tree.
KEPT = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(ROOT / ".venv" / "bytecode")}

# How wide a vector unit is, by the names that releases of NumPy give it.
VECTORS = {
    "AVX512": 3, "X86_V4": 3, "AVX2": 2, "FMA3": 2, "X86_V3": 2, "AVX": 1, "F16C": 1, "XOP": 1,
    "FMA4": 1,
}  # fmt: skip
# The C library's exp, log and pow round otherwise without fused multiplication and addition.
NO_FMA = "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2"
# OpenBLAS's name of a processor: the vector unit it has, and LLVM's name of it, which Numba uses.
# Numba keeps what it compiles by that name: caches do not mix.
PROCESSORS = {
    "Nehalem": (0, "generic"),
    "Sandybridge": (1, "sandybridge"),
    "Haswell": (2, "haswell"),
    "Zen": (2, "znver1"),
    "SkylakeX": (3, "skylake-avx512"),
}
NUMBERING = "Numbering"
VARIABLES = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "NUMBA_CPU_NAME", "GLIBC_TUNABLES")
KERNELS = (
    "import femssb.environment.platform, numpy.linalg, scipy.linalg, threadpoolctl\n"
    "pools = threadpoolctl.threadpool_info()\n"
    "print(*sorted({pool['architecture'] for pool in pools if 'architecture' in pool}))"
)


@dataclass(frozen=True)
class Outcome:
    """How a stage ended."""

    name: str
    passed: bool
    seconds: float
    remark: str = ""

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return f"{self.name:<24}{verdict:<8}{self.seconds:7.0f} s  {self.remark}".rstrip()


def command(ranks: int, arguments: argparse.Namespace) -> list[str]:
    """Return the command that runs the tests on a number of ranks."""
    slow, tests = arguments.slow, arguments.tests
    patience = 3600 if slow else 600 if ranks == 1 else 300  # [s] for a test, before all is ended
    pytest = [sys.executable, "-m", "pytest", *tests, "-o", f"faulthandler_timeout={patience}"]
    if slow:
        pytest += ["--hypothesis-profile", "default"]  # examples that have not been tried
    if ranks == 1:
        several = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadscope"]
        return pytest + ([] if slow else ["-m", "not slow"]) + ([] if tests else several)
    marks = ["-p", "no:cacheprovider", "-m", "mpi" if slow else "mpi and not slow"]
    return [arguments.mpirun, "-n", str(ranks), *pytest, *marks, *([] if tests else shared())]


def shared() -> list[str]:
    """Return the files with tests for several ranks, so that no rank reads all others, too."""
    files = sorted(TESTS.rglob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if "pytest.mark.mpi" in file.read_text()]


def run(name: str, stage: list[str], **options: Any) -> Outcome:
    """Run a stage."""
    start = time.monotonic()
    options["env"] = options.get("env", os.environ) | KEPT
    code = subprocess.run(stage, cwd=ROOT, check=False, **options).returncode
    remark = "has no tests" if code == NOTHING_TO_RUN else ""
    return Outcome(name, code in (0, NOTHING_TO_RUN), time.monotonic() - start, remark)


def on_ranks(ranks: int) -> str:
    """Return how a stage is called."""
    return f"{ranks} rank{'s' * (ranks > 1)}"


def plain(arguments: argparse.Namespace) -> list[Outcome]:
    """Run lint, unless single files are asked for, and the tests on 1, 2 and 3 ranks."""
    stages = {} if arguments.tests else {"lint": ["make", "--no-print-directory", "lint"]}
    for ranks in RANKS:
        stages[f"tests on {on_ranks(ranks)}"] = command(ranks, arguments)
    outcomes = [run(name, stage) for name, stage in stages.items()]
    print("\n" + "\n".join(map(str, outcomes)))
    return outcomes


def vectors() -> dict[str, int]:
    """Return the vector units of this processor that NumPy makes use of, and their width."""
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    width = {
        name: next((w for prefix, w in VECTORS.items() if name.startswith(prefix)), 0)
        for name in extensions.get("found", [])
    }
    return {name: w for name, w in width.items() if w > 0}


def variables(name: str, found: dict[str, int]) -> dict[str, str]:
    """Return the environment variables that imitate a processor, or number meshes otherwise."""
    if name == NUMBERING:
        return {"FEMSSB_TEST_NUMBERING": "1"}
    width, llvm = PROCESSORS[name]
    settings = {
        "OPENBLAS_CORETYPE": name,
        "NPY_DISABLE_CPU_FEATURES": " ".join(unit for unit, w in found.items() if w > width),
        "NUMBA_CPU_NAME": llvm,
        "GLIBC_TUNABLES": NO_FMA if width < 2 else "",
    }
    return {variable: value for variable, value in settings.items() if value}


def kernels(environment: dict[str, str]) -> list[str]:
    """Return the kernels that OpenBLAS really runs in an environment."""
    command = [sys.executable, "-c", KERNELS]
    found = subprocess.run(
        command, env=environment, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True
    )
    return found.stdout.split()


def obstacle(name: str, found: dict[str, int], used: list[str]) -> str | None:
    """Return why this machine cannot imitate a processor; None if it can."""
    if name == NUMBERING:
        return None
    widest = max(found.values(), default=0) if platform.machine() in ("x86_64", "AMD64") else -1
    if PROCESSORS[name][0] > widest:
        return "this processor lacks its vector units"
    if name not in used:
        return f"no OpenBLAS here has its kernels; it runs {', '.join(used) or 'none'}"
    return None


def portable(arguments: argparse.Namespace) -> list[Outcome]:
    """Run the tests as each processor, on 1, 2 and 3 ranks, and show a line for each."""
    LOGS.mkdir(parents=True, exist_ok=True)
    outside = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    found, outcomes = vectors(), []
    for name in [arguments.config] if arguments.config else [*PROCESSORS, NUMBERING]:
        environment = {**outside, **variables(name, found)}
        used = kernels(environment)
        if reason := obstacle(name, found, used):
            print(f"{name:<24}left out: {reason}", flush=True)
            continue
        for ranks in RANKS:
            log = LOGS / f"{name}_{ranks}.log"
            with log.open("w") as file:
                outcome = run(
                    f"{name}, {on_ranks(ranks)}",
                    command(ranks, arguments),
                    env=environment,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            outcomes.append(replace(outcome, remark=outcome.remark or "on " + ", ".join(used)))
            print(outcomes[-1], flush=True)
            if not outcome.passed:
                lines = log.read_text(errors="replace").splitlines()
                failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
                print(*failures, f"see {log.relative_to(ROOT)}", sep="\n", flush=True)
    return outcomes


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tests", nargs="*", help="files, or parts of them as pytest names them")
    parser.add_argument("--mpirun", default="mpirun", help="of the MPI that DOLFINx uses")
    parser.add_argument("--slow", action="store_true", help="also tests that take minutes")
    parser.add_argument("--portable", action="store_true", help="as on other processors")
    parser.add_argument("--config", choices=[*PROCESSORS, NUMBERING], help="only as this one")
    arguments = parser.parse_args()
    outcomes = (portable if arguments.portable else plain)(arguments)
    failed = [outcome.name for outcome in outcomes if not outcome.passed]
    if failed:
        print("failed:", "; ".join(failed))
    return 1 if failed or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())

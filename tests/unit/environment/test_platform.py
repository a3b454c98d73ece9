"""If these fail, runs are slow or wrong for reasons that nothing in the physics shows.

Worth reading: `test_a_foreign_mpirun_is_refused` and `test_each_rank_has_one_thread`.
"""

import subprocess
import sys

import pytest
import threadpoolctl

from femssb import EngineError
from femssb.environment import doctor, machine
from femssb.environment import platform as _platform


@pytest.mark.parametrize("version", ["0.10.0", "0.10.0.post2", "0.11.0.post0"])
def test_supported_dolfinx_is_accepted(version: str) -> None:
    """Catches a version test that refuses post-releases."""
    try:
        _platform._check_dolfinx(version, "float64")
        refused = None
    except EngineError as error:
        refused = str(error)
    assert refused is None


@pytest.mark.parametrize("version", ["0.9.0", "0.1.0", "0.12.0.dev0", "0.110.0"])
def test_other_dolfinx_is_refused(version: str) -> None:
    """Catches an old DOLFINx failing in the middle of a run, and 0.1 taken for 0.10."""
    with pytest.raises(EngineError, match=r"femssb needs 0\.10 or 0\.11.*environment\.yml"):
        _platform._check_dolfinx(version, "float64")


@pytest.mark.parametrize("scalar", ["complex128", "float32"])
def test_complex_or_single_petsc_is_refused(scalar: str) -> None:
    """Catches results in complex or single precision."""
    with pytest.raises(EngineError, match="needs a real double build"):
        _platform._check_dolfinx("0.11.0", scalar)


@pytest.mark.parametrize("variable", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_a_foreign_mpirun_is_refused(variable: str) -> None:
    """Catches n copies of the same serial run, all writing to the same folder."""
    with pytest.raises(EngineError, match="mpirun started 4 processes, but each is alone"):
        _platform._check_launcher({variable: "4"}, ranks=1)
    _platform._check_launcher({variable: "4"}, ranks=4)
    _platform._check_launcher({variable: "1"}, ranks=1)
    _platform._check_launcher({}, ranks=1)


@pytest.mark.parametrize(
    ("libraries", "tuned", "slow"),
    [
        (["/usr/lib/blas/libblas.so.3.11.0", "/usr/lib/libpetsc.so"], [], 0),
        (["/env/lib/librefblas.so.3"], ["/env/numpy.libs/libscipy_openblas64_.so"], 0),
        (
            ["/usr/lib/openblas-serial/libblas.so.3"],
            ["/usr/lib/openblas-serial/libblas.so.3"],
            None,
        ),
        (["/usr/lib/atlas/libblas.so.3"], [], None),
        (
            ["/env/lib/libopenblas.so.0", "/env/lib/libmumps.so"],
            ["/env/lib/libopenblas.so.0"],
            None,
        ),
        ([], [], None),
    ],
)
def test_reference_blas_is_found(
    libraries: list[str], tuned: list[str], slow: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches factorisations 6 to 10 times too slow without a word, or a false alarm."""
    monkeypatch.setattr(machine, "loaded_libraries", lambda: libraries)
    monkeypatch.setattr(machine, "tuned_libraries", lambda: dict.fromkeys(tuned, 1))
    assert machine.reference_blas() == (None if slow is None else libraries[slow])


def test_loaded_libraries_are_seen() -> None:
    """Catches a reader of the process's memory map that finds nothing and so never warns."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux lists a process's libraries in a file")
    assert any("petsc" in path.lower() for path in machine.loaded_libraries())


@pytest.mark.mpi
def test_each_rank_has_one_thread(comm) -> None:
    """Catches ranks whose BLAS threads fight for the same cores."""
    import scipy.linalg  # noqa: F401 - loads a BLAS of its own, after the limit was set

    threads = {pool["filepath"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    assert threads
    if comm.size > 1:
        assert set(threads.values()) == {1}


@pytest.mark.parametrize("chosen", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"])
def test_the_users_own_threads_are_kept(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a hybrid run (4 ranks of 8 threads) forced to one thread a rank."""
    limits: list[int] = []
    monkeypatch.setattr(threadpoolctl, "threadpool_limits", limits.append)
    _platform._limit_threads({chosen: "8"}, ranks=4)
    _platform._limit_threads({}, ranks=1)
    assert limits == []


@pytest.mark.parametrize(
    ("failing", "shown_by"), [("rank == 1", "[rank 1 of 2]"), ("True", "[rank 0 of 2]")]
)
def test_an_uncaught_exception_ends_all_ranks(failing: str, shown_by: str) -> None:
    """Catches a job that hangs for days after one rank failed, and n tracebacks of one failure."""
    script = (
        "from femssb.environment import platform as _platform, ranks\n"
        "ranks.PATIENCE = 2.0\n"
        "world = _platform.MPI.COMM_WORLD\n"
        "rank = world.rank\n"
        f"if {failing}:\n"
        "    raise RuntimeError('lost')\n"
        "world.Barrier()\n"
    )
    command = [str(machine.launcher()), "-n", "2", sys.executable, "-c", script]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert failed.returncode != 0
    assert failed.stderr.count("RuntimeError: lost") == 1
    assert shown_by in failed.stderr


def test_versions_name_what_a_result_depends_on() -> None:
    """Catches a summary.json from which a run cannot be repeated."""
    versions = doctor.versions()
    assert {"femssb", "python", "dolfinx", "petsc", "mpi", "numpy", "scipy", "gmsh"} <= set(
        versions
    )
    assert all(isinstance(value, str) and value for value in versions.values())
    assert versions["petsc"].count(".") == 2


def test_doctor_covers_engines_and_threads() -> None:
    """Catches a bug report that lacks what decides the speed: factorisations, BLAS, launcher."""
    report = doctor.doctor()
    assert "mumps" in report["petsc factorisations"]
    for item in ("mpirun", "C compiler", "BLAS threads", "reference BLAS", "LAMMPS packages"):
        assert report[item]


@pytest.mark.parametrize("lost", ["dolfinx", "petsc4py"])
def test_the_doctor_works_where_the_solver_is_missing(lost: str) -> None:
    """Catches a doctor that only examines the healthy; other commands name what is missing."""
    script = (
        f"import sys; sys.modules[{lost!r}] = None\n"
        "from femssb.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )

    def run(command: str) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-c", script, command]
        return subprocess.run(arguments, capture_output=True, text=True)

    examined, refused = run("doctor"), run("mesh")
    assert (examined.returncode, examined.stderr) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in examined.stdout.splitlines())
    assert f"{lost} is missing: install it with" in rows["dolfinx"]
    assert {"femssb", "python", "numpy", "mpirun"} <= rows.keys()
    assert not {"petsc", "mpi"} & rows.keys()
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"femssb: {lost} is missing: install it with `pip install")
    assert refused.stderr.count("\n") == 1

"""If these fail, results are replaced without asking, or lost with the machine.

Worth reading: `test_results_stay_until_it_is_said_what_becomes_of_them`,
`test_a_run_survives_a_full_disk_at_any_moment`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np
import pytest

from femssb import (
    Charge,
    Discharge,
    FixedSteps,
    InputError,
    Interrupted,
    Model,
    NotConverged,
    Rest,
    Simulation,
    Solution,
)
from femssb.cell.coupling import advance
from femssb.environment import lock
from femssb.fem.linear_solver import KrylovSolver
from femssb.results.folder import DOCUMENTS
from femssb.run import stepper
from tests.faults import Stopped, failing
from tests.runs import ALONE, STEPS, TIGHT, tiny_model

STEP = Charge(c_rate=1, until_duration=30.0)
PROTOCOL = [STEP, Rest(until_duration=10.0)]
OTHER = [Discharge(c_rate=1, until_duration=3.0)]


@pytest.fixture(scope="module")
def model() -> Model:
    """A model whose couplings are off."""
    return tiny_model(couplings=ALONE)


def simulation(model: Model, protocol: Any = PROTOCOL) -> Simulation:
    """Return a run whose time steps are given."""
    return Simulation(model, protocol, stepping=STEPS, tolerances=TIGHT)


@pytest.fixture(scope="module")
def whole(model: Model) -> Solution:
    """A run that nothing stopped."""
    return simulation(model).run(progress=False)


def same(one: Solution, other: Solution) -> bool:
    """Return whether two runs took the same steps to the same voltages."""
    pairs = [(one.series[name], other.series[name]) for name in ("Time [s]", "Voltage [V]")]
    return one.steps == other.steps and all(
        len(a) == len(b) and np.allclose(a, b, rtol=1e-9) for a, b in pairs
    )


def files_of(folder: Path) -> dict[str, bytes]:
    """Return what the files of a folder hold."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def stopping(monkeypatch: pytest.MonkeyPatch, after: float, error: BaseException) -> None:
    """Have time steps fail once a time has passed [s]."""

    def failing_step(model: Model, previous: Any, *arguments: Any, **named: Any) -> Any:
        if previous.time > after:
            raise error
        return advance(model, previous, *arguments, **named)

    monkeypatch.setattr(stepper, "advance", failing_step)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folder": ""}, "folder = '' is no path"),
        ({"folder": " "}, "folder = ' ' is no path"),
        ({"folder": "a\0b"}, "is no path"),
        ({"folder": b"a"}, "folder must be a path"),
        ({"folder": "a", "resume": "yes"}, "resume must be True, False or \"auto\", got 'yes'"),
        ({"folder": "a", "resume": None}, "resume must be"),
        ({"folder": "a", "resume": 1}, "resume must be"),
        ({"folder": "a", "overwrite": "no"}, "overwrite must be True or False, got 'no'"),
        ({"folder": "a", "overwrite": True, "resume": "auto"}, "exclude each other"),
        ({"resume": "auto"}, "resume needs the folder"),
    ],
)
def test_arguments_are_checked(
    model: Model,
    arguments: dict[str, Any],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches an empty variable of a job script, by which results go to the current folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        simulation(model).run(**arguments)
    assert not list(tmp_path.iterdir())


def test_results_stay_until_it_is_said_what_becomes_of_them(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a week of work that a second start of the script replaces at once."""
    simulation(model).run(tmp_path, progress=False)
    (tmp_path / "notes.txt").write_text("mine")
    before = files_of(tmp_path)
    monkeypatch.setattr(stepper, "advance", None)
    with pytest.raises(InputError) as caught:
        simulation(model).run(tmp_path, progress=False)
    said = str(caught.value)
    for item in (str(tmp_path), "timeseries.csv", "checkpoint.npz", "last written 2", "same case",
                 "overwrite=True", "resume=True", 'resume="auto"'):  # fmt: skip
        assert item in said
    with pytest.raises(InputError, match=r"of another case: protocol.*overwrite=True"):
        simulation(model, OTHER).run(tmp_path, progress=False)
    (tmp_path / "checkpoint.npz").unlink()
    (tmp_path / "checkpoint.previous.npz").unlink()
    with pytest.raises(InputError, match="of an unknown case"):
        simulation(model).run(tmp_path, progress=False)
    left = {name for name in before if not name.startswith("checkpoint")}
    assert files_of(tmp_path) == {name: before[name] for name in left}


def test_a_folder_of_other_files_is_no_obstacle(model: Model, tmp_path: Path) -> None:
    """Catches a run that refuses to start beside its own script and log."""
    (tmp_path / "job.sh").write_text("srun python script.py")
    (tmp_path / "plots").mkdir()
    simulation(model, OTHER).run(tmp_path, progress=False)
    assert (tmp_path / "job.sh").exists()
    assert (tmp_path / "plots").exists()


def test_results_are_replaced_when_new_ones_are_there(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches old results lost to a run that fails in its first step, and remains of them after."""
    simulation(model).run(tmp_path, progress=False)
    (tmp_path / "notes.txt").write_text("mine")
    before = files_of(tmp_path)
    with monkeypatch.context() as patch:
        stopping(patch, -1.0, NotConverged("made to fail"))
        with pytest.raises(NotConverged):
            simulation(model, OTHER).run(tmp_path, progress=False, overwrite=True)
    assert files_of(tmp_path) == before
    seen: list[int] = []
    simulation(model, OTHER).run(
        tmp_path,
        progress=False,
        overwrite=True,
        on_step=[lambda *_: seen.append(len(Solution.load(tmp_path).steps))],
    )
    assert seen == [2] * len(seen)  # the old run, until the first checkpoint of the new one
    found = Solution.load(tmp_path)
    assert [step.kind for step in found.steps] == ["discharge"]
    assert found.snapshots.labels == ("start", "discharge end")  # type: ignore[attr-defined]
    assert len(list((tmp_path / "fields").glob("*.vtu"))) == 6
    assert (tmp_path / "notes.txt").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    with pytest.raises(InputError, match="of another case"):
        simulation(model).run(tmp_path, progress=False, resume=True)


def test_overwriting_what_is_not_there_is_no_error(model: Model, tmp_path: Path) -> None:
    """Catches a script that must know whether it runs for the first time."""
    for _ in range(2):
        simulation(model, OTHER).run(tmp_path / "new", progress=False, overwrite=True)
    assert Solution.load(tmp_path / "new").steps


def test_a_job_script_can_be_sent_again(
    model: Model, whole: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a script that needs to be changed between its first, second and last start."""
    with monkeypatch.context() as patch:
        stopping(patch, 15.0, NotConverged("made to fail"))
        with pytest.raises(NotConverged):
            simulation(model).run(tmp_path, progress=False, resume="auto")
    assert same(simulation(model).run(tmp_path, progress=False, resume="auto"), whole)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(stepper, "advance", None)
    again = simulation(model).run(tmp_path, progress=False, resume="auto")
    assert same(again, whole)
    assert before == {
        path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()
    }
    assert again.performance == Solution.load(tmp_path).performance
    assert len(again.snapshots) == 5


def test_what_cannot_be_gone_on_with_is_not_begun_again(model: Model, tmp_path: Path) -> None:
    """Catches `resume="auto"` that replaces a run whose checkpoints are missing."""
    simulation(model, OTHER).run(tmp_path, progress=False)
    for name in ("checkpoint.npz", "checkpoint.previous.npz"):
        (tmp_path / name).unlink()
    for resume in (True, "auto"):
        with pytest.raises(InputError, match=r"there is no .*checkpoint\.npz"):
            simulation(model, OTHER).run(tmp_path, progress=False, resume=resume)  # type: ignore[arg-type]
    assert Solution.load(tmp_path).steps


@pytest.mark.parametrize("name", [*DOCUMENTS, "SHA256SUMS"])
def test_a_finished_run_heals_its_damaged_files(
    model: Model, whole: Solution, tmp_path: Path, name: str
) -> None:
    """Catches a run that must be computed again though the checkpoint holds all of it."""
    simulation(model).run(tmp_path, progress=False)
    (tmp_path / name).write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match="damaged"):
        Solution.load(tmp_path)
    assert same(simulation(model).run(tmp_path, progress=False, resume=True), whole)
    assert same(Solution.load(tmp_path), whole)


def test_two_runs_do_not_share_a_folder(model: Model, tmp_path: Path) -> None:
    """Catches a job sent twice, whose runs write over each other."""
    failures: list[str] = []

    def again(*_: Any) -> None:
        for options in ({}, {"resume": "auto"}, {"overwrite": True}):
            with pytest.raises(InputError, match=f"process {os.getpid()} on") as caught:
                simulation(model).run(tmp_path, progress=False, **options)
            failures.append(str(caught.value))
        with pytest.raises(InputError, match="another run is going on"):
            Solution.load(tmp_path).save(tmp_path)

    simulation(model, OTHER).run(tmp_path, progress=False, on_step=[again])
    assert len(failures) >= 3
    assert not (tmp_path / lock.FILE).exists()


def test_what_a_killed_run_left_is_no_obstacle(
    model: Model, whole: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a folder that must be cleaned by hand after a power cut."""
    monkeypatch.setattr("femssb.run.record.CHECKPOINT_EVERY", 0.0)
    stopping_context = pytest.MonkeyPatch()
    with stopping_context.context() as patch:
        stopping(patch, 15.0, NotConverged("made to fail"))
        with pytest.raises(NotConverged):
            simulation(model).run(tmp_path, progress=False)
    dead = {"host": socket.gethostname(), "pid": 2**22 + 1, "since": 1.7e9}
    (tmp_path / lock.FILE).write_text(json.dumps(dead))
    for name in (".starting", ".new", ".old", "fields/.new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("ha")
    (tmp_path / f".{socket.gethostname()}.{2**22 + 1}.part.cycle.png").write_text("ha")
    assert same(simulation(model).run(tmp_path, progress=False, resume="auto"), whole)
    left = {path.name for path in tmp_path.rglob("*") if path.name.startswith(".")}
    assert left <= {".starting"}
    simulation(model).run(tmp_path, progress=False, overwrite=True)
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_loses_the_present_time_step_only(
    comm: MPI.Intracomm,
    shared_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    number: int,
) -> None:
    """Catches an hour lost to Ctrl-C, a solve that is finished first, and ranks left waiting.

    The signal comes to one rank, within the third time step.
    """
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.default_int_handler)
    before = [signal.signal(one, signal.SIG_DFL) for one in (signal.SIGINT, signal.SIGTERM)]
    model = tiny_model(comm, couplings=ALONE)
    solve, taken = KrylovSolver.solve, [0]
    sent: list[int] = []

    def solving(self: KrylovSolver, *arguments: Any, **named: Any) -> Any:
        taken[0] += 1
        if current[0] > 5.0 and not sent:
            sent.append(taken[0])
            if comm.rank == comm.size - 1:
                os.kill(os.getpid(), number)
        return solve(self, *arguments, **named)

    current = [0.0]

    def watch(state: Any, _: Solution) -> None:
        current[0] = state.time

    with monkeypatch.context() as patch:
        patch.setattr(KrylovSolver, "solve", solving)
        with pytest.raises(Interrupted) as caught:
            simulation(model).run(shared_path, progress=False, on_step=[watch])
    for one, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(one, handler)
    assert caught.value.code == 128 + number
    assert taken[0] == sent[0]  # no other iteration of Newton's method
    comm.Barrier()
    assert Solution.load(shared_path).series["Time [s]"].tolist() == [0.0, 1.0, 6.0]
    said = capfd.readouterr().err
    if comm.rank == 0:
        assert said.count("\n") == 1
        assert f"femssb: stopped by {signal.Signals(number).name}: 6 s are in" in said
    comm.Barrier()
    found = simulation(model).run(shared_path, progress=False, resume=True)
    assert found.series["Time [s]"][-1] == pytest.approx(40.0)


def test_a_signal_ends_a_run_in_memory(model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    """Catches a run without a folder that cannot be stopped, or says that something was kept."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            simulation(model).run(progress=False, on_step=[press])
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().err
    assert said == "femssb: stopped by SIGINT: nothing is kept of a run without a folder\n"


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_what_ends_one_rank_in_a_function_of_the_user_ends_all(
    comm: MPI.Intracomm, shared_path: Path, error: type[BaseException]
) -> None:
    """Catches ranks that wait for one that a user's function has ended."""

    def end(*_: Any) -> None:
        if comm.rank == comm.size - 1:
            raise error

    run = simulation(tiny_model(comm, couplings=ALONE)).run
    mine = error if comm.rank == comm.size - 1 else RuntimeError
    with pytest.raises(mine):
        run(shared_path, progress=False, on_step=[end])
    comm.Barrier()
    assert len(Solution.load(shared_path).series["Time [s]"]) == 2


def go_through(run: Callable[..., Solution], folder: Path, at: int, *, stops: bool) -> None:
    """Run until the disk fails or the machine stops, and check what is there then."""
    try:
        with failing(at, within=folder, stops=stops):
            run(folder)
    except InputError as error:
        assert "cannot write" in str(error)  # noqa: PT017
        assert "No space left on device" in str(error)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    except Stopped:
        pass


@pytest.mark.parametrize(
    "stride", [pytest.param(97, id="some"), pytest.param(5, id="many", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("stops", [False, True], ids=["full", "stopped"])
def test_a_run_survives_a_full_disk_at_any_moment(
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stops: bool,
    stride: int,
) -> None:
    """Catches half a state, a temporary file taken for results, or a run that cannot go on."""
    protocol = [Rest(until_duration=2.0)] * 2
    short = Simulation(model, protocol, stepping=FixedSteps(sizes=(2.0,)), tolerances=TIGHT)

    def run(folder: Path) -> Solution:
        return short.run(folder, progress=False, resume="auto")

    with failing(within=tmp_path) as tried:
        whole = run(tmp_path / "whole")
    assert len(tried) > 150
    reached = set()
    for at in range(stride // 2, len(tried), stride):
        folder = tmp_path / str(at)
        go_through(run, folder, at, stops=stops)
        if (folder / lock.FILE).exists():  # of this process, which lives
            (folder / lock.FILE).unlink()
        try:
            found = Solution.load(folder)
            reached.add(len(found.steps))
            for snapshot in found.snapshots:
                assert snapshot.time <= 4.0
        except InputError:
            assert not (folder / "run.json").exists()  # nothing was kept yet
            assert not (folder / ".ready").exists()
            reached.add(-1)
        with failing(within=tmp_path):
            again = run(folder)
        assert same(again, whole)
        loaded = Solution.load(folder)
        assert same(loaded, whole)
        assert loaded.snapshots.labels == whole.snapshots.labels  # type: ignore[attr-defined]
        assert all(snapshot.time <= 4.0 for snapshot in loaded.snapshots)
        shutil.rmtree(folder)
    assert reached >= {-1, 0, 1}


@pytest.mark.parametrize("stops", [False, True], ids=["full", "stopped"])
def test_old_results_survive_a_full_disk_while_they_are_replaced(
    model: Model, tmp_path: Path, stops: bool
) -> None:
    """Catches results that are neither those of the old run nor those of the new one."""
    old = Simulation(model, [Rest(until_duration=2.0)], stepping=FixedSteps(sizes=(2.0,)))
    new = Simulation(model, [Rest(until_duration=3.0)], stepping=FixedSteps(sizes=(3.0,)))
    with failing(within=tmp_path):
        old.run(tmp_path / "old", progress=False)
        shutil.copytree(tmp_path / "old", tmp_path / "whole")
    with failing(within=tmp_path) as tried:
        new.run(tmp_path / "whole", progress=False, overwrite=True)
    reached = set()
    for at in (*range(31, len(tried), 97), len(tried) - 4):
        folder = tmp_path / str(at)
        shutil.copytree(tmp_path / "old", folder)

        def run(folder: Path) -> Solution:
            return new.run(folder, progress=False, overwrite=True)

        go_through(run, folder, at, stops=stops)
        if (folder / lock.FILE).exists():
            (folder / lock.FILE).unlink()
        end = Solution.load(folder).series["Time [s]"][-1]
        assert {snapshot.time for snapshot in Solution.load(folder).snapshots} <= {0.0, end}
        reached.add(end)
        with failing(within=tmp_path):
            mine = {2.0: old, 3.0: new}[end].run(folder, progress=False, resume=True)
        assert mine.series["Time [s]"][-1] == end
    assert reached == {2.0, 3.0}

"""If these fail, a run that was stopped is lost, or continues as another one.

Worth reading: `test_a_stopped_run_continues_as_if_it_had_not_been`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpi4py import MPI

import dolfinx.mesh
import numpy as np
import pytest

from femssb import (
    Charge,
    Curve,
    Discharge,
    Fixed,
    InputError,
    LinearSolver,
    Model,
    Pressure,
    Rest,
    Simulation,
    Solution,
    Stepping,
)
from femssb.cell.coupling import advance
from femssb.environment.files import append_seal
from femssb.meshing.data import FACETS, FIRST_GRAIN, distribute, gather
from femssb.results.folder import CHECKPOINT, EARLIER_CHECKPOINT
from femssb.run import checkpoint, stepper
from tests.runs import ALONE, DISCHARGE, STEPS, TIGHT, tiny_model

PROTOCOL = (Charge(c_rate=2, until_duration=660.0), Discharge(c_rate=1, until_duration=120.0))


def simulation(comm: MPI.Comm = MPI.COMM_SELF) -> Simulation:
    """Return a cycle with damage whose rows are at the same times on any ranks and machine."""
    return Simulation(tiny_model(comm), PROTOCOL, tolerances=TIGHT, stepping=STEPS)


@pytest.fixture(scope="module")
def whole() -> Solution:
    """A run that nothing stopped."""
    return simulation().run(progress=False)


class Stopped(Exception):
    """The exception by which a test stops a run."""


def stop_at(time: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs keep every step and be stopped once they have passed a time [s]."""

    def stopping(model: Model, previous: Any, *arguments: Any, **named: Any) -> Any:
        if previous.time > time:
            raise Stopped
        return advance(model, previous, *arguments, **named)

    monkeypatch.setattr(stepper, "advance", stopping)
    monkeypatch.setattr("femssb.run.record.CHECKPOINT_EVERY", 0.0)


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize(  # on charge with damage, on discharge
    "time", [570.0, pytest.param(720.0, marks=pytest.mark.slow)]
)
def test_a_stopped_run_continues_as_if_it_had_not_been(
    time: float,
    whole: Solution,
    comm: MPI.Comm,
    shared_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Catches state that the file lacks: damage, history, charge; or that depends on the ranks."""
    if comm.rank == 0:  # stopped on one rank, resumed on all
        with monkeypatch.context() as patch:
            stop_at(time, patch)
            with pytest.raises(Stopped):
                simulation().run(shared_path, progress=False)
    comm.Barrier()
    kept = Solution.load(shared_path).series
    assert time < kept["Time [s]"][-1] <= time + STEPS.sizes[-1]
    assert kept["Spent fracture energy [-]"][-1] > 0.1
    found = simulation(comm).run(shared_path, progress=False, resume=True)
    for column in ("Time [s]", "Voltage [V]", "Lithium [mol]", "Mean gap [m]"):
        one, other = whole.series[column], found.series[column]
        np.testing.assert_allclose(
            other, one, rtol=0, atol=1e-6 * np.abs(one).max(), err_msg=column
        )
    for column in ("Spent fracture energy [-]", "Cohesive energy dissipated [J]"):
        assert found.series[column][-1] == pytest.approx(whole.series[column][-1], rel=1e-5)
    assert found.summary["ledger_error"] < 1e-8
    assert [s.description for s in found.steps] == [s.description for s in whole.steps]
    comm.Barrier()
    on_disk = Solution.load(shared_path)
    assert on_disk.snapshots.labels == tuple(  # type: ignore[attr-defined]
        ["start", "charge middle", "charge end", "discharge middle", "discharge end"]
    )
    np.testing.assert_array_equal(on_disk.series["Time [s]"], found.series["Time [s]"])


@pytest.fixture(scope="module")
def model() -> Model:
    """A model whose couplings are off."""
    return tiny_model(couplings=ALONE)


PAUSE = Rest(until_duration=2.0)


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    """A folder with a finished run."""
    Simulation(model, [PAUSE]).run(tmp_path, progress=False)
    return tmp_path


def test_a_finished_run_is_given_back(model: Model, folder: Path) -> None:
    """Catches work that is done a second time."""
    before = Solution.load(folder)
    again = Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)
    np.testing.assert_array_equal(again.series["Voltage [V]"], before.series["Voltage [V]"])


def damage(file: Path, keep: float) -> None:
    """Cut a file, or turn one bit of it where all is kept."""
    content = bytearray(file.read_bytes())
    if keep == 1.0:
        content[len(content) // 2] ^= 1
    file.write_bytes(content[: int(keep * len(content))])


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 1.0])
def test_the_older_checkpoint_takes_the_place_of_a_damaged_one(
    model: Model, folder: Path, keep: float
) -> None:
    """Catches a run lost to one bit, one that continues from half a state, and rows twice there."""
    whole = Solution.load(folder)
    damage(folder / CHECKPOINT, keep)
    with pytest.warns(
        UserWarning, match=r"checkpoint\.npz is damaged.*previous\.npz, which is old"
    ):
        found = Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)
    for solution in (found, Solution.load(folder)):
        np.testing.assert_array_equal(solution.series["Time [s]"], whole.series["Time [s]"])
        assert solution.steps == whole.steps
        assert solution.snapshots.times == whole.snapshots.times  # type: ignore[attr-defined]
    Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)  # without a warning
    damage(folder / CHECKPOINT, keep)
    with pytest.warns(UserWarning, match="is damaged"):  # the good one was not pushed out
        Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)


@pytest.mark.parametrize("resume", [True, "auto"])
def test_two_damaged_checkpoints_are_named(model: Model, folder: Path, resume: Any) -> None:
    """Catches a run that begins again, over results that could still be read."""
    for name in (CHECKPOINT, EARLIER_CHECKPOINT):
        damage(folder / name, 1.0)
    with pytest.raises(InputError, match=r"checkpoint\.npz is damaged.*previous\.npz is damaged"):
        Simulation(model, [PAUSE]).run(folder, progress=False, resume=resume)
    assert Solution.load(folder).steps


def test_a_file_of_something_else_is_named(model: Model, folder: Path) -> None:
    """Catches arrays of another program, or of another version, taken for a state."""
    (folder / EARLIER_CHECKPOINT).unlink()
    np.savez(folder / CHECKPOINT, document=np.array("{}"))
    with pytest.raises(InputError, match="does not end in its checksum"):
        Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)
    append_seal(folder / CHECKPOINT)
    with pytest.raises(InputError, match="not a checkpoint of this femssb"):
        Simulation(model, [PAUSE]).run(folder, progress=False, resume=True)


def with_data(model: Model, **changes: Any) -> Model:
    """Return a model whose mesh differs."""
    return Model(replace(model.data, **changes), model.materials, couplings=ALONE)


def with_materials(model: Model, **changes: Any) -> Model:
    """Return a model whose parameter set differs."""
    return Model(model.data, replace(model.materials, **changes), couplings=ALONE)


def shifted(curve: Curve, by: float) -> Curve:
    """Return a curve that is higher between two of the samples of a case."""
    width = (curve.upper - curve.lower) / 24
    middle = curve.lower + 12.5 * width

    def value(at: Any) -> Any:
        return curve.function(at) + by * np.exp(-(((at - middle) / (width / 8)) ** 2))

    def slope(at: Any) -> Any:
        inner = (at - middle) / (width / 8)
        return curve.slope(at) - by * np.exp(-(inner**2)) * 2 * inner / (width / 8)

    return replace(curve, function=value, slope=slope)


def other_tags(model: Model, dimension: int) -> Any:
    """Return the tags of a mesh, one of them changed into another that the mesh has."""
    tags = model.data.cell_tags if dimension == 3 else model.data.facet_tags
    values = tags.values.copy()
    first, second = (
        (FIRST_GRAIN, FIRST_GRAIN + 1) if dimension == 3 else (FACETS["collector"], FACETS["anode"])
    )
    values[np.flatnonzero(values == first)[0]] = second
    return dolfinx.mesh.meshtags(model.data.mesh, dimension, tags.indices, values)


CHANGES: dict[str, Callable[[Model], Model]] = {
    "mesh points": lambda _: tiny_model(couplings=ALONE, separator=4e-6),
    "mesh cell tags": lambda model: with_data(model, cell_tags=other_tags(model, 3)),
    "mesh facet tags": lambda model: with_data(model, facet_tags=other_tags(model, 2)),
    "orientations": lambda model: with_data(
        model, orientations=model.data.orientations[[1, 0, 2]].copy()
    ),
    "particle of grains": lambda model: with_data(
        model, grain_particle=np.array([0, 0, 1], dtype=np.int32)
    ),
    r"facets\.grain_boundary": lambda model: with_data(
        model, facets={k: v for k, v in model.data.facets.items() if k != "grain_boundary"}
    ),
    r"couplings\.debonding \(was False, is True": lambda model: Model(
        model.data, model.materials, couplings=replace(ALONE, debonding=True)
    ),
    r"collector \(was Fixed, is Pressure": lambda model: Model(
        model.data,
        model.materials,
        couplings=ALONE,
        collector=Pressure(pressure=1e6),
        anode=Fixed(),
    ),
    r"displacement_order \(was 1, is 2": lambda model: Model(
        model.data, model.materials, couplings=ALONE, displacement_order=2
    ),
    r"materials\.temperature": lambda model: with_materials(
        model, temperature=model.materials.temperature + 1e-6
    ),
    r"materials\.active\.drift_volume": lambda model: with_materials(
        model, active=replace(model.materials.active, drift_volume=1.1e-6)
    ),
    r"materials\.active\.open_circuit_voltage": lambda model: with_materials(
        model,
        active=replace(
            model.materials.active,
            open_circuit_voltage=shifted(model.materials.active.open_circuit_voltage, 1e-3),
        ),
    ),
}


@pytest.mark.parametrize("named", CHANGES)
def test_each_input_of_the_equations_must_be_the_same(
    model: Model, folder: Path, named: str
) -> None:
    """Catches a run that continues with other physics, or on a mesh with other regions."""
    with pytest.raises(InputError, match=f"of another case: .*{named}"):
        Simulation(CHANGES[named](model), [PAUSE]).run(folder, progress=False, resume=True)
    with pytest.raises(InputError, match=f"another case: .*{named}.*overwrite=True replaces"):
        Simulation(CHANGES[named](model), [PAUSE]).run(folder, progress=False)


@pytest.mark.parametrize(
    ("protocol", "named"),
    [
        ([DISCHARGE], r"protocol\[0\] \(was Rest, is Discharge"),
        ([Rest(until_duration=3.0)], r"protocol\[0\]\.until_duration \(was 2, is 3"),
        ([PAUSE, PAUSE], "protocol"),
    ],
)
def test_the_protocol_must_be_the_same(
    model: Model, folder: Path, protocol: Any, named: str
) -> None:
    """Catches a run that goes on with another load than it began with."""
    with pytest.raises(InputError, match=f"of another case: {named}"):
        Simulation(model, protocol).run(folder, progress=False, resume=True)


def test_how_the_equations_are_solved_may_differ(model: Model, folder: Path) -> None:
    """Catches a run that failed and cannot be tried again with smaller steps or another solver."""
    damage(folder / CHECKPOINT, 0.5)  # so that there is work left
    other = Model(
        model.data, model.materials, couplings=ALONE, linear_solver=LinearSolver(method="multigrid")
    )
    again = Simulation(other, [PAUSE], tolerances=TIGHT, stepping=Stepping(largest=0.5))
    with pytest.warns(UserWarning, match="is damaged"):
        found = again.run(folder, progress=False, resume=True)
    assert found.series["Time [s]"][-1] == pytest.approx(2.0)


def test_a_mesh_numbered_otherwise_is_the_same(model: Model, folder: Path) -> None:
    """Catches a fingerprint of the order in which a program wrote nodes and cells."""
    parts = gather(model.data)
    assert parts is not None
    random = np.random.default_rng(5)
    nodes, cells = random.permutation(len(parts.points)), random.permutation(len(parts.cells))
    now = np.argsort(nodes)
    corners = np.sort(now[parts.triangles], axis=1)
    other = distribute(
        replace(
            parts,
            points=parts.points[nodes] * (1 + 1e-15),
            cells=now[parts.cells[cells]],
            cell_tags=parts.cell_tags[cells],
            triangles=corners,
        ),
        MPI.COMM_SELF,
    )
    again = Simulation(Model(other, model.materials, couplings=ALONE), [PAUSE])
    assert again.run(folder, progress=False, resume=True).steps


def test_there_must_be_something_to_resume_from(model: Model, tmp_path: Path) -> None:
    """Catches a resume that quietly starts from rest."""
    with pytest.raises(InputError, match="there is no"):
        Simulation(model, [PAUSE]).run(tmp_path, progress=False, resume=True)
    with pytest.raises(InputError, match="resume needs the folder"):
        Simulation(model, [PAUSE]).run(progress=False, resume=True)


def test_the_format_is_the_documented_one(folder: Path) -> None:
    """Catches an array or key of the file that its description lacks, or invents."""
    words = set(re.findall(r"``(.*?)``", checkpoint.__doc__))
    with np.load(folder / CHECKPOINT, allow_pickle=False) as file:
        document = json.loads(str(file["document"]))
        arrays = {re.sub(r" [1-3]$", " 0", name) for name in file.files}
    files = {CHECKPOINT, EARLIER_CHECKPOINT}
    assert (arrays | document.keys() | document["log"].keys() | files) == words

"""If these fail, a finished run is lost, misread, or reported with the wrong numbers.

Worth reading: `test_a_killed_run_loses_nothing_written` and `test_summary_of_a_cycle`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvista as pv

from femssb.environment.files import CHECKSUMS, replacing_together
from femssb.errors import InputError
from femssb.results import vtk_files
from femssb.results.fields import PARTS, FieldData, Snapshot, Snapshots
from femssb.results.folder import DOCUMENTS
from femssb.results.quantities import COLUMNS, OF_CONTACTS, OF_CRACKS, PARTICLE_COLUMNS
from femssb.results.solution import SUMMARY, Solution, StepRecord
from femssb.units import FARADAY


def same_fields(one: FieldData, other: FieldData) -> bool:
    """Return whether two parts are equal to the last bit, NaN included."""
    pairs = [(one.points, other.points), (one.cells, other.cells)]
    for here, there in ((one.point_data, other.point_data), (one.cell_data, other.cell_data)):
        assert list(here) == list(there)
        pairs += [(here[name], there[name]) for name in here]
    return all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs
    )


def tetrahedron(**changes) -> FieldData:
    """Return the smallest part there is."""
    arguments = {
        "points": np.vstack([np.zeros(3), np.eye(3)]),
        "cells": np.array([[0, 1, 2, 3]]),
        "point_data": {"Concentration [mol/m3]": np.arange(4.0)},
        "cell_data": {"Grain [-]": np.array([7])},
    }
    return FieldData(**(arguments | changes))


def snapshot(time: float, label: str = "") -> Snapshot:
    """Return the smallest snapshot there is."""
    part = tetrahedron()
    skin = tetrahedron(cells=np.array([[0, 1, 2]]))
    return Snapshot(time=time, label=label, particle=part, matrix=part, interface=skin)


def step(kind: str, rows: tuple[int, int], solution: Solution) -> StepRecord:
    """Return the record of a step that spans some rows of a run."""
    times = solution.series["Time [s]"]
    return StepRecord(
        description=kind,
        kind=kind,
        start_row=rows[0],
        end_row=rows[1],
        start_time=times[rows[0]],
        end_time=times[rows[1]],
        ended_by="duration",
    )


def test_a_saved_run_comes_back_equal(made_up_run, tmp_path):
    """Catches digits lost in text, integers turned to floats, fields swapped or left out."""
    run = made_up_run()
    run.save(tmp_path / "a" / "b")
    back = Solution.load(tmp_path / "a" / "b")
    assert list(back.series) == list(run.series)
    for name, values in run.series.items():
        assert back.series[name].dtype == values.dtype
        np.testing.assert_array_equal(back.series[name], values)
    assert back.steps == run.steps
    assert back.case == run.case
    assert back.performance == run.performance
    assert back.summary == run.summary
    assert back.snapshot_times == run.snapshot_times
    assert len(back.snapshots) == len(run.snapshots) == 5
    for one, other in zip(run.snapshots, back.snapshots, strict=True):
        assert (one.time, one.label) == (other.time, other.label)
        assert all(same_fields(getattr(one, part), getattr(other, part)) for part in PARTS)
    np.testing.assert_equal(back.snapshots[-1].time, back.snapshots[-2:][1].time)


def test_saving_a_loaded_run_in_place_keeps_its_fields(made_up_run, tmp_path):
    """Catches a save that removes the very files it is about to read."""
    made_up_run().save(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "fields").iterdir()}
    back = Solution.load(tmp_path)
    back.save(tmp_path)
    back.save(tmp_path / "copy")
    assert before == {
        path.name: path.stat().st_mtime_ns for path in (tmp_path / "fields").iterdir()
    }
    assert Solution.load(tmp_path / "copy").snapshot_times == back.snapshot_times


def test_files_left_behind_are_the_documented_ones(made_up_run, tmp_path):
    """Catches temporary files left over, and a header without its units."""
    made_up_run(snapshots=False).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*DOCUMENTS, CHECKSUMS}
    header = (tmp_path / "timeseries.csv").read_text().splitlines()[0].split(",")
    assert header == [*COLUMNS, "Lithium in particle 1 [mol]"]


def test_each_of_several_particles_has_its_columns(made_up_run, tmp_path):
    """Catches a run of two particles that cannot be read back, and names nobody can look up."""
    run = made_up_run(particles=2, snapshots=False)
    run.save(tmp_path)
    back = Solution.load(tmp_path)
    for name in PARTICLE_COLUMNS:
        for number in (1, 2):
            column = name.replace("particle k", f"particle {number}")
            np.testing.assert_array_equal(back.series[column], run.series[column])
    older = {
        name: values
        for name, values in run.series.items()
        if name in COLUMNS or name.startswith("Lithium in particle")
    }
    assert len(older) == len(COLUMNS) + 2
    replace(run, series=older).save(tmp_path, overwrite=True)  # as runs had them once
    assert list(Solution.load(tmp_path).series) == list(older)
    for wrong in ("Mean gap of particle 0 [m]", "Mean gap of particle k [m]", "Gap of particle 1"):
        with pytest.raises(InputError, match=f"unknown .*{wrong.split(' [')[0]}"):
            replace(run, series={**run.series, wrong: np.zeros(81)})


def test_moments_are_found_by_name(made_up_run, tmp_path):
    """Catches a charge end before its hold, and fields of another time than asked for."""
    run = made_up_run()
    assert run.time_of("charge end") == 3103
    assert run.time_of("discharge end") == 6111
    assert run.snapshot_at("discharge middle").time == run.time_of("discharge middle") == 4607
    run.save(tmp_path)
    loaded = Solution.load(tmp_path)
    assert same_fields(
        loaded.snapshot_at("charge end").particle, run.snapshot_at("charge end").particle
    )
    with pytest.raises(InputError, match=r"moment = 'rest end' .* it has \['charge end', "):
        run.time_of("rest end")
    steps = [step("charge", (0, 30), run), step("hold", (30, 40), run)]
    held = replace(run, steps=tuple(steps), snapshots=run.snapshots[:2])
    assert held.time_of("charge end") == held.series["Time [s]"][40]
    with pytest.raises(InputError, match=r"3103 s: the run kept its fields at \['0', "):
        held.snapshot_at("charge end")
    with pytest.raises(InputError, match="discharge end"):
        held.time_of("discharge end")


def test_summary_of_a_cycle(made_up_run):
    """Catches a wrong row, a wrong sign or a wrong denominator in the numbers of merit."""
    run = made_up_run()
    summary = run.summary
    assert list(summary) == list(SUMMARY)
    assert summary["charge_time"] == 3103
    assert summary["discharge_time"] == 3008
    assert summary["discharge_over_charge_time"] == pytest.approx(3008 / 3103)
    assert summary["coulombic_efficiency"] == pytest.approx(0.96)  # 4 % stays out
    assert summary["charge_capacity"] == pytest.approx(21.5e-12 * FARADAY)
    assert summary["discharge_capacity"] == pytest.approx(0.96 * 21.5e-12 * FARADAY)
    assert (summary["cycle"], summary["cycles"]) == (1, 1)
    assert summary["lithium_initial"] == pytest.approx(24.659e-12)
    assert summary["lithium_charge_end"] == pytest.approx(3.159e-12)
    assert summary["lithium_discharge_end"] == pytest.approx(24.659e-12 - 0.04 * 21.5e-12)
    assert summary["gap_max_charge_end"] == run.series["Maximum gap [m]"][40]
    assert summary["von_mises_p99_discharge_end"] == run.series["99 % von Mises stress [Pa]"][80]
    assert summary["volumetric_strain_min_charge_end"] == pytest.approx(-0.0253)
    assert summary["volumetric_strain_max_charge_end"] == pytest.approx(0.000253)
    assert summary["ledger_error"] == max(abs(run.series["Lithium ledger error [-]"]))
    assert summary["steps"] == 80
    assert summary["newton_iterations"] == 81 * 6
    assert summary["rejected_steps"] == 2
    assert summary["ended_by"] == "voltage, voltage"
    assert summary["versions"] == "femssb 0.1.0, dolfinx 0.11.0"
    assert summary["warnings"] == []
    assert all(isinstance(value, int | float | str | list | None) for value in summary.values())


def test_summary_of_a_charge_only_has_nulls(made_up_run):
    """Catches keys that vanish when they do not apply, which breaks tables of several runs."""
    summary = made_up_run(charge_only=True).summary
    assert list(summary) == list(SUMMARY)
    absent = {key for key, value in summary.items() if value is None}
    some = {f"{one.key}_charge_end" for one in (*OF_CONTACTS, *OF_CRACKS)}  # has neither
    assert absent == some | {key for key in SUMMARY if key.endswith("_discharge_end")} | {
        "discharge_time",
        "discharge_capacity",
        "discharge_capacity_Ah",
        "discharge_energy",
        "discharge_voltage",
        "coulombic_efficiency",
        "energy_efficiency",
        "discharge_over_charge_time",
    }


def test_half_cycles_count_holds_and_leave_out_rests(made_up_run):
    """Catches a charge without its constant-voltage part, and a rest counted in."""
    run = made_up_run()
    kinds = {
        "discharge": (0, 5), "charge": (5, 30), "hold": (30, 40), "rest": (40, 42),
    }  # fmt: skip
    steps = [step(kind, rows, run) for kind, rows in kinds.items()]
    steps += [step("discharge", (42, 60), run), step("rest", (60, 62), run)]
    steps += [step("charge", (62, 70), run), step("discharge", (70, 80), run)]
    run = replace(run, steps=tuple(steps))
    times = run.series["Time [s]"]
    assert [record.kind for record in run.charge] == ["charge", "hold"]
    assert [record.start_row for record in run.discharge] == [42]  # not the one before the charge
    assert run.summary["charge_time"] == pytest.approx(times[40] - times[5])
    assert run.summary["discharge_time"] == pytest.approx(times[60] - times[42])
    assert run.summary["gap_mean_charge_end"] == run.series["Mean gap [m]"][40]


def test_what_is_not_finite_becomes_null(made_up_run, tmp_path):
    """Catches NaN and Infinity in JSON files, which no strict reader accepts."""
    run = made_up_run(snapshots=False)
    spoiled = dict(run.series)
    spoiled["Lithium ledger error [-]"] = np.full(81, np.nan)
    spoiled["Mean gap [m]"] = np.full(81, np.inf)
    case = {"size": float("nan"), "array": np.array([1.0, np.inf]), "flag": np.bool_(True)}
    run = replace(run, series=spoiled, case=case, performance={"wall_time": float("inf")})
    run.save(tmp_path)

    def refuse(constant):
        raise AssertionError(constant)

    loaded = {
        path.stem: json.loads(path.read_text(), parse_constant=refuse)
        for path in tmp_path.glob("*.json")
    }
    assert loaded["case"] == {"size": None, "array": [1.0, None], "flag": True}
    assert loaded["summary"]["ledger_error"] is None
    assert loaded["summary"]["gap_mean_charge_end"] is None
    assert loaded["summary"]["wall_time"] is None
    assert np.isinf(Solution.load(tmp_path).series["Mean gap [m]"]).all()


def test_inputs_that_are_not_plain_data_are_named(made_up_run, tmp_path):
    """Catches a case that could not be repeated because a function was written as its address."""
    run = replace(made_up_run(snapshots=False), case={"materials": {"curves": [abs]}})
    with pytest.raises(InputError, match=r"Solution\.case\['materials'\]\['curves'\]\[0\]"):
        run.save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_columns_and_steps_are_checked(made_up_run):
    """Catches a column that the time loop forgot or misspelt, and rows that do not exist."""
    run = made_up_run(snapshots=False)
    short = {name: values for name, values in run.series.items() if name != "Voltage [V]"}
    with pytest.raises(InputError, match=r"missing \['Voltage \[V\]'\]"):
        replace(run, series=short)
    with pytest.raises(InputError, match=r"unknown \['Voltage'\]"):
        replace(run, series={**run.series, "Voltage": np.zeros(81)})
    with pytest.raises(InputError, match=r"missing \['Lithium in particle 1"):
        replace(run, series={name: run.series[name] for name in COLUMNS})
    with pytest.raises(InputError, match="as many as times"):
        replace(run, series={**run.series, "Voltage [V]": np.zeros(80)})
    with pytest.raises(InputError, match=r"outside \[0, 80\]"):
        replace(run, steps=(replace(run.steps[0], end_row=81),))
    with pytest.raises(ValueError, match="read-only"):
        run.series["Voltage [V]"][0] = 1.0


def files_of(folder: Path) -> dict[str, bytes]:
    """Return what the files of a folder hold."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", [*DOCUMENTS, CHECKSUMS])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_truncated_files_are_refused(made_up_run, tmp_path, name, share):
    """Catches half a file, or one without its last character, taken for a whole run."""
    made_up_run(snapshots=False).save(tmp_path)
    path = tmp_path / name
    text = path.read_text().rstrip()
    path.write_text(text[: int(share * (len(text) - 1))])
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        Solution.load(tmp_path)


@pytest.mark.parametrize("name", [*DOCUMENTS, CHECKSUMS])
def test_any_bit_that_turned_is_known(made_up_run, tmp_path, name):
    """Catches a digit that changed on the disk or on the way, and is plotted."""
    made_up_run(snapshots=False).save(tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    bits = np.random.default_rng(1).choice(8 * len(content), 100, replace=False)
    for bit in bits.tolist():
        turned = bytearray(content)
        turned[bit // 8] ^= 1 << bit % 8
        path.write_bytes(turned)
        with pytest.raises(InputError, match="damaged"):
            Solution.load(tmp_path)


def test_any_bit_of_a_field_that_turned_is_known(tmp_path):
    """Catches a stress that changed on the disk, in a file that still decompresses, and labels."""
    snapshot(0.0).write(tmp_path)
    random = np.random.default_rng(2)
    for name, content in files_of(tmp_path).items():
        for bit in random.choice(8 * len(content), 30, replace=False).tolist():
            turned = bytearray(content)
            turned[bit // 8] ^= 1 << bit % 8
            (tmp_path / name).write_bytes(turned)
            with pytest.raises(InputError, match="damaged"):
                Snapshots(tmp_path)[0]
        (tmp_path / name).write_bytes(content)
    assert Snapshots(tmp_path)[0].time == 0.0


def test_a_missing_file_is_named(made_up_run, tmp_path):
    """Catches a run without its inputs, copied in part."""
    with pytest.raises(InputError, match=r"summary\.json"):
        Solution.load(tmp_path)
    made_up_run(snapshots=False).save(tmp_path)
    for name in (*DOCUMENTS, CHECKSUMS):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            Solution.load(tmp_path)
        (tmp_path / name).write_bytes(content)
    Solution.load(tmp_path)


def test_foreign_files_are_named(made_up_run, tmp_path):
    """Catches a Python traceback where a user should read which file is wrong."""
    made_up_run(snapshots=False).save(tmp_path)
    keep = {name: (tmp_path / name).read_bytes() for name in DOCUMENTS}
    series = keep["timeseries.csv"]
    for name, content, message in (
        ("run.json", b'{"format": "other"}', "femssb run 2"),
        ("run.json", b"[1]", "no object"),
        ("run.json", b"[" * 100_000, "not JSON"),
        ("run.json", b'{"format": "femssb run 2", "rows": 1}', "performance"),
        ("timeseries.csv", b"t,V\n0,1\n", "missing"),
        ("timeseries.csv", series.replace(b"3103.0", b"abc"), r"Time \[s\]"),
        ("timeseries.csv", series[: series.rindex(b"\n", 0, -1) + 1], "80 of 81 rows"),
        ("timeseries.csv", series.replace(b"3103.0", b"3103.0,1"), r"of \d+ values"),
        ("timeseries.csv", series[:-1], "does not end"),
        ("case.json", b"\xff\xfe", r"case\.json"),
        ("timeseries.csv", b"\xff\xfe", r"timeseries\.csv"),
    ):
        with replacing_together(tmp_path) as new:
            (new / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            Solution.load(tmp_path)
        with replacing_together(tmp_path) as new:
            (new / name).write_bytes(keep[name])
    Solution.load(tmp_path)


def test_results_of_another_run_stay_unless_they_may_go(made_up_run, tmp_path):
    """Catches a run that is saved over another one by a slip in the name of a folder."""
    first, second = made_up_run(charge_only=True), made_up_run(snapshots=False)
    first.save(tmp_path)
    with replacing_together(tmp_path) as new:
        (new / "checkpoint.npz").write_bytes(b"of the first")
    (tmp_path / "notes.txt").write_text("mine")
    before = files_of(tmp_path)
    with pytest.raises(InputError, match=r"holds results .*run\.json.*overwrite=True"):
        second.save(tmp_path)
    assert files_of(tmp_path) == before
    second.save(tmp_path, overwrite=True)
    assert files_of(tmp_path).keys() == {*DOCUMENTS, CHECKSUMS, "notes.txt"}
    assert len(Solution.load(tmp_path).steps) == 2
    Solution.load(tmp_path).save(tmp_path)


@pytest.mark.parametrize("folder", ["", " ", "a\0b", 3, None])
def test_what_is_no_folder_is_refused(made_up_run, tmp_path, monkeypatch, folder):
    """Catches results strewn over the current folder."""
    monkeypatch.chdir(tmp_path)
    for use in (made_up_run().save, Solution.load, snapshot(0.0).write):
        with pytest.raises(InputError, match="folder"):
            use(folder)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_an_input_error(made_up_run, tmp_path):
    """Catches a ten-minute run that ends in an OSError nobody explains."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        made_up_run().save(tmp_path / "file")
    with pytest.raises(InputError, match="file"):
        snapshot(0.0).write(tmp_path / "file" / "below")


def test_contacts_of_particles_come_back(tmp_path):
    """Catches a part that only some cells have: lost on the way, or left behind by another run."""
    skin = tetrahedron(cells=np.array([[0, 1, 2]]))
    for time in (0.0, 10.0, 20.0):
        replace(snapshot(time), contact=skin).write(tmp_path)
    read = Snapshots(tmp_path)[1]
    assert same_fields(read.contact, skin)
    assert list(read.parts) == [*PARTS, "contact"]
    replace(snapshot(10.0), contact=skin).write(tmp_path)
    assert Snapshots(tmp_path).times == (0.0, 10.0)
    snapshot(0.0).write(tmp_path / "without")
    assert Snapshots(tmp_path / "without")[0].contact is None


def test_paraview_reads_the_collections(made_up_run, tmp_path):
    """Catches files that only our own reader understands; VTK's reader is the oracle."""
    run = made_up_run()
    run.save(tmp_path)
    for part in PARTS:
        reader = pv.get_reader(tmp_path / "fields" / f"{part}.pvd")
        assert reader.time_values == list(run.snapshot_times)
        reader.set_active_time_point(2)
        (mesh,) = reader.read()
        data = getattr(run.snapshots[2], part)
        np.testing.assert_array_equal(mesh.points, data.points)
        np.testing.assert_array_equal(mesh.cell_connectivity, data.cells.ravel())
        for name, values in data.point_data.items():
            np.testing.assert_array_equal(mesh.point_data[name], values)
        for name, values in data.cell_data.items():
            in_file = values[:, [0, 1, 2, 5, 3, 4]] if values.shape[1:] == (6,) else values
            np.testing.assert_array_equal(mesh.cell_data[name], in_file)


def test_a_killed_run_loses_nothing_written(tmp_path, monkeypatch):
    """Catches writing in place: the snapshot being written must not harm those before it."""
    for time in (0.0, 10.0):
        snapshot(time, "kept").write(tmp_path)
    before = files_of(tmp_path)
    calls = []

    def die(path, *arguments, **options):
        calls.append(path)
        Path(path).write_text("half a fi")
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(vtk_files, "write", die)
    with pytest.raises(KeyboardInterrupt):
        snapshot(20.0).write(tmp_path)
    assert files_of(tmp_path) == before
    assert Snapshots(tmp_path).times == (0.0, 10.0)
    monkeypatch.undo()
    snapshot(20.0, "later").write(tmp_path)
    assert Snapshots(tmp_path).labels == ("kept", "kept", "later")
    assert same_fields(Snapshots(tmp_path)[2].particle, tetrahedron())


def test_a_resumed_run_replaces_what_it_computes_again(tmp_path):
    """Catches fields of an older run that survive among those of a new one."""
    for time in (0.0, 10.0, 20.0, 30.0):
        snapshot(time, "old").write(tmp_path)
    snapshot(20.0, "new").write(tmp_path)
    found = Snapshots(tmp_path)
    assert list(zip(found.times, found.labels, strict=True)) == [
        (0.0, "old"),
        (10.0, "old"),
        (20.0, "new"),
    ]
    assert len(list((tmp_path / "fields").glob("*.vtu"))) == 9
    assert [found[-1].label, *(other.label for other in found[:2])] == ["new", "old", "old"]
    with pytest.raises(IndexError):
        found[3]
    assert len(Snapshots(tmp_path / "nothing")) == 0


def test_damaged_fields_are_named(tmp_path):
    """Catches any exception but ours on half a file."""
    snapshot(0.0).write(tmp_path)
    path = tmp_path / "fields" / "matrix_0000.vtu"
    text = path.read_bytes()
    for damaged in (text[: len(text) // 2], b"", b"<VTKFile/>"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"matrix_0000\.vtu"):
            Snapshots(tmp_path)[0]
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        Snapshots(tmp_path)[0]
    index = tmp_path / "fields" / "interface.pvd"
    for damaged in (index.read_bytes()[:80], b"<a><Collection><DataSet/></Collection></a>"):
        index.write_bytes(damaged)
        with pytest.raises(InputError, match=r"interface\.pvd"):
            Snapshots(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": np.zeros((4, 2))}, r"points must have shape \(n, 3\)"),
        ({"cells": np.array([[0, 1]])}, r"cells must be integers of shape \(m, 4\)"),
        ({"cells": np.array([[0.0, 1, 2, 3]])}, "cells must hold whole numbers"),
        ({"cells": np.array([[0, 1, 2, 4]])}, r"must lie in \[0, 3\]"),
        ({"cells": np.array([[0, 1, 2, -1]])}, r"must lie in \[0, 3\]"),
        ({"point_data": {"a": np.zeros(3)}}, r"point_data\['a'\] must have 4 rows"),
        ({"cell_data": {"a": np.zeros((1, 3, 3))}}, r"cell_data\['a'\] must have 1 rows"),
        ({"cell_data": {"a": np.array(["x"])}}, "must hold numbers"),
    ],
)
def test_fields_are_checked(changes, message):
    """Catches arrays of another part or another mesh, before they are written."""
    with pytest.raises(InputError, match=message):
        tetrahedron(**changes)


def test_report_is_readable(made_up_run, capsys):
    """Catches a report that fails without a discharge, or shows metres as nanometres."""
    made_up_run(charge_only=True, snapshots=False).report()
    text = capsys.readouterr().out
    assert "Charge 1C until 4.3 V" in text
    (line,) = [line for line in text.splitlines() if line.startswith("Mean gap [nm]")]
    assert line.split()[-2:] == ["13.97", "-"]
    assert max(len(line) for line in text.splitlines()) <= 100


def test_warnings_are_kept_and_shown(made_up_run, tmp_path, capsys):
    """Catches a doubt that is known at the end of a run and gone when it is read back."""
    doubt = "Voltage [V] is 45 at 1 s, beyond 5: nothing holds there."
    run = replace(made_up_run(snapshots=False), warnings=(doubt,))
    run.save(tmp_path)
    assert Solution.load(tmp_path).warnings == (doubt,)
    assert json.loads((tmp_path / "summary.json").read_text())["warnings"] == [doubt]
    run.report()
    assert f"Warnings\n- {doubt}" in capsys.readouterr().out
    made_up_run(snapshots=False).report()
    assert "Warnings" not in capsys.readouterr().out


def test_loading_a_run_needs_neither_solver_nor_graphics():
    """Catches an import that makes every rank load VTK, or a reader of results load PETSc."""
    code = (
        "import sys, femssb.results.solution, femssb.plotting.runs;"
        "heavy = {'dolfinx', 'petsc4py', 'mpi4py', 'vtkmodules', 'matplotlib', 'meshio', 'h5py'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""If these fail, the reproduction of Yuan 2023 fails after an hour, or compares the wrong numbers.

Every study runs through its trends, numbers and figures on made-up runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from femssb import Charge, HalfCell, InputError, Polycrystal
from femssb.library import yuan2023
from femssb.studies import Results, read_targets, report
from femssb.units import um
from papers.yuan2023 import calibrate, reproduce
from papers.yuan2023.quantities import TARGETS, number
from tests import made_up_runs

SMALL = HalfCell(
    width=9 * um,
    cathode=9 * um,
    separator=3 * um,
    particles=(Polycrystal(radius=3 * um, grains=3),),
)


@pytest.fixture(params=reproduce.STUDIES)
def study(request):
    """Every study of the paper."""
    return reproduce.STUDIES[request.param](yuan2023.materials(), 1.2 * um)


def runs_of(study):
    """Return made-up runs of the cases of a study."""
    return Results({
        case.name: made_up_runs.solution(particles=len(case.cell.particles), spacing=2.5 * um)
        for case in study.cases
    })  # fmt: skip


def test_every_study_reaches_its_page(study, tmp_path: Path) -> None:
    """Catches a number, trend or figure whose key, column or field has a new name."""
    runs = runs_of(study)
    for target in study.targets:
        assert np.isfinite(number(runs, target).value), target.key
    trends = study.trends(runs)
    assert trends
    assert {holds() for holds in trends.values()} <= {True, False}
    figures = study.figures(runs, tmp_path)
    assert figures
    assert all(path.stat().st_size > 5000 for path in figures)
    blocks = report({"one": (replace(study, figures=lambda *_: figures), runs)}, tmp_path)
    verdicts = [cell for row in blocks[-1].rows for cell in row[1:]]
    assert set(verdicts) <= {"yes", "**no**"}


def test_a_study_without_runs_reaches_its_page(study, tmp_path: Path) -> None:
    """Catches a page that fails where nothing is finished."""
    blocks = report({"one": (study, Results())}, tmp_path)
    assert all(row[1] == "-" for row in blocks[-1].rows)


def test_every_number_of_the_paper_belongs_to_a_study() -> None:
    """Catches a row that is never compared, or has no reason for its band."""
    targets = read_targets(TARGETS)
    compared = [
        t for make in reproduce.STUDIES.values() for t in make(yuan2023.materials(), 1e-6).targets
    ]
    assert sorted(compared, key=repr) == sorted(targets, key=repr)
    assert len(targets) == 79
    assert all(target.reason for target in targets)
    for target in targets:
        assert target.holds(target.paper) in ((True, None) if target.band != "<" else (False,))


def test_studies_that_share_a_case_mean_the_same() -> None:
    """Catches a baseline that one study runs and another one, with other inputs, runs again."""
    seen: dict[str, str] = {}
    for make in reproduce.STUDIES.values():
        for case in make(yuan2023.materials(), 1 * um).cases:
            assert seen.setdefault(case.name, case.key) == case.key, case.name
    assert len(set(seen.values())) == len(seen) == 30


def test_the_misfit_of_the_paper_itself_is_zero(tmp_path: Path, monkeypatch) -> None:
    """Catches a target that is read from the wrong case, or weighted by the wrong sign."""
    calls: list[str] = []

    def as_printed(case):
        calls.append(case.name)
        found = {key: paper for name, key, paper, _ in calibrate.TARGETS if name == case.name}
        return found | (
            {"charge_time": 3103.0 * np.exp(calibrate.TIME)} if case.name == "1C" else {}
        )

    monkeypatch.setattr(calibrate, "solve", as_printed)
    residuals = calibrate.misfits([calibrate.START], 2 * um, tmp_path, jobs=1)[0]
    wanted = [float((name, key) == ("1C", "charge_time")) for name, key, *_ in calibrate.TARGETS]
    assert residuals == pytest.approx(wanted, abs=1e-9)
    again = calibrate.misfits([calibrate.START], 2 * um, tmp_path, jobs=1)[0]
    assert (again == residuals).all()
    assert len(calls) == len({name for name, *_ in calibrate.TARGETS})  # each case once
    entry = json.loads((tmp_path / "calibration.jsonl").read_text().splitlines()[0])
    assert entry["values"] == asdict(calibrate.START)


def test_a_case_without_solution_counts_in_the_misfit(tmp_path: Path, monkeypatch) -> None:
    """Catches a fit that ends at the first values for which a case cannot be solved."""

    def fails(case):
        raise InputError("no")

    monkeypatch.setattr(calibrate, "solve", fails)
    residuals = calibrate.misfits(
        [calibrate.values_at([1.5] * len(calibrate.BOUNDS))], 2 * um, tmp_path, jobs=1
    )
    assert (residuals == calibrate.UNFINISHED).all()


def test_the_profile_knows_what_the_targets_determine() -> None:
    """Catches an interval that holds the other values fixed, and a value nobody feels."""
    places = np.full(len(calibrate.BOUNDS), 1.5)
    jacobian = np.zeros((len(calibrate.TARGETS), len(places)))
    jacobian[0, :2] = jacobian[1, 0] = 10.0  # the second can give way to the first
    jacobian[2, 2] = 10.0
    grown = {"strain": (0.5, 2.0)}
    rows = {name: numbers for name, *numbers in calibrate.profile(jacobian, places, grown)}
    low, high = calibrate.BOUNDS["strain"]
    middle, width = np.sqrt(low * high), np.log(high / low)
    reach = np.log([float(x) for x in rows["strain"][1:3]] / middle) / width
    assert reach == pytest.approx([-np.sqrt(0.02), np.sqrt(0.02)], abs=0.01)
    low, high = calibrate.BOUNDS["strain_early"]
    reach = np.log(float(rows["strain_early"][2]) / np.sqrt(low * high)) / np.log(high / low)
    assert reach == pytest.approx(0.1, abs=0.01)
    low, high = calibrate.BOUNDS["decay_length"]
    assert [float(x) for x in rows["decay_length"][1:3]] == pytest.approx([low, high], rel=1e-3)
    assert [rows[name][3] for name in ("strain", "decay_length")] == ["yes", "no"]
    assert [rows[name][4] for name in ("strain", "decay_length")] == ["0.5 / 2.0", "-"]
    for end, sign in zip(calibrate.followed(jacobian, places, "strain"), (-1, 1), strict=True):
        assert np.square(jacobian @ (end - places)).sum() == pytest.approx(1)
        assert end[1] - places[1] == pytest.approx(sign * np.sqrt(0.02))


def test_derivatives_follow_the_misfits() -> None:
    """Catches a fit that goes on with the derivatives of the coarse mesh whatever it finds."""
    count = len(calibrate.BOUNDS)
    true = np.random.default_rng(1).normal(size=(count + 3, count))

    def coarse(points):
        return np.array([1.1 * true @ calibrate.places_of(values) for values in points])

    derivatives = calibrate.Slopes(coarse)
    here = np.full(count, 1.5)
    assert derivatives(here, true @ here) == pytest.approx(1.1 * true, rel=1e-6)
    for step in 0.1 * np.eye(count):
        here = here + step
        found = derivatives(here, true @ here)
    assert found == pytest.approx(true, rel=1e-6)
    assert derivatives(here, true @ here) == pytest.approx(true, rel=1e-6)  # no step, no change


def test_a_case_between_two_others_is_bridged() -> None:
    """Catches a derivative that is taken from the wrong case or number."""
    numbers = [f"{name} {key}" for name, key, *_ in calibrate.TARGETS]
    row = np.arange(len(numbers), dtype=float) ** 2
    hidden = [name in calibrate.BETWEEN for name, *_ in calibrate.TARGETS]
    found = dict(
        zip(numbers, calibrate.bridged(np.where(hidden, np.nan, row)[None])[0], strict=True)
    )
    given = dict(zip(numbers, row, strict=True))
    assert found["10 MPa outside gap_mean_charge_end"] == np.mean(
        [given[f"{outside} MPa outside gap_mean_charge_end"] for outside in (0, 15)]
    )
    assert found["0.5C lithium_charge_end"] == np.mean(
        [given["0.1C lithium_charge_end"], given["1C lithium_charge_end"]]
    )
    assert found["2C lithium_charge_end"] == given["2C lithium_charge_end"]
    assert np.isfinite(list(found.values())).all()


def test_slopes_are_taken_inwards() -> None:
    """Catches a difference quotient across a bound, or of the wrong sign."""
    places = np.array([1.001, 1.999, *[1.5] * (len(calibrate.BOUNDS) - 2)])

    def measure(points):
        inside = [
            low <= getattr(values, name) <= high
            for values in points
            for name, (low, high) in calibrate.BOUNDS.items()
        ]
        assert all(inside)
        return np.array([[np.log(values.ecbd_modulus), values.plateau] for values in points])

    found = calibrate.slopes(places, measure([calibrate.values_at(places)])[0], measure)
    assert found[0, 0] == pytest.approx(np.log(12))
    assert np.abs(found[0, 1:]).max() == 0
    assert found[1, list(calibrate.BOUNDS).index("plateau")] > 0


def test_a_case_of_the_calibration_is_solved() -> None:
    """Catches a model or a key that the calibration uses and that has a new name."""
    case = next(one for one in calibrate.cases(calibrate.START, 2.5 * um) if one.name == "50 MPa")
    assert all(isinstance(step, Charge) for step in case.protocol)
    short = (Charge(c_rate=2, until_duration=60.0),)
    found = calibrate.solve(replace(case, cell=SMALL, protocol=short))
    assert found["gap_mean_charge_end"] >= 0


@pytest.mark.parametrize(
    ("script", "option"), [("reproduce", "--studies"), ("calibrate", "--iterations")]
)
def test_scripts_start(script: str, option: str) -> None:
    """Catches a script that does not start, and lines of help that are missing."""
    done = subprocess.run(
        [sys.executable, f"papers/yuan2023/{script}.py", "--help"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert option in done.stdout
    assert "--jobs" in done.stdout


def test_an_unknown_case_number_is_refused(tmp_path: Path) -> None:
    """Catches a job array that is one too long and silently runs nothing."""
    with pytest.raises(InputError, match="case 61 is not between 1 and 60"):
        reproduce.main(out=tmp_path, case=61)


@pytest.mark.slow
def test_one_case_is_reproduced(tmp_path: Path) -> None:
    """Catches a run that does not find its way to the page."""
    given = {"size": 2.5 * um, "studies": ("liquid",), "sets": ("as printed",), "out": tmp_path}
    reproduce.main(**given)
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "| gap lower in the liquid | yes |" in text
    reproduce.main(**given, case=1)  # finished: at once

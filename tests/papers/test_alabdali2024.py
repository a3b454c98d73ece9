"""If these fail, the page that sets paper 000 beside our numbers says something else than it means.

Worth reading: `test_every_target_has_its_quantity` and
`test_what_a_row_compares_is_what_it_says`.
"""

from __future__ import annotations

import csv
import importlib
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from femssb.packing import Contacts, Packing
from femssb.units import um

ROOT = Path(__file__).parents[3]
STRESSES = [
    f"{partition} {group} {axis}"
    for partition, group, axis in product(
        ("halves", "arms"),
        ("AM", "SE", "all", "small AM", "large AM", "near planes", "far from planes"),
        "xyz",
    )
]


@pytest.fixture
def demo(monkeypatch):
    """Return a function that imports a module beside the demos."""
    monkeypatch.syspath_prepend(str(ROOT / "demos"))
    return importlib.import_module


def run(name, *arguments, ranks=1):
    """Run a demo and return what it said."""
    beside = Path(sys.executable).parent / "mpirun"
    launcher = [str(beside) if beside.exists() else "mpirun", "-n", str(ranks)]
    command = [sys.executable, f"demos/{name}.py", *arguments]
    return subprocess.run(
        [*launcher, *command] if ranks > 1 else command,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PMI", "MPI", "OMPI"))},
        capture_output=True,
        text=True,
        timeout=3000,
    )


def made_up_states():
    """Return numbers of all states, such that each differs from all others."""
    names = ["uniaxial", "relaxed"]
    for pressure in ("1", "3", "5"):
        names += [f"{pressure} MPa {state}" for state in ("isostatic", "D1", "C1", "D2", "C2")]
    names += [f"{pressure} MPa isostatic" for pressure in ("0.3", "10", "30")]
    keys = [
        *("length x", "length y", "length z", "porosity", "swallowed", "AM of solids"),
        *("dense thickness", "contacts AM-AM", "contacts SE-SE", "rattlers"),
        *("sigma_el", "tau", "D_eff", "halves highest", "arms highest", *STRESSES),
    ]
    return {
        state: {key: 1.0 + 1e-3 * (100 * row + column) for column, key in enumerate(keys)}
        for row, state in enumerate(names)
    }


def test_the_powder_is_that_of_the_paper(demo):
    """Catches a size distribution or density that makes another number of particles."""
    paper000 = demo("paper000")
    recipe = paper000.powder()
    assert recipe.counts().sum() == 11_002
    assert recipe.width == 150 * um
    active = recipe.loading * recipe.mass_shares()[0]
    assert active == pytest.approx(14.96e-6 / 1e-4)  # 14.96 mg/cm2 [kg/m2]
    assert paper000.powder(1500).counts().sum() == pytest.approx(1500, abs=2)


def test_every_target_has_its_quantity(demo):
    """Catches a row of the paper that is not computed, or a quantity that no row asks for."""
    module = demo("reproduce_paper000")
    with open(module.TARGETS, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["key"] for row in rows} == set(module.QUANTITIES)
    assert len(rows) == len({row["key"] for row in rows})
    states = made_up_states()
    for row in rows:
        assert None not in row, f"{row['key']}: a comma in a text without quotation marks"
        assert np.isfinite(module.QUANTITIES[row["key"]](states, "halves")), row["key"]
        assert module.passes(1.0, float(row["paper"]), row["band"]) in (True, False)


def test_what_a_row_compares_is_what_it_says(demo):
    """Catches a wrong state, a ratio upside down, or the other partition of the stress."""
    quantities, states = demo("reproduce_paper000").QUANTITIES, made_up_states()
    pressed, held = states["uniaxial"], states["5 MPa isostatic"]
    for partition in ("halves", "arms"):
        for key, wanted in {
            "thickness relaxed": states["relaxed"]["length z"],
            "width isostatic": 150
            * (held["length x"] + held["length y"])
            / (pressed["length x"] + pressed["length y"]),
            "AM z": pressed[f"{partition} AM z"],
            "near over far from planes": pressed[f"{partition} near planes z"]
            / pressed[f"{partition} far from planes z"],
            "isostatic over uniaxial": held[f"{partition} highest"]
            / pressed[f"{partition} highest"],
            "sigma_el 5 over 3 MPa": held["sigma_el"] / states["3 MPa isostatic"]["sigma_el"],
            "tau cycled highest": states["5 MPa C2"]["tau"],
            "sigma_el cycled lowest": states["1 MPa isostatic"]["sigma_el"],
        }.items():
            assert quantities[key](states, partition) == pytest.approx(wanted, rel=1e-12), key

    def stress(state, phase):
        return np.mean([states[state][f"arms {phase} {axis}"] for axis in "xyz"])

    charged, discharged = "5 MPa C2", "5 MPa D2"
    wanted = stress(charged, "SE") / stress(charged, "AM")
    wanted /= stress(discharged, "SE") / stress(discharged, "AM")
    assert quantities["handed over"](states, "arms") == pytest.approx(wanted, rel=1e-12)


def test_states_that_were_not_reached_are_told(demo, tmp_path):
    """Catches a page that fails, or passes a row, where a stage did not come to rest."""
    module = demo("reproduce_paper000")
    whole = made_up_states()
    some = {name: whole[name] for name in ("uniaxial", "relaxed")}
    found = {"Hertz": {"M1": whole, "M2": some}, "plastic": {"M1": some}}
    module.write_page(tmp_path, module.Study(), found, {}, ["plastic, M1: stuck"])
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "plastic, M1: stuck" in text
    (row,) = [line for line in text.splitlines() if "| width, of 150 um before |" in line]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[8] == "**no**"  # Hertz: some 150 um are not 130 um
    assert cells[9] == "not reached"
    assert cells[11] == "**no**"
    assert "<table>" in (tmp_path / "comparison.html").read_text(encoding="utf-8")


def test_measures_of_a_column(demo):
    """Catches swapped phases, lost units or a wrong share: a column of two spheres is known."""
    paper000 = demo("paper000")
    packing = Packing(
        positions=np.array([[5, 5, 2.9], [5, 5, 6.8]]) * um,
        radii=np.array([3, 1]) * um,
        phases=[0, 1],
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.array([10, 10, 7.7]) * um,
        periodic=(True, True, False),
        contacts=Contacts(
            first=[0, 0, 1],
            second=[-1, 1, -1],
            branches=np.array([[0, 0, -2.9], [0, 0, 3.9], [0, 0, 0.9]]) * um,
            forces=np.array([[0, 0, 2e-3], [0, 0, -2e-3], [0, 0, -2e-3]]),
        ),
    )
    numbers = paper000.measure(packing, 0.5 * um)
    assert numbers["length z"] == pytest.approx(7.7)
    assert numbers["AM of solids"] == pytest.approx(27 / 28)
    assert numbers["contacts AM-SE"] == 1
    assert numbers["rattlers"] == 0
    volume = 4 / 3 * np.pi * 27e-18
    arms = (2.9 + 3.9 / 2 + 1) * um  # to the plane, and to the middle of the overlap
    assert numbers["arms AM z"] == pytest.approx(2e-3 * arms / volume / 1e6)
    assert numbers["halves AM z"] == pytest.approx(2e-3 * 3.9 / 2 * um / volume / 1e6)
    assert numbers["sigma_el"] == 0  # neither phase reaches from plane to plane
    assert numbers["tau"] == np.inf
    assert numbers["AM on voxels"] == pytest.approx(np.pi * 36 / 770, rel=0.1)


def test_bad_arguments_are_told_in_a_line():
    """Catches a traceback, or packings pressed before the arguments are looked at."""
    for name, arguments, message in (
        ("dry_press_and_cycle", ["--particles", "10"], "particles = 10"),
        ("pressing_map", ["--particles", "10"], "particles = 10"),
        ("reproduce_paper000", ["--cycles", "0"], "cycles = 0"),
    ):
        done = run(name, *arguments)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_small_electrode_goes_through_everything(ranks, tmp_path):
    """Catches a workflow that no longer runs, on one rank or two, or forgets what it has done."""
    arguments = ["--particles", "400", "--spacing", "2", "--movie", "phase", "--out", str(tmp_path)]
    first = run("dry_press_and_cycle", *arguments, ranks=ranks)
    assert first.returncode == 0, first.stderr
    with open(tmp_path / "states.csv", newline="", encoding="utf-8") as file:
        states = {row["state"]: row for row in csv.DictReader(file)}
    assert list(states) == ["uniaxial", "relaxed", "isostatic", "D1", "C1"]
    thickness = {name: float(row["thickness [um]"]) for name, row in states.items()}
    assert thickness["uniaxial"] < thickness["relaxed"]
    assert len(list(tmp_path.glob("frame_*.png"))) == 6
    for name in ("phases", "stress_pressed", "stress_cycled", "chains", "maps"):
        assert (tmp_path / f"{name}.png").stat().st_size > 20_000
    pressed = (tmp_path / "01_uniaxial.h5").stat().st_mtime_ns
    again = run("dry_press_and_cycle", *arguments, "--no-pictures", ranks=ranks)
    assert again.stdout == first.stdout
    assert (tmp_path / "01_uniaxial.h5").stat().st_mtime_ns == pressed


@pytest.mark.slow
def test_harder_pressing_closes_pores(tmp_path):
    """Catches a map with its axes exchanged: porosity falls with pressure for every size ratio."""
    arguments = ["--particles", "150", "--pressures", "300", "100", "--ratios", "0.7", "1.4"]
    done = run("pressing_map", *arguments, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "map.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for ratio in ("0.7", "1.4"):
        soft, hard = (row for row in rows if row["AM over SE diameter [-]"] == ratio)
        assert float(soft["Pressure [MPa]"]) == 100
        assert float(hard["Porosity [-]"]) < float(soft["Porosity [-]"])
    assert (tmp_path / "map.png").stat().st_size > 10_000

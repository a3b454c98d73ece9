"""If these fail, the page of Alabdali 2024 says something else than it means.

Worth reading: `test_every_target_has_its_quantity` and
`test_what_a_row_compares_is_what_it_says`.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from femssb import plotting
from femssb.packing import Contacts, Packing
from femssb.studies import Results, read_targets
from femssb.units import MPa, um
from papers.alabdali2024 import electrodes, reproduce
from papers.alabdali2024.quantities import BOX, QUANTITIES, number

ROOT = Path(__file__).parents[2]
TARGETS = read_targets(reproduce.TARGETS)
STRESSES = [
    f"{partition} {group} {axis}"
    for partition, group, axis in product(
        ("halves", "arms"),
        ("AM", "SE", "all", "small AM", "large AM", "near planes", "far from planes"),
        "xyz",
    )
]


def column(count=1):
    """Return columns of two spheres between planes, whose stress is known."""
    places = 10 * um * np.arange(count)
    positions = np.vstack([[[5 * um + x, 5 * um, z * um] for z in (2.9, 6.8)] for x in places])
    pairs = [(2 * n, -1, 2 * n + 1) for n in range(count)]
    branches = np.array([[0, 0, -2.9], [0, 0, 3.9], [0, 0, 0.9]]) * um
    forces = np.array([[0, 0, 2e-3], [0, 0, -2e-3], [0, 0, -2e-3]])
    packing = Packing(
        positions=positions,
        radii=np.tile([3 * um, 1 * um], count),
        phases=[0, 1] * count,
        phase_names=("AM", "SE"),
        lower=np.zeros(3),
        upper=np.array([10 * count, 10, 7.7]) * um,
        periodic=(True, True, False),
        contacts=Contacts(
            first=np.ravel([(low, low, high) for low, _, high in pairs]),
            second=np.ravel([(-1, high, -1) for _, _, high in pairs]),
            branches=np.tile(branches, (count, 1)),
            forces=np.tile(forces, (count, 1)),
        ),
        origin={"stages": [{"key": "made up"}]},
    )
    return electrodes.halved(packing)


def names_of_states(cycles=2):
    """Return the names of all states of an electrode."""
    names = list(electrodes.pressing())
    for label, stages in electrodes.branches(electrodes.ISOSTATIC, cycles).items():
        names += [f"{label} {state}" for state in stages]
    return names


def made_up_states():
    """Return numbers of all states, such that each differs from all others."""
    keys = [
        *("length x", "length y", "length z", "porosity", "swallowed", "AM of solids"),
        *("dense thickness", "contacts AM-AM", "contacts SE-SE", "rattlers"),
        *("sigma_el", "tau", "D_eff", "halves highest", "arms highest", *STRESSES),
    ]
    return Results({
        state: {key: 1.0 + 1e-3 * (100 * row + place) for place, key in enumerate(keys)}
        for row, state in enumerate(names_of_states())
    })  # fmt: skip


def test_the_powder_is_that_of_the_paper():
    """Catches a size distribution or density that makes another number of particles."""
    recipe = electrodes.powder()
    assert recipe.counts().sum() == 11_002
    assert recipe.width == 150 * um
    active = recipe.loading * recipe.mass_shares()[0]
    assert active == pytest.approx(14.96e-6 / 1e-4)  # 14.96 mg/cm2 [kg/m2]
    assert electrodes.powder(1500).counts().sum() == pytest.approx(1500, abs=2)


def test_every_target_has_its_quantity():
    """Catches a row of the paper that is not computed, or a quantity that no row asks for."""
    assert {target.key for target in TARGETS} == set(QUANTITIES)
    assert len(TARGETS) == len(QUANTITIES) == 52
    found = {"M1": made_up_states()}
    for target in TARGETS:
        assert target.band != "none"
        for partition in ("halves", "arms"):
            ours = number(found, target, partition)
            assert ours is not None, target.key
            assert np.isfinite(ours.value), target.key
            assert ours.spread == 0


def test_what_a_row_compares_is_what_it_says():
    """Catches a wrong state, a ratio upside down, or the other partition of the stress."""
    states = made_up_states()
    pressed, held = states["uniaxial"], states["5 MPa isostatic"]
    for partition in ("halves", "arms"):
        for key, wanted in {
            "thickness relaxed": states["relaxed"]["length z"],
            "width isostatic": BOX
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
            assert QUANTITIES[key](states, partition) == pytest.approx(wanted, rel=1e-12), key

    def stress(state, phase):
        return np.mean([states[state][f"arms {phase} {axis}"] for axis in "xyz"])

    charged, discharged = "5 MPa C2", "5 MPa D2"
    wanted = stress(charged, "SE") / stress(charged, "AM")
    wanted /= stress(discharged, "SE") / stress(discharged, "AM")
    assert QUANTITIES["handed over"](states, "arms") == pytest.approx(wanted, rel=1e-12)


def test_nothing_conducts():
    """Catches a page that fails where no phase reaches from plane to plane, as in small boxes."""
    states = made_up_states()
    states["5 MPa isostatic"]["sigma_el"] = 0.0
    target = next(target for target in TARGETS if target.key == "sigma_el 30 over 5 MPa")
    assert np.isnan(number({"M1": states}, target).value)


def test_states_that_were_not_reached_are_open(tmp_path):
    """Catches a page that fails, or passes a row, where a stage did not come to rest."""
    whole = made_up_states()
    some = Results({name: whole[name] for name in ("uniaxial", "relaxed")})
    found = {"Hertz": {"M1": whole, "M2": some}, "plastic": {"M1": some}}
    reproduce.write(tmp_path, "Title", found, {}, 2, ["plastic, M1: stuck"])
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "Not at rest: plastic, M1: stuck" in text
    (row,) = [line for line in text.splitlines() if "| width, of 150 um before |" in line]
    cells = [cell.strip() for cell in row.split("|")[1:]]
    assert cells[0] == "Figure 3, isostatic 5 MPa"
    assert cells[7] == "**no**"  # Hertz: some 150 um are not 130 um
    assert cells[8] == "-"
    assert cells[10] == "**no**"
    assert "<table>" in (tmp_path / "comparison.html").read_text(encoding="utf-8")


def test_measures_of_a_column():
    """Catches swapped phases, lost units or a wrong share: a column of two spheres is known."""
    numbers = electrodes.measure(column(), 0.5 * um)
    assert set(made_up_states()["uniaxial"]) <= set(numbers)
    assert numbers["length z"] == pytest.approx(7.7 * um)
    assert numbers["AM of solids"] == pytest.approx(27 / 28)
    assert numbers["contacts AM-SE"] == 1
    assert numbers["rattlers"] == 0
    volume = 4 / 3 * np.pi * 27e-18
    arms = (2.9 + 3.9 / 2 + 1) * um  # to the plane, and to the middle of the overlap
    assert numbers["arms AM z"] == pytest.approx(2e-3 * arms / volume)
    assert numbers["halves AM z"] == pytest.approx(2e-3 * 3.9 / 2 * um / volume)
    assert numbers["sigma_el"] == 0  # neither phase reaches from plane to plane
    assert numbers["tau"] == np.inf
    assert numbers["AM on voxels"] == pytest.approx(np.pi * 36 / 770, rel=0.1)
    kept = electrodes.measure(column(), 0.5 * um, conserve="SE")
    assert "SE on voxels, volume kept" in kept


def test_every_figure_is_drawn(tmp_path, monkeypatch):
    """Catches a figure that no longer comes out, and a state or number that has a new name."""
    rendered = []

    def quickly(packings):
        rendered.append(list(packings) if isinstance(packings, dict) else packings)
        return Figure()

    monkeypatch.setattr(plotting, "can_render", lambda: True)
    for name in ("by_phase", "stress_distribution", "chains"):  # tested with the package
        monkeypatch.setattr(plotting, name, quickly)
    packing = column(count=6)
    states = {state: packing for state in names_of_states(cycles=1)}
    found = {"Hertz": {"M1": made_up_states(), "M2": made_up_states()}}
    packings = {"Hertz": {"M1": states, "M2": states}}
    reproduce.write(tmp_path, "Title", found, packings, 1, [])
    drawn = {path.stem for path in (tmp_path / "figures").rglob("*.png")}
    assert drawn == {
        *("fig2", "fig3", "fig4_halves", "fig4_arms", "fig4_M2_halves", "fig4_M2_arms", "chains"),
        *("fig5a_1MPa", "fig5a_3MPa", "fig5a_5MPa"),
        *("fig5a_M2_1MPa", "fig5a_M2_3MPa", "fig5a_M2_5MPa"),
        *("fig5b_1MPa", "fig5b_3MPa", "fig5b_5MPa", "fig6", "figS1", "figS9", "figS10"),
    }
    assert rendered[:2] == [["uniaxial", "relaxed"], ["relaxed", "5 MPa isostatic"]]
    assert ["5 MPa isostatic", "5 MPa D1", "5 MPa C1"] in rendered
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert text.count("](") == len(drawn)


def test_the_same_state_is_measured_once():
    """Catches numbers that are found again for other voxels, or lost for equal ones."""
    packing = column()
    one, same, finer = (
        electrodes.measurement(name, packing, h, None)
        for name, h in (("a", 1 * um), ("b", 1 * um), ("a", 0.5 * um))
    )
    other = replace(packing, origin={"stages": [{"key": "other"}]})
    assert one.key == same.key
    assert len({one.key, finer.key, electrodes.measurement("a", other, 1 * um, None).key}) == 3


def test_pressures_of_the_branches():
    """Catches a state whose name does not say its pressure."""
    for label, stages in electrodes.branches(electrodes.ISOSTATIC, 1).items():
        assert {stage.pressure for stage in stages.values()} == {float(label.split()[0]) * MPa}


def test_bad_arguments_are_reported_in_a_line():
    """Catches a traceback, or packings pressed before the arguments are looked at."""
    script = [sys.executable, "papers/alabdali2024/reproduce.py", "--cycles", "0"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "cycles = 0" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_small_electrode_is_reproduced(tmp_path):
    """Catches a workflow that no longer runs from powder to page, or forgets what it has done."""
    small = {
        "particles": 400,
        "spacing": 2 * um,
        "cycles": 1,
        "laws": ("Hertz",),
        "pictures": False,
    }
    reproduce.main(**small, out=tmp_path)
    first = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "| 5 MPa C1 |" in first
    pressed = (tmp_path / "Hertz" / "M1" / "pressed" / "01_uniaxial.h5").stat().st_mtime_ns
    reproduce.main(**small, out=tmp_path)
    assert (tmp_path / "comparison.md").read_text(encoding="utf-8") == first
    assert (tmp_path / "Hertz" / "M1" / "pressed" / "01_uniaxial.h5").stat().st_mtime_ns == pressed

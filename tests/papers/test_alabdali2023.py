"""If these fail, the page of Alabdali 2023 says something else than it means.

Worth reading: `test_every_target_has_its_quantity` and
`test_what_a_row_compares_is_what_it_says`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from matplotlib.figure import Figure

import femssb
from femssb import plotting
from femssb.packing import Packing
from femssb.particles import FlowCurve, FlowPoint
from femssb.studies import Results, read_targets, report
from femssb.units import um
from papers.alabdali2023 import electrodes, flow, measures, reproduce
from papers.alabdali2023.quantities import QUANTITIES, label, number, states_of, trends

TARGETS = read_targets(reproduce.TARGETS)
DEGREES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


def column():
    """Return columns of spheres of all phases between planes that touch, wide apart."""
    heights = np.arange(0.75, 12, 1.5)
    places = [(3, 3), (9, 3), (3, 9)]
    positions = np.array([[x, y, z] for x, y in places for z in heights])
    return Packing(
        positions=positions * um,
        radii=np.full(len(positions), 1.0) * um,
        phases=np.repeat([0, 1, 2], len(heights)),
        phase_names=("AM", "SE", "CBD"),
        lower=np.zeros(3),
        upper=np.full(3, 12.0) * um,
        periodic=(True, True, False),
        masses=np.repeat([20e-15, 7e-15, 4 / 3 * np.pi * 0.9e-15], len(heights)),
        origin={"stages": [{"key": "made up", "stage": "Drying", "cpu_time": 1.0}]},
    )


@cache
def measured():
    """Return what is measured on columns."""
    return measures.measure(column(), 0.5 * um, enlargement={})


def made_up(seed=0):
    """Return numbers of all states, such that each differs from all others."""
    network = ("pores per volume", "pore diameter", "throats of a pore", "throat diameter")
    keys = dict.fromkeys([
        *measured(), *network, "pressure", "cpu", "closed density", "beads over box",
    ])  # fmt: skip
    states = ["slurry", *map(label, DEGREES), "released 30 %", "released 50 %"]
    return Results({
        state: Results({
            key: 1.0 + 1e-3 * seed + 0.1 * row + 1e-4 * place
            for place, key in enumerate(keys)
        })
        for row, state in enumerate(states)
    })  # fmt: skip


def test_the_formulation_is_that_of_the_paper():
    """Catches a distribution or density that makes another number of beads or other shares."""
    table = {name: ours for name, _, ours in reproduce.inputs(electrodes.FULL).rows}
    assert electrodes.FULL.beads == 5089
    assert table["beads"].startswith("5089")
    assert table["AM / SE / CBD [wt%]"] == "69 / 27.6 / 3.4"
    assert table["CBD diameter, slurry / dried [µm]"] == "7.5 / 3"
    assert electrodes.FULL.degrees[-1] == electrodes.COARSE.degrees[-1] == 0.5


def test_every_target_has_its_quantity():
    """Catches a row of the paper that is not computed, or a quantity that no row asks for."""
    rows = [target for target in TARGETS if target.study != reproduce.VISCOSITY]
    assert {target.key for target in rows} == set(QUANTITIES)
    found = [made_up(0), made_up(1)]
    for target in rows:
        ours = number(found, target)
        assert ours is not None, target.key
        assert np.isfinite(ours.value), target.key
    viscosities = made_up_flow()
    for target in (row for row in TARGETS if row.study == reproduce.VISCOSITY):
        assert reproduce.viscosity_numbers(viscosities, target).value > 0, target.key


def made_up_flow():
    """Return viscosities of Table S1 and calibrated ones, with their errors."""
    rates = {"printed": (100, 1000, 10000), "calibrated": (50, 100, 1000)}
    found = {"factor of the forces": 1e-3, "factor of the dashpots": 0.3}
    for kind, values in rates.items():
        for rate in values:
            found[f"{kind} viscosity {rate:g}"] = 100.0 / rate
            found[f"{kind} error {rate:g}"] = 3.0 / rate
    return found


def sheared(formula, forces, rates, folder, **options):
    """Return a flow curve as beads without inertia have it, for any factors of their forces."""
    epsilon = forces.slurry.stiffness / flow.FORCES.slurry.stiffness
    gamma = forces.slurry.damping / flow.FORCES.slurry.damping
    assert forces.slurry.bead("SE").depth == pytest.approx(
        epsilon * flow.FORCES.slurry.bead("SE").depth
    )
    points = []
    for rate in rates:
        stress = epsilon * (7700 + 3.4 * (rate * gamma / epsilon) ** 0.87)
        same = {"rate": rate, "stress": stress, "error": 0.02 * stress, "strain": 2.0, "start": 1.0}
        same |= {"halves": (stress, stress), "halves_error": 0.0, "pressure": 1.0}
        same |= {"pressure_error": 0.0, "normal_differences": (0.0, 0.0), "inertia": 0.01}
        same |= {"mass_scaling": 1.0, "motion": 0.0, "steps": 1, "time_step": 1e-9}
        points.append(FlowPoint(**same, cpu_time=1.0))
    return FlowCurve(points=tuple(points))


def test_two_factors_bring_the_viscosity_to_its_window(tmp_path, monkeypatch):
    """Catches factors that do not reach the forces, and direct runs that are not of them."""
    monkeypatch.setattr(flow, "sheared", sheared)
    found = flow.make(300, tmp_path)
    assert found["printed viscosity 100"] == pytest.approx(77 + 3.4 * 100 ** (0.87 - 1))
    assert found["factor of the forces"] < 0.1
    for rate in flow.CALIBRATED:
        direct = found[f"calibrated viscosity {rate:g}"]
        assert 0.3 < direct < 0.6
        assert direct == pytest.approx(found[f"predicted viscosity {rate:g}"], rel=0.05)
    assert set(made_up_flow()) < set(found)


def test_what_a_row_compares_is_what_it_says():
    """Catches a wrong state, a ratio upside down, or a maximum at the wrong degree."""
    states = made_up()
    states["30 %"]["sigma_e"] = 9.0
    states["40 %"]["tau"] = 1e-3
    for row in range(16, 20):
        states["50 %"][f"CBD at {row}"] = 0.0
    wanted = {
        "slurry density": states["slurry"]["density"],
        "dried porosity": states["dried"]["porosity"],
        "pressed voxel porosity": states["50 %"]["voxel porosity"],
        "binder near the top": 0.0,
        "degree of sigma_e": 0.3,
        "sigma_e at 30 %": 9.0 / states["dried"]["sigma_e"],
        "sigma_e at 50 %": states["50 %"]["sigma_e"] / 9.0,
        "tau at 50 %": states["50 %"]["tau"] / states["dried"]["tau"],
        "degree of merit": 0.4,
    }
    for key, value in wanted.items():
        assert QUANTITIES[key](states) == pytest.approx(value, rel=1e-12), key


def test_mean_and_spread_of_electrodes():
    """Catches half a difference shown as a standard deviation, or an electrode left out."""
    found = [made_up(seed) for seed in range(3)]
    target = next(row for row in TARGETS if row.key == "dried porosity")
    values = [states["dried"]["porosity"] for states in found]
    ours = number(found, target)
    assert ours.value == pytest.approx(np.mean(values))
    assert ours.spread == pytest.approx(np.std(values, ddof=1))
    assert number(found[:1], target).spread is None
    assert number([], target) is None


def test_no_path_of_ions():
    """Catches a page that fails, or passes a row, where nothing conducts in the dried electrode."""
    states = made_up()
    states["dried"]["tau"], states["dried"]["D_eff"] = np.inf, 0.0
    assert QUANTITIES["tau at 50 %"](states) == 0
    assert QUANTITIES["D_eff at 50 %"](states) == np.inf
    assert np.isfinite(QUANTITIES["degree of merit"](states))


def test_trends_are_seen_and_missed():
    """Catches a trend that holds whatever the numbers."""
    rising = trends([made_up(0), made_up(1)])  # every number rises from state to state
    names = {text: test() for text, test in rising.items()}
    assert any(names.values())
    assert not all(names.values())
    assert names["D_eff rises with every degree (Figure 4b)"]
    assert not names["tau falls with every degree (Figure 4b)"]
    assert not names["sigma_e falls beyond 30 % (Figure 4a)"]


def test_states_of_flat_numbers():
    """Catches numbers that end up with another state."""
    found = states_of({"dried|density": 1.0, "10 %|density": 2.0, "dried|tau": 3.0})
    assert found == {"dried": {"density": 1.0, "tau": 3.0}, "10 %": {"density": 2.0}}


def test_measures_of_columns():
    """Catches swapped phases, lost units or a wrong share: three columns are known."""
    found = measured()
    ball = 4 / 3 * np.pi * 8 / 12**3
    assert found["nominal AM"] == pytest.approx(ball)
    assert found["porosity"] == pytest.approx(1 - 2.5 * ball)
    assert found["contacts SE-SE"] == pytest.approx(2 * 7 / 8)
    assert found["contacts AM-SE"] == 0
    assert found["percolates SE-SE"] == found["percolates CBD-CBD"] == 1
    assert found["SE clusters"] == 1
    section = np.pi / 144  # of a column, at its widest
    assert 0.4 * section < found["D_eff"] < section
    assert found["sigma_e"] == pytest.approx((0.005 + 15.93) * found["D_eff"], rel=1e-2)
    assert found["tau"] == pytest.approx(np.sqrt(found["SE on voxels"] / found["D_eff"]))
    assert found["pore width"] > 1 * um
    if measures.HAS_PORESPY:
        assert found["throats of a pore"] > 1
        assert 1 * um < found["throat diameter"] < found["pore diameter"]
    _, shares = measures.profile(found, "SE")
    assert shares.mean() == pytest.approx(found["SE on voxels"], rel=1e-6)
    layers = [found[f"AM at {number}"] for number in range(measures.SLICES)]
    assert min(layers) > 0.3 * max(layers) > 0  # 24 layers of voxels in 20 slices
    shrunk = replace(column(), radii=np.repeat([1.0, 1.0, 0.9], 8) * um)
    assert measures.own_porosity(column())["CBD"] == pytest.approx(0.5)
    assert measures.own_porosity(shrunk)["CBD"] == pytest.approx(1 - 0.5 / 0.9**3)
    wider = measures.measure(column(), 0.5 * um, enlargement={"SE": 1.2})
    assert wider["true D_eff"] == pytest.approx(found["D_eff"])
    assert wider["D_eff"] > 1.2 * found["D_eff"]
    assert wider["density"] == found["density"]


def test_every_figure_is_drawn(tmp_path, monkeypatch):
    """Catches a figure that no longer comes out, and a state or number that has a new name."""
    rendered = []

    def quickly(packings):
        rendered.append(list(packings))
        return Figure()

    monkeypatch.setattr(plotting, "can_render", lambda: True)
    monkeypatch.setattr(plotting, "by_phase", quickly)
    monkeypatch.setattr(plotting, "save", partial(plotting.save, dots_per_inch=20))
    packings = {state: column() for state in ("slurry", "dried", "30 %", "50 %")}
    monkeypatch.setattr(reproduce, "packings_in", lambda case, out: packings)
    inputs, made, curves = reproduce.studies(electrodes.COARSE, 2, tmp_path)
    found = [made_up(0), made_up(1)]
    blocks = report({"": (made["Table S1"], found)}, tmp_path / "electrodes")
    blocks += report({"": (curves, made_up_flow())}, tmp_path / "viscosity")
    blocks += report({"": (inputs, True)}, tmp_path / "inputs")
    drawn = {path.stem for path in tmp_path.rglob("*.png")}
    assert drawn == {
        *("fig1", "fig2", "fig3a", "fig3b", "fig3c", "fig3d", "fig4", "figS4"),
        *("porosity", "pressure", "contacts"),
    }
    assert rendered == [["slurry", "dried", "50 %"]]
    texts = " ".join(getattr(block, "text", "") for block in blocks)
    assert "What cannot follow" in texts
    assert "some 1 Pa s at 100 /s" in texts


def test_a_page_of_nothing(tmp_path, monkeypatch):
    """Catches a page that fails while the first electrode is still being made."""
    monkeypatch.chdir(tmp_path)
    reproduce.main(coarse=True, page_only=True, pictures=False, out=tmp_path)
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "| density of the simulated slurry | g/cm3 | 1.89 |" in text
    assert "5089" in text


def test_bad_arguments_are_reported_in_a_line(tmp_path, capsys):
    """Catches a traceback, or electrodes made before the arguments are looked at."""
    arguments = ["--seeds", "0", "--out", str(tmp_path / "none")]
    assert femssb.command(reproduce.main, arguments) == 2
    said = capsys.readouterr().err
    assert "seeds = 0" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "none").exists()

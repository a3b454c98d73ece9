"""If these fail, the page of Alabdali 2024 (wet) says something else than it means.

Worth reading: `test_every_target_has_its_quantity` and
`test_what_a_row_compares_is_what_it_says`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure

import femssb
from femssb import plotting
from femssb.packing import Packing
from femssb.studies import MissingCase, Results, read_targets, report
from femssb.units import um
from papers.alabdali2023.measures import PHASES, SLICES
from papers.alabdali2024wet import electrodes, reproduce
from papers.alabdali2024wet.flow import curves_of
from papers.alabdali2024wet.quantities import (
    BULK,
    CALENDERED,
    DRIED,
    FREED,
    GAPS,
    HELD,
    LOADED,
    MIDDLE,
    QUANTITIES,
    SLURRIES,
    Found,
    cell,
    content_label,
    in_state,
    number,
    trends,
)

TARGETS = read_targets(reproduce.TARGETS)
STATES = ("slurry", DRIED, HELD, FREED, LOADED, CALENDERED)
NAMES = (
    *("density", "closed density", "porosity", "voxel porosity", "swallowed", "pressure", "cpu"),
    *("sigma_e", "sigma_e, binder wins", "sigma_e, fitted binder", "D_eff", "tau"),
    *("contacts AM-CBD", "contacts SE-SE", "percolates AM-CBD", "percolates SE-SE"),
    "double layer area",
    *(f"{name} at {slice_}" for name in ("void", *PHASES) for slice_ in range(SLICES)),
)


def made_up(shift=0.0):
    """Return numbers of all states of an electrode, such that each differs from all others."""
    return Results({
        state: Results({
            name: 0.5 + shift + 0.02 * row + 1e-4 * place for place, name in enumerate(NAMES)
        })
        for row, state in enumerate(STATES)
    })  # fmt: skip


def found():
    """Return made-up electrodes and flow curves of all slurries."""
    slurries = {
        slurry: [made_up(0.1 * row + 0.01 * seed) for seed in range(2)]
        for row, slurry in enumerate(SLURRIES)
    }
    rates = (50.0, 100.0, 1000.0)
    flow = {
        slurry: {rate: ((1 + row) / rate, 0.1 / rate) for rate in rates}
        for row, slurry in enumerate(SLURRIES)
    }
    return Found(
        electrodes=slurries,
        flow=flow,
        as_printed={100.0: (60.0, 4.0), 1000.0: (9.0, 0.3)},
        calibration={"factor of the forces": 1e-3, "factor of the dashpots": 0.3},
    )


def test_the_formulations_are_those_of_the_paper():
    """Catches shares, a solid content or sizes of the binder that are not the printed ones."""
    for slurry in SLURRIES:
        formula = electrodes.formulation_of(slurry, electrodes.FULL.beads)
        assert formula.shares == pytest.approx([0.64, 0.30, 0.06])
        assert formula.counts().sum() == 5051
        assert formula.solid_content == slurry[1]
        dry = sum(formula.ledger()[name] for name in formula.names)
        assert dry == pytest.approx(13_900e-15, rel=0.03)  # 0.139e-7 g
    ends = [electrodes.formulation_of(("AM_1", x), 5051).swollen() * 2.6 for x in (0.48, 0.52)]
    assert ends == pytest.approx([8.0, 6.9])


def test_every_target_has_its_quantity():
    """Catches a row of the paper that is not computed, or a quantity that no row asks for."""
    assert {target.key for target in TARGETS} == set(QUANTITIES)
    assert len(TARGETS) == len(QUANTITIES)
    all_of_it = found()
    others = in_state(HELD), in_state(LOADED)
    shown = 0
    for target in TARGETS:
        ours = number(all_of_it, target)
        assert ours is not None, target.key
        assert np.isfinite(ours.value), target.key
        held, loaded = (other(all_of_it, target) for other in others)
        assert (held is None) == (loaded is None)
        if held is not None:
            shown += 1
            assert len({ours.value, held.value, loaded.value}) == 3
            assert in_state(CALENDERED)(all_of_it, target) == ours
    assert shown == 9


def test_what_a_row_compares_is_what_it_says():
    """Catches a wrong state or cathode, a ratio upside down, and a mean over the wrong things."""
    all_of_it = found()
    first, second = (
        [all_of_it.mean((name, content), CALENDERED, "density") for content in (0.48, 0.50, 0.52)]
        for name in ("AM_1", "AM_2")
    )
    ions = all_of_it.mean(("AM_2", 0.52), CALENDERED, "D_eff")
    electrons = all_of_it.mean(MIDDLE, CALENDERED, "sigma_e")
    for key, wanted in {
        "viscosity AM_1 50 % 50": 2 / 50,
        "viscosity ratio AM_2": 6 / 4,
        "viscosity AM_1 over AM_2": 2 / 5,
        "Table S1 viscosity": 60.0,
        "dried density AM_1 52 %": all_of_it.mean(("AM_1", 0.52), DRIED, "density"),
        "calendered density AM_2": np.mean(second),
        "reduction AM_1": 1 - electrons / 15.93,
        "sigma_ion 52 % AM_1 over AM_2": all_of_it.mean(("AM_1", 0.52), CALENDERED, "D_eff") / ions,
    }.items():
        assert QUANTITIES[key](all_of_it).value == pytest.approx(wanted, rel=2e-3), key
    value = QUANTITIES["calendered density AM_1 over AM_2"](all_of_it).value
    assert value == pytest.approx(np.mean(first) / np.mean(second), rel=1e-2)
    ratio = QUANTITIES["viscosity ratio AM_1"](all_of_it)
    assert ratio.spread == pytest.approx(3 * np.hypot(0.1 / 3, 0.1))


def test_the_thickness_that_a_blade_makes():
    """Catches wet mass taken for dry, and one blade for both cathodes."""
    all_of_it = found()
    own = cell(all_of_it, ("AM_2", 0.52))
    wet = all_of_it.mean(("AM_2", 0.52), "slurry", "closed density")
    dry = all_of_it.mean(("AM_2", 0.52), CALENDERED, "density")
    assert own.thickness == pytest.approx(GAPS["AM_2"] * 0.52 * wet / dry)
    ions = BULK * all_of_it.mean(("AM_2", 0.52), CALENDERED, "D_eff")
    assert own.ionic_conductivity == pytest.approx(ions)


def test_impedance_between_its_limits():
    """Catches ends of the spectrum exchanged: equation 1 has both in closed form."""
    all_of_it = found()
    for key in ("slow impedance", "fast impedance", "fitted impedance"):
        assert QUANTITIES[key](all_of_it).value == pytest.approx(1, rel=1e-3), key


def test_what_is_missing_stays_open():
    """Catches a page that fails, or passes a row, while electrodes are still being made."""
    nothing = Found()
    assert not nothing
    for target in TARGETS:
        with pytest.raises(MissingCase):
            number(nothing, target)
    for holds in trends(nothing).values():
        with pytest.raises(MissingCase):
            holds()
    some = replace(found(), electrodes={MIDDLE: [made_up()]})
    assert QUANTITIES["sigma_e AM_1 50 %"](some).spread is None
    with pytest.raises(MissingCase):
        QUANTITIES["sigma_e AM_1 over AM_2"](some)
    dead = made_up()
    dead[CALENDERED]["D_eff"] = 0.0
    with pytest.raises(MissingCase, match="does not conduct"):
        cell(replace(some, electrodes={MIDDLE: [dead]}), MIDDLE)


def test_trends_are_seen_and_missed():
    """Catches a trend that holds whatever the numbers."""
    seen = {text: holds() for text, holds in trends(found()).items()}
    assert seen["Viscosity of AM_1 rises with the solid content (Figure 4)"]
    assert seen["The slurry thins as it is sheared faster (Figure 4)"]
    assert seen["Density of AM_2 dried rises with the solid content (Figure 5)"]
    assert not seen["sigma_e of AM_1 falls with the solid content (Figure 8a, simulated)"]


def test_curves_of_flat_numbers():
    """Catches a rate, an error or a slurry that ends up with another."""
    numbers = {
        "AM_1 48 % viscosity 50": 1.0,
        "AM_1 48 % error 50": 0.1,
        "AM_1 48 % viscosity 1000": 0.5,
        "AM_1 48 % error 1000": 0.05,
        "printed viscosity 100": 60.0,
        "printed error 100": 4.0,
    }
    assert curves_of(numbers, "AM_1 48 %") == {50.0: (1.0, 0.1), 1000.0: (0.5, 0.05)}
    assert curves_of(numbers, "printed") == {100.0: (60.0, 4.0)}
    assert curves_of(numbers, "AM_2 48 %") == {}


def cube():
    """Return a few spheres of all phases."""
    return Packing(
        positions=np.array([[2, 2, 2], [6, 6, 2], [4, 4, 6]]) * um,
        radii=np.array([1.5, 1.0, 1.2]) * um,
        phases=[0, 1, 2],
        phase_names=PHASES,
        lower=np.zeros(3),
        upper=np.full(3, 8.0) * um,
        periodic=(True, True, False),
    )


def test_every_figure_is_drawn(tmp_path, monkeypatch):
    """Catches a figure that no longer comes out, and a state or number that has a new name."""
    rendered = []

    def quickly(packings):
        rendered.append(list(packings))
        return Figure()

    monkeypatch.setattr(plotting, "can_render", lambda: True)
    monkeypatch.setattr(plotting, "by_phase", quickly)
    monkeypatch.setattr(plotting, "save", partial(plotting.save, dots_per_inch=20))
    monkeypatch.setattr(reproduce, "packings_in", lambda *_: {state: cube() for state in STATES})
    (study,) = reproduce.studies(electrodes.COARSE, 2, tmp_path)
    blocks = report({"": (study, found())}, tmp_path)
    drawn = {path.stem for path in tmp_path.rglob("*.png")}
    structures = {f"fig6_{name}_{100 * content:g}" for name, content in SLURRIES}
    assert drawn == {*("fig4", "fig5", "fig7", "fig8", "fig9", "figS5"), *structures}
    assert rendered == [["slurry", DRIED, HELD, LOADED, CALENDERED]] * len(SLURRIES)
    texts = [getattr(block, "text", "") for block in blocks]
    assert "AM_2, 52 %, electrode 2" in texts
    shown = reproduce.sections_of({DRIED: cube(), CALENDERED: cube()}, 0.5 * um)
    assert shown[DRIED].fractions()["SE"] > shown[CALENDERED].fractions()["SE"]  # enlarged


def test_a_page_of_nothing(tmp_path):
    """Catches a page that fails while the first electrode is still being made."""
    reproduce.main(coarse=True, page_only=True, pictures=False, out=tmp_path)
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "What cannot follow" in text
    assert content_label(0.5) == "50 %"


def test_bad_arguments_are_reported_in_a_line(tmp_path, capsys):
    """Catches a traceback, or electrodes made before the arguments are looked at."""
    arguments = ["--seeds", "0", "--out", str(tmp_path / "none")]
    assert femssb.command(reproduce.main, arguments) == 2
    said = capsys.readouterr().err
    assert "seeds = 0" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "none").exists()

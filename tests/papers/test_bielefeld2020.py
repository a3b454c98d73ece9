"""If these fail, the page that sets paper 004 beside our numbers shows the wrong ones.

Worth reading: the formulas against the paper's own tables, and the whole page from made-up images.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from femssb.units import um

ROOT = Path(__file__).parents[3]


@pytest.fixture
def demo(monkeypatch):
    """The demo as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "demos"))
    import reproduce_paper004

    return reproduce_paper004


@pytest.fixture
def electrodes(demo):
    """All electrodes of the coarse reproduction, in boxes of few voxels."""
    voxels = tuple(10 * size for size in demo.COARSE.spacings)
    return demo.Electrodes(replace(demo.COARSE, spacings=voxels))


def made_up(recipe):
    """Return what an image tells, by formula: first order in the voxel size, a little scatter."""
    electrolyte = 0.85 * (1 - recipe.active_share * (1 + recipe.binder_ratio))
    size = max(getattr(recipe.active, "diameters", (5 * um,)))
    scatter = 1 + 0.01 * np.sin(recipe.seed)
    loss = (1 - 0.1 * recipe.spacing / um) * (1 - recipe.void)
    area = 4e5 * electrolyte * (1 - 4 * recipe.binder_ratio)
    return {
        "void": recipe.void, "AM": 0.85 - electrolyte, "SE": electrolyte,
        "conductivity": electrolyte**2.5 * (size / (5 * um)) ** 0.2 * loss * scatter,
        "solver error": 1e-6, "AM utilisation": 1.0, "SE utilisation": 0.7 + electrolyte,
        "active interface": area, "AM surface": 2 * area, "deepest overlap": 0.0,
    }  # fmt: skip


def keep(demo, cases, folder, realisations=5):
    """Write the files of all images of some cases."""
    for image in demo.images_of(cases, realisations):
        text = json.dumps({**image.about(), "found": made_up(image.recipe)})
        image.file(folder).write_text(text, encoding="utf-8")


def test_the_formulas_give_the_numbers_of_the_paper(demo, electrodes):
    """Catches a wrong unit or equation, where no image is needed; table 1 has a misprint."""
    ours = demo.numbers(electrodes, {}, 0.0)
    missed = []
    for row in demo.targets():
        found = ours.get((row["case"], row["key"]))
        if found and not row["key"].endswith("our tau2"):
            number = found[0] / demo.UNITS[row["unit"]]
            if demo.passes(number, float(row["paper"]), row["band"]) is False:
                missed.append(row["case"])
    assert len(ours) > 25
    assert set(missed) == {"table 1, high power"}
    assert len(missed) == 4


def test_every_number_of_the_paper_finds_ours(demo, electrodes, tmp_path):
    """Catches a row of the bands whose key nothing gives any more."""
    keep(demo, electrodes.all(), tmp_path)
    ours = demo.numbers(electrodes, demo.gather(electrodes.all(), tmp_path, 5), 0.0)
    assert [r for r in demo.targets() if (r["case"], r["key"]) not in ours] == []


def test_points_lie_on_the_line_through_two_voxel_sizes(demo, electrodes, tmp_path):
    """Catches an extrapolation from the wrong pair of images, or of the wrong order."""
    case = electrodes.by_voxel["70:30"]
    keep(demo, [case], tmp_path)
    point = demo.gather([case], tmp_path, 5)[case]
    for size in (0.0, 0.2 * um, 0.3 * um, 0.7 * um):
        images = [case.image(seed, size or 1e-12) for seed in range(1, 6)]
        exact = [made_up(image.recipe)["conductivity"] for image in images]
        assert point.at("conductivity", size) == pytest.approx(exact, rel=1e-6)
        factor = point.mean("SE") / np.mean(exact)
        assert point.tau_squared(size) == pytest.approx(factor, rel=1e-6)
        assert point.tau_squared_spread(size) / factor == pytest.approx(
            np.std(exact, ddof=1) / np.mean(exact), rel=1e-6
        )


def test_a_half_finished_realisation_is_left_out(demo, electrodes, tmp_path):
    """Catches a mean over realisations of which only the coarse image is there."""
    case = electrodes.by_size["3 um"][0.7]
    keep(demo, [case], tmp_path, realisations=3)
    case.image(2, case.spacings[-1]).file(tmp_path).unlink()
    case.image(3, case.spacings[0]).file(tmp_path).write_text("{", encoding="utf-8")
    assert demo.gather([case], tmp_path, 5)[case].realisations == 1


def test_what_is_finished_or_failed(demo, electrodes, tmp_path, capfd):
    """Catches work repeated after an interruption, and one bad electrode that stops the others."""
    case = electrodes.by_size["3 um"][0.5]
    good, bad = (replace(case.recipe, lengths=(edge * um,) * 3) for edge in (8, 4))
    cases = [replace(case, recipe=recipe, spacings=(1 * um,)) for recipe in (bad, good, good)]
    images = demo.images_of(cases, 1)
    assert len(images) == 2
    failed = demo.run(images, tmp_path, jobs=1)
    assert len(failed) == 1
    assert "too short for spheres" in failed[0]
    found = images[1].load(tmp_path)
    assert found["AM"] == pytest.approx(0.425, abs=0.03)
    assert 1 < found["SE"] / found["conductivity"] < 4
    assert list(demo.gather(cases, tmp_path, 1)) == [cases[1]]
    before = images[1].file(tmp_path).stat().st_mtime_ns
    assert demo.run(images[1:], tmp_path, jobs=1) == []
    assert "1 images, 0 of them to be made" in capfd.readouterr().out
    assert images[1].file(tmp_path).stat().st_mtime_ns == before
    other = replace(cases[1], recipe=replace(good, binder_ratio=0.05))
    assert other.image(1, 1 * um).load(tmp_path) is None


@pytest.mark.slow
def test_the_page_has_every_figure_and_number(demo, electrodes, tmp_path):
    """Catches a figure or table that no longer comes out, and infinite factors in one."""
    images = tmp_path / "images"
    images.mkdir()
    keep(demo, electrodes.all(), images)
    points = demo.gather(electrodes.all(), images, 5)
    blocked = electrodes.by_binder["0.1"][0.8]
    points[blocked].values["conductivity"][:] = 0.0
    del points[electrodes.by_size["15 um"][0.6]]
    demo.page(electrodes, points, tmp_path, 5)
    text = (tmp_path / "paper004.md").read_text(encoding="utf-8")
    assert text.count("](") == len(list(tmp_path.glob("*.png"))) == 8
    assert text.count("\n| ") > 65 + len(demo.TABLE_1)
    assert "nan" not in text
    assert (tmp_path / "electrodes.csv").stat().st_size > 10_000
    assert (tmp_path / "paper004.html").read_text(encoding="utf-8").endswith("</html>\n")

"""If these fail, the page of Bielefeld 2020 shows the wrong numbers.

Worth reading: the formulas against the paper's own tables, and the whole page from made-up images.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from femssb.studies import Cache, Results, read_targets, report, run
from femssb.units import um
from papers.bielefeld2020 import reproduce
from papers.bielefeld2020.electrodes import COARSE, Electrodes, gather, images_of, measure

TARGETS = read_targets(reproduce.TARGETS)


@pytest.fixture
def electrodes():
    """All electrodes of the coarse reproduction, in boxes of few voxels."""
    return Electrodes(replace(COARSE, spacings=tuple(10 * size for size in COARSE.spacings)))


def made_up(recipe):
    """Return the numbers of an image by formula: first order in the voxel size, some scatter."""
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


def results_of(electrodes, realisations=5):
    """Return made-up results of all images of some electrodes."""
    images = images_of(electrodes, realisations)
    return Results({image.name: made_up(image.arguments["recipe"]) for image in images})


def test_made_up_numbers_have_the_names_of_measured_ones(electrodes):
    """Catches tests that keep names that `measure` no longer gives."""
    recipe = replace(electrodes.alone.recipe, lengths=(12 * um,) * 3, spacing=1 * um)
    assert set(measure(recipe, active_conducts=False)) == set(made_up(recipe))
    conducting = measure(recipe, active_conducts=True)
    assert conducting["AM"] == pytest.approx(0.595, abs=0.05)


def test_images_have_names_of_their_own(electrodes):
    """Catches two images of one name: the second would stand for the first."""
    for name in reproduce.STUDIES:
        images = images_of(electrodes.of(name), 2)
        recipes = {repr(image.arguments) for image in images}
        assert len(recipes) == len({image.key for image in images}) == len(images)


def test_the_formulas_give_the_numbers_of_the_paper(electrodes):
    """Catches a wrong unit or equation, where no image is needed; table 1 has a misprint."""
    ours = reproduce.numbers(electrodes, Results(), 0.0)
    missed = []
    for target in TARGETS:
        found = ours.get((target.case, target.key))
        if found and not target.key.endswith("our tau2"):
            number = found.value / target.value * target.paper if target.paper else 0.0
            if target.holds(number) is False:
                missed.append(target.case)
    assert len(ours) > 25
    assert set(missed) == {"table 1, high power"}
    assert len(missed) == 4


def test_points_lie_on_the_line_through_two_voxel_sizes(electrodes):
    """Catches an extrapolation from the wrong pair of images, or of the wrong order."""
    electrode = electrodes.by_voxel["70:30"]
    point = gather(results_of([electrode]), [electrode], 5)[electrode]
    for size in (0.0, 0.2 * um, 0.3 * um, 0.7 * um):
        images = [electrode.image(seed, size or 1e-12) for seed in range(1, 6)]
        exact = [made_up(image.arguments["recipe"])["conductivity"] for image in images]
        assert point.at("conductivity", size) == pytest.approx(exact, rel=1e-6)
        factor = point.mean("SE") / np.mean(exact)
        assert point.tau_squared(size) == pytest.approx(factor, rel=1e-6)
        assert point.tau_squared_spread(size) / factor == pytest.approx(
            np.std(exact, ddof=1) / np.mean(exact), rel=1e-6
        )


def test_a_half_finished_realisation_is_left_out(electrodes):
    """Catches a mean over realisations of which only the coarse image is there."""
    electrode = electrodes.by_size["3 um"][0.7]
    results = results_of([electrode], realisations=2)
    del results[electrode.image(2, electrode.spacings[-1]).name]
    assert gather(results, [electrode], 5)[electrode].realisations == 1


def test_images_are_measured_and_kept(electrodes, tmp_path):
    """Catches work repeated after an interruption, and one bad electrode that stops the others."""
    electrode = replace(electrodes.by_size["3 um"][0.5], spacings=(1 * um,))
    bad, good = (
        replace(electrode, recipe=replace(electrode.recipe, lengths=(edge * um,) * 3))
        for edge in (4, 8)
    )
    images, cache = images_of([bad, good, good], 1), Cache(tmp_path)
    assert len(images) == 2
    (failure,) = run(images, cache)
    assert "too short for spheres" in failure
    results = cache.results(images)
    (found,) = results.values()
    assert found["AM"] == pytest.approx(0.425, abs=0.03)
    assert 1 < found["SE"] / found["conductivity"] < 4
    assert list(gather(results, [bad, good], 1)) == [good]
    other = replace(good, recipe=replace(good.recipe, binder_ratio=0.05))
    assert cache.find(other.image(1, 1 * um)) is None


@pytest.mark.parametrize("name", reproduce.STUDIES)
def test_every_study_reaches_its_page(name, electrodes, tmp_path):
    """Catches a number, trend, table or figure that no longer comes out of the measured numbers."""
    study = reproduce.study(name, electrodes, 2)
    results = results_of(electrodes.of(name), 2)
    blocked = electrodes.by_binder["0.1"][0.8]
    for image in images_of([blocked], 2):  # infinite tortuosity
        if image.name in results:
            results[image.name]["conductivity"] = 0.0
    found = study.gather(results)
    assert [t for t in study.targets if study.number(found, t) is None] == []
    blocks = report({"": (study, found)}, tmp_path)
    tables = [block for block in blocks if hasattr(block, "rows")]
    assert "nan" not in str(tables)
    if study.trends(found):
        assert {row[1] for row in tables[-1].rows} <= {"yes", "**no**"}
    pictures = [block.path for block in blocks if hasattr(block, "path")]
    assert len(pictures) == (name != "table 1")
    assert all(path.stat().st_size > 10_000 for path in pictures)


def test_every_number_of_the_paper_belongs_to_a_study(electrodes):
    """Catches a row of the paper that is never compared."""
    compared = [
        t for name in reproduce.STUDIES for t in reproduce.study(name, electrodes, 1).targets
    ]
    assert sorted(compared, key=repr) == sorted(TARGETS, key=repr)
    assert len(TARGETS) == 65


def test_a_page_of_nothing(tmp_path: Path):
    """Catches a page that fails where no image is finished, and a figure without points."""
    reproduce.main(coarse=True, page_only=True, out=tmp_path)
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "Bielefeld 2020 reproduced (coarse)" in text
    assert "| table 1, intermediate | current density, LGPS | mA/cm2 | 1.46 | 2 % | 1.457 |" in text
    assert not list(tmp_path.rglob("*.png"))

"""Formulations: beads counted by hand, masses that close, volumes that do not and say so.

If these fail, all densities and porosities of the wet route belong to another slurry.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from femssb.errors import InputError
from femssb.library import alabdali2023
from femssb.packing import ListedSizes, LognormalSizes, Solvent, disperse, read, write
from femssb.units import um

PAPER = alabdali2023.formulation()


def with_shares(*shares):
    """Return the formulation with other shares."""
    parts = [replace(c, share=s) for c, s in zip(PAPER.components, shares, strict=True)]
    return replace(PAPER, components=tuple(parts))


WIDE = LognormalSizes(median=3 * um, geometric_deviation=3.0)


def with_sizes(sizes):
    """Return the formulation with other sizes of the electrolyte."""
    am, se, cbd = PAPER.components
    return replace(PAPER, components=(am, replace(se, sizes=sizes), cbd))


def test_counts_are_those_of_a_calculation_by_hand():
    """Would catch shares taken of the wet mass, or densities that forget the pores.

    One ball of 10 um weighs 2487 pg; 27.6 parts of SE at 1.64 g/cm3 to 69 parts are 607 um3, and
    3.4 parts of binder are 9.6 balls of 3 um at 0.9 g/cm3.
    """
    sizes = ListedSizes(diameters=(4 * um,))
    am, se, cbd = PAPER.components
    mass = 100 * 2487.1e-15  # of a hundred balls [kg]
    made = replace(
        PAPER,
        components=(am, replace(se, sizes=sizes), cbd),
        beads=None,
        dry_mass=mass / 0.69,
    )
    assert made.counts().tolist() == [100, round(100 * 606.6 / 33.51), round(100 * 9.63)]
    assert sum(made.ledger().values()) == pytest.approx(mass / 0.69 / 0.669)
    # The second paper: 56 AM of 4 um in 13 900 pg.
    second = alabdali2023.second_formulation()
    assert second.counts()[0] == 56
    assert 0.5 * sum(second.ledger().values()) == pytest.approx(1.39e-11, rel=0.02)


@pytest.mark.parametrize("beads", [200, 1501, 5089])
def test_beads_are_as_many_as_asked_and_weigh_what_they_must(beads):
    """Would catch rounding that loses beads or mass: the ledger closes to the last bits."""
    made = replace(PAPER, beads=beads)
    kinds, diameters = made.diameters()
    assert len(kinds) == beads == made.counts().sum()
    masses = made.ledger()
    for kind, component in enumerate(made.components):
        volume = np.pi / 6 * np.sum(diameters[kinds == kind] ** 3)
        assert volume * component.solid.density == pytest.approx(masses[component.name], rel=1e-13)


def test_sizes_keep_their_distribution():
    """Would catch classes that are counted by volume, or a scale that is not near one."""
    sizes = LognormalSizes(median=3 * um, geometric_deviation=1.5)
    kinds, diameters = with_sizes(sizes).diameters()
    electrolyte = diameters[kinds == 1]
    assert np.median(electrolyte) == pytest.approx(3 * um, rel=0.02)
    assert np.std(np.log(electrolyte)) == pytest.approx(np.log(1.5), rel=0.03)


def test_few_beads_keep_the_distribution_too():
    """Would catch fewer beads than classes that are the smallest ones, blown up to their mass."""
    sizes = LognormalSizes(median=3 * um, geometric_deviation=1.5)
    made = replace(with_sizes(sizes), beads=45)
    kinds, diameters = made.diameters()
    electrolyte = diameters[kinds == 1]
    assert 10 < len(electrolyte) < 40
    assert np.median(electrolyte) == pytest.approx(3 * um, rel=0.04)
    assert np.std(np.log(electrolyte)) == pytest.approx(np.log(1.5), rel=0.1)
    masses = np.pi / 6 * np.sum(electrolyte**3) * made.components[1].solid.density
    assert masses == pytest.approx(made.ledger()["SE"], rel=1e-13)


def test_the_volume_balance_of_the_paper_does_not_close():
    """Would catch a balance that believes a fitted density, as Table S1 at 1 atm gives it.

    66.9 wt% of solids are 1.65 g/cm3 if solids and solvent are all there is, and not 1.90; at the
    density of the simulation, beads have 16 % more volume than the box.
    """
    closed = PAPER.balance()
    assert closed.density == pytest.approx(1650, abs=5)
    assert not closed.warnings
    fitted = PAPER.balance(density=1930)
    assert fitted.beads / fitted.box == pytest.approx(1.165, abs=0.005)
    assert any("beads have 16" in said and "1648" in said for said in fitted.warnings)
    assert PAPER.balance(box=fitted.box).density == pytest.approx(1930)
    assert "more volume than the box" in str(fitted)
    # Dry pores that no solvent fills: beads are larger, but the density is right.
    (pores,) = replace(PAPER, solid_content=0.999, swelling=None).balance().warnings
    assert pores.endswith("beads have 5.31 % more volume than the box")


def test_the_solvent_swells_the_binder_to_the_size_of_the_paper():
    """Would catch pores that the solvent does not fill: 7.5 um follow from 66.9 wt% of solids."""
    assert 3 * replace(PAPER, swelling=None).swollen() == pytest.approx(7.5, abs=0.02)
    balance = replace(PAPER, swelling=None).balance()
    assert balance.beads == pytest.approx(balance.box, rel=1e-12)
    for content, wet in ((0.48, 6.93), (0.52, 6.58)):
        second = replace(alabdali2023.second_formulation(solid_content=content), swelling=None)
        assert 2.6 * second.swollen() == pytest.approx(wet, abs=0.01)


def test_dispersed_beads_do_not_touch_and_weigh_what_the_ledger_says(tmp_path):
    """Would catch images that are forgotten, and masses that a file loses."""
    made = replace(PAPER, beads=150)
    packing = disperse(made, seed=4)
    away = packing.positions[:, None] - packing.positions
    away -= packing.lengths * np.rint(away / packing.lengths)
    distance = np.linalg.norm(away, axis=2) + np.diag(np.full(150, np.inf))
    assert np.all(distance > np.add.outer(packing.radii, packing.radii))
    assert packing.masses.sum() == pytest.approx(sum(made.ledger().values()), rel=1e-13)
    assert np.array_equal(disperse(made, seed=4).positions, packing.positions)
    assert not np.array_equal(disperse(made, seed=5).positions, packing.positions)
    high = disperse(made, seed=4, height=2.0)
    assert high.lengths[2] / high.lengths[:2] == pytest.approx([2.0, 2.0])
    assert high.lengths.prod() == pytest.approx(packing.lengths.prod())
    assert np.all((high.positions >= high.lower) & (high.positions <= high.upper))
    write(packing, tmp_path / "slurry.h5")
    assert np.array_equal(read(tmp_path / "slurry.h5").masses, packing.masses)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: with_shares(0.69, 0.276, 0.04), r"Formulation.components: .* sum to 1.006"),
        (lambda: with_shares(0.7, 0.3, 0.0), r"Formulation.binder = 'CBD' .* share above 0"),
        (lambda: Solvent(name="water"), r"Solvent.density must be a number \[kg/m3\]"),
        (lambda: Solvent(name="water", density=-1), r"Solvent.density = -1 kg/m3 is outside"),
        (lambda: replace(PAPER, solid_content=1.2), r"Formulation.solid_content = 1.2"),
        (lambda: replace(PAPER, dry_mass=1e-9), r"either beads = 5089 or dry_mass = 1e-09 kg"),
        (lambda: replace(PAPER, beads=4).counts(), "less of AM than one bead; raise beads"),
        (
            lambda: replace(PAPER, solvent=Solvent(name="CBD", density=861.0)),
            r"Formulation.solvent: its name 'CBD' is that of a component",
        ),
        (lambda: with_sizes(WIDE), r"SE.*40 classes hold 29 %"),
        (lambda: disperse(PAPER, seed=-1), "seed = -1"),
        (lambda: disperse(PAPER, seed=1, height=0.0), "height = 0"),
        (lambda: PAPER.balance(box=0.0), "balance.box = 0 must be above 0"),
        (lambda: PAPER.balance(box=1.0, density=1.0), "exclude each other"),
        (
            lambda: alabdali2023.second_formulation(solid_content=0.6),
            r"solid_content = 0.6 must be one of \[0.48, 0.5, 0.52\]",
        ),
    ],
)
def test_what_cannot_be_is_named(make, said):
    """Would catch a slurry of something else than was meant."""
    with pytest.raises(InputError, match=said):
        make()

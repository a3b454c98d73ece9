"""The cohesive law at points of a surface.

If these fail, every debonding that the package reports is wrong while all of its meshes and solvers
are right. The test worth reading: `test_energy_under_the_curve_is_the_fracture_energy`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from femssb import library
from femssb.cell.cohesion import cohesive_traction
from femssb.inputs.interfaces import CohesiveLaw
from femssb.units import nm
from tests.verification.rates import taylor_rate

BASE = CohesiveLaw(
    normal_strength=100e6,
    shear_strength=150e6,
    normal_fracture_energy=1.0,
    shear_fracture_energy=2.5,
    stiffness=1e17,
)
LAWS = {
    "power 1": BASE,
    "power 2": replace(BASE, mixed_mode_exponent=2.0),
    "benzeggagh_kenane 1.45": replace(
        BASE, mixed_mode="benzeggagh_kenane", mixed_mode_exponent=1.45
    ),
}
ANGLES = {"mode I": 0.0, "20 deg": 20.0, "45 deg": 45.0, "70 deg": 70.0, "mode II": 90.0}


def answer(law, jump, damage=None, previous=None, time_step=1.0, spent=None):
    """Return the cohesion of points, from an intact and closed state unless given."""
    jump = np.atleast_2d(np.asarray(jump, dtype=float))
    damage = np.zeros(len(jump)) if damage is None else np.broadcast_to(damage, len(jump)).copy()
    spent = np.zeros(len(jump)) if spent is None else np.broadcast_to(spent, len(jump)).copy()
    previous = np.zeros_like(jump) if previous is None else previous
    return cohesive_traction(law, jump, damage, spent, previous, time_step)


def direction_at(angle):
    """Return the unit jump at an angle from the normal; its shear is not along an axis."""
    theta = math.radians(angle)
    return np.array([math.cos(theta), 0.6 * math.sin(theta), 0.8 * math.sin(theta)])


def fracture_energy(law, angle):
    """Return the energy that the mixed-mode law asks for at a fixed mix, written out once more."""
    shear = math.sin(math.radians(angle)) ** 2
    first, second = law.normal_fracture_energy, law.shear_fracture_energy
    p = law.mixed_mode_exponent
    if law.mixed_mode == "power":
        return (((1 - shear) / first) ** p + (shear / second) ** p) ** (-1 / p)
    return first + (second - first) * shear**p


@pytest.mark.parametrize("angle", ANGLES.values(), ids=ANGLES.keys())
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_energy_under_the_curve_is_the_fracture_energy(law, angle):
    """Catches a wrong final opening: work to failure = reported dissipation = G(mix)."""
    expected = fracture_energy(law, angle)
    opening = np.linspace(0.0, 60 * nm, 601)
    path = opening[:, None] * direction_at(angle)
    damage, dissipated, work = np.zeros(1), 0.0, 0.0
    last = np.zeros(3)
    for before, jump in pairwise(path):
        state = answer(law, jump, damage, before[None])
        work += 0.5 * float((state.traction[0] + last) @ (jump - before))
        dissipated += float(state.dissipated[0])
        damage, last = state.damage, state.traction[0]
    assert damage[0] == 1.0
    assert last == pytest.approx(0.0, abs=1e-3)
    assert dissipated == pytest.approx(expected, rel=1e-12)
    assert work == pytest.approx(expected, rel=1e-3)  # trapezoids across two kinks
    # one giant step dissipates the same: a state function, not an integral along the way
    assert answer(law, path[-1]).dissipated[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
@pytest.mark.parametrize("angle", ANGLES.values(), ids=ANGLES.keys())
def test_onset_is_quadratic_in_the_nominal_stresses(law, angle):
    """Catches an onset that mixes strengths linearly, or forgets one of them."""
    unit = direction_at(angle)
    stress = law.stiffness * unit
    level = math.hypot(
        stress[0] / law.normal_strength, math.hypot(stress[1], stress[2]) / law.shear_strength
    )
    below, above = answer(law, [0.999 * unit / level, 1.001 * unit / level]).damage
    assert below == 0.0
    assert 0.0 < above < 0.01


def test_softening_slope_and_final_opening_of_mode_one():
    """Catches a law that is not bilinear: slope -s/(d_f - d_0) after the peak, zero at 2 G/s."""
    law = library.yuan2023.materials().cohesive
    onset, final = 100e6 / 1e19, 2 * 1.0 / 100e6
    assert final == pytest.approx(20 * nm)  # Yuan 2023: the same for every strength
    peak = answer(law, [onset, 0, 0], previous=np.array([[onset, 0, 0]]))
    assert peak.traction[0, 0] == pytest.approx(100e6)
    middle = np.array([[8 * nm, 0.0, 0.0]])
    law = replace(law, viscosity=0.0)
    state = answer(law, middle)
    assert state.tangent[0, 0, 0] == pytest.approx(-100e6 / (final - onset), rel=1e-9)
    assert state.traction[0, 0] == pytest.approx(100e6 * (final - 8 * nm) / (final - onset))
    assert answer(law, [1.001 * final, 0, 0]).traction == pytest.approx(0.0, abs=1e-3)


REGIMES = {
    # name: (jump [nm], committed damage)
    "intact": ((0.4, 0.3, -0.2), 0.0),
    "mode I softening": ((8.0, 0.0, 0.0), 0.0),
    "mode II softening": ((0.0, 5.0, -3.0), 0.0),
    "mixed softening": ((5.0, 4.0, -3.0), 0.2),
    "unloading": ((2.0, 1.0, -0.5), 0.9),
    "failed in this step": ((60.0, 50.0, 10.0), 0.3),
    "failed before": ((3.0, 2.0, 1.0), 1.0),
    "closed, shear softening": ((-1.0, 6.0, 2.0), 0.1),
    "closed, failed": ((-1.0, 6.0, 2.0), 1.0),
}


@pytest.mark.parametrize("viscosity", [0.0, 1e16])
@pytest.mark.parametrize("regime", REGIMES.values(), ids=REGIMES.keys())
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_tangent_is_the_derivative_of_the_traction(law, regime, viscosity):
    """Catches a missing d(damage)/d(jump), mode-mix or viscous term: Newton would stall."""
    law = replace(law, viscosity=viscosity)
    jump, damage = np.array([regime[0]]) * nm, regime[1]
    previous, spent = 0.7 * jump, 0.6 * damage
    tangent = answer(law, jump, damage, previous, 2.0, spent).tangent[0]
    rng = np.random.default_rng(5)
    for _ in range(3):
        direction = rng.normal(size=(1, 3)) * 0.05 * nm
        if jump[0, 0] == 0.0:
            direction[0, 0] = 0.0  # the law has a kink where the interface closes

        def traction(x):
            return answer(law, x, damage, previous, 2.0, spent).traction

        rate = taylor_rate(
            traction, tangent @ direction[0], jump, direction, 1.0 / 2.0 ** np.arange(5)
        )
        assert rate > 1.9


@pytest.mark.parametrize(
    "change",
    [
        {"normal_strength": 90e6},
        {"shear_strength": 120e6},
        {"normal_fracture_energy": 1.3},
        {"shear_fracture_energy": 3.0},
        {"stiffness": 2e17},
        {"mixed_mode": "benzeggagh_kenane"},
        {"mixed_mode_exponent": 1.7},
        {"viscosity": 1e15},
    ],
    ids=lambda change: next(iter(change)),
)
def test_traction_and_tangent_change_with_every_coefficient(change):
    """Catches a coefficient that is read but never used."""
    jump = np.array([[5.0, 4.0, -3.0]]) * nm
    base, other = answer(BASE, jump), answer(replace(BASE, **change), jump)
    assert np.max(np.abs(other.traction - base.traction)) > 1e-4 * np.max(np.abs(base.traction))
    assert np.max(np.abs(other.tangent - base.tangent)) > 1e-4 * np.max(np.abs(base.tangent))


@settings(deadline=None, max_examples=150)
@given(
    path=st.lists(
        st.tuples(st.floats(-30, 60), st.floats(-60, 60), st.floats(-60, 60)),
        min_size=1,
        max_size=20,
    ),
    name=st.sampled_from(sorted(LAWS)),
)
def test_damage_never_heals_and_dissipation_is_never_negative(path, name):
    """Catches healing when the mode mix changes on the way (mixed laws of a largest opening do)."""
    law = LAWS[name]
    damage, spent = np.zeros(1), np.zeros(1)
    for jump in path:
        state = answer(law, np.array(jump) * nm, damage, spent=spent)
        assert damage[0] <= state.damage[0] <= 1.0
        assert spent[0] <= state.spent[0] <= 1.0
        assert (state.spent[0] == 1.0) == (state.damage[0] == 1.0)
        assert (state.spent[0] > spent[0]) == (state.damage[0] > damage[0])
        spent = state.spent
        assert state.dissipated[0] >= 0.0
        assert (state.dissipated[0] > 0.0) == (state.damage[0] > damage[0])
        damage = state.damage


def test_unloading_goes_back_to_the_origin():
    """Catches plastic unloading: a damaged interface that closes must be free of stress."""
    jump = np.array([[9.0, 4.0, 2.0]]) * nm
    loaded = answer(BASE, jump)
    for share in (0.75, 0.3, 0.0):
        back = answer(BASE, share * jump, loaded.damage)
        assert back.damage == loaded.damage
        assert back.traction == pytest.approx(share * loaded.traction)
        assert back.dissipated == 0.0


@pytest.mark.parametrize("damage", [0.0, 0.6, 1.0])
def test_a_closed_interface_keeps_its_normal_stiffness(damage):
    """Catches interpenetration of a failed interface, and a jump of traction as it closes."""
    closed = answer(BASE, np.array([[-2.0, 0.3, 0.0]]) * nm, damage)
    assert closed.traction[0, 0] == pytest.approx(-BASE.stiffness * 2 * nm)
    assert closed.traction[0, 1] == pytest.approx((1 - damage) * BASE.stiffness * 0.3 * nm)
    assert closed.tangent[0, 0, 0] == BASE.stiffness
    tiny = 1e-9 * nm
    around = answer(BASE, [[-tiny, 0.3 * nm, 0.0], [tiny, 0.3 * nm, 0.0]], damage).traction
    assert around[0] == pytest.approx(around[1], abs=1.0)  # [Pa]


def test_zero_jump_is_finite_and_free_of_stress():
    """Catches the 0/0 of a mode mix without a jump, and a crack that sticks before it opens."""
    with np.errstate(all="raise"):
        for damage in (0.0, 0.5, 1.0):
            state = answer(BASE, np.zeros((1, 3)), damage)
            assert np.all(state.traction == 0.0)
            assert np.all(np.isfinite(state.tangent))
            assert state.tangent[0, 0, 0] == pytest.approx((1 - damage) * BASE.stiffness)
            assert state.tangent[0, 1, 1] == pytest.approx((1 - damage) * BASE.stiffness)


@pytest.mark.parametrize("mixed_mode", ["power", "benzeggagh_kenane"])
def test_infinite_strength_is_an_elastic_interface(mixed_mode):
    """Catches inf - inf: the interface that must not fail is the limit of a bonded mesh."""
    law = CohesiveLaw(
        normal_strength=math.inf,
        shear_strength=math.inf,
        normal_fracture_energy=math.inf,
        shear_fracture_energy=math.inf,
        stiffness=1e17,
        mixed_mode=mixed_mode,
    )
    jump = np.array([[1e4, -2e4, 3e4], [-1.0, 0.0, 0.0]]) * nm
    state = answer(law, jump)
    assert state.traction == pytest.approx(1e17 * jump)
    assert state.tangent == pytest.approx(np.broadcast_to(1e17 * np.eye(3), (2, 3, 3)))
    assert np.all(state.damage == 0.0)


def test_infinite_shear_strength_leaves_mode_one_as_it_is():
    """Catches a pure mode that depends on the constants of the other."""
    only = replace(BASE, shear_strength=math.inf, shear_fracture_energy=math.inf)
    jump = np.array([[8.0, 0.0, 0.0], [0.0, 500.0, 0.0]]) * nm
    state, reference = answer(only, jump), answer(BASE, jump)
    assert state.traction[0] == pytest.approx(reference.traction[0])
    assert state.damage[1] == 0.0


def test_the_law_has_no_preferred_tangent():
    """Catches a shear that depends on how the two tangents of a facet happen to lie."""
    turn = math.radians(37.0)
    rotation = np.array(
        [[1, 0, 0], [0, math.cos(turn), -math.sin(turn)], [0, math.sin(turn), math.cos(turn)]]
    )
    jump = np.array([[5.0, 4.0, -3.0]]) * nm
    here, there = answer(BASE, jump), answer(BASE, jump @ rotation.T)
    assert there.traction == pytest.approx(here.traction @ rotation.T)
    assert there.tangent[0] == pytest.approx(
        rotation @ here.tangent[0] @ rotation.T, abs=1e-9 * BASE.stiffness
    )


# --- energy spent -----------------------------------------------------------------------------


@pytest.mark.parametrize("stiffness", [1e17, 1e19, 1e21])
@pytest.mark.parametrize("angle", ANGLES.values(), ids=ANGLES.keys())
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_the_spent_share_is_what_has_dissipated_over_the_fracture_energy(law, angle, stiffness):
    """Catches a share of the stiffness under the name of a share of the energy, in any mode."""
    law = replace(law, stiffness=stiffness)
    openings = np.linspace(0.0, 60 * nm, 41)
    damage, spent, dissipated = np.zeros(1), np.zeros(1), 0.0
    for opening in openings:
        state = answer(law, opening * direction_at(angle), damage, spent=spent)
        damage, spent = state.damage, state.spent
        dissipated += state.dissipated[0]
        assert spent[0] == pytest.approx(dissipated / fracture_energy(law, angle), abs=1e-9)
    assert spent[0] == 1.0
    giant = answer(law, openings[5] * direction_at(angle))  # in one step: the same
    assert giant.spent * fracture_energy(law, angle) == pytest.approx(giant.dissipated, rel=1e-9)


@pytest.mark.parametrize("mixed_mode", ["power", "benzeggagh_kenane"])
def test_the_spent_share_does_not_depend_on_the_stiffness(mixed_mode):
    """Catches what damage does: openings that change their mode, at stiffnesses far apart."""
    path = np.array(
        [[3, 1, 0], [6, 2, 1], [2, 1, 1], [1, 9, 4], [8, 6, 4], [4, 14, 6], [30, 20, 9]]
    )
    shares, damages = [], []
    for stiffness in (1e19, 1e20, 1e21):
        law = replace(BASE, stiffness=stiffness, mixed_mode=mixed_mode, mixed_mode_exponent=1.5)
        damage, spent, found = np.zeros(1), np.zeros(1), []
        for jump in path * nm:
            state = answer(law, jump, damage, spent=spent)
            damage, spent = state.damage, state.spent
            found.append((spent[0], damage[0]))
        shares.append([share for share, _ in found])
        damages.append([share for _, share in found])
    onset = BASE.shear_strength / 1e19 / (2 * nm)  # over the smallest opening: what K may change
    np.testing.assert_allclose(shares[1:], shares[:1] * 2, rtol=0, atol=2 * onset)
    assert 0.1 < shares[0][0] < shares[0][-2] < 0.95
    assert shares[0][-1] == 1.0
    assert np.min(damages) > 0.98  # which tells nothing apart


def test_stiffness_is_lost_long_before_the_energy():
    """The number that gave a debonded area too large: 99 % of K lost, 4.7 % of G spent."""
    law = library.yuan2023.materials().cohesive
    openings = np.linspace(0, 20, 20001)[:, None] * [nm, 0, 0]
    state = answer(law, openings)
    row = int(np.argmax(state.damage > 0.99))
    assert state.spent[row] == pytest.approx(0.047, abs=0.001)
    assert state.traction[row, 0] > 0.95 * law.normal_strength


# --- viscosity --------------------------------------------------------------------------------


def test_a_failed_point_has_no_viscous_traction():
    """Catches dissipation without end: opened, sheared, closed and pressed again and again."""
    law = replace(BASE, viscosity=2e16)
    cycle = np.array([[20, 0, 0], [30, 9, -5], [3, 4, 8], [-1, -5, 2], [-2, 0, 0], [5, 1, 1]]) * nm
    damage, spent, previous = np.ones(1), np.ones(1), np.zeros((1, 3))
    for jump in [*cycle, *cycle]:
        state = answer(law, jump, damage, previous, 0.1, spent)
        contact = np.array([law.stiffness * min(jump[0], 0.0), 0.0, 0.0])
        np.testing.assert_allclose(state.traction[0], contact, rtol=0, atol=1e-3)
        assert state.viscous == state.dissipated == 0.0
        stiff = law.stiffness if jump[0] < 0 else 0.0
        np.testing.assert_array_equal(state.tangent[0], np.diag([stiff, 0.0, 0.0]))
        damage, spent, previous = state.damage, state.spent, jump[None]


def test_viscous_energy_stops_growing_once_a_point_has_failed():
    """Catches a traction that outlives the interface; up to failure it may take its part."""
    law = replace(BASE, viscosity=2e16)
    damage, spent, previous, total = np.zeros(1), np.zeros(1), np.zeros((1, 3)), []
    for opening in 30 * nm * np.sin(np.linspace(0, 6 * np.pi, 301)) ** 2:
        jump = np.array([opening, 0.5 * opening, 0.0])
        state = answer(law, jump, damage, previous, 1.0, spent)
        damage, spent, previous = state.damage, state.spent, jump[None]
        total.append(state.viscous[0])
    first = total[:51]  # to the largest opening
    assert spent[0] == 1.0
    assert sum(first) > 0
    assert sum(total) == sum(first)


def test_viscous_traction_fades_without_a_jump():
    """Catches a traction that is cut off where the point fails: in time it must be continuous."""
    law = replace(BASE, viscosity=1e16)
    falls = []
    for steps in (100, 200, 400):
        openings = np.linspace(0, 30 * nm, steps + 1)
        damage, spent, previous, viscous = np.zeros(1), np.zeros(1), np.zeros((1, 3)), []
        for opening in openings[1:]:
            jump = np.array([[opening, 0.0, 0.0]])
            state = answer(law, jump, damage, previous, 30.0 / steps, spent)
            rest = answer(replace(law, viscosity=0.0), jump, damage, spent=spent)
            viscous.append(state.traction[0, 0] - rest.traction[0, 0])
            damage, spent, previous = state.damage, state.spent, jump
        assert viscous[0] == pytest.approx(1e16 * nm)
        assert viscous[-1] == pytest.approx(0.0, abs=1.0)
        falls.append(-np.diff(viscous).min())
    assert falls[2] < 0.6 * falls[1] < 0.36 * falls[0]


def test_viscous_part_is_a_dashpot_next_to_the_law():
    """Catches a viscous energy that the ledger would miss, or one that acts on the jump itself."""
    law = replace(BASE, viscosity=2e16)
    previous = np.array([[1.0, -2.0, 0.5]]) * nm
    jump = np.array([[4.0, 1.0, -0.5]]) * nm
    without = answer(BASE, jump)
    state = answer(law, jump, previous=previous, time_step=4.0, spent=0.25)
    rate = (jump - previous) / 4.0
    viscosity = 0.75 * 2e16  # that of the share that is not spent
    assert state.traction - without.traction == pytest.approx(viscosity * rate)
    assert state.tangent - without.tangent == pytest.approx(
        np.broadcast_to(viscosity / 4.0 * np.eye(3), (1, 3, 3)), rel=1e-6
    )
    assert state.viscous == pytest.approx(viscosity * np.sum(rate**2) * 4.0)
    assert np.all(state.damage == without.damage)
    assert np.all(without.viscous == 0.0)


def test_a_rank_without_points_gets_empty_arrays():
    """Catches a reduction over nothing on a rank that owns no facet."""
    found = answer(BASE, np.empty((0, 3)))
    assert found.tangent.shape == (0, 3, 3)

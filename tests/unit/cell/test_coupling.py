"""If these fail, the two problems of a time step do not agree, or the step depends on its guess."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from femssb import InputError, Model, NotConverged, library
from femssb.cell.coupling import Guess, Tolerances, advance
from femssb.cell.model import State
from tests.runs import tiny_model

TIGHT = Tolerances(current=1e-11, force=1e-9, exchange=1e-8, maximum_passes=60)
STEP = 60.0  # [s]


@pytest.fixture(scope="module")
def model() -> Model:
    """A model with all couplings."""
    return tiny_model()


def step(model: Model, start: State, guess: Guess | None = None, **changed: Any) -> Any:
    """Take one implicit Euler step of a charge at 1C."""
    arguments = {
        "time_step": STEP,
        "rate": 1 / STEP,
        "history": -model.stoichiometry(start) / STEP,
        "continued": False,
        "current": model.one_c,
        "tolerances": TIGHT,
        **changed,
    }
    start_here = Guess(
        electrochemical=start.electrochemical,
        mechanical=start.mechanical,
        gap=start.gap,
        pull=start.pull,
    )
    return advance(model, start, guess or start_here, **arguments)


def test_a_step_moves_the_lithium_that_its_current_carries(model: Model) -> None:
    """Catches a step that is accepted although its current is not the imposed one."""
    start = model.initial_state()
    state, work = step(model, start)
    moved = model.electrochemistry.charge(model.stoichiometry(start) - model.stoichiometry(state))
    assert moved == pytest.approx(model.one_c * STEP, rel=1e-9)
    assert state.current == pytest.approx(model.one_c, rel=1e-9)
    assert state.time == start.time + STEP
    assert work.passes > 1
    assert min(work.newton_electrochemistry, work.newton_mechanics) >= 1


def test_the_exchange_is_a_fixed_point(model: Model) -> None:
    """Catches gap or stress that belong to another pass than the fields."""
    start = model.initial_state()
    state, _ = step(model, start)
    np.testing.assert_allclose(
        state.gap,
        model.gap(state.jump),
        rtol=0,
        atol=1e-7 * model.materials.resistance.decay_length,
    )
    x = model.electrochemical(state)
    stress = model.mechanics.hydrostatic_stress(model.mechanical(state), model.expansion(x))
    np.testing.assert_array_equal(stress, state.hydrostatic)
    assert model.currents.cell(x, state.gap, state.layer) == state.current


def test_the_guess_does_not_change_the_step(model: Model) -> None:
    """Catches an answer that depends on where the search began."""
    start = model.initial_state()
    state, _ = step(model, start)
    rng = np.random.default_rng(1)
    other = Guess(
        electrochemical=start.electrochemical * (1 + 1e-4 * rng.random(start.electrochemical.size)),
        mechanical=state.mechanical * 1.5,
        gap=np.full_like(start.gap, 2e-9),
        pull=start.pull + 10.0,
    )
    found, _ = step(model, start, other)
    assert found.voltage == pytest.approx(state.voltage, abs=1e-9)
    np.testing.assert_allclose(
        model.stoichiometry(found), model.stoichiometry(state), rtol=0, atol=1e-9
    )
    assert np.abs(found.mechanical - state.mechanical).max() < 1e-6 * np.abs(state.mechanical).max()


def test_the_start_of_a_step_is_left_as_it_was(model: Model) -> None:
    """Catches a retry that starts from what a failed attempt left behind."""
    start = model.initial_state()
    kept = replace(
        start,
        **{
            name: getattr(start, name).copy()
            for name in ("electrochemical", "mechanical", "jump", "damage", "gap", "pull")
        },
    )
    step(model, start)
    for name in ("electrochemical", "mechanical", "jump", "damage", "gap", "pull"):
        np.testing.assert_array_equal(getattr(start, name), getattr(kept, name))


def test_holding_the_voltage_that_a_current_gave_gives_the_current(model: Model) -> None:
    """Catches two ways to drive the cell that do not agree."""
    start = model.initial_state()
    driven, _ = step(model, start)
    held, _ = step(model, start, current=None, voltage=driven.voltage)
    assert held.voltage == driven.voltage
    assert held.current == pytest.approx(driven.current, rel=1e-7)


def test_problems_that_do_not_agree_are_not_accepted(model: Model) -> None:
    """Catches a pass limit that lets an unconverged step through."""
    few = Tolerances(exchange=1e-12, maximum_passes=2)
    with pytest.raises(NotConverged, match="did not agree in 2 passes") as caught:
        step(model, model.initial_state(), tolerances=few)
    assert caught.value.residuals["exchange"] > 1e-12


@pytest.mark.parametrize(
    ("field", "value"),
    [("current", 0.0), ("force", -1e-6), ("exchange", 1.0), ("maximum_passes", 1), ("force", "x")],
)
def test_bad_tolerances_name_the_field(field: str, value: object) -> None:
    """Catches a tolerance that nothing can meet or everything does."""
    with pytest.raises(InputError, match=f"Tolerances.{field}"):
        Tolerances(**{field: value})


def test_lithium_may_drift_the_other_way() -> None:
    """Catches a negative partial molar volume whose stress never reaches the lithium."""
    materials = library.yuan2023.materials()
    data = tiny_model().data
    found = {}
    for volume in (-1e-6, 0.0, 1e-6):
        active = replace(materials.active, drift_volume=volume)
        model = Model(data, replace(materials, active=active))
        state, _ = step(model, model.initial_state())
        found[volume] = model.stoichiometry(state)
    forward, backward = (found[volume] - found[0.0] for volume in (1e-6, -1e-6))
    assert np.abs(forward).max() > 1e-6
    assert forward @ backward < -0.5 * np.linalg.norm(forward) * np.linalg.norm(backward)

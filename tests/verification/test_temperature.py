"""If these fail, a cell at another temperature is another one than its materials say.

Worth reading: `test_voltage_at_another_temperature`, where a formula gives every term.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from femssb import (
    Charge,
    ContactResistance,
    Couplings,
    Curve,
    Discharge,
    FixedSteps,
    GrainBoundaries,
    InputError,
    Materials,
    ParticleContacts,
    Rest,
    Simulation,
    library,
)
from femssb.units import GAS_CONSTANT
from tests.runs import tiny_model
from tests.verification.half_cells import (
    WIDTH,
    at_interface,
    face_collector,
    laminate,
    lopsided,
    resistances_of,
    step,
    voltage_of,
)

REFERENCE, WARM = 303.15, 333.15
ELECTROCHEMISTRY = Couplings(
    expansion=False, stress_drift=False, gap_resistance=False, debonding=False
)


def factor(energy: float) -> float:
    """Return that of Arrhenius' law between the two temperatures."""
    return math.exp(-energy / GAS_CONSTANT * (1 / WARM - 1 / REFERENCE))


def entropy(concentration: Any) -> Any:
    return 2e-4 - 8e-9 * concentration


ENTROPY = Curve.from_callable(entropy, lower=0.0, upper=2e5)


def activated() -> Materials:
    """Return materials in which each quantity has an activation energy of its own."""
    start = lopsided()
    return replace(
        start,
        reference_temperature=REFERENCE,
        temperature=REFERENCE,
        active=replace(
            start.active, diffusivity_activation_energy=25e3, entropic_coefficient=ENTROPY
        ),
        ecbd=replace(start.ecbd, ionic_activation_energy=30e3, electronic_activation_energy=8e3),
        electrolyte=replace(start.electrolyte, ionic_activation_energy=35e3),
        kinetics=replace(start.kinetics, activation_energy=50e3),
        resistance=replace(start.resistance, closed=2e-4, activation_energy=20e3),
        anode=replace(start.anode, activation_energy=40e3),
    )


def by_hand() -> Materials:
    """Return what these are when it is warm, without any law of the temperature."""
    start, given = lopsided(), activated()
    curve = start.active.open_circuit_voltage
    rise = WARM - REFERENCE
    x, y, z = start.active.diffusivity
    diffusivity = x * factor(25e3), y * factor(25e3), z * factor(25e3)
    voltage = Curve(
        function=lambda c: curve.value(c) + rise * entropy(c),
        slope=lambda c: curve.derivative(c) - 8e-9 * rise,
        lower=curve.lower,
        upper=curve.upper,
    )
    ecbd, electrolyte = start.ecbd, start.electrolyte
    return replace(
        start,
        temperature=WARM,
        active=replace(start.active, diffusivity=diffusivity, open_circuit_voltage=voltage),
        ecbd=replace(
            ecbd,
            ionic_conductivity=ecbd.ionic_conductivity * factor(30e3),
            electronic_conductivity=ecbd.electronic_conductivity * factor(8e3),
        ),
        electrolyte=replace(
            electrolyte, ionic_conductivity=electrolyte.ionic_conductivity * factor(35e3)
        ),
        kinetics=replace(start.kinetics, rate_constant=start.kinetics.rate_constant * factor(50e3)),
        resistance=replace(given.resistance, closed=2e-4 / factor(20e3), activation_energy=0.0),
        anode=replace(start.anode, exchange_current=start.anode.exchange_current * factor(40e3)),
    )


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("density", [50.0, -50.0])
def test_voltage_at_another_temperature(density: float) -> None:
    """Catches a term that does not follow the temperature, or in the wrong direction."""
    expected = by_hand()
    model = laminate(face_collector(), activated(), couplings=ELECTROCHEMISTRY)
    found = []
    for temperature, materials in ((WARM, expected), (REFERENCE, lopsided_at_rest())):
        start = model.initial_state()
        model.warm_to(temperature)
        state, _ = step(model, start, 0.1, current=density * WIDTH**2)
        wanted = voltage_of(
            materials, density, at_interface(model, state), resistances_of(materials, model.data)
        )
        assert state.voltage == pytest.approx(wanted, abs=1e-8)
        found.append(state.voltage)
    assert abs(found[0] - found[1]) > 0.02


def lopsided_at_rest() -> Materials:
    given = activated()
    return replace(lopsided(), temperature=REFERENCE, resistance=given.resistance)


@pytest.mark.mpi(ranks=2)
def test_a_cell_that_is_warmed_is_one_that_was_made_warm() -> None:
    """Catches a matrix, a law or a layer that keeps the temperature at which it was made."""
    model = laminate(face_collector(), activated(), couplings=ELECTROCHEMISTRY)
    other = laminate(face_collector(), by_hand(), couplings=ELECTROCHEMISTRY)
    start = model.initial_state()
    model.warm_to(WARM)
    assert model.electrochemistry.layer.rates == pytest.approx(other.electrochemistry.layer.rates)
    warmed, made = start, start
    for size in (0.2, 1.0):  # the layer of the first is what the second begins with
        warmed, _ = step(model, warmed, size, current=40 * WIDTH**2)
        made, _ = step(other, made, size, current=40 * WIDTH**2)
    for name in ("electrochemical", "layer"):
        np.testing.assert_allclose(
            getattr(warmed, name), getattr(made, name), rtol=1e-9, atol=1e-12, err_msg=name
        )
    assert warmed.voltage == pytest.approx(made.voltage, abs=1e-10)
    model.warm_to(REFERENCE)
    assert model.initial_state().voltage == pytest.approx(start.voltage, abs=1e-14)


def test_the_voltage_at_rest_follows_the_entropy() -> None:
    """Catches an entropic term of the wrong sign, or one that a step takes with it."""
    base = library.yuan2023.materials()
    active = replace(base.active, entropic_coefficient=ENTROPY)
    model = tiny_model(materials=replace(base, active=active), couplings=ELECTROCHEMISTRY)
    steps = [Rest(until_duration=60.0, temperature=t) for t in (320.0, None, 280.0)]
    run = Simulation(model, steps, stepping=FixedSteps(sizes=(30.0,))).run(progress=False)
    slope = entropy(active.initial_concentration)
    ends = [step.end_row for step in run.steps]
    voltage, temperature = run.series["Voltage [V]"], run.series["Temperature [K]"]
    assert temperature[[0, *ends]].tolist() == [298.15, 320.0, 298.15, 280.0]
    assert voltage[ends] - voltage[0] == pytest.approx(
        [(t - 298.15) * slope for t in (320.0, 298.15, 280.0)], abs=1e-9
    )
    assert abs(slope) > 1e-4
    again = Simulation(model, steps[:1], stepping=FixedSteps(sizes=(30.0,))).run(progress=False)
    assert again.series["Voltage [V]"][0] == voltage[0]  # whatever the temperature before


def test_ledgers_close_over_a_change_of_temperature() -> None:
    """Catches lithium or power lost where the temperature jumps."""
    base = library.yuan2023.materials()
    materials = replace(
        base,
        active=replace(
            base.active, diffusivity_activation_energy=30e3, entropic_coefficient=ENTROPY
        ),
        kinetics=replace(base.kinetics, activation_energy=50e3),
        ecbd=replace(base.ecbd, ionic_activation_energy=30e3),
    )
    steps = [
        Charge(c_rate=2, until_duration=120.0, temperature=328.15),
        Discharge(c_rate=2, until_duration=30.0, temperature=288.15),
        Rest(until_duration=30.0),
    ]
    sizes = FixedSteps(sizes=(0.5, 3.0, 10.0, 30.0))
    model = tiny_model(materials=materials, couplings=ELECTROCHEMISTRY)
    run = Simulation(model, steps, stepping=sizes).run(progress=False)
    assert np.abs(run.series["Lithium ledger error [-]"]).max() < 1e-8
    assert np.abs(run.series["Power ledger error [-]"]).max() < 1e-6
    losses = run.series["Activation loss [W]"]
    warm, cold = (losses[step.end_row] for step in run.steps[:2])
    assert cold > 2 * warm > 0  # 11.9 times where the current is the same and small


def test_values_of_materials_at_a_temperature() -> None:
    """Catches a law that is left out, or applied twice, where particles and grains touch."""
    closed = ContactResistance(closed=1e-3, decay_length=1e-9, activation_energy=10e3)
    given = replace(
        activated(),
        active=replace(
            activated().active, electronic_conductivity=1e-3, electronic_activation_energy=45e3
        ),
        contacts=ParticleContacts(
            resistance=closed,
            collector=1e-3,
            carbon=closed,
            permeability=1e-8,
            permeability_activation_energy=15e3,
        ),
        grain_boundaries=GrainBoundaries(
            permeability=2e-8, permeability_activation_energy=5e3, resistance=closed
        ),
    )
    warm = given.at(WARM)
    assert warm.active.electronic_conductivity == pytest.approx(1e-3 * factor(45e3))
    assert warm.contacts.permeability == pytest.approx(1e-8 * factor(15e3))
    assert warm.grain_boundaries.permeability == pytest.approx(2e-8 * factor(5e3))
    for law in (warm.contacts.resistance, warm.contacts.carbon, warm.grain_boundaries.resistance):
        assert law.closed == pytest.approx(1e-3 / factor(10e3))
    assert warm.contacts.collector == 1e-3
    assert (warm.temperature, warm.reference_temperature) == (WARM, WARM)
    back = warm.at(REFERENCE)
    assert back.kinetics.rate_constant == pytest.approx(given.kinetics.rate_constant, rel=1e-14)
    at = np.array([2e4, 4e4])
    assert back.active.open_circuit_voltage.value(at) == pytest.approx(
        given.active.open_circuit_voltage.value(at), abs=1e-14
    )
    plain = library.yuan2023.materials()
    assert plain.at(340.0) == replace(plain, temperature=340.0, reference_temperature=340.0)


def test_what_is_out_of_bounds_when_it_is_warm_is_refused_before_the_run() -> None:
    """Catches a value that only the solver would notice, an hour later."""
    base = library.yuan2023.materials()
    active = replace(base.active, diffusivity_activation_energy=2e5)
    model = tiny_model(materials=replace(base, active=active))
    steps = [Rest(until_duration=9.0), Rest(until_duration=9.0, temperature=500.0)]
    with pytest.raises(InputError, match=r"Materials at 500 K: ActiveMaterial\.diffusivity"):
        Simulation(model, steps)
    with pytest.raises(InputError, match=r"Rest\.temperature = 25 K"):
        Rest(until_duration=9.0, temperature=25.0)

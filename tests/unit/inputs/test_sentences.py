"""If these fail, a protocol in words runs something else than it says.

Worth reading: `test_sentences_are_steps`.
"""

from __future__ import annotations

import pytest

from femssb import Charge, Cycle, Discharge, Hold, InputError, Rest, Step, read_step
from femssb.inputs.cycle import steps_of
from femssb.units import cm2, hour, mA, minute

CHARGE = Charge(c_rate=0.5, until_voltage=4.3)
DISCHARGE = Discharge(c_rate=1, until_voltage=3.0)


@pytest.mark.parametrize(
    ("sentence", "step"),
    [
        ("Charge at C/2 until 4.3 V", CHARGE),
        ("charge at 0.5C until 4300mV", CHARGE),
        ("  Charge  at 1 C/2 until 4.3V. ", CHARGE),
        ("Discharge at C until 3 V", DISCHARGE),
        (
            "Discharge at 2C for 30 minutes or until 3 V",
            Discharge(c_rate=2, until_voltage=3.0, until_duration=30 * minute),
        ),
        (
            "Discharge at 20 C for 1e2 s",
            Discharge(c_rate=20, until_duration=100.0),
        ),
        ("Charge at 2 mA until 4.3 V", Charge(current=2 * mA, until_voltage=4.3)),
        (
            "Discharge at 0.5 mA/cm2 until 3 V",
            Discharge(current_density=0.5 * mA / cm2, until_voltage=3.0),
        ),
        ("Discharge at 7 A/m^2 until 3 V", Discharge(current_density=7.0, until_voltage=3.0)),
        (
            "Charge at 1 nA until 4.3 V or after 2 mA.h",
            Charge(current=1e-9, until_voltage=4.3, until_capacity=2e-3 * hour),
        ),
        ("Discharge at 3 nW until 3 V", Discharge(power=3e-9, until_voltage=3.0)),
        ("Charge at 2 mW/cm2 for 1 h", Charge(power_density=20.0, until_duration=hour)),
        ("Discharge at 2 Gohm until 3 V", Discharge(resistance=2e9, until_voltage=3.0)),
        ("Charge at 1C after 5 uAh", Charge(c_rate=1, until_capacity=5e-6 * hour)),
        ("Charge at 1C after 5 mC", Charge(c_rate=1, until_capacity=5e-3)),
        ("Hold at 4.3 V until C/20", Hold(voltage=4.3, until_c_rate=0.05)),
        (
            "Hold at 4.3 V for 1 hour or until 50 uA",
            Hold(voltage=4.3, until_current=5e-5, until_duration=hour),
        ),
        ("Rest for 2 hours", Rest(until_duration=2 * hour)),
        ("Rest for 1.5 h", Rest(until_duration=1.5 * hour)),
        ("Rest for 90 s", Rest(until_duration=90.0)),
        ("Rest for 2 min", Rest(until_duration=2 * minute)),
        ("Rest for 1 second", Rest(until_duration=1.0)),
        ("Rest for 1 h at 45 degC", Rest(until_duration=hour, temperature=318.15)),
        (
            "Charge at C/2 until 4.3 V at -10 °C",
            Charge(c_rate=0.5, until_voltage=4.3, temperature=263.15),
        ),
        (
            "Hold at 4.3 V until C/20 at 300 K",
            Hold(voltage=4.3, until_c_rate=0.05, temperature=300.0),
        ),
    ],
)
def test_sentences_are_steps(sentence: str, step: Step) -> None:
    """Catches a unit, an end or a direction that is read as another."""
    read = read_step(sentence)
    assert type(read) is type(step)
    for name in type(step).__dataclass_fields__:
        expected = getattr(step, name)
        if isinstance(expected, float | int):
            expected = pytest.approx(expected, rel=1e-15)
        assert getattr(read, name) == expected, name


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("wait", "is not understood"),
        ("Charge", "charge at what"),
        ("Charge at C/2", "needs an end"),
        ("Charge until 4.3 V", "charge at what"),
        ("Charge at 4.3 V until C/2", "a charge is at a current"),
        ("Charge at -1C until 4.3 V", "'-1C' is no number with a unit"),
        ("Charge at C/0 until 4.3 V", "'C/0' is no number with a unit"),
        ("Charge at 1 VA until 4.3 V", "'1 VA' is no current, power, resistance or voltage"),
        ("Charge at 1 ohm until 4.3 V", "a resistance, 1 ohm, only discharges"),
        ("Discharge at 1 mohm until 3 V", "'1 mohm' is no current"),
        ("Charge at 1 MA until 4.3 V", "'1 MA' is no current"),
        ("Charge at 1C until 4.3 V or until 4.2 V", "until_voltage is given twice"),
        ("Charge at 1C until C/2", "does not end by until_c_rate"),
        ("Charge at 1C for 3 V", "no time in"),
        ("Charge at 1C for 3 weeks", "no time in"),
        ("Charge at 1C after 3 V", "no charge in"),
        ("Charge at 1C until 4.3", "no number with a unit"),
        ("Charge at 1C until 9000 V", "Charge.until_voltage = 9000"),
        ("Hold at 1C for 3 s", "a hold is at a voltage"),
        ("Hold at 4 V until 3 V", "does not end by until_voltage"),
        ("Hold at 4 V until 1 A/m2", "ends by a C-rate or by A"),
        ("Rest at 1C for 3 s", "rest has no load"),
        ("Rest until 3 V", "does not end by until_voltage"),
        ("Rest", "rest for how long"),
        ("", "sentence"),
    ],
)
def test_other_words_are_refused(sentence: str, said: str) -> None:
    """Catches words that are passed over, and a step that is guessed."""
    with pytest.raises(InputError, match=said):
        read_step(sentence)


def test_cycles_are_their_steps() -> None:
    """Catches a round that is lost, or steps in another order."""
    cycle = Cycle(steps=["Charge at C/2 until 4.3 V", DISCHARGE], count=3)
    inner = Cycle(steps=[Rest(until_duration=5.0), cycle], count=2)
    assert steps_of("protocol", [inner]) == (
        Rest(until_duration=5.0), *[CHARGE, DISCHARGE] * 3,
        Rest(until_duration=5.0), *[CHARGE, DISCHARGE] * 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "count", "said"),
    [
        ([], 1, "Cycle.steps"),
        ([CHARGE, 5], 1, r"Cycle.steps\[1\] = 5 is not a protocol step"),
        (["Charge"], 1, r"Cycle.steps\[0\]: step 'Charge'"),
        ([CHARGE], 0, "Cycle.count = 0"),
        ([CHARGE], 1.5, "Cycle.count"),
        ([Cycle(steps=[CHARGE], count=100_000), CHARGE], 100_000, "more than 100000 steps"),
    ],
)
def test_cycles_of_nothing_are_refused(steps: list[object], count: int, said: str) -> None:
    """Catches a cycle that never runs, or one that fills the memory."""
    with pytest.raises(InputError, match=said):
        steps_of("protocol", [Cycle(steps=steps, count=count)])

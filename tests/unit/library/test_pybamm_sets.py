"""If these fail, a cathode from a parameter set of PyBaMM is another one than the set describes.

Worth reading: `test_a_set_is_what_it_says`. The sets of PyBaMM itself are read in the slow test
against its half-cell, `tests/validation/test_pybamm.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from femssb import InputError, library
from femssb.units import FARADAY, GAS_CONSTANT

FULL, REFERENCE, SALT = 48000.0, 296.15, 1200.0


def arrhenius(energy: float, temperature: Any) -> Any:
    return np.exp(energy / GAS_CONSTANT * (1 / REFERENCE - 1 / temperature))


def exchange(c_e: Any, c_s: Any, c_max: Any, temperature: Any) -> Any:
    return 3e-6 * c_e**0.5 * c_s**0.5 * (c_max - c_s) ** 0.5 * arrhenius(40e3, temperature)


def made(**changes: Any) -> dict[str, Any]:
    """Return a set as a mapping; a change of None takes a name out."""
    given = {
        "Maximum concentration in positive electrode [mol.m-3]": FULL,
        "Initial concentration in positive electrode [mol.m-3]": 20000.0,
        "Initial concentration in electrolyte [mol.m-3]": SALT,
        "Positive particle diffusivity [m2.s-1]": lambda sto, T: (
            2e-14 * (1.5 - sto) * arrhenius(25e3, T)
        ),
        "Positive electrode OCP [V]": lambda sto: 4.3 - 0.9 * sto - 0.1 * np.log(sto / (1 - sto)),
        "Positive electrode OCP entropic change [V.K-1]": lambda sto, c_max: -2e-4 * sto,
        "Positive electrode exchange-current density [A.m-2]": exchange,
        "Positive particle radius [m]": 5e-6,
        "Reference temperature [K]": REFERENCE,
        "Ambient temperature [K]": 310.15,
        "Nominal cell capacity [A.h]": 2.0,
        "Electrode height [m]": 0.1,
        "Electrode width [m]": 1.0,
        "Positive electrode thickness [m]": 5e-5,
        "Positive electrode active material volume fraction": 0.6,
        "Number of electrodes connected in parallel to make a cell": 1.0,
        "Exchange-current density for lithium metal electrode [A.m-2]": lambda c_e, c_Li, T: (
            1e-3 * c_Li**0.5 * c_e**0.5
        ),
        "Lithium metal partial molar volume [m3.mol-1]": 1.3e-5,
    } | changes
    return {name: value for name, value in given.items() if value is not None}


def test_a_set_is_what_it_says() -> None:
    """Catches a salt or a square root left out of k, and 1C of another electrode."""
    found = library.read_pybamm(made())
    materials = found.materials(library.yuan2023.materials())
    active, kinetics = materials.active, materials.kinetics
    x = np.array([0.05, 0.4, 0.93])
    voltage = active.open_circuit_voltage.value(x * FULL)
    assert voltage == pytest.approx(4.3 - 0.9 * x - 0.1 * np.log(x / (1 - x)), abs=1e-5)
    assert active.diffusivities(x * FULL)[0][:, 0] == pytest.approx(2e-14 * (1.5 - x), rel=1e-6)
    assert kinetics.rate_constant * FARADAY == pytest.approx(3e-6 * SALT**0.5, rel=1e-9)
    assert kinetics.rate_factor is None
    volume = 0.1 * 1.0 * 5e-5 * 0.6
    assert active.nominal_capacity == pytest.approx(2.0 * 3600 / (FARADAY * volume))
    assert materials.anode.exchange_current == pytest.approx(1e-3 * (SALT / 1.3e-5) ** 0.5)
    assert (active.initial_concentration, active.stress_free_concentration) == (20000.0, FULL)
    assert "anode" not in found.lacks
    assert "ecbd" in found.lacks
    # its temperatures
    assert (materials.temperature, materials.reference_temperature) == (310.15, REFERENCE)
    warm = materials.at(330.0)
    assert warm.kinetics.rate_constant / kinetics.rate_constant == pytest.approx(
        arrhenius(40e3, 330.0), rel=1e-6
    )
    assert warm.active.diffusivity[0] / active.diffusivity[0] == pytest.approx(
        arrhenius(25e3, 330.0), rel=1e-6
    )
    rise = warm.active.open_circuit_voltage.value(x * FULL) - voltage
    assert rise == pytest.approx(-2e-4 * x * (330.0 - REFERENCE), abs=1e-9)


def test_what_does_not_fit_is_said() -> None:
    """Catches a law that is dropped without a word, and an exchange current of another form."""
    changes: dict[str, Any] = {
        "Positive particle diffusivity [m2.s-1]": lambda sto, T: 1e-14 * (T / REFERENCE) ** 9,
        "Positive electrode exchange-current density [A.m-2]": lambda c_e, c_s, c_max, T: (
            exchange(c_e, c_s, c_max, REFERENCE) * (c_s / c_max) ** 0.3
        ),
        "Positive electrode OCP entropic change [V.K-1]": lambda sto: 1e-5 / sto,
        "Exchange-current density for lithium metal electrode [A.m-2]": None,
    }
    found = library.read_pybamm(made(**changes), temperature=300.0)
    assert found.temperature == 300.0
    assert "anode" in found.lacks
    assert any("diffusivity follows the temperature by another law" in line for line in found.lacks)
    assert any("entropic change beyond 0.005 V/K" in line for line in found.lacks)
    kinetics = found.materials(library.yuan2023.materials()).kinetics
    assert kinetics.activation_energy == 0.0
    assert kinetics.rate_factor is not None
    factors = kinetics.rate_factor.value(np.array([0.2, 0.8]) * FULL)
    assert factors[1] / factors[0] == pytest.approx(4**0.3, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Positive electrode OCP [V]": None}, r"has no 'Positive electrode OCP \[V\]'"),
        ({"Positive electrode OCP [V]": lambda sto: sto[:3]}, r"OCP \[V\]: .*broadcast"),
        ({"Positive electrode OCP [V]": lambda sto: {}[0]}, r"OCP \[V\]: KeyError"),
        ({"Positive particle diffusivity [m2.s-1]": -1e-14}, "diffusivity is not positive"),
        ({"Reference temperature [K]": 25.0}, "Reference temperature = 25 K"),
        ({"Maximum concentration in positive electrode [mol.m-3]": "much"}, "much"),
    ],
)
def test_what_is_no_set_is_refused(changes: dict[str, Any], message: str) -> None:
    """Catches a slip that shows only as a strange voltage."""
    with pytest.raises(InputError, match=message):
        library.read_pybamm(made(**changes))
    with pytest.raises(InputError, match="is no name, set or mapping"):
        library.read_pybamm(3)

"""If a multiplier is wrong, every length or stress that a user writes is off by a power of ten."""

import pytest

from femssb import units


@pytest.mark.parametrize(
    ("written", "si"),
    [
        (30 * units.um, 30e-6),
        (8 * units.nm, 8e-9),
        (2 * units.mm, 2e-3),
        (375 * units.MPa, 375e6),
        (140 * units.GPa, 140e9),
        (3 * units.kPa, 3e3),
        (1.5 * units.hour, 5400.0),
        (2 * units.minute, 120.0),
        (5 * units.mV, 5e-3),
        (664 * units.pA, 664e-12),
        (0.664 * units.nA, 664e-12),
        (0.3 * units.mA / units.cm2, 3.0),
        (24.66 * units.pmol, 24.66e-12),
    ],
)
def test_multipliers_give_si(written: float, si: float) -> None:
    """Catches a multiplier off by a power of ten."""
    assert written == pytest.approx(si, rel=1e-14)


def test_constants_are_consistent() -> None:
    """Catches a mistyped digit: R and F share the elementary charge and Boltzmann's constant."""
    boltzmann_over_charge = 1.380649e-23 / 1.602176634e-19  # exact since the SI of 2019 [V/K]
    assert units.GAS_CONSTANT / units.FARADAY == pytest.approx(boltzmann_over_charge, rel=1e-9)

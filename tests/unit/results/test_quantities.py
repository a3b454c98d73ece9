"""If these fail, a figure or a file calls a quantity by a wrong name or unit."""

from __future__ import annotations

import pytest

from femssb.results.quantities import (
    AT_ENDS,
    COLUMNS,
    OF_RUN,
    PARTICLE_COLUMNS,
    SERIES,
    SUMMARY,
    check_columns,
    of_particle,
    on_axis,
)
from femssb.units import GPa, mV, nm, pmol


@pytest.mark.parametrize(
    ("name", "label", "unit"),
    [
        ("Voltage [V]", "Voltage [V]", 1.0),
        ("Mean gap [m]", "Mean gap [nm]", nm),
        ("Lithium in particle k [mol]", "Lithium [pmol]", pmol),
        ("Minimum volumetric strain of particle k [-]", "Minimum volumetric strain [%]", 0.01),
        ("99 % von Mises stress [Pa]", "99 % von Mises stress [GPa]", GPa),
        ("Particle volume change [-]", "Particle volume change [%]", 0.01),
        ("Mean interface voltage drop [V]", "Mean interface voltage drop [mV]", mV),
        ("Lithium ledger error [-]", "Lithium ledger error [-]", 1.0),
        ("Concentration [mol/m3]", "Concentration [10³ mol m⁻³]", 1e3),
        ("Debonded area fraction", "Debonded area fraction", 1.0),
    ],
)
def test_axes_show_readable_units(name: str, label: str, unit: float) -> None:
    """Catches a label in nanometres on an axis in metres."""
    assert on_axis(name) == (label, unit)


def test_every_column_can_be_shown() -> None:
    """Catches a unit that loses its bracket, and two columns with one label."""
    labels = [on_axis(name)[0] for name in COLUMNS]
    assert len(set(labels)) == len(COLUMNS)
    for name, label in zip(COLUMNS, labels, strict=True):
        assert ("[" in name) == label.endswith("]")


def test_particles_are_numbered_in_the_name() -> None:
    """Catches a column of particle 1 under the name of another."""
    names = {of_particle(name, number) for name in PARTICLE_COLUMNS for number in (1, 11)}
    assert len(names) == 2 * len(PARTICLE_COLUMNS)
    assert of_particle("Mean gap of particle k [m]", 11) == "Mean gap of particle 11 [m]"


def test_the_summary_is_made_of_columns() -> None:
    """Catches a key that two quantities share, and a quantity of a particle without its word."""
    keys = [quantity.key for quantity in SERIES if quantity.key]
    assert len(set(keys)) == len(keys)
    assert {f"{quantity.key}_charge_end" for quantity in AT_ENDS} <= set(SUMMARY)
    assert {quantity.key for quantity in OF_RUN} <= set(SUMMARY)
    assert all(" particle k" in name for name in PARTICLE_COLUMNS)
    check_columns(dict.fromkeys([*COLUMNS, "Lithium in particle 1 [mol]"]))

"""If these fail, conductivities read from a measured spectrum are wrong.

Worth reading: the ladder, which solves the same line by Kirchhoff's laws.
"""

import dataclasses

import numpy as np
import pytest
from scipy.linalg import solve_banded

from femssb.electrode.impedance import SymmetricCell, fit_impedance, transmission_line
from femssb.errors import InputError, NotConverged
from femssb.units import um

FREQUENCIES = np.logspace(-2, 6, 41)
CELL = SymmetricCell(
    thickness=100 * um,
    electronic_conductivity=0.02,
    ionic_conductivity=0.035,
    capacitance=3e5,
    exponent=0.85,
)


def ladder(thickness, through, blocked, coupling, steps=4000):
    """Return the impedance of the line cut into steps: u'' = (sum / coupling) u by differences."""
    h, both = thickness / steps, through + blocked
    middle = np.full(steps + 1, -2 - both / coupling * h**2, dtype=complex)
    upper, lower = np.ones(steps + 1, complex), np.ones(steps + 1, complex)
    upper[1] = lower[-2] = 2
    load = np.zeros(steps + 1, dtype=complex)
    # At the ends all of the current is in the joined rail: the potential between the rails falls
    # there by its resistance; a ghost point on either side says so.
    load[0], load[-1] = -2 * h * through, 2 * h * through
    between = solve_banded((1, 1), np.stack([upper, middle, lower]), load)
    current = (blocked - np.gradient(between, h, edge_order=2)) / both  # in the joined rail
    return np.trapezoid(current * through, dx=h)


@pytest.mark.parametrize("coupling", [1e-14, 1e-9 - 2e-9j, -1e-7j, 1e-3])
def test_the_formula_solves_the_line(coupling):
    """Catches the exponent 2 that is printed for 3/2, and rails changed over."""
    formula = transmission_line(thickness=1e-4, through=50.0, blocked=30.0, coupling=coupling)
    assert complex(formula) == pytest.approx(ladder(1e-4, 50.0, 30.0, coupling), rel=1e-3)


def test_the_limits_of_frequency():
    """Catches rails in series: joined rail alone at low, both in parallel at high frequency."""
    ends = CELL.impedance([1e-9, 1e18])
    assert ends[0] == pytest.approx(CELL.thickness / 0.02, rel=1e-6)
    assert ends[1] == pytest.approx(CELL.thickness / 0.055, rel=1e-6)
    ionic = dataclasses.replace(CELL, contacts="ionic").impedance([1e-9, 1e18])
    assert ionic[0] == pytest.approx(CELL.thickness / 0.035, rel=1e-6)
    assert ionic[1] == pytest.approx(ends[1], rel=1e-6)


def test_the_limits_of_the_rails():
    """Catches terms that do not vanish: one rail that does not conduct leaves the other alone."""
    no_ions = dataclasses.replace(CELL, ionic_conductivity=1e-9)
    np.testing.assert_allclose(no_ions.impedance(FREQUENCIES), 5e-3, rtol=1e-6)
    only_ions = dataclasses.replace(CELL, electronic_conductivity=1e-9)
    # The current changes to the ions within sqrt(sigma coupling) of each contact.
    coupling = 1 / (3e5 * (2j * np.pi * 1e6) ** 0.85)
    entry = np.sqrt(coupling / 1e-9)
    assert complex(only_ions.impedance(1e6)) == pytest.approx(1e-4 / 0.035 + 2 * entry, rel=1e-6)


def test_a_spectrum_has_the_shape_of_its_frequencies():
    """Catches a loop over frequencies in disguise, and a sign: capacitive is below the axis."""
    spectrum = CELL.impedance(FREQUENCIES.reshape(1, -1))
    assert spectrum.shape == (1, 41)
    assert np.all(spectrum.imag < 0)
    assert np.all(np.diff(spectrum.real) < 0)
    assert spectrum[0, 3] == pytest.approx(complex(CELL.impedance(FREQUENCIES[3])), rel=1e-14)


@pytest.mark.parametrize("contacts", ["electronic", "ionic"])
@pytest.mark.parametrize("exponent", [0.6, 1.0])
@pytest.mark.parametrize("ratio", [0.1, 10])
@pytest.mark.parametrize("capacitance", [1e3, 1e8])
def test_a_fit_finds_the_cell(contacts, exponent, ratio, capacitance):
    """Catches a first guess from which the fit goes astray, and the rails changed over."""
    cell = SymmetricCell(
        thickness=60 * um,
        electronic_conductivity=0.03,
        ionic_conductivity=0.03 * ratio,
        capacitance=capacitance,
        exponent=exponent,
        contacts=contacts,
    )
    fit = fit_impedance(
        FREQUENCIES, cell.impedance(FREQUENCIES), thickness=60 * um, contacts=contacts
    )
    for name, (low, high) in fit.intervals.items():
        assert getattr(fit.cell, name) == pytest.approx(getattr(cell, name), rel=1e-3)
        assert low <= getattr(fit.cell, name) <= high
    assert fit.cell.contacts == contacts
    assert fit.deviation < 1e-5


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    """Catches intervals of the logarithm left as they are, and noise counted once for two parts."""
    rng, held = np.random.default_rng(8), []
    truth, n = CELL.impedance(FREQUENCIES[10:35]), 25
    for _ in range(40):
        noise = 0.01 * (rng.normal(size=n) + 1j * rng.normal(size=n))
        fit = fit_impedance(
            FREQUENCIES[10:35], truth * (1 + noise), thickness=CELL.thickness, confidence=0.8
        )
        assert fit.deviation == pytest.approx(0.01 * np.sqrt(2), rel=0.4)
        held += [low < getattr(CELL, name) < high for name, (low, high) in fit.intervals.items()]
    assert np.mean(held) == pytest.approx(0.8, abs=0.12)  # 40 runs, their four values correlated


def test_what_a_spectrum_does_not_tell_is_left_open():
    """Catches a made-up double layer where only the plateau of the electrons was measured."""
    cell = dataclasses.replace(CELL, ionic_conductivity=1e-6)
    noise = 1 + 0.01 * np.random.default_rng(1).normal(size=41)
    fit = fit_impedance(FREQUENCIES, noise * cell.impedance(FREQUENCIES), thickness=cell.thickness)
    low, high = fit.intervals["electronic_conductivity"]
    assert low < 0.02 < high < 1.01 * 0.02
    low, high = fit.intervals["capacitance"]
    assert high > 1e6 * low
    assert fit.intervals["exponent"] == (0.0, 1.0)


def test_no_fit_is_an_error(monkeypatch):
    """Catches numbers returned from a fit that gave up."""
    from scipy import optimize

    def give_up(*arguments, **options):
        return original(*arguments, **{**options, "max_nfev": 1})

    original = optimize.least_squares
    monkeypatch.setattr(optimize, "least_squares", give_up)
    with pytest.raises(NotConverged, match="impedance"):
        fit_impedance(FREQUENCIES, CELL.impedance(FREQUENCIES), thickness=CELL.thickness)


def test_bad_input_is_named():
    """Catches values that end in a warning of NumPy, or in a fit of nothing."""
    with pytest.raises(InputError, match=r"exponent = 1\.2"):
        dataclasses.replace(CELL, exponent=1.2)
    with pytest.raises(InputError, match="ionic_conductivity = 0 S/m"):
        dataclasses.replace(CELL, ionic_conductivity=0.0)
    with pytest.raises(InputError, match=r"contacts must be one of .* got 'both'"):
        dataclasses.replace(CELL, contacts="both")
    with pytest.raises(InputError, match="above 0 Hz"):
        CELL.impedance([0.0, 1.0])
    measured = CELL.impedance(FREQUENCIES)
    for arguments, message in (
        ((FREQUENCIES, measured[:-1]), "have shapes"),
        ((FREQUENCIES[:2], measured[:2]), "at least 3"),
        ((-FREQUENCIES, measured), "above 0 Hz"),
        ((FREQUENCIES, -measured), "without resistance"),
        ((FREQUENCIES, measured * np.nan), "not finite"),
    ):
        with pytest.raises(InputError, match=message):
            fit_impedance(*arguments, thickness=1e-4)
    with pytest.raises(InputError, match="thickness = 0 m"):
        fit_impedance(FREQUENCIES, measured, thickness=0.0)
    with pytest.raises(InputError, match="confidence = 95"):
        fit_impedance(FREQUENCIES, measured, thickness=1e-4, confidence=95)

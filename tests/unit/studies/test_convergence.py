"""If these fail, a number claims to be better known than it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from femssb import Charge, Discharge, HalfCell, InputError, Polycrystal, Stepping, library
from femssb.studies import Cache, HalfCellRun, convergence, estimate, run
from femssb.studies.convergence import LARGER_STEPS, SAFETY
from femssb.units import um


def power_law(order: float, r: float = 1.3) -> list[float]:
    """Return numbers whose error is of an order in the mesh, and of second order in the steps."""
    on_meshes = [5.0 + 0.1 * r ** (order * k) for k in range(3)]
    return [*(f + 0.01 for f in on_meshes), on_meshes[-1] + 0.01 * LARGER_STEPS**2]


@pytest.mark.parametrize("order", [1.0, 1.5, 2.0])
def test_errors_of_a_known_order_are_found(order: float) -> None:
    """Catches an exponent, a factor or a pair of runs that is exchanged."""
    found = estimate(power_law(order), 1.3)
    assert found.value == pytest.approx(5.11, rel=1e-12)
    assert found.mesh == pytest.approx(SAFETY * 0.1, rel=1e-9)
    assert found.steps == pytest.approx(SAFETY * 0.01, rel=1e-9)
    assert found.error == found.mesh + found.steps
    assert str(found).startswith("5.11 +- 0.1")


def test_numbers_that_scatter_are_not_trusted() -> None:
    """Catches an error of nothing where two of three meshes agree by chance."""
    agreeing = estimate([1.0, 1.0, 1.1, 1.1], 1.3)
    assert agreeing.mesh > 0.1
    swinging = estimate([1.0, 1.1, 1.0, 1.0], 1.3)
    assert swinging.mesh > 0.3
    assert estimate([2.0] * 4, 1.3).error == 0
    second = power_law(2.0)
    assert estimate(second, 1.3, local=True).mesh == pytest.approx(SAFETY * 0.1 * 2.3, rel=1e-9)


def test_what_is_no_estimate_is_refused() -> None:
    """Catches a division by zero, and a number too few."""
    with pytest.raises(InputError, match="coarsening = 1"):
        estimate([1.0] * 4, 1.0)
    with pytest.raises(InputError, match="four numbers"):
        estimate([1.0] * 3, 1.3)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_fine_runs_lie_within_the_errors(rate: float, tmp_path: Path) -> None:
    """Catches an estimate that is too small: every number of a cycle, against a fine run."""
    cell = HalfCell(
        width=9 * um,
        cathode=9 * um,
        separator=3 * um,
        particles=(Polycrystal(radius=3 * um, grains=3),),
    )
    case = HalfCellRun(
        name="cycle",
        materials=library.yuan2023.materials(),
        cell=cell,
        size=0.9 * um,
        protocol=(
            Charge(c_rate=rate, until_voltage=4.3),
            Discharge(c_rate=rate, until_voltage=3.0),
        ),
    )
    found = convergence(case, out=tmp_path)
    known = Stepping()
    errors = {
        name: getattr(known, name) / 8
        for name in ("stoichiometry_error", "voltage_error", "current_error")
    }
    sizes = {name: getattr(known, name) / 2 for name in ("first", "largest")}
    fine = replace(case, name="fine", size=0.5 * um, stepping=replace(known, **errors, **sizes))
    assert run([fine], Cache(tmp_path)) == []
    summary = Cache(tmp_path).results([fine])["fine"].summary
    outside = {
        key: f"{one}, fine {summary[key]:.6g}"
        for key, one in found.items()
        if abs(one.value - summary[key]) > one.error
    }
    assert len(found) >= 20
    assert len(outside) <= 0.05 * len(found), outside

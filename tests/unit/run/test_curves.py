"""Property curves of a user in a run: if these fail, a table ends in another's error, or a hang."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from femssb import Charge, InputError, Model, Simulation, Solution
from femssb.cell.model import State
from femssb.inputs.curves import Curve
from tests.runs import STEPS, tiny_model

Values = NDArray[np.float64]
Function = Callable[[Values], Values]


def with_curves(model: Model, voltage: tuple[Function, Function]) -> Model:
    """Return a model with another voltage, and a polynomial for the expansion."""
    active = model.materials.active
    strain = active.expansion
    at = np.linspace(strain.lower, strain.upper, 50)
    fitted = Polynomial.fit(at, strain.value(at), 4)
    fitted -= fitted(strain.upper)
    changed = replace(
        active,
        open_circuit_voltage=replace(
            active.open_circuit_voltage, function=voltage[0], slope=voltage[1]
        ),
        expansion=replace(strain, function=fitted, slope=fitted.deriv()),
    )
    return Model(model.data, replace(model.materials, active=changed))


def table(curve: Curve) -> tuple[Values, Values]:
    """Return knots and values of a curve."""
    knots = np.linspace(curve.lower, curve.upper, 60)
    return knots, curve.value(knots)


@pytest.mark.mpi(ranks=2)
@pytest.mark.parametrize("kind", ["pchip", "interp"])
def test_tables_run_and_resume(comm: MPI.Comm, shared_path: Path, kind: str) -> None:
    """Catches callables that pass when they are given and fail when the case is described."""
    small = tiny_model(comm)
    knots, values = table(small.materials.active.open_circuit_voltage)
    slopes = np.diff(values) / np.diff(knots)
    smooth = PchipInterpolator(knots, values)
    voltage = {
        "pchip": (smooth, smooth.derivative()),
        "interp": (
            partial(np.interp, xp=knots, fp=values),
            lambda c: slopes[np.clip(np.searchsorted(knots, c) - 1, 0, slopes.size - 1)],
        ),
    }[kind]
    model = with_curves(small, voltage)
    charge = Charge(c_rate=1, until_duration=30.0)
    run = Simulation(model, [charge], stepping=STEPS).run(shared_path, progress=False)
    assert run.steps[0].ended_by == "duration"
    again = Simulation(model, [charge], stepping=STEPS).run(
        shared_path, progress=False, resume=True
    )
    assert again.series["Voltage [V]"][-1] == run.series["Voltage [V]"][-1]
    other = PchipInterpolator(knots, values + 1e-3 * (knots == knots[30]))
    changed = with_curves(small, (other, other.derivative()))
    with pytest.raises(InputError, match="materials"):
        Simulation(changed, [charge], stepping=STEPS).run(shared_path, progress=False, resume=True)


@pytest.mark.mpi(ranks=2)
def test_a_curve_that_fails_on_one_rank_ends_all(comm: MPI.Comm) -> None:
    """Catches ranks that wait for the one whose table raised."""
    small = tiny_model(comm)
    curve = small.materials.active.open_circuit_voltage

    class Late:
        """A table that breaks."""

        broken = False

        def __call__(self, concentration: Values) -> Values:
            """Return the voltage."""
            if self.broken:
                raise LookupError("no such row")
            return curve.function(concentration)

    late = Late()

    def breaks(state: State, _: Solution) -> None:
        late.broken = state.time > 2 and comm.rank == comm.size - 1

    model = with_curves(small, (late, curve.slope))
    simulation = Simulation(model, [Charge(c_rate=1, until_duration=60.0)], stepping=STEPS)
    with pytest.raises(InputError, match=r"Curve\.function fails .* no such row"):
        simulation.run(progress=False, on_step=[breaks])

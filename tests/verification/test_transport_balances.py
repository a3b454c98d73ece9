"""Balances that hold to roundoff at every step: nothing appears and nothing is lost on the way.

If these fail, capacities drift from cycle to cycle, or change with the number of processors.
"""

from __future__ import annotations

from mpi4py import MPI

import numpy as np
import pytest

from femssb import HalfCell, Model, Polycrystal, library, mesh
from femssb.run.stepping import bdf
from femssb.units import MPa, um
from tests.verification.half_cells import EXACT, step

STEPS = (2.0, 20.0, 30.0)  # [s]


def charged(comm):
    """Return a coarse model of five grains, and its states as it is charged in uneven steps."""
    cell = HalfCell(
        width=13 * um,
        cathode=13 * um,
        separator=3 * um,
        particles=(Polycrystal(radius=5 * um, grains=5),),
    )
    model = Model(
        mesh(cell, size=2.5 * um, comm=comm), library.yuan2023.materials(), linear_solver=EXACT
    )
    states = [model.initial_state()]
    for time_step in STEPS:
        before = states[-2] if len(states) > 1 else None
        state, _ = step(model, states[-1], time_step, before=before, current=model.one_c)
        states.append(state)
    return model, states


@pytest.mark.mpi
def test_lithium_ions_and_electrons_balance(comm: MPI.Comm) -> None:
    """Catches lithium that drift or a rotated tensor creates, and charge lost on the way."""
    model, states = charged(comm)
    chemistry = model.electrochemistry
    assert model.bodies.largest(states[-1].hydrostatic) > 1 * MPa  # stress does move lithium
    for k, time_step in enumerate(STEPS, start=1):
        factors = bdf(time_step, STEPS[k - 2] if k > 1 else None)
        amounts = [chemistry.charge(model.stoichiometry(state)) for state in states[: k + 1]]
        released = -sum(f * q for f, q in zip(factors, reversed(amounts), strict=False))
        unknowns = model.electrochemical(states[k])
        found = (released, states[k].current, model.currents.anode(unknowns))
        np.testing.assert_allclose(found, model.one_c, rtol=1e-10)

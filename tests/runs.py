"""The smallest half-cell that goes through whole cycles in seconds: for tests of the time loop."""

from __future__ import annotations

from dataclasses import replace

from mpi4py import MPI

from femssb import (
    Charge,
    Discharge,
    Free,
    HalfCell,
    Hold,
    Materials,
    Model,
    Polycrystal,
    Rest,
    Support,
    library,
    mesh,
)
from femssb.cell.coupling import Tolerances
from femssb.cell.model import Couplings, State
from femssb.run.readout import Readout
from femssb.run.stepper import Past, Stepper
from femssb.run.stepping import FixedSteps, Stepping
from femssb.units import um

CHARGE = Charge(c_rate=1, until_voltage=4.3)
DISCHARGE = Discharge(c_rate=1, until_voltage=3.0)
HOLD = Hold(voltage=4.3, until_c_rate=1 / 20)
REST = Rest(until_duration=1800.0)
# Two runs that are compared row by row take these steps, end by time and are solved tightly:
# rounding decides how many steps an adaptive run takes, and where a cut-off is found.
STEPS = FixedSteps(sizes=(1.0, 5.0, 15.0, 30.0))
TIMED = (Charge(c_rate=2, until_duration=900.0), Discharge(c_rate=1, until_duration=600.0))
TIGHT = Tolerances(current=1e-11, force=1e-9, exchange=1e-6)

# For what holds however long the steps are: balances, and what a whole cycle does or says.
LOOSE = Stepping(
    stoichiometry_error=1e-3, voltage_error=2e-2, jump_error=2e-2, first=2.0, largest=300.0
)

COUPLED = Couplings()
ALONE = Couplings(expansion=False, stress_drift=False, gap_resistance=False, debonding=False)


def tiny_model(
    comm: MPI.Comm = MPI.COMM_SELF,
    *,
    couplings: Couplings = COUPLED,
    separator: float = 3 * um,
    materials: Materials | None = None,
    anode: Support = Free(),  # noqa: B008
    size: float = 2.5 * um,
    grains: int = 3,
) -> Model:
    """Return a model of some 450 tetrahedra, by default of the paper's materials."""
    cell = HalfCell(
        width=9 * um,
        cathode=9 * um,
        separator=separator,
        particles=(Polycrystal(radius=3 * um, grains=grains),),
    )
    return Model(
        mesh(cell, size=size, comm=comm),
        materials or library.yuan2023.materials(),
        anode=anode,
        couplings=couplings,
    )


def read(model: Model, state: State) -> dict[str, float]:
    """Return the columns of the time series at a state without current; collective."""
    start = Stepper(model, [REST], Stepping(), Tolerances()).start()
    now = Past(state=state, charge=0.0)
    return Readout(model).row(replace(start, position=replace(start.position, past=(now,))))

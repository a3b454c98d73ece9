"""The smallest half-cell that goes through whole cycles in seconds: for tests of the time loop."""

from __future__ import annotations

from mpi4py import MPI

from femssb import Charge, Discharge, HalfCell, Hold, Model, Polycrystal, Rest, library, mesh
from femssb.cell.model import Couplings
from femssb.units import um

CHARGE = Charge(c_rate=1, until_voltage=4.3)
DISCHARGE = Discharge(c_rate=1, until_voltage=3.0)
HOLD = Hold(voltage=4.3, until_c_rate=1 / 20)
REST = Rest(until_duration=1800.0)
COUPLED = Couplings()
ALONE = Couplings(expansion=False, stress_drift=False, gap_resistance=False, debonding=False)


def tiny_model(
    comm: MPI.Comm = MPI.COMM_SELF, *, couplings: Couplings = COUPLED, separator: float = 3 * um
) -> Model:
    """Return a model of some 450 tetrahedra."""
    cell = HalfCell(
        width=9 * um,
        cathode=9 * um,
        separator=separator,
        particles=(Polycrystal(radius=3 * um, grains=3),),
    )
    return Model(
        mesh(cell, size=2.5 * um, comm=comm), library.yuan2023.materials(), couplings=couplings
    )

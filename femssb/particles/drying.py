"""Drying: the solvent leaves the beads of the binder, which shrink, and the film sinks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from femssb.description import description, field
from femssb.inputs.beads import BeadForces, ForceField
from femssb.packing.formulation import Formulation
from femssb.packing.packing import Packing
from femssb.particles.lammps.beads import BeadEngine
from femssb.particles.slurry import DRAG, MODULUS, PERIOD, WINDOW
from femssb.particles.wet import Course, Show, WetStage, ledger, until_plateau

if TYPE_CHECKING:
    from mpi4py import MPI

FREEING = 1000  # longest stable steps in which beads that came to overlap part
NUDGE = 5e-3  # of the smallest radius, farthest that one moves in a step of these


def dried(packing: Packing, formulation: Formulation) -> Packing:
    """Return a packing whose beads of the binder have lost their solvent, and shrunk."""
    binder = packing.of_phase(formulation.binder)
    radii, masses = np.array(packing.radii), np.array(packing.masses)
    held = ledger(packing, formulation)
    dry = held[formulation.binder]
    masses[binder] *= dry / (dry + held[formulation.solvent.name])
    component = formulation.components[formulation.names.index(formulation.binder)]
    radii[binder] = np.cbrt(masses[binder] / component.solid.density * 3 / (4 * np.pi))
    return replace(packing, radii=radii, masses=masses, stress=None, contacts=None)


@description
class Drying(WetStage):
    """All solvent leaves at once, and the film sinks until its density rests.

    Beads of the binder take their dry size and all beads the forces of the dried state; then a
    pressure, that of the liquid as it leaves, acts along z, and the area stays.
    """

    pressure: float = field("along z", unit="Pa", lower=1e-3, upper=1e9, default=100e3)
    tolerance: float = field(
        "relative error of the plateau of the density", above=0, upper=0.5, default=5e-3
    )

    def forces(self, field: ForceField) -> BeadForces:
        """Return the forces between the beads in this stage."""
        return field.dried

    def expected(self, packing: Packing, formulation: Formulation) -> Packing:
        """Return a packing with the sides, radii and masses that there will be after the stage."""
        return dried(packing, formulation)

    def check(self, packing: Packing, formulation: Formulation, field: ForceField) -> None:
        """Check, before any work, what would fail later.

        Raises:
            InputError: If a side of the packing is a plane, or as `WetStage.check` does.
        """
        WetStage.check(self, packing, formulation, field)
        self.check_periodic(packing)

    def carry_out(
        self,
        packing: Packing,
        formulation: Formulation,
        field: ForceField,
        comm: MPI.Intracomm,
        show: Show,
    ) -> Course:
        """Do the stage."""
        start, forces = dried(packing, formulation), self.forces(field)
        with BeadEngine(start, forces, comm, time_step=self.time_step, drag=DRAG) as engine:
            mass = float(engine.masses.sum())
            steps = round(FREEING * engine.limit / engine.time_step)
            engine.run_limited(steps, NUDGE * float(engine.radii.min()))
            engine.follow_pressure(
                self.pressure,
                axes="z",
                modulus=MODULUS * self.pressure,
                period=PERIOD * engine.limit,
            )
            tolerances = {"density [kg/m3]": self.tolerance}
            seen = until_plateau(
                engine,
                {
                    "density [kg/m3]": lambda: mass / engine.volume(),
                    "pressure along z [Pa]": lambda: float(engine.pressure_tensor()[2, 2]),
                },
                tolerances,
                window=WINDOW * engine.limit,
                most_steps=self.most_steps,
                show=show,
                ready=lambda: engine.pressure_tensor()[2, 2] > 0.9 * self.pressure,
            )
            report = {"plateaus": seen.report(), "warnings": [], **engine.report()}
            reached = engine.packing()
        return Course(packing=reached, report=report, outcome=seen.outcome(self, tolerances))

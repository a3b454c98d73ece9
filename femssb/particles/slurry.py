"""Slurries: beads brought together until they rest, under a pressure or in the volume they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from femssb.description import description, field
from femssb.errors import InputError
from femssb.inputs.beads import BeadForces, ForceField
from femssb.packing.formulation import Formulation
from femssb.packing.packing import Packing
from femssb.particles.beads import Kinds, stable_time_step
from femssb.particles.lammps.beads import BeadEngine
from femssb.particles.wet import Course, Show, WetStage, until_plateau

if TYPE_CHECKING:
    from mpi4py import MPI

# Times are counted in longest stable time steps, with which all motions of beads scale.
DRAG = 0.0134  # decay of velocities in one: 2/us for the slurry of Alabdali 2023
WINDOW = 1500  # of a plateau
PERIOD = 150  # in which a box follows its pressure
MODULUS = 10.0  # over the pressure, by which it does
CALM = 0.02  # damping ratio of the stiffest pair at rest, at most: that of soft ones is far higher
CLOSING = 3000  # in which a box is brought to a volume
FULLEST = 2.0  # volume of the beads over that of a box into which they are brought


def damping_ratio(forces: BeadForces, kinds: Kinds) -> float:
    """Return how much more than critically the pairs are damped that limit the time step."""

    def longest(damping: float) -> float:
        scaled = forces.scaled(damping=damping)
        return stable_time_step(scaled, kinds.phases, kinds.diameters, kinds.lightest)

    share = longest(1.0) / longest(0.0)  # sqrt(1 + ratio^2) - ratio
    return max((1 - share**2) / (2 * share), 1e-9)


@description
class Slurry(WetStage):
    """Bring the beads together, until their density or their pressure rests.

    With a pressure, all sides of the box follow it, as if the beads alone carried it. Without one,
    the box gets the volume of solids and solvent, which do not compress, and the pressure that the
    beads carry at rest is measured. Where a liquid is so viscous that this would take for ever, its
    dashpots are weakened on the way: they carry nothing at rest.
    """

    pressure: float | None = field(
        "on the beads; None: the box follows from the volume balance",
        unit="Pa",
        lower=1e-3,
        upper=1e9,
        default=None,
    )
    tolerance: float = field(
        "relative error of the plateau of the density", above=0, upper=0.5, default=5e-3
    )
    pressure_tolerance: float = field(
        "relative error of the plateau of the bead pressure, where it is measured",
        above=0,
        upper=0.5,
        default=0.05,
    )

    @property
    def label(self) -> str:
        """Name of the stage in lines of progress."""
        how = "by volume" if self.pressure is None else f"{self.pressure / 1e3:.3g} kPa"
        return f"Slurry {how}"

    def moving(self, field: ForceField, kinds: Kinds) -> BeadForces:
        """Return the forces with which the beads are moved: dashpots may be weakened."""
        forces = self.forces(field)
        if self.pressure is not None:
            return forces
        return forces.scaled(damping=min(1.0, CALM / damping_ratio(forces, kinds)))

    def check(self, packing: Packing, formulation: Formulation, field: ForceField) -> None:
        """Check, before any work, what would fail later.

        Raises:
            InputError: If a side of the packing is a plane, the beads are far larger than the box
                that the volume balance gives them, or as `WetStage.check` does.
        """
        WetStage.check(self, packing, formulation, field)
        self.check_periodic(packing)
        beads, box = float(packing.volumes.sum()), formulation.balance().box
        if self.pressure is None and beads > FULLEST * box:
            raise InputError(
                f"Slurry.pressure = None: the beads have {beads / box:.3g} times the volume of "
                f"solids and solvent, at most {FULLEST:g} times fit; bring "
                "Formulation.swelling nearer to that of the volumes, or give a pressure"
            )

    def carry_out(
        self,
        packing: Packing,
        formulation: Formulation,
        field: ForceField,
        comm: MPI.Intracomm,
        show: Show,
    ) -> Course:
        """Do the stage."""
        forces = self.moving(field, Kinds.of(packing))
        with BeadEngine(packing, forces, comm, time_step=self.time_step, drag=DRAG) as engine:
            mass = float(engine.masses.sum())
            for line in str(formulation.balance()).splitlines():
                show(line)
            if self.pressure is None:
                lengths = packing.lengths * np.cbrt(formulation.balance().box / engine.volume())
                engine.resize(lengths, round(CLOSING * engine.limit / engine.time_step))
                tolerances = {"bead pressure [Pa]": self.pressure_tolerance}
            else:
                engine.follow_pressure(
                    self.pressure, modulus=MODULUS * self.pressure, period=PERIOD * engine.limit
                )
                tolerances = {"density [kg/m3]": self.tolerance}
            wanted = self.pressure
            seen = until_plateau(
                engine,
                {
                    "density [kg/m3]": lambda: mass / engine.volume(),
                    "bead pressure [Pa]": engine.pressure,
                },
                tolerances,
                window=WINDOW * engine.limit,
                most_steps=self.most_steps,
                show=show,
                # At a tenth of the pressure, beads that hardly touch rest too.
                ready=lambda: wanted is None or engine.pressure() > 0.9 * wanted,
            )
            balance = formulation.balance(box=engine.volume())
            report = {
                "plateaus": seen.report(),
                "balance": str(balance).splitlines(),
                "warnings": list(balance.warnings),
                **engine.report(),
            }
            reached = engine.packing()
        return Course(packing=reached, report=report, outcome=seen.outcome(self, tolerances))

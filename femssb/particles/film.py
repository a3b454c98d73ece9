"""Drying of a film whose surface falls: how the binder gets to the top, or does not.

The liquid is a fluid of its own here: beads of the binder have their dry size, with liquid in their
pores, and the height of the film follows from the volumes of solids and liquid. Evaporation lets
the surface fall at the speed E. It drags along every bead that it meets; below it, beads sink by
Stokes's law in a medium at rest and diffuse. As beads pile up under the surface and go down with
it, liquid goes up between them and takes the binder along, so that solids and liquid together flow
through no level below the surface.

What a phase does is told by two numbers, with the first height of the film H, the diffusivity D of
the phase and its sinking speed U: the Peclet number E H/D, above which a phase gathers at the
surface faster than it diffuses away (F. Font et al., J. Power Sources 393, 177 (2018), doi
10.1016/j.jpowsour.2018.04.097, for binder; A. F. Routh, W. B. Zimmerman, Chem. Eng. Sci. 59, 2961
(2004), doi 10.1016/j.ces.2004.04.027), and U/E, above which it is at the floor before the surface
arrives.

A bead of the binder stands for many chains and small aggregates: it goes through pores between
grains as these do, but two beads of the binder take the room of both. The film ends where its
surface is carried by the beads.

Not modelled: what follows as the pores empty, where capillary flow into the last wet pores would
take more binder upwards, and capillary forces would draw the grains together; hydrodynamic
interactions, so that a bead sinks and diffuses as if it were alone in the medium, but for the
common upward flow; friction, lubrication and attraction between beads in the liquid, which push
each other apart and no more; a viscosity or diffusivity that changes as the liquid goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from femssb.arrays import Array
from femssb.description import checked, description, field
from femssb.environment.interruption import stop_if_asked
from femssb.errors import InputError, Interrupted, NotConverged, check_number
from femssb.inputs.beads import ForceField
from femssb.packing.formulation import Formulation
from femssb.packing.neighbours import wrapped
from femssb.packing.packing import Packing
from femssb.particles.calendering import Pressed, Release, pressed
from femssb.particles.drying import FREEING, dried
from femssb.particles.lammps.film import FilmEngine
from femssb.particles.wet import Course, Show
from femssb.units import um

if TYPE_CHECKING:
    from mpi4py import MPI

BOLTZMANN = 1.380649e-23  # [J/K]
GRAVITY = 9.80665  # [m/s2]
CARRIED = 0.1  # speed of the surface over that of evaporation at which the beads carry it
PARTS = 200  # of the first height, between looks at it
LONGEST = 5.0  # time over that in which all liquid evaporates, after which the film fails


@dataclass(frozen=True, kw_only=True, eq=False)
class FilmNumbers:
    """What tells how a film dries, for every phase by name.

    Attributes:
        height: Of the film before drying [m].
        peclet: Evaporation rate x height / diffusivity [-].
        settling: Sinking speed over evaporation rate, of the bead of mean radius [-].
        time: In which all liquid would evaporate [s].
    """

    height: float
    peclet: Mapping[str, float]
    settling: Mapping[str, float]
    time: float


@checked
def sinking_speed(radius: Array, excess_density: Array, viscosity: float) -> Array:
    """Return the speed at which spheres sink by Stokes's law, 2/9 (rho - rho_0) g r^2/eta [m/s].

    Args:
        radius: Any shape [m].
        excess_density: Of the spheres over that of the liquid, same shape [kg/m3].
        viscosity: Of the medium [Pa s].

    Raises:
        InputError: If the viscosity is not above 0, or the shapes differ.
    """
    if np.shape(radius) != np.shape(excess_density):
        raise InputError(
            f"sinking_speed: radius has shape {np.shape(radius)}, excess_density "
            f"{np.shape(excess_density)}: they must be the same"
        )
    check_number("sinking_speed", "viscosity", viscosity, above=0, upper=1e12, unit="Pa s")
    return np.asarray(2 / 9 * excess_density * GRAVITY * radius**2 / viscosity)


@description
class FilmDrying(Pressed):
    """The surface of the film falls until the beads carry it; then these take the dried state.

    With the forces of that state, planes follow a pressure until the thickness rests.

    The packing ends between planes across z, of which the lower one was the floor. With a film that
    is thicker in life than in the box, what matters is the Peclet number: take the evaporation rate
    that gives it.
    """

    evaporation: float = field(
        "volume of liquid per area and time", unit="m/s", lower=1e-12, upper=1.0
    )
    viscosity: float = field(
        "of the medium around the grains: that of the slurry at rest",
        unit="Pa s",
        lower=1e-5,
        upper=1e6,
    )
    diffusivity: float = field(
        "of the dissolved or dispersed binder in the liquid", unit="m2/s", lower=1e-20, upper=1e-6
    )
    passing: float = field(
        "radius of binder towards grains, over that of a bead", lower=0.01, upper=1.0, default=0.1
    )
    temperature: float = field("of the liquid", unit="K", lower=200, upper=600, default=298.15)
    pressure: float = field(
        "on the planes, at the end", unit="Pa", lower=1e3, upper=1e9, default=100e3
    )
    seed: int = field("of the random motion", lower=0, upper=2**32 - 1, default=1)

    @property
    def label(self) -> str:
        """Name of the stage in lines of progress."""
        return f"FilmDrying {self.evaporation / um:.3g} um/s"

    @property
    def wet(self) -> bool:
        """Whether the stage starts with solvent in the beads."""
        return True

    def expected(self, packing: Packing, formulation: Formulation) -> Packing:
        """Return a packing with the sides, radii and masses that there will be after the stage."""
        return self.film(packing, formulation)

    def check(self, packing: Packing, formulation: Formulation, field: ForceField) -> None:
        """Check, before any work, what would fail later.

        Raises:
            InputError: If the solvent is not all there, or as `Pressed.check` does.
        """
        Pressed.check(self, packing, formulation, field)
        for name in packing.phase_names:
            field.dried.bead(name)
        if len(packing.phase_names) < 2:
            raise InputError("process: FilmDrying needs grains that carry the surface in the end")

    def film(self, packing: Packing, formulation: Formulation) -> Packing:
        """Return the film: beads of a slurry, dry in size and mass, from the floor to the surface.

        Its height is that of solids and liquid on the area of the slurry; places are stretched.
        """
        found = dried(packing, formulation)
        area = float(np.prod(packing.lengths[:2]))
        height = formulation.balance().box / area
        positions = wrapped(packing.positions, packing.period, packing.lower)
        share = (positions[:, 2] - packing.lower[2]) / packing.lengths[2]
        room = height - 2 * found.radii
        positions[:, 2] = found.radii + share * room
        lower, upper = packing.lower.copy(), packing.upper.copy()
        lower[2], upper[2] = 0.0, height
        return replace(
            found,
            positions=positions,
            lower=lower,
            upper=upper,
            periodic=(*packing.periodic[:2], False),
        )

    def sinking(self, film: Packing, formulation: Formulation) -> Array:
        """Return the speed at which each bead would sink alone, shape (n,) [m/s]."""
        assert film.masses is not None  # of every wet route
        liquid = formulation.solvent.density
        pores = np.where(film.of_phase(formulation.binder), formulation.binder_porosity, 0.0)
        excess = film.masses / film.volumes - (1 - pores) * liquid
        return sinking_speed(film.radii, excess, self.viscosity)

    def diffusivities(self, film: Packing, formulation: Formulation) -> Array:
        """Return the diffusivity of each bead, grains by Stokes and Einstein, (n,) [m2/s]."""
        grains = BOLTZMANN * self.temperature / (6 * np.pi * self.viscosity * film.radii)
        return np.where(film.of_phase(formulation.binder), self.diffusivity, grains)

    @checked
    def numbers(self, packing: Packing, formulation: Formulation) -> FilmNumbers:
        """Return the Peclet number and the sinking of every phase, for a slurry."""
        film = self.film(packing, formulation)
        height = float(film.lengths[2])
        ledger, solvent = formulation.ledger(), formulation.solvent
        liquid = ledger[solvent.name] / solvent.density / float(np.prod(film.lengths[:2]))
        speeds = self.sinking(film, formulation)
        rates = self.diffusivities(film, formulation)
        peclet, settling = {}, {}
        for name in film.phase_names:
            chosen = film.of_phase(name)
            peclet[name] = float(self.evaporation * height / rates[chosen].mean())
            settling[name] = float(speeds[chosen].mean() / self.evaporation)
        return FilmNumbers(
            height=height, peclet=peclet, settling=settling, time=liquid / self.evaporation
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
        film, numbers = self.film(packing, formulation), self.numbers(packing, formulation)
        told = {
            "height [m]": numbers.height,
            "peclet": dict(numbers.peclet),
            "settling": dict(numbers.settling),
        }
        outcome: NotConverged | Interrupted | None = None
        with FilmEngine(
            film,
            comm,
            binder=film.of_phase(formulation.binder),
            evaporation=self.evaporation,
            settling=self.sinking(film, formulation),
            diffusivities=self.diffusivities(film, formulation),
            passing=self.passing,
            seed=self.seed,
        ) as engine:
            engine.separate()
            turns = max(1, round(numbers.height / (PARTS * self.evaporation * engine.interval)))
            before, first = engine.height, engine.height
            while outcome is None:
                engine.advance(turns)
                speed = (before - engine.height) / (turns * engine.interval * self.evaporation)
                before = engine.height
                show(f"film at {before / um:.4g} of {first / um:.4g} um, falling at {speed:.3f} E")
                if speed < CARRIED:
                    break
                if engine.time > LONGEST * numbers.time:
                    outcome = NotConverged("FilmDrying: the beads never carry the surface")
                try:
                    stop_if_asked(engine.comm)
                except Interrupted as signal:
                    outcome = signal
            upper = film.upper.copy()
            upper[2] = film.lower[2] + engine.height
            film = replace(film, positions=engine.positions(), upper=upper)
            told |= {
                "height under the surface [m]": engine.height,
                "time under the surface [s]": engine.time,
            }
        if outcome is not None:
            return Course(packing=film, report=told, outcome=outcome)
        last = Release(
            pressure=self.pressure,
            tolerance=self.tolerance,
            inertia=self.inertia,
            plane_stiffness=self.plane_stiffness,
            time_step=self.time_step,
            most_steps=self.most_steps,
        )
        course = pressed(last, film, field.dried, comm, show, freeing=FREEING)
        course.report = {**course.report, **told}
        return course

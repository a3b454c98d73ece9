"""Calendering between planes, to a degree or to a pressure, and release, with elastic beads.

The thickness of an electrode is the distance of the planes that press it, and the degree of
calendering is the share by which that is below its value before calendering, under `REFERENCE`,
1 atm. Degrees of later stages refer to the same first thickness. Beads of the papers' force fields
are elastic: what is released springs back nearly whole. For contacts that yield, see
`femssb.particles.densification`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from femssb.arrays import Array
from femssb.description import description, field
from femssb.errors import InputError, check_number
from femssb.inputs.beads import BeadForces, ForceField
from femssb.packing.formulation import Formulation
from femssb.packing.packing import Packing
from femssb.particles.beads import Kinds, stable_time_step
from femssb.particles.lammps.beads import USUAL_STEP, BeadEngine
from femssb.particles.lammps.planes import LOOK, MovedPlanes, Planes, room
from femssb.particles.stages import opened
from femssb.particles.wet import Course, Show, Watched, WetStage, until_plateau
from femssb.units import MPa

if TYPE_CHECKING:
    from mpi4py import MPI

REFERENCE = 100e3  # [Pa] under which a thickness counts as that before calendering: 1 atm
FIRST = "thickness before calendering [m]"  # in reports
# Times are counted in longest stable time steps, with which all motions of beads scale.
DRAG = 0.0134  # decay of velocities in one, as in a slurry
WINDOW = 1500  # of a plateau
SQUEEZED = 0.1  # overlap with a plane over the radius, at which time steps must still be stable
EASED = 1.3  # longest stable time step with planes over that of the beads, where planes are free
NUDGE = 5e-3  # of the smallest radius, farthest that a bead moves in a step as it is freed
SAMPLES = 64  # of a plateau
BLOCKS = 8  # of the samples: the mean of each must be at rest
STRAY = 2.0  # farthest that the mean of a block may be from its goal, over the tolerance
HELD = 0.02  # tolerance of a pressure that planes follow, at most, however roughly the rest counts
SWING = 5.0  # farthest that a sample of the pressure on a plane may be, over the tolerance


@description
class Pressed(WetStage):
    """Planes across z press a dried electrode: base of calendering and release."""

    inertia: float = field(
        "largest inertial number: strain rate x mean diameter x sqrt(density / pressure)",
        above=0,
        upper=0.1,
        default=5e-3,
    )
    plane_stiffness: float | None = field(
        "k_n of contacts with the planes; None: as stiff as the time step of the beads allows",
        unit="Pa",
        lower=1e3,
        upper=1e12,
        default=None,
    )
    tolerance: float = field(
        "relative error of the plateau of thickness, under a pressure, or of pressure, at a degree",
        above=0,
        upper=0.5,
        default=0.01,
    )

    @property
    def wet(self) -> bool:
        """Whether the stage starts with solvent in the beads."""
        return False

    def expected(self, packing: Packing, formulation: Formulation) -> Packing:
        """Return a packing with the sides, radii and masses that there will be after the stage."""
        return opened(packing, 1.0)

    def check(self, packing: Packing, formulation: Formulation, field: ForceField) -> None:
        """Check, before any work, what would fail later.

        Raises:
            InputError: If x or y is not periodic, or as `WetStage.check` does.
        """
        WetStage.check(self, packing, formulation, field)
        if not all(packing.periodic[:2]):
            name = type(self).__name__
            raise InputError(f"process: {name} needs a packing that is periodic across x and y")
        if self.time_step is not None:
            limit = self.longest_step(packing, self.forces(field))
            check_number(
                type(self).__name__, "time_step", self.time_step, above=0, upper=limit, unit="s"
            )

    def longest_step(self, packing: Packing, forces: BeadForces) -> float:
        """Return the longest time step for which beads and planes can be stable [s]."""
        kinds = Kinds.of(packing)
        beads = stable_time_step(forces, kinds.phases, kinds.diameters, kinds.lightest)
        if self.plane_stiffness is None:
            return beads
        return min(beads, 2 / np.sqrt(self.plane_stiffness * stiffest(kinds, forces)))

    def planes_stiffness(self, packing: Packing, forces: BeadForces) -> float:
        """Return k_n of contacts with the planes [Pa].

        Soft planes sink into the beads, which are then thicker together than the planes are apart,
        and let small beads through that large ones push.
        """
        if self.plane_stiffness is not None:
            return self.plane_stiffness
        kinds = Kinds.of(packing)
        beads = stable_time_step(forces, kinds.phases, kinds.diameters, kinds.lightest)
        return (2 / (EASED * beads)) ** 2 / stiffest(kinds, forces)

    def press(self, press: Press) -> tuple[Watched, dict[str, float]]:
        """Move the planes; return what was seen, and the tolerances of what decided."""
        raise NotImplementedError

    def carry_out(
        self,
        packing: Packing,
        formulation: Formulation,
        field: ForceField,
        comm: MPI.Intracomm,
        show: Show,
    ) -> Course:
        """Do the stage."""
        return pressed(self, packing, self.forces(field), comm, show)


def stiffest(kinds: Kinds, forces: BeadForces) -> float:
    """Return the square of the highest frequency of a bead at a plane of k_n = 1 Pa [1/(Pa s2)]."""
    radii = forces.contact_radii(kinds.phases, kinds.diameters)
    return float(np.max(1.5 * radii * np.sqrt(SQUEEZED) / kinds.lightest))


def pressed(
    stage: Pressed,
    packing: Packing,
    forces: BeadForces,
    comm: MPI.Intracomm,
    show: Show,
    *,
    freeing: int = 0,
) -> Course:
    """Do a stage with planes.

    Args:
        stage: To be done.
        packing: Dried, with or without planes.
        forces: Between the beads.
        comm: The ranks.
        show: Takes lines of progress.
        freeing: Longest stable time steps in which beads that overlap part first.
    """
    touching = max(forces.bead(name).contact_enlargement for name in packing.phase_names)
    start = opened(packing, touching)
    step = stage.time_step or USUAL_STEP * stage.longest_step(start, forces)
    with BeadEngine(room(start), forces, comm, time_step=step, drag=DRAG) as engine:
        stiffness = stage.planes_stiffness(start, forces)
        planes = Planes(engine, np.array([start.lower[2], start.upper[2]]), stiffness)
        if freeing:
            steps = round(freeing * engine.limit / engine.time_step)
            engine.run_limited(steps, NUDGE * float(engine.radii.min()))
        press = Press(planes, stage, first_thickness(packing), show)
        seen, tolerances = press.settle()
        if seen is None or seen.reached:
            seen, tolerances = stage.press(press)
        report: dict[str, Any] = {
            "plateaus": seen.report(),
            "stiffness of planes [Pa]": stiffness,
            "thickness [m]": planes.thickness,
            "pressure on planes [Pa]": planes.pressure(),
            "stress between planes [Pa]": planes.stress(),
            "highest_inertia": press.highest_inertia,
            "warnings": [],
            **engine.report(),
        }
        if press.first is not None:
            report |= {FIRST: press.first, "degree": 1 - planes.thickness / press.first}
        reached = planes.packing()
    return Course(
        packing=reached,
        report=report,
        outcome=seen.outcome(stage, tolerances, press.unrest),
    )


def unrest(thicknesses: Array, pressures: Array, wanted: float | None) -> dict[str, float]:
    """Return how far a plateau is from rest, to be compared with a tolerance, by name.

    A mean with a small error may hide a swing that averages out, or a slip at the end.

    Args:
        thicknesses: Samples in the window, shape (n,) [m].
        pressures: On both planes, shape (n, 2) [Pa].
        wanted: Pressure; None: their own mean [Pa].
    """
    both = pressures.mean(axis=1)
    goal = float(both.mean()) if wanted is None else wanted

    def off(values: Array, goal: float) -> float:
        return float(np.max(np.abs(values - goal))) / abs(goal) if goal else float("inf")

    def blocks(values: Array) -> Array:
        return values[len(values) % BLOCKS :].reshape(BLOCKS, -1).mean(axis=1)

    return {
        "blocks of thickness": off(blocks(thicknesses), float(thicknesses.mean())) / STRAY,
        "blocks of pressure": off(blocks(both), goal) / STRAY,
        "swing of pressure": off(pressures, goal) / SWING,
    }


def first_thickness(packing: Packing) -> float | None:
    """Return the thickness before calendering, None if no stage has measured it yet [m]."""
    known = [stage[FIRST] for stage in packing.origin.get("stages", []) if FIRST in stage]
    return float(known[-1]) if known else None


class Press:
    """Planes at work: to a pressure, or to a thickness, slowly."""

    def __init__(self, planes: Planes, stage: Pressed, first: float | None, show: Show) -> None:
        """Take the planes.

        Args:
            planes: In their engine.
            stage: That uses them.
            first: Thickness before calendering, if it is known [m].
            show: Takes lines of progress.
        """
        self.planes, self.stage, self.first = planes, stage, first
        self.highest_inertia = 0.0
        self.unrest: dict[str, float] = {}
        self._show = show

    def settle(self) -> tuple[Watched | None, dict[str, float]]:
        """Find the thickness before calendering, unless it is known."""
        if self.first is not None:
            return None, {}
        seen, tolerances = self.to_pressure(REFERENCE)
        if seen.reached:
            self.first = seen.plateaus["thickness [m]"].mean
        return seen, tolerances

    def to_pressure(self, pressure: float) -> tuple[Watched, dict[str, float]]:
        """Let the planes follow a pressure until it and the thickness rest [Pa].

        The planes move as if they weighed as much as the beads, and stop whenever the pressure is
        right. A speed that goes with the lack of pressure would not do: beads answer a moving plane
        with their impedance and dashpots first, and with the pressure of the new thickness once
        sound has passed through; where that answer is larger than the lack, planes swing for ever.
        """
        planes = self.planes
        engine = planes.engine
        kick = LOOK * engine.time_step * planes.area / engine.masses.sum()
        last = 0.0

        def approach() -> float:
            nonlocal last
            found = planes.pressure()
            lack = pressure - found
            wanted = (last if last * lack > 0 else 0.0) + kick * lack
            last = self._slowly(
                max(pressure, found), lambda slow: float(np.clip(wanted, -slow, slow))
            )
            return last

        return self._watch(
            approach,
            {
                "thickness [m]": self.stage.tolerance,
                "pressure on planes [Pa]": min(self.stage.tolerance, HELD),
            },
            wanted=pressure,
        )

    def to_thickness(self, thickness: float) -> tuple[Watched, dict[str, float]]:
        """Bring the planes to a distance and wait until the pressure rests [m]."""
        interval = LOOK * self.planes.engine.time_step

        def approach() -> float:
            left = (self.planes.thickness - thickness) / interval
            found = max(REFERENCE, self.planes.pressure())
            return self._slowly(found, lambda slow: float(np.clip(left, -slow, slow)))

        return self._watch(
            approach,
            {"pressure on planes [Pa]": self.stage.tolerance},
            ready=lambda: abs(self.planes.thickness / thickness - 1) < 1e-9,
        )

    def _watch(
        self,
        approach: Callable[[], float],
        tolerances: dict[str, float],
        *,
        wanted: float | None = None,
        ready: Callable[[], bool] = lambda: True,
    ) -> tuple[Watched, dict[str, float]]:
        """Run until what is watched rests, and the pressure is the one that is wanted, if any."""
        planes = self.planes
        moved: Any = MovedPlanes(planes, approach)
        thicknesses: deque[float] = deque(maxlen=SAMPLES)
        pressures: deque[Array] = deque(maxlen=SAMPLES)

        def thickness() -> float:
            thicknesses.append(planes.thickness)
            return thicknesses[-1]

        def pressure() -> float:
            pressures.append(planes.pressures())
            return float(pressures[-1].mean())

        def rests() -> bool:
            found = unrest(np.array(thicknesses), np.array(pressures), wanted)
            thin, tight = self.stage.tolerance, tolerances["pressure on planes [Pa]"]
            self.unrest = {
                name: off / (thin if "thickness" in name else tight) for name, off in found.items()
            }
            return ready() and max(self.unrest.values()) <= 1

        seen = until_plateau(
            moved,
            {"thickness [m]": thickness, "pressure on planes [Pa]": pressure},
            tolerances,
            samples=SAMPLES,
            window=WINDOW * planes.engine.limit,
            most_steps=self.stage.most_steps,
            show=self._show,
            ready=rests,
        )
        return seen, tolerances

    def _slowly(self, pressure: float, speed: Callable[[float], float]) -> float:
        """Return a speed of approach, given how fast planes may be at a pressure [m/s]."""
        engine, height = self.planes.engine, self.planes.thickness
        density = engine.masses.sum() / (self.planes.area * height)
        unit = height / (2 * engine.radii.mean()) * np.sqrt(pressure / density)
        chosen = float(speed(self.stage.inertia * unit))
        self.highest_inertia = max(self.highest_inertia, abs(chosen) / float(unit))
        return chosen


@description
class Calendering(Pressed):
    """Bring the planes together to a degree or to a pressure.

    The first stage of its kind finds the thickness before calendering: it opens sides across z that
    were periodic, puts planes there and lets them follow `REFERENCE`. Contacts have no memory of
    the stage before.

    Raises:
        InputError: If a field is out of its bounds, or not exactly one of degree and pressure is
            given.
    """

    degree: float | None = field(
        "relative reduction of the thickness", lower=0, upper=0.9, default=None
    )
    pressure: float | None = field("on the planes", unit="Pa", lower=1e3, upper=1e11, default=None)

    def __post_init__(self) -> None:
        if (self.degree is None) == (self.pressure is None):
            raise InputError(
                f"Calendering: give either degree = {self.degree} or pressure = {self.pressure} Pa"
            )

    @property
    def label(self) -> str:
        """Name of the stage in lines of progress."""
        if self.pressure is not None:
            return f"Calendering {self.pressure / MPa:.3g} MPa"
        return f"Calendering {100 * (self.degree or 0.0):.3g} %"

    def press(self, press: Press) -> tuple[Watched, dict[str, float]]:
        """Move the planes; return what was seen, and the tolerances of what decided."""
        if self.pressure is not None:
            return press.to_pressure(self.pressure)
        assert press.first is not None  # settled
        assert self.degree is not None  # checked when made
        return press.to_thickness((1 - self.degree) * press.first)


@description
class Release(Pressed):
    """Let the planes recede to a pressure, 1 atm if not said otherwise."""

    pressure: float = field("on the planes", unit="Pa", lower=1e3, upper=1e11, default=REFERENCE)

    @property
    def label(self) -> str:
        """Name of the stage in lines of progress."""
        return f"Release {self.pressure / MPa:.3g} MPa"

    def press(self, press: Press) -> tuple[Watched, dict[str, float]]:
        """Move the planes; return what was seen, and the tolerances of what decided."""
        return press.to_pressure(self.pressure)

    def carry_out(
        self,
        packing: Packing,
        formulation: Formulation,
        field: ForceField,
        comm: MPI.Intracomm,
        show: Show,
    ) -> Course:
        """Do the stage."""
        course = Pressed.carry_out(self, packing, formulation, field, comm, show)
        before, after = packing.lengths[2], course.packing.lengths[2]
        if not packing.periodic[2] and after < (1 - 2 * self.tolerance) * before:
            course.report["warnings"].append(
                f"released to {self.pressure:g} Pa, the planes came nearer, from {before:.4g} to "
                f"{after:.4g} m: the electrode was held by less, and is pressed now"
            )
        return course
